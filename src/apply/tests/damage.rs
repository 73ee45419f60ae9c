//! State that is not what weft wrote: a clear error, and the network is kept.

use camino::{Utf8Path, Utf8PathBuf};

use super::{ApplyError, SDN, confirmed, go, sdn, seen};
use crate::apply::{Recovery, State, StateError, owned, recover, restore, running};
use crate::host::Host;
use crate::host::fake::{Fake, Fault, Restart};

fn two() -> Fake {
    let host = Fake::default();
    host.put(SDN, b"found\n", 0o640);
    confirmed(go(&host, 1, Some("one\n")));
    confirmed(go(&host, 2, Some("two\n")));
    host
}

fn below(host: &Fake, directory: &str) -> Vec<Utf8PathBuf> {
    host.files().into_keys().filter(|path| path.starts_with(directory)).collect()
}

fn damaged_at(error: &ApplyError) -> &Utf8Path {
    match error {
        ApplyError::State(StateError::Damaged { path, .. }) => path,
        other => panic!("no damage: {other:?}"),
    }
}

/// A process that died just before the journal said `state`.
fn interrupted_before(state: State) -> Fake {
    for step in 0.. {
        let host = two();
        host.set_faults(&[(step, Fault::Die)]);
        let _ = go(&host, 3, Some("three\n"));
        assert!(host.fired(), "it never came so far");
        host.restart(Restart::Process);
        if host.files().contains_key(Utf8Path::new(&entry(3, state))) {
            // One step later than the rename: all that belongs to the state before it.
            let host = two();
            host.set_faults(&[(step - 1, Fault::Die)]);
            let _ = go(&host, 3, Some("three\n"));
            host.restart(Restart::Process);
            return host;
        }
    }
    unreachable!("the loop ends by a return")
}

fn entry(number: u64, state: State) -> String {
    format!("/var/lib/weft/journal/{number:08}.{state}")
}

#[test]
fn a_damaged_journal_stops_everything() {
    let journal = "/var/lib/weft/journal";
    let good = two().files()[Utf8Path::new(&entry(2, State::Confirmed))].bytes.clone();
    let text = String::from_utf8(good.clone()).expect("JSON");
    let damages: Vec<(String, Vec<u8>)> = vec![
        (entry(2, State::Confirmed), Vec::new()),
        (entry(2, State::Confirmed), good[..good.len() / 2].to_vec()),
        (entry(1, State::Confirmed), b"{}".to_vec()),
        (entry(2, State::Confirmed), text.replace("\"number\": 2", "\"number\": 1").into()),
        (entry(2, State::Confirmed), text.replace("\"format\": 2", "\"format\": 9").into()),
        (entry(2, State::Confirmed), text.replacen('{', "{\"more\": 1,", 1).into()),
        // Two states at once; an older apply that never ended; a state that nobody knows.
        (entry(2, State::RolledBack), good.clone()),
        (entry(0, State::Armed), text.replace("\"number\": 2", "\"number\": 0").into()),
        (format!("{journal}/00000003.done"), good.clone()),
    ];
    for (path, bytes) in damages {
        let host = two();
        host.put(&path, &bytes, 0o600);
        let before = host.files();
        // Who applies, and who asks what runs and what is to be undone, reads no entry of the
        // past.
        let is_past = path == entry(1, State::Confirmed);
        let mut errors = vec![restore(&host, 1).expect_err("refused")];
        if !is_past {
            errors.push(go(&host, 3, Some("three\n")).expect_err("refused"));
        }
        match recover(&host) {
            Ok(recovery) => assert!(is_past && matches!(recovery, Recovery::Nothing), "{path}"),
            Err(error) => errors.push(error),
        }
        let asked = [running(&host).err(), owned(&host).err()].map(|e| e.map(ApplyError::from));
        assert!(asked.iter().all(|error| error.is_none() == is_past), "{path}: {asked:?}");
        for error in errors.iter().chain(asked.iter().flatten()) {
            assert!(damaged_at(error).starts_with(journal), "{path}: {error:?}");
        }
        assert_eq!(host.files(), before, "{path}: nothing was changed");
        if is_past {
            go(&host, 3, Some("three\n")).expect("it works");
        }
    }
}

#[test]
fn what_lies_beside_the_journal_stops_no_way_back() {
    let journal = "/var/lib/weft/journal";
    for name in ["2.confirmed", "00000002.confirmed~", "00000001.confirmed.bak", "README"] {
        let host = interrupted_before(State::Applied);
        host.put(&format!("{journal}/{name}"), b"hello", 0o600);
        // Nor does an entry of the past that cannot be read.
        host.put(&entry(1, State::Confirmed), b"", 0o600);
        let recovery = recover(&host).expect("it is settled");
        assert!(matches!(recovery, Recovery::RolledBack { .. }), "{name}: {recovery:?}");
        assert_eq!(running(&host).expect("read").map(|entry| entry.record.number), Some(2));
        assert!(host.files().contains_key(Utf8Path::new(&format!("{journal}/{name}"))));
    }
}

#[test]
fn a_lost_journal_is_damage_and_no_first_run() {
    let host = two();
    for path in below(&host, "/var/lib/weft/journal") {
        host.take(path.as_str());
    }
    let before = host.files();
    let error = go(&host, 3, Some("three\n")).expect_err("refused");
    assert_eq!(damaged_at(&error), "/var/lib/weft/journal");
    assert!(recover(&host).is_err());
    assert_eq!(host.files(), before);
}

#[test]
fn a_damaged_running_generation_stops_applies_and_keeps_the_network() {
    let files = below(&two(), "/var/lib/weft/gen/00000002");
    assert_eq!(files.len(), 4, "{files:?}");
    for path in files {
        for flip in [true, false] {
            let host = two();
            host.take(path.as_str());
            if flip {
                let mut bytes = two().files()[&path].bytes.clone();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                host.put(path.as_str(), &bytes, 0o600);
            }
            let before = host.files();
            let recovery = recover(&host).expect("the journal is sound");
            match recovery {
                Recovery::Degraded { entry, obstacle: StateError::Damaged { path: at, .. } } => {
                    assert_eq!((entry.record.number, at), (2, path.clone()));
                }
                other => panic!("{path}: {other:?}"),
            }
            let error = go(&host, 3, Some("three\n")).expect_err("there is no way back");
            assert_eq!(damaged_at(&error), path);
            let error = restore(&host, 2).expect_err("it is not what was confirmed");
            assert_eq!(damaged_at(&error), path);
            assert_eq!(host.files(), before, "{path}: nothing was changed");
        }
    }
}

#[test]
fn a_manifest_that_was_changed_with_its_files_is_not_restored() {
    let host = two();
    let copy = "/var/lib/weft/gen/00000001/files/etc/network/interfaces.d/sdn";
    let manifest = "/var/lib/weft/gen/00000001/manifest.json";
    let evil = b"evil\n";
    let text = String::from_utf8(host.files()[Utf8Path::new(manifest)].bytes.clone());
    let was = crate::value::Digest::of(&host.files()[Utf8Path::new(copy)].bytes).to_string();
    let text = text.expect("JSON").replace(&was, &crate::value::Digest::of(evil).to_string());
    host.put(copy, evil, 0o600);
    host.put(manifest, text.as_bytes(), 0o600);
    let before = seen(&host);
    let error = restore(&host, 1).expect_err("the journal knows another manifest");
    assert_eq!(damaged_at(&error), manifest);
    assert_eq!(seen(&host), before);
    // The others still work.
    confirmed(restore(&host, 0));
    assert_eq!(sdn(&host).map(|f| (f.bytes, f.mode)), Some((b"found\n".to_vec(), 0o640)));
}

#[test]
fn without_a_way_back_a_node_is_degraded_until_it_is_mended() {
    let host = interrupted_before(State::Applied);
    assert!(sdn(&host).is_some_and(|file| file.bytes.ends_with(b"three\n")));
    let copy = "/var/lib/weft/gen/00000002/files/etc/network/interfaces.d/sdn";
    let good = host.files()[Utf8Path::new(copy)].clone();
    host.put(copy, b"rotten", 0o600);
    for _ in 0..2 {
        let before = host.files();
        match recover(&host).expect("the journal is sound") {
            Recovery::Degraded { entry, obstacle: StateError::Damaged { path, .. } } => {
                assert_eq!((entry.state, path.as_str()), (State::Armed, copy));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(host.files(), before, "the network is kept, and so is the journal");
        let error = go(&host, 4, Some("four\n")).expect_err("refused");
        assert!(matches!(error, ApplyError::Unsettled { number: 3 }), "{error:?}");
    }
    host.put(copy, &good.bytes, good.mode);
    let recovery = recover(&host).expect("the journal is sound");
    assert!(matches!(recovery, Recovery::RolledBack { .. }), "{recovery:?}");
    assert_eq!(sdn(&host).expect("there").bytes, good.bytes);
    super::assert_at_rest(&host);
}

#[test]
fn an_apply_that_was_through_is_confirmed_only_if_its_files_are_there() {
    let host = interrupted_before(State::Confirmed);
    let other = host.copy();
    let recovery = recover(&host).expect("the journal is sound");
    assert!(matches!(recovery, Recovery::Confirmed { .. }), "{recovery:?}");
    assert!(sdn(&host).is_some_and(|file| file.bytes.ends_with(b"three\n")));
    other.put(SDN, b"by hand\n", 0o644);
    let recovery = recover(&other).expect("the journal is sound");
    assert!(matches!(recovery, Recovery::RolledBack { .. }), "{recovery:?}");
    assert!(sdn(&other).is_some_and(|file| file.bytes.ends_with(b"two\n")));
    for host in [host, other] {
        super::assert_at_rest(&host);
    }
}

#[test]
fn something_else_in_the_place_of_a_file_changes_nothing() {
    let host = Fake::default();
    host.put(&format!("{SDN}/inside"), b"", 0o644);
    let node = super::plan(&Fake::default(), 1, Some("one\n")).expect("it can be read");
    let before = host.files();
    super::apply(&host, super::with_authority(node, 1)).expect_err("no regular file");
    assert_eq!(host.files(), before);
    assert!(host.list(Utf8Path::new("/var/lib/weft/journal")).expect("listed").is_empty());
}

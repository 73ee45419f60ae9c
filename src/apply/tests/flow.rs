//! What an apply does when nothing fails.

use camino::Utf8Path;

use super::{
    ApplyError, Outcome, SDN, apply, assert_at_rest, commit, confirmed, go, plan, sdn, seen,
};
use super::{rendering, with_authority};
use crate::apply::{
    Entry, Kind, Manifest, State, generation, history, owned, recover, restore, running,
};
use crate::facts::{Facts, Route};
use crate::host::Host;
use crate::host::fake::{Fake, Fault};
use crate::plan::Step;
use crate::render::{Managed, Profile};
use crate::value::Digest;

fn text(host: &Fake, path: &str) -> String {
    let file = host.files().remove(Utf8Path::new(path)).expect("it is there");
    String::from_utf8(file.bytes).expect("UTF-8")
}

fn numbers(host: &Fake) -> Vec<u64> {
    generation::numbers(host).expect("listed")
}

#[test]
fn a_first_apply_keeps_what_was_found() {
    let host = Fake::default();
    let route = Route {
        destination: "0.0.0.0/0".parse().expect("a prefix"),
        interface: "vmbr0".parse().expect("an interface"),
        gateway: None,
        source: "192.0.2.2".parse().expect("an address"),
        metric: 0,
    };
    host.set_facts(Facts { routes: vec![route], ..Facts::unknown(super::node()) });
    host.put(SDN, b"found\n", 0o640);
    assert!(running(&host).expect("read").is_none() && owned(&host).expect("read").is_none());
    let entry = confirmed(go(&host, 1, Some("one\n")));
    assert_eq!(text(&host, SDN), "#version:1\none\n");
    assert_eq!(sdn(&host).expect("there").mode, 0o644);
    assert_eq!((entry.record.number, entry.record.kind), (1, Kind::Apply));
    assert_eq!((entry.record.previous.number, entry.record.generation.number), (0, 1));
    assert_eq!(entry.record.steps, ["write /etc/network/interfaces.d/sdn (15 bytes)"]);
    assert_eq!(entry.path(), "/var/lib/weft/journal/00000001.confirmed");
    let manifest = owned(&host).expect("read").expect("weft's");
    assert_eq!(manifest.rendering, Some(rendering(Some("one\n")).digest()));
    assert_eq!(manifest.commit, Some(commit(1)));
    let file = &manifest.files[&Managed::Interfaces];
    assert_eq!(file.sha256, Digest::of(b"#version:1\none\n"));
    assert!(manifest.absent.is_empty());
    let before = manifest.before[&Managed::Interfaces].expect("something was there");
    assert_eq!((before.sha256, before.mode), (Digest::of(b"found\n"), 0o640));
    assert_eq!(text(&host, &format!("/var/lib/weft/gen/00000001/before{SDN}")), "found\n");
    assert_eq!((manifest.interfaces.len(), manifest.profile), (1, Some(Profile::Pve)));
    let facts = text(&host, "/var/lib/weft/gen/00000001/facts.json");
    assert_eq!(manifest.facts, Some(Digest::of(facts.as_bytes())));
    let facts: Facts = serde_json::from_str(&facts).expect("facts");
    assert_eq!(facts, host.facts(&super::node()).expect("read"));
    let found = text(&host, "/var/lib/weft/gen/00000000/manifest.json");
    let found: Manifest = serde_json::from_str(&found).expect("a manifest");
    assert_eq!((found.commit, found.rendering, found.facts), (None, None, None));
    assert!(found.files.is_empty() && found.absent.is_empty() && found.before.is_empty());
    assert_at_rest(&host);
}

#[test]
fn equal_rendering_advances_the_commit_and_touches_nothing() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    let before = host.files();
    let Outcome::Unchanged { running } = go(&host, 2, Some("one\n")).expect("it works") else {
        panic!("there is nothing to do");
    };
    assert_eq!(running.record.commit, Some(commit(2)));
    assert_eq!((running.record.kind, running.record.generation.number), (Kind::Advance, 1));
    let after = host.files();
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert_eq!(new, ["/var/lib/weft/journal/00000002.confirmed"]);
    assert!(before.iter().all(|(path, file)| after.get(path) == Some(file)));
    // The same commit again leaves no trace at all.
    assert!(matches!(go(&host, 2, Some("one\n")), Ok(Outcome::Unchanged { .. })));
    assert_eq!(host.files(), after);
    // The commit is not in the file, so a later one that reverts brings the bytes back.
    confirmed(go(&host, 3, Some("two\n")));
    assert_at_rest(&host);
}

#[test]
fn a_file_that_is_right_already_is_taken_as_it_is() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    host.put(SDN, b"#version:77\ntwo\n", 0o644);
    let entry = confirmed(go(&host, 2, Some("two\n")));
    assert_eq!((entry.record.generation.number, entry.record.steps.len()), (2, 0));
    assert_eq!(text(&host, SDN), "#version:77\ntwo\n");
    assert_at_rest(&host);
    confirmed(go(&host, 3, Some("three\n")));
    confirmed(restore(&host, 2));
    assert_eq!(text(&host, SDN), "#version:77\ntwo\n");
}

#[test]
fn a_change_by_hand_is_put_right_in_a_new_generation() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    host.put(SDN, b"by hand\n", 0o600);
    let entry = confirmed(go(&host, 2, Some("one\n")));
    assert_eq!(entry.record.generation.number, 2);
    assert_eq!(text(&host, SDN), "#version:2\none\n");
    assert_at_rest(&host);
}

#[test]
fn a_generation_can_be_restored() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    confirmed(go(&host, 2, Some("two\n")));
    assert!(matches!(go(&host, 3, Some("two\n")), Ok(Outcome::Unchanged { .. })));
    let entry = confirmed(restore(&host, 1));
    assert_eq!((entry.record.kind, entry.record.commit), (Kind::Restore, Some(commit(1))));
    assert_eq!((entry.record.previous.number, entry.record.generation.number), (2, 1));
    assert_eq!(text(&host, SDN), "#version:1\none\n");
    let again = restore(&host, 1).expect("it works");
    assert!(matches!(again, Outcome::Unchanged { .. }), "{again:?}");
    // Nothing was there before weft, and nothing is weft's after that.
    let entry = confirmed(restore(&host, 0));
    assert_eq!((sdn(&host), entry.record.commit), (None, None));
    assert!(owned(&host).expect("read").is_none());
    assert_at_rest(&host);
    // A number is not given twice.
    assert_eq!(confirmed(go(&host, 4, Some("one\n"))).record.generation.number, 3);
    let error = restore(&host, 9).expect_err("there is none");
    assert_eq!(error.to_string(), "there is no generation 9; there are 0, 1, 2, 3");
    let error = restore(&Fake::default(), 0).expect_err("there is none");
    assert_eq!(error.to_string(), "there is no generation 0; there are none");
}

#[test]
fn restoring_what_runs_puts_a_change_by_hand_right_and_keeps_the_commit() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    assert!(matches!(go(&host, 2, Some("one\n")), Ok(Outcome::Unchanged { .. })));
    host.take(SDN);
    let entry = confirmed(restore(&host, 1));
    assert_eq!(entry.record.commit, Some(commit(2)));
    assert_eq!(text(&host, SDN), "#version:1\none\n");
    assert_at_rest(&host);
}

#[test]
fn a_plan_that_does_not_fit_changes_nothing() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    let before = host.files();
    let managed = Managed::Interfaces;
    let bytes = b"#version:2\ntwo\n".to_vec();
    let write = || Step::Write { managed: managed.clone(), bytes: bytes.clone() };
    let attempts = [
        (Some("two\n"), vec![], "changed since the plan was made"),
        (None, vec![], "changed since the plan was made"),
        (Some("two\n"), vec![write(), write()], "two steps are about it"),
        (Some("other\n"), vec![write()], "is not what was rendered"),
        (None, vec![write()], "was not rendered"),
        (Some("two\n"), vec![Step::Remove { managed: managed.clone() }], "but was rendered"),
    ];
    for (text, steps, message) in attempts {
        let mut plan = plan(&host, 2, text).expect("it can be read");
        plan.steps = steps;
        let error = apply(&host, with_authority(plan, 2)).expect_err("refused");
        assert!(error.to_string().contains(message), "{error}");
    }
    assert_eq!(host.files(), before);
}

#[test]
fn a_disk_without_room_is_refused_before_anything_begins() {
    let host = Fake::default();
    host.set_free(300 << 10);
    confirmed(go(&host, 1, Some("one\n")));
    let before = host.files();
    let error = go(&host, 2, Some(&"x".repeat(60 << 10))).expect_err("refused");
    assert!(matches!(error, ApplyError::NoSpace { .. }), "{error:?}");
    assert_eq!(host.files(), before);
}

#[test]
fn old_generations_go_and_those_that_are_needed_stay() {
    let host = Fake::default();
    for sequence in 1..=5 {
        confirmed(go(&host, sequence, Some(&format!("{sequence}\n"))));
    }
    confirmed(restore(&host, 2));
    for sequence in 6..=20 {
        confirmed(go(&host, sequence, Some(&format!("{sequence}\n"))));
    }
    assert_eq!(numbers(&host), [0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    // The running one and the one before it stay, however old they are.
    confirmed(restore(&host, 0));
    confirmed(restore(&host, 11));
    assert_eq!(numbers(&host), [0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    confirmed(go(&host, 21, Some("21\n")));
    assert_eq!(numbers(&host), [0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
    confirmed(go(&host, 22, Some("22\n")));
    assert_eq!(numbers(&host), [0, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22]);
    assert_at_rest(&host);
}

/// Adds entries like the newest one, as so many commits or failures would.
fn add_entries(host: &Fake, count: u64, kind: Kind, state: State) {
    let mut record = history(host).expect("read").pop().expect("there is one").record;
    for _ in 0..count {
        record.number += 1;
        record.kind = kind;
        let entry = Entry { state: State::Intent, record: record.clone() };
        entry.write(host).expect("written");
        entry.turn(host, state).expect("renamed").expect("alone");
    }
}

#[test]
fn the_journal_keeps_its_newest_entries_and_what_is_needed() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    confirmed(go(&host, 2, Some("two\n")));
    let numbers = |host: &Fake| -> Vec<u64> {
        history(host).expect("read").iter().map(|entry| entry.record.number).collect()
    };
    let running_2 = running(&host).expect("read").expect("it runs").record;
    add_entries(&host, 247, Kind::Advance, State::Confirmed);
    assert!(matches!(go(&host, 250, Some("two\n")), Ok(Outcome::Unchanged { .. })));
    // 1 has the digest of generation 0; that of 2 and 1 is in the newer ones.
    let kept = numbers(&host);
    assert_eq!((kept[0], kept[1], kept[200], kept.len()), (1, 51, 250, 201));
    assert_at_rest(&host);
    assert_eq!(restore(&host, 0).map(confirmed_previous).expect("it works"), 2);
    assert_eq!(restore(&host, 2).map(confirmed_previous).expect("it works"), 0);
    assert_eq!(
        running_2.generation,
        running(&host).expect("read").expect("runs").record.generation
    );
    // Failures do not push out what runs.
    let before = seen(&host);
    add_entries(&host, 250, Kind::Apply, State::RolledBack);
    host.set_faults(&[(30, Fault::Fail(std::io::ErrorKind::PermissionDenied))]);
    go(&host, 251, Some("new\n")).expect_err("it is refused on the way");
    assert!(host.fired());
    assert_eq!(seen(&host), before);
    recover(&host).expect("nothing is damaged");
    assert!(numbers(&host).len() <= 204, "{:?}", numbers(&host));
    assert_eq!(seen(&host), before);
    assert_at_rest(&host);
    confirmed(restore(&host, 1));
}

fn confirmed_previous(outcome: Outcome) -> u64 {
    confirmed(Ok(outcome)).record.previous.number
}

#[test]
fn the_lock_is_held_by_one() {
    let host = Fake::default();
    let lock = host.lock(Utf8Path::new(crate::apply::LOCK)).expect("no error");
    assert!(lock.is_some());
    assert!(host.lock(Utf8Path::new(crate::apply::LOCK)).expect("no error").is_none());
    drop(lock);
    assert!(host.lock(Utf8Path::new(crate::apply::LOCK)).expect("no error").is_some());
}

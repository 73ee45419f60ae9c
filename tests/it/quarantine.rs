//! Renderings that were undone, on the disk of a dry node.

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use weft::agent::quarantine::{
    self, MAX_HELD, MOST, PATH, PAUSE, Quarantine, QuarantineError, WHILES,
};
use weft::host::Linux;
use weft::plan::{Sign, Watchlist};
use weft::value::{Digest, ObjectId};

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn commit() -> ObjectId {
    ObjectId::from_bytes([7; 20])
}

#[test]
fn is_left_alone_for_ten_minutes_an_hour_a_day_and_then_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    let host = Linux::new(Some(root.clone()));
    let (bad, other) = (Digest::of(b"bad"), Digest::of(b"other"));
    let second = SignedDuration::from_secs(1);
    let mut time = now();
    assert_eq!(quarantine::blocks(&host, &Watchlist::default(), bad, time).unwrap(), None);
    for wait in WHILES {
        let mut quarantine = Quarantine::load(&host).unwrap();
        quarantine.hold(bad, commit(), "the uplink went down", time);
        quarantine.store(&host).unwrap();
        let held = quarantine::blocks(&host, &Watchlist::default(), bad, time + wait - second)
            .unwrap()
            .unwrap();
        assert!(held.sentence().contains("the uplink went down"), "{}", held.sentence());
        assert_eq!(quarantine::blocks(&host, &Watchlist::default(), other, time).unwrap(), None);
        assert_eq!(
            quarantine::blocks(&host, &Watchlist::default(), bad, time + wait).unwrap(),
            None
        );
        // A clock that was set back holds it no less.
        assert!(
            quarantine::blocks(&host, &Watchlist::default(), bad, time - wait).unwrap().is_some()
        );
        time += wait;
    }
    let mut quarantine = Quarantine::load(&host).unwrap();
    let held = quarantine.hold(bad, commit(), "again", time);
    assert_eq!((held.failures, held.until), (4, None));
    assert!(held.sentence().contains("weft apply --refresh"));
    quarantine.store(&host).unwrap();
    let years = SignedDuration::from_hours(24 * 3650);
    assert!(quarantine::blocks(&host, &Watchlist::default(), bad, time + years).unwrap().is_some());
    // It ran after all.
    let mut quarantine = Quarantine::load(&host).unwrap();
    assert!(quarantine.release(bad));
    assert!(!quarantine.release(bad));
    quarantine.store(&host).unwrap();
    assert_eq!(quarantine::blocks(&host, &Watchlist::default(), bad, time).unwrap(), None);
}

#[test]
fn newer_commits_end_three_windows_in_a_row_and_then_wait() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    let host = Linux::new(Some(root));
    let second = SignedDuration::from_secs(1);
    let mut time = now();
    let changed = |change: &dyn Fn(&mut Quarantine)| {
        let mut quarantine = Quarantine::load(&host).unwrap();
        change(&mut quarantine);
        quarantine.store(&host).unwrap();
        quarantine.haste()
    };
    assert_eq!(changed(&|_| {}), None);
    for number in 1..=MOST {
        let haste = changed(&|quarantine| quarantine.hasten(time)).unwrap();
        assert_eq!(haste.is_spent(), number == MOST, "{number}");
        // What ended a window is tried itself.
        assert_eq!(quarantine::pauses(&host, false, time).unwrap(), None);
        time += second;
    }
    // What has its own time now and fails makes the newest wait from then on.
    let haste = changed(&|quarantine| assert!(quarantine.delay(time))).unwrap();
    assert_eq!(quarantine::pauses(&host, false, time + PAUSE - second).unwrap(), Some(haste));
    assert_eq!(quarantine::pauses(&host, false, time + PAUSE).unwrap(), None);
    for words in ["3 windows in a row", "12:10:03", "weft apply --refresh"] {
        assert!(haste.sentence().contains(words), "{}", haste.sentence());
    }
    // A way back waits for nothing.
    assert_eq!(quarantine::pauses(&host, true, time).unwrap(), None);
    // Time alone ends no row: the next window has its whole time too.
    assert!(Quarantine::load(&host).unwrap().haste().unwrap().is_spent());
    assert_eq!(changed(&|quarantine| assert!(quarantine.calm())), None);
    assert!(!Quarantine::load(&host).unwrap().calm());
    // Nor is a way back that ends windows all the time a way around it.
    for number in 1..=MOST + 1 {
        let haste = changed(&|quarantine| quarantine.hasten(time)).unwrap();
        assert_eq!(haste.pauses(time), number > MOST, "{number}");
    }
    assert_eq!(changed(&|quarantine| assert!(quarantine.calm())), None);
    // What fails in its own time is no haste.
    assert_eq!(changed(&|quarantine| assert!(!quarantine.delay(time))), None);
}

#[test]
fn is_bounded_and_never_guessed() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
    let host = Linux::new(Some(root.clone()));
    let mut quarantine = Quarantine::default();
    for number in 0..=MAX_HELD {
        quarantine.hold(Digest::of(&number.to_le_bytes()), commit(), &"x".repeat(100_000), now());
    }
    assert_eq!(quarantine.held().len(), MAX_HELD);
    assert!(quarantine.blocks(Digest::of(&0_usize.to_le_bytes()), now()).is_none());
    assert!(quarantine.blocks(Digest::of(&MAX_HELD.to_le_bytes()), now()).is_some());
    quarantine.store(&host).unwrap();
    assert_eq!(Quarantine::load(&host).unwrap(), quarantine);

    let file = root.join(PATH.trim_start_matches('/'));
    for (text, damaged) in [
        ("", true),
        ("{", true),
        (r#"{"format":1,"held":[],"more":1}"#, true),
        (r#"{"format":2,"held":[]}"#, false),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Quarantine::load(&host).unwrap_err();
        assert_eq!(matches!(error, QuarantineError::Damaged(_)), damaged, "{text}: {error}");
    }
}

#[test]
fn what_is_not_the_fault_of_a_rendering_is_excused_once() {
    let remote = Sign::Remote("origin".parse().unwrap());
    for waits_for in [vec![remote], Vec::new()] {
        let mut quarantine = Quarantine::default();
        let rendering = Digest::of(b"good");
        let reason = "it worked before and does not now";
        let held = quarantine.excuse(rendering, commit(), reason, now(), &waits_for);
        assert_eq!((held.failures, &held.waits_for), (1, &waits_for));
        // What was merely interrupted is tried at once; the other as soon as it works again.
        let blocks = quarantine.blocks(rendering, now());
        assert_eq!(blocks.is_some(), !waits_for.is_empty());
        if let Some(held) = blocks {
            assert!(held.sentence().contains("when that works"), "{}", held.sentence());
        }
        // Twice is no accident.
        let held = quarantine.excuse(rendering, commit(), reason, now(), &waits_for);
        assert_eq!((held.failures, held.until), (2, Some(now() + WHILES[1])));
        assert!(held.waits_for.is_empty() && quarantine.blocks(rendering, now()).is_some());
    }
}

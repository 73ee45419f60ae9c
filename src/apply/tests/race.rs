//! Two processes that want to end the same apply.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use camino::Utf8PathBuf;

use super::{confirmed, go, plan, sdn, seen, with_authority};
use crate::apply::execute::roll_back;
use crate::apply::files::Way;
use crate::apply::generation::Generation;
use crate::apply::prepare::{Prepared, Work, prepare};
use crate::apply::{Entry, Failure, Journal, Outcome, State};
use crate::host::fake::Fake;
use crate::host::{Host, Linux};
use crate::plan::Terms;

/// Applies up to `applied`, as a process that still looks whether all is well.
fn applied(host: &impl Host, sequence: u8, text: &str) -> (Entry, Way) {
    let plan = plan(host, sequence, Some(text)).expect("it can be read");
    let authority = with_authority(plan, sequence);
    let Ok(Prepared::Work(work)) = prepare(host, authority, &Terms::default()) else {
        panic!("there is something to do");
    };
    let Work { record, drafts, actions, .. } = *work;
    let entry = Entry { state: State::Intent, record };
    entry.write(host).expect("written");
    for draft in drafts {
        draft.write(host).expect("written");
    }
    let armed = entry.turn(host, State::Armed).expect("renamed").expect("alone");
    for action in actions {
        action.run(host, &mut Vec::new()).expect("written");
    }
    let applied = armed.turn(host, State::Applied).expect("renamed").expect("alone");
    let way_back = Way::load(host, &applied.record).expect("it is there");
    (applied, way_back)
}

#[test]
fn who_confirms_first_has_won() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    let (entry, way_back) = applied(&host, 2, "two\n");
    entry.turn(&host, State::Confirmed).expect("renamed").expect("first");
    let before = (host.files(), seen(&host));
    let outcome = roll_back(&host, &entry, &way_back, Failure::Interrupted);
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert_eq!((host.files(), seen(&host)), before, "who loses does nothing");
}

#[test]
fn who_rolls_back_first_has_won() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    let before = seen(&host);
    let (entry, way_back) = applied(&host, 2, "two\n");
    let outcome = roll_back(&host, &entry, &way_back, Failure::Interrupted);
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(entry.turn(&host, State::Confirmed).expect("no error").is_none());
    assert_eq!(seen(&host), before);
    // Twice is as good as once.
    let again = roll_back(&host, &entry, &way_back, Failure::Interrupted);
    assert!(matches!(again, Outcome::RolledBack { .. }), "{again:?}");
    assert_eq!(seen(&host), before);
}

#[test]
fn once_a_rollback_has_begun_nobody_confirms() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    let (entry, _) = applied(&host, 2, "two\n");
    let armed = entry.turn(&host, State::Armed).expect("renamed").expect("first");
    assert!(entry.turn(&host, State::Confirmed).expect("no error").is_none());
    assert_eq!(armed.now(&host).expect("read").expect("there").state, State::Armed);
    assert!(sdn(&host).is_some_and(|file| file.bytes.ends_with(b"two\n")));
}

fn dry_node() -> (tempfile::TempDir, Linux) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).expect("UTF-8");
    (directory, Linux::new(Some(root)))
}

#[test]
fn on_a_real_file_system_exactly_one_of_two_wins() {
    let (_directory, host) = dry_node();
    confirmed(go(&host, 1, Some("1\n")));
    let (mut stayed, mut went) = (0, 0);
    for sequence in 2..=200 {
        let (entry, way_back) = applied(&host, sequence, &format!("{sequence}\n"));
        let together = Barrier::new(2);
        let (confirming, rolling) = thread::scope(|scope| {
            let confirming = scope.spawn(|| {
                together.wait();
                entry.turn(&host, State::Confirmed).expect("no error").is_some()
            });
            let rolling = scope.spawn(|| {
                together.wait();
                // The steps of the two are moved against each other.
                thread::sleep(std::time::Duration::from_micros(u64::from(sequence % 20)));
                roll_back(&host, &entry, &way_back, Failure::Interrupted)
            });
            (confirming.join().expect("no panic"), rolling.join().expect("no panic"))
        });
        let rolled_back = match rolling {
            Outcome::RolledBack { .. } => true,
            Outcome::Confirmed { .. } => false,
            other => panic!("{other:?}"),
        };
        assert_ne!(confirming, rolled_back, "one of two wins");
        let journal = Journal::read(&host).expect("it can be read");
        assert!(journal.unsettled().is_none());
        let running = journal.running().expect("something runs").record.generation;
        let running = Generation::load(&host, running).expect("it is whole");
        assert!(running.files().is_on_node(&host), "the files agree with the journal");
        if rolled_back { went += 1 } else { stayed += 1 }
    }
    println!("{stayed} were confirmed, {went} were rolled back");
}

#[test]
fn the_journal_can_be_read_while_it_is_written() {
    let (_directory, host) = dry_node();
    confirmed(go(&host, 1, Some("1\n")));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut reads, mut newest) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let journal = Journal::read(&host).expect("it can be read at any time");
                let running = journal.running().expect("something always runs");
                assert!(running.record.number >= newest, "what runs does not go back");
                newest = running.record.number;
                reads += 1;
            }
            reads
        });
        for sequence in 2..=60 {
            confirmed(go(&host, sequence, Some(&format!("{sequence}\n"))));
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("no panic") > 10);
    });
}

#[test]
fn a_name_that_a_listing_misses_is_not_lost() {
    let host = Fake::default();
    confirmed(go(&host, 1, Some("one\n")));
    confirmed(go(&host, 2, Some("two\n")));
    host.hide_once("00000002.confirmed");
    let journal = Journal::read(&host).expect("it can be read");
    assert_eq!(journal.running().expect("it runs").record.number, 2);
}

//! The window of an apply: what confirms it, what undoes it, and that nothing which dies
//! meanwhile leaves it open.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{apply, assert_at_rest, go, plan, sdn, seen, with_authority};
use crate::apply::{
    Cause, Failure, Journal, Outcome, Progress, Recovery, State, confirm, look_again, recover,
    recover_at_boot, undo, watch,
};
use crate::host::Host as _;
use crate::host::fake::{Fake, Fault, Restart};
use crate::plan::{Health, Look, Protocol, Session, Shortfall, Sign, Terms, Watch};

const SECOND: Duration = Duration::from_secs(1);

fn remote() -> Sign {
    Sign::Remote("origin".parse().expect("a name"))
}

fn session(peer: &str) -> Sign {
    let (vrf, peer) = ("default".to_owned(), peer.to_owned());
    Sign::Session(Session { protocol: Protocol::Bgp, vrf, peer })
}

/// A node that runs `one`, on which everything works.
fn node() -> Fake {
    let host = Fake::default();
    go(&host, 1, Some("one\n")).expect("it works");
    host.set_signs(&[remote(), session("10.0.0.2"), session("10.0.0.3")]);
    host
}

/// Applies a text, whose window opens; the number of its entry.
fn open(host: &Fake, sequence: u8, text: &str) -> u64 {
    match go(host, sequence, Some(text)).expect("it works") {
        Outcome::Open { entry } => entry.record.number,
        other => panic!("no window is open: {other:?}"),
    }
}

/// Watches each second until the window ends, for as long as a day.
fn wait(host: &Fake, number: u64) -> (Outcome, Duration) {
    let mut seen = Watch::default();
    let begun = host.uptime().expect("a clock").milliseconds;
    for _ in 0..86_400 {
        match watch(host, number, &mut seen).expect("it can be watched") {
            Progress::Open { .. } => host.wait(SECOND),
            Progress::Ended(mut outcome) | Progress::Over(mut outcome) => {
                look_again(host, &mut outcome);
                let ended = host.uptime().expect("a clock").milliseconds;
                return (outcome, Duration::from_millis(ended - begun));
            }
        }
    }
    panic!("the window never ends");
}

fn text(host: &Fake) -> String {
    sdn(host).map(|file| file.text()).unwrap_or_default()
}

#[test]
fn what_works_is_confirmed_when_it_has_settled() {
    let host = node();
    let number = open(&host, 2, "two\n");
    assert!(text(&host).contains("two"));
    let before = super::running(&host).expect("read").expect("there");
    assert_eq!(before.record.commit.map(|commit| commit.sequence), Some(1), "not confirmed yet");
    let (outcome, took) = wait(&host, number);
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert_eq!(took, Terms::default().settle);
    assert_at_rest(&host);
}

#[test]
fn what_breaks_something_is_undone_when_its_grace_is_over() {
    for sign in [remote(), session("10.0.0.2")] {
        let host = node();
        host.set_broken_by("two", &sign, Health::Down);
        let number = open(&host, 2, "two\n");
        let (outcome, took) = wait(&host, number);
        let Outcome::RolledBack { failure, .. } = outcome else { panic!("{outcome:?}") };
        assert!(failure.is_of_the_change(), "{failure:?}");
        let Failure::Window { shortfall, persists } = failure else { panic!("{failure:?}") };
        assert_eq!((shortfall, persists), (Shortfall::Down(vec![sign]), Vec::new()));
        assert!(took < Terms::default().ordinary, "{took:?}");
        assert!(text(&host).contains("one"));
        assert_at_rest(&host);
    }
}

#[test]
fn what_does_not_answer_at_once_is_asked_again() {
    let host = node();
    host.set_silent("FRR's bgpd", &session("10.0.0.2"), 3);
    host.set_broken_by("two", &session("10.0.0.2"), Health::Down);
    let number = open(&host, 2, "two\n");
    let (outcome, _) = wait(&host, number);
    let Outcome::RolledBack { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert!(failure.is_of_the_change(), "{failure:?}");
}

/// Somebody else makes thousands of interfaces meanwhile.
#[test]
fn a_kernel_that_does_not_answer_is_no_bridge_that_is_down() {
    let bridge = Sign::Bridge("vmbr0".to_owned());
    let try_with = |looks: u32| {
        let host = node();
        host.set_signs(&[remote(), bridge.clone()]);
        let number = open(&host, 2, "two\n");
        host.set_silent(Look::KERNEL, &bridge, looks);
        wait(&host, number)
    };
    let (outcome, time) = try_with(25);
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert!(time > 25 * SECOND, "{time:?}");
    // And no proof that it works either.
    let (outcome, time) = try_with(u32::MAX);
    let Outcome::RolledBack { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.code(), "window-down");
    assert!(time > 40 * SECOND, "{time:?}");
    // A daemon that is silent does not do its work.
    let host = node();
    let number = open(&host, 2, "two\n");
    host.set_silent("FRR's bgpd", &session("10.0.0.2"), u32::MAX);
    assert!(matches!(wait(&host, number).0, Outcome::RolledBack { .. }));
}

#[test]
fn nothing_is_changed_while_something_does_not_answer_unless_that_is_accepted() {
    let host = node();
    host.set_silent("FRR's bgpd", &session("10.0.0.2"), u32::MAX);
    let (before, looked) = (host.fingerprint(), host.uptime().expect("a clock").milliseconds);
    let error = go(&host, 2, Some("two\n")).expect_err("it is blind");
    assert_eq!((error.code(), host.fingerprint()), ("blind", before));
    assert!(error.to_string().ends_with("did not answer: FRR's bgpd"), "{error}");
    let waited = host.uptime().expect("a clock").milliseconds - looked;
    assert!(waited < 10_000, "{waited} ms");
    // With open eyes it is made, and the window says what is not asked for.
    let terms = Terms { blind: true, ..Terms::default() };
    let plan = plan(&host, 2, Some("two\n")).expect("a plan");
    let outcome = super::super::apply(&host, with_authority(plan, 2), &terms).expect("it works");
    let Outcome::Open { entry } = outcome else { panic!("{outcome:?}") };
    let window = entry.record.window.expect("a window");
    assert!(window.silent.iter().eq(["FRR's bgpd"]));
    let required: Vec<Sign> = window.required.into_iter().map(|one| one.sign).collect();
    assert_eq!(required, [remote(), session("10.0.0.3")]);
}

#[test]
fn what_is_down_for_another_reason_is_not_the_fault_of_the_change() {
    let host = node();
    let number = open(&host, 2, "two\n");
    host.set_sign(&remote(), Health::Down);
    let (outcome, _) = wait(&host, number);
    let Outcome::RolledBack { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert!(!failure.is_of_the_change(), "{failure:?}");
    let Failure::Window { persists, .. } = failure else { panic!("{failure:?}") };
    assert_eq!(persists, [remote()]);
    // Then it is not asked for.
    let number = open(&host, 3, "three\n");
    assert!(matches!(wait(&host, number).0, Outcome::Confirmed { .. }));
}

#[test]
fn a_neighbour_that_is_switched_off_is_excused_where_the_underlay_carries() {
    let host = node();
    host.set_broken_by("two", &session("10.0.0.2"), Health::Away);
    let number = open(&host, 2, "two\n");
    assert!(matches!(wait(&host, number).0, Outcome::Confirmed { .. }));
    // Where nothing proves it, it may be the change that cut everything.
    let host = node();
    for sign in [remote(), session("10.0.0.2"), session("10.0.0.3")] {
        host.set_broken_by("two", &sign, Health::Away);
    }
    let number = open(&host, 2, "two\n");
    assert!(matches!(wait(&host, number).0, Outcome::RolledBack { .. }));
}

#[test]
fn one_remote_of_several_is_enough() {
    let host = node();
    let mirror = Sign::Remote("mirror".parse().expect("a name"));
    host.set_sign(&mirror, Health::Up);
    host.set_broken_by("two", &remote(), Health::Down);
    let number = open(&host, 2, "two\n");
    assert!(matches!(wait(&host, number).0, Outcome::Confirmed { .. }));
    host.set_broken_by("three", &mirror, Health::Down);
    host.set_broken_by("three", &remote(), Health::Down);
    let number = open(&host, 3, "three\n");
    assert!(matches!(wait(&host, number).0, Outcome::RolledBack { .. }));
}

#[test]
fn a_person_confirms_what_only_a_person_may() {
    let host = node();
    let by_hand = |sequence, text| {
        let terms = Terms { manual: true, ..Terms::default() };
        let plan = plan(&host, sequence, Some(text)).expect("planned");
        match crate::apply::apply(&host, with_authority(plan, sequence), &terms) {
            Ok(Outcome::Open { entry }) => entry.record.number,
            other => panic!("no window is open: {other:?}"),
        }
    };
    let number = by_hand(2, "two\n");
    let (outcome, took) = wait(&host, number);
    let Outcome::RolledBack { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert!(failure.is_of_the_change(), "{failure:?}");
    assert_eq!(took, Terms::default().ordinary, "everything works for all that time");
    let number = by_hand(3, "three\n");
    assert!(confirm(&host).expect("it can be").is_some());
    assert!(matches!(wait(&host, number).0, Outcome::Confirmed { .. }));
    assert!(confirm(&host).expect("it can be asked").is_none(), "no window is open any more");
    assert!(text(&host).contains("three"));
    assert_at_rest(&host);
}

#[test]
fn nothing_is_changed_where_the_watchdog_does_not_start() {
    let mut refused = false;
    for step in 0.. {
        let host = node();
        host.set_faults(&[(step, Fault::Fail(std::io::ErrorKind::Other))]);
        let result = go(&host, 2, Some("two\n"));
        if !host.fired() {
            break;
        }
        if let Err(crate::apply::ApplyError::Unguarded(_)) = result {
            refused = true;
            assert!(text(&host).contains("one"));
            assert_at_rest(&host);
        }
    }
    assert!(refused);
}

#[test]
fn of_a_confirmation_and_a_deadline_one_wins() {
    // The confirmation comes first: the deadline finds nothing to undo.
    let host = node();
    let number = open(&host, 2, "two\n");
    confirm(&host).expect("it can be").expect("a window is open");
    let outcome = undo(&host, number, Failure::Deadline).expect("it is asked");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert!(text(&host).contains("two"));
    assert_at_rest(&host);
    // The deadline comes first, and dies at any step: nobody can confirm any more, once
    // it began to put anything back.
    for step in 0.. {
        let host = node();
        let number = open(&host, 2, "two\n");
        host.set_faults(&[(step, Fault::Die)]);
        let _ = undo(&host, number, Failure::Deadline);
        let died = host.fired();
        host.restart(Restart::Process);
        let whole = text(&host).contains("two");
        if let Ok(Some(_)) = confirm(&host) {
            assert!(whole && text(&host).contains("two"), "step {step}");
        } else {
            host.wait(Terms::default().ordinary);
            recover(&host).expect("it recovers");
            assert!(text(&host).contains("one"), "step {step}");
        }
        assert_at_rest(&host);
        if !died {
            break;
        }
    }
}

/// Lives on after a restart until nothing is open, as an agent does.
fn live_on(host: &Fake) {
    if let Recovery::Open { entry } = recover(host).expect("the journal is sound") {
        wait(host, entry.record.number);
    }
}

#[test]
fn killed_at_every_step_of_its_life_a_node_is_old_or_new() {
    for breaks in [false, true] {
        for how in [Restart::Process, Restart::Power] {
            let begin = || {
                let host = node();
                if breaks {
                    host.set_broken_by("two", &remote(), Health::Down);
                }
                host
            };
            let act = |host: &Fake| {
                if let Ok(Outcome::Open { entry }) = go(host, 2, Some("two\n")) {
                    let mut seen = Watch::default();
                    for _ in 0..1000 {
                        match watch(host, entry.record.number, &mut seen) {
                            Ok(Progress::Open { .. }) => host.wait(SECOND),
                            Ok(Progress::Ended(_) | Progress::Over(_)) | Err(_) => break,
                        }
                    }
                }
            };
            let after = begin();
            act(&after);
            let ends = [seen(&begin()), seen(&after)];
            assert_eq!(ends[0] == ends[1], breaks);
            let mut met = BTreeSet::new();
            for step in 0.. {
                let host = begin();
                host.set_faults(&[(step, Fault::Die)]);
                act(&host);
                if !host.fired() {
                    break;
                }
                host.restart(how);
                if how == Restart::Power {
                    let state = Journal::read(&host).expect("sound").unsettled().map(|e| e.state);
                    let recovery = recover_at_boot(&host).expect("the journal is sound");
                    if matches!(state, Some(State::Armed | State::Applied)) {
                        let restarted =
                            matches!(recovery, Recovery::Restored { cause: Cause::Restarted, .. });
                        assert!(restarted, "step {step}: {recovery:?}");
                        assert!(text(&host).contains("one"), "the network comes up from these");
                    }
                }
                live_on(&host);
                assert_at_rest(&host);
                let now = seen(&host);
                let end = ends.iter().position(|end| *end == now);
                met.insert(end.unwrap_or_else(|| panic!("step {step}: neither: {now:?}")));
            }
            assert_eq!(met.contains(&1), !breaks, "{breaks} {how:?}");
            assert!(met.contains(&0));
        }
    }
}

#[test]
fn an_open_window_survives_the_process_and_not_its_deadline() {
    let host = node();
    open(&host, 2, "two\n");
    host.restart(Restart::Process);
    assert!(matches!(recover(&host).expect("sound"), Recovery::Open { .. }));
    assert!(text(&host).contains("two"));
    // Whoever looks at its end says why it is undone; nobody looks past its deadline.
    host.wait(Terms::default().ordinary);
    assert!(matches!(recover(&host).expect("sound"), Recovery::Open { .. }));
    assert!(text(&host).contains("two"));
    host.wait(Terms::default().reserve);
    let recovery = recover(&host).expect("sound");
    let over = matches!(recovery, Recovery::RolledBack { cause: Cause::Deadline, .. });
    assert!(over, "{recovery:?}");
    assert!(text(&host).contains("one"));
    assert_at_rest(&host);
}

#[test]
fn while_a_window_is_open_nothing_else_is_applied() {
    let host = node();
    open(&host, 2, "two\n");
    let plan = plan(&host, 3, Some("three\n")).expect("planned");
    let error = apply(&host, with_authority(plan, 3)).expect_err("a window is open");
    assert!(matches!(error, crate::apply::ApplyError::Unsettled { .. }), "{error:?}");
    assert!(text(&host).contains("two"));
}

//! Faults at every single step: the process dies, the power fails, the disk refuses.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;

use super::{ApplyError, Outcome, SDN, Seen, assert_at_rest, commit, go, seen};
use crate::apply::{Recovery, recover, restore};
use crate::host::fake::{Fake, Fault, Restart};

type Act = fn(&Fake) -> Result<Outcome, ApplyError>;

/// A node, and what is done on it.
struct Scene {
    name: &'static str,
    host: Fake,
    act: Act,
}

impl Scene {
    /// What is seen before, and after an act without faults.
    fn ends(&self) -> [Seen; 2] {
        let after = self.host.copy();
        (self.act)(&after).expect("it works without faults");
        assert_at_rest(&after);
        [seen(&self.host), seen(&after)]
    }
}

/// A node where texts were applied in turn.
fn node_with(found: Option<&str>, texts: &[Option<&str>]) -> Fake {
    let host = Fake::default();
    if let Some(found) = found {
        host.put(SDN, found.as_bytes(), 0o640);
    }
    for (sequence, text) in (1..).zip(texts) {
        go(&host, sequence, *text).expect("it works");
    }
    host
}

fn scenes() -> Vec<Scene> {
    let scene = |name, host, act| Scene { name, host, act };
    let two = || node_with(Some("found\n"), &[Some("one\n"), Some("two\n")]);
    vec![
        scene("first apply on a bare node", node_with(None, &[]), |h| go(h, 1, Some("one\n"))),
        scene("first apply over a found file", node_with(Some("found\n"), &[]), |h| {
            go(h, 1, Some("one\n"))
        }),
        scene("second apply", node_with(None, &[Some("one\n")]), |h| go(h, 2, Some("two\n"))),
        scene("an apply that removes the file", two(), |h| go(h, 3, None)),
        scene("an apply that makes the file again", node_with(None, &[Some("one\n"), None]), |h| {
            go(h, 3, Some("one\n"))
        }),
        scene("a commit that renders the same", two(), |h| go(h, 3, Some("two\n"))),
        scene("restoring a generation", two(), |h| restore(h, 1)),
        scene("restoring a found file", two(), |h| restore(h, 0)),
        scene("restoring that nothing was there", node_with(None, &[Some("one\n")]), |h| {
            restore(h, 0)
        }),
    ]
}

/// One more, which has many steps: a generation becomes too old.
fn scenes_and_removal() -> Vec<Scene> {
    let host = Fake::default();
    for sequence in 1..=10 {
        go(&host, sequence, Some(&format!("{sequence}\n"))).expect("it works");
    }
    let name = "an apply that removes an old generation";
    let mut scenes = scenes();
    scenes.push(Scene { name, host, act: |h| go(h, 11, Some("11\n")) });
    scenes
}

/// What became of the states that a scene can be left in. Many steps leave the same
/// one, because they only read.
#[derive(Default)]
struct Checked {
    ends: HashMap<u64, Seen>,
}

impl Checked {
    /// After a restart and a recovery the node is exactly old or exactly new, now and
    /// when the power fails after that. Then what was interrupted can be done again.
    fn old_or_new(&mut self, host: &Fake, scene: &Scene, ends: &[Seen; 2], what: &str) -> Seen {
        let state = host.fingerprint();
        if let Some(known) = self.ends.get(&state) {
            return known.clone();
        }
        let recovery = recover(host).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(!matches!(recovery, Recovery::Degraded { .. }), "{what}: {recovery:?}");
        assert_at_rest(host);
        let now = seen(host);
        assert!(ends.contains(&now), "{what}: neither old nor new: {now:?}, not {ends:?}");
        host.restart(Restart::Power);
        let recovery = recover(host).expect("the journal is sound");
        assert!(matches!(recovery, Recovery::Nothing), "{what}: {recovery:?}");
        assert_at_rest(host);
        assert_eq!(seen(host), now, "{what}: what was recovered was not on the disk");
        (scene.act)(host).unwrap_or_else(|error| panic!("{what}, again: {error}"));
        assert_eq!(seen(host).file, ends[1].file, "{what}, again");
        assert_at_rest(host);
        self.ends.insert(state, now.clone());
        now
    }
}

#[test]
fn killed_at_every_step_a_node_is_old_or_new() {
    for how in [Restart::Process, Restart::Power] {
        for scene in scenes_and_removal() {
            let ends = scene.ends();
            let mut checked = Checked::default();
            let (mut old, mut new) = (0, 0);
            for step in 0.. {
                let host = scene.host.copy();
                host.set_faults(&[(step, Fault::Die)]);
                let result = (scene.act)(&host);
                if !host.fired() {
                    break;
                }
                host.restart(how);
                let what = format!("{}, {how:?} lost at step {step}", scene.name);
                let now = checked.old_or_new(&host, &scene, &ends, &what);
                if matches!(result, Ok(Outcome::Confirmed { .. } | Outcome::Unchanged { .. })) {
                    assert_eq!(now, ends[1], "{what}: said to be confirmed");
                }
                if now == ends[1] { new += 1 } else { old += 1 }
            }
            assert!(old > 10 && new > 0, "{}: {old} old, {new} new", scene.name);
        }
    }
}

#[test]
fn killed_at_every_step_of_a_recovery_a_node_is_old_or_new() {
    let mut recoveries = 0;
    for how in [Restart::Process, Restart::Power] {
        for scene in scenes() {
            let ends = scene.ends();
            let (mut checked, mut broken_states) = (Checked::default(), HashSet::new());
            for step in 0.. {
                let broken = scene.host.copy();
                broken.set_faults(&[(step, Fault::Die)]);
                // Its result is that of a process that is dead.
                let _ = (scene.act)(&broken);
                if !broken.fired() {
                    break;
                }
                broken.restart(how);
                if !broken_states.insert(broken.fingerprint()) {
                    continue;
                }
                for next in 0.. {
                    let host = broken.copy();
                    host.set_faults(&[(next, Fault::Die)]);
                    let _ = recover(&host);
                    if !host.fired() {
                        break;
                    }
                    host.restart(how);
                    let what = format!("{}, {how:?} at {step}, then at {next}", scene.name);
                    checked.old_or_new(&host, &scene, &ends, &what);
                    recoveries += 1;
                }
            }
        }
    }
    println!("{recoveries} recoveries were killed");
    assert!(recoveries > 5000, "{recoveries}");
}

#[test]
fn killed_at_every_step_of_a_rollback_a_node_is_old_or_new() {
    let mut rollbacks = 0;
    for scene in scenes() {
        let ends = scene.ends();
        let mut checked = Checked::default();
        for step in 0.. {
            let host = scene.host.copy();
            host.set_faults(&[(step, Fault::Fail(ErrorKind::StorageFull))]);
            let _ = (scene.act)(&host);
            if !host.fired() {
                break;
            }
            for next in 1.. {
                let host = scene.host.copy();
                let full = Fault::Fail(ErrorKind::StorageFull);
                host.set_faults(&[(step, full), (step + next, Fault::Die)]);
                let _ = (scene.act)(&host);
                if !host.fired() {
                    break;
                }
                let how = if next % 2 == 0 { Restart::Process } else { Restart::Power };
                host.restart(how);
                let what = format!("{}, full at {step}, {how:?} {next} later", scene.name);
                checked.old_or_new(&host, &scene, &ends, &what);
                rollbacks += 1;
            }
        }
    }
    println!("{rollbacks} rollbacks were killed");
    assert!(rollbacks > 2000, "{rollbacks}");
}

#[test]
fn refused_at_every_step_a_node_is_old_or_new_at_once() {
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        for scene in scenes_and_removal() {
            let ends = scene.ends();
            let mut checked = Checked::default();
            let (mut rolled_back, mut refused) = (0, 0);
            for step in 0.. {
                let host = scene.host.copy();
                host.set_faults(&[(step, Fault::Fail(kind))]);
                let result = (scene.act)(&host);
                if !host.fired() {
                    break;
                }
                let what = format!("{}, {kind:?} at step {step}", scene.name);
                let end = match result {
                    Ok(Outcome::Confirmed { .. } | Outcome::Unchanged { .. }) => &ends[1],
                    Ok(Outcome::RolledBack { .. }) => {
                        rolled_back += 1;
                        &ends[0]
                    }
                    Err(_) => {
                        refused += 1;
                        &ends[0]
                    }
                    Ok(Outcome::Degraded { .. } | Outcome::Open { .. }) => {
                        panic!("{what}: {result:?}")
                    }
                };
                assert_eq!(&seen(&host), end, "{what}");
                assert_eq!(&checked.old_or_new(&host, &scene, &ends, &what), end, "{what}");
            }
            assert!(refused > 10, "{}: {refused}", scene.name);
            let steps = ends[0].file != ends[1].file;
            assert_eq!(rolled_back > 4, steps, "{}: {rolled_back}", scene.name);
        }
    }
}

#[test]
fn a_disk_that_stays_full_or_read_only_leaves_a_node_that_can_be_recovered() {
    let mut degraded = 0;
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        for scene in scenes() {
            let ends = scene.ends();
            let mut checked = Checked::default();
            for step in 0.. {
                let host = scene.host.copy();
                host.set_faults(&[(step, Fault::FailWrites(kind))]);
                let result = (scene.act)(&host);
                if !host.fired() {
                    break;
                }
                let what = format!("{}, {kind:?} from step {step} on", scene.name);
                match result {
                    Ok(Outcome::Confirmed { .. } | Outcome::Unchanged { .. }) => {
                        assert_eq!(seen(&host), ends[1], "{what}");
                    }
                    Ok(Outcome::Open { .. }) => panic!("{what}: {result:?}"),
                    Ok(Outcome::Degraded { entry, .. }) => {
                        assert_ne!(kind, ErrorKind::StorageFull, "{what}");
                        assert_eq!(seen(&host).running, ends[0].running, "{what}");
                        assert!(matches!(recover(&host), Ok(Recovery::Degraded { .. })), "{what}");
                        let refused = (scene.act)(&host).expect_err("it is unsettled");
                        let number = entry.record.number;
                        let unsettled = ApplyError::Unsettled { number }.to_string();
                        assert_eq!(refused.to_string(), unsettled, "{what}");
                        degraded += 1;
                    }
                    Ok(Outcome::RolledBack { .. }) | Err(_) => {
                        assert_eq!(seen(&host), ends[0], "{what}");
                    }
                }
                host.restart(Restart::Process);
                checked.old_or_new(&host, &scene, &ends, &what);
            }
        }
    }
    assert!(degraded > 0);
}

#[test]
fn a_clock_and_commits_are_recorded() {
    let host = Fake::default();
    let now = "2026-11-23T18:00:00Z".parse().expect("a time");
    host.set_now(now);
    go(&host, 1, Some("one\n")).expect("it works");
    let entry = crate::apply::running(&host).expect("read").expect("it runs");
    assert_eq!((entry.record.begun, entry.record.commit), (now, Some(commit(1))));
}

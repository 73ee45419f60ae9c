//! How a node stands by its journal, which is right where the status of the last turn is not
//! any more: a window is ended without a turn by `weft confirm` and by the watchdog, and its
//! time runs.

use std::time::Duration;

use super::back::restored;
use super::node::running;
use super::quarantine::Quarantine;
use super::status::{self, Refused, State, Status};
use super::turn::in_order;
use crate::apply::{self, Entry, Outcome, StateError};
use crate::host::Host;
use crate::plan::Sign;

/// Brings what the last turn left up to date: how long the window is open still, or what
/// became of it.
///
/// # Errors
///
/// Where the journal cannot be read.
pub fn bring_up_to_date(host: &impl Host, status: &mut Status) -> Result<(), StateError> {
    if let Some(entry) = apply::open(host)? {
        let left = left(host, &entry)?;
        match &mut status.window {
            Some(window) if window.number == entry.record.number => {
                window.seconds_left = left.as_secs();
            }
            _ => open(status, &entry, &[], left),
        }
        return Ok(());
    }
    if let Some(window) = status.window.take() {
        (status.state, status.message) = ended(host, window.number, &status.refused)?;
        status.running = running(host)?;
        status.updated = host.now();
    }
    Ok(())
}

/// What became of an apply whose window is not open any more, in one sentence: that of the
/// entry with this number.
///
/// # Errors
///
/// Where the journal cannot be read.
pub fn ended(
    host: &impl Host,
    number: u64,
    refused: &[Refused],
) -> Result<(State, String), StateError> {
    let Some(entry) = apply::entry(host, number)? else {
        return Ok((State::Failed, format!("the journal has no entry {number} any more")));
    };
    let what = subject(&entry);
    Ok(match entry.state {
        apply::State::Confirmed => match &entry.record.commit {
            Some(record) => in_order(record, refused),
            None => restored(&Outcome::Confirmed { running: entry }),
        },
        apply::State::RolledBack => (State::RolledBack, left_alone(host, &entry, &what)),
        apply::State::Intent | apply::State::Armed | apply::State::Applied => (
            State::Degraded,
            format!("{what} is being undone, and what ran before is not back yet"),
        ),
    })
}

/// What is remembered of an apply that was undone.
fn left_alone(host: &impl Host, entry: &Entry, what: &str) -> String {
    let quarantine = Quarantine::load(host).unwrap_or_default();
    let commit = entry.record.commit.as_ref().map(|record| record.commit);
    let mut held = quarantine.held().iter();
    let held = held.find(|held| {
        (Some(held.rendering), Some(held.commit)) == (entry.record.rendering, commit)
            && held.since >= entry.record.begun
    });
    match held {
        Some(held) => format!("{what} is left alone: {}", held.sentence()),
        None => format!("{what} was rolled back (`weft audit` says why)"),
    }
}

/// Says in a status that the window of an apply is open.
pub(super) fn open(status: &mut Status, entry: &Entry, down: &[Sign], left: Duration) {
    status.state = State::Open;
    let window = entry.record.window.as_ref();
    let manual = window.is_some_and(|window| window.manual);
    let mut message = format!("{} is applied and watched", subject(entry));
    if !down.is_empty() {
        let down: Vec<String> = down.iter().take(3).map(ToString::to_string).collect();
        message = format!("{message}; down: {}", down.join(", "));
    }
    let silent: Vec<String> =
        window.into_iter().flat_map(|window| &window.silent).cloned().collect();
    if !silent.is_empty() {
        let silent = silent.join(", ");
        message = format!("{message}; not watched, for it did not answer: {silent}");
    }
    if let Some(earlier) = &entry.record.passed_hold {
        message = format!(
            "{message}; the node was held, and no hold stops what brings back the files of {earlier}"
        );
    }
    if manual {
        message.push_str("; it is undone unless a person confirms it with `weft confirm`");
    }
    status.message = message;
    status.window = Some(status::Window {
        number: entry.record.number,
        commit: entry.record.commit.clone(),
        class: window.map_or("ordinary", |window| window.class.as_str()).to_owned(),
        manual,
        seconds_left: left.as_secs(),
        down: down.iter().map(ToString::to_string).collect(),
        silent,
    });
}

/// How long the window of an entry is open still.
pub fn left(host: &impl Host, entry: &Entry) -> Result<Duration, StateError> {
    Ok(match &entry.record.window {
        Some(window) => window.left(&host.uptime()?),
        None => Duration::ZERO,
    })
}

/// What an entry is about, for a sentence.
pub fn subject(entry: &Entry) -> String {
    match &entry.record.commit {
        Some(record) => format!("commit {}", record.commit.short()),
        None => format!("generation {}", entry.record.generation.number),
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;
    use crate::agent::audit::{Event, lines_of};
    use crate::agent::memory::Memory;
    use crate::agent::quarantine;
    use crate::agent::turn::{Purpose, Turn};
    use crate::agent::window::recover;
    use crate::agent::window::tests::settings;
    use crate::apply::LOCK;
    use crate::apply::tests::go;
    use crate::host::fake::Fake;
    use crate::sync::Cancel;

    /// A node on which the window of a second apply is open; the number of its entry.
    fn opened() -> (Fake, u64) {
        let host = Fake::default();
        go(&host, 1, Some("one\n")).expect("it works");
        host.set_signs(&[Sign::Bridge("vnet1".to_owned())]);
        let outcome = go(&host, 2, Some("two\n")).expect("it works");
        let Outcome::Open { entry } = outcome else { panic!("{outcome:?}") };
        (host, entry.record.number)
    }

    /// Looks at the window once, as an agent does each second.
    fn look(host: &Fake, memory: &Memory) -> Status {
        let lock = host.lock(Utf8Path::new(LOCK)).expect("a lock").expect("free");
        let turn = Turn {
            host,
            settings: &settings(""),
            program: Utf8Path::new("/usr/bin/weft"),
            root: None,
            memory,
            manual: false,
            cancel: &Cancel::default(),
        };
        turn.make_under(&lock, Purpose::Watch).expect("it can be watched").status
    }

    fn now(host: &Fake) -> Status {
        let mut last = status::last(host).expect("a status");
        bring_up_to_date(host, &mut last).expect("the journal can be read");
        last
    }

    fn confirm(host: &Fake) {
        let running = apply::confirm(host).expect("it can be").expect("one is open");
        quarantine::remember(host, &Outcome::Confirmed { running });
    }

    fn confirmations(host: &Fake, number: u64) -> usize {
        let lines = lines_of(host).expect("they are listed").into_iter();
        let is_it = |event| matches!(event, Event::Confirmed(change) if change.number == number);
        lines.filter(|line| line.as_ref().is_ok_and(|line| is_it(line.event.clone()))).count()
    }

    #[test]
    fn the_time_of_a_window_runs_and_its_end_is_seen_without_a_turn() {
        let (host, number) = opened();
        let left = look(&host, &Memory::default()).window.expect("it is open").seconds_left;
        host.wait(Duration::from_secs(5));
        assert_eq!(now(&host).window.expect("it is open").seconds_left, left - 5);
        confirm(&host);
        let status = now(&host);
        assert_eq!((status.state, status.window), (State::InOrder, None), "{}", status.message);
        assert!(status.message.contains("runs commit 020202"), "{}", status.message);
        assert_eq!(status.running.expect("it runs").generation, 2);
        assert_eq!(confirmations(&host, number), 1);
    }

    #[test]
    fn what_the_watchdog_undid_is_undone_in_the_status_too() {
        let (host, _) = opened();
        look(&host, &Memory::default());
        host.wait(Duration::from_secs(3600));
        recover(&host).expect("it is undone");
        let status = now(&host);
        assert_eq!((status.state, status.window), (State::RolledBack, None));
        let why = "is left alone: this rendering was undone once";
        assert!(status.message.contains(why), "{}", status.message);
        assert_eq!(status.running.expect("it runs").generation, 1);
    }

    #[test]
    fn a_window_that_no_status_tells_of_is_told_of() {
        let (host, number) = opened();
        let mut status = look(&host, &Memory::default());
        (status.window, status.state) = (None, State::InOrder);
        bring_up_to_date(&host, &mut status).expect("the journal can be read");
        assert_eq!((status.state, status.window.map(|w| w.number)), (State::Open, Some(number)));
    }

    #[test]
    fn whoever_watches_sees_what_a_person_confirmed_and_does_not_write_it_down_again() {
        // Before its first look, and after it.
        for looks in [0, 1] {
            let (host, number) = opened();
            let memory = Memory::default();
            look(&host, &Memory::default());
            for _ in 0..looks {
                look(&host, &memory);
            }
            confirm(&host);
            let status = look(&host, &memory);
            assert_eq!((status.state, status.window), (State::InOrder, None), "{looks}");
            assert_eq!(confirmations(&host, number), 1, "{looks}");
        }
    }
}

//! What is done at start, before anything else.

use tracing::warn;

use super::execute::roll_back;
use super::files::Way;
use super::generation::Generation;
use super::journal::{Entry, Journal, State};
use super::{ApplyError, Failure, Outcome, StateError, tidy};
use crate::host::Host;

/// What was found at start, and what became of it.
#[derive(Debug)]
pub enum Recovery {
    /// Nothing had been interrupted.
    Nothing,
    /// An apply had been interrupted before it changed the node, and is given up.
    Discarded {
        /// What had been intended.
        entry: Entry,
    },
    /// An apply had been interrupted when it was through; it is confirmed.
    Confirmed {
        /// What runs.
        running: Entry,
    },
    /// An apply had been interrupted; the previous generation is back.
    RolledBack {
        /// What had been tried.
        entry: Entry,
    },
    /// The node could not be brought to a generation, or the running one is damaged.
    /// The network is kept as it is.
    Degraded {
        /// The entry that is in question.
        entry: Entry,
        /// What stands in the way.
        obstacle: StateError,
    },
}

/// Settles an apply that was interrupted, and removes what it left over. Doing it again
/// does no harm. An error says that the journal itself cannot be relied on, and that
/// nothing was changed.
pub fn recover(host: &impl Host) -> Result<Recovery, ApplyError> {
    let journal = Journal::read(host)?;
    tidy::check_complete(host, &journal)?;
    if let Some(newest) = journal.entries().last() {
        // A process that died after a rename may not have flushed it. What is reported
        // from here on must still be so after a power failure.
        host.flush(&newest.path())?;
    }
    let recovery = match journal.unsettled() {
        Some(entry) if entry.state == State::Intent => discard(host, entry)?,
        Some(entry) => settle(host, entry),
        None => Recovery::Nothing,
    };
    if !matches!(recovery, Recovery::Degraded { .. }) {
        // The node is where it should be; what is left over harms nobody.
        if let Err(error) = tidy::tidy(host) {
            warn!(%error, "leftovers of an apply cannot be removed");
        }
    }
    let running = Journal::read(host)?.running().cloned();
    match (recovery, running) {
        (Recovery::Degraded { entry, obstacle }, _) => Ok(Recovery::Degraded { entry, obstacle }),
        (recovery, Some(entry)) => {
            match Generation::load(host, entry.record.generation).and_then(|g| g.verify(host)) {
                Ok(()) => Ok(recovery),
                Err(obstacle) => Ok(Recovery::Degraded { entry, obstacle }),
            }
        }
        (recovery, None) => Ok(recovery),
    }
}

fn discard(host: &impl Host, entry: &Entry) -> Result<Recovery, ApplyError> {
    match entry.turn(host, State::RolledBack)? {
        Some(entry) => Ok(Recovery::Discarded { entry }),
        None => Err(ApplyError::Overtaken { number: entry.record.number }),
    }
}

/// Ends an apply that may have changed the node.
fn settle(host: &impl Host, entry: &Entry) -> Recovery {
    if entry.state == State::Applied {
        match confirm(host, entry) {
            Ok(Some(running)) => return Recovery::Confirmed { running },
            Ok(None) => {}
            Err(error) => warn!(%error, "an apply that was through cannot be confirmed"),
        }
    }
    let way = match Way::load(host, &entry.record) {
        Ok(way) => way,
        Err(obstacle) => return Recovery::Degraded { entry: entry.clone(), obstacle },
    };
    match roll_back(host, entry, &way, Failure::Interrupted) {
        Outcome::Confirmed { running } | Outcome::Unchanged { running } => {
            Recovery::Confirmed { running }
        }
        Outcome::RolledBack { entry, .. } => Recovery::RolledBack { entry },
        Outcome::Degraded { entry, obstacle, .. } => Recovery::Degraded { entry, obstacle },
    }
}

/// Confirms an apply whose files are all in place; `None` where they are not.
fn confirm(host: &impl Host, applied: &Entry) -> Result<Option<Entry>, StateError> {
    if !Way::load(host, &applied.record)?.forward().is_on_node(host) {
        return Ok(None);
    }
    Ok(applied.turn(host, State::Confirmed)?)
}

//! What is done at start, before anything else.

use camino::Utf8Path;
use tracing::warn;

use super::execute::{Claim, claim, roll_back};
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
    /// An apply is in place, and its window is open still.
    Open {
        /// What is tried.
        entry: Entry,
    },
    /// An apply had been interrupted, or its window is over; the previous generation is
    /// back.
    RolledBack {
        /// What had been tried.
        entry: Entry,
        /// Why it is undone.
        cause: Cause,
    },
    /// The files of the previous generation are back before the network comes up from them.
    /// What runs is brought there by [`recover`].
    Restored {
        /// What had been tried.
        entry: Entry,
        /// Why it is undone.
        cause: Cause,
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

/// Why an apply is undone that somebody else began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was interrupted while it changed the node.
    Interrupted,
    /// Its window ended without a confirmation.
    Deadline,
    /// The machine started anew within its window.
    Restarted,
}

impl Cause {
    /// The same as a failure of the apply.
    pub fn failure(self) -> Failure {
        match self {
            Self::Interrupted => Failure::Interrupted,
            Self::Deadline => Failure::Deadline,
            Self::Restarted => Failure::Restarted,
        }
    }
}

/// Settles an apply that was interrupted, and removes what it left over. Doing it again
/// does no harm. An error says that the journal itself cannot be relied on, and that
/// nothing was changed.
pub fn recover(host: &impl Host) -> Result<Recovery, ApplyError> {
    let journal = Journal::recent(host)?;
    tidy::check_complete(host, &journal)?;
    if let Some(newest) = journal.entries().last() {
        // A process that died after a rename may not have flushed it. What is reported
        // from here on must still be so after a power failure.
        host.flush(&newest.path())?;
    }
    let recovery = match journal.unsettled() {
        Some(entry) if entry.state == State::Intent => discard(host, entry)?,
        Some(entry) => settle(host, entry)?,
        None => Recovery::Nothing,
    };
    if !matches!(recovery, Recovery::Degraded { .. }) {
        // The node is where it should be; what is left over harms nobody.
        if let Err(error) = tidy::tidy(host) {
            warn!(%error, "leftovers of an apply cannot be removed");
        }
    }
    let running = Journal::recent(host)?.running().cloned();
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

/// Puts the files back of what was interrupted when the machine went down, before its
/// network comes up from them. The entry stays unsettled: services were enabled and disabled
/// too, which is undone when they can be.
pub fn recover_at_boot(host: &impl Host) -> Result<Recovery, ApplyError> {
    let journal = Journal::recent(host)?;
    tidy::check_complete(host, &journal)?;
    let Some(entry) = journal.unsettled() else { return Ok(Recovery::Nothing) };
    if entry.state == State::Intent {
        return discard(host, entry);
    }
    let cause = cause(host, entry)?;
    // Within the same start of the machine the network runs, and files alone undo nothing.
    if entry.record.window.is_some() && cause != Cause::Restarted {
        return Ok(Recovery::Open { entry: entry.clone() });
    }
    let put_back = || -> Result<Option<Entry>, StateError> {
        let Claim::Ours(armed) = claim(host, entry)? else { return Ok(None) };
        Way::load(host, &armed.record)?.back().put_back(host)?;
        // What ifupdown2 remembers of the network that went down would keep it from
        // making some of it again.
        if let Err(error) = host.remove(Utf8Path::new(IFUPDOWN_STATE)) {
            warn!(%error, "what ifupdown2 remembers stays");
        }
        Ok(Some(armed))
    };
    Ok(match put_back() {
        Ok(Some(entry)) => Recovery::Restored { entry, cause },
        Ok(None) => return Err(ApplyError::Overtaken { number: entry.record.number }),
        Err(obstacle) => Recovery::Degraded { entry: entry.clone(), obstacle },
    })
}

/// Where ifupdown2 keeps what it made (its `statemanager`).
const IFUPDOWN_STATE: &str = "/var/tmp/network/ifstatenew";

fn cause(host: &impl Host, entry: &Entry) -> Result<Cause, ApplyError> {
    let Some(window) = &entry.record.window else { return Ok(Cause::Interrupted) };
    let now = host.uptime()?;
    // Between its end and its deadline, whoever looks at it says what did not work.
    Ok(match now.milliseconds >= window.deadline {
        _ if !window.is_of(&now) => Cause::Restarted,
        true => Cause::Deadline,
        false => Cause::Interrupted,
    })
}

/// Ends an apply that may have changed the node, unless its window is open still.
fn settle(host: &impl Host, entry: &Entry) -> Result<Recovery, ApplyError> {
    let cause = cause(host, entry)?;
    if entry.state == State::Applied && entry.record.window.is_some() {
        if cause == Cause::Interrupted {
            // Who watched may be gone with everything else that ran.
            if let Err(error) = host.guard(entry.record.number) {
                warn!(%error, "the watchdog of an open window does not start again");
            }
            return Ok(Recovery::Open { entry: entry.clone() });
        }
    } else if entry.state == State::Applied {
        match confirm(host, entry) {
            Ok(Some(running)) => return Ok(Recovery::Confirmed { running }),
            Ok(None) => {}
            Err(error) => warn!(%error, "an apply that was through cannot be confirmed"),
        }
    }
    let way = match Way::load(host, &entry.record) {
        Ok(way) => way,
        Err(obstacle) => return Ok(Recovery::Degraded { entry: entry.clone(), obstacle }),
    };
    Ok(match roll_back(host, entry, &way, cause.failure()) {
        Outcome::Confirmed { running } | Outcome::Unchanged { running } => {
            Recovery::Confirmed { running }
        }
        Outcome::Open { entry } => Recovery::Open { entry },
        Outcome::RolledBack { entry, .. } => Recovery::RolledBack { entry, cause },
        Outcome::Degraded { entry, obstacle, .. } => Recovery::Degraded { entry, obstacle },
    })
}

/// Confirms an apply whose files are all in place; `None` where they are not.
fn confirm(host: &impl Host, applied: &Entry) -> Result<Option<Entry>, StateError> {
    if !Way::load(host, &applied.record)?.forward().is_on_node(host) {
        return Ok(None);
    }
    Ok(applied.turn(host, State::Confirmed)?)
}

//! How a turn is written down, whatever comes of it.

use super::{Purpose, Report, Turn};
use crate::agent::error::{TurnError, chain};
use crate::agent::hold::Hold;
use crate::agent::node::running;
use crate::agent::status::{self, State, Status};
use crate::apply;
use crate::host::{Host, HostError};

/// Whether nothing was done or found out by a turn, so that what the one before says of the
/// node holds still.
pub(in crate::agent) fn leaves_the_status(
    purpose: Purpose,
    result: &Result<Report, TurnError>,
) -> bool {
    match (purpose, result) {
        (Purpose::Plan, _) | (_, Err(TurnError::GaveWay)) => true,
        (Purpose::RollBack { .. }, Ok(report)) => report.status.state == State::Refused,
        (Purpose::RollBack { .. }, Err(error)) => !matches!(error, TurnError::Unrecovered(_)),
        _ => false,
    }
}

impl<H: Host> Turn<'_, H> {
    pub(in crate::agent) fn status(&self) -> Result<Status, TurnError> {
        let remembered = self.memory.open();
        Ok(Status {
            format: status::FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            updated: self.host.now(),
            cluster: self.settings.cluster.value.clone(),
            node: self.settings.node.value.clone(),
            mode: Some(self.settings.mode().as_str().to_owned()),
            state: State::Failed,
            message: String::new(),
            running: running(self.host)?,
            observed: None,
            trusted: None,
            refused: Vec::new(),
            unreached: Vec::new(),
            remotes: remembered.remotes.clone(),
            diverged: Vec::new(),
            remaining: 0,
            fetch_process: remembered.process.clone(),
            window: None,
            put_off: self.last().and_then(|last| last.put_off),
            hold: None,
            guarded: Vec::new(),
            drift: Vec::new(),
            publication: None,
            errors: 0,
            warnings: 0,
        })
    }

    /// The status that the turn before left, perhaps another process's.
    pub(in crate::agent) fn last(&self) -> Option<Status> {
        status::last(self.host)
    }

    pub(super) fn record(&self, status: &Status) -> Result<(), HostError> {
        status::write(self.host, status)
    }

    /// Writes down why a turn failed, if even that can be done: the error at hand is
    /// worth more than one of writing it down. What holds the node, is watched or differs is
    /// so whatever failed.
    pub(super) fn record_failure(&self, error: &TurnError) {
        if let Ok(mut status) = self.status() {
            if let Some(last) = self.last() {
                status.drift = last.drift;
                status.hold = last.hold;
            }
            if let Ok(hold) = Hold::current(self.host, self.host.now()) {
                status.hold = hold;
            }
            if let Ok(Some(entry)) = apply::open(self.host)
                && let Ok(open) = self.open_only(Some(&entry))
            {
                status.window = open.status.window;
            }
            status.state = error.state();
            let of_remotes = matches!(
                error,
                TurnError::Remotes(_) | TurnError::History(_) | TurnError::Tree { .. }
            );
            if of_remotes {
                status.unreached.clone_from(&self.memory.open().unreached);
            }
            status.message = chain(error);
            if let Err(error) = self.record(&status) {
                tracing::warn!(%error, "the status cannot be written");
            }
        }
    }
}

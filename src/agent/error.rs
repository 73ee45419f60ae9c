//! Why a turn could not be finished.

use thiserror::Error;

use super::hold::HoldError;
use super::quarantine::QuarantineError;
use super::revoked::RevokedError;
use super::status::{State, Unreached};
use crate::apply::{ApplyError, LOCK, StateError};
use crate::host::HostError;
use crate::sync::{AnchorError, FailureCode, HistoryError, TreeError};
use crate::value::ObjectId;

/// Why a turn could not be finished. Nothing was changed.
#[derive(Debug, Error)]
pub enum TurnError {
    /// Another process owns the node.
    #[error("another weft is at work on this node (it holds `{LOCK}`)")]
    Busy,
    /// Something more urgent waits.
    #[error(
        "the turn gave way to something more urgent (`weft rollback`, or the end of the agent) before it changed anything"
    )]
    GaveWay,
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// No remote gave anything.
    #[error("{}", unreached(.0))]
    Remotes(Vec<Unreached>),
    /// What is known of trust cannot be read or written.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The history could not be judged.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The declarations of the accepted commit cannot be read.
    #[error("commit {} is trusted, but its declarations cannot be read", .commit.short())]
    Tree {
        /// The commit.
        commit: ObjectId,
        /// Why not.
        source: TreeError,
    },
    /// The node's own state is damaged, or cannot be read or written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// It is not known which renderings were undone.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// It is not known whether an operator holds the node.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// It is not known which keys are revoked on this node.
    #[error(transparent)]
    Revoked(#[from] RevokedError),
    /// An interrupted apply could not be undone.
    #[error("an apply was interrupted and cannot be undone; the network is kept as it is")]
    Unrecovered(#[source] StateError),
}

impl From<StateError> for TurnError {
    fn from(error: StateError) -> Self {
        Self::Apply(error.into())
    }
}

fn unreached(remotes: &[Unreached]) -> String {
    remotes.iter().map(|remote| remote.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Whether nothing could be fetched for want of room on this node.
fn fills_the_disk(remotes: &[Unreached]) -> bool {
    let full = FailureCode::DiskFull.as_str();
    !remotes.is_empty() && remotes.iter().all(|remote| remote.code == full)
}

impl TurnError {
    /// The state in which a turn that ended so leaves the node.
    pub fn state(&self) -> State {
        match self {
            Self::Tree { source: TreeError::Object(_), .. } => State::Failed,
            Self::Tree { .. } => State::Refused,
            Self::Unrecovered(_)
            | Self::Apply(
                ApplyError::State(StateError::Damaged { .. }) | ApplyError::Unsettled { .. },
            ) => State::Degraded,
            _ => State::Failed,
        }
    }

    /// The stable name of the reason. Each remote that gave nothing has one of its own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::GaveWay => "gave-way",
            Self::Host(_) => "machine-refused",
            Self::Remotes(unreached) if fills_the_disk(unreached) => FailureCode::DiskFull.as_str(),
            Self::Remotes(_) => "remotes-unreached",
            Self::Anchor(_) => "anchor-unusable",
            Self::History(HistoryError::Object(error))
            | Self::Tree { source: TreeError::Object(error), .. } => error.code(),
            Self::History(_) => "history-unreadable",
            Self::Tree { .. } => "tree-unreadable",
            Self::Apply(error) => error.code(),
            Self::Quarantine(_) => "quarantine-unreadable",
            Self::Hold(HoldError::Unwritten(_)) => "hold-unwritable",
            Self::Hold(_) => "hold-unreadable",
            Self::Revoked(_) => "revoked-unreadable",
            Self::Unrecovered(_) => "unrecovered",
        }
    }

    /// What to do about it, where more can be said than the error itself says.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Busy => Some("wait for it to end; the lock goes with its process"),
            Self::Anchor(error) => Some(error.help()),
            Self::Tree { source, .. } => Some(source.help()),
            Self::Revoked(_) => Some(
                "until then nothing new is trusted: one fingerprint in a line, as `ssh-keygen -lf KEY.pub` prints it",
            ),
            Self::GaveWay => Some("`weft status` says how the node is; ask again"),
            Self::Remotes(unreached) if fills_the_disk(unreached) => Some(
                "the remotes are not to blame: make room on this node below /var/cache/weft; the cache itself may be deleted",
            ),
            Self::Remotes(_) => Some(
                "the node keeps what it runs, and the next turn tries again; if host, path or branch is wrong, correct `remotes` or `branch` in /etc/weft/agent.yaml",
            ),
            _ => None,
        }
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::TurnError;
    use crate::agent::hold::Hold;
    use crate::agent::status::Unreached;
    use crate::host::Host as _;
    use crate::host::fake::{Fake, Fault};

    fn unreached(code: &str) -> Unreached {
        Unreached {
            remote: "origin".parse().expect("a name"),
            code: code.to_owned(),
            message: "cannot fetch from remote `origin`".to_owned(),
            retry_helps: true,
        }
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_remotes() {
        let full = TurnError::Remotes(vec![unreached("disk-full")]);
        assert_eq!(full.code(), "disk-full");
        assert!(full.help().is_some_and(|help| help.contains("make room on this node")));
        let both = TurnError::Remotes(vec![unreached("disk-full"), unreached("unresolved")]);
        assert_eq!(both.code(), "remotes-unreached");
    }

    #[test]
    fn a_hold_that_cannot_be_written_is_not_called_unreadable() {
        let host = Fake::default();
        host.set_faults(&[(0, Fault::FailWrites(ErrorKind::StorageFull))]);
        let hold = Hold::new("me", "a disk is changed", host.now(), None);
        let error = TurnError::from(hold.store(&host).expect_err("the disk is full"));
        assert_eq!(error.code(), "hold-unwritable");
        assert!(error.to_string().contains("make room"), "{error}");
    }
}

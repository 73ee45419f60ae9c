//! What an agent says of itself: `/run/weft/status.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::chain;
use crate::sync::{CommitRecord, Refusal, TransportError};
use crate::value::{ClusterName, Digest, NodeName, ObjectId, Word};

/// Where the status lies on a node.
pub const PATH: &str = "/run/weft/status.json";

/// The format of the status that this version writes.
pub const FORMAT: u32 = 1;

/// The state of a node after a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The format of this file.
    pub format: u32,
    /// The version of weft that wrote it.
    pub version: String,
    /// When it was written.
    pub updated: Timestamp,
    /// The cluster.
    pub cluster: ClusterName,
    /// The node.
    pub node: NodeName,
    /// How the last turn ended.
    pub state: State,
    /// One sentence that says why.
    pub message: String,
    /// What runs; `None` before the first apply.
    pub running: Option<Running>,
    /// The newest commit that the remote showed.
    pub observed: Option<ObjectId>,
    /// The newest commit that trust accepted.
    pub trusted: Option<CommitRecord>,
    /// Commits that the remote showed and trust refused.
    pub refused: Vec<Refused>,
    /// Remotes that were tried and gave nothing, in the order in which they were tried.
    #[serde(default)]
    pub unreached: Vec<Unreached>,
    /// How many errors the newest trusted commit's declarations have.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The node runs the newest commit of the remote.
    InOrder,
    /// Something is to be done and was not: the agent observes, or facts changed.
    Pending,
    /// The newest commit was refused; the node runs an older one.
    Refused,
    /// An apply failed and was undone.
    RolledBack,
    /// Neither the new state nor the old one is whole.
    Degraded,
    /// The turn could not be finished: no remote, no disk, no lock.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::InOrder,
        Self::Pending,
        Self::Refused,
        Self::RolledBack,
        Self::Degraded,
        Self::Failed,
    ];

    /// The state as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in-order",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// What a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The commit and its signer; `None` where generation 0 was restored, which is what
    /// was found before weft.
    pub commit: Option<CommitRecord>,
    /// The generation that holds its files.
    pub generation: u64,
    /// The digest of its rendering.
    pub rendering: Option<Digest>,
    /// Since when it runs.
    pub since: Timestamp,
}

/// A commit that trust refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The commit.
    pub commit: ObjectId,
    /// The stable name of the reason.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A remote that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreached {
    /// Its name in the node's settings.
    pub remote: Word,
    /// The stable name of the reason.
    pub code: String,
    /// The sentence; it names the remote.
    pub message: String,
    /// Whether it may work later, although nobody changes the node.
    pub retry_helps: bool,
}

impl Unreached {
    /// What the status says of a remote that could not be fetched.
    pub fn of(remote: &Word, error: &TransportError) -> Self {
        let message = match error {
            TransportError::Remote { .. } => error.to_string(),
            other => format!("cannot fetch from remote `{remote}`: {}", chain(other)),
        };
        let (code, retry_helps) = (error.code().to_owned(), error.retry_helps());
        Self { remote: remote.clone(), code, message, retry_helps }
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            commit: refusal.commit,
            code: refusal.code.as_str().to_owned(),
            message: refusal.to_string(),
            help: refusal.help.to_owned(),
        }
    }
}

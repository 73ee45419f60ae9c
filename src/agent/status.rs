//! What an agent says of itself: `/run/weft/status.json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sync::{CommitRecord, Refusal};
use crate::value::{ClusterName, Digest, NodeName, ObjectId};

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

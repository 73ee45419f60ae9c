//! What an agent says of its remotes.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::error::{TurnError, chain};
use crate::sync::objects::ObjectError;
use crate::sync::{CommitRecord, HistoryError, Remote, TransportError, TreeError};
use crate::value::{ObjectId, Word};

/// How a remote stands to what the node trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteStanding {
    /// It shows the newest trusted commit, or one above it that is still to be judged.
    Current,
    /// It shows an older commit, which is no fault: a mirror may lag.
    Behind,
    /// What it shows and what another remote shows do not come from each other.
    Diverged,
    /// It shows a commit that is refused.
    Refused,
    /// It answered, and what it shows cannot be read.
    Unread,
    /// It gave nothing.
    Unreached,
}

impl RemoteStanding {
    /// Every standing.
    pub const ALL: &[Self] = &[
        Self::Current,
        Self::Behind,
        Self::Diverged,
        Self::Refused,
        Self::Unread,
        Self::Unreached,
    ];

    /// The standing as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Diverged => "diverged",
            Self::Refused => "refused",
            Self::Unread => "unread",
            Self::Unreached => "unreached",
        }
    }
}

/// What is known of a remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteState {
    /// Its name in the node's settings.
    pub name: Word,
    /// How it stood in the last turn.
    pub standing: RemoteStanding,
    /// The commit that it showed last.
    pub tip: Option<ObjectId>,
    /// When it showed that.
    pub seen: Option<Timestamp>,
}

impl RemoteState {
    /// A remote that was not seen now; `before` is what was known of it.
    pub(in crate::agent) fn new(name: Word, before: Option<Self>) -> Self {
        let (tip, seen) = before.map_or((None, None), |before| (before.tip, before.seen));
        Self { name, standing: RemoteStanding::Unreached, tip, seen }
    }
}

/// Two remotes whose states of the branch do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Divergence {
    /// The one.
    pub remote: Word,
    /// What it shows.
    pub commit: ObjectId,
    /// The other, which serves.
    pub other_remote: Word,
    /// What that shows.
    pub other_commit: ObjectId,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { remote, commit, other_remote, other_commit } = self;
        write!(
            f,
            "remotes `{remote}` and `{other_remote}` diverge: {commit} and {other_commit}, \
             of which neither comes from the other"
        )
    }
}

/// How the process is confined that talks to remotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchProcess {
    /// The number of its user.
    pub user: u32,
    /// The version of Landlock's rules that hold for it; 0 where the kernel has none.
    pub landlock: u32,
    /// What is missing.
    pub warnings: Vec<String>,
}

/// A remote that gave nothing, or nothing that could be read.
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

    /// What the status says of a remote that was fetched and could not be read. `fault` is
    /// the name under which the process failed, if it did.
    pub(in crate::agent) fn unread(
        remote: &Remote,
        error: &TurnError,
        fault: Option<&str>,
    ) -> Self {
        let code = match error {
            TurnError::History(HistoryError::Object(error))
            | TurnError::Tree { source: TreeError::Object(error), .. } => match error {
                ObjectError::Source { .. } => fault.unwrap_or(error.code()),
                error => error.code(),
            },
            TurnError::Tree { .. } => "tree-unreadable",
            _ => "history-unreadable",
        };
        let (name, url) = (&remote.name, &remote.url);
        Self {
            remote: name.clone(),
            code: code.to_owned(),
            message: format!("cannot use what remote `{name}` ({url}) shows: {}", chain(error)),
            retry_helps: true,
        }
    }
}

/// That every remote which answered shows less than the node accepted: a branch that was put
/// back looks like one that nobody changed, and changes nothing.
pub(super) fn behind(remotes: &[RemoteState], trusted: Option<&CommitRecord>) -> Option<String> {
    let is_silent = |remote: &&RemoteState| {
        matches!(remote.standing, RemoteStanding::Unreached | RemoteStanding::Unread)
    };
    let mut answered = remotes.iter().filter(|remote| !is_silent(remote)).peekable();
    let shown = answered.peek()?.tip?;
    let trusted = trusted?;
    answered.all(|remote| remote.standing == RemoteStanding::Behind).then(|| {
        format!(
            "the branch is behind what this node accepted: it shows {}, and {} (sequence {}) stays; \
             push that again, and take a change back with `git revert`",
            shown.short(),
            trusted.commit.short(),
            trusted.sequence
        )
    })
}

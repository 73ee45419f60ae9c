//! What the agent and the fetch process say to each other.
//!
//! The agent writes one line of JSON, a [`Request`]; the process answers with one
//! line of JSON, an [`Answer`]. [`Answer::Object`] is followed by exactly the
//! number of raw bytes that it names. Both ends are the same program, so that
//! there is no version. Secrets go this way and no other: not by arguments, not by
//! the environment.

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::access::Access;
pub use super::failure::FailureCode;
use super::objects::Kind;
use super::remote::{RemoteUrl, Scheme};
use crate::value::ObjectId;

/// The longest line that the process answers, in bytes, its line feed included.
pub const LINE_LIMIT: usize = 64 * 1024;

/// The longest line that the process is asked, in bytes, its line feed included: what
/// [`Access`] holds goes with it.
pub const REQUEST_LIMIT: usize = 1024 * 1024;

/// The most bytes of objects that are published at once.
pub const BODY_LIMIT: u64 = 8 << 20;

/// What the agent asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Ask a remote where a branch is, and bring nothing.
    Look {
        /// The remote and its branch.
        fetch: Box<Fetch>,
        /// Whether a request to fetch may follow, so that the process keeps the right to write
        /// its cache.
        may_fetch: bool,
    },
    /// Bring the cache up to the tip of a branch.
    Fetch(Box<Fetch>),
    /// Publish a commit; its objects follow the line, one behind the other.
    Publish(Box<Publish>),
    /// Open a repository of this machine where it lies: from now on objects are read there.
    Open {
        /// The work tree, or the bare repository.
        path: Utf8PathBuf,
        /// After how many seconds the process ends itself.
        seconds: u32,
    },
    /// Find the commit that a revision of the opened repository names.
    Resolve {
        /// An id or the beginning of one, `HEAD`, a branch, a tag; `~N` and `^N` behind it.
        revision: String,
    },
    /// Say how the process is confined. One that was asked for nothing else before
    /// confines itself now, to the conversation alone.
    Cage,
    /// Send an object of the repository that was opened, or of the cache that was fetched
    /// last.
    Read {
        /// The object.
        object: ObjectId,
        /// The most bytes that are wanted.
        limit: u64,
    },
}

/// What to fetch, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The repository.
    pub url: RemoteUrl,
    /// Whom to believe there, and how to log in.
    #[serde(default)]
    pub access: Access,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The directory of the cache. Only one process may use it at a time: the
    /// caller holds a lock.
    pub cache: Utf8PathBuf,
    /// What the fetch may do at most.
    pub limits: FetchLimits,
    /// After how many seconds the process ends itself, should nobody else do it.
    pub seconds: u32,
}

/// What to publish, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The repository and its branch. The cache holds what the commit stands on.
    pub fetch: Fetch,
    /// The commit that the branch must be at; `None` where there must be no branch.
    pub base: Option<ObjectId>,
    /// The commit.
    pub commit: ObjectId,
    /// The kinds and sizes of the objects that follow, at most [`BODY_LIMIT`] bytes.
    pub objects: Vec<(String, u64)>,
}

/// What a fetch may do at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchLimits {
    /// The ways that a repository may be reached. `file` is for tests, demos and
    /// mirrors on the same machine, and not among the defaults.
    pub schemes: Vec<Scheme>,
    /// The bytes that one fetch receives, compressed.
    pub received_bytes: u64,
    /// The objects that one fetch receives.
    pub objects: u32,
    /// The size of one object. Larger ones are left out of the cache.
    pub object_bytes: u32,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            schemes: vec![Scheme::Https, Scheme::Ssh],
            received_bytes: 256 << 20,
            objects: 200_000,
            object_bytes: 4 << 20,
        }
    }
}

/// What the process answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// This is the tip of the branch, or the commit of a revision; where a fetch was asked
    /// for, it is done.
    Tip(ObjectId),
    /// The branch is at the commit.
    Published,
    /// The repository is open.
    Opened {
        /// Whether commits are left out of it.
        shallow: bool,
    },
    /// How the process is confined.
    Cage(Cage),
    /// The bytes of the object follow.
    Object {
        /// `commit`, `tree`, `blob` or `tag`.
        kind: String,
        /// How many bytes follow.
        size: u64,
    },
    /// There is no such object.
    Missing,
    /// The object is larger than the limit that held.
    TooLarge {
        /// Its size.
        size: u64,
        /// What was asked, or what a fetch may bring if that is less.
        limit: u64,
    },
    /// It cannot be done.
    Failed(Failure),
}

/// How the fetch process is confined, as it says itself before it talks to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cage {
    /// The number of its user.
    pub user: u32,
    /// The version of Landlock's rules that hold for it: 0 where the kernel has none, and
    /// from 4 on for ports too.
    pub landlock: u32,
}

/// The kind of object that a word of git names.
pub fn kind_named(word: &str) -> Option<Kind> {
    [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag].into_iter().find(|k| k.as_str() == word)
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The class, for programs.
    pub code: FailureCode,
    /// The reason, for people. Names no remote: the caller knows which one it was.
    pub message: String,
}

impl Failure {
    /// A failure of a class, for a reason.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

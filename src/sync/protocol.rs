//! What the agent and the fetch process say to each other.
//!
//! The agent writes one line of JSON, a [`Request`]; the process answers with one
//! line of JSON, an [`Answer`]. [`Answer::Object`] is followed by exactly the
//! number of raw bytes that it names. Both ends are the same program, so that
//! there is no version; what a new kind of remote needs to be reached goes
//! beside `url` in [`Fetch`].

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::objects::Kind;
use super::remote::{RemoteUrl, Scheme};
use crate::value::ObjectId;

/// The longest line that either end takes, in bytes, its line feed included.
pub const LINE_LIMIT: usize = 64 * 1024;

/// What the agent asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Bring the cache up to the tip of a branch.
    Fetch(Fetch),
    /// Send an object of the cache that was fetched last.
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
            objects: 500_000,
            object_bytes: 4 << 20,
        }
    }
}

/// What the process answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// The fetch is done; this is the tip of the branch.
    Tip(ObjectId),
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

/// The classes of failures. Their names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The request makes no sense.
    BadRequest,
    /// The remote is reached in a way that is not allowed, or that this version
    /// does not have.
    SchemeRefused,
    /// There is nothing at that place.
    Absent,
    /// What is there is no git repository.
    NotARepository,
    /// The repository has SHA-256 object ids.
    Sha256,
    /// The repository has no such branch; an empty one has none at all.
    NoBranch,
    /// The repository lacks objects of the branch, or they cannot be read.
    DamagedRemote,
    /// The machine does not allow it.
    Permission,
    /// More was sent than may be received, or more memory was needed than there is.
    TooLarge,
    /// The disk of the cache is full.
    DiskFull,
    /// The directory of the cache holds something that weft did not put there.
    ForeignCache,
    /// The cache cannot be used, and to fetch it anew did not help.
    DamagedCache,
}

impl FailureCode {
    /// The name, as it is in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::SchemeRefused => "scheme-refused",
            Self::Absent => "absent",
            Self::NotARepository => "not-a-repository",
            Self::Sha256 => "sha256",
            Self::NoBranch => "no-branch",
            Self::DamagedRemote => "damaged-remote",
            Self::Permission => "permission",
            Self::TooLarge => "too-large",
            Self::DiskFull => "disk-full",
            Self::ForeignCache => "foreign-cache",
            Self::DamagedCache => "damaged-cache",
        }
    }

    /// Whether the same request may succeed later, although nobody changes the
    /// node's settings or the repository's place.
    pub const fn retry_helps(self) -> bool {
        match self {
            Self::Absent
            | Self::NoBranch
            | Self::DamagedRemote
            | Self::DiskFull
            | Self::DamagedCache => true,
            Self::BadRequest
            | Self::SchemeRefused
            | Self::NotARepository
            | Self::Sha256
            | Self::Permission
            | Self::TooLarge
            | Self::ForeignCache => false,
        }
    }
}

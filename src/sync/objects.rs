//! Where git objects come from.

use thiserror::Error;

use crate::value::ObjectId;

/// The kind of a git object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// The contents of a file.
    Blob,
    /// An annotated tag.
    Tag,
}

impl Kind {
    /// The word that git hashes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// An object as somebody says it is; not to be trusted before it was hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Its kind.
    pub kind: Kind,
    /// Its contents without git's header.
    pub bytes: Vec<u8>,
}

/// Answers "object id → bytes". Not trusted: who asks hashes the answer.
pub trait Objects {
    /// The object. One of more than `limit` bytes is not sent but reported.
    fn read(&self, id: ObjectId, limit: u64) -> Result<Raw, ObjectError>;
}

/// A source without objects: for who needs none, and would be wrong to read one.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Objects for Nothing {
    fn read(&self, id: ObjectId, _limit: u64) -> Result<Raw, ObjectError> {
        Err(ObjectError::Missing { id })
    }
}

impl ObjectError {
    /// A stable name of the reason, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "object-missing",
            Self::TooLarge { .. } => "object-too-large",
            Self::Forged { .. } => "object-forged",
            Self::WrongKind { .. } => "object-wrong-kind",
            Self::Source { .. } => "worker-broken",
        }
    }
}

/// Why there is no object.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// The store does not have it.
    #[error("object {id} is missing")]
    Missing {
        /// The object.
        id: ObjectId,
    },
    /// It is larger than was allowed.
    #[error("object {id} has {size} bytes, more than the {limit} that are read")]
    TooLarge {
        /// The object.
        id: ObjectId,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// Its bytes have another hash than its id.
    #[error("object {id} does not have the contents that its id stands for")]
    Forged {
        /// The object.
        id: ObjectId,
    },
    /// It is of another kind than was asked for.
    #[error("object {id} is a {found}, where a {wanted} was wanted")]
    WrongKind {
        /// The object.
        id: ObjectId,
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// The process that reads objects died or broke its word.
    #[error("the fetch process failed: {message}")]
    Source {
        /// What happened.
        message: String,
    },
}

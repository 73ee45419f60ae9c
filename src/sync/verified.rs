//! What was derived from a commit that trust has accepted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::value::{ObjectId, Principal};

/// A commit that was accepted, and by whose signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitRecord {
    /// The commit.
    pub commit: ObjectId,
    /// Who signed it.
    pub signer: Principal,
    /// The signer's key, as `SHA256:…`.
    pub key: String,
    /// Its count on the first-parent line: the root commit has 1. The same on every node.
    pub sequence: u64,
    /// Its committer time.
    pub committed: Timestamp,
    /// The first line of its message, control characters removed.
    pub subject: String,
}

/// Something that came from an accepted commit and from nothing else. Only `sync`
/// makes one; [`Verified::map`] carries it down the line to `apply`.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    value: T,
    record: CommitRecord,
}

impl<T> Verified<T> {
    pub(in crate::sync) fn new(value: T, record: CommitRecord) -> Self {
        Self { value, record }
    }

    /// One for tests of what stands above.
    #[cfg(test)]
    pub(crate) fn for_test(value: T, record: CommitRecord) -> Self {
        Self::new(value, record)
    }

    /// The commit it came from.
    pub fn record(&self) -> &CommitRecord {
        &self.record
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// What follows from the value, if anything does, with the same authority.
    pub fn try_map<U, E>(self, then: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        Ok(Verified { value: then(self.value)?, record: self.record })
    }

    /// What follows from the value, with the same authority.
    pub fn map<U>(self, then: impl FnOnce(T) -> U) -> Verified<U> {
        Verified { value: then(self.value), record: self.record }
    }
}

//! Floor 6: the only floor that touches the machine.
//!
//! Every file that weft reads or writes on a node, its own state included, goes
//! through [`Host`], so that a test can let any single call fail, or the power
//! with it. Knows no policy.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use thiserror::Error;

use crate::facts::Facts;
use crate::value::NodeName;

/// What may be asked of a machine. All paths are absolute paths of the node.
pub trait Host: Send + Sync {
    /// What stops others while it lives.
    type Lock: Send;

    /// The machine's clock.
    fn now(&self) -> Timestamp;

    /// A file, or `None` where there is none. A file of more than `limit` bytes, or
    /// one that is no regular file, is an error.
    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError>;

    /// The names in a directory, sorted; none where there is no directory.
    fn list(&self, directory: &Utf8Path) -> Result<Vec<String>, HostError>;

    /// Puts a file in place as a whole, its directories made where they are missing:
    /// a temporary file beside it, written, flushed to the disk, renamed, the
    /// directory flushed. Either the old file or the new one is there, whatever fails.
    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError>;

    /// Gives a file another name, on the disk when this returns. Fails with
    /// [`HostError::is_missing`] where `from` is not there.
    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), HostError>;

    /// Removes a file. One that is not there is no error.
    fn remove(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// Removes a directory of state and what is in it. One that is not there is no
    /// error.
    fn remove_directory(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// The lock at a path, or `None` while another process holds it.
    fn lock(&self, path: &Utf8Path) -> Result<Option<Self::Lock>, HostError>;

    /// What rendering needs to know of this machine.
    fn facts(&self, node: &NodeName) -> Result<Facts, HostError>;
}

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// What the machine refused.
#[derive(Debug, Error)]
pub enum HostError {
    /// A file could not be read or written.
    #[error("cannot {action} `{path}`")]
    Path {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: Utf8PathBuf,
        /// The bound.
        limit: u64,
    },
    /// Something else than a regular file stands in the place of one.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// The path.
        path: Utf8PathBuf,
    },
    /// A program gave no answer that can be used.
    #[error("`{program}` {message}")]
    Program {
        /// The program and its arguments.
        program: String,
        /// What it did, such as `ended with status 1: …`.
        message: String,
    },
}

impl HostError {
    /// Whether the file was not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Path { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

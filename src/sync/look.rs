//! What a commit says, for people who look at it. It is not verified: nothing may be
//! decided by it.

use super::commit;
use super::files::TreeError;
use super::objects::{Kind, ObjectError};
use super::store::Store;
use super::tree::{Directories, DirectoryError, Mode};
use crate::value::{ObjectId, RepoPath};

/// The text of a file of a commit, of at most `limit` bytes. `None` where there is none.
pub fn text(
    store: Store<'_>,
    commit: ObjectId,
    path: &RepoPath,
    limit: u64,
) -> Result<Option<String>, TreeError> {
    let raw = store.read(commit, Kind::Commit, commit::MAX_BYTES as u64)?;
    let tree = commit::parse(&raw).map_err(|source| TreeError::Commit { commit, source })?.tree;
    let unreadable = |error: DirectoryError| match error {
        DirectoryError::Object(error) => error.into(),
        source => TreeError::Directory { path: path.to_string(), source },
    };
    let found = Directories::new(store).at(tree, path.as_str()).map_err(unreadable)?;
    let Some(entry) = found else { return Ok(None) };
    if !matches!(entry.mode, Mode::File | Mode::Executable) {
        let (path, found) = (path.to_string(), entry.mode.what());
        return Err(TreeError::WrongMode { path, found, wanted: "a regular file" });
    }
    let bytes = match store.read(entry.id, Kind::Blob, limit) {
        Ok(bytes) => bytes,
        Err(ObjectError::TooLarge { size, .. }) => {
            return Err(TreeError::FileTooLarge { path: path.to_string(), size });
        }
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| TreeError::NotText { path: path.to_string() })
}

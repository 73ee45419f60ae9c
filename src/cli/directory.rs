//! A working directory as a tree, read by the rules that hold for a commit.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::failure::{Exit, Failure};
use crate::declare::tree::{MAX_BYTES, MAX_FILE_BYTES, MAX_FILES};
use crate::declare::{CLUSTER_FILE, DIRECTORY, Tree, policy, signers, void};
use crate::value::{BadPath, RepoPath};

/// The deepest directory that is read.
const MAX_DEPTH: usize = 16;

/// The trust files of a directory, where it has any.
pub(super) fn trust_files(directory: &Utf8Path) -> Result<Vec<(RepoPath, Arc<str>)>, Failure> {
    let mut walk = Walk { top: directory, files: Vec::new(), unread: Vec::new(), bytes: 0 };
    for path in [signers::FILE, policy::FILE, void::FILE] {
        let path = directory.join(path);
        if path.symlink_metadata().is_ok() {
            walk.file(&path)?;
        }
    }
    Ok(walk.files)
}

/// Reads `weft.yaml` and the declarations of a directory.
pub(super) fn read(directory: &Utf8Path) -> Result<Tree, Failure> {
    if !directory.is_dir() {
        let failure = Failure::new(Exit::Failed, format!("`{directory}` is not a directory"));
        return Err(failure.hint("name the directory that holds `weft.yaml` and `sdn/`"));
    }
    let mut walk = Walk { top: directory, files: Vec::new(), unread: Vec::new(), bytes: 0 };
    let cluster = directory.join(CLUSTER_FILE);
    if cluster.symlink_metadata().is_ok() {
        walk.file(&cluster)?;
    }
    let declarations = directory.join(DIRECTORY);
    if declarations.symlink_metadata().is_ok() {
        walk.directory(&declarations, 0)?;
    }
    Ok(Tree::new(None, walk.files).with_unread(walk.unread))
}

struct Walk<'a> {
    top: &'a Utf8Path,
    files: Vec<(RepoPath, Arc<str>)>,
    unread: Vec<RepoPath>,
    bytes: u64,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Utf8Path, depth: usize) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(refused(directory, "is nested too deep"));
        }
        let entries = directory.read_dir_utf8().map_err(|error| unreadable(directory, &error))?;
        let mut paths: Vec<Utf8PathBuf> = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| unreadable(directory, &error))?.into_path());
        }
        paths.sort();
        for path in paths {
            let metadata = path.symlink_metadata().map_err(|error| unreadable(&path, &error))?;
            if metadata.is_dir() {
                self.directory(&path, depth + 1)?;
            } else if !metadata.is_file() {
                return Err(refused(&path, "is no regular file"));
            } else if path.extension() == Some("yaml") {
                self.file(&path)?;
            } else if let Ok(name) = self.name(&path)
                && Tree::looks_like_declarations(&name)
            {
                self.unread.push(name);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Utf8Path) -> Result<(), Failure> {
        let metadata = path.symlink_metadata().map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(refused(path, "is no regular file"));
        }
        self.bytes += metadata.len();
        if metadata.len() > MAX_FILE_BYTES
            || self.bytes > MAX_BYTES
            || self.files.len() >= MAX_FILES
        {
            return Err(refused(path, "is over the bounds of size or count that a node reads"));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        let text = String::from_utf8(bytes).map_err(|_| refused(path, "is not UTF-8 text"))?;
        let name = self.name(path)?;
        self.files.push((name, text.into()));
        Ok(())
    }

    /// The path as the repository has it.
    fn name(&self, path: &Utf8Path) -> Result<RepoPath, Failure> {
        let below = path.strip_prefix(self.top).unwrap_or(path);
        below.as_str().parse().map_err(|error: BadPath| Failure::from_error(Exit::Refused, &error))
    }
}

fn unreadable(path: &Utf8Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read `{path}`: {error}"))
}

fn refused(path: &Utf8Path, what: &str) -> Failure {
    Failure::new(Exit::Refused, format!("`{path}` {what}"))
        .hint("a node reads regular UTF-8 files of at most 1 MiB below `sdn/`, and refuses a commit with anything else there")
}

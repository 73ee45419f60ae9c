//! The declarations of an accepted commit.
//!
//! Only `weft.yaml` and `sdn/**/*.yaml` are read, and nothing else of the repository
//! is looked at. There is no checkout: no link is followed, no name reaches a disk.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::commit::{self, CommitError};
use super::history::HistoryError;
use super::line::Commits;
use super::objects::{Kind, ObjectError};
use super::store::Store;
use super::tree::{Directories, DirectoryError, Entry, MAX_DEPTH, Mode};
use super::trust::{Files, TrustFilesError};
use super::verified::Verified;
use crate::declare::policy::Removal;
use crate::declare::tree::{MAX_BYTES, MAX_FILE_BYTES, MAX_FILES};
use crate::declare::{CLUSTER_FILE, DIRECTORY, Tree};
use crate::value::{ObjectId, RepoPath};

/// Why the declarations of a commit cannot be read.
#[derive(Debug, Error)]
pub enum TreeError {
    /// There is no object to read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The commit cannot be read.
    #[error("commit {commit} cannot be read")]
    Commit {
        /// The commit.
        commit: ObjectId,
        /// Why not.
        source: CommitError,
    },
    /// A directory cannot be read.
    #[error("the directory `{path}` cannot be read")]
    Directory {
        /// The directory; empty for the top of the repository.
        path: String,
        /// Why not.
        source: DirectoryError,
    },
    /// Something else stands where a file or a directory belongs.
    #[error("`{path}` is {found}, where {wanted} belongs")]
    WrongMode {
        /// Its path.
        path: String,
        /// What it is.
        found: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A name that a path of declarations cannot have.
    #[error("`{path}` is not a name for a file of declarations")]
    BadName {
        /// Its path, odd characters escaped.
        path: String,
    },
    /// Two names that differ in case only.
    #[error("`{path}` and `{other}` differ in case only")]
    SameButCase {
        /// A path.
        path: String,
        /// The other.
        other: String,
    },
    /// A file is not UTF-8.
    #[error("`{path}` is not UTF-8 text")]
    NotText {
        /// Its path.
        path: String,
    },
    /// A file is beyond its bound.
    #[error("`{path}` has {size} bytes, more than the {MAX_FILE_BYTES} of a file")]
    FileTooLarge {
        /// Its path.
        path: String,
        /// Its size.
        size: u64,
    },
    /// All files together are beyond a bound.
    #[error("the files below `{DIRECTORY}` are more than {MAX_FILES} or {MAX_BYTES} bytes")]
    TooLarge,
}

impl TreeError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Object(_) => "fetch again; if it stays, delete the cache of this repository",
            Self::Commit { .. } | Self::Directory { .. } => {
                "make the commit again with git, on top of the last accepted one"
            }
            Self::WrongMode { found: "a symbolic link", .. } => {
                "put the file itself in place of the link; links are not followed"
            }
            Self::WrongMode { found: "a submodule", .. } => {
                "put the files themselves in the repository; other repositories are not read"
            }
            Self::WrongMode { .. } => "move it away",
            Self::BadName { .. } => {
                "rename it: a name is UTF-8 without control characters and `\\`"
            }
            Self::SameButCase { .. } => "rename one of them",
            Self::NotText { .. } => "save the file as UTF-8",
            Self::FileTooLarge { .. } => "split the file",
            Self::TooLarge => {
                "a cluster's declarations are far below the bounds; move what is no declaration out of the directory"
            }
        }
    }
}

/// How much an accepted commit may take away from a node, by its own policy. One without
/// a policy that can be read allows what one without a word of it does.
pub fn removal<T>(store: Store<'_>, verified: &Verified<T>) -> Result<Removal, TreeError> {
    let top = top(store, verified.record().commit)?;
    match Files::new(store).of(&mut Directories::new(store), top) {
        Ok(files) => Ok(files.policy.removal().clone()),
        Err(TrustFilesError::Object(error)) => Err(error.into()),
        Err(TrustFilesError::Broken(_)) => Ok(Removal::default()),
    }
}

/// A commit whose files a later one of its line brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The commit.
    pub commit: ObjectId,
    /// Its count on the first-parent line.
    pub sequence: u64,
}

impl fmt::Display for Earlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {} (sequence {})", self.commit.short(), self.sequence)
    }
}

/// Whose files an accepted commit brings back, of the one that the node ran and those below
/// it on the line: then what it takes away was not there before either. What came
/// onto the line after the running commit does not count, or a second commit would excuse
/// the first.
pub fn reverts<T>(
    store: Store<'_>,
    verified: &Verified<T>,
    running: ObjectId,
) -> Result<Option<Earlier>, HistoryError> {
    let record = verified.record();
    let found = Commits::new(store).brings_back(record.commit, running)?;
    Ok(found
        .map(|(commit, down)| Earlier { commit, sequence: record.sequence.saturating_sub(down) }))
}

/// The top directory of a commit.
fn top(store: Store<'_>, commit: ObjectId) -> Result<ObjectId, TreeError> {
    let raw = store.read(commit, Kind::Commit, commit::MAX_BYTES as u64)?;
    Ok(commit::parse(&raw).map_err(|source| TreeError::Commit { commit, source })?.tree)
}

/// Reads the declarations of an accepted commit. `base` is the node's setting `path`.
/// A file or directory that is missing is no error here: what that means is
/// [`crate::declare::read`]'s to say.
pub fn tree<T>(
    store: Store<'_>,
    verified: &Verified<T>,
    base: Option<&RepoPath>,
) -> Result<Verified<Tree>, TreeError> {
    let record = verified.record();
    Ok(Verified::new(tree_of(store, record.commit, base)?, record.clone()))
}

/// The same of any commit, for who only looks: nothing of it can be applied.
pub fn tree_of(
    store: Store<'_>,
    commit: ObjectId,
    base: Option<&RepoPath>,
) -> Result<Tree, TreeError> {
    let top = top(store, commit)?;
    let mut reading = Reading {
        store,
        directories: Directories::new(store),
        base,
        files: Vec::new(),
        unread: Vec::new(),
        bytes: 0,
        entries: 0,
    };
    if let Some(directory) = reading.base(top)? {
        let below = base.map_or(String::new(), |base| format!("{base}/"));
        let entries = reading.entries(directory, &below)?;
        if let Some(entry) = only(&entries, CLUSTER_FILE, &below)? {
            reading.file(&entry, format!("{below}{CLUSTER_FILE}"))?;
        }
        if let Some(entry) = only(&entries, DIRECTORY, &below)? {
            let path = format!("{below}{DIRECTORY}");
            if entry.mode != Mode::Directory {
                return Err(wrong_mode(path, &entry, "a directory"));
            }
            reading.directory(entry.id, &path, 0)?;
        }
    }
    Ok(Tree::new(base.cloned(), reading.files).with_unread(reading.unread))
}

struct Reading<'a> {
    store: Store<'a>,
    directories: Directories<'a>,
    base: Option<&'a RepoPath>,
    files: Vec<(RepoPath, Arc<str>)>,
    unread: Vec<RepoPath>,
    bytes: u64,
    entries: usize,
}

/// The most files of other names that are spelled out.
const MAX_UNREAD: usize = 100;

impl Reading<'_> {
    /// The directory of this cluster.
    fn base(&mut self, top: ObjectId) -> Result<Option<ObjectId>, TreeError> {
        let mut directory = top;
        let mut above = String::new();
        let base = self.base;
        for part in base.iter().flat_map(|base| base.as_str().split('/')) {
            let entries = self.entries(directory, &above)?;
            let Some(entry) = only(&entries, part, &above)? else {
                return Ok(None);
            };
            above += part;
            if entry.mode != Mode::Directory {
                return Err(wrong_mode(above, &entry, "a directory"));
            }
            above += "/";
            directory = entry.id;
        }
        Ok(Some(directory))
    }

    fn directory(&mut self, id: ObjectId, path: &str, depth: usize) -> Result<(), TreeError> {
        if depth > MAX_DEPTH {
            let source = DirectoryError::TooDeep { path: path.to_owned() };
            return Err(TreeError::Directory { path: path.to_owned(), source });
        }
        let entries = self.entries(id, path)?;
        let mut folded: HashMap<String, &str> = HashMap::new();
        for entry in &*entries {
            // One directory may be named many times over.
            self.entries += 1;
            if self.entries > 4 * MAX_FILES {
                return Err(TreeError::TooLarge);
            }
            let Ok(name) = std::str::from_utf8(&entry.name) else {
                let name = entry.name.escape_ascii();
                return Err(TreeError::BadName { path: format!("{path}/{name}") });
            };
            let path = format!("{path}/{name}");
            if let Some(other) = folded.insert(fold(name), name) {
                let above = path.strip_suffix(name).unwrap_or_default();
                return Err(TreeError::SameButCase { other: format!("{above}{other}"), path });
            }
            match entry.mode {
                Mode::Directory => self.directory(entry.id, &path, depth + 1)?,
                _ => self.file(entry, path)?,
            }
        }
        Ok(())
    }

    /// Reads a file, where it is one that a node reads. What is no regular file has no
    /// business among declarations, whatever its name.
    fn file(&mut self, entry: &Entry, path: String) -> Result<(), TreeError> {
        if !matches!(entry.mode, Mode::File | Mode::Executable) {
            return Err(wrong_mode(path, entry, "a regular file"));
        }
        let Ok(name) = path.parse::<RepoPath>() else {
            return Err(TreeError::BadName { path: path.escape_debug().to_string() });
        };
        if !Tree::wants(self.base, &name) {
            if Tree::looks_like_declarations(&name) && self.unread.len() < MAX_UNREAD {
                self.unread.push(name);
            }
            return Ok(());
        }
        let bytes = match self.store.read(entry.id, Kind::Blob, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(ObjectError::TooLarge { size, .. }) => {
                return Err(TreeError::FileTooLarge { path, size });
            }
            Err(error) => return Err(error.into()),
        };
        self.bytes += bytes.len() as u64;
        if self.files.len() >= MAX_FILES || self.bytes > MAX_BYTES {
            return Err(TreeError::TooLarge);
        }
        let text = String::from_utf8(bytes).map_err(|_| TreeError::NotText { path })?;
        self.files.push((name, text.into()));
        Ok(())
    }

    fn entries(&mut self, id: ObjectId, path: &str) -> Result<std::rc::Rc<[Entry]>, TreeError> {
        self.directories.entries(id).map_err(|error| match error {
            DirectoryError::Object(error) => error.into(),
            source => {
                let path = path.trim_end_matches('/').to_owned();
                TreeError::Directory { path, source }
            }
        })
    }
}

/// The entry of a name, where no other one is the same but for its case.
fn only(entries: &[Entry], name: &str, above: &str) -> Result<Option<Entry>, TreeError> {
    let mut found = None;
    for entry in entries {
        let text = String::from_utf8_lossy(&entry.name);
        if entry.name == name.as_bytes() {
            found = Some(entry.clone());
        } else if fold(&text) == fold(name) {
            let (path, other) = (format!("{above}{name}"), format!("{above}{text}"));
            return Err(TreeError::SameButCase { path, other });
        }
    }
    Ok(found)
}

fn wrong_mode(path: String, entry: &Entry, wanted: &'static str) -> TreeError {
    TreeError::WrongMode { path, found: entry.mode.what(), wanted }
}

/// A name without its case: two that are the same so are one name on many machines.
pub fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

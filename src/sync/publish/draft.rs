//! A commit on top of another one, with all objects that are new.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use sha1_checked::{Digest as _, Sha1};
use thiserror::Error;

use super::signing::{SigningKey, SigningKeyError};
use crate::sync::commit;
use crate::sync::objects::Kind;
use crate::sync::store::{EMPTY_TREE, Store};
use crate::sync::tree::{self, Directories, DirectoryError, Entry, MAX_DEPTH, Mode};
use crate::value::{ObjectId, RepoPath};

/// The most objects that one publication brings.
pub const MAX_OBJECTS: usize = 20_000;

/// A commit that is to be published, with the objects that are new in it.
#[derive(Debug)]
pub struct Draft {
    /// The commit.
    pub commit: ObjectId,
    /// What it stands on, where there is something.
    pub base: Option<ObjectId>,
    /// The new objects, the commit last.
    pub(in crate::sync) objects: Vec<(Kind, Vec<u8>)>,
}

/// Why there is nothing to publish.
#[derive(Debug, Error)]
pub enum DraftError {
    /// The commit that it would stand on cannot be read.
    #[error("commit {commit}, which the new one would stand on, cannot be read: {why}")]
    Base {
        /// The commit.
        commit: ObjectId,
        /// Why not.
        why: String,
    },
    /// A directory of it cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file would stand where a directory is, or the other way round.
    #[error("`{0}` is in the way of a file")]
    InTheWay(String),
    /// More than [`MAX_OBJECTS`].
    #[error("more than {MAX_OBJECTS} objects would be published at once")]
    TooMany,
    /// It cannot be signed.
    #[error("the key {0}")]
    Key(#[from] SigningKeyError),
}

/// The commit that makes these changes to the files of `base`: a file with contents is
/// written, one without removed. `None` where nothing would change.
///
/// `who` is the name in the commit, which proves nothing; `key` is what others go by.
pub fn draft(
    store: Store<'_>,
    base: Option<ObjectId>,
    changes: &BTreeMap<RepoPath, Option<Vec<u8>>>,
    (who, message, at): (&str, &str, Timestamp),
    key: &SigningKey,
) -> Result<Option<Draft>, DraftError> {
    let top = match base {
        Some(id) => Some(tree_of(store, id)?),
        None => None,
    };
    let mut top_node = Node::default();
    for (path, contents) in changes {
        top_node.insert(path.as_str(), contents.as_deref());
    }
    let mut writing =
        Writing { directories: Directories::new(store), objects: Vec::new(), seen: HashSet::new() };
    let entries = writing.directory(top, &top_node, "", 0)?;
    let tree = writing.add(Kind::Tree, tree::write(&entries))?;
    if top.unwrap_or(EMPTY_TREE) == tree {
        return Ok(None);
    }
    let plain = |text: &str| -> String {
        text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(100).collect()
    };
    let who = format!("{} <> {} +0000", plain(who), at.as_second());
    let parent = base.map(|base| format!("parent {base}\n")).unwrap_or_default();
    let header = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n");
    let payload = format!("{header}\n{message}\n");
    let signature = key.sign(payload.as_bytes())?.replace('\n', "\n ");
    let commit = format!("{header}gpgsig {signature}\n\n{message}\n");
    let commit = writing.add(Kind::Commit, commit.into_bytes())?;
    Ok(Some(Draft { commit, base, objects: writing.objects }))
}

fn tree_of(store: Store<'_>, id: ObjectId) -> Result<ObjectId, DraftError> {
    let bad = |why: String| DraftError::Base { commit: id, why };
    let raw = store.read(id, Kind::Commit, commit::MAX_BYTES as u64);
    let raw = raw.map_err(|error| bad(error.to_string()))?;
    let commit = commit::parse(&raw).map_err(|error| bad(error.to_string()))?;
    Ok(commit.tree)
}

/// What a file becomes.
#[derive(Clone, Copy, Default)]
enum File<'a> {
    #[default]
    Untouched,
    Removed,
    Written(&'a [u8]),
}

/// Changes by the parts of their paths.
#[derive(Default)]
struct Node<'a> {
    /// What a file of this name becomes.
    file: File<'a>,
    inside: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    fn insert(&mut self, path: &'a str, contents: Option<&'a [u8]>) {
        if let Some((part, rest)) = path.split_once('/') {
            self.inside.entry(part).or_default().insert(rest, contents);
        } else {
            let file = contents.map_or(File::Removed, File::Written);
            self.inside.entry(path).or_default().file = file;
        }
    }
}

struct Writing<'a> {
    directories: Directories<'a>,
    objects: Vec<(Kind, Vec<u8>)>,
    seen: HashSet<ObjectId>,
}

impl Writing<'_> {
    /// The entries of a directory after the changes.
    fn directory(
        &mut self,
        id: Option<ObjectId>,
        changes: &Node<'_>,
        path: &str,
        depth: usize,
    ) -> Result<Vec<Entry>, DraftError> {
        if depth > MAX_DEPTH {
            return Err(DirectoryError::TooDeep { path: path.to_owned() }.into());
        }
        let before = match id {
            Some(id) => self.directories.entries(id)?.to_vec(),
            None => Vec::new(),
        };
        let mut entries: BTreeMap<Vec<u8>, Entry> =
            before.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        for (name, change) in &changes.inside {
            let key = name.as_bytes().to_vec();
            let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}/{name}") };
            let there = entries.get(&key).map(|entry| (entry.mode, entry.id));
            let entry = |mode, id| Entry { mode, name: key.clone(), id };
            match (change.file, there) {
                (File::Removed | File::Written(_), there)
                    if !change.inside.is_empty() || matches!(there, Some((Mode::Directory, _))) =>
                {
                    return Err(DraftError::InTheWay(path));
                }
                (File::Written(contents), _) => {
                    let id = self.add(Kind::Blob, contents.to_vec())?;
                    entries.insert(key.clone(), entry(Mode::File, id));
                }
                (File::Removed, _) => drop(entries.remove(&key)),
                (File::Untouched, Some((mode, _))) if mode != Mode::Directory => {
                    return Err(DraftError::InTheWay(path));
                }
                (File::Untouched, there) => {
                    let inside =
                        self.directory(there.map(|(_, id)| id), change, &path, depth + 1)?;
                    if inside.is_empty() {
                        entries.remove(&key);
                    } else {
                        let id = self.add(Kind::Tree, tree::write(&inside))?;
                        entries.insert(key.clone(), entry(Mode::Directory, id));
                    }
                }
            }
        }
        Ok(entries.into_values().collect())
    }

    fn add(&mut self, kind: Kind, bytes: Vec<u8>) -> Result<ObjectId, DraftError> {
        let mut hasher = Sha1::new();
        hasher.update(format!("{} {}\0", kind.as_str(), bytes.len()));
        hasher.update(&bytes);
        let id = ObjectId::from_bytes(hasher.finalize().into());
        if self.seen.insert(id) {
            if self.objects.len() == MAX_OBJECTS {
                return Err(DraftError::TooMany);
            }
            self.objects.push((kind, bytes));
        }
        Ok(id)
    }
}

//! The strict reader of raw directories, and what differs between two of them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use thiserror::Error;

use super::objects::{Kind, ObjectError};
use super::store::{EMPTY_TREE, Store};
use crate::value::ObjectId;

/// The largest directory object, in bytes: some hundred thousand entries.
pub const MAX_TREE_BYTES: u64 = 4 << 20;
/// The deepest directory that is entered.
pub const MAX_DEPTH: usize = 64;
/// The most entries that one difference may touch. A tree can name one directory many
/// times over, so that a few small objects stand for billions of files.
pub const MAX_TOUCHED: usize = 200_000;
/// The most entries that all differences of one [`Directories`] may compare, equal ones
/// included: what bounds the time that a line of many commits takes.
pub const MAX_COMPARED: usize = 4_000_000;
/// How many bytes of directories are remembered before all are forgotten.
const MAX_REMEMBERED: usize = 64 << 20;

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A regular file that may be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    const ALL: [Self; 5] =
        [Self::Directory, Self::File, Self::Executable, Self::Link, Self::Submodule];

    fn read(text: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_bytes() == text)
    }

    /// What git writes.
    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Directory => b"40000",
            Self::File => b"100644",
            Self::Executable => b"100755",
            Self::Link => b"120000",
            Self::Submodule => b"160000",
        }
    }

    /// What a person calls it.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File | Self::Executable => "a regular file",
            Self::Link => "a symbolic link",
            Self::Submodule => "a submodule",
        }
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub mode: Mode,
    /// Its name: no `/`, no NUL, none of the names that mean something to git. Not
    /// always UTF-8.
    pub name: Vec<u8>,
    /// Its contents.
    pub id: ObjectId,
}

/// Why a directory is not read.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// There is no object to read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It is not written as git writes directories.
    #[error("directory {id} is not in git's form: {reason}")]
    Malformed {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Directories are nested deeper than [`MAX_DEPTH`].
    #[error("`{path}` lies deeper than {MAX_DEPTH} directories")]
    TooDeep {
        /// A directory.
        path: String,
    },
    /// More than [`MAX_TOUCHED`] entries differ.
    #[error("more than {MAX_TOUCHED} entries differ")]
    TooMany,
    /// More than [`MAX_COMPARED`] entries were compared, perhaps in several differences.
    #[error("more than {MAX_COMPARED} entries would have to be compared")]
    Exhausted,
}

/// Reads the entries of a raw directory, or says what is wrong with it.
pub fn parse(raw: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut names: HashSet<&[u8]> = HashSet::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let (mode, behind) = split(rest, b' ').ok_or("an entry has no mode")?;
        let mode = Mode::read(mode).ok_or("an entry has a mode that git does not write")?;
        let (name, behind) = split(behind, 0).ok_or("an entry's name does not end")?;
        check_name(name)?;
        let (id, behind) = behind.split_first_chunk::<20>().ok_or("an entry has no id")?;
        let entry = Entry { mode, name: name.to_vec(), id: ObjectId::from_bytes(*id) };
        if entries.last().is_some_and(|last| order(last, &entry) != Ordering::Less) {
            return Err("its entries are not in git's order");
        }
        // It would come and go without a path that differs.
        if entry.mode == Mode::Directory && entry.id == EMPTY_TREE {
            return Err("an entry is a directory without entries");
        }
        // A file and a directory of one name stand apart in git's order.
        if !names.insert(name) {
            return Err("two entries have one name");
        }
        entries.push(entry);
        rest = behind;
    }
    Ok(entries)
}

/// The raw directory with these entries, in whatever order they are given.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by(|one, other| order(one, other));
    let mut raw = Vec::new();
    for entry in entries {
        raw.extend_from_slice(entry.mode.as_bytes());
        raw.push(b' ');
        raw.extend_from_slice(&entry.name);
        raw.push(0);
        raw.extend_from_slice(entry.id.as_bytes());
    }
    raw
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = bytes.iter().position(|&byte| byte == at)?;
    Some((&bytes[..index], &bytes[index + 1..]))
}

fn check_name(name: &[u8]) -> Result<(), &'static str> {
    match name {
        b"" => Err("an entry has no name"),
        b"." | b".." => Err("an entry is named `.` or `..`"),
        _ if name.contains(&b'/') => Err("an entry's name holds a `/`"),
        _ if name.eq_ignore_ascii_case(b".git") => Err("an entry is named `.git`"),
        _ => Ok(()),
    }
}

/// Git's order: by name, that of a directory as if it ended in `/`.
fn order(one: &Entry, other: &Entry) -> Ordering {
    let key = |entry: &Entry| (entry.mode == Mode::Directory).then_some(b'/');
    let (a, b) = (one.name.iter().copied(), other.name.iter().copied());
    a.chain(key(one)).cmp(b.chain(key(other)))
}

/// Directories of one store, each read once.
#[derive(Debug)]
pub struct Directories<'a> {
    store: Store<'a>,
    remembered: HashMap<ObjectId, Rc<[Entry]>>,
    bytes: usize,
    compared: usize,
}

impl<'a> Directories<'a> {
    /// No directory read so far.
    pub fn new(store: Store<'a>) -> Self {
        Self { store, remembered: HashMap::new(), bytes: 0, compared: 0 }
    }

    /// The entries of a directory.
    pub fn entries(&mut self, id: ObjectId) -> Result<Rc<[Entry]>, DirectoryError> {
        if let Some(entries) = self.remembered.get(&id) {
            return Ok(Rc::clone(entries));
        }
        let raw = self.store.read(id, Kind::Tree, MAX_TREE_BYTES)?;
        let entries = parse(&raw).map_err(|reason| DirectoryError::Malformed { id, reason })?;
        let entries: Rc<[Entry]> = entries.into();
        // What an entry costs in memory, about.
        let cost = raw.len() + entries.len() * size_of::<Entry>();
        if self.bytes + cost > MAX_REMEMBERED {
            self.remembered.clear();
            self.bytes = 0;
        }
        self.bytes += cost;
        self.remembered.insert(id, Rc::clone(&entries));
        Ok(entries)
    }

    /// The entry of a name in a directory.
    pub fn entry(&mut self, id: ObjectId, name: &str) -> Result<Option<Entry>, DirectoryError> {
        let entries = self.entries(id)?;
        Ok(entries.iter().find(|entry| entry.name == name.as_bytes()).cloned())
    }

    /// The entry of a path that is `/`-separated.
    pub fn at(&mut self, tree: ObjectId, path: &str) -> Result<Option<Entry>, DirectoryError> {
        let mut parts = path.split('/');
        let mut found = self.entry(tree, parts.next().unwrap_or_default())?;
        for part in parts {
            let Some(Entry { mode: Mode::Directory, id, .. }) = found else { return Ok(None) };
            found = self.entry(id, part)?;
        }
        Ok(found)
    }

    /// Calls `changed` with each thing that is no directory and is not the same in both
    /// trees, until it breaks off. Equal directories are not entered.
    pub fn difference(
        &mut self,
        before: ObjectId,
        after: ObjectId,
        changed: &mut dyn FnMut(Change<'_>) -> ControlFlow<()>,
    ) -> Result<(), DirectoryError> {
        let mut walk = Walk { directories: self, touched: 0, changed };
        walk.directory("", Some(before), Some(after), 0).map(drop)
    }
}

/// A thing that is not the same in two trees.
#[derive(Debug)]
pub struct Change<'a> {
    /// Its path; a name that is not UTF-8 has `�` in it.
    pub path: &'a str,
    /// What it was; `None` where there was nothing or a directory.
    pub before: Option<&'a Entry>,
    /// What it is; `None` where there is nothing or a directory.
    pub after: Option<&'a Entry>,
}

struct Walk<'w, 'a> {
    directories: &'w mut Directories<'a>,
    touched: usize,
    changed: &'w mut dyn FnMut(Change<'_>) -> ControlFlow<()>,
}

impl Walk<'_, '_> {
    fn directory(
        &mut self,
        path: &str,
        before: Option<ObjectId>,
        after: Option<ObjectId>,
        depth: usize,
    ) -> Result<ControlFlow<()>, DirectoryError> {
        if before == after {
            return Ok(ControlFlow::Continue(()));
        }
        if depth > MAX_DEPTH {
            return Err(DirectoryError::TooDeep { path: path.to_owned() });
        }
        let mut read = |id: Option<ObjectId>| match id {
            Some(id) => self.directories.entries(id),
            None => Ok([].into()),
        };
        let (before, after) = (read(before)?, read(after)?);
        self.directories.compared += before.len() + after.len();
        if self.directories.compared > MAX_COMPARED {
            return Err(DirectoryError::Exhausted);
        }
        let old: HashMap<&[u8], &Entry> = before.iter().map(|e| (e.name.as_slice(), e)).collect();
        let new: HashSet<&[u8]> = after.iter().map(|e| e.name.as_slice()).collect();
        let kept = after.iter().map(|entry| (old.get(entry.name.as_slice()).copied(), Some(entry)));
        let gone = before.iter().filter(|entry| !new.contains(entry.name.as_slice()));
        for (before, after) in kept.chain(gone.map(|entry| (Some(entry), None))) {
            if before == after {
                continue;
            }
            if self.entry(path, before, after, depth)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An entry that is not the same before and after.
    fn entry(
        &mut self,
        directory: &str,
        before: Option<&Entry>,
        after: Option<&Entry>,
        depth: usize,
    ) -> Result<ControlFlow<()>, DirectoryError> {
        self.touched += 1;
        if self.touched > MAX_TOUCHED {
            return Err(DirectoryError::TooMany);
        }
        let name = after.or(before).map(|entry| String::from_utf8_lossy(&entry.name));
        let name = name.unwrap_or_default();
        let path =
            if directory.is_empty() { name.into_owned() } else { format!("{directory}/{name}") };
        let is_directory = |entry: &&Entry| entry.mode == Mode::Directory;
        let is_other = |entry: &&Entry| entry.mode != Mode::Directory;
        let (old, new) = (before.filter(is_other), after.filter(is_other));
        let change = Change { path: &path, before: old, after: new };
        if (change.before.is_some() || change.after.is_some()) && (self.changed)(change).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        let inside = |entry: Option<&Entry>| entry.filter(is_directory).map(|entry| entry.id);
        self.directory(&path, inside(before), inside(after), depth + 1)
    }
}

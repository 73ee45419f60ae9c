//! What a commit declares, for those who may declare some things only.
//!
//! What a declaration means is not known here: a judge is handed in. It is given the
//! declarations of both trees, and only for files that a scope limits.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::authority::{Charge, Limited};
use super::climb::{Climb, Stop, refused, unreadable};
use super::history::HistoryError;
use super::objects::{Kind, ObjectError};
use super::refusal::Reason;
use super::store::Store;
use super::tree::{Directories, DirectoryError, Entry, MAX_COMPARED, MAX_DEPTH, Mode};
use crate::declare::policy::{Difference, File, Scope};
use crate::declare::tree::{MAX_FILE_BYTES, MAX_FILES};
use crate::declare::{DIRECTORY, Tree};
use crate::value::{ObjectId, RepoPath};

/// Says whether a difference keeps within its scope; the sentence says what does not.
pub type Scopes<'a> = dyn Fn(&Difference<'_>) -> Result<(), String> + 'a;

/// The largest file that is asked for, in bytes. Of a file between this and the bound the
/// hash proves that it is too large.
const MAX_READ: u64 = 4 * MAX_FILE_BYTES;
/// The most bytes of declarations that are read to judge one tip.
const MAX_TOTAL: usize = 256 << 20;
/// How many bytes of declarations are remembered before all are forgotten.
const MAX_REMEMBERED: usize = 64 << 20;
/// How many lists of files are remembered before all are forgotten.
const MAX_LISTS: usize = 16;

/// The declarations of trees, each file read once.
pub(super) struct Declarations<'a> {
    store: Store<'a>,
    scopes: &'a Scopes<'a>,
    /// `None` for what no node reads.
    texts: HashMap<ObjectId, Option<Arc<str>>>,
    remembered: usize,
    lists: HashMap<(ObjectId, String), Rc<[File]>>,
    /// How many bytes were read.
    read: usize,
    /// How many files were handed to the judge.
    judged: usize,
}

impl<'a> Declarations<'a> {
    pub(super) fn new(store: Store<'a>, scopes: &'a Scopes<'a>) -> Self {
        Self {
            store,
            scopes,
            texts: HashMap::new(),
            remembered: 0,
            lists: HashMap::new(),
            read: 0,
            judged: 0,
        }
    }

    /// The files below `sdn/` in a directory of a tree, in the order of their paths, as far
    /// as a node can read them.
    fn files(
        &mut self,
        directories: &mut Directories<'_>,
        tree: ObjectId,
        directory: &str,
    ) -> Result<Rc<[File]>, DirectoryError> {
        let found = directories.at(tree, directory)?;
        let Some(Entry { mode: Mode::Directory, id: top, .. }) = found else {
            return Ok([].into());
        };
        let key = (top, directory.to_owned());
        if let Some(files) = self.lists.get(&key) {
            return Ok(Rc::clone(files));
        }
        let mut files = Vec::new();
        self.walk(directories, top, directory, 0, &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let files: Rc<[File]> = files.into();
        if self.lists.len() >= MAX_LISTS {
            self.lists.clear();
        }
        self.lists.insert(key, Rc::clone(&files));
        Ok(files)
    }

    fn walk(
        &mut self,
        directories: &mut Directories<'_>,
        directory: ObjectId,
        above: &str,
        depth: usize,
        files: &mut Vec<File>,
    ) -> Result<(), DirectoryError> {
        if depth > MAX_DEPTH {
            return Err(DirectoryError::TooDeep { path: above.to_owned() });
        }
        for entry in &*directories.entries(directory)? {
            let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
            let Ok(path) = format!("{above}/{name}").parse::<RepoPath>() else { continue };
            match entry.mode {
                Mode::Directory => {
                    self.walk(directories, entry.id, path.as_str(), depth + 1, files)?;
                }
                Mode::File | Mode::Executable if path.is_yaml() => {
                    let Some(text) = self.text(entry.id)? else { continue };
                    if files.len() >= MAX_FILES {
                        return Err(DirectoryError::TooMany);
                    }
                    files.push(File { path, id: entry.id, text });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn text(&mut self, id: ObjectId) -> Result<Option<Arc<str>>, ObjectError> {
        if let Some(text) = self.texts.get(&id) {
            return Ok(text.clone());
        }
        let text = match self.store.read(id, Kind::Blob, MAX_READ) {
            Ok(bytes) => {
                self.read += bytes.len();
                let small = bytes.len() as u64 <= MAX_FILE_BYTES;
                let text = small.then(|| String::from_utf8(bytes).ok()).flatten();
                text.map(Arc::<str>::from)
            }
            Err(ObjectError::WrongKind { .. }) => None,
            Err(error) => return Err(error),
        };
        let size = text.as_ref().map_or(0, |text| text.len());
        if self.remembered + size > MAX_REMEMBERED {
            self.texts.clear();
            self.remembered = 0;
        }
        self.remembered += size;
        self.texts.insert(id, text.clone());
        Ok(text)
    }
}

impl Climb<'_> {
    /// Whether a change keeps within a scope. A file below `sdn/` counts as a declaration
    /// wherever that directory lies, because each node has its own setting `path`.
    pub(super) fn within(
        &mut self,
        charge: &Charge<'_>,
        scope: &Scope,
        limited: &Limited,
    ) -> Result<(), Stop> {
        let id = charge.id;
        let shown = limited.path.escape_debug();
        let out = |how: String| refused(Reason::OutOfScope, id, how);
        for directory in directories_of(&limited.path) {
            let added = limited.after.as_ref();
            if let Some(entry) = added.filter(|e| !matches!(e.mode, Mode::File | Mode::Executable))
            {
                return Err(out(format!("`{shown}` is {}, not a regular file", entry.mode.what())));
            }
            let Ok(path) = limited.path.parse::<RepoPath>() else {
                return Err(out(format!("`{shown}` is not a name for a file of declarations")));
            };
            if !path.is_yaml() {
                if added.is_some() && Tree::looks_like_declarations(&path) {
                    return Err(out(format!("`{shown}` looks like declarations and is not read")));
                }
                continue;
            }
            let mut files = |tree| {
                let files = self.declarations.files(&mut self.directories, tree, directory);
                files.map_err(|error| unreadable(id, error))
            };
            let (before, after) = (files(charge.before)?, files(charge.tree)?);
            self.declarations.judged += before.len() + after.len();
            if self.declarations.read > MAX_TOTAL || self.declarations.judged > MAX_COMPARED {
                return Err(Stop::World(HistoryError::TooMuch));
            }
            if added.is_some() && !after.iter().any(|file| file.path == path) {
                return Err(out(format!(
                    "`{shown}` is no text, or larger than {MAX_FILE_BYTES} bytes"
                )));
            }
            let difference = Difference { scope, path: &path, before: &before, after: &after };
            (self.declarations.scopes)(&difference).map_err(out)?;
        }
        Ok(())
    }
}

/// Every directory of declarations in which a path lies, as seen from some setting `path`.
fn directories_of(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(end, _)| &path[..end]);
    ends.filter(|above| above.rsplit('/').next() == Some(DIRECTORY))
}

#[cfg(test)]
mod tests {
    use super::directories_of;

    #[test]
    fn directories_of_declarations() {
        let of = |path| directories_of(path).collect::<Vec<_>>();
        assert_eq!(of("sdn/a.yaml"), ["sdn"]);
        assert_eq!(of("lab/sdn/x/a.yaml"), ["lab/sdn"]);
        assert_eq!(of("sdn/x/sdn/a.yaml"), ["sdn", "sdn/x/sdn"]);
        assert_eq!(of("docs/sdn"), [""; 0]);
        assert_eq!(of("xsdn/a.yaml"), [""; 0]);
    }
}

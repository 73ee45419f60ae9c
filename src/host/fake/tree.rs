//! The files of the fake: what processes see, and what is on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Machine;
use crate::host::FoundFile;

/// Names of directories and files, by their paths: texts, because the tests compare
/// millions of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) directories: BTreeSet<String>,
    pub(super) files: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) seen: Arc<FoundFile>,
    /// What is on the disk; nothing before the first flush.
    pub(super) kept: Option<Arc<FoundFile>>,
}

impl Machine {
    pub(super) fn lose_power(&mut self) {
        let kept = &self.kept;
        let reachable = |path: &String| above(path).all(|d| kept.directories.contains(d));
        let files = kept.files.iter().filter(|(path, _)| reachable(path));
        self.seen = Tree {
            directories: kept.directories.iter().filter(|d| reachable(d)).cloned().collect(),
            files: files.map(|(path, inode)| (path.clone(), *inode)).collect(),
        };
        self.kept = self.seen.clone();
        for inode in &mut self.inodes {
            // A name that reached the disk before the contents stands for an empty file.
            let empty = FoundFile { bytes: Vec::new(), mode: inode.seen.mode };
            inode.seen = Arc::clone(inode.kept.get_or_insert_with(|| Arc::new(empty)));
        }
    }

    pub(super) fn flush_directory(&mut self, directory: &str) {
        let (seen, kept) = (&self.seen, &mut self.kept);
        let inside = |path: &str| parent(path) == directory;
        kept.files.retain(|path, _| !inside(path));
        let files = seen.files.iter().filter(|(path, _)| inside(path));
        kept.files.extend(files.map(|(path, inode)| (path.clone(), *inode)));
        // What was below a directory that is gone is gone with it.
        let gone = |path: &str| inside(path) && !seen.directories.contains(path);
        kept.files.retain(|path, _| !above(path).any(gone));
        kept.directories.retain(|path| !gone(path) && !above(path).any(gone));
        let directories = seen.directories.iter().filter(|path| inside(path));
        kept.directories.extend(directories.cloned());
    }

    pub(super) fn flush_file(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        inode.kept = Some(Arc::clone(&inode.seen));
    }
}

/// The directory of a path; that of `/x` is the empty text.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The directories above a path, the nearest first, without the root.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    let next = |path| Some(parent(path)).filter(|directory| !directory.is_empty());
    std::iter::successors(next(path), move |directory| next(directory))
}

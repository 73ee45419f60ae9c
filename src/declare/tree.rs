//! The files of one commit, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::Finding;
use super::{CLUSTER_FILE, DIRECTORY, constant_path};
use crate::value::RepoPath;

/// The most files below `sdn/`.
pub const MAX_FILES: usize = 10_000;
/// The largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most bytes of all files together.
pub const MAX_BYTES: u64 = 32 << 20;

/// The texts of one commit that a node reads: `weft.yaml` and the declarations.
/// No symbolic link, no submodule, no checkout.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The node's setting `path`: where in the repository this cluster lies.
    base: Option<RepoPath>,
    files: BTreeMap<RepoPath, Arc<str>>,
    /// Files below `sdn/` that look like declarations and are not read.
    unread: Vec<RepoPath>,
    /// What is wrong with files that cannot be read at all.
    unusable: Vec<Finding>,
}

impl Tree {
    /// A tree of these files, whose paths are those of the repository.
    pub fn new(
        base: Option<RepoPath>,
        files: impl IntoIterator<Item = (RepoPath, Arc<str>)>,
    ) -> Self {
        Self { base, files: files.into_iter().collect(), ..Self::default() }
    }

    /// With files that look like declarations, and are not read for their names.
    #[must_use]
    pub fn with_unread(mut self, unread: Vec<RepoPath>) -> Self {
        self.unread = unread;
        self
    }

    /// With what is wrong with files that cannot be read at all.
    #[must_use]
    pub fn with_unusable(mut self, unusable: Vec<Finding>) -> Self {
        self.unusable = unusable;
        self
    }

    /// What is wrong with files that cannot be read at all.
    pub fn unusable(&self) -> &[Finding] {
        &self.unusable
    }

    /// The files that look like declarations and are not read.
    pub fn unread(&self) -> &[RepoPath] {
        &self.unread
    }

    /// Whether a name looks like that of declarations: YAML in another spelling, or a
    /// file of Proxmox VE.
    pub fn looks_like_declarations(path: &RepoPath) -> bool {
        let extension = path.file_name().rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|extension| {
            ["yml", "yaml", "cfg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        })
    }

    /// The repository path of a file of this cluster.
    pub fn path(&self, below: &str) -> RepoPath {
        match &self.base {
            Some(base) => constant_path(&format!("{base}/{below}")),
            None => constant_path(below),
        }
    }

    /// The text of a file.
    pub fn get(&self, path: &RepoPath) -> Option<&Arc<str>> {
        self.files.get(path)
    }

    /// The files of declarations, in the order of their paths.
    pub fn declarations(&self) -> impl Iterator<Item = (&RepoPath, &Arc<str>)> {
        let directory = self.path(DIRECTORY);
        self.files
            .iter()
            .filter(move |(path, _)| path.is_below(directory.as_str()) && path.is_yaml())
    }

    /// Whether a file at this path is one that a node reads.
    pub fn wants(base: Option<&RepoPath>, path: &RepoPath) -> bool {
        let empty = Self { base: base.cloned(), ..Self::default() };
        *path == empty.path(CLUSTER_FILE)
            || (path.is_below(empty.path(DIRECTORY).as_str()) && path.is_yaml())
    }
}

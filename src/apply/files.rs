//! The files of a node as a generation has them, and where their contents are kept.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::StateError;
use super::generation::{FILE_LIMIT, Generation, ManifestFile};
use super::journal::{Kind, Record};
use crate::host::{FoundFile, Host, HostError};
use crate::plan::Texts;
use crate::render::{Managed, VERSION_LINE, without_version};
use crate::value::Digest;

/// What the files of a node should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(BTreeMap<Managed, Option<Kept>>);

/// A copy of a file in the directory of a generation.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) path: Utf8PathBuf,
    pub(super) file: ManifestFile,
}

impl Kept {
    fn read(&self, host: &impl Host) -> Result<FoundFile, StateError> {
        let bytes = verified(host, &self.path, self.file.sha256)?;
        Ok(FoundFile { bytes, mode: self.file.mode })
    }
}

impl Files {
    pub(super) fn new(files: impl IntoIterator<Item = (Managed, Option<Kept>)>) -> Self {
        Self(files.into_iter().collect())
    }

    /// The copy of a file; none of one that should not be there.
    pub(super) fn kept(&self, managed: &Managed) -> Option<&Kept> {
        self.0.get(managed)?.as_ref()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = Managed> + '_ {
        self.0.keys().cloned()
    }

    pub(super) fn into_each(self) -> impl Iterator<Item = (Managed, Option<Kept>)> {
        self.0.into_iter()
    }

    /// Each file that is not as it should be.
    ///
    /// Something that cannot be read in its place, such as a link, is not.
    pub(super) fn away<'a>(&'a self, host: &'a impl Host) -> impl Iterator<Item = &'a Managed> {
        self.0.keys().filter(|managed| !self.is_in_place(host, managed))
    }

    /// Whether the node has every file as it should be.
    pub(super) fn is_on_node(&self, host: &impl Host) -> bool {
        self.away(host).next().is_none()
    }

    fn is_in_place(&self, host: &impl Host, managed: &Managed) -> bool {
        match (self.kept(managed), host.read(&managed.path(), FILE_LIMIT)) {
            (Some(kept), Ok(Some(found))) => {
                kept.file.is(&found) || is_renumbered(host, managed, kept, &found)
            }
            (None, Ok(None)) => true,
            _ => false,
        }
    }

    /// A file as it should be; `None` where there should be none.
    pub(super) fn read(
        &self,
        host: &impl Host,
        managed: &Managed,
    ) -> Result<Option<FoundFile>, StateError> {
        self.kept(managed).map(|kept| kept.read(host)).transpose()
    }

    /// Where the contents of a file are; none of one that should not be there.
    pub(super) fn copy(&self, managed: &Managed) -> Option<&camino::Utf8Path> {
        self.kept(managed).map(|kept| kept.path.as_path())
    }

    /// The contents of every file.
    pub(super) fn texts(&self, host: &impl Host) -> Result<Texts, StateError> {
        let mut texts = Texts::new();
        for managed in self.0.keys() {
            if let Some(file) = self.read(host, managed)? {
                texts.insert(managed.clone(), file.bytes);
            }
        }
        Ok(texts)
    }

    /// The text of a file, empty where there should be none.
    pub(super) fn text(&self, host: &impl Host, managed: &Managed) -> Result<String, StateError> {
        Ok(self.read(host, managed)?.map(|file| file.text()).unwrap_or_default())
    }

    /// Brings the node's files to this, durably. What is in place is not written again,
    /// so that this works on a full disk where nothing was changed.
    pub(super) fn put_back(&self, host: &impl Host) -> Result<(), StateError> {
        for managed in self.0.keys() {
            let path = managed.path();
            if self.is_in_place(host, managed) {
                // Perhaps by a write whose flush failed or never came.
                host.flush(&path)?;
                continue;
            }
            match self.read(host, managed)? {
                Some(file) => host.replace(&path, &file.bytes, file.mode)?,
                None => host.remove(&path)?,
            }
        }
        Ok(())
    }
}

/// Whether a file differs from its copy in the number of its version line alone: what is
/// applied by others is numbered by them.
pub(super) fn is_renumbered(
    host: &impl Host,
    managed: &Managed,
    kept: &Kept,
    found: &FoundFile,
) -> bool {
    let numbered = |file: &FoundFile| {
        let text = std::str::from_utf8(&file.bytes).ok()?;
        text.starts_with(VERSION_LINE).then(|| without_version(text).to_owned())
    };
    let is_candidate = *managed == Managed::Interfaces && kept.file.mode == found.mode;
    is_candidate
        && numbered(found).is_some_and(|text| {
            kept.read(host).is_ok_and(|file| numbered(&file).as_ref() == Some(&text))
        })
}

/// The two generations of an apply that changes files.
#[derive(Debug)]
pub(super) struct Way {
    kind: Kind,
    tried: Generation,
    previous: Generation,
}

impl Way {
    pub(super) fn load(host: &impl Host, record: &Record) -> Result<Self, StateError> {
        Ok(Self {
            kind: record.kind,
            tried: Generation::load(host, record.generation)?,
            previous: Generation::load(host, record.previous)?,
        })
    }

    /// Whether everything that both ends need is there.
    pub(super) fn verify(&self, host: &impl Host) -> Result<(), StateError> {
        self.tried.verify(host)?;
        self.previous.verify(host)
    }

    /// What it leads to.
    pub(super) fn forward(&self) -> Files {
        match self.kind {
            Kind::Apply | Kind::Advance => self.tried.files(),
            Kind::Restore => self.tried.files_beside(&self.previous),
        }
    }

    /// What it leads back to.
    pub(super) fn back(&self) -> Files {
        let mut files = self.previous.files_beside(&self.tried);
        // The administrator's file is as it was right before it, and nobody knows when
        // that was of a generation that is only restored.
        let daemons = Managed::FrrDaemons;
        if self.kind == Kind::Apply && self.tried.manifest.speaks_of(&daemons) {
            files.0.insert(daemons.clone(), self.tried.before(&daemons));
        }
        files
    }
}

/// The bytes of a file of state that must be there with these contents.
pub(super) fn verified(
    host: &impl Host,
    path: &camino::Utf8Path,
    digest: Digest,
) -> Result<Vec<u8>, StateError> {
    let damaged = |message: String| StateError::damaged(path, message);
    let file = host.read(path, FILE_LIMIT)?.ok_or_else(|| damaged("is missing".to_owned()))?;
    let found = Digest::of(&file.bytes);
    if found == digest {
        return Ok(file.bytes);
    }
    let (found, wanted) = (found.short(), digest.short());
    Err(damaged(format!("has the SHA-256 {found}…, where {wanted}… was recorded")))
}

/// What is on the node under these names.
pub(super) fn on_node(
    host: &impl Host,
    files: impl IntoIterator<Item = Managed>,
) -> Result<BTreeMap<Managed, FoundFile>, HostError> {
    let mut found = BTreeMap::new();
    for managed in files {
        if let Some(file) = host.read(&managed.path(), FILE_LIMIT)? {
            found.insert(managed, file);
        }
    }
    Ok(found)
}

//! Generations: what was applied, as files that a person can read and copy.
//!
//! `/var/lib/weft/gen/00000003/` holds `manifest.json`, `facts.json` and below
//! `files/` each file under its path on the node. The manifest has the digests of all
//! the others, the journal has the manifest's. Generation 0 is what was found before
//! weft: it has no commit, no rendering and no facts.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::StateError;
use crate::facts::Facts;
use crate::host::{FoundFile, Host, HostError};
use crate::render::{Managed, Profile, Rendering};
use crate::sync::CommitRecord;
use crate::value::{Digest, IfName, NodeName, VnetId};

/// Where generations lie.
pub(super) const DIRECTORY: &str = "/var/lib/weft/gen";

/// The format of manifests that this version writes and reads. A manifest speaks of
/// every file of [`Managed::ALL`], so a new file there is a new format.
pub(super) const FORMAT: u32 = 2;

/// The most bytes of a file that weft manages, of a manifest and of recorded facts.
pub(super) const FILE_LIMIT: u64 = 16 << 20;

/// A generation by its number, and the digest of its manifest by which it is known
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The number of the generation.
    pub number: u64,
    /// The SHA-256 of `manifest.json`.
    pub manifest: Digest,
}

/// What a generation consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of the manifest: 1.
    pub format: u32,
    /// The number of the generation.
    pub number: u64,
    /// The node.
    pub node: NodeName,
    /// The commit that it was made from; none for generation 0.
    pub commit: Option<CommitRecord>,
    /// The profile that it was rendered for; none for generation 0.
    pub profile: Option<Profile>,
    /// The digest of the rendering; none for generation 0.
    pub rendering: Option<Digest>,
    /// The SHA-256 of `facts.json`; none for generation 0.
    pub facts: Option<Digest>,
    /// The files.
    pub files: BTreeMap<Managed, ManifestFile>,
    /// The managed files that should not be there.
    pub absent: BTreeSet<Managed>,
    /// The interfaces that the files make, and the vnets that each one serves.
    pub interfaces: BTreeMap<IfName, Vec<VnetId>>,
}

/// A file of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Where it lies on the node.
    pub path: Utf8PathBuf,
    /// The SHA-256 of its contents.
    pub sha256: Digest,
    /// Its permission bits.
    pub mode: u32,
}

impl ManifestFile {
    fn of(managed: Managed, file: &FoundFile) -> Self {
        let path = managed.path().to_owned();
        Self { path, sha256: Digest::of(&file.bytes), mode: file.mode }
    }

    fn is(&self, file: &FoundFile) -> bool {
        self.mode == file.mode && self.sha256 == Digest::of(&file.bytes)
    }
}

/// Whether what is on the node at a managed path is what the manifest says.
///
/// Something that cannot be read there, such as a link, is not.
pub(super) fn is_in_place(host: &impl Host, manifest: &Manifest, managed: Managed) -> bool {
    match (manifest.files.get(&managed), host.read(managed.path(), FILE_LIMIT)) {
        (Some(wanted), Ok(Some(found))) => wanted.is(&found),
        (None, Ok(None)) => true,
        _ => false,
    }
}

/// A generation that is not on the disk yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) manifest: Manifest,
    files: BTreeMap<Managed, FoundFile>,
    facts: Vec<u8>,
    text: Vec<u8>,
}

impl Draft {
    /// Generation 0: what is on the node.
    pub(super) fn found(host: &impl Host, node: NodeName) -> Result<Self, StateError> {
        let mut files = BTreeMap::new();
        for &managed in Managed::ALL {
            if let Some(file) = host.read(managed.path(), FILE_LIMIT)? {
                files.insert(managed, file);
            }
        }
        let nothing = Rendering {
            profile: Profile::default(),
            files: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            notes: Vec::new(),
        };
        Self::new(0, node, None, &nothing, None, files)
    }

    /// A generation with these files. Without a commit it has neither rendering nor
    /// facts.
    pub(super) fn new(
        number: u64,
        node: NodeName,
        commit: Option<CommitRecord>,
        rendering: &Rendering,
        facts: Option<&Facts>,
        files: BTreeMap<Managed, FoundFile>,
    ) -> Result<Self, StateError> {
        let directory = directory(number);
        let facts = match facts {
            Some(facts) => super::json(&directory.join("facts.json"), facts)?,
            None => Vec::new(),
        };
        let absent = Managed::ALL.iter().filter(|managed| !files.contains_key(managed));
        let manifest = Manifest {
            format: FORMAT,
            number,
            node,
            profile: commit.is_some().then_some(rendering.profile),
            rendering: commit.is_some().then(|| rendering.digest()),
            facts: (!facts.is_empty()).then(|| Digest::of(&facts)),
            commit,
            files: files.iter().map(|(m, file)| (*m, ManifestFile::of(*m, file))).collect(),
            absent: absent.copied().collect(),
            interfaces: rendering.interfaces.clone(),
        };
        let text = super::json(&directory.join("manifest.json"), &manifest)?;
        Ok(Self { manifest, files, facts, text })
    }

    pub(super) fn link(&self) -> Link {
        Link { number: self.manifest.number, manifest: Digest::of(&self.text) }
    }

    /// How many bytes it takes on the disk.
    pub(super) fn size(&self) -> u64 {
        let files = self.files.values().map(|file| file.bytes.len());
        (files.sum::<usize>() + self.facts.len() + self.text.len()) as u64
    }

    /// Writes it, the manifest last: what has none is no generation.
    pub(super) fn write(&self, host: &impl Host) -> Result<(), HostError> {
        let directory = directory(self.manifest.number);
        // What an earlier draft of this number left.
        host.remove_directory(&directory)?;
        for (managed, file) in &self.files {
            host.replace(&copy(&directory, *managed), &file.bytes, 0o600)?;
        }
        if self.manifest.facts.is_some() {
            host.replace(&directory.join("facts.json"), &self.facts, 0o600)?;
        }
        host.replace(&directory.join("manifest.json"), &self.text, 0o600)
    }
}

/// A generation on the disk whose manifest is the one that the journal names.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) link: Link,
    pub(super) manifest: Manifest,
}

impl Generation {
    pub(super) fn load(host: &impl Host, link: Link) -> Result<Self, StateError> {
        let path = directory(link.number).join("manifest.json");
        let text = verified(host, &path, link.manifest)?;
        let manifest: Manifest = super::from_json(&path, &text)?;
        let whole = Managed::ALL.iter().all(|managed| {
            manifest.files.contains_key(managed) != manifest.absent.contains(managed)
        });
        let placed = manifest.files.iter().all(|(managed, file)| file.path == managed.path());
        if manifest.format != FORMAT || manifest.number != link.number || !whole || !placed {
            let message = "does not speak of this generation's files".to_owned();
            return Err(StateError::damaged(path, message));
        }
        Ok(Self { link, manifest })
    }

    /// A file of the generation as it should be on the node; `None` where there should
    /// be none.
    pub(super) fn file(
        &self,
        host: &impl Host,
        managed: Managed,
    ) -> Result<Option<FoundFile>, StateError> {
        let Some(wanted) = self.manifest.files.get(&managed) else { return Ok(None) };
        let path = copy(&directory(self.link.number), managed);
        let bytes = verified(host, &path, wanted.sha256)?;
        Ok(Some(FoundFile { bytes, mode: wanted.mode }))
    }

    /// Whether every copy and the facts are what the manifest says.
    pub(super) fn verify(&self, host: &impl Host) -> Result<(), StateError> {
        for &managed in Managed::ALL {
            self.file(host, managed)?;
        }
        match self.manifest.facts {
            Some(digest) => {
                let path = directory(self.link.number).join("facts.json");
                verified(host, &path, digest).map(drop)
            }
            None => Ok(()),
        }
    }

    /// Brings the node's files to this generation, durably. What is in place is not
    /// written again, so that this works on a full disk where nothing was changed.
    pub(super) fn put_back(&self, host: &impl Host) -> Result<(), StateError> {
        for &managed in Managed::ALL {
            if is_in_place(host, &self.manifest, managed) {
                // Perhaps by a write whose flush failed or never came.
                host.flush(managed.path())?;
                continue;
            }
            match self.file(host, managed)? {
                Some(file) => host.replace(managed.path(), &file.bytes, file.mode)?,
                None => host.remove(managed.path())?,
            }
        }
        Ok(())
    }

    /// Whether the node has every file of this generation.
    pub(super) fn is_on_node(&self, host: &impl Host) -> bool {
        Managed::ALL.iter().all(|managed| is_in_place(host, &self.manifest, *managed))
    }
}

/// Where a generation lies.
pub(super) fn directory(number: u64) -> Utf8PathBuf {
    Utf8Path::new(DIRECTORY).join(format!("{number:08}"))
}

/// The numbers of the generations that are on the disk, whole or not. What has
/// another name is left alone.
pub(super) fn numbers(host: &impl Host) -> Result<Vec<u64>, HostError> {
    let names = host.list(Utf8Path::new(DIRECTORY))?;
    let numbers = names.iter().filter_map(|name| {
        let number = name.parse().ok()?;
        (directory(number).file_name() == Some(name)).then_some(number)
    });
    Ok(numbers.collect())
}

/// The copy of a file in the directory of a generation.
fn copy(directory: &Utf8Path, managed: Managed) -> Utf8PathBuf {
    let path = managed.path();
    directory.join("files").join(path.strip_prefix("/").unwrap_or(path))
}

/// A file of state that must be there with these contents.
fn verified(host: &impl Host, path: &Utf8Path, digest: Digest) -> Result<Vec<u8>, StateError> {
    let damaged = |message: String| StateError::damaged(path, message);
    let file = host.read(path, FILE_LIMIT)?.ok_or_else(|| damaged("is missing".to_owned()))?;
    let found = Digest::of(&file.bytes);
    if found == digest {
        return Ok(file.bytes);
    }
    let (found, wanted) = (found.short(), digest.short());
    Err(damaged(format!("has the SHA-256 {found}…, where {wanted}… was recorded")))
}

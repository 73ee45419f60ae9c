//! Generations: what was applied, as files that a person can read and copy.
//!
//! `/var/lib/weft/gen/00000003/` holds `manifest.json`, `facts.json`, below `files/` each
//! file under its path on the node, and below `before/` what was under these paths
//! before weft. The manifest has the digests of all the others, the journal has the
//! manifest's.
//!
//! A generation speaks of the files that it has, and of those that weft took away. Of a
//! file that only a later generation speaks of, that one keeps what was there before, so
//! that the set of files may grow at any time and the way back to every generation is
//! whole. Generation 0 is what was found before weft: it speaks of no file, and has no
//! commit, no rendering and no facts.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::StateError;
use super::files::{Files, Kept, verified};
use crate::facts::Facts;
use crate::host::{FoundFile, Host, HostError};
use crate::plan::Texts;
use crate::render::{Managed, Profile, Rendering};
use crate::sync::CommitRecord;
use crate::value::{Digest, IfName, NodeName, VnetId};

/// Where generations lie.
pub(super) const DIRECTORY: &str = "/var/lib/weft/gen";

/// The format of manifests that this version writes and reads.
pub(super) const FORMAT: u32 = 3;

/// The most bytes of a file that weft manages, of a manifest and of recorded facts.
pub(super) const FILE_LIMIT: u64 = 32 << 20;

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
    /// The format of the manifest: 3.
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
    /// The files that weft took away.
    pub absent: BTreeSet<Managed>,
    /// What was there before weft of each of both; none where nothing was.
    pub before: BTreeMap<Managed, Option<ManifestFile>>,
    /// The interfaces that the files make, and the vnets that each one serves.
    pub interfaces: BTreeMap<IfName, Vec<VnetId>>,
}

/// A file of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// The SHA-256 of its contents.
    pub sha256: Digest,
    /// Its permission bits.
    pub mode: u32,
}

impl ManifestFile {
    pub(super) fn of(file: &FoundFile) -> Self {
        Self { sha256: Digest::of(&file.bytes), mode: file.mode }
    }

    pub(super) fn is(self, file: &FoundFile) -> bool {
        self.mode == file.mode && self.sha256 == Digest::of(&file.bytes)
    }
}

impl Manifest {
    /// Whether the generation says what a file should be.
    pub(super) fn speaks_of(&self, managed: &Managed) -> bool {
        self.files.contains_key(managed) || self.absent.contains(managed)
    }

    /// The files that the generation says something of.
    fn spoken(&self) -> BTreeSet<&Managed> {
        self.files.keys().chain(&self.absent).collect()
    }
}

/// The files of a generation that is not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) files: BTreeMap<Managed, FoundFile>,
    pub(super) absent: BTreeSet<Managed>,
    pub(super) before: BTreeMap<Managed, Option<FoundFile>>,
}

/// A generation that is not on the disk yet.
#[derive(Debug)]
pub(super) struct Draft {
    manifest: Manifest,
    contents: Contents,
    facts: Vec<u8>,
    text: Vec<u8>,
}

impl Draft {
    /// Generation 0: what is on the node.
    pub(super) fn found(node: NodeName) -> Result<Self, StateError> {
        let nothing = Rendering {
            profile: Profile::default(),
            files: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            notes: Vec::new(),
            obstacle: None,
        };
        Self::new(0, node, None, &nothing, None, Contents::default())
    }

    /// A generation with these files. Without a commit it has neither rendering nor
    /// facts.
    pub(super) fn new(
        number: u64,
        node: NodeName,
        commit: Option<CommitRecord>,
        rendering: &Rendering,
        facts: Option<&Facts>,
        contents: Contents,
    ) -> Result<Self, StateError> {
        let directory = directory(number);
        let facts = match facts {
            Some(facts) => super::json(&directory.join("facts.json"), facts)?,
            None => Vec::new(),
        };
        let Contents { files, absent, before } = &contents;
        let manifest = Manifest {
            format: FORMAT,
            number,
            node,
            profile: commit.is_some().then_some(rendering.profile),
            rendering: commit.is_some().then(|| rendering.digest()),
            facts: (!facts.is_empty()).then(|| Digest::of(&facts)),
            commit,
            files: files.iter().map(|(m, file)| (m.clone(), ManifestFile::of(file))).collect(),
            absent: absent.clone(),
            before: before
                .iter()
                .map(|(m, file)| (m.clone(), file.as_ref().map(ManifestFile::of)))
                .collect(),
            interfaces: rendering.interfaces.clone(),
        };
        let text = super::json(&directory.join("manifest.json"), &manifest)?;
        Ok(Self { manifest, contents, facts, text })
    }

    pub(super) fn link(&self) -> Link {
        Link { number: self.manifest.number, manifest: Digest::of(&self.text) }
    }

    /// The contents of its files.
    pub(super) fn texts(&self) -> Texts {
        let files = self.contents.files.iter();
        files.map(|(managed, file)| (managed.clone(), file.bytes.clone())).collect()
    }

    /// How many bytes it takes on the disk.
    pub(super) fn size(&self) -> u64 {
        let files = self.copies().map(|(_, file)| file.bytes.len());
        (files.sum::<usize>() + self.facts.len() + self.text.len()) as u64
    }

    /// Every copy with its place.
    fn copies(&self) -> impl Iterator<Item = (Utf8PathBuf, &FoundFile)> {
        let number = self.manifest.number;
        let Contents { files, before, .. } = &self.contents;
        let files = files.iter().map(move |(m, file)| (copy(number, FILES, m), file));
        let before = before.iter().filter_map(|(m, file)| Some((m, file.as_ref()?)));
        files.chain(before.map(move |(m, file)| (copy(number, BEFORE, m), file)))
    }

    /// Writes it, the manifest last: what has none is no generation.
    pub(super) fn write(&self, host: &impl Host) -> Result<(), HostError> {
        let directory = directory(self.manifest.number);
        // What an earlier draft of this number left.
        host.remove_directory(&directory)?;
        for (path, file) in self.copies() {
            host.replace(&path, &file.bytes, 0o600)?;
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
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let path = directory(link.number).join("manifest.json");
        let text = verified(host, &path, link.manifest)?;
        let Head { format } = super::from_json(&path, &text)?;
        if format != FORMAT {
            let message = format!("has the format {format}, which this version does not read");
            return Err(StateError::damaged(path, message));
        }
        let manifest: Manifest = super::from_json(&path, &text)?;
        let once = manifest.files.keys().all(|managed| !manifest.absent.contains(managed));
        let whole = manifest.before.keys().eq(manifest.spoken());
        if manifest.number != link.number || !once || !whole {
            let message = "does not speak of this generation's files".to_owned();
            return Err(StateError::damaged(path, message));
        }
        Ok(Self { link, manifest })
    }

    fn kept(&self, part: &str, managed: &Managed, file: ManifestFile) -> Kept {
        Kept { path: copy(self.link.number, part, managed), file }
    }

    /// The files that it speaks of.
    pub(super) fn files(&self) -> Files {
        let own = |managed: &Managed| {
            let file = self.manifest.files.get(managed);
            file.map(|file| self.kept(FILES, managed, *file))
        };
        let spoken = self.manifest.spoken().into_iter();
        Files::new(spoken.map(|managed| (managed.clone(), own(managed))))
    }

    /// The files that it speaks of, and of those that only the other one does what was
    /// there before. Not the administrator's.
    pub(super) fn files_beside(&self, other: &Self) -> Files {
        let theirs = other.manifest.before.keys();
        let theirs = theirs.filter(|managed| !self.manifest.speaks_of(managed));
        let theirs = theirs.map(|m| (m.clone(), other.before(m)));
        let own = self.files().into_each().chain(theirs);
        Files::new(own.filter(|(managed, _)| *managed != Managed::FrrDaemons))
    }

    /// What was in the place of a file before weft; none where nothing was, and of a file
    /// that the generation does not speak of.
    pub(super) fn before(&self, managed: &Managed) -> Option<Kept> {
        let before = self.manifest.before.get(managed)?;
        before.map(|file| self.kept(BEFORE, managed, file))
    }

    /// Everything that was there before weft.
    pub(super) fn all_before(
        &self,
        host: &impl Host,
    ) -> Result<BTreeMap<Managed, Option<FoundFile>>, StateError> {
        let all = || {
            let keys = self.manifest.before.keys();
            keys.map(|m| (m.clone(), self.before(m)))
        };
        let files = Files::new(all());
        all().map(|(m, _)| Ok((m.clone(), files.read(host, &m)?))).collect()
    }

    /// Whether every copy and the facts are what the manifest says.
    pub(super) fn verify(&self, host: &impl Host) -> Result<(), StateError> {
        let files = self.files();
        for managed in self.manifest.files.keys() {
            files.read(host, managed)?;
        }
        self.all_before(host)?;
        match self.manifest.facts {
            Some(digest) => {
                let path = directory(self.link.number).join("facts.json");
                verified(host, &path, digest).map(drop)
            }
            None => Ok(()),
        }
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

/// Below this directory of a generation are its files, and below the other one what was
/// there before.
const FILES: &str = "files";
const BEFORE: &str = "before";

/// The copy of a file in one of both.
fn copy(number: u64, part: &str, managed: &Managed) -> Utf8PathBuf {
    let path = managed.path();
    directory(number).join(part).join(path.strip_prefix("/").unwrap_or(&path))
}

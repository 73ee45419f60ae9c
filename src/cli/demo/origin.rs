//! The git server of the demo, and the people who push to it.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use ssh_key::{HashAlg, PrivateKey};
use tempfile::TempDir;

use super::repository::{self, Author, Repository};
use crate::cli::failure::{Exit, Failure};
use crate::host::{Host as _, Linux};
use crate::value::ObjectId;

const POLICY: &str = "roles:\n  root: {principals: [alice@example.org]}\n";
const ALICE: (&str, &str) = ("Alice", "alice@example.org");

/// A bare repository in a temporary directory, and two keys.
pub(super) struct Origin {
    directory: TempDir,
    repository: Repository,
    alice: PrivateKey,
    mallory: PrivateKey,
    /// This machine; nothing but the time is taken from it.
    host: Linux,
    /// The tip of the good line.
    pub(super) tip: Option<ObjectId>,
    /// The first commit.
    pub(super) first: Option<ObjectId>,
}

/// Who signs a commit.
#[derive(Clone, Copy)]
pub(super) enum Signer {
    Alice,
    Mallory,
    Nobody,
}

pub(super) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}

impl Origin {
    /// An empty repository in a temporary directory, which is removed with it.
    pub(super) fn set() -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("weft-demo-").map_err(|error| failed(&error))?;
        let path = utf8(directory.path())?;
        Ok(Self {
            repository: Repository::create(&path.join("network.git")).map_err(|e| failed(&e))?,
            alice: repository::key_from_random().map_err(|error| failed(&error))?,
            mallory: repository::key_from_random().map_err(|error| failed(&error))?,
            host: Linux::new(None),
            directory,
            tip: None,
            first: None,
        })
    }

    /// The temporary directory.
    pub(super) fn path(&self) -> Result<Utf8PathBuf, Failure> {
        utf8(self.directory.path())
    }

    /// Where the repository is.
    pub(super) fn repository_path(&self) -> Result<Utf8PathBuf, Failure> {
        Ok(self.path()?.join("network.git"))
    }

    /// The first commit: declarations, and who may change them.
    pub(super) fn found(&mut self, declarations: &[(&str, &str)]) -> Result<ObjectId, Failure> {
        let key = self.alice.public_key().to_openssh().map_err(|error| failed(&error))?;
        let signers = format!("{} namespaces=\"git\" {}\n", ALICE.1, key.trim());
        let mut files: Vec<(&str, &str)> = declarations.to_vec();
        files.push((".weft/allowed_signers", &signers));
        files.push((".weft/policy.yaml", POLICY));
        let commit = self.commit(None, &files, "Found the network", Signer::Alice)?;
        self.first = Some(commit);
        self.push_good(commit)?;
        Ok(commit)
    }

    /// The lines of a node's settings by which it trusts the first commit.
    pub(super) fn introduction(&self) -> Result<String, Failure> {
        let first = self.first.ok_or_else(|| Failure::new(Exit::Failed, "no first commit"))?;
        let signer = self.alice.public_key().fingerprint(HashAlg::Sha256);
        Ok(format!("introduction:\n  commit: {first}\n  signer: \"{signer}\"\n"))
    }

    /// A commit upon another.
    pub(super) fn commit(
        &self,
        parent: Option<ObjectId>,
        files: &[(&str, &str)],
        message: &str,
        signer: Signer,
    ) -> Result<ObjectId, Failure> {
        let files: BTreeMap<String, Option<Vec<u8>>> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec())))
            .collect();
        let parents: Vec<ObjectId> = parent.into_iter().collect();
        self.repository
            .commit(&parents, &files, message, self.author(signer))
            .map_err(|error| failed(&error))
    }

    /// What `git revert` makes: a new commit with the files of an older one.
    pub(super) fn revert_to(&self, old: ObjectId, message: &str) -> Result<ObjectId, Failure> {
        let tip = self.tip.unwrap_or(old);
        self.repository
            .restore(tip, old, message, self.author(Signer::Alice))
            .map_err(|error| failed(&error))
    }

    fn author(&self, signer: Signer) -> Author<'_> {
        let (name, key) = match signer {
            Signer::Alice => (ALICE.0, Some(&self.alice)),
            Signer::Mallory => (ALICE.0, Some(&self.mallory)),
            Signer::Nobody => ("Nobody", None),
        };
        Author { name, email: ALICE.1, time: self.host.now(), key }
    }

    /// Makes a commit the tip of the branch.
    pub(super) fn push(&self, commit: ObjectId) -> Result<(), Failure> {
        self.repository.set_branch("main", commit).map_err(|error| failed(&error))
    }

    /// Makes a commit the tip of the branch and of the good line.
    pub(super) fn push_good(&mut self, commit: ObjectId) -> Result<(), Failure> {
        self.tip = Some(commit);
        self.push(commit)
    }
}

pub(super) fn utf8(path: &std::path::Path) -> Result<Utf8PathBuf, Failure> {
    Utf8Path::from_path(path)
        .map(Utf8Path::to_owned)
        .ok_or_else(|| Failure::new(Exit::Failed, format!("`{}` is not UTF-8", path.display())))
}

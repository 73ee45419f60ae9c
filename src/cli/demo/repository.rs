//! A bare git repository, written in process: the user's side of the story.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};

use camino::Utf8Path;
use git2::{FileMode, Index, IndexEntry, IndexTime, ObjectType, Oid, RepositoryInitOptions};
use jiff::Timestamp;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use thiserror::Error;

use crate::value::ObjectId;

/// A bare git repository in a directory.
pub struct Repository {
    git: git2::Repository,
}

/// Who commits, when, and with which key; author and committer alike.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The name.
    pub name: &'a str,
    /// The address for mail.
    pub email: &'a str,
    /// When; git keeps whole seconds.
    pub time: Timestamp,
    /// What the commit is signed with; `None` leaves it unsigned.
    pub key: Option<&'a PrivateKey>,
}

impl Repository {
    /// Makes an empty repository, whose `HEAD` is the branch `main`.
    pub fn create(path: &Utf8Path) -> Result<Self, RepositoryError> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).external_template(false).initial_head("main");
        let git = git2::Repository::init_opts(path, &options);
        Ok(Self { git: git.map_err(RepositoryError::of("create the repository"))? })
    }

    /// Makes a commit. Its tree is that of the first parent, or the empty one, with
    /// the files of `files` put in place; `None` removes one. Moves no branch.
    pub fn commit(
        &self,
        parents: &[ObjectId],
        files: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
        author: Author<'_>,
    ) -> Result<ObjectId, RepositoryError> {
        let base = parents.first().copied();
        let tree = self
            .changed_tree(base, files)
            .map_err(RepositoryError::of("write the files of a commit"))?;
        self.commit_tree(tree, parents, message, author)
    }

    /// Makes a commit on `onto` that has the files which `like` has: the tree of the
    /// one with the history of the other. Moves no branch.
    pub fn restore(
        &self,
        onto: ObjectId,
        like: ObjectId,
        message: &str,
        author: Author<'_>,
    ) -> Result<ObjectId, RepositoryError> {
        let tree = self
            .git
            .find_commit(oid(like))
            .map(|commit| commit.tree_id())
            .map_err(RepositoryError::of("read a commit"))?;
        self.commit_tree(tree, &[onto], message, author)
    }

    /// Takes back a commit as `git revert` does right after it: makes a commit on it
    /// that has the files of its first parent. Moves no branch.
    pub fn revert(
        &self,
        commit: ObjectId,
        author: Author<'_>,
    ) -> Result<ObjectId, RepositoryError> {
        let read = RepositoryError::of("read the commit to revert");
        let reverted = self.git.find_commit(oid(commit)).map_err(&read)?;
        let parent = object_id(reverted.parent_id(0).map_err(&read)?);
        let subject = String::from_utf8_lossy(reverted.summary_bytes().unwrap_or_default());
        let message = format!("Revert \"{subject}\"\n\nThis reverts commit {commit}.\n");
        self.restore(commit, parent, &message, author)
    }

    /// Points a branch at a commit, wherever it pointed before.
    pub fn set_branch(&self, branch: &str, commit: ObjectId) -> Result<(), RepositoryError> {
        self.git
            .reference(&format!("refs/heads/{branch}"), oid(commit), true, "set")
            .map(drop)
            .map_err(RepositoryError::of("set a branch"))
    }

    fn changed_tree(
        &self,
        base: Option<ObjectId>,
        files: &BTreeMap<String, Option<Vec<u8>>>,
    ) -> Result<Oid, git2::Error> {
        let mut index = Index::new()?;
        if let Some(base) = base {
            index.read_tree(&self.git.find_commit(oid(base))?.tree()?)?;
        }
        for (path, bytes) in files {
            match bytes {
                Some(bytes) => index.add(&entry(path, self.git.blob(bytes)?))?,
                None => index.remove(path.as_ref(), 0)?,
            }
        }
        index.write_tree_to(&self.git)
    }

    /// Writes the commit object as git writes it: the signature covers all but the
    /// header `gpgsig`, which is the last one.
    fn commit_tree(
        &self,
        tree: Oid,
        parents: &[ObjectId],
        message: &str,
        author: Author<'_>,
    ) -> Result<ObjectId, RepositoryError> {
        let Author { name, email, time, key } = author;
        let plain = |text: &str| !text.is_empty() && !text.contains(['<', '>', '\n', '\0']);
        if !plain(name) || !plain(email) || time.as_second() < 0 {
            return Err(RepositoryError::Author);
        }
        if message.trim().is_empty() || message.contains('\0') {
            return Err(RepositoryError::Message);
        }
        let parents = parents
            .iter()
            .fold(String::new(), |lines, id| lines + "parent " + &id.to_string() + "\n");
        let who = format!("{name} <{email}> {} +0000\n", time.as_second());
        let headers = format!("tree {tree}\n{parents}author {who}committer {who}");
        let body = format!("\n{}\n", message.trim_end_matches('\n'));
        let signature = key.map(|key| sign(key, &format!("{headers}{body}"))).transpose()?;
        let signature = signature.unwrap_or_default();
        self.git
            .odb()
            .and_then(|objects| {
                let commit = format!("{headers}{signature}{body}");
                objects.write(ObjectType::Commit, commit.as_bytes())
            })
            .map(object_id)
            .map_err(RepositoryError::of("write a commit"))
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("path", &self.git.path()).finish()
    }
}

/// A new ed25519 key, from the kernel's random numbers.
pub fn key_from_random() -> Result<PrivateKey, RepositoryError> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut seed))
        .map_err(RepositoryError::Random)?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "").map_err(RepositoryError::Key)
}

/// The header `gpgsig` for a text.
fn sign(key: &PrivateKey, text: &str) -> Result<String, RepositoryError> {
    let pem = key
        .sign("git", HashAlg::Sha512, text.as_bytes())
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map_err(RepositoryError::Key)?;
    // A line that begins with a space goes on with the header of the line before.
    Ok(format!("gpgsig {}\n", pem.trim_end().replace('\n', "\n ")))
}

fn entry(path: &str, id: Oid) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode: u32::from(FileMode::Blob),
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

fn oid(id: ObjectId) -> Oid {
    Oid::from_bytes(id.as_bytes()).expect("an object id has the 20 bytes of an oid")
}

fn object_id(oid: Oid) -> ObjectId {
    let bytes = oid.as_bytes().try_into();
    ObjectId::from_bytes(bytes.expect("libgit2 is built without SHA-256 ids"))
}

/// Why a repository was not written.
#[derive(Debug, Error)]
pub enum RepositoryError {
    /// libgit2 refused.
    #[error("cannot {action}")]
    Git {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: git2::Error,
    },
    /// The name or address is empty or holds one of `<`, `>`, line feed and NUL, or
    /// the time is before 1970.
    #[error(
        "the author of a commit needs a name and an address without `<` and `>`, and a time after 1970"
    )]
    Author,
    /// The message is empty or holds a NUL.
    #[error("a commit needs a message")]
    Message,
    /// The key cannot sign.
    #[error("cannot sign")]
    Key(#[source] ssh_key::Error),
    /// There are no random numbers.
    #[error("cannot read `/dev/urandom`")]
    Random(#[source] io::Error),
}

impl RepositoryError {
    fn of(action: &'static str) -> impl Fn(git2::Error) -> Self {
        move |source| Self::Git { action, source }
    }
}

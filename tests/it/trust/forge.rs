//! Histories in memory, signed without a program: any shape, any clock, many of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use jiff::Timestamp;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use weft::sync::objects::Kind;
use weft::sync::{Accepted, Anchor, Introduction, Judgement, KeyFingerprint, Trust};
use weft::value::ObjectId;

use super::objects::{Memory, directory};
use super::repository::{BEGIN, decide};

/// The files of a tree by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) const WEFT: &str = "weft: 1\ncluster: lab\n";

#[derive(Default)]
pub(crate) struct Forge {
    pub(crate) memory: RefCell<Memory>,
    trees: RefCell<BTreeMap<ObjectId, Files>>,
    clock: Cell<i64>,
    introduction: Cell<Option<ObjectId>>,
}

/// The key of a person: each name has one, and `name/2` is a second one.
pub(crate) fn key(name: &str) -> PrivateKey {
    let mut seed = [7; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "").expect("a key")
}

/// A line of `allowed_signers` for a key, with options.
pub(crate) fn line(names: &str, options: &str, holder: &str) -> String {
    let public = key(holder).public_key().to_openssh().expect("a key");
    format!("{names} {options} {public}\n")
}

/// Lines for people whose principal is their name.
pub(crate) fn lines(names: &[&str]) -> String {
    names.iter().map(|name| line(name, "namespaces=\"git\"", name)).collect()
}

pub(crate) fn signed_by(name: &str) -> KeyFingerprint {
    KeyFingerprint::of(key(name).public_key().key_data())
}

impl Forge {
    pub(crate) fn new() -> Self {
        let forge = Self::default();
        forge.clock.set(BEGIN);
        forge
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.set(self.clock.get() + seconds);
    }

    /// The first commit, by `root`: these signers and this policy.
    pub(crate) fn begin(&self, signers: &str, policy: &str, more: &[(&str, &str)]) -> ObjectId {
        let trust = [
            (".weft/allowed_signers", signers),
            (".weft/policy.yaml", policy),
            ("weft.yaml", WEFT),
        ];
        let begin = self.commit(&[], "root", &[&trust, more].concat());
        self.introduction.set(Some(begin));
        begin
    }

    /// What [`Forge::begin`] made last.
    pub(crate) fn introduction(&self) -> ObjectId {
        self.introduction.get().expect("it began")
    }

    /// A commit a minute later: the files of its first parent with changes, `-` for a file
    /// that goes. Nobody signs as `-`.
    pub(crate) fn commit(
        &self,
        parents: &[ObjectId],
        signer: &str,
        changes: &[(&str, &str)],
    ) -> ObjectId {
        let mut files = parents.first().map(|first| self.files(*first)).unwrap_or_default();
        for (path, contents) in changes {
            if *contents == "-" {
                files.remove(*path);
            } else {
                files.insert((*path).to_owned(), contents.as_bytes().to_vec());
            }
        }
        self.with(parents, signer, files)
    }

    /// A merge: the files of the first parent, and over them what the others changed from
    /// a commit that all have.
    pub(crate) fn merge(&self, signer: &str, base: ObjectId, parents: &[ObjectId]) -> ObjectId {
        let mut files = self.files(parents[0]);
        let base = self.files(base);
        for other in &parents[1..] {
            let other = self.files(*other);
            files.retain(|path, _| other.contains_key(path) || !base.contains_key(path));
            for (path, contents) in other.iter().filter(|(path, now)| base.get(*path) != Some(now))
            {
                files.insert(path.clone(), contents.clone());
            }
        }
        self.with(parents, signer, files)
    }

    pub(crate) fn files(&self, of: ObjectId) -> Files {
        self.trees.borrow()[&of].clone()
    }

    /// A commit of these files, a minute later.
    pub(crate) fn with(&self, parents: &[ObjectId], signer: &str, files: Files) -> ObjectId {
        self.wait(60);
        let tree = self.tree(&files);
        let parents: Vec<String> =
            parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let parents = parents.concat();
        let who = format!("Some One <one@example.org> {} +0000", self.clock.get());
        let head = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n");
        let text = signed(&head, "\nsdn: a change\n", signer);
        let id = self.memory.borrow_mut().add(Kind::Commit, text.as_bytes());
        self.trees.borrow_mut().insert(id, files);
        id
    }

    fn tree(&self, files: &Files) -> ObjectId {
        let mut here: BTreeMap<&str, Files> = BTreeMap::new();
        let mut entries: Vec<(&str, &[u8], ObjectId)> = Vec::new();
        for (path, contents) in files {
            if let Some((directory, rest)) = path.split_once('/') {
                here.entry(directory).or_default().insert(rest.to_owned(), contents.clone());
            } else {
                let id = self.memory.borrow_mut().add(Kind::Blob, contents);
                entries.push(("100644", path.as_bytes(), id));
            }
        }
        for (name, files) in &here {
            entries.push(("40000", name.as_bytes(), self.tree(files)));
        }
        entries.sort_by_key(|(mode, name, _)| {
            let end: &[u8] = if *mode == "40000" { b"/" } else { b"" };
            [name, end].concat()
        });
        self.memory.borrow_mut().add(Kind::Tree, &directory(&entries))
    }

    /// The tree of a commit with a symbolic link more, in a directory of three parts.
    pub(crate) fn tree_with_link(&self, of: ObjectId, path: &str) -> ObjectId {
        let mut files = self.files(of);
        files.insert(path.to_owned(), b"../../core.yaml".to_vec());
        let tree = self.tree(&files);
        let mut memory = self.memory.borrow_mut();
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop().expect("a name");
        let mut above = vec![tree];
        for part in &parts {
            let inside = find(memory.bytes(above[above.len() - 1]), part);
            above.push(inside);
        }
        let file = above.pop().expect("a directory");
        let raw = memory.bytes(file).to_vec();
        let wanted = [b"100644 ", name.as_bytes(), b"\0"].concat();
        let at = raw.windows(wanted.len()).position(|bytes| bytes == wanted).expect("there");
        let mut raw = raw;
        raw.splice(at..at + 6, *b"120000");
        let mut inside = memory.add(Kind::Tree, &raw);
        let mut before = file;
        for (directory, _) in above.iter().rev().zip(parts.iter().rev()) {
            let mut raw = memory.bytes(*directory).to_vec();
            let at = raw.windows(20).position(|bytes| bytes == before.as_bytes()).expect("there");
            raw.splice(at..at + 20, *inside.as_bytes());
            inside = memory.add(Kind::Tree, &raw);
            before = *directory;
        }
        inside
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.get() + 60).expect("a time")
    }

    /// What a node says that was introduced at a commit of root's.
    pub(crate) fn judge(&self, introduction: ObjectId, tip: ObjectId) -> Judgement {
        self.judge_from(introduction, None, tip)
    }

    pub(crate) fn judge_from(
        &self,
        introduction: ObjectId,
        anchor: Option<&Anchor>,
        tip: ObjectId,
    ) -> Judgement {
        let trust = trust(introduction, "root");
        decide(&self.memory.borrow(), tip, &trust, anchor, self.now()).expect("it can be judged")
    }

    /// The anchor of a node after it accepted a commit, on top of an earlier anchor perhaps.
    pub(crate) fn anchor(
        &self,
        introduction: ObjectId,
        before: Option<&Anchor>,
        at: ObjectId,
    ) -> Anchor {
        let accepted = self.judge_from(introduction, before, at).accepted.expect("it is good");
        assert_eq!(accepted.record().commit, at);
        let Trust { cluster, introduction, .. } = trust(introduction, "root");
        let Accepted { latest, payload, left } = accepted.get().clone();
        Anchor { cluster, introduction, record: accepted.record().clone(), latest, payload, left }
    }
}

/// Trust from a commit that somebody signed.
pub(crate) fn trust(introduction: ObjectId, signer: &str) -> Trust {
    Trust {
        cluster: "lab".parse().expect("a name"),
        introduction: Introduction { commit: introduction, signer: signed_by(signer) },
        revoked: [].into(),
    }
}

/// What a directory holds under a name.
fn find(raw: &[u8], name: &str) -> ObjectId {
    let wanted = [b" ", name.as_bytes(), b"\0"].concat();
    let at = raw.windows(wanted.len()).position(|bytes| bytes == wanted).expect("there");
    let id = &raw[at + wanted.len()..at + wanted.len() + 20];
    ObjectId::from_bytes(id.try_into().expect("twenty bytes"))
}

/// A commit's text with a signature over it.
pub(crate) fn signed(head: &str, message: &str, signer: &str) -> String {
    if signer == "-" {
        return format!("{head}{message}");
    }
    let payload = format!("{head}{message}");
    let signature = key(signer).sign("git", HashAlg::Sha512, payload.as_bytes()).expect("signed");
    let pem = signature.to_pem(LineEnding::LF).expect("text");
    format!("{head}gpgsig {}\n{message}", pem.trim_end().replace('\n', "\n "))
}

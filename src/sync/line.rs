//! The first-parent line, from the tip down.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::commit;
use super::history::HistoryError;
use super::objects::{Kind, ObjectError};
use super::refusal::{Reason, Refusal};
use super::signature::{self, SignatureError, SignedBy};
use super::store::Store;
use crate::value::ObjectId;

/// The most commits that are read.
pub(super) const MAX_COMMITS: usize = 100_000;
/// The largest commit whose parents are looked for. The strict reader's bound is
/// lower, and a commit between the two is refused without hiding what is below it.
const MAX_READ: u64 = 1 << 20;

/// A commit, its signature verified, its authority not.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ObjectId,
    /// What the strict readers say.
    pub(super) read: Result<Read, Refusal>,
}

/// What a commit of the strict form says.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) tree: ObjectId,
    pub(super) committed: Timestamp,
    pub(super) subject: String,
    /// The key that signed it, or why none did.
    pub(super) signed: Result<SignedBy, Refusal>,
}

/// The commits of one store, each read once.
#[derive(Debug)]
pub(super) struct Commits<'a> {
    store: Store<'a>,
    /// The parents of every commit that was read, `None` where they cannot be.
    parents: HashMap<ObjectId, Option<Vec<ObjectId>>>,
}

/// A way down: the commits from the first to the last, both included.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) links: Vec<Link>,
    pub(super) end: End,
}

/// Why a way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The commit that was looked for.
    Found,
    /// A commit without parents.
    Root,
    /// A commit whose parents cannot be read.
    Unreadable,
}

impl<'a> Commits<'a> {
    pub(super) fn new(store: Store<'a>) -> Self {
        Self { store, parents: HashMap::new() }
    }

    /// The first-parent line from a commit down to another, or to the root, with every
    /// signature verified.
    pub(super) fn way(&mut self, from: ObjectId, to: ObjectId) -> Result<Way, HistoryError> {
        let mut links: Vec<Link> = Vec::new();
        let mut next = from;
        loop {
            let (link, parents) = self.link(next)?;
            let first = parents.as_ref().map(|parents| parents.first().copied());
            self.parents.insert(next, parents);
            links.push(link);
            match first {
                _ if next == to => return Ok(Way { links, end: End::Found }),
                None => return Ok(Way { links, end: End::Unreadable }),
                Some(None) => return Ok(Way { links, end: End::Root }),
                Some(Some(parent)) => next = parent,
            }
        }
    }

    /// The count of a commit on its first-parent line: the root has 1. `None` where a
    /// commit below cannot be read.
    pub(super) fn sequence(&mut self, of: ObjectId) -> Result<Option<u64>, HistoryError> {
        let mut next = of;
        let mut sequence = 1;
        loop {
            match self.parents(next)?.map(|parents| parents.first().copied()) {
                None => return Ok(None),
                Some(None) => return Ok(Some(sequence)),
                Some(Some(parent)) => next = parent,
            }
            sequence += 1;
        }
    }

    /// Whether a commit is on another's first-parent line.
    pub(super) fn on_line(&mut self, of: ObjectId, wanted: ObjectId) -> Result<bool, HistoryError> {
        let mut next = Some(of);
        while let Some(id) = next {
            if id == wanted {
                return Ok(true);
            }
            next = self.parents(id)?.and_then(|parents| parents.first().copied());
        }
        Ok(false)
    }

    /// Whether a commit is reachable through any parents at all.
    pub(super) fn reaches(&mut self, from: ObjectId, to: ObjectId) -> Result<bool, HistoryError> {
        let mut seen = HashSet::from([from]);
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            if id == to {
                return Ok(true);
            }
            let parents = self.parents(id)?.unwrap_or_default();
            open.extend(parents.iter().copied().filter(|parent| seen.insert(*parent)));
        }
        Ok(false)
    }

    fn parents(&mut self, id: ObjectId) -> Result<Option<&[ObjectId]>, HistoryError> {
        if !self.parents.contains_key(&id) {
            let parents = self.raw(id)?.and_then(|raw| commit::lineage(&raw)).map(|(_, all)| all);
            self.parents.insert(id, parents);
        }
        Ok(self.parents.get(&id).and_then(Option::as_deref))
    }

    fn link(&self, id: ObjectId) -> Result<(Link, Option<Vec<ObjectId>>), HistoryError> {
        if let Some(raw) = self.raw(id)? {
            let parents = commit::lineage(&raw).map(|(_, parents)| parents);
            return Ok((link(id, &raw), parents));
        }
        let message = format!("it is no commit, or has more than {MAX_READ} bytes");
        let refusal = Refusal::new(Reason::CommitMalformed, id, message);
        Ok((Link { id, read: Err(refusal) }, None))
    }

    /// The bytes of a commit; `None` where its child names something that is none.
    fn raw(&self, id: ObjectId) -> Result<Option<Vec<u8>>, HistoryError> {
        if self.parents.len() >= MAX_COMMITS {
            return Err(HistoryError::TooLong);
        }
        match self.store.read(id, Kind::Commit, MAX_READ) {
            Ok(raw) => Ok(Some(raw)),
            Err(ObjectError::TooLarge { .. } | ObjectError::WrongKind { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn link(id: ObjectId, raw: &[u8]) -> Link {
    let read = match commit::parse(raw) {
        Ok(commit) => Ok(Read {
            tree: commit.tree,
            committed: commit.committer.time,
            subject: commit.subject(),
            signed: signature::verify(&commit).map_err(|error| {
                let code = match &error {
                    SignatureError::Unsigned => Reason::Unsigned,
                    SignatureError::Unsupported(_) => Reason::SignatureUnsupported,
                    SignatureError::Malformed(_)
                    | SignatureError::Namespace(_)
                    | SignatureError::Wrong(_) => Reason::SignatureBad,
                };
                Refusal::new(code, id, error.to_string())
            }),
        }),
        Err(error) => Err(Refusal::new(Reason::CommitMalformed, id, error.to_string())),
    };
    Link { id, read }
}

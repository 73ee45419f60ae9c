//! The first-parent line, from the tip down.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use super::commit::{self, CommitError};
use super::history::HistoryError;
use super::objects::{Kind, ObjectError};
use super::refusal::{Reason, Refusal};
use super::signature::{self, SignatureError, SignedBy};
use super::store::Store;
use crate::value::{Digest, ObjectId};

/// The most commits that are read.
pub(super) const MAX_COMMITS: usize = 100_000;
/// The most parents of a commit whose line is followed.
const MAX_PARENTS: usize = 64;
/// The most parents beside the line that are remembered.
const MAX_BESIDE: usize = 2 * MAX_COMMITS;
/// The largest commit that is asked for. The strict reader's bound is lower: of a commit
/// between the two the hash proves that it is too large.
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
    /// The parents beside the line: none of a commit that is no merge.
    pub(super) beside: Box<[ObjectId]>,
    pub(super) committed: Timestamp,
    pub(super) subject: String,
    /// The digest of what was signed: of a commit and its twin the same.
    pub(super) payload: Digest,
    /// The key that signed it, or why none did.
    pub(super) signed: Result<SignedBy, Refusal>,
}

/// The commits of one store, each read once.
#[derive(Debug)]
pub(super) struct Commits<'a> {
    store: Store<'a>,
    /// The parents of every commit that was read, `None` where they cannot be.
    parents: HashMap<ObjectId, Option<Parents>>,
    /// How many parents of them are beside the line.
    beside: usize,
}

/// What a commit that is perhaps malformed says it follows.
#[derive(Debug)]
struct Parents {
    tree: ObjectId,
    first: Option<ObjectId>,
    /// The others: no room is taken where there are none.
    beside: Box<[ObjectId]>,
}

impl Parents {
    fn all(&self) -> impl Iterator<Item = ObjectId> {
        self.first.iter().chain(&self.beside).copied()
    }
}

/// What is on a first-parent line.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) ids: HashSet<ObjectId>,
    pub(super) trees: HashSet<ObjectId>,
}

/// Where a line leaves others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fork {
    /// The newest commit that both have.
    pub(super) at: ObjectId,
    /// The first one that only this line has.
    pub(super) above: ObjectId,
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
    /// A commit whose parents cannot be read, or that is beyond a bound.
    Unreadable,
}

impl<'a> Commits<'a> {
    pub(super) fn new(store: Store<'a>) -> Self {
        Self { store, parents: HashMap::new(), beside: 0 }
    }

    /// The first-parent line from a commit down to the first that is looked for, or to the
    /// root, with every signature verified.
    pub(super) fn way(
        &mut self,
        from: ObjectId,
        wanted: impl Fn(&Link) -> bool,
    ) -> Result<Way, HistoryError> {
        let mut links: Vec<Link> = Vec::new();
        let mut next = from;
        loop {
            let (link, parents) = self.link(next)?;
            let first = parents.as_ref().map(|parents| parents.first);
            self.remember(next, parents)?;
            let found = wanted(&link);
            links.push(link);
            match first {
                _ if found => return Ok(Way { links, end: End::Found }),
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
            match self.parents(next)?.map(|parents| parents.first) {
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
            next = self.parents(id)?.and_then(|parents| parents.first);
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
            if let Some(parents) = self.parents(id)? {
                open.extend(parents.all().filter(|parent| seen.insert(*parent)));
            }
        }
        Ok(false)
    }

    /// The tree of a commit, where it can be read.
    pub(super) fn tree(&mut self, of: ObjectId) -> Result<Option<ObjectId>, HistoryError> {
        Ok(self.parents(of)?.map(|parents| parents.tree))
    }

    /// The ids and the trees of a commit and all below it on its first-parent line.
    pub(super) fn line(&mut self, from: ObjectId) -> Result<Line, HistoryError> {
        let mut line = Line::default();
        let mut next = Some(from);
        while let Some(id) = next {
            line.ids.insert(id);
            let parents = self.parents(id)?;
            line.trees.extend(parents.map(|parents| parents.tree));
            next = parents.and_then(|parents| parents.first);
        }
        Ok(line)
    }

    /// The commit whose tree another one has: `below` on its line, or one below that, the
    /// newest; and how many commits further down the line it is.
    pub(super) fn brings_back(
        &mut self,
        of: ObjectId,
        below: ObjectId,
    ) -> Result<Option<(ObjectId, u64)>, HistoryError> {
        let tree = self.parents(of)?.map(|parents| parents.tree);
        let (mut next, mut passed, mut down) = (Some(of), false, 0);
        while let Some(id) = next {
            passed |= id == below;
            let Some(parents) = self.parents(id)? else { break };
            if passed && id != of && tree == Some(parents.tree) {
                return Ok(Some((id, down)));
            }
            (next, down) = (parents.first, down + 1);
        }
        Ok(None)
    }

    /// The newest commit on a commit's line that is one of `others`, and the one on top of
    /// it, the commit itself perhaps.
    pub(super) fn fork(
        &mut self,
        of: ObjectId,
        others: &HashSet<ObjectId>,
    ) -> Result<Option<Fork>, HistoryError> {
        let (mut next, mut above) = (Some(of), of);
        while let Some(id) = next {
            if others.contains(&id) {
                return Ok(Some(Fork { at: id, above }));
            }
            above = id;
            next = self.parents(id)?.and_then(|parents| parents.first);
        }
        Ok(None)
    }

    /// Adds a commit and all that is reachable from it.
    pub(super) fn reach(
        &mut self,
        from: ObjectId,
        reached: &mut HashSet<ObjectId>,
    ) -> Result<(), HistoryError> {
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            if reached.insert(id)
                && let Some(parents) = self.parents(id)?
            {
                open.extend(parents.all());
            }
        }
        Ok(())
    }

    /// The commits that are reachable from some and not `reached` already, the nearest
    /// first and at most `limit`, each with its parents.
    pub(super) fn brought(
        &mut self,
        from: &[ObjectId],
        reached: &HashSet<ObjectId>,
        limit: usize,
    ) -> Result<Vec<(Link, Vec<ObjectId>)>, HistoryError> {
        let mut seen = HashSet::new();
        let mut open: VecDeque<ObjectId> = from.iter().copied().collect();
        let mut brought = Vec::new();
        while let Some(id) = open.pop_front() {
            if reached.contains(&id) || !seen.insert(id) {
                continue;
            }
            if brought.len() >= limit {
                break;
            }
            let (link, parents) = self.link(id)?;
            let all: Vec<ObjectId> = parents.iter().flat_map(Parents::all).collect();
            self.remember(id, parents)?;
            open.extend(&all);
            brought.push((link, all));
        }
        Ok(brought)
    }

    fn parents(&mut self, id: ObjectId) -> Result<Option<&Parents>, HistoryError> {
        if !self.parents.contains_key(&id) {
            let parents = self.raw(id)?.and_then(|raw| parents(&raw).ok().flatten());
            self.remember(id, parents)?;
        }
        Ok(self.parents.get(&id).and_then(Option::as_ref))
    }

    fn remember(&mut self, id: ObjectId, parents: Option<Parents>) -> Result<(), HistoryError> {
        self.beside += parents.as_ref().map_or(0, |parents| parents.beside.len());
        if self.beside > MAX_BESIDE {
            return Err(HistoryError::TooLong);
        }
        self.parents.insert(id, parents);
        Ok(())
    }

    fn link(&self, id: ObjectId) -> Result<(Link, Option<Parents>), HistoryError> {
        let ended = match self.raw(id)?.map(|raw| (parents(&raw), raw)) {
            Some((Ok(parents), raw)) => return Ok((link(id, &raw), parents)),
            Some((Err(message), _)) => message,
            None => "it is no commit".to_owned(),
        };
        let refusal = Refusal::new(Reason::CommitMalformed, id, ended);
        Ok((Link { id, read: Err(refusal) }, None))
    }

    /// The bytes of a commit; `None` where its child names something that is none.
    fn raw(&self, id: ObjectId) -> Result<Option<Vec<u8>>, HistoryError> {
        if self.parents.len() >= MAX_COMMITS {
            return Err(HistoryError::TooLong);
        }
        match self.store.read(id, Kind::Commit, MAX_READ) {
            Ok(raw) => Ok(Some(raw)),
            Err(ObjectError::WrongKind { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The parents of a commit as git reads them, `None` where they cannot be read; or which
/// bound it is beyond.
fn parents(raw: &[u8]) -> Result<Option<Parents>, String> {
    if raw.len() > commit::MAX_BYTES {
        return Err(CommitError::TooLarge.to_string());
    }
    let Some((tree, all)) = commit::lineage(raw) else { return Ok(None) };
    if all.len() > MAX_PARENTS {
        return Err(format!("it has more than {MAX_PARENTS} parents"));
    }
    let mut all = all.into_iter();
    Ok(Some(Parents { tree, first: all.next(), beside: all.collect() }))
}

fn link(id: ObjectId, raw: &[u8]) -> Link {
    let read = match commit::parse(raw) {
        Ok(commit) => Ok(Read {
            tree: commit.tree,
            beside: commit.parents.iter().skip(1).copied().collect(),
            payload: Digest::of(&commit.payload()),
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

//! Why each commit of a line is good, or is not: what the rule of [`super::history`]
//! rests on, as data. The judge itself writes it down; nothing is decided here.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::climb::Climb;
use super::history::{First, HistoryError, Judgement, above, first};
use super::line::{Commits, End, Link, Way};
use super::refusal::{Reason, Refusal};
use super::scopes::Scopes;
use super::seconds::Witness;
use super::signature::{KeyFingerprint, SignedBy};
use super::store::Store;
use super::trust::Introduction;
use super::verified::CommitRecord;
use crate::declare::policy::Role;
use crate::value::{ObjectId, Principal, Word};

/// The most paths of one role and commit that are named.
pub const MAX_PATHS: usize = 1_000;

/// Where an account begins.
#[derive(Clone, Debug)]
pub enum Begin {
    /// At a commit that a key introduces, as on a node.
    Introduction(Introduction),
    /// At a commit that introduces itself by the key that signed it.
    At(ObjectId),
    /// At the oldest commit of the line that can introduce itself.
    Oldest,
    /// Above a commit that is taken as it is.
    Above(ObjectId),
}

/// What became of a line, commit by commit.
#[derive(Debug)]
pub struct Account {
    /// The introduction that the line was judged from. `None` above a commit that was
    /// taken as it is, and where no commit can be an introduction.
    pub introduction: Option<Introduction>,
    /// The commits, the oldest first: the one where it begins, and those above.
    pub entries: Vec<Entry>,
    /// What the line comes to.
    pub judgement: Judgement,
}

/// A commit of the line.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The commit.
    pub commit: ObjectId,
    /// The first line of its message, where it can be read.
    pub subject: Option<String>,
    /// Its committer time, where it can be read.
    pub committed: Option<Timestamp>,
    /// What it merges: its parents beside the line.
    pub merges: Vec<ObjectId>,
    /// The key that signed it.
    pub signature: Option<Signature>,
    /// Why it was good when it was made.
    pub basis: Option<Basis>,
    /// Why it is refused: also one that was good, and whose key is not valid now.
    pub refusal: Option<Refusal>,
}

/// A key, and of what type it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Its fingerprint.
    pub key: KeyFingerprint,
    /// Its type as ssh writes it, such as `ssh-ed25519`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Why a commit is good.
#[derive(Clone, Debug, Serialize)]
pub struct Basis {
    /// Who signed it, and its place on the line.
    pub record: CommitRecord,
    /// What let its signer make the difference. Empty where nothing differs, and of the
    /// commit where the account begins.
    pub grants: Vec<Grant>,
    /// What lets a commit of its form advance the branch.
    pub form: Form,
    /// The commits that it newly declares void.
    pub voids: Vec<ObjectId>,
    /// The greatest committer time below it, where its own is before that.
    pub behind: Option<Timestamp>,
}

/// By which form a commit may advance the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The policy lets every commit do so.
    Any,
    /// Merges may, and it is one.
    Merge,
    /// It has the files of an earlier commit of the line.
    BringsBack,
}

/// A role, and the paths that it let the signer change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The role.
    pub role: Word,
    /// Whether what the files declare was judged by the role's scope.
    pub scoped: bool,
    /// How many people the role asks for.
    pub threshold: usize,
    /// Who signed beside the signer, and on which commit.
    pub seconds: Vec<Second>,
    /// The first [`MAX_PATHS`] paths, in git's order.
    pub paths: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// A signature that a commit of a branch lends to the merge that brings it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Whose it is.
    pub signer: Principal,
    /// The key.
    #[serde(flatten)]
    pub signature: Signature,
    /// The commit that lends it.
    pub commit: ObjectId,
}

impl Signature {
    fn of(signed: &SignedBy) -> Self {
        Self { key: signed.fingerprint, kind: signed.key.algorithm().as_str().to_owned() }
    }
}

impl Grant {
    pub(super) fn of(role: &Role, witness: Option<&Witness>, path: &str) -> Self {
        let (scoped, threshold) = (role.scope.is_some(), role.threshold);
        let seconds = seconds(witness);
        let mut grant = Self {
            role: role.name.clone(),
            scoped,
            threshold,
            seconds,
            paths: Vec::new(),
            count: 0,
        };
        grant.add(path);
        grant
    }

    pub(super) fn is_of(&self, role: &Role, witness: Option<&Witness>) -> bool {
        self.role == role.name && self.seconds == seconds(witness)
    }

    pub(super) fn add(&mut self, path: &str) {
        self.count += 1;
        if self.paths.len() < MAX_PATHS {
            self.paths.push(path.to_owned());
        }
    }
}

fn seconds(witness: Option<&Witness>) -> Vec<Second> {
    let others = witness.iter().flat_map(|witness| &witness.others);
    let second = others.map(|lent| Second {
        signer: lent.by.clone(),
        signature: Signature::of(&lent.signed),
        commit: lent.commit,
    });
    second.collect()
}

/// Judges a tip as a node without an anchor does, and says why.
pub fn account(
    store: Store<'_>,
    tip: ObjectId,
    begin: &Begin,
    revoked: &BTreeSet<KeyFingerprint>,
    now: Timestamp,
    scopes: &Scopes<'_>,
) -> Result<Account, HistoryError> {
    let Route { commits, way, start } = route(store, tip, begin, revoked, now)?;
    let mut climb = Climb::new(store, commits, revoked, now, scopes);
    climb.account = Some(Vec::new());
    let (introduction, first) = judged(climb, &way, tip, start)?;
    let (judgement, good, refused) = first.account();
    Ok(Account { introduction, entries: entries(&way, good, refused), judgement })
}

/// Judges a line from where judging begins.
pub(super) fn judged(
    climb: Climb<'_>,
    way: &Way,
    tip: ObjectId,
    start: Start,
) -> Result<(Option<Introduction>, First), HistoryError> {
    Ok(match start {
        Start::Introduced(introduction) => {
            let first = first(climb, way, tip, &introduction)?;
            (Some(introduction), first)
        }
        Start::Given => (None, above(climb, way)?),
        Start::Nowhere(refusal) => (None, First::nothing(refusal)),
    })
}

/// The way from a tip down to where judging begins.
pub(super) struct Route<'a> {
    pub(super) commits: Commits<'a>,
    pub(super) way: Way,
    pub(super) start: Start,
}

/// How judging begins at the end of a way.
pub(super) enum Start {
    Introduced(Introduction),
    Given,
    Nowhere(Refusal),
}

/// Finds where judging begins.
pub(super) fn route<'a>(
    store: Store<'a>,
    tip: ObjectId,
    begin: &Begin,
    revoked: &BTreeSet<KeyFingerprint>,
    now: Timestamp,
) -> Result<Route<'a>, HistoryError> {
    let mut commits = Commits::new(store);
    let wanted = match begin {
        Begin::Introduction(introduction) => Some(introduction.commit),
        Begin::At(commit) | Begin::Above(commit) => Some(*commit),
        Begin::Oldest => None,
    };
    let mut way = commits.way(tip, |link| Some(link.id) == wanted)?;
    let end = way.links.last().filter(|_| way.end == End::Found);
    let start = match (begin, end) {
        (Begin::Introduction(introduction), _) => Start::Introduced(introduction.clone()),
        (Begin::At(_), Some(end)) => itself(end).map_or_else(Start::Nowhere, Start::Introduced),
        (Begin::Above(_), Some(_)) => Start::Given,
        (Begin::At(commit) | Begin::Above(commit), None) => {
            let message = format!("commit {commit} is not on its first-parent line");
            Start::Nowhere(Refusal::new(Reason::IntroductionMissing, tip, message))
        }
        (Begin::Oldest, _) => match oldest(store, tip, &way, revoked, now)? {
            Ok((at, introduction)) => {
                way.links.truncate(at + 1);
                Start::Introduced(introduction)
            }
            Err(refusal) => Start::Nowhere(refusal),
        },
    };
    Ok(Route { commits, way, start })
}

/// The introduction of a commit by the key that signed it.
fn itself(link: &Link) -> Result<Introduction, Refusal> {
    let signed = link.read.as_ref().and_then(|read| read.signed.as_ref());
    signed
        .map(|signed| Introduction { commit: link.id, signer: signed.fingerprint })
        .map_err(Clone::clone)
}

/// The place on a way of the oldest commit that can be an introduction, or why the
/// newest cannot.
fn oldest(
    store: Store<'_>,
    tip: ObjectId,
    way: &Way,
    revoked: &BTreeSet<KeyFingerprint>,
    now: Timestamp,
) -> Result<Result<(usize, Introduction), Refusal>, HistoryError> {
    let none = "no commit of its first-parent line can be an introduction";
    let mut last = Refusal::new(Reason::IntroductionMissing, tip, none);
    for (at, link) in way.links.iter().enumerate().rev() {
        let introduction = match itself(link) {
            Ok(introduction) => introduction,
            Err(refusal) => {
                last = refusal;
                continue;
            }
        };
        let mut climb = Climb::new(store, Commits::new(store), revoked, now, &|_| Ok(()));
        climb.start_at(link, &introduction, 1)?;
        match climb.refused.into_iter().next() {
            None => return Ok(Ok((at, introduction))),
            Some(refusal) => last = refusal,
        }
    }
    Ok(Err(last))
}

/// The commits of a way from below, and what was said of each.
pub(super) fn entries(way: &Way, good: Vec<Basis>, refused: Vec<Refusal>) -> Vec<Entry> {
    let mut good: HashMap<ObjectId, Basis> =
        good.into_iter().map(|basis| (basis.record.commit, basis)).collect();
    let mut refusals: HashMap<ObjectId, Refusal> = HashMap::new();
    for refusal in refused {
        refusals.entry(refusal.commit).or_insert(refusal);
    }
    let entry = |link: &Link| {
        let read = link.read.as_ref().ok();
        Entry {
            commit: link.id,
            subject: read.map(|read| read.subject.clone()),
            committed: read.map(|read| read.committed),
            merges: read.map_or(Vec::new(), |read| read.beside.to_vec()),
            signature: read.and_then(|read| read.signed.as_ref().ok()).map(Signature::of),
            basis: good.remove(&link.id),
            refusal: refusals.remove(&link.id),
        }
    };
    way.links.iter().rev().map(entry).collect()
}

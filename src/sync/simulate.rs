//! What would become of a line if other trust files were law.
//!
//! Every commit is judged by one policy, each against its own first parent and whatever
//! was said of the commits below it: the question is what people could go on doing.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use jiff::Timestamp;

use super::account::{Begin, Entry, Route, Start, entries, judged, route};
use super::climb::{Below, Climb, Stop};
use super::history::HistoryError;
use super::line::{Commits, Link};
use super::refusal::Refusal;
use super::scopes::Scopes;
use super::signature::KeyFingerprint;
use super::store::Store;
use super::trust::{Introduction, TrustFiles};
use crate::declare::Findings;
use crate::value::{ObjectId, RepoPath};

/// Trust files that all commits are judged by.
#[derive(Clone, Debug)]
pub struct Law(Rc<TrustFiles>);

/// A commit by the policy of its first parent, and by another one.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The commit, and what is said of it today.
    pub entry: Entry,
    /// Why it would be refused.
    pub refusal: Option<Refusal>,
}

/// A line under another law.
#[derive(Debug)]
pub struct Simulation {
    /// The introduction that the line is judged from today.
    pub introduction: Option<Introduction>,
    /// Why judging cannot begin anywhere.
    pub nowhere: Option<Refusal>,
    /// The commits above the one where judging begins, the oldest first.
    pub commits: Vec<Simulated>,
    /// How many commits below the tip, itself included, were not judged, because more would
    /// have had to be compared than one judgement may compare.
    pub remaining: usize,
}

impl Law {
    /// Reads trust files; `None` where they have an error, for such ones are nobody's law.
    pub fn read(signers: (&RepoPath, &str), policy: (&RepoPath, &str)) -> (Option<Self>, Findings) {
        let (files, findings) = TrustFiles::read(signers, policy, None);
        (files.map(|files| Self(Rc::new(files))), findings)
    }
}

/// Judges a line by a law, beside what is said of it today.
pub fn simulate(
    store: Store<'_>,
    tip: ObjectId,
    begin: &Begin,
    law: &Law,
    revoked: &BTreeSet<KeyFingerprint>,
    now: Timestamp,
    scopes: &Scopes<'_>,
) -> Result<Simulation, HistoryError> {
    let Route { commits, way, start } = route(store, tip, begin, revoked, now)?;
    let mut climb = Climb::new(store, commits, revoked, now, scopes);
    climb.account = Some(Vec::new());
    let given = matches!(start, Start::Given);
    let (introduction, first) = judged(climb, &way, tip, start)?;
    let (judgement, good, refused) = first.account();
    let nowhere =
        if given || introduction.is_some() { None } else { judgement.refused.into_iter().next() };
    let mut today = entries(&way, good, refused).into_iter();
    let begins = today.next();

    let mut climb = Climb::new(store, Commits::new(store), revoked, now, scopes);
    climb.law = Some(Rc::clone(&law.0));
    let mut refusals: HashMap<ObjectId, Refusal> = HashMap::new();
    let mut remaining = 0;
    if let (Some((begin, above)), Some(_)) = (way.links.split_last(), begins) {
        climb.stand_on(begin, law)?;
        for (higher, link) in above.iter().enumerate().rev() {
            match climb.commit(link) {
                Ok(()) => {}
                Err(Stop::Refused(refusal)) => {
                    refusals.insert(link.id, refusal);
                    climb.stand_on(link, law)?;
                }
                Err(Stop::World(HistoryError::TooMuch)) => {
                    remaining = higher + 1;
                    break;
                }
                Err(Stop::World(error)) => return Err(error),
            }
        }
        if remaining == 0 {
            // The keys of what a node uses are valid now.
            climb.accepted()?;
            let expired = climb.refused.drain(..).map(|refusal| (refusal.commit, refusal));
            refusals.extend(expired);
        }
    }
    let commits =
        today.map(|entry| Simulated { refusal: refusals.remove(&entry.commit), entry }).collect();
    Ok(Simulation { introduction, nowhere, commits, remaining })
}

impl Climb<'_> {
    /// Goes on above a commit, whatever was said of it.
    fn stand_on(&mut self, link: &Link, law: &Law) -> Result<(), HistoryError> {
        let tree = match &link.read {
            Ok(read) => Some(read.tree),
            Err(_) => self.commits.tree(link.id)?,
        };
        let Some(tree) = tree else { return Ok(()) };
        let files = match self.trust_files(link.id, tree) {
            Ok(files) => files,
            Err(Stop::Refused(_)) => Rc::clone(&law.0),
            Err(Stop::World(error)) => return Err(error),
        };
        let latest = match (&self.below, &link.read) {
            (Some(below), _) => below.latest,
            (None, Ok(read)) => read.committed,
            (None, Err(_)) => Timestamp::UNIX_EPOCH,
        };
        if let Some(line) = &mut self.line {
            line.ids.insert(link.id);
            line.trees.insert(tree);
        }
        self.below = Some(Below { id: link.id, tree, latest, files });
        Ok(())
    }
}

//! The rule of authorisation: which commit of a line may be used.
//!
//! * The line is the tip's first-parent chain. The introduction lies on it and is
//!   signed by the key that introduces it; the anchor lies on it.
//! * Each commit above is judged by the signers and the policy of its first parent's
//!   tree, for every path that differs from that parent. So a merge is charged to its
//!   signer with its whole difference, and a change of policy counts from the next
//!   commit on.
//! * A path may be changed by who is in a role that reaches it. Where the role has a scope,
//!   the declared difference of the file keeps within it. Where it has a threshold, so many
//!   people of the role have signed the change: the signer, and those whose commits a merge
//!   brings and who brought the same about there.
//! * With `mainline: merges` a commit of the line is a merge, or has the files of one below
//!   it on the line.
//! * Its key was valid at its committer time, which is at most ten minutes before the
//!   greatest of the line below it and at most ten minutes ahead of now. The key of the commit that is
//!   used is valid now. A key revoked on the node never counts.
//! * Its own trust files are in order, so that something can be built on it.
//! * What stands on a refused commit is refused. The newest good commit is used.
//!
//! # Twins
//!
//! Anybody can make a second signature from an ECDSA signature, and a signer may sign the
//! same again: the same commit in all but its signature, under another id. A commit with
//! the payload and the key of the anchor is the anchor's twin, and a line through it
//! continues the anchor's. It says nothing that was not accepted: not other files, not
//! other parents, not another key.
//!
//! # Void
//!
//! A line that left the anchor's below it is refused, with one way out. Let the *fork* be
//! the newest commit that both lines have, and the *first* the commit on top of it on the
//! anchor's line, perhaps the anchor. A node crosses over if
//!
//! * the line is judged from the introduction, as a node without an anchor judges it, and
//!   the commit that is accepted so stands above the fork;
//! * `.weft/void` of that commit names the first. Only root changes that file, and no tree
//!   up to the fork can hold the id of a commit on top of it; so root said so on this line.
//!   Naming a commit further up is not enough: what lies between would be given up though
//!   nobody said so;
//! * the line does not go through a commit that `.weft/void` of the anchor names. So where
//!   two lines declare each other void, each node stays on its own and none goes in circles.
//!
//! A commit whose `.weft/void` newly names one that it stands on is refused: a void commit
//! and what stands on it are accepted by no line that says so. The list stays in the tree:
//! a node that was away needs it.
//!
//! # The same on every node
//!
//! Nothing is taken from any state but the anchor, so that all nodes decide alike. For
//! the same reason a refusal rests on bytes that were hashed, never on what the source of
//! objects says: where it gives no bytes, nothing is decided.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::account::Basis;
use super::anchor::{Anchor, Left};
use super::climb::Climb;
use super::crossing::{self, Crossing};
use super::line::{Commits, End, Link, MAX_COMMITS, Read, Way};
use super::objects::ObjectError;
use super::refusal::{Reason, Refusal};
use super::scopes::Scopes;
use super::signature::KeyFingerprint;
use super::store::Store;
use super::tree::MAX_COMPARED;
use super::trust::{Introduction, Trust};
use super::verified::Verified;
use crate::value::{Digest, ObjectId};

/// How far clocks of committers and nodes may lie apart.
pub const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// The most refusals that are spelled out.
pub const MAX_REFUSALS: usize = 100;

/// What trust says of a tip.
#[derive(Debug)]
pub struct Judgement {
    /// Where the tip stands.
    pub standing: Standing,
    /// The newest commit of the line that may be used: the anchor's where nothing above
    /// it is good. `None`: nothing may be used, and the network stays as it is.
    pub accepted: Option<Verified<Accepted>>,
    /// What is refused, the oldest first: the first one is the cause.
    pub refused: Vec<Refusal>,
    /// How many more are refused than are spelled out.
    pub omitted: usize,
    /// How many commits below the tip, itself included, were not judged, because more than
    /// [`MAX_COMPARED`] directory entries would have been compared. They are judged once the
    /// accepted commit is the anchor.
    pub remaining: usize,
}

/// What is known of the line up to an accepted commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The greatest committer time, from the introduction to the commit.
    pub latest: Timestamp,
    /// The digest of what was signed. `None` for an anchor that does not say.
    pub payload: Option<Digest>,
    /// The last anchor that was left for another line: this one, where this commit is on
    /// another line than it.
    pub left: Option<Left>,
}

impl Accepted {
    fn of(anchor: &Anchor) -> Self {
        let Anchor { latest, payload, left, .. } = anchor.clone();
        Self { latest, payload, left }
    }
}

/// Where a tip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The tip is the anchor.
    Current,
    /// The tip is an ancestor of the anchor on its line: the remote is behind, which is
    /// no change.
    Behind,
    /// The accepted commit is above the anchor, or there was no anchor, or the anchor stood
    /// on a void commit and was left.
    Advanced,
    /// Nothing above the anchor is good, or nothing at all.
    Refused,
}

/// Why a tip could not be judged. Nothing was decided; trying again later may help.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// There is no object to read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The line, or what has to be searched beside it, is too long.
    #[error("more than {MAX_COMMITS} commits would have to be read")]
    TooLong,
    /// A commit above the anchor differs too much, or all that could be compared were
    /// signed by keys that are not valid now.
    #[error("more than {MAX_COMPARED} directory entries would have to be compared")]
    TooMuch,
    /// The introduction cannot be counted.
    #[error(
        "a commit below the introduction {introduction} cannot be read, so commits cannot be counted"
    )]
    Uncountable {
        /// The introduction.
        introduction: ObjectId,
    },
    /// The anchor is that of another cluster or introduction.
    #[error("the anchor belongs to another cluster or introduction than the node's settings name")]
    OtherAnchor,
}

/// Judges a tip. `now` is the node's clock; `scopes` says what declarations mean.
pub fn judge(
    store: Store<'_>,
    tip: ObjectId,
    trust: &Trust,
    anchor: Option<&Anchor>,
    now: Timestamp,
    scopes: &Scopes<'_>,
) -> Result<Judgement, HistoryError> {
    let mut commits = Commits::new(store);
    let Some(anchor) = anchor else {
        let introduction = trust.introduction.commit;
        let way = commits.way(tip, |link| link.id == introduction)?;
        let climb = Climb::new(store, commits, &trust.revoked, now, scopes);
        return Ok(first(climb, &way, tip, &trust.introduction)?.judgement);
    };
    if anchor.cluster != trust.cluster || anchor.introduction != trust.introduction {
        return Err(HistoryError::OtherAnchor);
    }
    let at = anchor.record.commit;
    if tip == at {
        return Ok(anchored(anchor, &trust.revoked, Standing::Current, Vec::new()));
    }
    let way = commits.way(tip, |link| link.id == at || is_twin(link, anchor))?;
    let (Some((start, above)), End::Found) = (way.links.split_last(), way.end) else {
        return beside(Climb::new(store, commits, &trust.revoked, now, scopes), &way, tip, anchor);
    };
    if above.is_empty() {
        return Ok(anchored(anchor, &trust.revoked, Standing::Current, Vec::new()));
    }
    let mut climb = Climb::new(store, commits, &trust.revoked, now, scopes);
    climb.start_above(start, anchor)?;
    climb.up(above)?;
    let accepted = climb.accepted()?;
    Ok(match accepted {
        Some(accepted) => Judgement {
            remaining: climb.remaining,
            ..judgement(Standing::Advanced, Some(accepted), climb.refused)
        },
        None => anchored(anchor, &trust.revoked, Standing::Refused, climb.refused),
    })
}

/// The introduction that makes a node trust a commit and what follows from it, where the
/// commit is one to begin at: its signature is good, its key is somebody's now by its own
/// trust files, and these are in order.
pub fn introduction(
    store: Store<'_>,
    commit: ObjectId,
    now: Timestamp,
) -> Result<Result<Introduction, Refusal>, HistoryError> {
    let mut commits = Commits::new(store);
    let way = commits.way(commit, |_| true)?;
    let Some(Link { read, .. }) = way.links.first() else {
        return Ok(Err(Refusal::new(Reason::IntroductionMissing, commit, "it is no commit")));
    };
    let signer = match read.as_ref().and_then(|read| read.signed.as_ref()) {
        Ok(signed) => signed.fingerprint,
        Err(refusal) => return Ok(Err(refusal.clone())),
    };
    let introduction = Introduction { commit, signer };
    let none = BTreeSet::new();
    let climb = Climb::new(store, commits, &none, now, &|_| Ok(()));
    let First { judgement, .. } = first(climb, &way, commit, &introduction)?;
    Ok(match judgement.refused.into_iter().next() {
        None => Ok(introduction),
        Some(refusal) => Err(refusal),
    })
}

/// Whether a commit is the anchor but for its signature.
fn is_twin(link: &Link, anchor: &Anchor) -> bool {
    let Ok(Read { payload, signed: Ok(signed), .. }) = &link.read else { return false };
    anchor.payload == Some(*payload) && signed.fingerprint.to_string() == anchor.record.key
}

/// What a node without an anchor says.
pub(super) struct First {
    pub(super) judgement: Judgement,
    /// What the accepted commit declares void.
    pub(super) void: BTreeSet<ObjectId>,
    /// The grounds of what is good and all that is refused, where somebody wants an account.
    pub(super) account: Option<(Vec<Basis>, Vec<Refusal>)>,
}

/// As a node without an anchor judges: trust begins at the introduction, which is looked
/// for on the way.
pub(super) fn first(
    mut climb: Climb<'_>,
    way: &Way,
    tip: ObjectId,
    introduced: &Introduction,
) -> Result<First, HistoryError> {
    let introduction = introduced.commit;
    let Some(at) = way.links.iter().position(|link| link.id == introduction) else {
        let message = format!("the introduction {introduction} is not on its first-parent line");
        let missing = Refusal::new(Reason::IntroductionMissing, tip, message);
        let refused = unreadable(way).into_iter().chain([missing]).collect();
        let judgement = judgement(Standing::Refused, None, refused);
        return Ok(First { judgement, void: BTreeSet::new(), account: None });
    };
    let uncountable = HistoryError::Uncountable { introduction };
    let sequence = climb.commits.sequence(introduction)?.ok_or(uncountable)?;
    climb.start_at(&way.links[at], introduced, sequence)?;
    climb.up(&way.links[..at])?;
    finish(climb)
}

/// As above an anchor: trust begins above the last commit of a way, which is taken as it is.
pub(super) fn above(mut climb: Climb<'_>, way: &Way) -> Result<First, HistoryError> {
    if let Some((start, above)) = way.links.split_last() {
        let uncountable = HistoryError::Uncountable { introduction: start.id };
        let sequence = climb.commits.sequence(start.id)?.ok_or(uncountable)?;
        climb.start_given(start, sequence)?;
        climb.up(above)?;
    }
    finish(climb)
}

/// What a line comes to that was judged.
fn finish(mut climb: Climb<'_>) -> Result<First, HistoryError> {
    let accepted = climb.accepted()?;
    let standing = if accepted.is_some() { Standing::Advanced } else { Standing::Refused };
    let remaining = climb.remaining;
    let account = climb.account.take().map(|good| (good, climb.refused.clone()));
    let judgement = Judgement { remaining, ..judgement(standing, accepted, climb.refused) };
    Ok(First { judgement, void: climb.void, account })
}

/// What to say of a tip whose line does not hold the anchor.
fn beside(
    mut climb: Climb<'_>,
    way: &Way,
    tip: ObjectId,
    anchor: &Anchor,
) -> Result<Judgement, HistoryError> {
    let at = anchor.record.commit;
    let revoked = climb.revoked;
    let (behind, known) = match climb.commits.on_line(at, tip) {
        // The remote does not even have the anchor, and the cache was deleted.
        Err(HistoryError::Object(ObjectError::Missing { .. })) => (false, false),
        behind => (behind?, true),
    };
    if behind {
        return Ok(anchored(anchor, revoked, Standing::Behind, Vec::new()));
    }
    if let Some(refusal) = unreadable(way) {
        return Ok(judgement(Standing::Refused, None, vec![refusal]));
    }
    let (code, how) = if climb.commits.reaches(tip, at)? {
        (Reason::Foxtrot, "lies on a side of its history, not on its first-parent line")
    } else {
        (Reason::Rewritten, "is not in its history: the branch was rewritten")
    };
    let message = format!("commit {at}, which was accepted before, {how}");
    // Without the anchor's line nobody can say what would be given up.
    let crossing = if known { crossing::cross(climb, way, tip, anchor)? } else { Crossing::None };
    Ok(match crossing {
        Crossing::Over(judgement) => judgement,
        Crossing::Void(refusal) => judgement(Standing::Refused, None, vec![refusal]),
        Crossing::None => {
            judgement(Standing::Refused, None, vec![Refusal::new(code, tip, message)])
        }
    })
}

/// The refusal of the commit below which the line cannot be followed.
fn unreadable(way: &Way) -> Option<Refusal> {
    let last = way.links.last().filter(|_| way.end == End::Unreadable)?;
    last.read.as_ref().err().cloned()
}

/// The judgement that leaves a node at its anchor.
fn anchored(
    anchor: &Anchor,
    revoked: &BTreeSet<KeyFingerprint>,
    standing: Standing,
    mut refused: Vec<Refusal>,
) -> Judgement {
    let record = &anchor.record;
    let revoked = record.key.parse::<KeyFingerprint>().is_ok_and(|key| revoked.contains(&key));
    if revoked {
        let message = format!("its key {} is revoked on this node", record.key);
        refused.insert(0, Refusal::new(Reason::KeyRevoked, record.commit, message));
    }
    let accepted = (!revoked).then(|| Verified::new(Accepted::of(anchor), record.clone()));
    judgement(if revoked { Standing::Refused } else { standing }, accepted, refused)
}

impl First {
    /// That nothing may be used, for one reason.
    pub(super) fn nothing(refusal: Refusal) -> Self {
        let judgement = judgement(Standing::Refused, None, vec![refusal]);
        Self { judgement, void: BTreeSet::new(), account: None }
    }

    /// The judgement, the grounds of what is good, and all that is refused.
    pub(super) fn account(self) -> (Judgement, Vec<Basis>, Vec<Refusal>) {
        let Self { judgement, account, .. } = self;
        let (good, refused) = account.unwrap_or_else(|| (Vec::new(), judgement.refused.clone()));
        (judgement, good, refused)
    }
}

fn judgement(
    standing: Standing,
    accepted: Option<Verified<Accepted>>,
    mut refused: Vec<Refusal>,
) -> Judgement {
    let omitted = refused.len().saturating_sub(MAX_REFUSALS);
    refused.truncate(MAX_REFUSALS);
    Judgement { standing, accepted, refused, omitted, remaining: 0 }
}

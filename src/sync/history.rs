//! The rule of authorisation: which commit of a line may be used.
//!
//! * The line is the tip's first-parent chain. The introduction lies on it and is
//!   signed by the key that introduces it; the anchor lies on it.
//! * Each commit above is judged by the signers and the policy of its first parent's
//!   tree, for every path that differs from that parent. So a merge is charged to its
//!   signer with its whole difference, and a change of policy counts from the next
//!   commit on.
//! * Its key was valid at its committer time, which is at most ten minutes before the
//!   greatest of the line below it and at most ten minutes ahead of now. The key of the commit that is
//!   used is valid now. A key revoked on the node never counts.
//! * Its own trust files are in order, so that something can be built on it.
//! * What stands on a refused commit is refused. The newest good commit is used.
//!
//! Nothing is taken from any state but the anchor, so that all nodes decide alike. For
//! the same reason a refusal rests on bytes that were hashed, never on what the source of
//! objects says: where it gives no bytes, nothing is decided.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::anchor::Anchor;
use super::climb::Climb;
use super::line::{Commits, End, MAX_COMMITS, Way};
use super::objects::ObjectError;
use super::refusal::{Reason, Refusal};
use super::signature::KeyFingerprint;
use super::store::Store;
use super::tree::MAX_COMPARED;
use super::trust::Trust;
use super::verified::Verified;
use crate::value::ObjectId;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The greatest committer time, from the introduction to the commit.
    pub latest: Timestamp,
}

/// Where a tip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The tip is the anchor.
    Current,
    /// The tip is an ancestor of the anchor on its line: the remote is behind, which is
    /// no change.
    Behind,
    /// The accepted commit is above the anchor, or there was no anchor.
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

/// Judges a tip. `now` is the node's clock.
pub fn judge(
    store: Store<'_>,
    tip: ObjectId,
    trust: &Trust,
    anchor: Option<&Anchor>,
    now: Timestamp,
) -> Result<Judgement, HistoryError> {
    let mut commits = Commits::new(store);
    let Some(anchor) = anchor else {
        return first(store, &mut commits, tip, trust, now);
    };
    if anchor.cluster != trust.cluster || anchor.introduction != trust.introduction {
        return Err(HistoryError::OtherAnchor);
    }
    let at = anchor.record.commit;
    if tip == at {
        return Ok(anchored(anchor, trust, Standing::Current, Vec::new()));
    }
    let way = commits.way(tip, at)?;
    if way.end != End::Found {
        return beside(&mut commits, &way, tip, trust, anchor);
    }
    let mut climb = Climb::new(store, trust, now);
    if let Some((start, above)) = way.links.split_last() {
        climb.start_above(start, anchor)?;
        climb.up(above)?;
    }
    let accepted = climb.accepted()?;
    Ok(match accepted {
        Some(accepted) => Judgement {
            remaining: climb.remaining,
            ..judgement(Standing::Advanced, Some(accepted), climb.refused)
        },
        None => anchored(anchor, trust, Standing::Refused, climb.refused),
    })
}

/// Without an anchor: trust begins at the introduction.
fn first(
    store: Store<'_>,
    commits: &mut Commits<'_>,
    tip: ObjectId,
    trust: &Trust,
    now: Timestamp,
) -> Result<Judgement, HistoryError> {
    let introduction = trust.introduction.commit;
    let way = commits.way(tip, introduction)?;
    let Some((start, above)) = way.links.split_last().filter(|_| way.end == End::Found) else {
        let message = format!("the introduction {introduction} is not on its first-parent line");
        let missing = Refusal::new(Reason::IntroductionMissing, tip, message);
        let refused = unreadable(&way).into_iter().chain([missing]).collect();
        return Ok(judgement(Standing::Refused, None, refused));
    };
    let uncountable = HistoryError::Uncountable { introduction };
    let sequence = commits.sequence(introduction)?.ok_or(uncountable)?;
    let mut climb = Climb::new(store, trust, now);
    climb.start_at(start, sequence)?;
    climb.up(above)?;
    let accepted = climb.accepted()?;
    let standing = if accepted.is_some() { Standing::Advanced } else { Standing::Refused };
    let remaining = climb.remaining;
    Ok(Judgement { remaining, ..judgement(standing, accepted, climb.refused) })
}

/// What to say of a tip whose line does not hold the anchor.
fn beside(
    commits: &mut Commits<'_>,
    way: &Way,
    tip: ObjectId,
    trust: &Trust,
    anchor: &Anchor,
) -> Result<Judgement, HistoryError> {
    let at = anchor.record.commit;
    let behind = match commits.on_line(at, tip) {
        // The remote does not even have the anchor, and the cache was deleted.
        Err(HistoryError::Object(ObjectError::Missing { .. })) => false,
        behind => behind?,
    };
    if behind {
        return Ok(anchored(anchor, trust, Standing::Behind, Vec::new()));
    }
    let mut refused: Vec<Refusal> = unreadable(way).into_iter().collect();
    if refused.is_empty() {
        let (code, how) = if commits.reaches(tip, at)? {
            (Reason::Foxtrot, "lies on a side of its history, not on its first-parent line")
        } else {
            (Reason::Rewritten, "is not in its history: the branch was rewritten")
        };
        let message = format!("commit {at}, which was accepted before, {how}");
        refused.push(Refusal::new(code, tip, message));
    }
    Ok(judgement(Standing::Refused, None, refused))
}

/// The refusal of the commit below which the line cannot be followed.
fn unreadable(way: &Way) -> Option<Refusal> {
    let last = way.links.last().filter(|_| way.end == End::Unreadable)?;
    last.read.as_ref().err().cloned()
}

/// The judgement that leaves a node at its anchor.
fn anchored(
    anchor: &Anchor,
    trust: &Trust,
    standing: Standing,
    mut refused: Vec<Refusal>,
) -> Judgement {
    let record = &anchor.record;
    let revoked =
        record.key.parse::<KeyFingerprint>().is_ok_and(|key| trust.revoked.contains(&key));
    if revoked {
        let message = format!("its key {} is revoked on this node", record.key);
        refused.insert(0, Refusal::new(Reason::KeyRevoked, record.commit, message));
    }
    let accepted =
        (!revoked).then(|| Verified::new(Accepted { latest: anchor.latest }, record.clone()));
    judgement(if revoked { Standing::Refused } else { standing }, accepted, refused)
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

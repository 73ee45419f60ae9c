//! The way from one line to another that declares its first commit void: what
//! [`super::history`] says of it.

use std::collections::{HashMap, HashSet};

use super::anchor::{Anchor, Left};
use super::climb::Climb;
use super::history::{Accepted, First, HistoryError, Judgement, first};
use super::line::Way;
use super::refusal::{Reason, Refusal};
use crate::value::ObjectId;

/// Whether a node may leave the anchor's line for another.
pub(super) enum Crossing {
    /// It may, and this is what the other line comes to.
    Over(Judgement),
    /// It left that line before.
    Void(Refusal),
    /// It may not.
    None,
}

/// Judges a line that leaves the anchor's below the anchor.
pub(super) fn cross(
    mut climb: Climb<'_>,
    way: &Way,
    tip: ObjectId,
    anchor: &Anchor,
) -> Result<Crossing, HistoryError> {
    let at = anchor.record.commit;
    let places: HashMap<ObjectId, usize> =
        way.links.iter().enumerate().map(|(place, link)| (link.id, place)).collect();
    let ids: HashSet<ObjectId> = places.keys().copied().collect();
    let Some(fork) = climb.commits.fork(at, &ids)? else { return Ok(Crossing::None) };
    let Some(void) = climb.void_of(at)? else { return Ok(Crossing::None) };
    let other = &way.links[..places[&fork.at]];
    if let Some(link) = other.iter().rfind(|link| void.contains(&link.id)) {
        let message = format!("commit {at}, which was accepted before, declares it void");
        return Ok(Crossing::Void(Refusal::new(Reason::Voided, link.id, message)));
    }
    let First { judgement, void, .. } = first(climb, way, tip, &anchor.introduction)?;
    let Some(accepted) = judgement.accepted else { return Ok(Crossing::None) };
    let above = other.iter().any(|link| link.id == accepted.record().commit);
    if !above || !void.contains(&fork.above) {
        // The commit that says so may be among those that were not judged.
        let all = judgement.remaining == 0;
        return if all { Ok(Crossing::None) } else { Err(HistoryError::TooMuch) };
    }
    let left = Some(Left { commit: at, sequence: anchor.record.sequence });
    let accepted = Some(accepted.map(|accepted| Accepted { left, ..accepted }));
    Ok(Crossing::Over(Judgement { accepted, ..judgement }))
}

//! Whether two states of a branch go together.

use super::history::HistoryError;
use super::line::Commits;
use super::store::Store;
use crate::value::ObjectId;

/// Whether neither of two commits is an ancestor of the other: a remote that is only
/// behind shows an ancestor of what another one shows.
pub fn diverged(store: Store<'_>, one: ObjectId, other: ObjectId) -> Result<bool, HistoryError> {
    let mut commits = Commits::new(store);
    Ok(!commits.reaches(one, other)? && !commits.reaches(other, one)?)
}

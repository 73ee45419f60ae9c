//! How much may be removed at once.

use super::{Counts, Refusal};

/// The most of our records on one server that one plan may remove. Nobody is asked where
/// nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most records.
    pub max_records: Option<u32>,
    /// The largest part of our records, in percent.
    pub max_percent: Option<u32>,
}

impl Limits {
    /// Why a plan must not remove what it would.
    pub fn judge(self, counts: Counts) -> Option<Refusal> {
        let Counts { removed, ours, .. } = counts;
        let most = self.max_records.map(|most| most as usize);
        let part = self.max_percent.map(|percent| ours * percent as usize / 100);
        let most = most.into_iter().chain(part).min().filter(|most| removed > *most)?;
        Some(Refusal::TooMuch { removed, of: ours, most })
    }
}

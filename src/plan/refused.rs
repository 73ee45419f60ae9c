//! What servers beside the network are not told, whether of names or of addresses.

use std::fmt;

/// Something that is not done. All else goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<S, W> {
    /// With or for what.
    pub of: S,
    /// Why.
    pub why: W,
}

/// `WHAT: WHY`.
impl<S: fmt::Display, W: fmt::Display> fmt::Display for Refused<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.why)
    }
}

/// The most of what is ours on one server that one plan may take away. Nobody is asked where
/// nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most entries.
    pub max: Option<u32>,
    /// The largest part of what is ours, in percent.
    pub max_percent: Option<u32>,
}

/// More would be taken away than the limits allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch {
    /// The entries that would be removed or given up.
    pub removed: usize,
    /// The entries that are ours.
    pub of: usize,
    /// The most that may be.
    pub most: usize,
}

impl Limits {
    /// Why a plan must not take away as many of our entries as it would.
    pub fn judge(self, removed: usize, of: usize) -> Option<TooMuch> {
        let most = self.max.map(|most| most as usize);
        let part = self.max_percent.map(|percent| of * percent as usize / 100);
        let most = most.into_iter().chain(part).min().filter(|most| removed > *most)?;
        Some(TooMuch { removed, of, most })
    }
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { removed, of, most } = self;
        write!(
            f,
            "{removed} of our {of} entries would be taken away, and at most {most} may be; look at \
             `weft ipam plan`, and say `weft ipam apply --force` if it is meant"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_not_taken_away() {
        let judge = |max, max_percent| Limits { max, max_percent }.judge(5, 20);
        assert_eq!(judge(None, None), None);
        assert_eq!(judge(Some(5), Some(25)), None);
        assert_eq!(judge(Some(4), None), Some(TooMuch { removed: 5, of: 20, most: 4 }));
        assert_eq!(judge(Some(5), Some(24)), Some(TooMuch { removed: 5, of: 20, most: 4 }));
        assert_eq!(Limits { max: Some(0), max_percent: None }.judge(0, 0), None);
    }
}

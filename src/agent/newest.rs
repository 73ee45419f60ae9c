//! Whether another node settled a newer commit of the configuration than runs here.
//!
//! The branch of leases says which commit was settled last, and whoever may write it may
//! write anything there. So only the node's own line decides: a commit that is not where it
//! is said to be does not count. One above all that this node accepted can be true or
//! invented; it counts for an hour at most, if the configuration was read since.

use std::time::Duration;

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::status;
use crate::declare::lease::Configuration;
use crate::host::{Host, HostError};
use crate::sync::objects::{Kind, ObjectError};
use crate::sync::{Store, commit};
use crate::value::ObjectId;

/// How long a commit counts that this node cannot know.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The most commits between what runs and what was accepted that are told apart.
const MOST: usize = 10_000;
/// Since when the branch names a commit that this node cannot know.
const SINCE: &str = "/var/lib/weft/leases.unknown";
const MAX_BYTES: u64 = 4096;
const MAX_STATUS_BYTES: u64 = 16 << 20;

/// What this node knows of its own line.
#[derive(Clone, Debug)]
pub struct Known {
    runs: u64,
    accepted: u64,
    /// The commits above what runs that were accepted, the newest first.
    above: Vec<ObjectId>,
}

/// How a commit that was settled stands to what runs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// It is not above it.
    NotNewer,
    /// It is above it.
    Newer,
    /// It is said to be above all that was accepted here.
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    since: Timestamp,
}

/// The part of a status that matters here.
#[derive(Deserialize)]
struct Polled {
    remotes: Vec<PolledRemote>,
}

#[derive(Deserialize)]
struct PolledRemote {
    seen: Option<Timestamp>,
}

impl Known {
    /// By a store of the configuration: the count of what runs, and the newest commit that
    /// was accepted.
    pub(super) fn of(
        store: Store<'_>,
        runs: u64,
        accepted: Configuration,
    ) -> Result<Self, ObjectError> {
        let more = usize::try_from(accepted.sequence.saturating_sub(runs)).unwrap_or(MOST);
        let (mut above, mut next) = (Vec::new(), Some(accepted.commit));
        while let Some(id) = next.filter(|_| above.len() < more.min(MOST)) {
            above.push(id);
            let raw = store.read(id, Kind::Commit, commit::MAX_BYTES as u64)?;
            next = commit::lineage(&raw).and_then(|(_, parents)| parents.first().copied());
        }
        Ok(Self { runs, accepted: accepted.sequence, above })
    }

    /// Whether a newer commit was accepted here than the one that runs: the node is held, or
    /// the commit waits.
    pub(super) fn lags(&self) -> bool {
        self.accepted > self.runs
    }

    fn judge(&self, other: Configuration) -> Other {
        if other.sequence <= self.runs {
            return Other::NotNewer;
        }
        let Some(steps) = self.accepted.checked_sub(other.sequence) else {
            return Other::Unknown;
        };
        match usize::try_from(steps).ok().and_then(|steps| self.above.get(steps)) {
            Some(own) if *own != other.commit => Other::NotNewer,
            Some(_) | None => Other::Newer,
        }
    }

    /// Whether a node that runs this must give nothing up, by the commit that was settled.
    pub(super) fn is_behind(
        &self,
        host: &impl Host,
        settled: Option<Configuration>,
    ) -> Result<bool, HostError> {
        let other = settled.map_or(Other::NotNewer, |settled| self.judge(settled));
        let path = Utf8Path::new(SINCE);
        let since = host.read(path, MAX_BYTES)?;
        if other != Other::Unknown {
            if since.is_some() {
                host.remove(path)?;
            }
            return Ok(other == Other::Newer);
        }
        let now = host.now();
        // One in the future was written by a clock that was set back since.
        let since = since
            .and_then(|file| serde_json::from_slice::<Since>(&file.bytes).ok())
            .map(|of| of.since)
            .filter(|since| *since <= now);
        let Some(since) = since else {
            let text = serde_json::to_vec(&Since { since: now }).expect("a time is JSON");
            host.replace(path, &text, 0o600)?;
            return Ok(true);
        };
        let is_over = now.duration_since(since).unsigned_abs() >= PATIENCE;
        Ok(!(is_over && polled_after(host, since)?))
    }
}

/// Whether a remote of the configuration was read after a time.
fn polled_after(host: &impl Host, since: Timestamp) -> Result<bool, HostError> {
    let file = host.read(Utf8Path::new(status::PATH), MAX_STATUS_BYTES)?;
    let polled = file.and_then(|file| serde_json::from_slice::<Polled>(&file.bytes).ok());
    let remotes = polled.map(|polled| polled.remotes).unwrap_or_default();
    Ok(remotes.iter().any(|remote| remote.seen.is_some_and(|seen| seen > since)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn commit(number: u8) -> ObjectId {
        ObjectId::from_bytes([number; 20])
    }

    fn of(number: u8, sequence: u64) -> Configuration {
        Configuration { commit: commit(number), sequence }
    }

    #[test]
    fn only_the_own_line_says_what_is_newer() {
        let known = Known { runs: 5, accepted: 7, above: vec![commit(7), commit(6)] };
        for (other, is) in [
            (of(5, 5), Other::NotNewer),
            (of(4, 4), Other::NotNewer),
            // Of another line, which this one left, or invented.
            (of(99, 5), Other::NotNewer),
            (of(99, 6), Other::NotNewer),
            (of(6, 6), Other::Newer),
            (of(7, 7), Other::Newer),
            (of(8, 8), Other::Unknown),
            (of(99, u64::MAX), Other::Unknown),
        ] {
            assert_eq!(known.judge(other), is, "{other:?}");
        }
    }

    #[test]
    fn what_cannot_be_known_counts_for_an_hour_of_polls() {
        let host = Fake::default();
        let known = Known { runs: 5, accepted: 5, above: Vec::new() };
        let is_behind = |settled| known.is_behind(&host, settled).unwrap();
        let invented = Some(of(99, u64::MAX));
        assert!(!is_behind(None) && is_behind(invented));
        host.set_now(host.now() + PATIENCE);
        // The configuration was not read meanwhile: it may well be there.
        assert!(is_behind(invented));
        let poll = || {
            let seen = host.now();
            let text =
                format!(r#"{{"format": 1, "remotes": [{{"name": "a", "seen": "{seen}"}}]}}"#);
            host.replace(Utf8Path::new(status::PATH), text.as_bytes(), 0o644).unwrap();
        };
        poll();
        assert!(!is_behind(invented));
        // What can be known begins anew.
        assert!(!is_behind(Some(of(5, 5))) && is_behind(invented));
        poll();
        assert!(is_behind(invented));
    }
}

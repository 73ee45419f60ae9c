//! How often drift was undone lately: `/var/lib/weft/corrections`.
//!
//! On the disk, so that turns of every process count: what comes back each time has a cause
//! that a person must find.

use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::host::{Host, HostError};

/// Where the times lie on a node.
pub(super) const PATH: &str = "/var/lib/weft/corrections";
/// How often drift is undone within [`WHILE`].
pub(super) const MOST: usize = 3;
const WHILE: SignedDuration = SignedDuration::from_hours(1);
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 4 << 10;

/// When drift was undone within the last hour.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Corrections {
    format: u32,
    times: Vec<Timestamp>,
}

/// Why it is not known how often drift was undone. Then it is not undone.
#[derive(Debug, Error)]
pub(super) enum CorrectionsError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The file is not one that weft wrote.
    #[error("`{PATH}` cannot be read; look at it, then remove it to go on")]
    Damaged(#[source] serde_json::Error),
    /// A later version of weft wrote the file.
    #[error("`{PATH}` has format {0}, which this version does not read; upgrade weft")]
    Format(u32),
}

impl Corrections {
    /// Those of a node that count at this time.
    pub(super) fn load(host: &impl Host, now: Timestamp) -> Result<Self, CorrectionsError> {
        let Some(file) = host.read(Utf8Path::new(PATH), MAX_BYTES)? else {
            return Ok(Self { format: FORMAT, times: Vec::new() });
        };
        let mut read: Self =
            serde_json::from_slice(&file.bytes).map_err(CorrectionsError::Damaged)?;
        if read.format != FORMAT {
            return Err(CorrectionsError::Format(read.format));
        }
        // A clock that was set back must not forbid them for longer.
        read.times.retain(|time| now.duration_since(*time).abs() < WHILE);
        Ok(read)
    }

    /// Whether no more is undone within this hour.
    pub(super) fn are_spent(&self) -> bool {
        self.times.len() >= MOST
    }

    /// Takes in that drift is undone now.
    pub(super) fn add(&mut self, now: Timestamp) {
        self.times.push(now);
    }

    /// Writes them down.
    pub(super) fn store(&self, host: &impl Host) -> Result<(), HostError> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        host.replace(Utf8Path::new(PATH), &text, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::{Corrections, CorrectionsError, MOST, PATH};
    use crate::host::Host as _;
    use crate::host::fake::Fake;

    #[test]
    fn an_hour_counts_and_what_cannot_be_read_is_no_leave() {
        let host = Fake::default();
        let now = host.now();
        for _ in 0..MOST {
            let mut corrections = Corrections::load(&host, now).expect("it can be read");
            assert!(!corrections.are_spent());
            corrections.add(now);
            corrections.store(&host).expect("it can be written");
        }
        let is_spent = |minutes| {
            let then = now + SignedDuration::from_mins(minutes);
            Corrections::load(&host, then).expect("it can be read").are_spent()
        };
        assert!(is_spent(0) && is_spent(59) && !is_spent(60) && !is_spent(-60));
        for wrong in ["", "{}", "{\"format\":1,\"times\":[],\"more\":1}"] {
            host.put(PATH, wrong.as_bytes(), 0o600);
            let error = Corrections::load(&host, now).expect_err("it is none");
            assert!(matches!(error, CorrectionsError::Damaged(_)), "{wrong}");
        }
        host.put(PATH, b"{\"format\":2,\"times\":[]}", 0o600);
        let error = Corrections::load(&host, now).expect_err("it is of a later version");
        assert!(matches!(error, CorrectionsError::Format(2)));
    }
}

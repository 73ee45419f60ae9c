//! An operator's local stop: `/var/lib/weft/hold`.
//!
//! While it lasts no new commit changes the node. It never stops a way back: a rollback,
//! what is settled at boot, or a commit that brings back what ran before.

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::host::{Host, HostError};
use crate::sync::Earlier;
use crate::value::ObjectId;

/// Where the hold lies on a node.
pub const PATH: &str = "/var/lib/weft/hold";
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 64 << 10;
/// The most characters of a reason and of a name.
pub const MAX_WORDS: usize = 500;

/// A stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    format: u32,
    /// Who wanted it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; until it is lifted when absent.
    pub until: Option<Timestamp>,
    /// The commit that a person went back from: it is held although it may bring back what
    /// ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<ObjectId>,
}

/// Why it is not known whether there is a hold.
#[derive(Debug, Error)]
pub enum HoldError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The file is not one that weft wrote. It counts as a hold.
    #[error("`{PATH}` cannot be read, so the node is held; look at it, then `weft resume`")]
    Damaged(#[source] serde_json::Error),
    /// It cannot be put in force, or lifted.
    #[error(transparent)]
    Unwritten(HostError),
    /// A later version of weft wrote the file.
    #[error("`{PATH}` has format {0}, which this version does not read; upgrade weft")]
    Format(u32),
}

impl Hold {
    /// A hold from now on. What is too long is cut.
    pub fn new(by: &str, reason: &str, now: Timestamp, until: Option<Timestamp>) -> Self {
        let words = |text: &str| -> String {
            let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            line.take(MAX_WORDS).collect()
        };
        Self { format: FORMAT, by: words(by), reason: words(reason), since: now, until, left: None }
    }

    /// The same for a node that a person takes back from a commit.
    #[must_use]
    pub fn leaving(self, left: Option<ObjectId>) -> Self {
        Self { left, ..self }
    }

    /// The hold that is in force at this time.
    pub fn current(host: &impl Host, now: Timestamp) -> Result<Option<Self>, HoldError> {
        let Some(file) = host.read(Utf8Path::new(PATH), MAX_BYTES)? else { return Ok(None) };
        let hold: Self = serde_json::from_slice(&file.bytes).map_err(HoldError::Damaged)?;
        if hold.format != FORMAT {
            return Err(HoldError::Format(hold.format));
        }
        Ok(Some(hold).filter(|hold| hold.until.is_none_or(|until| now < until)))
    }

    /// Puts it in force, in place of any other.
    pub fn store(&self, host: &impl Host) -> Result<(), HoldError> {
        let text = serde_json::to_vec_pretty(self).map_err(HoldError::Damaged)?;
        host.replace(Utf8Path::new(PATH), &text, 0o600).map_err(HoldError::Unwritten)
    }

    /// Lifts whatever hold there is. Says whether there was one.
    pub fn lift(host: &impl Host) -> Result<bool, HoldError> {
        let there = host.read(Utf8Path::new(PATH), MAX_BYTES)?.is_some();
        host.remove(Utf8Path::new(PATH)).map_err(HoldError::Unwritten)?;
        Ok(there)
    }

    /// Whether it stops a commit. One that brings back what ran before (`reverts`) is a way
    /// back, unless it is the one that a person went back from.
    pub fn stops(&self, commit: ObjectId, reverts: bool) -> bool {
        !reverts || self.left == Some(commit)
    }

    /// That this stops no commit which brings back the files of that one.
    pub fn passed(&self, earlier: Earlier) -> String {
        format!(
            "it brings back the files of {earlier}, which no hold stops, although this node is {}",
            self.sentence()
        )
    }

    /// Who holds the node, for how long and why, in one sentence.
    pub fn sentence(&self) -> String {
        let until = match self.until {
            Some(until) => format!("until {}", until.strftime("%Y-%m-%d %H:%M:%SZ")),
            None => "until `weft resume`".to_owned(),
        };
        format!("held by {} {until}: {}", self.by, self.reason)
    }
}

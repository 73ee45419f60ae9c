//! How names stand on this node, for people and programs.

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::host::{Host, HostError};

/// Where [`Standing`] lies on a node.
pub const STANDING: &str = "/run/weft/names.json";
const MAX_BYTES: u64 = 1 << 20;
/// How many refusals are named.
const NAMED: usize = 20;

/// How names stand, as the agent saw it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// When this was written.
    pub updated: Timestamp,
    /// Whether all that is wanted is registered, as far as this node knows.
    pub ok: bool,
    /// In one sentence.
    pub message: String,
    /// What is not registered, and why.
    pub refused: Vec<String>,
}

impl Standing {
    pub(super) fn write(
        host: &impl Host,
        ok: bool,
        message: String,
        refused: Vec<String>,
    ) -> Result<(), HostError> {
        let refused = refused.into_iter().take(NAMED).collect();
        let standing = Self { updated: host.now(), ok, message, refused };
        let mut text = serde_json::to_vec_pretty(&standing).expect("strings and numbers are JSON");
        text.push(b'\n');
        host.replace(Utf8Path::new(STANDING), &text, 0o644)
    }
}

/// Forgets how they stood: nobody looks at them any more.
pub(super) fn forget(host: &impl Host) -> Result<(), HostError> {
    match host.read(Utf8Path::new(STANDING), MAX_BYTES)? {
        Some(_) => host.remove(Utf8Path::new(STANDING)),
        None => Ok(()),
    }
}

/// How names stood last; `None` where the agent never looked at them.
pub fn standing(host: &impl Host) -> Result<Option<Standing>, HostError> {
    let file = host.read(Utf8Path::new(STANDING), MAX_BYTES)?;
    Ok(file.and_then(|file| serde_json::from_slice(&file.bytes).ok()))
}

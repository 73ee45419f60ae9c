//! The tip of the branch of leases that was taken last.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::LeasesError;
use crate::host::Host;
use crate::sync::ledger;
use crate::value::ObjectId;

/// Where it is kept.
pub const TAKEN: &str = "/var/lib/weft/leases.taken";
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 64 << 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    format: u32,
    commit: ObjectId,
    #[serde(default)]
    line: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upon: Option<ObjectId>,
}

/// The tip that was taken last; `None` where none ever was.
pub(in crate::agent) fn taken(host: &impl Host) -> Result<Option<ledger::Taken>, LeasesError> {
    let Some(file) = host.read(Utf8Path::new(TAKEN), MAX_BYTES)? else { return Ok(None) };
    let damaged = |why: String| LeasesError::Damaged(why);
    let taken: Taken =
        serde_json::from_slice(&file.bytes).map_err(|error| damaged(error.to_string()))?;
    if taken.format != FORMAT {
        return Err(damaged(format!("it has format {}", taken.format)));
    }
    let Taken { commit, line, upon, .. } = taken;
    Ok(Some(ledger::Taken { commit, line, upon }))
}

pub(super) fn remember(host: &impl Host, tip: ledger::Taken) -> Result<(), LeasesError> {
    if taken(host)?.is_some_and(|last| last.commit == tip.commit && tip.upon.is_none()) {
        return Ok(());
    }
    let ledger::Taken { commit, line, upon } = tip;
    let mut text = serde_json::to_vec(&Taken { format: FORMAT, commit, line, upon })
        .expect("strings and numbers are JSON");
    text.push(b'\n');
    Ok(host.replace(Utf8Path::new(TAKEN), &text, 0o600)?)
}

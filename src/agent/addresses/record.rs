//! Leases where no server is needed to read them.

use std::collections::BTreeMap;

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::AddressesError;
use crate::declare::lease;
use crate::host::{Host, HostError};
use crate::network::Leases;
use crate::value::ObjectId;

/// The leases as this node read them last.
pub const RECORD: &str = "/var/lib/weft/leases.json";
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 64 << 20;

/// The leases as a node read them last.
#[derive(Debug)]
pub struct Remembered {
    /// The commit that held them.
    pub tip: Option<ObjectId>,
    /// When they were read.
    pub read: Timestamp,
    /// What was held.
    pub leases: Leases,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    tip: Option<ObjectId>,
    read: Timestamp,
    leases: BTreeMap<String, Json>,
}

/// What this node read last; `None` where it never did.
pub fn remembered(host: &impl Host) -> Result<Option<Remembered>, AddressesError> {
    let Some(file) = host.read(Utf8Path::new(RECORD), MAX_BYTES)? else { return Ok(None) };
    let damaged = |why: String| AddressesError::Record(why);
    let record: Record =
        serde_json::from_slice(&file.bytes).map_err(|error| damaged(error.to_string()))?;
    if record.format != FORMAT {
        return Err(damaged(format!("format {}", record.format)));
    }
    let leases = record.leases.into_iter().map(|(path, lease)| {
        let path = path.parse().map_err(|error| damaged(format!("{error}")))?;
        lease::read(&path, lease.to_string().as_bytes()).map_err(|error| damaged(error.to_string()))
    });
    let leases = leases.collect::<Result<_, AddressesError>>()?;
    Ok(Some(Remembered { tip: record.tip, read: record.read, leases }))
}

/// Remembers what the branch of leases holds. Whoever calls this has the branch's lock, so that
/// what was read earlier never takes the place of what was read later.
pub(in crate::agent) fn remember(
    host: &impl Host,
    tip: Option<ObjectId>,
    leases: &Leases,
) -> Result<(), HostError> {
    let leases = leases.iter().map(|((zone, address), of)| {
        let json = serde_json::from_slice(&lease::write(of)).expect("it was just written");
        (lease::path(zone, *address).to_string(), json)
    });
    let record = Record { format: FORMAT, tip, read: host.now(), leases: leases.collect() };
    let mut text = serde_json::to_vec_pretty(&record).expect("strings and numbers are JSON");
    text.push(b'\n');
    host.replace(Utf8Path::new(RECORD), &text, 0o644)
}

//! Leases where no server is needed to read them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::AddressesError;
use crate::declare::lease;
use crate::host::{Host, HostError};
use crate::network::Leases;
use crate::value::{ObjectId, ZoneId};

/// The leases as this node read them last.
pub const RECORD: &str = "/var/lib/weft/leases.json";
/// The leases of zones that IPAM servers administer, as this node read them last.
const SERVERS: &str = "/var/lib/weft/leases-of-servers.json";
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
    /// The zones that servers administer, of which this was read.
    pub zones: BTreeSet<ZoneId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    tip: Option<ObjectId>,
    read: Timestamp,
    leases: BTreeMap<String, Json>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    zones: BTreeSet<ZoneId>,
}

/// What this node read last, from the branch and from IPAM servers; `None` where it never
/// did.
pub fn remembered(host: &impl Host) -> Result<Option<Remembered>, AddressesError> {
    let of_servers = read(host, SERVERS)?;
    let Some(mut last) = read(host, RECORD)? else { return Ok(of_servers) };
    last.leases.extend(of_servers.into_iter().flat_map(|last| last.leases));
    Ok(Some(last))
}

/// What IPAM servers held when this node asked them last.
pub fn remembered_of_servers(host: &impl Host) -> Result<Leases, AddressesError> {
    Ok(read(host, SERVERS)?.map(|last| last.leases).unwrap_or_default())
}

/// The zones of which this node knows what IPAM servers hold: those that it read within a
/// time.
pub fn known_of_servers(
    host: &impl Host,
    within: Duration,
) -> Result<BTreeSet<ZoneId>, AddressesError> {
    let last = read(host, SERVERS)?;
    let last = last.filter(|last| host.now().duration_since(last.read).unsigned_abs() <= within);
    Ok(last.map(|last| last.zones).unwrap_or_default())
}

/// Remembers the leases of a server's zones beside those of other servers.
pub(in crate::agent) fn remember_server(
    host: &impl Host,
    zones: &BTreeSet<ZoneId>,
    leases: &Leases,
) -> Result<(), AddressesError> {
    let last = read(host, SERVERS)?;
    let (mut all, mut known) = last.map(|last| (last.leases, last.zones)).unwrap_or_default();
    all.retain(|(zone, _), _| !zones.contains(zone));
    all.extend(leases.iter().map(|(key, lease)| (key.clone(), lease.clone())));
    known.extend(zones.iter().cloned());
    Ok(write(host, SERVERS, (None, known), &all)?)
}

fn read(host: &impl Host, path: &str) -> Result<Option<Remembered>, AddressesError> {
    let Some(file) = host.read(Utf8Path::new(path), MAX_BYTES)? else { return Ok(None) };
    let damaged = |why: String| AddressesError::Record(why);
    let record: Record =
        serde_json::from_slice(&file.bytes).map_err(|error| damaged(error.to_string()))?;
    if record.format != FORMAT {
        return Err(damaged(format!("format {}", record.format)));
    }
    let leases = record.leases.iter().map(|(path, lease)| {
        let path = path.parse().map_err(|error| damaged(format!("{error}")))?;
        lease::read(&path, lease.to_string().as_bytes()).map_err(|error| damaged(error.to_string()))
    });
    let leases = leases.collect::<Result<_, AddressesError>>()?;
    let Record { tip, read, zones, .. } = record;
    Ok(Some(Remembered { tip, read, leases, zones }))
}

/// Remembers what the branch of leases holds. Whoever calls this has the branch's lock, so that
/// what was read earlier never takes the place of what was read later.
pub(in crate::agent) fn remember(
    host: &impl Host,
    tip: Option<ObjectId>,
    leases: &Leases,
) -> Result<(), HostError> {
    write(host, RECORD, (tip, BTreeSet::new()), leases)
}

fn write(
    host: &impl Host,
    path: &str,
    (tip, zones): (Option<ObjectId>, BTreeSet<ZoneId>),
    leases: &Leases,
) -> Result<(), HostError> {
    let leases = leases.iter().map(|((zone, address), of)| {
        let json = serde_json::from_slice(&lease::write(of)).expect("it was just written");
        (lease::path(zone, *address).to_string(), json)
    });
    let read = host.now();
    let record = Record { format: FORMAT, tip, read, leases: leases.collect(), zones };
    let mut text = serde_json::to_vec_pretty(&record).expect("strings and numbers are JSON");
    text.push(b'\n');
    host.replace(Utf8Path::new(path), &text, 0o644)
}

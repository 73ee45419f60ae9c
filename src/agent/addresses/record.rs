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
    /// When each zone was read that a server administers.
    pub zones: BTreeMap<ZoneId, Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    tip: Option<ObjectId>,
    read: Timestamp,
    leases: BTreeMap<String, Json>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    zones: BTreeMap<ZoneId, Timestamp>,
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
    let zones = read(host, SERVERS)?.map(|last| last.zones).unwrap_or_default();
    let now = host.now();
    let is_fresh = |read: &Timestamp| now.duration_since(*read).unsigned_abs() <= within;
    Ok(zones.into_iter().filter(|(_, read)| is_fresh(read)).map(|(zone, _)| zone).collect())
}

/// Remembers the leases of a server's `zones`, read now, beside those of other zones that a
/// server administers. A record that is damaged is written anew.
pub(in crate::agent) fn remember_server(
    host: &impl Host,
    administered: &BTreeSet<ZoneId>,
    zones: &BTreeSet<ZoneId>,
    leases: &Leases,
) -> Result<(), AddressesError> {
    let last = match read(host, SERVERS) {
        Ok(last) => last,
        Err(AddressesError::Record(why)) => {
            tracing::warn!("`{SERVERS}` is damaged ({why}) and is written anew");
            None
        }
        Err(error) => return Err(error),
    };
    let (mut all, mut times) = last.map(|last| (last.leases, last.zones)).unwrap_or_default();
    let is_other = |zone: &ZoneId| administered.contains(zone) && !zones.contains(zone);
    all.retain(|(zone, _), _| is_other(zone));
    times.retain(|zone, _| is_other(zone));
    all.extend(leases.iter().map(|(key, lease)| (key.clone(), lease.clone())));
    times.extend(zones.iter().map(|zone| (zone.clone(), host.now())));
    Ok(write(host, SERVERS, (None, times), &all)?)
}

/// Forgets the leases of zones that no server administers any more: they are another's to say.
pub(in crate::agent) fn forget_others(
    host: &impl Host,
    administered: &BTreeSet<ZoneId>,
) -> Result<(), AddressesError> {
    let Some(last) = read(host, SERVERS).ok().flatten() else { return Ok(()) };
    let is_gone = |zone: &ZoneId| !administered.contains(zone);
    if last.zones.keys().any(is_gone) || last.leases.keys().any(|(zone, _)| is_gone(zone)) {
        remember_server(host, administered, &BTreeSet::new(), &Leases::new())?;
    }
    Ok(())
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
    write(host, RECORD, (tip, BTreeMap::new()), leases)
}

fn write(
    host: &impl Host,
    path: &str,
    (tip, zones): (Option<ObjectId>, BTreeMap<ZoneId, Timestamp>),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;
    use crate::network::{Lease, Origin};

    fn zones(names: &[&str]) -> BTreeSet<ZoneId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn leases(zone: &str, address: &str) -> Leases {
        let lease = Lease {
            vnet: "va".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            guest: "web".parse().unwrap(),
            hostname: None,
            origin: Origin::Declared,
            released: None,
        };
        [((zone.parse().unwrap(), address.parse().unwrap()), lease)].into()
    }

    /// One server that answers says nothing of what another one holds.
    #[test]
    fn each_zone_was_read_when_it_was_read() {
        let host = Fake::default();
        let all = zones(&["za", "zb"]);
        let minutes = |count: u64| Duration::from_secs(60 * count);
        remember_server(&host, &all, &zones(&["za"]), &leases("za", "10.0.0.1")).unwrap();
        host.set_now(host.now() + minutes(90));
        remember_server(&host, &all, &zones(&["zb"]), &leases("zb", "10.0.0.1")).unwrap();
        assert_eq!(known_of_servers(&host, minutes(60)).unwrap(), zones(&["zb"]));
        assert_eq!(known_of_servers(&host, minutes(120)).unwrap(), all);
        assert_eq!(remembered_of_servers(&host).unwrap().len(), 2);
        // What moved away is another's to say.
        forget_others(&host, &zones(&["zb"])).unwrap();
        assert_eq!(remembered_of_servers(&host).unwrap(), leases("zb", "10.0.0.1"));
        assert_eq!(known_of_servers(&host, minutes(120)).unwrap(), zones(&["zb"]));
        // What is damaged says nothing, and is written anew.
        host.put(SERVERS, b"{", 0o644);
        assert!(remembered(&host).is_err());
        forget_others(&host, &all).unwrap();
        remember_server(&host, &all, &zones(&["za"]), &leases("za", "10.0.0.2")).unwrap();
        assert_eq!(remembered_of_servers(&host).unwrap(), leases("za", "10.0.0.2"));
    }
}

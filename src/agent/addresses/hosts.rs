//! What the dnsmasq of each zone is told of leases, from what this node read last: no server
//! is asked, and nothing waits for one.
//!
//! The file of a zone's hosts is weft's once the zone's dnsmasq is. It is no part of a
//! generation: leases open no window, and a way back takes no address from a guest. It stays
//! when its zone goes, for the way back brings the zone back, and nobody reads it meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::{AddressesError, remembered};
use crate::agent::error::chain;
use crate::agent::settings::{Mode, Settings};
use crate::apply;
use crate::host::{FoundFile, Host, HostError};
use crate::network::Leases;
use crate::plan::ServiceStep;
use crate::plan::hosts::{forgotten, hosts};
use crate::render::{Managed, hosts_file, leases_file};
use crate::value::ZoneId;

/// What is known of the lines that weft wrote.
const RECORD: &str = "/var/lib/weft/hosts.json";
/// One process at a time writes hosts.
const LOCK: &str = "/run/weft/hosts.lock";
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 16 << 20;
/// How long another process is waited for.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// How many lines of others are named.
const NAMED: usize = 20;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    zones: BTreeMap<ZoneId, Known>,
}

/// What weft told the dnsmasq of a zone.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// The lines in the file that are weft's, and while it is being written those of before.
    lines: BTreeSet<String>,
    /// Whether dnsmasq was told.
    taken: bool,
}

/// What came of telling the DHCP servers of a node.
#[derive(Debug, Default)]
pub struct Told {
    /// The zones whose dnsmasq was not told, each with the reason.
    pub failed: BTreeMap<ZoneId, String>,
    /// What a person should know of lines that somebody else wrote.
    pub notes: Vec<String>,
}

impl Told {
    /// All of it in sentences.
    pub fn sentences(self) -> Vec<String> {
        let failed = self.failed.into_iter().map(|(zone, why)| format!("zone {zone}: {why}"));
        failed.chain(self.notes).collect()
    }
}

/// Brings the hosts of each zone whose dnsmasq is weft's to the leases that this node read
/// last. One zone that fails keeps no other one back.
pub fn tell_hosts(host: &impl Host, settings: &Settings) -> Result<Told, AddressesError> {
    let mut told = Told::default();
    if settings.mode() != Mode::Apply {
        return Ok(told);
    }
    let zones: Vec<ZoneId> = apply::owned(host)?
        .into_iter()
        .flat_map(|manifest| manifest.files.into_keys())
        .filter_map(|managed| match managed {
            Managed::DnsmasqZone(zone) => Some(zone),
            _ => None,
        })
        .collect();
    if zones.is_empty() {
        return Ok(told);
    }
    let Some(_lock) = lock(host)? else {
        let why = "another process of this node writes the hosts of dnsmasq";
        told.failed = zones.into_iter().map(|zone| (zone, why.to_owned())).collect();
        return Ok(told);
    };
    let Some(last) = remembered(host)? else { return Ok(told) };
    let mut record = read(host)?;
    for zone in zones {
        match tell(host, &zone, &last.leases, &mut record) {
            Ok(notes) => told.notes.extend(notes),
            Err(error) => drop(told.failed.insert(zone, chain(&error))),
        }
    }
    Ok(told)
}

fn lock<H: Host>(host: &H) -> Result<Option<H::Lock>, HostError> {
    for _ in 0..TRIES {
        if let Some(lock) = host.lock(Utf8Path::new(LOCK))? {
            return Ok(Some(lock));
        }
        host.wait(PAUSE);
    }
    Ok(None)
}

fn tell(
    host: &impl Host,
    zone: &ZoneId,
    leases: &Leases,
    record: &mut Record,
) -> Result<Vec<String>, HostError> {
    let path = hosts_file(zone);
    let file = host.read(&path, MAX_BYTES)?;
    let found = file.as_ref().map(FoundFile::text).unwrap_or_default();
    let before = record.zones.entry(zone.clone()).or_default();
    let wanted = hosts(zone, leases, &found, &before.lines);
    let earlier = before.lines.clone();
    let is_there = file.is_some() && found == wanted.text;
    if !is_there || !before.taken || before.lines != wanted.own {
        // Whatever stops this, each line of weft's is known as such.
        before.lines.extend(wanted.own.iter().cloned());
        before.taken = false;
        write(host, record)?;
        if !is_there {
            host.replace(&path, wanted.text.as_bytes(), 0o644)?;
        }
        host.serve(&ServiceStep::ReloadHosts(zone.clone()))?;
    }
    let given = host.read(&leases_file(zone), MAX_BYTES)?.map(|file| file.text());
    for address in forgotten(&wanted.own, &earlier, &given.unwrap_or_default()) {
        host.serve(&ServiceStep::ForgetLease(zone.clone(), address))?;
    }
    let told = Known { lines: wanted.own, taken: true };
    let before = record.zones.insert(zone.clone(), told);
    if before.is_none_or(|before| !before.taken) {
        write(host, record)?;
    }
    let named = |lines: &[String]| {
        let shown: Vec<String> =
            lines.iter().take(NAMED).map(|line| format!("`{}`", line.escape_debug())).collect();
        shown.join(", ")
    };
    let mut said = Vec::new();
    if !wanted.dropped.is_empty() {
        said.push(format!(
            "`{path}` had {} that somebody else wrote, and leases say otherwise: gone",
            named(&wanted.dropped)
        ));
    }
    if !wanted.kept.is_empty() {
        said.push(format!(
            "`{path}` has {} that somebody else wrote and no lease knows, so that another guest \
             may get the address; `weft ipam import` or `weft ipam set` makes it a lease",
            named(&wanted.kept)
        ));
    }
    Ok(said)
}

fn read(host: &impl Host) -> Result<Record, AddressesError> {
    let file = host.read(Utf8Path::new(RECORD), MAX_BYTES)?;
    let record = file.and_then(|file| serde_json::from_slice::<Record>(&file.bytes).ok());
    // Of a record that cannot be read nothing is known: what is in the files is kept.
    Ok(record
        .filter(|record| record.format == FORMAT)
        .unwrap_or_else(|| Record { format: FORMAT, zones: BTreeMap::new() }))
}

fn write(host: &impl Host, record: &Record) -> Result<(), HostError> {
    let mut text = serde_json::to_vec_pretty(record).expect("strings and numbers are JSON");
    text.push(b'\n');
    host.replace(Utf8Path::new(RECORD), &text, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::{Fake, Fault, Restart};
    use crate::network::{Lease, Origin};

    fn zone() -> ZoneId {
        "za".parse().unwrap()
    }

    fn leases(of: &[u8]) -> Leases {
        let lease = |number: &u8| Lease {
            vnet: "va".parse().unwrap(),
            mac: format!("02:00:00:00:00:{number:02x}").parse().unwrap(),
            guest: "web".parse().unwrap(),
            hostname: None,
            origin: Origin::Declared,
            released: None,
        };
        let key = |number: &u8| (zone(), [10, 0, 0, *number].into());
        of.iter().map(|number| (key(number), lease(number))).collect()
    }

    fn once(host: &Fake, leases: &Leases) -> Result<Vec<String>, AddressesError> {
        Ok(tell(host, &zone(), leases, &mut read(host)?)?)
    }

    fn file(host: &Fake) -> String {
        host.files()[&hosts_file(&zone())].text()
    }

    fn machine() -> Fake {
        let host = Fake::default();
        host.set_live();
        host.start_services();
        host
    }

    #[test]
    fn only_what_changes_is_told() {
        let host = machine();
        assert_eq!(once(&host, &leases(&[1, 2])).unwrap(), [""; 0]);
        let text = "02:00:00:00:00:01,10.0.0.1\n02:00:00:00:00:02,10.0.0.2\n";
        assert_eq!((file(&host).as_str(), host.hosts(&zone())), (text, (text.to_owned(), 1)));
        let before = host.fingerprint();
        once(&host, &leases(&[1, 2])).unwrap();
        assert_eq!(host.fingerprint(), before);
        // Somebody adds a line, which stays, and takes one away, which comes back.
        let foreign = "02:00:00:00:00:09,10.0.0.9";
        let edited = format!("02:00:00:00:00:01,10.0.0.1\n{foreign}\n");
        host.put(hosts_file(&zone()).as_str(), edited.as_bytes(), 0o644);
        let said = once(&host, &leases(&[1, 2])).unwrap();
        assert!(said[0].contains(foreign) && said[0].contains("weft ipam import"), "{said:?}");
        assert_eq!(host.hosts(&zone()), (format!("{text}{foreign}\n"), 2));
        // Its address becomes a guest's, and this is said once.
        let mut taken = leases(&[1]);
        let of_nine = leases(&[9]).into_values().next().unwrap();
        let mac = "02:00:00:00:00:01".parse().unwrap();
        taken.insert((zone(), "10.0.0.9".parse().unwrap()), Lease { mac, ..of_nine });
        assert!(once(&host, &taken).unwrap()[0].contains("leases say otherwise: gone"));
        assert_eq!(once(&host, &taken).unwrap(), [""; 0]);
    }

    #[test]
    fn whatever_stops_it_dnsmasq_has_what_is_held_in_the_end() {
        let given = "0 02:00:00:00:00:01 10.0.0.1 * *\n0 02:00:00:00:00:02 10.0.0.2 * *\n";
        let start = machine();
        once(&start, &leases(&[1, 2])).unwrap();
        start.put(leases_file(&zone()).as_str(), given.as_bytes(), 0o644);
        for restart in [Restart::Process, Restart::Power] {
            let mut step = 0;
            loop {
                let host = start.copy();
                host.set_faults(&[(step, Fault::Die)]);
                let result = once(&host, &leases(&[2, 3]));
                if !host.fired() {
                    result.unwrap();
                    break;
                }
                host.restart(restart);
                // Meanwhile another one goes.
                assert_eq!(once(&host, &leases(&[3])).unwrap(), [""; 0], "step {step}");
                let text = "02:00:00:00:00:03,10.0.0.3\n".to_owned();
                assert_eq!(file(&host), text, "step {step}");
                assert_eq!(host.hosts(&zone()).0, text, "step {step}");
                assert_eq!(host.files()[&leases_file(&zone())].text(), "", "step {step}");
                step += 1;
            }
            assert!(step > 8, "{step}");
        }
    }
}

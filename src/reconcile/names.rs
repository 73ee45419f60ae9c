//! Names in DNS: what is registered, shown before it is done.

mod carry;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::PowerDns;
pub use super::access::Access;
use super::http::Bounds;
use super::powerdns::ListedZone;
use crate::network::{Leases, Network};
use crate::plan::names::{
    Adopt, Counts, Difference, Fqdn, Hosted, Limits, NameChange, Refusal, Refused, Rule, Subject,
    Wanted, WantedOnServer, WantedZone, Way, assign, difference, wanted,
};
use crate::value::{ClusterName, DnsId};

pub use carry::{Outcome, carry_out, carry_out_until};

/// By what names are registered.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose marks are ours.
    pub cluster: ClusterName,
    /// How much may be removed.
    pub limits: Limits,
    /// Whether the limits do not count.
    pub force: bool,
    /// Whether records that are as wanted and nobody's become ours.
    pub adopt: bool,
    /// The zones that held something of ours, by what [`Plan::zones`] said: what is no
    /// longer wanted in any zone is found there.
    pub before: BTreeMap<DnsId, BTreeSet<Fqdn>>,
    /// How much each server may take.
    pub bounds: Bounds,
    /// How long after a write it is looked at again. Of two that write one name at once
    /// without knowing of each other the earlier one sees that the later one overwrote it,
    /// if no more than this passes between what the later one read and wrote. Two seconds do
    /// for a server that is well.
    pub settle: Duration,
}

/// What is to be done, as it was seen when it was planned.
#[derive(Debug)]
pub struct Plan {
    servers: Vec<PlannedServer>,
    refused: Vec<Refused>,
    wanted: Wanted,
    terms: Terms,
}

#[derive(Debug)]
struct PlannedServer {
    id: DnsId,
    server: PowerDns,
    ttl: u32,
    zones: Vec<PlannedZone>,
}

#[derive(Debug)]
struct PlannedZone {
    name: Fqdn,
    listed: ListedZone,
    /// What is wanted at the names that change.
    wanted: WantedZone,
    /// Whether something of ours is in it, or will be.
    is_ours: bool,
    way: Way,
    /// The clusters whose marks are read, ours among them.
    clusters: BTreeSet<ClusterName>,
    /// The sets that were read.
    sets: usize,
    changes: Vec<NameChange>,
    counts: Counts,
}

/// Asks the servers that are concerned, and says what is to be done. What cannot be asked or
/// registered is among the refusals, and all else goes on.
pub fn plan(
    network: &Network,
    leases: &Leases,
    access: &BTreeMap<DnsId, Access>,
    terms: Terms,
) -> Plan {
    let mut wanted = wanted(network, leases);
    let mut refused = std::mem::take(&mut wanted.refused);
    let mut servers = Vec::new();
    for (id, of) in &wanted.servers {
        let before = terms.before.get(id);
        if of.names.is_empty() && before.is_none_or(BTreeSet::is_empty) {
            continue;
        }
        let reach = || {
            let access = access.get(id).ok_or("no key is known for it")?;
            let dns = network.dns.get(id).ok_or("it is not declared")?;
            PowerDns::new(dns, access, terms.bounds).map_err(|e| e.to_string())
        };
        let planned = reach().and_then(|server: PowerDns| {
            let zones = server.zones().map_err(|e| format!("its zones: {e}"))?;
            Ok(plan_server(id, server, zones, of, &wanted, &terms, &mut refused))
        });
        match planned {
            Ok(server) => servers.push(server),
            Err(said) => refused.push(of_server(id, said)),
        }
    }
    for (id, zones) in terms.before.iter().filter(|(id, _)| !wanted.servers.contains_key(*id)) {
        let zones: Vec<&str> = zones.iter().map(Fqdn::as_str).collect();
        let said = format!(
            "it is not declared any more, and names of ours are left in `{}`",
            zones.join("`, `")
        );
        refused.push(of_server(id, said));
    }
    Plan { servers, refused, wanted, terms }
}

fn of_server(id: &DnsId, said: String) -> Refused {
    Refused { of: Subject::Server(id.clone()), why: Refusal::Said(said) }
}

fn plan_server(
    id: &DnsId,
    server: PowerDns,
    mut listed: BTreeMap<Fqdn, ListedZone>,
    of: &WantedOnServer,
    wanted: &Wanted,
    terms: &Terms,
    refused: &mut Vec<Refused>,
) -> PlannedServer {
    let hosted: BTreeMap<Fqdn, Hosted> =
        listed.iter().map(|(name, zone)| (name.clone(), zone.hosted)).collect();
    let (mut assigned, not_assigned) = assign(of, &hosted);
    refused.extend(not_assigned);
    for zone in terms.before.get(id).into_iter().flatten() {
        if hosted.get(zone).is_some_and(|hosted| hosted.primary) {
            assigned.entry(zone.clone()).or_default();
        }
    }
    let mut zones = Vec::new();
    for (name, mut wanted_zone) in assigned {
        let Some(zone) = listed.remove(&name) else { continue };
        let found = match server.whole(&zone) {
            Ok(found) => found,
            Err(error) => {
                refused.push(of_server(id, format!("zone `{name}`: {error}")));
                continue;
            }
        };
        let way = Way::of(&found, &terms.cluster);
        let adopt = if terms.adopt { Adopt::AsWanted } else { Adopt::Nothing };
        let rule = Rule {
            cluster: &terms.cluster,
            ttl: of.ttl,
            adopt,
            way,
            stranded: &wanted.stranded,
            only: None,
        };
        let Difference { changes, refused: not_done, counts } =
            difference(&name, &wanted_zone, &found, &rule);
        refused.extend(not_done);
        let mut clusters = found.clusters();
        clusters.insert(terms.cluster.clone());
        let sets = found.names.values().map(BTreeMap::len).sum();
        let is_ours = counts.ours > 0 || !wanted_zone.is_empty();
        let changing: BTreeSet<&Fqdn> = changes.iter().map(|change| &change.name).collect();
        wanted_zone.retain(|name, _| changing.contains(name));
        zones.push(PlannedZone {
            name,
            listed: zone,
            wanted: wanted_zone,
            is_ours,
            way,
            clusters,
            sets,
            changes,
            counts,
        });
    }
    let all = zones.iter().fold(Counts::default(), |all, zone| all.and(zone.counts));
    if let Some(much) = terms.limits.judge(all.removed, all.ours).filter(|_| !terms.force) {
        for zone in &mut zones {
            zone.changes.retain(|change| !change.removes());
            let Counts { unchanged, of_others, ours, .. } = zone.counts;
            let stays = Counts { unchanged, of_others, ours, ..Counts::default() };
            zone.counts = zone.changes.iter().map(NameChange::counts).fold(stays, Counts::and);
        }
        refused.push(Refused { of: Subject::Server(id.clone()), why: Refusal::TooMuch(much) });
    }
    PlannedServer { id: id.clone(), server, ttl: of.ttl, zones }
}

impl Plan {
    /// Whether there is nothing to write. There may be refusals.
    pub fn is_empty(&self) -> bool {
        self.zones_of().all(|(_, zone)| zone.changes.is_empty())
    }

    /// How many records.
    pub fn counts(&self) -> Counts {
        self.zones_of().fold(Counts::default(), |all, (_, zone)| all.and(zone.counts))
    }

    /// What is not done, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The zones that hold something of ours, or will. Kept for the [`Terms`] of the next
    /// plan, together with those of servers that could not be asked.
    pub fn zones(&self) -> BTreeMap<DnsId, BTreeSet<Fqdn>> {
        let mut zones: BTreeMap<DnsId, BTreeSet<Fqdn>> = BTreeMap::new();
        let asked: BTreeSet<(&DnsId, &Fqdn)> =
            self.zones_of().map(|(server, zone)| (&server.id, &zone.name)).collect();
        for (server, zone) in self.zones_of() {
            if zone.is_ours {
                zones.entry(server.id.clone()).or_default().insert(zone.name.clone());
            }
        }
        for (id, before) in &self.terms.before {
            let unknown = before.iter().filter(|zone| !asked.contains(&(id, *zone))).cloned();
            zones.entry(id.clone()).or_default().extend(unknown);
        }
        zones.retain(|_, zones| !zones.is_empty());
        zones
    }

    fn zones_of(&self) -> impl Iterator<Item = (&PlannedServer, &PlannedZone)> {
        self.servers.iter().flat_map(|server| server.zones.iter().map(move |zone| (server, zone)))
    }
}

/// All changes by server and zone, one line for each record, then what is refused.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (server, zone) in self.zones_of() {
            writeln!(f, "{} {}: {}", server.id, zone.name, zone.counts)?;
            for change in &zone.changes {
                for line in change.to_string().lines() {
                    writeln!(f, "  {line}")?;
                }
            }
        }
        for refused in &self.refused {
            writeln!(f, "refused: {refused}")?;
        }
        Ok(())
    }
}

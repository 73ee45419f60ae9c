//! What IPAM servers are told of zones whose addresses they administer, shown before it is
//! done, and the addresses that guests get from them.

mod carry;
mod mark;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use super::access::Access;
use super::http::{Bounds, HttpError};
use super::netbox::NetBox;
use super::phpipam::PhpIpam;
use crate::network::{Ipam, IpamServer, Leases, Network, Vnet};
use crate::plan::addresses::{LeaseChange, Taken};
use crate::plan::ipam::{
    Content, Counts, Difference, Found, FoundObject, Key, Limits, Reach, Refusal, Refused, Rule,
    Scene, Step, Subject, difference, leases, taken, zones_of,
};
use crate::value::{ClusterName, IpamId, ZoneId};

pub use carry::{Outcome, carry_out, carry_out_until};
pub(super) use mark::{lease_of, owner};
pub use settle::{Ask, Settled, settle, settle_in_turn};

/// What an IPAM server is asked for. Whatever comes back is looked at by who asks.
pub(super) trait Server {
    /// How much it may take.
    fn bounds(&self) -> Bounds;
    /// Which kinds of objects it has.
    fn capacity(&self) -> Reach;
    /// The most objects that are made in one request, all of them or none.
    fn batch(&self) -> usize;
    /// What it needs before anything is written there, in words.
    fn lacks(&mut self) -> Result<Vec<String>, HttpError>;
    /// All that lies in the spaces of these zones and of all others of the cluster, and all
    /// that has a mark of the cluster; in full, or not at all.
    fn found(&mut self, zones: &BTreeSet<ZoneId>) -> Result<Found, HttpError>;
    /// What there is in the space of a zone under these keys.
    fn at(&mut self, zone: &ZoneId, keys: &[Key]) -> Result<Vec<FoundObject>, HttpError>;
    /// An object as it is now; `None` where it is gone.
    fn again(&mut self, found: &FoundObject) -> Result<Option<FoundObject>, HttpError>;
    /// What lies within a prefix or a space and would suffer if that was removed.
    fn others_within(&mut self, found: &FoundObject) -> Result<Vec<FoundObject>, HttpError>;
    /// Makes objects of one kind with their marks, once.
    fn create(&mut self, zone: &ZoneId, objects: &[(Key, &Content)]) -> Result<(), HttpError>;
    /// Writes an object, once, if it is still as it was found.
    fn update(&mut self, found: &FoundObject, content: &Content) -> Result<(), HttpError>;
    /// Removes an object, once, if it is still as it was found.
    fn delete(&mut self, found: &FoundObject) -> Result<(), HttpError>;
}

/// By what servers are told.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Whose marks are ours.
    pub cluster: ClusterName,
    /// How much may be removed from one server.
    pub limits: Limits,
    /// Whether neither the limits count, nor that removed subnets have addresses in use.
    pub force: bool,
    /// Whether what is wanted and nobody's becomes ours.
    pub adopt: bool,
    /// How much each server may take.
    pub bounds: Bounds,
    /// What is written into a server's log of changes.
    pub message: String,
}

/// Says what becomes of the leases of one server, from those that are held there and what
/// others have beside them.
pub type Decide<'a> = dyn FnMut(&IpamId, &Leases, &Taken) -> Vec<LeaseChange> + 'a;

/// What is to be done, as it was seen when it was planned.
#[derive(Debug)]
pub struct Plan {
    servers: Vec<PlannedServer>,
    refused: Vec<Refused>,
}

struct PlannedServer {
    id: IpamId,
    server: Box<dyn Server>,
    steps: Vec<Step>,
    counts: Counts,
}

impl fmt::Debug for PlannedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedServer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The servers that a network declares.
pub fn servers(network: &Network) -> impl Iterator<Item = (&IpamId, &IpamServer)> {
    network.ipams.iter().filter_map(|(id, ipam)| match ipam {
        Ipam::Netbox(server) | Ipam::Phpipam(server, _) => Some((id, server)),
        Ipam::Pve => None,
    })
}

/// Asks every server that is declared, and says what is to be done: the zones' own objects,
/// and the addresses of guests as `decide` has them. What cannot be asked or done is among
/// the refusals, and all else goes on.
pub fn plan(
    network: &Network,
    access: &BTreeMap<IpamId, Access>,
    terms: &Terms,
    decide: &mut Decide<'_>,
) -> Plan {
    let mut plan = Plan { servers: Vec::new(), refused: Vec::new() };
    for (id, _) in servers(network) {
        let planned = reach(network, id, access, terms).and_then(|mut server| {
            let zones = zones_of(network, id).cloned().collect();
            let found = server.found(&zones).map_err(|error| said(&error))?;
            Ok((server, found))
        });
        match planned {
            Ok((server, found)) => {
                let (steps, counts) =
                    plan_server(network, id, &*server, &found, terms, decide, &mut plan.refused);
                plan.servers.push(PlannedServer { id: id.clone(), server, steps, counts });
            }
            Err(whys) => plan.refused.extend(of_server(id, whys)),
        }
    }
    plan
}

fn plan_server(
    network: &Network,
    id: &IpamId,
    server: &dyn Server,
    found: &Found,
    terms: &Terms,
    decide: &mut Decide<'_>,
    refused: &mut Vec<Refused>,
) -> (Vec<Step>, Counts) {
    let declared: BTreeSet<ZoneId> = zones_of(network, id).cloned().collect();
    let zones: BTreeSet<ZoneId> = declared.union(&found.zones(&terms.cluster)).cloned().collect();
    let held = held(found, &zones);
    let changes = decide(id, &held, &beside(network, found, &declared));
    let held = changed(held, &changes);
    let reach = server.capacity();
    let (mut steps, mut counts) = (Vec::new(), Counts::default());
    for zone in &zones {
        let scene = Scene {
            cluster: &terms.cluster,
            id: zone,
            zone: Scene::declared(network, id, zone),
            leases: &held,
            found,
            reach,
        };
        let rule = Rule { cluster: &terms.cluster, adopt: terms.adopt, reach };
        let of = difference(zone, &scene.wanted(terms.force), found, rule);
        let Difference { steps: of_zone, refused: not_done, counts: number } = of;
        steps.extend(of_zone);
        refused.extend(not_done);
        counts = counts.and(number);
    }
    if let Some(why) = keep(&mut steps, counts, terms) {
        counts = counts.with(&steps);
        refused.push(Refused { of: Subject::Server(id.clone()), why });
    }
    (steps, counts)
}

/// Leaves out what would take more away than the limits allow, and says why. An address that a
/// guest gives up counts, and counts no more when it goes after the grace.
fn keep(steps: &mut Vec<Step>, counts: Counts, terms: &Terms) -> Option<Refusal> {
    let removed = steps.iter().filter(|step| step.takes_away()).count();
    let much = terms.limits.judge(removed, counts.ours).filter(|_| !terms.force)?;
    steps.retain(|step| !step.takes_away());
    Some(Refusal::TooMuch(much))
}

/// A server that is there and has all that is needed.
fn reach(
    network: &Network,
    id: &IpamId,
    access: &BTreeMap<IpamId, Access>,
    terms: &Terms,
) -> Result<Box<dyn Server>, Vec<Refusal>> {
    let one = |why: &str| vec![Refusal::Said(why.to_owned())];
    let access = access.get(id).ok_or_else(|| one("no token is known for it"))?;
    let whose = (&terms.cluster, terms.message.as_str());
    let mut server: Box<dyn Server> = match network.ipams.get(id) {
        Some(Ipam::Netbox(server)) => Box::new(
            NetBox::reach(server, access, terms.bounds, whose).map_err(|error| said(&error))?,
        ),
        Some(Ipam::Phpipam(server, section)) => Box::new(
            PhpIpam::reach((server, *section), access, terms.bounds, &terms.cluster)
                .map_err(|error| said(&error))?,
        ),
        Some(Ipam::Pve) | None => {
            return Err(one("it is no server that can be asked"));
        }
    };
    let lacks = server.lacks().map_err(|error| said(&error))?;
    if lacks.is_empty() { Ok(server) } else { Err(lacks.into_iter().map(Refusal::Lacks).collect()) }
}

/// What is wrong with each server that is declared: that it cannot be asked, or lacks
/// something that weft needs there.
pub fn check(network: &Network, access: &BTreeMap<IpamId, Access>, terms: &Terms) -> Vec<Refused> {
    let wrong = servers(network).filter_map(|(id, _)| {
        let whys = reach(network, id, access, terms).err()?;
        Some(of_server(id, whys).collect::<Vec<_>>())
    });
    wrong.flatten().collect()
}

/// What a server said, and what to do about it.
fn said(error: &HttpError) -> Vec<Refusal> {
    let hint = match error {
        HttpError::Refused { status: 401 | 403, .. } => {
            "; look whether its token is valid, may write, and may see what weft needs"
        }
        HttpError::Certificate(_) => {
            "; declare its `fingerprint`, or have its authority among the system's"
        }
        _ => "",
    };
    vec![Refusal::Said(format!("{error}{hint}"))]
}

fn of_server(id: &IpamId, whys: Vec<Refusal>) -> impl Iterator<Item = Refused> {
    whys.into_iter().map(|why| Refused { of: Subject::Server(id.clone()), why })
}

/// The leases that a server holds for the zones that it administers.
///
/// # Errors
/// Why it cannot be asked.
pub fn read(
    network: &Network,
    id: &IpamId,
    access: &BTreeMap<IpamId, Access>,
    terms: &Terms,
) -> Result<Leases, Vec<Refused>> {
    let zones: BTreeSet<ZoneId> = zones_of(network, id).cloned().collect();
    let found = reach(network, id, access, terms)
        .and_then(|mut server| server.found(&zones).map_err(|error| said(&error)));
    let found = found.map_err(|whys| of_server(id, whys).collect::<Vec<_>>())?;
    Ok(held(&found, &zones))
}

fn held(found: &Found, zones: &BTreeSet<ZoneId>) -> Leases {
    zones.iter().flat_map(|zone| leases(found, zone)).collect()
}

fn beside(network: &Network, found: &Found, zones: &BTreeSet<ZoneId>) -> Taken {
    let of_zone = |id: &ZoneId| {
        let zone = network.zones.get(id)?;
        let subnets = zone.vnets.values().flat_map(Vnet::subnets);
        let subnets: Vec<_> = subnets.map(|(prefix, _)| prefix.net().trunc()).collect();
        Some((id.clone(), taken(found, id, &subnets)))
    };
    zones.iter().filter_map(of_zone).collect()
}

fn changed(mut leases: Leases, changes: &[LeaseChange]) -> Leases {
    for LeaseChange { zone, address, after, .. } in changes {
        match after {
            Some(lease) => drop(leases.insert((zone.clone(), *address), lease.clone())),
            None => drop(leases.remove(&(zone.clone(), *address))),
        }
    }
    leases
}

impl Plan {
    /// Leaves only what becomes ours that is nobody's.
    pub fn adopt_only(&mut self) {
        let adopts = |step: &Step| matches!(step, Step::Update { found, .. } if !found.is_ours());
        for PlannedServer { steps, counts, .. } in &mut self.servers {
            steps.retain(adopts);
            *counts = counts.with(steps);
        }
    }

    /// Whether there is nothing to write. There may be refusals.
    pub fn is_empty(&self) -> bool {
        self.servers.iter().all(|server| server.steps.is_empty())
    }

    /// How many objects.
    pub fn counts(&self) -> Counts {
        self.servers.iter().fold(Counts::default(), |all, server| all.and(server.counts))
    }

    /// What is not done, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

/// All steps by server, one line for each, then what is refused.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for PlannedServer { id, steps, counts, .. } in &self.servers {
            writeln!(f, "{id}: {counts}")?;
            for step in steps {
                match step.zone() {
                    Some(zone) => writeln!(f, "  {zone} {step}")?,
                    None => writeln!(f, "  {step}")?,
                }
            }
        }
        for refused in &self.refused {
            writeln!(f, "refused: {refused}")?;
        }
        Ok(())
    }
}

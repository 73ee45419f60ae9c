//! IPAM servers, as this node asks them: each with the token that the settings bind to it.
//!
//! Where a server administers a zone, the leases are there and nowhere else. What this node
//! read last is remembered, so that DHCP and names go on without the server, and a guest whose
//! address was lost there gets it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::addresses::{
    AddressesError, Law, every_claim, forget_others, known_of_servers, law, remember_server,
    remembered,
};
use super::credentials;
use super::error::chain;
use super::found::FoundGuests;
use super::leases::{Branch, Starter};
use super::names::Leave;
use super::settings::Settings;
use super::writer::{self, Right};
use crate::host::Host;
use crate::network::{IpamServer, Leases, Naming, Network, Origin};
use crate::plan::addresses::{
    Allocation, Claim, LeaseChange, Taken, Terms as Allotment, allocate_beside,
};
use crate::plan::ipam::{Limits, Refused, administrator, zones_of};
use crate::reconcile::http::Bounds;
use crate::reconcile::ipam::{self, Access, Ask, Decide, Outcome, Plan, Settled, Terms, servers};
use crate::value::{IpamId, ZoneId};

/// The most objects that one run removes from a server.
const MOST_REMOVED: u32 = 50;
/// How long an address stays its guest's where the settings do not say.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// The IPAM servers that are declared, and what this node may do there.
#[derive(Debug)]
pub struct Desk<'a, H> {
    host: &'a H,
    law: &'a Law,
    access: BTreeMap<IpamId, Access>,
    terms: Terms,
    grace: Duration,
    /// Whether a newer commit is in force than the one that runs here: nothing is taken away
    /// then that it may declare.
    behind: bool,
}

impl<'a, H: Host> Desk<'a, H> {
    /// The servers of what runs.
    pub fn of(host: &'a H, settings: &Settings, law: &'a Law, leave: Leave) -> Self {
        let commit = law.configuration.commit.short();
        let terms = Terms {
            cluster: settings.cluster.value.clone(),
            limits: Limits { max: Some(MOST_REMOVED), max_percent: None },
            force: leave.force,
            adopt: leave.adopt,
            bounds: Bounds::default(),
            message: format!("weft: configuration {commit}"),
        };
        let grace = settings.leases.as_ref().map_or(GRACE, |leases| leases.value.grace());
        let behind = law.lags();
        Self { host, law, access: access(host, settings, law), terms, grace, behind }
    }

    /// The same where others may say that a newer commit is in force.
    #[must_use]
    pub fn behind(self, behind: bool) -> Self {
        Self { behind: self.behind || behind, ..self }
    }

    /// Whether a newer commit is in force than the one that runs here.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether any server is declared.
    pub fn is_empty(&self) -> bool {
        servers(&self.law.network).next().is_none()
    }

    /// The servers that this node may ask.
    pub fn open(&self) -> impl Iterator<Item = &IpamId> {
        self.access.keys()
    }

    /// Says what is to be done on all servers: the zones' own objects, and the addresses of
    /// all guests.
    pub fn plan(&self, found: &FoundGuests) -> Result<Plan, AddressesError> {
        let last = self.remembered()?;
        let decide: &mut Decide<'_> =
            &mut |id, held, taken| self.allocate(id, found, (held, &last), taken).1;
        Ok(ipam::plan(&self.law.network, &self.access, &self.terms, decide))
    }

    /// Does it until a time, and remembers what is held then.
    pub fn carry_out(&self, plan: Plan, until: Option<Instant>) -> Result<Outcome, AddressesError> {
        let outcome = ipam::carry_out_until(plan, until);
        self.read()?;
        Ok(outcome)
    }

    /// What is wrong with the servers, or what they lack.
    pub fn check(&self) -> Vec<Refused> {
        ipam::check(&self.law.network, &self.access, &self.terms)
    }

    /// Reads what is held on all servers that this node may ask, and remembers it; what a
    /// server that does not answer held last is left as it is.
    pub fn read(&self) -> Result<Vec<Refused>, AddressesError> {
        let mut refused = Vec::new();
        for id in self.access.keys() {
            match ipam::read(&self.law.network, id, &self.access, &self.terms) {
                Ok(leases) => self.remember(id, &leases)?,
                Err(whys) => refused.extend(whys),
            }
        }
        Ok(refused)
    }

    /// Gives every guest its addresses that are administered on one server.
    pub fn settle(
        &self,
        id: &IpamId,
        found: &FoundGuests,
        right: &mut Right<'_, H>,
    ) -> Result<(Settled, Allocation), AddressesError> {
        let last = self.remembered()?;
        let mut allocation = Allocation::default();
        let decide: &mut Decide<'_> = &mut |id, held, taken| {
            let changes;
            (allocation, changes) = self.allocate(id, found, (held, &last), taken);
            changes
        };
        let settled = self.settle_by(id, decide, right)?;
        allocation.changes.clone_from(&settled.changes);
        Ok((settled, allocation))
    }

    /// Settles one claim, and leaves all others as they are.
    pub fn settle_one(
        &self,
        id: &IpamId,
        claim: &Claim,
        right: &mut Right<'_, H>,
    ) -> Result<(Settled, Allocation), AddressesError> {
        let claims = [claim.clone()];
        let allotment = Allotment { complete: BTreeSet::new(), ..self.allotment(&[]) };
        let mut allocation = Allocation::default();
        let decide: &mut Decide<'_> = &mut |_, held, taken| {
            allocation = allocate_beside(&self.law.network, held, &claims, &allotment, taken);
            allocation.changes.clone()
        };
        let settled = self.settle_by(id, decide, right)?;
        allocation.changes.clone_from(&settled.changes);
        allocation.stranded.clear();
        Ok((settled, allocation))
    }

    /// Lets `decide` say what changes on one server, takes the right to write where something
    /// does, and remembers what is held then.
    pub fn settle_by(
        &self,
        id: &IpamId,
        decide: &mut Decide<'_>,
        right: &mut Right<'_, H>,
    ) -> Result<Settled, AddressesError> {
        let ask: &mut Ask<'_> = &mut || right.take().map_err(|why| chain(&why));
        let (network, access) = (&self.law.network, &self.access);
        let settled = ipam::settle_in_turn(network, id, access, &self.terms, decide, ask);
        if settled.refused.is_empty() || !settled.leases.is_empty() {
            self.remember(id, &settled.leases)?;
        }
        Ok(settled)
    }

    fn remember(&self, id: &IpamId, leases: &Leases) -> Result<(), AddressesError> {
        // What of other zones is left there counts no more.
        let network = &self.law.network;
        let zones: BTreeSet<ZoneId> = zones_of(network, id).cloned().collect();
        let own = leases.iter().filter(|((zone, _), _)| zones.contains(zone));
        let own = own.map(|(key, lease)| (key.clone(), lease.clone())).collect();
        remember_server(self.host, &administered(network), &zones, &own)
    }

    fn remembered(&self) -> Result<Leases, AddressesError> {
        Ok(remembered(self.host)?.map(|last| last.leases).unwrap_or_default())
    }

    fn allotment(&self, complete: &[Origin]) -> Allotment {
        let complete = complete.iter().copied().chain([Origin::Declared]);
        let complete = complete.filter(|_| !self.behind).collect();
        Allotment { now: self.host.now(), grace: self.grace, complete }
    }

    /// Who gets what of the zones of a server, and what changes of what it holds. A guest that
    /// had an address when this node looked last, and has none there now, gets it again where
    /// it is free.
    fn allocate(
        &self,
        id: &IpamId,
        found: &FoundGuests,
        (held, last): (&Leases, &Leases),
        taken: &Taken,
    ) -> (Allocation, Vec<LeaseChange>) {
        let network = &self.law.network;
        let mut claims = every_claim(self.law, &found.claims);
        claims.retain(|claim| administrator(network, &claim.vnet) == Some(id));
        let interfaces: BTreeSet<_> = claims.iter().map(|one| (&one.vnet, &one.mac)).collect();
        let holders: BTreeSet<_> = held.values().map(|one| (&one.vnet, &one.mac)).collect();
        // Whoever has nothing gets something: nobody loses anything by it.
        let claims: Vec<Claim> = claims
            .iter()
            .filter(|one| !self.behind || !holders.contains(&(&one.vnet, &one.mac)))
            .cloned()
            .collect();
        let mut before = held.clone();
        for ((zone, address), lease) in last {
            let interface = (&lease.vnet, &lease.mac);
            let is_lost = interfaces.contains(&interface) && !holders.contains(&interface);
            let ranges = taken.get(zone).into_iter().flatten();
            let is_taken =
                ranges.into_iter().any(|of| of.start() <= *address && *address <= of.end());
            if is_lost && !is_taken && taken.contains_key(zone) {
                before.entry((zone.clone(), *address)).or_insert_with(|| lease.clone());
            }
        }
        let allotment = self.allotment(found.all_known());
        let allocation = allocate_beside(network, &before, &claims, &allotment, taken);
        let mut after = before;
        for LeaseChange { zone, address, after: lease, .. } in &allocation.changes {
            let key = (zone.clone(), *address);
            match lease {
                Some(lease) => drop(after.insert(key, lease.clone())),
                None => drop(after.remove(&key)),
            }
        }
        let changes = differences(held, &after);
        (allocation, changes)
    }
}

/// Whether this node may ask a server that is declared; also where that is not known, which
/// is said then.
pub fn is_concerned(host: &impl Host, settings: &Settings, starter: Starter<'_>) -> bool {
    law(host, settings, starter).map_or(true, |law| !access(host, settings, &law).is_empty())
}

/// The zones that servers administer.
fn administered(network: &Network) -> BTreeSet<ZoneId> {
    servers(network).flat_map(|(id, _)| zones_of(network, id)).cloned().collect()
}

/// How old what was read of a server may be where something is taken away by it.
const FRESH: Duration = Duration::from_secs(3600);

/// The zones with names whose addresses a server administers that this node did not read
/// lately, or may not ask. By what it knows of them it must take no name away.
pub fn unread(host: &impl Host, network: &Network) -> Result<Vec<ZoneId>, AddressesError> {
    let known = known_of_servers(host, FRESH)?;
    let has_names = |zone: &ZoneId| {
        network.zones.get(zone).is_some_and(|zone| zone.naming != Naming::default())
    };
    let unread = administered(network).into_iter().filter(|zone| !known.contains(zone));
    Ok(unread.filter(has_names).collect())
}

/// Reads what all servers hold that this node may ask, and says which refuse.
pub fn read_all(
    host: &impl Host,
    settings: &Settings,
    law: &Law,
) -> Result<Vec<String>, AddressesError> {
    let refused = Desk::of(host, settings, law, Leave::default()).read()?;
    Ok(refused.iter().map(ToString::to_string).collect())
}

/// Gives every guest its addresses on all servers that this node may ask, and says what a
/// person should know; whether a server refused something, which may pass.
pub fn settle_all<H: Host>(
    host: &H,
    settings: &Settings,
    law: &Law,
    (found, behind): (&FoundGuests, bool),
    branch: Option<&Branch<'_, H>>,
) -> Result<(Vec<String>, bool), AddressesError> {
    forget_others(host, &administered(&law.network))?;
    let desk = Desk::of(host, settings, law, Leave::default()).behind(behind);
    let (node, allocators) = (&settings.node.value, &law.allocators);
    let mut right = Right::of(host, branch, allocators, node, writer::PATIENCE);
    let (mut notes, mut is_refused) = (Vec::new(), false);
    let mut settle = |right: &mut Right<'_, H>| {
        for id in desk.open() {
            let (settled, allocation) = desk.settle(id, found, right)?;
            is_refused |= !settled.refused.is_empty();
            notes.extend(settled.refused.iter().map(ToString::to_string));
            notes.extend(allocation.refused.iter().map(ToString::to_string));
            notes.extend(allocation.stranded.iter().map(ToString::to_string));
        }
        Ok(())
    };
    let settled = settle(&mut right);
    right.end(None)?;
    settled.map(|()| (notes, is_refused))
}

fn differences(before: &Leases, after: &Leases) -> Vec<LeaseChange> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let (before, after) = (before.get(key).cloned(), after.get(key).cloned());
        let (zone, address) = key.clone();
        (before != after).then_some(LeaseChange { zone, address, before, after })
    });
    changes.collect()
}

/// The tokens of the servers that the settings bind to them: what is declared elsewhere sends
/// nothing there.
fn access(host: &impl Host, settings: &Settings, law: &Law) -> BTreeMap<IpamId, Access> {
    let token = |(id, server): (&IpamId, &IpamServer)| {
        let token = credentials::for_server(host, settings, &server.token, &server.url)?;
        Some((id.clone(), Access { secret: token, authorities: None }))
    };
    servers(&law.network).filter_map(token).collect()
}

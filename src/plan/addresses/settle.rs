//! From what is held and who claims to what is held afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::{Claim, Pools, Taken};
use crate::network::{Lease, Leases, Network, Origin};
use crate::plan::Family;
use crate::value::{GuestName, MacAddress, VnetId, ZoneId};

/// What is known when addresses are settled.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The time.
    pub now: Timestamp,
    /// How long an address stays its guest's after it was given up.
    pub grace: Duration,
    /// Of whom every claim is known: only their leases are given up without one.
    pub complete: BTreeSet<Origin>,
}

/// One lease that changes. Holds only if the lease is `before` when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseChange {
    /// The zone of the address.
    pub zone: ZoneId,
    /// The address.
    pub address: IpAddr,
    /// What there is.
    pub before: Option<Lease>,
    /// What there is to be.
    pub after: Option<Lease>,
}

/// Why an interface does not get what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It claims or holds addresses, and its vnet has no subnet, or is not declared.
    NoSubnet,
    /// No address of this family is free.
    Exhausted(Family),
    /// The fixed address is in no subnet of the vnet.
    Outside(IpAddr),
    /// The fixed address is the router's, or the prefix keeps it for itself.
    Kept(IpAddr),
    /// Another guest holds the fixed address.
    Held(IpAddr, GuestName),
}

/// An interface that does not get what it claims. It keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The guest.
    pub guest: GuestName,
    /// The vnet of the interface.
    pub vnet: VnetId,
    /// The hardware address of the interface.
    pub mac: MacAddress,
    /// Why.
    pub why: Refusal,
}

/// A lease in no subnet that is declared. It is kept until a person gives it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranded {
    /// The zone of the address.
    pub zone: ZoneId,
    /// The address.
    pub address: IpAddr,
    /// Who holds it.
    pub guest: GuestName,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guest, vnet, mac, why } = self;
        write!(f, "`{guest}` ({mac} on `{vnet}`): ")?;
        match why {
            Refusal::NoSubnet => f.write_str("the vnet has no subnet"),
            Refusal::Exhausted(family) => {
                let family = family.as_str();
                write!(f, "no {family} address is free; add a `dhcp-range` or a subnet")
            }
            Refusal::Outside(address) => write!(f, "{address} is in no subnet of the vnet"),
            Refusal::Kept(address) => {
                write!(f, "{address} is the router's, or the subnet keeps it for itself")
            }
            Refusal::Held(address, other) => write!(
                f,
                "{address} is held by `{other}`, and given to nobody else before it is given up"
            ),
        }
    }
}

impl fmt::Display for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zone, address, guest } = self;
        write!(
            f,
            "{address} of `{guest}` is in no subnet of zone `{zone}`; \
             `weft ipam release {address} --zone {zone}` gives it up"
        )
    }
}

/// What becomes of the leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// What changes, in the order of zones and addresses.
    pub changes: Vec<LeaseChange>,
    /// Who does not get what.
    pub refused: Vec<Refused>,
    /// What is held where nothing is declared.
    pub stranded: Vec<Stranded>,
}

/// Settles who holds which address. Claims are served in this order: who holds an address
/// keeps it; then fixed addresses; then whoever has none, in the order of `claims`. Of two
/// families an interface without addresses gets both or neither, but for those fixed.
pub fn allocate(network: &Network, leases: &Leases, claims: &[Claim], terms: &Terms) -> Allocation {
    allocate_beside(network, leases, claims, terms, &Taken::new())
}

/// As [`allocate`], and what others have is chosen for nobody.
pub fn allocate_beside(
    network: &Network,
    leases: &Leases,
    claims: &[Claim],
    terms: &Terms,
    taken: &Taken,
) -> Allocation {
    let pools = || Pools::of(network).without(taken);
    let mut work = Work::new(pools(), leases, terms);
    // Who moves away makes room for another who is declared to come.
    for _ in 0..=claims.len() {
        let before = work.after.clone();
        work = Work { pools: pools(), refused: Vec::new(), claimed: BTreeSet::new(), ..work };
        work.drop_expired();
        work.refresh(claims);
        work.fix(claims);
        work.choose(claims);
        work.give_up(claims);
        if work.after == before {
            break;
        }
    }
    work.finish()
}

type Held = BTreeMap<(VnetId, MacAddress), BTreeSet<IpAddr>>;

struct Work<'a> {
    pools: Pools,
    before: &'a Leases,
    after: Leases,
    terms: &'a Terms,
    /// Interfaces whose claim is refused.
    refused: Vec<Refused>,
    /// Leases that a claim stands behind.
    claimed: BTreeSet<(ZoneId, IpAddr)>,
}

impl<'a> Work<'a> {
    fn new(pools: Pools, leases: &'a Leases, terms: &'a Terms) -> Self {
        Self {
            pools,
            before: leases,
            after: leases.clone(),
            terms,
            refused: Vec::new(),
            claimed: BTreeSet::new(),
        }
    }

    /// What was given up longer ago than the grace is nobody's, and may be claimed anew.
    fn drop_expired(&mut self) {
        let Terms { now, grace, .. } = self.terms;
        self.after.retain(|_, lease| {
            let age = lease.released.map(|released| now.duration_since(released).unsigned_abs());
            age.is_none_or(|age| age < *grace)
        });
    }

    fn held(&self) -> Held {
        let mut held = Held::new();
        for ((_, address), lease) in &self.after {
            let interface = (lease.vnet.clone(), lease.mac.clone());
            held.entry(interface).or_default().insert(*address);
        }
        held
    }

    /// Who holds an address that it may have keeps it.
    fn refresh(&mut self, claims: &[Claim]) {
        let held = self.held();
        for claim in claims {
            let Some(zone) = self.pools.zone(&claim.vnet).cloned() else { continue };
            let addresses =
                held.get(&(claim.vnet.clone(), claim.mac.clone())).into_iter().flatten();
            for address in addresses {
                let is_other =
                    |fixed: &IpAddr| Family::of(*fixed) == Family::of(*address) && fixed != address;
                if self.pools.contain(&claim.vnet, *address)
                    && !self.pools.keep(&zone, *address)
                    && !claim.fixed.iter().any(is_other)
                    && self.after.contains_key(&(zone.clone(), *address))
                {
                    self.put(&zone, *address, claim);
                }
            }
        }
    }

    /// Fixed addresses, which nobody else holds.
    fn fix(&mut self, claims: &[Claim]) {
        for claim in claims {
            let Some(zone) = self.pools.zone(&claim.vnet).cloned() else { continue };
            for address in &claim.fixed {
                let key = (zone.clone(), *address);
                let holder = self
                    .after
                    .get(&key)
                    .filter(|lease| (&lease.vnet, &lease.mac) != (&claim.vnet, &claim.mac));
                // What was given up may go to whom it is declared for.
                let holder = holder.filter(|lease| lease.released.is_none());
                let why = match holder {
                    _ if !self.pools.contain(&claim.vnet, *address) => Refusal::Outside(*address),
                    _ if self.pools.keep(&zone, *address) => Refusal::Kept(*address),
                    Some(lease) => Refusal::Held(*address, lease.guest.clone()),
                    None => {
                        self.put(&zone, *address, claim);
                        continue;
                    }
                };
                self.refuse(claim, why);
            }
        }
    }

    /// An address for each family that has none.
    fn choose(&mut self, claims: &[Claim]) {
        let held = self.held();
        let mut fixed: BTreeSet<(ZoneId, IpAddr)> = BTreeSet::new();
        for claim in claims {
            let zone = self.pools.zone(&claim.vnet);
            fixed.extend(
                zone.into_iter().flat_map(|zone| {
                    claim.fixed.iter().map(move |address| (zone.clone(), *address))
                }),
            );
        }
        let mut served: BTreeMap<(VnetId, MacAddress), BTreeSet<Family>> = BTreeMap::new();
        for (zone, address) in &self.claimed {
            let lease = &self.after[&(zone.clone(), *address)];
            let key = (lease.vnet.clone(), lease.mac.clone());
            served.entry(key).or_default().insert(Family::of(*address));
        }
        let refused: BTreeSet<_> = self
            .refused
            .iter()
            .map(|refused| (refused.vnet.clone(), refused.mac.clone()))
            .collect();
        for claim in claims {
            if refused.contains(&(claim.vnet.clone(), claim.mac.clone())) {
                continue;
            }
            let Some(zone) = self.pools.zone(&claim.vnet).cloned() else {
                // A guest on a vnet without addresses wants none.
                if !claim.fixed.is_empty()
                    || held.contains_key(&(claim.vnet.clone(), claim.mac.clone()))
                {
                    self.refuse(claim, Refusal::NoSubnet);
                }
                continue;
            };
            let key = (claim.vnet.clone(), claim.mac.clone());
            let served = served.entry(key).or_default();
            let wants_fixed =
                |family: &Family| claim.fixed.iter().any(|address| Family::of(*address) == *family);
            let missing: Vec<Family> = self
                .pools
                .families(&claim.vnet)
                .filter(|family| !served.contains(family) && !wants_fixed(family))
                .collect();
            let mut chosen = Vec::new();
            let mut why = None;
            for family in missing {
                let after = &self.after;
                let is_free = |zone: &ZoneId, address| {
                    let key = (zone.clone(), address);
                    !after.contains_key(&key) && !fixed.contains(&key)
                };
                match self.pools.next(&claim.vnet, family, is_free) {
                    Some(address) => chosen.push(address),
                    None => why = Some(Refusal::Exhausted(family)),
                }
            }
            if let Some(why) = why {
                self.refuse(claim, why);
                continue;
            }
            for address in chosen {
                served.insert(Family::of(address));
                self.put(&zone, address, claim);
            }
        }
    }

    /// Leases without a claim are given up, where all claims are known.
    fn give_up(&mut self, claims: &[Claim]) {
        // A refused claim keeps what it has.
        let kept: BTreeSet<_> =
            self.refused.iter().map(|refused| (&refused.vnet, &refused.mac)).collect();
        let claiming: BTreeSet<_> = claims.iter().map(|claim| (&claim.vnet, &claim.mac)).collect();
        for (key, lease) in &mut self.after {
            let interface = (&lease.vnet, &lease.mac);
            let is_known =
                claiming.contains(&interface) || self.terms.complete.contains(&lease.origin);
            if lease.released.is_none()
                && is_known
                && !self.claimed.contains(key)
                && !kept.contains(&interface)
            {
                lease.released = Some(self.terms.now);
            }
        }
    }

    fn put(&mut self, zone: &ZoneId, address: IpAddr, claim: &Claim) {
        let key = (zone.clone(), address);
        // A person's word stands until a person takes it back.
        let origin = match self.after.get(&key) {
            Some(lease) if lease.origin == Origin::Set => Origin::Set,
            _ => claim.origin,
        };
        let lease = Lease {
            vnet: claim.vnet.clone(),
            mac: claim.mac.clone(),
            guest: claim.guest.clone(),
            hostname: claim.hostname.clone(),
            origin,
            released: None,
        };
        self.after.insert(key.clone(), lease);
        self.claimed.insert(key);
    }

    fn refuse(&mut self, claim: &Claim, why: Refusal) {
        let Claim { guest, vnet, mac, .. } = claim.clone();
        self.refused.push(Refused { guest, vnet, mac, why });
    }

    fn finish(self) -> Allocation {
        let keys: BTreeSet<_> = self.before.keys().chain(self.after.keys()).collect();
        let changes = keys.into_iter().filter_map(|key| {
            let (before, after) = (self.before.get(key), self.after.get(key));
            (before != after).then(|| LeaseChange {
                zone: key.0.clone(),
                address: key.1,
                before: before.cloned(),
                after: after.cloned(),
            })
        });
        let is_stranded = |(zone, address): &(ZoneId, IpAddr), lease: &Lease| {
            self.pools.zone(&lease.vnet) != Some(zone) || !self.pools.contain(&lease.vnet, *address)
        };
        let stranded = self
            .after
            .iter()
            .filter(|(key, lease)| lease.released.is_none() && is_stranded(key, lease));
        let stranded = stranded.map(|((zone, address), lease)| Stranded {
            zone: zone.clone(),
            address: *address,
            guest: lease.guest.clone(),
        });
        let stranded = stranded.collect();
        Allocation { changes: changes.collect(), refused: self.refused, stranded }
    }
}

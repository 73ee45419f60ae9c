//! From what is held and who claims to what is held afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::{Claim, Pools, Refusal, Refused, Stranded, Taken};
use crate::network::{Lease, Leases, Network, Origin};
use crate::plan::Family;
use crate::value::{MacAddress, VnetId, ZoneId};

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

/// How far the clock of who gave an address up may be ahead of ours.
const SKEW: Duration = Duration::from_secs(600);

/// Settles who holds which address. Claims are served in this order: who holds an address
/// keeps it; then fixed addresses, those that others move away from among them; then whoever
/// has none, in the order of `claims`. Of two families an interface without addresses gets
/// both or neither, but for those fixed. What `network` declares for a guest is given to no
/// other, whether that guest claims now or not.
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
    let pools = Pools::of(network).without(taken);
    let mut work = Work::new(network, pools.clone(), leases, terms);
    // What was given up for want of a claim makes room for another who is declared to come.
    for _ in 0..=claims.len() {
        let before = work.after.clone();
        work = Work { pools: pools.clone(), refused: Vec::new(), claimed: BTreeSet::new(), ..work };
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

/// An interface: its vnet and its hardware address.
type Interface = (VnetId, MacAddress);
type Key = (ZoneId, IpAddr);

struct Work<'a> {
    pools: Pools,
    before: &'a Leases,
    after: Leases,
    terms: &'a Terms,
    /// Whose fixed addresses are whose, by what is declared.
    reserved: BTreeMap<(ZoneId, IpAddr), Claim>,
    /// Interfaces whose claim is refused.
    refused: Vec<Refused>,
    /// Leases that a claim stands behind.
    claimed: BTreeSet<Key>,
}

impl<'a> Work<'a> {
    fn new(network: &Network, pools: Pools, leases: &'a Leases, terms: &'a Terms) -> Self {
        let declared = super::claims(network).into_iter();
        let reserved = declared.flat_map(|claim| {
            let zone = pools.zone(&claim.vnet).cloned();
            let fixed = claim.fixed.clone().into_iter();
            let keys = fixed.filter_map(move |address| Some((zone.clone()?, address)));
            keys.map(move |key| (key, claim.clone()))
        });
        let (refused, claimed) = (Vec::new(), BTreeSet::new());
        Self {
            reserved: reserved.collect(),
            pools,
            before: leases,
            after: leases.clone(),
            terms,
            refused,
            claimed,
        }
    }

    /// What was given up longer ago than the grace is nobody's, and may be claimed anew. What
    /// was given up by a clock that is far ahead has its grace from now.
    fn drop_expired(&mut self) {
        let Terms { now, grace, .. } = *self.terms;
        self.after.retain(|_, lease| {
            let Some(released) = lease.released else { return true };
            if released.duration_since(now).unsigned_abs() > SKEW && released > now {
                lease.released = Some(now);
            }
            released > now || now.duration_since(released).unsigned_abs() < grace
        });
    }

    /// Who holds an address that it may have keeps it.
    fn refresh(&mut self, claims: &[Claim]) {
        let mut held: BTreeMap<(ZoneId, Interface), Vec<IpAddr>> = BTreeMap::new();
        for ((zone, address), lease) in &self.after {
            held.entry((zone.clone(), interface_of(lease))).or_default().push(*address);
        }
        for claim in claims {
            let Some(zone) = self.pools.zone(&claim.vnet).cloned() else { continue };
            for address in held.get(&(zone.clone(), interface(claim))).into_iter().flatten() {
                let is_other =
                    |fixed: &IpAddr| Family::of(*fixed) == Family::of(*address) && fixed != address;
                if self.pools.contain(&claim.vnet, *address)
                    && !self.pools.keep(&zone, *address)
                    && (claim.fixed.contains(address) || !claim.fixed.iter().any(is_other))
                {
                    self.put(&zone, *address, claim);
                }
            }
        }
    }

    /// Fixed addresses, which nobody else holds who stays. All who move do so at once, so
    /// that a row of them, or two that exchange theirs, need no free address in between.
    fn fix(&mut self, claims: &[Claim]) {
        let mut wishes = self.wishes(claims);
        // Who moves to fixed addresses of a family, and so from all others of it.
        let mut moving: BTreeSet<(Interface, Family)> = claims
            .iter()
            .filter(|claim| self.pools.zone(&claim.vnet).is_some())
            .flat_map(|claim| claim.fixed.iter().map(|at| (interface(claim), Family::of(*at))))
            .collect();
        let stopped = self.stopped();
        moving.retain(|(of, family)| {
            stopped.get(of).is_none_or(|families| !families.contains(family))
        });
        let mut in_the_way: BTreeMap<(Interface, Family), Vec<Key>> = BTreeMap::new();
        let mut blocked = Vec::new();
        for (key, claim) in &wishes {
            // What was given up may go to whom it is declared for.
            let lease = self.after.get(key).filter(|lease| lease.released.is_none());
            let Some(holder) = lease.map(interface_of).filter(|one| *one != interface(claim))
            else {
                continue;
            };
            let holder = (holder, Family::of(key.1));
            if !moving.contains(&holder) {
                blocked.push(key.clone());
            }
            in_the_way.entry(holder).or_default().push(key.clone());
        }
        // Who cannot move stays in the way of others.
        while let Some(key) = blocked.pop() {
            let Some(claim) = wishes.remove(&key) else { continue };
            let holder = self.after[&key].guest.clone();
            self.refuse(claim, Refusal::Held(key.1, holder));
            let stays = (interface(claim), Family::of(key.1));
            if moving.remove(&stays) {
                blocked.extend(in_the_way.get(&stays).into_iter().flatten().cloned());
            }
        }
        for ((zone, address), claim) in wishes {
            self.put(&zone, address, claim);
        }
    }

    /// Who is to have each fixed address. Of several the one that holds it, else the first by
    /// origin, vnet and hardware address, whatever the order of claims.
    fn wishes<'c>(&mut self, claims: &'c [Claim]) -> BTreeMap<Key, &'c Claim> {
        let mut all: BTreeMap<Key, Vec<&Claim>> = BTreeMap::new();
        for claim in claims {
            let Some(zone) = self.pools.zone(&claim.vnet).cloned() else { continue };
            for address in &claim.fixed {
                let key = (zone.clone(), *address);
                let is_other = |of: Interface| of != interface(claim);
                let holder = self.after.get(&key).filter(|lease| lease.released.is_none());
                let is_held = holder.is_some_and(|lease| is_other(interface_of(lease)));
                let reserved =
                    self.reserved.get(&key).filter(|other| is_other(interface(other)) && !is_held);
                if !self.pools.contain(&claim.vnet, *address) {
                    self.refuse(claim, Refusal::Outside(*address));
                } else if self.pools.keep(&zone, *address) {
                    self.refuse(claim, Refusal::Kept(*address));
                } else if let Some(other) = reserved {
                    let why = Refusal::Declared(*address, other.guest.clone());
                    self.refuse(claim, why);
                } else {
                    all.entry(key).or_default().push(claim);
                }
            }
        }
        let mut wishes = BTreeMap::new();
        for (key, mut of) in all {
            let lease = self.after.get(&key).filter(|lease| lease.released.is_none());
            let holder = lease.map(interface_of);
            of.sort_by_key(|claim| {
                (holder != Some(interface(claim)), claim.origin, interface(claim))
            });
            let mut of = of.into_iter();
            let Some(first) = of.next() else { continue };
            for claim in of.filter(|claim| interface(claim) != interface(first)) {
                self.refuse(claim, Refusal::Held(key.1, first.guest.clone()));
            }
            wishes.insert(key, first);
        }
        wishes
    }

    /// Whose claim is refused, and in which families for a fixed address.
    fn stopped(&self) -> BTreeMap<Interface, BTreeSet<Family>> {
        let mut stopped: BTreeMap<Interface, BTreeSet<Family>> = BTreeMap::new();
        for Refused { vnet, mac, why, .. } in &self.refused {
            let families = stopped.entry((vnet.clone(), mac.clone())).or_default();
            families.extend(match why {
                Refusal::Outside(at)
                | Refusal::Kept(at)
                | Refusal::Held(at, _)
                | Refusal::Declared(at, _) => Some(Family::of(*at)),
                Refusal::NoSubnet | Refusal::Exhausted(_) => None,
            });
        }
        stopped
    }

    /// The families in which interfaces have what they claim.
    fn served(&self) -> BTreeMap<Interface, BTreeSet<Family>> {
        let mut served: BTreeMap<Interface, BTreeSet<Family>> = BTreeMap::new();
        for key in &self.claimed {
            served.entry(interface_of(&self.after[key])).or_default().insert(Family::of(key.1));
        }
        served
    }

    /// An address for each family that has none.
    fn choose(&mut self, claims: &[Claim]) {
        let holders: BTreeSet<Interface> = self.after.values().map(interface_of).collect();
        let mut fixed: BTreeSet<Key> = self.reserved.keys().cloned().collect();
        for claim in claims {
            let zone = self.pools.zone(&claim.vnet);
            fixed.extend(
                zone.into_iter().flat_map(|zone| {
                    claim.fixed.iter().map(move |address| (zone.clone(), *address))
                }),
            );
        }
        let mut served = self.served();
        let stopped = self.stopped();
        for claim in claims {
            let of = interface(claim);
            if stopped.contains_key(&of) {
                continue;
            }
            let Some(zone) = self.pools.zone(&claim.vnet).cloned() else {
                // A guest on a vnet without addresses wants none.
                if !claim.fixed.is_empty() || holders.contains(&of) {
                    self.refuse(claim, Refusal::NoSubnet);
                }
                continue;
            };
            let served = served.entry(of).or_default();
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
        let claiming: BTreeSet<Interface> = claims.iter().map(interface).collect();
        let (stopped, served) = (self.stopped(), self.served());
        for (key, lease) in &mut self.after {
            let of = interface_of(lease);
            let is_known = claiming.contains(&of) || self.terms.complete.contains(&lease.origin);
            // A refused claim keeps what it has, but for families in which it got all of what
            // it is to have.
            let family = Family::of(key.1);
            let is_kept = stopped.get(&of).is_some_and(|families| {
                let is_served = served.get(&of).is_some_and(|served| served.contains(&family));
                families.contains(&family) || !is_served
            });
            if lease.released.is_none() && is_known && !self.claimed.contains(key) && !is_kept {
                lease.released = Some(self.terms.now);
            }
        }
    }

    fn put(&mut self, zone: &ZoneId, address: IpAddr, claim: &Claim) {
        let key = (zone.clone(), address);
        // A person's word stands until a person takes it back.
        let origin = match self.after.get(&key) {
            Some(lease)
                if lease.origin == Origin::Set && interface_of(lease) == interface(claim) =>
            {
                Origin::Set
            }
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

    fn finish(mut self) -> Allocation {
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
        let changes = changes.collect();
        let stranded = self
            .after
            .iter()
            .filter(|(key, lease)| lease.released.is_none() && self.pools.strand(key, &lease.vnet));
        let stranded = stranded.map(|((zone, address), lease)| Stranded {
            zone: zone.clone(),
            address: *address,
            guest: lease.guest.clone(),
        });
        let stranded = stranded.collect();
        self.refused.sort_by(|one, other| {
            let key = |of: &Refused| (of.guest.clone(), of.vnet.clone(), of.mac.clone());
            key(one).cmp(&key(other))
        });
        Allocation { changes, refused: self.refused, stranded }
    }
}

fn interface(claim: &Claim) -> Interface {
    (claim.vnet.clone(), claim.mac.clone())
}

fn interface_of(lease: &Lease) -> Interface {
    (lease.vnet.clone(), lease.mac.clone())
}

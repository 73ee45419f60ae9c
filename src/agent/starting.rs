//! A guest that Proxmox VE is about to start: each of its interfaces on a vnet has its
//! addresses before it does.
//!
//! What this node knows is enough where it says so, and then no server is asked, nor is the
//! configuration where it cannot be read: the git server may be the guest that is to start.
//! Otherwise the branch of leases is, for as long as the settings say; whether the guest
//! starts without is theirs to say too.

use std::collections::BTreeSet;
use std::time::Duration;

use super::addresses::{self, AddressesError, Law, remembered, settle_some, tell_hosts};
use super::error::chain;
use super::found::{GuestHere, guest_here};
use super::ipam;
use super::leases::{Branch, LeasesError, Starter};
use super::names::Leave;
use super::settings::{Mode, Settings};
use super::writer::Right;
use crate::host::{Host, HostError};
use crate::network::{Lease, Leases};
use crate::plan::Family;
use crate::plan::addresses::{Claim, Pools};
use crate::plan::ipam::administrator;
use crate::render::Managed;
use crate::value::ZoneId;

/// The time before the branch is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// The largest file of interfaces, in bytes.
const MAX_INTERFACES_BYTES: u64 = 32 << 20;

/// What a guest that starts has.
#[derive(Debug, PartialEq, Eq)]
pub enum Provided {
    /// Nothing of it is weft's to provide.
    Nothing,
    /// Every interface has its addresses, as this node knew before.
    Known,
    /// Every interface has its addresses, as the branch of leases says now.
    Settled,
    /// Not every interface has.
    Lacking(String),
}

/// Provides the addresses of a guest of this node. Waits without a bound of its own for what
/// may come by itself, and says to `waits` why: whoever calls this knows how long they may
/// wait. What no waiting mends is an error at once.
pub fn provide<H: Host>(
    host: &H,
    settings: &Settings,
    starter: Starter<'_>,
    number: u32,
    mut waits: impl FnMut(String),
) -> Result<Provided, AddressesError> {
    if settings.mode() != Mode::Apply || settings.leases.is_none() && settings.credentials.is_none()
    {
        return Ok(Provided::Nothing);
    }
    let guest = match guest_here(host, number)? {
        None => return Ok(Provided::Nothing),
        Some(Err(damage)) => return Ok(Provided::Lacking(damage)),
        Some(Ok(guest)) => guest,
    };
    // A record that is damaged says nothing; it is written anew with the branch.
    let last = remembered(host).ok().flatten().map(|last| last.leases).unwrap_or_default();
    let law = match addresses::law(host, settings, starter) {
        Ok(law) => law,
        // Nothing was ever accepted, so that no bridge of this node is weft's.
        Err(AddressesError::Nothing) => return Ok(Provided::Nothing),
        Err(error) => {
            return match known_by_leases(&guest, &last, &bridges(host)?) {
                Some((provided, zones)) => Ok(told(host, settings, &zones, provided)),
                // Whether any server is this node's to ask is not known either.
                None if settings.leases.is_none() => Ok(Provided::Nothing),
                None => Err(error),
            };
        }
    };
    let wanted = wanted(settings, &law, &guest);
    if wanted.is_empty() {
        return Ok(Provided::Nothing);
    }
    let pools = Pools::of(&law.network);
    let zones = wanted.iter().filter_map(|claim| pools.zone(&claim.vnet).cloned()).collect();
    if lacking(&pools, &last, &wanted).is_none() {
        return Ok(told(host, settings, &zones, Provided::Known));
    }
    let (of_servers, of_branch): (Vec<Claim>, Vec<Claim>) =
        wanted.into_iter().partition(|claim| administrator(&law.network, &claim.vnet).is_some());
    let branch = settings.leases.is_some().then(|| Branch::of(host, settings, starter));
    let branch = branch.transpose()?;
    while let Some(why) = settle_servers(host, settings, &law, &of_servers, branch.as_ref())? {
        // Whether it may pass, a server does not say.
        waits(why);
        host.wait(PAUSE);
    }
    if of_branch.is_empty() {
        return Ok(told(host, settings, &zones, Provided::Settled));
    }
    let Some(branch) = branch else { return Ok(Provided::Nothing) };
    loop {
        let error = match settle(host, &branch, &law, &of_branch) {
            Ok(lacking) => {
                let provided = lacking.map_or(Provided::Settled, Provided::Lacking);
                return Ok(told(host, settings, &zones, provided));
            }
            Err(error) => error,
        };
        if !may_pass(&error) {
            return Err(error);
        }
        waits(chain(&error));
        host.wait(PAUSE);
    }
}

/// Settles what the guest claims of IPAM servers; says why somebody lacks an address then.
fn settle_servers<H: Host>(
    host: &H,
    settings: &Settings,
    law: &Law,
    claims: &[Claim],
    branch: Option<&Branch<'_, H>>,
) -> Result<Option<String>, AddressesError> {
    let (node, allocators) = (&settings.node.value, &law.allocators);
    // The time is the caller's.
    let mut right = Right::of(host, branch, allocators, node, Duration::ZERO);
    let lacking = settle_each(host, settings, law, claims, &mut right);
    right.end(None).map_err(AddressesError::from)?;
    lacking
}

fn settle_each<H: Host>(
    host: &H,
    settings: &Settings,
    law: &Law,
    claims: &[Claim],
    right: &mut Right<'_, H>,
) -> Result<Option<String>, AddressesError> {
    let desk = ipam::Desk::of(host, settings, law, Leave::default());
    for claim in claims {
        let Some(id) = administrator(&law.network, &claim.vnet) else { continue };
        if !desk.open().any(|open| open == id) {
            return Ok(Some(format!("this node has no token for the IPAM server `{id}`")));
        }
        let (settled, allocation) = desk.settle_one(id, claim, right)?;
        let refused = settled.refused.first().map(ToString::to_string);
        let refused = refused.or_else(|| allocation.refused.first().map(ToString::to_string));
        if refused.is_some() {
            return Ok(refused);
        }
    }
    Ok(None)
}

/// Whether the same may succeed in a moment: the agent of this node is at it, or the server is
/// away.
fn may_pass(error: &AddressesError) -> bool {
    match error {
        AddressesError::Leases(LeasesError::Busy | LeasesError::Contended) => true,
        AddressesError::Leases(LeasesError::Transport(error)) => error.retry_helps(),
        _ => false,
    }
}

/// What the guest's interfaces claim. What is declared of one counts more than what Proxmox
/// says of it; one that is not declared claims something where the settings say so.
fn wanted(settings: &Settings, law: &Law, guest: &GuestHere) -> Vec<Claim> {
    let found = guest.claims(&law.network);
    let here: BTreeSet<_> = found.iter().map(|claim| (&claim.vnet, &claim.mac)).collect();
    let others = if settings.watches_guests() { found.as_slice() } else { &[] };
    let mut wanted = addresses::every_claim(law, others);
    wanted.retain(|claim| here.contains(&(&claim.vnet, &claim.mac)));
    wanted
}

/// The bridges that weft made on this node, by its own file of interfaces.
fn bridges(host: &impl Host) -> Result<BTreeSet<String>, HostError> {
    let file = host.read(&Managed::Interfaces.path(), MAX_INTERFACES_BYTES)?;
    let text = file.map(|file| file.text()).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.strip_prefix("iface "));
    Ok(names.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect())
}

/// What leases alone say of a guest, with the zones of those that are its own: all that is
/// known where the configuration cannot be read. Each interface on a vnet that leases name has
/// one, and of a guest that is on none of weft's `bridges` there is nothing to know. `None`
/// where neither is so.
fn known_by_leases(
    guest: &GuestHere,
    leases: &Leases,
    bridges: &BTreeSet<String>,
) -> Option<(Provided, BTreeSet<ZoneId>)> {
    let named: BTreeSet<&str> = leases.values().map(|lease| lease.vnet.as_str()).collect();
    let is_vnet = |bridge: &str| named.contains(bridge) || bridges.contains(bridge);
    if !guest.nics().any(|nic| is_vnet(nic.bridge.as_str())) {
        return Some((Provided::Nothing, BTreeSet::new()));
    }
    let mut zones = BTreeSet::new();
    for nic in guest.nics().filter(|nic| named.contains(nic.bridge.as_str())) {
        let is_its = |lease: &Lease| {
            lease.released.is_none()
                && (lease.vnet.as_str(), &lease.mac) == (nic.bridge.as_str(), &nic.mac)
        };
        zones.insert(leases.iter().find(|(_, lease)| is_its(lease))?.0.0.clone());
    }
    (!zones.is_empty()).then_some((Provided::Known, zones))
}

/// Tells the DHCP servers of this node: an address that they do not know of is none.
fn told(
    host: &impl Host,
    settings: &Settings,
    zones: &BTreeSet<ZoneId>,
    provided: Provided,
) -> Provided {
    let failed = match tell_hosts(host, settings) {
        Ok(told) => told.failed,
        Err(error) => return Provided::Lacking(chain(&error)),
    };
    match failed.into_iter().find(|(zone, _)| zones.contains(zone)) {
        Some((zone, why)) if !matches!(provided, Provided::Lacking(_)) => {
            Provided::Lacking(format!("the DHCP server of zone `{zone}` was not told: {why}"))
        }
        _ => provided,
    }
}

/// Why somebody lacks an address; `None` where nobody does.
fn lacking(pools: &Pools, leases: &Leases, wanted: &[Claim]) -> Option<String> {
    for claim in wanted {
        let held: Vec<_> = leases
            .iter()
            .filter(|(_, lease)| (&lease.vnet, &lease.mac) == (&claim.vnet, &claim.mac))
            .filter(|((zone, address), lease)| {
                lease.released.is_none()
                    && pools.zone(&claim.vnet) == Some(zone)
                    && pools.contain(&claim.vnet, *address)
            })
            .map(|((_, address), _)| *address)
            .collect();
        let families: BTreeSet<Family> = held.iter().map(|address| Family::of(*address)).collect();
        let lacks = pools.families(&claim.vnet).any(|family| !families.contains(&family))
            || claim.fixed.iter().any(|fixed| !held.contains(fixed));
        if lacks {
            let Claim { guest, vnet, mac, .. } = claim;
            return Some(format!("`{guest}` ({mac} on `{vnet}`) has no address"));
        }
    }
    None
}

/// Settles what the guest claims, and leaves all others as they are; a node that only reads
/// reads. Says why somebody lacks an address then.
fn settle<H: Host>(
    host: &H,
    branch: &Branch<'_, H>,
    law: &Law,
    wanted: &[Claim],
) -> Result<Option<String>, AddressesError> {
    let pools = Pools::of(&law.network);
    if !branch.writes() {
        let held = branch.read(&law.allocators)?;
        return Ok(lacking(&pools, &held.leases, wanted));
    }
    let guest = wanted.first().map(|claim| claim.guest.to_string()).unwrap_or_default();
    let outcome = settle_some(host, branch, law, wanted, &format!("leases: {guest} starts"))?;
    if outcome.behind {
        let lacking = lacking(&pools, &outcome.settled.leases, wanted);
        return Ok(lacking.map(|why| {
            format!("{why}, and another node settled a newer commit of the configuration")
        }));
    }
    Ok(outcome.refused.first().map(ToString::to_string))
}

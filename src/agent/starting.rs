//! A guest that Proxmox VE is about to start: each of its interfaces on a vnet has its
//! addresses before it does.
//!
//! What this node knows is enough where it says so, and then no server is asked. Otherwise
//! the branch of leases is, for as long as the settings say; whether the guest starts without
//! is theirs to say too.

use std::collections::BTreeSet;
use std::time::Duration;

use super::addresses::{self, AddressesError, Law, remembered, tell_hosts};
use super::found::found_here;
use super::leases::{Branch, Decision, LeasesError, Starter};
use super::settings::{Mode, Settings};
use crate::host::Host;
use crate::network::Leases;
use crate::plan::Family;
use crate::plan::addresses::{Claim, Pools, Terms, allocate, claims};

/// The time before the branch is tried again.
const PAUSE: Duration = Duration::from_millis(500);

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

/// Provides the addresses of a guest of this node. Waits for servers without a bound of its
/// own: whoever calls this knows how long they may wait.
pub fn provide<H: Host>(
    host: &H,
    settings: &Settings,
    starter: Starter<'_>,
    number: u32,
) -> Result<Provided, AddressesError> {
    if settings.mode() != Mode::Apply || settings.leases.is_none() {
        return Ok(Provided::Nothing);
    }
    let law = addresses::law(host, settings, starter)?;
    let wanted = match found_here(host, &law.network, number)? {
        None => return Ok(Provided::Nothing),
        Some(Err(damage)) => return Ok(Provided::Lacking(damage)),
        Some(Ok(found)) => as_declared(&law, found),
    };
    if wanted.is_empty() {
        return Ok(Provided::Nothing);
    }
    let last = remembered(host)?.map(|last| last.leases).unwrap_or_default();
    if lacking(&law, &last, &wanted).is_none() {
        tell_hosts(host, settings)?;
        return Ok(Provided::Known);
    }
    let branch = Branch::of(host, settings, starter)?;
    loop {
        match settle(host, &branch, &law, &wanted) {
            Ok(lacking) => {
                tell_hosts(host, settings)?;
                return Ok(lacking.map_or(Provided::Settled, Provided::Lacking));
            }
            // The agent of this node is at it, or the server is away: perhaps not for long.
            Err(AddressesError::Leases(LeasesError::Busy | LeasesError::Transport(_))) => {
                host.wait(PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// What is declared of an interface counts more than what Proxmox says of it.
fn as_declared(law: &Law, found: Vec<Claim>) -> Vec<Claim> {
    let declared = claims(&law.network);
    let of = |claim: Claim| {
        let is_it = |other: &&Claim| (&other.vnet, &other.mac) == (&claim.vnet, &claim.mac);
        declared.iter().find(is_it).cloned().unwrap_or(claim)
    };
    found.into_iter().map(of).collect()
}

/// Why somebody lacks an address; `None` where nobody does.
fn lacking(law: &Law, leases: &Leases, wanted: &[Claim]) -> Option<String> {
    let pools = Pools::of(&law.network);
    for claim in wanted {
        let held: Vec<_> = leases
            .iter()
            .filter(|(_, lease)| (&lease.vnet, &lease.mac) == (&claim.vnet, &claim.mac))
            .filter(|((_, address), lease)| {
                lease.released.is_none() && pools.contain(&claim.vnet, *address)
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
/// reads.
fn settle<H: Host>(
    host: &H,
    branch: &Branch<'_, H>,
    law: &Law,
    wanted: &[Claim],
) -> Result<Option<String>, AddressesError> {
    if !branch.writes() {
        let held = addresses::read(host, branch, law)?;
        return Ok(lacking(law, &held.leases, wanted));
    }
    let terms = Terms { now: host.now(), grace: branch.grace(), complete: BTreeSet::new() };
    let guest = wanted.first().map(|claim| claim.guest.to_string()).unwrap_or_default();
    let message = format!("leases: {guest} starts");
    let mut refused = Vec::new();
    let settled = branch.settle(&law.allocators, &message, |held| {
        let allocation = allocate(&law.network, &held.leases, wanted, &terms);
        refused = allocation.refused;
        Decision { changes: allocation.changes, configuration: None }
    })?;
    addresses::remember(host, &settled)?;
    Ok(refused.first().map(ToString::to_string))
}

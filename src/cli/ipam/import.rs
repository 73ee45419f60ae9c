//! `weft ipam import`: what Proxmox VE has given out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use camino::Utf8PathBuf;

use super::failure::failed;
use super::{Site, words};
use crate::agent::leases::Decision;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node;
use crate::cli::output::Output;
use crate::cli::source;
use crate::declare::pve::addresses;
use crate::network::{Lease, Network, Origin};
use crate::plan::addresses::{Allocation, LeaseChange, Pools};
use crate::plan::ipam::administrator;
use crate::value::{GuestName, VnetId, ZoneId};

/// The largest file, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// `weft ipam import`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file.
    #[arg(default_value = "/etc/pve/sdn/pve-ipam-state.json", value_name = "FILE")]
    file: Utf8PathBuf,
}

/// Writes a lease for each address that Proxmox has given to a guest, where nobody holds it.
/// What is not taken over is said, with the reason.
pub(super) fn run(site: &Site<'_>, arguments: &Arguments) -> Result<Exit, Failure> {
    let text = source::file(&arguments.file, MAX_BYTES)?;
    let taken =
        addresses::state(arguments.file.as_str(), &text).map_err(|error| node::failed(&error))?;
    let branch = site.branch()?;
    let network = &site.law.network;
    let pools = Pools::of(network);
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for taken in taken.iter().filter(|taken| !taken.gateway) {
        match lease(network, &pools, taken) {
            Ok(lease) => found.push(lease),
            Err(why) => left_out.push(format!("{} ({}): {why}", taken.address, taken.zone)),
        }
    }
    let mut allocation = Allocation::default();
    let mut held_by_others = Vec::new();
    branch
        .settle(&site.law.allocators, "leases: from Proxmox VE", |held| {
            allocation = Allocation::default();
            held_by_others.clear();
            let mut seen = BTreeSet::new();
            for (zone, address, lease) in &found {
                let key = (zone.clone(), *address);
                match held.leases.get(&key) {
                    Some(other) if (&other.vnet, &other.mac) == (&lease.vnet, &lease.mac) => {}
                    Some(other) => held_by_others
                        .push(format!("{address} ({zone}): `{}` holds it already", other.guest)),
                    None if seen.insert(key) => allocation.changes.push(LeaseChange {
                        zone: zone.clone(),
                        address: *address,
                        before: None,
                        after: Some(lease.clone()),
                    }),
                    None => {}
                }
            }
            Decision { changes: allocation.changes.clone(), configuration: None }
        })
        .map_err(failed)?;
    site.tell_hosts()?;
    for line in left_out.iter().chain(&held_by_others) {
        Output::notice(format!("left out: {line}"));
    }
    Ok(words::say(site.output, &allocation, &[], true))
}

fn lease(
    network: &Network,
    pools: &Pools,
    taken: &addresses::Taken,
) -> Result<(ZoneId, IpAddr, Lease), String> {
    let zone: ZoneId = taken.zone.parse().map_err(|error| format!("{error}"))?;
    let address: IpAddr = taken.address.parse().map_err(|_| "it is no address".to_owned())?;
    let declared = network.zones.get(&zone).ok_or("the zone is not declared")?;
    let is_it = |vnet: &&VnetId| {
        let of = declared.vnets.get(*vnet);
        of.is_some_and(|of| of.subnets().any(|(prefix, _)| prefix.as_str() == taken.prefix))
    };
    let vnet = declared.vnets.keys().find(is_it).ok_or("no vnet of the zone has the subnet")?;
    if let Some(id) = administrator(network, vnet) {
        return Err(format!("the IPAM server `{id}` administers the zone"));
    }
    if pools.keep(&zone, address) {
        return Err("it is the router's, or the subnet keeps it for itself".to_owned());
    }
    let mac = taken.mac.as_deref().ok_or("nobody's hardware address is known")?;
    let mac = mac.parse().map_err(|error| format!("{error}"))?;
    let name = taken.hostname.clone().or_else(|| Some(format!("vm{}", taken.vmid.as_ref()?)));
    let guest: GuestName =
        name.ok_or("nobody's name is known")?.parse().map_err(|error| format!("{error}"))?;
    let lease = Lease {
        vnet: vnet.clone(),
        mac,
        guest,
        hostname: None,
        origin: Origin::Found,
        released: None,
    };
    Ok((zone, address, lease))
}

//! What a network may be at most, so that no commit can exhaust a node.
//!
//! The bounds of single files are the reader's. Here is what multiplies: each
//! vnet of a VXLAN zone is rendered with every tunnel end of its zone.

use std::collections::BTreeMap;

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry};
use crate::value::ZoneId;

/// The most tunnel ends in all VXLAN vnets together: 5,000 vnets on 100 nodes. Each
/// is a line of at most 57 bytes in a file that may have 32 MiB.
pub const MAX_TUNNELS: usize = 500_000;

/// The most routes that lead nowhere in the EVPN zones with exit nodes: each of them has
/// one for each subnet of all others. Each is a line of at most 70 bytes.
const MAX_ROUTES: usize = 400_000;

/// Whether the other rules can be applied at a reasonable cost; a finding says
/// why not.
pub(super) fn hold(declared: &Declared, report: &mut Report) -> bool {
    let mut vnets: BTreeMap<&ZoneId, usize> = BTreeMap::new();
    for vnet in declared.vnets.values() {
        *vnets.entry(&vnet.value.zone.value).or_default() += 1;
    }
    let mut total: usize = 0;
    for (id, entry) in &declared.zones {
        if entry.value.kind.value != ZoneType::Vxlan {
            continue;
        }
        let vnets = vnets.get(id).copied().unwrap_or_default().max(1);
        total = total.saturating_add(tunnel_ends(&entry.value, declared).saturating_mul(vnets));
        if total > MAX_TUNNELS {
            let message = format!("with zone `{id}` there are more than {MAX_TUNNELS} tunnels");
            let finding = Finding::new(Code::TooLarge, message, &entry.place)
                .help("each vnet of a VXLAN zone has a tunnel to each node of the zone");
            report.push(finding);
            return false;
        }
    }
    let subnets = declared.vnets.values().filter_map(|vnet| vnet.value.subnets.as_ref());
    let subnets: usize = subnets.map(|subnets| subnets.value.len()).sum();
    let has_exits = |entry: &&Entry<Zone>| {
        entry.value.exitnodes.as_ref().is_some_and(|nodes| !nodes.value.is_empty())
    };
    let mut exits = declared.zones.values().filter(has_exits);
    let routes = exits.clone().count().saturating_mul(subnets);
    if let Some(last) = exits.next_back().filter(|_| routes > MAX_ROUTES) {
        let message = format!(
            "zones with exit nodes and subnets come to {routes} routes, and {MAX_ROUTES} are the most"
        );
        let finding = Finding::new(Code::TooLarge, message, &last.place)
            .help("each EVPN zone with exit nodes has a route for each subnet of all other zones; let fewer zones have exit nodes");
        report.push(finding);
        return false;
    }
    true
}

/// How many tunnel ends a zone has at most.
fn tunnel_ends(zone: &Zone, declared: &Declared) -> usize {
    if let Some(peers) = &zone.peers {
        return peers.value.len();
    }
    let nodes = zone.nodes.as_ref().map_or(declared.nodes.len(), |nodes| nodes.value.len());
    nodes + zone.external_peers.as_ref().map_or(0, |peers| peers.value.len())
}

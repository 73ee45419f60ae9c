//! Rules about nodes, and about everything that names one.

use std::collections::BTreeMap;

use super::placement;
use super::report::Report;
use super::subnets::{Found, all};
use super::vnets::zone_of;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::ZoneType;
use crate::value::{NodeName, Place};

/// A node that is named anywhere is declared.
pub(super) fn declared(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let zone = &zone.value;
        let lists = [&zone.nodes, &zone.exitnodes].into_iter().flatten();
        let primary = zone.exitnodes_primary.iter();
        let named = lists.flat_map(|list| &list.value).chain(primary);
        for node in named {
            named_by(declared, &format!("zone `{id}`"), &node.value, &node.place, report);
        }
    }
    for Found { prefix, subnet, .. } in all(declared) {
        let servers = subnet.value.dhcp_servers.iter().flat_map(|servers| &servers.value);
        for (node, entry) in servers {
            named_by(declared, &format!("subnet {prefix}"), node, &entry.place, report);
        }
    }
    for (id, controller) in &declared.controllers {
        if let Some(node) = &controller.value.node {
            named_by(declared, &format!("controller `{id}`"), &node.value, &node.place, report);
        }
    }
    for (id, fabric) in &declared.fabrics {
        for (node, entry) in fabric.value.nodes.iter().flat_map(|nodes| &nodes.value) {
            named_by(declared, &format!("fabric `{id}`"), node, &entry.place, report);
        }
    }
}

fn named_by(declared: &Declared, who: &str, node: &NodeName, place: &Place, report: &mut Report) {
    if !declared.nodes.contains_key(node) {
        report.unknown(
            Code::NodeUndeclared,
            format!("{who} names node `{node}`, which is not declared"),
            place,
            node.as_str(),
            "declared nodes",
            declared.nodes.keys().map(NodeName::as_str),
        );
    }
}

/// No vnet gives one node the address of another: packets to that one would never leave it.
/// Its own a node may have by a vnet alone; only who knows the node can say more.
pub(super) fn addresses_are_not_given(declared: &Declared, report: &mut Report) {
    for Found { vnet_id, vnet, subnet, .. } in all(declared) {
        let Some(zone) = zone_of(vnet, declared) else { continue };
        let Some(gateway) = &subnet.value.gateway else { continue };
        if zone.value.kind.value != ZoneType::Simple {
            continue;
        }
        for (name, node) in &declared.nodes {
            let Some(address) = &node.value.address else { continue };
            let is_other = |other: &&NodeName| {
                *other != name && placement::has(zone.value.nodes.as_ref(), other)
            };
            if address.value != gateway.value {
                continue;
            }
            if let Some(other) = declared.nodes.keys().find(is_other) {
                let message = format!(
                    "vnet `{vnet_id}` gives node `{other}` {}, which is node `{name}`'s",
                    gateway.value
                );
                let finding = Finding::new(Code::NodeAddressReused, message, &gateway.place)
                    .also(&address.place, "its address");
                report.push(finding);
            }
        }
    }
}

/// No two nodes are the same tunnel endpoint.
pub(super) fn addresses_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<_, (_, &Place)> = BTreeMap::new();
    for (name, node) in &declared.nodes {
        let Some(address) = &node.value.address else { continue };
        if let Some((other, place)) = seen.get(&address.value) {
            let message = format!("nodes `{other}` and `{name}` both have {}", address.value);
            report.twice(Code::NodeAddressReused, message, place, &address.place);
        } else {
            seen.insert(address.value, (name, &address.place));
        }
    }
}

//! Rules about EVPN zones.

use std::collections::{BTreeMap, BTreeSet};

use super::placement;
use super::report::Report;
use crate::declare::controller::ControllerType;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry};
use crate::value::{At, Cidr, NodeName, Place, ZoneId};

fn zones(declared: &Declared) -> impl Iterator<Item = (&ZoneId, &Entry<Zone>)> {
    declared.zones.iter().filter(|(_, zone)| zone.value.kind.value == ZoneType::Evpn)
}

fn exit_nodes(zone: &Zone) -> &[At<NodeName>] {
    zone.exitnodes.as_ref().map_or(&[], |nodes| nodes.value.as_slice())
}

/// No two VRFs have one network identifier.
pub(super) fn vrfs_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<_, (_, &Place)> = BTreeMap::new();
    for (id, zone) in zones(declared) {
        let Some(vni) = &zone.value.vrf_vxlan else { continue };
        if let Some((other, place)) = seen.get(&vni.value) {
            let message = format!("zones `{other}` and `{id}` both have `vrf-vxlan` {}", vni.value);
            report.twice(Code::VrfVxlanReused, message, place, &vni.place);
        } else {
            seen.insert(vni.value, (id, &vni.place));
        }
    }
}

/// No VRF has the network identifier of a vnet.
pub(super) fn vrfs_are_no_tags(declared: &Declared, report: &mut Report) {
    let vrfs: BTreeMap<_, _> = zones(declared)
        .filter_map(|(id, zone)| zone.value.vrf_vxlan.as_ref().map(|vni| (vni.value, (id, vni))))
        .collect();
    for (vnet, entry) in &declared.vnets {
        let Some(tag) = &entry.value.tag else { continue };
        let Some((zone, vni)) = vrfs.get(&tag.value) else { continue };
        let kind = declared.zones.get(&entry.value.zone.value).map(|zone| zone.value.kind.value);
        if matches!(kind, Some(ZoneType::Vxlan | ZoneType::Evpn)) {
            let message =
                format!("vnet `{vnet}` has tag {}, the `vrf-vxlan` of zone `{zone}`", tag.value);
            let finding = Finding::new(Code::VrfVxlanIsTag, message, &tag.place);
            report.push(finding.also(&vni.place, "the network identifier of the VRF"));
        }
    }
}

/// The primary exit node is an exit node.
pub(super) fn primary_is_exit_node(declared: &Declared, report: &mut Report) {
    for (id, zone) in zones(declared) {
        let Some(primary) = &zone.value.exitnodes_primary else { continue };
        let nodes = exit_nodes(&zone.value);
        if nodes.iter().any(|node| node.value == primary.value) {
            continue;
        }
        let message =
            format!("the primary exit node `{}` of zone `{id}` is no exit node", primary.value);
        let mut finding = Finding::new(Code::PrimaryNotExitNode, message, &primary.place);
        if let Some(nodes) = &zone.value.exitnodes {
            finding = finding.also(&nodes.place, "the exit nodes");
        }
        let names = nodes.iter().map(|node| node.value.as_str());
        report.suggest(finding, primary.value.as_str(), "exit nodes", names);
    }
}

/// Exit nodes are nodes of the zone.
pub(super) fn exit_nodes_inside(declared: &Declared, report: &mut Report) {
    for (id, zone) in zones(declared) {
        let Some(nodes) = &zone.value.nodes else { continue };
        let inside: BTreeSet<&NodeName> = nodes.value.iter().map(|node| &node.value).collect();
        for exit in exit_nodes(&zone.value).iter().filter(|exit| !inside.contains(&exit.value)) {
            let message = format!("exit node `{}` is no node of zone `{id}`", exit.value);
            let finding = Finding::new(Code::ExitNodeOutsideZone, message, &exit.place);
            report.push(finding.also(&nodes.place, "the nodes of the zone"));
        }
    }
}

/// The first subnets of a zone that need something of it.
#[derive(Default)]
struct Needs<'a> {
    /// With a gateway.
    gateway: Option<(&'a Cidr, &'a Place)>,
    /// With source NAT.
    snat: Option<(&'a Cidr, &'a Place)>,
    /// With a gateway and without source NAT.
    plain: Option<(&'a Cidr, &'a Place)>,
}

fn needs(declared: &Declared) -> BTreeMap<&ZoneId, Needs<'_>> {
    let mut found: BTreeMap<&ZoneId, Needs<'_>> =
        zones(declared).map(|(id, _)| (id, Needs::default())).collect();
    for vnet in declared.vnets.values() {
        let Some(needs) = found.get_mut(&vnet.value.zone.value) else { continue };
        for (prefix, subnet) in vnet.value.subnets.iter().flat_map(|subnets| &subnets.value) {
            let snat = subnet.value.snat.as_ref().filter(|snat| snat.value);
            if let Some(gateway) = &subnet.value.gateway {
                needs.gateway.get_or_insert((prefix, &gateway.place));
                if snat.is_none() {
                    needs.plain.get_or_insert((prefix, &subnet.place));
                }
            }
            if let Some(snat) = snat {
                needs.snat.get_or_insert((prefix, &snat.place));
            }
        }
    }
    found
}

/// Gateways have one hardware address on all nodes.
pub(super) fn gateways_have_a_mac(declared: &Declared, report: &mut Report) {
    let needs = needs(declared);
    for (id, zone) in zones(declared).filter(|(_, zone)| zone.whole && zone.value.mac.is_none()) {
        if let Some((prefix, place)) = needs.get(id).and_then(|needs| needs.gateway) {
            let message = format!("zone `{id}` has gateways and no `mac`");
            let finding = Finding::new(Code::AnycastMacMissing, message, &zone.place);
            report.push(finding.also(place, format!("the gateway of {prefix}")));
        }
    }
}

/// Source NAT has an exit node, and of several one that is preferred.
pub(super) fn snat_has_one_way_out(declared: &Declared, report: &mut Report) {
    let needs = needs(declared);
    for (id, zone) in zones(declared) {
        let Some((prefix, place)) = needs.get(id).and_then(|needs| needs.snat) else { continue };
        let finding = match (&zone.value.exitnodes, exit_nodes(&zone.value)) {
            (_, []) => {
                let message =
                    format!("subnet {prefix} has `snat`, and zone `{id}` has no exit node");
                Finding::new(Code::SnatWithoutExitNode, message, place)
                    .also(&zone.place, "the zone")
            }
            (Some(exits), [first, _, ..]) if zone.value.exitnodes_primary.is_none() => {
                let message = format!(
                    "zone `{id}` has source NAT on several exit nodes, and none is the primary one"
                );
                Finding::new(Code::ExitNodesAsymmetric, message, &exits.place)
                    .also(place, format!("subnet {prefix} has `snat`"))
                    .help(format!("add `exitnodes-primary: {}`", first.value))
            }
            _ => continue,
        };
        report.push(finding);
    }
}

/// Routers outside know the way back: a BGP controller of each exit node announces it.
pub(super) fn there_is_a_way_back(declared: &Declared, report: &mut Report) {
    let needs = needs(declared);
    let announcing: BTreeSet<&NodeName> = declared
        .controllers
        .values()
        .filter(|controller| controller.value.kind.value == ControllerType::Bgp)
        .filter_map(|controller| controller.value.node.as_ref().map(|node| &node.value))
        .collect();
    for (id, zone) in zones(declared) {
        let Some((prefix, place)) = needs.get(id).and_then(|needs| needs.plain) else { continue };
        let exits = exit_nodes(&zone.value).iter();
        let mut silent = exits.filter(|exit| {
            !announcing.contains(&exit.value)
                && placement::has(zone.value.nodes.as_ref(), &exit.value)
        });
        if let Some(exit) = silent.next() {
            let message = format!(
                "nobody announces the subnets of zone `{id}` that leave by exit node `{}`",
                exit.value
            );
            let finding = Finding::new(Code::ReturnRouteMissing, message, &exit.place)
                .also(place, format!("subnet {prefix} leaves with its own addresses"));
            report.push(finding);
        }
    }
}

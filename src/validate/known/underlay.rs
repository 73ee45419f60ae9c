//! What tunnels go through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Known, known};
use crate::declare::Declared;
use crate::declare::controller::ControllerType;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::facts::{Facts, Interface};
use crate::validate::controllers::of_type;
use crate::validate::peers::{self, Source};
use crate::validate::report::Report;

/// The MTU of vnets in VXLAN and EVPN zones that set none (`pve-rendering.md` §1.2).
const TUNNEL_MTU: u32 = 1450;
/// What VXLAN adds to a packet over IPv4: Ethernet, IP, UDP and VXLAN headers (RFC 7348).
const VXLAN_V4: u32 = 50;
/// The same over IPv6.
const VXLAN_V6: u32 = 70;
/// A second VLAN tag.
const INNER_TAG: u32 = 4;

/// The addresses that a node is known to have.
pub(super) fn own_addresses(facts: &Facts) -> BTreeSet<IpAddr> {
    let stanzas = facts.addresses.iter().map(|own| own.address);
    stanzas.chain(facts.routes.iter().map(|route| route.source)).collect()
}

/// A node is among the peers that are listed for what it takes part in.
pub(in crate::validate) fn among_peers(declared: &Declared, facts: &[Facts], report: &mut Report) {
    let nodes: BTreeSet<IpAddr> = declared
        .nodes
        .values()
        .filter_map(|node| node.value.address.as_ref().map(|address| address.value))
        .collect();
    for known in known(declared, facts) {
        let own = own_addresses(known.facts);
        if own.is_empty() {
            continue;
        }
        let zones = known.zones().filter(|(_, zone)| zone.value.kind.value == ZoneType::Vxlan);
        let zones = zones.map(|(id, zone)| (format!("zone `{id}`"), &zone.value.peers));
        // Peers of which none is a node are route reflectors.
        let controllers = of_type(declared, ControllerType::Evpn)
            .map(|(id, controller)| (format!("controller `{id}`"), &controller.value.peers))
            .filter(|(_, peers)| {
                let mut peers = peers.iter().flat_map(|peers| &peers.value);
                peers.any(|peer| nodes.contains(&peer.value))
            });
        for (what, peers) in zones.chain(controllers) {
            let Some(peers) = peers.as_ref().filter(|peers| !peers.value.is_empty()) else {
                continue;
            };
            if peers.value.iter().any(|peer| own.contains(&peer.value)) {
                continue;
            }
            let node = &known.facts.node;
            let message = format!("no address of node `{node}` is among the peers of {what}");
            let mut finding = Finding::new(Code::NodeNotAPeer, message, &peers.place)
                .also(&known.node.place, "the node");
            if let Some(address) = &known.node.value.address {
                finding = finding.help(format!("add {} to `peers`", address.value));
            }
            report.push(finding);
        }
    }
}

/// Packets of full size fit into what carries them.
pub(in crate::validate) fn room(declared: &Declared, facts: &[Facts], report: &mut Report) {
    for known in known(declared, facts) {
        for (id, entry) in known.zones() {
            let zone = &entry.value;
            let Some((below, overhead)) = carrier(known, zone) else { continue };
            let set = zone.mtu.as_ref().filter(|mtu| mtu.value.get() != 0);
            let mtu = match (set, zone.kind.value) {
                (Some(mtu), _) => mtu.value.get(),
                (None, ZoneType::Vxlan | ZoneType::Evpn) => TUNNEL_MTU,
                (None, _) => continue,
            };
            if mtu.saturating_add(overhead) <= below.mtu {
                continue;
            }
            let place = set.map_or(&entry.place, |mtu| &mtu.place);
            let message = format!(
                "packets of zone `{id}` have up to {} bytes, {overhead} of them headers, and `{}` of node `{}` carries {}",
                mtu.saturating_add(overhead),
                below.name,
                known.facts.node,
                below.mtu
            );
            let fits = below.mtu.saturating_sub(overhead);
            let finding = Finding::new(Code::MtuAboveUnderlay, message, place)
                .also(&known.node.place, "the node")
                .help(format!("use `mtu: {fits}` or less, or raise the MTU of the interface"));
            report.push(finding);
        }
    }
}

/// The interface that carries the packets of a zone, and what is added to them.
fn carrier<'a>(known: Known<'a>, zone: &'a Zone) -> Option<(&'a Interface, u32)> {
    match zone.kind.value {
        ZoneType::Simple => None,
        ZoneType::Vlan | ZoneType::Qinq => {
            let bridge = known.facts.interface(zone.bridge.as_ref()?.value.as_str())?;
            let is_qinq = zone.kind.value == ZoneType::Qinq;
            Some((bridge, if is_qinq { INNER_TAG } else { 0 }))
        }
        ZoneType::Vxlan => tunnels(known, &Source::of_zone(zone)),
        ZoneType::Evpn => {
            let controller = known.declared.controllers.get(&zone.controller.as_ref()?.value)?;
            tunnels(known, &Source::of_controller(&controller.value))
        }
    }
}

/// The interface that tunnels leave by, and what VXLAN adds.
fn tunnels<'a>(known: Known<'a>, source: &Source<'a>) -> Option<(&'a Interface, u32)> {
    if let Some(fabric) = source.fabric() {
        let fabric = known.declared.fabrics.get(&fabric.value)?;
        let member = fabric.value.nodes.as_ref()?.value.get(&known.facts.node)?;
        let interfaces = member.value.interfaces.iter().flat_map(|list| &list.value);
        let named = interfaces.filter_map(|of| known.facts.interface(of.name.value.as_str()));
        return named.min_by_key(|interface| interface.mtu).map(|least| (least, VXLAN_V4));
    }
    let own = own_addresses(known.facts);
    let peers = peers::of(source, known.declared);
    let (peer, _) = peers.iter().find(|(peer, _)| !own.contains(peer))?;
    let route = known.facts.route_to(*peer)?;
    let interface = known.facts.interface(route.interface.as_str())?;
    Some((interface, if peer.is_ipv4() { VXLAN_V4 } else { VXLAN_V6 }))
}

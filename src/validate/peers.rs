//! Rules about the tunnel ends of VXLAN zones.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::report::Report;
use crate::declare::controller::Controller;
use crate::declare::finding::{Code, Finding};
use crate::declare::node::Node;
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry};
use crate::value::{At, FabricId, NodeName, Place, ZoneId};

/// How many nodes of a zone are shown in one finding.
const SHOWN: usize = 8;

fn vxlan_zones(declared: &Declared) -> impl Iterator<Item = (&ZoneId, &Entry<Zone>)> {
    declared.zones.iter().filter(|(_, zone)| zone.value.kind.value == ZoneType::Vxlan)
}

/// What says where tunnels or sessions end.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    peers: Option<&'a At<Vec<At<IpAddr>>>>,
    external: Option<&'a At<Vec<At<IpAddr>>>>,
    /// All declared nodes where there are none.
    nodes: Option<&'a At<Vec<At<NodeName>>>>,
}

impl<'a> Source<'a> {
    /// That of a VXLAN zone.
    pub(super) fn of_zone(zone: &'a Zone) -> Self {
        let (peers, external) = (zone.peers.as_ref(), zone.external_peers.as_ref());
        Self { peers, external, nodes: zone.nodes.as_ref() }
    }

    /// That of an EVPN controller, which is on every node.
    pub(super) fn of_controller(controller: &'a Controller) -> Self {
        let (peers, external) = (controller.peers.as_ref(), controller.external_peers.as_ref());
        Self { peers, external, nodes: None }
    }

    /// The declared nodes among those that it speaks of.
    fn nodes(&self, declared: &'a Declared) -> BTreeMap<&'a NodeName, &'a Entry<Node>> {
        match self.nodes {
            None => declared.nodes.iter().collect(),
            Some(named) => named
                .value
                .iter()
                .filter_map(|node| declared.nodes.get_key_value(&node.value))
                .collect(),
        }
    }
}

/// The other ends where there is no fabric, each with the place that it comes from:
/// those listed, in their order; else the addresses of the nodes, in the order of their
/// names, then the external ones.
pub(super) fn of<'a>(source: &Source<'a>, declared: &'a Declared) -> Vec<(IpAddr, &'a Place)> {
    let listed = |list: Option<&'a At<Vec<At<IpAddr>>>>| {
        list.into_iter().flat_map(|list| &list.value).map(|peer| (peer.value, &peer.place))
    };
    if source.peers.is_some() {
        return listed(source.peers).collect();
    }
    source
        .nodes(declared)
        .into_values()
        .filter_map(|node| node.value.address.as_ref())
        .map(|address| (address.value, &address.place))
        .chain(listed(source.external))
        .collect()
}

/// There is one source of tunnel ends.
pub(super) fn one_source(declared: &Declared, report: &mut Report) {
    for (id, zone) in vxlan_zones(declared) {
        let Some(peers) = &zone.value.peers else { continue };
        if let Some(fabric) = &zone.value.fabric {
            let message = format!("zone `{id}` has both `peers` and `fabric`");
            let finding = Finding::new(Code::PeersOrFabric, message, &peers.place)
                .label("tunnels end at these")
                .also(&fabric.place, "or at the nodes of this fabric");
            report.push(finding);
        }
        if let Some(external) = &zone.value.external_peers {
            let message = format!("zone `{id}` has both `peers` and `external-peers`");
            let finding = Finding::new(Code::ExternalPeersUnused, message, &external.place)
                .also(&peers.place, "every tunnel end is listed here");
            report.push(finding);
        }
    }
}

/// The fabric of a zone is declared.
pub(super) fn fabric_declared(declared: &Declared, report: &mut Report) {
    for (id, zone) in vxlan_zones(declared) {
        let Some(fabric) = &zone.value.fabric else { continue };
        if !declared.fabrics.contains_key(&fabric.value) {
            report.unknown(
                Code::ReferenceUnknown,
                format!("zone `{id}` names fabric `{}`, which is not declared", fabric.value),
                &fabric.place,
                fabric.value.as_str(),
                "declared fabrics",
                declared.fabrics.keys().map(FabricId::as_str),
            );
        }
    }
}

/// A zone has tunnel ends, and every node of a zone that takes its nodes'
/// addresses has one.
pub(super) fn there_are_some(declared: &Declared, report: &mut Report) {
    for (id, entry) in vxlan_zones(declared) {
        let zone = &entry.value;
        if zone.fabric.is_some() {
            continue;
        }
        if let Some(peers) = &zone.peers {
            if peers.value.is_empty() {
                let message = format!("zone `{id}` has an empty list of peers");
                let finding = Finding::new(Code::PeersMissing, message, &peers.place)
                    .help("remove `peers` to use the addresses of the zone's nodes");
                report.push(finding);
            }
            continue;
        }
        let mut without = Source::of_zone(zone)
            .nodes(declared)
            .into_iter()
            .filter(|(_, node)| node.value.address.is_none())
            .peekable();
        let message = if let Some((first, _)) = without.peek() {
            format!("zone `{id}` has no `peers`, and node `{first}` has no `address`")
        } else if of(&Source::of_zone(zone), declared).is_empty() {
            format!("zone `{id}` has no `peers`, and no node to take an address from")
        } else {
            continue;
        };
        let finding = Finding::new(Code::PeersMissing, message, &entry.place);
        report.push(without.take(SHOWN).fold(finding, |finding, (name, node)| {
            finding.also(&node.place, format!("`{name}` has no `address`"))
        }));
    }
}

/// No tunnel end of a zone is there twice.
pub(super) fn differ(declared: &Declared, report: &mut Report) {
    for (id, zone) in vxlan_zones(declared) {
        let mut seen: BTreeMap<_, &Place> = BTreeMap::new();
        for (peer, place) in of(&Source::of_zone(&zone.value), declared) {
            if let Some(first) = seen.get(&peer) {
                let message = format!("zone `{id}` has the tunnel end {peer} twice");
                report.twice(Code::PeerRepeated, message, first, place);
            } else {
                seen.insert(peer, place);
            }
        }
    }
}

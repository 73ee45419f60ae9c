//! Rules about the other ends of tunnels and sessions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::report::Report;
use crate::declare::controller::{Controller, ControllerType};
use crate::declare::fabric::Fabric;
use crate::declare::finding::{Code, Finding};
use crate::declare::node::Node;
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry};
use crate::value::{At, FabricId, NodeName, Place};

/// How many nodes are shown in one finding.
const SHOWN: usize = 8;

/// What says where tunnels or sessions end.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    peers: Option<&'a At<Vec<At<IpAddr>>>>,
    external: Option<&'a At<Vec<At<IpAddr>>>>,
    fabric: Option<&'a At<FabricId>>,
    /// All declared nodes where there are none.
    nodes: Option<&'a At<Vec<At<NodeName>>>>,
}

impl<'a> Source<'a> {
    /// That of a VXLAN zone.
    pub(super) fn of_zone(zone: &'a Zone) -> Self {
        Self {
            peers: zone.peers.as_ref(),
            external: zone.external_peers.as_ref(),
            fabric: zone.fabric.as_ref(),
            nodes: zone.nodes.as_ref(),
        }
    }

    /// That of an EVPN controller, which is on every node.
    pub(super) fn of_controller(controller: &'a Controller) -> Self {
        Self {
            peers: controller.peers.as_ref(),
            external: controller.external_peers.as_ref(),
            fabric: controller.fabric.as_ref(),
            nodes: None,
        }
    }

    /// The fabric that it names.
    pub(super) fn fabric(&self) -> Option<&'a At<FabricId>> {
        self.fabric
    }

    /// The declared nodes among those that it speaks of.
    pub(super) fn nodes(&self, declared: &'a Declared) -> BTreeMap<&'a NodeName, &'a Entry<Node>> {
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

/// A VXLAN zone or a controller with peers.
struct Speaker<'a> {
    /// What a person calls it.
    name: String,
    place: &'a Place,
    source: Source<'a>,
    /// Whether it takes the nodes' addresses where it lists no peers.
    derives: bool,
}

fn speakers(declared: &Declared) -> impl Iterator<Item = Speaker<'_>> {
    let zones = declared.zones.iter().filter(|(_, zone)| zone.value.kind.value == ZoneType::Vxlan);
    let zones = zones.map(|(id, entry)| Speaker {
        name: format!("zone `{id}`"),
        place: &entry.place,
        source: Source::of_zone(&entry.value),
        derives: true,
    });
    let controllers = declared.controllers.iter().filter_map(|(id, entry)| {
        let kind = entry.value.kind.value;
        (kind != ControllerType::Isis).then(|| Speaker {
            name: format!("controller `{id}`"),
            place: &entry.place,
            source: Source::of_controller(&entry.value),
            derives: kind == ControllerType::Evpn,
        })
    });
    zones.chain(controllers).filter(|speaker| speaker.derives || speaker.source.peers.is_some())
}

/// There is one source of peers.
pub(super) fn one_source(declared: &Declared, report: &mut Report) {
    for Speaker { name, source, .. } in speakers(declared).filter(|speaker| speaker.derives) {
        let fabric = source.fabric.map(|fabric| &fabric.place);
        if let (Some(peers), Some(fabric)) = (source.peers, fabric) {
            let message = format!("{name} has both `peers` and `fabric`");
            let finding = Finding::new(Code::PeersOrFabric, message, &peers.place)
                .label("these are all ends")
                .also(fabric, "or the nodes of this fabric are");
            report.push(finding);
        }
        let Some(external) = source.external else { continue };
        let other = match (source.peers, fabric) {
            (Some(peers), _) => ("peers", &peers.place),
            (None, Some(fabric)) => ("fabric", fabric),
            (None, None) => continue,
        };
        let message = format!("{name} has both `{}` and `external-peers`", other.0);
        let finding = Finding::new(Code::ExternalPeersUnused, message, &external.place)
            .also(other.1, "all ends are named here");
        report.push(finding);
    }
}

/// The fabric of a zone or controller is declared, has IPv4 addresses, and every node
/// that needs one is in it.
pub(super) fn fabric_serves(declared: &Declared, report: &mut Report) {
    for Speaker { name, source, derives, .. } in speakers(declared) {
        let Some(At { value: id, place }) = source.fabric.filter(|_| derives) else { continue };
        let Some(fabric) = declared.fabrics.get(id) else {
            let message = format!("{name} names fabric `{id}`, which is not declared");
            let fabrics = declared.fabrics.keys().map(FabricId::as_str);
            let code = Code::FabricUnknown;
            report.unknown(code, message, place, id.as_str(), "declared fabrics", fabrics);
            continue;
        };
        if fabric.value.ip_prefix.is_none() && fabric.value.ip6_prefix.is_some() {
            let message = format!("{name} uses fabric `{id}`, which has no IPv4 addresses");
            let finding = Finding::new(Code::FabricWithoutIpv4, message, place);
            report.push(finding.also(&fabric.place, "the fabric"));
            continue;
        }
        let has = |node: &NodeName| is_in(node, &fabric.value);
        let mut outside =
            source.nodes(declared).into_iter().filter(|(node, _)| !has(node)).peekable();
        let Some((first, _)) = outside.peek() else { continue };
        let message = format!("{name} needs node `{first}` to be in fabric `{id}`");
        let finding =
            Finding::new(Code::NodeNotInFabric, message, place).also(&fabric.place, "the fabric");
        report.push(outside.take(SHOWN).fold(finding, |finding, (node, entry)| {
            finding.also(&entry.place, format!("`{node}` is not in it"))
        }));
    }
}

/// Whether a node is in a fabric.
pub(super) fn is_in(node: &NodeName, fabric: &Fabric) -> bool {
    fabric.nodes.as_ref().is_some_and(|nodes| nodes.value.contains_key(node))
}

/// There are peers, and every node whose address is to be one has an address.
pub(super) fn there_are_some(declared: &Declared, report: &mut Report) {
    for Speaker { name, place, source, derives } in speakers(declared) {
        if source.fabric.is_some() {
            continue;
        }
        if let Some(peers) = source.peers {
            if peers.value.is_empty() {
                let message = format!("{name} has an empty list of peers");
                let mut finding = Finding::new(Code::PeersMissing, message, &peers.place);
                if derives {
                    finding = finding.help("remove `peers` to use the addresses of the nodes");
                }
                report.push(finding);
            }
            continue;
        }
        if !derives {
            continue;
        }
        let mut without = source
            .nodes(declared)
            .into_iter()
            .filter(|(_, node)| node.value.address.is_none())
            .peekable();
        let message = if let Some((first, _)) = without.peek() {
            format!("{name} has no `peers`, and node `{first}` has no `address`")
        } else if of(&source, declared).is_empty() {
            format!("{name} has no `peers`, and no node to take an address from")
        } else {
            continue;
        };
        let finding = Finding::new(Code::PeersMissing, message, place);
        report.push(without.take(SHOWN).fold(finding, |finding, (name, node)| {
            finding.also(&node.place, format!("`{name}` has no `address`"))
        }));
    }
}

/// No peer is there twice.
pub(super) fn differ(declared: &Declared, report: &mut Report) {
    for Speaker { name, source, .. } in speakers(declared) {
        let mut seen: BTreeMap<_, &Place> = BTreeMap::new();
        for (peer, place) in of(&source, declared) {
            if let Some(first) = seen.get(&peer) {
                let message = format!("{name} has the peer {peer} twice");
                report.twice(Code::PeerRepeated, message, first, place);
            } else {
                seen.insert(peer, place);
            }
        }
    }
}

/// Peers are of one family.
pub(super) fn one_family(declared: &Declared, report: &mut Report) {
    for Speaker { name, source, .. } in speakers(declared) {
        let peers = of(&source, declared);
        let Some((first, one)) = peers.first() else { continue };
        let other = peers.iter().find(|(peer, _)| peer.is_ipv4() != first.is_ipv4());
        if let Some((peer, place)) = other {
            let message = format!("{name} has the peers {first} and {peer}, of two families");
            let finding = Finding::new(Code::PeerFamiliesMixed, message, place);
            report.push(finding.also(one, "the first one"));
        }
    }
}

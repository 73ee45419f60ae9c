//! The addresses that a node would get, and those that it has or needs already.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::underlay::own_addresses;
use super::{Known, known};
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::ZoneType;
use crate::facts::{Facts, Route};
use crate::validate::report::Report;
use crate::validate::subnets::{Found, all};
use crate::validate::vnets::zone_of;
use crate::value::{Place, VnetId};

/// An address that a vnet gives to a node.
struct Given<'a> {
    address: IpAddr,
    /// The network that it connects the node to.
    net: IpNet,
    vnet: &'a VnetId,
    place: &'a Place,
}

impl Given<'_> {
    /// Whether it is of a network. One that stands alone may be on several interfaces, as that of
    /// a node which hands single addresses on to guests.
    fn connects(&self) -> bool {
        self.net.prefix_len() < self.net.max_prefix_len()
    }
}

/// What vnets give to a node outside of VRFs: the gateways of simple zones, and the addresses by
/// which it answers guests whose router is elsewhere. An interface that the node has by the
/// name of a vnet is another rule's: what is on it may be what the vnet left there.
fn given(known: Known<'_>) -> impl Iterator<Item = Given<'_>> {
    let Facts { interfaces, routes, .. } = known.facts;
    let names = interfaces.iter().flat_map(|own| [&own.name].into_iter().chain(&own.altnames));
    let names = names.chain(routes.iter().map(|route| &route.interface));
    let taken: BTreeSet<&str> = names.map(AsRef::as_ref).collect();
    all(known.declared).filter_map(move |Found { vnet_id, vnet, prefix, subnet }| {
        let zone = &zone_of(vnet, known.declared)?.value;
        if !known.has(zone) || taken.contains(vnet_id.as_str()) {
            return None;
        }
        let address = match zone.kind.value {
            ZoneType::Simple => subnet.value.gateway.as_ref(),
            ZoneType::Evpn => None,
            ZoneType::Vlan | ZoneType::Qinq | ZoneType::Vxlan => {
                let servers = subnet.value.dhcp_servers.as_ref();
                servers.and_then(|of| of.value.get(&known.facts.node)).map(|entry| &entry.value)
            }
        }?;
        // Of another family than its subnet it is another rule's.
        let net = IpNet::new(address.value, prefix.net().prefix_len()).ok()?.trunc();
        Some(Given { address: address.value, net, vnet: vnet_id, place: &address.place })
    })
}

/// Whether an address means another machine on each interface.
fn is_of_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The networks that a node has an address of. The way to itself is none.
fn connected(facts: &Facts) -> Vec<&Route> {
    let is_so = |route: &&Route| {
        route.gateway.is_none()
            && route.interface.as_str() != "lo"
            && route.destination.prefix_len() > 0
            && route.destination.contains(&route.source)
    };
    facts.routes.iter().filter(is_so).collect()
}

/// No vnet gives a node the address of a router that it needs, nor one that it has.
pub(in crate::validate) fn free_addresses(
    declared: &Declared,
    facts: &[Facts],
    report: &mut Report,
) {
    for known in known(declared, facts) {
        let node = &known.facts.node;
        let routes = known.facts.routes.iter().rev();
        let hops = routes.filter_map(|route| Some((route.gateway?, route)));
        let hops: BTreeMap<IpAddr, &Route> = hops.filter(|(hop, _)| !is_of_link(*hop)).collect();
        let own = own_addresses(known.facts);
        for given in given(known) {
            let (code, why) = if let Some(route) = hops.get(&given.address) {
                let Route { destination, interface, .. } = route;
                let why = format!("its next hop to {destination} by `{interface}`");
                (Code::NodeNextHopTaken, why)
            } else if given.connects() && own.contains(&given.address) {
                (Code::NodeAddressTaken, "its own already".to_owned())
            } else {
                continue;
            };
            let Given { address, vnet, place, .. } = given;
            let message = format!("vnet `{vnet}` gives node `{node}` {address}, which is {why}");
            report.push(Finding::new(code, message, place).also(&known.node.place, "the node"));
        }
    }
}

/// No vnet connects a node to a network that it is connected to.
pub(in crate::validate) fn free_networks(
    declared: &Declared,
    facts: &[Facts],
    report: &mut Report,
) {
    for known in known(declared, facts) {
        let connected = connected(known.facts);
        for Given { net, vnet, place, .. } in given(known).filter(Given::connects) {
            let meets = |route: &&&Route| {
                route.destination.contains(&net) || net.contains(&route.destination)
            };
            let Some(Route { destination, interface, .. }) = connected.iter().find(meets) else {
                continue;
            };
            let node = &known.facts.node;
            let message = format!(
                "network {net} of vnet `{vnet}` overlaps {destination}, which `{interface}` of node `{node}` is in"
            );
            let finding = Finding::new(Code::NodeNetworkOverlap, message, place);
            report.push(finding.also(&known.node.place, "the node"));
        }
    }
}

//! Rules about controllers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::peers::{self, Source};
use super::report::Report;
use crate::declare::controller::{Controller, ControllerType};
use crate::declare::finding::{Code, Finding};
use crate::declare::{Declared, Entry};
use crate::value::{ControllerId, NodeName, Place};

/// The most hops that a packet can make.
const MAX_HOPS: u32 = 255;

pub(super) fn of_type(
    declared: &Declared,
    kind: ControllerType,
) -> impl Iterator<Item = (&ControllerId, &Entry<Controller>)> {
    declared.controllers.iter().filter(move |(_, of)| of.value.kind.value == kind)
}

/// There is one EVPN controller.
pub(super) fn one_evpn(declared: &Declared, report: &mut Report) {
    let mut all = of_type(declared, ControllerType::Evpn);
    let Some((first, one)) = all.next() else { return };
    for (id, other) in all {
        let message = format!("controllers `{first}` and `{id}` are both of type evpn");
        report.twice(Code::EvpnControllerRepeated, message, &one.place, &other.place);
    }
}

/// A node has one controller of each other type.
pub(super) fn one_on_a_node(declared: &Declared, report: &mut Report) {
    for kind in [ControllerType::Bgp, ControllerType::Isis] {
        let mut seen: BTreeMap<&NodeName, (&ControllerId, &Place)> = BTreeMap::new();
        for (id, controller) in of_type(declared, kind) {
            let Some(node) = &controller.value.node else { continue };
            if let Some((other, place)) = seen.get(&node.value) {
                let message = format!(
                    "{kind} controllers `{other}` and `{id}` both run on node `{}`",
                    node.value
                );
                report.twice(Code::ControllersOnOneNode, message, place, &node.place);
            } else {
                seen.insert(&node.value, (id, &node.place));
            }
        }
    }
}

/// An AS number is not the one that is reserved (RFC 7607).
pub(super) fn asn_not_zero(declared: &Declared, report: &mut Report) {
    for (id, controller) in &declared.controllers {
        if let Some(asn) = controller.value.asn.as_ref().filter(|asn| asn.value.get() == 0) {
            let message = format!("controller `{id}` has AS number 0, and no node gets it");
            report.push(Finding::new(Code::AsnZero, message, &asn.place));
        }
    }
}

/// How many hops away a peer may be is a number of hops, and has an effect.
pub(super) fn multihop(declared: &Declared, report: &mut Report) {
    for (id, entry) in of_type(declared, ControllerType::Bgp) {
        let controller = &entry.value;
        let Some(hops) = &controller.ebgp_multihop else { continue };
        if hops.value > MAX_HOPS {
            let message = format!("controller `{id}` has peers {} hops away", hops.value);
            report.push(Finding::new(Code::EbgpMultihopOutOfBounds, message, &hops.place));
        }
        if hops.value != 0 && !controller.ebgp.as_ref().is_some_and(|ebgp| ebgp.value) {
            let message = format!("controller `{id}` has `ebgp-multihop` without `ebgp`");
            let mut finding = Finding::new(Code::EbgpMultihopUnused, message, &hops.place);
            if let Some(ebgp) = &controller.ebgp {
                finding = finding.also(&ebgp.place, "it is off here");
            }
            report.push(finding);
        }
    }
}

/// The interfaces of IS-IS have names that Proxmox takes (`pve-model.md` §0, pve-iface).
pub(super) fn isis_interfaces(declared: &Declared, report: &mut Report) {
    for (id, controller) in of_type(declared, ControllerType::Isis) {
        for name in controller.value.isis_ifaces.iter().flat_map(|list| &list.value) {
            if !is_pve_interface(name.value.as_str()) {
                let message = format!(
                    "interface `{}` of controller `{id}` has a name that Proxmox does not take",
                    name.value
                );
                report.push(Finding::new(Code::IsisInterfaceName, message, &name.place));
            }
        }
    }
}

fn is_pve_interface(name: &str) -> bool {
    let (base, number) = match name.split_once(['.', ':']) {
        Some((base, number)) => (base, Some(number)),
        None => (name, None),
    };
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (2..=21).contains(&base.len())
        && base.starts_with(|c: char| c.is_ascii_alphabetic())
        && base.bytes().all(word)
        && number.is_none_or(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

/// No node looks for its own address by way of its loopback (`pve-rendering.md` §2.2):
/// over IPv6 a node asks for the way to the first peer, unless a loopback is named for it.
pub(super) fn own_address_not_first(declared: &Declared, report: &mut Report) {
    let named: BTreeSet<&NodeName> = declared
        .controllers
        .values()
        .filter(|controller| controller.value.loopback.is_some())
        .filter_map(|controller| controller.value.node.as_ref().map(|node| &node.value))
        .collect();
    for (id, controller) in of_type(declared, ControllerType::Evpn) {
        if controller.value.fabric.is_some() {
            continue;
        }
        let peers = peers::of(&Source::of_controller(&controller.value), declared);
        let Some((first @ IpAddr::V6(_), place)) = peers.first().copied() else { continue };
        let own = declared.nodes.iter().find_map(|(name, node)| {
            let address = node.value.address.as_ref().filter(|address| address.value == first)?;
            Some((name, &address.place)).filter(|(name, _)| !named.contains(name))
        });
        if let Some((node, own)) = own {
            let message =
                format!("the first peer of controller `{id}`, {first}, is node `{node}` itself");
            let mut finding = Finding::new(Code::OwnAddressFirst, message, place);
            if own == place {
                finding = finding.also(&controller.place, "its peers are the nodes' addresses");
            } else {
                finding = finding.also(own, "the node's address");
            }
            report.push(finding);
        }
    }
}

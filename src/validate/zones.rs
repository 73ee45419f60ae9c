//! Rules about zones, controllers and fabrics.

use super::report::Report;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::value::{At, ControllerId, Place};

/// The types of zones that have an option beyond those of all zones, and where it
/// stands.
fn special_options(zone: &Zone) -> [(&'static str, &'static [ZoneType], Option<&Place>); 18] {
    fn place<T>(option: Option<&At<T>>) -> Option<&Place> {
        option.map(|at| &at.place)
    }
    use ZoneType::{Evpn, Qinq, Simple, Vlan, Vxlan};
    [
        ("dhcp", &[Simple, Evpn], place(zone.dhcp.as_ref())),
        ("bridge", &[Vlan, Qinq], place(zone.bridge.as_ref())),
        (
            "bridge-disable-mac-learning",
            &[Vlan, Qinq, Evpn],
            place(zone.bridge_disable_mac_learning.as_ref()),
        ),
        ("tag", &[Qinq], place(zone.tag.as_ref())),
        ("vlan-protocol", &[Qinq], place(zone.vlan_protocol.as_ref())),
        ("peers", &[Vxlan], place(zone.peers.as_ref())),
        ("external-peers", &[Vxlan], place(zone.external_peers.as_ref())),
        ("fabric", &[Vxlan], place(zone.fabric.as_ref())),
        ("vxlan-port", &[Vxlan, Evpn], place(zone.vxlan_port.as_ref())),
        ("controller", &[Evpn], place(zone.controller.as_ref())),
        ("vrf-vxlan", &[Evpn], place(zone.vrf_vxlan.as_ref())),
        ("mac", &[Evpn], place(zone.mac.as_ref())),
        ("exitnodes", &[Evpn], place(zone.exitnodes.as_ref())),
        ("exitnodes-primary", &[Evpn], place(zone.exitnodes_primary.as_ref())),
        ("exitnodes-local-routing", &[Evpn], place(zone.exitnodes_local_routing.as_ref())),
        ("advertise-subnets", &[Evpn], place(zone.advertise_subnets.as_ref())),
        ("disable-arp-nd-suppression", &[Evpn], place(zone.disable_arp_nd_suppression.as_ref())),
        ("rt-import", &[Evpn], place(zone.rt_import.as_ref())),
    ]
}

/// Every option of a zone is one of its type.
pub(super) fn options_fit(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let kind = &zone.value.kind;
        for (option, types, place) in special_options(&zone.value) {
            let Some(place) = place.filter(|_| !types.contains(&kind.value)) else { continue };
            let types: Vec<&str> = types.iter().map(|of| of.as_str()).collect();
            let message = format!("`{option}` is no option of {} zone `{id}`", kind.value);
            let finding = Finding::new(Code::OptionNotForType, message, place)
                .also(&kind.place, "the type is set here")
                .help(format!("`{option}` belongs to zones of type {}", types.join(", ")));
            report.push(finding);
        }
    }
}

/// Every zone has the options that its type requires.
pub(super) fn options_present(declared: &Declared, report: &mut Report) {
    for (id, entry) in &declared.zones {
        let zone = &entry.value;
        let missing: &[(&str, bool)] = match zone.kind.value {
            ZoneType::Simple | ZoneType::Vxlan => &[],
            ZoneType::Vlan => &[("bridge", zone.bridge.is_none())],
            ZoneType::Qinq => &[("bridge", zone.bridge.is_none()), ("tag", zone.tag.is_none())],
            ZoneType::Evpn => &[
                ("controller", zone.controller.is_none()),
                ("vrf-vxlan", zone.vrf_vxlan.is_none()),
            ],
        };
        for (option, _) in missing.iter().filter(|(_, missing)| *missing && entry.whole) {
            let message = format!("{} zone `{id}` has no `{option}`", zone.kind.value);
            let finding = Finding::new(Code::OptionRequired, message, &entry.place)
                .also(&zone.kind.place, "this type requires it")
                .help(format!("add `{option}: …`"));
            report.push(finding);
        }
    }
}

/// An MTU is one that a bridge can have. 0 is "not set".
pub(super) fn mtu_possible(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(mtu) = &zone.value.mtu else { continue };
        let bytes = mtu.value.get();
        if bytes != 0 && !(1280..=65_520).contains(&bytes) {
            let message = format!("zone `{id}` has an MTU of {bytes} bytes");
            let finding = Finding::new(Code::MtuOutOfBounds, message, &mtu.place)
                .help("an MTU lies between 1280 and 65520");
            report.push(finding);
        }
    }
}

/// A UDP port is one that there is.
pub(super) fn port_possible(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(port) = &zone.value.vxlan_port else { continue };
        if port.value.get() > 65_535 {
            let message = format!("zone `{id}` has UDP port {}, which does not exist", port.value);
            report.push(Finding::new(Code::PortOutOfBounds, message, &port.place));
        }
    }
}

/// The controller that a zone names is declared.
pub(super) fn controllers_declared(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        let Some(controller) = &zone.value.controller else { continue };
        if !declared.controllers.contains_key(&controller.value) {
            report.unknown(
                Code::ReferenceUnknown,
                format!(
                    "zone `{id}` names controller `{}`, which is not declared",
                    controller.value
                ),
                &controller.place,
                controller.value.as_str(),
                "declared controllers",
                declared.controllers.keys().map(ControllerId::as_str),
            );
        }
    }
}

//! Rules about vnets.

use std::collections::BTreeMap;

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry, vnet};
use crate::value::{Place, ZoneId};

/// The zone of a vnet, if it is declared.
pub(super) fn zone_of<'a>(vnet: &vnet::Vnet, declared: &'a Declared) -> Option<&'a Entry<Zone>> {
    declared.zones.get(&vnet.zone.value)
}

/// The zone of every vnet is declared.
pub(super) fn zone_declared(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let zone = &vnet.value.zone;
        if !declared.zones.contains_key(&zone.value) {
            report.unknown(
                Code::ZoneUnknown,
                format!("vnet `{id}` is in zone `{}`, which is not declared", zone.value),
                &zone.place,
                zone.value.as_str(),
                "declared zones",
                declared.zones.keys().map(ZoneId::as_str),
            );
        }
    }
}

/// Names below `/proc/sys/net/*/conf` that are not the node's to give.
const RESERVED: &[&str] = &["lo", "all", "default"];

/// How interfaces are named that Debian, Proxmox or container engines make: one
/// of these, then a digit.
const FAMILIES: &[&str] = &[
    "bond", "br", "docker", "dummy", "ens", "eno", "enp", "eth", "fwbr", "fwln", "fwpr", "lxcbr",
    "nic", "tap", "tun", "veth", "virbr", "vmbr", "wg", "wlan",
];

/// The bridge of a vnet takes no name that is another interface's.
pub(super) fn name_free(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let name = id.as_str();
        if RESERVED.contains(&name) {
            let message = format!("the kernel uses the name `{name}` itself");
            report.push(Finding::new(Code::NameReserved, message, &vnet.place));
        } else if let Some(family) = FAMILIES.iter().find(|family| {
            let rest = name.strip_prefix(**family);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        }) {
            let message =
                format!("vnet `{name}` is named like the interfaces `{family}0`, `{family}1`, …");
            report.push(Finding::new(Code::NameTaken, message, &vnet.place));
        }
    }
}

/// A vnet has a tag where its zone's type uses tags, and none elsewhere.
pub(super) fn tag_fits(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let Some(zone) = zone_of(&vnet.value, declared) else { continue };
        let kind = &zone.value.kind;
        match (kind.value, &vnet.value.tag) {
            (ZoneType::Simple, Some(tag)) => {
                let message = format!("vnet `{id}` has a tag, and its zone is simple");
                let finding = Finding::new(Code::TagForbidden, message, &tag.place)
                    .also(&kind.place, "this type has no tags");
                report.push(finding);
            }
            (ZoneType::Vxlan | ZoneType::Evpn | ZoneType::Vlan, None) if vnet.whole => {
                let message = format!("vnet `{id}` has no `tag`");
                let finding = Finding::new(Code::OptionRequired, message, &vnet.place)
                    .also(&kind.place, format!("a vnet of a {} zone has one", kind.value))
                    .help("add `tag: NUMBER`, a number that no other vnet has");
                report.push(finding);
            }
            _ => {}
        }
    }
}

/// No two vnets of VXLAN and EVPN zones have one network identifier: all tunnels
/// of a node share them.
pub(super) fn tags_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<_, (_, &Place)> = BTreeMap::new();
    for (id, vnet) in &declared.vnets {
        let Some(zone) = zone_of(&vnet.value, declared) else { continue };
        let Some(tag) = &vnet.value.tag else { continue };
        if !matches!(zone.value.kind.value, ZoneType::Vxlan | ZoneType::Evpn) {
            continue;
        }
        if let Some((other, place)) = seen.get(&tag.value) {
            let message = format!("vnets `{other}` and `{id}` both have tag {}", tag.value);
            report.twice(Code::TagReused, message, place, &tag.place);
        } else {
            seen.insert(tag.value, (id, &tag.place));
        }
    }
}

/// A VLAN-aware vnet has no subnets.
pub(super) fn vlan_aware_without_subnets(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let Some(aware) = vnet.value.vlanaware.as_ref().filter(|aware| aware.value) else {
            continue;
        };
        let subnets = vnet.value.subnets.iter().flat_map(|subnets| &subnets.value);
        let finding = Finding::new(
            Code::VlanAwareSubnets,
            format!("vnet `{id}` is VLAN-aware and has subnets"),
            &aware.place,
        );
        let mut subnets = subnets.peekable();
        if subnets.peek().is_some() {
            report.push(subnets.fold(finding, |finding, (prefix, subnet)| {
                finding.also(&subnet.place, format!("subnet {prefix}"))
            }));
        }
    }
}

//! Rules about ids, which are names of interfaces or become parts of them.

use std::collections::BTreeMap;

use super::report::Report;
use super::vnets::zone_of;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::ZoneType;
use crate::declare::{Declared, Entries};
use crate::value::{At, IfName, Place};

/// Names below `/proc/sys/net/*/conf` that are not the node's to give.
const RESERVED: &[&str] = &["lo", "all", "default"];

/// How interfaces are named that Debian, Proxmox, libvirt, container engines, VPNs and FRR make:
/// one of these, then a digit.
const FAMILIES: &[&str] = &[
    "bond", "br", "can", "cni", "docker", "dummy", "en", "eno", "enp", "ens", "enx", "erspan",
    "eth", "fwbr", "fwln", "fwpr", "gre", "gretap", "ib", "ifb", "if", "incusbr", "ipvlan",
    "lxcbr", "lxdbr", "macvlan", "macvtap", "nic", "ovsbr", "pimreg", "podman", "ppp", "sit",
    "tap", "team", "teql", "tun", "tunl", "usb", "veth", "virbr", "vmbr", "vmnet", "vnet", "vrf",
    "vxlan", "wg", "wl", "wlan", "wwan",
];

/// The bridge of a vnet takes no name that is another interface's.
pub(super) fn free(declared: &Declared, report: &mut Report) {
    let bridges = bridges(declared);
    for (id, vnet) in &declared.vnets {
        let name = id.as_str();
        if RESERVED.contains(&name) {
            let message = format!("the kernel uses the name `{name}` itself");
            report.push(Finding::new(Code::NameReserved, message, &vnet.place));
        } else if let Some(bridge) = bridges.get(name) {
            let message = format!("vnet `{name}` is named like the bridge of a zone");
            let finding = Finding::new(Code::NameTaken, message, &vnet.place);
            report.push(finding.also(bridge, "the bridge"));
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

/// The bridges of zones, each where it is named first.
fn bridges(declared: &Declared) -> BTreeMap<&str, &Place> {
    let mut bridges = BTreeMap::new();
    for At { value, place } in declared.zones.values().filter_map(|zone| zone.value.bridge.as_ref())
    {
        bridges.entry(IfName::as_str(value)).or_insert(place);
    }
    bridges
}

/// No vnet is named like the bridge that a VLAN gets on a bridge that is not VLAN-aware.
pub(super) fn differ_from_made_ones(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let Some(zone) = zone_of(&vnet.value, declared) else { continue };
        let (ZoneType::Vlan, Some(bridge), Some(tag)) =
            (zone.value.kind.value, &zone.value.bridge, &vnet.value.tag)
        else {
            continue;
        };
        // The ids of vnets have at most eight characters.
        if bridge.value.as_str().len() > 6 {
            continue;
        }
        let made = format!("{}v{}", bridge.value, tag.value);
        if let Some(taken) = declared.vnets.get(made.as_str()) {
            let message = format!("vnet `{made}` is named like the bridge that vnet `{id}` gets");
            let finding = Finding::new(Code::NameTaken, message, &taken.place)
                .also(&tag.place, format!("VLAN {} of `{}`", tag.value, bridge.value));
            report.push(finding);
        }
    }
}

/// Ids differ in more than the case of letters.
pub(super) fn differ_in_more_than_case(declared: &Declared, report: &mut Report) {
    folded("node", &declared.nodes, report);
    folded("zone", &declared.zones, report);
    folded("vnet", &declared.vnets, report);
    folded("controller", &declared.controllers, report);
    folded("fabric", &declared.fabrics, report);
}

fn folded<K: AsRef<str>, T>(what: &str, entries: &Entries<K, T>, report: &mut Report) {
    let mut seen: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
    for (id, entry) in entries {
        let id = id.as_ref();
        match seen.entry(id.to_ascii_lowercase()) {
            std::collections::btree_map::Entry::Occupied(first) => {
                let (other, place) = first.get();
                let message = format!("{what}s `{other}` and `{id}` differ only in case");
                let finding = Finding::new(Code::IdsDifferInCase, message, &entry.place);
                report.push(finding.also(place, "the other one"));
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert((id, &entry.place));
            }
        }
    }
}

/// The id of a fabric is one that Proxmox's editor takes.
pub(super) fn fabric_ids_long_enough(declared: &Declared, report: &mut Report) {
    for (id, fabric) in &declared.fabrics {
        if id.as_str().len() < 2 {
            let message = format!("the id of fabric `{id}` has one character");
            report.push(Finding::new(Code::FabricIdShort, message, &fabric.place));
        }
    }
}

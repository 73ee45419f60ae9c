//! Rules about fabrics (`pve-model.md` §9).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::overlap::overlaps;
use super::report::Report;
use crate::declare::fabric::{Fabric, FabricInterface, FabricNode, FabricType};
use crate::declare::finding::{Code, Finding};
use crate::declare::{Declared, Entry};
use crate::value::{At, Cidr, FabricId, NodeName, Place};

/// Seconds that a timer of FRR can have.
const INTERVAL: RangeInclusive<u32> = 1..=600;
/// How often a timer of FRR can be missed.
const MULTIPLIER: RangeInclusive<u32> = 2..=100;

/// The key of an address, its value, and the prefix that it lies in.
type Address<'a> = (&'static str, Option<&'a At<IpAddr>>, Option<&'a At<Cidr>>);

/// One node of one fabric.
#[derive(Clone, Copy)]
struct Member<'a> {
    id: &'a FabricId,
    fabric: &'a Fabric,
    name: &'a NodeName,
    entry: &'a Entry<FabricNode>,
}

fn members(declared: &Declared) -> impl Iterator<Item = Member<'_>> {
    declared.fabrics.iter().flat_map(|(id, fabric)| {
        let fabric = &fabric.value;
        let nodes = fabric.nodes.iter().flat_map(|nodes| &nodes.value);
        nodes.map(move |(name, entry)| Member { id, fabric, name, entry })
    })
}

impl<'a> Member<'a> {
    /// Its addresses of both families.
    fn addresses(&self) -> [Address<'a>; 2] {
        let (node, fabric) = (&self.entry.value, self.fabric);
        [
            ("ip", node.ip.as_ref(), fabric.ip_prefix.as_ref()),
            ("ip6", node.ip6.as_ref(), fabric.ip6_prefix.as_ref()),
        ]
    }

    fn interfaces(&self) -> impl Iterator<Item = &'a FabricInterface> + use<'a> {
        self.entry.value.interfaces.iter().flat_map(|interfaces| &interfaces.value)
    }
}

/// Whether an address is of the family of its key.
fn fits(key: &str, address: IpAddr) -> bool {
    address.is_ipv6() == key.starts_with("ip6")
}

/// Addresses and prefixes are of the family of their key.
pub(super) fn families(declared: &Declared, report: &mut Report) {
    let mut check = |key: &str, address: IpAddr, place: &Place| {
        if !fits(key, address) {
            let (family, other) = if address.is_ipv4() { ("IPv4", "6") } else { ("IPv6", "4") };
            let message = format!("`{key}` is of IPv{other}, and an {family} address stands here");
            report.push(Finding::new(Code::FamilyWrong, message, place));
        }
    };
    for Entry { value: fabric, .. } in declared.fabrics.values() {
        let prefixes = [("ip_prefix", &fabric.ip_prefix), ("ip6_prefix", &fabric.ip6_prefix)];
        for (key, prefix) in prefixes {
            if let Some(prefix) = prefix {
                check(key, prefix.value.net().addr(), &prefix.place);
            }
        }
    }
    for member in members(declared) {
        for (key, address, _) in member.addresses() {
            if let Some(address) = address {
                check(key, address.value, &address.place);
            }
        }
        for interface in member.interfaces() {
            for (key, address) in [("ip", &interface.ip), ("ip6", &interface.ip6)] {
                if let Some(address) = address {
                    check(key, address.value.net().addr(), &address.place);
                }
            }
        }
    }
}

/// A fabric has a prefix. That one of OSPF has the one of IPv4 is required of its type.
pub(super) fn have_a_prefix(declared: &Declared, report: &mut Report) {
    for (id, fabric) in declared.fabrics.iter().filter(|(_, fabric)| fabric.whole) {
        let of = &fabric.value;
        let none = of.ip_prefix.is_none() && of.ip6_prefix.is_none();
        if none && of.kind.value == FabricType::Openfabric {
            let message = format!("fabric `{id}` has neither `ip_prefix` nor `ip6_prefix`");
            report.push(Finding::new(Code::FabricPrefixMissing, message, &fabric.place));
        }
    }
}

/// A node has an address of a family exactly if the fabric has a prefix of it, and
/// the address lies in it.
pub(super) fn addresses_fit(declared: &Declared, report: &mut Report) {
    for member in members(declared) {
        let Member { id, name, entry, fabric } = member;
        for (key, address, prefix) in member.addresses() {
            let finding = match (address, prefix) {
                (None, Some(prefix)) if entry.whole => {
                    let message = format!("node `{name}` of fabric `{id}` has no `{key}`");
                    Finding::new(Code::FabricAddressMissing, message, &entry.place)
                        .also(&prefix.place, "the prefix of such addresses")
                        .help(format!("add `{key}: ADDRESS`, one of {}", prefix.value))
                }
                (Some(address), None) if is_openfabric(fabric) || key == "ip" => {
                    let message =
                        format!("node `{name}` has `{key}`, and fabric `{id}` no `{key}_prefix`");
                    let Some(of) = declared.fabrics.get(id) else { continue };
                    Finding::new(Code::FabricAddressWithoutPrefix, message, &address.place)
                        .also(&of.place, "the fabric")
                }
                (Some(address), Some(prefix))
                    if fits(key, address.value) && !prefix.value.contains(address.value) =>
                {
                    let message = format!(
                        "{} of node `{name}` is not in {} of fabric `{id}`",
                        address.value, prefix.value
                    );
                    Finding::new(Code::FabricAddressOutside, message, &address.place)
                        .also(&prefix.place, "the prefix")
                }
                _ => continue,
            };
            report.push(finding);
        }
    }
}

fn is_openfabric(fabric: &Fabric) -> bool {
    fabric.kind.value == FabricType::Openfabric
}

/// The nodes and interfaces of an OSPF fabric have no option of OpenFabric.
pub(super) fn options_of_nodes_fit(declared: &Declared, report: &mut Report) {
    for member in members(declared).filter(|member| !is_openfabric(member.fabric)) {
        let node = member.entry.value.ip6.as_ref().map(|ip6| ("ip6", &ip6.place));
        let interfaces = member.interfaces().flat_map(|interface| {
            let hellos = interface.hello_multiplier.as_ref();
            [
                interface.ip6.as_ref().map(|ip6| ("ip6", &ip6.place)),
                hellos.map(|hellos| ("hello_multiplier", &hellos.place)),
            ]
        });
        for (key, place) in interfaces.chain([node]).flatten() {
            let message = format!("`{key}` is no option of a node in ospf fabric `{}`", member.id);
            let finding = Finding::new(Code::OptionNotForType, message, place)
                .also(&member.fabric.kind.place, "the type is set here")
                .help(format!("`{key}` belongs to type openfabric"));
            report.push(finding);
        }
    }
}

/// No two nodes of a fabric have one address.
pub(super) fn addresses_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<(&FabricId, IpAddr), (&NodeName, &Place)> = BTreeMap::new();
    for member in members(declared) {
        for address in member.addresses().into_iter().filter_map(|(_, address, _)| address) {
            let key = (member.id, address.value);
            if let Some((other, place)) = seen.get(&key) {
                let (id, name) = (member.id, member.name);
                let message =
                    format!("nodes `{other}` and `{name}` of fabric `{id}` both have {}", key.1);
                report.twice(Code::FabricAddressReused, message, place, &address.place);
            } else {
                seen.insert(key, (member.name, &address.place));
            }
        }
    }
}

/// No two OSPF fabrics have one area, however it is written.
pub(super) fn areas_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<u32, (&FabricId, &Place)> = BTreeMap::new();
    for (id, fabric) in &declared.fabrics {
        let Some(area) = fabric.value.area.as_ref().filter(|_| !is_openfabric(&fabric.value))
        else {
            continue;
        };
        if let Some((other, place)) = seen.get(&area.value.value()) {
            let message = format!("fabrics `{other}` and `{id}` both have area {}", area.value);
            report.twice(Code::AreaReused, message, place, &area.place);
        } else {
            seen.insert(area.value.value(), (id, &area.place));
        }
    }
}

/// No two prefixes of fabrics overlap.
pub(super) fn prefixes_apart(declared: &Declared, report: &mut Report) {
    let prefixes: Vec<(IpNet, (&FabricId, &At<Cidr>))> = declared
        .fabrics
        .iter()
        .flat_map(|(id, fabric)| {
            let prefixes = [fabric.value.ip_prefix.as_ref(), fabric.value.ip6_prefix.as_ref()];
            prefixes.into_iter().flatten().map(move |at| (at.value.net(), (id, at)))
        })
        .collect();
    overlaps(
        prefixes,
        |(one, _), (other, _)| one != other,
        |(one, outer), (other, inner)| {
            let message = format!(
                "{} of fabric `{one}` and {} of fabric `{other}` overlap",
                outer.value, inner.value
            );
            let finding = Finding::new(Code::FabricOverlap, message, &inner.place);
            report.push(finding.also(&outer.place, "the other one"));
        },
    );
}

/// An interface of a node is in one fabric, once.
pub(super) fn interfaces_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<_, (&FabricId, &Place)> = BTreeMap::new();
    for member in members(declared) {
        for interface in member.interfaces() {
            let (name, place) = (&interface.name.value, &interface.name.place);
            let key = (member.name, name);
            let Some((other, first)) = seen.get(&key) else {
                seen.insert(key, (member.id, place));
                continue;
            };
            let (id, node) = (member.id, member.name);
            if *other == id {
                let message = format!("`{name}` of node `{node}` is in fabric `{id}` twice");
                report.twice(Code::FabricInterfaceRepeated, message, first, place);
            } else {
                let message =
                    format!("`{name}` of node `{node}` is in fabrics `{other}` and `{id}`");
                report.twice(Code::FabricInterfaceShared, message, first, place);
            }
        }
    }
}

/// Timers lie within the bounds of FRR.
pub(super) fn timers(declared: &Declared, report: &mut Report) {
    let mut check = |key: &str, timer: &Option<At<u32>>, bounds: RangeInclusive<u32>| {
        let Some(timer) = timer.as_ref().filter(|timer| !bounds.contains(&timer.value)) else {
            return;
        };
        let message = format!("`{key}` is {}", timer.value);
        let finding = Finding::new(Code::TimerOutOfBounds, message, &timer.place);
        report.push(finding.help(format!(
            "use a number from {} to {}",
            bounds.start(),
            bounds.end()
        )));
    };
    for Entry { value: fabric, .. } in declared.fabrics.values() {
        check("hello_interval", &fabric.hello_interval, INTERVAL);
        check("csnp_interval", &fabric.csnp_interval, INTERVAL);
    }
    for member in members(declared) {
        for interface in member.interfaces() {
            check("hello_multiplier", &interface.hello_multiplier, MULTIPLIER);
        }
    }
}

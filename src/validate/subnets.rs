//! Rules about subnets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::report::Report;
use super::vnets::zone_of;
use crate::declare::finding::{Code, Finding};
use crate::declare::vnet::{DhcpRange, Subnet, Vnet};
use crate::declare::zone::ZoneType;
use crate::declare::{Declared, Entry};
use crate::value::{AddressRange, At, Cidr, Place, VnetId, ZoneId};

/// One subnet and where it is.
struct Found<'a> {
    vnet_id: &'a VnetId,
    vnet: &'a Vnet,
    prefix: &'a Cidr,
    subnet: &'a Entry<Subnet>,
}

fn all(declared: &Declared) -> impl Iterator<Item = Found<'_>> {
    declared.vnets.iter().flat_map(|(vnet_id, vnet)| {
        let vnet = &vnet.value;
        let subnets = vnet.subnets.iter().flat_map(|subnets| &subnets.value);
        subnets.map(move |(prefix, subnet)| Found { vnet_id, vnet, prefix, subnet })
    })
}

/// Whether the vnets of the zone carry frames only.
fn is_layer_two(found: &Found<'_>, declared: &Declared) -> bool {
    zone_of(found.vnet, declared).is_some_and(|zone| {
        matches!(zone.value.kind.value, ZoneType::Vxlan | ZoneType::Vlan | ZoneType::Qinq)
    })
}

/// A zone has a prefix, as it is written, once.
pub(super) fn differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<(&ZoneId, &Cidr), Found<'_>> = BTreeMap::new();
    for found in all(declared) {
        let key = (&found.vnet.zone.value, found.prefix);
        if let Some(first) = seen.get(&key) {
            let message = format!(
                "zone `{}` has subnet {} twice, in vnets `{}` and `{}`",
                key.0, key.1, first.vnet_id, found.vnet_id
            );
            let (one, other) = (&first.subnet.place, &found.subnet.place);
            report.twice(Code::SubnetReused, message, one, other);
        } else {
            seen.insert(key, found);
        }
    }
}

/// No two prefixes of a zone overlap. Of two that do, one contains the other, so
/// that in the order of their first addresses, the wider ones first, each is
/// compared with the one that was still open before it.
pub(super) fn apart(declared: &Declared, report: &mut Report) {
    let mut zones: BTreeMap<&ZoneId, Vec<Found<'_>>> = BTreeMap::new();
    for found in all(declared) {
        zones.entry(&found.vnet.zone.value).or_default().push(found);
    }
    for (zone, mut subnets) in zones {
        subnets.sort_by_key(|found| {
            let net = found.prefix.net();
            (net.network(), net.prefix_len(), found.prefix, found.vnet_id)
        });
        let mut open: Vec<Found<'_>> = Vec::new();
        for found in subnets {
            let net = found.prefix.net();
            while open.last().is_some_and(|outer| !outer.prefix.net().contains(&net.network())) {
                open.pop();
            }
            if let Some(outer) = open.last().filter(|outer| outer.prefix != found.prefix) {
                let message = format!(
                    "subnets {} and {} of zone `{zone}` overlap",
                    outer.prefix, found.prefix
                );
                let finding = Finding::new(Code::SubnetOverlap, message, &found.subnet.place)
                    .label(format!("of vnet `{}`", found.vnet_id))
                    .also(&outer.subnet.place, format!("of vnet `{}`", outer.vnet_id));
                report.push(finding);
            }
            open.push(found);
        }
    }
}

/// A gateway lies within its prefix, and is of its family. A prefix of a single
/// IPv4 address may have any IPv4 gateway.
pub(super) fn gateway_inside(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let Some(gateway) = &subnet.value.gateway else { continue };
        let single = prefix.net().addr().is_ipv4() && prefix.net().prefix_len() == 32;
        if !(prefix.contains(gateway.value) || single && gateway.value.is_ipv4()) {
            let message = format!("gateway {} is not in subnet {prefix}", gateway.value);
            let finding = Finding::new(Code::GatewayOutside, message, &gateway.place)
                .also(&subnet.place, "the subnet");
            report.push(finding);
        }
    }
}

/// Source NAT serves guests that have a router here.
pub(super) fn snat_has_gateway(declared: &Declared, report: &mut Report) {
    for found in all(declared).filter(|found| !is_layer_two(found, declared)) {
        let Found { prefix, subnet, .. } = found;
        let Some(snat) = subnet.value.snat.as_ref().filter(|snat| snat.value) else { continue };
        if subnet.value.gateway.is_none() {
            let message = format!("subnet {prefix} has `snat` and no `gateway`");
            report.push(Finding::new(Code::SnatWithoutGateway, message, &snat.place));
        }
    }
}

/// What a subnet asks for is done by its zone.
pub(super) fn are_rendered(declared: &Declared, report: &mut Report) {
    for found in all(declared).filter(|found| is_layer_two(found, declared)) {
        let Some(zone) = zone_of(found.vnet, declared) else { continue };
        let subnet = &found.subnet.value;
        let snat = subnet.snat.as_ref().filter(|snat| snat.value);
        let gateway = subnet.gateway.as_ref();
        let what = match (gateway, snat) {
            (Some(At { place, .. }), None) => Some((place, "`gateway`")),
            (None, Some(At { place, .. })) => Some((place, "`snat`")),
            (Some(At { place, .. }), Some(_)) => Some((place, "`gateway` and `snat`")),
            (None, None) => None,
        };
        if let Some((place, what)) = what {
            let message = format!(
                "subnet {} has {what}, which no node gets, because vnet `{}` is in a {} zone",
                found.prefix, found.vnet_id, zone.value.kind.value
            );
            let finding = Finding::new(Code::SubnetNotRendered, message, place)
                .also(&zone.value.kind.place, "this type carries frames only");
            report.push(finding);
        }
    }
}

/// The addresses of a declared range, if its ends are in order.
pub(super) fn range(declared: &DhcpRange) -> Option<AddressRange> {
    AddressRange::new(declared.start_address.value, declared.end_address.value).ok()
}

/// Ranges have addresses, lie in their subnet, and do not overlap.
pub(super) fn ranges(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let mut good: Vec<(AddressRange, &Place)> = Vec::new();
        for written in subnet.value.dhcp_range.iter().flat_map(|ranges| &ranges.value) {
            let (start, end) = (&written.start_address, &written.end_address);
            let Some(range) = range(written) else {
                let message = format!("there is no range from {} to {}", start.value, end.value);
                let finding = Finding::new(Code::DhcpRangeReversed, message, &start.place)
                    .also(&end.place, "its end");
                report.push(finding);
                continue;
            };
            let outside = [start, end].into_iter().find(|at| !prefix.contains(at.value));
            if let Some(At { value, place }) = outside {
                let message = format!("{value} is not in subnet {prefix}");
                let finding = Finding::new(Code::DhcpRangeOutside, message, place)
                    .also(&subnet.place, "the subnet");
                report.push(finding);
            }
            good.push((range, &start.place));
        }
        overlaps(prefix, good, report);
    }
}

/// Compares each range with the one before it that reaches farthest.
fn overlaps(prefix: &Cidr, mut ranges: Vec<(AddressRange, &Place)>, report: &mut Report) {
    let ends = |range: &AddressRange| -> (IpAddr, IpAddr) { (range.start(), range.end()) };
    ranges.sort_by_key(|(range, place)| (ends(range), *place));
    let mut farthest: Option<(AddressRange, &Place)> = None;
    for (range, place) in ranges {
        if let Some((other, first)) = farthest.filter(|(other, _)| other.overlaps(&range)) {
            let message = format!("ranges {other} and {range} of subnet {prefix} overlap");
            let finding = Finding::new(Code::DhcpRangeOverlap, message, place)
                .also(first, "the other one begins here");
            report.push(finding);
        }
        if farthest.is_none_or(|(other, _)| other.end() <= range.end()) {
            farthest = Some((range, place));
        }
    }
}

//! Rules about DHCP.

use std::net::IpAddr;

use super::report::Report;
use super::subnets::{Found, all};
use super::vnets::zone_of;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::vnet::DhcpRange;
use crate::declare::zone::ZoneType;
use crate::value::{AddressRange, At, Cidr, Place};

/// A zone with DHCP has an IPAM that chooses the addresses.
pub(super) fn has_ipam(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
        // Of another type the option itself is what is wrong.
        if !matches!(zone.value.kind.value, ZoneType::Simple | ZoneType::Evpn) {
            continue;
        }
        if let (Some(dhcp), None) = (&zone.value.dhcp, &zone.value.ipam) {
            let message = format!("zone `{id}` has `dhcp` and no `ipam`");
            report.push(Finding::new(Code::DhcpWithoutIpam, message, &dhcp.place));
        }
    }
}

/// The subnets of a zone with DHCP have a gateway.
pub(super) fn has_gateway(declared: &Declared, report: &mut Report) {
    for Found { vnet, prefix, subnet, .. } in all(declared) {
        let Some(zone) = zone_of(vnet, declared) else { continue };
        let Some(dhcp) = &zone.value.dhcp else { continue };
        if subnet.value.gateway.is_some() {
            continue;
        }
        let effect = match &subnet.value.dhcp_dns_server {
            _ if prefix.net().addr().is_ipv6() => "gets no DHCP",
            Some(_) => "gets a line that dnsmasq does not understand",
            None => "tells its guests no router",
        };
        let message = format!("subnet {prefix} has no `gateway`, and so {effect}");
        let finding = Finding::new(Code::DhcpWithoutGateway, message, &subnet.place)
            .also(&dhcp.place, "DHCP is on here");
        report.push(finding);
    }
}

/// A subnet has ranges where addresses are given from them.
pub(super) fn ranges_are_used(declared: &Declared, report: &mut Report) {
    for Found { vnet, prefix, subnet, .. } in all(declared) {
        let Some(zone) = zone_of(vnet, declared).filter(|zone| zone.value.dhcp.is_none()) else {
            continue;
        };
        if let Some(ranges) = subnet.value.dhcp_range.as_ref().filter(|list| !list.value.is_empty())
        {
            let message = format!(
                "subnet {prefix} has `dhcp-range`, and zone `{}` has no `dhcp`",
                vnet.zone.value
            );
            let finding = Finding::new(Code::DhcpRangeUnused, message, &ranges.place)
                .also(&zone.place, "the zone");
            report.push(finding);
        }
    }
}

/// The DNS server that guests are told is of the subnet's family.
pub(super) fn dns_server_family(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let Some(server) = &subnet.value.dhcp_dns_server else { continue };
        if server.value.is_ipv4() != prefix.net().addr().is_ipv4() {
            let message =
                format!("DNS server {} is not of the family of subnet {prefix}", server.value);
            let finding = Finding::new(Code::DhcpDnsServerFamily, message, &server.place)
                .also(&subnet.place, "the subnet");
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
        apart(prefix, good, report);
    }
}

/// Compares each range with the one before it that reaches farthest.
fn apart(prefix: &Cidr, mut ranges: Vec<(AddressRange, &Place)>, report: &mut Report) {
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

//! Rules about DHCP.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use super::dhcp_servers::is_routed_outside;
use super::guests;
use super::report::Report;
use super::subnets::{Found, all};
use super::vnets::zone_of;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::vnet::{DhcpOption, DhcpOptionName, DhcpRange, Subnet};
use crate::declare::zone::ZoneType;
use crate::value::{AddressRange, At, Cidr, DnsName, GuestName, Place, VnetId};

/// A zone with DHCP has an IPAM that chooses the addresses.
pub(super) fn has_ipam(declared: &Declared, report: &mut Report) {
    for (id, zone) in &declared.zones {
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
        let outside = is_routed_outside(zone.value.kind.value);
        let effect = match &subnet.value.dhcp_dns_server {
            // Nobody answers there, with a gateway or without.
            _ if outside && prefix.net().addr().is_ipv6() => continue,
            _ if prefix.net().addr().is_ipv6() => "gets no DHCP",
            Some(_) if !outside => "gets a line that dnsmasq does not understand",
            _ => "tells its guests no router",
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
        let (ranges, pools) = (&subnet.value.dhcp_range, &subnet.value.dhcp_pool);
        let of_ranges = ranges.iter().flat_map(|ranges| &ranges.value).map(|range| (range, true));
        let of_pools = pools.iter().flat_map(|pools| &pools.value).map(|pool| (pool, false));
        for (written, is_range) in of_ranges.chain(of_pools) {
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
            good.extend(is_range.then_some((range, &start.place)));
        }
        apart(prefix, good, report);
    }
}

/// Pools are served where a dnsmasq of its own serves each node.
pub(super) fn pools_are_served(declared: &Declared, report: &mut Report) {
    for Found { vnet, prefix, subnet, .. } in all(declared) {
        let Some(pool) = subnet.value.dhcp_pool.as_ref().filter(|list| !list.value.is_empty())
        else {
            continue;
        };
        let Some(zone) = zone_of(vnet, declared) else { continue };
        let id = &vnet.zone.value;
        let why = match (zone.value.kind.value, &zone.value.dhcp) {
            (ZoneType::Simple, Some(_)) => continue,
            (ZoneType::Simple, None) => format!("zone `{id}` has no `dhcp`"),
            _ => format!(
                "zone `{id}` is no simple zone, so that several nodes would give out the same addresses"
            ),
        };
        let message = format!("nobody serves the `dhcp-pool` of subnet {prefix}: {why}");
        let finding = Finding::new(Code::DhcpPoolUnserved, message, &pool.place)
            .also(&zone.place, "the zone");
        report.push(finding);
    }
}

/// A pool holds no address that is somebody's.
pub(super) fn pools_are_apart(declared: &Declared, report: &mut Report) {
    let mut fixed: BTreeMap<&VnetId, BTreeMap<IpAddr, (&GuestName, &Place)>> = BTreeMap::new();
    for (guest, nic) in guests::nics(declared) {
        let addresses = guests::addresses(nic).map(|at| (at.value, (guest, &at.place)));
        fixed.entry(&nic.vnet.value).or_default().extend(addresses);
    }
    for Found { vnet_id, prefix, subnet, .. } in all(declared) {
        let Subnet { dhcp_range, dhcp_pool, gateway, .. } = &subnet.value;
        let ranges = dhcp_range.iter().flat_map(|ranges| &ranges.value);
        let mut others: Vec<(AddressRange, String, &Place)> = ranges
            .filter_map(|written| {
                Some((range(written)?, "addresses of a `dhcp-range`", &written.start_address.place))
            })
            .map(|(range, what, place)| (range, what.to_owned(), place))
            .collect();
        let net = prefix.net();
        let single = |address: IpAddr| AddressRange::new(address, address).ok();
        let gateway = gateway.as_ref();
        let gateway =
            gateway.and_then(|at| Some((single(at.value)?, "the gateway".to_owned(), &at.place)));
        others.extend(gateway);
        let ends =
            [(net.network(), "the network address"), (net.broadcast(), "the broadcast address")];
        for (address, what) in
            ends.into_iter().filter(|_| net.addr().is_ipv4() && net.prefix_len() < 31)
        {
            others.extend(single(address).map(|range| (range, what.to_owned(), &subnet.place)));
        }
        for written in dhcp_pool.iter().flat_map(|pools| &pools.value) {
            let Some(pool) = range(written) else { continue };
            let place = &written.start_address.place;
            let mut holds = |what: &str, other: &Place| {
                let message = format!("pool {pool} of subnet {prefix} holds {what}");
                let finding =
                    Finding::new(Code::DhcpPoolOverlap, message, place).also(other, "here");
                report.push(finding);
            };
            if let Some((_, what, other)) = others.iter().find(|(other, ..)| other.overlaps(&pool))
            {
                holds(what, other);
            }
            let fixed = fixed.get(vnet_id).into_iter();
            let mut fixed = fixed.flat_map(|fixed| fixed.range(pool.start()..=pool.end()));
            if let Some((address, (guest, other))) = fixed.next() {
                holds(&format!("{address}, which is guest `{guest}`'s"), other);
            }
            others.push((pool, "addresses of another pool".to_owned(), place));
        }
    }
}

/// Options are of the subnet's family.
pub(super) fn options_fit(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in
        all(declared).filter(|found| found.prefix.net().addr().is_ipv6())
    {
        for option in subnet.value.dhcp_options.iter().flat_map(|options| &options.value) {
            let name = &option.name;
            if name.value != DhcpOptionName::DomainSearch {
                let message = format!("`{}` is no option of IPv6, and {prefix} is", name.value);
                let finding = Finding::new(Code::DhcpOptionFamily, message, &name.place)
                    .also(&subnet.place, "the subnet");
                report.push(finding);
            }
        }
    }
}

/// The options that are declared in one place.
pub(super) fn options(declared: Option<&At<Vec<DhcpOption>>>) -> impl Iterator<Item = &DhcpOption> {
    declared.into_iter().flat_map(|options| &options.value)
}

/// Options have values of their kind, and one is there once: dnsmasq refuses its whole
/// configuration otherwise, or goes by one of two.
pub(super) fn options_have_values(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let of = format!("subnet {prefix}");
        let options = options(subnet.value.dhcp_options.as_ref());
        // Those that are none of the family are reported as such.
        let is_v6 = prefix.net().addr().is_ipv6();
        let is_known = |name| !is_v6 || name == DhcpOptionName::DomainSearch;
        values_fit(&of, options.filter(|option| is_known(option.name.value)), report);
    }
    for (guest, nic) in guests::nics(declared) {
        let of = format!("guest `{guest}` on vnet `{}`", nic.vnet.value);
        values_fit(&of, options(nic.dhcp_options.as_ref()), report);
    }
}

fn values_fit<'a>(of: &str, options: impl Iterator<Item = &'a DhcpOption>, report: &mut Report) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for option in options {
        let name = &option.name;
        if let Some((place, why)) = wrong(option) {
            let message = format!("`{}` of {of} {why}", name.value);
            report.push(Finding::new(Code::DhcpOptionValue, message, place));
        }
        if let Some(first) = seen.insert(name.value.as_str(), &name.place) {
            let message = format!("`{}` of {of} is there twice", name.value);
            report.twice(Code::DhcpOptionValue, message, first, &name.place);
        }
    }
}

/// Options of guests are told by a dnsmasq of their zone.
pub(super) fn options_are_served(declared: &Declared, report: &mut Report) {
    for (guest, nic) in guests::nics(declared) {
        let id = &nic.vnet.value;
        let (Some(options), Some(vnet)) = (&nic.dhcp_options, declared.vnets.get(id)) else {
            continue;
        };
        let Some(zone) = zone_of(&vnet.value, declared) else { continue };
        let has_subnets = vnet.value.subnets.as_ref().is_some_and(|all| !all.value.is_empty());
        let (why, place) = match (&zone.value.dhcp, has_subnets) {
            (Some(_), true) => continue,
            (Some(_), false) => (format!("vnet `{id}` has no subnet"), &vnet.place),
            (None, _) => (format!("zone `{}` has no `dhcp`", vnet.value.zone.value), &zone.place),
        };
        let message = format!("nobody tells guest `{guest}` its `dhcp-options`: {why}");
        let finding =
            Finding::new(Code::DhcpOptionUnserved, message, &options.place).also(place, "here");
        report.push(finding);
    }
}

/// The first value of an option that is of another kind than those of the option, and why
/// (RFC 2132, of routes RFC 3442, of domains RFC 3397).
fn wrong(option: &DhcpOption) -> Option<(&Place, String)> {
    let values = &option.values.value;
    let (needs, is_it): (&str, fn(usize, &str) -> bool) = match option.name.value {
        DhcpOptionName::NtpServer | DhcpOptionName::LogServer => {
            ("an IPv4 address", |_, text| text.parse::<Ipv4Addr>().is_ok())
        }
        DhcpOptionName::DomainName | DhcpOptionName::DomainSearch => {
            ("a domain", |_, text| text.parse::<DnsName>().is_ok())
        }
        DhcpOptionName::ClasslessStaticRoute => ("a prefix and its router by turns", |at, text| {
            if at % 2 == 0 {
                text.parse::<Ipv4Net>().is_ok()
            } else {
                text.parse::<Ipv4Addr>().is_ok()
            }
        }),
        DhcpOptionName::TftpServer | DhcpOptionName::BootfileName => ("a text", |_, _| true),
    };
    let is_single = matches!(
        option.name.value,
        DhcpOptionName::DomainName | DhcpOptionName::TftpServer | DhcpOptionName::BootfileName
    );
    if let Some((_, other)) =
        values.iter().enumerate().find(|(at, v)| !is_it(*at, v.value.as_str()))
    {
        return Some((&other.place, format!("needs {needs}, not `{}`", other.value)));
    }
    let is_paired =
        option.name.value != DhcpOptionName::ClasslessStaticRoute || values.len().is_multiple_of(2);
    match values.as_slice() {
        [] => Some((&option.values.place, "has no value".to_owned())),
        [_, second, ..] if is_single => Some((&second.place, "takes one value only".to_owned())),
        [.., last] if !is_paired => Some((&last.place, format!("needs {needs}"))),
        _ => None,
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

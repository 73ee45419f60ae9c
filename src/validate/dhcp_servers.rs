//! Rules about the addresses by which nodes answer guests where none is the router.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::dhcp::range;
use super::guests;
use super::report::Report;
use super::subnets::{Found, all};
use super::vnets::zone_of;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::vnet::Subnet;
use crate::declare::zone::ZoneType;
use crate::value::{NodeName, Place, VnetId};

/// Whether the router of a zone's subnets is outside, so that no node has an address there.
pub(super) fn is_routed_outside(kind: ZoneType) -> bool {
    matches!(kind, ZoneType::Vlan | ZoneType::Qinq | ZoneType::Vxlan)
}

fn servers(subnet: &Subnet) -> impl Iterator<Item = (&NodeName, IpAddr, &Place)> {
    let servers = subnet.dhcp_servers.iter().flat_map(|servers| &servers.value);
    servers.map(|(node, entry)| (node, entry.value.value, &entry.value.place))
}

/// They are where they are needed, and can answer.
pub(super) fn serve(declared: &Declared, report: &mut Report) {
    for Found { vnet, prefix, subnet, .. } in all(declared) {
        let Some(servers) = subnet.value.dhcp_servers.as_ref() else { continue };
        let Some(zone) = zone_of(vnet, declared) else { continue };
        let id = &vnet.zone.value;
        let why = match (is_routed_outside(zone.value.kind.value), &zone.value.dhcp) {
            (true, Some(_)) if prefix.net().addr().is_ipv4() => continue,
            (true, Some(_)) => "the prefix is one of IPv6".to_owned(),
            (true, None) => format!("zone `{id}` has no `dhcp`"),
            (false, _) => {
                format!("in zone `{id}` every node answers by the address of the gateway")
            }
        };
        let message = format!("subnet {prefix} has `dhcp-servers`, and {why}");
        let finding = Finding::new(Code::DhcpServerUnserved, message, &servers.place)
            .also(&zone.place, "the zone");
        report.push(finding);
    }
}

/// Each has an address of the subnet that is nobody else's.
pub(super) fn are_free(declared: &Declared, report: &mut Report) {
    let mut fixed: BTreeMap<(&VnetId, IpAddr), &Place> = BTreeMap::new();
    for (_, nic) in guests::nics(declared) {
        let addresses = guests::addresses(nic).map(|at| ((&nic.vnet.value, at.value), &at.place));
        fixed.extend(addresses);
    }
    for Found { vnet_id, prefix, subnet, .. } in all(declared) {
        let Subnet { dhcp_range, dhcp_pool, gateway, .. } = &subnet.value;
        let net = prefix.net();
        let has_ends = net.addr().is_ipv4() && net.prefix_len() < 31;
        let mut seen: BTreeMap<IpAddr, &Place> = BTreeMap::new();
        for (_, address, place) in servers(&subnet.value) {
            let mut ranges = dhcp_range.iter().chain(dhcp_pool).flat_map(|ranges| &ranges.value);
            let taken = if !prefix.contains(address) {
                Some(("is not in it".to_owned(), &subnet.place))
            } else if has_ends && [net.network(), net.broadcast()].contains(&address) {
                Some(("is the subnet's own".to_owned(), &subnet.place))
            } else if let Some(at) = gateway.as_ref().filter(|at| at.value == address) {
                Some(("is the gateway's".to_owned(), &at.place))
            } else if let Some(other) = seen.insert(address, place) {
                Some(("is another node's".to_owned(), other))
            } else if let Some(other) = fixed.get(&(vnet_id, address)) {
                Some(("is a guest's".to_owned(), *other))
            } else {
                let holds = ranges.find_map(|written| {
                    let range = range(written)?;
                    (range.start() <= address && address <= range.end())
                        .then_some(&written.start_address.place)
                });
                holds.map(|other| ("is in a range for guests".to_owned(), other))
            };
            if let Some((why, other)) = taken {
                let message =
                    format!("{address} should answer guests of subnet {prefix}, and {why}");
                let finding =
                    Finding::new(Code::DhcpServerTaken, message, place).also(other, "here");
                report.push(finding);
            }
        }
    }
}

/// Where DHCP is on, somebody answers.
pub(super) fn are_there(declared: &Declared, report: &mut Report) {
    for Found { vnet, prefix, subnet, .. } in all(declared) {
        let Some(zone) = zone_of(vnet, declared) else { continue };
        let Some(dhcp) = &zone.value.dhcp else { continue };
        let is_concerned =
            is_routed_outside(zone.value.kind.value) && prefix.net().addr().is_ipv4();
        if is_concerned && servers(&subnet.value).next().is_none() {
            let message = format!("nobody answers guests of subnet {prefix} that ask by DHCP");
            let finding = Finding::new(Code::DhcpWithoutServer, message, &subnet.place)
                .also(&dhcp.place, "DHCP is on here");
            report.push(finding);
        }
    }
}

//! Rules about subnets.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::report::Report;
use super::vnets::zone_of;
use crate::declare::finding::{Code, Finding};
use crate::declare::vnet::{Subnet, Vnet};
use crate::declare::zone::ZoneType;
use crate::declare::{Declared, Entry};
use crate::value::{Cidr, VnetId, ZoneId};

/// One subnet and where it is.
pub(super) struct Found<'a> {
    pub(super) vnet_id: &'a VnetId,
    pub(super) vnet: &'a Vnet,
    pub(super) prefix: &'a Cidr,
    pub(super) subnet: &'a Entry<Subnet>,
}

/// Every subnet, in the order of vnets and prefixes.
pub(super) fn all(declared: &Declared) -> impl Iterator<Item = Found<'_>> {
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
        let snat = subnet.snat.as_ref().filter(|snat| snat.value).map(|snat| &snat.place);
        let gateway = subnet.gateway.as_ref().map(|gateway| &gateway.place);
        let asked = [
            (Code::SnatNotRendered, "`snat`", snat),
            (Code::SubnetNotRendered, "`gateway`", gateway),
        ];
        for (code, what, place) in asked {
            let Some(place) = place else { continue };
            let message = format!(
                "subnet {} has {what}, which no node gets, because vnet `{}` is in a {} zone",
                found.prefix, found.vnet_id, zone.value.kind.value
            );
            let finding = Finding::new(code, message, place)
                .also(&zone.value.kind.place, "this type carries frames only");
            report.push(finding);
        }
    }
}

/// What no guest and no router can have, and what it is (RFC 6890, RFC 4291 §2.5.5.2).
const IMPOSSIBLE: &[(&str, &str)] = &[
    ("0.0.0.0/8", "the machine itself"),
    ("127.0.0.0/8", "loopback"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/127", "unspecified and loopback"),
    ("::ffff:0:0/96", "IPv4 in IPv6"),
    ("ff00::/8", "multicast"),
];
/// What each link has already (RFC 4291 §2.5.6): no subnet, and good for a router.
const OF_LINKS: (&str, &str) = ("fe80::/10", "link-local");
/// What is so of IPv4, where somebody has to make it so (RFC 3927).
const OF_LINKS_V4: &str = "169.254.0.0/16";

/// A subnet is of addresses that guests can have, and its gateway is one that a router can have.
pub(super) fn are_possible(declared: &Declared, report: &mut Report) {
    let net = |text: &str| text.parse::<IpNet>().expect("a prefix");
    let ranges = |of: &[(&'static str, &'static str)]| -> Vec<(IpNet, &str)> {
        of.iter().map(|(text, what)| (net(text), *what)).collect()
    };
    let of_routers = ranges(IMPOSSIBLE);
    let of_guests = [&of_routers[..], &ranges(&[OF_LINKS])].concat();
    let link_local = net(OF_LINKS_V4);
    let meet = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    for Found { prefix, subnet, .. } in all(declared) {
        let own = prefix.net().trunc();
        if let Some((net, what)) = of_guests.iter().find(|(net, _)| meet(net, &own)) {
            let message = format!("subnet {prefix} has addresses of {net}, which are {what}");
            report.push(Finding::new(Code::SubnetImpossible, message, &subnet.place));
            continue;
        }
        if link_local.contains(&own) {
            let message = format!("subnet {prefix} is of {link_local}, which is link-local");
            report.push(Finding::new(Code::SubnetLinkLocal, message, &subnet.place));
        }
        let Some(gateway) = &subnet.value.gateway else { continue };
        if let Some((net, what)) = of_routers.iter().find(|(net, _)| net.contains(&gateway.value)) {
            let message = format!(
                "gateway {} of subnet {prefix} is of {net}, which is {what}",
                gateway.value
            );
            report.push(Finding::new(Code::SubnetImpossible, message, &gateway.place));
        }
    }
}

/// A prefix is written as its network.
pub(super) fn are_networks(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let (net, network) = (prefix.net(), prefix.net().trunc());
        if net != network {
            let message = format!("subnet {prefix} is not written as the network {network}");
            let finding = Finding::new(Code::SubnetHostBits, message, &subnet.place);
            report.push(finding.help(format!("write `{network}`")));
        }
    }
}

/// A gateway is an address that hosts can have.
pub(super) fn gateway_is_a_host(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let Some(gateway) = &subnet.value.gateway else { continue };
        let net = prefix.net();
        let what = match net {
            // Of two addresses or one, each is a host's (RFC 3021, RFC 6164).
            _ if net.max_prefix_len() - net.prefix_len() < 2 => continue,
            IpNet::V4(net) if gateway.value == net.network() => "network",
            IpNet::V4(net) if gateway.value == net.broadcast() => "broadcast",
            IpNet::V6(net) if gateway.value == net.network() => "anycast",
            IpNet::V4(_) | IpNet::V6(_) => continue,
        };
        let message = format!("gateway {} is the {what} address of {prefix}", gateway.value);
        let mut finding = Finding::new(Code::GatewayNotAHost, message, &gateway.place)
            .also(&subnet.place, "the subnet");
        if let Some(first) = net.hosts().find(|host| *host != net.network()) {
            finding = finding.help(format!("use another address, such as {first}"));
        }
        report.push(finding);
    }
}

/// A subnet has an address for a guest beside its gateway.
pub(super) fn have_room(declared: &Declared, report: &mut Report) {
    for Found { prefix, subnet, .. } in all(declared) {
        let Some(gateway) = &subnet.value.gateway else { continue };
        let net = prefix.net();
        if net.prefix_len() == net.max_prefix_len() && net.addr() == gateway.value {
            let message = format!("the gateway is the only address of subnet {prefix}");
            let finding = Finding::new(Code::SubnetTooSmall, message, &subnet.place)
                .also(&gateway.place, "no address is left for a guest");
            report.push(finding);
        }
    }
}

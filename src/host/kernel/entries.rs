//! What belongs to interfaces: addresses, tunnel ends, VLANs of ports, routes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::libc;

use super::super::HostError;
use super::super::netlink::name;
use super::super::netlink::{
    Attributes, Malformed, Request, Socket, bytes, link_header, neighbour_header, number,
    route_header,
};
use super::links::Links;
use crate::plan::{Family, LocalRule, PortVlan};

fn dump(kind: u16, header: &[u8]) -> Request {
    Request::new(kind, libc::NLM_F_DUMP, header)
}

/// Adds the addresses of global scope that do not expire, and those of IPv6 of the link alone.
pub(super) fn add_addresses(socket: &mut Socket, links: &mut Links) -> Result<(), HostError> {
    let request = dump(libc::RTM_GETADDR, &[0; 8]);
    for (index, address) in socket.list("addresses", &request, |message| address(message.body))? {
        if let Some(link) = links.link(index) {
            let is_of_link =
                matches!(address.addr(), IpAddr::V6(own) if own.is_unicast_link_local());
            let all = if is_of_link { &mut link.link_addresses } else { &mut link.addresses };
            all.insert(address);
        }
    }
    Ok(())
}

fn address(body: &[u8]) -> Result<Option<(u32, IpNet)>, Malformed> {
    let [family, length, flags, scope] = bytes(body, 0)?;
    let index = number(body, 4)?;
    let (mut flags, mut local, mut address) = (u32::from(flags), None, None);
    let is_of_link = i32::from(family) == libc::AF_INET6 && scope == libc::RT_SCOPE_LINK;
    if !is_ip(family) || !(is_of_link || scope == libc::RT_SCOPE_UNIVERSE) {
        return Ok(None);
    }
    for attribute in Attributes::at(body, 8)? {
        let attribute = attribute?;
        match attribute.kind {
            name::IFA_FLAGS => flags = attribute.u32()?,
            libc::IFA_LOCAL => local = Some(attribute.address()?),
            libc::IFA_ADDRESS => address = Some(attribute.address()?),
            _ => {}
        }
    }
    // What came from a router or a DHCP server expires.
    let lasts = flags & libc::IFA_F_PERMANENT != 0;
    // Of a line between two ends the other one is the address.
    let own = local.or(address).filter(|_| lasts);
    Ok(own.and_then(|own| Some((index, IpNet::new(own, length).ok()?))))
}

fn is_ip(family: u8) -> bool {
    [libc::AF_INET, libc::AF_INET6].contains(&i32::from(family))
}

/// Adds the other ends of tunnels to which goes what has no learnt receiver.
pub(super) fn add_remotes(socket: &mut Socket, links: &mut Links) -> Result<(), HostError> {
    let request = dump(libc::RTM_GETNEIGH, &neighbour_header(libc::AF_BRIDGE, 0, 0, 0));
    for (index, remote) in socket.list("tunnel ends", &request, |message| remote(message.body))? {
        if let Some(tunnel) = links.link(index).and_then(|link| link.tunnel.as_mut()) {
            tunnel.remotes.insert(remote);
        }
    }
    Ok(())
}

fn remote(body: &[u8]) -> Result<Option<(u32, IpAddr)>, Malformed> {
    let index = number(body, 4)?;
    let state = u16::from_ne_bytes(bytes(body, 8)?);
    if state & libc::NUD_PERMANENT == 0 {
        return Ok(None);
    }
    let (mut is_all, mut remote) = (false, None);
    for attribute in Attributes::at(body, 12)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::NDA_LLADDR => is_all = attribute.is_zero_mac(),
            libc::NDA_DST => remote = Some(attribute.address()?),
            _ => {}
        }
    }
    Ok(remote.filter(|_| is_all).map(|remote| (index, remote)))
}

/// Adds the VLANs of ports of bridges. A kernel without VLANs on bridges refuses the question.
pub(super) fn add_vlans(socket: &mut Socket, links: &mut Links) -> Result<(), HostError> {
    let request = dump(libc::RTM_GETLINK, &link_header(libc::AF_BRIDGE, 0, false))
        .with(libc::IFLA_EXT_MASK, &libc::RTEXT_FILTER_BRVLAN_COMPRESSED.to_ne_bytes());
    for (index, found) in socket.list("VLANs of ports", &request, |m| vlans(m.body).map(Some))? {
        if let Some(link) = links.link(index) {
            link.vlans.extend(found);
        }
    }
    Ok(())
}

fn vlans(body: &[u8]) -> Result<(u32, Vec<PortVlan>), Malformed> {
    let index = number(body, 4)?;
    let (mut found, mut first) = (Vec::new(), None);
    for attribute in Attributes::at(body, 16)? {
        let attribute = attribute?;
        if attribute.kind != libc::IFLA_AF_SPEC {
            continue;
        }
        for vlan in attribute.within() {
            let vlan = vlan?;
            if vlan.kind != name::IFLA_BRIDGE_VLAN_INFO {
                continue;
            }
            let flags = vlan.u16()?;
            let number = u16::from_ne_bytes(bytes(vlan.value, 2)?);
            let has = |flag: u16| flags & flag != 0;
            if has(name::BRIDGE_VLAN_INFO_RANGE_BEGIN) {
                first = Some(number);
                continue;
            }
            let is_end = has(name::BRIDGE_VLAN_INFO_RANGE_END);
            let begin = first.take().filter(|_| is_end);
            found.push(PortVlan {
                first: if is_end { begin.ok_or(Malformed)? } else { number },
                last: number,
                pvid: has(name::BRIDGE_VLAN_INFO_PVID),
                untagged: has(name::BRIDGE_VLAN_INFO_UNTAGGED),
            });
        }
    }
    Ok((index, found))
}

/// A route as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    destination: IpNet,
    table: u32,
    protocol: u8,
    kind: u8,
    device: Option<u32>,
    has_gateway: bool,
}

fn route(body: &[u8]) -> Result<Option<Route>, Malformed> {
    let [family, length] = bytes(body, 0)?;
    let [table, protocol, _, kind] = bytes(body, 4)?;
    if !is_ip(family) {
        return Ok(None);
    }
    let (mut table, mut device, mut has_gateway) = (u32::from(table), None, false);
    let is_v4 = i32::from(family) == libc::AF_INET;
    let mut destination: IpAddr =
        if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    for attribute in Attributes::at(body, 12)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::RTA_TABLE => table = attribute.u32()?,
            libc::RTA_DST => destination = attribute.address()?,
            libc::RTA_OIF => device = Some(attribute.u32()?),
            libc::RTA_GATEWAY | libc::RTA_VIA => has_gateway = true,
            _ => {}
        }
    }
    let destination = IpNet::new(destination, length).map_err(|_| Malformed)?;
    Ok(Some(Route { destination, table, protocol, kind, device, has_gateway }))
}

fn routes(
    socket: &mut Socket,
    request: &Request,
    is: impl Fn(&Route) -> bool,
) -> Result<Vec<Route>, HostError> {
    let found = socket.list("routes", request, |message| {
        // A kernel that does not filter gives all.
        Ok(route(message.body)?.filter(|route| is(route)))
    });
    match found {
        // The table was never used.
        Err(HostError::Kernel { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => {
            Ok(Vec::new())
        }
        found => found,
    }
}

/// Routes of the main table straight to an interface that somebody added by hand or by
/// `up ip route add`. The default route is none of them.
pub(super) fn straight_routes(
    socket: &mut Socket,
    links: &Links,
) -> Result<BTreeSet<(IpNet, String)>, HostError> {
    let (main, boot, unicast) = (libc::RT_TABLE_MAIN, libc::RTPROT_BOOT, libc::RTN_UNICAST);
    let mut all = BTreeSet::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let header = route_header(family, 0, main, boot, 0, unicast);
        let found = routes(socket, &dump(libc::RTM_GETROUTE, &header), |route| {
            (route.table, route.protocol, route.kind) == (u32::from(main), boot, unicast)
                && !route.has_gateway
                && route.destination.prefix_len() > 0
        })?;
        all.extend(
            found.into_iter().filter_map(|route| {
                Some((route.destination, links.name(route.device?)?.to_owned()))
            }),
        );
    }
    Ok(all)
}

/// The rules for the table of the node's own addresses that are the kernel's or weft's.
pub(super) fn local_rules(socket: &mut Socket) -> Result<BTreeSet<(Family, LocalRule)>, HostError> {
    let mut rules = BTreeSet::new();
    for (family, number) in [(Family::V4, libc::AF_INET), (Family::V6, libc::AF_INET6)] {
        let header = route_header(number, 0, 0, 0, 0, 0);
        let found = socket
            .list("rules", &dump(libc::RTM_GETRULE, &header), |message| for_local(message.body));
        match found {
            Ok(found) => {
                let known = found.into_iter().filter_map(|(priority, by)| match (priority, by) {
                    (0, _) => Some((family, LocalRule::First)),
                    (name::LOCAL_RULE, name::RTPROT_WEFT) => Some((family, LocalRule::Last)),
                    _ => None,
                });
                rules.extend(known);
            }
            // A kernel without rules of that version.
            Err(HostError::Kernel { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rules)
}

/// The priorities of all rules for the table of the node's own addresses, whoever made them.
pub(in crate::host) fn local_priorities(
    socket: &mut Socket,
    family: Family,
) -> Result<Vec<u32>, HostError> {
    let family = if family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    let header = route_header(family, 0, 0, 0, 0, 0);
    let found = socket
        .list("rules", &dump(libc::RTM_GETRULE, &header), |message| for_local(message.body))?;
    Ok(found.into_iter().map(|(priority, _)| priority).collect())
}

/// The priority of a rule for the table of the node's own addresses, and who made it. One that is
/// for some packets only is none.
fn for_local(body: &[u8]) -> Result<Option<(u32, u8)>, Malformed> {
    let [_, to, from, tos, table, _, _, action] = bytes(body, 0)?;
    let is_for_all = [to, from, tos] == [0; 3];
    if !is_for_all || (table, action) != (libc::RT_TABLE_LOCAL, name::FR_ACT_TO_TBL) {
        return Ok(None);
    }
    let (mut priority, mut protocol) = (0, 0);
    for attribute in Attributes::at(body, 12)? {
        let attribute = attribute?;
        match attribute.kind {
            name::FRA_PRIORITY => priority = attribute.u32()?,
            name::FRA_PROTOCOL => protocol = attribute.u8()?,
            kind if name::FRA_SELECTORS.contains(&kind) => return Ok(None),
            _ => {}
        }
    }
    Ok(Some((priority, protocol)))
}

/// Tables in which what has no other route goes nowhere, of IPv4.
pub(super) fn unreachable(socket: &mut Socket) -> Result<BTreeSet<u32>, HostError> {
    let header = route_header(libc::AF_INET, 0, 0, 0, 0, libc::RTN_UNREACHABLE);
    let found = routes(socket, &dump(libc::RTM_GETROUTE, &header), |route| {
        route.kind == libc::RTN_UNREACHABLE
            && route.destination.prefix_len() == 0
            && route.destination.addr().is_ipv4()
    })?;
    Ok(found.into_iter().map(|route| route.table).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::netlink::written as attribute;
    use super::{Malformed, PortVlan, address, libc, name, remote, route, vlans};

    #[test]
    fn addresses_that_expire_or_are_of_a_link_are_not_kept() {
        let message = |scope: u8, flags: u32| {
            let head = [2, 24, 0, scope, 7, 0, 0, 0];
            let other = attribute(libc::IFA_ADDRESS, &[10, 0, 0, 9]);
            let local = attribute(libc::IFA_LOCAL, &[10, 0, 0, 1]);
            [&head[..], &other, &local, &attribute(name::IFA_FLAGS, &flags.to_ne_bytes())].concat()
        };
        let lasting = libc::IFA_F_PERMANENT;
        let index = u32::from_ne_bytes([7, 0, 0, 0]);
        let net = "10.0.0.1/24".parse().expect("a prefix");
        assert_eq!(address(&message(0, lasting)), Ok(Some((index, net))));
        assert_eq!(address(&message(0, 0)), Ok(None));
        assert_eq!(address(&message(253, lasting)), Ok(None));
        let cut = message(0, lasting);
        assert_eq!(address(&cut[..cut.len() - 1]), Err(Malformed));
        // Those of IPv6 are: a stanza may ask for one.
        let own: std::net::Ipv6Addr = "fe80::1".parse().expect("an address");
        let head = [10, 64, libc::IFA_F_PERMANENT.to_ne_bytes()[0], 253, 7, 0, 0, 0];
        let message = [&head[..], &attribute(libc::IFA_ADDRESS, &own.octets())].concat();
        assert_eq!(address(&message), Ok(Some((index, "fe80::1/64".parse().expect("a prefix")))));
    }

    #[test]
    fn only_entries_for_everybody_are_remotes() {
        let message = |state: u16, mac: [u8; 6]| {
            let mut head = [0; 12];
            head[8..10].copy_from_slice(&state.to_ne_bytes());
            let to = attribute(libc::NDA_DST, &[192, 0, 2, 1]);
            [&head[..], &attribute(libc::NDA_LLADDR, &mac), &to].concat()
        };
        let found = Some((0, "192.0.2.1".parse().expect("an address")));
        assert_eq!(remote(&message(libc::NUD_PERMANENT, [0; 6])), Ok(found));
        assert_eq!(remote(&message(libc::NUD_REACHABLE, [0; 6])), Ok(None));
        assert_eq!(remote(&message(libc::NUD_PERMANENT, [2; 6])), Ok(None));
    }

    #[test]
    fn vlans_are_ranges_with_flags() {
        let vlan = |flags: u16, number: u16| {
            attribute(2, &[flags.to_ne_bytes(), number.to_ne_bytes()].concat())
        };
        let message = |vlans: &[Vec<u8>]| {
            [&[0; 16][..], &attribute(libc::IFLA_AF_SPEC, &vlans.concat())].concat()
        };
        let all = message(&[vlan(6, 1), vlan(8, 2), vlan(16, 4094)]);
        let wanted = vec![
            PortVlan { first: 1, last: 1, pvid: true, untagged: true },
            PortVlan { first: 2, last: 4094, pvid: false, untagged: false },
        ];
        assert_eq!(vlans(&all), Ok((0, wanted)));
        assert_eq!(vlans(&message(&[vlan(16, 4094)])), Err(Malformed));
        assert_eq!(vlans(&message(&[attribute(2, &[0; 3])])), Err(Malformed));
    }

    #[test]
    fn a_route_says_its_table_and_where_it_leads() {
        let head = [2, 24, 0, 0, 252, 3, 253, 1, 0, 0, 0, 0];
        let table = attribute(libc::RTA_TABLE, &1001_u32.to_ne_bytes());
        let to = attribute(libc::RTA_DST, &[10, 1, 2, 0]);
        let found = route(&[&head[..], &table, &to].concat()).expect("a route").expect("of IP");
        assert_eq!((found.destination.to_string(), found.table), ("10.1.2.0/24".to_owned(), 1001));
        let long = [&[2, 33][..], &head[2..]].concat();
        assert_eq!(route(&long), Err(Malformed));
        assert_eq!(route(&[28; 12]), Ok(None));
    }
}

//! What a vnet with addresses of its own has for its subnets (`pve-rendering.md` §1.3, §1.8).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::Name;
use super::stanza::{Family, Hook, Line};
use crate::facts::{Facts, Route};
use crate::network::{Subnet, Vnet};
use crate::value::{Cidr, VnetId};

/// The node's ways out, which are looked up once.
pub(super) struct Outside<'a> {
    v4: Option<&'a Route>,
    v6: Option<&'a Route>,
}

/// The subnets of a vnet as lines of its bridge.
pub(super) struct Subnets<'a> {
    /// Addresses, host routes and source NAT, in the order of the subnets.
    pub lines: Vec<Line<'a>>,
    /// Whether guests have a router of each version.
    pub forwards: [Option<Family>; 2],
    /// Whether there is any subnet.
    pub exist: bool,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Family {
    /// The reference takes the family from the gateway, not from the prefix; a
    /// subnet without a gateway counts as IPv4.
    fn of(subnet: &Subnet) -> Self {
        match subnet.gateway {
            Some(IpAddr::V6(_)) => Self::V6,
            Some(IpAddr::V4(_)) | None => Self::V4,
        }
    }

    /// The address whose route is taken for the way out.
    fn outside(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(8, 8, 8, 8).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888).into(),
        }
    }
}

impl<'a> Outside<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        let route = |family: Family| facts.route_to(family.outside());
        Self { v4: route(Family::V4), v6: route(Family::V6) }
    }

    fn by(&self, family: Family) -> Option<&'a Route> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// The subnets of a vnet. Guests leave by `outside`, where they leave here at all; only
/// simple zones have a route to a subnet of one address.
pub(super) fn subnets<'a>(
    id: &'a VnetId,
    vnet: &'a Vnet,
    outside: Option<&Outside<'a>>,
    host_routes: bool,
) -> Subnets<'a> {
    // Room for what else a bridge has.
    let lines = Vec::with_capacity(16);
    let mut found = Subnets { lines, forwards: [None; 2], exist: false, notes: Vec::new() };
    let mut gateways = BTreeSet::new();
    for (prefix, subnet) in vnet.subnets() {
        found.exist = true;
        let family = Family::of(subnet);
        let prefix_len = prefix.net().prefix_len();
        if let Some(address) = subnet.gateway.filter(|gateway| gateways.insert(*gateway)) {
            found.lines.push(Line::Address { address, prefix_len });
        }
        if host_routes && family == Family::V4 && prefix_len == 32 {
            let interface = Name::vnet(id);
            found.lines.push(Line::HostRoute { destination: prefix, interface });
        }
        if let Some(outside) = outside.filter(|_| subnet.snat) {
            match outside.by(family) {
                Some(route) => found.lines.extend(source_nat(prefix, family, route)),
                None => found.notes.push(format!(
                    "subnet {prefix}: no source NAT, because this node has no route to {}",
                    family.outside()
                )),
            }
        }
    }
    found.forwards = [
        gateways.iter().any(IpAddr::is_ipv4).then_some(Family::V4),
        gateways.iter().any(IpAddr::is_ipv6).then_some(Family::V6),
    ];
    found
}

/// The rules of one subnet. The second pair is the same for every subnet and stands there
/// as often.
fn source_nat<'a>(source: &'a Cidr, family: Family, route: &'a Route) -> [Line<'a>; 4] {
    let (out, address) = (&route.interface, route.source);
    let nat = |hook| Line::SourceNat { hook, family, source, out, address };
    let zone = |hook| Line::TrackingZone { hook, family };
    [nat(Hook::Up), nat(Hook::Down), zone(Hook::Up), zone(Hook::Down)]
}

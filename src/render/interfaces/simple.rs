//! Simple zones: a bridge without ports, with the gateways of its subnets
//! (`pve-rendering.md` §1.3).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::stanza::{Family, Hook, Line, Stanza, bridge_lines};
use super::{Part, bridge, vlan_aware_notes};
use crate::facts::Facts;
use crate::network::{Subnet, Vnet};
use crate::render::Profile;
use crate::value::{Cidr, Mtu, VnetId};

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

pub(super) fn part(
    id: &VnetId,
    vnet: &Vnet,
    mtu: Option<Mtu>,
    facts: &Facts,
    profile: Profile,
) -> Part {
    let mut part = Part::default();
    let mut lines = Vec::new();
    let mut gateways = BTreeSet::new();
    for (prefix, subnet) in vnet.subnets() {
        let family = Family::of(subnet);
        if let Some(address) = subnet.gateway.filter(|gateway| gateways.insert(*gateway)) {
            lines.push(Line::Address { address, prefix_len: prefix.net().prefix_len() });
        }
        if family == Family::V4 && prefix.net().prefix_len() == 32 {
            lines.push(Line::HostRoute { destination: prefix.clone(), interface: bridge(id) });
        }
        if subnet.snat {
            match source_nat(prefix, family, facts) {
                Some(rules) => lines.extend(rules),
                None => part.notes.push(format!(
                    "subnet {prefix}: no source NAT, because this node has no route to {}",
                    family.outside()
                )),
            }
        }
    }
    lines.extend(bridge_lines(None, vnet.is_vlan_aware(), profile));
    lines.extend(mtu.map(Line::Mtu));
    lines.extend(vnet.alias.clone().map(Line::Alias));
    lines.extend(gateways.iter().any(IpAddr::is_ipv4).then_some(Line::Forward(Family::V4)));
    lines.extend(gateways.iter().any(IpAddr::is_ipv6).then_some(Line::Forward(Family::V6)));
    part.notes.extend(vlan_aware_notes(vnet.is_vlan_aware(), profile));
    part.stanzas.push(Stanza { name: bridge(id), lines });
    part
}

/// The rules of one subnet, or `None` where the node has no way out. The second
/// pair is the same for every subnet and stands there as often.
fn source_nat(prefix: &Cidr, family: Family, facts: &Facts) -> Option<Vec<Line>> {
    let route = facts.route_to(family.outside())?;
    let nat = |hook| Line::SourceNat {
        hook,
        family,
        source: prefix.clone(),
        out: route.interface.clone(),
        address: route.source,
    };
    let zone = |hook| Line::TrackingZone { hook, family };
    Some(vec![nat(Hook::Up), nat(Hook::Down), zone(Hook::Up), zone(Hook::Down)])
}

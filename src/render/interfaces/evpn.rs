//! EVPN zones: a bridge and a tunnel interface for each vnet, in the VRF of the zone
//! (`pve-rendering.md` §1.8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::Name;
use super::routed::subnets;
use super::stanza::{Line, Spelling, Stanza, bridge_lines, comment};
use super::{Here, LeftOut, Part, TUNNEL_MTU, ZoneType};
use crate::network::{Controller, EvpnZone, Vnet, Zone};
use crate::render::endpoint::{Endpoint, NoEndpoint, loopback};
use crate::value::{Tag, VnetId, ZoneId};

/// What the pair between a VRF and the node may send more than a vnet: there is no
/// tunnel on it.
const TUNNEL_HEADERS: u64 = 50;

/// An EVPN zone on one node.
pub(super) struct Evpn<'a> {
    here: &'a Here<'a>,
    options: &'a EvpnZone,
    mtu: u64,
    is_exit: bool,
    own: Option<IpAddr>,
    note: Option<String>,
    names: Names<'a>,
}

/// The interfaces of a zone.
struct Names<'a> {
    vrf: Name<'a>,
    bridge: Name<'a>,
    tunnel: Name<'a>,
    outside: Name<'a>,
    inside: Name<'a>,
}

impl<'a> Evpn<'a> {
    pub(super) fn new(
        id: &'a ZoneId,
        zone: &'a Zone,
        evpn: &'a EvpnZone,
        here: &'a Here<'a>,
    ) -> Result<Self, LeftOut> {
        let Some(Controller::Evpn(controller)) = here.network.controllers.get(&evpn.controller)
        else {
            return Err(LeftOut(format!("there is no EVPN controller `{}`", evpn.controller)));
        };
        let loopback = loopback(here.network, here.node);
        let own = Endpoint::of(&controller.peers, loopback, here.network, here.node, here.facts);
        let (own, note) = match own {
            // A route without a source says no more than that there is a way.
            Ok(own) => (Some(own.address).filter(|address| !address.is_unspecified()), None),
            Err(no_route @ NoEndpoint::NoRoute) => (None, Some(no_route.to_string())),
            Err(none) => return Err(LeftOut(none.to_string())),
        };
        let name = |before| Name::of_zone(before, id);
        Ok(Self {
            here,
            options: evpn,
            mtu: zone.mtu.map_or(TUNNEL_MTU, u64::from),
            is_exit: evpn.exit_nodes.contains(here.node),
            own,
            note,
            names: Names {
                vrf: name("vrf_"),
                bridge: name("vrfbr_"),
                tunnel: name("vrfvx_"),
                outside: name("xvrf_"),
                inside: name("xvrfp_"),
            },
        })
    }

    fn tunnel(&self, name: Name<'a>, tag: Tag) -> Stanza<'a> {
        let mut lines = Vec::with_capacity(6);
        lines.push(Line::VxlanId(tag));
        lines.extend(self.own.map(Line::VxlanLocal));
        lines.extend(self.options.port.map(Line::VxlanPort));
        lines.push(Line::LearningOff);
        if !self.options.disable_arp_nd_suppression {
            lines.push(Line::SuppressNeighbours);
        }
        lines.push(Line::Mtu(self.mtu));
        Stanza { name, lines }
    }

    /// One end of the pair by which the node itself reaches guests: the first in the node's
    /// own table, the second in the VRF. Every zone has the same addresses.
    fn pair(&self, number: u8, has_ipv6: bool) -> Stanza<'a> {
        let Names { vrf, outside, inside, .. } = self.names;
        let address = |address, prefix_len| Line::Address { address, prefix_len };
        let v4 = Ipv4Addr::new(10, 255, 255, number);
        let v6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into());
        let (name, peer, vrf) =
            if number == 1 { (outside, inside, None) } else { (inside, outside, Some(vrf)) };
        let mut lines = vec![Line::Veth, address(v4.into(), 30)];
        lines.extend(has_ipv6.then(|| address(v6.into(), 126)));
        lines.push(Line::VethPeer(peer));
        lines.extend(vrf.map(Line::Vrf));
        lines.push(Line::Mtu(self.mtu + TUNNEL_HEADERS));
        Stanza { name, lines }
    }
}

impl<'a> ZoneType<'a> for Evpn<'a> {
    fn zone(&self, first: &'a Vnet) -> Part<'a> {
        let Names { vrf, bridge, tunnel, .. } = self.names;
        let mut part = Part { notes: self.note.iter().cloned().collect(), ..Part::default() };
        let unreachable = Line::Unreachable { vrf, add: !self.is_exit };
        part.add(Stanza { name: vrf, lines: vec![Line::VrfTable, unreachable] });
        part.add(self.tunnel(tunnel, self.options.vrf_vxlan));
        let mut lines = vec![
            Line::BridgePort(Spelling::Dash, Some(tunnel)),
            Line::SpanningTreeOff(Spelling::Underscore),
            Line::ForwardDelayZero(Spelling::Underscore),
        ];
        lines.extend(self.here.profile.bridge_lines().map(Line::OfProfile));
        lines.extend([Line::Mtu(self.mtu), Line::Vrf(vrf)]);
        part.add(Stanza { name: bridge, lines });
        if self.is_exit && self.options.exit_nodes_local_routing {
            let mut gateways = first.subnets().filter_map(|(_, subnet)| subnet.gateway);
            let has_ipv6 = gateways.any(|gateway| gateway.is_ipv6());
            part.add(self.pair(1, has_ipv6));
            part.add(self.pair(2, has_ipv6));
        }
        part
    }

    fn vnet(&self, id: &'a VnetId, vnet: &'a Vnet) -> Result<Part<'a>, LeftOut> {
        let tag = vnet.tag.ok_or_else(LeftOut::without_tag)?;
        let tunnel = Name::of_vnet("vxlan_", id);
        let outside = self.is_exit.then_some(&self.here.outside);
        let subnets = subnets(id, vnet, outside, false);
        let mut lines = subnets.lines;
        lines.extend(self.options.mac.as_ref().map(Line::HardwareAddress));
        lines.extend(bridge_lines(Some(tunnel), false, self.here.profile));
        lines.push(Line::Mtu(self.mtu));
        lines.extend(comment(vnet.alias.as_ref()));
        lines.extend(subnets.forwards.into_iter().flatten().map(Line::Forward));
        lines.extend(subnets.exist.then_some(Line::ArpAccept));
        lines.push(Line::Vrf(self.names.vrf));
        let mut part = Part { notes: subnets.notes, ..Part::default() };
        part.add(self.tunnel(tunnel, tag));
        part.add(Stanza { name: Name::vnet(id), lines });
        Ok(part)
    }
}

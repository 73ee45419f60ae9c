//! VXLAN zones: a bridge with one tunnel interface that sends to every peer
//! (`pve-rendering.md` §1.6, §1.7).

use std::net::IpAddr;

use super::name::Name;
use super::stanza::{Line, Stanza, bridge_lines, comment};
use super::{Here, LeftOut, Part, TUNNEL_MTU, ZoneType, vlan_aware_notes};
use crate::network::{Peers, Vnet, VxlanZone, Zone};
use crate::render::endpoint::{Endpoint, NoEndpoint};
use crate::value::{Port, VnetId};

/// A VXLAN zone on one node.
pub(super) struct Vxlan<'a> {
    here: &'a Here<'a>,
    mtu: u64,
    port: Option<Port>,
    /// All tunnel ends but this node's own: in the order of the zone, or by the names of a
    /// fabric's nodes.
    others: Vec<IpAddr>,
    note: Option<String>,
}

impl<'a> Vxlan<'a> {
    pub(super) fn new(zone: &Zone, vxlan: &VxlanZone, here: &'a Here<'a>) -> Result<Self, LeftOut> {
        // The loopback of a controller counts in EVPN zones only.
        let own = Endpoint::of(&vxlan.peers, None, here.network, here.node, here.facts);
        let peers: Vec<IpAddr> = match &vxlan.peers {
            Peers::Addresses(addresses) => addresses.clone(),
            Peers::Fabric(fabric) => {
                let fabric = here.network.fabrics.get(fabric);
                let nodes = fabric.into_iter().flat_map(|fabric| fabric.nodes.values());
                nodes.filter_map(|node| node.ip).map(IpAddr::from).collect()
            }
        };
        let (own, note) = match own {
            Ok(own) if peers.contains(&own.address) => (Some(own.address), None),
            Ok(own) => {
                let note = format!(
                    "the peers do not name this node's address {}, so the others send it nothing",
                    own.address
                );
                (Some(own.address), Some(note))
            }
            Err(no_route @ NoEndpoint::NoRoute) => (None, Some(no_route.to_string())),
            Err(none) => return Err(LeftOut(none.to_string())),
        };
        let others = peers.into_iter().filter(|peer| Some(*peer) != own).collect();
        let mtu = zone.mtu.map_or(TUNNEL_MTU, u64::from);
        Ok(Self { here, mtu, port: vxlan.port, others, note })
    }
}

impl<'a> ZoneType<'a> for Vxlan<'a> {
    fn zone(&self, _: &'a Vnet) -> Part<'a> {
        Part { notes: self.note.iter().cloned().collect(), ..Part::default() }
    }

    fn vnet(&self, id: &'a VnetId, vnet: &'a Vnet) -> Result<Part<'a>, LeftOut> {
        let tag = vnet.tag.ok_or_else(LeftOut::without_tag)?;
        let tunnel = Name::of_vnet("vxlan_", id);
        let mut part = Part::default();

        let mut lines = Vec::with_capacity(self.others.len() + 3);
        lines.push(Line::VxlanId(tag));
        lines.extend(self.others.iter().copied().map(Line::VxlanRemote));
        lines.extend(self.port.map(Line::VxlanPort));
        lines.push(Line::Mtu(self.mtu));
        part.add(Stanza { name: tunnel, lines });

        let vlan_aware = vnet.is_vlan_aware();
        let mut lines: Vec<_> = self.here.dhcp_server_lines(vnet).collect();
        lines.extend(bridge_lines(Some(tunnel), vlan_aware, self.here.profile));
        lines.push(Line::Mtu(self.mtu));
        lines.extend(comment(vnet.alias.as_ref()));
        part.add(Stanza { name: Name::vnet(id), lines });

        part.notes.extend(vlan_aware_notes(vlan_aware, self.here.profile));
        Ok(part)
    }
}

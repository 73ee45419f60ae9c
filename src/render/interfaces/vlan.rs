//! VLAN zones: a bridge that joins one VLAN of a bridge of the node
//! (`pve-rendering.md` §1.4).

use super::name::Name;
use super::stanza::{Line, OvsTag, Spelling, Stanza, bridge_lines, comment, veth};
use super::{Here, LeftOut, Part, ZoneType, vlan_aware_notes};
use crate::facts::{Bridge, BridgeKind};
use crate::network::{VlanZone, Vnet, Zone};
use crate::value::{IfName, Mtu, Tag, VnetId};

/// A VLAN zone on one node.
pub(super) struct Vlan<'a> {
    here: &'a Here<'a>,
    mtu: Option<Mtu>,
    bridge: &'a Bridge,
}

impl<'a> Vlan<'a> {
    pub(super) fn new(zone: &Zone, vlan: &VlanZone, here: &'a Here<'a>) -> Result<Self, LeftOut> {
        Ok(Self { here, mtu: zone.mtu, bridge: here.bridge(&vlan.bridge)? })
    }

    /// The port of an Open vSwitch bridge. The bridge's own stanza gets a line for each;
    /// ifupdown2 takes them together.
    fn ovs(&self, part: &mut Part<'a>, link: Name<'a>, tag: OvsTag) {
        let mut lines = vec![Line::OvsInternalPort, Line::OvsBridge(&self.bridge.name)];
        lines.extend(self.mtu.map(Line::OvsMtu));
        lines.push(Line::OvsOptions(tag));
        part.add(Stanza { name: link, lines });
        part.add_ovs_line(&self.bridge.name, link);
    }

    /// A bridge for the VLAN of every port of a bridge that does not look at tags, with a
    /// link to the vnet's.
    fn plain(&self, part: &mut Part<'a>, link: Name<'a>, peer: Name<'a>, tag: Tag) {
        for stanza in veth(link, peer, self.mtu) {
            part.add(stanza);
        }
        let uplinks = self.bridge.ports.iter().map(|port| self.uplink(part, port, tag)).collect();
        let name = Name::own(&self.bridge.name).vlan_bridge(tag.get());
        let mut lines = vec![
            Line::VlanPorts { uplinks, link: peer },
            Line::SpanningTreeOff(Spelling::Underscore),
            Line::ForwardDelayZero(Spelling::Underscore),
        ];
        lines.extend(self.here.profile.bridge_lines().map(Line::OfProfile));
        lines.extend(self.mtu.map(|mtu| Line::Mtu(mtu.into())));
        part.notes.extend(name.complaint());
        part.add(Stanza { name, lines });
    }

    /// One VLAN of an interface of the node.
    fn uplink(&self, part: &mut Part<'a>, of: &'a IfName, tag: Tag) -> Name<'a> {
        let name = Name::own(of).vlan(tag.get());
        part.notes.extend(name.complaint());
        let mtu = self.mtu.map(u64::from).or_else(|| self.here.mtu_of(of));
        part.stanzas_of_profile(self.here, name, mtu);
        name
    }
}

impl<'a> ZoneType<'a> for Vlan<'a> {
    fn vnet(&self, id: &'a VnetId, vnet: &'a Vnet) -> Result<Part<'a>, LeftOut> {
        let tag = vnet.tag.ok_or_else(LeftOut::without_tag)?;
        let vlan_aware = vnet.is_vlan_aware();
        let mut part = Part::default();
        let link = Name::of_vnet("ln_", id);
        let joined = match self.bridge.kind {
            BridgeKind::Ovs => {
                let tag = if vlan_aware { OvsTag::Tunnel(tag) } else { OvsTag::Access(tag) };
                self.ovs(&mut part, link, tag);
                link
            }
            BridgeKind::VlanAware => {
                let uplink = self.uplink(&mut part, &self.bridge.name, tag);
                let notes = self.here.profile.vlan_port_notes().filter(|_| vlan_aware);
                part.notes.extend(notes.map(str::to_owned));
                uplink
            }
            BridgeKind::Plain => {
                self.plain(&mut part, link, Name::of_vnet("pr_", id), tag);
                link
            }
        };
        let mut lines: Vec<_> = self.here.dhcp_server_lines(vnet).collect();
        lines.extend(bridge_lines(Some(joined), vlan_aware, self.here.profile));
        lines.extend(self.mtu.map(|mtu| Line::Mtu(mtu.into())));
        lines.extend(comment(vnet.alias.as_ref()));
        part.add(Stanza { name: Name::vnet(id), lines });
        part.notes.extend(vlan_aware_notes(vlan_aware, self.here.profile));
        Ok(part)
    }
}

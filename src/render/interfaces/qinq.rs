//! QinQ zones: a VLAN-aware bridge inside one service VLAN of a bridge of the node, and a
//! bridge for each vnet that joins one VLAN of it (`pve-rendering.md` §1.5).

use super::name::Name;
use super::stanza::{Line, OvsTag, Spelling, Stanza, bridge_lines, comment, veth};
use super::{Here, LeftOut, PLAIN_MTU, Part, ZoneType, vlan_aware_notes};
use crate::facts::{Bridge, BridgeKind};
use crate::network::{QinqZone, VlanProtocol, Vnet, Zone};
use crate::value::{Mtu, VnetId, ZoneId};

/// A QinQ zone on one node.
pub(super) struct Qinq<'a> {
    here: &'a Here<'a>,
    mtu: Option<Mtu>,
    options: &'a QinqZone,
    bridge: &'a Bridge,
    /// The zone's own bridge.
    inner: Name<'a>,
    /// The pair for the vnet without a tag: the zone's end, then the vnet's.
    untagged: [Name<'a>; 2],
    /// The service VLAN, where it has a name of its own.
    service: Name<'a>,
}

impl<'a> Qinq<'a> {
    pub(super) fn new(
        id: &'a ZoneId,
        zone: &Zone,
        qinq: &'a QinqZone,
        here: &'a Here<'a>,
    ) -> Result<Self, LeftOut> {
        let name = |before| Name::of_zone(before, id);
        Ok(Self {
            here,
            mtu: zone.mtu,
            options: qinq,
            bridge: here.bridge(&qinq.bridge)?,
            inner: name("z_"),
            untagged: [name("ln_"), name("pr_")],
            service: name("sv_"),
        })
    }

    /// The port of the zone's bridge that carries the service VLAN. A bridge that does not
    /// look at tags gives one of its ports, so there is none if it has no port.
    fn outer(&self, part: &mut Part<'a>) -> Option<Name<'a>> {
        let bridge = &self.bridge.name;
        match self.bridge.kind {
            BridgeKind::Ovs => {
                let protocol = self.options.protocol.unwrap_or(VlanProtocol::Dot1q);
                let mut lines = vec![Line::OvsInternalPort, Line::OvsBridge(bridge)];
                lines.extend(self.mtu.map(Line::OvsMtu));
                lines.push(Line::OvsOptions(OvsTag::Service(self.options.tag, protocol)));
                part.add(Stanza { name: self.service, lines });
                part.add_ovs_port(bridge, self.service);
                Some(self.service)
            }
            BridgeKind::VlanAware => {
                let outer = Name::own(bridge).vlan(self.options.tag.get());
                part.notes.extend(outer.complaint());
                let mtu = self.mtu.map(u64::from).or_else(|| self.here.mtu_of(bridge));
                if let Some(protocol) = self.options.protocol {
                    let lines = vec![Line::BridgeVlanProtocol(protocol)];
                    part.add(Stanza { name: Name::own(bridge), lines });
                    let mut lines = vec![Line::VlanProtocol(protocol)];
                    lines.extend(self.here.vlan_mtu(outer, mtu));
                    part.add(Stanza { name: outer, lines });
                } else {
                    part.stanzas_of_profile(self.here, outer, mtu);
                }
                part.notes.extend(self.here.profile.vlan_port_notes().map(str::to_owned));
                Some(outer)
            }
            BridgeKind::Plain => {
                let device = self.bridge.ports.first()?;
                let mut lines = vec![Line::VlanRawDevice(device), Line::VlanId(self.options.tag)];
                lines.extend(self.options.protocol.map(Line::VlanProtocol));
                part.add(Stanza { name: self.service, lines });
                part.notes.extend(self.here.profile.vlan_port_notes().map(str::to_owned));
                Some(self.service)
            }
        }
    }
}

impl<'a> ZoneType<'a> for Qinq<'a> {
    fn zone(&self, _: &'a Vnet) -> Part<'a> {
        let mut part = Part::default();
        let outer = self.outer(&mut part);
        let [link, peer] = self.untagged;
        for stanza in veth(link, peer, None) {
            part.add(stanza);
        }
        let mut lines = Vec::with_capacity(8);
        lines.extend(self.mtu.map(|mtu| Line::Mtu(mtu.into())));
        lines.extend([
            Line::SpanningTreeOff(Spelling::Dash),
            Line::ServicePorts { outer, link },
            Line::ForwardDelayZero(Spelling::Dash),
            Line::VlanAware,
            Line::AllVlans,
        ]);
        lines.extend(self.here.profile.bridge_lines().map(Line::OfProfile));
        part.add(Stanza { name: self.inner, lines });
        part.notes.extend(vlan_aware_notes(true, self.here.profile));
        part
    }

    fn vnet(&self, id: &'a VnetId, vnet: &'a Vnet) -> Result<Part<'a>, LeftOut> {
        let vlan_aware = vnet.is_vlan_aware();
        let mut part = Part::default();
        let uplink = match vnet.tag {
            None => self.untagged[1],
            Some(tag) => {
                let inner = self.inner.vlan(tag.get());
                part.notes.extend(inner.complaint());
                let mtu = self.mtu.map_or(PLAIN_MTU, u64::from);
                part.stanzas_of_profile(self.here, inner, Some(mtu));
                let notes = self.here.profile.vlan_port_notes().filter(|_| vlan_aware);
                part.notes.extend(notes.map(str::to_owned));
                inner
            }
        };
        let mut lines: Vec<_> = self.here.dhcp_server_lines(vnet).collect();
        lines.extend(bridge_lines(Some(uplink), vlan_aware, self.here.profile));
        lines.extend(self.mtu.map(|mtu| Line::Mtu(mtu.into())));
        lines.extend(comment(vnet.alias.as_ref()));
        part.add(Stanza { name: Name::vnet(id), lines });
        part.notes.extend(vlan_aware_notes(vlan_aware, self.here.profile));
        Ok(part)
    }
}

//! Simple zones: a bridge without ports, with the gateways of its subnets
//! (`pve-rendering.md` §1.3).

use super::name::Name;
use super::routed::subnets;
use super::stanza::{Line, Stanza, bridge_lines, comment};
use super::{Here, LeftOut, Part, ZoneType, vlan_aware_notes};
use crate::network::{Vnet, Zone};
use crate::value::{Mtu, VnetId};

/// A simple zone on one node.
pub(super) struct Simple<'a> {
    here: &'a Here<'a>,
    mtu: Option<Mtu>,
}

impl<'a> Simple<'a> {
    pub(super) fn new(zone: &Zone, here: &'a Here<'a>) -> Self {
        Self { here, mtu: zone.mtu }
    }
}

impl<'a> ZoneType<'a> for Simple<'a> {
    fn vnet(&self, id: &'a VnetId, vnet: &'a Vnet) -> Result<Part<'a>, LeftOut> {
        let mut subnets = subnets(id, vnet, Some(&self.here.outside), true);
        let mut lines = subnets.lines;
        lines.extend(bridge_lines(None, vnet.is_vlan_aware(), self.here.profile));
        lines.extend(self.mtu.map(|mtu| Line::Mtu(mtu.into())));
        lines.extend(comment(vnet.alias.as_ref()));
        lines.extend(subnets.forwards.into_iter().flatten().map(Line::Forward));
        subnets.notes.extend(vlan_aware_notes(vnet.is_vlan_aware(), self.here.profile));
        let mut part = Part { notes: subnets.notes, ..Part::default() };
        part.add(Stanza { name: Name::vnet(id), lines });
        Ok(part)
    }
}

//! VLANs that leave a bridge that filters by an interface of their own, such as `vmbr0.10`.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::interface::{Interface, Kind, vlan_of};
use crate::plan::kernel::{Kernel, Link, PortVlan};
use crate::plan::network::Target;
use crate::plan::step::NetworkStep;
use crate::value::IfName;

impl Target {
    /// The VLANs that leave a bridge that filters by an interface of their own, and that it does
    /// not carry to itself yet: ifupdown2 adds them with the interface.
    pub(super) fn untagged_here<'a>(
        &'a self,
        link: impl Fn(&str) -> Option<&'a Link> + 'a,
    ) -> impl Iterator<Item = (&'a str, u16)> + 'a {
        tagged(&self.wanted).filter(move |(device, id)| {
            let aware = self
                .wanted
                .get(*device)
                .is_some_and(|wanted| matches!(wanted.kind, Kind::Bridge { vlan_aware: true, .. }));
            let device = link(device);
            device.is_some_and(|link| (link.vlan_filtering || aware) && !carries(link, *id))
        })
    }

    /// Takes VLANs from bridges that no interface of theirs takes any more: ifupdown2 leaves
    /// those of interfaces that have no stanza.
    pub(in crate::plan) fn no_longer_here(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let wanted: BTreeSet<(&str, u16)> = tagged(&self.wanted).collect();
        let made: BTreeSet<&str> = self
            .before
            .iter()
            .flat_map(|(name, old)| old.implied().chain([name.as_str()]))
            .collect();
        let others: BTreeSet<(&str, u16)> = kernel
            .links
            .iter()
            .filter(|(name, _)| !made.contains(name.as_str()))
            .filter_map(|(_, link)| Some((link.lower.as_deref()?, link.vlan.as_ref()?.0)))
            .collect();
        let gone =
            tagged(&self.before).filter(|vlan| !wanted.contains(vlan) && !others.contains(vlan));
        gone.filter(|(device, id)| {
            let device = kernel.links.get(*device);
            device.is_some_and(|link| link.vlan_filtering && carries(link, *id))
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|(bridge, id)| {
            let remove = vec![PortVlan { first: id, last: id, pvid: false, untagged: false }];
            NetworkStep::SetPortVlans { port: bridge.to_owned(), remove, add: Vec::new() }
        })
        .collect()
    }
}

/// The VLANs of interfaces, each with what it is a VLAN of.
fn tagged(interfaces: &BTreeMap<IfName, Interface>) -> impl Iterator<Item = (&str, u16)> {
    interfaces.values().flat_map(|interface| {
        let own = match &interface.kind {
            Kind::Vlan { device, id, .. } => Some((device.as_str(), *id)),
            _ => None,
        };
        interface.implied().filter_map(vlan_of).chain(own)
    })
}

/// Whether a bridge or a port of one has a VLAN.
fn carries(link: &Link, id: u16) -> bool {
    link.vlans.iter().any(|vlan| (vlan.first..=vlan.last).contains(&id))
}

//! The VLANs by which bridges of a node are joined with those of others.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::interface::{Interface, Kind, vlan_of};
use crate::plan::stanza::option;
use crate::value::IfName;

/// The tags of every bridge that leaves the node by a VLAN and that no other bridge lies on,
/// such as `5`, or `9.5` for the VLAN 5 within the VLAN 9.
pub(super) fn tags(
    interfaces: &BTreeMap<IfName, Interface>,
) -> BTreeMap<&IfName, BTreeSet<String>> {
    let bridges = || interfaces.iter().filter(|(_, interface)| interface.is_bridge());
    let joins =
        bridges().flat_map(|(name, bridge)| bridge.ports().map(move |port| (port, name.as_str())));
    let cabling = Cabling { interfaces, bridge_of: joins.collect() };
    let below: BTreeSet<&str> = bridges()
        .flat_map(|(_, bridge)| bridge.ports())
        .filter_map(|port| Some(cabling.vlan(port)?.0))
        .collect();
    let tops = bridges().filter(|(name, _)| !below.contains(name.as_str()));
    let tags = tops.map(|(name, _)| (name, cabling.tags(name.as_str(), &mut BTreeSet::new())));
    tags.filter(|(_, tags)| !tags.is_empty()).collect()
}

struct Cabling<'a> {
    interfaces: &'a BTreeMap<IfName, Interface>,
    bridge_of: BTreeMap<&'a str, &'a str>,
}

impl<'a> Cabling<'a> {
    fn kind(&self, name: &str) -> Option<&'a Kind> {
        self.interfaces.get(name).map(|interface| &interface.kind)
    }

    /// The VLAN that a port is, and of what.
    fn vlan(&self, port: &'a str) -> Option<(&'a str, u16)> {
        match self.kind(port) {
            Some(Kind::Vlan { device, id, .. }) => Some((device, *id)),
            _ => vlan_of(port),
        }
    }

    /// The bridge that frames of a port go on to.
    fn further(&self, port: &'a str) -> Option<&'a str> {
        if let Some((device, _)) = self.vlan(port) {
            return Some(device);
        }
        match self.kind(port) {
            Some(Kind::Veth { peer: Some(peer) }) => self.bridge_of.get(peer.as_str()).copied(),
            _ => None,
        }
    }

    fn tags(&self, bridge: &'a str, seen: &mut BTreeSet<&'a str>) -> BTreeSet<String> {
        let Some(interface) = self.interfaces.get(bridge).filter(|_| seen.insert(bridge)) else {
            return BTreeSet::new();
        };
        let ports: Vec<&str> = interface.ports().collect();
        let mut found = BTreeSet::new();
        for port in ports {
            let outer = self.further(port).map(|next| self.tags(next, seen)).unwrap_or_default();
            let own = self.vlan(port).map(|(_, id)| id).or_else(|| self.of_ovs(port));
            match own {
                None => found.extend(outer),
                Some(id) if outer.is_empty() => drop(found.insert(id.to_string())),
                Some(id) => found.extend(outer.into_iter().map(|outer| format!("{outer}.{id}"))),
            }
        }
        found
    }

    /// The tag of a port of Open vSwitch.
    fn of_ovs(&self, port: &str) -> Option<u16> {
        let interface =
            self.interfaces.get(port).filter(|port| matches!(port.kind, Kind::OvsPort { .. }))?;
        let options = interface.lines.iter().find(|line| option(line) == "ovs-options")?;
        options.split_whitespace().find_map(|word| word.strip_prefix("tag=")?.parse().ok())
    }
}

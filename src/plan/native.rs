//! The single changes that bring a kernel to what is wanted, without ifupdown2.
//!
//! A difference of three: what is wanted, what the kernel has, and what was asked for until
//! now, by which is known what is weft's. Nothing is touched that is as it should be. What is
//! made is made before anything goes, but for what stands in its way.

mod made;
mod port;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::made::{as_made, forget, made};
use self::port::port_vlans;
use super::interface::{Interface, Kind, vlan_of};
use super::kernel::{Kernel, Link, PortVlan};
use super::network::Target;
use super::order::{Order, ordered};
use super::rule::Family;
use super::step::{BridgeSettings, Make, NetworkStep};
use super::verify::Mismatch;
use crate::value::IfName;

/// The tables that ifupdown2 gives to VRFs that ask for any
/// (`vrf-table-id-start` and `-end` of its policy).
const VRF_TABLES: std::ops::RangeInclusive<u32> = 1001..=5000;

/// What is done to a kernel, by kind, so that each name is there when it is used.
#[derive(Default)]
struct Work {
    removals: Vec<NetworkStep>,
    creations: Vec<NetworkStep>,
    settings: Vec<NetworkStep>,
    routes: Vec<NetworkStep>,
    /// Interfaces as they are when the creations are done.
    links: BTreeMap<String, Link>,
}

impl Target {
    /// What the kernel lacks of what is wanted, and what stands in the way of it.
    pub(super) fn native(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let mut work = Work { links: kernel.links.clone(), ..Work::default() };
        self.clear(kernel, &mut work);
        let order = ordered(self.wanted.keys().collect(), &self.wanted, Order::BottomFirst);
        for name in &order {
            let Some(wanted) = self.wanted.get(name) else { continue };
            create_implied(wanted, &mut work);
            self.set_ovs_port(name, wanted, &mut work);
            create(name, wanted, kernel, &mut work);
        }
        // Before anything joins: what a bridge had and what it gets are never joined by it.
        self.leave(&mut work);
        for name in &order {
            let Some(wanted) = self.wanted.get(name) else { continue };
            self.set(name, wanted, kernel, &mut work);
        }
        for family in self.not_last(kernel) {
            work.settings.push(NetworkStep::AddLocalRule { family });
            work.settings.push(NetworkStep::DropLocalRule { family });
        }
        for (bridge, id) in self.untagged_here(&work.links) {
            let add = vec![PortVlan { first: id, last: id, pvid: false, untagged: false }];
            let (port, remove) = (bridge.to_owned(), Vec::new());
            work.settings.push(NetworkStep::SetPortVlans { port, remove, add });
        }
        let Work { removals, creations, settings, routes, .. } = work;
        [removals, creations, settings, routes].concat()
    }

    /// Takes away what cannot become what is wanted, with what goes with it, and what is not
    /// wanted and holds what something wanted needs.
    fn clear(&self, kernel: &Kernel, work: &mut Work) {
        let recreated: Vec<(&IfName, String)> = self.recreated(kernel).collect();
        for (name, because) in recreated {
            // The other end of a cable went with the first.
            if work.links.contains_key(name.as_str()) {
                let is_ovs = work.links[name.as_str()].kind.as_deref() == Some("openvswitch");
                let interface = name.clone();
                // The kernel deletes none that Open vSwitch made.
                work.removals.push(if is_ovs {
                    NetworkStep::DeleteOvsPort { interface }
                } else {
                    NetworkStep::Remake { interface, because }
                });
                forget(name.as_str(), &mut work.links);
            }
        }
        let wanted = self.wanted.iter().filter(|(name, _)| !work.links.contains_key(name.as_str()));
        let needs: Vec<&Kind> = wanted.map(|(_, wanted)| &wanted.kind).collect();
        for (name, _) in self.gone() {
            let link = work.links.get(name.as_str());
            if link.is_some_and(|link| needs.iter().any(|kind| is_taken_by(kind, link))) {
                work.removals.push(NetworkStep::Delete { interface: name.clone() });
                forget(name.as_str(), &mut work.links);
            }
        }
    }

    /// Sets a port of Open vSwitch that is there as its stanza has it now: what Open vSwitch has
    /// of it is not read, so that the stanza of before must tell.
    fn set_ovs_port(&self, name: &IfName, wanted: &Interface, work: &mut Work) {
        let (Kind::OvsPort { bridge: Some(bridge), options }, Some(old)) =
            (&wanted.kind, self.before.get(name))
        else {
            return;
        };
        let is_there = work.links.contains_key(name.as_str());
        if old.kind == wanted.kind || !is_there {
            return;
        }
        let Ok(new) = bridge.parse::<IfName>() else { return };
        if !matches!(&old.kind, Kind::OvsPort { bridge: Some(old), .. } if old == bridge) {
            work.creations.push(NetworkStep::DeleteOvsPort { interface: name.clone() });
            work.links.insert(name.to_string(), made("openvswitch"));
        }
        let (interface, options) = (name.clone(), options.clone());
        work.creations.push(NetworkStep::SetOvsPort { interface, bridge: new, options });
    }

    /// What is set of an interface that is there or was just made.
    fn set(&self, name: &IfName, wanted: &Interface, kernel: &Kernel, work: &mut Work) {
        let Some(link) = work.links.get(name.as_str()).cloned() else { return };
        let is_new = kernel.links.get(name.as_str()).is_none_or(|found| found.index != link.index);
        let interface = || name.clone();
        let mut steps = Vec::new();
        let mut say = |step: NetworkStep| steps.push(step);
        if let Some(settings) = bridge_settings(wanted, &link) {
            // While it speaks the protocol the kernel takes no delay below two seconds.
            let (off, rest) = spanning_tree_first(settings);
            for settings in off.into_iter().chain(rest) {
                say(NetworkStep::SetBridge { interface: interface(), settings });
            }
        }
        if let Some(mac) = wanted.mac.as_ref().filter(|mac| link.mac.as_ref() != Some(*mac)) {
            say(NetworkStep::SetMac { interface: interface(), mac: mac.clone() });
        }
        if let Some(mtu) = wanted.mtu.filter(|mtu| *mtu != link.mtu) {
            say(NetworkStep::SetMtu { interface: interface(), mtu });
        }
        if wanted.alias.is_some() && wanted.alias != link.alias {
            say(NetworkStep::SetAlias { interface: interface(), alias: wanted.alias.clone() });
        }
        // Before the addresses: a VRF takes away those of IPv6.
        let vrf = wanted.vrf.as_ref().filter(|vrf| link.master.as_ref() != Some(*vrf));
        if let Some(master) = vrf.and_then(|vrf| vrf.parse().ok()) {
            say(NetworkStep::SetMaster { interface: interface(), master: Some(master) });
        }
        let before = self.before.get(name);
        for address in &wanted.addresses {
            // One of the link alone is not read back.
            let unread = is_of_link(address)
                && !is_new
                && before.is_some_and(|before| before.addresses.contains(address));
            if !link.addresses.contains(address) && !unread {
                say(NetworkStep::AddAddress { interface: interface(), address: *address });
            }
        }
        let surplus = link.addresses.difference(&wanted.addresses);
        for address in surplus.filter(|_| !wanted.is_own()) {
            say(NetworkStep::RemoveAddress { interface: interface(), address: *address });
        }
        for family in forwards(wanted, &link).difference(&link.forwards) {
            let protocol = if *family == Family::V4 { "ipv4" } else { "ipv6" };
            say(switch(name, protocol, "forwarding"));
        }
        if wanted.accepts_arp && !link.accepts_arp {
            say(switch(name, "ipv4", "arp_accept"));
        }
        if let Kind::Vxlan { remotes, .. } = &wanted.kind {
            let tunnel = link.tunnel.clone().unwrap_or_default();
            for remote in remotes.difference(&tunnel.remotes) {
                say(NetworkStep::AddRemote { interface: interface(), remote: *remote });
            }
        }
        if let Kind::Bridge { ports, vlan_aware, vlans, .. } = &wanted.kind {
            let vlans = vlan_aware.then_some(vlans.as_slice());
            for port in ports {
                steps.extend(self.set_port(name, port, vlans, work));
            }
        }
        if !link.up {
            steps.push(NetworkStep::SetUp { interface: interface() });
        }
        if let (Some(wanted), Some(table)) = (wanted.unreachable, link.table)
            && wanted != kernel.unreachable.contains(&table)
        {
            steps.push(NetworkStep::SetUnreachable { interface: interface(), table, on: wanted });
        }
        work.settings.append(&mut steps);
        for route in &wanted.routes {
            if is_new || !kernel.routes.contains(&(*route, name.to_string())) {
                let step = NetworkStep::AddRoute { interface: interface(), destination: *route };
                work.routes.push(step);
            }
        }
    }

    /// The versions of IP of which own addresses are looked up before those of VRFs, where there
    /// are to be any: what is for an address of a VRF would be the node's.
    fn not_last<'a>(&self, kernel: &'a Kernel) -> impl Iterator<Item = Family> + 'a {
        let has_vrf = self.wanted.values().any(|wanted| wanted.kind == Kind::Vrf);
        kernel.own_addresses_first.iter().copied().filter(move |_| has_vrf)
    }

    /// What a kernel has otherwise than wanted, beside what every engine is held to.
    pub(super) fn native_differences(&self, kernel: &Kernel) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for (name, wanted) in &self.wanted {
            let Some(link) = kernel.links.get(name.as_str()) else { continue };
            if let Some(settings) = bridge_settings(wanted, link) {
                found.push(Mismatch::new(name.as_str(), format!("lacks {settings}")));
            }
            let more = &forwards(wanted, link) - &wanted.forwards;
            for family in more.difference(&link.forwards) {
                let message = format!("does not forward {}", family.as_str());
                found.push(Mismatch::new(name.as_str(), message));
            }
            if let Some(message) = self.engine.learns_otherwise(wanted, link) {
                found.push(Mismatch::new(name.as_str(), message));
            }
            let Kind::Bridge { ports, vlan_aware, vlans, .. } = &wanted.kind else { continue };
            for port in ports {
                let Some(link) = kernel.links.get(port) else { continue };
                if *vlan_aware && link.vlans != port_vlans(vlans) {
                    found.push(Mismatch::new(port, format!("has not the VLANs of `{name}`")));
                }
            }
        }
        for family in self.not_last(kernel) {
            let message =
                format!("the node's own {} addresses come before those of VRFs", family.as_str());
            found.push(Mismatch::of_node(&message));
        }
        for (bridge, id) in self.untagged_here(&kernel.links) {
            found.push(Mismatch::new(bridge, format!("does not carry VLAN {id} to itself")));
        }
        found
    }
}

/// What an interface is to forward. A bridge in a VRF forwards all that it can, as ifupdown2
/// has it: what comes from the tunnels of an EVPN zone comes by one of which no line says so.
fn forwards(wanted: &Interface, link: &Link) -> BTreeSet<Family> {
    let mut forwards = wanted.forwards.clone();
    if wanted.is_bridge() && wanted.vrf.is_some() {
        forwards.insert(Family::V4);
        forwards.extend((!link.ipv6_off).then_some(Family::V6));
    }
    forwards
}

/// Makes an interface, unless it is there or nothing can be made.
fn create(name: &IfName, wanted: &Interface, kernel: &Kernel, work: &mut Work) {
    if work.links.contains_key(name.as_str()) {
        return;
    }
    let interface = || name.clone();
    let name_of = |name: &String| name.parse::<IfName>().ok();
    let make = match &wanted.kind {
        Kind::Own => None,
        Kind::Bridge { .. } => Some(Make::Bridge),
        Kind::Vxlan { id, port, local, .. } => {
            let learning = wanted.kind.device_learns();
            Some(Make::Vxlan { id: *id, port: *port, local: *local, learning })
        }
        Kind::Veth { peer } => peer.as_ref().and_then(name_of).map(|peer| Make::Veth { peer }),
        Kind::Vlan { device, id, protocol } => {
            name_of(device).map(|device| Make::Vlan { device, id: *id, protocol: protocol.clone() })
        }
        Kind::Vrf => table_of(name, kernel, work).map(|table| Make::Vrf { table }),
        Kind::Dummy => Some(Make::Dummy),
        Kind::OvsPort { bridge, options } => {
            if let Some(bridge) = bridge.as_ref().and_then(name_of) {
                let (interface, options) = (interface(), options.clone());
                let step = NetworkStep::SetOvsPort { interface, bridge, options };
                work.creations.push(step);
                work.links.insert(name.to_string(), made("openvswitch"));
            }
            None
        }
    };
    if let Some(make) = make {
        if let Make::Veth { peer } = &make {
            let other = Link { lower: Some(name.to_string()), ..made("veth") };
            work.links.insert(peer.to_string(), other);
        }
        if let Make::Vrf { table } = make
            && kernel.tables.get(name.as_str()) != Some(&table)
        {
            work.creations.push(NetworkStep::NameTable { interface: interface(), table });
        }
        work.links.insert(name.to_string(), as_made(&make));
        work.creations.push(NetworkStep::Create { interface: interface(), make });
    }
}

/// Makes the ports of a bridge that are VLANs by their names and have no stanza.
fn create_implied(wanted: &Interface, work: &mut Work) {
    for port in wanted.implied() {
        let Some((device, id)) = vlan_of(port) else { continue };
        let (Ok(interface), Ok(device)) = (port.parse::<IfName>(), device.parse::<IfName>()) else {
            continue;
        };
        // One with a stanza is made before the bridge.
        if !work.links.contains_key(port) && work.links.contains_key(device.as_str()) {
            let make = Make::Vlan { device, id, protocol: "802.1q".to_owned() };
            work.links.insert(port.to_owned(), as_made(&make));
            work.creations.push(NetworkStep::Create { interface, make });
        }
    }
}

/// What is to be set of a bridge, or of an interface of the node's own that is one.
fn bridge_settings(wanted: &Interface, link: &Link) -> Option<BridgeSettings> {
    let mut settings = BridgeSettings::default();
    if let Kind::Bridge { vlan_aware, stp, forward_delay, .. } = &wanted.kind {
        settings.stp = stp.filter(|stp| *stp != link.stp);
        settings.forward_delay = forward_delay.filter(|delay| *delay != link.forward_delay);
        settings.vlan_filtering = Some(*vlan_aware).filter(|aware| *aware != link.vlan_filtering);
    }
    let protocol = wanted.vlan_protocol.clone();
    settings.vlan_protocol = protocol.filter(|asked| link.vlan_protocol.as_ref() != Some(asked));
    (settings != BridgeSettings::default()).then_some(settings)
}

/// Settings of a bridge as those that go before, if any, and the others.
fn spanning_tree_first(
    settings: BridgeSettings,
) -> (Option<BridgeSettings>, Option<BridgeSettings>) {
    if settings.stp != Some(false) {
        return (None, Some(settings));
    }
    let off = BridgeSettings { stp: Some(false), ..BridgeSettings::default() };
    let rest = BridgeSettings { stp: None, ..settings };
    (Some(off), (rest != BridgeSettings::default()).then_some(rest))
}

/// The table of a VRF that is not there: the one that it had, or the first that nobody has.
fn table_of(name: &IfName, kernel: &Kernel, work: &Work) -> Option<u32> {
    let mut used: BTreeSet<u32> = work.links.values().filter_map(|link| link.table).collect();
    let had = kernel.tables.get(name.as_str()).filter(|table| !used.contains(table));
    used.extend(kernel.tables.values());
    had.copied().or_else(|| VRF_TABLES.clone().find(|table| !used.contains(table)))
}

/// Whether an interface has what another one of this kind needs for itself.
fn is_taken_by(kind: &Kind, link: &Link) -> bool {
    match kind {
        Kind::Vxlan { id, port, .. } => {
            let tunnel = link.tunnel.as_ref();
            tunnel.is_some_and(|tunnel| (tunnel.id, tunnel.port) == (*id, *port))
        }
        Kind::Vlan { device, id, protocol } => {
            let vlan = link.vlan.as_ref();
            link.lower.as_ref() == Some(device)
                && vlan.is_some_and(|(is, tag)| (is, tag) == (id, protocol))
        }
        _ => false,
    }
}

/// Sets a switch of an interface on.
fn switch(name: &IfName, protocol: &str, key: &str) -> NetworkStep {
    NetworkStep::SetSysctl {
        name: format!("net/{protocol}/conf/{name}/{key}"),
        value: "1".to_owned(),
    }
}

fn is_of_link(net: &ipnet::IpNet) -> bool {
    matches!(net, ipnet::IpNet::V6(net) if net.addr().is_unicast_link_local())
}

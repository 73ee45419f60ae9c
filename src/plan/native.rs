//! The single changes that bring a kernel to what is wanted, without ifupdown2.
//!
//! A difference of three: what is wanted, what the kernel has, and what was asked for until
//! now, by which is known what is weft's. Nothing is touched that is as it should be. What is
//! made is made before anything goes, but for what stands in its way.

mod address;
mod links;
mod made;
mod port;
mod table;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::address::Addressed;
use self::links::Links;
use self::made::{Standing, as_made, made};
use self::port::port_vlans;
use self::table::Tables;
use super::interface::{Interface, Kind, vlan_of};
use super::kernel::{Kernel, Link, LocalRule, PortVlan};
use super::network::Target;
use super::order::{Order, ordered};
use super::rule::Family;
use super::step::{BridgeSettings, Make, NetworkStep};
use super::verify::Mismatch;
use crate::value::IfName;

/// What is done to a kernel, by kind, so that each name is there when it is used.
struct Work<'a> {
    removals: Vec<NetworkStep>,
    creations: Vec<NetworkStep>,
    settings: Vec<NetworkStep>,
    routes: Vec<NetworkStep>,
    /// Interfaces as they are when the creations are done.
    links: Links<'a>,
    tables: Tables,
    /// Whether an interface that is made has IPv6: without it a kernel has no values of it.
    has_ipv6: bool,
}

impl Target {
    /// What the kernel lacks of what is wanted, and what stands in the way of it.
    pub(super) fn native(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let has_ipv6 = !kernel.links.values().all(|link| link.ipv6_off);
        let mut work = Work {
            removals: Vec::new(),
            creations: Vec::new(),
            settings: Vec::new(),
            routes: Vec::new(),
            links: Links::of(&kernel.links),
            tables: Tables::default(),
            has_ipv6,
        };
        self.clear(kernel, &mut work);
        work.tables = Tables::of(&self.wanted, kernel, &work.links);
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
        for (family, is, should) in self.local_rules(kernel) {
            if !kernel.local_rules.contains(&(family, should)) {
                work.settings.push(NetworkStep::AddLocalRule { family, rule: should });
            }
            work.settings.push(NetworkStep::DropLocalRule { family, rule: is });
        }
        for (bridge, id) in self.untagged_here(|name| work.links.get(name)) {
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
        let ours = self.misfits(kernel).filter(|(name, _)| self.is_ours(name.as_str()));
        let recreated = self.recreated(kernel).map(|(name, because)| (name.clone(), because));
        let recreated: Vec<(IfName, String)> = recreated.chain(ours).collect();
        let standing = Standing::of(&kernel.links);
        for (name, because) in &recreated {
            // The other end of a cable went with the first.
            if let Some(link) = work.links.get(name.as_str()) {
                let is_ovs = link.kind.as_deref() == Some("openvswitch");
                let interface = name.clone();
                // The kernel deletes none that Open vSwitch made.
                work.removals.push(if is_ovs {
                    NetworkStep::DeleteOvsPort { interface }
                } else {
                    NetworkStep::Remake { interface, because: because.clone() }
                });
                standing.forget(name.as_str(), &mut work.links);
            }
        }
        let wanted = self.wanted.iter().filter(|(name, _)| !work.links.has(name.as_str()));
        let needs: BTreeSet<Place<'_>> =
            wanted.filter_map(|(_, wanted)| Place::needed(&wanted.kind)).collect();
        for (name, _) in self.gone() {
            let place = work.links.get(name.as_str()).and_then(Place::held);
            if place.is_some_and(|place| needs.contains(&place)) {
                work.removals.push(NetworkStep::Delete { interface: name.clone() });
                standing.forget(name.as_str(), &mut work.links);
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
        let is_there = work.links.has(name.as_str());
        if old.kind == wanted.kind || !is_there {
            return;
        }
        let Ok(new) = bridge.parse::<IfName>() else { return };
        if !matches!(&old.kind, Kind::OvsPort { bridge: Some(old), .. } if old == bridge) {
            work.creations.push(NetworkStep::DeleteOvsPort { interface: name.clone() });
            work.links.insert(name.as_str(), made("openvswitch"));
        }
        let (interface, options) = (name.clone(), options.clone());
        work.creations.push(NetworkStep::SetOvsPort { interface, bridge: new, options });
    }

    /// What is set of an interface that is there or was just made.
    fn set(&self, name: &IfName, wanted: &Interface, kernel: &Kernel, work: &mut Work) {
        let Some(link) = work.links.get(name.as_str()) else { return };
        let is_new = kernel.links.get(name.as_str()).is_none_or(|found| found.index != link.index);
        let interface = || name.clone();
        let mut steps = Vec::new();
        let mut say = |step: NetworkStep| steps.push(step);
        if let Some(settings) = bridge_settings(wanted, link) {
            // While it speaks the protocol the kernel takes no delay below two seconds.
            let (off, rest) = spanning_tree_first(settings);
            for settings in off.into_iter().chain(rest) {
                say(NetworkStep::SetBridge { interface: interface(), settings });
            }
        }
        if let Some(mac) = wanted.mac.as_ref().filter(|mac| link.mac.as_ref() != Some(*mac)) {
            say(NetworkStep::SetMac { interface: interface(), mac: mac.clone() });
        }
        if let Some(mac) = self.own_mac(name, wanted, link, kernel) {
            say(NetworkStep::SetMac { interface: interface(), mac });
        }
        if let Some(mtu) = wanted.mtu.filter(|mtu| *mtu != link.mtu) {
            say(wanted.setting_mtu(name, mtu, self.engine));
        }
        if wanted.alias.is_some() && wanted.alias != link.alias {
            say(NetworkStep::SetAlias { interface: interface(), alias: wanted.alias.clone() });
        }
        // Before the addresses: a VRF takes away those of IPv6.
        let vrf = self.other_vrf(name, wanted, link);
        let is_moved = (vrf.is_some() && link.up) || is_let_go(name, link, kernel);
        vrf.into_iter().for_each(&mut say);
        let state = (link, is_new, is_moved);
        let Addressed { addresses, routes } = self.address((name, wanted), state, kernel);
        addresses.into_iter().for_each(&mut say);
        work.routes.extend(routes);
        for family in forwards(wanted, link).difference(&link.forwards) {
            let protocol = if *family == Family::V4 { "ipv4" } else { "ipv6" };
            say(switch(name, protocol, "forwarding"));
        }
        if wanted.accepts_arp && !link.accepts_arp {
            say(switch(name, "ipv4", "arp_accept"));
        }
        if let Kind::Vxlan { remotes, local, .. } = &wanted.kind {
            let tunnel = link.tunnel.clone().unwrap_or_default();
            let (local, learning) = (*local, wanted.kind.device_learns());
            if (tunnel.local, tunnel.learning) != (local, learning) {
                say(NetworkStep::SetTunnel { interface: interface(), local, learning });
            }
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
    }

    /// The MAC address of a bridge that has one still which it was given and is not given any
    /// more: the lowest of its ports', as the kernel gives it. On several nodes the one that was
    /// given is the same.
    fn own_mac(
        &self,
        name: &IfName,
        wanted: &Interface,
        link: &Link,
        kernel: &Kernel,
    ) -> Option<String> {
        let old = self.before.get(name)?.mac.as_ref().filter(|_| wanted.is_bridge())?;
        if wanted.mac.is_some() || link.mac.as_ref() != Some(old) {
            return None;
        }
        kernel.ports(name.as_str()).filter_map(|(_, port)| port.mac.clone()).min()
    }

    /// What puts an interface into the VRF that it is to be in, or out of the one that it is in.
    /// What the administrator put somewhere stays, but for a bridge of ours.
    fn other_vrf(&self, name: &IfName, wanted: &Interface, link: &Link) -> Option<NetworkStep> {
        let is = link.master.as_deref();
        let master = if let Some(vrf) = wanted.vrf.as_deref() {
            Some(vrf.parse().ok().filter(|_| is != Some(vrf))?)
        } else {
            let had = self.before.get(name).and_then(|before| before.vrf.as_deref());
            is.filter(|is| wanted.is_bridge() || had == Some(is))?;
            None
        };
        Some(NetworkStep::SetMaster { interface: name.clone(), master })
    }

    /// The versions of IP of which own addresses are looked up at the wrong time, with the rule
    /// that is there and the right one. Where there is a VRF, what is for an address of it would be
    /// the node's; where weft's last one goes and nobody else has any, it is as it was before.
    fn local_rules<'a>(
        &self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = (Family, LocalRule, LocalRule)> + 'a {
        let is_others = |(name, link): (&String, &Link)| {
            link.kind.as_deref() == Some("vrf") && !self.is_ours(name)
        };
        let (is, should) = if self.wanted.values().any(|wanted| wanted.kind == Kind::Vrf) {
            (LocalRule::First, LocalRule::Last)
        } else {
            (LocalRule::Last, LocalRule::First)
        };
        let counts = should == LocalRule::Last || !kernel.links.iter().any(is_others);
        let rules = kernel.local_rules.iter().filter(move |(_, rule)| counts && *rule == is);
        rules.map(move |(family, _)| (*family, is, should))
    }

    /// What a kernel has otherwise than wanted, beside what every engine is held to.
    pub(super) fn native_differences(&self, kernel: &Kernel) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for (name, wanted) in &*self.wanted {
            let Some(link) = kernel.links.get(name.as_str()) else { continue };
            if let Some(settings) = bridge_settings(wanted, link) {
                found.push(Mismatch::new(name.as_str(), format!("lacks {settings}")));
            }
            let more = &forwards(wanted, link) - &wanted.forwards;
            for family in more.difference(&link.forwards) {
                let message = format!("does not forward {}", family.as_str());
                found.push(Mismatch::new(name.as_str(), message));
            }
            let learns = link.tunnel.as_ref().map(|tunnel| tunnel.learning);
            if learns.is_some_and(|learns| learns != wanted.kind.device_learns()) {
                let is = if learns == Some(true) { "learns" } else { "does not learn" };
                found.push(Mismatch::new(name.as_str(), format!("{is} where other ends are")));
            }
            let leaves = self.other_vrf(name, wanted, link).filter(|_| !wanted.is_bridge());
            if matches!(leaves, Some(NetworkStep::SetMaster { master: None, .. })) {
                let is = link.master.as_deref().unwrap_or_default();
                found.push(Mismatch::new(name.as_str(), format!("is still in `{is}`")));
            }
            let Kind::Bridge { ports, vlan_aware, vlans, .. } = &wanted.kind else { continue };
            for port in ports {
                let Some(link) = kernel.links.get(port) else { continue };
                if *vlan_aware && link.vlans != port_vlans(vlans) {
                    found.push(Mismatch::new(port, format!("has not the VLANs of `{name}`")));
                }
            }
        }
        for (family, is, _) in self.local_rules(kernel) {
            let message =
                format!("the node's own {} addresses are looked up {is}", family.as_str());
            found.push(Mismatch::of_node(&message));
        }
        for (bridge, id) in self.untagged_here(|name| kernel.links.get(name)) {
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
    if work.links.has(name.as_str()) {
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
        Kind::Vrf => work.tables.take(name, kernel).map(|table| Make::Vrf { table }),
        Kind::Dummy => Some(Make::Dummy),
        Kind::OvsPort { bridge, options } => {
            if let Some(bridge) = bridge.as_ref().and_then(name_of) {
                let (interface, options) = (interface(), options.clone());
                let step = NetworkStep::SetOvsPort { interface, bridge, options };
                work.creations.push(step);
                work.links.insert(name.as_str(), made("openvswitch"));
            }
            None
        }
    };
    if let Some(make) = make {
        if let Make::Veth { peer } = &make {
            let other = Link { lower: Some(name.to_string()), ..made("veth") };
            work.links.insert(peer.as_str(), other);
        }
        if let Make::Vrf { table } = make
            && kernel.tables.get(name.as_str()) != Some(&table)
        {
            work.creations.push(NetworkStep::NameTable { interface: interface(), table });
        }
        work.links.insert(name.as_str(), as_made(&make));
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
        if !work.links.has(port) && work.links.has(device.as_str()) {
            let make = Make::Vlan { device, id, protocol: "802.1q".to_owned() };
            work.links.insert(port, as_made(&make));
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

/// Whether the kernel took down an interface and set it up again because the VRF that it was in
/// went away.
fn is_let_go(name: &IfName, link: &Link, kernel: &Kernel) -> bool {
    let found = kernel.links.get(name.as_str()).filter(|found| found.up);
    let was = found.and_then(|found| found.master.as_ref()).filter(|_| link.master.is_none());
    let was = was.and_then(|master| kernel.links.get(master));
    was.is_some_and(|master| master.kind.as_deref() == Some("vrf"))
}

/// What only one interface can have.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    /// A VXLAN network identifier on a UDP port.
    Tunnel { id: u32, port: u16 },
    /// A VLAN of another interface.
    Vlan { device: &'a str, id: u16, protocol: &'a str },
}

impl<'a> Place<'a> {
    /// What an interface of a kind needs.
    fn needed(kind: &'a Kind) -> Option<Self> {
        match kind {
            Kind::Vxlan { id, port, .. } => Some(Self::Tunnel { id: *id, port: *port }),
            Kind::Vlan { device, id, protocol } => Some(Self::Vlan { device, id: *id, protocol }),
            _ => None,
        }
    }

    /// What one has.
    fn held(link: &'a Link) -> Option<Self> {
        let tunnel = link.tunnel.as_ref();
        tunnel.map(|tunnel| Self::Tunnel { id: tunnel.id, port: tunnel.port }).or_else(|| {
            let ((id, protocol), device) = (link.vlan.as_ref()?, link.lower.as_deref()?);
            Some(Self::Vlan { device, id: *id, protocol })
        })
    }
}

/// Sets a switch of an interface on.
fn switch(name: &IfName, protocol: &str, key: &str) -> NetworkStep {
    NetworkStep::SetSysctl {
        name: format!("net/{protocol}/conf/{name}/{key}"),
        value: "1".to_owned(),
    }
}

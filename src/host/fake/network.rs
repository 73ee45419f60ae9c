//! The running network of the fake: as much of a kernel and of ifupdown2 as plans are
//! made of. Each interface that is worked on is a step of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use camino::Utf8Path;

use super::{Effect, Fake, Machine, hold};
use crate::host::HostError;
use crate::plan::{
    Engine, Interface, Kernel, Kind, Link, NetworkStep, Stations, Tunnel, interfaces,
};
use crate::render::Managed;
use crate::value::IfName;

/// A running network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(super) kernel: Kernel,
    next_index: u32,
    /// What the settings of the machine say.
    pub(crate) engine: Engine,
    /// What ifupdown2 remembers of the interfaces that it brought up.
    remembered: BTreeMap<IfName, Interface>,
    /// Whether ifupdown2 throws ports out of bridges that no stanza names.
    ejects: bool,
    /// Interfaces that ifupdown2 says to have brought up and does not touch.
    lies: Vec<String>,
}

impl Fake {
    /// Makes this a machine with a running network, empty so far. Without this it is a
    /// dry node.
    pub(crate) fn set_live(&self) {
        hold(&self.machine).network = Some(Network::default());
    }

    /// Changes the running network as somebody else would.
    pub(crate) fn with_network<T>(&self, change: impl FnOnce(&mut Network) -> T) -> T {
        let mut machine = hold(&self.machine);
        change(machine.network.as_mut().expect("a machine with a running network"))
    }
}

impl Network {
    pub(crate) fn kernel(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    pub(crate) fn set_ejects(&mut self, ejects: bool) {
        self.ejects = ejects;
    }

    pub(crate) fn set_lies(&mut self, interfaces: &[&str]) {
        self.lies = interfaces.iter().map(|&name| name.to_owned()).collect();
    }

    /// Puts a guest's port into a bridge.
    pub(crate) fn add_guest(&mut self, port: &str, bridge: &str) {
        let flags = [("isolated", true), ("learning", true)];
        let link = Link {
            index: self.index(),
            kind: Some("tun".to_owned()),
            master: Some(bridge.to_owned()),
            mtu: 1500,
            up: true,
            flags: flags.into(),
            ..Link::default()
        };
        self.kernel.links.insert(port.to_owned(), link);
    }

    pub(super) fn index(&mut self) -> u32 {
        self.next_index += 1;
        self.next_index
    }

    fn eject(&mut self, port: &str) {
        if let Some(link) = self.kernel.links.get_mut(port) {
            (link.master, link.up) = (None, false);
            link.flags.clear();
        }
    }

    fn up(&mut self, name: &IfName, wanted: &Interface) -> Option<String> {
        if self.lies.iter().any(|lie| lie == name.as_str()) {
            return None;
        }
        let index = self.index();
        let link = self.kernel.links.entry(name.to_string()).or_insert_with(|| Link {
            index,
            kind: wanted.kind.word().map(str::to_owned),
            mtu: 1500,
            forward_delay: if wanted.is_bridge() { 1500 } else { 0 },
            vlan_protocol: wanted.is_bridge().then(|| "802.1q".to_owned()),
            ..Link::default()
        });
        link.up = true;
        link.mtu = wanted.mtu.unwrap_or(link.mtu);
        link.alias = wanted.alias.clone().or(link.alias.take());
        (link.link_addresses, link.addresses) = wanted
            .addresses
            .iter()
            .partition(|net| matches!(net.addr(), IpAddr::V6(own) if own.is_unicast_link_local()));
        link.forwards.extend(&wanted.forwards);
        link.accepts_arp |= wanted.accepts_arp;
        link.vlan_protocol = wanted.vlan_protocol.clone().or(link.vlan_protocol.take());
        link.mac = wanted.mac.clone().or(link.mac.take());
        link.master = wanted.vrf.clone().or(link.master.take());
        let mut complaint = None;
        match &wanted.kind {
            Kind::Vxlan { id, port, local, remotes, .. } => {
                let learning = wanted.kind.device_learns();
                let (id, port, local, remotes) = (*id, *port, *local, remotes.clone());
                let new = Tunnel { id, port, local, learning, remotes };
                match &mut link.tunnel {
                    Some(tunnel) if tunnel.id != id => {
                        complaint = Some("cannot change running vxlan id".to_owned());
                    }
                    tunnel => *tunnel = Some(new),
                }
            }
            Kind::Bridge { ports, vlan_aware, stp, forward_delay, .. } => {
                link.vlan_filtering |= vlan_aware;
                link.stp = stp.unwrap_or(link.stp);
                link.forward_delay = forward_delay.unwrap_or(link.forward_delay);
                let ejects = self.ejects;
                let others: Vec<String> = self
                    .kernel
                    .ports(name.as_str())
                    .map(|(port, _)| port.to_owned())
                    .filter(|port| !ports.contains(port))
                    .collect();
                for port in others.iter().filter(|_| ejects) {
                    self.eject(port);
                }
                for port in ports {
                    self.join(port, name);
                }
            }
            Kind::Veth { peer } => link.lower.clone_from(peer),
            Kind::Vlan { device, id, protocol } => {
                link.lower = Some(device.clone());
                link.vlan = Some((*id, protocol.clone()));
            }
            // Each has a table; its number serves.
            Kind::Vrf => {
                let table = *link.table.get_or_insert(link.index);
                match wanted.unreachable {
                    Some(true) => self.kernel.unreachable.insert(table),
                    _ => self.kernel.unreachable.remove(&table),
                };
            }
            _ => {}
        }
        self.kernel.routes.extend(wanted.routes.iter().map(|route| (*route, name.to_string())));
        for rule in &wanted.rules {
            self.kernel.rules.entry(rule.table()).or_default().push(rule.clone());
        }
        self.remembered.insert(name.clone(), wanted.clone());
        complaint
    }

    /// Puts a port into a bridge as ifupdown2 does.
    fn join(&mut self, port: &str, bridge: &IfName) {
        let Some(link) = self.kernel.links.get_mut(port) else { return };
        let is_tunnel = link.tunnel.is_some();
        link.ipv6_off = true;
        if link.master.as_deref() != Some(bridge.as_str())
            && let Ok(port) = port.parse()
        {
            self.enslave(&port, Some(bridge));
        }
        if let Some(link) = self.kernel.links.get_mut(port).filter(|_| is_tunnel) {
            link.multicast_router = Some(2);
        }
    }

    fn down(&mut self, name: &IfName) -> Option<String> {
        let Some(old) = self.remembered.remove(name) else {
            self.delete(name);
            return Some(format!("cannot find interfaces: {name}"));
        };
        for rule in &old.rules {
            self.remove_rule(rule);
        }
        self.delete(name);
        None
    }

    pub(crate) fn delete(&mut self, name: &IfName) {
        let gone = self.kernel.links.remove(name.as_str());
        let is_vrf = gone.is_some_and(|link| link.kind.as_deref() == Some("vrf"));
        // What is on top of it goes with it, and the other end of a cable.
        let above = |link: &Link| {
            let goes = matches!(link.kind.as_deref(), Some("veth" | "vlan"));
            goes && link.lower.as_deref() == Some(name.as_str())
        };
        self.kernel.links.retain(|_, link| !above(link));
        self.kernel.routes.retain(|(_, interface)| interface != name.as_str());
        let ports: Vec<String> =
            self.kernel.ports(name.as_str()).map(|(port, _)| port.to_owned()).collect();
        for port in &ports {
            if is_vrf {
                self.cycle(port);
                self.link(port).into_iter().for_each(|link| link.master = None);
            } else {
                self.eject(port);
            }
        }
    }

    pub(super) fn remove_rule(&mut self, rule: &crate::plan::Rule) {
        let rules = self.kernel.rules.entry(rule.table()).or_default();
        if let Some(place) = rules.iter().position(|found| found == rule) {
            rules.remove(place);
        }
    }

    pub(super) fn link(&mut self, name: &str) -> Option<&mut Link> {
        self.kernel.links.get_mut(name)
    }
}

impl Machine {
    /// What the interfaces file asks for, as processes see it.
    fn interfaces(&self) -> BTreeMap<IfName, Interface> {
        let inode = self.seen.files.get(Managed::Interfaces.path().as_str());
        let text = inode.map(|inode| self.inodes[*inode].seen.bytes.clone()).unwrap_or_default();
        interfaces(&String::from_utf8_lossy(&text))
    }

    pub(super) fn kernel(
        &mut self,
        sysctls: &BTreeSet<String>,
    ) -> Result<Option<Kernel>, HostError> {
        if self.network.is_some() {
            self.step("read the kernel of", Utf8Path::new("/"), Effect::Nothing)?;
        }
        let mut kernel = self.network.as_ref().map(|network| network.kernel.clone());
        if let Some(kernel) = &mut kernel {
            kernel.sysctls.retain(|name, _| sysctls.contains(name));
        }
        Ok(kernel)
    }

    pub(super) fn stations(
        &mut self,
        ports: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Stations>, HostError> {
        self.step("read the bridges of", Utf8Path::new("/"), Effect::Nothing)?;
        let kernel = self.network.as_ref().map(|network| &network.kernel);
        let known = kernel.map(|kernel| kernel.stations.clone()).unwrap_or_default();
        Ok(known.into_iter().filter(|(port, _)| ports.contains_key(port)).collect())
    }

    pub(super) fn change(&mut self, steps: &[NetworkStep]) -> Result<Vec<String>, HostError> {
        let mut complaints = Vec::new();
        if self.network.is_some() {
            for step in steps {
                let before = self.of_tenants();
                complaints.extend(self.change_one(step)?);
                let after = self.of_tenants();
                let lost = before.into_iter().filter(|one| !after.contains(one));
                self.running.dangling.extend(lost.map(|(vrf, _)| vrf));
            }
        }
        Ok(complaints)
    }

    /// The interfaces of the VNIs that FRR has, by their numbers: the VXLAN interface, its
    /// bridge and the VRF.
    fn of_tenants(&self) -> BTreeSet<(String, u32)> {
        let links = self.network.as_ref().map(|network| &network.kernel.links);
        let Some(links) = links else { return BTreeSet::new() };
        let number = |name: &str| links.get(name).map(|link| link.index);
        let mut numbers = BTreeSet::new();
        for (vrf, vni) in self.running.tenants() {
            let of_vni = |link: &&Link| link.tunnel.as_ref().is_some_and(|of| of.id == vni);
            for tunnel in links.values().filter(of_vni) {
                let bridge = tunnel.master.as_deref().and_then(number);
                let all = [Some(tunnel.index), bridge, number(&vrf)];
                numbers.extend(all.into_iter().flatten().map(|number| (vrf.clone(), number)));
            }
        }
        numbers
    }

    fn change_one(&mut self, step: &NetworkStep) -> Result<Vec<String>, HostError> {
        let (names, up) = match step {
            NetworkStep::Up { interfaces } => (interfaces.as_slice(), true),
            NetworkStep::Down { interfaces } => (interfaces.as_slice(), false),
            other => {
                self.step("change the network of", Utf8Path::new("/"), Effect::Nothing)?;
                let links = self.network.as_ref().map(|network| &network.kernel.links);
                let there =
                    |name: &&IfName| links.is_some_and(|all| all.contains_key(name.as_str()));
                let names: Vec<String> =
                    other.made().filter(there).map(ToString::to_string).collect();
                if !names.is_empty() {
                    return Err(HostError::Taken { names });
                }
                self.network.iter_mut().for_each(|network| network.mend(other));
                return Ok(Vec::new());
            }
        };
        let mut complaints = Vec::new();
        for name in names {
            let killed = self.step("run ifupdown2 on", Utf8Path::new("/"), Effect::Nothing);
            if let (Err(_), Some(network)) = (&killed, &mut self.network) {
                // It writes down what it did when it ends.
                network.remembered.retain(|name, _| !names.contains(name));
            }
            killed?;
            let stanza = self.interfaces().remove(name);
            let Some(network) = &mut self.network else { continue };
            complaints.extend(match (up, stanza) {
                (true, Some(stanza)) => network.up(name, &stanza),
                (true, None) => Some(format!("cannot find interfaces: {name}")),
                (false, _) => network.down(name),
            });
        }
        Ok(complaints)
    }

    /// A machine that starts brings up what its interfaces file says; guests start later.
    pub(super) fn boot_network(&mut self) {
        let wanted = self.interfaces();
        let Some(network) = &mut self.network else { return };
        let (ejects, lies) = (network.ejects, std::mem::take(&mut network.lies));
        let engine = network.engine;
        *network = Network { ejects, lies, engine, next_index: 1000, ..Network::default() };
        let (bridges, others): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|(_, interface)| interface.is_bridge());
        for (name, interface) in others.into_iter().chain(bridges) {
            network.up(name, interface);
        }
    }
}

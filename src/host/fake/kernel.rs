//! Single changes of the fake's kernel, as the real one takes them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::network::Network;
use crate::host::netlink::name::PORT_FLAGS;
use crate::plan::{Family, Link, Make, NetworkStep, PortVlan, Tunnel, nat_listing};
use crate::value::IfName;

impl Network {
    fn with(&mut self, name: &IfName, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.link(name.as_str()) {
            change(link);
        }
    }

    /// As the kernel makes it: nothing where the name is taken or what is below is not there.
    fn create(&mut self, name: &str, make: &Make) {
        let there = |name: &str| self.kernel.links.contains_key(name);
        let taken = there(name)
            || match make {
                Make::Veth { peer } => there(peer.as_str()),
                Make::Vlan { device, .. } => !there(device.as_str()),
                Make::Vxlan { id, port, .. } => self.kernel.links.values().any(|link| {
                    let tunnel = link.tunnel.as_ref();
                    tunnel.is_some_and(|tunnel| (tunnel.id, tunnel.port) == (*id, *port))
                }),
                Make::Bridge | Make::Vrf { .. } | Make::Dummy => false,
            };
        if taken {
            return;
        }
        let mut link = Link { index: self.index(), mtu: 1500, ..Link::default() };
        let kind = match make {
            Make::Bridge => {
                link.forward_delay = 1500;
                link.vlan_protocol = Some("802.1q".to_owned());
                "bridge"
            }
            Make::Vxlan { id, port, local, learning } => {
                let remotes = BTreeSet::new();
                let (id, port, local, learning) = (*id, *port, *local, *learning);
                link.tunnel = Some(Tunnel { id, port, local, learning, remotes });
                "vxlan"
            }
            Make::Veth { peer } => {
                link.lower = Some(peer.to_string());
                let other = Link {
                    index: self.index(),
                    kind: Some("veth".to_owned()),
                    lower: Some(name.to_owned()),
                    mtu: 1500,
                    ..Link::default()
                };
                self.kernel.links.insert(peer.to_string(), other);
                "veth"
            }
            Make::Vlan { device, id, protocol } => {
                link.lower = Some(device.to_string());
                link.vlan = Some((*id, protocol.clone()));
                "vlan"
            }
            Make::Vrf { table } => {
                link.table = Some(*table);
                "vrf"
            }
            Make::Dummy => "dummy",
        };
        link.kind = Some(kind.to_owned());
        self.kernel.links.insert(name.to_owned(), link);
    }

    /// A port of a bridge has flags, and where VLANs are filtered VLAN 1.
    pub(super) fn enslave(&mut self, name: &IfName, master: Option<&IfName>) {
        let bridge = master.and_then(|master| self.kernel.links.get(master.as_str()));
        let bridge = bridge.filter(|master| master.kind.as_deref() == Some("bridge"));
        let filters = bridge.is_some_and(|bridge| bridge.vlan_filtering);
        let is_port = bridge.is_some();
        let was = self.kernel.links.get(name.as_str()).and_then(|link| link.master.clone());
        let is_vrf = |master: &str| {
            self.kernel.links.get(master).is_some_and(|link| link.kind.as_deref() == Some("vrf"))
        };
        if [was.as_deref(), master.map(IfName::as_str)].into_iter().flatten().any(is_vrf) {
            self.cycle(name.as_str());
        }
        let there = master.is_none_or(|master| self.kernel.links.contains_key(master.as_str()));
        self.with(name, |link| {
            if !there {
                return;
            }
            link.master = master.map(ToString::to_string);
            link.multicast_router = is_port.then_some(1);
            link.flags.clear();
            link.vlans.clear();
            if is_port {
                let flags = [("isolated", false), ("learning", true), ("neigh_suppress", false)];
                link.flags = flags.into();
            }
            if filters {
                link.vlans = [PortVlan { first: 1, last: 1, pvid: true, untagged: true }].into();
            }
        });
    }

    /// An interface that comes into a VRF or out of one goes down for a moment where it is up,
    /// and loses what that costs.
    pub(super) fn cycle(&mut self, name: &str) {
        let Some(link) = self.kernel.links.get_mut(name).filter(|link| link.up) else { return };
        link.addresses.retain(|net| net.addr().is_ipv4());
        link.link_addresses.clear();
        self.kernel.routes.retain(|(_, interface)| interface != name);
    }

    fn add_address(&mut self, name: &IfName, address: IpNet) {
        self.with(name, |link| {
            let is_of_link =
                matches!(address.addr(), IpAddr::V6(own) if own.is_unicast_link_local());
            let all = if is_of_link { &mut link.link_addresses } else { &mut link.addresses };
            all.insert(address);
        });
    }

    /// With an address of IPv4 those of its network go that came later, of which the fake takes
    /// each to be one; with the last address its routes.
    fn remove_address(&mut self, name: &IfName, address: IpNet) {
        let Some(link) = self.kernel.links.get_mut(name.as_str()) else { return };
        let goes = |has: &IpNet| match address {
            IpNet::V4(_) => has.trunc() == address.trunc(),
            IpNet::V6(_) => *has == address,
        };
        link.link_addresses.remove(&address);
        if link.addresses.contains(&address) {
            link.addresses.retain(|has| !goes(has));
        }
        if address.addr().is_ipv4() && !link.addresses.iter().any(|net| net.addr().is_ipv4()) {
            let is_lost = |net: &IpNet| net.addr().is_ipv4();
            self.kernel.routes.retain(|(net, on)| on != name.as_str() || !is_lost(net));
        }
    }

    /// Values of an interface that are read with it.
    fn set_of_interface(&mut self, name: &str, on: bool) {
        let words: Vec<&str> = name.split('/').collect();
        let ["net", protocol, "conf", interface, variable] = words.as_slice() else { return };
        let Some(link) = self.kernel.links.get_mut(*interface) else { return };
        let family = if *protocol == "ipv4" { Family::V4 } else { Family::V6 };
        match (*variable, on) {
            ("forwarding", true) => link.forwards.extend([family]),
            ("forwarding", false) => link.forwards.retain(|has| *has != family),
            ("arp_accept", on) => link.accepts_arp = on,
            ("disable_ipv6", on) => link.ipv6_off = on,
            _ => {}
        }
    }

    /// Everything that does not go by ifupdown2.
    #[expect(clippy::too_many_lines, reason = "a line or two for each kind of step")]
    pub(super) fn mend(&mut self, step: &NetworkStep) {
        match step {
            NetworkStep::Up { .. } | NetworkStep::Down { .. } => {}
            NetworkStep::Delete { interface }
            | NetworkStep::Remake { interface, .. }
            | NetworkStep::DeleteOvsPort { interface } => {
                self.delete(interface);
            }
            NetworkStep::Release { interface, addresses } => {
                for address in addresses {
                    self.remove_address(interface, *address);
                }
            }
            NetworkStep::SetMtu { interface, mtu } | NetworkStep::SetOvsMtu { interface, mtu } => {
                if let Some(link) = self.link(interface.as_str()) {
                    link.mtu = *mtu;
                }
            }
            NetworkStep::SetAlias { interface, alias } => {
                if let Some(link) = self.link(interface.as_str()) {
                    link.alias.clone_from(alias);
                }
            }
            NetworkStep::StopVlanFiltering { interface } => {
                if let Some(link) = self.link(interface.as_str()) {
                    link.vlan_filtering = false;
                }
            }
            NetworkStep::ResetVlanProtocol { interface } => {
                if let Some(link) = self.link(interface.as_str()) {
                    link.vlan_protocol = None;
                }
            }
            NetworkStep::StopForwarding { interface, family } => {
                if let Some(link) = self.link(interface.as_str()) {
                    link.forwards.remove(family);
                }
            }
            NetworkStep::SetSysctl { name, value } => {
                self.set_of_interface(name, value == "1");
                self.kernel.sysctls.insert(name.clone(), value.clone());
            }
            NetworkStep::Create { interface, make } => self.create(interface.as_str(), make),
            NetworkStep::SetMaster { interface, master } => {
                self.enslave(interface, master.as_ref());
            }
            NetworkStep::SetUp { interface } => self.with(interface, |link| link.up = true),
            NetworkStep::SetMac { interface, mac } => {
                self.with(interface, |link| link.mac = Some(mac.clone()));
            }
            NetworkStep::AddAddress { interface, address } => {
                self.add_address(interface, *address);
            }
            NetworkStep::RemoveAddress { interface, address } => {
                self.remove_address(interface, *address);
            }
            NetworkStep::SetBridge { interface, settings } => self.with(interface, |link| {
                link.stp = settings.stp.unwrap_or(link.stp);
                link.forward_delay = settings.forward_delay.unwrap_or(link.forward_delay);
                link.vlan_filtering = settings.vlan_filtering.unwrap_or(link.vlan_filtering);
                link.vlan_protocol = settings.vlan_protocol.clone().or(link.vlan_protocol.take());
            }),
            NetworkStep::SetMulticastRouter { interface, value } => {
                self.with(interface, |link| link.multicast_router = Some(*value));
            }
            NetworkStep::SetTunnel { interface, local, learning } => {
                self.with(interface, |link| {
                    // Another version of IP the kernel refuses.
                    let is_v4 = |local: Option<IpAddr>| local.is_none_or(|local| local.is_ipv4());
                    let tunnel = link.tunnel.iter_mut();
                    for tunnel in tunnel.filter(|is| is_v4(is.local) == is_v4(*local)) {
                        (tunnel.local, tunnel.learning) = (*local, *learning);
                    }
                });
            }
            NetworkStep::AddRemote { interface, remote } => self.with(interface, |link| {
                link.tunnel.iter_mut().for_each(|tunnel| tunnel.remotes.extend([*remote]));
            }),
            NetworkStep::AddRoute { interface, destination } => {
                if self.kernel.links.contains_key(interface.as_str()) {
                    self.kernel.routes.insert((*destination, interface.to_string()));
                }
            }
            NetworkStep::SetUnreachable { table, on, .. } => {
                if *on {
                    self.kernel.unreachable.insert(*table);
                } else {
                    self.kernel.unreachable.remove(table);
                }
            }
            NetworkStep::AddLocalRule { family, rule } => {
                self.kernel.local_rules.insert((*family, *rule));
            }
            NetworkStep::DropLocalRule { family, rule } => {
                self.kernel.local_rules.remove(&(*family, *rule));
            }
            NetworkStep::NameTable { interface, table } => {
                self.kernel.tables.retain(|_, named| named != table);
                self.kernel.tables.insert(interface.to_string(), *table);
            }
            NetworkStep::SetOvsPort { interface, .. } => {
                let index = self.index();
                self.kernel.links.entry(interface.to_string()).or_insert_with(|| Link {
                    index,
                    kind: Some("openvswitch".to_owned()),
                    mtu: 1500,
                    ..Link::default()
                });
            }
            NetworkStep::DropRemote { interface, remote } => {
                let tunnel = self.link(interface.as_str()).and_then(|link| link.tunnel.as_mut());
                if let Some(tunnel) = tunnel {
                    tunnel.remotes.remove(remote);
                }
            }
            NetworkStep::DropRoute { interface, destination } => {
                self.kernel.routes.remove(&(*destination, interface.to_string()));
            }
            NetworkStep::AddRule(rule) => {
                self.kernel.rules.entry(rule.table()).or_default().push(rule.clone());
            }
            NetworkStep::RemoveRule(rule) => self.remove_rule(rule),
            NetworkStep::ReturnPort { port, bridge, up } => {
                if let Some(link) = self.link(port) {
                    link.master = Some(bridge.clone());
                    link.up |= up;
                    let flags = [("isolated", false), ("learning", true)];
                    link.flags = flags.into();
                    if let Some(stations) = self.kernel.stations.get_mut(port) {
                        stations.fixed.clear();
                        stations.learnt.clear();
                    }
                }
            }
            NetworkStep::SetPortFlags { port, flags } => {
                if let Some(link) = self.link(port) {
                    let known =
                        PORT_FLAGS.iter().filter_map(|(name, _)| Some((*name, *flags.get(*name)?)));
                    link.flags.extend(known);
                }
            }
            NetworkStep::SetNat { family, rules } if rules.is_empty() => {
                self.kernel.nat.tables.remove(family);
            }
            NetworkStep::SetNat { family, rules } => {
                if self.kernel.nat.works.contains(family) {
                    let listing = nat_listing(*family, rules);
                    self.kernel.nat.tables.insert(*family, listing);
                }
            }
            NetworkStep::AddStation { port, mac } => {
                let link = self.kernel.links.get(port).filter(|link| link.master.is_some());
                if let Some(vlans) = link.map(Link::vlan_numbers) {
                    let stations = self.kernel.stations.entry(port.clone()).or_default();
                    stations.learnt.remove(mac);
                    stations.fixed.entry(mac.clone()).or_default().extend(vlans.chain([0]));
                }
            }
            NetworkStep::RemoveStation { port, mac, vlan } => {
                let link = self.kernel.links.get(port);
                let vlans = link.into_iter().flat_map(Link::vlan_numbers).chain([0]);
                let gone: BTreeSet<u16> = vlan.map_or_else(|| vlans.collect(), |one| [one].into());
                if let Some(stations) = self.kernel.stations.get_mut(port) {
                    stations.fixed.entry(mac.clone()).or_default().retain(|v| !gone.contains(v));
                    stations.fixed.retain(|_, vlans| !vlans.is_empty());
                }
            }
            NetworkStep::SetPortVlans { port, remove, add } => {
                if let Some(link) = self.link(port) {
                    link.vlans.retain(|vlan| !remove.contains(vlan));
                    link.vlans.extend(add);
                }
            }
        }
    }
}

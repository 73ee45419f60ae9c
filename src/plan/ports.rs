//! What ports of guests get, as weft's own file on the node says it.
//!
//! * `isolated`: the kernel forwards nothing from one isolated port to another
//!   (`IFLA_BRPORT_ISOLATED`).
//! * `static-macs`: the bridge neither learns from the port nor floods to it, which works only
//!   where it is told which MAC address is behind the port. So the port stops learning when the
//!   kernel has that entry in each VLAN of the port, and not before.

use std::collections::{BTreeMap, BTreeSet};

use super::guests::GuestPort;
use super::kernel::{Kernel, Link, Stations};
use super::network::Target;
use super::step::NetworkStep;
use super::verify::Mismatch;
use crate::value::IfName;

/// What ports of guests on one bridge get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PortRule {
    isolated: bool,
    /// Where MAC addresses are not learnt: those that guests declare, in lower case.
    macs: Option<BTreeSet<String>>,
}

/// The bridges of a file and what their ports get. A line that is none of weft's is left out.
pub(super) fn rules(text: &str) -> BTreeMap<IfName, PortRule> {
    let mut rules: BTreeMap<IfName, PortRule> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(bridge) = words.first().and_then(|name| name.parse().ok()) else { continue };
        match words[1..] {
            ["isolated"] => rules.entry(bridge).or_default().isolated = true,
            ["static-macs"] => drop(rules.entry(bridge).or_default().macs.get_or_insert_default()),
            ["mac", mac] => {
                let macs = &mut rules.entry(bridge).or_default().macs;
                macs.get_or_insert_default().insert(mac.to_owned());
            }
            _ => {}
        }
    }
    rules
}

/// Whose port one is by the name that Proxmox VE gives to it: the number of the guest, and that
/// of its interface. `tap⟨VMID⟩i⟨N⟩` of virtual machines, `veth⟨VMID⟩i⟨N⟩` of containers, and
/// `fwpr⟨VMID⟩p⟨N⟩` of either behind Proxmox's firewall.
pub fn guest_of_port(port: &str) -> Option<(u32, u32)> {
    let split = |start: &str, between: char| {
        let (guest, interface) = port.strip_prefix(start)?.split_once(between)?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(guest) && is_number(interface)).then_some(())?;
        Some((guest.parse().ok()?, interface.parse().ok()?))
    };
    split("tap", 'i').or_else(|| split("veth", 'i')).or_else(|| split("fwpr", 'p'))
}

/// Whether a port can be a guest's: a network card, a bond, a VLAN or a tunnel that somebody put
/// into a vnet's bridge leads to others.
fn is_of_guest(kernel: &Kernel, port: &str) -> bool {
    let kind = kernel.links.get(port).and_then(|link| link.kind.as_deref());
    matches!(kind, Some("tun" | "veth" | "macvtap"))
}

/// Who is behind the ports of bridges, each port seen beside the others of its bridge.
struct Behind<'a> {
    kernel: &'a Kernel,
    /// The ports that have something to do with a MAC address, by the bridge and the address.
    ports: BTreeMap<(&'a str, &'a str), BTreeMap<&'a str, &'a Stations>>,
}

impl<'a> Behind<'a> {
    fn of(kernel: &'a Kernel) -> Self {
        let mut ports: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (port, stations) in &kernel.stations {
            let link = kernel.links.get(port);
            let Some(bridge) = link.and_then(|link| link.master.as_deref()) else { continue };
            let seen = stations.learnt.iter().chain(stations.fixed.keys());
            for mac in seen.chain(&stations.configured) {
                ports.entry((bridge, mac.as_str())).or_default().insert(port.as_str(), stations);
            }
        }
        Self { kernel, ports }
    }

    /// The MAC address behind a port; none where nobody knows it for sure. That of the
    /// configuration counts, unless that gives it to two. Of what was seen it is the only one, if
    /// it is declared, and no other port of the bridge has it: what is fixed here may be seen
    /// elsewhere, where somebody sends with it.
    fn known(&self, port: &str, rule: &PortRule) -> Option<&'a str> {
        let stations = self.kernel.stations.get(port)?;
        let bridge = self.kernel.links.get(port)?.master.as_deref()?;
        let is_elsewhere = |mac: &str, how: &dyn Fn(&Stations) -> bool| {
            let ports = self.ports.get(&(bridge, mac)).into_iter().flatten();
            ports.into_iter().any(|(other, stations)| *other != port && how(stations))
        };
        let is_configured = |mac: &str, of: &Stations| of.configured.as_deref() == Some(mac);
        if let Some(mac) = &stations.configured {
            return (!is_elsewhere(mac, &|other| is_configured(mac, other))).then_some(mac);
        }
        let seen: BTreeSet<&String> = stations.learnt.iter().chain(stations.fixed.keys()).collect();
        let only = seen.first().filter(|_| seen.len() == 1)?.as_str();
        let declared = rule.macs.as_ref().is_some_and(|macs| macs.contains(only));
        let is_fixed = stations.fixed.contains_key(only);
        let is_of_another = is_elsewhere(only, &|other| {
            !is_fixed || is_configured(only, other) || other.fixed.contains_key(only)
        });
        (declared && !is_of_another).then_some(only)
    }

    /// The VLANs in which the bridge has to know what is behind a port, 0 for none of them.
    fn needed(&self, port: &str) -> BTreeSet<u16> {
        let link = self.kernel.links.get(port);
        let bridge = link.and_then(|link| self.kernel.links.get(link.master.as_deref()?));
        let filters = bridge.is_some_and(|bridge| bridge.vlan_filtering);
        let vlans = link.filter(|_| filters).into_iter().flat_map(Link::vlan_numbers);
        vlans.chain([0]).collect()
    }

    /// Whether the bridge has all entries that it needs of an address behind a port.
    fn is_fixed(&self, port: &str, mac: &str) -> bool {
        let has = self.kernel.stations.get(port).and_then(|stations| stations.fixed.get(mac));
        has.is_some_and(|has| self.needed(port).is_subset(has))
    }
}

impl Target {
    /// The same with what files say that ports of guests get, and what they said until now.
    #[must_use]
    pub fn with_ports(mut self, old: &[&str], new: &str) -> Self {
        self.ports = (old.iter().flat_map(|text| rules(text)).collect(), rules(new));
        self
    }

    /// The ports of bridges of which it has to be known who is behind them, with their bridges:
    /// all of a bridge where that is asked of the port of a guest.
    pub fn stations(&self, kernel: &Kernel) -> BTreeMap<String, String> {
        let bridges: BTreeSet<String> =
            self.static_ports(kernel).into_iter().map(|guest| guest.bridge).collect();
        let of_bridge = |(port, link): (&String, &Link)| {
            let bridge = link.master.as_ref().filter(|bridge| bridges.contains(*bridge))?;
            Some((port.clone(), bridge.clone()))
        };
        kernel.links.iter().filter_map(of_bridge).collect()
    }

    /// The ports of guests that do not learn, or did not until now.
    fn static_ports(&self, kernel: &Kernel) -> Vec<GuestPort> {
        let (old, new) = &self.ports;
        let is_static = |bridge: &str| {
            [old, new].iter().any(|rules| rules.get(bridge).is_some_and(|r| r.macs.is_some()))
        };
        let mut guests =
            if old.is_empty() && new.is_empty() { Vec::new() } else { self.guests(kernel) };
        guests.retain(|guest| is_static(&guest.bridge) && is_of_guest(kernel, &guest.port));
        guests
    }

    /// The ports of guests as they are to be: each where it was found first, or is now where
    /// it came later, with the flags that are declared.
    pub(super) fn wanted_ports(&self, kernel: &Kernel, before: &[GuestPort]) -> Vec<GuestPort> {
        let mut wanted: Vec<GuestPort> = before.to_vec();
        let (old, new) = &self.ports;
        if !(old.is_empty() && new.is_empty()) {
            let known: BTreeSet<&str> = before
                .iter()
                .filter(|guest| guest.now(kernel).is_some())
                .map(|guest| guest.port.as_str())
                .collect();
            let found = self.guests(kernel);
            wanted.extend(found.into_iter().filter(|guest| !known.contains(guest.port.as_str())));
        }
        let behind = Behind::of(kernel);
        for guest in &mut wanted {
            let flags = self.declared_flags(guest, &behind);
            guest.flags.extend(flags.into_iter().map(|(name, on)| (name.to_owned(), on)));
        }
        wanted
    }

    /// The flags that are declared of a port, or were until now.
    fn declared_flags(&self, guest: &GuestPort, behind: &Behind<'_>) -> Vec<(&'static str, bool)> {
        if !is_of_guest(behind.kernel, &guest.port) {
            return Vec::new();
        }
        let (old, new) = &self.ports;
        let (old, new) = (old.get(guest.bridge.as_str()), new.get(guest.bridge.as_str()));
        let is_isolated = |rule: Option<&PortRule>| rule.is_some_and(|rule| rule.isolated);
        let mut flags = Vec::new();
        if is_isolated(old) || is_isolated(new) {
            flags.push(("isolated", is_isolated(new)));
        }
        let is_static = |rule: &PortRule| rule.macs.is_some();
        match (old.is_some_and(is_static), new.filter(|rule| is_static(rule))) {
            (_, Some(rule)) => match behind.known(&guest.port, rule) {
                Some(mac) if behind.is_fixed(&guest.port, mac) => {
                    flags.extend([("learning", false), ("flood", false)]);
                }
                Some(_) => {}
                // An entry that went, as with the port's bridge, must be learnt again.
                None => flags.extend([("learning", true), ("flood", true)]),
            },
            (true, None) => flags.extend([("learning", true), ("flood", true)]),
            (false, None) => {}
        }
        flags
    }

    /// The entries of bridges that are missing, or that nothing asks for any more.
    pub(super) fn station_steps(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let (old, new) = &self.ports;
        let behind = Behind::of(kernel);
        let step = |GuestPort { port, bridge, .. }: GuestPort| {
            if let Some(rule) = new.get(bridge.as_str()).filter(|rule| rule.macs.is_some()) {
                let mac = behind.known(&port, rule)?.to_owned();
                let lacks = !behind.is_fixed(&port, &mac);
                return lacks.then_some(NetworkStep::AddStation { port, mac });
            }
            let mac = behind.known(&port, old.get(bridge.as_str())?)?.to_owned();
            let has = kernel.stations.get(&port)?.fixed.get(&mac)?.contains(&0);
            has.then_some(NetworkStep::RemoveStation { port, mac, vlan: None })
        };
        self.static_ports(kernel).into_iter().filter_map(step).collect()
    }

    /// Takes away the entries of VLANs that a port has no more. They lead to a port that lets none
    /// of it out; older kernels do not give them up before the port goes.
    pub fn surplus_steps(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let (_, new) = &self.ports;
        let behind = Behind::of(kernel);
        let steps = |guest: GuestPort| {
            let rule = new.get(guest.bridge.as_str()).filter(|rule| rule.macs.is_some())?;
            let mac = behind.known(&guest.port, rule)?;
            let filters = kernel.links.get(&guest.bridge)?.vlan_filtering;
            let has = kernel.stations.get(&guest.port)?.fixed.get(mac).filter(|_| filters)?;
            let surplus = has - &behind.needed(&guest.port);
            Some(surplus.into_iter().map(move |vlan| NetworkStep::RemoveStation {
                port: guest.port.clone(),
                mac: mac.to_owned(),
                vlan: Some(vlan),
            }))
        };
        self.static_ports(kernel).into_iter().filter_map(steps).flatten().collect()
    }

    /// What brings ports of guests to what is declared, and nothing else.
    pub fn port_steps(&self, kernel: &Kernel) -> Vec<NetworkStep> {
        let ports = self.wanted_ports(kernel, &[]);
        let flags = self.kept(&ports).filter_map(|guest| guest.mending(kernel));
        flags.chain(self.station_steps(kernel)).collect()
    }

    /// Ports of guests that lack what is declared of them, each with what, for people.
    pub fn lacking_ports(&self, kernel: &Kernel) -> Vec<Mismatch> {
        let (_, new) = &self.ports;
        let behind = Behind::of(kernel);
        let mut lacking = Vec::new();
        for guest in if new.is_empty() { Vec::new() } else { self.guests(kernel) } {
            let rule = new.get(guest.bridge.as_str());
            let Some(rule) = rule.filter(|_| is_of_guest(kernel, &guest.port)) else { continue };
            let has = |flag: &str, on: bool| guest.flags.get(flag) == Some(&on);
            let mut say = |what: String| lacking.push(Mismatch::new(&guest.port, what));
            if rule.isolated && !has("isolated", true) {
                say(format!("of a guest on `{}` is not isolated", guest.bridge));
            }
            if rule.macs.is_some() && !(has("learning", false) && has("flood", false)) {
                let why = if behind.known(&guest.port, rule).is_some() {
                    ""
                } else {
                    ", because nobody says which MAC address is behind it"
                };
                say(format!("of a guest on `{}` still learns and floods{why}", guest.bridge));
            }
        }
        lacking
    }
}

#[cfg(test)]
mod tests;

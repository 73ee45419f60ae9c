//! From one interfaces file to another on a running kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::guests::GuestPort;
use super::interface::{Interface, Kind, interfaces};
use super::kernel::{Kernel, PortVlan};
use super::rule::{Family, Rule, Table};
use super::verify::{Mismatch, differences, unfit};
use crate::value::IfName;

/// The MTU that the kernel gives to interfaces when nothing is asked for.
const DEFAULT_MTU: u32 = 1500;

/// One change of the running network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkStep {
    /// ifupdown2 takes interfaces down and away; what it leaves is deleted.
    Down {
        /// Which ones; bridges before their ports.
        interfaces: Vec<IfName>,
    },
    /// ifupdown2 brings interfaces to what the file says.
    Up {
        /// Which ones; ports before their bridges.
        interfaces: Vec<IfName>,
    },
    /// An interface is deleted that ifupdown2 left.
    Delete {
        /// Which one.
        interface: IfName,
    },
    /// An MTU that no file names any more.
    SetMtu {
        /// The interface.
        interface: IfName,
        /// The MTU.
        mtu: u32,
    },
    /// The comment is taken off.
    ClearAlias {
        /// The interface.
        interface: IfName,
    },
    /// A bridge stops filtering VLANs.
    StopVlanFiltering {
        /// The bridge.
        interface: IfName,
    },
    /// Packets that come in by an interface are no longer routed.
    StopForwarding {
        /// The interface.
        interface: IfName,
        /// Of which version.
        family: Family,
    },
    /// A tunnel end is forgotten.
    DropRemote {
        /// The VXLAN interface.
        interface: IfName,
        /// The other end.
        remote: IpAddr,
    },
    /// A route is removed.
    DropRoute {
        /// The interface.
        interface: IfName,
        /// Where it led.
        destination: IpNet,
    },
    /// A rule is added.
    AddRule(Rule),
    /// One copy of a rule is removed.
    RemoveRule(Rule),
    /// A guest's port becomes a port of its bridge again.
    ReturnPort {
        /// The port.
        port: String,
        /// The bridge.
        bridge: String,
        /// Whether it is set up.
        up: bool,
    },
    /// Flags of a guest's port are what they were.
    SetPortFlags {
        /// The port.
        port: String,
        /// Those to set, by the kernel's names.
        flags: BTreeMap<String, bool>,
    },
    /// VLANs of a guest's port are what they were.
    SetPortVlans {
        /// The port.
        port: String,
        /// Those to take away.
        remove: Vec<PortVlan>,
        /// Those to add.
        add: Vec<PortVlan>,
    },
}

impl fmt::Display for NetworkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |interfaces: &[IfName]| {
            interfaces.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
        };
        match self {
            Self::Down { interfaces } => write!(f, "take down {}", all(interfaces)),
            Self::Up { interfaces } => write!(f, "bring up {}", all(interfaces)),
            Self::Delete { interface } => write!(f, "delete {interface}"),
            Self::SetMtu { interface, mtu } => write!(f, "set the MTU of {interface} to {mtu}"),
            Self::ClearAlias { interface } => write!(f, "take the alias off {interface}"),
            Self::StopVlanFiltering { interface } => {
                write!(f, "stop filtering VLANs on {interface}")
            }
            Self::StopForwarding { interface, family } => {
                write!(f, "stop forwarding {} from {interface}", family.as_str())
            }
            Self::DropRemote { interface, remote } => {
                write!(f, "send no more from {interface} to {remote}")
            }
            Self::DropRoute { interface, destination } => {
                write!(f, "remove the route to {destination} by {interface}")
            }
            Self::AddRule(rule) => write!(f, "add the rule {rule}"),
            Self::RemoveRule(rule) => write!(f, "remove one rule {rule}"),
            Self::ReturnPort { port, bridge, .. } => write!(f, "return {port} to {bridge}"),
            Self::SetPortFlags { port, .. } => write!(f, "set the flags of {port} as they were"),
            Self::SetPortVlans { port, .. } => write!(f, "set the VLANs of {port} as they were"),
        }
    }
}

/// The steps of an apply, around the writing of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// With the old files in place.
    pub before: Vec<NetworkStep>,
    /// With the new files in place.
    pub after: Vec<NetworkStep>,
}

/// What a kernel is to be brought to, and what may be there of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    wanted: BTreeMap<IfName, Interface>,
    /// What weft, or the file that it takes over, asked for until now.
    before: BTreeMap<IfName, Interface>,
}

impl Target {
    /// From what some files asked for to what another one does. What several of the
    /// old ones ask for is as the last of them has it.
    pub fn between(old: &[&str], new: &str) -> Self {
        let before = old.iter().flat_map(|text| interfaces(text)).collect();
        Self { wanted: interfaces(new), before }
    }

    /// The tables that have to be read.
    pub fn tables(&self) -> BTreeSet<Table> {
        self.known_rules().into_keys().map(Rule::table).collect()
    }

    /// Whether an interface of the kernel may be changed as one of ours.
    pub fn is_ours(&self, name: &str) -> bool {
        self.before.contains_key(name)
    }

    /// Whether anything of it is there.
    pub fn is_running(&self, kernel: &Kernel) -> bool {
        self.wanted
            .keys()
            .chain(self.before.keys())
            .any(|name| kernel.links.contains_key(name.as_str()))
    }

    /// The wanted interfaces whose name something has that is not ours.
    pub fn foreign<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = &'a IfName> {
        let names = self.wanted.keys();
        names
            .filter(|name| kernel.links.contains_key(name.as_str()) && !self.is_ours(name.as_str()))
    }

    /// Interfaces that are no longer wanted.
    fn gone(&self) -> impl Iterator<Item = (&IfName, &Interface)> {
        self.before.iter().filter(|(name, _)| !self.wanted.contains_key(*name))
    }

    /// Interfaces that have to be made again, and why.
    fn recreated<'a>(
        &'a self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = (&'a IfName, String)> + 'a {
        self.wanted.iter().filter(|(name, _)| self.is_ours(name.as_str())).filter_map(
            |(name, wanted)| {
                let link = kernel.links.get(name.as_str())?;
                Some((name, unfit(wanted, link)?))
            },
        )
    }

    /// The bridges that are taken away from whatever hangs on them. Without a kernel
    /// those that are no longer wanted.
    pub fn bridges_taken<'a>(&'a self, kernel: Option<&'a Kernel>) -> BTreeSet<&'a IfName> {
        let gone = self.gone().filter(|(_, old)| old.is_bridge()).map(|(name, _)| name);
        let again = kernel.into_iter().flat_map(|kernel| self.recreated(kernel));
        let is_bridge = |name: &IfName| self.wanted.get(name).is_some_and(Interface::is_bridge);
        gone.chain(again.map(|(name, _)| name).filter(|name| is_bridge(name))).collect()
    }

    /// Every port of our bridges that weft did not make.
    pub fn guests(&self, kernel: &Kernel) -> Vec<GuestPort> {
        let ours = || self.wanted.iter().chain(&self.before);
        let made: BTreeSet<&str> =
            ours().flat_map(|(name, interface)| interface.ports().chain([name.as_str()])).collect();
        let bridges: BTreeSet<&IfName> =
            ours().filter(|(_, interface)| interface.is_bridge()).map(|(name, _)| name).collect();
        let ports = |bridge: &'_ IfName| -> Vec<GuestPort> {
            let ports = kernel.ports(bridge.as_str()).filter(|(port, _)| !made.contains(port));
            ports.map(|(port, link)| GuestPort::new(port, bridge.as_str(), link)).collect()
        };
        bridges.into_iter().flat_map(ports).collect()
    }

    /// The steps that lead from a kernel to what is wanted.
    pub fn steps(&self, kernel: &Kernel) -> Steps {
        let there = |name: &IfName| kernel.links.contains_key(name.as_str());
        let recreated: BTreeSet<&IfName> = self.recreated(kernel).map(|(name, _)| name).collect();
        let gone: BTreeSet<&IfName> =
            self.gone().map(|(name, _)| name).filter(|name| there(name)).collect();
        let mut up: BTreeSet<&IfName> = self
            .wanted
            .iter()
            .filter(|(name, wanted)| {
                let old = self.before.get(*name).map(|old| &old.lines);
                old != Some(&wanted.lines)
                    || recreated.contains(name)
                    || !differences(name.as_str(), wanted, kernel).is_empty()
            })
            .map(|(name, _)| name)
            .collect();
        // A bridge whose port is made anew has to take it in.
        let again = |port: &str| recreated.iter().any(|name| name.as_str() == port);
        let joined = self.wanted.iter().filter(|(_, wanted)| wanted.ports().any(again));
        up.extend(joined.map(|(name, _)| name));

        let down = |interfaces: BTreeSet<&IfName>| {
            let interfaces = ordered(interfaces, &self.before, Order::BridgesFirst);
            (!interfaces.is_empty()).then_some(NetworkStep::Down { interfaces })
        };
        let mut after: Vec<NetworkStep> = down(gone).into_iter().collect();
        if up.is_empty() {
            after.extend(self.amend(kernel, &[]));
        } else {
            let interfaces = ordered(up, &self.wanted, Order::PortsFirst);
            after.push(NetworkStep::Up { interfaces });
        }
        after.extend(self.resets(kernel));
        Steps { before: down(recreated).into_iter().collect(), after }
    }

    /// What ifupdown2 leaves as it was when a line goes.
    fn resets<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = NetworkStep> + 'a {
        self.before.iter().flat_map(|(name, old)| {
            let mut steps = Vec::new();
            let interface = || name.clone();
            let (Some(new), Some(link)) = (self.wanted.get(name), kernel.links.get(name.as_str()))
            else {
                return steps;
            };
            if old.mtu.is_some() && new.mtu.is_none() && link.mtu != DEFAULT_MTU {
                steps.push(NetworkStep::SetMtu { interface: interface(), mtu: DEFAULT_MTU });
            }
            for &family in old.forwards.difference(&new.forwards) {
                if link.forwards.contains(&family) {
                    steps.push(NetworkStep::StopForwarding { interface: interface(), family });
                }
            }
            for &destination in old.routes.difference(&new.routes) {
                if kernel.routes.contains(&(destination, name.to_string())) {
                    steps.push(NetworkStep::DropRoute { interface: interface(), destination });
                }
            }
            steps
        })
    }

    /// What is still to be done after the steps: rules that are there too often or not
    /// at all, guests' ports that are not where they were, and what ifupdown2 left.
    pub fn amend(&self, kernel: &Kernel, guests: &[GuestPort]) -> Vec<NetworkStep> {
        let mut steps = Vec::new();
        for (name, old) in self.gone() {
            let kind = kernel.links.get(name.as_str()).and_then(|link| link.kind.as_deref());
            let made = match old.kind {
                Kind::Bridge { .. } => kind == Some("bridge"),
                Kind::Vxlan { .. } => kind == Some("vxlan"),
                Kind::Any => false,
            };
            if made {
                steps.push(NetworkStep::Delete { interface: name.clone() });
            }
        }
        for (name, wanted) in &self.wanted {
            let Some(link) = kernel.links.get(name.as_str()) else { continue };
            let interface = || name.clone();
            if wanted.alias.is_none() && link.alias.is_some() {
                steps.push(NetworkStep::ClearAlias { interface: interface() });
            }
            match &wanted.kind {
                Kind::Bridge { vlan_aware: false, .. } if link.vlan_filtering => {
                    steps.push(NetworkStep::StopVlanFiltering { interface: interface() });
                }
                Kind::Vxlan { remotes, .. } => {
                    let has = link.tunnel.iter().flat_map(|tunnel| &tunnel.remotes);
                    let surplus = has.filter(|remote| !remotes.contains(*remote));
                    steps.extend(surplus.map(|remote| NetworkStep::DropRemote {
                        interface: interface(),
                        remote: *remote,
                    }));
                }
                Kind::Bridge { .. } | Kind::Any => {}
            }
        }
        for (rule, is_wanted) in self.known_rules() {
            let (count, wanted) = (kernel.count(rule), usize::from(is_wanted));
            let surplus = count.saturating_sub(wanted);
            steps.extend((0..surplus).map(|_| NetworkStep::RemoveRule(rule.clone())));
            if count < wanted {
                steps.push(NetworkStep::AddRule(rule.clone()));
            }
        }
        steps.extend(self.kept(guests).filter_map(|guest| guest.mending(kernel)));
        steps
    }

    /// The rules of the files, and whether each is wanted.
    fn known_rules(&self) -> BTreeMap<&Rule, bool> {
        let old = self.before.values().flat_map(|interface| &interface.rules);
        let new = self.wanted.values().flat_map(|interface| &interface.rules);
        old.map(|rule| (rule, false)).chain(new.map(|rule| (rule, true))).collect()
    }

    /// The guests whose bridge stays.
    fn kept<'a>(&'a self, guests: &'a [GuestPort]) -> impl Iterator<Item = &'a GuestPort> {
        guests.iter().filter(|guest| {
            self.wanted.get(guest.bridge.as_str()).is_some_and(Interface::is_bridge)
        })
    }

    /// Everything that a kernel has otherwise than wanted.
    pub fn verify(&self, kernel: &Kernel, guests: &[GuestPort]) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for (name, wanted) in &self.wanted {
            found.extend(differences(name.as_str(), wanted, kernel));
        }
        for (name, _) in self.gone() {
            if kernel.links.contains_key(name.as_str()) {
                found.push(Mismatch::new(name.as_str(), "is still there"));
            }
        }
        for (name, old) in &self.before {
            let keeps = |route: &IpNet| {
                self.wanted.get(name).is_some_and(|wanted| wanted.routes.contains(route))
            };
            for route in old.routes.iter().filter(|route| !keeps(route)) {
                if kernel.routes.contains(&(*route, name.to_string())) {
                    let message = format!("still has a route to {route}");
                    found.push(Mismatch::new(name.as_str(), message));
                }
            }
        }
        for (rule, is_wanted) in self.known_rules() {
            let (count, wanted) = (kernel.count(rule), usize::from(is_wanted));
            if count != wanted {
                let message = format!("is there {count} times, where {wanted} is wanted");
                found.push(Mismatch::new(rule.to_string(), message));
            }
        }
        found.extend(self.kept(guests).filter_map(|guest| guest.mismatch(kernel)));
        found
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    PortsFirst,
    BridgesFirst,
}

/// Names in an order in which ports and bridges can be worked on.
fn ordered(
    names: BTreeSet<&IfName>,
    stanzas: &BTreeMap<IfName, Interface>,
    order: Order,
) -> Vec<IfName> {
    let mut names: Vec<IfName> = names.into_iter().cloned().collect();
    names.sort_by_key(|name| {
        let is_bridge = stanzas.get(name).is_some_and(Interface::is_bridge);
        is_bridge == (order == Order::PortsFirst)
    });
    names
}

//! From one interfaces file to another on a running kernel.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::engine::Engine;
use super::guests::GuestPort;
use super::interface::{Interface, Kind, interfaces};
use super::kernel::{Kernel, Link};
use super::order::{Order, ordered};
use super::ports::PortRule;
use super::rule::{Family, Rule, Table};
use super::stanza::option;
use super::step::NetworkStep;
use super::sysctl;
use super::verify::{Mismatch, differences, unfit};
use crate::value::IfName;

/// The MTU that the kernel gives to interfaces when nothing is asked for.
const DEFAULT_MTU: u32 = 1500;

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
    pub(super) wanted: BTreeMap<IfName, Interface>,
    /// What weft, or the file that it takes over, asked for until now.
    pub(super) before: BTreeMap<IfName, Interface>,
    /// The VLANs that bridges of it had as ports by their names alone.
    implied_before: BTreeSet<String>,
    /// Values of the kernel, by their names with `/`.
    sysctls: BTreeMap<String, String>,
    /// What ports of guests got until now, and what they get, by their bridges.
    pub(super) ports: (BTreeMap<IfName, PortRule>, BTreeMap<IfName, PortRule>),
    pub(super) engine: Engine,
}

impl Target {
    /// From what some files asked for to what another one does. What several of the
    /// old ones ask for is as the last of them has it.
    pub fn between(old: &[&str], new: &str) -> Self {
        let before: BTreeMap<_, _> = old.iter().flat_map(|text| interfaces(text)).collect();
        let implied_before = implied(&before).map(str::to_owned).collect();
        Self { wanted: interfaces(new), before, implied_before, ..Self::default() }
    }

    /// The same with what a file of `sysctl.d(5)` sets.
    #[must_use]
    pub fn with_sysctls(self, text: &str) -> Self {
        Self { sysctls: sysctl::settings(text), ..self }
    }

    /// The same by another engine than ifupdown2.
    #[must_use]
    pub fn with_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// The same on a kernel in which others made interfaces with these names: they are not ours.
    #[must_use]
    pub fn sparing(mut self, names: &[String]) -> Self {
        let stays = |name: &str| !names.iter().any(|spared| spared == name);
        self.before.retain(|name, _| stays(name.as_str()));
        self.implied_before.retain(|name| stays(name));
        self
    }

    /// The tables that have to be read.
    pub fn tables(&self) -> BTreeSet<Table> {
        self.known_rules().into_keys().map(Rule::table).collect()
    }

    /// The values that have to be read, by their names with `/`.
    pub fn sysctls(&self) -> BTreeSet<String> {
        self.sysctls.keys().cloned().collect()
    }

    /// Whether an interface of the kernel may be changed as one of ours.
    pub fn is_ours(&self, name: &str) -> bool {
        self.before.contains_key(name) || self.implied_before.contains(name)
    }

    /// Whether an interface is to stay as it is.
    pub fn leaves(&self, name: &str) -> bool {
        let before = self.before.get(name);
        before.is_some() && before == self.wanted.get(name)
    }

    /// Whether anything of it is there.
    pub fn is_running(&self, kernel: &Kernel) -> bool {
        self.wanted
            .keys()
            .chain(self.before.keys())
            .any(|name| kernel.links.contains_key(name.as_str()))
    }

    /// The wanted interfaces whose name something has that is not ours. A VLAN that is a port
    /// by its name alone may be the administrator's, as long as it is that VLAN.
    pub fn foreign<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = IfName> + 'a {
        let made = self.wanted.iter().filter(|(_, wanted)| !wanted.is_own());
        let made = made.map(|(name, _)| name.clone());
        let others = self.misfits(kernel).map(|(name, _)| name);
        made.filter(|name| kernel.links.contains_key(name.as_str()))
            .chain(others)
            .filter(|name| !self.is_ours(name.as_str()))
    }

    /// Interfaces with the names of VLANs that are ports by their names alone which are something
    /// else, and what.
    pub(super) fn misfits<'a>(
        &'a self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = (IfName, String)> + 'a {
        let ports: BTreeSet<&str> = implied(&self.wanted).collect();
        ports.into_iter().filter(|port| !self.wanted.contains_key(*port)).filter_map(|port| {
            let why = unfit(&Interface::implied_vlan(port)?, kernel.links.get(port)?, self.engine);
            Some((port.parse().ok()?, why?))
        })
    }

    /// Interfaces that are no longer wanted. Those of the node's own stay.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&IfName, &Interface)> {
        // One without a stanza of its own any more may be a bridge's port by its name alone.
        let implied: BTreeSet<&str> = implied(&self.wanted).collect();
        let gone = self.before.iter().filter(|(name, _)| !self.wanted.contains_key(*name));
        gone.filter(move |(name, old)| !old.is_own() && !implied.contains(name.as_str()))
    }

    /// VLANs that ifupdown2 made for bridges of the old files and that none of the new ones
    /// has, where nothing uses them: one that the administrator has is on a bridge, has an
    /// address or has something on top of it.
    fn unused<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = IfName> + 'a {
        let kept: BTreeSet<&str> = self
            .wanted
            .iter()
            .flat_map(|(name, wanted)| wanted.below().chain([name.as_str()]))
            .collect();
        let used: BTreeSet<&str> =
            kernel.links.values().filter_map(|link| link.lower.as_deref()).collect();
        self.implied_before
            .iter()
            .filter(move |name| {
                let link = kernel.links.get(*name);
                // The native engine takes it out of its bridge by itself.
                let in_nothing = |link: &Link| {
                    let bridge = link.master.as_deref();
                    bridge.is_none_or(|bridge| {
                        self.engine == Engine::Native && self.before.contains_key(bridge)
                    })
                };
                let free = link.is_some_and(|link| {
                    link.vlan.is_some() && in_nothing(link) && link.addresses.is_empty()
                });
                free && !kept.contains(name.as_str()) && !used.contains(name.as_str())
            })
            .filter_map(|name| name.parse().ok())
    }

    /// Interfaces that have to be made again, and why.
    pub(super) fn recreated<'a>(
        &'a self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = (&'a IfName, String)> + 'a {
        let ours = self.wanted.iter().filter(|(name, _)| self.is_ours(name.as_str()));
        ours.filter_map(|(name, wanted)| {
            let link = kernel.links.get(name.as_str())?;
            Some((name, unfit(wanted, link, self.engine)?))
        })
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
        let bridges: BTreeSet<&str> = ours()
            .filter(|(_, interface)| interface.is_bridge())
            .map(|(name, _)| name.as_str())
            .collect();
        let others = kernel.links.iter().filter(|(port, _)| !made.contains(port.as_str()));
        let of_ours = others.filter_map(|(port, link)| {
            let bridge = bridges.get(link.master.as_deref()?)?;
            Some(GuestPort::new(port, bridge, link))
        });
        let mut guests: Vec<GuestPort> = of_ours.collect();
        guests.sort_by(|one, other| one.bridge.cmp(&other.bridge));
        guests
    }

    /// The steps that lead from a kernel to what is wanted.
    pub fn steps(&self, kernel: &Kernel) -> Steps {
        if self.engine == Engine::Native {
            return Steps { before: Vec::new(), after: self.amend(kernel, &[]) };
        }
        let there = |name: &IfName| kernel.links.contains_key(name.as_str());
        let mut recreated: BTreeSet<&IfName> =
            self.recreated(kernel).map(|(name, _)| name).collect();
        recreated.extend(self.other_ends(&recreated));
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
        // A bridge whose port is made anew has to take it in, and a VRF's has to go back
        // into it.
        let again = |port: &str| recreated.iter().any(|name| name.as_str() == port);
        let joined = self.wanted.iter().filter(|(_, wanted)| wanted.below().any(again));
        up.extend(joined.map(|(name, _)| name));
        // A port of Open vSwitch joins its bridge by itself.
        up.retain(|name| !self.wanted.get(*name).is_some_and(only_ports_of_ovs));

        let down = |interfaces: BTreeSet<&IfName>| {
            let interfaces = ordered(interfaces, &self.before, Order::TopFirst);
            (!interfaces.is_empty()).then_some(NetworkStep::Down { interfaces })
        };
        let mut after: Vec<NetworkStep> = down(gone).into_iter().collect();
        if up.is_empty() {
            after.extend(self.amend(kernel, &[]));
        } else {
            let interfaces = ordered(up, &self.wanted, Order::BottomFirst);
            after.push(NetworkStep::Up { interfaces });
        }
        after.extend(self.resets(kernel));
        Steps { before: down(recreated).into_iter().collect(), after }
    }

    /// The other ends of cables among these interfaces: they go with them.
    fn other_ends<'a>(&'a self, names: &BTreeSet<&IfName>) -> BTreeSet<&'a IfName> {
        let end = |name: &&IfName| match &self.wanted.get(*name)?.kind {
            Kind::Veth { peer: Some(peer) } => Some(self.wanted.get_key_value(peer.as_str())?.0),
            _ => None,
        };
        names.iter().filter_map(end).collect()
    }

    /// Addresses that an interface of the node's own does not get from us any more.
    pub(super) fn released(
        &self,
        name: &IfName,
        old: &Interface,
        kernel: &Kernel,
    ) -> Option<NetworkStep> {
        let link = kernel.links.get(name.as_str()).filter(|_| old.is_own())?;
        let keeps = self.wanted.get(name).map(|wanted| &wanted.addresses);
        let gone = old.addresses.intersection(&link.addresses).copied();
        let addresses: Vec<IpNet> =
            gone.filter(|address| keeps.is_none_or(|keeps| !keeps.contains(address))).collect();
        (!addresses.is_empty()).then(|| NetworkStep::Release { interface: name.clone(), addresses })
    }

    /// What ifupdown2 leaves as it was when a line goes.
    fn resets<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = NetworkStep> + 'a {
        self.before.iter().flat_map(|(name, old)| {
            let (new, link) = (self.wanted.get(name), kernel.links.get(name.as_str()));
            // The native engine does that where it gives others.
            let is_done = self.engine == Engine::Native && new.is_some();
            let mut steps: Vec<NetworkStep> =
                self.released(name, old, kernel).filter(|_| !is_done).into_iter().collect();
            let interface = || name.clone();
            let asks = new.is_some_and(|new| new.vlan_protocol.is_some());
            let has = link.is_some_and(|link| link.vlan_protocol == old.vlan_protocol);
            if old.is_own() && old.vlan_protocol.is_some() && has && !asks {
                steps.push(NetworkStep::ResetVlanProtocol { interface: interface() });
            }
            let (Some(new), Some(link)) = (new, link) else { return steps };
            if old.mtu.is_some() && new.mtu.is_none() && link.mtu != DEFAULT_MTU {
                steps.push(new.setting_mtu(name, DEFAULT_MTU, self.engine));
            }
            let mut forwarded = old.forwards.clone();
            if self.engine == Engine::Native && old.is_bridge() && old.vrf.is_some() {
                forwarded.extend([Family::V4, Family::V6]);
            }
            for &family in forwarded.difference(&new.forwards) {
                // Whether the node itself wants it of an interface of its own is not known.
                // A bridge in a VRF forwards all, whatever its lines say.
                let stays = old.is_own() || (new.is_bridge() && new.vrf.is_some());
                if link.forwards.contains(&family) && !stays {
                    steps.push(NetworkStep::StopForwarding { interface: interface(), family });
                }
            }
            if let (
                Kind::Vxlan { suppress, learning, .. },
                Kind::Vxlan { suppress: asks_suppress, learning: asks_learning, .. },
            ) = (&old.kind, &new.kind)
            {
                // As the kernel has it of a port of which nothing is said.
                let usual = [
                    ("neigh_suppress", suppress, asks_suppress, false),
                    ("learning", learning, asks_learning, true),
                ];
                let flags: BTreeMap<String, bool> = usual
                    .into_iter()
                    .filter(|(flag, old, new, usual)| {
                        let is_other = link.flags.get(*flag).is_some_and(|is| is != usual);
                        old.is_some() && new.is_none() && is_other
                    })
                    .map(|(flag, .., usual)| (flag.to_owned(), usual))
                    .collect();
                if !flags.is_empty() {
                    steps.push(NetworkStep::SetPortFlags { port: name.to_string(), flags });
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
        let is_native = self.engine == Engine::Native;
        let mut steps = if is_native { self.native(kernel) } else { Vec::new() };
        if is_native {
            steps.extend(self.resets(kernel));
        }
        // One that stood in the way went before.
        let went: BTreeSet<IfName> = steps
            .iter()
            .filter_map(|step| match step {
                NetworkStep::Delete { interface } => Some(interface.clone()),
                _ => None,
            })
            .collect();
        for (name, old) in self.gone().filter(|(name, _)| !went.contains(*name)) {
            let kind = kernel.links.get(name.as_str()).and_then(|link| link.kind.as_deref());
            if kind.is_some() && kind == old.kind.word() {
                let interface = name.clone();
                steps.push(match old.kind {
                    Kind::OvsPort { .. } => NetworkStep::DeleteOvsPort { interface },
                    _ => NetworkStep::Delete { interface },
                });
            }
        }
        steps.extend(self.unused(kernel).map(|interface| NetworkStep::Delete { interface }));
        steps.extend(self.no_longer_here(kernel));
        for (name, wanted) in &self.wanted {
            let Some(link) = kernel.links.get(name.as_str()) else { continue };
            let interface = || name.clone();
            // ifupdown2 has cables and dummies made by another program, and goes on before
            // the kernel's news of them reaches it: to what is not there it gives nothing.
            let made = matches!(wanted.kind, Kind::Dummy | Kind::Veth { .. });
            if made && !is_native && !differences(name.as_str(), wanted, kernel).is_empty() {
                steps.push(NetworkStep::Up { interfaces: vec![interface()] });
            }
            if wanted.alias.is_none() && link.alias.is_some() && !wanted.is_own() {
                steps.push(NetworkStep::SetAlias { interface: interface(), alias: None });
            }
            match &wanted.kind {
                Kind::Bridge { vlan_aware: false, .. } if link.vlan_filtering && !is_native => {
                    steps.push(NetworkStep::StopVlanFiltering { interface: interface() });
                }
                Kind::Vxlan { remotes, learning, .. } if *learning != Some(false) => {
                    let has = link.tunnel.iter().flat_map(|tunnel| &tunnel.remotes);
                    let surplus = has.filter(|remote| !remotes.contains(*remote));
                    steps.extend(surplus.map(|remote| NetworkStep::DropRemote {
                        interface: interface(),
                        remote: *remote,
                    }));
                }
                _ => {}
            }
        }
        steps.extend(self.rule_steps(kernel));
        let ports = self.wanted_ports(kernel, guests);
        steps.extend(self.kept(&ports).filter_map(|guest| guest.mending(kernel)));
        steps.extend(self.station_steps(kernel));
        steps.extend(sysctl::steps(&self.sysctls, kernel));
        steps
    }

    /// The rules of the files, and whether each is wanted.
    pub(super) fn known_rules(&self) -> BTreeMap<&Rule, bool> {
        let old = self.before.values().flat_map(|interface| &interface.rules);
        let new = self.wanted.values().flat_map(|interface| &interface.rules);
        old.map(|rule| (rule, false)).chain(new.map(|rule| (rule, true))).collect()
    }

    /// The guests whose bridge stays.
    pub(super) fn kept<'a>(
        &'a self,
        guests: &'a [GuestPort],
    ) -> impl Iterator<Item = &'a GuestPort> {
        guests.iter().filter(|guest| {
            self.wanted.get(guest.bridge.as_str()).is_some_and(Interface::is_bridge)
        })
    }

    /// The values of a kernel that are not what the file sets. One that it does not take is no
    /// reason to undo anything: the others are no less right.
    pub fn unset(&self, kernel: &Kernel) -> Vec<Mismatch> {
        sysctl::differences(&self.sysctls, kernel)
    }

    /// Everything that a kernel has otherwise than wanted, but for [`Target::unset`].
    pub fn verify(&self, kernel: &Kernel, guests: &[GuestPort]) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for (name, wanted) in &self.wanted {
            found.extend(differences(name.as_str(), wanted, kernel));
        }
        if self.engine == Engine::Native {
            found.extend(self.native_differences(kernel));
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
        found.extend(self.rule_mismatches(kernel));
        let ports = self.wanted_ports(kernel, guests);
        found.extend(self.kept(&ports).filter_map(|guest| guest.mismatch(kernel)));
        found
    }
}

/// The VLANs that are ports of bridges by their names.
fn implied(interfaces: &BTreeMap<IfName, Interface>) -> impl Iterator<Item = &str> {
    interfaces.values().flat_map(Interface::implied)
}

/// Whether a stanza says no more of a bridge of Open vSwitch than what its ports are.
fn only_ports_of_ovs(interface: &Interface) -> bool {
    interface.is_own() && interface.lines.iter().all(|line| option(line) == "ovs-ports")
}

#[cfg(test)]
mod tests {
    use crate::plan::{Family, Kernel, Link, NetworkStep, Target};

    /// An EVPN zone's layers, a VLAN zone on a plain bridge, and a fabric.
    const TEXT: &str = "auto v\niface v\n\tbridge_ports vxlan_v\n\tvrf vrf_z\n\
        auto vrf_z\niface vrf_z\n\tvrf-table auto\n\
        auto vrfbr_z\niface vrfbr_z\n\tbridge-ports vrfvx_z\n\tvrf vrf_z\n\
        auto vrfvx_z\niface vrfvx_z\n\tvxlan-id 10\n\tbridge-learning off\n\
        auto vxlan_v\niface vxlan_v\n\tvxlan-id 7\n\tbridge-learning off\n\
        auto ln_w\niface ln_w\n\tlink-type veth\n\tveth-peer-name pr_w\n\
        auto pr_w\niface pr_w\n\tlink-type veth\n\tveth-peer-name ln_w\n\
        auto vmbr0v5\niface vmbr0v5\n\tbridge_ports  eth0.5 pr_w\n\
        auto w\niface w\n\tbridge_ports ln_w\n\
        auto z_q\niface z_q\n\tbridge-ports vmbr0.9\n\
        auto q\niface q\n\tbridge_ports z_q.3\n\
        auto vmbr0\niface vmbr0\n\tovs_ports ln_o\n\
        auto eth1\niface eth1 inet static\n\taddress 10.9.0.1/31\n\tip-forward 1\n";

    fn names(steps: &[NetworkStep]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    fn link(kind: Option<&str>) -> Link {
        Link { kind: kind.map(str::to_owned), up: true, ..Link::default() }
    }

    fn own() -> Kernel {
        let links = [("eth1", link(None)), ("vmbr0", link(Some("openvswitch")))];
        Kernel {
            links: links.map(|(name, link)| (name.to_owned(), link)).into(),
            ..Kernel::default()
        }
    }

    #[test]
    fn what_others_lie_on_comes_first_and_goes_last() {
        let steps = Target::between(&[], TEXT).steps(&own());
        assert!(steps.before.is_empty());
        assert_eq!(
            names(&steps.after),
            ["bring up vrf_z eth1 ln_w pr_w vrfvx_z vxlan_v v vmbr0v5 vrfbr_z w z_q q"]
        );
        let mut kernel = own();
        for name in ["q", "w", "z_q", "vmbr0v5"] {
            kernel.links.insert(name.to_owned(), link(Some("bridge")));
        }
        kernel.links.insert("vrf_z".to_owned(), link(Some("vrf")));
        let steps = Target::between(&[TEXT], "").steps(&kernel);
        assert_eq!(steps.after[0].to_string(), "take down q vmbr0v5 w z_q vrf_z");
    }

    #[test]
    fn what_the_node_has_itself_stays() {
        let mut kernel = own();
        let addresses = ["10.9.0.1/31", "192.0.2.1/24"].map(|net| net.parse().expect("a net"));
        kernel.links.get_mut("eth1").expect("there").addresses = addresses.into();
        let target = Target::between(&[TEXT], "");
        assert_eq!(names(&target.steps(&kernel).after), ["take 10.9.0.1/31 off eth1"]);
        assert_eq!((target.verify(&kernel, &[]), target.amend(&kernel, &[])), (vec![], vec![]));
        // It is no obstacle either, whatever else it is used for.
        kernel.links.get_mut("eth1").expect("there").alias = Some("the uplink".to_owned());
        let own: &str = "auto eth1\niface eth1 inet static\n\taddress 10.9.0.1/31\n";
        let target = Target::between(&[], own);
        assert_eq!(target.foreign(&kernel).count(), 0);
        assert_eq!((target.verify(&kernel, &[]), target.amend(&kernel, &[])), (vec![], vec![]));
    }

    #[test]
    fn an_interface_of_a_fabric_has_to_forward_and_is_left_so() {
        let text = "auto eth1\niface eth1 inet static\n\tip-forward 1\n";
        let mut kernel = own();
        let target = Target::between(&[text], text);
        assert_eq!(target.verify(&kernel, &[])[0].to_string(), "`eth1` does not forward IPv4");
        assert_eq!(names(&target.steps(&kernel).after), ["bring up eth1"]);
        kernel.links.get_mut("eth1").expect("there").forwards = [Family::V4].into();
        assert!(target.verify(&kernel, &[]).is_empty());
        // The node itself may want it too.
        assert!(names(&Target::between(&[text], "").steps(&kernel).after).is_empty());
    }

    #[test]
    fn what_ifupdown2_missed_is_brought_up_again() {
        let text =
            "auto dummy_f\niface dummy_f inet static\n\taddress 10.9.0.1/32\n\tlink-type dummy\n";
        let target = Target::between(&[], text);
        let links = [("dummy_f".to_owned(), link(Some("dummy")))].into();
        let mut kernel = Kernel { links, ..Kernel::default() };
        assert_eq!(names(&target.amend(&kernel, &[])), ["bring up dummy_f"]);
        let dummy = kernel.links.get_mut("dummy_f").expect("there");
        dummy.addresses.extend("10.9.0.1/32".parse::<ipnet::IpNet>());
        assert_eq!(target.amend(&kernel, &[]), []);
    }

    #[test]
    fn tags_of_a_bridge_are_its_own_again() {
        let text = "auto vmbr0\niface vmbr0\n\tbridge-vlan-protocol 802.1ad\n";
        let vmbr0 = Link { vlan_protocol: Some("802.1ad".to_owned()), ..link(Some("bridge")) };
        let links = [("vmbr0".to_owned(), vmbr0)].into();
        let mut kernel = Kernel { links, ..Kernel::default() };
        let steps =
            |old, new, kernel: &Kernel| names(&Target::between(&[old], new).steps(kernel).after);
        assert_eq!(steps(text, "", &kernel), ["let vmbr0 filter VLANs by its own tags"]);
        assert_eq!(steps(text, text, &kernel), Vec::<String>::new());
        let vmbr0 = kernel.links.get_mut("vmbr0").expect("there");
        vmbr0.vlan_protocol = Some("802.1q".to_owned());
        assert_eq!(steps(text, "", &kernel), Vec::<String>::new());
        assert_eq!(steps(text, text, &kernel), ["bring up vmbr0"]);
    }

    #[test]
    fn a_vlan_that_nobody_uses_goes_with_the_bridge_that_it_was_made_for() {
        let target = Target::between(&["auto v\niface v\n\tbridge_ports vmbr0.5\n"], "");
        let vlan = |master: Option<&str>, address: Option<&str>| Link {
            vlan: Some((5, "802.1q".to_owned())),
            master: master.map(str::to_owned),
            addresses: address.and_then(|net| net.parse().ok()).into_iter().collect(),
            ..link(Some("vlan"))
        };
        for (found, goes) in [
            (vlan(None, None), true),
            (vlan(Some("vmbr1"), None), false),
            (vlan(None, Some("192.0.2.1/24")), false),
            (link(None), false),
        ] {
            let links = [("vmbr0.5".to_owned(), found)].into();
            let mut kernel = Kernel { links, ..Kernel::default() };
            assert_eq!(target.amend(&kernel, &[]).len(), usize::from(goes));
            let upper = Link { lower: Some("vmbr0.5".to_owned()), ..link(Some("macvtap")) };
            kernel.links.insert("on-top".to_owned(), upper);
            assert!(target.amend(&kernel, &[]).is_empty());
        }
    }

    #[test]
    fn a_routing_daemon_sends_where_it_wants() {
        let target = Target::between(&[], "auto x\niface x\n\tvxlan-id 7\n\tbridge-learning off\n");
        let tunnel = crate::plan::Tunnel {
            id: 7,
            port: 4789,
            learning: false,
            remotes: ["192.0.2.9".parse().expect("an address")].into(),
            local: None,
        };
        let flags = [("learning".to_owned(), false)].into();
        let x = Link { tunnel: Some(tunnel), flags, ..link(Some("vxlan")) };
        let mut kernel = Kernel { links: [("x".to_owned(), x)].into(), ..Kernel::default() };
        assert_eq!((target.verify(&kernel, &[]), target.amend(&kernel, &[])), (vec![], vec![]));
        let x = kernel.links.get_mut("x").expect("there");
        x.flags.insert("learning".to_owned(), true);
        let found = target.verify(&kernel, &[]);
        assert_eq!(found[0].to_string(), "`x` lacks the flag `learning off`");
    }

    #[test]
    fn both_ends_of_a_cable_are_made_again_together() {
        let text = "auto a\niface a\n\tlink-type veth\n\tveth-peer-name b\n\
            auto b\niface b\n\tlink-type veth\n\tveth-peer-name a\n\
            auto v\niface v\n\tbridge_ports a\n";
        let veth = |lower: &str, master: Option<&str>| Link {
            lower: Some(lower.to_owned()),
            master: master.map(str::to_owned),
            ..link(Some("veth"))
        };
        let links =
            [("a", veth("b", Some("v"))), ("b", veth("x", None)), ("v", link(Some("bridge")))];
        let links = links.map(|(name, link)| (name.to_owned(), link)).into();
        let steps = Target::between(&[text], text).steps(&Kernel { links, ..Kernel::default() });
        assert_eq!(names(&steps.before), ["take down a b"]);
        assert_eq!(names(&steps.after), ["bring up a b v"]);
    }
}

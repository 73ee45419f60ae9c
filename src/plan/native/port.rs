//! Ports of bridges.

use std::collections::{BTreeMap, BTreeSet};

use super::made::leave;
use super::{Work, switch};
use crate::plan::interface::{Interface, Kind};
use crate::plan::kernel::{Link, PortVlan};
use crate::plan::network::Target;
use crate::plan::step::NetworkStep;
use crate::value::IfName;

/// What each port of a bridge that filters VLANs has at first.
const FIRST_VLAN: PortVlan = PortVlan { first: 1, last: 1, pvid: true, untagged: true };

/// The multicast router setting of a port behind which there always is one.
const ALWAYS_A_ROUTER: u8 = 2;

impl Target {
    /// Takes ports out of bridges that had them by their stanzas and are not to have them any
    /// more.
    pub(super) fn leave(&self, work: &mut Work<'_>) {
        for (bridge, old) in &*self.before {
            let wanted = self.wanted.get(bridge);
            let stays: BTreeSet<&str> = wanted.into_iter().flat_map(Interface::ports).collect();
            for port in old.ports().filter(|port| !stays.contains(port)) {
                let is_in = |link: &Link| link.master.as_deref() == Some(bridge.as_str());
                if !work.links.get(port).is_some_and(is_in) {
                    continue;
                }
                work.links.change(port, leave);
                if let Ok(interface) = port.parse() {
                    work.settings.push(NetworkStep::SetMaster { interface, master: None });
                }
            }
        }
    }

    /// What is set of a port of one of our bridges, which filters VLANs where there are `vlans`.
    pub(super) fn set_port(
        &self,
        bridge: &IfName,
        port: &str,
        vlans: Option<&[(u16, u16)]>,
        work: &Work<'_>,
    ) -> Vec<NetworkStep> {
        let (Some(link), Ok(interface)) = (work.links.get(port), port.parse::<IfName>()) else {
            return Vec::new();
        };
        let is_port = link.master.as_deref() == Some(bridge.as_str());
        let mut steps = Vec::new();
        if !is_port {
            let (interface, master) = (interface.clone(), Some(bridge.clone()));
            steps.push(NetworkStep::SetMaster { interface, master });
        }
        let flags = self.port_flags(port);
        let other: BTreeMap<String, bool> = flags
            .into_iter()
            // One that the kernel does not tell of it does not have.
            .filter(|(flag, asked)| !is_port || link.flags.get(*flag).is_some_and(|is| is != asked))
            .map(|(flag, asked)| (flag.to_owned(), asked))
            .collect();
        if !other.is_empty() {
            steps.push(NetworkStep::SetPortFlags { port: port.to_owned(), flags: other });
        }
        let is_tunnel = link.kind.as_deref() == Some("vxlan");
        let is_other = link.multicast_router.is_some_and(|is| is != ALWAYS_A_ROUTER);
        if is_tunnel && (!is_port || is_other) {
            let (interface, value) = (interface.clone(), ALWAYS_A_ROUTER);
            steps.push(NetworkStep::SetMulticastRouter { interface, value });
        }
        if let Some(ranges) = vlans {
            let has = if is_port { link.vlans.clone() } else { [FIRST_VLAN].into() };
            let wanted = port_vlans(ranges);
            let remove: Vec<PortVlan> = has.difference(&wanted).copied().collect();
            let add: Vec<PortVlan> = wanted.difference(&has).copied().collect();
            if !remove.is_empty() || !add.is_empty() {
                steps.push(NetworkStep::SetPortVlans { port: port.to_owned(), remove, add });
            }
        }
        if !link.ipv6_off && work.has_ipv6 {
            steps.push(switch(&interface, "ipv6", "disable_ipv6"));
        }
        // One without a stanza is set up with its bridge.
        if !link.up && !self.wanted.contains_key(&interface) {
            steps.push(NetworkStep::SetUp { interface });
        }
        steps
    }

    /// The flags that the stanza of a port asks for. What it does not ask for the kernel sets
    /// when the interface becomes a port.
    fn port_flags(&self, port: &str) -> Vec<(&'static str, bool)> {
        match self.wanted.get(port).map(|wanted| &wanted.kind) {
            Some(Kind::Vxlan { learning, suppress, .. }) => {
                let asked = [("learning", *learning), ("neigh_suppress", *suppress)];
                asked.into_iter().filter_map(|(flag, on)| Some((flag, on?))).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The VLANs of a port of a bridge that carries these.
pub(super) fn port_vlans(ranges: &[(u16, u16)]) -> BTreeSet<PortVlan> {
    let of = |&(first, last): &(u16, u16)| {
        let first = first.max(2);
        (first <= last).then_some(PortVlan { first, last, pvid: false, untagged: false })
    };
    ranges.iter().filter_map(of).chain([FIRST_VLAN]).collect()
}

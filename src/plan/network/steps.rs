//! The steps of an apply, around the writing of the files.

use std::collections::BTreeSet;

use super::Target;
use crate::plan::engine::Engine;
use crate::plan::interface::{Interface, Kind};
use crate::plan::kernel::Kernel;
use crate::plan::order::{Order, ordered};
use crate::plan::stanza::option;
use crate::plan::step::NetworkStep;
use crate::plan::verify::differences;
use crate::value::IfName;

/// The steps of an apply, around the writing of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// With the old files in place.
    pub before: Vec<NetworkStep>,
    /// With the new files in place.
    pub after: Vec<NetworkStep>,
}

impl Target {
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
}

/// Whether a stanza says no more of a bridge of Open vSwitch than what its ports are.
fn only_ports_of_ovs(interface: &Interface) -> bool {
    interface.is_own() && interface.lines.iter().all(|line| option(line) == "ovs-ports")
}

//! What goes that was asked for until now.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::Target;
use crate::plan::engine::Engine;
use crate::plan::interface::{Interface, Kind};
use crate::plan::kernel::{Kernel, Link};
use crate::plan::rule::Family;
use crate::plan::step::NetworkStep;
use crate::value::IfName;

/// The MTU that the kernel gives to interfaces when nothing is asked for.
const DEFAULT_MTU: u32 = 1500;

impl Target {
    /// VLANs that ifupdown2 made for bridges of the old files and that none of the new ones
    /// has, where nothing uses them: one that the administrator has is on a bridge, has an
    /// address or has something on top of it.
    pub(super) fn unused<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = IfName> + 'a {
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

    /// Addresses that an interface of the node's own does not get from us any more.
    pub(in crate::plan) fn released(
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
    pub(super) fn resets<'a>(
        &'a self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = NetworkStep> + 'a {
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
}

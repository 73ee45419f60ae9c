//! Interfaces as the kernel makes them, and what goes with one that goes.

use std::collections::{BTreeMap, BTreeSet};

use super::links::Links;
use crate::plan::kernel::{Link, Tunnel};
use crate::plan::step::Make;

/// The MTU that the kernel gives to what it makes.
const DEFAULT_MTU: u32 = 1500;

/// The forward delay that the kernel gives to a bridge, in hundredths of a second.
const DEFAULT_FORWARD_DELAY: u32 = 1500;

/// An interface of a kind, with nothing on it.
pub(super) fn made(kind: &str) -> Link {
    Link { kind: Some(kind.to_owned()), mtu: DEFAULT_MTU, ..Link::default() }
}

/// An interface as the kernel makes it.
pub(super) fn as_made(make: &Make) -> Link {
    match make {
        Make::Bridge => Link {
            forward_delay: DEFAULT_FORWARD_DELAY,
            vlan_protocol: Some("802.1q".to_owned()),
            ..made("bridge")
        },
        Make::Vxlan { id, port, local, learning } => {
            let (id, port, local, learning) = (*id, *port, *local, *learning);
            let tunnel = Tunnel { id, port, local, learning, remotes: BTreeSet::new() };
            Link { tunnel: Some(tunnel), ..made("vxlan") }
        }
        Make::Veth { peer } => Link { lower: Some(peer.to_string()), ..made("veth") },
        Make::Vlan { device, id, protocol } => {
            let (lower, vlan) = (Some(device.to_string()), Some((*id, protocol.clone())));
            Link { lower, vlan, ..made("vlan") }
        }
        Make::Vrf { table } => Link { table: Some(*table), ..made("vrf") },
        Make::Dummy => made("dummy"),
    }
}

/// What stands on what in a kernel, as it is before anything is taken away.
pub(super) struct Standing<'a> {
    links: &'a BTreeMap<String, Link>,
    /// Ports by what they are in.
    ports: BTreeMap<&'a str, Vec<&'a str>>,
    /// VLANs by what they are of, and ends of cables by the other end.
    above: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(links: &'a BTreeMap<String, Link>) -> Self {
        let (mut ports, mut above) = (BTreeMap::new(), BTreeMap::new());
        for (name, link) in links {
            if let Some(master) = link.master.as_deref() {
                ports.entry(master).or_insert_with(Vec::new).push(name.as_str());
            }
            if let (Some("veth" | "vlan"), Some(lower)) =
                (link.kind.as_deref(), link.lower.as_deref())
            {
                above.entry(lower).or_insert_with(Vec::new).push(name.as_str());
            }
        }
        Self { links, ports, above }
    }

    /// Takes away an interface with what goes with it: VLANs on top of it, the other end of a
    /// cable, and that it is what others are in.
    pub(super) fn forget(&self, name: &str, links: &mut Links<'_>) {
        if !links.remove(name) || !self.links.contains_key(name) {
            return;
        }
        for port in self.ports.get(name).into_iter().flatten() {
            links.change(port, leave);
        }
        for upper in self.above.get(name).into_iter().flatten() {
            self.forget(upper, links);
        }
    }
}

/// A port is of nothing any more.
pub(super) fn leave(link: &mut Link) {
    (link.master, link.multicast_router) = (None, None);
    link.flags.clear();
    link.vlans.clear();
}

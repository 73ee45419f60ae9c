//! Interfaces as the kernel makes them, and what goes with one that goes.

use std::collections::{BTreeMap, BTreeSet};

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

/// Takes away an interface with what goes with it: VLANs on top of it, the other end of a
/// cable, and that it is what others are in.
pub(super) fn forget(name: &str, links: &mut BTreeMap<String, Link>) {
    links.remove(name);
    for link in links.values_mut().filter(|link| link.master.as_deref() == Some(name)) {
        (link.master, link.multicast_router) = (None, None);
        link.flags.clear();
        link.vlans.clear();
    }
    let above = |link: &Link| {
        let goes = matches!(link.kind.as_deref(), Some("veth" | "vlan"));
        goes && link.lower.as_deref() == Some(name)
    };
    let gone: Vec<String> =
        links.iter().filter(|(_, link)| above(link)).map(|(name, _)| name.clone()).collect();
    for name in gone {
        if links.contains_key(&name) {
            forget(&name, links);
        }
    }
}

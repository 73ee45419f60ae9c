//! Floor 1: what rendering needs to know of a node.
//!
//! Plain data, recorded by `weft facts` and frozen into each generation, so that
//! any node can be rendered anywhere, and a bug report is a test case. Holds no
//! time and nothing that changes by itself.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::value::{IfName, NodeName};

/// The format of recorded facts that this version writes and reads.
pub const FORMAT: u32 = 1;

/// What is known of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose facts these are.
    pub node: NodeName,
    /// The `address` lines of `/etc/network/interfaces` under `inet` and `inet6`
    /// stanzas, in the order of the file. Not of the files that it sources, and
    /// not of the kernel: the reference looks nowhere else
    /// (`pve-rendering.md` §1.7).
    pub addresses: Vec<InterfaceAddress>,
    /// The routes that a packet of this node can take, both families.
    pub routes: Vec<Route>,
}

/// An address that `/etc/network/interfaces` gives to an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceAddress {
    /// The interface.
    pub interface: IfName,
    /// The address without its prefix length.
    pub address: IpAddr,
}

/// A route, and the source address that the kernel chooses for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where it leads.
    pub destination: IpNet,
    /// The interface that packets leave by.
    pub interface: IfName,
    /// The source address of packets that this node sends there.
    pub source: IpAddr,
    /// The kernel's preference: the lowest wins among equal destinations.
    pub metric: u32,
}

impl Facts {
    /// Facts of a node of which nothing else is known.
    pub fn unknown(node: NodeName) -> Self {
        Self { format: FORMAT, node, addresses: Vec::new(), routes: Vec::new() }
    }

    /// The route to an address: the longest prefix, then the lowest metric, then
    /// the first recorded. What `ip route get` answers where there is no policy
    /// routing.
    pub fn route_to(&self, address: IpAddr) -> Option<&Route> {
        self.routes
            .iter()
            .enumerate()
            .filter(|(_, route)| route.destination.contains(&address))
            .min_by_key(|(index, route)| {
                (std::cmp::Reverse(route.destination.prefix_len()), route.metric, *index)
            })
            .map(|(_, route)| route)
    }
}

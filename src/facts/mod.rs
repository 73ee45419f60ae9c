//! Floor 1: what rendering needs to know of a node.
//!
//! Plain data, recorded by `weft facts` and frozen into each generation, so that
//! any node can be rendered anywhere, and a bug report is a test case. Holds no
//! time and nothing that changes by itself, nor what weft or a hypervisor makes: no
//! interface of a vnet, no port of a guest.

pub mod frr_local;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::value::{IfName, MacAddress, NodeName};

/// The format of recorded facts that this version writes and reads.
pub const FORMAT: u32 = 2;

/// What is known of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose facts these are.
    pub node: NodeName,
    /// The `address` lines of `/etc/network/interfaces` under `inet` stanzas, IPv6 ones
    /// among them, in the order of the file. Not those under `inet6`, not of the files that
    /// it sources, and not of the kernel: the reference looks nowhere else
    /// (`pve-rendering.md` §1.7).
    #[serde(default)]
    pub addresses: Vec<InterfaceAddress>,
    /// The routes that a packet of this node can take, both families.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The node's own bridges, in the byte order of their names.
    #[serde(default)]
    pub bridges: Vec<Bridge>,
    /// The node's own interfaces, bridges among them, in the byte order of their names.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// What there is of FRRouting; `None` on a node without `/etc/frr`.
    #[serde(default)]
    pub frr: Option<Frr>,
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
    /// The router that they are handed to. None of what is on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The source address of packets that this node sends there.
    pub source: IpAddr,
    /// The kernel's preference: the lowest wins among equal destinations.
    pub metric: u32,
}

/// A bridge of the node's own, such as `vmbr0`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Its name.
    pub name: IfName,
    /// What forwards its frames.
    pub kind: BridgeKind,
    /// Its ports that are hardware, bonds or VLANs, in the byte order of their names
    /// (`pve-rendering.md` §1.4).
    pub ports: Vec<IfName>,
}

/// What forwards the frames of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BridgeKind {
    /// The kernel, without looking at VLAN tags.
    Plain,
    /// The kernel, which filters VLANs.
    VlanAware,
    /// Open vSwitch.
    Ovs,
}

/// An interface of the node's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// The kernel's name of it.
    pub name: IfName,
    /// Other names that the kernel takes for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altnames: Vec<IfName>,
    /// Its MAC address, in lower case. None of one that has no such thing.
    #[serde(default)]
    pub mac: Option<MacAddress>,
    /// The bridge, bond or VRF that it is a port of.
    #[serde(default)]
    pub master: Option<IfName>,
    /// The largest packet, in bytes.
    pub mtu: u32,
}

/// What there is of FRRouting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frr {
    /// The version that is installed, such as `10.3-3`.
    #[serde(default)]
    pub version: Option<String>,
    /// The text of `/etc/frr/frr.conf.local`, where there is one.
    #[serde(default)]
    pub local: Option<String>,
    /// The text of `/etc/frr/daemons`, where there is one.
    #[serde(default)]
    pub daemons: Option<String>,
}

impl Facts {
    /// Facts of a node of which nothing else is known.
    pub fn unknown(node: NodeName) -> Self {
        Self {
            format: FORMAT,
            node,
            addresses: Vec::new(),
            routes: Vec::new(),
            bridges: Vec::new(),
            interfaces: Vec::new(),
            frr: None,
        }
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

    /// A bridge of the node's own.
    pub fn bridge(&self, name: &IfName) -> Option<&Bridge> {
        self.bridges.iter().find(|bridge| bridge.name == *name)
    }

    /// An interface of the node's own, by its name or another name of it.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        let is_so = |interface: &&Interface| interface.name.as_str() == name;
        let also = |interface: &&Interface| {
            interface.altnames.iter().any(|altname| altname.as_str() == name)
        };
        self.interfaces.iter().find(is_so).or_else(|| self.interfaces.iter().find(also))
    }
}

//! Fabrics: the routed underlay between nodes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::value::{Area, Cidr, IfName, NodeName};

/// One fabric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fabric {
    /// The routing protocol, with what only it has.
    pub protocol: FabricProtocol,
    /// The nodes in it, in the byte order of their names.
    pub nodes: BTreeMap<NodeName, FabricNode>,
}

/// The routing protocol of a fabric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FabricProtocol {
    /// OpenFabric. At least one prefix is there.
    Openfabric {
        /// The prefix of the nodes' IPv4 addresses.
        ip_prefix: Option<Cidr>,
        /// The prefix of the nodes' IPv6 addresses.
        ip6_prefix: Option<Cidr>,
        /// Seconds between hellos.
        hello_interval: Option<u32>,
        /// Seconds between complete sequence numbers.
        csnp_interval: Option<u32>,
    },
    /// OSPF version 2.
    Ospf {
        /// The prefix of the nodes' addresses.
        ip_prefix: Cidr,
        /// The area, printed as it was written.
        area: Area,
    },
}

/// One node of a fabric. It has an address of a family exactly if the fabric has a prefix
/// of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FabricNode {
    /// Its IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// The interfaces that take part, in the order declared.
    pub interfaces: Vec<FabricInterface>,
}

/// One interface of a node in a fabric. One without an address is unnumbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FabricInterface {
    /// The interface.
    pub name: IfName,
    /// Its IPv4 address with prefix length.
    pub ip: Option<Cidr>,
    /// Its IPv6 address with prefix length. Only with OpenFabric.
    pub ip6: Option<Cidr>,
    /// OpenFabric: hellos that may be missed.
    pub hello_multiplier: Option<u32>,
}

impl Fabric {
    /// The prefix of the nodes' IPv4 addresses.
    pub fn ip_prefix(&self) -> Option<&Cidr> {
        match &self.protocol {
            FabricProtocol::Openfabric { ip_prefix, .. } => ip_prefix.as_ref(),
            FabricProtocol::Ospf { ip_prefix, .. } => Some(ip_prefix),
        }
    }

    /// The prefix of the nodes' IPv6 addresses.
    pub fn ip6_prefix(&self) -> Option<&Cidr> {
        match &self.protocol {
            FabricProtocol::Openfabric { ip6_prefix, .. } => ip6_prefix.as_ref(),
            FabricProtocol::Ospf { .. } => None,
        }
    }
}

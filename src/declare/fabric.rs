//! `fabrics:` as written, their nodes inside them.

use std::net::IpAddr;

use super::shape::Entries;
use crate::value::{Area, Cidr, IfName, NodeName};

choices! {
    /// The routing protocol of the underlay.
    pub enum FabricType as "a fabric type" {
        /// OpenFabric (IS-IS).
        "openfabric" Openfabric,
        /// OSPF version 2.
        "ospf" Ospf,
    }
}

declaration! {
    /// One fabric.
    pub struct Fabric as "a fabric" {
        /// The routing protocol.
        required "type" kind: FabricType,
        /// The prefix of the nodes' IPv4 addresses.
        optional "ip_prefix" ip_prefix: Cidr,
        /// The prefix of the nodes' IPv6 addresses.
        optional "ip6_prefix" ip6_prefix: Cidr,
        /// OpenFabric: seconds between hellos.
        optional "hello_interval" hello_interval: u32,
        /// OpenFabric: seconds between complete sequence numbers.
        optional "csnp_interval" csnp_interval: u32,
        /// OSPF: the area.
        optional "area" area: Area,
        /// The nodes in it.
        optional "nodes" nodes: Entries<NodeName, FabricNode>,
    }
}

declaration! {
    /// One node of a fabric.
    pub struct FabricNode as "a node of a fabric" {
        /// Its IPv4 address in the fabric.
        optional "ip" ip: IpAddr,
        /// Its IPv6 address in the fabric.
        optional "ip6" ip6: IpAddr,
        /// The interfaces that take part.
        optional "interfaces" interfaces: Vec<FabricInterface>,
    }
}

declaration! {
    /// One interface of a node in a fabric.
    pub struct FabricInterface as "an interface of a fabric" {
        /// The interface.
        required "name" name: IfName,
        /// Its IPv4 address with prefix length.
        optional "ip" ip: Cidr,
        /// Its IPv6 address with prefix length.
        optional "ip6" ip6: Cidr,
        /// OpenFabric: hellos that may be missed.
        optional "hello_multiplier" hello_multiplier: u32,
    }
}

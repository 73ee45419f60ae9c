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
    pub struct Fabric as "a fabric" typed FabricType {
        /// The routing protocol.
        required "type" kind: FabricType,
        /// The prefix of the nodes' IPv4 addresses.
        optional "ip_prefix" ip_prefix: Cidr => [Openfabric Ospf] required [Ospf],
        /// The prefix of the nodes' IPv6 addresses.
        optional "ip6_prefix" ip6_prefix: Cidr => [Openfabric],
        /// Seconds between hellos, 1 to 600.
        optional "hello_interval" hello_interval: u32 => [Openfabric],
        /// Seconds between complete sequence numbers, 1 to 600.
        optional "csnp_interval" csnp_interval: u32 => [Openfabric],
        /// The area, which no other fabric has.
        optional "area" area: Area => [Ospf] required [Ospf],
        /// The nodes in it.
        optional "nodes" nodes: Entries<NodeName, FabricNode>,
    }
}

declaration! {
    /// One node of a fabric.
    pub struct FabricNode as "a node of a fabric" {
        /// Its IPv4 address in the fabric.
        optional "ip" ip: IpAddr,
        /// Its IPv6 address in the fabric. Only of OpenFabric.
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
        /// Its IPv6 address with prefix length. Only of OpenFabric.
        optional "ip6" ip6: Cidr,
        /// Hellos that may be missed, 2 to 100. Only of OpenFabric.
        optional "hello_multiplier" hello_multiplier: u32,
    }
}

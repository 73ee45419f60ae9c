//! Zones, each type with what only it can have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Vnet, VxlanVnet};
use crate::value::{DnsId, DnsName, IpamId, Mtu, NodeName, Port, VnetId};

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Where the zone is.
    pub nodes: Nodes,
    /// The MTU of the vnets. `None` where it was not set, or set to 0.
    pub mtu: Option<Mtu>,
    /// Where the zone's addresses are administered. `git` where there is none.
    pub ipam: Option<IpamId>,
    /// Where names of guests are registered.
    pub naming: Naming,
    /// What isolates the zone, and its vnets.
    pub kind: ZoneKind,
}

impl Zone {
    /// The vnets and what all types of zones have of them, in the byte order of
    /// their ids.
    pub fn vnets(&self) -> Box<dyn Iterator<Item = (&VnetId, &Vnet)> + '_> {
        match &self.kind {
            ZoneKind::Simple(simple) => Box::new(simple.vnets.iter()),
            ZoneKind::Vxlan(vxlan) => {
                Box::new(vxlan.vnets.iter().map(|(id, vnet)| (id, &vnet.vnet)))
            }
        }
    }
}

/// What isolates a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneKind {
    /// A bridge of its own on each node.
    Simple(SimpleZone),
    /// Layer 2 tunnels between the nodes.
    Vxlan(VxlanZone),
}

/// A zone whose vnets are bridges without a port to the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimpleZone {
    /// Who serves DHCP.
    pub dhcp: Option<DhcpServer>,
    /// The vnets.
    pub vnets: BTreeMap<VnetId, Vnet>,
}

/// A zone whose vnets are tunnels to every peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VxlanZone {
    /// The tunnel ends in the order of rendering, this node's among them.
    pub peers: Vec<IpAddr>,
    /// The UDP port. The kernel's, 4789, where there is none.
    pub port: Option<Port>,
    /// The vnets.
    pub vnets: BTreeMap<VnetId, VxlanVnet>,
}

/// Who serves DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpServer {
    /// One dnsmasq for the zone.
    Dnsmasq,
}

/// Where names of guests are registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The server that is told names, and the DNS zone that they lie in.
    pub forward: Option<(DnsId, Option<DnsName>)>,
    /// The server that is told names for addresses.
    pub reverse: Option<DnsId>,
}

/// The nodes that a zone is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Every node that is declared.
    All,
    /// These. A name that no node has is tolerated and has no effect.
    Some(BTreeSet<NodeName>),
}

impl Nodes {
    /// Whether the zone is on a node. That the node is declared at all is not
    /// asked here.
    pub fn contains(&self, node: &NodeName) -> bool {
        match self {
            Self::All => true,
            Self::Some(nodes) => nodes.contains(node),
        }
    }
}

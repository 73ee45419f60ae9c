//! Zones, each type with what only it can have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Vnet;
use crate::value::{
    ControllerId, DnsId, DnsName, FabricId, IfName, IpamId, MacAddress, Mtu, NodeName, Port,
    RouteTarget, ServiceTag, Tag, VnetId,
};

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
    /// Who serves DHCP. Where the router is outside, only on nodes that a subnet names.
    pub dhcp: Option<DhcpServer>,
    /// Guests' ports neither learn nor flood. Never in simple and VXLAN zones.
    pub bridge_disable_mac_learning: bool,
    /// What isolates the zone.
    pub kind: ZoneKind,
    /// The vnets, in the byte order of their ids.
    pub vnets: BTreeMap<VnetId, Vnet>,
}

/// What isolates a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneKind {
    /// A bridge of its own on each node.
    Simple,
    /// VLANs on a bridge of the node.
    Vlan(VlanZone),
    /// VLANs in a service VLAN on a bridge of the node.
    Qinq(QinqZone),
    /// Layer 2 tunnels between the nodes.
    Vxlan(VxlanZone),
    /// Layer 3 tunnels with BGP EVPN.
    Evpn(EvpnZone),
}

impl ZoneKind {
    /// Whether the router of the zone's subnets is none of the nodes.
    pub fn is_routed_outside(&self) -> bool {
        matches!(self, Self::Vlan(_) | Self::Qinq(_) | Self::Vxlan(_))
    }
}

/// A zone whose vnets are VLANs of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanZone {
    /// The node's bridge that carries the tags.
    pub bridge: IfName,
}

/// A zone whose vnets are VLANs within one VLAN of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QinqZone {
    /// The node's bridge that carries the service VLAN.
    pub bridge: IfName,
    /// The service VLAN.
    pub tag: ServiceTag,
    /// Its protocol. What is not set is rendered otherwise than `802.1q`, which it means
    /// (`pve-rendering.md` §1.5).
    pub protocol: Option<VlanProtocol>,
}

/// The protocol of an outer VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VlanProtocol {
    /// Customer tags.
    Dot1q,
    /// Service tags.
    Dot1ad,
}

/// A zone whose vnets are tunnels to every peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanZone {
    /// Where the tunnels end.
    pub peers: Peers,
    /// The UDP port. The kernel's, 4789, where there is none.
    pub port: Option<Port>,
}

/// The other ends of tunnels or sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// These addresses in the order of rendering, this node's among them.
    Addresses(Vec<IpAddr>),
    /// The nodes of a fabric. One that is not declared is tolerated, and leaves what
    /// depends on it unrendered.
    Fabric(FabricId),
}

/// A zone whose vnets are routed in a VRF that spans the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvpnZone {
    /// The EVPN controller, which is declared.
    pub controller: ControllerId,
    /// The VNI of the zone's VRF. No other zone has it.
    pub vrf_vxlan: Tag,
    /// The MAC address of every gateway.
    pub mac: Option<MacAddress>,
    /// The nodes that route to the outside.
    pub exit_nodes: BTreeSet<NodeName>,
    /// The one that is preferred. That it is an exit node is not sure.
    pub exit_nodes_primary: Option<NodeName>,
    /// Exit nodes themselves reach the zone's guests.
    pub exit_nodes_local_routing: bool,
    /// Whole subnets are announced.
    pub advertise_subnets: bool,
    /// ARP requests and neighbour solicitations are not answered for others.
    pub disable_arp_nd_suppression: bool,
    /// Further route targets to import, in order.
    pub rt_import: Vec<RouteTarget>,
    /// The UDP port. The kernel's, 4789, where there is none.
    pub port: Option<Port>,
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

impl Peers {
    /// The addresses that are listed; none of a fabric.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Addresses(addresses) => addresses,
            Self::Fabric(_) => &[],
        }
    }
}

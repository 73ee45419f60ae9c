//! `zones:` as written.

use std::net::IpAddr;

use crate::value::{
    At, ControllerId, DnsId, DnsName, FabricId, IfName, IpamId, MacAddress, Mtu, NodeName, Port,
    RouteTarget, ServiceTag, Tag,
};

choices! {
    /// The kind of isolation.
    pub enum ZoneType as "a zone type" {
        /// A bridge of its own on each node.
        "simple" Simple,
        /// VLANs on a bridge of the node.
        "vlan" Vlan,
        /// VLANs in a service VLAN.
        "qinq" Qinq,
        /// Layer 2 tunnels between the nodes.
        "vxlan" Vxlan,
        /// Layer 3 tunnels with BGP EVPN.
        "evpn" Evpn,
    }
}

choices! {
    /// Who serves DHCP.
    pub enum DhcpServer as "a DHCP server" {
        /// One dnsmasq for the zone.
        "dnsmasq" Dnsmasq,
    }
}

choices! {
    /// The outer tag of a QinQ zone.
    pub enum VlanProtocol as "a VLAN protocol" {
        /// Customer tags.
        "802.1q" Dot1q,
        /// Service tags.
        "802.1ad" Dot1ad,
    }
}

declaration! {
    /// One zone.
    pub struct Zone as "a zone" typed ZoneType {
        /// The kind of isolation.
        required "type" kind: ZoneType,
        /// Nodes that get this zone. All declared nodes when absent.
        optional "nodes" nodes: Vec<At<NodeName>>,
        /// Where the zone's addresses are administered. `git` when absent.
        optional "ipam" ipam: IpamId,
        /// The server that is told names of guests.
        optional "dns" dns: DnsId,
        /// The server that is told names for addresses.
        optional "reversedns" reversedns: DnsId,
        /// The DNS zone of guests' names.
        optional "dnszone" dnszone: DnsName,
        /// MTU of the vnets, in bytes. 0 is `not set`.
        optional "mtu" mtu: Mtu,
        /// Who serves DHCP.
        optional "dhcp" dhcp: DhcpServer,
        /// The node's bridge that carries the tags.
        optional "bridge" bridge: IfName => [Vlan Qinq] required [Vlan Qinq],
        /// Guests' ports neither learn nor flood.
        optional "bridge-disable-mac-learning" bridge_disable_mac_learning: bool => [Vlan Qinq Evpn],
        /// The service VLAN.
        optional "tag" tag: ServiceTag => [Qinq] required [Qinq],
        /// The protocol of the service VLAN.
        optional "vlan-protocol" vlan_protocol: VlanProtocol => [Qinq],
        /// The tunnel ends. The nodes' addresses when neither this nor `fabric` is there.
        optional "peers" peers: Vec<At<IpAddr>> => [Vxlan],
        /// Without `peers`: tunnel ends beside the nodes of this cluster.
        optional "external-peers" external_peers: Vec<At<IpAddr>> => [Vxlan],
        /// The fabric whose nodes are the tunnel ends.
        optional "fabric" fabric: FabricId => [Vxlan],
        /// The UDP port. 4789 when absent.
        optional "vxlan-port" vxlan_port: Port => [Vxlan Evpn],
        /// The controller, one of type evpn.
        optional "controller" controller: ControllerId => [Evpn] required [Evpn],
        /// The VNI of the zone's VRF, which no other zone has.
        optional "vrf-vxlan" vrf_vxlan: Tag => [Evpn] required [Evpn],
        /// The anycast MAC address of every gateway.
        optional "mac" mac: MacAddress => [Evpn],
        /// Nodes that route to the outside.
        optional "exitnodes" exitnodes: Vec<At<NodeName>> => [Evpn],
        /// The exit node that is preferred.
        optional "exitnodes-primary" exitnodes_primary: NodeName => [Evpn],
        /// Exit nodes themselves reach the zone's guests.
        optional "exitnodes-local-routing" exitnodes_local_routing: bool => [Evpn],
        /// Announce whole subnets.
        optional "advertise-subnets" advertise_subnets: bool => [Evpn],
        /// Do not answer ARP and neighbour solicitations for others.
        optional "disable-arp-nd-suppression" disable_arp_nd_suppression: bool => [Evpn],
        /// Further route targets to import.
        optional "rt-import" rt_import: Vec<At<RouteTarget>> => [Evpn],
    }
}

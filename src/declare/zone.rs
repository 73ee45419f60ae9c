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
    /// One zone. Which keys go with which `type` is a rule of `validate`, so that
    /// the message can name both places.
    pub struct Zone as "a zone" {
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
        /// Simple and EVPN zones: who serves DHCP.
        optional "dhcp" dhcp: DhcpServer,
        /// VLAN and QinQ zones: the node's bridge that carries the tags.
        optional "bridge" bridge: IfName,
        /// Guests' ports neither learn nor flood.
        optional "bridge-disable-mac-learning" bridge_disable_mac_learning: bool,
        /// QinQ zones: the service VLAN.
        optional "tag" tag: ServiceTag,
        /// QinQ zones: the protocol of the service VLAN.
        optional "vlan-protocol" vlan_protocol: VlanProtocol,
        /// VXLAN zones: the tunnel ends. The nodes' addresses when neither this nor `fabric` is there.
        optional "peers" peers: Vec<At<IpAddr>>,
        /// VXLAN zones without `peers`: tunnel ends beside the nodes of this cluster.
        optional "external-peers" external_peers: Vec<At<IpAddr>>,
        /// VXLAN zones: the fabric whose nodes are the tunnel ends.
        optional "fabric" fabric: FabricId,
        /// VXLAN and EVPN zones: the UDP port. 4789 when absent.
        optional "vxlan-port" vxlan_port: Port,
        /// EVPN zones: the controller.
        optional "controller" controller: ControllerId,
        /// EVPN zones: the VNI of the zone's VRF.
        optional "vrf-vxlan" vrf_vxlan: Tag,
        /// EVPN zones: the anycast MAC address of every gateway.
        optional "mac" mac: MacAddress,
        /// EVPN zones: nodes that route to the outside.
        optional "exitnodes" exitnodes: Vec<At<NodeName>>,
        /// EVPN zones: the exit node that is preferred.
        optional "exitnodes-primary" exitnodes_primary: NodeName,
        /// EVPN zones: exit nodes themselves reach the zone's guests.
        optional "exitnodes-local-routing" exitnodes_local_routing: bool,
        /// EVPN zones: announce whole subnets.
        optional "advertise-subnets" advertise_subnets: bool,
        /// EVPN zones: do not answer ARP and neighbour solicitations for others.
        optional "disable-arp-nd-suppression" disable_arp_nd_suppression: bool,
        /// EVPN zones: further route targets to import.
        optional "rt-import" rt_import: Vec<At<RouteTarget>>,
    }
}

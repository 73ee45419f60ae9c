//! `controllers:` as written.

use std::net::IpAddr;

use crate::value::{Asn, At, FabricId, IfName, IsisNet, NodeName, Word};

choices! {
    /// The routing protocol.
    pub enum ControllerType as "a controller type" {
        /// BGP EVPN between the nodes.
        "evpn" Evpn,
        /// BGP to routers outside.
        "bgp" Bgp,
        /// IS-IS to routers outside.
        "isis" Isis,
    }
}

declaration! {
    /// One controller.
    pub struct Controller as "a controller" typed ControllerType {
        /// The routing protocol.
        required "type" kind: ControllerType,
        /// The AS number.
        optional "asn" asn: Asn => [Evpn Bgp] required [Evpn Bgp],
        /// The other ends of sessions. Of an EVPN controller the nodes' addresses when neither this nor `fabric` is there.
        optional "peers" peers: Vec<At<IpAddr>> => [Evpn Bgp] required [Bgp],
        /// Without `peers`: peers beside the nodes of this cluster.
        optional "external-peers" external_peers: Vec<At<IpAddr>> => [Evpn],
        /// The fabric whose nodes are the peers.
        optional "fabric" fabric: FabricId => [Evpn],
        /// The node it runs on.
        optional "node" node: NodeName => [Bgp Isis] required [Bgp Isis],
        /// The peers have AS numbers of their own.
        optional "ebgp" ebgp: bool => [Bgp],
        /// With `ebgp`: how many hops away a peer may be, 1 to 255.
        optional "ebgp-multihop" ebgp_multihop: u32 => [Bgp],
        /// The interface whose address is the source.
        optional "loopback" loopback: IfName => [Bgp Isis],
        /// Paths of different AS may be used together.
        optional "bgp-multipath-as-path-relax" bgp_multipath_as_path_relax: bool => [Bgp],
        /// The domain.
        optional "isis-domain" isis_domain: Word => [Isis] required [Isis],
        /// The interfaces.
        optional "isis-ifaces" isis_ifaces: Vec<At<IfName>> => [Isis] required [Isis],
        /// The network entity title.
        optional "isis-net" isis_net: IsisNet => [Isis] required [Isis],
    }
}

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
    pub struct Controller as "a controller" {
        /// The routing protocol.
        required "type" kind: ControllerType,
        /// The AS number.
        optional "asn" asn: Asn,
        /// BGP peers. The nodes' addresses when neither this nor `fabric` is there.
        optional "peers" peers: Vec<At<IpAddr>>,
        /// EVPN without `peers`: peers beside the nodes of this cluster.
        optional "external-peers" external_peers: Vec<At<IpAddr>>,
        /// EVPN: the fabric whose nodes are the peers.
        optional "fabric" fabric: FabricId,
        /// BGP and IS-IS: the node it runs on.
        optional "node" node: NodeName,
        /// BGP: the peers have AS numbers of their own.
        optional "ebgp" ebgp: bool,
        /// BGP: how many hops away a peer may be.
        optional "ebgp-multihop" ebgp_multihop: u32,
        /// The interface whose address is the source.
        optional "loopback" loopback: IfName,
        /// BGP: paths of different AS may be used together.
        optional "bgp-multipath-as-path-relax" bgp_multipath_as_path_relax: bool,
        /// IS-IS: the domain.
        optional "isis-domain" isis_domain: Word,
        /// IS-IS: the interfaces.
        optional "isis-ifaces" isis_ifaces: Vec<At<IfName>>,
        /// IS-IS: the network entity title.
        optional "isis-net" isis_net: IsisNet,
    }
}

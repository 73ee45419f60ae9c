//! Controllers: what runs routing protocols for zones.

use std::net::IpAddr;

use super::Peers;
use crate::value::{Asn, IfName, IsisNet, NodeName, Word};

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Controller {
    /// BGP EVPN between the nodes.
    Evpn(EvpnController),
    /// BGP to routers outside.
    Bgp(BgpController),
    /// IS-IS to routers outside.
    Isis(IsisController),
}

/// BGP EVPN, on every node. There is one in a network at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvpnController {
    /// The AS number. With 0 nothing is rendered, which is tolerated.
    pub asn: Asn,
    /// The other ends of sessions.
    pub peers: Peers,
}

/// BGP of one node to routers outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BgpController {
    /// The node that it runs on.
    pub node: NodeName,
    /// The node's AS number.
    pub asn: Asn,
    /// The routers.
    pub peers: Vec<IpAddr>,
    /// The routers have AS numbers of their own.
    pub ebgp: bool,
    /// How many hops away they may be. 0 and none mean the same.
    pub ebgp_multihop: Option<u32>,
    /// The interface whose address is the source.
    pub loopback: Option<IfName>,
    /// Paths through different AS may be used together.
    pub multipath_as_path_relax: bool,
}

/// IS-IS of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsisController {
    /// The node that it runs on.
    pub node: NodeName,
    /// The domain: the name of the routing process.
    pub domain: Word,
    /// The interfaces, by names or by alternative names of the kernel.
    pub interfaces: Vec<IfName>,
    /// The network entity title.
    pub net: IsisNet,
    /// The interface whose address is the source of tunnels.
    pub loopback: Option<IfName>,
}

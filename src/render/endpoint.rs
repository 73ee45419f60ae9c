//! The node's own address: where its tunnels and sessions end (`pve-rendering.md` §1.7).

use std::fmt;
use std::net::IpAddr;

use crate::facts::Facts;
use crate::network::{Controller, Network, Peers};
use crate::value::{FabricId, IfName, NodeName};

/// The address by which this node is a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The interface that has it, or by which the first peer is reached. `None` where only
    /// the repository says what the address is.
    pub interface: Option<IfName>,
    /// Where the address was found.
    pub origin: Origin,
}

/// Where an address of this node was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// On the loopback interface of a controller, or on that of a fabric. It need not be
    /// one of the peers.
    Loopback,
    /// On an interface that `/etc/network/interfaces` gives one of the peers to.
    Interface,
    /// In the repository, which gives one of the peers to this node.
    Declared,
    /// As the source of packets to the first peer.
    Route,
}

/// Why there is no such address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoEndpoint {
    /// The fabric is not declared.
    NoFabric(FabricId),
    /// This node is not in the fabric.
    NotInFabric(FabricId),
    /// This node has no IPv4 address in the fabric.
    NoAddress(FabricId),
    /// No peer is this node, and none can be reached.
    NoRoute,
}

impl Endpoint {
    /// The end of this node among peers; `loopback` is the interface that a controller
    /// names for it ([`loopback`]).
    ///
    /// The repository may say more than the reference can know: the address that it gives to
    /// this node. It decides only where the facts name no peer, and only if it is one.
    pub(super) fn of(
        peers: &Peers,
        loopback: Option<&IfName>,
        network: &Network,
        node: &NodeName,
        facts: &Facts,
    ) -> Result<Self, NoEndpoint> {
        match peers {
            Peers::Fabric(fabric) => Self::in_fabric(fabric, network, node),
            Peers::Addresses(peers) => {
                let declared = network.nodes.get(node).and_then(|node| node.address);
                Self::among(peers, loopback, declared, facts).ok_or(NoEndpoint::NoRoute)
            }
        }
    }

    fn among(
        peers: &[IpAddr],
        loopback: Option<&IfName>,
        declared: Option<IpAddr>,
        facts: &Facts,
    ) -> Option<Self> {
        let found = |address, interface: &IfName, origin| {
            Some(Self { address, interface: Some(interface.clone()), origin })
        };
        let own = |is_it: &dyn Fn(&IfName, IpAddr) -> bool| {
            facts.addresses.iter().find(|own| is_it(&own.interface, own.address))
        };
        // A controller's loopback without an address counts as none.
        let of_loopback = |name: &IfName, _| loopback.is_some_and(|loopback| loopback == name);
        if let Some(own) = own(&of_loopback) {
            return found(own.address, &own.interface, Origin::Loopback);
        }
        if let Some(own) = peers.iter().find_map(|peer| own(&|_, address| address == *peer)) {
            return found(own.address, &own.interface, Origin::Interface);
        }
        let route = peers.first().and_then(|first| facts.route_to(*first));
        let declared = declared.filter(|address| peers.contains(address));
        match (route, declared) {
            (Some(route), Some(declared)) if !peers.contains(&route.source) => {
                found(declared, &route.interface, Origin::Declared)
            }
            (Some(route), _) => found(route.source, &route.interface, Origin::Route),
            (None, Some(address)) => {
                Some(Self { address, interface: None, origin: Origin::Declared })
            }
            (None, None) => None,
        }
    }

    fn in_fabric(id: &FabricId, network: &Network, node: &NodeName) -> Result<Self, NoEndpoint> {
        let fabric = network.fabrics.get(id).ok_or_else(|| NoEndpoint::NoFabric(id.clone()))?;
        let member = fabric.nodes.get(node).ok_or_else(|| NoEndpoint::NotInFabric(id.clone()))?;
        let address = member.ip.ok_or_else(|| NoEndpoint::NoAddress(id.clone()))?;
        Ok(Self { address: address.into(), interface: Some(dummy(id)), origin: Origin::Loopback })
    }
}

/// The loopback interface that a controller of this node names: of its BGP controller, else
/// of its IS-IS controller.
pub(super) fn loopback<'a>(network: &'a Network, node: &NodeName) -> Option<&'a IfName> {
    let controllers = network.controllers.values();
    let bgp = controllers.clone().find_map(|controller| match controller {
        Controller::Bgp(bgp) if bgp.node == *node => Some(bgp.loopback.as_ref()),
        _ => None,
    });
    let isis = || {
        controllers.clone().find_map(|controller| match controller {
            Controller::Isis(isis) if isis.node == *node => Some(isis.loopback.as_ref()),
            _ => None,
        })
    };
    bgp.flatten().or_else(|| isis().flatten())
}

/// The interface of a fabric that has the node's addresses in it.
pub(super) fn dummy(fabric: &FabricId) -> IfName {
    format!("dummy_{fabric}").parse().expect("14 characters at most, all legal")
}

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFabric(id) => write!(f, "there is no fabric `{id}`"),
            Self::NotInFabric(id) => write!(f, "this node is not in fabric `{id}`"),
            Self::NoAddress(id) => write!(f, "this node has no IPv4 address in fabric `{id}`"),
            Self::NoRoute => f.write_str("this node has no route to its peers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, NoEndpoint, Origin, loopback};
    use crate::facts::{Facts, InterfaceAddress, Route};
    use crate::network::{
        BgpController, Controller, Fabric, FabricNode, FabricProtocol, IsisController, Network,
        Node, Peers,
    };
    use crate::value::{IfName, NodeName, Number as _};

    fn node() -> NodeName {
        "n1".parse().unwrap()
    }

    fn facts(addresses: &[(&str, &str)], route: Option<&str>) -> Facts {
        let mut facts = Facts::unknown(node());
        for (interface, address) in addresses {
            let interface = interface.parse().unwrap();
            facts.addresses.push(InterfaceAddress { interface, address: address.parse().unwrap() });
        }
        facts.routes.extend(route.map(|source| Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            interface: "vmbr0".parse().unwrap(),
            gateway: None,
            source: source.parse().unwrap(),
            metric: 0,
        }));
        facts
    }

    fn of(
        peers: &[&str],
        loopback: Option<&str>,
        declared: Option<&str>,
        facts: &Facts,
    ) -> Result<String, NoEndpoint> {
        let address = declared.map(|address| address.parse().unwrap());
        let mut network = Network::default();
        network.nodes.insert(node(), Node { address, ..Node::default() });
        let peers = Peers::Addresses(peers.iter().map(|peer| peer.parse().unwrap()).collect());
        let loopback: Option<IfName> = loopback.map(|name| name.parse().unwrap());
        let found = Endpoint::of(&peers, loopback.as_ref(), &network, &node(), facts)?;
        let interface = found.interface.map_or_else(|| "?".to_owned(), |name| name.to_string());
        Ok(format!("{} {interface} {:?}", found.address, found.origin))
    }

    #[test]
    fn the_loopback_comes_first_then_the_peers_then_the_route() {
        let peers = ["10.0.0.1", "10.0.0.2"];
        let own = [("vmbr0", "10.0.0.2"), ("eth1", "10.0.0.1"), ("eth2", "fd00::1")];
        let with = |name| [own.as_slice(), &[(name, "10.9.9.9"), (name, "10.9.9.8")]].concat();
        let route = Some("192.168.0.1");
        let on = |addresses: &[(&str, &str)], loopback| {
            of(&peers, loopback, None, &facts(addresses, route)).unwrap()
        };
        assert_eq!(on(&with("lo"), Some("lo")), "10.9.9.9 lo Loopback");
        assert_eq!(on(&with("lo"), None), "10.0.0.1 eth1 Interface");
        // The loopback has no address.
        assert_eq!(on(&own, Some("lo")), "10.0.0.1 eth1 Interface");
        assert_eq!(on(&[("vmbr0", "10.7.7.7")], Some("lo")), "192.168.0.1 vmbr0 Route");
        assert_eq!(of(&peers, None, None, &facts(&own[2..], None)), Err(NoEndpoint::NoRoute));
        assert_eq!(of(&[], None, None, &facts(&own, route)), Err(NoEndpoint::NoRoute));
    }

    #[test]
    fn what_is_declared_decides_only_where_the_facts_name_no_peer() {
        let peers = ["10.0.0.1", "10.0.0.2"];
        let with = |declared, addresses: &[(&str, &str)], route| {
            of(&peers, None, Some(declared), &facts(addresses, route)).unwrap()
        };
        let own = [("vmbr0", "10.0.0.2")];
        assert_eq!(with("10.0.0.1", &own, None), "10.0.0.2 vmbr0 Interface");
        assert_eq!(with("10.0.0.1", &[], Some("10.0.0.2")), "10.0.0.2 vmbr0 Route");
        assert_eq!(with("10.0.0.1", &[], Some("192.168.0.1")), "10.0.0.1 vmbr0 Declared");
        assert_eq!(with("10.0.0.1", &[], None), "10.0.0.1 ? Declared");
        assert_eq!(with("10.0.0.9", &[], Some("192.168.0.1")), "192.168.0.1 vmbr0 Route");
    }

    #[test]
    fn a_fabric_gives_its_own_address() {
        let mut network = Network::default();
        let peers = Peers::Fabric("fab".parse().unwrap());
        let facts = facts(&[("vmbr0", "10.0.0.1")], Some("10.0.0.1"));
        let of = |network: &Network| Endpoint::of(&peers, None, network, &node(), &facts);
        assert_eq!(of(&network), Err(NoEndpoint::NoFabric("fab".parse().unwrap())));
        let protocol = FabricProtocol::Ospf {
            ip_prefix: "172.20.0.0/24".parse().unwrap(),
            area: "0".parse().unwrap(),
        };
        let member = FabricNode { ip: None, ip6: None, interfaces: Vec::new() };
        let fabric = Fabric { protocol, nodes: std::collections::BTreeMap::new() };
        network.fabrics.insert("fab".parse().unwrap(), fabric);
        assert_eq!(of(&network), Err(NoEndpoint::NotInFabric("fab".parse().unwrap())));
        let nodes = &mut network.fabrics.values_mut().next().unwrap().nodes;
        nodes.insert(node(), member.clone());
        assert_eq!(of(&network), Err(NoEndpoint::NoAddress("fab".parse().unwrap())));
        let nodes = &mut network.fabrics.values_mut().next().unwrap().nodes;
        nodes.insert(node(), FabricNode { ip: Some([172, 20, 0, 1].into()), ..member });
        let found = of(&network).unwrap();
        assert_eq!(
            (found.address.to_string(), found.origin),
            ("172.20.0.1".into(), Origin::Loopback)
        );
        assert_eq!(found.interface.unwrap().as_str(), "dummy_fab");
    }

    #[test]
    fn the_loopback_is_that_of_this_nodes_bgp_else_isis() {
        let mut network = Network::default();
        let asn = crate::value::Asn::checked(65000).unwrap();
        let bgp = |node: &str, loopback: Option<&str>| {
            Controller::Bgp(BgpController {
                node: node.parse().unwrap(),
                asn,
                peers: Vec::new(),
                ebgp: false,
                ebgp_multihop: None,
                loopback: loopback.map(|name| name.parse().unwrap()),
                multipath_as_path_relax: false,
            })
        };
        let isis = Controller::Isis(IsisController {
            node: node(),
            domain: "d1".parse().unwrap(),
            interfaces: Vec::new(),
            net: "47.0023.0000.0000.0000.0001.00".parse().unwrap(),
            loopback: Some("dummy1".parse().unwrap()),
        });
        assert_eq!(loopback(&network, &node()), None);
        network.controllers.insert("isis".parse().unwrap(), isis);
        network.controllers.insert("other".parse().unwrap(), bgp("n2", Some("lo")));
        network.controllers.insert("zz".parse().unwrap(), bgp("n1", None));
        assert_eq!(loopback(&network, &node()).unwrap().as_str(), "dummy1");
        network.controllers.insert("zz".parse().unwrap(), bgp("n1", Some("lo")));
        assert_eq!(loopback(&network, &node()).unwrap().as_str(), "lo");
    }
}

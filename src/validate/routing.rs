//! Controllers and fabrics of the network, from declarations in which every rule holds.

use std::net::IpAddr;

use super::build::{is_set, plain};
use super::peers;
use crate::declare::Declared;
use crate::declare::controller::{self, ControllerType};
use crate::declare::fabric::{self, FabricType};
use crate::network::{
    BgpController, Controller, EvpnController, Fabric, FabricInterface, FabricNode, FabricProtocol,
    IsisController, Peers,
};

/// A controller; `None` where it lacks what its type requires.
pub(super) fn controller(
    controller: &controller::Controller,
    declared: &Declared,
) -> Option<Controller> {
    Some(match controller.kind.value {
        ControllerType::Evpn => Controller::Evpn(EvpnController {
            asn: plain(controller.asn.as_ref())?,
            peers: if let Some(fabric) = &controller.fabric {
                Peers::Fabric(fabric.value.clone())
            } else {
                let peers = peers::of(&peers::Source::of_controller(controller), declared);
                Peers::Addresses(peers.into_iter().map(|(peer, _)| peer).collect())
            },
        }),
        ControllerType::Bgp => {
            let peers = controller.peers.as_ref()?;
            Controller::Bgp(BgpController {
                node: plain(controller.node.as_ref())?,
                asn: plain(controller.asn.as_ref())?,
                peers: peers.value.iter().map(|peer| peer.value).collect(),
                ebgp: is_set(controller.ebgp.as_ref()),
                ebgp_multihop: plain(controller.ebgp_multihop.as_ref()),
                loopback: plain(controller.loopback.as_ref()),
                multipath_as_path_relax: is_set(controller.bgp_multipath_as_path_relax.as_ref()),
            })
        }
        ControllerType::Isis => {
            let interfaces = controller.isis_ifaces.as_ref()?;
            Controller::Isis(IsisController {
                node: plain(controller.node.as_ref())?,
                domain: plain(controller.isis_domain.as_ref())?,
                interfaces: interfaces.value.iter().map(|name| name.value.clone()).collect(),
                net: plain(controller.isis_net.as_ref())?,
                loopback: plain(controller.loopback.as_ref()),
            })
        }
    })
}

/// A fabric; `None` where it lacks what its type requires.
pub(super) fn fabric(fabric: &fabric::Fabric) -> Option<Fabric> {
    let protocol = match fabric.kind.value {
        FabricType::Openfabric => FabricProtocol::Openfabric {
            ip_prefix: plain(fabric.ip_prefix.as_ref()),
            ip6_prefix: plain(fabric.ip6_prefix.as_ref()),
            hello_interval: plain(fabric.hello_interval.as_ref()),
            csnp_interval: plain(fabric.csnp_interval.as_ref()),
        },
        FabricType::Ospf => FabricProtocol::Ospf {
            ip_prefix: plain(fabric.ip_prefix.as_ref())?,
            area: plain(fabric.area.as_ref())?,
        },
    };
    let nodes = fabric.nodes.iter().flat_map(|nodes| &nodes.value);
    let nodes = nodes.map(|(name, entry)| Some((name.clone(), node(&entry.value)?)));
    Some(Fabric { protocol, nodes: nodes.collect::<Option<_>>()? })
}

fn node(node: &fabric::FabricNode) -> Option<FabricNode> {
    let interfaces = node.interfaces.iter().flat_map(|interfaces| &interfaces.value);
    Some(FabricNode {
        ip: match plain(node.ip.as_ref()) {
            None => None,
            Some(IpAddr::V4(ip)) => Some(ip),
            Some(IpAddr::V6(_)) => return None,
        },
        ip6: match plain(node.ip6.as_ref()) {
            None => None,
            Some(IpAddr::V6(ip6)) => Some(ip6),
            Some(IpAddr::V4(_)) => return None,
        },
        interfaces: interfaces
            .map(|interface| FabricInterface {
                name: interface.name.value.clone(),
                ip: plain(interface.ip.as_ref()),
                ip6: plain(interface.ip6.as_ref()),
                hello_multiplier: plain(interface.hello_multiplier.as_ref()),
            })
            .collect(),
    })
}

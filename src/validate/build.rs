//! From declarations in which every rule holds to the network.
//!
//! What a rule has excluded has no value here, so each function gives `None`
//! instead of guessing where a rule should not have let it come this far.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{dhcp, peers, routing};
use crate::declare::service;
use crate::declare::vnet;
use crate::declare::zone::{self, ZoneType};
use crate::declare::{Declared, Entry};
use crate::network::{
    DhcpOption, DhcpServer, Dns, EvpnZone, Guest, Ipam, IpamServer, Naming, Network, Nic, Node,
    Nodes, Peers, QinqZone, Subnet, Traffic, VlanProtocol, VlanZone, Vnet, VxlanZone, Zone,
    ZoneKind,
};
use crate::value::{At, NodeName, VnetId, ZoneId};

/// The network, if every rule holds that is an error.
pub(super) fn network(declared: &Declared) -> Option<Network> {
    let mut vnets: BTreeMap<&ZoneId, Vec<_>> = BTreeMap::new();
    for (id, vnet) in &declared.vnets {
        vnets.entry(&vnet.value.zone.value).or_default().push((id, &vnet.value));
    }
    let zones = declared.zones.iter().map(|(id, entry)| {
        let vnets = vnets.remove(id).unwrap_or_default();
        Some((id.clone(), zone(&entry.value, vnets, declared)?))
    });
    let controllers = declared
        .controllers
        .iter()
        .map(|(id, entry)| Some((id.clone(), routing::controller(&entry.value, declared)?)));
    let fabrics = declared.fabrics.iter();
    let fabrics = fabrics.map(|(id, entry)| Some((id.clone(), routing::fabric(&entry.value)?)));
    let ipams = declared.ipams.iter().map(|(id, entry)| Some((id.clone(), ipam(&entry.value)?)));
    Some(Network {
        nodes: declared
            .nodes
            .iter()
            .map(|(name, node)| (name.clone(), self::node(&node.value)))
            .collect(),
        zones: zones.collect::<Option<_>>()?,
        controllers: controllers.collect::<Option<_>>()?,
        fabrics: fabrics.collect::<Option<_>>()?,
        guests: declared
            .guests
            .iter()
            .map(|(name, guest)| (name.clone(), self::guest(&guest.value)))
            .collect(),
        ipams: ipams.collect::<Option<_>>()?,
        dns: declared.dns.iter().map(|(id, server)| (id.clone(), dns(&server.value))).collect(),
    })
}

pub(super) fn plain<T: Clone>(option: Option<&At<T>>) -> Option<T> {
    option.map(|at| at.value.clone())
}

pub(super) fn is_set(option: Option<&At<bool>>) -> bool {
    option.is_some_and(|at| at.value)
}

fn node(declared: &crate::declare::node::Node) -> Node {
    let labels = declared.labels.iter().flat_map(|labels| &labels.value);
    Node {
        address: plain(declared.address.as_ref()),
        management: plain(declared.management.as_ref()),
        labels: labels.map(|(key, word)| (key.clone(), word.value.value.clone())).collect(),
    }
}

fn zone(
    zone: &zone::Zone,
    vnets: Vec<(&VnetId, &vnet::Vnet)>,
    declared: &Declared,
) -> Option<Zone> {
    let vnets = vnets.into_iter().map(|(id, declared)| Some((id.clone(), vnet(declared)?)));
    let kind = match zone.kind.value {
        ZoneType::Simple => ZoneKind::Simple,
        ZoneType::Vlan => ZoneKind::Vlan(VlanZone { bridge: plain(zone.bridge.as_ref())? }),
        ZoneType::Qinq => ZoneKind::Qinq(QinqZone {
            bridge: plain(zone.bridge.as_ref())?,
            tag: plain(zone.tag.as_ref())?,
            protocol: zone.vlan_protocol.as_ref().map(|protocol| match protocol.value {
                zone::VlanProtocol::Dot1q => VlanProtocol::Dot1q,
                zone::VlanProtocol::Dot1ad => VlanProtocol::Dot1ad,
            }),
        }),
        ZoneType::Vxlan => ZoneKind::Vxlan(VxlanZone {
            peers: if let Some(fabric) = &zone.fabric {
                Peers::Fabric(fabric.value.clone())
            } else {
                let peers = peers::of(&peers::Source::of_zone(zone), declared);
                Peers::Addresses(peers.into_iter().map(|(peer, _)| peer).collect())
            },
            port: plain(zone.vxlan_port.as_ref()),
        }),
        ZoneType::Evpn => ZoneKind::Evpn(evpn(zone)?),
    };
    let forward = plain(zone.dns.as_ref()).map(|server| (server, plain(zone.dnszone.as_ref())));
    Some(Zone {
        nodes: match &zone.nodes {
            None => Nodes::All,
            Some(nodes) => Nodes::Some(nodes.value.iter().map(|node| node.value.clone()).collect()),
        },
        mtu: plain(zone.mtu.as_ref()).filter(|mtu| mtu.get() != 0),
        ipam: plain(zone.ipam.as_ref()),
        naming: Naming { forward, reverse: plain(zone.reversedns.as_ref()) },
        dhcp: zone.dhcp.as_ref().map(|dhcp| match dhcp.value {
            zone::DhcpServer::Dnsmasq => DhcpServer::Dnsmasq,
        }),
        bridge_disable_mac_learning: is_set(zone.bridge_disable_mac_learning.as_ref()),
        kind,
        vnets: vnets.collect::<Option<_>>()?,
    })
}

fn evpn(zone: &zone::Zone) -> Option<EvpnZone> {
    let targets = zone.rt_import.iter().flat_map(|targets| &targets.value);
    let exit_nodes = zone.exitnodes.iter().flat_map(|nodes| &nodes.value);
    Some(EvpnZone {
        controller: plain(zone.controller.as_ref())?,
        vrf_vxlan: plain(zone.vrf_vxlan.as_ref())?,
        mac: plain(zone.mac.as_ref()),
        exit_nodes: exit_nodes.map(|node| node.value.clone()).collect(),
        exit_nodes_primary: plain(zone.exitnodes_primary.as_ref()),
        exit_nodes_local_routing: is_set(zone.exitnodes_local_routing.as_ref()),
        advertise_subnets: is_set(zone.advertise_subnets.as_ref()),
        disable_arp_nd_suppression: is_set(zone.disable_arp_nd_suppression.as_ref()),
        rt_import: targets.map(|target| target.value).collect(),
        port: plain(zone.vxlan_port.as_ref()),
    })
}

fn vnet(declared: &vnet::Vnet) -> Option<Vnet> {
    let subnets = declared.subnets.iter().flat_map(|subnets| &subnets.value);
    let subnets = subnets
        .map(|(prefix, entry)| Some((prefix.clone(), subnet(&entry.value)?)))
        .collect::<Option<BTreeMap<_, _>>>()?;
    let traffic = match is_set(declared.vlanaware.as_ref()) {
        false => Traffic::Untagged(subnets),
        true if subnets.is_empty() => Traffic::VlanAware,
        true => return None,
    };
    Some(Vnet {
        tag: plain(declared.tag.as_ref()),
        alias: plain(declared.alias.as_ref()),
        isolate_ports: is_set(declared.isolate_ports.as_ref()),
        traffic,
    })
}

fn subnet(declared: &vnet::Subnet) -> Option<Subnet> {
    let ranges = declared.dhcp_range.iter().flat_map(|ranges| &ranges.value);
    let pools = declared.dhcp_pool.iter().flat_map(|pools| &pools.value);
    let servers = declared.dhcp_servers.iter().flat_map(|servers| &servers.value);
    let server = |(node, entry): (&NodeName, &Entry<At<IpAddr>>)| match entry.value.value {
        IpAddr::V4(address) => Some((node.clone(), address)),
        IpAddr::V6(_) => None,
    };
    let options = dhcp::options(declared.dhcp_options.as_ref());
    Some(Subnet {
        gateway: plain(declared.gateway.as_ref()),
        snat: is_set(declared.snat.as_ref()),
        dns_prefix: plain(declared.dnszoneprefix.as_ref()),
        dhcp_ranges: ranges.map(dhcp::range).collect::<Option<_>>()?,
        dhcp_dns_server: plain(declared.dhcp_dns_server.as_ref()),
        dhcp_pools: pools.map(dhcp::range).collect::<Option<_>>()?,
        dhcp_servers: servers.map(server).collect::<Option<_>>()?,
        dhcp_options: options.map(option).collect(),
    })
}

fn option(declared: &vnet::DhcpOption) -> DhcpOption {
    let values = declared.values.value.iter().map(|value| value.value.clone());
    (declared.name.value.as_str(), values.collect())
}

fn guest(declared: &crate::declare::guest::Guest) -> Guest {
    let nics = declared.nics.value.iter().map(|nic| {
        let addresses = nic.addresses.iter().flat_map(|addresses| &addresses.value);
        Nic {
            vnet: nic.vnet.value.clone(),
            mac: nic.mac.value.clone(),
            addresses: addresses.map(|address| address.value).collect(),
            dhcp_options: dhcp::options(nic.dhcp_options.as_ref()).map(option).collect(),
        }
    });
    Guest { nics: nics.collect(), hostname: plain(declared.hostname.as_ref()) }
}

fn ipam(declared: &service::Ipam) -> Option<Ipam> {
    let server = || {
        Some(IpamServer {
            url: plain(declared.url.as_ref())?,
            token: plain(declared.token.as_ref())?,
            fingerprint: plain(declared.fingerprint.as_ref()),
        })
    };
    Some(match declared.kind.value {
        service::IpamType::Pve => Ipam::Pve,
        service::IpamType::Netbox => Ipam::Netbox(server()?),
        service::IpamType::Phpipam => Ipam::Phpipam(server()?, plain(declared.section.as_ref())?),
    })
}

fn dns(declared: &service::Dns) -> Dns {
    Dns {
        url: declared.url.value.clone(),
        key: declared.key.value.clone(),
        ttl: plain(declared.ttl.as_ref()),
        reverse_mask_v6: plain(declared.reversemaskv6.as_ref()),
        fingerprint: plain(declared.fingerprint.as_ref()),
    }
}

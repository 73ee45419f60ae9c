//! From declarations in which every rule holds to the network.
//!
//! What a rule has excluded has no value here, so each function gives `None`
//! instead of guessing where a rule should not have let it come this far.

use std::collections::BTreeMap;

use super::{peers, subnets};
use crate::declare::Declared;
use crate::declare::service;
use crate::declare::vnet;
use crate::declare::zone::{self, ZoneType};
use crate::network::{
    DhcpServer, Dns, Guest, Ipam, IpamServer, Naming, Network, Nic, Node, Nodes, SimpleZone,
    Subnet, Traffic, Vnet, VxlanVnet, VxlanZone, Zone, ZoneKind,
};
use crate::value::{At, VnetId, ZoneId};

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
    let ipams = declared.ipams.iter().map(|(id, entry)| Some((id.clone(), ipam(&entry.value)?)));
    Some(Network {
        nodes: declared
            .nodes
            .iter()
            .map(|(name, node)| (name.clone(), self::node(&node.value)))
            .collect(),
        zones: zones.collect::<Option<_>>()?,
        guests: declared
            .guests
            .iter()
            .map(|(name, guest)| (name.clone(), self::guest(&guest.value)))
            .collect(),
        ipams: ipams.collect::<Option<_>>()?,
        dns: declared.dns.iter().map(|(id, server)| (id.clone(), dns(&server.value))).collect(),
    })
}

fn plain<T: Clone>(option: Option<&At<T>>) -> Option<T> {
    option.map(|at| at.value.clone())
}

fn is_set(option: Option<&At<bool>>) -> bool {
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
    let vnets = vnets.into_iter();
    let kind = match zone.kind.value {
        ZoneType::Simple => ZoneKind::Simple(SimpleZone {
            dhcp: zone.dhcp.as_ref().map(|dhcp| match dhcp.value {
                zone::DhcpServer::Dnsmasq => DhcpServer::Dnsmasq,
            }),
            vnets: vnets
                .map(|(id, declared)| Some((id.clone(), vnet(declared)?)))
                .collect::<Option<_>>()?,
        }),
        ZoneType::Vxlan if zone.fabric.is_none() => ZoneKind::Vxlan(VxlanZone {
            peers: peers::of(zone, declared).into_iter().map(|(peer, _)| peer).collect(),
            port: plain(zone.vxlan_port.as_ref()),
            vnets: vnets
                .map(|(id, declared)| vxlan_vnet(id, declared))
                .collect::<Option<BTreeMap<_, _>>>()?,
        }),
        ZoneType::Vxlan | ZoneType::Vlan | ZoneType::Qinq | ZoneType::Evpn => return None,
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
        kind,
    })
}

fn vxlan_vnet(id: &VnetId, declared: &vnet::Vnet) -> Option<(VnetId, VxlanVnet)> {
    let tag = declared.tag.as_ref()?.value;
    Some((id.clone(), VxlanVnet { tag, vnet: vnet(declared)? }))
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
        alias: plain(declared.alias.as_ref()),
        isolate_ports: is_set(declared.isolate_ports.as_ref()),
        traffic,
    })
}

fn subnet(declared: &vnet::Subnet) -> Option<Subnet> {
    let ranges = declared.dhcp_range.iter().flat_map(|ranges| &ranges.value);
    Some(Subnet {
        gateway: plain(declared.gateway.as_ref()),
        snat: is_set(declared.snat.as_ref()),
        dns_prefix: plain(declared.dnszoneprefix.as_ref()),
        dhcp_ranges: ranges.map(subnets::range).collect::<Option<_>>()?,
        dhcp_dns_server: plain(declared.dhcp_dns_server.as_ref()),
    })
}

fn guest(declared: &crate::declare::guest::Guest) -> Guest {
    let nics = declared.nics.value.iter().map(|nic| {
        let addresses = nic.addresses.iter().flat_map(|addresses| &addresses.value);
        Nic {
            vnet: nic.vnet.value.clone(),
            mac: nic.mac.value.clone(),
            addresses: addresses.map(|address| address.value).collect(),
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

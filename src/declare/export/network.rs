//! Zones, vnets, subnets, controllers and fabrics.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use super::Export;
use crate::declare::Declared;
use crate::declare::controller::{Controller, ControllerType};
use crate::declare::fabric::{Fabric, FabricInterface, FabricNode, FabricType};
use crate::declare::pve::Kind;
use crate::declare::pve::write::{Object, Value};
use crate::declare::vnet::{Subnet, Vnet};
use crate::declare::zone::{Zone, ZoneType};
use crate::network::{Controller as Built, Network, ZoneKind};
use crate::value::At;

/// What is set of an object.
#[derive(Default)]
pub(super) struct Values(pub(super) Vec<(&'static str, Value)>);

impl Values {
    pub(super) fn text<T: Display>(&mut self, key: &'static str, value: Option<&At<T>>) {
        self.0.extend(value.map(|at| (key, Value::Text(at.value.to_string()))));
    }

    pub(super) fn number<T: Copy + Into<u64>>(&mut self, key: &'static str, value: Option<&At<T>>) {
        self.0.extend(value.map(|at| (key, Value::Number(at.value.into()))));
    }

    fn flag(&mut self, key: &'static str, value: Option<&At<bool>>) {
        self.0.extend(value.map(|at| (key, Value::Flag(at.value))));
    }

    /// Several in one text. Proxmox has no empty one.
    fn list<T: Display>(&mut self, key: &'static str, value: Option<&At<Vec<At<T>>>>) {
        let all = value.map(|at| join(at.value.iter().map(|at| &at.value)));
        self.0.extend(all.filter(|all| !all.is_empty()).map(|all| (key, Value::Text(all))));
    }

    fn set<T: Display>(&mut self, key: &'static str, value: Option<&At<Vec<At<T>>>>) {
        let Some(at) = value.filter(|at| !at.value.is_empty()) else { return };
        let mut all: Vec<String> = at.value.iter().map(|at| at.value.to_string()).collect();
        all.sort();
        all.dedup();
        self.0.push((key, Value::Set(all)));
    }

    fn lines(&mut self, key: &'static str, lines: Vec<String>) {
        if !lines.is_empty() {
            self.0.push((key, Value::Lines(lines)));
        }
    }

    pub(super) fn object(self, of_type: &'static str, id: impl Display) -> Object {
        Object { id: id.to_string(), of_type, values: self.0 }
    }
}

fn join<T: Display>(all: impl Iterator<Item = T>) -> String {
    all.map(|one| one.to_string()).collect::<Vec<_>>().join(",")
}

impl Export {
    pub(super) fn network(&mut self, declared: &Declared, network: &Network) {
        let mut nowhere = BTreeSet::new();
        for (id, zone) in &declared.zones {
            if zone.value.nodes.as_ref().is_some_and(|nodes| nodes.value.is_empty()) {
                let message = "left out with its vnets: it is on no node, and Proxmox would put it on every one";
                self.leave_out(format!("zone {id}"), message);
                nowhere.insert(id);
                continue;
            }
            let derived = match network.zones.get(id).map(|zone| &zone.kind) {
                Some(ZoneKind::Vxlan(vxlan)) => vxlan.peers.addresses(),
                _ => &[],
            };
            let object = self.zone(id.as_str(), &zone.value, derived);
            self.objects.entry(Kind::Zones).or_default().push(object);
        }
        let mut subnets = Vec::new();
        for (id, entry) in &declared.vnets {
            let vnet = &entry.value;
            if nowhere.contains(&vnet.zone.value) {
                continue;
            }
            self.objects.entry(Kind::Vnets).or_default().push(self::vnet(vnet).object("vnet", id));
            for (prefix, entry) in vnet.subnets.iter().flat_map(|subnets| &subnets.value) {
                let mut values = Values::default();
                values.0.push(("vnet", Value::Text(id.to_string())));
                subnet(&entry.value, &mut values);
                let Subnet { dhcp_pool, dhcp_servers, dhcp_options, .. } = &entry.value;
                for (key, is_there) in [
                    ("dhcp-pool", dhcp_pool.is_some()),
                    ("dhcp-servers", dhcp_servers.is_some()),
                    ("dhcp-options", dhcp_options.is_some()),
                ] {
                    if is_there {
                        let message = format!("`{key}`: Proxmox has no such option");
                        self.leave_out(format!("subnet {prefix} of vnet {id}"), message);
                    }
                }
                let id = format!("{}-{}", vnet.zone.value, prefix.id());
                subnets.push(values.object("subnet", id));
            }
        }
        subnets.sort_by(|a, b| a.id.cmp(&b.id));
        self.objects.insert(Kind::Subnets, subnets);
        for (id, entry) in &declared.controllers {
            let derived = match network.controllers.get(id) {
                Some(Built::Evpn(evpn)) => evpn.peers.addresses(),
                _ => &[],
            };
            let object = self.controller(id.as_str(), &entry.value, derived);
            self.objects.entry(Kind::Controllers).or_default().push(object);
        }
        for (id, entry) in &declared.fabrics {
            let objects = self.objects.entry(Kind::Fabrics).or_default();
            fabric(id.as_str(), &entry.value, objects);
        }
    }

    fn zone(&mut self, id: &str, zone: &Zone, derived: &[IpAddr]) -> Object {
        let mut values = Values::default();
        let who = format!("zone {id}");
        let kind = zone.kind.value;
        values.set("nodes", zone.nodes.as_ref());
        match &zone.ipam {
            Some(ipam) if ipam.value.as_str() == "git" => {
                self.leave_out(&who, "`ipam: git`: Proxmox has no such IPAM, and gets none");
            }
            ipam => values.text("ipam", ipam.as_ref()),
        }
        values.text("dns", zone.dns.as_ref());
        values.text("reversedns", zone.reversedns.as_ref());
        values.text("dnszone", zone.dnszone.as_ref());
        values.number("mtu", zone.mtu.as_ref());
        if kind != ZoneType::Simple && zone.dhcp.is_some() {
            self.leave_out(&who, "`dhcp`: in Proxmox only simple zones have it");
        } else {
            values.text("dhcp", zone.dhcp.as_ref());
        }
        values.text("bridge", zone.bridge.as_ref());
        values.flag("bridge-disable-mac-learning", zone.bridge_disable_mac_learning.as_ref());
        values.number("tag", zone.tag.as_ref());
        values.text("vlan-protocol", zone.vlan_protocol.as_ref());
        if kind == ZoneType::Vxlan && zone.peers.is_none() && zone.fabric.is_none() {
            self.derived(&who, zone.external_peers.is_some(), derived, &mut values);
        } else {
            values.list("peers", zone.peers.as_ref());
        }
        values.text("fabric", zone.fabric.as_ref());
        values.number("vxlan-port", zone.vxlan_port.as_ref());
        values.text("controller", zone.controller.as_ref());
        values.number("vrf-vxlan", zone.vrf_vxlan.as_ref());
        values.text("mac", zone.mac.as_ref());
        values.set("exitnodes", zone.exitnodes.as_ref());
        values.text("exitnodes-primary", zone.exitnodes_primary.as_ref());
        values.flag("exitnodes-local-routing", zone.exitnodes_local_routing.as_ref());
        values.flag("advertise-subnets", zone.advertise_subnets.as_ref());
        values.flag("disable-arp-nd-suppression", zone.disable_arp_nd_suppression.as_ref());
        values.list("rt-import", zone.rt_import.as_ref());
        values.object(kind.as_str(), id)
    }

    /// Peers that Proxmox wants to have written out.
    fn derived(&mut self, who: &str, external: bool, peers: &[IpAddr], values: &mut Values) {
        if peers.is_empty() {
            return;
        }
        values.0.push(("peers", Value::Text(join(peers.iter()))));
        let which = if external { "the nodes and `external-peers`" } else { "the nodes" };
        let message =
            format!("`peers` are the addresses of {which} as they are now; Proxmox derives none");
        self.leave_out(who, message);
    }

    fn controller(&mut self, id: &str, controller: &Controller, derived: &[IpAddr]) -> Object {
        let mut values = Values::default();
        let kind = controller.kind.value;
        values.number("asn", controller.asn.as_ref());
        let evpn = kind == ControllerType::Evpn;
        if evpn && controller.peers.is_none() && controller.fabric.is_none() {
            let who = format!("controller {id}");
            self.derived(&who, controller.external_peers.is_some(), derived, &mut values);
        } else {
            values.list("peers", controller.peers.as_ref());
        }
        values.text("fabric", controller.fabric.as_ref());
        values.text("node", controller.node.as_ref());
        values.flag("ebgp", controller.ebgp.as_ref());
        values.number("ebgp-multihop", controller.ebgp_multihop.as_ref());
        values.text("loopback", controller.loopback.as_ref());
        let relax = controller.bgp_multipath_as_path_relax.as_ref();
        values.flag("bgp-multipath-as-path-relax", relax);
        values.text("isis-domain", controller.isis_domain.as_ref());
        values.list("isis-ifaces", controller.isis_ifaces.as_ref());
        values.text("isis-net", controller.isis_net.as_ref());
        values.object(kind.as_str(), id)
    }
}

fn vnet(vnet: &Vnet) -> Values {
    let mut values = Values::default();
    values.text("zone", Some(&vnet.zone));
    values.number("tag", vnet.tag.as_ref());
    values.text("alias", vnet.alias.as_ref());
    values.flag("vlanaware", vnet.vlanaware.as_ref());
    values.flag("isolate-ports", vnet.isolate_ports.as_ref());
    values
}

fn subnet(subnet: &Subnet, values: &mut Values) {
    values.text("gateway", subnet.gateway.as_ref());
    values.flag("snat", subnet.snat.as_ref());
    values.text("dnszoneprefix", subnet.dnszoneprefix.as_ref());
    let ranges = subnet.dhcp_range.iter().flat_map(|ranges| &ranges.value);
    let ranges = ranges.map(|range| {
        let (start, end) = (range.start_address.value, range.end_address.value);
        format!("start-address={start},end-address={end}")
    });
    values.lines("dhcp-range", ranges.collect());
    values.text("dhcp-dns-server", subnet.dhcp_dns_server.as_ref());
}

/// A fabric, and its nodes as sections of their own.
fn fabric(id: &str, fabric: &Fabric, objects: &mut Vec<Object>) {
    let mut values = Values::default();
    values.text("ip_prefix", fabric.ip_prefix.as_ref());
    values.text("ip6_prefix", fabric.ip6_prefix.as_ref());
    values.number("hello_interval", fabric.hello_interval.as_ref());
    values.number("csnp_interval", fabric.csnp_interval.as_ref());
    values.text("area", fabric.area.as_ref());
    let (of_fabric, of_node) = match fabric.kind.value {
        FabricType::Openfabric => ("openfabric_fabric", "openfabric_node"),
        FabricType::Ospf => ("ospf_fabric", "ospf_node"),
    };
    objects.push(values.object(of_fabric, id));
    for (name, node) in fabric.nodes.iter().flat_map(|nodes| &nodes.value) {
        objects.push(fabric_node(&node.value).object(of_node, format!("{id}_{name}")));
    }
}

fn fabric_node(node: &FabricNode) -> Values {
    let mut values = Values::default();
    values.text("ip", node.ip.as_ref());
    values.text("ip6", node.ip6.as_ref());
    let interfaces = node.interfaces.iter().flat_map(|interfaces| &interfaces.value);
    values.lines("interfaces", interfaces.map(interface).collect());
    values
}

/// A property string, its keys in Proxmox's order.
fn interface(interface: &FabricInterface) -> String {
    fn pair<T: Display>(key: &str, value: Option<&At<T>>) -> Option<String> {
        value.map(|at| format!("{key}={}", at.value))
    }
    let pairs = [
        pair("name", Some(&interface.name)),
        pair("hello_multiplier", interface.hello_multiplier.as_ref()),
        pair("ip", interface.ip.as_ref()),
        pair("ip6", interface.ip6.as_ref()),
    ];
    join(pairs.into_iter().flatten())
}

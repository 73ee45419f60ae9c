//! The node's own bridges and interfaces, by what the kernel has or by what
//! `/etc/network/interfaces` would make.
//!
//! What weft or a hypervisor makes is not the node's own, so that facts are the same
//! before and after an apply, and whatever guests run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::devices::Device;
use super::interfaces::Definition;
use crate::facts::{Bridge, BridgeKind, Interface, InterfaceAddress};
use crate::plan;
use crate::value::{IfName, MacAddress};

/// The MTU of an interface of which nothing is said.
const DEFAULT_MTU: u32 = 1500;

/// That of `lo`.
const LOOPBACK_MTU: u32 = 65_536;

/// How the names begin of what hypervisors make: ports of guests, the bridges that
/// Proxmox VE's firewall puts before them, and networks of containers.
pub(super) const OF_HYPERVISORS: &[&str] = &[
    "br-", "cali", "cni", "docker", "flannel", "fwbr", "fwln", "fwpr", "kube-", "lxc", "lxdbr",
    "podman", "tap", "veth", "virbr", "vnet",
];

/// Kinds of the kernel that are never the node's own unless its file names them.
const OF_OTHERS: &[&str] =
    &["ifb", "ipvlan", "macvlan", "macvtap", "openvswitch", "tun", "veth", "vrf", "vxlan"];

/// What the files of weft make.
#[derive(Debug, Default)]
pub(super) struct Made {
    names: BTreeSet<String>,
    given: BTreeSet<(String, IpNet)>,
}

impl Made {
    /// By the text of `/etc/network/interfaces.d/sdn`. Beside what has a stanza there are
    /// the VLANs that bridges are said to join. What the administrator's file names too is
    /// the node's own.
    pub(super) fn of(text: &str, own: &BTreeSet<String>, addresses: &[InterfaceAddress]) -> Self {
        let mut made = Self::default();
        for (name, interface) in plan::interfaces(text) {
            if interface.is_own() || own.contains(name.as_str()) {
                let is_own = |net: &&IpNet| {
                    addresses.iter().any(|own| own.interface == name && own.address == net.addr())
                };
                let given = interface.addresses.iter().filter(|net| !is_own(net));
                made.given.extend(given.map(|net| (name.to_string(), *net)));
            } else {
                made.names.insert(name.to_string());
            }
            let implied = interface.implied().filter(|port| !own.contains(*port));
            made.names.extend(implied.map(str::to_owned));
        }
        made
    }

    /// Whether an interface is made by weft.
    pub(super) fn has(&self, interface: &str) -> bool {
        self.names.contains(interface)
    }

    /// Whether an interface of the node's own has an address from weft.
    pub(super) fn gives(&self, interface: &str, address: IpAddr) -> bool {
        self.given.iter().any(|(name, net)| name == interface && net.addr() == address)
    }

    /// Whether an interface of the node's own has a route to its neighbours from weft.
    pub(super) fn connects(&self, interface: &str, destination: IpNet) -> bool {
        self.given.iter().any(|(name, net)| name == interface && net.trunc() == destination)
    }
}

/// The bridges of Open vSwitch, each with its ports.
pub(super) type OvsBridges = BTreeMap<String, Vec<String>>;

impl Device {
    fn is_own(&self, made: &Made, named: &BTreeSet<String>, ovs: &OvsBridges) -> bool {
        let name = self.name.as_str();
        if named.contains(name) || ovs.contains_key(name) {
            return true;
        }
        let others = self.is(OF_OTHERS);
        let is_hardware = self.kind.is_none();
        let hypervisors = OF_HYPERVISORS.iter().any(|start| name.starts_with(start));
        !made.has(name) && !others && (is_hardware || !hypervisors)
    }

    /// Whether the reference takes it as a port of a bridge that leads out of the node.
    fn is_uplink(&self) -> bool {
        matches!(self.kind.as_deref(), None | Some("bond" | "vlan" | "veth"))
    }

    fn bridge_kind(&self) -> Option<BridgeKind> {
        let kind = if self.filters_vlans { BridgeKind::VlanAware } else { BridgeKind::Plain };
        self.is(&["bridge"]).then_some(kind)
    }

    fn interface(&self) -> Option<Interface> {
        Some(Interface {
            name: self.name.parse().ok()?,
            altnames: names(&self.altnames),
            mac: self.mac.as_ref().and_then(|mac| mac.to_ascii_lowercase().parse().ok()),
            master: self.master.as_ref().and_then(|master| master.parse().ok()),
            mtu: self.mtu,
        })
    }
}

/// What a kernel has. `named` are the interfaces of the administrator's file.
pub(super) fn from_kernel(
    devices: &[Device],
    made: &Made,
    named: &BTreeSet<String>,
    ovs: &OvsBridges,
) -> (Vec<Bridge>, Vec<Interface>) {
    let own: Vec<&Device> =
        devices.iter().filter(|device| device.is_own(made, named, ovs)).collect();
    let uplinks = |is_port: &dyn Fn(&Device) -> bool| {
        let ports = own.iter().filter(|device| device.is_uplink() && is_port(device));
        sorted(ports.filter_map(|device| device.name.parse().ok()).collect())
    };
    let mut bridges = Vec::new();
    for device in &own {
        let (name, Ok(bridge)) = (&device.name, device.name.parse()) else { continue };
        let (kind, ports) = if let Some(ports) = ovs.get(name) {
            (BridgeKind::Ovs, uplinks(&|port| ports.contains(&port.name)))
        } else if let Some(kind) = device.bridge_kind() {
            (kind, uplinks(&|port| port.master.as_ref() == Some(name)))
        } else {
            continue;
        };
        bridges.push(Bridge { name: bridge, kind, ports });
    }
    let mut interfaces: Vec<Interface> =
        own.iter().filter_map(|device| device.interface()).collect();
    bridges.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    // The kernel keeps the master of an interface of weft's own on one of the node's.
    for interface in &mut interfaces {
        let foreign = |master: &IfName| made.has(master.as_str());
        interface.master = interface.master.take().filter(|master| !foreign(master));
    }
    (bridges, interfaces)
}

/// What the stanzas of a dry node would make. Of what is only named as a port nothing
/// else is known.
pub(super) fn from_definitions(
    definitions: &BTreeMap<IfName, Definition>,
) -> (Vec<Bridge>, Vec<Interface>) {
    let mut bridges = Vec::new();
    let mut masters: BTreeMap<IfName, IfName> = BTreeMap::new();
    for (name, definition) in definitions {
        let Some((kind, ports)) = bridge(definition) else { continue };
        let is_uplink = |port: &IfName| {
            definitions.get(port).is_none_or(|port| {
                let other = ["dummy", "veth"].contains(&port.value("link-type").unwrap_or(""));
                bridge(port).is_none() && !other && port.value("ovs-type") != Some("OVSIntPort")
            })
        };
        let ports: Vec<IfName> =
            ports.split_whitespace().filter_map(|port| port.parse().ok()).collect();
        masters.extend(ports.iter().map(|port| (port.clone(), name.clone())));
        let ports = sorted(ports.into_iter().filter(is_uplink).collect());
        bridges.push(Bridge { name: name.clone(), kind, ports });
    }
    let nothing = Definition::default();
    let names: BTreeSet<&IfName> = definitions.keys().chain(masters.keys()).collect();
    let interface = |name: &IfName| {
        let definition = definitions.get(name).unwrap_or(&nothing);
        let mtu = definition.value("mtu").or(definition.value("ovs-mtu"));
        let usual = if name.as_str() == "lo" { LOOPBACK_MTU } else { DEFAULT_MTU };
        // `hwaddress ether aa:…` is an older spelling.
        let mac = definition.value("hwaddress").and_then(|value| value.split_whitespace().last());
        Interface {
            name: name.clone(),
            altnames: Vec::new(),
            mac: mac.and_then(|mac| mac.to_ascii_lowercase().parse::<MacAddress>().ok()),
            master: masters.get(name).cloned(),
            mtu: mtu.and_then(|mtu| mtu.parse().ok()).unwrap_or(usual),
        }
    };
    (bridges, names.into_iter().map(interface).collect())
}

/// The kind of a bridge and its ports; none of what is no bridge.
fn bridge(definition: &Definition) -> Option<(BridgeKind, &str)> {
    if definition.value("ovs-type") == Some("OVSBridge") {
        return Some((BridgeKind::Ovs, definition.value("ovs-ports").unwrap_or("")));
    }
    let is_on = |value: &str| matches!(value, "yes" | "1" | "on" | "true");
    let is_aware = definition.value("bridge-vlan-aware").is_some_and(is_on);
    let ports = definition.value("bridge-ports");
    let ports = ports.or(is_aware.then_some("none"))?;
    let kind = if is_aware { BridgeKind::VlanAware } else { BridgeKind::Plain };
    Some((kind, if ports == "none" { "" } else { ports }))
}

fn names(texts: &[String]) -> Vec<IfName> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn sorted(mut names: Vec<IfName>) -> Vec<IfName> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;

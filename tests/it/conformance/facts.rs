//! The facts that the reference's own tests pretend.

use std::collections::BTreeMap;
use std::net::IpAddr;

use weft::facts::{Bridge, BridgeKind, Facts, Frr, Interface, InterfaceAddress, Route};
use weft::value::{IfName, NodeName};

/// Every interface has this address.
const MAC: &str = "bc:24:11:1d:69:60";

/// The facts of a node with this `/etc/network/interfaces`: its addresses of `inet` stanzas,
/// interfaces and bridges, and every route, of both families, by `vmbr0` from its address.
pub(super) fn of(node: &NodeName, interfaces: &str, frr_local: Option<String>) -> Facts {
    let stanzas = stanzas(interfaces);
    let mut facts = Facts::unknown(node.clone());
    for Stanza { interface, options, .. } in stanzas.iter().filter(|stanza| stanza.is_inet) {
        for (_, value) in options.iter().filter(|(name, _)| *name == "address") {
            let address: IpAddr = value.split('/').next().unwrap().parse().unwrap();
            facts.addresses.push(InterfaceAddress { interface: interface.clone(), address });
        }
    }
    facts.bridges = bridges(interfaces);
    facts.interfaces = known(&stanzas, &facts.bridges);
    // An address of an `inet6` stanza is found by the way to itself.
    for stanza in stanzas.iter().filter(|stanza| !stanza.is_inet) {
        for (_, value) in stanza.options.iter().filter(|(name, _)| *name == "address") {
            let source: IpAddr = value.split('/').next().unwrap().parse().unwrap();
            let interface: IfName = "lo".parse().unwrap();
            let destination = source.into();
            facts.routes.push(Route { destination, interface, gateway: None, source, metric: 0 });
        }
    }
    // The reference's answer has no address where `vmbr0` has none.
    let own = facts.addresses.iter().find(|own| own.interface.as_str() == "vmbr0");
    let source = own.map_or(IpAddr::from([0, 0, 0, 0]), |own| own.address);
    let to = |destination: &str| Route {
        destination: destination.parse().unwrap(),
        interface: "vmbr0".parse().unwrap(),
        gateway: None,
        source,
        metric: 0,
    };
    facts.routes.extend(["0.0.0.0/0", "::/0"].map(to));
    facts.frr =
        Some(Frr { local: frr_local, daemons: Some("bgpd=no\n".to_owned()), version: None });
    facts
}

/// The bridges, in the byte order of their names.
pub(super) fn bridges(interfaces: &str) -> Vec<Bridge> {
    let mut found = BTreeMap::new();
    for stanza in stanzas(interfaces) {
        let value = |names: &[&str]| stanza.value(names);
        let ovs = value(&["ovs_type"]) == Some("OVSBridge");
        let ports = value(&["bridge-ports", "bridge_ports"]);
        if ports.is_none() && !ovs {
            continue;
        }
        let ports = ports.or(value(&["ovs_ports"])).unwrap_or_default().split_whitespace();
        let mut ports: Vec<IfName> =
            ports.filter(|port| *port != "none").map(|port| port.parse().unwrap()).collect();
        ports.sort();
        let aware = value(&["bridge-vlan-aware", "bridge_vlan_aware"]);
        let kind = match aware {
            _ if ovs => BridgeKind::Ovs,
            Some("yes" | "1" | "on" | "true") => BridgeKind::VlanAware,
            _ => BridgeKind::Plain,
        };
        let name = stanza.interface.clone();
        found.insert(name.clone(), Bridge { name, kind, ports });
    }
    found.into_values().collect()
}

/// Every interface of a stanza, and every port of a bridge.
fn known(stanzas: &[Stanza], bridges: &[Bridge]) -> Vec<Interface> {
    let ports = bridges.iter().flat_map(|bridge| &bridge.ports);
    let way_out: IfName = "vmbr0".parse().unwrap();
    let names = stanzas.iter().map(|stanza| &stanza.interface).chain(ports).chain([&way_out]);
    let found: BTreeMap<IfName, Interface> = names
        .map(|name| {
            let master = bridges.iter().find(|bridge| bridge.ports.contains(name));
            let mut own = stanzas.iter().filter(|stanza| stanza.interface == *name);
            let mtu = own.find_map(|stanza| stanza.value(&["mtu"]));
            let interface = Interface {
                name: name.clone(),
                altnames: Vec::new(),
                mac: Some(MAC.parse().unwrap()),
                master: master.map(|bridge| bridge.name.clone()),
                mtu: mtu.map_or(1500, |mtu| mtu.parse().unwrap()),
            };
            (name.clone(), interface)
        })
        .collect();
    found.into_values().collect()
}

/// One `iface` and what stands below it.
struct Stanza<'a> {
    interface: IfName,
    is_inet: bool,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Stanza<'a> {
    fn value(&self, names: &[&str]) -> Option<&'a str> {
        self.options.iter().find(|(name, _)| names.contains(name)).map(|(_, value)| *value)
    }
}

fn stanzas(interfaces: &str) -> Vec<Stanza<'_>> {
    let mut found: Vec<Stanza<'_>> = Vec::new();
    let mut inside = false;
    for line in interfaces.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "iface" => {
                let mut words = rest.split_whitespace();
                let interface = words.next().unwrap().parse().unwrap();
                let is_inet = words.next() == Some("inet");
                found.push(Stanza { interface, is_inet, options: Vec::new() });
                inside = true;
            }
            "auto" | "source" | "source-directory" | "mapping" => inside = false,
            _ if word.starts_with("allow-") => inside = false,
            "" => {}
            _ => {
                if let Some(stanza) = found.last_mut().filter(|_| inside) {
                    stanza.options.push((word, rest.trim()));
                }
            }
        }
    }
    found
}

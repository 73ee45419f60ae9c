//! Whether a change touches the way by which a node is reached.
//!
//! Of the node's own interfaces a rendering changes only what fabrics and Open vSwitch ask
//! for. What it makes may still take the way's interface as a port, or its prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::interface::{Interface, Interfaces};
use crate::facts::Facts;
use crate::value::{IfName, Word};

/// How the kernel reaches a remote now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The remote.
    pub remote: Word,
    /// An address of it.
    pub address: IpAddr,
    /// The interface by which packets for it leave.
    pub interface: String,
}

/// Every interface of the way, with what it is to it.
type Way = BTreeMap<String, String>;

/// What of a change touches the way, in words: from what an interfaces file says to what
/// another one does. `management` is the address that must never be lost; the source
/// addresses of default routes and the passages to remotes are on the way too. `underlay`
/// says whether the fabrics change.
pub(super) fn touched(
    (before, after): (&Interfaces, &Interfaces),
    facts: &Facts,
    (management, passages): (Option<IpAddr>, &[Passage]),
    underlay: bool,
) -> Vec<String> {
    let way = way(before, facts, management, passages);
    let prefixes: BTreeSet<IpNet> = facts
        .routes
        .iter()
        .filter(|route| route.destination.prefix_len() > 0)
        .filter(|route| {
            way.contains_key(route.interface.as_str()) && route.interface.as_str() != "lo"
        })
        .map(|route| route.destination)
        .chain(management.map(IpNet::from))
        .chain(passages.iter().map(|passage| passage.address.into()))
        .collect();
    let names: BTreeSet<&IfName> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old.map(|old| &old.lines) == new.map(|new| &new.lines) {
            continue;
        }
        let what = match (old, new) {
            (None, _) => "is new",
            (_, None) => "goes",
            _ => "changes",
        };
        if let Some(why) = way.get(name.as_str()) {
            found.push(format!("`{name}` {what}, {why}"));
            continue;
        }
        let ports = |interface: Option<&Interface>| -> BTreeSet<String> {
            interface.into_iter().flat_map(Interface::ports).map(str::to_owned).collect()
        };
        let moved = ports(old).symmetric_difference(&ports(new)).cloned().collect::<Vec<String>>();
        if let Some((port, why)) = moved.iter().find_map(|port| way.get_key_value(port)) {
            found.push(format!("`{name}` {what}, and its port `{port}`, {why}"));
            continue;
        }
        let nets = |interface: Option<&Interface>| -> BTreeSet<IpNet> {
            let nets = interface.into_iter().flat_map(|i| i.addresses.iter().chain(&i.routes));
            nets.map(IpNet::trunc).collect()
        };
        let (old_nets, new_nets) = (nets(old), nets(new));
        let mut changed = old_nets.symmetric_difference(&new_nets);
        let covers = |net: &&IpNet| prefixes.iter().any(|prefix| overlap(net, prefix));
        if let Some(net) = changed.find(covers) {
            found.push(format!(
                "`{name}` {what}, and its prefix {net} is that of the way to the node"
            ));
        }
    }
    let in_fabric = |(name, interface): (&IfName, &Interface)| {
        way.contains_key(name.as_str()) && !interface.forwards.is_empty()
    };
    if underlay && found.is_empty() && before.iter().any(in_fabric) {
        found.push("fabrics change, by which the node is reached".to_owned());
    }
    found
}

/// Whether two prefixes have addresses in common.
fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// The interfaces by which the node is reached, and all that they are made on top of.
fn way(
    before: &BTreeMap<IfName, Interface>,
    facts: &Facts,
    management: Option<IpAddr>,
    passages: &[Passage],
) -> Way {
    let mut way = Way::new();
    let mut add = |name: &str, why: String| {
        // Of `lo` nothing is ever changed, and every address is there.
        if name != "lo" {
            way.entry(name.to_owned()).or_insert(why);
        }
    };
    if let Some(address) = management {
        let why = format!("which has the management address {address}");
        let of_file = facts.addresses.iter().filter(|own| own.address == address);
        of_file.for_each(|own| add(own.interface.as_str(), why.clone()));
        let routes = facts.routes.iter().filter(|route| route.source == address);
        routes.for_each(|route| add(route.interface.as_str(), why.clone()));
        let has =
            |interface: &Interface| interface.addresses.iter().any(|net| net.addr() == address);
        let ours = before.iter().filter(|(_, interface)| has(interface));
        ours.for_each(|(name, _)| add(name.as_str(), why.clone()));
    }
    for route in facts.routes.iter().filter(|route| route.destination.prefix_len() == 0) {
        add(route.interface.as_str(), "by which the default route leads".to_owned());
    }
    for passage in passages {
        let why = format!("by which remote `{}` is reached", passage.remote);
        add(&passage.interface, why);
    }
    let mut new: Vec<String> = way.keys().cloned().collect();
    while let Some(name) = new.pop() {
        for (below, is) in below(&name, facts) {
            let why = format!("{is} `{name}`, {}", way[&name]);
            if !way.contains_key(&below) {
                way.insert(below.clone(), why);
                new.push(below);
            }
        }
    }
    way
}

/// What an interface of the node's own is made on top of.
fn below(name: &str, facts: &Facts) -> Vec<(String, &'static str)> {
    let ports = facts.bridges.iter().filter(|bridge| bridge.name.as_str() == name);
    let ports = ports.flat_map(|bridge| &bridge.ports);
    let members = facts.interfaces.iter().filter(|interface| {
        interface.master.as_ref().is_some_and(|master| master.as_str() == name)
    });
    let members = members.map(|interface| &interface.name);
    let mut found: Vec<(String, &str)> =
        ports.chain(members).map(|port| (port.to_string(), "a port of")).collect();
    let device = name.rsplit_once('.').map(|(device, _)| device.to_owned());
    found.extend(device.map(|device| (device, "which carries")));
    found
}

#[cfg(test)]
mod tests {
    use super::{Passage, touched};
    use crate::facts::Facts;
    use crate::plan::interfaces;

    const OWN: &str =
        "auto ens19\niface ens19 inet static\n\taddress 10.9.0.1/31\n\tip-forward 1\n";

    fn facts() -> Facts {
        let text = r#"{"format":2,"node":"node1",
            "addresses":[{"interface":"vmbr0.7","address":"192.0.2.10"}],
            "routes":[
                {"destination":"192.0.2.10/32","interface":"lo","source":"192.0.2.10","metric":0},
                {"destination":"192.0.2.0/24","interface":"vmbr0.7","source":"192.0.2.10","metric":0},
                {"destination":"10.5.0.0/24","interface":"ens20","source":"10.5.0.1","metric":0},
                {"destination":"0.0.0.0/0","interface":"ens18","source":"198.51.100.2","metric":0}],
            "bridges":[{"name":"vmbr0","kind":"vlan-aware","ports":["bond0"]}],
            "interfaces":[
                {"name":"eno1","master":"bond0","mtu":1500},
                {"name":"bond0","master":"vmbr0","mtu":1500}]}"#;
        serde_json::from_str(text).expect("facts")
    }

    fn said(before: &str, after: &str) -> Vec<String> {
        touched(
            (&interfaces(before), &interfaces(after)),
            &facts(),
            ("192.0.2.10".parse().ok(), &[]),
            false,
        )
    }

    fn own(name: &str) -> String {
        OWN.replace("ens19", name)
    }

    #[test]
    fn what_is_on_the_way_or_below_it_is_named() {
        let says = |name: &str| said("", &own(name)).join("; ");
        assert_eq!(says("ens19"), "");
        assert_eq!(says("ens18"), "`ens18` is new, by which the default route leads");
        let management = "which has the management address 192.0.2.10";
        assert_eq!(says("vmbr0.7"), format!("`vmbr0.7` is new, {management}"));
        assert_eq!(says("vmbr0"), format!("`vmbr0` is new, which carries `vmbr0.7`, {management}"));
        assert!(says("bond0").starts_with("`bond0` is new, a port of `vmbr0`, which carries"));
        assert!(says("eno1").starts_with("`eno1` is new, a port of `bond0`, a port of `vmbr0`"));
        assert_eq!(said(&own("ens18"), "")[0], "`ens18` goes, by which the default route leads");
        let other = own("ens18").replace("10.9.0.1", "10.9.0.3");
        assert_eq!(
            said(&own("ens18"), &other)[0],
            "`ens18` changes, by which the default route leads"
        );
        assert!(said(&other, &other).is_empty());
    }

    #[test]
    fn ports_and_prefixes_of_the_way_are_seen() {
        let bridge = |port: &str, address: &str| {
            format!("auto v1\niface v1\n\taddress {address}\n\tbridge_ports {port}\n")
        };
        let says = |port: &str, address: &str| said("", &bridge(port, address)).join("; ");
        assert_eq!(says("none", "10.0.0.1/24"), "");
        assert_eq!(says("bond0.100", "10.0.0.1/24"), "");
        assert!(
            says("bond0", "10.0.0.1/24").starts_with("`v1` is new, and its port `bond0`, a port")
        );
        let prefix = "is that of the way to the node";
        assert_eq!(
            says("none", "192.0.2.129/25"),
            format!("`v1` is new, and its prefix 192.0.2.128/25 {prefix}")
        );
        assert_eq!(
            says("none", "192.0.0.1/16"),
            format!("`v1` is new, and its prefix 192.0.0.0/16 {prefix}")
        );
        // That of an interface by which nobody comes.
        assert_eq!(says("none", "10.5.0.1/25"), "");
        // What stays is no change.
        let more = format!("{}\tmtu 1400\n", bridge("none", "192.0.2.129/25"));
        assert!(said(&bridge("none", "192.0.2.129/25"), &more).is_empty());
    }

    #[test]
    fn a_fabric_that_carries_the_management_address_is_the_way() {
        let dummy = "auto dummy_f\niface dummy_f inet static\n\taddress 192.0.2.10/32\n\
            \tlink-type dummy\n\tip-forward 1\n";
        let management = "192.0.2.10".parse().ok();
        let with = |underlay| {
            touched((&interfaces(dummy), &interfaces(dummy)), &facts(), (management, &[]), underlay)
        };
        assert!(with(false).is_empty());
        assert_eq!(with(true), ["fabrics change, by which the node is reached"]);
        assert!(
            touched((&interfaces(dummy), &interfaces(dummy)), &facts(), (None, &[]), true)
                .is_empty()
        );
    }

    #[test]
    fn what_leads_to_a_remote_is_on_the_way_whatever_the_default_route() {
        let passage = Passage {
            remote: "origin".parse().expect("a word"),
            address: "10.5.0.9".parse().expect("an address"),
            interface: "ens20".to_owned(),
        };
        let says = |passages: &[Passage], after: &str| {
            touched((&interfaces(""), &interfaces(after)), &facts(), (None, passages), false)
                .join("; ")
        };
        let bridge = "auto v1\niface v1\n\taddress 10.5.0.8/30\n\tbridge_ports none\n";
        assert_eq!(says(&[], &own("ens20")) + &says(&[], bridge), "");
        let passages = [passage];
        assert_eq!(
            says(&passages, &own("ens20")),
            "`ens20` is new, by which remote `origin` is reached"
        );
        // What hides it is the way too.
        assert_eq!(
            says(&passages, bridge),
            "`v1` is new, and its prefix 10.5.0.8/30 is that of the way to the node"
        );
    }
}

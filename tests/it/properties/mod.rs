//! What holds for every network, and for every text.

mod documents;
mod model;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use weft::declare::finding::{Code, Findings};
use weft::declare::import::{KnownNode, running_config};
use weft::declare::{Severity, Tree, export};
use weft::facts::{Bridge, BridgeKind, Facts, InterfaceAddress, Route};
use weft::network::Network;
use weft::render::{Managed, Profile, Rendering, render};
use weft::validate;
use weft::value::NodeName;

use self::documents::documents;
use self::model::{NODES, Object, model};
use crate::export::{as_files, built, imported};

/// Files of these texts, and `weft.yaml`.
fn tree(files: impl IntoIterator<Item = (String, String)>) -> Tree {
    let cluster = ("weft.yaml".to_owned(), "weft: 1\ncluster: lab\n".to_owned());
    let files = files.into_iter().chain([cluster]);
    Tree::new(None, files.map(|(path, text)| (path.parse().unwrap(), Arc::from(text))))
}

/// One file for each object.
fn written(objects: &[Object]) -> Vec<(String, String)> {
    let text = |(kind, id, options): &Object| {
        let options: Vec<String> =
            options.iter().map(|(key, value)| format!("    {key}: {value}\n")).collect();
        format!("{kind}:\n  {id}:\n{}", options.concat())
    };
    objects
        .iter()
        .enumerate()
        .map(|(number, object)| (format!("sdn/{number:03}.yaml"), text(object)))
        .collect()
}

fn checked(files: impl IntoIterator<Item = (String, String)>) -> (Option<Network>, Findings) {
    validate::check(&tree(files), Some(&"lab".parse().unwrap()), &[])
}

fn network(objects: &[Object]) -> Network {
    let (network, findings) = checked(written(objects));
    assert_eq!(findings.count(Severity::Error), 0, "{findings:#?}");
    network.unwrap()
}

fn nodes() -> Vec<NodeName> {
    (1..=NODES).map(|number| format!("node{number}").parse().unwrap()).collect()
}

/// A node of the model: each with another kind of bridge. The one with the highest number
/// has none, and no way out.
fn facts(number: usize) -> Facts {
    let own = format!("192.168.0.{number}").parse().unwrap();
    let interface: weft::value::IfName = "vmbr0".parse().unwrap();
    let destinations =
        if number == NODES { vec!["192.168.0.0/24"] } else { vec!["192.168.0.0/24", "0.0.0.0/0"] };
    let kinds = [BridgeKind::Plain, BridgeKind::VlanAware, BridgeKind::Ovs];
    let bridge = kinds.get(number - 1).map(|kind| Bridge {
        name: interface.clone(),
        kind: *kind,
        ports: ["eth0", "eth1.7"].map(|port| port.parse().unwrap()).to_vec(),
    });
    let dummy = InterfaceAddress {
        interface: "dummy1".parse().unwrap(),
        address: format!("10.255.0.{number}").parse().unwrap(),
    };
    Facts {
        addresses: vec![InterfaceAddress { interface: interface.clone(), address: own }, dummy],
        bridges: bridge.into_iter().collect(),
        routes: destinations
            .into_iter()
            .map(|destination| Route {
                destination: destination.parse().unwrap(),
                interface: interface.clone(),
                gateway: None,
                source: own,
                metric: 0,
            })
            .collect(),
        ..Facts::unknown(format!("node{number}").parse().unwrap())
    }
}

fn renderings(network: &Network) -> Vec<Rendering> {
    let nodes = nodes();
    let one = |(number, node)| render(network, node, &facts(number), Profile::Pve);
    (1..).zip(&nodes).map(one).collect()
}

/// The stanzas of a file by the interface. Only a fabric's interface may have two.
fn stanzas(rendering: &Rendering) -> BTreeMap<String, String> {
    let text = &rendering.files[&Managed::Interfaces];
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for stanza in text.split("\nauto ").skip(1) {
        let (name, lines) = stanza.split_once('\n').unwrap();
        let before = found.entry(name.to_owned()).or_default();
        assert!(before.is_empty() || lines.contains(" static\n"), "{name} is there twice");
        before.push_str(lines);
    }
    found
}

/// Whether a stanza is made of what several vnets need: the ports of Open vSwitch, and the
/// pair whose addresses are as the first vnet of the zone has them.
fn is_of_several(name: &str) -> bool {
    name == "vmbr0" || name.starts_with("xvrf")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_network_gives_the_same_bytes(model in model()) {
        let objects = model.objects();
        let first = renderings(&network(&objects));
        let again = renderings(&network(&objects));
        for (first, again) in first.iter().zip(&again) {
            prop_assert_eq!(first.digest(), again.digest());
            prop_assert_eq!(first, again);
        }
    }

    /// Objects in any order, in any files, their options in any order.
    #[test]
    fn order_and_files_do_not_matter(
        (model, objects, shuffles, names) in model().prop_flat_map(|model| {
            let objects = model.objects();
            let count = objects.len();
            let orders: Vec<_> =
                objects.iter().map(|(_, _, options)| Just(options.clone()).prop_shuffle()).collect();
            let names = prop::collection::vec("[a-z]{1,3}(/[a-z]{1,3}){0,2}", count);
            (Just(model), Just(objects).prop_shuffle(), orders, names)
        })
    ) {
        let first = network(&model.objects());
        // The options of the n-th object of the model, by its id.
        let ids = model.objects().into_iter().map(|(kind, id, _)| (kind, id));
        let options: BTreeMap<_, _> = ids.zip(shuffles).collect();
        let shuffled: Vec<Object> = objects
            .into_iter()
            .map(|(kind, id, _)| {
                let options = options[&(kind, id.clone())].clone();
                (kind, id, options)
            })
            .collect();
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for ((_, text), name) in written(&shuffled).into_iter().zip(names) {
            // Names such as `a` and `a/b` stand for different files.
            let path = format!("sdn/{name}.yaml");
            // A kind stands once in a file: what would be a second one goes elsewhere.
            let path = if files.contains_key(&path) {
                format!("sdn/more/{:03}.yaml", files.len())
            } else {
                path
            };
            files.insert(path, text);
        }
        let (second, findings) = checked(files);
        prop_assert_eq!(findings.count(Severity::Error), 0);
        let second = second.unwrap();
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(renderings(&first), renderings(&second));
    }

    /// Without a vnet its interfaces are gone and all others are as they were;
    /// with it again everything is.
    #[test]
    fn a_vnet_is_removed_and_put_back(model in model(), which in any::<prop::sample::Index>()) {
        prop_assume!(!model.vnets().is_empty());
        let objects = model.objects();
        let vnet = which.get(&model.vnets()).clone();
        let (gone, rest): (Vec<Object>, Vec<Object>) =
            objects.clone().into_iter().partition(|(kind, id, _)| *kind == "vnets" && *id == vnet);
        prop_assert_eq!(gone.len(), 1);

        let first = renderings(&network(&objects));
        let without = renderings(&network(&rest));
        let back = renderings(&network(&[rest, gone].concat()));
        prop_assert_eq!(&first, &back);
        for (first, without) in first.iter().zip(&without) {
            let serves_others = |name: &str| {
                let served = first.interfaces.get(name).into_iter().flatten();
                let (ours, others): (Vec<_>, Vec<_>) =
                    served.partition(|id| id.as_str() == vnet);
                ours.is_empty() || !others.is_empty()
            };
            let (mut expected, mut found) = (stanzas(first), stanzas(without));
            expected.retain(|name, _| serves_others(name));
            prop_assert!(expected.keys().eq(found.keys()));
            expected.retain(|name, _| !is_of_several(name));
            found.retain(|name, _| !is_of_several(name));
            prop_assert_eq!(found, expected);
        }
    }

    /// Proxmox's form of a network and people's mean the same.
    #[test]
    fn an_import_means_what_proxmox_meant(model in model(), texts in any::<bool>()) {
        let known = (1..=NODES).zip(nodes()).map(|(number, name)| {
            let address = Some(format!("192.168.0.{number}").parse().unwrap());
            (name, KnownNode { address, management: None })
        });
        let config = model.running_config(texts).to_string();
        let imported = running_config(&config, &"lab".parse().unwrap(), &known.collect()).unwrap();
        prop_assert!(imported.remarks.is_empty(), "{:?}", imported.remarks);
        let files = imported.files.into_iter().map(|(path, text)| (path.to_string(), text));
        let (network_of_import, findings) = checked(files);
        prop_assert_eq!(findings.count(Severity::Error), 0, "{:#?}", findings);
        let declared = network(&model.objects());
        prop_assert_eq!(renderings(&declared), renderings(&network_of_import.unwrap()));
    }

    /// What is exported means what was declared, in both of Proxmox's forms.
    #[test]
    fn an_export_means_what_was_declared(model in model()) {
        let mut files: BTreeMap<String, String> = written(&model.objects()).into_iter().collect();
        files.insert("weft.yaml".to_owned(), "weft: 1\ncluster: lab\n".to_owned());
        let (declared, network) = built(&files);
        let exported = export::pve(&declared, &network, 3, &BTreeMap::new());
        prop_assert!(exported.left_out.iter().all(|one| one.object.starts_with("node ")));
        let mut back = as_files(&exported);
        back.nodes = nodes().iter().map(ToString::to_string).collect();
        prop_assert_eq!(&built(&imported(&back)).1.zones, &network.zones);
        back.texts.remove("sdn/.running-config");
        prop_assert_eq!(&built(&imported(&back)).1.zones, &network.zones);
    }

    /// Whatever stands in a declaration, a line of a file is one of the few that
    /// are written, and a stanza is one of the network's interfaces.
    #[test]
    fn no_text_becomes_a_line_of_its_own(
        alias in prop_oneof![3 => "[a-z (-_]{1,20}", 1 => "(\\PC|\n|\r|\t|[ -~]){0,40}"],
        gateway in prop_oneof![
            3 => "10\\.0\\.0\\.[0-9]",
            1 => "[0-9a-f:.]{1,20}|10.0.0.1[ ;\n]{1,3}up reboot",
        ],
        prefix in prop_oneof![
            3 => "10\\.0\\.0\\.[0-9]/(2[0-9]|32)",
            1 => "10\\.0\\.0\\.0/24[';$ \n]{1,3}reboot",
        ],
        id in prop_oneof![3 => "[a-z]{3,8}", 1 => "va[\n ;/-]{1,2}up"],
    ) {
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        let text = format!(
            "zones: {{lan: {{type: simple}}}}\nvnets: {{{}: {{zone: lan, alias: {}, subnets: {{{}: {{gateway: {}, snat: true}}}}}}}}\n",
            quote(&id), quote(&alias), quote(&prefix), quote(&gateway)
        );
        let (network, findings) = checked([("sdn/a.yaml".to_owned(), text)]);
        prop_assert_eq!(network.is_none(), findings.has_errors());
        let Some(network) = network else { return Ok(()) };
        let facts = facts(1);
        let rendering = render(&network, &facts.node, &facts, Profile::Pve);
        let text = &rendering.files[&Managed::Interfaces];
        for line in text.lines() {
            let first = line.split(' ').next().unwrap();
            let known = [
                "", "auto", "iface", "\taddress", "\tup", "\tpost-up", "\tpost-down",
                "\tbridge_ports", "\tbridge_stp", "\tbridge_fd", "\talias", "\tip-forward",
                "\tip6-forward",
            ];
            prop_assert!(known.contains(&first), "{line:?}");
            let commands = ["\tup", "\tpost-up", "\tpost-down"].contains(&first);
            let plain = |c: char| c.is_ascii_alphanumeric() || " -./:'+_".contains(c);
            prop_assert!(!commands || line[1..].chars().all(plain), "{line:?}");
        }
        prop_assert_eq!(text.matches("\niface ").count(), 1);
        prop_assert!(!text.contains("reboot") || alias.contains("reboot"));
    }
}

/// Texts that are legal most of the time, and commands and lines the rest of it.
fn words(legal: &'static str) -> impl Strategy<Value = String> {
    let bad = "[a-z0-9.]{0,9}[';$`|&\\n\r\t\u{85}\u{2028} -]{1,3}(up reboot|reboot)?";
    prop_oneof![9 => legal, 1 => bad]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever stands in the options of any zone or fabric, no line is another than those
    /// that are written, and nothing of it is a control character.
    #[test]
    fn no_option_becomes_a_line_of_its_own(
        bridge in words("[a-z][a-z0-9_.]{0,9}"),
        protocol in words("802\\.1(q|ad)"),
        mac in words("BC:24:11:00:00:0[0-9A-F]"),
        interface in words("[a-z]{1,5}[0-9]{1,3}"),
        address in words("10\\.99\\.0\\.[0-9]/31"),
        node in words("node1"),
    ) {
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        let text = format!(
            "nodes: {{node1: {{}}}}\n\
             zones:\n  zv: {{type: vlan, bridge: {bridge}}}\n  \
             zq: {{type: qinq, bridge: {bridge}, tag: 7, vlan-protocol: {protocol}}}\n  \
             ze: {{type: evpn, controller: ctl, vrf-vxlan: 9, mac: {mac}, exitnodes: [{node}]}}\n\
             controllers: {{ctl: {{type: evpn, asn: 65000, fabric: fab}}}}\n\
             fabrics: {{fab: {{type: openfabric, ip_prefix: 10.98.0.0/24, nodes: {{{node}: {{ip: 10.98.0.1, \
             interfaces: [{{name: {interface}, ip: {address}}}]}}}}}}}}\n\
             vnets: {{va: {{zone: zv, tag: 3}}, vb: {{zone: zq, tag: 4}}, vc: {{zone: ze, tag: 5}}}}\n",
            bridge = quote(&bridge), protocol = quote(&protocol), mac = quote(&mac),
            interface = quote(&interface), address = quote(&address), node = quote(&node),
        );
        let (network, findings) = checked([("sdn/a.yaml".to_owned(), text)]);
        prop_assert_eq!(network.is_none(), findings.has_errors());
        // Enough of them are a network, or this fails.
        prop_assume!(network.is_some());
        let network = network.unwrap();
        for kind in [BridgeKind::Plain, BridgeKind::VlanAware, BridgeKind::Ovs] {
            let mut facts = facts(1);
            let ports = facts.bridges[0].ports.clone();
            let name: Result<weft::value::IfName, _> = bridge.parse();
            facts.bridges.extend(name.map(|name| Bridge { name, kind, ports }));
            for profile in Profile::ALL {
                let rendering = render(&network, &facts.node, &facts, *profile);
                let text = &rendering.files[&Managed::Interfaces];
                let plain = |line: &str| {
                    let line = line.strip_prefix('\t').unwrap_or(line);
                    line.chars().all(|c| c == ' ' || c.is_ascii_graphic())
                };
                prop_assert!(text.lines().all(plain), "{text}");
                // A name such as `0-reboot` is legal; a word of its own it never is.
                prop_assert!(text.split_whitespace().all(|word| word != "reboot"), "{text}");
                for line in text.lines().filter(|line| line.starts_with("\tpost-up")) {
                    let known = "\tpost-up ip route del vrf vrf_ze unreachable default metric 4278198272";
                    prop_assert_eq!(line, known);
                }
            }
        }
    }

    #[test]
    fn no_text_stops_the_reader(text in "(\\PC|[ -~\n]|[\\x00-\\x1f]){0,200}") {
        let (network, findings) = checked([("sdn/a.yaml".to_owned(), text)]);
        prop_assert_eq!(network.is_none(), findings.has_errors());
    }

    /// Texts that are nearly declarations reach farther than any text does.
    #[test]
    fn no_declaration_stops_the_rules(text in documents()) {
        let (network, findings) = checked([("sdn/a.yaml".to_owned(), text)]);
        prop_assert_eq!(network.is_none(), findings.has_errors(), "{:#?}", findings);
        if let Some(network) = network {
            renderings(&network);
        }
    }
}

#[test]
fn a_file_of_too_many_values_is_refused() {
    let list = vec!["x"; 200_001].join(",");
    let (network, findings) = checked([("sdn/a.yaml".to_owned(), format!("zones: [{list}]\n"))]);
    assert!(network.is_none());
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::TooLarge]);
}

/// A small text must not become a large file.
#[test]
fn too_many_tunnels_are_refused() {
    let nodes = |count: usize| {
        let nodes =
            (0..count).map(|n| format!("  n{n}: {{address: 10.1.{}.{}}}\n", n / 250, n % 250));
        format!("nodes:\n{}", nodes.collect::<String>())
    };
    let vnets = |count: usize| {
        let vnets = (0..count).map(|n| format!("  v{n:05}: {{zone: tun, tag: {}}}\n", n + 1));
        format!("vnets:\n{}", vnets.collect::<String>())
    };
    let zones = "zones: {tun: {type: vxlan}}\n".to_owned();
    let files = |count: usize| {
        let texts = [nodes(count), vnets(2000), zones.clone()];
        ["nodes", "vnets", "zones"].map(|kind| format!("sdn/{kind}.yaml")).into_iter().zip(texts)
    };
    let (network, findings) = checked(files(251));
    assert!(network.is_none());
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::TooLarge]);
    let (network, findings) = checked(files(250));
    assert!(network.is_some() && findings.is_empty());
    assert_eq!(validate::MAX_TUNNELS, 500_000);
}

//! What each fuzz target does with some bytes. The tests replay `fuzz/seeds` through the
//! same functions, so this file knows nothing of the fuzzer.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use weft::declare::Tree;
use weft::declare::finding::Code;
use weft::declare::import::{self, PveFiles, Source};
use weft::declare::pve::kind::Dialect;
use weft::declare::pve::section;
use weft::facts::{Facts, Frr, Interface, InterfaceAddress, Route};
use weft::network::Network;
use weft::render::{Managed, Profile, render};
use weft::validate;
use weft::value::RepoPath;

/// A file of declarations: whatever it says, reading it and every rule end, and there is a
/// network exactly if no finding is an error.
pub(crate) fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (network, findings) = validate::check(&tree([("sdn/a.yaml", text)]), None, &[]);
    assert_eq!(network.is_none(), findings.has_errors());
    let Some(network) = network else { return };
    for node in network.nodes.keys() {
        render(&network, node, &facts(node.as_str(), None), Profile::Pve);
    }
}

/// Section files of Proxmox, zones first, each behind a line `%%`: they are read or refused,
/// and an import that is made of them is one that can be read.
pub(crate) fn section_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for dialect in [Dialect::Perl, Dialect::Rust] {
        drop(section::read("fuzz.cfg", text, dialect));
    }
    let names = ["zones", "vnets", "subnets", "controllers", "fabrics", "ipams", "dns"];
    let texts = names.iter().zip(text.split("\n%%\n"));
    let texts = texts.map(|(name, text)| (format!("sdn/{name}.cfg"), text.to_owned()));
    let files = PveFiles { texts: texts.collect(), ..PveFiles::default() };
    let cluster = "fuzz".parse().expect("a name");
    let Ok(imported) = import::pve(&files, Some(&cluster), Source::Wanted) else { return };
    let files = imported.files.iter().map(|(path, text)| (path.clone(), Arc::from(text.as_str())));
    let (_, findings) = validate::check(&Tree::new(None, files), None, &[]);
    let unreadable = [Code::YamlSyntax, Code::YamlFeature, Code::DuplicateKey, Code::BadValue];
    let wrong = findings.iter().find(|finding| unreadable.contains(&finding.code));
    assert!(wrong.is_none(), "an import cannot be read: {wrong:?}");
}

/// A node's own `frr.conf.local`: whatever it says, the merge ends, and no control character
/// comes through.
pub(crate) fn frr_local(bytes: &[u8]) {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let network = NETWORK.get_or_init(|| {
        let (network, findings) = validate::check(&tree([("sdn/a.yaml", ROUTED)]), None, &[]);
        network.unwrap_or_else(|| panic!("{findings:?}"))
    });
    let facts = facts("node1", Some(text));
    let rendering = render(network, &facts.node, &facts, Profile::Pve);
    if let Some(conf) = rendering.files.get(&Managed::Frr) {
        assert!(!conf.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    }
}

/// A network with everything that FRR does.
const ROUTED: &str = r#"
nodes: {node1: {address: 192.168.0.1}, node2: {address: 192.168.0.2}}
controllers:
  ctl: {type: evpn, asn: 65000}
  bgpnode1: {type: bgp, node: node1, asn: 65001, peers: [192.168.0.254], ebgp: true}
  isisnode1: {type: isis, node: node1, isis-domain: one, isis-ifaces: [eth1], isis-net: 49.0001.1921.6800.1001.00}
fabrics:
  fab: {type: openfabric, ip_prefix: 172.20.0.0/24, nodes: {node1: {ip: 172.20.0.1, interfaces: [{name: ens19}]}}}
zones:
  ez: {type: evpn, controller: ctl, vrf-vxlan: 1, mac: "BC:24:11:00:00:01", exitnodes: [node1], exitnodes-local-routing: true}
vnets:
  va: {zone: ez, tag: 10, subnets: {10.0.1.0/24: {gateway: 10.0.1.1}}}
"#;

fn tree<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tree {
    let cluster = ("weft.yaml", "weft: 1\ncluster: fuzz\n");
    let files = files.into_iter().chain([cluster]);
    let path = |path: &str| path.parse::<RepoPath>().expect("a path");
    let files: BTreeMap<RepoPath, Arc<str>> =
        files.map(|(name, text)| (path(name), Arc::from(text))).collect();
    Tree::new(None, files)
}

fn facts(node: &str, frr_local: Option<&str>) -> Facts {
    let own = "192.168.0.1".parse().expect("an address");
    let name = |name: &str| name.parse().expect("an interface");
    Facts {
        addresses: vec![InterfaceAddress { interface: name("vmbr0"), address: own }],
        routes: vec![Route {
            destination: "0.0.0.0/0".parse().expect("a prefix"),
            interface: name("vmbr0"),
            source: own,
            metric: 0,
        }],
        interfaces: vec![Interface {
            name: name("vmbr0"),
            altnames: Vec::new(),
            mac: Some("bc:24:11:00:00:01".parse().expect("a MAC address")),
            master: None,
            mtu: 1500,
        }],
        frr: Some(Frr {
            local: frr_local.map(str::to_owned),
            daemons: Some("bgpd=no\n".to_owned()),
            version: None,
        }),
        ..Facts::unknown(node.parse().expect("a node"))
    }
}

//! What Proxmox's own renderer wrote, byte for byte, from its running configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use weft::declare::import::{KnownNode, running_config};
use weft::declare::{Severity, Tree};
use weft::facts::{Facts, InterfaceAddress, Route};
use weft::render::{Managed, Profile, render};
use weft::validate;
use weft::value::NodeName;

/// Cases that this version must render; a reference without them is no reference.
const DEMANDED: &[&str] = &[
    "simple/basic",
    "simple/hetzner",
    "simple/ipv4",
    "simple/ipv4snat",
    "simple/ipv4v6",
    "simple/ipv4v6nogateway",
    "simple/ipv6snat",
    "vxlan/basic",
    "vxlan/vlanawarevnet",
    "vxlan/vxlanport",
    "extra/empty",
    "extra/simple_all",
    "extra/simple_nodes_excluded",
    "extra/simple_two_snat",
    "extra/simple_v6_snat_nogw",
    "extra/vnet_unknown_zone",
    "extra/vxlan_jumbo",
    "extra/vxlan_mtu_option",
];

#[test]
fn simple_and_vxlan_zones_are_rendered_as_the_reference_renders_them() {
    let Some(shared) = shared() else {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    };
    let mut compared = Vec::new();
    for group in ["simple", "vxlan", "extra"] {
        for directory in directories(&shared.join("conformance").join(group)) {
            let name = format!("{group}/{}", directory.file_name().unwrap().to_str().unwrap());
            let config = std::fs::read_to_string(directory.join("sdn/.running-config")).unwrap();
            if let Some(reason) = beyond(&config) {
                eprintln!("left out {name}: {reason}");
                continue;
            }
            assert_eq!(rendered(&name, &directory, &config), expected(&directory), "{name}");
            eprintln!("compared {name}");
            compared.push(name);
        }
    }
    for name in DEMANDED {
        assert!(compared.iter().any(|case| case == name), "{name} was not compared");
    }
}

fn rendered(name: &str, directory: &Path, config: &str) -> String {
    let node: NodeName = "localhost".parse().unwrap();
    let nodes = BTreeMap::from([(node.clone(), KnownNode::default())]);
    let imported = running_config(config, &"lab".parse().unwrap(), &nodes).unwrap();
    assert!(imported.remarks.is_empty(), "{name}: {:?}", imported.remarks);

    let files = imported.files.into_iter().map(|(path, text)| (path, Arc::from(text.as_str())));
    let (network, findings) = validate::check(&Tree::new(None, files), None, &[]);
    assert_eq!(findings.count(Severity::Error), 0, "{name}: {findings:#?}");
    for finding in findings.iter() {
        eprintln!("  {name}: {} {}", finding.code.id(), finding.message);
    }
    let interfaces = std::fs::read_to_string(directory.join("interfaces")).unwrap();
    let rendering =
        render(&network.unwrap(), &node, &facts(node.clone(), &interfaces), Profile::Pve);
    String::from_utf8(rendering.bytes(&Managed::Interfaces, imported.version).unwrap()).unwrap()
}

fn expected(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("expected_sdn_interfaces")).unwrap()
}

/// Why this version does not render a configuration.
fn beyond(config: &str) -> Option<String> {
    let config: Value = serde_json::from_str(config).unwrap();
    let ids = |kind: &str| config[kind]["ids"].as_object().cloned().unwrap_or_default();
    for kind in ["controllers", "fabrics"] {
        if !ids(kind).is_empty() {
            return Some(format!("it has {kind}"));
        }
    }
    ids("zones").values().find_map(|zone| match zone["type"].as_str() {
        Some("simple" | "vxlan") => None,
        other => Some(format!("it has a zone of type {}", other.unwrap_or("?"))),
    })
}

/// The facts that the reference's own tests pretend: the addresses of the file,
/// and every route, of both families, by `vmbr0` from its address.
fn facts(node: NodeName, interfaces: &str) -> Facts {
    let mut facts = Facts::unknown(node);
    let mut interface = None;
    for line in interfaces.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["iface", name, ..] => interface = Some(name.parse().unwrap()),
            ["address", address] => {
                let address: IpAddr = address.split('/').next().unwrap().parse().unwrap();
                let interface = interface.clone().expect("an address stands in a stanza");
                facts.addresses.push(InterfaceAddress { interface, address });
            }
            _ => {}
        }
    }
    let bridge = facts.addresses.iter().find(|own| own.interface.as_str() == "vmbr0").cloned();
    if let Some(InterfaceAddress { interface, address: source }) = bridge {
        facts.routes = ["0.0.0.0/0", "::/0"]
            .map(|destination| Route {
                destination: destination.parse().unwrap(),
                interface: interface.clone(),
                source,
                metric: 0,
            })
            .to_vec();
    }
    facts
}

pub(crate) fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("WEFT_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    named.into_iter().chain([beside]).find(|shared| shared.join("conformance").is_dir())
}

pub(crate) fn directories(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.join("expected_sdn_interfaces").is_file());
    found.sort();
    found
}

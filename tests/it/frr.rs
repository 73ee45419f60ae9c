//! FRR and dnsmasq as Proxmox's own renderer wrote them, byte for byte, from its running
//! configuration; and what always holds of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use weft::declare::import::{KnownNode, running_config};
use weft::declare::{Severity, Tree};
use weft::facts::{Facts, Frr, Interface, InterfaceAddress, Route};
use weft::network::Network;
use weft::render::frr::Conf;
use weft::render::{dnsmasq, frr};
use weft::validate;
use weft::value::NodeName;

use crate::conformance::{directories, shared};

/// The reference makes this text also where it would not write it: where there is neither a
/// controller nor a fabric nor a `frr.conf.local`.
const NOTHING: &str = "frr version 10.4.1\nfrr defaults datacenter\nhostname localhost\nlog syslog \
                       informational\nservice integrated-vtysh-config\n!\nline vty\n!\n";

/// Where the reference gives up on FRR, with what is said of it.
const GIVEN_UP: &[(&str, &str)] = &[(
    "extra/evpn_v6_underlay",
    "controller ctl: this node gets no frr.conf, because the hardware address of interface lo is zero",
)];

#[test]
fn frr_and_dnsmasq_are_rendered_as_the_reference_renders_them() {
    let Some(shared) = shared() else {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    };
    let (mut configurations, mut servers) = (0, 0);
    for group in ["evpn", "extra"] {
        for directory in directories(&shared.join("conformance").join(group)) {
            let name = format!("{group}/{}", directory.file_name().unwrap().to_str().unwrap());
            let Some(network) = network(&name, &directory) else { continue };
            let facts = facts(&directory);
            let rendered = frr::render(&network, &facts.node, &facts);
            for note in &rendered.notes {
                eprintln!("  {name}: {note}");
            }
            match std::fs::read_to_string(directory.join("expected_controller_config")) {
                Ok(expected) => {
                    let text = match rendered.conf {
                        Conf::Text(text) => text,
                        Conf::Unneeded => {
                            assert!(network.controllers.is_empty() && network.fabrics.is_empty());
                            NOTHING.to_owned()
                        }
                        Conf::Impossible => String::new(),
                    };
                    assert_eq!(text, expected, "{name}");
                    configurations += 1;
                }
                Err(_) => {
                    let said = GIVEN_UP.iter().find(|(case, _)| *case == name);
                    let (_, said) = said.unwrap_or_else(|| panic!("{name} says nothing of FRR"));
                    assert_eq!(rendered.conf, Conf::Impossible, "{name}");
                    let notes: Vec<_> = rendered.notes.iter().map(ToString::to_string).collect();
                    assert_eq!(notes, [*said], "{name}");
                }
            }
            if let Ok(text) = std::fs::read_to_string(directory.join("expected_dhcp.json")) {
                let expected: Value = serde_json::from_str(&text).unwrap();
                let files = dnsmasq::render(&network, &facts.node).files;
                let files: BTreeMap<String, String> =
                    files.into_iter().map(|(file, text)| (file.path().to_string(), text)).collect();
                let expected: BTreeMap<String, String> =
                    serde_json::from_value(expected["dhcp"]["files"].clone()).unwrap();
                assert_eq!(files, expected, "{name}");
                servers += 1;
            }
            eprintln!("compared {name}");
        }
    }
    assert!(configurations >= 57 && servers >= 26, "{configurations} and {servers} compared");
}

/// The network of a case; `None` where there are findings instead of what the reference gave up on.
fn network(name: &str, directory: &Path) -> Option<Network> {
    let config = std::fs::read_to_string(directory.join("sdn/.running-config")).unwrap();
    let nodes = BTreeMap::from([("localhost".parse().unwrap(), KnownNode::default())]);
    let imported = running_config(&config, &"lab".parse().unwrap(), &nodes).unwrap();
    assert!(imported.remarks.is_empty(), "{name}: {:?}", imported.remarks);
    let files = imported.files.into_iter().map(|(path, text)| (path, Arc::from(text.as_str())));
    let (network, findings) = validate::check(&Tree::new(None, files), None, &[]);
    if network.is_none() && directory.join("reference_said").exists() {
        eprintln!("left out {name}: it has findings");
        return None;
    }
    assert_eq!(findings.count(Severity::Error), 0, "{name}: {findings:#?}");
    network
}

/// The facts that the reference's own tests pretend: every route leads by `vmbr0`, from its
/// address where it has one, and every interface has the same hardware address.
///
/// The reference takes no address from `inet6` stanzas; one of these is found by the route to
/// itself, which leads by `lo`.
fn facts(directory: &Path) -> Facts {
    let node: NodeName = "localhost".parse().unwrap();
    let mut facts = Facts::unknown(node);
    facts.frr = Some(Frr {
        daemons: Some("bgpd=no\n".to_owned()),
        local: std::fs::read_to_string(directory.join("frr.conf.local")).ok(),
        version: None,
    });
    let route = |destination: &str, interface: &str, source| Route {
        destination: destination.parse().unwrap(),
        interface: interface.parse().unwrap(),
        source,
        metric: 0,
    };
    let interfaces = std::fs::read_to_string(directory.join("interfaces")).unwrap();
    let mut stanza = None;
    for line in interfaces.lines() {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["iface", name, family, ..] => stanza = Some((name.to_owned(), family.to_owned())),
            ["address", address] => {
                let (interface, family) = stanza.expect("an address stands in a stanza");
                let address: IpAddr = address.split('/').next().unwrap().parse().unwrap();
                if family == "inet6" {
                    facts.routes.push(route(&format!("{address}/128"), "lo", address));
                } else {
                    let interface = interface.parse().unwrap();
                    facts.addresses.push(InterfaceAddress { interface, address });
                }
            }
            _ => {}
        }
    }
    let bridge = facts.addresses.iter().find(|own| own.interface.as_str() == "vmbr0");
    let source = bridge.map_or(IpAddr::from([0, 0, 0, 0]), |own| own.address);
    facts.routes.extend(["0.0.0.0/0", "::/0"].map(|all| route(all, "vmbr0", source)));
    let macs = [("lo", "00:00:00:00:00:00"), ("vmbr0", "bc:24:11:1d:69:60")];
    facts.interfaces = macs
        .map(|(name, mac)| Interface {
            name: name.parse().unwrap(),
            altnames: Vec::new(),
            mac: Some(mac.parse().unwrap()),
            master: None,
            mtu: 1500,
        })
        .to_vec();
    facts
}

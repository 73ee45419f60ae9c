//! FRR and dnsmasq as Proxmox's own renderer wrote them, byte for byte, from its running
//! configuration; and what always holds of them.

use std::collections::{BTreeMap, BTreeSet};
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

#[test]
fn frr_and_dnsmasq_are_rendered_as_the_reference_renders_them() {
    let Some(shared) = shared() else {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    };
    let (mut compared, mut wrong) = (0, Vec::new());
    for group in ["evpn", "extra"] {
        for directory in directories(&shared.join("conformance").join(group)) {
            let name = format!("{group}/{}", directory.file_name().unwrap().to_str().unwrap());
            let Some(network) = network(&name, &directory) else { continue };
            let facts = facts(&directory);
            wrong.extend(frr_differs(&name, &directory, &network, &facts));
            wrong.extend(dnsmasq_differs(&name, &directory, &network, &facts.node));
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 59, "only {compared} were compared");
}

fn frr_differs(name: &str, directory: &Path, network: &Network, facts: &Facts) -> Option<String> {
    let rendered = frr::render(network, &facts.node, facts);
    let expected = std::fs::read_to_string(directory.join("expected_controller_config"));
    match (rendered.conf, expected) {
        (Conf::Text(text), Ok(expected)) => first_difference(name, &text, &expected),
        (Conf::Unneeded, Ok(expected)) => {
            assert!(network.controllers.is_empty() && network.fabrics.is_empty(), "{name}");
            first_difference(name, NOTHING, &expected)
        }
        (Conf::Impossible, Err(_)) => {
            let notes: Vec<_> = rendered.notes.iter().map(ToString::to_string).collect();
            assert!(
                notes.iter().any(|note| note.contains("gets no frr.conf")),
                "{name}: {notes:?}"
            );
            None
        }
        (Conf::Impossible, Ok(_)) => Some(format!("{name}: {:?}", rendered.notes)),
        (_, Err(_)) => Some(format!("{name}: the reference gives up, and weft does not")),
    }
}

fn dnsmasq_differs(
    name: &str,
    directory: &Path,
    network: &Network,
    node: &NodeName,
) -> Option<String> {
    let text = std::fs::read_to_string(directory.join("expected_dhcp.json")).ok()?;
    let expected: Value = serde_json::from_str(&text).unwrap();
    let expected: BTreeMap<String, String> =
        serde_json::from_value(expected["dhcp"]["files"].clone()).unwrap();
    let files = dnsmasq::render(network, node).files;
    let files: BTreeMap<String, String> =
        files.into_iter().map(|(file, text)| (file.path().to_string(), text)).collect();
    let whole = |files: BTreeMap<String, String>| {
        files.into_iter().flat_map(|(path, text)| [path, text]).collect::<Vec<_>>().join("\n")
    };
    first_difference(name, &whole(files), &whole(expected))
}

/// The first line that is not as it should be.
fn first_difference(name: &str, text: &str, expected: &str) -> Option<String> {
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (text, expected) = (lines(text), lines(expected));
    let length = text.len().max(expected.len());
    let line = (0..length).find(|line| text.get(*line) != expected.get(*line))?;
    let (is, should) = (text.get(line), expected.get(line));
    Some(format!("{name}:{}: {is:?} instead of {should:?}", line + 1))
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
    let mac = |name: &str| if name == "lo" { "00:00:00:00:00:00" } else { "bc:24:11:1d:69:60" };
    let names = ["lo", "vmbr0"].into_iter().map(str::to_owned);
    let names: BTreeSet<String> =
        names.chain(facts.addresses.iter().map(|own| own.interface.to_string())).collect();
    let interfaces = names.iter().map(|name| Interface {
        name: name.parse().unwrap(),
        altnames: Vec::new(),
        mac: Some(mac(name).parse().unwrap()),
        master: None,
        mtu: 1500,
    });
    facts.interfaces = interfaces.collect();
    facts
}

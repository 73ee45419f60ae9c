//! FRR and dnsmasq as Proxmox's own renderer wrote them, byte for byte, from its running
//! configuration; and what always holds of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;
use weft::declare::import::{KnownNode, running_config};
use weft::declare::{Severity, Tree};
use weft::facts::{Facts, Frr, Interface, InterfaceAddress, Route};
use weft::network::{
    BgpController, Controller, EvpnController, EvpnZone, Fabric, FabricInterface, FabricNode,
    FabricProtocol, IsisController, Naming, Network, Nodes, Peers, Subnet, Traffic, Vnet, Zone,
    ZoneKind,
};
use weft::render::frr::Conf;
use weft::render::{dnsmasq, frr};
use weft::validate;
use weft::value::{Asn, Cidr, IfName, NodeName, Number as _, Tag};

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

/// The first words of every line that weft itself makes.
const WORDS: &[&str] = &[
    "!",
    "access-list",
    "address-family",
    "advertise",
    "advertise-all-vni",
    "autort",
    "bgp",
    "coalesce-time",
    "default-originate",
    "exit",
    "exit-address-family",
    "exit-vrf",
    "frr",
    "hostname",
    "import",
    "interface",
    "ip",
    "ipv6",
    "line",
    "log",
    "log-adjacency-changes",
    "match",
    "neighbor",
    "net",
    "network",
    "no",
    "openfabric",
    "ospf",
    "redistribute",
    "route-map",
    "route-target",
    "router",
    "service",
    "set",
    "vni",
    "vrf",
];

/// Texts that are legal for a type, chosen for the trouble that they could make.
fn word<T>(texts: &'static [&'static str]) -> impl Strategy<Value = T>
where
    T: std::str::FromStr<Err: std::fmt::Debug> + Clone + std::fmt::Debug + 'static,
{
    prop::sample::select(texts).prop_map(|text| text.parse().unwrap())
}

fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    vec(word(&["10.0.0.1", "10.0.0.2", "fd00::1", "::ffff:1.2.3.4", "0.0.0.0"]), 0..5)
}

fn interface() -> impl Strategy<Value = IfName> {
    word(&["lo", "vmbr0", "exit", "no", "eth0:1", "a@b", "9-.", "default"])
}

fn controller() -> impl Strategy<Value = Controller> {
    let node = || word::<NodeName>(&["n1", "exit", "no-n2"]);
    let asn =
        || prop_oneof![0..3_u64, Just(4_294_967_295)].prop_map(|asn| Asn::checked(asn).unwrap());
    let peers = prop_oneof![
        addresses().prop_map(Peers::Addresses),
        word(&["fab", "1", "none"]).prop_map(Peers::Fabric),
    ];
    let evpn =
        (asn(), peers).prop_map(|(asn, peers)| Controller::Evpn(EvpnController { asn, peers }));
    let bgp = (
        node(),
        asn(),
        addresses(),
        any::<[bool; 2]>(),
        option::of(0..300_u32),
        option::of(interface()),
    )
        .prop_map(|(node, asn, peers, [ebgp, relax], ebgp_multihop, loopback)| {
            let multipath_as_path_relax = relax;
            Controller::Bgp(BgpController {
                node,
                asn,
                peers,
                ebgp,
                ebgp_multihop,
                loopback,
                multipath_as_path_relax,
            })
        });
    let isis =
        (node(), word(&["a/b", "9_", "exit"]), vec(interface(), 0..4), option::of(interface()))
            .prop_map(|(node, domain, interfaces, loopback)| {
                let net = "49.0001.1921.6800.1002.00".parse().unwrap();
                Controller::Isis(IsisController { node, domain, interfaces, net, loopback })
            });
    prop_oneof![evpn, bgp, isis]
}

fn zone() -> impl Strategy<Value = Zone> {
    let subnets = prop::collection::btree_map(
        word::<Cidr>(&["10.0.0.5/24", "10.0.0.5/8", "FD00::/64", "fd00::/64", "9.0.0.0/32"]),
        Just(Subnet::default()),
        0..4,
    );
    let vnet =
        subnets.prop_map(|subnets| Vnet { traffic: Traffic::Untagged(subnets), ..Vnet::default() });
    let vnets = prop::collection::btree_map(word(&["exit", "va", "no"]), vnet, 0..3);
    let evpn = (
        word(&["c1", "exit", "zz"]),
        1..16_777_216_u64,
        prop::collection::btree_set(word(&["n1", "no-n2", "n3"]), 0..3),
        option::of(word(&["n1", "no-n2"])),
        any::<[bool; 3]>(),
        vec(word(&["1:1", "4294967295:0"]), 0..3),
    );
    let evpn =
        evpn.prop_map(|(controller, vni, exit_nodes, exit_nodes_primary, flags, rt_import)| {
            ZoneKind::Evpn(EvpnZone {
                controller,
                vrf_vxlan: Tag::checked(vni).unwrap(),
                mac: None,
                exit_nodes,
                exit_nodes_primary,
                exit_nodes_local_routing: flags[0],
                advertise_subnets: flags[1],
                disable_arp_nd_suppression: flags[2],
                rt_import,
                port: None,
            })
        });
    (prop_oneof![3 => evpn, 1 => Just(ZoneKind::Simple)], vnets).prop_map(|(kind, vnets)| Zone {
        nodes: Nodes::All,
        mtu: None,
        ipam: None,
        naming: Naming::default(),
        dhcp: None,
        bridge_disable_mac_learning: false,
        kind,
        vnets,
    })
}

fn fabric() -> impl Strategy<Value = Fabric> {
    let member = (interface(), option::of(word(&["10.1.0.0/31"])), option::of(0..200_u32));
    let member = member.prop_map(|(name, ip, hello_multiplier)| FabricInterface {
        name,
        ip,
        ip6: None,
        hello_multiplier,
    });
    let node = (
        option::of(any::<std::net::Ipv4Addr>()),
        option::of(any::<std::net::Ipv6Addr>()),
        vec(member, 0..4),
    );
    let node = node.prop_map(|(ip, ip6, interfaces)| FabricNode { ip, ip6, interfaces });
    let nodes = prop::collection::btree_map(word(&["n1", "no-n2"]), node, 0..3);
    let openfabric = (
        option::of(word(&["10.9.0.7/16"])),
        option::of(word(&["FD00:9::/64"])),
        option::of(0..9_u32),
    );
    let openfabric = openfabric.prop_map(|(ip_prefix, ip6_prefix, interval)| {
        let (hello_interval, csnp_interval) = (interval, interval);
        FabricProtocol::Openfabric { ip_prefix, ip6_prefix, hello_interval, csnp_interval }
    });
    let ospf = word(&["0", "0.0.0.9"])
        .prop_map(|area| FabricProtocol::Ospf { ip_prefix: "10.8.0.0/16".parse().unwrap(), area });
    (prop_oneof![openfabric, ospf], nodes).prop_map(|(protocol, nodes)| Fabric { protocol, nodes })
}

prop_compose! {
    fn anything()(
        controllers in prop::collection::btree_map(word(&["c1", "exit", "zz", "no-1"]), controller(), 0..4),
        zones in prop::collection::btree_map(word(&["za", "exit", "no"]), zone(), 0..4),
        fabrics in prop::collection::btree_map(word(&["fab", "1", "a-b"]), fabric(), 0..3),
    ) -> Network {
        Network { controllers, zones, fabrics, ..Network::default() }
    }
}

/// Lines of a `frr.conf.local` that mean something, in no order that does, among any others.
fn local() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "router bgp 1",
        "router bgp 1 vrf vrf_za",
        "router isis a/b",
        "router ospf",
        "vrf vrf_za",
        "vrf x",
        "interface lo",
        " address-family l2vpn evpn",
        " address-family ipv4 multicast",
        " exit-address-family",
        "exit",
        "exit-vrf",
        "!",
        " neighbor x!",
        " neighbor x",
        "log x",
        "route-map MAP_VTEP_IN permit 9",
        "route-map x deny 1",
        "ip prefix-list a seq 5 permit any",
    ]);
    let line = prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>()];
    vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

fn with(local: Option<String>) -> Facts {
    let mut facts = Facts::unknown("n1".parse().unwrap());
    for address in ["10.0.0.1", "0.0.0.0"] {
        let interface = "vmbr0".parse().unwrap();
        facts.addresses.push(InterfaceAddress { interface, address: address.parse().unwrap() });
    }
    facts.routes.push(Route {
        destination: "0.0.0.0/0".parse().unwrap(),
        interface: "vmbr0".parse().unwrap(),
        source: "10.0.0.1".parse().unwrap(),
        metric: 0,
    });
    facts.frr = Some(Frr { local, ..Frr::default() });
    facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_word_becomes_another_line(network in anything()) {
        let facts = with(None);
        let rendered = frr::render(&network, &facts.node, &facts);
        prop_assert_eq!(&rendered, &frr::render(&network.clone(), &facts.node, &facts));
        if let Conf::Text(text) = rendered.conf {
            prop_assert!(text.ends_with("!\nline vty\n!\n"));
            for line in text.lines() {
                prop_assert!(!line.contains(char::is_control), "{:?}", line);
                let word = line.trim_start().split(' ').next().unwrap();
                prop_assert!(WORDS.contains(&word), "{:?}", line);
            }
        }
    }

    #[test]
    fn the_nodes_own_lines_are_merged_within_bounds(network in anything(), own in local()) {
        let (without, facts) = (with(Some(String::new())), with(Some(own.clone())));
        let bare = frr::render(&network, &facts.node, &without);
        let merged = frr::render(&network, &facts.node, &facts);
        prop_assert_eq!(&merged, &frr::render(&network, &facts.node, &facts));
        if let (Conf::Text(bare), Conf::Text(merged)) = (bare.conf, merged.conf) {
            // What is rendered is all there, and of the own lines there is none twice; an entry
            // may need one more digit, and each line a `!` behind it.
            let mut lines = merged.lines();
            for line in bare.lines() {
                prop_assert!(lines.any(|merged| merged == line), "{:?} of\n{}", line, merged);
            }
            prop_assert!(merged.len() <= bare.len() + 4 * own.len() + 4, "{}", merged);
            let tame = |c: char| !c.is_control() || c == '\t' || c == '\n';
            prop_assert!(merged.chars().all(tame));
        }
    }
}

//! What changes of the examples take away, interrupt and touch, by their renderings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use weft::declare::Tree;
use weft::facts::Facts;
use weft::plan::{Class, Found, Lapses, Owned, Plan, Protocol, Session, Sign, Target, Texts, plan};
use weft::render::{Managed, Profile, Rendering, render};
use weft::validate::check;

/// What lapses between files, whose interfaces are among them.
pub(crate) fn lapses_between(before: &Texts, after: &Texts) -> Lapses {
    let text = |texts: &Texts| {
        let bytes = texts.get(&Managed::Interfaces);
        String::from_utf8(bytes.cloned().unwrap_or_default()).unwrap()
    };
    Lapses::between(before, after, &Target::between(&[&text(before)], &text(after)))
}

/// The declarations of an example with some text replaced, each of which must be there.
fn rendering(example: &str, edits: &[(&str, &str)]) -> (Rendering, Facts) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut files = BTreeMap::from([("weft.yaml".to_owned(), read(&top.join("weft.yaml")))]);
    for entry in fs::read_dir(top.join("sdn")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        files.insert(format!("sdn/{name}"), read(&path));
    }
    for (from, to) in edits {
        let count = files.values().filter(|text| text.contains(from)).count();
        assert_eq!(count, 1, "{from}");
        for text in files.values_mut() {
            *text = text.replace(from, to);
        }
    }
    let facts: Facts = serde_json::from_str(&read(&top.join("facts/node1.json"))).unwrap();
    let files = files.into_iter().map(|(name, text)| (name.parse().unwrap(), text.into()));
    let tree = Tree::new(None, files);
    let (network, findings) = check(&tree, None, std::slice::from_ref(&facts));
    let network = network.unwrap_or_else(|| panic!("{findings:#?}"));
    let rendering = render(&network, &facts.node, &facts, Profile::Pve);
    assert_eq!(rendering.obstacle, None);
    (rendering, facts)
}

fn texts(rendering: &Rendering) -> Texts {
    let files = rendering.files.iter();
    files.map(|(managed, text)| (managed.clone(), text.clone().into_bytes())).collect()
}

/// What an edit of an example does on its first node: the lapses and the plan.
fn edit(example: &str, edits: &[(&str, &str)]) -> (Lapses, Plan) {
    let (before, _) = rendering(example, &[]);
    let (after, facts) = rendering(example, edits);
    let found = Found { files: texts(&before), ..Found::default() };
    let lapses = lapses_between(&found.files, &texts(&after));
    (lapses, plan(after, facts, &found, Some(&Owned::default()), 2))
}

pub(super) fn session(protocol: Protocol, peer: &str) -> Sign {
    Sign::Session(Session { protocol, vrf: "default".to_owned(), peer: peer.to_owned() })
}

#[test]
fn what_stays_lapses_in_nothing() {
    for example in ["evpn", "fabric", "vxlan", "simple", "vlan", "qinq", "ovs", "source-nat"] {
        let (lapses, plan) = edit(example, &[]);
        assert!(!lapses.underlay && lapses.renegotiations.is_empty(), "{example}");
        assert_eq!((plan.class, plan.reasons.as_slice()), (Class::Ordinary, &[][..]), "{example}");
        for sign in [
            session(Protocol::Bgp, "192.168.0.2"),
            session(Protocol::Bfd, "192.168.0.2"),
            Sign::Vni(11000),
            Sign::Bridge("myvnet1".to_owned()),
        ] {
            assert!(!lapses.removes(&sign) && !lapses.renegotiates(&sign), "{example}: {sign}");
        }
    }
}

#[test]
fn another_asn_drops_every_session_until_the_others_follow() {
    let edits = [
        ("    type: evpn\n    asn: 65000", "    type: evpn\n    asn: 65001"),
        (
            "bgpnode1: {type: bgp, node: node1, asn: 65000",
            "bgpnode1: {type: bgp, node: node1, asn: 65001",
        ),
        (
            "bgpnode2: {type: bgp, node: node2, asn: 65000",
            "bgpnode2: {type: bgp, node: node2, asn: 65001",
        ),
    ];
    let (lapses, plan) = edit("evpn", &edits);
    let reason = "router bgp: the ASN changes from 65000 to 65001; 3 sessions drop until the other side follows";
    assert_eq!(lapses.renegotiations, [reason]);
    for peer in ["192.168.0.2", "192.168.0.3", "172.16.1.254"] {
        for protocol in [Protocol::Bgp, Protocol::Bfd] {
            let sign = session(protocol, peer);
            assert!(lapses.renegotiates(&sign) && !lapses.removes(&sign), "{sign}");
        }
    }
    assert!(!lapses.renegotiates(&session(Protocol::Bgp, "192.168.0.9")));
    assert!(!lapses.underlay && !lapses.removes(&Sign::Vni(11000)));
    assert_eq!(plan.class, Class::Coordinated);
    assert!(plan.text().contains(&format!("coordinated change (coordinated window): {reason}\n")));
    assert_eq!(plan.json()["class"], "coordinated");
    assert_eq!(plan.json()["reasons"][0], reason);
}

#[test]
fn another_tag_cuts_guests_off_until_the_others_follow() {
    let follow = "cut off from other nodes until these follow";
    for (example, edits, reasons) in [
        (
            "vlan",
            [("    tag: 10\n", "    tag: 11\n")],
            vec![format!("VLAN: the tag changes from 10 to 11; 1 vnet is {follow}")],
        ),
        (
            "ovs",
            [("tag: 10}", "tag: 11}")],
            vec![format!("VLAN: the tag changes from 10 to 11; 1 vnet is {follow}")],
        ),
        (
            "qinq",
            [("    tag: 20\n", "    tag: 21\n")],
            vec![
                format!("VLAN: the tag changes from 20.100 to 21.100; 1 vnet is {follow}"),
                format!("VLAN: the tag changes from 20.200 to 21.200; 1 vnet is {follow}"),
            ],
        ),
        (
            "qinq",
            [("{zone: custa, tag: 100}", "{zone: custa, tag: 101}")],
            vec![format!("VLAN: the tag changes from 20.100 to 20.101; 1 vnet is {follow}")],
        ),
    ] {
        let (lapses, plan) = edit(example, &edits);
        assert_eq!(lapses.renegotiations, reasons, "{example}");
        assert_eq!(plan.class, Class::Coordinated, "{example}");
    }
    // One that comes or goes is no change of a tag.
    let more = (
        "    tag: 20\n",
        "    tag: 20\n  more: {zone: myvlan, tag: 30}\n  # \n  myvnet3:\n    zone: myvlan\n    tag: 40\n",
    );
    let (lapses, _) = edit("vlan", &[more]);
    assert!(lapses.renegotiations.is_empty(), "{:?}", lapses.renegotiations);
}

#[test]
fn a_tag_of_a_bridge_that_knows_none_is_followed_through_its_cable() {
    let text = |tag: u16| {
        let vlan = format!("eth0.{tag}");
        let text = format!(
            "auto ln_w\niface ln_w\n\tlink-type veth\n\tveth-peer-name pr_w\n\
             auto pr_w\niface pr_w\n\tlink-type veth\n\tveth-peer-name ln_w\n\
             auto vmbr0v{tag}\niface vmbr0v{tag}\n\tbridge_ports  {vlan} pr_w\n\
             auto w\niface w\n\tbridge_ports ln_w\n"
        );
        Texts::from([(Managed::Interfaces, text.into_bytes())])
    };
    let reasons = |from, to| lapses_between(&text(from), &text(to)).renegotiations;
    assert_eq!(
        reasons(5, 7),
        [
            "VLAN: the tag changes from 5 to 7; 1 vnet is cut off from other nodes until these follow"
        ]
    );
    assert!(reasons(5, 5).is_empty());
}

#[test]
fn a_neighbour_that_comes_or_goes_is_no_renegotiation() {
    let (lapses, plan) = edit(
        "evpn",
        &[(
            "  node3: {address: 192.168.0.3}",
            "  node3: {address: 192.168.0.3}\n  node4: {address: 192.168.0.4}",
        )],
    );
    assert!(lapses.renegotiations.is_empty());
    assert_eq!(plan.class, Class::Ordinary);
    for peer in ["192.168.0.2", "192.168.0.3"] {
        let sign = session(Protocol::Bgp, peer);
        assert!(!lapses.removes(&sign) && !lapses.renegotiates(&sign));
    }
    let (lapses, plan) = edit("evpn", &[("  node3: {address: 192.168.0.3}\n", "")]);
    assert_eq!(plan.class, Class::Ordinary);
    for protocol in [Protocol::Bgp, Protocol::Bfd] {
        assert!(lapses.removes(&session(protocol, "192.168.0.3")));
        assert!(!lapses.removes(&session(protocol, "192.168.0.2")));
    }
}

#[test]
fn what_goes_is_not_asked_for() {
    let (lapses, _) = edit(
        "evpn",
        &[(
            "  myvnet2:\n    zone: myevpn\n    tag: 12000\n    subnets:\n      10.0.2.0/24: {gateway: 10.0.2.1}\n",
            "",
        )],
    );
    let port =
        |bridge: &str| Sign::GuestPort { port: "tap1i0".to_owned(), bridge: bridge.to_owned() };
    for (gone, stays) in [
        (Sign::Vni(12000), Sign::Vni(11000)),
        (Sign::Bridge("myvnet2".to_owned()), Sign::Bridge("myvnet1".to_owned())),
        (port("myvnet2"), port("myvnet1")),
        (Sign::Vni(12000), Sign::Vni(10000)),
    ] {
        assert!(lapses.removes(&gone) && !lapses.removes(&stays), "{gone} {stays}");
    }
    assert!(!lapses.removes(&Sign::Probe("any".parse().unwrap())));
    // The controller of the routers outside.
    let (lapses, _) = edit(
        "evpn",
        &[(
            "  bgpnode1: {type: bgp, node: node1, asn: 65000, peers: [172.16.1.254], ebgp: true}\n",
            "",
        )],
    );
    assert!(lapses.removes(&session(Protocol::Bgp, "172.16.1.254")));
    assert!(!lapses.removes(&session(Protocol::Bgp, "192.168.0.2")));
    // All of FRR.
    let (before, _) = rendering("evpn", &[]);
    let lapses = lapses_between(&texts(&before), &Texts::new());
    assert!(
        lapses.removes(&session(Protocol::Bgp, "192.168.0.2")) && lapses.removes(&Sign::Vni(10000))
    );
    assert!(lapses.renegotiations.is_empty());
}

#[test]
fn tunnels_that_others_do_not_understand_are_coordinated() {
    let (lapses, plan) = edit("vxlan", &[("    tag: 100000", "    tag: 100001")]);
    let follow = "1 tunnel of vnets carry nothing until the other nodes follow";
    assert_eq!(
        lapses.renegotiations,
        [format!("VXLAN: the VXLAN id changes from 100000 to 100001; {follow}")]
    );
    assert_eq!(plan.class, Class::Coordinated);
    let (lapses, plan) =
        edit("vxlan", &[("    mtu: 1450\n", "    mtu: 1450\n    vxlan-port: 4790\n")]);
    assert_eq!(
        lapses.renegotiations,
        [format!("VXLAN: the UDP port changes from 4789 to 4790; {follow}")]
    );
    assert_eq!(plan.class, Class::Coordinated);
    // Of an EVPN zone the VNI of before is gone, and another one is there.
    let (lapses, _) = edit("evpn", &[("    tag: 11000", "    tag: 11001")]);
    assert!(lapses.removes(&Sign::Vni(11000)) && !lapses.removes(&Sign::Vni(12000)));
    assert!(lapses.renegotiations[0].contains("VXLAN id changes from 11000 to 11001"));
    let (lapses, plan) = edit(
        "vxlan",
        &[("external-peers: [192.168.0.9]", "external-peers: [192.168.0.9, 192.168.0.8]")],
    );
    assert!(lapses.renegotiations.is_empty());
    assert_eq!(plan.class, Class::Ordinary);
}

#[test]
fn fabrics_are_the_underlay() {
    // Another net: of the whole process.
    let (lapses, plan) =
        edit("fabric", &[("        ip: 172.20.0.1\n", "        ip: 172.20.0.11\n")]);
    assert!(lapses.underlay);
    for interface in ["ens19", "ens20"] {
        assert!(lapses.renegotiates(&session(Protocol::OpenFabric, interface)));
    }
    assert!(lapses.renegotiations.iter().any(|reason| reason.contains("OpenFabric")), "{lapses:?}");
    assert!(lapses.renegotiations.iter().any(|reason| reason.contains("router id")), "{lapses:?}");
    assert_eq!(plan.class, Class::Coordinated);
    // An interface that takes part no more.
    let (before, _) = rendering("fabric", &[]);
    let mut after = texts(&before);
    let text = before.files[&Managed::Frr].replace(
        " ip router openfabric mesh\n openfabric hello-interval 1\n",
        " openfabric hello-interval 1\n",
    );
    after.insert(Managed::Frr, text.into_bytes());
    let lapses = lapses_between(&texts(&before), &after);
    assert!(lapses.underlay && lapses.removes(&session(Protocol::OpenFabric, "ens19")));
    // Hellos at another pace.
    let (lapses, _) = edit("fabric", &[("    hello_interval: 1\n", "    hello_interval: 2\n")]);
    let said = "OpenFabric, `ens19`: `hello-interval` changes from 1 to 2; 1 session drops until the other side follows";
    assert_eq!(lapses.renegotiations[0], said);
    // A vnet is not the underlay.
    let (lapses, plan) = edit(
        "fabric",
        &[("      10.0.1.0/24: {gateway: 10.0.1.1}", "      10.0.1.0/24: {gateway: 10.0.1.2}")],
    );
    assert!(!lapses.underlay);
    assert_eq!(plan.class, Class::Ordinary);
}

/// Configurations as `frr.conf.local` can make them.
#[test]
fn what_both_sides_agree_on_is_told_by_its_words() {
    let config = |bgp: &str, rest: &str| -> Texts {
        let text = format!(
            "router bgp 65000\n bgp router-id 10.0.0.1\n neighbor G peer-group\n \
             neighbor G remote-as 65000\n neighbor G bfd\n neighbor 10.0.0.2 peer-group G\n \
             neighbor 10.0.0.3 peer-group G\n neighbor eth7 interface remote-as external\n{bgp}exit\n\
             interface eth0\n ip ospf area 0\n ip ospf hello-interval 1\nexit\n\
             interface eth1\n ip router isis one\nexit\n\
             router isis one\n net 49.0001.0100.0000.0001.00\nexit\nrouter ospf\n ospf router-id 10.0.0.1\nexit\n{rest}"
        );
        Texts::from([(Managed::Frr, text.into_bytes())])
    };
    let replaced = |from: &str, to: &str| -> Texts {
        let base = String::from_utf8(config("", "")[&Managed::Frr].clone()).unwrap();
        assert!(base.contains(from), "{from}");
        Texts::from([(Managed::Frr, base.replace(from, to).into_bytes())])
    };
    let drop = "until the other side follows";
    for (after, reasons) in [
        (
            config(" neighbor G password s3cret\n", ""),
            vec![format!("BGP, `G`: `password` changes; 2 sessions drop {drop}")],
        ),
        (
            config(" neighbor 10.0.0.3 update-source lo\n", ""),
            vec![format!("BGP, `10.0.0.3`: `update-source` changes to lo; 1 session drops {drop}")],
        ),
        (
            config(" neighbor G ebgp-multihop 2\n", ""),
            vec![format!("BGP, `G`: `ebgp-multihop` changes to 2; 2 sessions drop {drop}")],
        ),
        (
            replaced("neighbor G remote-as 65000", "neighbor G remote-as 65009"),
            vec![format!(
                "BGP, `G`: `remote-as` changes from 65000 to 65009; 2 sessions drop {drop}"
            )],
        ),
        (
            replaced("bgp router-id 10.0.0.1", "bgp router-id 10.0.0.9"),
            vec![format!(
                "router bgp: the router id changes from 10.0.0.1 to 10.0.0.9; 3 sessions drop {drop}"
            )],
        ),
        (
            replaced("area 0", "area 1"),
            vec![format!("OSPF, `eth0`: `area` changes from 0 to 1; 1 session drops {drop}")],
        ),
        (
            replaced("net 49.0001", "net 49.0009"),
            vec![format!(
                "IS-IS, `router isis one`: `net` changes from 49.0001.0100.0000.0001.00 to 49.0009.0100.0000.0001.00; 1 session drops {drop}"
            )],
        ),
        (
            replaced("ospf router-id 10.0.0.1", "ospf router-id 10.0.0.2"),
            vec![format!(
                "OSPF, `router ospf`: `router-id` changes from 10.0.0.1 to 10.0.0.2; 1 session drops {drop}"
            )],
        ),
        // What each side has for itself.
        (config(" neighbor 10.0.0.4 peer-group G\n", ""), vec![]),
        (
            config(
                " neighbor G description x\n address-family ipv4 unicast\n  neighbor G activate\n exit-address-family\n",
                "interface eth0\n ip ospf cost 7\nexit\n",
            ),
            vec![],
        ),
        (replaced("neighbor G bfd", "neighbor G bfd 3 300 300"), vec![]),
    ] {
        let lapses = lapses_between(&config("", ""), &after);
        assert_eq!(lapses.renegotiations, reasons);
    }
    let lapses =
        lapses_between(&config("", ""), &replaced("neighbor G bfd", "neighbor G bfd 3 300 300"));
    assert!(lapses.renegotiates(&session(Protocol::Bfd, "10.0.0.2")));
    assert!(!lapses.renegotiates(&session(Protocol::Bgp, "10.0.0.2")));
    let lapses = lapses_between(&config("", ""), &replaced(" neighbor G bfd\n", ""));
    assert!(lapses.removes(&session(Protocol::Bfd, "10.0.0.2")));
    assert!(!lapses.removes(&session(Protocol::Bgp, "10.0.0.2")));
    let lapses = lapses_between(
        &config("", ""),
        &replaced(" ip ospf hello-interval 1\n", " ip ospf passive\n"),
    );
    assert!(lapses.removes(&session(Protocol::Ospf, "eth0")));
    let lapses = lapses_between(
        &config(" neighbor G password s3cret\n", ""),
        &config(" neighbor G password other\n", ""),
    );
    assert!(!lapses.renegotiations.concat().contains("s3cret"));
}

#[test]
fn the_management_address_marks_what_touches_it() {
    // A fabric over the interface of the default route.
    let edits = [(
        "        ip: 172.20.0.1\n        interfaces: [{name: ens19}, {name: ens20}]",
        "        ip: 172.20.0.1\n        interfaces: [{name: ens19}, {name: ens20}, {name: vmbr0}]",
    )];
    let (lapses, plan) = edit("fabric", &edits);
    assert!(lapses.renegotiations.is_empty() && lapses.underlay);
    assert_eq!(plan.class, Class::Management);
    assert_eq!(plan.reasons, ["`vmbr0` is new, by which the default route leads"]);
    assert!(plan.text().contains("the way to the node (long window): `vmbr0` is new"));
    // A subnet that has the management address in it.
    let edits = [(
        "      10.0.1.0/24: {gateway: 10.0.1.1}",
        "      192.168.0.0/23: {gateway: 192.168.1.1}",
    )];
    let (_, plan) = edit("simple", &edits);
    assert_eq!(plan.class, Class::Management);
    assert_eq!(
        plan.reasons,
        ["`routed` changes, and its prefix 192.168.0.0/23 is that of the way to the node"]
    );
}

//! EVPN zones: the example of the manual on three nodes, with a router and a host outside.

use std::time::Duration;

use crate::guest::Guest;
use crate::kernel::{json, kernel};
use crate::lab::{BEYOND, Lab};
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[
    Case::in_boot("routed", "evpn_example", evpn_example),
    Case::in_boot("routed", "evpn_zone_goes", zone_goes),
    Case::in_boot("routed", "evpn_made_anew", made_anew),
];

const NODES: &str = include_str!("../../../examples/evpn/sdn/nodes.yaml");
const EVPN: &str = include_str!("../../../examples/evpn/sdn/evpn.yaml");
const UPLINKS: &str = include_str!("../../../examples/evpn/sdn/uplinks.yaml");

/// A zone more, which no node leads out of.
const ANOTHER: &str = "\
zones:
  inner:
    type: evpn
    controller: evpnctl
    vrf-vxlan: 20000
    mtu: 1450
    mac: \"32:F4:05:FE:6C:0B\"
vnets:
  myvnet3:
    zone: inner
    tag: 13000
    subnets:
      10.0.3.0/24: {gateway: 10.0.3.1}
";

/// Time for sessions to come up and routes to be told.
const PATIENCE: Duration = Duration::from_secs(60);
/// The anycast gateway's MAC.
const GATEWAY_MAC: &str = "32:f4:05:fe:6c:0a";
/// An address of the router outside, which it announces.
const BEHIND_ROUTER: &str = "203.0.113.1";

/// Guests of two vnets on three nodes reach each other within a vnet and across, and the
/// outside by way of the exit nodes, which tell a router what they lead to.
fn evpn_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let router = router(lab);
    let nodes = [1, 2, 3].map(|number| scene.node_with(number, |node| uplink(node, number)));
    for (node, end) in [(&nodes[0], "eth1"), (&nodes[1], "eth2")] {
        lab.cable([(node, "eth1"), (&router, end)], 1500);
    }
    for machine in [&router, &nodes[0], &nodes[1]] {
        machine.boot_network();
    }
    start_frr(&router);
    let bare = nodes.each_ref().map(kernel);
    let files = [
        ("sdn/nodes.yaml", NODES),
        ("sdn/network.yaml", EVPN),
        ("sdn/uplinks.yaml", UPLINKS),
        ("sdn/another.yaml", ANOTHER),
    ];
    scene.push_files(&files);
    for node in &nodes {
        scene.sync(node);
    }
    // The host outside has routes back, by both exit nodes.
    for subnet in ["10.0.1.0/24", "10.0.2.0/24"] {
        let words = ["ip", "route", "add", subnet, "nexthop", "via", "192.168.0.1"];
        let words = [&words[..], &["nexthop", "via", "192.168.0.2"]].concat();
        lab.outside().exec(&words).ok();
    }
    let guest = |number: u32, node: usize, vnet: u32| {
        let plan = Guest::plan(number).address(&format!("10.0.{vnet}.{number}/24"));
        let plan = plan.gateway(&format!("10.0.{vnet}.1")).mtu(1450);
        plan.start(lab, &nodes[node], &format!("myvnet{vnet}"))
    };
    let (one, two) = (guest(11, 0, 1), guest(12, 1, 1));
    let across = guest(23, 2, 2);
    let lonely = [guest(31, 0, 3), guest(33, 2, 3)];

    // Within a vnet, across vnets, and to the gateway, which is the same everywhere.
    wait_until(PATIENCE, "the tunnels are up", || one.ping("10.0.1.12", &[]).success());
    one.reaches_whole("10.0.1.12", 1450);
    wait_until(PATIENCE, "the routes are told", || one.ping("10.0.2.23", &[]).success());
    one.reaches_whole("10.0.2.23", 1450);
    across.reaches_whole("10.0.1.12", 1450);
    for (guest, gateway) in [(&one, "10.0.1.1"), (&two, "10.0.1.1"), (&across, "10.0.2.1")] {
        guest.reaches(gateway);
        let known = guest.exec(&["ip", "neigh", "show", gateway]).ok();
        assert!(known.contains(GATEWAY_MAC), "{known}");
    }
    reach_by_ipv6(&one, &two);

    // Out and back: to a host that has routes, and to a router that learnt them.
    let beyond = BEYOND.to_string();
    for guest in [&one, &two, &across] {
        guest.reaches_whole(&beyond, 1450);
    }
    for subnet in ["10.0.1.0/24", "10.0.2.0/24"] {
        let learnt = || router.exec(&["ip", "route", "show", subnet]).ok().contains("proto bgp");
        wait_until(PATIENCE, &format!("the router learns {subnet}"), learnt);
    }
    across.reaches_whole(BEHIND_ROUTER, 1450);
    // Which of its two links the router uses is left to which session came first; the
    // answer finds what it announced by either.
    let outside = lab.outside();
    for (machine, from, address) in [
        (outside, &*beyond, "10.0.2.23"),
        (&*router, BEHIND_ROUTER, "10.0.2.23"),
        (&*router, BEHIND_ROUTER, "10.0.1.12"),
    ] {
        let ping = ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1422", "-I", from];
        let ping = [&ping[..], &[address]].concat();
        wait_until(PATIENCE, &format!("{} reaches {address}", machine.name()), || {
            machine.exec(&ping).success()
        });
    }

    // The other zone: within itself, and nowhere else.
    lonely[0].reaches_whole("10.0.3.33", 1450);
    for address in ["10.0.1.11", "10.0.1.12", "10.0.2.23", &beyond] {
        lonely[0].does_not_reach(address);
    }
    across.does_not_reach("10.0.3.33");
    let learnt = router.exec(&["ip", "route", "show", "10.0.3.0/24"]).ok();
    assert_eq!(learnt, "", "the router knows a zone without exit nodes");

    // Nothing is left to do, whatever was learnt meanwhile.
    for node in &nodes {
        let plan = node.exec(&["weft", "plan"]);
        assert_eq!(plan.code(), 0, "{}{}", plan.stdout, plan.stderr);
    }

    // Without the preferred exit node the other one leads out.
    lab.here().exec(&["ip", "link", "set", "u_node1", "down"]).ok();
    for subnet in ["10.0.1.0/24", "10.0.2.0/24"] {
        lab.outside().exec(&["ip", "route", "replace", subnet, "via", "192.168.0.2"]).ok();
    }
    wait_until(PATIENCE, "node2 leads out", || across.ping(&beyond, &[]).success());
    across.reaches_whole("10.0.1.12", 1450);
    lab.here().exec(&["ip", "link", "set", "u_node1", "up"]).ok();
    wait_until(PATIENCE, "node1 is back", || one.ping("10.0.1.12", &[]).success());

    // A smaller zone, and at last none.
    scene.copy.write("sdn/network.yaml", &EVPN.replace("mtu: 1450", "mtu: 1400"));
    scene.push_files(&[]);
    for node in &nodes {
        scene.sync(node);
        assert_eq!(node.read("/sys/class/net/myvnet1/mtu").trim(), "1400");
        assert_eq!(node.read("/sys/class/net/vrfvx_myevpn/mtu").trim(), "1400");
    }
    wait_until(PATIENCE, "the routes are back", || one.ping("10.0.2.23", &[]).success());
    one.reaches_whole("10.0.2.23", 1400);
    one.reaches_whole("10.0.1.12", 1400);

    drop((one, two, across, lonely));
    for file in ["sdn/uplinks.yaml", "sdn/another.yaml"] {
        scene.copy.remove(file);
    }
    scene.take_away(&nodes, &bare);
}

/// Two guests of the vnet that has IPv6 reach each other and the gateway.
fn reach_by_ipv6(one: &Guest, two: &Guest) {
    for (guest, last) in [(one, "11"), (two, "12")] {
        let address = format!("2001:db8:1::{last}/64");
        guest.exec(&["ip", "addr", "add", &address, "dev", "eth0", "nodad"]).ok();
        guest.reaches("2001:db8:1::1");
    }
    one.reaches_whole("2001:db8:1::12", 1450);
}

/// A router outside, which takes what it is told and announces one prefix.
fn router(lab: &Lab) -> Node {
    let router = lab.node(253);
    let own = router.read("/etc/network/interfaces").replace(
        "iface lo inet loopback\n",
        &format!("iface lo inet loopback\n\taddress {BEHIND_ROUTER}/24\n"),
    );
    let links = [1, 2].map(|n| link(&format!("eth{n}"), &format!("172.16.{n}.254"))).concat();
    router.put("/etc/network/interfaces", own + &links);
    let neighbors: String = [1, 2]
        .map(|node| {
            format!(" neighbor 172.16.{node}.1 remote-as 65000\n neighbor 172.16.{node}.1 bfd\n")
        })
        .concat();
    router.put(
        "/etc/frr/frr.conf",
        format!(
            "frr defaults traditional\nhostname router\n!\nrouter bgp 65100\n \
             no bgp ebgp-requires-policy\n no bgp network import-check\n{neighbors} !\n \
             address-family ipv4 unicast\n  network 203.0.113.0/24\n exit-address-family\nexit\n!\n"
        ),
    );
    let daemons = router.read("/etc/frr/daemons");
    let daemons = daemons.replace("bgpd=no", "bgpd=yes").replace("bfdd=no", "bfdd=yes");
    router.put("/etc/frr/daemons", daemons);
    router
}

fn start_frr(router: &Node) {
    router.command(&["/usr/lib/frr/frrinit.sh", "start"]).within(PATIENCE).run().ok();
}

/// An exit node has a cable to the router, with an address that the administrator gave it.
/// ifupdown2 turns forwarding on for bridges, and elsewhere where it is told to.
fn uplink(node: &Node, number: u8) {
    if number < 3 {
        let own = node.read("/etc/network/interfaces");
        let link = link("eth1", &format!("172.16.{number}.1"));
        node.put("/etc/network/interfaces", own + &link);
    }
}

fn link(name: &str, address: &str) -> String {
    format!("\nauto {name}\niface {name} inet static\n\taddress {address}/24\n\tip-forward on\n")
}

/// Two zones, as the beginning of a network.
pub(super) const TWO_ZONES: &str = "\
controllers:
  evpnctl: {type: evpn, asn: 65000}
zones:
  one: {type: evpn, controller: evpnctl, vrf-vxlan: 10000, mac: \"32:F4:05:FE:6C:0A\"}
  two: {type: evpn, controller: evpnctl, vrf-vxlan: 20000, mac: \"32:F4:05:FE:6C:0A\"}
";

const ONE_MOVES: &str = "\
vnets:
  stays: {zone: two, tag: 13000, subnets: {10.0.3.0/24: {gateway: 10.0.3.1}}}
  moved: {zone: one, tag: 11000, subnets: {10.0.1.0/24: {gateway: 10.0.1.1}}}
";

/// The VNIs that zebra has.
fn vnis(node: &Node) -> Vec<String> {
    let said = json(&node.exec(&["vtysh", "-c", "show evpn vni json"]).ok());
    said.as_object().into_iter().flatten().map(|(vni, _)| vni.clone()).collect()
}

/// The last vnet leaves a zone, and then the zone goes: FRR has what is left, in the same
/// processes, and does not point at interfaces that went.
fn zone_goes(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(&["native"]);
    let node = scene.node(1);
    let network = format!("{TWO_ZONES}{ONE_MOVES}");
    scene.apply(&node, &network);
    assert_eq!(vnis(&node), ["10000", "11000", "13000", "20000"]);
    let zebra = node.read("/run/frr/zebra.pid");
    let moved = network.replace("{zone: one,", "{zone: two,");
    let gone: Vec<&str> = moved.lines().filter(|line| !line.starts_with("  one:")).collect();
    for network in [&moved, &gone.join("\n")] {
        scene.apply(&node, network);
        assert!(!node.exists("/sys/class/net/vrfbr_one"));
        let said = node.exec(&["vtysh", "-c", "show vrf vni"]).ok();
        let one = said.lines().find(|line| line.starts_with("vrf_one "));
        let words: Option<Vec<&str>> = one.map(|line| line.split_whitespace().collect());
        assert!(
            words.is_none_or(|words| words[1..5] == ["10000", "None", "None", "Down"]),
            "{said}"
        );
    }
    assert_eq!(vnis(&node), ["11000", "13000", "20000"]);
    assert_eq!(node.read("/run/frr/zebra.pid"), zebra, "zebra was started anew");
    let process = format!("/proc/{}/comm", zebra.trim());
    assert_eq!(node.read(&process).trim(), "zebra");
    let bgp = node.exec(&["vtysh", "-c", "show running-config bgpd"]).ok();
    assert!(!bgp.contains("vrf vrf_one\n bgp"), "{bgp}");
    assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
}

/// Interfaces of a VRF's VNI are made anew while FRR's file says the same, or another VNI: FRR
/// gives the VNI up first and has it with the new ones, in the same processes.
fn made_anew(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(&["native"]);
    let node = scene.node(1);
    let network = format!("{TWO_ZONES}{ONE_MOVES}");
    scene.apply(&node, &network);
    let zebra = node.read("/run/frr/zebra.pid");
    let is_up = |vni: &str| {
        let said = node.exec(&["vtysh", "-c", "show vrf vni"]).ok();
        let mut vrfs = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        vrfs.any(|words| words.starts_with(&["vrf_one", vni, "vrfvx_one", "vrfbr_one", "Up"]))
    };
    wait_until(PATIENCE, "the VNI is up", || is_up("10000"));
    let damages: [&[&[&str]]; 3] = [
        &[&["ip", "link", "del", "vrfbr_one"]],
        &[&["ip", "link", "del", "vrfvx_one"]],
        &[
            &["ip", "link", "del", "vrfbr_one"],
            &["ip", "link", "add", "vrfbr_one", "type", "dummy"],
        ],
    ];
    for (number, damage) in damages.iter().enumerate() {
        for words in *damage {
            node.exec(words).ok();
        }
        let plan = node.exec(&["weft", "plan"]);
        let first = plan.stdout.find("let FRR give up the VNI of vrf_one");
        let last = plan.stdout.find("reload FRR");
        assert!(first.is_some() && first < last, "{}", plan.stdout);
        // Something else is changed, of which FRR's file says nothing.
        let alias = format!("tag: 11000, alias: a{number}");
        scene.apply(&node, &network.replace("tag: 11000", &alias));
        wait_until(PATIENCE, &format!("the VNI is up after {damage:?}"), || is_up("10000"));
        assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
    }
    scene.apply(&node, &network.replace("vrf-vxlan: 10000", "vrf-vxlan: 10001"));
    wait_until(PATIENCE, "the other VNI is up", || is_up("10001"));
    assert_eq!(vnis(&node), ["10001", "11000", "13000", "20000"]);
    assert_eq!(node.read("/run/frr/zebra.pid"), zebra, "zebra was started anew");
    let process = format!("/proc/{}/comm", zebra.trim());
    assert_eq!(node.read(&process).trim(), "zebra");
    assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
}

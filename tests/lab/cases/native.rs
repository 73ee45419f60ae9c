//! What the native engine does in place, on kernels that have VRFs and Open vSwitch.

use super::evpn::TWO_ZONES;
use crate::guest::Guest;
use crate::kernel::json;
use crate::lab::Lab;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;

pub(super) const CASES: &[Case] = &[
    Case::in_boot("routed", "native_moves_between_vrfs", moves_between_vrfs),
    Case::in_boot("switched", "native_open_vswitch", open_vswitch),
];

const NATIVE: &[&str] = &["native"];

/// What comes after two zones of EVPN.
const ONE_MOVES: &str = "  plain: {type: simple}
vnets:
  first: {zone: one, tag: 12000, subnets: {10.0.2.0/24: {gateway: 10.0.2.1}}}
  second: {zone: two, tag: 13000, subnets: {10.0.3.0/24: {gateway: 10.0.3.1}}}
  moved:
    zone: one
    tag: 11000
    subnets:
      10.0.1.0/24: {gateway: 10.0.1.1}
      \"2001:db8:1::/64\": {gateway: \"2001:db8:1::1\"}
";

/// A vnet with a guest gets into another zone, out of VRFs altogether, and back: it is the same
/// bridge, and has its gateways.
fn moves_between_vrfs(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(NATIVE);
    let node = scene.node(1);
    let network = format!("{TWO_ZONES}{ONE_MOVES}");
    scene.apply(&node, &network);
    let index = node.read("/sys/class/net/moved/ifindex");
    let plan = Guest::plan(11).address("10.0.1.11/24").gateway("10.0.1.1").mtu(1450);
    let guest = plan.start(lab, &node, "moved");
    guest.reaches("10.0.1.1");
    let moved = |zone: &str| {
        let text = network.replacen("    zone: one\n", &format!("    zone: {zone}\n"), 1);
        if zone == "plain" { text.replace("    tag: 11000\n", "") } else { text }
    };
    for (zone, master) in [("two", Some("vrf_two")), ("plain", None), ("one", Some("vrf_one"))] {
        scene.apply(&node, &moved(zone));
        assert_eq!(node.master("moved").as_deref(), master);
        assert_eq!(node.read("/sys/class/net/moved/ifindex"), index, "it was made anew");
        assert_eq!(node.master(&guest.port()).as_deref(), Some("moved"));
        let addresses = node.exec(&["ip", "addr", "show", "moved"]).ok();
        assert_eq!(addresses.contains("32:f4:05:fe:6c:0a"), master.is_some(), "{addresses}");
        assert!(addresses.contains("10.0.1.1/24"), "{addresses}");
        assert!(addresses.contains("2001:db8:1::1/64"), "{addresses}");
        // It knows the gateway by the MAC address of before.
        guest.exec(&["ip", "neigh", "flush", "all"]).ok();
        guest.reaches("10.0.1.1");
        assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
    }
}

const ON_OVS: &str = "\
zones:
  switched: {type: vlan, bridge: vmbr1}
vnets:
  va: {zone: switched, tag: 10}
  vb: {zone: switched, tag: 20}
";

/// Starts Open vSwitch with a bridge that has a station in VLAN 10, and says so in the
/// administrator's file.
fn with_switch(node: &Node) {
    let own = node.read("/etc/network/interfaces");
    node.put(
        "/etc/network/interfaces",
        own + "\nauto vmbr1\niface vmbr1 inet manual\n\tovs_type OVSBridge\n",
    );
    node.exec(&["mkdir", "-p", "/run/openvswitch", "/etc/openvswitch"]).ok();
    let scheme = "/usr/share/openvswitch/vswitch.ovsschema";
    node.exec(&["ovsdb-tool", "create", "/run/openvswitch/lab.db", scheme]).ok();
    let words = ["ovsdb-server", "/run/openvswitch/lab.db", "--detach", "--pidfile"];
    let socket = "--remote=punix:/run/openvswitch/db.sock";
    node.exec(&[&words[..], &["--no-chdir", socket]].concat()).ok();
    node.exec(&["ovs-vsctl", "--no-wait", "init"]).ok();
    node.exec(&["ovs-vswitchd", "--detach", "--pidfile", "--no-chdir"]).ok();
    node.exec(&["ovs-vsctl", "--timeout=8", "add-br", "vmbr1"]).ok();
    let station = ["ovs-vsctl", "--timeout=8", "add-port", "vmbr1", "station", "tag=10"];
    let internal = ["--", "set", "interface", "station", "type=internal"];
    node.exec(&[&station[..], &internal].concat()).ok();
    node.exec(&["ip", "addr", "add", "10.9.0.99/24", "dev", "station"]).ok();
    node.exec(&["ip", "link", "set", "station", "up"]).ok();
}

/// Ports of a real Open vSwitch are made, tagged, changed in place and taken away, and keep the
/// MTU that they get.
fn open_vswitch(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(NATIVE);
    let node = scene.node_with(1, with_switch);
    let ports = || node.exec(&["ovs-vsctl", "list-ports", "vmbr1"]).ok();
    let tag = || node.exec(&["ovs-vsctl", "get", "port", "ln_va", "tag"]).ok().trim().to_owned();
    let mtu = || node.read("/sys/class/net/ln_va/mtu").trim().to_owned();
    let bare = ports();
    scene.apply(&node, ON_OVS);
    assert_eq!((tag().as_str(), mtu().as_str()), ("10", "1500"));
    assert_eq!(node.master("ln_va").as_deref(), Some("va"));
    let guest = Guest::plan(11).address("10.9.0.11/24").start(lab, &node, "va");
    let other = Guest::plan(21).address("10.9.0.21/24").start(lab, &node, "vb");
    guest.reaches("10.9.0.99");
    other.does_not_reach("10.9.0.99");
    assert_eq!(node.exec(&["weft", "plan"]).code(), 0);

    let index = node.read("/sys/class/net/ln_va/ifindex");
    let small = ON_OVS.replace("bridge: vmbr1}", "bridge: vmbr1, mtu: 1400}");
    scene.apply(&node, &small.replace("tag: 10", "tag: 30"));
    assert_eq!((tag().as_str(), mtu().as_str()), ("30", "1400"));
    guest.does_not_reach("10.9.0.99");
    // Whatever Open vSwitch looks at its ports for, it leaves the MTU.
    node.exec(&["ovs-vsctl", "--timeout=8", "set", "port", "ln_vb", "tag=20"]).ok();
    node.exec(&[
        "ovs-vsctl",
        "--timeout=8",
        "add-port",
        "vmbr1",
        "more",
        "--",
        "set",
        "interface",
        "more",
        "type=internal",
    ])
    .ok();
    assert_eq!(mtu(), "1400");
    node.exec(&["ovs-vsctl", "--timeout=8", "del-port", "more"]).ok();
    let asked =
        node.exec(&["ovs-vsctl", "--format=json", "get", "interface", "ln_va", "mtu_request"]);
    assert_eq!(json(&asked.ok()), 1400);
    scene.apply(&node, ON_OVS);
    assert_eq!((tag().as_str(), mtu().as_str()), ("10", "1500"));
    assert_eq!(node.read("/sys/class/net/ln_va/ifindex"), index, "it was made anew");
    guest.reaches("10.9.0.99");
    assert_eq!(node.exec(&["weft", "plan"]).code(), 0);

    drop((guest, other));
    let has_guests = || node.exec(&["ls", "/sys/class/net"]).ok().contains("tap");
    crate::wait::wait_until(std::time::Duration::from_secs(10), "the guests are gone", || {
        !has_guests()
    });
    scene.apply(&node, "{}\n");
    assert_eq!(ports(), bare);
}

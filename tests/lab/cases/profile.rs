//! Profile `debian` on Debian's own ifupdown2, untouched.

use crate::equivalence::Ifupdown2;
use crate::guest::Guest;
use crate::lab::{BEYOND, Lab, OUTSIDE};
use crate::namespaces::WEFT;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "profile_debian_on_stock_ifupdown2",
        &[Need::Bridge, Need::IptablesNft, Need::Vxlan],
        profile_debian_on_stock_ifupdown2,
    ),
    Case::new(
        "stock_ifupdown2_takes_one_vlan_aware_bridge",
        &[Need::Bridge],
        stock_ifupdown2_takes_one_vlan_aware_bridge,
    ),
];

/// Where the declarations and facts are on a node.
const REPOSITORY: &str = "/root/network";
const FACTS: &str = "/root/facts.json";
const SETTING: &str = "multiple_vlan_aware_bridge_support";
const IFUPDOWN2: &str = "/etc/network/ifupdown2/ifupdown2.conf";
const NODES: &str = "nodes:\n  node1: {address: 192.168.0.1}\n  node2: {address: 192.168.0.2}\n";

/// Ports of guests stay where they are, whatever they are called, over reloads that
/// change nothing and over those that change their bridge; and the network works.
fn profile_debian_on_stock_ifupdown2(lab: &Lab) {
    let nodes = [1, 2].map(|number| {
        let node = lab.node_with(number, Ifupdown2::Stock);
        node.boot_network();
        node.install(WEFT, "/usr/bin/weft", 0o755);
        node.put(FACTS, node.exec(&["weft", "facts", "--node", node.name()]).ok());
        declare(&node, "one");
        node.ifreload().ok();
        node
    });
    let [first, second] = &nodes;
    let local =
        Guest::plan(101).address("10.0.0.10/24").gateway("10.0.0.1").start(lab, first, "local");
    let here = Guest::plan(102).address("10.9.0.1/24").mtu(1450).start(lab, first, "far");
    let there = Guest::plan(103).address("10.9.0.2/24").mtu(1450).start(lab, second, "far");
    // As libvirt calls its ports, and a name that an administrator chose.
    for (port, bridge) in [("vnet0", "local"), ("web_eth0", "far")] {
        first.exec(&["ip", "link", "add", port, "type", "veth", "peer", "name", "other"]).ok();
        first.exec(&["ip", "link", "set", "other", "name", &format!("o{port}")]).ok();
        first.exec(&["ip", "link", "set", port, "master", bridge, "up"]).ok();
    }
    let in_place = |when: &str| {
        for (port, bridge) in [
            (local.port().as_str(), "local"),
            (here.port().as_str(), "far"),
            ("vnet0", "local"),
            ("web_eth0", "far"),
            ("vxlan_far", "far"),
        ] {
            assert_eq!(first.master(port).as_deref(), Some(bridge), "{when}: {port}");
            assert!(is_up(first, port), "{when}: {port} is down");
        }
    };
    let works = || {
        local.reaches("10.0.0.1");
        local.reaches(&OUTSIDE.to_string());
        local.reaches(&BEYOND.to_string());
        here.reaches("10.9.0.2");
        there.reaches("10.9.0.1");
    };
    in_place("at first");
    works();
    for when in ["after a reload without a change", "after another one"] {
        first.ifreload().ok();
        in_place(when);
    }
    works();
    // The comment of both bridges is another one: each of them is looked at again.
    declare(first, "two");
    first.ifreload().ok();
    assert_eq!(first.read("/sys/class/net/local/ifalias").trim(), "two");
    in_place("after a reload with a change");
    declare(first, "three");
    first.exec(&["ifup", "local", "far", "vxlan_far"]).ok();
    assert_eq!(first.read("/sys/class/net/far/ifalias").trim(), "three");
    in_place("after ifup");
    works();
    // A port of weft's own leaves with its stanza.
    let sdn = first.read(SDN_FILE);
    let (before, _) = sdn.split_once("auto vxlan_far").expect("the last stanza");
    first.put(SDN_FILE, before.replace("bridge_ports vxlan_far", "bridge_ports none"));
    first.ifreload().ok();
    assert!(!first.exists("/sys/class/net/vxlan_far"));
    assert_eq!(first.master(&here.port()).as_deref(), Some("far"));
}

/// What the note of VLAN-aware vnets says: the second bridge is left out unless the
/// setting is there, and a file beside ifupdown2's own is not read.
fn stock_ifupdown2_takes_one_vlan_aware_bridge(lab: &Lab) {
    let node = lab.node_with(1, Ifupdown2::Stock);
    node.boot_network();
    node.put("/etc/iproute2/rt_tables.d/weft.conf", "# here\n");
    let bridge = |name: &str| {
        format!(
            "\nauto {name}\niface {name}\n\tbridge_ports none\n\tbridge_stp off\n\tbridge_fd 0\n\
             \tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n"
        )
    };
    node.put(SDN_FILE, ["one", "two"].map(bridge).concat());
    for directory in ["/etc/network/ifupdown2/ifupdown2.conf.d", "/etc/network/ifupdown2/policy.d"]
    {
        node.put(&format!("{directory}/weft.conf"), format!("{SETTING}=1\n"));
    }
    // Whether the kernel can filter VLANs does not matter to what is asked here.
    let refused = "ignoring interface two. Only one object with attribute 'bridge-vlan-aware yes'";
    let said = node.ifreload().stderr;
    assert!(said.contains(refused), "{said}");
    let settings = node.read(IFUPDOWN2);
    node.put(IFUPDOWN2, settings.replace(&format!("{SETTING}=0"), &format!("{SETTING}=1")));
    let said = node.ifreload().stderr;
    assert!(!said.contains("ignoring interface"), "{said}");
}

/// Puts the rendering of a small network in its place, with this comment on its vnets.
fn declare(node: &Node, comment: &str) {
    let network = format!(
        "zones:\n  lan: {{type: simple}}\n  wan: {{type: vxlan}}\nvnets:\n  local:\n    zone: lan\n    \
         alias: {comment}\n    subnets:\n      10.0.0.0/24: {{gateway: 10.0.0.1, snat: true}}\n  far:\n    \
         zone: wan\n    tag: 100\n    alias: {comment}\n"
    );
    node.put(&format!("{REPOSITORY}/weft.yaml"), "weft: 1\ncluster: lab\n");
    node.put(&format!("{REPOSITORY}/sdn/nodes.yaml"), NODES);
    node.put(&format!("{REPOSITORY}/sdn/network.yaml"), network);
    let words = [
        "weft",
        "render",
        REPOSITORY,
        "--facts",
        FACTS,
        "--profile",
        "debian",
        "--out",
        "/",
        "--force",
    ];
    node.exec(&[&words[..], &["--node", node.name()]].concat()).ok();
}

fn is_up(node: &Node, port: &str) -> bool {
    let flags = node.read(&format!("/sys/class/net/{port}/flags"));
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    flags.is_ok_and(|flags| flags & 1 == 1)
}

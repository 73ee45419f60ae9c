//! VLAN and QinQ zones: the examples of the manual, on bridges that filter VLANs and on
//! one that does not.

use std::collections::BTreeSet;

use crate::guest::Guest;
use crate::kernel::{json, kernel};
use crate::lab::Lab;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;

pub(super) const CASES: &[Case] = &[
    Case::in_boot("switched", "vlan_example", vlan_example),
    Case::in_boot("switched", "qinq_example", qinq_example),
    Case::in_boot("switched", "fixed_addresses_in_vlans", fixed_addresses_in_vlans),
];

const NODES: &str = include_str!("../../../examples/vlan/sdn/nodes.yaml");
const VLAN: &str = include_str!("../../../examples/vlan/sdn/vlan.yaml");
const QINQ: &str = include_str!("../../../examples/qinq/sdn/customers.yaml");

/// Makes the node's bridge one that filters VLANs.
pub(super) fn vlan_aware(node: &Node) {
    let text = node.read("/etc/network/interfaces");
    let aware = "bridge-fd 0\n\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n";
    node.put("/etc/network/interfaces", text.replace("bridge-fd 0\n", aware));
}

/// Three nodes, of which the third has a plain bridge: guests of one VLAN reach each
/// other, guests of two do not, and isolated ports do not within a node.
fn vlan_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [scene.node_with(1, vlan_aware), scene.node_with(2, vlan_aware), scene.node(3)];
    let bare = nodes.each_ref().map(kernel);
    scene.push_files(&[("sdn/nodes.yaml", NODES), ("sdn/network.yaml", VLAN)]);
    for node in &nodes {
        scene.sync(node);
    }
    let guest = |number: u32| Guest::plan(number).address(&format!("10.9.0.{number}/24"));
    let ten = [(1, 0), (2, 1), (3, 2)]
        .map(|(number, node)| guest(number).start(lab, &nodes[node], "myvnet1"));
    let twenty = [(11, 0), (12, 0), (13, 1)]
        .map(|(number, node)| guest(number).isolated().start(lab, &nodes[node], "myvnet2"));
    ten[0].reaches_whole("10.9.0.2", 1500);
    ten[0].reaches_whole("10.9.0.3", 1500);
    ten[2].reaches_whole("10.9.0.2", 1500);
    twenty[0].reaches_whole("10.9.0.13", 1500);
    twenty[1].reaches_whole("10.9.0.13", 1500);
    ten[0].does_not_reach("10.9.0.11");
    ten[0].does_not_reach("10.9.0.13");
    twenty[2].does_not_reach("10.9.0.3");
    twenty[0].does_not_reach("10.9.0.12");

    for node in &nodes {
        assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
    }
    // Another tag on all nodes: the same guests in another VLAN, and still no other.
    scene.push(&VLAN.replace("tag: 10", "tag: 30"));
    for node in &nodes {
        scene.sync(node);
    }
    ten[0].reaches_whole("10.9.0.2", 1500);
    ten[0].reaches_whole("10.9.0.3", 1500);
    ten[0].does_not_reach("10.9.0.11");

    drop((ten, twenty));
    scene.take_away(&nodes, &bare);
}

/// On a vnet that is VLAN-aware a bridge knows who is behind a guest's port in each VLAN of it,
/// in those too that come later; and forgets those that go, where the kernel lets it.
fn fixed_addresses_in_vlans(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node_with(1, vlan_aware);
    let mac = "bc:24:11:00:00:65";
    node.put("/etc/pve/qemu-server/101.conf", format!("net0: virtio={mac},bridge=va\n"));
    scene.push(
        "zones: {outz: {type: vlan, bridge: vmbr0, bridge-disable-mac-learning: true}}\n\
         vnets: {va: {zone: outz, tag: 10, vlanaware: true}}\n",
    );
    scene.sync(&node);
    let guest = Guest::plan(101).address("10.9.0.101/24").start(lab, &node, "va");
    let port = guest.port();
    let vlan = |verb: &str, id: &str| {
        node.exec(&["bridge", "vlan", verb, "dev", &port, "vid", id]).ok();
    };
    let known = || -> BTreeSet<u64> {
        scene.sync(&node);
        let said = json(&node.exec(&["bridge", "-j", "fdb", "show", "dev", &port]).ok());
        let entries = said.as_array().expect("a list").iter();
        let fixed = entries.filter(|entry| entry["mac"] == mac && entry["state"] == "static");
        fixed.map(|entry| entry["vlan"].as_u64().unwrap_or_default()).collect()
    };
    vlan("add", "76");
    assert_eq!(known(), [0, 1, 76].into());
    vlan("add", "77");
    assert_eq!(known(), [0, 1, 76, 77].into());
    let flag = |name: &str| node.read(&format!("/sys/class/net/{port}/brport/{name}"));
    assert_eq!((flag("learning").trim(), flag("unicast_flood").trim()), ("0", "0"));
    vlan("del", "76");
    let left = known();
    assert!(left == [0, 1, 77].into() || left == [0, 1, 76, 77].into(), "{left:?}");
    println!("the bridge knows of the VLANs {left:?}");
    assert_eq!(node.exec(&["weft", "status"]).stdout.matches("port     ").count(), 0);
}

/// Two customers with the same tags on one wire: guests of one reach each other within a
/// tag, and nothing of the other.
fn qinq_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [scene.node_with(1, vlan_aware), scene.node_with(2, vlan_aware), scene.node(3)];
    let bare = nodes.each_ref().map(kernel);
    scene.push_files(&[("sdn/nodes.yaml", NODES), ("sdn/network.yaml", QINQ)]);
    for node in &nodes {
        scene.sync(node);
    }
    // What the service VLAN takes of the wire's 1500 bytes is the customer's tag.
    let guest = |number: u32, node: usize, vnet: &str| {
        let plan = Guest::plan(number).address(&format!("10.9.0.{number}/24")).mtu(1496);
        plan.start(lab, &nodes[node], vnet)
    };
    let first = [guest(1, 0, "avnet1"), guest(2, 1, "avnet1"), guest(3, 2, "avnet1")];
    let second = [guest(21, 0, "bvnet1"), guest(22, 1, "bvnet1"), guest(23, 2, "bvnet1")];
    let other_tag = guest(12, 1, "avnet2");
    first[0].reaches_whole("10.9.0.2", 1496);
    first[0].reaches_whole("10.9.0.3", 1496);
    second[0].reaches_whole("10.9.0.22", 1496);
    second[2].reaches_whole("10.9.0.22", 1496);
    first[0].does_not_reach("10.9.0.21");
    first[0].does_not_reach("10.9.0.22");
    first[0].does_not_reach("10.9.0.12");
    second[2].does_not_reach("10.9.0.2");
    second[1].does_not_reach("10.9.0.12");

    for node in &nodes {
        assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
    }
    // One customer moves to another service VLAN, and the other stays.
    scene.push(&QINQ.replace("tag: 20\n", "tag: 40\n"));
    for node in &nodes {
        scene.sync(node);
    }
    first[0].reaches_whole("10.9.0.3", 1496);
    second[0].reaches_whole("10.9.0.23", 1496);
    first[0].does_not_reach("10.9.0.22");

    drop((first, second, other_tag));
    scene.take_away(&nodes, &bare);
}

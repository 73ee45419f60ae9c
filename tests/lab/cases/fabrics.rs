//! Underlays that route: three nodes in a ring of cables, with OpenFabric, OSPF or IS-IS
//! between them and networks over it.

use std::time::Duration;

use crate::guest::Guest;
use crate::kernel::kernel;
use crate::lab::Lab;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[
    Case::in_boot("fabrics", "openfabric_example", openfabric_example),
    Case::in_boot("interior", "ospf_below_vxlan", ospf_below_vxlan),
    Case::in_boot("interior", "isis_below_evpn", isis_below_evpn),
];

const NODES: &str = include_str!("../../../examples/fabric/sdn/nodes.yaml");
const OPENFABRIC: &str = include_str!("../../../examples/fabric/sdn/fabric.yaml");

const OSPF: &str = "\
fabrics:
  under:
    type: ospf
    area: 0
    ip_prefix: 172.21.0.0/24
    nodes:
      node1: {ip: 172.21.0.1, interfaces: [{name: ens19}, {name: ens20}]}
      node2: {ip: 172.21.0.2, interfaces: [{name: ens19}, {name: ens20}]}
      node3: {ip: 172.21.0.3, interfaces: [{name: ens19}, {name: ens20}]}
zones:
  tunz: {type: vxlan, fabric: under, mtu: 8950}
vnets:
  va: {zone: tunz, tag: 100}
  vb: {zone: tunz, tag: 101}
";

const ISIS: &str = "\
controllers:
  isis1: {type: isis, node: node1, isis-domain: core, isis-ifaces: [ens19, ens20], isis-net: 49.0001.1721.6000.0001.00, loopback: dummy1}
  isis2: {type: isis, node: node2, isis-domain: core, isis-ifaces: [ens19, ens20], isis-net: 49.0001.1721.6000.0002.00, loopback: dummy1}
  isis3: {type: isis, node: node3, isis-domain: core, isis-ifaces: [ens19, ens20], isis-net: 49.0001.1721.6000.0003.00, loopback: dummy1}
  evpnctl: {type: evpn, asn: 65000, peers: [172.16.0.1, 172.16.0.2, 172.16.0.3]}
zones:
  overz: {type: evpn, controller: evpnctl, vrf-vxlan: 10000, mtu: 8950, mac: \"BC:24:11:4E:8B:11\"}
vnets:
  va: {zone: overz, tag: 100, subnets: {10.9.0.0/24: {gateway: 10.9.0.254}}}
  vb: {zone: overz, tag: 101, subnets: {10.8.0.0/24: {gateway: 10.8.0.254}}}
";

/// Time for sessions to come up and routes to be told.
const PATIENCE: Duration = Duration::from_secs(60);
/// What cables carry, and what a tunnel leaves of it.
const CABLE_MTU: u16 = 9000;
const GUEST_MTU: u16 = 8950;

/// Three nodes with a cable between any two; `prepare` gets each node's number.
fn ring(lab: &Lab, scene: &Scene<'_>, prepare: impl Fn(u8, &Node)) -> [Node; 3] {
    let nodes = [1, 2, 3].map(|number| {
        scene.node_with(number, |node| {
            // ifupdown2 sets 1500 where nobody says otherwise.
            let cables = ["ens19", "ens20"].map(|name| {
                format!("\nauto {name}\niface {name} inet manual\n\tmtu {CABLE_MTU}\n")
            });
            let own = node.read("/etc/network/interfaces");
            node.put("/etc/network/interfaces", own + &cables.concat());
            prepare(number, node);
        })
    });
    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        lab.cable([(&nodes[one], "ens19"), (&nodes[other], "ens20")], CABLE_MTU);
    }
    for node in &nodes {
        node.boot_network();
    }
    nodes
}

fn guest(lab: &Lab, number: u32, node: &Node, vnet: &str) -> Guest {
    let plan = Guest::plan(number).address(&format!("10.9.0.{number}/24")).mtu(GUEST_MTU);
    plan.start(lab, node, vnet)
}

/// Guests on all nodes reach each other with the largest packets, also when a cable
/// fails, and those of another vnet do not; nothing is left to do, and nothing is left.
fn carries(lab: &Lab, nodes: &[Node; 3], vnet: &str) -> [Guest; 3] {
    let guests = [(1, 0), (2, 1), (3, 2)].map(|(n, node)| guest(lab, n, &nodes[node], vnet));
    for address in ["10.9.0.2", "10.9.0.3"] {
        let reached = || guests[0].ping(address, &[]).success();
        wait_until(PATIENCE, &format!("{address} is reached"), reached);
        guests[0].reaches_whole(address, GUEST_MTU);
    }
    for node in nodes {
        let plan = node.exec(&["weft", "plan"]);
        assert_eq!(plan.code(), 0, "{}{}", plan.stdout, plan.stderr);
    }
    nodes[0].exec(&["ip", "link", "set", "ens19", "down"]).ok();
    let reached = || guests[0].ping("10.9.0.2", &[]).success();
    wait_until(PATIENCE, "the way round is taken", reached);
    guests[0].reaches_whole("10.9.0.2", GUEST_MTU);
    nodes[0].exec(&["ip", "link", "set", "ens19", "up"]).ok();
    guests
}

/// The example: EVPN over OpenFabric.
fn openfabric_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = ring(lab, &scene, |_, _| {});
    let bare = nodes.each_ref().map(kernel);
    let network = OPENFABRIC.replace("10.0.1.", "10.9.0.");
    scene.push_files(&[("sdn/nodes.yaml", NODES), ("sdn/network.yaml", &network)]);
    for node in &nodes {
        scene.sync(node);
    }
    drop(carries(lab, &nodes, "meshnet1"));
    scene.take_away(&nodes, &bare);
}

/// VXLAN over OSPF.
fn ospf_below_vxlan(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = ring(lab, &scene, |_, _| {});
    let bare = nodes.each_ref().map(kernel);
    scene.push_files(&[("sdn/nodes.yaml", NODES), ("sdn/network.yaml", OSPF)]);
    for node in &nodes {
        scene.sync(node);
    }
    let guests = carries(lab, &nodes, "va");
    let others = [(11, 0), (12, 1)].map(|(n, node)| guest(lab, n, &nodes[node], "vb"));
    others[0].reaches_whole("10.9.0.12", GUEST_MTU);
    guests[0].does_not_reach("10.9.0.11");
    guests[0].does_not_reach("10.9.0.12");
    drop((guests, others));
    scene.take_away(&nodes, &bare);
}

/// EVPN over IS-IS, whose sessions end at addresses of loopback interfaces. That nodes pass
/// on what is for others is the administrator's to say.
fn isis_below_evpn(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = ring(lab, &scene, |number, node| {
        let own = format!(
            "\nauto dummy1\niface dummy1 inet static\n\tlink-type dummy\n\taddress 172.16.0.{number}/32\n\n\
             iface ens19 inet static\n\taddress 172.17.{number}.{number}/24\n\tip-forward on\n\n\
             iface ens20 inet static\n\taddress 172.17.{}.{number}/24\n\tip-forward on\n",
            if number == 1 { 3 } else { number - 1 },
        );
        let text = node.read("/etc/network/interfaces");
        node.put("/etc/network/interfaces", text + &own);
    });
    scene.push_files(&[("sdn/nodes.yaml", NODES), ("sdn/network.yaml", ISIS)]);
    for node in &nodes {
        scene.sync(node);
    }
    // Taking it away is not looked at: isisd leaves routes in the kernel when its last area
    // goes, until FRR starts again.
    drop(carries(lab, &nodes, "va"));
}

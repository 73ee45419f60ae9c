//! The examples of the manual that every kernel can run: simple zones, source NAT, VXLAN.

use std::time::Duration;

use crate::guest::Guest;
use crate::kernel::kernel;
use crate::lab::{BEYOND, Lab, OUTSIDE};
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[
    case("simple_example", &[Need::Bridge], simple_example),
    case("source_nat_example", &[Need::Bridge, Need::IptablesNft], source_nat_example),
    case("vxlan_example", &[Need::Bridge, Need::Vxlan], vxlan_example),
];

const NODES: &str = include_str!("../../../examples/simple/sdn/nodes.yaml");
const SIMPLE: &str = include_str!("../../../examples/simple/sdn/simple.yaml");
const SOURCE_NAT: &str = include_str!("../../../examples/source-nat/sdn/snat.yaml");
const VXLAN: &str = include_str!("../../../examples/vxlan/sdn/vxlan.yaml");

/// What a DHCP client does with what it is given.
const LEASE_SCRIPT: &str = "#!/bin/sh\n\
    [ \"$1\" = bound ] || exit 0\n\
    ip addr replace \"$ip/$mask\" dev \"$interface\" && ip route replace default via \"$router\"\n";
/// Time for a DHCP client.
const PATIENCE: Duration = Duration::from_secs(30);

const fn case(name: &'static str, needs: &'static [Need], run: fn(&Lab)) -> Case {
    Case { limit: Duration::from_secs(120), ..Case::new(name, needs, run) }
}

/// Brings the example to these nodes, where nothing is left to do then.
fn bring(scene: &Scene<'_>, nodes: &[Node], network: &str) {
    scene.push_files(&[("sdn/nodes.yaml", NODES), ("sdn/network.yaml", network)]);
    for node in nodes {
        scene.sync(node);
        let plan = node.exec(&["weft", "plan"]);
        assert_eq!(plan.code(), 0, "{}{}", plan.stdout, plan.stderr);
    }
}

/// Guests of a bridge reach each other and, where it has addresses, the node; never those
/// of another node, and nothing outside.
fn simple_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [1, 2].map(|number| scene.node(number));
    let bare = nodes.each_ref().map(kernel);
    bring(&scene, &nodes, SIMPLE);
    let private = [(1, 0), (2, 0), (3, 1)].map(|(number, node)| {
        let plan = Guest::plan(number).address(&format!("10.9.0.{number}/24"));
        plan.start(lab, &nodes[node], "private")
    });
    let routed = Guest::plan(11).address("10.0.1.11/24").gateway("10.0.1.1");
    let routed = routed.start(lab, &nodes[0], "routed");
    private[0].reaches_whole("10.9.0.2", 1500);
    private[0].does_not_reach("10.9.0.3");
    private[0].does_not_reach(&BEYOND.to_string());
    routed.reaches_whole("10.0.1.1", 1500);
    routed.exec(&["ip", "addr", "add", "2001:db8:1::11/64", "dev", "eth0", "nodad"]).ok();
    routed.reaches_whole("2001:db8:1::1", 1500);
    routed.does_not_reach("10.9.0.1");
    // The host outside has no way back.
    routed.does_not_reach(&BEYOND.to_string());
    drop((private, routed));
    scene.take_away(&nodes, &bare);
}

/// Guests get an address, and reach a host outside that knows nothing of them; guests of
/// two nodes with the same subnet do not reach each other.
fn source_nat_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [1, 2].map(|number| scene.node(number));
    let bare = nodes.each_ref().map(kernel);
    for node in &nodes {
        // Who may have which address is Proxmox's to say.
        let known = "bc:24:11:00:00:65,10.0.2.101\nbc:24:11:00:00:66,10.0.2.102\n";
        node.put("/etc/dnsmasq.d/snat/ethers", known);
    }
    bring(&scene, &nodes, SOURCE_NAT);
    let script = "/tmp/lease.sh";
    lab.here().put_with_mode(script, LEASE_SCRIPT, 0o755);
    let guests = [(101, 0), (102, 1)].map(|(number, node)| {
        let guest = Guest::plan(number).start(lab, &nodes[node], "snatnet");
        let ask = ["udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "20", "-T", "1", "-s", script];
        guest.command(&ask).within(PATIENCE).run().ok();
        guest
    });
    assert_eq!(lab.outside().exec(&["ip", "route", "show", "10.0.2.0/24"]).ok(), "");
    for guest in &guests {
        for address in [OUTSIDE, BEYOND] {
            guest.reaches_whole(&address.to_string(), 1500);
        }
    }
    guests[0].does_not_reach("10.0.2.102");
    guests[1].does_not_reach("10.0.2.101");
    let stranger = Guest::plan(103).start(lab, &nodes[0], "snatnet");
    let ask = ["udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "3", "-T", "1", "-s", script];
    let said = stranger.command(&ask).within(PATIENCE).run();
    assert!(!said.success(), "who is not known gets an address: {}", said.stderr);
    drop((guests, stranger));
    scene.take_away(&nodes, &bare);
}

/// Guests of a network on three nodes and on a machine outside the cluster reach each
/// other with packets as large as the tunnel lets through; those of another do not.
fn vxlan_example(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [1, 2, 3].map(|number| scene.node(number));
    let bare = nodes.each_ref().map(kernel);
    let another = "  vxvnet2:\n    zone: myvxlan\n    tag: 100001\n";
    bring(&scene, &nodes, &format!("{VXLAN}{another}"));
    let end = lab.node(9);
    end.boot_network();
    let lines = "link add vx type vxlan id 100000 dstport 4789 local 192.168.0.9\n\
        link set vx mtu 1450 up\naddr add 10.9.0.9/24 dev vx\n";
    end.command(&["ip", "-batch", "-"]).input(lines).run().ok();
    for node in &nodes {
        let words = ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx", "dst"];
        end.exec(&[&words[..], &[&node.address().to_string()]].concat()).ok();
    }
    let plan = |number: u32| Guest::plan(number).address(&format!("10.9.0.{number}/24")).mtu(1450);
    let guests = [(1, 0), (2, 1), (3, 2)]
        .map(|(number, node)| plan(number).start(lab, &nodes[node], "vxvnet1"));
    let others =
        [(11, 0), (12, 1)].map(|(number, node)| plan(number).start(lab, &nodes[node], "vxvnet2"));
    for address in ["10.9.0.2", "10.9.0.3", "10.9.0.9"] {
        guests[0].reaches_whole(address, 1450);
    }
    guests[2].reaches_whole("10.9.0.9", 1450);
    wait_until(PATIENCE, "the machine outside the cluster reaches a guest", || {
        end.exec(&["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1422", "10.9.0.2"])
            .success()
    });
    others[0].reaches_whole("10.9.0.12", 1450);
    for address in ["10.9.0.11", "10.9.0.12"] {
        guests[0].does_not_reach(address);
    }
    others[0].does_not_reach("10.9.0.9");
    drop((guests, others));
    scene.take_away(&nodes, &bare);
}

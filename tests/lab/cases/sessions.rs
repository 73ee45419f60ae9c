//! Windows and the sessions of FRR: a commit that drops them is undone, one that all nodes
//! have to follow lands, and a neighbour that goes by itself is nobody's fault.

use std::time::Duration;

use super::window::{agent, comes_to, end, is_undone, open_git, opens, settings, status};
use crate::lab::Lab;
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(420),
    ..Case::new("sessions_are_kept", &[Need::Bridge, Need::IptablesNft], sessions_are_kept)
}];

/// Time for daemons to start and sessions to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stands between bgpd and who asks it, and hangs up where it is asked for its sessions.
const DEAF: &str = r#"
import os, signal, socket, threading
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
path, real = "/run/frr/bgpd.vty", "/run/frr/bgpd.real"
os.rename(path, real)
door = socket.socket(socket.AF_UNIX)
door.bind(path)
door.listen()

def carry(source, sink, is_question):
    while True:
        part = source.recv(65536)
        if not part or is_question and b"summary json" in part:
            break
        sink.sendall(part)
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

while True:
    asks, _ = door.accept()
    knows = socket.socket(socket.AF_UNIX)
    knows.connect(real)
    for pair in ((asks, knows, True), (knows, asks, False)):
        threading.Thread(target=carry, args=pair, daemon=True).start()
"#;

/// Every node speaks BGP with both others.
fn network(asn: u32, rest: &str) -> String {
    let controller = |node: u8, peers: &str| {
        format!("  bgp{node}: {{type: bgp, node: node{node}, asn: {asn}, peers: [{peers}]}}\n")
    };
    format!(
        "zones:\n  outz: {{type: simple}}\nvnets:\n  va: {{zone: outz, subnets: {{10.0.0.0/24: {{gateway: 10.0.0.1}}}}}}\n{rest}\
         controllers:\n{}{}{}",
        controller(1, "192.168.0.2, 192.168.0.3"),
        controller(2, "192.168.0.1, 192.168.0.3"),
        controller(3, "192.168.0.1, 192.168.0.2"),
    )
}

/// How many sessions of a node are up.
fn established(node: &Node) -> usize {
    let said = node.exec(&["vtysh", "-c", "show bgp summary json"]);
    said.stdout.matches("\"Established\"").count()
}

fn sessions_are_kept(lab: &Lab) {
    let scene = Scene::start(lab);
    open_git(lab);
    scene.copy.write(
        "sdn/nodes.yaml",
        "nodes:\n  node1: {address: 192.168.0.1}\n  node2: {address: 192.168.0.2}\n  node3: {address: 192.168.0.3}\n",
    );
    let nodes = [scene.node(1), scene.node(2), scene.node(3)];
    for node in &nodes {
        settings(&scene, node, "");
        // Nobody follows within seconds on a busy machine.
        let text = node.read("/etc/weft/agent.yaml");
        node.put(
            "/etc/weft/agent.yaml",
            text.replace(
                "window: 8s, long-window: 10s, coordinated-window: 20s",
                "window: 20s, long-window: 20s, coordinated-window: 90s",
            ),
        );
    }
    let first = scene.push(&network(65000, ""));
    let agents = nodes.each_ref().map(agent);
    for node in &nodes {
        comes_to(node, &first);
    }
    let all_up = || nodes.iter().all(|node| established(node) == 2);
    wait_until(PATIENCE, "every node speaks with both others", all_up);

    // The ASN of all of them: each drops its sessions until the others follow.
    let other = scene.push(&network(65100, ""));
    for node in &nodes {
        comes_to(node, &other);
    }
    assert!(all_up());
    let said = nodes[0].exec(&["weft", "--json", "history", "-n", "1"]).ok();
    assert!(said.contains("\"class\": \"coordinated\""), "{said}");

    // One that hides a neighbour: its session drops, and the silence is no excuse.
    let bad = scene.push(&network(
        65100,
        "  vb: {zone: outz, subnets: {192.168.0.0/29: {gateway: 192.168.0.6}}}\n",
    ));
    is_undone(&nodes[0], "BGP with");
    wait_until(PATIENCE, "the sessions are back", || established(&nodes[0]) == 2);
    assert_eq!(status(&nodes[0])["running"]["commit"]["commit"], other.as_str());
    let reverted = scene.copy.revert(&scene.alice, &bad);
    scene.copy.push();
    comes_to(&nodes[0], &reverted);
    wait_until(PATIENCE, "every node speaks with both others", all_up);

    // A neighbour that is switched off while a window is open.
    let [first, second, _] = &nodes;
    for node in &nodes {
        comes_to(node, &reverted);
    }
    let good = scene.push(&network(65100, "  vc: {zone: outz}\n"));
    opens(first);
    second.exec(&["ip", "link", "set", "eth0", "down"]).ok();
    comes_to(first, &good);
    assert!(first.exists("/sys/class/net/vc"));

    // What FRR would refuse changes nothing.
    first.put("/etc/frr/frr.conf.local", "router bgp 65100\n this is no statement\n");
    let before = first.read("/etc/frr/frr.conf");
    scene.push(&network(65100, "  vd: {zone: outz}\n"));
    let refused = || {
        let last = status(first)["last"].clone();
        last["message"].to_string().contains("would be refused")
    };
    wait_until(PATIENCE, "FRR's own check refuses it", refused);
    assert_eq!(first.read("/etc/frr/frr.conf"), before);
    assert!(!first.exists("/sys/class/net/vd"));

    // Of a daemon that does not answer nobody knows what works: that is not waived.
    first.exec(&["rm", "/etc/frr/frr.conf.local"]).ok();
    first.put("/tmp/deaf.py", DEAF);
    let deaf = first.spawn(&["python3", "/tmp/deaf.py"]);
    wait_until(PATIENCE, "it is deaf", || first.exists("/run/frr/bgpd.real"));
    let seen = scene.push(&network(65100, "  ve: {zone: outz}\n"));
    let put_off = || {
        let message = status(first)["last"]["message"].to_string();
        message.contains("put off") && message.contains("FRR's bgpd")
    };
    wait_until(PATIENCE, "the change is put off", put_off);
    assert!(!first.exists("/sys/class/net/ve"));
    end(deaf);
    first.exec(&["mv", "/run/frr/bgpd.real", "/run/frr/bgpd.vty"]).ok();
    comes_to(first, &seen);

    // One that hangs is not one that does not run: it is neither started nor changed.
    let watchfrr = first.exec(&["pgrep", "-x", "watchfrr"]).ok();
    first.exec(&["pkill", "-STOP", "-x", "bgpd"]).ok();
    let seen = scene.push(&network(65101, "  vf: {zone: outz}\n"));
    let hangs =
        || status(first)["last"]["message"].to_string().contains("runs and does not answer");
    wait_until(PATIENCE, "FRR hangs, and nothing begins", hangs);
    assert!(!first.exists("/sys/class/net/vf"));
    first.exec(&["pkill", "-CONT", "-x", "bgpd"]).ok();
    comes_to(first, &seen);
    assert_eq!(first.exec(&["pgrep", "-x", "watchfrr"]).ok(), watchfrr, "FRR was started anew");
    for agent in agents {
        end(agent);
    }
}

//! Changes of a node that no commit made: told, undone or left, as its settings say.

use std::time::Duration;

use super::window::{agent, comes_to, end, open_git, settings, status};
use crate::guest::Guest;
use crate::kernel::{assert_same, kernel};
use crate::lab::Lab;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::{FIRST, Scene};
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(240),
    ..Case::new("drift_is_undone", &[Need::Bridge, Need::Vxlan, Need::IptablesNft], is_undone)
}];

const PATIENCE: Duration = Duration::from_secs(40);

fn mtu(node: &Node, link: &str) -> String {
    node.read(&format!("/sys/class/net/{link}/mtu")).trim().to_owned()
}

fn is_undone(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    open_git(lab);
    settings(
        &scene,
        &node,
        "drift: {files: correct, kernel: correct, daemons: correct, every: 1s, ignore: [vc]}\n",
    );
    let first = scene.push(FIRST);
    let running = agent(&node);
    comes_to(&node, &first);
    let guest = Guest::plan(101).start(lab, &node, "vb");
    let (before, bytes) = (kernel(&node), node.read(SDN_FILE));

    // The running network and a file. A remote is not needed for it.
    scene.server.withdraw("config");
    node.exec(&["ip", "link", "set", "va", "mtu", "1300"]).ok();
    node.exec(&["ip", "addr", "del", "10.0.0.1/24", "dev", "va"]).ok();
    wait_until(PATIENCE, "the MTU is put back", || mtu(&node, "va") == "1400");
    // What puts it back reads all of it again before it ends.
    std::thread::sleep(Duration::from_secs(5));
    node.put(SDN_FILE, bytes.replace("mtu 1400", "mtu 1234"));
    wait_until(PATIENCE, "the file is put back", || node.read(SDN_FILE) == bytes);
    std::thread::sleep(Duration::from_secs(5));
    assert_same(&kernel(&node), &before);
    assert_eq!(node.master(&guest.port()).as_deref(), Some("vb"));
    scene.server.restore("config");

    // What is to be ignored is in order as it is.
    node.exec(&["ip", "link", "set", "vc", "mtu", "1300"]).ok();
    let in_order = || status(&node)["last"]["state"] == "in-order";
    std::thread::sleep(Duration::from_secs(12));
    wait_until(PATIENCE, "the node is in order", in_order);
    assert_eq!(mtu(&node, "vc"), "1300");

    // Not while the node is held.
    node.exec(&["weft", "hold", "--for", "1h", "--reason", "looking at it"]).ok();
    node.exec(&["ip", "link", "set", "vb", "mtu", "1300"]).ok();
    let told = || status(&node)["last"]["drift"].to_string().contains("vb");
    wait_until(PATIENCE, "the drift is told", told);
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(mtu(&node, "vb"), "1300");
    node.exec(&["weft", "resume"]).ok();
    wait_until(PATIENCE, "it is undone after the hold", || mtu(&node, "vb") == "1450");

    // What comes back again and again is left to a person.
    std::thread::sleep(Duration::from_secs(5));
    node.exec(&["ip", "link", "set", "vb", "mtu", "1300"]).ok();
    let degraded = || status(&node)["last"]["state"] == "degraded";
    wait_until(PATIENCE, "it is left after three times", degraded);
    assert_eq!(mtu(&node, "vb"), "1300");
    assert_eq!(node.exec(&["weft", "status"]).code(), 5);
    end(running);
}

//! What nodes run is published as Proxmox's own configuration. A directory that the nodes
//! share stands for its cluster file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::kernel::{assert_same, kernel};
use crate::lab::Lab;
use crate::namespaces::CLUSTER;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::{FIRST, Scene};

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(240),
    ..Case::new("pve_publish", &[Need::Bridge, Need::Vxlan, Need::IptablesNft], pve_publish)
}];

const GUEST: &str = "nodes/node1/qemu-server/101.conf";
const CONFIG: &str = "net0: virtio=BC:24:11:00:00:01,bridge=va\n";

/// Makes what Proxmox has of a cluster of two nodes, before they start.
fn cluster() {
    for (path, text) in [
        (GUEST, CONFIG),
        ("nodes/node1/pve-ssl.pem", "pem\n"),
        ("nodes/node2/pve-ssl.pem", "pem\n"),
        ("sdn/pve-ipam-state.json", "{}"),
        ("priv/authkey.key", "key\n"),
        (
            ".members",
            r#"{"nodename": "node1", "version": 4, "cluster": {"name": "lab", "version": 2, "nodes": 2, "quorate": 1}, "nodelist": {"node1": {"id": 1, "online": 1}, "node2": {"id": 2, "online": 0}}}"#,
        ),
    ] {
        put(path, text);
    }
}

fn put(path: &str, text: &str) {
    let path = Path::new(CLUSTER).join(path);
    fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// Every file that the nodes share, with its text and when it was written.
fn shared() -> BTreeMap<String, (String, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![Path::new(CLUSTER).to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.path().is_dir() {
                waiting.push(entry.path());
                continue;
            }
            let name = entry.path().strip_prefix(CLUSTER).expect("below").display().to_string();
            let written = entry.metadata().and_then(|data| data.modified()).expect("a time");
            found.insert(name, (fs::read_to_string(entry.path()).expect("text"), written));
        }
    }
    found
}

fn sdn(name: &str) -> String {
    fs::read_to_string(Path::new(CLUSTER).join("sdn").join(name)).unwrap_or_default()
}

fn version() -> u64 {
    let running: Value = serde_json::from_str(&sdn(".running-config")).expect("it is there");
    running["version"].as_u64().expect("a number")
}

/// Makes turns of a node: one that brings the newest commit, and one that publishes.
#[track_caller]
fn turns(scene: &Scene<'_>, node: &Node) -> Value {
    scene.sync(node);
    scene.sync(node);
    status(node)
}

fn status(node: &Node) -> Value {
    let said = node.exec(&["weft", "--json", "status"]);
    let status: Value = serde_json::from_str(&said.stdout).expect("JSON");
    status["last"].clone()
}

/// What stands there leads to the bytes that every node has, taken from what is applied and
/// from what an apply would make of the section files; nobody sees anything pending.
#[track_caller]
fn assert_apply_changes_nothing(nodes: &[&Node]) {
    let version = version();
    for node in nodes {
        node.exec(&["sh", "-c", "weft facts >/tmp/facts.json"]).ok();
        for pending in [false, true] {
            let (out, more) = ("/tmp/imported", if pending { "--pending" } else { "--force" });
            node.exec(&["rm", "-rf", out]).ok();
            let words =
                ["weft", "import", "pve", "/etc/pve", "--cluster", "lab", "--out", out, more];
            let said = node.exec(&words).ok();
            assert!(!said.contains("pending"), "{said}");
            let words = [
                "weft",
                "--json",
                "render",
                out,
                "--node",
                node.name(),
                "--facts",
                "/tmp/facts.json",
            ];
            let said: Value = serde_json::from_str(&node.exec(&words).ok()).expect("JSON");
            let files = said["files"].as_object().expect("files");
            assert!(files.contains_key(SDN_FILE), "{files:?}");
            for (path, text) in files {
                let text = text.as_str().expect("text");
                let wanted = match path.as_str() {
                    SDN_FILE => format!("#version:{version}\n{text}"),
                    _ => text.to_owned(),
                };
                assert_eq!(node.read(path), wanted, "{}: {path}", node.name());
            }
        }
        let last = status(node);
        assert_eq!(last["drift"], serde_json::json!([]), "{last:#}");
        assert_eq!(last["state"], "in-order", "{last:#}");
    }
    assert_eq!(fs::read_to_string(Path::new(CLUSTER).join(GUEST)).expect("there"), CONFIG);
}

fn pve_publish(lab: &Lab) {
    cluster();
    let scene = Scene::start(lab);
    let nodes = [scene.node(1), scene.node(2)];
    let [one, two] = &nodes;
    let plain = nodes.each_ref().map(|node| node.read("/etc/weft/agent.yaml"));
    for (node, plain) in nodes.iter().zip(&plain) {
        node.put("/etc/weft/agent.yaml", format!("{plain}pve: publish\n"));
    }
    scene.push(FIRST);

    // One node alone publishes nothing, and says whom it waits for.
    let last = turns(&scene, one);
    assert_eq!(last["publication"]["code"], "pve-waits-for-nodes", "{last:#}");
    assert_eq!(last["publication"]["waiting"], serde_json::json!(["node2"]));
    assert!(last["message"].to_string().contains("offline"), "{last:#}");
    assert_eq!(last["state"], "in-order");
    assert_eq!(sdn(".running-config") + &sdn("zones.cfg"), "");

    let last = turns(&scene, two);
    assert_eq!(last["publication"]["standing"], "published", "{last:#}");
    turns(&scene, one);
    assert_eq!(version(), 1);
    assert!(sdn("zones.cfg").contains("vxlan: tunz\n\tpeers 192.168.0.1,192.168.0.2\n"));
    assert_apply_changes_nothing(&[one, two]);
    let said = one.exec(&["weft", "status"]).ok();
    assert!(said.contains("publish  published: Proxmox has commit"), "{said}");

    // Nothing is written twice.
    let before = shared();
    let networks = [kernel(one), kernel(two)];
    turns(&scene, one);
    turns(&scene, two);
    assert_eq!(shared(), before);
    for (node, network) in nodes.iter().zip(&networks) {
        assert_same(&kernel(node), network);
    }

    // The next commit waits for the slower one.
    let second = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1380"));
    let last = turns(&scene, one);
    assert_eq!(last["publication"]["waiting"], serde_json::json!(["node2"]), "{last:#}");
    assert!(sdn("zones.cfg").contains("mtu 1400"));
    turns(&scene, two);
    let last = turns(&scene, one);
    assert_eq!(last["publication"]["published"]["commit"], second.as_str());
    assert!(sdn("zones.cfg").contains("mtu 1380"));
    assert_eq!(version(), 2);
    assert_apply_changes_nothing(&[one, two]);

    // A person's draft stays until it is agreed to.
    let vnets = sdn("vnets.cfg");
    put("sdn/vnets.cfg", &format!("{vnets}vnet: mine\n\tzone outz\n\n"));
    let said = scene.try_sync(one, &["sync"]);
    assert_eq!(said.code(), 2, "{}", said.stdout);
    let last = status(one);
    let edited = "vnets.cfg: vnet mine is there, and the commit does not have it";
    assert_eq!(last["publication"]["edited"], serde_json::json!([edited]), "{last:#}");
    let said = one.exec(&["weft", "adopt", "--pve"]);
    assert!(said.code() == 2 && said.stdout.contains(edited), "{}", said.stdout);
    assert!(sdn("vnets.cfg").contains("mine"));
    one.exec(&["weft", "adopt", "--pve", "--yes"]).ok();
    scene.sync(one);
    scene.sync(two);
    assert_eq!(sdn("vnets.cfg"), vnets);
    assert_apply_changes_nothing(&[one, two]);

    // With `refuse`, nothing is applied that Proxmox did not apply.
    one.put("/etc/weft/agent.yaml", format!("{}pve: refuse\n", plain[0]));
    let third = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1390"));
    let said = scene.try_sync(one, &["sync"]);
    assert_eq!(said.code(), 4, "{}", said.stdout);
    let last = status(one);
    assert!(last["message"].to_string().contains("zone outz differs in `mtu`"), "{last:#}");
    assert_eq!(last["running"]["commit"]["commit"], second.as_str());
    one.exec(&["weft", "explain", "pve-disagrees"]).ok();
    // As Proxmox would after an apply there.
    put("sdn/.running-config", &sdn(".running-config").replace("1380", "\"1390\""));
    scene.sync(one);
    assert_eq!(status(one)["running"]["commit"]["commit"], third.as_str());
    assert!(!Path::new(CLUSTER).join("priv/lock/domain-sdn").exists());
}

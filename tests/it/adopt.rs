//! First contact: nothing that weft did not write is touched before an operator says
//! so, and then only where everything stays as it is.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::node::{FILE, Node, declared};
use super::trust::repository::Repository;

const SETTINGS: &str = "etc/weft/agent.yaml";

/// A node that is new: its settings name no mode.
fn new<'a>(repository: &'a Repository, name: &str) -> Node<'a> {
    Node::with(repository, name, "lab", "")
}

/// What Proxmox would have written for the declarations, at its own number.
fn of_proxmox(node: &Node<'_>) -> String {
    let said = node.beside(&["render", "work", "--node", "n1", "--json"]);
    assert_eq!(said.code, 0, "{}", said.all());
    let text = said.json()["files"]["/etc/network/interfaces.d/sdn"].as_str().unwrap().to_owned();
    format!("#version:41\n{text}")
}

fn let_apply(node: &Node<'_>) {
    let text = std::fs::read_to_string(node.root.join(SETTINGS)).unwrap();
    node.put(SETTINGS, format!("{text}mode: apply\n").as_bytes());
}

/// No generation and no journal: nothing was ever applied.
fn untouched(node: &Node<'_>, file: &str) {
    assert_eq!(node.file().as_deref(), Some(file));
    assert!(!node.root.join("var/lib/weft/gen").exists(), "a generation was made");
    assert!(!node.root.join("var/lib/weft/journal").exists(), "a journal was begun");
}

#[test]
fn a_file_that_means_the_same_is_taken_over_and_not_touched() {
    let repository = declared();
    let node = new(&repository, "n1");
    let found = of_proxmox(&node);
    node.put(FILE, found.as_bytes());
    let path = node.root.join(FILE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();

    // Without a word of the operator nothing is anybody's but Proxmox's.
    let said = node.run(&["plan"]);
    assert_eq!(said.code, 4, "{}", said.all());
    assert!(said.out.contains("not-ours") && said.out.contains("weft adopt"), "{}", said.out);
    let said = node.run(&["adopt"]);
    assert_eq!(said.code, 2, "{}", said.all());
    assert!(said.out.contains("is taken over as it is"), "{}", said.out);
    assert!(said.out.contains("weft adopt --yes"), "{}", said.out);
    untouched(&node, &found);

    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.out.contains("mode: apply"), "{}", said.out);
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((node.file(), metadata.modified().unwrap()), (Some(found.clone()), written));
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_eq!(node.runs(), Some(repository.head().to_string()));
    let kept = node.root.join("var/lib/weft/gen/00000001/before").join(FILE);
    assert_eq!(std::fs::read_to_string(kept).unwrap(), found);
    assert_eq!(node.run(&["plan"]).code, 0);

    // Settings are the operator's.
    let text = std::fs::read_to_string(node.root.join(SETTINGS)).unwrap();
    assert!(!text.contains("mode:"), "{text}");

    // A second time there is nothing to take over.
    let history = node.run(&["history", "--json"]).json();
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.out.contains("nothing to take over"), "{}", said.out);
    assert_eq!(node.run(&["history", "--json"]).json(), history);
    assert_eq!(history.as_array().unwrap().len(), 1);

    // From now on commits change the file, once the node may.
    let more = b"vnets:\n  vb: {zone: one}\n";
    repository.commit("alice", &[("sdn/more.yaml", more)]);
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 2, "{}", said.all());
    assert_eq!(node.file().as_ref(), Some(&found), "an observing node was changed");
    let_apply(&node);
    assert_eq!(node.run(&["sync"]).code, 0);
    assert!(node.file().unwrap().contains("iface vb\n"));
}

#[test]
fn a_plan_that_only_adds_is_carried_out() {
    let repository = declared();
    let node = new(&repository, "n1");
    let found = format!("# made by hand\n{}", of_proxmox(&node));
    node.put(FILE, found.as_bytes());
    repository.commit("alice", &[("sdn/more.yaml", b"vnets:\n  vb: {zone: one}\n")]);
    let said = node.run(&["adopt"]);
    assert_eq!(said.code, 2, "{}", said.all());
    assert!(said.out.contains("+ vb adds (vnet vb)"), "{}", said.out);
    untouched(&node, &found);
    let said = node.run(&["adopt", "--yes", "--json"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(said.json()["plan"]["foreign"][0], "/etc/network/interfaces.d/sdn");
    assert_eq!(said.json()["status"]["running"]["generation"], 1);
    assert!(node.file().unwrap().contains("iface vb\n"));
    let kept = node.root.join("var/lib/weft/gen/00000001/before").join(FILE);
    assert_eq!(std::fs::read_to_string(kept).unwrap(), found);
}

#[test]
fn a_node_without_files_is_taken_over_too() {
    let repository = declared();
    let node = new(&repository, "n1");
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(node.file().unwrap().contains("iface va\n"));
    assert_eq!(node.run(&["sync"]).code, 0);
}

#[test]
fn what_would_not_stay_as_it_is_is_refused() {
    let repository = declared();
    let node = new(&repository, "n1");
    let same = of_proxmox(&node);
    let cases: &[(String, &str)] = &[
        (same.replace("10.0.0.1/24", "10.0.0.9/24"), "interface `va` would be changed"),
        (format!("{same}\tvrf red\n"), "interface `va` would be changed"),
        (format!("{same}\tbridge-ageing 5\n"), "interface `va` would be made again"),
        (
            format!("{same}\nauto vz\niface vz\n\tbridge_ports none\n"),
            "interface `vz` would be removed",
        ),
        (same.replace("iface va", "iface va inet dhcp"), "lose the line `iface va inet dhcp`"),
        (format!("source /etc/network/more\n{same}"), "lose the line `source /etc/network/more`"),
        (format!("{same}\nallow-hotplug  va\n"), "lose the line `allow-hotplug va`"),
    ];
    for (found, word) in cases {
        assert_ne!(found, &same);
        node.put(FILE, found.as_bytes());
        for mode in [&["adopt"][..], &["adopt", "--yes"]] {
            let said = node.run(mode);
            assert_eq!(said.code, 4, "{word}: {}", said.all());
            for word in ["not-additive", *word, "= help: declare what the node has"] {
                assert!(said.out.contains(word), "`{word}` is not in: {}", said.out);
            }
            untouched(&node, found);
        }
    }
    let json = node.run(&["adopt", "--yes", "--json"]);
    assert_eq!((json.code, &json.json()["plan"]["guards"][0]["code"]), (4, &"not-additive".into()));
    let explained = node.beside(&["explain", "not-additive"]);
    assert_eq!(explained.code, 0, "{}", explained.all());
}

#[test]
fn what_cannot_be_read_is_not_taken_over() {
    let repository = declared();
    let node = new(&repository, "n1");
    let same = of_proxmox(&node);
    let path = node.root.join(FILE);
    node.put(FILE, &[same.as_bytes(), b"\xff\n"].concat());
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 4, "{}", said.all());
    assert!(said.out.contains("is not UTF-8 text"), "{}", said.out);
    std::fs::remove_file(&path).unwrap();

    node.put("etc/network/elsewhere", same.as_bytes());
    symlink("../elsewhere", &path).unwrap();
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 1, "{}", said.all());
    assert!(said.err.contains("is not a regular file"), "{}", said.err);
    assert!(path.symlink_metadata().unwrap().is_symlink());
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 1, "{}", said.all());
    assert!(path.is_dir() && !node.root.join("var/lib/weft/gen").exists());
}

#[test]
fn without_it_a_foreign_file_stays_whatever_it_means() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let found = of_proxmox(&node);
    node.put(FILE, found.as_bytes());
    for verb in [&["sync"][..], &["apply", "--refresh"], &["apply"]] {
        let said = node.run(verb);
        assert_eq!(said.code, 4, "{}", said.all());
        assert!(said.out.contains("weft adopt"), "{}", said.out);
        untouched(&node, &found);
    }
    // In mode apply it is the same act.
    assert_eq!(node.run(&["adopt", "--yes"]).code, 0);
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(node.file(), Some(found));
}

#[test]
fn a_commit_that_is_refused_takes_nothing_over() {
    let repository = declared();
    let node = new(&repository, "n1");
    let found = of_proxmox(&node);
    node.put(FILE, found.as_bytes());
    repository.commit("alice", &[("sdn/vnets.yaml", b"vnets: [\n")]);
    let said = node.run(&["adopt", "--yes"]);
    assert_eq!(said.code, 4, "{}", said.all());
    untouched(&node, &found);
}

#[test]
fn the_audit_has_what_did_not_come_about() {
    let repository = declared();
    let node = new(&repository, "n1");
    let found = of_proxmox(&node).replace("10.0.0.1/24", "10.0.0.9/24");
    node.put(FILE, found.as_bytes());
    // Who looks asks for nothing.
    assert_eq!(node.run(&["adopt"]).code, 4);
    assert!(!node.run(&["audit"]).out.contains("adopt"));
    assert_eq!(node.run(&["adopt", "--yes"]).code, 4);
    let audit = node.run(&["audit"]);
    let lines: Vec<&str> = audit.out.lines().filter(|line| line.contains("adopt")).collect();
    assert_eq!(lines.len(), 2, "{}", audit.all());
    assert!(lines[1].contains("not taken over"), "{}", audit.all());
    node.put(FILE, found.replace("10.0.0.9/24", "10.0.0.1/24").as_bytes());
    assert_eq!(node.run(&["adopt", "--yes"]).code, 0);
    let audit = node.run(&["audit"]).out;
    assert_eq!(audit.lines().filter(|line| line.contains("not taken over")).count(), 1, "{audit}");
}

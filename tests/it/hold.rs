//! Holding a node, going back by hand, and going on: through the program, on a dry node.

use super::node::{Node, declared};
use super::trust::repository::Repository;

/// A commit with this gateway.
fn gateway(repository: &Repository, last: u8) {
    let text = format!(
        "vnets:\n  va:\n    zone: one\n    subnets:\n      10.0.0.0/24: {{gateway: 10.0.0.{last}}}\n"
    );
    repository.commit("alice", &[("sdn/vnets.yaml", text.as_bytes())]);
}

#[track_caller]
fn is(node: &Node<'_>, words: &[&str], code: i32, says: &str) {
    let said = node.run(words);
    assert!(said.code == code && said.all().contains(says), "{words:?}: {}", said.all());
}

fn has(node: &Node<'_>, last: u8) -> bool {
    node.file().is_some_and(|text| text.contains(&format!("10.0.0.{last}/24")))
}

#[test]
fn while_a_node_is_held_only_a_way_back_is_applied() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["hold", "--reason", "a disk is changed\n\u{1b}[31m", "--for", "2h"], 0, "held by");
    gateway(&repository, 3);
    is(&node, &["sync"], 3, "a disk is changed");
    is(&node, &["apply", "--refresh"], 3, "held by");
    is(&node, &["status"], 3, "hold     held by");
    assert!(has(&node, 2));
    // What brings back what ran before is no news to be held.
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    is(&node, &["sync"], 0, "runs commit");
    repository.signed("alice", &["revert", "--no-edit", "HEAD~2"]);
    is(&node, &["sync"], 0, "runs commit");
    assert!(has(&node, 1));
    gateway(&repository, 4);
    is(&node, &["sync"], 3, "held by");
    is(&node, &["resume"], 0, "lifted");
    is(&node, &["resume"], 0, "there was no hold");
    is(&node, &["sync"], 0, "runs commit");
    assert!(has(&node, 4));
}

#[test]
fn whoever_goes_back_stays_there() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["rollback"], 4, "nothing to roll back");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    // The commit that is left brings back what ran before it: it is held all the same.
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    is(&node, &["sync"], 0, "runs commit");
    assert!(has(&node, 1));
    is(
        &node,
        &["rollback"],
        6,
        "generation 2 runs again; no commit is applied until `weft resume`",
    );
    assert!(has(&node, 2));
    // Even when it is not left alone for its own sake any more.
    std::fs::remove_file(node.root.join("var/lib/weft/quarantine")).unwrap();
    is(&node, &["sync"], 3, "rolled back by hand");
    assert!(has(&node, 2));
    is(&node, &["rollback", "7"], 1, "there is no generation 7");
    is(&node, &["rollback", "1"], 6, "generation 1 runs again");
    assert!(has(&node, 1));
    is(&node, &["confirm"], 1, "no window is open");
    is(&node, &["resume"], 0, "lifted");
    is(&node, &["sync"], 0, "runs commit");
}

#[test]
fn what_was_done_and_who_asked_is_written_down() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["audit"], 0, "Nothing was done");
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["hold", "--reason", "a disk is changed\n\u{1b}[31m"], 0, "held by");
    is(&node, &["resume"], 0, "lifted");
    is(&node, &["resume"], 0, "there was no hold");
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["rollback", "1"], 6, "generation 1 runs again");
    let said = node.run(&["audit"]).all();
    let lines: Vec<&str> =
        said.lines().map(|line| &line["2026-01-01 00:00:00Z  ".len()..]).collect();
    let by = lines[1].split(' ').next().unwrap();
    assert!(lines[0].starts_with("confirmed apply 1 (generation 1, "), "{said:?}");
    assert!(lines[0].ends_with(" by alice@example.org"), "{said:?}");
    assert_eq!(lines[1], format!("{by} asked for `weft hold: a disk is changed  [31m`"));
    assert_eq!(lines[2], format!("{by} asked for `weft resume`"));
    assert!(lines[3].starts_with("confirmed apply 2 (generation 2, "), "{said:?}");
    assert_eq!(lines[4], format!("{by} asked for `weft rollback 1`"));
    assert!(lines[5].starts_with("confirmed apply 3 (generation 1, "), "{said:?}");
    assert_eq!(lines.len(), 6);

    // What is changed afterwards shows, and stops nothing.
    let path = "var/lib/weft/audit/00000001.jsonl";
    let text = std::fs::read_to_string(node.root.join(path)).unwrap();
    node.put(path, text.replace("\"resume\"", "\"nothing\"").as_bytes());
    is(&node, &["audit"], 1, "line 4 of `/var/lib/weft/audit/00000001.jsonl` does not follow");
    is(&node, &["resume"], 0, "lifted");
    gateway(&repository, 3);
    is(&node, &["sync"], 0, "runs commit");
}

#[test]
fn a_hold_ends_by_itself_and_one_that_cannot_be_read_holds() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    for wrong in ["tomorrow", "-2h", "0s"] {
        is(&node, &["hold", &format!("--for={wrong}"), "--reason", "x"], 64, "such as `2h`");
    }
    node.put(
        "var/lib/weft/hold",
        b"{\"format\":1,\"by\":\"me\",\"reason\":\"x\",\"since\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-01-01T01:00:00Z\"}",
    );
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    node.put("var/lib/weft/hold", b"{");
    gateway(&repository, 3);
    is(&node, &["sync"], 1, "weft resume");
    assert!(has(&node, 2));
    is(&node, &["resume"], 0, "lifted");
    is(&node, &["sync"], 0, "runs commit");
}

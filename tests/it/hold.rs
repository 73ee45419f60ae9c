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
fn that_a_commit_passed_a_hold_is_said_wherever_somebody_looks() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    let second = node.runs().unwrap()[..12].to_owned();
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["hold", "--reason", "touch nothing"], 0, "held by");
    // As `git revert` of a revert does, the later of both is brought back.
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    let back = format!("it brings back the files of commit {second} (sequence ");
    let passed = format!("{back}3), which no hold stops, although this node is held by");
    for words in [&["plan"][..], &["sync"]] {
        let said = node.run(words).all();
        assert!(said.contains(&passed) && said.contains("touch nothing"), "{words:?}: {said}");
    }
    assert!(has(&node, 2));
    // The next turn has nothing to say of it, and it is known all the same.
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["status"], 0, &format!("although the node was held, for {back}3)"));
    is(&node, &["audit"], 0, &format!(", although the node was held, for {back}3)"));
    is(&node, &["hold", "--help"], 0, "but one that brings back what ran before");
    is(&node, &["resume"], 0, "lifted");
    gateway(&repository, 3);
    is(&node, &["sync"], 0, "runs commit");
    let said = node.run(&["status"]).all();
    assert!(!said.contains("although"), "{said}");
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
        0,
        "generation 2 runs again; no commit is applied until `weft resume`",
    );
    assert!(has(&node, 2));
    // Even when it is not left alone for its own sake any more.
    std::fs::remove_file(node.root.join("var/lib/weft/quarantine")).unwrap();
    is(&node, &["sync"], 3, "rolled back by hand");
    assert!(has(&node, 2));
    is(&node, &["rollback", "7"], 1, "there is no generation 7");
    is(&node, &["rollback", "1"], 0, "generation 1 runs again");
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
    is(&node, &["rollback", "1"], 0, "generation 1 runs again");
    is(&node, &["rollback", "99"], 1, "there is no generation 99");
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
    assert!(
        lines[5].starts_with("confirmed way back 3 from generation 2 to generation 1 of commit "),
        "{said:?}"
    );
    assert!(lines[5].ends_with(&format!(", asked for by {by})")), "{said:?}");
    assert_eq!(lines[6], format!("{by} asked for `weft rollback 99`"));
    let failed = format!(
        "`weft rollback 99`, which {by} asked for, did not come about: error[no-generation]"
    );
    assert!(lines[7].starts_with(&failed), "{said:?}");
    assert_eq!(lines.len(), 8);
    is(&node, &["history"], 0, "way back from generation 2, to commit ");

    // What is changed afterwards shows, and stops nothing.
    let path = "var/lib/weft/audit/00000001.jsonl";
    let text = std::fs::read_to_string(node.root.join(path)).unwrap();
    node.put(path, text.replace("\"resume\"", "\"nothing\"").as_bytes());
    let said = node.run(&["audit"]);
    let broken = "!!!  line 4 of `/var/lib/weft/audit/00000001.jsonl` does not follow";
    assert!(said.code == 1 && said.out.contains(broken), "{}", said.all());
    assert!(said.err.contains("at 1 place"), "{}", said.all());
    assert_eq!(said.out.lines().count(), 9, "all that can be read is listed: {}", said.out);
    let documents = node.run(&["audit", "--json"]);
    assert_eq!(documents.json()[3]["event"], "broken");
    assert_eq!((documents.code, documents.json().as_array().unwrap().len()), (1, 9));
    is(&node, &["resume"], 0, "lifted");
    gateway(&repository, 3);
    is(&node, &["sync"], 0, "runs commit");
}

#[test]
fn the_status_knows_the_hold_of_now() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["hold", "--reason", "a disk is changed"], 0, "held by");
    is(&node, &["status"], 0, "hold     held by");
    let status = node.run(&["status", "--json"]).json();
    for hold in [&status["hold"], &status["last"]["hold"]] {
        assert_eq!(hold["reason"], "a disk is changed");
    }
    gateway(&repository, 2);
    is(&node, &["plan"], 3, "this node is held by");
    is(&node, &["sync"], 3, "held by");
    is(&node, &["status"], 3, "a disk is changed");
    is(&node, &["hold", "--reason", "still"], 0, "before that it was held by");
    let status = node.run(&["status"]);
    assert!(status.code == 3 && !status.out.contains("a disk"), "{}", status.out);
    is(&node, &["resume"], 0, "the next turn applies what is pending");
    let status = node.run(&["status"]);
    assert!(status.code == 2 && !status.out.contains("held by"), "{}", status.out);
    assert_eq!(node.run(&["status", "--json"]).json()["hold"], serde_json::Value::Null);
    node.put("var/lib/weft/hold", b"{");
    is(&node, &["status"], 1, "hold     `/var/lib/weft/hold` cannot be read");
    for reason in ["", " \t"] {
        is(&node, &["hold", "--reason", reason], 64, "say why");
    }
    is(&node, &["hold", "--for", "999999h", "--reason", "x"], 64, "within a year");
}

#[test]
fn a_way_back_that_cannot_be_gone_holds_nobody() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["rollback", "999"], 1, "there is no generation 999; there are 0, 1, 2");
    assert!(!node.root.join("var/lib/weft/hold").exists());
    is(&node, &["hold", "--reason", "a disk is changed"], 0, "held by");
    is(&node, &["rollback", "999"], 1, "there is no generation 999");
    // What failed says nothing of the hold.
    is(&node, &["status"], 0, "hold     held by");
    assert!(node.run(&["status"]).out.contains("a disk is changed"));
    let generations = node.root.join("var/lib/weft/gen");
    let mut first = std::fs::read_dir(&generations).unwrap().map(|entry| entry.unwrap().path());
    let first = first.find(|path| path.to_str().unwrap().ends_with('1')).unwrap();
    std::fs::remove_dir_all(first).unwrap();
    is(&node, &["rollback"], 1, "there is no generation 1");
    assert!(node.run(&["status"]).out.contains("a disk is changed"));
    assert!(has(&node, 2));
}

#[test]
fn a_way_back_that_changes_nothing_leaves_the_status_as_it_was() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    let last = || node.run(&["status", "--json"]).json()["last"].clone();
    let before = last();
    is(&node, &["rollback", "99"], 1, "there is no generation 99");
    is(&node, &["rollback"], 4, "`weft rollback 0` takes away all that weft made");
    assert_eq!(last(), before);
    let path = node.root.join("etc/weft/agent.yaml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, settings.replace("mode: apply", "mode: aply")).unwrap();
    is(&node, &["rollback", "99"], 1, "there is no generation 99");
    is(&node, &["rollback"], 4, "`weft rollback 0` takes away all that weft made");
    assert_eq!(last(), before);
}

#[test]
fn whoever_resumes_is_told_what_the_next_turn_does() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["rollback"], 0, "generation 1 runs again");
    is(&node, &["resume"], 0, "is left alone all the same");
    gateway(&repository, 3);
    is(&node, &["sync"], 0, "runs commit");
    // A turn that failed trusted nothing: what was undone before is not what waits.
    let (work, away) = (repository.home().join("work"), repository.home().join("away"));
    std::fs::rename(&work, &away).unwrap();
    is(&node, &["sync"], 1, "error");
    std::fs::rename(&away, &work).unwrap();
    is(&node, &["hold", "--reason", "x"], 0, "held by");
    is(&node, &["resume"], 0, "the next turn applies what is pending");
    let path = node.root.join("etc/weft/agent.yaml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, settings.replace("mode: apply", "mode: observe")).unwrap();
    is(&node, &["hold", "--reason", "x"], 0, "held by");
    is(&node, &["resume"], 0, "this node observes (`mode: observe` in its settings)");
    // Until the next turn, what the last one says was said in another mode.
    let differs =
        "n1 of cluster lab, mode apply in the last turn; its settings say `mode: observe`";
    is(&node, &["status"], 1, differs);
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["status"], 0, "n1 of cluster lab, mode observe\n");
}

#[test]
fn who_goes_back_again_never_comes_forward() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["rollback"], 4, "`weft rollback 0` takes away all that weft made");
    assert!(!node.root.join("var/lib/weft/hold").exists(), "what is refused holds nobody");
    for last in [2, 3] {
        gateway(&repository, last);
        is(&node, &["sync"], 0, "runs commit");
    }
    is(&node, &["rollback"], 0, "generation 2 runs again");
    is(&node, &["status"], 3, "hold     held by weft rollback");
    is(&node, &["rollback"], 0, "generation 1 runs again");
    is(&node, &["rollback"], 4, "weft rollback 0");
    assert!(has(&node, 1));
    // What was gone back from is left alone for a while, and that is said.
    is(&node, &["resume"], 0, "is left alone all the same");
    is(&node, &["sync"], 6, "is left alone: this rendering was undone once");
    is(&node, &["plan"], 3, "is left alone");
    is(&node, &["apply", "--refresh"], 0, "runs commit");
    assert!(has(&node, 3));
    is(&node, &["rollback", "0"], 0, "generation 0 runs again");
    assert!(node.file().is_none());
    is(&node, &["rollback"], 4, "nothing ran before it");
}

#[test]
fn ways_back_need_no_settings() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, "runs commit");
    gateway(&repository, 2);
    is(&node, &["sync"], 0, "runs commit");
    let path = node.root.join("etc/weft/agent.yaml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, settings.replace("mode: apply", "mode: aply")).unwrap();
    let wrong = "the node's settings are wrong: /etc/weft/agent.yaml:4:7: ";
    is(&node, &["sync"], 1, "aply");
    for (words, code, says) in [
        (&["hold", "--reason", "a typing error"][..], 0, "n1 is held by"),
        (&["status"], 1, "n1 of cluster lab, its settings cannot be used"),
        (&["rollback", "9"], 1, "there is no generation 9"),
        (&["rollback"], 0, "n1: generation 1 runs again; no commit is applied"),
    ] {
        let said = node.run(words);
        assert!(said.code == code && said.all().contains(says), "{words:?}: {}", said.all());
        assert!(said.err.starts_with(&format!("warning: {wrong}")), "{words:?}: {}", said.err);
    }
    assert!(has(&node, 1));
    is(&node, &["status"], 1, "last     ");
    is(&node, &["history"], 0, "way back from generation 2");
    is(&node, &["audit"], 0, "asked for `weft rollback`");
    is(&node, &["confirm"], 1, "no window is open");
    is(&node, &["resume"], 0, "lifted");
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(node.root.join("run/weft/status.json")).unwrap();
    is(&node, &["hold", "--reason", "x"], 0, "this node is held by");
    is(&node, &["rollback", "2"], 0, "this node: generation 2 runs again");
    assert!(has(&node, 2));
    std::fs::write(&path, settings).unwrap();
    is(&node, &["resume"], 0, "lifted");
    is(&node, &["sync"], 0, "runs commit");
}

#[test]
fn drift_is_undone_three_times_an_hour_whoever_makes_the_turn() {
    let repository = declared();
    let node = Node::with(&repository, "n1", "lab", "mode: apply\ndrift: {files: correct}\n");
    is(&node, &["sync"], 0, "runs commit");
    let by_hand = || node.put(super::node::FILE, b"# by hand\n");
    for _ in 0..3 {
        by_hand();
        is(&node, &["sync"], 0, "runs commit");
        assert!(has(&node, 1));
    }
    by_hand();
    is(&node, &["sync"], 5, "came back 3 times within the hour");
    assert!(!has(&node, 1));
    is(&node, &["audit"], 0, "confirmed correction 4 of drift from generation 1 (");
    is(&node, &["history"], 0, "correction of drift, back to commit ");
    node.put("var/lib/weft/corrections", b"{}");
    is(&node, &["sync"], 5, "`/var/lib/weft/corrections` cannot be read");
    std::fs::remove_file(node.root.join("var/lib/weft/corrections")).unwrap();
    is(&node, &["sync"], 0, "runs commit");
    assert!(has(&node, 1));
}

#[test]
fn whoever_confirms_on_a_dry_node_is_told_that_nothing_waits_for_it() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let said = node.run(&["sync", "--confirm", "manual"]);
    assert!(said.code == 0 && said.err.contains("no window that a person"), "{}", said.all());
    let node = Node::with(&repository, "n2", "lab", "mode: apply\nconfirm: {mode: manual}\n");
    is(&node, &["sync"], 0, "no window that a person could confirm");
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

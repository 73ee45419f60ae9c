//! What a node says of how it stands: whom a message is for must know what to do after it.

use std::os::unix::net::UnixListener;

use super::node::{Node, declared};

#[track_caller]
fn is(node: &Node<'_>, words: &[&str], code: i32, says: &[&str]) {
    let said = node.run(words);
    assert_eq!(said.code, code, "{words:?}: {}", said.all());
    for says in says {
        assert!(said.all().contains(says), "`{says}`: {words:?}: {}", said.all());
    }
}

#[test]
fn what_stands_on_broken_trust_files_is_told_with_a_way_that_works() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    let policy = std::fs::read(repository.home().join("work/.weft/policy.yaml")).unwrap();
    repository.commit("alice", &[(".weft/policy.yaml", b"roles: {root: [\n")]);
    let amend = "off the branch or amend it (`git commit --amend -S`";
    is(&node, &["sync"], 4, &["refused[trust-files-broken]", amend]);
    // A commit on top mends nothing, and that is said.
    repository.commit("alice", &[(".weft/policy.yaml", &policy)]);
    let on_top = "refused[on-refused]: 1 commit on top of a refused one\n  = help: nothing on top of a refused commit is accepted";
    is(&node, &["sync"], 4, &[on_top, "push again"]);
    // As the help says.
    repository.git(&["reset", "-q", "--soft", "HEAD~2"]);
    repository.signed("alice", &["commit", "-q", "--allow-empty", "-m", "sdn: mended"]);
    is(&node, &["sync"], 0, &["runs commit"]);
}

#[test]
fn a_branch_that_was_put_back_does_not_look_like_one_that_is_in_order() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let first = repository.head().to_string();
    is(&node, &["sync"], 0, &["runs commit"]);
    let newest = repository
        .commit("alice", &[("sdn/more.yaml", b"zones:\n  two: {type: simple}\n")])
        .to_string();
    is(&node, &["sync"], 0, &["runs commit"]);
    assert!(!node.run(&["sync"]).all().contains("behind"));
    repository.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let (first, short) = (&first[..12], &newest[..12]);
    let behind = format!(
        "the branch is behind what this node accepted: it shows {first}, and {short} (sequence 3) stays"
    );
    for words in [&["plan"][..], &["sync"], &["sync"], &["status"]] {
        is(&node, words, 0, &[&behind, "`git revert`"]);
    }
    repository.git(&["reset", "-q", "--hard", &newest]);
    is(&node, &["sync"], 0, &["runs commit"]);
    assert!(!node.run(&["status"]).all().contains("behind"));
}

#[test]
fn a_mirror_that_lags_is_no_branch_that_was_put_back() {
    let repository = declared();
    let mirror = repository.home().join("mirror.git");
    let mirror = mirror.to_str().unwrap();
    repository.git(&["clone", "-q", "--bare", ".", mirror]);
    let node = Node::new(&repository, "n1");
    let path = node.root.join("etc/weft/agent.yaml");
    let settings = std::fs::read_to_string(&path).unwrap();
    let more = format!("remotes:\n  - {{name: mirror, url: \"file://{mirror}\"}}\n");
    std::fs::write(&path, settings.replace("remotes:\n", &more)).unwrap();
    repository.commit("alice", &[("sdn/more.yaml", b"zones:\n  two: {type: simple}\n")]);
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["sync"], 0, &["runs commit"]);
    let said = node.run(&["status"]).all();
    assert!(said.contains("mirror is behind") && !said.contains("the branch is behind"), "{said}");
}

#[test]
fn a_node_that_nobody_looked_at_is_not_in_order() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let unlooked = "no turn was made since the machine started";
    is(&node, &["status"], 1, &[unlooked, "`weft sync`"]);
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["status"], 0, &["runs commit", "agent    none runs\n"]);
    assert_eq!(node.run(&["status", "--json"]).json()["agent"], false);
    // As when the machine starts anew.
    std::fs::remove_file(node.root.join("run/weft/status.json")).unwrap();
    is(&node, &["status"], 1, &["runs     commit", unlooked]);
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["status"], 0, &["runs commit"]);
    // Nobody listens any more at a socket whose process was killed.
    let socket = node.root.join("run/weft/socket");
    drop(UnixListener::bind(&socket).unwrap());
    is(&node, &["status"], 0, &["agent    none runs: `/run/weft/socket` is left of one"]);
    std::fs::remove_file(&socket).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    assert!(!node.run(&["status"]).all().contains("agent    "));
    drop(listener);
    node.put("etc/weft/agent.yaml", b"cluster: lab\nintervall: 5\n");
    let broken = "its settings cannot be used, and no turn can be made with them";
    is(&node, &["status"], 1, &["n1 of cluster lab", broken]);
}

#[test]
fn a_remote_that_answered_is_not_called_unreached() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    repository.git(&["mv", "sdn", "real"]);
    std::os::unix::fs::symlink("real", repository.home().join("work/sdn")).unwrap();
    repository.git(&["add", "-A"]);
    repository.commit_index("alice");
    is(&node, &["sync"], 4, &["tree-unreadable"]);
    is(&node, &["status"], 4, &["origin is unread, showed", "[tree-unreadable]"]);
    let away = repository.home().join("away");
    std::fs::rename(repository.home().join("work"), &away).unwrap();
    is(&node, &["sync"], 1, &["error"]);
    is(&node, &["status"], 1, &["origin is unreached, showed"]);
}

#[test]
fn damage_is_not_called_an_apply_that_was_interrupted() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    node.put("var/lib/weft/gen/00000001/manifest.json", b"");
    let said = node.run(&["sync"]);
    assert!(!said.all().contains("interrupted"), "{}", said.all());
    is(
        &node,
        &["sync"],
        5,
        &["error[state-damaged]", "`/var/lib/weft/gen/00000001/manifest.json` is damaged"],
    );
}

#[test]
fn who_looks_for_an_option_of_another_name_is_told_it() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    is(&node, &["hold", "--until", "17:00", "--reason", "x"], 64, &["tip: ", "`--for 2h`"]);
    is(&node, &["sync", "--dry-run"], 64, &["tip: ", "`weft plan` shows what would be done"]);
    is(&node, &["apply", "--dry-run"], 64, &["`weft plan` shows what would be done"]);
    let said = node.run(&["sync", "--nonsense"]).all();
    assert!(!said.contains("weft plan"), "{said}");
}

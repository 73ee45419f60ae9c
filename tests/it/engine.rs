//! Which engine a node has, and from when on.

use std::fs;

use serde_json::Value;

use crate::node::{Node, declared};

/// The engine is of the node's settings, and what runs says by which a way back goes.
#[test]
fn another_engine_counts_without_a_commit() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let engines = || {
        let journal = node.root.join("var/lib/weft/journal");
        let mut names: Vec<_> =
            fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let newest: Value =
            serde_json::from_slice(&fs::read(names.last().unwrap()).unwrap()).unwrap();
        (names.len(), newest["engine"].as_str().unwrap().to_owned())
    };
    let before = engines();
    assert_eq!(before.1, "native");
    let settings = fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    node.put("etc/weft/agent.yaml", format!("engine: ifupdown2\n{settings}").as_bytes());
    assert_eq!(node.run(&["plan"]).code, 0);
    assert_eq!(engines(), before);
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(engines(), (before.0 + 1, "ifupdown2".to_owned()));
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(engines(), (before.0 + 1, "ifupdown2".to_owned()));
}

//! How much one commit may take away from a node.

use super::node::{Node, Said};
use super::trust::repository::{POLICY, Repository};

const NODES: &[u8] = b"nodes:\n  n1: {address: 192.0.2.1}\n";

/// Vnets `va`, `vb` and so on.
fn vnets(count: u8) -> Vec<u8> {
    if count == 0 {
        return b"vnets: {}\n".to_vec();
    }
    let vnet = |n: u8| format!("  v{}: {{zone: one}}\n", char::from(b'a' + n));
    let vnets: String = (0..count).map(vnet).collect();
    format!("vnets:\n{vnets}").into_bytes()
}

fn with_policy(repository: &Repository, limits: &str) {
    let policy = format!("{POLICY}removal: {limits}\n");
    repository.commit("alice", &[(".weft/policy.yaml", policy.as_bytes())]);
}

fn change(repository: &Repository, count: u8) {
    repository.commit("bob", &[("sdn/vnets.yaml", &vnets(count))]);
}

/// A node that runs four vnets.
fn begin() -> Repository {
    let repository = Repository::new();
    repository.commit("alice", &[("sdn/nodes.yaml", NODES), ("sdn/vnets.yaml", &vnets(4))]);
    repository
}

fn refused(node: &Node<'_>, code: &str) {
    let runs = node.runs();
    let said: Said = node.run(&["sync"]);
    assert_eq!(said.code, 4, "{}", said.all());
    assert_eq!(node.runs(), runs);
    let plan = node.run(&["plan", "--json"]);
    assert!(plan.all().contains(code), "{code}: {}", plan.all());
}

fn applied(repository: &Repository, node: &Node<'_>) {
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(node.runs(), Some(repository.head().to_string()));
}

#[test]
fn everything_is_taken_away_only_where_the_policy_lets_it() {
    let repository = begin();
    let node = Node::new(&repository, "n1");
    applied(&repository, &node);
    change(&repository, 0);
    refused(&node, "removes-everything");
    // A second commit of the same files excuses nothing: the node never ran them.
    repository.commit("bob", &[("docs/x", b"1")]);
    repository.commit("bob", &[("docs/x", b"-")]);
    refused(&node, "removes-everything");
    // Less than all of it may go, however much.
    repository.commit("bob", &[("sdn/vnets.yaml", &vnets(1)), ("docs/y", b"1")]);
    applied(&repository, &node);
    change(&repository, 0);
    refused(&node, "removes-everything");
    with_policy(&repository, "{everything: true}");
    applied(&repository, &node);
}

#[test]
fn a_limit_of_vnets_and_one_of_percent() {
    for limits in ["{max-vnets: 1}", "{max-percent: 25}", "{max-vnets: 3, max-percent: 49}"] {
        let repository = begin();
        let node = Node::new(&repository, "n1");
        with_policy(&repository, limits);
        applied(&repository, &node);
        change(&repository, 2);
        refused(&node, "removes-too-much");
        change(&repository, 3);
        applied(&repository, &node);
    }
    // The limit is that of the accepted commit, so that root can raise it with the change.
    let repository = begin();
    let node = Node::new(&repository, "n1");
    with_policy(&repository, "{max-vnets: 0}");
    applied(&repository, &node);
    change(&repository, 3);
    refused(&node, "removes-too-much");
    with_policy(&repository, "{max-vnets: 1}");
    applied(&repository, &node);
}

#[test]
fn a_revert_may_take_away_what_came_since() {
    let repository = begin();
    let node = Node::new(&repository, "n1");
    with_policy(&repository, "{max-vnets: 0}");
    applied(&repository, &node);
    let before = repository.head();
    change(&repository, 9);
    applied(&repository, &node);
    change(&repository, 5);
    refused(&node, "removes-too-much");
    // The files of a commit that the node ran, byte for byte.
    repository.git(&["checkout", "-q", &before.to_string(), "--", "."]);
    repository.commit_index("bob");
    applied(&repository, &node);
}

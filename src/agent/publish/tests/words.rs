//! What nodes say that they confirmed, and what they write down of it.

use super::*;

#[test]
fn a_node_that_went_back_is_not_counted_any_more() {
    let cluster = Cluster::new(2);
    let (first, second) = (commit(1, FIRST), commit(2, SECOND));
    cluster.turns(&first);
    cluster.turn(0, &second);
    let settings = settings::read(&self::settings()).expect("legal");
    let back = Running {
        commit: Some(first.record.clone()),
        generation: 1,
        rendering: None,
        since: first.record.committed,
        passed_hold: None,
    };
    let (_, host) = &cluster.nodes[0];
    let publication =
        of_turn(host, &settings, &second.record, &Tree::default(), Some(&back)).expect("asked");
    assert_eq!(told(&publication), "pve-waits-for-nodes");
    assert_eq!(publication.published.expect("the first").sequence, 1);
    let publication = cluster.turn(1, &second);
    assert_eq!(publication.waiting, ["n1".parse().expect("a name")]);
    assert_eq!(cluster.version(), 1);
}

/// Who does not publish any more says nothing any more: the others would publish for it.
#[test]
fn a_node_that_does_not_publish_is_not_counted_any_more() {
    for other in [("pve: publish", "pve: off"), ("mode: apply", "mode: observe")] {
        let cluster = Cluster::new(2);
        let (first, second) = (commit(1, FIRST), commit(2, SECOND));
        cluster.turns(&first);
        cluster.turn(0, &second);
        let settings = settings::read(&self::settings().replace(other.0, other.1)).expect("legal");
        let (_, host) = &cluster.nodes[0];
        let running = Running {
            commit: Some(second.record.clone()),
            generation: 2,
            rendering: None,
            since: second.record.committed,
            passed_hold: None,
        };
        let tree = Tree::default();
        assert!(of_turn(host, &settings, &second.record, &tree, Some(&running)).is_none());
        assert_eq!(cluster.text("/etc/pve/nodes/n1/weft.json"), "");
        let publication = cluster.turn(1, &second);
        assert_eq!(publication.waiting, ["n1".parse().expect("a name")]);
        assert_eq!(cluster.version(), 1);
    }
}

/// Nodes run commits that Proxmox could not tell from each other.
#[test]
fn nodes_write_down_the_same_commit() {
    let cluster = Cluster::new(2);
    let (first, second) = (commit(1, FIRST), commit(2, FIRST));
    cluster.turns(&first);
    cluster.turn(0, &second);
    let before = cluster.shared.fingerprint();
    for _ in 0..2 {
        for (node, commit) in [(1, &first), (0, &second)] {
            let published = cluster.turn(node, commit).published.expect("it is");
            assert_eq!((published.sequence, published.commit), (1, first.record.commit));
        }
    }
    assert_eq!(cluster.shared.fingerprint(), before);
    let published = cluster.turns(&second).remove(0).published.expect("it is");
    assert_eq!((published.sequence, published.commit), (2, second.record.commit));
}

//! Agents that give addresses on a server by themselves: one at a time.

use super::turns::{Scene, Server, is, time_is_over};
use crate::names::agents::{start, until};

/// While another node has the right to write, an agent's turn reads, writes nothing, and says
/// why; when the time of that node is over it gives what is missing.
fn an_agent_stands_by(server: Server, addresses: &'static str) {
    let scene = Scene::with(server);
    scene.declare(&[1]);
    let (one, two) = (scene.node("n1", &scene.leases()), scene.node("n2", &scene.leases()));
    is(&one, &["ipam", "apply"], 0, "objects as wanted");
    scene.declare(&[1, 2]);
    is(&one, &["sync"], 0, "runs commit");
    scene.dies_writing(&one, addresses);
    let (count, record) = (scene.writes(), scene.writer());
    let _agent = start(&two);
    let says = |words: &str| two.run(&["status"]).all().contains(words);
    until("it to stand by", &[&two], || {
        says("IPAM server `nb`: nothing is written there: node `n1` writes, for at most")
    });
    let holds = |address: &str| {
        let held = two.run(&["ipam", "list", "--local"]);
        held.code == 0 && held.out.contains(address)
    };
    assert!(holds("10.0.0.2") && !holds("10.0.0.3"), "what it reads serves");
    assert_eq!((scene.writes(), scene.writer()), (count, record));
    if !time_is_over(&two) {
        return;
    }
    until("the second address", &[&two], || holds("10.0.0.3"));
    assert!(scene.writes() > count);
    until("the right to be given back", &[&two], || scene.writer()["held"] == false);
    assert_eq!(scene.writer()["node"], "n2");
}

#[test]
fn an_agent_stands_by_while_another_node_writes_on_netbox() {
    an_agent_stands_by(Server::netbox(), "/ip-addresses/");
}

#[test]
fn an_agent_stands_by_while_another_node_writes_on_phpipam() {
    an_agent_stands_by(Server::phpipam(), "/addresses/");
}

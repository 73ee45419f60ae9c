//! What is declared of ports of guests, on a node without a hypervisor that would do it.

use std::time::Duration;

use crate::guest::Guest;
use crate::kernel::json;
use crate::lab::Lab;
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(180),
    ..Case::new("ports_are_isolated_when_they_appear", &[Need::Bridge], are_isolated)
}];

/// Longer than a turn with its window.
const PATIENCE: Duration = Duration::from_secs(60);
/// Much longer than a port that appears waits to be looked at.
const SOON: Duration = Duration::from_secs(3);

fn network(isolated: bool) -> String {
    format!(
        "zones: {{outz: {{type: simple}}}}\n\
         vnets: {{va: {{zone: outz, isolate-ports: {isolated}, subnets: {{10.0.0.0/24: {{gateway: 10.0.0.1}}}}}}}}\n"
    )
}

fn is_isolated(node: &Node, port: &str) -> bool {
    let path = format!("/sys/class/net/{port}/brport/isolated");
    node.exists(&path) && node.read(&path).trim() == "1"
}

#[track_caller]
fn bring(scene: &Scene<'_>, node: &Node, isolated: bool) {
    let commit = scene.push(&network(isolated));
    scene.try_sync(node, &["sync"]);
    wait_until(PATIENCE, "the commit is confirmed", || {
        let said = node.exec(&["weft", "--json", "status"]);
        said.code() == 0 && json(&said.stdout)["running"]["commit"]["commit"] == commit
    });
}

/// Guests that start beside a running agent do not reach each other, and do when that is
/// declared no more. One that starts while no agent runs is named by the status, and seen to
/// by the agent's start.
fn are_isolated(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    scene.mirror(&node);
    let agent = node.spawn(&["weft", "agent"]);
    bring(&scene, &node, true);
    let plan = |number: u32| {
        Guest::plan(number).address(&format!("10.0.0.{number}/24")).gateway("10.0.0.1")
    };
    let [first, second] = [101, 102].map(|number| plan(number).start(lab, &node, "va"));
    for guest in [&first, &second] {
        let port = guest.port();
        wait_until(SOON, &format!("{port} is isolated"), || is_isolated(&node, &port));
    }
    first.reaches("10.0.0.1");
    second.reaches("10.0.0.1");
    first.does_not_reach("10.0.0.102");
    second.does_not_reach("10.0.0.101");
    bring(&scene, &node, false);
    first.reaches("10.0.0.102");
    second.reaches("10.0.0.101");
    bring(&scene, &node, true);
    first.does_not_reach("10.0.0.102");

    drop(agent);
    let third = plan(103).start(lab, &node, "va");
    third.reaches("10.0.0.101");
    let said = node.exec(&["weft", "status"]).stdout;
    let line = format!("port     `{}` of a guest on `va` is not isolated", third.port());
    assert!(said.lines().any(|found| found == line), "{said}");
    let _agent = node.spawn(&["weft", "agent"]);
    wait_until(PATIENCE, "the third is isolated", || is_isolated(&node, &third.port()));
    third.does_not_reach("10.0.0.101");
    third.reaches("10.0.0.1");
    assert!(!node.exec(&["weft", "status"]).stdout.contains("port     "));
}

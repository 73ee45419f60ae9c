//! The steps of the demo, each with what must come of it.

use super::origin::Signer;
use super::scene::{NODES, Scene};
use super::{Play, expect};
use crate::agent::status::State;
use crate::agent::turn::{Purpose, Report};
use crate::cli::failure::{Exit, Failure};
use crate::cli::findings;
use crate::cli::output::Output;
use crate::render::without_version;

pub(super) const STEPS: &[Play<Scene, String>] = &[
    (
        "found",
        "Alice makes a configuration repository from an example and signs its first commit",
        found,
    ),
    (
        "introduce",
        "Three nodes are introduced: each is told one commit and one key, out of band",
        introduce,
    ),
    ("apply", "Each node pulls, verifies, validates, renders and applies", apply),
    ("plan", "Alice adds a vnet to a zone that only node2 has; every node shows its plan", plan),
    ("change", "The nodes apply the change; only node2 is touched", change),
    ("unsigned", "Somebody with access to the git server pushes an unsigned commit", unsigned),
    ("unknown-key", "Mallory signs as Alice, with a key of her own", unknown_key),
    (
        "rewritten",
        "The git server rewrites the branch to drop a commit that nodes have accepted",
        rewritten,
    ),
    ("findings", "Alice signs a commit with a mistake in it", broken),
    ("revert", "Alice reverts, and the first state is back", revert),
];

/// A vnet in a zone that only node2 has.
const CHANGE: &str = "\
zones:
  lab: {type: simple, nodes: [node2]}
vnets:
  labnet:
    zone: lab
    alias: only on node2
    subnets:
      10.77.0.0/24: {gateway: 10.77.0.1}
";

/// The same with two mistakes.
const MISTAKE: &str = "\
zones:
  lab: {type: simple, nodes: [node2]}
vnets:
  labnet:
    zone: lap
    subnets:
      10.77.0.0/24: {gateway: 10.78.0.1}
";

fn turn(scene: &Scene, node: &str, purpose: Purpose) -> Result<Report, Failure> {
    scene.turn(node, purpose)?.map_err(|error| Failure::from_error(Exit::Failed, &error))
}

fn found(scene: &mut Scene, _: Output) -> Result<String, Failure> {
    let commit = scene.found()?;
    Ok(format!("commit {} on main, signed with an SSH key", commit.short()))
}

fn introduce(scene: &mut Scene, _: Output) -> Result<String, Failure> {
    scene.provision()?;
    Ok(format!("{} have settings; the repository holds no secret", NODES.join(", ")))
}

fn apply(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    for node in NODES {
        let report = turn(scene, node, Purpose::Sync)?;
        expect(
            report.status.state == State::InOrder,
            format!("{node}: {}", report.status.message),
        )?;
        let file = scene.file(node)?;
        expect(file.contains("iface "), format!("{node} has no interfaces file"))?;
        output.say(format!("   {node}: {}", report.status.message));
        scene.first_files.insert(node, file);
    }
    Ok("each node wrote its own /etc/network/interfaces.d/sdn".to_owned())
}

fn plan(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    let commit = scene.origin.commit(
        scene.origin.tip,
        &[("sdn/lab.yaml", CHANGE)],
        "Add labnet",
        Signer::Alice,
    )?;
    scene.origin.push_good(commit)?;
    for node in NODES {
        let report = turn(scene, node, Purpose::Plan)?;
        let plan = report.plan.ok_or_else(|| Failure::new(Exit::Failed, "there is no plan"))?;
        expect(plan.is_empty() == (node != "node2"), format!("{node}: {}", plan.summary()))?;
        output.say(format!("   {node}:"));
        for line in plan.text().lines() {
            output.say(format!("     {line}"));
        }
        expect(
            scene.file(node)? == scene.first_files[node],
            format!("the plan of {node} changed it"),
        )?;
    }
    Ok("node2 adds one bridge, node1 and node3 have nothing to do; nothing was changed".to_owned())
}

fn change(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    for node in NODES {
        let report = turn(scene, node, Purpose::Sync)?;
        expect(
            report.status.state == State::InOrder,
            format!("{node}: {}", report.status.message),
        )?;
        let runs =
            report.status.running.and_then(|running| running.commit).map(|commit| commit.commit);
        expect(runs == scene.origin.tip, format!("{node} does not run the newest commit"))?;
        let touched = scene.file(node)? != scene.first_files[node];
        expect(
            touched == (node == "node2"),
            format!("{node} was{} touched", if touched { "" } else { " not" }),
        )?;
        output.say(format!("   {node}: {}", report.status.message));
    }
    Ok("all three run the new commit; the files of node1 and node3 were not even written"
        .to_owned())
}

/// Pushes a commit that must be refused with a reason, and puts the branch back.
fn refused(
    scene: &mut Scene,
    output: Output,
    commit: crate::value::ObjectId,
    code: &str,
) -> Result<String, Failure> {
    scene.origin.push(commit)?;
    for node in NODES {
        let before = scene.file(node)?;
        let report = turn(scene, node, Purpose::Sync)?;
        let message = report.status.message;
        expect(report.status.state == State::Refused, format!("{node}: {message}"))?;
        let runs =
            report.status.running.and_then(|running| running.commit).map(|commit| commit.commit);
        expect(runs == scene.origin.tip, format!("{node} does not run the last good commit"))?;
        let codes: Vec<String> =
            report.status.refused.into_iter().map(|refused| refused.code).collect();
        expect(
            codes.iter().any(|found| found == code),
            format!("{node}: not refused for `{code}`: {message}"),
        )?;
        expect(scene.file(node)? == before, format!("{node} was changed by a refused commit"))?;
        output.say(format!("   {node}: {message}"));
    }
    if let Some(tip) = scene.origin.tip {
        scene.origin.push(tip)?;
    }
    Ok(format!("refused on every node ({code}); nothing was changed"))
}

fn unsigned(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    let commit = scene.origin.commit(
        scene.origin.tip,
        &[("sdn/lab.yaml", "{}\n")],
        "Remove labnet",
        Signer::Nobody,
    )?;
    refused(scene, output, commit, "unsigned")
}

fn unknown_key(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    let commit = scene.origin.commit(
        scene.origin.tip,
        &[("sdn/lab.yaml", "{}\n")],
        "Remove labnet",
        Signer::Mallory,
    )?;
    refused(scene, output, commit, "signer-unknown")
}

fn rewritten(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    let commit = scene.origin.commit(
        scene.origin.first,
        &[("sdn/lab.yaml", "{}\n")],
        "Another second commit",
        Signer::Alice,
    )?;
    refused(scene, output, commit, "rewritten")
}

fn broken(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    let commit = scene.origin.commit(
        scene.origin.tip,
        &[("sdn/lab.yaml", MISTAKE)],
        "Move labnet",
        Signer::Alice,
    )?;
    scene.origin.push_good(commit)?;
    for node in NODES {
        let before = scene.file(node)?;
        let report = turn(scene, node, Purpose::Sync)?;
        expect(
            report.status.state == State::Refused,
            format!("{node}: {}", report.status.message),
        )?;
        expect(report.findings.has_errors(), format!("{node} has no finding"))?;
        expect(
            scene.file(node)? == before,
            format!("{node} was changed by a commit with findings"),
        )?;
        if node == NODES[0] {
            let source = |path: &_| report.tree.get(path).map(AsRef::as_ref);
            for line in findings::text(&report.findings, source, output.is_coloured()).lines() {
                output.say(format!("   {line}"));
            }
        }
    }
    Ok("the commit is trusted, its declarations are not applied; each finding has its place"
        .to_owned())
}

fn revert(scene: &mut Scene, output: Output) -> Result<String, Failure> {
    let first = scene.origin.first.ok_or_else(|| Failure::new(Exit::Failed, "no first commit"))?;
    let commit = scene.origin.revert_to(first, "Revert \"Move labnet\" and \"Add labnet\"")?;
    scene.origin.push_good(commit)?;
    for node in NODES {
        let report = turn(scene, node, Purpose::Sync)?;
        expect(
            report.status.state == State::InOrder,
            format!("{node}: {}", report.status.message),
        )?;
        let file = scene.file(node)?;
        let first = &scene.first_files[node];
        expect(
            without_version(&file) == without_version(first),
            format!("{node} does not have the bytes of the first state"),
        )?;
        output.say(format!("   {node}: {}", report.status.message));
    }
    Ok("the bytes of the first state are back; only the sequence number in line 1 of node2's file went on".to_owned())
}

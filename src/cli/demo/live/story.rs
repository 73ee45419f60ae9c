//! The steps of the live demo, each with what must come of it, and what guests notice of it.

use std::time::Duration;

use super::guest::Pings;
use super::scene::{Scene, Synced};
use crate::cli::demo::origin::Signer;
use crate::cli::demo::{Play, Told, expect};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::value::ObjectId;

pub(super) const STEPS: &[Play<Scene, Told>] = &[
    (
        "introduce",
        "Two nodes with empty networks are introduced: each is told one commit and one key",
        introduce,
    ),
    ("vxlan", "Alice signs a VXLAN zone with two vnets; a guest starts on each node", vxlan),
    ("change", "Alice adds a vnet and renumbers another, while the guests ping each other", change),
    ("unsigned", "Somebody with access to the git server pushes an unsigned commit", unsigned),
    ("unknown-key", "Mallory signs as Alice, with a key of her own", unknown_key),
    ("outage", "Alice moves the tunnels to a network that does not connect the nodes", outage),
    ("revert", "Alice reverts both, and the first state is back", revert),
];

/// How long the guests ping each other before anything else happens.
const BESIDE: Duration = Duration::from_secs(1);
const CLUSTER: &str = include_str!("../../../../examples/small/weft.yaml");
const NODES: &str = "\
nodes:
  node1: {address: 192.0.2.1}
  node2: {address: 192.0.2.2}
";
const FILE: &str = "sdn/tunnel.yaml";
const VXLAN: &str = "\
zones:
  tunnel: {type: vxlan, mtu: 1450}
vnets:
  front: {zone: tunnel, tag: 20001, alias: web servers}
  back: {zone: tunnel, tag: 20002, alias: databases}
";
/// A vnet more, and another number for one.
const CHANGE: &str = "\
zones:
  tunnel: {type: vxlan, mtu: 1450}
vnets:
  front: {zone: tunnel, tag: 20001, alias: web servers}
  back: {zone: tunnel, tag: 20003, alias: databases}
  backup: {zone: tunnel, tag: 20004}
";
/// The same through another network. With another port the tunnels are made anew.
const OUTAGE: &str = "\
zones:
  tunnel: {type: vxlan, mtu: 1450, vxlan-port: 4790, peers: [198.51.100.1, 198.51.100.2]}
vnets:
  front: {zone: tunnel, tag: 20001, alias: web servers}
  back: {zone: tunnel, tag: 20003, alias: databases}
  backup: {zone: tunnel, tag: 20004}
";

/// Says what each node says, and that it is what it should be.
fn heard(
    output: Output,
    synced: &[Synced],
    exit: Exit,
    runs: Option<ObjectId>,
) -> Result<(), Failure> {
    for turn in synced {
        let (node, message) = (turn.node, turn.message());
        let ended = match exit {
            Exit::Ok => format!(", confirmed after {:.1} s", turn.took.as_secs_f32()),
            _ => String::new(),
        };
        output.say(format!("   {node}: {message}{ended}"));
        expect(turn.exit == Some(exit as i32), format!("{node} ended otherwise: {message}"))?;
        let runs = runs.map(|runs| runs.to_string()).unwrap_or_default();
        expect(turn.runs() == runs, format!("{node} does not run commit {runs}"))?;
    }
    Ok(())
}

/// Ends a step in which no ping may be lost.
fn unnoticed(scene: &mut Scene, output: Output, detail: String) -> Result<Told, Failure> {
    let pings = noticed(scene, output)?;
    expect(pings.lost == 0, format!("{} of {} pings were lost", pings.lost, pings.sent))?;
    Ok(Told { detail, pings: Some(pings) })
}

fn noticed(scene: &mut Scene, output: Output) -> Result<Pings, Failure> {
    let pings = scene.pings()?;
    expect(pings.sent > 0, "no ping was sent")?;
    let silence = match pings.lost {
        0 => String::new(),
        _ => format!(", none answered for {:.1} s", pings.longest_silence.as_secs_f32()),
    };
    output.say(format!("   the guests: {} of {} pings lost{silence}", pings.lost, pings.sent));
    Ok(pings)
}

fn commit(scene: &mut Scene, text: &str, message: &str) -> Result<(), Failure> {
    let commit = scene.origin.commit(scene.origin.tip, &[(FILE, text)], message, Signer::Alice)?;
    scene.origin.push_good(commit)
}

fn introduce(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    scene.origin.found(&[("weft.yaml", CLUSTER), ("sdn/nodes.yaml", NODES)])?;
    scene.start_nodes()?;
    heard(output, &scene.sync()?, Exit::Ok, scene.origin.tip)?;
    Ok("both run the first commit, which declares no network".to_owned().into())
}

fn vxlan(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    commit(scene, VXLAN, "Add front and back")?;
    heard(output, &scene.sync()?, Exit::Ok, scene.origin.tip)?;
    scene.first = scene.origin.tip;
    scene.start_guests()?;
    std::thread::sleep(BESIDE);
    unnoticed(
        scene,
        output,
        "bridges and VXLAN are in both kernels; the guests in front reach each other".to_owned(),
    )
}

fn change(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    commit(scene, CHANGE, "Add backup, renumber back")?;
    heard(output, &scene.sync()?, Exit::Ok, scene.origin.tip)?;
    unnoticed(scene, output, "both run the new commit; the guests noticed nothing".to_owned())
}

/// Pushes a commit that must be refused with a reason, and puts the branch back.
fn refused(scene: &mut Scene, output: Output, signer: Signer, code: &str) -> Result<Told, Failure> {
    let before = scene.links()?;
    let message = "Remove everything";
    let commit = scene.origin.commit(scene.origin.tip, &[(FILE, "{}\n")], message, signer)?;
    scene.origin.push(commit)?;
    let synced = scene.sync()?;
    heard(output, &synced, Exit::Refused, scene.origin.tip)?;
    for turn in &synced {
        let is_named = turn.codes().any(|found| found == code);
        expect(is_named, format!("{}: not refused for `{code}`", turn.node))?;
    }
    expect(scene.links()? == before, "a refused commit changed a kernel")?;
    if let Some(tip) = scene.origin.tip {
        scene.origin.push(tip)?;
    }
    let detail = format!("refused on both nodes ({code}); nothing was changed, packets flow");
    unnoticed(scene, output, detail)
}

fn unsigned(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    refused(scene, output, Signer::Nobody, "unsigned")
}

fn unknown_key(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    refused(scene, output, Signer::Mallory, "signer-unknown")
}

fn outage(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    let (before, good) = (scene.links()?, scene.origin.tip);
    commit(scene, OUTAGE, "Move the tunnels")?;
    heard(output, &scene.sync()?, Exit::RolledBack, good)?;
    expect(scene.links()? == before, "a kernel is not as it was before")?;
    let pings = noticed(scene, output)?;
    expect(pings.lost > 0, "the guests noticed nothing of an outage")?;
    scene.wait()?;
    let silence = pings.longest_silence.as_secs_f32();
    let detail = format!(
        "undone by the nodes themselves, since what worked before did not; the guests were cut off for {silence:.1} s, and reach each other again"
    );
    Ok(Told { detail, pings: Some(pings) })
}

fn revert(scene: &mut Scene, output: Output) -> Result<Told, Failure> {
    let message = "Revert \"Move the tunnels\" and \"Add backup, renumber back\"";
    let first = scene.first.ok_or_else(|| Failure::new(Exit::Failed, "no first vnets"))?;
    let commit = scene.origin.revert_to(first, message)?;
    scene.origin.push_good(commit)?;
    heard(output, &scene.sync()?, Exit::Ok, scene.origin.tip)?;
    expect(scene.links()? == scene.first_links, "a kernel is not as it was at first")?;
    unnoticed(
        scene,
        output,
        "every interface of both kernels is set as it was when the guests started".to_owned(),
    )
}

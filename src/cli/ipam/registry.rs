//! `weft ipam plan` and `weft ipam apply`: what servers are told of guests.

use serde_json::{Value as Json, json};

use super::{Leave, open, servers};
use crate::agent::addresses;
use crate::agent::names;
use crate::agent::settings::Settings;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node::{self, Node, failed};
use crate::cli::output::{Output, counted};
use crate::network::Leases;
use crate::sync::worker::Cancel;

/// Plans, says what was planned, and does it where that is wanted; with what programs are told.
pub(super) fn run(
    node: &Node,
    settings: &Settings,
    output: Output,
    leave: Leave,
    apply: bool,
) -> Result<(Exit, Json), Failure> {
    let program = (node::program()?, Cancel::default());
    let law = servers::law(node, settings)?;
    let (law, mut leases) = if settings.leases.is_some() || !servers::any(&law) {
        let desk = open(node, settings, &program)?;
        let held =
            addresses::read(&node.host, &desk.branch, &desk.law).map_err(|error| failed(&error))?;
        (desk.law, held.leases)
    } else {
        (law, Leases::new())
    };
    let of_servers =
        addresses::remembered_of_servers(&node.host).map_err(|error| failed(&error))?;
    leases.extend(of_servers);
    let leave = names::Leave { force: leave.force, adopt: leave.adopt };
    let plan = names::plan(&node.host, settings, &law.network, &leases, leave)
        .map_err(|error| failed(&error))?;
    let (counts, nothing) = (plan.counts(), plan.is_empty());
    let refused: Vec<String> = plan.refused().iter().map(ToString::to_string).collect();
    let shown = plan.to_string();
    output.say(if shown.is_empty() { "nothing is to be registered in DNS" } else { &shown });
    if !apply {
        let exit = match (refused.is_empty(), nothing) {
            (false, _) => Exit::Refused,
            (true, false) => Exit::Pending,
            (true, true) => Exit::Ok,
        };
        let document = json!({
            "ok": refused.is_empty(),
            "counts": counts.to_string(),
            "pending": !nothing,
            "plan": shown,
            "refused": refused,
        });
        return Ok((exit, document));
    }
    let outcome = names::carry_out(&node.host, plan).map_err(|error| failed(&error))?;
    for refused in &outcome.refused {
        output.say(format!("not done: {refused}"));
    }
    if !nothing {
        let (settled, writes) =
            (counted(outcome.settled, "name"), counted(outcome.writes, "write"));
        output.say(format!("{settled} as wanted, by {writes}"));
    }
    let undone: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
    let ok = refused.is_empty() && undone.is_empty();
    let document = json!({
        "ok": ok,
        "counts": counts.to_string(),
        "settled": outcome.settled,
        "writes": outcome.writes,
        "refused": refused,
        "not_done": undone,
    });
    Ok((if ok { Exit::Ok } else { Exit::Refused }, document))
}

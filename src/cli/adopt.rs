//! `weft adopt`: an operator lets weft take over what stands on a node.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use serde_json::json;

use super::answer::state_exit;
use super::failure::{Exit, Failure};
use super::node::Node;
use super::output::Output;
use crate::agent::adopt;
use crate::agent::settings::Mode;
use crate::agent::turn::{Purpose, Report};
use crate::plan::Plan;

/// Shows what would be taken over, asks unless it was agreed before, and does it.
pub(super) fn run(node: &Node, output: Output, agreed: bool) -> Result<Exit, Failure> {
    let report = node.make(Purpose::Plan)?;
    let name = &report.status.node;
    let Some(plan) = report.plan.clone().map(Plan::adopting) else {
        let message = format!("{name}: {}", report.status.message);
        return Ok(end(output, &report, None, &message, state_exit(report.status.state)));
    };
    let runs = report.status.running.as_ref().is_some_and(|running| running.commit.is_some());
    if adopt::is_ours(&plan, runs) {
        let message = format!("{name}: nothing to take over, this node is weft's already");
        return Ok(end(output, &report, None, &message, Exit::Ok));
    }
    for foreign in &plan.foreign {
        let how = if foreign.same {
            "as it is"
        } else {
            "and written anew; generation 0 keeps the one that is there, comments included"
        };
        output.say(format!("{} is taken over {how}", foreign.managed));
    }
    if !plan.guards.is_empty() {
        let message = format!(
            "{name}: not taken over, because what is there would not stay as it is; nothing was changed"
        );
        return Ok(end(output, &report, Some(&plan), &message, Exit::Refused));
    }
    if !agreed {
        output.say(plan.text());
        let asked = !output.is_json() && std::io::stdin().is_terminal();
        if !asked || !yes(output, name.as_str()) {
            let message = format!("{name}: nothing was changed; `weft adopt --yes` takes it over");
            return Ok(end(output, &report, None, &message, Exit::Pending));
        }
    }
    let done = node.make(Purpose::Adopt { shown: adopt::shown(&plan) })?;
    let exit = state_exit(done.status.state);
    let mut message = format!("{name}: {}", done.status.message);
    if exit == Exit::Ok && node.settings()?.mode() == Mode::Observe {
        message.push_str("\nweft owns these files now and still only observes: set `mode: apply` in its settings to let commits change the node");
    }
    let shown = agreed.then_some(&plan);
    Ok(end(output, &done, shown, &message, exit))
}

/// The last words, or the one document.
fn end(output: Output, report: &Report, plan: Option<&Plan>, message: &str, exit: Exit) -> Exit {
    if let Some(plan) = plan {
        output.say(plan.text());
    }
    output.say(message);
    output.document(&json!({
        "message": message,
        "status": report.status,
        "plan": plan.or(report.plan.as_ref()).map(Plan::json),
        "findings": report.findings,
    }));
    exit
}

/// Asks a person at a terminal.
fn yes(output: Output, name: &str) -> bool {
    output.say(format!("Take over {name} as shown? [y/N]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(64).read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "yes")
}

//! `weft adopt`: an operator lets weft take over what stands on a node.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use serde_json::json;

use super::answer::{self, state_exit};
use super::audit;
use super::busy;
use super::daemon;
use super::failure::{Exit, Failure};
use super::node::Node;
use super::output::Output;
use crate::agent::TurnError;
use crate::agent::adopt;
use crate::agent::control::Answer;
use crate::agent::publish::{self, Takeover};
use crate::agent::settings::{Mode, Pve};
use crate::agent::turn::{Purpose, Report};
use crate::plan::Plan;
use crate::value::Digest;

/// What the audit calls the taking over of a node's files.
const COMMAND: &str = "adopt";

/// How it ended, and in which words.
struct Ended {
    exit: Exit,
    message: String,
}

/// Shows what would be taken over, asks unless it was agreed before, and does it.
pub(super) fn run(node: &Node, output: Output, agreed: bool) -> Result<Exit, Failure> {
    let mut is_asked = agreed;
    if agreed {
        audit::asked(node, COMMAND);
    }
    let result = take_over(node, output, agreed, &mut is_asked);
    let why = match &result {
        Ok(Ended { exit: Exit::Ok, .. }) => None,
        Ok(Ended { message, .. }) => Some(message.clone()),
        Err(failure) => Some(failure.to_string()),
    };
    if let Some(why) = why.filter(|_| is_asked) {
        audit::failed(node, COMMAND, why.lines().next().unwrap_or_default());
    }
    result.map(|ended| ended.exit)
}

fn take_over(
    node: &Node,
    output: Output,
    agreed: bool,
    is_asked: &mut bool,
) -> Result<Ended, Failure> {
    let report = match node.attempt(Purpose::Plan)? {
        // An agent owns the node: it makes the turns, and this asks and shows.
        Err(TurnError::Busy) => {
            let plan = daemon::ask(node, Purpose::Plan, false)?;
            let plan = plan.ok_or_else(|| busy::failure(node))?;
            return beside(node, output, agreed, &plan, is_asked);
        }
        result => result.map_err(|error| answer::failure(&error))?,
    };
    let name = &report.status.node;
    let Some(plan) = report.plan.clone().map(Plan::adopting) else {
        let message = format!("{name}: {}", report.status.message);
        return Ok(end(output, &report, None, message, state_exit(report.status.state)));
    };
    let runs = report.status.running.as_ref().is_some_and(|running| running.commit.is_some());
    if adopt::is_ours(&plan, runs) {
        let message = format!("{name}: nothing to take over, this node is weft's already");
        return Ok(end(output, &report, None, message, Exit::Ok));
    }
    for foreign in &plan.foreign {
        let how = if foreign.same {
            "as it is"
        } else {
            "and written anew; the one that is there is kept for generation 0, comments included"
        };
        output.say(format!("{} is taken over {how}", foreign.managed));
    }
    if !plan.guards.is_empty() {
        let message = format!(
            "{name}: not taken over, because what is there would not stay as it is; nothing was changed"
        );
        return Ok(end(output, &report, Some(&plan), message, Exit::Refused));
    }
    if !agreed {
        output.say(plan.text());
        let asked = !output.is_json() && std::io::stdin().is_terminal();
        if !asked || !yes(output, name.as_str()) {
            let message = format!("{name}: nothing was changed; `weft adopt --yes` takes it over");
            return Ok(end(output, &report, None, message, Exit::Pending));
        }
        *is_asked = true;
        audit::asked(node, COMMAND);
    }
    let done = node.make(Purpose::Adopt { shown: adopt::shown(&plan) })?;
    let exit = state_exit(done.status.state);
    let mut message = format!("{name}: {}", done.status.message);
    if exit == Exit::Ok && node.settings()?.mode() == Mode::Observe {
        message.push_str("\nweft owns these files now and still only observes: set `mode: apply` in its settings to let commits change the node");
    }
    let shown = agreed.then_some(&plan);
    Ok(end(output, &done, shown, message, exit))
}

/// Lets weft replace what others made in Proxmox's configuration, by what the last turn
/// found there.
pub(super) fn pve(node: &Node, output: Output, agreed: bool) -> Result<Exit, Failure> {
    let settings = node.settings()?;
    let end = |message: &str, exit: Exit| {
        output.say(message);
        output.document(&json!({ "ok": exit == Exit::Ok, "message": message }));
        Ok(exit)
    };
    if settings.pve() != Pve::Publish {
        let message = "this node publishes nothing to Proxmox (`pve: publish` in its settings)";
        return end(message, Exit::Refused);
    }
    let shown = node.last_status()?.and_then(|status| status.publication);
    let nothing = "nothing to take over: the last turn found nothing in Proxmox that keeps weft from publishing";
    let Some(shown) = shown.filter(|shown| !shown.edited.is_empty()) else {
        return end(nothing, Exit::Ok);
    };
    output.say(shown.edited.join("\n"));
    if !agreed {
        let asked = !output.is_json() && std::io::stdin().is_terminal();
        if !asked || !yes(output, "the network in Proxmox") {
            let message = "nothing was changed; `weft adopt --pve --yes` lets the next publication replace this";
            return end(message, Exit::Pending);
        }
    }
    let command = "adopt --pve";
    match publish::take_over(node.host(), &settings.cluster.value, &shown) {
        Takeover::Agreed => {
            audit::asked(node, command);
            end("agreed: the next publication replaces this by what the commit declares", Exit::Ok)
        }
        Takeover::Nothing => end(nothing, Exit::Ok),
        Takeover::Stopped(why) => {
            audit::asked(node, command);
            audit::failed(node, command, &why);
            end(&format!("nothing was agreed: {why}"), Exit::Failed)
        }
    }
}

/// Takes over beside a running agent, by the plan that it answered.
fn beside(
    node: &Node,
    output: Output,
    agreed: bool,
    plan: &Answer,
    is_asked: &mut bool,
) -> Result<Ended, Failure> {
    let adoption = &plan.document["adoption"];
    let shown = adoption["shown"].as_str().and_then(|text| Digest::try_from(text.to_owned()).ok());
    let give = |answer: &Answer| Ended {
        exit: answer::give(output, answer),
        message: answer.text.clone(),
    };
    let Some(shown) = shown else { return Ok(give(plan)) };
    let end = |message: &str, exit: Exit| {
        output.say(message);
        output.document(&json!({ "message": message, "plan": plan.document["plan"] }));
        Ok(Ended { exit, message: message.to_owned() })
    };
    if adoption["ours"] == true {
        return end("nothing to take over, this node is weft's already", Exit::Ok);
    }
    output.say(adoption["text"].as_str().unwrap_or_default());
    if adoption["guarded"] == true {
        let message =
            "not taken over, because what is there would not stay as it is; nothing was changed";
        return end(message, Exit::Refused);
    }
    if !agreed {
        let asked = !output.is_json() && std::io::stdin().is_terminal();
        if !asked || !yes(output, node.settings()?.node.value.as_str()) {
            let message = "nothing was changed; `weft adopt --yes` takes it over";
            return end(message, Exit::Pending);
        }
        *is_asked = true;
        audit::asked(node, COMMAND);
    }
    let done = daemon::ask(node, Purpose::Adopt { shown }, false)?;
    let done = done.ok_or_else(|| busy::failure(node))?;
    Ok(give(&done))
}

/// The last words, or the one document.
fn end(output: Output, report: &Report, plan: Option<&Plan>, message: String, exit: Exit) -> Ended {
    if let Some(plan) = plan {
        output.say(plan.text());
    }
    output.say(&message);
    output.document(&json!({
        "message": message,
        "status": report.status,
        "plan": plan.or(report.plan.as_ref()).map(Plan::json),
        "findings": report.findings,
    }));
    Ended { exit, message }
}

/// Asks a person at a terminal.
fn yes(output: Output, name: &str) -> bool {
    output.say(format!("Take over {name} as shown? [y/N]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(64).read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "yes")
}

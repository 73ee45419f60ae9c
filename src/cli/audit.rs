//! `weft audit`, and what people ask for at a node.

use serde_json::json;

use super::failure::{Exit, Failure};
use super::node::{Node, failed};
use super::output::Output;
use crate::agent::audit::{self, Change, Event, Line};
use crate::host;

/// Writes down that whoever logged in asked for something.
pub(super) fn asked(node: &Node, command: &str) {
    audit::asked(node.host(), &host::operator(), command);
}

/// `weft audit`
pub(super) fn list(node: &Node, output: Output, limit: usize) -> Result<Exit, Failure> {
    let lines = audit::lines_of(node.host()).map_err(|error| {
        let hint = "compare with what a collector of logs has; the next lines follow the last one";
        failed(&error).hint(hint)
    })?;
    let shown = &lines[lines.len().saturating_sub(limit)..];
    if shown.is_empty() {
        output.say("Nothing was done on this node.");
    }
    for line in shown {
        output.say(sentence(line));
    }
    output.document(&json!(shown));
    Ok(Exit::Ok)
}

fn sentence(line: &Line) -> String {
    let time = line.time.strftime("%Y-%m-%d %H:%M:%SZ");
    let words = match &line.event {
        Event::Asked { by, command } => format!("{by} asked for `weft {command}`"),
        Event::Applied(change) => format!("applied {}, and watches it", subject(change)),
        Event::Confirmed(change) => format!("confirmed {}", subject(change)),
        Event::RolledBack { change, code, reason } => {
            format!("rolled back {} ({code}): {reason}", subject(change))
        }
        Event::Degraded { change, code, reason } => {
            format!("could neither finish nor undo {} ({code}): {reason}", subject(change))
        }
    };
    format!("{time}  {words}")
}

fn subject(change: &Change) -> String {
    let Change { number, generation, commit, steps } = change;
    let steps = match steps.len() {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    let what = format!("apply {number} (generation {generation}, {steps})");
    match commit {
        Some(record) => format!("{what} of commit {} by {}", record.commit.short(), record.signer),
        None => what,
    }
}

//! `weft audit`, and what people ask for at a node.

use std::time::Duration;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::node::{self, Node};
use super::output::{Output, counted};
use crate::agent::audit::{self, Change, Event, Line};
use crate::agent::error::chain;
use crate::host::{self, Host as _};

/// How long whoever writes the journal may take to write here too.
const PAUSE: Duration = Duration::from_millis(500);

/// Writes down that whoever logged in asked for something.
pub(super) fn asked(node: &Node, command: &str) {
    audit::asked(node.host(), &host::operator(), command);
}

/// Writes down that what somebody asked for did not come about.
pub(super) fn failed(node: &Node, command: &str, reason: &str) {
    audit::failed(node.host(), &host::operator(), command, reason);
}

/// `weft audit`
pub(super) fn list(node: &Node, output: Output, limit: usize) -> Result<Exit, Failure> {
    let read = || {
        let found = audit::lines_of(node.host()).map_err(|error| node::failed(&error))?;
        let missing = audit::missing(node.host(), &found).map_err(|error| node::failed(&error))?;
        Ok((found, missing))
    };
    let (mut found, mut missing) = read()?;
    if missing.is_some() {
        // The journal is written first.
        node.host().wait(PAUSE);
        (found, missing) = read()?;
    }
    let mut asked_back = None;
    let (mut said, mut documents, mut broken) = (Vec::new(), Vec::new(), 0_usize);
    for line in &found {
        match line {
            Ok(line) => {
                if let Event::Asked { by, command } = &line.event
                    && command.starts_with("rollback")
                {
                    asked_back = Some(by.as_str());
                }
                said.push(sentence(line, asked_back));
                documents.push(json!(line));
            }
            Err(error) => {
                broken += 1;
                let error = chain(error);
                said.push(format!("!!!  {error}"));
                documents.push(json!({ "event": "broken", "error": error }));
            }
        }
    }
    if let Some(number) = missing {
        broken += 1;
        let error = format!(
            "the lines end before apply {number}, which the journal says was confirmed: lines were taken from the end, or could not be written"
        );
        said.push(format!("!!!  {error}"));
        documents.push(json!({ "event": "broken", "error": error }));
    }
    if said.is_empty() {
        output.say("Nothing was done on this node.");
    }
    let last = said.len().saturating_sub(limit);
    said[last..].iter().for_each(|said| output.say(said));
    output.document(&json!(documents[last..]));
    if broken == 0 {
        return Ok(Exit::Ok);
    }
    let places = counted(broken, "place");
    output.complain(format!(
        "error: the audit is not as it was written, at {places} (marked `!!!`; `-n {}` shows all)\n  = help: compare with what a collector of logs has; the next lines follow the last one",
        said.len()
    ));
    Ok(Exit::Failed)
}

/// A line in words; `asked_back` is who asked for a way back last.
fn sentence(line: &Line, asked_back: Option<&str>) -> String {
    let time = line.time.strftime("%Y-%m-%d %H:%M:%SZ");
    let subject = |change| subject(change, asked_back);
    let words = match &line.event {
        Event::Asked { by, command } => format!("{by} asked for `weft {command}`"),
        Event::Failed { by, command, reason } => {
            format!("`weft {command}`, which {by} asked for, did not come about: {reason}")
        }
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

fn subject(change: &Change, asked_back: Option<&str>) -> String {
    let Change { number, generation, commit, before, passed_hold, .. } = change;
    let steps = counted(change.step_count(), "step");
    if change.is_correction() {
        return format!("correction {number} of drift from generation {generation} ({steps})");
    }
    let commit = commit
        .as_ref()
        .map(|record| format!(" of commit {} by {}", record.commit.short(), record.signer))
        .unwrap_or_default();
    if change.is_way_back() {
        let from = before.map(|before| format!(" from generation {before}")).unwrap_or_default();
        let by = asked_back.map(|by| format!(", asked for by {by}")).unwrap_or_default();
        return format!("way back {number}{from} to generation {generation}{commit} ({steps}{by})");
    }
    let although = passed_hold.as_ref().map(|earlier| {
        format!(", although the node was held, for it brings back the files of {earlier}")
    });
    let although = although.unwrap_or_default();
    format!("apply {number} (generation {generation}, {steps}){commit}{although}")
}

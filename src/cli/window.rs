//! The verbs of a person at a node: `confirm`, `rollback`, `hold`, `resume`; and the
//! watchdog of an apply.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::answer;
use super::audit;
use super::daemon;
use super::failure::{Exit, Failure};
use super::node::{Node, failed};
use super::output::Output;
use crate::agent::hold::Hold;
use crate::agent::status::Status;
use crate::agent::turn::Purpose;
use crate::agent::watchdog;
use crate::apply;
use crate::host::{self, Host as _};

/// How often it is looked whether a window is still open that an agent watches.
const LOOK: Duration = Duration::from_secs(1);

/// Says that a window is open, to whoever waits for its end.
pub(super) fn tell(status: &Status) {
    let Some(window) = &status.window else { return };
    Output::notice(format!(
        "{}: {}; at most {} s are left. Who interrupts this leaves it to its watchdog, which undoes it.",
        status.node, status.message, window.seconds_left
    ));
}

/// Waits until no window is open on a node whose agent watches it.
pub(super) fn wait(node: &Node) -> Result<(), Failure> {
    while apply::open(node.host()).map_err(|error| failed(&error))?.is_some() {
        node.host().wait(LOOK);
    }
    // The agent writes down how it ended.
    node.host().wait(LOOK);
    Ok(())
}

/// `weft confirm`
pub(super) fn confirm(node: &Node, output: Output) -> Result<Exit, Failure> {
    let confirmed = apply::confirm(node.host()).map_err(|error| failed(&error))?;
    let Some(entry) = confirmed else {
        let failure = Failure::new(Exit::Failed, "no window is open on this node");
        return Err(failure.hint("`weft status` says what runs"));
    };
    audit::asked(node, "confirm");
    let generation = entry.record.generation.number;
    let message = format!("generation {generation} is confirmed and runs");
    output.say(&message);
    output.document(&json!({ "ok": true, "message": message, "running": entry }));
    Ok(Exit::Ok)
}

/// `weft rollback`
pub(super) fn roll_back(
    node: &Node,
    output: Output,
    generation: Option<u64>,
) -> Result<Exit, Failure> {
    node.settings()?;
    match generation {
        Some(generation) => audit::asked(node, &format!("rollback {generation}")),
        None => audit::asked(node, "rollback"),
    }
    node.turn(output, Purpose::RollBack { generation }, false)
}

/// A time as people write it.
pub(super) fn time(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(time) if time.is_positive() => Ok(time),
        _ => Err("write a time such as `2h` or `30m`".to_owned()),
    }
}

/// `weft hold`
pub(super) fn hold(
    node: &Node,
    output: Output,
    time: Option<SignedDuration>,
    reason: &str,
) -> Result<Exit, Failure> {
    // Whoever takes the node's name from its settings also sees that it is a node.
    let settings = node.settings()?;
    let now = node.host().now();
    let until =
        time.map(|time| now.checked_add(time)).transpose().map_err(|error| failed(&error))?;
    let hold = Hold::new(&host::operator(), reason, now, until);
    hold.store(node.host()).map_err(|error| failed(&error))?;
    let until = hold.until.map(|until| format!(" until {until}")).unwrap_or_default();
    audit::asked(node, &format!("hold{until}: {}", hold.reason));
    let message = format!("{} is {}", settings.node.value, hold.sentence());
    output.say(&message);
    output.document(&json!({ "ok": true, "message": message, "hold": hold }));
    Ok(Exit::Ok)
}

/// `weft resume`
pub(super) fn resume(node: &Node, output: Output) -> Result<Exit, Failure> {
    let held = Hold::lift(node.host()).map_err(|error| failed(&error))?;
    if held {
        audit::asked(node, "resume");
    }
    let message = if held {
        "the hold is lifted; the next turn applies what is pending (`weft sync` makes one now)"
    } else {
        "there was no hold"
    };
    output.say(message);
    output.document(&json!({ "ok": true, "held": held }));
    Ok(Exit::Ok)
}

/// `weft watchdog`
pub(super) fn watch(node: &Node, number: u64) -> Result<Exit, Failure> {
    let words = watchdog::watch(node.host(), number).map_err(|error| answer::failure(&error))?;
    if let Some(words) = words {
        tracing::warn!("{words}");
    }
    Ok(Exit::Ok)
}

/// Asks the agent for a turn and, where a window opened, waits for its end.
pub(super) fn ask(
    node: &Node,
    output: Output,
    purpose: Purpose,
    manual: bool,
) -> Result<Option<Exit>, Failure> {
    let Some(answer) = daemon::ask(node, purpose, manual)? else { return Ok(None) };
    let exit = answer::give(output, &answer);
    if exit != Exit::Open || output.is_json() || manual {
        return Ok(Some(exit));
    }
    wait(node)?;
    let Some(status) = node.last_status()? else { return Ok(Some(exit)) };
    output.say(format!("{}: {}", status.node, status.message));
    Ok(Some(answer::state_exit(status.state)))
}

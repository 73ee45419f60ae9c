//! The verbs of a person at a node: `confirm`, `rollback`, `hold`, `resume`; and the
//! watchdog of an apply.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::answer;
use super::audit;
use super::busy;
use super::daemon;
use super::failure::{Exit, Failure};
use super::node::{Node, failed};
use super::output::Output;
use crate::agent::TurnError;
use crate::agent::back::{self, Back};
use crate::agent::control::Answer;
use crate::agent::hold::Hold;
use crate::agent::quarantine::{self, Held as Undone, Quarantine};
use crate::agent::settings::{self, Mode};
use crate::agent::standing;
use crate::agent::status::{Refused, State, Status};
use crate::agent::turn::Purpose;
use crate::agent::watchdog;
use crate::apply::{self, Outcome};
use crate::host::{self, Host as _};

/// A time as people read it.
pub(super) const CLOCK: &str = "%Y-%m-%d %H:%M:%SZ";
/// How often it is looked whether a window is still open that an agent watches.
const LOOK: Duration = Duration::from_secs(1);

/// Says that a window is open, to whoever waits for its end.
pub(super) fn tell(status: &Status) {
    let Some(window) = &status.window else { return };
    Output::notice(format!(
        "{}: {}; at most {} s are left. If this command is interrupted, the watchdog undoes the change.",
        status.node, status.message, window.seconds_left
    ));
}

/// Waits for the end of a window that the node's agent watches: that of the entry with this
/// number.
fn wait(node: &Node, number: u64) -> Result<(), Failure> {
    loop {
        let entry = apply::entry(node.host(), number).map_err(|error| failed(&error))?;
        let is_over = entry.is_none_or(|entry| entry.state.is_final());
        // What could not be undone is not over, and the agent watches it no more.
        let watched = node.last_status()?.and_then(|last| last.window);
        if is_over || watched.is_none_or(|window| window.number != number) {
            // The agent writes down how it ended.
            node.host().wait(LOOK);
            return Ok(());
        }
        node.host().wait(LOOK);
    }
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
    // Whoever watches, if anybody still does, leaves this to whoever ended it.
    quarantine::remember(node.host(), &Outcome::Confirmed { running: entry });
    Ok(Exit::Ok)
}

/// `weft rollback`
pub(super) fn roll_back(
    node: &Node,
    output: Output,
    generation: Option<u64>,
) -> Result<Exit, Failure> {
    let known = node.known()?;
    let command = match generation {
        Some(generation) => format!("rollback {generation}"),
        None => "rollback".to_owned(),
    };
    audit::asked(node, &command);
    let purpose = Purpose::RollBack { generation };
    let turn = known.settings.as_ref().map(|settings| node.make_turn(settings, purpose, false));
    let answer = match turn.transpose()? {
        Some(Err(TurnError::Busy)) => beside(node, purpose)?,
        Some(result) => answer::answer(result.as_ref(), purpose, output.is_coloured()),
        None => match back::alone(node.host(), generation) {
            Err(TurnError::Busy) => beside(node, purpose)?,
            result => without_settings(known.name(), result.as_ref()),
        },
    };
    let exit = answer::give(output, &answer);
    if exit != Exit::Ok {
        audit::failed(node, &command, answer.text.lines().next().unwrap_or_default());
    }
    Ok(exit)
}

/// Asks the agent that owns the node.
fn beside(node: &Node, purpose: Purpose) -> Result<Answer, Failure> {
    let answer = daemon::ask(node, purpose, false)?;
    Ok(answer.unwrap_or_else(|| answer::failed(&busy::failure(node))))
}

/// The words of a way back that knew no settings, on a node of this name.
pub(super) fn without_settings(name: &str, result: Result<&Back, &TurnError>) -> Answer {
    let back = match result {
        Ok(back) => back,
        Err(error) => {
            return answer::plain(Err(error), Purpose::RollBack { generation: None });
        }
    };
    let exit = match back.state {
        State::Held => Exit::Ok,
        state => answer::state_exit(state),
    };
    Answer {
        exit: exit as u8,
        failed: false,
        text: format!("{name}: {}", back.message),
        document: json!({ "state": back.state, "message": back.message, "hold": back.hold }),
    }
}

/// The longest time that a hold may be asked for.
const LONGEST_HOLD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A time as people write it.
pub(super) fn time(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(time) if time > LONGEST_HOLD => {
            Err("a hold ends within a year; without `--for` it lasts until `weft resume`"
                .to_owned())
        }
        Ok(time) if time.is_positive() => Ok(time),
        _ => Err("write a time such as `2h` or `30m`".to_owned()),
    }
}

/// The reason of a hold as people write it.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let says_something = text.chars().any(|c| !c.is_whitespace() && !c.is_control());
    says_something
        .then(|| text.to_owned())
        .ok_or_else(|| "say why, for whoever looks at the node next".to_owned())
}

/// `weft hold`
pub(super) fn hold(
    node: &Node,
    output: Output,
    time: Option<SignedDuration>,
    reason: &str,
) -> Result<Exit, Failure> {
    // Whoever takes the node's name from its settings or state also sees that it is a node.
    let known = node.known()?;
    let now = node.host().now();
    let until =
        time.map(|time| now.checked_add(time)).transpose().map_err(|error| failed(&error))?;
    let before = Hold::current(node.host(), now).ok().flatten();
    let hold = Hold::new(&host::operator(), reason, now, until)
        .leaving(before.as_ref().and_then(|before| before.left));
    hold.store(node.host()).map_err(|error| failed(&error))?;
    let until = hold.until.map(|until| format!(" until {}", until.strftime(CLOCK)));
    audit::asked(node, &format!("hold{}: {}", until.unwrap_or_default(), hold.reason));
    let mut message = format!("{} is {}", known.name(), hold.sentence());
    if let Some(before) = &before {
        message = format!("{message}; before that it was {}", before.sentence());
    }
    output.say(&message);
    output.document(&json!({ "ok": true, "message": message, "hold": hold, "before": before }));
    Ok(Exit::Ok)
}

/// `weft resume`
pub(super) fn resume(node: &Node, output: Output) -> Result<Exit, Failure> {
    let held = Hold::lift(node.host()).map_err(|error| failed(&error))?;
    if held {
        audit::asked(node, "resume");
    }
    let message = match (held, mode(node), waits(node)) {
        (false, ..) => "there was no hold".to_owned(),
        (true, Some(Mode::Observe), _) => {
            "the hold is lifted; this node observes (`mode: observe` in its settings), and applies nothing"
                .to_owned()
        }
        (true, _, None) => {
            "the hold is lifted; the next turn applies what is pending (`weft sync` makes one now)"
                .to_owned()
        }
        (true, _, Some(undone)) => format!(
            "the hold is lifted; commit {} is left alone all the same, for {}",
            undone.commit.short(),
            undone.sentence()
        ),
    };
    output.say(&message);
    output.document(&json!({ "ok": true, "held": held, "message": message }));
    Ok(Exit::Ok)
}

/// What the settings let the agent do, where they can be read.
fn mode(node: &Node) -> Option<Mode> {
    Some(settings::load(node.host()).ok().flatten()?.mode())
}

/// Why the newest commit waits that the last turn trusted, although nobody holds the node.
/// `None` where that turn trusted none, too: what it found then is not known.
fn waits(node: &Node) -> Option<Undone> {
    let newest = node.last_status().ok().flatten()?.trusted?;
    let quarantine = Quarantine::load(node.host()).ok()?;
    let now = node.host().now();
    let mut held = quarantine.held().iter().rev();
    held.find(|held| {
        newest.commit == held.commit && quarantine.blocks(held.rendering, now).is_some()
    })
    .cloned()
}

/// `weft watchdog`
pub(super) fn watch(node: &Node, number: u64) -> Result<Exit, Failure> {
    let words = watchdog::watch(node.host(), number).map_err(|error| answer::failure(&error))?;
    if let Some(words) = words {
        tracing::warn!("{words}");
    }
    Ok(Exit::Ok)
}

/// Asks the agent for a turn and, where a window opened, waits for its end and says what came
/// of it. `None` where no agent listens.
pub(super) fn ask(
    node: &Node,
    output: Output,
    purpose: Purpose,
    manual: bool,
) -> Result<Option<Exit>, Failure> {
    let Some(answer) = daemon::ask(node, purpose, manual)? else { return Ok(None) };
    let exit = answer::give(output, &answer);
    let status = &answer.document["status"];
    let number = status["window"]["number"].as_u64();
    let waits = exit == Exit::Open && purpose != Purpose::Plan && !output.is_json() && !manual;
    let Some(number) = number.filter(|_| waits) else { return Ok(Some(exit)) };
    wait(node, number)?;
    // What the agent did since is another matter.
    let refused = serde_json::from_value::<Vec<Refused>>(status["refused"].clone());
    let (state, message) = standing::ended(node.host(), number, &refused.unwrap_or_default())
        .map_err(|error| failed(&error))?;
    output.say(format!("{}: {message}", status["node"].as_str().unwrap_or("this node")));
    Ok(Some(answer::state_exit(state)))
}

//! What a turn came to, in words: the same ones whether this program made the turn or
//! asked a running agent for it.

use serde_json::json;

use super::failure::{Exit, Failure};
use super::findings;
use super::output::Output;
use crate::agent::TurnError;
use crate::agent::adopt;
use crate::agent::control::Answer;
use crate::agent::status::State;
use crate::agent::turn::{Purpose, Report};
use crate::plan::Plan;

/// A turn in words, without colour: how an agent answers.
pub(super) fn plain(result: Result<&Report, &TurnError>, purpose: Purpose) -> Answer {
    answer(result, purpose, false)
}

/// A turn in words.
pub(super) fn answer(
    result: Result<&Report, &TurnError>,
    purpose: Purpose,
    coloured: bool,
) -> Answer {
    match result {
        Ok(report) => Answer {
            exit: exit(report, purpose) as u8,
            failed: false,
            text: text(report, purpose, coloured),
            document: json!({
                "status": report.status,
                "plan": report.plan.as_ref().map(Plan::json),
                "findings": report.findings,
                "recovered": report.recovered,
                "adoption": match purpose {
                    Purpose::Plan => adoption(report),
                    _ => serde_json::Value::Null,
                },
            }),
        },
        Err(error) => failed(&failure(error)),
    }
}

/// Why nothing came of it, in words.
pub(super) fn failed(failure: &Failure) -> Answer {
    Answer {
        exit: failure.exit() as u8,
        failed: true,
        text: failure.to_string(),
        document: failure.json(),
    }
}

/// What `weft adopt` beside a running agent has to know of its plan.
fn adoption(report: &Report) -> serde_json::Value {
    let Some(plan) = report.plan.clone().map(Plan::adopting) else {
        return serde_json::Value::Null;
    };
    let runs = report.status.running.as_ref().is_some_and(|running| running.commit.is_some());
    json!({
        "shown": adopt::shown(&plan),
        "ours": adopt::is_ours(&plan, runs),
        "guarded": !plan.guards.is_empty(),
        "text": plan.text(),
    })
}

/// Prints an answer, and says how the program ends.
pub(super) fn give(output: Output, answer: &Answer) -> Exit {
    if answer.failed {
        output.complain(&answer.text);
    } else {
        output.say(&answer.text);
    }
    output.document(&answer.document);
    Exit::from_status(answer.exit)
}

fn text(report: &Report, purpose: Purpose, coloured: bool) -> String {
    let mut blocks = Vec::new();
    if let Some(recovered) = &report.recovered {
        blocks.push(format!("recovered: {recovered}"));
    }
    for diverged in &report.status.diverged {
        blocks.push(format!("alarm: {diverged}"));
    }
    for unreached in &report.status.unreached {
        blocks.push(format!("unreached[{}]: {}", unreached.code, unreached.message));
    }
    // What stands on a refused commit is refused for that alone.
    let (follow, refused): (Vec<_>, Vec<_>) =
        report.status.refused.iter().partition(|refused| refused.code == "on-refused");
    for refused in refused {
        blocks.push(format!(
            "refused[{}]: {}\n  = help: {}",
            refused.code, refused.message, refused.help
        ));
    }
    if let [first, ..] = follow.as_slice() {
        let (count, s) = (follow.len(), if follow.len() == 1 { "" } else { "s" });
        blocks.push(format!(
            "refused[on-refused]: {count} commit{s} on top of a refused one\n  = help: {}",
            first.help
        ));
    }
    if !report.findings.is_empty() {
        let source = |path: &_| report.tree.get(path).map(AsRef::as_ref);
        blocks.push(format!("{}\n", findings::text(&report.findings, source, coloured)));
    }
    if let Some(plan) = &report.plan {
        let interesting = !plan.is_empty()
            || !plan.edited.is_empty()
            || !plan.guards.is_empty()
            || (purpose == Purpose::Plan && report.status.refused.is_empty());
        if interesting {
            blocks.push(plan.text());
        }
    }
    blocks.push(format!("{}: {}", report.status.node, report.status.brief()));
    let ended = |block: String| if block.ends_with('\n') { block } else { block + "\n" };
    blocks.into_iter().map(ended).collect()
}

fn exit(report: &Report, purpose: Purpose) -> Exit {
    match (&report.plan, purpose) {
        // The plan is that of the last commit that is trusted.
        (Some(plan), Purpose::Plan) if report.status.refused.is_empty() => {
            match (plan_exit(plan), report.status.state) {
                (Exit::Pending, State::Held | State::RolledBack) => Exit::Held,
                (exit, _) => exit,
            }
        }
        // Whoever goes back wants the node held.
        (_, Purpose::RollBack { .. }) if report.status.state == State::Held => Exit::Ok,
        (_, Purpose::Plan) if !report.status.refused.is_empty() => Exit::Refused,
        _ => state_exit(report.status.state),
    }
}

/// How the program ends that showed a plan.
pub(super) fn plan_exit(plan: &Plan) -> Exit {
    if !plan.guards.is_empty() {
        Exit::Refused
    } else if plan.is_empty() {
        Exit::Ok
    } else {
        Exit::Pending
    }
}

/// How the program ends that left a node in a state.
pub(super) fn state_exit(state: State) -> Exit {
    match state {
        State::InOrder => Exit::Ok,
        State::Pending => Exit::Pending,
        State::Open => Exit::Open,
        State::Held => Exit::Held,
        State::Refused => Exit::Refused,
        State::RolledBack => Exit::RolledBack,
        State::Degraded => Exit::Degraded,
        State::Failed => Exit::Failed,
    }
}

pub(super) fn failure(error: &TurnError) -> Failure {
    let failure = Failure::from_error(state_exit(error.state()), error).code(error.code());
    match error.help() {
        Some(help) => failure.hint(help),
        None => failure,
    }
}

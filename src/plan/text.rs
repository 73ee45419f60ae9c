//! A plan in words, in the grammar that Terraform made familiar.

use std::fmt::Write as _;

use serde_json::json;

use super::{Class, Impact, Plan, Step};
use crate::render::Managed;

pub(super) fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        let is_refused = !plan.guards.is_empty();
        let words = if is_refused {
            "No file differs, and what is wanted is refused."
        } else {
            "Nothing to do: the node is as it should be."
        };
        return words.to_owned();
    }
    let files = plan.steps.iter().filter(|step| step.managed().is_some()).count();
    format!(
        "Plan: {} to add, {} to change, {} to recreate, {} to remove; {files} file{} to write.",
        plan.count(Impact::Adds),
        plan.count(Impact::Changes),
        plan.count(Impact::Recreates),
        plan.count(Impact::Removes),
        if files == 1 { "" } else { "s" },
    )
}

pub(super) fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let _ = match step {
            Step::Write { managed, .. } => writeln!(text, "{managed} is written:"),
            Step::Remove { managed } => writeln!(text, "{managed} is removed"),
            Step::Network(step) => writeln!(text, "step: {step}"),
            Step::Service(step) => writeln!(text, "step: {step}"),
        };
        let lines = step.managed().and_then(|managed| plan.lines.get(managed));
        for line in lines.into_iter().flatten() {
            let _ = writeln!(text, "        {} {}", line.sign, line.text);
        }
    }
    for change in &plan.changes {
        let vnets: Vec<&str> = change.vnets.iter().map(AsRef::as_ref).collect();
        let serves = match vnets.as_slice() {
            [] => String::new(),
            [vnet] => format!(" (vnet {vnet})"),
            vnets => format!(" (vnets {})", vnets.join(", ")),
        };
        let reason = change.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let sign = change.impact.sign();
        let _ =
            writeln!(text, "  {sign:>3} {} {}{serves}{reason}", change.interface, change.impact);
        for line in &change.lines {
            let _ = writeln!(text, "        {} {}", line.sign, line.text);
        }
    }
    let class = match plan.class {
        Class::Ordinary => "",
        Class::Management => "the way to the node (long window)",
        Class::Coordinated => "coordinated change (coordinated window)",
    };
    for reason in &plan.reasons {
        let _ = writeln!(text, "{class}: {reason}");
    }
    for foreign in plan.foreign.iter().filter(|_| plan.guards.is_empty()) {
        let _ = writeln!(text, "note: {} was not written by weft", foreign.managed);
    }
    for managed in &plan.edited {
        let _ =
            writeln!(text, "note: {managed} is not as weft wrote it; somebody changed it since");
    }
    for note in &plan.rendering.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for guard in &plan.guards {
        let _ =
            writeln!(text, "refused[{}]: {}\n  = help: {}", guard.code, guard.message, guard.help);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(plan));
    text.push('\n');
    text
}

pub(super) fn json(plan: &Plan) -> serde_json::Value {
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| match step {
            Step::Write { managed, bytes } => {
                json!({ "action": "write", "path": managed.path(), "bytes": bytes.len() })
            }
            Step::Remove { managed } => json!({ "action": "remove", "path": managed.path() }),
            Step::Network(step) => json!({ "action": "network", "what": step.to_string() }),
            Step::Service(step) => json!({ "action": "service", "what": step.to_string() }),
        })
        .collect();
    let edited: Vec<_> = plan.edited.iter().map(Managed::path).collect();
    json!({
        "node": plan.node,
        "profile": plan.rendering.profile,
        "rendering": plan.rendering.digest(),
        "pending": !plan.is_empty(),
        "steps": steps,
        "changes": plan.changes,
        "class": plan.class,
        "reasons": plan.reasons,
        "guards": plan.guards,
        "foreign": plan.foreign.iter().map(|foreign| foreign.managed.path()).collect::<Vec<_>>(),
        "edited": edited,
        "notes": plan.rendering.notes,
        "counts": {
            "adds": plan.count(Impact::Adds),
            "changes": plan.count(Impact::Changes),
            "recreates": plan.count(Impact::Recreates),
            "removes": plan.count(Impact::Removes),
        },
    })
}

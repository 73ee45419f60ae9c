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
    let repairs = match plan.repairs() {
        0 => String::new(),
        repairs => format!(", {repairs} to repair"),
    };
    format!(
        "Plan: {} to add, {} to change, {} to recreate, {} to remove{repairs}; {files} file{} to write.",
        plan.count(Impact::Adds),
        plan.count(Impact::Changes),
        plan.count(Impact::Recreates),
        plan.count(Impact::Removes),
        if files == 1 { "" } else { "s" },
    )
}

pub(super) fn text(plan: &Plan) -> String {
    let mut text = String::new();
    // Whether it is done, was, or waits is said by whoever shows the plan.
    for step in &plan.steps {
        let managed = match step {
            Step::Write { managed, .. } => {
                let _ = writeln!(text, "write {managed}:");
                managed
            }
            Step::Remove { managed } => {
                let _ = writeln!(text, "remove {managed}");
                managed
            }
            Step::Network(_) | Step::Service(_) => continue,
        };
        for line in plan.lines.get(managed).into_iter().flatten() {
            let _ = writeln!(text, "        {} {}", line.sign, line.text);
        }
        if *managed == Managed::Interfaces {
            changes(plan, &mut text);
        }
    }
    if !plan.steps.iter().any(|step| step.managed() == Some(&Managed::Interfaces)) {
        changes(plan, &mut text);
    }
    for step in &plan.steps {
        let _ = match step {
            Step::Network(step) => writeln!(text, "step: {step}"),
            Step::Service(step) => writeln!(text, "step: {step}"),
            Step::Write { .. } | Step::Remove { .. } => Ok(()),
        };
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
            writeln!(text, "guard[{}]: {}\n  = help: {}", guard.code, guard.message, guard.help);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(plan));
    text.push('\n');
    text
}

/// What becomes of the interfaces, with the lines of their stanzas.
fn changes(plan: &Plan, text: &mut String) {
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
            "repairs": plan.repairs(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Change, Engine, LineChange, Make, NetworkStep, Target};
    use super::*;
    use crate::facts::Facts;
    use crate::render::{Profile, Rendering};

    #[test]
    fn what_becomes_of_interfaces_stands_below_their_file_and_the_steps_after_it() {
        let node: crate::value::NodeName = "node1".parse().expect("a name");
        let interface = || "va".parse().expect("an interface");
        let line = LineChange { sign: '+', text: "mtu 1400".to_owned() };
        let files = BTreeMap::new();
        let interfaces = BTreeMap::new();
        let profile = Profile::default();
        let rendering = Rendering { profile, files, interfaces, notes: Vec::new(), obstacle: None };
        let plan = Plan {
            node: node.clone(),
            rendering,
            facts: Facts::unknown(node),
            engine: Engine::default(),
            steps: vec![
                Step::Network(NetworkStep::Delete { interface: interface() }),
                Step::Write { managed: Managed::Interfaces, bytes: Vec::new() },
                Step::Remove { managed: Managed::Frr },
                Step::Network(NetworkStep::SetMtu { interface: interface(), mtu: 1400 }),
            ],
            changes: vec![Change {
                interface: "va".to_owned(),
                impact: Impact::Changes,
                vnets: Vec::new(),
                reason: None,
                lines: vec![line],
            }],
            lines: BTreeMap::new(),
            guards: Vec::new(),
            foreign: Vec::new(),
            edited: Vec::new(),
            class: Class::Ordinary,
            reasons: Vec::new(),
            touches_management: false,
            target: Target::between(&[""], "").into(),
            kernel: None,
        };
        let said = text(&plan);
        let (files, steps) = said.split_once("step: ").expect("it has steps");
        assert_eq!(
            files,
            "write /etc/network/interfaces.d/sdn:\n    ~ va changes\n        + mtu 1400\n\
             remove /etc/frr/frr.conf\n"
        );
        assert_eq!(steps.matches("step: ").count(), 1, "{said}");
        assert!(
            said.ends_with("1 to change, 0 to recreate, 0 to remove; 2 files to write.\n"),
            "{said}"
        );
        // Without the file, too.
        let plan = Plan { steps: plan.steps[3..].to_vec(), ..plan };
        assert!(text(&plan).starts_with("    ~ va changes\n"), "{}", text(&plan));

        // What is not as a file says that stays counts too: each interface once.
        let create = |name: &str| {
            let interface = name.parse().expect("an interface");
            Step::Network(NetworkStep::Create { interface, make: Make::Bridge })
        };
        let also = [create("vb"), create("va")].into_iter().chain(plan.steps.clone());
        let plan = Plan { steps: also.collect(), ..plan };
        assert!(summary(&plan).contains("1 to change, 0 to recreate, 0 to remove, 1 to repair;"));
        let other = NetworkStep::SetSysctl { name: "a".to_owned(), value: "1".to_owned() };
        let steps = plan.steps.into_iter().chain([Step::Network(other)]).collect();
        let plan = Plan { changes: Vec::new(), steps, ..plan };
        assert_eq!(
            summary(&plan),
            "Plan: 0 to add, 0 to change, 0 to recreate, 0 to remove, 3 to repair; 0 files to write."
        );
        assert_eq!(json(&plan)["counts"]["repairs"], 3);
    }
}

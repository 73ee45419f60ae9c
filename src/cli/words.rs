//! The verbs that explain: `explain` and `schema`.

use std::borrow::Cow;

use serde_json::json;

use super::failure::{Exit, Failure};
use super::output::Output;
use crate::agent::{doctor, reasons};
use crate::declare::code::Example;
use crate::declare::finding::{Class, Code, suggestion};
use crate::declare::schema;
use crate::render::Difference;
use crate::sync::{FailureCode, Reason};

/// One thing that can be explained.
struct Explained {
    code: &'static str,
    kind: &'static str,
    title: &'static str,
    why: &'static str,
    fix: Cow<'static, str>,
    example: Option<Example>,
}

fn all() -> Vec<Explained> {
    let findings = Code::ALL.iter().map(|code| Explained {
        code: code.id(),
        kind: match code.class() {
            Class::Error => "finding, an error",
            Class::Tolerated => "finding, a warning; an error with `strict: true` in weft.yaml",
            Class::Warning => "finding, a warning",
            Class::Advice => "finding, a note",
        },
        title: code.title(),
        why: code.why(),
        fix: code.fix().into(),
        example: Some(code.example()),
    });
    let refusals = Reason::ALL.iter().map(|reason| Explained {
        code: reason.as_str(),
        kind: "refusal of a commit",
        title: reason.title(),
        why: "A commit is used only if the policy of its first parent lets its signer make exactly this change; what cannot be proven is refused, and the network stays as it is.",
        fix: reasons::help(*reason).into(),
 example: None,
    });
    let of = |kind| {
        move |reason: &reasons::Reason| Explained {
            code: reason.code,
            kind,
            title: reason.title,
            why: reason.why,
            fix: reason.fix.into(),
            example: None,
        }
    };
    let guards = reasons::ALL.iter().map(of("refusal of a plan"));
    let processes = reasons::OF_A_FETCH.iter().map(of("failure of a remote"));
    let nodes = reasons::OF_A_NODE.iter().map(of("state of a node or of a change"));
    let remotes = reasons::OF_REMOTES.iter().map(of("state of a remote"));
    let applies = reasons::OF_AN_APPLY.iter().map(of("failure of an apply"));
    let publications = reasons::OF_A_PUBLICATION.iter().map(of("reason not to publish"));
    let leases = reasons::OF_LEASES.iter().map(of("reason not to take leases"));
    let turns = reasons::OF_A_TURN.iter().map(of("failure of a turn"));
    let checks = doctor::Code::ALL.iter().map(|code| Explained {
        code: code.as_str(),
        kind: "check of `weft doctor`",
        title: code.title(),
        why: code.area().why(),
        fix: "`weft doctor` says how it is on this machine and, where something is wrong, prints the command that mends it.".into(),
        example: None,
    });
    let failures = FailureCode::ALL.iter().map(|code| Explained {
        code: code.as_str(),
        kind: "failure of a remote",
        title: code.title(),
        why: if code.retry_helps() {
            "Without a remote the node keeps what it runs. The next turn tries again, and reads the settings' files anew: it recovers by itself when the cause goes."
        } else {
            "Without a remote the node keeps what it runs. This does not pass by itself: somebody has to change something, and the next turn then sees it."
        },
        fix: code.help().into(),
 example: None,
    });
    let differences = Difference::ALL.iter().map(|difference| Explained {
        code: difference.code,
        kind: "difference of profile `debian` from the files of Proxmox VE",
        title: difference.what,
        why: difference.why,
        fix: difference.fix.into(),
        example: None,
    });
    findings
        .chain(refusals)
        .chain(guards)
        .chain(differences)
        .chain(failures)
        .chain(processes)
        .chain(nodes)
        .chain(remotes)
        .chain(applies)
        .chain(publications)
        .chain(leases)
        .chain(turns)
        .chain(checks)
        .collect()
}

/// `weft explain`
pub(super) fn explain(output: Output, wanted: Option<&str>) -> Result<Exit, Failure> {
    let all = all();
    let Some(wanted) = wanted else {
        for entry in &all {
            output.say(format!("{:<24} {}", entry.code, entry.title));
        }
        let list: Vec<_> =
            all.iter().map(|entry| json!({ "code": entry.code, "title": entry.title })).collect();
        output.document(&json!(list));
        return Ok(Exit::Ok);
    };
    // As it is printed: `error[busy]`, `refused[unsigned]`, `[held]`.
    let wanted = match wanted.trim().split_once('[') {
        Some((_, code)) => code.trim_end_matches(':').trim_end_matches(']'),
        None => wanted.trim(),
    };
    let Some(entry) = all.iter().find(|entry| entry.code == wanted) else {
        let mut failure =
            Failure::new(Exit::Usage, format!("there is no code `{}`", wanted.escape_debug()));
        let near = suggestion(wanted, "", all.iter().map(|entry| entry.code));
        failure = failure.hint(match near {
            Some(near) if near.starts_with("did you mean") => near,
            _ => "`weft explain` lists all codes".to_owned(),
        });
        return Err(failure);
    };
    let example = entry.example.map(|example| (example.file, example.text()));
    let shown = example.as_ref().map(|(file, text)| {
        let lines = text.lines().map(|line| format!("\n    {line}"));
        format!("\n\nExample, in {file}:{}", lines.collect::<String>())
    });
    output.say(format!(
        "{} ({})\n  {}\n\nWhy: {}{}\n\nWhat to do: {}",
        entry.code,
        entry.kind,
        entry.title,
        entry.why,
        shown.unwrap_or_default(),
        entry.fix
    ));
    output.document(&json!({
        "code": entry.code, "kind": entry.kind, "title": entry.title, "why": entry.why, "fix": entry.fix,
        "example": example.map(|(file, text)| json!({ "file": file, "text": text })),
    }));
    Ok(Exit::Ok)
}

/// `weft schema`
pub(super) fn schema(cluster: bool, policy: bool) {
    let schema = match (cluster, policy) {
        (true, _) => schema::cluster(),
        (_, true) => schema::policy(),
        _ => schema::declarations(),
    };
    Output::print(format!("{schema:#}"));
}

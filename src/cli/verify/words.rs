//! Why a commit is good or refused, for people.

use crate::cli::output::counted;
use crate::declare::void;
use crate::sync::account::{Basis, Entry, Form, Grant, Signature};
use crate::sync::{Begin, Introduction, Reason};
use crate::value::ObjectId;

/// How many paths of one role are named.
const PATHS: usize = 8;

/// Where trust begins, and by what.
pub(super) fn begins(
    begin: &Begin,
    introduction: Option<&Introduction>,
    entries: &[Entry],
) -> String {
    match (begin, introduction) {
        (Begin::Above(commit), _) => {
            format!("Commit {} is taken as it is, whoever made it.", commit.short())
        }
        (_, None) => {
            "Trust begins nowhere: no commit of the line can be an introduction.".to_owned()
        }
        (Begin::Introduction(_), Some(Introduction { commit, signer })) => {
            format!(
                "Trust begins at commit {} and key {signer}: the node's settings say so.",
                commit.short()
            )
        }
        (_, Some(Introduction { commit, signer })) => {
            let oldest = matches!(begin, Begin::Oldest) && !entries.is_empty();
            let which = if oldest { ", the oldest that can be an introduction" } else { "" };
            format!(
                "Trust begins at commit {}{which}, by the key that signed it: {signer}.\nNothing in the repository proves that; nodes are told it by another way.",
                commit.short()
            )
        }
    }
}

/// A commit, with a line for each reason.
pub(super) fn entry(entry: &Entry, begin: &Begin, introduction: Option<&Introduction>) -> String {
    let introduced = introduction.map(|introduction| introduction.commit);
    let place = match &entry.basis {
        Some(basis) => format!(" (sequence {})", basis.record.sequence),
        None => String::new(),
    };
    let time = entry.committed.map_or_else(String::new, |time| format!(", {time}"));
    let subject = entry.subject.as_deref().unwrap_or("what cannot be read");
    let mut lines = vec![format!("commit {}{place}{time}: {subject}", entry.commit)];
    let given = matches!(begin, Begin::Above(at) if *at == entry.commit);
    if given {
        lines.push("  taken    as it is".to_owned());
    }
    match (&entry.basis, &entry.signature) {
        (Some(basis), Some(signature)) => {
            lines.push(format!("  signed   by {} with {}", basis.record.signer, key(signature)));
        }
        (None, Some(signature)) => lines.push(format!("  signed   with {}", key(signature))),
        (_, None) => {}
    }
    match &entry.basis {
        Some(_) if Some(entry.commit) == introduced => lines.push("  begins   here".to_owned()),
        Some(basis) => basis_lines(entry, basis, &mut lines),
        None => {}
    }
    if let Some(refusal) = &entry.refusal {
        lines.push(format!("  refused  [{}] {}", refusal.code, refusal.message));
        if refusal.code != Reason::OnRefused {
            lines.push(format!("           = help: {}", refusal.help));
        }
    } else if entry.basis.is_none() && !given {
        lines.push("  unjudged there is no more room to compare".to_owned());
    }
    lines.join("\n")
}

fn basis_lines(entry: &Entry, basis: &Basis, lines: &mut Vec<String>) {
    for grant in &basis.grants {
        lines.push(format!("  allowed  {}", allowed(grant)));
        for second in &grant.seconds {
            lines.push(format!(
                "  also     {} with {}, on commit {}",
                second.signer,
                key(&second.signature),
                second.commit.short()
            ));
        }
    }
    if basis.grants.is_empty() && entry.refusal.is_none() {
        lines
            .push("  allowed  nothing differs from what is below, or trust begins here".to_owned());
    }
    if !entry.merges.is_empty() {
        lines.push(format!(
            "  merges   {}; the whole difference is charged to who signed the merge",
            ids(&entry.merges)
        ));
    }
    match basis.form {
        Form::Any => {}
        Form::Merge => lines.push("  form     a merge, as `mainline: merges` wants it".to_owned()),
        Form::BringsBack => lines.push(
            "  form     it has the files of an earlier commit, which `mainline: merges` allows"
                .to_owned(),
        ),
    }
    if let Some(latest) = basis.behind {
        lines.push(format!(
            "  clock    before a commit below it, which was made at {latest}; ten minutes may lie between"
        ));
    }
    if !basis.voids.is_empty() {
        lines.push(format!("  void     `{}` newly names {}", void::FILE, ids(&basis.voids)));
    }
}

fn allowed(grant: &Grant) -> String {
    let shown: Vec<String> =
        grant.paths.iter().take(PATHS).map(|path| format!("`{}`", path.escape_debug())).collect();
    let more = match grant.count.saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let scope = if grant.scoped { ", within its scope" } else { "" };
    let people = if grant.threshold > 1 {
        let people = counted(grant.threshold, "person").replace("persons", "people");
        format!(", which {people} sign")
    } else {
        String::new()
    };
    format!("by role `{}`{scope}{people}: {}{more}", grant.role, shown.join(", "))
}

fn key(signature: &Signature) -> String {
    format!("{} ({})", signature.key, signature.kind)
}

fn ids(ids: &[ObjectId]) -> String {
    let ids: Vec<String> = ids.iter().map(ObjectId::short).collect();
    ids.join(", ")
}

//! The status of a node in words.

use super::node::Known;
use super::output::counted;
use crate::agent::status::{Running, Status};

/// What runs, since when, signed by whom; what was refused, and what waits.
pub(super) fn text(
    known: &Known,
    running: Option<&Running>,
    held: Option<&str>,
    last: Option<&Status>,
) -> String {
    let cluster = known.cluster.as_ref().map_or("?", |cluster| cluster.as_str());
    let mode = mode(known, last);
    let mut lines = vec![format!("{} of cluster {cluster}, {mode}", known.name())];
    match running {
        None => lines.push("runs     nothing of weft's".to_owned()),
        Some(running) => {
            match &running.commit {
                None => lines.push("runs     what was found before weft (generation 0)".to_owned()),
                Some(commit) => {
                    lines.push(format!(
                        "runs     commit {} (sequence {}, generation {}): {}",
                        commit.commit.short(),
                        commit.sequence,
                        running.generation,
                        commit.subject
                    ));
                    lines.push(format!("signed   by {} with {}", commit.signer, commit.key));
                }
            }
            lines.push(format!("since    {}", running.since.strftime("%Y-%m-%d %H:%M:%SZ")));
            lines.extend(running.passed_hold.as_ref().map(|earlier| {
                format!("although the node was held, for it brings back the files of {earlier}")
            }));
        }
    }
    lines.extend(held.map(|held| format!("hold     {held}")));
    if let Some(status) = last {
        if let Some(window) = &status.window {
            lines.push(format!("window   {}, {} s left", window.class, window.seconds_left));
            lines.extend(window.down.iter().map(|down| format!("down     {down}")));
            let silent = window.silent.iter();
            lines.extend(silent.map(|silent| {
                format!("warning  not watched is what this knows, for it did not answer: {silent}")
            }));
        }
        lines.extend(status.drift.iter().map(|drift| format!("drift    {drift}")));
        lines.push(format!(
            "last     {}: {}",
            status.updated.strftime("%Y-%m-%d %H:%M:%SZ"),
            status.brief()
        ));
        publication_lines(status, &mut lines);
        remote_lines(status, &mut lines);
        for refused in status.refused.iter().chain(&status.guarded) {
            lines.push(format!("refused  [{}] {}", refused.code, refused.message));
            lines.push(format!("         {}", refused.help));
        }
        if status.errors + status.warnings > 0 {
            let (errors, warnings) =
                (counted(status.errors, "error"), counted(status.warnings, "warning"));
            lines.push(format!("findings {errors}, {warnings}"));
        }
    } else {
        lines.push("last     no turn was made since the machine started".to_owned());
    }
    lines.join("\n")
}

/// What the node may do: by the last turn, and by its settings where these say otherwise.
fn mode(known: &Known, last: Option<&Status>) -> String {
    let Some(settings) = &known.settings else { return "its settings cannot be used".to_owned() };
    let wanted = settings.mode();
    match last.and_then(|last| last.mode.as_deref()) {
        Some(had) if had != wanted.as_str() => format!(
            "mode {had} in the last turn; its settings say `mode: {wanted}` since, which a running agent reads with `systemctl reload weft`"
        ),
        _ => format!("mode {wanted}"),
    }
}

/// How the publication to Proxmox stands.
fn publication_lines(status: &Status, lines: &mut Vec<String>) {
    let Some(publication) = &status.publication else { return };
    let has = match &publication.published {
        Some(published) => format!(
            "Proxmox has commit {} (sequence {}, version {}) since {} by {}",
            published.commit.short(),
            published.sequence,
            published.version,
            published.at.strftime("%Y-%m-%d %H:%M:%SZ"),
            published.by
        ),
        None => "Proxmox has nothing of weft's".to_owned(),
    };
    lines.push(format!("publish  {}: {has}", publication.standing.as_str()));
    if let Some(code) = &publication.code {
        lines.push(format!("         [{code}] {}", publication.message));
    }
    lines.extend(publication.edited.iter().map(|edited| format!("edited   {edited}")));
}

/// How the remotes stand, and by what they are talked to.
fn remote_lines(status: &Status, lines: &mut Vec<String>) {
    for remote in &status.remotes {
        let shown = match (&remote.tip, &remote.seen) {
            (Some(tip), Some(seen)) => {
                format!(", showed {} at {}", tip.short(), seen.strftime("%Y-%m-%d %H:%M:%SZ"))
            }
            _ => String::new(),
        };
        lines.push(format!("remote   {} is {}{shown}", remote.name, remote.standing.as_str()));
    }
    for diverged in &status.diverged {
        lines.push(format!("alarm    {diverged}"));
    }
    for unreached in &status.unreached {
        lines.push(format!("remote   [{}] {}", unreached.code, unreached.message));
    }
    for warning in status.fetch_process.iter().flat_map(|process| &process.warnings) {
        lines.push(format!("warning  {warning}"));
    }
    if status.remaining > 0 {
        lines.push(format!("judging  {} commits are left for the next turns", status.remaining));
    }
}

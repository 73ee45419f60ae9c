//! `weft status`: the status of a node in words.

use std::fmt::Write as _;

use camino::Utf8Path;
use serde_json::json;

use super::answer::state_exit;
use super::failure::{Exit, Failure};
use super::node::{Known, Node, failed};
use super::output::{Output, counted};
use crate::agent::control::SOCKET;
use crate::agent::error::chain;
use crate::agent::hold::Hold;
use crate::agent::status::{Refused, Running, Status};
use crate::agent::{addresses, names, node, standing};
use crate::apply;
use crate::host::{self, Host as _};

/// What is known of an agent on the node.
#[derive(Clone, Copy, Debug)]
enum Agent {
    Runs,
    /// None does; `left` says whether one ended without tidying up.
    None {
        left: bool,
    },
    /// Only some may ask.
    Unknown,
}

impl Node {
    /// `weft status`
    pub(super) fn status(&self, output: Output) -> Result<Exit, Failure> {
        let known = self.known()?;
        let running = node::running(&self.host).map_err(|error| failed(&error))?;
        let mut last = self.last_status()?;
        if let Some(last) = &mut last {
            standing::bring_up_to_date(&self.host, last).map_err(|error| failed(&error))?;
        }
        let (hold, unreadable) = match Hold::current(&self.host, self.host.now()) {
            Ok(hold) => (hold, None),
            Err(error) => (None, Some(chain(&error))),
        };
        if let (Some(last), None) = (&mut last, &unreadable) {
            last.hold_is(hold.clone());
        }
        let leases = addresses::standing(&self.host).map_err(|error| failed(&error))?;
        let stopped = unreadable.clone().or_else(|| hold.as_ref().map(Hold::sentence));
        let agent = self.agent();
        let mut text = text(&known, running.as_ref(), stopped.as_deref(), last.as_ref());
        if let Agent::None { left } = agent {
            let why = if left {
                format!(": `{SOCKET}` is left of one that ended without tidying up")
            } else {
                String::new()
            };
            let _ = write!(text, "\nagent    none runs{why}");
        }
        if let Some(leases) = &leases {
            let _ = write!(text, "\nleases   {} held; {}", leases.held, leases.message);
            for line in leases.refused.iter().chain(&leases.stranded).chain(&leases.notes) {
                let _ = write!(text, "\n         {line}");
            }
        }
        let ports = apply::lacking_ports(&self.host).map_err(|error| failed(&error))?;
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        for line in &ports {
            let _ = write!(text, "\nport     {line}");
        }
        let names = names::standing(&self.host).map_err(|error| failed(&error))?;
        if let Some(names) = &names {
            let _ = write!(text, "\nnames    {}", names.message);
            for line in &names.refused {
                let _ = write!(text, "\n         {line}");
            }
        }
        output.say(text);
        output.document(&json!({
            "cluster": known.cluster,
            "node": known.node,
            "mode": known.settings.as_ref().map(|settings| settings.mode().as_str()),
            "hold": hold,
            "hold-unreadable": unreadable,
            "running": running,
            "last": last,
            "leases": leases,
            "names": names,
            "ports": ports,
            "agent": match agent {
                Agent::Runs => Some(true),
                Agent::None { .. } => Some(false),
                Agent::Unknown => None,
            },
        }));
        let fails = unreadable.is_some() || known.settings.is_none();
        // Nobody knows whether what runs is what should, before a turn looked.
        Ok(match last.map_or(Exit::Failed, |status| state_exit(status.state)) {
            // The next turn fails.
            Exit::Ok | Exit::Pending | Exit::Held if fails => Exit::Failed,
            exit => exit,
        })
    }

    /// Whether an agent runs.
    fn agent(&self) -> Agent {
        let path = self.shown(Utf8Path::new(SOCKET));
        match host::connect(&path) {
            Ok(Some(_)) => Agent::Runs,
            Ok(None) => Agent::None { left: path.exists() },
            Err(_) => Agent::Unknown,
        }
    }
}

/// What runs, since when, signed by whom; what was refused, and what waits.
fn text(
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
        let refused = status.refused.iter().map(|refused| ("refused ", refused));
        let guarded = status.guarded.iter().map(|guarded| ("guard   ", guarded));
        for (what, Refused { code, message, help, .. }) in refused.chain(guarded) {
            lines.push(format!("{what} [{code}] {message}"));
            lines.push(format!("         {help}"));
        }
        if status.errors + status.warnings > 0 {
            let (errors, warnings) =
                (counted(status.errors, "error"), counted(status.warnings, "warning"));
            lines.push(format!("findings {errors}, {warnings}"));
        }
    } else {
        lines.push("last     no turn was made since the machine started, so that nobody looked at the remotes or the node: `weft sync` makes one, and a running agent by itself".to_owned());
    }
    lines.join("\n")
}

/// What the node may do: by the last turn, and by its settings where these say otherwise.
fn mode(known: &Known, last: Option<&Status>) -> String {
    let Some(settings) = &known.settings else {
        return "its settings cannot be used, and no turn can be made with them".to_owned();
    };
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

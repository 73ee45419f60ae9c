//! What runs of an object: its interfaces in the kernel, its statements in FRR, its dnsmasq.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Part;
use super::trace::{Trace, View};
use crate::agent::error::{TurnError, chain};
use crate::apply::{self, StateError};
use crate::host::{Host, HostError};
use crate::plan::{Frr, Link, Question, Services, Statement, Texts, statements};
use crate::render::Managed;
use crate::value::ZoneId;

/// The most statements of FRR that are named one by one.
const NAMED: usize = 10;

/// How something is that runs, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The interface, or `frr`, or `dnsmasq@⟨zone⟩`.
    pub name: String,
    /// Whether it is there, or runs.
    pub there: bool,
    /// How it is, in words.
    pub state: String,
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.name, self.state)
    }
}

/// Looks at the kernel and at services. What cannot be looked at is told.
pub(super) fn live(host: &impl Host, view: &View, trace: &Trace) -> Result<Part<Live>, TurnError> {
    let mut found = Vec::new();
    let mut notes = Vec::new();
    match host.kernel(&Question::default()) {
        Ok(Some(kernel)) => {
            found.extend(trace.interfaces.iter().map(|name| {
                let ports = kernel.ports(name).map(|(port, _)| port).collect::<Vec<_>>();
                of_link(name, kernel.links.get(name), &ports)
            }));
        }
        Ok(None) => notes.push("a dry node has no kernel and runs no daemon".to_owned()),
        Err(error) => notes.push(unread("the kernel", &error)),
    }
    let frr: Vec<&Statement> = trace.statements.iter().filter(|s| s.file == Managed::Frr).collect();
    let zones: BTreeSet<ZoneId> =
        trace.statements.iter().filter_map(|s| s.file.dnsmasq().cloned()).collect();
    if !frr.is_empty() || !zones.is_empty() {
        match host.services(!frr.is_empty(), &zones) {
            Ok(Some(services)) => found.extend(of_services(&services, &frr, &zones)),
            Ok(None) => {}
            Err(error) => notes.push(unread("what runs", &error)),
        }
    }
    notes.extend(drifted(host, view, trace)?);
    let source = "the kernel, FRR and dnsmasq, as they are now";
    Ok(Part::new(source, found, notes))
}

fn unread(what: &str, error: &HostError) -> String {
    format!("{what} cannot be read: {}", chain(error))
}

/// An interface in words.
pub(super) fn of_link(name: &str, link: Option<&Link>, ports: &[&str]) -> Live {
    let name = name.to_owned();
    let Some(link) = link else {
        return Live { name, there: false, state: "not there".to_owned() };
    };
    let mut words = vec![link.kind.clone().unwrap_or_else(|| "hardware".to_owned())];
    words.push(if link.up { "up" } else { "down" }.to_owned());
    words.push(format!("mtu {}", link.mtu));
    words.extend(link.master.iter().map(|master| format!("in {master}")));
    if let Some((id, protocol)) = &link.vlan {
        let of = link.lower.as_deref().unwrap_or("nothing");
        words.push(format!("vlan {id} ({protocol}) of {of}"));
    }
    words.extend(link.table.iter().map(|table| format!("table {table}")));
    if let Some(tunnel) = &link.tunnel {
        let local = tunnel.local.iter().map(|local| format!(" from {local}"));
        let remotes = listed(tunnel.remotes.iter().map(ToString::to_string));
        let to = if remotes.is_empty() { String::new() } else { format!(" to {remotes}") };
        let local = local.collect::<String>();
        words.push(format!("vxlan {} port {}{local}{to}", tunnel.id, tunnel.port));
    }
    words.extend(link.addresses.iter().take(NAMED).map(ToString::to_string));
    if !ports.is_empty() {
        words.push(format!("ports {}", listed(ports.iter().map(|port| (*port).to_owned()))));
    }
    Live { name, there: true, state: words.join(", ") }
}

fn listed(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let mut words: Vec<String> = all.take(NAMED).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(" ")
}

/// What services run of these statements of FRR and of these zones.
pub(super) fn of_services(
    services: &Services,
    frr: &[&Statement],
    zones: &BTreeSet<ZoneId>,
) -> Vec<Live> {
    let mut found = Vec::new();
    if !frr.is_empty() {
        let name = "frr".to_owned();
        found.push(match &services.frr {
            Frr::Off => Live { name, there: false, state: "does not run".to_owned() },
            Frr::Silent => {
                Live { name, there: true, state: "runs, and does not answer".to_owned() }
            }
            Frr::Runs(text) => {
                let texts = Texts::from([(Managed::Frr, text.clone().into_bytes())]);
                let runs: BTreeSet<String> = statements(&texts).iter().map(Statement::path).collect();
                let lacks: Vec<String> = frr
                    .iter()
                    .map(|statement| statement.path())
                    .filter(|path| !runs.contains(path))
                    .collect();
                let (all, has) = (frr.len(), frr.len() - lacks.len());
                let mut state = format!("runs, with {has} of these {all} statements");
                if !lacks.is_empty() {
                    let shown = lacks.iter().take(NAMED).map(|path| format!("`{path}`"));
                    let shown = shown.collect::<Vec<_>>().join(", ");
                    let more = lacks.len().saturating_sub(NAMED);
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    state = format!(
                        "{state}; its running configuration does not say {shown}{more} (it leaves out what is its default)"
                    );
                }
                Live { name, there: true, state }
            }
        });
    }
    found.extend(zones.iter().map(|zone| {
        let there = services.dnsmasq.contains(zone);
        let state = if there { "runs" } else { "does not run" }.to_owned();
        Live { name: format!("dnsmasq@{zone}"), there, state }
    }));
    found
}

/// What differs on the node from what runs, among what belongs to the objects.
fn drifted(host: &impl Host, view: &View, trace: &Trace) -> Result<Vec<String>, TurnError> {
    if view.texts.is_empty() {
        return Ok(Vec::new());
    }
    let drift = match apply::drift(host) {
        Ok(Some(drift)) => drift,
        Ok(None) => return Ok(Vec::new()),
        Err(StateError::Host(error)) => return Ok(vec![unread("what differs", &error)]),
        Err(error) => return Err(error.into()),
    };
    let files: BTreeSet<&Managed> = trace.statements.iter().map(|s| &s.file).collect();
    let mut said: Vec<String> = drift
        .files
        .iter()
        .filter(|managed| files.contains(managed))
        .map(|managed| format!("`{managed}` is not what weft wrote"))
        .collect();
    let is_theirs = |name: &str| {
        trace.interfaces.contains(name)
            || (name == "FRR" && files.contains(&Managed::Frr))
            || name.strip_prefix("dnsmasq@").is_some_and(|zone| {
                files.iter().any(|file| file.dnsmasq().is_some_and(|of| of.as_str() == zone))
            })
    };
    let others = drift.kernel.iter().chain(&drift.daemons);
    let others = others.filter(|mismatch| is_theirs(&mismatch.interface));
    said.extend(others.map(ToString::to_string));
    Ok(said.into_iter().map(|sentence| format!("[drift] {sentence}")).collect())
}

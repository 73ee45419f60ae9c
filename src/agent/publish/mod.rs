//! On nodes of Proxmox VE: what the cluster runs is published as Proxmox's own
//! configuration, so that its panel, guests and permissions see it, and an apply or a boot
//! there writes the same files.
//!
//! Each node says in the cluster file system what it confirmed. Whoever sees that all
//! nodes confirmed the same takes Proxmox's lock, looks again, and writes what differs.
//! A writer that dies leaves files of which each is the old one or the new one, and a
//! record of both, by which the next turn of any node goes on. Nothing waits for this:
//! where it cannot be done, a node goes on applying and says why it was not done.

mod disagreement;
mod look;
mod place;
mod secrets;
mod standing;
mod takeover;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;

pub use standing::{Publication, Standing};
pub use takeover::{Takeover, take_over};

pub(super) use disagreement::disagreement;

use self::look::Look;
use self::place::Said;
use self::standing::Stopped;
use super::error::chain;
use super::settings::{Mode, Pve, Settings};
use super::status::Running;
use crate::declare::publish::{FORMAT, Verdict};
use crate::declare::{self, Declared, Tree};
use crate::host::{Host, HostError};
use crate::network::Network;
use crate::sync::CommitRecord;
use crate::validate;
use crate::value::{ClusterName, CredentialId, NodeName, Secret};

/// How often the lock is tried in one turn, a second after the other.
const TRIES: usize = 5;
/// How long a writer goes on under the lock, as Proxmox itself: as long again is left for
/// what it is at, before pmxcfs gives the lock to the next one.
const AT_WORK: Duration = Duration::from_secs(60);

/// A commit that a node has confirmed.
pub(super) struct Subject<'a> {
    pub(super) cluster: &'a ClusterName,
    pub(super) node: &'a NodeName,
    pub(super) record: &'a CommitRecord,
    pub(super) running: &'a Running,
    pub(super) declared: &'a Declared,
    pub(super) network: &'a Network,
    pub(super) secrets: &'a BTreeMap<CredentialId, Secret>,
}

/// Says what a node confirmed, and publishes where all nodes did. `running` is what the
/// node runs: nothing is published of a commit that it has not confirmed.
pub(super) fn of_turn(
    host: &impl Host,
    settings: &Settings,
    record: &CommitRecord,
    tree: &Tree,
    running: Option<&Running>,
) -> Option<Publication> {
    let withdraw = |running| {
        if let Err(error) = withdraw(host, &settings.node.value, running) {
            tracing::debug!(error = %chain(&error), "what this node said of an earlier commit stays");
        }
    };
    if settings.pve() != Pve::Publish || settings.mode() != Mode::Apply {
        // Who does not publish is not waited for, nor counted.
        withdraw(None);
        return None;
    }
    let confirmed = |running: &&Running| {
        running.commit.as_ref().is_some_and(|commit| commit.commit == record.commit)
    };
    let Some(running) = running.filter(confirmed) else {
        withdraw(running);
        let why = format!("this node has not confirmed commit {}", record.commit.short());
        let stopped = Stopped::waiting("pve-waits-for-nodes", why);
        return Some(stopped.publication(place::record(host).ok().flatten()));
    };
    let (declared, _) = declare::read(tree, Some(&settings.cluster.value));
    // It was built before, of the same.
    let network = &validate::validate(&declared, &[]).0?;
    let secrets = secrets::secrets(host, settings, &declared);
    let subject = Subject {
        cluster: &settings.cluster.value,
        node: &settings.node.value,
        record,
        running,
        declared: &declared,
        network,
        secrets: &secrets,
    };
    Some(publish(host, &subject))
}

/// The number that the files of a node carry when they are written: of a publication to
/// come, so that Proxmox never takes the node for one that waits; `None` where nothing is
/// known of any.
pub(super) fn version(host: &impl Host, settings: &Settings) -> Option<u64> {
    let found = match settings.pve() {
        Pve::Off => return None,
        Pve::Publish | Pve::Refuse => place::found(host).ok()?,
    };
    match found.version() {
        0 => None,
        version if settings.pve() == Pve::Publish => Some(version.saturating_add(1)),
        version => Some(version),
    }
}

/// Publishes what can be, and says how it stands.
pub(super) fn publish(host: &impl Host, subject: &Subject<'_>) -> Publication {
    let publication = match attempt(host, subject) {
        Ok(publication) => publication,
        Err(stopped) => stopped.publication(place::record(host).ok().flatten()),
    };
    if publication.standing == Standing::Refused {
        tracing::warn!(code = publication.code, "not published: {}", publication.message);
    }
    publication
}

fn attempt(host: &impl Host, subject: &Subject<'_>) -> Result<Publication, Stopped> {
    if !place::is_there(host)? {
        let message = format!("there is no `{}` to publish to", place::SDN);
        return Err(Stopped::waiting("pve-absent", message));
    }
    if !place::knows(host, subject.node)? {
        let message = format!("Proxmox has no node `{}`", subject.node);
        return Err(Stopped::waiting("pve-absent", message));
    }
    let look = Look::take(host, subject)?;
    // Also without quorum: it is the node's own file.
    place::number(host, look.version).map_err(|error| Stopped::unwritable(&error))?;
    if !look.members.quorate {
        return Err(Stopped::no_quorum("its members say so"));
    }
    say(host, subject, &look)?;
    look.forbids()?;
    let done = look.done(host, subject, look.agreed(host, subject)?);
    if look.verdict == Verdict::InPlace && look.record.as_ref() == Some(&done) {
        return Ok(look.published(done));
    }
    under_lock(host, |deadline| {
        if host.read(Utf8Path::new(place::TOKEN), 4096)?.is_some() {
            let message = format!("somebody keeps it locked by a token in `{}`", place::TOKEN);
            return Err(Stopped::waiting("pve-locked", message));
        }
        place::sweep(host, Utf8Path::new(place::SDN))?;
        // Another node may have been faster, and a person too.
        let look = Look::take(host, subject)?;
        look.forbids()?;
        let agreed = look.agreed(host, subject)?;
        if let Verdict::Write(files) = &look.verdict {
            place::put_record(host, &look.begun(subject))?;
            for (name, text) in files {
                deadline.check(host)?;
                place::put(host, &Utf8Path::new(place::SDN).join(name), text.expose())?;
            }
            tracing::info!(
                commit = %subject.record.commit,
                version = look.version,
                "published to Proxmox: {}",
                files.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            );
        }
        let done = look.done(host, subject, agreed);
        deadline.check(host)?;
        place::put_record(host, &done)?;
        Ok(look.published(done))
    })
}

/// Takes back what this node said where it runs something else by now, by whichever way:
/// nothing may be published for which it is counted.
fn withdraw(host: &impl Host, node: &NodeName, running: Option<&Running>) -> Result<(), HostError> {
    let runs = running.and_then(|running| running.commit.as_ref()).map(|commit| commit.commit);
    match place::said_by(host, node)? {
        Some(said) if Some(said.commit) != runs => host.remove(&place::said(node)),
        _ => Ok(()),
    }
}

/// Says to the others what this node confirmed, where it said something else.
fn say(host: &impl Host, subject: &Subject<'_>, look: &Look) -> Result<(), HostError> {
    let path = place::said(subject.node);
    place::sweep(host, path.parent().unwrap_or(&path))?;
    let said = Said {
        format: FORMAT,
        cluster: subject.cluster.clone(),
        node: subject.node.clone(),
        commit: subject.record.commit,
        sequence: subject.record.sequence,
        rendering: subject.running.rendering,
        export: look.export,
        version: look.version,
        since: subject.running.since,
    };
    place::put_json(host, &path, &said)
}

/// Until when a writer may go on.
struct Deadline(Duration);

impl Deadline {
    fn check(&self, host: &impl Host) -> Result<(), Stopped> {
        if up(host)? < self.0 {
            return Ok(());
        }
        let message = "writing took so long that the lock may be another one's by now";
        Err(Stopped::waiting("pve-locked", message.to_owned()))
    }
}

fn up(host: &impl Host) -> Result<Duration, HostError> {
    Ok(Duration::from_millis(host.uptime()?.milliseconds))
}

/// Does something under the lock that Proxmox takes as well.
fn under_lock<T>(
    host: &impl Host,
    work: impl FnOnce(&Deadline) -> Result<T, Stopped>,
) -> Result<T, Stopped> {
    let path = Utf8Path::new(place::LOCK);
    let mut tries = 0;
    while !host.acquire(path)? {
        tries += 1;
        if tries == TRIES {
            let message = format!("somebody else changes it now (`{path}`)");
            return Err(Stopped::waiting("pve-locked", message));
        }
        host.wait(Duration::from_secs(1));
    }
    let result = up(host).map_err(Stopped::from).and_then(|now| work(&Deadline(now + AT_WORK)));
    if let Err(error) = host.release(path) {
        tracing::warn!(%error, "a lock of the cluster is left to pmxcfs, which ends it in two minutes");
    }
    result
}

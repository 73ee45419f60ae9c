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
mod place;
mod secrets;
mod standing;
mod takeover;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::Utf8Path;

pub use standing::{Publication, Standing};
pub use takeover::{Takeover, take_over};

pub(super) use disagreement::disagreement;

use self::place::Said;
use self::standing::Stopped;
use super::settings::{Mode, Pve, Settings};
use super::status::Running;
use crate::declare::export::{self, Exported, LeftOut};
use crate::declare::publish::{FORMAT, Found, Published, RUNNING, Record, Verdict, Wanted};
use crate::declare::pve::members::Members;
use crate::declare::{self, Declared, Tree};
use crate::host::{Host, HostError};
use crate::network::Network;
use crate::sync::CommitRecord;
use crate::validate;
use crate::value::{ClusterName, CredentialId, Digest, NodeName, Secret};

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
    if settings.pve() != Pve::Publish || settings.mode() != Mode::Apply {
        return None;
    }
    let confirmed = |running: &&Running| {
        running.commit.as_ref().is_some_and(|commit| commit.commit == record.commit)
    };
    let Some(running) = running.filter(confirmed) else {
        if let Err(error) = withdraw(host, &settings.node.value, running) {
            tracing::debug!(%error, "what this node said of an earlier commit stays");
        }
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

/// What stands there, beside what a commit is exported as.
struct Look {
    found: Found,
    record: Option<Record>,
    members: Members,
    verdict: Verdict,
    /// The digest of what is exported.
    export: Digest,
    /// By name, the digests of what each file is exported as.
    digests: BTreeMap<&'static str, Digest>,
    /// The version of the running configuration once it is published.
    version: u64,
    left_out: Vec<LeftOut>,
}

impl Look {
    fn take(host: &impl Host, subject: &Subject<'_>) -> Result<Self, Stopped> {
        let (found, record) = (place::found(host)?, place::record(host)?);
        if let Some(record) = record.as_ref().filter(|record| record.cluster != *subject.cluster) {
            return Err(Stopped::refused(
                "pve-edited",
                format!("another cluster's commits are published there: `{}`", record.cluster),
            ));
        }
        let next = found.version().saturating_add(1);
        let exported: Exported =
            export::pve(subject.declared, subject.network, next, subject.secrets);
        let wanted = Wanted::new(&exported)?;
        let verdict = wanted.judge(&found, record.as_ref());
        let applies = matches!(&verdict, Verdict::Write(files) if files.iter().any(|(name, _)| *name == RUNNING));
        Ok(Self {
            members: place::members(host, subject.declared)?,
            version: if applies { next } else { found.version() },
            verdict,
            export: wanted.digest(),
            digests: wanted.digests(),
            left_out: exported.left_out.iter().filter(|left| matters(left)).cloned().collect(),
            found,
            record,
        })
    }

    /// Why nothing may be written, whoever confirmed what.
    fn forbids(&self) -> Result<(), Stopped> {
        match &self.verdict {
            Verdict::InPlace | Verdict::Write(_) => Ok(()),
            Verdict::Edited(edited) => Err(Stopped {
                edited: edited.clone(),
                found: self.found.digests().into_iter().map(|(n, d)| (n.to_owned(), d)).collect(),
                ..Stopped::refused(
                    "pve-edited",
                    format!(
                        "`{}` has what weft did not write, and it is left: {}",
                        place::SDN,
                        standing::some(edited)
                    ),
                )
            }),
            Verdict::Beyond(what) => Err(Stopped::refused(
                "pve-beyond",
                format!("Proxmox has what weft has no word for: {}", standing::some(what)),
            )),
        }
    }

    /// The nodes that are waited for, and why each is.
    fn missing(
        &self,
        host: &impl Host,
        subject: &Subject<'_>,
    ) -> Result<Vec<(NodeName, String)>, Stopped> {
        let mut missing = Vec::new();
        let mut undeclared = Vec::new();
        for (name, there) in &self.members.nodes {
            let node = name.parse::<NodeName>().ok();
            let Some(node) = node.filter(|node| subject.declared.nodes.contains_key(node.as_str()))
            else {
                undeclared.push(format!("`{}`", name.escape_debug()));
                continue;
            };
            let why = match place::said_by(host, &node)? {
                None => "has confirmed nothing so far".to_owned(),
                Some(said) if said.cluster != *subject.cluster => {
                    format!("follows cluster `{}`", said.cluster)
                }
                Some(said) if said.export != self.export => {
                    format!("runs commit {} (sequence {})", said.commit.short(), said.sequence)
                }
                Some(said) if said.version < self.version => {
                    format!("has not numbered its files {} yet", self.version)
                }
                Some(_) => continue,
            };
            let why = if *there { why } else { format!("{why}, and is offline") };
            missing.push((node, why));
        }
        if undeclared.is_empty() {
            return Ok(missing);
        }
        Err(Stopped::refused(
            "pve-member-undeclared",
            format!(
                "the commit declares no node {}, where Proxmox would put this network too",
                undeclared.join(", ")
            ),
        ))
    }

    /// What is known once everything is in place.
    fn done(&self, host: &impl Host, subject: &Subject<'_>) -> Record {
        let known = self.record.as_ref();
        let before = known.and_then(|known| known.published.clone());
        let is_this = |published: &Published| {
            published.commit == subject.record.commit && published.version == self.version
        };
        let mut contents = self.contents();
        for (name, digest) in &self.digests {
            contents.insert((*name).to_owned(), [*digest].into());
        }
        Record {
            format: FORMAT,
            cluster: subject.cluster.clone(),
            published: before.filter(is_this).or_else(|| {
                Some(Published {
                    commit: subject.record.commit,
                    sequence: subject.record.sequence,
                    version: self.version,
                    by: subject.node.clone(),
                    at: host.now(),
                })
            }),
            contents,
        }
    }

    /// What is known before anything is written: whatever stops the writer, each file is
    /// the one that is there or the one that is to come.
    fn begun(&self, subject: &Subject<'_>) -> Record {
        let mut contents = self.contents();
        let found = self.found.digests();
        for (name, digest) in &self.digests {
            let both = found.get(name).into_iter().chain([digest]).copied().collect();
            contents.insert((*name).to_owned(), both);
        }
        let published = self.record.as_ref().and_then(|record| record.published.clone());
        Record { format: FORMAT, cluster: subject.cluster.clone(), published, contents }
    }

    fn contents(&self) -> BTreeMap<String, BTreeSet<Digest>> {
        self.record.as_ref().map(|record| record.contents.clone()).unwrap_or_default()
    }

    fn published(&self, record: Record) -> Publication {
        Publication {
            standing: Standing::Published,
            code: None,
            message: "what the cluster runs is published to Proxmox".to_owned(),
            published: record.published,
            waiting: Vec::new(),
            edited: Vec::new(),
            found: BTreeMap::new(),
            left_out: self.left_out.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Whether something that is left out is a part of the network: Proxmox has its nodes and
/// guests from elsewhere.
fn matters(left: &LeftOut) -> bool {
    !left.object.starts_with("node ") && !left.object.starts_with("guest ")
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
    let missing = look.missing(host, subject)?;
    if !missing.is_empty() {
        return Err(Stopped::waiting_for(&missing));
    }
    let done = look.done(host, subject);
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
        let missing = look.missing(host, subject)?;
        if !missing.is_empty() {
            return Err(Stopped::waiting_for(&missing));
        }
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
        let done = look.done(host, subject);
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

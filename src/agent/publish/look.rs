//! What stands in `/etc/pve/sdn` and what the nodes say, beside what a commit is exported as.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::standing::{Publication, Standing, Stopped, some};
use super::{Subject, place};
use crate::declare::export::{self, Exported, LeftOut};
use crate::declare::publish::{FORMAT, Found, Published, RUNNING, Record, Seal, Verdict, Wanted};
use crate::declare::pve::members::Members;
use crate::host::Host;
use crate::value::{Digest, NodeName, ObjectId};

/// What stands there, beside what a commit is exported as.
pub(super) struct Look {
    pub(super) found: Found,
    pub(super) record: Option<Record>,
    pub(super) members: Members,
    pub(super) verdict: Verdict,
    /// The digest of what is exported.
    pub(super) export: Digest,
    /// By name, the digests of what each file is exported as.
    digests: BTreeMap<&'static str, Digest>,
    /// The version of the running configuration once it is published.
    pub(super) version: u64,
    /// By what the secrets that weft wrote are known again.
    seal: Seal,
    /// By name, the sealed secrets of what is found, and of what is exported.
    secrets: [BTreeMap<&'static str, BTreeSet<Digest>>; 2],
    left_out: Vec<LeftOut>,
}

impl Look {
    pub(super) fn take(host: &impl Host, subject: &Subject<'_>) -> Result<Self, Stopped> {
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
        let known = record.as_ref().and_then(|record| record.seal.clone());
        let seal = known.unwrap_or_else(|| Seal::new(salt()));
        let applies = matches!(&verdict, Verdict::Write(files) if files.iter().any(|(name, _)| *name == RUNNING));
        Ok(Self {
            members: place::members(host, subject.declared)?,
            version: if applies { next } else { found.version() },
            verdict,
            export: wanted.digest(),
            digests: wanted.digests(),
            secrets: [found.secrets(&seal), wanted.secrets(&seal)],
            seal,
            left_out: exported.left_out.iter().filter(|left| matters(left)).cloned().collect(),
            found,
            record,
        })
    }

    /// Why nothing may be written, whoever confirmed what.
    pub(super) fn forbids(&self) -> Result<(), Stopped> {
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
                        some(edited)
                    ),
                )
            }),
            Verdict::Beyond(what) => Err(Stopped::refused(
                "pve-beyond",
                format!("Proxmox has what weft has no word for: {}", some(what)),
            )),
        }
    }

    /// The commit that counts as published: of those that nodes say, which Proxmox could not
    /// tell from each other, the earliest, so that all nodes write down the same. An error
    /// names the nodes that are waited for, and why each is.
    pub(super) fn agreed(
        &self,
        host: &impl Host,
        subject: &Subject<'_>,
    ) -> Result<(u64, ObjectId), Stopped> {
        let mut missing = Vec::new();
        let mut agreed = (subject.record.sequence, subject.record.commit);
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
                Some(said) => {
                    agreed = agreed.min((said.sequence, said.commit));
                    continue;
                }
            };
            let why = if *there { why } else { format!("{why}, and is offline") };
            missing.push((node, why));
        }
        if !undeclared.is_empty() {
            return Err(Stopped::refused(
                "pve-member-undeclared",
                format!(
                    "the commit declares no node {}, where Proxmox would put this network too",
                    undeclared.join(", ")
                ),
            ));
        }
        if missing.is_empty() { Ok(agreed) } else { Err(Stopped::waiting_for(&missing)) }
    }

    /// What is known once everything is in place.
    pub(super) fn done(
        &self,
        host: &impl Host,
        subject: &Subject<'_>,
        (sequence, commit): (u64, ObjectId),
    ) -> Record {
        let known = self.record.as_ref();
        let before = known.and_then(|known| known.published.clone());
        let is_this =
            |published: &Published| published.commit == commit && published.version == self.version;
        let mut contents = self.contents();
        for (name, digest) in &self.digests {
            contents.insert((*name).to_owned(), [*digest].into());
        }
        Record {
            format: FORMAT,
            cluster: subject.cluster.clone(),
            published: before.filter(is_this).or_else(|| {
                Some(Published {
                    commit,
                    sequence,
                    version: self.version,
                    by: subject.node.clone(),
                    at: host.now(),
                })
            }),
            contents,
            seal: self.sealed(&[&self.secrets[1]]),
        }
    }

    /// What is known before anything is written: whatever stops the writer, each file is
    /// the one that is there or the one that is to come.
    pub(super) fn begun(&self, subject: &Subject<'_>) -> Record {
        let mut contents = self.contents();
        let found = self.found.digests();
        for (name, digest) in &self.digests {
            let both = found.get(name).into_iter().chain([digest]).copied().collect();
            contents.insert((*name).to_owned(), both);
        }
        let published = self.record.as_ref().and_then(|record| record.published.clone());
        let seal = self.sealed(&self.secrets.each_ref());
        Record { format: FORMAT, cluster: subject.cluster.clone(), published, contents, seal }
    }

    /// The secrets that weft may replace, with those of files that are not exported as they
    /// are known; nothing where there are none.
    fn sealed(&self, of: &[&BTreeMap<&'static str, BTreeSet<Digest>>]) -> Option<Seal> {
        let mut seal = self.seal.clone();
        for name in self.secrets[1].keys() {
            let secrets = of.iter().filter_map(|of| of.get(name)).flatten();
            seal.secrets.insert((*name).to_owned(), secrets.copied().collect());
        }
        seal.secrets.values().any(|secrets| !secrets.is_empty()).then_some(seal)
    }

    fn contents(&self) -> BTreeMap<String, BTreeSet<Digest>> {
        self.record.as_ref().map(|record| record.contents.clone()).unwrap_or_default()
    }

    pub(super) fn published(&self, record: Record) -> Publication {
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

/// What nobody outside the record can guess, from the entropy that seeds hash tables.
pub(super) fn salt() -> Digest {
    let bits = || RandomState::new().build_hasher().finish().to_be_bytes();
    Digest::of([bits(), bits(), bits(), bits()].as_flattened())
}

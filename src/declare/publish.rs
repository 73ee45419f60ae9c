//! What of an export is to be written beside what `/etc/pve/sdn` has: nothing that means
//! the same, and nothing that a person has made.
//!
//! Whose a file is follows from its meaning: a [`Record`] beside the files has the digest
//! of what weft wrote last and, while it writes, of what it is about to write.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::export::Exported;
use super::pve::config::Spelled;
use super::pve::{Config, Damage, Kind, State, Unequal};
use crate::value::{ClusterName, Digest, NodeName, ObjectId, Secret};

/// The running configuration: what Proxmox has applied.
pub const RUNNING: &str = ".running-config";

/// The format of a record that this version writes and reads.
pub const FORMAT: u32 = 1;

/// The files in the order in which they are written. What others name stands before them,
/// so that half of it names nothing that is not there; the section files stand before the
/// running configuration, so that an apply in between leads to what is published and not
/// back.
const ORDER: [(&str, Option<Kind>); 8] = [
    ("ipams.cfg", Some(Kind::Ipams)),
    ("dns.cfg", Some(Kind::Dns)),
    ("fabrics.cfg", Some(Kind::Fabrics)),
    ("controllers.cfg", Some(Kind::Controllers)),
    ("zones.cfg", Some(Kind::Zones)),
    ("vnets.cfg", Some(Kind::Vnets)),
    ("subnets.cfg", Some(Kind::Subnets)),
    (RUNNING, None),
];

/// The kinds whose files hold secrets.
const SERVERS: [Kind; 2] = [Kind::Ipams, Kind::Dns];

/// The kinds that Proxmox applies and weft has no word for.
const BEYOND: [Kind; 2] = [Kind::RouteMaps, Kind::PrefixLists];

/// What weft knows of what it published, in a file beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The format of this file.
    pub format: u32,
    /// The cluster whose commits are published.
    pub cluster: ClusterName,
    /// What was published last as a whole.
    pub published: Option<Published>,
    /// By the name of a file, the digests of what it means that weft may replace: what weft
    /// wrote, or what a person let it take over.
    pub contents: BTreeMap<String, BTreeSet<Digest>>,
    /// The secrets that weft may replace; none where it wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// By what secrets are known again without being known: digests of each together with a salt,
/// which is nowhere but here, so that nobody who sees one can try words until one fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The salt.
    pub salt: Digest,
    /// By the name of a file, the digests of the secrets in it that weft wrote, or that a
    /// person let it take over.
    pub secrets: BTreeMap<String, BTreeSet<Digest>>,
}

impl Seal {
    /// One without secrets.
    pub fn new(salt: Digest) -> Self {
        Self { salt, secrets: BTreeMap::new() }
    }

    fn of(&self, file: &str, id: &str, secret: &str) -> Digest {
        // Neither the name of a file nor an id holds a line feed.
        let text = Secret::new(format!("{}\n{file}\n{id}\n{secret}", self.salt));
        Digest::of(text.expose().as_bytes())
    }

    fn knows(&self, file: &str, id: &str, secret: &str) -> bool {
        let known = self.secrets.get(file);
        known.is_some_and(|known| known.contains(&self.of(file, id, secret)))
    }
}

/// A publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The commit.
    pub commit: ObjectId,
    /// Its number.
    pub sequence: u64,
    /// The version of the running configuration.
    pub version: u64,
    /// The node that wrote it.
    pub by: NodeName,
    /// When.
    pub at: Timestamp,
}

/// The files of `/etc/pve/sdn` as they were found.
#[derive(Clone, Debug)]
pub struct Found {
    sections: Config,
    running: Config,
}

impl Found {
    /// The names of the files that are looked at.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ORDER.iter().map(|(name, _)| *name).chain(BEYOND.map(Kind::file))
    }

    /// Reads their texts, by their names. One that is not there is empty.
    pub fn read(texts: &BTreeMap<&str, Secret>) -> Result<Self, Damage> {
        let running = match texts.get(RUNNING).map(Secret::expose).filter(|text| !text.is_empty()) {
            Some(text) => Config::running(RUNNING, text)?,
            None => Config::default(),
        };
        let mut sections = Config::default();
        let kinds = ORDER.iter().filter_map(|(_, kind)| *kind).chain(BEYOND);
        for kind in kinds {
            if let Some(text) = texts.get(kind.file()) {
                sections.read(kind, kind.file(), text.expose())?;
            }
        }
        Ok(Self { sections, running })
    }

    /// How often Proxmox, or weft for it, has applied a configuration.
    pub fn version(&self) -> u64 {
        self.running.version
    }

    /// By name, the digest of what each file means. Secrets do not count.
    pub fn digests(&self) -> BTreeMap<&'static str, Digest> {
        ORDER.iter().map(|(name, kind)| (*name, self.digest(*kind))).collect()
    }

    fn digest(&self, kind: Option<Kind>) -> Digest {
        let meaning = match kind {
            Some(kind) => [(kind.key(), self.public(kind))].into(),
            None => self.meaning(None),
        };
        Digest::of(format!("{meaning:?}").as_bytes())
    }

    /// The objects of a kind without their secrets.
    fn public(&self, kind: Kind) -> Spelled {
        let mut objects = self.sections.spelled(kind);
        if let Some(secret) = secret(kind) {
            for values in objects.values_mut() {
                values.remove(secret);
            }
        }
        objects
    }

    /// What a file says: of the running configuration all kinds.
    fn meaning(&self, kind: Option<Kind>) -> BTreeMap<&'static str, Spelled> {
        match kind {
            Some(kind) => [(kind.key(), self.sections.spelled(kind))].into(),
            None => Kind::APPLIED.iter().map(|k| (k.key(), self.running.spelled(*k))).collect(),
        }
    }

    /// By name, the secrets in each file of servers, sealed.
    pub fn secrets(&self, seal: &Seal) -> BTreeMap<&'static str, BTreeSet<Digest>> {
        let of_kind = |kind: Kind| {
            let secrets = self.secrets_of(kind).into_iter();
            let file = kind.file();
            (file, secrets.map(|(id, secret)| seal.of(file, &id, secret.expose())).collect())
        };
        SERVERS.map(of_kind).into()
    }

    /// By id, the secret of each server that has one.
    fn secrets_of(&self, kind: Kind) -> BTreeMap<String, Secret> {
        let servers = self.sections.spelled(kind).into_iter();
        let secret = |(id, mut values): (String, BTreeMap<String, String>)| {
            Some((id, Secret::new(values.remove(secret(kind)?)?)))
        };
        servers.filter_map(secret).collect()
    }

    fn is_empty(&self, kind: Option<Kind>) -> bool {
        self.meaning(kind).values().all(BTreeMap::is_empty)
    }

    /// What weft has no word for.
    fn beyond(&self) -> Vec<String> {
        let mut found: Vec<String> = BEYOND
            .iter()
            .flat_map(|kind| [&self.sections, &self.running].map(|config| (kind, config)))
            .flat_map(|(kind, config)| {
                config.spelled(*kind).into_keys().map(|id| format!("{} {id}", kind.one()))
            })
            .collect();
        found.sort();
        found.dedup();
        if self.running.has_more() {
            found.push(format!("kinds of objects in {RUNNING} that are newer than weft"));
        }
        found
    }
}

/// The key of a kind that holds a secret.
fn secret(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Ipams => Some("token"),
        Kind::Dns => Some("key"),
        _ => None,
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is there.
    InPlace,
    /// These files are to be written, in this order.
    Write(Vec<(&'static str, Secret)>),
    /// A person changed something, so that nothing is written: what differs.
    Edited(Vec<String>),
    /// Something is there that weft has no word for, so that nothing is written.
    Beyond(Vec<String>),
}

/// An export, beside what was found.
#[derive(Debug)]
pub struct Wanted<'a> {
    exported: &'a Exported,
    read: Found,
}

impl<'a> Wanted<'a> {
    /// What an export means.
    pub fn new(exported: &'a Exported) -> Result<Self, Damage> {
        let public = exported.files.iter().map(|(name, text)| (*name, Secret::new(text.clone())));
        let secret = exported.secret_files.iter().map(|(name, text)| (*name, text.clone()));
        Ok(Self { exported, read: Found::read(&public.chain(secret).collect())? })
    }

    /// What is published of it, as one digest: equal for commits that Proxmox could not
    /// tell from each other. IPAM and DNS servers do not count, whose secrets only some
    /// nodes have.
    pub fn digest(&self) -> Digest {
        self.read.digest(None)
    }

    /// By name, the digest of what each file that is published means.
    pub fn digests(&self) -> BTreeMap<&'static str, Digest> {
        let kinds = ORDER.iter().filter(|(name, _)| self.has(name));
        kinds.map(|(name, kind)| (*name, self.read.digest(*kind))).collect()
    }

    /// By name, the secrets in each file that is exported, sealed.
    pub fn secrets(&self, seal: &Seal) -> BTreeMap<&'static str, BTreeSet<Digest>> {
        let mut secrets = self.read.secrets(seal);
        secrets.retain(|name, _| self.has(name));
        secrets
    }

    /// Files of services are left alone where they are not exported; the others are
    /// empty then.
    fn has(&self, name: &str) -> bool {
        !matches!(name, "ipams.cfg" | "dns.cfg") || self.exported.secret_files.contains_key(name)
    }

    fn text(&self, name: &str) -> Secret {
        let public = self.exported.files.get(name).map(|text| Secret::new(text.clone()));
        let text = public.or_else(|| self.exported.secret_files.get(name).cloned());
        text.unwrap_or_else(|| Secret::new(String::new()))
    }

    /// What is to be done about what was found. The first time, nothing may be there that
    /// is not what is wanted; later, nothing that weft did not write.
    pub fn judge(&self, found: &Found, record: Option<&Record>) -> Verdict {
        let beyond = found.beyond();
        if !beyond.is_empty() {
            return Verdict::Beyond(beyond);
        }
        let differs = |kind: Option<Kind>| found.meaning(kind) != self.read.meaning(kind);
        let differing: Vec<_> =
            ORDER.iter().filter(|(name, kind)| self.has(name) && differs(*kind)).collect();
        let of_services = |name: &str| matches!(name, "ipams.cfg" | "dns.cfg");
        let is_bare = ORDER.iter().all(|(name, kind)| of_services(name) || found.is_empty(*kind));
        let seal = record.and_then(|record| record.seal.as_ref());
        let ours = |name: &str, kind: Option<Kind>| {
            let digest = found.digest(kind);
            let known = record.and_then(|record| record.contents.get(name));
            self.edited_secrets(found, kind, seal).is_empty()
                && (digest == self.read.digest(kind)
                    || self.only_adds(found, kind)
                    || known.is_some_and(|known| known.contains(&digest))
                    || (record.is_none() && is_bare && !of_services(name)))
        };
        let foreign: Vec<_> =
            differing.iter().filter(|(name, kind)| !ours(name, *kind)).copied().collect();
        if !foreign.is_empty() {
            return Verdict::Edited(
                foreign
                    .into_iter()
                    .flat_map(|(name, kind)| self.edits(found, name, *kind, seal))
                    .collect(),
            );
        }
        if differing.is_empty() {
            return Verdict::InPlace;
        }
        Verdict::Write(differing.into_iter().map(|(name, _)| (*name, self.text(name))).collect())
    }

    /// The servers whose secrets are neither what is wanted nor what weft wrote.
    fn edited_secrets(
        &self,
        found: &Found,
        kind: Option<Kind>,
        seal: Option<&Seal>,
    ) -> BTreeSet<String> {
        let Some(kind) = kind.filter(|kind| SERVERS.contains(kind)) else {
            return BTreeSet::new();
        };
        let wanted = self.read.secrets_of(kind);
        let is_ours = |id: &str, secret: &Secret| {
            wanted.get(id).is_some_and(|wanted| wanted.expose() == secret.expose())
                || seal.is_some_and(|seal| seal.knows(kind.file(), id, secret.expose()))
        };
        let found = found.secrets_of(kind).into_iter();
        found.filter(|(id, secret)| !is_ours(id, secret)).map(|(id, _)| id).collect()
    }

    /// Whether a file of servers stays as it is but for more of them, and their secrets.
    fn only_adds(&self, found: &Found, kind: Option<Kind>) -> bool {
        let Some(kind) = kind.filter(|kind| SERVERS.contains(kind)) else { return false };
        let wanted = self.read.public(kind);
        found.public(kind).iter().all(|(id, values)| wanted.get(id) == Some(values))
    }

    /// What a person would see as different, without values: some are secrets.
    fn edits(
        &self,
        found: &Found,
        name: &str,
        kind: Option<Kind>,
        seal: Option<&Seal>,
    ) -> Vec<String> {
        let said = |what: String| format!("{name}: {what}");
        match kind {
            Some(kind @ (Kind::Ipams | Kind::Dns)) => {
                let (wanted, others) = (self.read.public(kind), found.public(kind));
                let edited = self.edited_secrets(found, Some(kind), seal);
                let others = others.iter().filter_map(|(id, values)| {
                    let server = format!("{} {}", kind.one(), id.escape_debug());
                    if wanted.get(id) != Some(values) {
                        Some(said(format!("{server} is another one")))
                    } else if edited.contains(id) {
                        let key = secret(kind).unwrap_or_default();
                        Some(said(format!("{server} has another `{key}`")))
                    } else {
                        None
                    }
                });
                others.collect()
            }
            Some(kind) => {
                let unequal = found.sections.difference(&self.read.sections);
                let unequal = unequal.iter().filter(|unequal| unequal.kind == kind.one());
                unequal.map(|unequal| said(words(unequal))).collect()
            }
            None => {
                let unequal = found.running.difference(&self.read.running);
                unequal.iter().map(|unequal| said(words(unequal))).collect()
            }
        }
    }
}

/// How an object of the commit differs from what was found.
fn words(unequal: &Unequal) -> String {
    let object = format!("{} {}", unequal.kind, unequal.id.escape_debug());
    match unequal.state {
        State::New => format!("{object} is missing, and the commit has it"),
        State::Deleted => format!("{object} is there, and the commit does not have it"),
        State::Changed => {
            let keys = unequal.keys.iter().map(|key| format!("`{}`", key.key.escape_debug()));
            format!("{object} has another {}", keys.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests;

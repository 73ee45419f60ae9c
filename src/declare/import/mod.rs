//! From the files of Proxmox VE to the text of a repository.
//!
//! Everything keeps Proxmox's names. What a repository cannot say is never
//! dropped in silence: it stays as a comment where it was, and is remarked. No
//! secret is ever in the text.

mod convert;
mod emit;
mod files;
mod guests;
mod layout;
mod network;
mod nodes;
mod object;
mod services;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use thiserror::Error;

pub use self::files::PveFiles;
pub(crate) use self::layout::schema_line;
use self::object::Import;
use super::pve::{Config, Damage, Unequal};
use crate::value::{ClusterName, CredentialId, NodeName, RepoPath, Secret};

/// Why files of Proxmox cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file is damaged, or is none of Proxmox's.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// No file says how the cluster is called.
    #[error("no file says the name of the cluster")]
    NoCluster,
    /// The cluster has a name that a repository cannot have.
    #[error("the cluster is called `{}`, which a repository cannot name: {rule}", name.escape_debug())]
    BadCluster {
        /// How `corosync.conf` calls it.
        name: String,
        /// What a name is.
        rule: &'static str,
    },
}

/// Of what a repository is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The running configuration: what Proxmox has applied. The section files where
    /// there is none.
    #[default]
    Running,
    /// The section files: what is wanted, applied or not.
    Wanted,
}

/// What is known of a node beside the running configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownNode {
    /// The tunnel endpoint.
    pub address: Option<IpAddr>,
    /// The address that must never be lost.
    pub management: Option<IpAddr>,
}

/// A configuration repository made of Proxmox's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Whose it is.
    pub cluster: ClusterName,
    /// The texts of its files.
    pub files: BTreeMap<RepoPath, String>,
    /// What a person should look at.
    pub remarks: Vec<Remark>,
    /// How often Proxmox has applied its configuration: the number that its nodes
    /// carry in the first line of their interfaces file.
    pub version: u64,
    /// What it was made of.
    pub source: Source,
    /// What is wanted otherwise than it runs, whichever of the two was taken.
    pub pending: Vec<Unequal>,
    /// The secrets that Proxmox's files hold and a repository must not.
    pub credentials: Vec<Credential>,
}

/// A secret, and by which name the repository calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The name.
    pub id: CredentialId,
    /// The only server that it may be sent to: scheme, host and port.
    pub origin: String,
    /// The secret itself.
    pub secret: Secret,
}

/// Something that could not be taken over as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The object, such as `zone z1`, or the place, such as `sdn/zones.cfg:7`.
    pub object: String,
    /// What is the matter with it.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.message)
    }
}

/// Imports the files of Proxmox. `cluster` is a name for the repository instead of
/// the one that `corosync.conf` has. A result has no finding that is an error
/// wherever Proxmox renders what it was made of.
pub fn pve(
    files: &PveFiles,
    cluster: Option<&ClusterName>,
    source: Source,
) -> Result<Imported, ImportError> {
    let mut import = Import::default();
    let corosync = files.corosync()?;
    let cluster = match (cluster, corosync.as_ref().and_then(|read| read.cluster.as_ref())) {
        (Some(cluster), _) => cluster.clone(),
        (None, Some(name)) => name
            .parse()
            .map_err(|_| ImportError::BadCluster { name: name.clone(), rule: ClusterName::RULE })?,
        (None, None) => return Err(ImportError::NoCluster),
    };
    let running = files.running()?;
    let (wanted, skipped) = files.wanted()?;
    let pending = match (&running, &wanted) {
        (Some(running), Some(wanted)) => shown(running.difference(wanted)),
        _ => Vec::new(),
    };
    let version = running.as_ref().map_or(0, |running| running.version);
    let (config, source) = match (source, running, wanted) {
        (Source::Running, Some(running), wanted) => {
            if wanted.is_none() {
                let message = "there are no section files beside it, so nothing is known of what is wanted and does not run yet";
                import.remark_at("sdn/.running-config", message);
            }
            (running, Source::Running)
        }
        (Source::Wanted, Some(running), None) => {
            let message = "there are no section files; what runs was taken";
            import.remark_at("sdn", message);
            (running, Source::Running)
        }
        (asked, _, wanted) => {
            if asked == Source::Running && wanted.is_some() {
                let message = "there is none, so what the section files want was taken; whether it runs is not known";
                import.remark_at("sdn/.running-config", message);
            }
            (wanted.unwrap_or_default(), Source::Wanted)
        }
    };
    for skipped in skipped {
        import.remark_at(&skipped.place, &skipped.why);
    }
    let services = import.services(files)?;
    let members = corosync.map(|read| read.nodes);
    let made = import.everything(config, services, files, |import| match members {
        Some(members) => import.members(&members),
        None => files
            .nodes
            .iter()
            .filter_map(|name| Some((name.parse().ok()?, KnownNode::default())))
            .collect(),
    })?;
    Ok(import.finish(cluster, made, version, source, pending))
}

/// A difference without anything that could be a credential.
fn shown(mut pending: Vec<Unequal>) -> Vec<Unequal> {
    for key in pending.iter_mut().flat_map(|unequal| &mut unequal.keys) {
        for value in [&mut key.runs, &mut key.wanted].into_iter().flatten() {
            let plain = serde_json::Value::from(value.as_str());
            if emit::without_secrets(&key.key, &plain) != plain {
                "(left out)".clone_into(value);
            }
        }
    }
    pending
}

/// Imports `/etc/pve/sdn/.running-config` alone. `nodes` are the nodes of the
/// cluster; those that the configuration names are declared as well.
pub fn running_config(
    json: &str,
    cluster: &ClusterName,
    nodes: &BTreeMap<NodeName, KnownNode>,
) -> Result<Imported, ImportError> {
    let config = Config::running(".running-config", json)?;
    let version = config.version;
    let mut import = Import { services_unknown: true, ..Import::default() };
    let files = PveFiles::default();
    let services = import.services(&files)?;
    let made = import.everything(config, services, &files, |_| nodes.clone())?;
    Ok(import.finish(cluster.clone(), made, version, Source::Running, Vec::new()))
}

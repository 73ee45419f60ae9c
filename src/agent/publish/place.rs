//! Where things lie in Proxmox's cluster file system, and what the nodes say there.
//!
//! What a node says lies in its own directory of `/etc/pve/nodes`: Proxmox makes it, with
//! the node, where pmxcfs lets nobody set the mode of a new directory; only the node itself
//! writes there; it goes when the node is taken away. What is known of the publication
//! lies beside what is published, and is written under the same lock.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::standing::Stopped;
use crate::declare::Declared;
use crate::declare::publish::{self, Found, Record};
use crate::declare::pve::members::{self, Members};
use crate::declare::pve::{MAX_BYTES, corosync};
use crate::host::{Host, HostError, TEMPORARY};
use crate::render::{Managed, VERSION_LINE, without_version};
use crate::value::{ClusterName, Digest, NodeName, ObjectId, Secret};

/// The cluster file system.
pub(super) const ROOT: &str = "/etc/pve";
/// What is published.
pub(super) const SDN: &str = "/etc/pve/sdn";
/// The lock under which Proxmox, too, changes what lies there.
pub(super) const LOCK: &str = "/etc/pve/priv/lock/domain-sdn";
/// A token by which somebody keeps all others from changing it for longer.
pub(super) const TOKEN: &str = "/etc/pve/sdn/.lock";
/// What is known of the publication.
const RECORD: &str = "/etc/pve/sdn/weft.json";
/// The largest file of weft's there, in bytes.
const MAX_OWN_BYTES: u64 = 256 << 10;
/// The largest file of interfaces, in bytes.
const MAX_INTERFACES_BYTES: u64 = 32 << 20;
/// The only mode that pmxcfs lets files have there.
const MODE: u32 = 0o640;

/// The file in which a node says what it confirmed.
pub(super) fn said(node: &NodeName) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{ROOT}/nodes/{node}/weft.json"))
}

/// What a node confirmed, as the others read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// The format of this file.
    pub(super) format: u32,
    pub(super) cluster: ClusterName,
    pub(super) node: NodeName,
    pub(super) commit: ObjectId,
    pub(super) sequence: u64,
    /// The digest of the node's own files.
    pub(super) rendering: Option<Digest>,
    /// The digest of what would be published of the commit.
    pub(super) export: Digest,
    /// The number in the first line of its interfaces file.
    pub(super) version: u64,
    /// Since when it runs.
    pub(super) since: Timestamp,
}

/// Whether the cluster file system is there: pmxcfs has its members in a file, whatever else is
/// in it.
pub(super) fn is_mounted(host: &impl Host) -> Result<bool, HostError> {
    Ok(host.list(Utf8Path::new(ROOT))?.iter().any(|name| name == ".members"))
}

/// Whether there is anything to publish to.
pub(super) fn is_there(host: &impl Host) -> Result<bool, HostError> {
    Ok(host.list(Utf8Path::new(ROOT))?.iter().any(|name| name == "sdn"))
}

/// Whether Proxmox knows a node.
pub(super) fn knows(host: &impl Host, node: &NodeName) -> Result<bool, HostError> {
    let nodes = host.list(&Utf8Path::new(ROOT).join("nodes"))?;
    Ok(nodes.iter().any(|name| name == node.as_str()))
}

/// The nodes of the cluster: those of the cluster file system, else those that corosync
/// was told of, else those that are declared.
pub(super) fn members(host: &impl Host, declared: &Declared) -> Result<Members, Stopped> {
    let text = |name: &str| -> Result<Option<String>, HostError> {
        let file = host.read(&Utf8Path::new(ROOT).join(name), MAX_BYTES as u64)?;
        Ok(file.map(|file| file.text()))
    };
    if let Some(text) = text(".members")? {
        return Ok(members::read(".members", &text)?);
    }
    let nodes = match text("corosync.conf")? {
        Some(text) => {
            let nodes = corosync::read("corosync.conf", &text)?.nodes;
            nodes.into_iter().map(|node| (node.name, true)).collect()
        }
        None => declared.nodes.keys().map(|name| (name.to_string(), true)).collect(),
    };
    Ok(Members { quorate: true, nodes })
}

/// The files of `/etc/pve/sdn`, read.
pub(super) fn found(host: &impl Host) -> Result<Found, Stopped> {
    let mut texts = BTreeMap::new();
    for name in Found::names() {
        if let Some(file) = host.read(&Utf8Path::new(SDN).join(name), MAX_BYTES as u64)? {
            texts.insert(name, Secret::new(file.text()));
        }
    }
    Ok(Found::read(&texts)?)
}

/// The text of what Proxmox applied, where it applied anything.
pub(super) fn running(host: &impl Host) -> Result<Option<String>, Stopped> {
    let path = Utf8Path::new(SDN).join(publish::RUNNING);
    let file = host.read(&path, MAX_BYTES as u64)?;
    let text = file.map(|file| file.text());
    Ok(text.filter(|text| !text.is_empty()))
}

/// What is known of the publication.
pub(super) fn record(host: &impl Host) -> Result<Option<Record>, Stopped> {
    let Some(record) = of_json::<Record>(host, Utf8Path::new(RECORD))? else { return Ok(None) };
    match record {
        Ok(record) if record.format == publish::FORMAT => Ok(Some(record)),
        _ => {
            Err(Stopped::unreadable(format!("`{RECORD}` is not what this version of weft writes")))
        }
    }
}

/// What a node said last; `None` where it said nothing that can be read.
pub(super) fn said_by(host: &impl Host, node: &NodeName) -> Result<Option<Said>, HostError> {
    Ok(of_json(host, &said(node))?.and_then(Result::ok))
}

fn of_json<T: DeserializeOwned>(
    host: &impl Host,
    path: &Utf8Path,
) -> Result<Option<serde_json::Result<T>>, HostError> {
    let file = host.read(path, MAX_OWN_BYTES)?;
    Ok(file.map(|file| serde_json::from_slice(&file.bytes)))
}

/// Writes a file of the cluster file system, where it is another one.
pub(super) fn put(host: &impl Host, path: &Utf8Path, text: &str) -> Result<(), HostError> {
    let is = host.read(path, MAX_BYTES as u64)?;
    if is.is_some_and(|is| is.bytes == text.as_bytes()) {
        return Ok(());
    }
    host.replace(path, text.as_bytes(), MODE)
}

/// Writes a value as people can read it.
pub(super) fn put_json(
    host: &impl Host,
    path: &Utf8Path,
    value: &impl Serialize,
) -> Result<(), HostError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| HostError::of("write", path, error.into()))?;
    put(host, path, &format!("{text}\n"))
}

/// Writes down what is known of the publication.
pub(super) fn put_record(host: &impl Host, record: &Record) -> Result<(), HostError> {
    put_json(host, Utf8Path::new(RECORD), record)
}

/// Takes away what a writer that died left half written.
pub(super) fn sweep(host: &impl Host, directory: &Utf8Path) -> Result<(), HostError> {
    for name in host.list(directory)?.iter().filter(|name| name.starts_with(TEMPORARY)) {
        host.remove(&directory.join(name))?;
    }
    Ok(())
}

/// Lets the interfaces file carry a number, by which Proxmox tells whether the node has
/// what it applied last: one that is lower is shown as pending. Nothing else of the file
/// is touched, and nothing has to be loaded again.
pub(super) fn number(host: &impl Host, number: u64) -> Result<(), HostError> {
    let path = Managed::Interfaces.path();
    let Some(file) = host.read(&path, MAX_INTERFACES_BYTES)? else { return Ok(()) };
    let Ok(text) = std::str::from_utf8(&file.bytes) else { return Ok(()) };
    let numbered = format!("{VERSION_LINE}{number}\n{}", without_version(text));
    if !text.starts_with(VERSION_LINE) || numbered == text {
        return Ok(());
    }
    host.replace(&path, numbered.as_bytes(), file.mode)
}

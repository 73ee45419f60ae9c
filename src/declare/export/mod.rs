//! From declarations to the files of Proxmox VE: the part that Proxmox can express.
//!
//! What it cannot is listed, never dropped in silence. Options and values keep the
//! spelling of the declaration; peers that weft derives are written out.

mod network;
mod services;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::Declared;
use super::pve::Kind;
use super::pve::write::{Object, running, sections};
use crate::network::Network;
use crate::value::{CredentialId, Secret};

/// The kinds that weft declares, of those that are applied.
const KINDS: [Kind; 5] =
    [Kind::Zones, Kind::Vnets, Kind::Subnets, Kind::Controllers, Kind::Fabrics];

/// The files of `/etc/pve/sdn`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Texts by name, `.running-config` among them. A kind without objects has no file.
    pub files: BTreeMap<&'static str, String>,
    /// `ipams.cfg` and `dns.cfg`, where every credential is known.
    pub secret_files: BTreeMap<&'static str, Secret>,
    /// What Proxmox has no word for.
    pub left_out: Vec<LeftOut>,
}

/// Something that Proxmox cannot express, or not in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The object, such as `zone z1`.
    pub object: String,
    /// What became of it.
    pub message: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.message)
    }
}

/// Writes declarations in which every rule holds, with the network that was built of
/// them. `version` is how often Proxmox is to have applied it. `credentials` are the
/// secrets that are known here; usually none are.
pub fn pve(
    declared: &Declared,
    network: &Network,
    version: u64,
    credentials: &BTreeMap<CredentialId, Secret>,
) -> Exported {
    let mut export = Export::default();
    export.network(declared, network);
    export.nodes_and_guests(declared);
    let secret_files = export.services(declared, credentials);

    let mut config = serde_json::Map::new();
    let mut files = BTreeMap::new();
    for kind in KINDS {
        let objects = export.objects.remove(&kind).unwrap_or_default();
        config.insert(kind.key().to_owned(), json!({ "ids": running(kind, &objects) }));
        if !objects.is_empty() {
            files.insert(kind.file(), sections(kind, &objects));
        }
    }
    config.insert("version".to_owned(), version.into());
    files.insert(".running-config", serde_json::Value::Object(config).to_string());
    Exported { files, secret_files, left_out: export.left_out }
}

/// An export while it goes on.
#[derive(Debug, Default)]
struct Export {
    objects: BTreeMap<Kind, Vec<Object>>,
    left_out: Vec<LeftOut>,
}

impl Export {
    fn leave_out(&mut self, object: impl Into<String>, message: impl Into<String>) {
        self.left_out.push(LeftOut { object: object.into(), message: message.into() });
    }

    /// What Proxmox knows from elsewhere.
    fn nodes_and_guests(&mut self, declared: &Declared) {
        for (name, node) in &declared.nodes {
            let node = &node.value;
            let keys = [
                ("address", node.address.is_some()),
                ("management", node.management.is_some()),
                ("labels", node.labels.is_some()),
            ];
            let keys: Vec<&str> =
                keys.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| *key).collect();
            if !keys.is_empty() {
                let keys = keys.join("`, `");
                let message = format!("`{keys}`: Proxmox has its nodes from corosync.conf");
                self.leave_out(format!("node {name}"), message);
            }
        }
        for name in declared.guests.keys() {
            let message = "Proxmox keeps the addresses of guests in its IPAM, not in these files";
            self.leave_out(format!("guest {name}"), message);
        }
    }
}

//! One object of Proxmox as one of a repository, and what is said on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value as Json;

use super::convert::Field;
use super::emit::{Item, Map};
use super::{Credential, Remark};
use crate::declare::pve::config::{Objects, is_set};
use crate::value::{Cidr, NodeName, VnetId};

/// An import while it goes on.
#[derive(Debug, Default)]
pub(super) struct Import {
    pub(super) remarks: Vec<Remark>,
    pub(super) credentials: Vec<Credential>,
    /// The nodes that some object names.
    pub(super) named: BTreeSet<NodeName>,
    /// The ends of tunnels and sessions between nodes.
    pub(super) peers: BTreeSet<IpAddr>,
    /// The IPAM and DNS servers that are declared.
    pub(super) services: BTreeSet<String>,
    /// Nothing is known of IPAM and DNS servers.
    pub(super) services_unknown: bool,
    /// The zones whose addresses Proxmox itself gives out.
    pub(super) of_pve: Vec<String>,
    /// The vnets that are declared.
    pub(super) vnets: BTreeMap<VnetId, KnownVnet>,
    /// What has no place elsewhere.
    pub(super) rest: Map,
}

/// What guests need to know of a vnet.
#[derive(Debug, Default)]
pub(super) struct KnownVnet {
    pub(super) zone: String,
    pub(super) subnets: Vec<(Cidr, Option<IpAddr>)>,
}

impl Import {
    /// One object: its options in the order of the table, then as comments what
    /// is not in it or cannot be said.
    pub(super) fn object(
        &mut self,
        what: &str,
        id: &str,
        mut map: Map,
        section: &Json,
        table: &[Field],
        ignored: &[&str],
    ) -> Map {
        let empty = Objects::new();
        let section = section.as_object().unwrap_or(&empty);
        for Field { name, form } in table {
            let Some(value) = section.get(*name).filter(|value| is_set(value)) else { continue };
            if let Some(item) = form.convert(value) {
                for (written, rendered) in form.respelled(value) {
                    let message =
                        format!("`{name}` {written} is rendered as {rendered} from now on");
                    self.remark(what, id, message);
                }
                map.insert((*name).to_owned(), item);
            } else {
                map.comment(name, value);
                let message = format!("weft has no such value of `{name}`; it stays as a comment");
                self.remark(what, id, message);
            }
        }
        for (name, value) in section {
            let known = table.iter().any(|option| option.name == name);
            if !known && !ignored.contains(&name.as_str()) && is_set(value) {
                map.comment(name, value);
                let name = name.escape_debug();
                self.remark(
                    what,
                    id,
                    format!("weft has no option `{name}`; it stays as a comment"),
                );
            }
        }
        map
    }

    /// Keeps an object as a comment.
    pub(super) fn leave_out(
        &mut self,
        map: &mut Map,
        what: &str,
        id: &str,
        value: &Json,
        why: &str,
    ) {
        map.comment(&format!("{what} {id}"), value);
        self.remark(what, id, format!("left out, because {why}; it stays as a comment"));
    }

    /// Keeps an object as a comment in a file of such.
    pub(super) fn leave_aside(&mut self, what: &str, id: &str, value: &Json, why: &str) {
        let mut rest = std::mem::take(&mut self.rest);
        self.leave_out(&mut rest, what, id, value, why);
        self.rest = rest;
    }

    pub(super) fn remark(&mut self, what: &str, id: &str, message: String) {
        self.remarks.push(Remark { object: format!("{what} {}", id.escape_debug()), message });
    }

    pub(super) fn remark_at(&mut self, place: &str, message: &str) {
        let object = place.escape_debug().to_string();
        self.remarks.push(Remark { object, message: message.to_owned() });
    }
}

/// A map that begins with a type.
pub(super) fn typed(kind: &str) -> Map {
    let mut map = Map::default();
    map.insert("type".to_owned(), Item::Text(kind.to_owned()));
    map
}

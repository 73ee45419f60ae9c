//! Objects of an IPAM server.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Mark;
use crate::network::Lease;
use crate::value::{ClusterName, ZoneId};

/// What an object is found by in the space of its zone. There should be one object for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The space itself: a VRF.
    Space,
    /// A prefix without host bits.
    Prefix(IpNet),
    /// The first and the last address.
    Range(IpAddr, IpAddr),
    /// An address, whatever its prefix length.
    Address(IpAddr),
}

impl Key {
    /// Whether it lies in a prefix, and is not that prefix.
    pub fn is_below(&self, prefix: &IpNet) -> bool {
        match self {
            Self::Space => false,
            Self::Prefix(inner) => inner != prefix && prefix.contains(inner),
            Self::Range(start, end) => prefix.contains(start) || prefix.contains(end),
            Self::Address(address) => prefix.contains(address),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space => f.write_str("VRF"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix}"),
            Self::Range(start, end) => write!(f, "range {start}-{end}"),
            Self::Address(address) => write!(f, "address {address}"),
        }
    }
}

/// What is written of an object. All else that people write there is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What says that it is ours.
    pub mark: Mark,
    /// The prefix length of addresses and ranges: that of their subnet. 0 of all else, and
    /// where the server has no such thing.
    pub length: u8,
    /// A line for people.
    pub description: String,
    /// The name of an address, in lower case; empty where it has none.
    pub dns_name: String,
    /// Who holds an address of a guest. `released` shows as an address that is deprecated.
    pub lease: Option<Lease>,
    /// Nobody else may have an address of this range.
    pub is_closed: bool,
}

impl Content {
    /// Whether the guest gave the address up, which is its own for the grace.
    pub fn is_given_up(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.released.is_some())
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This cluster's.
    Ours,
    /// Nobody's, as far as marks say.
    Nobody,
    /// It has a mark that is another cluster's, is none that could be read, or is ours
    /// without the tag: what the mark says.
    Marked(String),
}

/// An object that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundObject {
    /// Its number on the server.
    pub id: u64,
    /// The zone in whose space it lies; `None` where it lies elsewhere.
    pub zone: Option<ZoneId>,
    /// What it is found by there.
    pub key: Key,
    /// Whose it is.
    pub owner: Owner,
    /// The state of it, as the server names it; another one after every change.
    pub version: String,
    /// What is written of it, where it is ours.
    pub content: Option<Content>,
    /// What people call it: the description or the name.
    pub label: String,
    /// The numbers of its tags, which are kept.
    pub tags: Vec<u64>,
}

impl FoundObject {
    /// Whether it is ours.
    pub fn is_ours(&self) -> bool {
        self.owner == Owner::Ours
    }
}

/// What a server has in the spaces of a cluster, whoever's it is, and what has a mark of the
/// cluster elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The objects in the order in which they were read.
    pub objects: Vec<FoundObject>,
}

impl Found {
    /// The objects of a zone's space, by what they are found by, those of ours first.
    pub fn of_zone(&self, zone: &ZoneId) -> BTreeMap<Key, Vec<&FoundObject>> {
        let mut by_key: BTreeMap<Key, Vec<&FoundObject>> = BTreeMap::new();
        for object in self.objects.iter().filter(|object| object.zone.as_ref() == Some(zone)) {
            by_key.entry(object.key).or_default().push(object);
        }
        for objects in by_key.values_mut() {
            objects.sort_by_key(|object| (!object.is_ours(), object.id));
        }
        by_key
    }

    /// The zones that have something of a cluster, by the marks of it.
    pub fn zones(&self, cluster: &ClusterName) -> std::collections::BTreeSet<ZoneId> {
        let marks = self.objects.iter().filter_map(|object| object.content.as_ref());
        let ours = marks.map(|content| &content.mark).filter(|mark| mark.cluster == *cluster);
        ours.map(|mark| mark.zone.clone()).collect()
    }
}

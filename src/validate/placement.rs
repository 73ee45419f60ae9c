//! Which nodes objects are on, and whether two objects meet on one.

use std::collections::BTreeMap;

use super::report::Report;
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::value::{At, NodeName, ZoneId};

/// How many nodes are named in one finding.
const SHOWN: usize = 8;

/// A set of nodes as bits: of each declared node, and one for any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeSet(Vec<u64>);

impl NodeSet {
    /// Whether there is a node in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one & other != 0)
    }
}

/// The declared nodes by number.
pub(super) struct Numbers<'a>(BTreeMap<&'a NodeName, usize>);

impl<'a> Numbers<'a> {
    /// Those of what is declared.
    pub(super) fn of(declared: &'a Declared) -> Self {
        Self(declared.nodes.keys().zip(1..).collect())
    }

    /// All nodes, those that are not declared among them.
    pub(super) fn all(&self) -> NodeSet {
        NodeSet(vec![u64::MAX; self.0.len() / 64 + 1])
    }

    /// The declared nodes of a list.
    pub(super) fn listed(&self, names: &[At<NodeName>]) -> NodeSet {
        let mut bits = vec![0; self.0.len() / 64 + 1];
        for number in names.iter().filter_map(|name| self.0.get(&name.value)) {
            bits[number / 64] |= 1 << (number % 64);
        }
        NodeSet(bits)
    }

    /// The nodes of each zone.
    pub(super) fn zones(&self, declared: &'a Declared) -> BTreeMap<&'a ZoneId, NodeSet> {
        let zones = declared.zones.iter();
        zones
            .map(|(id, zone)| {
                let listed = zone.value.nodes.as_ref();
                (id, listed.map_or_else(|| self.all(), |names| self.listed(&names.value)))
            })
            .collect()
    }
}

/// Whether a list of nodes has a node; one that is absent has all.
pub(super) fn has(names: Option<&At<Vec<At<NodeName>>>>, node: &NodeName) -> bool {
    names.is_none_or(|names| names.value.iter().any(|name| name.value == *node))
}

/// Guests may be on every node.
pub(super) fn zones_everywhere(declared: &Declared, report: &mut Report) {
    let mut vnets: BTreeMap<&ZoneId, _> = BTreeMap::new();
    for (id, vnet) in &declared.vnets {
        vnets.entry(&vnet.value.zone.value).or_insert((id, &vnet.place));
    }
    for (id, zone) in &declared.zones {
        let (Some(names), Some((vnet, place))) = (&zone.value.nodes, vnets.get(id)) else {
            continue;
        };
        let listed: std::collections::BTreeSet<&NodeName> =
            names.value.iter().map(|name| &name.value).collect();
        let mut others = declared.nodes.keys().filter(|node| !listed.contains(node));
        let shown: Vec<String> =
            others.by_ref().take(SHOWN).map(|node| format!("`{node}`")).collect();
        if shown.is_empty() {
            continue;
        }
        let more = if others.next().is_some() { ", …" } else { "" };
        let message = format!("zone `{id}` is not on {}{more}", shown.join(", "));
        let finding = Finding::new(Code::ZoneOnSomeNodes, message, &names.place)
            .also(place, format!("guests on `{vnet}` cannot be there"));
        report.push(finding);
    }
}

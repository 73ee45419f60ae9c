//! In which order interfaces are worked on.

use std::collections::{BTreeMap, BTreeSet};

use super::interface::{Interface, Kind};
use crate::value::IfName;

/// Which of two interfaces comes first, where one is made on top of the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The lower one, as they are brought up.
    BottomFirst,
    /// The upper one, as they are taken down.
    TopFirst,
}

/// How deep interfaces lie on top of each other: a vnet on a VLAN of a zone's bridge on a
/// VLAN of a node's bridge has five below it.
const DEEPEST: u32 = 16;

/// Names in an order in which each comes after all that it is made on top of, or before.
pub(super) fn ordered(
    names: BTreeSet<&IfName>,
    stanzas: &BTreeMap<IfName, Interface>,
    order: Order,
) -> Vec<IfName> {
    let mut known = BTreeMap::new();
    let mut names: Vec<(u32, IfName)> = names
        .into_iter()
        .map(|name| (height(name.as_str(), stanzas, &mut known, DEEPEST), name.clone()))
        .collect();
    names.sort_by_key(|(height, _)| match order {
        Order::BottomFirst => *height,
        Order::TopFirst => u32::MAX - height,
    });
    names.into_iter().map(|(_, name)| name).collect()
}

/// How much an interface is made on top of. A VRF is before everything; what has no stanza
/// is there.
fn height<'a>(
    name: &'a str,
    stanzas: &'a BTreeMap<IfName, Interface>,
    known: &mut BTreeMap<&'a str, u32>,
    deepest: u32,
) -> u32 {
    if let Some(height) = known.get(name) {
        return *height;
    }
    let Some(interface) = stanzas.get(name).filter(|_| deepest > 0) else { return 1 };
    let below = interface.below().map(|below| height(below, stanzas, known, deepest - 1)).max();
    let height = match interface.kind {
        Kind::Vrf => 0,
        Kind::Bridge { .. } => below.unwrap_or(1) + 1,
        _ => below.map_or(1, |below| below + 1),
    };
    known.insert(name, height);
    height
}

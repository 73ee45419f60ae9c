//! Routing tables of VRFs that ask for any.

use std::collections::{BTreeMap, BTreeSet};
use std::vec;

use super::links::Links;
use crate::plan::interface::{Interface, Kind};
use crate::plan::kernel::Kernel;
use crate::value::IfName;

/// The tables that ifupdown2 gives to VRFs that ask for any
/// (`vrf-table-id-start` and `-end` of its policy).
const VRF_TABLES: std::ops::RangeInclusive<u32> = 1001..=5000;

/// The tables that can be given to VRFs which are made.
#[derive(Default)]
pub(super) struct Tables {
    /// Those of VRFs that are there.
    taken: BTreeSet<u32>,
    /// Those that nobody has: first those without a name, then those whose VRF is neither there
    /// nor wanted, for names are never taken away.
    free: vec::IntoIter<u32>,
}

impl Tables {
    /// Of a kernel with these interfaces. Where no VRF is wanted none is free.
    pub(super) fn of(
        wanted: &BTreeMap<IfName, Interface>,
        kernel: &Kernel,
        links: &Links<'_>,
    ) -> Self {
        let taken: BTreeSet<u32> = links.all().filter_map(|link| link.table).collect();
        if !wanted.values().any(|wanted| wanted.kind == Kind::Vrf) {
            return Self { taken, ..Self::default() };
        }
        let mut named: BTreeMap<u32, bool> = BTreeMap::new();
        for (name, table) in &kernel.tables {
            let is_used = wanted.contains_key(name.as_str()) || links.has(name);
            *named.entry(*table).or_default() |= is_used;
        }
        let is_free = |table: &u32| !taken.contains(table);
        let nameless = VRF_TABLES.filter(|table| !named.contains_key(table)).filter(is_free);
        let stale = VRF_TABLES.filter(|table| named.get(table) == Some(&false)).filter(is_free);
        let free: Vec<u32> = nameless.chain(stale).collect();
        Self { taken, free: free.into_iter() }
    }

    /// The table of a VRF that is made: the one that it had, or one that nobody has.
    pub(super) fn take(&mut self, name: &IfName, kernel: &Kernel) -> Option<u32> {
        let had = kernel.tables.get(name.as_str()).copied();
        let table = match had.filter(|table| !self.taken.contains(table)) {
            Some(table) => table,
            None => self.free.find(|table| !self.taken.contains(table))?,
        };
        self.taken.insert(table);
        Some(table)
    }
}

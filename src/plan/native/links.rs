//! The interfaces of a kernel as they will be when the steps that are planned are done.

use std::collections::BTreeMap;

use crate::plan::kernel::Link;

/// The kernel's interfaces, and over them those that steps make, change or take away: very many
/// stay as they are.
pub(super) struct Links<'a> {
    found: &'a BTreeMap<String, Link>,
    /// What became of those that do not stay; `None` of those that go.
    changed: BTreeMap<String, Option<Link>>,
}

impl<'a> Links<'a> {
    /// Those of a kernel, before any step.
    pub(super) fn of(found: &'a BTreeMap<String, Link>) -> Self {
        Self { found, changed: BTreeMap::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Link> {
        match self.changed.get(name) {
            Some(changed) => changed.as_ref(),
            None => self.found.get(name),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Link> {
        let found = self.found.iter().filter(|(name, _)| !self.changed.contains_key(*name));
        found.map(|(_, link)| link).chain(self.changed.values().flatten())
    }

    /// One that is made.
    pub(super) fn insert(&mut self, name: &str, link: Link) {
        self.changed.insert(name.to_owned(), Some(link));
    }

    /// Changes one, if it is there.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Link)) {
        if let Some(mut link) = self.get(name).cloned() {
            change(&mut link);
            self.insert(name, link);
        }
    }

    /// Takes one away; whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let was = self.has(name);
        if was {
            self.changed.insert(name.to_owned(), None);
        }
        was
    }
}

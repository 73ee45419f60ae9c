//! What of all declarations matters for what a tag means.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::declare;
use crate::declare::finding::Findings;
use crate::declare::policy::File;
use crate::declare::zone::ZoneType;
use crate::value::{Tag, VnetId, ZoneId};

/// The zones and the vnets of one file, as far as they can be read.
#[derive(Debug)]
pub(super) struct Outline {
    zones: Vec<(ZoneId, ZoneType)>,
    vnets: Vec<(ZoneId, VnetId, Option<Tag>)>,
}

impl Outline {
    pub(super) fn of(file: &File) -> Self {
        let (declared, _) = declare::file(&file.path, &file.text, &mut Findings::default());
        let zones = declared.zones.into_iter().map(|(id, zone)| (id, zone.value.kind.value));
        let vnets = declared
            .vnets
            .into_iter()
            .map(|(id, vnet)| (vnet.value.zone.value, id, vnet.value.tag.map(|tag| tag.value)));
        Self { zones: zones.collect(), vnets: vnets.collect() }
    }
}

/// The zones and vnets of a tree. A zone that is declared twice has the types of both.
#[derive(Debug, Default)]
pub(super) struct Zones {
    outlines: Vec<Rc<Outline>>,
    types: BTreeMap<ZoneId, BTreeSet<ZoneType>>,
}

impl Zones {
    pub(super) fn add(&mut self, outline: &Rc<Outline>) {
        for (id, kind) in &outline.zones {
            self.types.entry(id.clone()).or_default().insert(*kind);
        }
        self.outlines.push(Rc::clone(outline));
    }

    /// The types of a zone; none where it is not declared.
    pub(super) fn types(&self, zone: &ZoneId) -> Option<&BTreeSet<ZoneType>> {
        self.types.get(zone)
    }

    /// The vnets of a zone with their tags.
    pub(super) fn vnets(&self, zone: &ZoneId) -> impl Iterator<Item = (&VnetId, Option<Tag>)> {
        let all = self.outlines.iter().flat_map(|outline| &outline.vnets);
        all.filter(move |(of, _, _)| of == zone).map(|(_, id, tag)| (id, *tag))
    }
}

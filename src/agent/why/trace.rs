//! What belongs to objects: of what is declared, and of what is rendered from it.

use std::collections::{BTreeMap, BTreeSet};

use super::object::{self, Declaration, Object};
use crate::apply::Kept;
use crate::declare::{self, Declared, Tree};
use crate::facts::Facts;
use crate::network::Network;
use crate::plan::{Statement, Texts, lost, statements};
use crate::render::{Managed, Note, Profile, Subject, render};
use crate::validate;
use crate::value::{IfName, NodeName, VnetId};

/// The most objects that are tried as the cause of a whole file.
const TRIED: usize = 64;

/// What is declared for a node, and what is rendered from it.
#[derive(Debug)]
pub(super) struct View {
    /// Which state it is, in words.
    pub(super) source: String,
    pub(super) declared: Option<Declared>,
    pub(super) network: Option<Network>,
    pub(super) node: NodeName,
    pub(super) facts: Option<Facts>,
    pub(super) profile: Profile,
    pub(super) texts: Texts,
    /// The interfaces, and the vnets that each one serves.
    pub(super) interfaces: BTreeMap<IfName, Vec<VnetId>>,
    pub(super) notes: Vec<Note>,
}

impl View {
    /// What a tree gives a node. Nothing is rendered where it has errors.
    pub(super) fn of_tree(source: String, tree: &Tree, facts: Facts, profile: Profile) -> Self {
        let mut view = Self::bare(source, facts.node.clone(), profile);
        view.declare(tree);
        if let Some(network) = view.network.as_ref().filter(|n| n.declares(&facts.node)) {
            let rendering = render(network, &facts.node, &facts, profile);
            let files = rendering.files.into_iter();
            view.texts = files.map(|(managed, text)| (managed, text.into_bytes())).collect();
            view.interfaces = rendering.interfaces;
            view.notes = rendering.notes;
        }
        view.facts = Some(facts);
        view
    }

    /// What a generation holds, with the declarations that it was made from where they are
    /// at hand.
    pub(super) fn of_generation(source: String, kept: Kept, tree: Option<&Tree>) -> Self {
        let Kept { manifest, texts, facts } = kept;
        let profile = manifest.profile.unwrap_or_default();
        let mut view = Self::bare(source, manifest.node, profile);
        (view.texts, view.interfaces, view.facts) = (texts, manifest.interfaces, facts);
        if let Some(tree) = tree {
            view.declare(tree);
        }
        if let (Some(network), Some(facts)) = (&view.network, &view.facts) {
            view.notes = render(network, &view.node, facts, profile).notes;
        }
        view
    }

    pub(super) fn bare(source: String, node: NodeName, profile: Profile) -> Self {
        Self {
            source,
            declared: None,
            network: None,
            node,
            facts: None,
            profile,
            texts: Texts::new(),
            interfaces: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    fn declare(&mut self, tree: &Tree) {
        self.declared = Some(declare::read(tree, None).0);
        self.network = validate::check(tree, None, &[]).0;
    }

    /// The statements that a network gives the node.
    fn rendered(&self, network: &Network) -> Option<Vec<Statement>> {
        let facts = self.facts.as_ref()?;
        let files = render(network, &self.node, facts, self.profile).files.into_iter();
        let texts = files.map(|(managed, text)| (managed, text.into_bytes())).collect();
        Some(statements(&texts))
    }
}

/// What belongs to objects in one view.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) declared: Vec<Declaration>,
    pub(super) statements: Vec<Statement>,
    /// The interfaces that are theirs.
    pub(super) interfaces: BTreeSet<String>,
    pub(super) notes: Vec<String>,
}

impl Trace {
    pub(super) fn of(view: &View, objects: &BTreeSet<Object>) -> Self {
        let all = statements(&view.texts);
        let full = view.network.as_ref().and_then(|network| view.rendered(network));
        let because = |object: &Object| -> Vec<Statement> {
            let left = view.network.as_ref().and_then(|network| object::without(network, object));
            let without = left.and_then(|left| view.rendered(&left));
            match (&full, without) {
                (Some(full), Some(without)) => lost(&all, full, &without),
                _ => Vec::new(),
            }
        };
        let mut trace = Self::default();
        let mut causes: BTreeSet<Object> = objects.clone();
        let mut found: BTreeSet<Statement> = BTreeSet::new();
        for object in objects {
            let own = |keep: &dyn Fn(&Statement) -> bool| -> Vec<Statement> {
                all.iter().filter(|statement| keep(statement)).cloned().collect()
            };
            let statements = match object {
                Object::Interface(name) => {
                    let vnets = view.interfaces.get(name).map_or(&[][..], Vec::as_slice);
                    trace.notes.extend(serves(object, vnets));
                    causes.extend(vnets.iter().cloned().map(Object::Vnet));
                    if vnets.is_empty() {
                        let fabrics = candidates(view).filter(|o| matches!(o, Object::Fabric(_)));
                        causes.extend(fabrics.filter(|fabric| {
                            because(fabric).iter().any(|s| s.of.as_deref() == Some(name.as_str()))
                        }));
                    }
                    trace.interfaces.insert(name.to_string());
                    own(&|statement| statement.mentions(name.as_str()))
                }
                Object::File(_) | Object::Frr => {
                    let statements = own(&|statement| is_of(object, &statement.file));
                    causes.extend(candidates(view).filter(|cause| {
                        because(cause).iter().any(|lost| is_of(object, &lost.file))
                    }));
                    statements
                }
                Object::Dnsmasq(zone) => {
                    causes.insert(Object::Zone(zone.clone()));
                    own(&|statement| statement.file.dnsmasq() == Some(zone))
                }
                Object::Vnet(_) | Object::Zone(_) => {
                    let vnets = vnets_of(view, object);
                    let serving: BTreeSet<&str> = view
                        .interfaces
                        .iter()
                        .filter(|(_, serves)| serves.iter().any(|vnet| vnets.contains(vnet)))
                        .map(|(name, _)| name.as_str())
                        .collect();
                    trace.interfaces.extend(serving.iter().map(|name| (*name).to_owned()));
                    let mut statements = own(&|statement| {
                        let of = statement.of.as_deref();
                        (statement.file == Managed::Interfaces
                            && of.is_some_and(|of| serving.contains(of)))
                            || is_of(object, &statement.file)
                    });
                    statements.extend(because(object));
                    statements
                }
                Object::Subnet(_) | Object::Controller(_) | Object::Fabric(_) => because(object),
            };
            if !matches!(object, Object::Interface(_)) {
                let of_file = statements.iter().filter(|s| s.file == Managed::Interfaces);
                trace.interfaces.extend(of_file.filter_map(|statement| statement.of.clone()));
            }
            found.extend(statements);
        }
        trace.statements = found.into_iter().collect();
        if let Some(declared) = &view.declared {
            trace.declared = object::declarations(declared, &causes, &view.node);
        }
        let told = view.notes.iter().filter(|note| is_about(note, &causes));
        trace.notes.extend(told.map(ToString::to_string));
        trace
    }
}

/// The objects that may be the cause of a whole file.
fn candidates(view: &View) -> impl Iterator<Item = Object> {
    let network = view.network.as_ref();
    let zones = network.into_iter().flat_map(|network| network.zones.keys().cloned());
    let controllers = network.into_iter().flat_map(|network| network.controllers.keys().cloned());
    let fabrics = network.into_iter().flat_map(|network| network.fabrics.keys().cloned());
    let first = fabrics.map(Object::Fabric).chain(controllers.map(Object::Controller));
    first.chain(zones.map(Object::Zone)).take(TRIED)
}

/// Whether a whole file is of an object.
fn is_of(object: &Object, file: &Managed) -> bool {
    match (object, file) {
        (Object::File(managed), file) => managed == file,
        (Object::Frr, Managed::Frr | Managed::FrrDaemons) => true,
        (Object::Zone(zone), file) => file.dnsmasq() == Some(zone),
        (Object::Vnet(vnet), Managed::DnsmasqVnet(_, of)) => vnet == of,
        _ => false,
    }
}

/// The vnets that an object is or holds.
fn vnets_of(view: &View, object: &Object) -> BTreeSet<VnetId> {
    match object {
        Object::Vnet(id) => [id.clone()].into(),
        Object::Zone(id) => {
            let zone = view.network.as_ref().and_then(|network| network.zones.get(id));
            zone.map(|zone| zone.vnets.keys().cloned().collect()).unwrap_or_default()
        }
        _ => BTreeSet::new(),
    }
}

/// Which vnets an interface serves, in words.
fn serves(object: &Object, vnets: &[VnetId]) -> Option<String> {
    const NAMED: usize = 10;
    let named: Vec<&str> = vnets.iter().take(NAMED).map(AsRef::as_ref).collect();
    let s = if vnets.len() == 1 { "" } else { "s" };
    let more = match vnets.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!vnets.is_empty()).then(|| format!("{object} serves vnet{s} {}{more}", named.join(", ")))
}

/// Whether a note of a rendering is about one of the objects.
fn is_about(note: &Note, objects: &BTreeSet<Object>) -> bool {
    let subject = match &note.subject {
        Subject::Zone(id) => Object::Zone(id.clone()),
        Subject::Vnet(id) => Object::Vnet(id.clone()),
        Subject::Controller(id) => Object::Controller(id.clone()),
        Subject::Fabric(id) => Object::Fabric(id.clone()),
        Subject::Interface(name) => Object::Interface(name.clone()),
        Subject::FrrLocal => Object::Frr,
    };
    objects.contains(&subject)
}

//! `weft why`: from an object to where it is declared, what is rendered for it, what the
//! kernel has of it, what touched it last and what keeps a change of it back.
//!
//! What is rendered for a declared object is what is gone when the same network is rendered
//! without it, so nothing has to know which words belong to what.

mod changed;
mod live;
mod object;
mod pending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::error::TurnError;
use super::settings::Settings;
use crate::apply::{self, Kept};
use crate::declare::{self, Declared, Tree};
use crate::facts::Facts;
use crate::host::Host;
use crate::network::Network;
use crate::plan::{Statement, Texts, lost, statements};
use crate::render::{Managed, Note, Profile, Subject, render};
use crate::sync::CommitRecord;
use crate::validate;
use crate::value::{IfName, NodeName, VnetId};

pub use changed::Change;
pub use live::Live;
pub use object::{Declaration, Object};
pub use pending::{Pending, Trusted};

/// The most entries of a part of an answer; of what is rendered, of each file.
pub const MOST: usize = 40;
/// The most statements of all files.
const MOST_RENDERED: usize = 400;
/// The most objects that are tried as the cause of a whole file.
const TRIED: usize = 64;

/// What is known of an object.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The name that was asked for.
    pub name: String,
    /// What has it, such as `vnet va`.
    pub objects: Vec<String>,
    /// Where it is declared, and what that names.
    pub declared: Part<Declaration>,
    /// What is rendered for it.
    pub rendered: Part<Statement>,
    /// What the kernel, FRR and dnsmasq have of it.
    pub kernel: Part<Live>,
    /// What touched it last, and what brought it.
    pub changed: Part<Change>,
    /// What keeps a change of it back.
    pub pending: Part<Pending>,
}

/// A part of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Part<T> {
    /// Where it is from.
    pub source: String,
    /// What was found, at most [`MOST`].
    pub found: Vec<T>,
    /// How many more were found.
    pub omitted: usize,
    /// What is to be said beside.
    pub notes: Vec<String>,
}

impl<T> Part<T> {
    fn new(source: impl Into<String>, mut found: Vec<T>, mut notes: Vec<String>) -> Self {
        let omitted = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        if let Some(more @ 1..) = notes.len().checked_sub(MOST) {
            notes.truncate(MOST);
            notes.push(format!("and {more} more"));
        }
        Self { source: source.into(), found, omitted, notes }
    }
}

impl Part<Statement> {
    /// Of each file the first ones, so that none hides another.
    fn rendered(source: impl Into<String>, mut found: Vec<Statement>, notes: Vec<String>) -> Self {
        let all = found.len();
        let mut counts: BTreeMap<Managed, usize> = BTreeMap::new();
        found.retain(|statement| {
            let count = counts.entry(statement.file.clone()).or_default();
            *count += 1;
            *count <= MOST
        });
        found.truncate(MOST_RENDERED);
        let omitted = all - found.len();
        Self { found, omitted, ..Self::new(source, Vec::new(), notes) }
    }
}

/// There is nothing of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Every name that there is.
    pub names: BTreeSet<String>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing that weft knows of this node has that name")
    }
}

/// What is declared for a node, and what is rendered from it.
#[derive(Debug)]
pub(super) struct View {
    /// Which state it is, in words.
    source: String,
    declared: Option<Declared>,
    network: Option<Network>,
    node: NodeName,
    facts: Option<Facts>,
    profile: Profile,
    texts: Texts,
    /// The interfaces, and the vnets that each one serves.
    interfaces: BTreeMap<IfName, Vec<VnetId>>,
    notes: Vec<Note>,
}

impl View {
    /// What a tree gives a node. Nothing is rendered where it has errors.
    fn of_tree(source: String, tree: &Tree, facts: Facts, profile: Profile) -> Self {
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
    fn of_generation(source: String, kept: Kept, tree: Option<&Tree>) -> Self {
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

    fn bare(source: String, node: NodeName, profile: Profile) -> Self {
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
struct Trace {
    declared: Vec<Declaration>,
    statements: Vec<Statement>,
    /// The interfaces that are theirs.
    interfaces: BTreeSet<String>,
    notes: Vec<String>,
}

impl Trace {
    fn of(view: &View, objects: &BTreeSet<Object>) -> Self {
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

/// What has a name in these views.
fn find(name: &str, views: &[&View]) -> Result<BTreeSet<Object>, Unknown> {
    let mut objects = object::named(name, views);
    if objects.is_empty() {
        objects.extend(object::file(name));
    }
    if objects.is_empty() {
        return Err(Unknown { names: object::names(views) });
    }
    Ok(objects)
}

/// What a directory of declarations says of an object of a node, and would make of it.
pub fn of_directory(
    name: &str,
    directory: &str,
    tree: &Tree,
    facts: Facts,
    profile: Profile,
) -> Result<Answer, Unknown> {
    let node = facts.node.clone();
    let view = View::of_tree(format!("directory `{directory}`"), tree, facts, profile);
    let objects = find(name, &[&view])?;
    let trace = Trace::of(&view, &objects);
    let mut notes = trace.notes;
    if view.network.is_none() {
        notes.push("nothing is rendered: the declarations have errors (`weft validate`)".into());
    }
    let unseen = || vec!["not looked at: this is a directory, not a node".to_owned()];
    Ok(Answer {
        name: name.to_owned(),
        objects: objects.iter().map(ToString::to_string).collect(),
        declared: Part::new(&view.source, trace.declared, Vec::new()),
        rendered: Part::rendered(format!("what node {node} would get"), trace.statements, notes),
        kernel: Part::new("", Vec::new(), unseen()),
        changed: Part::new("", Vec::new(), unseen()),
        pending: Part::new("", Vec::new(), unseen()),
    })
}

/// The declarations that a node has.
#[derive(Debug, Default)]
pub struct AtHand {
    /// Those of the commit that runs.
    pub running: Option<Tree>,
    /// Those of the newest trusted commit.
    pub trusted: Option<Trusted>,
    /// Why some are missing.
    pub missing: Vec<String>,
}

/// What is known on a node of an object.
pub fn of_node(
    host: &impl Host,
    settings: &Settings,
    name: &str,
    at_hand: AtHand,
) -> Result<Result<Answer, Unknown>, TurnError> {
    let history = apply::history(host)?;
    let runs = apply::running(host)?;
    let node = settings.node.value.clone();
    let kept = match &runs {
        Some(entry) => apply::kept(host, entry.record.generation)?,
        None => None,
    };
    let commit = runs.as_ref().and_then(|entry| entry.record.commit.as_ref());
    let running = match (kept, commit) {
        (Some(kept), Some(record)) => {
            let source = format!("{}, which runs", said(record));
            View::of_generation(source, kept, at_hand.running.as_ref())
        }
        _ => View::bare("nothing of weft's runs".to_owned(), node.clone(), settings.profile()),
    };
    let newer = at_hand.trusted.filter(|trusted| {
        let record = trusted.tree.record();
        !record_is(commit, record) || at_hand.running.is_some()
    });
    let wanted = match &newer {
        Some(trusted) => {
            let source = format!("{}, the newest trusted one", said(trusted.tree.record()));
            let facts = host.facts(&node)?;
            Some(View::of_tree(source, trusted.tree.get(), facts, settings.profile()))
        }
        None => None,
    };
    let views: Vec<&View> = [Some(&running), wanted.as_ref()].into_iter().flatten().collect();
    let objects = match find(name, &views) {
        Ok(objects) => objects,
        Err(unknown) => return Ok(Err(unknown)),
    };
    let has = Trace::of(&running, &objects);
    let gets = wanted.as_ref().map(|view| Trace::of(view, &objects));
    let generation = runs.as_ref().map(|entry| entry.record.generation.number);
    let source = match generation {
        Some(number) => {
            format!("generation {number}, kept in /var/lib/weft/gen/{number:08}/files")
        }
        None => "nothing of weft's runs".to_owned(),
    };
    let live = live::live(host, &running, &has)?;
    let changed = changed::changed(host, &history, &has)?;
    let waits = pending::pending(host, settings, newer, (&has, gets.as_ref()), runs.as_ref())?;
    let mut missing = at_hand.missing;
    // What only comes is declared where it comes from.
    let (from, declared) = match (&gets, &wanted) {
        (Some(gets), Some(view)) if has.declared.is_empty() && !gets.declared.is_empty() => {
            missing.push(format!("{} does not declare it", running.source));
            (&view.source, gets.declared.clone())
        }
        _ => (&running.source, has.declared),
    };
    Ok(Ok(Answer {
        name: name.to_owned(),
        objects: objects.iter().map(ToString::to_string).collect(),
        declared: Part::new(from, declared, missing),
        rendered: Part::rendered(source, has.statements, has.notes),
        kernel: live,
        changed,
        pending: waits,
    }))
}

fn record_is(commit: Option<&CommitRecord>, record: &CommitRecord) -> bool {
    commit.is_some_and(|commit| commit.commit == record.commit)
}

/// A commit in words.
fn said(record: &CommitRecord) -> String {
    format!("commit {} (sequence {})", record.commit.short(), record.sequence)
}

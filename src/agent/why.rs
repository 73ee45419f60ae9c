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
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use self::trace::{Trace, View};
use super::error::TurnError;
use super::settings::Settings;
use crate::apply;
use crate::declare::Tree;
use crate::facts::Facts;
use crate::host::Host;
use crate::plan::Statement;
use crate::render::{Managed, Profile};
use crate::sync::CommitRecord;

pub use changed::Change;
pub use live::Live;
pub use object::{Declaration, Object};
pub use pending::{Pending, Trusted};

/// The most entries of a part of an answer; of what is rendered, of each file.
pub const MOST: usize = 40;
/// The most statements of all files.
const MOST_RENDERED: usize = 400;

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

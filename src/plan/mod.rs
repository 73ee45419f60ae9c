//! Floor 5: the steps from what is to what should be.
//!
//! Every choice is made here, in pure code: what is written and removed, what it
//! disturbs, and what must not be done at all. Does not know how a step is done.

mod adoption;
mod change;
mod stanza;
mod text;

pub use adoption::Foreign;
pub use change::{Change, Impact, LineChange};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::facts::Facts;
use crate::render::{Managed, Rendering, without_version};
use crate::value::{Digest, IfName, NodeName, VnetId};

/// What is to be done on one node, every choice made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The node.
    pub node: NodeName,
    /// What the node should have afterwards.
    pub rendering: Rendering,
    /// What the rendering was made from.
    pub facts: Facts,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What the steps do to interfaces.
    pub changes: Vec<Change>,
    /// Why the plan must not be carried out; empty when it may.
    pub guards: Vec<Guard>,
    /// Files that are there and that weft did not write.
    pub foreign: Vec<Foreign>,
    /// Files of ours that somebody changed since weft wrote them.
    pub edited: Vec<Managed>,
}

/// One change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is written as a whole.
    Write {
        /// Which file.
        managed: Managed,
        /// Its contents.
        bytes: Vec<u8>,
    },
    /// A file is removed.
    Remove {
        /// Which file.
        managed: Managed,
    },
}

impl Step {
    /// The file that the step is about.
    pub fn managed(&self) -> Managed {
        match self {
            Self::Write { managed, .. } | Self::Remove { managed } => *managed,
        }
    }
}

/// A reason not to carry out a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// The stable name of the reason.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What stands on the node now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The contents of each file of [`Managed::ALL`] that is there.
    pub files: BTreeMap<Managed, Vec<u8>>,
}

/// What weft put on the node last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// The digest of each file as it was written.
    pub files: BTreeMap<Managed, Digest>,
    /// The interfaces that it made, and the vnets that each one served.
    pub interfaces: BTreeMap<IfName, Vec<VnetId>>,
}

/// The plan from found to wanted. `owned` is `None` on a node where weft has not
/// changed anything so far; `sequence` is the number that the files carry.
pub fn plan(
    wanted: Rendering,
    facts: Facts,
    found: &Found,
    owned: Option<&Owned>,
    sequence: u64,
) -> Plan {
    let mut steps = Vec::new();
    let mut changes = Vec::new();
    let mut guards = Vec::new();
    let mut edited = Vec::new();
    let mut foreign = Vec::new();
    for &managed in Managed::ALL {
        let is = found.files.get(&managed);
        let should = wanted.bytes(managed, sequence);
        let written = owned.and_then(|owned| owned.files.get(&managed));
        if let (Some(is), Some(written)) = (is, written) {
            if Digest::of(is) != *written {
                edited.push(managed);
            }
        } else if written.is_some() {
            edited.push(managed);
        }
        let same = is.map(|bytes| meaning(bytes)) == should.as_deref().map(meaning);
        if let (Some(is), None) = (is, written) {
            // One that means the same too: from then on it would be replaced.
            guards.push(adoption::not_ours(managed));
            foreign.push(Foreign::new(managed, is, should.as_deref(), same));
        }
        if same {
            continue;
        }
        if managed == Managed::Interfaces {
            let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
            changes = change::changes(
                &is.map(text).unwrap_or_default(),
                &should.as_ref().map(text).unwrap_or_default(),
                |name| served(&wanted, owned, name),
            );
        }
        steps.push(match should {
            Some(bytes) => Step::Write { managed, bytes },
            None => Step::Remove { managed },
        });
    }
    Plan {
        node: facts.node.clone(),
        rendering: wanted,
        facts,
        steps,
        changes,
        guards,
        foreign,
        edited,
    }
}

/// The bytes by which two files mean the same: the number of the version line is
/// no difference by itself.
fn meaning(bytes: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => without_version(text).as_bytes().to_vec(),
        Err(_) => bytes.to_vec(),
    }
}

fn served(wanted: &Rendering, owned: Option<&Owned>, name: &str) -> Vec<VnetId> {
    let before = owned.and_then(|owned| owned.interfaces.get(name));
    wanted.interfaces.get(name).or(before).cloned().unwrap_or_default()
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many interfaces a change of this impact meets.
    pub fn count(&self, impact: Impact) -> usize {
        self.changes.iter().filter(|change| change.impact == impact).count()
    }

    /// One line that says what the plan does.
    pub fn summary(&self) -> String {
        text::summary(self)
    }

    /// The whole plan for people: each change with its lines, the guards, the notes
    /// and the summary.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// The plan for programs.
    pub fn json(&self) -> serde_json::Value {
        text::json(self)
    }
}

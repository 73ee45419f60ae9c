//! What a running agent remembers from one turn to the next. All of it may be lost: it
//! saves reading again what cannot have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::drift::Looked;
use super::status::{FetchProcess, RemoteState, Unreached};
use super::turn::InOrder;
use crate::declare::Tree;
use crate::declare::policy::Removal;
use crate::plan::{Sign, Watch};
use crate::sync::{Earlier, Refusal, Verified};
use crate::value::{ObjectId, Word};

/// The most tips, and pairs of tips, of which something is remembered.
const MOST: usize = 64;

/// The memory of an agent. Holds as long as its settings do.
#[derive(Debug, Default)]
pub struct Memory {
    remembered: Mutex<Remembered>,
    /// Whether somebody said that there is something new. Beside the lock, which a turn keeps
    /// for as long as it fetches: whoever says so waits for nobody.
    expects_news: AtomicBool,
}

impl Memory {
    /// Lets the next turn look at the node, whatever was in order a short while ago.
    pub(super) fn look_anew(&self) {
        self.open().order = None;
    }

    /// Says that a remote has something new: somebody told the agent of it.
    pub(super) fn expect_news(&self) {
        self.expects_news.store(true, Ordering::Relaxed);
    }

    /// Whether somebody said so since this was asked last.
    pub(super) fn expected_news(&self) -> bool {
        self.expects_news.swap(false, Ordering::Relaxed)
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Remembered> {
        // Whoever panicked left something that is true, or nothing.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an accepted commit holds for this node.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    /// Its declarations.
    pub(super) tree: Verified<Tree>,
    /// How much its policy lets it take away from a node.
    pub(super) removal: Removal,
    /// Whose files the accepted commit brings back, of the one that ran when this was read and
    /// those below it.
    pub(super) brings_back: Option<Earlier>,
    /// What ran when that was found out.
    pub(super) runs: Option<ObjectId>,
}

/// What is known of a tip for as long as the anchor only moves up its line.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    /// It is below the anchor.
    Behind,
    /// It is beside the anchor's line.
    Beside(Vec<Refusal>),
}

/// What was seen of the window that is open.
#[derive(Debug)]
pub(super) struct OpenWindow {
    /// The number of the entry of the journal.
    pub(super) number: u64,
    /// Since when what is how.
    pub(super) watch: Watch,
    /// What was down when it was looked at last.
    pub(super) down: Vec<Sign>,
}

/// See [`Memory`].
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// What the newest accepted commit holds.
    pub(super) contents: Option<Contents>,
    settled: BTreeMap<ObjectId, Settled>,
    diverged: BTreeMap<(ObjectId, ObjectId), bool>,
    /// The remotes that gave nothing when they were tried last: they are tried last.
    pub(super) failed: BTreeSet<Word>,
    /// What was seen of each remote.
    pub(super) remotes: Vec<RemoteState>,
    /// Those that gave nothing, and why.
    pub(super) unreached: Vec<Unreached>,
    /// The window that is open, as far as this process saw it.
    pub(super) window: Option<OpenWindow>,
    /// What was found of drift last, and when.
    pub(super) drift: Option<Looked>,
    /// What was found in order last.
    pub(super) order: Option<InOrder>,
    /// Why drift could not be undone: it is not tried again.
    pub(super) stuck: Option<String>,
    /// How the fetch process was confined.
    pub(super) process: Option<FetchProcess>,
}

impl Remembered {
    pub(super) fn settled(&self, tip: ObjectId) -> Option<&Settled> {
        self.settled.get(&tip)
    }

    pub(super) fn settle(&mut self, tip: ObjectId, as_: Settled) {
        if self.settled.len() >= MOST {
            self.settled.clear();
        }
        self.settled.insert(tip, as_);
    }

    /// Whether two tips diverge, asked of `look` the first time: two commits never come to
    /// stand otherwise.
    pub(super) fn diverged<E>(
        &mut self,
        one: ObjectId,
        other: ObjectId,
        look: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let pair = if one < other { (one, other) } else { (other, one) };
        if let Some(diverged) = self.diverged.get(&pair) {
            return Ok(*diverged);
        }
        let diverged = look()?;
        if self.diverged.len() >= MOST {
            self.diverged.clear();
        }
        self.diverged.insert(pair, diverged);
        Ok(diverged)
    }
}

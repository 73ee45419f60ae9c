//! Floor 8: carrying out a plan so that a crash at any point is survived.
//!
//! There is no transaction over a node's files, so weft compensates. An apply first
//! says what it will do (the journal), keeps what it will write and what it will
//! replace (generations), and only then changes the node. Whatever happens, the node
//! is afterwards at the new generation or at the previous one, and the journal says
//! at which; where neither can be reached, the journal says that too, and the next
//! start tries again.
//!
//! Decides nothing that a plan could decide. Every function here that writes is called
//! by one process at a time, the one that holds [`LOCK`]; reading needs no lock.

mod action;
mod boot;
mod code;
mod drift;
mod execute;
mod files;
mod generation;
mod journal;
mod kept;
mod look;
mod network;
mod ports;
mod prepare;
mod recover;
mod services;
mod tidy;
mod watch;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tracing::debug_span;

use crate::host::{Host, HostError};
use crate::plan::{Plan, Shortfall, Sign, Terms};
use crate::render::Managed;
use crate::sync::Verified;

pub use boot::{BroughtUp, bring_up};
pub use drift::{Drift, drift};
use files::is_renumbered;
use generation::Generation;
pub use generation::{Link, Manifest, ManifestFile};
pub use journal::{Entry, Journal, Kind, Record, State};
pub use kept::{Kept, kept};
pub use network::Unmet;
pub use ports::{lacking_ports, set_ports};
pub use prepare::Restored;
pub use recover::{Cause, Recovery, recover, recover_at_boot};
pub use watch::{Progress, confirm, is_open, look_again, undo, watch};

/// Where it is kept what runs, and what ran.
pub const DIRECTORIES: [&str; 2] = [journal::DIRECTORY, generation::DIRECTORY];

/// The lock of the process that changes the node.
pub const LOCK: &str = "/run/weft/lock";

/// By what right a node is changed.
#[derive(Debug)]
pub enum Authority {
    /// A plan that came from an accepted commit.
    Commit(Box<Verified<Plan>>),
    /// A generation that was confirmed before.
    Restored(Box<Restored>),
}

/// How an apply ended.
#[derive(Debug)]
pub enum Outcome {
    /// The node had everything already. The running commit advanced, unless it was the
    /// same one.
    Unchanged {
        /// What runs.
        running: Entry,
    },
    /// The new generation runs.
    Confirmed {
        /// What runs.
        running: Entry,
    },
    /// The new generation is in place, and its window is open: [`watch`] says what
    /// becomes of it, and where nobody asks, its watchdog undoes it.
    Open {
        /// What is tried.
        entry: Entry,
    },
    /// The previous generation runs again.
    RolledBack {
        /// What was tried.
        entry: Entry,
        /// Why it did not work.
        failure: Failure,
    },
    /// Neither generation could be reached. The node has old files, new ones or some of
    /// each; [`recover`] tries again to put the previous ones back.
    Degraded {
        /// What was tried.
        entry: Entry,
        /// Why it did not work.
        failure: Failure,
        /// Why the previous generation could not be put back.
        obstacle: StateError,
    },
}

/// Why the new generation was not confirmed.
#[derive(Debug, Error)]
pub enum Failure {
    /// A step failed.
    #[error("the step `{step}` failed")]
    Step {
        /// The step in words.
        step: String,
        /// Why.
        source: HostError,
    },
    /// A file is not what was written, or is there and should not be.
    #[error("`{path}` is not what the generation says, although every step was done")]
    Differs {
        /// The file.
        path: Utf8PathBuf,
    },
    /// The kernel is not what was asked for.
    #[error("the network did not become what was asked for: {0}")]
    Kernel(Unmet),
    /// The kernel could not be read back.
    #[error("the network could not be read back")]
    Unread(#[source] HostError),
    /// The journal could not be carried on.
    #[error("the journal cannot be written")]
    Journal(#[source] HostError),
    /// Its window was not confirmed.
    #[error("{shortfall}{}", if .persists.is_empty() { "" } else { Failure::PERSISTS })]
    Window {
        /// Why not.
        shortfall: Shortfall,
        /// What was down then, and is no better with the previous generation back: where
        /// that is all of it, the change is not to blame.
        persists: Vec<Sign>,
    },
    /// Its window was over, and whoever applied did nothing about it.
    #[error("its window ended without a confirmation")]
    Deadline,
    /// The machine started anew within its window.
    #[error("the machine started anew before it was confirmed")]
    Restarted,
    /// Something did not work in its window, and a newer commit was there.
    #[error("a newer commit takes its place")]
    Superseded,
    /// A person wanted it undone.
    #[error("it was rolled back by hand")]
    ByHand,
    /// Somebody else ended this apply.
    #[error("another process ended this apply")]
    Overtaken,
    /// The process was killed, or the power failed.
    #[error("it was interrupted")]
    Interrupted,
}

impl Failure {
    const PERSISTS: &str = "; with the earlier state back it is no better";

    /// The interfaces that others made while it was at work.
    pub(crate) fn taken(&self) -> &[String] {
        match self {
            Self::Step { source: HostError::Taken { names }, .. }
            | Self::Unread(HostError::Taken { names }) => names,
            _ => &[],
        }
    }

    /// Whether the change is to blame, so that trying it again soon would be wrong.
    pub fn is_of_the_change(&self) -> bool {
        match self {
            Self::Step { .. }
            | Self::Differs { .. }
            | Self::Kernel(_)
            | Self::Unread(_)
            | Self::Deadline
            | Self::Restarted
            | Self::ByHand
            | Self::Window { shortfall: Shortfall::Unsettled | Shortfall::Unconfirmed, .. } => true,
            Self::Window { shortfall: Shortfall::Down(down), persists } => {
                persists.len() < down.len()
            }
            Self::Journal(_) | Self::Superseded | Self::Overtaken | Self::Interrupted => false,
        }
    }
}

/// Why nothing was done. The node is as it was.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// State of weft could not be read or written, or is damaged.
    #[error("nothing was changed on the node")]
    State(#[from] StateError),
    /// An earlier apply was interrupted and must be settled first.
    #[error(
        "apply {number} was interrupted; recover the node first, which a start of the agent does"
    )]
    Unsettled {
        /// The number of its entry.
        number: u64,
    },
    /// Another process ended this apply before it changed anything.
    #[error("another process ended apply {number}; only one may hold `{LOCK}`")]
    Overtaken {
        /// The number of its entry.
        number: u64,
    },
    /// Nothing would undo it, should it cut the node off.
    #[error("the watchdog that would undo the change does not start")]
    Unguarded(#[source] HostError),
    /// It is not known what works, so that nothing would be asked for afterwards.
    #[error("it is not known what works, for this did not answer: {}", list(.silent))]
    Blind {
        /// What did not answer.
        silent: BTreeSet<String>,
    },
    /// FRR runs and does not tell what.
    #[error(
        "FRR runs and does not answer, so that it could neither be changed nor put back; look which of its daemons hangs (`vtysh -c 'show watchfrr'`), and restart it when its sessions may drop"
    )]
    SilentFrr,
    /// The node is not what the plan was made from.
    #[error("`{path}` changed since the plan was made; plan again")]
    Stale {
        /// The file that changed.
        path: Utf8PathBuf,
    },
    /// The steps of a plan do not lead to its rendering.
    #[error("the plan contradicts itself at `{path}`: {message}")]
    BadPlan {
        /// The file.
        path: Utf8PathBuf,
        /// How.
        message: &'static str,
    },
    /// A file of a generation was taken over later than what runs, and changed meanwhile.
    #[error(
        "`{path}` is not weft's now, and not as it was before generation {number} either, which would replace it; `weft adopt` takes it over"
    )]
    NotOurs {
        /// The file.
        path: Utf8PathBuf,
        /// The generation.
        number: u64,
    },
    /// The program that would read a file refuses it.
    #[error("`{path}` would be refused by the program that reads it")]
    Refused {
        /// The file.
        path: Utf8PathBuf,
        /// What the program says.
        source: HostError,
    },
    /// There is too little room for a way back.
    #[error("`{directory}` has {free} bytes of free space, where {needed} are wanted; make room")]
    NoSpace {
        /// The directory.
        directory: Utf8PathBuf,
        /// What may be written there.
        free: u64,
        /// What is asked for before anything begins.
        needed: u64,
    },
    /// No such generation was confirmed, or it was removed since.
    #[error("there is no generation {number}; there are {}", Numbers(.known))]
    NoGeneration {
        /// The number that was asked for.
        number: u64,
        /// Those that can be restored.
        known: Vec<u64>,
    },
}

impl From<HostError> for ApplyError {
    fn from(error: HostError) -> Self {
        Self::State(StateError::Host(error))
    }
}

/// What is wrong with the state that weft keeps on a node.
#[derive(Debug, Error)]
pub enum StateError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The kernel did not go back to what it was.
    #[error("the network is not what it was: {0}")]
    Kernel(Unmet),
    /// Something is not what weft wrote. The network is kept as it is.
    #[error(
        "`{path}` is damaged: it {message}; bring it back from a backup, or move `{}` and `{}` \
         away to begin anew with what the node has now",
        journal::DIRECTORY,
        generation::DIRECTORY
    )]
    Damaged {
        /// The file or directory.
        path: Utf8PathBuf,
        /// What it does, such as `is missing`.
        message: String,
    },
}

impl StateError {
    fn damaged(path: impl Into<Utf8PathBuf>, message: String) -> Self {
        Self::Damaged { path: path.into(), message }
    }
}

/// Names in one sentence.
fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

struct Numbers<'a>(&'a [u64]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

/// Brings the node to what the authority says.
///
/// An error says that nothing was changed. Once something was, the outcome tells where
/// the node is.
pub fn apply(host: &impl Host, authority: Authority, terms: &Terms) -> Result<Outcome, ApplyError> {
    let prepared = debug_span!("prepare").in_scope(|| prepare::prepare(host, authority, terms))?;
    match prepared {
        prepare::Prepared::Nothing(running) => Ok(Outcome::Unchanged { running: *running }),
        prepare::Prepared::Work(work) => execute::execute(host, &work),
    }
}

/// Brings the node back to a generation that ran before; 0 is what was found before
/// weft. It is confirmed by being applied: it was before, and a way back must not ask for
/// what may be broken.
pub fn restore(host: &impl Host, generation: u64) -> Result<Outcome, ApplyError> {
    let authority = Authority::Restored(Box::new(Restored::load(host, generation)?));
    apply(host, authority, &Terms { reverts: true, ..Terms::default() })
}

/// The same for what runs, where something differs from it: nobody goes back, so that what
/// stops a change stops this too.
pub fn correct(host: &impl Host, generation: u64) -> Result<Outcome, ApplyError> {
    let authority = Authority::Restored(Box::new(Restored::load(host, generation)?));
    apply(host, authority, &Terms::default())
}

/// What runs: the newest confirmed entry of the journal.
pub fn running(host: &impl Host) -> Result<Option<Entry>, StateError> {
    journal::newest(host, |_, state| state == State::Confirmed)
}

/// The apply whose window is open.
pub fn open(host: &impl Host) -> Result<Option<Entry>, StateError> {
    Ok(journal::newest(host, |_, _| true)?.filter(Entry::is_open))
}

/// The entry of this number; `None` where there is none.
pub fn entry(host: &impl Host, number: u64) -> Result<Option<Entry>, StateError> {
    journal::newest(host, |found, _| found == number)
}

/// How far each apply came, by its number and in its order: as long as nothing is applied or
/// undone it is the same.
pub fn course(host: &impl Host) -> Result<Vec<(u64, State)>, StateError> {
    journal::names(host)
}

/// Every entry of the journal, oldest first.
pub fn history(host: &impl Host) -> Result<Vec<Entry>, StateError> {
    Ok(Journal::read(host)?.entries().to_vec())
}

/// The manifest of what runs: the files that weft made and may change. `None` before
/// the first apply, and where generation 0 was restored, whose files are not weft's. A
/// file of interfaces that somebody numbered otherwise is as weft wrote it.
pub fn owned(host: &impl Host) -> Result<Option<Manifest>, StateError> {
    let link = running(host)?.map(|entry| entry.record.generation);
    let Some(link) = link.filter(|link| link.number > 0) else { return Ok(None) };
    let generation = Generation::load(host, link)?;
    let (files, mut manifest) = (generation.files(), generation.manifest);
    let managed = Managed::Interfaces;
    if let Some(kept) = files.kept(&managed)
        // What cannot be read is not as it was written, which the caller sees.
        && let Ok(Some(found)) = host.read(&managed.path(), generation::FILE_LIMIT)
        && !kept.file.is(&found)
        && is_renumbered(host, &managed, kept, &found)
    {
        manifest.files.insert(managed, generation::ManifestFile::of(&found));
    }
    Ok(Some(manifest))
}

/// A value as a file of state: JSON for people, with a line end.
fn json(path: &Utf8Path, value: &impl Serialize) -> Result<Vec<u8>, HostError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| HostError::of("write", path, error.into()))?;
    text.push(b'\n');
    Ok(text)
}

fn from_json<T: DeserializeOwned>(path: &Utf8Path, text: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(text)
        .map_err(|error| StateError::damaged(path, format!("cannot be read: {error}")))
}

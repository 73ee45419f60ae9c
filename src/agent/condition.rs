//! What the running agent says of itself to whoever watches it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hold::Hold;
use super::machine::Activity;
use super::status::{State, Status};

/// The agent as it is now. Lives in memory; the state of the node is in
/// [`super::status::PATH`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The version of weft that runs.
    pub version: String,
    /// What the agent is doing.
    pub activity: Activity,
    /// One sentence that says why.
    pub message: String,
    /// When the agent started.
    pub started: Timestamp,
    /// How many turns it ended.
    pub turns: u64,
    /// How many polls failed in a row.
    pub failures: u32,
    /// When the next poll begins at the latest, if nothing happens before.
    pub next_poll: Option<Timestamp>,
    /// What is wrong with the settings, and goes on working without.
    pub warnings: Vec<String>,
    /// How the last poll ended; `None` before the first.
    pub last: Option<Last>,
}

/// How a poll ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// When.
    pub ended: Timestamp,
    /// How.
    pub state: State,
    /// The sentence.
    pub message: String,
    /// All that is known; `None` when the poll could not be finished.
    pub status: Option<Status>,
}

impl Condition {
    /// The condition of an agent that has just started.
    pub fn starting(now: Timestamp) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            activity: Activity::Waiting,
            message: "starting".to_owned(),
            started: now,
            turns: 0,
            failures: 0,
            next_poll: None,
            warnings: Vec::new(),
            last: None,
        }
    }

    /// Takes in the hold of the node, which comes and goes between turns.
    pub(super) fn hold_is(&mut self, hold: Option<Hold>) {
        let Some(last) = &mut self.last else { return };
        if let Some(status) = &mut last.status {
            status.hold_is(hold);
            last.state = status.state;
            last.message.clone_from(&status.message);
        }
    }

    /// Whether the agent does its work: it has settings, and its last poll reached
    /// the remote and left the node whole.
    pub fn is_ready(&self) -> bool {
        let running = !matches!(self.activity, Activity::Waiting | Activity::Stopping);
        let last = self.last.as_ref();
        running && last.is_some_and(|last| !matches!(last.state, State::Failed | State::Degraded))
    }
}

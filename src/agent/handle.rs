//! What others hold of a running agent: they nudge it, and watch what it says.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::condition::Condition;
use super::hook::Listening;
use super::machine::Nudge;
use super::metrics::Metrics;

/// How many nudges may wait. One that finds no room is not lost: those that wait are
/// taken in later than it came, and all of them together are one poll.
const WAITING_NUDGES: usize = 8;

/// The clock of the machine.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The outer end: for the floors above.
#[derive(Clone)]
pub struct Handle {
    /// The agent as it is now.
    pub condition: watch::Receiver<Arc<Condition>>,
    /// Where to listen and whom to believe.
    pub listening: watch::Receiver<Arc<Listening>>,
    /// The agent's numbers.
    pub metrics: Arc<Metrics>,
    nudges: mpsc::Sender<Nudge>,
    now: Now,
}

/// The inner end: for the agent.
#[derive(Debug)]
pub struct Ends {
    /// Where the agent says how it is.
    pub condition: watch::Sender<Arc<Condition>>,
    /// Where the agent says what to listen to.
    pub listening: watch::Sender<Arc<Listening>>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Where it is nudged.
    pub nudges: mpsc::Receiver<Nudge>,
}

/// Both ends.
pub fn pair(condition: Condition, now: Now) -> (Handle, Ends) {
    let (condition, condition_watch) = watch::channel(Arc::new(condition));
    let (listening, listening_watch) = watch::channel(Arc::new(Listening::default()));
    let (nudge, nudges) = mpsc::channel(WAITING_NUDGES);
    let metrics = Arc::new(Metrics::default());
    let handle = Handle {
        condition: condition_watch,
        listening: listening_watch,
        metrics: Arc::clone(&metrics),
        nudges: nudge,
        now,
    };
    (handle, Ends { condition, listening, metrics, nudges })
}

impl Handle {
    /// Asks for an early poll, and does not wait for it.
    pub fn nudge(&self) {
        // No room means that a nudge waits already; no agent means that it ends.
        let _ = self.nudges.try_send(Nudge::Webhook);
    }

    /// The time by the machine's clock.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("condition", &self.condition).finish_non_exhaustive()
    }
}

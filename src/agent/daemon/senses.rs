//! What reaches a running agent beside the ends of its turns.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use super::{Asked, Daemon, DaemonError, Desk, Ended, Ends};
use crate::agent::control::Answer;
use crate::agent::hand::OfNode;
use crate::agent::machine::Nudge;
use crate::host::Host;

/// Where events come from, beside turns.
pub(super) struct Senses {
    pub(super) hangup: Signal,
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) heartbeat: Interval,
}

/// What woke the agent.
pub(super) enum Woken<L> {
    Time,
    Heartbeat,
    Hangup,
    End,
    Ports,
    Nudge(Nudge),
    Asked(Asked),
    Back(Result<(L, Answer), tokio::task::JoinError>),
    Ended(Box<Result<Ended<L>, tokio::task::JoinError>>),
}

impl Senses {
    pub(super) fn new(heartbeat: Duration) -> Result<Self, DaemonError> {
        let listen = |kind| signal(kind).map_err(DaemonError::Wait);
        let mut heartbeat = tokio::time::interval(heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            heartbeat,
        })
    }
}

impl<H: Host + 'static> Daemon<H> {
    /// What the socket is answered from.
    pub(super) fn desk(
        &self,
        asks: mpsc::Sender<Asked>,
        ends: &Ends,
        busy: mpsc::Sender<()>,
    ) -> Desk {
        let (host, program) = (Arc::clone(&self.host), self.program.clone());
        let counter = Arc::new(OfNode { host, program, root: self.root.clone() });
        Desk { counter, asks, condition: ends.condition.subscribe(), busy }
    }
}

/// A random number from 0 to 1, good enough to spread load. The keys of a hash map are
/// random, and others with each map.
pub(super) fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}

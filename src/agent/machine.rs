//! What the agent does next. Pure: it is told the time, every random number and what
//! happened, and answers with the one thing to do.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::schedule::{Phase, Schedule, backoff};
use super::turn::Purpose;
use crate::value::Digest;

/// How far apart polls are at least that webhooks caused. A webhook that comes
/// earlier waits; none is lost.
pub const WEBHOOK_GAP: Duration = Duration::from_secs(5);
/// How often a node that is not introduced looks for its settings.
pub const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How far apart the looks at an open window are.
pub const LOOK_GAP: Duration = Duration::from_secs(1);
/// The longest sleep towards a time of the wall clock, so that a clock that is set is
/// noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The time since the agent started; never goes back.
    pub up: Duration,
    /// The time of day; may jump.
    pub wall: Timestamp,
}

/// Why a turn is wanted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// A webhook says that the branch moved.
    Webhook,
    /// The process got SIGHUP.
    Signal,
    /// A person waits for a turn of this purpose.
    Operator(Purpose),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Nothing but time.
    Tick,
    /// The settings were read.
    Introduced(Schedule, Phase),
    /// There are no settings that can be used, and there were none before.
    Unintroduced,
    /// A turn is wanted.
    Nudge(Nudge),
    /// The turn ended, and the same may be asked again at the usual time.
    Turned,
    /// The turn ended, and the window of an apply is open.
    Opened,
    /// The turn could not be finished.
    Failed,
    /// The turn ended before it changed anything: for something that cannot wait, or because
    /// there was no way back.
    GaveWay,
    /// The process is to end.
    Term,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A turn is begun. Its end is told by [`Event::Turned`], [`Event::Opened`], [`Event::Failed`] or
    /// [`Event::GaveWay`].
    Turn(Purpose),
    /// Nothing, until something happens or this much time since the start is over.
    SleepUntil(Duration),
    /// Nothing, until the turn ends.
    Await,
    /// The process ends.
    Exit,
}

/// What the agent is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// It has no settings.
    Waiting,
    /// It waits for the next poll.
    Idle,
    /// A turn is being made.
    Working,
    /// It watches an apply until it is confirmed or undone.
    Watching,
    /// It waits after a failure.
    Backoff,
    /// It ends, after the turn that is being made.
    Stopping,
}

/// When the next poll is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// At a time since the start.
    Up(Duration),
    /// At a time of day.
    Wall(Timestamp),
}

/// What is to be done as soon as it may be. Asked for twice, it is done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Poll,
    /// A poll, when the last one that a webhook caused is long enough ago.
    WebhookPoll,
    Refresh,
    /// A node is taken over by the plan with this digest.
    Adopt(Digest),
    /// Back to a generation.
    RollBack(Option<u64>),
    Plan,
}

impl From<Nudge> for Wanted {
    fn from(nudge: Nudge) -> Self {
        match nudge {
            Nudge::Webhook => Self::WebhookPoll,
            Nudge::Signal | Nudge::Operator(Purpose::Sync) => Self::Poll,
            Nudge::Operator(Purpose::Refresh) => Self::Refresh,
            Nudge::Operator(Purpose::Adopt { shown }) => Self::Adopt(shown),
            Nudge::Operator(Purpose::RollBack { generation }) => Self::RollBack(generation),
            // To look at a window is wanted by nobody but the agent.
            Nudge::Operator(Purpose::Plan | Purpose::Watch) => Self::Plan,
        }
    }
}

/// The state of the agent.
#[derive(Clone, Debug)]
pub struct Machine {
    timing: Option<(Schedule, Phase)>,
    running: Option<Purpose>,
    due: Due,
    failures: u32,
    wanted: BTreeSet<Wanted>,
    /// When the last poll began that a webhook caused.
    webhook_poll: Option<Duration>,
    /// When the open window is looked at next.
    window: Option<Duration>,
    stopping: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            timing: None,
            running: None,
            due: Due::Up(Duration::ZERO),
            failures: 0,
            wanted: BTreeSet::new(),
            webhook_poll: None,
            window: None,
            stopping: false,
        }
    }
}

impl Machine {
    /// Takes in what happened and says what to do. `chance` is a random number from 0
    /// to 1.
    pub fn step(&mut self, now: Clock, chance: f64, event: Event) -> Effect {
        match event {
            Event::Tick => {}
            Event::Unintroduced => self.due = Due::Up(now.up + LOOK_AGAIN),
            Event::Introduced(schedule, phase) => {
                let first = self.timing.replace((schedule, phase)).is_none();
                if first {
                    self.wanted.insert(Wanted::Poll);
                }
                if self.failures == 0 {
                    self.plan_ahead(now, chance);
                }
            }
            Event::Nudge(nudge) => {
                self.wanted.insert(nudge.into());
            }
            Event::Turned => self.ended(now, chance, false, false),
            Event::Opened => self.ended(now, chance, false, true),
            Event::Failed => self.ended(now, chance, true, false),
            Event::GaveWay => {
                // What it would have found is still to be found.
                if self.running.take() == Some(Purpose::Sync) {
                    self.wanted.insert(Wanted::Poll);
                }
            }
            Event::Term => self.stopping = true,
        }
        self.effect(now, chance)
    }

    /// What the agent is doing.
    pub fn activity(&self) -> Activity {
        if self.stopping {
            Activity::Stopping
        } else if self.window.is_some() && !self.is_changing() {
            Activity::Watching
        } else if self.running.is_some() {
            Activity::Working
        } else if self.timing.is_none() {
            Activity::Waiting
        } else if self.failures > 0 {
            Activity::Backoff
        } else {
            Activity::Idle
        }
    }

    /// How many polls failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next poll begins at the latest, if nothing happens before.
    pub fn next_poll(&self, now: Clock) -> Option<Timestamp> {
        if self.timing.is_none() || self.stopping {
            return None;
        }
        match self.due {
            Due::Wall(time) => Some(time.max(now.wall)),
            Due::Up(up) => {
                let wait = SignedDuration::try_from(up.saturating_sub(now.up)).ok()?;
                now.wall.checked_add(wait).ok()
            }
        }
    }

    /// Whether a turn is made that may change more than a window.
    fn is_changing(&self) -> bool {
        self.running.is_some_and(|purpose| !matches!(purpose, Purpose::Watch | Purpose::Plan))
    }

    fn ended(&mut self, now: Clock, chance: f64, failed: bool, open: bool) {
        let purpose = self.running.take();
        // A plan is for whoever asked; it says nothing of the line.
        if matches!(purpose, None | Some(Purpose::Plan)) {
            return;
        }
        // A look that failed says nothing of the window: it is looked at again.
        let open = open || (failed && self.window.is_some());
        self.window = open.then_some(now.up + LOOK_GAP);
        if purpose == Some(Purpose::Watch) {
            if !open {
                // What came meanwhile had to wait for the end of the window.
                self.wanted.insert(Wanted::Poll);
            }
            return;
        }
        if failed {
            self.failures = self.failures.saturating_add(1);
            self.due = Due::Up(now.up + backoff(self.failures, chance));
        } else {
            self.failures = 0;
            self.plan_ahead(now, chance);
        }
    }

    /// Sets the time of the next poll by the schedule.
    fn plan_ahead(&mut self, now: Clock, chance: f64) {
        let Some((schedule, phase)) = &self.timing else { return };
        let next = schedule.next(now.wall, *phase, chance);
        self.due = match (schedule, next) {
            (Schedule::Cron(..), Some(next)) => Due::Wall(next),
            // A period is kept by the clock that nobody sets.
            (Schedule::Every(_), Some(next)) => {
                Due::Up(now.up + next.duration_since(now.wall).unsigned_abs())
            }
            (Schedule::Every(period), None) => Due::Up(now.up + *period),
            (Schedule::Cron(..), None) => Due::Up(now.up + LONGEST_SLEEP),
        };
    }

    fn effect(&mut self, now: Clock, chance: f64) -> Effect {
        if self.running.is_some() {
            return Effect::Await;
        }
        if self.stopping {
            return Effect::Exit;
        }
        if let Some(due) = self.window.filter(|due| *due <= now.up)
            && !self.wanted.iter().any(|wanted| matches!(wanted, Wanted::RollBack(_)))
        {
            self.window = Some(due);
            return self.begin(now, Purpose::Watch);
        }
        if self.timing.is_none() {
            let Due::Up(look) = self.due else { return Effect::SleepUntil(now.up + LOOK_AGAIN) };
            return Effect::SleepUntil(look);
        }
        let back = self.wanted.iter().find_map(|wanted| match wanted {
            Wanted::RollBack(generation) => Some(*generation),
            _ => None,
        });
        if let Some(generation) = back {
            return self.begin(now, Purpose::RollBack { generation });
        }
        let adopt = self.wanted.iter().find_map(|wanted| match wanted {
            Wanted::Adopt(shown) => Some(*shown),
            _ => None,
        });
        if let Some(shown) = adopt {
            return self.begin(now, Purpose::Adopt { shown });
        }
        if self.wanted.contains(&Wanted::Refresh) {
            return self.begin(now, Purpose::Refresh);
        }
        let webhook_due = self.webhook_due();
        let wait = self.wait(now, chance);
        if self.wanted.contains(&Wanted::Poll)
            || wait.is_zero()
            || webhook_due.is_some_and(|due| due <= now.up)
        {
            return self.begin(now, Purpose::Sync);
        }
        if self.wanted.contains(&Wanted::Plan) {
            return self.begin(now, Purpose::Plan);
        }
        let due = now.up + wait;
        let others = webhook_due.into_iter().chain(self.window);
        Effect::SleepUntil(others.fold(due, Duration::min))
    }

    /// When the poll may begin that a webhook wants.
    fn webhook_due(&self) -> Option<Duration> {
        let free = self.webhook_poll.map_or(Duration::ZERO, |last| last + WEBHOOK_GAP);
        self.wanted.contains(&Wanted::WebhookPoll).then_some(free)
    }

    /// How long to sleep towards the next poll; zero when it is due.
    fn wait(&mut self, now: Clock, chance: f64) -> Duration {
        match self.due {
            Due::Up(up) => up.saturating_sub(now.up),
            Due::Wall(time) if time <= now.wall => Duration::ZERO,
            Due::Wall(time) => {
                let left = time.duration_since(now.wall).unsigned_abs();
                // A clock that was far ahead and was set back must not leave a poll
                // that never comes.
                if left > LONGEST_SLEEP {
                    self.plan_ahead(now, chance);
                }
                left.min(LONGEST_SLEEP)
            }
        }
    }

    fn begin(&mut self, now: Clock, purpose: Purpose) -> Effect {
        self.running = Some(purpose);
        if purpose == Purpose::Plan {
            self.wanted.remove(&Wanted::Plan);
        } else if purpose == Purpose::Watch {
            // Nobody asked for it.
        } else if let Purpose::RollBack { generation } = purpose {
            self.wanted.remove(&Wanted::RollBack(generation));
        } else if let Purpose::Adopt { shown } = purpose {
            self.wanted.remove(&Wanted::Adopt(shown));
        } else {
            self.wanted.remove(&Wanted::Poll);
            if self.wanted.remove(&Wanted::WebhookPoll) {
                self.webhook_poll = Some(now.up);
            }
            if purpose == Purpose::Refresh {
                self.wanted.remove(&Wanted::Refresh);
            }
        }
        Effect::Turn(purpose)
    }
}

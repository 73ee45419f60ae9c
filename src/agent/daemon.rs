//! The one task that owns a node for as long as the agent runs.
//!
//! [`Machine`] decides; this carries out: it makes turns one after the other, listens
//! to signals, the socket and nudges, and says how it is.

mod back;
mod reload;
mod senses;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::Unit;
use jiff::tz::TimeZone;
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::addresses::Lookout;
use super::back::Back;
use super::condition::{Condition, Last};
use super::control::{self, Answer, Asked, Desk};
use super::error::{TurnError, chain};
use super::handle::Ends;
use super::hold::Hold;
use super::hook;
use super::machine::{Activity, Clock, Effect, Event, Machine, Nudge};
use super::memory::Memory;
use super::notify::Notify;
use super::ports;
use super::quarantine::Quarantine;
use super::settings::{self, Settings};
use super::status::State;
use super::turn::{Purpose, Report, Turn, leaves_the_status};
use crate::host::{Host, HostError, Socket};
use crate::sync::Cancel;
use senses::{Senses, Woken, chance};

/// How long the last answers may take to leave when the agent ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many requests for turns may wait at the socket.
const WAITING_ASKS: usize = 16;

/// How a turn is put into words for whoever asked for it.
pub type Voice = fn(Result<&Report, &TurnError>, Purpose) -> Answer;

/// How a way back without settings is put into words, with what the node is called.
pub type BackVoice = fn(&str, Result<&Back, &TurnError>) -> Answer;

/// What an agent is made of.
#[derive(Debug)]
pub struct Daemon<H: Host> {
    /// The machine.
    pub host: Arc<H>,
    /// The lock of the node, held until the agent ends.
    pub lock: H::Lock,
    /// Where requests of this machine's root come in.
    pub socket: Socket,
    /// This program, which is started again to fetch.
    pub program: Utf8PathBuf,
    /// The directory that stands for `/` of a dry node.
    pub root: Option<Utf8PathBuf>,
    /// The zone in which crontab lines are read.
    pub zone: TimeZone,
    /// How a turn is put into words.
    pub voice: Voice,
    /// How a way back without settings is.
    pub back_voice: BackVoice,
    /// The line to systemd.
    pub notify: Notify,
}

/// Why an agent ended before it was told to.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Signals cannot be listened to, or the socket not be waited for.
    #[error("the agent cannot wait for what happens")]
    Wait(#[source] std::io::Error),
    /// A turn ended in a panic; what it did is settled by the next start.
    #[error("a turn broke down; this is a fault of weft, and its log says where")]
    Turn(#[source] tokio::task::JoinError),
}

/// How a turn ended.
struct Ended<L> {
    lock: L,
    purpose: Purpose,
    result: Result<Report, TurnError>,
    answer: Answer,
    took: Duration,
    quarantined: Option<usize>,
}

impl<H: Host + 'static> Daemon<H>
where
    H::Lock: 'static,
{
    /// Owns the node until it is told to end.
    pub async fn run(self, ends: Ends) -> Result<(), DaemonError> {
        let listener = self.socket.listener()?;
        let listener = UnixListener::from_std(listener).map_err(DaemonError::Wait)?;
        let mut senses = Senses::new(self.notify.heartbeat())?;
        let (asks, asked) = mpsc::channel(WAITING_ASKS);
        let (busy, mut done) = mpsc::channel(1);
        let desk = self.desk(asks, &ends, busy);
        let desk = tokio::spawn(control::answer(listener, desk));
        let mut owner = Owner::new(self, ends, asked);
        let result = owner.work(&mut senses).await;
        // Nobody comes in any more, and whoever was served still gets the answer.
        desk.abort();
        drop(owner);
        let _ = tokio::time::timeout(FAREWELL, done.recv()).await;
        result
    }
}

struct Owner<H: Host> {
    host: Arc<H>,
    /// Here between turns, with the turn while there is one.
    lock: Option<H::Lock>,
    _socket: Socket,
    program: Utf8PathBuf,
    root: Option<Utf8PathBuf>,
    zone: TimeZone,
    voice: Voice,
    back_voice: BackVoice,
    notify: Notify,
    ends: Ends,
    asked: mpsc::Receiver<Asked>,
    started: Instant,
    machine: Machine,
    settings: Option<Arc<Settings>>,
    /// What turns of these settings remember.
    memory: Arc<Memory>,
    condition: Condition,
    turn: Option<JoinHandle<Ended<H::Lock>>>,
    /// A way back that knows no settings, with the lock. There is no turn meanwhile.
    back: Option<JoinHandle<(H::Lock, Answer)>>,
    addresses: Lookout,
    ports: ports::Watch,
    /// Ends what the turn waits for of remotes.
    cancel: Cancel,
    /// Who waits for a turn that has not begun.
    waiting: Vec<Asked>,
    /// Who waits for the end of the one that has.
    served: Vec<Asked>,
}

impl<H: Host + 'static> Owner<H>
where
    H::Lock: 'static,
{
    fn new(daemon: Daemon<H>, ends: Ends, asked: mpsc::Receiver<Asked>) -> Self {
        let condition = Condition::starting(daemon.host.now());
        let ports = ports::Watch::new(&daemon.host);
        Self {
            host: daemon.host,
            lock: Some(daemon.lock),
            _socket: daemon.socket,
            program: daemon.program,
            root: daemon.root,
            zone: daemon.zone,
            voice: daemon.voice,
            back_voice: daemon.back_voice,
            notify: daemon.notify,
            ends,
            asked,
            started: Instant::now(),
            machine: Machine::default(),
            settings: None,
            memory: Arc::default(),
            condition,
            turn: None,
            back: None,
            addresses: Lookout::default(),
            ports,
            cancel: Cancel::default(),
            waiting: Vec::new(),
            served: Vec::new(),
        }
    }

    async fn work(&mut self, senses: &mut Senses) -> Result<(), DaemonError> {
        let mut events = VecDeque::from([self.reload()]);
        let mut effect = Effect::Await;
        self.notify.ready();
        loop {
            while let Some(event) = events.pop_front() {
                effect = self.machine.step(self.clock(), chance(), event);
                if let Effect::Turn(purpose) = effect {
                    self.begin(purpose);
                }
            }
            self.publish();
            let wake = match effect {
                Effect::Exit => return Ok(()),
                Effect::SleepUntil(up) => Some(self.started + up),
                Effect::Turn(_) | Effect::Await => None,
            };
            let woken = self.wait(senses, wake).await;
            self.take_in(woken, &mut events)?;
        }
    }

    async fn wait(&mut self, senses: &mut Senses, wake: Option<Instant>) -> Woken<H::Lock> {
        let time = async {
            match wake {
                Some(wake) => tokio::time::sleep_until(wake).await,
                None => std::future::pending().await,
            }
        };
        let turn = async {
            match &mut self.turn {
                Some(turn) => turn.await,
                None => std::future::pending().await,
            }
        };
        let back = async {
            match &mut self.back {
                Some(back) => back.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = turn => Woken::Ended(Box::new(ended)),
            back = back => Woken::Back(back),
            _ = senses.terminate.recv() => Woken::End,
            _ = senses.interrupt.recv() => Woken::End,
            _ = senses.hangup.recv() => Woken::Hangup,
            Some(asked) = self.asked.recv() => Woken::Asked(asked),
            Some(nudge) = self.ends.nudges.recv() => Woken::Nudge(nudge),
            () = self.ports.wait() => Woken::Ports,
            () = time => Woken::Time,
            _ = senses.heartbeat.tick() => Woken::Heartbeat,
        }
    }

    fn take_in(
        &mut self,
        woken: Woken<H::Lock>,
        events: &mut VecDeque<Event>,
    ) -> Result<(), DaemonError> {
        match woken {
            Woken::Time if self.settings.is_none() => events.push_back(self.reload()),
            Woken::Time => events.push_back(Event::Tick),
            Woken::Heartbeat => {
                let ending = self.machine.activity() == Activity::Stopping;
                self.notify.alive(ending);
                self.listen();
                events.push_back(Event::Tick);
            }
            Woken::Hangup => {
                tracing::info!("SIGHUP: reading the settings again");
                events.extend([self.reload(), Event::Nudge(Nudge::Signal)]);
            }
            Woken::End => {
                tracing::info!("told to end");
                self.notify.stopping();
                self.notify.alive(true);
                self.cancel.cancel();
                events.push_back(Event::Term);
            }
            Woken::Ports => self.ports.see_to(&self.host),
            Woken::Nudge(nudge) => {
                if matches!(nudge, Nudge::Webhook) {
                    self.memory.expect_news();
                }
                events.push_back(Event::Nudge(nudge));
            }
            Woken::Asked(asked) => {
                if self.settings.is_none() {
                    events.push_back(self.reload());
                }
                if let (None, Purpose::RollBack { generation }) = (&self.settings, asked.purpose) {
                    self.go_back(asked, generation);
                } else if self.settings.is_some() {
                    if matches!(asked.purpose, Purpose::RollBack { .. }) {
                        self.cancel.cancel();
                    }
                    events.push_back(Event::Nudge(Nudge::Operator(asked.purpose)));
                    self.waiting.push(asked);
                } else {
                    // Whoever asked may have gone.
                    let _ = asked.reply.send(Answer::failure(&self.condition.message));
                }
            }
            Woken::Back(ended) => events.push_back(self.end_back(ended)?),
            Woken::Ended(ended) => {
                self.turn = None;
                let ended = (*ended).map_err(DaemonError::Turn)?;
                events.push_back(self.end(ended));
            }
        }
        Ok(())
    }

    fn begin(&mut self, purpose: Purpose) {
        let settings = self.settings.clone().expect("a turn begins only where settings were read");
        let lock = self.lock.take().expect("a turn begins only when the one before has ended");
        let serves = |asked: &Asked| {
            asked.purpose == purpose
                || (asked.purpose == Purpose::Sync && purpose == Purpose::Refresh)
        };
        self.served.extend(self.waiting.extract_if(.., |asked| serves(asked)));
        let (host, program, root) =
            (Arc::clone(&self.host), self.program.clone(), self.root.clone());
        let manual = self.served.iter().any(|asked| asked.manual);
        let memory = Arc::clone(&self.memory);
        // Whoever asks wants to know how the node is now.
        if !self.served.is_empty() {
            memory.look_anew();
        }
        self.cancel = Cancel::default();
        let cancel = self.cancel.clone();
        let voice = self.voice;
        self.turn = Some(tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let turn = Turn {
                host: &*host,
                settings: &settings,
                program: &program,
                root: root.as_deref(),
                memory: &memory,
                manual,
                cancel: &cancel,
            };
            let result = turn.make_under(&lock, purpose);
            let answer = voice(result.as_ref(), purpose);
            let quarantined =
                Quarantine::load(&*host).ok().map(|quarantine| quarantine.held().len());
            Ended { lock, purpose, result, answer, took: begun.elapsed(), quarantined }
        }));
    }

    fn end(&mut self, ended: Ended<H::Lock>) -> Event {
        let Ended { lock, purpose, result, answer, took, quarantined } = ended;
        self.lock = Some(lock);
        for asked in self.served.drain(..) {
            // Whoever asked may have gone.
            let _ = asked.reply.send(answer.clone());
        }
        if purpose == Purpose::Plan {
            return Event::Turned;
        }
        if leaves_the_status(purpose, &result) {
            return Event::GaveWay;
        }
        let now = self.host.now();
        let metrics = &self.ends.metrics;
        if let Some(count) = quarantined {
            metrics.quarantined(count);
        }
        self.condition.turns += u64::from(purpose != Purpose::Watch);
        let (state, message, status, event) = match result {
            Ok(report) => {
                let edited = report.plan.as_ref().map_or(0, |plan| plan.edited.len());
                metrics.turn(&report.status, edited, took);
                let status = report.status;
                let event = if status.window.is_some() { Event::Opened } else { Event::Turned };
                (status.state, status.message.clone(), Some(status), event)
            }
            Err(error) => {
                let state = error.state();
                if matches!(error, TurnError::Remotes(_)) {
                    metrics.fetched(false);
                }
                metrics.failure(state, now, took);
                let event = match (state, purpose) {
                    // The window is looked at again.
                    (State::Refused, purpose) if purpose != Purpose::Watch => Event::Turned,
                    _ => Event::Failed,
                };
                (state, chain(&error), None, event)
            }
        };
        let before = self.condition.last.as_ref();
        if before.is_some_and(|last| last.state == state && last.message == message) {
            tracing::debug!(state = state.as_str(), "{message}");
        } else {
            log(state, &message);
        }
        let runs = status.as_ref().and_then(|status| status.running.as_ref()?.commit.as_ref());
        let runs = runs.map(|record| record.commit);
        if let Some(settings) = self.settings.as_ref().filter(|_| purpose != Purpose::Watch) {
            let place = (self.program.as_path(), self.root.as_deref());
            self.addresses.begin(&self.host, settings, place, runs);
        }
        self.condition.last = Some(Last { ended: now, state, message, status });
        event
    }

    /// Says how the agent is to whoever watches.
    fn publish(&mut self) {
        if let Ok(hold) = Hold::current(&*self.host, self.host.now()) {
            self.condition.hold_is(hold);
        }
        let clock = self.clock();
        self.ends.metrics.progress(clock.wall);
        self.condition.activity = self.machine.activity();
        self.condition.failures = self.machine.failures();
        let next = self.machine.next_poll(clock);
        self.condition.next_poll = next.and_then(|next| next.round(Unit::Second).ok());
        if let (Some(_), Some(last)) = (&self.settings, &self.condition.last) {
            self.condition.message.clone_from(&last.message);
        } else if self.settings.is_some() {
            "the first turn has not ended".clone_into(&mut self.condition.message);
        }
        let changed = |shown: &mut Arc<Condition>| {
            let differs = **shown != self.condition;
            if differs {
                *shown = Arc::new(self.condition.clone());
            }
            differs
        };
        if watch::Sender::send_if_modified(&self.ends.condition, changed) {
            self.notify.status(&self.condition.message);
        }
    }

    fn clock(&self) -> Clock {
        Clock { up: self.started.elapsed(), wall: self.host.now() }
    }
}

/// Says how a turn ended, as loud as it is for whoever looks after the node.
fn log(state: State, message: &str) {
    let name = state.as_str();
    match state {
        State::Degraded | State::Failed => tracing::error!(state = name, "{message}"),
        State::Refused | State::RolledBack => tracing::warn!(state = name, "{message}"),
        State::InOrder | State::Pending | State::Open | State::Held => {
            tracing::info!(state = name, "{message}");
        }
    }
}

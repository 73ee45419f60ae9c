//! Numbers of the agent for Prometheus, in the text format of `OpenMetrics`.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::publish::{Publication, Standing};
use super::status::{Refused, RemoteStanding, RemoteState, State, Status};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long turns take, in seconds: from one with nothing new to a long apply.
const DURATIONS: [f64; 9] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0];

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Running {
    version: &'static str,
    cluster: String,
    node: String,
    commit: String,
    signer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WithResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForReason {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRemote {
    remote: String,
    standing: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLayer {
    layer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WithStanding {
    standing: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FromProvider {
    provider: &'static str,
    result: &'static str,
}

/// What was seen last, so that only what is new is counted.
#[derive(Debug, Default)]
struct Seen {
    running: Option<Running>,
    generation: Option<u64>,
    refused: Vec<Refused>,
    fetched: Option<Timestamp>,
}

/// The numbers. Label values are few: states, results, names from the settings and
/// codes of refusal; and one commit at a time.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    info: Family<Running, Gauge>,
    state: Family<InState, Gauge>,
    confirmed: Gauge,
    trusted: Gauge,
    successes: Family<OfPhase, Seconds>,
    freshness: Seconds,
    fetches: Family<WithResult, Counter>,
    turns: Family<WithResult, Counter>,
    durations: Histogram,
    rejections: Family<ForReason, Counter>,
    remotes: Family<OfRemote, Gauge>,
    diverged: Gauge,
    remaining: Gauge,
    applies: Family<WithResult, Counter>,
    drift: Family<OfLayer, Gauge>,
    publication: Family<WithStanding, Gauge>,
    published: Gauge,
    quarantined: Gauge,
    webhooks: Family<FromProvider, Counter>,
    progress: Seconds,
    seen: Mutex<Seen>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("weft");
        macro_rules! registered {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        Self {
            info: registered!("info", "What runs on the node", Family::default()),
            state: registered!(
                "state",
                "How the last turn ended: 1 at one state",
                Family::default()
            ),
            confirmed: registered!(
                "confirmed_seq",
                "Number of the running commit",
                Gauge::default()
            ),
            trusted: registered!(
                "trusted_seq",
                "Number of the newest trusted commit",
                Gauge::default()
            ),
            successes: registered!(
                "last_success_timestamp_seconds",
                "When a phase succeeded last",
                Family::default()
            ),
            freshness: registered!(
                "source_freshness_seconds",
                "Time since a remote answered",
                Seconds::default()
            ),
            fetches: registered!("fetch", "Fetches by result", Family::default()),
            turns: registered!("turn", "Turns by their end", Family::default()),
            durations: registered!(
                "turn_duration_seconds",
                "How long turns took",
                Histogram::new(DURATIONS)
            ),
            rejections: registered!("reject", "Commits refused, by reason", Family::default()),
            remotes: registered!(
                "remote",
                "How each remote stands: 1 at one standing",
                Family::default()
            ),
            diverged: registered!(
                "diverged_remotes",
                "Remotes that do not go together with the one that serves",
                Gauge::default()
            ),
            remaining: registered!(
                "unjudged_commits",
                "Commits that are left to be judged",
                Gauge::default()
            ),
            applies: registered!("apply", "Applies by result", Family::default()),
            drift: registered!("drift_items", "What differs without a commit", Family::default()),
            publication: registered!(
                "publication",
                "How the publication to Proxmox stands: 1 at one standing",
                Family::default()
            ),
            published: registered!(
                "published_seq",
                "Number of the commit that is published to Proxmox",
                Gauge::default()
            ),
            quarantined: registered!("quarantined", "Renderings held back", Gauge::default()),
            webhooks: registered!("webhook", "Webhooks by provider and result", Family::default()),
            progress: registered!(
                "loop_progress_timestamp_seconds",
                "When the agent's loop moved last",
                Seconds::default()
            ),
            seen: Mutex::default(),
            registry,
        }
    }
}

impl Metrics {
    /// Takes in a turn that was finished. `edited` is how many files of weft's were
    /// changed by others.
    pub fn turn(&self, status: &Status, edited: usize, took: Duration) {
        self.durations.observe(took.as_secs_f64());
        self.end(status.state, status.updated);
        self.fetched(true);
        self.success("fetch", status.updated);
        let running = status.running.as_ref();
        if let Some(trusted) = &status.trusted {
            self.trusted.set(number(trusted.sequence));
        }
        let commit = running.and_then(|running| running.commit.as_ref());
        self.confirmed.set(commit.map_or(0, |commit| number(commit.sequence)));
        self.drift.get_or_create(&OfLayer { layer: "files" }).set(count(edited));
        self.diverged.set(count(status.diverged.len()));
        self.remaining.set(count(status.remaining));
        self.stand(&status.remotes);
        self.publish(status.publication.as_ref());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.fetched = Some(status.updated);
        for refused in &status.refused {
            if !seen.refused.contains(refused) {
                self.rejections.get_or_create(&ForReason { reason: refused.code.clone() }).inc();
            }
        }
        seen.refused.clone_from(&status.refused);
        let generation = running.map(|running| running.generation);
        match status.state {
            State::RolledBack => self.applied("rolled-back"),
            State::Degraded => self.applied("degraded"),
            _ if generation != seen.generation && generation.is_some() => self.applied("confirmed"),
            _ => {}
        }
        seen.generation = generation;
        let labels = Running {
            version: env!("CARGO_PKG_VERSION"),
            cluster: status.cluster.to_string(),
            node: status.node.to_string(),
            commit: commit.map(|commit| commit.commit.to_string()).unwrap_or_default(),
            signer: commit.map(|commit| commit.signer.to_string()).unwrap_or_default(),
        };
        self.info.get_or_create(&labels).set(1);
        if let Some(before) =
            seen.running.replace(labels.clone()).filter(|before| *before != labels)
        {
            self.info.remove(&before);
        }
    }

    fn stand(&self, remotes: &[RemoteState]) {
        // Names that are no longer in the settings go.
        self.remotes.clear();
        for remote in remotes {
            for each in RemoteStanding::ALL {
                let labels = OfRemote { remote: remote.name.to_string(), standing: each.as_str() };
                let is = i64::from(*each == remote.standing);
                self.remotes.get_or_create(&labels).set(is);
            }
        }
    }

    fn publish(&self, publication: Option<&Publication>) {
        let Some(publication) = publication else { return };
        for each in Standing::ALL {
            let is = i64::from(*each == publication.standing);
            self.publication.get_or_create(&WithStanding { standing: each.as_str() }).set(is);
        }
        let published = publication.published.as_ref();
        self.published.set(published.map_or(0, |published| number(published.sequence)));
    }

    /// Takes in a turn that could not be finished.
    pub fn failure(&self, state: State, now: Timestamp, took: Duration) {
        self.durations.observe(took.as_secs_f64());
        self.end(state, now);
    }

    fn end(&self, state: State, now: Timestamp) {
        self.turns.get_or_create(&WithResult { result: state.as_str() }).inc();
        for each in State::ALL {
            let is = i64::from(*each == state);
            self.state.get_or_create(&InState { state: each.as_str() }).set(is);
        }
        if state == State::InOrder {
            self.success("turn", now);
        }
    }

    fn success(&self, phase: &'static str, now: Timestamp) {
        self.successes.get_or_create(&OfPhase { phase }).set(seconds(now));
    }

    fn applied(&self, result: &'static str) {
        self.applies.get_or_create(&WithResult { result }).inc();
    }

    /// Takes in that a remote answered, or that none did.
    pub fn fetched(&self, answered: bool) {
        let result = if answered { "fetched" } else { "failed" };
        self.fetches.get_or_create(&WithResult { result }).inc();
    }

    /// Takes in how many renderings are held back.
    pub fn quarantined(&self, count: usize) {
        self.quarantined.set(self::count(count));
    }

    /// Takes in a webhook.
    pub fn webhook(&self, provider: &'static str, result: &'static str) {
        self.webhooks.get_or_create(&FromProvider { provider, result }).inc();
    }

    /// Takes in that the agent's loop is alive.
    pub fn progress(&self, now: Timestamp) {
        self.progress.set(seconds(now));
    }

    /// All of it.
    pub fn text(&self, now: Timestamp) -> String {
        let fetched = self.seen.lock().unwrap_or_else(PoisonError::into_inner).fetched;
        if let Some(fetched) = fetched {
            self.freshness.set((seconds(now) - seconds(fetched)).max(0.0));
        }
        let mut out = String::new();
        // Writing to a string fails only if an encoder is wrong; half a text is no
        // answer.
        match text::encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(std::fmt::Error) => "# EOF\n".to_owned(),
        }
    }
}

fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

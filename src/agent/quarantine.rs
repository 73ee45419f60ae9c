//! Renderings that were applied and undone: `/var/lib/weft/quarantine`.
//!
//! What failed once most often fails again, and each try disturbs guests. So a
//! rendering that was rolled back is left alone for a while that grows, and after the
//! last while until a person asks for it. It is known by its digest, so another commit
//! that renders the same is held as well, and one that renders something else is not.

mod haste;

use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::audit;
use super::error::chain;
use crate::apply::{Entry, Failure, Kind, Outcome, Record};
use crate::host::{Host, HostError};
use crate::plan::{Health, Sign, Watchlist};
use crate::value::{Digest, ObjectId};

pub use haste::{Haste, MOST, PAUSE};

/// Where the quarantine lies on a node.
pub const PATH: &str = "/var/lib/weft/quarantine";
/// How long a rendering is left alone after its first, second and third failure.
pub const WHILES: [SignedDuration; 3] =
    [SignedDuration::from_mins(10), SignedDuration::from_hours(1), SignedDuration::from_hours(24)];
/// How many renderings are remembered; the oldest is forgotten first.
pub const MAX_HELD: usize = 32;
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 1 << 20;
const MAX_REASON: usize = 1000;

/// The renderings that were undone on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    format: u32,
    held: Vec<Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    haste: Option<Haste>,
}

/// One rendering that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The digest of the rendering.
    pub rendering: Digest,
    /// The commit that it was rendered from when it failed last.
    pub commit: ObjectId,
    /// Why it was undone.
    pub reason: String,
    /// How often it was undone.
    pub failures: u32,
    /// When it was undone last.
    pub since: Timestamp,
    /// When it may be tried again; `None` when only a person may.
    pub until: Option<Timestamp>,
    /// What went while it was tried and did not come back when it was undone: it is tried
    /// again as soon as that works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Sign>,
}

/// A time, as people read it.
const CLOCK: &str = "%Y-%m-%d %H:%M:%SZ";

impl Held {
    /// What is held back and for how long, in one sentence.
    pub fn sentence(&self) -> String {
        let until = match self.until {
            None if !self.waits_for.is_empty() => {
                "it is tried again when that works, or by `weft apply --refresh`".to_owned()
            }
            Some(until) => format!(
                "it is tried again after {}, or at once by `weft apply --refresh`",
                until.strftime(CLOCK)
            ),
            None => "it is tried again only by `weft apply --refresh`".to_owned(),
        };
        let times = match self.failures {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        format!(
            "this rendering was undone {times}, last at {}: {}; {until}",
            self.since.strftime(CLOCK),
            self.reason
        )
    }
}

/// Why the quarantine is not known.
#[derive(Debug, Error)]
pub enum QuarantineError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The file is not one that weft wrote.
    #[error("`{PATH}` cannot be read; look at it, then remove it to go on")]
    Damaged(#[source] serde_json::Error),
    /// A later version of weft wrote the file.
    #[error("`{PATH}` has format {0}, which this version does not read; upgrade weft")]
    Format(u32),
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { format: FORMAT, held: Vec::new(), haste: None }
    }
}

impl Quarantine {
    /// The quarantine of a node; empty where there is no file.
    pub fn load(host: &impl Host) -> Result<Self, QuarantineError> {
        let Some(file) = host.read(Utf8Path::new(PATH), MAX_BYTES)? else {
            return Ok(Self::default());
        };
        let read: Self = serde_json::from_slice(&file.bytes).map_err(QuarantineError::Damaged)?;
        if read.format == FORMAT { Ok(read) } else { Err(QuarantineError::Format(read.format)) }
    }

    /// Writes it down.
    pub fn store(&self, host: &impl Host) -> Result<(), QuarantineError> {
        let text = serde_json::to_vec_pretty(self).map_err(QuarantineError::Damaged)?;
        Ok(host.replace(Utf8Path::new(PATH), &text, 0o600)?)
    }

    /// What forbids the agent to try a rendering now.
    pub fn blocks(&self, rendering: Digest, now: Timestamp) -> Option<&Held> {
        let held = self.held.iter().find(|held| held.rendering == rendering)?;
        held.until.is_none_or(|until| now < until).then_some(held)
    }

    /// Every rendering that is held, whether or not its while is over.
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// How often windows ended for a newer commit, if one did since the last was confirmed.
    pub fn haste(&self) -> Option<Haste> {
        self.haste
    }

    /// Takes in that a window ended for a newer commit.
    pub fn hasten(&mut self, now: Timestamp) {
        self.haste = Some(Haste::hastened(self.haste, now));
    }

    /// Takes in that an apply was undone for a reason of its own. Says whether that is of
    /// interest.
    pub fn delay(&mut self, now: Timestamp) -> bool {
        let spent = self.haste.filter(Haste::is_spent);
        self.haste = spent.map(|haste| haste.undone(now)).or(self.haste);
        spent.is_some()
    }

    /// Takes in that a window was confirmed. Says whether that is of interest.
    pub fn calm(&mut self) -> bool {
        self.haste.take().is_some()
    }

    /// Takes in a rendering that was undone now, and says for how long it is held.
    pub fn hold(
        &mut self,
        rendering: Digest,
        commit: ObjectId,
        reason: &str,
        now: Timestamp,
    ) -> Held {
        let before = self.held.iter().position(|held| held.rendering == rendering);
        let failures = before.map_or(0, |index| self.held.remove(index).failures);
        let wait = usize::try_from(failures).ok().and_then(|index| WHILES.get(index));
        if self.held.len() >= MAX_HELD {
            self.held.remove(0);
        }
        let held = Held {
            rendering,
            commit,
            reason: reason.chars().take(MAX_REASON).collect(),
            failures: failures.saturating_add(1),
            since: now,
            until: wait.map(|wait| now.checked_add(*wait).unwrap_or(Timestamp::MAX)),
            waits_for: Vec::new(),
        };
        self.held.push(held.clone());
        held
    }

    /// Takes in a rendering that was undone for what is not its fault as far as is known:
    /// the first time it waits until that works. `waits_for` is empty of one that was merely
    /// interrupted, which does not wait.
    pub fn excuse(
        &mut self,
        rendering: Digest,
        commit: ObjectId,
        reason: &str,
        now: Timestamp,
        waits_for: &[Sign],
    ) -> Held {
        let held = self.hold(rendering, commit, reason, now);
        // Twice is no accident.
        if held.failures > 1 {
            return held;
        }
        let until = waits_for.is_empty().then_some(now);
        let excused = Held { until, waits_for: waits_for.to_vec(), ..held };
        if let Some(last) = self.held.last_mut() {
            *last = excused.clone();
        }
        excused
    }

    /// Lets a rendering that was undone once wait for what does not work without it either.
    /// Says whether there is one.
    pub fn soften(&mut self, rendering: Digest, waits_for: &[Sign]) -> bool {
        // Twice is no accident.
        let mut held = self.held.iter_mut();
        let held = held.find(|held| held.rendering == rendering && held.failures == 1);
        let Some(held) = held else { return false };
        (held.until, held.waits_for) = (None, waits_for.to_vec());
        true
    }

    /// Forgets a rendering, because it runs now. Says whether it was held.
    pub fn release(&mut self, rendering: Digest) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held.rendering != rendering);
        self.held.len() != before
    }
}

/// What forbids the agent to try a rendering at this time, by what a node remembers, and by
/// what works there again.
pub fn blocks(
    host: &impl Host,
    watchlist: &Watchlist,
    rendering: Digest,
    now: Timestamp,
) -> Result<Option<Held>, QuarantineError> {
    let held = Quarantine::load(host)?.blocks(rendering, now).cloned();
    Ok(held.filter(|held| !works_again(host, watchlist, &held.waits_for)))
}

/// What a node waits for before it tries the newest commit, if it waits. A way back never
/// does.
pub fn pauses(
    host: &impl Host,
    reverts: bool,
    now: Timestamp,
) -> Result<Option<Haste>, QuarantineError> {
    let haste = Quarantine::load(host)?.haste;
    Ok(haste.filter(|haste| !reverts && haste.pauses(now)))
}

/// Whether everything works again that a rendering waits for; not so of one that waits for
/// nothing.
fn works_again(host: &impl Host, watchlist: &Watchlist, signs: &[Sign]) -> bool {
    if signs.is_empty() {
        return false;
    }
    let found = host.observe(watchlist).ok().flatten().unwrap_or_default().signs;
    signs.iter().all(|sign| found.get(sign) == Some(&Health::Up))
}

/// Takes in how an apply ended, and writes it down. What was undone for a reason of its own
/// is held; what was merely interrupted is not, and what runs is forgotten.
pub fn remember(host: &impl Host, outcome: &Outcome) {
    audit::came(host, outcome);
    let result = match outcome {
        Outcome::Open { .. } => Ok(()),
        Outcome::Unchanged { running } | Outcome::Confirmed { running } => {
            let Record { rendering, window, .. } = &running.record;
            changed(host, |quarantine| {
                let calmed = window.is_some() && quarantine.calm();
                rendering.is_some_and(|rendering| quarantine.release(rendering)) || calmed
            })
        }
        Outcome::RolledBack { entry, failure } | Outcome::Degraded { entry, failure, .. } => {
            undone(host, entry, failure)
        }
    };
    warn_of(result);
}

/// Takes in that what was down in a window is no better with the earlier state back, where
/// it is all of it.
pub fn soften(host: &impl Host, outcome: &Outcome) {
    let Outcome::RolledBack { entry, failure } = outcome else { return };
    if let (Failure::Window { persists, .. }, Some((rendering, _))) = (failure, of_commit(entry))
        && !failure.is_of_the_change()
    {
        warn_of(changed(host, |quarantine| quarantine.soften(rendering, persists)));
    }
}

fn undone(host: &impl Host, entry: &Entry, failure: &Failure) -> Result<(), QuarantineError> {
    if matches!(failure, Failure::Superseded) {
        return changed(host, |quarantine| {
            quarantine.hasten(host.now());
            true
        });
    }
    changed(host, |quarantine| quarantine.delay(host.now()))?;
    let reason = chain(failure);
    let excuse = |waits_for: &[Sign]| {
        of_commit(entry).map_or(Ok(()), |(rendering, commit)| {
            changed(host, |quarantine| {
                quarantine.excuse(rendering, commit, &reason, host.now(), waits_for);
                true
            })
        })
    };
    match failure {
        failure if failure.is_of_the_change() => hold(host, entry, &reason),
        Failure::Interrupted => excuse(&[]),
        _ => Ok(()),
    }
}

/// What an entry tried; none of a generation that ran before, which is not held for a way
/// back to it that failed.
fn of_commit(entry: &Entry) -> Option<(Digest, ObjectId)> {
    let record = &entry.record;
    let is_new = matches!(record.kind, Kind::Apply | Kind::Advance);
    let commit = record.commit.as_ref().filter(|_| is_new)?;
    Some((record.rendering?, commit.commit))
}

/// Takes in that a person went back from what ran.
pub fn by_hand(host: &impl Host, ran: &Entry) {
    warn_of(hold(host, ran, &chain(&Failure::ByHand)));
}

fn hold(host: &impl Host, entry: &Entry, reason: &str) -> Result<(), QuarantineError> {
    let Some((rendering, commit)) = of_commit(entry) else { return Ok(()) };
    changed(host, |quarantine| {
        quarantine.hold(rendering, commit, reason, host.now());
        true
    })
}

fn changed(
    host: &impl Host,
    change: impl FnOnce(&mut Quarantine) -> bool,
) -> Result<(), QuarantineError> {
    let mut quarantine = Quarantine::load(host)?;
    if change(&mut quarantine) { quarantine.store(host) } else { Ok(()) }
}

fn warn_of(result: Result<(), QuarantineError>) {
    if let Err(error) = result {
        // The apply has ended, and its own result is worth more.
        tracing::warn!(%error, "what was undone is not remembered, and may be tried again at once");
    }
}

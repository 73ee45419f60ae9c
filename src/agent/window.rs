//! Turns while the window of an apply is open, and its end.

#[cfg(test)]
pub(super) mod tests;

use std::time::Duration;

use super::audit;
use super::back::{go_back, restored};
use super::error::{TurnError, chain};
use super::memory::OpenWindow;
use super::node::running;
use super::quarantine::{self, Quarantine};
use super::remotes::Gathered;
use super::standing::{self, subject};
use super::status::{self, State, Status};
use super::turn::{Purpose, Report, Turn, in_order};
use crate::apply::{self, Entry, Failure, Outcome, Progress, Recovery};
use crate::declare::{Findings, Tree};
use crate::host::Host;
use crate::plan::{Sign, Watch};
use crate::render::render;
use crate::sync::CommitRecord;
use crate::value::ObjectId;

/// How long fetching may take at most while a window is open.
const FETCH: Duration = Duration::from_secs(5);

/// What was settled before anything else.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// What became of it.
    pub(super) words: Option<String>,
    /// An apply whose window is open.
    pub(super) open: Option<Entry>,
}

/// Settles what was interrupted, and says what became of it.
pub(super) fn recover(host: &impl Host) -> Result<Recovered, TurnError> {
    settled(host, apply::recover(host)?)
}

/// The same when the machine starts, by files alone.
pub(super) fn recover_at_boot(host: &impl Host) -> Result<Recovered, TurnError> {
    settled(host, apply::recover_at_boot(host)?)
}

fn settled(host: &impl Host, recovery: Recovery) -> Result<Recovered, TurnError> {
    let words = match recovery {
        Recovery::Nothing => None,
        Recovery::Open { entry } => return Ok(Recovered { words: None, open: Some(entry) }),
        Recovery::Discarded { entry } => Some(format!(
            "an apply of {} was interrupted before it changed anything, and is given up",
            subject(&entry)
        )),
        Recovery::Confirmed { running } => {
            let words = format!(
                "an apply of {} was interrupted when all was done, and is confirmed",
                subject(&running)
            );
            audit::came(host, &Outcome::Confirmed { running });
            Some(words)
        }
        Recovery::RolledBack { entry, cause } => {
            let failure = cause.failure();
            let words = format!(
                "an apply of {} is undone ({failure}); what ran before is back",
                subject(&entry)
            );
            quarantine::remember(host, &Outcome::RolledBack { entry, failure });
            Some(words)
        }
        Recovery::Restored { entry, cause } => Some(format!(
            "an apply of {} is undone ({}); the files of what ran before are back, and the first turn does the rest",
            subject(&entry),
            cause.failure()
        )),
        // Nothing was interrupted: what runs is damaged on the disk.
        Recovery::Degraded { entry, obstacle } if entry.state.is_final() => {
            return Err(obstacle.into());
        }
        Recovery::Degraded { obstacle, .. } => return Err(TurnError::Unrecovered(obstacle)),
    };
    Ok(Recovered { words, open: None })
}

impl<H: Host> Turn<'_, H> {
    /// The window that this process watches already, where there is nothing to settle.
    pub(super) fn seen_before(&self) -> Result<Option<Entry>, TurnError> {
        let number = self.memory.open().window.as_ref().map(|window| window.number);
        Ok(match number {
            Some(number) => apply::is_open(self.host, number)?,
            None => None,
        })
    }

    /// Looks at an open window, or says how it ended; `open` is what is recovered.
    pub(super) fn look(&self, open: Option<Entry>) -> Result<Report, TurnError> {
        // Given back at once: what is remembered is asked for below too.
        let window = self.memory.open().window.take();
        let (number, mut watch) = match (open, window) {
            (Some(entry), Some(window)) if window.number == entry.record.number => {
                (window.number, window.watch)
            }
            (Some(entry), _) => (entry.record.number, Watch::default()),
            (None, Some(window)) => (window.number, window.watch),
            // It was ended by somebody else before the first look.
            (None, None) => {
                let mut report = self.unchanged()?;
                report.status.window = self.last().and_then(|last| last.window);
                standing::bring_up_to_date(self.host, &mut report.status)?;
                return Ok(report);
            }
        };
        match apply::watch(self.host, number, &mut watch)? {
            Progress::Open { entry, down, left } => {
                let report = self.open(&entry, &down, left)?;
                self.memory.open().window = Some(OpenWindow { number, watch, down });
                Ok(report)
            }
            Progress::Ended(outcome) => {
                let outcome = self.remembered(outcome);
                self.ended(&outcome)
            }
            Progress::Over(outcome) => self.ended(&outcome),
        }
    }

    /// How an open window stands by what is known, without a look.
    pub(super) fn open_only(&self, open: Option<&Entry>) -> Result<Report, TurnError> {
        let Some(entry) = open else { return self.unchanged() };
        self.open(entry, &[], standing::left(self.host, entry)?)
    }

    /// Whether something is known to be down that the change does not drop by what it is.
    pub(super) fn is_failing(&self, entry: &Entry) -> bool {
        let remembered = self.memory.open();
        let window = remembered.window.as_ref();
        let window = window.filter(|window| window.number == entry.record.number);
        let opened = entry.record.window.as_ref();
        window.zip(opened).is_some_and(|(seen, window)| window.is_failing(&seen.down))
    }

    /// Looks at an open window, unless it ends for what the remotes show: something does not
    /// work in it, and a newer commit can be applied. Then it is undone, and there is no
    /// report. Too many in a row do not end so, except for a way back.
    pub(super) fn look_beside(
        &self,
        entry: Entry,
        gathered: &Gathered,
    ) -> Result<Option<Report>, TurnError> {
        let Some((newer, goes_back)) = self.better(&entry, gathered)? else {
            return self.look(Some(entry)).map(Some);
        };
        let haste = Quarantine::load(self.host)?.haste();
        if let Some(haste) = haste.filter(|haste| haste.is_spent() && !goes_back) {
            let mut report = self.look(Some(entry))?;
            if report.status.state == State::Open {
                let waits = haste.behind_a_window();
                let message = &mut report.status.message;
                *message = format!("{message}; commit {} {waits}", newer.short());
            }
            return Ok(Some(report));
        }
        self.undo(&entry, Failure::Superseded)?;
        Ok(None)
    }

    /// The commit that takes the place of what is tried and fails, and whether it brings back
    /// what ran before.
    fn better(
        &self,
        entry: &Entry,
        gathered: &Gathered,
    ) -> Result<Option<(ObjectId, bool)>, TurnError> {
        let tried = entry.record.commit.as_ref().map_or(0, |tried| tried.sequence);
        let newer = gathered.contents.as_ref().filter(|contents| {
            gathered.judgement.accepted.is_some() && contents.tree.record().sequence > tried
        });
        let Some(newer) = newer.filter(|_| self.is_failing(entry)) else { return Ok(None) };
        let facts = self.host.facts(&self.settings.node.value)?;
        let considered = self.consider(newer.tree.get().clone(), &facts);
        let Some(network) = considered.network else { return Ok(None) };
        let wanted = render(&network, &facts.node, &facts, self.settings.profile());
        if entry.record.rendering == Some(wanted.digest()) {
            return Ok(None);
        }
        let before = apply::running(self.host)?.and_then(|runs| runs.record.rendering);
        let goes_back = newer.brings_back.is_some() || before == Some(wanted.digest());
        Ok(Some((newer.tree.record().commit, goes_back)))
    }

    /// Undoes an open window, and remembers why.
    pub(super) fn undo(&self, entry: &Entry, failure: Failure) -> Result<Report, TurnError> {
        let outcome = apply::undo(self.host, entry.record.number, failure)?;
        self.memory.open().window = None;
        let outcome = self.remembered(outcome);
        self.ended(&outcome)
    }

    /// `weft rollback`: back to a generation, the one before when none is named, which
    /// holds the node.
    pub(super) fn roll_back(
        &self,
        open: Option<&Entry>,
        generation: Option<u64>,
    ) -> Result<Report, TurnError> {
        let back = go_back(self.host, open, generation)?;
        if back.hold.is_some() {
            self.memory.open().window = None;
        }
        let mut report = self.unchanged()?;
        back.tell(&mut report.status);
        Ok(report)
    }

    /// What the turn before left, with how the window stands.
    pub(super) fn open(
        &self,
        entry: &Entry,
        down: &[Sign],
        left: Duration,
    ) -> Result<Report, TurnError> {
        let mut report = self.unchanged()?;
        standing::open(&mut report.status, entry, down, left);
        Ok(report)
    }

    /// Writes down what came of a window that this process ended.
    fn remembered(&self, mut outcome: Outcome) -> Outcome {
        // At once: whoever dies while it is looked again must not try it again.
        quarantine::remember(self.host, &outcome);
        apply::look_again(self.host, &mut outcome);
        quarantine::soften(self.host, &outcome);
        outcome
    }

    /// What came of a window.
    fn ended(&self, outcome: &Outcome) -> Result<Report, TurnError> {
        let mut report = self.unchanged()?;
        report.status.window = None;
        let record = match outcome {
            Outcome::Unchanged { running: entry }
            | Outcome::Confirmed { running: entry }
            | Outcome::Open { entry }
            | Outcome::RolledBack { entry, .. }
            | Outcome::Degraded { entry, .. } => entry.record.commit.clone(),
        };
        let refused = std::mem::take(&mut report.status.refused);
        (report.status.state, report.status.message) = match &record {
            Some(record) => came(outcome, record, &refused),
            None => restored(outcome),
        };
        report.status.refused = refused;
        report.status.running = running(self.host)?;
        Ok(report)
    }

    /// The status that the turn before left.
    pub(super) fn unchanged(&self) -> Result<Report, TurnError> {
        let fresh = self.status()?;
        let status = match self.last() {
            Some(last) if (&last.node, &last.cluster) == (&fresh.node, &fresh.cluster) => Status {
                version: fresh.version,
                updated: fresh.updated,
                mode: fresh.mode,
                running: fresh.running,
                window: None,
                ..last
            },
            _ => fresh,
        };
        let (findings, tree) = (Findings::default(), Tree::default());
        Ok(Report { status, findings, tree, plan: None, recovered: None })
    }

    /// How long a turn may fetch: while a window is open it must be looked at.
    pub(super) fn patience(&self, open: Option<&Entry>) -> Result<Duration, TurnError> {
        let usual = self.settings.fetch_deadline();
        let Some(window) = open.and_then(|entry| entry.record.window.as_ref()) else {
            return Ok(usual);
        };
        let left = window.left(&self.host.uptime()?);
        Ok(usual.min(FETCH).min(left / 4).max(Duration::from_millis(500)))
    }
}

/// How an apply of a commit ended, in one sentence.
pub(super) fn came(
    outcome: &Outcome,
    record: &CommitRecord,
    refused: &[status::Refused],
) -> (State, String) {
    let commit = record.commit.short();
    match outcome {
        Outcome::Unchanged { .. } | Outcome::Confirmed { .. } => in_order(record, refused),
        Outcome::Open { .. } => (State::Open, format!("commit {commit} is applied and watched")),
        Outcome::RolledBack { failure, .. } => {
            let code = failure.code();
            let why = chain(failure);
            (State::RolledBack, format!("commit {commit} was rolled back ({code}): {why}"))
        }
        Outcome::Degraded { failure, obstacle, .. } => (
            State::Degraded,
            format!("{}, and could not be undone: {}", chain(failure), chain(obstacle)),
        ),
    }
}

/// Whether a turn of this purpose may wait for the end of a window.
pub(super) fn waits(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::Refresh | Purpose::Adopt { .. })
}

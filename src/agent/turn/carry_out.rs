//! What becomes of an accepted commit: it is planned, decided about, and applied where that may be.

use tracing::debug_span;

use super::{Considered, Purpose, Report, Turn, in_order};
use crate::agent::decide::{Circumstances, Decision, decide, guarded, refusal};
use crate::agent::drift;
use crate::agent::error::TurnError;
use crate::agent::fits::of_settings;
use crate::agent::hold::Hold;
use crate::agent::node::running;
use crate::agent::planned::planned;
use crate::agent::publish;
use crate::agent::quarantine;
use crate::agent::settings::Mode;
use crate::agent::status::{PutOff, State, Status};
use crate::agent::window::came;
use crate::apply::{self, ApplyError, Authority, Outcome};
use crate::declare::policy::Removal;
use crate::facts::Facts;
use crate::host::Host;
use crate::plan::{Plan, Terms};
use crate::sync::{CommitRecord, Earlier, Verified};

/// How often a change is put off because something does not answer that would say what
/// works. Then it is made, and what cannot be watched is said.
const MOST_PUT_OFF: u32 = 3;

impl<H: Host> Turn<'_, H> {
    /// Plans, and applies what may be applied.
    pub(super) fn carry_out(
        &self,
        considered: Verified<Considered>,
        facts: Facts,
        (removal, brings_back): (Removal, Option<Earlier>),
        (purpose, drifted): (Purpose, &drift::Found),
        report: &mut Report,
    ) -> Result<(), TurnError> {
        let record = considered.record().clone();
        let Report { status, tree, plan: shown, .. } = report;
        if of_settings(&considered.get().findings) {
            status.state = State::Refused;
            status.message = format!(
                "commit {} is trusted, and does not fit the settings of this node: correct the one or the other",
                record.commit.short()
            );
            return Ok(());
        }
        let Ok(network) = considered.try_map(|considered| considered.network.ok_or(())) else {
            status.state = State::Refused;
            status.message = with_errors(&record, status.errors);
            return Ok(());
        };
        let reverts = brings_back.is_some();
        let network = (&*tree, network);
        let planned = debug_span!("plan")
            .in_scope(|| planned(self.host, self.settings, network, facts, removal, reverts))?;
        let planned = match purpose {
            Purpose::Adopt { .. } => planned.map(Plan::adopting),
            _ => planned,
        };
        *shown = Some(planned.get().clone());
        let runs = status
            .running
            .as_ref()
            .and_then(|running| Some((running.commit.as_ref()?.commit, running.rendering?)));
        let rendering = planned.get().rendering.digest();
        status.hold = Hold::current(self.host, self.host.now())?;
        // A way back is never held.
        let in_force = status.hold.clone();
        let hold = in_force.as_ref().filter(|hold| hold.stops(record.commit, reverts));
        let passed = in_force.as_ref().filter(|_| hold.is_none()).zip(brings_back);
        let passing = |message: String| match passed {
            Some((hold, earlier)) => format!("{message}; {}", hold.passed(earlier)),
            None => message,
        };
        let mode = self.settings.mode();
        let mut terms = self.settings.terms();
        terms.manual |= self.manual;
        let quarantined =
            quarantine::blocks(self.host, &terms.watchlist, rendering, self.host.now())?;
        let circumstances = Circumstances {
            mode,
            purpose,
            runs,
            commit: record.commit,
            quarantined: quarantined.as_ref(),
            paused: quarantine::pauses(self.host, reverts, self.host.now())?,
            same_engine: apply::running(self.host)?
                .is_none_or(|runs| runs.record.engine == planned.get().engine),
            hold,
            quiet: drifted.is_quiet(),
        };
        let would_apply =
            purpose == Purpose::Plan && mode == Mode::Apply && !planned.get().is_empty();
        let decision = decide(planned.get(), &circumstances);
        (status.state, status.message) = match decision {
            Decision::Nothing => in_order(&record, &status.refused),
            Decision::Leave(reason) if would_apply => (State::Pending, passing(reason)),
            Decision::Leave(reason) | Decision::Paused(reason) => (State::Pending, reason),
            Decision::Quarantined(reason) => (State::RolledBack, reason),
            Decision::Held(reason) => (State::Held, reason),
            Decision::Guarded => {
                status.guarded = guarded(planned.get(), &record);
                (State::Refused, refusal(&status.guarded, &record))
            }
            Decision::Advance => {
                let same = planned.map(|plan| Plan { steps: Vec::new(), ..plan });
                let outcome = apply::apply(self.host, Authority::Commit(Box::new(same)), &terms)?;
                came(&outcome, &record, &status.refused)
            }
            Decision::Apply => {
                self.give_way()?;
                terms.reverts = reverts;
                terms.passed_hold = passed.map(|(_, earlier)| earlier.to_string());
                let (state, message) = self.attempt(planned, terms, status)?;
                let is_not = matches!(state, State::Pending | State::RolledBack | State::Degraded);
                (state, if is_not { message } else { passing(message) })
            }
        };
        status.running = running(self.host)?;
        if purpose != Purpose::Plan && status.window.is_none() {
            let runs = status.running.as_ref();
            status.publication = publish::of_turn(self.host, self.settings, &record, tree, runs);
        }
        Ok(())
    }

    /// Applies a plan, unless it is put off.
    fn attempt(
        &self,
        planned: Verified<Plan>,
        mut terms: Terms,
        status: &mut Status,
    ) -> Result<(State, String), TurnError> {
        let record = planned.record().clone();
        let times = PutOff::times(status.put_off, record.commit);
        // A way back must not ask for what may be broken.
        terms.blind = terms.reverts || times >= MOST_PUT_OFF;
        let authority = Authority::Commit(Box::new(planned));
        status.put_off = None;
        let outcome = match apply::apply(self.host, authority, &terms) {
            Err(error @ ApplyError::Blind { .. }) => {
                let times = times + 1;
                status.put_off = Some(PutOff { commit: record.commit, times });
                return Ok((State::Pending, put_off(&error, &record, times)));
            }
            applied => applied?,
        };
        quarantine::remember(self.host, &outcome);
        if let Outcome::Open { entry } = &outcome {
            status.window = self.open_only(Some(entry))?.status.window;
        }
        Ok(came(&outcome, &record, &status.refused))
    }
}

/// That declarations of a commit have errors.
fn with_errors(record: &CommitRecord, errors: usize) -> String {
    let (what, keep) = match errors {
        1 => ("an error".to_owned(), "keeps"),
        errors => (format!("{errors} errors"), "keep"),
    };
    format!(
        "commit {} is trusted, and {what} in its declarations {keep} it from being applied; \
         mend it in a commit on top (`weft plan` shows what is wrong; do not amend what nodes have accepted)",
        record.commit.short(),
    )
}

fn put_off(error: &ApplyError, record: &CommitRecord, times: u32) -> String {
    format!(
        "commit {} is put off to the next turn ({times} of {MOST_PUT_OFF} times; {}): {error}",
        record.commit.short(),
        error.code()
    )
}

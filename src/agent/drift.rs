//! Changes of the node that no commit made, and what is done about them.

mod corrections;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::audit;
use super::error::{TurnError, chain};
use super::hold::Hold;
use super::settings::{DriftRules, Mode};
use super::turn::Turn;
use crate::apply::{self, Outcome};
use crate::host::Host;
use corrections::{Corrections, MOST};

/// What a turn found of drift.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What differs and is left.
    pub(super) told: Vec<String>,
    /// Why what differs could not be undone.
    pub(super) stuck: Option<String>,
    /// Whether the rules leave something out, so that a plan which differs may be in order.
    pub(super) partial: bool,
}

impl Found {
    /// Whether whatever a plan would do is nothing that the rules ask for.
    pub(super) fn is_quiet(&self) -> bool {
        self.partial && self.told.is_empty() && self.stuck.is_none()
    }
}

/// What a look for drift found, for as long as it is not looked for again.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    /// When, in milliseconds since the machine started.
    time: u64,
    /// How long it took.
    took: Duration,
    /// The entry of the journal that ran. What was found of another one is of no interest.
    runs: u64,
    found: Found,
}

impl<H: Host> Turn<'_, H> {
    /// Looks for drift, unless that was done a short while ago; see [`Turn::look_for_drift`].
    pub(super) fn drift(&self) -> Result<Found, TurnError> {
        let rules = self.settings.drift.as_ref().map_or(&DriftRules::USUAL, |drift| &drift.value);
        if rules.is_off() {
            return Ok(Found { partial: true, ..Found::default() });
        }
        let Some(runs) = apply::running(self.host)? else { return Ok(Found::default()) };
        let (runs, time) = (runs.record.number, self.host.uptime()?.milliseconds);
        if let Some(last) = &self.memory.open().drift
            && last.runs == runs
            && Duration::from_millis(time.saturating_sub(last.time)) < rules.every(last.took)
        {
            return Ok(last.found.clone());
        }
        let found = self.look_for_drift(rules)?;
        let took = self.host.uptime()?.milliseconds.saturating_sub(time);
        let took = Duration::from_millis(took);
        self.memory.open().drift = Some(Looked { time, took, runs, found: found.clone() });
        Ok(found)
    }

    /// Looks for drift, and undoes it where the settings say so: back to what runs. Not
    /// while a window is open or the node is held, nor on a node that observes.
    fn look_for_drift(&self, rules: &DriftRules) -> Result<Found, TurnError> {
        let Some(drift) = apply::drift(self.host)? else { return Ok(Found::default()) };
        let judged = rules.judge(&drift);
        let mut found = Found { told: judged.told, stuck: None, partial: rules.is_partial() };
        let now = self.host.now();
        let held = Hold::current(self.host, now)?.is_some();
        if !judged.corrects || held || self.settings.mode() == Mode::Observe {
            return Ok(found);
        }
        if let Some(stuck) = &self.memory.open().stuck {
            found.stuck = Some(stuck.clone());
            return Ok(found);
        }
        let mut corrections = match Corrections::load(self.host, now) {
            Ok(corrections) => corrections,
            Err(error) => {
                found.stuck = Some(format!("what differs is left: {}", chain(&error)));
                return Ok(found);
            }
        };
        if corrections.are_spent() {
            found.stuck = Some(format!(
                "what differs came back {MOST} times within the hour, and is left: {}",
                found.told.join(", ")
            ));
            return Ok(found);
        }
        for sentence in &found.told {
            tracing::warn!("drift: {sentence}; it is undone");
        }
        corrections.add(now);
        corrections.store(self.host)?;
        let outcome = match apply::correct(self.host, drift.generation) {
            Ok(outcome) => outcome,
            // A turn goes on: the commit that mends this may be waiting.
            Err(error) => {
                found.stuck = Some(format!("what differs is left: {}", chain(&error)));
                return Ok(found);
            }
        };
        audit::came(self.host, &outcome);
        let again = apply::drift(self.host)?.map(|drift| rules.judge(&drift));
        let left = again.map(|again| again.told).unwrap_or_default();
        let stuck = match outcome {
            Outcome::RolledBack { failure, .. } => Some(chain(&failure)),
            Outcome::Degraded { failure, obstacle, .. } => {
                Some(format!("{}: {}", chain(&failure), chain(&obstacle)))
            }
            Outcome::Unchanged { .. } | Outcome::Confirmed { .. } | Outcome::Open { .. } => {
                (!left.is_empty()).then(|| left.join(", "))
            }
        };
        found.told = left;
        found.stuck = stuck.map(|why| format!("what differs could not be undone: {why}"));
        self.memory.open().stuck.clone_from(&found.stuck);
        Ok(found)
    }
}

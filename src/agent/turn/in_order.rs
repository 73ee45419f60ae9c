//! A turn in which nothing can be new: what runs was in order a short while ago, and the remotes
//! show nothing else. All that only a commit changes is then as it was, and is not looked at.

use super::{Report, Turn};
use crate::agent::error::TurnError;
use crate::agent::hold::Hold;
use crate::agent::memory::Contents;
use crate::agent::publish;
use crate::agent::settings::DriftRules;
use crate::agent::status::{Refused, State};
use crate::apply;
use crate::declare::{Findings, Severity};
use crate::host::Host;
use crate::sync::CommitRecord;
use crate::value::ObjectId;

/// What a whole turn found in order.
#[derive(Clone, Debug)]
pub(in crate::agent) struct InOrder {
    /// The commit that is accepted and runs.
    commit: ObjectId,
    /// The entry of the journal that runs.
    runs: u64,
    /// When, in milliseconds since the machine started.
    time: u64,
    findings: Findings,
}

impl<H: Host> Turn<'_, H> {
    /// Remembers that all is in order with a commit.
    pub(super) fn remember_order(
        &self,
        record: &CommitRecord,
        findings: &Findings,
    ) -> Result<(), TurnError> {
        let running = apply::running(self.host)?;
        let time = self.host.uptime()?.milliseconds;
        self.memory.open().order = running.map(|running| InOrder {
            commit: record.commit,
            runs: running.record.number,
            time,
            findings: findings.clone(),
        });
        Ok(())
    }

    /// Fills a report from what is remembered; `false` where the node has to be looked at.
    pub(super) fn is_still_in_order(
        &self,
        record: &CommitRecord,
        contents: &Contents,
        report: &mut Report,
    ) -> Result<bool, TurnError> {
        let Some(order) = self.memory.open().order.clone() else { return Ok(false) };
        let rules = self.settings.drift.as_ref().map_or(&DriftRules::USUAL, |drift| &drift.value);
        let every = u64::try_from(rules.every().as_millis()).unwrap_or(u64::MAX);
        let age = self.host.uptime()?.milliseconds.saturating_sub(order.time);
        let runs = apply::running(self.host)?.map(|running| running.record.number);
        if order.commit != record.commit || runs != Some(order.runs) || age >= every {
            return Ok(false);
        }
        let tree = contents.tree.get();
        (report.findings, report.tree) = (order.findings, tree.clone());
        let status = &mut report.status;
        status.errors = report.findings.count(Severity::Error);
        status.warnings = report.findings.count(Severity::Warning);
        status.hold = Hold::current(self.host, self.host.now())?;
        (status.state, status.message) = in_order(record, &status.refused);
        let runs = status.running.as_ref();
        status.publication = publish::of_turn(self.host, self.settings, record, tree, runs);
        status.say_more();
        Ok(true)
    }
}

/// How a node is that runs what is accepted.
pub(in crate::agent) fn in_order(record: &CommitRecord, refused: &[Refused]) -> (State, String) {
    let runs = format!("runs commit {} (sequence {})", record.commit.short(), record.sequence);
    match refused.first() {
        None => (State::InOrder, runs),
        Some(refused) => (State::Refused, format!("{}; {runs}", refused.message)),
    }
}

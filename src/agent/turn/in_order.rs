//! A turn in which nothing can be new: what runs was in order a short while ago, and the remotes
//! show nothing else. All that only a commit changes is then as it was, and is not looked at.

use std::time::Duration;

use super::{Report, Turn};
use crate::agent::error::TurnError;
use crate::agent::hold::Hold;
use crate::agent::memory::Contents;
use crate::agent::publish;
use crate::agent::status::{Refused, State};
use crate::apply;
use crate::declare::{Findings, Severity};
use crate::host::Host;
use crate::sync::CommitRecord;
use crate::value::ObjectId;

/// How long a node that is in order is not looked at: some times of what a look takes, between
/// these.
const REST: u32 = 10_000;
const SHORTLY: Duration = Duration::from_secs(60);
const RARELY: Duration = Duration::from_secs(3600);

/// What a whole turn found in order.
#[derive(Clone, Debug)]
pub(in crate::agent) struct InOrder {
    /// The commit that is accepted and runs.
    commit: ObjectId,
    /// How far each apply came.
    course: Vec<(u64, apply::State)>,
    /// When, in milliseconds since the machine started.
    time: u64,
    /// How long the node is not looked at again.
    rest: Duration,
    findings: Findings,
}

impl<H: Host> Turn<'_, H> {
    /// Remembers that all is in order with a commit, where a whole turn found it so that began so
    /// many milliseconds after the machine.
    pub(super) fn remember_order(
        &self,
        record: &CommitRecord,
        report: &Report,
        begun: u64,
    ) -> Result<(), TurnError> {
        let plan = report.plan.as_ref();
        let is_nothing = plan.is_some_and(|plan| plan.is_empty() && plan.guards.is_empty());
        if !is_nothing || report.status.state != State::InOrder {
            return Ok(());
        }
        let course = apply::course(self.host)?;
        if course.last().is_none_or(|(_, state)| !state.is_final()) {
            return Ok(());
        }
        let time = self.host.uptime()?.milliseconds;
        let took = Duration::from_millis(time.saturating_sub(begun));
        self.memory.open().order = Some(InOrder {
            commit: record.commit,
            course,
            time,
            rest: took.saturating_mul(REST).clamp(SHORTLY, RARELY),
            findings: report.findings.clone(),
        });
        Ok(())
    }

    /// Whether there is nothing to recover: a whole turn found all in order a short while ago,
    /// and since then no apply began or ended.
    pub(super) fn is_settled(&self) -> Result<bool, TurnError> {
        let Some(order) = self.memory.open().order.clone() else { return Ok(false) };
        let age = self.host.uptime()?.milliseconds.saturating_sub(order.time);
        Ok(Duration::from_millis(age) < order.rest && apply::course(self.host)? == order.course)
    }

    /// Fills a report from what is remembered; `false` where the node has to be looked at.
    pub(super) fn is_still_in_order(
        &self,
        record: &CommitRecord,
        contents: &Contents,
        report: &mut Report,
    ) -> Result<bool, TurnError> {
        let Some(order) = self.memory.open().order.clone() else { return Ok(false) };
        if order.commit != record.commit || !self.is_settled()? {
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

//! One turn: fetch, verify, validate, render, plan, apply, record.

mod carry_out;
mod gather;
mod in_order;
mod record;

use camino::Utf8Path;
use tracing::debug_span;

use super::drift;
use super::error::TurnError;
use super::fits::undeclared;
use super::machine::LOOK_GAP;
use super::memory::{Contents, Memory};
use super::ports;
use super::remotes::Gathered;
use super::settings::Settings;
use super::status::{Refused, State, Status};
use super::window::{self, Recovered, recover};
use crate::apply::{self, LOCK};
use crate::declare::finding::Code;
use crate::declare::{Findings, Severity, Tree};
use crate::facts::Facts;
use crate::host::Host;
use crate::network::Network;
use crate::plan::Plan;
use crate::sync::Cancel;
use crate::validate;
use crate::value::Digest;

pub(super) use in_order::{InOrder, in_order};
pub(super) use record::leaves_the_status;

/// The cache of the repository; may be deleted at any time.
pub const CACHE: &str = "/var/cache/weft/repo.git";
/// The largest status that is read, in bytes.
pub(super) const MAX_STATUS_BYTES: u64 = 4 << 20;

/// What a turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only an advancing commit changes the node.
    Sync,
    /// Facts that changed and files that were edited are a reason as well.
    Refresh,
    /// The operator takes the node over, by the plan that was shown ([`super::adopt::shown`]).
    Adopt {
        /// Which plan that is.
        shown: Digest,
    },
    /// The open window of an apply is looked at, and ended where the time has come.
    Watch,
    /// The operator goes back to a generation that ran before.
    RollBack {
        /// Which; the one before what runs when absent.
        generation: Option<u64>,
    },
    /// Nothing is changed, not even what is known of the remote.
    Plan,
}

/// Where a turn is made, and with what.
#[derive(Debug)]
pub struct Turn<'a, H> {
    /// The machine.
    pub host: &'a H,
    /// The node's settings.
    pub settings: &'a Settings,
    /// This program, which is started again to fetch.
    pub program: &'a Utf8Path,
    /// The directory that stands for `/` of a dry node: the fetch process, which
    /// knows nothing of it, needs the whole path of the cache.
    pub root: Option<&'a Utf8Path>,
    /// What earlier turns of the same settings left to this one.
    pub memory: &'a Memory,
    /// Whether only a person confirms what this turn applies.
    pub manual: bool,
    /// Said when something more urgent than this turn waits for its end.
    pub cancel: &'a Cancel,
}

/// What a turn found and did.
#[derive(Debug)]
pub struct Report {
    /// The state of the node, as it was written to [`super::status::PATH`].
    pub status: Status,
    /// What is wrong with the declarations.
    pub findings: Findings,
    /// The files that the findings speak of.
    pub tree: Tree,
    /// The plan, where there was one.
    pub plan: Option<Plan>,
    /// What was settled before anything else.
    pub recovered: Option<String>,
}

/// What the declarations of a commit come to on this node.
pub(super) struct Considered {
    pub(super) findings: Findings,
    pub(super) tree: Tree,
    pub(super) network: Option<Network>,
}

impl<H: Host> Turn<'_, H> {
    /// Makes the turn, and writes the status whatever comes of it, except for
    /// [`Purpose::Plan`], which writes nothing. Where a window opens, says so to `tell` and
    /// watches it until it ends.
    pub fn make(&self, purpose: Purpose, tell: fn(&Status)) -> Result<Report, TurnError> {
        let Some(lock) = self.host.lock(Utf8Path::new(LOCK))? else { return Err(TurnError::Busy) };
        let mut report = self.make_under(&lock, purpose)?;
        let is_open = |report: &Report| report.status.window.is_some();
        if is_open(&report) && purpose != Purpose::Plan {
            tell(&report.status);
            while is_open(&report) {
                self.host.wait(LOOK_GAP);
                report.status = self.make_under(&lock, Purpose::Watch)?.status;
            }
        }
        Ok(report)
    }

    /// Makes the turn as [`Turn::make`] does, for a caller that holds the lock at
    /// [`LOCK`] already.
    pub fn make_under(&self, _lock: &H::Lock, purpose: Purpose) -> Result<Report, TurnError> {
        let result = debug_span!("turn").in_scope(|| self.locked(purpose));
        if !leaves_the_status(purpose, &result) {
            match &result {
                Ok(report) => self.record(&report.status)?,
                Err(error) => self.record_failure(error),
            }
        }
        result
    }

    fn locked(&self, purpose: Purpose) -> Result<Report, TurnError> {
        let settled = purpose == Purpose::Sync && self.is_settled()?;
        let recovered = match purpose {
            Purpose::Plan => Recovered { words: None, open: apply::open(self.host)? },
            Purpose::Watch => match self.seen_before()? {
                Some(entry) => Recovered { words: None, open: Some(entry) },
                None => recover(self.host)?,
            },
            _ if settled => Recovered { words: None, open: None },
            _ => recover(self.host)?,
        };
        match purpose {
            Purpose::Watch => return self.look(recovered.open),
            Purpose::RollBack { generation } => {
                return self.roll_back(recovered.open.as_ref(), generation);
            }
            Purpose::Plan if recovered.open.is_some() => {
                let mut report = self.open_only(recovered.open.as_ref())?;
                // The files are those that are tried, and what runs is what was before.
                report.status.message.push_str("; there is no plan until its window has ended");
                return Ok(report);
            }
            _ if recovered.open.is_some() && window::waits(purpose) => {
                return self.look(recovered.open);
            }
            _ => {}
        }
        // Before the remotes are asked: what runs is put right without them.
        let ports_are_set = purpose == Purpose::Plan
            || settled
            || ports::set(self.host, self.settings, &mut String::new());
        let drifted = match (purpose, &recovered.open) {
            (Purpose::Sync, None) => debug_span!("drift").in_scope(|| self.drift())?,
            _ => drift::Found::default(),
        };
        let (mut anchors, anchor) = self.anchors()?;
        let (gathered, facts) = self.gather(purpose, anchor.as_ref(), recovered.open.as_ref());
        self.give_way()?;
        let (gathered, open) = match (gathered, recovered.open) {
            // What is applied and watched is worth more than a remote that is silent.
            (Err(error), Some(entry)) => {
                tracing::debug!(%error, "no remote gave anything while a window is open");
                return self.look(Some(entry));
            }
            (gathered, open) => (gathered?, open),
        };
        if let Some(entry) = open
            && let Some(report) = self.look_beside(entry, &gathered)?
        {
            return Ok(report);
        }
        let mut report = self.report(&gathered)?;
        report.recovered = recovered.words;
        report.status.drift.clone_from(&drifted.told);
        let (accepted, contents) = match (gathered.judgement.accepted, gathered.contents) {
            (Some(accepted), Some(contents)) => (accepted, contents),
            (accepted, _) => {
                let otherwise = match accepted {
                    Some(_) => "the newest commit is refused",
                    None => "nothing is trusted",
                };
                report.status.state = State::Refused;
                report.status.message = cause(&report.status.refused, otherwise);
                report.status.say_more();
                return Ok(report);
            }
        };
        let quiet = purpose == Purpose::Sync && drifted.told.is_empty() && drifted.stuck.is_none();
        if quiet && self.is_still_in_order(accepted.record(), &contents, &mut report)? {
            return Ok(report);
        }
        self.memory.open().order = None;
        let begun = self.host.uptime()?.milliseconds;
        let Contents { tree, removal, brings_back, runs: ran } = contents;
        let facts = facts.unwrap_or_else(|| self.facts())?;
        let considered =
            debug_span!("declare").in_scope(|| tree.map(|tree| self.consider(tree, &facts)));
        report.findings = considered.get().findings.clone();
        report.tree = considered.get().tree.clone();
        // A commit of another cluster must not become what this node is tied to.
        let foreign = report.findings.iter().any(|finding| finding.code == Code::OtherCluster);
        if purpose != Purpose::Plan && !foreign {
            anchors.advance(self.host, &accepted)?;
        }
        report.status.errors = report.findings.count(Severity::Error);
        report.status.warnings = report.findings.count(Severity::Warning);
        let runs = report.status.running.as_ref().and_then(|running| running.commit.as_ref());
        // Something else may run since this was found out.
        let brings_back = brings_back.filter(|_| runs.map(|runs| runs.commit) == ran);
        let rights = (removal, brings_back);
        self.carry_out(considered, facts, rights, (purpose, &drifted), &mut report)?;
        // Ports that cannot be set now are looked at again with the next turn.
        if ports_are_set {
            self.remember_order(accepted.record(), &report, begun)?;
        }
        if let Some(stuck) = drifted.stuck {
            report.status.state = State::Degraded;
            report.status.message = stuck;
        }
        report.status.say_more();
        Ok(report)
    }

    /// Ends a turn that something more urgent waits for, as long as nothing was changed.
    fn give_way(&self) -> Result<(), TurnError> {
        if self.cancel.is_cancelled() { Err(TurnError::GaveWay) } else { Ok(()) }
    }

    fn report(&self, gathered: &Gathered) -> Result<Report, TurnError> {
        let mut status = self.status()?;
        let judgement = &gathered.judgement;
        status.observed = Some(gathered.tip);
        status.trusted = judgement.accepted.as_ref().map(|accepted| accepted.record().clone());
        status.refused.clone_from(&gathered.refused);
        status.unreached.clone_from(&gathered.unreached);
        status.diverged.clone_from(&gathered.diverged);
        status.remaining = judgement.remaining;
        let (findings, tree) = (Findings::default(), Tree::default());
        Ok(Report { status, findings, tree, plan: None, recovered: None })
    }

    pub(super) fn consider(&self, tree: Tree, facts: &Facts) -> Considered {
        let (network, mut findings) =
            validate::check(&tree, Some(&self.settings.cluster.value), std::slice::from_ref(facts));
        let node = &self.settings.node.value;
        if let Some(network) = network.as_ref().filter(|network| !network.declares(node)) {
            findings.push(undeclared(node, network, &tree));
        }
        findings.sort();
        let network = network.filter(|_| !findings.has_errors());
        Considered { findings, tree, network }
    }
}

/// The first of several refusals is the cause of the others.
fn cause(refused: &[Refused], otherwise: &str) -> String {
    match refused.first() {
        Some(refused) => refused.message.clone(),
        None => otherwise.to_owned(),
    }
}

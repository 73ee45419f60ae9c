//! One turn: fetch, verify, validate, render, plan, apply, record.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use thiserror::Error;

use super::settings::{Mode, Settings};
use super::status::{self, Refused, Running, State, Status};
use crate::apply::{self, ApplyError, Authority, Outcome};
use crate::declare::finding::{Code, Finding};
use crate::declare::{self, Findings, Severity, Tree};
use crate::host::{Host, HostError};
use crate::network::Network;
use crate::plan::{Found, Owned, Plan, plan};
use crate::render::{Managed, render};
use crate::sync::{
    self, AnchorError, CommitRecord, HistoryError, Judgement, Limits, Remote, TransportError, Trust,
    Verified, Worker,
};
use crate::validate::validate;
use crate::value::{Digest, NodeName, ObjectId, Place};

/// The lock of the one process that may change a node.
pub const LOCK: &str = "/run/weft/lock";
/// The cache of the repository; may be deleted at any time.
pub const CACHE: &str = "/var/cache/weft/repo.git";
/// The longest that fetching and reading may take together.
const DEADLINE: Duration = Duration::from_secs(300);
/// The largest file of [`Managed::ALL`] that is compared, in bytes.
const MAX_FOUND_BYTES: u64 = 64 << 20;

/// What a turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only an advancing commit changes the node.
    Sync,
    /// Facts that changed and files that were edited are a reason as well.
    Refresh,
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
}

/// What a turn found and did.
#[derive(Debug)]
pub struct Report {
    /// The state of the node, as it was written to [`status::PATH`].
    pub status: Status,
    /// What is wrong with the declarations.
    pub findings: Findings,
    /// The files that the findings speak of.
    pub tree: Tree,
    /// The plan, where there was one.
    pub plan: Option<Plan>,
    /// What was repaired before anything else.
    pub recovered: Option<String>,
}

/// Why a turn could not be finished. Nothing was changed.
#[derive(Debug, Error)]
pub enum TurnError {
    /// Another process owns the node.
    #[error("another weft is at work on this node (it holds `{LOCK}`)")]
    Busy,
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// No remote answered.
    #[error("{}", remotes(.0))]
    Remotes(Vec<(String, TransportError)>),
    /// What is known of trust cannot be read.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The history as a whole was refused.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The tree of the accepted commit was refused.
    #[error(transparent)]
    Tree(#[from] sync::TreeError),
    /// The node's own state is damaged or cannot be written.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

fn remotes(errors: &[(String, TransportError)]) -> String {
    let texts: Vec<String> =
        errors.iter().map(|(name, error)| format!("remote `{name}`: {error}")).collect();
    texts.join("; ")
}

/// What the declarations of a commit come to on this node.
struct Considered {
    findings: Findings,
    tree: Tree,
    network: Option<Network>,
}

impl<H: Host> Turn<'_, H> {
    /// Makes the turn. The status is written whatever comes of it, except for
    /// [`Purpose::Plan`].
    pub fn make(&self, purpose: Purpose) -> Result<Report, TurnError> {
        let Some(_lock) = self.host.lock(Utf8Path::new(LOCK))? else {
            return Err(TurnError::Busy);
        };
        let result = self.locked(purpose);
        if let (Err(error), true) = (&result, purpose != Purpose::Plan) {
            let mut status = self.status()?;
            status.state = match error {
                TurnError::History(_) | TurnError::Tree(_) => State::Refused,
                TurnError::Apply(error) if error.is_damage() => State::Degraded,
                _ => State::Failed,
            };
            status.message = error.to_string();
            if let TurnError::History(error) = error {
                status.refused = error.refusals().iter().map(Refused::from).collect();
            }
            // The error at hand is worth more than one of writing it down.
            let _ = self.record(&status);
        }
        result
    }

    fn locked(&self, purpose: Purpose) -> Result<Report, TurnError> {
        let recovered = match purpose {
            Purpose::Plan => None,
            Purpose::Sync | Purpose::Refresh => apply::recover(self.host)?,
        };
        let (worker, remote, tip) = self.fetch()?;
        let judgement = self.judge(&worker, tip, purpose)?;
        let base = self.settings.base();
        let tree = sync::tree(&worker, &judgement.accepted, base)?;
        drop(worker);
        let considered = tree.map(|tree| self.consider(tree));
        let mut status = self.status()?;
        status.remote = Some(remote);
        status.observed = Some(tip);
        status.trusted = Some(judgement.accepted.record().clone());
        status.refused = judgement.refused.iter().map(Refused::from).collect();
        status.errors = considered.get().findings.count(Severity::Error);
        status.warnings = considered.get().findings.count(Severity::Warning);
        let mut report = Report {
            status,
            findings: considered.get().findings.clone(),
            tree: considered.get().tree.clone(),
            plan: None,
            recovered,
        };
        self.carry_out(considered, &judgement, purpose, &mut report)?;
        if purpose != Purpose::Plan {
            self.record(&report.status)?;
        }
        Ok(report)
    }

    /// The newest state of the first remote that answers.
    fn fetch(&self) -> Result<(Worker, String, ObjectId), TurnError> {
        let mut errors = Vec::new();
        let cache = match self.root {
            Some(root) => root.join(CACHE.trim_start_matches('/')),
            None => Utf8PathBuf::from(CACHE),
        };
        for declared in &self.settings.remotes.value {
            let name = declared.name.value.to_string();
            let remote = Remote { name: name.clone(), url: declared.url.value.clone() };
            let fetched = Worker::start(self.program, DEADLINE).and_then(|worker| {
                let branch = self.settings.branch();
                let tip = worker.fetch(&remote, &branch, &cache, &Limits::default())?;
                Ok((worker, tip))
            });
            match fetched {
                Ok((worker, tip)) => return Ok((worker, name, tip)),
                Err(error) => {
                    tracing::warn!(remote = %name, %error, "cannot fetch");
                    errors.push((name, error));
                }
            }
        }
        Err(TurnError::Remotes(errors))
    }

    fn judge(&self, worker: &Worker, tip: ObjectId, purpose: Purpose) -> Result<Judgement, TurnError> {
        let settings = self.settings;
        let trust = Trust {
            cluster: settings.cluster.value.clone(),
            introduction: settings.introduction.value.commit.value,
            introduced_key: settings.introduction.value.signer.value.clone(),
            revoked: settings
                .revoked
                .iter()
                .flat_map(|list| &list.value)
                .map(|key| key.value.clone())
                .collect(),
        };
        let generations = apply::running(self.host)?.is_some();
        let anchor = sync::anchor::load(self.host, &trust, generations)?;
        let judgement = sync::judge(worker, tip, &trust, anchor.as_ref(), self.host.now())?;
        if purpose != Purpose::Plan {
            sync::anchor::advance(self.host, &trust, anchor, &judgement)?;
        }
        Ok(judgement)
    }

    fn consider(&self, tree: Tree) -> Considered {
        let (declared, mut findings) = declare::read(&tree, Some(&self.settings.cluster.value));
        let (network, more) = validate(&declared);
        findings.extend(more);
        let node = &self.settings.node.value;
        if let Some(network) = network.as_ref().filter(|network| !network.nodes.contains_key(node)) {
            findings.push(undeclared(node, network, &tree));
        }
        findings.sort();
        let network = network.filter(|_| !findings.has_errors());
        Considered { findings, tree, network }
    }

    /// Plans, and applies what may be applied.
    fn carry_out(
        &self,
        considered: Verified<Considered>,
        judgement: &Judgement,
        purpose: Purpose,
        report: &mut Report,
    ) -> Result<(), TurnError> {
        let record = considered.record().clone();
        let Ok(network) = considered.try_map(|considered| considered.network.ok_or(())) else {
            report.status.state = State::Refused;
            report.status.message = format!(
                "commit {} has findings; nothing changes until the next commit",
                record.commit.short()
            );
            return Ok(());
        };
        let facts = self.host.facts(&self.settings.node.value)?;
        let owned = apply::owned(self.host)?;
        let running = apply::running(self.host)?;
        let found = self.found()?;
        let planned = network.map(|network| {
            let wanted = render(&network, &facts.node, &facts);
            plan(wanted, facts, &found, owned.as_ref(), record.sequence)
        });
        report.plan = Some(planned.get().clone());
        let runs = running.as_ref().map(|entry| (entry.commit.commit, entry.rendering));
        let decision = decide(self.settings.mode(), purpose, runs, &record, planned.get());
        let refused = judgement.refused.first();
        let (state, message) = match decision {
            Decision::Nothing => in_order(&record, refused.map(|refusal| refusal.to_string())),
            Decision::Leave(reason) => (State::Pending, reason),
            Decision::Guarded => {
                let guard = planned.get().guards.first();
                let message = guard.map(|guard| guard.message.clone()).unwrap_or_default();
                (State::Refused, message)
            }
            Decision::Apply | Decision::Advance => {
                let authority = if decision == Decision::Advance {
                    planned.map(|plan| Plan { steps: Vec::new(), changes: Vec::new(), ..plan })
                } else {
                    planned
                };
                match apply::apply(self.host, Authority::Commit(authority))? {
                    Outcome::Unchanged | Outcome::Confirmed => {
                        in_order(&record, refused.map(|refusal| refusal.to_string()))
                    }
                    Outcome::RolledBack { reason } => {
                        (State::RolledBack, format!("commit {} was undone: {reason}", record.commit.short()))
                    }
                    Outcome::Degraded { reason } => (State::Degraded, reason),
                }
            }
        };
        report.status.state = state;
        report.status.message = message;
        report.status.running = self.running()?;
        Ok(())
    }

    /// The files of [`Managed::ALL`] as they are.
    fn found(&self) -> Result<Found, HostError> {
        found(self.host)
    }

    fn running(&self) -> Result<Option<Running>, ApplyError> {
        running(self.host)
    }

    fn status(&self) -> Result<Status, TurnError> {
        Ok(Status {
            format: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            updated: self.host.now(),
            cluster: self.settings.cluster.value.clone(),
            node: self.settings.node.value.clone(),
            state: State::Failed,
            message: String::new(),
            running: self.running()?,
            remote: None,
            observed: None,
            trusted: None,
            refused: Vec::new(),
            errors: 0,
            warnings: 0,
        })
    }

    fn record(&self, status: &Status) -> Result<(), HostError> {
        let text = serde_json::to_string_pretty(status).unwrap_or_default();
        self.host.replace(Utf8Path::new(status::PATH), text.as_bytes(), 0o644)
    }
}

/// What is to be done with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    /// The node is as it should be and runs this commit.
    Nothing,
    /// The rendering is the one that runs: only the running commit advances.
    Advance,
    /// The steps are carried out.
    Apply,
    /// Something is to be done and is left, for this reason.
    Leave(String),
    /// The plan must not be carried out.
    Guarded,
}

/// Only an advancing commit changes a node. `runs` is the commit that runs and the
/// digest of its rendering.
fn decide(
    mode: Mode,
    purpose: Purpose,
    runs: Option<(ObjectId, Digest)>,
    record: &CommitRecord,
    plan: &Plan,
) -> Decision {
    let same_commit = runs.is_some_and(|(commit, _)| commit == record.commit);
    let same_rendering = runs.is_some_and(|(_, digest)| digest == plan.rendering.digest());
    if same_commit && same_rendering && plan.is_empty() {
        return Decision::Nothing;
    }
    let commit = record.commit.short();
    if purpose == Purpose::Plan || mode == Mode::Observe {
        let why = if mode == Mode::Observe { "this node observes" } else { "this is a plan" };
        return Decision::Leave(match (plan.is_empty(), same_commit) {
            (true, false) => format!("commit {commit} changes nothing here and is not recorded: {why}"),
            _ => format!("commit {commit} is pending: {why}"),
        });
    }
    if same_rendering && purpose == Purpose::Sync {
        if same_commit {
            return Decision::Leave(format!(
                "commit {commit} runs, but files were edited since; `weft apply --refresh` puts them back"
            ));
        }
        return Decision::Advance;
    }
    if same_commit && purpose == Purpose::Sync {
        return Decision::Leave(format!(
            "commit {commit} runs, but would render differently now (facts of the node or the version of \
             weft changed); the next commit or `weft apply --refresh` brings it in"
        ));
    }
    if plan.guards.is_empty() { Decision::Apply } else { Decision::Guarded }
}

fn in_order(record: &CommitRecord, refused: Option<String>) -> (State, String) {
    let runs = format!("runs commit {} (number {})", record.commit.short(), record.sequence);
    match refused {
        None => (State::InOrder, runs),
        Some(refused) => (State::Refused, format!("{runs}; {refused}")),
    }
}

fn undeclared(node: &NodeName, network: &Network, tree: &Tree) -> Finding {
    let place = Place::start_of(&tree.path(declare::CLUSTER_FILE));
    let message = format!("node `{node}` is not declared, so this agent refuses to act");
    let mut finding = Finding::new(Code::ThisNodeUndeclared, message, &place);
    finding.help = suggestion(node.as_str(), "declared nodes", network.nodes.keys().map(AsRef::as_ref));
    finding
}

/// The files of [`Managed::ALL`] as they are on a machine.
pub fn found(host: &impl Host) -> Result<Found, HostError> {
    let mut found = Found::default();
    for &managed in Managed::ALL {
        if let Some(file) = host.read(managed.path(), MAX_FOUND_BYTES)? {
            found.files.insert(managed, file.bytes);
        }
    }
    Ok(found)
}

/// What a machine runs, by its journal.
pub fn running(host: &impl Host) -> Result<Option<Running>, ApplyError> {
    Ok(apply::running(host)?.map(|entry| Running {
        commit: entry.commit,
        generation: entry.generation,
        rendering: entry.rendering,
        since: entry.begun,
    }))
}

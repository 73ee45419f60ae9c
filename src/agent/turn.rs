//! One turn: fetch, verify, validate, render, plan, apply, record.

use camino::{Utf8Path, Utf8PathBuf};

use super::credentials;
use super::decide::{Decision, decide};
use super::error::{TurnError, chain};
use super::fits::{of_settings, undeclared};
use super::quarantine;
use super::settings::Settings;
use super::status::{self, Refused, Running, State, Status, Unreached};
use crate::apply::{self, Authority, LOCK, Outcome, Recovery, StateError};
use crate::declare::finding::Code;
use crate::declare::policy::Removal;
use crate::declare::{Findings, Severity, Tree};
use crate::host::{Host, HostError, configured_guests};
use crate::network::Network;
use crate::plan::{Found, Owned, Plan, RemovalLimits, plan, target};
use crate::render::{Managed, render};
use crate::sync::objects::ObjectError;
use crate::sync::{
    self, Anchors, CommitRecord, FetchLimits, Judgement, Remote, Store, TransportError, TreeError,
    Verified, Worker,
};
use crate::validate;
use crate::validate::scope::Scopes;
use crate::value::{Digest, ObjectId};

/// The cache of the repository; may be deleted at any time.
pub const CACHE: &str = "/var/cache/weft/repo.git";
/// The largest file of [`Managed::ALL`] that is compared, in bytes.
const MAX_FOUND_BYTES: u64 = 32 << 20;

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
    /// What was settled before anything else.
    pub recovered: Option<String>,
}

/// What the declarations of a commit come to on this node.
struct Considered {
    findings: Findings,
    tree: Tree,
    network: Option<Network>,
}

impl<H: Host> Turn<'_, H> {
    /// Makes the turn, and writes the status whatever comes of it, except for
    /// [`Purpose::Plan`], which writes nothing.
    pub fn make(&self, purpose: Purpose) -> Result<Report, TurnError> {
        match self.host.lock(Utf8Path::new(LOCK))? {
            Some(lock) => self.make_under(&lock, purpose),
            None => Err(TurnError::Busy),
        }
    }

    /// Makes the turn as [`Turn::make`] does, for a caller that holds the lock at
    /// [`LOCK`] already.
    pub fn make_under(&self, _lock: &H::Lock, purpose: Purpose) -> Result<Report, TurnError> {
        let result = self.locked(purpose);
        if purpose != Purpose::Plan {
            match &result {
                Ok(report) => self.record(&report.status)?,
                Err(error) => self.record_failure(error),
            }
        }
        result
    }

    fn locked(&self, purpose: Purpose) -> Result<Report, TurnError> {
        let recovered = match purpose {
            Purpose::Plan => None,
            Purpose::Sync | Purpose::Refresh | Purpose::Adopt { .. } => recover(self.host)?,
        };
        let (worker, tip, unreached) = self.fetch()?;
        let store = Store::new(&worker);
        let (judgement, mut anchors) = self.judge(store, tip)?;
        let mut report = self.report(tip, &judgement)?;
        report.recovered = recovered;
        report.status.unreached = unreached;
        let Some(accepted) = judgement.accepted else {
            report.status.state = State::Refused;
            report.status.message = cause(&report.status.refused, "nothing is trusted");
            return Ok(report);
        };
        let tree = match sync::tree(store, &accepted, self.settings.base()) {
            Ok(tree) => tree,
            // Of a branch that was rewritten, the objects of the commit that is trusted
            // may be gone with the cache. What runs does not need them.
            Err(TreeError::Object(ObjectError::Missing { .. }))
                if !judgement.refused.is_empty() =>
            {
                report.status.state = State::Refused;
                report.status.message =
                    cause(&report.status.refused, "the newest commit is refused");
                return Ok(report);
            }
            Err(source) => {
                return Err(TurnError::Tree { commit: accepted.record().commit, source });
            }
        };
        let removal = sync::removal(store, &accepted)
            .map_err(|source| TurnError::Tree { commit: accepted.record().commit, source })?;
        let considered = tree.map(|tree| self.consider(tree));
        report.findings = considered.get().findings.clone();
        report.tree = considered.get().tree.clone();
        // A commit of another cluster must not become what this node is tied to.
        let foreign = report.findings.iter().any(|finding| finding.code == Code::OtherCluster);
        if purpose != Purpose::Plan && !foreign {
            anchors.advance(self.host, &accepted)?;
        }
        report.status.errors = report.findings.count(Severity::Error);
        report.status.warnings = report.findings.count(Severity::Warning);
        self.carry_out(considered, removal, worker, purpose, &mut report)?;
        Ok(report)
    }

    /// The newest state of the first remote that gives one, and those that gave nothing.
    fn fetch(&self) -> Result<(Worker, ObjectId, Vec<Unreached>), TurnError> {
        let mut unreached = Vec::new();
        let cache = match self.root {
            Some(root) => root.join(CACHE.trim_start_matches('/')),
            None => Utf8PathBuf::from(CACHE),
        };
        let limits = FetchLimits { schemes: self.settings.schemes(), ..FetchLimits::default() };
        let branch = self.settings.branch();
        for declared in &self.settings.remotes.value {
            let remote =
                Remote { name: declared.name.value.clone(), url: declared.url.value.clone() };
            let access = credentials::access(self.host, self.settings, declared);
            let fetched = access.map_err(|failure| TransportError::of(&remote, &failure)).and_then(
                |access| {
                    let worker = Worker::start(self.program, self.settings.fetch_deadline())?;
                    let tip = worker.fetch(&remote, &access, branch, &cache, &limits)?;
                    Ok((worker, tip))
                },
            );
            match fetched {
                Ok((worker, tip)) => return Ok((worker, tip, unreached)),
                Err(error) => {
                    tracing::info!(remote = %remote.name, %error, "cannot fetch");
                    unreached.push(Unreached::of(&remote.name, &error));
                }
            }
        }
        Err(TurnError::Remotes(unreached))
    }

    /// What trust says of a tip, and the anchor that it was judged from.
    fn judge(&self, store: Store<'_>, tip: ObjectId) -> Result<(Judgement, Anchors), TurnError> {
        let trust = self.settings.trust();
        let ran = !apply::history(self.host)?.is_empty();
        let runs = running(self.host)?.and_then(|running| running.commit);
        // Lost anchors are damage, unless people introduce the node at what it runs.
        let introduced = runs.as_ref().is_some_and(|runs| runs.commit == trust.introduction.commit);
        let anchors = Anchors::open(self.host, &trust, ran && !introduced)?;
        if let Some(path) = anchors.damaged() {
            tracing::warn!(%path, "one of the two anchors is broken; the other one serves");
        }
        // What runs was accepted. Where the newer anchor was lost, the older one must
        // not let a remote take the node back.
        let floor = anchors.anchor().zip(runs).and_then(|(anchor, runs)| anchor.raised_to(&runs));
        let anchor = floor.as_ref().or(anchors.anchor());
        let scopes = Scopes::default();
        let judgement = sync::judge(store, tip, &trust, anchor, self.host.now(), &|difference| {
            scopes.judge(difference)
        })?;
        Ok((judgement, anchors))
    }

    fn report(&self, tip: ObjectId, judgement: &Judgement) -> Result<Report, TurnError> {
        let mut status = self.status()?;
        status.observed = Some(tip);
        status.trusted = judgement.accepted.as_ref().map(|accepted| accepted.record().clone());
        status.refused = judgement.refused.iter().map(Refused::from).collect();
        let (findings, tree) = (Findings::default(), Tree::default());
        Ok(Report { status, findings, tree, plan: None, recovered: None })
    }

    fn consider(&self, tree: Tree) -> Considered {
        let (network, mut findings) =
            validate::check(&tree, Some(&self.settings.cluster.value), &[]);
        let node = &self.settings.node.value;
        if let Some(network) = network.as_ref().filter(|network| !network.declares(node)) {
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
        removal: Removal,
        worker: Worker,
        purpose: Purpose,
        report: &mut Report,
    ) -> Result<(), TurnError> {
        let record = considered.record().clone();
        let status = &mut report.status;
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
            status.message = format!(
                "commit {} is trusted, and {} in its declarations keep{} it from being applied; \
                 mend it in a commit on top (`weft plan` shows what is wrong; do not amend what nodes have accepted)",
                record.commit.short(),
                if status.errors == 1 {
                    "an error".to_owned()
                } else {
                    format!("{} errors", status.errors)
                },
                if status.errors == 1 { "s" } else { "" },
            );
            return Ok(());
        };
        let facts = self.host.facts(&self.settings.node.value)?;
        let owned = owned(self.host)?;
        let mut found = found(self.host)?;
        let wanted =
            network.map(|network| render(&network, &facts.node, &facts, self.settings.profile()));
        found.kernel = self.host.kernel(&target(wanted.get(), &found).tables())?;
        found.guests = configured_guests(self.host)?;
        let Removal { with_guests, max_vnets, max_percent, everything } = removal;
        found.removable = with_guests;
        found.limits = RemovalLimits { max_vnets, max_percent, everything };
        let mut planned =
            wanted.map(|wanted| plan(wanted, facts, &found, owned.as_ref(), record.sequence));
        let runs = status.running.as_ref().and_then(|running| running.commit.as_ref());
        if let Some(runs) = runs.filter(|_| planned.get().removes_too_much())
            && sync::reverts(Store::new(&worker), &planned, runs.commit)?
        {
            planned = planned.map(Plan::reverting);
        }
        drop(worker);
        let planned = match purpose {
            Purpose::Adopt { .. } => planned.map(Plan::adopting),
            _ => planned,
        };
        report.plan = Some(planned.get().clone());
        let runs = status
            .running
            .as_ref()
            .and_then(|running| Some((running.commit.as_ref()?.commit, running.rendering?)));
        let rendering = planned.get().rendering.digest();
        let held = quarantine::blocks(self.host, rendering, self.host.now())?;
        let mode = self.settings.mode();
        let decision = decide(mode, purpose, runs, record.commit, planned.get(), held.as_ref());
        (status.state, status.message) = match decision {
            Decision::Nothing => in_order(&record, &status.refused),
            Decision::Leave(reason) => (State::Pending, reason),
            Decision::Held(reason) => (State::RolledBack, reason),
            Decision::Guarded => {
                let guard = planned.get().guards.first();
                (State::Refused, guard.map(|guard| guard.message.clone()).unwrap_or_default())
            }
            Decision::Advance => {
                let same = planned.map(|plan| Plan { steps: Vec::new(), ..plan });
                ended(apply::apply(self.host, Authority::Commit(same))?, &record, &status.refused)
            }
            Decision::Apply => {
                let outcome = apply::apply(self.host, Authority::Commit(planned))?;
                quarantine::remember(self.host, &outcome, rendering, record.commit);
                ended(outcome, &record, &status.refused)
            }
        };
        status.running = running(self.host)?;
        Ok(())
    }

    fn status(&self) -> Result<Status, TurnError> {
        Ok(Status {
            format: status::FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            updated: self.host.now(),
            cluster: self.settings.cluster.value.clone(),
            node: self.settings.node.value.clone(),
            state: State::Failed,
            message: String::new(),
            running: running(self.host)?,
            observed: None,
            trusted: None,
            refused: Vec::new(),
            unreached: Vec::new(),
            errors: 0,
            warnings: 0,
        })
    }

    fn record(&self, status: &Status) -> Result<(), HostError> {
        let text = serde_json::to_string_pretty(status).unwrap_or_default();
        self.host.replace(Utf8Path::new(status::PATH), text.as_bytes(), 0o644)
    }

    /// Writes down why a turn failed, if even that can be done: the error at hand is
    /// worth more than one of writing it down.
    fn record_failure(&self, error: &TurnError) {
        if let Ok(mut status) = self.status() {
            status.state = error.state();
            if let TurnError::Remotes(unreached) = error {
                status.unreached.clone_from(unreached);
            }
            status.message = chain(error);
            if let Err(error) = self.record(&status) {
                tracing::warn!(%error, "the status cannot be written");
            }
        }
    }
}

/// Settles what was interrupted, and says what became of it.
pub(super) fn recover(host: &impl Host) -> Result<Option<String>, TurnError> {
    let commit = |entry: &apply::Entry| match &entry.record.commit {
        Some(record) => format!("commit {}", record.commit.short()),
        None => format!("generation {}", entry.record.generation.number),
    };
    Ok(match apply::recover(host)? {
        Recovery::Nothing => None,
        Recovery::Discarded { entry } => Some(format!(
            "an apply of {} was interrupted before it changed anything, and is given up",
            commit(&entry)
        )),
        Recovery::Confirmed { running } => Some(format!(
            "an apply of {} was interrupted when all was done, and is confirmed",
            commit(&running)
        )),
        Recovery::RolledBack { entry } => {
            Some(format!("an apply of {} was interrupted; what ran before is back", commit(&entry)))
        }
        Recovery::Degraded { obstacle, .. } => return Err(TurnError::Unrecovered(obstacle)),
    })
}

/// The first of several refusals is the cause of the others.
fn cause(refused: &[Refused], otherwise: &str) -> String {
    match refused.first() {
        Some(refused) => refused.message.clone(),
        None => otherwise.to_owned(),
    }
}

fn in_order(record: &CommitRecord, refused: &[Refused]) -> (State, String) {
    let runs = format!("runs commit {} (sequence {})", record.commit.short(), record.sequence);
    match refused.first() {
        None => (State::InOrder, runs),
        Some(refused) => (State::Refused, format!("{}; {runs}", refused.message)),
    }
}

fn ended(outcome: Outcome, record: &CommitRecord, refused: &[Refused]) -> (State, String) {
    match outcome {
        Outcome::Unchanged { .. } | Outcome::Confirmed { .. } => in_order(record, refused),
        Outcome::RolledBack { failure, .. } => {
            let commit = record.commit.short();
            (State::RolledBack, format!("commit {commit} was rolled back: {}", chain(&failure)))
        }
        Outcome::Degraded { failure, obstacle, .. } => (
            State::Degraded,
            format!("{}, and could not be undone: {}", chain(&failure), chain(&obstacle)),
        ),
    }
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

/// What weft put on a machine last.
pub fn owned(host: &impl Host) -> Result<Option<Owned>, StateError> {
    Ok(apply::owned(host)?.map(|manifest| Owned {
        files: manifest.files.iter().map(|(managed, file)| (*managed, file.sha256)).collect(),
        interfaces: manifest.interfaces,
    }))
}

/// What a machine runs, by its journal.
pub fn running(host: &impl Host) -> Result<Option<Running>, StateError> {
    Ok(apply::running(host)?.map(|entry| Running {
        commit: entry.record.commit,
        generation: entry.record.generation.number,
        rendering: entry.record.rendering,
        since: entry.record.begun,
    }))
}

//! What keeps a change of an object back: the agent's own decision about the newest
//! trusted commit, without asking a remote.

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8Path;
use serde::Serialize;

use super::trace::Trace;
use super::{Part, record_is, said};
use crate::agent::decide::{Circumstances, Decision, decide};
use crate::agent::error::TurnError;
use crate::agent::hold::Hold;
use crate::agent::planned::planned;
use crate::agent::quarantine;
use crate::agent::settings::Settings;
use crate::agent::status::{self, State, Status};
use crate::agent::turn::{MAX_STATUS_BYTES, Purpose};
use crate::apply::{self, Entry, Kept};
use crate::declare::policy::Removal;
use crate::declare::{Code, Severity, Tree};
use crate::host::Host;
use crate::plan::{Said, Statement, statements};
use crate::sync::Verified;
use crate::validate;

/// The newest trusted commit of a node.
#[derive(Debug)]
pub struct Trusted {
    /// Its declarations.
    pub tree: Verified<Tree>,
    /// How much its policy lets it take away from a node.
    pub removal: Removal,
    /// Whether it brings back what ran before.
    pub reverts: bool,
}

/// Why a change has not happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The stable name of the reason, for `weft explain`.
    pub code: String,
    /// The sentence.
    pub message: String,
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code, self.message)
    }
}

/// `traces` are what belongs to the object in what runs and in the newest trusted commit.
pub(super) fn pending(
    host: &impl Host,
    settings: &Settings,
    trusted: Option<Trusted>,
    traces: (&Trace, Option<&Trace>),
    runs: Option<&Entry>,
) -> Result<Part<Pending>, TurnError> {
    let mut found = Vec::new();
    let mut add = |code: &str, message: String| {
        found.push(Pending { code: code.to_owned(), message });
    };
    let open = apply::open(host)?;
    if let Some(entry) = &open
        && tries(host, entry, traces)?
    {
        let number = entry.record.number;
        let what = entry.record.commit.as_ref().map_or("what is tried".to_owned(), said);
        add(
            State::Open.as_str(),
            format!(
                "{what} changes it (entry {number}), is applied and watched, and is undone unless it is confirmed"
            ),
        );
    }
    let source = match &trusted {
        Some(trusted) => format!("{}, the newest trusted one", said(trusted.tree.record())),
        None => "what this node knows of trust".to_owned(),
    };
    if let (Some(trusted), Some(gets)) = (trusted, traces.1)
        && open.is_none()
    {
        for reason in reasons(host, settings, trusted, (traces.0, gets), runs)? {
            add(&reason.code, reason.message);
        }
    }
    // What stands on a refused commit is refused for that alone.
    let file = host.read(Utf8Path::new(status::PATH), MAX_STATUS_BYTES)?;
    let last = file.and_then(|file| serde_json::from_slice::<Status>(&file.bytes).ok());
    let refused = last.iter().flat_map(|status| &status.refused);
    if let Some(first) = refused.into_iter().find(|refused| refused.code != "on-refused") {
        let what = "; what it would change is not looked at";
        add(&first.code, format!("{}{what}", first.message));
    }
    let notes =
        if found.is_empty() { vec!["no change of it is pending".to_owned()] } else { Vec::new() };
    Ok(Part::new(source, found, notes))
}

/// Whether an apply whose window is open changes what belongs to the object.
fn tries(
    host: &impl Host,
    entry: &Entry,
    (has, gets): (&Trace, Option<&Trace>),
) -> Result<bool, TurnError> {
    let generations = [entry.record.generation, entry.record.previous];
    let [after, before] = generations.map(|link| apply::kept(host, link));
    let theirs = |kept: Option<Kept>| -> BTreeSet<String> {
        let traces = || [Some(has), gets].into_iter().flatten();
        let now: BTreeSet<Said<'_>> =
            traces().flat_map(|trace| trace.statements.iter().map(Statement::said)).collect();
        let all = statements(&kept.map(|kept| kept.texts).unwrap_or_default());
        let own = all.iter().filter(|statement| {
            let of = statement.of.as_ref();
            now.contains(&statement.said())
                || of.is_some_and(|of| traces().any(|trace| trace.interfaces.contains(of)))
        });
        own.map(|statement| format!("{} {}", statement.file, statement.path())).collect()
    };
    Ok(theirs(after?) != theirs(before?))
}

/// Why the newest trusted commit has not changed the object yet; none where it does not
/// change it.
fn reasons(
    host: &impl Host,
    settings: &Settings,
    trusted: Trusted,
    (has, gets): (&Trace, &Trace),
    runs: Option<&Entry>,
) -> Result<Vec<Pending>, TurnError> {
    let pending = |code: &str, message: String| Pending { code: code.to_owned(), message };
    let Trusted { tree, removal, reverts } = trusted;
    let record = tree.record().clone();
    let facts = host.facts(&settings.node.value)?;
    let cluster = Some(&settings.cluster.value);
    let declarations = tree.get().clone();
    let mut wrong = None;
    let network = tree.try_map(|tree| {
        let (network, findings) = validate::check(&tree, cluster, std::slice::from_ref(&facts));
        wrong = findings.iter().find(|finding| finding.severity == Severity::Error).cloned();
        let network = network.filter(|_| wrong.is_none());
        network.filter(|network| network.declares(&settings.node.value)).ok_or(())
    });
    let commit = said(&record);
    let Ok(network) = network else {
        let (code, what) = match wrong {
            Some(wrong) => {
                let place = wrong.marks.first().map(|mark| format!(" at {}", mark.place));
                (wrong.code.id(), format!("{}{}", wrong.message, place.unwrap_or_default()))
            }
            None => (Code::ThisNodeUndeclared.id(), "it does not declare this node".to_owned()),
        };
        let message = format!("{commit} is trusted, and nothing of it is applied: {what}");
        return Ok(vec![pending(code, message)]);
    };
    let say = |trace: &Trace| -> BTreeSet<String> {
        let all = trace.statements.iter();
        all.map(|statement| format!("{} {}", statement.file, statement.path())).collect()
    };
    let (has, gets) = (say(has), say(gets));
    let version = |said: &String| !said.contains("#version:");
    if has.iter().filter(|said| version(said)).eq(gets.iter().filter(|said| version(said))) {
        return Ok(Vec::new());
    }
    let network = (&declarations, network);
    let planned = planned(host, settings, network, facts, removal, reverts)?;
    let plan = planned.get();
    let now = host.now();
    let quarantined = {
        let watchlist = settings.terms().watchlist;
        quarantine::blocks(host, &watchlist, plan.rendering.digest(), now)?
    };
    let hold = Hold::current(host, now)?;
    let hold = hold.filter(|hold| hold.stops(record.commit, reverts));
    let runs = runs.map(|entry| &entry.record);
    let decision = decide(
        plan,
        &Circumstances {
            mode: settings.mode(),
            purpose: Purpose::Sync,
            runs: runs.and_then(|runs| Some((runs.commit.as_ref()?.commit, runs.rendering?))),
            commit: record.commit,
            quarantined: quarantined.as_ref(),
            paused: quarantine::pauses(host, reverts, now)?,
            same_engine: runs.is_none_or(|runs| runs.engine == plan.engine),
            hold: hold.as_ref(),
            quiet: false,
        },
    );
    let same = record_is(runs.and_then(|runs| runs.commit.as_ref()), &record);
    let code = decision.code(settings.mode());
    Ok(match decision {
        Decision::Leave(reason)
        | Decision::Held(reason)
        | Decision::Quarantined(reason)
        | Decision::Paused(reason) => code.map(|code| pending(code, reason)).into_iter().collect(),
        Decision::Nothing | Decision::Advance => Vec::new(),
        Decision::Guarded => {
            let guards = plan.guards.iter();
            guards.map(|guard| pending(guard.code, guard.message.clone())).collect()
        }
        Decision::Apply if same => Vec::new(),
        Decision::Apply => {
            let message = format!("{commit} changes it in the next turn");
            vec![pending(State::Pending.as_str(), message)]
        }
    })
}

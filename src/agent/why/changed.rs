//! What touched an object last, and what brought it, by the journal and the generations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::Part;
use super::trace::Trace;
use crate::agent::error::TurnError;
use crate::apply::{self, Entry, Link, State};
use crate::host::Host;
use crate::plan::{Statement, statements};
use crate::render::Managed;

/// An entry of the journal that touched something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What the entry did: `last changed` or `came`.
    pub what: &'static str,
    /// Its number, as `weft history` lists it.
    pub number: u64,
    /// When it began.
    pub time: Timestamp,
    /// How it ended.
    pub state: State,
    /// The commit; none of what was found before weft.
    pub commit: Option<String>,
    /// Who signed that.
    pub signer: Option<String>,
    /// The steps that touched it.
    pub steps: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.strftime("%Y-%m-%d %H:%M:%SZ");
        write!(f, "{} by entry {} at {time}, {}", self.what, self.number, self.state)?;
        match (&self.commit, &self.signer) {
            (Some(commit), Some(signer)) => write!(f, ": commit {commit} by {signer}")?,
            _ => f.write_str(": what was found before weft")?,
        }
        self.steps.iter().try_for_each(|step| write!(f, "\n    {step}"))
    }
}

/// The most steps that are named of an entry.
const NAMED: usize = 10;

/// What belongs to an object in a generation; `None` where the generation is gone.
type Had = Option<BTreeSet<(Managed, Option<String>, String)>>;

/// Reads the journal from the newest entry on.
pub(super) fn changed(
    host: &impl Host,
    history: &[Entry],
    trace: &Trace,
) -> Result<Part<Change>, TurnError> {
    let mut known: BTreeMap<u64, Had> = BTreeMap::new();
    let mut had = |link: Link| -> Result<Had, TurnError> {
        if let Some(had) = known.get(&link.number) {
            return Ok(had.clone());
        }
        let kept = apply::kept(host, link)?;
        let had = kept.map(|kept| theirs(&statements(&kept.texts), trace));
        known.insert(link.number, had.clone());
        Ok(had)
    };
    let (mut last, mut came) = (None, None);
    let mut notes = Vec::new();
    for entry in history.iter().rev().filter(|entry| entry.state != State::Intent) {
        let record = &entry.record;
        if record.generation.number == record.previous.number {
            continue;
        }
        let (Some(after), Some(before)) = (had(record.generation)?, had(record.previous)?) else {
            let number = record.number;
            notes.push(format!(
                "entry {number} and older ones are not looked at: their generations are no longer kept"
            ));
            break;
        };
        let steps = steps(entry, trace);
        let by_step = !steps.is_empty() && steps.iter().any(|step| !is_of_file(step));
        if after == before && !by_step {
            continue;
        }
        let change = |what| Change { what, ..new(entry, steps.clone()) };
        last.get_or_insert_with(|| change("last changed"));
        if entry.state == State::Confirmed && before.is_empty() && !after.is_empty() {
            came = Some(change("came"));
            break;
        }
    }
    let found: Vec<Change> = match (last, came) {
        (Some(last), Some(came)) if last.number == came.number => vec![came],
        (last, came) => last.into_iter().chain(came).collect(),
    };
    if found.is_empty() && notes.is_empty() {
        notes.push("no entry of the journal touched it".to_owned());
    }
    Ok(Part::new("the journal, /var/lib/weft/journal", found, notes))
}

fn new(entry: &Entry, mut steps: Vec<String>) -> Change {
    let record = &entry.record;
    if let Some(more @ 1..) = steps.len().checked_sub(NAMED) {
        steps.truncate(NAMED);
        steps.push(format!("and {more} more steps"));
    }
    Change {
        what: "",
        number: record.number,
        time: record.begun,
        state: entry.state,
        commit: record.commit.as_ref().map(|commit| commit.commit.short()),
        signer: record.commit.as_ref().map(|commit| commit.signer.to_string()),
        steps,
    }
}

/// The statements of a generation that belong to an object: those of its interfaces, and
/// those that belong to it now.
fn theirs(found: &[Statement], trace: &Trace) -> BTreeSet<(Managed, Option<String>, String)> {
    let now: BTreeSet<_> = trace.statements.iter().map(Statement::said).collect();
    let own = |statement: &&Statement| {
        let of = statement.of.as_deref();
        now.contains(&statement.said())
            || (statement.file == Managed::Interfaces
                && of.is_some_and(|of| trace.interfaces.contains(of)))
    };
    let own = found.iter().filter(own);
    own.map(|s| (s.file.clone(), s.of.clone(), s.text.clone())).collect()
}

/// The steps of an entry that touched an object, by their words.
fn steps(entry: &Entry, trace: &Trace) -> Vec<String> {
    let files: BTreeSet<&Managed> = trace.statements.iter().map(|s| &s.file).collect();
    let mut names: BTreeSet<String> = trace.interfaces.clone();
    names.extend(files.iter().map(ToString::to_string));
    names.extend(files.iter().filter_map(|f| Some(format!("dnsmasq@{}", f.dnsmasq()?))));
    if files.contains(&Managed::Frr) {
        names.insert("FRR".to_owned());
    }
    let touches = |step: &&String| {
        let mut words = step.split([' ', ':']);
        words.any(|word| names.contains(word))
    };
    entry.record.steps.iter().filter(touches).cloned().collect()
}

/// Whether a step is about a whole file, or about all of FRR: it may leave what is asked
/// for as it was.
fn is_of_file(step: &str) -> bool {
    ["write ", "remove /", "load /", "reload FRR", "restart FRR", "empty FRR"]
        .iter()
        .any(|begin| step.starts_with(begin))
}

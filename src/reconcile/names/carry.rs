//! Writing what was planned.
//!
//! Each round reads the names that were planned, judges them again and writes what is still
//! to do. So a round after a lost answer sees what became of it, and the last round of every
//! zone is the proof that it is as wanted. What was not planned is not written: a name at
//! which more would go than was shown is left to the next plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread;
use std::time::Instant;

use super::{Plan, PlannedServer, PlannedZone, Terms, of_server};
use crate::plan::names::{
    Adopt, Difference, Found, Fqdn, NameChange, RecordKind, Refusal, Refused, Rule, Subject,
    Wanted, WantedZone, Way, difference,
};
use crate::reconcile::http::HttpError;
use crate::reconcile::powerdns::keeps_no_comments;

/// The most names of one request, at first.
const BATCH: usize = 500;
/// How many rounds may pass in which no less is left to do.
const PATIENCE: u32 = 5;
/// How often what was read late is read again instead of written upon.
const MOST_LATE: u32 = 3;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The names at which nothing is left to do, by a look after the last write.
    pub settled: usize,
    /// The requests that wrote.
    pub writes: usize,
    /// What was not done, and why; what the plan refused is not repeated.
    pub refused: Vec<Refused>,
}

/// Carries out a plan, zone by zone, one request to a server at a time.
pub fn carry_out(plan: Plan) -> Outcome {
    carry_out_until(plan, None)
}

/// The same, but nothing is asked or written any more after a time.
pub fn carry_out_until(plan: Plan, until: Option<Instant>) -> Outcome {
    let is_over = || until.is_some_and(|until| Instant::now() >= until);
    let Plan { servers, refused, wanted, terms } = plan;
    let mut outcome = Outcome::default();
    let mut works: Vec<Work<'_>> = Vec::new();
    for server in &servers {
        let zones = server.zones.iter().filter(|zone| !zone.changes.is_empty());
        works.extend(zones.map(|zone| Work::new(server, zone, &wanted, &terms)));
    }
    while works.iter().any(|work| !work.open.is_empty()) {
        for work in works.iter_mut().filter(|work| !work.open.is_empty()) {
            if is_over() {
                work.end(&mut outcome, "the time for writing is over");
            } else {
                work.round(&mut outcome, &is_over);
            }
        }
        if works.iter().any(|work| !work.open.is_empty()) {
            thread::sleep(terms.settle);
        }
    }
    outcome.refused.retain(|one| !refused.contains(one));
    outcome
}

/// One zone that is written.
struct Work<'a> {
    server: &'a PlannedServer,
    zone: &'a PlannedZone,
    wanted: &'a Wanted,
    terms: &'a Terms,
    way: Way,
    /// What was planned for each name.
    planned: BTreeMap<&'a Fqdn, &'a NameChange>,
    /// What was planned to become ours.
    adopted: BTreeMap<Fqdn, BTreeSet<(RecordKind, String)>>,
    /// The names that are not known to be as wanted.
    open: BTreeSet<Fqdn>,
    /// The most names of one request.
    batch: usize,
    /// How often what was read came late.
    late: u32,
    /// The least that was left to do in any round, and the rounds since.
    least: usize,
    rounds: u32,
}

impl<'a> Work<'a> {
    fn new(
        server: &'a PlannedServer,
        zone: &'a PlannedZone,
        wanted: &'a Wanted,
        terms: &'a Terms,
    ) -> Self {
        let planned: BTreeMap<_, _> =
            zone.changes.iter().map(|change| (&change.name, change)).collect();
        let mut adopted = BTreeMap::new();
        for change in &zone.changes {
            let edits = change.edits.iter();
            let of: BTreeSet<_> = edits
                .flat_map(|edit| edit.adopted.iter().map(|content| (edit.kind, content.clone())))
                .collect();
            if !of.is_empty() {
                adopted.insert(change.name.clone(), of);
            }
        }
        let open = planned.keys().map(|name| (*name).clone()).collect();
        let (batch, least, rounds) = (BATCH, usize::MAX, 0);
        let (way, late) = (zone.way, 0);
        Self {
            server,
            zone,
            wanted,
            terms,
            way,
            planned,
            adopted,
            open,
            batch,
            late,
            least,
            rounds,
        }
    }

    /// Reads, judges, writes.
    fn round(&mut self, outcome: &mut Outcome, is_over: &dyn Fn() -> bool) {
        let began = Instant::now();
        let found = match self.read() {
            Ok(found) => found,
            Err(error) => return self.end(outcome, &error.to_string()),
        };
        let mut changes = self.judge(&found, outcome);
        if changes.is_empty() {
            outcome.settled += self.open.len();
            self.open.clear();
            return;
        }
        self.rounds = if changes.len() < self.least { 0 } else { self.rounds + 1 };
        self.least = self.least.min(changes.len());
        if self.rounds > PATIENCE {
            let why = format!("{} names do not stay as they are written", changes.len());
            return self.end(outcome, &why);
        }
        let mut batches = Vec::new();
        while !changes.is_empty() {
            batches.push(changes.split_off(changes.len().saturating_sub(self.batch)));
        }
        let mut is_first = true;
        while let Some(batch) = batches.pop() {
            if is_over() {
                return;
            }
            // What was read long ago may be somebody's by now: read it again first, unless
            // the server never answers sooner.
            if began.elapsed() > self.terms.settle && (!is_first || self.late < MOST_LATE) {
                self.late += u32::from(is_first);
                return;
            }
            is_first = false;
            let writes = batch.iter().flat_map(|change| &change.writes);
            outcome.writes += 1;
            let Err(error) = self.server.server.write(&self.zone.listed, writes) else { continue };
            if self.way == Way::Comments && keeps_no_comments(&error) {
                self.way = Way::Text;
                return;
            }
            match error {
                // All of it was refused for one name, which is found by halves.
                HttpError::Refused { status: 400 | 409 | 422, .. } if batch.len() > 1 => {
                    let mut batch = batch;
                    self.batch = batch.len().div_ceil(2);
                    self.rounds = 0;
                    batches.push(batch.split_off(self.batch));
                    batches.push(batch);
                }
                HttpError::Refused { status: 400 | 409 | 422, .. } => {
                    for change in &batch {
                        self.give_up(&change.name, Refusal::Said(error.to_string()), outcome);
                    }
                }
                error => {
                    let bounds = self.server.server.bounds();
                    let pause = bounds.pause * 2_u32.saturating_pow(self.rounds);
                    match error.wait(pause, bounds.patience) {
                        Some(wait) => thread::sleep(wait),
                        None => self.end(outcome, &error.to_string()),
                    }
                    return;
                }
            }
        }
    }

    fn read(&self) -> Result<Found, HttpError> {
        let PlannedZone { listed, clusters, sets, .. } = self.zone;
        // What becomes ours must not be anybody's by now: all marks are looked at.
        if self.open.iter().any(|name| self.adopted.contains_key(name)) {
            return self.server.server.whole(listed);
        }
        let names = self.open.iter().flat_map(|name| Found::names_for(name, clusters.iter()));
        self.server.server.at(listed, &names.collect(), *sets)
    }

    /// What is still to do, of what was planned.
    fn judge(&mut self, found: &Found, outcome: &mut Outcome) -> Vec<NameChange> {
        let open = self.open.clone();
        let wanted: WantedZone = open
            .iter()
            .filter_map(|name| Some((name.clone(), self.zone.wanted.get(name)?.clone())))
            .collect();
        let rule = Rule {
            cluster: &self.terms.cluster,
            ttl: self.server.ttl,
            adopt: Adopt::Shown(&self.adopted),
            way: self.way,
            stranded: &self.wanted.stranded,
            only: Some(&open),
        };
        let Difference { changes, refused, .. } =
            difference(&self.zone.name, &wanted, found, &rule);
        for refused in refused {
            if !outcome.refused.contains(&refused) {
                outcome.refused.push(refused);
            }
        }
        let (changes, moved): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| self.was_shown(change));
        for change in moved {
            let why = Refusal::Moved(change.name.clone());
            self.give_up(&change.name, why, outcome);
        }
        changes
    }

    /// Whether no more is removed than was planned.
    fn was_shown(&self, change: &NameChange) -> bool {
        let planned = self.planned.get(&change.name);
        let shown = planned.into_iter().flat_map(|planned| &planned.edits);
        let shown: BTreeSet<_> = shown
            .flat_map(|edit| edit.removed.iter().map(move |content| (edit.kind, content)))
            .collect();
        let removed = change
            .edits
            .iter()
            .flat_map(|edit| edit.removed.iter().map(move |content| (edit.kind, content)));
        removed.into_iter().all(|one| shown.contains(&one))
    }

    fn give_up(&mut self, name: &Fqdn, why: Refusal, outcome: &mut Outcome) {
        let holders = self.zone.wanted.get(name).into_iter().flatten();
        let holders: BTreeSet<_> =
            holders.flat_map(|(_, contents)| contents.values()).flatten().cloned().collect();
        let of = if holders.is_empty() {
            Subject::Name(name.clone())
        } else {
            Subject::Holders(holders)
        };
        outcome.refused.push(Refused { of, why });
        self.open.remove(name);
    }

    fn end(&mut self, outcome: &mut Outcome, why: &str) {
        let said = format!("zone `{}`: {why}", self.zone.name);
        outcome.refused.push(of_server(&self.server.id, said));
        self.open.clear();
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} names written and looked at again", self.settled)?;
        for refused in &self.refused {
            writeln!(f, "not done: {refused}")?;
        }
        Ok(())
    }
}

//! Writing what was planned.
//!
//! Before something is changed or removed it is read again, and is still what it was when the
//! plan was shown, or is left alone. After something is made it is looked for: what an answer
//! that was lost leaves open, and what another made at the same moment, is seen then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread;
use std::time::Instant;

use super::{Plan, PlannedServer, Server};
use crate::plan::ipam::{Content, FoundObject, Key, Refusal, Refused, Step, Subject};
use crate::reconcile::http::HttpError;
use crate::value::ZoneId;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The objects that are as planned, by a look after the last write.
    pub settled: usize,
    /// The requests that wrote.
    pub writes: usize,
    /// What was not done, and why; what the plan refused is not repeated.
    pub refused: Vec<Refused>,
}

/// Carries out a plan, one request to a server at a time.
pub fn carry_out(plan: Plan) -> Outcome {
    carry_out_until(plan, None)
}

/// The same, but nothing is begun any more after a time: neither written nor asked for.
pub fn carry_out_until(plan: Plan, until: Option<Instant>) -> Outcome {
    let mut outcome = Outcome::default();
    for PlannedServer { mut server, steps, .. } in plan.servers {
        Carrier::new(&mut *server, &mut outcome, until).all(steps);
    }
    outcome.refused.retain(|refused| !plan.refused.contains(refused));
    outcome
}

/// Carries out steps on one server.
pub(super) struct Carrier<'a> {
    server: &'a mut dyn Server,
    outcome: &'a mut Outcome,
    /// When nothing more may be begun.
    until: Option<Instant>,
    /// Zones whose space could not be made.
    without_space: BTreeSet<ZoneId>,
}

impl<'a> Carrier<'a> {
    pub(super) fn new(
        server: &'a mut dyn Server,
        outcome: &'a mut Outcome,
        until: Option<Instant>,
    ) -> Self {
        Self { server, outcome, until, without_space: BTreeSet::new() }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    pub(super) fn all(&mut self, steps: Vec<Step>) {
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            match step {
                Step::Create { zone, key, content } => {
                    // What is of one kind and follows is made together.
                    let mut batch = BTreeMap::from([(key, content)]);
                    while batch.len() < self.server.batch()
                        && let Some(Step::Create { key, content, .. }) =
                            steps.next_if(|next| is_alike(next, &zone, key))
                    {
                        batch.insert(key, content);
                    }
                    self.create(&zone, batch);
                }
                Step::Update { found, content } => self.update(&found, &content),
                Step::Delete { found } => self.delete(&found),
            }
        }
    }

    fn create(&mut self, zone: &ZoneId, mut open: BTreeMap<Key, Content>) {
        if self.without_space.contains(zone) {
            return;
        }
        let bounds = self.server.bounds();
        let mut pause = bounds.pause;
        for attempt in 0..bounds.attempts {
            if self.is_over() {
                return self.leave(zone, &open, &Refusal::Over);
            }
            let objects: Vec<_> = open.iter().map(|(key, content)| (*key, content)).collect();
            self.outcome.writes += 1;
            let result = self.server.create(zone, &objects);
            // Whatever it said: what is there counts.
            let found = match self.look(zone, &open) {
                Ok(found) => found,
                Err(error) => return self.give_up(zone, &open, &error),
            };
            self.settle(zone, &mut open, &found);
            let error = match result {
                _ if open.is_empty() => return,
                Ok(()) => HttpError::Nonsense("what it made is not there".to_owned()),
                Err(error) => error,
            };
            if let HttpError::Refused { status: 400..=499, .. } = error
                && !error.may_pass()
            {
                if open.len() == 1 {
                    return self.give_up(zone, &open, &error);
                }
                // All were refused for one of them.
                let middle = open.keys().nth(open.len() / 2).copied();
                let rest = middle.map(|middle| open.split_off(&middle)).unwrap_or_default();
                self.create(zone, open);
                return self.create(zone, rest);
            }
            match error.wait(pause, bounds.patience) {
                Some(wait) if attempt + 1 < bounds.attempts => thread::sleep(wait),
                _ => return self.give_up(zone, &open, &error),
            }
            pause *= 2;
        }
    }

    fn look(
        &mut self,
        zone: &ZoneId,
        open: &BTreeMap<Key, Content>,
    ) -> Result<BTreeMap<Key, Vec<FoundObject>>, HttpError> {
        let keys: Vec<Key> = open.keys().copied().collect();
        let mut found: BTreeMap<Key, Vec<FoundObject>> = BTreeMap::new();
        for object in self.server.at(zone, &keys)? {
            found.entry(object.key).or_default().push(object);
        }
        Ok(found)
    }

    /// Takes out what is there as it should be, and what another has.
    fn settle(
        &mut self,
        zone: &ZoneId,
        open: &mut BTreeMap<Key, Content>,
        found: &BTreeMap<Key, Vec<FoundObject>>,
    ) {
        let mut refused = Vec::new();
        open.retain(|key, content| {
            let objects = found.get(key).map(Vec::as_slice).unwrap_or_default();
            let is_it = |one: &&FoundObject| {
                one.content.as_ref().is_some_and(|content_is| content_is.mark == content.mark)
            };
            let (own, others): (Vec<_>, Vec<_>) = objects.iter().partition(is_it);
            let first = own.iter().min_by_key(|one| one.id);
            // Another made it at the same moment, without a mark of ours or with another one.
            // An address cannot be two guests': whoever sees that gives way.
            let gives_way = !others.is_empty() && matches!(key, Key::Address(_));
            let doubles =
                own.iter().filter(|one| gives_way || Some(&one.id) != first.map(|one| &one.id));
            for double in doubles {
                // Whoever may write by now sees it too, and removes it.
                if self.is_over() {
                    refused.push((*key, Refusal::Over));
                    break;
                }
                self.outcome.writes += 1;
                if let Err(error) = self.server.delete(double) {
                    refused.push((*key, Refusal::Said(format!("it is there twice: {error}"))));
                }
            }
            match (first, others.first()) {
                (None, None) => return true,
                (Some(_), None) => self.outcome.settled += 1,
                (_, Some(other)) => refused.push((*key, Refusal::Foreign(other.label.clone()))),
            }
            false
        });
        for (key, why) in refused {
            self.refuse(zone, key, why);
        }
    }

    fn give_up(&mut self, zone: &ZoneId, open: &BTreeMap<Key, Content>, error: &HttpError) {
        self.leave(zone, open, &Refusal::Said(error.to_string()));
    }

    fn leave(&mut self, zone: &ZoneId, open: &BTreeMap<Key, Content>, why: &Refusal) {
        for key in open.keys() {
            if *key == Key::Space {
                self.without_space.insert(zone.clone());
            }
            self.refuse(zone, *key, why.clone());
        }
    }

    fn update(&mut self, found: &FoundObject, content: &Content) {
        let is_done = |now: Option<&FoundObject>| {
            now.is_some_and(|now| now.content.as_ref() == Some(content))
        };
        self.change(found, is_done, |server| server.update(found, content));
    }

    fn delete(&mut self, found: &FoundObject) {
        if self.is_over() {
            return self.refuse_found(found, Refusal::Over);
        }
        if matches!(found.key, Key::Prefix(_) | Key::Space) {
            let within = self.server.others_within(found);
            let why = match within.as_deref() {
                Ok([]) => None,
                Ok([first, ..]) => {
                    Some(Refusal::NotEmpty(first.key, within.as_ref().map_or(1, Vec::len)))
                }
                Err(error) => Some(Refusal::Said(error.to_string())),
            };
            if let Some(why) = why {
                return self.refuse_found(found, why);
            }
        }
        self.change(found, |now| now.is_none(), |server| server.delete(found));
    }

    /// Changes something that is there, if it is as it was found.
    fn change(
        &mut self,
        found: &FoundObject,
        is_done: impl Fn(Option<&FoundObject>) -> bool,
        write: impl Fn(&mut dyn Server) -> Result<(), HttpError>,
    ) {
        let bounds = self.server.bounds();
        let mut pause = bounds.pause;
        let mut error = None;
        for attempt in 0..=bounds.attempts {
            if attempt == 0 && self.is_over() {
                return self.refuse_found(found, Refusal::Over);
            }
            let now = match self.server.again(found) {
                Ok(now) => now,
                Err(error) => return self.refuse_found(found, Refusal::Said(error.to_string())),
            };
            if is_done(now.as_ref()) {
                self.outcome.settled += 1;
                return;
            }
            if now.as_ref() != Some(found) {
                return self.refuse_found(found, Refusal::Moved);
            }
            if attempt == bounds.attempts {
                break;
            }
            if self.is_over() {
                return self.refuse_found(found, Refusal::Over);
            }
            self.outcome.writes += 1;
            let Err(refused) = write(self.server) else { continue };
            if let HttpError::Refused { status: 412, .. } = refused {
                return self.refuse_found(found, Refusal::Moved);
            }
            match refused.wait(pause, bounds.patience) {
                Some(wait) => thread::sleep(wait),
                None => return self.refuse_found(found, Refusal::Said(refused.to_string())),
            }
            pause *= 2;
            error = Some(refused);
        }
        let why = match error {
            Some(error) => Refusal::Said(error.to_string()),
            None => Refusal::Said("it does not stay as it is written".to_owned()),
        };
        self.refuse_found(found, why);
    }

    fn refuse(&mut self, zone: &ZoneId, key: Key, why: Refusal) {
        self.outcome.refused.push(Refused { of: Subject::Object(zone.clone(), key), why });
    }

    fn refuse_found(&mut self, found: &FoundObject, why: Refusal) {
        // One without a zone is displaced, and in no plan.
        let mark = found.content.as_ref().map(|content| &content.mark.zone);
        if let Some(zone) = found.zone.as_ref().or(mark) {
            self.refuse(&zone.clone(), found.key, why);
        }
    }
}

fn is_alike(step: &Step, zone: &ZoneId, key: Key) -> bool {
    let Step::Create { zone: of, key: other, .. } = step else { return false };
    of == zone && std::mem::discriminant(other) == std::mem::discriminant(&key)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} objects written and looked at again", self.settled)?;
        for refused in &self.refused {
            writeln!(f, "not done: {refused}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! What happens when the time is over in which something may be done.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::{Carrier, Outcome, Server};
use crate::plan::ipam::{Content, Found, FoundObject, Key, Mark, Of, Owner, Reach, Refusal, Step};
use crate::reconcile::http::{Bounds, HttpError};
use crate::value::ZoneId;

/// The time in which something may be done.
const TIME: Duration = Duration::from_millis(300);

/// A server that takes its time to make something, has it twice then, and removes nothing.
#[derive(Default)]
struct Slow {
    asked: usize,
}

impl Server for Slow {
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }
    fn capacity(&self) -> Reach {
        Reach { spaces: true, ranges: true, cascades: false }
    }
    fn batch(&self) -> usize {
        10
    }
    fn lacks(&mut self) -> Result<Vec<String>, HttpError> {
        panic!("nobody plans")
    }
    fn found(&mut self, _: &BTreeSet<ZoneId>) -> Result<Found, HttpError> {
        panic!("nobody plans")
    }
    fn at(&mut self, zone: &ZoneId, _: &[Key]) -> Result<Vec<FoundObject>, HttpError> {
        assert_eq!(*zone, self::zone());
        self.asked += 1;
        Ok([7, 8].map(object).to_vec())
    }
    fn again(&mut self, found: &FoundObject) -> Result<Option<FoundObject>, HttpError> {
        self.asked += 1;
        Ok(Some(found.clone()))
    }
    fn others_within(&mut self, _: &FoundObject) -> Result<Vec<FoundObject>, HttpError> {
        self.asked += 1;
        Ok(Vec::new())
    }
    fn create(&mut self, _: &ZoneId, _: &[(Key, &Content)]) -> Result<(), HttpError> {
        self.asked += 1;
        thread::sleep(TIME * 2);
        Ok(())
    }
    fn update(&mut self, _: &FoundObject, _: &Content) -> Result<(), HttpError> {
        panic!("it is too late to change anything")
    }
    fn delete(&mut self, _: &FoundObject) -> Result<(), HttpError> {
        panic!("it is too late to remove anything")
    }
}

fn zone() -> ZoneId {
    "za".parse().expect("a zone")
}

fn key() -> Key {
    Key::Prefix("10.0.0.0/24".parse().expect("a prefix"))
}

fn content() -> Content {
    let of = Of::Prefix("10.0.0.0/24".parse().expect("a prefix"));
    Content {
        mark: Mark { cluster: "lab".parse().expect("a cluster"), zone: zone(), of },
        length: 0,
        description: String::new(),
        dns_name: String::new(),
        lease: None,
        is_closed: false,
    }
}

fn object(id: u64) -> FoundObject {
    FoundObject {
        id,
        zone: Some(zone()),
        key: key(),
        owner: Owner::Ours,
        version: String::new(),
        content: Some(content()),
        label: String::new(),
        tags: Vec::new(),
    }
}

fn carried_out(server: &mut Slow, until: Instant, steps: Vec<Step>) -> Outcome {
    let mut outcome = Outcome::default();
    Carrier::new(server, &mut outcome, Some(until)).all(steps);
    outcome
}

#[test]
fn nothing_is_asked_or_done_when_the_time_is_over() {
    let found = || Box::new(object(7));
    let steps = vec![
        Step::Create { zone: zone(), key: key(), content: content() },
        Step::Update { found: found(), content: Content { length: 1, ..content() } },
        Step::Delete { found: found() },
    ];
    let mut server = Slow::default();
    let outcome = carried_out(&mut server, Instant::now(), steps);
    assert_eq!((server.asked, outcome.writes, outcome.settled), (0, 0, 0));
    let whys: Vec<&Refusal> = outcome.refused.iter().map(|refused| &refused.why).collect();
    assert_eq!(whys, [&Refusal::Over; 3]);
}

#[test]
fn what_is_there_twice_stays_for_whoever_may_write_then() {
    let mut server = Slow::default();
    let create = Step::Create { zone: zone(), key: key(), content: content() };
    let outcome = carried_out(&mut server, Instant::now() + TIME, vec![create]);
    assert_eq!((server.asked, outcome.writes, outcome.settled), (2, 1, 1));
    let whys: Vec<&Refusal> = outcome.refused.iter().map(|refused| &refused.why).collect();
    assert_eq!(whys, [&Refusal::Over]);
}

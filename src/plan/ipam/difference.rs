//! What is wanted, what is found and what is ours, object by object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{
    Content, Found, FoundObject, Key, Mark, Owner, Reach, Refusal, Refused, Subject, Wanted,
};
use crate::value::{ClusterName, ZoneId};

/// By what a zone is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// Whose marks are ours.
    pub cluster: &'a ClusterName,
    /// Whether what is wanted and nobody's becomes ours.
    pub adopt: bool,
    /// How the server treats its objects. A space must be ours before anything is in it.
    pub reach: Reach,
}

/// One thing that is done. Holds only if the object is as it was found when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something is made, with its mark.
    Create {
        /// The zone.
        zone: ZoneId,
        /// What it is.
        key: Key,
        /// What is written.
        content: Content,
    },
    /// Something of ours is mended, or something that was nobody's becomes ours.
    Update {
        /// What there is.
        found: Box<FoundObject>,
        /// What is written.
        content: Content,
    },
    /// Something of ours goes.
    Delete {
        /// What there is.
        found: Box<FoundObject>,
    },
}

/// What is done about a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is done, in the order in which it can be.
    pub steps: Vec<Step>,
    /// What is not done.
    pub refused: Vec<Refused>,
    /// How many objects.
    pub counts: Counts,
}

/// How many objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be made.
    pub created: usize,
    /// To be mended or adopted.
    pub updated: usize,
    /// To be removed.
    pub removed: usize,
    /// Ours and as wanted.
    pub unchanged: usize,
    /// Ours before.
    pub ours: usize,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            removed: self.removed + other.removed,
            unchanged: self.unchanged + other.unchanged,
            ours: self.ours + other.ours,
        }
    }

    /// Those with other steps.
    #[must_use]
    pub fn with(self, steps: &[Step]) -> Self {
        let number = |is: fn(&Step) -> bool| steps.iter().filter(|step| is(step)).count();
        Self {
            created: number(|step| matches!(step, Step::Create { .. })),
            updated: number(|step| matches!(step, Step::Update { .. })),
            removed: number(Step::removes),
            ..self
        }
    }
}

impl Step {
    /// The zone.
    pub fn zone(&self) -> Option<&ZoneId> {
        match self {
            Self::Create { zone, .. } => Some(zone),
            Self::Update { found, .. } | Self::Delete { found } => found.zone.as_ref(),
        }
    }

    /// What it is done to.
    pub fn key(&self) -> Key {
        match self {
            Self::Create { key, .. } => *key,
            Self::Update { found, .. } | Self::Delete { found } => found.key,
        }
    }

    /// Whether something goes.
    pub fn removes(&self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    /// Whether somebody loses something: a guest gives up its address, or an object goes that
    /// nobody gave up before.
    pub fn takes_away(&self) -> bool {
        let was_given_up =
            |found: &FoundObject| found.content.as_ref().is_some_and(Content::is_given_up);
        match self {
            Self::Create { .. } => false,
            Self::Update { found, content } => content.is_given_up() && !was_given_up(found),
            Self::Delete { found } => !was_given_up(found),
        }
    }

    /// Steps are done in this order: what goes makes room first, but for the space, which
    /// goes when it is empty; what holds others is there before them.
    fn order(&self) -> (u8, Key) {
        let key = self.key();
        let phase = match (self.removes(), key) {
            (true, Key::Address(_)) => 0,
            (true, Key::Range(..)) => 1,
            (true, Key::Prefix(_)) => 2,
            (false, Key::Space) => 3,
            (false, Key::Prefix(_)) => 4,
            (false, Key::Range(..)) => 5,
            (false, Key::Address(_)) => 6,
            (true, Key::Space) => 7,
        };
        (phase, key)
    }
}

/// What is done about a zone. Nothing exactly if what is ours is as wanted.
pub fn difference(zone: &ZoneId, wanted: &Wanted, found: &Found, rule: Rule<'_>) -> Difference {
    let by_key = found.of_zone(zone);
    let mut work = Work {
        zone,
        rule,
        displaced: displaced(zone, found, rule.cluster),
        difference: Difference { refused: wanted.refused.clone(), ..Difference::default() },
    };
    let none = Vec::new();
    for (key, content) in &wanted.objects {
        work.wanted(*key, content, by_key.get(key).unwrap_or(&none));
    }
    for (key, objects) in by_key.iter().filter(|(key, _)| !wanted.objects.contains_key(key)) {
        for object in objects.iter().filter(|object| object.is_ours()) {
            work.unwanted(*key, object, wanted, &by_key);
        }
    }
    for mark in std::mem::take(&mut work.displaced) {
        let key = mark.key().unwrap_or(Key::Space);
        work.refuse(key, Refusal::Elsewhere(mark));
    }
    let Difference { mut steps, refused, counts } = work.difference;
    let lacks_space = |refused: &Refused| refused.of == Subject::Object(zone.clone(), Key::Space);
    if rule.reach.spaces && refused.iter().any(lacks_space) {
        // Nothing can be in a space that is not ours.
        steps.clear();
    }
    steps.sort_by_key(Step::order);
    let counts = counts.with(&steps);
    Difference { steps, refused, counts }
}

/// The marks of a zone on objects that are not what the marks say.
fn displaced(zone: &ZoneId, found: &Found, cluster: &ClusterName) -> BTreeSet<Mark> {
    let objects = found.objects.iter().filter_map(|object| {
        let mark = &object.content.as_ref()?.mark;
        let is_of_zone = mark.cluster == *cluster && mark.zone == *zone;
        (is_of_zone && object.is_displaced()).then(|| mark.clone())
    });
    objects.collect()
}

impl FoundObject {
    /// Whether it is ours and not what its mark says, because somebody moved it. Whose it is
    /// then cannot be known. An address of a guest may be changed to another one.
    fn is_displaced(&self) -> bool {
        let Some(content) = &self.content else { return false };
        let is_elsewhere = self.zone.as_ref() != Some(&content.mark.zone);
        let is_guest = matches!(content.mark.of, super::Of::Interface(..));
        let is_other = content.mark.key().is_some_and(|key| key != self.key) && !is_guest;
        self.is_ours() && (is_elsewhere || is_other)
    }
}

struct Work<'a> {
    zone: &'a ZoneId,
    rule: Rule<'a>,
    /// Marks on objects that are not what they say.
    displaced: BTreeSet<Mark>,
    difference: Difference,
}

impl Work<'_> {
    fn refuse(&mut self, key: Key, why: Refusal) {
        let of = Subject::Object(self.zone.clone(), key);
        self.difference.refused.push(Refused { of, why });
    }

    fn wanted(&mut self, key: Key, content: &Content, objects: &[&FoundObject]) {
        if self.displaced.contains(&content.mark) {
            return;
        }
        let ours: Vec<_> =
            objects.iter().filter(|one| one.is_ours() && !one.is_displaced()).collect();
        self.difference.counts.ours += ours.len();
        let has_mark =
            |one: &&&&FoundObject| one.content.as_ref().is_some_and(|is| is.mark == content.mark);
        let Some(kept) = ours.iter().find(has_mark).or(ours.first()) else {
            return self.wanted_anew(key, content, objects);
        };
        if kept.content.as_ref() == Some(content) {
            self.difference.counts.unchanged += 1;
        } else {
            let (found, content) = (Box::new((**kept).clone()), content.clone());
            self.difference.steps.push(Step::Update { found, content });
        }
        for double in ours.iter().filter(|one| one.id != kept.id) {
            self.difference.steps.push(Step::Delete { found: Box::new((**double).clone()) });
        }
        if ours.len() < objects.len() {
            self.refuse(key, Refusal::Several(objects.len()));
        }
    }

    fn wanted_anew(&mut self, key: Key, content: &Content, objects: &[&FoundObject]) {
        let (zone, content) = (self.zone.clone(), content.clone());
        match objects {
            [] => self.difference.steps.push(Step::Create { zone, key, content }),
            [object] => match &object.owner {
                Owner::Nobody if self.rule.adopt => {
                    let found = Box::new((*object).clone());
                    self.difference.steps.push(Step::Update { found, content });
                }
                Owner::Marked(mark) => self.refuse(key, Refusal::Marked(mark.clone())),
                // One of ours is displaced, which is said of its own mark.
                Owner::Nobody | Owner::Ours => {
                    self.refuse(key, Refusal::Foreign(object.label.clone()));
                }
            },
            several => self.refuse(key, Refusal::Several(several.len())),
        }
    }

    fn unwanted(
        &mut self,
        key: Key,
        object: &FoundObject,
        wanted: &Wanted,
        by_key: &BTreeMap<Key, Vec<&FoundObject>>,
    ) {
        if object.is_displaced() {
            return;
        }
        self.difference.counts.ours += 1;
        let within = by_key.iter().filter(|(inner, _)| match key {
            Key::Prefix(prefix) => inner.is_below(&prefix),
            Key::Space => **inner != Key::Space,
            Key::Range(..) | Key::Address(_) => false,
        });
        let cascades = self.rule.reach.cascades;
        let stays = |inner: &Key, object: &FoundObject| {
            let is_wanted = cascades && wanted.objects.contains_key(inner);
            is_wanted || !object.is_ours() || object.is_displaced()
        };
        let staying: Vec<Key> = within
            .filter(|(inner, objects)| objects.iter().any(|object| stays(inner, object)))
            .map(|(inner, _)| *inner)
            .collect();
        match staying.first() {
            Some(first) => self.refuse(key, Refusal::NotEmpty(*first, staying.len())),
            None => self.difference.steps.push(Step::Delete { found: Box::new(object.clone()) }),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, updated, removed, unchanged, ours: _ } = self;
        write!(
            f,
            "{created} to create, {updated} to update, {removed} to remove, {unchanged} unchanged"
        )
    }
}

/// One line, such as `+ address 10.0.0.5 (guest web on vnet va)`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { key, content, .. } => write!(f, "+ {key} ({})", content.description),
            Self::Delete { found } => write!(f, "- {} ({})", found.key, found.label),
            Self::Update { found, content } => {
                write!(f, "~ {} ({})", found.key, content.description)?;
                match &found.content {
                    None => f.write_str(": adopted"),
                    Some(before) => write!(f, ": {}", changed(before, content)),
                }
            }
        }
    }
}

/// What of an object is another one than before.
fn changed(before: &Content, after: &Content) -> String {
    let mut words = Vec::new();
    let mut say = |is: bool, word: &'static str| words.extend(is.then_some(word));
    say(before.mark != after.mark, "mark");
    say(before.length != after.length, "prefix length");
    say(before.dns_name != after.dns_name, "DNS name");
    say(before.lease != after.lease, "lease");
    say(before.is_closed != after.is_closed, "who may have its addresses");
    say(before.description != after.description, "description");
    words.join(", ")
}

//! What is wanted, what is found and what is ours, value by value.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::mark::{self, Marked};
use super::{
    Comment, Found, Fqdn, Holder, Record, RecordKind, Refusal, Refused, Rrset, Subject, WantedZone,
    Way, address_of,
};
use crate::value::ClusterName;

/// By what a zone is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// Whose marks are ours.
    pub cluster: &'a ClusterName,
    /// Time to live of sets that are all ours, in seconds.
    pub ttl: u32,
    /// What becomes ours that somebody else made.
    pub adopt: Adopt<'a>,
    /// Where marks are written.
    pub way: Way,
    /// Addresses whose records of ours stay, wanted or not.
    pub stranded: &'a BTreeSet<IpAddr>,
    /// The names that are looked at; all where there is none.
    pub only: Option<&'a BTreeSet<Fqdn>>,
}

/// What becomes ours though somebody else made it: never what another cluster has marked.
#[derive(Clone, Copy, Debug)]
pub enum Adopt<'a> {
    /// Nothing.
    Nothing,
    /// Whatever is as wanted.
    AsWanted,
    /// Of that, what was shown: types and contents by name.
    Shown(&'a BTreeMap<Fqdn, BTreeSet<(RecordKind, String)>>),
}

/// What is done about a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What changes, in the order of names.
    pub changes: Vec<NameChange>,
    /// What cannot be done.
    pub refused: Vec<Refused>,
    /// How many records.
    pub counts: Counts,
}

/// How many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be added.
    pub added: usize,
    /// To be removed.
    pub removed: usize,
    /// Names at which only the time to live, a switch or a mark is mended.
    pub repaired: usize,
    /// Ours and as wanted.
    pub unchanged: usize,
    /// As wanted, and somebody else's.
    pub of_others: usize,
    /// Ours before.
    pub ours: usize,
}

/// What changes at one name. All of it is written at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// The name.
    pub name: Fqdn,
    /// What changes, by type.
    pub edits: Vec<Edit>,
    /// The sets as they are to be.
    pub writes: Vec<Write>,
}

/// What changes in the set of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The type.
    pub kind: RecordKind,
    /// What is added, each with whose it is.
    pub added: BTreeMap<String, BTreeSet<Holder>>,
    /// What is removed.
    pub removed: BTreeSet<String>,
    /// What was somebody else's and becomes ours as it is.
    pub adopted: BTreeSet<String>,
    /// What is ours and was switched off by somebody.
    pub switched_on: BTreeSet<String>,
    /// The time to live before and after, in seconds.
    pub ttl: Option<(u32, u32)>,
    /// Whether what says that it is ours changes.
    pub mark: bool,
}

/// A set as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The name.
    pub name: Fqdn,
    /// The type.
    pub kind: RecordKind,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// The records; the set goes where there is none.
    pub records: Vec<Record>,
    /// The comments; left as they are where there is none.
    pub comments: Option<Vec<Comment>>,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            removed: self.removed + other.removed,
            repaired: self.repaired + other.repaired,
            unchanged: self.unchanged + other.unchanged,
            of_others: self.of_others + other.of_others,
            ours: self.ours + other.ours,
        }
    }
}

impl NameChange {
    /// What is added, removed and mended.
    pub fn counts(&self) -> Counts {
        let added = self.edits.iter().map(|edit| edit.added.len()).sum();
        let removed = self.edits.iter().map(|edit| edit.removed.len()).sum();
        let repaired = usize::from(added == 0 && removed == 0);
        Counts { added, removed, repaired, ..Counts::default() }
    }

    /// Whether records go.
    pub fn removes(&self) -> bool {
        self.edits.iter().any(|edit| !edit.removed.is_empty())
    }
}

impl Edit {
    fn is_empty(&self) -> bool {
        self.adopted.is_empty() && self.leaves_the_set()
    }

    /// Whether the set itself, with its comments, stays as it is.
    fn leaves_the_set(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.switched_on.is_empty()
            && self.ttl.is_none()
            && !self.mark
    }
}

/// What is done about a zone. Nothing exactly if it is as wanted, as far as it is ours.
pub fn difference(zone: &Fqdn, wanted: &WantedZone, found: &Found, rule: &Rule<'_>) -> Difference {
    let mut difference = Difference::default();
    let nothing = BTreeMap::new();
    let of_others = mark::of_others(found, rule.cluster);
    let marked = found.names.iter().filter_map(|(name, sets)| {
        let is_ours = |comment| mark::in_comment(comment, rule.cluster).is_some();
        let in_comments = sets.values().flat_map(|set| &set.comments).any(is_ours);
        if in_comments { Some(name.clone()) } else { mark::marked_name(name, rule.cluster) }
    });
    let mut names: BTreeSet<Fqdn> = marked.chain(wanted.keys().cloned()).collect();
    names.retain(|name| rule.only.is_none_or(|only| only.contains(name)));
    for name in &names {
        let wanted = wanted.get(name).unwrap_or(&nothing);
        let work = AtName { name, wanted, found, rule, of_others: &of_others };
        let obstacle = work.obstacle(zone).filter(|_| !wanted.is_empty());
        if let Some(why) = obstacle {
            difference.refused.push(Refused { of: work.holders(), why });
        } else {
            work.compare(&mut difference);
        }
    }
    difference
}

struct AtName<'a> {
    name: &'a Fqdn,
    wanted: &'a BTreeMap<RecordKind, BTreeMap<String, BTreeSet<Holder>>>,
    found: &'a Found,
    rule: &'a Rule<'a>,
    of_others: &'a BTreeSet<(Fqdn, RecordKind, String)>,
}

impl AtName<'_> {
    fn holders(&self) -> Subject {
        Subject::Holders(
            self.wanted.values().flat_map(BTreeMap::values).flatten().cloned().collect(),
        )
    }

    /// Why nothing at this name would be found, or could be there.
    fn obstacle(&self, zone: &Fqdn) -> Option<Refusal> {
        let has = |name: &Fqdn, kind| self.found.rrset(name, kind).is_some();
        if has(self.name, RecordKind::Cname) {
            return Some(Refusal::Alias(self.name.clone()));
        }
        let leads = |at: Fqdn, kind| Refusal::LeadsElsewhere(self.name.clone(), at, kind);
        if self.name != zone && has(self.name, RecordKind::Ns) {
            return Some(leads(self.name.clone(), RecordKind::Ns));
        }
        for above in self.name.above().filter(|above| above.is_within(zone)) {
            if has(&above, RecordKind::Dname) {
                return Some(leads(above, RecordKind::Dname));
            }
            if above != *zone && has(&above, RecordKind::Ns) {
                return Some(leads(above, RecordKind::Ns));
            }
        }
        None
    }

    fn compare(&self, difference: &mut Difference) {
        let marked = mark::marked(self.found, self.name, self.rule.cluster);
        let mut ours = Marked::new();
        let mut change =
            NameChange { name: self.name.clone(), edits: Vec::new(), writes: Vec::new() };
        let mut counts = Counts::default();
        let mut refused = Vec::new();
        for kind in RecordKind::REGISTERED {
            let set = self.found.rrset(self.name, kind);
            let empty = BTreeSet::new();
            let marked = marked.get(&kind).unwrap_or(&empty);
            let outcome = self.compare_set(kind, set, marked, &mut counts, &mut refused);
            if !outcome.edit.leaves_the_set() {
                change.writes.push(outcome.write);
            }
            if !outcome.edit.is_empty() {
                change.edits.push(outcome.edit);
            }
            if !outcome.ours.is_empty() {
                ours.insert(kind, outcome.ours);
            }
        }
        match self.compare_texts(&ours) {
            Ok(write) => change.writes.extend(write),
            Err(why) => {
                refused.push(Refused { of: self.holders(), why });
                difference.refused.extend(refused);
                return;
            }
        }
        if !change.writes.is_empty() {
            counts = counts.and(change.counts());
            difference.changes.push(change);
        }
        difference.counts = difference.counts.and(counts);
        difference.refused.extend(refused);
    }

    fn compare_set(
        &self,
        kind: RecordKind,
        set: Option<&Rrset>,
        marked: &BTreeSet<String>,
        counts: &mut Counts,
        refused: &mut Vec<Refused>,
    ) -> Outcome {
        let none = Rrset { ttl: self.rule.ttl, ..Rrset::default() };
        let (set, is_there) = (set.unwrap_or(&none), set.is_some());
        let no_one = BTreeMap::new();
        let wanted = self.wanted.get(&kind).unwrap_or(&no_one);
        let (owned, mut foreign): (Vec<_>, Vec<_>) = set
            .records
            .iter()
            .map(|record| (kind.normal(&record.content), record))
            .partition(|(content, _)| marked.contains(content));
        let mut records: BTreeMap<String, Record> =
            owned.iter().map(|(content, record)| (content.clone(), (*record).clone())).collect();
        counts.ours += records.len();
        let mut edit = Edit {
            kind,
            added: BTreeMap::new(),
            removed: BTreeSet::new(),
            adopted: BTreeSet::new(),
            switched_on: BTreeSet::new(),
            ttl: None,
            mark: false,
        };
        foreign.retain(|(content, record)| {
            let is_adopted =
                wanted.contains_key(content) && !record.disabled && self.may_adopt(kind, content);
            if is_adopted && records.insert(content.clone(), (*record).clone()).is_none() {
                edit.adopted.insert(content.clone());
            }
            !is_adopted
        });
        let is_shared = !marked.is_empty() || !edit.adopted.is_empty();
        for (content, holders) in wanted {
            if edit.adopted.contains(content) {
                continue;
            }
            if records.contains_key(content) {
                counts.unchanged += 1;
                continue;
            }
            let found = || foreign.iter().map(|(content, _)| content.clone()).collect();
            let why = match foreign.iter().find(|(found, _)| found == content) {
                Some((_, record)) if record.disabled => {
                    Refusal::Disabled(self.name.clone(), kind, content.clone())
                }
                Some(_) => {
                    counts.of_others += 1;
                    continue;
                }
                // An address has one name, unless all who say so agree to several.
                None if kind == RecordKind::Ptr && !foreign.is_empty() => Refusal::Foreign {
                    name: self.name.clone(),
                    wanted: content.clone(),
                    found: found(),
                },
                // A name that is somebody else's leads where it led before.
                None if !is_shared && self.is_nobodys(kind, &foreign) => Refusal::NameOfOthers {
                    name: self.name.clone(),
                    wanted: content.clone(),
                    found: found(),
                },
                None => {
                    edit.added.insert(content.clone(), holders.clone());
                    let record = Record { content: content.clone(), disabled: false };
                    records.insert(content.clone(), record);
                    continue;
                }
            };
            refused.push(Refused { of: Subject::Holders(holders.clone()), why });
        }
        records.retain(|content, record| {
            if !wanted.contains_key(content) && !self.is_stranded(kind, content) {
                edit.removed.insert(content.clone());
                return false;
            }
            if wanted.contains_key(content) && record.disabled {
                edit.switched_on.insert(content.clone());
                record.disabled = false;
            }
            true
        });
        let ours: BTreeSet<String> = records.keys().cloned().collect();
        let ttl = if foreign.is_empty() { self.rule.ttl } else { set.ttl };
        edit.ttl = (is_there && !ours.is_empty() && ttl != set.ttl).then_some((set.ttl, ttl));
        let (own, mut comments): (Vec<_>, Vec<_>) = set
            .comments
            .iter()
            .cloned()
            .partition(|comment| mark::in_comment(comment, self.rule.cluster).is_some());
        let is_marked_here = self.rule.way == Way::Comments;
        if is_marked_here {
            let wanted = (!ours.is_empty()).then(|| mark::comment(&ours, self.rule.cluster));
            let is = own.iter().map(|comment| &comment.content);
            edit.mark = is_there && !is.eq(wanted.iter().map(|comment| &comment.content));
            comments.extend(wanted);
        }
        let foreign = foreign.into_iter().map(|(_, record)| record.clone());
        let records: Vec<Record> = foreign.chain(records.into_values()).collect();
        let comments = (is_marked_here && !records.is_empty()).then_some(comments);
        let write = Write { name: self.name.clone(), kind, ttl, records, comments };
        Outcome { ours, edit, write }
    }

    fn may_adopt(&self, kind: RecordKind, content: &str) -> bool {
        let is_meant = match self.rule.adopt {
            Adopt::Nothing => false,
            Adopt::AsWanted => true,
            Adopt::Shown(shown) => shown
                .get(self.name)
                .is_some_and(|shown| shown.contains(&(kind, content.to_owned()))),
        };
        is_meant && !self.is_of_a_cluster(kind, content)
    }

    /// Whether some of what others have is no other cluster's: clusters may share a name.
    fn is_nobodys(&self, kind: RecordKind, foreign: &[(String, &Record)]) -> bool {
        foreign.iter().any(|(content, _)| !self.is_of_a_cluster(kind, content))
    }

    fn is_of_a_cluster(&self, kind: RecordKind, content: &str) -> bool {
        self.of_others.contains(&(self.name.clone(), kind, content.to_owned()))
    }

    fn is_stranded(&self, kind: RecordKind, content: &str) -> bool {
        let address = match kind {
            RecordKind::Ptr => address_of(self.name),
            _ => content.parse().ok(),
        };
        address.is_some_and(|address| self.rule.stranded.contains(&address))
    }

    /// The TXT records that say what is ours, if they must be written.
    fn compare_texts(&self, ours: &Marked) -> Result<Option<Write>, Refusal> {
        let cluster = self.rule.cluster;
        let is_marked_here = self.rule.way == Way::Text && !ours.is_empty();
        let Some(name) = mark::name_of_marks(self.name, cluster) else {
            let refusal = Refusal::MarkTooLong(self.name.clone());
            return if is_marked_here { Err(refusal) } else { Ok(None) };
        };
        let set = self.found.rrset(&name, RecordKind::Txt);
        let wanted = if is_marked_here { mark::texts(ours, cluster) } else { Vec::new() };
        let others = set.map(|set| mark::others_texts(set, cluster)).unwrap_or_default();
        let own: BTreeSet<&Record> = set
            .into_iter()
            .flat_map(|set| &set.records)
            .filter(|one| !others.contains(one))
            .collect();
        if own == wanted.iter().collect() {
            return Ok(None);
        }
        let ttl = set.filter(|_| !others.is_empty()).map_or(self.rule.ttl, |set| set.ttl);
        let records = others.into_iter().chain(wanted).collect();
        Ok(Some(Write { name, kind: RecordKind::Txt, ttl, records, comments: None }))
    }
}

/// What becomes of one set.
struct Outcome {
    ours: BTreeSet<String>,
    edit: Edit,
    write: Write,
}

//! Whether what a file declares keeps within a scope of the policy.
//!
//! An object that differs is judged as a whole, as it was and as it is: neither may be
//! taken from another nor given to another. What an object says beyond its own id is an
//! id, a number or an address of a list of the scope; what no list covers is its own
//! affair. So a file can have findings that stop everybody, and can touch nobody.

mod objects;
mod outline;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use self::objects::Objects;
use self::outline::{Outline, Zones};
use crate::declare::finding::{Findings, Severity};
use crate::declare::policy::{Difference, File, Scope};
use crate::declare::yaml::{Node, Value};
use crate::declare::{self, Declared};
use crate::value::{ObjectId, RepoPath};

/// How many files are remembered before all are forgotten.
const MAX_REMEMBERED: usize = 20_000;

/// Judges differences, and remembers what it read.
#[derive(Debug, Default)]
pub struct Scopes {
    outlines: RefCell<HashMap<ObjectId, Rc<Outline>>>,
}

/// One side of a file: its objects by kind and id.
struct Side {
    declared: Declared,
    nodes: BTreeMap<String, BTreeMap<String, Node>>,
}

impl Scopes {
    /// Whether a difference keeps within its scope; the sentence says what does not.
    pub fn judge(&self, difference: &Difference<'_>) -> Result<(), String> {
        let Difference { scope, path, before, after } = *difference;
        let (old, new) = (side(path, before)?, side(path, after)?);
        let (was, is) = (self.zones(before), self.zones(after));
        let say = |how: String| format!("`{path}`: {how}");
        Objects { scope, this: &old, other: &new, zones: &was, is_new: false }
            .judge()
            .map_err(say)?;
        Objects { scope, this: &new, other: &old, zones: &is, is_new: true }
            .judge()
            .map_err(say)?;
        retagged(scope, &old, &new, &was, &is).map_err(say)
    }

    fn zones(&self, files: &[File]) -> Zones {
        let mut remembered = self.outlines.borrow_mut();
        let mut zones = Zones::default();
        for file in files {
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
            let outline = remembered.entry(file.id).or_insert_with(|| Rc::new(Outline::of(file)));
            zones.add(outline);
        }
        zones
    }
}

/// The vnets of a zone that becomes one of another type: their tags then mean something
/// else, wherever they are declared.
fn retagged(scope: &Scope, old: &Side, new: &Side, was: &Zones, is: &Zones) -> Result<(), String> {
    for zone in new.declared.zones.keys().filter(|zone| !same("zones", zone.as_str(), old, new)) {
        if was.types(zone) == is.types(zone) {
            continue;
        }
        for (vnet, tag) in is.vnets(zone) {
            objects::tag_fits(scope, is, zone, tag)
                .map_err(|how| format!("zone `{zone}` is of another type, vnet `{vnet}`: {how}"))?;
        }
    }
    Ok(())
}

/// What a file says, where it can be read as a whole.
fn side(path: &RepoPath, files: &[File]) -> Result<Side, String> {
    let mut nodes = BTreeMap::new();
    let Ok(index) = files.binary_search_by(|file| file.path.cmp(path)) else {
        return Ok(Side { declared: Declared::default(), nodes });
    };
    let mut findings = Findings::default();
    let (declared, root) = declare::file(path, &files[index].text, &mut findings);
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    if let Some(first) = errors.next() {
        let place =
            first.marks.first().map_or_else(String::new, |mark| format!("{}: ", mark.place));
        return Err(format!("what cannot be read cannot be judged: {place}{}", first.message));
    }
    for (kind, objects) in root.iter().flat_map(entries) {
        let objects = entries(objects).map(|(id, node)| (id.to_owned(), node.clone()));
        nodes.insert(kind.to_owned(), objects.collect());
    }
    Ok(Side { declared, nodes })
}

fn entries(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let pairs = match &node.value {
        Value::Map(pairs) => pairs.as_slice(),
        _ => &[],
    };
    pairs.iter().map(|(key, node)| (key.text.as_str(), node))
}

/// Whether an object is on both sides, and written the same.
fn same(kind: &str, id: &str, one: &Side, other: &Side) -> bool {
    let objects = (one.nodes.get(kind), other.nodes.get(kind));
    let (Some(one), Some(other)) = objects else { return false };
    one.get(id).zip(other.get(id)).is_some_and(|(one, other)| one.means(other))
}

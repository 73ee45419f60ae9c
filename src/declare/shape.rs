//! From a YAML node to a value of the domain, with every finding on the way.
//!
//! A type that can stand in a declaration implements [`Shape`]: how it is read
//! and what its JSON Schema says, side by side so that the two cannot differ.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::finding::{Code, Finding, Findings, Severity, suggestion};
use super::yaml::{Key, Node, Value};
use crate::value::{At, Place};

/// What can stand in a declaration.
pub trait Shape: Sized {
    /// The value, or findings that say why there is none.
    fn read(node: &Node, findings: &mut Findings) -> Option<Self>;

    /// The JSON Schema (draft 2020-12) of what [`Shape::read`] accepts.
    fn schema() -> Json;
}

/// A value whose key may be one of many: what keys of maps are read as.
pub trait KeyShape: FromStr<Err: std::fmt::Display> + Ord + Clone {
    /// The JSON Schema of the key.
    fn key_schema() -> Json;
}

pub(super) fn wrong_type(node: &Node, wanted: &str, findings: &mut Findings) {
    let finding = if matches!(node.value, Value::Null) {
        Finding::new(
            Code::NullValue,
            format!("there is no value here; {wanted} is wanted"),
            &node.place,
        )
        .help("give it a value, or remove the key to have the default")
    } else {
        let message = format!("{wanted} is wanted here, not {}", node.value.kind());
        Finding::new(Code::WrongType, message, &node.place)
    };
    findings.push(finding);
}

pub(super) fn bad_value(message: impl Into<String>, place: &Place, findings: &mut Findings) {
    findings.push(Finding::new(Code::BadValue, message, place));
}

impl<T: Shape> Shape for At<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        T::read(node, findings).map(|value| Self { value, place: node.place.clone() })
    }

    fn schema() -> Json {
        T::schema()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let mut finding = Finding::new(
                if matches!(node.value, Value::Null) { Code::NullValue } else { Code::WrongType },
                format!("a list is wanted here, not {}", node.value.kind()),
                &node.place,
            );
            let of_maps = T::schema().get("type").is_some_and(|kind| kind == "object");
            if of_maps {
                finding = finding.help("write a list of maps: `[{OPTION: VALUE, …}]`");
            } else if let Value::Scalar { text, .. } = &node.value {
                let items: Vec<&str> = text
                    .split([',', ';', ' '])
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .collect();
                finding = finding.help(format!("write `[{}]`", items.join(", ").escape_debug()));
            }
            findings.push(finding);
            return None;
        };
        // Every item is read before one that is wrong loses the list.
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, findings)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// An object of a map, with the place of its id.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Where its id stands.
    pub place: Place,
    /// Whether all of it could be read. What is missing from an object that could not
    /// may be what was wrong.
    pub whole: bool,
    /// The object.
    pub value: T,
}

/// Objects by id. The same id twice is a finding at both places, and the first
/// one counts.
pub type Entries<K, T> = BTreeMap<K, Entry<T>>;

impl<K: KeyShape, T: Shape> Shape for Entries<K, T> {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let mut entries = Self::new();
        merge(&mut entries, node, "entry", findings)?;
        Some(entries)
    }

    fn schema() -> Json {
        json!({ "type": "object", "propertyNames": K::key_schema(), "additionalProperties": T::schema() })
    }
}

/// Reads a map of objects into those read before.
pub fn merge<K: KeyShape, T: Shape>(
    entries: &mut Entries<K, T>,
    node: &Node,
    what: &str,
    findings: &mut Findings,
) -> Option<()> {
    let Value::Map(pairs) = &node.value else {
        wrong_type(node, "a map", findings);
        return None;
    };
    for (key, value) in pairs {
        let id = match key.text.parse::<K>() {
            Ok(id) => id,
            Err(error) => {
                bad_value(error.to_string(), &key.place, findings);
                // What it holds is read all the same, for its own findings.
                T::read(value, findings);
                continue;
            }
        };
        let before = findings.count(Severity::Error);
        let read = T::read(value, findings);
        let whole = findings.count(Severity::Error) == before;
        if let Some(first) = entries.get(&id) {
            let message = format!("{what} `{}` is declared twice", key.text);
            let finding = Finding::new(Code::DuplicateId, message, &key.place)
                .label("again here")
                .also(&first.place, "first here")
                .help("remove one of the two, or give it another id");
            findings.push(finding);
        } else if let Some(value) = read {
            entries.insert(id, Entry { place: key.place.clone(), whole, value });
        }
    }
    Some(())
}

/// Up to how many entries a map is looked through without an index.
const SMALL: usize = 32;

/// The entries of one map while they are taken out key by key.
#[derive(Debug)]
pub struct Fields<'a> {
    what: &'static str,
    place: Place,
    known: Vec<&'static str>,
    entries: Vec<(&'a Key, &'a Node)>,
}

impl<'a> Fields<'a> {
    /// The entries of a node that must be a map; a key that stands twice is a
    /// finding, and the first one counts.
    pub fn of(node: &'a Node, what: &'static str, findings: &mut Findings) -> Option<Self> {
        let Value::Map(pairs) = &node.value else {
            if matches!(node.value, Value::Null) {
                let message = format!("there is no value here; {what} is wanted");
                let finding = Finding::new(Code::NullValue, message, &node.place).help(
                    "write `{}` for one without options; options stand on lines of their own, indented deeper",
                );
                findings.push(finding);
            } else {
                wrong_type(node, what, findings);
            }
            return None;
        };
        let mut entries: Vec<(&Key, &Node)> = Vec::with_capacity(pairs.len());
        let mut index = HashMap::new();
        for (key, value) in pairs {
            // Nearly every map is so small that looking through it costs less than an index.
            let first = if entries.len() < SMALL {
                entries.iter().map(|(first, _)| *first).find(|first| first.text == key.text)
            } else {
                if index.is_empty() {
                    index.extend(entries.iter().map(|(first, _)| (first.text.as_str(), *first)));
                }
                index.get(key.text.as_str()).copied()
            };
            if let Some(first) = first {
                let message = format!("`{}` stands twice in {what}", key.text.escape_debug());
                let finding = Finding::new(Code::DuplicateKey, message, &key.place)
                    .label("again here")
                    .also(&first.place, "first here");
                findings.push(finding);
            } else {
                if !index.is_empty() {
                    index.insert(key.text.as_str(), key);
                }
                entries.push((key, value));
            }
        }
        Some(Self { what, place: node.place.clone(), known: Vec::new(), entries })
    }

    /// The raw value of a key.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let index = self.entries.iter().position(|(seen, _)| seen.text == key)?;
        Some(self.entries.swap_remove(index).1)
    }

    /// The value of a key that may be absent.
    pub fn optional<T: Shape>(&mut self, key: &'static str, findings: &mut Findings) -> Option<T> {
        T::read(self.node(key)?, findings)
    }

    /// The value of a key that must be there.
    pub fn required<T: Shape>(&mut self, key: &'static str, findings: &mut Findings) -> Option<T> {
        if let Some(node) = self.node(key) {
            return T::read(node, findings);
        }
        let message = format!("{} has no `{key}`", self.what);
        findings.push(
            Finding::new(Code::MissingKey, message, &self.place).help(format!("add `{key}: …`")),
        );
        None
    }

    /// Whatever is left is a key that does not belong here.
    pub fn finish(mut self, findings: &mut Findings) {
        self.entries.sort_by(|a, b| a.0.place.cmp(&b.0.place));
        for (key, _) in &self.entries {
            let message = format!("`{}` is no option of {}", key.text.escape_debug(), self.what);
            let mut finding = Finding::new(Code::UnknownKey, message, &key.place);
            finding.help = suggestion(&key.text, "options", self.known.iter().copied());
            findings.push(finding);
        }
    }
}

/// The index of the word that stands here.
pub fn choice(
    node: &Node,
    what: &str,
    words: &'static [&'static str],
    findings: &mut Findings,
) -> Option<usize> {
    let Value::Scalar { text, .. } = &node.value else {
        wrong_type(node, what, findings);
        return None;
    };
    if let Some(index) = words.iter().position(|word| word == text) {
        return Some(index);
    }
    let message = format!("`{}` is not {what}", text.escape_debug());
    let mut finding = Finding::new(Code::BadValue, message, &node.place);
    finding.help = suggestion(text, "choices", words.iter().copied());
    findings.push(finding);
    None
}

//! YAML text that every reader of YAML reads in the same way.
//!
//! Written by hand because comments have to stand beside the entries, which a
//! serialiser cannot write.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::declare::tree::MAX_FILE_BYTES;

/// Where a file ends and the next one begins, in bytes: well below what is read.
const FILE_BYTES: usize = (MAX_FILE_BYTES / 2) as usize;

/// A value.
#[derive(Debug)]
pub(super) enum Item {
    /// A text, quoted where it must be.
    Text(String),
    /// A number or a boolean.
    Bare(String),
    /// Several values, on one line where they are short.
    List(Vec<Item>),
    /// Entries, on lines of their own, or on one line inside a list.
    Map(Map),
}

/// Entries in order, with lines for people before and behind them.
#[derive(Debug, Default)]
pub(super) struct Map {
    notes: Vec<String>,
    entries: Vec<(String, Item)>,
    comments: Vec<String>,
    /// It stands on one line where it is short.
    compact: bool,
}

impl Map {
    /// One that stands on one line where it is short.
    pub(super) fn compact() -> Self {
        Self { compact: true, ..Self::default() }
    }

    pub(super) fn insert(&mut self, key: String, item: Item) {
        self.entries.push((key, item));
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.iter().any(|(seen, _)| seen == key)
    }

    /// Adds all of another.
    pub(super) fn extend(&mut self, other: Self) {
        self.notes.extend(other.notes);
        self.entries.extend(other.entries);
        self.comments.extend(other.comments);
    }

    /// Whether something is in it that is read.
    pub(super) fn has_entries(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether something is in it that is not read.
    pub(super) fn has_comments(&self) -> bool {
        !self.comments.is_empty()
    }

    /// A line for people before the entries.
    pub(super) fn note(&mut self, line: &str) {
        self.notes.push(plain(line));
    }

    /// A line for people behind the entries.
    pub(super) fn remark(&mut self, line: &str) {
        self.comments.push(plain(line));
    }

    /// Keeps something visible that is not read.
    pub(super) fn comment(&mut self, key: &str, value: &Json) {
        let value = without_secrets(key, value);
        self.remark(&format!("{}: {value}", key.escape_default()));
    }
}

/// Text as one line of ASCII: JSON text escapes line feeds but not every line break of
/// YAML.
fn plain(text: &str) -> String {
    text.chars().fold(String::new(), |mut plain, c| {
        if (' '..='~').contains(&c) {
            plain.push(c);
        } else {
            plain.extend(c.escape_unicode());
        }
        plain
    })
}

/// The files that hold these maps, each map under its key. Each file begins with `head`.
pub(super) fn documents(head: &str, maps: &[(&str, Map)]) -> Vec<String> {
    let mut documents = Vec::new();
    let mut text = String::new();
    for (key, map) in maps {
        let start = |text: &mut String, lines: &[String]| {
            text.push_str(if text.is_empty() { head } else { "\n" });
            comments(text, lines, 0);
        };
        let mut open = false;
        for (number, (id, item)) in map.entries.iter().enumerate() {
            if text.len() > FILE_BYTES {
                documents.push(std::mem::take(&mut text));
                open = false;
            }
            if !open {
                start(&mut text, if number == 0 { &map.notes } else { &[] });
                let _ = writeln!(text, "{}:", scalar(key));
                open = true;
            }
            entry(&mut text, id, item, 1);
        }
        if !map.comments.is_empty() {
            if !open {
                start(&mut text, &map.notes);
            }
            comments(&mut text, &map.comments, usize::from(open));
        }
    }
    if !text.is_empty() {
        documents.push(text);
    }
    documents
}

fn comments(text: &mut String, lines: &[String], depth: usize) {
    for line in lines {
        let _ = writeln!(text, "{:1$}# {line}", "", depth * 2);
    }
}

/// How long a line becomes before its value is written over several.
const WIDTH: usize = 96;

fn entry(text: &mut String, key: &str, item: &Item, depth: usize) {
    let start = text.len();
    let _ = write!(text, "{:1$}{key}:", "", depth * 2, key = scalar(key));
    let room = WIDTH.saturating_sub(text.len() - start);
    match item {
        Item::Map(map) if !map.is_short(room) => {
            text.push('\n');
            comments(text, &map.notes, depth + 1);
            for (key, item) in &map.entries {
                entry(text, key, item, depth + 1);
            }
            comments(text, &map.comments, depth + 1);
        }
        Item::List(items) if is_long(item, room) => {
            text.push('\n');
            for item in items {
                let _ = writeln!(text, "{:1$}- {item}", "", depth * 2 + 2, item = flow(item));
            }
        }
        item => {
            let _ = writeln!(text, " {}", flow(item));
            if let Item::Map(map) = item {
                comments(text, &map.notes, depth + 1);
                comments(text, &map.comments, depth + 1);
            }
        }
    }
}

impl Map {
    /// Whether it stands on one line.
    fn is_short(&self, room: usize) -> bool {
        let single = |item: &Item| matches!(item, Item::Text(_) | Item::Bare(_));
        self.entries.is_empty()
            || self.compact
                && self.notes.is_empty()
                && self.comments.is_empty()
                && self.entries.iter().all(|(_, item)| single(item))
                && self.entries.len() <= 3
                && flow_map(self).len() < room
    }
}

/// Whether a list stands on several lines: one of maps does.
fn is_long(list: &Item, room: usize) -> bool {
    let Item::List(items) = list else { return false };
    let maps = items.iter().any(|item| matches!(item, Item::Map(_)));
    !items.is_empty() && (maps || flow(list).len() >= room)
}

/// A value on one line.
fn flow(item: &Item) -> String {
    match item {
        Item::Text(text) => scalar(text),
        Item::Bare(text) => text.clone(),
        Item::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Item::Map(map) => flow_map(map),
    }
}

fn flow_map(map: &Map) -> String {
    let entries = map.entries.iter();
    let entries: Vec<String> =
        entries.map(|(key, item)| format!("{}: {}", scalar(key), flow(item))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Words that some reader of YAML takes for something else than text.
const SPECIAL: &[&str] = &["y", "yes", "n", "no", "on", "off", "true", "false", "null"];

/// A text as YAML: as it is where no reader can take it for anything else, else
/// in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !SPECIAL.contains(&text.to_ascii_lowercase().as_str());
    let address = text.split('/').next().unwrap_or_default();
    let dotted = address.parse::<std::net::Ipv4Addr>().is_ok() && text.chars().all(plain);
    if word || dotted {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            ' '..='~' => quoted.push(c),
            c => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Words in names of options whose values may be credentials.
const CREDENTIALS: &[&str] =
    &["token", "secret", "pass", "key", "credential", "auth", "psk", "private", "community", "pin"];

/// A value without anything that could be a credential.
pub(super) fn without_secrets(key: &str, value: &Json) -> Json {
    let holds = |text: &str, behind: &str| {
        // The lines of a route map, `key=…,value=…`, name what is matched.
        let of_route_map = text.strip_prefix("key=").filter(|rest| rest.contains(",value="));
        let text = of_route_map.unwrap_or(text).to_ascii_lowercase();
        CREDENTIALS.iter().any(|word| text.contains(&format!("{word}{behind}")))
    };
    match value {
        _ if holds(key, "") => Json::from("(left out)"),
        Json::String(text) if holds(text, "=") || has_user(text) => Json::from("(left out)"),
        Json::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), without_secrets(key, value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(items) => {
            Json::Array(items.iter().map(|item| without_secrets("", item)).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
    }
}

/// Whether a text is a URL that someone logs in with.
fn has_user(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::declare::Findings;
    use crate::declare::yaml::{self, Value};

    proptest! {
        #[test]
        fn any_text_is_read_back_by_both_readers(text in "(\\PC|[\\x00-\\x7f]){0,20}", key in "[a-z0-9:/ #-]{1,10}") {
            let mut map = Map::default();
            map.insert(key.clone(), Item::List(vec![Item::Text(text.clone())]));
            let document = documents("", &[("kind", map)]).concat();

            let other: std::collections::BTreeMap<String, std::collections::BTreeMap<String, Vec<String>>> =
                serde_yaml::from_str(&document).expect("YAML");
            prop_assert_eq!(&other["kind"][&key], &vec![text.clone()]);

            let mut findings = Findings::default();
            let path = "sdn/x.yaml".parse().expect("a path");
            let root = yaml::parse(&path, &document, &mut findings).expect("YAML");
            prop_assert!(findings.is_empty());
            let Value::Map(kinds) = root.value else { panic!("a map") };
            let Value::Map(entries) = &kinds[0].1.value else { panic!("a map") };
            prop_assert_eq!(&entries[0].0.text, &key);
            let Value::List(items) = &entries[0].1.value else { panic!("a list") };
            let Value::Scalar { text: read, .. } = &items[0].value else { panic!("a text") };
            prop_assert_eq!(read, &text);
        }

        #[test]
        fn a_comment_stays_one_line(key in "\\PC{0,12}|.{0,12}", value in "(.|\n|\r|\u{85}|\u{2028}){0,12}") {
            let mut map = Map::default();
            map.comment(&key, &Json::from(value));
            let text = documents("", &[("kind", map)]).concat();
            prop_assert!(text.starts_with("# ") && text.ends_with('\n'));
            prop_assert!(text.trim_end().chars().all(|c| (' '..='~').contains(&c)));
        }
    }

    #[test]
    fn words_of_other_meaning_are_quoted() {
        for text in ["no", "1e3", "::1", "10.0.0.0/24: ", "", "null", "0x10", "1:30", "-", "# a"] {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
        for text in ["10.0.0.0/24", "node1", "a-b_c.d/e"] {
            assert_eq!(scalar(text), text);
        }
    }
}

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
    /// Several values, on one line.
    List(Vec<Item>),
    /// Entries, on lines of their own, or on one line inside a list.
    Map(Map),
}

/// Entries in order, and comments behind them.
#[derive(Debug, Default)]
pub(super) struct Map {
    entries: Vec<(String, Item)>,
    comments: Vec<String>,
}

impl Map {
    pub(super) fn insert(&mut self, key: String, item: Item) {
        self.entries.push((key, item));
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.iter().any(|(seen, _)| seen == key)
    }

    /// Keeps something visible that is not read.
    pub(super) fn comment(&mut self, key: &str, value: &Json) {
        let value = without_secrets(key, value);
        let line = format!("{}: {value}", key.escape_default());
        // JSON text escapes line feeds but not every line break of YAML.
        let plain = line.chars().fold(String::new(), |mut plain, c| {
            if (' '..='~').contains(&c) {
                plain.push(c);
            } else {
                plain.extend(c.escape_unicode());
            }
            plain
        });
        self.comments.push(plain);
    }

    /// The files that hold these entries under one key.
    pub(super) fn documents(&self, key: &str) -> Vec<String> {
        let mut documents = Vec::new();
        let mut text = String::new();
        for (id, item) in &self.entries {
            if text.is_empty() {
                let _ = writeln!(text, "{}:", scalar(key));
            }
            entry(&mut text, id, item, 1);
            if text.len() > FILE_BYTES {
                documents.push(std::mem::take(&mut text));
            }
        }
        if !text.is_empty() {
            documents.push(text);
        }
        if !self.comments.is_empty() {
            if documents.is_empty() {
                documents.push(String::new());
            }
            if let Some(last) = documents.last_mut() {
                comments(last, &self.comments, usize::from(!self.entries.is_empty()));
            }
        }
        documents
    }

    /// A file of the comments alone, if there are any.
    pub(super) fn only_comments(&self) -> Option<String> {
        let mut text = String::new();
        comments(&mut text, &self.comments, 0);
        (!text.is_empty()).then_some(text)
    }
}

fn comments(text: &mut String, lines: &[String], depth: usize) {
    for line in lines {
        let _ = writeln!(text, "{:1$}# {line}", "", depth * 2);
    }
}

fn entry(text: &mut String, key: &str, item: &Item, depth: usize) {
    let _ = write!(text, "{:1$}{key}:", "", depth * 2, key = scalar(key));
    match item {
        Item::Map(map) if !map.entries.is_empty() => {
            text.push('\n');
            for (key, item) in &map.entries {
                entry(text, key, item, depth + 1);
            }
            comments(text, &map.comments, depth + 1);
        }
        item => {
            let _ = writeln!(text, " {}", flow(item));
            if let Item::Map(map) = item {
                comments(text, &map.comments, depth + 1);
            }
        }
    }
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
        Item::Map(map) => {
            let entries = map.entries.iter();
            let entries: Vec<String> =
                entries.map(|(key, item)| format!("{}: {}", scalar(key), flow(item))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
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
const CREDENTIALS: &[&str] = &["token", "secret", "password", "key", "credential"];

/// A value without anything that could be a credential.
fn without_secrets(key: &str, value: &Json) -> Json {
    let holds = |text: &str, behind: &str| {
        let text = text.to_ascii_lowercase();
        CREDENTIALS.iter().any(|word| text.contains(&format!("{word}{behind}")))
    };
    match value {
        _ if holds(key, "") => Json::from("(left out)"),
        Json::String(text) if holds(text, "=") => Json::from("(left out)"),
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
            let document = map.documents("kind").concat();

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
            let text = map.only_comments().expect("a comment");
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

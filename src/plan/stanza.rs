//! Interfaces files as stanzas, so that two of them can be compared.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The stanzas of a file by interface, their lines in order. Two stanzas of one
/// interface are one, as ifupdown2 reads them. Lines before the first stanza
/// (comments, `source`) and `auto` lines are no part of any.
pub(super) fn stanzas(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut stanzas: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current: Option<(&str, Vec<&str>)> = None;
    for line in text.lines() {
        let line = line.trim();
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some(word) if word.starts_with('#') => {}
            Some("iface") => {
                let begun = words.next().map(|name| (name, Vec::new()));
                add(&mut stanzas, std::mem::replace(&mut current, begun));
            }
            Some("auto" | "allow-hotplug" | "source" | "source-directory" | "mapping") => {
                add(&mut stanzas, current.take());
            }
            Some(_) => {
                if let Some((_, lines)) = &mut current {
                    lines.push(line);
                }
            }
        }
    }
    add(&mut stanzas, current);
    stanzas
}

fn add<'a>(stanzas: &mut BTreeMap<&'a str, Vec<&'a str>>, stanza: Option<(&'a str, Vec<&'a str>)>) {
    if let Some((name, mut lines)) = stanza {
        stanzas.entry(name).or_default().append(&mut lines);
    }
}

/// The lines of a file that are no option of a stanza, one space between words: what
/// begins a stanza, and what stands before the first one. Without comments.
pub(super) fn outside(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first() {
            None => continue,
            Some(word) if word.starts_with('#') => continue,
            Some(&"iface") => inside = true,
            Some(&("auto" | "allow-hotplug" | "source" | "source-directory" | "mapping")) => {
                inside = false;
            }
            Some(_) if inside => continue,
            Some(_) => {}
        }
        found.push(words.join(" "));
    }
    found
}

/// The first word of a line: the option it sets, with Proxmox's two spellings of
/// one option as one.
pub(super) fn option(line: &str) -> Cow<'_, str> {
    let word = line.split_whitespace().next().unwrap_or_default();
    if word.contains('_') { word.replace('_', "-").into() } else { word.into() }
}

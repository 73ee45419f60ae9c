//! Interfaces files as stanzas, so that two of them can be compared.

use std::collections::BTreeMap;

/// The stanzas of a file by interface, their lines in order. Two stanzas of one
/// interface are one, as ifupdown2 reads them. Lines before the first stanza
/// (comments, `source`) and `auto` lines are no part of any.
pub(super) fn stanzas(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut stanzas: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let line = line.trim();
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some(word) if word.starts_with('#') => {}
            Some("iface") => {
                current = words.next().map(str::to_owned);
                if let Some(name) = &current {
                    stanzas.entry(name.clone()).or_default();
                }
            }
            Some("auto" | "allow-hotplug" | "source" | "source-directory" | "mapping") => {
                current = None;
            }
            Some(_) => {
                if let Some(lines) = current.as_ref().and_then(|name| stanzas.get_mut(name)) {
                    lines.push(line.to_owned());
                }
            }
        }
    }
    stanzas
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
pub(super) fn option(line: &str) -> String {
    line.split_whitespace().next().unwrap_or_default().replace('_', "-")
}

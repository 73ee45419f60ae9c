//! What is declared in Proxmox, from its section files or from its running
//! configuration: the same form for both (`pve-ondisk.md` §3).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map as JsonMap, Value as Json};

use super::kind::Kind;
use super::section::{self, Section};
use super::{Damage, json_map};

/// The sections of one kind by id, each with its keys and `type`.
pub(crate) type Objects = JsonMap<String, Json>;

/// Objects by id, the values of each by key.
pub(crate) type Spelled = BTreeMap<String, BTreeMap<String, String>>;

/// All objects, in the form of the running configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How often Proxmox has applied its configuration; 0 where it is not said.
    pub version: u64,
    /// The objects of each kind.
    pub(crate) kinds: BTreeMap<Kind, Objects>,
    /// What stands beside the kinds that are known.
    pub(crate) rest: Objects,
}

/// A line of a section file that Proxmox does not take as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// `FILE:LINE`.
    pub(crate) place: String,
    /// Why.
    pub(crate) why: String,
}

impl Config {
    /// Reads `.running-config`. `file` is its name, for what is said of it.
    pub fn running(file: &str, text: &str) -> Result<Self, Damage> {
        let mut map = json_map(file, text)?;
        let version = map.remove("version").as_ref().and_then(scalar);
        let mut config = Self {
            version: version.and_then(|version| version.parse().ok()).unwrap_or_default(),
            ..Self::default()
        };
        for kind in Kind::APPLIED {
            let name = kind.key();
            let not_a_map = || Damage::new(file, None, format!("`{name}` is not a map"));
            let objects = match map.remove(name) {
                None | Some(Json::Null) => Objects::new(),
                Some(Json::Object(mut section)) => match section.remove("ids") {
                    None | Some(Json::Null) => Objects::new(),
                    Some(Json::Object(ids)) => ids,
                    Some(_) => return Err(not_a_map()),
                },
                Some(_) => return Err(not_a_map()),
            };
            config.kinds.insert(*kind, objects);
        }
        config.rest = map;
        Ok(config)
    }

    /// Adds what a section file says.
    pub(crate) fn read(
        &mut self,
        kind: Kind,
        file: &str,
        text: &str,
    ) -> Result<Vec<Skipped>, Damage> {
        let read = section::read(file, text, kind.dialect())?;
        let place = |line: u32| format!("{file}:{line}");
        let skip = |line: u32, why: String| Skipped { place: place(line), why };
        let mut skipped: Vec<Skipped> = read
            .skipped
            .iter()
            .map(|(line, why)| skip(*line, format!("Proxmox skips this line: {why}")))
            .collect();
        if let Some(first) = read.comments.first() {
            let count = read.comments.len();
            let why = format!("comments are not taken over (lines of them: {count})");
            skipped.push(skip(*first, why));
        }
        let objects = self.kinds.entry(kind).or_default();
        for section in read.sections {
            let (id, line) = (section.id.clone(), section.line);
            let value = Json::Object(object(kind, section, &mut |line, why| {
                skipped.push(skip(line, why));
            }));
            if objects.insert(id.clone(), value).is_some() {
                let why = format!("`{}` stands here again; the last one counts", id.escape_debug());
                skipped.push(skip(line, why));
            }
        }
        Ok(skipped)
    }

    /// The objects of a kind.
    pub(crate) fn take(&mut self, kind: Kind) -> Objects {
        self.kinds.remove(&kind).unwrap_or_default()
    }

    /// The objects of a kind by id, each key by key and in one spelling: what is equal
    /// here says the same, however it is written.
    pub(crate) fn spelled(&self, kind: Kind) -> Spelled {
        let objects = self.kinds.get(&kind).into_iter().flatten();
        objects.map(|(id, object)| (id.clone(), plain(kind, Some(object)))).collect()
    }

    /// Whether something stands beside the kinds that are known.
    pub(crate) fn has_more(&self) -> bool {
        let is_empty = |value: &Json| match value {
            Json::Object(map) => {
                map.values().all(|value| value.as_object().is_some_and(JsonMap::is_empty))
            }
            value => !is_set(value),
        };
        !self.rest.values().all(is_empty)
    }

    /// How another configuration differs, object by object, in the order of kinds and
    /// ids: what is pending where the other one is wanted and this one runs.
    pub fn difference(&self, wanted: &Self) -> Vec<Unequal> {
        let empty = Objects::new();
        let mut found = Vec::new();
        for kind in Kind::APPLIED {
            let runs = self.kinds.get(kind).unwrap_or(&empty);
            let wanted = wanted.kinds.get(kind).unwrap_or(&empty);
            let ids: BTreeSet<&String> = runs.keys().chain(wanted.keys()).collect();
            for id in ids {
                let (old, new) = (runs.get(id), wanted.get(id));
                let state = match (old, new) {
                    (None, _) => State::New,
                    (_, None) => State::Deleted,
                    _ => State::Changed,
                };
                let (old, new) = (plain(*kind, old), plain(*kind, new));
                if old != new || state != State::Changed {
                    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
                    let keys = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
                    let keys = keys.map(|key| UnequalKey {
                        key: key.clone(),
                        runs: old.get(key).cloned(),
                        wanted: new.get(key).cloned(),
                    });
                    found.push(Unequal {
                        kind: kind.one(),
                        id: id.clone(),
                        state,
                        keys: keys.collect(),
                    });
                }
            }
        }
        found
    }
}

/// An object that is wanted otherwise than it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unequal {
    /// The kind of object, such as `zone`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// What is pending.
    pub state: State,
    /// The keys that differ.
    pub keys: Vec<UnequalKey>,
}

/// What Proxmox calls the state of a pending object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does not run yet.
    New,
    /// It runs otherwise.
    Changed,
    /// It runs, and is not wanted.
    Deleted,
}

/// A key that is wanted otherwise than it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnequalKey {
    /// The key.
    pub key: String,
    /// What runs.
    pub runs: Option<String>,
    /// What is wanted.
    pub wanted: Option<String>,
}

/// An object key by key, numbers and lists in one spelling.
fn plain(kind: Kind, object: Option<&Json>) -> BTreeMap<String, String> {
    let keys = object.and_then(Json::as_object).into_iter().flatten();
    keys.filter(|(key, value)| !kind.is_computed(key) && is_set(value))
        .map(|(key, value)| {
            let text = if kind.is_set(key) || kind.is_list(key) {
                let mut all = items(value).unwrap_or_default();
                if kind.is_set(key) {
                    all.sort();
                }
                all.join(",")
            } else if kind.repeats(key) {
                lines(value).unwrap_or_default().join("; ")
            } else if kind.is_flag(key) {
                truth(value).map_or_else(|| value.to_string(), |is| u8::from(is).to_string())
            } else {
                scalar(value).unwrap_or_else(|| value.to_string())
            };
            (key.clone(), text)
        })
        .collect()
}

/// A section in the form of the running configuration.
fn object(kind: Kind, section: Section, skip: &mut dyn FnMut(u32, String)) -> Objects {
    let mut object = Objects::new();
    let of_type = if kind.folds_type() { section.kind.to_lowercase() } else { section.kind };
    object.insert("type".to_owned(), of_type.into());
    for property in section.properties {
        let key = property.key;
        let value = match property.value {
            Some(value) => value,
            None if kind.is_flag(&key) => "1".to_owned(),
            None => {
                // A line that is no key and value may hold anything, a secret too.
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                let shown = if key.chars().all(is_plain) { &*key } else { "(a key)" };
                let why = format!("`{shown}` has no value, so it says nothing");
                skip(property.line, why);
                continue;
            }
        };
        if kind.repeats(&key) {
            let lines = object.entry(key).or_insert_with(|| Json::Array(Vec::new()));
            if let Json::Array(lines) = lines {
                lines.push(value.into());
            }
        } else if object.contains_key(&key) {
            let why = format!("`{}` stands here again; the first one counts", key.escape_debug());
            skip(property.line, why);
        } else {
            object.insert(key, value.into());
        }
    }
    object
}

/// Whether Proxmox takes a value as given at all.
pub(crate) fn is_set(value: &Json) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

/// A single value as text.
pub(crate) fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(if *flag { "1" } else { "0" }.to_owned()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A yes or a no, in each of Proxmox's spellings.
pub(crate) fn truth(value: &Json) -> Option<bool> {
    match scalar(value)?.as_str() {
        "1" | "yes" | "on" | "true" => Some(true),
        "0" | "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// The lines of a key that repeats.
pub(crate) fn lines(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Array(values) => values.iter().map(scalar).collect(),
        value => Some(vec![scalar(value)?]),
    }
}

/// The items of a list: the keys of a map, the items of a list, or the parts of a
/// text between `,`, `;` and white space, as Proxmox splits it.
pub(crate) fn items(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Object(set) => Some(set.keys().cloned().collect()),
        Json::Array(list) => list.iter().map(scalar).collect(),
        value => {
            let text = scalar(value)?;
            let parts =
                text.split(|c: char| c == ',' || c == ';' || c == '\0' || c.is_whitespace());
            Some(parts.filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_becomes_what_runs() {
        let mut config = Config::default();
        let text = "EVPN: z1\n\tnodes n1,n2\n\tadvertise-subnets\n\tmac\n\tmtu 1\n\tmtu 2\n\nsimple: z1\n\n";
        let skipped = config.read(Kind::Zones, "zones.cfg", text).unwrap();
        let said: Vec<String> =
            skipped.iter().map(|skipped| format!("{}: {}", skipped.place, skipped.why)).collect();
        assert_eq!(
            said,
            [
                "zones.cfg:4: `mac` has no value, so it says nothing",
                "zones.cfg:6: `mtu` stands here again; the first one counts",
                "zones.cfg:8: `z1` stands here again; the last one counts",
            ]
        );
        let text = "subnet: z-10.0.0.0-24\n\tvnet v\n\tdhcp-range a\n\tdhcp-range b\n";
        assert!(config.read(Kind::Subnets, "subnets.cfg", text).unwrap().is_empty());
        assert_eq!(config.kinds[&Kind::Zones]["z1"], json!({"type": "simple"}));
        assert_eq!(
            config.kinds[&Kind::Subnets]["z-10.0.0.0-24"],
            json!({"type": "subnet", "vnet": "v", "dhcp-range": ["a", "b"]})
        );
    }

    #[test]
    fn spellings_are_no_difference() {
        let runs = json!({"version": "7", "zones": {"ids": {
            "a": {"type": "evpn", "vrf-vxlan": 5, "exitnodes": {"n2": 1, "n1": 1}, "advertise-subnets": true, "dns": ""},
            "b": {"type": "vxlan", "peers": "10.0.0.1,10.0.0.2"},
            "c": {"type": "simple"}}},
            "fabrics": {"ids": {"f": {"type": "ospf_fabric", "id": "f", "area": 0}}},
            "subnets": {"ids": {"s": {"type": "subnet", "vnet": "v", "cidr": "x"}}}});
        let runs = Config::running("x", &runs.to_string()).unwrap();
        assert_eq!(runs.version, 7);
        let mut wanted = Config::default();
        let zones = "evpn: a\n\tvrf-vxlan 5\n\texitnodes n1,n2\n\tadvertise-subnets\n\nvxlan: b\n\tpeers 10.0.0.1 10.0.0.2\n\nsimple: c\n\n";
        wanted.read(Kind::Zones, "zones.cfg", zones).unwrap();
        wanted.read(Kind::Fabrics, "fabrics.cfg", "ospf_fabric: f\n\tarea 0\n").unwrap();
        wanted.read(Kind::Subnets, "subnets.cfg", "subnet: s\n\tvnet v\n").unwrap();
        assert_eq!(runs.difference(&wanted), []);

        let mut wanted = Config::default();
        let zones = "vxlan: b\n\tpeers 10.0.0.2 10.0.0.1\n\nsimple: c\n\nsimple: d\n\tmtu 9000\n";
        wanted.read(Kind::Zones, "zones.cfg", zones).unwrap();
        let found = runs.difference(&wanted);
        let states: Vec<_> =
            found.iter().map(|one| (one.kind, one.id.as_str(), one.state)).collect();
        assert_eq!(
            states,
            [
                ("zone", "a", State::Deleted),
                ("zone", "b", State::Changed),
                ("zone", "d", State::New),
                ("subnet", "s", State::Deleted),
                ("fabric", "f", State::Deleted),
            ]
        );
        assert_eq!(
            found[1].keys,
            [UnequalKey {
                key: "peers".to_owned(),
                runs: Some("10.0.0.1,10.0.0.2".to_owned()),
                wanted: Some("10.0.0.2,10.0.0.1".to_owned()),
            }]
        );
    }
}

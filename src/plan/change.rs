//! What a plan changes, object by object, and how much that disturbs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::engine::Engine;
use super::interface::Interface;
use super::stanza::{option, stanzas};
use crate::value::VnetId;

/// How much a change disturbs, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    /// An object is new.
    Adds,
    /// An object changes while it carries traffic.
    Changes,
    /// An object is taken down and made again: what runs over it is interrupted.
    Recreates,
    /// An object is taken away.
    Removes,
}

impl Impact {
    /// The sign of the plan's grammar.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Adds => "+",
            Self::Changes => "~",
            Self::Recreates => "-/+",
            Self::Removes => "-",
        }
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Adds => "adds",
            Self::Changes => "changes",
            Self::Recreates => "recreates",
            Self::Removes => "removes",
        })
    }
}

/// One interface that will be another than it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The interface.
    pub interface: String,
    /// How much it disturbs.
    pub impact: Impact,
    /// The vnets that the interface serves.
    pub vnets: Vec<VnetId>,
    /// Why it cannot change in place, where it cannot.
    pub reason: Option<String>,
    /// Its lines that go and come.
    pub lines: Vec<LineChange>,
}

/// One line of an interface that goes or comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineChange {
    /// `+` or `-`.
    pub sign: char,
    /// The line.
    pub text: String,
}

/// Options that the kernel takes only when an interface is made.
const FIXED: &[&str] = &[
    "link-type",
    "ovs-type",
    "veth-peer-name",
    "vlan-id",
    "vlan-protocol",
    "vlan-raw-device",
    "vrf",
    "vrf-table",
    "vxlan-id",
    "vxlan-local-tunnelip",
    "vxlan-port",
];

/// Options whose lines may go without making the interface again: ifupdown2 takes
/// the value away, or there is a step that does. Of every other option the interface
/// would keep what it had.
const DROPPABLE: &[&str] = &[
    "address",
    "alias",
    "arp-accept",
    "bridge-arp-nd-suppress",
    "bridge-ports",
    "bridge-vids",
    "bridge-vlan-aware",
    "ip-forward",
    "ip6-forward",
    "mtu",
    "post-down",
    "post-up",
    "up",
    "vxlan-remoteip",
];

/// Options that the native engine sets, changes and takes off in place, although ifupdown2 does
/// not. The address of a tunnel stays of its version of IP.
const NATIVE: &[&str] = &["bridge-learning", "hwaddress", "vrf", "vxlan-local-tunnelip"];

/// What happens to the interfaces of a file when an engine makes its text another one.
/// `wanted` and `owned` say which vnets an interface serves, or served.
pub(super) fn changes(
    found: &str,
    wanted: &str,
    engine: Engine,
    vnets: impl Fn(&str) -> Vec<VnetId>,
) -> Vec<Change> {
    let before = stanzas(found);
    let after = stanzas(wanted);
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let change = |name: &str| {
        if before.get(name) == after.get(name) {
            return None;
        }
        let of_own = |lines: Option<&Vec<&str>>| {
            lines.is_some_and(|lines| Interface::new(name, lines).is_own())
        };
        let is_own = of_own(before.get(name)) || of_own(after.get(name));
        let (impact, reason) = match (before.get(name), after.get(name)) {
            (None, Some(_)) => (Impact::Adds, None),
            // One of the node's own only loses what was added to it.
            (Some(_), _) if is_own => (Impact::Changes, None),
            (Some(_), None) => (Impact::Removes, None),
            (Some(old), Some(new)) => match forced(old, new, engine) {
                Some(reason) => (Impact::Recreates, Some(reason)),
                None => (Impact::Changes, None),
            },
            _ => return None,
        };
        let lines = lines(before.get(name), after.get(name));
        Some(Change { interface: name.to_owned(), impact, vnets: vnets(name), reason, lines })
    };
    names.into_iter().filter_map(change).collect()
}

/// Why an interface has to be made again, if it has to.
fn forced(old: &[&str], new: &[&str], engine: Engine) -> Option<String> {
    let old = by_option(old);
    let new = by_option(new);
    let is_v6 = |options: &BTreeMap<String, Vec<&str>>, option: &str| {
        options.get(option).is_some_and(|lines| lines.iter().any(|line| line.contains(':')))
    };
    let in_place = |option: &str| {
        let stays = option != "vxlan-local-tunnelip" || is_v6(&old, option) == is_v6(&new, option);
        engine == Engine::Native && NATIVE.contains(&option) && stays
    };
    for (option, lines) in old.iter().filter(|(option, _)| !in_place(option)) {
        match new.get(option) {
            None if !DROPPABLE.contains(&option.as_str()) => {
                return Some(format!("`{option}` cannot be taken off in place"));
            }
            Some(after) if after != lines && FIXED.contains(&option.as_str()) => {
                return Some(format!("`{option}` cannot change in place"));
            }
            _ => {}
        }
    }
    // A bridge can be put into a VRF.
    let fixed = new.keys().find(|option| {
        let is_new = !old.contains_key(*option) && FIXED.contains(&option.as_str());
        is_new && *option != "vrf" && !in_place(option)
    });
    fixed.map(|option| format!("`{option}` cannot be set in place"))
}

fn by_option<'a>(lines: &[&'a str]) -> BTreeMap<String, Vec<&'a str>> {
    let mut options: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for &line in lines {
        options.entry(option(line).into_owned()).or_default().push(line);
    }
    options
}

fn lines(old: Option<&Vec<&str>>, new: Option<&Vec<&str>>) -> Vec<LineChange> {
    let nothing = Vec::new();
    of_lines(old.unwrap_or(&nothing), new.unwrap_or(&nothing))
}

/// The lines that go and come when one text becomes another one.
pub(super) fn of_text(old: &str, new: &str) -> Vec<LineChange> {
    of_lines(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>())
}

fn of_lines(old: &[&str], new: &[&str]) -> Vec<LineChange> {
    let diff = TextDiff::from_slices(old, new);
    diff.iter_all_changes()
        .filter_map(|change| {
            let sign = match change.tag() {
                ChangeTag::Equal => return None,
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            Some(LineChange { sign, text: change.value().to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Engine, Impact, changes};

    #[test]
    fn what_is_made_again_depends_on_the_engine() {
        let bridge = |more: &str| format!("auto v\niface v\n\tbridge_ports none\n{more}");
        let tunnel = |more: &str| format!("auto v\niface v\n\tvxlan-id 7\n{more}");
        let from = |address: &str| tunnel(&format!("\tvxlan-local-tunnelip {address}\n"));
        let vrf = bridge("\thwaddress 02:00:00:00:00:01\n\tvrf vrf_a\n");
        let cases = [
            (vrf.clone(), vrf.replace("vrf_a", "vrf_b"), true),
            (vrf, bridge(""), true),
            (from("192.0.2.1"), from("192.0.2.2"), true),
            (from("192.0.2.1"), tunnel(""), true),
            (tunnel(""), from("192.0.2.1"), true),
            (from("fd00::1"), from("fd00::2"), true),
            (tunnel(""), from("fd00::1"), false),
            (from("fd00::1"), from("192.0.2.1"), false),
            (tunnel(""), tunnel("").replace('7', "8"), false),
        ];
        for (old, new, in_place) in cases {
            let impact = |engine| changes(&old, &new, engine, |_| Vec::new())[0].impact;
            assert_eq!(impact(Engine::Ifupdown2), Impact::Recreates, "{old}{new}");
            assert_eq!(impact(Engine::Native) == Impact::Changes, in_place, "{old}{new}");
        }
    }
}

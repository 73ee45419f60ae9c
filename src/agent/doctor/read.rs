//! Readers of what a machine's files and programs say. Each takes a whole text and
//! knows no machine; what is not understood is left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::examined::{Clock, Sources, System};

/// The path that weft's file of interfaces has on every node.
const OWN_INTERFACES: [&str; 2] = ["/etc/network/interfaces.d", "sdn"];

/// The installed packages among those wanted, with their versions, by
/// `/var/lib/dpkg/status`.
pub fn packages(status: &str, wanted: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for paragraph in status.split("\n\n") {
        let field = |name: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::trim)
        };
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        let installed = field("Status").is_some_and(|status| status.ends_with(" installed"));
        if installed && wanted.contains(&name) {
            found.insert(name.to_owned(), version.to_owned());
        }
    }
    found
}

/// The first number of a Debian version, its epoch left out: 10 of `2:10.3-1~bpo12+1`.
pub fn major(version: &str) -> Option<u32> {
    let upstream = version.split_once(':').map_or(version, |(_, upstream)| upstream);
    let end = upstream.find(|c: char| !c.is_ascii_digit()).unwrap_or(upstream.len());
    upstream.get(..end)?.parse().ok()
}

/// The operating system, by `/usr/lib/os-release`.
pub fn system(release: &str) -> Option<System> {
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    };
    Some(System { id: value("ID")?, version: value("VERSION_ID") })
}

/// What `/etc/network/interfaces` reads besides itself.
pub fn sources(interfaces: &str) -> Sources {
    let mut sources = Sources::default();
    for line in interfaces.lines() {
        // ifupdown2 takes the second word and no more.
        match line.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
            ["source", pattern, ..] => sources.patterns.push((*pattern).to_owned()),
            ["source-directory", directory, ..] => {
                sources.directories.push((*directory).to_owned());
            }
            _ => {}
        }
    }
    sources
}

impl Sources {
    /// Whether ifupdown2 reads weft's file: Python's `glob` over a whole path.
    pub fn read_own_file(&self) -> bool {
        let [directory, name] = OWN_INTERFACES;
        self.patterns.iter().any(|pattern| {
            let (above, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
            above == directory && matches(last.as_bytes(), name.as_bytes())
        })
    }
}

/// Whether a name matches a pattern of `*` and `?`. A class in brackets matches
/// nothing: nobody names one file so.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, name) || matches!(name, [_, name @ ..] if matches(pattern, name))
        }
        ([b'?', rest @ ..], [_, name @ ..]) => matches(rest, name),
        ([a, rest @ ..], [b, name @ ..]) if a == b => matches(rest, name),
        _ => false,
    }
}

/// Whether `/etc/network/ifupdown2/ifupdown2.conf` allows more than one VLAN-aware
/// bridge. The last line counts.
pub fn many_vlan_aware_bridges(conf: &str) -> bool {
    conf.lines()
        .filter_map(|line| line.split_once('='))
        .rfind(|(key, _)| key.trim() == "multiple_vlan_aware_bridge_support")
        .is_some_and(|(_, value)| value.trim() == "1")
}

/// The modules that `modules.builtin` or `modules.dep` name, `-` written as `_`.
pub fn modules(list: &str) -> BTreeSet<String> {
    list.lines()
        .filter_map(|line| {
            let path = line.split(':').next()?;
            let file = path.rsplit('/').next()?;
            let (name, _) = file.split_once(".ko")?;
            Some(name.replace('-', "_"))
        })
        .collect()
}

/// The properties of units that `systemctl show --property=Id,…` prints, by unit.
pub fn units(answer: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let blocks = answer.split("\n\n").map(properties);
    blocks.filter_map(|mut block| Some((block.remove("Id")?, block))).collect()
}

/// Lines of `KEY=value`.
pub fn properties(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// The interfaces that systemd-networkd configures, by `networkctl --json=short list`.
pub fn networkd(answer: &[u8]) -> Result<BTreeSet<String>, String> {
    let answer: Json = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer of networkctl: {error}"))?;
    let all = answer["Interfaces"].as_array().ok_or("the answer of networkctl has no list")?;
    let managed = all.iter().filter(|interface| {
        // The others are `unmanaged`, and `pending` and `initialized` before that is known.
        matches!(
            interface["AdministrativeState"].as_str(),
            Some("configuring" | "configured" | "failed" | "linger")
        )
    });
    Ok(managed.filter_map(|interface| interface["Name"].as_str()).map(str::to_owned).collect())
}

/// The interfaces that `NetworkManager` configures, by
/// `nmcli --terse --fields DEVICE,STATE device`.
pub fn network_manager(answer: &str) -> BTreeSet<String> {
    answer
        .lines()
        .filter_map(|line| line.rsplit_once(':'))
        // What somebody else configured it only looks at: `connected (externally)`.
        .filter(|(_, state)| {
            !matches!(*state, "unmanaged" | "unavailable") && !state.contains("externally")
        })
        .map(|(device, _)| device.replace('\\', ""))
        .collect()
}

/// The clock, by `timedatectl show`.
pub fn clock(answer: &str) -> Option<Clock> {
    let properties = properties(answer);
    let is = |key: &str| properties.get(key).map(|value| value == "yes");
    Some(Clock { has_service: is("CanNTP")?, synchronised: is("NTPSynchronized")? })
}

/// The names in `/proc/net/ip_tables_names`, or those of IPv6: the tables of the old
/// iptables that are in the kernel. To ask for others would make them.
pub fn has_filter_table(names: &str) -> bool {
    names.lines().any(|name| name.trim() == "filter")
}

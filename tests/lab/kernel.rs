//! What a node's kernel has, in a form that two times can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::node::Node;

/// What ifupdown2 changes by itself and nobody asked for.
const VOLATILE: &[&str] = &[
    "address",
    "broadcast",
    "bridge_id",
    // Of a port: from the speed that its cable had when it was last looked at.
    "cost",
    "designated_bridge",
    "designated_root",
    "fdb_n_learned",
    "gc_timer",
    "hello_timer",
    "ifindex",
    "link_index",
    "mcast_hash_max",
    "mcast_n_groups",
    "message_age_timer",
    "forward_delay_timer",
    "hold_timer",
    "id",
    "no",
    "cost",
    "designated_port",
    "operstate",
    "root_id",
    "tcn_timer",
    // Of a bridge: what the ports that it has or had can do.
    "tso_max_segs",
    "tso_max_size",
    "topology_change_timer",
    "link",
];

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Links, addresses, tunnels, routes and rules of a node: all that a commit decides, and
/// all that belongs to guests.
pub(crate) fn kernel(node: &Node) -> BTreeMap<&'static str, String> {
    let shown = |words: &[&str]| {
        let mut value = json(&node.exec(words).ok());
        calm(&mut value);
        serde_json::to_string_pretty(&value).expect("text")
    };
    let saved = |program: &str, table: &str| {
        let text = node.exec(&[program, "-t", table]).ok();
        text.lines().filter(|line| line.starts_with("-A")).collect::<Vec<_>>().join("\n")
    };
    let fdb = json(&node.exec(&["bridge", "-j", "fdb", "show", "state", "permanent"]).ok());
    let mut remotes: Vec<String> = fdb
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry.get("dst").is_some())
        .map(|entry| format!("{} {}", entry["ifname"], entry["dst"]))
        .collect();
    remotes.sort();
    let mut addresses: Vec<String> = json(&node.exec(&["ip", "-j", "addr"]).ok())
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|link| {
            let infos = link["addr_info"].as_array().cloned().unwrap_or_default();
            let name = link["ifname"].clone();
            infos
                .into_iter()
                .filter(|info| info["scope"] == "global")
                .map(move |info| format!("{name} {}/{}", info["local"], info["prefixlen"]))
        })
        .collect();
    addresses.sort();
    BTreeMap::from([
        ("links", shown(&["ip", "-d", "-j", "link"])),
        ("vlans", shown(&["bridge", "-j", "vlan"])),
        ("ports", shown(&["bridge", "-d", "-j", "link"])),
        ("remotes", remotes.join("\n")),
        ("addresses", addresses.join("\n")),
        ("nat", saved("iptables-save", "nat")),
        ("raw", saved("iptables-save", "raw")),
        // Nothing where there is no such table, and where the kernel has none at all.
        ("nft", node.exec(&["nft", "-s", "list", "table", "ip", "weft"]).stdout),
        ("routes", shown(&["ip", "-j", "route"])),
    ])
}

/// Takes out what changes by itself, and orders lists by name.
fn calm(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let is_vxlan = map.get("port_range").is_some();
            map.retain(|key, _| !VOLATILE.contains(&key.as_str()) || (is_vxlan && key == "id"));
            map.values_mut().for_each(calm);
        }
        Value::Array(items) => {
            // A cable that is just being plugged in.
            items.retain(|item| item != "NO-CARRIER" && item != "LOWER_UP");
            items.iter_mut().for_each(calm);
            items.sort_by_key(ToString::to_string);
        }
        _ => {}
    }
}

#[track_caller]
pub(crate) fn assert_same(
    now: &BTreeMap<&'static str, String>,
    before: &BTreeMap<&'static str, String>,
) {
    for (what, text) in now {
        if *text != before[what] {
            let change = similar::TextDiff::from_lines(&before[what], text);
            panic!("{what} differ:\n{}", change.unified_diff().context_radius(12));
        }
    }
}

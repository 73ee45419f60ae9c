//! Texts that are nearly declarations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

/// Values that are right under some key.
const VALUES: &[&str] = &[
    "simple",
    "vxlan",
    "evpn",
    "vlan",
    "qinq",
    "za",
    "zb",
    "va",
    "vb",
    "node1",
    "node2",
    "true",
    "false",
    "0",
    "1",
    "7",
    "1400",
    "65536",
    "10.0.0.1",
    "10.0.0.2",
    "\"2001:db8::1\"",
    "~",
    "\"BC:24:11:00:00:01\"",
    "pve",
    "git",
    "netbox",
    "dnsmasq",
    "x y",
    "''",
    "[]",
    "{}",
    "[10.0.0.1, 10.0.0.2]",
    "[node1, node2]",
    "[[]]",
    "https://x.example/api",
    "fab",
    "ctl",
    "{10.0.0.0/24: {gateway: 10.0.0.1, snat: true}}",
    "{\"2001:db8::/64\": {snat: true}}",
    "{10.0.0.0/16: {dhcp-range: [{start-address: 10.0.0.9, end-address: 10.0.0.3}]}}",
    "[{vnet: va, mac: \"BC:24:11:00:00:01\", addresses: [10.0.0.1]}]",
];

/// Keys that some kind of object has, and one that none has.
const KEYS: &[&str] = &[
    "type",
    "zone",
    "tag",
    "peers",
    "external-peers",
    "fabric",
    "nodes",
    "ipam",
    "dns",
    "mtu",
    "dhcp",
    "vxlan-port",
    "bridge",
    "controller",
    "vrf-vxlan",
    "alias",
    "vlanaware",
    "subnets",
    "address",
    "management",
    "labels",
    "nics",
    "hostname",
    "url",
    "token",
    "section",
    "key",
    "asn",
    "node",
    "dnszone",
    "nonsense",
];

/// Kinds, those more often whose rules are more.
const KINDS: &[&str] = &[
    "nodes",
    "zones",
    "zones",
    "vnets",
    "vnets",
    "vnets",
    "controllers",
    "fabrics",
    "ipams",
    "dns",
    "guests",
];

const IDS: &[&str] =
    &["za", "zb", "va", "vb", "node1", "node2", "lo", "eth0", "git", "pve", "fab", "ctl", "no-id"];

/// What makes most objects whole.
const FIRST: &[(&str, &str)] =
    &[("type", "simple"), ("type", "vxlan"), ("zone", "za"), ("zone", "zb"), ("x", "y")];

/// A file of objects with known keys, each with a value that is often right.
pub(super) fn documents() -> impl Strategy<Value = String> {
    let options = btree_map(select(KEYS), select(VALUES), 0..5);
    let object = (select(KINDS), select(IDS), select(FIRST), options);
    vec(object, 0..10).prop_map(|objects| {
        let mut kinds: BTreeMap<&str, String> = BTreeMap::new();
        for (kind, id, (first, value), mut options) in objects {
            options.insert(first, value);
            let options: Vec<String> =
                options.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
            let text = kinds.entry(kind).or_insert_with(|| format!("{kind}:\n"));
            writeln!(text, "  {id}: {{{}}}", options.join(", ")).unwrap();
        }
        kinds.into_values().collect()
    })
}

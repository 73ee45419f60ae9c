//! Zones of every type by chance.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Map, Value, json};

use super::{NODES, addresses, names, node};

/// A zone, and the options that every type has.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    nodes: Option<Vec<usize>>,
    mtu: Option<u32>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Simple,
    Vlan,
    /// The service VLAN and its protocol.
    Qinq(u32, Option<&'static str>),
    /// The peers by number; those of the fabric where there are none.
    Vxlan(Option<Vec<usize>>, Option<u32>),
    Evpn(Evpn),
}

#[derive(Clone, Debug)]
struct Evpn {
    exit_nodes: Vec<usize>,
    /// The options of yes and no that are set.
    flags: Vec<&'static str>,
    has_mac: bool,
    port: Option<u32>,
}

const FLAGS: &[&str] =
    &["exitnodes-local-routing", "advertise-subnets", "disable-arp-nd-suppression"];

pub(super) fn zone() -> impl Strategy<Value = Zone> {
    let numbers: Vec<usize> = (1..=NODES).collect();
    let peers = subsequence((1..=8_usize).collect::<Vec<_>>(), 1..=5).prop_shuffle();
    let port = || option::of(1_u32..=65_535);
    let evpn = (
        subsequence(numbers.clone(), 0..=NODES),
        subsequence(FLAGS, 0..=FLAGS.len()),
        any::<bool>(),
        port(),
    );
    let evpn = evpn.prop_map(|(exit_nodes, flags, has_mac, port)| Evpn {
        exit_nodes,
        flags,
        has_mac,
        port,
    });
    let protocol = option::of(prop_oneof![Just("802.1q"), Just("802.1ad")]);
    let kind = prop_oneof![
        Just(Kind::Simple),
        Just(Kind::Vlan),
        (1_u32..4094, protocol).prop_map(|(tag, protocol)| Kind::Qinq(tag, protocol)),
        (option::weighted(0.7, peers), port()).prop_map(|(peers, port)| Kind::Vxlan(peers, port)),
        evpn.prop_map(Kind::Evpn),
    ];
    let nodes = option::of(subsequence(numbers, 1..=NODES));
    let mtu = option::of(prop_oneof![Just(0_u32), 1280_u32..=9000]);
    (nodes, mtu, kind).prop_map(|(nodes, mtu, kind)| Zone { nodes, mtu, kind })
}

/// The value of an option in both forms.
enum Form {
    Word(String),
    Number(u32),
    Flag,
    /// Proxmox keeps it as the keys of a map.
    Nodes(Vec<String>),
    /// Proxmox keeps it as a text.
    List(Vec<String>),
}

impl Zone {
    /// The tag of a vnet of this zone that may have this one.
    pub(super) fn tag(&self, tag: u32, is_first: bool) -> Option<u32> {
        match self.kind {
            Kind::Simple => None,
            Kind::Qinq(..) if is_first => None,
            _ => Some(tag),
        }
    }

    pub(super) fn may_be_vlan_aware(&self) -> bool {
        !matches!(self.kind, Kind::Evpn(_))
    }

    /// The options as people write them.
    pub(super) fn options(&self, number: usize) -> Vec<(&'static str, String)> {
        let written = |form| match form {
            Form::Word(word) => word,
            Form::Number(number) => number.to_string(),
            Form::Flag => "true".to_owned(),
            Form::Nodes(items) | Form::List(items) => format!("[{}]", items.join(", ")),
        };
        self.forms(number).into_iter().map(|(name, form)| (name, written(form))).collect()
    }

    /// The section as Proxmox writes it.
    pub(super) fn section(&self, number: usize, texts: bool) -> Value {
        let written = |form| match form {
            Form::Word(word) => json!(word),
            Form::Number(number) if texts => json!(number.to_string()),
            Form::Number(number) => json!(number),
            Form::Flag if texts => json!("1"),
            Form::Flag => json!(1),
            Form::Nodes(nodes) => nodes.into_iter().map(|name| (name, json!(1))).collect(),
            Form::List(items) => items.join(if texts { "; " } else { "," }).into(),
        };
        let mut section: Map<String, Value> = self
            .forms(number)
            .into_iter()
            .map(|(name, form)| (name.to_owned(), written(form)))
            .collect();
        section.insert("ipam".to_owned(), json!("pve"));
        section.into()
    }

    fn forms(&self, number: usize) -> Vec<(&'static str, Form)> {
        let word = |word: &str| Form::Word(word.to_owned());
        let mut found = vec![(
            "type",
            word(match self.kind {
                Kind::Simple => "simple",
                Kind::Vlan => "vlan",
                Kind::Qinq(..) => "qinq",
                Kind::Vxlan(..) => "vxlan",
                Kind::Evpn(_) => "evpn",
            }),
        )];
        found.extend(self.nodes.as_ref().map(|nodes| ("nodes", Form::Nodes(names(nodes)))));
        found.extend(self.mtu.map(|mtu| ("mtu", Form::Number(mtu))));
        match &self.kind {
            Kind::Simple => {}
            Kind::Vlan => found.push(("bridge", word("vmbr0"))),
            Kind::Qinq(tag, protocol) => {
                found.push(("bridge", word("vmbr0")));
                found.push(("tag", Form::Number(*tag)));
                found.extend(protocol.map(|protocol| ("vlan-protocol", word(protocol))));
            }
            Kind::Vxlan(peers, port) => {
                found.push(match peers {
                    Some(peers) => ("peers", Form::List(addresses(peers))),
                    None => ("fabric", word("fab")),
                });
                found.extend(port.map(|port| ("vxlan-port", Form::Number(port))));
            }
            Kind::Evpn(evpn) => {
                found.push(("controller", word("ctl")));
                let vni = 10_000 + u32::try_from(number).unwrap();
                found.push(("vrf-vxlan", Form::Number(vni)));
                if let Some(first) = evpn.exit_nodes.first() {
                    found.push(("exitnodes", Form::Nodes(names(&evpn.exit_nodes))));
                    found.push(("exitnodes-primary", Form::Word(node(*first))));
                }
                found.extend(evpn.flags.iter().map(|name| (*name, Form::Flag)));
                found.extend(evpn.has_mac.then(|| ("mac", word("BC:24:11:00:00:01"))));
                found.extend(evpn.port.map(|port| ("vxlan-port", Form::Number(port))));
            }
        }
        found
    }
}

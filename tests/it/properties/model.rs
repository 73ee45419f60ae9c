//! Networks by chance, that make sense, in every form that they are written in.

use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Map, Value, json};

/// The nodes that there can be; addresses end in their number.
pub(super) const NODES: usize = 4;

/// An object: the key of its kind, its id, and its options as YAML values.
pub(super) type Object = (&'static str, String, Vec<(&'static str, String)>);

#[derive(Clone, Debug)]
pub(super) struct Zone {
    /// The addresses of a VXLAN zone's peers by number; `None` in a simple zone.
    peers: Option<Vec<usize>>,
    port: Option<u32>,
    nodes: Option<Vec<usize>>,
    mtu: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Vnet {
    zone: Index,
    alias: Option<String>,
    vlan_aware: bool,
    isolated: bool,
    subnets: Vec<(usize, bool, Option<u8>, bool)>,
}

/// A network in which every rule holds.
#[derive(Clone, Debug)]
pub(super) struct Model {
    zones: Vec<Zone>,
    vnets: Vec<Vnet>,
}

pub(super) fn model() -> impl Strategy<Value = Model> {
    let numbers: Vec<usize> = (1..=NODES).collect();
    let zone = (
        option::of(subsequence((1..=8_usize).collect::<Vec<_>>(), 1..=5).prop_shuffle()),
        option::of(1_u32..=65_535),
        option::of(subsequence(numbers, 1..=NODES)),
        option::of(prop_oneof![Just(0_u32), 1280_u32..=9000]),
    );
    let zone = zone.prop_map(|(peers, port, nodes, mtu)| Zone { peers, port, nodes, mtu });
    let subnet = (0_usize..6, any::<bool>(), option::of(1_u8..250), any::<bool>());
    let vnet = (
        any::<Index>(),
        option::of("[a-z(,=<>]([a-z A-Z0-9()*+,./:;<=>?@^_-]{0,20}[a-z])?"),
        prop::bool::weighted(0.2),
        any::<bool>(),
        vec(subnet, 0..4),
    );
    let vnet = vnet.prop_map(|(zone, alias, vlan_aware, isolated, subnets)| Vnet {
        zone,
        alias,
        vlan_aware,
        isolated,
        subnets,
    });
    (vec(zone, 1..5), vec(vnet, 0..9)).prop_map(|(zones, vnets)| Model { zones, vnets })
}

impl Model {
    /// The ids of the vnets.
    pub(super) fn vnets(&self) -> Vec<String> {
        (0..self.vnets.len()).map(vnet_id).collect()
    }

    /// Every object as people write it.
    pub(super) fn objects(&self) -> Vec<Object> {
        let nodes = (1..=NODES).map(|number| {
            ("nodes", node(number), vec![("address", format!("192.168.0.{number}"))])
        });
        let zones = self.zones.iter().enumerate().map(|(number, zone)| {
            let mut options = vec![("type", zone.kind().to_owned())];
            if let Some(nodes) = &zone.nodes {
                options.push(("nodes", format!("[{}]", names(nodes).join(", "))));
            }
            options.extend(zone.mtu.map(|mtu| ("mtu", mtu.to_string())));
            if let Some(peers) = &zone.peers {
                options.push(("peers", format!("[{}]", addresses(peers).join(", "))));
                options.extend(zone.port.map(|port| ("vxlan-port", port.to_string())));
            }
            ("zones", zone_id(number), options)
        });
        let vnets = self.vnets.iter().enumerate().map(|(number, vnet)| {
            let zone = vnet.zone.index(self.zones.len());
            let mut options = vec![("zone", zone_id(zone))];
            if self.zones[zone].peers.is_some() {
                options.push(("tag", (number + 1).to_string()));
            }
            let quoted = |alias: &String| ("alias", Value::from(alias.as_str()).to_string());
            options.extend(vnet.alias.as_ref().map(quoted));
            options.push(("vlanaware", vnet.vlan_aware.to_string()));
            options.push(("isolate-ports", u8::from(vnet.isolated).to_string()));
            let mut subnets = String::new();
            for subnet in vnet.subnets(number) {
                write!(subnets, "\"{}\": {{snat: {}", subnet.prefix, subnet.snat).unwrap();
                if let Some(gateway) = &subnet.gateway {
                    write!(subnets, ", gateway: \"{gateway}\"").unwrap();
                }
                subnets.push_str("}, ");
            }
            options.push(("subnets", format!("{{{subnets}}}")));
            ("vnets", vnet_id(number), options)
        });
        nodes.chain(zones).chain(vnets).collect()
    }

    /// The same as Proxmox writes it, numbers as texts where `texts` says so.
    pub(super) fn running_config(&self, texts: bool) -> Value {
        let number = |number: u32| if texts { json!(number.to_string()) } else { json!(number) };
        let mut zones = Map::new();
        for (index, zone) in self.zones.iter().enumerate() {
            let mut section = json!({"type": zone.kind(), "ipam": "pve"});
            if let Some(nodes) = &zone.nodes {
                section["nodes"] = names(nodes).into_iter().map(|name| (name, json!(1))).collect();
            }
            if let Some(mtu) = zone.mtu {
                section["mtu"] = number(mtu);
            }
            if let Some(peers) = &zone.peers {
                section["peers"] = addresses(peers).join(if texts { "; " } else { "," }).into();
                if let Some(port) = zone.port {
                    section["vxlan-port"] = number(port);
                }
            }
            zones.insert(zone_id(index), section);
        }
        let (mut vnets, mut subnets) = (Map::new(), Map::new());
        for (index, vnet) in self.vnets.iter().enumerate() {
            let zone = vnet.zone.index(self.zones.len());
            let mut section = json!({"type": "vnet", "zone": zone_id(zone)});
            if self.zones[zone].peers.is_some() {
                section["tag"] = number(u32::try_from(index + 1).unwrap());
            }
            if let Some(alias) = &vnet.alias {
                section["alias"] = json!(alias);
            }
            section["vlanaware"] = number(vnet.vlan_aware.into());
            section["isolate-ports"] = number(vnet.isolated.into());
            vnets.insert(vnet_id(index), section);
            for subnet in vnet.subnets(index) {
                let mut section = json!({"type": "subnet", "vnet": vnet_id(index)});
                section["snat"] = number(subnet.snat.into());
                if let Some(gateway) = &subnet.gateway {
                    section["gateway"] = json!(gateway);
                }
                let id = format!("{}-{}", zone_id(zone), subnet.prefix.replace('/', "-"));
                subnets.insert(id, section);
            }
        }
        json!({
            "version": 3,
            "zones": {"ids": zones},
            "vnets": {"ids": vnets},
            "subnets": {"ids": subnets},
        })
    }
}

impl Zone {
    fn kind(&self) -> &'static str {
        if self.peers.is_some() { "vxlan" } else { "simple" }
    }
}

struct Subnet {
    prefix: String,
    gateway: Option<String>,
    snat: bool,
}

impl Vnet {
    /// Prefixes that no other vnet has, each once.
    fn subnets(&self, vnet: usize) -> Vec<Subnet> {
        let mut seen = Vec::new();
        if self.vlan_aware {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (number, v6, host, snat) in &self.subnets {
            if seen.contains(&(number, v6)) {
                continue;
            }
            seen.push((number, v6));
            let (network, length) = if *v6 {
                (format!("fd00:{vnet:x}:{number:x}::"), 64)
            } else {
                (format!("10.{vnet}.{number}."), 24)
            };
            let prefix =
                if *v6 { format!("{network}/{length}") } else { format!("{network}0/{length}") };
            // As it is rendered, so that an import has nothing to remark.
            let gateway = host.map(|host| {
                let address: IpAddr = format!("{network}{host}").parse().unwrap();
                address.to_string()
            });
            found.push(Subnet { prefix, snat: *snat && gateway.is_some(), gateway });
        }
        found
    }
}

fn node(number: usize) -> String {
    format!("node{number}")
}

fn zone_id(number: usize) -> String {
    format!("zone{number}")
}

/// Ids whose order is not the order of their numbers.
fn vnet_id(number: usize) -> String {
    format!("{}{number}", ["vn", "VN", "a", "Zz"][number % 4])
}

fn names(nodes: &[usize]) -> Vec<String> {
    nodes.iter().map(|number| node(*number)).collect()
}

fn addresses(peers: &[usize]) -> Vec<String> {
    peers.iter().map(|number| format!("192.168.0.{number}")).collect()
}

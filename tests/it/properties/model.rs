//! Networks by chance, that make sense, in every form that they are written in.

mod zones;

use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Map, Value, json};

use self::zones::{Zone, zone};

/// The nodes that there can be; addresses end in their number.
pub(super) const NODES: usize = 4;

/// An object: the key of its kind, its id, and its options as YAML values.
pub(super) type Object = (&'static str, String, Vec<(&'static str, String)>);

#[derive(Clone, Debug)]
pub(super) struct Vnet {
    zone: Index,
    alias: Option<String>,
    vlan_aware: bool,
    isolated: bool,
    subnets: Vec<(usize, bool, Option<u8>, bool)>,
}

/// What runs routing: the EVPN controller by the nodes of the fabric or by addresses, and a
/// BGP controller of one node, with or without a loopback.
#[derive(Clone, Debug)]
struct Routing {
    by_fabric: bool,
    bgp: Option<(usize, bool)>,
    /// The nodes of the fabric, and which of their interfaces are numbered.
    fabric: Vec<usize>,
    numbered: bool,
}

/// A network in which every rule holds.
#[derive(Clone, Debug)]
pub(super) struct Model {
    zones: Vec<Zone>,
    vnets: Vec<Vnet>,
    routing: Routing,
}

pub(super) fn model() -> impl Strategy<Value = Model> {
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
    let numbers: Vec<usize> = (1..=NODES).collect();
    let routing = (
        any::<bool>(),
        option::of((1..=NODES, any::<bool>())),
        subsequence(numbers, 0..=NODES),
        any::<bool>(),
    );
    let routing = routing.prop_map(|(by_fabric, bgp, fabric, numbered)| Routing {
        by_fabric,
        bgp,
        fabric,
        numbered,
    });
    (vec(zone(), 1..6), vec(vnet, 0..12), routing).prop_map(|(zones, vnets, routing)| Model {
        zones,
        vnets,
        routing,
    })
}

impl Model {
    /// The ids of the vnets.
    pub(super) fn vnets(&self) -> Vec<String> {
        (0..self.vnets.len()).map(vnet_id).collect()
    }

    fn zone_of(&self, vnet: usize) -> usize {
        self.vnets[vnet].zone.index(self.zones.len())
    }

    /// Tags that no other vnet has. The first vnet of a QinQ zone has none.
    fn tag(&self, vnet: usize) -> Option<u32> {
        let zone = self.zone_of(vnet);
        let is_first = (0..vnet).all(|other| self.zone_of(other) != zone);
        self.zones[zone].tag(u32::try_from(vnet + 1).unwrap(), is_first)
    }

    fn is_vlan_aware(&self, vnet: usize) -> bool {
        self.vnets[vnet].vlan_aware && self.zones[self.zone_of(vnet)].may_be_vlan_aware()
    }

    /// Every object as people write it.
    pub(super) fn objects(&self) -> Vec<Object> {
        let nodes = (1..=NODES).map(|number| {
            ("nodes", node(number), vec![("address", format!("192.168.0.{number}"))])
        });
        let zones = self.zones.iter().enumerate();
        let zones = zones.map(|(number, zone)| ("zones", zone_id(number), zone.options(number)));
        let vnets = self.vnets.iter().enumerate().map(|(number, vnet)| {
            let mut options = vec![("zone", zone_id(self.zone_of(number)))];
            options.extend(self.tag(number).map(|tag| ("tag", tag.to_string())));
            let quoted = |alias: &String| ("alias", Value::from(alias.as_str()).to_string());
            options.extend(vnet.alias.as_ref().map(quoted));
            options.push(("vlanaware", self.is_vlan_aware(number).to_string()));
            options.push(("isolate-ports", u8::from(vnet.isolated).to_string()));
            let mut subnets = String::new();
            for subnet in self.subnets(number) {
                write!(subnets, "\"{}\": {{snat: {}", subnet.prefix, subnet.snat).unwrap();
                if let Some(gateway) = &subnet.gateway {
                    write!(subnets, ", gateway: \"{gateway}\"").unwrap();
                }
                subnets.push_str("}, ");
            }
            options.push(("subnets", format!("{{{subnets}}}")));
            ("vnets", vnet_id(number), options)
        });
        nodes.chain(zones).chain(vnets).chain(self.routing.objects()).collect()
    }

    /// The same as Proxmox writes it, numbers as texts where `texts` says so.
    pub(super) fn running_config(&self, texts: bool) -> Value {
        let number = |number: u32| if texts { json!(number.to_string()) } else { json!(number) };
        let zones = self.zones.iter().enumerate();
        let zones: Map<String, Value> =
            zones.map(|(index, zone)| (zone_id(index), zone.section(index, texts))).collect();
        let (mut vnets, mut subnets) = (Map::new(), Map::new());
        for (index, vnet) in self.vnets.iter().enumerate() {
            let zone = self.zone_of(index);
            let mut section = json!({"type": "vnet", "zone": zone_id(zone)});
            if let Some(tag) = self.tag(index) {
                section["tag"] = number(tag);
            }
            if let Some(alias) = &vnet.alias {
                section["alias"] = json!(alias);
            }
            section["vlanaware"] = number(self.is_vlan_aware(index).into());
            section["isolate-ports"] = number(vnet.isolated.into());
            vnets.insert(vnet_id(index), section);
            for subnet in self.subnets(index) {
                let mut section = json!({"type": "subnet", "vnet": vnet_id(index)});
                section["snat"] = number(subnet.snat.into());
                if let Some(gateway) = &subnet.gateway {
                    section["gateway"] = json!(gateway);
                }
                let id = format!("{}-{}", zone_id(zone), subnet.prefix.replace('/', "-"));
                subnets.insert(id, section);
            }
        }
        let (controllers, fabrics) = self.routing.sections(texts);
        json!({
            "version": 3,
            "zones": {"ids": zones},
            "vnets": {"ids": vnets},
            "subnets": {"ids": subnets},
            "controllers": {"ids": controllers},
            "fabrics": {"ids": fabrics},
        })
    }

    /// Prefixes that no other vnet has, each once.
    fn subnets(&self, vnet: usize) -> Vec<Subnet> {
        let mut seen = Vec::new();
        if self.is_vlan_aware(vnet) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (number, v6, host, snat) in &self.vnets[vnet].subnets {
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

impl Routing {
    /// The options of a fabric's interface that only one node has.
    fn interface(&self, node: usize) -> String {
        if self.numbered { format!(", ip: 10.99.{node}.1/31") } else { String::new() }
    }

    fn objects(&self) -> Vec<Object> {
        let evpn = if self.by_fabric {
            ("fabric", "fab".to_owned())
        } else {
            ("peers", format!("[{}]", addresses(&[1, 2, 3]).join(", ")))
        };
        let number = |text: &str| text.to_owned();
        let mut found = vec![(
            "controllers",
            "ctl".to_owned(),
            vec![("type", number("evpn")), ("asn", number("65000")), evpn],
        )];
        if let Some((node, has_loopback)) = self.bgp {
            let mut options = vec![
                ("type", number("bgp")),
                ("node", self::node(node)),
                ("asn", number("65000")),
                ("peers", number("[192.168.0.254]")),
            ];
            options.extend(has_loopback.then(|| ("loopback", number("dummy1"))));
            found.push(("controllers", format!("bgp{node}"), options));
        }
        let nodes = self.fabric.iter().map(|number| {
            format!(
                "{}: {{ip: 172.20.0.{number}, interfaces: [{{name: ens19}}, {{name: ens20{}}}]}}",
                node(*number),
                self.interface(*number)
            )
        });
        let nodes: Vec<String> = nodes.collect();
        found.push((
            "fabrics",
            "fab".to_owned(),
            vec![
                ("type", number("openfabric")),
                ("ip_prefix", number("172.20.0.0/24")),
                ("nodes", format!("{{{}}}", nodes.join(", "))),
            ],
        ));
        found
    }

    fn sections(&self, texts: bool) -> (Map<String, Value>, Map<String, Value>) {
        let asn = if texts { json!("65000") } else { json!(65000) };
        let mut controllers = Map::new();
        let mut evpn = json!({"type": "evpn", "asn": asn});
        if self.by_fabric {
            evpn["fabric"] = json!("fab");
        } else {
            evpn["peers"] = addresses(&[1, 2, 3]).join(",").into();
        }
        controllers.insert("ctl".to_owned(), evpn);
        if let Some((node, has_loopback)) = self.bgp {
            let mut bgp = json!({
                "type": "bgp", "node": self::node(node), "asn": asn, "peers": "192.168.0.254",
            });
            if has_loopback {
                bgp["loopback"] = json!("dummy1");
            }
            controllers.insert(format!("bgp{node}"), bgp);
        }
        let mut fabrics = Map::new();
        let fabric =
            json!({"type": "openfabric_fabric", "id": "fab", "ip_prefix": "172.20.0.0/24"});
        fabrics.insert("fab".to_owned(), fabric);
        for number in &self.fabric {
            let numbered = self.interface(*number).replace(", ip: ", ",ip=");
            let id = format!("fab_{}", node(*number));
            let section = json!({
                "type": "openfabric_node", "id": id, "ip": format!("172.20.0.{number}"),
                "interfaces": ["name=ens19", format!("name=ens20{numbered}")],
            });
            fabrics.insert(id, section);
        }
        (controllers, fabrics)
    }
}

struct Subnet {
    prefix: String,
    gateway: Option<String>,
    snat: bool,
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

//! Zones, vnets, subnets, controllers and fabrics.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value as Json;

use super::convert::{CONTROLLER, FABRIC, FABRIC_NODE, SUBNET, VNET, ZONE};
use super::emit::{Item, Map};
use super::object::{Import, KnownVnet, typed};
use crate::declare::controller::ControllerType;
use crate::declare::fabric::FabricType;
use crate::declare::pve::Kind;
use crate::declare::pve::config::{Objects, is_set, items, scalar as text};
use crate::declare::zone::ZoneType;
use crate::value::{Cidr, ControllerId, FabricId, NodeName, VnetId, ZoneId};

impl Import {
    /// The zones by id.
    pub(super) fn zones(&mut self, zones: Objects) -> BTreeMap<String, Map> {
        let mut found = BTreeMap::new();
        for (id, section) in zones {
            let kind = section.get("type").and_then(text).unwrap_or_default();
            let known = ZoneType::WORDS.contains(&kind.as_str());
            if !known || id.parse::<ZoneId>().is_err() {
                let why = "weft has no zone of this id and type";
                self.leave_aside("zone", &id, &section, why);
                continue;
            }
            let zone = self.object("zone", &id, typed(&kind), &section, ZONE, &["type"]);
            if let Some(why) = incomplete(Kind::Zones, &kind, &zone, kind == "vxlan") {
                self.leave_aside("zone", &id, &section, &why);
                continue;
            }
            for key in ["nodes", "exitnodes", "exitnodes-primary"] {
                let named = section.get(key).and_then(items).unwrap_or_default();
                self.named.extend(named.iter().filter_map(|node| node.parse().ok()));
            }
            self.name_peers(&section);
            for (key, kind) in [("ipam", "ipams"), ("dns", "dns"), ("reversedns", "dns")] {
                let name = section.get(key).and_then(text).unwrap_or_default();
                if key == "ipam" && name == "pve" {
                    self.of_pve.push(id.clone());
                } else if !name.is_empty() && !self.services.contains(&format!("{kind} {name}")) {
                    let why = if self.services_unknown {
                        "the running configuration names it only".to_owned()
                    } else {
                        format!("{kind}.cfg has none of this name")
                    };
                    let message =
                        format!("declare `{}` under `{kind}`; {why}", name.escape_debug());
                    self.remark("zone", &id, message);
                }
            }
            found.insert(id, zone);
        }
        found
    }

    /// The addresses of nodes that are listed somewhere.
    fn name_peers(&mut self, section: &Json) {
        let peers = section.get("peers").and_then(items).unwrap_or_default();
        self.peers.extend(peers.iter().filter_map(|peer| peer.parse::<IpAddr>().ok()));
    }

    /// The controllers, what is left out as comments among them.
    pub(super) fn controllers(&mut self, controllers: Objects) -> Map {
        let mut map = Map::default();
        for (id, section) in controllers {
            let kind = section.get("type").and_then(text).unwrap_or_default();
            let known = ControllerType::WORDS.contains(&kind.as_str());
            if !known || id.parse::<ControllerId>().is_err() {
                let why = "weft has no controller of this id and type";
                self.leave_out(&mut map, "controller", &id, &section, why);
                continue;
            }
            let controller =
                self.object("controller", &id, typed(&kind), &section, CONTROLLER, &["type"]);
            let evpn = kind == ControllerType::Evpn.as_str();
            if let Some(why) = incomplete(Kind::Controllers, &kind, &controller, evpn) {
                self.leave_out(&mut map, "controller", &id, &section, &why);
                continue;
            }
            let node = section.get("node").and_then(text);
            self.named.extend(node.and_then(|node| node.parse().ok()));
            if evpn {
                self.name_peers(&section);
            }
            map.insert(id, Item::Map(controller));
        }
        map
    }

    /// Proxmox keeps the nodes of fabrics beside them, as `⟨fabric⟩_⟨node⟩`.
    pub(super) fn fabrics(&mut self, fabrics: &Objects) -> Map {
        let kind_of = |section: &Json, suffix: &str| {
            let kind = section.get("type").and_then(text)?;
            let protocol = kind.strip_suffix(suffix)?.to_owned();
            FabricType::WORDS.contains(&protocol.as_str()).then_some(protocol)
        };
        let mut map = Map::default();
        let mut nodes: BTreeMap<String, Map> = BTreeMap::new();
        let mut found: BTreeMap<String, Map> = BTreeMap::new();
        for (id, section) in fabrics {
            let fabric = kind_of(section, "_fabric").filter(|_| id.parse::<FabricId>().is_ok());
            if let Some(kind) = fabric {
                let fabric =
                    self.object("fabric", id, typed(&kind), section, FABRIC, &["type", "id"]);
                found.insert(id.clone(), fabric);
            }
        }
        for (id, section) in fabrics {
            if found.contains_key(id) {
                continue;
            }
            let node = kind_of(section, "_node")
                .and_then(|_| id.split_once('_'))
                .filter(|(fabric, _)| found.contains_key(*fabric))
                .and_then(|(fabric, node)| Some((fabric, node.parse::<NodeName>().ok()?)));
            if let Some((fabric, name)) = node {
                let ignored = &["type", "id", "node_id", "fabric_id"];
                let node =
                    self.object("fabric node", id, Map::compact(), section, FABRIC_NODE, ignored);
                let nodes = nodes.entry(fabric.to_owned()).or_default();
                nodes.insert(name.to_string(), Item::Map(node));
                self.named.insert(name);
            } else {
                let why = "weft has no fabric, or node of a fabric, of this id and type";
                self.leave_out(&mut map, "fabric", id, section, why);
            }
        }
        for (id, mut fabric) in found {
            if let Some(nodes) = nodes.remove(&id) {
                fabric.insert("nodes".to_owned(), Item::Map(nodes));
            }
            map.insert(id, Item::Map(fabric));
        }
        map
    }

    /// The vnets of each zone that is named, declared or not.
    pub(super) fn vnets(
        &mut self,
        vnets: Objects,
        subnets: Objects,
        firewalls: &BTreeSet<String>,
    ) -> BTreeMap<String, Map> {
        let mut of_zone: BTreeMap<String, Map> = BTreeMap::new();
        let mut of_vnet: BTreeMap<String, Vec<(String, Json)>> = BTreeMap::new();
        for (id, section) in subnets {
            let vnet = section.get("vnet").and_then(text).unwrap_or_default();
            of_vnet.entry(vnet).or_default().push((id, section));
        }
        for (id, section) in vnets {
            let zone = section.get("zone").and_then(text);
            let zone = zone.filter(|zone| zone.parse::<ZoneId>().is_ok());
            let (Some(zone), Ok(name)) = (zone, id.parse::<VnetId>()) else {
                let why = "weft has no vnet of this id, or the vnet has no zone";
                self.leave_aside("vnet", &id, &section, why);
                continue;
            };
            let mut vnet = Map::default();
            if firewalls.contains(&id) {
                let file = format!("sdn/firewall/{id}.fw");
                vnet.note(&format!("{file}: its firewall stays Proxmox's, and is not declared"));
                self.remark("vnet", &id, format!("its firewall ({file}) is not taken over"));
            }
            let mut vnet = self.object("vnet", &id, vnet, &section, VNET, &["type"]);
            self.vnets.insert(name.clone(), KnownVnet { zone: zone.clone(), ..Default::default() });
            if let Some(subnets) = of_vnet.remove(&id) {
                let subnets = self.subnets(&zone, &name, subnets);
                vnet.insert("subnets".to_owned(), Item::Map(subnets));
            }
            of_zone.entry(zone).or_default().insert(id, Item::Map(vnet));
        }
        for (id, section) in of_vnet.into_values().flatten() {
            self.leave_aside("subnet", &id, &section, "its vnet is not there");
        }
        for id in firewalls.iter().filter(|id| !self.vnets.contains_key(id.as_str())) {
            let message = "is of no vnet that is declared, and is not taken over";
            self.remarks.push(super::Remark {
                object: format!("sdn/firewall/{}.fw", id.escape_debug()),
                message: message.to_owned(),
            });
        }
        of_zone
    }

    /// The id of a subnet is `⟨zone⟩-⟨network⟩-⟨prefix length⟩`; its text is kept,
    /// because Proxmox makes other ids of it.
    fn subnets(&mut self, zone: &str, vnet: &VnetId, subnets: Vec<(String, Json)>) -> Map {
        let mut map = Map::default();
        let mut known: Vec<(Cidr, Option<IpAddr>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (id, section) in subnets {
            let parts = id.split_once('-').and_then(|(zone, rest)| {
                let (network, length) = rest.rsplit_once('-')?;
                Some((zone, format!("{network}/{length}").parse::<Cidr>().ok()?))
            });
            let Some((of_zone, prefix)) = parts.filter(|(_, prefix)| seen.insert(prefix.clone()))
            else {
                let why = "its id holds no prefix, or one that the vnet has already";
                self.leave_out(&mut map, "subnet", &id, &section, why);
                continue;
            };
            if of_zone != zone {
                let message = format!("its id names zone `{of_zone}`; its vnet is in `{zone}`");
                self.remark("subnet", &id, message);
            }
            let computed = &["type", "vnet", "id", "cidr", "zone", "network", "mask"];
            let subnet = self.object("subnet", &id, Map::compact(), &section, SUBNET, computed);
            let gateway = section.get("gateway").filter(|value| is_set(value)).and_then(text);
            known.push((prefix.clone(), gateway.and_then(|gateway| gateway.parse().ok())));
            map.insert(prefix.to_string(), Item::Map(subnet));
        }
        if let Some(vnet) = self.vnets.get_mut(vnet) {
            vnet.subnets = known;
        }
        map
    }
}

/// Why Proxmox makes nothing of an object: what it must have and has not, or has in a
/// form that nobody can use. `ends` says that it needs peers or a fabric.
fn incomplete(kind: Kind, of_type: &str, map: &Map, ends: bool) -> Option<String> {
    let missing = kind.required(of_type).iter().find(|key| !map.contains(key));
    if let Some(key) = missing {
        return Some(format!("Proxmox makes nothing of it without a legal `{key}`"));
    }
    let ended = map.contains("peers") || map.contains("fabric");
    (ends && !ended).then(|| "it has neither `peers` nor `fabric`".to_owned())
}

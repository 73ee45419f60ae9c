//! From Proxmox's running configuration to the text of a repository.
//!
//! Everything keeps Proxmox's names. What a repository cannot say is never
//! dropped in silence: it stays as a comment where it was, and is remarked.

mod convert;
mod emit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde_json::{Map as JsonMap, Value as Json};
use thiserror::Error;

use self::convert::{CONTROLLER, FABRIC, FABRIC_NODE, Field, SUBNET, VNET, ZONE, items, text};
use self::emit::{Item, Map};
use super::controller::ControllerType;
use super::fabric::FabricType;
use super::zone::ZoneType;
use super::{CLUSTER_FILE, DIRECTORY, constant_path};
use crate::value::{Cidr, ClusterName, ControllerId, FabricId, NodeName, RepoPath, VnetId, ZoneId};

/// The largest running configuration that is read, in bytes. Proxmox itself keeps
/// it below one mebibyte.
pub const MAX_BYTES: usize = 16 << 20;

/// Why a running configuration cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// There is more than Proxmox would ever write.
    #[error("the running configuration is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is damaged, or another file.
    #[error("the running configuration is not JSON")]
    NotJson(#[from] serde_json::Error),
    /// It is JSON of another shape.
    #[error("`{0}` of the running configuration is not a map")]
    NotAMap(String),
}

/// What is known of a node beside the running configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownNode {
    /// The tunnel endpoint.
    pub address: Option<IpAddr>,
    /// The address that must never be lost.
    pub management: Option<IpAddr>,
}

/// A configuration repository made of a running configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The texts of its files.
    pub files: BTreeMap<RepoPath, String>,
    /// What a person should look at.
    pub remarks: Vec<Remark>,
    /// How often Proxmox has applied its configuration: the number that its nodes
    /// carry in the first line of their interfaces file.
    pub version: u64,
}

/// Something that could not be taken over as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The object, such as `zone z1`.
    pub object: String,
    /// What is the matter with it.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.message)
    }
}

/// Imports `/etc/pve/sdn/.running-config`. `nodes` are the nodes of the cluster;
/// those that the configuration names are declared as well. A result has no
/// finding that is an error wherever Proxmox renders the configuration with this
/// version's types of zones.
pub fn running_config(
    json: &str,
    cluster: &ClusterName,
    nodes: &BTreeMap<NodeName, KnownNode>,
) -> Result<Imported, ImportError> {
    if json.len() > MAX_BYTES {
        return Err(ImportError::TooLarge);
    }
    let Json::Object(mut config) = serde_json::from_str(json)? else {
        return Err(ImportError::NotAMap("the whole".to_owned()));
    };
    let mut import = Import::default();
    let version = config.remove("version").as_ref().and_then(text);
    let zones = section(&mut config, "zones")?;
    let controllers = section(&mut config, "controllers")?;
    let fabrics = section(&mut config, "fabrics")?;
    let vnets = section(&mut config, "vnets")?;
    let subnets = section(&mut config, "subnets")?;

    let zones = import.zones(zones);
    let controllers = import.controllers(controllers);
    let fabrics = import.fabrics(&fabrics);
    let vnets = import.vnets(vnets, subnets);
    let nodes = import.nodes(nodes);
    let mut rest = Map::default();
    for (name, value) in config {
        import.leave_out(&mut rest, "section", &name, &value, "weft does not know it");
    }

    let mut files = BTreeMap::new();
    files.insert(
        constant_path(CLUSTER_FILE),
        format!("weft: 1\ncluster: {}\n", emit::scalar(cluster.as_str())),
    );
    let kinds = [
        ("nodes", nodes),
        ("zones", zones),
        ("vnets", vnets),
        ("controllers", controllers),
        ("fabrics", fabrics),
    ];
    for (kind, map) in kinds {
        for (number, text) in (1_u32..).zip(map.documents(kind)) {
            let name = if number == 1 { kind.to_owned() } else { format!("{kind}-{number}") };
            files.insert(constant_path(&format!("{DIRECTORY}/{name}.yaml")), text);
        }
    }
    if let Some(text) = rest.only_comments() {
        files.insert(constant_path(&format!("{DIRECTORY}/left-out.yaml")), text);
    }
    let version = version.and_then(|version| version.parse().ok()).unwrap_or_default();
    Ok(Imported { files, remarks: import.remarks, version })
}

type Sections = JsonMap<String, Json>;

/// The objects of one kind; none where the kind is not there.
fn section(config: &mut Sections, name: &str) -> Result<Sections, ImportError> {
    let not_a_map = || ImportError::NotAMap(name.to_owned());
    match config.remove(name) {
        None | Some(Json::Null) => Ok(Sections::new()),
        Some(Json::Object(mut section)) => match section.remove("ids") {
            None | Some(Json::Null) => Ok(Sections::new()),
            Some(Json::Object(ids)) => Ok(ids),
            Some(_) => Err(not_a_map()),
        },
        Some(_) => Err(not_a_map()),
    }
}

#[derive(Default)]
struct Import {
    remarks: Vec<Remark>,
    named: BTreeSet<NodeName>,
}

impl Import {
    fn zones(&mut self, zones: Sections) -> Map {
        let mut map = Map::default();
        for (id, section) in zones {
            let kind = section.get("type").and_then(text).unwrap_or_default();
            let known = ZoneType::WORDS.contains(&kind.as_str());
            if !known || id.parse::<ZoneId>().is_err() {
                let why = "weft has no zone of this id and type";
                self.leave_out(&mut map, "zone", &id, &section, why);
                continue;
            }
            for key in ["nodes", "exitnodes", "exitnodes-primary"] {
                let named = section.get(key).and_then(items).unwrap_or_default();
                self.named.extend(named.iter().filter_map(|node| node.parse().ok()));
            }
            for (key, kind) in [("ipam", "ipams"), ("dns", "dns"), ("reversedns", "dns")] {
                let name = section.get(key).and_then(text).unwrap_or_default();
                if !name.is_empty() && name != "pve" {
                    let message = format!(
                        "declare `{}` under `{kind}`; the running configuration names it only",
                        name.escape_debug()
                    );
                    self.remark("zone", &id, message);
                }
            }
            let zone = self.object("zone", &id, Some(&kind), &section, ZONE, &["type"]);
            map.insert(id, Item::Map(zone));
        }
        map
    }

    fn controllers(&mut self, controllers: Sections) -> Map {
        let mut map = Map::default();
        for (id, section) in controllers {
            let kind = section.get("type").and_then(text).unwrap_or_default();
            let known = ControllerType::WORDS.contains(&kind.as_str());
            if !known || id.parse::<ControllerId>().is_err() {
                let why = "weft has no controller of this id and type";
                self.leave_out(&mut map, "controller", &id, &section, why);
                continue;
            }
            let node = section.get("node").and_then(text);
            self.named.extend(node.and_then(|node| node.parse().ok()));
            let controller =
                self.object("controller", &id, Some(&kind), &section, CONTROLLER, &["type"]);
            map.insert(id, Item::Map(controller));
        }
        map
    }

    /// Proxmox keeps the nodes of fabrics beside them, as `⟨fabric⟩_⟨node⟩`.
    fn fabrics(&mut self, fabrics: &Sections) -> Map {
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
                    self.object("fabric", id, Some(&kind), section, FABRIC, &["type", "id"]);
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
                let node = self.object("fabric node", id, None, section, FABRIC_NODE, ignored);
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

    fn vnets(&mut self, vnets: Sections, subnets: Sections) -> Map {
        let mut map = Map::default();
        let mut of_vnet: BTreeMap<String, Vec<(String, Json)>> = BTreeMap::new();
        for (id, section) in subnets {
            let vnet = section.get("vnet").and_then(text).unwrap_or_default();
            of_vnet.entry(vnet).or_default().push((id, section));
        }
        for (id, section) in vnets {
            let zone = section.get("zone").and_then(text);
            let zone = zone.filter(|zone| zone.parse::<ZoneId>().is_ok());
            if zone.is_none() || id.parse::<VnetId>().is_err() {
                let why = "weft has no vnet of this id, or the vnet has no zone";
                self.leave_out(&mut map, "vnet", &id, &section, why);
                continue;
            }
            let mut vnet = self.object("vnet", &id, None, &section, VNET, &["type"]);
            if let Some(subnets) = of_vnet.remove(&id) {
                vnet.insert("subnets".to_owned(), Item::Map(self.subnets(subnets)));
            }
            map.insert(id, Item::Map(vnet));
        }
        for (id, section) in of_vnet.into_values().flatten() {
            self.leave_out(&mut map, "subnet", &id, &section, "its vnet is not there");
        }
        map
    }

    /// The id of a subnet is `⟨zone⟩-⟨network⟩-⟨prefix length⟩`; its text is kept,
    /// because Proxmox makes other ids of it.
    fn subnets(&mut self, subnets: Vec<(String, Json)>) -> Map {
        let mut map = Map::default();
        let mut seen = BTreeSet::new();
        for (id, section) in subnets {
            let prefix = id
                .split_once('-')
                .and_then(|(_zone, rest)| rest.rsplit_once('-'))
                .map(|(network, length)| format!("{network}/{length}"))
                .filter(|prefix| prefix.parse::<Cidr>().is_ok());
            let Some(prefix) = prefix.filter(|prefix| seen.insert(prefix.clone())) else {
                let why = "its id holds no prefix, or one that the vnet has already";
                self.leave_out(&mut map, "subnet", &id, &section, why);
                continue;
            };
            let computed = &["type", "vnet", "id", "cidr", "zone", "network", "mask"];
            let subnet = self.object("subnet", &id, None, &section, SUBNET, computed);
            map.insert(prefix, Item::Map(subnet));
        }
        map
    }

    fn nodes(&self, known: &BTreeMap<NodeName, KnownNode>) -> Map {
        let mut map = Map::default();
        for name in self.named.iter().chain(known.keys()).collect::<BTreeSet<_>>() {
            let known = known.get(name).copied().unwrap_or_default();
            let mut node = Map::default();
            let addresses = [("address", known.address), ("management", known.management)];
            for (key, address) in addresses {
                if let Some(address) = address {
                    node.insert(key.to_owned(), Item::Text(address.to_string()));
                }
            }
            map.insert(name.to_string(), Item::Map(node));
        }
        map
    }

    /// One object: its options in the order of the table, then as comments what
    /// is not in it or cannot be said.
    fn object(
        &mut self,
        what: &str,
        id: &str,
        kind: Option<&str>,
        section: &Json,
        table: &[Field],
        ignored: &[&str],
    ) -> Map {
        let mut map = Map::default();
        if let Some(kind) = kind {
            map.insert("type".to_owned(), Item::Text(kind.to_owned()));
        }
        let empty = Sections::new();
        let section = section.as_object().unwrap_or(&empty);
        for Field { name, form } in table {
            let Some(value) = section.get(*name).filter(|value| is_set(value)) else { continue };
            if let Some(item) = form.convert(value) {
                for (written, rendered) in form.respelled(value) {
                    let message =
                        format!("`{name}` {written} is rendered as {rendered} from now on");
                    self.remark(what, id, message);
                }
                map.insert((*name).to_owned(), item);
            } else {
                map.comment(name, value);
                let message = format!("weft has no such value of `{name}`; it stays as a comment");
                self.remark(what, id, message);
            }
        }
        for (name, value) in section {
            let known = table.iter().any(|option| option.name == name);
            if !known && !ignored.contains(&name.as_str()) && is_set(value) {
                map.comment(name, value);
                self.remark(
                    what,
                    id,
                    format!("weft has no option `{}`; it stays as a comment", name.escape_debug()),
                );
            }
        }
        map
    }

    fn leave_out(&mut self, map: &mut Map, what: &str, id: &str, value: &Json, why: &str) {
        map.comment(&format!("{what} {id}"), value);
        self.remark(what, id, format!("left out, because {why}; it stays as a comment"));
    }

    fn remark(&mut self, what: &str, id: &str, message: String) {
        self.remarks.push(Remark { object: format!("{what} {}", id.escape_debug()), message });
    }
}

/// Whether Proxmox takes the key as given at all.
fn is_set(value: &Json) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

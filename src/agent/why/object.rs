//! What can be asked about, and where it is declared.

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8Path;
use serde::Serialize;

use super::trace::View;
use crate::declare::Declared;
use crate::network::{Network, Traffic};
use crate::render::Managed;
use crate::value::{Cidr, ControllerId, FabricId, IfName, NodeName, Place, VnetId, ZoneId};

/// Something that somebody may ask about. One name may be that of several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A vnet.
    Vnet(VnetId),
    /// A zone.
    Zone(ZoneId),
    /// A subnet, of whichever vnets.
    Subnet(Cidr),
    /// A controller.
    Controller(ControllerId),
    /// A fabric.
    Fabric(FabricId),
    /// An interface of the node.
    Interface(IfName),
    /// A file that weft writes.
    File(Managed),
    /// The dnsmasq of a zone.
    Dnsmasq(ZoneId),
    /// FRR.
    Frr,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vnet(id) => write!(f, "vnet {id}"),
            Self::Zone(id) => write!(f, "zone {id}"),
            Self::Subnet(prefix) => write!(f, "subnet {prefix}"),
            Self::Controller(id) => write!(f, "controller {id}"),
            Self::Fabric(id) => write!(f, "fabric {id}"),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::File(managed) => write!(f, "file {managed}"),
            Self::Dnsmasq(zone) => write!(f, "daemon dnsmasq@{zone}"),
            Self::Frr => f.write_str("daemon frr"),
        }
    }
}

/// Where something is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Declaration {
    /// What, such as `vnet va`.
    pub what: String,
    /// Where its id stands.
    pub place: Place,
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.place, self.what)
    }
}

/// Everything of these views that has this name.
pub(super) fn named(name: &str, views: &[&View]) -> BTreeSet<Object> {
    views.iter().flat_map(|view| all(view)).filter(|object| is_named(object, name)).collect()
}

/// Every name that can be asked about.
pub(super) fn names(views: &[&View]) -> BTreeSet<String> {
    views.iter().flat_map(|view| all(view)).map(|object| name(&object)).collect()
}

fn is_named(object: &Object, text: &str) -> bool {
    match object {
        // However its prefix is written.
        Object::Subnet(prefix) => text.parse::<Cidr>().is_ok_and(|asked| asked == *prefix),
        object => name(object) == text,
    }
}

fn name(object: &Object) -> String {
    match object {
        Object::Vnet(id) => id.to_string(),
        Object::Zone(id) => id.to_string(),
        Object::Subnet(prefix) => prefix.to_string(),
        Object::Controller(id) => id.to_string(),
        Object::Fabric(id) => id.to_string(),
        Object::Interface(name) => name.to_string(),
        Object::File(managed) => managed.to_string(),
        Object::Dnsmasq(zone) => format!("dnsmasq@{zone}"),
        Object::Frr => "frr".to_owned(),
    }
}

/// Every object of a view.
fn all(view: &View) -> Vec<Object> {
    let mut all: Vec<Object> = Vec::new();
    if let Some(declared) = view.declared.as_ref() {
        all.extend(declared.vnets.keys().cloned().map(Object::Vnet));
        all.extend(declared.zones.keys().cloned().map(Object::Zone));
        let subnets = declared.vnets.values().filter_map(|vnet| vnet.value.subnets.as_ref());
        all.extend(subnets.flat_map(|subnets| subnets.value.keys().cloned()).map(Object::Subnet));
        all.extend(declared.controllers.keys().cloned().map(Object::Controller));
        all.extend(declared.fabrics.keys().cloned().map(Object::Fabric));
    }
    all.extend(view.interfaces.keys().cloned().map(Object::Interface));
    all.extend(view.interfaces.values().flatten().cloned().map(Object::Vnet));
    all.extend(view.texts.keys().cloned().map(Object::File));
    let zones = view.texts.keys().filter_map(Managed::dnsmasq).cloned();
    all.extend(zones.flat_map(|zone| [Object::Zone(zone.clone()), Object::Dnsmasq(zone)]));
    all.extend(view.texts.contains_key(&Managed::Frr).then_some(Object::Frr));
    all
}

/// A file that weft may write, by its path.
pub(super) fn file(name: &str) -> Option<Object> {
    Managed::of_path(Utf8Path::new(name)).map(Object::File)
}

/// The network without an object that is declared; `None` where it has no such one.
pub(super) fn without(network: &Network, object: &Object) -> Option<Network> {
    let mut left = network.clone();
    let was_there = match object {
        Object::Vnet(id) => {
            let mut zones = left.zones.values_mut();
            zones.any(|zone| zone.vnets.remove(id).is_some())
        }
        Object::Zone(id) => left.zones.remove(id).is_some(),
        Object::Subnet(prefix) => {
            let vnets = left.zones.values_mut().flat_map(|zone| zone.vnets.values_mut());
            let removed = vnets.filter_map(|vnet| match &mut vnet.traffic {
                Traffic::Untagged(subnets) => subnets.remove(prefix),
                Traffic::VlanAware => None,
            });
            removed.count() > 0
        }
        Object::Controller(id) => left.controllers.remove(id).is_some(),
        Object::Fabric(id) => left.fabrics.remove(id).is_some(),
        Object::Interface(_) | Object::File(_) | Object::Dnsmasq(_) | Object::Frr => false,
    };
    was_there.then_some(left)
}

/// The declarations of objects, each with those that it names: the zone of a vnet, the
/// controller and the fabric of a zone. Those that are asked for come first.
pub(super) fn declarations(
    declared: &Declared,
    objects: &BTreeSet<Object>,
    node: &NodeName,
) -> Vec<Declaration> {
    let mut found: Vec<Declaration> = Vec::new();
    let mut next: Vec<Object> = objects.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    while !next.is_empty() {
        let mut named = Vec::new();
        for object in next.into_iter().filter(|object| seen.insert(object.clone())) {
            let mut say = |place: &Place, what: String| {
                found.push(Declaration { what, place: place.clone() });
            };
            match &object {
                Object::Vnet(id) => {
                    let Some(vnet) = declared.vnets.get(id) else { continue };
                    say(&vnet.place, object.to_string());
                    named.push(Object::Zone(vnet.value.zone.value.clone()));
                }
                Object::Zone(id) => {
                    let Some(zone) = declared.zones.get(id) else { continue };
                    say(&zone.place, object.to_string());
                    let controller = zone.value.controller.iter();
                    named.extend(controller.map(|at| Object::Controller(at.value.clone())));
                    let fabric = zone.value.fabric.iter();
                    named.extend(fabric.map(|at| Object::Fabric(at.value.clone())));
                }
                Object::Subnet(prefix) => {
                    for (id, vnet) in &declared.vnets {
                        let subnets = vnet.value.subnets.iter().map(|at| &at.value);
                        for entry in subnets.filter_map(|subnets| subnets.get(prefix)) {
                            say(&entry.place, format!("{object} of vnet {id}"));
                            named.push(Object::Vnet(id.clone()));
                        }
                    }
                }
                Object::Controller(id) => {
                    let Some(controller) = declared.controllers.get(id) else { continue };
                    say(&controller.place, object.to_string());
                    let fabric = controller.value.fabric.iter();
                    named.extend(fabric.map(|at| Object::Fabric(at.value.clone())));
                }
                Object::Fabric(id) => {
                    let Some(fabric) = declared.fabrics.get(id) else { continue };
                    say(&fabric.place, object.to_string());
                    let nodes = fabric.value.nodes.iter().map(|at| &at.value);
                    for here in nodes.filter_map(|nodes| nodes.get(node)) {
                        say(&here.place, format!("node {node} in {object}"));
                    }
                }
                Object::Interface(_) | Object::File(_) | Object::Dnsmasq(_) | Object::Frr => {}
            }
        }
        next = named;
    }
    found
}

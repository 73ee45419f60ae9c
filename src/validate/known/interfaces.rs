//! The node's own interfaces, and those that are named or made.

use std::collections::BTreeMap;

use super::{Known, known};
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::ZoneType;
use crate::facts::Facts;
use crate::validate::report::Report;
use crate::validate::vnets::zone_of;
use crate::value::{At, IfName, Place};

/// A node has the bridges of its zones.
pub(in crate::validate) fn bridges(declared: &Declared, facts: &[Facts], report: &mut Report) {
    for known in known(declared, facts) {
        for (id, _, bridge) in known.zone_bridges() {
            if known.facts.bridge(&bridge.value).is_some() {
                continue;
            }
            let node = &known.facts.node;
            let message =
                format!("node `{node}` has no bridge `{}`, which zone `{id}` is on", bridge.value);
            let finding = Finding::new(Code::NodeBridgeMissing, message, &bridge.place)
                .also(&known.node.place, "the node");
            let names = known.facts.bridges.iter().map(|bridge| bridge.name.as_str());
            report.suggest(finding, bridge.value.as_str(), "bridges of the node", names);
        }
    }
}

/// A node has the interfaces that controllers and fabrics name for it.
pub(in crate::validate) fn present(declared: &Declared, facts: &[Facts], report: &mut Report) {
    for known in known(declared, facts) {
        let node = &known.facts.node;
        for (id, entry) in &declared.controllers {
            let controller = &entry.value;
            if controller.node.as_ref().is_none_or(|on| on.value != *node) {
                continue;
            }
            let listed = controller.isis_ifaces.iter().flat_map(|list| &list.value);
            for name in listed.chain(&controller.loopback) {
                look(known, &format!("controller `{id}`"), name, report);
            }
        }
        for (id, fabric) in &declared.fabrics {
            let nodes = fabric.value.nodes.as_ref();
            let Some(member) = nodes.and_then(|nodes| nodes.value.get(node)) else { continue };
            let interfaces = member.value.interfaces.iter().flat_map(|list| &list.value);
            for interface in interfaces {
                look(known, &format!("fabric `{id}`"), &interface.name, report);
            }
        }
    }
}

fn look(known: Known<'_>, what: &str, name: &At<IfName>, report: &mut Report) {
    let word = name.value.as_str();
    let fabric = word.strip_prefix("dummy_");
    let is_made = fabric.is_some_and(|fabric| known.declared.fabrics.contains_key(fabric));
    if is_made || known.facts.interface(word).is_some() {
        return;
    }
    let node = &known.facts.node;
    let message = format!("node `{node}` has no interface `{word}`, which {what} names");
    let finding = Finding::new(Code::NodeInterfaceMissing, message, &name.place)
        .also(&known.node.place, "the node");
    let names = known.facts.interfaces.iter().map(|interface| interface.name.as_str());
    report.suggest(finding, word, "interfaces of the node", names);
}

/// No interface of a node has a name that is to be made there.
pub(in crate::validate) fn free_names(declared: &Declared, facts: &[Facts], report: &mut Report) {
    let vlans = vlans(declared);
    for known in known(declared, facts) {
        for own in &known.facts.interfaces {
            for name in [&own.name].into_iter().chain(&own.altnames) {
                let Some((what, place)) = maker(known, name.as_str(), &vlans) else { continue };
                let node = &known.facts.node;
                let message =
                    format!("node `{node}` has an interface `{name}`, which {what} makes");
                let finding = Finding::new(Code::NodeInterfaceTaken, message, place);
                report.push(finding.also(&known.node.place, "the node"));
            }
        }
    }
}

/// The VLANs of bridges that vnets use.
type Vlans<'a> = BTreeMap<(&'a str, u32), (String, &'a Place)>;

fn vlans(declared: &Declared) -> Vlans<'_> {
    let used = declared.vnets.iter().filter_map(|(id, vnet)| {
        let zone = &zone_of(&vnet.value, declared)?.value;
        let bridge = zone.bridge.as_ref().filter(|_| zone.kind.value == ZoneType::Vlan)?;
        let tag = vnet.value.tag.as_ref()?;
        Some(((bridge.value.as_str(), tag.value.get()), (format!("vnet `{id}`"), &vnet.place)))
    });
    used.collect()
}

/// What makes an interface of a name on a node, by how names are built
/// (`pve-rendering.md` §1.1).
fn maker<'a>(known: Known<'a>, name: &str, vlans: &Vlans<'a>) -> Option<(String, &'a Place)> {
    use ZoneType::{Evpn, Qinq, Vlan, Vxlan};
    let declared = known.declared;
    let vnet = |id: &str, kinds: &[ZoneType]| {
        let (id, vnet) = declared.vnets.get_key_value(id)?;
        let zone = &zone_of(&vnet.value, declared)?.value;
        let fits = kinds.is_empty() || kinds.contains(&zone.kind.value);
        (fits && known.has(zone)).then(|| (format!("vnet `{id}`"), &vnet.place))
    };
    let zone = |id: &str, kind: ZoneType| {
        let (id, zone) = declared.zones.get_key_value(id)?;
        let fits = zone.value.kind.value == kind && known.has(&zone.value);
        fits.then(|| (format!("zone `{id}`"), &zone.place))
    };
    if let Some(found) = vnet(name, &[]) {
        return Some(found);
    }
    if let Some((prefix, id)) = name.split_once('_') {
        return match prefix {
            "vxlan" => vnet(id, &[Vxlan, Evpn]),
            "ln" | "pr" => vnet(id, &[Vlan]).or_else(|| zone(id, Qinq)),
            "z" | "sv" => zone(id, Qinq),
            "vrf" | "vrfbr" | "vrfvx" | "xvrf" | "xvrfp" => zone(id, Evpn),
            "dummy" => {
                let (id, fabric) = declared.fabrics.get_key_value(id)?;
                let is_in = crate::validate::peers::is_in(&known.facts.node, &fabric.value);
                is_in.then(|| (format!("fabric `{id}`"), &fabric.place))
            }
            _ => None,
        };
    }
    let (bridge, tag) = name.rsplit_once('v')?;
    vlans.get(&(bridge, tag.parse().ok()?)).cloned()
}

//! `/etc/network/interfaces.d/sdn`, as Proxmox writes it (`pve-rendering.md` §1).

mod simple;
mod stanza;
mod vxlan;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use self::stanza::Stanza;
use super::{Note, Profile, Subject};
use crate::facts::Facts;
use crate::network::{Network, ZoneKind};
use crate::value::{IfName, NodeName, VnetId};

/// The file without its version line, and what is known of it.
pub(super) struct Interfaces {
    /// The stanzas, each after an empty line.
    pub text: String,
    /// The vnets that each interface serves.
    pub serves: BTreeMap<IfName, Vec<VnetId>>,
    /// What a person should know, in the order of the vnets.
    pub notes: Vec<Note>,
}

/// What one vnet needs.
#[derive(Default)]
struct Part {
    stanzas: Vec<Stanza>,
    notes: Vec<String>,
}

pub(super) fn render(
    network: &Network,
    node: &NodeName,
    facts: &Facts,
    profile: Profile,
) -> Interfaces {
    let mut parts: BTreeMap<&VnetId, Part> = BTreeMap::new();
    for zone in network.zones.values().filter(|zone| zone.nodes.contains(node)) {
        match &zone.kind {
            ZoneKind::Simple => {
                for (id, vnet) in &zone.vnets {
                    parts.insert(id, simple::part(id, vnet, zone.mtu, facts, profile));
                }
            }
            ZoneKind::Vxlan(vxlan) => {
                let peers = vxlan::Ends::new(&vxlan.peers, network, node, facts);
                for (id, vnet) in &zone.vnets {
                    let Some(tag) = vnet.tag else { continue };
                    let part = vxlan::part(id, vnet, tag, vxlan.port, zone.mtu, &peers, profile);
                    parts.insert(id, part);
                }
            }
            ZoneKind::Vlan(_) | ZoneKind::Qinq(_) | ZoneKind::Evpn(_) => {}
        }
    }
    merge(parts)
}

/// All stanzas in the byte order of their names. An interface that several vnets
/// need is as the first of them has it.
fn merge(parts: BTreeMap<&VnetId, Part>) -> Interfaces {
    let mut stanzas: BTreeMap<IfName, Stanza> = BTreeMap::new();
    let mut serves: BTreeMap<IfName, Vec<VnetId>> = BTreeMap::new();
    let mut notes = Vec::new();
    for (vnet, part) in parts {
        for stanza in part.stanzas {
            serves.entry(stanza.name.clone()).or_default().push(vnet.clone());
            stanzas.entry(stanza.name.clone()).or_insert(stanza);
        }
        let subject = || Subject::Vnet(vnet.clone());
        notes.extend(part.notes.into_iter().map(|message| Note::new(subject(), message)));
    }
    let mut text = String::new();
    for stanza in stanzas.values() {
        write!(text, "\n{stanza}").expect("writing to a string does not fail");
    }
    Interfaces { text, serves, notes }
}

/// What a person should know of a VLAN-aware vnet.
fn vlan_aware_notes(vlan_aware: bool, profile: Profile) -> impl Iterator<Item = String> {
    profile.vlan_aware_notes().filter(move |_| vlan_aware).map(str::to_owned)
}

/// The bridge of a vnet: an interface of the same name.
fn bridge(vnet: &VnetId) -> IfName {
    vnet.as_str().parse().expect("a vnet id is a legal interface name")
}

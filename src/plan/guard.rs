//! Why a plan must not be carried out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::network::Target;
use super::{Found, Owned};
use crate::render::{Note, Rendering};
use crate::value::{IfName, VnetId};

/// A reason not to carry out a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// The stable name of the reason.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A rendering that is not whole.
pub(super) fn obstacle(note: &Note) -> Guard {
    Guard {
        code: "rendering-incomplete",
        message: note.to_string(),
        help: "what cannot be made now stays as it is, and with it all of this node; change what the sentence names".to_owned(),
    }
}

/// How many of a node's vnets a plan may take away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemovalLimits {
    /// The most vnets.
    pub max_vnets: Option<u32>,
    /// The largest part of the node's vnets, in percent.
    pub max_percent: Option<u32>,
    /// Whether it may be all of them.
    pub everything: bool,
}

/// The guards of [`of_removal`].
pub(super) const OF_REMOVAL: [&str; 2] = ["removes-everything", "removes-too-much"];

/// What the limits of removal forbid. What counts is what weft made on the node.
pub(super) fn of_removal(
    wanted: &Rendering,
    owned: Option<&Owned>,
    limits: RemovalLimits,
) -> Vec<Guard> {
    let vnets = |interfaces: &BTreeMap<IfName, Vec<VnetId>>| -> BTreeSet<VnetId> {
        interfaces.values().flatten().cloned().collect()
    };
    let had = owned.map(|owned| vnets(&owned.interfaces)).unwrap_or_default();
    let has = vnets(&wanted.interfaces);
    let gone = had.difference(&has).count();
    if gone == 0 {
        return Vec::new();
    }
    let [everything, too_much] = OF_REMOVAL;
    let guard = |code, message, help: &str| Guard { code, message, help: help.to_owned() };
    let mut guards = Vec::new();
    if gone == had.len() && !limits.everything {
        guards.push(guard(
            everything,
            format!("all {gone} vnets that weft made on this node would be taken away"),
            "if that is meant, let a root principal set `removal: {everything: true}` in \
             `.weft/policy.yaml`; if not, take the commit back with `git revert`",
        ));
    }
    let most = limits.max_vnets.map(|most| most as usize);
    let part = limits.max_percent.map(|percent| had.len() * percent as usize / 100);
    if let Some(most) = most.into_iter().chain(part).min().filter(|most| gone > *most) {
        guards.push(guard(
            too_much,
            format!(
                "{gone} of {} vnets would be taken away from this node, and the policy lets a \
                 commit take {most}",
                had.len()
            ),
            "take them away in several commits, or let a root principal raise `removal` in \
             `.weft/policy.yaml`",
        ));
    }
    guards
}

/// What the running network forbids.
pub(super) fn of_network(target: &Target, found: &Found, owned: Option<&Owned>) -> Vec<Guard> {
    let mut guards = Vec::new();
    if let Some(kernel) = &found.kernel {
        let made = |name: &IfName| owned.is_some_and(|owned| owned.interfaces.contains_key(name));
        for name in target.foreign(kernel).filter(|name| !made(name)) {
            guards.push(Guard {
                code: "interface-not-ours",
                message: format!("there is an interface `{name}` that weft did not make"),
                help: format!(
                    "look at it with `ip -d link show {name}`; remove it, or give the vnet another id"
                ),
            });
        }
    }
    let taken = target.bridges_taken(found.kernel.as_deref());
    let running = found.kernel.iter().flat_map(|kernel| target.guests(kernel));
    let running: Vec<_> = running.map(|guest| (guest.bridge, guest.port)).collect();
    let configured = found.guests.iter().map(|guest| (guest.bridge.clone(), guest.file.clone()));
    let users: Vec<_> = running.into_iter().chain(configured).collect();
    let allowed = |name: &IfName| found.removable.iter().any(|vnet| vnet.as_str() == name.as_str());
    for name in taken.into_iter().filter(|name| !allowed(name)) {
        let mut here: Vec<&str> = users
            .iter()
            .filter(|(on, _)| on == name.as_str())
            .map(|(_, user)| user.as_str())
            .collect();
        here.dedup();
        if !here.is_empty() {
            guards.push(Guard {
                code: "guests-on-vnet",
                message: format!(
                    "vnet `{name}` would be taken away from guests of this node: {}",
                    here.join(", ")
                ),
                help: format!(
                    "move the guests to another vnet or node first, or let a root principal name \
                     `{name}` under `allow-removal-with-guests` in `.weft/policy.yaml`"
                ),
            });
        }
    }
    guards
}

//! Why a plan must not be carried out.

use serde::Serialize;

use super::network::Target;
use super::{Found, Owned};
use crate::render::Note;
use crate::value::IfName;

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
    let taken = target.bridges_taken(found.kernel.as_ref());
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

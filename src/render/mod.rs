//! Floor 4: the files that one node should have.
//!
//! Total and deterministic: every network has exactly one rendering for a node,
//! its facts and its profile, and the same input gives the same bytes. Knows neither the
//! declarations nor the machine nor the clock.

pub mod dnsmasq;
mod endpoint;
pub mod frr;
mod interfaces;
mod managed;
mod note;
mod profile;
pub mod sysctl;

use std::collections::BTreeMap;

pub use managed::{Managed, Rendering, VERSION_LINE, without_version};
pub use note::{Note, Subject};
pub use profile::{Difference, Effect, NoProfile, Profile};

use crate::facts::Facts;
use crate::network::Network;
use crate::value::NodeName;

/// What a node should have. That the node is declared is the caller's to check
/// ([`Network::declares`]): a zone without `nodes` is rendered for whoever asks.
pub fn render(network: &Network, node: &NodeName, facts: &Facts, profile: Profile) -> Rendering {
    let interfaces = interfaces::render(network, node, facts, profile);
    let mut files = BTreeMap::from([(Managed::Interfaces, interfaces.text)]);
    files.extend(profile.files().map(|(managed, text)| (managed, text.to_owned())));
    Rendering { profile, files, interfaces: interfaces.serves, notes: interfaces.notes }
}

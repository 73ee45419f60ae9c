//! Floor 4: the files that one node should have.
//!
//! Total and deterministic: every network has exactly one rendering for a node
//! and its facts, and the same input gives the same bytes. Knows neither the
//! declarations nor the machine nor the clock.

mod interfaces;
mod managed;

use std::collections::BTreeMap;

pub use managed::{Managed, Note, Rendering, VERSION_LINE, without_version};

use crate::facts::Facts;
use crate::network::Network;
use crate::value::NodeName;

/// What a node should have. That the node is declared is the caller's to check
/// ([`Network::declares`]): a zone without `nodes` is rendered for whoever asks.
pub fn render(network: &Network, node: &NodeName, facts: &Facts) -> Rendering {
    let interfaces = interfaces::render(network, node, facts);
    Rendering {
        files: BTreeMap::from([(Managed::Interfaces, interfaces.text)]),
        interfaces: interfaces.serves,
        notes: interfaces.notes,
    }
}

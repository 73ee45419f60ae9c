//! Floor 4: the files that one node should have.
//!
//! Total and deterministic: every network has exactly one rendering for a node,
//! its facts and its profile, and the same input gives the same bytes. Knows neither the
//! declarations nor the machine nor the clock.

mod dnsmasq;
mod endpoint;
mod frr;
mod interfaces;
mod managed;
mod note;
mod ports;
mod profile;
mod sysctl;

use std::collections::BTreeMap;

pub use dnsmasq::{hosts_file, leases_file};
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
    let frr = frr::render(network, node, facts);
    let dnsmasq = dnsmasq::render(network, node);
    let mut files = BTreeMap::from([(Managed::Interfaces, interfaces.text)]);
    files.extend(profile.files(!dnsmasq.files.is_empty()));
    files.extend(sysctl::render(network, node, facts).map(|text| (Managed::Sysctl, text)));
    let ports = ports::render(network, node, &interfaces.serves, profile);
    files.extend(ports.map(|text| (Managed::Ports, text)));
    let obstacle = match frr.conf {
        frr::Conf::Unneeded => None,
        frr::Conf::Text(text) => {
            files.insert(Managed::Frr, text);
            files.extend(frr.daemons.map(|text| (Managed::FrrDaemons, text)));
            None
        }
        frr::Conf::Impossible(why) => Some(why),
    };
    files.extend(dnsmasq.files);
    let notes = [interfaces.notes, frr.notes, dnsmasq.notes].concat();
    Rendering { profile, files, interfaces: interfaces.serves, notes, obstacle }
}

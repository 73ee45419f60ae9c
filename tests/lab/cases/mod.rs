//! All cases, by what they are about.

mod agent;
mod dhcp;
mod drift;
mod engine;
mod evpn;
mod examples;
mod fabrics;
mod git_server;
mod kill;
mod native;
mod ports;
mod probes;
mod profile;
mod publish;
mod remotes;
mod services;
mod sessions;
mod simple;
mod speed;
mod system;
mod underlay;
mod vlan;
mod vxlan;
mod weft;
mod window;

use std::fs;
use std::path::Path;

use crate::namespaces::REFERENCE;
use crate::runner::Case;

/// Every case, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        underlay::CASES,
        simple::CASES,
        speed::CASES,
        vxlan::CASES,
        examples::CASES,
        vlan::CASES,
        evpn::CASES,
        fabrics::CASES,
        git_server::CASES,
        remotes::CASES,
        weft::CASES,
        profile::CASES,
        engine::CASES,
        native::CASES,
        kill::CASES,
        agent::CASES,
        services::CASES,
        dhcp::CASES,
        window::CASES,
        ports::CASES,
        probes::CASES,
        sessions::CASES,
        drift::CASES,
        publish::CASES,
        system::CASES,
    ]
    .into_iter()
    .flatten()
}

/// A file of the reference renderings, for cases that need [`crate::need::Need::Reference`].
#[track_caller]
fn reference(path: &str) -> String {
    fs::read_to_string(Path::new(REFERENCE).join(path))
        .unwrap_or_else(|source| panic!("{path} of the reference renderings: {source}"))
}

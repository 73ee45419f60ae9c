//! The files of Proxmox that an import reads, as texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::declare::pve::config::Skipped;
use crate::declare::pve::corosync::{self, Corosync};
use crate::declare::pve::{Config, Damage, Kind};

/// What `/etc/pve` says of the network.
#[derive(Clone, Default)]
pub struct PveFiles {
    /// Texts by their paths below `/etc/pve`, of those in [`PveFiles::PATHS`].
    pub texts: BTreeMap<String, String>,
    /// The vnets that have a file in `sdn/firewall`.
    pub firewalls: BTreeSet<String>,
    /// The nodes that have a directory in `nodes`. They count only where there is no
    /// `corosync.conf`: those of removed nodes stay.
    pub nodes: BTreeSet<String>,
}

impl PveFiles {
    /// The files that are read. Each may be missing.
    pub const PATHS: &'static [&'static str] = &[
        "corosync.conf",
        "sdn/.running-config",
        "sdn/zones.cfg",
        "sdn/vnets.cfg",
        "sdn/subnets.cfg",
        "sdn/controllers.cfg",
        "sdn/fabrics.cfg",
        "sdn/route-maps.cfg",
        "sdn/prefix-lists.cfg",
        "sdn/ipams.cfg",
        "sdn/dns.cfg",
        "sdn/pve-ipam-state.json",
        "sdn/mac-cache.json",
        "priv/ipam.db",
        "priv/macs.db",
    ];

    /// The text of a file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The first of these files that is there, and its text.
    pub(super) fn first<'a>(&'a self, paths: &[&'a str]) -> Option<(&'a str, &'a str)> {
        paths.iter().find_map(|path| Some((*path, self.text(path)?)))
    }

    pub(super) fn corosync(&self) -> Result<Option<Corosync>, Damage> {
        let path = "corosync.conf";
        self.text(path).map(|text| corosync::read(path, text)).transpose()
    }

    /// What runs.
    pub(super) fn running(&self) -> Result<Option<Config>, Damage> {
        let path = "sdn/.running-config";
        self.text(path).map(|text| Config::running(path, text)).transpose()
    }

    /// What is wanted; `None` where there is no section file at all.
    pub(super) fn wanted(&self) -> Result<(Option<Config>, Vec<Skipped>), Damage> {
        let (mut config, mut skipped) = (None, Vec::new());
        for kind in Kind::APPLIED {
            let path = format!("sdn/{}", kind.file());
            if let Some(text) = self.text(&path) {
                let config = config.get_or_insert_with(Config::default);
                skipped.extend(config.read(*kind, &path, text)?);
            }
        }
        Ok((config, skipped))
    }
}

/// Some of the texts hold secrets.
impl fmt::Debug for PveFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PveFiles")
            .field("texts", &self.texts.keys())
            .field("firewalls", &self.firewalls)
            .field("nodes", &self.nodes)
            .finish()
    }
}

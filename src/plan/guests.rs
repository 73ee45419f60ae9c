//! Guests first: what belongs to guests and must be where it was after every apply.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::kernel::{Kernel, Link, PortVlan};
use super::step::NetworkStep;
use super::verify::Mismatch;

/// A port of one of our bridges that weft did not make, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestPort {
    /// The interface.
    pub port: String,
    /// The kernel's number of it, so that another one of its name is not taken for it.
    pub index: u32,
    /// The bridge that it is a port of.
    pub bridge: String,
    /// Whether it is up.
    pub up: bool,
    /// Its flags by the kernel's names.
    pub flags: BTreeMap<String, bool>,
    /// Its VLANs, where the bridge filters them.
    pub vlans: BTreeSet<PortVlan>,
}

/// A guest whose configuration on the node names a bridge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfiguredGuest {
    /// The file of the configuration.
    pub file: String,
    /// The bridge.
    pub bridge: String,
}

impl GuestPort {
    pub(super) fn new(port: &str, bridge: &str, link: &Link) -> Self {
        Self {
            port: port.to_owned(),
            index: link.index,
            bridge: bridge.to_owned(),
            up: link.up,
            flags: link.flags.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect(),
            vlans: link.vlans.clone(),
        }
    }

    /// The port as it is now, unless the guest went, or somebody gave the port to
    /// another bridge meanwhile.
    pub(super) fn now<'a>(&self, kernel: &'a Kernel) -> Option<&'a Link> {
        let link = kernel.links.get(&self.port).filter(|link| link.index == self.index)?;
        link.master.as_ref().is_none_or(|master| *master == self.bridge).then_some(link)
    }

    /// Whether its bridge filters VLANs: else they mean nothing.
    fn is_filtered(&self, kernel: &Kernel) -> bool {
        kernel.links.get(&self.bridge).is_some_and(|bridge| bridge.vlan_filtering)
    }

    fn changed_flags(&self, link: &Link) -> BTreeMap<String, bool> {
        let other = self.flags.iter().filter(|(name, value)| {
            link.flags.get(name.as_str()).is_some_and(|found| found != *value)
        });
        other.map(|(name, value)| (name.clone(), *value)).collect()
    }

    /// What is to be done so that it is where it was, one thing at a time: its flags can
    /// be set when it is a port again.
    pub(super) fn mending(&self, kernel: &Kernel) -> Option<NetworkStep> {
        let link = self.now(kernel)?;
        let (port, up) = (self.port.clone(), self.up);
        if link.master.is_none() || (up && !link.up) {
            let bridge = self.bridge.clone();
            let there = kernel.links.contains_key(&bridge);
            return there.then_some(NetworkStep::ReturnPort { port, bridge, up });
        }
        let flags = self.changed_flags(link);
        if !flags.is_empty() {
            return Some(NetworkStep::SetPortFlags { port, flags });
        }
        if self.vlans != link.vlans && self.is_filtered(kernel) {
            let remove = link.vlans.difference(&self.vlans).copied().collect();
            let add = self.vlans.difference(&link.vlans).copied().collect();
            return Some(NetworkStep::SetPortVlans { port, remove, add });
        }
        None
    }

    pub(super) fn mismatch(&self, kernel: &Kernel) -> Option<Mismatch> {
        let link = self.now(kernel)?;
        let say = |message: String| Some(Mismatch::new(&self.port, message));
        if link.master.is_none() {
            return say(format!("of a guest is no port of `{}` any more", self.bridge));
        }
        if self.up && !link.up {
            return say("of a guest is down".to_owned());
        }
        if let Some((flag, value)) = self.changed_flags(link).into_iter().next() {
            let value = if value { "on" } else { "off" };
            return say(format!("of a guest has lost its flag `{flag} {value}`"));
        }
        (self.vlans != link.vlans && self.is_filtered(kernel))
            .then(|| Mismatch::new(&self.port, "of a guest has other VLANs than before"))
    }
}

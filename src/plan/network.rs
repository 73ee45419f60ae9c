//! From one interfaces file to another on a running kernel.

mod amend;
mod removal;
mod steps;
#[cfg(test)]
mod tests;
mod vnis;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use super::engine::Engine;
use super::guests::GuestPort;
use super::interface::{Interface, Interfaces, Kind, interfaces};
use super::kernel::{Kernel, Question};
use super::ports::PortRule;
use super::rule::{Rule, Table};
use super::sysctl;
use super::verify::{Mismatch, differences, unfit};
use crate::value::IfName;

pub use self::steps::Steps;

/// What a kernel is to be brought to, and what may be there of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub(super) wanted: Arc<Interfaces>,
    /// What weft, or the file that it takes over, asked for until now.
    pub(super) before: Arc<Interfaces>,
    /// The VLANs that bridges of it had as ports by their names alone.
    implied_before: BTreeSet<String>,
    /// Values of the kernel, by their names with `/`.
    sysctls: BTreeMap<String, String>,
    /// What ports of guests got until now, and what they get, by their bridges.
    pub(super) ports: (BTreeMap<IfName, PortRule>, BTreeMap<IfName, PortRule>),
    pub(super) engine: Engine,
}

impl Target {
    /// From what some files asked for to what another one does. What several of the
    /// old ones ask for is as the last of them has it.
    pub fn between(old: &[&str], new: &str) -> Self {
        let wanted = Arc::new(interfaces(new));
        let before = match old {
            [first, rest @ ..] if rest.iter().all(|text| text == first) => {
                if *first == new {
                    Arc::clone(&wanted)
                } else {
                    Arc::new(interfaces(first))
                }
            }
            _ => Arc::new(old.iter().flat_map(|text| interfaces(text)).collect()),
        };
        Self::of(before, wanted)
    }

    fn of(before: Arc<Interfaces>, wanted: Arc<Interfaces>) -> Self {
        let implied_before = implied(&before).map(str::to_owned).collect();
        Self { wanted, before, implied_before, ..Self::default() }
    }

    /// The way back of interfaces, and of nothing else, by the same engine.
    #[must_use]
    pub fn back(&self) -> Self {
        let back = Self::of(Arc::clone(&self.wanted), Arc::clone(&self.before));
        back.with_engine(self.engine)
    }

    /// The same with what a file of `sysctl.d(5)` sets.
    #[must_use]
    pub fn with_sysctls(self, text: &str) -> Self {
        Self { sysctls: sysctl::settings(text), ..self }
    }

    /// The same by another engine than ifupdown2.
    #[must_use]
    pub fn with_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// The same on a kernel in which others made interfaces with these names: they are not ours.
    #[must_use]
    pub fn sparing(mut self, names: &[String]) -> Self {
        let stays = |name: &str| !names.iter().any(|spared| spared == name);
        Arc::make_mut(&mut self.before).retain(|name, _| stays(name.as_str()));
        self.implied_before.retain(|name| stays(name));
        self
    }

    /// The tables that have to be read.
    pub fn tables(&self) -> BTreeSet<Table> {
        self.known_rules().into_keys().map(Rule::table).collect()
    }

    /// What has to be read of the kernel.
    pub fn question(&self) -> Question {
        let filters =
            |interface: &Interface| matches!(interface.kind, Kind::Bridge { vlan_aware: true, .. });
        Question {
            tables: self.tables(),
            sysctls: self.sysctls.keys().cloned().collect(),
            vlans: self.wanted.values().any(filters),
        }
    }

    /// Whether an interface of the kernel may be changed as one of ours.
    pub fn is_ours(&self, name: &str) -> bool {
        self.before.contains_key(name) || self.implied_before.contains(name)
    }

    /// Whether an interface is to stay as it is.
    pub fn leaves(&self, name: &str) -> bool {
        let before = self.before.get(name);
        before.is_some() && before == self.wanted.get(name)
    }

    /// Whether anything of it is there.
    pub fn is_running(&self, kernel: &Kernel) -> bool {
        self.wanted
            .keys()
            .chain(self.before.keys())
            .any(|name| kernel.links.contains_key(name.as_str()))
    }

    /// The wanted interfaces whose name something has that is not ours. A VLAN that is a port
    /// by its name alone may be the administrator's, as long as it is that VLAN.
    pub fn foreign<'a>(&'a self, kernel: &'a Kernel) -> impl Iterator<Item = IfName> + 'a {
        let made = self.wanted.iter().filter(|(_, wanted)| !wanted.is_own());
        let made = made.map(|(name, _)| name.clone());
        let others = self.misfits(kernel).map(|(name, _)| name);
        made.filter(|name| kernel.links.contains_key(name.as_str()))
            .chain(others)
            .filter(|name| !self.is_ours(name.as_str()))
    }

    /// Interfaces with the names of VLANs that are ports by their names alone which are something
    /// else, and what.
    pub(super) fn misfits<'a>(
        &'a self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = (IfName, String)> + 'a {
        let ports: BTreeSet<&str> = implied(&self.wanted).collect();
        ports.into_iter().filter(|port| !self.wanted.contains_key(*port)).filter_map(|port| {
            let why = unfit(&Interface::implied_vlan(port)?, kernel.links.get(port)?, self.engine);
            Some((port.parse().ok()?, why?))
        })
    }

    /// Interfaces that are no longer wanted. Those of the node's own stay.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&IfName, &Interface)> {
        // One without a stanza of its own any more may be a bridge's port by its name alone.
        let implied: BTreeSet<&str> = implied(&self.wanted).collect();
        let gone = self.before.iter().filter(|(name, _)| !self.wanted.contains_key(*name));
        gone.filter(move |(name, old)| !old.is_own() && !implied.contains(name.as_str()))
    }

    /// Interfaces that have to be made again, and why.
    pub(super) fn recreated<'a>(
        &'a self,
        kernel: &'a Kernel,
    ) -> impl Iterator<Item = (&'a IfName, String)> + 'a {
        let ours = self.wanted.iter().filter(|(name, _)| self.is_ours(name.as_str()));
        ours.filter_map(|(name, wanted)| {
            let link = kernel.links.get(name.as_str())?;
            Some((name, unfit(wanted, link, self.engine)?))
        })
    }

    /// The bridges that are taken away from whatever hangs on them. Without a kernel
    /// those that are no longer wanted.
    pub fn bridges_taken<'a>(&'a self, kernel: Option<&'a Kernel>) -> BTreeSet<&'a IfName> {
        let gone = self.gone().filter(|(_, old)| old.is_bridge()).map(|(name, _)| name);
        let again = kernel.into_iter().flat_map(|kernel| self.recreated(kernel));
        let is_bridge = |name: &IfName| self.wanted.get(name).is_some_and(Interface::is_bridge);
        gone.chain(again.map(|(name, _)| name).filter(|name| is_bridge(name))).collect()
    }

    /// Every port of our bridges that weft did not make.
    pub fn guests(&self, kernel: &Kernel) -> Vec<GuestPort> {
        let ours = || self.wanted.iter().chain(&*self.before);
        let made: BTreeSet<&str> =
            ours().flat_map(|(name, interface)| interface.ports().chain([name.as_str()])).collect();
        let bridges: BTreeSet<&str> = ours()
            .filter(|(_, interface)| interface.is_bridge())
            .map(|(name, _)| name.as_str())
            .collect();
        let others = kernel.links.iter().filter(|(port, _)| !made.contains(port.as_str()));
        let of_ours = others.filter_map(|(port, link)| {
            let bridge = bridges.get(link.master.as_deref()?)?;
            Some(GuestPort::new(port, bridge, link))
        });
        let mut guests: Vec<GuestPort> = of_ours.collect();
        guests.sort_by(|one, other| one.bridge.cmp(&other.bridge));
        guests
    }

    /// The rules of the files, and whether each is wanted.
    pub(super) fn known_rules(&self) -> BTreeMap<&Rule, bool> {
        let old = self.before.values().flat_map(|interface| &interface.rules);
        let new = self.wanted.values().flat_map(|interface| &interface.rules);
        old.map(|rule| (rule, false)).chain(new.map(|rule| (rule, true))).collect()
    }

    /// The guests whose bridge stays.
    pub(super) fn kept<'a>(
        &'a self,
        guests: &'a [GuestPort],
    ) -> impl Iterator<Item = &'a GuestPort> {
        guests.iter().filter(|guest| {
            self.wanted.get(guest.bridge.as_str()).is_some_and(Interface::is_bridge)
        })
    }

    /// The values of a kernel that are not what the file sets. One that it does not take is no
    /// reason to undo anything: the others are no less right.
    pub fn unset(&self, kernel: &Kernel) -> Vec<Mismatch> {
        sysctl::differences(&self.sysctls, kernel)
    }

    /// Everything that a kernel has otherwise than wanted, but for [`Target::unset`].
    pub fn verify(&self, kernel: &Kernel, guests: &[GuestPort]) -> Vec<Mismatch> {
        let mut found = Vec::new();
        for (name, wanted) in &*self.wanted {
            found.extend(differences(name.as_str(), wanted, kernel));
        }
        if self.engine == Engine::Native {
            found.extend(self.native_differences(kernel));
        }
        for (name, _) in self.gone() {
            if kernel.links.contains_key(name.as_str()) {
                found.push(Mismatch::new(name.as_str(), "is still there"));
            }
        }
        for (name, old) in &*self.before {
            let keeps = |route: &IpNet| {
                self.wanted.get(name).is_some_and(|wanted| wanted.routes.contains(route))
            };
            for route in old.routes.iter().filter(|route| !keeps(route)) {
                if kernel.routes.contains(&(*route, name.to_string())) {
                    let message = format!("still has a route to {route}");
                    found.push(Mismatch::new(name.as_str(), message));
                }
            }
        }
        found.extend(self.rule_mismatches(kernel));
        let ports = self.wanted_ports(kernel, guests);
        found.extend(self.kept(&ports).filter_map(|guest| guest.mismatch(kernel)));
        found
    }
}

/// The VLANs that are ports of bridges by their names.
fn implied(interfaces: &BTreeMap<IfName, Interface>) -> impl Iterator<Item = &str> {
    interfaces.values().flat_map(Interface::implied)
}

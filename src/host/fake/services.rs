//! The services of the fake. Each that is worked on is a step of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::Utf8Path;

use super::{Effect, Fake, Machine, hold};
use crate::host::HostError;
use crate::plan::{Frr, ServiceStep, Services};
use crate::render::{Managed, hosts_file, leases_file};
use crate::value::ZoneId;

/// What stands in a file that the program which reads it refuses.
pub(crate) const REFUSED: &str = "nonsense";

/// What runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    /// What FRR does.
    frr: Frr,
    /// Which daemons of FRR were started.
    daemons: String,
    /// Each dnsmasq's configuration.
    dnsmasq: BTreeMap<ZoneId, String>,
    /// The hosts that each dnsmasq read last, and how often it was told to.
    hosts: BTreeMap<ZoneId, (String, u32)>,
    default_dnsmasq: bool,
    /// What the machine starts: the dnsmasq of these zones, and the one that is of no zone.
    enabled: BTreeSet<ZoneId>,
    default_enabled: bool,
    /// Steps that fail, by their words.
    failing: BTreeSet<String>,
    /// Steps that say to have done something and did not.
    lying: BTreeSet<String>,
    /// Lines that FRR does not take when it begins.
    dropped: BTreeSet<String>,
    /// The VRFs of which FRR had a VNI when the kernel lost an interface of it.
    pub(super) dangling: BTreeSet<String>,
}

impl Running {
    /// The VRFs to which FRR gives a VNI.
    pub(super) fn tenants(&self) -> Vec<(String, u32)> {
        let mut vrf = None;
        let lines = self.frr.running().unwrap_or_default().lines();
        let tenants = lines.filter_map(|line| {
            if !line.starts_with(' ') {
                vrf = line.strip_prefix("vrf ");
            }
            let vni = line.strip_prefix(" vni ")?.parse().ok()?;
            Some((vrf?.to_owned(), vni))
        });
        tenants.collect()
    }
}

impl Fake {
    /// Lets FRR and the dnsmasq that is of no zone run with what their files say.
    pub(crate) fn start_services(&self) {
        let mut machine = hold(&self.machine);
        (machine.running.default_dnsmasq, machine.running.default_enabled) = (true, true);
        machine.running.frr = Frr::Runs(String::new());
        machine.boot_services();
    }

    /// Lets FRR hang: it runs, and tells nobody what.
    pub(crate) fn silence_frr(&self) {
        hold(&self.machine).running.frr = Frr::Silent;
    }

    /// The VRFs of which FRR had a VNI when the kernel lost an interface of it: it would go on
    /// with what it freed.
    pub(crate) fn dangling(&self) -> BTreeSet<String> {
        hold(&self.machine).running.dangling.clone()
    }

    /// Lets a step fail whenever it is tried.
    pub(crate) fn set_failing(&self, step: &str) {
        hold(&self.machine).running.failing.insert(step.to_owned());
    }

    /// Lets a step do nothing.
    pub(crate) fn set_lying(&self, step: &str) {
        hold(&self.machine).running.lying.insert(step.to_owned());
    }

    /// Lets FRR drop a line of its file whenever it begins.
    pub(crate) fn set_dropped(&self, line: &str) {
        hold(&self.machine).running.dropped.insert(line.to_owned());
    }

    /// The hosts that a zone's dnsmasq read last, and how often it was told to.
    pub(crate) fn hosts(&self, zone: &ZoneId) -> (String, u32) {
        hold(&self.machine).running.hosts.get(zone).cloned().unwrap_or_default()
    }

    /// What runs, for people.
    pub(crate) fn runs(&self) -> String {
        let Running { frr, daemons, dnsmasq, default_dnsmasq, enabled, default_enabled, .. } =
            hold(&self.machine).running.clone();
        let starts = format!("starts {enabled:?} {default_enabled}");
        format!("{frr:?} {daemons:?} {dnsmasq:?} {starts} {default_dnsmasq}")
    }
}

impl Machine {
    fn text(&self, managed: &Managed) -> Option<String> {
        self.file(managed.path().as_str())
    }

    fn file(&self, path: &str) -> Option<String> {
        let inode = self.seen.files.get(path)?;
        Some(self.inodes[*inode].seen.text())
    }

    /// What a zone's dnsmasq would read.
    fn of_zone(&self, zone: &ZoneId) -> String {
        let files = self.seen.files.keys();
        let managed = files.filter_map(|path| Managed::of_path(Utf8Path::new(path)));
        let of_zone = managed.filter(|managed| managed.dnsmasq() == Some(zone));
        of_zone.filter_map(|managed| self.text(&managed)).collect()
    }

    pub(super) fn boot_services(&mut self) {
        if self.network.is_none() {
            return;
        }
        if self.running.frr != Frr::Off {
            self.running.frr = Frr::Runs(self.text(&Managed::Frr).unwrap_or_default());
        }
        self.running.daemons = self.text(&Managed::FrrDaemons).unwrap_or_default();
        let files = self.seen.files.keys();
        let zones: BTreeSet<ZoneId> = files
            .filter_map(|path| Managed::of_path(Utf8Path::new(path))?.dnsmasq().cloned())
            .collect();
        let zones = zones.into_iter().filter(|zone| self.running.enabled.contains(zone));
        let read = zones.map(|zone| (zone.clone(), self.of_zone(&zone)));
        self.running.dnsmasq = read.collect();
        self.running.default_dnsmasq = self.running.default_enabled;
        let told: Vec<ZoneId> = self.running.hosts.keys().cloned().collect();
        for zone in told {
            let text = self.file(hosts_file(&zone).as_str()).unwrap_or_default();
            self.running.hosts.entry(zone).or_default().0 = text;
        }
    }

    pub(super) fn services(&mut self) -> Result<Option<Services>, HostError> {
        if self.network.is_none() {
            return Ok(None);
        }
        self.step("look at the services of", Utf8Path::new("/"), Effect::Nothing)?;
        Ok(Some(Services {
            frr: self.running.frr.clone(),
            dnsmasq: self.running.dnsmasq.keys().cloned().collect(),
            default_dnsmasq: self.running.default_dnsmasq,
        }))
    }

    pub(super) fn serve(&mut self, step: &ServiceStep) -> Result<(), HostError> {
        if self.network.is_none() {
            return Ok(());
        }
        self.step("change the services of", Utf8Path::new("/"), Effect::Nothing)?;
        let words = step.to_string();
        if self.running.failing.contains(&words) {
            let failed = io::Error::other("it does not work");
            return Err(HostError::of("serve", Utf8Path::new("/"), failed));
        }
        if self.running.lying.contains(&words) {
            return Ok(());
        }
        match step {
            ServiceStep::ReloadUnits | ServiceStep::ReloadBus | ServiceStep::LoadSysctl => {}
            ServiceStep::ReloadFrr | ServiceStep::EmptyFrr if self.running.frr == Frr::Silent => {
                let silent = io::Error::other("FRR runs and does not answer");
                return Err(HostError::of("serve", Utf8Path::new("/"), silent));
            }
            ServiceStep::ReloadFrr => {
                self.running.frr = Frr::Runs(self.text(&Managed::Frr).unwrap_or_default());
            }
            ServiceStep::RestartFrr => {
                let text = self.text(&Managed::Frr).unwrap_or_default();
                let taken = text.lines().filter(|line| !self.running.dropped.contains(*line));
                let taken = taken.flat_map(|line| [line, "\n"]).collect();
                self.running.frr = Frr::Runs(taken);
                self.running.daemons = self.text(&Managed::FrrDaemons).unwrap_or_default();
            }
            ServiceStep::EmptyFrr => self.running.frr = Frr::Runs(String::new()),
            ServiceStep::ReleaseVnis(vrfs) => {
                if let Frr::Runs(text) = &mut self.running.frr {
                    for vrf in vrfs {
                        let (begin, vni) = (format!("vrf {vrf}\n"), format!("vrf {vrf}\n vni "));
                        if let Some((above, (_, below))) = text
                            .split_once(&vni)
                            .and_then(|(above, rest)| Some((above, rest.split_once('\n')?)))
                        {
                            *text = format!("{above}{begin}{below}");
                        }
                    }
                }
            }
            ServiceStep::StopDefaultDnsmasq | ServiceStep::StartDefaultDnsmasq => {
                let runs = *step == ServiceStep::StartDefaultDnsmasq;
                (self.running.default_dnsmasq, self.running.default_enabled) = (runs, runs);
            }
            ServiceStep::RestartDnsmasq(zone) => {
                let text = self.of_zone(zone);
                self.running.dnsmasq.insert(zone.clone(), text);
                self.running.enabled.insert(zone.clone());
            }
            ServiceStep::StopDnsmasq(zone) => {
                self.running.dnsmasq.remove(zone);
                self.running.enabled.remove(zone);
            }
            ServiceStep::ReloadHosts(zone) => {
                let text = self.file(hosts_file(zone).as_str()).unwrap_or_default();
                let (hosts, count) = self.running.hosts.entry(zone.clone()).or_default();
                (*hosts, *count) = (text, *count + 1);
            }
            ServiceStep::ForgetLease(zone, address) => {
                let path = leases_file(zone);
                let text = self.file(path.as_str()).unwrap_or_default();
                let is_other = |line: &&str| !line.contains(&format!(" {address} "));
                let rest: String = text.lines().filter(is_other).flat_map(|l| [l, "\n"]).collect();
                self.replace(&path, rest.as_bytes(), 0o644)?;
            }
        }
        Ok(())
    }

    pub(super) fn check(&mut self, copy: &Utf8Path) -> Result<(), HostError> {
        if self.network.is_none() {
            return Ok(());
        }
        self.step("check", copy, Effect::Nothing)?;
        let inode = self.seen.files.get(copy.as_str());
        let text = inode.map(|inode| self.inodes[*inode].seen.text()).unwrap_or_default();
        if text.contains(REFUSED) {
            return Err(HostError::of("check", copy, io::Error::other("it is refused")));
        }
        Ok(())
    }
}

//! What is done so that services run what their files say.

mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::kernel::Kernel;
use super::network::Target;
use super::routing::{self, Essential};
use super::verify::Mismatch;
use crate::render::Managed;
use crate::value::ZoneId;

pub use self::step::ServiceStep;

/// What FRR does on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Frr {
    /// It does not run.
    #[default]
    Off,
    /// It runs, and does not tell its configuration: one of its daemons hangs, or begins.
    Silent,
    /// Its running configuration.
    Runs(String),
}

impl Frr {
    /// Its running configuration, where it tells it.
    pub fn running(&self) -> Option<&str> {
        match self {
            Self::Off | Self::Silent => None,
            Self::Runs(text) => Some(text),
        }
    }
}

/// What runs on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// What FRR does.
    pub frr: Frr,
    /// The zones whose dnsmasq runs, and answers where it can be asked, among those that were
    /// asked for.
    pub dnsmasq: BTreeSet<ZoneId>,
    /// Whether the dnsmasq that is of no zone runs.
    pub default_dnsmasq: bool,
}

/// What FRR may take for each statement that comes or goes: its reload starts a program for
/// each that goes.
const EACH_STATEMENT: Duration = Duration::from_millis(250);
/// What the dnsmasq of a zone may take to end and begin.
const EACH_ZONE: Duration = Duration::from_secs(1);

/// What a mismatch of FRR is of.
const FRR: &str = "FRR";

/// The contents of files.
pub type Texts = BTreeMap<Managed, Vec<u8>>;

/// What services are to be brought to, and what they ran until now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceTarget {
    before: Texts,
    wanted: Texts,
    /// The VRFs whose VNI FRR has to give up before anything else is done.
    leaving: BTreeSet<String>,
}

impl ServiceTarget {
    /// From what some files said to what others do. Those that no service reads do not
    /// count.
    pub fn between(before: Texts, wanted: Texts) -> Self {
        let of_services = |mut texts: Texts| {
            texts.retain(|managed, _| {
                !matches!(managed, Managed::Interfaces | Managed::RouteTables)
            });
            texts
        };
        let leaving = leaving(&before, &wanted);
        Self { before: of_services(before), wanted: of_services(wanted), leaving }
    }

    /// The same where a network goes from what a kernel has to a target: FRR gives up the VNIs of
    /// which an interface does not stay.
    #[must_use]
    pub fn beside(mut self, network: &Target, kernel: &Kernel) -> Self {
        let texts = [&self.before, &self.wanted].map(tenants);
        let vnis = texts.iter().flat_map(|tenants| tenants.values().copied()).collect();
        let broken = network.breaks(&vnis, kernel);
        let vrfs = texts.into_iter().flatten().filter(|(_, vni)| broken.contains(vni));
        self.leaving.extend(vrfs.map(|(vrf, _)| vrf));
        self
    }

    /// Whether any service is concerned.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.wanted.is_empty()
    }

    /// Whether FRR is concerned.
    pub fn asks_frr(&self) -> bool {
        self.before.contains_key(&Managed::Frr) || self.wanted.contains_key(&Managed::Frr)
    }

    /// The zones whose dnsmasq is concerned.
    pub fn zones(&self) -> BTreeSet<ZoneId> {
        zones(&self.before).chain(zones(&self.wanted)).cloned().collect()
    }

    /// The way back, as far as what runs after it.
    #[must_use]
    pub fn back(&self) -> Self {
        let (before, wanted) = (self.wanted.clone(), self.before.clone());
        Self { before, wanted, leaving: BTreeSet::new() }
    }

    /// The files whose contents become others.
    pub fn new_files(&self) -> impl Iterator<Item = &Managed> {
        self.wanted.keys().filter(|managed| self.changes(managed))
    }

    fn changes(&self, managed: &Managed) -> bool {
        self.before.get(managed) != self.wanted.get(managed)
    }

    /// Whether any zone is to have a dnsmasq.
    pub fn has_zones(&self) -> bool {
        zones(&self.wanted).next().is_some()
    }

    /// What is done while files and network are still as they were.
    pub fn first(&self, services: &Services) -> Option<ServiceStep> {
        let mut leaving = self.leaving.clone();
        if leaving.is_empty() {
            return None;
        }
        let running = routing::tenants(services.frr.running()?);
        leaving.retain(|vrf| running.contains_key(vrf));
        (!leaving.is_empty()).then_some(ServiceStep::ReleaseVnis(leaving))
    }

    /// Whether there could be something to do first.
    pub fn lets_vrfs_go(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// What is done with the new files in place and the network up, in order.
    pub fn steps(&self, services: &Services) -> Vec<ServiceStep> {
        let mut steps = Vec::new();
        if self.changes(&Managed::DnsmasqUnit) {
            steps.push(ServiceStep::ReloadUnits);
        }
        if self.changes(&Managed::Sysctl) && self.wanted.contains_key(&Managed::Sysctl) {
            steps.push(ServiceStep::LoadSysctl);
        }
        steps.extend(self.frr(services));
        let of_zones = |texts: &Texts| -> BTreeSet<ZoneId> { zones(texts).cloned().collect() };
        let (before, wanted) = (of_zones(&self.before), of_zones(&self.wanted));
        steps.extend(before.difference(&wanted).cloned().map(ServiceStep::StopDnsmasq));
        if self.has_zones() && services.default_dnsmasq {
            steps.push(ServiceStep::StopDefaultDnsmasq);
        }
        let is_bus = |managed: &&Managed| matches!(managed, Managed::DnsmasqBus(_));
        let mut all = self.before.keys().chain(self.wanted.keys());
        if all.any(|managed| is_bus(&managed) && self.changes(managed)) {
            steps.push(ServiceStep::ReloadBus);
        }
        let changes = |zone: &ZoneId| {
            let mut all = self.before.keys().chain(self.wanted.keys());
            all.any(|managed| managed.dnsmasq() == Some(zone) && self.changes(managed))
        };
        let stale = |zone: &&ZoneId| changes(zone) || !services.dnsmasq.contains(*zone);
        steps.extend(wanted.iter().filter(stale).cloned().map(ServiceStep::RestartDnsmasq));
        steps
    }

    fn frr(&self, services: &Services) -> Option<ServiceStep> {
        if !self.wanted.contains_key(&Managed::Frr) {
            let ours = self.before.contains_key(&Managed::Frr) && services.frr != Frr::Off;
            return ours.then_some(ServiceStep::EmptyFrr);
        }
        // A file that nobody speaks of any more is as it was.
        let daemons = self.wanted.contains_key(&Managed::FrrDaemons);
        if daemons && self.changes(&Managed::FrrDaemons) {
            return Some(ServiceStep::RestartFrr);
        }
        // What it gave up first of a VRF that it keeps is missing afterwards.
        let lacks = !self.lacking(services).is_empty() || self.first(services).is_some();
        (lacks || self.changes(&Managed::Frr)).then_some(ServiceStep::ReloadFrr)
    }

    /// What FRR should have taken and has not. Of a process that did not begin, only that. Of
    /// an FRR that does not answer it is not known.
    fn lacking(&self, services: &Services) -> Vec<String> {
        if services.frr == Frr::Silent {
            return Vec::new();
        }
        let wanted = self.wanted.get(&Managed::Frr);
        let wanted = wanted.map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
        let running = routing::essentials(services.frr.running().unwrap_or_default());
        let running: BTreeSet<_> = running.into_iter().map(|(_, essential)| essential).collect();
        let is_lacking = |essential: &Essential| {
            let process = essential.process();
            !running.contains(essential) && (*essential == process || running.contains(&process))
        };
        let wanted = routing::essentials(&wanted).into_iter();
        let lacking = wanted.filter(|(_, essential)| is_lacking(essential));
        lacking.map(|(statement, _)| statement).collect()
    }

    /// What is done once more where FRR did not take everything, by what is `unmet`. A routing
    /// process that it has not is one whose daemon does not run, which gives it nothing to take.
    pub fn again(&self, services: &Services, unmet: &[Mismatch]) -> Option<ServiceStep> {
        services.frr.running().filter(|_| unmet.iter().any(|one| one.interface == FRR))?;
        let lacking = self.lacking(services);
        let is_process =
            |line: &String| line.starts_with("router ") && !line.contains(routing::BELOW);
        let could_take = !lacking.is_empty() && !lacking.iter().any(is_process);
        could_take.then_some(ServiceStep::ReloadFrr)
    }

    /// How long bringing services there may take, before everything can be asked to work.
    pub fn time(&self) -> Duration {
        let statements = |texts: &Texts| -> BTreeSet<String> {
            let text = texts.get(&Managed::Frr).map(|text| String::from_utf8_lossy(text));
            routing::statements(&text.unwrap_or_default()).into_iter().collect()
        };
        let (before, wanted) = (statements(&self.before), statements(&self.wanted));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let statements = count(before.symmetric_difference(&wanted).count());
        let zones = count(self.zones().len());
        EACH_STATEMENT.saturating_mul(statements).saturating_add(EACH_ZONE.saturating_mul(zones))
    }

    /// Whether FRR would have to take a configuration that it cannot be asked for afterwards.
    pub fn waits_for_frr(&self, services: &Services) -> bool {
        let mut steps = self.steps(services).into_iter();
        services.frr == Frr::Silent
            && steps.any(|step| matches!(step, ServiceStep::ReloadFrr | ServiceStep::EmptyFrr))
    }

    /// What runs otherwise than it should before anything is done, which a way back need not
    /// bring.
    pub fn unmet(&self, services: &Services) -> Vec<Mismatch> {
        let mut unmet = self.back().verify(services);
        // It would be no news later.
        unmet.retain(|mismatch| *mismatch != silence());
        unmet
    }

    /// Whether a mismatch has nothing to do with what changes: an FRR that does not answer,
    /// and is to take nothing.
    pub fn excuses(&self, mismatch: &Mismatch) -> bool {
        *mismatch == silence() && !self.changes(&Managed::Frr)
    }

    /// Everything that runs otherwise than wanted.
    pub fn verify(&self, services: &Services) -> Vec<Mismatch> {
        let mut found = Vec::new();
        if services.frr == Frr::Silent && self.wanted.contains_key(&Managed::Frr) {
            found.push(silence());
        }
        found.extend(self.lacking(services).into_iter().map(|line| {
            let why = match &services.frr {
                Frr::Runs(_) if line.contains(routing::BELOW) => "it did not take it",
                Frr::Runs(_) => "look whether its daemon runs",
                Frr::Off | Frr::Silent => "it does not run",
            };
            Mismatch::new(FRR, format!("has no `{line}`; {why}"))
        }));
        for zone in zones(&self.wanted) {
            if !services.dnsmasq.contains(zone) {
                found.push(Mismatch::new(format!("dnsmasq@{zone}"), "does not run, or not answer"));
            }
        }
        if self.has_zones() && services.default_dnsmasq {
            found.push(Mismatch::new("dnsmasq", "runs for no zone, and takes the port of those"));
        }
        found
    }
}

/// The VRFs with a VNI that FRR loses.
fn leaving(before: &Texts, wanted: &Texts) -> BTreeSet<String> {
    if before.get(&Managed::Frr) == wanted.get(&Managed::Frr) {
        return BTreeSet::new();
    }
    let kept = tenants(wanted);
    tenants(before).into_keys().filter(|vrf| !kept.contains_key(vrf)).collect()
}

/// The VRFs to which the file of FRR gives a VNI.
fn tenants(texts: &Texts) -> BTreeMap<String, u32> {
    let text = texts.get(&Managed::Frr).map(|text| String::from_utf8_lossy(text));
    text.map(|text| routing::tenants(&text)).unwrap_or_default()
}

/// That FRR hangs.
fn silence() -> Mismatch {
    Mismatch::new(FRR, "runs and does not answer")
}

/// The zones that have a dnsmasq by their files.
fn zones(texts: &Texts) -> impl Iterator<Item = &ZoneId> {
    texts.keys().filter_map(|managed| match managed {
        Managed::DnsmasqZone(zone) => Some(zone),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Frr, ServiceTarget, Services, Texts};
    use crate::plan::{Kernel, Link, Target, Tunnel};
    use crate::render::Managed;
    use crate::value::ZoneId;

    const BGP: &str =
        "frr version 10\nrouter bgp 65000\n neighbor 192.0.2.1 remote-as 65000\nexit\n";

    fn zone() -> ZoneId {
        "zone".parse().expect("a zone")
    }

    type File = (Managed, &'static str);
    /// What the files said, what they say, what runs, and the steps.
    type Case<'a> = (&'a [&'a File], &'a [&'a File], &'a Services, &'a str);

    fn texts(files: &[&File]) -> Texts {
        files.iter().map(|&(managed, text)| (managed.clone(), text.as_bytes().to_vec())).collect()
    }

    fn said(before: &[&File], wanted: &[&File], runs: &Services) -> String {
        let target = ServiceTarget::between(texts(before), texts(wanted));
        let steps: Vec<String> = target.steps(runs).iter().map(ToString::to_string).collect();
        steps.join("; ")
    }

    #[test]
    fn only_what_changed_or_does_not_run_is_touched() {
        let (interfaces, frr) = ((Managed::Interfaces, "x"), (Managed::Frr, BGP));
        let (sysctl, unit) = ((Managed::Sysctl, "a=1"), (Managed::DnsmasqUnit, "[Unit]"));
        let off = (Managed::FrrDaemons, "bgpd=no\n");
        let on = (Managed::FrrDaemons, "bgpd=yes\n");
        let dhcp = (Managed::DnsmasqZone(zone()), "no-hosts\n");
        let more = (Managed::DnsmasqZone(zone()), "no-hosts\nquiet-ra\n");
        let bus = (Managed::DnsmasqBus(zone()), "<busconfig/>\n");
        let runs = Services {
            frr: Frr::Runs(BGP.to_owned()),
            dnsmasq: [zone()].into(),
            default_dnsmasq: false,
        };
        let nothing = Services::default();
        let silent = Services { frr: Frr::Silent, ..runs.clone() };
        let default = Services { default_dnsmasq: true, ..Services::default() };
        let restart = "restart FRR: all its sessions drop and its routes with them";
        let empty = "empty FRR: all its sessions end and its routes with them";
        let cases: &[Case<'_>] = &[
            (&[], &[], &default, ""),
            (&[], &[&interfaces], &default, ""),
            (&[&frr, &on], &[&frr, &on], &runs, ""),
            (&[&frr], &[&frr], &nothing, "reload FRR"),
            (&[&frr], &[&frr], &silent, ""),
            (&[], &[&frr], &silent, "reload FRR"),
            (&[&frr], &[], &silent, empty),
            (&[], &[&frr], &runs, "reload FRR"),
            (&[&frr, &off], &[&frr, &on], &runs, restart),
            (&[&on], &[&frr, &on], &runs, "reload FRR"),
            (&[&frr, &on], &[&frr], &runs, ""),
            (&[&frr], &[], &runs, empty),
            (&[&frr], &[], &nothing, ""),
            (
                &[],
                &[&dhcp, &bus],
                &default,
                "stop and disable dnsmasq.service; reload the policy of D-Bus; restart dnsmasq@zone",
            ),
            (&[&dhcp], &[&dhcp], &runs, ""),
            (&[&dhcp], &[&dhcp], &nothing, "restart dnsmasq@zone"),
            (&[&dhcp], &[&more], &runs, "restart dnsmasq@zone"),
            (&[&dhcp], &[], &runs, "stop and disable dnsmasq@zone"),
            (
                &[],
                &[&sysctl, &unit],
                &nothing,
                "reload the units of systemd; load /etc/sysctl.d/weft.conf",
            ),
        ];
        for (before, wanted, runs, steps) in cases {
            assert_eq!(said(before, wanted, runs), *steps, "{before:?} {wanted:?}");
        }
    }

    #[test]
    fn a_vrf_gives_its_vni_up_before_it_goes() {
        const TWO: &str = "vrf vrf_a\n vni 10\nexit-vrf\nvrf vrf_b\n vni 20\nexit-vrf\n";
        const ONE: &str = "vrf vrf_b\n vni 20\nexit-vrf\n";
        const A: &str = "auto vxa\niface vxa\n\tvxlan-id 10\n";
        const B: &str = "auto vxb\niface vxb\n\tvxlan-id 20\n";
        let both = format!("{A}{B}");
        let kernel = |vnis: [u32; 2]| {
            let link = |name: &str, id| {
                let tunnel = Tunnel { id, port: 4789, learning: true, ..Tunnel::default() };
                let kind = Some("vxlan".to_owned());
                (name.to_owned(), Link { kind, tunnel: Some(tunnel), ..Link::default() })
            };
            let links = [link("vxa", vnis[0]), link("vxb", vnis[1])].into();
            Kernel { links, ..Kernel::default() }
        };
        let runs = |text: &str| Services { frr: Frr::Runs(text.to_owned()), ..Services::default() };
        // Interfaces and FRR's file as they were and as they are wanted.
        let first = |before: [&str; 2], wanted: [&str; 2], runs: &Services| {
            let texts = |frr: &str| Texts::from([(Managed::Frr, frr.as_bytes().to_vec())]);
            let network = Target::between(&[before[0]], wanted[0]);
            let target = ServiceTarget::between(texts(before[1]), texts(wanted[1]));
            let target = target.beside(&network, &kernel([10, 20]));
            let steps = target.first(runs).into_iter().chain(target.steps(runs));
            steps.map(|step| step.to_string()).collect::<Vec<_>>().join("; ")
        };
        let gives_up = "let FRR give up the VNI of vrf_a; reload FRR";
        assert_eq!(first([&both, TWO], [B, ONE], &runs(TWO)), gives_up);
        assert_eq!(first([&both, TWO], [&both, ONE], &runs(TWO)), gives_up);
        // FRR keeps a VRF that has no interfaces on this node, and one whose interfaces are made
        // anew, or were taken away by somebody: its file says the same, and its reload gives the
        // VNI back.
        assert_eq!(first([&both, TWO], [B, TWO], &runs(TWO)), gives_up);
        let anew = both.replace("vxlan-id 10", "vxlan-id 30");
        assert_eq!(first([&both, TWO], [&anew, TWO], &runs(TWO)), gives_up);
        let more = format!("{both}\nauto vxc\niface vxc\n\tvxlan-id 30\n");
        let three = TWO.replace("vni 10", "vni 30");
        assert_eq!(first([&more, &three], [&more, &three], &runs(&three)), gives_up);
        // Nothing is to be given up of what FRR does not have, or cannot be asked for.
        assert_eq!(first([&both, TWO], [B, ONE], &runs(ONE)), "reload FRR");
        let silent = Services { frr: Frr::Silent, ..Services::default() };
        assert_eq!(first([&both, TWO], [B, ONE], &silent), "reload FRR");
        assert_eq!(first(["", ONE], [&both, TWO], &runs(ONE)), "reload FRR");
        assert_eq!(first([&both, TWO], [&both, TWO], &runs(TWO)), "");
    }

    #[test]
    fn what_does_not_run_is_named() {
        let wanted = texts(&[&(Managed::Frr, BGP), &(Managed::DnsmasqZone(zone()), "")]);
        let target = ServiceTarget::between(Texts::new(), wanted);
        let verify = |services: &Services| -> Vec<String> {
            target.verify(services).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            verify(&Services { default_dnsmasq: true, ..Services::default() }),
            [
                "`FRR` has no `router bgp 65000`; it does not run",
                "`dnsmasq@zone` does not run, or not answer",
                "`dnsmasq` runs for no zone, and takes the port of those",
            ]
        );
        let frr = Frr::Runs("router bgp 65001\n".to_owned());
        let services = Services { frr, dnsmasq: [zone()].into(), default_dnsmasq: false };
        assert_eq!(
            verify(&services),
            ["`FRR` has no `router bgp 65000`; look whether its daemon runs"]
        );
        let frr = Frr::Runs("router bgp 65000\n bgp router-id 192.0.2.9\n".to_owned());
        assert_eq!(
            verify(&Services { frr, ..services.clone() }),
            [
                "`FRR` has no `router bgp 65000 > neighbor 192.0.2.1 remote-as 65000`; it did not take it"
            ]
        );
        let frr = Frr::Runs(BGP.to_owned());
        assert!(verify(&Services { frr, ..services }).is_empty());
    }
}

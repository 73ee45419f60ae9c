//! Floor 5: the steps from what is to what should be.
//!
//! Every choice is made here, in pure code: what is written and removed, what it
//! disturbs, and what must not be done at all. Does not know how a step is done.

pub mod addresses;
pub mod hosts;
pub mod ipam;
pub mod names;

mod adoption;
mod change;
mod engine;
mod guard;
mod guests;
mod interface;
mod kernel;
mod lapse;
mod nat;
mod native;
mod network;
mod order;
mod ports;
mod reach;
mod refused;
mod routing;
mod rule;
mod service;
mod sign;
mod stanza;
mod step;
mod sysctl;
mod text;
mod trace;
mod verify;
mod watch;
mod window;

pub use adoption::Foreign;
pub use change::{Change, Impact, LineChange};
pub use engine::Engine;
pub use guard::{Guard, RemovalLimits};
pub use guests::{ConfiguredGuest, GuestPort};
pub use interface::{Interface, Interfaces, Kind, interfaces};
pub use kernel::{Kernel, Link, LocalRule, PortVlan, Question, Stations, Tunnel};
pub use lapse::Lapses;
pub use nat::{NAT_TABLE, Nat, NatRule, nat_commands, nat_listing, nat_table};
pub use network::{Steps, Target};
pub use ports::guest_of_port;
pub use reach::Passage;
pub use rule::{Family, NotARule, Rule, Table, TableName};
pub use service::{Frr, ServiceStep, ServiceTarget, Services, Texts};
pub use sign::{Check, Health, Look, Probe, Protocol, Session, Sign, Signs, Watchlist};
pub use step::{BridgeSettings, Make, NetworkStep};
pub use sysctl::settings as sysctls;
pub use trace::{Said, Statement, lost, statements};
pub use verify::Mismatch;
pub use watch::{Shortfall, Verdict, Watch};
pub use window::{Before, Class, Opening, Requirement, Terms, Uptime, Window};

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::facts::Facts;
use crate::render::{Managed, Rendering, without_version};
use crate::value::{Digest, IfName, NodeName, VnetId};

/// What is to be done on one node, every choice made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The node.
    pub node: NodeName,
    /// What the node should have afterwards.
    pub rendering: Rendering,
    /// What the rendering was made from.
    pub facts: Facts,
    /// What brings the network to it.
    pub engine: Engine,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What the steps do to interfaces.
    pub changes: Vec<Change>,
    /// The lines that go and come in each other file that is written.
    pub lines: BTreeMap<Managed, Vec<LineChange>>,
    /// Why the plan must not be carried out; empty when it may.
    pub guards: Vec<Guard>,
    /// Files that are there and that weft did not write.
    pub foreign: Vec<Foreign>,
    /// Files of ours that somebody changed since weft wrote them.
    pub edited: Vec<Managed>,
    /// How it is watched while it is carried out.
    pub class: Class,
    /// Why it is watched so, in words; empty where it is as usual.
    pub reasons: Vec<String>,
    /// Whether it touches the way by which the node is reached, whatever its class.
    pub touches_management: bool,
    /// What the network is to be brought to.
    pub target: Arc<Target>,
    /// What the kernel had when it was made; `None` on a dry node.
    pub kernel: Option<Arc<Kernel>>,
}

/// One change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is written as a whole.
    Write {
        /// Which file.
        managed: Managed,
        /// Its contents.
        bytes: Vec<u8>,
    },
    /// A file is removed.
    Remove {
        /// Which file.
        managed: Managed,
    },
    /// The running network is changed. Never on a dry node, which has none.
    Network(NetworkStep),
    /// What runs of services is changed. Never on a dry node.
    Service(ServiceStep),
}

impl Step {
    /// The file that the step is about, if it is about one.
    pub fn managed(&self) -> Option<&Managed> {
        match self {
            Self::Write { managed, .. } | Self::Remove { managed } => Some(managed),
            Self::Network(_) | Self::Service(_) => None,
        }
    }
}

/// What stands on the node now, and what the commit allows to be done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The contents of each file that is there, among those that are wanted or owned.
    pub files: BTreeMap<Managed, Vec<u8>>,
    /// What the kernel has; `None` on a dry node.
    pub kernel: Option<Arc<Kernel>>,
    /// What runs of services; `None` on a dry node, and where none is concerned.
    pub services: Option<Services>,
    /// The guests whose configuration names a bridge.
    pub guests: Vec<ConfiguredGuest>,
    /// The vnets that the commit's policy lets a node take away from guests.
    pub removable: BTreeSet<VnetId>,
    /// How many vnets it lets a node take away.
    pub limits: RemovalLimits,
    /// The address that must never be lost, by the commit's declarations.
    pub management: Option<IpAddr>,
    /// How the remotes are reached.
    pub passages: Vec<Passage>,
    /// What brings the network to what is wanted.
    pub engine: Engine,
}

impl Found {
    /// The text of the interfaces file, empty where there is none.
    pub fn interfaces_text(&self) -> String {
        self.text(&Managed::Interfaces)
    }

    /// The text of a file, empty where there is none.
    fn text(&self, managed: &Managed) -> String {
        let bytes = self.files.get(managed);
        bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }
}

/// What weft put on the node last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// The digest of each file as it was written.
    pub files: BTreeMap<Managed, Digest>,
    /// The interfaces that it made, and the vnets that each one served.
    pub interfaces: BTreeMap<IfName, Vec<VnetId>>,
}

/// The plan from found to wanted. `owned` is `None` on a node where weft has not
/// changed anything so far; `sequence` is the number that the files carry.
pub fn plan(
    wanted: Rendering,
    facts: Facts,
    found: &Found,
    owned: Option<&Owned>,
    sequence: u64,
) -> Plan {
    let target = Arc::new(target(&wanted, found));
    plan_towards(target, wanted, facts, found, owned, sequence)
}

/// The same to the [`target`] of these files, for a caller that has it.
pub fn plan_towards(
    target: Arc<Target>,
    wanted: Rendering,
    facts: Facts,
    found: &Found,
    owned: Option<&Owned>,
    sequence: u64,
) -> Plan {
    let mut steps = Vec::new();
    let mut changes = Vec::new();
    let mut guards = Vec::new();
    let mut edited = Vec::new();
    let mut foreign = Vec::new();
    let mut lines = BTreeMap::new();
    let written = |managed: &Managed| owned.and_then(|owned| owned.files.get(managed));
    let known: BTreeSet<&Managed> =
        wanted.files.keys().chain(owned.iter().flat_map(|owned| owned.files.keys())).collect();
    for managed in known {
        let is = found.files.get(managed);
        let should = wanted.bytes(managed, sequence);
        // In the administrator's file weft sets only what is wanted.
        let is_weft = *managed != Managed::FrrDaemons;
        if !is_weft && should.is_none() {
            continue;
        }
        if written(managed).is_some_and(|written| is.map(|is| Digest::of(is)) != Some(*written)) {
            edited.extend(is_weft.then(|| managed.clone()));
        }
        let same = is.map(|bytes| meaning(bytes)) == should.as_deref().map(meaning);
        match (is, &should, written(managed)) {
            (Some(is), Some(should), None) if is_weft && !adoption::is_nobodys(managed, is) => {
                // One that means the same too: from then on it would be replaced.
                guards.push(adoption::not_ours(managed));
                foreign.push(Foreign::new(managed, is, should, same));
            }
            _ => {}
        }
        if same {
            continue;
        }
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let (old, new) =
            (is.map(text).unwrap_or_default(), should.as_ref().map(text).unwrap_or_default());
        if *managed == Managed::Interfaces {
            changes =
                change::changes(&old, &new, found.engine, |name| served(&wanted, owned, name));
        } else if should.is_some() {
            lines.insert(managed.clone(), change::of_text(&old, &new));
        }
        let managed = managed.clone();
        steps.push(match should {
            Some(bytes) => Step::Write { managed, bytes },
            None => Step::Remove { managed },
        });
    }
    guards.extend(wanted.obstacle.as_ref().map(guard::obstacle));
    guards.extend(guard::of_network(&target, found, owned));
    guards.extend(guard::of_removal(&wanted, owned, found.limits));
    if let Some(kernel) = &found.kernel {
        let Steps { before, after } = target.steps(kernel);
        let files = std::mem::take(&mut steps);
        steps.extend(before.into_iter().map(Step::Network));
        steps.extend(files);
        steps.extend(after.into_iter().map(Step::Network));
    }
    if let Some(services) = &found.services {
        let mut of_services = services_target(&wanted, found);
        if let Some(kernel) = &found.kernel {
            of_services = of_services.beside(&target, kernel);
        }
        steps.splice(0..0, of_services.first(services).map(Step::Service));
        steps.extend(of_services.steps(services).into_iter().map(Step::Service));
    }
    let (class, reasons, touches_management) = class(&wanted, &facts, found, &target);
    Plan {
        node: facts.node.clone(),
        rendering: wanted,
        facts,
        engine: found.engine,
        steps,
        changes,
        lines,
        guards,
        foreign,
        edited,
        class,
        reasons,
        touches_management,
        target,
        kernel: found.kernel.clone(),
    }
}

/// How a change from found to wanted is watched, and why.
fn class(
    wanted: &Rendering,
    facts: &Facts,
    found: &Found,
    target: &Target,
) -> (Class, Vec<String>, bool) {
    let Lapses { underlay, mut renegotiations, .. } =
        Lapses::between(&found.files, &texts(wanted), target);
    let reached = (found.management, found.passages.as_slice());
    let touched = reach::touched((&target.before, &target.wanted), facts, reached, underlay);
    let class = match (renegotiations.is_empty(), touched.is_empty()) {
        (false, _) => Class::Coordinated,
        (true, false) => Class::Management,
        (true, true) => Class::Ordinary,
    };
    let touches_management = !touched.is_empty();
    renegotiations.extend(touched);
    (class, renegotiations, touches_management)
}

/// The contents of the wanted files, but for the version line.
fn texts(wanted: &Rendering) -> Texts {
    wanted.files.iter().map(|(m, text)| (m.clone(), text.clone().into_bytes())).collect()
}

/// The bytes by which two files mean the same: the number of the version line is
/// no difference by itself.
fn meaning(bytes: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => without_version(text).as_bytes().to_vec(),
        Err(_) => bytes.to_vec(),
    }
}

fn served(wanted: &Rendering, owned: Option<&Owned>, name: &str) -> Vec<VnetId> {
    let before = owned.and_then(|owned| owned.interfaces.get(name));
    wanted.interfaces.get(name).or(before).cloned().unwrap_or_default()
}

/// What the kernel is to be brought to from what the found file asks for.
pub fn target(wanted: &Rendering, found: &Found) -> Target {
    let new = wanted.files.get(&Managed::Interfaces).map_or("", String::as_str);
    let sysctls = wanted.files.get(&Managed::Sysctl).map_or("", String::as_str);
    let ports = wanted.files.get(&Managed::Ports).map_or("", String::as_str);
    // The number of the version line is no difference.
    let is = found.interfaces_text();
    let target = Target::between(&[without_version(&is)], new);
    let target = target.with_ports(&[&found.text(&Managed::Ports)], ports);
    target.with_sysctls(sysctls).with_engine(found.engine)
}

/// Whether files differ that say something of the network: only then is it of interest how
/// the node is reached.
pub fn changes_network(wanted: &Rendering, found: &Found) -> bool {
    [Managed::Interfaces, Managed::Frr].iter().any(|managed| {
        let wanted = wanted.files.get(managed).map(|text| meaning(text.as_bytes()));
        wanted != found.files.get(managed).map(|bytes| meaning(bytes))
    })
}

/// What services are to be brought to from what the found files say.
pub fn services_target(wanted: &Rendering, found: &Found) -> ServiceTarget {
    ServiceTarget::between(found.files.clone(), texts(wanted))
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it takes away more than a commit may.
    pub fn removes_too_much(&self) -> bool {
        self.guards.iter().any(|guard| guard::OF_REMOVAL.contains(&guard.code))
    }

    /// The plan of a commit that brings back what the node had: it may take away all that
    /// came since.
    #[must_use]
    pub fn reverting(mut self) -> Self {
        self.guards.retain(|guard| !guard::OF_REMOVAL.contains(&guard.code));
        self
    }

    /// How many interfaces a change of this impact meets.
    pub fn count(&self, impact: Impact) -> usize {
        self.changes.iter().filter(|change| change.impact == impact).count()
    }

    /// How much of what runs is put right although no file says anything else of it: where no
    /// file changes everything that the steps are about, and beside a change the interfaces
    /// that are made and have no part in it.
    pub fn repairs(&self) -> usize {
        let is_file = self.steps.iter().any(|step| step.managed().is_some());
        let mut interfaces: BTreeSet<&str> = BTreeSet::new();
        let mut others = 0;
        for step in &self.steps {
            match step {
                Step::Network(step) if is_file || !self.changes.is_empty() => {
                    interfaces.extend(step.made().map(AsRef::<str>::as_ref));
                }
                Step::Network(step) if step.interfaces().is_empty() => others += 1,
                Step::Network(step) => {
                    interfaces.extend(step.interfaces().iter().map(AsRef::<str>::as_ref));
                }
                Step::Service(_) if !is_file => others += 1,
                Step::Service(_) | Step::Write { .. } | Step::Remove { .. } => {}
            }
        }
        let changed = |name: &&&str| self.changes.iter().any(|change| change.interface == ***name);
        interfaces.len() - interfaces.iter().filter(changed).count() + others
    }

    /// One line that says what the plan does.
    pub fn summary(&self) -> String {
        text::summary(self)
    }

    /// The whole plan for people: each change with its lines, the guards, the notes
    /// and the summary.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// The plan for programs.
    pub fn json(&self) -> serde_json::Value {
        text::json(self)
    }
}

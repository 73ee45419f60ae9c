//! Who speaks routing protocols with whom by a configuration of FRR, and by which words that
//! both sides have to agree on.

use std::collections::{BTreeMap, BTreeSet};

use super::super::routing::statements;
use super::super::sign::{Protocol, Session};

/// Settings of a neighbour of BGP that drop its session when they change.
const OF_NEIGHBOURS: &[&str] = &[
    "disable-connected-check",
    "ebgp-multihop",
    "local-as",
    "password",
    "remote-as",
    "ttl-security",
    "update-source",
];

/// Settings of interior protocols that each side has for itself.
const OF_ONE_SIDE: &[&str] = &[
    "bfd",
    "cost",
    "csnp-interval",
    "fast-reroute",
    "metric",
    "priority",
    "psnp-interval",
    "retransmit-interval",
    "transmit-delay",
];

/// Settings of a process of IS-IS or OpenFabric that both sides have to agree on.
const OF_PROCESSES: &[&str] = &["area-password", "domain-password", "is-type", "net"];

/// The VRF that is none.
const DEFAULT: &str = "default";

/// What a configuration says of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Speakers {
    /// The processes of BGP, by VRF.
    pub routers: BTreeMap<String, Router>,
    /// The sessions of BGP and those behind interfaces, each with what both sides have to agree
    /// on.
    pub sessions: BTreeMap<Session, BTreeSet<Term>>,
    /// Neighbours of BGP that BFD watches too, with how.
    pub bfd: BTreeMap<Session, String>,
    /// What else asks for BFD.
    pub other_bfd: BTreeSet<String>,
    /// The VNIs of VRFs.
    pub vnis: BTreeSet<u32>,
    /// Whether FRR is to know the VNIs of tunnels.
    pub announces_vnis: bool,
    /// All that is said of the underlay.
    pub underlay: BTreeSet<String>,
}

/// A process of BGP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Router {
    /// The AS number as it is written.
    pub asn: String,
    /// The router id, where it is written.
    pub id: String,
}

/// What both sides have to agree on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term {
    /// Where it is written: a neighbour, its group, an interface, a process.
    pub holder: String,
    /// The setting.
    pub word: String,
    /// Its value.
    pub value: String,
}

impl Term {
    fn new(holder: &str, word: &str, value: &str) -> Self {
        Self { holder: holder.to_owned(), word: word.to_owned(), value: value.to_owned() }
    }
}

/// What is said of the neighbours of one process.
#[derive(Default)]
struct Neighbours<'a> {
    groups: BTreeSet<&'a str>,
    member_of: BTreeMap<&'a str, &'a str>,
    terms: BTreeMap<&'a str, BTreeSet<Term>>,
    bfd: BTreeMap<&'a str, &'a str>,
}

impl Speakers {
    /// What a text says.
    pub(super) fn of(text: &str) -> Self {
        let statements = statements(text);
        let mut found = Self::default();
        let mut vrfs: BTreeMap<&str, Neighbours<'_>> = BTreeMap::new();
        let mut interior = Interior::default();
        for statement in &statements {
            let mut parts = statement.split(" > ");
            let block = parts.next().unwrap_or_default();
            let line = parts.next();
            // Of address families nothing drops a session.
            let in_family = parts.next().is_some();
            if line.is_some_and(|line| line.starts_with("address-family")) {
                found.announces_vnis |= statement.ends_with(" > advertise-all-vni");
            }
            let words: Vec<&str> = block.split(' ').collect();
            match (words.as_slice(), line) {
                (["router", "bgp", asn, rest @ ..], line) => {
                    let vrf = if let ["vrf", vrf] = rest { vrf } else { DEFAULT };
                    let router = found.routers.entry(vrf.to_owned()).or_default();
                    (*asn).clone_into(&mut router.asn);
                    let Some(line) = line.filter(|_| !in_family) else { continue };
                    if let Some(id) = line.strip_prefix("bgp router-id ") {
                        id.clone_into(&mut router.id);
                    }
                    vrfs.entry(vrf).or_default().take(line);
                }
                (["vrf", _], Some(line)) => {
                    found.vnis.extend(line.strip_prefix("vni ").and_then(|vni| {
                        vni.split(' ').next().unwrap_or_default().parse::<u32>().ok()
                    }));
                }
                (["bfd"], Some(line)) => {
                    found.other_bfd.insert(line.to_owned());
                }
                _ => {
                    if is_of_underlay(statement) {
                        found.underlay.insert(statement.clone());
                    }
                    if let Some(line) = line {
                        interior.take(&words, line);
                    }
                }
            }
        }
        for (vrf, neighbours) in vrfs {
            neighbours.give(vrf, &mut found);
        }
        interior.give(&mut found);
        found
    }
}

impl<'a> Neighbours<'a> {
    fn take(&mut self, line: &'a str) {
        let Some(rest) = line.strip_prefix("neighbor ") else { return };
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let terms = self.terms.entry(name).or_default();
        // `neighbor eth0 interface remote-as external` says two things at once.
        let rest = rest.strip_prefix("interface ").unwrap_or(rest);
        let (word, value) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "peer-group" if value.is_empty() => {
                self.groups.insert(name);
            }
            "peer-group" => {
                self.member_of.insert(name, value);
            }
            "bfd" => {
                self.bfd.insert(name, value);
            }
            word if OF_NEIGHBOURS.contains(&word) => {
                terms.insert(Term::new(name, word, value));
            }
            _ => {}
        }
    }

    fn give(&self, vrf: &str, found: &mut Speakers) {
        for (name, own) in self.terms.iter().filter(|(name, _)| !self.groups.contains(*name)) {
            let group = self.member_of.get(name);
            let mut terms = own.clone();
            terms.extend(
                group.and_then(|group| self.terms.get(group)).into_iter().flatten().cloned(),
            );
            terms.extend(group.map(|group| Term::new(name, "peer-group", group)));
            let session =
                |protocol| Session { protocol, vrf: vrf.to_owned(), peer: (*name).to_owned() };
            found.sessions.insert(session(Protocol::Bgp), terms);
            if let Some(how) = self.bfd.get(name).or_else(|| self.bfd.get(group?)) {
                found.bfd.insert(session(Protocol::Bfd), (*how).to_owned());
            }
        }
    }
}

/// What is said of interior protocols.
#[derive(Default)]
struct Interior {
    /// By protocol and name of the process.
    processes: BTreeMap<(Protocol, String), BTreeSet<Term>>,
    /// By protocol and interface: the process, and what is said.
    members: BTreeMap<(Protocol, String), (Option<String>, BTreeSet<Term>)>,
    silent: BTreeSet<(Protocol, String)>,
    bfd: BTreeSet<String>,
}

impl Interior {
    fn take(&mut self, block: &[&str], line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match block {
            ["router", "ospf", ..] => {
                let term = match words.as_slice() {
                    ["ospf", "router-id", id] => Term::new("router ospf", "router-id", id),
                    ["area", rest @ ..] if !rest.contains(&"range") => {
                        Term::new("router ospf", "area", &rest.join(" "))
                    }
                    _ => return,
                };
                self.processes.entry((Protocol::Ospf, String::new())).or_default().insert(term);
            }
            ["router", kind @ ("isis" | "openfabric"), name] => {
                let (Some(protocol), [word, value @ ..]) = (of_word(kind), words.as_slice()) else {
                    return;
                };
                let terms = self.processes.entry((protocol, (*name).to_owned())).or_default();
                if OF_PROCESSES.contains(word) {
                    terms.insert(Term::new(&block.join(" "), word, &value.join(" ")));
                }
            }
            ["interface", name, ..] => self.take_interface(name, &words, line),
            _ => {}
        }
    }

    fn take_interface(&mut self, interface: &str, words: &[&str], line: &str) {
        let (protocol, process, rest) = match words {
            ["ip" | "ipv6", "router", kind, process, ..] => (of_word(kind), Some(process), words),
            ["ip", "ospf", rest @ ..] => (Some(Protocol::Ospf), None, rest),
            [kind, rest @ ..] => (of_word(kind), None, rest),
            [] => return,
        };
        let Some(protocol) = protocol else { return };
        let key = (protocol, interface.to_owned());
        match rest.first() {
            Some(&"bfd") => {
                self.bfd.insert(format!("{interface} {line}"));
            }
            Some(&"passive") => {
                self.silent.insert(key.clone());
            }
            _ => {}
        }
        let member = self.members.entry(key).or_default();
        if let Some(process) = process {
            member.0 = Some((*process).to_owned());
        }
        if let Some((word, value)) = rest.split_first()
            && !OF_ONE_SIDE.contains(word)
        {
            let (word, value) = match process {
                Some(_) => (words.get(..3).unwrap_or_default().join(" "), words.get(3..)),
                None => ((*word).to_owned(), Some(value)),
            };
            member.1.insert(Term::new(interface, &word, &value.unwrap_or_default().join(" ")));
        }
    }

    fn give(self, found: &mut Speakers) {
        let Self { processes, members, silent, bfd } = self;
        found.other_bfd.extend(bfd);
        for ((protocol, interface), (process, mut terms)) in members {
            let is_silent = silent.contains(&(protocol, interface.clone()));
            let takes_part = protocol == Protocol::Ospf || process.is_some();
            if is_silent || !takes_part {
                continue;
            }
            let process = (protocol, process.unwrap_or_default());
            terms.extend(processes.get(&process).into_iter().flatten().cloned());
            let session = Session { protocol, vrf: DEFAULT.to_owned(), peer: interface };
            found.sessions.insert(session, terms);
        }
    }
}

fn of_word(word: &str) -> Option<Protocol> {
    match word {
        "isis" => Some(Protocol::Isis),
        "openfabric" => Some(Protocol::OpenFabric),
        _ => None,
    }
}

/// Interior protocols, and the source addresses that fabrics give to what they route.
fn is_of_underlay(statement: &str) -> bool {
    let starts = [
        "access-list pve_",
        "interface ",
        "ip protocol ",
        "ipv6 access-list pve_",
        "ipv6 protocol ",
        "route-map pve_",
        "router isis ",
        "router openfabric ",
        "router ospf",
    ];
    starts.iter().any(|start| statement.starts_with(start))
}

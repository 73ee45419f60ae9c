//! What a change of files takes away or interrupts by what it is, so that an apply is not
//! undone for it.

mod speakers;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use self::speakers::{Speakers, Term};
use super::interface::{Interface, Interfaces, Kind};
use super::network::Target;
use super::service::Texts;
use super::sign::{Protocol, Session, Sign};
use crate::render::Managed;
use crate::value::IfName;

/// What a change takes away and interrupts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lapses {
    /// Whether the underlay is changed: the fabrics and interfaces below tunnels.
    pub underlay: bool,
    /// Why sessions drop until the other side follows, in words; empty where none does.
    pub renegotiations: Vec<String>,
    /// Sessions that are no longer wanted.
    removed: BTreeSet<Session>,
    /// Sessions that are wanted and drop.
    dropped: BTreeSet<Session>,
    vnis: BTreeSet<u32>,
    bridges: BTreeSet<String>,
    /// Whether anything that is no neighbour of BGP does without BFD now.
    other_bfd: bool,
    /// The neighbours that BFD watches for BGP.
    known_bfd: BTreeSet<Session>,
    /// Prefixes that are reached another way than before.
    hidden: BTreeSet<IpNet>,
}

/// What files say.
struct Said<'a> {
    interfaces: &'a Interfaces,
    speakers: Speakers,
}

impl<'a> Said<'a> {
    /// The prefixes that interfaces hold, and that routes lead to.
    fn prefixes(&self) -> BTreeSet<IpNet> {
        let all = self.interfaces.values();
        all.flat_map(|one| one.addresses.iter().chain(&one.routes)).map(IpNet::trunc).collect()
    }

    fn by(interfaces: &'a Interfaces, texts: &Texts) -> Self {
        let text = texts.get(&Managed::Frr).map(|bytes| String::from_utf8_lossy(bytes));
        Self { interfaces, speakers: Speakers::of(&text.unwrap_or_default()) }
    }

    /// The VNIs that FRR is to know.
    fn vnis(&self) -> BTreeSet<u32> {
        let tunnels = self.interfaces.values().filter_map(|interface| match interface.kind {
            Kind::Vxlan { id, .. } if self.speakers.announces_vnis => Some(id),
            _ => None,
        });
        tunnels.chain(self.speakers.vnis.iter().copied()).collect()
    }

    fn bridges(&self) -> BTreeSet<String> {
        let bridges = self.interfaces.iter().filter(|(_, interface)| interface.is_bridge());
        bridges.map(|(name, _)| name.to_string()).collect()
    }

    /// The interfaces below tunnels: those of the node's own, and those that are there for
    /// their address.
    fn below_tunnels(&self) -> BTreeMap<&IfName, &Vec<String>> {
        let below = |interface: &&Interface| matches!(interface.kind, Kind::Own | Kind::Dummy);
        let all = self.interfaces.iter();
        all.filter(|(_, interface)| below(interface)).map(|(name, i)| (name, &i.lines)).collect()
    }

    /// What both sides of a session have to agree on; of interior protocols the addresses of the
    /// interface that the neighbour is behind are among it.
    fn terms(&self, session: &Session) -> Option<BTreeSet<Term>> {
        let mut terms = self.speakers.sessions.get(session)?.clone();
        let is_interior = !matches!(session.protocol, Protocol::Bgp | Protocol::Bfd);
        let interface = self.interfaces.get(session.peer.as_str()).filter(|_| is_interior);
        let addresses = interface.into_iter().flat_map(|interface| &interface.addresses);
        terms.extend(addresses.map(|address| Term {
            holder: session.peer.clone(),
            word: "address".to_owned(),
            value: address.to_string(),
        }));
        Some(terms)
    }
}

impl Lapses {
    /// From what some files said to what others do, whose interfaces a target has.
    pub fn between(before: &Texts, after: &Texts, target: &Target) -> Self {
        let (before, after) = (Said::by(&target.before, before), Said::by(&target.wanted, after));
        let (old, new) = (&before.speakers, &after.speakers);
        let mut lapses = Self {
            underlay: old.underlay != new.underlay
                || before.below_tunnels() != after.below_tunnels(),
            vnis: before.vnis().difference(&after.vnis()).copied().collect(),
            bridges: before.bridges().difference(&after.bridges()).cloned().collect(),
            other_bfd: !old.other_bfd.is_subset(&new.other_bfd),
            known_bfd: old.bfd.keys().cloned().collect(),
            hidden: after.prefixes().difference(&before.prefixes()).copied().collect(),
            ..Self::default()
        };
        let sessions = |speakers: &Speakers| -> BTreeSet<Session> {
            speakers.sessions.keys().chain(speakers.bfd.keys()).cloned().collect()
        };
        lapses.removed = sessions(old).difference(&sessions(new)).cloned().collect();
        lapses.of_routers(old, new);
        lapses.of_terms(&before, &after);
        lapses.of_bfd(old, new);
        lapses.of_tunnels(&before, &after);
        lapses.of_tags(&before, &after);
        lapses
    }

    /// Whether the change takes away what a sign is about.
    pub fn removes(&self, sign: &Sign) -> bool {
        match sign {
            Sign::Session(session) => {
                let is_other =
                    session.protocol == Protocol::Bfd && !self.known_bfd.contains(session);
                self.removed.contains(session) || (is_other && self.loses_bfd())
            }
            Sign::Vni(number) => self.vnis.contains(number),
            Sign::Bridge(bridge) | Sign::GuestPort { bridge, .. } => self.bridges.contains(bridge),
            Sign::Remote(_) | Sign::Gateway(_) | Sign::Probe(_) => false,
        }
    }

    /// Whether the neighbour of a session is reached another way than before, so that its
    /// silence may be the change's doing.
    pub fn hides(&self, sign: &Sign) -> bool {
        let Sign::Session(session) = sign else { return false };
        let peer: Option<IpAddr> = session.peer.parse().ok();
        peer.is_some_and(|peer| self.hidden.iter().any(|net| net.contains(&peer)))
    }

    /// Whether what the sign is about drops until the other side follows.
    pub fn renegotiates(&self, sign: &Sign) -> bool {
        matches!(sign, Sign::Session(session) if self.dropped.contains(session))
    }

    /// Of a session of BFD that no neighbour of BGP has by its address nobody can say by whom
    /// it is watched: it may be the neighbour behind an interface, or of an interior protocol.
    fn loses_bfd(&self) -> bool {
        let is_behind = |session: &Session| {
            session.protocol == Protocol::Bfd && session.peer.parse::<std::net::IpAddr>().is_err()
        };
        self.other_bfd || self.removed.iter().any(is_behind)
    }

    /// Notes that sessions drop. Each is counted for the first reason only.
    fn drop_for(&mut self, reason: &str, sessions: impl IntoIterator<Item = Session>) {
        let sessions: BTreeSet<Session> = sessions.into_iter().collect();
        let more: Vec<Session> = sessions.difference(&self.dropped).cloned().collect();
        if more.is_empty() {
            return;
        }
        let count = match more.len() {
            1 => "1 session drops".to_owned(),
            count => format!("{count} sessions drop"),
        };
        self.renegotiations.push(format!("{reason}; {count} until the other side follows"));
        self.dropped.extend(more);
    }

    /// Of processes of BGP that stay.
    fn of_routers(&mut self, old: &Speakers, new: &Speakers) {
        for (vrf, router) in &old.routers {
            let Some(now) = new.routers.get(vrf) else { continue };
            let name = match vrf.as_str() {
                "default" => "router bgp".to_owned(),
                vrf => format!("router bgp in VRF `{vrf}`"),
            };
            let ours =
                |session: &&Session| session.protocol == Protocol::Bgp && session.vrf == *vrf;
            let kept = || {
                let sessions = old.sessions.keys().filter(ours);
                sessions.filter(|session| new.sessions.contains_key(*session)).cloned()
            };
            for (what, was, is) in
                [("ASN", &router.asn, &now.asn), ("router id", &router.id, &now.id)]
            {
                if was != is {
                    let reason = format!("{name}: the {what} changes{}", from_to(was, is));
                    self.drop_for(&reason, kept());
                }
            }
        }
    }

    /// Of sessions whose two sides have to agree on something else.
    fn of_terms(&mut self, before: &Said, after: &Said) {
        let mut reasons: BTreeMap<String, BTreeSet<Session>> = BTreeMap::new();
        for session in before.speakers.sessions.keys() {
            let (Some(was), Some(is)) = (before.terms(session), after.terms(session)) else {
                continue;
            };
            let Some(term) = was.symmetric_difference(&is).next() else { continue };
            let Term { holder, word, .. } = term;
            let value = |terms: &BTreeSet<Term>| -> String {
                let same = terms.iter().filter(|t| t.holder == *holder && t.word == *word);
                same.map(|term| term.value.as_str()).collect::<Vec<&str>>().join(", ")
            };
            // A password shows nowhere.
            let values = if word.contains("password") || word.contains("authentication") {
                String::new()
            } else {
                from_to(&value(&was), &value(&is))
            };
            let protocol = session.protocol.as_str();
            let reason = format!("{protocol}, `{holder}`: `{word}` changes{values}");
            reasons.entry(reason).or_default().insert(session.clone());
        }
        for (reason, sessions) in reasons {
            self.drop_for(&reason, sessions);
        }
    }

    /// BFD watches what BGP has, so it drops with it.
    fn of_bfd(&mut self, old: &Speakers, new: &Speakers) {
        for (session, how) in &old.bfd {
            let bgp = Session { protocol: Protocol::Bgp, ..session.clone() };
            let is_kept = new.bfd.get(session);
            if is_kept.is_some_and(|now| now != how || self.dropped.contains(&bgp)) {
                self.dropped.insert(session.clone());
            }
        }
    }

    /// Tunnels that stay and that the other side cannot speak with as they will be. They have
    /// no session that could be watched.
    fn of_tunnels(&mut self, before: &Said, after: &Said) {
        let mut changes: BTreeMap<String, usize> = BTreeMap::new();
        for (name, old) in before.interfaces {
            let new = after.interfaces.get(name).map(|new| &new.kind);
            let (
                Kind::Vxlan { id, port, local, .. },
                Some(Kind::Vxlan { id: new_id, port: new_port, local: new_local, .. }),
            ) = (&old.kind, new)
            else {
                continue;
            };
            let text = |local: &Option<std::net::IpAddr>| {
                local.map(|local| local.to_string()).unwrap_or_default()
            };
            for (what, was, is) in [
                ("VXLAN id", id.to_string(), new_id.to_string()),
                ("UDP port", port.to_string(), new_port.to_string()),
                ("address that packets are sent from", text(local), text(new_local)),
            ] {
                if was != is {
                    let change = format!("the {what} changes{}", from_to(&was, &is));
                    *changes.entry(change).or_default() += 1;
                }
            }
        }
        self.renegotiations.extend(changes.into_iter().map(|(change, count)| {
            let of = if count == 1 { "1 tunnel".to_owned() } else { format!("{count} tunnels") };
            format!("VXLAN: {change}; {of} of vnets carry nothing until the other nodes follow")
        }));
    }

    /// Vnets that leave the node by another VLAN: until the other nodes follow, guests here
    /// and there are in two networks. No session could be watched.
    fn of_tags(&mut self, before: &Said, after: &Said) {
        let (old, new) = (tags::tags(before.interfaces), tags::tags(after.interfaces));
        let mut changes: BTreeMap<String, usize> = BTreeMap::new();
        for (name, was) in old {
            let Some(is) = new.get(name).filter(|is| **is != was) else { continue };
            let text =
                |tags: &BTreeSet<String>| tags.iter().cloned().collect::<Vec<_>>().join(", ");
            *changes.entry(from_to(&text(&was), &text(is))).or_default() += 1;
        }
        self.renegotiations.extend(changes.into_iter().map(|(change, count)| {
            let of = if count == 1 { "1 vnet is".to_owned() } else { format!("{count} vnets are") };
            format!(
                "VLAN: the tag changes{change}; {of} cut off from other nodes until these follow"
            )
        }));
    }
}

/// ` from OLD to NEW`, where there are both.
fn from_to(was: &str, is: &str) -> String {
    match (was, is) {
        ("", "") => String::new(),
        ("", is) => format!(" to {is}"),
        (was, "") => format!(" from {was} to none"),
        (was, is) => format!(" from {was} to {is}"),
    }
}

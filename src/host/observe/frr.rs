//! What FRR's daemons say of their neighbours, in the JSON of FRR 10.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::mpsc::Sender;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::vty;
use super::{Bound, Found, News, ONE, echo, start};
use crate::plan::{Health, Protocol, Session, Sign};

/// The VRF that is none.
const DEFAULT: &str = "default";
/// The most neighbours that are asked whether they are there.
pub(super) const MOST: usize = 64;

/// What looks at one protocol. The first argument is the interfaces without carrier; what is
/// found out later is sent. `None` where the daemon runs and did not answer.
type Look = fn(&[String], &Sender<News>) -> Option<Found>;

/// Every protocol, each asked of its own daemon.
pub(super) const ALL: [(&str, Look); 6] = [
    ("FRR's bgpd", |idle, sender| {
        Some(sessions(bgp(ask("bgpd", "show bgp vrf all summary json")?.said()), idle, sender))
    }),
    ("FRR's bfdd", |idle, sender| {
        Some(sessions(bfd(ask("bfdd", "show bfd peers json")?.said()), idle, sender))
    }),
    ("FRR's ospfd", |idle, _| {
        let found = ask("ospfd", "show ip ospf vrf all neighbor json")?;
        let with_idle = |found| with_idle(Protocol::Ospf, ospf(found), idle);
        Some(found.said().map_or_else(Found::new, with_idle))
    }),
    ("FRR's isisd", |idle, _| {
        let found = ask("isisd", "show isis vrf all neighbor json")?;
        let protocol = Protocol::Isis;
        let with_idle = |found| with_idle(protocol, isis(protocol, found), idle);
        Some(found.said().map_or_else(Found::new, with_idle))
    }),
    ("FRR's fabricd", |idle, _| {
        let found = ask("fabricd", "show openfabric neighbor json")?;
        let protocol = Protocol::OpenFabric;
        let with_idle = |found| with_idle(protocol, isis(protocol, found), idle);
        Some(found.said().map_or_else(Found::new, with_idle))
    }),
    ("FRR's zebra", |_, _| Some(vnis(ask("zebra", "show evpn vni json")?.said()))),
];

/// What a daemon answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer<T> {
    /// It knows of no such thing.
    Nothing,
    Said(T),
}

impl<T> Answer<T> {
    fn said(self) -> Option<T> {
        match self {
            Self::Nothing => None,
            Self::Said(said) => Some(said),
        }
    }
}

/// What a daemon answers; nothing where it does not run or knows of no such thing. `None`
/// where it runs and gives no answer that can be read: that says nothing of its neighbours.
fn ask<T: DeserializeOwned>(daemon: &str, question: &str) -> Option<Answer<T>> {
    if !vty::is_there(daemon) {
        return Some(Answer::Nothing);
    }
    read(&vty::ask(daemon, question, ONE).ok()?)
}

/// A protocol that is not configured is said to be so in no JSON: by nothing, or by a
/// sentence behind `%`.
fn read<T: DeserializeOwned>(answer: &[u8]) -> Option<Answer<T>> {
    let answer = answer.trim_ascii();
    if answer.is_empty() || answer.starts_with(b"%") {
        return Some(Answer::Nothing);
    }
    serde_json::from_slice(answer).ok().map(Answer::Said)
}

/// A neighbour that is there for itself, and where it is.
#[derive(Debug, PartialEq, Eq)]
struct Neighbour {
    session: Session,
    is_up: bool,
    /// The interface that it is behind, where it says so.
    interface: Option<String>,
}

/// Of those that are down the ones with an address are asked whether they are there, and of
/// the ones with an interface only it is seen by its carrier.
fn sessions(neighbours: Vec<Neighbour>, idle: &[String], sender: &Sender<News>) -> Found {
    let mut asked = 0;
    let mut found = Found::new();
    for Neighbour { session, is_up, interface } in neighbours {
        let address: Option<IpAddr> = session.peer.parse().ok();
        let health = match is_up {
            true => Health::Up,
            false if idle.contains(&session.peer) => Health::Away,
            false => Health::Down,
        };
        found.push((Sign::Session(session.clone()), health));
        let Some(address) = address.filter(|_| !is_up && asked < MOST) else { continue };
        asked += 1;
        start(sender, move |_| {
            let is_there = answers_at(address, &session.vrf, interface.as_deref());
            let health = if is_there { Health::Down } else { Health::Away };
            News::of(vec![(Sign::Session(session), health)])
        });
    }
    found
}

/// Of an address that means something on one interface only, and of which nobody says on
/// which, nothing can be said: it counts as there. So does one that became the node's own: its
/// session is then down by the change's doing, not for a neighbour that is away.
pub(super) fn answers_at(address: IpAddr, vrf: &str, interface: Option<&str>) -> bool {
    let bound = Bound::of(ONE);
    let is_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    match interface {
        Some(interface) if is_local => echo::answers(address, Some(interface), bound),
        None if is_local => true,
        _ => echo::answers(address, (vrf != DEFAULT).then_some(vrf), bound),
    }
}

/// `show bgp vrf all summary json`: VRFs, address families, neighbours. One that is in several
/// families has one session.
fn bgp(found: Option<BTreeMap<String, serde_json::Value>>) -> Vec<Neighbour> {
    #[derive(Deserialize)]
    struct Family {
        peers: BTreeMap<String, Peer>,
    }
    #[derive(Deserialize)]
    struct Peer {
        state: String,
    }
    let mut neighbours: BTreeMap<Session, bool> = BTreeMap::new();
    for (vrf, families) in found.into_iter().flatten() {
        let serde_json::Value::Object(families) = families else { continue };
        // What is said of the VRF itself is no family.
        let families =
            families.into_iter().filter_map(|(_, found)| Family::deserialize(found).ok());
        for (peer, Peer { state }) in families.flat_map(|family| family.peers) {
            let session = Session { protocol: Protocol::Bgp, vrf: vrf.clone(), peer };
            neighbours.insert(session, state == "Established");
        }
    }
    let neighbour = |(session, is_up)| Neighbour { session, is_up, interface: None };
    neighbours.into_iter().map(neighbour).collect()
}

/// A session of `show bfd peers json`.
#[derive(Deserialize)]
struct BfdPeer {
    peer: String,
    #[serde(default = "default_vrf")]
    vrf: String,
    interface: Option<String>,
    status: String,
}

fn default_vrf() -> String {
    DEFAULT.to_owned()
}

fn bfd(found: Option<Vec<BfdPeer>>) -> Vec<Neighbour> {
    let neighbour = |BfdPeer { peer, vrf, interface, status }| Neighbour {
        session: Session { protocol: Protocol::Bfd, vrf, peer },
        is_up: status == "up",
        interface,
    };
    found.into_iter().flatten().map(neighbour).collect()
}

/// Of one VRF of `show ip ospf vrf all neighbor json`.
#[derive(Deserialize)]
struct OspfVrf {
    #[serde(default)]
    neighbors: BTreeMap<String, Vec<OspfNeighbour>>,
}

#[derive(Deserialize)]
struct OspfNeighbour {
    /// Such as `Full/DR`.
    #[serde(rename = "nbrState")]
    state: String,
    /// The interface and its address: `eth1:192.0.2.1`.
    #[serde(rename = "ifaceName")]
    interface: String,
}

fn ospf(found: BTreeMap<String, OspfVrf>) -> Found {
    let mut signs = Found::new();
    for (vrf, OspfVrf { neighbors }) in found {
        for OspfNeighbour { state, interface } in neighbors.into_values().flatten() {
            let (interface, _) = interface.rsplit_once(':').unwrap_or((&interface, ""));
            // Two of many on a wire that lead nothing stay there (RFC 2328 §10.4).
            let is_up = state.starts_with("Full") || state.starts_with("2-Way");
            signs.push(behind(Protocol::Ospf, &vrf, interface, is_up));
        }
    }
    signs
}

/// `show isis neighbor json`, and that of OpenFabric, which comes of it.
#[derive(Deserialize)]
struct Isis {
    #[serde(default)]
    areas: Vec<Area>,
}

#[derive(Deserialize)]
struct Area {
    #[serde(default)]
    circuits: Vec<Circuit>,
}

/// One without neighbours has a number and nothing else.
#[derive(Deserialize)]
struct Circuit {
    interface: Option<String>,
    state: Option<String>,
}

fn isis(protocol: Protocol, found: Isis) -> Found {
    let circuits = found.areas.into_iter().flat_map(|area| area.circuits);
    let sign = |Circuit { interface, state }| {
        Some(behind(protocol, DEFAULT, &interface?, state.as_deref() == Some("Up")))
    };
    circuits.filter_map(sign).collect()
}

fn behind(protocol: Protocol, vrf: &str, interface: &str, is_up: bool) -> (Sign, Health) {
    let session = Session { protocol, vrf: vrf.to_owned(), peer: interface.to_owned() };
    (Sign::Session(session), if is_up { Health::Up } else { Health::Down })
}

/// Whoever was behind an interface without carrier is away. A daemon forgets such an
/// interface, so that nothing else would say it.
fn with_idle(protocol: Protocol, mut found: Found, idle: &[String]) -> Found {
    let away = |interface: &String| (behind(protocol, DEFAULT, interface, false).0, Health::Away);
    found.retain(|(sign, health)| {
        *health == Health::Up || !idle.iter().any(|interface| away(interface).0 == *sign)
    });
    found.extend(idle.iter().map(away));
    found
}

/// `show evpn vni json`, by number.
fn vnis(found: Option<BTreeMap<String, serde_json::Value>>) -> Found {
    let numbers = found.into_iter().flatten().filter_map(|(number, _)| number.parse().ok());
    numbers.map(|number| (Sign::Vni(number), Health::Up)).collect()
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::{Answer, Found, bfd, bgp, isis, ospf, vnis, with_idle};
    use crate::plan::{Health, Protocol};

    fn read<T: DeserializeOwned>(text: &str) -> T {
        serde_json::from_str(text).expect("FRR's own answer is read")
    }

    fn said(found: &Found) -> Vec<String> {
        found.iter().map(|(sign, health)| format!("{sign}: {health:?}")).collect()
    }

    #[test]
    fn what_says_nothing_is_no_answer_that_there_is_none() {
        let read = |text: &str| super::read::<serde_json::Value>(text.as_bytes());
        assert_eq!(read("\n"), Some(Answer::Nothing));
        assert_eq!(read("% BGP instance not found\n"), Some(Answer::Nothing));
        assert_eq!(read("{}\n"), Some(Answer::Said(serde_json::json!({}))));
        for unreadable in ["{", "Exiting: failed to connect to any daemons.\n", "show bgp"] {
            assert_eq!(read(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn neighbours_of_bgp_are_read_once() {
        let said = |text| -> Vec<String> {
            bgp(read(text)).iter().map(|n| format!("{}: {}", n.session, n.is_up)).collect()
        };
        let peers = ["10.0.0.2", "10.0.0.77", "a1", "fd00::2"];
        let with = |up: [bool; 4]| -> Vec<String> {
            peers.iter().zip(up).map(|(peer, up)| format!("BGP with `{peer}`: {up}")).collect()
        };
        assert_eq!(said(include_str!("samples/bgp.json")), with([true, false, true, true]));
        assert_eq!(said(include_str!("samples/bgp-down.json"))[0], "BGP with `10.0.0.2`: false");
        assert!(said("{}").is_empty());
        assert!(said(r#"{"red":{"vrfId":9,"warning":"none"},"blue":7}"#).is_empty());
    }

    #[test]
    fn sessions_of_bfd_are_read() {
        let said = |text| -> Vec<String> {
            let found = bfd(read(text)).into_iter();
            found.map(|n| format!("{} {:?}: {}", n.session, n.interface, n.is_up)).collect()
        };
        assert_eq!(
            said(include_str!("samples/bfd.json")),
            ["BFD with `10.0.0.2` Some(\"a1\"): true", "BFD with `10.0.0.77` None: false"]
        );
        assert_eq!(
            said(include_str!("samples/bfd-down.json"))[0],
            "BFD with `10.0.0.2` Some(\"a1\"): false"
        );
    }

    #[test]
    fn neighbours_of_interior_protocols_are_behind_interfaces() {
        let text = include_str!("samples/ospf.json");
        assert_eq!(said(&ospf(read(text))), ["OSPF with `b1`: Up"]);
        let text = text.replace("\"Full/DR\"", "\"Init/DROther\"");
        assert_eq!(said(&ospf(read(&text))), ["OSPF with `b1`: Down"]);
        let red = text.replace("default", "red").replace("Init", "2-Way");
        assert_eq!(said(&ospf(read(&red))), ["OSPF with `b1` in VRF `red`: Up"]);
        let text = include_str!("samples/isis.json");
        assert_eq!(said(&isis(Protocol::Isis, read(text))), ["IS-IS with `c1`: Up"]);
        let text = include_str!("samples/fabric.json");
        assert_eq!(said(&isis(Protocol::OpenFabric, read(text))), ["OpenFabric with `d1`: Up"]);
        let text = include_str!("samples/isis-down.json");
        assert!(said(&isis(Protocol::Isis, read(text))).is_empty());
        assert!(said(&isis(Protocol::Isis, read("{}"))).is_empty());
    }

    #[test]
    fn what_is_behind_an_interface_without_carrier_is_away() {
        let found = |state: &str| {
            let text = include_str!("samples/isis.json").replace("\"Up\"", &format!("\"{state}\""));
            isis(Protocol::Isis, read(&text))
        };
        let idle = ["c1".to_owned(), "c9".to_owned()];
        assert_eq!(
            said(&with_idle(Protocol::Isis, found("Down"), &idle)),
            ["IS-IS with `c1`: Away", "IS-IS with `c9`: Away"]
        );
        let mut signs = crate::plan::Signs::new();
        super::super::add(&mut signs, with_idle(Protocol::Isis, found("Up"), &idle));
        assert!(signs.values().copied().eq([Health::Up, Health::Away]));
    }

    #[test]
    fn vnis_are_named_by_number() {
        assert_eq!(said(&vnis(read(include_str!("samples/vni.json")))), ["VNI 11000 of FRR: Up"]);
        assert!(said(&vnis(read("{}"))).is_empty());
    }
}

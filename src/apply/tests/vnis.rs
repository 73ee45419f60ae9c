//! FRR gives the VNI of a VRF up before the kernel loses an interface of it, whichever way a
//! change goes and wherever it stops.

use std::collections::BTreeSet;

use super::services::{of_commit, of_generation};
use super::{apply, assert_at_rest, rendering};
use crate::apply::{Authority, Outcome, Recovery, correct, recover, restore};
use crate::host::fake::{Fake, Fault, Restart};
use crate::plan::Engine;
use crate::render::{Managed, Rendering};

const STANZA: &str = "\nauto va\niface va\n\tbridge_ports none\n";
const BGP: &str = "router bgp 65000\n neighbor 192.0.2.1 remote-as 65000\nexit\n";
const LAST: &str = "restart dnsmasq@zone";

/// What FRR says of a VRF's VNI.
fn statement(vni: u32) -> String {
    format!("vrf vrf_one\n vni {vni}\nexit-vrf\n")
}

fn without() -> Rendering {
    let mut without = rendering(Some(STANZA));
    without.files.insert(Managed::Frr, BGP.to_owned());
    without
}

/// A zone with a VRF and its VNI, and something that comes after FRR.
fn zone(vni: u32) -> Rendering {
    let mut zone = rendering(Some(&format!(
        "{STANZA}\nauto vrf_one\niface vrf_one\n\tvrf-table auto\n\
         \nauto vrfbr_one\niface vrfbr_one\n\tbridge-ports vrfvx_one\n\tbridge_stp off\n\tbridge_fd 0\n\tvrf vrf_one\n\
         \nauto vrfvx_one\niface vrfvx_one\n\tvxlan-id {vni}\n\tvxlan-local-tunnelip 192.0.2.7\n"
    )));
    let dnsmasq = Managed::DnsmasqZone("zone".parse().expect("a zone"));
    zone.files
        .extend([(Managed::Frr, statement(vni) + BGP), (dnsmasq, format!("no-hosts\n# {vni}\n"))]);
    zone
}

#[track_caller]
fn confirmed(host: &Fake, authority: Authority) {
    let outcome = apply(host, authority).expect("it works");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
}

/// A node that ran nothing of the zone, and then these VNIs of it.
fn node(engine: Engine, vnis: &[u32]) -> Fake {
    let host = Fake::default();
    host.set_live();
    host.with_network(|network| network.engine = engine);
    host.start_services();
    confirmed(&host, of_commit(&host, 1, without()));
    for (sequence, vni) in (2..).zip(vnis) {
        confirmed(&host, of_commit(&host, sequence, zone(*vni)));
    }
    host
}

/// The VNI that FRR gives to the VRF, and that the kernel has of it.
fn has(host: &Fake) -> (Option<u32>, Option<u32>) {
    let runs = host.runs();
    let vni = [10, 20].into_iter().find(|vni| {
        // As it is shown to people.
        runs.contains(&statement(*vni).replace('\n', "\\n"))
    });
    let links = host.with_network(|network| network.kernel().links.clone());
    let tunnel = links.get("vrfvx_one").and_then(|link| link.tunnel.as_ref());
    (vni, tunnel.map(|tunnel| tunnel.id))
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

type Act = fn(&Fake) -> Authority;

/// Changes after which FRR has another VNI of a VRF or none, and what it has then.
fn changes(engine: Engine) -> Vec<(&'static str, Fake, Act, Option<u32>)> {
    vec![
        ("a zone comes", node(engine, &[]), |host| of_commit(host, 9, zone(10)), Some(10)),
        ("a zone goes", node(engine, &[10]), |host| of_commit(host, 9, without()), None),
        ("another VNI", node(engine, &[10]), |host| of_commit(host, 9, zone(20)), Some(20)),
        ("what was before", node(engine, &[10]), |host| of_generation(host, 1), None),
        ("the VNI before", node(engine, &[10, 20]), |host| of_generation(host, 2), Some(10)),
    ]
}

#[test]
fn frr_has_the_vni_of_what_runs() {
    for engine in Engine::ALL {
        for (what, host, act, vni) in changes(*engine) {
            confirmed(&host, act(&host));
            assert_eq!((has(&host), host.dangling()), ((vni, vni), none()), "{engine:?}: {what}");
            assert_at_rest(&host);
        }
    }
}

/// The last step fails, so that FRR and the kernel have all that is new when the way back begins.
#[test]
fn a_way_back_lets_frr_give_up_first_what_it_takes_away() {
    for engine in Engine::ALL {
        for (what, host, act, new) in changes(*engine) {
            let old = has(&host);
            let authority = act(&host);
            host.set_failing(LAST);
            let outcome = apply(&host, authority).expect("it begins");
            if new.is_some() {
                assert!(matches!(outcome, Outcome::RolledBack { .. }), "{what}: {outcome:?}");
                assert_eq!(has(&host), old, "{engine:?}: {what}");
            }
            assert_eq!(host.dangling(), none(), "{engine:?}: {what}");
        }
    }
}

#[test]
fn wherever_it_stops_frr_gave_up_first_what_goes() {
    for engine in Engine::ALL {
        for (what, start, act, new) in changes(*engine) {
            let ends = [has(&start), (new, new)];
            let (mut old, mut done) = (0, 0);
            for step in 0.. {
                let host = start.copy();
                let authority = act(&host);
                host.set_faults(&[(step, Fault::Die)]);
                let _ = apply(&host, authority);
                if !host.fired() {
                    break;
                }
                host.restart(Restart::Process);
                let recovery = recover(&host).expect("the journal is sound");
                let what = format!("{engine:?}: {what}, killed at {step}");
                assert!(!matches!(recovery, Recovery::Degraded { .. }), "{what}: {recovery:?}");
                assert_eq!(host.dangling(), none(), "{what}");
                assert!(ends.contains(&has(&host)), "{what}: {:?}", has(&host));
                if has(&host) == ends[1] { done += 1 } else { old += 1 }
            }
            assert!(old > 20 && done > 0, "{engine:?}: {what}: {old} old, {done} new");
        }
    }
}

/// FRR's file is as it was, and what FRR gave up comes back with its reload.
#[test]
fn an_interface_that_somebody_took_away_comes_back_with_its_vni() {
    for engine in Engine::ALL {
        for name in ["vrfbr_one", "vrfvx_one"] {
            let host = node(*engine, &[10]);
            host.with_network(|network| network.delete(&name.parse().expect("a name")));
            let outcome = correct(&host, 2).expect("it works");
            let Outcome::Confirmed { running } = outcome else { panic!("{outcome:?}") };
            let steps = running.record.steps;
            let place = |words: &str| steps.iter().position(|step| step == words);
            assert_eq!(place("let FRR give up the VNI of vrf_one"), Some(0), "{steps:?}");
            assert_eq!(place("reload FRR"), Some(steps.len() - 1), "{steps:?}");
            assert_eq!((has(&host), host.dangling()), ((Some(10), Some(10)), none()), "{name}");
            // Nothing is left to do.
            let outcome = restore(&host, 2).expect("it works");
            assert!(matches!(outcome, Outcome::Unchanged { .. }), "{outcome:?}");
        }
    }
}

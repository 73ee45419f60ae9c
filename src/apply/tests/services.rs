//! Files that come under management later than others, and the services that read them:
//! whatever happens and wherever it stops, both are old or new, and what was there before
//! weft comes back.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::{apply, assert_at_rest, commit, node, rendering};
use crate::apply::{
    ApplyError, Authority, Failure, Outcome, Recovery, Restored, correct, recover, recover_at_boot,
    restore,
};
use crate::host::Host as _;
use crate::host::fake::{Fake, Fault, REFUSED, Restart};
use crate::plan::{self, Found, Owned, Plan, Question, Sign, services_target};
use crate::render::{Managed, Rendering};
use crate::sync::Verified;

const STANZA: &str = "\nauto va\niface va\n\tbridge_ports none\n";
const OTHERS: &str = "router bgp 64999\n neighbor 192.0.2.9 remote-as 64999\nexit\n";
const BGP: &str = "router bgp 65000\n neighbor 192.0.2.1 remote-as 65000\nexit\n";
const CUSTOM: &str = "/etc/dnsmasq.d/zone/90-custom.conf";

fn of_zone(file: fn(crate::value::ZoneId) -> Managed) -> Managed {
    file("zone".parse().expect("a zone"))
}

fn vnet() -> Managed {
    Managed::DnsmasqVnet("zone".parse().expect("a zone"), "va".parse().expect("a vnet"))
}

/// Routing and DHCP beside the one file that was weft's from the beginning.
fn all(frr: &str) -> Rendering {
    let mut all = rendering(Some(STANZA));
    all.files.extend([
        (Managed::FrrDaemons, "bgpd=yes\nadministrator=here\n".to_owned()),
        (Managed::Frr, frr.to_owned()),
        (of_zone(Managed::DnsmasqBus), "<busconfig/>\n".to_owned()),
        (of_zone(Managed::DnsmasqOptions), "CONFIG_DIR\n".to_owned()),
        (of_zone(Managed::DnsmasqZone), "no-hosts\n".to_owned()),
        (vnet(), "interface=va\n".to_owned()),
    ]);
    all
}

pub(super) fn planned(host: &Fake, sequence: u8, wanted: Rendering) -> Plan {
    let owned = crate::apply::owned(host).expect("read").map(|manifest| Owned {
        files: manifest.files.iter().map(|(m, file)| (m.clone(), file.sha256)).collect(),
        interfaces: manifest.interfaces,
    });
    let engine = host.with_network(|network| network.engine);
    let mut found = Found { engine, ..Found::default() };
    for managed in wanted.files.keys().chain(owned.iter().flat_map(|owned| owned.files.keys())) {
        if let Some(file) = host.read(&managed.path(), 1 << 20).expect("read") {
            found.files.insert(managed.clone(), file.bytes);
        }
    }
    found.kernel = host.kernel(&Question::default()).expect("read").map(Into::into);
    let target = services_target(&wanted, &found);
    found.services = host.services(target.asks_frr(), &target.zones()).expect("read");
    let facts = host.facts(&node()).expect("read");
    plan::plan(wanted, facts, &found, owned.as_ref(), sequence.into()).adopting()
}

pub(super) fn of_commit(host: &Fake, sequence: u8, wanted: Rendering) -> Authority {
    let plan = planned(host, sequence, wanted);
    Authority::Commit(Box::new(Verified::for_test(plan, commit(sequence))))
}

pub(super) fn of_generation(host: &Fake, number: u64) -> Authority {
    Authority::Restored(Box::new(Restored::load(host, number).expect("it is there")))
}

fn go(host: &Fake, sequence: u8, wanted: Rendering) -> Result<Outcome, ApplyError> {
    apply(host, of_commit(host, sequence, wanted))
}

/// All that is not weft's own state: files, what runs, and the generation.
#[derive(Debug, PartialEq, Eq)]
struct State {
    files: BTreeMap<String, (String, u32)>,
    runs: String,
    generation: Option<u64>,
}

fn state(host: &Fake) -> State {
    let files = host.files().into_iter().filter(|(path, _)| path.starts_with("/etc"));
    let running = crate::apply::running(host).expect("read");
    State {
        files: files.map(|(path, file)| (path.to_string(), (file.text(), file.mode))).collect(),
        runs: host.runs(),
        generation: running.map(|entry| entry.record.generation.number),
    }
}

/// A node that weft runs one file of; others wrote a `frr.conf` and more.
fn start() -> Fake {
    let host = Fake::default();
    host.set_live();
    host.put("/etc/frr/frr.conf", OTHERS.as_bytes(), 0o600);
    host.put("/etc/frr/daemons", b"bgpd=no\nadministrator=here\n", 0o644);
    host.put(CUSTOM, b"# mine\n", 0o644);
    host.start_services();
    confirmed(go(&host, 1, rendering(Some(STANZA))));
    host
}

#[track_caller]
fn confirmed(result: Result<Outcome, ApplyError>) {
    let outcome = result.expect("it works");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
}

/// By what right something is done; what that is made from is read without faults.
type Act = fn(&Fake) -> Authority;

/// Adopted later, changed, given up again, and the ways back.
fn scenes() -> Vec<(&'static str, Fake, Act)> {
    let adopted = || {
        let host = start();
        confirmed(go(&host, 2, all(BGP)));
        host
    };
    let given_up = adopted();
    confirmed(go(&given_up, 3, rendering(Some(STANZA))));
    let older = adopted();
    confirmed(restore(&older, 1));
    vec![
        ("adopted", start(), |host| of_commit(host, 2, all(BGP))),
        ("changed", adopted(), |host| of_commit(host, 3, all("router bgp 65001\nexit\n"))),
        ("given up", adopted(), |host| of_commit(host, 3, rendering(Some(STANZA)))),
        ("an older generation", adopted(), |host| of_generation(host, 1)),
        ("what was found", adopted(), |host| of_generation(host, 0)),
        ("what was found, after all was given up", given_up, |host| of_generation(host, 0)),
        ("a later generation again", older, |host| of_generation(host, 2)),
    ]
}

#[test]
fn what_was_there_before_comes_back() {
    let host = start();
    let before = state(&host);
    confirmed(go(&host, 2, all(BGP)));
    let runs = host.runs();
    assert!(runs.contains("router bgp 65000") && runs.contains("no-hosts"), "{runs}");
    // Of two that listen on one port the other one goes.
    assert!(runs.ends_with("false"), "{runs}");
    let manifest = crate::apply::owned(&host).expect("read").expect("weft's");
    assert_eq!(manifest.before[&Managed::Frr].map(|file| file.mode), Some(0o600));
    assert_eq!(manifest.before[&vnet()], None);
    // Whatever happens in between, and however long ago it was.
    for sequence in 3..30 {
        confirmed(go(&host, sequence, all(&format!("router bgp {sequence}\nexit\n"))));
    }
    confirmed(go(&host, 30, rendering(Some(STANZA))));
    assert!(!host.files().contains_key(camino::Utf8Path::new("/etc/frr/frr.conf")));
    confirmed(go(&host, 31, all(BGP)));
    confirmed(restore(&host, 0));
    let after = state(&host);
    let files = |state: &State| {
        let mut files = state.files.clone();
        // Of the administrator's file nothing is taken back, and the first one is weft's.
        files.remove("/etc/frr/daemons");
        files.remove("/etc/network/interfaces.d/sdn");
        files
    };
    assert_eq!(files(&after), files(&before));
    assert!(after.runs.contains("64999") && !after.runs.contains("no-hosts"), "{}", after.runs);
    assert_at_rest(&host);
}

#[test]
fn the_files_of_others_stay() {
    let host = start();
    confirmed(go(&host, 2, all(BGP)));
    let daemons = "/etc/frr/daemons";
    let text = |path: &str| host.files()[camino::Utf8Path::new(path)].text();
    assert_eq!(text(daemons), "bgpd=yes\nadministrator=here\n");
    host.put(daemons, b"bgpd=yes\nadministrator=there\n", 0o644);
    host.put("/etc/dnsmasq.d/zone/10-other.conf", b"# theirs\n", 0o644);
    confirmed(go(&host, 3, rendering(Some(STANZA))));
    assert_eq!(text(daemons), "bgpd=yes\nadministrator=there\n");
    assert_eq!(text(CUSTOM), "# mine\n");
    assert_eq!(text("/etc/dnsmasq.d/zone/10-other.conf"), "# theirs\n");
    let left: Vec<_> =
        host.files().into_keys().filter(|p| p.starts_with("/etc/dnsmasq.d")).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_at_rest(&host);
}

#[test]
fn what_changed_while_nobody_kept_it_is_not_replaced() {
    let host = start();
    confirmed(go(&host, 2, all(BGP)));
    confirmed(restore(&host, 1));
    host.put("/etc/frr/frr.conf", b"router bgp 7\n", 0o600);
    let before = state(&host);
    let error = restore(&host, 2).expect_err("nobody kept that");
    assert!(error.to_string().contains("`/etc/frr/frr.conf` is not weft's now"), "{error}");
    assert_eq!(state(&host), before);
    confirmed(restore(&host, 0));
}

#[test]
fn what_a_program_would_refuse_changes_nothing() {
    let host = start();
    let before = state(&host);
    let error = go(&host, 2, all(REFUSED)).expect_err("FRR would refuse it");
    assert!(error.to_string().contains("/etc/frr/frr.conf"), "{error}");
    let wrong = rendering(Some(&format!("{STANZA}\t{REFUSED}\n")));
    let error = go(&host, 2, wrong).expect_err("ifupdown2 would refuse it");
    assert!(error.to_string().contains("/etc/network/interfaces.d/sdn"), "{error}");
    assert_eq!(state(&host), before);
    assert_at_rest(&host);
}

#[test]
fn a_service_that_fails_or_lies_is_rolled_back() {
    let restart = "restart FRR: all its sessions drop and its routes with them";
    for step in ["stop and disable dnsmasq.service", "restart dnsmasq@zone", restart] {
        for lies in [false, true] {
            let host = start();
            let before = state(&host);
            if lies {
                host.set_lying(step);
            } else {
                host.set_failing(step);
            }
            let outcome = go(&host, 2, all(BGP)).expect("it is rolled back");
            let failure = match outcome {
                Outcome::RolledBack { failure, .. } => failure,
                other => panic!("{step}: {other:?}"),
            };
            assert_eq!(matches!(failure, Failure::Kernel(_)), lies, "{step}: {failure}");
            let after = state(&host);
            assert_eq!((&after.files, after.generation), (&before.files, before.generation));
            // One that cannot be restarted still runs what it ran.
            assert!(after.runs.contains("64999"), "{step}: {}", after.runs);
            assert_at_rest(&host);
        }
    }
}

/// FRR takes the rest of what it dropped when it began, and one that never does is gone back from.
#[test]
fn what_frr_drops_when_it_begins_it_gets_again() {
    let tenant = &format!("{BGP}vrf vrf_z\n vni 10000\nexit-vrf\n");
    let dropping = |line: &str| {
        let host = start();
        host.set_dropped(line);
        host
    };
    for line in [" vni 10000", "vrf vrf_z"] {
        let host = dropping(line);
        confirmed(go(&host, 2, all(tenant)));
        assert!(host.runs().contains(r"vrf vrf_z\n vni 10000"), "{}", host.runs());
        assert_at_rest(&host);
    }

    let host = dropping(" vni 10000");
    host.set_lying("reload FRR");
    let before = state(&host);
    let outcome = go(&host, 2, all(tenant)).expect("it is rolled back");
    let Outcome::RolledBack { failure, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(failure.to_string().contains("`FRR` has no `vrf vrf_z > vni 10000`"), "{failure}");
    assert_eq!(state(&host), before);
    // What has no daemon takes nothing: its file is not given to FRR again.
    let host = dropping("router bgp 65000");
    let outcome = go(&host, 2, all(BGP)).expect("it is rolled back");
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_at_rest(&host);
}

/// What a change disabled would not come up by itself any more: files alone undo nothing of
/// that.
#[test]
fn services_that_a_change_stopped_are_enabled_again_after_a_restart() {
    let host = start();
    for (before, after) in
        [(all(BGP), rendering(Some(STANZA))), (rendering(Some(STANZA)), all(BGP))]
    {
        let host = host.copy();
        go(&host, 2, before).expect("it works");
        let old = state(&host);
        host.set_signs(&[Sign::Remote("origin".parse().expect("a name"))]);
        let outcome = go(&host, 3, after).expect("its window opens");
        assert!(matches!(outcome, Outcome::Open { .. }), "{outcome:?}");
        assert_ne!(state(&host).runs, old.runs);
        host.restart(Restart::Power);
        let restored = recover_at_boot(&host).expect("the journal is sound");
        assert!(matches!(restored, Recovery::Restored { .. }), "{restored:?}");
        assert_eq!(state(&host).files, old.files);
        let recovery = recover(&host).expect("the journal is sound");
        assert!(matches!(recovery, Recovery::RolledBack { .. }), "{recovery:?}");
        assert_eq!(state(&host), old);
        assert_at_rest(&host);
    }
}

/// An FRR that hangs is not one that does not run: it is neither started nor emptied, and
/// what it might have taken is no excuse later.
#[test]
fn with_an_frr_that_hangs_nothing_begins() {
    let host = start();
    confirmed(go(&host, 2, all(BGP)));
    host.silence_frr();
    let before = state(&host);
    for wanted in [all("router bgp 65001\nexit\n"), rendering(Some(STANZA))] {
        let error = go(&host, 3, wanted).expect_err("FRR would not take it");
        assert_eq!(error.code(), "frr-silent", "{error}");
    }
    assert_eq!(state(&host), before);
    // What has nothing to do with it goes on.
    let mut other = all(BGP);
    other.files.insert(vnet(), "interface=va\n# more\n".to_owned());
    confirmed(go(&host, 3, other));
    let drift = crate::apply::drift(&host).expect("read").expect("weft runs it");
    let told: Vec<String> = drift.daemons.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["`FRR` runs and does not answer"]);
    // Nor is it started anew to undo what somebody changed.
    host.put("/etc/frr/frr.conf", b"router bgp 7\n", 0o640);
    let error = correct(&host, 3).expect_err("FRR would not take it");
    assert_eq!(error.code(), "frr-silent", "{error}");
    // Nobody is kept from going back: then it is started anew.
    confirmed(restore(&host, 1));
    assert!(host.runs().starts_with("Runs(\"router bgp 64999"), "{}", host.runs());
    assert_at_rest(&host);
}

#[test]
fn killed_at_every_step_files_and_services_are_old_or_new() {
    for how in [Restart::Process, Restart::Power] {
        for (name, start, act) in scenes() {
            let done = start.copy();
            apply(&done, act(&done)).expect("it works without faults");
            let ends = [state(&start), state(&done)];
            let (mut old, mut new) = (0, 0);
            for step in 0.. {
                let host = start.copy();
                let authority = act(&host);
                host.set_faults(&[(step, Fault::Die)]);
                let _ = apply(&host, authority);
                if !host.fired() {
                    break;
                }
                host.restart(how);
                let recovery = recover(&host).expect("the journal is sound");
                let what = format!("{name}, {how:?} lost at step {step}");
                assert!(!matches!(recovery, Recovery::Degraded { .. }), "{what}: {recovery:?}");
                assert_at_rest(&host);
                let now = state(&host);
                assert!(
                    ends.contains(&now),
                    "{what}: neither old nor new: {now:#?}\n{:#?}",
                    ends[0]
                );
                if now == ends[1] {
                    new += 1;
                } else {
                    old += 1;
                }
                apply(&host, act(&host)).unwrap_or_else(|e| panic!("{what}, again: {e}"));
                assert_eq!(state(&host).files, ends[1].files, "{what}, again");
            }
            println!("{name}, {how:?}: {old} old, {new} new");
            assert!(old > 30 && new > 0, "{name}: {old} old, {new} new");
        }
    }
}

#[test]
fn refused_at_every_step_files_and_services_are_old_or_new_at_once() {
    for (name, start, act) in scenes() {
        let done = start.copy();
        apply(&done, act(&done)).expect("it works without faults");
        let ends = [state(&start), state(&done)];
        for step in 0.. {
            let host = start.copy();
            let authority = act(&host);
            host.set_faults(&[(step, Fault::Fail(ErrorKind::StorageFull))]);
            let result = apply(&host, authority);
            if !host.fired() {
                break;
            }
            let what = format!("{name} at step {step}: {result:?}");
            let end = match &result {
                Ok(Outcome::Confirmed { .. } | Outcome::Unchanged { .. }) => &ends[1],
                Ok(Outcome::RolledBack { .. }) | Err(_) => &ends[0],
                Ok(Outcome::Degraded { .. } | Outcome::Open { .. }) => panic!("{what}"),
            };
            assert_eq!(&state(&host), end, "{what}");
        }
    }
}

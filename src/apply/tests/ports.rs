//! Ports of guests: what a generation says of them they get, whenever they come.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::{apply, assert_at_rest, commit, node, rendering};
use crate::apply::journal::{self, State};
use crate::apply::{Authority, Failure, Outcome, drift, lacking_ports, restore, set_ports};
use crate::host::Host;
use crate::host::fake::{Fake, Fault};
use crate::plan::{self, Found, NetworkStep, Owned, Plan, Stations, Step, Target, target};
use crate::render::Managed;
use crate::sync::Verified;

const BRIDGES: &str = "\nauto va\niface va\n\tbridge_ports none\n\
    \nauto vb\niface vb\n\tbridge_ports none\n";
const ISOLATED: &str = "va isolated\n";
const FIXED: &str = "vb static-macs\n";

fn planned(host: &Fake, sequence: u8, ports: &str) -> Plan {
    let mut wanted = rendering(Some(BRIDGES));
    wanted.files.extend((!ports.is_empty()).then(|| (Managed::Ports, ports.to_owned())));
    let mut found = Found::default();
    for managed in [Managed::Interfaces, Managed::Ports] {
        if let Some(file) = host.read(&managed.path(), 1 << 20).expect("read") {
            found.files.insert(managed, file.bytes);
        }
    }
    found.kernel = host.kernel_for(&target(&wanted, &found)).expect("read").map(Into::into);
    let owned = crate::apply::owned(host).expect("read").map(|manifest| Owned {
        files: manifest.files.iter().map(|(m, file)| (m.clone(), file.sha256)).collect(),
        interfaces: manifest.interfaces,
    });
    let facts = host.facts(&node()).expect("read");
    plan::plan(wanted, facts, &found, owned.as_ref(), sequence.into())
}

fn go(host: &Fake, sequence: u8, ports: &str) -> Outcome {
    let plan = planned(host, sequence, ports);
    assert!(plan.guards.is_empty(), "{:?}", plan.guards);
    let plan = Verified::for_test(plan, commit(sequence));
    apply(host, Authority::Commit(Box::new(plan))).expect("it works")
}

/// Plugs a guest in, whose port has what the kernel gives to every new one.
fn plug(host: &Fake, port: &str, bridge: &str) {
    host.with_network(|network| {
        network.add_guest(port, bridge);
        let link = network.kernel().links.get_mut(port).expect("there");
        let flags = [("isolated", false), ("learning", true), ("flood", true)];
        link.flags = flags.into();
    });
}

fn flags(host: &Fake, port: &str) -> BTreeMap<&'static str, bool> {
    host.with_network(|network| network.kernel().links[port].flags.clone())
}

fn is_isolated(host: &Fake, port: &str) -> bool {
    flags(host, port)["isolated"]
}

fn scene(ports: &str) -> Fake {
    let host = Fake::default();
    host.set_live();
    let outcome = go(&host, 1, ports);
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    host
}

fn lacking(host: &Fake) -> Vec<String> {
    lacking_ports(host).expect("read").iter().map(ToString::to_string).collect()
}

#[test]
fn a_guest_that_comes_later_gets_what_is_declared() {
    let host = scene(ISOLATED);
    plug(&host, "tap1i0", "va");
    plug(&host, "tap2i0", "vb");
    assert_eq!(lacking(&host), ["`tap1i0` of a guest on `va` is not isolated"]);
    // It is nobody's drift.
    let found = drift(&host).expect("read").expect("something runs");
    assert!(found.kernel.is_empty() && found.files.is_empty(), "{found:?}");
    assert!(set_ports(&host, &mut String::new()).expect("it works"));
    assert!(is_isolated(&host, "tap1i0") && !is_isolated(&host, "tap2i0"));
    assert_eq!(lacking(&host), Vec::<String>::new());
    assert!(planned(&host, 1, ISOLATED).steps.is_empty());
    assert_at_rest(&host);
}

#[test]
fn ports_change_with_the_generation_and_go_back_with_it() {
    let host = scene("");
    plug(&host, "tap1i0", "va");
    let plan = planned(&host, 2, ISOLATED);
    let flags = [("isolated".to_owned(), true)].into();
    let step = NetworkStep::SetPortFlags { port: "tap1i0".to_owned(), flags };
    assert!(plan.steps.contains(&Step::Network(step)), "{:?}", plan.steps);
    let outcome = go(&host, 2, ISOLATED);
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert!(is_isolated(&host, "tap1i0"));
    // One that came after the change goes back too.
    plug(&host, "tap2i0", "va");
    set_ports(&host, &mut String::new()).expect("it works");
    assert!(is_isolated(&host, "tap2i0"));
    let outcome = restore(&host, 1).expect("it works");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    assert!(!is_isolated(&host, "tap1i0") && !is_isolated(&host, "tap2i0"));
    assert!(!host.files().contains_key(&Managed::Ports.path()));
    assert_at_rest(&host);
}

#[test]
fn a_change_that_fails_leaves_ports_as_they_were() {
    let host = scene("");
    plug(&host, "tap1i0", "va");
    host.with_network(|network| network.set_lies(&["va", "vb"]));
    let mut plan = planned(&host, 2, ISOLATED);
    let text = BRIDGES.replace("\tbridge_ports none\n", "\tbridge_ports none\n\tmtu 1400\n");
    let ports = &plan.rendering.files[&Managed::Ports];
    plan.target = Target::between(&[BRIDGES], &text).with_ports(&[""], ports).into();
    plan.rendering.files.insert(Managed::Interfaces, text);
    let bytes = plan.rendering.bytes(&Managed::Interfaces, 2).expect("there");
    let at = plan.steps.iter().position(|step| step.managed().is_some()).expect("there");
    plan.steps.insert(at, Step::Write { managed: Managed::Interfaces, bytes });
    let plan = Verified::for_test(plan, commit(2));
    let outcome = apply(&host, Authority::Commit(Box::new(plan))).expect("it begins");
    let Outcome::RolledBack { failure: Failure::Kernel(unmet), .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(unmet.to_string().contains("MTU"), "{unmet}");
    assert!(!is_isolated(&host, "tap1i0"));
    assert_at_rest(&host);
}

#[test]
fn ports_that_are_looked_at_beside_an_apply_are_looked_at_again() {
    let host = scene(ISOLATED);
    plug(&host, "tap1i0", "va");
    // As if an apply began: its entry is there, and it did not come to its end.
    let mut entry = journal::newest(&host, |_, _| true).expect("read").expect("there");
    entry.record.number += 1;
    entry.state = State::Intent;
    entry.write(&host).expect("written");
    let mut before = String::new();
    assert!(!set_ports(&host, &mut before).expect("it works"));
    assert!(!is_isolated(&host, "tap1i0") && lacking(&host).is_empty() && before.is_empty());
    host.take(entry.path().as_str());
    assert!(set_ports(&host, &mut before).expect("it works"));
    assert!(is_isolated(&host, "tap1i0") && before.is_empty());
    // What was set too late by what was declared before is taken back.
    go(&host, 2, "");
    host.with_network(|network| {
        let link = network.kernel().links.get_mut("tap1i0").expect("there");
        link.flags.insert("isolated", true);
    });
    let mut before = ISOLATED.to_owned();
    assert!(set_ports(&host, &mut before).expect("it works"));
    assert!(!is_isolated(&host, "tap1i0") && before.is_empty());
}

#[test]
fn what_was_set_before_a_failure_is_known_to_the_next_try() {
    let host = scene(ISOLATED);
    let mut kept = 0;
    for step in 0.. {
        plug(&host, "tap1i0", "va");
        host.set_faults(&[(step, Fault::Fail(ErrorKind::TimedOut))]);
        let mut before = String::new();
        let done = set_ports(&host, &mut before);
        let fired = host.fired();
        host.set_faults(&[]);
        assert!(done.is_err() || !fired || is_isolated(&host, "tap1i0"), "{step}");
        if done.is_err() && is_isolated(&host, "tap1i0") {
            // It was set, and an apply that came between declares otherwise.
            assert_eq!(before, ISOLATED, "{step}");
            kept += 1;
        }
        if !fired {
            assert!(kept > 0 && done.expect("it works"));
            return;
        }
    }
}

#[test]
fn a_port_learns_until_it_is_known_who_is_behind_it() {
    let host = scene(FIXED);
    plug(&host, "tap7i0", "vb");
    set_ports(&host, &mut String::new()).expect("it works");
    assert!(flags(&host, "tap7i0")["learning"]);
    assert_eq!(lacking(&host).len(), 1);
    let text = "net0: virtio=BC:24:11:00:00:07,bridge=vb\n";
    host.put("/etc/pve/qemu-server/7.conf", text.as_bytes(), 0o640);
    set_ports(&host, &mut String::new()).expect("it works");
    let found = flags(&host, "tap7i0");
    assert!(!found["learning"] && !found["flood"], "{found:?}");
    let stations = host.with_network(|network| network.kernel().stations["tap7i0"].clone());
    assert!(stations.fixed.keys().eq(["bc:24:11:00:00:07"]), "{stations:?}");
    assert_eq!(lacking(&host), Vec::<String>::new());
    let outcome = go(&host, 2, "");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    let found = flags(&host, "tap7i0");
    assert!(found["learning"] && found["flood"], "{found:?}");
    let stations = host.with_network(|network| network.kernel().stations["tap7i0"].clone());
    assert_eq!(stations, Stations::default());
}

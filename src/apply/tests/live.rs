//! A running network under the same faults: whatever happens and wherever it stops, the
//! kernel is old or new afterwards, and guests' ports are where they were.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::{SDN, apply, assert_at_rest, commit, node, rendering, sdn, seen};
use crate::apply::{
    ApplyError, Authority, BroughtUp, Failure, Outcome, Recovery, bring_up, recover, restore,
};
use crate::host::Host;
use crate::host::fake::{Fake, Fault, Restart};
use crate::plan::{self, Engine, Found, Kernel, Link, NetworkStep, Owned, Plan, Question, Step};
use crate::render::Managed;
use crate::sync::Verified;

const NAT: &str = "-t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1";

fn simple(name: &str, more: &str) -> String {
    format!("\nauto {name}\niface {name}\n{more}\tbridge_ports none\n\tbridge_stp off\n")
}

fn vxlan(name: &str, id: u32, mtu: u32) -> String {
    format!(
        "\nauto {name}\niface {name}\n\tbridge_ports vxlan_{name}\n\tmtu {mtu}\n\
         \nauto vxlan_{name}\niface vxlan_{name}\n\tvxlan-id {id}\n\tvxlan_remoteip 192.0.2.2\n\tmtu {mtu}\n"
    )
}

/// Two vnets with guests, source NAT and a tunnel.
fn first() -> String {
    let nat = format!("\taddress 10.0.0.1/24\n\tpost-up iptables {NAT}\n\tip-forward on\n");
    simple("va", &nat) + &vxlan("vb", 100, 1450)
}

/// The same network with another MTU, address and tunnel, a vnet less and one more.
fn second() -> String {
    simple("va", "\taddress 10.0.1.1/24\n\talias other\n")
        + &vxlan("vb", 101, 1400)
        + &simple("vd", "")
}

fn planned(host: &Fake, sequence: u8, text: &str) -> Plan {
    let mut found = Found::default();
    if let Some(file) = host.read(&Managed::Interfaces.path(), 1 << 20).expect("read") {
        found.files.insert(Managed::Interfaces, file.bytes);
    }
    found.engine = host.with_network(|network| network.engine);
    found.kernel = host.kernel(&Question::default()).expect("read").map(Into::into);
    let owned = crate::apply::owned(host).expect("read").map(|manifest| Owned {
        files: manifest.files.iter().map(|(m, file)| (m.clone(), file.sha256)).collect(),
        interfaces: manifest.interfaces,
    });
    let facts = host.facts(&node()).expect("read");
    plan::plan(rendering(Some(text)), facts, &found, owned.as_ref(), sequence.into())
}

fn go(host: &Fake, sequence: u8, text: &str) -> Result<Outcome, ApplyError> {
    let plan = planned(host, sequence, text);
    assert!(plan.guards.is_empty(), "{:?}", plan.guards);
    apply(host, Authority::Commit(Box::new(Verified::for_test(plan, commit(sequence)))))
}

/// A node that runs the first network, with a guest in each vnet.
fn scene(ejects: bool, engine: Engine) -> Fake {
    let host = Fake::default();
    host.set_live();
    host.with_network(|network| network.engine = engine);
    let outcome = go(&host, 1, &(first() + &simple("vc", ""))).expect("it works");
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
    host.with_network(|network| {
        network.set_ejects(ejects);
        network.add_guest("tap1i0", "va");
        network.add_guest("tap2i0", "vb");
        network.kernel().links.insert("eth0".to_owned(), Link::default());
    });
    host
}

/// What counts of a kernel, without numbers that mean nothing and without guests that a
/// power failure takes.
fn shape(host: &Fake, with_guests: bool) -> String {
    let Kernel { mut links, rules, routes, .. } =
        host.with_network(|network| network.kernel().clone());
    links.retain(|name, _| !name.starts_with("eth") && (with_guests || !name.starts_with("tap")));
    let links: BTreeMap<_, _> =
        links.into_iter().map(|(name, link)| (name, Link { index: 0, ..link })).collect();
    let rules: BTreeMap<_, _> = rules.into_iter().filter(|(_, rules)| !rules.is_empty()).collect();
    format!("{links:#?} {rules:#?} {routes:#?}")
}

fn confirmed_outcome(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
}

fn act(host: &Fake) -> Result<Outcome, ApplyError> {
    go(host, 2, &second())
}

#[test]
fn a_network_changes_with_its_guests_in_place_and_goes_back() {
    for (ejects, engine) in
        [(false, Engine::Ifupdown2), (true, Engine::Ifupdown2), (false, Engine::Native)]
    {
        let host = scene(ejects, engine);
        let before = shape(&host, true);
        let outcome = act(&host).expect("it works");
        assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
        let kernel = host.with_network(|network| network.kernel().clone());
        for (port, bridge) in [("tap1i0", "va"), ("tap2i0", "vb")] {
            let link = &kernel.links[port];
            assert_eq!((link.master.as_deref(), link.up), (Some(bridge), true), "{port}");
            assert!(link.flags["isolated"], "{port}: {link:?}");
        }
        assert_eq!(kernel.links["vxlan_vb"].tunnel.as_ref().map(|tunnel| tunnel.id), Some(101));
        assert_eq!(kernel.links["va"].alias.as_deref(), Some("other"));
        assert!(kernel.links["va"].forwards.is_empty() && !kernel.links.contains_key("vc"));
        assert!(kernel.rules.values().all(Vec::is_empty), "{:?}", kernel.rules);
        let outcome = restore(&host, 1).expect("it works");
        assert!(matches!(outcome, Outcome::Confirmed { .. }), "{outcome:?}");
        assert_eq!(shape(&host, true), before);
    }
}

#[test]
fn rules_are_there_once_however_often_they_were_added() {
    let host = scene(false, Engine::Ifupdown2);
    let copies = |host: &Fake| {
        host.with_network(|network| network.kernel().rules.values().map(Vec::len).sum::<usize>())
    };
    assert_eq!(copies(&host), 1);
    let with_mtu = |mtu: u32| {
        let nat = format!("\taddress 10.0.0.1/24\n\tpost-up iptables {NAT}\n\tmtu {mtu}\n");
        simple("va", &nat) + &vxlan("vb", 100, 1450)
    };
    for (sequence, mtu) in [(2, 1399), (3, 1398), (4, 1397)] {
        go(&host, sequence, &with_mtu(mtu))
            .map(|outcome| confirmed_outcome(&outcome))
            .expect("it works");
        assert_eq!(copies(&host), 1);
    }
    host.with_network(|network| {
        let rules = network.kernel().rules.values_mut().next().expect("a table");
        rules.extend(rules.clone());
        rules.extend(rules.clone());
    });
    assert_eq!(copies(&host), 4);
    let plan = planned(&host, 5, &with_mtu(1397));
    let removes = |step: &Step| matches!(step, Step::Network(NetworkStep::RemoveRule(_)));
    assert!(plan.steps.len() == 3 && plan.steps.iter().all(removes), "{:?}", plan.steps);
    go(&host, 5, &with_mtu(1397)).map(|outcome| confirmed_outcome(&outcome)).expect("it works");
    assert_eq!(copies(&host), 1);
}

#[test]
fn a_program_that_lies_is_found_out() {
    let host = scene(false, Engine::Ifupdown2);
    let (before, ran) = (shape(&host, true), seen(&host));
    host.with_network(|network| network.set_lies(&["vd"]));
    let outcome = act(&host).expect("it is rolled back");
    let Outcome::RolledBack { failure: failure @ Failure::Kernel(_), .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(failure.to_string().contains("`vd` is not there"), "{failure}");
    assert_eq!((shape(&host, true), seen(&host)), (before, ran));
    assert_at_rest(&host);
}

#[test]
fn what_was_broken_before_does_not_stop_the_way_back() {
    let host = scene(false, Engine::Ifupdown2);
    host.with_network(|network| {
        network.kernel().links.get_mut("vc").expect("there").mtu = 1234;
        network.set_lies(&["va", "vb", "vxlan_vb", "vc", "vd"]);
    });
    let with_mtu = first() + &simple("vc", "\tmtu 1500\n") + &simple("vd", "");
    let outcome = go(&host, 2, &with_mtu).expect("it is rolled back");
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
}

#[test]
fn killed_at_every_step_a_network_is_old_or_new() {
    use Engine::{Ifupdown2, Native};
    for (how, ejects, engine) in [
        (Restart::Process, true, Ifupdown2),
        (Restart::Process, false, Ifupdown2),
        (Restart::Power, true, Ifupdown2),
        (Restart::Process, false, Native),
        (Restart::Power, false, Native),
    ] {
        let guests = how == Restart::Process;
        let start = scene(ejects, engine);
        let done = start.copy();
        act(&done).expect("it works");
        let ends = [&start, &done].map(|host| (shape(host, guests), seen(host)));
        let (mut old, mut new) = (0, 0);
        for step in 0.. {
            let host = start.copy();
            // Planning is no part of an apply.
            let plan = planned(&host, 2, &second());
            host.set_faults(&[(step, Fault::Die)]);
            let authority = Authority::Commit(Box::new(Verified::for_test(plan, commit(2))));
            // Its result is that of a process that is dead.
            let _ = apply(&host, authority);
            if !host.fired() {
                break;
            }
            host.restart(how);
            let recovery = recover(&host).expect("the journal is sound");
            assert!(!matches!(recovery, Recovery::Degraded { .. }), "{how:?} {step}: {recovery:?}");
            assert_at_rest(&host);
            let now = (shape(&host, guests), seen(&host));
            assert!(
                ends.contains(&now),
                "{how:?} {step}: neither old nor new: {}\n{}",
                now.0,
                ends[0].0
            );
            if now == ends[1] {
                new += 1;
            } else {
                old += 1;
            }
            act(&host).expect("it works afterwards");
            assert_eq!(
                (shape(&host, guests), seen(&host).file),
                (ends[1].0.clone(), ends[1].1.file.clone())
            );
        }
        println!("{engine:?}, {how:?}, ejects {ejects}: {old} old, {new} new");
        assert!(old > 30 && new > 0, "{old} old, {new} new");
    }
}

#[test]
fn killed_at_every_step_of_a_recovery_a_network_is_old_or_new() {
    for engine in Engine::ALL {
        kill_recoveries(&scene(*engine == Engine::Ifupdown2, *engine));
    }
}

fn kill_recoveries(start: &Fake) {
    let done = start.copy();
    act(&done).expect("it works");
    let ends = [start, &done].map(|host| (shape(host, true), seen(host)));
    let mut recoveries = 0;
    for step in (0..).step_by(2) {
        let broken = start.copy();
        let plan = planned(&broken, 2, &second());
        broken.set_faults(&[(step, Fault::Die)]);
        let _ = apply(&broken, Authority::Commit(Box::new(Verified::for_test(plan, commit(2)))));
        if !broken.fired() {
            break;
        }
        broken.restart(Restart::Process);
        for next in 0.. {
            let host = broken.copy();
            host.set_faults(&[(next, Fault::Die)]);
            let _ = recover(&host);
            if !host.fired() {
                break;
            }
            host.restart(Restart::Process);
            let recovery = recover(&host).expect("the journal is sound");
            let what = format!("at {step}, then at {next}");
            assert!(!matches!(recovery, Recovery::Degraded { .. }), "{what}: {recovery:?}");
            let now = (shape(&host, true), seen(&host));
            assert!(ends.contains(&now), "{what}: neither old nor new: {}", now.0);
            recoveries += 1;
        }
    }
    println!("{recoveries} recoveries were killed");
    assert!(recoveries > 300, "{recoveries}");
}

#[test]
fn a_step_that_fails_is_rolled_back_at_once() {
    let start = scene(true, Engine::Ifupdown2);
    let ends = (shape(&start, true), seen(&start));
    let (mut rolled_back, mut refused) = (0, 0);
    for step in 0.. {
        let host = start.copy();
        let plan = planned(&host, 2, &second());
        host.set_faults(&[(step, Fault::Fail(ErrorKind::StorageFull))]);
        let result = apply(&host, Authority::Commit(Box::new(Verified::for_test(plan, commit(2)))));
        if !host.fired() {
            break;
        }
        match result {
            Ok(Outcome::RolledBack { .. }) => rolled_back += 1,
            Err(_) => refused += 1,
            Ok(Outcome::Confirmed { .. }) => continue,
            other => panic!("at {step}: {other:?}"),
        }
        assert_eq!((shape(&host, true), seen(&host)), ends, "at {step}");
    }
    assert!(rolled_back > 10 && refused > 10, "{rolled_back} {refused}");
    assert!(start.files().contains_key(camino::Utf8Path::new(SDN)));
}

#[test]
fn what_the_start_of_a_machine_left_out_is_brought_up() {
    let host = scene(false, Engine::Native);
    let wanted = shape(&host, true);
    assert_eq!(bring_up(&host).unwrap(), BroughtUp::Running { generation: 1, changes: 0 });
    host.with_network(|network| {
        network.kernel().links.remove("vxlan_vb");
        network.kernel().links.get_mut("va").expect("there").addresses.clear();
    });
    let done = bring_up(&host).unwrap();
    assert!(matches!(done, BroughtUp::Running { changes, .. } if changes > 1), "{done:?}");
    assert_eq!(shape(&host, true), wanted);
    // Somebody wants something else.
    host.replace(&Managed::Interfaces.path(), b"auto vx\n", 0o644).unwrap();
    host.with_network(|network| drop(network.kernel().links.remove("vxlan_vb")));
    assert_eq!(bring_up(&host).unwrap(), BroughtUp::Edited);
    assert!(host.with_network(|network| !network.kernel().links.contains_key("vxlan_vb")));
}

/// A node, and a plan for it, between which and its apply somebody makes an interface with a name
/// that is wanted; and all interfaces then.
fn taken() -> (Fake, Plan, BTreeMap<String, Link>) {
    let host = scene(false, Engine::Native);
    let text =
        first() + &simple("vc", "") + &simple("vd", "\tmtu 1400\n") + &vxlan("ve", 105, 1400);
    let plan = planned(&host, 2, &text);
    let theirs = Link { index: 777, mtu: 9000, kind: Some("bridge".to_owned()), ..Link::default() };
    host.with_network(|network| {
        network.kernel().links.insert("vd".to_owned(), theirs);
    });
    let links = links(&host);
    (host, plan, links)
}

fn links(host: &Fake) -> BTreeMap<String, Link> {
    host.with_network(|network| network.kernel().links.clone())
}

fn of_plan(plan: Plan) -> Authority {
    Authority::Commit(Box::new(Verified::for_test(plan, commit(2))))
}

/// It is left as it is by both ways.
#[test]
fn what_others_made_meanwhile_is_left_alone() {
    let (host, plan, before) = taken();
    let outcome = apply(&host, of_plan(plan));
    let Ok(Outcome::RolledBack { entry, failure }) = outcome else { panic!("{outcome:?}") };
    let why = std::error::Error::source(&failure).expect("a reason").to_string();
    assert!(why.starts_with("an interface `vd` came meanwhile, which weft did not make"), "{why}");
    assert_eq!(links(&host), before);
    assert_eq!(entry.record.spared, ["vd"]);
    assert_at_rest(&host);
}

/// Whoever goes on with a way back that was killed knows what is not weft's, as soon as the
/// journal keeps it, which is the first thing that is done.
#[test]
fn what_others_made_meanwhile_is_left_alone_by_whoever_goes_on_with_the_way_back() {
    let (start, plan, before) = taken();
    let journal = |host: &Fake| crate::apply::Journal::read(host).expect("it can be read");
    let (mut known, mut recoveries) = (0, 0);
    for step in 0.. {
        let broken = start.copy();
        broken.set_faults(&[(step, Fault::Die)]);
        let _ = apply(&broken, of_plan(plan.clone()));
        if !broken.fired() {
            break;
        }
        broken.restart(Restart::Process);
        let entry = journal(&broken).unsettled().cloned();
        let Some(entry) = entry.filter(|entry| !entry.record.spared.is_empty()) else { continue };
        assert_eq!(entry.record.spared, ["vd"]);
        if known == 0 {
            let file = sdn(&broken).expect("it is there").text();
            assert!(file.contains("iface vd"), "nothing went back before: {file}");
        }
        known += 1;
        let settled = |host: &Fake, what: &str| {
            let recovery = recover(host).expect("the journal is sound");
            assert!(matches!(recovery, Recovery::RolledBack { .. }), "{what}: {recovery:?}");
            assert_eq!(links(host), before, "{what}");
            assert_at_rest(host);
        };
        settled(&broken.copy(), &format!("at {step}"));
        for next in 0.. {
            let host = broken.copy();
            host.set_faults(&[(next, Fault::Die)]);
            let _ = recover(&host);
            if !host.fired() {
                break;
            }
            host.restart(Restart::Process);
            if journal(&host).unsettled().is_some() {
                settled(&host, &format!("at {step}, then at {next}"));
            }
            assert_eq!(links(&host), before, "at {step}, then at {next}");
            recoveries += 1;
        }
    }
    assert!(known > 10 && recoveries > 100, "{known} {recoveries}");
}

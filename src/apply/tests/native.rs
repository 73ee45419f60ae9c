//! The native engine on random networks and their random successors.

mod networks;

use std::collections::{BTreeMap, BTreeSet};

use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::networks::{Abilities, Vnet, networks, text};
use crate::host::fake::Fake;
use crate::host::{Host as _, HostError, Linux};
use crate::plan::{Engine, Kernel, Link, Make, NetworkStep, Target};
use crate::value::IfName;

fn target(before: &[&str], wanted: &str) -> Target {
    Target::between(before, wanted).with_engine(Engine::Native)
}

/// A kernel of its own in which changes are made and seen.
trait Machine {
    fn kernel(&self, target: &Target) -> Kernel;
    fn change(&self, steps: &[NetworkStep]);
}

impl Machine for Fake {
    fn kernel(&self, target: &Target) -> Kernel {
        let read = crate::host::Host::kernel(self, &target.question());
        read.expect("read").expect("a machine with a kernel")
    }

    fn change(&self, steps: &[NetworkStep]) {
        crate::host::Host::change(self, steps).expect("changed");
    }
}

fn fake() -> Fake {
    let host = Fake::default();
    host.set_live();
    host.with_network(|network| {
        for name in ["eth0", "theirs"] {
            let link = Link { index: 900, up: true, mtu: 1500, ..Link::default() };
            network.kernel().links.insert(name.to_owned(), link);
        }
        network.add_guest("tap1i0", "theirs");
    });
    host
}

/// Brings a kernel to what is wanted, and says how many changes that took.
fn bring(machine: &impl Machine, target: &Target) -> usize {
    let mut count = 0;
    // What a bridge did on its way, such as another MTU, may need a second look.
    for _ in 0..3 {
        let steps = target.amend(&machine.kernel(target), &[]);
        count += steps.len();
        if steps.is_empty() {
            break;
        }
        machine.change(&steps);
    }
    count
}

/// What is not ours, as it is.
fn theirs(kernel: &Kernel) -> BTreeMap<String, Link> {
    let theirs = |name: &&str| kernel.links.contains_key(*name);
    let names = ["eth0", "theirs", "tap1i0", "lo"].into_iter().filter(theirs);
    names.map(|name| (name.to_owned(), kernel.links[name].clone())).collect()
}

/// From nothing to the first network, from there to the second with the engine killed after
/// `killed` changes, on to the second, and back.
fn walk(machine: &impl Machine, first: &str, second: &str, killed: usize) {
    let there = |target: &Target| {
        let kernel = machine.kernel(target);
        let found = target.verify(&kernel, &[]);
        assert_eq!(found, [], "{first}\n---\n{second}\n{kernel:#?}");
        assert_eq!(target.amend(&kernel, &[]), [], "{first}\n---\n{second}");
    };
    let up = target(&[], first);
    bring(machine, &up);
    there(&up);
    let on = target(&[first], second);
    let before = theirs(&machine.kernel(&on));
    let steps = on.amend(&machine.kernel(&on), &[]);
    machine.change(&steps[..killed.min(steps.len())]);
    // Whoever comes next knows both, and not how far it came.
    let both = target(&[second, first], second);
    bring(machine, &both);
    there(&both);
    assert_eq!(theirs(&machine.kernel(&on)), before, "{first}\n---\n{second}");
    let away = target(&[second, first], "");
    bring(machine, &away);
    there(&away);
    let left: BTreeSet<String> = machine.kernel(&away).links.into_keys().collect();
    assert!(!left.iter().any(|name| away.is_ours(name)), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_network_becomes_another_one(
        first in networks(Abilities { layers: true }),
        second in networks(Abilities { layers: true }),
        killed in 0_usize..60,
    ) {
        walk(&fake(), &text(&first), &text(&second), killed);
    }
}

/// This machine's kernel, in a network namespace of the thread.
struct Real(Linux);

impl Machine for Real {
    fn kernel(&self, target: &Target) -> Kernel {
        let read = self.0.kernel(&target.question());
        read.expect("read").expect("a machine with a kernel")
    }

    fn change(&self, steps: &[NetworkStep]) {
        let complaints = self.0.change(steps).expect("changed");
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

/// Runs something in a network namespace of its own, or says why it cannot.
fn in_namespace(work: impl FnOnce() + Send + 'static) {
    let done = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return Some(format!("skipped: no network namespace can be made here: {error}"));
        }
        work();
        None
    });
    if let Some(skipped) = done.join().expect("it ends") {
        println!("{skipped}");
    }
}

/// A namespace with an interface of the node's own, and a bridge and a port of somebody else's.
fn real() -> Real {
    let machine = Real(Linux::new(None));
    let name = |name: &str| name.parse::<IfName>().expect("a name");
    let create = |interface: &str, make| NetworkStep::Create { interface: name(interface), make };
    let up = |interface: &str| NetworkStep::SetUp { interface: name(interface) };
    machine.change(&[
        create("eth0", Make::Veth { peer: name("cable") }),
        create("theirs", Make::Bridge),
        create("tap1i0", Make::Veth { peer: name("guest") }),
        NetworkStep::SetMaster { interface: name("tap1i0"), master: Some(name("theirs")) },
        NetworkStep::AddAddress {
            interface: name("theirs"),
            address: "198.51.100.1/24".parse().expect("an address"),
        },
        up("lo"),
        up("eth0"),
        up("theirs"),
        up("tap1i0"),
    ]);
    machine
}

#[test]
fn on_this_kernel_a_random_network_becomes_another_one() {
    in_namespace(|| {
        let machine = real();
        let config = ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() };
        let plain = || networks(Abilities { layers: false });
        let walk = |(first, second, killed): (BTreeMap<u8, Vnet>, BTreeMap<u8, Vnet>, usize)| {
            walk(&machine, &text(&first), &text(&second), killed);
            Ok(())
        };
        let strategy = (plain(), plain(), 0_usize..60);
        TestRunner::new(config).run(&strategy, walk).expect("each network is reached");
    });
}

/// One round, and no other: the kernel deletes the later addresses of a network with the first
/// where it is not told to keep them.
#[test]
fn on_this_kernel_an_address_takes_the_place_of_another_at_once() {
    in_namespace(|| {
        let machine = real();
        let text = |addresses: &[&str]| {
            let lines = addresses
                .iter()
                .fold(String::new(), |lines, one| lines + "\taddress " + one + "\n");
            format!(
                "auto v\niface v\n\tbridge_ports none\n{lines}\tup ip route add 10.9.0.0/24 dev v\n"
            )
        };
        let (both, other) = (text(&["10.0.0.1/24", "10.0.0.2/24"]), text(&["10.0.0.3/24"]));
        let last = text(&["10.0.0.2/24"]);
        for keeps in ["0", "1"] {
            let name = "net/ipv4/conf/default/promote_secondaries".to_owned();
            machine.change(&[NetworkStep::SetSysctl { name, value: keeps.to_owned() }]);
            let mut old = "";
            for new in [&both, &last, &other, &both, &other, &last] {
                let target = target(&[old], new);
                machine.change(&target.amend(&machine.kernel(&target), &[]));
                let kernel = machine.kernel(&target);
                assert_eq!(target.verify(&kernel, &[]), [], "{old}\n---\n{new}");
                assert_eq!(target.amend(&kernel, &[]), []);
                old = new;
            }
            bring(&machine, &target(&[old], ""));
        }
    });
}

#[test]
fn on_this_kernel_what_others_made_meanwhile_is_left_alone() {
    in_namespace(|| {
        let machine = real();
        let wanted = "auto v\niface v\n\tbridge_ports ln_v\n\
            auto ln_v\niface ln_v\n\tlink-type veth\n\tveth-peer-name pr_v\n\
            auto pr_v\niface pr_v\n\tlink-type veth\n\tveth-peer-name ln_v\n";
        let target = target(&[], wanted);
        let steps = target.amend(&machine.kernel(&target), &[]);
        for theirs in ["v", "ln_v", "pr_v"] {
            let interface = theirs.parse().expect("a name");
            machine.change(&[NetworkStep::Create { interface, make: Make::Bridge }]);
            let before = machine.kernel(&target).links[theirs].index;
            let error = machine.0.change(&steps).expect_err("it is taken");
            let HostError::Taken { names } = error else { panic!("{error}") };
            assert_eq!(names, [theirs]);
            // Back to nothing, but for what is not ours.
            let back = self::target(&[wanted], "").sparing(&names);
            bring(&machine, &back);
            let links = machine.kernel(&target).links;
            assert_eq!(links[theirs].index, before);
            assert!(
                ["v", "ln_v", "pr_v"].iter().all(|one| *one == theirs || !links.contains_key(*one))
            );
            let interface = theirs.parse().expect("a name");
            machine.change(&[NetworkStep::Delete { interface }]);
        }
    });
}

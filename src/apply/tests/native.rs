//! The native engine on random networks and their random successors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use nix::sched::{CloneFlags, unshare};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::host::fake::Fake;
use crate::host::{Host as _, HostError, Linux};
use crate::plan::{Engine, Kernel, Link, Make, NetworkStep, Target};
use crate::value::IfName;

/// What a random network is made of. Names are few, so that one network's interfaces are
/// another's with other contents.
#[derive(Clone, Debug)]
enum Vnet {
    /// In one of two VRFs, or in none.
    Simple {
        bridge: Bridge,
        addresses: BTreeSet<u8>,
        forward: bool,
        vrf: Option<u8>,
    },
    Tunnel {
        bridge: Bridge,
        id: u32,
        port: u16,
        remotes: BTreeSet<u8>,
        end: End,
    },
    Cable {
        bridge: Bridge,
        crossed: bool,
    },
    Tagged {
        bridge: Bridge,
        id: u16,
        protocol: bool,
    },
}

/// What of a tunnel's own end can change in place, and what cannot.
#[derive(Clone, Debug)]
struct End {
    learning: bool,
    local: Option<u8>,
    is_v6: bool,
}

#[derive(Clone, Debug)]
struct Bridge {
    mtu: Option<u32>,
    alias: Option<String>,
    vlan_aware: bool,
}

/// What a kernel can be asked for.
#[derive(Clone, Copy)]
struct Abilities {
    /// VLANs, VRFs, and bridges that filter.
    layers: bool,
}

fn bridges(abilities: Abilities) -> impl Strategy<Value = Bridge> {
    let mtu = prop::option::of(prop::sample::select(vec![1300_u32, 1400, 1450]));
    let alias = prop::option::of("[a-z]{1,5}( [a-z]{1,4})?");
    (mtu, alias, any::<bool>()).prop_map(move |(mtu, alias, aware)| Bridge {
        mtu,
        alias,
        vlan_aware: aware && abilities.layers,
    })
}

fn vnets(abilities: Abilities) -> impl Strategy<Value = Vnet> {
    let bridge = || bridges(abilities);
    let vrf = prop::option::of(0_u8..2).prop_map(move |vrf| vrf.filter(|_| abilities.layers));
    let simple = (bridge(), btree_set(0_u8..12, 0..4), any::<bool>(), vrf).prop_map(
        |(bridge, addresses, forward, vrf)| Vnet::Simple { bridge, addresses, forward, vrf },
    );
    let local = prop::option::of(1_u8..3);
    let end = (any::<bool>(), local, any::<bool>()).prop_map(|(learning, local, is_v6)| End {
        learning,
        local,
        is_v6,
    });
    let tunnel = (bridge(), 1_u32..6, 0_u16..2, btree_set(2_u8..6, 0..3), end).prop_map(
        |(bridge, id, port, remotes, end)| Vnet::Tunnel {
            bridge,
            id,
            port: 4789 + port,
            remotes,
            end,
        },
    );
    let cable =
        (bridge(), any::<bool>()).prop_map(|(bridge, crossed)| Vnet::Cable { bridge, crossed });
    if abilities.layers {
        let tagged = (bridge(), 2_u16..5, any::<bool>())
            .prop_map(|(bridge, id, protocol)| Vnet::Tagged { bridge, id, protocol });
        prop_oneof![3 => simple, 3 => tunnel, 2 => cable, 2 => tagged].boxed()
    } else {
        prop_oneof![3 => simple, 3 => tunnel, 2 => cable].boxed()
    }
}

fn networks(abilities: Abilities) -> impl Strategy<Value = BTreeMap<u8, Vnet>> {
    btree_map(0_u8..6, vnets(abilities), 0..6)
}

/// The file of a network; no two tunnels or tags that a kernel would take for one.
fn text(network: &BTreeMap<u8, Vnet>) -> String {
    let mut text = String::new();
    let mut taken = BTreeSet::new();
    for (number, vnet) in network {
        let name = format!("v{number}");
        let (bridge, port) = match vnet {
            Vnet::Simple { bridge, .. } => (bridge, "none".to_owned()),
            Vnet::Tunnel { bridge, id, port, .. } if taken.insert((*id, *port)) => {
                (bridge, format!("vxlan_{name}"))
            }
            Vnet::Cable { bridge, .. } => (bridge, format!("ln_{name}")),
            Vnet::Tagged { bridge, id, protocol }
                if taken.insert((u32::from(*id), u16::from(*protocol))) =>
            {
                (bridge, if *protocol { format!("sv_{name}") } else { format!("eth0.{id}") })
            }
            Vnet::Tunnel { .. } | Vnet::Tagged { .. } => continue,
        };
        stanza(&mut text, &name, bridge, &port, vnet);
        below(&mut text, &name, vnet);
    }
    for vrf in 0..2 {
        let forwards = network.values().filter_map(|vnet| match vnet {
            Vnet::Simple { vrf: Some(is), forward, .. } if *is == vrf => Some(*forward),
            _ => None,
        });
        if let Some(forward) = forwards.reduce(|one, other| one || other) {
            let verb = if forward { "add" } else { "del" };
            writeln!(
                text,
                "auto vrf_{vrf}\niface vrf_{vrf}\n\tvrf-table auto\n\
                 \tpost-up ip route {verb} vrf vrf_{vrf} unreachable default metric 4278198272"
            )
            .expect("a string takes it");
        }
    }
    text
}

fn stanza(text: &mut String, name: &str, bridge: &Bridge, port: &str, vnet: &Vnet) {
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes it");
    line(format!(
        "auto {name}\niface {name}\n\tbridge_ports {port}\n\tbridge_stp off\n\tbridge_fd 0"
    ));
    if let Some(mtu) = bridge.mtu {
        line(format!("\tmtu {mtu}"));
    }
    if let Some(alias) = &bridge.alias {
        line(format!("\talias {alias}"));
    }
    if bridge.vlan_aware {
        line("\tbridge-vlan-aware yes\n\tbridge-vids 2-4094".to_owned());
    }
    if let Vnet::Simple { addresses, forward, vrf, .. } = vnet {
        for address in addresses {
            // Several of one network, for the kernel deletes the later ones with the first.
            line(match address {
                0..8 => format!("\taddress 10.{}.0.{}/24", address % 2, address / 2 + 1),
                8..10 => format!("\taddress fd00:{address}::1/64"),
                _ => format!("\taddress fe80::{address}/64"),
            });
        }
        if *forward {
            line(format!(
                "\tip-forward on\n\tup ip route add 10.99.{}.0/24 dev {name}",
                &name[1..]
            ));
        }
        if let Some(vrf) = vrf {
            line(format!(
                "\tvrf vrf_{vrf}\n\thwaddress 02:00:00:00:00:0{}\n\tarp-accept on",
                &name[1..]
            ));
        }
    }
}

/// What a vnet's bridge is made on top of.
fn below(text: &mut String, name: &str, vnet: &Vnet) {
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes it");
    match vnet {
        Vnet::Simple { .. } => {}
        Vnet::Tunnel { id, port, remotes, end, .. } => {
            line(format!(
                "auto vxlan_{name}\niface vxlan_{name}\n\tvxlan-id {id}\n\tvxlan-port {port}"
            ));
            match end.local {
                Some(local) if end.is_v6 => line(format!("\tvxlan-local-tunnelip fd00::{local}")),
                Some(local) => line(format!("\tvxlan-local-tunnelip 192.0.2.{local}")),
                None => {}
            }
            if end.learning {
                for remote in remotes.iter().filter(|_| !end.is_v6) {
                    line(format!("\tvxlan_remoteip 192.0.2.{remote}"));
                }
            } else {
                line("\tbridge-learning off\n\tbridge-arp-nd-suppress on".to_owned());
            }
        }
        Vnet::Cable { crossed, .. } => {
            let other = if *crossed { "pr" } else { "pp" };
            line(format!(
                "auto ln_{name}\niface ln_{name}\n\tlink-type veth\n\tveth-peer-name {other}_{name}\n\
                 auto {other}_{name}\niface {other}_{name}\n\tlink-type veth\n\tveth-peer-name ln_{name}"
            ));
        }
        Vnet::Tagged { id, protocol, .. } => {
            if *protocol {
                line(format!(
                    "auto sv_{name}\niface sv_{name}\n\tvlan-raw-device eth0\n\tvlan-id {id}\n\tvlan-protocol 802.1ad"
                ));
            }
        }
    }
}

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
        let read = crate::host::Host::kernel(self, &target.tables(), &target.sysctls());
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
        let read = self.0.kernel(&target.tables(), &target.sysctls());
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

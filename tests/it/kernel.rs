//! The real kernel, in network namespaces of threads: what it was told is what is read back.

mod ports;
mod programs;
mod rules;
mod speed;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use nix::sched::{CloneFlags, unshare};
use weft::host::{Host, LinkEvents, Linux, PortChanges};
use weft::plan::{
    BridgeSettings, Family, Kernel, Link, LocalRule, Make, NetworkStep, PortVlan, Question,
};
use weft::value::IfName;

/// Runs in a new network namespace; `false` where there can be none.
fn alone(test: impl FnOnce() + Send) -> bool {
    let run = || {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("skipped: only root has network namespaces");
            return false;
        }
        test();
        true
    };
    thread::scope(|scope| match scope.spawn(run).join() {
        Ok(ran) => ran,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn name(text: &str) -> IfName {
    text.parse().expect("a name")
}

fn read() -> Kernel {
    let question = Question { vlans: true, ..Question::default() };
    Linux::new(None).kernel(&question).expect("it can be read").expect("a kernel")
}

fn change(steps: &[NetworkStep]) -> Vec<String> {
    Linux::new(None).change(steps).expect("the kernel answers")
}

#[track_caller]
fn quietly(steps: &[NetworkStep]) {
    let complaints = change(steps);
    assert!(complaints.is_empty(), "{complaints:#?}");
}

fn create(interface: &str, make: Make) -> NetworkStep {
    NetworkStep::Create { interface: name(interface), make }
}

fn vxlan(id: u32) -> Make {
    Make::Vxlan { id, port: 4789, local: None, learning: true }
}

fn master(interface: &str, master: Option<&str>) -> NetworkStep {
    NetworkStep::SetMaster { interface: name(interface), master: master.map(name) }
}

/// Whether the kernel can make such an interface; says so where it cannot.
fn can(interface: &str, make: Make) -> bool {
    let what = make.to_string();
    let complaints = change(&[create(interface, make)]);
    let is_unknown = complaints.iter().any(|complaint| complaint.contains("os error 95"));
    if is_unknown {
        println!("skipped: this kernel has no {what}");
    } else {
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
    !is_unknown
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

/// One of everything that every kernel has.
fn one_of_everything() -> Vec<NetworkStep> {
    let (veth, learning) = (Make::Veth { peer: name("pr_a") }, false);
    let local = Some(address("192.0.2.1"));
    vec![
        create("va", Make::Bridge),
        create("vxlan_va", Make::Vxlan { id: 100, port: 4790, local, learning }),
        create(
            "vxlan6",
            Make::Vxlan {
                id: 101,
                port: 4789,
                local: Some(address("2001:db8::1")),
                learning: true,
            },
        ),
        create("ln_a", veth),
        NetworkStep::SetBridge {
            interface: name("va"),
            settings: BridgeSettings {
                stp: Some(false),
                forward_delay: Some(0),
                ..BridgeSettings::default()
            },
        },
        master("vxlan_va", Some("va")),
        master("ln_a", Some("va")),
        NetworkStep::SetMtu { interface: name("vxlan_va"), mtu: 1450 },
        NetworkStep::SetMac { interface: name("va"), mac: "bc:24:11:00:00:01".to_owned() },
        NetworkStep::SetAlias {
            interface: name("va"),
            alias: Some("Büro, 2. OG \"x\"; $(reboot)".to_owned()),
        },
        NetworkStep::AddAddress { interface: name("va"), address: net("10.0.0.1/24") },
        NetworkStep::AddAddress { interface: name("va"), address: net("10.1.0.0/31") },
        NetworkStep::AddAddress { interface: name("va"), address: net("fd00::1/64") },
        NetworkStep::AddRemote { interface: name("vxlan_va"), remote: address("192.0.2.2") },
        NetworkStep::AddRemote { interface: name("vxlan_va"), remote: address("192.0.2.3") },
        NetworkStep::AddRemote { interface: name("vxlan6"), remote: address("2001:db8::2") },
        NetworkStep::SetMulticastRouter { interface: name("vxlan_va"), value: 2 },
        NetworkStep::SetPortFlags {
            port: "ln_a".to_owned(),
            flags: [("isolated", true), ("learning", false), ("--help", true)]
                .map(|(flag, on)| (flag.to_owned(), on))
                .into(),
        },
        NetworkStep::SetUp { interface: name("va") },
        NetworkStep::SetUp { interface: name("vxlan_va") },
        NetworkStep::AddRoute { interface: name("va"), destination: net("10.9.9.9/32") },
        NetworkStep::AddRoute { interface: name("va"), destination: net("fd09::/64") },
        NetworkStep::SetSysctl {
            name: "net/ipv4/conf/va/forwarding".to_owned(),
            value: "1".to_owned(),
        },
        NetworkStep::SetSysctl {
            name: "net/ipv4/conf/va/arp_accept".to_owned(),
            value: "1".to_owned(),
        },
        NetworkStep::SetSysctl {
            name: "net/ipv6/conf/vxlan_va/disable_ipv6".to_owned(),
            value: "1".to_owned(),
        },
    ]
}

#[test]
fn what_was_asked_for_is_read_back() {
    alone(|| {
        quietly(&one_of_everything());
        let kernel = read();
        let va = &kernel.links["va"];
        let wanted = Link {
            index: va.index,
            kind: Some("bridge".to_owned()),
            mac: Some("bc:24:11:00:00:01".to_owned()),
            mtu: 1450,
            up: true,
            alias: Some("Büro, 2. OG \"x\"; $(reboot)".to_owned()),
            addresses: ["10.0.0.1/24", "10.1.0.0/31", "fd00::1/64"].map(net).into(),
            vlan_protocol: va.vlan_protocol.clone(),
            accepts_arp: true,
            forwards: [Family::V4].into(),
            // The kernel makes one once there is a carrier.
            link_addresses: va.link_addresses.clone(),
            ..Link::default()
        };
        assert_eq!(*va, wanted);
        let port = &kernel.links["vxlan_va"];
        assert_eq!((port.master.as_deref(), port.mtu), (Some("va"), 1450));
        assert_eq!((port.multicast_router, port.ipv6_off), (Some(2), true));
        let tunnel = port.tunnel.as_ref().expect("a tunnel");
        assert_eq!((tunnel.id, tunnel.port, tunnel.learning), (100, 4790, false));
        assert_eq!(tunnel.local, Some(address("192.0.2.1")));
        assert_eq!(tunnel.remotes, ["192.0.2.2", "192.0.2.3"].map(address).into());
        let six = kernel.links["vxlan6"].tunnel.as_ref().expect("a tunnel");
        assert_eq!((six.local, six.learning), (Some(address("2001:db8::1")), true));
        assert_eq!(six.remotes, [address("2001:db8::2")].into());
        let (ln, pr) = (&kernel.links["ln_a"], &kernel.links["pr_a"]);
        assert_eq!((ln.lower.as_deref(), pr.lower.as_deref()), (Some("pr_a"), Some("ln_a")));
        assert_eq!(
            (ln.flags["isolated"], ln.flags["learning"], ln.flags["flood"]),
            (true, false, true)
        );
        assert!(!ln.up && pr.flags.is_empty());
        let routes = ["10.9.9.9/32", "fd09::/64"].map(|to| (net(to), "va".to_owned()));
        assert_eq!(kernel.routes, routes.into());
        programs::agree(&kernel);
    });
}

#[test]
fn what_is_taken_away_is_gone() {
    alone(|| {
        quietly(&one_of_everything());
        quietly(&[
            master("ln_a", None),
            NetworkStep::SetAlias { interface: name("va"), alias: None },
            NetworkStep::RemoveAddress { interface: name("va"), address: net("10.1.0.0/31") },
            NetworkStep::RemoveAddress { interface: name("va"), address: net("fd00::1/64") },
            NetworkStep::DropRemote { interface: name("vxlan_va"), remote: address("192.0.2.3") },
            NetworkStep::DropRoute { interface: name("va"), destination: net("10.9.9.9/32") },
            NetworkStep::DropRoute { interface: name("va"), destination: net("fd09::/64") },
            NetworkStep::StopForwarding { interface: name("va"), family: Family::V4 },
            NetworkStep::ReturnPort { port: "pr_a".to_owned(), bridge: "va".to_owned(), up: true },
        ]);
        let kernel = read();
        let va = &kernel.links["va"];
        assert_eq!((&va.alias, &va.addresses), (&None, &[net("10.0.0.1/24")].into()));
        assert!(va.forwards.is_empty() && kernel.routes.is_empty());
        let remotes = &kernel.links["vxlan_va"].tunnel.as_ref().expect("a tunnel").remotes;
        assert_eq!(*remotes, [address("192.0.2.2")].into());
        let (ln, pr) = (&kernel.links["ln_a"], &kernel.links["pr_a"]);
        assert_eq!((&ln.master, pr.master.as_deref(), pr.up), (&None, Some("va"), true));
    });
}

#[test]
fn what_a_kernel_may_lack_is_read_back() {
    alone(|| {
        quietly(&[create("va", Make::Bridge), create("eth0", Make::Veth { peer: name("eth0x") })]);
        for (interface, protocol) in [("eth0.5", "802.1q"), ("eth0.6", "802.1ad")] {
            let id = if protocol == "802.1q" { 5 } else { 6 };
            let make = Make::Vlan { device: name("eth0"), id, protocol: protocol.to_owned() };
            if can(interface, make) {
                let link = &read().links[interface];
                assert_eq!(link.vlan, Some((id, protocol.to_owned())));
                assert_eq!(link.lower.as_deref(), Some("eth0"));
            }
        }
        if can("dummy_f", Make::Dummy) {
            let address = net("192.0.2.9/32");
            quietly(&[NetworkStep::AddAddress { interface: name("dummy_f"), address }]);
            assert_eq!(read().links["dummy_f"].addresses, [address].into());
        }
        if can("vrf_a", Make::Vrf { table: 1001 }) {
            let (interface, table) = (name("vrf_a"), 1001);
            let on = NetworkStep::SetUnreachable { interface: interface.clone(), table, on: true };
            quietly(&[NetworkStep::SetUp { interface: interface.clone() }, on]);
            quietly(&[master("va", Some("vrf_a"))]);
            let kernel = read();
            assert_eq!(
                (kernel.links["vrf_a"].table, &kernel.unreachable),
                (Some(1001), &[1001].into())
            );
            assert_eq!(kernel.links["va"].master.as_deref(), Some("vrf_a"));
            quietly(&[
                NetworkStep::SetUnreachable { interface, table, on: false },
                master("va", None),
            ]);
            assert!(read().unreachable.is_empty());
        }
        let settings = BridgeSettings {
            vlan_filtering: Some(true),
            vlan_protocol: Some("802.1ad".to_owned()),
            ..BridgeSettings::default()
        };
        let complaints = change(&[NetworkStep::SetBridge { interface: name("va"), settings }]);
        if read().links["va"].vlan_protocol.is_none() {
            println!("skipped: bridges of this kernel have no VLANs ({complaints:?})");
            return;
        }
        assert!(complaints.is_empty(), "{complaints:#?}");
        let one = PortVlan { first: 1, last: 1, pvid: true, untagged: true };
        let (few, more) = (PortVlan { last: 9, ..plain(5) }, PortVlan { last: 4094, ..plain(10) });
        let vlans = |port: &str, remove: &[PortVlan], add: &[PortVlan]| NetworkStep::SetPortVlans {
            port: port.to_owned(),
            remove: remove.to_vec(),
            add: add.to_vec(),
        };
        quietly(&[
            master("eth0", Some("va")),
            vlans("eth0", &[one], &[PortVlan { pvid: true, untagged: true, ..plain(2) }]),
            vlans("eth0", &[one], &[few, more]),
            vlans("va", &[], &[few]),
        ]);
        let kernel = read();
        let va = &kernel.links["va"];
        assert_eq!((va.vlan_filtering, va.vlan_protocol.as_deref()), (true, Some("802.1ad")));
        let all = PortVlan { last: 4094, ..plain(5) };
        let own = PortVlan { pvid: true, untagged: true, ..plain(2) };
        assert_eq!(kernel.links["eth0"].vlans, [own, all].into());
        assert_eq!(va.vlans, [one, few].into());
        programs::agree(&kernel);
        quietly(&[NetworkStep::StopVlanFiltering { interface: name("va") }]);
        assert!(!read().links["va"].vlan_filtering);
    });
}

fn plain(number: u16) -> PortVlan {
    PortVlan { first: number, last: number, pvid: false, untagged: false }
}

#[test]
fn names_may_be_odd() {
    alone(|| {
        // Fifteen characters, and all that the kernel lets a name have beside letters.
        let names = ["a_b-c.d.e@f0123", "0", "vmbr0.100", "all.default"];
        let steps = names.map(|odd| create(odd, Make::Bridge));
        quietly(&steps);
        let forwards = names.map(|odd| NetworkStep::SetSysctl {
            name: format!("net/ipv4/conf/{odd}/forwarding"),
            value: "1".to_owned(),
        });
        quietly(&forwards);
        let links = read().links;
        for odd in names {
            assert!(links[odd].forwards.contains(&Family::V4), "{odd}");
        }
        quietly(&names.map(|odd| NetworkStep::Delete { interface: name(odd) }));
        assert!(names.iter().all(|odd| !read().links.contains_key(*odd)));
    });
}

#[test]
fn an_error_is_a_complaint_and_the_rest_is_done() {
    alone(|| {
        let steps = [
            create("va", Make::Bridge),
            master("va", Some("nowhere")),
            NetworkStep::SetMtu { interface: name("gone"), mtu: 1400 },
            NetworkStep::SetMac { interface: name("va"), mac: "01:00:5e:00:00:01".to_owned() },
            NetworkStep::SetMac { interface: name("va"), mac: "x".to_owned() },
            NetworkStep::SetSysctl {
                name: "net/ipv4/../../version".to_owned(),
                value: "1".to_owned(),
            },
            NetworkStep::SetSysctl {
                name: "net/ipv4/conf/gone/forwarding".to_owned(),
                value: "1".to_owned(),
            },
            create("vb", Make::Bridge),
            create("vxlan_a", vxlan(7)),
            create("vxlan_b", vxlan(7)),
            NetworkStep::SetUp { interface: name("vb") },
        ];
        let complaints = change(&steps);
        let starts = [
            "could not put va into nowhere: there is no interface `nowhere`",
            "could not set the MTU of gone to 1400: No such device (os error 19)",
            "could not set the MAC address of va to 01:00:5e:00:00:01: `01:00:5e:00:00:01` is not",
            "could not set the MAC address of va to x: `x` is not",
            "could not set net/ipv4/../../version to 1: ",
            "could not set net/ipv4/conf/gone/forwarding to 1: ",
            "could not create vxlan_b: vxlan 7, port 4789: File exists (os error 17)",
        ];
        assert_eq!(complaints.len(), starts.len(), "{complaints:#?}");
        for (complaint, start) in complaints.iter().zip(starts) {
            assert!(complaint.starts_with(start), "{complaint}");
        }
        // The kernel's own words.
        assert!(complaints[6].contains("VNI"), "{}", complaints[6]);
        assert!(complaints[5].contains("No such file"), "{}", complaints[5]);
        // Only a name that another one has ends it: what comes next would change that one.
        let again = [create("va", Make::Bridge), create("vc", Make::Bridge)];
        let error = Linux::new(None).change(&again).expect_err("it is there").to_string();
        assert!(error.starts_with("an interface `va` came meanwhile"), "{error}");
        let links = read().links;
        assert!(links["vb"].up && links.contains_key("vxlan_a") && !links.contains_key("vxlan_b"));
        // What is gone may be removed again.
        let (address, remote) = ("10.0.0.1/24", "192.0.2.1");
        let interface = || name("va");
        quietly(&[
            NetworkStep::Delete { interface: name("gone") },
            NetworkStep::RemoveAddress {
                interface: interface(),
                address: address.parse().expect("a prefix"),
            },
            NetworkStep::RemoveAddress {
                interface: name("gone"),
                address: address.parse().expect("a prefix"),
            },
            NetworkStep::DropRemote {
                interface: name("vxlan_a"),
                remote: remote.parse().expect("an address"),
            },
            NetworkStep::DropRoute {
                interface: interface(),
                destination: address.parse().expect("a prefix"),
            },
            NetworkStep::DropRoute {
                interface: interface(),
                destination: "fd00::/64".parse().expect("a prefix"),
            },
        ]);
    });
}

#[test]
fn an_interface_made_again_is_another_one() {
    alone(|| {
        quietly(&[
            create("va", Make::Bridge),
            create("vb", Make::Bridge),
            create("ln", Make::Veth { peer: name("pr") }),
            master("ln", Some("va")),
            NetworkStep::Delete { interface: name("va") },
            create("va", Make::Bridge),
            master("ln", Some("va")),
            master("pr", Some("va")),
            // Both ends go with one, and come again.
            NetworkStep::Delete { interface: name("ln") },
            create("pr", Make::Veth { peer: name("ln") }),
            NetworkStep::AddAddress {
                interface: name("ln"),
                address: "10.0.0.1/24".parse().expect("a prefix"),
            },
        ]);
        let links = read().links;
        assert_eq!((&links["ln"].master, links["ln"].lower.as_deref()), (&None, Some("pr")));
        assert_eq!(links["ln"].addresses.len(), 1);
    });
}

#[test]
fn a_port_that_is_plugged_is_told() {
    alone(|| {
        quietly(&[create("va", Make::Bridge), create("tap1i0", Make::Veth { peer: name("g") })]);
        let mut events = LinkEvents::open().expect("a subscription");
        let mut wait = |time| events.wait(Duration::from_millis(time)).expect("events");
        let of = |names: &[&str]| PortChanges::Of(names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(wait(10), of(&[]));
        quietly(&[master("tap1i0", Some("va"))]);
        assert_eq!(wait(2000), of(&["tap1i0"]));
        // What is no news of ports is none.
        quietly(&[NetworkStep::SetUp { interface: name("va") }]);
        assert_eq!(wait(10), of(&[]));
        quietly(&[
            master("tap1i0", None),
            create("vb", Make::Bridge),
            NetworkStep::Delete { interface: name("va") },
        ]);
        assert_eq!(wait(2000), of(&["tap1i0", "vb"]));
        // More than can wait.
        let up: Vec<NetworkStep> = (0..6000_u32)
            .map(|turn| NetworkStep::SetMtu { interface: name("vb"), mtu: 1400 + turn % 2 })
            .collect();
        quietly(&up);
        assert_eq!(wait(2000), PortChanges::Everything);
        assert_eq!(wait(10), of(&[]));
    });
}

/// Interfaces for comparisons that care neither for numbers nor for the addresses of IPv6 that
/// the kernel gives to a link a moment after it is up.
fn without_numbers(links: &BTreeMap<String, Link>) -> BTreeMap<String, Link> {
    let bare = |link: &Link| Link { index: 0, link_addresses: BTreeSet::new(), ..link.clone() };
    links.iter().map(|(name, link)| (name.clone(), bare(link))).collect()
}

/// The rule of the kernel's goes, and comes back as it was; the last one never goes.
#[test]
fn own_addresses_are_looked_up_at_another_time_and_back() {
    alone(|| {
        let rules = || read().local_rules;
        let before = rules();
        assert!(before.iter().all(|(_, rule)| *rule == LocalRule::First), "{before:?}");
        let families: Vec<Family> = before.iter().map(|(family, _)| *family).collect();
        assert!(!families.is_empty());
        for family in families {
            let moved = |is, should| {
                quietly(&[
                    NetworkStep::AddLocalRule { family, rule: should },
                    NetworkStep::DropLocalRule { family, rule: is },
                ]);
            };
            let last = change(&[NetworkStep::DropLocalRule { family, rule: LocalRule::First }]);
            assert!(last.len() == 1 && last[0].contains("the last one"), "{last:?}");
            assert_eq!(rules(), before);
            moved(LocalRule::First, LocalRule::Last);
            assert!(rules().contains(&(family, LocalRule::Last)));
            assert!(!rules().contains(&(family, LocalRule::First)));
            moved(LocalRule::Last, LocalRule::First);
            assert_eq!(rules(), before);
        }
    });
}

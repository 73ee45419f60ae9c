//! Ports of guests on the real kernel.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use weft::host::{Host as _, Linux};
use weft::plan::{BridgeSettings, Make, NetworkStep, PortVlan, Stations};

use super::{alone, change, create, master, name, net, quietly, read};

const MAC: &str = "bc:24:11:00:00:07";

fn stations() -> Stations {
    stations_of("tap7i0")
}

fn stations_of(port: &str) -> Stations {
    let ports = BTreeMap::from([(port.to_owned(), "va".to_owned())]);
    let found = Linux::new(None).stations(&read(), &ports).expect("bridges can be read");
    found.get(port).cloned().unwrap_or_default()
}

/// A guest whose interface has this address sends something: it says that it is there.
fn speak(interface: &str, mac: &str) {
    let index = read().links[interface].index;
    quietly(&[
        NetworkStep::SetMac { interface: name(interface), mac: mac.to_owned() },
        NetworkStep::SetUp { interface: name(interface) },
        NetworkStep::SetSysctl {
            name: format!("net/ipv4/conf/{interface}/arp_notify"),
            value: "1".to_owned(),
        },
        NetworkStep::AddAddress {
            interface: name(interface),
            address: net(&format!("10.0.0.{}/24", index % 250 + 1)),
        },
    ]);
}

/// It says so once more.
fn speak_again(interface: &str) {
    let index = read().links[interface].index;
    let address = net(&format!("10.0.1.{}/24", index % 250 + 1));
    quietly(&[NetworkStep::AddAddress { interface: name(interface), address }]);
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is learnt moves to where it is seen last; what a bridge was told does not, whoever sends
/// with the address.
#[test]
fn an_address_that_a_bridge_was_told_stays_where_it_is() {
    alone(|| {
        quietly(&[create("va", Make::Bridge), NetworkStep::SetUp { interface: name("va") }]);
        for number in 6..=9 {
            let (port, guest) = (format!("tap{number}i0"), format!("eth{number}"));
            quietly(&[
                create(&port, Make::Veth { peer: name(&guest) }),
                master(&port, Some("va")),
                NetworkStep::SetUp { interface: name(&port) },
            ]);
        }
        let other = "bc:24:11:00:00:06";
        speak("eth6", other);
        until("it is learnt", || stations_of("tap6i0").learnt.contains(other));
        speak("eth8", other);
        until("what is learnt moves", || stations_of("tap8i0").learnt.contains(other));
        assert!(!stations_of("tap6i0").learnt.contains(other));

        let (port, mac) = ("tap7i0".to_owned(), MAC.to_owned());
        quietly(&[NetworkStep::AddStation { port, mac }]);
        speak("eth9", MAC);
        // It sent something, and the bridge got it.
        let received = || {
            let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("readable");
            let line = text.lines().find_map(|line| line.trim().strip_prefix("tap9i0:"));
            let packets = line.and_then(|line| line.split_whitespace().nth(1)).expect("there");
            packets.parse::<u64>().expect("a number")
        };
        until("it speaks", || received() > 1);
        let (here, there) = (stations(), stations_of("tap9i0"));
        assert!(here.fixed.contains_key(MAC), "{here:?}");
        assert!(!there.learnt.contains(MAC) && there.fixed.is_empty(), "{there:?}");
        // It would be learnt where it was not told.
        let (port, mac) = ("tap7i0".to_owned(), MAC.to_owned());
        quietly(&[NetworkStep::RemoveStation { port, mac, vlan: None }]);
        speak_again("eth9");
        until("it is learnt", || stations_of("tap9i0").learnt.contains(MAC));
    });
}

/// Each VLAN of a port has its entry, also one that comes later, and one that goes leaves none.
#[test]
fn a_bridge_is_told_of_each_vlan_of_a_port() {
    alone(|| {
        let settings = BridgeSettings { vlan_filtering: Some(true), ..BridgeSettings::default() };
        let filter = NetworkStep::SetBridge { interface: name("va"), settings };
        quietly(&[create("va", Make::Bridge)]);
        if change(&[filter]).iter().any(|complaint| complaint.contains("os error")) {
            println!("skipped: this kernel filters no VLANs");
            return;
        }
        let (port, mac) = ("tap7i0".to_owned(), MAC.to_owned());
        let vlan = |id| PortVlan { first: id, last: id, pvid: false, untagged: false };
        let vlans = |remove: &[u16], add: &[u16]| NetworkStep::SetPortVlans {
            port: port.clone(),
            remove: remove.iter().copied().map(vlan).collect(),
            add: add.iter().copied().map(vlan).collect(),
        };
        let add = NetworkStep::AddStation { port: port.clone(), mac: mac.clone() };
        quietly(&[
            create("tap7i0", Make::Veth { peer: name("eth9") }),
            master("tap7i0", Some("va")),
            vlans(&[], &[10]),
            add.clone(),
        ]);
        assert_eq!(stations().fixed[MAC], [0, 1, 10].into());
        quietly(&[vlans(&[10], &[20])]);
        assert_eq!(stations().fixed[MAC], [0, 1, 10].into());
        let remove = NetworkStep::RemoveStation { port, mac, vlan: Some(10) };
        quietly(&[add, remove.clone(), remove]);
        let fixed = stations().fixed[MAC].clone();
        // An older kernel keeps what is of no VLAN of the port.
        assert!(fixed == [0, 1, 20].into() || fixed == [0, 1, 10, 20].into(), "{fixed:?}");
    });
}

#[test]
fn a_bridge_is_told_who_is_behind_a_port() {
    alone(|| {
        quietly(&[
            create("va", Make::Bridge),
            create("tap7i0", Make::Veth { peer: name("eth9") }),
            master("tap7i0", Some("va")),
        ]);
        for interface in ["va", "tap7i0", "eth9"] {
            quietly(&[NetworkStep::SetUp { interface: name(interface) }]);
        }
        assert!(!stations().fixed.contains_key(MAC));
        let (port, mac) = ("tap7i0".to_owned(), MAC.to_owned());
        let add = NetworkStep::AddStation { port: port.clone(), mac: mac.clone() };
        let flags = [("isolated", true), ("learning", false), ("flood", false)];
        let flags: BTreeMap<_, _> = flags.map(|(name, on)| (name.to_owned(), on)).into();
        let set = NetworkStep::SetPortFlags { port: port.clone(), flags: flags.clone() };
        // Another time is no fault.
        quietly(&[add.clone(), set, add]);
        assert!(stations().fixed.keys().eq([MAC]), "{:?}", stations());
        let found = read().links["tap7i0"].flags.clone();
        for (flag, on) in &flags {
            assert_eq!(found.get(flag.as_str()), Some(on), "{flag}: {found:?}");
        }
        let remove = NetworkStep::RemoveStation { port, mac, vlan: None };
        quietly(&[remove.clone(), remove]);
        assert!(stations().fixed.is_empty(), "{:?}", stations());
    });
}

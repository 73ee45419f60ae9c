//! Ports of guests on the real kernel.

use std::collections::BTreeMap;

use weft::host::{Host as _, Linux};
use weft::plan::{Make, NetworkStep, Stations};

use super::{alone, create, master, name, quietly, read};

const MAC: &str = "bc:24:11:00:00:07";

fn stations() -> Stations {
    let ports = BTreeMap::from([("tap7i0".to_owned(), "va".to_owned())]);
    let found = Linux::new(None).stations(&read(), &ports).expect("bridges can be read");
    found.get("tap7i0").cloned().unwrap_or_default()
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
        assert!(!stations().fixed.contains(MAC));
        let (port, mac) = ("tap7i0".to_owned(), MAC.to_owned());
        let add = NetworkStep::AddStation { port: port.clone(), mac: mac.clone() };
        let flags = [("isolated", true), ("learning", false), ("flood", false)];
        let flags: BTreeMap<_, _> = flags.map(|(name, on)| (name.to_owned(), on)).into();
        let set = NetworkStep::SetPortFlags { port: port.clone(), flags: flags.clone() };
        // Another time is no fault.
        quietly(&[add.clone(), set, add]);
        assert!(stations().fixed.iter().eq([MAC]), "{:?}", stations());
        let found = read().links["tap7i0"].flags.clone();
        for (flag, on) in &flags {
            assert_eq!(found.get(flag), Some(on), "{flag}: {found:?}");
        }
        let remove = NetworkStep::RemoveStation { port, mac };
        quietly(&[remove.clone(), remove]);
        assert!(stations().fixed.is_empty(), "{:?}", stations());
    });
}

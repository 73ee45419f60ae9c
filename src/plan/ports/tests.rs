//! What ports of guests get, on a kernel that takes steps as the real one does.

use super::*;
use crate::plan::{PortVlan, Target};

const TEXT: &str = "auto va\niface va\n\tbridge_ports none\n\
    auto vb\niface vb\n\tbridge_ports none\n";
const PORTS: &str = "# Written by weft: what ports of guests get.\nva isolated\n\
    vb static-macs\nvb mac bc:24:11:00:00:01\nvb mac nonsense and more\nvc other\n";

fn port(index: u32, bridge: &str) -> Link {
    let flags = [("isolated", false), ("learning", true), ("flood", true)];
    Link {
        kind: Some("tun".to_owned()),
        index,
        master: Some(bridge.to_owned()),
        up: true,
        flags: flags.into(),
        ..Link::default()
    }
}

fn kernel() -> Kernel {
    let bridge =
        |index| Link { index, kind: Some("bridge".to_owned()), up: true, ..Link::default() };
    let links = [
        ("va", bridge(1)),
        ("vb", bridge(2)),
        ("tap1i0", port(3, "va")),
        ("tap2i0", port(4, "vb")),
        ("vnet0", port(5, "vb")),
    ];
    let links = links.map(|(name, link)| (name.to_owned(), link)).into();
    Kernel { links, ..Kernel::default() }
}

fn target(old: &str, new: &str) -> Target {
    Target::between(&[TEXT], TEXT).with_ports(&[old], new)
}

fn names(steps: &[NetworkStep]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

fn told(lacking: &[Mismatch]) -> Vec<String> {
    lacking.iter().map(ToString::to_string).collect()
}

/// As the kernel takes the steps that concern ports.
fn carry_out(kernel: &mut Kernel, steps: &[NetworkStep]) {
    for step in steps {
        match step {
            NetworkStep::SetPortFlags { port, flags } => {
                for (name, is) in &mut kernel.links.get_mut(port).unwrap().flags {
                    *is = flags.get(*name).copied().unwrap_or(*is);
                }
            }
            NetworkStep::AddStation { port, mac } => {
                let vlans = kernel.links[port].vlan_numbers().chain([0]);
                let fixed = &mut kernel.stations.get_mut(port).unwrap().fixed;
                fixed.entry(mac.clone()).or_default().extend(vlans);
            }
            NetworkStep::RemoveStation { port, mac, vlan: Some(vlan) } => {
                let fixed = &mut kernel.stations.get_mut(port).unwrap().fixed;
                assert!(fixed.get_mut(mac).unwrap().remove(vlan));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn only_lines_of_the_file_are_read() {
    let read = rules(PORTS);
    assert_eq!(read.keys().map(IfName::as_str).collect::<Vec<_>>(), ["va", "vb"]);
    assert!(read["va"].isolated && read["va"].macs.is_none() && !read["vb"].isolated);
    assert_eq!(read["vb"].macs.as_ref().map(BTreeSet::len), Some(1));
}

#[test]
fn ports_of_proxmox_tell_whose_they_are() {
    for (port, guest) in [
        ("tap100i0", Some((100, 0))),
        ("veth7i31", Some((7, 31))),
        ("fwpr100p1", Some((100, 1))),
        ("tap100p0", None),
        ("tapi0", None),
        ("tap+1i0", None),
        ("tap99999999999i0", None),
        ("vnet0", None),
    ] {
        assert_eq!(guest_of_port(port), guest, "{port}");
    }
}

#[test]
fn a_port_is_isolated_where_that_is_declared_and_no_longer() {
    let mut kernel = kernel();
    let plain = target("", "");
    assert_eq!(plain.amend(&kernel, &[]), []);
    let isolates = target("", "va isolated\n");
    assert_eq!(
        told(&isolates.lacking_ports(&kernel)),
        ["`tap1i0` of a guest on `va` is not isolated"]
    );
    let found = isolates.verify(&kernel, &[]);
    assert_eq!(told(&found), ["`tap1i0` of a guest has lost its flag `isolated on`"]);
    // What was found before is no reason to keep it so.
    let before = plain.guests(&kernel);
    let steps = isolates.amend(&kernel, &before);
    assert_eq!(names(&steps), ["set the port tap1i0 isolated on"]);
    carry_out(&mut kernel, &steps);
    assert_eq!(isolates.amend(&kernel, &before), []);
    assert_eq!(
        (isolates.verify(&kernel, &before), isolates.lacking_ports(&kernel)),
        (vec![], vec![])
    );
    // Nobody declared it and somebody has it: it is theirs.
    assert_eq!(plain.amend(&kernel, &[]), []);
    let steps = target("va isolated\n", "").amend(&kernel, &[]);
    assert_eq!(names(&steps), ["set the port tap1i0 isolated off"]);
}

#[test]
fn a_port_stops_learning_when_its_bridge_knows_who_is_behind_it() {
    let mut kernel = kernel();
    let fixed = target("", PORTS);
    let asked = fixed.stations(&kernel);
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["tap2i0", "vnet0"]);
    // All of a bridge, guest or not.
    kernel.links.insert("vxlan_vb".to_owned(), Link { kind: None, ..port(6, "vb") });
    let all = fixed.stations(&kernel);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["tap2i0", "vnet0", "vxlan_vb"]);
    assert_eq!(names(&fixed.amend(&kernel, &[])), ["set the port tap1i0 isolated on"]);
    let configured = Some("bc:24:11:00:00:02".to_owned());
    let stations = [
        ("tap2i0", Stations { configured, ..Stations::default() }),
        (
            "vnet0",
            Stations { learnt: ["bc:24:11:00:00:01".to_owned()].into(), ..Stations::default() },
        ),
    ];
    kernel.stations = stations.map(|(port, of)| (port.to_owned(), of)).into();
    let fixed = target("", PORTS.replace("va isolated\n", "").as_str());
    let steps = fixed.amend(&kernel, &[]);
    assert_eq!(
        names(&steps),
        [
            "tell the bridge of tap2i0 that bc:24:11:00:00:02 is behind it",
            "tell the bridge of vnet0 that bc:24:11:00:00:01 is behind it",
        ]
    );
    carry_out(&mut kernel, &steps);
    let steps = fixed.amend(&kernel, &[]);
    assert_eq!(
        names(&steps),
        [
            "set the port tap2i0 flood off, learning off",
            "set the port vnet0 flood off, learning off",
        ]
    );
    carry_out(&mut kernel, &steps);
    assert_eq!((fixed.amend(&kernel, &[]), fixed.lacking_ports(&kernel)), (vec![], vec![]));
    let (_, new) = &fixed.ports;
    let old =
        format!("vb static-macs\nvb mac {}\n", new["vb"].macs.iter().flatten().next().unwrap());
    let steps = target(&old, "").amend(&kernel, &[]);
    assert_eq!(
        names(&steps),
        [
            "set the port tap2i0 flood on, learning on",
            "set the port vnet0 flood on, learning on",
            "let the bridge of tap2i0 forget that bc:24:11:00:00:02 is behind it",
            "let the bridge of vnet0 forget that bc:24:11:00:00:01 is behind it",
        ]
    );
}

#[test]
fn a_port_of_which_nothing_is_sure_goes_on_learning() {
    let fixed = target("", PORTS.replace("va isolated\n", "").as_str());
    let learnt = |macs: &[&str]| Stations {
        learnt: macs.iter().map(|&mac| mac.to_owned()).collect(),
        ..Stations::default()
    };
    for stations in [
        Stations::default(),
        // Not declared, and one of several.
        learnt(&["bc:24:11:00:00:07"]),
        learnt(&["bc:24:11:00:00:01", "bc:24:11:00:00:07"]),
    ] {
        let mut kernel = kernel();
        kernel.stations.insert("vnet0".to_owned(), stations);
        assert_eq!(fixed.amend(&kernel, &[]), []);
        // Nothing of the apply depends on it.
        assert_eq!(fixed.verify(&kernel, &[]), []);
        let told = told(&fixed.lacking_ports(&kernel));
        assert_eq!(
            told[1],
            "`vnet0` of a guest on `vb` still learns and floods, because nobody says which \
             MAC address is behind it"
        );
    }
}

const MAC: &str = "bc:24:11:00:00:01";

fn stations(learnt: &[&str], fixed: &[&str], configured: Option<&str>) -> Stations {
    Stations {
        learnt: learnt.iter().map(|&mac| mac.to_owned()).collect(),
        fixed: fixed.iter().map(|&mac| (mac.to_owned(), [0].into())).collect(),
        configured: configured.map(str::to_owned),
    }
}

/// The port of the guest that declares it, and a second one that says to have it too.
#[test]
fn an_address_that_another_port_of_the_bridge_has_is_nobodys() {
    let fixed = target("", PORTS.replace("va isolated\n", "").as_str());
    let (learns, told) = (stations(&[MAC], &[], None), stations(&[], &[MAC], None));
    let (both, own) = (stations(&[MAC], &[MAC], None), stations(&[], &[], Some(MAC)));
    let adds = "tell the bridge of vnet0 that bc:24:11:00:00:01 is behind it";
    let quiet = "set the port vnet0 flood off, learning off";
    for (here, there, steps) in [
        (&learns, None, vec![adds]),
        (&learns, Some(&learns), vec![]),
        (&learns, Some(&told), vec!["set the port tap2i0 flood off, learning off"]),
        (
            &learns,
            Some(&own),
            vec!["tell the bridge of tap2i0 that bc:24:11:00:00:01 is behind it"],
        ),
        // Somebody sends with what is fixed already.
        (&told, Some(&learns), vec![quiet]),
        (&both, Some(&learns), vec![quiet]),
        (&told, Some(&told), vec![]),
        (&told, Some(&own), vec!["tell the bridge of tap2i0 that bc:24:11:00:00:01 is behind it"]),
        (&own, Some(&own), vec![]),
    ] {
        let mut kernel = kernel();
        kernel.stations.insert("vnet0".to_owned(), here.clone());
        kernel.stations.extend(there.map(|there| ("tap2i0".to_owned(), there.clone())));
        assert_eq!(names(&fixed.port_steps(&kernel)), steps, "{here:?} {there:?}");
        assert_eq!(names(&fixed.amend(&kernel, &[])), steps, "{here:?} {there:?}");
    }
    // On another bridge it is another's.
    let mut kernel = kernel();
    kernel.stations.insert("vnet0".to_owned(), learns);
    kernel.stations.insert("tap1i0".to_owned(), told.clone());
    assert_eq!(names(&fixed.port_steps(&kernel)), [adds]);
    // What is no guest's port counts too: the guest may run on another node.
    kernel.links.insert("vxlan_vb".to_owned(), Link { kind: None, ..port(6, "vb") });
    kernel.stations.insert("vxlan_vb".to_owned(), told);
    assert_eq!(fixed.port_steps(&kernel), []);
}

fn vlan(first: u16, last: u16) -> PortVlan {
    PortVlan { first, last, pvid: false, untagged: false }
}

#[test]
fn a_bridge_knows_who_is_behind_a_port_in_each_of_its_vlans() {
    let fixed = target("", PORTS.replace("va isolated\n", "").as_str());
    let mut kernel = kernel();
    kernel.links.get_mut("vb").unwrap().vlan_filtering = true;
    kernel.links.get_mut("vnet0").unwrap().vlans = [vlan(5, 6)].into();
    kernel.stations.insert("vnet0".to_owned(), stations(&[MAC], &[], None));
    let settle = |kernel: &mut Kernel| {
        let mut said = Vec::new();
        for _ in 0..3 {
            let steps = [fixed.port_steps(kernel), fixed.surplus_steps(kernel)].concat();
            carry_out(kernel, &steps);
            said.extend(names(&steps));
        }
        assert_eq!((fixed.port_steps(kernel), fixed.surplus_steps(kernel)), (vec![], vec![]));
        said
    };
    let adds = "tell the bridge of vnet0 that bc:24:11:00:00:01 is behind it";
    assert_eq!(settle(&mut kernel), [adds, "set the port vnet0 flood off, learning off"]);
    assert_eq!(kernel.stations["vnet0"].fixed[MAC], [0, 5, 6].into());
    // One comes, and one goes.
    kernel.links.get_mut("vnet0").unwrap().vlans = [vlan(6, 7)].into();
    let forgets = "let the bridge of vnet0 forget that bc:24:11:00:00:01 is behind it in VLAN 5";
    assert_eq!(names(&fixed.station_steps(&kernel)), [adds]);
    assert_eq!(settle(&mut kernel), [adds, forgets]);
    assert_eq!(kernel.stations["vnet0"].fixed[MAC], [0, 6, 7].into());
    // Where nothing is filtered VLANs do not count.
    kernel.links.get_mut("vb").unwrap().vlan_filtering = false;
    kernel.links.get_mut("vnet0").unwrap().vlans = [vlan(1, 1)].into();
    assert_eq!((fixed.port_steps(&kernel), fixed.surplus_steps(&kernel)), (vec![], vec![]));
}

//! Orders and exchanges that a kernel or its guests would not forgive.

use crate::plan::{Engine, Kernel, Link, NetworkStep, Target};

fn target(before: &str, wanted: &str) -> Target {
    Target::between(&[before], wanted).with_engine(Engine::Native)
}

fn link(kind: &str, master: Option<&str>) -> Link {
    Link {
        index: 7,
        kind: Some(kind.to_owned()),
        master: master.map(str::to_owned),
        mtu: 1500,
        up: true,
        ..Link::default()
    }
}

fn vlan(id: u16, master: Option<&str>) -> Link {
    let (lower, tag) = (Some("vmbr0".to_owned()), "802.1q".to_owned());
    Link { lower, vlan: Some((id, tag)), ipv6_off: true, ..link("vlan", master) }
}

fn kernel(links: &[(&str, Link)]) -> Kernel {
    let links = links.iter().map(|(name, link)| ((*name).to_owned(), link.clone()));
    Kernel { links: links.collect(), ..Kernel::default() }
}

fn words(steps: &[NetworkStep]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

/// Two vnets that exchange their tags are never one segment.
#[test]
fn whatever_leaves_a_bridge_leaves_before_anything_joins() {
    let text = |one: u16, other: u16| {
        format!(
            "auto a\niface a\n\tbridge_ports vmbr0.{one}\nauto b\niface b\n\tbridge_ports vmbr0.{other}\n"
        )
    };
    let kernel = kernel(&[
        ("vmbr0", link("bridge", None)),
        ("a", link("bridge", None)),
        ("b", link("bridge", None)),
        ("vmbr0.10", vlan(10, Some("a"))),
        ("vmbr0.20", vlan(20, Some("b"))),
    ]);
    let steps = target(&text(10, 20), &text(20, 10)).amend(&kernel, &[]);
    let is_leave = |step: &NetworkStep| matches!(step, NetworkStep::SetMaster { master: None, .. });
    let is_join =
        |step: &NetworkStep| matches!(step, NetworkStep::SetMaster { master: Some(_), .. });
    let leaves: Vec<usize> = (0..steps.len()).filter(|place| is_leave(&steps[*place])).collect();
    let joins: Vec<usize> = (0..steps.len()).filter(|place| is_join(&steps[*place])).collect();
    assert_eq!((leaves.len(), joins.len()), (2, 2), "{:?}", words(&steps));
    assert!(leaves.iter().max() < joins.iter().min(), "{:?}", words(&steps));
}

/// One that has a stanza no more, and is a port by its name still, stays.
#[test]
fn a_vlan_that_loses_its_stanza_is_not_deleted() {
    let bridge = "auto z\niface z\n\tbridge_ports vmbr0.100\n";
    let before = format!("{bridge}auto vmbr0.100\niface vmbr0.100\n\tvlan-protocol 802.1q\n");
    let kernel = kernel(&[
        ("vmbr0", link("bridge", None)),
        ("z", link("bridge", None)),
        ("vmbr0.100", vlan(100, Some("z"))),
    ]);
    for engine in Engine::ALL {
        let target = Target::between(&[&before], bridge).with_engine(*engine);
        let steps = target.amend(&kernel, &[]);
        assert!(!words(&steps).iter().any(|step| step.contains("delete")), "{:?}", words(&steps));
        assert_eq!(target.verify(&kernel, &[]), []);
    }
}

#[test]
fn a_port_of_open_vswitch_is_set_when_its_stanza_says_otherwise() {
    let text = |bridge: &str, tag: u16| {
        format!(
            "auto ln_a\niface ln_a\n\tovs_type OVSIntPort\n\tovs_bridge {bridge}\n\tovs_options tag={tag}\n"
        )
    };
    let kernel = kernel(&[("ln_a", link("openvswitch", None))]);
    let steps = |before: &str, wanted: &str| words(&target(before, wanted).amend(&kernel, &[]));
    let (old, new) = (text("vmbr0", 5), text("vmbr0", 6));
    assert_eq!(steps(&old, &old), Vec::<String>::new());
    assert_eq!(steps(&old, &new), ["make ln_a a port of vmbr0: tag=6"]);
    let moved = steps(&old, &text("vmbr1", 5));
    assert_eq!(moved[..2], ["delete the port ln_a", "make ln_a a port of vmbr1: tag=5"]);
    // The kernel would not delete it.
    let veth = "auto ln_a\niface ln_a\n\tlink-type veth\n\tveth-peer-name pr_a\n";
    assert_eq!(steps(&old, veth)[0], "delete the port ln_a");
}

#[test]
fn the_spanning_tree_goes_off_before_the_delay_is_taken_away() {
    let text = "auto a\niface a\n\tbridge_ports none\n\tbridge_stp off\n\tbridge_fd 0\n";
    let found = Link { stp: true, forward_delay: 1500, ..link("bridge", None) };
    let steps = words(&target(text, text).amend(&kernel(&[("a", found)]), &[]));
    assert_eq!(steps, ["set a: stp off", "set a: forward delay 0"]);
}

//! Targets, and the steps to them by ifupdown2.

use crate::plan::{Family, Kernel, Link, NetworkStep, Target};

/// An EVPN zone's layers, a VLAN zone on a plain bridge, and a fabric.
const TEXT: &str = "auto v\niface v\n\tbridge_ports vxlan_v\n\tvrf vrf_z\n\
    auto vrf_z\niface vrf_z\n\tvrf-table auto\n\
    auto vrfbr_z\niface vrfbr_z\n\tbridge-ports vrfvx_z\n\tvrf vrf_z\n\
    auto vrfvx_z\niface vrfvx_z\n\tvxlan-id 10\n\tbridge-learning off\n\
    auto vxlan_v\niface vxlan_v\n\tvxlan-id 7\n\tbridge-learning off\n\
    auto ln_w\niface ln_w\n\tlink-type veth\n\tveth-peer-name pr_w\n\
    auto pr_w\niface pr_w\n\tlink-type veth\n\tveth-peer-name ln_w\n\
    auto vmbr0v5\niface vmbr0v5\n\tbridge_ports  eth0.5 pr_w\n\
    auto w\niface w\n\tbridge_ports ln_w\n\
    auto z_q\niface z_q\n\tbridge-ports vmbr0.9\n\
    auto q\niface q\n\tbridge_ports z_q.3\n\
    auto vmbr0\niface vmbr0\n\tovs_ports ln_o\n\
    auto eth1\niface eth1 inet static\n\taddress 10.9.0.1/31\n\tip-forward 1\n";

fn names(steps: &[NetworkStep]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

fn link(kind: Option<&str>) -> Link {
    Link { kind: kind.map(str::to_owned), up: true, ..Link::default() }
}

fn own() -> Kernel {
    let links = [("eth1", link(None)), ("vmbr0", link(Some("openvswitch")))];
    Kernel { links: links.map(|(name, link)| (name.to_owned(), link)).into(), ..Kernel::default() }
}

#[test]
fn what_others_lie_on_comes_first_and_goes_last() {
    let steps = Target::between(&[], TEXT).steps(&own());
    assert!(steps.before.is_empty());
    assert_eq!(
        names(&steps.after),
        ["bring up vrf_z eth1 ln_w pr_w vrfvx_z vxlan_v v vmbr0v5 vrfbr_z w z_q q"]
    );
    let mut kernel = own();
    for name in ["q", "w", "z_q", "vmbr0v5"] {
        kernel.links.insert(name.to_owned(), link(Some("bridge")));
    }
    kernel.links.insert("vrf_z".to_owned(), link(Some("vrf")));
    let steps = Target::between(&[TEXT], "").steps(&kernel);
    assert_eq!(steps.after[0].to_string(), "take down q vmbr0v5 w z_q vrf_z");
}

#[test]
fn what_the_node_has_itself_stays() {
    let mut kernel = own();
    let addresses = ["10.9.0.1/31", "192.0.2.1/24"].map(|net| net.parse().expect("a net"));
    kernel.links.get_mut("eth1").expect("there").addresses = addresses.into();
    let target = Target::between(&[TEXT], "");
    assert_eq!(names(&target.steps(&kernel).after), ["take 10.9.0.1/31 off eth1"]);
    assert_eq!((target.verify(&kernel, &[]), target.amend(&kernel, &[])), (vec![], vec![]));
    // It is no obstacle either, whatever else it is used for.
    kernel.links.get_mut("eth1").expect("there").alias = Some("the uplink".to_owned());
    let own: &str = "auto eth1\niface eth1 inet static\n\taddress 10.9.0.1/31\n";
    let target = Target::between(&[], own);
    assert_eq!(target.foreign(&kernel).count(), 0);
    assert_eq!((target.verify(&kernel, &[]), target.amend(&kernel, &[])), (vec![], vec![]));
}

#[test]
fn an_interface_of_a_fabric_has_to_forward_and_is_left_so() {
    let text = "auto eth1\niface eth1 inet static\n\tip-forward 1\n";
    let mut kernel = own();
    let target = Target::between(&[text], text);
    assert_eq!(target.verify(&kernel, &[])[0].to_string(), "`eth1` does not forward IPv4");
    assert_eq!(names(&target.steps(&kernel).after), ["bring up eth1"]);
    kernel.links.get_mut("eth1").expect("there").forwards = [Family::V4].into();
    assert!(target.verify(&kernel, &[]).is_empty());
    // The node itself may want it too.
    assert!(names(&Target::between(&[text], "").steps(&kernel).after).is_empty());
}

#[test]
fn what_ifupdown2_missed_is_brought_up_again() {
    let text =
        "auto dummy_f\niface dummy_f inet static\n\taddress 10.9.0.1/32\n\tlink-type dummy\n";
    let target = Target::between(&[], text);
    let links = [("dummy_f".to_owned(), link(Some("dummy")))].into();
    let mut kernel = Kernel { links, ..Kernel::default() };
    assert_eq!(names(&target.amend(&kernel, &[])), ["bring up dummy_f"]);
    let dummy = kernel.links.get_mut("dummy_f").expect("there");
    dummy.addresses.extend("10.9.0.1/32".parse::<ipnet::IpNet>());
    assert_eq!(target.amend(&kernel, &[]), []);
}

#[test]
fn tags_of_a_bridge_are_its_own_again() {
    let text = "auto vmbr0\niface vmbr0\n\tbridge-vlan-protocol 802.1ad\n";
    let vmbr0 = Link { vlan_protocol: Some("802.1ad".to_owned()), ..link(Some("bridge")) };
    let links = [("vmbr0".to_owned(), vmbr0)].into();
    let mut kernel = Kernel { links, ..Kernel::default() };
    let steps =
        |old, new, kernel: &Kernel| names(&Target::between(&[old], new).steps(kernel).after);
    assert_eq!(steps(text, "", &kernel), ["let vmbr0 filter VLANs by its own tags"]);
    assert_eq!(steps(text, text, &kernel), Vec::<String>::new());
    let vmbr0 = kernel.links.get_mut("vmbr0").expect("there");
    vmbr0.vlan_protocol = Some("802.1q".to_owned());
    assert_eq!(steps(text, "", &kernel), Vec::<String>::new());
    assert_eq!(steps(text, text, &kernel), ["bring up vmbr0"]);
}

#[test]
fn a_vlan_that_nobody_uses_goes_with_the_bridge_that_it_was_made_for() {
    let target = Target::between(&["auto v\niface v\n\tbridge_ports vmbr0.5\n"], "");
    let vlan = |master: Option<&str>, address: Option<&str>| Link {
        vlan: Some((5, "802.1q".to_owned())),
        master: master.map(str::to_owned),
        addresses: address.and_then(|net| net.parse().ok()).into_iter().collect(),
        ..link(Some("vlan"))
    };
    for (found, goes) in [
        (vlan(None, None), true),
        (vlan(Some("vmbr1"), None), false),
        (vlan(None, Some("192.0.2.1/24")), false),
        (link(None), false),
    ] {
        let links = [("vmbr0.5".to_owned(), found)].into();
        let mut kernel = Kernel { links, ..Kernel::default() };
        assert_eq!(target.amend(&kernel, &[]).len(), usize::from(goes));
        let upper = Link { lower: Some("vmbr0.5".to_owned()), ..link(Some("macvtap")) };
        kernel.links.insert("on-top".to_owned(), upper);
        assert!(target.amend(&kernel, &[]).is_empty());
    }
}

#[test]
fn a_routing_daemon_sends_where_it_wants() {
    let target = Target::between(&[], "auto x\niface x\n\tvxlan-id 7\n\tbridge-learning off\n");
    let tunnel = crate::plan::Tunnel {
        id: 7,
        port: 4789,
        learning: false,
        remotes: ["192.0.2.9".parse().expect("an address")].into(),
        local: None,
    };
    let flags = [("learning", false)].into();
    let x = Link { tunnel: Some(tunnel), flags, ..link(Some("vxlan")) };
    let mut kernel = Kernel { links: [("x".to_owned(), x)].into(), ..Kernel::default() };
    assert_eq!((target.verify(&kernel, &[]), target.amend(&kernel, &[])), (vec![], vec![]));
    let x = kernel.links.get_mut("x").expect("there");
    x.flags.insert("learning", true);
    let found = target.verify(&kernel, &[]);
    assert_eq!(found[0].to_string(), "`x` lacks the flag `learning off`");
}

#[test]
fn both_ends_of_a_cable_are_made_again_together() {
    let text = "auto a\niface a\n\tlink-type veth\n\tveth-peer-name b\n\
        auto b\niface b\n\tlink-type veth\n\tveth-peer-name a\n\
        auto v\niface v\n\tbridge_ports a\n";
    let veth = |lower: &str, master: Option<&str>| Link {
        lower: Some(lower.to_owned()),
        master: master.map(str::to_owned),
        ..link(Some("veth"))
    };
    let links = [("a", veth("b", Some("v"))), ("b", veth("x", None)), ("v", link(Some("bridge")))];
    let links = links.map(|(name, link)| (name.to_owned(), link)).into();
    let steps = Target::between(&[text], text).steps(&Kernel { links, ..Kernel::default() });
    assert_eq!(names(&steps.before), ["take down a b"]);
    assert_eq!(names(&steps.after), ["bring up a b v"]);
}

//! Orders and exchanges that a kernel or its guests would not forgive.

use crate::plan::{Engine, Family, Kernel, Link, LocalRule, NetworkStep, Target, Tunnel};

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

fn index_of(steps: &[String], wanted: &str) -> usize {
    let found = steps.iter().position(|step| step == wanted);
    found.unwrap_or_else(|| panic!("no `{wanted}` in {steps:?}"))
}

#[test]
fn own_addresses_come_after_those_of_vrfs_as_long_as_there_are_any() {
    let (vrf, none) = ("auto vrf_a\niface vrf_a\n\tvrf-table auto\n", "");
    let kernel = |names: &[&str], rule: LocalRule| {
        let link = Link { table: Some(1001), ..link("vrf", None) };
        let links = names.iter().map(|name| ((*name).to_owned(), link.clone()));
        let local_rules = [(Family::V4, rule)].into();
        Kernel { links: links.collect(), local_rules, ..Kernel::default() }
    };
    let rules = |old: &str, new: &str, kernel: &Kernel| {
        let mut steps = words(&target(old, new).amend(kernel, &[]));
        steps.retain(|step| step.contains("look up"));
        steps
    };

    let (after, first) =
        ("look up own IPv4 addresses after those of VRFs", "look up own IPv4 addresses first");
    let no_more = |step: &str| format!("{step} no more");
    assert_eq!(rules(none, vrf, &kernel(&[], LocalRule::First)), [after, &no_more(first)]);
    assert_eq!(rules(vrf, vrf, &kernel(&["vrf_a"], LocalRule::Last)), Vec::<String>::new());
    assert_eq!(rules(vrf, none, &kernel(&["vrf_a"], LocalRule::Last)), [first, &no_more(after)]);
    // Somebody else's needs it as well.
    assert_eq!(
        rules(vrf, none, &kernel(&["vrf_a", "mgmt"], LocalRule::Last)),
        Vec::<String>::new()
    );
    assert_eq!(rules(none, none, &kernel(&[], LocalRule::First)), Vec::<String>::new());
}

/// The kernel takes it from one to the other, its guests with it.
#[test]
fn a_bridge_changes_its_vrf_in_place() {
    let vrfs =
        "auto vrf_a\niface vrf_a\n\tvrf-table auto\nauto vrf_b\niface vrf_b\n\tvrf-table auto\n";
    let text = |vrf: &str| {
        format!(
            "{vrfs}auto v\niface v\n\tbridge_ports none\n\taddress 10.0.0.1/24\n\taddress fd00::1/64\n\
             \taddress fe80::1/64\n\tup ip route add 10.9.0.0/24 dev v\n{vrf}"
        )
    };
    let (none, a, b) = (text(""), text("\tvrf vrf_a\n"), text("\tvrf vrf_b\n"));
    let kernel = |master: Option<&str>| {
        let addresses = ["10.0.0.1/24", "fd00::1/64"].map(|net| net.parse().expect("a prefix"));
        let v = Link {
            addresses: addresses.into(),
            link_addresses: ["fe80::1/64".parse().expect("a prefix")].into(),
            forwards: if master.is_some() { [Family::V4, Family::V6].into() } else { [].into() },
            ..link("bridge", master)
        };
        let vrf = |table| Link { table: Some(table), ..link("vrf", None) };
        let route = ("10.9.0.0/24".parse().expect("a prefix"), "v".to_owned());
        let kernel = self::kernel(&[("vrf_a", vrf(1001)), ("vrf_b", vrf(1002)), ("v", v)]);
        Kernel { routes: [route].into(), ..kernel }
    };
    for (old, new, found, step) in [
        (&a, &b, Some("vrf_a"), "put v into vrf_b"),
        (&none, &a, None, "put v into vrf_a"),
        (&a, &none, Some("vrf_a"), "take v out of what it is in"),
    ] {
        let target = target(old, new);
        let kernel = kernel(found);
        let steps = words(&target.amend(&kernel, &[]));
        // It goes down for a moment, and loses what that costs.
        let moved = index_of(&steps, step);
        for again in
            ["add fd00::1/64 to v", "add fe80::1/64 to v", "add a route to 10.9.0.0/24 by v"]
        {
            assert!(moved < index_of(&steps, again), "{steps:?}");
        }
        assert!(!steps.iter().any(|step| step.contains("anew") || step.contains("10.0.0.1/24")));
        let is_stopped = steps.iter().any(|step| step == "stop forwarding IPv4 from v");
        assert_eq!(is_stopped, new == &none, "{steps:?}");
        assert!(target.bridges_taken(Some(&kernel)).is_empty());
        assert!(!target.verify(&kernel, &[]).is_empty());
    }
    // ifupdown2 never takes one out.
    let other = Target::between(&[&a], &none);
    assert_eq!(other.bridges_taken(Some(&kernel(Some("vrf_a")))).len(), 1);
}

#[test]
fn a_tunnel_sends_from_another_address_in_place() {
    let text = |local: &str| {
        let local = if local.is_empty() {
            String::new()
        } else {
            format!("\tvxlan-local-tunnelip {local}\n")
        };
        format!("auto x\niface x\n\tvxlan-id 7\n{local}")
    };
    let found = |local: &str, learning: bool| {
        let (local, remotes) = (local.parse().ok(), [].into());
        let tunnel = Tunnel { id: 7, port: 4789, local, learning, remotes };
        kernel(&[("x", Link { tunnel: Some(tunnel), ..link("vxlan", None) })])
    };
    let steps = |old: &str, learning: bool, new: &str| {
        words(&target(&text(old), &text(new)).amend(&found(old, learning), &[]))
    };
    let (one, other) = ("192.0.2.1", "192.0.2.2");
    let from = |address: &str| format!("send from x by {address}, and learn where other ends are");
    assert_eq!(steps(one, true, one), Vec::<String>::new());
    assert_eq!(steps(one, true, other), [from(other)]);
    assert_eq!(steps(one, false, one), [from(one)]);
    assert_eq!(steps("", true, one), [from(one)]);
    assert_eq!(steps(one, true, ""), [from("any address")]);
    assert_eq!(steps("fd00::1", true, "fd00::2"), [from("fd00::2")]);
    for (old, new) in [(one, "fd00::1"), ("", "fd00::1"), ("fd00::1", ""), ("fd00::1", one)] {
        assert!(steps(old, true, new)[0].starts_with("make x anew: sends from"), "{old} {new}");
    }
    let ifupdown2 = Target::between(&[&text(one)], &text(other)).steps(&found(one, true));
    assert_eq!(words(&ifupdown2.before), ["take down x"]);
}

#[test]
fn an_address_of_the_link_alone_is_set_again_and_those_of_the_kernel_stay() {
    let text = "auto a\niface a\n\tbridge_ports none\n\taddress fe80::1/64\n";
    let without = "auto a\niface a\n\tbridge_ports none\n";
    let net = |net: &str| net.parse::<ipnet::IpNet>().expect("a prefix");
    let has = |all: &[&str]| {
        let link_addresses = all.iter().map(|one| net(one)).collect();
        kernel(&[("a", Link { link_addresses, ..link("bridge", None) })])
    };
    let own = "fe80::c0ff:eeff:fe00:1/64";
    let lost = has(&[own]);
    assert_eq!(words(&target(text, text).amend(&lost, &[])), ["add fe80::1/64 to a"]);
    assert_eq!(
        target(text, text).verify(&lost, &[])[0].to_string(),
        "`a` has no address fe80::1/64"
    );
    let whole = has(&[own, "fe80::1/64"]);
    assert_eq!(target(text, text).amend(&whole, &[]), []);
    assert_eq!(target(text, text).verify(&whole, &[]), []);
    assert_eq!(words(&target(text, without).amend(&whole, &[])), ["take fe80::1/64 off a"]);
    assert_eq!(target(without, without).amend(&whole, &[]), []);
}

/// One that the kernel does not tell of it would not have after it was set, either.
#[test]
fn a_kernel_is_not_asked_again_for_what_it_does_not_know() {
    let text = "auto a\niface a\n\tbridge_ports x\nauto x\niface x\n\tvxlan-id 7\n\tbridge-learning off\n\
        \tbridge-arp-nd-suppress on\n";
    let tunnel = Tunnel { id: 7, port: 4789, ..Tunnel::default() };
    let flags = |all: &[(&'static str, bool)]| all.iter().copied().collect();
    let x = |router: Option<u8>, all: &[(&'static str, bool)]| Link {
        tunnel: Some(tunnel.clone()),
        multicast_router: router,
        flags: flags(all),
        ipv6_off: true,
        ..link("vxlan", Some("a"))
    };
    let steps = |x: Link| {
        let a = Link { ipv6_off: true, ..link("bridge", None) };
        words(&target(text, text).amend(&kernel(&[("a", a), ("x", x)]), &[]))
    };
    assert_eq!(steps(x(None, &[("learning", false)])), Vec::<String>::new());
    assert_eq!(
        steps(x(Some(1), &[("learning", false), ("neigh_suppress", false)])),
        ["set the port x neigh_suppress on", "set the multicast router of x to 2"]
    );
    // Without IPv6 there is nothing to switch off of what is made, either.
    let off = Link { ipv6_off: true, ..link("bridge", None) };
    let made = words(&target("", text).amend(&kernel(&[("lo", off)]), &[]));
    assert!(!made.iter().any(|step| step.contains("disable_ipv6")), "{made:?}");
    let made = words(&target("", text).amend(&kernel(&[("lo", link("bridge", None))]), &[]));
    assert!(made.iter().any(|step| step == "set net/ipv6/conf/x/disable_ipv6 to 1"), "{made:?}");
}

/// The kernel deletes the later addresses of a network with the first, and routes with the last.
#[test]
fn an_address_that_takes_the_place_of_another_comes_after_it() {
    let text = |address: &str| {
        format!(
            "auto a\niface a\n\tbridge_ports none\n\taddress 10.7.0.1/24\n\taddress {address}\n\
             \tup ip route add 10.9.0.0/24 dev a\n"
        )
    };
    let net = |net: &str| net.parse::<ipnet::IpNet>().expect("a prefix");
    let found = |all: &[&str]| {
        let addresses = all.iter().map(|one| net(one)).collect();
        let kernel = kernel(&[("a", Link { addresses, ..link("bridge", None) })]);
        Kernel { routes: [(net("10.9.0.0/24"), "a".to_owned())].into(), ..kernel }
    };
    let steps =
        |old: &str, new: &str, all: &[&str]| words(&target(old, new).amend(&found(all), &[]));
    let (one, other) = (text("10.0.0.1/24"), text("10.0.0.2/24"));
    assert_eq!(
        steps(&one, &other, &["10.7.0.1/24", "10.0.0.1/24"]),
        ["take 10.0.0.1/24 off a", "add 10.0.0.2/24 to a"]
    );
    // In another network there is no moment without.
    assert_eq!(
        steps(&one, &text("10.1.0.1/24"), &["10.7.0.1/24", "10.0.0.1/24"]),
        ["add 10.1.0.1/24 to a", "take 10.0.0.1/24 off a"]
    );
    let single = |address: &str| text(address).replace("\taddress 10.7.0.1/24\n", "");
    assert_eq!(
        steps(&single("10.0.0.1/24"), &single("10.0.0.2/24"), &["10.0.0.1/24"]),
        ["take 10.0.0.1/24 off a", "add 10.0.0.2/24 to a", "add a route to 10.9.0.0/24 by a"]
    );
    // Of an interface of the node's own too.
    let own = |address: &str| format!("auto a\niface a inet static\n\taddress {address}\n");
    let kernel = kernel(&[(
        "a",
        Link {
            kind: None,
            addresses: [net("10.0.0.1/24"), net("192.0.2.1/24")].into(),
            ..link("bridge", None)
        },
    )]);
    assert_eq!(
        words(&target(&own("10.0.0.1/24"), &own("10.0.0.2/24")).amend(&kernel, &[])),
        ["take 10.0.0.1/24 off a", "add 10.0.0.2/24 to a"]
    );
}

#[test]
fn a_vlan_by_its_name_alone_is_made_anew_only_where_it_is_ours() {
    let text = "auto z\niface z\n\tbridge_ports vmbr0.10\n";
    let other = Link { vlan: Some((10, "802.1ad".to_owned())), ..vlan(10, Some("z")) };
    let kernel = kernel(&[
        ("vmbr0", link("bridge", None)),
        ("z", link("bridge", None)),
        ("vmbr0.10", other),
    ]);
    let steps = words(&target(text, text).amend(&kernel, &[]));
    assert_eq!(
        steps[..2],
        [
            "make vmbr0.10 anew: is VLAN 10 of 802.1ad, where 10 of 802.1q is wanted",
            "create vmbr0.10: vlan 10 (802.1q) of vmbr0"
        ]
    );
    let foreign = |target: &Target| -> Vec<String> {
        target.foreign(&kernel).map(|name| name.to_string()).collect()
    };
    assert!(foreign(&target(text, text)).is_empty());
    let new = target("", &text.replace('z', "y"));
    assert_eq!(foreign(&new), ["vmbr0.10"]);
    assert!(!words(&new.amend(&kernel, &[])).iter().any(|step| step.contains("anew")));
}

#[test]
fn a_table_of_a_vrf_that_is_no_more_is_given_again_when_there_is_no_other() {
    let text = "auto vrf_n\niface vrf_n\n\tvrf-table auto\n";
    let mut kernel = kernel(&[("vrf_x", Link { table: Some(1001), ..link("vrf", None) })]);
    kernel.tables = (1001..5000).map(|table| (format!("vrf_{table}"), table)).collect();
    let table = |kernel: &Kernel| words(&target("", text).amend(kernel, &[]))[0].clone();
    assert_eq!(table(&kernel), "name the table 5000 vrf_n");
    kernel.tables.insert("vrf_5000".to_owned(), 5000);
    assert_eq!(table(&kernel), "name the table 1002 vrf_n");
    // Its own stays its own.
    kernel.tables.insert("vrf_n".to_owned(), 3000);
    assert_eq!(table(&kernel), "create vrf_n: vrf with the table 3000");
}

#[test]
fn open_vswitch_is_asked_for_the_mtu_of_its_port() {
    let text =
        |mtu: &str| format!("auto l\niface l\n\tovs_type OVSIntPort\n\tovs_bridge vmbr0\n{mtu}");
    let port = |mtu| kernel(&[("l", Link { mtu, ..link("openvswitch", None) })]);
    let (none, small) = (text(""), text("\tovs_mtu 1400\n"));
    for (old, new, found, mtu) in [(&none, &small, 1500, 1400), (&small, &none, 1400, 1500)] {
        let steps = target(old, new).amend(&port(found), &[]);
        let interface = "l".parse().expect("a name");
        assert_eq!(steps, [NetworkStep::SetOvsMtu { interface, mtu }]);
    }
}

#[test]
fn a_bridge_has_a_mac_address_of_its_own_when_it_is_given_none() {
    let text = |more: &str| format!("auto v\niface v\n\tbridge_ports none\n{more}");
    let given = text("\thwaddress BC:24:11:00:00:01\n");
    let mac = |mac: &str, link: Link| Link { mac: Some(mac.to_owned()), ..link };
    let steps = |is: &str| {
        let kernel = kernel(&[
            ("v", mac(is, link("bridge", None))),
            ("tap1i0", mac("fe:00:00:00:00:02", link("tun", Some("v")))),
            ("tap2i0", mac("fe:00:00:00:00:01", link("tun", Some("v")))),
        ]);
        words(&target(&given, &text("")).amend(&kernel, &[]))
    };
    assert_eq!(steps("bc:24:11:00:00:01"), ["set the MAC address of v to fe:00:00:00:00:01"]);
    assert_eq!(steps("fe:00:00:00:00:01"), Vec::<String>::new());
}

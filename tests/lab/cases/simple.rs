//! Simple zones: a routed bridge with SNAT, and what ifupdown2 does to ports of guests.

use crate::cases::reference;
use crate::equivalence::Ifupdown2;
use crate::guest::Guest;
use crate::lab::{BEYOND, Lab, OUTSIDE};
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "simple_snat_with_ifreload",
        &[Need::Bridge, Need::IptablesNft, Need::Reference],
        simple_snat_with_ifreload,
    ),
    Case::new(
        "stock_ifupdown2_ejects_guest_ports",
        &[Need::Bridge, Need::Reference],
        stock_ifupdown2_ejects_guest_ports,
    ),
];

/// A guest of a simple zone reaches an address outside through the node's SNAT.
fn simple_snat_with_ifreload(lab: &Lab) {
    let node = lab.node(1);
    node.put(SDN_FILE, reference("simple/ipv4snat/expected_sdn_interfaces"));
    node.boot_network();
    let guest = guest_of_simple_zone(lab, &node, 101);
    guest.reaches("10.0.0.1");
    guest.reaches(&OUTSIDE.to_string());
    guest.reaches(&BEYOND.to_string());

    // The host outside has no route to the guest's network: only SNAT lets answers back.
    assert_eq!(lab.outside().exec(&["ip", "route", "show", "10.0.0.0/24"]).ok(), "");
    let rules = node.exec(&["iptables-save", "-t", "nat"]).ok();
    let rule = "-A POSTROUTING -s 10.0.0.0/24 -o vmbr0 -j SNAT --to-source 192.168.0.1";
    assert_eq!(rules.lines().filter(|line| *line == rule).count(), 1, "{rules}");
}

/// Debian's ifupdown2 throws a guest's port out of its bridge and downs it on a reload
/// that changes nothing; Proxmox' keeps it. Debian's also fails on every reload but the
/// first where iproute2's directory is missing, and has thrown the port out by then.
fn stock_ifupdown2_ejects_guest_ports(lab: &Lab) {
    let builds = [(1, Ifupdown2::PveEquivalent), (2, Ifupdown2::Stock)];
    for (number, ifupdown2) in builds {
        let node = lab.node_with(number, ifupdown2);
        node.put(SDN_FILE, reference("simple/basic/expected_sdn_interfaces"));
        node.boot_network();
        let guest = Guest::plan(100 + u32::from(number)).start(lab, &node, "myvnet");
        let state = || {
            let flags = node.read(&format!("/sys/class/net/{}/flags", guest.port()));
            let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
            (node.master(&guest.port()), flags.is_ok_and(|flags| flags & 1 == 1))
        };
        let in_place = (Some("myvnet".to_owned()), true);
        assert_eq!(state(), in_place);
        let reloaded = node.ifreload();
        if ifupdown2 == Ifupdown2::PveEquivalent {
            reloaded.ok();
            assert_eq!(state(), in_place);
            continue;
        }
        assert!(reloaded.stderr.contains("/etc/iproute2/rt_tables.d"), "{}", reloaded.stderr);
        assert_eq!((reloaded.code(), state()), (1, (None, false)));
        node.exec(&["ip", "link", "set", &guest.port(), "master", "myvnet", "up"]).ok();
        node.exec(&["mkdir", "-p", "/etc/iproute2/rt_tables.d"]).ok();
        assert_eq!(state(), in_place);
        node.ifreload().ok();
        assert_eq!(state(), (None, false));
    }
}

fn guest_of_simple_zone(lab: &Lab, node: &Node, number: u32) -> Guest {
    Guest::plan(number).address("10.0.0.10/24").gateway("10.0.0.1").start(lab, node, "myvnet")
}

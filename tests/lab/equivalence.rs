//! PVE-equivalence: all that makes a node's Debian behave like a node of Proxmox VE.
//! Proxmox ships an ifupdown2 of its own; these are the differences that matter here.

use crate::machine::Machine;

/// Which ifupdown2 a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ifupdown2 {
    /// Debian's, with what Proxmox' build does otherwise.
    PveEquivalent,
    /// Debian's, untouched.
    Stock,
}

/// A text of ifupdown2's that is there exactly once, and what it becomes.
struct Patch {
    file: &'static str,
    found: &'static str,
    wanted: &'static str,
}

const PATCHES: [Patch; 3] = [
    // Ports of guests stay in their bridge, though no stanza names them. Debian's build
    // removes every port it does not know whenever a bridge is looked at.
    Patch {
        file: "/usr/share/ifupdown2/addons/bridge.py",
        found: "if bridgeportscondoneregex and bridgeportscondoneregex.match(bport):",
        wanted: "if re.match(r'(tap|veth|fwpr|fwln)[0-9]', bport) or \
                 (bridgeportscondoneregex and bridgeportscondoneregex.match(bport)):",
    },
    // QinQ on a plain bridge makes a VLAN interface a port of a VLAN-aware bridge.
    Patch {
        file: "/usr/share/ifupdown2/addons/bridge.py",
        found: "if port_obj_l and port_obj_l[0].link_kind & ifaceLinkKind.VLAN:",
        wanted: "if False:",
    },
    // More than one VLAN-aware bridge on a node.
    Patch {
        file: "/etc/network/ifupdown2/ifupdown2.conf",
        found: "multiple_vlan_aware_bridge_support=0",
        wanted: "multiple_vlan_aware_bridge_support=1",
    },
];

/// iproute2 of Debian 13 does not bring this directory, and `vrf-table auto` writes to it.
const ROUTE_TABLES: &str = "/etc/iproute2/rt_tables.d/README";

/// Makes the machine's ifupdown2 what was asked for; the case fails when this version
/// of ifupdown2 is not the one that the patches were written for.
#[track_caller]
pub(crate) fn prepare(machine: &Machine, ifupdown2: Ifupdown2) {
    if ifupdown2 == Ifupdown2::Stock {
        return;
    }
    for Patch { file, found, wanted } in &PATCHES {
        let text = machine.read(file);
        let times = text.matches(found).count();
        assert!(times == 1, "{file} has {found:?} {times} times, not once");
        machine.put(file, text.replace(found, wanted));
    }
    machine.put(ROUTE_TABLES, "");
}

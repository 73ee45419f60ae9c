//! Samples are iproute2 6.15's, shortened.

use std::collections::BTreeSet;

use super::super::devices::sample;
use super::{Made, OvsBridges, from_definitions, from_kernel};
use crate::facts::{Bridge, BridgeKind, Interface};
use crate::host::interfaces::definitions;

/// The administrator's file.
const OWN: &str = "\
auto lo
iface lo inet loopback
iface eno1 inet manual
iface eno2 inet manual
        mtu 9000
auto bond0
iface bond0 inet manual
        bond-slaves eno2
        hwaddress ether AA:BB:CC:00:00:02
auto vmbr0
iface vmbr0 inet static
        address 192.0.2.2/24
        bridge-ports eno1
        bridge-stp off
iface vmbr0 inet6 static
        address 2001:db8::2/64
auto vmbr1
iface vmbr1 inet manual
        bridge_ports bond0 dummy0
        bridge_vlan_aware yes
        mtu 9000
iface dummy0 inet manual
        link-type dummy
auto vmbr2
iface vmbr2 inet manual
        ovs_type OVSBridge
        ovs_ports eno9 int0
        ovs_mtu 1600
iface int0 inet manual
        ovs_type OVSIntPort
        ovs_bridge vmbr2
auto vmbr3
iface vmbr3 inet manual
        bridge-ports none
iface vmbr3:1 inet static
        address 192.0.2.3/24
source /etc/network/interfaces.d/*
";

/// What weft made beside it.
const SDN: &str = "auto va\niface va\n\tbridge_ports vmbr1.100\n\
    auto ln_vb\niface ln_vb\n\tlink-type veth\n\tveth-peer-name pr_vb\n\
    auto eno3\niface eno3 inet static\n\taddress 10.9.0.0/31\n";

const LINKS: &str = r#"[
{"ifname":"lo","mtu":65536,"link_type":"loopback","address":"00:00:00:00:00:00"},
{"ifname":"eno1","mtu":1500,"link_type":"ether","address":"AA:bb:cc:00:00:01","master":"vmbr0","altnames":["enp1s0","an-alternative-name-that-is-long"]},
{"ifname":"eno3","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:03"},
{"ifname":"vmbr0","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:01","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":0}}},
{"ifname":"vmbr1","mtu":9000,"link_type":"ether","address":"aa:bb:cc:00:00:02","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":1}}},
{"ifname":"bond0","mtu":9000,"link_type":"ether","address":"aa:bb:cc:00:00:02","master":"vmbr1","linkinfo":{"info_kind":"bond","info_data":{}}},
{"ifname":"bond0.7","mtu":9000,"link_type":"ether","address":"aa:bb:cc:00:00:02","linkinfo":{"info_kind":"vlan","info_data":{"id":7,"protocol":"802.1Q"}}},
{"ifname":"vmbr2","mtu":1600,"link_type":"ether","address":"aa:bb:cc:00:00:09","linkinfo":{"info_kind":"openvswitch"}},
{"ifname":"ovs-system","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:0a","linkinfo":{"info_kind":"openvswitch"}},
{"ifname":"eno9","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:09","master":"ovs-system","linkinfo":{"info_slave_kind":"openvswitch"}},
{"ifname":"va","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:02","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":0}}},
{"ifname":"vmbr1.100","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:02","master":"va","linkinfo":{"info_kind":"vlan","info_data":{"id":100,"protocol":"802.1Q"}}},
{"ifname":"ln_vb","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:0b","linkinfo":{"info_kind":"veth"}},
{"ifname":"tap101i0","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:0c","master":"vmbr0","linkinfo":{"info_kind":"tun","info_data":{}}},
{"ifname":"fwbr101i0","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:0d","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":0}}},
{"ifname":"docker0","mtu":1500,"link_type":"ether","address":"aa:bb:cc:00:00:0e","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":0}}}
]"#;

fn bridges(found: &[Bridge]) -> Vec<String> {
    let kind = |bridge: &Bridge| match bridge.kind {
        BridgeKind::Plain => "plain",
        BridgeKind::VlanAware => "aware",
        BridgeKind::Ovs => "ovs",
    };
    let words = |bridge: &Bridge| {
        let ports = bridge.ports.iter().map(AsRef::as_ref);
        let words: Vec<&str> =
            [bridge.name.as_str(), kind(bridge)].into_iter().chain(ports).collect();
        words.join(" ")
    };
    found.iter().map(words).collect()
}

fn interfaces(found: &[Interface]) -> Vec<String> {
    let interface = |i: &Interface| {
        let mac = i.mac.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let master = i.master.as_ref().map_or("-", AsRef::as_ref);
        format!("{} {mac} {master} {}", i.name, i.mtu)
    };
    found.iter().map(interface).collect()
}

#[test]
fn a_machine_has_what_is_its_own() {
    let named: BTreeSet<String> = definitions(OWN).keys().map(ToString::to_string).collect();
    let made = Made::of(SDN, &named, &[]);
    let ovs = OvsBridges::from([("vmbr2".to_owned(), vec!["eno9".to_owned(), "ln_x".to_owned()])]);
    let devices = sample::devices(LINKS);
    let (b, i) = from_kernel(&devices, &made, &named, &ovs);
    assert_eq!(bridges(&b), ["vmbr0 plain eno1", "vmbr1 aware bond0", "vmbr2 ovs eno9"]);
    assert_eq!(
        interfaces(&i),
        [
            "bond0 aa:bb:cc:00:00:02 vmbr1 9000",
            "bond0.7 aa:bb:cc:00:00:02 - 9000",
            "eno1 aa:bb:cc:00:00:01 vmbr0 1500",
            "eno3 aa:bb:cc:00:00:03 - 1500",
            "eno9 aa:bb:cc:00:00:09 ovs-system 1500",
            "lo - - 65536",
            "vmbr0 aa:bb:cc:00:00:01 - 1500",
            "vmbr1 aa:bb:cc:00:00:02 - 9000",
            "vmbr2 aa:bb:cc:00:00:09 - 1600",
        ]
    );
    let eno1 = i.iter().find(|interface| interface.name.as_str() == "eno1").expect("there");
    // A longer one is legal for the kernel, and none that stanzas can have.
    assert_eq!(eno1.altnames.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["enp1s0"]);
    let nothing = from_kernel(&[], &made, &named, &ovs);
    assert_eq!(nothing, (Vec::new(), Vec::new()));
}

#[test]
fn a_dry_node_has_what_its_file_would_make() {
    let (b, i) = from_definitions(&definitions(OWN));
    assert_eq!(
        bridges(&b),
        ["vmbr0 plain eno1", "vmbr1 aware bond0", "vmbr2 ovs eno9", "vmbr3 plain"]
    );
    assert_eq!(
        interfaces(&i),
        [
            "bond0 aa:bb:cc:00:00:02 vmbr1 1500",
            "dummy0 - vmbr1 1500",
            "eno1 - vmbr0 1500",
            "eno2 - - 9000",
            "eno9 - vmbr2 1500",
            "int0 - vmbr2 1500",
            "lo - - 65536",
            "vmbr0 - - 1500",
            "vmbr1 - - 9000",
            "vmbr2 - - 1600",
            "vmbr3 - - 1500",
        ]
    );
}

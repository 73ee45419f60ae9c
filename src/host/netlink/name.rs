//! Names of the kernel's numbers that the C library's crate does not have, from the headers
//! `linux/if_link.h`, `if_bridge.h`, `if_addr.h`, `veth.h`, `ip.h` and `ipv6.h`.

/// Of a bridge: how long a port waits before it forwards.
pub(crate) const IFLA_BR_FORWARD_DELAY: u16 = 1;
/// Of a bridge: whether it speaks the spanning tree protocol.
pub(crate) const IFLA_BR_STP_STATE: u16 = 5;
/// Of a bridge: whether it filters VLANs.
pub(crate) const IFLA_BR_VLAN_FILTERING: u16 = 7;
/// Of a bridge: the protocol of the tags that it filters by.
pub(crate) const IFLA_BR_VLAN_PROTOCOL: u16 = 8;

/// Of a port: how it learns of routers of multicast.
pub(crate) const IFLA_BRPORT_MULTICAST_ROUTER: u16 = 25;

/// Flags of ports of bridges: as `bridge -d -j link` names them and `bridge link set` takes them,
/// with the attribute of each.
pub(crate) const PORT_FLAGS: &[(&str, u16)] = &[
    ("bcast_flood", 30),
    ("fastleave", 7),
    ("flood", 9),
    ("guard", 5),
    ("hairpin", 4),
    ("isolated", 33),
    ("learning", 8),
    ("locked", 39),
    ("mab", 40),
    ("mcast_flood", 27),
    ("mcast_to_unicast", 28),
    ("neigh_suppress", 32),
    ("neigh_vlan_suppress", 43),
    ("root_block", 6),
    ("vlan_tunnel", 29),
];

/// Of a VXLAN interface: its network identifier.
pub(crate) const IFLA_VXLAN_ID: u16 = 1;
/// Of a VXLAN interface: the IPv4 address that it sends from.
pub(crate) const IFLA_VXLAN_LOCAL: u16 = 4;
/// Of a VXLAN interface: whether it learns.
pub(crate) const IFLA_VXLAN_LEARNING: u16 = 7;
/// Of a VXLAN interface: its UDP port.
pub(crate) const IFLA_VXLAN_PORT: u16 = 15;
/// Of a VXLAN interface: the IPv6 address that it sends from.
pub(crate) const IFLA_VXLAN_LOCAL6: u16 = 17;

/// Of a VLAN: its number.
pub(crate) const IFLA_VLAN_ID: u16 = 1;
/// Of a VLAN: the protocol of its tag.
pub(crate) const IFLA_VLAN_PROTOCOL: u16 = 5;

/// Of a VRF: its routing table.
pub(crate) const IFLA_VRF_TABLE: u16 = 1;

/// Of a veth: the other end, as the message of an interface.
pub(crate) const VETH_INFO_PEER: u16 = 1;

/// Below `IFLA_AF_SPEC` of a bridge or port: who is asked, the bridge or the interface.
pub(crate) const IFLA_BRIDGE_FLAGS: u16 = 0;
/// The interface itself is asked.
pub(crate) const BRIDGE_FLAGS_SELF: u16 = 2;
/// A VLAN, or one end of a range.
pub(crate) const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
/// Frames without a tag belong to it.
pub(crate) const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
/// Its frames leave without a tag.
pub(crate) const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;
/// A range begins.
pub(crate) const BRIDGE_VLAN_INFO_RANGE_BEGIN: u16 = 1 << 3;
/// A range ends.
pub(crate) const BRIDGE_VLAN_INFO_RANGE_END: u16 = 1 << 4;

/// Below `IFLA_AF_SPEC` and `AF_INET`: the settings of IPv4 as 32-bit numbers.
pub(crate) const IFLA_INET_CONF: u16 = 1;
/// The place of `forwarding` among them; the header counts from 1.
pub(crate) const IPV4_DEVCONF_FORWARDING: usize = 0;
/// The place of `arp_accept` among them.
pub(crate) const IPV4_DEVCONF_ARP_ACCEPT: usize = 20;
/// Below `IFLA_AF_SPEC` and `AF_INET6`: the settings of IPv6 as 32-bit numbers.
pub(crate) const IFLA_INET6_CONF: u16 = 2;
/// The place of `forwarding` among them.
pub(crate) const DEVCONF_FORWARDING: usize = 0;
/// The place of `disable_ipv6` among them.
pub(crate) const DEVCONF_DISABLE_IPV6: usize = 26;

/// Flags of an address, all of them.
pub(crate) const IFA_FLAGS: u16 = 8;

/// An entry of a bridge that does not move to another port (Linux 4.20; older ones ignore it).
pub(crate) const NTF_STICKY: u8 = 0x40;

/// The priority of a rule, and what it does with a lookup: it sends it to a table.
pub(crate) const FRA_PRIORITY: u16 = 6;
pub(crate) const FR_ACT_TO_TBL: u8 = 1;
/// Which packets a rule is for: interfaces, marks, tunnels, VRFs, users, protocols and ports.
pub(crate) const FRA_SELECTORS: [u16; 9] = [3, 10, 12, 17, 19, 20, 22, 23, 24];
/// Who made a rule (Linux 4.17; older ones ignore it).
pub(crate) const FRA_PROTOCOL: u16 = 21;
/// weft did. A number that nobody else has (`rt_protos` of iproute2, `lib/zebra.h` of FRR).
pub(crate) const RTPROT_WEFT: u8 = 119;
/// The priority of the rule by which own addresses are looked up after those of VRFs: that of
/// ifupdown2.
pub(crate) const LOCAL_RULE: u32 = 32_765;

/// In an answer that refuses: why, in words.
pub(crate) const NLMSGERR_ATTR_MSG: u16 = 1;

/// The number of a protocol of VLAN tags.
pub(crate) fn vlan_protocol_number(protocol: &str) -> Option<u16> {
    match protocol {
        "802.1q" => Some(0x8100),
        "802.1ad" => Some(0x88a8),
        _ => None,
    }
}

/// The protocol of VLAN tags with this number.
pub(crate) fn vlan_protocol(number: u16) -> String {
    match number {
        0x8100 => "802.1q".to_owned(),
        0x88a8 => "802.1ad".to_owned(),
        other => format!("{other:#06x}"),
    }
}

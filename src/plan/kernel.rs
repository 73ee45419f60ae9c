//! What a node's kernel has: plain data that was read back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::nat::Nat;
use super::rule::{Family, Rule, Table};

/// What is asked of a kernel beyond its interfaces and their routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The tables whose rules are wanted.
    pub tables: BTreeSet<Table>,
    /// The values that are wanted, by their names with `/`.
    pub sysctls: BTreeSet<String>,
    /// Whether the VLANs of ports are wanted where no bridge filters them yet, too.
    pub vlans: bool,
}

/// What was read of a kernel at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Every interface by its name.
    pub links: BTreeMap<String, Link>,
    /// The rules of each table that was asked for, in order.
    pub rules: BTreeMap<Table, Vec<Rule>>,
    /// Routes that somebody added by hand or by `up ip route add`, with their
    /// interface.
    pub routes: BTreeSet<(IpNet, String)>,
    /// Values by their names with `/`, of those that weft's own file on the node sets.
    pub sysctls: BTreeMap<String, String>,
    /// The tables that ifupdown2 keeps for VRFs by their names, whether they are there or not
    /// (`/etc/iproute2/rt_tables.d/ifupdown2_vrf_map.conf`).
    pub tables: BTreeMap<String, u32>,
    /// When the node's own addresses are looked up, of each version of IP: the rules for the
    /// table `local` that are the kernel's or weft's.
    pub local_rules: BTreeSet<(Family, LocalRule)>,
    /// Routing tables in which what has no other route goes nowhere.
    pub unreachable: BTreeSet<u32>,
    /// What nft has of weft's rules, of the versions of IP of the tables that were asked for.
    pub nat: Nat,
    /// Who is behind each port of a bridge that was asked for.
    pub stations: BTreeMap<String, Stations>,
}

/// When the node's own addresses are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalRule {
    /// Before everything, those of VRFs too: the kernel's own rule, at 0.
    First,
    /// After those of VRFs: weft's own rule at 32765, where ifupdown2 puts it.
    Last,
}

impl fmt::Display for LocalRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Last => "after those of VRFs",
        })
    }
}

/// Who is behind a port of a bridge: MAC addresses in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stations {
    /// Those that the bridge learnt.
    pub learnt: BTreeSet<String>,
    /// Those that the bridge was told (`state static`), with the VLAN of each entry: 0 of the one
    /// that counts where VLANs are not filtered.
    pub fixed: BTreeMap<String, BTreeSet<u16>>,
    /// The one that the hypervisor gives to the guest's interface on this bridge, by its
    /// configuration.
    pub configured: Option<String>,
}

/// One interface.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the kernel's own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of the interface: another one made later has another.
    pub index: u32,
    /// The kind, such as `bridge`; none of real hardware.
    pub kind: Option<String>,
    /// The bridge or other interface that it is a port of.
    pub master: Option<String>,
    /// The interface that a VLAN is of, or the other end of a cable within the node.
    pub lower: Option<String>,
    /// The MAC address, in lower case.
    pub mac: Option<String>,
    /// Of a VLAN: its number, and the protocol of its tag in lower case.
    pub vlan: Option<(u16, String)>,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Whether somebody set it up.
    pub up: bool,
    /// The comment.
    pub alias: Option<String>,
    /// The addresses of global scope that do not expire.
    pub addresses: BTreeSet<IpNet>,
    /// The addresses of IPv6 that count on the link alone and do not expire, the one that the
    /// kernel made for itself among them.
    pub link_addresses: BTreeSet<IpNet>,
    /// Of a bridge: whether it filters VLANs.
    pub vlan_filtering: bool,
    /// Of a bridge: the protocol of the tags that it filters by, in lower case.
    pub vlan_protocol: Option<String>,
    /// Whether neighbours that say their address unasked are remembered.
    pub accepts_arp: bool,
    /// Of a bridge: whether it speaks the spanning tree protocol.
    pub stp: bool,
    /// Of a bridge: how long a port waits before it forwards, in hundredths of a second.
    pub forward_delay: u32,
    /// Of a port of a bridge: how it learns of routers of multicast.
    pub multicast_router: Option<u8>,
    /// Whether it has no IPv6 at all.
    pub ipv6_off: bool,
    /// Of a VRF: its routing table.
    pub table: Option<u32>,
    /// Of a VXLAN interface.
    pub tunnel: Option<Tunnel>,
    /// The versions of IP whose packets are routed when they come in.
    pub forwards: BTreeSet<Family>,
    /// Of a port of a bridge: its flags by the kernel's names.
    pub flags: BTreeMap<&'static str, bool>,
    /// Of a port of a bridge: its VLANs, where a bridge of the kernel filters them or they were
    /// asked for ([`Question::vlans`]).
    pub vlans: BTreeSet<PortVlan>,
}

/// A VXLAN tunnel end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// The VXLAN network identifier.
    pub id: u32,
    /// The UDP port.
    pub port: u16,
    /// The address that packets are sent from, where one was set.
    pub local: Option<IpAddr>,
    /// Whether it learns which guest is behind which other end.
    pub learning: bool,
    /// Where frames go whose receiver was not learnt.
    pub remotes: BTreeSet<IpAddr>,
}

/// VLANs of a port that are treated alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortVlan {
    /// The first VLAN.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// Whether frames without a tag belong to it.
    pub pvid: bool,
    /// Whether its frames leave without a tag.
    pub untagged: bool,
}

impl Link {
    /// The VLANs of a port, each by its number.
    pub fn vlan_numbers(&self) -> impl Iterator<Item = u16> {
        self.vlans.iter().flat_map(|vlan| vlan.first..=vlan.last)
    }
}

impl Kernel {
    /// The interfaces that are ports of this one.
    pub fn ports<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = (&'a str, &'a Link)> {
        let links = self.links.iter().map(|(name, link)| (name.as_str(), link));
        links.filter(move |(_, link)| link.master.as_deref() == Some(bridge))
    }

    /// How often each rule is there.
    pub fn counts(&self) -> BTreeMap<&Rule, usize> {
        let mut counts = BTreeMap::new();
        for rule in self.rules.values().flatten() {
            *counts.entry(rule).or_default() += 1;
        }
        counts
    }
}

//! Stanzas of interfaces files as what the kernel should have.

mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use self::reading::Vlan;
use super::engine::Engine;
use super::rule::{Family, Rule};
use super::stanza::stanzas;
use super::step::NetworkStep;
use crate::value::IfName;

/// The UDP port of a VXLAN interface whose stanza names none.
pub(super) const VXLAN_PORT: u16 = 4789;

/// What one stanza asks for. Options that are not here are ifupdown2's to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its lines as they stand.
    pub lines: Vec<String>,
    /// What it is.
    pub kind: Kind,
    /// The VRF that it is in.
    pub vrf: Option<String>,
    /// Its MAC address, in lower case, where one is asked for.
    pub mac: Option<String>,
    /// Its addresses. One that cannot be read is in `unread`.
    pub addresses: BTreeSet<IpNet>,
    /// The largest packet, where one is asked for.
    pub mtu: Option<u32>,
    /// The comment.
    pub alias: Option<String>,
    /// The versions of IP whose packets are to be routed when they come in.
    pub forwards: BTreeSet<Family>,
    /// Of a bridge: the protocol of the tags that it filters by, in lower case, where one is
    /// asked for.
    pub vlan_protocol: Option<String>,
    /// Whether neighbours that say their address unasked are remembered.
    pub accepts_arp: bool,
    /// Of a VRF: whether what it has no route for goes nowhere, and not to the routes of the
    /// node. Not said where there is none.
    pub unreachable: Option<bool>,
    /// Routes that it adds to itself.
    pub routes: BTreeSet<IpNet>,
    /// Rules that it adds.
    pub rules: BTreeSet<Rule>,
    /// Lines whose value cannot be read.
    pub unread: Vec<String>,
}

/// What an interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Not said: the node has it already, and the stanza only adds something to it. It is
    /// neither taken down nor made again.
    #[default]
    Own,
    /// A bridge.
    Bridge {
        /// What it joins.
        ports: BTreeSet<String>,
        /// Whether it filters VLANs.
        vlan_aware: bool,
        /// Whether it speaks the spanning tree protocol, where that is said.
        stp: Option<bool>,
        /// How long a port waits before it forwards, in hundredths of a second, where that is
        /// said.
        forward_delay: Option<u32>,
        /// The VLANs that its ports carry, where it filters them: the first and the last of
        /// each range. Every port has VLAN 1 without a tag besides.
        vlans: Vec<(u16, u16)>,
    },
    /// A VXLAN tunnel end.
    Vxlan {
        /// The VXLAN network identifier.
        id: u32,
        /// The UDP port.
        port: u16,
        /// The address that packets are sent from, where one is asked for.
        local: Option<IpAddr>,
        /// The other ends. A routing daemon adds others where `learning` is off.
        remotes: BTreeSet<IpAddr>,
        /// Whether its bridge learns from it; not said where there is none.
        learning: Option<bool>,
        /// Whether its bridge answers for what is behind it; not said where there is none.
        suppress: Option<bool>,
    },
    /// One end of a cable within the node.
    Veth {
        /// The other end.
        peer: Option<String>,
    },
    /// A VLAN of another interface.
    Vlan {
        /// The other interface.
        device: String,
        /// The VLAN.
        id: u16,
        /// The protocol of the tag, in lower case.
        protocol: String,
    },
    /// A routing table with interfaces of its own.
    Vrf,
    /// An interface that is there for its address.
    Dummy,
    /// A port of an Open vSwitch bridge that is an interface of the node.
    OvsPort {
        /// The bridge.
        bridge: Option<String>,
        /// Columns of the port with their values, such as `tag=5`.
        options: Vec<String>,
    },
}

impl Kind {
    /// The kernel's word for it.
    pub const fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::Own => return None,
            Self::Bridge { .. } => "bridge",
            Self::Vxlan { .. } => "vxlan",
            Self::Veth { .. } => "veth",
            Self::Vlan { .. } => "vlan",
            Self::Vrf => "vrf",
            Self::Dummy => "dummy",
            Self::OvsPort { .. } => "openvswitch",
        })
    }

    /// Of a VXLAN interface: whether it learns which guest is behind which other end. It does
    /// unless its bridge is told not to learn from it.
    pub fn device_learns(&self) -> bool {
        !matches!(self, Self::Vxlan { learning: Some(false), .. })
    }
}

/// The interfaces of a file by their names.
pub type Interfaces = BTreeMap<IfName, Interface>;

/// The interfaces of a file whose names can be an interface's.
pub fn interfaces(text: &str) -> Interfaces {
    let interface =
        |(name, lines): (&str, Vec<&str>)| Some((name.parse().ok()?, Interface::new(name, &lines)));
    stanzas(text).into_iter().filter_map(interface).collect()
}

impl Interface {
    /// The ports that it joins, where it is a bridge.
    pub fn ports(&self) -> impl Iterator<Item = &str> {
        let ports = match &self.kind {
            Kind::Bridge { ports, .. } => Some(ports),
            _ => None,
        };
        ports.into_iter().flatten().map(String::as_str)
    }

    /// The interfaces that it is made on top of: those that have to be there before it.
    /// Of a port that is a VLAN without a stanza also the interface below that.
    pub fn below(&self) -> impl Iterator<Item = &str> {
        let device = match &self.kind {
            Kind::Vlan { device, .. } => Some(device.as_str()),
            _ => None,
        };
        let ports = self.ports();
        let raws = self.ports().filter_map(|port| Some(vlan_of(port)?.0));
        ports.chain(raws).chain(device).chain(self.vrf.as_deref())
    }

    /// Its ports that are VLANs by their names, which ifupdown2 makes without a stanza.
    pub fn implied(&self) -> impl Iterator<Item = &str> {
        self.ports().filter(|port| vlan_of(port).is_some())
    }

    /// The VLAN that a port with this name is without a stanza; none with any other name.
    pub(super) fn implied_vlan(port: &str) -> Option<Self> {
        let kind = Vlan::default().kind(port)?;
        Some(Self { kind, ..Self::default() })
    }

    /// What sets the MTU of it: that of a port of Open vSwitch is asked for there.
    pub(super) fn setting_mtu(&self, name: &IfName, mtu: u32, engine: Engine) -> NetworkStep {
        let interface = name.clone();
        match self.kind {
            Kind::OvsPort { .. } if engine == Engine::Native => {
                NetworkStep::SetOvsMtu { interface, mtu }
            }
            _ => NetworkStep::SetMtu { interface, mtu },
        }
    }

    /// Whether the node has it already, and the stanza only adds something.
    pub fn is_own(&self) -> bool {
        self.kind == Kind::Own
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        matches!(self.kind, Kind::Bridge { .. })
    }
}

/// Whether an address counts on its link alone.
pub(super) fn is_of_link(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local())
}

/// The device and the VLAN of a name such as `eth0.100`.
pub(super) fn vlan_of(name: &str) -> Option<(&str, u16)> {
    let (device, id) = name.rsplit_once('.')?;
    Some((device, id.parse().ok().filter(|id| (1..4095).contains(id))?))
}

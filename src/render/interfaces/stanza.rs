//! The lines that stand in a stanza.
//!
//! Each kind of line is a variant, and each word in it a value that was parsed,
//! so that no text of a declaration can become another line or command.
//! The reference spells some options with `_` and some with `-`; both are kept.

use std::fmt;
use std::net::IpAddr;

use crate::render::Profile;
use crate::value::{Alias, Cidr, IfName, Mtu, Port, Tag};

/// One interface: `auto` and `iface`, then its lines.
#[derive(Debug)]
pub(super) struct Stanza {
    /// The interface.
    pub name: IfName,
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "auto {0}\niface {0}", self.name)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "\t{line}"))
    }
}

/// The version of IP, by which programs and options are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// When a command runs, and whether it makes or unmakes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    Up,
    Down,
}

/// One line of a stanza.
#[derive(Debug)]
pub(super) enum Line {
    /// An address of the interface itself.
    Address { address: IpAddr, prefix_len: u8 },
    /// A route to a subnet of one address.
    HostRoute { destination: Cidr, interface: IfName },
    /// Packets from a subnet leave with the node's address.
    SourceNat { hook: Hook, family: Family, source: Cidr, out: IfName, address: IpAddr },
    /// Packets of guests behind firewall bridges are tracked in a zone of their own.
    TrackingZone { hook: Hook, family: Family },
    /// What the bridge joins; a bridge of its own where there is nothing.
    BridgePorts(Option<IfName>),
    /// No spanning tree.
    SpanningTreeOff,
    /// Ports forward at once.
    ForwardDelayZero,
    /// The bridge filters VLANs.
    VlanAware,
    /// Every VLAN that guests may use.
    AllVlans,
    /// What the profile adds to every bridge.
    OfProfile(&'static str),
    /// The largest packet.
    Mtu(Mtu),
    /// The comment.
    Alias(Alias),
    /// The node routes packets that come in here.
    Forward(Family),
    /// The VXLAN network identifier.
    VxlanId(Tag),
    /// A tunnel end.
    VxlanRemote(IpAddr),
    /// The UDP port.
    VxlanPort(Port),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, prefix_len } => write!(f, "address {address}/{prefix_len}"),
            Self::HostRoute { destination, interface } => {
                write!(f, "up ip route add {destination} dev {interface}")
            }
            Self::SourceNat { hook, family, source, out, address } => write!(
                f,
                "{} {} -t nat {} POSTROUTING -s '{source}' -o {out} -j SNAT --to-source {address}",
                hook.option(),
                family.program(),
                match hook {
                    Hook::Up => "-A",
                    Hook::Down => "-D",
                },
            ),
            Self::TrackingZone { hook, family } => write!(
                f,
                "{} {} -t raw {} PREROUTING -i fwbr+ -j CT --zone 1",
                hook.option(),
                family.program(),
                match hook {
                    Hook::Up => "-I",
                    Hook::Down => "-D",
                },
            ),
            Self::BridgePorts(Some(port)) => write!(f, "bridge_ports {port}"),
            Self::BridgePorts(None) => f.write_str("bridge_ports none"),
            Self::SpanningTreeOff => f.write_str("bridge_stp off"),
            Self::ForwardDelayZero => f.write_str("bridge_fd 0"),
            Self::VlanAware => f.write_str("bridge-vlan-aware yes"),
            Self::AllVlans => f.write_str("bridge-vids 2-4094"),
            Self::OfProfile(line) => f.write_str(line),
            Self::Mtu(mtu) => write!(f, "mtu {mtu}"),
            Self::Alias(alias) => write!(f, "alias {alias}"),
            Self::Forward(Family::V4) => f.write_str("ip-forward on"),
            Self::Forward(Family::V6) => f.write_str("ip6-forward on"),
            Self::VxlanId(tag) => write!(f, "vxlan-id {tag}"),
            Self::VxlanRemote(peer) => write!(f, "vxlan_remoteip {peer}"),
            Self::VxlanPort(port) => write!(f, "vxlan-port {port}"),
        }
    }
}

impl Hook {
    fn option(self) -> &'static str {
        match self {
            Self::Up => "post-up",
            Self::Down => "post-down",
        }
    }
}

impl Family {
    fn program(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }
}

/// The lines that begin the bridge of every vnet: its port, what no vnet does, and what
/// the profile needs.
pub(super) fn bridge_lines(port: Option<IfName>, vlan_aware: bool, profile: Profile) -> Vec<Line> {
    let mut lines = vec![Line::BridgePorts(port), Line::SpanningTreeOff, Line::ForwardDelayZero];
    if vlan_aware {
        lines.extend([Line::VlanAware, Line::AllVlans]);
    }
    lines.extend(profile.bridge_lines().map(Line::OfProfile));
    lines
}

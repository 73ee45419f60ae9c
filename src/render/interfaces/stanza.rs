//! The lines that stand in a stanza.
//!
//! Each kind of line is a variant, and each word in it a value that was parsed,
//! so that no text of a declaration can become another line or command.
//! The reference spells some options with `_` and some with `-`; both are kept.

use std::fmt;
use std::net::IpAddr;

use super::name::Name;
use crate::network::VlanProtocol;
use crate::render::Profile;
use crate::value::{Alias, Cidr, IfName, MacAddress, Mtu, Port, ServiceTag, Tag};

/// One interface and its lines, in order.
#[derive(Debug)]
pub(super) struct Stanza<'a> {
    /// The interface.
    pub name: Name<'a>,
    /// Its lines.
    pub lines: Vec<Line<'a>>,
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

/// How the words of an option are joined. Both mean the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    /// `bridge_stp`.
    Underscore,
    /// `bridge-stp`.
    Dash,
}

/// What an Open vSwitch port does with tags.
#[derive(Clone, Copy, Debug)]
pub(super) enum OvsTag {
    /// One VLAN, without tags of the guests' own.
    Access(Tag),
    /// One VLAN, with tags of the guests' own inside.
    Tunnel(Tag),
    /// A service VLAN, with the tags of the vnets inside.
    Service(ServiceTag, VlanProtocol),
}

/// One line of a stanza.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// An address of the interface itself.
    Address { address: IpAddr, prefix_len: u8 },
    /// A route to a subnet of one address.
    HostRoute { destination: &'a Cidr, interface: Name<'a> },
    /// Packets from a subnet leave with the node's address.
    SourceNat { hook: Hook, family: Family, source: &'a Cidr, out: &'a IfName, address: IpAddr },
    /// Packets of guests behind firewall bridges are tracked in a zone of their own.
    TrackingZone { hook: Hook, family: Family },
    /// The MAC address.
    HardwareAddress(&'a MacAddress),
    /// What the bridge joins; a bridge of its own where there is nothing.
    BridgePort(Spelling, Option<Name<'a>>),
    /// A VLAN of a bridge's ports, and the link to the vnet. The reference puts a space before
    /// each uplink and one before the link.
    VlanPorts { uplinks: Vec<Name<'a>>, link: Name<'a> },
    /// A service VLAN, and the link to vnets without a tag. The space between them stays where
    /// there is no service VLAN.
    ServicePorts { outer: Option<Name<'a>>, link: Name<'a> },
    /// No spanning tree.
    SpanningTreeOff(Spelling),
    /// Ports forward at once.
    ForwardDelayZero(Spelling),
    /// The bridge filters VLANs.
    VlanAware,
    /// Every VLAN that guests may use.
    AllVlans,
    /// The protocol of the tags that the bridge filters.
    BridgeVlanProtocol(VlanProtocol),
    /// What the profile adds to every bridge.
    OfProfile(&'static str),
    /// One of a pair of interfaces, each the other's wire.
    Veth,
    /// The other one.
    VethPeer(Name<'a>),
    /// A port of an Open vSwitch bridge that the kernel sees.
    OvsInternalPort,
    /// The bridge that it is a port of.
    OvsBridge(&'a IfName),
    /// Its largest packet.
    OvsMtu(Mtu),
    /// What it does with tags.
    OvsOptions(OvsTag),
    /// Further ports of an Open vSwitch bridge.
    OvsPorts(Vec<Name<'a>>),
    /// The interface that carries a VLAN.
    VlanRawDevice(&'a IfName),
    /// The VLAN.
    VlanId(ServiceTag),
    /// The protocol of its tag.
    VlanProtocol(VlanProtocol),
    /// The largest packet, in bytes.
    Mtu(u64),
    /// The comment.
    Alias(&'a Alias),
    /// The node routes packets that come in here.
    Forward(Family),
    /// Neighbours are learned from what they announce.
    ArpAccept,
    /// The VXLAN network identifier.
    VxlanId(Tag),
    /// A tunnel end.
    VxlanRemote(IpAddr),
    /// The address that packets are sent from.
    VxlanLocal(IpAddr),
    /// The UDP port.
    VxlanPort(Port),
    /// Where guests are is told by BGP, not learned.
    LearningOff,
    /// Requests for a guest's MAC address are answered here.
    SuppressNeighbours,
    /// The VRF has a routing table of its own.
    VrfTable,
    /// The route of last resort of a VRF: made where there is no other, else taken away.
    Unreachable { vrf: Name<'a>, add: bool },
    /// The VRF that the interface is in.
    Vrf(Name<'a>),
}

impl fmt::Display for Line<'_> {
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
            Self::HardwareAddress(mac) => write!(f, "hwaddress {mac}"),
            Self::BridgePort(spelling, port) => {
                f.write_str(spelling.of("bridge_ports ", "bridge-ports "))?;
                match port {
                    Some(port) => port.fmt(f),
                    None => f.write_str("none"),
                }
            }
            Self::VlanPorts { uplinks, link } => {
                f.write_str("bridge_ports ")?;
                uplinks.iter().chain([link]).try_for_each(|port| write!(f, " {port}"))
            }
            Self::ServicePorts { outer: Some(outer), link } => {
                write!(f, "bridge-ports {outer} {link}")
            }
            Self::ServicePorts { outer: None, link } => write!(f, "bridge-ports  {link}"),
            Self::SpanningTreeOff(spelling) => {
                f.write_str(spelling.of("bridge_stp off", "bridge-stp off"))
            }
            Self::ForwardDelayZero(spelling) => {
                f.write_str(spelling.of("bridge_fd 0", "bridge-fd 0"))
            }
            Self::VlanAware => f.write_str("bridge-vlan-aware yes"),
            Self::AllVlans => f.write_str("bridge-vids 2-4094"),
            Self::BridgeVlanProtocol(protocol) => {
                write!(f, "bridge-vlan-protocol {}", word(*protocol))
            }
            Self::OfProfile(line) => f.write_str(line),
            Self::Veth => f.write_str("link-type veth"),
            Self::VethPeer(peer) => write!(f, "veth-peer-name {peer}"),
            Self::OvsInternalPort => f.write_str("ovs_type OVSIntPort"),
            Self::OvsBridge(bridge) => write!(f, "ovs_bridge {bridge}"),
            Self::OvsMtu(mtu) => write!(f, "ovs_mtu {mtu}"),
            Self::OvsOptions(OvsTag::Access(tag)) => write!(f, "ovs_options tag={tag}"),
            Self::OvsOptions(OvsTag::Tunnel(tag)) => write!(
                f,
                "ovs_options vlan_mode=dot1q-tunnel other_config:qinq-ethtype=802.1q tag={tag}"
            ),
            Self::OvsOptions(OvsTag::Service(tag, protocol)) => write!(
                f,
                "ovs_options vlan_mode=dot1q-tunnel tag={tag} other_config:qinq-ethtype={}",
                word(*protocol)
            ),
            Self::OvsPorts(ports) => {
                f.write_str("ovs_ports")?;
                ports.iter().try_for_each(|port| write!(f, " {port}"))
            }
            Self::VlanRawDevice(device) => write!(f, "vlan-raw-device {device}"),
            Self::VlanId(tag) => write!(f, "vlan-id {tag}"),
            Self::VlanProtocol(protocol) => write!(f, "vlan-protocol {}", word(*protocol)),
            Self::Mtu(mtu) => write!(f, "mtu {mtu}"),
            Self::Alias(alias) => write!(f, "alias {alias}"),
            Self::Forward(Family::V4) => f.write_str("ip-forward on"),
            Self::Forward(Family::V6) => f.write_str("ip6-forward on"),
            Self::ArpAccept => f.write_str("arp-accept on"),
            Self::VxlanId(tag) => write!(f, "vxlan-id {tag}"),
            Self::VxlanRemote(peer) => write!(f, "vxlan_remoteip {peer}"),
            Self::VxlanLocal(own) => write!(f, "vxlan-local-tunnelip {own}"),
            Self::VxlanPort(port) => write!(f, "vxlan-port {port}"),
            Self::LearningOff => f.write_str("bridge-learning off"),
            Self::SuppressNeighbours => f.write_str("bridge-arp-nd-suppress on"),
            Self::VrfTable => f.write_str("vrf-table auto"),
            Self::Unreachable { vrf, add } => write!(
                f,
                "post-up ip route {} vrf {vrf} unreachable default metric 4278198272",
                if *add { "add" } else { "del" },
            ),
            Self::Vrf(vrf) => write!(f, "vrf {vrf}"),
        }
    }
}

/// How ifupdown2 and Open vSwitch call a protocol.
fn word(protocol: VlanProtocol) -> &'static str {
    match protocol {
        VlanProtocol::Dot1q => "802.1q",
        VlanProtocol::Dot1ad => "802.1ad",
    }
}

impl Spelling {
    fn of(self, underscore: &'static str, dash: &'static str) -> &'static str {
        match self {
            Self::Underscore => underscore,
            Self::Dash => dash,
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
pub(super) fn bridge_lines(
    port: Option<Name<'_>>,
    vlan_aware: bool,
    profile: Profile,
) -> impl Iterator<Item = Line<'_>> {
    let first = [
        Line::BridgePort(Spelling::Underscore, port),
        Line::SpanningTreeOff(Spelling::Underscore),
        Line::ForwardDelayZero(Spelling::Underscore),
    ];
    let vlans = [Line::VlanAware, Line::AllVlans].into_iter().filter(move |_| vlan_aware);
    first.into_iter().chain(vlans).chain(profile.bridge_lines().map(Line::OfProfile))
}

/// A pair of interfaces that are each other's wire.
pub(super) fn veth<'a>(one: Name<'a>, other: Name<'a>, mtu: Option<Mtu>) -> [Stanza<'a>; 2] {
    [(one, other), (other, one)].map(|(name, peer)| {
        let mut lines = vec![Line::Veth, Line::VethPeer(peer)];
        lines.extend(mtu.map(|mtu| Line::Mtu(mtu.into())));
        Stanza { name, lines }
    })
}

/// The comment of a vnet. The reference takes the text `0` for none.
pub(super) fn comment(alias: Option<&Alias>) -> Option<Line<'_>> {
    alias.filter(|alias| alias.as_str() != "0").map(Line::Alias)
}

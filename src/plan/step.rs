//! What can be done to a running network.
//!
//! [`NetworkStep::Down`] and [`NetworkStep::Up`] are ifupdown2's. The others are single changes
//! of the kernel, which know nothing of stanzas.

mod interfaces;
mod make;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::kernel::{LocalRule, PortVlan};
use super::nat::{NAT_TABLE, NatRule};
use super::rule::{Family, Rule};
use crate::value::IfName;

pub use self::make::{BridgeSettings, Make};

/// One change of the running network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkStep {
    /// ifupdown2 takes interfaces down and away; what it leaves is deleted.
    Down {
        /// Which ones; bridges before their ports.
        interfaces: Vec<IfName>,
    },
    /// ifupdown2 brings interfaces to what the file says.
    Up {
        /// Which ones; ports before their bridges.
        interfaces: Vec<IfName>,
    },
    /// An interface is deleted that ifupdown2 left.
    Delete {
        /// Which one.
        interface: IfName,
    },
    /// An interface is deleted that is made anew, because it cannot change in place.
    Remake {
        /// Which one.
        interface: IfName,
        /// What it is that it cannot change.
        because: String,
    },
    /// An MTU that no file names any more.
    SetMtu {
        /// The interface.
        interface: IfName,
        /// The MTU.
        mtu: u32,
    },
    /// An interface is made, down and with nothing on it.
    Create {
        /// Its name.
        interface: IfName,
        /// What it is.
        make: Make,
    },
    /// An interface becomes a port of another one, or of none.
    SetMaster {
        /// The interface.
        interface: IfName,
        /// The bridge or VRF.
        master: Option<IfName>,
    },
    /// An interface is set up.
    SetUp {
        /// The interface.
        interface: IfName,
    },
    /// The MAC address.
    SetMac {
        /// The interface.
        interface: IfName,
        /// The address, in lower case.
        mac: String,
    },
    /// The comment, or that there is none.
    SetAlias {
        /// The interface.
        interface: IfName,
        /// The comment.
        alias: Option<String>,
    },
    /// An address is added.
    AddAddress {
        /// The interface.
        interface: IfName,
        /// The address with its length.
        address: IpNet,
    },
    /// An address of an interface that weft made is removed.
    RemoveAddress {
        /// The interface.
        interface: IfName,
        /// The address with its length.
        address: IpNet,
    },
    /// What is set of a bridge.
    SetBridge {
        /// The bridge.
        interface: IfName,
        /// What is set; the rest stays.
        settings: BridgeSettings,
    },
    /// How a port of a bridge learns of routers of multicast (`IFLA_BRPORT_MULTICAST_ROUTER`).
    SetMulticastRouter {
        /// The port.
        interface: IfName,
        /// The kernel's value: 1 where queries tell, 2 where there always is one.
        value: u8,
    },
    /// What a VXLAN interface sends from, and whether it learns which guest is behind which
    /// other end.
    SetTunnel {
        /// The VXLAN interface.
        interface: IfName,
        /// The address that packets are sent from; none where the routes say it.
        local: Option<IpAddr>,
        /// Whether it learns.
        learning: bool,
    },
    /// The MTU that Open vSwitch is to give to a port of its own: any other it takes back.
    SetOvsMtu {
        /// The port.
        interface: IfName,
        /// The MTU.
        mtu: u32,
    },
    /// A tunnel end is added, to which frames go whose receiver was not learnt.
    AddRemote {
        /// The VXLAN interface.
        interface: IfName,
        /// The other end.
        remote: IpAddr,
    },
    /// A route straight to an interface is added.
    AddRoute {
        /// The interface.
        interface: IfName,
        /// Where it leads.
        destination: IpNet,
    },
    /// The route of IPv4 by which what has no other in a VRF goes nowhere.
    SetUnreachable {
        /// The VRF.
        interface: IfName,
        /// Its table.
        table: u32,
        /// Whether it is there.
        on: bool,
    },
    /// The node's own addresses are looked up at this time too (a rule for the table `local`).
    AddLocalRule {
        /// Of which version of IP.
        family: Family,
        /// When.
        rule: LocalRule,
    },
    /// They are not looked up at this time any more.
    DropLocalRule {
        /// Of which version of IP.
        family: Family,
        /// When.
        rule: LocalRule,
    },
    /// The table of a VRF gets the VRF's name, where ifupdown2 keeps them.
    NameTable {
        /// The VRF.
        interface: IfName,
        /// Its table.
        table: u32,
    },
    /// A port of Open vSwitch is made that is an interface of the node, or set as it is to be.
    SetOvsPort {
        /// The port.
        interface: IfName,
        /// The bridge of Open vSwitch.
        bridge: IfName,
        /// The columns of the port with their values, such as `tag=5`.
        options: Vec<String>,
    },
    /// A bridge stops filtering VLANs.
    StopVlanFiltering {
        /// The bridge.
        interface: IfName,
    },
    /// A bridge of the node's own filters VLANs by the tags that its own stanza says.
    ResetVlanProtocol {
        /// The bridge.
        interface: IfName,
    },
    /// Packets that come in by an interface are no longer routed.
    StopForwarding {
        /// The interface.
        interface: IfName,
        /// Of which version.
        family: Family,
    },
    /// A value of the kernel is what the file says.
    SetSysctl {
        /// Its name, with `/`.
        name: String,
        /// The value.
        value: String,
    },
    /// A port of Open vSwitch is deleted that ifupdown2 left.
    DeleteOvsPort {
        /// Which one.
        interface: IfName,
    },
    /// Addresses are taken off an interface of the node's own, but for those that its own
    /// stanza gives to it.
    Release {
        /// The interface.
        interface: IfName,
        /// The addresses.
        addresses: Vec<IpNet>,
    },
    /// A tunnel end is forgotten.
    DropRemote {
        /// The VXLAN interface.
        interface: IfName,
        /// The other end.
        remote: IpAddr,
    },
    /// A route is removed.
    DropRoute {
        /// The interface.
        interface: IfName,
        /// Where it led.
        destination: IpNet,
    },
    /// A rule is added.
    AddRule(Rule),
    /// One copy of a rule is removed.
    RemoveRule(Rule),
    /// weft's own table of nft is replaced as a whole, or goes where it has no rules.
    SetNat {
        /// Of which version of IP.
        family: Family,
        /// The rules.
        rules: Vec<NatRule>,
    },
    /// A guest's port becomes a port of its bridge again.
    ReturnPort {
        /// The port.
        port: String,
        /// The bridge.
        bridge: String,
        /// Whether it is set up.
        up: bool,
    },
    /// Flags of a guest's port are what they were, or what is declared.
    SetPortFlags {
        /// The port.
        port: String,
        /// Those to set, by the kernel's names.
        flags: BTreeMap<String, bool>,
    },
    /// A bridge is told which MAC address is behind a guest's port, in each VLAN of the port.
    AddStation {
        /// The port.
        port: String,
        /// The address, in lower case.
        mac: String,
    },
    /// A bridge forgets that.
    RemoveStation {
        /// The port.
        port: String,
        /// The address, in lower case.
        mac: String,
        /// In which VLAN alone, where the port has that no more.
        vlan: Option<u16>,
    },
    /// VLANs of a guest's port are what they were.
    SetPortVlans {
        /// The port.
        port: String,
        /// Those to take away.
        remove: Vec<PortVlan>,
        /// Those to add.
        add: Vec<PortVlan>,
    },
}

impl NetworkStep {
    /// The interfaces that it makes: of a cable both ends.
    pub fn made(&self) -> impl Iterator<Item = &IfName> {
        let (name, peer) = match self {
            Self::Create { interface, make: Make::Veth { peer } } => (Some(interface), Some(peer)),
            Self::Create { interface, .. } => (Some(interface), None),
            _ => (None, None),
        };
        name.into_iter().chain(peer)
    }
}

impl fmt::Display for NetworkStep {
    #[expect(clippy::too_many_lines, reason = "a line or two for each kind of step")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |interfaces: &[IfName]| {
            interfaces.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
        };
        match self {
            Self::Down { interfaces } => write!(f, "take down {}", all(interfaces)),
            Self::Up { interfaces } => write!(f, "bring up {}", all(interfaces)),
            Self::Delete { interface } => write!(f, "delete {interface}"),
            Self::Remake { interface, because } => write!(f, "make {interface} anew: {because}"),
            Self::DeleteOvsPort { interface } => write!(f, "delete the port {interface}"),
            Self::Release { interface, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "take {} off {interface}", addresses.join(" "))
            }
            Self::SetMtu { interface, mtu } | Self::SetOvsMtu { interface, mtu } => {
                write!(f, "set the MTU of {interface} to {mtu}")
            }
            Self::Create { interface, make } => write!(f, "create {interface}: {make}"),
            Self::SetMaster { interface, master: Some(master) } => {
                write!(f, "put {interface} into {master}")
            }
            Self::SetMaster { interface, master: None } => {
                write!(f, "take {interface} out of what it is in")
            }
            Self::SetUp { interface } => write!(f, "set {interface} up"),
            Self::SetMac { interface, mac } => {
                write!(f, "set the MAC address of {interface} to {mac}")
            }
            Self::SetAlias { interface, alias: Some(alias) } => {
                write!(f, "set the alias of {interface} to `{}`", alias.escape_debug())
            }
            Self::SetAlias { interface, alias: None } => {
                write!(f, "take the alias off {interface}")
            }
            Self::AddAddress { interface, address } => write!(f, "add {address} to {interface}"),
            Self::RemoveAddress { interface, address } => {
                write!(f, "take {address} off {interface}")
            }
            Self::SetBridge { interface, settings } => write!(f, "set {interface}: {settings}"),
            Self::SetMulticastRouter { interface, value } => {
                write!(f, "set the multicast router of {interface} to {value}")
            }
            Self::SetTunnel { interface, local, learning } => {
                let local =
                    local.map_or_else(|| "any address".to_owned(), |local| local.to_string());
                let learns = if *learning { "learn" } else { "do not learn" };
                write!(f, "send from {interface} by {local}, and {learns} where other ends are")
            }
            Self::AddRemote { interface, remote } => {
                write!(f, "send from {interface} to {remote} too")
            }
            Self::AddRoute { interface, destination } => {
                write!(f, "add a route to {destination} by {interface}")
            }
            Self::SetUnreachable { interface, on: true, .. } => {
                write!(f, "let nothing out of {interface} that it has no route for")
            }
            Self::SetUnreachable { interface, on: false, .. } => {
                write!(f, "let out of {interface} what it has no route for")
            }
            Self::AddLocalRule { family, rule } => {
                write!(f, "look up own {} addresses {rule}", family.as_str())
            }
            Self::DropLocalRule { family, rule } => {
                write!(f, "look up own {} addresses {rule} no more", family.as_str())
            }
            Self::NameTable { interface, table } => write!(f, "name the table {table} {interface}"),
            Self::SetOvsPort { interface, bridge, options } => {
                write!(f, "make {interface} a port of {bridge}: {}", options.join(" "))
            }
            Self::StopVlanFiltering { interface } => {
                write!(f, "stop filtering VLANs on {interface}")
            }
            Self::ResetVlanProtocol { interface } => {
                write!(f, "let {interface} filter VLANs by its own tags")
            }
            Self::SetSysctl { name, value } => write!(f, "set {name} to {value}"),
            Self::StopForwarding { interface, family } => {
                write!(f, "stop forwarding {} from {interface}", family.as_str())
            }
            Self::DropRemote { interface, remote } => {
                write!(f, "send no more from {interface} to {remote}")
            }
            Self::DropRoute { interface, destination } => {
                write!(f, "remove the route to {destination} by {interface}")
            }
            Self::AddRule(rule) => write!(f, "add the rule {rule}"),
            Self::RemoveRule(rule) => write!(f, "remove one rule {rule}"),
            Self::SetNat { family, rules } if rules.is_empty() => {
                write!(f, "remove the table {} {NAT_TABLE} of nft", family.nft())
            }
            Self::SetNat { family, rules } => {
                let (family, count) = (family.nft(), rules.len());
                write!(f, "replace the table {family} {NAT_TABLE} of nft: {count} rules")
            }
            Self::ReturnPort { port, bridge, .. } => write!(f, "return {port} to {bridge}"),
            Self::SetPortFlags { port, flags } => {
                let flag = |(name, on): (&String, &bool)| {
                    format!("{name} {}", if *on { "on" } else { "off" })
                };
                let flags: Vec<String> = flags.iter().map(flag).collect();
                write!(f, "set the port {port} {}", flags.join(", "))
            }
            Self::AddStation { port, mac } => {
                write!(f, "tell the bridge of {port} that {mac} is behind it")
            }
            Self::RemoveStation { port, mac, vlan } => {
                write!(f, "let the bridge of {port} forget that {mac} is behind it")?;
                vlan.map_or(Ok(()), |vlan| write!(f, " in VLAN {vlan}"))
            }
            Self::SetPortVlans { port, .. } => write!(f, "set the VLANs of {port} as they were"),
        }
    }
}

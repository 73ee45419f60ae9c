//! What can be done to a running network.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::kernel::PortVlan;
use super::rule::{Family, Rule};
use crate::value::IfName;

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
    /// An MTU that no file names any more.
    SetMtu {
        /// The interface.
        interface: IfName,
        /// The MTU.
        mtu: u32,
    },
    /// The comment is taken off.
    ClearAlias {
        /// The interface.
        interface: IfName,
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
    /// A guest's port becomes a port of its bridge again.
    ReturnPort {
        /// The port.
        port: String,
        /// The bridge.
        bridge: String,
        /// Whether it is set up.
        up: bool,
    },
    /// Flags of a guest's port are what they were.
    SetPortFlags {
        /// The port.
        port: String,
        /// Those to set, by the kernel's names.
        flags: BTreeMap<String, bool>,
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

impl fmt::Display for NetworkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |interfaces: &[IfName]| {
            interfaces.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
        };
        match self {
            Self::Down { interfaces } => write!(f, "take down {}", all(interfaces)),
            Self::Up { interfaces } => write!(f, "bring up {}", all(interfaces)),
            Self::Delete { interface } => write!(f, "delete {interface}"),
            Self::DeleteOvsPort { interface } => write!(f, "delete the port {interface}"),
            Self::Release { interface, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "take {} off {interface}", addresses.join(" "))
            }
            Self::SetMtu { interface, mtu } => write!(f, "set the MTU of {interface} to {mtu}"),
            Self::ClearAlias { interface } => write!(f, "take the alias off {interface}"),
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
            Self::ReturnPort { port, bridge, .. } => write!(f, "return {port} to {bridge}"),
            Self::SetPortFlags { port, .. } => write!(f, "set the flags of {port} as they were"),
            Self::SetPortVlans { port, .. } => write!(f, "set the VLANs of {port} as they were"),
        }
    }
}

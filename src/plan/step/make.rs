//! What interfaces are made as, and what is set of bridges.

use std::fmt;
use std::net::IpAddr;

use crate::value::IfName;

/// What an interface is made as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Make {
    /// A bridge.
    Bridge,
    /// A VXLAN tunnel end.
    Vxlan {
        /// The VXLAN network identifier.
        id: u32,
        /// The UDP port.
        port: u16,
        /// The address that packets are sent from.
        local: Option<IpAddr>,
        /// Whether it learns which guest is behind which other end.
        learning: bool,
    },
    /// A cable within the node; both ends are made.
    Veth {
        /// The other end.
        peer: IfName,
    },
    /// A VLAN of another interface.
    Vlan {
        /// The other interface.
        device: IfName,
        /// The VLAN.
        id: u16,
        /// The protocol of the tag: `802.1q` or `802.1ad`.
        protocol: String,
    },
    /// A VRF.
    Vrf {
        /// Its routing table.
        table: u32,
    },
    /// An interface that is there for its address.
    Dummy,
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::Vxlan { id, port, .. } => write!(f, "vxlan {id}, port {port}"),
            Self::Veth { peer } => write!(f, "veth to {peer}"),
            Self::Vlan { device, id, protocol } => write!(f, "vlan {id} ({protocol}) of {device}"),
            Self::Vrf { table } => write!(f, "vrf with the table {table}"),
            Self::Dummy => f.write_str("dummy"),
        }
    }
}

/// What can be set of a bridge; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeSettings {
    /// Whether it speaks the spanning tree protocol.
    pub stp: Option<bool>,
    /// How long a port listens and learns before it forwards, in hundredths of a second.
    pub forward_delay: Option<u32>,
    /// Whether it filters VLANs.
    pub vlan_filtering: Option<bool>,
    /// The protocol of the tags that it filters by: `802.1q` or `802.1ad`.
    pub vlan_protocol: Option<String>,
}

impl fmt::Display for BridgeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |value: bool| if value { "on" } else { "off" };
        let said = [
            self.stp.map(|stp| format!("stp {}", on(stp))),
            self.forward_delay.map(|delay| format!("forward delay {delay}")),
            self.vlan_filtering.map(|filtering| format!("VLAN filtering {}", on(filtering))),
            self.vlan_protocol.as_ref().map(|protocol| format!("VLAN protocol {protocol}")),
        ];
        f.write_str(&said.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

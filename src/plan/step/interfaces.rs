//! Which interfaces a step is about.

use super::NetworkStep;
use crate::value::IfName;

impl NetworkStep {
    /// The interfaces that it changes; none of rules, values of the kernel and guests' ports.
    pub fn interfaces(&self) -> &[IfName] {
        match self {
            Self::Down { interfaces } | Self::Up { interfaces } => interfaces,
            Self::Delete { interface }
            | Self::Remake { interface, .. }
            | Self::SetMtu { interface, .. }
            | Self::Create { interface, .. }
            | Self::SetMaster { interface, .. }
            | Self::SetUp { interface }
            | Self::SetMac { interface, .. }
            | Self::SetAlias { interface, .. }
            | Self::AddAddress { interface, .. }
            | Self::RemoveAddress { interface, .. }
            | Self::SetBridge { interface, .. }
            | Self::SetMulticastRouter { interface, .. }
            | Self::SetTunnel { interface, .. }
            | Self::SetOvsMtu { interface, .. }
            | Self::AddRemote { interface, .. }
            | Self::AddRoute { interface, .. }
            | Self::SetUnreachable { interface, .. }
            | Self::NameTable { interface, .. }
            | Self::SetOvsPort { interface, .. }
            | Self::StopVlanFiltering { interface }
            | Self::ResetVlanProtocol { interface }
            | Self::StopForwarding { interface, .. }
            | Self::DeleteOvsPort { interface }
            | Self::Release { interface, .. }
            | Self::DropRemote { interface, .. }
            | Self::DropRoute { interface, .. } => std::slice::from_ref(interface),
            Self::AddLocalRule { .. }
            | Self::DropLocalRule { .. }
            | Self::SetSysctl { .. }
            | Self::AddRule(_)
            | Self::RemoveRule(_)
            | Self::SetNat { .. }
            | Self::ReturnPort { .. }
            | Self::SetPortFlags { .. }
            | Self::AddStation { .. }
            | Self::RemoveStation { .. }
            | Self::SetPortVlans { .. } => &[],
        }
    }
}

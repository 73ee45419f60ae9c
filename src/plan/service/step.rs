//! Single changes of what runs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::{Frr, Services};
use crate::render::Managed;
use crate::value::ZoneId;

/// One change of what runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceStep {
    /// systemd reads its units again.
    ReloadUnits,
    /// The system bus reads again who may speak with whom.
    ReloadBus,
    /// The kernel takes the values of the sysctl file. What no file names any more stays as
    /// it is until the next start.
    LoadSysctl,
    /// FRR takes what changed of its configuration; it is started where it does not run,
    /// and enabled. Never started anew because this fails.
    ReloadFrr,
    /// FRR is started anew, because other daemons are to run.
    RestartFrr,
    /// FRR is left without a configuration, and runs on.
    EmptyFrr,
    /// FRR gives up the VNIs of these VRFs, whose interfaces the kernel still has. Where those go
    /// first, FRR's zebra keeps using what it freed of them, until it crashes and no VNI is left.
    ReleaseVnis(BTreeSet<String>),
    /// The dnsmasq that is of no zone is stopped and disabled: it would take the port.
    StopDefaultDnsmasq,
    /// It is started and enabled again.
    StartDefaultDnsmasq,
    /// The dnsmasq of a zone is started anew, and enabled. It keeps no state but its leases,
    /// which are in a file.
    RestartDnsmasq(ZoneId),
    /// The dnsmasq of a zone is stopped and disabled.
    StopDnsmasq(ZoneId),
    /// The dnsmasq of a zone reads the file of its hosts again, where it runs. Nothing else
    /// of it changes.
    ReloadHosts(ZoneId),
    /// The dnsmasq of a zone forgets the lease of an address, where it runs: the address is
    /// somebody else's now, or nobody's.
    ForgetLease(ZoneId, IpAddr),
}

impl fmt::Display for ServiceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReloadUnits => f.write_str("reload the units of systemd"),
            Self::ReloadBus => f.write_str("reload the policy of D-Bus"),
            Self::LoadSysctl => write!(f, "load {}", Managed::Sysctl),
            Self::ReloadFrr => f.write_str("reload FRR"),
            Self::RestartFrr => {
                f.write_str("restart FRR: all its sessions drop and its routes with them")
            }
            Self::EmptyFrr => {
                f.write_str("empty FRR: all its sessions end and its routes with them")
            }
            Self::ReleaseVnis(vrfs) => {
                let vrfs: Vec<&str> = vrfs.iter().map(String::as_str).collect();
                write!(f, "let FRR give up the VNI of {}", vrfs.join(", "))
            }
            Self::StopDefaultDnsmasq => f.write_str("stop and disable dnsmasq.service"),
            Self::StartDefaultDnsmasq => f.write_str("enable and start dnsmasq.service"),
            Self::RestartDnsmasq(zone) => write!(f, "restart dnsmasq@{zone}"),
            Self::StopDnsmasq(zone) => write!(f, "stop and disable dnsmasq@{zone}"),
            Self::ReloadHosts(zone) => write!(f, "reload the hosts of dnsmasq@{zone}"),
            Self::ForgetLease(zone, address) => {
                write!(f, "let dnsmasq@{zone} forget the lease of {address}")
            }
        }
    }
}

impl ServiceStep {
    /// What is done instead on a way back, which an FRR that hangs must not stop: it is
    /// started anew, and reads its files.
    #[must_use]
    pub fn of_way_back(self, services: &Services) -> Self {
        match self {
            Self::ReloadFrr | Self::EmptyFrr if services.frr == Frr::Silent => Self::RestartFrr,
            step => step,
        }
    }
}

//! Guests whose addresses and names are declared.

use std::net::IpAddr;

use super::DhcpOption;
use crate::value::{DnsName, MacAddress, VnetId};

/// One virtual machine or container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its network interfaces in the order declared.
    pub nics: Vec<Nic>,
    /// Its name in DNS, when it is not the guest's own.
    pub hostname: Option<DnsName>,
}

/// One network interface of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The vnet it is plugged into, which is declared.
    pub vnet: VnetId,
    /// Its hardware address.
    pub mac: MacAddress,
    /// Fixed addresses, each within a subnet of the vnet.
    pub addresses: Vec<IpAddr>,
    /// What it is told by DHCP beside what its subnets tell, and instead of it. Of IPv6
    /// `domain-search` only.
    pub dhcp_options: Vec<DhcpOption>,
}

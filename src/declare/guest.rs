//! `guests:` as written.

use std::net::IpAddr;

use super::vnet::DhcpOption;
use crate::value::{At, DnsName, MacAddress, VnetId};

declaration! {
    /// One guest: a virtual machine or container.
    pub struct Guest as "a guest" {
        /// Its network interfaces.
        required "nics" nics: Vec<Nic>,
        /// Its name in DNS, when it is not the guest's own.
        optional "hostname" hostname: DnsName,
    }
}

declaration! {
    /// One network interface of a guest.
    pub struct Nic as "a network interface" {
        /// The vnet it is plugged into.
        required "vnet" vnet: VnetId,
        /// Its hardware address.
        required "mac" mac: MacAddress,
        /// Fixed addresses; one is chosen for each family without.
        optional "addresses" addresses: Vec<At<IpAddr>>,
        /// What this interface is told by DHCP beside its address; counts more than what its
        /// subnets tell all. Of IPv6 `domain-search` only.
        optional "dhcp-options" dhcp_options: Vec<DhcpOption>,
    }
}

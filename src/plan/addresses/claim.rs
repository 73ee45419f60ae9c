//! Interfaces of guests that should have addresses.

use std::net::IpAddr;

use crate::network::{Network, Origin};
use crate::value::{DnsName, GuestName, MacAddress, VnetId};

/// One interface that should have addresses: one of each family that its vnet has subnets
/// of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The vnet it is plugged into.
    pub vnet: VnetId,
    /// Its hardware address.
    pub mac: MacAddress,
    /// The guest.
    pub guest: GuestName,
    /// The guest's name in DNS, when it is not its own.
    pub hostname: Option<DnsName>,
    /// Addresses that it must have; one is chosen for each family without.
    pub fixed: Vec<IpAddr>,
    /// Who says that it is there.
    pub origin: Origin,
}

/// The claims of the guests that are declared, in the order of their names.
pub fn claims(network: &Network) -> Vec<Claim> {
    let of_guest = |(name, guest): (&GuestName, &crate::network::Guest)| {
        let claims = guest.nics.iter().map(|nic| Claim {
            vnet: nic.vnet.clone(),
            mac: nic.mac.clone(),
            guest: name.clone(),
            hostname: guest.hostname.clone(),
            fixed: nic.addresses.clone(),
            origin: Origin::Declared,
        });
        claims.collect::<Vec<_>>()
    };
    network.guests.iter().flat_map(of_guest).collect()
}

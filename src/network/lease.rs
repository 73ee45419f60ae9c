//! Leases: which interface of which guest holds which address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::value::{DnsName, GuestName, MacAddress, VnetId, ZoneId};

/// One address that a guest holds, wherever the zone's addresses are administered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The vnet the interface is plugged into.
    pub vnet: VnetId,
    /// The interface's hardware address.
    pub mac: MacAddress,
    /// The guest.
    pub guest: GuestName,
    /// Its name in DNS, when it is not the guest's own.
    pub hostname: Option<DnsName>,
    /// Who says that the guest is there.
    pub origin: Origin,
    /// Since when nobody says so any more. The address stays the guest's for a grace.
    pub released: Option<Timestamp>,
}

/// Who says that a guest is there. A lease is released only by who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A declaration.
    Declared,
    /// The configuration of a guest of the hypervisor.
    Found,
    /// A person at a command line.
    Set,
}

/// All leases by zone and address. Prefixes of different zones may overlap.
pub type Leases = BTreeMap<(ZoneId, IpAddr), Lease>;

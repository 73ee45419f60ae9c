//! Who does not get what, and what is held where nothing is declared.

use std::fmt;
use std::net::IpAddr;

use crate::plan::Family;
use crate::value::{GuestName, MacAddress, VnetId, ZoneId};

/// Why an interface does not get what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It claims or holds addresses, and its vnet has no subnet, or is not declared.
    NoSubnet,
    /// No address of this family is free.
    Exhausted(Family),
    /// The fixed address is in no subnet of the vnet.
    Outside(IpAddr),
    /// The fixed address is the router's, or the prefix keeps it for itself.
    Kept(IpAddr),
    /// Another guest holds the fixed address.
    Held(IpAddr, GuestName),
    /// The fixed address is declared for another guest, whoever claims now.
    Declared(IpAddr, GuestName),
}

/// An interface that does not get what it claims. It keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The guest.
    pub guest: GuestName,
    /// The vnet of the interface.
    pub vnet: VnetId,
    /// The hardware address of the interface.
    pub mac: MacAddress,
    /// Why.
    pub why: Refusal,
}

/// A lease in no subnet that is declared. It is kept until a person gives it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranded {
    /// The zone of the address.
    pub zone: ZoneId,
    /// The address.
    pub address: IpAddr,
    /// Who holds it.
    pub guest: GuestName,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guest, vnet, mac, why } = self;
        write!(f, "`{guest}` ({mac} on `{vnet}`): ")?;
        match why {
            Refusal::NoSubnet => f.write_str("the vnet has no subnet"),
            Refusal::Exhausted(family) => {
                let family = family.as_str();
                write!(f, "no {family} address is free; add a `dhcp-range` or a subnet")
            }
            Refusal::Outside(address) => write!(f, "{address} is in no subnet of the vnet"),
            Refusal::Kept(address) => {
                write!(f, "{address} is the router's, or the subnet keeps it for itself")
            }
            Refusal::Held(address, other) => write!(
                f,
                "{address} is held by `{other}`, and given to nobody else before it is given up"
            ),
            Refusal::Declared(address, other) => {
                write!(f, "{address} is declared for `{other}`")
            }
        }
    }
}

impl fmt::Display for Stranded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zone, address, guest } = self;
        write!(
            f,
            "{address} of `{guest}` is in no subnet of zone `{zone}`; \
             `weft ipam release {address} --zone {zone}` gives it up"
        )
    }
}

//! What says that an object is ours, and which one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::Key;
use crate::plan::Family;
use crate::value::{AddressRange, ClusterName, MacAddress, VnetId, ZoneId};

/// The tag of our objects, where a server has tags; the first word of every mark.
pub const TAG: &str = "weft";

/// The mark of an object: `weft:CLUSTER/ZONE/WHAT`. No two objects of a server have the same,
/// so whoever creates something twice, because an answer was lost or another did it at the
/// same time, has it once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Whose it is.
    pub cluster: ClusterName,
    /// The zone.
    pub zone: ZoneId,
    /// What it is there.
    pub of: Of,
}

/// What an object is in its zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// `vrf`: the space of addresses itself.
    Space,
    /// `prefix/10.0.0.0/24`: a subnet.
    Prefix(IpNet),
    /// `range/10.0.0.10-10.0.0.20`: addresses for guests, or for whoever is unknown.
    Range(IpAddr, IpAddr),
    /// `gateway/VNET/10.0.0.1`: the router's address.
    Gateway(VnetId, IpAddr),
    /// `guest/VNET/MAC/SLOT`: an address of a guest's interface.
    Interface(VnetId, MacAddress, Slot),
}

/// Which of an interface's addresses one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `ipv4` or `ipv6`: the one of its family. Two who give an address to one interface at
    /// the same time both write this mark, so only one of them does.
    Family(Family),
    /// The address itself: a further one, beside one that was given up or is fixed.
    Further(IpAddr),
}

impl Mark {
    /// What the object with this mark is found by; nothing where the mark leaves its address
    /// open.
    pub fn key(&self) -> Option<Key> {
        match &self.of {
            Of::Space => Some(Key::Space),
            Of::Prefix(prefix) => Some(Key::Prefix(*prefix)),
            Of::Range(start, end) => Some(Key::Range(*start, *end)),
            Of::Gateway(_, address) | Of::Interface(_, _, Slot::Further(address)) => {
                Some(Key::Address(*address))
            }
            Of::Interface(_, _, Slot::Family(_)) => None,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, zone, of } = self;
        write!(f, "{TAG}:{cluster}/{zone}/")?;
        match of {
            Of::Space => f.write_str("vrf"),
            Of::Prefix(prefix) => write!(f, "prefix/{prefix}"),
            Of::Range(start, end) => write!(f, "range/{start}-{end}"),
            Of::Gateway(vnet, address) => write!(f, "gateway/{vnet}/{address}"),
            Of::Interface(vnet, mac, slot) => {
                let octets = mac.octets().map(|octet| format!("{octet:02x}"));
                write!(f, "guest/{vnet}/{}/", octets.join(":"))?;
                match slot {
                    Slot::Family(Family::V4) => f.write_str("ipv4"),
                    Slot::Family(Family::V6) => f.write_str("ipv6"),
                    Slot::Further(address) => write!(f, "{address}"),
                }
            }
        }
    }
}

/// A text that is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, NoMark> {
        let mark = read(text).ok_or(NoMark)?;
        if mark.to_string() == text { Ok(mark) } else { Err(NoMark) }
    }
}

fn read(text: &str) -> Option<Mark> {
    let rest = text.strip_prefix(TAG)?.strip_prefix(':')?;
    let mut parts = rest.splitn(4, '/');
    let cluster = parts.next()?.parse().ok()?;
    let zone = parts.next()?.parse().ok()?;
    let of = match (parts.next()?, parts.next()) {
        ("vrf", None) => Of::Space,
        ("prefix", Some(prefix)) => Of::Prefix(prefix.parse().ok()?),
        ("range", Some(range)) => {
            let range: AddressRange = range.parse().ok()?;
            Of::Range(range.start(), range.end())
        }
        ("gateway", Some(rest)) => {
            let (vnet, address) = rest.split_once('/')?;
            Of::Gateway(vnet.parse().ok()?, address.parse().ok()?)
        }
        ("guest", Some(rest)) => {
            let (vnet, rest) = rest.split_once('/')?;
            let (mac, slot) = rest.split_once('/')?;
            let slot = match slot {
                "ipv4" => Slot::Family(Family::V4),
                "ipv6" => Slot::Family(Family::V6),
                address => Slot::Further(address.parse().ok()?),
            };
            Of::Interface(vnet.parse().ok()?, mac.parse().ok()?, slot)
        }
        _ => return None,
    };
    Some(Mark { cluster, zone, of })
}

//! What a server says of leases.

use std::net::IpAddr;

use super::{Found, Key, Owner};
use crate::network::Leases;
use crate::value::{AddressRange, ZoneId};

/// The leases of a zone whose addresses a server administers: what is ours there and is a
/// guest's.
pub fn leases(found: &Found, zone: &ZoneId) -> Leases {
    let ours = found.objects.iter().filter(|object| object.zone.as_ref() == Some(zone));
    let held = ours.filter_map(|object| match (object.key, &object.content) {
        (Key::Address(address), Some(content)) if object.is_ours() => {
            Some(((zone.clone(), address), content.lease.clone()?))
        }
        _ => None,
    });
    held.collect()
}

/// The addresses of a zone that are not to be chosen for guests, because somebody else has
/// them there: single ones, ranges, and prefixes within a subnet.
pub fn taken(found: &Found, zone: &ZoneId, subnets: &[ipnet::IpNet]) -> Vec<AddressRange> {
    let others = found.objects.iter().filter(|object| {
        object.zone.as_ref() == Some(zone) && !matches!(object.owner, Owner::Ours)
    });
    let range = |start: IpAddr, end: IpAddr| AddressRange::new(start, end).ok();
    let taken = others.filter_map(|object| match object.key {
        Key::Address(address) => range(address, address),
        Key::Range(start, end) => range(start, end),
        Key::Prefix(prefix) if subnets.iter().any(|subnet| object.key.is_below(subnet)) => {
            range(prefix.network(), prefix.broadcast())
        }
        Key::Prefix(_) | Key::Space => None,
    });
    taken.collect()
}

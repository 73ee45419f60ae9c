//! Rules about guests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::guest::Nic;
use crate::declare::vnet::Vnet;
use crate::declare::{Declared, Entry};
use crate::value::{At, GuestName, Place, VnetId};

/// Every interface of every guest.
pub(super) fn nics(declared: &Declared) -> impl Iterator<Item = (&GuestName, &Nic)> {
    declared
        .guests
        .iter()
        .flat_map(|(name, guest)| guest.value.nics.value.iter().map(move |nic| (name, nic)))
}

/// The fixed addresses of an interface.
pub(super) fn addresses(nic: &Nic) -> impl Iterator<Item = &At<IpAddr>> {
    nic.addresses.iter().flat_map(|addresses| &addresses.value)
}

/// Guests are plugged into declared vnets.
pub(super) fn vnets_declared(declared: &Declared, report: &mut Report) {
    for (guest, nic) in nics(declared) {
        if !declared.vnets.contains_key(&nic.vnet.value) {
            report.unknown(
                Code::ReferenceUnknown,
                format!("guest `{guest}` is on vnet `{}`, which is not declared", nic.vnet.value),
                &nic.vnet.place,
                nic.vnet.value.as_str(),
                "declared vnets",
                declared.vnets.keys().map(VnetId::as_str),
            );
        }
    }
}

/// A fixed address lies in a subnet of its vnet.
pub(super) fn addresses_inside(declared: &Declared, report: &mut Report) {
    let mut prefixes: BTreeMap<&VnetId, BTreeSet<IpNet>> = BTreeMap::new();
    for (guest, nic) in nics(declared) {
        let id = &nic.vnet.value;
        let Some(Entry { value: vnet, place, .. }) = declared.vnets.get(id) else { continue };
        let prefixes = prefixes.entry(id).or_insert_with(|| networks(vnet));
        for address in addresses(nic) {
            if !is_in(address.value, prefixes) {
                let message = format!(
                    "address {} of guest `{guest}` is in no subnet of vnet `{id}`",
                    address.value
                );
                let finding = Finding::new(Code::GuestAddressOutside, message, &address.place)
                    .also(place, "the vnet");
                report.push(finding);
            }
        }
    }
}

fn networks(vnet: &Vnet) -> BTreeSet<IpNet> {
    let subnets = vnet.subnets.iter().flat_map(|subnets| subnets.value.keys());
    subnets.map(|prefix| prefix.net().trunc()).collect()
}

/// Whether an address lies in one of many networks, which are looked up by each
/// length that they can have.
fn is_in(address: IpAddr, networks: &BTreeSet<IpNet>) -> bool {
    (0..=IpNet::from(address).prefix_len())
        .any(|length| IpNet::new(address, length).is_ok_and(|net| networks.contains(&net.trunc())))
}

/// An address of a vnet has one holder: a gateway, or one interface of a guest.
pub(super) fn addresses_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<(&VnetId, IpAddr), (String, &Place)> = BTreeMap::new();
    for (id, vnet) in &declared.vnets {
        for subnet in vnet.value.subnets.iter().flat_map(|subnets| subnets.value.values()) {
            if let Some(gateway) = &subnet.value.gateway {
                let holder = ("the gateway".to_owned(), &gateway.place);
                seen.entry((id, gateway.value)).or_insert(holder);
            }
        }
    }
    for (guest, nic) in nics(declared) {
        for address in addresses(nic) {
            let key = (&nic.vnet.value, address.value);
            if let Some((holder, place)) = seen.get(&key) {
                let message = format!(
                    "{} is on vnet `{}` twice, of {holder} and guest `{guest}`",
                    key.1, key.0
                );
                report.twice(Code::GuestAddressReused, message, place, &address.place);
            } else {
                seen.insert(key, (format!("guest `{guest}`"), &address.place));
            }
        }
    }
}

/// A hardware address is on a vnet once.
pub(super) fn hardware_addresses_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<_, (_, &Place)> = BTreeMap::new();
    for (guest, nic) in nics(declared) {
        let key = (&nic.vnet.value, &nic.mac.value);
        if let Some((other, place)) = seen.get(&key) {
            let (vnet, mac) = key;
            let message =
                format!("{mac} is on vnet `{vnet}` twice, of guests `{other}` and `{guest}`");
            report.twice(Code::GuestMacReused, message, place, &nic.mac.place);
        } else {
            seen.insert(key, (guest, &nic.mac.place));
        }
    }
}

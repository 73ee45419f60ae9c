//! Rules about guests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::guest::Nic;
use crate::declare::vnet::Vnet;
use crate::declare::{Declared, Entry};
use crate::value::{At, Cidr, GuestName, Place, VnetId};

fn nics(declared: &Declared) -> impl Iterator<Item = (&GuestName, &Nic)> {
    declared
        .guests
        .iter()
        .flat_map(|(name, guest)| guest.value.nics.value.iter().map(move |nic| (name, nic)))
}

fn addresses(nic: &Nic) -> impl Iterator<Item = &At<IpAddr>> {
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
    for (guest, nic) in nics(declared) {
        let Some(Entry { value: vnet, place }) = declared.vnets.get(&nic.vnet.value) else {
            continue;
        };
        for address in addresses(nic) {
            let mut prefixes = prefixes(vnet);
            if !prefixes.any(|prefix| prefix.contains(address.value)) {
                let message = format!(
                    "address {} of guest `{guest}` is in no subnet of vnet `{}`",
                    address.value, nic.vnet.value
                );
                let finding = Finding::new(Code::GuestAddressOutside, message, &address.place)
                    .also(place, "the vnet");
                report.push(finding);
            }
        }
    }
}

fn prefixes(vnet: &Vnet) -> impl Iterator<Item = &Cidr> {
    vnet.subnets.iter().flat_map(|subnets| subnets.value.keys())
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
                let message =
                    format!("guest `{guest}` and {holder} both have {} on vnet `{}`", key.1, key.0);
                let finding = Finding::new(Code::GuestAddressReused, message, &address.place)
                    .label("again here")
                    .also(place, "first here");
                report.push(finding);
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
            let message =
                format!("guests `{other}` and `{guest}` both have {} on vnet `{}`", key.1, key.0);
            let finding = Finding::new(Code::GuestMacReused, message, &nic.mac.place)
                .label("again here")
                .also(place, "first here");
            report.push(finding);
        } else {
            seen.insert(key, (guest, &nic.mac.place));
        }
    }
}

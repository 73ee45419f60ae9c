//! Rules about vnets and their tags.

use std::collections::BTreeMap;

use super::report::Report;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry, vnet};
use crate::value::{Place, ZoneId};

/// The last number of a VLAN (IEEE 802.1Q).
pub(super) const LAST_VLAN: u32 = 4094;
/// The largest tag that Proxmox takes in VLAN and QinQ zones.
const LAST_TAG: u32 = 4096;

/// The zone of a vnet, if it is declared.
pub(super) fn zone_of<'a>(vnet: &vnet::Vnet, declared: &'a Declared) -> Option<&'a Entry<Zone>> {
    declared.zones.get(&vnet.zone.value)
}

/// The zone of every vnet is declared.
pub(super) fn zone_declared(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let zone = &vnet.value.zone;
        if !declared.zones.contains_key(&zone.value) {
            report.unknown(
                Code::ZoneUnknown,
                format!("vnet `{id}` is in zone `{}`, which is not declared", zone.value),
                &zone.place,
                zone.value.as_str(),
                "declared zones",
                declared.zones.keys().map(ZoneId::as_str),
            );
        }
    }
}

/// A vnet has a tag where its zone's type uses tags, and none elsewhere.
pub(super) fn tag_fits(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let Some(zone) = zone_of(&vnet.value, declared) else { continue };
        let kind = &zone.value.kind;
        match (kind.value, &vnet.value.tag) {
            (ZoneType::Simple, Some(tag)) => {
                let message = format!("vnet `{id}` has a tag, and its zone is simple");
                let finding = Finding::new(Code::TagForbidden, message, &tag.place)
                    .also(&kind.place, "this type has no tags");
                report.push(finding);
            }
            (ZoneType::Vxlan | ZoneType::Evpn | ZoneType::Vlan, None) if vnet.whole => {
                let message = format!("vnet `{id}` has no `tag`, and no node gets it");
                let finding = Finding::new(Code::TagMissing, message, &vnet.place)
                    .also(&kind.place, format!("vnets of {} zones have one", kind.value))
                    .help("add `tag: NUMBER`, a number that no other vnet has");
                report.push(finding);
            }
            (ZoneType::Vlan | ZoneType::Qinq, Some(tag)) if tag.value.get() > LAST_VLAN => {
                let (code, what) = match tag.value.get() {
                    ..=LAST_TAG => (Code::VlanReserved, "which is no VLAN that can be used"),
                    _ => (Code::VlanTagTooLarge, "which is no VLAN"),
                };
                let message = format!("vnet `{id}` has tag {}, {what}", tag.value);
                let finding = Finding::new(code, message, &tag.place)
                    .also(&kind.place, format!("tags of a {} zone are VLANs", kind.value));
                report.push(finding);
            }
            _ => {}
        }
    }
}

/// No two vnets have one tag where they could not be told apart: in a VLAN or QinQ zone,
/// and in all VXLAN and EVPN zones together, because the tunnels of a node share the
/// network identifiers. One vnet of a QinQ zone has none.
pub(super) fn tags_differ(declared: &Declared, report: &mut Report) {
    let mut seen: BTreeMap<_, (_, &Place)> = BTreeMap::new();
    for (id, vnet) in &declared.vnets {
        let Some(zone) = zone_of(&vnet.value, declared) else { continue };
        let within = Some(&vnet.value.zone.value);
        let tag = vnet.value.tag.as_ref();
        let (within, place) = match (zone.value.kind.value, tag) {
            (ZoneType::Vxlan | ZoneType::Evpn, Some(tag)) => (None, &tag.place),
            (ZoneType::Vlan | ZoneType::Qinq, Some(tag)) => (within, &tag.place),
            (ZoneType::Qinq, None) if vnet.whole => (within, &vnet.place),
            _ => continue,
        };
        let key = (within, tag.map(|tag| tag.value));
        let Some((other, first)) = seen.get(&key) else {
            seen.insert(key, (id, place));
            continue;
        };
        let (code, what) = match tag {
            Some(tag) => (Code::TagReused, format!("tag {}", tag.value)),
            None => (Code::TaglessVnetRepeated, "no tag".to_owned()),
        };
        let message = format!("vnets `{other}` and `{id}` both have {what}");
        report.twice(code, message, first, place);
    }
}

/// A VLAN-aware vnet has no subnets, and is not routed.
pub(super) fn vlan_aware(declared: &Declared, report: &mut Report) {
    for (id, vnet) in &declared.vnets {
        let Some(aware) = vnet.value.vlanaware.as_ref().filter(|aware| aware.value) else {
            continue;
        };
        if let Some(zone) = zone_of(&vnet.value, declared)
            && zone.value.kind.value == ZoneType::Evpn
        {
            let message = format!("vnet `{id}` is VLAN-aware and in an evpn zone");
            let finding = Finding::new(Code::VlanAwareEvpn, message, &aware.place)
                .also(&zone.value.kind.place, "vnets of this type are routed");
            report.push(finding);
        }
        let subnets = vnet.value.subnets.iter().flat_map(|subnets| &subnets.value);
        let finding = Finding::new(
            Code::VlanAwareSubnets,
            format!("vnet `{id}` is VLAN-aware and has subnets"),
            &aware.place,
        );
        let mut subnets = subnets.take(SHOWN).peekable();
        if subnets.peek().is_some() {
            report.push(subnets.fold(finding, |finding, (prefix, subnet)| {
                finding.also(&subnet.place, format!("subnet {prefix}"))
            }));
        }
    }
}

/// How many subnets are shown in one finding.
const SHOWN: usize = 8;

//! Rules about VLANs on bridges of nodes.

use std::collections::BTreeMap;

use super::placement::Numbers;
use super::report::Report;
use super::vnets::{LAST_VLAN, zone_of};
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry};
use crate::value::{At, IfName, Place, ZoneId};

/// The most characters of the name of an interface (`IFNAMSIZ` less the end of the text).
const MAX_NAME: usize = 15;
/// With how many zones that use a VLAN a further one is compared.
const MAX_USERS: usize = 64;

/// The zones of a type that are on a bridge.
fn on_bridges(
    declared: &Declared,
    kind: ZoneType,
) -> impl Iterator<Item = (&ZoneId, &Zone, &At<IfName>)> {
    let zones = declared.zones.iter().filter(move |(_, zone)| zone.value.kind.value == kind);
    zones.filter_map(|(id, zone)| Some((id, &zone.value, zone.value.bridge.as_ref()?)))
}

/// A service VLAN is one that there is.
pub(super) fn service_vlan_possible(declared: &Declared, report: &mut Report) {
    for (id, Entry { value: zone, .. }) in &declared.zones {
        let Some(tag) = zone.tag.as_ref().filter(|_| zone.kind.value == ZoneType::Qinq) else {
            continue;
        };
        if !(1..=LAST_VLAN).contains(&tag.value.get()) {
            let message = format!("zone `{id}` has the service VLAN {}", tag.value);
            report.push(Finding::new(Code::ServiceVlanOutOfBounds, message, &tag.place));
        }
    }
}

/// Who uses a VLAN of a bridge.
#[derive(Clone, Copy)]
struct User<'a> {
    zone: &'a ZoneId,
    /// The id of the vnet; `None` of a service VLAN.
    vnet: Option<&'a str>,
    place: &'a Place,
}

impl User<'_> {
    fn name(&self) -> String {
        match self.vnet {
            Some(vnet) => format!("vnet `{vnet}` of zone `{}`", self.zone),
            None => format!("zone `{}`", self.zone),
        }
    }
}

/// A VLAN of a bridge is used by one zone, on every node that has both.
pub(super) fn vlans_differ(declared: &Declared, report: &mut Report) {
    let numbers = Numbers::of(declared);
    let nodes = numbers.zones(declared);
    let mut users: BTreeMap<(&IfName, u32), Vec<User<'_>>> = BTreeMap::new();
    let services = on_bridges(declared, ZoneType::Qinq).filter_map(|(zone, of, bridge)| {
        let tag = of.tag.as_ref()?;
        let user = User { zone, vnet: None, place: &tag.place };
        Some(((&bridge.value, tag.value.get()), user))
    });
    let vlans = declared.vnets.iter().filter_map(|(vnet, entry)| {
        let zone = &zone_of(&entry.value, declared)?.value;
        let bridge = zone.bridge.as_ref().filter(|_| zone.kind.value == ZoneType::Vlan)?;
        let (id, tag) = (&entry.value.zone.value, entry.value.tag.as_ref()?);
        let user = User { zone: id, vnet: Some(vnet.as_str()), place: &tag.place };
        Some(((&bridge.value, tag.value.get()), user))
    });
    for (key, user) in services.chain(vlans) {
        let others = users.entry(key).or_default();
        let shared = others.iter().take(MAX_USERS).find(|other| {
            let (one, two) = (nodes.get(other.zone), nodes.get(user.zone));
            other.zone != user.zone && one.zip(two).is_some_and(|(one, two)| one.meets(two))
        });
        if let Some(other) = shared {
            let code = match (other.vnet, user.vnet) {
                (None, None) => Code::ServiceVlanReused,
                _ => Code::VlanReused,
            };
            let (bridge, vlan) = key;
            let message = format!(
                "{} and {} both use VLAN {vlan} of bridge `{bridge}`",
                other.name(),
                user.name()
            );
            report.twice(code, message, other.place, user.place);
        }
        others.push(user);
    }
}

/// The names that are made of a bridge and a tag are not too long.
pub(super) fn names_fit(declared: &Declared, report: &mut Report) {
    let mut longest: BTreeMap<&ZoneId, (u32, &Place)> = BTreeMap::new();
    for vnet in declared.vnets.values() {
        let Some(tag) = &vnet.value.tag else { continue };
        let seen = longest.entry(&vnet.value.zone.value).or_insert((0, &tag.place));
        if tag.value.get() > seen.0 {
            *seen = (tag.value.get(), &tag.place);
        }
    }
    let vlan = on_bridges(declared, ZoneType::Vlan)
        .filter_map(|(id, _, bridge)| Some((id, bridge, *longest.get(id)?)));
    let qinq = on_bridges(declared, ZoneType::Qinq).filter_map(|(id, zone, bridge)| {
        let tag = zone.tag.as_ref()?;
        Some((id, bridge, (tag.value.get(), &tag.place)))
    });
    for (id, bridge, (tag, place)) in vlan.chain(qinq) {
        let name = format!("{}.{tag}", bridge.value);
        if name.len() > MAX_NAME {
            let message = format!(
                "zone `{id}` makes an interface of the name `{name}`, which has {} characters",
                name.len()
            );
            let finding = Finding::new(Code::BridgeNameTooLong, message, &bridge.place)
                .also(place, "with this tag")
                .help(format!("an interface has at most {MAX_NAME} characters: use a bridge with a shorter name"));
            report.push(finding);
        }
    }
}

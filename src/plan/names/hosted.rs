//! Which of a server's zones holds what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fqdn, Holder, RecordKind, Refusal, Refused, Registered, Subject, WantedName, WantedOnServer,
    reverse,
};

/// A zone that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// Whether it is kept here, and not copied from another server.
    pub primary: bool,
}

/// What is wanted in one zone: by name and type each content, and whose it is.
pub type WantedZone = BTreeMap<Fqdn, BTreeMap<RecordKind, BTreeMap<String, BTreeSet<Holder>>>>;

/// What is wanted, by the zones that a server has: each name in the smallest zone that holds
/// it, for that is where it is looked up.
pub fn assign(
    wanted: &WantedOnServer,
    zones: &BTreeMap<Fqdn, Hosted>,
) -> (BTreeMap<Fqdn, WantedZone>, Vec<Refused>) {
    let mut assigned: BTreeMap<Fqdn, WantedZone> = BTreeMap::new();
    let mut refused = Vec::new();
    let of_addresses = reverse::Zones::of(zones.keys());
    for one in &wanted.names {
        match place(one, wanted, zones, &of_addresses) {
            Ok((zone, name, kind, content)) => {
                let names = assigned.entry(zone).or_default();
                let contents = names.entry(name).or_default().entry(kind).or_default();
                contents.entry(content).or_default().insert(one.holder.clone());
            }
            Err(why) => {
                refused.push(Refused { of: Subject::Holders([one.holder.clone()].into()), why });
            }
        }
    }
    (assigned, merged(refused))
}

/// Zone, name, type and content.
fn place(
    one: &WantedName,
    wanted: &WantedOnServer,
    zones: &BTreeMap<Fqdn, Hosted>,
    of_addresses: &reverse::Zones<'_>,
) -> Result<(Fqdn, Fqdn, RecordKind, String), Refusal> {
    let (zone, name, kind, content) = match &one.direction {
        Registered::Forward(dnszone) => {
            let all = std::iter::once(one.name.clone()).chain(one.name.above());
            let zone = all.into_iter().find(|above| zones.contains_key(above));
            let declared = Fqdn::of(dnszone);
            let zone = zone.filter(|_| zones.contains_key(&declared));
            let zone = zone.ok_or_else(|| Refusal::NoZone(dnszone.clone()))?;
            let kind = if one.address.is_ipv4() { RecordKind::A } else { RecordKind::Aaaa };
            (zone, one.name.clone(), kind, one.address.to_string())
        }
        Registered::Reverse(subnet) => {
            let Some(place) = of_addresses.place(one.address) else {
                return Err(Refusal::NoReverseZone {
                    name: Fqdn::of_address(one.address),
                    create: reverse::proposal(*subnet, wanted.reverse_mask_v6),
                });
            };
            let content = one.name.as_str().to_owned();
            (place.zone.clone(), place.name, RecordKind::Ptr, content)
        }
    };
    match zones.get(&zone) {
        Some(Hosted { primary: true }) => Ok((zone, name, kind, content)),
        _ => Err(Refusal::NotPrimary(zone)),
    }
}

/// One refusal for all that are refused for the same reason.
fn merged(refused: Vec<Refused>) -> Vec<Refused> {
    let mut merged: BTreeMap<String, Refused> = BTreeMap::new();
    for one in refused {
        // Of a zone that is missing each address would be told apart by its name alone.
        let key = match &one.why {
            Refusal::NoReverseZone { create, .. } => create.to_string(),
            why => why.to_string(),
        };
        match (merged.get_mut(&key).map(|first| &mut first.of), one.of) {
            (Some(Subject::Holders(all)), Subject::Holders(more)) => all.extend(more),
            (_, of) => {
                merged.insert(key, Refused { of, why: one.why });
            }
        }
    }
    merged.into_values().collect()
}

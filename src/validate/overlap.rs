//! Prefixes that overlap.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::placement::{NodeSet, Numbers};
use super::report::Report;
use super::subnets::{Found, all};
use crate::declare::Declared;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::value::ZoneId;

/// With how many of the prefixes that contain it a prefix is compared, the nearest first. More that
/// are open at one place are prefixes of networks that do not meet.
const MAX_OPEN: usize = 256;

/// Calls `found` for each prefix with the nearest one that contains it and matters to
/// it. Of two prefixes that overlap one contains the other, so that in the order of
/// their first addresses, the wider ones first, those that are still open contain the
/// next one.
pub(super) fn overlaps<T>(
    mut prefixes: Vec<(IpNet, T)>,
    matters: impl Fn(&T, &T) -> bool,
    mut found: impl FnMut(&T, &T),
) {
    prefixes.sort_by_key(|(net, _)| (net.network(), net.prefix_len()));
    let mut open: Vec<(IpNet, T)> = Vec::new();
    for (net, inner) in prefixes {
        while open.last().is_some_and(|(outer, _)| !outer.contains(&net.network())) {
            open.pop();
        }
        let nearest = open.iter().rev().take(MAX_OPEN);
        if let Some((_, outer)) = nearest.into_iter().find(|(_, outer)| matters(outer, &inner)) {
            found(outer, &inner);
        }
        open.push((net, inner));
    }
}

/// No two prefixes of a zone overlap. The same one twice is another rule's.
pub(super) fn within_zones(declared: &Declared, report: &mut Report) {
    let mut zones: BTreeMap<&ZoneId, Vec<(IpNet, Found<'_>)>> = BTreeMap::new();
    for found in all(declared) {
        zones.entry(&found.vnet.zone.value).or_default().push((found.prefix.net(), found));
    }
    for (zone, subnets) in zones {
        overlaps(
            subnets,
            |outer, inner| outer.prefix != inner.prefix,
            |outer, inner| {
                let message = format!(
                    "subnets {} and {} of zone `{zone}` overlap",
                    outer.prefix, inner.prefix
                );
                report.push(pair(Code::SubnetOverlap, message, outer, inner));
            },
        );
    }
}

fn pair(code: Code, message: String, outer: &Found<'_>, inner: &Found<'_>) -> Finding {
    Finding::new(code, message, &inner.subnet.place)
        .label(format!("of vnet `{}`", inner.vnet_id))
        .also(&outer.subnet.place, format!("of vnet `{}`", outer.vnet_id))
}

/// Where the subnets of a zone are routed.
struct Routes {
    /// The nodes whose own table has them.
    nodes: NodeSet,
    /// The VRF of an EVPN zone.
    vrf: Option<u32>,
    /// The VRFs whose routes it imports.
    imports: BTreeSet<u32>,
}

impl Routes {
    /// Those of a zone that routes.
    fn of(zone: &Zone, numbers: &Numbers<'_>) -> Option<Self> {
        let listed = |names: Option<&crate::value::At<Vec<_>>>| {
            names.map(|names| numbers.listed(&names.value))
        };
        Some(match zone.kind.value {
            ZoneType::Simple => Self {
                nodes: listed(zone.nodes.as_ref()).unwrap_or_else(|| numbers.all()),
                vrf: None,
                imports: BTreeSet::new(),
            },
            ZoneType::Evpn => Self {
                nodes: listed(zone.exitnodes.as_ref()).unwrap_or_else(|| numbers.listed(&[])),
                vrf: zone.vrf_vxlan.as_ref().map(|vni| vni.value.get()),
                imports: zone
                    .rt_import
                    .iter()
                    .flat_map(|targets| &targets.value)
                    .map(|target| target.value.number())
                    .collect(),
            },
            ZoneType::Vlan | ZoneType::Qinq | ZoneType::Vxlan => return None,
        })
    }

    /// Whether one table has the routes of both.
    fn meet(&self, other: &Self) -> bool {
        let imports =
            |one: &Self, other: &Self| other.vrf.is_some_and(|vrf| one.imports.contains(&vrf));
        self.nodes.meets(&other.nodes) || imports(self, other) || imports(other, self)
    }
}

/// No two prefixes overlap that a node routes in one table, by their gateways.
pub(super) fn between_zones(declared: &Declared, report: &mut Report) {
    let numbers = Numbers::of(declared);
    let zones: BTreeMap<&ZoneId, Routes> = declared
        .zones
        .iter()
        .filter_map(|(id, zone)| Some((id, Routes::of(&zone.value, &numbers)?)))
        .collect();
    let subnets = all(declared).filter(|found| found.subnet.value.gateway.is_some());
    let subnets = subnets.filter_map(|found| {
        let (id, routes) = zones.get_key_value(&found.vnet.zone.value)?;
        Some((found.prefix.net(), (*id, routes, found)))
    });
    overlaps(
        subnets.collect(),
        |(one, outer, _), (other, inner, _)| one != other && outer.meet(inner),
        |(one, _, outer), (other, _, inner)| {
            let message = format!(
                "subnet {} of zone `{one}` and {} of zone `{other}` overlap",
                outer.prefix, inner.prefix
            );
            report.push(pair(Code::SubnetOverlapZones, message, outer, inner));
        },
    );
}

//! What EVPN zones add (`pve-rendering.md` §2.3), one after the other in the order of their ids.
//! On which nodes a zone is does not matter here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Site;
use super::bgp::{Evpn, Router, Setting, Unicast};
use super::config::{Config, Route, Via, Vrf};
use super::controller::Speaker;
use super::policy::{Action, FROM_VTEPS, Family, Match, PrefixRule, RouteMapEntry, Set, TO_VTEPS};
use crate::network::{EvpnZone, Network, Vnet, Zone};
use crate::value::{Asn, Cidr, IfName, RouteTarget, Tag, VnetId, ZoneId};

/// How much worse a default route is from an exit node that is not the primary one.
const SECONDARY_METRIC: u32 = 200;

/// Adds an EVPN zone.
pub(super) fn evpn(
    id: &ZoneId,
    zone: &EvpnZone,
    speaker: &Speaker,
    site: &Site<'_>,
    others: &Subnets<'_>,
    config: &mut Config,
) {
    let vrf: IfName = format!("vrf_{id}").parse().expect("12 characters at most, all legal");
    let is_exit = zone.exit_nodes.contains(site.node);
    let away = if is_exit { others.thrown_away(id) } else { Vec::new() };
    config.vrfs.insert(vrf.clone(), Vrf { vni: zone.vrf_vxlan, routes: away, custom: Vec::new() });

    let settings = [Setting::NoHardAdministrativeReset, Setting::NoGracefulRestartNotification];
    let mut router = Router::new(speaker.asn, speaker.router_id, settings);
    let mut family = Evpn::default();
    if let Some(asn) = speaker.autort {
        let target = route_target(asn, zone.vrf_vxlan);
        family.import.push(target);
        family.export.push(target);
    }
    family.import.extend(&zone.rt_import);
    let mut connected = false;
    if is_exit {
        prefer(zone.exit_nodes_primary.as_ref().is_none_or(|node| node == site.node), config);
        if !zone.exit_nodes_local_routing {
            connected = true;
            if let Some(outside) = &mut config.router {
                for family in [&mut outside.ipv4, &mut outside.ipv6] {
                    family.get_or_insert_default().import_vrfs.push(vrf.clone());
                }
            }
        }
        family.default_originate = true;
    } else if zone.advertise_subnets {
        connected = true;
        family.advertise_unicast = true;
    }
    if connected {
        let unicast = || Some(Unicast { redistribute_connected: true, ..Unicast::default() });
        (router.ipv4, router.ipv6) = (unicast(), unicast());
    }
    if family != Evpn::default() {
        router.evpn = Some(family);
    }
    config.vrf_routers.insert(vrf, router);
}

/// The best exit node takes no default route from the others; each of the others says that it is
/// worse. Every zone adds its own entries, so they stand there as often.
fn prefer(is_best: bool, config: &mut Config) {
    for family in Family::ALL {
        let rule = PrefixRule { seq: 1, network: family.everything(), le: None };
        config.prefix_lists.insert(family.only_default(), rule);
    }
    let (map, action, set) = if is_best {
        (FROM_VTEPS, Action::Deny, None)
    } else {
        (TO_VTEPS, Action::Permit, Some(SECONDARY_METRIC))
    };
    let entries = Family::ALL.map(|family| RouteMapEntry {
        seq: 1,
        action,
        matches: Some(Match::Default(family)),
        set: set.map(Set::Metric),
    });
    config.route_maps.entry(map).or_default().splice(0..0, entries);
}

fn route_target(asn: Asn, vni: Tag) -> RouteTarget {
    format!("{asn}:{vni}").parse().expect("two numbers of 32 bits make a route target")
}

/// Adds the routes by which an exit node itself reaches guests: of every vnet in the order of
/// their ids, whichever zones they are in.
pub(super) fn local_routes<'a>(
    zones: impl Iterator<Item = (&'a ZoneId, &'a Zone, &'a EvpnZone)>,
    site: &Site<'_>,
    config: &mut Config,
) {
    let local = zones.filter(|(_, _, evpn)| {
        evpn.exit_nodes_local_routing && evpn.exit_nodes.contains(site.node)
    });
    let vnets: BTreeMap<&VnetId, (&ZoneId, &Vnet)> = local
        .flat_map(|(id, zone, _)| zone.vnets.iter().map(move |(vnet, of)| (vnet, (id, of))))
        .collect();
    for (zone, vnet) in vnets.into_values() {
        let pair: IfName = format!("xvrf_{zone}").parse().expect("13 characters at most");
        config.routes.extend(
            vnet.subnets().map(|(prefix, _)| Route {
                prefix: prefix.net(),
                via: Via::ZonePair(pair.clone()),
            }),
        );
    }
}

/// The subnets of all zones, of whatever type.
///
/// They are told apart by the text of their address: of two with the same, the later counts, in
/// the order of Proxmox's ids of them. The order is by number, IPv4 and IPv6 together.
#[derive(Default)]
pub(super) struct Subnets<'a> {
    by_address: BTreeMap<(u128, &'a str), Vec<(&'a ZoneId, IpNet)>>,
}

impl<'a> Subnets<'a> {
    /// All subnets of a network.
    pub(super) fn of(network: &'a Network) -> Self {
        let mut by_address: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, zone) in &network.zones {
            let prefixes = zone.vnets.values().flat_map(Vnet::subnets);
            let mut prefixes: Vec<&Cidr> = prefixes.map(|(prefix, _)| prefix).collect();
            prefixes.sort_by_cached_key(|prefix| prefix.id());
            for prefix in prefixes {
                let text = prefix.as_str();
                let text = text.split_once('/').map_or(text, |(address, _)| address);
                let number = match prefix.net().addr() {
                    IpAddr::V4(address) => u32::from(address).into(),
                    IpAddr::V6(address) => u128::from(address),
                };
                by_address.entry((number, text)).or_default().push((id, prefix.net()));
            }
        }
        Self { by_address }
    }

    /// Routes that keep packets of a zone from reaching the others by way of its exit node.
    fn thrown_away(&self, zone: &ZoneId) -> Vec<Route> {
        let mut routes = Vec::with_capacity(self.by_address.len());
        let others = self.by_address.values();
        let others = others.filter_map(|same| same.iter().rev().find(|(other, _)| *other != zone));
        routes.extend(others.map(|(_, prefix)| Route { prefix: *prefix, via: Via::Null }));
        routes
    }
}

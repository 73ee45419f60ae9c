//! What a server should hold of one zone.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Content, Found, Key, Mark, Of, Refusal, Refused, Slot, Subject};
use crate::network::{Ipam, Lease, Leases, Network, Subnet, Zone};
use crate::plan::Family;
use crate::plan::names::Fqdn;
use crate::value::{ClusterName, DnsName, IpamId, VnetId, ZoneId};

/// The longest description that every server keeps, in characters.
const LONGEST: usize = 200;

/// Which kinds of objects a server has beside prefixes and addresses, and how it treats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// A space of addresses for each zone.
    pub spaces: bool,
    /// Ranges of addresses.
    pub ranges: bool,
    /// What lies in a prefix is a part of it: it has no prefix length of its own, and goes
    /// with it.
    pub cascades: bool,
}

/// What a server should hold of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What should be there.
    pub objects: BTreeMap<Key, Content>,
    /// What cannot be, or stays although nobody declares it.
    pub refused: Vec<Refused>,
}

/// The zones whose addresses an IPAM administers.
pub fn zones_of<'a>(network: &'a Network, ipam: &'a IpamId) -> impl Iterator<Item = &'a ZoneId> {
    let zones = network.zones.iter().filter(move |(_, zone)| zone.ipam.as_ref() == Some(ipam));
    zones.map(|(id, _)| id)
}

/// The IPAM server that administers the addresses of a vnet; `None` where that is git's.
pub fn administrator<'a>(network: &'a Network, vnet: &VnetId) -> Option<&'a IpamId> {
    let zone = network.zones.values().find(|zone| zone.vnets.contains_key(vnet))?;
    let ipam = zone.ipam.as_ref()?;
    let is_server = !matches!(network.ipams.get(ipam)?, Ipam::Pve);
    is_server.then_some(ipam)
}

/// What is wanted of one zone, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Whose marks are ours.
    pub cluster: &'a ClusterName,
    /// The zone.
    pub id: &'a ZoneId,
    /// What is declared of it; `None` where it is not, or its addresses are administered
    /// elsewhere.
    pub zone: Option<&'a Zone>,
    /// Who holds its addresses.
    pub leases: &'a Leases,
    /// What the server has.
    pub found: &'a Found,
    /// Which kinds of objects it has.
    pub reach: Reach,
}

impl<'a> Scene<'a> {
    /// A zone as a server that administers it sees it.
    pub fn declared(network: &'a Network, ipam: &IpamId, id: &ZoneId) -> Option<&'a Zone> {
        network.zones.get(id).filter(|zone| zone.ipam.as_ref() == Some(ipam))
    }

    /// The space of the zone, its subnets, their ranges and gateways, and an address for each
    /// lease. An address that a guest holds stays, and so does the subnet that it was in,
    /// whether they are declared or not, unless `force`.
    pub fn wanted(&self, force: bool) -> Wanted {
        let objects = self.found.objects.iter();
        let objects = objects.filter(|object| object.zone.as_ref() == Some(self.id));
        let ours = objects.filter_map(|object| Some((object.key, object.content.as_ref()?)));
        Work { scene: self, ours: ours.collect() }.wanted(force)
    }
}

struct Work<'a> {
    scene: &'a Scene<'a>,
    /// What the server has that is ours.
    ours: BTreeMap<Key, &'a Content>,
}

impl Work<'_> {
    fn wanted(&self, force: bool) -> Wanted {
        let Scene { cluster, id, zone, reach, .. } = *self.scene;
        let mut wanted = Wanted::default();
        for (vnet, of) in zone.iter().flat_map(|zone| &zone.vnets) {
            for (prefix, subnet) in of.subnets() {
                self.subnet(&mut wanted, vnet, prefix.net().trunc(), subnet);
            }
        }
        self.leases(&mut wanted, force);
        if reach.spaces && (zone.is_some() || !wanted.objects.is_empty()) {
            let description = format!("zone {id} of cluster {cluster}");
            wanted.objects.insert(Key::Space, self.content(Of::Space, 0, &description));
        }
        wanted
    }

    fn subnet(&self, wanted: &mut Wanted, vnet: &VnetId, prefix: IpNet, subnet: &Subnet) {
        let content = self.content(Of::Prefix(prefix), 0, &format!("vnet {vnet}"));
        self.put(wanted, Key::Prefix(prefix), content);
        let pools = subnet.dhcp_pools.iter().map(|range| (range, true));
        let ranges = subnet.dhcp_ranges.iter().map(|range| (range, false)).chain(pools);
        for (range, is_closed) in ranges.filter(|_| self.scene.reach.ranges) {
            let whose = if is_closed { "whoever is unknown" } else { "guests" };
            let of = Of::Range(range.start(), range.end());
            let content = self.content(of, prefix.prefix_len(), &format!("{whose} on vnet {vnet}"));
            let content = Content { is_closed, ..content };
            self.put(wanted, Key::Range(range.start(), range.end()), content);
        }
        // The gateway of a single address may lie anywhere, and is not registered.
        if let Some(address) = subnet.gateway.filter(|address| prefix.contains(address)) {
            let of = Of::Gateway(vnet.clone(), address);
            let content = self.content(of, prefix.prefix_len(), &format!("gateway of vnet {vnet}"));
            let dns_name = self.dns_name(&format!("{vnet}-gw"), Some(subnet));
            self.put(wanted, Key::Address(address), Content { dns_name, ..content });
        }
    }

    fn leases(&self, wanted: &mut Wanted, force: bool) {
        // Those that the server has, wherever they are by now.
        let found = self.scene.found.objects.iter().filter_map(|object| object.content.as_ref());
        let mut marks: BTreeSet<Of> = found
            .filter(|content| content.mark.zone == *self.scene.id)
            .map(|content| content.mark.of.clone())
            .collect();
        let mut used: BTreeMap<IpNet, usize> = BTreeMap::new();
        let leases = self.scene.leases.iter().filter(|((zone, _), _)| zone == self.scene.id);
        for ((_, address), lease) in leases {
            let key = Key::Address(*address);
            let place = self.place(&lease.vnet, *address);
            if place.is_none() && force {
                continue;
            }
            let found = self.ours.get(&key);
            if place.is_none() && lease.released.is_none() {
                for prefix in self.prefixes_around(*address) {
                    *used.entry(prefix).or_default() += 1;
                }
            }
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let length = place.map(|(prefix, _)| prefix.prefix_len());
            let length = length.or(found.map(|found| found.length)).unwrap_or(whole);
            let state = if lease.released.is_some() { ", given up" } else { "" };
            let description = format!("guest {} on vnet {}{state}", lease.guest, lease.vnet);
            let slot = self.slot(&mut marks, *address, lease);
            let of = Of::Interface(lease.vnet.clone(), lease.mac.clone(), slot);
            let label = lease.hostname.as_ref().map_or(lease.guest.as_str(), DnsName::as_str);
            let content = Content {
                dns_name: self.dns_name(label, place.map(|(_, subnet)| subnet)),
                lease: Some(lease.clone()),
                ..self.content(of, length, &description)
            };
            self.put(wanted, key, content);
        }
        for (prefix, number) in used {
            let key = Key::Prefix(prefix);
            if !wanted.objects.contains_key(&key) {
                wanted.objects.extend(
                    self.ours
                        .get(&key)
                        .map(|content| (*content).clone())
                        .map(|content| (key, content)),
                );
                let of = Subject::Object(self.scene.id.clone(), key);
                wanted.refused.push(Refused { of, why: Refusal::Used(number) });
            }
        }
    }

    fn put(&self, wanted: &mut Wanted, key: Key, content: Content) {
        match wanted.objects.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(content)),
            Entry::Occupied(_) => {
                let of = Subject::Object(self.scene.id.clone(), key);
                wanted.refused.push(Refused { of, why: Refusal::Twice });
            }
        }
    }

    fn content(&self, of: Of, length: u8, description: &str) -> Content {
        Content {
            mark: Mark { cluster: self.scene.cluster.clone(), zone: self.scene.id.clone(), of },
            length: if self.scene.reach.cascades { 0 } else { length },
            description: description.chars().take(LONGEST).collect(),
            dns_name: String::new(),
            lease: None,
            is_closed: false,
        }
    }

    /// The full name where the zone has names, the label alone where it has none.
    fn dns_name(&self, label: &str, subnet: Option<&Subnet>) -> String {
        let naming = self.scene.zone.map(|zone| &zone.naming);
        let dnszone = naming.and_then(|naming| naming.forward.as_ref()?.1.as_ref());
        let labels = match subnet.and_then(|subnet| subnet.dns_prefix.as_ref()) {
            Some(prefix) => format!("{label}.{prefix}"),
            None => label.to_owned(),
        };
        let full = dnszone.and_then(|dnszone| Fqdn::below(&labels, &Fqdn::of(dnszone)));
        let full = full.map(|full| full.as_str().trim_end_matches('.').to_owned());
        full.unwrap_or_else(|| label.to_ascii_lowercase())
    }

    /// The smallest subnet of a vnet that holds an address.
    fn place(&self, vnet: &VnetId, address: IpAddr) -> Option<(IpNet, &Subnet)> {
        let subnets = self.scene.zone?.vnets.get(vnet)?.subnets();
        let holding = subnets.map(|(prefix, subnet)| (prefix.net().trunc(), subnet));
        let holding = holding.filter(|(prefix, _)| prefix.contains(&address));
        holding.max_by_key(|(prefix, _)| prefix.prefix_len())
    }

    /// Which of its interface's addresses one is: what its mark says already, or else the one
    /// of its family, if no mark says that of another.
    fn slot(&self, marks: &mut BTreeSet<Of>, address: IpAddr, lease: &Lease) -> Slot {
        let (vnet, mac) = (&lease.vnet, &lease.mac);
        if let Some(found) = self.ours.get(&Key::Address(address))
            && let Of::Interface(of_vnet, of_mac, slot) = &found.mark.of
            && (of_vnet, of_mac) == (vnet, mac)
            && (matches!(slot, Slot::Family(_)) || *slot == Slot::Further(address))
        {
            return *slot;
        }
        let slot = Slot::Family(Family::of(address));
        let is_free = marks.insert(Of::Interface(vnet.clone(), mac.clone(), slot));
        if is_free { slot } else { Slot::Further(address) }
    }

    fn prefixes_around(&self, address: IpAddr) -> impl Iterator<Item = IpNet> {
        self.ours.keys().filter_map(move |key| match key {
            Key::Prefix(prefix) if prefix.contains(&address) => Some(*prefix),
            _ => None,
        })
    }
}

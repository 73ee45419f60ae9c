//! Which names are to be registered, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Fqdn, Refusal, Refused, Subject};
use crate::network::{Leases, Network, Subnet, Vnet, Zone};
use crate::value::{DnsId, DnsName, GuestName, VnetId, ZoneId};

/// The time to live where none is set, or 0 (`pve-model.md` §7), in seconds.
const TTL: u32 = 14_400;
/// The longest time to live (RFC 2181 §8), in seconds.
const LONGEST_TTL: u32 = i32::MAX.cast_unsigned();

/// Whose name is registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A guest, by its interface on a vnet.
    Guest(GuestName, VnetId),
    /// The router of a vnet.
    Gateway(VnetId),
}

/// One thing to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedName {
    /// For whom.
    pub holder: Holder,
    /// The full name.
    pub name: Fqdn,
    /// Its address.
    pub address: IpAddr,
    /// In which direction.
    pub direction: Registered,
}

/// In which direction something is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The address of a name, which lies in this DNS zone.
    Forward(DnsName),
    /// The name of an address, which lies in this subnet.
    Reverse(IpNet),
}

/// What one server is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedOnServer {
    /// Time to live of what is ours, in seconds.
    pub ttl: u32,
    /// The prefix length that a reverse zone of IPv6 is proposed with.
    pub reverse_mask_v6: Option<u32>,
    /// What is to be registered, in the order of zones and addresses.
    pub names: Vec<WantedName>,
}

/// What is to be registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By server: all that are declared.
    pub servers: BTreeMap<DnsId, WantedOnServer>,
    /// Addresses that are held in no subnet that is declared. What was registered for them
    /// stays until they are given up.
    pub stranded: BTreeSet<IpAddr>,
    /// What cannot be registered.
    pub refused: Vec<Refused>,
}

/// What every zone with naming registers: each lease that was not given up, by its host name
/// or else the guest's own, and each gateway as `⟨vnet⟩-gw`, below the subnet's
/// `dnszoneprefix` and the zone's `dnszone` (`pve-rendering.md` §5).
pub fn wanted(network: &Network, leases: &Leases) -> Wanted {
    let servers = network.dns.iter().map(|(id, dns)| {
        let ttl = dns.ttl.filter(|ttl| *ttl != 0).unwrap_or(TTL).min(LONGEST_TTL);
        let of = WantedOnServer { ttl, reverse_mask_v6: dns.reverse_mask_v6, names: Vec::new() };
        (id.clone(), of)
    });
    let mut wanted = Wanted { servers: servers.collect(), ..Wanted::default() };
    let mut missing = BTreeSet::new();
    for (id, zone) in &network.zones {
        for (vnet, of) in &zone.vnets {
            for (prefix, subnet) in of.subnets() {
                // The gateway of a single address is not registered.
                let gateway = subnet.gateway.filter(|_| !is_single_v4(prefix.net()));
                if let Some(address) = gateway {
                    let holder = Holder::Gateway(vnet.clone());
                    let place = Place { id, zone, prefix: prefix.net(), subnet };
                    register(
                        &mut wanted,
                        &mut missing,
                        &place,
                        holder,
                        &format!("{vnet}-gw"),
                        address,
                    );
                }
            }
        }
        let first = (id.clone(), IpAddr::from([0, 0, 0, 0]));
        let of_zone = leases.range(first..).take_while(|((of, _), _)| of == id);
        for ((_, address), lease) in of_zone.filter(|(_, lease)| lease.released.is_none()) {
            let vnet = zone.vnets.get(&lease.vnet);
            let Some((prefix, subnet)) = vnet.and_then(|vnet| subnet_of(vnet, *address)) else {
                wanted.stranded.insert(*address);
                continue;
            };
            let holder = Holder::Guest(lease.guest.clone(), lease.vnet.clone());
            let label = lease.hostname.as_ref().map_or(lease.guest.as_str(), DnsName::as_str);
            let place = Place { id, zone, prefix, subnet };
            register(&mut wanted, &mut missing, &place, holder, label, *address);
        }
    }
    let held = leases
        .iter()
        .filter(|((zone, _), lease)| lease.released.is_none() && !network.zones.contains_key(zone));
    wanted.stranded.extend(held.map(|((_, address), _)| *address));
    let missing = missing
        .into_iter()
        .map(|(zone, server)| Refused { of: Subject::Zone(zone), why: Refusal::NoServer(server) });
    wanted.refused.extend(missing);
    wanted
}

impl Wanted {
    /// All that is to be registered and with what, one line each. Equal exactly if the same is
    /// wanted.
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for (id, server) in &self.servers {
            let _ = writeln!(lines, "{id} {}", server.ttl);
            for WantedName { holder, name, address, direction } in &server.names {
                let place = match direction {
                    Registered::Forward(zone) => zone.to_string(),
                    Registered::Reverse(subnet) => subnet.to_string(),
                };
                let _ = writeln!(lines, "{id} {name} {address} {place} {holder}");
            }
        }
        for address in &self.stranded {
            let _ = writeln!(lines, "{address}");
        }
        lines
    }
}

/// Where an address lies.
struct Place<'a> {
    id: &'a ZoneId,
    zone: &'a Zone,
    prefix: IpNet,
    subnet: &'a Subnet,
}

fn register(
    wanted: &mut Wanted,
    missing: &mut BTreeSet<(ZoneId, DnsId)>,
    place: &Place<'_>,
    holder: Holder,
    label: &str,
    address: IpAddr,
) {
    // Without a zone of names nothing is registered, names of addresses neither.
    let naming = &place.zone.naming;
    let Some((forward, Some(dnszone))) = &naming.forward else { return };
    let labels = match &place.subnet.dns_prefix {
        Some(prefix) => format!("{label}.{prefix}"),
        None => label.to_owned(),
    };
    let parent = Fqdn::of(dnszone);
    let Some(name) = Fqdn::below(&labels, &parent) else {
        wanted.refused.push(Refused {
            of: Subject::Holders([holder].into()),
            why: Refusal::TooLong { name: labels, zone: parent },
        });
        return;
    };
    let directions = [
        Some((forward, Registered::Forward(dnszone.clone()))),
        naming.reverse.as_ref().map(|server| (server, Registered::Reverse(place.prefix))),
    ];
    for (server, direction) in directions.into_iter().flatten() {
        match wanted.servers.get_mut(server) {
            Some(of) => {
                let (holder, name) = (holder.clone(), name.clone());
                of.names.push(WantedName { holder, name, address, direction });
            }
            None => {
                missing.insert((place.id.clone(), server.clone()));
            }
        }
    }
}

/// The smallest subnet of a vnet that holds an address.
fn subnet_of(vnet: &Vnet, address: IpAddr) -> Option<(IpNet, &Subnet)> {
    let holding = vnet.subnets().filter(|(prefix, _)| prefix.contains(address));
    let holding = holding.map(|(prefix, subnet)| (prefix.net(), subnet));
    holding.max_by_key(|(prefix, _)| prefix.prefix_len())
}

fn is_single_v4(prefix: IpNet) -> bool {
    matches!(prefix, IpNet::V4(net) if net.prefix_len() == 32)
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(guest, vnet) => write!(f, "guest `{guest}` on vnet `{vnet}`"),
            Self::Gateway(vnet) => write!(f, "the gateway of vnet `{vnet}`"),
        }
    }
}

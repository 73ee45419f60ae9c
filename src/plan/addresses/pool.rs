//! The addresses that guests of a vnet may get.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::network::{Network, Subnet};
use crate::plan::Family;
use crate::value::{AddressRange, Cidr, VnetId, ZoneId};

/// What guests of one vnet may get.
#[derive(Clone, Debug)]
struct Pool {
    zone: ZoneId,
    prefixes: Vec<IpNet>,
    /// By family, in the order in which they are used: subnets in the byte order of their
    /// ids, of each its ranges as declared, or the whole prefix where it has none.
    ranges: BTreeMap<Family, Vec<AddressRange>>,
    /// The range up to which nothing is free, and its last address that is not.
    searched: BTreeMap<Family, (usize, Option<IpAddr>)>,
    /// Addresses that are not chosen, because others have them.
    taken: Vec<AddressRange>,
}

/// What guests may get, of every vnet that has subnets.
#[derive(Clone, Debug)]
pub struct Pools {
    pools: BTreeMap<VnetId, Pool>,
    /// Addresses that no guest may have: routers, nodes that answer guests, and what a prefix
    /// keeps for itself.
    kept: BTreeSet<(ZoneId, IpAddr)>,
}

/// Addresses by zone that are not chosen for guests, because somebody has them where they are
/// administered.
pub type Taken = BTreeMap<ZoneId, Vec<AddressRange>>;

impl Pools {
    /// The pools of a network.
    pub fn of(network: &Network) -> Self {
        let mut pools = Self { pools: BTreeMap::new(), kept: BTreeSet::new() };
        for (zone, vnet, of) in network
            .zones
            .iter()
            .flat_map(|(id, zone)| zone.vnets.iter().map(move |(vnet, of)| (id, vnet, of)))
        {
            let subnets: Vec<_> = of.subnets().collect();
            if subnets.is_empty() {
                continue;
            }
            let mut pool = Pool {
                zone: zone.clone(),
                prefixes: Vec::new(),
                ranges: BTreeMap::new(),
                searched: BTreeMap::new(),
                taken: Vec::new(),
            };
            for (prefix, subnet) in subnets {
                pool.prefixes.push(prefix.net());
                let servers = subnet.dhcp_servers.values().copied().map(IpAddr::V4);
                let kept = kept(prefix.net()).into_iter().chain(subnet.gateway).chain(servers);
                pools.kept.extend(kept.map(|address| (zone.clone(), address)));
                pool.ranges
                    .entry(Family::of(prefix.net().addr()))
                    .or_default()
                    .extend(ranges(prefix, subnet));
            }
            pools.pools.insert(vnet.clone(), pool);
        }
        pools
    }

    /// The pools without what others have.
    #[must_use]
    pub fn without(mut self, taken: &Taken) -> Self {
        for pool in self.pools.values_mut() {
            pool.taken = taken.get(&pool.zone).cloned().unwrap_or_default();
        }
        self
    }

    /// The zone of a vnet that has subnets.
    pub fn zone(&self, vnet: &VnetId) -> Option<&ZoneId> {
        self.pools.get(vnet).map(|pool| &pool.zone)
    }

    /// The families that a vnet has subnets of.
    pub fn families(&self, vnet: &VnetId) -> impl Iterator<Item = Family> {
        self.pools.get(vnet).into_iter().flat_map(|pool| pool.ranges.keys().copied())
    }

    /// Whether an address lies in a subnet of a vnet.
    pub fn contain(&self, vnet: &VnetId, address: IpAddr) -> bool {
        let pool = self.pools.get(vnet);
        pool.is_some_and(|pool| pool.prefixes.iter().any(|prefix| prefix.contains(&address)))
    }

    /// Whether a lease of an address of a vnet lies in no subnet of that vnet any more.
    pub fn strand(&self, (zone, address): &(ZoneId, IpAddr), vnet: &VnetId) -> bool {
        self.zone(vnet) != Some(zone) || !self.contain(vnet, *address)
    }

    /// Whether no guest of a zone may have an address.
    pub fn keep(&self, zone: &ZoneId, address: IpAddr) -> bool {
        self.kept.contains(&(zone.clone(), address))
    }

    /// The first address of a family that is free on a vnet, in the order of its ranges.
    /// What was found not to be free is not asked again.
    pub fn next(
        &mut self,
        vnet: &VnetId,
        family: Family,
        is_free: impl Fn(&ZoneId, IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let pool = self.pools.get_mut(vnet)?;
        let ranges = pool.ranges.get(&family)?;
        let (mut index, mut last) = pool.searched.get(&family).copied().unwrap_or_default();
        let found = loop {
            let Some(range) = ranges.get(index) else { break None };
            let candidate = match last {
                None => Some(range.start()),
                Some(last) => after(last).filter(|next| *next <= range.end()),
            };
            let Some(candidate) = candidate else {
                (index, last) = (index + 1, None);
                continue;
            };
            // What others have is passed over as a whole.
            let is_in =
                |taken: &&AddressRange| taken.start() <= candidate && candidate <= taken.end();
            let taken = pool.taken.iter().filter(is_in);
            if let Some(end) = taken.map(AddressRange::end).max() {
                last = Some(end);
                continue;
            }
            let kept = self.kept.contains(&(pool.zone.clone(), candidate));
            if !kept && is_free(&pool.zone, candidate) {
                // It is looked at again: whoever asked may not take it.
                break Some(candidate);
            }
            last = Some(candidate);
        };
        pool.searched.insert(family, (index, last));
        found
    }
}

fn ranges(prefix: &Cidr, subnet: &Subnet) -> Vec<AddressRange> {
    if !subnet.dhcp_ranges.is_empty() {
        return subnet.dhcp_ranges.clone();
    }
    // The whole prefix, but for the pools of whoever is unknown.
    let net = prefix.net();
    let mut pools = subnet.dhcp_pools.clone();
    pools.sort_by_key(AddressRange::start);
    let (mut ranges, mut free) = (Vec::new(), Some(net.network()));
    for pool in pools {
        let Some(start) = free else { break };
        let last = before(pool.start()).filter(|last| *last >= start);
        ranges.extend(last.and_then(|last| AddressRange::new(start, last).ok()));
        free = after(pool.end()).map(|after| after.max(start));
    }
    let rest = free.filter(|start| *start <= net.broadcast());
    ranges.extend(rest.and_then(|start| AddressRange::new(start, net.broadcast()).ok()));
    ranges
}

/// The addresses that a prefix keeps for itself: network and broadcast of IPv4 up to /30,
/// the subnet-router anycast address of IPv6 up to /126 (RFC 4291 §2.6.1; a /127 has none
/// by RFC 6164 §5).
fn kept(prefix: IpNet) -> Vec<IpAddr> {
    match prefix {
        IpNet::V4(net) if net.prefix_len() <= 30 => {
            vec![net.network().into(), net.broadcast().into()]
        }
        IpNet::V6(net) if net.prefix_len() <= 126 => vec![net.network().into()],
        IpNet::V4(_) | IpNet::V6(_) => Vec::new(),
    }
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_sub(1).map(|last| Ipv4Addr::from(last).into()),
        IpAddr::V6(v6) => u128::from(v6).checked_sub(1).map(|last| Ipv6Addr::from(last).into()),
    }
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(v6) => u128::from(v6).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Naming, Nodes, Traffic, Vnet, Zone, ZoneKind};

    #[test]
    fn a_node_that_answers_guests_keeps_its_address() {
        let servers = [("n1", 2), ("n2", 3)].map(|(node, last)| {
            let address = Ipv4Addr::new(10, 0, 0, last);
            (node.parse().unwrap(), address)
        });
        let subnet = Subnet {
            gateway: Some(Ipv4Addr::new(10, 0, 0, 1).into()),
            dhcp_servers: servers.into(),
            ..Subnet::default()
        };
        let subnets = [("10.0.0.0/29".parse().unwrap(), subnet)].into();
        let vnet = Vnet { traffic: Traffic::Untagged(subnets), ..Vnet::default() };
        let zone = Zone {
            nodes: Nodes::All,
            mtu: None,
            ipam: None,
            naming: Naming::default(),
            dhcp: None,
            bridge_disable_mac_learning: false,
            kind: ZoneKind::Simple,
            vnets: [("va".parse().unwrap(), vnet)].into(),
        };
        let mut network = Network::default();
        network.zones.insert("za".parse().unwrap(), zone);
        let mut pools = Pools::of(&network);
        let mut given = BTreeSet::new();
        while let Some(address) =
            pools.next(&"va".parse().unwrap(), Family::V4, |_, address| !given.contains(&address))
        {
            given.insert(address);
        }
        let left = [4, 5, 6].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!(given, left.into());
        assert!(pools.keep(&"za".parse().unwrap(), [10, 0, 0, 3].into()));
    }
}

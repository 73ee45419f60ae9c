//! Vnets and their subnets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::value::{AddressRange, Alias, Cidr, DhcpValue, DnsName, NodeName, Tag};

/// One vnet. Its id is the name of its bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vnet {
    /// The VLAN of VLAN and QinQ zones, the VXLAN network identifier of VXLAN and EVPN
    /// zones, where no two vnets of the network have the same. A vnet without one in a
    /// VLAN, VXLAN or EVPN zone is tolerated and has no interface; one with a tag in a
    /// simple zone is as one without.
    pub tag: Option<Tag>,
    /// A comment.
    pub alias: Option<Alias>,
    /// Guests of one node do not reach each other.
    pub isolate_ports: bool,
    /// What guests send.
    pub traffic: Traffic,
}

impl Vnet {
    /// The subnets; none on a VLAN-aware vnet.
    pub fn subnets(&self) -> impl Iterator<Item = (&Cidr, &Subnet)> {
        let subnets = match &self.traffic {
            Traffic::Untagged(subnets) => Some(subnets),
            Traffic::VlanAware => None,
        };
        subnets.into_iter().flatten()
    }

    /// The addresses by which a node answers guests that ask by DHCP, in the order of subnets.
    pub fn dhcp_servers_on(&self, node: &NodeName) -> impl Iterator<Item = Ipv4Addr> {
        self.subnets().filter_map(|(_, subnet)| subnet.dhcp_servers.get(node).copied())
    }

    /// Whether guests may send VLAN tags of their own.
    pub fn is_vlan_aware(&self) -> bool {
        matches!(self.traffic, Traffic::VlanAware)
    }
}

/// What guests send. A vnet with many VLANs has no address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Frames without a tag, in these subnets; their order is the byte order of
    /// the subnet ids.
    Untagged(BTreeMap<Cidr, Subnet>),
    /// Frames with VLAN tags of the guests' own.
    VlanAware,
}

impl Default for Traffic {
    fn default() -> Self {
        Self::Untagged(BTreeMap::new())
    }
}

/// One subnet; its prefix is the key that it is found under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// The router's address on the vnet. Most often within the prefix, but
    /// Proxmox renders any.
    pub gateway: Option<IpAddr>,
    /// Guests leave the node with the node's address.
    pub snat: bool,
    /// Put between a guest's name and the DNS zone.
    pub dns_prefix: Option<DnsName>,
    /// Pools of addresses for guests, in the order declared, within the prefix.
    pub dhcp_ranges: Vec<AddressRange>,
    /// The DNS server that guests are told.
    pub dhcp_dns_server: Option<IpAddr>,
    /// Pools for whoever has no address of its own, in the order declared. They hold no
    /// address that is given to a guest by name. Only in simple zones with DHCP.
    pub dhcp_pools: Vec<AddressRange>,
    /// Nodes that answer guests, and the address of each on the vnet, within the prefix and
    /// nobody else's. Only in VLAN, QinQ and VXLAN zones with DHCP, and of IPv4 prefixes.
    pub dhcp_servers: BTreeMap<NodeName, Ipv4Addr>,
    /// What else guests are told, by names that dnsmasq has: of IPv6 `domain-search` only.
    pub dhcp_options: Vec<DhcpOption>,
}

/// An option of DHCP by the name that dnsmasq has for it, and its values.
pub type DhcpOption = (&'static str, Vec<DhcpValue>);

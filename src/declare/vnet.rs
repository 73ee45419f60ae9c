//! `vnets:` as written, their subnets inside them.

use std::net::IpAddr;

use super::shape::Entries;
use crate::value::{Alias, Cidr, DnsName, Tag, ZoneId};

declaration! {
    /// One vnet: a bridge of the same name on each node of its zone.
    pub struct Vnet as "a vnet" {
        /// The zone it lies in.
        required "zone" zone: ZoneId,
        /// VLAN tag or VXLAN network identifier.
        optional "tag" tag: Tag,
        /// A comment.
        optional "alias" alias: Alias,
        /// Guests may send VLAN tags of their own.
        optional "vlanaware" vlanaware: bool,
        /// Guests of one node do not reach each other.
        optional "isolate-ports" isolate_ports: bool,
        /// The subnets by prefix.
        optional "subnets" subnets: Entries<Cidr, Subnet>,
    }
}

declaration! {
    /// One subnet of a vnet.
    pub struct Subnet as "a subnet" {
        /// The router's address on the vnet.
        optional "gateway" gateway: IpAddr,
        /// Guests leave the node with the node's address.
        optional "snat" snat: bool,
        /// Put between a guest's name and the DNS zone.
        optional "dnszoneprefix" dnszoneprefix: DnsName,
        /// Pools of addresses for guests.
        optional "dhcp-range" dhcp_range: Vec<DhcpRange>,
        /// The DNS server that guests are told.
        optional "dhcp-dns-server" dhcp_dns_server: IpAddr,
    }
}

declaration! {
    /// A pool of addresses, both ends included.
    pub struct DhcpRange as "a DHCP range" {
        /// The first address.
        required "start-address" start_address: IpAddr,
        /// The last address.
        required "end-address" end_address: IpAddr,
    }
}

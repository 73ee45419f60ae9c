//! `vnets:` as written, their subnets inside them.

use std::net::IpAddr;

use super::shape::Entries;
use crate::value::{Alias, At, Cidr, DhcpValue, DnsName, NodeName, Tag, ZoneId};

choices! {
    /// An option of DHCP that has no key of its own.
    pub enum DhcpOptionName as "a DHCP option" {
        /// The domain of guests' names.
        "domain-name" DomainName,
        /// The domains in which guests look for names. The only one of IPv6.
        "domain-search" DomainSearch,
        /// Time servers.
        "ntp-server" NtpServer,
        /// Log servers.
        "log-server" LogServer,
        /// Where a guest that boots from the network gets its files.
        "tftp-server" TftpServer,
        /// Which file it boots.
        "bootfile-name" BootfileName,
        /// Routes: a prefix and its router by turns.
        "classless-static-route" ClasslessStaticRoute,
    }
}

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
        /// Pools for whoever asks by DHCP and has no address of its own. Nobody else gets
        /// one without. Only in simple zones; weft's own.
        optional "dhcp-pool" dhcp_pool: Vec<DhcpRange>,
        /// Nodes that answer guests, and the address of each on the vnet: in VLAN, QinQ and
        /// VXLAN zones, where no node is the router. weft's own.
        optional "dhcp-servers" dhcp_servers: Entries<NodeName, At<IpAddr>>,
        /// What guests are told beside their address. weft's own.
        optional "dhcp-options" dhcp_options: Vec<DhcpOption>,
    }
}

declaration! {
    /// One option that guests are told.
    pub struct DhcpOption as "a DHCP option" {
        /// Which one.
        required "name" name: DhcpOptionName,
        /// Its values.
        required "values" values: Vec<At<DhcpValue>>,
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

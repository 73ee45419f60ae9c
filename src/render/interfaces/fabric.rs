//! Fabrics: the node's address on an interface of its own, and the interfaces to the other
//! nodes (`pve-rendering.md` §1.9).
//!
//! They stand behind the zones, in the order of the fabrics and of the interfaces in each,
//! one stanza for each address.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::name::Name;
use crate::network::{Fabric, FabricNode, Network};
use crate::value::{Cidr, FabricId, NodeName};

/// One address of one interface.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    /// The interface.
    pub name: Name<'a>,
    address: IpNet,
    is_dummy: bool,
}

impl fmt::Display for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.address {
            IpNet::V4(_) => "inet",
            IpNet::V6(_) => "inet6",
        };
        let name = self.name;
        write!(f, "auto {name}\niface {name} {family} static\n\taddress {}\n", self.address)?;
        if self.is_dummy {
            f.write_str("\tlink-type dummy\n")?;
        }
        // With IPv6 too, where it does nothing for IPv6.
        f.write_str("\tip-forward 1\n")
    }
}

/// What the fabrics of a network ask of a node.
pub(super) fn stanzas<'a>(network: &'a Network, node: &NodeName) -> Vec<Numbered<'a>> {
    let fabrics = network.fabrics.iter();
    let of_node = |(id, fabric): (&'a FabricId, &'a Fabric)| Some((id, fabric.nodes.get(node)?));
    fabrics.filter_map(of_node).flat_map(|(id, node)| of_fabric(id, node)).collect()
}

fn of_fabric<'a>(id: &'a FabricId, node: &'a FabricNode) -> Vec<Numbered<'a>> {
    let own = [node.ip.map(IpAddr::V4), node.ip6.map(IpAddr::V6)];
    let own: Vec<IpNet> = own.into_iter().flatten().map(IpNet::from).collect();
    let numbered = |name, address, is_dummy| Numbered { name, address, is_dummy };
    let mut found: Vec<_> =
        own.iter().map(|address| numbered(Name::of_fabric(id), *address, true)).collect();
    for interface in &node.interfaces {
        let name = Name::own(&interface.name);
        let addresses = [&interface.ip, &interface.ip6].into_iter().flatten();
        let addresses: Vec<IpNet> = addresses.map(Cidr::net).collect();
        // One without an address borrows the node's.
        let borrowed = own.first().filter(|_| addresses.is_empty());
        found.extend(
            addresses.iter().chain(borrowed).map(|address| numbered(name, *address, false)),
        );
    }
    found
}

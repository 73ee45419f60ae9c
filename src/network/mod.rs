//! Floor 1: a network that makes sense.
//!
//! Made only by [`crate::validate`], from declarations in which every rule holds.
//! Knows no text, no places and no files. Where a rule says that two things
//! exclude each other, there is no value here that holds both.

mod controller;
mod fabric;
mod guest;
mod lease;
mod service;
mod vnet;
mod zone;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use controller::{BgpController, Controller, EvpnController, IsisController};
pub use fabric::{Fabric, FabricInterface, FabricNode, FabricProtocol};
pub use guest::{Guest, Nic};
pub use lease::{Lease, Leases, Origin};
pub use service::{Dns, Ipam, IpamServer};
pub use vnet::{DhcpOption, Subnet, Traffic, Vnet};
pub use zone::{
    DhcpServer, EvpnZone, Naming, Nodes, Peers, QinqZone, VlanProtocol, VlanZone, VxlanZone, Zone,
    ZoneKind,
};

use crate::value::{
    ControllerId, DnsId, FabricId, GuestName, IpamId, NodeName, VnetId, Word, ZoneId,
};

/// The whole of what is declared, for all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The nodes of the cluster.
    pub nodes: BTreeMap<NodeName, Node>,
    /// The zones, their vnets inside them. A vnet id is unique in the network.
    pub zones: BTreeMap<ZoneId, Zone>,
    /// The controllers.
    pub controllers: BTreeMap<ControllerId, Controller>,
    /// The fabrics.
    pub fabrics: BTreeMap<FabricId, Fabric>,
    /// The guests whose addresses and names are declared.
    pub guests: BTreeMap<GuestName, Guest>,
    /// The IPAM servers that are declared; the built-in ones are not among them.
    pub ipams: BTreeMap<IpamId, Ipam>,
    /// The DNS servers.
    pub dns: BTreeMap<DnsId, Dns>,
}

impl Network {
    /// Whether an agent on this node may act.
    pub fn declares(&self, node: &NodeName) -> bool {
        self.nodes.contains_key(node)
    }

    /// The vnets that a node gets, with their zones, in the byte order of their ids.
    pub fn vnets_on(&self, node: &NodeName) -> BTreeMap<&VnetId, &ZoneId> {
        let zones = self.zones.iter().filter(|(_, zone)| zone.nodes.contains(node));
        zones.flat_map(|(id, zone)| zone.vnets.keys().map(move |vnet| (vnet, id))).collect()
    }
}

impl Network {
    /// The EVPN controller of a network that has one.
    pub fn evpn_controller(&self) -> Option<(&ControllerId, &EvpnController)> {
        self.controllers.iter().find_map(|(id, controller)| match controller {
            Controller::Evpn(evpn) => Some((id, evpn)),
            Controller::Bgp(_) | Controller::Isis(_) => None,
        })
    }
}

/// One node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The tunnel endpoint. No other node has the same.
    pub address: Option<IpAddr>,
    /// The address that must never be lost.
    pub management: Option<IpAddr>,
    /// Free words for people and selections.
    pub labels: BTreeMap<Word, Word>,
}

//! VXLAN zones: a bridge with one tunnel interface that sends to every peer
//! (`pve-rendering.md` §1.6, §1.7).

use std::net::IpAddr;

use super::stanza::{Line, Stanza, bridge_lines};
use super::{Part, bridge, vlan_aware_notes};
use crate::facts::Facts;
use crate::network::Vnet;
use crate::render::Profile;
use crate::value::{IfName, Mtu, Number, Port, Tag, VnetId};

/// What a zone without `mtu` gets. The reference means "the underlay's less 50",
/// and never finds the underlay's.
const DEFAULT_MTU: u64 = 1450;

/// The tunnel ends of a zone as one node sees them.
pub(super) struct Ends {
    /// All but this node's own, in the order of the zone.
    others: Vec<IpAddr>,
    note: Option<String>,
}

impl Ends {
    /// `declared` is the address that the repository gives to this node. The reference
    /// knows no such thing: it decides only where the facts name no peer.
    pub(super) fn new(peers: &[IpAddr], facts: &Facts, declared: Option<IpAddr>) -> Self {
        let is_peer = |address: &IpAddr| peers.contains(address);
        let found = own_address(peers, facts);
        let own = found.filter(is_peer).or(declared.filter(is_peer)).or(found);
        let others = peers.iter().copied().filter(|peer| Some(*peer) != own).collect();
        let note = match own {
            None => Some("this node has no route to its peers".to_owned()),
            Some(own) if !peers.contains(&own) => Some(format!(
                "the peers do not name this node's address {own}, so the others send it nothing"
            )),
            Some(_) => None,
        };
        Self { others, note }
    }
}

/// The address by which this node is a peer: the first peer that
/// `/etc/network/interfaces` gives to an interface, else the address from which
/// this node reaches the first peer.
fn own_address(peers: &[IpAddr], facts: &Facts) -> Option<IpAddr> {
    let is_ours = |peer: &IpAddr| facts.addresses.iter().any(|own| own.address == *peer);
    peers
        .iter()
        .copied()
        .find(is_ours)
        .or_else(|| facts.route_to(*peers.first()?).map(|route| route.source))
}

pub(super) fn part(
    id: &VnetId,
    vnet: &Vnet,
    tag: Tag,
    port: Option<Port>,
    mtu: Option<Mtu>,
    peers: &Ends,
    profile: Profile,
) -> Part {
    let mtu = mtu.unwrap_or_else(|| Mtu::checked(DEFAULT_MTU).expect("1450 is an MTU"));
    let tunnel = tunnel(id);

    let mut lines = vec![Line::VxlanId(tag)];
    lines.extend(peers.others.iter().copied().map(Line::VxlanRemote));
    lines.extend(port.map(Line::VxlanPort));
    lines.push(Line::Mtu(mtu));
    let end = Stanza { name: tunnel.clone(), lines };

    let mut lines = bridge_lines(Some(tunnel), vnet.is_vlan_aware(), profile);
    lines.push(Line::Mtu(mtu));
    lines.extend(vnet.alias.clone().map(Line::Alias));
    let bridge = Stanza { name: bridge(id), lines };

    let mut notes: Vec<String> = peers.note.iter().cloned().collect();
    notes.extend(vlan_aware_notes(vnet.is_vlan_aware(), profile));
    Part { stanzas: vec![bridge, end], notes }
}

/// The tunnel interface of a vnet.
fn tunnel(vnet: &VnetId) -> IfName {
    format!("vxlan_{vnet}").parse().expect("14 characters at most, all legal")
}

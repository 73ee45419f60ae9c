//! VXLAN zones: a bridge with one tunnel interface that sends to every peer
//! (`pve-rendering.md` §1.6, §1.7).

use std::net::IpAddr;

use super::stanza::{Line, Stanza, bridge_lines};
use super::{Part, bridge, vlan_aware_notes};
use crate::facts::Facts;
use crate::network::{Network, Peers, Vnet};
use crate::render::Profile;
use crate::render::endpoint::Endpoint;
use crate::value::{IfName, Mtu, NodeName, Number, Port, Tag, VnetId};

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
    pub(super) fn new(peers: &Peers, network: &Network, node: &NodeName, facts: &Facts) -> Self {
        // The loopback of a controller counts in EVPN zones only.
        let own = Endpoint::of(peers, None, network, node, facts);
        let peers = peers.addresses();
        let (own, note) = match own {
            Err(none) => (None, Some(none.to_string())),
            Ok(own) if !peers.contains(&own.address) => {
                let note = format!(
                    "the peers do not name this node's address {}, so the others send it nothing",
                    own.address
                );
                (Some(own.address), Some(note))
            }
            Ok(own) => (Some(own.address), None),
        };
        let others = peers.iter().copied().filter(|peer| Some(*peer) != own).collect();
        Self { others, note }
    }
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

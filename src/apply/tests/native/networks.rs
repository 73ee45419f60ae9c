//! Random networks, and their files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

/// What a random network is made of. Names are few, so that one network's interfaces are
/// another's with other contents.
#[derive(Clone, Debug)]
pub(super) enum Vnet {
    /// In one of two VRFs, or in none.
    Simple {
        bridge: Bridge,
        addresses: BTreeSet<u8>,
        forward: bool,
        vrf: Option<u8>,
    },
    Tunnel {
        bridge: Bridge,
        id: u32,
        port: u16,
        remotes: BTreeSet<u8>,
        end: End,
    },
    Cable {
        bridge: Bridge,
        crossed: bool,
    },
    Tagged {
        bridge: Bridge,
        id: u16,
        protocol: bool,
    },
}

/// What of a tunnel's own end can change in place, and what cannot.
#[derive(Clone, Debug)]
pub(super) struct End {
    learning: bool,
    local: Option<u8>,
    is_v6: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Bridge {
    mtu: Option<u32>,
    alias: Option<String>,
    vlan_aware: bool,
}

/// What a kernel can be asked for.
#[derive(Clone, Copy)]
pub(super) struct Abilities {
    /// VLANs, VRFs, and bridges that filter.
    pub(super) layers: bool,
}

fn bridges(abilities: Abilities) -> impl Strategy<Value = Bridge> {
    let mtu = prop::option::of(prop::sample::select(vec![1300_u32, 1400, 1450]));
    let alias = prop::option::of("[a-z]{1,5}( [a-z]{1,4})?");
    (mtu, alias, any::<bool>()).prop_map(move |(mtu, alias, aware)| Bridge {
        mtu,
        alias,
        vlan_aware: aware && abilities.layers,
    })
}

fn vnets(abilities: Abilities) -> impl Strategy<Value = Vnet> {
    let bridge = || bridges(abilities);
    let vrf = prop::option::of(0_u8..2).prop_map(move |vrf| vrf.filter(|_| abilities.layers));
    let simple = (bridge(), btree_set(0_u8..12, 0..4), any::<bool>(), vrf).prop_map(
        |(bridge, addresses, forward, vrf)| Vnet::Simple { bridge, addresses, forward, vrf },
    );
    let local = prop::option::of(1_u8..3);
    let end = (any::<bool>(), local, any::<bool>()).prop_map(|(learning, local, is_v6)| End {
        learning,
        local,
        is_v6,
    });
    let tunnel = (bridge(), 1_u32..6, 0_u16..2, btree_set(2_u8..6, 0..3), end).prop_map(
        |(bridge, id, port, remotes, end)| Vnet::Tunnel {
            bridge,
            id,
            port: 4789 + port,
            remotes,
            end,
        },
    );
    let cable =
        (bridge(), any::<bool>()).prop_map(|(bridge, crossed)| Vnet::Cable { bridge, crossed });
    if abilities.layers {
        let tagged = (bridge(), 2_u16..5, any::<bool>())
            .prop_map(|(bridge, id, protocol)| Vnet::Tagged { bridge, id, protocol });
        prop_oneof![3 => simple, 3 => tunnel, 2 => cable, 2 => tagged].boxed()
    } else {
        prop_oneof![3 => simple, 3 => tunnel, 2 => cable].boxed()
    }
}

pub(super) fn networks(abilities: Abilities) -> impl Strategy<Value = BTreeMap<u8, Vnet>> {
    btree_map(0_u8..6, vnets(abilities), 0..6)
}

/// The file of a network; no two tunnels or tags that a kernel would take for one.
pub(super) fn text(network: &BTreeMap<u8, Vnet>) -> String {
    let mut text = String::new();
    let mut taken = BTreeSet::new();
    for (number, vnet) in network {
        let name = format!("v{number}");
        let (bridge, port) = match vnet {
            Vnet::Simple { bridge, .. } => (bridge, "none".to_owned()),
            Vnet::Tunnel { bridge, id, port, .. } if taken.insert((*id, *port)) => {
                (bridge, format!("vxlan_{name}"))
            }
            Vnet::Cable { bridge, .. } => (bridge, format!("ln_{name}")),
            Vnet::Tagged { bridge, id, protocol }
                if taken.insert((u32::from(*id), u16::from(*protocol))) =>
            {
                (bridge, if *protocol { format!("sv_{name}") } else { format!("eth0.{id}") })
            }
            Vnet::Tunnel { .. } | Vnet::Tagged { .. } => continue,
        };
        stanza(&mut text, &name, bridge, &port, vnet);
        below(&mut text, &name, vnet);
    }
    for vrf in 0..2 {
        let forwards = network.values().filter_map(|vnet| match vnet {
            Vnet::Simple { vrf: Some(is), forward, .. } if *is == vrf => Some(*forward),
            _ => None,
        });
        if let Some(forward) = forwards.reduce(|one, other| one || other) {
            let verb = if forward { "add" } else { "del" };
            writeln!(
                text,
                "auto vrf_{vrf}\niface vrf_{vrf}\n\tvrf-table auto\n\
                 \tpost-up ip route {verb} vrf vrf_{vrf} unreachable default metric 4278198272"
            )
            .expect("a string takes it");
        }
    }
    text
}

fn stanza(text: &mut String, name: &str, bridge: &Bridge, port: &str, vnet: &Vnet) {
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes it");
    line(format!(
        "auto {name}\niface {name}\n\tbridge_ports {port}\n\tbridge_stp off\n\tbridge_fd 0"
    ));
    if let Some(mtu) = bridge.mtu {
        line(format!("\tmtu {mtu}"));
    }
    if let Some(alias) = &bridge.alias {
        line(format!("\talias {alias}"));
    }
    if bridge.vlan_aware {
        line("\tbridge-vlan-aware yes\n\tbridge-vids 2-4094".to_owned());
    }
    if let Vnet::Simple { addresses, forward, vrf, .. } = vnet {
        for address in addresses {
            // Several of one network, for the kernel deletes the later ones with the first.
            line(match address {
                0..8 => format!("\taddress 10.{}.0.{}/24", address % 2, address / 2 + 1),
                8..10 => format!("\taddress fd00:{address}::1/64"),
                _ => format!("\taddress fe80::{address}/64"),
            });
        }
        if *forward {
            line(format!(
                "\tip-forward on\n\tup ip route add 10.99.{}.0/24 dev {name}",
                &name[1..]
            ));
        }
        if let Some(vrf) = vrf {
            line(format!(
                "\tvrf vrf_{vrf}\n\thwaddress 02:00:00:00:00:0{}\n\tarp-accept on",
                &name[1..]
            ));
        }
    }
}

/// What a vnet's bridge is made on top of.
fn below(text: &mut String, name: &str, vnet: &Vnet) {
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes it");
    match vnet {
        Vnet::Simple { .. } => {}
        Vnet::Tunnel { id, port, remotes, end, .. } => {
            line(format!(
                "auto vxlan_{name}\niface vxlan_{name}\n\tvxlan-id {id}\n\tvxlan-port {port}"
            ));
            match end.local {
                Some(local) if end.is_v6 => line(format!("\tvxlan-local-tunnelip fd00::{local}")),
                Some(local) => line(format!("\tvxlan-local-tunnelip 192.0.2.{local}")),
                None => {}
            }
            if end.learning {
                for remote in remotes.iter().filter(|_| !end.is_v6) {
                    line(format!("\tvxlan_remoteip 192.0.2.{remote}"));
                }
            } else {
                line("\tbridge-learning off\n\tbridge-arp-nd-suppress on".to_owned());
            }
        }
        Vnet::Cable { crossed, .. } => {
            let other = if *crossed { "pr" } else { "pp" };
            line(format!(
                "auto ln_{name}\niface ln_{name}\n\tlink-type veth\n\tveth-peer-name {other}_{name}\n\
                 auto {other}_{name}\niface {other}_{name}\n\tlink-type veth\n\tveth-peer-name ln_{name}"
            ));
        }
        Vnet::Tagged { id, protocol, .. } => {
            if *protocol {
                line(format!(
                    "auto sv_{name}\niface sv_{name}\n\tvlan-raw-device eth0\n\tvlan-id {id}\n\tvlan-protocol 802.1ad"
                ));
            }
        }
    }
}

//! What ports of guests get, which no interfaces file can say: they come and go with guests.
//!
//! Proxmox VE does it when a guest is plugged in (`pve-model.md`, zones and vnets); the file is
//! what weft does it by on every node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Profile;
use crate::network::Network;
use crate::value::{IfName, NodeName, VnetId};

/// The text of the file, for the vnets among these interfaces; `None` where no vnet has such
/// an option.
///
/// Where MAC addresses are not learnt, a bridge has to be told them. Proxmox VE has them in the
/// configuration of guests; elsewhere those count that guests of the repository declare.
pub(super) fn render(
    network: &Network,
    node: &NodeName,
    interfaces: &BTreeMap<IfName, Vec<VnetId>>,
    profile: Profile,
) -> Option<String> {
    let mut lines = String::new();
    let mut line = |vnet: &VnetId, words: &str| {
        writeln!(lines, "{vnet} {words}").expect("writing to a string does not fail");
    };
    for zone in network.zones.values().filter(|zone| zone.nodes.contains(node)) {
        let here = zone.vnets.iter().filter(|(id, _)| interfaces.contains_key(id.as_str()));
        for (id, vnet) in here {
            if vnet.isolate_ports {
                line(id, "isolated");
            }
            if zone.bridge_disable_mac_learning {
                line(id, "static-macs");
                if profile == Profile::Debian {
                    for mac in macs(network, id) {
                        line(id, &format!("mac {mac}"));
                    }
                }
            }
        }
    }
    (!lines.is_empty()).then(|| format!("# Written by weft: what ports of guests get.\n{lines}"))
}

/// The MAC addresses that guests declare on a vnet, in lower case.
fn macs(network: &Network, vnet: &VnetId) -> BTreeSet<String> {
    let nics = network.guests.values().flat_map(|guest| &guest.nics);
    let here = nics.filter(|nic| nic.vnet == *vnet);
    here.map(|nic| nic.mac.to_string().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Guest, Naming, Nic, Nodes, VlanZone, Vnet, Zone, ZoneKind};

    fn zone(kind: ZoneKind, nodes: Nodes, is_static: bool, vnets: &[(&str, bool)]) -> Zone {
        let vnet = |&(id, isolate_ports): &(&str, bool)| {
            (id.parse().unwrap(), Vnet { isolate_ports, ..Vnet::default() })
        };
        Zone {
            nodes,
            mtu: None,
            ipam: None,
            naming: Naming::default(),
            dhcp: None,
            bridge_disable_mac_learning: is_static,
            kind,
            vnets: vnets.iter().map(vnet).collect(),
        }
    }

    fn network() -> Network {
        let mut network = Network::default();
        let simple = zone(ZoneKind::Simple, Nodes::All, false, &[("va", true), ("vb", false)]);
        let vlan = ZoneKind::Vlan(VlanZone { bridge: "vmbr0".parse().unwrap() });
        let only = Nodes::Some(["n1".parse().unwrap()].into());
        // Without a tag one has no interface.
        let vlan = zone(vlan, only, true, &[("vc", true), ("vd", true)]);
        network.zones = [("zs".parse().unwrap(), simple), ("zv".parse().unwrap(), vlan)].into();
        let nic = |vnet: &str, mac: &str| Nic {
            vnet: vnet.parse().unwrap(),
            mac: mac.parse().unwrap(),
            addresses: Vec::new(),
            dhcp_options: Vec::new(),
        };
        let nics = vec![nic("vc", "BC:24:11:00:00:01"), nic("va", "BC:24:11:00:00:02")];
        network.guests.insert("web".parse().unwrap(), Guest { nics, hostname: None });
        network
    }

    fn text(node: &str, profile: Profile) -> Option<String> {
        let interfaces = ["va", "vb", "vc"].map(|name| (name.parse().unwrap(), Vec::new()));
        render(&network(), &node.parse().unwrap(), &interfaces.into(), profile)
    }

    #[test]
    fn only_vnets_of_the_node_with_such_an_option_are_named() {
        let head = "# Written by weft: what ports of guests get.\n";
        let pve = format!("{head}va isolated\nvc isolated\nvc static-macs\n");
        assert_eq!(text("n1", Profile::Pve), Some(pve.clone()));
        // Where there is no configuration of guests, the repository says who is there.
        let debian = format!("{pve}vc mac bc:24:11:00:00:01\n");
        assert_eq!(text("n1", Profile::Debian), Some(debian));
        assert_eq!(text("n2", Profile::Debian), Some(format!("{head}va isolated\n")));
        let nothing = render(&network(), &"n2".parse().unwrap(), &BTreeMap::new(), Profile::Pve);
        assert_eq!(nothing, None);
    }
}

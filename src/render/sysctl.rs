//! What the kernel must be told beside the interfaces, which the manual leaves to people.
//!
//! * Where a zone has several exit nodes, a packet may leave by one and its answer come back by
//!   another, which reverse-path filtering takes for a forgery. The kernel uses the greater of
//!   `conf/all` and the interface's own value (its `ip-sysctl.rst`, `rp_filter`), and
//!   Proxmox's firewall sets `conf/all` to 2 in its `pve-firewall.conf`, so `conf/all` has to be 0
//!   as well. `systemd-sysctl` and `sysctl --system` read all files in the byte order of their
//!   names, whatever directory they are in, and the last one counts: the name of this one has to
//!   come behind.
//! * A socket that is bound to no VRF gets packets of none, unless `udp_l3mdev_accept` is set (the
//!   kernel's `vrf.rst`); dnsmasq's is such a socket.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;

use crate::facts::Facts;
use crate::network::{EvpnZone, Network, Zone, ZoneKind};
use crate::value::{IfName, NodeName, ZoneId};

/// The text of the file; `None` where nothing is to be told.
pub(super) fn render(network: &Network, node: &NodeName, facts: &Facts) -> Option<String> {
    let mut unfiltered = BTreeSet::new();
    let mut dhcp_in_vrf = false;
    for (id, zone) in network.zones.iter().filter(|(_, zone)| zone.nodes.contains(node)) {
        let ZoneKind::Evpn(evpn) = &zone.kind else { continue };
        dhcp_in_vrf |= zone.dhcp.is_some();
        if evpn.exit_nodes.len() > 1 && evpn.exit_nodes.contains(node) {
            unfiltered.extend(interfaces(id, zone, evpn));
        }
    }
    if !unfiltered.is_empty() {
        let is_default = |destination: &IpNet| {
            matches!(destination, IpNet::V4(_)) && destination.prefix_len() == 0
        };
        let ways_out = facts.routes.iter().filter(|route| is_default(&route.destination));
        unfiltered.extend(ways_out.map(|route| route.interface.clone()));
    }

    let mut text = String::from("# Written by weft.\n");
    if !unfiltered.is_empty() {
        text.push_str(
            "\n\
             # A zone has several exit nodes, and this is one of them: packets leave by one and\n\
             # answers come back by another, so no source address is filtered on the way. The\n\
             # kernel takes the greater of `all` and an interface's own value. Other interfaces\n\
             # keep their own.\n\
             net/ipv4/conf/all/rp_filter = 0\n",
        );
        for name in unfiltered {
            // A hyphen in front: an interface that is not there yet is no error. Slashes, because
            // a name may hold dots.
            writeln!(text, "-net/ipv4/conf/{name}/rp_filter = 0")
                .expect("writing to a string does not fail");
        }
    } else if !dhcp_in_vrf {
        return None;
    }
    if dhcp_in_vrf {
        text.push_str(
            "\n\
             # dnsmasq serves vnets that are in a VRF, from a socket that is in none.\n\
             net/ipv4/udp_l3mdev_accept = 1\n",
        );
    }
    Some(text)
}

/// The interfaces by which packets of a zone come in on an exit node.
fn interfaces(id: &ZoneId, zone: &Zone, evpn: &EvpnZone) -> Vec<IfName> {
    let name = |text: String| text.parse().expect("14 characters at most, all legal");
    let mut names = vec![name(format!("vrf_{id}")), name(format!("vrfbr_{id}"))];
    if evpn.exit_nodes_local_routing {
        names.extend([name(format!("xvrf_{id}")), name(format!("xvrfp_{id}"))]);
    }
    names.extend(zone.vnets.keys().map(|vnet| name(vnet.to_string())));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Route;
    use crate::network::{DhcpServer, Naming, Nodes, Vnet};
    use crate::value::{Number as _, Tag};

    fn network(nodes: Nodes, exit_nodes: &[&str], dhcp: Option<DhcpServer>) -> Network {
        let evpn = EvpnZone {
            controller: "ctl".parse().unwrap(),
            vrf_vxlan: Tag::checked(1).unwrap(),
            mac: None,
            exit_nodes: exit_nodes.iter().map(|name| name.parse().unwrap()).collect(),
            exit_nodes_primary: None,
            exit_nodes_local_routing: true,
            advertise_subnets: false,
            disable_arp_nd_suppression: false,
            rt_import: Vec::new(),
            port: None,
        };
        let zone = Zone {
            nodes,
            mtu: None,
            ipam: None,
            naming: Naming::default(),
            dhcp,
            bridge_disable_mac_learning: false,
            kind: ZoneKind::Evpn(evpn),
            vnets: [("va".parse().unwrap(), Vnet::default())].into(),
        };
        let mut network = Network::default();
        network.zones.insert("za".parse().unwrap(), zone);
        network
    }

    fn settings(network: &Network) -> Option<Vec<String>> {
        let node: NodeName = "n1".parse().unwrap();
        let mut facts = Facts::unknown(node.clone());
        for (destination, interface) in
            [("::/0", "v6"), ("10.0.0.0/8", "eth9"), ("0.0.0.0/0", "vmbr0.7")]
        {
            facts.routes.push(Route {
                destination: destination.parse().unwrap(),
                interface: interface.parse().unwrap(),
                gateway: None,
                source: "10.0.0.1".parse().unwrap(),
                metric: 0,
            });
        }
        let text = render(network, &node, &facts)?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Some(lines.map(str::to_owned).collect())
    }

    #[test]
    fn one_of_several_exit_nodes_filters_no_source() {
        assert_eq!(
            settings(&network(Nodes::All, &["n1", "n2"], None)).unwrap(),
            [
                "net/ipv4/conf/all/rp_filter = 0",
                "-net/ipv4/conf/va/rp_filter = 0",
                "-net/ipv4/conf/vmbr0.7/rp_filter = 0",
                "-net/ipv4/conf/vrf_za/rp_filter = 0",
                "-net/ipv4/conf/vrfbr_za/rp_filter = 0",
                "-net/ipv4/conf/xvrf_za/rp_filter = 0",
                "-net/ipv4/conf/xvrfp_za/rp_filter = 0",
            ]
        );
    }

    #[test]
    fn dhcp_in_a_vrf_takes_packets_of_it() {
        let dhcp = Some(DhcpServer::Dnsmasq);
        let accept = ["net/ipv4/udp_l3mdev_accept = 1"];
        assert_eq!(settings(&network(Nodes::All, &["n1"], dhcp)).unwrap(), accept);
    }

    #[test]
    fn otherwise_there_is_no_file() {
        let elsewhere = || Nodes::Some(["n2".parse().unwrap()].into());
        assert_eq!(settings(&network(Nodes::All, &["n1"], None)), None);
        assert_eq!(settings(&network(Nodes::All, &["n2", "n3"], None)), None);
        let dhcp = Some(DhcpServer::Dnsmasq);
        assert_eq!(settings(&network(elsewhere(), &["n1", "n2"], dhcp)), None);
    }
}

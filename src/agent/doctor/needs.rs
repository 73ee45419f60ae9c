//! What a network asks of a machine: by its declarations, and by the files of the
//! network that the machine has already, whoever wrote them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::facts::Route;
use crate::network::{Controller, FabricProtocol, Network, Peers, ZoneKind};
use crate::value::{IfName, NodeName, Port};

/// The kernel's UDP port for VXLAN.
const VXLAN_PORT: u16 = 4789;

/// Where BGP listens (RFC 4271).
const BGP_PORT: u16 = 179;

/// Where BFD listens: control, echo, and control over several hops.
const BFD_PORTS: [u16; 3] = [3784, 3785, BFD_FAR];
const BFD_FAR: u16 = 4784;

/// What is asked of a machine.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is another thing that a machine has or not"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// The interfaces that weft makes, or that stand in its file.
    pub interfaces: BTreeSet<IfName>,
    /// What must get in from other machines.
    pub openings: BTreeSet<Opening>,
    /// The interfaces by which guests leave with the address of the machine.
    pub exits: BTreeSet<IfName>,
    /// Whether guests of any vnet leave so.
    pub source_nat: bool,
    /// How many bridges tell VLANs apart.
    pub vlan_aware_bridges: usize,
    /// Whether there are VLAN interfaces.
    pub vlans: bool,
    /// Whether there are VRFs.
    pub vrfs: bool,
    /// Whether a routing daemon runs, perhaps one whose packets pass no filter of IP.
    #[serde(default)]
    pub routing: bool,
    /// Whether packets of other nodes pass through by IPv6 (`pve-rendering.md` §1.9).
    #[serde(default)]
    pub transit_v6: bool,
    /// The node's own interfaces that a fabric is made of.
    #[serde(default)]
    pub fabric: BTreeSet<IfName>,
}

/// A hole in a firewall.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// What comes in.
    pub service: Service,
    /// The destination port of what comes in; OSPF has none.
    pub port: Option<u16>,
    /// Whether it comes by IPv6.
    pub v6: bool,
    /// What asks for it, such as ``zone `front` ``.
    pub by: String,
}

/// What comes in by an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Tunnels of other nodes.
    Vxlan,
    /// Sessions of routers (RFC 4271).
    Bgp,
    /// Detection of dead links: one hop (RFC 5881), its echo, and several hops (RFC 5883).
    Bfd,
    /// Routes of a fabric, IP protocol 89 (RFC 2328).
    Ospf,
    /// Requests of guests.
    Dhcp,
}

impl Service {
    /// Its name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vxlan => "VXLAN",
            Self::Bgp => "BGP",
            Self::Bfd => "BFD",
            Self::Ospf => "OSPF",
            Self::Dhcp => "DHCP",
        }
    }

    /// The protocol below it, as firewalls name it.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Bgp => "tcp",
            Self::Vxlan | Self::Bfd | Self::Dhcp => "udp",
            Self::Ospf => "ospf",
        }
    }
}

impl Needs {
    /// Both together.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.interfaces.extend(other.interfaces.iter().cloned());
        self.openings.extend(other.openings.iter().cloned());
        self.exits.extend(other.exits.iter().cloned());
        self.source_nat |= other.source_nat;
        self.vlan_aware_bridges = self.vlan_aware_bridges.max(other.vlan_aware_bridges);
        self.vlans |= other.vlans;
        self.vrfs |= other.vrfs;
        self.routing |= other.routing;
        self.transit_v6 |= other.transit_v6;
        self.fabric.extend(other.fabric.iter().cloned());
        self
    }

    /// Whether something asks for a service.
    pub fn asks(&self, service: Service) -> bool {
        self.openings.iter().any(|opening| opening.service == service)
    }

    fn open(&mut self, service: Service, port: Option<u16>, v6: bool, by: &str) {
        self.openings.insert(Opening { service, port, v6, by: by.to_owned() });
    }
}

/// What the declarations ask of a node. Its routes say by which interfaces guests
/// leave.
pub fn of_network(network: &Network, node: &NodeName, routes: &[Route]) -> Needs {
    let mut needs = Needs::default();
    for (id, zone) in network.zones.iter().filter(|(_, zone)| zone.nodes.contains(node)) {
        let by = format!("zone `{id}`");
        let subnets = || zone.vnets.values().flat_map(crate::network::Vnet::subnets);
        let names = zone.vnets.keys().filter_map(|vnet| vnet.as_str().parse::<IfName>().ok());
        needs.interfaces.extend(names);
        needs.vlan_aware_bridges += zone.vnets.values().filter(|vnet| vnet.is_vlan_aware()).count();
        match &zone.kind {
            ZoneKind::Vxlan(vxlan) => {
                needs.tunnels(&ends(network, &vxlan.peers), vxlan.port, &by);
            }
            ZoneKind::Vlan(_) => needs.vlans = true,
            ZoneKind::Qinq(_) => {
                needs.vlans = true;
                // The zone's own bridge.
                needs.vlan_aware_bridges += 1;
            }
            ZoneKind::Evpn(evpn) => {
                needs.vrfs = true;
                let peers = network.evpn_controller().map(|(_, evpn)| &evpn.peers);
                let peers = peers.map(|peers| ends(network, peers)).unwrap_or_default();
                needs.tunnels(&peers, evpn.port, &by);
                if evpn.exit_nodes.contains(node) {
                    for (prefix, subnet) in subnets() {
                        needs.source_nat |= subnet.snat;
                        needs.exits.extend(way_out(routes, prefix.net().addr()));
                    }
                }
            }
            ZoneKind::Simple => {
                if zone.dhcp.is_some() {
                    for (v6, port) in [(false, 67), (true, 547)] {
                        if subnets().any(|(prefix, _)| prefix.net().addr().is_ipv6() == v6) {
                            needs.open(Service::Dhcp, Some(port), v6, &by);
                        }
                    }
                }
                for (prefix, _) in subnets().filter(|(_, subnet)| subnet.snat) {
                    needs.source_nat = true;
                    needs.exits.extend(way_out(routes, prefix.net().addr()));
                }
            }
        }
    }
    of_controllers(&mut needs, network, node);
    of_fabrics(&mut needs, network, node);
    needs
}

/// The other ends of tunnels or sessions.
fn ends(network: &Network, peers: &Peers) -> Vec<IpAddr> {
    match peers {
        Peers::Addresses(addresses) => addresses.clone(),
        Peers::Fabric(id) => {
            let nodes = network.fabrics.get(id).into_iter().flat_map(|f| f.nodes.values());
            nodes.filter_map(|node| node.ip.map(IpAddr::from)).collect()
        }
    }
}

fn of_controllers(needs: &mut Needs, network: &Network, node: &NodeName) {
    for (id, controller) in &network.controllers {
        let by = format!("controller `{id}`");
        let (peers, far) = match controller {
            Controller::Evpn(evpn) => (ends(network, &evpn.peers), false),
            Controller::Bgp(bgp) if bgp.node == *node => {
                (bgp.peers.clone(), bgp.ebgp_multihop.is_some_and(|hops| hops > 1))
            }
            Controller::Isis(isis) if isis.node == *node => {
                needs.routing = true;
                continue;
            }
            Controller::Bgp(_) | Controller::Isis(_) => continue,
        };
        needs.routing = true;
        for v6 in [false, true] {
            if !peers.iter().any(|peer| peer.is_ipv6() == v6) {
                continue;
            }
            needs.open(Service::Bgp, Some(BGP_PORT), v6, &by);
            for port in BFD_PORTS.iter().filter(|port| far || **port != BFD_FAR) {
                needs.open(Service::Bfd, Some(*port), v6, &by);
            }
        }
    }
}

fn of_fabrics(needs: &mut Needs, network: &Network, node: &NodeName) {
    for (id, fabric) in &network.fabrics {
        let Some(here) = fabric.nodes.get(node) else { continue };
        needs.routing = true;
        needs.transit_v6 |= here.ip6.is_some();
        let names = here.interfaces.iter().map(|interface| interface.name.clone());
        needs.fabric.extend(names.clone());
        needs.interfaces.extend(names);
        if matches!(fabric.protocol, FabricProtocol::Ospf { .. }) {
            needs.open(Service::Ospf, None, false, &format!("fabric `{id}`"));
        }
    }
}

/// The interface by which packets of a family leave for the outside.
fn way_out(routes: &[Route], family: IpAddr) -> Option<IfName> {
    let unspecified: IpAddr = match family {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let everywhere = routes.iter().filter(|route| {
        route.destination.prefix_len() == 0 && route.destination.addr() == unspecified
    });
    everywhere.min_by_key(|route| route.metric).map(|route| route.interface.clone())
}

/// What the files of the network ask of the machine that has them: the text of
/// `/etc/network/interfaces.d/sdn`, that of `/etc/frr/frr.conf`, and whether dnsmasq
/// serves zones. `None` where there is nothing of it.
pub fn of_files(interfaces: Option<&str>, frr: Option<&str>, dhcp: bool) -> Option<Needs> {
    let mut needs = Needs::default();
    if let Some(text) = interfaces {
        of_interfaces(&mut needs, text);
    }
    if let Some(text) = frr {
        of_frr(&mut needs, text);
    }
    if dhcp {
        needs.open(Service::Dhcp, Some(67), false, "`/etc/dnsmasq.d`");
    }
    (interfaces.is_some() || needs != Needs::default()).then_some(needs)
}

/// Reads the words that change what a machine must have, and no others.
fn of_interfaces(needs: &mut Needs, text: &str) {
    let by = "`/etc/network/interfaces.d/sdn`";
    // A tunnel's port stands behind its id, and none means the kernel's.
    let mut tunnel: Option<Tunnel> = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["iface", name, ..] => {
                needs.close(tunnel.take(), by);
                needs.interfaces.extend(name.parse());
                let is_vlan =
                    name.rsplit_once('.').is_some_and(|(_, tag)| tag.parse::<u16>().is_ok());
                needs.vlans |= is_vlan;
            }
            ["vxlan-id", ..] => tunnel = Some(Tunnel { port: VXLAN_PORT, v6: false }),
            ["vxlan-port", port, ..] => {
                if let (Some(tunnel), Ok(port)) = (&mut tunnel, port.parse()) {
                    tunnel.port = port;
                }
            }
            ["vxlan_remoteip" | "vxlan-remoteip" | "vxlan-local-tunnelip", address, ..] => {
                if let (Some(tunnel), Ok(address)) = (&mut tunnel, address.parse::<IpAddr>()) {
                    tunnel.v6 |= address.is_ipv6();
                }
            }
            ["vlan-raw-device", ..] => needs.vlans = true,
            ["vrf-table", ..] => needs.vrfs = true,
            ["bridge-vlan-aware" | "bridge_vlan_aware", "yes" | "1" | "on" | "true", ..] => {
                needs.vlan_aware_bridges += 1;
            }
            ["post-up", rule @ ..] if rule.contains(&"SNAT") || rule.contains(&"MASQUERADE") => {
                needs.source_nat = true;
                let out = rule.iter().skip_while(|word| **word != "-o").nth(1);
                needs.exits.extend(out.and_then(|name| name.parse().ok()));
            }
            _ => {}
        }
    }
    needs.close(tunnel.take(), by);
}

#[derive(Clone, Copy)]
struct Tunnel {
    port: u16,
    v6: bool,
}

impl Needs {
    /// Tunnels that come from these ends.
    fn tunnels(&mut self, ends: &[IpAddr], port: Option<Port>, by: &str) {
        let port = port.and_then(|port| u16::try_from(port.get()).ok()).unwrap_or(VXLAN_PORT);
        for v6 in [false, true] {
            if ends.iter().any(|end| end.is_ipv6() == v6) {
                self.open(Service::Vxlan, Some(port), v6, by);
            }
        }
    }

    fn close(&mut self, tunnel: Option<Tunnel>, by: &str) {
        if let Some(Tunnel { port, v6 }) = tunnel {
            self.open(Service::Vxlan, Some(port), v6, by);
        }
    }
}

fn of_frr(needs: &mut Needs, text: &str) {
    let by = "`/etc/frr/frr.conf`";
    for line in text.lines().map(str::trim) {
        needs.routing |= line.starts_with("router ");
        if line.starts_with("router bgp") {
            needs.open(Service::Bgp, Some(BGP_PORT), false, by);
        } else if line.starts_with("router ospf") {
            needs.open(Service::Ospf, None, line.starts_with("router ospf6"), by);
        } else if line == "bfd" || line.ends_with(" bfd") {
            needs.open(Service::Bfd, Some(BFD_PORTS[0]), false, by);
            needs.open(Service::Bfd, Some(BFD_PORTS[1]), false, by);
        } else if line.contains(" ebgp-multihop ") {
            needs.open(Service::Bfd, Some(BFD_FAR), false, by);
        }
    }
}

//! What the reference's own cases leave out.

use super::*;
use crate::network::{
    BgpController, EvpnController, IsisController, Naming, Node, Nodes, Peers, Subnet, Traffic,
    Vnet,
};
use crate::value::{Asn, IfName, Number as _, Tag};

const NODE: &str = "n1";

fn node() -> NodeName {
    NODE.parse().unwrap()
}

fn asn(number: u64) -> Asn {
    Asn::checked(number).unwrap()
}

fn peers(addresses: &[&str]) -> Vec<std::net::IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// A node with 10.0.0.1 on `vmbr0`, by which everything is reached, and FRR.
fn facts(local: &str) -> Facts {
    let mut facts = Facts::unknown(node());
    facts.addresses.push(crate::facts::InterfaceAddress {
        interface: "vmbr0".parse().unwrap(),
        address: "10.0.0.1".parse().unwrap(),
    });
    facts.routes.push(crate::facts::Route {
        destination: "0.0.0.0/0".parse().unwrap(),
        interface: "vmbr0".parse().unwrap(),
        gateway: None,
        source: "10.0.0.1".parse().unwrap(),
        metric: 0,
    });
    facts.frr = Some(crate::facts::Frr {
        version: Some("10.4.1-1+pve1".to_owned()),
        local: Some(local.to_owned()),
        daemons: Some("bgpd=no\nbfdd=no\nisisd=no\n".to_owned()),
    });
    facts
}

fn evpn_controller(number: u64) -> Controller {
    let peers = Peers::Addresses(peers(&["10.0.0.1", "10.0.0.2"]));
    Controller::Evpn(EvpnController { asn: asn(number), peers })
}

fn bgp_controller(number: u64, loopback: Option<&str>) -> Controller {
    Controller::Bgp(BgpController {
        node: node(),
        asn: asn(number),
        peers: peers(&["10.0.0.9"]),
        ebgp: true,
        ebgp_multihop: None,
        loopback: loopback.map(|name| name.parse().unwrap()),
        multipath_as_path_relax: false,
    })
}

fn zone(vni: u64, change: impl FnOnce(&mut EvpnZone)) -> Zone {
    let mut evpn = EvpnZone {
        controller: "ctl".parse().unwrap(),
        vrf_vxlan: Tag::checked(vni).unwrap(),
        mac: None,
        exit_nodes: ["n1", "n2"].map(|name| name.parse().unwrap()).into(),
        exit_nodes_primary: None,
        exit_nodes_local_routing: false,
        advertise_subnets: false,
        disable_arp_nd_suppression: false,
        rt_import: Vec::new(),
        port: None,
    };
    change(&mut evpn);
    Zone {
        nodes: Nodes::All,
        mtu: None,
        ipam: None,
        naming: Naming::default(),
        dhcp: None,
        bridge_disable_mac_learning: false,
        kind: ZoneKind::Evpn(evpn),
        vnets: BTreeMap::new(),
    }
}

fn with_subnets(mut zone: Zone, vnet: &str, subnets: &[&str]) -> Zone {
    let subnets = subnets.iter().map(|prefix| (prefix.parse().unwrap(), Subnet::default()));
    let vnet_of = Vnet { traffic: Traffic::Untagged(subnets.collect()), ..Vnet::default() };
    zone.vnets.insert(vnet.parse().unwrap(), vnet_of);
    zone
}

fn network(
    controllers: impl IntoIterator<Item = (&'static str, Controller)>,
    zones: impl IntoIterator<Item = (&'static str, Zone)>,
) -> Network {
    Network {
        nodes: BTreeMap::from([(node(), Node::default())]),
        controllers: controllers.into_iter().map(|(id, of)| (id.parse().unwrap(), of)).collect(),
        zones: zones.into_iter().map(|(id, of)| (id.parse().unwrap(), of)).collect(),
        ..Network::default()
    }
}

fn rendered(network: &Network, facts: &Facts) -> (String, Vec<String>) {
    let frr = render(network, &node(), facts);
    let Conf::Text(text) = frr.conf else { panic!("{:?}", frr.notes) };
    (text, frr.notes.iter().map(ToString::to_string).collect())
}

/// The lines of the block that begins with a line.
fn block<'a>(text: &'a str, header: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| *line != header);
    let block: Vec<_> =
        lines.take_while(|line| !["!", "exit", "exit-vrf"].contains(line)).collect();
    assert!(!block.is_empty(), "no `{header}` in\n{text}");
    block
}

#[test]
fn every_exit_zone_adds_its_own_entries_and_they_are_numbered_once() {
    let best = |zone: &mut EvpnZone| zone.exit_nodes_primary = Some(node());
    let other = |zone: &mut EvpnZone| zone.exit_nodes_primary = Some("n2".parse().unwrap());
    let zones = [("za", zone(1, best)), ("zb", zone(2, other)), ("zc", zone(3, |_| {}))];
    let (text, notes) = rendered(&network([("ctl", evpn_controller(65000))], zones), &facts(""));
    let maps: Vec<_> = text.lines().filter(|line| line.starts_with("route-map ")).collect();
    assert_eq!(
        maps,
        [
            "route-map MAP_VTEP_IN deny 1",
            "route-map MAP_VTEP_IN deny 2",
            "route-map MAP_VTEP_IN deny 3",
            "route-map MAP_VTEP_IN deny 4",
            "route-map MAP_VTEP_IN permit 5",
            "route-map MAP_VTEP_OUT permit 1",
            "route-map MAP_VTEP_OUT permit 2",
            "route-map MAP_VTEP_OUT permit 3",
        ]
    );
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn subnets_of_other_zones_are_thrown_away_once_for_each_address() {
    let mut simple = with_subnets(zone(9, |_| {}), "vs", &["9.0.0.0/8", "10.1.0.0/16", "::5/64"]);
    simple.kind = ZoneKind::Simple;
    let zones = [
        ("za", with_subnets(zone(1, |_| {}), "va", &["10.1.0.0/24", "10.2.0.7/24"])),
        ("zb", with_subnets(zone(2, |_| {}), "vb", &["10.1.0.0/8", "10.1.0.0/24"])),
        ("zs", simple),
    ];
    let (text, _) = rendered(&network([("ctl", evpn_controller(65000))], zones), &facts(""));
    let routes = |vrf| block(&text, vrf)[2..].to_vec();
    // By number: IPv6 that is small comes first. The later zone's mask counts.
    assert_eq!(
        routes("vrf vrf_za"),
        [" ipv6 route ::5/64 null0", " ip route 9.0.0.0/8 null0", " ip route 10.1.0.0/16 null0"]
    );
    assert_eq!(
        routes("vrf vrf_zb"),
        [
            " ipv6 route ::5/64 null0",
            " ip route 9.0.0.0/8 null0",
            " ip route 10.1.0.0/16 null0",
            " ip route 10.2.0.7/24 null0"
        ]
    );
}

#[test]
fn of_one_zone_the_mask_whose_text_is_last_counts() {
    let local = |zone: &mut EvpnZone| zone.exit_nodes_local_routing = true;
    let zones = [
        ("za", zone(1, |_| {})),
        ("zb", with_subnets(zone(2, local), "vb", &["10.1.0.0/8", "10.1.0.0/24", "fd00::/64"])),
        ("zc", with_subnets(zone(3, local), "va", &["10.9.0.0/24"])),
    ];
    let (text, _) = rendered(&network([("ctl", evpn_controller(65000))], zones), &facts(""));
    assert!(block(&text, "vrf vrf_za").contains(&" ip route 10.1.0.0/8 null0"));
    // Vnets in the order of their ids, whichever zone they are in.
    let routes: Vec<_> = text.lines().filter(|line| line.contains(" xvrf_")).collect();
    assert_eq!(
        routes,
        [
            "ip route 10.9.0.0/24 10.255.255.2 xvrf_zc",
            "ip route 10.1.0.0/24 10.255.255.2 xvrf_zb",
            "ip route 10.1.0.0/8 10.255.255.2 xvrf_zb",
            "ipv6 route fd00::/64 fe80::2 xvrf_zb",
        ]
    );
}

#[test]
fn with_an_as_number_of_its_own_a_node_makes_route_targets_of_the_controllers() {
    let import = |zone: &mut EvpnZone| {
        zone.exit_nodes.clear();
        zone.rt_import = vec!["65009:7".parse().unwrap()];
    };
    let controllers = [("ctl", evpn_controller(65000)), ("zbgp", bgp_controller(65001, None))];
    let network = network(controllers, [("za", zone(1, import))]);
    let (text, notes) = rendered(&network, &facts(""));
    assert!(text.contains("\nrouter bgp 65001\n") && text.contains("\n  autort as 65000\n"));
    assert_eq!(
        block(&text, "router bgp 65001 vrf vrf_za")[5..],
        [
            " address-family l2vpn evpn",
            "  route-target import 65000:1",
            "  route-target import 65009:7",
            "  route-target export 65000:1",
            " exit-address-family",
        ]
    );
    assert_eq!(notes, Vec::<String>::new());

    let mut stock = facts("");
    stock.frr.as_mut().unwrap().version = Some("10.3-3+deb13u1".to_owned());
    let (_, notes) = rendered(&network, &stock);
    assert!(notes[0].starts_with("controller ctl: FRR 10.3-3+deb13u1 has no `autort as`"));
}

#[test]
fn what_is_not_rendered_has_a_note() {
    let none = network([("ctl", evpn_controller(0))], [("za", zone(1, |_| {}))]);
    let (text, notes) = rendered(&none, &facts(""));
    assert!(!text.contains("router bgp") && !text.contains("vrf_za"));
    assert_eq!(notes, ["controller ctl: not rendered, because its AS number is 0"]);

    // The AS number of a BGP controller serves as well, but makes no route targets.
    let controllers = [("ctl", evpn_controller(0)), ("zbgp", bgp_controller(65001, None))];
    let (text, _) = rendered(&network(controllers, [("za", zone(1, |_| {}))]), &facts(""));
    assert!(text.contains("router bgp 65001 vrf vrf_za") && !text.contains("autort"));

    let fabric = Peers::Fabric("fab".parse().unwrap());
    let fabric = Controller::Evpn(EvpnController { asn: asn(1), peers: fabric });
    let (_, notes) = rendered(&network([("ctl", fabric)], []), &facts(""));
    assert_eq!(notes, ["controller ctl: not rendered, because there is no fabric `fab`"]);
}

#[test]
fn where_the_reference_gives_up_there_is_no_file() {
    let why = |network: &Network, facts: &Facts| {
        let frr = render(network, &node(), facts);
        assert_eq!(frr.daemons, None);
        let Conf::Impossible(note) = frr.conf else { panic!("{:?}", frr.conf) };
        note.to_string()
    };
    let evpn = network([("ctl", evpn_controller(65000))], []);
    let mut lost = facts("");
    lost.addresses.clear();
    lost.routes.clear();
    assert_eq!(
        why(&evpn, &lost),
        "controller ctl: this node gets no frr.conf, because this node has no route to its peers"
    );
    assert_eq!(
        why(&evpn, &facts("!\nexit-address-family\n")),
        "frr.conf.local: this node gets no frr.conf, because line 2 closes an address family where none is open"
    );
    let mut far = bgp_controller(65000, None);
    let Controller::Bgp(bgp) = &mut far else { unreachable!() };
    bgp.ebgp_multihop = Some(256);
    assert!(why(&network([("b1", far)], []), &facts("")).ends_with("`ebgp-multihop` above 255"));
    let mut v6 = facts("");
    v6.addresses[0].address = "fd00::1".parse().unwrap();
    let peers = Peers::Addresses(peers(&["fd00::1"]));
    let v6_only = Controller::Evpn(EvpnController { asn: asn(1), peers });
    assert!(why(&network([("ctl", v6_only)], []), &v6).ends_with("has no hardware address"));
}

#[test]
fn frr_is_not_written_where_nothing_needs_it_or_it_is_not_there() {
    let empty = network([], [("za", zone(1, |_| {}))]);
    let mut facts = facts("");
    facts.frr.as_mut().unwrap().local = None;
    assert_eq!(render(&empty, &node(), &facts), Frr::default());
    let evpn = network([("ctl", evpn_controller(65000))], []);
    assert!(matches!(render(&evpn, &node(), &facts).conf, Conf::Text(_)));
    facts.frr = None;
    let frr = render(&evpn, &node(), &facts);
    assert_eq!(frr.conf, Conf::Unneeded);
    assert_eq!(
        frr.notes[0].to_string(),
        "controller ctl: this node needs FRR, and has no /etc/frr"
    );
}

#[test]
fn isis_takes_the_kernels_names_and_daemons_are_started() {
    let isis = Controller::Isis(IsisController {
        node: node(),
        domain: "d1".parse().unwrap(),
        interfaces: ["enx1", "eth0"].map(|name| name.parse().unwrap()).into(),
        net: "49.0001.1921.6800.1002.00".parse().unwrap(),
        loopback: None,
    });
    let mut facts = facts("interface ens1\n isis passive\nexit\n");
    facts.interfaces.push(crate::facts::Interface {
        name: "ens1".parse::<IfName>().unwrap(),
        altnames: vec!["enx1".parse().unwrap()],
        mac: None,
        master: None,
        mtu: 1500,
    });
    let network = network([("i1", isis)], []);
    let (text, _) = rendered(&network, &facts);
    assert_eq!(block(&text, "interface ens1")[1..], [" ip router isis d1", " isis passive"]);
    assert_eq!(block(&text, "interface eth0")[1..], [" ip router isis d1"]);
    let daemons = render(&network, &node(), &facts).daemons.unwrap();
    assert_eq!(daemons, "bgpd=no\nbfdd=no\nisisd=yes\n");
}

#[test]
fn what_is_left_open_swallows_what_follows() {
    let local = "vrf other\n ip route 10.0.0.0/8 null0\nrouter bgp 65000\n neighbor X\n \
        address-family ipv6 unicast\n  a\n exit-address-family\n lost in the open\nexit\n";
    let (text, _) = rendered(&network([("ctl", evpn_controller(65000))], []), &facts(local));
    let router = block(&text, "router bgp 65000");
    assert_eq!(
        router.iter().position(|line| *line == " neighbor X").map(|at| &router[at + 1..at + 4]),
        Some([" address-family ipv6 unicast", "  a", " exit-address-family"].as_slice())
    );
    // Behind an address family of its own the reference is outside of the router, and the `exit`
    // belongs to the VRF that was opened first.
    assert!(text.contains(
        "\nvrf other\n ip route 10.0.0.0/8 null0\n lost in the open\nexit\n!\n!\nroute-map"
    ));
}

#[test]
fn route_maps_of_the_node_follow_those_that_are_rendered() {
    let local = "route-map pve_x permit 7\n match x\nexit\nroute-map MAP_VTEP_IN deny 1 junk\n \
        set x!\n set y\nroute-map MAP_VTEP_IN permit 99\nexit\nroute-map A deny 5\n";
    let (text, _) = rendered(&network([("ctl", evpn_controller(65000))], []), &facts(local));
    assert!(text.contains(
        "exit\nroute-map A deny 1\nroute-map MAP_VTEP_IN deny 2\n set y\nroute-map MAP_VTEP_IN \
         permit 3\nexit\n!\nroute-map pve_x permit 1\n match x\nexit\n!\n!\nroute-map MAP_VTEP_IN \
         permit 1\n"
    ));
}

#[test]
fn bgp_with_a_loopback_gives_routes_its_address() {
    let controllers =
        [("b1", bgp_controller(65001, Some("dummy1"))), ("ctl", evpn_controller(65000))];
    let mut facts = facts("");
    let address = "10.255.0.1".parse().unwrap();
    let interface = "dummy1".parse().unwrap();
    facts.addresses.push(crate::facts::InterfaceAddress { interface, address });
    let (text, notes) = rendered(&network(controllers, []), &facts);
    assert!(text.contains(" set src 10.255.0.1\n") && text.contains("  network 10.255.0.1/32\n"));
    assert!(
        text.contains(" neighbor VTEP ebgp-multihop 10\n neighbor VTEP update-source dummy1\n")
    );
    // Its own address among the peers is not the loopback's, so it stays.
    assert!(text.contains(" neighbor 10.0.0.1 peer-group VTEP\n"));
    assert_eq!(notes, ["controller ctl: the peers do not name this node's address 10.255.0.1"]);
}

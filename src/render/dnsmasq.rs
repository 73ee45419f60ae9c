//! The files of dnsmasq: one instance for each zone with `dhcp` (`pve-rendering.md` §3).
//!
//! Simple zones are as the reference has them, also on nodes that a zone is not on. That others
//! can have DHCP is weft's own: of an EVPN zone the gateway is there on every node, and so is
//! dnsmasq; in VLAN, QinQ and VXLAN zones, whose router is outside, the nodes of `dhcp-servers`
//! have an address on the vnet and answer by it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::Utf8PathBuf;
use ipnet::IpNet;

use super::{Managed, Note, Subject};
use crate::network::{Guest, Network, Nic, Subnet, Vnet, Zone, ZoneKind};
use crate::value::{Cidr, DhcpValue, GuestName, Mtu, NodeName, VnetId, ZoneId};

/// The tag of requests that come in where a pool is. dnsmasq tags requests with the name of
/// the interface too, and no vnet has this name.
const POOL: &str = "has-a-pool";
/// For how long an address of a pool is given out.
const POOL_TIME: &str = "1h";

/// The one option that both families have.
const DOMAIN_SEARCH: &str = "domain-search";

/// The MTU that guests are told where a zone says nothing.
const PLAIN_MTU: u32 = 1500;
const TUNNEL_MTU: u32 = 1450;

/// What dnsmasq should have on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dnsmasq {
    /// The texts of its files.
    pub files: BTreeMap<Managed, String>,
    /// What a person should know, in the order of zones and vnets.
    pub notes: Vec<Note>,
}

/// Where the dnsmasq of a zone reads which hardware address has which address. It changes
/// with leases, so it is no part of a rendering.
pub fn hosts_file(zone: &ZoneId) -> Utf8PathBuf {
    format!("/etc/dnsmasq.d/{zone}/ethers").into()
}

/// Where the dnsmasq of a zone keeps what it has given out.
pub fn leases_file(zone: &ZoneId) -> Utf8PathBuf {
    format!("/var/lib/misc/dnsmasq.{zone}.leases").into()
}

/// What dnsmasq should have on a node.
pub(super) fn render(network: &Network, node: &NodeName) -> Dnsmasq {
    let mut dnsmasq = Dnsmasq::default();
    for (id, zone) in network.zones.iter().filter(|(_, zone)| zone.dhcp.is_some()) {
        let is_here = zone.nodes.contains(node);
        // Where the router is outside, only nodes that have an address there can answer.
        let is_server = |vnet: &Vnet| vnet.dhcp_servers_on(node).next().is_some();
        let serves = is_here && zone.vnets.values().any(is_server);
        let default_mtu = match zone.kind {
            ZoneKind::Simple => PLAIN_MTU,
            ZoneKind::Evpn(_) if is_here => TUNNEL_MTU,
            ZoneKind::Vlan(_) | ZoneKind::Qinq(_) if serves => PLAIN_MTU,
            ZoneKind::Vxlan(_) if serves => TUNNEL_MTU,
            _ => continue,
        };
        if !is_here {
            let message = "the zone is not on this node, and its dnsmasq is, as with Proxmox VE";
            dnsmasq.notes.push(Note::new(Subject::Zone(id.clone()), message));
        }
        let mtu = zone.mtu.map_or(default_mtu, Mtu::get);
        dnsmasq.zone((id, zone), &network.guests, node, mtu);
    }
    dnsmasq
}

impl Dnsmasq {
    fn zone(
        &mut self,
        (id, zone): (&ZoneId, &Zone),
        guests: &BTreeMap<GuestName, Guest>,
        node: &NodeName,
        mtu: u32,
    ) {
        self.files.insert(Managed::DnsmasqBus(id.clone()), bus(id));
        self.files.insert(Managed::DnsmasqOptions(id.clone()), options(id));
        let has_pool =
            |vnet: &Vnet| vnet.subnets().any(|(_, subnet)| !subnet.dhcp_pools.is_empty());
        let pools = zone.vnets.values().any(has_pool);
        let outside = zone.kind.is_routed_outside();
        let mut defaults = defaults(id, mtu, pools);
        if outside {
            // Its answers to questions for names would take the node's routes, not the vnet.
            defaults.insert_str(0, "port=0\n");
        }
        self.files.insert(Managed::DnsmasqZone(id.clone()), defaults);
        let has_bridge = |vnet: &Vnet| vnet.tag.is_some() || is_untagged(&zone.kind);
        let answers = |subnet: &Subnet| !outside || subnet.dhcp_servers.contains_key(node);
        for (vnet, of) in zone.vnets.iter().filter(|(_, vnet)| has_bridge(vnet)) {
            let mut text = String::new();
            for (prefix, subnet) in of.subnets().filter(|(_, subnet)| answers(subnet)) {
                let message = if outside {
                    serve_outside(id, prefix, subnet, &mut text)
                } else {
                    serve(id, prefix, subnet, &mut text)
                };
                let subject = || Subject::Vnet(vnet.clone());
                self.notes.extend(message.map(|message| Note::new(subject(), message)));
            }
            if !text.is_empty() {
                of_guests(vnet, of, guests, outside, &mut text);
                if has_pool(of) {
                    push(&mut text, format_args!("tag-if=set:{POOL},tag:{vnet}"));
                }
                push(&mut text, format_args!("interface={vnet}"));
                self.files.insert(Managed::DnsmasqVnet(id.clone(), vnet.clone()), text);
            }
        }
    }
}

/// Whether a vnet without a tag has a bridge.
fn is_untagged(kind: &ZoneKind) -> bool {
    matches!(kind, ZoneKind::Simple | ZoneKind::Qinq(_))
}

/// The lines of one subnet, and what is wrong with them. Addresses of known guests come from
/// reservations, so that there are ranges or not changes nothing.
fn serve(zone: &ZoneId, prefix: &Cidr, subnet: &Subnet, text: &mut String) -> Option<String> {
    let tag = format!("{zone}-{}", prefix.id());
    let address = prefix.as_str().split_once('/').map_or(prefix.as_str(), |(address, _)| address);
    let mask = match prefix.net() {
        IpNet::V4(net) => net.netmask().to_string(),
        IpNet::V6(_) if subnet.gateway.is_none() => {
            return Some(format!("subnet {prefix}: no DHCP, because it has no gateway"));
        }
        IpNet::V6(net) => net.prefix_len().to_string(),
    };
    push(text, format_args!("dhcp-range=set:{tag},{address},static,{mask},infinite"));
    for pool in &subnet.dhcp_pools {
        let (start, end) = (pool.start(), pool.end());
        push(text, format_args!("dhcp-range=set:{tag},{start},{end},{mask},{POOL_TIME}"));
    }
    let option = match (prefix.net(), subnet.gateway) {
        (IpNet::V6(_), _) => "option6",
        (IpNet::V4(_), Some(gateway)) => {
            push(text, format_args!("dhcp-option=tag:{tag},option:router,{gateway}"));
            "option"
        }
        // The reference leaves the word out as well.
        (IpNet::V4(_), None) => "",
    };
    if let Some(server) = subnet.dhcp_dns_server {
        push(text, format_args!("dhcp-option=tag:{tag},{option}:dns-server,{server}"));
    }
    more_options(&tag, prefix, subnet, text);
    match (option, subnet.dhcp_dns_server) {
        ("", None) => Some(format!("subnet {prefix}: guests get no router, for it has no gateway")),
        ("", Some(_)) => Some(format!(
            "subnet {prefix}: dnsmasq does not start, because it does not know the line that \
             `dhcp-dns-server` makes where there is no gateway"
        )),
        _ => None,
    }
}

/// The lines of one subnet of IPv4 whose router is not the node. Where dnsmasq is told no router
/// and no DNS server it names itself, and the node is neither: these two lines forbid it.
fn serve_outside(
    zone: &ZoneId,
    prefix: &Cidr,
    subnet: &Subnet,
    text: &mut String,
) -> Option<String> {
    let IpNet::V4(net) = prefix.net() else { return None };
    let tag = format!("{zone}-{}", prefix.id());
    let (start, mask) = (net.network(), net.netmask());
    push(text, format_args!("dhcp-range=set:{tag},{start},static,{mask},infinite"));
    for (option, address) in [("router", subnet.gateway), ("dns-server", subnet.dhcp_dns_server)] {
        let address = address.map(|address| format!(",{address}")).unwrap_or_default();
        push(text, format_args!("dhcp-option=tag:{tag},option:{option}{address}"));
    }
    more_options(&tag, prefix, subnet, text);
    let message = || format!("subnet {prefix}: guests get no router, for it has no gateway");
    subnet.gateway.is_none().then(message)
}

/// What interfaces are told whose guests have options of their own. dnsmasq tags a request by
/// its hardware address and by the interface it came in at, and what these two tags have counts
/// more than what a subnet's tag has.
fn of_guests(
    id: &VnetId,
    vnet: &Vnet,
    guests: &BTreeMap<GuestName, Guest>,
    outside: bool,
    text: &mut String,
) {
    let has_v6 = !outside
        && vnet.subnets().any(|(net, of)| net.net().addr().is_ipv6() && of.gateway.is_some());
    let nics = guests.values().flat_map(|guest| &guest.nics);
    let mut nics: Vec<&Nic> =
        nics.filter(|nic| nic.vnet == *id && !nic.dhcp_options.is_empty()).collect();
    nics.sort_by_key(|nic| &nic.mac);
    for Nic { mac, dhcp_options, .. } in nics {
        let tag = format!("nic-{}", mac.to_string().replace(':', "").to_ascii_lowercase());
        push(text, format_args!("dhcp-mac=set:{tag},{mac}"));
        for (name, values) in dhcp_options {
            let values: Vec<&str> = values.iter().map(DhcpValue::as_str).collect();
            let values = values.join(",");
            push(text, format_args!("dhcp-option=tag:{tag},tag:{id},option:{name},{values}"));
            if has_v6 && *name == DOMAIN_SEARCH {
                push(text, format_args!("dhcp-option=tag:{tag},tag:{id},option6:{name},{values}"));
            }
        }
    }
}

/// What guests of a subnet are told beside their address.
fn more_options(tag: &str, prefix: &Cidr, subnet: &Subnet, text: &mut String) {
    let family = if prefix.net().addr().is_ipv6() { "option6" } else { "option" };
    for (name, values) in &subnet.dhcp_options {
        let values: Vec<&str> = values.iter().map(DhcpValue::as_str).collect();
        let values = values.join(",");
        push(text, format_args!("dhcp-option=tag:{tag},{family}:{name},{values}"));
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}

/// Only root and dnsmasq itself speak to the instance.
fn bus(zone: &ZoneId) -> String {
    let name = format!("uk.org.thekelleys.dnsmasq.{zone}");
    let policy = |who: &str, verb: &str| {
        format!(
            "        <policy {who}>\n                <{verb} own=\"{name}\"/>\n                \
             <{verb} send_destination=\"{name}\"/>\n        </policy>\n"
        )
    };
    [
        "<!DOCTYPE busconfig PUBLIC\n \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\"\n \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig>\n",
        &policy("user=\"root\"", "allow"),
        &policy("user=\"dnsmasq\"", "allow"),
        &policy("context=\"default\"", "deny"),
        "</busconfig>\n",
    ]
    .concat()
}

fn options(zone: &ZoneId) -> String {
    format!(
        "CONFIG_DIR='/etc/dnsmasq.d/{zone},*.conf'\nDNSMASQ_OPTS=\"--conf-file=/dev/null \
         --enable-dbus=uk.org.thekelleys.dnsmasq.{zone}\"\n"
    )
}

fn defaults(zone: &ZoneId, mtu: u32, pools: bool) -> String {
    // All tags of a line must be there: who is unknown is ignored where there is no pool.
    let pool = if pools { format!(",tag:!{POOL}") } else { String::new() };
    let (leases, hosts) = (leases_file(zone), hosts_file(zone));
    format!(
        "except-interface=lo\n\
         enable-ra\n\
         quiet-ra\n\
         bind-dynamic\n\
         no-hosts\n\
         dhcp-leasefile={leases}\n\
         dhcp-hostsfile={hosts}\n\
         dhcp-ignore=tag:!known{pool}\n\
         \n\
         dhcp-option=26,{mtu}\n\
         ra-param=*,mtu:{mtu},0\n\
         \n\
         # Send an empty WPAD option. This may be REQUIRED to get windows 7 to behave.\n\
         dhcp-option=252,\"\\n\"\n\
         \n\
         # Send microsoft-specific option to tell windows to release the DHCP lease\n\
         # when it shuts down. Note the \"i\" flag, to tell dnsmasq to send the\n\
         # value as a four-byte integer - that's what microsoft wants.\n\
         dhcp-option=vendor:MSFT,2,1i\n\
         \n\
         # If a DHCP client claims that its name is \"wpad\", ignore that.\n\
         # This fixes a security hole. see CERT Vulnerability VU#598349\n\
         dhcp-name-match=set:wpad-ignore,wpad\n\
         dhcp-ignore-names=tag:wpad-ignore\n"
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::network::{
        DhcpServer, EvpnZone, Naming, Nodes, Peers, QinqZone, Traffic, VlanZone, VxlanZone,
    };
    use crate::value::{Number as _, ServiceTag, Tag};

    fn zone(kind: ZoneKind, nodes: Nodes, subnets: &[(&str, Option<&str>)]) -> Zone {
        let subnets = subnets.iter().map(|(prefix, gateway)| {
            let gateway = gateway.map(|gateway| gateway.parse().unwrap());
            let dhcp_dns_server = Some("9.9.9.9".parse().unwrap());
            (prefix.parse().unwrap(), Subnet { gateway, dhcp_dns_server, ..Subnet::default() })
        });
        let tag = Some(Tag::checked(5).unwrap());
        let tagged = Vnet { tag, traffic: Traffic::Untagged(subnets.collect()), ..Vnet::default() };
        let bare = Vnet { tag: None, ..tagged.clone() };
        Zone {
            nodes,
            mtu: None,
            ipam: None,
            naming: Naming::default(),
            dhcp: Some(DhcpServer::Dnsmasq),
            bridge_disable_mac_learning: false,
            kind,
            vnets: [("va".parse().unwrap(), tagged), ("vb".parse().unwrap(), bare)].into(),
        }
    }

    fn evpn() -> ZoneKind {
        ZoneKind::Evpn(EvpnZone {
            controller: "ctl".parse().unwrap(),
            vrf_vxlan: Tag::checked(1).unwrap(),
            mac: None,
            exit_nodes: std::collections::BTreeSet::new(),
            exit_nodes_primary: None,
            exit_nodes_local_routing: false,
            advertise_subnets: false,
            disable_arp_nd_suppression: false,
            rt_import: Vec::new(),
            port: None,
        })
    }

    fn rendered(zone: Zone) -> (BTreeMap<String, String>, Vec<String>) {
        rendered_with(zone, &[])
    }

    fn rendered_with(zone: Zone, nics: &[Nic]) -> (BTreeMap<String, String>, Vec<String>) {
        let mut network = Network::default();
        let guest = Guest { nics: nics.to_vec(), hostname: None };
        network.guests.insert("box".parse().unwrap(), guest);
        network.zones.insert("za".parse().unwrap(), zone);
        let dnsmasq = render(&network, &"n1".parse().unwrap());
        let notes = dnsmasq.notes.iter().map(ToString::to_string).collect();
        let files = dnsmasq.files.into_iter();
        (files.map(|(file, text)| (file.path().to_string(), text)).collect(), notes)
    }

    #[test]
    fn an_evpn_zone_has_dhcp_on_its_nodes_alone() {
        let subnets = [("10.0.0.5/24", Some("10.0.0.1"))];
        let (files, notes) = rendered(zone(evpn(), Nodes::All, &subnets));
        let paths: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "/etc/dbus-1/system.d/dnsmasq.za.conf",
                "/etc/default/dnsmasq.za",
                "/etc/dnsmasq.d/za/00-default.conf",
                "/etc/dnsmasq.d/za/10-va.conf",
            ]
        );
        assert_eq!(
            files["/etc/dnsmasq.d/za/10-va.conf"],
            "dhcp-range=set:za-10.0.0.5-24,10.0.0.5,static,255.255.255.0,infinite\n\
             dhcp-option=tag:za-10.0.0.5-24,option:router,10.0.0.1\n\
             dhcp-option=tag:za-10.0.0.5-24,option:dns-server,9.9.9.9\n\
             interface=va\n"
        );
        assert!(files["/etc/dnsmasq.d/za/00-default.conf"].contains("\ndhcp-option=26,1450\n"));
        assert_eq!(notes, Vec::<String>::new());
        let elsewhere = || Nodes::Some(["n2".parse().unwrap()].into());
        assert_eq!(rendered(zone(evpn(), elsewhere(), &subnets)), Default::default());
    }

    #[test]
    fn where_the_router_is_outside_named_nodes_alone_answer() {
        let tagged = || ZoneKind::Vlan(VlanZone { bridge: "vmbr0".parse().unwrap() });
        let doubly = || {
            let (bridge, tag) = ("vmbr0".parse().unwrap(), ServiceTag::checked(9).unwrap());
            ZoneKind::Qinq(QinqZone { bridge, tag, protocol: None })
        };
        let tunnel =
            || ZoneKind::Vxlan(VxlanZone { peers: Peers::Addresses(Vec::new()), port: None });
        let served = |kind, nodes, server: &str| {
            let subnets = [("10.0.0.5/24", Some("10.0.0.1")), ("10.1.0.0/24", None)];
            let mut zone = zone(kind, nodes, &subnets);
            for vnet in zone.vnets.values_mut() {
                let Traffic::Untagged(subnets) = &mut vnet.traffic else { continue };
                let subnet = subnets.values_mut().next().unwrap();
                let address = Ipv4Addr::new(10, 0, 0, 2);
                subnet.dhcp_servers = [(server.parse().unwrap(), address)].into();
            }
            zone
        };
        for (kind, mtu, bare) in
            [(tagged(), 1500, false), (doubly(), 1500, true), (tunnel(), 1450, false)]
        {
            let (files, notes) = rendered(served(kind.clone(), Nodes::All, "n1"));
            let defaults = &files["/etc/dnsmasq.d/za/00-default.conf"];
            assert!(defaults.starts_with("port=0\nexcept-interface=lo\n"), "{defaults}");
            assert!(defaults.contains(&format!("\ndhcp-option=26,{mtu}\n")), "{defaults}");
            assert_eq!(
                files["/etc/dnsmasq.d/za/10-va.conf"],
                "dhcp-range=set:za-10.0.0.5-24,10.0.0.0,static,255.255.255.0,infinite\n\
                 dhcp-option=tag:za-10.0.0.5-24,option:router,10.0.0.1\n\
                 dhcp-option=tag:za-10.0.0.5-24,option:dns-server,9.9.9.9\n\
                 interface=va\n"
            );
            // A vnet without a tag has a bridge within a service VLAN alone.
            assert_eq!(files.contains_key("/etc/dnsmasq.d/za/10-vb.conf"), bare);
            assert_eq!(notes, Vec::<String>::new());
            // Another node has nothing, nor has one that the zone is not on.
            let nothing = Default::default();
            assert_eq!(rendered(served(kind.clone(), Nodes::All, "n2")), nothing);
            let elsewhere = Nodes::Some(["n2".parse().unwrap()].into());
            assert_eq!(rendered(served(kind, elsewhere, "n1")), nothing);
        }
    }

    #[test]
    fn a_node_never_says_that_it_is_the_router() {
        let mut zone = zone(
            ZoneKind::Vlan(VlanZone { bridge: "vmbr0".parse().unwrap() }),
            Nodes::All,
            &[("10.0.0.0/24", None)],
        );
        for vnet in zone.vnets.values_mut() {
            let Traffic::Untagged(subnets) = &mut vnet.traffic else { continue };
            for subnet in subnets.values_mut() {
                subnet.dhcp_dns_server = None;
                subnet.dhcp_servers = [("n1".parse().unwrap(), Ipv4Addr::new(10, 0, 0, 2))].into();
            }
        }
        let (files, notes) = rendered(zone);
        assert_eq!(
            files["/etc/dnsmasq.d/za/10-va.conf"],
            "dhcp-range=set:za-10.0.0.0-24,10.0.0.0,static,255.255.255.0,infinite\n\
             dhcp-option=tag:za-10.0.0.0-24,option:router\n\
             dhcp-option=tag:za-10.0.0.0-24,option:dns-server\n\
             interface=va\n"
        );
        let said = "vnet va: subnet 10.0.0.0/24: guests get no router, for it has no gateway";
        assert_eq!(notes, [said]);
    }

    #[test]
    fn an_interface_with_options_of_its_own_is_told_these() {
        let subnets = [("10.0.0.0/24", Some("10.0.0.1")), ("fd00::/64", Some("fd00::1"))];
        let nic = |vnet: &str, last: u8, name, value: &str| Nic {
            vnet: vnet.parse().unwrap(),
            mac: format!("BC:24:11:00:00:{last:02X}").parse().unwrap(),
            addresses: Vec::new(),
            dhcp_options: vec![(name, vec![value.parse().unwrap()])],
        };
        let nics = [
            nic("vb", 2, "ntp-server", "10.0.0.9"),
            nic("vb", 1, "domain-search", "example.org"),
            nic("va", 1, "tftp-server", "boot"),
        ];
        let (files, _) = rendered_with(zone(ZoneKind::Simple, Nodes::All, &subnets), &nics);
        let text = &files["/etc/dnsmasq.d/za/10-vb.conf"];
        let (_, own) = text.split_once("option6:dns-server,9.9.9.9\n").unwrap();
        assert_eq!(
            own,
            "dhcp-mac=set:nic-bc2411000001,BC:24:11:00:00:01\n\
             dhcp-option=tag:nic-bc2411000001,tag:vb,option:domain-search,example.org\n\
             dhcp-option=tag:nic-bc2411000001,tag:vb,option6:domain-search,example.org\n\
             dhcp-mac=set:nic-bc2411000002,BC:24:11:00:00:02\n\
             dhcp-option=tag:nic-bc2411000002,tag:vb,option:ntp-server,10.0.0.9\n\
             interface=vb\n"
        );
        // On another vnet the same hardware address has others.
        assert!(files["/etc/dnsmasq.d/za/10-va.conf"].contains("tag:va,option:tftp-server,boot\n"));
    }

    #[test]
    fn pools_are_for_whoever_is_unknown_where_they_are() {
        let mut simple = zone(ZoneKind::Simple, Nodes::All, &[("10.0.0.0/24", Some("10.0.0.1"))]);
        let Some(Vnet { traffic: Traffic::Untagged(subnets), .. }) = simple.vnets.get_mut("va")
        else {
            panic!("va has subnets")
        };
        for subnet in subnets.values_mut() {
            subnet.dhcp_pools = vec!["10.0.0.100-10.0.0.199".parse().unwrap()];
            let values = ["10.0.0.5", "10.0.0.6"].map(|value| value.parse().unwrap());
            subnet.dhcp_options = vec![("ntp-server", values.into())];
        }
        let (files, _) = rendered(simple);
        assert_eq!(
            files["/etc/dnsmasq.d/za/10-va.conf"],
            "dhcp-range=set:za-10.0.0.0-24,10.0.0.0,static,255.255.255.0,infinite\n\
             dhcp-range=set:za-10.0.0.0-24,10.0.0.100,10.0.0.199,255.255.255.0,1h\n\
             dhcp-option=tag:za-10.0.0.0-24,option:router,10.0.0.1\n\
             dhcp-option=tag:za-10.0.0.0-24,option:dns-server,9.9.9.9\n\
             dhcp-option=tag:za-10.0.0.0-24,option:ntp-server,10.0.0.5,10.0.0.6\n\
             tag-if=set:has-a-pool,tag:va\n\
             interface=va\n"
        );
        assert!(!files["/etc/dnsmasq.d/za/10-vb.conf"].contains("has-a-pool"));
        let defaults = &files["/etc/dnsmasq.d/za/00-default.conf"];
        assert!(defaults.contains("\ndhcp-ignore=tag:!known,tag:!has-a-pool\n"), "{defaults}");
    }

    #[test]
    fn a_simple_zone_has_it_everywhere() {
        let elsewhere = Nodes::Some(["n2".parse().unwrap()].into());
        let subnets = [("10.0.0.0/24", None), ("fd00::/64", None)];
        let (files, notes) = rendered(zone(ZoneKind::Simple, elsewhere, &subnets));
        assert_eq!(files.len(), 5);
        assert!(files["/etc/dnsmasq.d/za/00-default.conf"].contains("\nra-param=*,mtu:1500,0\n"));
        assert_eq!(
            files["/etc/dnsmasq.d/za/10-vb.conf"],
            "dhcp-range=set:za-10.0.0.0-24,10.0.0.0,static,255.255.255.0,infinite\n\
             dhcp-option=tag:za-10.0.0.0-24,:dns-server,9.9.9.9\n\
             interface=vb\n"
        );
        assert!(notes[0].starts_with("zone za: the zone is not on this node"), "{notes:?}");
        assert!(notes[1].starts_with("vnet va: subnet 10.0.0.0/24: dnsmasq does not start"));
        assert_eq!(notes[2], "vnet va: subnet fd00::/64: no DHCP, because it has no gateway");
    }
}

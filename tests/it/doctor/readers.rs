//! The readers of `weft doctor`, on what real files and programs say.

use std::collections::BTreeMap;
use std::fs;

use weft::agent::doctor::examined::{PACKAGES, Sources};
use weft::agent::doctor::filter::{Accept, Filter, of_iptables, of_nftables, of_proxmox};
use weft::agent::doctor::needs::{Needs, Opening, Service, of_files};
use weft::agent::doctor::read;

use super::place;

fn sample(name: &str) -> String {
    fs::read_to_string(place("samples").join(name)).unwrap()
}

fn opening(service: Service, port: Option<u16>) -> Opening {
    Opening { service, port, v6: false, by: "zone `z`".to_owned() }
}

#[test]
fn a_ruleset_of_nftables_is_read() {
    let filters = of_nftables(sample("nft-inet.json").as_bytes()).unwrap();
    let [filter] = filters.as_slice() else { panic!("{filters:#?}") };
    assert_eq!(
        filter.by,
        Filter::Nftables {
            family: "inet".to_owned(),
            table: "filter".to_owned(),
            chain: "input".to_owned()
        }
    );
    assert!(!filter.opaque, "{filter:#?}");
    // Neither the loopback nor what belongs to older packets opens a door.
    assert!(filter.accepts.iter().all(|accept| *accept != Accept::default()), "{filter:#?}");
    assert!(!filter.closes(&opening(Service::Vxlan, Some(4789))));
    assert!(filter.closes(&opening(Service::Vxlan, Some(4790))));
    assert!(filter.closes(&opening(Service::Bgp, Some(179))));
    // By a rule of a chain that the first one jumps to.
    assert!(!filter.closes(&opening(Service::Ospf, None)));
    // 8000-8010 is TCP's.
    assert!(filter.closes(&opening(Service::Vxlan, Some(8005))));
}

#[test]
fn what_is_not_understood_in_nftables_counts_as_open() {
    for name in ["nft-verdict-map.json", "nft-of-iptables.json"] {
        let filters = of_nftables(sample(name).as_bytes()).unwrap();
        let [filter] = filters.as_slice() else { panic!("{filters:#?}") };
        assert!(filter.opaque, "{name}: {filter:#?}");
        assert!(!filter.closes(&opening(Service::Bgp, Some(179))), "{name}");
    }
    assert!(of_nftables(b"").is_err());
    assert!(of_nftables(b"{}").is_err());
    assert_eq!(of_nftables(br#"{"nftables": []}"#), Ok(vec![]));
}

#[test]
fn rules_of_iptables_are_read() {
    let filter = of_iptables("iptables", &sample("iptables.txt")).unwrap();
    assert!(!filter.opaque, "{filter:#?}");
    assert_eq!(filter.accepts.len(), 2, "{filter:#?}");
    assert!(!filter.closes(&opening(Service::Bgp, Some(179))));
    assert!(!filter.closes(&opening(Service::Bfd, Some(3784))));
    assert!(filter.closes(&opening(Service::Vxlan, Some(4789))));
    assert!(!filter.closes(&Opening { v6: true, ..opening(Service::Vxlan, Some(4789)) }));
    assert_eq!(of_iptables("iptables", "-P INPUT ACCEPT\n-A INPUT -j DROP\n"), None);
    let negated = "-P INPUT DROP\n-A INPUT ! -s 192.0.2.0/24 -j ACCEPT\n";
    assert!(of_iptables("iptables", negated).unwrap().opaque);
}

#[test]
fn the_firewall_of_proxmox_is_read() {
    let cluster = "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[RULES]\n\nIN ACCEPT -p udp -dport 4789 -log nolog # tunnels\n|IN ACCEPT -p tcp -dport 179\nOUT ACCEPT\n";
    let filter = of_proxmox(cluster, None).unwrap();
    assert!(!filter.closes(&opening(Service::Vxlan, Some(4789))));
    assert!(filter.closes(&opening(Service::Bgp, Some(179))), "a rule that is off");
    let host = "[OPTIONS]\nnftables: 1\n\n[RULES]\nIN BGP(ACCEPT) -i vmbr0\n";
    assert!(of_proxmox(cluster, Some(host)).unwrap().opaque);
    assert_eq!(of_proxmox(cluster, Some("[OPTIONS]\nenable: 0\n")), None);
    assert_eq!(of_proxmox(&cluster.replace("enable: 1", "enable: 0"), None), None);
    assert_eq!(of_proxmox(&cluster.replace("DROP", "ACCEPT"), None), None);
}

#[test]
fn the_files_of_a_network_say_what_they_need() {
    let sdn = "auto front\niface front\n\tbridge_ports vxlan_front\n\tbridge-vlan-aware yes\n\nauto vxlan_front\niface vxlan_front\n\tvxlan-id 20001\n\tvxlan_remoteip 2001:db8::2\n\tvxlan-port 4790\n\nauto eth0.7\niface eth0.7\n\niface leaving\n\tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\nauto vrf_z\niface vrf_z\n\tvrf-table auto\n";
    let frr = "!\nrouter bgp 65000\n neighbor 192.0.2.2 bfd\n!\nrouter ospf\n!\n";
    let needs = of_files(Some(sdn), Some(frr), true).unwrap();
    let openings: Vec<(Service, Option<u16>, bool)> =
        needs.openings.iter().map(|o| (o.service, o.port, o.v6)).collect();
    assert_eq!(
        openings,
        [
            (Service::Vxlan, Some(4790), true),
            (Service::Bgp, Some(179), false),
            (Service::Bfd, Some(3784), false),
            (Service::Bfd, Some(3785), false),
            (Service::Ospf, None, false),
            (Service::Dhcp, Some(67), false),
        ]
    );
    assert!(needs.source_nat && needs.vrfs && needs.vlans && needs.routing);
    assert_eq!(needs.vlan_aware_bridges, 1);
    assert_eq!(needs.exits.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["vmbr0"]);
    assert_eq!(needs.interfaces.len(), 5, "{:?}", needs.interfaces);
    // A file without anything in it is weft's own, and needs nothing; no file is silence.
    assert_eq!(of_files(Some(""), None, false), Some(Needs::default()));
    assert_eq!(of_files(None, Some("log syslog\n"), false), None);
}

#[test]
fn files_and_programs_of_a_machine_are_read() {
    let status = "Package: frr\nStatus: install ok installed\nArchitecture: amd64\nVersion: 10.3-3+deb13u1\nDescription: routing\n Version: 1\n\nPackage: ifupdown\nStatus: deinstall ok config-files\nVersion: 0.8.44\n\nPackage: bash\nStatus: install ok installed\nVersion: 5.2\n";
    let packages = read::packages(status, PACKAGES);
    assert_eq!(packages, BTreeMap::from([("frr".to_owned(), "10.3-3+deb13u1".to_owned())]));

    for (version, major) in
        [("3.0.0-1.3", Some(3)), ("1:10.3", Some(10)), ("3", Some(3)), ("x", None)]
    {
        assert_eq!(read::major(version), major, "{version}");
    }

    let system = read::system("PRETTY_NAME=\"Debian\"\nVERSION_ID=\"13\"\nID=debian\n").unwrap();
    assert_eq!((system.id.as_str(), system.version.as_deref()), ("debian", Some("13")));
    assert!(read::system("ID=debian\n").unwrap().version.is_none());
    assert_eq!(read::system(""), None);

    let modules = read::modules(
        "kernel/net/8021q/8021q.ko\nkernel/net/netfilter/nf_tables.ko.xz: kernel/x/y-z.ko.xz\n",
    );
    assert_eq!(modules, ["8021q", "nf_tables"].map(str::to_owned).into());

    let units = read::units(
        "Id=systemd-networkd.service\nActiveState=inactive\n\nId=dnsmasq.service\nActiveState=active\n",
    );
    assert_eq!(units["dnsmasq.service"]["ActiveState"], "active");
    assert_eq!(units.len(), 2);

    let list = br#"{"Interfaces":[{"Index":1,"Name":"lo","AdministrativeState":"unmanaged"},{"Index":2,"Name":"eth0","AdministrativeState":"configured"},{"Index":3,"Name":"eth1","AdministrativeState":"configuring"}]}"#;
    assert_eq!(read::networkd(list).unwrap(), ["eth0", "eth1"].map(str::to_owned).into());
    assert!(read::networkd(b"[]").is_err());

    let devices = "eth0:connected\nvmbr0:connected (externally)\nlo:connected (externally)\ntap1:unmanaged\neth1:disconnected\na\\:b:connecting (prepare)\n";
    assert_eq!(read::network_manager(devices), ["eth0", "eth1", "a:b"].map(str::to_owned).into());

    let clock = read::clock("CanNTP=yes\nNTPSynchronized=no\n").unwrap();
    assert!(clock.has_service && !clock.synchronised);
    assert_eq!(read::clock("NTPSynchronized=no\n"), None);

    assert!(read::many_vlan_aware_bridges(
        "# multiple_vlan_aware_bridge_support=1\nmultiple_vlan_aware_bridge_support=0\nmultiple_vlan_aware_bridge_support = 1\n"
    ));
    assert!(!read::many_vlan_aware_bridges("#multiple_vlan_aware_bridge_support=1\n"));
    assert!(read::has_filter_table("nat\nfilter\n") && !read::has_filter_table("nat\n"));
}

#[test]
fn a_source_line_counts_as_ifupdown2_reads_it() {
    for (line, reads) in [
        ("source /etc/network/interfaces.d/*", true),
        ("  source\t/etc/network/interfaces.d/sdn", true),
        ("source /etc/network/interfaces.d/s?n", true),
        ("source /etc/network/interfaces.d/*.conf", false),
        ("source /etc/network/interfaces.d/sdn.d/*", false),
        ("source /etc/network/*", false),
        ("source interfaces.d/*", false),
        ("#source /etc/network/interfaces.d/*", false),
        ("source-directory /etc/network/interfaces.d", false),
    ] {
        let sources = read::sources(&format!("auto lo\niface lo inet loopback\n{line}\n"));
        assert_eq!(sources.read_own_file(), reads, "{line}: {sources:?}");
    }
    assert_eq!(read::sources("auto lo\n"), Sources::default());
}

//! Proxmox's running configuration as a repository.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use weft::declare::finding::{Code, Findings};
use weft::declare::import::{ImportError, Imported, KnownNode, MAX_BYTES, running_config};
use weft::declare::{self, Declared, Tree};
use weft::network::Network;
use weft::validate;

fn import(config: &Value) -> Imported {
    running_config(&config.to_string(), &"lab".parse().unwrap(), &BTreeMap::new()).unwrap()
}

fn tree(imported: &Imported) -> Tree {
    let files = imported.files.iter();
    Tree::new(None, files.map(|(path, text)| (path.clone(), Arc::from(text.as_str()))))
}

fn network(imported: &Imported) -> (Option<Network>, Findings) {
    validate::check(&tree(imported), Some(&"lab".parse().unwrap()), &[])
}

fn file<'a>(imported: &'a Imported, path: &str) -> &'a str {
    let path = path.parse().unwrap();
    imported.files.get(&path).map_or("", String::as_str)
}

fn remarks(imported: &Imported) -> Vec<String> {
    imported.remarks.iter().map(ToString::to_string).collect()
}

/// Every form that values are found in, of every kind of object.
#[test]
#[expect(clippy::too_many_lines, reason = "one configuration, and each file that it becomes")]
fn everything_keeps_its_names() {
    let nodes = BTreeMap::from([(
        "n9".parse().unwrap(),
        KnownNode {
            address: Some("10.0.0.9".parse().unwrap()),
            management: Some("2001:db8::9".parse().unwrap()),
        },
    )]);
    let config = json!({
        "version": "41",
        "zones": {"ids": {
            "no": {"type": "simple", "nodes": {"n2": 1, "n1": 1}, "mtu": "1400", "dhcp": "dnsmasq",
                   "ipam": "pve", "dns": ""},
            "tun": {"type": "vxlan", "peers": "10.0.0.2; 10.0.0.1\t10.0.0.3,", "vxlan-port": 4790,
                    "nodes": "n3,n1"},
            "vl": {"type": "vlan", "bridge": "vmbr0", "bridge-disable-mac-learning": 1},
            "qq": {"type": "qinq", "bridge": "vmbr0", "tag": "7", "vlan-protocol": "802.1ad"},
            "ev": {"type": "evpn", "controller": "ctl", "vrf-vxlan": 10000, "mac": "BC:24:11:00:00:01",
                   "exitnodes": {"n4": 1}, "exitnodes-primary": "n5", "exitnodes-local-routing": "1",
                   "advertise-subnets": false, "disable-arp-nd-suppression": true,
                   "rt-import": "65000:2,65000:1"},
        }},
        "vnets": {"ids": {
            "va": {"type": "vnet", "zone": "no", "alias": "1e3: (x)", "isolate-ports": "1"},
            "vb": {"type": "vnet", "zone": "tun", "tag": "16777215", "vlanaware": 0},
        }},
        "subnets": {"ids": {
            "no-10.0.0.5-24": {"type": "subnet", "vnet": "va", "gateway": "10.0.0.1", "snat": 1,
                "dhcp-range": ["start-address=10.0.0.10,end-address=10.0.0.20",
                               "end-address=10.0.0.40,start-address=10.0.0.30"],
                "dhcp-dns-server": "9.9.9.9", "dnszoneprefix": "a.b",
                "cidr": "10.0.0.5/24", "id": "no-10.0.0.5-24", "mask": "24", "network": "10.0.0.5", "zone": "no"},
            "no-2001:DB8::-64": {"type": "subnet", "vnet": "va", "gateway": "2001:db8:0::1",
                "dhcp-range": "start-address=2001:db8::10,end-address=2001:db8::20"},
        }},
        "controllers": {"ids": {
            "ctl": {"type": "evpn", "asn": "65000", "peers": "10.0.0.1,10.0.0.2"},
            "bgpn6": {"type": "bgp", "asn": 65001, "node": "n6", "peers": "10.1.0.1", "ebgp": 1,
                      "ebgp-multihop": 2, "loopback": "lo1", "bgp-multipath-as-path-relax": 0},
            "isisn6": {"type": "isis", "node": "n6", "isis-domain": "d", "isis-ifaces": "eth1,eth0",
                       "isis-net": "49.0001.1921.6800.1002.00"},
        }},
        "fabrics": {"ids": {
            "fab": {"type": "openfabric_fabric", "id": "fab", "ip_prefix": "172.20.0.0/24",
                    "ip6_prefix": "fd00::/64", "hello_interval": 3, "csnp_interval": "7"},
            "fab_n7": {"type": "openfabric_node", "id": "fab_n7", "ip": "172.20.0.7", "ip6": "fd00::7",
                       "interfaces": ["name=ens19,hello_multiplier=20", "name=ens20,ip=10.9.0.0/31,ip6=fd01::/127"]},
            "of": {"type": "ospf_fabric", "id": "of", "area": "0.0.0.0", "ip_prefix": "172.21.0.0/24"},
        }},
    });
    let imported = running_config(&config.to_string(), &"lab".parse().unwrap(), &nodes).unwrap();
    assert_eq!(imported.version, 41);
    assert_eq!(
        remarks(&imported),
        ["subnet no-2001:DB8::-64: `gateway` 2001:db8:0::1 is rendered as 2001:db8::1 from now on"]
    );
    assert_eq!(file(&imported, "weft.yaml"), "weft: 1\ncluster: lab\n");
    assert_eq!(
        file(&imported, "sdn/nodes.yaml"),
        "nodes:\n  n1: {}\n  n2: {}\n  n3: {}\n  n4: {}\n  n5: {}\n  n6: {}\n  n7: {}\n  n9:\n    \
         address: 10.0.0.9\n    management: \"2001:db8::9\"\n"
    );
    assert_eq!(
        file(&imported, "sdn/zones.yaml"),
        r#"zones:
  ev:
    type: evpn
    controller: ctl
    vrf-vxlan: 10000
    mac: "BC:24:11:00:00:01"
    exitnodes: [n4]
    exitnodes-primary: n5
    exitnodes-local-routing: true
    advertise-subnets: false
    disable-arp-nd-suppression: true
    rt-import: ["65000:2", "65000:1"]
  "no":
    type: simple
    nodes: [n1, n2]
    ipam: pve
    mtu: 1400
    dhcp: dnsmasq
  qq:
    type: qinq
    bridge: vmbr0
    tag: 7
    vlan-protocol: "802.1ad"
  tun:
    type: vxlan
    nodes: [n1, n3]
    peers: [10.0.0.2, 10.0.0.1, 10.0.0.3]
    vxlan-port: 4790
  vl:
    type: vlan
    bridge: vmbr0
    bridge-disable-mac-learning: true
"#
    );
    assert_eq!(
        file(&imported, "sdn/vnets.yaml"),
        r#"vnets:
  va:
    zone: "no"
    alias: "1e3: (x)"
    isolate-ports: true
    subnets:
      10.0.0.5/24:
        gateway: 10.0.0.1
        snat: true
        dnszoneprefix: a.b
        dhcp-range: [{start-address: 10.0.0.10, end-address: 10.0.0.20}, {end-address: 10.0.0.40, start-address: 10.0.0.30}]
        dhcp-dns-server: 9.9.9.9
      "2001:DB8::/64":
        gateway: "2001:db8:0::1"
        dhcp-range: [{start-address: "2001:db8::10", end-address: "2001:db8::20"}]
  vb:
    zone: tun
    tag: 16777215
    vlanaware: false
"#
    );
    assert_eq!(
        file(&imported, "sdn/controllers.yaml"),
        r#"controllers:
  bgpn6:
    type: bgp
    asn: 65001
    peers: [10.1.0.1]
    node: n6
    ebgp: true
    ebgp-multihop: 2
    loopback: lo1
    bgp-multipath-as-path-relax: false
  ctl:
    type: evpn
    asn: 65000
    peers: [10.0.0.1, 10.0.0.2]
  isisn6:
    type: isis
    node: n6
    isis-domain: d
    isis-ifaces: [eth1, eth0]
    isis-net: "49.0001.1921.6800.1002.00"
"#
    );
    assert_eq!(
        file(&imported, "sdn/fabrics.yaml"),
        r#"fabrics:
  fab:
    type: openfabric
    ip_prefix: 172.20.0.0/24
    ip6_prefix: "fd00::/64"
    hello_interval: 3
    csnp_interval: 7
    nodes:
      n7:
        ip: 172.20.0.7
        ip6: "fd00::7"
        interfaces: [{name: ens19, hello_multiplier: 20}, {name: ens20, ip: 10.9.0.0/31, ip6: "fd01::/127"}]
  of:
    type: ospf
    ip_prefix: 172.21.0.0/24
    area: 0.0.0.0
"#
    );
    let (_, findings) = declare::read(&tree(&imported), Some(&"lab".parse().unwrap()));
    assert!(findings.is_empty(), "{findings:#?}");
}

/// What has no place in a repository stays visible, and stops nothing.
#[test]
fn what_cannot_be_said_stays_as_a_comment() {
    let config = json!({
        "version": 1,
        "zones": {"ids": {
            "za": {"type": "simple", "mtu": -5, "bridge-mcast": "on\nzb: {type: simple}", "ipam": "box",
                   "api-token": "s3cr3t", "wg": "name=wg0,private_key=s3cr3t"},
            "zf": {"type": "faucet", "dp-id": 1},
            "much2long": {"type": "simple"},
        }},
        "vnets": {"ids": {
            "va": {"type": "vnet", "zone": "za", "alias": "tab\there", "mac": "BC:24:11:00:00:01"},
            "vz": {"type": "vnet"},
        }},
        "subnets": {"ids": {
            "za-nonsense": {"vnet": "va"},
            "za-10.0.0.0-24": {"vnet": "va", "dhcp-range": ["start-address=10.0.0.1"]},
            "zb-10.0.0.0-24": {"vnet": "va"},
            "za-10.1.0.0-24": {"vnet": "gone"},
        }},
        "fabrics": {"ids": {"wg": {"type": "wireguard_fabric", "peers": [{"private_key": "s3cr3t"}]}}},
        "prefix-lists": {"ids": {"pl": {"entries": ["permit,\u{2028}10.0.0.0/8"]}}},
    });
    let imported = import(&config);
    let all: String = imported.files.values().map(String::as_str).collect();
    assert!(!all.contains("s3cr3t"), "{all}");
    assert_eq!(
        file(&imported, "sdn/zones.yaml"),
        r#"zones:
  za:
    type: simple
    ipam: box
    # mtu: -5
    # api-token: "(left out)"
    # bridge-mcast: "on\nzb: {type: simple}"
    # wg: "(left out)"
  # zone much2long: {"type":"simple"}
  # zone zf: {"dp-id":1,"type":"faucet"}
"#
    );
    assert_eq!(
        file(&imported, "sdn/vnets.yaml"),
        r#"vnets:
  va:
    zone: za
    subnets:
      10.0.0.0/24: {}
        # dhcp-range: ["start-address=10.0.0.1"]
      # subnet za-nonsense: {"vnet":"va"}
      # subnet zb-10.0.0.0-24: {"vnet":"va"}
    # alias: "tab\there"
    # mac: "BC:24:11:00:00:01"
  # vnet vz: {"type":"vnet"}
  # subnet za-10.1.0.0-24: {"vnet":"gone"}
"#
    );
    assert_eq!(
        file(&imported, "sdn/left-out.yaml"),
        "# section prefix-lists: {\"ids\":{\"pl\":{\"entries\":[\"permit,\\u{2028}10.0.0.0/8\"]}}}\n"
    );
    assert_eq!(
        remarks(&imported),
        [
            "zone much2long: left out, because weft has no zone of this id and type; it stays as a comment",
            "zone za: declare `box` under `ipams`; the running configuration names it only",
            "zone za: weft has no such value of `mtu`; it stays as a comment",
            "zone za: weft has no option `api-token`; it stays as a comment",
            "zone za: weft has no option `bridge-mcast`; it stays as a comment",
            "zone za: weft has no option `wg`; it stays as a comment",
            "zone zf: left out, because weft has no zone of this id and type; it stays as a comment",
            "fabric wg: left out, because weft has no fabric, or node of a fabric, of this id and type; it stays as a comment",
            "vnet va: weft has no such value of `alias`; it stays as a comment",
            "vnet va: weft has no option `mac`; it stays as a comment",
            "subnet za-10.0.0.0-24: weft has no such value of `dhcp-range`; it stays as a comment",
            "subnet za-nonsense: left out, because its id holds no prefix, or one that the vnet has already; it stays as a comment",
            "subnet zb-10.0.0.0-24: left out, because its id holds no prefix, or one that the vnet has already; it stays as a comment",
            "vnet vz: left out, because weft has no vnet of this id, or the vnet has no zone; it stays as a comment",
            "subnet za-10.1.0.0-24: left out, because its vnet is not there; it stays as a comment",
            "section prefix-lists: left out, because weft does not know it; it stays as a comment",
        ]
    );
    let (network, findings) = network(&imported);
    assert_eq!(
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [Code::ServiceUnknown]
    );
    assert_eq!(network.unwrap().zones.len(), 1);
}

#[test]
fn damage_is_an_error() {
    let cluster = "lab".parse().unwrap();
    let import = |json: &str| running_config(json, &cluster, &BTreeMap::new());
    assert!(matches!(import(""), Err(ImportError::NotJson(_))));
    assert!(matches!(import("{\"zones\":"), Err(ImportError::NotJson(_))));
    assert!(matches!(import("[]"), Err(ImportError::NotAMap(_))));
    assert!(matches!(import("{\"zones\":[]}"), Err(ImportError::NotAMap(name)) if name == "zones"));
    assert!(
        matches!(import("{\"vnets\":{\"ids\":[1]}}"), Err(ImportError::NotAMap(name)) if name == "vnets")
    );
    assert!(matches!(import(&" ".repeat(MAX_BYTES + 1)), Err(ImportError::TooLarge)));
    assert_eq!(import("{}").unwrap().files.len(), 1);
    assert_eq!(import("{\"zones\":{\"ids\":{}},\"vnets\":null}").unwrap().files.len(), 1);
}

/// A configuration as large as Proxmox can hold is split into files that are read.
#[test]
fn a_large_cluster_is_split() {
    let mut vnets = serde_json::Map::new();
    let mut subnets = serde_json::Map::new();
    for number in 0..20_000 {
        let id = format!("v{number:06}");
        let alias = "x".repeat(60);
        vnets.insert(id.clone(), json!({"type": "vnet", "zone": "za", "alias": alias}));
        let (high, low) = (number / 250, number % 250);
        let subnet = json!({"type": "subnet", "vnet": id, "gateway": format!("10.{high}.{low}.1")});
        subnets.insert(format!("za-10.{high}.{low}.0-24"), subnet);
    }
    let imported = import(&json!({
        "zones": {"ids": {"za": {"type": "simple"}}},
        "vnets": {"ids": vnets},
        "subnets": {"ids": subnets},
    }));
    assert!(imported.files.len() > 5);
    for (path, text) in &imported.files {
        assert!((text.len() as u64) < declare::tree::MAX_FILE_BYTES, "{path}");
    }
    let (network, findings) = network(&imported);
    assert!(findings.is_empty());
    assert_eq!(network.unwrap().zones.values().map(|zone| zone.vnets.len()).sum::<usize>(), 20_000);
}

/// Every configuration that the reference was asked to render is taken over whole,
/// whether or not this version renders it.
#[test]
fn every_configuration_of_the_reference_is_taken_over() {
    let Some(shared) = crate::conformance::shared() else {
        eprintln!(
            "skipped: no directory `shared/conformance` beside the crate, nor in WEFT_SHARED"
        );
        return;
    };
    let mut count = 0;
    for group in ["simple", "vlan", "qinq", "vxlan", "evpn", "extra"] {
        for directory in crate::conformance::directories(&shared.join("conformance").join(group)) {
            let config = std::fs::read_to_string(directory.join("sdn/.running-config")).unwrap();
            let config: Value = serde_json::from_str(&config).unwrap();
            let imported = import(&config);
            let name = directory.display();
            eprintln!("{name}: {:?}", remarks(&imported));
            let (declared, findings) = declare::read(&tree(&imported), None);
            let nothing = [Code::NothingDeclared];
            assert!(
                findings.iter().all(|finding| nothing.contains(&finding.code)),
                "{name}: {findings:#?}"
            );
            assert_eq!(ids_of(&declared), ids_in(&config), "{name}");
            count += 1;
        }
    }
    assert!(count >= 40, "{count}");
}

fn ids_of(declared: &Declared) -> BTreeSet<String> {
    fn keys<K: ToString, T>(map: &BTreeMap<K, T>) -> Vec<String> {
        map.keys().map(ToString::to_string).collect()
    }
    let mut ids = BTreeSet::new();
    ids.extend(keys(&declared.zones));
    ids.extend(keys(&declared.controllers));
    for (id, vnet) in &declared.vnets {
        ids.insert(id.to_string());
        for subnet in vnet.value.subnets.iter().flat_map(|subnets| subnets.value.keys()) {
            ids.insert(format!("{}-{}", vnet.value.zone.value, subnet.id()));
        }
    }
    for (id, fabric) in &declared.fabrics {
        ids.insert(id.to_string());
        for node in fabric.value.nodes.iter().flat_map(|nodes| nodes.value.keys()) {
            ids.insert(format!("{id}_{node}"));
        }
    }
    ids
}

fn ids_in(config: &Value) -> BTreeSet<String> {
    ["zones", "vnets", "subnets", "controllers", "fabrics"]
        .iter()
        .filter_map(|kind| config[kind]["ids"].as_object())
        .flat_map(|ids| ids.keys().cloned())
        .collect()
}

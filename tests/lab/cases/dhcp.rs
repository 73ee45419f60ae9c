//! DHCP by what leases say: a real client is told its address and everything beside it, an
//! unknown one nothing, and whoever comes or goes disturbs nobody else.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::cases::vlan::vlan_aware;
use crate::guest::Guest;
use crate::lab::Lab;
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::{Scene, policy};

pub(super) const CASES: &[Case] = &[
    Case {
        limit: Duration::from_secs(180),
        ..Case::new("dhcp_follows_leases", &[Need::Bridge], dhcp_follows_leases)
    },
    Case {
        limit: Duration::from_secs(180),
        ..Case::new("dhcp_through_a_tunnel", &[Need::Bridge, Need::Vxlan], dhcp_through_a_tunnel)
    },
    Case {
        limit: Duration::from_secs(180),
        ..Case::new("dhcp_of_ipv6", &[Need::Bridge], dhcp_of_ipv6)
    },
    Case::in_boot("routed", "dhcp_in_a_vrf", dhcp_in_a_vrf),
    Case::in_boot("switched", "dhcp_in_vlans", dhcp_in_vlans),
];

const NETWORK: &str = "\
zones:
  outz: {type: simple, dhcp: dnsmasq, ipam: pve, mtu: 1400}
  poolz: {type: simple, dhcp: dnsmasq, ipam: pve}
vnets:
  va:
    zone: outz
    subnets:
      10.0.0.0/24:
        gateway: 10.0.0.1
        dhcp-dns-server: 10.0.0.53
        dhcp-range: [{start-address: 10.0.0.10, end-address: 10.0.0.20}]
        dhcp-options:
          - {name: ntp-server, values: [10.0.0.5, 10.0.0.6]}
  vb:
    zone: poolz
    subnets:
      10.1.0.0/24:
        gateway: 10.1.0.1
        dhcp-pool: [{start-address: 10.1.0.100, end-address: 10.1.0.110}]
guests:
  one: {nics: [{vnet: va, mac: \"BC:24:11:00:00:65\", dhcp-options: [{name: ntp-server, values: [10.0.0.7]}]}]}
  two: {nics: [{vnet: vb, mac: \"BC:24:11:00:00:66\", dhcp-options: [{name: domain-name, values: [own.example]}]}]}
";

const ROUTED: &str = "\
controllers:
  evpnctl: {type: evpn, asn: 65000}
zones:
  inner:
    type: evpn
    controller: evpnctl
    vrf-vxlan: 20000
    mac: \"32:F4:05:FE:6C:0B\"
    dhcp: dnsmasq
    ipam: git
vnets:
  va: {zone: inner, tag: 13000, subnets: {10.0.1.0/24: {gateway: 10.0.1.1}}}
  vb: {zone: inner, tag: 13001, subnets: {10.0.2.0/24: {gateway: 10.0.2.1}}}
guests:
  one: {nics: [{vnet: va, mac: \"BC:24:11:00:00:65\"}]}
  two: {nics: [{vnet: vb, mac: \"BC:24:11:00:00:66\"}]}
  three: {nics: [{vnet: va, mac: \"BC:24:11:00:00:67\"}]}
";

const TUNNEL: &str = "\
zones:
  tunz: {type: vxlan, dhcp: dnsmasq, ipam: git}
vnets:
  va:
    zone: tunz
    tag: 100
    subnets:
      10.3.0.0/24: {gateway: 10.3.0.1, dhcp-dns-server: 10.3.0.53, dhcp-servers: {node1: 10.3.0.2}}
  vb:
    zone: tunz
    tag: 101
    subnets: {10.4.0.0/24: {dhcp-servers: {node1: 10.4.0.1}}}
guests:
  one: {nics: [{vnet: va, mac: \"BC:24:11:00:00:65\"}]}
  two: {nics: [{vnet: va, mac: \"BC:24:11:00:00:66\"}]}
  four: {nics: [{vnet: vb, mac: \"BC:24:11:00:00:68\"}]}
";

const TAGGED: &str = "\
zones:
  lanz: {type: vlan, bridge: vmbr0, dhcp: dnsmasq, ipam: git}
  innz: {type: qinq, bridge: vmbr0, tag: 100, mtu: 1400, dhcp: dnsmasq, ipam: git}
vnets:
  va:
    zone: lanz
    tag: 10
    subnets: {10.0.1.0/24: {gateway: 10.0.1.1, dhcp-servers: {node1: 10.0.1.2, node2: 10.0.1.3}}}
  vb:
    zone: innz
    tag: 20
    subnets: {10.0.2.0/24: {gateway: 10.0.2.1, dhcp-servers: {node1: 10.0.2.2}}}
guests:
  one: {nics: [{vnet: va, mac: \"BC:24:11:00:00:65\"}]}
  two: {nics: [{vnet: vb, mac: \"BC:24:11:00:00:66\"}]}
";

const SIX: &str = "\
zones:
  sixz: {type: simple, dhcp: dnsmasq, ipam: git, mtu: 1400}
vnets:
  va:
    zone: sixz
    subnets:
      \"fd00:0:0:1::/64\":
        gateway: \"fd00:0:0:1::1\"
        dhcp-dns-server: \"fd00:0:0:1::53\"
        dhcp-range: [{start-address: \"fd00:0:0:1::10\", end-address: \"fd00:0:0:1::20\"}]
      10.5.0.0/24: {gateway: 10.5.0.1}
guests:
  one: {nics: [{vnet: va, mac: \"BC:24:11:00:00:65\", dhcp-options: [{name: domain-search, values: [own.example]}]}]}
";

/// Where leases are kept, on the node's own disk.
const LEASES: &str = "/srv/leases.git";
/// What a client was told is written by this.
const SCRIPT: &str = "/tmp/told";

/// Has a node keep leases.
pub(super) fn keep_leases(lab: &Lab, scene: &Scene<'_>, node: &Node) {
    let text = format!("{}allocators: [\"{}\"]\n", policy(&scene.alice), scene.alice.principal);
    scene.push_files(&[(".weft/policy.yaml", &text)]);
    node.exec(&["git", "init", "--quiet", "--bare", "-b", "leases", LEASES]).ok();
    let key = lab.outside().read("/srv/people/key_alice");
    node.put_with_mode("/etc/weft/key", key, 0o600);
    let settings = node.read("/etc/weft/agent.yaml");
    let leases = format!(
        "leases:\n  remote: {{name: leases, url: \"file://{LEASES}\"}}\n  key: /etc/weft/key\n"
    );
    node.put("/etc/weft/agent.yaml", settings + &leases);
}

/// What a client on a guest is told; nothing when nobody answers.
pub(super) fn ask(guest: &Guest, tries: u8) -> Option<BTreeMap<String, String>> {
    ask_by(guest, &["udhcpc", "-O", "mtu", "-O", "ntpsrv", "-O", "domain"], tries)
}

fn ask_by(guest: &Guest, client: &[&str], tries: u8) -> Option<BTreeMap<String, String>> {
    guest.put_with_mode(SCRIPT, "#!/bin/sh\n[ \"$1\" != bound ] || env >\"$TOLD\"\n", 0o755);
    let told = format!("/tmp/told-{}", guest.name());
    guest.remove(&told);
    let tries = tries.to_string();
    let words = ["-i", "eth0", "-f", "-n", "-q", "-t", &tries, "-T", "1", "-s", SCRIPT];
    let words = [client, &words[..]].concat();
    guest.command(&words).env("TOLD", &told).within(Duration::from_secs(40)).run();
    let lines = guest.exists(&told).then(|| guest.read(&told))?;
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    Some(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

#[track_caller]
fn is_told(guest: &Guest, wanted: &[(&str, &str)]) -> BTreeMap<String, String> {
    let told = ask(guest, 20).unwrap_or_else(|| panic!("{} is told nothing", guest.name()));
    for (key, value) in wanted {
        assert_eq!(told.get(*key).map(String::as_str), Some(*value), "{key}: {told:?}");
    }
    told
}

fn dhcp_follows_leases(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    // The bus by which dnsmasq is told to forget.
    node.exec(&["mkdir", "-p", "/run/dbus"]).ok();
    node.exec(&["dbus-daemon", "--system", "--fork", "--nopidfile"]).ok();
    keep_leases(lab, &scene, &node);
    scene.apply(&node, NETWORK);
    let weft = |words: &[&str]| node.exec(&[&["weft", "ipam"], words].concat()).ok();
    weft(&["allocate"]);
    let hosts = || node.read("/etc/dnsmasq.d/outz/ethers");
    assert_eq!(hosts(), "BC:24:11:00:00:65,10.0.0.10\n");
    let pids = || ["outz", "poolz"].map(|z| node.read(&format!("/run/dnsmasq/dnsmasq.{z}.pid")));
    let before = pids();

    // What is declared and what is held.
    let guest = |number, vnet| Guest::plan(number).start(lab, &node, vnet);
    let (one, two) = (guest(101, "va"), guest(102, "vb"));
    let all = [
        ("ip", "10.0.0.10"),
        ("subnet", "255.255.255.0"),
        ("router", "10.0.0.1"),
        ("dns", "10.0.0.53"),
        ("mtu", "1400"),
        // Its own, instead of its subnet's.
        ("ntpsrv", "10.0.0.7"),
    ];
    is_told(&one, &all);
    let of_two =
        [("ip", "10.1.0.2"), ("router", "10.1.0.1"), ("mtu", "1500"), ("domain", "own.example")];
    is_told(&two, &of_two);
    // Who is unknown gets an address of a pool, where there is one.
    let (three, four) = (guest(103, "va"), guest(104, "vb"));
    assert_eq!(ask(&three, 3), None, "a client that nobody knows has an address");
    let told = is_told(&four, &[("router", "10.1.0.1"), ("lease", "3600")]);
    let last: u8 = told["ip"].strip_prefix("10.1.0.").expect("of the pool").parse().expect("u8");
    assert!((100..=110).contains(&last), "{told:?}");

    // Somebody comes: nobody else is disturbed.
    let given = |zone: &str| node.read(&format!("/var/lib/misc/dnsmasq.{zone}.leases"));
    let (first, other) = (given("outz"), given("poolz"));
    let third = ["--vnet", "va", "--mac", "BC:24:11:00:00:67"];
    weft(&[&["allocate", "three"][..], &third].concat());
    is_told(&three, &[("ip", "10.0.0.11"), ("ntpsrv", "10.0.0.5 10.0.0.6")]);
    let now = given("outz");
    assert!(first.lines().all(|line| now.lines().any(|now| now == line)), "{first}{now}");
    // Somebody goes, and the address is another one's the next moment.
    weft(&["release", "10.0.0.11", "--now"]);
    let fifth = ["--vnet", "va", "--mac", "BC:24:11:00:00:69"];
    weft(&[&["set", "10.0.0.11", "five"][..], &fifth].concat());
    assert_eq!(ask(&three, 3), None, "an address that was taken away is given out");
    let five = guest(105, "va");
    is_told(&five, &[("ip", "10.0.0.11")]);
    is_told(&one, &all);
    assert_eq!((pids(), given("poolz")), (before, other));
    assert_eq!(hosts(), "BC:24:11:00:00:65,10.0.0.10\nBC:24:11:00:00:69,10.0.0.11\n");
    let plan = node.exec(&["weft", "plan"]);
    assert_eq!(plan.code(), 0, "{}{}", plan.stdout, plan.stderr);

    // All that is needed is on the disk: the server of leases is away when dnsmasq starts.
    node.exec(&["mv", LEASES, "/srv/away.git"]).ok();
    node.exec(&["pkill", "-x", "dnsmasq"]).ok();
    node.exec(&["weft", "apply", "--refresh"]).ok();
    is_told(&five, &[("ip", "10.0.0.11")]);
}

/// The anycast gateway of an EVPN zone is on every node, in a VRF, and so is DHCP: whichever
/// node answers says the same.
fn dhcp_in_a_vrf(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [1, 2].map(|number| scene.node(number));
    for node in &nodes {
        keep_leases(lab, &scene, node);
    }
    scene.push(ROUTED);
    for node in &nodes {
        scene.sync(node);
        node.exec(&["weft", "ipam", "allocate"]).ok();
    }
    let guest = |number, node: &Node, vnet| Guest::plan(number).mtu(1450).start(lab, node, vnet);
    let (one, two) = (guest(101, &nodes[0], "va"), guest(102, &nodes[0], "vb"));
    let of_one = [("ip", "10.0.1.2"), ("router", "10.0.1.1"), ("mtu", "1450")];
    is_told(&one, &of_one);
    is_told(&two, &[("ip", "10.0.2.2"), ("router", "10.0.2.1")]);
    is_told(&guest(103, &nodes[1], "va"), &[("ip", "10.0.1.3")]);
    assert_eq!(ask(&guest(104, &nodes[1], "vb"), 3), None, "an unknown client has an address");
    // A guest that moves to the other node asks there.
    drop(one);
    is_told(&guest(101, &nodes[1], "va"), &of_one);
}

/// One node answers the guests of all: those of another one by way of the tunnel.
fn dhcp_through_a_tunnel(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [1, 2].map(|number| scene.node(number));
    keep_leases(lab, &scene, &nodes[0]);
    scene.push(TUNNEL);
    for node in &nodes {
        scene.sync(node);
    }
    nodes[0].exec(&["weft", "ipam", "allocate"]).ok();
    assert!(!nodes[1].exists("/etc/dnsmasq.d/tunz"), "a node that is not named has a dnsmasq");

    let guest = |number, node: &Node, vnet| Guest::plan(number).mtu(1450).start(lab, node, vnet);
    let common = [("subnet", "255.255.255.0"), ("router", "10.3.0.1"), ("dns", "10.3.0.53")];
    let of = |address| [&[("ip", address), ("mtu", "1450")][..], &common].concat();
    is_told(&guest(101, &nodes[0], "va"), &of("10.3.0.3"));
    is_told(&guest(102, &nodes[1], "va"), &of("10.3.0.4"));
    for node in &nodes {
        let stranger = guest(103, node, "va");
        assert_eq!(ask(&stranger, 3), None, "an unknown client has an address");
    }
    // Nothing is said of what is not declared: the node is neither a router nor asks for names.
    let told = is_told(&guest(104, &nodes[1], "vb"), &[("ip", "10.4.0.2")]);
    assert!(!told.contains_key("router") && !told.contains_key("dns"), "{told:?}");

    let addresses = |node: &Node| node.exec(&["ip", "-4", "addr", "show", "dev", "va"]).ok();
    assert!(addresses(&nodes[0]).contains("inet 10.3.0.2/32"), "{}", addresses(&nodes[0]));
    assert!(!addresses(&nodes[1]).contains("inet "), "{}", addresses(&nodes[1]));
    for node in &nodes {
        let routes = node.exec(&["ip", "-4", "route", "show"]).ok();
        assert!(!routes.contains("10.3.0.") && !routes.contains("10.4.0."), "{routes}");
    }
    let plan = nodes[0].exec(&["weft", "plan"]);
    assert_eq!(plan.code(), 0, "{}{}", plan.stdout, plan.stderr);

    // Without the option the address and its dnsmasq are gone.
    let mut without = TUNNEL.replace("dhcp: dnsmasq, ", "");
    for option in [", dhcp-servers: {node1: 10.3.0.2}", "dhcp-servers: {node1: 10.4.0.1}"] {
        without = without.replace(option, "");
    }
    scene.apply(&nodes[0], &without);
    assert!(!addresses(&nodes[0]).contains("inet "), "{}", addresses(&nodes[0]));
    assert!(!nodes[0].exists("/etc/dnsmasq.d/tunz/00-default.conf"));
}

/// Two nodes answer in a VLAN and say the same; in a service VLAN one answers for both.
fn dhcp_in_vlans(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [1, 2].map(|number| scene.node_with(number, vlan_aware));
    for node in &nodes {
        keep_leases(lab, &scene, node);
    }
    scene.push(TAGGED);
    for node in &nodes {
        scene.sync(node);
        node.exec(&["weft", "ipam", "allocate"]).ok();
    }
    let of_one = [("ip", "10.0.1.4"), ("router", "10.0.1.1"), ("mtu", "1500")];
    let one = Guest::plan(101).start(lab, &nodes[0], "va");
    is_told(&one, &of_one);
    let plan = Guest::plan(102).mtu(1400);
    is_told(&plan.start(lab, &nodes[1], "vb"), &[("ip", "10.0.2.3"), ("mtu", "1400")]);
    let stranger = Guest::plan(103).start(lab, &nodes[1], "va");
    assert_eq!(ask(&stranger, 3), None, "an unknown client has an address");
    // With one of them off the other one answers.
    nodes[0].exec(&["pkill", "-x", "dnsmasq"]).ok();
    is_told(&one, &of_one);
}

/// A client of IPv6 is known by its hardware address, and a router tells it to ask.
fn dhcp_of_ipv6(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    keep_leases(lab, &scene, &node);
    scene.apply(&node, SIX);
    node.exec(&["weft", "ipam", "allocate"]).ok();
    let hosts = node.read("/etc/dnsmasq.d/sixz/ethers");
    assert_eq!(hosts, "BC:24:11:00:00:65,10.5.0.2,[fd00:0:0:1::10]\n");

    let words = ["tcpdump", "-n", "-vv", "-c", "1", "-i", "va", "icmp6 and ip6[40] == 134"];
    let heard = node.command(&words).spawn();
    let guest = |number| Guest::plan(number).mtu(1400).start(lab, &node, "va");
    let (one, two) = (guest(101), guest(102));
    let client = ["busybox", "udhcpc6", "-O", "dns", "-O", "search"];
    let told = ask_by(&one, &client, 20).expect("a known client is told something");
    // It writes addresses in full.
    let address = |key: &str| told.get(key)?.parse::<Ipv6Addr>().ok();
    let of_one = |last| Some(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, last));
    assert_eq!((address("ipv6"), address("dns")), (of_one(0x10), of_one(0x53)), "{told:?}");
    assert_eq!(told.get("search").map(String::as_str), Some("own.example"), "{told:?}");
    is_told(&one, &[("ip", "10.5.0.2"), ("mtu", "1400")]);
    assert_eq!(ask_by(&two, &client, 3), None, "a client that nobody knows has an address");

    let heard = heard.output_within(Duration::from_secs(60)).stdout;
    assert!(heard.contains("Flags [managed, other stateful]"), "{heard}");
    assert!(heard.contains("mtu option (5), length 8 (1):  1400"), "{heard}");
}

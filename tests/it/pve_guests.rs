//! Guests of Proxmox VE through the program, on dry nodes with the cluster's files as
//! Proxmox writes them.

use std::fs;

use super::ipam::{declare, is, node_with, repository};
use super::node::Node;
use super::trust::repository::Repository;

const NETWORK: &str = "\
nodes: {n1: {}, n2: {}}
zones: {za: {type: simple, dhcp: dnsmasq, ipam: pve}, zb: {type: simple}}
vnets:
  va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}
  vb: {zone: zb, subnets: {10.1.0.0/24: {gateway: 10.1.0.1}}}
guests:
  fixed: {nics: [{vnet: va, mac: \"BC:24:11:00:00:50\", addresses: [10.0.0.50]}]}
";

const WEB: &str = "\
#Runs the shop
boot: order=scsi0;ide2;net0
cores: 2
memory: 2048
meta: creation-qemu=9.0.2,ctime=1718000000
name: web.shop
net0: virtio=BC:24:11:00:00:01,bridge=va,firewall=1
net1: virtio=BC:24:11:00:00:02,bridge=vmbr0
net2: virtio=BC:24:11:00:00:03,bridge=vb
ostype: l26
scsi0: local-lvm:vm-100-disk-0,iothread=1,size=32G
smbios1: uuid=4c3e4f0a-90a5-4a0d-9a5a-2a4e7f1a2b3c
vmgenid: 0e0f9c0a-4f52-4f3e-8a0d-5f1a2b3c4d5e

[before-update]
name: old
net0: virtio=BC:24:11:00:00:77,bridge=va
snaptime: 1718000001
";
const DB: &str = "\
arch: amd64
cores: 1
features: nesting=1
hostname: db
memory: 512
net0: name=eth0,bridge=va,firewall=1,gw=10.0.0.1,hwaddr=BC:24:11:00:00:04,ip=10.0.0.9/24,type=veth
ostype: debian
rootfs: local-lvm:vm-101-disk-0,size=8G
unprivileged: 1
lxc.cgroup2.devices.allow: c 10:200 rwm
";
/// A guest that is declared too, under another name.
const DECLARED: &str = "name: other\nnet0: virtio=BC:24:11:00:00:50,bridge=va\n";

fn members(node: &Node<'_>, quorate: bool) {
    let quorate = u8::from(quorate);
    let text = format!(
        "{{\n\"nodename\": \"n1\",\n\"version\": 5,\n\"cluster\": {{ \"name\": \"lab\", \"version\": 2, \"nodes\": 2, \"quorate\": {quorate} }},\n\"nodelist\": {{\n  \"n1\": {{ \"id\": 1, \"online\": 1, \"ip\": \"192.0.2.1\"}},\n  \"n2\": {{ \"id\": 2, \"online\": 1, \"ip\": \"192.0.2.2\"}}\n  }}\n}}\n"
    );
    node.put("etc/pve/.members", text.as_bytes());
}

fn machine(node: &Node<'_>, host: &str, file: &str, text: &str) {
    node.put(&format!("etc/pve/nodes/{host}/{file}"), text.as_bytes());
    for host in ["n1", "n2"] {
        fs::create_dir_all(node.root.join("etc/pve/nodes").join(host).join("qemu-server")).unwrap();
    }
}

fn hook(number: &'static str) -> [&'static str; 4] {
    ["pve", "hook", number, "pre-start"]
}

fn start<'a>(repository: &'a Repository, guests: &str) -> Node<'a> {
    declare(repository, NETWORK);
    let node = node_with(repository, "n1", &format!("  pve-guests: {guests}\n"));
    is(&node, &["sync"], 0, &["runs commit"]);
    node
}

#[test]
fn guests_of_the_cluster_have_addresses_until_they_are_gone_everywhere() {
    let repository = repository();
    let node = start(&repository, "{}");
    members(&node, true);
    machine(&node, "n1", "qemu-server/100.conf", WEB);
    machine(&node, "n2", "lxc/101.conf", DB);
    machine(&node, "n2", "qemu-server/102.conf", DECLARED);
    let says = [
        "+ 10.0.0.2 (za) for `web.shop` on `va`, BC:24:11:00:00:01",
        "+ 10.0.0.9 (za) for `db` on `va`",
        "+ 10.0.0.50 (za) for `fixed`",
    ];
    is(&node, &["ipam", "check"], 2, &says);
    is(&node, &["ipam", "allocate"], 0, &says);
    is(&node, &["ipam", "allocate"], 0, &["everybody has"]);
    let held = node.run(&["--json", "ipam", "list"]).json();
    assert_eq!(held["leases"].as_array().unwrap().len(), 3, "{held}");
    let hosts = fs::read_to_string(node.root.join("etc/dnsmasq.d/za/ethers")).unwrap();
    assert_eq!(hosts.lines().count(), 3, "{hosts}");

    // A migration is no destroy, and nor is anything that nobody can be sure of.
    let nodes = node.root.join("etc/pve/nodes");
    let (here, there) =
        (nodes.join("n1/qemu-server/100.conf"), nodes.join("n2/qemu-server/100.conf"));
    fs::rename(&here, &there).unwrap();
    is(&node, &["ipam", "allocate"], 0, &["everybody has"]);
    fs::remove_file(&there).unwrap();
    members(&node, false);
    is(&node, &["ipam", "allocate"], 0, &["everybody has", "has no quorum"]);
    fs::remove_file(node.root.join("etc/pve/.members")).unwrap();
    is(&node, &["ipam", "allocate"], 0, &["everybody has", "no cluster file system"]);
    members(&node, true);
    machine(&node, "n2", "qemu-server/103.conf", "nonsense\n");
    is(&node, &["ipam", "allocate"], 0, &["everybody has", "103.conf:1: is no `KEY: VALUE`"]);
    fs::remove_file(nodes.join("n2/qemu-server/103.conf")).unwrap();
    fs::rename(nodes.join("n2"), nodes.join("away")).unwrap();
    is(&node, &["ipam", "allocate"], 0, &["everybody has"]);
    fs::rename(nodes.join("away"), nodes.join("n2")).unwrap();

    // Gone on all nodes: given up, and back within the grace.
    is(&node, &["ipam", "allocate"], 0, &["~ 10.0.0.2 (za) of `web.shop` is given up"]);
    machine(&node, "n2", "qemu-server/100.conf", WEB);
    is(&node, &["ipam", "allocate"], 0, &["~ 10.0.0.2 (za) is `web.shop`'s"]);
    // One that was restored has the same hardware address.
    machine(&node, "n1", "qemu-server/110.conf", WEB);
    is(&node, &["ipam", "allocate"], 0, &["is another guest's too"]);
}

#[test]
fn a_guest_has_its_address_before_it_starts() {
    let repository = repository();
    let node = start(&repository, "{wait: 1s, without-address: refuse}");
    node.put("etc/pve/qemu-server/100.conf", WEB.as_bytes());
    node.put("etc/pve/lxc/101.conf", DB.as_bytes());
    is(&node, &hook("100"), 0, &["every interface got its addresses"]);
    let hosts = || fs::read_to_string(node.root.join("etc/dnsmasq.d/za/ethers")).unwrap();
    assert_eq!(hosts(), "BC:24:11:00:00:01,10.0.0.2\n");
    is(&node, &["ipam", "list"], 0, &["web.shop", "found"]);
    is(&node, &["pve", "hook", "101", "post-stop"], 0, &[]);
    is(&node, &hook("999"), 0, &["nothing is weft's to provide"]);
    // The server is away: what is known is enough, and what is not waits, and not forever.
    let leases = repository.home().join("leases.git");
    fs::rename(&leases, repository.home().join("away")).unwrap();
    is(&node, &hook("100"), 0, &["every interface has its addresses"]);
    let began = std::time::Instant::now();
    let why = ["no server of leases answered within 1 s: cannot fetch from remote `leases`"];
    is(&node, &hook("101"), 4, &why);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let settings = fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    node.put("etc/weft/agent.yaml", settings.replace("refuse", "start").as_bytes());
    is(&node, &hook("101"), 0, &["warning: guest 101", "it starts all the same"]);
    // It comes back while somebody waits.
    node.put("etc/weft/agent.yaml", settings.replace("1s", "60s").as_bytes());
    let away = repository.home().join("away");
    let back = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        fs::rename(away, leases).unwrap();
    });
    is(&node, &hook("101"), 0, &["every interface got its addresses"]);
    back.join().unwrap();
    assert!(hosts().contains("BC:24:11:00:00:04,10.0.0.9\n"), "{}", hosts());
    // A file that cannot be read is no guest without interfaces.
    node.put("etc/pve/qemu-server/102.conf", b"net0: virtio=x,bridge=va\n");
    is(&node, &hook("102"), 4, &["102.conf:1: "]);
}

#[test]
fn a_guest_that_nobody_declared_gets_nothing_unasked() {
    let repository = repository();
    declare(&repository, NETWORK);
    let node = node_with(&repository, "n1", "");
    is(&node, &["sync"], 0, &["runs commit"]);
    node.put("etc/pve/qemu-server/100.conf", WEB.as_bytes());
    node.put("etc/pve/qemu-server/102.conf", DECLARED.as_bytes());
    is(&node, &hook("100"), 0, &["nothing is weft's to provide"]);
    is(&node, &hook("102"), 0, &["every interface got its addresses"]);
    let held = node.run(&["--json", "ipam", "list"]).json();
    assert_eq!(held["leases"].as_array().unwrap().len(), 1, "{held}");
}

#[test]
fn what_is_declared_for_a_guest_goes_to_no_other() {
    let repository = repository();
    declare(&repository, &NETWORK.replace("10.0.0.50", "10.0.0.2"));
    let settings = "  pve-guests: {wait: 1s, without-address: refuse}\n";
    let [node, other] = ["n1", "n2"].map(|name| node_with(&repository, name, settings));
    is(&node, &["sync"], 0, &["runs commit"]);
    let hand = ["--vnet", "va", "--mac", "BC:24:11:00:00:99"];
    let set = [&["ipam", "set", "10.0.0.2", "g9"][..], &hand].concat();
    is(&node, &set, 4, &["10.0.0.2 is declared for `fixed`"]);
    node.put("etc/pve/qemu-server/100.conf", WEB.as_bytes());
    is(&node, &hook("100"), 0, &["every interface got its addresses"]);
    is(&node, &["ipam", "list"], 0, &["10.0.0.3  za    va    web.shop"]);

    // Another node settles a newer commit: this one knows too little to choose.
    declare(&repository, &NETWORK.replace("10.0.0.50", "10.0.0.4"));
    is(&other, &["sync"], 0, &["runs commit"]);
    is(&other, &["ipam", "allocate"], 0, &["+ 10.0.0.4 (za) for `fixed`"]);
    is(&node, &hook("100"), 0, &["every interface has its addresses"]);
    node.put("etc/pve/lxc/101.conf", DB.as_bytes());
    is(&node, &hook("101"), 4, &["`db` (BC:24:11:00:00:04 on `va`)", "a newer commit"]);
    is(&node, &[&["ipam", "allocate", "g9"][..], &hand].concat(), 4, &["a newer commit"]);
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &hook("101"), 0, &["every interface got its addresses"]);
}

/// The git server is one of the guests: neither the configuration nor the branch can be read
/// before it runs.
#[test]
fn a_site_that_starts_cold_goes_by_what_it_remembers() {
    let repository = repository();
    let node = start(&repository, "{wait: 1s, without-address: refuse}");
    node.put("etc/pve/qemu-server/100.conf", WEB.as_bytes());
    node.put("etc/pve/lxc/101.conf", DB.as_bytes());
    node.put("etc/pve/qemu-server/103.conf", b"net0: virtio=BC:24:11:00:00:07,bridge=vmbr0\n");
    is(&node, &hook("100"), 0, &["every interface got its addresses"]);
    fs::remove_file(node.root.join("etc/dnsmasq.d/za/ethers")).unwrap();
    fs::rename(repository.home().join("leases.git"), repository.home().join("away")).unwrap();
    fs::remove_dir_all(node.root.join("var/cache/weft")).unwrap();
    is(&node, &hook("100"), 0, &["every interface has its addresses"]);
    let hosts = fs::read_to_string(node.root.join("etc/dnsmasq.d/za/ethers")).unwrap();
    assert_eq!(hosts, "BC:24:11:00:00:01,10.0.0.2\n");
    is(&node, &hook("101"), 4, &["the configuration's cache is empty"]);
    is(&node, &hook("103"), 0, &["nothing is weft's to provide"]);
    // Neither is anything known.
    fs::remove_file(node.root.join("var/lib/weft/leases.json")).unwrap();
    is(&node, &hook("100"), 4, &["the configuration's cache is empty"]);
    is(&node, &hook("103"), 0, &["nothing is weft's to provide"]);
}

#[test]
fn only_a_policy_that_could_be_read_keeps_a_guest_from_starting() {
    let repository = repository();
    let node = start(&repository, "{wait: 60s, without-address: refuse}");
    node.put("etc/pve/qemu-server/100.conf", WEB.as_bytes());
    node.put("etc/pve/lxc/101.conf", DB.as_bytes());
    is(&node, &hook("100"), 0, &["every interface got its addresses"]);
    // The DHCP server that serves the guest is not told, and that is no address.
    let hosts = node.root.join("etc/dnsmasq.d/za/ethers");
    fs::remove_file(&hosts).unwrap();
    fs::create_dir(&hosts).unwrap();
    is(&node, &hook("100"), 4, &["the DHCP server of zone `za` was not told"]);
    fs::remove_dir(&hosts).unwrap();
    is(&node, &hook("100"), 0, &["every interface has its addresses"]);
    // What no waiting mends is said at once.
    let leases = repository.home().join("leases.git");
    fs::rename(&leases, repository.home().join("away")).unwrap();
    fs::create_dir(&leases).unwrap();
    fs::write(leases.join("a"), "no repository").unwrap();
    let began = std::time::Instant::now();
    is(&node, &hook("101"), 4, &["cannot fetch from remote `leases`"]);
    assert!(began.elapsed().as_secs() < 40, "{:?}", began.elapsed());
    let settings = fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    node.put("etc/weft/agent.yaml", format!("{settings}nonsense: [\n").as_bytes());
    is(&node, &hook("101"), 0, &["warning: guest 101: the node's settings are wrong"]);
    fs::remove_file(node.root.join("etc/weft/agent.yaml")).unwrap();
    is(&node, &hook("101"), 0, &["this node has no settings", "it starts all the same"]);
}

//! Allocators that are killed at any moment, by processes of the program itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::POLICY;
use crate::node::Node;
use crate::remotes::server::{Authority, Server};
use crate::trust::repository::{Repository, output, program};

const NETWORK: &[u8] = b"nodes: {n1: {}}\nzones: {za: {type: simple}}\nvnets:\n  va: {zone: za, subnets: {10.0.0.0/16: {gateway: 10.0.0.1, dhcp-range: [{start-address: 10.0.1.0, end-address: 10.0.9.255}]}}}\n";

/// Some number below a bound.
fn any(below: u64) -> u64 {
    RandomState::new().hash_one(below) % below
}

/// Gives a guest an address, killed now and then and begun again: soon more often than late,
/// for nobody knows how long it takes here. Says which it got, and how often it was killed.
pub(crate) fn allocate(root: &Path, guest: &str, mac: &str) -> (Option<String>, usize) {
    for killed in 0.. {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weft"))
            .arg("--root")
            .arg(root)
            .args(["ipam", "allocate", guest, "--vnet", "va", "--mac", mac])
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if killed == 0 || any(2) == 0 {
            thread::sleep(Duration::from_millis(any(2 << any(11))));
            child.kill().unwrap();
        }
        let said = child.wait_with_output().unwrap();
        if said.status.success() {
            let text = String::from_utf8(said.stdout).unwrap();
            let address = text.strip_prefix("+ ").and_then(|line| line.split(' ').next());
            return (address.map(str::to_owned), killed);
        }
        assert!(killed < 60, "{guest} gets nothing");
    }
    unreachable!("it returns or fails")
}

/// Lets `nodes` give addresses to `each` guests, one after the other and all at once.
fn race(nodes: usize, each: usize) {
    let repository = Repository::with_policy(POLICY);
    repository.commit("alice", &[("sdn/network.yaml", NETWORK)]);
    let home = repository.home();
    let authority = Authority::new("an authority");
    let server = Server::start(home, authority.identity());
    output(program("git", home).args(["init", "-q", "--bare", "-b", "leases", "net.git"]));
    let set = ["--git-dir=net.git", "config", "http.receivepack", "true"];
    output(program("git", home).args(set));
    let node = |number: usize| {
        let leases = format!(
            "mode: apply\nleases:\n  remote: {{name: leases, url: \"{}\", ca: /etc/weft/ca.pem}}\n  key: /etc/weft/key\n",
            server.url("127.0.0.1")
        );
        let root = home.join(format!("root-n{number}"));
        let node = Node::with(&repository, &format!("n{number}"), "lab", &leases);
        node.put("etc/weft/ca.pem", authority.pem().as_bytes());
        node.put("etc/weft/key", &fs::read(home.join("carol")).unwrap());
        fs::set_permissions(root.join("etc/weft/key"), fs::Permissions::from_mode(0o600)).unwrap();
        node
    };
    let all: Vec<Node<'_>> = (0..nodes).map(|number| node(number + 1)).collect();
    // Only the first is declared; the others accept all the same.
    for node in &all {
        node.run(&["sync"]);
    }
    let (begun, deaths) = (Instant::now(), AtomicUsize::new(0));
    let mac = |guest: usize| format!("02:00:00:00:{:02x}:{:02x}", guest / 256, guest % 256);
    let said: BTreeMap<usize, String> = thread::scope(|scope| {
        let (deaths, mac) = (&deaths, &mac);
        let roots = all.iter().map(|node| node.root.clone()).enumerate();
        let threads: Vec<_> = roots
            .map(|(number, root)| {
                scope.spawn(move || {
                    let mut said = Vec::new();
                    for guest in number * each..(number + 1) * each {
                        let name = format!("g{guest}");
                        let (address, killed) = allocate(&root, &name, &mac(guest));
                        deaths.fetch_add(killed, Ordering::Relaxed);
                        said.extend(address.map(|address| (guest, address)));
                    }
                    said
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let deaths = deaths.into_inner();
    println!("{} addresses, {deaths} killed: {:?}", nodes * each, begun.elapsed());
    let held = all[0].run(&["--json", "ipam", "list"]).json();
    let held: Vec<(String, String)> = held["leases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lease| {
            let word = |key: &str| lease[key].as_str().unwrap().to_owned();
            (word("mac").to_ascii_lowercase(), word("address"))
        })
        .collect();
    // Everybody has one, nobody has that of another, and what was said holds.
    assert_eq!(held.len(), nodes * each);
    let addresses: BTreeSet<&String> = held.iter().map(|(_, address)| address).collect();
    assert_eq!(addresses.len(), nodes * each);
    let by_mac: BTreeMap<&str, &str> =
        held.iter().map(|(mac, address)| (mac.as_str(), address.as_str())).collect();
    assert_eq!(by_mac.len(), nodes * each);
    for (guest, address) in &said {
        assert_eq!(by_mac[mac(*guest).as_str()], address, "g{guest}");
    }
    assert!(deaths > 0 && !said.is_empty());
    output(program("git", home).args(["--git-dir=net.git", "fsck", "--strict", "--no-dangling"]));
}

#[test]
fn allocators_that_are_killed_lose_nothing_and_give_nothing_twice() {
    race(4, 4);
}

/// Eight at once, fifty addresses each, one at a time: minutes on two processors.
#[test]
#[ignore = "takes minutes; run by hand"]
fn eight_allocators_with_fifty_addresses_each_killed_at_random() {
    race(8, 50);
}

//! Addresses of guests through the program, on dry nodes, with leases in a repository on
//! the same machine.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::node::Node;
use super::trust::repository::{Repository, output, program};

const POLICY: &str =
    "roles:\n  root: {principals: [alice@example.org]}\nallocators: [carol@example.org]\n";

fn network(guests: &str, subnet: &str) -> String {
    format!(
        "nodes: {{n1: {{}}, n2: {{}}}}\nzones: {{za: {{type: simple}}}}\nvnets:\n  va: {{zone: za, subnets: {{{subnet}: {{gateway: {}}}}}}}\nguests: {{{guests}}}\n",
        subnet.replace("0/24", "1")
    )
}

fn guest(number: u8, more: &str) -> String {
    format!("g{number}: {{nics: [{{vnet: va, mac: \"02:00:00:00:00:0{number}\"{more}}}]}}")
}

/// A repository of declarations, and beside it one for leases.
pub(super) fn repository() -> Repository {
    let repository = Repository::with_policy(POLICY);
    declare(&repository, &network(&guest(1, ""), "10.0.0.0/24"));
    let home = repository.home();
    output(program("git", home).args(["init", "-q", "--bare", "-b", "leases", "leases.git"]));
    repository
}

pub(super) fn declare(repository: &Repository, network: &str) {
    repository
        .commit("alice", &[("sdn/zones.yaml", b"{}\n"), ("sdn/network.yaml", network.as_bytes())]);
}

fn node<'a>(repository: &'a Repository, name: &str) -> Node<'a> {
    node_with(repository, name, "")
}

/// A node that keeps leases, with more lines below `leases:` of its settings.
pub(super) fn node_with<'a>(repository: &'a Repository, name: &str, more: &str) -> Node<'a> {
    let home = repository.home().display();
    let leases = format!(
        "mode: apply\nleases:\n  remote: {{name: leases, url: \"file://{home}/leases.git\"}}\n  key: /etc/weft/key\n  grace: 1m\n{more}"
    );
    let node = Node::with(repository, name, "lab", &leases);
    node.put("etc/weft/key", &std::fs::read(repository.home().join("carol")).unwrap());
    output(program("chmod", repository.home()).arg("600").arg(node.root.join("etc/weft/key")));
    node
}

#[track_caller]
pub(super) fn is(node: &Node<'_>, words: &[&str], code: i32, says: &[&str]) {
    let said = node.run(words);
    let all = said.all();
    assert!(said.code == code && says.iter().all(|says| all.contains(says)), "{words:?}: {all}");
}

#[test]
fn declared_guests_have_addresses_and_keep_them() {
    let repository = repository();
    let (one, two) = (node(&repository, "n1"), node(&repository, "n2"));
    is(&one, &["ipam", "allocate"], 1, &["no commit of the configuration was accepted"]);
    is(&one, &["sync"], 0, &["runs commit"]);
    is(&two, &["sync"], 0, &["runs commit"]);
    is(&one, &["ipam", "check"], 2, &["0 leases kept", "+ 10.0.0.2 (za) for `g1`"]);
    is(&one, &["ipam", "list"], 0, &["nobody holds an address"]);
    is(&one, &["ipam", "allocate"], 0, &["+ 10.0.0.2 (za) for `g1` on `va`, 02:00:00:00:00:01"]);
    is(&two, &["ipam", "allocate"], 0, &["everybody has the addresses"]);
    is(&two, &["ipam", "list"], 0, &["10.0.0.2  za    va    g1     02:00:00:00:00:01  declared"]);
    is(&one, &["ipam", "check"], 0, &["1 lease kept"]);

    // More guests, in another order, one of them at an address of its own.
    let guests = [guest(3, ", addresses: [10.0.0.3]"), guest(2, ""), guest(1, "")].join(", ");
    declare(&repository, &network(&guests, "10.0.0.0/24"));
    is(&one, &["sync"], 0, &["runs commit"]);
    is(&one, &["ipam", "allocate"], 0, &["+ 10.0.0.3 (za) for `g3`", "+ 10.0.0.4 (za) for `g2`"]);
    // The other node is behind: it gives nothing up that it does not know.
    is(&two, &["ipam", "allocate"], 4, &["another node settled a newer commit"]);
    is(&two, &["ipam", "list"], 0, &["10.0.0.4"]);

    // A revert gives up, and its revert brings the same addresses back.
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    is(&one, &["sync"], 0, &["runs commit"]);
    is(&one, &["ipam", "allocate"], 0, &["~ 10.0.0.3 (za) of `g3` is given up", "10.0.0.4"]);
    is(&one, &["ipam", "list"], 0, &["given up"]);
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    is(&one, &["sync"], 0, &["runs commit"]);
    is(&one, &["ipam", "allocate"], 0, &["~ 10.0.0.3 (za) is `g3`'s", "~ 10.0.0.4 (za) is `g2`'s"]);

    // A server that is gone: what was read last is known, and said to be old.
    std::fs::rename(repository.home().join("leases.git"), repository.home().join("away")).unwrap();
    is(&one, &["ipam", "list"], 0, &["warning: cannot ", "this is what was read at", "10.0.0.4"]);
    is(&one, &["ipam", "list", "--local", "--zone", "zb"], 0, &["nobody holds an address"]);
    is(&one, &["ipam", "allocate"], 1, &["leases"]);
}

#[test]
fn addresses_by_hand() {
    let repository = repository();
    let node = node(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "allocate"], 0, &["+ 10.0.0.2"]);
    let hand = ["--vnet", "va", "--mac", "02:00:00:00:00:99"];
    let allocate = |guest| [&["ipam", "allocate", guest][..], &hand].concat();
    is(&node, &["ipam", "allocate", "g9"], 64, &["--vnet"]);
    is(&node, &allocate("g9"), 0, &["+ 10.0.0.3 (za) for `g9`"]);
    is(&node, &allocate("g9"), 0, &["everybody has the addresses"]);
    is(
        &node,
        &[&["ipam", "set", "10.0.0.77", "g9"][..], &hand].concat(),
        0,
        &["~ 10.0.0.3 (za) of `g9` is given up", "+ 10.0.0.77 (za) for `g9`"],
    );
    is(&node, &[&["ipam", "set", "10.0.0.2", "g9"][..], &hand].concat(), 4, &["held by `g1`"]);
    is(&node, &[&["ipam", "set", "10.0.0.1", "g9"][..], &hand].concat(), 4, &["the router's"]);
    is(&node, &[&["ipam", "set", "10.9.0.1", "g9"][..], &hand].concat(), 4, &["in no subnet"]);
    let declared = ["ipam", "set", "10.0.0.9", "g1", "--vnet", "va", "--mac", "02:00:00:00:00:01"];
    is(&node, &declared, 4, &["is declared", "`guests:`"]);
    // What is declared is settled, and what was set by hand stays.
    is(&node, &["ipam", "allocate"], 0, &["everybody"]);
    is(&node, &["ipam", "release", "10.0.0.2"], 4, &["belongs to guest `g1`, which is declared"]);
    is(&node, &["ipam", "release", "10.0.0.50"], 1, &["nobody holds 10.0.0.50"]);
    is(&node, &["ipam", "release", "10.0.0.77"], 0, &["is given up, and free in 1m"]);
    is(&node, &["ipam", "release", "10.0.0.77", "--now"], 0, &["10.0.0.77 is free"]);
    // A subnet that goes while somebody holds an address of it.
    is(&node, &allocate("g9"), 0, &["10.0.0.3"]);
    declare(&repository, &network("", "10.7.0.0/24"));
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "check"], 2, &["stranded: 10.0.0.3 of `g9` is in no subnet of zone `za`"]);
    is(&node, &["ipam", "release", "10.0.0.3", "--zone", "za"], 0, &["given up"]);
    // Nor does a guest that is declared keep one that it can never use again.
    declare(&repository, &network(&guest(1, ""), "10.0.0.0/24"));
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "allocate"], 0, &["everybody"]);
    let without =
        "nodes: {n1: {}, n2: {}}\nzones: {za: {type: simple}}\nvnets: {va: {zone: za}}\nguests: {";
    declare(&repository, &format!("{without}{}}}\n", guest(1, "")));
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "check"], 4, &["stranded: 10.0.0.2 of `g1`", "the vnet has no subnet"]);
    is(&node, &["ipam", "release", "10.0.0.2", "--now"], 0, &["10.0.0.2 is free"]);
    is(&node, &["ipam", "check"], 0, &["everybody"]);
}

/// Whoever may write the branch may invent a commit. Nobody loses anything by it, and
/// newcomers get their addresses all the same.
#[test]
fn an_invented_commit_locks_nobody_out() {
    let repository = repository();
    let node = node(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "allocate"], 0, &["+ 10.0.0.2"]);
    let home = repository.home();
    let git = |words: &[&str]| output(program("git", home).args(words));
    git(&["clone", "-q", "-b", "leases", "leases.git", "by-hand"]);
    let invented = format!("{{\"commit\":\"{}\",\"sequence\":{}}}\n", "9".repeat(40), u64::MAX);
    std::fs::write(home.join("by-hand/configuration"), invented).unwrap();
    let key = format!("user.signingkey={}", home.join("carol").display());
    let user = ["-c", "user.name=c", "-c", "user.email=c@example.org", "-c", "gpg.format=ssh"];
    let commit = ["-c", &key, "-C", "by-hand", "commit", "-q", "-S", "-a", "-m", "by hand"];
    git(&[&user[..], &commit].concat());
    git(&["-C", "by-hand", "push", "-q", "origin", "leases"]);
    declare(&repository, &network(&guest(2, ""), "10.0.0.0/24"));
    is(&node, &["sync"], 0, &["runs commit"]);
    let says = ["+ 10.0.0.3 (za) for `g2`", "another node settled a newer commit"];
    is(&node, &["ipam", "allocate"], 4, &says);
    is(&node, &["ipam", "list"], 0, &["10.0.0.2  za    va    g1     02:00:00:00:00:01  declared"]);
    // When the configuration was read an hour later and has no such commit, it is settled.
    let since = home.join("root-n1/var/lib/weft/leases.unknown");
    std::fs::write(&since, "{\"since\":\"2026-01-01T00:00:00Z\"}").unwrap();
    is(&node, &["ipam", "allocate"], 0, &["~ 10.0.0.2 (za) of `g1` is given up"]);
    assert!(!since.exists() || !node.run(&["ipam", "check"]).all().contains("newer"));
    is(&node, &["ipam", "allocate"], 0, &["everybody"]);
}

#[test]
fn what_proxmox_gave_out_is_taken_over() {
    let repository = repository();
    let node = node(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    let file = repository.home().join("state.json");
    std::fs::write(
        &file,
        r#"{"zones":{"za":{"subnets":{"10.0.0.0/24":{"ips":{
            "10.0.0.1":{"gateway":1},
            "10.0.0.10":{"mac":"BC:24:11:AA:BB:CC","hostname":"vm1","vmid":100},
            "10.0.0.11":{"mac":"BC:24:11:AA:BB:CD","vmid":"101"},
            "10.0.0.12":{"vmid":"102"},
            "10.0.0.255":{"mac":"BC:24:11:AA:BB:CE","vmid":"103"}}},
            "10.9.0.0/24":{"ips":{"10.9.0.3":{"mac":"BC:24:11:AA:BB:CF","vmid":"9"}}}}}}}"#,
    )
    .unwrap();
    let import = ["ipam", "import", file.to_str().unwrap()];
    is(
        &node,
        &import,
        0,
        &[
            "+ 10.0.0.10 (za) for `vm1`",
            "+ 10.0.0.11 (za) for `vm101`",
            "left out: 10.0.0.12 (za): nobody's hardware address is known",
            "left out: 10.0.0.255 (za): it is the router's",
            "left out: 10.9.0.3 (za): no vnet of the zone has the subnet",
        ],
    );
    is(&node, &import, 0, &["everybody"]);
    is(&node, &["ipam", "allocate"], 0, &["+ 10.0.0.2 (za) for `g1`"]);
    let held = node.run(&["--json", "ipam", "list"]).json();
    assert_eq!(held["leases"].as_array().unwrap().len(), 3);
    assert_eq!(held["leases"][1]["mac"], "BC:24:11:AA:BB:CC");
    is(&node, &["ipam", "import", "/nowhere"], 1, &["/nowhere"]);
}

/// An agent settles what is declared by itself, and says how it stands.
#[test]
fn the_agent_looks_after_addresses() {
    let repository = repository();
    let node = node(&repository, "n1");
    let mut agent = Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("--root")
        .arg(&node.root)
        .arg("agent")
        .env_clear()
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let holds = |address: &str| {
        let held = node.run(&["--json", "ipam", "list", "--local"]);
        held.code == 0 && held.out.contains(&format!("\"address\": \"{address}\""))
    };
    let until = |what: &str, condition: &dyn Fn() -> bool| {
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
            thread::sleep(Duration::from_millis(50));
        }
    };
    until("the first guest", &|| holds("10.0.0.2"));
    declare(&repository, &network(&[guest(1, ""), guest(2, "")].join(", "), "10.0.0.0/24"));
    assert_eq!(node.run(&["sync"]).code, 0);
    until("the second guest", &|| holds("10.0.0.3"));
    let says = || node.run(&["status"]).all();
    until("the status", &|| says().contains("leases   2 held; everybody has the addresses"));
    // A program asks it for an address of its own, by its socket.
    let ask = |line: &str| {
        let mut socket = UnixStream::connect(node.root.join("run/weft/socket")).unwrap();
        socket.write_all(format!("{line}\n").as_bytes()).unwrap();
        let answer: serde_json::Value = serde_json::from_reader(&socket).unwrap();
        (answer["exit"].as_u64().unwrap(), answer["text"].as_str().unwrap().to_owned(), answer)
    };
    let (exit, text, answer) = ask("allocate g9 va 02:00:00:00:00:99");
    assert_eq!((exit, text.as_str()), (0, "10.0.0.4"));
    assert_eq!(answer["document"]["leases"][0]["state"], "set");
    assert!(holds("10.0.0.4"));
    let (exit, text, _) = ask("allocate g8 va 02:00:00:00:00:98 10.0.0.4");
    assert!(exit == 4 && text.contains("held by `g9`"), "{text}");
    let (exit, text, _) = ask("allocate g1 va 02:00:00:00:00:01");
    assert!(exit == 1 && text.contains("is declared"), "{text}");
    let (exit, text, _) = ask("allocate g8 vb 02:00:00:00:00:98");
    assert_eq!((exit, text.as_str()), (4, "vnet `vb` is not declared"));
    let (exit, text, _) = ask("allocate g1 va");
    assert!(exit == 1 && text.contains("does not know this request"), "{text}");
    let (exit, _, answer) = ask("leases");
    assert_eq!((exit, answer["document"]["leases"].as_array().unwrap().len()), (0, 3));
    is(&node, &["ipam", "release", "10.0.0.4", "--now"], 0, &["10.0.0.4 is free"]);
    // A server that is gone holds up nobody.
    std::fs::remove_dir_all(repository.home().join("leases.git")).unwrap();
    declare(&repository, &network(&guest(1, ""), "10.0.0.0/24"));
    assert_eq!(node.run(&["sync"]).code, 0);
    until("the trouble", &|| says().contains("leases   2 held; cannot fetch from remote `leases`"));
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn a_guest_by_hand_needs_a_vnet_that_has_addresses() {
    let repository = repository();
    let more =
        network(&guest(1, ""), "10.0.0.0/24").replace("guests:", "  bare: {zone: za}\nguests:");
    declare(&repository, &more);
    let node = node(&repository, "n1");
    is(&node, &["sync"], 0, &["runs commit"]);
    let by_hand = |verb: &[&str], vnet: &str, says: &[&str]| {
        let words = ["--vnet", vnet, "--mac", "02:00:00:00:00:77"];
        is(&node, &[&["ipam"], verb, &words].concat(), 4, says);
    };
    let unknown = ["error: vnet `vaa` is not declared", "did you mean `va`?"];
    by_hand(&["allocate", "web7"], "vaa", &unknown);
    by_hand(&["set", "10.0.0.9", "web7"], "vaa", &unknown);
    by_hand(
        &["allocate", "web7"],
        "nope",
        &["`nope` is not declared", "declared vnets: `bare`, `va`"],
    );
    by_hand(
        &["allocate", "web7"],
        "bare",
        &["vnet `bare` has no subnet", "give the vnet a subnet"],
    );
    is(&node, &["ipam", "list"], 0, &["nobody holds an address"]);
    is(&node, &["ipam", "adopt"], 0, &["nothing to do on IPAM servers"]);
    // Words that would say nothing without a guest.
    is(&node, &["ipam", "allocate", "--vnet", "va"], 64, &["<GUEST>"]);
}

#[test]
fn dhcp_servers_are_told_what_is_held() {
    let repository = repository();
    let zone =
        |guests: &str| network(guests, "10.0.0.0/24").replace("simple}", "simple, dhcp: dnsmasq}");
    declare(&repository, &zone(&guest(1, "")));
    let node = node(&repository, "n1");
    let file = || std::fs::read_to_string(node.root.join("etc/dnsmasq.d/za/ethers")).ok();
    // What Proxmox wrote before.
    let foreign = "BC:24:11:AA:BB:CC,10.0.0.77\n";
    node.put("etc/dnsmasq.d/za/ethers", foreign.as_bytes());
    is(&node, &["sync"], 0, &["runs commit"]);
    assert_eq!(file().as_deref(), Some(foreign));
    let warned = ["BC:24:11:AA:BB:CC,10.0.0.77", "no lease knows", "`weft ipam import`"];
    is(&node, &["ipam", "allocate"], 0, &warned);
    assert_eq!(file().unwrap(), format!("02:00:00:00:00:01,10.0.0.2\n{foreign}"));
    let json = r#"{"zones":{"za":{"subnets":{"10.0.0.0/24":{"ips":{
        "10.0.0.77":{"mac":"BC:24:11:AA:BB:CC","hostname":"vm1","vmid":100}}}}}}}"#;
    node.put("state.json", json.as_bytes());
    let state = node.root.join("state.json");
    is(&node, &["ipam", "import", state.to_str().unwrap()], 0, &["+ 10.0.0.77"]);
    assert_eq!(file().unwrap(), format!("02:00:00:00:00:01,10.0.0.2\n{foreign}"));
    // It is a lease now, and no word is said any more.
    assert!(!node.run(&["ipam", "allocate"]).all().contains("no lease knows"));
    is(&node, &["ipam", "release", "10.0.0.77"], 0, &["given up"]);
    assert_eq!(file().unwrap(), "02:00:00:00:00:01,10.0.0.2\n");
    // No generation and no plan knows of it.
    is(&node, &["plan"], 0, &[]);
    let held = ["ipam", "set", "10.0.0.9", "g9", "--vnet", "va", "--mac", "02:00:00:00:00:09"];
    is(&node, &held, 0, &["+ 10.0.0.9"]);
    assert!(file().unwrap().ends_with("02:00:00:00:00:09,10.0.0.9\n"));
    // A zone without DHCP is nobody's to tell; the file stays for the way back.
    declare(&repository, &network(&guest(1, ""), "10.0.0.0/24"));
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "release", "10.0.0.9", "--now"], 0, &["is free"]);
    assert!(file().unwrap().contains("10.0.0.9"));
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    is(&node, &["sync"], 0, &["runs commit"]);
    is(&node, &["ipam", "allocate"], 0, &["everybody"]);
    assert_eq!(file().unwrap(), "02:00:00:00:00:01,10.0.0.2\n");
}

//! `weft why` through the real program: on the examples, and on a dry node.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use weft::plan::{Class, Watchlist, Window};

use super::node::{FILE, Node, declared};
use super::trust::repository::Repository;

/// What is asked of an example, the declarations that are named, and what stands in the
/// lines that are: `file: text`, of what they stand in before the text.
const ASKED: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "evpn",
        "myvnet1",
        &[
            "sdn/evpn.yaml:21:3 vnet myvnet1",
            "sdn/evpn.yaml:11:3 zone myevpn",
            "controller evpnctl",
        ],
        &["sdn: vxlan_myvnet1 vxlan-id 11000", "weft.conf: -net/ipv4/conf/myvnet1/rp_filter = 0"],
    ),
    (
        "evpn",
        "bgpnode1",
        &["sdn/uplinks.yaml:7:3 controller bgpnode1"],
        &["frr.conf: router bgp 65000 neighbor 172.16.1.254 peer-group BGP"],
    ),
    (
        "evpn",
        "10.0.2.0/24",
        &["sdn/evpn.yaml:31:7 subnet 10.0.2.0/24 of vnet myvnet2", "vnet myvnet2", "zone myevpn"],
        &["sdn: myvnet2 address 10.0.2.1/24"],
    ),
    (
        "evpn",
        "vrf_myevpn",
        &["vnet myvnet1", "vnet myvnet2", "zone myevpn"],
        &["sdn: myvnet1 vrf vrf_myevpn", "frr.conf: vrf vrf_myevpn vni 10000"],
    ),
    (
        "fabric",
        "mesh",
        &["sdn/fabric.yaml:6:3 fabric mesh", "node node1 in fabric mesh"],
        &["sdn: dummy_mesh address 172.20.0.1/32", "frr.conf: router openfabric mesh"],
    ),
    ("fabric", "dummy_mesh", &["fabric mesh"], &["sdn: dummy_mesh link-type dummy"]),
    (
        "fabric",
        "frr",
        &["fabric mesh", "controller evpnctl", "zone meshed"],
        &["daemons: fabricd=yes"],
    ),
    ("qinq", "custa", &["sdn/customers.yaml:5:3 zone custa"], &["sdn: avnet1", "sdn: avnet2"]),
    (
        "source-nat",
        "dnsmasq@snat",
        &["zone snat"],
        &["00-default.conf: dhcp-option=26", "10-", "dnsmasq.snat: DNSMASQ_OPTS"],
    ),
];

/// What must not be among the lines of an answer.
const NOT: &[(&str, &str, &str)] = &[
    ("evpn", "bgpnode1", "VTEP"),
    ("evpn", "10.0.2.0/24", "10.0.1"),
    ("evpn", "vxlan_myvnet2", "11000"),
    ("qinq", "custa", "bvnet1"),
];

fn example(name: &str, object: &str) -> (i32, Value) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["why", object, "--json", "--directory", ".", "--facts", "facts/node1.json"])
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code().unwrap(), answer)
}

fn declarations(answer: &Value) -> Vec<String> {
    let found = answer["declared"]["found"].as_array().unwrap().iter();
    let place = |found: &Value| {
        let span = &found["place"]["span"];
        format!("{}:{}:{}", found["place"]["file"].as_str().unwrap(), span["line"], span["column"])
    };
    found.map(|found| format!("{} {}", place(found), found["what"].as_str().unwrap())).collect()
}

fn lines(answer: &Value) -> Vec<String> {
    let found = answer["rendered"]["found"].as_array().unwrap().iter();
    let line = |found: &Value| {
        let of = found["of"].as_str().map(|of| format!("{of} ")).unwrap_or_default();
        let file = found["file"].as_str().unwrap().rsplit('/').next().unwrap();
        format!("{file}: {of}{}", found["text"].as_str().unwrap())
    };
    found.map(line).collect()
}

#[test]
fn every_kind_of_object_of_the_examples_is_traced() {
    for (name, object, declared, rendered) in ASKED {
        let (code, answer) = example(name, object);
        assert_eq!(code, 0, "{name} {object}: {answer:#}");
        let (places, found) = (declarations(&answer), lines(&answer));
        for wanted in *declared {
            assert!(
                places.iter().any(|p| p.contains(wanted)),
                "{name} {object}: no `{wanted}` in {places:#?}"
            );
        }
        for wanted in *rendered {
            assert!(
                found.iter().any(|line| line.starts_with(wanted)),
                "{name} {object}: no `{wanted}` in {found:#?}"
            );
        }
    }
    for (name, object, foreign) in NOT {
        let (_, answer) = example(name, object);
        let found = lines(&answer);
        assert!(
            !found.is_empty() && !found.iter().any(|line| line.contains(foreign)),
            "{name} {object}: {found:#?}"
        );
    }
}

#[test]
fn what_is_unknown_is_named_as_near_as_can_be() {
    let (code, answer) = example("evpn", "myvnt1");
    assert_eq!((code, answer["help"].as_str().unwrap()), (1, "did you mean `myvnet1`?"));
    let (code, answer) = example("evpn", "/etc/passwd");
    assert!(code == 1 && answer["help"].as_str().unwrap().contains("dnsmasq@ZONE"), "{answer}");
    // A file that weft could write, and that nothing needs here.
    let (code, answer) = example("simple", "/etc/frr/frr.conf");
    assert_eq!((code, lines(&answer).len()), (0, 0));
}

/// The answer of a node, each line of which stands where it says.
fn why(node: &Node<'_>, object: &str) -> Value {
    let said = node.run(&["why", object, "--json"]);
    assert_eq!(said.code, 0, "{}", said.all());
    let answer = said.json();
    for found in answer["rendered"]["found"].as_array().unwrap() {
        let file = found["file"].as_str().unwrap();
        let text = fs::read_to_string(node.root.join(file.trim_start_matches('/'))).unwrap();
        let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
        let line = text.lines().nth(line - 1).unwrap();
        assert_eq!(line.trim(), found["text"], "{file}");
    }
    answer
}

fn with(vnets: &str) -> String {
    format!("vnets:\n  va:\n    zone: one\n    subnets:\n      10.0.0.0/24: {{gateway: {vnets}\n")
}

/// What the answer says of the past: what was done, and by which entry.
fn changes(answer: &Value) -> Vec<(&str, u64)> {
    let found = answer["changed"]["found"].as_array().unwrap().iter();
    found.map(|f| (f["what"].as_str().unwrap(), f["number"].as_u64().unwrap())).collect()
}

/// The codes of what keeps a change back.
fn codes(answer: &Value) -> Vec<&str> {
    let found = answer["pending"]["found"].as_array().unwrap().iter();
    found.map(|found| found["code"].as_str().unwrap()).collect()
}

fn declare(repository: &Repository, vnets: &str) {
    repository.commit("bob", &[("sdn/vnets.yaml", with(vnets).as_bytes())]);
}

#[test]
fn a_vnet_is_followed_from_its_declaration_to_the_entry_that_brought_it() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let answer = why(&node, "va");
    assert_eq!(answer["objects"], serde_json::json!(["vnet va", "interface va"]));
    assert_eq!(
        declarations(&answer)[..2],
        ["sdn/vnets.yaml:2:3 vnet va", "sdn/zones.yaml:2:3 zone one"]
    );
    assert!(lines(&answer).contains(&"sdn: va address 10.0.0.1/24".to_owned()), "{answer:#}");
    assert_eq!(answer["kernel"]["notes"][0], "a dry node has no kernel and runs no daemon");
    assert_eq!(changes(&answer), [("came", 1)]);
    let change = &answer["changed"]["found"][0];
    assert_eq!(change["signer"], "alice@example.org");
    assert!(
        change["steps"][0].as_str().unwrap().starts_with("write /etc/network/interfaces.d/sdn")
    );
    assert_eq!(answer["pending"]["notes"][0], "no change of it is pending");

    declare(&repository, "10.0.0.2}");
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(changes(&why(&node, "va")), [("last changed", 2), ("came", 1)]);
    assert_eq!(changes(&why(&node, "10.0.0.0/24")), [("last changed", 2), ("came", 1)]);
    // Another vnet in the same file is no change of this one.
    declare(&repository, "10.0.0.2}\n  vb: {zone: one}");
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(changes(&why(&node, "va")), [("last changed", 2), ("came", 1)]);
    assert_eq!(changes(&why(&node, "vb")), [("came", 3)]);
    assert_eq!(changes(&why(&node, "one")), [("last changed", 3), ("came", 1)]);

    let said = node.run(&["why", "va"]);
    for words in [
        "va: vnet va, interface va",
        "declared (commit ",
        "  sdn/vnets.yaml:2:3  vnet va",
        "rendered (generation 3, kept in /var/lib/weft/gen/00000003/files)",
        "      3  auto va",
        "      5      address 10.0.0.2/24",
        "last changed by entry 2 at ",
        "came by entry 1 at ",
    ] {
        assert!(said.out.contains(words), "`{words}` is not in:\n{}", said.out);
    }
    node.put(FILE, b"");
    let answer = why_edited(&node);
    assert!(
        answer.contains("[drift] `/etc/network/interfaces.d/sdn` is not what weft wrote"),
        "{answer}"
    );
}

fn why_edited(node: &Node<'_>) -> String {
    let said = node.run(&["why", "va"]);
    assert_eq!(said.code, 0, "{}", said.all());
    said.out
}

#[test]
fn a_change_that_waits_says_for_what() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    // An operator's hold, of this vnet and of no other.
    declare(&repository, "10.0.0.2}\n  vb: {zone: one}");
    assert_eq!(node.run(&["hold", "--reason", "a migration"]).code, 0);
    assert_eq!(node.run(&["sync"]).code, 3);
    let answer = why(&node, "va");
    assert_eq!(codes(&answer), ["held"]);
    assert!(answer["pending"]["found"][0]["message"].as_str().unwrap().contains("a migration"));
    assert!(lines(&answer).contains(&"sdn: va address 10.0.0.1/24".to_owned()), "{answer:#}");
    // What only comes is declared in the commit that waits.
    let new = why(&node, "vb");
    assert_eq!((codes(&new), lines(&new).len()), (vec!["held"], 0));
    assert!(declarations(&new)[0].ends_with("vnet vb"), "{new:#}");
    assert_eq!(node.run(&["resume"]).code, 0);
    assert_eq!(codes(&why(&node, "va")), ["pending"]);

    // A quarantine of the rendering.
    let plan = node.run(&["plan", "--json"]).json();
    let facts = node.run(&["facts"]).out;
    fs::write(repository.home().join("facts.json"), facts).unwrap();
    let rendering = render(&repository);
    let held = serde_json::json!({ "format": 1, "held": [{
        "rendering": rendering, "commit": repository.head().to_string(), "reason": "the uplink went down",
        "failures": 4, "since": "2026-11-01T00:00:00Z", "until": null,
    }]});
    node.put("var/lib/weft/quarantine", held.to_string().as_bytes());
    assert_eq!(codes(&why(&node, "va")), ["quarantined"], "{plan}");
    fs::remove_file(node.root.join("var/lib/weft/quarantine")).unwrap();

    // Errors in the declarations, with their place.
    repository.commit("alice", &[("sdn/more.yaml", b"zones: {two: {type: simple, mtuu: 3}}\n")]);
    assert_eq!(node.run(&["sync"]).code, 4);
    let answer = why(&node, "va");
    assert_eq!(codes(&answer), ["unknown-key"]);
    assert!(
        answer["pending"]["found"][0]["message"].as_str().unwrap().contains("sdn/more.yaml:1:")
    );
    repository.wait(60);
    repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(codes(&why(&node, "va")), Vec::<&str>::new());

    // A refused commit is named, and not believed.
    repository.commit("-", &[("sdn/vnets.yaml", with("10.0.0.9}").as_bytes())]);
    assert_eq!(node.run(&["sync"]).code, 4);
    assert_eq!(codes(&why(&node, "va")), ["unsigned"]);
}

/// The digest of what the newest commit gives node `n1`.
fn render(repository: &Repository) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["render", "work", "--node", "n1", "--facts", "facts.json", "--json"])
        .current_dir(repository.home())
        .env_clear()
        .output()
        .unwrap();
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["rendering"].clone()
}

#[test]
fn a_guard_and_an_observing_node_are_reasons() {
    let repository = declared();
    let observing = Node::with(&repository, "n1", "lab", "");
    assert_eq!(observing.run(&["sync"]).code, 2);
    let answer = why(&observing, "va");
    assert_eq!((codes(&answer), lines(&answer).len()), (vec!["observing"], 0));
    assert_eq!(answer["rendered"]["source"], "nothing of weft's runs");
    let node = Node::new(&repository, "n2");
    node.put(FILE, b"auto vb\niface vb\n\tbridge_ports none\n");
    assert_eq!(node.run(&["sync"]).code, 4);
    assert_eq!(codes(&why(&node, "va")), ["not-ours"]);
}

#[test]
fn an_open_window_is_a_reason_for_what_it_tries_alone() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    declare(&repository, "10.0.0.1}\n  vb: {zone: one}");
    assert_eq!(node.run(&["sync"]).code, 0);
    declare(&repository, "10.0.0.2}\n  vb: {zone: one}");
    assert_eq!(node.run(&["sync"]).code, 0);
    // As on a node with a kernel, where the second apply would be watched.
    let window = Window {
        class: Class::Ordinary,
        boot: "b".to_owned(),
        opened: 0,
        until: u64::MAX,
        deadline: u64::MAX,
        settle: 10,
        manual: true,
        underlay: false,
        required: Vec::new(),
        watchlist: Watchlist::default(),
        silent: BTreeSet::new(),
    };
    let journal = node.root.join("var/lib/weft/journal");
    let confirmed = journal.join("00000002.confirmed");
    let mut entry: Value = serde_json::from_slice(&fs::read(&confirmed).unwrap()).unwrap();
    entry["window"] = serde_json::to_value(window).unwrap();
    fs::write(journal.join("00000002.applied"), entry.to_string()).unwrap();
    fs::remove_file(confirmed).unwrap();
    let said = node.run(&["why", "va", "--json"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(codes(&said.json()), ["window-open"], "{}", said.out);
    let said = node.run(&["why", "vb", "--json"]);
    assert_eq!(codes(&said.json()), Vec::<&str>::new(), "{}", said.out);
}

#[test]
fn without_the_cache_what_the_node_keeps_is_told() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    fs::remove_dir_all(node.root.join("var/cache/weft")).unwrap();
    let answer = why(&node, "va");
    let told = answer["declared"]["notes"][0].as_str().unwrap();
    assert!(told.starts_with("the declarations are not at hand: "), "{told}");
    assert_eq!(declarations(&answer), Vec::<String>::new());
    assert!(lines(&answer).contains(&"sdn: va address 10.0.0.1/24".to_owned()), "{answer:#}");
    assert_eq!(changes(&answer), [("came", 1)]);
    let said = node.run(&["why", "vaa", "--json"]);
    assert_eq!((said.code, said.json()["help"].as_str().unwrap()), (1, "did you mean `va`?"));
}

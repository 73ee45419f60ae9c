//! The engine on running nodes: what a commit says is what the kernel has afterwards, or
//! what it had before; and guests notice nothing of changes elsewhere.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::guest::Guest;
use crate::kernel::{assert_same, json, kernel};
use crate::lab::{BEYOND, Lab};
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::{FIRST, Scene, policy};

const NEEDS: &[Need] = &[Need::Bridge, Need::Vxlan, Need::IptablesNft];

pub(super) const CASES: &[Case] = &[
    Case::new("engine_push_reaches_two_nodes", NEEDS, push_reaches_two_nodes),
    Case::new("engine_changes_and_goes_back", NEEDS, changes_and_goes_back),
    Case::new("engine_keeps_guests", NEEDS, keeps_guests),
    Case::new("engine_rolls_back_what_fails", NEEDS, rolls_back_what_fails),
    Case::new("engine_has_rules_once", NEEDS, has_rules_once),
    Case::new("engine_loses_no_packet", NEEDS, loses_no_packet),
    Case::new("native_changes_and_goes_back", NEEDS, |lab| changes_and_goes(lab, NATIVE)),
    Case::new("native_keeps_guests", NEEDS, |lab| keeps(lab, NATIVE)),
    Case::new("native_loses_no_packet", NEEDS, |lab| loses_none(lab, NATIVE)),
    Case::new("native_meets_ifupdown2", NEEDS, native_meets_ifupdown2),
];

type Engines = &'static [&'static str];
const IFUPDOWN2: Engines = &["ifupdown2"];
const NATIVE: Engines = &["native"];

fn changes_and_goes_back(lab: &Lab) {
    changes_and_goes(lab, IFUPDOWN2);
}

fn keeps_guests(lab: &Lab) {
    keeps(lab, IFUPDOWN2);
}

fn loses_no_packet(lab: &Lab) {
    loses_none(lab, IFUPDOWN2);
}

/// What weft itself made is what ifupdown2 would have made of the same files: it finds no
/// difference, a reload changes nothing but rules that weft has elsewhere, and the next turn
/// puts those right. An engine that is changed finds everything in place.
fn native_meets_ifupdown2(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(NATIVE);
    let node = scene.node(1);
    let bare = kernel(&node);
    let text = FIRST.replace(
        "  vc: {zone: outz}\n",
        "  vc: {zone: outz, alias: \"a comment\", subnets: {\"fd00:7::/64\": {gateway: \"fd00:7::1\"}}}\n",
    );
    scene.apply(&node, &text);
    let made = kernel(&node);
    let checked = node.exec(&["ifquery", "-a", "--check"]);
    assert!(checked.success(), "{}{}", checked.stdout, checked.stderr);
    node.ifreload().ok();
    let without_rules = |mut kernel: std::collections::BTreeMap<&'static str, String>| {
        kernel.retain(|what, _| !matches!(*what, "nat" | "raw" | "nft"));
        kernel
    };
    assert_same(&without_rules(kernel(&node)), &without_rules(made.clone()));
    scene.push(&text.replace("mtu: 1400", "mtu: 1390"));
    scene.sync(&node);
    scene.push(&text);
    scene.sync(&node);
    assert_same(&kernel(&node), &made);
    assert_eq!(node.exec(&["weft", "plan"]).code(), 0);

    let settings = node.read("/etc/weft/agent.yaml");
    node.put("/etc/weft/agent.yaml", settings.replace("engine: native", "engine: ifupdown2"));
    scene.push(&text.replace("mtu: 1400", "mtu: 1390"));
    scene.sync(&node);
    scene.push(&text);
    scene.sync(&node);
    assert_same(&without_rules(kernel(&node)), &without_rules(made));
    node.put("/etc/weft/agent.yaml", settings);
    scene.apply(&node, &text);
    scene.apply(&node, "{}\n");
    assert_same(&kernel(&node), &bare);
    // With a guest, which ifupdown2's reload and the rules that it adds leave alone too.
    scene.apply(&node, &text);
    let guest =
        Guest::plan(101).address("10.0.0.10/24").gateway("10.0.0.1").start(lab, &node, "va");
    guest.reaches(&BEYOND.to_string());
    node.ifreload().ok();
    guest.reaches(&BEYOND.to_string());
    assert_eq!(scene.try_sync(&node, &["apply", "--refresh"]).code(), 0);
    guest.reaches(&BEYOND.to_string());
    assert_eq!(node.exec(&["weft", "plan"]).code(), 0);
}

fn file(node: &Node) -> Option<String> {
    node.exists(SDN_FILE).then(|| node.read(SDN_FILE))
}

/// A commit changes two nodes; guests reach an outside host through source NAT, and each
/// other through the tunnel.
fn push_reaches_two_nodes(lab: &Lab) {
    let scene = Scene::start(lab);
    let nodes = [scene.node(1), scene.node(2)];
    scene.push(FIRST);
    for node in &nodes {
        scene.sync(node);
    }
    let inner = Guest::plan(101).address("10.0.0.10/24").gateway("10.0.0.1");
    let inner = inner.start(lab, &nodes[0], "va");
    inner.reaches("10.0.0.1");
    inner.reaches(&BEYOND.to_string());
    let [first, second] = [0_u32, 1].map(|index| {
        let plan = Guest::plan(110 + index).address(&format!("10.9.0.{}/24", index + 1)).mtu(1450);
        plan.start(lab, &nodes[index as usize], "vb")
    });
    first.reaches("10.9.0.2");
    second.reaches("10.9.0.1");
    let status = json(&nodes[0].exec(&["weft", "--json", "status"]).ok());
    assert_eq!(status["running"]["commit"]["commit"], scene.copy.head());
    assert_eq!(nodes[0].exec(&["weft", "plan"]).code(), 0);
}

/// A changed MTU, a changed VXLAN id, a vnet more and one less are each in the kernel;
/// reverts bring back the first bytes and the first kernel state.
fn changes_and_goes(lab: &Lab, engines: Engines) {
    let scene = Scene::start(lab).with_engines(engines);
    let node = scene.node(1);
    let bare = kernel(&node);
    scene.apply(&node, FIRST);
    let (bytes, first) = (file(&node), kernel(&node));
    let mut commits = Vec::new();
    let mut change = |text: &str| {
        commits.push(scene.push(text));
        scene.sync(&node);
    };
    let mtu = FIRST.replace("mtu: 1400", "mtu: 1380");
    change(&mtu);
    assert_eq!(node.read("/sys/class/net/va/mtu").trim(), "1380");
    let id = mtu.replace("tag: 100", "tag: 101");
    change(&id);
    let link = node.exec(&["ip", "-d", "link", "show", "vxlan_vb"]).ok();
    assert!(link.contains("vxlan id 101"), "{link}");
    assert_eq!(node.master("vxlan_vb").as_deref(), Some("vb"));
    let more =
        id.replace("  vc: {zone: outz}\n", "  vd: {zone: tunz, tag: 102, alias: \"a comment\"}\n");
    change(&more);
    assert!(!node.exists("/sys/class/net/vc") && node.exists("/sys/class/net/vxlan_vd"));
    assert_eq!(node.read("/sys/class/net/vd/ifalias").trim(), "a comment");
    let less = more
        .replace(", alias: \"a comment\"", "")
        .replace("mtu: 1380", "ipam: pve")
        .replace(", ipam: pve", "")
        .replace("{gateway: 10.0.0.1, snat: true}", "{}");
    change(&less);
    assert_eq!(node.read("/sys/class/net/vd/ifalias").trim(), "");
    assert_eq!(node.read("/sys/class/net/va/mtu").trim(), "1500");
    assert_eq!(node.read("/proc/sys/net/ipv4/conf/va/forwarding").trim(), "0");
    assert!(!kernel(&node)["addresses"].contains("10.0.0.1"), "the gateway is still there");
    assert_eq!((kernel(&node)["nat"].as_str(), kernel(&node)["nft"].as_str()), ("", ""));
    for commit in commits.iter().rev() {
        scene.copy.revert(&scene.alice, commit);
        scene.copy.push();
        scene.sync(&node);
    }
    let without_version =
        |text: Option<String>| text.map(|t| t.split_once('\n').map(|t| t.1.to_owned()));
    assert_eq!(without_version(file(&node)), without_version(bytes));
    assert_same(&kernel(&node), &first);
    // All of it gone: the kernel is what it was before weft.
    scene.apply(&node, "{}\n");
    assert_same(&kernel(&node), &bare);
}

/// Guests' ports keep their place and their flags while everything around them changes,
/// and a vnet with guests is not taken away.
fn keeps(lab: &Lab, engines: Engines) {
    let scene = Scene::start(lab).with_engines(engines);
    let node = scene.node(1);
    scene.apply(&node, FIRST);
    let _guests = [(101, "va"), (102, "vb")].map(|(number, bridge)| {
        let guest = Guest::plan(number).start(lab, &node, bridge);
        let words =
            ["bridge", "link", "set", "dev", &guest.port(), "isolated", "on", "learning", "off"];
        node.exec(&words).ok();
        guest
    });
    // A port whose name says nothing, as libvirt's or somebody's own.
    node.exec(&["ip", "link", "add", "mine", "type", "veth", "peer", "name", "mine2"]).ok();
    node.exec(&["ip", "link", "set", "mine", "master", "va", "up"]).ok();
    let ports = |node: &Node| {
        let mut ports = json(&node.exec(&["bridge", "-d", "-j", "link"]).ok());
        let ports = ports.as_array_mut().expect("a list");
        ports.retain(|port| {
            let name = port["ifname"].as_str().unwrap_or_default();
            name.starts_with("tap") || name == "mine"
        });
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            port.retain(|key, _| {
                !matches!(key.as_str(), "mcast_n_groups" | "mcast_router" | "state")
            });
            // Whether there is a carrier the kernel tells a moment later.
            if let Some(flags) = port.get_mut("flags").and_then(Value::as_array_mut) {
                flags.retain(|flag| flag == "UP");
            }
        }
        serde_json::to_string_pretty(ports).expect("text")
    };
    let before = ports(&node);
    assert_eq!(before.matches("\"isolated\": true").count(), 2, "{before}");
    let mut text = FIRST.to_owned();
    for (from, to) in [
        ("mtu: 1400", "mtu: 1390"),
        ("tag: 100", "tag: 101"),
        ("gateway: 10.0.0.1,", "gateway: 10.0.0.2,"),
        ("  vc: {zone: outz}\n", "  ve: {zone: tunz, tag: 105}\n"),
        (", snat: true", ""),
        ("{type: simple, mtu: 1390}", "{type: simple}"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
        scene.apply(&node, &text);
        assert_eq!(ports(&node), before, "after {from} became {to}");
    }

    let (bytes, kernel_before) = (file(&node), kernel(&node));
    let without = text.replace("  vb: {zone: tunz, tag: 101}\n", "");
    scene.push(&without);
    let said = scene.try_sync(&node, &["sync"]);
    assert_eq!(said.code(), 4, "{}", said.stdout);
    assert!(
        said.stdout.contains("guests-on-vnet") && said.stdout.contains("tap102i0"),
        "{}",
        said.stdout
    );
    assert_eq!(file(&node), bytes);
    assert_same(&kernel(&node), &kernel_before);

    // One that is configured and does not run.
    node.exec(&["ip", "link", "set", "tap102i0", "nomaster"]).ok();
    node.put("/etc/pve/qemu-server/102.conf", "net0: virtio=BC:24:11:00:00:66,bridge=vb\n");
    let said = scene.try_sync(&node, &["sync"]);
    assert!(said.code() == 4 && said.stdout.contains("102.conf"), "{}", said.stdout);
    // The policy of a commit may say that it is meant.
    let allowed = "allow-removal-with-guests: [vb]\n";
    scene.copy.write(".weft/policy.yaml", &(policy(&scene.alice) + allowed));
    scene.copy.commit(&scene.alice, "Allow it");
    scene.copy.push();
    scene.sync(&node);
    assert!(!node.exists("/sys/class/net/vb") && !node.exists("/sys/class/net/vxlan_vb"));
}

/// What ifupdown2 does not do, whatever it says of itself, is found in the kernel, undone
/// and told.
fn rolls_back_what_fails(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(IFUPDOWN2);
    let node = scene.node(1);
    scene.apply(&node, FIRST);
    let (bytes, before) = (file(&node), kernel(&node));
    let runs =
        json(&node.exec(&["weft", "--json", "status"]).ok())["running"]["commit"]["commit"].clone();
    // The kernel takes no such MTU for a bridge; ifupdown2 warns and ends with 0.
    let rolled_back = |why: &str| {
        let said = scene.try_sync(&node, &["sync"]);
        assert_eq!(said.code(), 6, "{}{}", said.stdout, said.stderr);
        let message = json(&said.stdout)["status"]["message"].to_string();
        assert!(message.contains("rolled back") && message.contains(why), "{message}");
        assert_eq!(file(&node), bytes);
        assert_same(&kernel(&node), &before);
        let status = json(&node.exec(&["weft", "--json", "status"]).stdout);
        assert_eq!(status["running"]["commit"]["commit"], runs);
    };
    node.exec(&["cp", "-a", "/usr/sbin/ifup", "/usr/sbin/ifup.real"]).ok();
    node.exec(&["rm", "/usr/sbin/ifup"]).ok();
    node.put_with_mode("/usr/sbin/ifup", "#!/bin/sh\nexit 0\n", 0o755);
    scene.push(&FIRST.replace("mtu: 1400", "mtu: 1380"));
    rolled_back("has the MTU 1400, where 1380 is wanted");

    // One that brings up something else than it was told.
    let script = "#!/bin/sh\n/usr/sbin/ifup.real \"$@\"\nip link set dev vb down\nexit 0\n";
    node.put_with_mode("/usr/sbin/ifup", script, 0o755);
    scene.push(&FIRST.replace("  vc: {zone: outz}\n", "  vd: {zone: tunz, tag: 104}\n"));
    let said = scene.try_sync(&node, &["sync"]);
    // It does the same on the way back: nobody can put this right but a person.
    assert_eq!(said.code(), 5, "{}{}", said.stdout, said.stderr);
    assert_eq!(file(&node), bytes);
    node.exec(&["mv", "/usr/sbin/ifup.real", "/usr/sbin/ifup"]).ok();
    // The next turn brings it to an end; what failed is tried again when a person says so.
    let said = scene.try_sync(&node, &["sync"]);
    assert_eq!(said.code(), 6, "{}{}", said.stdout, said.stderr);
    assert_same(&kernel(&node), &before);
    let said = scene.try_sync(&node, &["apply", "--refresh"]);
    assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    assert!(node.exists("/sys/class/net/vd") && !node.exists("/sys/class/net/vc"));

    // An interface in the place of a vnet that somebody else made.
    node.exec(&["ip", "link", "add", "name", "vg", "type", "bridge"]).ok();
    scene.push(&FIRST.replace("  vc:", "  vg:"));
    let said = scene.try_sync(&node, &["sync"]);
    assert!(said.code() == 4 && said.stdout.contains("interface-not-ours"), "{}", said.stdout);
}

/// Rules are there once, however often ifupdown2 adds them.
fn has_rules_once(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(IFUPDOWN2);
    let node = scene.node(1);
    let count = |table: &str| {
        let text = node.exec(&["iptables-save", "-t", table]).ok();
        text.lines().filter(|line| line.starts_with("-A")).count()
    };
    for mtu in [1400, 1390, 1380] {
        let two = FIRST.replace("mtu: 1400", &format!("mtu: {mtu}")).replace(
            "  vc: {zone: outz}\n",
            "  vc: {zone: outz, subnets: {10.3.0.0/24: {gateway: 10.3.0.1, snat: true}}}\n",
        );
        scene.apply(&node, &two);
        assert_eq!((count("nat"), count("raw")), (2, 1), "with MTU {mtu}");
    }
    node.ifreload().ok();
    assert!(count("nat") > 2 && count("raw") > 1);
    // A rule of somebody else's is left alone, however often it is there.
    for _ in 0..2 {
        let rule =
            ["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "10.77.0.0/24", "-j", "ACCEPT"];
        node.exec(&rule).ok();
    }
    assert_eq!(node.exec(&["weft", "plan"]).code(), 2);
    let said = scene.try_sync(&node, &["apply", "--refresh"]);
    assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    assert_eq!((count("nat"), count("raw")), (4, 1));
    node.ifreload().ok();
    scene.apply(&node, FIRST);
    assert_eq!((count("nat"), count("raw")), (3, 1));
}

/// A ping every 5 ms through one vnet, from before until after others change, loses none.
/// An answer that is late is not lost.
fn loses_none(lab: &Lab, engines: Engines) {
    let scene = Scene::start(lab).with_engines(engines);
    let node = scene.node(1);
    scene.apply(&node, FIRST);
    let guest =
        Guest::plan(101).address("10.0.0.10/24").gateway("10.0.0.1").start(lab, &node, "va");
    guest.reaches("10.0.0.1");
    // No question for a neighbour may be lost among the pings.
    let mac = node.read("/sys/class/net/va/address");
    guest
        .exec(&[
            "ip",
            "neigh",
            "replace",
            "10.0.0.1",
            "lladdr",
            mac.trim(),
            "dev",
            "eth0",
            "nud",
            "permanent",
        ])
        .ok();
    let shown = json(&guest.exec(&["ip", "-j", "link", "show", "eth0"]).ok());
    let mac = shown[0]["address"].as_str().expect("a MAC").to_owned();
    node.exec(&[
        "ip",
        "neigh",
        "replace",
        "10.0.0.10",
        "lladdr",
        &mac,
        "dev",
        "va",
        "nud",
        "permanent",
    ])
    .ok();
    let flood = guest.spawn(&["ping", "-n", "-q", "-i", "0.005", "-W", "5", "10.0.0.1"]);
    for (tag, mtu) in [(101, 1440), (102, 1430), (103, 1420)] {
        let text = FIRST
            .replace("tag: 100", &format!("tag: {tag}"))
            .replace("{type: vxlan}", &format!("{{type: vxlan, mtu: {mtu}}}"))
            .replace("  vc: {zone: outz}\n", if tag == 102 { "" } else { "  vc: {zone: outz}\n" });
        scene.apply(&node, &text);
    }
    flood.signal(Signal::SIGINT);
    let said = flood.output_within(Duration::from_secs(10));
    let lost = said.stdout.lines().find(|line| line.contains("packet loss")).expect("a summary");
    assert!(lost.contains(" 0% packet loss"), "{lost}");
    let sent: u32 = lost.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(sent > 200, "{lost}");
}

//! Services that follow the files: FRR of a node speaks with a router outside, and the
//! dnsmasq of a zone gives addresses to guests.

use std::time::Duration;

use crate::guest::Guest;
use crate::kernel::json;
use crate::lab::Lab;
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::Scene;
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[
    Case {
        limit: Duration::from_secs(180),
        ..Case::new("services_follow_their_files", &[Need::Bridge], services_follow_their_files)
    },
    Case {
        limit: Duration::from_secs(180),
        ..Case::new("services_are_read_back", &[Need::Bridge], are_read_back)
    },
];

/// Time for daemons to start and sessions to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the router announces.
const BEHIND_ROUTER: &str = "203.0.113.0/24";

/// Where the zone's dnsmasq reads.
const ZONE: &str = "/etc/dnsmasq.d/outz";

const NETWORK: &str = "\
zones:
  outz: {type: simple, dhcp: dnsmasq, ipam: pve}
vnets:
  va:
    zone: outz
    subnets:
      10.0.0.0/24: {gateway: 10.0.0.1}
";

const CONTROLLER: &str = "\
controllers:
  up: {type: bgp, node: node1, asn: 65001, peers: [192.168.0.2], ebgp: true}
";

const WITHOUT_SERVICES: &str = "\
zones:
  outz: {type: simple}
vnets:
  va: {zone: outz}
";

fn services_follow_their_files(lab: &Lab) {
    let scene = Scene::start(lab);
    let router = lab.node(2);
    router.boot_network();
    run_router(&router);
    let node = scene.node(1);
    // The user's own files beside weft's.
    node.put(&format!("{ZONE}/90-custom.conf"), "dhcp-option=option:ntp-server,192.0.2.123\n");
    node.put(&format!("{ZONE}/ethers"), "bc:24:11:00:00:65,10.0.0.50\n");
    let facts = || node.exec(&["weft", "facts", "--node", "node1"]).ok();
    let before = facts();

    scene.apply(&node, &[NETWORK, CONTROLLER].concat());
    let learnt = || node.exec(&["ip", "route", "show", BEHIND_ROUTER]).ok().contains("proto bgp");
    wait_until(PATIENCE, "the router's route is learnt", learnt);
    let guest = Guest::plan(101).start(lab, &node, "va");
    // A lease is told to nobody: the guest needs no address for this.
    let ask = ["udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "20", "-T", "1", "-s", "/bin/true"];
    let said = guest.command(&ask).within(PATIENCE).run();
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(said.success() && all.contains("lease of 10.0.0.50 obtained"), "{all}");
    assert_eq!(without_daemons(&facts()), without_daemons(&before));
    assert_eq!(node.exec(&["stat", "-c", "%U:%G %a", "/etc/frr/frr.conf"]).ok(), "frr:frr 640\n");

    // Nothing changes, and what somebody stops is found out and started again.
    let history = || node.exec(&["weft", "history", "--json"]).ok().matches("\"number\"").count();
    let count = history();
    scene.sync(&node);
    assert_eq!(history(), count);
    stop_dnsmasq(&node);
    let plan = node.exec(&["weft", "plan"]);
    assert_eq!(plan.code(), 2, "{}{}", plan.stdout, plan.stderr);
    assert!(plan.stdout.contains("restart dnsmasq@outz"), "{}", plan.stdout);
    node.exec(&["weft", "apply", "--refresh"]).ok();
    assert!(dnsmasq_runs(&node));

    scene.apply(&node, WITHOUT_SERVICES);
    assert!(!dnsmasq_runs(&node));
    wait_until(PATIENCE, "the router's route is gone", || !learnt());
    assert!(!node.exists("/etc/frr/frr.conf") && !node.exists(&format!("{ZONE}/00-default.conf")));
    for file in ["90-custom.conf", "ethers"] {
        assert!(node.exists(&format!("{ZONE}/{file}")), "{file} is gone");
    }
    let running = node.exec(&["vtysh", "-c", "show running-config"]).ok();
    assert!(!running.contains("router bgp"), "{running}");
}

/// What a service did not take is found in what it runs, whatever it said, and undone.
fn are_read_back(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    node.exec(&["mkdir", "-p", "/run/dbus"]).ok();
    node.exec(&["dbus-daemon", "--system", "--fork"]).ok();
    scene.apply(&node, &[NETWORK, CONTROLLER].concat());
    let running = || node.exec(&["vtysh", "-c", "show running-config"]).ok();
    let first = |text: &str| text.matches("remote-as").count();
    assert_eq!(first(&running()), 1);
    let is_undone = |network: &str, why: &str| {
        let files =
            ["/etc/frr/frr.conf", &format!("{ZONE}/10-va.conf")].map(|path| node.read(path));
        // What was undone would be left alone.
        node.remove("/var/lib/weft/quarantine");
        scene.push(network);
        let said = scene.try_sync(&node, &["sync"]);
        assert_eq!(said.code(), 6, "{}{}", said.stdout, said.stderr);
        let message = json(&said.stdout)["status"]["message"].to_string();
        assert!(message.contains("rolled back") && message.contains(why), "{message}");
        let now = ["/etc/frr/frr.conf", &format!("{ZONE}/10-va.conf")].map(|path| node.read(path));
        assert_eq!(now, files);
    };
    // In the place of a program one that does something first and something afterwards.
    let wrap = |path: &str, script: &str| {
        node.exec(&["mv", path, &format!("{path}.real")]).ok();
        node.put_with_mode(path, script, 0o755);
    };
    let unwrap = |path: &str| node.exec(&["mv", &format!("{path}.real"), path]).ok();

    // FRR that leaves out a neighbour, and says that all is well.
    let watchfrr = node.exec(&["pgrep", "-x", "watchfrr"]).ok();
    let reload = "/usr/lib/frr/frr-reload.py";
    let ignoring = "#!/bin/sh\nfor file; do :; done\ngrep -v 192.168.0.3 \"$file\" >/run/some.conf\n\
        exec /usr/lib/frr/frr-reload.py.real --stdout --confdir /run --reload /run/some.conf\n";
    wrap(reload, ignoring);
    let more = CONTROLLER.replace("[192.168.0.2]", "[192.168.0.2, 192.168.0.3]");
    is_undone(&[NETWORK, &more].concat(), "it did not take it");
    unwrap(reload);
    assert_eq!(first(&running()), 1);
    // One that fails is not started anew for that.
    wrap(reload, "#!/bin/sh\nexit 1\n");
    is_undone(&[NETWORK, &more].concat(), "reload FRR");
    unwrap(reload);
    assert_eq!(node.exec(&["pgrep", "-x", "watchfrr"]).ok(), watchfrr, "FRR was started anew");

    // A dnsmasq that does not start, and one that starts and hangs.
    let helper = "/usr/share/dnsmasq/systemd-helper";
    let other = NETWORK.replace("gateway: 10.0.0.1", "gateway: 10.0.0.2");
    let once = "test -e /run/once && exec $0.real \"$@\"\n";
    for (script, why) in [
        ("test \"$1\" = exec && { touch /run/once; exit 1; }\n", "restart dnsmasq@outz"),
        (
            "test \"$1\" = exec && { touch /run/once; $0.real \"$@\"; exec pkill -STOP -x dnsmasq; }\n",
            "dnsmasq@outz",
        ),
    ] {
        node.remove("/run/once");
        wrap(helper, &["#!/bin/sh\n", once, script, "exec $0.real \"$@\"\n"].concat());
        is_undone(&[&other, CONTROLLER].concat(), why);
        unwrap(helper);
        let answers = || {
            let words = [
                "dbus-send",
                "--system",
                "--print-reply",
                "--dest=uk.org.thekelleys.dnsmasq.outz",
                "/uk/org/thekelleys/dnsmasq",
                "uk.org.thekelleys.dnsmasq.GetVersion",
            ];
            node.exec(&words).success()
        };
        wait_until(PATIENCE, "the earlier dnsmasq serves", answers);
    }
}

/// A router outside, which accepts and announces everything.
fn run_router(router: &Node) {
    router.put(
        "/etc/frr/frr.conf",
        format!(
            "frr defaults traditional\nhostname router\n!\nrouter bgp 65100\n \
             no bgp ebgp-requires-policy\n no bgp network import-check\n \
             neighbor 192.168.0.1 remote-as 65001\n neighbor 192.168.0.1 bfd\n !\n address-family ipv4 unicast\n  \
             network {BEHIND_ROUTER}\n exit-address-family\nexit\n!\n"
        ),
    );
    let daemons = router.read("/etc/frr/daemons");
    let daemons = daemons.replace("bgpd=no", "bgpd=yes").replace("bfdd=no", "bfdd=yes");
    router.put("/etc/frr/daemons", daemons);
    router.command(&["/usr/lib/frr/frrinit.sh", "start"]).within(PATIENCE).run().ok();
}

/// What weft sets in the administrator's file is no fact that changes a rendering.
fn without_daemons(facts: &str) -> serde_json::Value {
    let mut facts: serde_json::Value = serde_json::from_str(facts).expect("JSON");
    facts["frr"]["daemons"] = serde_json::Value::Null;
    facts
}

fn dnsmasq_runs(node: &Node) -> bool {
    node.exec(&["pgrep", "-x", "dnsmasq"]).success()
}

fn stop_dnsmasq(node: &Node) {
    node.exec(&["pkill", "-x", "dnsmasq"]).ok();
    wait_until(PATIENCE, "dnsmasq has ended", || !dnsmasq_runs(node));
}

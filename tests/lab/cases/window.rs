//! The window of an apply: a commit that breaks something undoes itself, whatever dies in
//! between, and one that does not is kept.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::command::Process;
use crate::git::Ssh;
use crate::kernel::{assert_same, kernel};
use crate::lab::{BEYOND, Lab, OUTSIDE};
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::{FIRST, Scene};
use crate::wait::wait_until;

const NEEDS: &[Need] = &[Need::Bridge, Need::Vxlan, Need::IptablesNft];

pub(super) const CASES: &[Case] = &[
    Case { limit: LIMIT, ..Case::new("window_undoes_what_cuts", NEEDS, undoes_what_cuts) },
    Case { limit: LIMIT, ..Case::new("window_survives_deaths", NEEDS, survives_deaths) },
    Case { limit: LIMIT, ..Case::new("window_gives_way", NEEDS, gives_way) },
    Case { limit: LIMIT, ..Case::new("window_knows_no_haste", NEEDS, knows_no_haste) },
    Case { limit: LIMIT, ..Case::new("window_needs_no_git", NEEDS, needs_no_git) },
];

const LIMIT: Duration = Duration::from_secs(240);
/// A turn, a window and a way back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Another address of the host outside, by which a node reaches the git server and
/// nothing else.
const GIT: &str = "192.168.0.253";

/// A vnet more, whose subnet hides what nodes reach by the underlay.
fn hiding(subnet: &str, gateway: &str) -> String {
    FIRST.replace(
        "  vc: {zone: outz}\n",
        &format!("  vc: {{zone: outz, subnets: {{{subnet}: {{gateway: {gateway}}}}}}}\n"),
    )
}

/// Settings of a node that fetches over ssh from the host's other address, with short
/// windows.
pub(super) fn settings(scene: &Scene<'_>, node: &Node, rest: &str) {
    let key = scene.server.ssh.issue_key(node.name());
    node.put_with_mode("/etc/weft/key", &key.private, 0o600);
    let known = scene.server.ssh.known_hosts().replace(&OUTSIDE.to_string(), GIT);
    node.put("/etc/weft/known_hosts", known);
    let url = Ssh::url("config").replace(&OUTSIDE.to_string(), GIT);
    node.put(
        "/etc/weft/agent.yaml",
        format!(
            "cluster: lab\nnode: {}\nmode: apply\nschedule: {{every: 5s}}\n\
             confirm: {{settle: 1s, window: 8s, long-window: 10s, coordinated-window: 20s, reserve: 15s}}\n\
             remotes:\n  - {{name: origin, url: \"{url}\", known-hosts: /etc/weft/known_hosts, credential: deploy}}\n\
             credentials:\n  deploy: {{type: ssh-key, file: /etc/weft/key, origin: \"ssh://{GIT}\"}}\n\
             introduction:\n  commit: {}\n  signer: \"{}\"\n{rest}",
            node.name(),
            scene.introduction,
            scene.fingerprint
        ),
    );
}

/// Lets the host outside pass what comes to its other address on to the git server.
pub(super) fn open_git(lab: &Lab) {
    let outside = lab.outside();
    outside.exec(&["ip", "addr", "add", &format!("{GIT}/32"), "dev", "eth0"]).ok();
    let to = OUTSIDE.to_string();
    let words = [
        "iptables",
        "-t",
        "nat",
        "-A",
        "PREROUTING",
        "-d",
        GIT,
        "-j",
        "DNAT",
        "--to-destination",
        &to,
    ];
    outside.exec(&words).ok();
}

pub(super) fn status(node: &Node) -> Value {
    let said = node.exec(&["weft", "--json", "status"]);
    serde_json::from_str(&said.stdout).unwrap_or_default()
}

pub(super) fn agent(node: &Node) -> Process {
    node.spawn(&["weft", "agent"])
}

#[track_caller]
pub(super) fn comes_to(node: &Node, commit: &str) {
    let runs = || status(node)["running"]["commit"]["commit"] == commit;
    wait_until(PATIENCE, &format!("{} runs {commit}", node.name()), runs);
}

#[track_caller]
pub(super) fn is_undone(node: &Node, why: &str) {
    let undone = || {
        let last = &status(node)["last"];
        last["state"] == "rolled-back" && last["message"].to_string().contains(why)
    };
    wait_until(PATIENCE, &format!("a commit is undone: {why}"), undone);
}

#[track_caller]
pub(super) fn opens(node: &Node) {
    let open = || {
        // Before the first apply there is none.
        let journal = node.exec(&["ls", "/var/lib/weft/journal"]).stdout;
        journal.lines().any(|name| name.ends_with(".applied"))
    };
    wait_until(PATIENCE, "a window is open", open);
}

fn without_version(node: &Node) -> String {
    let text = node.read(SDN_FILE);
    text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// One that cuts the git server off, one that cuts the gateway off, one that a probe of the
/// node's own finds broken: each is undone, and not tried again soon. A commit that has
/// nothing to do with it is applied, and so is a revert.
fn undoes_what_cuts(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    open_git(lab);
    let probes = format!("probes: {{beyond: {{icmp: {BEYOND}}}}}\n");
    settings(&scene, &node, &probes);
    let mut runs = scene.push(FIRST);
    let agent = agent(&node);
    comes_to(&node, &runs);
    let (text, before) = (without_version(&node), kernel(&node));
    for (subnet, gateway, why) in [
        ("192.168.0.252/31", "192.168.0.252", "remote `origin`"),
        ("192.168.0.128/25", "192.168.0.129", "remote `origin`"),
        ("8.8.8.0/24", "8.8.8.1", "probe `beyond`"),
    ] {
        let bad = scene.push(&hiding(subnet, gateway));
        is_undone(&node, why);
        assert_eq!(without_version(&node), text, "{subnet}");
        assert_same(&kernel(&node), &before);
        assert_eq!(status(&node)["running"]["commit"]["commit"], runs.as_str());
        // It is left alone.
        is_undone(&node, "left alone");
        let entries = || node.exec(&["ls", "/var/lib/weft/journal"]).ok();
        let tried = entries();
        std::thread::sleep(Duration::from_secs(7));
        assert_eq!(entries(), tried, "{subnet} was tried again");
        runs = scene.copy.revert(&scene.alice, &bad);
        scene.copy.push();
        comes_to(&node, &runs);
        assert_eq!(without_version(&node), text);
    }
    let other = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1390"));
    comes_to(&node, &other);
    assert_eq!(node.read("/sys/class/net/va/mtu").trim(), "1390");
    end(agent);
}

pub(super) fn end(agent: Process) {
    agent.signal(Signal::SIGTERM);
    let said = agent.output_within(PATIENCE);
    assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
}

/// Whoever applies is killed while a window is open: a good change is confirmed by the next
/// agent, a bad one is undone by the watchdog, and a machine that starts anew comes up with
/// what ran before.
fn survives_deaths(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    open_git(lab);
    settings(&scene, &node, "");
    let first = scene.push(FIRST);
    let mut running = agent(&node);
    comes_to(&node, &first);
    let bad = hiding("192.168.0.252/31", "192.168.0.252");

    // The next agent goes on.
    let second = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1390"));
    opens(&node);
    running.signal(Signal::SIGKILL);
    drop(running);
    running = agent(&node);
    comes_to(&node, &second);

    // Nobody goes on: the watchdog undoes it.
    let (text, before) = (without_version(&node), kernel(&node));
    scene.push(&bad);
    opens(&node);
    running.signal(Signal::SIGKILL);
    drop(running);
    let undone = || node.exec(&["weft", "history", "-n", "1"]).ok().contains("rolled back");
    wait_until(PATIENCE, "the watchdog undoes it", undone);
    assert_eq!(without_version(&node), text);
    assert_same(&kernel(&node), &before);
    let watchdogs = || node.exec(&["pgrep", "-f", "weft watchdog"]).success();
    wait_until(PATIENCE, "the watchdog ends", || !watchdogs());
    // It is remembered.
    running = agent(&node);
    is_undone(&node, "left alone");

    // An agent that hangs is ended.
    let third = scene.push(&hiding("192.168.0.252/31", "192.168.0.253"));
    opens(&node);
    running.signal(Signal::SIGSTOP);
    wait_until(PATIENCE, "the watchdog ends the agent and undoes it", undone);
    assert_eq!(without_version(&node), text);
    assert_same(&kernel(&node), &before);
    drop(running);

    // The machine starts anew within a window.
    scene.copy.revert(&scene.alice, &third);
    let fourth = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1380"));
    running = agent(&node);
    opens(&node);
    running.signal(Signal::SIGKILL);
    drop(running);
    node.exec(&["pkill", "-KILL", "-f", "weft watchdog"]).ok();
    assert!(node.read(SDN_FILE).contains("mtu 1380"));
    power_off(&node);
    node.put("/tmp/boot", "00000000-0000-4000-8000-000000000000\n");
    node.exec(&["mount", "--bind", "/tmp/boot", "/proc/sys/kernel/random/boot_id"]).ok();
    let said = node.exec(&["weft", "boot-restore"]).ok();
    assert!(said.contains("started anew"), "{said}");
    assert_eq!(without_version(&node), text);
    assert!(!node.exists("/var/tmp/network/ifstatenew"));
    node.boot_network();
    // As `weft-up.service` does.
    node.exec(&["weft", "apply", "--boot"]).ok();
    assert_same(&kernel(&node), &before);
    running = agent(&node);
    is_undone(&node, "left alone");
    // A person may want it all the same.
    let said = node.command(&["weft", "apply", "--refresh"]).within(PATIENCE).run();
    assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    comes_to(&node, &fourth);
    end(running);
}

/// Takes away what no kernel has when it starts.
fn power_off(node: &Node) {
    for link in ["va", "vb", "vc", "vxlan_vb"] {
        node.exec(&["ip", "link", "del", link]).ok();
    }
    for table in ["nat", "raw"] {
        node.exec(&["iptables", "-t", table, "-F"]).ok();
    }
    node.exec(&["rm", "-rf", "/run/weft"]).ok();
}

/// A newer commit ends a window in which something is down; a person keeps what only a
/// person may confirm, goes back, and holds the node.
fn gives_way(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    open_git(lab);
    settings(&scene, &node, &format!("probes: {{beyond: {{icmp: {BEYOND}}}}}\n"));
    let text = node.read("/etc/weft/agent.yaml").replace("window: 8s", "window: 40s");
    let text = text
        .replace("long-window: 10s", "long-window: 60s")
        .replace("coordinated-window: 20s", "coordinated-window: 60s");
    node.put("/etc/weft/agent.yaml", text);
    let first = scene.push(FIRST);
    let running = agent(&node);
    comes_to(&node, &first);
    scene.push(&hiding("8.8.8.0/24", "8.8.8.1"));
    opens(&node);
    let better = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1390"));
    comes_to(&node, &better);
    let history = node.exec(&["weft", "--json", "history"]).ok();
    assert!(history.contains("rolledback"), "{history}");
    // It was not to blame for more than its time: it may be tried again.
    let undone = node.read("/var/lib/weft/quarantine");
    assert!(undone.contains("\"held\": []") && !undone.contains("haste"), "{undone}");

    let held = node.exec(&["weft", "hold", "--for", "1h", "--reason", "maintenance"]).ok();
    assert!(held.contains("maintenance"), "{held}");
    let waits = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1380"));
    wait_until(PATIENCE, "the node is held", || status(&node)["last"]["state"] == "held");
    assert_eq!(node.exec(&["weft", "status"]).code(), 3);
    assert_eq!(status(&node)["running"]["commit"]["commit"], better.as_str());
    node.exec(&["weft", "resume"]).ok();
    comes_to(&node, &waits);

    // By hand.
    let manual = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1370"));
    let text =
        node.read("/etc/weft/agent.yaml").replace("{settle: 1s", "{mode: manual, settle: 1s");
    node.put("/etc/weft/agent.yaml", text);
    running.signal(Signal::SIGHUP);
    comes_to_or_opens(&node, &manual);
    running.signal(Signal::SIGHUP);
    let next = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1360"));
    opens(&node);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(status(&node)["last"]["state"], "window-open");
    assert_eq!(node.exec(&["weft", "status"]).code(), 7);
    node.exec(&["weft", "confirm"]).ok();
    comes_to(&node, &next);

    let said = node.command(&["weft", "rollback"]).within(PATIENCE).run();
    assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(node.read("/sys/class/net/va/mtu").trim(), "1370");
    assert!(status(&node)["last"]["hold"]["reason"].to_string().contains("rolled back"));
    end(running);
}

/// Whoever pushes on and on does not keep a node in a loop: three windows end for a newer
/// commit, the fourth has its whole time, and the newest commit waits behind it. A way back
/// does not wait, and a person decides otherwise.
fn knows_no_haste(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    open_git(lab);
    settings(&scene, &node, &format!("probes: {{beyond: {{icmp: {BEYOND}}}}}\n"));
    let text = node.read("/etc/weft/agent.yaml").replace("window: 8s", "window: 16s");
    let text = text.replace("long-window: 10s", "long-window: 20s");
    node.put("/etc/weft/agent.yaml", text);
    let first = scene.push(FIRST);
    let running = agent(&node);
    comes_to(&node, &first);
    let tried = |commit: &str| node.exec(&["weft", "--json", "history"]).ok().contains(commit);
    for (number, length) in [24, 23, 22, 21].into_iter().enumerate() {
        let bad = scene.push(&hiding(&format!("8.8.8.0/{length}"), "8.8.8.1"));
        wait_until(PATIENCE, &format!("{bad} is tried"), || tried(&bad));
        if number > 0 {
            let undone = node.read("/var/lib/weft/quarantine");
            assert!(undone.contains(&format!("\"windows\": {number}")), "{undone}");
        }
        opens(&node);
    }
    let fifth = scene.push(&hiding("8.8.0.0/20", "8.8.8.1"));
    let says = |words: &str| status(&node)["last"]["message"].to_string().contains(words);
    wait_until(PATIENCE, "the newest waits for the window", || says("waits for the end of this"));
    assert_eq!(status(&node)["last"]["state"], "window-open");
    wait_until(PATIENCE, "the newest waits", || says("is pending: 3 windows in a row"));
    assert!(!tried(&fifth));
    let why = node.exec(&["weft", "why", "vc"]);
    assert!(why.stdout.contains("[paused]"), "{}{}", why.stdout, why.stderr);
    let back = scene.push(FIRST);
    comes_to(&node, &back);
    let good = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1390"));
    wait_until(PATIENCE, "a good one waits too", || says("is pending: 3 windows in a row"));
    let said = node.command(&["weft", "apply", "--refresh"]).within(PATIENCE).run();
    assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    comes_to(&node, &good);
    assert!(!node.read("/var/lib/weft/quarantine").contains("haste"));
    end(running);
}

/// A commit that was pushed before the settings changed may be through, or wait for a
/// person: then it is confirmed.
#[track_caller]
fn comes_to_or_opens(node: &Node, commit: &str) {
    let through = || {
        let _ = node.exec(&["weft", "confirm"]);
        status(node)["running"]["commit"]["commit"] == commit
    };
    wait_until(PATIENCE, &format!("{} runs {commit}", node.name()), through);
}

/// A git server that was silent before the first change is not asked for.
fn needs_no_git(lab: &Lab) {
    let scene = Scene::start(lab);
    let node = scene.node(1);
    // The repository comes on its disk, and the server beside it is down.
    let text = node.read("/etc/weft/agent.yaml");
    let down = format!("remotes:\n  - {{name: down, url: \"https://{GIT}/config.git\"}}\n");
    node.put("/etc/weft/agent.yaml", text.replace("remotes:\n", &down));
    scene.apply(&node, FIRST);
    assert_eq!(status(&node)["running"]["commit"]["commit"], scene.copy.head());
    let history = node.exec(&["weft", "--json", "history"]).ok();
    assert!(history.contains("\"required\"") && !history.contains("rolledback"), "{history}");
    let entries: Value = serde_json::from_str(&history).expect("JSON");
    let required = entries[0]["window"]["required"].to_string();
    assert!(required.contains("gateway") && !required.contains("remote"), "{required}");
}

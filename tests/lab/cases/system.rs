//! weft under systemd, with the units that its package brings: what survives the agent, and
//! what comes before the network when the machine starts.

use std::time::Duration;

use super::window::{comes_to, is_undone, opens, status};
use crate::kernel::{assert_same, kernel};
use crate::lab::Lab;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::{FIRST, Scene};
use crate::system::System;
use crate::wait::wait_until;

const NEEDS: &[Need] = &[Need::Bridge, Need::Vxlan, Need::IptablesNft, Need::Systemd];

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(300),
    ..Case::new("system_survives_deaths", NEEDS, survives_deaths)
}];

/// A boot, or a window and a way back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the package puts its files.
const PACKAGE: [(&str, &str); 5] = [
    (
        "/usr/lib/systemd/system/weft.service",
        include_str!("../../../packaging/systemd/weft.service"),
    ),
    (
        "/usr/lib/systemd/system/weft-boot.service",
        include_str!("../../../packaging/systemd/weft-boot.service"),
    ),
    (
        "/usr/lib/systemd/system/weft-up.service",
        include_str!("../../../packaging/systemd/weft-up.service"),
    ),
    ("/usr/lib/sysusers.d/weft.conf", include_str!("../../../packaging/systemd/weft.sysusers")),
    ("/usr/lib/tmpfiles.d/weft.conf", include_str!("../../../packaging/systemd/weft.tmpfiles")),
];

/// What must not come up before weft's files are one generation: each keeps what it found.
const LATER: [&str; 3] = ["networking.service", "frr.service", "pve-sdn-commit.service"];

/// Puts the package and its settings on a node that is switched off.
fn install(scene: &Scene<'_>, node: &Node) {
    node.remove(SDN_FILE);
    scene.introduce(node);
    let settings = node.read("/etc/weft/agent.yaml");
    let windows = "confirm: {settle: 1s, window: 90s, long-window: 90s}";
    assert!(settings.contains(windows), "{settings}");
    let short = "schedule: {every: 5s}\nconfirm: {mode: manual, settle: 1s, window: 12s, long-window: 12s, reserve: 5s}";
    node.put("/etc/weft/agent.yaml", settings.replace(windows, short));
    for (path, text) in PACKAGE {
        node.put(path, text);
    }
    node.exec(&["systemd-sysusers", "weft.conf"]).ok();
    // Only what is looked at: a node of the lab needs no git server.
    node.exec(&["sh", "-c", "rm -f /etc/systemd/system/*.wants/*"]).ok();
    // What Proxmox has and Debian has not; and of FRR its order is enough.
    for unit in ["pve-sdn-commit.service", "frr.service"] {
        node.put(
            &format!("/etc/systemd/system/{unit}"),
            "[Service]\nType=oneshot\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
        );
    }
    for unit in LATER {
        node.put(
            &format!("/etc/systemd/system/{unit}.d/found.conf"),
            format!("[Service]\nExecStartPre=-/bin/cp {SDN_FILE} /srv/found-by-{unit}\n"),
        );
    }
    let units = ["weft.service", "weft-boot.service", "weft-up.service"].into_iter().chain(LATER);
    node.exec(&["systemctl", "enable"].into_iter().chain(units).collect::<Vec<_>>()).ok();
}

fn without_version(text: &str) -> String {
    text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

fn is_active(node: &Node, unit: &str) -> bool {
    node.exec(&["systemctl", "--quiet", "is-active", unit]).success()
}

#[track_caller]
fn comes_up(node: &Node) {
    wait_until(PATIENCE, "the agent runs", || is_active(node, "weft.service"));
}

fn property(node: &Node, unit: &str, name: &str) -> String {
    node.exec(&["systemctl", "show", "--value", "-p", name, unit]).ok().trim().to_owned()
}

/// The unit of the watchdog of the open window.
#[track_caller]
fn watchdog(node: &Node) -> String {
    let journal = node.exec(&["ls", "/var/lib/weft/journal"]).ok();
    let open = journal.lines().find_map(|name| name.strip_suffix(".applied"));
    let number: u64 = open.expect("a window is open").parse().expect("a number");
    format!("weft-watchdog-{number}.service")
}

fn survives_deaths(lab: &Lab) {
    let scene = Scene::start(lab);
    let mut node = System::new(lab, 1);
    install(&scene, &node);
    let mirror = |node: &Node| {
        scene.mirror(node);
        // Who fetches is a user of its own here.
        node.exec(&["chown", "-R", "weft-fetch", "/srv/config.git"]).ok();
    };
    let change = |node: &Node, network: &str| {
        let commit = scene.push(network);
        mirror(node);
        commit
    };
    let first = change(&node, FIRST);
    node.switch_on();
    comes_up(&node);
    opens(&node);
    node.exec(&["weft", "confirm"]).ok();
    comes_to(&node, &first);
    let (text, before) = (without_version(&node.read(SDN_FILE)), kernel(&node));
    units_are_right(&node);

    let undone = |node: &Node, watchdog: &str| {
        let history = || node.exec(&["weft", "history", "-n", "1"]).ok();
        wait_until(PATIENCE, "the watchdog undoes it", || history().contains("rolled back"));
        assert_eq!(without_version(&node.read(SDN_FILE)), text);
        assert_same(&kernel(node), &before);
        wait_until(PATIENCE, "the watchdog ends", || !is_active(node, watchdog));
        assert!(!is_active(node, "weft.service"));
    };
    // The agent and all that is in its unit are killed, or it is stopped: another one would
    // be started, and must not come.
    for (mtu, kill) in [(1390, true), (1380, false)] {
        let bad = change(&node, &FIRST.replace("mtu: 1400", &format!("mtu: {mtu}")));
        opens(&node);
        let watchdog = watchdog(&node);
        assert!(is_active(&node, &watchdog));
        let [own, its] =
            ["weft.service", &watchdog].map(|unit| property(&node, unit, "ControlGroup"));
        assert!(own.ends_with("/weft.service") && its.ends_with(&watchdog), "{own} {its}");
        if kill {
            node.exec(&["systemctl", "kill", "--signal=KILL", "weft.service"]).ok();
        }
        node.command(&["systemctl", "stop", "weft.service"]).within(PATIENCE).run().ok();
        assert!(is_active(&node, &watchdog), "{watchdog} went with the agent");
        assert_eq!(node.read("/sys/class/net/va/mtu").trim(), mtu.to_string());
        undone(&node, &watchdog);
        node.exec(&["systemctl", "start", "weft.service"]).ok();
        is_undone(&node, "left alone");
        let good = scene.copy.revert(&scene.alice, &bad);
        scene.copy.push();
        mirror(&node);
        comes_to(&node, &good);
    }

    // A watchdog that is killed comes again.
    let bad = change(&node, &FIRST.replace("mtu: 1400", "mtu: 1370"));
    opens(&node);
    let watchdog = watchdog(&node);
    let process = property(&node, &watchdog, "MainPID");
    node.exec(&["kill", "-KILL", &process]).ok();
    wait_until(PATIENCE, "the watchdog comes again", || {
        is_active(&node, &watchdog) && property(&node, &watchdog, "MainPID") != process
    });
    // The power fails within the window.
    assert!(node.read(SDN_FILE).contains("mtu 1370"));
    node.cut_power();
    node.switch_on();
    comes_up(&node);
    for unit in LATER {
        let found = node.read(&format!("/srv/found-by-{unit}"));
        assert_eq!(without_version(&found), text, "{unit} found another generation");
    }
    assert_same(&kernel(&node), &before);
    let said = node.exec(&["journalctl", "-b", "-u", "weft-boot.service", "--no-pager"]).ok();
    assert!(said.contains("started anew"), "{said}");
    assert_eq!(property(&node, "weft-up.service", "ExecMainStatus"), "0");
    is_undone(&node, "left alone");
    assert_ne!(status(&node)["running"]["commit"]["commit"], bad.as_str());
}

/// systemd takes the units as they are, and in this order.
fn units_are_right(node: &Node) {
    let said = node.exec(&[
        "systemd-analyze",
        "verify",
        "weft.service",
        "weft-boot.service",
        "weft-up.service",
    ]);
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(said.success() && !all.contains("weft"), "{all}");
    assert_eq!(node.exec(&["systemctl", "--failed", "--quiet", "--no-legend"]).ok(), "");
    let before = property(node, "weft-boot.service", "Before");
    let mounts = property(node, "weft-boot.service", "RequiresMountsFor");
    let has = |list: &str, word: &str| list.split(' ').any(|one| one == word);
    for unit in LATER {
        assert!(has(&before, unit), "{before}");
        let time = |unit: &str, property: &str| -> u64 {
            self::property(node, unit, property).parse().expect("a number")
        };
        let ended = time("weft-boot.service", "ExecMainExitTimestampMonotonic");
        let began = time(unit, "ExecMainStartTimestampMonotonic");
        assert!(ended < began, "{unit} began at {began}, before {ended}");
    }
    for directory in ["/var/lib/weft", "/etc/network"] {
        assert!(has(&mounts, directory), "{mounts}");
    }
}

//! Killed at each of its steps and started again, weft brings a node to exactly what it had
//! or exactly what it was to have, by the journal and by nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::guest::Guest;
use crate::kernel::{assert_same, kernel};
use crate::lab::Lab;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::Scene;
use crate::steps::{Step, Stepped, Whom, kill_at};
use crate::wait::wait_until;

const NEEDS: &[Need] = &[Need::Bridge, Need::Vxlan, Need::IptablesNft];

pub(super) const CASES: &[Case] = &[
    Case {
        limit: Duration::from_secs(300),
        ..Case::new("kill_apply", NEEDS, |lab| apply(lab, Step::changes, SOME))
    },
    Case {
        limit: Duration::from_secs(300),
        ..Case::new("kill_rollback", NEEDS, |lab| roll_back(lab, Step::changes, SOME))
    },
    Case::by_hand("kill_apply_everywhere", NEEDS, |lab| apply(lab, |_| true, ALL)),
    Case::by_hand("kill_rollback_everywhere", NEEDS, |lab| roll_back(lab, |_| true, ALL)),
];

/// Every day, every third of the steps that change something, another third each day: with
/// begins and ends in turn, and two ways to be killed in turn, all sorts come by.
const SOME: usize = 3;
/// By hand, each and every step.
const ALL: usize = 1;

/// A turn, a window and a way back.
const PATIENCE: Duration = Duration::from_secs(90);

/// A vnet that leads out and gives addresses, one between nodes, one that goes.
const OLD: &str = "\
zones:
  outz: {type: simple, mtu: 1400, dhcp: dnsmasq, ipam: pve}
  tunz: {type: vxlan}
vnets:
  va:
    zone: outz
    subnets:
      10.0.0.0/24: {gateway: 10.0.0.1, snat: true}
  vb: {zone: tunz, tag: 100}
  vc: {zone: outz}
";

/// Changes of both, one more, one less.
const NEW: &str = "\
zones:
  outz: {type: simple, mtu: 1380, dhcp: dnsmasq, ipam: pve}
  tunz: {type: vxlan}
vnets:
  va:
    zone: outz
    subnets:
      10.0.0.0/24: {gateway: 10.0.0.2, snat: true}
  vb: {zone: tunz, tag: 101}
  vd: {zone: tunz, tag: 104}
";

/// Files that a commit decides, beside [`SDN_FILE`].
const FILES: &[&str] = &["/etc/dnsmasq.d/outz/00-default.conf", "/etc/dnsmasq.d/outz/10-va.conf"];

/// All that is one generation or the other.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    files: Vec<Option<String>>,
    kernel: BTreeMap<&'static str, String>,
    dnsmasq: String,
}

/// Says whether a dnsmasq began after the files were written that it reads only then; to a
/// second, since the kernel counts the age of a process otherwise than the time of a file.
const DNSMASQ: &str = r#"
pid=$(pgrep -o -x dnsmasq) || { echo off; exit 0; }
began=$(awk '{ print int($22 / 100) }' "/proc/$pid/stat")
up=$(awk '{ print int($1) }' /proc/uptime)
now=$(date +%s)
written=$(stat -c %Z /etc/dnsmasq.d/outz/*.conf | sort -n | tail -1)
if [ $((now - up + began + 1)) -ge "$written" ]; then echo serves; else echo "serves what was"; fi
"#;

impl Seen {
    fn of(node: &Node) -> Self {
        let file = |path: &&str| node.exists(path).then(|| node.read(path));
        // The first line says which version it is.
        let without_version = |text: String| text.split_once('\n').map(|t| t.1.to_owned());
        let interfaces = file(&SDN_FILE).and_then(without_version);
        let files = [interfaces].into_iter().chain(FILES.iter().map(file)).collect();
        let dnsmasq = node.exec(&["sh", "-c", DNSMASQ]).ok().trim().to_owned();
        Self { files, kernel: kernel(node), dnsmasq }
    }

    #[track_caller]
    fn is(node: &Node, wanted: &Self) {
        // What a daemon withdraws goes a moment later.
        let end = Instant::now() + Duration::from_secs(5);
        let mut seen = Self::of(node);
        while seen != *wanted && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(200));
            seen = Self::of(node);
        }
        assert_eq!(seen.files, wanted.files);
        assert_same(&seen.kernel, &wanted.kernel);
        assert_eq!(seen.dnsmasq, wanted.dnsmasq);
    }
}

/// A node, and the two generations between which it is killed.
struct Trial<'lab> {
    scene: Scene<'lab>,
    node: Node,
    _guests: [Guest; 2],
    old: Seen,
    new: Seen,
}

impl<'lab> Trial<'lab> {
    fn start(lab: &'lab Lab) -> Self {
        let scene = Scene::start(lab);
        let node = scene.node(1);
        scene.apply(&node, NEW);
        let guests =
            [(101, "va"), (102, "vb")].map(|(n, bridge)| Guest::plan(n).start(lab, &node, bridge));
        let new = Seen::of(&node);
        scene.apply(&node, OLD);
        let old = Seen::of(&node);
        assert!(
            new != old && new.dnsmasq == "serves" && old.files.iter().all(Option::is_some),
            "{old:?}"
        );
        let trial = Self { scene, node, _guests: guests, old, new };
        trial.offer();
        trial
    }

    /// The new network is there to be fetched.
    fn offer(&self) {
        self.scene.push(NEW);
        self.scene.mirror(&self.node);
    }

    fn settings(&self, from: &str, to: &str) {
        let settings = self.node.read("/etc/weft/agent.yaml");
        assert!(settings.contains(from), "{settings}");
        self.node.put("/etc/weft/agent.yaml", settings.replace(from, to));
    }

    /// The newest entry of the journal, and how far it came.
    fn newest(&self) -> (u64, String) {
        let names = self.node.exec(&["ls", "/var/lib/weft/journal"]).ok();
        let names = names.lines().filter_map(|name| name.split_once('.'));
        let entries = names
            .filter_map(|(number, state)| Some((number.parse::<u64>().ok()?, state.to_owned())));
        entries.max().expect("an entry")
    }

    /// A window that may be open has somebody who ends it.
    #[track_caller]
    fn is_watched(&self, number: u64) {
        let watching = crate::kernel::json(&self.node.read("/run/weft/watchdog"));
        assert_eq!(watching["number"], number);
        let process = watching["process"].to_string();
        assert!(self.node.exists(&format!("/proc/{process}")), "nobody watches {number}");
    }

    /// A turn that settles what was interrupted, and applies nothing.
    #[track_caller]
    fn settle(&self) {
        self.settings("mode: apply", "mode: observe");
        let said = self.node.command(&["weft", "sync"]).within(PATIENCE).run();
        assert!([0, 2].contains(&said.code()), "{}{}", said.stdout, said.stderr);
        self.settings("mode: observe", "mode: apply");
    }

    /// Nothing is left of what was interrupted.
    #[track_caller]
    fn is_at_rest(&self, number: u64, state: &str) {
        assert_eq!(self.newest(), (number, state.to_owned()));
        // Holds are written without the node's lock, so what is beside them is left alone.
        let directories = ["journal", "gen"].map(|name| format!("/var/lib/weft/{name}"));
        let places = [&directories[0], &directories[1], "/etc/network", "/etc/dnsmasq.d"];
        let find = [&["find"][..], &places, &["-name", ".weft-*"]].concat();
        let left = self.node.exec(&find).ok();
        assert_eq!(left, "", "files without a name are left");
        let watchdogs = || self.node.exec(&["pgrep", "-f", "weft watchdog"]).success();
        wait_until(PATIENCE, "the watchdog ends", || !watchdogs());
    }
}

/// Where to begin, so that in as many days as are left out every step has its turn.
fn first(stride: usize) -> usize {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86_400);
    let first = usize::try_from(days).unwrap_or(0) % stride;
    eprintln!("killed from step {first} on, at every {stride}");
    first
}

/// Of two rounds one kills what weft started too.
fn whom(number: usize) -> Whom {
    if number.is_multiple_of(2) { Whom::Alone } else { Whom::Family }
}

fn tell(number: usize, stepped: &Stepped, state: &str) {
    if let Some(step) = stepped.steps.last() {
        eprintln!("step {number} ({:?}): {step}: {state}", whom(number));
    }
}

/// What was armed at the most is undone; what was applied is watched again and confirmed.
fn apply(lab: &Lab, counts: fn(&Step) -> bool, stride: usize) {
    let trial = Trial::start(lab);
    let node = &trial.node;
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for number in (first(stride)..).step_by(stride) {
        // It would be left alone after the second time.
        node.remove("/var/lib/weft/quarantine");
        let (before, rest) = trial.newest();
        let stepped = kill_at(node, &["weft", "sync"], counts, (number, whom(number)));
        if let Some(code) = stepped.ended {
            assert_eq!(code, 0);
            Seen::is(node, &trial.new);
            break;
        }
        let (newest, state) = trial.newest();
        let state = if newest == before { "untouched".to_owned() } else { state };
        tell(number, &stepped, &state);
        *ends.entry(state.clone()).or_default() += 1;
        if matches!(state.as_str(), "armed" | "applied") {
            trial.is_watched(newest);
        }
        let begun = Instant::now();
        trial.settle();
        match state.as_str() {
            "untouched" => trial.is_at_rest(before, &rest),
            "intent" | "armed" => trial.is_at_rest(before + 1, "rolledback"),
            "applied" => {
                assert!(begun.elapsed() > Duration::from_secs(1), "it was not watched");
                trial.is_at_rest(before + 1, "confirmed");
            }
            "confirmed" => trial.is_at_rest(before + 1, "confirmed"),
            other => panic!("{other} while it is applied"),
        }
        if matches!(state.as_str(), "applied" | "confirmed") {
            Seen::is(node, &trial.new);
            trial.scene.apply(node, OLD);
            Seen::is(node, &trial.old);
            trial.offer();
        } else {
            Seen::is(node, &trial.old);
        }
    }
    eprintln!("{ends:?}");
    for state in ["untouched", "intent", "armed", "applied", "confirmed"] {
        assert!(ends.contains_key(state), "it was never killed when {state}: {ends:?}");
    }
}

/// A way back that began is ended; one that did not begin leaves the window open.
fn roll_back(lab: &Lab, counts: fn(&Step) -> bool, stride: usize) {
    let trial = Trial::start(lab);
    let node = &trial.node;
    trial.settings("confirm: {", "confirm: {mode: manual, ");
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for number in (first(stride)..).step_by(stride) {
        if trial.newest().1 != "applied" {
            node.remove("/var/lib/weft/quarantine");
            let process = node.spawn(&["weft", "sync"]);
            wait_until(PATIENCE, "a window is open", || trial.newest().1 == "applied");
            process.signal(Signal::SIGKILL);
            drop(process);
        }
        let (open, _) = trial.newest();
        let words = ["weft", "rollback"];
        let stepped = kill_at(node, &words, counts, (number, whom(number)));
        if let Some(code) = stepped.ended {
            assert_eq!(code, 0);
            Seen::is(node, &trial.old);
            break;
        }
        let (newest, state) = trial.newest();
        assert_eq!(newest, open);
        tell(number, &stepped, &state);
        *ends.entry(state.clone()).or_default() += 1;
        if state == "applied" {
            trial.is_watched(open);
            Seen::is(node, &trial.new);
        } else {
            assert!(node.exists("/var/lib/weft/hold"), "nothing keeps it from going forward again");
            if state == "armed" {
                trial.is_watched(open);
            }
            trial.settle();
            trial.is_at_rest(open, "rolledback");
            Seen::is(node, &trial.old);
        }
        node.exec(&["weft", "resume"]).ok();
    }
    eprintln!("{ends:?}");
    for state in ["applied", "armed", "rolledback"] {
        assert!(ends.contains_key(state), "it was never killed when {state}: {ends:?}");
    }
}

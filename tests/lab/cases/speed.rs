//! How fast the engines are, side by side in one run; by hand, for it takes minutes.
//!
//! `benches/engines.sh` runs it with an optimised weft and puts the table into README.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::lab::Lab;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::Scene;

pub(super) const CASES: &[Case] =
    &[Case::by_hand("speed_of_engines", &[Need::Bridge, Need::Vxlan], speed_of_engines)];

/// How often each kind of change is measured.
const TIMES: usize = 5;
/// How many vnets there are beside the one that changes.
const VNETS: usize = 500;
const MANY: usize = 1000;
const MOST: usize = 4000;
/// Time for whatever takes longest.
const PATIENCE: Duration = Duration::from_secs(900);
/// The stages of a turn from a commit to a kernel that was read back.
const STAGES: [&str; 7] = ["fetch", "declare", "plan", "prepare", "arm", "change", "verify"];

type Stages = BTreeMap<&'static str, f64>;

/// A VXLAN network of this many vnets, of which one has this tag, if it is there.
fn network(vnets: usize, one: Option<u32>) -> String {
    let mut text = "zones:\n  tunz: {type: vxlan}\nvnets:\n".to_owned();
    for number in 1..=vnets {
        writeln!(text, "  v{number:05}: {{zone: tunz, tag: {}}}", 10_000 + number)
            .expect("a string takes it");
    }
    if let Some(tag) = one {
        writeln!(text, "  one: {{zone: tunz, tag: {tag}}}").expect("a string takes it");
    }
    text
}

/// Brings the newest commit to a node; the milliseconds that each stage took.
fn timed(scene: &Scene<'_>, node: &Node) -> Stages {
    scene.mirror(node);
    let sync = node.command(&["weft", "--json", "sync"]).env("WEFT_LOG", "debug");
    let said = sync.within(PATIENCE).run();
    assert_eq!(said.code(), 0, "{}", said.stdout);
    stages(&said.stderr)
}

/// The milliseconds of each stage, of a log in which each tells its time when it ends.
fn stages(log: &str) -> Stages {
    let mut stages = Stages::new();
    for line in log.lines() {
        for stage in STAGES {
            if let Some((_, times)) = line.split_once(&format!(" {stage}: "))
                && let Some((_, times)) = times.split_once("close time.busy=")
            {
                let took = times.split_whitespace().next().and_then(milliseconds);
                *stages.entry(stage).or_default() += took.expect("a time");
            }
        }
    }
    stages
}

/// `1.23ms`, `45.6µs` or `7.89s` in milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = [("ns", 1e-6), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

fn total(stages: &Stages) -> f64 {
    stages.values().sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One line of the table.
fn row(what: &str, native: f64, other: &str, ratio: &str) {
    println!("TABLE | {what} | {} | {other} | {ratio} |", shown(native));
}

fn shown(milliseconds: f64) -> String {
    if milliseconds < 1000.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.1} s", milliseconds / 1000.0)
    }
}

fn speed_of_engines(lab: &Lab) {
    let scene = Scene::start(lab).with_engines(&["native"]);
    let (node, other) = (scene.node(1), scene.node(2));
    other.remove("/etc/weft/agent.yaml");
    one_of_many(&scene, &node, &other);
    from_nothing(&scene, &node, &other);
    from_push(&scene, &node);
    at_rest(&scene, &node);
}

/// One vnet changed, added and removed among many, against `ifreload -a` on the same files.
fn one_of_many(scene: &Scene<'_>, node: &Node, other: &Node) {
    let apply = |one: Option<u32>| {
        scene.push(&network(VNETS, one));
        timed(scene, node)
    };
    apply(None);
    let without = node.read(SDN_FILE);
    other.put(SDN_FILE, &without);
    let reload = || {
        let said = other.command(&["ifreload", "-a"]).within(PATIENCE).run();
        said.took.as_secs_f64() * 1000.0
    };
    reload();
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut by_ifreload: BTreeMap<&str, f64> = BTreeMap::new();
    for turn in 0..TIMES {
        let changes = [("added", Some(20_000)), ("changed", Some(20_001)), ("removed", None)];
        for (what, one) in changes {
            times.entry(what).or_default().push(total(&apply(one)));
            if turn == 0 {
                other.put(SDN_FILE, node.read(SDN_FILE));
                by_ifreload.insert(what, reload());
            }
        }
    }
    for (what, times) in times {
        let (native, ifreload) = (median(times), by_ifreload[what]);
        let ratio = format!("{:.0} times", ifreload / native);
        let what = format!("one vnet {what} among {VNETS}, `ifreload -a`");
        row(&what, native, &shown(ifreload), &ratio);
    }
    let nothing = median((0..TIMES).map(|_| total(&timed(scene, node))).collect());
    let ifreload = reload();
    let ratio = format!("{:.0} times", ifreload / nothing);
    row(
        &format!("nothing changed among {VNETS}, `ifreload -a`"),
        nothing,
        &shown(ifreload),
        &ratio,
    );
}

/// Many vnets from nothing, against `ip -batch` for the same objects.
fn from_nothing(scene: &Scene<'_>, node: &Node, other: &Node) {
    scene.push("{}\n");
    timed(scene, node);
    scene.push(&network(MANY, None));
    let native = timed(scene, node)["change"];
    other.remove(SDN_FILE);
    other.command(&["ifreload", "-a"]).within(PATIENCE).run();
    let mut batch = String::new();
    for number in 1..=MANY {
        let (vnet, id) = (format!("v{number:05}"), 10_000 + number);
        write!(
            batch,
            "link add {vnet} type bridge stp_state 0 forward_delay 0\nlink set {vnet} mtu 1450 up\n\
             link add vxlan_{vnet} type vxlan id {id} dstport 4789\n\
             link set vxlan_{vnet} mtu 1450 master {vnet} up\n"
        )
        .expect("a string takes it");
    }
    let said = other.command(&["ip", "-batch", "-"]).input(batch).within(PATIENCE).run();
    assert!(said.success(), "{}", said.stderr);
    let mut entries = String::new();
    for number in 1..=MANY {
        writeln!(entries, "fdb append 00:00:00:00:00:00 dev vxlan_v{number:05} dst 192.168.0.2")
            .expect("a string takes it");
    }
    let more = other.command(&["bridge", "-batch", "-"]).input(entries).within(PATIENCE).run();
    let batch = (said.took + more.took).as_secs_f64() * 1000.0;
    let ratio = format!("{:.2} times", batch / native);
    row(&format!("{MANY} vnets from nothing, `ip -batch`"), native, &shown(batch), &ratio);
}

/// From a webhook after `git push` until the kernel was read back, with one change among many.
fn from_push(scene: &Scene<'_>, node: &Node) {
    const SECRET: &str = "a secret of the webhook that nobody guesses";
    node.put_with_mode("/etc/weft/hook", format!("{SECRET}\n"), 0o600);
    let settings = node.read("/etc/weft/agent.yaml");
    let hooks = "schedule: {every: 12h}\nlisten: 127.0.0.1:9470\nhooks:\n  forge: {provider: generic, secret-file: /etc/weft/hook}\n";
    node.put("/etc/weft/agent.yaml", format!("{hooks}{settings}"));
    let agent = node.command(&["weft", "agent"]).env("WEFT_LOG", "debug").spawn();
    let verified = |count: usize| -> Option<Timestamp> {
        let log = agent.stderr();
        let mut ends =
            log.lines().filter(|line| line.contains(" verify: ") && line.contains(" close "));
        let stamp = ends.nth(count)?.split_whitespace().next()?.to_owned();
        stamp.parse().ok()
    };
    std::thread::sleep(Duration::from_secs(5));
    let mut times = Vec::new();
    let mut shares: Vec<Stages> = Vec::new();
    for turn in 0..TIMES {
        scene.push(&network(MANY, Some(21_000 + u32::try_from(turn).expect("few"))));
        scene.mirror(node);
        let before = agent.stderr().len();
        let begun = Timestamp::now();
        assert_eq!(super::agent::hook(node, SECRET), "202");
        let end = std::time::Instant::now() + PATIENCE;
        let done = loop {
            if let Some(at) = verified(turn) {
                break at;
            }
            assert!(std::time::Instant::now() < end, "{}", agent.stderr());
            std::thread::sleep(Duration::from_millis(20));
        };
        times.push(done.duration_since(begun).as_secs_f64() * 1000.0);
        shares.push(stages(&agent.stderr()[before..]));
        // Until its window is over.
        std::thread::sleep(Duration::from_secs(6));
    }
    let of = |stage: &&str| {
        let times = shares.iter().filter_map(|stages| stages.get(stage)).copied().collect();
        format!("{stage} {:.0}", median(times))
    };
    let told: Vec<String> = STAGES.iter().map(of).collect();
    let what =
        format!("from a webhook to a kernel read back, one of {MANY} (ms: {})", told.join(", "));
    row(&what, median(times), "", "");
    drop(agent);
    node.put("/etc/weft/agent.yaml", settings);
}

/// What an agent holds and uses that has nothing to do.
fn at_rest(scene: &Scene<'_>, node: &Node) {
    scene.push(&network(MOST, None));
    timed(scene, node);
    let settings = node.read("/etc/weft/agent.yaml");
    node.put("/etc/weft/agent.yaml", format!("schedule: {{every: 30s}}\n{settings}"));
    let agent = node.spawn(&["weft", "agent"]);
    std::thread::sleep(Duration::from_secs(60));
    let pid = agent.pid();
    let read =
        |what: &str| std::fs::read_to_string(format!("/proc/{pid}/{what}")).expect("it runs");
    let used = || -> u32 {
        let stat = read("stat");
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        // utime, stime, cutime and cstime, in hundredths of a second.
        fields[11..15].iter().filter_map(|field| field.parse::<u32>().ok()).sum()
    };
    let (before, seconds) = (used(), 120_u32);
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let percent = f64::from(used() - before) / f64::from(seconds);
    let status = read("status");
    let size = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).map(str::to_owned).unwrap_or_default()
    };
    println!(
        "TABLE | the agent with {MOST} vnets, polling every 30 s | {} KiB resident, {} KiB at most, {percent:.3} % of a core | | |",
        size("VmRSS:"),
        size("VmHWM:"),
    );
}

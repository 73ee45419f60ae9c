//! How fast the engines are, side by side in one run; by hand, for it takes minutes.
//!
//! `benches/engines.sh` runs it with an optimised weft and puts the table into README.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::command::Process;
use crate::lab::Lab;
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::Scene;

pub(super) const CASES: &[Case] = &[
    Case::by_hand("speed_of_one_change", &[Need::Bridge, Need::Vxlan], one_of_many),
    Case::by_hand("speed_from_nothing", &[Need::Bridge, Need::Vxlan], from_nothing),
    Case::by_hand("speed_from_push", &[Need::Bridge, Need::Vxlan], from_push),
    Case::by_hand("speed_at_rest", &[Need::Bridge, Need::Vxlan], at_rest),
];

/// How often each kind of change is measured.
const TIMES: usize = 5;
/// How many vnets there are beside the one that changes.
const VNETS: usize = 500;
const MANY: usize = 1000;
const MOST: usize = 4000;
/// What proves a webhook.
const SECRET: &str = "a secret of the webhook that nobody guesses";
/// Time for whatever takes longest.
const PATIENCE: Duration = Duration::from_secs(900);
/// The stages of a turn from a commit to a kernel that was read back.
const STAGES: [&str; 10] =
    ["drift", "fetch", "facts", "declare", "plan", "prepare", "observe", "arm", "change", "verify"];

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

/// How long it took.
struct Timed {
    /// From the start of the program, or from a webhook, to a kernel that was read back.
    verified: f64,
    /// Of it each stage.
    stages: Stages,
}

/// Brings the newest commit to a node, where it changes something.
fn timed(scene: &Scene<'_>, node: &Node) -> Timed {
    scene.mirror(node);
    let sync = node.command(&["weft", "--json", "sync"]).env("WEFT_LOG", "debug");
    let begun = Timestamp::now();
    let said = sync.within(PATIENCE).run();
    assert_eq!(said.code(), 0, "{}", said.stdout);
    let verified = ends(&said.stderr, "verify").pop().expect("something changed");
    let verified = verified.duration_since(begun).as_secs_f64() * 1000.0;
    Timed { verified, stages: stages(&said.stderr) }
}

/// Tells an agent of the newest commit, and waits for its window.
fn by_webhook(scene: &Scene<'_>, node: &Node, agent: &Process) -> Timed {
    scene.mirror(node);
    let before = agent.stderr().len();
    let begun = Timestamp::now();
    post(node);
    let log = log_until(agent, before, "verify");
    let verified = ends(&log, "verify")[0].duration_since(begun).as_secs_f64() * 1000.0;
    let stages = stages(&log);
    thread::sleep(Duration::from_secs(6));
    Timed { verified, stages }
}

/// Tells an agent that there is something new, as a forge does: over a connection of its own.
fn post(node: &Node) {
    let request = super::agent::signed(SECRET);
    let answer = node.inside(|| -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", super::agent::PORT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = answer.expect("the agent listens");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

/// What an agent wrote behind so many bytes, when a stage ended. Looks seldom: the times stand in
/// the log, and who looks takes a processor from who is measured.
fn log_until(agent: &Process, before: usize, stage: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        thread::sleep(Duration::from_millis(500));
        let log = agent.stderr().get(before..).unwrap_or_default().to_owned();
        if !ends(&log, stage).is_empty() {
            return log;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {stage}");
    }
}

/// An agent that looks only when it is told to, after its first turn.
fn agent(node: &Node) -> Process {
    let usual = node.read("/etc/weft/agent.yaml");
    let more = "schedule: {every: 12h}\nlisten: 127.0.0.1:9470\nhooks:\n  forge: {provider: generic, secret-file: /etc/weft/hook}\n";
    node.put_with_mode("/etc/weft/hook", format!("{SECRET}\n"), 0o600);
    node.put("/etc/weft/agent.yaml", format!("{more}{usual}"));
    let agent = node.command(&["weft", "agent"]).env("WEFT_LOG", "debug").spawn();
    log_until(&agent, 0, "turn");
    agent
}

/// When a stage ended, each time.
fn ends(log: &str, stage: &str) -> Vec<Timestamp> {
    let ends = log.lines().filter_map(ended).filter(|(ended, _)| *ended == stage);
    ends.filter_map(|(_, line)| line.split_whitespace().next()?.parse().ok()).collect()
}

/// The stage whose end a line of the log tells, which is the last of those that it was in:
/// `TIME DEBUG turn:plan: weft::agent::turn: close time.busy=…`.
fn ended(line: &str) -> Option<(&str, &str)> {
    let (head, _) = line.split_once(": close time.busy=")?;
    let (stages, _) = head.split_once(": ")?;
    let stages = stages.split_whitespace().last()?;
    Some((stages.rsplit(':').next()?, line))
}

/// The milliseconds of each stage, of a log in which each tells its time when it ends.
fn stages(log: &str) -> Stages {
    stages_of(log, &STAGES)
}

fn stages_of(log: &str, of: &[&'static str]) -> Stages {
    let mut stages = Stages::new();
    for line in log.lines() {
        let Some((ended, _)) = ended(line) else { continue };
        let Some(stage) = of.iter().find(|stage| **stage == ended) else { continue };
        let (_, times) = line.split_once("time.busy=").expect("it ended");
        let took = times.split_whitespace().next().and_then(milliseconds);
        *stages.entry(*stage).or_default() += took.expect("a time");
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// One line of the table.
fn row(what: &str, native: f64, other: &str, ratio: &str) {
    eprintln!("TABLE | {what} | {} | {other} | {ratio} |", shown(native));
}

fn shown(milliseconds: f64) -> String {
    if milliseconds < 1000.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.1} s", milliseconds / 1000.0)
    }
}

/// A node of the native engine, and one that has no weft.
fn nodes(lab: &Lab) -> (Scene<'_>, Node, Node) {
    let scene = Scene::start(lab).with_engines(&["native"]);
    let (node, other) = (scene.node(1), scene.node(2));
    other.remove("/etc/weft/agent.yaml");
    (scene, node, other)
}

/// One vnet changed, added and removed among many, against `ifreload -a` on the same files.
fn one_of_many(lab: &Lab) {
    let (scene, node, other) = nodes(lab);
    scene.push(&network(VNETS, None));
    timed(&scene, &node);
    let agent = agent(&node);
    let apply = |one: Option<u32>| {
        scene.push(&network(VNETS, one));
        by_webhook(&scene, &node, &agent)
    };
    let without = node.read(SDN_FILE);
    other.put(SDN_FILE, &without);
    let reload = || {
        let said = other.command(&["ifreload", "-a"]).within(PATIENCE).run();
        said.took.as_secs_f64() * 1000.0
    };
    reload();
    let mut times: BTreeMap<&str, Vec<Timed>> = BTreeMap::new();
    let mut by_ifreload: BTreeMap<&str, f64> = BTreeMap::new();
    for turn in 0..TIMES {
        let changes = [("added", Some(20_000)), ("changed", Some(20_001)), ("removed", None)];
        for (what, one) in changes {
            times.entry(what).or_default().push(apply(one));
            if turn == 0 {
                other.put(SDN_FILE, node.read(SDN_FILE));
                by_ifreload.insert(what, reload());
            }
        }
    }
    for (what, times) in times {
        let native = median(times.iter().map(|timed| timed.verified).collect());
        let ifreload = by_ifreload[what];
        let ratio = format!("{:.0} times", ifreload / native);
        let what = format!(
            "one vnet {what} among {VNETS}, from a webhook to a kernel read back, `ifreload -a`{}",
            shares(&times)
        );
        row(&what, native, &shown(ifreload), &ratio);
    }
    let nothing = (0..TIMES).map(|_| {
        let before = agent.stderr().len();
        post(&node);
        let log = log_until(&agent, before, "turn");
        stages_of(&log, &["turn"]).remove("turn").expect("a turn")
    });
    let nothing = median(nothing.collect());
    let ifreload = reload();
    let ratio = format!("{:.0} times", ifreload / nothing);
    row(
        &format!("a turn with nothing new among {VNETS}, `ifreload -a`"),
        nothing,
        &shown(ifreload),
        &ratio,
    );
}

/// The median of each stage.
fn shares<'a>(times: impl IntoIterator<Item = &'a Timed>) -> String {
    let times: Vec<&Timed> = times.into_iter().collect();
    let of = |stage: &&str| {
        let times = times.iter().filter_map(|timed| timed.stages.get(stage)).copied().collect();
        format!("{stage} {:.0}", median(times))
    };
    let told: Vec<String> = STAGES.iter().map(of).collect();
    format!(" (ms: {})", told.join(", "))
}

/// Many vnets from nothing, against `ip -batch` for the same objects.
fn from_nothing(lab: &Lab) {
    let (scene, node, other) = nodes(lab);
    scene.push(&network(MANY, None));
    let native = timed(&scene, &node);
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
    let change = native.stages["change"];
    let ratio = format!("{:.2} times", batch / change);
    row(
        &format!("the kernel's part of {MANY} vnets from nothing, `ip -batch`"),
        change,
        &shown(batch),
        &ratio,
    );
    let ratio = format!("{:.2} times", batch / native.verified);
    row(
        &format!(
            "{MANY} vnets from nothing, from the commit to a kernel read back{}",
            shares([&native])
        ),
        native.verified,
        &shown(batch),
        &ratio,
    );
    scene.push("{}\n");
    let removed = timed(&scene, &node);
    let mut batch = String::new();
    for number in 1..=MANY {
        writeln!(batch, "link del v{number:05}\nlink del vxlan_v{number:05}")
            .expect("a string takes it");
    }
    let said = other.command(&["ip", "-batch", "-"]).input(batch).within(PATIENCE).run();
    assert!(said.success(), "{}", said.stderr);
    let (change, batch) = (removed.stages["change"], said.took.as_secs_f64() * 1000.0);
    let ratio = format!("{:.2} times", batch / change);
    row(
        &format!("the kernel's part of {MANY} vnets removed, `ip -batch`"),
        change,
        &shown(batch),
        &ratio,
    );
}

/// From a webhook after `git push` until the kernel was read back, with one change among many.
fn from_push(lab: &Lab) {
    let (scene, node, _) = nodes(lab);
    scene.push(&network(MANY, None));
    timed(&scene, &node);
    let agent = agent(&node);
    let mut times = Vec::new();
    for turn in 0..TIMES {
        scene.push(&network(MANY, Some(21_000 + u32::try_from(turn).expect("few"))));
        times.push(by_webhook(&scene, &node, &agent));
    }
    let median = median(times.iter().map(|timed| timed.verified).collect());
    let what = format!("from a webhook to a kernel read back, one of {MANY}{}", shares(&times));
    row(&what, median, "", "");
}

/// What an agent holds and uses that has nothing to do.
fn at_rest(lab: &Lab) {
    let (scene, node, _) = nodes(lab);
    scene.push(&network(MOST, None));
    timed(&scene, &node);
    let settings = node.read("/etc/weft/agent.yaml");
    node.put("/etc/weft/agent.yaml", format!("schedule: {{every: 30s}}\n{settings}"));
    let agent = node.spawn(&["weft", "agent"]);
    thread::sleep(Duration::from_secs(60));
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
    thread::sleep(Duration::from_secs(seconds.into()));
    let percent = f64::from(used() - before) / f64::from(seconds);
    let status = read("status");
    let size = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).map(str::to_owned).unwrap_or_default()
    };
    eprintln!(
        "TABLE | the agent with {MOST} vnets, polling every 30 s | {} KiB resident, {} KiB at most, {percent:.3} % of a core | | |",
        size("VmRSS:"),
        size("VmHWM:"),
    );
}

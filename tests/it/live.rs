//! `weft demo --live`: every step on real networks, and nothing left of it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;

fn weft(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.args(words).stdin(Stdio::null());
    command
}

/// Whether there can be live nodes on this machine; says so where not.
fn can(said: &str) -> bool {
    let cannot = said.contains("there can be no live nodes here");
    if cannot {
        println!("skipped: {}", said.trim());
    }
    !cannot
}

/// The arguments of every process that is a node's.
fn nodes() -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("it can be listed").flatten();
    let words = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let words = words.map(|words| String::from_utf8_lossy(&words).replace('\0', " "));
    words.filter(|words| words.contains(" demo-node ")).collect()
}

/// Nothing of a demo with this directory is left.
#[track_caller]
fn gone(directory: &str) {
    assert!(!Path::new(directory).exists(), "{directory} is still there");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
    assert!(!mounts.contains(directory), "{mounts}");
    let nodes = nodes();
    assert!(!nodes.iter().any(|words| words.contains(directory)), "{nodes:#?}");
}

#[test]
fn live_nodes_do_what_the_demo_says() {
    let run = || weft(&["demo", "--live", "--json"]).output().expect("it runs");
    let mut ended = run();
    // On a machine that is busy with other tests a window of seconds may end too early.
    if !ended.status.success() && can(&String::from_utf8_lossy(&ended.stdout)) {
        println!("once more: {}", String::from_utf8_lossy(&ended.stdout));
        ended = run();
    }
    let said = String::from_utf8(ended.stdout).expect("text");
    if !can(&said) {
        return;
    }
    let document: Value = serde_json::from_str(&said).expect("a document");
    assert!(ended.status.success() && document["ok"] == true, "{document:#}");
    let steps = document["steps"].as_array().expect("steps");
    let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    let all = ["introduce", "vxlan", "change", "unsigned", "unknown-key", "outage", "revert"];
    assert_eq!(names, all);
    for step in &steps[1..] {
        let (sent, lost) = (step["pings"]["sent"].as_u64(), step["pings"]["lost"].as_u64());
        assert!(sent > Some(0), "{step:#}");
        assert_eq!(lost > Some(0), step["name"] == "outage", "{step:#}");
    }
}

#[test]
fn live_nodes_end_with_whoever_interrupts_the_demo() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = weft(&["demo", "--live"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut said = BufReader::new(demo.stdout.take().expect("its words"));
        let mut first = String::new();
        said.read_line(&mut first).expect("text");
        let Some((_, directory)) = first.trim().rsplit_once("git server in ") else {
            let mut error = String::new();
            demo.stderr.take().expect("its errors").read_to_string(&mut error).expect("text");
            assert!(!can(&error), "{first}{error}");
            demo.wait().expect("it ends");
            return;
        };
        let mut lines = said.lines().map(|line| line.expect("text"));
        // Both nodes are there, and the second step runs.
        let begun = lines.find(|line| line.starts_with("2. "));
        assert!(begun.is_some() && nodes().iter().any(|words| words.contains(directory)));
        kill(Pid::from_raw(demo.id().cast_signed()), signal).expect("it is told");
        let last = lines.last().expect("a last line");
        assert_eq!(last, "Interrupted. Nodes, guests and the directory are gone.");
        assert_eq!(demo.wait().expect("it ends").code(), Some(1));
        gone(directory);
    }
}

#[test]
fn live_nodes_are_roots_alone() {
    if !Uid::effective().is_root() {
        let ended = weft(&["demo", "--live"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains("only root has network namespaces"), "{said}");
        assert_eq!(ended.status.code(), Some(1));
        return;
    }
    // A copy that others may run, wherever the program lies.
    let directory = tempfile::tempdir_in("/tmp").expect("a directory");
    let program = directory.path().join("weft");
    fs::copy(env!("CARGO_BIN_EXE_weft"), &program).expect("a copy");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), open).expect("it is opened");
    let mut command = Command::new(&program);
    let ended = command.args(["demo", "--live"]).uid(65534).gid(65534).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("only root has network namespaces"), "{said}");
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0));
}

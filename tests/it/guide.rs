//! The guide of README.md, carried out word for word: in a directory that stands for
//! `/tmp`, with the weft that was built for the tests.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What each weft of the guide ends with, in the order of the guide.
const STATUSES: &[&str] = &[
    "validate 0",
    "plan 2",
    "sync 0",
    "validate 0",
    "plan 2",
    "sync 0",
    "sync 4",
    "explain 0",
    "sync 0",
    "status 0",
    "history 0",
];

/// A weft that notes how it ended, and goes on: the guide shows refusals, too.
const NOTING: &str = r#"
set -euo pipefail
weft() { local status=0; command weft "$@" || status=$?; echo "$1 $status" >>"$STATUSES"; }
"#;

#[test]
fn the_guide_does_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    let guide = shell(section(&readme, "## Ten minutes on a dry node"));
    // The guide's own way to find weft is for people.
    let guide: String = guide
        .lines()
        .filter(|line| !line.starts_with("export PATH="))
        .map(|line| line.replace("/tmp/", &format!("{place}/")) + "\n")
        .collect();

    let built = Path::new(env!("CARGO_BIN_EXE_weft")).parent().unwrap().to_str().unwrap();
    let statuses = directory.path().join("statuses");
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!("{NOTING}{guide}"))
        .current_dir(project)
        .env("PATH", format!("{built}:{}", std::env::var("PATH").unwrap()))
        .env("STATUSES", &statuses)
        .env("HOME", place)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{told}");
    let ended = fs::read_to_string(&statuses).unwrap();
    assert_eq!(ended.lines().collect::<Vec<_>>(), STATUSES, "{told}");

    // The first network is back, and nothing but its first line went on.
    let file = fs::read_to_string(directory.path().join("node1/etc/network/interfaces.d/sdn"));
    let file = file.unwrap();
    let (_, shown) = told.split_once("#version:1\n").unwrap();
    let (line, network) = file.split_once('\n').unwrap();
    assert_eq!(line, "#version:3");
    assert!(shown.starts_with(network), "{file}\n---\n{told}");
}

/// The text below a heading, up to the next one of its kind.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, below) = text.split_once(heading).unwrap();
    below.split_once("\n## ").map_or(below, |(section, _)| section)
}

/// The commands of a section: its blocks of `sh`.
fn shell(section: &str) -> String {
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0).collect()
}

//! What the fuzzers began with and what they found, through the same functions.

use std::path::Path;

#[path = "../../fuzz/targets.rs"]
mod targets;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        // The name of a seed that fails is what a person needs first.
        eprintln!("{}", path.display());
        run(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 5, "{target} has {count} seeds");
}

#[test]
fn yaml() {
    replay("yaml", targets::yaml);
}

#[test]
fn section_config() {
    replay("section_config", targets::section_config);
}

#[test]
fn guest_config() {
    replay("guest_config", targets::guest_config);
}

#[test]
fn hosts() {
    replay("hosts", targets::hosts);
}

#[test]
fn frr_local() {
    replay("frr_local", targets::frr_local);
}

#[test]
fn commit() {
    replay("commit", targets::commit);
}

#[test]
fn allowed_signers() {
    replay("allowed_signers", targets::allowed_signers);
}

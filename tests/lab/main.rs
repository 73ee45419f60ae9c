//! Tests on real machines that are thrown away: nodes with Debian 13, ifupdown2 and
//! network namespaces of their own, an underlay between them, guests, a host outside
//! and a git server. Nothing of it touches the machine that runs the tests.
//!
//! `cargo test --test lab` runs all cases, `cargo test --test lab -- WORD` those whose
//! name contains WORD. They need root and mmdebstrap; what is missing is printed as a
//! reason and counted as skipped.
//!
//! | variable | what it does |
//! | --- | --- |
//! | `LAB_ROOT` | directory of the Debian root; made there when absent |
//! | `LAB_MIRROR` | mirror to make the root from, instead of the one in apt's sources |
//! | `LAB_PROGRAM` | the weft that runs, instead of the one that is built with the tests |
//! | `LAB_REQUIRE` | needs, separated by commas, that must be met here: `native,vxlan` |
//! | `WEFT_SHARED` | directory that holds the reference renderings |
//!
//! A new case: a function `fn(&Lab)` in `cases/`, and an entry in that file's `CASES`. One
//! that needs VLANs, VRFs or dummies is made with `Case::in_boot` and runs in
//! user-mode-linux; cases of the same boot share a kernel, and boots run side by side. One
//! made with `Case::by_hand` takes long, and runs only when its whole name is given.

#![allow(
    clippy::disallowed_methods,
    reason = "the lab is the outside world of weft: it runs programs, and its own settings are variables"
)]
#![allow(clippy::print_stdout, reason = "a test runner reports on its standard output")]
#![allow(clippy::print_stderr, reason = "standard error is the log of a case")]

mod cases;
mod command;
mod equivalence;
mod git;
mod guest;
mod kernel;
mod lab;
mod machine;
mod mirror;
mod mounts;
mod namespaces;
mod need;
mod node;
mod options;
mod root;
mod runner;
mod scene;
mod steps;
mod system;
mod uml;
mod wait;

use std::process::ExitCode;

/// This program has more entries besides the runner: it starts itself again as the first
/// process of a lab, of a node or of a kernel, and inside the lab as one case or probe.
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [namespaces::LAB_INIT, root, weft, reference, inner @ ..] => {
            namespaces::lab_init(root, weft, reference, inner)
        }
        [namespaces::NODE_INIT, name] => namespaces::node_init(name),
        [system::INIT, name, disk, cgroup, boot] => system::init(name, disk, cgroup, boot),
        [namespaces::CASE, name] => runner::run_one(name),
        [namespaces::PROBE, names @ ..] => need::probe_all(names),
        [uml::BOOT, watched, names @ ..] => uml::boot(*watched == uml::WATCHED, names),
        [uml::INIT, names, ..] => uml::init(names),
        _ => runner::run(&words),
    }
}

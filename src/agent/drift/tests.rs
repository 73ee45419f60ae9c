//! When drift is looked for, and what that costs.

use std::time::Duration;

use camino::Utf8Path;

use super::Found;
use crate::agent::memory::Memory;
use crate::agent::turn::Turn;
use crate::agent::window::tests::{effort, settings};
use crate::apply::tests::go;
use crate::host::Host as _;
use crate::host::fake::Fake;
use crate::sync::Cancel;

const SDN: &str = "/etc/network/interfaces.d/sdn";

fn look(host: &Fake, memory: &Memory, more: &str) -> Found {
    let (settings, cancel) = (settings(more), Cancel::default());
    let program = Utf8Path::new("/usr/bin/weft");
    let turn = Turn {
        host,
        settings: &settings,
        program,
        root: None,
        memory,
        manual: false,
        cancel: &cancel,
    };
    turn.drift().expect("it can be looked for")
}

#[test]
fn drift_is_looked_for_once_in_a_while_and_after_every_apply() {
    let host = Fake::default();
    go(&host, 1, Some("one\n")).expect("it works");
    let memory = Memory::default();
    let is_told = |more: &str| !look(&host, &memory, more).told.is_empty();
    let first = effort(&host, || assert!(!is_told("")));
    let next = effort(&host, || assert!(!is_told("")));
    println!("(steps, bytes): a look {first:?}, what is remembered {next:?}");
    // What runs, by the one entry that says it.
    assert!(next.0 <= 4 && next.1 < 1500 && first.0 > 3 * next.0, "{first:?} {next:?}");
    host.put(SDN, b"by hand", 0o644);
    host.wait(Duration::from_secs(59));
    assert!(!is_told(""));
    host.wait(Duration::from_secs(1));
    assert!(is_told(""));
    // As often as the settings say.
    let often = "drift: {every: 5s}\n";
    host.put(SDN, b"", 0o644);
    go(&host, 2, Some("two\n")).expect("it works");
    assert!(!is_told(often), "another entry runs");
    host.put(SDN, b"by hand", 0o644);
    assert!(!is_told(often));
    host.wait(Duration::from_secs(5));
    assert!(is_told(often));
    // Where nobody wants to know, nothing is looked at.
    let off = "drift: {files: off, kernel: off, daemons: off}\n";
    host.wait(Duration::from_secs(60));
    assert_eq!(effort(&host, || assert!(look(&host, &memory, off).is_quiet())), (0, 0));
}

//! What an open window costs each second.

use camino::Utf8Path;

use crate::agent::memory::Memory;
use crate::agent::settings::{self, Settings};
use crate::agent::status::State;
use crate::agent::turn::{Purpose, Turn};
use crate::agent::watchdog;
use crate::apply::tests::go;
use crate::apply::{LOCK, Outcome};
use crate::host::Host as _;
use crate::host::fake::Fake;
use crate::plan::Sign;
use crate::sync::Cancel;

const SETTINGS: &str = "cluster: lab\nnode: node1\nmode: apply\nschedule: {every: 1m}\n\
    remotes:\n  - {name: origin, url: \"https://git.example.org/net.git\"}\n\
    introduction:\n  commit: 0101010101010101010101010101010101010101\n  \
    signer: \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n";

/// Settings of the node of these tests, with more lines.
pub(in crate::agent) fn settings(more: &str) -> Settings {
    settings::read(&format!("{SETTINGS}{more}")).expect("settings")
}

/// A node with a long past, on which a window is open; the number of its entry.
fn with_a_past() -> (Fake, u64) {
    let host = Fake::default();
    for sequence in 1..150 {
        go(&host, sequence, Some(&format!("text {sequence}\n"))).expect("it works");
    }
    host.set_signs(&[Sign::Bridge("vnet1".to_owned())]);
    let outcome = go(&host, 200, Some("tried\n")).expect("it works");
    let Outcome::Open { entry } = outcome else { panic!("{outcome:?}") };
    (host, entry.record.number)
}

/// How many steps something takes, and how many bytes it reads.
pub(in crate::agent) fn effort(host: &Fake, does: impl FnOnce()) -> (u64, u64) {
    let before = host.effort();
    does();
    let after = host.effort();
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn a_look_reads_what_is_tried_and_what_runs_and_nothing_else_of_the_past() {
    let (host, number) = with_a_past();
    let (settings, memory, cancel) = (settings(""), Memory::default(), Cancel::default());
    let lock = host.lock(Utf8Path::new(LOCK)).expect("a lock").expect("free");
    let program = Utf8Path::new("/usr/bin/weft");
    let watch = || {
        let turn = Turn {
            host: &host,
            settings: &settings,
            program,
            root: None,
            memory: &memory,
            manual: false,
            cancel: &cancel,
        };
        let report = turn.make_under(&lock, Purpose::Watch).expect("it can be watched");
        assert_eq!(report.status.state, State::Open);
        let runs = report.status.running.expect("it runs something").generation;
        assert_eq!((runs, report.status.window.expect("a window").number), (149, number));
    };
    let first = effort(&host, watch);
    let next = effort(&host, watch);
    let dog = effort(&host, || {
        let left = watchdog::left(&host, number).expect("the journal can be read");
        assert!(left.is_some_and(|left| !left.is_zero()));
    });
    println!("(steps, bytes): first look {first:?}, next {next:?}, watchdog {dog:?}");
    // An entry has about a thousand bytes; a status as many.
    assert!(next.0 < 40 && next.1 < 10_000, "{next:?}");
    assert!(dog.0 < 6 && dog.1 < 2_000, "{dog:?}");
}

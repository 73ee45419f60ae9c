//! The watchdog of one apply: undoes it when its window ends unconfirmed, whatever became
//! of who applied.
//!
//! It needs the journal, the generations and the programs that change the network: no
//! remote, no git, no settings.

use std::time::Duration;

use camino::Utf8Path;

use super::error::{TurnError, chain};
use super::window::recover;
use crate::apply::{self, LOCK};
use crate::host::{Host, Watching};
use crate::plan::Window;

/// The longest time between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// How long whoever holds the node may take to die.
const PATIENCE: Duration = Duration::from_millis(200);

/// Watches the apply of an entry of the journal until it ends, and undoes it at its
/// deadline. Says what became of it where that was this process's doing.
pub fn watch(host: &impl Host, number: u64) -> Result<Option<String>, TurnError> {
    // What cannot be read now would not be read at the deadline: then whoever waits for
    // this changes nothing.
    if unsettled(host, number)?.is_none() {
        return Ok(None);
    }
    let watching = Watching::begin(host, number)?;
    let undone = wait(host, number);
    watching.end(host)?;
    Ok(undone)
}

/// Whatever goes wrong meanwhile is tried again: nobody else undoes the change.
fn wait(host: &impl Host, number: u64) -> Option<String> {
    let told = |error: TurnError| tracing::error!("{}; it is tried again", chain(&error));
    loop {
        match left(host, number) {
            Ok(None) => return None,
            Ok(Some(left)) if left.is_zero() => break,
            Ok(Some(left)) => host.wait(left.min(LOOK)),
            Err(error) => {
                told(error);
                host.wait(LOOK);
            }
        }
    }
    tracing::warn!(number, "the window of an apply is long over; it is undone");
    loop {
        match undo(host, number) {
            Ok(Undone::Ended(words)) => return words,
            Ok(Undone::NotYet) => host.wait(PATIENCE),
            Err(error) => {
                told(error);
                host.wait(LOOK);
            }
        }
    }
}

/// How long it is until the deadline of an apply; `None` where there is nothing to undo any
/// more, and nothing that this process could.
pub(super) fn left(host: &impl Host, number: u64) -> Result<Option<Duration>, TurnError> {
    let now = host.uptime()?;
    let window = unsettled(host, number)?.filter(|window| window.is_of(&now));
    Ok(window.map(|window| Duration::from_millis(window.deadline.saturating_sub(now.milliseconds))))
}

enum Undone {
    /// It ended, and what became of it where this process did it.
    Ended(Option<String>),
    /// Whoever holds the node has still to die.
    NotYet,
}

/// Undoes it, if the node can be had.
fn undo(host: &impl Host, number: u64) -> Result<Undone, TurnError> {
    if unsettled(host, number)?.is_none() {
        return Ok(Undone::Ended(None));
    }
    if let Some(_lock) = host.lock(Utf8Path::new(LOCK))? {
        return Ok(Undone::Ended(recover(host)?.words));
    }
    host.end_holder(Utf8Path::new(LOCK))?;
    Ok(Undone::NotYet)
}

/// The window of the apply, unless it ended.
fn unsettled(host: &impl Host, number: u64) -> Result<Option<Window>, TurnError> {
    let entry = apply::entry(host, number)?;
    Ok(entry.filter(|entry| !entry.state.is_final()).and_then(|entry| entry.record.window))
}

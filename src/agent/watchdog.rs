//! The watchdog of one apply: undoes it when its window ends unconfirmed, whatever became
//! of who applied.
//!
//! It needs the journal, the generations and the programs that change the network: no
//! remote, no git, no settings.

use std::time::Duration;

use camino::Utf8Path;

use super::error::TurnError;
use super::window::recover;
use crate::apply::{self, LOCK};
use crate::host::{Host, Watching};

/// The longest time between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// How long whoever holds the node may take to die.
const PATIENCE: Duration = Duration::from_millis(200);

/// Watches the apply of an entry of the journal until it ends, and undoes it at its
/// deadline. Says what became of it where that was this process's doing.
pub fn watch(host: &impl Host, number: u64) -> Result<Option<String>, TurnError> {
    let watching = Watching::begin(host, number)?;
    let result = wait(host, number);
    watching.end(host)?;
    result
}

fn wait(host: &impl Host, number: u64) -> Result<Option<String>, TurnError> {
    loop {
        let Some(window) = unsettled(host, number)? else { return Ok(None) };
        let now = host.uptime()?;
        if !window.is_of(&now) {
            return Ok(None);
        }
        let left = Duration::from_millis(window.deadline.saturating_sub(now.milliseconds));
        if left.is_zero() {
            break;
        }
        host.wait(left.min(LOOK));
    }
    tracing::warn!(number, "the window of an apply is long over; it is undone");
    loop {
        if unsettled(host, number)?.is_none() {
            return Ok(None);
        }
        if let Some(_lock) = host.lock(Utf8Path::new(LOCK))? {
            return Ok(recover(host)?.words);
        }
        host.end_holder(Utf8Path::new(LOCK))?;
        host.wait(PATIENCE);
    }
}

/// The window of the apply, unless it ended.
fn unsettled(host: &impl Host, number: u64) -> Result<Option<crate::plan::Window>, TurnError> {
    let history = apply::history(host)?;
    let entry = history.into_iter().find(|entry| entry.record.number == number);
    Ok(entry.filter(|entry| !entry.state.is_final()).and_then(|entry| entry.record.window))
}

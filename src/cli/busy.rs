//! Why a verb cannot have the node: who has it, and what a person can do meanwhile.

use std::time::Duration;

use camino::Utf8Path;
use jiff::Timestamp;

use super::answer;
use super::failure::{Exit, Failure};
use super::node::Node;
use super::window::CLOCK;
use crate::agent::TurnError;
use crate::agent::standing::subject;
use crate::apply::{self, Entry, LOCK};
use crate::host::{self, Holder, Host as _};
use crate::plan::Uptime;

/// The most bytes that are read of the lock's file.
const MAX_BYTES: u64 = 256;

/// That another process owns the node.
pub(super) fn failure(node: &Node) -> Failure {
    let file = node.host().read(Utf8Path::new(LOCK), MAX_BYTES).ok().flatten();
    let Some(holder) = file.and_then(|file| host::holder(&file.text())) else {
        return answer::failure(&TurnError::Busy);
    };
    let Holder { process, command } = &holder;
    let message = format!("{}: process {process}, `{command}`", TurnError::Busy);
    let failure = Failure::new(Exit::Failed, message).code(TurnError::Busy.code());
    let open = apply::open(node.host()).ok().flatten();
    let hint = open
        .zip(node.host().uptime().ok())
        .and_then(|(entry, up)| of_a_window(&entry, *process, &up, node.host().now()));
    match hint.or_else(|| TurnError::Busy.help().map(str::to_owned)) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What can be done while a process watches the window of an entry.
fn of_a_window(entry: &Entry, process: u32, up: &Uptime, now: Timestamp) -> Option<String> {
    let window = entry.record.window.as_ref().filter(|window| window.is_of(up))?;
    let at = |time: u64| {
        let left = Duration::from_millis(time.saturating_sub(up.milliseconds));
        Some(now.checked_add(left).ok()?.strftime(CLOCK).to_string())
    };
    let (until, deadline) = (at(window.until)?, at(window.deadline)?);
    Some(format!(
        "it watches {}, whose window is open until {until}; `weft confirm` keeps that now; \
         to undo it, end process {process} (Ctrl-C where it runs, or `kill {process}`), then `weft rollback`; \
         without that its watchdog does at {deadline}",
        subject(entry)
    ))
}

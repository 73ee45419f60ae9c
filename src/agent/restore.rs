//! What a machine does when it starts, before its network does: an apply that was
//! interrupted is settled, by files alone.

use camino::Utf8Path;

use super::error::TurnError;
use super::hold::Hold;
use super::settings::{self, Mode};
use super::window::{recover, recover_at_boot};
use crate::apply::{self, BroughtUp, LOCK};
use crate::host::Host;

/// Settles what was interrupted, so that the network comes up from the files of one
/// generation and never of two. Says what became of it; `None` where nothing had been
/// interrupted. Needs no settings, no remote and no program.
pub fn restore(host: &impl Host) -> Result<Option<String>, TurnError> {
    match host.lock(Utf8Path::new(LOCK))? {
        Some(_lock) => Ok(recover_at_boot(host)?.words),
        None => Err(TurnError::Busy),
    }
}

/// Brings the network to what runs, when the machine has started: what its start left out, and
/// an apply that was interrupted first. A node that is held, or observes, or whose interfaces
/// file somebody wrote otherwise, is left alone. Says what was done. Needs no settings and no
/// remote.
pub fn bring_up(host: &impl Host) -> Result<String, TurnError> {
    let Some(_lock) = host.lock(Utf8Path::new(LOCK))? else { return Err(TurnError::Busy) };
    let settled = recover(host)?;
    if settled.open.is_some() {
        return Ok("an apply is being watched: its window is open".to_owned());
    }
    if let Some(hold) = Hold::current(host, host.now())? {
        return Ok(format!("this node is held, and nothing is changed: {}", hold.reason));
    }
    // Without settings, or with broken ones, what runs is brought up all the same.
    let observes = settings::load(host).ok().flatten();
    if observes.is_some_and(|settings| settings.mode() == Mode::Observe) {
        return Ok("this node observes, and nothing is changed".to_owned());
    }
    let done = match apply::bring_up(host)? {
        BroughtUp::Edited => {
            "the interfaces file is not what weft wrote, and nothing is changed".to_owned()
        }
        BroughtUp::Nothing => "nothing of weft's runs on this node".to_owned(),
        BroughtUp::Unsettled => "an apply is not settled yet".to_owned(),
        BroughtUp::Running { generation, changes: 0 } => {
            format!("the network is what generation {generation} says")
        }
        BroughtUp::Running { generation, changes } => format!(
            "the network is what generation {generation} says, by {changes} {}",
            if changes == 1 { "change" } else { "changes" }
        ),
    };
    Ok(settled.words.into_iter().chain([done]).collect::<Vec<_>>().join("\n"))
}

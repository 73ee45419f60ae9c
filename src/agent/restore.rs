//! What a machine does when it starts, before its network does: an apply that was
//! interrupted is settled, by files alone.

use camino::Utf8Path;

use super::error::TurnError;
use super::window::recover_at_boot;
use crate::apply::LOCK;
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

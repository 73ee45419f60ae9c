//! An open window: looking whether everything works, and what becomes of it.

use std::time::Duration;

use super::execute::roll_back;
use super::files::Way;
use super::journal::{Entry, State};
use super::{ApplyError, Failure, Outcome, StateError, tidy};
use crate::host::Host;
use crate::plan::{Health, Shortfall, Sign, Verdict, Watch, Window};

/// The time between two looks after a way back.
const PAUSE: Duration = Duration::from_secs(1);

/// How a window stands.
#[derive(Debug)]
pub enum Progress {
    /// It is open still.
    Open {
        /// What is tried.
        entry: Entry,
        /// What is down of what must work.
        down: Vec<Sign>,
        /// How long it is open at most.
        left: Duration,
    },
    /// It ended by this look.
    Ended(Outcome),
    /// Somebody else ended it, and writes down what came of it.
    Over(Outcome),
}

/// Looks once whether everything works that must, and confirms or undoes the apply where
/// the time has come. `number` is that of its entry.
pub fn watch(host: &impl Host, number: u64, watch: &mut Watch) -> Result<Progress, ApplyError> {
    let entry = entry(host, number)?;
    let window = match (&entry.record.window, entry.state) {
        (Some(window), State::Applied) => window,
        (_, State::Confirmed) => return Ok(Progress::Over(Outcome::Confirmed { running: entry })),
        (_, State::RolledBack) => {
            let failure = Failure::Overtaken;
            return Ok(Progress::Over(Outcome::RolledBack { entry, failure }));
        }
        (_, State::Intent | State::Armed | State::Applied) => {
            return Err(ApplyError::Unsettled { number });
        }
    };
    let look = host.observe(&window.watchlist)?.unwrap_or_default();
    // After looking, which takes time: a window is not confirmed behind its end.
    let now = host.uptime()?;
    let shortfall = match watch.look(&now, window, &look) {
        Verdict::Wait(down) => {
            let left = window.left(&now);
            return Ok(Progress::Open { entry, down, left });
        }
        Verdict::Confirm => return end(host, &entry),
        Verdict::RollBack(shortfall) => shortfall,
    };
    let failure = Failure::Window { shortfall, persists: Vec::new() };
    undo(host, number, failure).map(Progress::Ended)
}

/// The apply of this number, where it is in place and its time is not over: then there is
/// nothing to settle. Reads its entry alone, for whoever looks often.
pub fn is_open(host: &impl Host, number: u64) -> Result<Option<Entry>, ApplyError> {
    let Some(entry) = super::entry(host, number)?.filter(Entry::is_open) else { return Ok(None) };
    let now = host.uptime()?;
    let window = entry.record.window.as_ref();
    let lasts = window.is_some_and(|w| w.is_of(&now) && now.milliseconds < w.deadline);
    Ok(Some(entry).filter(|_| lasts))
}

/// Confirms an open window, whatever is down: a person says so. The entry, or `None` where
/// no window is open. Needs no lock: of several ends one wins.
pub fn confirm(host: &impl Host) -> Result<Option<Entry>, ApplyError> {
    let Some(entry) = super::open(host)? else { return Ok(None) };
    let number = entry.record.number;
    match entry.turn(host, State::Confirmed)? {
        Some(running) => Ok(Some(running)),
        None => Err(ApplyError::Overtaken { number }),
    }
}

/// Undoes the apply of an open window.
pub fn undo(host: &impl Host, number: u64, failure: Failure) -> Result<Outcome, ApplyError> {
    let entry = entry(host, number)?;
    let way = Way::load(host, &entry.record)?;
    let outcome = roll_back(host, &entry, &way, failure);
    clear(host);
    Ok(outcome)
}

/// Looks whether what was down in a window works again with the previous generation back, and
/// says in its failure what does not: that is not the change's doing. May take as long as the
/// longest grace of it, so that what is to be remembered of the outcome is remembered before.
pub fn look_again(host: &impl Host, outcome: &mut Outcome) {
    if let Outcome::RolledBack { entry, failure } = outcome
        && let Some(window) = &entry.record.window
        && let Failure::Window { shortfall: Shortfall::Down(down), persists } = failure
    {
        *persists = persisting(host, window, down);
    }
}

fn end(host: &impl Host, entry: &Entry) -> Result<Progress, ApplyError> {
    let number = entry.record.number;
    let confirmed = entry.turn(host, State::Confirmed)?;
    clear(host);
    if let Some(running) = confirmed {
        return Ok(Progress::Ended(Outcome::Confirmed { running }));
    }
    let ended = self::entry(host, number)?;
    Ok(Progress::Over(match ended.state {
        State::Confirmed => Outcome::Confirmed { running: ended },
        _ => Outcome::RolledBack { entry: ended, failure: Failure::Overtaken },
    }))
}

fn entry(host: &impl Host, number: u64) -> Result<Entry, ApplyError> {
    super::entry(host, number)?.ok_or_else(|| {
        let message = format!("lacks entry {number}, whose window is open");
        StateError::damaged(super::journal::DIRECTORY, message).into()
    })
}

/// What stays down of what was, with the previous generation back: looked at until
/// something works again, or as long as it may take.
fn persisting(host: &impl Host, window: &Window, down: &[Sign]) -> Vec<Sign> {
    let graces = window.required.iter().filter(|required| down.contains(&required.sign));
    let grace = graces.map(|required| required.grace).max().unwrap_or(0);
    // By the clock: looking takes time too.
    let time = || host.uptime().map_or(u64::MAX, |now| now.milliseconds);
    let end = time().saturating_add(grace);
    loop {
        let found = host.observe(&window.watchlist).ok().flatten();
        let signs = found.unwrap_or_default().signs;
        let is_down = |sign: &&Sign| signs.get(*sign).is_none_or(|health| *health != Health::Up);
        let persists: Vec<Sign> = down.iter().filter(is_down).cloned().collect();
        if persists.len() < down.len() || time() >= end {
            return persists;
        }
        host.wait(PAUSE);
    }
}

fn clear(host: &impl Host) {
    if let Err(error) = tidy::tidy(host) {
        tracing::warn!(%error, "leftovers of an apply cannot be removed");
    }
}

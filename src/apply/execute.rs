//! Carrying out what was prepared, and the way back.

use tracing::{debug_span, warn};

use super::action::Action;
use super::files::{Files, Way};
use super::journal::{Entry, Kind, State};
use super::network::{self, NetworkError, WayBack};
use super::prepare::Work;
use super::{ApplyError, Failure, Outcome, StateError, services, tidy};
use crate::host::Host;
use crate::plan::Engine;
use crate::render::Managed;

pub(super) fn execute(host: &impl Host, work: &Work) -> Result<Outcome, ApplyError> {
    let entry = Entry { state: State::Intent, record: work.record.clone() };
    let advance = work.record.kind == Kind::Advance;
    let result = if advance { advance_commit(host, &entry) } else { change(host, &entry, work) };
    // What is left over is left for the next start: the node is where it should be.
    if let Err(error) = tidy::tidy(host) {
        warn!(%error, "leftovers of an apply cannot be removed");
    }
    result
}

/// Lets the running generation run under another commit.
fn advance_commit(host: &impl Host, entry: &Entry) -> Result<Outcome, ApplyError> {
    let confirm = || {
        entry.write(host)?;
        Ok(entry.turn(host, State::Confirmed)?)
    };
    match confirm() {
        Ok(Some(running)) => Ok(Outcome::Unchanged { running }),
        Ok(None) => Err(overtaken(entry)),
        // Renamed, but perhaps not on the disk: after a power failure it is an intent.
        Err(error) => match entry.now(host) {
            Ok(Some(running)) if running.state == State::Confirmed => {
                Ok(Outcome::Unchanged { running })
            }
            _ => {
                abandon(host, entry);
                Err(ApplyError::State(error))
            }
        },
    }
}

fn change(host: &impl Host, entry: &Entry, work: &Work) -> Result<Outcome, ApplyError> {
    let armed = debug_span!("arm").in_scope(|| arm(host, entry, work));
    let (armed, way) = match armed {
        Ok(ready) => ready,
        Err(error) => {
            abandon(host, entry);
            return Err(error);
        }
    };
    Ok(match carry_out(host, &armed, work, &way.forward()) {
        Ok(entry) if entry.state == State::Applied => Outcome::Open { entry },
        Ok(running) => Outcome::Confirmed { running },
        Err(failure) => roll_back(host, &armed, &way, failure),
    })
}

/// Everything before the first change: the intent, the generations, the way back.
fn arm(host: &impl Host, entry: &Entry, work: &Work) -> Result<(Entry, Way), ApplyError> {
    entry.write(host)?;
    for draft in &work.drafts {
        draft.write(host)?;
    }
    let way = Way::load(host, &entry.record)?;
    way.verify(host)?;
    let mut written = work.actions.iter().filter_map(Action::managed);
    // ifupdown2 reads it at the next boot only, and takes as long as for bringing it up.
    let by_ifupdown = entry.record.engine == Engine::Ifupdown2;
    let has_interfaces = by_ifupdown && written.any(|m| *m == Managed::Interfaces);
    services::check(host, (&work.services, has_interfaces), &way.forward())?;
    if entry.record.window.is_some() {
        host.guard(entry.record.number).map_err(ApplyError::Unguarded)?;
    }
    match entry.turn(host, State::Armed)? {
        Some(armed) => Ok((armed, way)),
        None => Err(overtaken(entry)),
    }
}

fn carry_out(
    host: &impl Host,
    armed: &Entry,
    work: &Work,
    wanted: &Files,
) -> Result<Entry, Failure> {
    let mut complaints = Vec::new();
    let change = |action: &Action, complaints: &mut Vec<String>| {
        let failure = |source| Failure::Step { step: action.to_string(), source };
        action.run(host, complaints).map_err(failure)
    };
    debug_span!("change")
        .in_scope(|| work.actions.iter().try_for_each(|action| change(action, &mut complaints)))?;
    let _verify = debug_span!("verify").entered();
    if let Some(managed) = wanted.away(host).next() {
        return Err(Failure::Differs { path: managed.path() });
    }
    let failure = |error| match error {
        NetworkError::Host(error) => Failure::Unread(error),
        NetworkError::Unmet(unmet) => Failure::Kernel(unmet),
    };
    if let Some(target) = &work.network {
        let guests = &armed.record.guests;
        // What was wrong before with what nobody touches is not this change's doing.
        let mut known = armed.record.unmet.clone();
        known.retain(|mismatch| target.leaves(&mismatch.interface));
        network::settle(host, target, guests, &known, complaints.clone()).map_err(failure)?;
    }
    services::settle(host, &work.services, &armed.record.unmet, complaints).map_err(failure)?;
    let turn = |entry: &Entry, state| {
        let turned = entry.turn(host, state).map_err(Failure::Journal)?;
        turned.ok_or(Failure::Overtaken)
    };
    let applied = turn(armed, State::Applied)?;
    if armed.record.window.is_some() { Ok(applied) } else { turn(&applied, State::Confirmed) }
}

/// Puts the previous generation back, unless somebody else ended the apply meanwhile.
pub(super) fn roll_back(host: &impl Host, entry: &Entry, way: &Way, failure: Failure) -> Outcome {
    let obstacle = match claim(host, entry) {
        Ok(Claim::Ended(running)) if running.state == State::Confirmed => {
            return Outcome::Confirmed { running };
        }
        Ok(Claim::Ended(entry)) => return Outcome::RolledBack { entry, failure },
        Ok(Claim::Ours(armed)) => match put_back(host, &sparing(host, armed, &failure), way) {
            Ok(entry) => return Outcome::RolledBack { entry, failure },
            Err(obstacle) => obstacle,
        },
        Err(obstacle) => obstacle,
    };
    Outcome::Degraded { entry: entry.clone(), failure, obstacle }
}

/// Who may roll back.
pub(super) enum Claim {
    /// This process. Nobody can confirm the entry any more.
    Ours(Entry),
    /// Nobody: the entry is final.
    Ended(Entry),
}

/// Takes the confirmation of an apply away, unless it ended.
pub(super) fn claim(host: &impl Host, entry: &Entry) -> Result<Claim, StateError> {
    let lost = || StateError::damaged(entry.path(), "is missing".to_owned());
    let now = entry.now(host)?.ok_or_else(lost)?;
    if now.state != State::Applied {
        return Ok(if now.state.is_final() { Claim::Ended(now) } else { Claim::Ours(now) });
    }
    match now.turn(host, State::Armed)? {
        Some(armed) => Ok(Claim::Ours(armed)),
        // From `applied` it can only have been ended.
        None => Ok(Claim::Ended(entry.now(host)?.ok_or_else(lost)?)),
    }
}

/// Lets the entry keep what others made meanwhile, so that whoever goes on with the way back
/// spares it too. Where it cannot be written this process spares it all the same.
fn sparing(host: &impl Host, mut armed: Entry, failure: &Failure) -> Entry {
    if !failure.taken().is_empty() {
        armed.record.spared = failure.taken().to_vec();
        if let Err(error) = armed.write(host) {
            warn!(%error, "the journal does not keep which interfaces are somebody else's");
        }
    }
    armed
}

fn put_back(host: &impl Host, armed: &Entry, way: &Way) -> Result<Entry, StateError> {
    let network = WayBack::load(host, way, &armed.record);
    services::begin_back(host, way, network.as_ref().ok().and_then(Option::as_ref));
    // Whatever becomes of the network, the files are put back first of all.
    let network = network.and_then(|found| found.map(|network| network.begin(host)).transpose());
    way.back().put_back(host)?;
    let network = match network {
        Ok(Some(network)) => network.finish(host, &armed.record),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    // Services may be right although the network is not.
    services::go_back(host, way, &armed.record)?;
    network?;
    match armed.turn(host, State::RolledBack) {
        Ok(Some(ended)) => Ok(ended),
        // The same rename: either somebody else's, or one whose flush failed.
        result => match (armed.now(host)?, result) {
            (Some(ended), _) if ended.state == State::RolledBack => Ok(ended),
            (_, Err(error)) => Err(error.into()),
            (_, Ok(_)) => Err(StateError::damaged(armed.path(), "is missing".to_owned())),
        },
    }
}

/// Ends an entry that changed nothing on the node. Where that fails, the next start
/// does it.
fn abandon(host: &impl Host, entry: &Entry) {
    let end = || -> Result<(), StateError> {
        if let Some(now) = entry.now(host)?.filter(|now| !now.state.is_final()) {
            now.turn(host, State::RolledBack)?;
        }
        Ok(())
    };
    if let Err(error) = end() {
        warn!(%error, "an apply that was given up is left to the next start");
    }
}

fn overtaken(entry: &Entry) -> ApplyError {
    ApplyError::Overtaken { number: entry.record.number }
}

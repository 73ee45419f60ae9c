//! The way back by hand: `weft rollback`. It needs no settings, no remote and no program.

use camino::Utf8Path;

use super::audit;
use super::error::{TurnError, chain};
use super::hold::{Hold, HoldError};
use super::node::running;
use super::quarantine;
use super::status::{self, State, Status};
use super::window::recover;
use crate::apply::{self, Entry, Failure, Kind, LOCK, Outcome, Restored};
use crate::host::Host;

/// Stands behind what runs again.
const HELD: &str = "no commit is applied until `weft resume`";
/// Why there is no way back where nothing was ever confirmed.
const NOTHING: &str = "weft applied nothing here; there is nothing to roll back";

/// What came of the way back.
#[derive(Debug)]
pub struct Back {
    /// How the node is.
    pub state: State,
    /// The sentence that says so.
    pub message: String,
    /// What holds the node from now on; none where nothing was done.
    pub hold: Option<Hold>,
}

impl Back {
    fn refused(message: String) -> Self {
        Self { state: State::Refused, message, hold: None }
    }

    /// Says in a status what came of it.
    pub(super) fn tell(&self, status: &mut Status) {
        status.state = self.state;
        status.message.clone_from(&self.message);
        if let Some(hold) = &self.hold {
            status.hold = Some(hold.clone());
            status.window = None;
        }
    }
}

/// Goes back without settings, by the state on the disk. The status that the last turn left
/// says so afterwards, where there is one.
///
/// # Errors
///
/// Where another process owns the node, or it was not gone back; then nothing holds the
/// node that did not before.
pub fn alone(host: &impl Host, generation: Option<u64>) -> Result<Back, TurnError> {
    let Some(lock) = host.lock(Utf8Path::new(LOCK))? else { return Err(TurnError::Busy) };
    alone_under(host, &lock, generation)
}

/// The same by whoever holds the lock, such as an agent whose settings cannot be read.
pub(super) fn alone_under<H: Host>(
    host: &H,
    _lock: &H::Lock,
    generation: Option<u64>,
) -> Result<Back, TurnError> {
    let recovered = recover(host)?;
    let back = go_back(host, recovered.open.as_ref(), generation)?;
    // What was not done says nothing of the node.
    if back.hold.is_some()
        && let Some(mut status) = status::last(host)
    {
        status.updated = host.now();
        status.running = running(host)?;
        back.tell(&mut status);
        status::write(host, &status)?;
    }
    Ok(back)
}

/// Goes back to a generation, the one before when none is named, and holds the node there;
/// `open` is the window that is undone first.
pub(super) fn go_back(
    host: &impl Host,
    open: Option<&Entry>,
    generation: Option<u64>,
) -> Result<Back, TurnError> {
    let runs = apply::running(host)?;
    let goal = match (open, generation) {
        (_, Some(generation)) => Some(generation),
        (Some(_), None) => None,
        (None, None) => match before(&apply::history(host)?) {
            Before::Nothing => None,
            Before::Found { runs } => return Ok(Back::refused(only_what_was_found(runs))),
            Before::Generation(number) => Some(number),
        },
    };
    if runs.is_none() && open.is_none() {
        return Ok(Back::refused(NOTHING.to_owned()));
    }
    // What cannot be restored must hold nobody.
    if let Some(goal) = goal {
        Restored::load(host, goal)?;
    }
    let left = open.or(runs.as_ref()).and_then(|entry| entry.record.commit.as_ref());
    let earlier = Hold::current(host, host.now());
    // Before the first change: whatever becomes of this process, nothing goes forward again.
    let hold = Hold::new("weft rollback", "rolled back by hand", host.now(), None)
        .leaving(left.map(|left| left.commit));
    hold.store(host)?;
    let (state, message) = match (open, goal) {
        (Some(entry), goal) => {
            let undone = apply::undo(host, entry.record.number, Failure::ByHand)?;
            quarantine::remember(host, &undone);
            match goal.filter(|goal| *goal != entry.record.previous.number) {
                Some(goal) => restored(&restore(host, goal)?),
                None => ended(&undone),
            }
        }
        (None, Some(goal)) => match restore(host, goal) {
            Ok(outcome) => {
                let ran = runs.filter(|ran| ran.record.generation.number != goal);
                if let (Outcome::Confirmed { .. }, Some(ran)) = (&outcome, ran) {
                    quarantine::by_hand(host, &ran);
                }
                restored(&outcome)
            }
            Err(error) => {
                put_back(host, earlier)?;
                return Err(error);
            }
        },
        (None, None) => return Ok(Back::refused(NOTHING.to_owned())),
    };
    Ok(Back { state, message: format!("{message}; {HELD}"), hold: Some(hold) })
}

fn restore(host: &impl Host, generation: u64) -> Result<Outcome, TurnError> {
    let outcome = apply::restore(host, generation)?;
    audit::came(host, &outcome);
    Ok(outcome)
}

/// How a window ended that was undone by hand.
fn ended(outcome: &Outcome) -> (State, String) {
    match outcome {
        Outcome::RolledBack { entry, .. } => runs_again(entry.record.previous.number),
        outcome => restored(outcome),
    }
}

fn runs_again(generation: u64) -> (State, String) {
    (State::Held, format!("generation {generation} runs again"))
}

/// Puts a hold back that was in force; one that could not be read stays replaced.
fn put_back(host: &impl Host, earlier: Result<Option<Hold>, HoldError>) -> Result<(), HoldError> {
    match earlier {
        Ok(Some(hold)) => hold.store(host),
        Ok(None) => Hold::lift(host).map(drop),
        Err(_) => Ok(()),
    }
}

/// How going back to a generation ended.
pub(super) fn restored(outcome: &Outcome) -> (State, String) {
    match outcome {
        Outcome::Unchanged { running: entry }
        | Outcome::Confirmed { running: entry }
        | Outcome::Open { entry } => runs_again(entry.record.generation.number),
        Outcome::RolledBack { failure, .. } => {
            (State::RolledBack, format!("going back did not work: {}", chain(failure)))
        }
        Outcome::Degraded { failure, obstacle, .. } => (
            State::Degraded,
            format!("{}, and could not be undone: {}", chain(failure), chain(obstacle)),
        ),
    }
}

/// What ran before what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing was ever confirmed.
    Nothing,
    /// What was found before weft, which runs itself or before this generation.
    Found {
        /// What runs.
        runs: u64,
    },
    /// A generation of weft's.
    Generation(u64),
}

/// What ran before what runs, by the history of generations: who went back from one does not
/// come to it again by going back once more.
fn before(history: &[Entry]) -> Before {
    let confirmed = history.iter().filter(|entry| entry.state == apply::State::Confirmed);
    let mut ran: Vec<u64> = Vec::new();
    for entry in confirmed {
        let number = entry.record.generation.number;
        if ran.is_empty() {
            ran.push(entry.record.previous.number);
        }
        if entry.record.kind == Kind::Restore {
            ran.retain(|earlier| *earlier < number);
        }
        if ran.last() != Some(&number) {
            ran.push(number);
        }
    }
    match ran.as_slice() {
        [] => Before::Nothing,
        [.., before, _] if *before > 0 => Before::Generation(*before),
        [.., runs] => Before::Found { runs: *runs },
    }
}

fn only_what_was_found(runs: u64) -> String {
    if runs == 0 {
        return "what was found before weft runs already (generation 0); nothing ran before it"
            .to_owned();
    }
    format!(
        "there is no earlier generation of weft's to go back to from generation {runs}; before it \
         was generation 0, which is what was found before weft: `weft rollback 0` takes away all \
         that weft made (`weft history` lists what ran)"
    )
}

#[cfg(test)]
mod tests {
    use super::{Before, before};
    use crate::apply::tests::go;
    use crate::apply::{self, restore};
    use crate::host::fake::Fake;

    #[test]
    fn who_goes_back_again_and_again_ends_at_what_was_found() {
        let host = Fake::default();
        let is = |wanted| {
            assert_eq!(before(&apply::history(&host).expect("a journal")), wanted);
        };
        is(Before::Nothing);
        go(&host, 1, Some("one\n")).expect("it works");
        is(Before::Found { runs: 1 });
        go(&host, 2, Some("two\n")).expect("it works");
        go(&host, 3, Some("three\n")).expect("it works");
        is(Before::Generation(2));
        let back = |number| drop(restore(&host, number).expect("it was confirmed"));
        back(2);
        is(Before::Generation(1));
        // What is put right stays where it is.
        host.put("/etc/network/interfaces.d/sdn", b"by hand", 0o644);
        back(2);
        is(Before::Generation(1));
        back(1);
        is(Before::Found { runs: 1 });
        // Forward by its number, and back.
        back(3);
        is(Before::Generation(1));
        back(1);
        go(&host, 4, Some("four\n")).expect("it works");
        is(Before::Generation(1));
        back(0);
        is(Before::Found { runs: 0 });
    }
}

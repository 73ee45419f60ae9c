//! Names that the agent registers by itself, where the settings say so.
//!
//! A thread of its own does it: no turn and no address waits for a DNS server, and an agent
//! that ends does not either.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::standing::forget;
use super::{Leave, NamesError, Standing, carry_out, digest, plan, zones_of};
use crate::agent::addresses::{self, Law, remembered_of_servers};
use crate::agent::error::chain;
use crate::agent::ipam;
use crate::agent::leases::{Branch, Held, Starter, taken};
use crate::agent::settings::{Mode, Settings};
use crate::agent::writer::{self, StandBy};
use crate::host::Host;
use crate::plan::names::{Refused, Subject};
use crate::sync::worker::Cancel;
use crate::value::ObjectId;

/// How many times longer another node than the one that wrote last waits before it looks
/// whether what is registered is still there.
const LATER: u32 = 6;

/// Has names registered beside the turns of an agent.
#[derive(Debug, Default)]
pub struct Registrar(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_at_it: bool,
    /// When it is done again, unless something changes before.
    due: Option<Instant>,
    /// The commit and the leases for which it was done last.
    of: Option<(Option<ObjectId>, Option<ObjectId>)>,
    /// When servers were asked last.
    asked: Option<Instant>,
}

impl State {
    fn open(state: &Mutex<Self>) -> MutexGuard<'_, Self> {
        // Whoever panicked left something that is true, or nothing.
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registrar {
    /// Begins where the settings say so: whenever another commit runs or the leases changed,
    /// and now and then.
    pub fn begin<H: Host + 'static>(
        &self,
        host: &Arc<H>,
        settings: &Arc<Settings>,
        (program, root): (&Utf8Path, Option<&Utf8Path>),
        runs: Option<ObjectId>,
        cancel: &Cancel,
    ) {
        let Some(every) = settings.registers_names().filter(|_| settings.mode() == Mode::Apply)
        else {
            if let Err(error) = forget(&**host) {
                tracing::warn!("names: {}", chain(&error));
            }
            return;
        };
        let of = (runs, taken(&**host).ok().flatten().map(|taken| taken.commit));
        let mut state = State::open(&self.0);
        let is_due = state.of != Some(of) || state.due.is_none_or(|due| Instant::now() >= due);
        if state.is_at_it || !is_due {
            return;
        }
        (state.is_at_it, state.of) = (true, Some(of));
        drop(state);
        let (host, settings, shared) = (Arc::clone(host), Arc::clone(settings), self.0.clone());
        let (program, root) = (program.to_owned(), root.map(Utf8PathBuf::from));
        let cancel = cancel.clone();
        let begun = thread::Builder::new().name("names".to_owned()).spawn(move || {
            let _end = End(&shared);
            let starter = Starter { program: &program, root: root.as_deref(), cancel: &cancel };
            let wait = attempt(&*host, &settings, starter, every, &shared);
            // What it wrote to the branch itself is no reason to begin again.
            let of = (runs, taken(&*host).ok().flatten().map(|taken| taken.commit));
            let mut state = State::open(&shared);
            (state.of, state.due) = (Some(of), Some(Instant::now() + wait.min(every)));
        });
        if let Err(error) = begun {
            tracing::warn!("names: {error}");
            State::open(&self.0).is_at_it = false;
        }
    }
}

/// Lets the next one begin, however this one ends.
struct End<'a>(&'a Mutex<State>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        State::open(self.0).is_at_it = false;
    }
}

/// Does it, says how it stands, and how long to wait.
fn attempt<H: Host>(
    host: &H,
    settings: &Settings,
    starter: Starter<'_>,
    every: Duration,
    state: &Mutex<State>,
) -> Duration {
    let (outcome, wait) = match look_after(host, settings, starter, every, state) {
        Ok(Some(seen)) => {
            let wait = match &seen.stands_by {
                Some(StandBy::Node { left, .. }) => *left,
                _ => every,
            };
            (Some((seen.ok, seen.message, seen.refused)), wait)
        }
        Ok(None) => (None, every),
        Err(error) => (Some((false, chain(&error), Vec::new())), every),
    };
    if let Some((ok, message, refused)) = outcome {
        if !ok {
            tracing::warn!("names: {message}");
        }
        if let Err(error) = Standing::write(host, ok, message, refused) {
            tracing::warn!("names: {}", chain(&error));
        }
    }
    wait
}

/// That this node leaves names alone.
const BEHIND: &str = "a newer commit was settled by another node, which registers";

/// What an attempt came to.
#[derive(Default)]
struct Seen {
    ok: bool,
    message: String,
    refused: Vec<String>,
    stands_by: Option<StandBy>,
}

/// `None` where there is nothing new to say.
fn look_after<H: Host>(
    host: &H,
    settings: &Settings,
    starter: Starter<'_>,
    every: Duration,
    state: &Mutex<State>,
) -> Result<Option<Seen>, NamesError> {
    let branch = Branch::of(host, settings, starter)?;
    let law = addresses::law(host, settings, starter)?;
    let held = branch.read(&law.allocators)?;
    let node = &settings.node.value;
    if law.is_behind(host, &held)? {
        return Ok(Some(Seen { ok: true, message: BEHIND.to_owned(), ..Seen::default() }));
    }
    let unread = ipam::unread(host, &law.network)?;
    if let Some(zone) = unread.first() {
        let message = format!(
            "the addresses of zone {zone} are on a server that this node did not read lately; a node with a token for it registers"
        );
        return Ok(Some(Seen { ok: true, message, ..Seen::default() }));
    }
    let held = with_servers(host, held)?;
    let digest = digest(&law.network, &held.leases);
    let last = held.writer.as_ref();
    let is_done = last.is_some_and(|last| last.done == Some(digest));
    let pause = if last.is_some_and(|last| last.node == *node) { every } else { every * LATER };
    let asked = State::open(state).asked;
    if is_done && asked.is_some_and(|asked| asked.elapsed() < pause) {
        return Ok(None);
    }
    if let Some(other) = writer::others(host, node, &held)? {
        return Ok(Some(Seen {
            ok: true,
            message: other.to_string(),
            stands_by: Some(other),
            ..Seen::default()
        }));
    }
    State::open(state).asked = Some(Instant::now());
    write(host, settings, &branch, &law, (held, is_done)).map(Some)
}

/// With what IPAM servers hold beside the branch.
fn with_servers(host: &impl Host, held: Held) -> Result<Held, NamesError> {
    let mut held = held;
    held.leases.extend(remembered_of_servers(host)?);
    Ok(held)
}

/// Plans, and where something is to be done takes the right to write, plans anew and does it.
fn write<H: Host>(
    host: &H,
    settings: &Settings,
    branch: &Branch<'_, H>,
    law: &Law,
    (held, is_done): (Held, bool),
) -> Result<Seen, NamesError> {
    let planned = |held: &Held| {
        let before = held.writer.as_ref().map(|of| &of.zones);
        plan(host, settings, &law.network, &held.leases, (Leave::default(), before))
    };
    let first = planned(&held)?;
    let words = |refused: &[Refused]| refused.iter().map(ToString::to_string).collect::<Vec<_>>();
    let is_well =
        |refused: &[Refused]| !refused.iter().any(|one| matches!(one.of, Subject::Server(_)));
    let says = |refused: Vec<String>| {
        let message = match refused.len() {
            0 => "all names are registered".to_owned(),
            count => format!("{count} not registered"),
        };
        Seen { ok: refused.is_empty(), message, refused, stands_by: None }
    };
    let has_nothing = first.is_empty();
    if has_nothing && (is_done || !is_well(first.refused())) {
        return Ok(says(words(first.refused())));
    }
    let writing = match writer::begin(host, branch, &law.allocators, &settings.node.value)? {
        Ok(writing) => writing,
        Err(other) => {
            let (ok, message) = (true, other.to_string());
            return Ok(Seen { ok, message, stands_by: Some(other), ..Seen::default() });
        }
    };
    // Others may have given addresses and registered since.
    let held = with_servers(host, branch.read(&law.allocators)?)?;
    if law.is_behind(host, &held)? {
        writing.end(None, &zones_of(&first))?;
        return Ok(Seen { ok: true, message: BEHIND.to_owned(), ..Seen::default() });
    }
    let digest = digest(&law.network, &held.leases);
    let plan = planned(&held)?;
    let zones = zones_of(&plan);
    let mut refused = plan.refused().to_vec();
    let until = writing.until;
    refused.extend(carry_out(host, plan, Some(until))?.refused);
    writing.end(is_well(&refused).then_some(digest), &zones)?;
    Ok(says(words(&refused)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::names::standing;
    use crate::agent::settings::{self, SAMPLE};
    use crate::host::fake::Fake;

    #[test]
    fn nobody_is_told_of_names_that_nobody_registers_any_more() {
        let host = Arc::new(Fake::default());
        Standing::write(&*host, true, "all names are registered".to_owned(), Vec::new()).unwrap();
        assert!(standing(&*host).unwrap().is_some());
        let settings = Arc::new(settings::read(SAMPLE).unwrap());
        let place = (Utf8Path::new("/nowhere"), None);
        Registrar::default().begin(&host, &settings, place, None, &Cancel::default());
        assert_eq!(standing(&*host).unwrap(), None);
    }
}

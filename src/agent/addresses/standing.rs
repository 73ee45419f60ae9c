//! How addresses stand, and who looks after them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{AddressesError, Law, Outcome, law, others, remembered, settle, tell_hosts};
use crate::agent::error::chain;
use crate::agent::found::{FoundGuests, fingerprint};
use crate::agent::ipam;
use crate::agent::leases::{Branch, Settled, Starter};
use crate::agent::names::Registrar;
use crate::agent::settings::{Mode, Settings};
use crate::host::{Host, HostError};
use crate::sync::worker::Cancel;
use crate::value::{Digest, ObjectId};

const MAX_BYTES: u64 = 1 << 20;
/// How often addresses are looked after where nothing else runs.
const PERIOD: Duration = Duration::from_secs(300);

/// How addresses stand on this node, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// When this was written.
    pub updated: Timestamp,
    /// Whether the branch was read, and everybody has what they claim.
    pub ok: bool,
    /// In one sentence.
    pub message: String,
    /// How many leases are held.
    pub held: usize,
    /// Who does not get what.
    pub refused: Vec<String>,
    /// What is held where nothing is declared.
    pub stranded: Vec<String>,
    /// What a person should know of guests that were found, and of what DHCP servers are told.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Whether something failed that the next turn tries again.
    #[serde(default)]
    pub again: bool,
}

/// Where [`Standing`] lies on a node.
pub const STANDING: &str = "/run/weft/leases.json";
/// How many of each are named.
const NAMED: usize = 20;

/// How addresses stood last; `None` where they were never looked at.
pub fn standing(host: &impl Host) -> Result<Option<Standing>, HostError> {
    let file = host.read(Utf8Path::new(STANDING), MAX_BYTES)?;
    Ok(file.and_then(|file| serde_json::from_slice(&file.bytes).ok()))
}

/// Settles what is declared, or only reads where this node may not write, and writes down
/// how it stands. Waits for a server, and for nothing else of the node.
pub fn look_after<H: Host>(
    host: &H,
    settings: &Settings,
    starter: Starter<'_>,
) -> Result<Standing, AddressesError> {
    let tell = |notes: &mut Vec<String>| match tell_hosts(host, settings) {
        Ok(told) => {
            let is_told = told.failed.is_empty();
            notes.extend(told.sentences());
            is_told
        }
        Err(error) => {
            notes.push(chain(&error));
            false
        }
    };
    // What is known already comes first: no server is waited for.
    let mut notes = Vec::new();
    let mut is_told = tell(&mut notes);
    let result = settle_or_read(host, settings, starter, &mut notes);
    if result.is_ok() {
        is_told = tell(&mut notes);
        notes.sort();
        notes.dedup();
    }
    let again = !is_told || result.as_ref().map_or(true, |(_, is_refused)| *is_refused);
    let updated = host.now();
    let standing = match &result {
        Ok((Outcome { settled, refused, stranded, behind }, is_refused)) => {
            let held = settled.leases.len();
            let message = match (refused.len(), stranded.len(), behind) {
                (_, _, true) => "a newer commit was settled by another node".to_owned(),
                (0, 0, false) if *is_refused => "an IPAM server refused something".to_owned(),
                (0, 0, false) => "everybody has the addresses that they should have".to_owned(),
                (refused, 0, false) => format!("{refused} refused"),
                (refused, stranded, false) => format!("{refused} refused, {stranded} stranded"),
            };
            Standing {
                updated,
                ok: refused.is_empty() && stranded.is_empty() && notes.is_empty(),
                message,
                held,
                refused: refused.iter().take(NAMED).map(ToString::to_string).collect(),
                stranded: stranded.iter().take(NAMED).map(ToString::to_string).collect(),
                notes,
                again,
            }
        }
        Err(error) => Standing {
            updated,
            ok: false,
            message: chain(error),
            held: remembered(host).ok().flatten().map_or(0, |last| last.leases.len()),
            refused: Vec::new(),
            stranded: Vec::new(),
            notes,
            again,
        },
    };
    standing.write(host)?;
    Ok(standing)
}

impl Standing {
    fn write(&self, host: &impl Host) -> Result<(), HostError> {
        let mut text = serde_json::to_vec_pretty(self).expect("strings and numbers are JSON");
        text.push(b'\n');
        host.replace(Utf8Path::new(STANDING), &text, 0o644)
    }
}

/// What came of it, and whether an IPAM server refused something, which may pass.
fn settle_or_read<H: Host>(
    host: &H,
    settings: &Settings,
    starter: Starter<'_>,
    notes: &mut Vec<String>,
) -> Result<(Outcome, bool), AddressesError> {
    let law = law(host, settings, starter)?;
    let applies = settings.mode() == Mode::Apply;
    let found = if applies { others(host, settings, &law)? } else { FoundGuests::default() };
    notes.extend(found.said.iter().cloned());
    let branch = settings.leases.is_some().then(|| Branch::of(host, settings, starter)).transpose();
    let (branch, unknown) = match branch {
        Ok(branch) => (branch, None),
        Err(error) => (None, Some(error)),
    };
    let of_branch =
        branch.as_ref().map(|branch| settle_branch(host, settings, branch, &law, &found));
    let of_branch = of_branch.transpose();
    // One does not wait for the other; by a branch that cannot be read nothing is known.
    let behind = of_branch
        .as_ref()
        .map_or(true, |outcome| outcome.as_ref().is_some_and(|outcome| outcome.behind));
    let mut is_refused = false;
    if applies && unknown.is_none() {
        let (said, refused) =
            ipam::settle_all(host, settings, &law, (&found, behind), branch.as_ref())?;
        notes.extend(said);
        is_refused = refused;
    } else if applies {
        notes.extend(ipam::read_all(host, settings, &law)?);
    }
    if let Some(error) = unknown {
        return Err(error.into());
    }
    if let Some(outcome) = of_branch? {
        return Ok((outcome, is_refused));
    }
    let leases = remembered(host)?.map(|last| last.leases).unwrap_or_default();
    let settled = Settled { tip: None, leases, changes: Vec::new() };
    let outcome = Outcome { settled, refused: Vec::new(), stranded: Vec::new(), behind: false };
    Ok((outcome, is_refused))
}

/// Settles what the branch of leases keeps; only reads where this node may not write.
fn settle_branch<H: Host>(
    host: &H,
    settings: &Settings,
    branch: &Branch<'_, H>,
    law: &Law,
    found: &FoundGuests,
) -> Result<Outcome, AddressesError> {
    if settings.mode() == Mode::Apply && branch.writes() {
        return settle(host, branch, law, &found.claims, found.all_known());
    }
    let held = branch.read(&law.allocators)?;
    let behind = law.is_behind(host, &held)?;
    let settled = Settled { tip: held.tip, leases: held.leases, changes: Vec::new() };
    Ok(Outcome { settled, refused: Vec::new(), stranded: Vec::new(), behind })
}

/// Has addresses looked after beside the turns of an agent.
#[derive(Debug, Default)]
pub struct Lookout {
    task: Option<JoinHandle<()>>,
    cancel: Cancel,
    done: Arc<Mutex<Option<Done>>>,
    names: Registrar,
}

/// When addresses were looked after without a failure for the last time.
#[derive(Clone, Copy, Debug)]
struct Done {
    /// When it is done again, unless something else runs before.
    due: Instant,
    /// The commit for which it was done.
    runs: Option<ObjectId>,
    /// By what guests of the hypervisor were known then, where they were looked for.
    guests: Option<Digest>,
}

impl Lookout {
    /// Begins to look after them where the settings say where leases are kept: whenever
    /// something else runs, or a guest of the hypervisor is another one, and now and then; and
    /// whenever it failed the time before.
    pub fn begin<H: Host + 'static>(
        &mut self,
        host: &Arc<H>,
        settings: &Arc<Settings>,
        (program, root): (&Utf8Path, Option<&Utf8Path>),
        runs: Option<ObjectId>,
    ) {
        self.names.begin(host, settings, (program, root), runs, &self.cancel);
        let is_at_it = self.task.as_ref().is_some_and(|task| !task.is_finished());
        let watches_guests = settings.watches_guests();
        let has_servers = settings.leases.is_none() && settings.credentials.is_some();
        if settings.leases.is_none() && !has_servers || is_at_it {
            return;
        }
        let before = *self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let before = before.filter(|done| done.runs == runs && Instant::now() < done.due);
        if before.is_some() && !watches_guests {
            return;
        }
        let done = Arc::clone(&self.done);
        let (host, settings) = (Arc::clone(host), Arc::clone(settings));
        let (program, root) = (program.to_owned(), root.map(Utf8PathBuf::from));
        let cancel = self.cancel.clone();
        self.task = Some(tokio::task::spawn_blocking(move || {
            let guests = watches_guests.then(|| fingerprint(&*host).ok()).flatten();
            if guests.is_some() && before.is_some_and(|done| done.guests == guests) {
                return;
            }
            let due = Instant::now() + PERIOD;
            let starter = Starter { program: &program, root: root.as_deref(), cancel: &cancel };
            if has_servers && !ipam::is_concerned(&*host, &settings, starter) {
                *done.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Done { due, runs, guests });
                return;
            }
            let standing = look_after(&*host, &settings, starter);
            let is_done = standing.as_ref().is_ok_and(|standing| !standing.again);
            *done.lock().unwrap_or_else(PoisonError::into_inner) =
                is_done.then_some(Done { due, runs, guests });
            match standing {
                Ok(standing) if standing.ok => tracing::debug!("{}", standing.message),
                Ok(standing) => {
                    for line in std::iter::once(&standing.message).chain(&standing.notes) {
                        tracing::warn!("addresses: {line}");
                    }
                }
                Err(error) => tracing::warn!("addresses: {}", chain(&error)),
            }
        }));
    }
}

impl Drop for Lookout {
    /// Whoever ends does not wait for a server.
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::settings::{self, SAMPLE};
    use crate::host::fake::Fake;

    const LEASES: &str = "\
leases:
  remote: {name: leases, url: \"https://git.example/leases.git\", ca: /etc/weft/ca.pem}
";

    /// What failed is tried again with the next turn, whatever is due.
    #[tokio::test]
    async fn a_failure_is_tried_again_with_the_next_turn() {
        let host = Arc::new(Fake::default());
        let settings = Arc::new(settings::read(&format!("{SAMPLE}{LEASES}")).unwrap());
        let mut lookout = Lookout::default();
        for _ in 0..2 {
            lookout.begin(&host, &settings, (Utf8Path::new("/nowhere"), None), None);
            lookout.task.take().expect("it was begun").await.unwrap();
            let standing = standing(&*host).unwrap().unwrap();
            assert!(standing.again && !standing.ok, "{standing:?}");
        }
        // What was done is not due for a while, but for another commit.
        let done = || Done { due: Instant::now() + PERIOD, runs: None, guests: None };
        *lookout.done.lock().unwrap() = Some(done());
        lookout.begin(&host, &settings, (Utf8Path::new("/nowhere"), None), None);
        assert!(lookout.task.is_none());
        let commit = Some(ObjectId::from_bytes([1; 20]));
        lookout.begin(&host, &settings, (Utf8Path::new("/nowhere"), None), commit);
        assert!(lookout.task.is_some());
    }
}

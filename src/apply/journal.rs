//! The journal: one file for each apply, whose name says how far it came.
//!
//! `00000007.intent` becomes `.armed`, `.applied`, then `.confirmed` or
//! `.rolledback`, each by one rename. Two processes that want to end the same apply
//! differently rename the same file, and one of them finds nothing to rename: it has
//! lost and does nothing. Only an entry that is `applied` can be confirmed, so who wants
//! to roll it back takes that away first (back to `armed`), then puts the files back,
//! then renames to `rolledback`. What runs is the newest confirmed entry.
//!
//! The contents change at most once: who rolls back notes first what it must spare
//! ([`Record::spared`]). Nobody else renames the entry then, for of an `armed` one only
//! the holder of the node's lock does.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Link, StateError};
use crate::host::{Host, HostError};
use crate::plan::{Engine, GuestPort, Mismatch, Window};
use crate::sync::CommitRecord;
use crate::value::Digest;

/// Where the journal lies.
pub(super) const DIRECTORY: &str = "/var/lib/weft/journal";

/// The format of entries that this version writes and reads.
pub(super) const FORMAT: u32 = 2;

/// The most bytes of an entry.
const ENTRY_LIMIT: u64 = 4 << 20;

/// How often the journal is read again when somebody changes it meanwhile.
const ATTEMPTS: u32 = 64;

/// How far an apply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Something is prepared; the node is untouched.
    Intent,
    /// The node's files may be old, new or some of each; the way back is `previous`.
    Armed,
    /// The node's files are those of the generation.
    Applied,
    /// The generation runs. Final.
    Confirmed,
    /// The node's files are those of the previous generation. Final.
    RolledBack,
}

impl State {
    const ALL: [Self; 5] =
        [Self::Intent, Self::Armed, Self::Applied, Self::Confirmed, Self::RolledBack];

    /// The word in the name of the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Armed => "armed",
            Self::Applied => "applied",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolledback",
        }
    }

    /// Whether nothing more happens to the entry.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::RolledBack)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A new generation.
    Apply,
    /// The running generation under a newer commit that renders the same.
    Advance,
    /// A generation that ran before.
    Restore,
}

/// What stands in the file of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The format of the entry: 2.
    pub format: u32,
    /// The number of the entry, as in the name of the file.
    pub number: u64,
    /// What it is about.
    pub kind: Kind,
    /// The generation that runs when this is confirmed.
    pub generation: Link,
    /// The generation that ran before it, and runs again when this is rolled back.
    pub previous: Link,
    /// The commit; none for generation 0.
    pub commit: Option<CommitRecord>,
    /// The digest of the rendering; none for generation 0.
    pub rendering: Option<Digest>,
    /// What brings the network there, and back.
    #[serde(default)]
    pub engine: Engine,
    /// When it began, by the clock of the node.
    pub begun: Timestamp,
    /// What is done, in words.
    pub steps: Vec<String>,
    /// The ports of guests before the first change, so that they can be put back. None
    /// on a dry node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestPort>,
    /// Whether the dnsmasq that is of no zone ran and is stopped, so that a way back can
    /// start it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_dnsmasq: bool,
    /// What the network lacked of `previous` before the first change. The way back does
    /// not have to mend it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Mismatch>,
    /// The interfaces that others made with names which this wanted, while it was carried
    /// out. Every way back leaves them alone, also that of a later process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spared: Vec<String>,
    /// The earlier state that it brings back, in words, where an operator held the node when
    /// it began: nothing else is applied then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_hold: Option<String>,
    /// Until when it has to be confirmed, and by what. None on a dry node, and of what is
    /// confirmed by being applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// How far it came.
    pub state: State,
    /// What it is about.
    #[serde(flatten)]
    pub record: Record,
}

/// The journal as it was when it was read.
#[derive(Clone, Debug)]
pub struct Journal {
    /// By number, oldest first.
    entries: Vec<Entry>,
}

impl Journal {
    /// Reads the journal. May be done beside a process that applies. A file that
    /// cannot be read as an entry is damage.
    pub fn read(host: &impl Host) -> Result<Self, StateError> {
        Ok(Self { entries: read_of(host, <[_]>::to_vec)? })
    }

    /// The same from what runs on: a way back must not ask for an entry of the past that
    /// cannot be read any more.
    pub fn recent(host: &impl Host) -> Result<Self, StateError> {
        let recent = |names: &[(u64, State)]| {
            let runs = names.iter().rposition(|(_, state)| *state == State::Confirmed);
            names[runs.unwrap_or(0)..].to_vec()
        };
        Ok(Self { entries: read_of(host, recent)? })
    }

    /// The same from the newest entry back until what was read, the newest first, is enough:
    /// there may be hundreds, each of which says a lot.
    pub(super) fn back(
        host: &impl Host,
        enough: impl Fn(&[Entry]) -> bool,
    ) -> Result<Self, StateError> {
        let back = |names: &[(u64, State)]| {
            let mut entries = Vec::new();
            for &name in names.iter().rev() {
                let Some(entry) = read_one(host, name)? else { return Ok(None) };
                entries.push(entry);
                if enough(&entries) {
                    break;
                }
            }
            entries.reverse();
            Ok(Some(entries))
        };
        Ok(Self { entries: read_by(host, back)? })
    }

    /// The same as far as an apply needs it: what runs, and the newest entry that made a
    /// generation, for it made the one with the highest number.
    pub(super) fn to_apply(host: &impl Host) -> Result<Self, StateError> {
        Self::back(host, |entries| {
            let runs = |entry: &Entry| entry.state == State::Confirmed;
            let makes = |entry: &Entry| entry.record.kind == Kind::Apply;
            entries.iter().any(runs) && entries.iter().any(makes)
        })
    }

    /// Every entry that was read, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What runs: the newest confirmed entry.
    pub fn running(&self) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.state == State::Confirmed)
    }

    /// The entry of an apply that was interrupted. It is the newest one.
    pub fn unsettled(&self) -> Option<&Entry> {
        self.entries.last().filter(|entry| !entry.state.is_final())
    }

    /// The number of the next entry.
    pub(super) fn next_number(&self) -> u64 {
        self.entries.last().map_or(1, |entry| entry.record.number + 1)
    }

    /// The highest number of a generation that was ever begun, as far as is known.
    pub(super) fn highest_generation(&self) -> u64 {
        self.entries.iter().map(|entry| entry.record.generation.number).max().unwrap_or(0)
    }

    /// What the newest confirmed entry that names a generation says of it.
    pub(super) fn link(&self, generation: u64) -> Option<Link> {
        let confirmed = self.entries.iter().rev().filter(|e| e.state == State::Confirmed);
        let mut links = confirmed.flat_map(Entry::links);
        links.find(|link| link.number == generation)
    }
}

impl Entry {
    /// Whether it is in place, and neither confirmed nor undone.
    pub fn is_open(&self) -> bool {
        self.record.window.is_some() && self.state == State::Applied
    }

    /// Where the entry lies.
    pub fn path(&self) -> Utf8PathBuf {
        path(self.record.number, self.state)
    }

    /// The generations that it names.
    pub(super) fn links(&self) -> [Link; 2] {
        [self.record.generation, self.record.previous]
    }

    /// Writes it as a whole: a new one, or one that whoever holds the lock of the node has
    /// claimed to roll it back.
    pub(super) fn write(&self, host: &impl Host) -> Result<(), HostError> {
        let path = self.path();
        let text = super::json(&path, &self.record)?;
        // What nobody could read again must not be written.
        if text.len() as u64 > ENTRY_LIMIT {
            return Err(HostError::TooLarge { path, limit: ENTRY_LIMIT });
        }
        host.replace(&path, &text, 0o600)
    }

    /// Renames to another state. `None`: somebody else renamed it before, and nothing
    /// was done.
    pub(super) fn turn(&self, host: &impl Host, state: State) -> Result<Option<Self>, HostError> {
        let turned = Self { state, record: self.record.clone() };
        match host.rename(&self.path(), &turned.path()) {
            Ok(()) => Ok(Some(turned)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entry in the state that it is in now, whoever brought it there; `None` where
    /// it was never written.
    pub(super) fn now(&self, host: &impl Host) -> Result<Option<Self>, StateError> {
        let numbered = names(host)?.into_iter().find(|(number, _)| *number == self.record.number);
        Ok(numbered.map(|(_, state)| Self { state, record: self.record.clone() }))
    }
}

/// The newest entry of which this holds, by its number and state. No other is read.
pub(super) fn newest(
    host: &impl Host,
    holds: impl Fn(u64, State) -> bool,
) -> Result<Option<Entry>, StateError> {
    let is_it = |(number, state): &&(u64, State)| holds(*number, *state);
    let one = |names: &[(u64, State)]| names.iter().rev().find(is_it).copied();
    Ok(read_of(host, |names| one(names).into_iter().collect())?.pop())
}

/// The entries of those names that are chosen of all.
fn read_of(
    host: &impl Host,
    choose: impl Fn(&[(u64, State)]) -> Vec<(u64, State)>,
) -> Result<Vec<Entry>, StateError> {
    read_by(host, |names| choose(names).into_iter().map(|name| read_one(host, name)).collect())
}

/// What is read of those names; `read` gives nothing where one was renamed meanwhile.
fn read_by(
    host: &impl Host,
    read: impl Fn(&[(u64, State)]) -> Result<Option<Vec<Entry>>, StateError>,
) -> Result<Vec<Entry>, StateError> {
    let mut names = names(host)?;
    for _ in 0..ATTEMPTS {
        // A name that changes while a directory is listed may be in neither place.
        let again = self::names(host)?;
        if again != names {
            names = again;
            continue;
        }
        if let Some(entries) = read(&names)? {
            check(&names)?;
            return Ok(entries);
        }
        names = self::names(host)?;
    }
    Err(StateError::damaged(DIRECTORY, "changes all the time".to_owned()))
}

/// Refuses names that no apply leaves behind.
fn check(names: &[(u64, State)]) -> Result<(), StateError> {
    for pair in names.windows(2) {
        let [(number, state), (later, other)] = [pair[0], pair[1]];
        if !state.is_final() && number != later {
            let message = format!("is {state} although a later entry follows");
            return Err(StateError::damaged(path(number, state), message));
        }
        if number == later {
            let message = format!("stands beside `{}`", path(number, state));
            return Err(StateError::damaged(path(later, other), message));
        }
    }
    Ok(())
}

fn path(number: u64, state: State) -> Utf8PathBuf {
    Utf8Path::new(DIRECTORY).join(format!("{number:08}.{state}"))
}

/// The entries by their names. A name that no version of weft would give, such as that of a
/// copy which somebody made, is nobody's word and stops no way back.
pub(super) fn names(host: &impl Host) -> Result<Vec<(u64, State)>, StateError> {
    let mut found = Vec::new();
    for name in host.list(Utf8Path::new(DIRECTORY))? {
        match parse(&name) {
            Some(entry) => found.push(entry),
            None if is_of_weft(&name) => {
                let path = Utf8Path::new(DIRECTORY).join(&name);
                let message = "says a state that this version does not know".to_owned();
                return Err(StateError::damaged(path, message));
            }
            None => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a name has the form of an entry's.
fn is_of_weft(name: &str) -> bool {
    name.split_once('.').is_some_and(|(number, state)| {
        number.len() >= 8
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !state.is_empty()
            && state.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

fn parse(name: &str) -> Option<(u64, State)> {
    let (number, word) = name.split_once('.')?;
    let parsed = (number.parse().ok()?, State::ALL.into_iter().find(|s| s.as_str() == word)?);
    // One name for each entry: no `7`, no `+0000007`.
    (path(parsed.0, parsed.1).file_name() == Some(name)).then_some(parsed)
}

/// The entry of this name; `None` where it was renamed meanwhile.
fn read_one(host: &impl Host, (number, state): (u64, State)) -> Result<Option<Entry>, StateError> {
    let path = path(number, state);
    let Some(file) = host.read(&path, ENTRY_LIMIT)? else { return Ok(None) };
    let record: Record = super::from_json(&path, &file.bytes)?;
    if record.format != FORMAT || record.number != number {
        let message = format!(
            "says format {} and number {}, where {FORMAT} and {number} are wanted",
            record.format, record.number
        );
        return Err(StateError::damaged(path, message));
    }
    Ok(Some(Entry { state, record }))
}

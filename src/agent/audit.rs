//! What was done to a node, by whom and what came of it: `/var/lib/weft/audit/`.
//!
//! Each line is a JSON object that holds the SHA-256 of the line before, over as many files
//! as there are: who changes or takes out a line changes every one after it. Who owns the
//! node can write them all anew; that shows against a copy of any later line elsewhere, such
//! as in a collector of logs. The journal says what runs; nothing is decided by these files,
//! and what cannot be written stops nothing.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::warn;

use super::error::chain;
use crate::apply::{Entry, Outcome};
use crate::host::{Host, HostError};
use crate::sync::CommitRecord;
use crate::value::Digest;

/// Where the files lie: `00000001.jsonl` and so on.
pub const DIRECTORY: &str = "/var/lib/weft/audit";
const LOCK: &str = "/run/weft/audit.lock";

/// A file is full beyond this, and how many are kept.
const FULL: usize = 256 << 10;
const KEPT: u64 = 64;
/// The most bytes of a file: the last line of a full one may be long.
const MAX_BYTES: u64 = 1 << 20;
/// The most characters of a reason, an operator's name and the words of a command.
const MAX_WORDS: usize = 2_000;

/// How often it is tried to write beside another process, and the time between two tries.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody at the node asked for something.
    Asked {
        /// Who logged in.
        by: String,
        /// The command.
        command: String,
    },
    /// A change is in place, and its window is open.
    Applied(Change),
    /// It runs.
    Confirmed(Change),
    /// What ran before runs again.
    RolledBack {
        /// What was tried.
        #[serde(flatten)]
        change: Change,
        /// The stable name of the reason.
        code: String,
        /// The reason.
        reason: String,
    },
    /// Neither what ran nor what was to run could be reached.
    Degraded {
        /// What was tried.
        #[serde(flatten)]
        change: Change,
        /// The stable name of the reason.
        code: String,
        /// The reason, and what stands in the way back.
        reason: String,
    },
}

/// What a change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entry of the journal.
    pub number: u64,
    /// The generation.
    pub generation: u64,
    /// The commit and who signed it; none of what was there before weft.
    pub commit: Option<CommitRecord>,
    /// What was done, in words.
    pub steps: Vec<String>,
}

impl Change {
    fn of(entry: &Entry) -> Self {
        let record = &entry.record;
        Self {
            number: record.number,
            generation: record.generation.number,
            commit: record.commit.clone(),
            steps: record.steps.clone(),
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, by the clock of the node.
    pub time: Timestamp,
    /// The SHA-256 of the line before without its end; none of the first line of all.
    pub previous: Option<Digest>,
    /// What was done.
    #[serde(flatten)]
    pub event: Event,
}

/// Why the lines are not those that were written, or cannot be read.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A line is none of weft's.
    #[error("line {line} of `{file}` cannot be read: {source}")]
    Unread {
        /// The file.
        file: Utf8PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A line does not follow the one before it.
    #[error(
        "line {line} of `{file}` does not follow the line before it: one of them was changed, or a line was taken out"
    )]
    Broken {
        /// The file.
        file: Utf8PathBuf,
        /// From 1.
        line: usize,
    },
    /// Another process writes all the time.
    #[error("`{LOCK}` is held by another process")]
    Busy,
}

/// Writes down what came of an apply, unless nothing was done.
pub(super) fn came(host: &impl Host, outcome: &Outcome) {
    let event = match outcome {
        Outcome::Unchanged { .. } => return,
        Outcome::Open { entry } => Event::Applied(Change::of(entry)),
        Outcome::Confirmed { running } => Event::Confirmed(Change::of(running)),
        Outcome::RolledBack { entry, failure } => Event::RolledBack {
            change: Change::of(entry),
            code: failure.code().to_owned(),
            reason: words(&chain(failure)),
        },
        Outcome::Degraded { entry, failure, obstacle } => Event::Degraded {
            change: Change::of(entry),
            code: failure.code().to_owned(),
            reason: words(&format!("{}; {}", chain(failure), chain(obstacle))),
        },
    };
    write(host, event);
}

/// Writes down what somebody at the node asks for, before it is done.
pub fn asked(host: &impl Host, by: &str, command: &str) {
    write(host, Event::Asked { by: words(by), command: words(command) });
}

fn words(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}

fn write(host: &impl Host, event: Event) {
    if let Err(error) = append(host, event) {
        warn!("what was done is not written down in `{DIRECTORY}`: {}", chain(&error));
    }
}

fn append(host: &impl Host, event: Event) -> Result<(), AuditError> {
    let _lock = hold(host)?;
    let numbers = numbers(host)?;
    let newest = numbers.last().copied().unwrap_or(1);
    let mut text = read(host, newest)?;
    let previous = match lines(&text).last() {
        Some(line) => Some(Digest::of(line)),
        None => None,
    };
    let line = Line { time: host.now(), previous, event };
    let mut number = newest;
    if text.len() >= FULL {
        (number, text) = (newest + 1, Vec::new());
    }
    text.extend(serde_json::to_vec(&line).unwrap_or_default());
    text.push(b'\n');
    host.replace(&path(number), &text, 0o600)?;
    for old in numbers.iter().filter(|old| **old + KEPT <= number) {
        host.remove(&path(*old))?;
    }
    Ok(())
}

fn hold<H: Host>(host: &H) -> Result<H::Lock, AuditError> {
    for _ in 0..TRIES {
        if let Some(lock) = host.lock(Utf8Path::new(LOCK))? {
            return Ok(lock);
        }
        host.wait(PAUSE);
    }
    Err(AuditError::Busy)
}

fn path(number: u64) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{DIRECTORY}/{number:08}.jsonl"))
}

/// The numbers of the files, in order.
fn numbers(host: &impl Host) -> Result<Vec<u64>, HostError> {
    let names = host.list(Utf8Path::new(DIRECTORY))?;
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| name.strip_suffix(".jsonl")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(host: &impl Host, number: u64) -> Result<Vec<u8>, HostError> {
    Ok(host.read(&path(number), MAX_BYTES)?.map(|file| file.bytes).unwrap_or_default())
}

fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Every line that is kept, the oldest first.
///
/// # Errors
///
/// Where a line does not follow the one before it. What went with the oldest files is not
/// missed.
pub fn lines_of(host: &impl Host) -> Result<Vec<Line>, AuditError> {
    let mut found = Vec::new();
    let mut before: Option<Digest> = None;
    for number in numbers(host)? {
        let text = read(host, number)?;
        for (index, bytes) in lines(&text).enumerate() {
            let (file, line) = (path(number), index + 1);
            let read: Line = match serde_json::from_slice(bytes) {
                Ok(read) => read,
                Err(source) => return Err(AuditError::Unread { file, line, source }),
            };
            let is_first = found.is_empty() && number > 1;
            if read.previous != before && !is_first {
                return Err(AuditError::Broken { file, line });
            }
            before = Some(Digest::of(bytes));
            found.push(read);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{AuditError, DIRECTORY, Event, FULL, asked, lines_of, path};
    use crate::host::Host as _;
    use crate::host::fake::{Fake, Fault};

    fn commands(host: &Fake) -> Vec<String> {
        let lines = lines_of(host).expect("they follow each other");
        let command = |event| match event {
            Event::Asked { command, .. } => command,
            other => panic!("{other:?}"),
        };
        lines.into_iter().map(|line| command(line.event)).collect()
    }

    #[test]
    fn a_line_that_is_changed_or_taken_out_shows() {
        let host = Fake::default();
        for command in ["one", "two", "three"] {
            asked(&host, "ann", command);
        }
        assert_eq!(commands(&host), ["one", "two", "three"]);
        let text = host.read(&path(1), 1 << 20).expect("read").expect("there").text();
        let lines: Vec<&str> = text.lines().collect();
        let broken = |text: String| {
            host.put(path(1).as_str(), text.as_bytes(), 0o600);
            match lines_of(&host) {
                Err(AuditError::Broken { line, .. }) => line,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(broken(text.replace("two", "2")), 3);
        assert_eq!(broken(format!("{}\n{}\n", lines[0], lines[2])), 2);
        assert_eq!(broken(format!("{}\n", lines[1])), 1);
        assert_eq!(broken(format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2])), 1);
        host.put(path(1).as_str(), b"no line\n", 0o600);
        assert!(matches!(lines_of(&host), Err(AuditError::Unread { line: 1, .. })));
    }

    #[test]
    fn files_are_followed_and_bounded() {
        let host = Fake::default();
        let long = "x".repeat(super::MAX_WORDS);
        let each = FULL / long.len();
        for _ in 0..each * 2 {
            asked(&host, "ann", &long);
        }
        let files = host.list(camino::Utf8Path::new(DIRECTORY)).expect("listed").len();
        assert_eq!(commands(&host).len(), each * 2);
        // What is too old went; the rest still follows itself.
        let first = host.read(&path(1), 1 << 20).expect("read").expect("there").bytes;
        host.remove(&path(1)).expect("removed");
        assert!(commands(&host).len() < each * 2);
        assert_eq!(files, 3);
        // One in between does not go unnoticed.
        asked(&host, "ann", "last");
        let (second, text) = (path(2), host.read(&path(2), 1 << 20).expect("read"));
        host.put(path(1).as_str(), &first, 0o600);
        host.remove(&second).expect("removed");
        assert!(matches!(lines_of(&host), Err(AuditError::Broken { line: 1, .. })));
        host.put(second.as_str(), &text.expect("there").bytes, 0o600);
        assert_eq!(commands(&host).len(), each * 2 + 1);
    }

    #[test]
    fn killed_at_every_step_it_is_the_old_or_the_new() {
        for step in 0.. {
            let host = Fake::default();
            asked(&host, "ann", "one");
            host.set_faults(&[(step, Fault::Die)]);
            asked(&host, "ann", "two");
            let fired = host.fired();
            host.restart(crate::host::fake::Restart::Power);
            let lines = commands(&host);
            assert!(lines == ["one"] || lines == ["one", "two"], "{step}: {lines:?}");
            if !fired {
                return;
            }
        }
    }
}

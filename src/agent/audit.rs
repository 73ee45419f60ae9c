//! What was done to a node, by whom and what came of it: `/var/lib/weft/audit/`.
//!
//! Each line is a JSON object that holds the SHA-256 of the line before, over as many files
//! as there are: who changes or takes out a line changes every one after it. Who owns the
//! node can write them all anew; that shows against a copy of any later line elsewhere, such
//! as in a collector of logs. Lines that were taken from the end show where the journal has a
//! confirmed change that is newer than the last of them. The journal says what runs; nothing is
//! decided by these files, and what cannot be written stops nothing.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::warn;

use super::error::chain;
use crate::apply::{self, Entry, Kind, Outcome, State, StateError};
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
/// The most steps of a change that are written, and the most bytes of them.
const MOST_STEPS: usize = 100;
const STEP_BYTES: usize = 16 << 10;

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
    /// What somebody at the node asked for did not come about.
    Failed {
        /// Who logged in.
        by: String,
        /// The command.
        command: String,
        /// Why not.
        reason: String,
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

impl Event {
    /// The change that it is about.
    fn change(&self) -> Option<&Change> {
        match self {
            Self::Asked { .. } | Self::Failed { .. } => None,
            Self::Applied(change)
            | Self::Confirmed(change)
            | Self::RolledBack { change, .. }
            | Self::Degraded { change, .. } => Some(change),
        }
    }
}

/// What a change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entry of the journal.
    pub number: u64,
    /// What it is about; absent from lines of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The generation.
    pub generation: u64,
    /// The generation that ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The commit and who signed it; none of what was there before weft.
    pub commit: Option<CommitRecord>,
    /// The earlier state that it brought back, in words, where it was applied although an
    /// operator held the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_hold: Option<String>,
    /// What was done, in words: the first hundred steps, in 16 KiB together at most.
    pub steps: Vec<String>,
    /// How many more steps there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Change {
    fn of(entry: &Entry) -> Self {
        let record = &entry.record;
        let mut room = STEP_BYTES;
        let fits = |step: &&String| {
            let left = room.checked_sub(step.len());
            room = left.unwrap_or_default();
            left.is_some()
        };
        let steps: Vec<String> =
            record.steps.iter().take(MOST_STEPS).take_while(fits).cloned().collect();
        let subject_cut = |commit: &CommitRecord| CommitRecord {
            subject: words(&commit.subject),
            ..commit.clone()
        };
        Self {
            number: record.number,
            kind: Some(record.kind),
            generation: record.generation.number,
            before: Some(record.previous.number),
            commit: record.commit.as_ref().map(subject_cut),
            passed_hold: record.passed_hold.clone(),
            more: record.steps.len() - steps.len(),
            steps,
        }
    }

    /// How many steps it had.
    pub fn step_count(&self) -> usize {
        self.steps.len().saturating_add(self.more)
    }

    /// Whether it put right what ran already: a correction of drift.
    pub fn is_correction(&self) -> bool {
        self.kind == Some(Kind::Restore) && self.before == Some(self.generation)
    }

    /// Whether it went back to a generation that ran before.
    pub fn is_way_back(&self) -> bool {
        self.kind == Some(Kind::Restore) && self.before != Some(self.generation)
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

/// Writes down what somebody at the node asked for.
pub fn asked(host: &impl Host, by: &str, command: &str) {
    write(host, Event::Asked { by: words(by), command: words(command) });
}

/// Writes down that what somebody asked for did not come about.
pub fn failed(host: &impl Host, by: &str, command: &str, reason: &str) {
    let (by, command, reason) = (words(by), words(command), words(reason));
    write(host, Event::Failed { by, command, reason });
}

fn words(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}

fn write(host: &impl Host, event: Event) {
    match append(host, event) {
        // Who may not write here may not do anything to the node, and is told so by that.
        Ok(()) | Err(AuditError::Host(HostError::Denied { .. })) => {}
        Err(error) => {
            warn!("what was done is not written down in `{DIRECTORY}`: {}", chain(&error));
        }
    }
}

fn append(host: &impl Host, event: Event) -> Result<(), AuditError> {
    let _lock = hold(host)?;
    let numbers = numbers(host)?;
    let newest = numbers.last().copied().unwrap_or(1);
    // Behind a file that cannot be read another begins: one must not end all that follows.
    let text = read(host, newest);
    let is_readable = text.is_ok();
    let mut text = text.unwrap_or_default();
    let previous = lines(&text).last().map(Digest::of);
    let line = Line { time: host.now(), previous, event };
    let mut number = newest;
    if text.len() >= FULL || !is_readable {
        (number, text) = (newest.saturating_add(1), Vec::new());
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

/// Every line that is kept, the oldest first, and every place that is not as it was written:
/// a line that cannot be read in its stead, one that does not follow before it. What went
/// with the oldest files is not missed.
///
/// # Errors
///
/// Where it is not known which files there are.
pub fn lines_of(host: &impl Host) -> Result<Vec<Result<Line, AuditError>>, HostError> {
    let mut found = Vec::new();
    let mut before: Option<Digest> = None;
    // What the first line that is kept follows may have gone.
    let mut is_first = numbers(host)?.first().is_some_and(|number| *number > 1);
    for number in numbers(host)? {
        let text = match read(host, number) {
            Ok(text) => text,
            Err(error) => {
                found.push(Err(error.into()));
                continue;
            }
        };
        for (index, bytes) in lines(&text).enumerate() {
            let (file, line) = (path(number), index + 1);
            match serde_json::from_slice::<Line>(bytes) {
                Ok(read) => {
                    if read.previous != before && !is_first {
                        found.push(Err(AuditError::Broken { file, line }));
                    }
                    found.push(Ok(read));
                }
                Err(source) => found.push(Err(AuditError::Unread { file, line, source })),
            }
            is_first = false;
            before = Some(Digest::of(bytes));
        }
    }
    Ok(found)
}

/// The newest confirmed change of the journal, where the lines end before it: some were taken
/// from their end, or it could not be written down. A commit that changed nothing and what was
/// rolled back before it changed anything have no lines.
///
/// # Errors
///
/// Where the journal cannot be read.
pub fn missing(
    host: &impl Host,
    lines: &[Result<Line, AuditError>],
) -> Result<Option<u64>, StateError> {
    let done =
        |entry: &Entry| entry.state == State::Confirmed && entry.record.kind != Kind::Advance;
    let journal = apply::history(host)?;
    let Some(last) = journal.iter().rfind(|entry| done(entry)) else { return Ok(None) };
    let of_line = |line: &Line| line.event.change().map(|change| change.number);
    let newest = lines.iter().flatten().filter_map(of_line).max();
    let number = last.record.number;
    Ok(newest.is_none_or(|newest| newest < number).then_some(number))
}

#[cfg(test)]
mod tests {
    use super::{AuditError, Change, DIRECTORY, Event, FULL, asked, lines_of, path};
    use crate::apply::Outcome;
    use crate::apply::tests::go;
    use crate::host::Host as _;
    use crate::host::fake::{Fake, Fault};

    fn commands(host: &Fake) -> Vec<String> {
        let command = |event| match event {
            Event::Asked { command, .. } => command,
            other => panic!("{other:?}"),
        };
        let lines = lines_of(host).expect("they are listed").into_iter();
        lines.map(|line| command(line.expect("they follow each other").event)).collect()
    }

    /// The lines that can be read, and the numbers of those that are not as they were written.
    fn broken(host: &Fake) -> (usize, Vec<usize>) {
        let lines = lines_of(host).expect("they are listed");
        let places = lines.iter().filter_map(|line| match line {
            Ok(_) => None,
            Err(AuditError::Broken { line, .. } | AuditError::Unread { line, .. }) => Some(*line),
            Err(other) => panic!("{other:?}"),
        });
        let places: Vec<usize> = places.collect();
        (lines.iter().filter(|line| line.is_ok()).count(), places)
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
            broken(&host)
        };
        assert_eq!(broken(text.replace("two", "2")), (3, vec![3]));
        assert_eq!(broken(format!("{}\n{}\n", lines[0], lines[2])), (2, vec![2]));
        assert_eq!(broken(format!("{}\n", lines[1])), (1, vec![1]));
        let shuffled = format!("{}\n{}\n{}\n", lines[1], lines[0], lines[2]);
        assert_eq!(broken(shuffled), (3, vec![1, 2, 3]));
        // What is readable around it is listed.
        assert_eq!(broken(text.replace(lines[1], "no line")), (2, vec![2, 3]));
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
        assert_eq!(broken(&host).1, [1]);
        host.put(second.as_str(), &text.expect("there").bytes, 0o600);
        assert_eq!(commands(&host).len(), each * 2 + 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_ends_nothing() {
        let host = Fake::default();
        asked(&host, "ann", "one");
        let long = vec![b'x'; usize::try_from(super::MAX_BYTES).expect("it fits") + 1];
        host.put(path(1).as_str(), &long, 0o600);
        asked(&host, "ann", "two");
        asked(&host, "ann", "three");
        let lines = lines_of(&host).expect("they are listed");
        let words: Vec<bool> = lines.iter().map(Result::is_ok).collect();
        assert_eq!(words, [false, true, true]);
        assert!(matches!(lines[0], Err(AuditError::Host(_))), "{lines:?}");
    }

    #[test]
    fn a_change_of_many_steps_has_a_bounded_line() {
        let host = Fake::default();
        let outcome = go(&host, 1, Some("one\n")).expect("it works");
        let Outcome::Confirmed { running: mut entry } = outcome else { panic!("{outcome:?}") };
        for (step, many, kept) in [("x".to_owned(), 5_000, 100), ("y".repeat(1000), 90, 16)] {
            entry.record.steps = vec![step; many];
            let change = Change::of(&entry);
            assert_eq!((change.steps.len(), change.step_count()), (kept, many));
        }
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

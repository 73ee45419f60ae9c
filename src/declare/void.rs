//! `.weft/void`: commits that must never have been on the line.
//!
//! One id on a line, `#` begins a comment. What the file does is
//! [`crate::sync::history`]'s to say.

use std::collections::BTreeSet;

use super::finding::{Code, Finding, Findings};
use crate::value::{ObjectId, Place, Range32, RepoPath, Span};

/// Where the file lies, from the root of the repository.
pub const FILE: &str = ".weft/void";
/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;
/// The most lines.
pub const MAX_LINES: usize = 4096;

/// Reads a file. Every line that is wrong is a finding, and a file with one must not be
/// trusted at all.
pub fn read(file: &RepoPath, text: &str, findings: &mut Findings) -> BTreeSet<ObjectId> {
    let mut void = BTreeSet::new();
    if text.len() as u64 > MAX_BYTES || text.lines().count() > MAX_LINES {
        let message = format!("`{file}` has more than {MAX_BYTES} bytes or {MAX_LINES} lines");
        findings.push(Finding::new(Code::TooLarge, message, &Place::start_of(file)));
        return void;
    }
    let mut start = 0;
    for (index, line) in text.split('\n').enumerate() {
        let written = line.split('#').next().unwrap_or_default().trim_matches([' ', '\t', '\r']);
        match written.parse::<ObjectId>() {
            _ if written.is_empty() => {}
            Ok(id) => {
                void.insert(id);
            }
            Err(error) => {
                let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                let bytes = Range32 { start: narrow(start), end: narrow(start + line.len()) };
                let span = Span { line: narrow(index + 1), column: 1, bytes };
                let place = Place { file: file.clone(), span };
                findings.push(Finding::new(Code::BadVoid, error.to_string(), &place));
            }
        }
        start += line.len() + 1;
    }
    void
}

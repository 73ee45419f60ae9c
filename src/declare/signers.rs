//! `.weft/allowed_signers`: which key is whose.
//!
//! The format is ssh's (ssh-keygen(1), section ALLOWED SIGNERS), read more
//! strictly: what this module accepts, `ssh-keygen -Y verify` accepts for the same
//! key, namespace, time and principal; what it cannot decide is a finding.
//!
//! Roles name principals literally. A pattern with `*` or `?` therefore never
//! makes a key somebody's, and one with `!` only takes names away: a key has the
//! names that its line spells out and does not negate, and no other.

pub mod key;
mod line;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ssh_key::public::KeyData;
use thiserror::Error;

use super::finding::{Code, Finding, Findings};
use crate::value::{Place, Principal, RepoPath};

/// Where the file lies, from the root of the repository.
pub const FILE: &str = ".weft/allowed_signers";
/// The largest file, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;
/// The most lines.
pub const MAX_LINES: usize = 4096;
/// The longest line, in bytes.
pub const MAX_LINE_BYTES: usize = 8192;

/// The keys of one file.
#[derive(Clone, Debug, Default)]
pub struct Signers {
    lines: Vec<Signer>,
}

/// One line: a key and whose it is.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Where the line begins.
    pub place: Place,
    /// The principals that the line spells out, in its order.
    pub names: Vec<Principal>,
    /// The key.
    pub key: KeyData,
    /// What it may sign; everything without the option.
    namespaces: Option<Patterns>,
    /// It is valid at this time and later.
    pub valid_after: Option<Timestamp>,
    /// It is valid at this time and earlier.
    pub valid_before: Option<Timestamp>,
}

impl Signer {
    /// Whether both lines let a key sign the same things at the same time.
    pub fn bounds_as(&self, other: &Self) -> bool {
        let bounds =
            |signer: &Self| (signer.namespaces.clone(), signer.valid_after, signer.valid_before);
        bounds(self) == bounds(other)
    }
}

/// Why a key speaks for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotASigner {
    /// No line has the key.
    #[error("no line of `{FILE}` has this key")]
    Unknown,
    /// Lines have it, and none spells a principal out.
    #[error("`{FILE}` has this key and names no principal for it literally")]
    Nameless,
    /// It may sign other things only.
    #[error("`{FILE}` does not allow this key to sign for git")]
    OtherNamespace,
    /// It is valid later.
    #[error("this key is not valid before {0}")]
    TooEarly(Timestamp),
    /// It was valid earlier.
    #[error("this key is not valid after {0}")]
    Expired(Timestamp),
}

/// Reads a file. Every line that is wrong is a finding, and reading goes on. A file
/// with a finding of severity error must not be trusted at all.
pub fn read(file: &RepoPath, text: &str, findings: &mut Findings) -> Signers {
    let mut signers = Signers::default();
    if text.len() as u64 > MAX_BYTES {
        let message = format!("`{file}` is larger than {MAX_BYTES} bytes");
        findings.push(Finding::new(Code::TooLarge, message, &Place::start_of(file)));
        return signers;
    }
    let mut offset = 0;
    for (index, text) in text.split('\n').enumerate() {
        let line = line::Line { file, number: index + 1, offset, text };
        offset += text.len() + 1;
        if index >= MAX_LINES {
            let message = format!("more than {MAX_LINES} lines");
            findings.push(Finding::new(Code::TooLarge, message, &line.place(0..0)));
            break;
        }
        signers.lines.extend(line.read(findings));
    }
    signers
}

impl Signers {
    /// The lines that could be read, in the order of the file.
    pub fn lines(&self) -> &[Signer] {
        &self.lines
    }

    /// Whose a key is when it signs in a namespace at a time: every principal that a
    /// line spells out for it, in the order of the file.
    pub fn principals(
        &self,
        key: &KeyData,
        namespace: &str,
        at: Timestamp,
    ) -> Result<Vec<&Principal>, NotASigner> {
        let mut names: Vec<&Principal> = Vec::new();
        let mut why = NotASigner::Unknown;
        for line in self.lines.iter().filter(|line| line.key == *key) {
            match line.permits(namespace, at) {
                Ok(()) => {
                    for name in &line.names {
                        if !names.contains(&name) {
                            names.push(name);
                        }
                    }
                }
                Err(reason) if why == NotASigner::Unknown => why = reason,
                Err(_) => {}
            }
        }
        if names.is_empty() { Err(why) } else { Ok(names) }
    }

    /// Who is who: principals that one key speaks for are one person, whatever else
    /// their lines say.
    pub fn people(&self) -> People {
        let mut people = People::default();
        let mut holders: BTreeMap<&KeyData, usize> = BTreeMap::new();
        for (next, line) in self.lines.iter().enumerate() {
            let known = line.names.iter().filter_map(|name| people.persons.get(name));
            let same: BTreeSet<usize> = known.chain(holders.get(&line.key)).copied().collect();
            let person = same.first().copied().unwrap_or(next);
            if same.len() > 1 {
                let all = people.persons.values_mut().chain(holders.values_mut());
                all.filter(|other| same.contains(other)).for_each(|other| *other = person);
            }
            people.persons.extend(line.names.iter().map(|name| (name.clone(), person)));
            holders.insert(&line.key, person);
        }
        people
    }

    /// Whether a principal has a key that may sign in a namespace, at whatever time.
    pub fn has_key(&self, principal: &Principal, namespace: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.names.contains(principal) && line.permits_namespace(namespace))
    }
}

/// Which principals are one person.
#[derive(Clone, Debug, Default)]
pub struct People {
    persons: BTreeMap<Principal, usize>,
}

impl People {
    /// How many people some principals are. One without a key is nobody.
    pub fn count<'a>(&self, principals: impl IntoIterator<Item = &'a Principal>) -> usize {
        let persons = principals.into_iter().filter_map(|name| self.persons.get(name));
        persons.collect::<BTreeSet<_>>().len()
    }
}

impl Signer {
    fn permits(&self, namespace: &str, at: Timestamp) -> Result<(), NotASigner> {
        if !self.permits_namespace(namespace) {
            return Err(NotASigner::OtherNamespace);
        }
        // Both ends are included, as in ssh.
        if let Some(from) = self.valid_after.filter(|from| at < *from) {
            return Err(NotASigner::TooEarly(from));
        }
        if let Some(until) = self.valid_before.filter(|until| at > *until) {
            return Err(NotASigner::Expired(until));
        }
        if self.names.is_empty() {
            return Err(NotASigner::Nameless);
        }
        Ok(())
    }

    fn permits_namespace(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|patterns| patterns.matches(namespace))
    }
}

/// The longest pattern, in bytes: longer than any principal. From 1023 on, OpenSSH takes
/// the whole list for one that matches nothing.
const MAX_PATTERN_BYTES: usize = 256;

/// A pattern list of ssh: matches when one pattern does and no negated one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    negated: bool,
    text: String,
}

impl Patterns {
    /// The patterns of a list whose parts are separated by commas. `None` where a part
    /// is empty, is too long or holds a character that no pattern has.
    fn read(list: &str) -> Option<Self> {
        let pattern = |part: &str| {
            let (negated, text) = part.strip_prefix('!').map_or((false, part), |rest| (true, rest));
            let legal = |b: u8| b.is_ascii_graphic() && !b"\"'`\\!".contains(&b);
            ((1..=MAX_PATTERN_BYTES).contains(&text.len()) && text.bytes().all(legal))
                .then(|| Pattern { negated, text: text.to_owned() })
        };
        list.split(',').map(pattern).collect::<Option<_>>().map(Self)
    }

    fn matches(&self, text: &str) -> bool {
        let any = |negated| {
            self.0.iter().any(|pattern| {
                pattern.negated == negated && wildcard(pattern.text.as_bytes(), text.as_bytes())
            })
        };
        any(false) && !any(true)
    }

    /// The patterns that stand for one text only.
    fn literals(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|pattern| !pattern.negated && !pattern.text.contains(['*', '?']))
            .map(|pattern| pattern.text.as_str())
    }
}

/// Whether a pattern of `*` (any bytes) and `?` (one byte) matches a text. Goes back
/// to the last `*` only, so its time is at most the product of the two lengths.
pub(super) fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut taken) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while taken < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, taken));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[taken] => {
                at += 1;
                taken += 1;
            }
            _ => match star {
                Some((behind, from)) => {
                    star = Some((behind, from + 1));
                    at = behind + 1;
                    taken = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

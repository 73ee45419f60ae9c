//! The strict reader of raw commits.
//!
//! Readers of git objects disagree on what a damaged commit says and where its
//! signature is, and that is what lets one signature be carried to another commit.
//! So only one form is read, the one that git writes:
//!
//! ```text
//! tree, parent*, author, committer, [encoding], mergetag*, [change-id], [gpgsig],
//! an empty line, the message
//! ```
//!
//! Nothing else, nothing twice, no NUL, UTF-8 (ASCII where `encoding` names another), at
//! most 64 KiB; and what was read must give the same bytes when it is written again.

use jiff::Timestamp;
use thiserror::Error;

use crate::value::ObjectId;

/// The largest commit, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// A commit in the one form that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// Its files.
    pub tree: ObjectId,
    /// What it follows; the first one is the line.
    pub parents: Vec<ObjectId>,
    /// Who wrote it, as the committer says.
    pub author: Identity<'a>,
    /// Who made it, as the committer says: proven by nothing but the signature.
    pub committer: Identity<'a>,
    encoding: Option<&'a str>,
    merge_tags: Vec<Block<'a>>,
    change_id: Option<&'a str>,
    signature: Option<Block<'a>>,
    /// What follows the header, perhaps nothing.
    pub message: &'a str,
}

/// A name, an address and a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The name; may be empty.
    pub name: &'a str,
    /// What stands between `<` and `>`; may be empty.
    pub email: &'a str,
    /// The time.
    pub time: Timestamp,
    offset: &'a str,
}

/// A header of several lines, without the blank that each further line begins with.
type Block<'a> = Vec<&'a str>;

/// Why bytes are no commit that is read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// More than [`MAX_BYTES`].
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// A NUL byte, behind which some readers of git see nothing.
    #[error("it holds a NUL byte")]
    Nul,
    /// Bytes that are no UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Text that git reads in another encoding, and so as other text.
    #[error("it names another encoding than UTF-8 and is not ASCII")]
    Encoding,
    /// A header that is wrong, stands in the wrong place or stands twice.
    #[error("line {line} of its header is not {wanted}: `{}`", found.escape_debug())]
    Header {
        /// The line of the object, from 1.
        line: usize,
        /// What could stand there.
        wanted: &'static str,
        /// What stands there, cut to eighty characters.
        found: String,
    },
    /// The header does not end.
    #[error("it has no empty line behind its header")]
    NoMessage,
    /// It reads as a commit and is not written as git writes one.
    #[error("it is not written in git's form")]
    NotCanonical,
}

/// Reads a commit, or says why it is none.
pub fn parse(raw: &[u8]) -> Result<Commit<'_>, CommitError> {
    if raw.len() > MAX_BYTES {
        return Err(CommitError::TooLarge);
    }
    if raw.contains(&0) {
        return Err(CommitError::Nul);
    }
    let text = std::str::from_utf8(raw).map_err(|_| CommitError::NotUtf8)?;
    let (header, message) = text.split_once("\n\n").ok_or(CommitError::NoMessage)?;
    let mut header = Header { lines: header.split('\n').collect(), next: 0 };
    let tree = header.id("tree").ok_or_else(|| header.wrong("`tree ID`"))?;
    let mut parents = Vec::new();
    while let Some(parent) = header.id("parent") {
        if parents.contains(&parent) {
            header.next -= 1;
            return Err(header.wrong("another parent"));
        }
        parents.push(parent);
    }
    let author = header.identity("author")?;
    let committer = header.identity("committer")?;
    let encoding = header.value("encoding").filter(|word| is_word(word));
    let mut merge_tags = Vec::new();
    while let Some(tag) = header.block("mergetag") {
        merge_tags.push(tag);
    }
    let change_id = header.value("change-id").filter(|word| is_word(word));
    let signature = header.block("gpgsig");
    if header.next < header.lines.len() {
        return Err(header.wrong("the next header of git's form"));
    }
    if encoding.is_some_and(|word| !word.eq_ignore_ascii_case("UTF-8")) && !text.is_ascii() {
        return Err(CommitError::Encoding);
    }
    let commit = Commit {
        tree,
        parents,
        author,
        committer,
        encoding,
        merge_tags,
        change_id,
        signature,
        message,
    };
    if commit.to_bytes() == raw { Ok(commit) } else { Err(CommitError::NotCanonical) }
}

/// The tree and the parents of a commit that [`parse`] may refuse, read as git reads
/// them. Good for finding the way down a line; proves nothing.
pub fn lineage(raw: &[u8]) -> Option<(ObjectId, Vec<ObjectId>)> {
    let id = |line: &[u8], key: &str| {
        std::str::from_utf8(line.strip_prefix(key.as_bytes())?).ok()?.parse::<ObjectId>().ok()
    };
    let mut lines = raw.split(|&byte| byte == b'\n');
    let tree = id(lines.next()?, "tree ")?;
    Some((tree, lines.map_while(|line| id(line, "parent ")).collect()))
}

impl Commit<'_> {
    /// The signature's text, lines joined by LF, where there is one.
    pub fn signature(&self) -> Option<String> {
        self.signature.as_ref().map(|lines| lines.join("\n"))
    }

    /// What the signature is over: the commit without its signature.
    pub fn payload(&self) -> Vec<u8> {
        self.written(None)
    }

    /// The commit as it was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.written(self.signature.as_ref())
    }

    /// The first line of the message for people: no control characters, nothing that
    /// turns the direction of text, at most two hundred characters.
    pub fn subject(&self) -> String {
        let plain = |c: &char| {
            !c.is_control()
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        self.message.lines().next().unwrap_or_default().chars().filter(plain).take(200).collect()
    }

    fn written(&self, signature: Option<&Block<'_>>) -> Vec<u8> {
        let identity = |key: &str, identity: &Identity<'_>| {
            let Identity { name, email, time, offset } = identity;
            format!("{key} {name} <{email}> {} {offset}", time.as_second())
        };
        let block = |key: &str, lines: &Block<'_>| format!("{key} {}", lines.join("\n "));
        let mut header = vec![format!("tree {}", self.tree)];
        header.extend(self.parents.iter().map(|parent| format!("parent {parent}")));
        header.push(identity("author", &self.author));
        header.push(identity("committer", &self.committer));
        header.extend(self.encoding.map(|word| format!("encoding {word}")));
        header.extend(self.merge_tags.iter().map(|lines| block("mergetag", lines)));
        header.extend(self.change_id.map(|word| format!("change-id {word}")));
        header.extend(signature.map(|lines| block("gpgsig", lines)));
        format!("{}\n\n{}", header.join("\n"), self.message).into_bytes()
    }
}

/// The lines of a header while they are taken off its front.
struct Header<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Header<'a> {
    /// The value of the next line, where its key is this one.
    fn value(&mut self, key: &str) -> Option<&'a str> {
        let value = self.lines.get(self.next)?.strip_prefix(key)?.strip_prefix(' ')?;
        self.next += 1;
        Some(value)
    }

    fn id(&mut self, key: &str) -> Option<ObjectId> {
        let id = self.value(key)?.parse().ok();
        if id.is_none() {
            self.next -= 1;
        }
        id
    }

    fn identity(&mut self, key: &'static str) -> Result<Identity<'a>, CommitError> {
        let wanted = if key == "author" {
            "`author NAME <EMAIL> SECONDS ZONE`"
        } else {
            "`committer NAME <EMAIL> SECONDS ZONE`"
        };
        let identity = self.value(key).and_then(|value| {
            let identity = identity(value);
            if identity.is_none() {
                self.next -= 1;
            }
            identity
        });
        identity.ok_or_else(|| self.wrong(wanted))
    }

    /// The next header with the lines that continue it.
    fn block(&mut self, key: &str) -> Option<Block<'a>> {
        let mut block = vec![self.value(key)?];
        while let Some(more) = self.lines.get(self.next).and_then(|line| line.strip_prefix(' ')) {
            block.push(more);
            self.next += 1;
        }
        Some(block)
    }

    fn wrong(&self, wanted: &'static str) -> CommitError {
        let found = self.lines.get(self.next).unwrap_or(&"");
        CommitError::Header { line: self.next + 1, wanted, found: found.chars().take(80).collect() }
    }
}

fn identity(text: &str) -> Option<Identity<'_>> {
    let (name, rest) = text.split_once(" <")?;
    let (email, rest) = rest.split_once("> ")?;
    let (seconds, offset) = rest.split_once(' ')?;
    let bare = |text: &str| !text.contains(|c: char| matches!(c, '<' | '>') || c.is_control());
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let zone = offset.strip_prefix(['+', '-'])?;
    if !bare(name) || !bare(email) || !digits(seconds) || zone.len() != 4 || !digits(zone) {
        return None;
    }
    let time = Timestamp::from_second(seconds.parse().ok()?).ok()?;
    Some(Identity { name, email, time, offset })
}

/// A value of one word.
fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

//! Where in the repository a value was written.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A text that is no path inside a repository.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not a path inside a repository", .0.escape_debug())]
pub struct BadPath(String);

/// A `/`-separated path inside a repository: never absolute, no empty part, no
/// `.`, no `..`, no `.git`, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(Arc<str>);

impl RepoPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the name of the file ends in `.yaml`, in lower case.
    pub fn is_yaml(&self) -> bool {
        self.0.strip_suffix(".yaml").is_some()
    }

    /// Whether the path is `directory` or lies below it.
    pub fn is_below(&self, directory: &str) -> bool {
        self.0.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for RepoPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let part = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && !part.eq_ignore_ascii_case(".git")
                && !part.chars().any(|c| c.is_control() || c == '\\')
        };
        if text.len() <= 4096 && text.split('/').all(part) {
            Ok(Self(text.into()))
        } else {
            Err(BadPath(text.chars().take(200).collect()))
        }
    }
}

impl TryFrom<String> for RepoPath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        text.parse()
    }
}

impl From<RepoPath> for String {
    fn from(path: RepoPath) -> Self {
        path.0.as_ref().to_owned()
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Bytes of the file's text.
    pub bytes: Range32,
}

/// A range of bytes that can be ordered and copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Range32 {
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl From<Range32> for Range<usize> {
    fn from(range: Range32) -> Self {
        range.start as usize..range.end as usize
    }
}

/// A file and a place in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file.
    pub file: RepoPath,
    /// Where in the file.
    pub span: Span,
}

impl Place {
    /// The start of a file, for what is wrong with the file as a whole.
    pub fn start_of(file: &RepoPath) -> Self {
        let span = Span { line: 1, column: 1, bytes: Range32::default() };
        Self { file: file.clone(), span }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.span.line, self.span.column)
    }
}

/// A value and the place where it was written.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

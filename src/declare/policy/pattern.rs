//! Patterns and ranges of a policy.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value as Json, json};
use thiserror::Error;

use crate::declare::finding::Findings;
use crate::declare::scalar::scalar;
use crate::declare::shape::Shape;
use crate::declare::signers::wildcard;
use crate::declare::yaml::Node;
use crate::value::RouteTarget;

/// A text that is no pattern or range of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not {wanted}", text.escape_debug())]
pub struct BadPattern {
    text: String,
    wanted: &'static str,
}

impl BadPattern {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(200).collect(), wanted }
    }
}

/// Paths of files: `*` stands for any characters of one name, `**` for any number of
/// directories, at the end for everything inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
}

impl PathPattern {
    const WANTED: &'static str = "a pattern of paths such as `sdn/tenants/a/**`: names joined by `/`, `*` within a name, `**` as a name; no `?`, `[`, `{`, `!`, `\\`, and no `/` at the ends";

    /// Whether it covers a path.
    pub fn matches(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let mut patterns: Vec<&str> = self.text.split('/').collect();
        if patterns.last() == Some(&"**") {
            // What is inside, not the thing itself.
            patterns.push("*");
        }
        let (mut at, mut taken) = (0, 0);
        let mut behind: Option<(usize, usize)> = None;
        while taken < parts.len() {
            match patterns.get(at) {
                Some(&"**") => {
                    behind = Some((at + 1, taken));
                    at += 1;
                }
                Some(pattern) if wildcard(pattern.as_bytes(), parts[taken].as_bytes()) => {
                    at += 1;
                    taken += 1;
                }
                _ => match behind {
                    Some((next, from)) => {
                        behind = Some((next, from + 1));
                        at = next;
                        taken = from + 1;
                    }
                    None => return false,
                },
            }
        }
        patterns[at..].iter().all(|pattern| *pattern == "**")
    }
}

impl FromStr for PathPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let part = |part: &str| {
            let odd = |c: char| c.is_control() || "?[]{}!\\".contains(c);
            let stars = part == "**" || !part.contains("**");
            !part.is_empty() && part != "." && part != ".." && stars && !part.contains(odd)
        };
        if text.len() <= 256 && text.split('/').all(part) {
            Ok(Self { text: text.into() })
        } else {
            Err(BadPattern::new(text, Self::WANTED))
        }
    }
}

/// Ids of objects: `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPattern {
    text: Box<str>,
}

impl IdPattern {
    /// Whether it covers an id.
    pub fn matches(&self, id: &str) -> bool {
        wildcard(self.text.as_bytes(), id.as_bytes())
    }

    /// Whether it covers every id.
    pub fn is_all(&self) -> bool {
        &*self.text == "*"
    }
}

impl FromStr for IdPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"*_.:@-".contains(&b);
        if (1..=255).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self { text: text.into() })
        } else {
            Err(BadPattern::new(text, "an id, `*` in it for any characters"))
        }
    }
}

/// Numbers from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    first: u32,
    last: u32,
}

impl Numbers {
    /// Whether a number lies in it.
    pub fn contains(self, number: u32) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

impl FromStr for Numbers {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(BadPattern::new(text, "a number or a range such as `100-199`")),
        }
    }
}

/// Route targets with one administrator: `65000:100` or `65000:100-199`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    administrator: Numbers,
    numbers: Numbers,
}

impl Targets {
    /// Whether a route target is one of them.
    pub fn contains(self, target: RouteTarget) -> bool {
        self.administrator.contains(target.administrator())
            && self.numbers.contains(target.number())
    }
}

impl FromStr for Targets {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern::new(text, "route targets such as `65000:100` or `65000:100-199`");
        let (administrator, numbers) = text.split_once(':').ok_or_else(bad)?;
        if administrator.contains('-') {
            return Err(bad());
        }
        let span = |text: &str| text.parse::<Numbers>().map_err(|_| bad());
        Ok(Self { administrator: span(administrator)?, numbers: span(numbers)? })
    }
}

macro_rules! shapes {
    ($($type:ty: $wanted:literal, $schema:expr;)*) => {$(
        impl Shape for $type {
            fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
                scalar(node, $wanted, findings)
            }

            fn schema() -> Json {
                $schema
            }
        }
    )*};
}

shapes! {
    PathPattern: "a pattern of paths", json!({ "type": "string", "pattern": "^[^/?\\[\\]{}!\\\\]+(/[^/?\\[\\]{}!\\\\]+)*$" });
    IdPattern: "an id or a pattern of ids", json!({ "type": "string", "pattern": "^[A-Za-z0-9*_.:@-]{1,255}$" });
    Numbers: "a number or a range", json!({ "type": ["integer", "string"], "pattern": "^[0-9]+(-[0-9]+)?$" });
    Targets: "route targets", json!({ "type": "string", "pattern": "^[0-9]+:[0-9]+(-[0-9]+)?$" });
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.administrator, self.numbers)
    }
}

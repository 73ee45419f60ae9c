//! YAML text as a tree with the place of every key and value.
//!
//! Built from the parser's events, because a serde deserialiser stops at the
//! first error and loses the rest of the file. Values stay text here: what they
//! mean is decided by the key they stand under, never by YAML's guess.

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::finding::{Code, Finding, Findings};
use crate::value::{Place, Range32, RepoPath, Span};

/// The deepest nesting that is read. The deepest declaration has eight levels.
pub const MAX_DEPTH: usize = 24;
/// The most values that one file may hold.
pub const MAX_NODES: usize = 200_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands; of a map or list, its first entry.
    pub place: Place,
    /// What stands there.
    pub value: Value,
}

/// What stands at a place.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A word, number or text, exactly as written.
    Scalar {
        /// The characters, escapes resolved.
        text: String,
        /// Whether it was written in quotes or as a block.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written, a key perhaps twice.
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// What a person calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar { quoted: true, .. } => "a text",
            Self::Scalar { .. } => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// Whether the same is written in both, wherever it stands.
    pub fn means(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (
                Value::Scalar { text, quoted },
                Value::Scalar { text: other_text, quoted: other_quoted },
            ) => (text, quoted) == (other_text, other_quoted),
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.means(b))
            }
            (Value::Map(one), Value::Map(other)) => {
                let same = |((key, a), (also, b)): (&(Key, Self), &(Key, Self))| {
                    key.text == also.text && a.means(b)
                };
                one.len() == other.len() && one.iter().zip(other).all(same)
            }
            _ => false,
        }
    }
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its characters.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// Reads one file. `None` when it is no YAML or holds nothing; everything wrong
/// is among the findings.
pub fn parse(file: &RepoPath, text: &str, findings: &mut Findings) -> Option<Node> {
    let mut builder =
        Builder { file, findings, stack: Vec::new(), root: None, documents: 0, nodes: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                if builder.take(event, span).is_err() {
                    return None;
                }
            }
            Err(error) => {
                builder.syntax(&error, text);
                return None;
            }
        }
    }
    builder.root
}

/// The file cannot be read any further; a finding says why.
struct Stop;

struct Builder<'a> {
    file: &'a RepoPath,
    findings: &'a mut Findings,
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

enum Open {
    List { place: Place, items: Vec<Node> },
    Map { place: Place, entries: Vec<(Key, Node)>, key: Option<Key> },
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: granit_parser::Span) -> Result<(), Stop> {
        let place = self.place(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.feature(
                        "a second document begins here",
                        &place,
                        "keep one document in a file; every `*.yaml` below `sdn/` is read",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(anchor, tag.is_some(), &place)?;
                let quoted = style != ScalarStyle::Plain;
                let value = match text.as_ref() {
                    "" | "~" | "null" | "Null" | "NULL" if !quoted => Value::Null,
                    text => Value::Scalar { text: text.to_owned(), quoted },
                };
                self.add(Node { place, value })?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.plain(anchor, tag.is_some(), &place)?;
                self.open(Open::List { place, items: Vec::new() })?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.plain(anchor, tag.is_some(), &place)?;
                self.open(Open::Map { place, entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    let node = match open {
                        Open::List { place, items } => Node { place, value: Value::List(items) },
                        Open::Map { place, entries, .. } => {
                            Node { place, value: Value::Map(entries) }
                        }
                    };
                    self.add(node)?;
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return Err(self.feature("an alias is used here", &place, "write the value out"));
            }
            _ => {}
        }
        Ok(())
    }

    fn plain(&mut self, anchor: usize, tagged: bool, place: &Place) -> Result<(), Stop> {
        if anchor != 0 {
            return Err(self.feature(
                "an anchor is set here",
                place,
                "remove `&name` and write the value out where it is used",
            ));
        }
        if tagged {
            return Err(self.feature(
                "a tag is set here",
                place,
                "remove the `!tag`; the key decides the type",
            ));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), Stop> {
        if self.stack.len() >= MAX_DEPTH {
            let place = match &open {
                Open::List { place, .. } | Open::Map { place, .. } => place,
            };
            let message = format!("more than {MAX_DEPTH} levels of nesting");
            self.findings.push(Finding::new(Code::NestedTooDeep, message, place));
            return Err(Stop);
        }
        self.stack.push(open);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values in one file");
            self.findings.push(Finding::new(Code::TooLarge, message, &node.place));
            return Err(Stop);
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => match node.value {
                    Value::Scalar { text, .. } if text != "<<" => {
                        *key = Some(Key { text, place: node.place });
                    }
                    Value::Scalar { .. } => {
                        return Err(self.feature(
                            "a merge key is used here",
                            &node.place,
                            "write the entries out",
                        ));
                    }
                    Value::Null | Value::List(_) | Value::Map(_) => {
                        let message =
                            format!("a key is a word, and {} stands here", node.value.kind());
                        self.findings.push(Finding::new(Code::WrongType, message, &node.place));
                        return Err(Stop);
                    }
                },
            },
        }
        Ok(())
    }

    fn feature(&mut self, message: &str, place: &Place, help: &str) -> Stop {
        self.findings.push(Finding::new(Code::YamlFeature, message, place).help(help));
        Stop
    }

    fn syntax(&mut self, error: &ScanError, text: &str) {
        let mark = error.marker();
        let start = mark.byte_offset().unwrap_or_default();
        let mut span = Span {
            line: narrow(mark.line()),
            column: narrow(mark.col() + 1),
            bytes: Range32 { start: narrow(start), end: narrow(start) },
        };
        // The parser names where the value begins that the line with the tab would go on.
        if error.info().contains("found a tab")
            && let Some((lines, tab)) = indenting_tab(text, start)
        {
            let column = text[..tab].rfind('\n').map_or(tab, |newline| tab - newline - 1);
            span.line = narrow(mark.line() + lines);
            span.column = narrow(column + 1);
            span.bytes = Range32 { start: narrow(tab), end: narrow(tab) };
        }
        let place = Place { file: self.file.clone(), span };
        let message = format!("not YAML: {}", error.info());
        let help = if error.info().contains("tab") {
            "indent with spaces, not with tabs; the rest of this file is not read"
        } else if error.info().contains("mapping values") {
            "a colon and a space stand behind each key, and quotes around a text that holds `: `; look at this line and the one above; the rest of this file is not read"
        } else {
            "most often it is the indentation or a quote that is missing, here or in the line above; the rest of this file is not read"
        };
        self.findings.push(Finding::new(Code::YamlSyntax, message, &place).help(help));
    }

    fn place(&self, span: granit_parser::Span) -> Place {
        let bytes = span.byte_range().unwrap_or_default();
        let bytes = Range32 { start: narrow(bytes.start), end: narrow(bytes.end) };
        let span =
            Span { line: narrow(span.start.line()), column: narrow(span.start.col() + 1), bytes };
        Place { file: self.file.clone(), span }
    }
}

/// The first tab that indents a line behind a place: how many lines further, and its byte.
fn indenting_tab(text: &str, start: usize) -> Option<(usize, usize)> {
    let mut at = start;
    for (index, line) in text.get(start..)?.split_inclusive('\n').enumerate() {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t').filter(|_| index > 0) {
            return Some((index, at + tab));
        }
        at += line.len();
    }
    None
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

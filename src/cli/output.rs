//! Where words go: the only place that writes to the terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use super::failure::Failure;

/// Who reads the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// People.
    #[default]
    Human,
    /// Programs: one JSON document on standard output.
    Json,
    /// Code scanners, of `validate` alone: SARIF 2.1.0.
    Sarif,
    /// A workflow of GitHub, of `validate` alone: an annotation for each finding.
    Github,
}

impl Format {
    /// Whether only findings can be said in it.
    pub(super) fn is_of_findings(self) -> bool {
        matches!(self, Self::Sarif | Self::Github)
    }
}

/// Why a part of the answer did not reach standard output: the first reason of this run.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// The two streams of the program, and how they are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
    colour: bool,
}

/// A number and what is counted, such as `1 zone` or `2 zones`.
pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Output {
    /// Colour only on a terminal, and never with `NO_COLOR`.
    pub(super) fn new(format: Format) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one variable of the environment that terminals agree on"
        )]
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format, colour: wanted && io::stdout().is_terminal() }
    }

    /// Whether a program reads.
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Who reads.
    pub(super) fn format(self) -> Format {
        self.format
    }

    /// Whether text may carry colour.
    pub(super) fn is_coloured(self) -> bool {
        self.colour
    }

    /// Text for people; nothing when a program reads.
    pub(super) fn say(self, text: impl AsRef<str>) {
        if self.format == Format::Human {
            Self::print(text);
        }
    }

    /// Text that is the answer itself, whoever reads. A reader that has gone away is no error
    /// of ours: `weft history | head` ends quietly. What is lost otherwise is told by
    /// [`Output::lost`].
    pub(super) fn print(text: impl AsRef<str>) {
        Self::written(write(&mut io::stdout().lock(), text.as_ref()));
    }

    /// Keeps the first reason why standard output did not take something.
    pub(super) fn written(result: io::Result<()>) {
        if let Err(error) = result
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = LOST.set(error);
        }
    }

    /// Why a part of the answer did not reach standard output, where that is so.
    pub(super) fn lost() -> Option<&'static io::Error> {
        LOST.get()
    }

    /// What goes on meanwhile, beside the answer. Where standard error takes nothing, there is
    /// nobody left to tell.
    pub(super) fn notice(text: impl AsRef<str>) {
        let _ = write(&mut io::stderr().lock(), text.as_ref());
    }

    /// The document for programs; nothing when people read.
    pub(super) fn document(self, document: &serde_json::Value) {
        if self.is_json() {
            Self::print(format!("{document:#}"));
        }
    }

    /// Why nothing came of it.
    pub(super) fn failure(self, failure: &Failure) {
        if self.is_json() {
            self.document(&failure.json());
        } else {
            self.complain(failure.to_string());
        }
    }

    /// What went wrong, for people; nothing when a program reads.
    pub(super) fn complain(self, text: impl AsRef<str>) {
        if !self.is_json() {
            Self::notice(text);
        }
    }
}

fn write(stream: &mut impl io::Write, text: &str) -> io::Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    write!(stream, "{}{end}", harmless(text))?;
    stream.flush()
}

/// Text in which nothing but colour can act on a terminal. Names, subjects and lines
/// of files come from strangers, and reach people through messages of every kind.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(colour) = colour(rest) {
            shown.push_str(colour);
            rest = &rest[colour.len()..];
            continue;
        }
        if acts(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(shown)
}

/// Control characters but line feed and tab, and what changes the direction of text.
fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    (c.is_control() && c != '\n' && c != '\t') || turns
}

/// The sequence that sets a colour, where the text begins with one.
fn colour(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("\u{1b}[")?;
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    digits[end..].starts_with('m').then(|| &text[..end + 3])
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn only_colour_reaches_a_terminal() {
        let text = "a\u{1b}[1;31mred\u{1b}[0m\tb\n";
        assert_eq!(harmless(text), text);
        for (evil, shown) in [
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("x\u{202e}y", "x\\u{202e}y"),
            ("a\rb", "a\\u{d}b"),
            ("\u{1b}[", "\\u{1b}["),
        ] {
            assert_eq!(harmless(evil), shown);
        }
    }
}

//! Where words go: the only place that writes to the terminal.

use std::io::IsTerminal as _;

use super::failure::Failure;

/// Who reads the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// People.
    #[default]
    Human,
    /// Programs: one JSON document on standard output.
    Json,
}

/// The two streams of the program, and how they are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
    colour: bool,
}

impl Output {
    /// Colour only on a terminal, and never with `NO_COLOR`.
    pub(super) fn new(format: Format) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one variable of the environment that terminals agree on"
        )]
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format, colour: wanted && std::io::stdout().is_terminal() }
    }

    /// Whether a program reads.
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether text may carry colour.
    pub(super) fn is_coloured(self) -> bool {
        self.colour
    }

    /// Text for people; nothing when a program reads.
    pub(super) fn say(self, text: impl AsRef<str>) {
        if !self.is_json() {
            write(&mut std::io::stdout().lock(), text.as_ref());
        }
    }

    /// Text that is the answer itself, whoever reads.
    pub(super) fn print(text: impl AsRef<str>) {
        write(&mut std::io::stdout().lock(), text.as_ref());
    }

    /// The document for programs; nothing when people read.
    pub(super) fn document(self, document: &serde_json::Value) {
        if self.is_json() {
            write(&mut std::io::stdout().lock(), &format!("{document:#}"));
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
            write(&mut std::io::stderr().lock(), text.as_ref());
        }
    }
}

/// A reader that has gone away is no error of ours: `weft history | head` ends
/// quietly.
fn write(stream: &mut impl std::io::Write, text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(stream, "{text}{end}");
    let _ = stream.flush();
}

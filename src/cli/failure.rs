//! How a run of the program ends.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use crate::agent::error::chain;
use crate::declare::{Finding, Findings, Severity};

/// The meaning of each exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// In order.
    Ok = 0,
    /// The world refused: no remote, no disk, no permission.
    Failed = 1,
    /// Differences are pending.
    Pending = 2,
    /// An operator holds the node.
    Held = 3,
    /// A commit, its declarations or its plan were refused.
    Refused = 4,
    /// Neither the new state nor the old one is whole.
    Degraded = 5,
    /// An apply failed and was undone.
    RolledBack = 6,
    /// An apply is in place, and not confirmed yet.
    Open = 7,
    /// The words on the command line mean nothing.
    Usage = 64,
}

impl Exit {
    /// What it means, in words.
    fn words(self) -> &'static str {
        match self {
            Self::Ok => "in order",
            Self::Failed => "the world refused",
            Self::Pending => "differences are pending",
            Self::Held => "an operator holds the node",
            Self::Refused => "a commit, its declarations or its plan were refused",
            Self::Degraded => "neither the new state nor the old one is whole",
            Self::RolledBack => "an apply failed and was undone",
            Self::Open => "an apply is in place, and not confirmed yet",
            Self::Usage => "the words on the command line mean nothing",
        }
    }

    /// The meaning of a status that another weft ended with.
    pub(super) fn from_status(status: u8) -> Self {
        let known = [
            Self::Ok,
            Self::Pending,
            Self::Held,
            Self::Refused,
            Self::Degraded,
            Self::RolledBack,
            Self::Open,
            Self::Usage,
        ];
        known.into_iter().find(|exit| *exit as u8 == status).unwrap_or(Self::Failed)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", *self as u8, self.words())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb could not do what it says, for a person.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    code: Option<&'static str>,
    message: String,
    hint: Option<String>,
    note: Option<String>,
    /// What is wrong with a file, for programs; people read it in the message.
    wrong: Option<Box<Wrong>>,
}

/// A file in which something is wrong.
#[derive(Debug)]
struct Wrong {
    /// One sentence, in place of a message that is drawn.
    sentence: String,
    findings: Findings,
}

impl Failure {
    /// A failure with a sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into(), hint: None, note: None, wrong: None }
    }

    /// A failure whose sentence is an error and the chain of its causes.
    pub fn from_error(exit: Exit, error: &dyn Error) -> Self {
        Self::new(exit, chain(error))
    }

    /// With the stable name of the reason, which `weft explain` knows.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// With what is wrong with a file, and one sentence of it, for programs.
    #[must_use]
    pub fn findings(mut self, findings: Findings, sentence: impl Into<String>) -> Self {
        self.wrong = Some(Box::new(Wrong { sentence: sentence.into(), findings }));
        self
    }

    /// With a line that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a line that says what the paths mean.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The sentence alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure for programs.
    pub fn json(&self) -> serde_json::Value {
        let mut document = serde_json::json!({ "code": self.code, "error": self.message, "help": self.hint, "note": self.note, "exit": self.exit as u8 });
        if let Some(wrong) = &self.wrong {
            let Wrong { sentence, findings } = &**wrong;
            let mut errors = findings.iter().filter(|of| of.severity == Severity::Error);
            let first = errors.next();
            document["code"] = first.map(|finding| finding.code.id()).into();
            document["error"] = sentence.as_str().into();
            document["help"] = first.map(Finding::what_to_do).into();
            document["findings"] = serde_json::json!(findings);
        }
        document
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map(|code| format!("[{code}]")).unwrap_or_default();
        write!(f, "error{code}: {}", self.message)?;
        for (word, line) in [("help", &self.hint), ("note", &self.note)] {
            if let Some(line) = line {
                write!(f, "\n  = {word}: {line}")?;
            }
        }
        Ok(())
    }
}

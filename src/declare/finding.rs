//! What is wrong, or doubtful, with a declaration.

use serde::Serialize;
use serde::ser::SerializeStruct as _;

pub use super::code::{Class, Code};
use crate::value::{Place, RepoPath};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong; somebody may want to know.
    Note,
    /// Doubtful; the network can be rendered.
    Warning,
    /// Nothing is rendered until it is mended.
    Error,
}

/// A place and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mark {
    /// Where.
    pub place: Place,
    /// A few words under the caret; may be empty.
    pub label: String,
}

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The sentence.
    pub message: String,
    /// Where; the first is the main place.
    pub marks: Vec<Mark>,
    /// What to do, where more can be said than [`Code::fix`].
    pub help: Option<String>,
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 5)?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("marks", &self.marks)?;
        fields.serialize_field("help", self.what_to_do())?;
        fields.end()
    }
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Finding {
    /// What to do about it.
    pub fn what_to_do(&self) -> &str {
        self.help.as_deref().unwrap_or(self.code.fix())
    }

    /// The same, where it says more than the message does.
    pub fn advice(&self) -> Option<&str> {
        let says_no_more = matches!(self.code, Code::BadValue | Code::WrongType);
        self.help.as_deref().or_else(|| (!says_no_more).then(|| self.code.fix()))
    }

    /// A finding at a place. One of [`Class::Tolerated`] starts as a warning;
    /// [`Findings::enforce`] makes errors of them.
    pub fn new(code: Code, message: impl Into<String>, place: &Place) -> Self {
        let severity = match code.class() {
            Class::Error => Severity::Error,
            Class::Tolerated | Class::Warning => Severity::Warning,
            Class::Advice => Severity::Note,
        };
        let marks = vec![Mark { place: place.clone(), label: String::new() }];
        Self { code, severity, message: message.into(), marks, help: None }
    }

    /// With words under the caret of the main place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(mark) = self.marks.first_mut() {
            mark.label = label.into();
        }
        self
    }

    /// With another place.
    #[must_use]
    pub fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.marks.push(Mark { place: place.clone(), label: label.into() });
        self
    }

    /// With a line of help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The file of the main place.
    pub fn file(&self) -> Option<&RepoPath> {
        self.marks.first().map(|mark| &mark.place.file)
    }
}

/// All that was found, nothing left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    all: Vec<Finding>,
    /// How many of them are errors: readers ask for each object.
    errors: usize,
}

impl Serialize for Findings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.errors += usize::from(finding.severity == Severity::Error);
        self.all.push(finding);
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: Self) {
        self.errors += other.errors;
        self.all.extend(other.all);
    }

    /// Makes errors of what is only tolerated.
    pub fn enforce(&mut self) {
        for finding in &mut self.all {
            if finding.code.class() == Class::Tolerated && finding.severity != Severity::Error {
                finding.severity = Severity::Error;
                self.errors += 1;
            }
        }
    }

    /// Keeps those of which something is so.
    pub fn retain(&mut self, keep: impl Fn(&Finding) -> bool) {
        self.all.retain(keep);
        self.errors = self.all.iter().filter(|finding| finding.severity == Severity::Error).count();
    }

    /// Sorts by file, line and column.
    pub fn sort(&mut self) {
        self.all
            .sort_by(|a, b| (&a.marks, a.code, &a.message).cmp(&(&b.marks, b.code, &b.message)));
    }

    /// Whether anything forbids rendering.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether nothing is wrong or doubtful. Notes are neither.
    pub fn is_in_order(&self) -> bool {
        self.all.iter().all(|finding| finding.severity == Severity::Note)
    }

    /// How many there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        match severity {
            Severity::Error => self.errors,
            _ => self.all.iter().filter(|finding| finding.severity == severity).count(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.all.iter()
    }
}

/// The candidate nearest to a misspelt word, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let within = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= within)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many of what there is are listed: more than any object has options.
const LISTED: usize = 32;

/// "did you mean `x`?", or the list of what there is.
pub fn suggestion<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut candidates = candidates.into_iter();
    let mut listed: Vec<String> =
        candidates.by_ref().take(LISTED).map(|candidate| format!("`{candidate}`")).collect();
    if candidates.next().is_some() {
        listed.push("…".to_owned());
    }
    (!listed.is_empty()).then(|| format!("{what}: {}", listed.join(", ")))
}

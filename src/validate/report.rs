//! Where rules put their findings.

use crate::declare::finding::{Code, Finding, Findings, suggestion};
use crate::value::Place;

/// How many pairs of words are compared for "did you mean" in one run. A
/// repository of wrong names must not cost more than one of right ones.
const MAX_COMPARISONS: usize = 1_000_000;

/// The findings of one run.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Findings,
    compared: usize,
}

impl Report {
    /// Adds a finding.
    pub(super) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds a finding about what is there twice, and may be there once.
    pub(super) fn twice(&mut self, code: Code, message: String, one: &Place, other: &Place) {
        let (first, again) = if one <= other { (one, other) } else { (other, one) };
        let finding = Finding::new(code, message, again).label("again here");
        self.push(finding.also(first, "first here"));
    }

    /// Adds a finding about a name that means nothing: with the name that was
    /// most likely meant, or those that there are.
    pub(super) fn unknown<'a>(
        &mut self,
        code: Code,
        message: String,
        place: &Place,
        word: &str,
        what: &str,
        candidates: impl ExactSizeIterator<Item = &'a str> + Clone,
    ) {
        self.suggest(Finding::new(code, message, place), word, what, candidates);
    }

    /// Adds a finding with the candidate that was most likely meant by a word, or with
    /// those that there are.
    pub(super) fn suggest<'a>(
        &mut self,
        mut finding: Finding,
        word: &str,
        what: &str,
        candidates: impl ExactSizeIterator<Item = &'a str> + Clone,
    ) {
        self.compared = self.compared.saturating_add(candidates.len());
        if self.compared <= MAX_COMPARISONS {
            finding.help = suggestion(word, what, candidates);
        }
        self.push(finding);
    }
}

//! Findings for people, with the line and a caret under the place.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::declare::{Finding, Findings, Severity};
use crate::value::{Place, RepoPath};

/// The findings as text, an empty line between them. `source` gives the text of
/// a file where it is known.
pub(super) fn text<'a>(
    findings: &'a Findings,
    source: impl Fn(&RepoPath) -> Option<&'a str>,
    colour: bool,
) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut texts: Vec<String> =
        findings.iter().map(|finding| renderer.render(&[group(finding, &source)])).collect();
    if !findings.is_empty() {
        texts.push(summary(findings));
    }
    texts.join("\n\n")
}

/// One line that counts them.
pub(super) fn summary(findings: &Findings) -> String {
    let count = |severity, word: &str| {
        let count = findings.count(severity);
        format!("{count} {word}{}", if count == 1 { "" } else { "s" })
    };
    format!("{}, {}", count(Severity::Error, "error"), count(Severity::Warning, "warning"))
}

fn group<'a>(finding: &'a Finding, source: &impl Fn(&RepoPath) -> Option<&'a str>) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(finding.message.as_str())
        .id(finding.code.id())
        .elements(Vec::<Origin<'_>>::new());
    let mut files: Vec<&RepoPath> = Vec::new();
    for mark in &finding.marks {
        if !files.contains(&&mark.place.file) {
            files.push(&mark.place.file);
        }
    }
    for file in files {
        let Some(text) = source(file) else {
            group = group.element(Origin::path(file.as_str()));
            continue;
        };
        let mut snippet = Snippet::source(text).path(file.as_str());
        for (index, mark) in finding.marks.iter().enumerate() {
            if mark.place.file == *file {
                let kind =
                    if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let annotation = kind.span(range(&mark.place, text));
                snippet = snippet.annotation(match mark.label.as_str() {
                    "" => annotation,
                    label => annotation.label(label),
                });
            }
        }
        group = group.element(snippet);
    }
    group.element(Level::HELP.message(finding.what_to_do()))
}

/// The bytes under the caret: within the text, at character boundaries, and of a
/// value over many lines only the first.
fn range(place: &Place, text: &str) -> std::ops::Range<usize> {
    let clamp = |byte: usize| {
        let mut byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    };
    let range: std::ops::Range<usize> = place.span.bytes.into();
    let start = clamp(range.start);
    let line = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    start..clamp(range.end).clamp(start, line)
}

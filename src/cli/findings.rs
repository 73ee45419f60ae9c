//! Findings for people, with the line and a caret under the place.

mod masked;

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::agent::settings;
use crate::declare::finding::Mark;
use crate::declare::{Finding, Findings, Severity};
use crate::value::{Place, RepoPath};

/// The most findings that are shown to people; programs get all.
const MAX_SHOWN: usize = 100;
/// How many lines two places may lie apart to be shown in one piece.
const NEAR: u32 = 8;

/// The findings as text, an empty line between them. `source` gives the text of
/// a file where it is known.
pub(super) fn text<'a>(
    findings: &'a Findings,
    source: impl Fn(&RepoPath) -> Option<&'a str>,
    colour: bool,
) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut texts: Vec<String> = findings
        .iter()
        .take(MAX_SHOWN)
        .map(|finding| renderer.render(&[group(finding, &source)]))
        .collect();
    let more = findings.iter().count().saturating_sub(MAX_SHOWN);
    if more > 0 {
        texts.push(format!("… and {more} more; `--json` has all of them"));
    }
    if !findings.is_empty() {
        texts.push(summary(findings));
    }
    texts.join("\n\n")
}

/// One line that counts them, such as `2 errors, 1 warning`.
pub(super) fn summary(findings: &Findings) -> String {
    let count = |severity: Severity| {
        let count = findings.count(severity);
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {}{plural}", severity.as_str()))
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(count);
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn group<'a>(finding: &'a Finding, source: &impl Fn(&RepoPath) -> Option<&'a str>) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
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
            group = group.element(Origin::path(shown(file)));
            continue;
        };
        for piece in pieces(finding, file) {
            group = group.element(snippet(&piece, file, text));
        }
    }
    match finding.advice() {
        Some(advice) => group.element(Level::HELP.message(advice)),
        None => group,
    }
}

/// The path of a file as people know it: the settings are no file of a repository.
fn shown(file: &RepoPath) -> &str {
    let is_settings = settings::PATH.strip_prefix('/') == Some(file.as_str());
    if is_settings { settings::PATH } else { file.as_str() }
}

/// The places of a finding in one file, those that lie near each other together, each
/// with whether it is the main one.
fn pieces<'a>(finding: &'a Finding, file: &RepoPath) -> Vec<Vec<(bool, &'a Mark)>> {
    let mut marks: Vec<(bool, &Mark)> = finding
        .marks
        .iter()
        .enumerate()
        .map(|(index, mark)| (index == 0, mark))
        .filter(|(_, mark)| mark.place.file == *file)
        .collect();
    marks.sort_by_key(|(_, mark)| mark.place.span.line);
    let mut pieces: Vec<Vec<(bool, &Mark)>> = Vec::new();
    for mark in marks {
        let line = mark.1.place.span.line;
        match pieces.last_mut() {
            Some(piece)
                if piece.last().is_some_and(|last| line - last.1.place.span.line <= NEAR) =>
            {
                piece.push(mark);
            }
            _ => pieces.push(vec![mark]),
        }
    }
    // The main place comes first.
    pieces.sort_by_key(|piece| !piece.iter().any(|(main, _)| *main));
    pieces
}

/// The lines of a few places. Only these are given to the renderer, whose work grows
/// with the text.
fn snippet<'a>(
    piece: &[(bool, &'a Mark)],
    file: &'a RepoPath,
    text: &'a str,
) -> Snippet<'a, Annotation<'a>> {
    let ranges: Vec<Range<usize>> =
        piece.iter().map(|(_, mark)| range(&mark.place, text)).collect();
    let from = ranges.iter().map(|range| range.start).min().unwrap_or_default();
    let to = ranges.iter().map(|range| range.end).max().unwrap_or_default();
    let begin = text[..from].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[to..].find('\n').map_or(text.len(), |newline| to + newline);
    let line = piece.iter().map(|(_, mark)| mark.place.span.line).min().unwrap_or(1);
    let lines = masked::masked(&text[begin..end], shown(file) == settings::PATH);
    let mut snippet = Snippet::source(lines).path(shown(file)).line_start(line.max(1) as usize);
    for ((main, mark), range) in piece.iter().zip(ranges) {
        let kind = if *main { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(range.start - begin..range.end - begin);
        snippet = snippet.annotation(match mark.label.as_str() {
            "" => annotation,
            label => annotation.label(label),
        });
    }
    snippet
}

/// The bytes under the caret: within the text, at character boundaries, and of a
/// value over many lines only the first.
fn range(place: &Place, text: &str) -> Range<usize> {
    let clamp = |byte: usize| {
        let mut byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    };
    let range: Range<usize> = place.span.bytes.into();
    let start = clamp(range.start);
    let line = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    start..clamp(range.end).clamp(start, line)
}

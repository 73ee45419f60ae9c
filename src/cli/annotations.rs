//! Findings as commands of a workflow of GitHub, which shows each beside its line.

use camino::Utf8Path;

use crate::declare::finding::Mark;
use crate::declare::{Finding, Findings, Severity};

/// A line for each finding. `directory` is the one that was checked.
pub(super) fn text(findings: &Findings, directory: &Utf8Path) -> String {
    let lines = findings.iter().map(|finding| line(finding, directory));
    let mut text: String = lines.collect();
    if !findings.is_empty() {
        text.push_str(&super::findings::summary(findings));
        text.push('\n');
    }
    text
}

/// The path of a place from where the program was started.
pub(super) fn path(mark: &Mark, directory: &Utf8Path) -> String {
    let directory = directory.strip_prefix(".").unwrap_or(directory);
    directory.join(mark.place.file.as_str()).into_string()
}

fn line(finding: &Finding, directory: &Utf8Path) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut marks = finding.marks.iter();
    let place = marks.next().map_or_else(String::new, |mark| {
        let (path, span) = (path(mark, directory), &mark.place.span);
        format!("file={},line={},col={},", property(&path), span.line, span.column)
    });
    let also = marks.map(|mark| {
        let label = if mark.label.is_empty() { "also" } else { &mark.label };
        format!("\n{label}: {}", mark.place)
    });
    let advice = finding.advice().map(|advice| format!("\n{advice}")).unwrap_or_default();
    let message = format!("{}{}{advice}", finding.message, also.collect::<String>());
    format!("::{level} {place}title={}::{}\n", property(finding.code.id()), data(&message))
}

/// The text of a command, which ends with its line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which ends with a comma or colons.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{data, property};

    #[test]
    fn nothing_ends_a_command_too_early() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a,b:c%\n"), "a%2Cb%3Ac%25%0A");
    }
}

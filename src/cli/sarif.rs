//! Findings as SARIF 2.1.0, the format of code scanners (OASIS standard).

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::declare::finding::{Class, Code, Mark};
use crate::declare::{Finding, Findings, Severity};

/// The whole document of one run. `directory` is the one that was checked: addresses of
/// files are those below it.
pub(super) fn document(findings: &Findings, directory: &Utf8Path) -> Value {
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let results: Vec<Value> =
        findings.iter().map(|finding| result(finding, &codes, directory)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "weft",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().copied().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// What there is to say of a code.
fn rule(code: Code) -> Value {
    let level = match code.class() {
        Class::Error => Severity::Error,
        Class::Tolerated | Class::Warning => Severity::Warning,
        Class::Advice => Severity::Note,
    };
    let example = code.example();
    let help = format!(
        "{}\n\nExample, in {}:\n\n{}\nWhat to do: {}",
        code.why(),
        example.file,
        example.text(),
        code.fix()
    );
    json!({
        "id": code.id(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": code.why() },
        "help": { "text": help },
        "defaultConfiguration": { "level": level.as_str() },
    })
}

fn result(finding: &Finding, codes: &[Code], directory: &Utf8Path) -> Value {
    let mut marks = finding.marks.iter();
    let main: Vec<Value> = marks.next().map(|mark| location(mark, directory)).into_iter().collect();
    let related: Vec<Value> = (1..)
        .zip(marks)
        .map(|(id, mark)| {
            let mut location = location(mark, directory);
            location["id"] = Value::from(id);
            location
        })
        .collect();
    let advice = finding.advice().map(|advice| format!(". {advice}")).unwrap_or_default();
    json!({
        "ruleId": finding.code.id(),
        "ruleIndex": codes.binary_search(&finding.code).ok(),
        "level": finding.severity.as_str(),
        "message": { "text": format!("{}{advice}", finding.message) },
        "locations": main,
        "relatedLocations": related,
    })
}

fn location(mark: &Mark, directory: &Utf8Path) -> Value {
    let path = super::annotations::path(mark, directory);
    let span = &mark.place.span;
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&path) },
            "region": { "startLine": span.line, "startColumn": span.column },
        },
    });
    if !mark.label.is_empty() {
        location["message"] = json!({ "text": mark.label });
    }
    location
}

/// A path as a reference to a URI (RFC 3986): all but what is plain there is escaped.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let escaped = path.bytes().map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    format!("{scheme}{}", escaped.collect::<String>())
}

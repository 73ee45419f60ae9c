//! Every stable name of a reason is explained: what the lists say, and what stands in the
//! source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use weft::agent::doctor;
use weft::agent::status::{RemoteStanding, State};
use weft::declare::Code;
use weft::sync::{FailureCode, Reason};

fn explain(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    let output = command.args(["explain", "--json"]).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn explained() -> Vec<String> {
    let list = explain(&[]);
    let codes = list.as_array().unwrap().iter().map(|entry| entry["code"].as_str().unwrap());
    codes.map(str::to_owned).collect()
}

/// The names that the source gives to reasons: what a function `code` returns, what stands
/// in a field or behind a constant of the guards, and what is said in brackets.
fn codes(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut end: Option<String> = None;
    for line in text.lines().take_while(|line| line.trim() != "#[cfg(test)]") {
        let inside = line.trim_start();
        let indent = &line[..line.len() - inside.len()];
        if inside.contains("fn code(") && inside.ends_with('{') {
            end = Some(format!("{indent}}}"));
        }
        // A constant, where the file makes guards and names it.
        let constant = inside.split_once("const ").and_then(|(_, rest)| rest.split_once(": "));
        let is_guard = constant.is_some_and(|(name, _)| {
            text.contains("Guard {")
                && (text.contains(&format!("code: {name},"))
                    || text.contains(&format!("= {name};")))
        });
        if end.is_some() || inside.starts_with("code: ") || is_guard {
            found.extend(
                inside
                    .split('"')
                    .skip(1)
                    .step_by(2)
                    .filter(|word| is_code(word))
                    .map(str::to_owned),
            );
        }
        for said in inside.split("\"[").skip(1).filter_map(|rest| rest.split_once("] ")) {
            found.extend(Some(said.0).filter(|word| is_code(word)).map(str::to_owned));
        }
        if end.as_deref() == Some(line) {
            end = None;
        }
    }
    found
}

fn is_code(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Where reasons get their names.
const PLACES: &[&str] = &["src/plan", "src/apply", "src/agent", "src/sync"];

fn of_source(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        entries.for_each(|entry| of_source(&entry.unwrap().path(), found));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.extend(codes(&fs::read_to_string(path).unwrap()));
    }
}

#[test]
fn every_reason_is_explained() {
    let explained = explained();
    let known: BTreeSet<&str> = explained.iter().map(String::as_str).collect();
    assert_eq!(known.len(), explained.len(), "one code stands for two things: {explained:?}");

    let mut codes = BTreeSet::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    for place in PLACES {
        of_source(&project.join(place), &mut codes);
    }
    // What is looked for is found, of each kind.
    for code in [
        "busy",
        "window-down",
        "state-damaged",
        "quarantined",
        "guests-on-vnet",
        "not-ours",
        "removes-too-much",
        "worker-start",
        "tree-unreadable",
        "drift",
    ] {
        assert!(codes.contains(code), "`{code}` is not found in the source: {codes:?}");
    }
    codes.extend(Code::ALL.iter().map(|code| code.id().to_owned()));
    codes.extend(Reason::ALL.iter().map(|code| code.as_str().to_owned()));
    codes.extend(FailureCode::ALL.iter().map(|code| code.as_str().to_owned()));
    codes.extend(State::ALL.iter().map(|code| code.as_str().to_owned()));
    codes.extend(RemoteStanding::ALL.iter().map(|code| code.as_str().to_owned()));
    codes.extend(doctor::Code::ALL.iter().map(|code| code.as_str().to_owned()));
    let missing: Vec<_> = codes.iter().filter(|code| !known.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
}

#[test]
fn an_explanation_says_what_why_and_what_to_do() {
    for code in [
        "window-open",
        "held",
        "quarantined",
        "window-down",
        "busy",
        "rp-filter",
        "rendering-incomplete",
    ] {
        let entry = explain(&[code]);
        for part in ["kind", "title", "why", "fix"] {
            assert!(entry[part].as_str().is_some_and(|text| text.len() > 5), "{code}: {entry:#}");
        }
    }
}

#[test]
fn names_of_reasons_are_found_in_source() {
    let text = "impl E {\n    /// Its name.\n    pub const fn code(&self) -> &'static str {\n        match self {\n            Self::A => \"one-reason\",\n        }\n    }\n    const X: u8 = 1;\n    fn f() { g(\"other-word\"); }\n}\n\
        const NO: &str = \"two\";\nconst OTHER: &str = \"seven\";\nguards.push(Guard { code: NO, });\nguards.push(Guard {\n    code: \"three-3\",\n    message: \"four\",\n});\n\
        format!(\"[five] {sentence}\");\n#[cfg(test)]\nconst SIX: &str = \"six\";\n";
    let found: Vec<String> = codes(text).into_iter().collect();
    assert_eq!(found, ["five", "one-reason", "three-3", "two"]);
}

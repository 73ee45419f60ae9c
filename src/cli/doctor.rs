//! `weft doctor`.

use camino::Utf8Path;
use jiff::Timestamp;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::node::{self, Node};
use super::offline;
use super::output::Output;
use super::source::Source;
use super::trust::TrustFiles;
use crate::agent::doctor::{self, Diagnosis, Looked, Severity};
use crate::agent::settings::Settings;
use crate::declare::policy::standing;
use crate::network::Network;
use crate::{sync, validate};

/// Looks at the machine, judges and prints. `directory` holds declarations that are
/// judged instead of the newest trusted ones.
pub(super) fn examine(
    output: Output,
    machine: &Node,
    directory: Option<&Utf8Path>,
    online: bool,
) -> Result<Exit, Failure> {
    let checked = directory.map(|path| offline::check(path, &[])).transpose()?;
    if let Some(checked) = &checked {
        offline::show(output, checked);
        if checked.network.is_none() {
            output.document(&json!({ "ok": false, "findings": checked.findings }));
            return Ok(Exit::Refused);
        }
    }
    let mut examination = doctor::examine(machine.host(), &node::program()?, online);
    let declared = checked.as_ref().and_then(|checked| checked.network.as_ref());
    let kept = examination.settings.as_ref().and_then(|settings| of_cache(machine, settings));
    let (root_end, kept) = kept.unzip();
    if let Some(Some(end)) = root_end {
        examination.examined.root_end = Looked::Seen(end);
    }
    let kept = kept.flatten();
    let network = declared.or(examination.network.as_ref()).or(kept.as_ref());
    let diagnoses = doctor::diagnose(&examination.examined, examination.settings.as_ref(), network);

    output.say(text(&diagnoses));
    let worst = diagnoses.iter().map(|diagnosis| diagnosis.severity).max();
    let ok = worst != Some(Severity::Error);
    let list: Vec<_> = diagnoses.iter().map(document).collect();
    output.document(&json!({ "ok": ok, "diagnoses": list, "examined": examination.examined }));
    Ok(if ok { Exit::Ok } else { Exit::Failed })
}

/// When the role `root` ends, where its keys do.
type RootEnd = Option<Timestamp>;

/// What the newest commit says that the node accepted, as far as its cache has it: when the role
/// `root` ends, and what is declared.
fn of_cache(node: &Node, settings: &Settings) -> Option<(Option<RootEnd>, Option<Network>)> {
    let source = Source::of_node(node).ok()?;
    let commit = source.accepted(None).ok()?;
    let files = TrustFiles::at(&source, commit).ok();
    let end = files.map(|files| standing::root_end(&files.policy, &files.signers));
    let tree = sync::tree_of(source.store(), commit, settings.base()).ok();
    let network =
        tree.and_then(|tree| validate::check(&tree, Some(&settings.cluster.value), &[]).0);
    Some((end, network))
}

fn document(diagnosis: &Diagnosis) -> serde_json::Value {
    json!({
        "area": diagnosis.code.area().as_str(),
        "code": diagnosis.code,
        "severity": diagnosis.severity,
        "message": diagnosis.message,
        "mend": diagnosis.mend,
    })
}

/// The diagnoses below the headings of their areas, what mends below what is wrong, and
/// a line that counts.
fn text(diagnoses: &[Diagnosis]) -> String {
    let mut lines = Vec::new();
    let mut area = None;
    for diagnosis in diagnoses {
        let here = diagnosis.code.area();
        if area.replace(here) != Some(here) {
            lines.push(format!("{}{}", if lines.is_empty() { "" } else { "\n" }, here.as_str()));
        }
        let severity = diagnosis.severity.as_str();
        // What a program or a file said may hold anything.
        let message = printable(&diagnosis.message);
        lines.push(format!("  {severity:<8} {}: {message}", diagnosis.code.as_str()));
        if let Some(mend) = &diagnosis.mend {
            lines.push(format!("           = mend: {}", printable(mend)));
        }
    }
    let count = |severity, word: &str, many: &str| {
        let count = diagnoses.iter().filter(|diagnosis| diagnosis.severity == severity).count();
        format!("{count} {}", if count == 1 { word } else { many })
    };
    lines.push(format!(
        "\n{}, {}, {}, {}",
        count(Severity::Error, "error", "errors"),
        count(Severity::Warning, "warning", "warnings"),
        count(Severity::Skipped, "skipped", "skipped"),
        count(Severity::Ok, "in order", "in order"),
    ));
    lines.join("\n")
}

/// The text without what steers a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

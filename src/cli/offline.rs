//! The verbs that work on a directory alone: `validate` and `render`.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::output::{Format, Output, counted};
use super::{annotations, directory, findings, repository, sarif};
use crate::declare::finding::{Code, Finding, suggestion};
use crate::declare::{self, Findings, Tree, policy, signers, void};
use crate::facts::{self, Facts};
use crate::host::{Host as _, Linux};
use crate::network::Network;
use crate::render::{Profile, Rendering, render};
use crate::validate;
use crate::value::{NodeName, Place, RepoPath};

/// The largest facts file that is read, in bytes.
const MAX_FACTS_BYTES: u64 = 16 << 20;

/// What a directory declares.
pub(super) struct Checked {
    pub(super) network: Option<Network>,
    pub(super) findings: Findings,
    tree: Tree,
    trust: BTreeMap<RepoPath, Arc<str>>,
}

impl Checked {
    fn source(&self, path: &RepoPath) -> Option<&str> {
        self.tree.get(path).or_else(|| self.trust.get(path)).map(AsRef::as_ref)
    }
}

/// Reads and checks a directory with what is known of nodes, and its trust files where it
/// has any.
pub(super) fn check(path: &Utf8Path, facts: &[Facts]) -> Result<Checked, Failure> {
    let tree = directory::read(path)?;
    let (network, mut findings) = validate::check(&tree, None, facts);
    let trust: BTreeMap<RepoPath, Arc<str>> = directory::trust_files(path)?.into_iter().collect();
    // Where git's own directory lies beside them, the trust files belong here too.
    if !trust.is_empty() || path.join(".git").exists() {
        check_trust(&trust, &mut findings);
        findings.sort();
    }
    let network = network.filter(|_| !findings.has_errors());
    Ok(Checked { network, findings, tree, trust })
}

/// Reads the trust files as a node does. One without the other is missing.
fn check_trust(trust: &BTreeMap<RepoPath, Arc<str>>, findings: &mut Findings) {
    let mut file = |name: &str| {
        let path = declare::constant_path(name);
        let text = trust.get(&path);
        if text.is_none() {
            let message = format!("there is no `{path}`");
            let finding = Finding::new(Code::MissingFile, message, &Place::start_of(&path))
                .help("nodes refuse a commit without its trust files");
            findings.push(finding);
        }
        text.map(|text| (path, text))
    };
    let (signers, policy) = (file(signers::FILE), file(policy::FILE));
    let path = declare::constant_path(void::FILE);
    if let Some(text) = trust.get(&path) {
        void::read(&path, text, findings);
    }
    if let (Some((signers, text)), Some((policy, rules))) = (signers, policy) {
        let signers = signers::read(&signers, text, findings);
        let policy = policy::read(&policy, rules, &signers, findings);
        if let Some(policy) = policy.filter(|_| !findings.has_errors()) {
            policy::standing::judge_root(&policy, &signers, Linux::new(None).now(), findings);
        }
    }
}

/// The findings of a directory for people.
pub(super) fn show(output: Output, checked: &Checked) {
    if !checked.findings.is_empty() {
        let source = |path: &_| checked.source(path);
        output.say(findings::text(&checked.findings, source, output.is_coloured()));
    }
}

/// `weft validate`
pub(super) fn validate_directory(
    output: Output,
    path: &Utf8Path,
    facts: &[Utf8PathBuf],
) -> Result<Exit, Failure> {
    let facts = facts.iter().map(|path| read_facts(path)).collect::<Result<Vec<_>, _>>()?;
    let checked = check(path, &facts)?;
    if let Some(network) = &checked.network {
        // Facts of a stranger would be looked at by no rule.
        facts.iter().try_for_each(|facts| declared(network, &facts.node))?;
    }
    match output.format() {
        Format::Human | Format::Json => show(output, &checked),
        Format::Sarif => Output::print(format!("{:#}", sarif::document(&checked.findings, path))),
        Format::Github if checked.findings.is_empty() => {}
        Format::Github => Output::print(annotations::text(&checked.findings, path)),
    }
    let ok = checked.network.is_some();
    let has_no_trust = ok && checked.trust.is_empty();
    if let Some(network) = checked.network.as_ref().filter(|_| checked.findings.is_in_order()) {
        output.say(format!(
            "In order: {}, {}, {}.",
            counted(network.nodes.len(), "node"),
            counted(network.zones.len(), "zone"),
            counted(network.zones.values().map(|zone| zone.vnets.len()).sum(), "vnet"),
        ));
    }
    let note = "there is no `.weft/`: nothing here says who may change what, and nodes refuse a commit without it; `weft init` writes it";
    let notes: Vec<&str> = has_no_trust.then_some(note).into_iter().collect();
    for note in &notes {
        output.say(format!("note: {note}"));
    }
    output.document(&json!({ "ok": ok, "findings": checked.findings, "notes": notes }));
    Ok(if ok { Exit::Ok } else { Exit::Refused })
}

/// The words of `weft render`.
#[derive(Debug, Args)]
pub(super) struct ToRender {
    /// The directory that holds `weft.yaml` and `sdn/`.
    #[arg(default_value = ".")]
    directory: Utf8PathBuf,
    /// The node to render.
    #[arg(long, value_name = "NAME")]
    node: NodeName,
    /// What is known of the node, as `weft facts` recorded it. Without it,
    /// nothing is known, and rules that need an address of the node have none.
    #[arg(long, value_name = "FILE")]
    facts: Option<Utf8PathBuf>,
    /// The build of ifupdown2 that loads the files: `pve` or `debian`.
    #[arg(long, default_value_t, value_name = "PROFILE")]
    profile: Profile,
    /// Write the files below this directory instead of printing them.
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// Replace files there that say something else.
    #[arg(long, requires = "out")]
    force: bool,
}

/// `weft render`
pub(super) fn render_directory(output: Output, words: &ToRender) -> Result<Exit, Failure> {
    let ToRender { directory: path, node, facts, profile, out, force } = words;
    let no_facts = facts.is_none();
    let facts = match facts {
        Some(path) => read_facts(path)?,
        None => Facts::unknown(node.clone()),
    };
    let known = if no_facts { &[] } else { std::slice::from_ref(&facts) };
    let checked = check(path, known)?;
    let Some(network) = &checked.network else {
        show(output, &checked);
        output.document(&json!({ "ok": false, "findings": checked.findings }));
        return Ok(Exit::Refused);
    };
    declared(network, node)?;
    of_node(&facts, node)?;
    let rendering = render(network, node, &facts, *profile);
    let written = out.as_ref().map(|out| write_files(&rendering, out, *force)).transpose()?;
    let files: serde_json::Map<String, serde_json::Value> = rendering
        .files
        .iter()
        .map(|(managed, text)| (managed.to_string(), text.as_str().into()))
        .collect();
    match &written {
        Some(written) => {
            for path in written {
                output.say(format!("wrote {path}"));
            }
            let same = rendering.files.len() - written.len();
            if same > 0 {
                output.say(format!("{} as it should be already", counted(same, "file")));
            }
        }
        None => {
            for (managed, text) in &rendering.files {
                output.say(format!("# {managed}\n{text}"));
            }
        }
    }
    if no_facts {
        output.say(format!("note: {}", nothing_known(node)));
    }
    for note in &rendering.notes {
        output.say(format!("note: {note}"));
    }
    output.document(&json!({
        "ok": true,
        "node": node,
        "profile": profile,
        "rendering": rendering.digest(),
        "files": files,
        "written": written,
        "notes": rendering.notes,
        "findings": checked.findings,
    }));
    Ok(Exit::Ok)
}

/// That there are no facts of a node.
pub(super) fn nothing_known(node: &NodeName) -> String {
    format!(
        "nothing is known of node `{node}`; `--facts FILE` gives what `weft facts` recorded there"
    )
}

/// A node that is not declared has no rendering.
pub(super) fn declared(network: &Network, node: &NodeName) -> Result<(), Failure> {
    if network.nodes.contains_key(node) {
        return Ok(());
    }
    let failure = Failure::new(Exit::Refused, format!("node `{node}` is not declared"));
    let names = network.nodes.keys().map(AsRef::as_ref);
    Err(failure.hint(
        suggestion(node.as_str(), "declared nodes", names)
            .unwrap_or_else(|| "declare it under `nodes`".to_owned()),
    ))
}

/// Writes the files below a directory, with sequence number 0, and gives the paths of those
/// that were not there already.
fn write_files(
    rendering: &Rendering,
    out: &Utf8Path,
    force: bool,
) -> Result<Vec<Utf8PathBuf>, Failure> {
    let files = rendering.files.keys().map(|managed| {
        let path = managed.path().as_str().trim_start_matches('/').into();
        (path, rendering.bytes(managed, 0).unwrap_or_default())
    });
    repository::Target::put_all(out, &files.collect::<Vec<_>>(), force)
}

/// Facts of another node would make a rendering that no node has.
pub(super) fn of_node(facts: &Facts, node: &NodeName) -> Result<(), Failure> {
    if facts.node == *node {
        return Ok(());
    }
    let message = format!("the facts are node `{}`'s, not `{node}`'s", facts.node);
    Err(Failure::new(Exit::Refused, message))
}

/// Reads recorded facts.
pub(super) fn read_facts(path: &Utf8Path) -> Result<Facts, Failure> {
    let fail =
        |why: String| Failure::new(Exit::Failed, format!("cannot use facts `{path}`: {why}"));
    let size = path.metadata().map_err(|error| fail(error.to_string()))?.len();
    if size > MAX_FACTS_BYTES {
        return Err(fail(format!("larger than {MAX_FACTS_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let facts: Facts = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
    if facts.format != facts::FORMAT {
        let why = format!("format {} is not one that this version reads", facts.format);
        return Err(fail(why).hint("record them again with `weft facts`"));
    }
    Ok(facts)
}

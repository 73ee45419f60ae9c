//! `weft why`: what is gathered for it, and how it is said.

use std::fmt::{Display, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde_json::json;

use super::answer;
use super::failure::{Exit, Failure};
use super::node::{Node, failed};
use super::output::Output;
use super::source::Source;
use super::{directory, offline};
use crate::agent::settings::Settings;
use crate::agent::why::{self, Answer, AtHand, Part, Trusted, Unknown};
use crate::apply;
use crate::declare::finding::nearest;
use crate::facts::Facts;
use crate::host::Host as _;
use crate::plan::Statement;
use crate::render::Managed;
use crate::sync;
use crate::validate;
use crate::validate::scope::Scopes;
use crate::value::{NodeName, ObjectId};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A vnet, zone, subnet, controller or fabric, or the name of an interface, a file or a
    /// daemon: `va`, `10.0.0.0/24`, `vxlan_va`, `/etc/frr/frr.conf`, `dnsmasq@zone`, `frr`.
    object: String,
    /// Ask this directory of declarations instead of what runs.
    #[arg(long, value_name = "DIR")]
    directory: Option<Utf8PathBuf>,
    /// With a directory: the node. The one that the settings name, without this.
    #[arg(long, value_name = "NAME", requires = "directory")]
    node: Option<NodeName>,
    /// With a directory: what is known of the node, as `weft facts` recorded it. Without it,
    /// nothing is known of a node that `--node` names.
    #[arg(long, value_name = "FILE", requires = "directory")]
    facts: Option<Utf8PathBuf>,
}

/// `weft why`
pub(super) fn run(
    output: Output,
    root: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let name = arguments.object.as_str();
    let node = Node::open(root.map(Utf8Path::to_owned))?;
    let answer = if let Some(directory) = &arguments.directory {
        of_directory(&node, directory, arguments)?
    } else {
        let settings = node.settings()?;
        let at_hand = at_hand(&node, &settings)?;
        why::of_node(node.host(), &settings, name, at_hand)
            .map_err(|error| answer::failure(&error))?
    };
    match answer {
        Ok(answer) => {
            output.say(text(&answer));
            output.document(&json!(answer));
            Ok(Exit::Ok)
        }
        Err(unknown) => Err(failure(name, &unknown)),
    }
}

fn failure(name: &str, unknown: &Unknown) -> Failure {
    let message = format!("`{}`: {unknown}", name.escape_debug());
    let names = unknown.names.iter().map(String::as_str);
    Failure::new(Exit::Failed, message).hint(match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "ask for a vnet, zone, subnet, controller, fabric, interface, file of weft's or `dnsmasq@ZONE`".to_owned(),
    })
}

fn of_directory(
    node: &Node,
    path: &Utf8Path,
    arguments: &Arguments,
) -> Result<Result<Answer, Unknown>, Failure> {
    let tree = directory::read(path)?;
    let recorded = arguments.facts.as_deref().map(offline::read_facts).transpose()?;
    let profile = node.profile(None)?;
    let facts = match (recorded, &arguments.node) {
        (Some(facts), Some(name)) => {
            offline::of_node(&facts, name)?;
            facts
        }
        (Some(facts), None) => facts,
        (None, Some(name)) => Facts::unknown(name.clone()),
        (None, None) => {
            let name = node.name(None)?;
            node.host.facts(&name).map_err(|error| failed(&error))?
        }
    };
    // What an undeclared node would get, nobody can say.
    if let Some(network) = validate::check(&tree, None, std::slice::from_ref(&facts)).0 {
        offline::declared(&network, &facts.node)?;
    }
    Ok(why::of_directory(&arguments.object, path.as_str(), &tree, facts, profile))
}

/// Reads the declarations from the cache, as far as they are there.
fn at_hand(node: &Node, settings: &Settings) -> Result<AtHand, Failure> {
    let mut at_hand = AtHand::default();
    let runs = apply::running(&node.host).map_err(|error| failed(&error))?;
    let runs = runs.and_then(|entry| entry.record.commit).map(|record| record.commit);
    let source = match Source::of_node(node) {
        Ok(source) => source,
        Err(error) => {
            at_hand.missing.push(format!("the declarations are not at hand: {}", error.message()));
            return Ok(at_hand);
        }
    };
    if let Some(commit) = runs {
        match sync::tree_of(source.store(), commit, settings.base()) {
            Ok(tree) => at_hand.running = Some(tree),
            Err(error) => at_hand.missing.push(unread(commit, &error)),
        }
    }
    match trusted(&source, settings, runs) {
        Ok(trusted) => at_hand.trusted = trusted,
        Err(error) => at_hand.missing.push(error),
    }
    Ok(at_hand)
}

fn unread(commit: ObjectId, error: &dyn std::error::Error) -> String {
    format!(
        "the declarations of commit {} cannot be read from the cache: {}",
        commit.short(),
        crate::agent::error::chain(error)
    )
}

/// The newest commit that the node accepted, as the cache has it.
fn trusted(
    source: &Source,
    settings: &Settings,
    runs: Option<ObjectId>,
) -> Result<Option<Trusted>, String> {
    let Some(node) = &source.node else { return Ok(None) };
    let Some(anchor) = &node.anchor else { return Ok(None) };
    let (store, commit) = (source.store(), anchor.record.commit);
    let failed = |error: &dyn std::error::Error| unread(commit, error);
    let scopes = Scopes::default();
    let judgement =
        sync::judge(store, commit, &node.trust, Some(anchor), source.now, &|difference| {
            scopes.judge(difference)
        })
        .map_err(|error| failed(&error))?;
    let Some(accepted) = judgement.accepted else { return Ok(None) };
    let tree = sync::tree(store, &accepted, settings.base()).map_err(|error| failed(&error))?;
    let removal = sync::removal(store, &accepted).map_err(|error| failed(&error))?;
    let reverts = match runs.filter(|runs| *runs != commit) {
        Some(runs) => {
            sync::reverts(store, &accepted, runs).map_err(|error| failed(&error))?.is_some()
        }
        None => false,
    };
    Ok(Some(Trusted { tree, removal, reverts }))
}

fn text(answer: &Answer) -> String {
    let mut text = format!("{}: {}\n", answer.name, answer.objects.join(", "));
    part(&mut text, "declared", &answer.declared);
    rendered(&mut text, &answer.rendered);
    part(&mut text, "in the kernel", &answer.kernel);
    part(&mut text, "last changed", &answer.changed);
    part(&mut text, "pending", &answer.pending);
    text
}

fn part<T: Display>(text: &mut String, heading: &str, part: &Part<T>) {
    head(text, heading, &part.source);
    for found in &part.found {
        let _ = writeln!(text, "  {found}");
    }
    foot(text, part);
}

/// Each line behind its number, below its file.
fn rendered(text: &mut String, part: &Part<Statement>) {
    head(text, "rendered", &part.source);
    let mut file = None;
    let mut stanza = None;
    for found in &part.found {
        if file.replace(&found.file) != Some(&found.file) {
            let _ = writeln!(text, "  {}", found.file);
        }
        let line = if found.file == Managed::Interfaces && begins(&found.text) {
            stanza = Some(&found.of);
            found.text.clone()
        } else if stanza == Some(&found.of) && found.file == Managed::Interfaces {
            format!("    {}", found.text)
        } else {
            found.path()
        };
        let _ = writeln!(text, "  {:>5}  {line}", found.line);
    }
    foot(text, part);
}

/// Whether a line of an interfaces file begins a stanza.
fn begins(line: &str) -> bool {
    ["auto ", "iface "].iter().any(|word| line.starts_with(word))
}

fn head(text: &mut String, heading: &str, source: &str) {
    let source = if source.is_empty() { String::new() } else { format!(" ({source})") };
    let _ = writeln!(text, "\n{heading}{source}");
}

fn foot<T>(text: &mut String, part: &Part<T>) {
    if part.omitted > 0 {
        let _ = writeln!(text, "  … and {} more", part.omitted);
    }
    for note in &part.notes {
        let _ = writeln!(text, "  {note}");
    }
    if part.found.is_empty() && part.notes.is_empty() {
        let _ = writeln!(text, "  nothing");
    }
}

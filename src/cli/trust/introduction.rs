//! `weft trust introduction`.

use camino::Utf8Path;
use serde_json::json;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::source::Source;
use crate::cli::verify::begin;
use crate::declare::finding::Findings;
use crate::declare::shape::Shape as _;
use crate::declare::tree::MAX_FILE_BYTES;
use crate::declare::{CLUSTER_FILE, Cluster, constant_path, yaml};
use crate::sync::{self, account, look};
use crate::validate::scope::Scopes;
use crate::value::ObjectId;

/// `weft trust introduction`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The commit at which the node begins to trust: an id, a branch or a tag. The one that
    /// is checked out, without this. Choose one that you know to be good.
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// Where the trust of your nodes begins already: the commit has to be good by the line
    /// from there. The oldest commit that can be an introduction, without this.
    #[arg(long, value_name = "COMMIT")]
    introduction: Option<String>,
}

pub(super) fn run(
    output: Output,
    root: Option<&Utf8Path>,
    directory: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let source = Source::open(root, directory)?;
    let commit = source.commit(arguments.revision.as_deref())?;
    let judged = sync::introduction(source.store(), commit, source.now)
        .map_err(|error| source.unjudged(&error))?;
    let introduction = judged.map_err(|refusal| {
        let message = format!(
            "commit {} cannot be an introduction ({}): {}",
            commit.short(),
            refusal.code,
            refusal.message
        );
        Failure::new(Exit::Refused, message).hint(refusal.help)
    })?;
    stands(&source, commit, arguments.introduction.as_deref())?;
    let cluster = cluster(&source, commit)?;
    let of = cluster.as_ref().map_or_else(String::new, |name| format!(" of cluster {name}"));
    output.say(format!(
        "# For /etc/weft/agent.yaml of a node{of}: trust this commit, and what follows from it.\n\
         # Carry it to the node by a way that you trust and that is not this repository.\n\
         introduction:\n  commit: {}\n  signer: \"{}\"",
        introduction.commit, introduction.signer
    ));
    output.document(&json!({ "ok": true, "cluster": cluster, "introduction": introduction }));
    Ok(Exit::Ok)
}

/// That nodes which trust already accept the commit. What it says of itself proves nothing:
/// whoever can push can make himself root in a commit of his own.
fn stands(source: &Source, commit: ObjectId, from: Option<&str>) -> Result<(), Failure> {
    let begin = begin(source, None, from)?;
    let scopes = Scopes::default();
    let judged =
        account(source.store(), commit, &begin, &source.revoked(), source.now, &|difference| {
            scopes.judge(difference)
        });
    let judged = judged.map_err(|error| source.unjudged(&error))?;
    match judged.judgement.refused.first() {
        None => Ok(()),
        Some(refusal) => {
            let message = format!("nodes that trust already do not accept it: {refusal}");
            Err(Failure::new(Exit::Refused, message).hint(
                "name a good commit (`weft verify` says which are); where your nodes' trust begins later than the history, name that: `--introduction COMMIT`",
            ))
        }
    }
}

/// The cluster that the commit is of, where `weft.yaml` at its top says so.
fn cluster(source: &Source, commit: ObjectId) -> Result<Option<String>, Failure> {
    let path = constant_path(CLUSTER_FILE);
    let text = look::text(source.store(), commit, &path, MAX_FILE_BYTES)
        .map_err(|error| source.unread_file(&error))?;
    let mut findings = Findings::default();
    let cluster = text
        .and_then(|text| yaml::parse(&path, &text, &mut findings))
        .and_then(|node| Cluster::read(&node, &mut findings));
    Ok(cluster.map(|cluster| cluster.cluster.value.to_string()))
}

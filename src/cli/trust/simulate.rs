//! `weft trust simulate`.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::files::TrustFiles;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Output, counted};
use crate::cli::source::{self, Source};
use crate::cli::verify::begin;
use crate::declare::{constant_path, policy, signers};
use crate::sync::simulate::Simulated;
use crate::sync::{Law, Refusal, look, simulate};
use crate::validate::scope::Scopes;

/// `weft trust simulate`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The newest commit that is judged. The one that is checked out, without this.
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// The policy, instead of `.weft/policy.yaml` of the work tree.
    #[arg(long, value_name = "FILE")]
    policy: Option<Utf8PathBuf>,
    /// The signers, instead of `.weft/allowed_signers` of the work tree.
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<Utf8PathBuf>,
    /// Only commits above this one. All since trust begins, without this.
    #[arg(long, value_name = "REV")]
    since: Option<String>,
}

pub(super) fn run(
    output: Output,
    root: Option<&Utf8Path>,
    directory: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let source = Source::open(root, directory)?;
    let tip = source.commit(arguments.revision.as_deref())?;
    let begin = begin(&source, arguments.since.as_deref(), None)?;
    let law = law(&source, arguments)?;
    let scopes = Scopes::default();
    let simulated =
        simulate(source.store(), tip, &begin, &law, &source.revoked(), source.now, &|difference| {
            scopes.judge(difference)
        });
    let simulation = simulated.map_err(|error| source.unjudged(&error))?;
    if let Some(refusal) = &simulation.nowhere {
        let message = format!("it is not known where trust begins: {refusal}");
        return Err(Failure::new(Exit::Refused, message)
            .hint("name a commit that is to be taken as it is: `--since REV`"));
    }
    let commits = &simulation.commits;
    for one in commits.iter().filter(|one| one.refusal.is_some() || one.entry.refusal.is_some()) {
        output.say(line(one));
    }
    let then = commits.iter().filter(|one| one.refusal.is_some()).count();
    let today = commits.iter().filter(|one| one.entry.refusal.is_some()).count();
    let all = counted(commits.len(), "commit");
    output.say(format!("{then} of {all} would be refused by these trust files; today: {today}"));
    if simulation.remaining > 0 {
        output.say(format!("{} were not judged: more would have to be compared than one judgement may compare; `--since REV` begins further up", simulation.remaining));
    }
    let list: Vec<_> = commits.iter().map(document).collect();
    output.document(&json!({
        "ok": then == 0,
        "tip": tip,
        "introduction": simulation.introduction,
        "refused": then,
        "refused-today": today,
        "remaining": simulation.remaining,
        "commits": list,
    }));
    Ok(if then == 0 { Exit::Ok } else { Exit::Refused })
}

/// The trust files that are law: those that are named, and else those of the work tree or,
/// where there is none, of the newest commit.
fn law(source: &Source, arguments: &Arguments) -> Result<Law, Failure> {
    let text = |given: Option<&Utf8PathBuf>, path: &str, limit: u64| -> Result<Arc<str>, Failure> {
        let file = match given {
            Some(file) => Some(file.clone()),
            None => Some(source.path.join(path))
                .filter(|file| source.node.is_none() && file.symlink_metadata().is_ok()),
        };
        if let Some(file) = file {
            return source::file(&file, limit).map(Into::into);
        }
        let path = constant_path(path);
        let newest = source.accepted(None)?;
        let text = look::text(source.store(), newest, &path, limit)
            .map_err(|error| source.unread_file(&error))?;
        text.map(Into::into).ok_or_else(|| {
            let message =
                format!("neither the work tree nor commit {} has `{path}`", newest.short());
            Failure::new(Exit::Failed, message)
                .hint("name the files: `--policy FILE --allowed-signers FILE`")
        })
    };
    let signers = text(arguments.allowed_signers.as_ref(), signers::FILE, signers::MAX_BYTES)?;
    let policy = text(arguments.policy.as_ref(), policy::FILE, policy::MAX_BYTES)?;
    let files = TrustFiles::of(Arc::clone(&signers), Arc::clone(&policy))?;
    let paths = (constant_path(signers::FILE), constant_path(policy::FILE));
    let (law, _) = Law::read((&paths.0, &files.signers_text), (&paths.1, &files.policy_text));
    law.ok_or_else(|| Failure::new(Exit::Refused, "no node can use these trust files"))
}

fn line(one: &Simulated) -> String {
    let words = |refusal: &Refusal| format!("{}: {}", refusal.code, refusal.message);
    let subject = one.entry.subject.as_deref().unwrap_or_default();
    let (when, what) = match (&one.refusal, &one.entry.refusal) {
        (Some(then), None) => ("then", words(then)),
        (Some(then), Some(_)) => ("then and today", words(then)),
        (None, Some(today)) => ("today", words(today)),
        (None, None) => ("never", String::new()),
    };
    format!("{} refused {when}, {what} ({subject})", one.entry.commit.short())
}

fn document(one: &Simulated) -> serde_json::Value {
    json!({
        "commit": one.entry.commit,
        "subject": one.entry.subject,
        "committed": one.entry.committed,
        "refused": one.refusal,
        "refused-today": one.entry.refusal,
    })
}

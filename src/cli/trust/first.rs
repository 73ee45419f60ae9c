//! `weft trust init`.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::files;
use crate::cli::failure::{Exit, Failure};
use crate::cli::key::First;
use crate::cli::output::Output;
use crate::cli::repository::Target;
use crate::declare::{CLUSTER_FILE, policy, signers};

/// `weft trust init`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The public key that may change everything. Git's `user.signingkey` in the
    /// repository, without this.
    #[arg(long, value_name = "FILE.pub")]
    key: Option<Utf8PathBuf>,
    /// Whose key it is. Git's `user.email` in the repository, without this.
    #[arg(long, value_name = "NAME")]
    principal: Option<crate::value::Principal>,
}

pub(super) fn run(
    output: Output,
    directory: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let top = files::top(directory)?;
    let target = Target::keeping(&top)?;
    for path in [signers::FILE, policy::FILE] {
        if target.has(path) {
            let message = format!("`{top}` has `{path}` already, which is never replaced");
            return Err(Failure::new(Exit::Refused, message).hint(
                "`weft trust show` says who may do what; `weft trust add` lets a further key sign",
            ));
        }
    }
    let first = First::of(&top, arguments.key.as_deref(), arguments.principal.as_ref())?;
    target.write(signers::FILE, &first.signers)?;
    target.write(policy::FILE, &first.policy)?;

    let principal = &first.principal;
    let mut next = Vec::new();
    if !target.has(CLUSTER_FILE) {
        next.push(format!("write `{CLUSTER_FILE}` (`weft: 1`, `cluster: NAME`) and declarations, or let `weft init` begin them"));
    }
    next.extend([
        "git config gpg.format ssh; git config user.signingkey FILE.pub".to_owned(),
        format!("git add .weft; git commit -S: nodes can trust from this commit on, signed by {principal}"),
        "weft trust introduction: print what a new node is told, and carry it there by a way that you trust; then git push".to_owned(),
        "weft trust add NAME KEY --role root: a second person, before the only key is lost".to_owned(),
    ]);
    output.say(format!(
        "wrote {}\nwrote {}\n{principal} may change everything.\n\nNext:",
        signers::FILE,
        policy::FILE
    ));
    for (number, step) in (1..).zip(&next) {
        output.say(format!("  {number}. {step}"));
    }
    output.document(&json!({
        "ok": true,
        "directory": top,
        "principal": principal,
        "written": [signers::FILE, policy::FILE],
        "next": next,
    }));
    Ok(Exit::Ok)
}

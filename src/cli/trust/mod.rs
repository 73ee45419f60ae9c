//! `weft trust`: who may change the network, looked after by people in their repository.

mod change;
mod date;
mod files;
mod first;
mod guard;
mod introduction;
mod show;
mod simulate;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Subcommand;

use super::failure::{Exit, Failure};
use super::output::Output;

pub(super) use files::TrustFiles;

/// `weft trust`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A directory of the repository. The current one, without this.
    #[arg(long, short = 'C', global = true, value_name = "DIR")]
    directory: Option<Utf8PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the first trust files: one key may change everything. What is there already
    /// is never replaced.
    Init(first::Arguments),
    /// Let a person's key sign, and let the person into a role.
    ///
    /// Every other line of the files stays as it is. What is added counts from the next
    /// commit on: the commit that brings it is signed by who could sign before.
    Add(change::Add),
    /// Take a person, or one of a person's keys, out.
    ///
    /// Every other line of the files stays as it is. It counts from the next commit on, and
    /// what the key has signed before stays good below commits of others. A stolen key is
    /// taken out on each node as well, at once: its fingerprint in /etc/weft/revoked
    /// beats the repository.
    Remove(change::Remove),
    /// Say who may do what, and what is doubtful about it.
    Show(show::Arguments),
    /// Say which commits would be refused if other trust files were law. Exit 4 when there
    /// are any.
    ///
    /// Each commit of the line is judged by these trust files, against its own first parent.
    /// Those of the work tree are taken, committed or not, unless others are named.
    Simulate(simulate::Arguments),
    /// Print what a new node is told to trust a commit, and what follows from it.
    ///
    /// It goes into /etc/weft/agent.yaml of the node. Carry it there by a way that you trust
    /// and that is not this repository: by the tool that installs the node, or by hand. Who
    /// can change it on the way decides whom the node believes.
    Introduction(introduction::Arguments),
}

/// Runs a verb of `weft trust`.
pub(super) fn run(
    output: Output,
    root: Option<&Utf8Path>,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let directory = arguments.directory.as_deref();
    let works = matches!(arguments.verb, Verb::Init(_) | Verb::Add(_) | Verb::Remove(_));
    if works && root.is_some() {
        let message = "trust files are changed in a repository, not on a node";
        return Err(Failure::new(Exit::Usage, message).hint("name the repository: `-C DIR`"));
    }
    match &arguments.verb {
        Verb::Init(first) => first::run(output, directory, first),
        Verb::Add(add) => change::add(output, directory, add),
        Verb::Remove(remove) => change::remove(output, directory, remove),
        Verb::Show(show) => show::run(output, root, directory, show),
        Verb::Simulate(simulate) => simulate::run(output, root, directory, simulate),
        Verb::Introduction(wanted) => introduction::run(output, root, directory, wanted),
    }
}

//! Floor 11: words in, words out. The only floor that prints.

mod adopt;
mod annotations;
mod answer;
mod audit;
mod busy;
mod daemon;
pub mod demo;
mod directory;
mod doctor;
mod export;
mod failure;
mod findings;
mod import;
mod init;
mod ipam;
mod key;
mod log;
mod node;
mod offline;
mod output;
mod pve;
mod repository;
mod sarif;
mod source;
mod status;
mod trust;
mod verb;
mod verify;
mod why;
mod window;
mod words;

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{CommandFactory as _, Parser, Subcommand};

pub use failure::{Exit, Failure};
pub use output::Format;

use self::output::Output;
use crate::agent::turn::Purpose;
use crate::render::Profile;
use crate::sync;
use crate::value::NodeName;

/// The subcommand by which the agent starts its own fetch process.
pub const FETCH_WORKER: &str = "fetch-worker";

/// The subcommand by which the demo starts the first process of a node.
const DEMO_NODE: &str = "demo-node";

/// GitOps pull agent for software-defined networks of the Proxmox VE kind.
#[derive(Debug, Parser)]
#[command(name = "weft", version, arg_required_else_help = true)]
struct Arguments {
    /// A directory that stands for `/` of a node: a dry node. Every path of the node is
    /// below it, and nothing is loaded into a network. For commands that ask a node.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<Utf8PathBuf>,

    /// Who reads the answer.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Short for `--format json`.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the whole life of a change on three dry nodes in a temporary directory.
    Demo {
        /// Not dry nodes: two nodes with a kernel's network of their own, and guests that ping
        /// each other all the time. Needs root, iproute2 and VXLAN, and touches nothing of
        /// this machine.
        #[arg(long)]
        live: bool,
    },
    /// Make a repository to begin with: declarations, trust files, a pipeline.
    Init(init::Arguments),
    /// Make a repository of what there is.
    Import {
        #[command(subcommand)]
        from: Import,
    },
    /// Write what is declared in the form of another program.
    Export {
        #[command(subcommand)]
        to: Export,
    },
    /// Check a directory of declarations and name everything that is wrong.
    Validate {
        /// The directory that holds `weft.yaml` and `sdn/`.
        #[arg(default_value = ".")]
        directory: Utf8PathBuf,
        /// What is known of a node, as `weft facts` recorded it there, to look for more.
        /// May be given for several nodes.
        #[arg(long, value_name = "FILE")]
        facts: Vec<Utf8PathBuf>,
    },
    /// Print the files that a node gets from a directory of declarations.
    Render(offline::ToRender),
    /// Show what would change on this node. Exit 2 when something is pending.
    Plan {
        /// Plan from this directory instead of the newest trusted commit.
        directory: Option<Utf8PathBuf>,
        /// The node. The one that its settings name, without this.
        #[arg(long, value_name = "NAME")]
        node: Option<NodeName>,
        /// Plan with recorded facts instead of the node's own.
        #[arg(long, value_name = "FILE")]
        facts: Option<Utf8PathBuf>,
        /// The profile, instead of the one that the node's settings name.
        #[arg(long, value_name = "PROFILE")]
        profile: Option<Profile>,
    },
    /// Fetch, verify, plan and apply once; beside a running agent, have it do so and
    /// wait.
    Sync {
        /// Who confirms what is applied: the node's probes, or a person by `weft confirm`.
        #[arg(long, value_enum, default_value_t, value_name = "WHO")]
        confirm: Confirm,
    },
    /// Poll, and answer webhooks, until told to end. SIGHUP reads the settings again.
    Agent,
    /// Take over files that weft did not write, where nothing is lost by that.
    Adopt {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Not the node's files: what others made in Proxmox's configuration of the network,
        /// and what keeps weft from publishing there.
        #[arg(long)]
        pve: bool,
    },
    /// Apply the newest trusted commit.
    Apply {
        /// Also what differs without a new commit: facts that changed, files that
        /// somebody edited.
        #[arg(long)]
        refresh: bool,
        /// Not the newest commit: bring up what runs, when the machine has started. Needs no
        /// git, no remote and no settings.
        #[arg(long, conflicts_with_all = ["refresh", "confirm"])]
        boot: bool,
        /// Who confirms what is applied: the node's probes, or a person by `weft confirm`.
        #[arg(long, value_enum, default_value_t, value_name = "WHO")]
        confirm: Confirm,
    },
    /// Keep what is applied, although its window is open.
    Confirm,
    /// Go back to a generation that ran before, and hold the node there.
    Rollback {
        /// Its number, as `weft history` lists it; the one before, without this.
        #[arg(value_parser = verb::generation)]
        generation: Option<u64>,
    },
    /// Let no commit change this node, but one that brings back what ran before.
    ///
    /// Ways back are never held: `weft rollback`, the start of the machine, and a commit with the
    /// files of an earlier one, as a revert has. `weft status` says where one passed the hold.
    Hold {
        /// For how long, such as `2h` or `30m`; until `weft resume`, without this.
        #[arg(long = "for", value_name = "TIME", value_parser = window::time)]
        time: Option<jiff::SignedDuration>,
        /// Why, for whoever looks.
        #[arg(long, value_name = "TEXT", value_parser = window::reason)]
        reason: String,
    },
    /// Lift the hold.
    Resume,
    /// Record what rendering needs to know of this node.
    Facts {
        /// The node. The one that its settings name, without this.
        #[arg(long, value_name = "NAME")]
        node: Option<NodeName>,
    },
    /// Say what runs on this node, since when, signed by whom, and what was refused.
    Status,
    /// List what ran on this node, the newest first.
    History {
        /// How many entries.
        #[arg(long, short = 'n', default_value = "20", value_name = "N", value_parser = verb::count)]
        limit: std::num::NonZeroUsize,
    },
    /// List what was done on this node, who asked and what came of it, the newest last.
    /// Exit 1 where a line was changed or taken out.
    Audit {
        /// How many lines.
        #[arg(long, short = 'n', default_value = "20", value_name = "N", value_parser = verb::count)]
        limit: std::num::NonZeroUsize,
    },
    /// Say whether this machine can be a node, and what mends it where it cannot.
    /// Exit 1 when something does not work.
    Doctor {
        /// Judge what this directory declares instead of the newest trusted commit.
        directory: Option<Utf8PathBuf>,
        /// Ask the remotes too, and judge what their newest trusted commit declares.
        #[arg(long)]
        online: bool,
    },
    /// Settle an apply that was interrupted, by files alone; run when the machine
    /// starts, before its network does.
    BootRestore,
    /// Look after who may change the network: keys, roles, and what they come to.
    Trust(trust::Arguments),
    /// Say for each commit of a history why nodes accept it or not: who signed it, and
    /// which rule let them. Exit 4 when the newest one is refused.
    ///
    /// In a repository, trust begins at the oldest commit of the line that can be an
    /// introduction; nothing in a repository proves where. On a node, and with `--root DIR`,
    /// it begins at the introduction of the settings, and the verdict is the node's own.
    Verify(verify::Arguments),
    /// Say why something is as it is on this node: where it is declared, what is rendered
    /// for it, what the kernel has of it, what touched it last, and what keeps a change back.
    Why(why::Arguments),
    /// Look after addresses of guests: who holds which, on the branch that keeps leases.
    Ipam(ipam::Arguments),
    /// What Proxmox VE calls: a hookscript of guests.
    Pve(pve::Arguments),
    /// Explain a finding or a reason of refusal.
    Explain {
        /// Its code, such as `duplicate-id`. All codes without it.
        code: Option<String>,
    },
    /// Print the JSON Schema of declarations.
    Schema {
        /// Print the schema of `weft.yaml` instead.
        #[arg(long)]
        cluster: bool,
        /// Print the schema of `.weft/policy.yaml` instead.
        #[arg(long, conflicts_with = "cluster")]
        policy: bool,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// The process that undoes an apply whose window ends; started by the agent itself.
    #[command(hide = true)]
    Watchdog {
        /// The number of its entry in the journal.
        number: u64,
    },
    /// The first process of a node of `weft demo --live`; started by the demo itself.
    #[command(name = DEMO_NODE, hide = true)]
    DemoNode(demo::NodeWords),
    /// The process that alone talks to remotes; started by the agent itself.
    #[command(name = FETCH_WORKER, hide = true)]
    FetchWorker,
}

/// Who confirms an apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Confirm {
    /// As the node's settings say.
    #[default]
    Settings,
    /// A person, by `weft confirm`.
    Manual,
}

#[derive(Debug, Subcommand)]
enum Import {
    /// Read the files of Proxmox VE, and write declarations that mean the same: what
    /// runs, so that the first plan of each node is empty.
    Pve(import::Arguments),
}

#[derive(Debug, Subcommand)]
enum Export {
    /// Write the files of Proxmox VE, for the part that it can express; the rest is
    /// listed.
    Pve(export::Arguments),
}

/// Runs the program.
pub fn main() -> ExitCode {
    // With each poll one is started, and to read a command line takes as long as its work.
    if std::env::args_os().skip(1).eq([FETCH_WORKER]) {
        return sync::transport::serve();
    }
    let exit = match parse() {
        Ok(arguments) => answer(arguments),
        Err(exit) => exit,
    };
    let Some(lost) = Output::lost() else { return exit.into() };
    let message = format!("the answer did not reach standard output as a whole: {lost}");
    // What a verb did to the node is done, whether anybody could read of it or not.
    let note = format!("what was done stays done; the exit status had been {exit}");
    Output::notice(Failure::new(Exit::Failed, message).note(note).to_string());
    Exit::Failed.into()
}

/// The words of the command line. Where they ask for help, or mean nothing, that is said, and
/// the program ends so.
fn parse() -> Result<Arguments, Exit> {
    Arguments::try_parse().map_err(|mut error| {
        if !error.use_stderr() {
            Output::written(error.print());
            return Exit::Ok;
        }
        verb::suggest(&mut error);
        if verb::asks_for_json() {
            let text = error.render().to_string();
            let text = text.trim_start_matches("error: ").trim_end();
            Output::new(Format::Json).failure(&Failure::new(Exit::Usage, text));
        } else {
            let _ = error.print();
        }
        Exit::Usage
    })
}

/// Does what the command line says, and says what came of it.
fn answer(arguments: Arguments) -> Exit {
    log::start(&arguments.verb);
    let format = if arguments.json { Format::Json } else { arguments.format };
    let output = Output::new(format);
    let root = arguments.root.clone();
    let own = arguments.verb.paths_of_this_machine();
    match run(arguments, output) {
        Ok(exit) => exit,
        Err(failure) => {
            // Who follows the advice must not do it to the machine itself.
            let said = failure.to_string();
            let is_of_node = |root: &Utf8PathBuf| {
                !said.contains(root.as_str())
                    && !own.iter().any(|path| said.contains(&format!("`{path}`")))
            };
            let failure = match root.filter(is_of_node) {
                Some(root) => {
                    failure.note(format!("paths are those of the dry node below `{root}`"))
                }
                None => failure,
            };
            output.failure(&failure);
            failure.exit()
        }
    }
}

fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    if output.format().is_of_findings() && !matches!(arguments.verb, Verb::Validate { .. }) {
        let message = "formats `sarif` and `github` are those of `weft validate`";
        return Err(Failure::new(Exit::Usage, message).hint("use `--format json`"));
    }
    if let Some(root) = arguments.root.as_ref().filter(|_| !arguments.verb.asks_a_node()) {
        let message = format!("`--root {root}` names a dry node, and this command asks no node");
        return Err(Failure::new(Exit::Usage, message).hint("leave `--root` away"));
    }
    let node = || node::Node::open(arguments.root.clone());
    match arguments.verb {
        Verb::Demo { live } => demo::run(output, live),
        Verb::Validate { directory, facts } => {
            offline::validate_directory(output, &directory, &facts)
        }
        Verb::Import { from: Import::Pve(arguments) } => import::pve(output, &arguments),
        Verb::Export { to: Export::Pve(arguments) } => export::pve(output, &arguments),
        Verb::Init(arguments) => init::run(output, &arguments),
        Verb::Render(arguments) => offline::render_directory(output, &arguments),
        Verb::Plan { directory: None, node: None, facts: None, profile: None } => {
            node()?.turn(output, Purpose::Plan, false)
        }
        Verb::Plan { directory: Some(directory), node: name, facts, profile } => {
            node()?.plan_directory(output, &directory, name, facts.as_deref(), profile)
        }
        Verb::Plan { .. } => {
            let failure = Failure::new(
                Exit::Usage,
                "`--node`, `--facts` and `--profile` go with a directory",
            );
            Err(failure.hint("`weft plan DIR --node NAME --facts FILE`"))
        }
        Verb::Apply { boot: true, .. } => node()?.bring_up(output),
        Verb::Sync { confirm } | Verb::Apply { refresh: false, confirm, .. } => {
            node()?.turn(output, Purpose::Sync, confirm == Confirm::Manual)
        }
        Verb::Apply { refresh: true, confirm, .. } => {
            node()?.turn(output, Purpose::Refresh, confirm == Confirm::Manual)
        }
        Verb::Confirm => window::confirm(&node()?, output),
        Verb::Rollback { generation } => window::roll_back(&node()?, output, generation),
        Verb::Audit { limit } => audit::list(&node()?, output, limit.get()),
        Verb::Hold { time, reason } => window::hold(&node()?, output, time, &reason),
        Verb::Resume => window::resume(&node()?, output),
        Verb::Watchdog { number } => window::watch(&node()?, number),
        Verb::Agent => daemon::run(&node()?),
        Verb::Adopt { yes, pve: true } => adopt::pve(&node()?, output, yes),
        Verb::Adopt { yes, pve: false } => adopt::run(&node()?, output, yes),
        Verb::Facts { node: name } => node()?.facts(name),
        Verb::Status => node()?.status(output),
        Verb::History { limit } => node()?.history(output, limit.get()),
        Verb::Doctor { directory, online } => {
            doctor::examine(output, &node()?, directory.as_deref(), online)
        }
        Verb::BootRestore => node()?.boot_restore(output),
        Verb::Trust(trust) => trust::run(output, arguments.root.as_deref(), &trust),
        Verb::Verify(verify) => verify::run(output, arguments.root.as_deref(), &verify),
        Verb::Ipam(ipam) => ipam::run(&node()?, output, &ipam),
        Verb::Pve(pve) => pve::run(&node()?, output, &pve),
        Verb::Why(why) => why::run(output, arguments.root.as_deref(), &why),
        Verb::Explain { code } => words::explain(output, code.as_deref()),
        Verb::Schema { cluster, policy } => {
            words::schema(cluster, policy);
            Ok(Exit::Ok)
        }
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "weft", &mut text);
            Output::print(String::from_utf8_lossy(&text));
            Ok(Exit::Ok)
        }
        Verb::DemoNode(words) => demo::serve(&words),
        Verb::FetchWorker => Err(Failure::new(Exit::Usage, "the agent starts this by itself")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::Arguments;

    /// What a command and those below it say nothing of.
    fn unsaid(command: &Command, path: &str, found: &mut Vec<String>) {
        if command.get_about().is_none() && command.get_long_about().is_none() {
            found.push(path.to_owned());
        }
        let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
        for argument in arguments {
            if argument.get_help().or(argument.get_long_help()).is_none() {
                found.push(format!("{path} {}", argument.get_id()));
            }
            let values = argument.get_possible_values();
            // `true` and `false` of a flag are no words that anybody writes.
            let is_unsaid = |value: &&clap::builder::PossibleValue| value.get_help().is_none();
            if argument.get_action().takes_values() && argument.get_id() != "shell" {
                let unsaid = values.iter().filter(is_unsaid);
                found.extend(unsaid.map(|value| format!("{path} {}", value.get_name())));
            }
        }
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            unsaid(below, &format!("{path} {}", below.get_name()), found);
        }
    }

    #[test]
    fn the_help_says_what_everything_is() {
        let mut command = Arguments::command();
        command.build();
        let mut found = Vec::new();
        unsaid(&command, "weft", &mut found);
        found.retain(|path| !path.contains(" help"));
        assert_eq!(found, Vec::<String>::new());
    }
}

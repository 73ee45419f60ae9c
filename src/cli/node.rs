//! The verbs that work on a node: `sync`, `plan`, `apply`, `facts`, `history`.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::answer::{self, plan_exit};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{busy, findings, offline, window};
use crate::agent::error::chain;
use crate::agent::node;
use crate::agent::restore;
use crate::agent::settings::{self, Settings, SettingsError};
use crate::agent::sourced;
use crate::agent::status::{PATH as STATUS, Status};
use crate::agent::turn::{Purpose, Report, Turn};
use crate::agent::{Memory, TurnError};
use crate::apply::{self, Entry, Kind};
use crate::facts::Facts;
use crate::host::{Host as _, Linux};
use crate::plan::{Found, plan};
use crate::render::{Profile, render};
use crate::sync::Cancel;
use crate::value::{ClusterName, NodeName};

/// The largest status file that is read, in bytes.
const MAX_STATE_BYTES: u64 = 4 << 20;

/// The machine that the program speaks of: this one, or a directory that stands
/// for one.
pub(super) struct Node {
    pub(super) host: Linux,
    pub(super) root: Option<Utf8PathBuf>,
}

/// What is known of a node, whether or not its settings can be read.
pub(super) struct Known {
    /// Its name, by the settings or the last status.
    pub(super) node: Option<NodeName>,
    /// Its cluster, by the same.
    pub(super) cluster: Option<ClusterName>,
    /// The settings, where they are legal.
    pub(super) settings: Option<Settings>,
}

impl Known {
    /// The node, for a sentence.
    pub(super) fn name(&self) -> &str {
        self.node.as_ref().map_or("this node", NodeName::as_str)
    }
}

/// A failure of the world.
pub(super) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}

/// This program, which is started again to fetch.
pub(super) fn program() -> Result<Utf8PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    Utf8PathBuf::from_path_buf(program)
        .map_err(|path| Failure::new(Exit::Failed, format!("`{}` is not UTF-8", path.display())))
}

impl Node {
    /// The node below a root, or this machine.
    pub(super) fn open(root: Option<Utf8PathBuf>) -> Result<Self, Failure> {
        let root = match root {
            None => None,
            Some(root) if root.is_dir() => {
                Some(root.canonicalize_utf8().map_err(|error| failed(&error))?)
            }
            Some(root) => {
                let failure = Failure::new(Exit::Failed, format!("`{root}` is not a directory"));
                return Err(failure.hint("make it, with `etc/weft/agent.yaml` below it"));
            }
        };
        Ok(Self { host: Linux::new(root.clone()), root })
    }

    /// The machine itself.
    pub(super) fn host(&self) -> &Linux {
        &self.host
    }

    /// `weft boot-restore`
    pub(super) fn boot_restore(&self, output: Output) -> Result<Exit, Failure> {
        let restored = restore::restore(&self.host).map_err(|error| answer::failure(&error))?;
        output.say(restored.as_deref().unwrap_or("no apply was interrupted"));
        output.document(&json!({ "ok": true, "restored": restored }));
        Ok(Exit::Ok)
    }

    /// Brings up what runs, when the machine has started.
    pub(super) fn bring_up(&self, output: Output) -> Result<Exit, Failure> {
        let done = restore::bring_up(&self.host).map_err(|error| answer::failure(&error))?;
        output.say(&done);
        output.document(&json!({ "ok": true, "done": done }));
        Ok(Exit::Ok)
    }

    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        match settings::load(&self.host) {
            Ok(Some(settings)) => Ok(settings),
            Ok(None) => {
                let shown = self.shown(Utf8Path::new(settings::PATH));
                let failure = Failure::new(
                    Exit::Failed,
                    format!("this node has no settings: `{shown}` is missing"),
                );
                Err(failure.hint("copy `examples/agent.yaml` there and fill it in; `--root DIR` speaks of a dry node"))
            }
            Err(error) => Err(wrong(error)),
        }
    }

    /// What a verb knows of the node that needs no settings: those that are wrong, or gone from
    /// a node that has state of weft's, are said once and left aside.
    pub(super) fn known(&self) -> Result<Known, Failure> {
        let why = match settings::load(&self.host) {
            Ok(Some(settings)) => {
                return Ok(Known {
                    node: Some(settings.node.value.clone()),
                    cluster: Some(settings.cluster.value.clone()),
                    settings: Some(settings),
                });
            }
            Ok(None) => format!("`{}` is missing", settings::PATH),
            Err(error) => chain(&error),
        };
        let last = self.last_status().ok().flatten();
        // Without state there is nothing to go by.
        if last.is_none() && apply::history(&self.host).map_or(true, |history| history.is_empty()) {
            self.settings()?;
        }
        Output::notice(format!("warning: {why}; this goes by the state on the disk"));
        let (node, cluster) = last.map(|last| (last.node, last.cluster)).unzip();
        Ok(Known { node, cluster, settings: None })
    }

    /// The place of a node's path on this machine.
    pub(super) fn shown(&self, path: &Utf8Path) -> Utf8PathBuf {
        match &self.root {
            Some(root) => root.join(path.as_str().trim_start_matches('/')),
            None => path.to_owned(),
        }
    }

    /// `weft sync`, `weft apply`, `weft plan`
    pub(super) fn turn(
        &self,
        output: Output,
        purpose: Purpose,
        manual: bool,
    ) -> Result<Exit, Failure> {
        let settings = self.settings()?;
        let result = self.make_turn(&settings, purpose, manual)?;
        if matches!(result, Err(TurnError::Busy)) {
            let asked = window::ask(self, output, purpose, manual)?;
            return asked.ok_or_else(|| busy::failure(self));
        }
        if let Err(error) = &result {
            return Err(answer::failure(error));
        }
        let answer = answer::answer(result.as_ref(), purpose, output.is_coloured());
        Ok(answer::give(output, &answer))
    }

    /// One turn of the node.
    pub(super) fn make(&self, purpose: Purpose) -> Result<Report, Failure> {
        self.attempt(purpose)?.map_err(|error| answer::failure(&error))
    }

    /// One turn of the node, or why it could not be finished.
    pub(super) fn attempt(&self, purpose: Purpose) -> Result<Result<Report, TurnError>, Failure> {
        let settings = self.settings()?;
        self.make_turn(&settings, purpose, false)
    }

    pub(super) fn make_turn(
        &self,
        settings: &Settings,
        purpose: Purpose,
        manual: bool,
    ) -> Result<Result<Report, TurnError>, Failure> {
        if let Some(exposed) = settings::exposed(&self.host) {
            Output::notice(format!("warning: {exposed}"));
        }
        if let Some(left_out) = sourced::left_out(&self.host, settings) {
            Output::notice(format!("warning: {left_out}"));
        }
        let applies = matches!(purpose, Purpose::Sync | Purpose::Refresh);
        if applies && self.host.is_dry() && (manual || settings.terms().manual) {
            Output::notice(
                "note: a dry node has no window that a person could confirm: what is applied is confirmed at once",
            );
        }
        let program = program()?;
        let turn = Turn {
            host: &self.host,
            settings,
            program: &program,
            root: self.root.as_deref(),
            memory: &Memory::default(),
            manual,
            cancel: &Cancel::default(),
        };
        Ok(turn.make(purpose, window::tell))
    }

    /// `weft plan DIR`
    pub(super) fn plan_directory(
        &self,
        output: Output,
        directory: &Utf8Path,
        name: Option<NodeName>,
        facts: Option<&Utf8Path>,
        profile: Option<Profile>,
    ) -> Result<Exit, Failure> {
        let recorded = facts.map(offline::read_facts).transpose()?;
        let checked = offline::check(directory, recorded.as_slice())?;
        offline::show(output, &checked);
        let Some(network) = &checked.network else {
            output.document(&json!({ "ok": false, "findings": checked.findings }));
            return Ok(Exit::Refused);
        };
        let profile = self.profile(profile)?;
        let name = self.name(name)?;
        offline::declared(network, &name)?;
        let facts = match recorded {
            Some(facts) => facts,
            None if self.is_called(&name) => {
                self.host.facts(&name).map_err(|error| failed(&error))?
            }
            None => {
                Output::notice(format!("note: {}", offline::nothing_known(&name)));
                Facts::unknown(name.clone())
            }
        };
        offline::of_node(&facts, &name)?;
        let wanted = render(network, &name, &facts, profile);
        let (mut found, owned, next) = match self.other_than(&name) {
            None => {
                let owned = node::owned(&self.host).map_err(|error| failed(&error))?;
                let running = apply::running(&self.host).map_err(|error| failed(&error))?;
                let commit = running.and_then(|entry| entry.record.commit);
                let found = node::found(&self.host, &wanted, owned.as_ref())
                    .map_err(|error| failed(&error))?;
                (found, owned, commit.map_or(0, |commit| commit.sequence) + 1)
            }
            Some(here) => {
                Output::notice(format!(
                    "note: this machine is `{here}`: the plan is that of a `{name}` on which nothing of weft runs"
                ));
                (Found::default(), None, 1)
            }
        };
        found.management = network.nodes.get(&name).and_then(|node| node.management);
        let plan = plan(wanted, facts, &found, owned.as_ref(), next);
        output.say(plan.text());
        output.document(&json!({ "ok": true, "plan": plan.json(), "findings": checked.findings }));
        Ok(plan_exit(&plan))
    }

    /// The profile given, the one of the settings, or the usual one where there are none.
    pub(super) fn profile(&self, given: Option<Profile>) -> Result<Profile, Failure> {
        let path = Utf8Path::new(settings::PATH);
        if let Some(given) = given {
            return Ok(given);
        }
        let settings = self.host.read(path, MAX_STATE_BYTES).map_err(|error| failed(&error))?;
        Ok(if settings.is_some() { self.settings()?.profile() } else { Profile::default() })
    }

    /// The name given, or the one of the settings.
    pub(super) fn name(&self, given: Option<NodeName>) -> Result<NodeName, Failure> {
        match (given, settings::load(&self.host)) {
            (Some(name), _) => Ok(name),
            (None, Ok(None)) => {
                let shown = self.shown(Utf8Path::new(settings::PATH));
                let message = format!(
                    "it is not said which node is meant, and there is no `{shown}` that names one"
                );
                Err(Failure::new(Exit::Failed, message).hint("name it: `--node NAME`"))
            }
            (None, _) => Ok(self.settings()?.node.value),
        }
    }

    /// What this machine is called, by its settings or its last status, if that is not this.
    fn other_than(&self, name: &NodeName) -> Option<NodeName> {
        let here = match settings::load(&self.host) {
            Ok(Some(settings)) => Some(settings.node.value),
            Ok(None) | Err(_) => self.last_status().ok().flatten().map(|last| last.node),
        };
        here.filter(|here| here != name)
    }

    /// Whether the settings of this machine say that it is this node.
    fn is_called(&self, name: &NodeName) -> bool {
        let settings = settings::load(&self.host).ok().flatten();
        settings.is_some_and(|settings| settings.node.value == *name)
    }

    /// `weft facts`
    pub(super) fn facts(&self, name: Option<NodeName>) -> Result<Exit, Failure> {
        let facts: Facts = self.host.facts(&self.name(name)?).map_err(|error| failed(&error))?;
        let text = serde_json::to_string_pretty(&facts).map_err(|error| failed(&error))?;
        Output::print(text);
        Ok(Exit::Ok)
    }

    pub(super) fn last_status(&self) -> Result<Option<Status>, Failure> {
        let file = self
            .host
            .read(Utf8Path::new(STATUS), MAX_STATE_BYTES)
            .map_err(|error| failed(&error))?;
        file.map(|file| serde_json::from_slice(&file.bytes)).transpose().map_err(|error| {
            let message = format!("`{STATUS}` is damaged: {error}");
            Failure::new(Exit::Failed, message).hint("the next turn writes it anew: `weft sync`")
        })
    }

    /// `weft history`
    pub(super) fn history(&self, output: Output, limit: usize) -> Result<Exit, Failure> {
        let mut entries = apply::history(&self.host).map_err(|error| failed(&error))?;
        entries.reverse();
        entries.truncate(limit);
        if entries.is_empty() {
            output.say("Nothing was applied on this node.");
        }
        for entry in &entries {
            output.say(history_line(entry));
        }
        output.document(&json!(entries));
        Ok(Exit::Ok)
    }
}

fn history_line(entry: &Entry) -> String {
    let record = &entry.record;
    let commit = match &record.commit {
        Some(commit) => {
            let id = commit.commit.short();
            format!(
                "commit {id} (sequence {}) by {}: {}",
                commit.sequence, commit.signer, commit.subject
            )
        }
        None => "what was found before weft".to_owned(),
    };
    let (from, to) = (record.previous.number, record.generation.number);
    let what = match record.kind {
        Kind::Apply | Kind::Advance => commit,
        Kind::Restore if from == to => format!("correction of drift, back to {commit}"),
        Kind::Restore => format!("way back from generation {from}, to {commit}"),
    };
    let time = record.begun.strftime("%Y-%m-%d %H:%M:%SZ");
    let state = match entry.state {
        apply::State::RolledBack => "rolled back",
        state => state.as_str(),
    };
    format!("{:>4}  {time}  {state:<11} generation {to:<4} {what}", record.number)
}

/// Settings that cannot be used: drawn for people, as data for programs.
fn wrong(error: SettingsError) -> Failure {
    let sentence = error.to_string();
    match error {
        SettingsError::Wrong { findings: found, text } => {
            let text = findings::text(&found, |_| Some(text.as_str()), false);
            let message = format!("the node's settings are wrong\n\n{text}");
            Failure::new(Exit::Failed, message).findings(found, sentence)
        }
        error => failed(&error),
    }
}

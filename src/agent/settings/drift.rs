//! What is done about changes of the node that no commit made.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::words::ShortTime;
use crate::apply::Drift;
use crate::declare::finding::Findings;
use crate::declare::scalar::scalar;
use crate::declare::shape::Shape;
use crate::declare::yaml::Node;
use crate::value::At;

choices! {
    /// What is done about a change that no commit made.
    pub enum Reaction as "a reaction" {
        /// Nothing.
        "off" Off,
        /// It is told.
        "warn" Warn,
        /// It is undone.
        "correct" Correct,
    }
}

declaration! {
    /// What is done about changes of the node that no commit made, by layer. Ports of
    /// guests are never such a change.
    pub struct DriftRules as "`drift`" {
        /// Of files that weft wrote. `warn` when absent.
        optional "files" files: Reaction,
        /// Of the running network. `warn` when absent.
        optional "kernel" kernel: Reaction,
        /// Of FRR and dnsmasq. `warn` when absent.
        optional "daemons" daemons: Reaction,
        /// How often it is looked for at most, in a turn. When absent every minute, but where a
        /// look takes long 4000 times as long as it took, up to every 10 minutes.
        optional "every" every: ShortTime,
        /// What counts for nothing: paths of files and names of interfaces and daemons, such as
        /// `dnsmasq@zone`. A `*` at the end stands for any end.
        optional "ignore" ignore: Vec<At<Ignored>>,
    }
}

/// A name, or with `*` at its end the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored(String);

/// The most characters of a name.
const MOST: usize = 256;

impl FromStr for Ignored {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let is_name = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
        if text.is_empty() || text.len() > MOST || !is_name {
            let shown = text.escape_debug();
            return Err(format!("`{shown}` is no name, nor the beginning of one before a `*`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Ignored {
    /// Whether it means this name.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.0,
        }
    }
}

impl Shape for Ignored {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "a name", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[!-)+-~]*\\*?$", "minLength": 1, "maxLength": MOST })
    }
}

/// What is to be done about a drift.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What is told of it, an entry for each thing.
    pub told: Vec<String>,
    /// Whether it is undone.
    pub corrects: bool,
}

/// How often drift is looked for where nobody says: as often as remotes are asked where
/// nobody says that either. A poll in between costs no program.
const EVERY: Duration = Duration::from_secs(60);
/// How rarely, on a node of which a look takes long.
const RARELY: Duration = Duration::from_secs(600);
/// The time between two looks, in times of what one takes: an idle node is to be idle.
const REST: u32 = 4000;

impl DriftRules {
    /// What holds where the settings say nothing.
    pub const USUAL: Self =
        Self { files: None, kernel: None, daemons: None, every: None, ignore: None };

    /// How often drift is looked for at most, on a node of which the last look took so long.
    pub fn every(&self, took: Duration) -> Duration {
        let usual = took.saturating_mul(REST).clamp(EVERY, RARELY);
        self.every.as_ref().map_or(usual, |every| every.value.duration())
    }

    /// Whether nobody wants to know of any drift.
    pub fn is_off(&self) -> bool {
        [&self.files, &self.kernel, &self.daemons]
            .iter()
            .all(|reaction| Self::reaction(reaction.as_ref()) == Reaction::Off)
    }

    /// Whether anything is left out of what is looked at.
    pub fn is_partial(&self) -> bool {
        let off =
            |reaction: &Option<At<Reaction>>| Self::reaction(reaction.as_ref()) == Reaction::Off;
        off(&self.files)
            || off(&self.kernel)
            || off(&self.daemons)
            || self.ignore.as_ref().is_some_and(|ignore| !ignore.value.is_empty())
    }

    fn reaction(written: Option<&At<Reaction>>) -> Reaction {
        written.map_or(Reaction::Warn, |reaction| reaction.value)
    }

    /// What these rules say of a drift.
    pub fn judge(&self, drift: &Drift) -> Judged {
        let ignored = |name: &str| {
            let mut ignore = self.ignore.iter().flat_map(|ignore| &ignore.value);
            ignore.any(|ignored| ignored.value.matches(name))
        };
        let files = drift.files.iter().map(|managed| {
            let path = managed.path();
            (path.to_string(), format!("`{path}` is not what weft wrote"))
        });
        let of = |mismatches: &[crate::plan::Mismatch]| -> Vec<(String, String)> {
            let shown = mismatches.iter();
            shown.map(|mismatch| (mismatch.interface.clone(), mismatch.to_string())).collect()
        };
        let mut judged = Judged::default();
        for (reaction, found) in [
            (&self.files, files.collect()),
            (&self.kernel, of(&drift.kernel)),
            (&self.daemons, of(&drift.daemons)),
        ] {
            let reaction = Self::reaction(reaction.as_ref());
            if reaction == Reaction::Off {
                continue;
            }
            for (name, sentence) in found {
                if !ignored(&name) {
                    judged.told.push(sentence);
                    judged.corrects |= reaction == Reaction::Correct;
                }
            }
        }
        judged
    }
}

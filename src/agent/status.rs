//! What an agent says of itself: `/run/weft/status.json`.

mod remote;

use camino::Utf8Path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hold::Hold;
use super::publish::{Publication, Standing};
use super::reasons;
use super::turn::MAX_STATUS_BYTES;
use crate::host::{Host, HostError};
use crate::sync::{CommitRecord, Refusal};
use crate::value::{ClusterName, Digest, NodeName, ObjectId};

pub use remote::{Divergence, FetchProcess, RemoteStanding, RemoteState, Unreached};

/// Where the status lies on a node.
pub const PATH: &str = "/run/weft/status.json";

/// The format of the status that this version writes.
pub const FORMAT: u32 = 1;

/// The state of a node after a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The format of this file.
    pub format: u32,
    /// The version of weft that wrote it.
    pub version: String,
    /// When it was written, or brought up to date by the journal.
    pub updated: Timestamp,
    /// The cluster.
    pub cluster: ClusterName,
    /// The node.
    pub node: NodeName,
    /// The mode that the last turn had; none where an earlier version wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// How the last turn ended.
    pub state: State,
    /// One sentence that says why.
    pub message: String,
    /// What runs; `None` before the first apply.
    pub running: Option<Running>,
    /// The newest commit that the remote showed.
    pub observed: Option<ObjectId>,
    /// The newest commit that trust accepted.
    pub trusted: Option<CommitRecord>,
    /// Commits that the remote showed and trust refused.
    pub refused: Vec<Refused>,
    /// Remotes that were tried and gave nothing, in the order in which they were tried.
    #[serde(default)]
    pub unreached: Vec<Unreached>,
    /// Every remote, in the order of the settings.
    #[serde(default)]
    pub remotes: Vec<RemoteState>,
    /// Remotes that show states of the branch of which neither comes from the other. One of
    /// them lies, or was rewritten.
    #[serde(default)]
    pub diverged: Vec<Divergence>,
    /// How many commits up to `observed` are not judged yet, because there were too many for
    /// one turn. The next turns go on.
    #[serde(default)]
    pub remaining: usize,
    /// How the process is confined that talks to remotes; `None` before one answered.
    #[serde(default)]
    pub fetch_process: Option<FetchProcess>,
    /// The window that is open; `None` where what runs is confirmed.
    #[serde(default)]
    pub window: Option<Window>,
    /// What differs from what runs although no commit changed it.
    #[serde(default)]
    pub drift: Vec<String>,
    /// The commit that was put off because something did not answer.
    #[serde(default)]
    pub put_off: Option<PutOff>,
    /// The operator's stop that is in force.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// Why the plan of the newest trusted commit must not be carried out.
    #[serde(default)]
    pub guarded: Vec<Refused>,
    /// How the publication to Proxmox stands; `None` where none is wanted.
    #[serde(default)]
    pub publication: Option<Publication>,
    /// How many errors the newest trusted commit's declarations have.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
}

/// A commit whose change was put off, which is not done for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOff {
    /// The commit. Another one begins anew.
    pub commit: ObjectId,
    /// How often in a row.
    pub times: u32,
}

impl PutOff {
    /// How often a commit was put off until now.
    pub(super) fn times(put_off: Option<Self>, commit: ObjectId) -> u32 {
        put_off.filter(|put_off| put_off.commit == commit).map_or(0, |put_off| put_off.times)
    }
}

/// The status that a turn left on a node, this process's or another's.
pub(super) fn last(host: &impl Host) -> Option<Status> {
    let file = host.read(Utf8Path::new(PATH), MAX_STATUS_BYTES).ok().flatten()?;
    serde_json::from_slice(&file.bytes).ok()
}

/// Leaves a status on a node.
pub(super) fn write(host: &impl Host, status: &Status) -> Result<(), HostError> {
    let text = serde_json::to_string_pretty(status).unwrap_or_default();
    host.replace(Utf8Path::new(PATH), text.as_bytes(), 0o644)
}

impl Status {
    /// The sentence without the refusal that is listed beside it.
    pub fn brief(&self) -> &str {
        if let Some(guarded) = self.guarded.first() {
            let said = self.message.strip_suffix(&guarded.message);
            return said.map_or(&self.message, |said| said.trim_end_matches(": "));
        }
        let refused = self.refused.first().map(|refused| refused.message.as_str());
        let rest = refused.and_then(|refused| self.message.strip_prefix(refused));
        match rest.map(|rest| rest.trim_start_matches("; ")) {
            Some("") => "the newest commit is refused, and the network stays as it is",
            Some(rest) => rest,
            None => &self.message,
        }
    }

    /// Takes in the hold that is in force now: one comes and goes between turns.
    pub fn hold_is(&mut self, hold: Option<Hold>) {
        match (&self.hold, &hold, self.state) {
            (_, None, State::Held) => {
                self.state = State::Pending;
                "the hold is lifted, and the next turn decides about what waited (`weft sync` makes one now)"
                    .clone_into(&mut self.message);
            }
            (_, Some(hold), State::Pending) => {
                self.state = State::Held;
                self.message = format!("{}; this node is {}", self.message, hold.sentence());
            }
            (Some(before), Some(hold), State::Held) => {
                self.message = self.message.replace(&before.sentence(), &hold.sentence());
            }
            _ => {}
        }
        self.hold = hold;
    }

    /// Adds to the sentence what a person has to know whatever the state is.
    pub(super) fn say_more(&mut self) {
        if let Some(first) = self.diverged.first() {
            let more = match self.diverged.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            self.message = format!("{first}{more}; {}", self.message);
        }
        if let Some(publication) = &self.publication {
            let what = match publication.standing {
                Standing::Published => None,
                Standing::Waiting => Some("publication to Proxmox waits"),
                Standing::Refused => {
                    if self.state == State::InOrder {
                        self.state = State::Pending;
                    }
                    Some("not published to Proxmox")
                }
            };
            if let Some(what) = what {
                self.message = format!("{}; {what}: {}", self.message, publication.message);
            }
        }
        if let Some(behind) = remote::behind(&self.remotes, self.trusted.as_ref()) {
            self.message = format!("{}; {behind}", self.message);
        }
        if self.remaining > 0 {
            let s = if self.remaining == 1 { "" } else { "s" };
            self.message = format!(
                "{}; {} commit{s} above it are left to be judged in the next turns",
                self.message, self.remaining
            );
        }
    }
}

/// An apply that is not confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Window {
    /// The number of its entry in the journal.
    pub number: u64,
    /// The commit that is tried.
    pub commit: Option<CommitRecord>,
    /// How it is watched: `ordinary`, `management` or `coordinated`.
    pub class: String,
    /// Whether only a person confirms.
    pub manual: bool,
    /// For how many seconds it is open at most.
    pub seconds_left: u64,
    /// What is down of what worked before.
    pub down: Vec<String>,
    /// What did not answer before the change, so that nothing is asked for of what it knows.
    #[serde(default)]
    pub silent: Vec<String>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The node runs the newest commit of the remote.
    InOrder,
    /// Something is to be done and was not: the agent observes, or facts changed.
    Pending,
    /// The newest commit is applied, and is undone unless it is confirmed.
    #[serde(rename = "window-open")]
    Open,
    /// Something is to be done, and an operator holds the node.
    Held,
    /// The newest commit was refused; the node runs an older one.
    Refused,
    /// An apply failed and was undone.
    RolledBack,
    /// Neither the new state nor the old one is whole.
    Degraded,
    /// The turn could not be finished: no remote, no disk, no lock.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::InOrder,
        Self::Pending,
        Self::Open,
        Self::Held,
        Self::Refused,
        Self::RolledBack,
        Self::Degraded,
        Self::Failed,
    ];

    /// The state as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in-order",
            Self::Pending => "pending",
            Self::Open => "window-open",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// What a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The commit and its signer; `None` where generation 0 was restored, which is what
    /// was found before weft.
    pub commit: Option<CommitRecord>,
    /// The generation that holds its files.
    pub generation: u64,
    /// The digest of its rendering.
    pub rendering: Option<Digest>,
    /// Since when it runs.
    pub since: Timestamp,
    /// The earlier state that it brought back, in words, where it was applied although an
    /// operator held the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_hold: Option<String>,
}

/// A commit that trust refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The commit.
    pub commit: ObjectId,
    /// The stable name of the reason.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            commit: refusal.commit,
            code: refusal.code.as_str().to_owned(),
            message: refusal.to_string(),
            help: reasons::help(refusal.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PutOff;
    use crate::value::ObjectId;

    #[test]
    fn another_commit_is_put_off_from_the_beginning() {
        let commit = |digit: &str| digit.repeat(40).parse::<ObjectId>().expect("an id");
        let put_off = PutOff { commit: commit("1"), times: 3 };
        let times = |put_off, digit| PutOff::times(put_off, commit(digit));
        assert_eq!((times(Some(put_off), "1"), times(Some(put_off), "2")), (3, 0));
        assert_eq!(times(None, "1"), 0);
    }
}

//! What is to be done with a plan.

use super::adopt;
use super::hold::Hold;
use super::quarantine::{Haste, Held as Quarantined};
use super::settings::Mode;
use super::status::Refused;
use super::turn::Purpose;
use crate::plan::{Guard, Plan};
use crate::sync::CommitRecord;
use crate::value::{Digest, ObjectId};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The node is as it should be and runs this commit.
    Nothing,
    /// The rendering is the one that runs: only the running commit advances.
    Advance,
    /// The steps are carried out.
    Apply,
    /// Something is to be done and is left, for this reason.
    Leave(String),
    /// The rendering was undone before and is left alone, for this reason.
    Quarantined(String),
    /// Too many windows ended for newer commits, and the node waits a while.
    Paused(String),
    /// An operator holds the node, for this reason.
    Held(String),
    /// The plan must not be carried out.
    Guarded,
}

impl Decision {
    /// The stable name of the reason why nothing is done; none where something is, or
    /// nothing has to be. Of a plan that must not be carried out, its guards have theirs.
    pub(super) fn code(&self, mode: Mode) -> Option<&'static str> {
        match self {
            Self::Leave(_) if mode == Mode::Observe => Some("observing"),
            Self::Leave(_) => Some("refresh-needed"),
            Self::Quarantined(_) => Some("quarantined"),
            Self::Paused(_) => Some("paused"),
            Self::Held(_) => Some("held"),
            Self::Nothing | Self::Advance | Self::Apply | Self::Guarded => None,
        }
    }
}

/// What a decision depends on beside the plan.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    /// What the agent may do.
    pub(super) mode: Mode,
    /// What the turn is for.
    pub(super) purpose: Purpose,
    /// The commit that runs and the digest of its rendering.
    pub(super) runs: Option<(ObjectId, Digest)>,
    /// The commit of the plan.
    pub(super) commit: ObjectId,
    /// Why the rendering is left alone, which a person who asks for it overrules.
    pub(super) quarantined: Option<&'a Quarantined>,
    /// Why the node waits, which a person who asks for it overrules.
    pub(super) paused: Option<Haste>,
    /// Whether what runs was made by the engine of the settings.
    pub(super) same_engine: bool,
    /// An operator's stop that counts for this plan.
    pub(super) hold: Option<&'a Hold>,
    /// Whether what no commit changed is nothing that the node's rules ask for.
    pub(super) quiet: bool,
}

/// Only an advancing commit changes a node.
pub(super) fn decide(plan: &Plan, circumstances: &Circumstances<'_>) -> Decision {
    let &Circumstances {
        mode,
        purpose,
        runs,
        commit,
        quarantined,
        paused,
        same_engine,
        hold,
        quiet,
    } = circumstances;
    let same_commit = runs.is_some_and(|(runs, _)| runs == commit);
    let same_rendering = runs.is_some_and(|(_, digest)| digest == plan.rendering.digest());
    let in_order = plan.is_empty() || (quiet && purpose == Purpose::Sync);
    if same_commit && same_rendering && in_order {
        let adopts = matches!(purpose, Purpose::Adopt { .. });
        let acts = matches!(purpose, Purpose::Sync | Purpose::Refresh) && mode == Mode::Apply;
        // It changes nothing of the node, and says by what a correction and a way back go.
        if acts && !same_engine && plan.is_empty() && plan.guards.is_empty() {
            return Decision::Advance;
        }
        return if plan.guards.is_empty() || adopts {
            Decision::Nothing
        } else {
            Decision::Guarded
        };
    }
    if let Purpose::Adopt { shown } = purpose {
        return adopt::decide(plan, runs.is_some(), shown);
    }
    let commit = commit.short();
    let situation = match (same_commit, same_rendering) {
        (true, true) => {
            format!("commit {commit} runs, but files were edited since, or the network was changed")
        }
        (true, false) => format!(
            "commit {commit} runs, but would render differently now (facts of the node, its profile or the version of weft changed)"
        ),
        (false, _) if plan.is_empty() => {
            format!("commit {commit} is new, and changes no file here")
        }
        (false, _) => format!("commit {commit} is pending"),
    };
    let stopped =
        |hold: &Hold| Decision::Held(format!("{situation}; this node is {}", hold.sentence()));
    let left_alone = |undone: &Quarantined| {
        Decision::Quarantined(format!("commit {commit} is left alone: {}", undone.sentence()))
    };
    if purpose == Purpose::Plan {
        let would_wait = mode == Mode::Apply && !same_rendering && !plan.is_empty();
        return match (hold, quarantined) {
            (Some(hold), _) if would_wait => stopped(hold),
            (None, Some(undone)) if would_wait => left_alone(undone),
            _ => Decision::Leave(situation),
        };
    }
    if mode == Mode::Observe {
        return Decision::Leave(format!(
            "{situation}; this node observes (`mode: observe` in its settings)"
        ));
    }
    if purpose == Purpose::Sync && same_rendering && !same_commit {
        return Decision::Advance;
    }
    if purpose == Purpose::Sync && same_commit {
        return Decision::Leave(format!(
            "{situation}; the next commit that changes this node or `weft apply --refresh` brings it in order"
        ));
    }
    if let Some(hold) = hold {
        return stopped(hold);
    }
    if !plan.guards.is_empty() {
        return Decision::Guarded;
    }
    if purpose != Purpose::Sync {
        return Decision::Apply;
    }
    match (quarantined, paused) {
        (Some(undone), _) => left_alone(undone),
        (None, Some(haste)) => {
            Decision::Paused(format!("commit {commit} is pending: {}", haste.sentence()))
        }
        (None, None) => Decision::Apply,
    }
}

/// Why the plan of a commit must not be carried out.
pub(super) fn guarded(plan: &Plan, record: &CommitRecord) -> Vec<Refused> {
    let refused = |guard: &Guard| Refused {
        commit: record.commit,
        code: guard.code.to_owned(),
        message: guard.message.clone(),
        help: guard.help.clone(),
    };
    plan.guards.iter().map(refused).collect()
}

/// That the plan of a commit must not be carried out, in one sentence.
pub(super) fn refusal(guarded: &[Refused], record: &CommitRecord) -> String {
    let codes: Vec<&str> = guarded.iter().map(|guard| guard.code.as_str()).collect();
    let first = guarded.first().map_or("its plan must not be carried out", |guard| &guard.message);
    let (what, keep) = match codes.len() {
        0 | 1 => ("a guard", "keeps"),
        _ => ("guards", "keep"),
    };
    // Trust has accepted it: taken off the branch, it would leave only rewritten ones.
    format!(
        "commit {} is trusted, and {what} of this node {keep} it from being applied ({}); \
         mend that on the node or in a commit on top (do not amend what nodes have accepted): {first}",
        record.commit.short(),
        codes.join(", ")
    )
}

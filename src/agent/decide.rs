//! What is to be done with a plan.

use super::settings::Mode;
use super::turn::Purpose;
use crate::plan::Plan;
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
    /// The plan must not be carried out.
    Guarded,
}

/// Only an advancing commit changes a node. `runs` is the commit that runs and the
/// digest of its rendering.
pub(super) fn decide(
    mode: Mode,
    purpose: Purpose,
    runs: Option<(ObjectId, Digest)>,
    commit: ObjectId,
    plan: &Plan,
) -> Decision {
    let same_commit = runs.is_some_and(|(runs, _)| runs == commit);
    let same_rendering = runs.is_some_and(|(_, digest)| digest == plan.rendering.digest());
    if same_commit && same_rendering && plan.is_empty() {
        return Decision::Nothing;
    }
    let commit = commit.short();
    if purpose == Purpose::Plan || mode == Mode::Observe {
        let why = if purpose == Purpose::Plan {
            "a plan changes nothing"
        } else {
            "this node observes (`mode: observe` in its settings)"
        };
        return Decision::Leave(if plan.is_empty() {
            format!("commit {commit} changes no file here, and is not recorded: {why}")
        } else {
            format!("commit {commit} is pending: {why}")
        });
    }
    if purpose == Purpose::Sync && same_rendering && !same_commit {
        return Decision::Advance;
    }
    if purpose == Purpose::Sync && same_commit {
        let what = if same_rendering {
            "files were edited since, or the network was changed"
        } else {
            "it would render differently now (facts of the node or the version of weft changed)"
        };
        return Decision::Leave(format!(
            "commit {commit} runs, but {what}; the next commit that changes this node or `weft apply --refresh` brings it in order"
        ));
    }
    if plan.guards.is_empty() { Decision::Apply } else { Decision::Guarded }
}

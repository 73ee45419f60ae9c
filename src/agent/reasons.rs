//! Why a plan is refused, beside the findings of its declarations and the refusals
//! of its commit.

/// A reason, and what is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its stable name.
    pub code: &'static str,
    /// What it says, in one line.
    pub title: &'static str,
    /// Why there is such a rule.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

/// Every reason.
pub const ALL: &[Reason] = &[
    Reason {
        code: "not-ours",
        title: "a file in the place of weft's own was not written by weft",
        why: "What weft did not make it does not change: the file may be somebody's network.",
        fix: "Declare what the file holds until the plan is empty or only adds, then `weft adopt`; or move the file away.",
    },
    Reason {
        code: "not-additive",
        title: "taking the node over would change or remove something that is there",
        why: "A node is taken over without disturbing it: every interface stays as it is, and new ones may come. A change is made afterwards, by a commit that people can review.",
        fix: "Declare what the node has, line for line of the plan, until the plan is empty or only adds; or bring the node's file to what the declarations say.",
    },
];

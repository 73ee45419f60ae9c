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
        fix: "Declare what the file holds until the plan is empty, or move the file away.",
    },
    Reason {
        code: "interface-not-ours",
        title: "an interface of the name of one of weft's was not made by weft",
        why: "What weft did not make it does not change: the interface may be somebody's network.",
        fix: "Remove the interface, or give the vnet another id.",
    },
    Reason {
        code: "guests-on-vnet",
        title: "a vnet would be taken away from guests of this node",
        why: "Guests come first: a running guest would lose its network, and one that is only \
              configured could not start any more.",
        fix: "Move the guests to another vnet or node first, then remove the vnet; or let a root \
              principal list it under `allow-removal-with-guests` in `.weft/policy.yaml`.",
    },
];

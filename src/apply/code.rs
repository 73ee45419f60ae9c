//! The stable names of what can go wrong with an apply.

use super::{ApplyError, Failure, StateError};

impl Failure {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Step { .. } => "step-failed",
            Self::Differs { .. } => "file-differs",
            Self::Kernel(_) => "network-differs",
            Self::Unread(_) => "network-unread",
            Self::Journal(_) => "journal-unwritable",
            Self::Window { shortfall, .. } => shortfall.code(),
            Self::Deadline => "deadline-passed",
            Self::Restarted => "machine-restarted",
            Self::Superseded => "superseded",
            Self::ByHand => "undone-by-hand",
            Self::Overtaken => "apply-overtaken",
            Self::Interrupted => "apply-interrupted",
        }
    }
}

impl ApplyError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::State(error) => error.code(),
            Self::Unsettled { .. } => "apply-unsettled",
            Self::Overtaken { .. } => "apply-overtaken",
            Self::Unguarded(_) => "watchdog-missing",
            Self::Blind { .. } => "blind",
            Self::SilentFrr => "frr-silent",
            Self::Stale { .. } => "plan-stale",
            Self::BadPlan { .. } => "plan-contradicts",
            Self::NotOurs { .. } => "not-ours",
            Self::Refused { .. } => "file-refused",
            Self::NoSpace { .. } => "no-space",
            Self::NoGeneration { .. } => "no-generation",
        }
    }
}

impl StateError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Host(_) => "machine-refused",
            Self::Kernel(_) => "network-not-restored",
            Self::Damaged { .. } => "state-damaged",
        }
    }
}

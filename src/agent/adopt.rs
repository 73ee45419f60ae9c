//! Whether a node is taken over: an operator's explicit act, in every mode.
//!
//! The contract: what was found is kept for generation 0, what is taken over becomes the
//! first generation of weft's, and a file that means what it should is not touched. It
//! is done only where everything stays as it is or something is added. Settings are
//! the operator's: adopting changes no `mode`.

use super::decide::Decision;
use crate::plan::Plan;
use crate::value::Digest;

/// By what an operator's word is bound to the plan that was shown: one that would be
/// told in other words, or write other bytes, is another one.
pub fn shown(plan: &Plan) -> Digest {
    let text = format!("{}\n{}\n{:?}", plan.rendering.digest(), plan.text(), plan.foreign);
    Digest::of(text.as_bytes())
}

/// Whether there is nothing to take over: weft put every file there that is there.
/// `runs` says whether a generation of weft's runs.
pub fn is_ours(plan: &Plan, runs: bool) -> bool {
    runs && plan.foreign.is_empty()
}

/// What is to be done with a plan that was made for adopting.
pub(super) fn decide(plan: &Plan, runs: bool, agreed: Digest) -> Decision {
    if is_ours(plan, runs) {
        Decision::Leave("this node is weft's already; nothing was taken over".to_owned())
    } else if shown(plan) != agreed {
        Decision::Leave("the plan is another one than was shown; nothing was taken over".to_owned())
    } else if plan.guards.is_empty() {
        Decision::Apply
    } else {
        Decision::Guarded
    }
}

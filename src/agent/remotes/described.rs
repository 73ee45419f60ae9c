//! What a refused commit says of itself.

use std::fmt::Write as _;

use crate::sync::commit;
use crate::sync::objects::Kind;
use crate::sync::{Reason, Refusal, Store};

/// The most characters of what a commit says of itself.
const MAX_SAID: usize = 120;

/// Adds what a commit of nobody's says of itself, which is proven by nothing, and tells
/// people where to ask.
pub(super) fn describe(store: Store<'_>, refusal: &mut Refusal) {
    if !matches!(refusal.code, Reason::Unsigned | Reason::SignerUnknown) {
        return;
    }
    let raw = store.read(refusal.commit, Kind::Commit, commit::MAX_BYTES as u64);
    let Ok(raw) = raw else { return };
    let Ok(commit) = commit::parse(&raw) else { return };
    let says = |text: &str| -> String {
        text.chars().take(MAX_SAID).flat_map(char::escape_debug).collect()
    };
    let _ = write!(
        refusal.message,
        "; it says that {} <{}> made it: {}",
        says(commit.author.name),
        says(commit.author.email),
        says(&commit.subject())
    );
}

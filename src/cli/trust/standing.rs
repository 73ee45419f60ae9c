//! What trust files come to at a time: who can do what a role lets them.

use jiff::Timestamp;

use crate::declare::policy::{NAMESPACE, Policy, ROOT, Role};
use crate::declare::signers::{NotASigner, Signer, Signers};
use crate::value::Principal;

/// Whether a line's key may sign commits at a time, or why not.
pub(super) fn validity(
    signers: &Signers,
    line: &Signer,
    principal: &Principal,
    at: Timestamp,
) -> Result<(), NotASigner> {
    // The line alone: another one may say otherwise of the same key.
    if let Some(from) = line.valid_after.filter(|from| at < *from) {
        return Err(NotASigner::TooEarly(from));
    }
    if let Some(until) = line.valid_before.filter(|until| at > *until) {
        return Err(NotASigner::Expired(until));
    }
    let names = signers.principals(&line.key, NAMESPACE, at)?;
    if names.contains(&principal) { Ok(()) } else { Err(NotASigner::OtherNamespace) }
}

/// Whether a principal can sign commits at a time.
pub(super) fn can_sign(signers: &Signers, principal: &Principal, at: Timestamp) -> bool {
    signers.lines().iter().any(|line| {
        line.names.contains(principal) && validity(signers, line, principal, at).is_ok()
    })
}

/// How many people of a role can sign at a time.
pub(super) fn able(signers: &Signers, role: &Role, at: Timestamp) -> usize {
    let able = role.principals.iter().filter(|name| can_sign(signers, name, at));
    signers.people().count(able)
}

/// Whether a role has a use at a time, as far as keys go. A role without members that one
/// of them could use alone may be empty; `root` may not, and no threshold may be out of reach.
pub(super) fn is_workable(signers: &Signers, role: &Role, at: Timestamp) -> bool {
    let able = able(signers, role, at);
    if role.name.as_str() == ROOT || role.threshold > 1 { able >= role.threshold } else { true }
}

/// The roles that a principal is a member of.
pub(super) fn roles_of<'p>(
    policy: &'p Policy,
    principal: &Principal,
) -> impl Iterator<Item = &'p Role> {
    policy.roles().iter().filter(move |role| role.principals.contains(principal))
}

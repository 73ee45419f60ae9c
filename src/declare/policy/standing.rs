//! What trust files come to at a time: who can do what a role lets them.

use jiff::Timestamp;

use super::{NAMESPACE, Policy, ROOT, Role};
use crate::declare::finding::{Code, Finding, Findings};
use crate::declare::signers::{NotASigner, Signer, Signers};
use crate::value::Principal;

/// Whether a line's key may sign commits at a time, or why not.
pub fn validity(
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
pub fn can_sign(signers: &Signers, principal: &Principal, at: Timestamp) -> bool {
    signers.lines().iter().any(|line| {
        line.names.contains(principal) && validity(signers, line, principal, at).is_ok()
    })
}

/// How many people of a role can sign at a time.
pub fn able(signers: &Signers, role: &Role, at: Timestamp) -> usize {
    let able = role.principals.iter().filter(|name| can_sign(signers, name, at));
    signers.people().count(able)
}

/// Whether a role has a use at a time, as far as keys go. A role without members that one
/// of them could use alone may be empty; `root` may not, and no threshold may be out of reach.
pub fn is_workable(signers: &Signers, role: &Role, at: Timestamp) -> bool {
    let able = able(signers, role, at);
    if role.name.as_str() == ROOT || role.threshold > 1 { able >= role.threshold } else { true }
}

/// The roles that a principal is a member of.
pub fn roles_of<'p>(policy: &'p Policy, principal: &Principal) -> impl Iterator<Item = &'p Role> {
    policy.roles().iter().filter(move |role| role.principals.contains(principal))
}

/// The last instant at which the role `root` has people enough who can sign; none where that
/// never ends, or never is.
pub fn root_end(policy: &Policy, signers: &Signers) -> Option<Timestamp> {
    let root = policy.roles().iter().find(|role| role.name.as_str() == ROOT)?;
    let works = |at: Timestamp| able(signers, root, at) >= root.threshold;
    if works(Timestamp::MAX) {
        return None;
    }
    let ends = signers.lines().iter().filter_map(|line| line.valid_before);
    ends.filter(|end| works(*end)).max()
}

/// That the role `root` ends with its keys, in one sentence; none where it does not.
pub fn root_ends(policy: &Policy, signers: &Signers, now: Timestamp) -> Option<String> {
    let end = root_end(policy, signers)?;
    let root = policy.roles().iter().find(|role| role.name.as_str() == ROOT)?;
    let (who, have) = match root.threshold {
        0 | 1 => ("nobody".to_owned(), "has"),
        people => (format!("fewer than {people} people"), "have"),
    };
    let since = if end < now { "since" } else { "after" };
    Some(format!("{who} of the role `{ROOT}` {have} a valid key {since} {end}"))
}

/// Finds that the role `root` ends with its keys. Nodes do not ask for that: a commit is
/// judged by the keys of its time.
pub fn judge_root(policy: &Policy, signers: &Signers, now: Timestamp, findings: &mut Findings) {
    let Some(end) = root_end(policy, signers) else { return };
    let last = signers.lines().iter().find(|line| line.valid_before == Some(end));
    if let (Some(line), Some(message)) = (last, root_ends(policy, signers, now)) {
        let code = if end < now { Code::RootKeysEnded } else { Code::RootKeysEnd };
        findings.push(Finding::new(code, message, &line.place));
    }
}

//! Whether a commit's signer may make its difference: paths, scopes, thresholds.

use std::ops::ControlFlow;
use std::rc::Rc;

use jiff::Timestamp;

use super::account::Grant;
use super::climb::{Climb, Stop, refused, unreadable};
use super::refusal::Reason;
use super::seconds::{Second, Witness};
use super::tree::{Change, Entry};
use super::trust::TrustFiles;
use crate::declare::policy::{Policy, Role};
use crate::value::{ObjectId, Principal};

/// The most paths of one commit that are judged by a scope or a threshold.
pub(super) const MAX_LIMITED: usize = 1_000;

/// A commit and what it is charged with: its whole difference from its first parent.
pub(super) struct Charge<'c> {
    pub(super) id: ObjectId,
    pub(super) committed: Timestamp,
    /// The tree of the commit.
    pub(super) tree: ObjectId,
    /// The first parent.
    pub(super) parent: ObjectId,
    /// The tree of the first parent.
    pub(super) before: ObjectId,
    /// The other parents.
    pub(super) beside: &'c [ObjectId],
    /// The first parent's trust files.
    pub(super) files: Rc<TrustFiles>,
    /// Who else signed, once somebody asked.
    pub(super) seconds: Option<Rc<[Second]>>,
}

/// A difference for which one signature is not enough, or not whatever it holds.
pub(super) struct Limited {
    pub(super) path: String,
    /// What it is; `None` where there is nothing or a directory.
    pub(super) after: Option<Entry>,
}

impl Limited {
    fn of(change: &Change<'_>) -> Self {
        Self { path: change.path.to_owned(), after: change.after.cloned() }
    }
}

/// Who may make the whole difference.
pub(super) struct Allowed {
    pub(super) by: Principal,
    /// Who vouches for it beside.
    pub(super) witnesses: Vec<Witness>,
    /// By which roles, where somebody wants an account.
    pub(super) grants: Vec<Grant>,
}

impl Allowed {
    /// Whoever signed the commit at which trust begins.
    pub(super) fn introduced(by: Principal) -> Self {
        Self { by, witnesses: Vec::new(), grants: Vec::new() }
    }
}

/// By which role a limited path may be changed, and who vouches for it.
type Reasons<'p> = Vec<(&'p Role, Option<Witness>)>;

impl Climb<'_> {
    /// The first of a key's names that may make the whole difference, and who vouches for
    /// it beside.
    pub(super) fn allowed(
        &mut self,
        charge: &mut Charge<'_>,
        names: Vec<Principal>,
    ) -> Result<Allowed, Stop> {
        let id = charge.id;
        let listed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let files = Rc::clone(&charge.files);
        let policy = &files.policy;
        let mut able: Vec<Principal> =
            names.into_iter().filter(|name| policy.has_role(name)).collect();
        if able.is_empty() {
            let message = format!("{listed} is in no role of the policy");
            return Err(refused(Reason::RoleMissing, id, message));
        }
        let mut denied = None;
        let mut limited: Vec<Limited> = Vec::new();
        let mut plain: Option<Vec<String>> = self.account.as_ref().map(|_| Vec::new());
        let result = self.directories.difference(charge.before, charge.tree, &mut |change| {
            let path = change.path;
            able.retain(|name| policy.may(name, path));
            if able.is_empty() {
                denied = Some(path.to_owned());
                return ControlFlow::Break(());
            }
            let is_plain = |name: &Principal| policy.roles_at(name, path).any(Role::is_plain);
            if !able.iter().all(is_plain) {
                limited.push(Limited::of(&change));
                if limited.len() > MAX_LIMITED {
                    return ControlFlow::Break(());
                }
            } else if let Some(plain) = &mut plain {
                plain.push(path.to_owned());
            }
            ControlFlow::Continue(())
        });
        result.map_err(|error| unreadable(id, error))?;
        if let Some(path) = denied {
            let message = format!("{listed} may not change `{}`", path.escape_debug());
            return Err(refused(Reason::PathNotAllowed, id, message));
        }
        if limited.len() > MAX_LIMITED {
            let message = format!(
                "more than {MAX_LIMITED} files of it are limited by a scope or a threshold"
            );
            return Err(refused(Reason::PathNotAllowed, id, message));
        }
        let mut first = None;
        for name in able {
            match self.limited(charge, &files, &name, &limited) {
                Ok(reasons) => {
                    let plain = plain.unwrap_or_default();
                    let grants = match &self.account {
                        Some(_) => grants(policy, &name, &plain, &limited, &reasons),
                        None => Vec::new(),
                    };
                    let mut witnesses = Vec::new();
                    for witness in reasons.into_iter().filter_map(|(_, witness)| witness) {
                        if !witnesses.contains(&witness) {
                            witnesses.push(witness);
                        }
                    }
                    return Ok(Allowed { by: name, witnesses, grants });
                }
                Err(Stop::Refused(refusal)) => {
                    first.get_or_insert(refusal);
                }
                Err(world) => return Err(world),
            }
        }
        Err(first.map_or_else(|| refused(Reason::RoleMissing, id, listed), Stop::Refused))
    }

    /// Each path by one role of the signer at least, with the scope and threshold of that.
    fn limited<'p>(
        &mut self,
        charge: &mut Charge<'_>,
        files: &'p TrustFiles,
        name: &Principal,
        limited: &[Limited],
    ) -> Result<Reasons<'p>, Stop> {
        let mut reasons = Vec::new();
        for one in limited {
            let mut first = None;
            let mut allowed = false;
            for role in files.policy.roles_at(name, &one.path) {
                match self.by_role(charge, name, role, one) {
                    Ok(witness) => {
                        reasons.push((role, witness));
                        allowed = true;
                        break;
                    }
                    Err(Stop::Refused(refusal)) => {
                        first.get_or_insert(refusal);
                    }
                    Err(world) => return Err(world),
                }
            }
            if let Some(refusal) = first.filter(|_| !allowed) {
                return Err(Stop::Refused(refusal));
            }
        }
        Ok(reasons)
    }

    fn by_role(
        &mut self,
        charge: &mut Charge<'_>,
        name: &Principal,
        role: &Role,
        limited: &Limited,
    ) -> Result<Option<Witness>, Stop> {
        if let Some(scope) = &role.scope {
            self.within(charge, scope, limited)?;
        }
        if role.threshold == 1 {
            Ok(None)
        } else {
            self.enough(charge, name, role, limited).map(Some)
        }
    }
}

/// The paths by the role that lets the signer change each, in the order of the paths.
fn grants(
    policy: &Policy,
    name: &Principal,
    plain: &[String],
    limited: &[Limited],
    reasons: &Reasons<'_>,
) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut add = |role: &Role, witness: Option<&Witness>, path: &str| match grants
        .iter_mut()
        .find(|grant| grant.is_of(role, witness))
    {
        Some(grant) => grant.add(path),
        None => grants.push(Grant::of(role, witness, path)),
    };
    for path in plain {
        if let Some(role) = policy.roles_at(name, path).find(|role| role.is_plain()) {
            add(role, None, path);
        }
    }
    for (one, (role, witness)) in limited.iter().zip(reasons) {
        add(role, witness.as_ref(), &one.path);
    }
    grants
}

//! Whether a commit's signer may make its difference: paths, scopes, thresholds.

use std::ops::ControlFlow;
use std::rc::Rc;

use jiff::Timestamp;

use super::climb::{Climb, Stop, refused, unreadable};
use super::refusal::Reason;
use super::seconds::{Second, Witness};
use super::tree::{Change, Entry};
use super::trust::TrustFiles;
use crate::declare::policy::Role;
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

impl Climb<'_> {
    /// The first of a key's names that may make the whole difference, and who vouches for
    /// it beside.
    pub(super) fn allowed(
        &mut self,
        charge: &mut Charge<'_>,
        names: Vec<Principal>,
    ) -> Result<(Principal, Vec<Witness>), Stop> {
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
        let result = self.directories.difference(charge.before, charge.tree, &mut |change| {
            let path = change.path;
            able.retain(|name| policy.may(name, path));
            if able.is_empty() {
                denied = Some(path.to_owned());
                return ControlFlow::Break(());
            }
            let plain = |name: &Principal| policy.roles_at(name, path).any(Role::is_plain);
            if !able.iter().all(plain) {
                limited.push(Limited::of(&change));
                if limited.len() > MAX_LIMITED {
                    return ControlFlow::Break(());
                }
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
            match self.limited(charge, &name, &limited) {
                Ok(witnesses) => return Ok((name, witnesses)),
                Err(Stop::Refused(refusal)) => {
                    first.get_or_insert(refusal);
                }
                Err(world) => return Err(world),
            }
        }
        Err(first.map_or_else(|| refused(Reason::RoleMissing, id, listed), Stop::Refused))
    }

    /// Each path by one role of the signer at least, with the scope and threshold of that.
    fn limited(
        &mut self,
        charge: &mut Charge<'_>,
        name: &Principal,
        limited: &[Limited],
    ) -> Result<Vec<Witness>, Stop> {
        let files = Rc::clone(&charge.files);
        let mut witnesses = Vec::new();
        for one in limited {
            let mut first = None;
            let mut allowed = false;
            for role in files.policy.roles_at(name, &one.path) {
                match self.by_role(charge, name, role, one) {
                    Ok(witness) => {
                        witnesses.extend(witness.filter(|witness| !witnesses.contains(witness)));
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
        Ok(witnesses)
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

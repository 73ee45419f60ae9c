//! Further signatures, where a role asks for more than one.
//!
//! A commit that a merge brings lends its signature to a path under which it holds what
//! the merge holds. It must have brought that about: where its branch left what was on the
//! line already, there was something else. So somebody who merely worked on top of an old
//! version of a file does not vouch for bringing that version back.
//!
//! People are counted, not keys, names or commits.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use jiff::Timestamp;

use super::authority::{Charge, Limited};
use super::climb::{Climb, Stop, refused, unreadable};
use super::holder::names;
use super::refusal::Reason;
use super::signature::SignedBy;
use super::tree::DirectoryError;
use super::trust::TrustFiles;
use crate::declare::policy::Role;
use crate::value::{ObjectId, Principal};

/// The most commits of one merge that are asked, the nearest first.
pub(super) const MAX_BROUGHT: usize = 256;

/// A commit that a merge brings, with a good signature.
#[derive(Debug)]
pub(super) struct Second {
    commit: ObjectId,
    signed: SignedBy,
    /// Whose key it is, when the commit was made and when it was merged.
    names: Vec<Principal>,
    tree: ObjectId,
    /// The trees where its branch left what was on the line already.
    left: Vec<ObjectId>,
}

/// Who vouches for a path beside the signer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Witness {
    threshold: usize,
    pub(super) others: Vec<Lent>,
}

/// A signature that a commit on a branch lends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lent {
    pub(super) by: Principal,
    pub(super) signed: SignedBy,
    pub(super) commit: ObjectId,
}

impl Witness {
    /// Whether those whose keys are valid at a time are enough people.
    pub(super) fn holds(
        &self,
        id: ObjectId,
        signer: &Principal,
        files: &TrustFiles,
        at: Timestamp,
    ) -> bool {
        let valid = |lent: &&Lent| {
            names(id, files, &lent.signed, at).is_ok_and(|names| names.contains(&lent.by))
        };
        let others = self.others.iter().filter(valid).map(|lent| &lent.by);
        files.people.count(others.chain([signer])) >= self.threshold
    }
}

impl Climb<'_> {
    /// Whether enough members of a role have signed a change.
    pub(super) fn enough(
        &mut self,
        charge: &mut Charge<'_>,
        name: &Principal,
        role: &Role,
        limited: &Limited,
    ) -> Result<Witness, Stop> {
        let id = charge.id;
        let seconds = match &charge.seconds {
            Some(seconds) => Rc::clone(seconds),
            None => self.seconds(charge)?,
        };
        charge.seconds = Some(Rc::clone(&seconds));
        let mut others = Vec::new();
        for second in &*seconds {
            let member = second.names.iter().find(|name| role.principals.contains(*name));
            let Some(member) = member else { continue };
            if self.brings(second, limited).map_err(|error| unreadable(id, error))? {
                let (by, signed) = (member.clone(), second.signed.clone());
                others.push(Lent { by, signed, commit: second.commit });
            }
        }
        let signed = charge.files.people.count(others.iter().map(|lent| &lent.by).chain([name]));
        if signed < role.threshold {
            let message = format!(
                "`{}` needs {} people of the role `{}` who sign, and {signed} did",
                limited.path.escape_debug(),
                role.threshold,
                role.name
            );
            return Err(refused(Reason::ThresholdUnmet, id, message));
        }
        Ok(Witness { threshold: role.threshold, others })
    }

    /// Whether a commit holds what a change brings, and brought it about.
    fn brings(&mut self, second: &Second, limited: &Limited) -> Result<bool, DirectoryError> {
        let mut holds = |tree| {
            let entry = self.directories.at(tree, &limited.path)?;
            let same = match (&entry, &limited.after) {
                (Some(entry), Some(after)) => (entry.mode, entry.id) == (after.mode, after.id),
                (None, None) => true,
                _ => false,
            };
            Ok::<_, DirectoryError>(same)
        };
        if !holds(second.tree)? || (second.left.is_empty() && limited.after.is_none()) {
            return Ok(false);
        }
        for &left in &second.left {
            if holds(left)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The commits that a merge brings and whose signatures are good.
    fn seconds(&mut self, charge: &Charge<'_>) -> Result<Rc<[Second]>, Stop> {
        if charge.beside.is_empty() {
            return Ok([].into());
        }
        self.commits.reach(charge.parent, &mut self.reached).map_err(Stop::World)?;
        let brought = self.commits.brought(charge.beside, &self.reached, MAX_BROUGHT);
        let brought = brought.map_err(Stop::World)?;
        let parents: HashMap<ObjectId, &[ObjectId]> =
            brought.iter().map(|(link, parents)| (link.id, parents.as_slice())).collect();
        let mut seconds = Vec::new();
        for (link, _) in &brought {
            let Ok(read) = &link.read else { continue };
            let Ok(signed) = &read.signed else { continue };
            if self.revoked.contains(&signed.fingerprint) {
                continue;
            }
            // An old key that somebody found must not vouch with an old date.
            let then = names(link.id, &charge.files, signed, read.committed);
            let merged = names(link.id, &charge.files, signed, charge.committed);
            let (Ok(then), Ok(merged)) = (then, merged) else { continue };
            let names = then.into_iter().filter(|name| merged.contains(name)).collect();
            let Some(left) = self.left(link.id, &parents)? else { continue };
            let (commit, signed) = (link.id, signed.clone());
            seconds.push(Second { commit, signed, names, tree: read.tree, left });
        }
        Ok(seconds.into())
    }

    /// The trees where a commit's branch left what was on the line already. `None` where
    /// that is too far to be known.
    fn left(
        &mut self,
        of: ObjectId,
        brought: &HashMap<ObjectId, &[ObjectId]>,
    ) -> Result<Option<Vec<ObjectId>>, Stop> {
        let mut seen = HashSet::new();
        let mut open = vec![of];
        let mut left = Vec::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if let Some(parents) = brought.get(&id) {
                open.extend(*parents);
            } else if self.reached.contains(&id) {
                match self.commits.tree(id).map_err(Stop::World)? {
                    Some(tree) => left.push(tree),
                    None => return Ok(None),
                }
            } else {
                return Ok(None);
            }
        }
        Ok(Some(left))
    }
}

//! One line, judged from below: what the rule of [`super::history`] says of each commit.

use std::ops::ControlFlow;
use std::rc::Rc;

use jiff::Timestamp;

use super::anchor::Anchor;
use super::history::{Accepted, HistoryError, SKEW};
use super::line::{Link, Read};
use super::objects::ObjectError;
use super::refusal::{Reason, Refusal};
use super::signature::{KeyFingerprint, SignedBy};
use super::store::Store;
use super::tree::{Directories, DirectoryError};
use super::trust::{Files, Trust, TrustFiles, TrustFilesError};
use super::verified::{CommitRecord, Verified};
use crate::declare::policy::NAMESPACE;
use crate::declare::signers::NotASigner;
use crate::value::{ObjectId, Principal};

/// A line while it is judged from below.
pub(super) struct Climb<'a> {
    trust: &'a Trust,
    now: Timestamp,
    directories: Directories<'a>,
    files: Files<'a>,
    /// The sequence of the next good commit.
    sequence: u64,
    /// What the next commit is judged by.
    below: Option<Below>,
    good: Vec<Good>,
    /// What was refused, the oldest first.
    pub(super) refused: Vec<Refusal>,
    /// The commit that ended the good part of the line.
    broken: Option<ObjectId>,
    /// How many commits were left when no more directories could be compared.
    pub(super) remaining: usize,
}

/// A commit as the first parent of the next one.
struct Below {
    tree: ObjectId,
    /// The greatest committer time of the line up to it. Its own may be smaller, and a
    /// chain of such commits must not lead back to when an old key was valid.
    latest: Timestamp,
    files: Rc<TrustFiles>,
}

/// A commit that was good at its committer time.
struct Good {
    record: CommitRecord,
    /// The greatest committer time of the line up to it.
    latest: Timestamp,
    signed: SignedBy,
    /// By which trust files it was judged.
    judged_by: Rc<TrustFiles>,
}

/// Why a commit is not good, or could not be judged.
enum Stop {
    Refused(Refusal),
    World(HistoryError),
}

impl<'a> Climb<'a> {
    pub(super) fn new(store: Store<'a>, trust: &'a Trust, now: Timestamp) -> Self {
        Self {
            trust,
            now,
            directories: Directories::new(store),
            files: Files::new(store),
            sequence: 1,
            below: None,
            good: Vec::new(),
            refused: Vec::new(),
            broken: None,
            remaining: 0,
        }
    }

    /// Starts above a commit that was accepted before.
    pub(super) fn start_above(&mut self, link: &Link, anchor: &Anchor) -> Result<(), HistoryError> {
        self.sequence = anchor.record.sequence + 1;
        let started = self.accepted_before(link, anchor.latest);
        self.take(link.id, started)
    }

    fn accepted_before(&mut self, link: &Link, latest: Timestamp) -> Result<(), Stop> {
        let read = link.read.as_ref().map_err(|refusal| Stop::Refused(refusal.clone()))?;
        let files = self.trust_files(link.id, read.tree)?;
        self.below = Some(Below { tree: read.tree, latest, files });
        Ok(())
    }

    /// Starts at the introduction, whose count on the line is `sequence`.
    pub(super) fn start_at(&mut self, link: &Link, sequence: u64) -> Result<(), HistoryError> {
        self.sequence = sequence;
        let judged = self.introduction(link);
        self.take(link.id, judged)
    }

    fn introduction(&mut self, link: &Link) -> Result<(), Stop> {
        let (read, signed) = self.signed(link)?;
        let wanted = self.trust.introduction.signer;
        if signed.fingerprint != wanted {
            let message = format!("it is signed by {}, not by {wanted}", signed.fingerprint);
            return Err(refused(Reason::IntroductionSigner, link.id, message));
        }
        self.not_ahead(link.id, read.committed)?;
        let files = self.trust_files(link.id, read.tree)?;
        let names = names(link.id, &files, signed, read.committed)?;
        let by = names.into_iter().next().ok_or_else(|| nobody(link.id, &signed.fingerprint))?;
        self.accept(link.id, read, signed, by, Rc::clone(&files), files);
        Ok(())
    }

    /// Judges the commits above, which are given from the tip down, as far as there are
    /// directories left that may be compared.
    pub(super) fn up(&mut self, above: &[Link]) -> Result<(), HistoryError> {
        for (higher, link) in above.iter().enumerate().rev() {
            let judged = self.commit(link);
            if let Err(Stop::World(HistoryError::TooMuch)) = judged {
                self.remaining = higher + 1;
                break;
            }
            self.take(link.id, judged)?;
        }
        Ok(())
    }

    /// Notes a refusal; an error of the world goes on up.
    fn take(&mut self, id: ObjectId, judged: Result<(), Stop>) -> Result<(), HistoryError> {
        match judged {
            Ok(()) => Ok(()),
            Err(Stop::World(error)) => Err(error),
            Err(Stop::Refused(refusal)) => {
                self.broken.get_or_insert(id);
                self.refused.push(refusal);
                Ok(())
            }
        }
    }

    fn commit(&mut self, link: &Link) -> Result<(), Stop> {
        let (read, signed) = self.signed(link)?;
        let (Some(below), None) = (&self.below, self.broken) else {
            let on = self.broken.map(|id| id.to_string()).unwrap_or_default();
            let message = format!("it stands on commit {on}, which is refused");
            return Err(refused(Reason::OnRefused, link.id, message));
        };
        let (parent, judged_by) = (below.tree, Rc::clone(&below.files));
        let earliest = below.latest.saturating_sub(SKEW).unwrap_or(below.latest);
        if read.committed < earliest {
            let message = format!(
                "its committer time {} is before that of a commit below it, {}",
                read.committed, below.latest
            );
            return Err(refused(Reason::Clock, link.id, message));
        }
        self.not_ahead(link.id, read.committed)?;
        let names = names(link.id, &judged_by, signed, read.committed)?;
        let by = self.allowed(link.id, &judged_by, names, parent, read.tree)?;
        let files = self.trust_files(link.id, read.tree)?;
        self.accept(link.id, read, signed, by, judged_by, files);
        Ok(())
    }

    /// A commit of the strict form with a good signature by a key that is not revoked.
    fn signed<'l>(&self, link: &'l Link) -> Result<(&'l Read, &'l SignedBy), Stop> {
        let read = link.read.as_ref().map_err(|refusal| Stop::Refused(refusal.clone()))?;
        let signed = read.signed.as_ref().map_err(|refusal| Stop::Refused(refusal.clone()))?;
        if self.trust.revoked.contains(&signed.fingerprint) {
            let message = format!("its key {} is revoked on this node", signed.fingerprint);
            return Err(refused(Reason::KeyRevoked, link.id, message));
        }
        Ok((read, signed))
    }

    fn not_ahead(&self, id: ObjectId, committed: Timestamp) -> Result<(), Stop> {
        let latest = self.now.saturating_add(SKEW).unwrap_or(self.now);
        if committed > latest {
            let message = format!(
                "its committer time {committed} is ahead of this node's clock, {:.0}",
                self.now
            );
            return Err(refused(Reason::Clock, id, message));
        }
        Ok(())
    }

    /// The first of a key's names that may change every path that differs.
    fn allowed(
        &mut self,
        id: ObjectId,
        files: &TrustFiles,
        names: Vec<Principal>,
        before: ObjectId,
        after: ObjectId,
    ) -> Result<Principal, Stop> {
        let listed = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut able: Vec<Principal> =
            names.into_iter().filter(|name| files.policy.has_role(name)).collect();
        if able.is_empty() {
            let message = format!("{listed} is in no role of the policy");
            return Err(refused(Reason::RoleMissing, id, message));
        }
        let mut denied = None;
        let result = self.directories.difference(before, after, &mut |path| {
            able.retain(|name| files.policy.may(name, path));
            if able.is_empty() {
                denied = Some(path.to_owned());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        result.map_err(|error| match error {
            DirectoryError::Object(
                // A size is what the source says; no bytes were hashed that prove it.
                error @ (ObjectError::TooLarge { .. }
                | ObjectError::Missing { .. }
                | ObjectError::Forged { .. }
                | ObjectError::Source { .. }),
            ) => Stop::World(error.into()),
            DirectoryError::Exhausted => Stop::World(HistoryError::TooMuch),
            error => refused(Reason::TreeMalformed, id, error.to_string()),
        })?;
        if let Some(path) = denied {
            let message = format!("{listed} may not change `{}`", path.escape_debug());
            return Err(refused(Reason::PathNotAllowed, id, message));
        }
        able.into_iter().next().ok_or_else(|| refused(Reason::RoleMissing, id, listed))
    }

    fn trust_files(&mut self, id: ObjectId, tree: ObjectId) -> Result<Rc<TrustFiles>, Stop> {
        self.files.of(&mut self.directories, tree).map_err(|error| match error {
            TrustFilesError::Broken(how) => refused(Reason::TrustFilesBroken, id, how),
            TrustFilesError::Object(error) => Stop::World(error.into()),
        })
    }

    fn accept(
        &mut self,
        id: ObjectId,
        read: &Read,
        signed: &SignedBy,
        by: Principal,
        judged_by: Rc<TrustFiles>,
        files: Rc<TrustFiles>,
    ) {
        let record = CommitRecord {
            commit: id,
            signer: by,
            key: signed.fingerprint.to_string(),
            sequence: self.sequence,
            committed: read.committed,
            subject: read.subject.clone(),
        };
        self.sequence += 1;
        let latest =
            self.below.as_ref().map_or(read.committed, |below| below.latest.max(read.committed));
        self.good.push(Good { record, latest, signed: signed.clone(), judged_by });
        self.below = Some(Below { tree: read.tree, latest, files });
    }

    /// The newest good commit whose signer's key is valid now. Those above it are
    /// refused, unless one that was not judged may vouch for them.
    pub(super) fn accepted(&mut self) -> Result<Option<Verified<Accepted>>, HistoryError> {
        let mut expired = Vec::new();
        let mut newest = None;
        while let Some(Good { record, latest, signed, judged_by }) = self.good.pop() {
            match names(record.commit, &judged_by, &signed, self.now) {
                // By the same name: another line of the file may still have the key.
                Ok(names) if names.contains(&record.signer) => {
                    newest = Some(Verified::new(Accepted { latest }, record));
                    break;
                }
                Ok(_) => {
                    let message = format!("its key is not valid now for `{}`", record.signer);
                    expired.push(Refusal::new(Reason::KeyExpired, record.commit, message));
                }
                Err(Stop::Refused(refusal)) => expired.push(refusal),
                Err(Stop::World(error)) => return Err(error),
            }
        }
        if self.remaining > 0 {
            return newest.map(Some).ok_or(HistoryError::TooMuch);
        }
        self.refused.splice(0..0, expired.into_iter().rev());
        Ok(newest)
    }
}

fn refused(code: Reason, id: ObjectId, message: impl Into<String>) -> Stop {
    Stop::Refused(Refusal::new(code, id, message))
}

fn nobody(id: ObjectId, key: &KeyFingerprint) -> Stop {
    Stop::Refused(not_a_signer(id, key, NotASigner::Nameless))
}

/// The principals whose key it is.
fn names(
    id: ObjectId,
    files: &TrustFiles,
    signed: &SignedBy,
    at: Timestamp,
) -> Result<Vec<Principal>, Stop> {
    files
        .signers
        .principals(&signed.key, NAMESPACE, at)
        .map(|names| names.into_iter().cloned().collect())
        .map_err(|why| Stop::Refused(not_a_signer(id, &signed.fingerprint, why)))
}

fn not_a_signer(id: ObjectId, key: &KeyFingerprint, why: NotASigner) -> Refusal {
    let code = match why {
        NotASigner::Unknown | NotASigner::Nameless | NotASigner::OtherNamespace => {
            Reason::SignerUnknown
        }
        NotASigner::TooEarly(_) => Reason::KeyTooEarly,
        NotASigner::Expired(_) => Reason::KeyExpired,
    };
    Refusal::new(code, id, format!("it is signed by {key}: {why}"))
}

//! One line, judged from below: what the rule of [`super::history`] says of each commit.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use jiff::Timestamp;

use super::account::{Basis, Form};
use super::anchor::{Anchor, Left};
use super::authority::{Allowed, Charge};
use super::history::{Accepted, HistoryError, SKEW};
use super::holder::{names, nobody};
use super::line::{Commits, Line, Link, Read};
use super::objects::ObjectError;
use super::refusal::{Reason, Refusal};
use super::scopes::{Declarations, Scopes};
use super::seconds::Witness;
use super::signature::{KeyFingerprint, SignedBy};
use super::store::Store;
use super::tree::{Directories, DirectoryError};
use super::trust::{Files, Introduction, TrustFiles, TrustFilesError};
use super::verified::{CommitRecord, Verified};
use crate::declare::policy::Mainline;
use crate::declare::void;
use crate::value::{Digest, ObjectId};

/// A line while it is judged from below.
pub(super) struct Climb<'a> {
    /// Keys that count no more on this node.
    pub(super) revoked: &'a BTreeSet<KeyFingerprint>,
    now: Timestamp,
    pub(super) directories: Directories<'a>,
    files: Files<'a>,
    pub(super) commits: Commits<'a>,
    pub(super) declarations: Declarations<'a>,
    /// What is reachable from a commit of the line, once somebody asked.
    pub(super) reached: HashSet<ObjectId>,
    /// The line up to the newest good commit, once somebody asked.
    pub(super) line: Option<Line>,
    /// The last anchor that was left for another line.
    pub(super) left: Option<Left>,
    /// What the accepted commit declares void.
    pub(super) void: BTreeSet<ObjectId>,
    /// The sequence of the next good commit.
    sequence: u64,
    /// What the next commit is judged by.
    pub(super) below: Option<Below>,
    good: Vec<Good>,
    /// What was refused, the oldest first.
    pub(super) refused: Vec<Refusal>,
    /// The commit that ended the good part of the line.
    broken: Option<ObjectId>,
    /// How many commits were left when no more directories could be compared.
    pub(super) remaining: usize,
    /// On what grounds commits are good, the oldest first, where somebody wants an account.
    pub(super) account: Option<Vec<Basis>>,
    /// What all commits are judged by instead of their first parents' trust files.
    pub(super) law: Option<Rc<TrustFiles>>,
}

/// A commit as the first parent of the next one.
pub(super) struct Below {
    pub(super) id: ObjectId,
    pub(super) tree: ObjectId,
    /// The greatest committer time of the line up to it. Its own may be smaller, and a
    /// chain of such commits must not lead back to when an old key was valid.
    pub(super) latest: Timestamp,
    pub(super) files: Rc<TrustFiles>,
}

/// A commit that was good at its committer time.
struct Good {
    record: CommitRecord,
    /// The greatest committer time of the line up to it.
    latest: Timestamp,
    signed: SignedBy,
    payload: Digest,
    /// By which trust files it was judged.
    judged_by: Rc<TrustFiles>,
    /// Who vouches for it beside its signer.
    witnesses: Vec<Witness>,
    /// Its own trust files.
    files: Rc<TrustFiles>,
}

/// On what grounds a commit is good.
struct Grounds<'l> {
    signed: &'l SignedBy,
    judged_by: Rc<TrustFiles>,
    allowed: Allowed,
    form: Form,
    voids: Vec<ObjectId>,
    files: Rc<TrustFiles>,
}

/// Why a commit is not good, or could not be judged.
pub(super) enum Stop {
    Refused(Refusal),
    World(HistoryError),
}

impl<'a> Climb<'a> {
    pub(super) fn new(
        store: Store<'a>,
        commits: Commits<'a>,
        revoked: &'a BTreeSet<KeyFingerprint>,
        now: Timestamp,
        scopes: &'a Scopes<'a>,
    ) -> Self {
        Self {
            revoked,
            now,
            directories: Directories::new(store),
            files: Files::new(store),
            commits,
            declarations: Declarations::new(store, scopes),
            reached: HashSet::new(),
            line: None,
            left: None,
            void: BTreeSet::new(),
            sequence: 1,
            below: None,
            good: Vec::new(),
            refused: Vec::new(),
            broken: None,
            remaining: 0,
            account: None,
            law: None,
        }
    }

    /// Starts above a commit that was accepted before.
    pub(super) fn start_above(&mut self, link: &Link, anchor: &Anchor) -> Result<(), HistoryError> {
        self.sequence = anchor.record.sequence + 1;
        self.left.clone_from(&anchor.left);
        let started = self.accepted_before(link, anchor.latest);
        self.take(link.id, started)
    }

    /// Starts above a commit that is taken as it is, and whose count on the line is `sequence`.
    pub(super) fn start_given(&mut self, link: &Link, sequence: u64) -> Result<(), HistoryError> {
        self.sequence = sequence + 1;
        let latest = link.read.as_ref().map_or(Timestamp::UNIX_EPOCH, |read| read.committed);
        let started = self.accepted_before(link, latest);
        self.take(link.id, started)
    }

    fn accepted_before(&mut self, link: &Link, latest: Timestamp) -> Result<(), Stop> {
        let read = link.read.as_ref().map_err(|refusal| Stop::Refused(refusal.clone()))?;
        let files = self.trust_files(link.id, read.tree)?;
        self.below = Some(Below { id: link.id, tree: read.tree, latest, files });
        Ok(())
    }

    /// Starts at an introduction, whose count on the line is `sequence`.
    pub(super) fn start_at(
        &mut self,
        link: &Link,
        introduction: &Introduction,
        sequence: u64,
    ) -> Result<(), HistoryError> {
        self.sequence = sequence;
        let judged = self.introduction(link, introduction.signer);
        self.take(link.id, judged)
    }

    fn introduction(&mut self, link: &Link, wanted: KeyFingerprint) -> Result<(), Stop> {
        let (read, signed) = self.signed(link)?;
        if signed.fingerprint != wanted {
            let message = format!("it is signed by {}, not by {wanted}", signed.fingerprint);
            return Err(refused(Reason::IntroductionSigner, link.id, message));
        }
        self.not_ahead(link.id, read.committed)?;
        let files = self.trust_files(link.id, read.tree)?;
        let names = names(link.id, &files, signed, read.committed)?;
        let by = names.into_iter().next().ok_or_else(|| nobody(link.id, &signed.fingerprint))?;
        let (judged_by, allowed) = (Rc::clone(&files), Allowed::introduced(by));
        let (form, voids) = (Form::Any, Vec::new());
        self.accept(link.id, read, Grounds { signed, judged_by, allowed, form, voids, files });
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

    /// Judges one commit.
    pub(super) fn commit(&mut self, link: &Link) -> Result<(), Stop> {
        let (read, signed) = self.signed(link)?;
        let (Some(below), None) = (&self.below, self.broken) else {
            let on = self.broken.map(|id| id.to_string()).unwrap_or_default();
            let message = format!("it stands on commit {on}, which is refused");
            return Err(refused(Reason::OnRefused, link.id, message));
        };
        let (parent, before, files_below) = (below.id, below.tree, Rc::clone(&below.files));
        let judged_by = self.law.as_ref().map_or_else(|| Rc::clone(&files_below), Rc::clone);
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
        let form = self.may_advance(link.id, read, parent, &judged_by)?;
        let mut charge = Charge {
            id: link.id,
            committed: read.committed,
            tree: read.tree,
            parent,
            before,
            beside: &read.beside,
            files: Rc::clone(&judged_by),
            seconds: None,
        };
        let allowed = self.allowed(&mut charge, names)?;
        let files = self.trust_files(link.id, read.tree)?;
        let voids = self.voids_others(link.id, parent, &files_below, &files)?;
        self.accept(link.id, read, Grounds { signed, judged_by, allowed, form, voids, files });
        Ok(())
    }

    /// By which form the policy lets a commit advance the branch.
    fn may_advance(
        &mut self,
        id: ObjectId,
        read: &Read,
        parent: ObjectId,
        files: &TrustFiles,
    ) -> Result<Form, Stop> {
        if files.policy.mainline() == Mainline::Any {
            return Ok(Form::Any);
        } else if !read.beside.is_empty() {
            return Ok(Form::Merge);
        } else if self.line(parent)?.trees.contains(&read.tree) {
            return Ok(Form::BringsBack);
        }
        let message = "it is no merge, and no earlier commit of the branch has its files";
        Err(refused(Reason::NotAMerge, id, message))
    }

    /// The commits that a commit newly declares void: none that it stands on.
    fn voids_others(
        &mut self,
        id: ObjectId,
        parent: ObjectId,
        before: &TrustFiles,
        after: &TrustFiles,
    ) -> Result<Vec<ObjectId>, Stop> {
        let new: Vec<ObjectId> = after.void.difference(&before.void).copied().collect();
        if new.is_empty() {
            return Ok(new);
        }
        let line = self.line(parent)?;
        match new.iter().find(|void| line.ids.contains(*void)) {
            Some(own) => {
                let message = format!("its `{}` names {own}, on which it stands", void::FILE);
                Err(refused(Reason::VoidsOwnLine, id, message))
            }
            None => Ok(new),
        }
    }

    /// What a commit that was accepted before declares void. `None` where it is not in order.
    pub(super) fn void_of(
        &mut self,
        commit: ObjectId,
    ) -> Result<Option<BTreeSet<ObjectId>>, HistoryError> {
        let Some(tree) = self.commits.tree(commit)? else { return Ok(None) };
        match self.trust_files(commit, tree) {
            Ok(files) => Ok(Some(files.void.clone())),
            Err(Stop::Refused(_)) => Ok(None),
            Err(Stop::World(error)) => Err(error),
        }
    }

    /// The line up to the first parent of the commit that is judged.
    fn line(&mut self, parent: ObjectId) -> Result<&Line, Stop> {
        if self.line.is_none() {
            self.line = Some(self.commits.line(parent).map_err(Stop::World)?);
        }
        Ok(self.line.get_or_insert_default())
    }

    /// A commit of the strict form with a good signature by a key that is not revoked.
    fn signed<'l>(&self, link: &'l Link) -> Result<(&'l Read, &'l SignedBy), Stop> {
        let read = link.read.as_ref().map_err(|refusal| Stop::Refused(refusal.clone()))?;
        let signed = read.signed.as_ref().map_err(|refusal| Stop::Refused(refusal.clone()))?;
        if self.revoked.contains(&signed.fingerprint) {
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

    pub(super) fn trust_files(
        &mut self,
        id: ObjectId,
        tree: ObjectId,
    ) -> Result<Rc<TrustFiles>, Stop> {
        self.files.of(&mut self.directories, tree).map_err(|error| match error {
            TrustFilesError::Broken(how) => refused(Reason::TrustFilesBroken, id, how),
            TrustFilesError::Object(error) => Stop::World(error.into()),
        })
    }

    fn accept(&mut self, id: ObjectId, read: &Read, grounds: Grounds<'_>) {
        let Grounds { signed, judged_by, allowed, form, voids, files } = grounds;
        let Allowed { by, witnesses, grants } = allowed;
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
        if let Some(line) = &mut self.line {
            line.ids.insert(id);
            line.trees.insert(read.tree);
        }
        if let Some(account) = &mut self.account {
            let behind = (latest > read.committed).then_some(latest);
            account.push(Basis { record: record.clone(), grants, form, voids, behind });
        }
        self.below = Some(Below { id, tree: read.tree, latest, files: Rc::clone(&files) });
        self.good.push(Good {
            record,
            latest,
            signed: signed.clone(),
            payload: read.payload,
            judged_by,
            witnesses,
            files,
        });
    }

    /// The newest good commit whose signer's key is valid now. Those above it are
    /// refused, unless one that was not judged may vouch for them.
    pub(super) fn accepted(&mut self) -> Result<Option<Verified<Accepted>>, HistoryError> {
        let mut expired = Vec::new();
        let mut newest = None;
        while let Some(good) = self.good.pop() {
            let (id, by) = (good.record.commit, &good.record.signer);
            match names(id, &good.judged_by, &good.signed, self.now) {
                // By the same name: another line of the file may still have the key.
                Ok(names) if names.contains(by) => {
                    let holds =
                        |witness: &Witness| witness.holds(id, by, &good.judged_by, self.now);
                    if good.witnesses.iter().all(holds) {
                        newest = Some(good);
                        break;
                    }
                    let message = "keys of those who signed beside are not valid now";
                    expired.push(Refusal::new(Reason::KeyExpired, id, message));
                }
                Ok(_) => {
                    let message = format!("its key is not valid now for `{by}`");
                    expired.push(Refusal::new(Reason::KeyExpired, id, message));
                }
                Err(Stop::Refused(refusal)) => expired.push(refusal),
                Err(Stop::World(error)) => return Err(error),
            }
        }
        let newest = newest.map(|Good { record, latest, payload, files, .. }| {
            self.void.clone_from(&files.void);
            let left = self.left.clone();
            Verified::new(Accepted { latest, payload: Some(payload), left }, record)
        });
        if self.remaining > 0 {
            return newest.map(Some).ok_or(HistoryError::TooMuch);
        }
        self.refused.splice(0..0, expired.into_iter().rev());
        Ok(newest)
    }
}

/// Why a directory of a commit cannot be compared: what the bytes say is the commit's
/// fault, what is missing or only claimed is not.
pub(super) fn unreadable(id: ObjectId, error: DirectoryError) -> Stop {
    match error {
        DirectoryError::Object(
            // A size is what the source says; no bytes were hashed that prove it.
            error @ (ObjectError::TooLarge { .. }
            | ObjectError::Missing { .. }
            | ObjectError::Forged { .. }
            | ObjectError::Source { .. }),
        ) => Stop::World(error.into()),
        DirectoryError::Exhausted => Stop::World(HistoryError::TooMuch),
        error => refused(Reason::TreeMalformed, id, error.to_string()),
    }
}

pub(super) fn refused(code: Reason, id: ObjectId, message: impl Into<String>) -> Stop {
    Stop::Refused(Refusal::new(code, id, message))
}

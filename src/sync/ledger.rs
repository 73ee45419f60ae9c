//! The branch that keeps leases: whose word is taken, and what it says.
//!
//! Its history is nobody's configuration. A tip counts when a principal whom the
//! configuration's policy names an allocator signed it with a key that is valid now, and
//! the tip that was taken before lies on its first-parent line: then its signer vouches
//! for all of it. Where the owner begins it anew, so that its history does not grow for ever,
//! the policy names the number of the new line, and it counts once. Whoever serves the branch can hold it back, and no more. A node that takes
//! it for the first time knows of no tip before, and could be shown an old one: what it
//! publishes upon that no other node takes.

use jiff::Timestamp;
use thiserror::Error;

use super::anchor::Anchor;
use super::commit::{self, CommitError};
use super::objects::{Kind, ObjectError};
use super::signature::{self, KeyFingerprint, SignatureError};
use super::store::Store;
use super::tree::{Directories, DirectoryError, Mode};
use super::trust::{Files, Trust, TrustFilesError};
use crate::declare::lease::{self, Configuration, Line, NotALease};
use crate::declare::policy::{NAMESPACE, Policy};
use crate::declare::signers::Signers;
use crate::declare::writer::{self, Writer};
use crate::network::Leases;
use crate::value::{ClusterName, ObjectId, Principal, RepoPath};

/// The most commits between a tip and the one that was taken before.
const MAX_COMMITS: usize = 100_000;
/// The most leases.
pub const MAX_LEASES: usize = 200_000;
/// The most objects that a commit brings which gives out one address: itself, four
/// directories, the lease and the file [`lease::CONFIGURATION`].
const OBJECTS_OF_A_COMMIT: usize = 7;
/// The most objects that a fetch of the branch brings: all of a branch that has as many
/// commits and leases as are read.
#[expect(clippy::cast_possible_truncation, reason = "it is a constant of a million")]
pub const MAX_OBJECTS: u32 = (MAX_COMMITS * OBJECTS_OF_A_COMMIT + MAX_LEASES + MAX_COMMITS) as u32;
/// The most bytes of them, compressed: some 200 for each.
pub const MAX_RECEIVED: u64 = 400 << 20;

/// Who may write leases, by an accepted commit of the configuration.
#[derive(Clone, Debug)]
pub struct Allocators {
    cluster: ClusterName,
    signers: Signers,
    policy: Policy,
    revoked: std::collections::BTreeSet<KeyFingerprint>,
}

/// A tip that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The commit.
    pub commit: ObjectId,
    /// The number of its line.
    pub line: u32,
    /// What it was published upon from here: the store has this, and itself perhaps not.
    pub upon: Option<ObjectId>,
}

/// The leases of a tip that counts.
#[derive(Debug)]
pub struct Ledger {
    /// The tip.
    pub tip: ObjectId,
    /// The number of its line.
    pub line: u32,
    /// Who signed it.
    pub signer: Principal,
    /// What is held.
    pub leases: Leases,
    /// The newest commit of the configuration whose guests were settled.
    pub configuration: Option<Configuration>,
    /// Who writes to servers beside the network, or wrote last.
    pub writer: Option<Writer>,
    /// Files that are no leases. Until they are mended, nothing is given out: they may
    /// stand for an address.
    pub broken: Vec<NotALease>,
}

/// Why a tip does not count.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// There is no object to read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The configuration's trust files cannot be used.
    #[error("the policy of the configuration cannot be used: {0}")]
    Policy(String),
    /// A commit is not in git's form.
    #[error("commit {commit} of the leases cannot be read: {source}")]
    Commit {
        /// The commit.
        commit: ObjectId,
        /// Why not.
        source: CommitError,
    },
    /// It bears no good signature.
    #[error("commit {commit} of the leases is not taken: {source}")]
    Signature {
        /// The commit.
        commit: ObjectId,
        /// Why not.
        source: SignatureError,
    },
    /// Its signer may not write leases.
    #[error("commit {commit} of the leases is not taken: it is signed by {key}, {why}")]
    Signer {
        /// The commit.
        commit: ObjectId,
        /// The key.
        key: KeyFingerprint,
        /// Why not.
        why: String,
    },
    /// What was taken before is not below it.
    #[error(
        "commit {tip} of the leases does not stand on {taken}, which was taken before: somebody \
         took the branch back, or serves an old one"
    )]
    Rewound {
        /// The tip.
        tip: ObjectId,
        /// What was taken before.
        taken: ObjectId,
    },
    /// It is no branch of leases of this cluster, in a format that is read here.
    #[error("commit {tip} of the leases is not taken: {why}")]
    Foreign {
        /// The tip.
        tip: ObjectId,
        /// Why not.
        why: String,
    },
    /// A directory cannot be read.
    #[error("the leases cannot be read")]
    Directory(#[from] DirectoryError),
    /// More than [`MAX_LEASES`].
    #[error("there are more than {MAX_LEASES} leases")]
    TooMany,
}

impl LedgerError {
    /// A stable name of the reason, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Object(error) => error.code(),
            Self::Policy(_) => "ledger-policy",
            Self::Commit { .. } | Self::Directory(_) => "ledger-unreadable",
            Self::Signature { .. } => "ledger-signature",
            Self::Signer { .. } => "ledger-signer",
            Self::Rewound { .. } => "ledger-rewound",
            Self::Foreign { .. } => "ledger-foreign",
            Self::TooMany => "ledger-too-large",
        }
    }
}

impl Allocators {
    /// Those of a commit of the configuration that trust has accepted, less the keys that
    /// are revoked on this node. `store` holds the configuration.
    pub fn of(store: Store<'_>, accepted: &Anchor, trust: &Trust) -> Result<Self, LedgerError> {
        let id = accepted.record.commit;
        let raw = store.read(id, Kind::Commit, commit::MAX_BYTES as u64)?;
        let top =
            commit::parse(&raw).map_err(|source| LedgerError::Commit { commit: id, source })?;
        let files = Files::new(store).of(&mut Directories::new(store), top.tree);
        let files = files.map_err(|error| match error {
            TrustFilesError::Object(error) => LedgerError::Object(error),
            TrustFilesError::Broken(why) => LedgerError::Policy(why),
        })?;
        Ok(Self {
            cluster: accepted.cluster.clone(),
            signers: files.signers.clone(),
            policy: files.policy.clone(),
            revoked: trust.revoked.clone(),
        })
    }

    /// Whose leases they write.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Whose key it is, where it may write leases at a time.
    fn principal(&self, signed: &signature::SignedBy, at: Timestamp) -> Result<Principal, String> {
        if self.revoked.contains(&signed.fingerprint) {
            return Err("which is revoked on this node".to_owned());
        }
        let names = self.signers.principals(&signed.key, NAMESPACE, at);
        let names = names.map_err(|why| why.to_string())?;
        let allocator = names.iter().find(|name| self.policy.allocates(name));
        allocator.map(|name| (*name).clone()).ok_or_else(|| {
            let name = names.first().map(ToString::to_string).unwrap_or_default();
            format!("whom the policy does not name among its `allocators` (`{name}`)")
        })
    }
}

/// Judges the tip of the branch and reads it. `taken` is the tip that was taken last.
pub fn judge(
    store: Store<'_>,
    tip: ObjectId,
    taken: Option<Taken>,
    allocators: &Allocators,
    now: Timestamp,
) -> Result<Ledger, LedgerError> {
    let raw = store.read(tip, Kind::Commit, commit::MAX_BYTES as u64)?;
    let commit =
        commit::parse(&raw).map_err(|source| LedgerError::Commit { commit: tip, source })?;
    let good = signature::verify(&commit)
        .map_err(|source| LedgerError::Signature { commit: tip, source })?;
    let signer = allocators.principal(&good, now).map_err(|why| LedgerError::Signer {
        commit: tip,
        key: good.fingerprint,
        why,
    })?;
    let mut directories = Directories::new(store);
    let mark = plain_file(store, &mut directories, commit.tree, lease::MARK)?;
    let mark = mark.unwrap_or_else(|| Err(format!("it has no file `{}`", lease::MARK)));
    let line = mark
        .and_then(|bytes| lease::read_mark(&bytes, &allocators.cluster))
        .map_err(|why| LedgerError::Foreign { tip, why })?;
    if let Some(taken) = taken.filter(|taken| taken.commit != tip) {
        match stands_on(store, tip, taken.commit) {
            Err(LedgerError::Rewound { .. }) if is_anew(store, line, taken, allocators) => {}
            // The number of a line is its owner's to give, and no allocator's.
            Ok(()) if line.number != taken.line => {
                let (is, was) = (line.number, taken.line);
                let why = format!("it says that it is line {is}, and stands on one of line {was}");
                return Err(LedgerError::Foreign { tip, why });
            }
            stands => stands?,
        }
    }
    if taken.is_none() && line.number > allocators.policy.leases_line() {
        let (is, named) = (line.number, allocators.policy.leases_line());
        let why = format!("it says that it is line {is}, and the policy names {named}");
        return Err(LedgerError::Foreign { tip, why });
    }
    let (leases, mut broken) = read(store, &mut directories, commit.tree)?;
    let mut top = |name: &str| plain_file(store, &mut directories, commit.tree, name);
    let configuration = understood(
        top(lease::CONFIGURATION)?,
        (lease::CONFIGURATION, lease::read_configuration),
        &mut broken,
    );
    let writer = understood(top(writer::WRITER)?, (writer::WRITER, writer::read), &mut broken);
    Ok(Ledger { tip, line: line.number, signer, leases, configuration, writer, broken })
}

/// What a file at the top says, where there is one; one that says nothing is broken.
fn understood<T>(
    found: Option<Result<Vec<u8>, String>>,
    (name, read): (&str, impl Fn(&[u8]) -> Result<T, NotALease>),
    broken: &mut Vec<NotALease>,
) -> Option<T> {
    let bytes = found?.map_err(|why| NotALease { path: name.to_owned(), why });
    bytes.and_then(|bytes| read(&bytes)).map_err(|bad| broken.push(bad)).ok()
}

/// The contents of a file at the top, or what is there instead; nothing where nothing is.
fn plain_file(
    store: Store<'_>,
    directories: &mut Directories<'_>,
    tree: ObjectId,
    name: &str,
) -> Result<Option<Result<Vec<u8>, String>>, LedgerError> {
    let Some(entry) = directories.entry(tree, name)? else { return Ok(None) };
    if entry.mode != Mode::File {
        return Ok(Some(Err(format!("`{name}` is no plain file but {}", entry.mode.what()))));
    }
    match store.read(entry.id, Kind::Blob, writer::MAX_BYTES) {
        Ok(bytes) => Ok(Some(Ok(bytes))),
        Err(ObjectError::TooLarge { .. }) => Ok(Some(Err("it is too large".to_owned()))),
        Err(error) => Err(error.into()),
    }
}

fn stands_on(store: Store<'_>, tip: ObjectId, taken: ObjectId) -> Result<(), LedgerError> {
    let mut at = tip;
    for _ in 0..MAX_COMMITS {
        let raw = store.read(at, Kind::Commit, commit::MAX_BYTES as u64)?;
        let parents = commit::lineage(&raw).map(|(_, parents)| parents).unwrap_or_default();
        match parents.first() {
            Some(parent) if *parent == taken => return Ok(()),
            Some(parent) => at = *parent,
            None => break,
        }
    }
    Err(LedgerError::Rewound { tip, taken })
}

/// Whether a tip that does not stand on what was taken is of the line that the policy names,
/// and nothing was taken of the line before that this one does not hold.
fn is_anew(store: Store<'_>, line: Line, taken: Taken, allocators: &Allocators) -> bool {
    let is_next = line.number > taken.line && line.number == allocators.policy.leases_line();
    // What stands on the commit after which it began was written too late to be in it.
    let lacks = |after: ObjectId| {
        let stands = |from| stands_on(store, from, after).is_ok();
        let is_above = taken.upon == Some(after) || taken.upon.is_some_and(stands);
        after != taken.commit && (is_above || stands(taken.commit))
    };
    is_next && line.after.is_some_and(|after| !lacks(after))
}

fn read(
    store: Store<'_>,
    directories: &mut Directories<'_>,
    tree: ObjectId,
) -> Result<(Leases, Vec<NotALease>), LedgerError> {
    let (mut leases, mut broken) = (Leases::new(), Vec::new());
    let Some(top) = directories.entry(tree, lease::DIRECTORY)? else {
        return Ok((leases, broken));
    };
    let mut waiting = vec![(lease::DIRECTORY.to_owned(), top)];
    while let Some((path, entry)) = waiting.pop() {
        let mut bad = |why: &str| {
            broken.push(NotALease { path: path.clone(), why: why.to_owned() });
        };
        match entry.mode {
            Mode::Directory if path.matches('/').count() < 3 => {
                for inside in directories.entries(entry.id)?.iter() {
                    let name = String::from_utf8_lossy(&inside.name);
                    waiting.push((format!("{path}/{name}"), inside.clone()));
                }
            }
            Mode::File => match path.parse::<RepoPath>() {
                Ok(at) => match store.read(entry.id, Kind::Blob, lease::MAX_BYTES) {
                    Ok(bytes) => match lease::read(&at, &bytes) {
                        Ok((key, lease)) => drop(leases.insert(key, lease)),
                        Err(error) => broken.push(error),
                    },
                    Err(ObjectError::TooLarge { .. }) => bad("it is too large"),
                    Err(error) => return Err(error.into()),
                },
                Err(_) => bad("its name is none"),
            },
            mode => bad(&format!("it is {}", mode.what())),
        }
        if leases.len() + broken.len() > MAX_LEASES || waiting.len() > MAX_LEASES {
            return Err(LedgerError::TooMany);
        }
    }
    broken.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((leases, broken))
}

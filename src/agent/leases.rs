//! The branch of leases on this node: read, settled and published.
//!
//! Nothing here holds up the network: whoever calls this waits for a git server, and a
//! server that is silent leaves the leases of the last time in force.

mod taken;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use thiserror::Error;

use super::addresses;
use super::credentials;
use super::settings::{LeaseBranch, Settings};
use crate::declare;
use crate::declare::lease::{self, Configuration};
use crate::declare::writer::{self, Writer};
use crate::host::{Host, HostError};
use crate::network::Leases;
use crate::plan::addresses::LeaseChange;
use crate::sync::ledger::{self, Allocators, Ledger, LedgerError, Taken};
use crate::sync::publish::{DraftError, SigningKey, SigningKeyError, draft};
use crate::sync::worker::Cancel;
use crate::sync::worker::FetchUser;
use crate::sync::{Access, FailureCode, FetchLimits, Remote, Store, TransportError, Worker};
use crate::value::{ObjectId, RepoPath};

pub use self::taken::TAKEN;
pub(super) use self::taken::taken;

/// The cache of the branch.
pub const CACHE: &str = "/var/cache/weft/leases";
/// One process at a time has the cache.
const LOCK: &str = "/run/weft/leases.lock";
/// How often it is asked for while another process of this node has it, and the time between.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How often others may be first.
const TRIES: u32 = 200;
/// The longest pause after somebody else was first; it doubles three times.
const PAUSE: Duration = Duration::from_millis(250);

/// How processes are started that alone read repositories.
#[derive(Clone, Copy, Debug)]
pub struct Starter<'a> {
    /// This program, which is started again.
    pub program: &'a Utf8Path,
    /// The directory that stands for `/` of a dry node.
    pub root: Option<&'a Utf8Path>,
    /// Ends them before their time.
    pub cancel: &'a Cancel,
}

impl Starter<'_> {
    /// Starts one, as a user of its own; on a dry node, whose files belong to whoever made
    /// it, as nobody else.
    pub(super) fn start(&self, deadline: Duration) -> Result<Worker, TransportError> {
        let user = if self.root.is_none() { FetchUser::find() } else { None };
        Worker::start(self.program, user, deadline, self.cancel)
    }

    /// Where a path of the node is.
    pub(super) fn path(&self, path: &Utf8Path) -> Utf8PathBuf {
        match self.root {
            Some(root) => root.join(path.as_str().trim_start_matches('/')),
            None => path.to_owned(),
        }
    }
}

/// The branch, and what it is reached by.
#[derive(Debug)]
pub struct Branch<'a, H> {
    host: &'a H,
    settings: &'a LeaseBranch,
    starter: Starter<'a>,
    cache: Utf8PathBuf,
    remote: Remote,
    access: Access,
    limits: FetchLimits,
    deadline: Duration,
}

/// What is to become of the leases.
#[derive(Debug, Default)]
pub struct Decision {
    /// What changes.
    pub changes: Vec<LeaseChange>,
    /// The commit of the configuration whose guests were settled, where it is to be written
    /// down.
    pub configuration: Option<Configuration>,
}

/// What the branch holds.
#[derive(Debug, Default)]
pub struct Held {
    /// The commit; `None` where there is none yet.
    pub tip: Option<ObjectId>,
    /// The number of its line.
    pub line: u32,
    /// The leases.
    pub leases: Leases,
    /// The newest commit of the configuration whose guests were settled.
    pub configuration: Option<Configuration>,
    /// Who writes to servers beside the network, or wrote last.
    pub writer: Option<Writer>,
}

/// The leases after they were settled.
#[derive(Debug)]
pub struct Settled {
    /// The commit that holds them; `None` where there is none yet.
    pub tip: Option<ObjectId>,
    /// What is held.
    pub leases: Leases,
    /// What was changed.
    pub changes: Vec<LeaseChange>,
}

/// Why leases are not read or not written. Those of the last time stay in force.
#[derive(Debug, Error)]
pub enum LeasesError {
    /// The settings name no branch of leases.
    #[error("the node's settings name no branch of leases (`leases:`)")]
    NoBranch,
    /// No key signs for this node.
    #[error("the node's settings name no key that signs leases (`key:` below `leases:`)")]
    NoKey,
    /// The key cannot be used.
    #[error("the key that signs leases cannot be used: {0}")]
    Key(String),
    /// The server gives or takes nothing.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// What the branch is at does not count.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The branch is gone that was there before.
    #[error("the branch of leases is gone; what was taken last is {0}")]
    Gone(ObjectId),
    /// Something on the branch is no lease.
    #[error("{count} files of the branch are no leases; the first: {first}")]
    Broken {
        /// The first one, with the reason.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// There is nothing to publish.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// Others were always first.
    #[error("others published first, {TRIES} times in a row")]
    Contended,
    /// Another process of this node is at it.
    #[error("another process of this node reads or writes leases, and does not come to an end")]
    Busy,
    /// The record of what was taken last cannot be read.
    #[error("`{TAKEN}` is damaged: {0}")]
    Damaged(String),
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl LeasesError {
    /// A stable name of the reason, for programs; of those that `weft explain` knows.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Ledger(error) => Some(error.code()),
            Self::Gone(_) => Some("ledger-gone"),
            Self::Broken { .. } => Some("ledger-broken"),
            _ => None,
        }
    }
}

impl<'a, H: Host> Branch<'a, H> {
    /// The branch of the settings.
    pub fn of(
        host: &'a H,
        settings: &'a Settings,
        starter: Starter<'a>,
    ) -> Result<Self, LeasesError> {
        let branch = settings.leases.as_ref().map(|leases| &leases.value);
        let branch = branch.ok_or(LeasesError::NoBranch)?;
        let declared = &branch.remote.value;
        let remote = Remote { name: declared.name.value.clone(), url: declared.url.value.clone() };
        let access = credentials::access(host, settings, declared)
            .map_err(|failure| TransportError::of(&remote, &failure))?;
        Ok(Self {
            host,
            settings: branch,
            starter,
            cache: starter.path(Utf8Path::new(CACHE)),
            remote,
            access,
            limits: FetchLimits {
                schemes: settings.schemes(),
                received_bytes: ledger::MAX_RECEIVED,
                objects: ledger::MAX_OBJECTS,
                ..FetchLimits::default()
            },
            deadline: settings.fetch_deadline(),
        })
    }

    /// How long an address stays its guest's.
    pub fn grace(&self) -> Duration {
        self.settings.grace()
    }

    /// Whether this node has a key to sign with.
    pub fn writes(&self) -> bool {
        self.settings.key.is_some()
    }

    /// Whether whoever asks is to come to an end.
    pub fn is_given_up(&self) -> bool {
        self.starter.cancel.is_cancelled()
    }

    /// What is held now. The node remembers it.
    pub fn read(&self, allocators: &Allocators) -> Result<Held, LeasesError> {
        let _lock = self.lock()?;
        let (_, ledger) = self.fetch(allocators)?;
        let held = self.take(ledger)?;
        addresses::remember(self.host, held.tip, &held.leases)?;
        Ok(held)
    }

    /// Lets `decide` say what changes, from what is held, and publishes that as one commit.
    /// Where somebody else was first, it is asked again about what is held then. Nothing is
    /// published where it changes nothing. The node remembers what is held then.
    pub fn settle(
        &self,
        allocators: &Allocators,
        message: &str,
        mut decide: impl FnMut(&Held) -> Decision,
    ) -> Result<Settled, LeasesError> {
        let mut changes = Vec::new();
        let (_lock, tip, leases) = self.advance(allocators, message, |held| {
            let decision = decide(held);
            changes = decision.changes;
            let leases_of = changes.iter().map(|change| {
                let path = lease::path(&change.zone, change.address);
                (path, change.after.as_ref().map(lease::write))
            });
            let configuration = decision.configuration.map(|configuration| {
                let path = declare::constant_path(lease::CONFIGURATION);
                (path, Some(lease::write_configuration(&configuration)))
            });
            leases_of.chain(configuration).collect()
        })?;
        let leases = changed(leases, &changes);
        addresses::remember(self.host, tip, &leases)?;
        Ok(Settled { tip, leases, changes })
    }

    /// Lets `decide` say who writes to servers, in the same way; nobody new where it says
    /// nothing.
    pub fn publish(
        &self,
        allocators: &Allocators,
        message: &str,
        mut decide: impl FnMut(&Held) -> Option<Writer>,
    ) -> Result<(), LeasesError> {
        let file =
            |writer: Writer| (declare::constant_path(writer::WRITER), Some(writer::write(&writer)));
        self.advance(allocators, message, |held| decide(held).map(file).into_iter().collect())?;
        Ok(())
    }

    /// Publishes what `decide` makes of what is held. The branch's lock, for what is to be
    /// written down under it; the tip then, and the leases before.
    fn advance(
        &self,
        allocators: &Allocators,
        message: &str,
        mut decide: impl FnMut(&Held) -> BTreeMap<RepoPath, Option<Vec<u8>>>,
    ) -> Result<(H::Lock, Option<ObjectId>, Leases), LeasesError> {
        let key = self.key()?;
        let lock = self.lock()?;
        for tries in 0..TRIES {
            let (worker, ledger) = self.fetch(allocators)?;
            let held = self.take(ledger)?;
            let mut files = decide(&held);
            let Held { tip: base, line, leases, .. } = held;
            if base.is_none() && files.values().any(Option::is_some) {
                let mark = lease::write_mark(allocators.cluster());
                files.insert(declare::constant_path(lease::MARK), Some(mark));
            }
            let who = ("weft", message, self.host.now());
            let draft = draft(Store::new(&worker), base, &files, who, &key)?;
            let Some(draft) = draft else { return Ok((lock, base, leases)) };
            drop(worker);
            let publisher = self.starter.start(self.deadline)?;
            let branch = self.settings.branch();
            let place = (self.cache.as_path(), &self.limits);
            match publisher.publish(&self.remote, &self.access, branch, place, &draft) {
                Ok(()) => {
                    taken::remember(self.host, Taken { commit: draft.commit, line, upon: base })?;
                    return Ok((lock, Some(draft.commit), leases));
                }
                // Servers word a lost race in many ways; whether it is one, the branch tells.
                Err(error @ TransportError::Publish { code: FailureCode::Declined, .. })
                    if self.look()? == base =>
                {
                    return Err(error.into());
                }
                Err(TransportError::Publish {
                    code: FailureCode::Moved | FailureCode::Declined,
                    ..
                }) => {}
                Err(error) => return Err(error.into()),
            }
            self.host.wait(pause(tries));
        }
        Err(LeasesError::Contended)
    }

    fn key(&self) -> Result<SigningKey, LeasesError> {
        let path = self.settings.key.as_ref().ok_or(LeasesError::NoKey)?;
        let path = path.value.as_ref();
        let bad = |why: String| LeasesError::Key(why);
        let text = credentials::secret(self.host, path).map_err(|error| bad(error.message))?;
        SigningKey::read(&text).map_err(|error: SigningKeyError| bad(format!("`{path}`: {error}")))
    }

    fn lock(&self) -> Result<H::Lock, LeasesError> {
        for _ in 0..LOCK_TRIES {
            if let Some(lock) = self.host.lock(Utf8Path::new(LOCK))? {
                return Ok(lock);
            }
            self.host.wait(LOCK_PAUSE);
        }
        Err(LeasesError::Busy)
    }

    fn look(&self) -> Result<Option<ObjectId>, LeasesError> {
        let worker = self.starter.start(self.deadline)?;
        let branch = self.settings.branch();
        match worker.look(&self.remote, &self.access, branch, (&self.cache, &self.limits), false) {
            Ok(tip) => Ok(Some(tip)),
            Err(TransportError::Remote { code: FailureCode::NoBranch, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Brings the branch here and judges it; nothing where there is no such branch yet.
    fn fetch(&self, allocators: &Allocators) -> Result<(Worker, Option<Ledger>), LeasesError> {
        let worker = self.starter.start(self.deadline)?;
        let branch = self.settings.branch();
        let taken = taken(self.host)?;
        let fetched = worker.fetch(&self.remote, &self.access, branch, &self.cache, &self.limits);
        let ledger = match (fetched, taken) {
            (Ok(tip), taken) => {
                let now = self.host.now();
                Some(ledger::judge(Store::new(&worker), tip, taken, allocators, now)?)
            }
            (Err(TransportError::Remote { code: FailureCode::NoBranch, .. }), None) => None,
            (Err(TransportError::Remote { code: FailureCode::NoBranch, .. }), Some(taken)) => {
                return Err(LeasesError::Gone(taken.commit));
            }
            (Err(error), _) => return Err(error.into()),
        };
        Ok((worker, ledger))
    }

    /// Takes a tip that counts, if all of it is leases: the branch may be taken back from one
    /// that is not.
    fn take(&self, ledger: Option<Ledger>) -> Result<Held, LeasesError> {
        let Some(ledger) = ledger else { return Ok(Held::default()) };
        if let Some(first) = ledger.broken.first() {
            let (first, count) = (first.to_string(), ledger.broken.len());
            return Err(LeasesError::Broken { first, count });
        }
        let Ledger { tip, line, leases, configuration, writer, .. } = ledger;
        taken::remember(self.host, Taken { commit: tip, line, upon: None })?;
        Ok(Held { tip: Some(tip), line, leases, configuration, writer })
    }
}

fn changed(mut leases: Leases, changes: &[LeaseChange]) -> Leases {
    for change in changes {
        let key = (change.zone.clone(), change.address);
        match &change.after {
            Some(lease) => drop(leases.insert(key, lease.clone())),
            None => drop(leases.remove(&key)),
        }
    }
    leases
}

/// Of those who wait, each another time, and longer where many do.
fn pause(tries: u32) -> Duration {
    let share = u32::try_from(RandomState::new().hash_one(tries) % 1000).unwrap_or_default();
    (PAUSE * (1 << tries.min(3)) / 1000) * share
}

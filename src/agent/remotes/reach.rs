//! How remotes are reached: each by a process of its own, which has that remote's
//! credential and no other, and a time of its own.

use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::agent::credentials;
use crate::agent::settings::Settings;
use crate::agent::turn::CACHE;
use crate::host::Host;
use crate::sync::protocol::{Cage, Failure};
use crate::sync::worker::{FETCH_USER, FetchUser};
use crate::sync::{Access, Cancel, FetchLimits, Remote, TransportError, Worker};
use crate::value::ObjectId;

/// The longest that one remote may take to say where its branch is.
const LOOK: Duration = Duration::from_secs(30);

/// How many remotes are looked at together; each process takes some memory.
const TOGETHER: usize = 3;

/// What was seen of a remote.
#[derive(Debug)]
pub(super) struct Sight {
    /// Where its branch is.
    pub(super) tip: ObjectId,
    /// How the process was confined that saw it.
    pub(super) cage: Option<Cage>,
    /// That process, where it may go on and fetch.
    pub(super) worker: Option<Worker>,
}

/// What looking at a remote gave.
pub(super) type Looked = Result<Sight, TransportError>;

/// A remote, and what it is reached with.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) remote: Remote,
    access: Result<Access, Failure>,
}

impl Target {
    fn access(&self) -> Result<&Access, TransportError> {
        self.access.as_ref().map_err(|failure| TransportError::of(&self.remote, failure))
    }
}

/// What all remotes are reached by.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    program: &'a Utf8Path,
    /// Whom the processes run as; as the agent itself when `None`.
    user: Option<FetchUser>,
    branch: &'a str,
    cache: Utf8PathBuf,
    limits: FetchLimits,
    /// How long fetching and reading may take, with all remotes together.
    pub(super) deadline: Duration,
    cancel: &'a Cancel,
}

/// The remotes of the settings, with their secrets as they are now.
pub(super) fn targets(host: &impl Host, settings: &Settings) -> Vec<Target> {
    let target = |declared| {
        let access = credentials::access(host, settings, declared);
        let (name, url) = (declared.name.value.clone(), declared.url.value.clone());
        Target { remote: Remote { name, url }, access }
    };
    settings.remotes.value.iter().map(target).collect()
}

impl<'a> Reach<'a> {
    /// By `program`, on the node or on the dry node below `root`: files of a dry node
    /// belong to whoever made it, so there the processes are nobody else.
    pub(super) fn new(
        program: &'a Utf8Path,
        root: Option<&Utf8Path>,
        settings: &'a Settings,
        deadline: Duration,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            program,
            user: if root.is_none() { FetchUser::find() } else { None },
            branch: settings.branch(),
            cache: match root {
                Some(root) => root.join(CACHE.trim_start_matches('/')),
                None => Utf8PathBuf::from(CACHE),
            },
            limits: FetchLimits { schemes: settings.schemes(), ..FetchLimits::default() },
            deadline,
            cancel,
        }
    }

    /// Where the branch is on each remote. One that is slow holds up nobody but those
    /// that have to wait for a place.
    pub(super) fn look(&self, targets: &[Target]) -> Vec<Looked> {
        if let [only] = targets {
            return vec![self.look_at(only, true)];
        }
        let mut sights = Vec::new();
        for together in targets.chunks(TOGETHER) {
            thread::scope(|scope| {
                let looks: Vec<_> = together
                    .iter()
                    .map(|target| scope.spawn(move || self.look_at(target, false)))
                    .collect();
                for look in looks {
                    sights.push(look.join().unwrap_or_else(|_| {
                        Err(TransportError::Broken { message: "was not understood".to_owned() })
                    }));
                }
            });
        }
        sights
    }

    /// Among several remotes no process stays: only one at a time has the cache.
    fn look_at(&self, target: &Target, may_fetch: bool) -> Looked {
        let access = target.access()?;
        let worker = Worker::start(self.program, self.user, LOOK.min(self.deadline), self.cancel)?;
        let place = (&*self.cache, &self.limits);
        let tip = worker.look(&target.remote, access, self.branch, place, may_fetch)?;
        let cage = worker.cage().ok();
        Ok(Sight { tip, cage, worker: may_fetch.then_some(worker) })
    }

    /// Brings the cache up to a remote, by a process that ends after `deadline`: the one that
    /// looked at it, or another one.
    pub(super) fn fetch(
        &self,
        target: &Target,
        looked: Option<Worker>,
        deadline: Duration,
    ) -> Result<(Worker, ObjectId), TransportError> {
        let access = target.access()?;
        let worker = match looked {
            Some(worker) => worker,
            None => Worker::start(self.program, self.user, deadline, self.cancel)?,
        };
        worker.give(deadline);
        let tip = worker.fetch(&target.remote, access, self.branch, &self.cache, &self.limits)?;
        Ok((worker, tip))
    }
}

/// What is to be said of how the processes are confined.
pub(super) fn warnings(cage: Cage, dry: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if cage.user == 0 && !dry {
        warnings.push(format!(
            "the fetch process runs as root, for there is no user `{FETCH_USER}`; \
             `systemd-sysusers weft.conf` makes it"
        ));
    }
    if cage.landlock == 0 {
        warnings.push(
            "the kernel has no Landlock, so the fetch process may reach every file of its user"
                .to_owned(),
        );
    }
    warnings
}

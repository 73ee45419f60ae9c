//! The agent's end of the fetch process: starts it, bounds it, and believes nothing
//! of what it says.
//!
//! libgit2 cannot be interrupted while it looks up a name, connects or waits, and
//! reads what strangers wrote; so it runs in a process that may be killed.

mod cancel;
mod keeper;
mod talk;
mod user;

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use thiserror::Error;

use super::access::Access;
use super::objects::{ObjectError, Objects, Raw};
use super::protocol::{
    Answer, Cage, Failure, FailureCode, Fetch, FetchLimits, Publish, Request, kind_named,
};
use super::publish::Draft;
use super::remote::{Remote, RemoteUrl};
use crate::value::{ObjectId, Word};
use keeper::Keeper;
use talk::{Bound, Over, Pipes, Talk, printable};

pub use cancel::Cancel;
pub use user::{FetchUser, NAME as FETCH_USER};

/// A running fetch process. Dropping it kills and reaps the process.
#[derive(Debug)]
pub struct Worker {
    process: u32,
    user: Option<FetchUser>,
    talk: Mutex<Talk>,
    /// The class of what went wrong when an object was read.
    fault: OnceLock<&'static str>,
}

impl Worker {
    /// Starts `program fetch-worker` with an empty environment, as a user of its own where
    /// there is one, without any other group. After `deadline` it is killed, whatever it
    /// does, and sooner when `cancel` is said while something is asked of it.
    pub fn start(
        program: &Utf8Path,
        user: Option<FetchUser>,
        deadline: Duration,
        cancel: &Cancel,
    ) -> Result<Self, TransportError> {
        let failed = |source| TransportError::Start { program: program.to_owned(), source };
        let begin = Instant::now();
        #[expect(
            clippy::disallowed_methods,
            reason = "this program itself, as the process that alone talks to remotes"
        )]
        let mut command = Command::new(program);
        if let Some(user) = user {
            // Leaves all groups of root.
            command.gid(user.group).uid(user.user);
        }
        let mut child = command
            .arg("fetch-worker")
            .env_clear()
            .current_dir("/")
            // So that all of it is killed together, and no terminal ends it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let process = child.id();
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let keeper = Keeper::watch(child, deadline).map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let pipes = Pipes { input, output, errors: Some(errors) };
        let bound = Bound { begin, deadline, cancel: cancel.clone() };
        let talk = Talk::new(pipes, keeper, bound).map_err(failed)?;
        Ok(Self { process, user, talk: Mutex::new(talk), fault: OnceLock::new() })
    }

    /// The id of the process.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Where a branch of a remote is, by the remote's word. Brings nothing, and needs no
    /// lock: several may look at the same time, with one cache. Only one that `may_fetch` can
    /// be asked to [`fetch`](Self::fetch) after it.
    pub fn look(
        &self,
        remote: &Remote,
        access: &Access,
        branch: &str,
        (cache, limits): (&Utf8Path, &FetchLimits),
        may_fetch: bool,
    ) -> Result<ObjectId, TransportError> {
        let fetch = self.request(remote, access, branch, cache, limits)?;
        self.tip(remote, &Request::Look { fetch, may_fetch })
    }

    /// Lets the process live that long from now on.
    pub fn give(&self, deadline: Duration) {
        self.talk().give(deadline);
    }

    /// Brings a cache up to a branch of a remote and gives the branch's tip. What
    /// `access` holds goes to the process through a pipe, and nowhere else. The caller
    /// holds the lock of the cache until the worker is dropped.
    pub fn fetch(
        &self,
        remote: &Remote,
        access: &Access,
        branch: &str,
        cache: &Utf8Path,
        limits: &FetchLimits,
    ) -> Result<ObjectId, TransportError> {
        let fetch = self.request(remote, access, branch, cache, limits)?;
        self.tip(remote, &Request::Fetch(fetch))
    }

    /// Publishes a commit on a branch of a remote, if the branch is at what the commit
    /// stands on. Otherwise [`FailureCode::Moved`], or what the server says. A worker that
    /// fetched publishes nothing: it may write less.
    pub fn publish(
        &self,
        remote: &Remote,
        access: &Access,
        branch: &str,
        (cache, limits): (&Utf8Path, &FetchLimits),
        draft: &Draft,
    ) -> Result<(), TransportError> {
        let fetch = self.request(remote, access, branch, cache, limits)?;
        let sizes = draft.objects.iter();
        let objects =
            sizes.map(|(kind, bytes)| (kind.as_str().to_owned(), bytes.len() as u64)).collect();
        let body: Vec<u8> = draft.objects.iter().flat_map(|(_, bytes)| bytes).copied().collect();
        let publish = Publish { fetch: *fetch, base: draft.base, commit: draft.commit, objects };
        let mut talk = self.talk();
        match talk.ask_with(&Request::Publish(Box::new(publish)), &body)? {
            (Answer::Published, _) => Ok(()),
            (Answer::Failed(failure), _) => Err(TransportError::Publish {
                remote: remote.name.clone(),
                url: remote.url.clone(),
                code: failure.code,
                message: printable(&failure.message),
            }),
            _ => Err(talk.give_up(Over::Broken("answered another question".to_owned()))),
        }
    }

    /// Opens a repository of this machine where it lies, to read its objects: `path` is a
    /// work tree or a bare repository, and absolute. Says whether commits are left out of it.
    pub fn open(&self, path: &Utf8Path) -> Result<bool, TransportError> {
        let mut talk = self.talk();
        let seconds = u32::try_from(talk.left().as_secs()).unwrap_or(u32::MAX).saturating_add(2);
        match talk.ask(&Request::Open { path: path.to_owned(), seconds })? {
            (Answer::Opened { shallow }, _) => Ok(shallow),
            (Answer::Failed(failure), _) => Err(TransportError::local(path, &failure)),
            _ => Err(talk.give_up(Over::Broken("answered another question".to_owned()))),
        }
    }

    /// The commit that a revision of the opened repository names; `path` is for messages.
    pub fn resolve(&self, path: &Utf8Path, revision: &str) -> Result<ObjectId, TransportError> {
        let mut talk = self.talk();
        match talk.ask(&Request::Resolve { revision: revision.to_owned() })? {
            (Answer::Tip(commit), _) => Ok(commit),
            (Answer::Failed(failure), _) => Err(TransportError::local(path, &failure)),
            _ => Err(talk.give_up(Over::Broken("answered another question".to_owned()))),
        }
    }

    /// The stable name of what went wrong when an object was read, if something did.
    pub fn fault(&self) -> Option<&'static str> {
        self.fault.get().copied()
    }

    fn source(&self, error: &TransportError) -> ObjectError {
        self.fault.get_or_init(|| error.code());
        ObjectError::Source { message: error.to_string() }
    }

    /// How the process is confined.
    pub fn cage(&self) -> Result<Cage, TransportError> {
        let mut talk = self.talk();
        match talk.ask(&Request::Cage)? {
            (Answer::Cage(cage), _) => Ok(cage),
            _ => Err(talk.give_up(Over::Broken("answered another question".to_owned()))),
        }
    }

    fn request(
        &self,
        remote: &Remote,
        access: &Access,
        branch: &str,
        cache: &Utf8Path,
        limits: &FetchLimits,
    ) -> Result<Box<Fetch>, TransportError> {
        if let Some(user) = self.user {
            user.hand_over(cache).map_err(|error| {
                let message =
                    format!("cannot let `{FETCH_USER}` keep the cache `{cache}`: {error}");
                TransportError::of(remote, &Failure::new(FailureCode::Permission, message))
            })?;
        }
        let left = self.talk().left();
        Ok(Box::new(Fetch {
            url: remote.url.clone(),
            access: access.clone(),
            branch: branch.to_owned(),
            cache: cache.to_owned(),
            limits: limits.clone(),
            // Later than this end does it.
            seconds: u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(2),
        }))
    }

    fn tip(&self, remote: &Remote, request: &Request) -> Result<ObjectId, TransportError> {
        let mut talk = self.talk();
        match talk.ask(request)? {
            (Answer::Tip(tip), _) => Ok(tip),
            (Answer::Failed(failure), _) => Err(TransportError::of(remote, &failure)),
            _ => Err(talk.give_up(Over::Broken("answered another question".to_owned()))),
        }
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        // Whoever panicked left a conversation that is in order or over.
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects for Worker {
    fn read(&self, id: ObjectId, limit: u64) -> Result<Raw, ObjectError> {
        let mut talk = self.talk();
        let asked = talk.ask(&Request::Read { object: id, limit });
        let (answer, bytes) = asked.map_err(|error| self.source(&error))?;
        let lie = match answer {
            Answer::Object { kind, .. } => match kind_named(&kind) {
                Some(kind) => return Ok(Raw { kind, bytes }),
                None => "sent an object of an unknown kind",
            },
            Answer::Missing => return Err(ObjectError::Missing { id }),
            Answer::TooLarge { size, limit: held } if held <= limit && held < size => {
                return Err(ObjectError::TooLarge { id, size, limit: held });
            }
            Answer::TooLarge { .. } => "refused an object that is not too large",
            Answer::Failed(failure) => {
                self.fault.get_or_init(|| failure.code.as_str());
                return Err(ObjectError::Source { message: printable(&failure.message) });
            }
            Answer::Tip(_) | Answer::Published | Answer::Opened { .. } | Answer::Cage(_) => {
                "answered another question"
            }
        };
        Err(self.source(&talk.give_up(Over::Broken(lie.to_owned()))))
    }
}

/// Why the fetch process gave nothing.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The process could not be started.
    #[error("cannot start the fetch process `{program}`")]
    Start {
        /// The program.
        program: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process looked, and says why it cannot be done.
    #[error("cannot fetch from remote `{remote}` ({url}): {message}")]
    Remote {
        /// The remote's name.
        remote: Word,
        /// The remote.
        url: RemoteUrl,
        /// The class of the failure.
        code: FailureCode,
        /// The reason.
        message: String,
    },
    /// The process looked, and says why it cannot publish.
    #[error("cannot publish to remote `{remote}` ({url}): {message}")]
    Publish {
        /// The remote's name.
        remote: Word,
        /// The remote.
        url: RemoteUrl,
        /// The class of the failure.
        code: FailureCode,
        /// The reason.
        message: String,
    },
    /// The process looked at a repository of this machine, and says why it cannot be read.
    #[error("cannot read the repository `{path}`: {message}")]
    Local {
        /// The repository.
        path: Utf8PathBuf,
        /// The class of the failure.
        code: FailureCode,
        /// The reason.
        message: String,
    },
    /// It took too long.
    #[error("the fetch process was stopped: it was not done after {} s", .after.as_secs_f32())]
    Deadline {
        /// How long the process had.
        after: Duration,
    },
    /// Something else could not wait.
    #[error("the fetch process was stopped for something more urgent")]
    Cancelled,
    /// The process died or broke its word.
    #[error("the fetch process {message}")]
    Broken {
        /// What it did.
        message: String,
    },
}

impl TransportError {
    /// A failure of a remote.
    pub fn of(remote: &Remote, failure: &Failure) -> Self {
        Self::Remote {
            remote: remote.name.clone(),
            url: remote.url.clone(),
            code: failure.code,
            message: printable(&failure.message),
        }
    }

    fn local(path: &Utf8Path, failure: &Failure) -> Self {
        let (code, message) = (failure.code, printable(&failure.message));
        Self::Local { path: path.to_owned(), code, message }
    }

    /// A stable name of the class, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => "worker-start",
            Self::Remote { code, .. } | Self::Publish { code, .. } | Self::Local { code, .. } => {
                code.as_str()
            }
            Self::Deadline { .. } => "deadline",
            Self::Cancelled => "fetch-cancelled",
            Self::Broken { .. } => "worker-broken",
        }
    }

    /// Whether the same may succeed later, although nobody changes a setting.
    pub fn retry_helps(&self) -> bool {
        match self {
            Self::Remote { code, .. } | Self::Publish { code, .. } | Self::Local { code, .. } => {
                code.retry_helps()
            }
            Self::Start { .. } | Self::Deadline { .. } | Self::Cancelled | Self::Broken { .. } => {
                true
            }
        }
    }
}

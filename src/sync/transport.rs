//! The fetch process: the only part of the agent that runs libgit2.
//!
//! It believes what it reads from a remote no more than it must, and the agent
//! believes nothing of what it says: objects are hashed again on the other side.
//! It can be killed at any moment; what is then left in the cache is cleaned up,
//! or fetched anew, by the next one.

mod authorities;
mod cage;
mod copy;
mod diagnose;
mod local;
mod login;
mod network;
mod open;
mod preference;
mod publish;

use std::cell::Cell;
use std::io::{self, BufRead, Read as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use camino::Utf8Path;
use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};
use nix::unistd::alarm;
use zeroize::Zeroizing;

use super::cache::CacheDirectory;
use super::objects::Kind;
use super::protocol::{
    Answer, BODY_LIMIT, Cage, Failure, FailureCode, Fetch, FetchLimits, Publish, REQUEST_LIMIT,
    Request,
};
use crate::value::ObjectId;
use local::{Local, Places};
use open::{check_scheme, find_tip, open_remote};

/// The oldest libgit2 with the fixes of 2026.
const OLDEST: (u32, u32, u32) = (1, 9, 7);

/// How long to wait for a connection, in milliseconds.
const CONNECT_TIMEOUT_MS: i32 = 10_000;
/// How long to wait for a server to say something more, in milliseconds.
const SERVER_TIMEOUT_MS: i32 = 20_000;
const SERVER_TIMEOUT: Duration = Duration::from_millis(SERVER_TIMEOUT_MS.unsigned_abs() as u64);

/// Answers requests on standard input until it ends. Run by the agent, as another
/// process and with an empty environment; complaints go to standard error.
pub fn serve() -> ExitCode {
    let talk = || {
        cage::enter()?;
        check_library()?;
        converse(&mut io::stdin().lock(), &mut io::stdout().lock()).map_err(|e| e.to_string())
    };
    match talk() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// Tells the agent something that is no answer.
fn complain(message: &str) {
    // Nobody is left to be told that nobody listens.
    drop(writeln!(io::stderr(), "{message}"));
}

/// Refuses to run with an old libgit2.
fn check_library() -> Result<(), String> {
    let found = git2::Version::get();
    if !found.vendored() || found.libgit2_version() < OLDEST {
        return Err(format!(
            "this program was built with {found:?}, and not with its own libgit2 of {OLDEST:?} or later"
        ));
    }
    Ok(())
}

fn converse(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    let mut session = Session::default();
    loop {
        // May hold a secret.
        let mut line = Zeroizing::new(Vec::new());
        input.by_ref().take(REQUEST_LIMIT as u64).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let (answer, bytes) = match serde_json::from_slice(&line) {
            Ok(Request::Look { fetch, may_fetch }) => {
                alarm::set(fetch.seconds.max(1));
                let tip = session.look(&fetch, may_fetch);
                (tip.map_or_else(Answer::Failed, Answer::Tip), Vec::new())
            }
            Ok(Request::Fetch(fetch)) => {
                alarm::set(fetch.seconds.max(1));
                (session.fetch(*fetch).map_or_else(Answer::Failed, Answer::Tip), Vec::new())
            }
            Ok(Request::Publish(publish)) => {
                alarm::set(publish.fetch.seconds.max(1));
                let body = body(input, &publish)?;
                let published = session.publish(&publish, &body);
                (published.map_or_else(Answer::Failed, |()| Answer::Published), Vec::new())
            }
            Ok(Request::Open { path, seconds }) => {
                alarm::set(seconds.max(1));
                (session.open(&path).unwrap_or_else(Answer::Failed), Vec::new())
            }
            Ok(Request::Resolve { revision }) => {
                (session.resolve(&revision).map_or_else(Answer::Failed, Answer::Tip), Vec::new())
            }
            Ok(Request::Cage) => (Answer::Cage(session.lock(&cage::Needs::default())), Vec::new()),
            Ok(Request::Read { object, limit }) => match session.read(object, limit) {
                Ok(Found::Object(kind, bytes)) => {
                    let size = bytes.len() as u64;
                    (Answer::Object { kind: kind.as_str().to_owned(), size }, bytes)
                }
                Ok(Found::Missing) => (Answer::Missing, Vec::new()),
                Ok(Found::TooLarge { size, limit }) => {
                    (Answer::TooLarge { size, limit }, Vec::new())
                }
                Err(failure) => (Answer::Failed(failure), Vec::new()),
            },
            Err(error) => {
                // Where and how, but not what: it may hold a secret.
                let (what, column) = (error.classify(), error.column());
                let message = format!("the request cannot be read ({what:?} at column {column})");
                (Answer::Failed(Failure::new(FailureCode::BadRequest, message)), Vec::new())
            }
        };
        let mut answer = serde_json::to_vec(&answer)?;
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.write_all(&bytes)?;
        output.flush()?;
    }
}

/// The objects that follow a request to publish.
fn body(input: &mut impl BufRead, publish: &Publish) -> io::Result<Vec<u8>> {
    let size = publish.objects.iter().try_fold(0_u64, |sum, (_, size)| sum.checked_add(*size));
    let size = size.filter(|size| *size <= BODY_LIMIT);
    let size = size.ok_or_else(|| io::Error::other("too much is to be published at once"))?;
    let mut body = Vec::new();
    input.by_ref().take(size).read_to_end(&mut body)?;
    Ok(body)
}

/// What comes before anything is asked of a remote.
fn begin(fetch: &Fetch) -> Result<(), Failure> {
    check_scheme(&fetch.url, &fetch.limits)?;
    // Before anything else of libgit2, which reads them when it begins.
    authorities::set(fetch.access.authorities.as_deref())?;
    limit_libgit2(&fetch.limits).map_err(|e| unlimited(&e))?;
    cage::bound_memory(fetch.limits.objects).map_err(|why| Failure::new(FailureCode::Failed, why))
}

fn unlimited(error: &git2::Error) -> Failure {
    Failure::new(FailureCode::BadRequest, format!("cannot set libgit2's limits: {error}"))
}

/// What became of a wish for an object.
enum Found {
    Object(Kind, Vec<u8>),
    Missing,
    TooLarge { size: u64, limit: u64 },
}

/// Why something did not work, by what helps.
enum Trouble {
    /// The cache is in the way: it helps to empty it.
    Cache(String),
    /// Something is missing: because the cache has half of it, or the remote does.
    Incomplete(String),
    /// Nothing that is done here helps.
    Final(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// The cache that was fetched last, and where from.
struct Store {
    fetch: Fetch,
    cache: Repository,
    tip: Oid,
    source: Source,
}

/// Where objects come from.
enum Source {
    /// A repository of this machine.
    Directory(Repository),
    /// A server. Once it is known that all is there that the tip stands on, what is
    /// missing is not there at all.
    Server { whole: Cell<bool> },
}

#[derive(Default)]
struct Session {
    store: Option<Store>,
    /// A repository that is read where it lies.
    local: Option<Local>,
    /// Whether a cache was emptied: once has to be enough.
    emptied: bool,
    /// How the process is confined, once it is.
    cage: Option<Cage>,
}

impl Session {
    /// Confines the process, the first time: there is no way back.
    fn lock(&mut self, needs: &cage::Needs) -> Cage {
        *self.cage.get_or_insert_with(|| cage::lock(needs))
    }

    fn look(&mut self, fetch: &Fetch, may_fetch: bool) -> Result<ObjectId, Failure> {
        begin(fetch)?;
        let mut needs = cage::Needs::of(fetch);
        if may_fetch {
            CacheDirectory::claim(&fetch.cache)?;
            needs.writable.push(fetch.cache.clone());
        }
        if let Some(path) = fetch.url.path() {
            self.lock(&needs);
            return object_id(find_tip(&open_remote(path)?, &fetch.branch)?);
        }
        let home = network::home(fetch)?;
        needs.writable.extend(home.clone());
        self.lock(&needs);
        object_id(network::look(home.as_deref(), fetch)?)
    }

    fn fetch(&mut self, fetch: Fetch) -> Result<ObjectId, Failure> {
        self.store = None;
        begin(&fetch)?;
        let source = match fetch.url.path() {
            Some(path) => {
                let remote = open_remote(path)?;
                let tip = find_tip(&remote, &fetch.branch)?;
                Some((remote, tip))
            }
            None => None,
        };
        let directory = CacheDirectory::claim(&fetch.cache)?;
        let needs = cage::Needs { writable: vec![fetch.cache.clone()], ..cage::Needs::of(&fetch) };
        self.lock(&needs);
        directory.tidy()?;
        let fill = || match &source {
            Some((remote, tip)) => Ok((copy::fill(&directory, remote, *tip, &fetch)?, *tip)),
            None => network::fill(&directory, &fetch),
        };
        let mut filled = fill();
        if let Err(Trouble::Cache(reason) | Trouble::Incomplete(reason)) = &filled
            && !self.emptied
        {
            complain(&format!("the cache `{}` is fetched anew: {reason}", fetch.cache));
            self.emptied = true;
            directory.empty()?;
            filled = fill();
        }
        let (cache, tip) = filled.map_err(|trouble| damaged(&fetch.cache, trouble))?;
        let source = match source {
            Some((remote, _)) => Source::Directory(remote),
            None => Source::Server { whole: Cell::new(false) },
        };
        self.store = Some(Store { fetch, cache, tip, source });
        object_id(tip)
    }

    fn open(&mut self, path: &Utf8Path) -> Result<Answer, Failure> {
        let places = Places::find(path)?;
        let limits = FetchLimits::default();
        limit_libgit2(&limits).map_err(|e| unlimited(&e))?;
        cage::bound_memory(limits.objects).map_err(|why| Failure::new(FailureCode::Failed, why))?;
        self.lock(&cage::Needs { readable: places.all(), ..cage::Needs::default() });
        let shallow = places.is_shallow();
        self.local = Some(Local::open(places)?);
        Ok(Answer::Opened { shallow })
    }

    fn resolve(&self, revision: &str) -> Result<ObjectId, Failure> {
        let nothing = || Failure::new(FailureCode::BadRequest, "nothing was opened yet");
        self.local.as_ref().ok_or_else(nothing)?.resolve(revision)
    }

    fn read(&mut self, id: ObjectId, limit: u64) -> Result<Found, Failure> {
        if let Some(local) = &self.local {
            let limit = limit.min(FetchLimits::default().object_bytes.into());
            return local.read(id, limit);
        }
        let Some(store) = &self.store else {
            return Err(Failure::new(FailureCode::BadRequest, "nothing was fetched yet"));
        };
        let reason = match store.read(id, limit) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if self.emptied => return Ok(Found::Missing),
            Ok(None) => format!("it lacks object {id}"),
            Err(Trouble::Cache(reason) | Trouble::Incomplete(reason)) => reason,
            Err(Trouble::Final(failure)) => return Err(failure),
        };
        let fetch = store.fetch.clone();
        if self.emptied {
            return Err(damaged(&fetch.cache, Trouble::Cache(reason)));
        }
        complain(&format!("the cache `{}` is fetched anew: {reason}", fetch.cache));
        self.emptied = true;
        self.store = None;
        CacheDirectory::claim(&fetch.cache)?.empty()?;
        self.fetch(fetch)?;
        self.read(id, limit)
    }
}

impl Store {
    /// An object of the cache; `None` where the remote has it and the cache should.
    fn read(&self, id: ObjectId, limit: u64) -> Result<Option<Found>, Trouble> {
        let limit = limit.min(self.fetch.limits.object_bytes.into());
        let unreadable = |e: &git2::Error| Trouble::Cache(format!("object {id}: {}", e.message()));
        let oid = Oid::from_bytes(id.as_bytes()).map_err(|e| unreadable(&e))?;
        let objects = self.cache.odb().map_err(|e| unreadable(&e))?;
        // The size is asked before anything is inflated.
        match objects.read_header(oid) {
            Ok((size, _)) if size as u64 > limit => {
                Ok(Some(Found::TooLarge { size: size as u64, limit }))
            }
            Ok(_) => {
                let object = objects.read(oid).map_err(|e| unreadable(&e))?;
                match kind(object.kind()) {
                    Some(kind) if object.len() as u64 <= limit => {
                        Ok(Some(Found::Object(kind, object.data().to_vec())))
                    }
                    _ => Err(Trouble::Cache(format!("object {id} is not what its header says"))),
                }
            }
            Err(error) if error.code() == ErrorCode::NotFound => match &self.source {
                Source::Directory(remote) => match remote.odb().and_then(|o| o.read_header(oid)) {
                    Ok((size, _)) if size as u64 > limit => {
                        Ok(Some(Found::TooLarge { size: size as u64, limit }))
                    }
                    Ok(_) => Ok(None),
                    Err(_) => Ok(Some(Found::Missing)),
                },
                Source::Server { whole } => {
                    let most = self.fetch.limits.objects;
                    whole.set(whole.get() || network::is_whole(&self.cache, self.tip, most));
                    Ok(whole.get().then_some(Found::Missing))
                }
            },
            Err(error) => Err(unreadable(&error)),
        }
    }
}

/// A failure of libgit2; its class is `code` unless the machine is the reason.
fn failure(code: FailureCode, what: &str, error: &git2::Error) -> Failure {
    let text = error.message();
    // libgit2 hands the system's error on as text only. The language is ours: the
    // environment is empty.
    let code = if text.contains("No space left on device") || text.contains("quota exceeded") {
        FailureCode::DiskFull
    } else if text.contains("Permission denied") || text.contains("Read-only file system") {
        FailureCode::Permission
    } else if error.class() == ErrorClass::NoMemory {
        FailureCode::TooLarge
    } else {
        code
    };
    let text: String = text.chars().take(1000).collect();
    Failure::new(code, format!("{what}: {text}"))
}

fn damaged(cache: &Utf8Path, trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Final(failure) => failure,
        Trouble::Incomplete(reason) => Failure::new(FailureCode::DamagedRemote, reason),
        Trouble::Cache(reason) => Failure::new(
            FailureCode::DamagedCache,
            format!("the cache `{cache}` cannot be used, even when fetched anew: {reason}"),
        ),
    }
}

fn kind(kind: ObjectType) -> Option<Kind> {
    match kind {
        ObjectType::Commit => Some(Kind::Commit),
        ObjectType::Tree => Some(Kind::Tree),
        ObjectType::Blob => Some(Kind::Blob),
        ObjectType::Tag => Some(Kind::Tag),
        ObjectType::Any => None,
    }
}

fn object_id(oid: Oid) -> Result<ObjectId, Failure> {
    let bytes = oid.as_bytes().try_into();
    let bytes = bytes.map_err(|_| Failure::new(FailureCode::Sha256, "an id is not of SHA-1"))?;
    Ok(ObjectId::from_bytes(bytes))
}

/// Bounds what libgit2 may keep in memory and how long it waits for a server, and
/// keeps it from reading the configuration of a user or of the machine.
#[expect(unsafe_code, reason = "libgit2's settings are variables without a lock")]
fn limit_libgit2(limits: &FetchLimits) -> Result<(), git2::Error> {
    use git2::ConfigLevel::{Global, ProgramData, System, XDG};
    use git2::opts;

    let options = [
        (libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECTS, limits.objects),
        (libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, limits.object_bytes),
    ];
    // SAFETY: nothing else uses libgit2 meanwhile. This process has one thread,
    // `set_threads(1)` keeps libgit2 from starting others, and no repository is
    // open. Each option of `git_libgit2_opts` here takes one `size_t`.
    unsafe {
        for level in [ProgramData, System, XDG, Global] {
            opts::set_search_path(level, "")?;
        }
        opts::set_server_connect_timeout_in_milliseconds(CONNECT_TIMEOUT_MS)?;
        opts::set_server_timeout_in_milliseconds(SERVER_TIMEOUT_MS)?;
        opts::set_mwindow_size(4 << 20)?;
        opts::set_mwindow_mapped_limit(8 << 20)?;
        opts::set_mwindow_file_limit(64)?;
        opts::set_cache_max_size(8 << 20)?;
        for (option, value) in options {
            if libgit2_sys::git_libgit2_opts(option.cast_signed(), value as usize) < 0 {
                return Err(git2::Error::last_error(-1));
            }
        }
    }
    Ok(())
}

//! The machine itself, or a directory that stands for one.

mod inspect;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::{FoundFile, Host, HostError, LinkEvents, STATE, TEMPORARY};
use crate::facts::Facts;
use crate::plan::{
    Kernel, Look, NetworkStep, Question, ServiceStep, Services, Session, Stations, Uptime,
    Watchlist,
};
use crate::render::Managed;
use crate::value::{HostName, NodeName, ZoneId};

pub use inspect::{Entry, EntryKind, Room};

/// The most names that a directory may hold to be listed.
const MAX_NAMES: usize = 65_536;

/// A Linux machine.
#[derive(Clone, Debug)]
pub struct Linux {
    root: Option<Utf8PathBuf>,
}

/// A lock on a file, given back when it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Linux {
    /// This machine, or with a root a dry node: every path that is read or written
    /// lies below the root, and no program is run.
    pub fn new(root: Option<Utf8PathBuf>) -> Self {
        Self { root }
    }

    /// Whether this is a dry node.
    pub fn is_dry(&self) -> bool {
        self.root.is_some()
    }

    /// The place of a node's path on this machine.
    fn place(&self, path: &Utf8Path) -> Utf8PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// The place of a node's path whose directory is there, or `None` where it is not.
    ///
    /// The root of a dry node may be a copy of a real one, with links such as
    /// `/var/run → /run` that would lead to this machine's own files.
    fn existing(&self, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, HostError> {
        let place = self.place(path);
        let Some(root) = &self.root else {
            super::cluster::answers(path)?;
            return Ok(Some(place));
        };
        let fail = |e| HostError::of("find", parent(path), e);
        let directory = match parent(&place).canonicalize_utf8() {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        if directory.starts_with(root.canonicalize_utf8().map_err(fail)?) {
            return Ok(Some(place));
        }
        Err(HostError::OutsideRoot { path: path.to_owned(), root: root.clone() })
    }

    /// Makes the directory of a path, and those above it, and gives the place of the
    /// path.
    fn with_directory(&self, path: &Utf8Path) -> Result<Utf8PathBuf, HostError> {
        let fail = |e| HostError::of("make the directory of", path, e);
        if let Some(root) = &self.root {
            fs::create_dir_all(root).map_err(fail)?;
        }
        let above: Vec<&Utf8Path> = path.ancestors().skip(1).collect();
        for &directory in above.iter().rev().filter(|directory| directory.parent().is_some()) {
            let mode = if directory.starts_with(STATE) { 0o700 } else { 0o755 };
            let place = match self.existing(directory)? {
                Some(place) if !place.exists() => place,
                _ => continue,
            };
            match DirBuilder::new().mode(mode).create(&place) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(fail(error)),
            }
            // The mode above is narrowed by the umask.
            fs::set_permissions(&place, Permissions::from_mode(mode)).map_err(fail)?;
            flush_directory(parent(&place)).map_err(fail)?;
        }
        self.existing(path)?.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))
    }
}

impl Host for Linux {
    type Lock = Lock;

    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn uptime(&self) -> Result<Uptime, HostError> {
        super::watchdog::uptime()
    }

    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError> {
        let fail = |e| HostError::of("read", path, e);
        let Some(place) = self.existing(path)? else { return Ok(None) };
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // ELOOP: a symbolic link; ENXIO: a socket.
            Err(error) if matches!(raw(&error), Some(Errno::ELOOP | Errno::ENXIO)) => {
                return Err(HostError::NotAFile { path: path.to_owned() });
            }
            Err(error) => return Err(fail(error)),
        };
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(HostError::NotAFile { path: path.to_owned() });
        }
        let too_large = || HostError::TooLarge { path: path.to_owned(), limit };
        if metadata.len() > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
        if u64::try_from(bytes.len()).is_ok_and(|read| read > limit) {
            return Err(too_large());
        }
        Ok(Some(FoundFile { bytes, mode: metadata.mode() & 0o7777 }))
    }

    fn list(&self, directory: &Utf8Path) -> Result<Vec<String>, HostError> {
        let fail = |e| HostError::of("list", directory, e);
        let Some(place) = self.existing(&directory.join("any"))? else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(parent(&place)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name().into_string();
            let bad = |what: &str| fail(io::Error::new(io::ErrorKind::InvalidData, what));
            names.push(name.map_err(|_| bad("a name in it is not UTF-8"))?);
            if names.len() > MAX_NAMES {
                return Err(bad("it holds more than 65536 names"));
            }
        }
        names.sort();
        Ok(names)
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
        let fail = |e| HostError::of("write", path, e);
        let place = self.with_directory(path)?;
        let directory = parent(&place);
        // Removed again when it is dropped before it got its name.
        let mut file =
            tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory).map_err(fail)?;
        file.write_all(bytes).map_err(fail)?;
        if !self.is_dry() {
            let (owner, mine) =
                (fs::metadata(directory).map_err(fail)?, file.as_file().metadata().map_err(fail)?);
            if (owner.uid(), owner.gid()) != (mine.uid(), mine.gid()) {
                fchown(file.as_file(), Some(owner.uid()), Some(owner.gid())).map_err(fail)?;
            }
        }
        file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist(&place).map_err(|e| fail(e.error))?;
        flush_directory(directory).map_err(fail)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), HostError> {
        let fail = |e| HostError::of("rename", from, e);
        let missing = || fail(io::ErrorKind::NotFound.into());
        let old = self.existing(from)?.ok_or_else(missing)?;
        let new = self.existing(to)?.ok_or_else(missing)?;
        fs::rename(&old, &new).map_err(fail)?;
        flush_directory(parent(&new)).map_err(fail)?;
        if parent(&new) == parent(&old) {
            return Ok(());
        }
        flush_directory(parent(&old)).map_err(fail)
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), HostError> {
        let fail = |e| HostError::of("remove", path, e);
        let Some(place) = self.existing(path)? else { return Ok(()) };
        or_missing(fs::remove_file(&place)).map_err(fail)?;
        // Also where the file was gone already: perhaps not from the disk.
        or_missing(flush_directory(parent(&place))).map_err(fail)
    }

    fn flush(&self, path: &Utf8Path) -> Result<(), HostError> {
        let fail = |e| HostError::of("flush", path, e);
        let Some(place) = self.existing(path)? else { return Ok(()) };
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&place);
        or_missing(file.and_then(|file| file.sync_all())).map_err(fail)?;
        or_missing(flush_directory(parent(&place))).map_err(fail)
    }

    fn free(&self, directory: &Utf8Path) -> Result<u64, HostError> {
        let fail = |e| HostError::of("ask for free space in", directory, e);
        for place in self.place(directory).ancestors() {
            // Behind the last part of a relative root.
            let place = if place.as_str().is_empty() { Utf8Path::new(".") } else { place };
            match nix::sys::statvfs::statvfs(place.as_std_path()) {
                Ok(found) => {
                    return Ok(found.blocks_available().saturating_mul(found.fragment_size()));
                }
                Err(Errno::ENOENT) => {}
                Err(error) => return Err(fail(error.into())),
            }
        }
        Err(fail(io::ErrorKind::NotFound.into()))
    }

    fn remove_directory(&self, path: &Utf8Path) -> Result<(), HostError> {
        let fail = |e| HostError::of("remove", path, e);
        let Some(place) = self.existing(path)? else { return Ok(()) };
        or_missing(fs::remove_dir_all(&place)).map_err(fail)?;
        or_missing(flush_directory(parent(&place))).map_err(fail)
    }

    fn lock(&self, path: &Utf8Path) -> Result<Option<Lock>, HostError> {
        let fail = |e| HostError::of("lock", path, e);
        let place = self.with_directory(path)?;
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags.bits())
            .open(&place)
            .map_err(fail)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => {
                super::holder::sign(&file).map_err(fail)?;
                Ok(Some(Lock { _file: file }))
            }
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(fail(error.into())),
        }
    }

    fn acquire(&self, path: &Utf8Path) -> Result<bool, HostError> {
        let fail = |e| HostError::of("lock", path, e);
        let missing = || fail(io::ErrorKind::NotFound.into());
        // pmxcfs sets the modes of its directories and lets nobody change them.
        let above = path.parent().ok_or_else(missing)?;
        or_there(fs::create_dir(self.existing(above)?.ok_or_else(missing)?)).map_err(fail)?;
        let place = self.existing(path)?.ok_or_else(missing)?;
        match fs::create_dir(&place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let never = FileTimes::new().set_accessed(UNIX_EPOCH).set_modified(UNIX_EPOCH);
                // It may be gone by now.
                let asked = File::open(&place).and_then(|lock| lock.set_times(never));
                or_missing(asked).map_err(fail)?;
                Ok(false)
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn release(&self, path: &Utf8Path) -> Result<(), HostError> {
        let fail = |e| HostError::of("unlock", path, e);
        let Some(place) = self.existing(path)? else { return Ok(()) };
        or_missing(fs::remove_dir(place)).map_err(fail)
    }

    fn end_holder(&self, path: &Utf8Path) -> Result<(), HostError> {
        match self.read(path, super::holder::LIMIT)? {
            Some(file) => super::holder::end(&file.text()),
            None => Ok(()),
        }
    }

    fn guard(&self, number: u64) -> Result<(), HostError> {
        if self.is_dry() { Ok(()) } else { super::watchdog::start(self, number) }
    }

    fn facts(&self, node: &NodeName) -> Result<Facts, HostError> {
        super::facts::collect(self.root.as_deref(), node)
    }

    fn kernel(&self, question: &Question) -> Result<Option<Kernel>, HostError> {
        if self.is_dry() { Ok(None) } else { super::kernel::read(question).map(Some) }
    }

    fn link_events(&self) -> Result<Option<LinkEvents>, HostError> {
        if self.is_dry() { Ok(None) } else { LinkEvents::open().map(Some) }
    }

    fn stations(
        &self,
        kernel: &Kernel,
        ports: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Stations>, HostError> {
        if self.is_dry() { Ok(BTreeMap::new()) } else { super::stations::read(self, kernel, ports) }
    }

    fn change(&self, steps: &[NetworkStep]) -> Result<Vec<String>, HostError> {
        if self.is_dry() { Ok(Vec::new()) } else { super::network::change(steps) }
    }

    fn services(&self, frr: bool, zones: &BTreeSet<ZoneId>) -> Result<Option<Services>, HostError> {
        Ok((!self.is_dry()).then(|| super::services::read(frr, zones)))
    }

    fn serve(&self, step: &ServiceStep) -> Result<(), HostError> {
        if self.is_dry() { Ok(()) } else { super::services::change(step) }
    }

    fn check(&self, managed: &Managed, copy: &Utf8Path) -> Result<(), HostError> {
        if self.is_dry() { Ok(()) } else { super::services::check(managed, copy) }
    }

    fn observe(&self, watchlist: &Watchlist) -> Result<Option<Look>, HostError> {
        if self.is_dry() {
            return Ok(None);
        }
        // Without the file nothing is known to be weft's own, and more is looked at.
        let made = super::facts::made(self).unwrap_or_default();
        Ok(Some(super::observe::observe(watchlist, made)))
    }

    fn answering(&self, sessions: &[Session]) -> BTreeSet<Session> {
        if self.is_dry() { BTreeSet::new() } else { super::observe::answering(sessions) }
    }

    fn both<A, B: Send>(
        &self,
        first: impl FnOnce() -> A,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        let span = tracing::Span::current();
        let second = Mutex::new(Some(second));
        let do_second = || {
            let second = second.lock().unwrap_or_else(PoisonError::into_inner).take();
            second.map(|second| span.in_scope(second))
        };
        thread::scope(|scope| {
            let beside = thread::Builder::new().spawn_scoped(scope, do_second);
            let first = first();
            let done = match beside {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // Where there can be no more threads one comes after the other.
                Err(_) => do_second(),
            };
            (first, done.expect("one of the two did it"))
        })
    }

    fn passages(&self, hosts: &[HostName]) -> Vec<(HostName, IpAddr, String)> {
        if self.is_dry() { Vec::new() } else { super::observe::passages(hosts) }
    }

    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The directory of a place; `/` is its own.
fn parent(place: &Utf8Path) -> &Utf8Path {
    place.parent().unwrap_or(place)
}

fn flush_directory(directory: &Utf8Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn or_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn or_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn raw(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

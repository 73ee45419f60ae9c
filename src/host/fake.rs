//! A machine in memory whose every single step can fail, or take the power with it.
//!
//! A file system is modelled as far as crash safety needs it: what processes see, and
//! what is on the disk. Contents reach the disk when the file is flushed, names when
//! their directory is. A step is what a crash can come between: `replace` is made of
//! five.

mod cluster;
mod fault;
mod health;
mod kernel;
mod lock;
mod network;
mod services;
mod tree;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::{FoundFile, Host, HostError, TEMPORARY};
use crate::facts::Facts;
use crate::plan::{
    Kernel, Look, NetworkStep, Question, ServiceStep, Services, Stations, Uptime, Watchlist,
};
use crate::render::Managed;
use crate::value::{NodeName, ZoneId};
use lock::FakeLock;
use tree::{Inode, Tree, above, parent};

pub(crate) use cluster::Member;
pub(crate) use fault::{Fault, Restart};
pub(crate) use services::REFUSED;

/// What a step does to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It reads, or flushes what was written.
    Nothing,
    /// It changes or removes names.
    Names,
    /// It needs room.
    Room,
}

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    machine: Mutex<Machine>,
    locks: Arc<Mutex<BTreeSet<Utf8PathBuf>>>,
}

#[derive(Clone, Debug)]
struct Machine {
    steps: u64,
    /// Bytes of files that were read.
    read: u64,
    /// What is still to happen, and at which step.
    faults: BTreeMap<u64, Fault>,
    refusal: Option<io::ErrorKind>,
    dead: bool,
    now: Timestamp,
    facts: Option<Facts>,
    free: u64,
    temporary: u64,
    /// The locks of the cluster file system, and when each was taken.
    cluster_locks: BTreeMap<String, Duration>,
    hidden: Option<String>,
    inodes: Vec<Inode>,
    seen: Tree,
    kept: Tree,
    network: Option<network::Network>,
    running: services::Running,
    boot: u64,
    up: Duration,
    health: health::Health,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            steps: 0,
            read: 0,
            faults: BTreeMap::new(),
            refusal: None,
            dead: false,
            now: Timestamp::UNIX_EPOCH,
            facts: None,
            free: u64::MAX,
            temporary: 0,
            cluster_locks: BTreeMap::new(),
            hidden: None,
            inodes: Vec::new(),
            seen: Tree::default(),
            kept: Tree::default(),
            network: None,
            running: services::Running::default(),
            boot: 0,
            up: Duration::ZERO,
            health: health::Health::default(),
        }
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// Lets something happen at each of these steps, the next one being 0, and nothing
    /// at any other.
    pub(crate) fn set_faults(&self, faults: &[(u64, Fault)]) {
        let mut machine = hold(&self.machine);
        let steps = machine.steps;
        machine.faults = faults.iter().map(|(step, fault)| (steps + step, *fault)).collect();
    }

    /// How much was done so far: steps, and bytes of files that were read.
    pub(crate) fn effort(&self) -> (u64, u64) {
        let machine = hold(&self.machine);
        (machine.steps, machine.read)
    }

    /// Whether every fault has happened.
    pub(crate) fn fired(&self) -> bool {
        hold(&self.machine).faults.is_empty()
    }

    /// Another machine in the same state.
    pub(crate) fn copy(&self) -> Self {
        let machine = Mutex::new(hold(&self.machine).clone());
        Self { machine, locks: Arc::default() }
    }

    /// A number that is the same for machines that see and keep the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        let machine = hold(&self.machine);
        let mut hasher = DefaultHasher::new();
        for tree in [&machine.seen, &machine.kept] {
            tree.directories.hash(&mut hasher);
            for (path, inode) in &tree.files {
                let Inode { seen, kept } = &machine.inodes[*inode];
                let kept = kept.as_ref().map(|file| (&file.bytes, file.mode));
                (path, &seen.bytes, seen.mode, kept).hash(&mut hasher);
            }
        }
        format!("{:?} {:?}", machine.network, machine.running).hash(&mut hasher);
        hasher.finish()
    }

    /// Starts the machine again, without fault.
    pub(crate) fn restart(&self, how: Restart) {
        let mut machine = hold(&self.machine);
        machine.faults.clear();
        (machine.refusal, machine.dead) = (None, false);
        if how == Restart::Power {
            machine.boot += 1;
            machine.up = Duration::ZERO;
            machine.lose_power();
            machine.boot_network();
            machine.boot_services();
        }
        hold(&self.locks).clear();
    }

    /// Lets the next listing miss a name, as one may that is renamed meanwhile.
    pub(crate) fn hide_once(&self, name: &str) {
        hold(&self.machine).hidden = Some(name.to_owned());
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        hold(&self.machine).now = now;
    }

    pub(crate) fn set_facts(&self, facts: Facts) {
        hold(&self.machine).facts = Some(facts);
    }

    pub(crate) fn set_free(&self, bytes: u64) {
        hold(&self.machine).free = bytes;
    }

    /// Puts a file there, on the disk at once, as somebody else would.
    pub(crate) fn put(&self, path: &str, bytes: &[u8], mode: u32) {
        let mut machine = hold(&self.machine);
        let file = Arc::new(FoundFile { bytes: bytes.to_vec(), mode });
        machine.inodes.push(Inode { seen: Arc::clone(&file), kept: Some(file) });
        let inode = machine.inodes.len() - 1;
        let machine = &mut *machine;
        for tree in [&mut machine.seen, &mut machine.kept] {
            tree.directories.extend(above(path).map(str::to_owned));
            tree.files.insert(path.to_owned(), inode);
        }
    }

    /// Takes a file away, as somebody else would.
    pub(crate) fn take(&self, path: &str) {
        let mut machine = hold(&self.machine);
        machine.seen.files.remove(path);
        machine.kept.files.remove(path);
    }

    /// Every file that processes see.
    pub(crate) fn files(&self) -> BTreeMap<Utf8PathBuf, FoundFile> {
        let machine = hold(&self.machine);
        let files = machine.seen.files.iter();
        let found = |inode: &usize| FoundFile::clone(&machine.inodes[*inode].seen);
        files.map(|(path, inode)| (path.into(), found(inode))).collect()
    }
}

impl Machine {
    /// One step: dies or fails here if it should.
    fn step(
        &mut self,
        action: &'static str,
        path: &Utf8Path,
        effect: Effect,
    ) -> Result<(), HostError> {
        let fail = |kind: io::ErrorKind| Err(HostError::of(action, path, kind.into()));
        if self.dead {
            return Err(HostError::of(action, path, io::Error::other("the process is dead")));
        }
        let step = self.steps;
        self.steps += 1;
        match self.faults.remove(&step) {
            Some(Fault::Die) => {
                self.dead = true;
                return self.step(action, path, effect);
            }
            Some(Fault::Fail(kind)) => return fail(kind),
            Some(Fault::FailWrites(kind)) => self.refusal = Some(kind),
            None => {}
        }
        match (self.refusal, effect) {
            (None, _)
            | (_, Effect::Nothing)
            | (Some(io::ErrorKind::StorageFull), Effect::Names) => Ok(()),
            (Some(kind), _) => fail(kind),
        }
    }
}

impl Host for Fake {
    type Lock = FakeLock;

    fn now(&self) -> Timestamp {
        hold(&self.machine).now
    }

    fn uptime(&self) -> Result<Uptime, HostError> {
        let machine = hold(&self.machine);
        let milliseconds = u64::try_from(machine.up.as_millis()).unwrap_or(u64::MAX);
        Ok(Uptime { boot: machine.boot.to_string(), milliseconds })
    }

    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("read", path, Effect::Nothing)?;
        let Some(&inode) = machine.seen.files.get(path.as_str()) else {
            let directory = machine.seen.directories.contains(path.as_str());
            let not_a_file = || HostError::NotAFile { path: path.to_owned() };
            return if directory { Err(not_a_file()) } else { Ok(None) };
        };
        let file = FoundFile::clone(&machine.inodes[inode].seen);
        machine.read += file.bytes.len() as u64;
        if file.bytes.len() as u64 > limit {
            return Err(HostError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(file))
    }

    fn list(&self, directory: &Utf8Path) -> Result<Vec<String>, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("list", directory, Effect::Nothing)?;
        let hidden = machine.hidden.take();
        let paths = machine.seen.files.keys().chain(&machine.seen.directories);
        let inside = paths.filter(|path| parent(path) == directory.as_str());
        let names = inside.map(|path| path[directory.as_str().len() + 1..].to_owned());
        let names = names.filter(|name| Some(name) != hidden.as_ref());
        Ok(names.collect::<BTreeSet<String>>().into_iter().collect())
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
        hold(&self.machine).replace(path, bytes, mode)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        machine.step("rename", from, Effect::Names)?;
        let missing = || HostError::of("rename", from, io::ErrorKind::NotFound.into());
        let inode = machine.seen.files.remove(from.as_str()).ok_or_else(missing)?;
        machine.seen.files.insert(to.as_str().to_owned(), inode);
        for directory in BTreeSet::from([parent(to.as_str()), parent(from.as_str())]) {
            machine.step("flush the directory of", from, Effect::Nothing)?;
            machine.flush_directory(directory);
        }
        Ok(())
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        machine.step("remove", path, Effect::Names)?;
        machine.seen.files.remove(path.as_str());
        machine.step("flush the directory of", path, Effect::Nothing)?;
        machine.flush_directory(parent(path.as_str()));
        Ok(())
    }

    fn flush(&self, path: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        machine.step("flush", path, Effect::Nothing)?;
        if let Some(&inode) = machine.seen.files.get(path.as_str()) {
            machine.flush_file(inode);
        }
        machine.step("flush the directory of", path, Effect::Nothing)?;
        machine.flush_directory(parent(path.as_str()));
        Ok(())
    }

    fn free(&self, directory: &Utf8Path) -> Result<u64, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("ask for free space in", directory, Effect::Nothing)?;
        Ok(machine.free)
    }

    fn remove_directory(&self, path: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        let below = |other: &str| above(other).any(|directory| directory == path.as_str());
        let inside: Vec<String> =
            machine.seen.files.keys().filter(|file| below(file)).cloned().collect();
        for file in inside {
            machine.step("remove", Utf8Path::new(&file), Effect::Names)?;
            machine.seen.files.remove(&file);
        }
        machine.step("remove", path, Effect::Names)?;
        machine.seen.directories.retain(|other| other != path.as_str() && !below(other));
        machine.step("flush the directory of", path, Effect::Nothing)?;
        machine.flush_directory(parent(path.as_str()));
        Ok(())
    }

    fn lock(&self, path: &Utf8Path) -> Result<Option<FakeLock>, HostError> {
        hold(&self.machine).step("lock", path, Effect::Nothing)?;
        let free = hold(&self.locks).insert(path.to_owned());
        Ok(free.then(|| FakeLock { path: path.to_owned(), locks: Arc::clone(&self.locks) }))
    }

    fn acquire(&self, path: &Utf8Path) -> Result<bool, HostError> {
        hold(&self.machine).acquire(path)
    }

    fn release(&self, path: &Utf8Path) -> Result<(), HostError> {
        hold(&self.machine).release(path)
    }

    fn end_holder(&self, path: &Utf8Path) -> Result<(), HostError> {
        hold(&self.machine).step("end the holder of", path, Effect::Nothing)?;
        hold(&self.locks).remove(path);
        Ok(())
    }

    fn guard(&self, _number: u64) -> Result<(), HostError> {
        hold(&self.machine).step("start a watchdog on", Utf8Path::new("/"), Effect::Nothing)
    }

    fn observe(&self, _watchlist: &Watchlist) -> Result<Option<Look>, HostError> {
        hold(&self.machine).observe()
    }

    fn facts(&self, node: &NodeName) -> Result<Facts, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("read the facts of", Utf8Path::new("/"), Effect::Nothing)?;
        Ok(machine.facts.clone().unwrap_or_else(|| Facts::unknown(node.clone())))
    }

    fn kernel(&self, question: &Question) -> Result<Option<Kernel>, HostError> {
        hold(&self.machine).kernel(&question.sysctls)
    }

    fn stations(
        &self,
        _kernel: &Kernel,
        ports: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Stations>, HostError> {
        let known = hold(&self.machine).stations(ports)?;
        Ok(super::stations::with_configured(self, ports, known))
    }

    fn change(&self, steps: &[NetworkStep]) -> Result<Vec<String>, HostError> {
        hold(&self.machine).change(steps)
    }

    fn services(
        &self,
        _frr: bool,
        _zones: &BTreeSet<ZoneId>,
    ) -> Result<Option<Services>, HostError> {
        hold(&self.machine).services()
    }

    fn serve(&self, step: &ServiceStep) -> Result<(), HostError> {
        hold(&self.machine).serve(step)
    }

    fn check(&self, _managed: &Managed, copy: &Utf8Path) -> Result<(), HostError> {
        hold(&self.machine).check(copy)
    }

    fn wait(&self, time: Duration) {
        hold(&self.machine).up += time;
    }
}

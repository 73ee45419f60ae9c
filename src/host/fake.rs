//! A machine in memory whose every single step can fail, or take the power with it.
//!
//! A file system is modelled as far as crash safety needs it: what processes see, and
//! what is on the disk. Contents reach the disk when the file is flushed, names when
//! their directory is. A step is what a crash can come between: `replace` is made of
//! five.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::{FoundFile, Host, HostError, TEMPORARY};
use crate::facts::Facts;
use crate::value::NodeName;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before the step: no call does anything until a restart.
    Die,
    /// The step fails.
    Fail(io::ErrorKind),
    /// The step and every later one that writes fail.
    FailWrites(io::ErrorKind),
}

/// How a machine came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Only the process was gone.
    Process,
    /// The power was: what had not been flushed is lost.
    Power,
}

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    machine: Mutex<Machine>,
    locks: Arc<Mutex<BTreeSet<Utf8PathBuf>>>,
}

#[derive(Debug)]
struct Machine {
    steps: u64,
    fault: Option<(u64, Fault)>,
    fired: bool,
    refusal: Option<io::ErrorKind>,
    dead: bool,
    now: Timestamp,
    facts: Option<Facts>,
    free: u64,
    temporary: u64,
    inodes: Vec<Inode>,
    seen: Tree,
    kept: Tree,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            steps: 0,
            fault: None,
            fired: false,
            refusal: None,
            dead: false,
            now: Timestamp::UNIX_EPOCH,
            facts: None,
            free: u64::MAX,
            temporary: 0,
            inodes: Vec::new(),
            seen: Tree::default(),
            kept: Tree::default(),
        }
    }
}

/// Names of directories and files.
#[derive(Clone, Debug, Default)]
struct Tree {
    directories: BTreeSet<Utf8PathBuf>,
    files: BTreeMap<Utf8PathBuf, usize>,
}

#[derive(Clone, Debug)]
struct Inode {
    seen: FoundFile,
    /// What is on the disk; nothing before the first flush.
    kept: Option<FoundFile>,
}

/// A lock of the fake, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct FakeLock {
    path: Utf8PathBuf,
    locks: Arc<Mutex<BTreeSet<Utf8PathBuf>>>,
}

impl Drop for FakeLock {
    fn drop(&mut self) {
        hold(&self.locks).remove(&self.path);
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// Lets something happen at the step of this number, the next one being 0.
    pub(crate) fn set_fault(&self, step: u64, fault: Fault) {
        let mut machine = hold(&self.machine);
        machine.fault = Some((machine.steps + step, fault));
        machine.fired = false;
    }

    /// Whether the fault has happened.
    pub(crate) fn fired(&self) -> bool {
        hold(&self.machine).fired
    }

    /// How many steps were made since the machine was new.
    pub(crate) fn steps(&self) -> u64 {
        hold(&self.machine).steps
    }

    /// Starts the machine again, without fault.
    pub(crate) fn restart(&self, how: Restart) {
        let mut machine = hold(&self.machine);
        (machine.fault, machine.refusal, machine.dead) = (None, None, false);
        if how == Restart::Power {
            machine.lose_power();
        }
        hold(&self.locks).clear();
    }

    /// From now on every write fails: the disk is full or read-only.
    pub(crate) fn refuse_writes(&self, kind: Option<io::ErrorKind>) {
        hold(&self.machine).refusal = kind;
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
        let file = FoundFile { bytes: bytes.to_vec(), mode };
        machine.inodes.push(Inode { seen: file.clone(), kept: Some(file) });
        let (path, inode) = (Utf8PathBuf::from(path), machine.inodes.len() - 1);
        let machine = &mut *machine;
        for tree in [&mut machine.seen, &mut machine.kept] {
            let above = path.ancestors().skip(1);
            tree.directories.extend(above.map(Utf8Path::to_owned));
            tree.files.insert(path.clone(), inode);
        }
    }

    /// Takes a file away, as somebody else would.
    pub(crate) fn take(&self, path: &str) {
        let mut machine = hold(&self.machine);
        machine.seen.files.remove(Utf8Path::new(path));
        machine.kept.files.remove(Utf8Path::new(path));
    }

    /// Every file that processes see.
    pub(crate) fn files(&self) -> BTreeMap<Utf8PathBuf, FoundFile> {
        let machine = hold(&self.machine);
        let files = machine.seen.files.iter();
        files.map(|(path, inode)| (path.clone(), machine.inodes[*inode].seen.clone())).collect()
    }
}

impl Machine {
    /// One step: dies or fails here if it should.
    fn step(
        &mut self,
        action: &'static str,
        path: &Utf8Path,
        writes: bool,
    ) -> Result<(), HostError> {
        let fail = |kind: io::ErrorKind| Err(HostError::of(action, path, kind.into()));
        if self.dead {
            return Err(HostError::of(action, path, io::Error::other("the process is dead")));
        }
        let step = self.steps;
        self.steps += 1;
        match self.fault {
            Some((at, fault)) if at == step => {
                self.fired = true;
                match fault {
                    Fault::Die => {
                        self.dead = true;
                        return self.step(action, path, writes);
                    }
                    Fault::Fail(kind) => return fail(kind),
                    Fault::FailWrites(kind) => self.refusal = Some(kind),
                }
            }
            _ => {}
        }
        match self.refusal {
            Some(kind) if writes => fail(kind),
            _ => Ok(()),
        }
    }

    fn lose_power(&mut self) {
        let kept = self.kept.clone();
        let reachable = |path: &Utf8Path| {
            path.ancestors().skip(1).all(|d| d.parent().is_none() || kept.directories.contains(d))
        };
        self.seen = Tree {
            directories: kept.directories.iter().filter(|d| reachable(d)).cloned().collect(),
            files: kept
                .files
                .iter()
                .filter(|(path, _)| reachable(path))
                .map(|(path, inode)| (path.clone(), *inode))
                .collect(),
        };
        self.kept = self.seen.clone();
        for inode in &mut self.inodes {
            // A name that reached the disk before the contents stands for an empty file.
            let empty = FoundFile { bytes: Vec::new(), mode: inode.seen.mode };
            inode.seen = inode.kept.get_or_insert(empty).clone();
        }
    }

    fn flush_directory(&mut self, directory: &Utf8Path) {
        let inside = |path: &Utf8Path| path.parent() == Some(directory);
        self.kept.files.retain(|path, _| !inside(path));
        let files = self.seen.files.iter().filter(|(path, _)| inside(path));
        self.kept.files.extend(files.map(|(path, inode)| (path.clone(), *inode)));
        let gone = |path: &Utf8Path| {
            path.ancestors().any(|d| inside(d) && !self.seen.directories.contains(d))
        };
        self.kept.directories.retain(|path| !gone(path));
        self.kept.files.retain(|path, _| !path.ancestors().skip(1).any(gone));
        let directories = self.seen.directories.iter().filter(|path| inside(path));
        self.kept.directories.extend(directories.cloned());
    }

    fn make_directories(&mut self, path: &Utf8Path) -> Result<(), HostError> {
        let mut above: Vec<&Utf8Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for directory in above.into_iter().filter(|directory| directory.parent().is_some()) {
            if !self.seen.directories.contains(directory) {
                self.step("make the directory of", path, true)?;
                self.seen.directories.insert(directory.to_owned());
                self.step("flush the directory of", path, false)?;
                self.flush_directory(parent(directory));
            }
        }
        Ok(())
    }

    fn replace(&mut self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
        self.make_directories(path)?;
        self.step("make a temporary file for", path, true)?;
        self.temporary += 1;
        let temporary = parent(path).join(format!("{TEMPORARY}{}", self.temporary));
        let empty = FoundFile { bytes: Vec::new(), mode };
        self.inodes.push(Inode { seen: empty, kept: None });
        let inode = self.inodes.len() - 1;
        self.seen.files.insert(temporary.clone(), inode);
        let named = self.fill_and_name(inode, &temporary, path, bytes);
        if named.is_err() && !self.dead {
            self.seen.files.remove(&temporary);
        }
        named?;
        self.step("flush the directory of", path, false)?;
        self.flush_directory(parent(path));
        Ok(())
    }

    fn fill_and_name(
        &mut self,
        inode: usize,
        temporary: &Utf8Path,
        path: &Utf8Path,
        bytes: &[u8],
    ) -> Result<(), HostError> {
        self.step("write", path, true)?;
        self.inodes[inode].seen.bytes = bytes.to_vec();
        self.step("flush", path, false)?;
        self.inodes[inode].kept = Some(self.inodes[inode].seen.clone());
        self.step("rename", path, true)?;
        self.seen.files.remove(temporary);
        self.seen.files.insert(path.to_owned(), inode);
        Ok(())
    }
}

fn parent(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(path)
}

impl Host for Fake {
    type Lock = FakeLock;

    fn now(&self) -> Timestamp {
        hold(&self.machine).now
    }

    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("read", path, false)?;
        let Some(&inode) = machine.seen.files.get(path) else {
            let directory = machine.seen.directories.contains(path);
            let not_a_file = || HostError::NotAFile { path: path.to_owned() };
            return if directory { Err(not_a_file()) } else { Ok(None) };
        };
        let file = machine.inodes[inode].seen.clone();
        if file.bytes.len() as u64 > limit {
            return Err(HostError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(file))
    }

    fn list(&self, directory: &Utf8Path) -> Result<Vec<String>, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("list", directory, false)?;
        let paths = machine.seen.files.keys().chain(&machine.seen.directories);
        let inside = paths.filter(|path| path.parent() == Some(directory));
        let names = inside.filter_map(|path| path.file_name().map(str::to_owned));
        Ok(names.collect::<BTreeSet<String>>().into_iter().collect())
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
        hold(&self.machine).replace(path, bytes, mode)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        machine.step("rename", from, true)?;
        let missing = || HostError::of("rename", from, io::ErrorKind::NotFound.into());
        let inode = machine.seen.files.remove(from).ok_or_else(missing)?;
        machine.seen.files.insert(to.to_owned(), inode);
        for directory in BTreeSet::from([parent(to), parent(from)]) {
            machine.step("flush the directory of", from, false)?;
            machine.flush_directory(directory);
        }
        Ok(())
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        machine.step("remove", path, true)?;
        machine.seen.files.remove(path);
        machine.step("flush the directory of", path, false)?;
        machine.flush_directory(parent(path));
        Ok(())
    }

    fn flush(&self, path: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        machine.step("flush", path, false)?;
        if let Some(&inode) = machine.seen.files.get(path) {
            machine.inodes[inode].kept = Some(machine.inodes[inode].seen.clone());
        }
        machine.step("flush the directory of", path, false)?;
        machine.flush_directory(parent(path));
        Ok(())
    }

    fn free(&self, directory: &Utf8Path) -> Result<u64, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("ask for free space in", directory, false)?;
        Ok(machine.free)
    }

    fn remove_directory(&self, path: &Utf8Path) -> Result<(), HostError> {
        let mut machine = hold(&self.machine);
        let inside: Vec<Utf8PathBuf> = {
            let files = machine.seen.files.keys();
            files.filter(|file| file.starts_with(path)).cloned().collect()
        };
        for file in inside {
            machine.step("remove", &file, true)?;
            machine.seen.files.remove(&file);
        }
        machine.step("remove", path, true)?;
        machine.seen.directories.retain(|directory| !directory.starts_with(path));
        machine.step("flush the directory of", path, false)?;
        machine.flush_directory(parent(path));
        Ok(())
    }

    fn lock(&self, path: &Utf8Path) -> Result<Option<FakeLock>, HostError> {
        hold(&self.machine).step("lock", path, false)?;
        let free = hold(&self.locks).insert(path.to_owned());
        Ok(free.then(|| FakeLock { path: path.to_owned(), locks: Arc::clone(&self.locks) }))
    }

    fn facts(&self, node: &NodeName) -> Result<Facts, HostError> {
        let mut machine = hold(&self.machine);
        machine.step("read the facts of", Utf8Path::new("/"), false)?;
        Ok(machine.facts.clone().unwrap_or_else(|| Facts::unknown(node.clone())))
    }
}

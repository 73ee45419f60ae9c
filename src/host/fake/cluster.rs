//! A stand-in for Proxmox's cluster file system: one fake, shared by several machines as
//! their `/etc/pve`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::{Effect, Fake, FakeLock, Machine};
use crate::facts::Facts;
use crate::host::{CLUSTER_LOCK, FoundFile, Host, HostError};
use crate::plan::Uptime;
use crate::value::NodeName;

/// A machine whose `/etc/pve` is another fake's.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Everything else.
    pub(crate) own: Arc<Fake>,
    /// What all members see.
    pub(crate) shared: Arc<Fake>,
}

impl Member {
    fn of(&self, path: &Utf8Path) -> &Fake {
        if path.starts_with("/etc/pve") { &self.shared } else { &self.own }
    }
}

impl Host for Member {
    type Lock = FakeLock;

    fn now(&self) -> Timestamp {
        self.own.now()
    }

    fn uptime(&self) -> Result<Uptime, HostError> {
        self.own.uptime()
    }

    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError> {
        self.of(path).read(path, limit)
    }

    fn list(&self, directory: &Utf8Path) -> Result<Vec<String>, HostError> {
        self.of(directory).list(directory)
    }

    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
        self.of(path).replace(path, bytes, mode)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), HostError> {
        self.of(from).rename(from, to)
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), HostError> {
        self.of(path).remove(path)
    }

    fn flush(&self, path: &Utf8Path) -> Result<(), HostError> {
        self.of(path).flush(path)
    }

    fn free(&self, directory: &Utf8Path) -> Result<u64, HostError> {
        self.of(directory).free(directory)
    }

    fn remove_directory(&self, path: &Utf8Path) -> Result<(), HostError> {
        self.of(path).remove_directory(path)
    }

    fn lock(&self, path: &Utf8Path) -> Result<Option<FakeLock>, HostError> {
        self.own.lock(path)
    }

    fn acquire(&self, path: &Utf8Path) -> Result<bool, HostError> {
        self.of(path).acquire(path)
    }

    fn release(&self, path: &Utf8Path) -> Result<(), HostError> {
        self.of(path).release(path)
    }

    fn end_holder(&self, path: &Utf8Path) -> Result<(), HostError> {
        self.own.end_holder(path)
    }

    fn facts(&self, node: &NodeName) -> Result<Facts, HostError> {
        self.own.facts(node)
    }

    fn wait(&self, time: Duration) {
        self.own.wait(time);
        self.shared.wait(time);
    }
}

impl Machine {
    /// Like pmxcfs: without quorum nothing is made, and a lock that is too old goes when
    /// somebody asks for it.
    pub(super) fn acquire(&mut self, path: &Utf8Path) -> Result<bool, HostError> {
        self.step("lock", path, Effect::Room)?;
        let now = self.up;
        let Some(since) = self.cluster_locks.get(path.as_str()) else {
            self.cluster_locks.insert(path.to_string(), now);
            return Ok(true);
        };
        if now.saturating_sub(*since) > CLUSTER_LOCK {
            self.cluster_locks.remove(path.as_str());
        }
        Ok(false)
    }

    pub(super) fn release(&mut self, path: &Utf8Path) -> Result<(), HostError> {
        self.step("unlock", path, Effect::Names)?;
        self.cluster_locks.remove(path.as_str());
        Ok(())
    }
}

impl Fake {
    /// The locks of the cluster file system that are held.
    pub(crate) fn cluster_locks(&self) -> BTreeSet<Utf8PathBuf> {
        let machine = super::hold(&self.machine);
        machine.cluster_locks.keys().map(Utf8PathBuf::from).collect()
    }
}

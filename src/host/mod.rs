//! Floor 6: the only floor that touches the machine.
//!
//! Every file that weft reads or writes on a node, its own state included, goes
//! through [`Host`], so that a test can let any single call fail, or the power
//! with it. Knows no policy.

mod cable;
mod cluster;
mod devices;
mod facts;
#[cfg(test)]
pub(crate) mod fake;
mod frr;
mod guests;
mod holder;
mod interfaces;
mod iptables;
mod kernel;
mod links;
mod linux;
mod main_table;
mod netlink;
mod network;
mod nft;
mod observe;
mod operator;
mod program;
mod routes;
mod services;
mod socket;
mod stations;
mod tables;
mod vty;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use thiserror::Error;

use crate::facts::Facts;
use crate::plan::{
    Kernel, Look, NetworkStep, Question, ServiceStep, Services, Session, Stations, Target, Uptime,
    Watchlist,
};
use crate::render::Managed;
use crate::value::{HostName, NodeName, ZoneId};

pub use cable::cable;
pub use guests::configured_guests;
pub use holder::{Holder, holder};
pub use interfaces::{interface_addresses, interface_mtus};
pub use linux::{Entry, EntryKind, Linux, Lock, Room};
pub use netlink::{LinkEvents, PortChanges};
pub use operator::operator;
pub use socket::{Socket, connect};
pub use watchdog::Watching;

/// Where weft keeps its state on a node. Directories below it are for root only.
pub const STATE: &str = "/var/lib/weft";

/// How the name of a temporary file begins. One that is older than the process that
/// holds the node is left over from a crash.
pub const TEMPORARY: &str = ".weft-";

/// How long a lock of the cluster file system holds that nobody gives back
/// (`CFS_LOCK_TIMEOUT` of pmxcfs).
pub const CLUSTER_LOCK: Duration = Duration::from_secs(120);

/// What may be asked of a machine. All paths are absolute paths of the node.
pub trait Host: Send + Sync {
    /// What stops others while it lives.
    type Lock: Send;

    /// The machine's clock.
    fn now(&self) -> Timestamp;

    /// The time since the machine started, and which start it was.
    fn uptime(&self) -> Result<Uptime, HostError>;

    /// A file, or `None` where there is none. A file of more than `limit` bytes, or
    /// one that is no regular file, is an error.
    fn read(&self, path: &Utf8Path, limit: u64) -> Result<Option<FoundFile>, HostError>;

    /// The names in a directory, sorted; none where there is no directory. A name that
    /// is not UTF-8 is an error.
    fn list(&self, directory: &Utf8Path) -> Result<Vec<String>, HostError>;

    /// Puts a file in place as a whole, its directories made where they are missing:
    /// a temporary file beside it, written, flushed to the disk, renamed, the
    /// directory flushed. Either the old file or the new one is there, whatever fails.
    /// It belongs to whom its directory belongs, so that FRR can read its own.
    fn replace(&self, path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), HostError>;

    /// Gives a file another name, on the disk when this returns. Fails with
    /// [`HostError::is_missing`] where `from` is not there.
    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), HostError>;

    /// Removes a file, gone from the disk when this returns. One that is not there is
    /// no error.
    fn remove(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// Flushes a file and its name to the disk, or that there is no such file. Writes
    /// nothing, so that it works on a full disk too.
    fn flush(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// How many bytes may still be written below a directory, which need not be there.
    fn free(&self, directory: &Utf8Path) -> Result<u64, HostError>;

    /// Removes a directory of state and what is in it. One that is not there is no
    /// error.
    fn remove_directory(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// The lock at a path, or `None` while another process holds it.
    fn lock(&self, path: &Utf8Path) -> Result<Option<Self::Lock>, HostError>;

    /// Takes a lock of Proxmox's cluster file system: a directory that only one of all
    /// nodes can make. `false` while another has it. Then pmxcfs is asked to take it away
    /// if nobody gave it back within [`CLUSTER_LOCK`], as Proxmox asks; the next call sees
    /// whether it did.
    fn acquire(&self, path: &Utf8Path) -> Result<bool, HostError>;

    /// Gives back a lock that [`Host::acquire`] took. One that is gone is no error.
    fn release(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// Ends the process that holds the lock at a path, and every program that it waits
    /// for, at once. Daemons that they left behind run on. Nothing where nobody holds it.
    fn end_holder(&self, path: &Utf8Path) -> Result<(), HostError>;

    /// Starts the watchdog of an entry of the journal, in a process that outlives this
    /// one. It watches when this returns. None on a dry node.
    fn guard(&self, _number: u64) -> Result<(), HostError> {
        Ok(())
    }

    /// What rendering needs to know of this machine.
    fn facts(&self, node: &NodeName) -> Result<Facts, HostError>;

    /// What the kernel has, with what is asked for; `None` on a dry node, as a host is that says
    /// nothing else.
    fn kernel(&self, _question: &Question) -> Result<Option<Kernel>, HostError> {
        Ok(None)
    }

    /// Who is behind these ports of a kernel that was read, given with their bridges
    /// ([`Kernel::stations`]). Of a port that is on that bridge no more nothing is said.
    fn stations(
        &self,
        _kernel: &Kernel,
        _ports: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Stations>, HostError> {
        Ok(BTreeMap::new())
    }

    /// What the kernel has of all that a target asks for; `None` on a dry node.
    fn kernel_for(&self, target: &Target) -> Result<Option<Kernel>, HostError> {
        let Some(mut kernel) = self.kernel(&target.question())? else {
            return Ok(None);
        };
        self.add_stations(&mut kernel, target)?;
        Ok(Some(kernel))
    }

    /// Adds who is behind the ports of which a target asks that.
    fn add_stations(&self, kernel: &mut Kernel, target: &Target) -> Result<(), HostError> {
        let ports = target.stations(kernel);
        if !ports.is_empty() {
            kernel.stations = self.stations(kernel, &ports)?;
        }
        Ok(())
    }

    /// A subscription to interfaces that come and go; `None` on a dry node.
    fn link_events(&self) -> Result<Option<LinkEvents>, HostError> {
        Ok(None)
    }

    /// Changes the running network, one step after the other. What programs and the kernel
    /// complain about is returned, and that they do not is no proof: read the kernel back. An
    /// error where a program could not be started or had to be killed, and where the kernel
    /// does not answer. Does nothing on a dry node.
    fn change(&self, _steps: &[NetworkStep]) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }

    /// What runs of services: FRR's running configuration where it is asked for, and the
    /// dnsmasq of these zones; `None` on a dry node.
    fn services(
        &self,
        _frr: bool,
        _zones: &BTreeSet<ZoneId>,
    ) -> Result<Option<Services>, HostError> {
        Ok(None)
    }

    /// Changes what runs of services. Does nothing on a dry node.
    fn serve(&self, _step: &ServiceStep) -> Result<(), HostError> {
        Ok(())
    }

    /// Whether the program that will read a file takes it; `copy` is where it lies now. A
    /// dry node takes everything.
    fn check(&self, _managed: &Managed, _copy: &Utf8Path) -> Result<(), HostError> {
        Ok(())
    }

    /// How everything is that tells whether the network works; `None` on a dry node.
    /// What could not be looked at does not work, which is no error; where that is because
    /// something did not answer, the look says so.
    fn observe(&self, _watchlist: &Watchlist) -> Result<Option<Look>, HostError> {
        Ok(None)
    }

    /// The sessions whose other side answers below them now.
    fn answering(&self, sessions: &[Session]) -> BTreeSet<Session> {
        sessions.iter().cloned().collect()
    }

    /// By which interface the kernel sends to each address of these hosts now. Left out is
    /// what has no address in time, and what is not reached by any.
    fn passages(&self, _hosts: &[HostName]) -> Vec<(HostName, IpAddr, String)> {
        Vec::new()
    }

    /// Does two things that do not need each other, at the same time where that saves any; the
    /// first one is this thread's.
    fn both<A, B: Send>(
        &self,
        first: impl FnOnce() -> A,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        (first(), second())
    }

    /// Lets time pass, where there is a kernel to wait for.
    fn wait(&self, _time: Duration) {}
}

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

impl FoundFile {
    /// Its contents as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What the machine refused. The first three go away by themselves or by a person's
/// hand, and the same call may be tried again.
#[derive(Debug, Error)]
pub enum HostError {
    /// The disk or a quota is full.
    #[error("cannot {action} `{path}`: no space is left there; make room and try again")]
    Full {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file system takes no writes.
    #[error("cannot {action} `{path}`: its file system is read-only")]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// This process may not.
    #[error("cannot {action} `{path}`: permission denied; weft acts on a node as root")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file could not be read or written for another reason.
    #[error("cannot {action} `{path}`")]
    Path {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Interfaces were to be made whose names others have. They are left alone, and what was
    /// to be done after that is not.
    #[error(
        "{} came meanwhile, which weft did not make and leaves alone; look with \
         `ip -d link show {}`, and remove it or give the vnet another id",
        quoted(names), names.first().map_or("", String::as_str)
    )]
    Taken {
        /// The names.
        names: Vec<String>,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: Utf8PathBuf,
        /// The bound.
        limit: u64,
    },
    /// Something else than a regular file stands in the place of one.
    #[error("`{path}` is not a regular file")]
    NotAFile {
        /// The path.
        path: Utf8PathBuf,
    },
    /// A symbolic link below the root of a dry node leads out of it.
    #[error("`{path}` leads out of the root `{root}`")]
    OutsideRoot {
        /// The path as it was asked for.
        path: Utf8PathBuf,
        /// The root of the dry node.
        root: Utf8PathBuf,
    },
    /// The kernel gave no answer that can be used.
    #[error("cannot ask the kernel for {asked}")]
    Kernel {
        /// What it was asked for, such as `interfaces`.
        asked: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program gave no answer that can be used.
    #[error("`{program}` {message}")]
    Program {
        /// The program and its arguments.
        program: String,
        /// What it did, such as `ended with status 1: …`.
        message: String,
    },
}

/// Names of interfaces in a sentence.
fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{} {}", if names.len() == 1 { "an interface" } else { "interfaces" }, names.join(", "))
}

impl HostError {
    /// What the system said about a path.
    pub(crate) fn of(action: &'static str, path: &Utf8Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path, source },
            io::ErrorKind::PermissionDenied => Self::Denied { action, path, source },
            _ => Self::Path { action, path, source },
        }
    }

    /// Whether the file was not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Path { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

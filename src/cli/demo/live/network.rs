//! Network namespaces, which live as long as something holds them.

use std::fs::File;
use std::io;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::cli::demo::expect;
use crate::cli::demo::origin::failed;
use crate::cli::failure::Failure;
use crate::host::{Host as _, Linux, cable};
use crate::plan::{Kernel, NetworkStep, Question};
use crate::value::IfName;

/// A kernel's network of its own (`network_namespaces(7)`).
#[derive(Debug)]
pub(super) struct Network {
    file: File,
}

impl Network {
    /// A new one, with nothing in it but a loopback that is down.
    pub(super) fn new() -> io::Result<Self> {
        let file = alone(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        })?;
        Ok(Self { file })
    }

    /// The one of a process.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        Ok(Self { file: File::open(format!("/proc/{process}/ns/net"))? })
    }

    /// What names it to the kernel.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Does something in it. What is opened meanwhile stays in it, such as a socket.
    pub(super) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        alone(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Lays a cable whose first end is here. Question from within: kernels before Linux 6.13 look
    /// in the namespace of who asks whether the name is taken.
    pub(super) fn lay(
        &self,
        one: (&IfName, &File),
        other: (&IfName, &File),
    ) -> Result<(), Failure> {
        let laid = self.within(|| cable(one, other).map_err(io::Error::other));
        laid.map_err(|error| failed(&error))
    }

    /// Changes it by the very steps that an apply consists of.
    pub(super) fn change(&self, steps: &[NetworkStep]) -> Result<(), Failure> {
        let complaints = self
            .within(|| Linux::new(None).change(steps).map_err(io::Error::other))
            .map_err(|error| failed(&error))?;
        expect(complaints.is_empty(), complaints.join("; "))
    }

    /// What is in it.
    pub(super) fn kernel(&self) -> Result<Kernel, Failure> {
        let read = || Linux::new(None).kernel(&Question::default()).map_err(io::Error::other);
        Ok(self.within(read).map_err(|error| failed(&error))?.unwrap_or_default())
    }
}

/// Does the work in a thread of its own, whose namespaces nobody else shares.
pub(super) fn alone<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

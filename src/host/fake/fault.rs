//! What goes wrong on the fake, and how it comes back.

use std::io;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before the step: no call does anything until a restart.
    Die,
    /// The step fails.
    Fail(io::ErrorKind),
    /// From this step on every write fails, because the disk is full or read-only. A
    /// full disk still takes renames and removals.
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

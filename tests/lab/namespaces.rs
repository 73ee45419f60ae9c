//! New namespaces, and the first processes in them.
//!
//! A lab is this very program started as process 1 of new mount, network, UTS, IPC and
//! pid namespaces; a node is the same once more, within. Process 1 holds a pipe whose
//! other end its creator keeps: when the creator is gone, however it went, process 1
//! ends, and the kernel kills all that is left in its namespaces.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};

use crate::command;
use crate::mounts::{LAB_DIRECTORY, enter_root};
use crate::need;

/// Word by which this program is the first process of a lab: the words of a [`Place`],
/// then the inner words.
pub(crate) const LAB_INIT: &str = "@lab-init";
/// Word by which this program is the first process of a node: name.
pub(crate) const NODE_INIT: &str = "@node-init";
/// Word by which this program runs one case inside a lab: name.
pub(crate) const CASE: &str = "@case";
/// Word by which this program tries the kernel inside a lab.
pub(crate) const PROBE: &str = "@probe";

/// Inside a lab: the Debian root itself, read-only, the lower layer of every node.
pub(crate) const PRISTINE: &str = "/lab/root";
/// Inside a lab: the program `weft`, read-only.
pub(crate) const WEFT: &str = "/lab/weft";
/// Inside a lab: this very program, read-only.
pub(crate) const THIS_PROGRAM: &str = "/lab/lab";
/// Inside a lab: the reference renderings, read-only, where they exist.
pub(crate) const REFERENCE: &str = "/lab/reference";

/// Inside a lab: the directory that nodes share as their `/etc/pve`, where a case made it
/// before it started them.
pub(crate) const CLUSTER: &str = "/lab/cluster";

/// What a lab is made of, as paths of whoever starts it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The Debian root, which is copied and not changed.
    pub(crate) root: PathBuf,
    /// The program `weft`.
    pub(crate) weft: PathBuf,
    /// The reference renderings, where they are there.
    pub(crate) reference: Option<PathBuf>,
}

impl Place {
    /// On the machine that runs the tests.
    pub(crate) fn of_machine(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            weft: std::env::var_os("LAB_PROGRAM")
                .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_weft")), PathBuf::from),
            reference: need::reference_directory(),
        }
    }

    /// Within a lab: what that one was made of.
    pub(crate) fn of_lab() -> Self {
        let reference = Some(PathBuf::from(REFERENCE)).filter(|directory| directory.is_dir());
        Self { root: PathBuf::from(PRISTINE), weft: PathBuf::from(WEFT), reference }
    }
}

/// The program as this process was started, whatever its path is in the current root.
const MYSELF: &str = "/proc/self/exe";
/// Everything that a lab or a node has of its own.
const ALL: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWPID);

/// How a run inside a lab ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this exit status; 128 and the signal when a signal ended it.
    Code(i32),
    /// It was killed after this time.
    Limit(Duration),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Limit(limit) => write!(f, "killed after its limit of {limit:?}"),
        }
    }
}

/// Runs this program with `inner` in a new lab, and returns how it ended with all it
/// said. With `verbose` what it says on standard error goes to ours instead.
pub(crate) fn run_in_lab(
    place: &Place,
    inner: &[&str],
    limit: Duration,
    verbose: bool,
) -> Result<(Ended, String), String> {
    let told = |what: &str, source: io::Error| format!("{what}: {source}");
    let mut log = tempfile::Builder::new()
        .append(true)
        .tempfile()
        .map_err(|source| told("a file for the log", source))?
        .into_file();
    let output = || log.try_clone().map(Stdio::from).map_err(|source| told("the log", source));
    let mut command = Command::new(MYSELF);
    command.arg(LAB_INIT).arg(&place.root).arg(&place.weft);
    command.arg(place.reference.as_deref().unwrap_or(Path::new("")));
    command.args(inner).env_clear().envs(command::environment());
    command.stdin(Stdio::piped()).stdout(output()?);
    command.stderr(if verbose { Stdio::inherit() } else { output()? });
    let mut child =
        start_in_new_namespaces(&mut command).map_err(|source| told("new namespaces", source))?;
    let ended = match command::ended_within(&mut child, limit) {
        Some(status) => Ended::Code(command::code(status)),
        None => Ended::Limit(limit),
    };
    let mut text = Vec::new();
    log.seek(SeekFrom::Start(0))
        .and_then(|_| log.read_to_end(&mut text))
        .map_err(|source| told("reading the log", source))?;
    Ok((ended, String::from_utf8_lossy(&text).into_owned()))
}

/// Starts the first process of a node, by its words, of which the second is the node's
/// name; returns when the node's root and mounts are in place.
pub(crate) fn start_node(words: &[&str]) -> io::Result<Child> {
    let mut command = Command::new(MYSELF);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = start_in_new_namespaces(&mut command)?;
    let mut ready = [0];
    let said = child.stdout.as_mut().expect("standard output is a pipe").read(&mut ready)?;
    if said == 0 {
        return Err(io::Error::other(format!("{words:?} ended before it was ready")));
    }
    Ok(child)
}

/// A network namespace without processes; it lives as long as the file is open.
pub(crate) fn new_network() -> io::Result<File> {
    in_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    })
}

/// The thread that unshares ends with the start: its pid namespace takes one child.
fn start_in_new_namespaces(command: &mut Command) -> io::Result<Child> {
    in_thread(|| {
        unshare(ALL)?;
        command.spawn()
    })
}

/// Does the work in a thread of its own, whose namespaces nobody else shares.
pub(crate) fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The first process of a lab: enters a throw-away copy of the root and runs this
/// program there with the inner words; its exit status is theirs.
pub(crate) fn lab_init(root: &str, weft: &str, reference: &str, inner: &[&str]) -> ExitCode {
    die_with_creator();
    let done = (|| -> io::Result<u8> {
        let mut bring = vec![
            (PathBuf::from(root), PRISTINE),
            (PathBuf::from(weft), WEFT),
            (env::current_exe()?, THIS_PROGRAM),
        ];
        if !reference.is_empty() {
            bring.push((PathBuf::from(reference), REFERENCE));
        }
        enter_root(Path::new(root), &Path::new(root).join(LAB_DIRECTORY), None, &bring, &[])?;
        sethostname("lab")?;
        let child = Command::new(MYSELF)
            .args(inner)
            .env_clear()
            .envs(command::environment())
            .stdin(Stdio::null())
            .spawn()?;
        reap_until(Pid::from_raw(child.id().cast_signed()))
    })();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(source) => {
            eprintln!("the lab cannot be entered: {source}");
            ExitCode::FAILURE
        }
    }
}

/// The first process of a node: enters a root of its own and collects orphans until
/// its creator is gone.
pub(crate) fn node_init(name: &str) -> ExitCode {
    let orphans = SigSet::from_iter([Signal::SIGCHLD]);
    let done = (|| -> io::Result<()> {
        // Before there is a second thread: each of them has a mask of its own.
        orphans.thread_block()?;
        die_with_creator();
        let staging = Path::new("/lab/staging");
        fs::create_dir_all(staging)?;
        let cluster = Path::new(CLUSTER);
        let share = if cluster.is_dir() { vec![(cluster, "/etc/pve")] } else { Vec::new() };
        enter_root(Path::new(PRISTINE), staging, None, &[], &share)?;
        sethostname(name)?;
        println!("ready");
        loop {
            orphans.wait()?;
            while !matches!(
                waitpid(None, Some(WaitPidFlag::WNOHANG)),
                Ok(WaitStatus::StillAlive) | Err(_)
            ) {}
        }
    })();
    if let Err(source) = done {
        eprintln!("{name} cannot be entered: {source}");
    }
    ExitCode::FAILURE
}

/// Ends this process when the other end of its standard input is closed.
#[allow(clippy::exit, reason = "process 1 takes everything in its namespaces with it")]
fn die_with_creator() {
    thread::spawn(|| {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Ok(1..)) {}
        std::process::exit(1);
    });
}

/// Collects every child that ends, until it is this one; returns its status.
fn reap_until(last: Pid) -> io::Result<u8> {
    loop {
        let code = match waitpid(None, None)? {
            WaitStatus::Exited(pid, code) if pid == last => code,
            WaitStatus::Signaled(pid, signal, _) if pid == last => 128 + signal as i32,
            _ => continue,
        };
        return Ok(u8::try_from(code).unwrap_or(u8::MAX));
    }
}

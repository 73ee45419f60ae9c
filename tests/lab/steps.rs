//! A program that is stopped at each of its steps, and killed at one of them.
//!
//! A step is what somebody else can see of it: a call that changed a name or brought a file
//! to the disk, a program that it started, the end of one. The kernel stops it there
//! (`ptrace(2)`), so that the same step is met in every run, and nothing in the program
//! has to know of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::machine::Machine;
use crate::namespaces::in_thread;

/// The calls that are steps when they succeed.
const CALLS: &[(libc::c_long, &str)] = &[
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_mkdirat, "mkdir"),
    (libc::SYS_renameat, "rename"),
    (libc::SYS_renameat2, "rename"),
    (libc::SYS_unlinkat, "unlink"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink"),
];

/// Stops itself until somebody traces it, then becomes the program.
const WAITING: &str = "kill -STOP $$; exec \"$@\"";

/// Something that others can see of a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A call was through.
    Call(&'static str),
    /// A program begins that it started.
    Begins(String),
    /// A program ended that it started; it does not know yet.
    Ends(String),
}

/// Programs that are only asked something, by how their command lines begin.
const ASKED: &[&str] = &["bridge -", "ip -", "ip6tables-save", "iptables-save", "ping", "weft "];

impl Step {
    /// Whether files or the network are others after it, as far as its name says.
    pub(crate) fn changes(&self) -> bool {
        match self {
            // What is written or made has no name yet, or nothing in it.
            Self::Call(call) => !matches!(*call, "fdatasync" | "fsync" | "mkdir"),
            Self::Begins(line) | Self::Ends(line) => {
                let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
                let line = format!("{} {rest}", program.rsplit('/').next().unwrap_or(program));
                !ASKED.iter().any(|asked| line.starts_with(asked))
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => f.write_str(call),
            Self::Begins(line) => write!(f, "`{line}` begins"),
            Self::Ends(line) => write!(f, "`{line}` ended"),
        }
    }
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The program alone: what it started goes on to its end.
    Alone,
    /// What it started too, as systemd does with what is left of a unit.
    Family,
}

/// How far a program came.
#[derive(Debug)]
pub(crate) struct Stepped {
    /// Its steps, up to the one at which it was killed.
    pub(crate) steps: Vec<Step>,
    /// Its exit status, where it ended by itself before.
    pub(crate) ended: Option<i32>,
}

/// Runs a program to its step of this number, counted from 0 among those that count, and
/// kills it there; or to its end, where it has fewer.
#[track_caller]
pub(crate) fn kill_at(
    machine: &Machine,
    words: &[&str],
    counts: fn(&Step) -> bool,
    (number, whom): (usize, Whom),
) -> Stepped {
    let words = [&["sh", "-c", WAITING, "sh"], words].concat();
    let process = machine.spawn(&words);
    // The thread that traces is the only one that the kernel tells.
    let stepped = in_thread(|| Tracer::new(process.pid(), counts).run(number, whom));
    stepped.unwrap_or_else(|errno| panic!("tracing {words:?}: {errno}"))
}

/// What is known of a task that is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// A thread of the program; the number of the call that it is in.
    Thread(Option<u64>),
    /// A process that is about to become another program.
    Child,
}

#[derive(Debug)]
struct Tracer {
    main: Pid,
    counts: fn(&Step) -> bool,
    tasks: BTreeMap<Pid, Task>,
    /// Programs that it started and that have not ended, with their command lines.
    started: BTreeMap<Pid, String>,
    steps: Vec<Step>,
    /// Whether the waiting shell became the program.
    begun: bool,
    killed: bool,
}

impl Tracer {
    fn new(main: Pid, counts: fn(&Step) -> bool) -> Self {
        let tasks = BTreeMap::from([(main, Task::Thread(None))]);
        let (started, steps) = (BTreeMap::new(), Vec::new());
        Self { main, counts, tasks, started, steps, begun: false, killed: false }
    }

    fn run(mut self, number: usize, whom: Whom) -> nix::Result<Stepped> {
        ptrace::attach(self.main)?;
        wait(self.main)?;
        let all = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.main, all)?;
        ptrace::syscall(self.main, None)?;
        let mut ended = None;
        loop {
            let status = match wait(Pid::from_raw(-1)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => break,
                Err(errno) => return Err(errno),
            };
            match status {
                WaitStatus::Exited(pid, code) if pid == self.main => ended = Some(code),
                WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                    self.tasks.remove(&pid);
                }
                status => self.stopped(status, number, whom)?,
            }
        }
        Ok(Stepped { steps: self.steps, ended: ended.filter(|_| !self.killed) })
    }

    /// Notes what a task was stopped for, and lets it go on.
    fn stopped(&mut self, status: WaitStatus, number: usize, whom: Whom) -> nix::Result<()> {
        let Some(pid) = status.pid() else { return Ok(()) };
        let is_known = self.tasks.contains_key(&pid);
        let mut deliver = None;
        let step = match status {
            WaitStatus::PtraceSyscall(_) => self.call(pid)?,
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) if pid == self.main => {
                self.begun = true;
                None
            }
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => {
                // From here on it is nobody's business.
                self.tasks.remove(&pid);
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
                self.started.insert(pid, line.clone());
                self.reached(Step::Begins(line), number, whom)?;
                return gone(ptrace::detach(pid, None));
            }
            WaitStatus::Stopped(_, Signal::SIGSTOP) if !is_known || !self.begun => None,
            WaitStatus::Stopped(_, signal) => {
                deliver = Some(signal);
                let is_end = signal == Signal::SIGCHLD && self.begun;
                is_end.then(|| self.ended()).flatten()
            }
            _ => None,
        };
        let main = self.main;
        let task = *self.tasks.entry(pid).or_insert_with(|| {
            let is_thread = fs::exists(format!("/proc/{main}/task/{pid}")).unwrap_or(false);
            if is_thread { Task::Thread(None) } else { Task::Child }
        });
        if let Some(step) = step {
            self.reached(step, number, whom)?;
        }
        gone(match task {
            Task::Thread(_) => ptrace::syscall(pid, deliver),
            Task::Child => ptrace::cont(pid, deliver),
        })
    }

    fn reached(&mut self, step: Step, number: usize, whom: Whom) -> nix::Result<()> {
        if self.killed || !(self.counts)(&step) {
            return Ok(());
        }
        self.steps.push(step);
        if self.steps.len() <= number {
            return Ok(());
        }
        self.killed = true;
        let family: Vec<Pid> =
            self.started.keys().copied().filter(|pid| state(*pid) != Some('Z')).collect();
        kill(self.main, Signal::SIGKILL)?;
        if whom == Whom::Family {
            // Each leads a group of its own.
            for leader in family {
                gone(killpg(leader, Signal::SIGKILL))?;
            }
        }
        Ok(())
    }

    /// The program whose end is told; none where one told for two.
    fn ended(&mut self) -> Option<Step> {
        let has_ended = |pid: &&Pid| matches!(state(**pid), None | Some('Z'));
        let pid = self.started.keys().find(has_ended).copied()?;
        self.started.remove(&pid).map(Step::Ends)
    }

    /// The step that a call is, once it is through.
    #[expect(unsafe_code, reason = "what the kernel tells of a call is a union")]
    fn call(&mut self, pid: Pid) -> nix::Result<Option<Step>> {
        let info = match ptrace::syscall_info(pid) {
            Ok(info) => info,
            Err(Errno::ESRCH) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let Some(Task::Thread(call)) = self.tasks.get_mut(&pid) else { return Ok(None) };
        if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            // SAFETY: of an entry, the kernel filled in this member.
            *call = Some(unsafe { info.u.entry.nr });
            return Ok(None);
        }
        if info.op != libc::PTRACE_SYSCALL_INFO_EXIT || !self.begun {
            return Ok(None);
        }
        // SAFETY: of an exit, the kernel filled in this member.
        let failed = unsafe { info.u.exit.is_error } != 0;
        let Some(number) = call.take().filter(|_| !failed) else { return Ok(None) };
        let known = CALLS.iter().find(|(known, _)| u64::try_from(*known) == Ok(number));
        Ok(known.map(|(_, name)| Step::Call(name)))
    }
}

/// The next that happens to a task that this thread traces: not to children of others.
fn wait(pid: Pid) -> nix::Result<WaitStatus> {
    waitpid(pid, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD))
}

/// The state of a process (`proc_pid_stat(5)`): `Z` of one that ended.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Whoever was killed meanwhile is there no more.
fn gone(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        result => result,
    }
}

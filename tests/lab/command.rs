//! Programs with a deadline: what is run, what it said, how it ended.
//!
//! Output goes to files and not to pipes, so that a daemon which keeps its output open
//! holds nobody up, and so that it can be read while the program runs.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::machine::Machine;

/// Time that a program has when nothing else is said.
const DEADLINE: Duration = Duration::from_secs(30);
/// Lines of one stream of output that go to the log.
const LOGGED_LINES: usize = 40;

/// When this process first had something to say.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A line of the log, with the seconds since the first.
pub(crate) fn note(line: &str) {
    eprintln!("{:7.2} {line}", BEGAN.elapsed().as_secs_f32());
}

/// The environment of everything in a lab; nothing of the caller's gets in.
pub(crate) fn environment() -> [(&'static str, &'static str); 4] {
    [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/root"),
        ("LANG", "C.UTF-8"),
        ("TERM", "dumb"),
    ]
}

/// A program to run on a machine.
#[derive(Debug)]
pub(crate) struct Run<'machine> {
    machine: &'machine Machine,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    input: Vec<u8>,
    deadline: Duration,
}

impl<'machine> Run<'machine> {
    pub(crate) fn new(machine: &'machine Machine, arguments: &[impl AsRef<str>]) -> Self {
        Self {
            machine,
            arguments: arguments.iter().map(|word| word.as_ref().to_owned()).collect(),
            variables: Vec::new(),
            input: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// Adds a variable to its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it reads on its standard input; nothing else.
    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// The time it has.
    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end; the case fails when it cannot be started or takes too long.
    #[track_caller]
    pub(crate) fn run(self) -> Output {
        let deadline = self.deadline;
        self.spawn().output_within(deadline)
    }

    /// Starts it and returns at once. It is killed when the [`Process`] is dropped.
    #[track_caller]
    pub(crate) fn spawn(self) -> Process {
        let title = format!("{}$ {}", self.machine.name(), self.arguments.join(" "));
        note(title.get(..400).unwrap_or(&title));
        let (stdout, stderr, mut input) = (scratch(), scratch(), scratch());
        input.write_all(&self.input).and_then(|()| input.rewind()).expect("memory takes the input");
        let (program, arguments) = self.arguments.split_first().expect("a command has a program");
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment()).envs(self.variables);
        command.current_dir("/").process_group(0).stdin(input);
        command.stdout(same(&stdout)).stderr(same(&stderr));
        let child = self
            .machine
            .inside(|| command.spawn())
            .unwrap_or_else(|source| panic!("{title}: cannot be started: {source}"));
        Process { title, began: Instant::now(), child, stdout, stderr }
    }
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct Process {
    title: String,
    began: Instant,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    /// What it wrote to standard output until now.
    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it wrote to standard error until now.
    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to it and to the children in its process group.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended meanwhile, and then there is nobody to tell.
        let _ = killpg(self.pid(), signal);
    }

    /// Waits for its end; the case fails when that takes longer.
    #[track_caller]
    pub(crate) fn output_within(mut self, limit: Duration) -> Output {
        let ended = ended_within(&mut self.child, limit);
        let output = Output {
            title: self.title.clone(),
            status: ended.unwrap_or_default(),
            stdout: self.stdout(),
            stderr: self.stderr(),
            took: self.began.elapsed(),
        };
        output.log(ended.is_some());
        assert!(ended.is_some(), "{}: killed after {limit:?}\n{}", self.title, output.said());
        output
    }

    /// Its number, as the lab counts.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::SIGKILL);
            // Killed: it ends, and otherwise goes with the lab.
            let _ = self.child.wait();
        }
    }
}

/// What a program said and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    title: String,
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// From its start to its end.
    pub(crate) took: Duration,
}

impl Output {
    /// Whether it ended with 0.
    pub(crate) fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit status; 128 and the signal when a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        code(self.status)
    }

    /// Standard output; the case fails when it did not end with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.success(), "{}: exit status {}\n{}", self.title, self.code(), self.said());
        self.stdout
    }

    /// Both streams, for a message.
    fn said(&self) -> String {
        format!("stdout: {}\nstderr: {}", self.stdout.trim_end(), self.stderr.trim_end())
    }

    fn log(&self, ended: bool) {
        for (mark, stream) in [('|', &self.stdout), ('!', &self.stderr)] {
            let lines: Vec<&str> = stream.lines().collect();
            let left = lines.len().saturating_sub(LOGGED_LINES);
            if left > 0 {
                eprintln!("  {mark} … {left} lines left out");
            }
            for line in &lines[left..] {
                eprintln!("  {mark} {line}");
            }
        }
        let how = if ended { self.code().to_string() } else { "killed".to_owned() };
        eprintln!("  = {how} after {:.2} s", self.took.as_secs_f32());
    }
}

/// Waits for the end of the child; after the limit kills it with its process group and
/// returns nothing.
pub(crate) fn ended_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let (tell, told) = mpsc::channel();
    // It is left unreaped here, so its number stays its own until `wait` below.
    let watch = thread::spawn(move || {
        let ended = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        // The one that asked stopped listening when the limit had passed.
        let _ = tell.send(ended);
    });
    let in_time = told.recv_timeout(limit).is_ok();
    if !in_time {
        // The group exists where the child made one; the child is killed in any case.
        let _ = killpg(pid, Signal::SIGKILL);
        let _ = child.kill();
    }
    let status = child.wait();
    let _ = watch.join();
    status.ok().filter(|_| in_time)
}

/// The exit status as shells show it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// A file without a name, written at its end whoever writes.
fn scratch() -> File {
    tempfile::Builder::new().append(true).tempfile().expect("/tmp takes files").into_file()
}

fn same(file: &File) -> File {
    file.try_clone().expect("a file can be opened twice")
}

/// All of the file, read without moving where others write: who appends moves the place that
/// all copies of a file share.
fn text(file: &File) -> String {
    let length = file.metadata().expect("a file has a length").len();
    let mut bytes = vec![0; usize::try_from(length).expect("it fits into memory")];
    file.read_exact_at(&mut bytes, 0).expect("the file only grows");
    String::from_utf8_lossy(&bytes).into_owned()
}

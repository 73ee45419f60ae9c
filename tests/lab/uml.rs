//! A kernel of its own for cases that need VLANs or VRFs, which the kernel of the machine
//! may not have: user-mode-linux, a kernel that is a program.
//!
//! It runs inside a lab: what it sees as its disk is the lab's throw-away root, and all
//! its processes end with the lab's pid namespace. Its first process is this very
//! program, which runs cases one after the other, each in a lab within: the same
//! namespaces and nodes as natively.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

use crate::cases;
use crate::command::environment;
use crate::namespaces::{self, Place, THIS_PROGRAM};

/// Word by which this program starts a kernel inside a lab: [`WATCHED`] or [`ALONE`], and
/// names of cases.
pub(crate) const BOOT: &str = "@uml-boot";
/// Word by which this program is the first process of that kernel: names of cases, with
/// commas between them.
pub(crate) const INIT: &str = "@uml-init";
/// Somebody reads standard error meanwhile.
pub(crate) const WATCHED: &str = "watched";
/// Nobody does.
pub(crate) const ALONE: &str = "alone";
/// Time to boot and to halt.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// What the kernel says when its first process is ready.
pub(crate) const READY: &str = "@uml ready";
/// Memory of the kernel, of which half may be files.
const MEMORY: &str = "mem=2G";
const PROGRAM: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";

/// One case in the log of a kernel.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its exit status as [`namespaces::Ended`] shows it; nothing when it did not end.
    pub(crate) ended: Option<String>,
    /// How long it took, with the unit.
    pub(crate) took: String,
    /// What was said meanwhile.
    pub(crate) log: String,
}

/// What a status is that means success.
pub(crate) const PASSED: &str = "exit status 0";

/// The report of one case from all that a kernel said.
pub(crate) fn report(said: &str, name: &str) -> Report {
    let (begin, end) = (format!("@case {name} begins"), format!("@case {name} ends: "));
    let lines = said.lines().skip_while(|line| *line != begin).skip(1);
    let mut report = Report { ended: None, took: "0 s".to_owned(), log: String::new() };
    for line in lines {
        if let Some((took, ended)) = line.strip_prefix(&end).and_then(|rest| rest.split_once(": "))
        {
            took.clone_into(&mut report.took);
            report.ended = Some(ended.to_owned());
            break;
        }
        report.log.push_str(line);
        report.log.push('\n');
    }
    report
}

/// The entry that runs inside a lab: starts the kernel, and says line by line what its
/// console says; on standard error too when somebody watches.
pub(crate) fn boot(watched: bool, names: &[&str]) -> ExitCode {
    let init = format!("init={THIS_PROGRAM}");
    let done = (|| -> io::Result<bool> {
        let mut kernel = Command::new(PROGRAM)
            .args([MEMORY, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", &init])
            .args(["con=null", "con0=fd:0,fd:1", "quiet", "panic=1", "--", INIT])
            // In one word: the kernel adds words of its own.
            .arg(names.join(","))
            .env_clear()
            .envs(environment())
            // The file that is its memory.
            .env("TMPDIR", "/dev/shm")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let console = BufReader::new(kernel.stdout.take().expect("standard output is a pipe"));
        for line in console.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            println!("{line}");
            if watched {
                eprintln!("{line}");
            }
        }
        Ok(kernel.wait()?.success())
    })();
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(source) => {
            eprintln!("{PROGRAM}: {source}");
            ExitCode::FAILURE
        }
    }
}

/// The first process of the kernel: runs the cases, and halts.
pub(crate) fn init(names: &str) -> ExitCode {
    if let Err(source) = prepare() {
        println!("the kernel's first process: {source}");
    } else {
        println!("{READY}");
        for name in names.split(',').filter(|name| !name.is_empty()) {
            run(name);
        }
    }
    let _ = io::stdout().flush();
    // Process 1 may not end: the kernel would call it a panic.
    let error = reboot(RebootMode::RB_POWER_OFF).expect_err("there is no way back");
    println!("the kernel does not halt: {error}");
    ExitCode::FAILURE
}

/// Mounts what the labs within begin with.
fn prepare() -> io::Result<()> {
    let told = |at: &Path, errno| io::Error::other(format!("mount on {}: {errno}", at.display()));
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/tmp"), ("tmpfs", "/run")] {
        let at = Path::new(at);
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
            .map_err(|errno| told(at, errno))?;
    }
    // Where the kernel has modules looked for.
    let modules = Path::new("/usr/lib/modules");
    fs::create_dir_all(modules)?;
    mount(Some(MODULES), modules, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|errno| told(modules, errno))
}

fn run(name: &str) {
    let Some(case) = cases::all().find(|case| case.name == name) else {
        println!("there is no case {name}");
        return;
    };
    println!("@case {name} begins");
    let began = Instant::now();
    let words = [namespaces::CASE, name];
    let ended = match namespaces::run_in_lab(&Place::of_lab(), &words, case.limit, true) {
        Ok((ended, said)) => {
            print!("{said}");
            ended.to_string()
        }
        Err(reason) => reason,
    };
    println!("@case {name} ends: {:.1} s: {ended}", began.elapsed().as_secs_f32());
}

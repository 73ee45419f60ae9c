//! Programs of the machine: found by absolute path, with a clean environment, and
//! bounded in time and output.

use std::io::{Read, Seek as _, Write as _};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::HostError;

/// Where programs are looked for, in this order.
const DIRECTORIES: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a program may take.
pub(super) const TIME: Duration = Duration::from_secs(10);

/// The most bytes that a program may write.
const OUTPUT: u64 = 64 << 20;

/// How much of what a program complains about is kept.
const COMPLAINT: usize = 4096;

/// What a program writes when it ends well.
pub(super) fn run(name: &str, arguments: &[&str]) -> Result<Vec<u8>, HostError> {
    run_within(name, arguments, TIME)
}

pub(super) fn run_within(
    name: &str,
    arguments: &[&str],
    time: Duration,
) -> Result<Vec<u8>, HostError> {
    let ended = execute(name, arguments, "", time)?;
    match ended.complaint() {
        None => Ok(ended.output),
        Some(message) => Err(failed(name, arguments, message)),
    }
}

/// Runs a program whose status is no proof of anything; what it complained about, if it
/// did not end well or wrote to its standard error.
pub(super) fn try_within(
    name: &str,
    arguments: &[&str],
    time: Duration,
) -> Result<Option<String>, HostError> {
    try_with(name, arguments, "", time)
}

/// The same with what the program reads from its standard input.
pub(super) fn try_with(
    name: &str,
    arguments: &[&str],
    input: &str,
    time: Duration,
) -> Result<Option<String>, HostError> {
    let ended = execute(name, arguments, input, time)?;
    let said = ended.said();
    Ok(match ended.complaint() {
        Some(message) => Some(format!("`{}` {message}", words(name, arguments))),
        None if said.is_empty() => None,
        None => Some(format!("`{}` said: {said}", words(name, arguments))),
    })
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    said: Vec<u8>,
}

impl Ended {
    /// The head of what it wrote to its standard error, in one line.
    fn said(&self) -> String {
        let head = &self.said[..self.said.len().min(COMPLAINT)];
        String::from_utf8_lossy(head).trim().escape_debug().to_string()
    }

    fn complaint(&self) -> Option<String> {
        (!self.status.success()).then(|| format!("ended with {}: {}", self.status, self.said()))
    }
}

fn words(name: &str, arguments: &[&str]) -> String {
    [&[name], arguments].concat().join(" ")
}

fn failed(name: &str, arguments: &[&str], message: String) -> HostError {
    HostError::Program { program: words(name, arguments), message }
}

/// The package of Debian 13 and Proxmox VE that holds a program.
fn package(program: &str) -> Option<&'static str> {
    Some(match program {
        "bridge" | "ip" | "tc" => "iproute2",
        "ifdown" | "ifquery" | "ifreload" | "ifup" => "ifupdown2",
        "ip6tables" | "ip6tables-save" | "iptables" | "iptables-save" => "iptables",
        "dnsmasq" => "dnsmasq-base",
        "frr-reload.py" => "frr-pythontools",
        "vtysh" => "frr",
        "nft" => "nftables",
        "ovs-vsctl" => "openvswitch-switch",
        "sysctl" => "procps",
        "busctl" | "systemctl" | "systemd-run" => "systemd",
        _ => return None,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place of this floor that runs a program: by absolute path, bounded"
)]
fn command(name: &str, arguments: &[&str]) -> Result<Command, HostError> {
    let path = find(name).ok_or_else(|| {
        let what = match package(name) {
            Some(package) => format!("the package `{package}`"),
            None => "what it is in".to_owned(),
        };
        let message = format!("was not found in {DIRECTORIES}; install {what}");
        failed(name, arguments, message)
    })?;
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", DIRECTORIES)
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        // A group of its own, so that what it starts ends with it.
        .process_group(0)
        .stdin(Stdio::null());
    Ok(command)
}

/// Runs a program that leaves daemons behind. They may keep its output open for ever, so
/// that its end is no sign; what it writes goes to a file without a name.
pub(super) fn start(name: &str, arguments: &[&str], time: Duration) -> Result<(), HostError> {
    let fail = |message: String| failed(name, arguments, message);
    let refused = |error: std::io::Error| fail(format!("cannot be started: {error}"));
    let mut output = tempfile::tempfile().map_err(refused)?;
    let mut child = command(name, arguments)?
        .stdout(output.try_clone().map_err(refused)?)
        .stderr(output.try_clone().map_err(refused)?)
        .spawn()
        .map_err(refused)?;
    let Some(status) = wait(&mut child, Instant::now() + time) else {
        stop(&mut child);
        return Err(fail(format!("took longer than {} s", time.as_secs())));
    };
    // All of it is there already.
    let mut said = Vec::new();
    let read = output.rewind().and_then(|()| output.take(COMPLAINT as u64).read_to_end(&mut said));
    read.map_err(|error| fail(format!("wrote what cannot be read: {error}")))?;
    let ended = Ended { status, output: Vec::new(), said };
    ended.complaint().map_or(Ok(()), |message| Err(fail(message)))
}

fn execute(
    name: &str,
    arguments: &[&str],
    input: &str,
    time: Duration,
) -> Result<Ended, HostError> {
    let fail = |message: String| failed(name, arguments, message);
    let read = reading(input).map_err(|error| fail(format!("cannot be told: {error}")))?;
    let mut child = command(name, arguments)?
        .stdin(read)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("cannot be started: {error}")))?;
    let deadline = Instant::now() + time;
    let output = collect(child.stdout.take(), OUTPUT + 1);
    let said = collect(child.stderr.take(), OUTPUT + 1);
    // Ends at the bound or at the end of the output, whichever is first.
    let output = output.recv_timeout(time);
    if output.as_ref().is_ok_and(|bytes| bytes.len() as u64 > OUTPUT) {
        stop(&mut child);
        return Err(fail(format!("wrote more than {OUTPUT} bytes")));
    }
    let (Ok(output), Some(status)) = (output, wait(&mut child, deadline)) else {
        stop(&mut child);
        return Err(fail(format!("took longer than {} s", time.as_secs())));
    };
    let said = said.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    Ok(Ended { status, output, said })
}

/// A text as a standard input: a file without a name, so that whoever does not read it holds
/// nobody.
fn reading(input: &str) -> std::io::Result<Stdio> {
    if input.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    Ok(Stdio::from(file))
}

fn find(name: &str) -> Option<PathBuf> {
    DIRECTORIES
        .split(':')
        .map(|directory| PathBuf::from(directory).join(name))
        .find(|p| p.is_file())
}

/// What can be read up to a bound, by a thread of its own, so that a program which
/// holds its output open holds nobody.
fn collect(source: Option<impl Read + Send + 'static>, limit: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(source) = source {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is still what the program wrote; whether
            // it is whole is told by the program's status and by who parses it.
            let _ = source.take(limit).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
    }
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// Ends a program that broke its bounds. It may have ended meanwhile.
fn stop(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{run, run_within, start, try_with};

    fn message(result: Result<Vec<u8>, super::HostError>) -> String {
        result.expect_err("it must fail").to_string()
    }

    #[test]
    fn a_program_answers_in_a_clean_environment() {
        let output = run("sh", &["-c", "echo $LC_ALL; env | wc -l"]).expect("sh runs");
        let text = String::from_utf8(output).expect("ASCII");
        // PATH, LANG, LC_ALL and what the shell itself sets: PWD, and in some also SHLVL, _.
        let (locale, count) = text.split_once('\n').expect("two lines");
        assert_eq!(locale, "C.UTF-8");
        assert!(count.trim().parse::<u32>().expect("a number") <= 6, "{text}");
    }

    #[test]
    fn a_program_reads_what_it_is_told() {
        let said = |input: &str| {
            let time = Duration::from_secs(10);
            try_with("sh", &["-c", "cat >&2"], input, time).expect("sh runs")
        };
        assert_eq!(said(""), None);
        let text = "a line\n".repeat(300);
        let lines = said(&text).expect("it said something");
        assert_eq!(lines.matches("a line").count(), 300);
    }

    #[test]
    fn a_daemon_that_is_left_behind_holds_nobody() {
        let begun = Instant::now();
        let time = Duration::from_secs(20);
        start("sh", &["-c", "sleep 3 & echo well"], time).expect("it ends well");
        assert!(begun.elapsed() < Duration::from_secs(2));
        let failed = start("sh", &["-c", "sleep 3 & echo no; exit 3"], time);
        assert!(failed.expect_err("it fails").to_string().contains("status: 3: no"));
        let late = start("sh", &["-c", "sleep 30"], Duration::from_millis(200));
        assert!(late.expect_err("it is late").to_string().contains("took longer"));
    }

    #[test]
    fn bounds_hold() {
        assert!(message(run("sh", &["-c", "echo no >&2; exit 3"])).contains("status: 3: no"));
        assert!(message(run("weft-no-such-program", &[])).contains("was not found"));
        assert!(message(run("sh", &["-c", "yes"])).contains("wrote more than"));
        let begun = Instant::now();
        let late = run_within("sh", &["-c", "sleep 30 & sleep 30"], Duration::from_secs(1));
        assert!(message(late).contains("took longer than 1 s"));
        assert!(begun.elapsed() < Duration::from_secs(8));
    }
}

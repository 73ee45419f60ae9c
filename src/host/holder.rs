//! The process that holds a lock: it writes into the lock's file who it is, so that the
//! watchdog can end it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::HostError;

/// The most bytes of a lock's file.
pub(super) const LIMIT: u64 = 128;

/// The longest command that is told, in characters.
const MAX_COMMAND: usize = 200;

/// Who holds a lock, for a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The number of its process.
    pub process: u32,
    /// The words of its command, the name of the program first; no control character is among
    /// them.
    pub command: String,
}

/// Who holds a lock, by what its file says; `None` where no such process runs any more.
pub fn holder(text: &str) -> Option<Holder> {
    let process = u32::try_from(named(text)?.number).ok()?;
    let words = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words);
    let mut words = words.trim_end_matches('\0').split('\0');
    let program = words.next()?;
    let program = program.rsplit_once('/').map_or(program, |(_, name)| name);
    let command: Vec<&str> = std::iter::once(program).chain(words).collect();
    let command = command.join(" ").replace(char::is_control, " ");
    Some(Holder { process, command: command.chars().take(MAX_COMMAND).collect() })
}

/// A process, by its number and the time at which it began, in clock ticks since the
/// machine did: a number alone is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    number: i32,
    parent: i32,
    began: u64,
}

/// Writes into a locked file that this process holds it.
pub(super) fn sign(mut file: &File) -> io::Result<()> {
    let own = Process::read(std::process::id()).ok_or(io::ErrorKind::NotFound)?;
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {}", own.number, own.began)
}

/// Ends the process that a lock's file names, if it runs still, and everything that
/// descends from it: first all are stopped, so that none starts another meanwhile.
pub(super) fn end(text: &str) -> Result<(), HostError> {
    let Some(holder) = named(text) else { return Ok(()) };
    if holder.number == Pid::this().as_raw() {
        return Ok(());
    }
    send(holder, Signal::SIGSTOP)?;
    let mut family = vec![holder];
    // Until nobody new is found: a child may have begun another before it was stopped.
    loop {
        let known = family.len();
        for process in all().into_values() {
            let of_family = family.iter().any(|member| member.number == process.parent);
            if of_family && !family.contains(&process) {
                send(process, Signal::SIGSTOP)?;
                family.push(process);
            }
        }
        if family.len() == known {
            break;
        }
    }
    for process in family.into_iter().rev() {
        send(process, Signal::SIGKILL)?;
    }
    Ok(())
}

/// The process that a lock's file names, where it is the very one that wrote it.
fn named(text: &str) -> Option<Process> {
    let (number, began) = text.trim_end().split_once(' ')?;
    let process = Process::read(number.parse().ok()?)?;
    (began.parse() == Ok(process.began)).then_some(process)
}

fn send(process: Process, signal: Signal) -> Result<(), HostError> {
    // The kernel gives numbers in turn: none comes again between a look and a signal.
    let same = u32::try_from(process.number).ok().and_then(Process::read);
    if same.is_none_or(|now| now.began != process.began) {
        return Ok(());
    }
    match kill(Pid::from_raw(process.number), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(HostError::Program {
            program: format!("process {}", process.number),
            message: format!("cannot be ended: {error}"),
        }),
    }
}

fn all() -> BTreeMap<u32, Process> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number: u32| Some((number, Process::read(number)?))).collect()
}

impl Process {
    fn read(number: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{number}/stat")).ok()?)
    }

    /// From a line of `/proc/PID/stat` (`proc_pid_stat(5)`): behind the name, which may hold
    /// anything, the parent is the second field and the beginning the twentieth.
    fn parse(stat: &str) -> Option<Self> {
        let number = stat.split_once(' ')?.0.parse().ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            number,
            parent: fields.get(1)?.parse().ok()?,
            began: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Process, named};

    #[test]
    fn a_process_is_known_by_its_number_and_its_beginning() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2";
        let process = Process { number: 42, parent: 7, began: 987_654 };
        assert_eq!(Process::parse(stat), Some(process));
        assert_eq!(Process::parse("42 (a) S"), None);
        let own = Process::read(std::process::id()).expect("it runs");
        assert_eq!(named(&format!("{} {}\n", own.number, own.began)), Some(own));
        assert_eq!(named(&format!("{} {}\n", own.number, own.began + 1)), None);
        assert_eq!(named("nonsense"), None);
        let holder = super::holder(&format!("{} {}\n", own.number, own.began)).expect("it runs");
        assert_eq!(holder.process, std::process::id());
        assert!(holder.command.starts_with("weft"), "{holder:?}");
        assert_eq!(super::holder(&format!("{} {}\n", own.number, own.began + 1)), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process to be ended")]
    fn a_holder_is_ended_with_what_it_started() {
        let mut holder = Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & sleep 1000 & wait"])
            .spawn()
            .expect("sh runs");
        let process = Process::read(holder.id()).expect("it runs");
        let children = || {
            let all = super::all().into_values();
            all.filter(|child| child.parent == process.number).collect::<Vec<_>>()
        };
        while children().len() < 2 {
            std::thread::yield_now();
        }
        let started = children();
        super::end(&format!("{} {}", process.number, process.began)).expect("it is ended");
        assert!(!holder.wait().expect("it ended").success());
        for child in started {
            let number = u32::try_from(child.number).expect("a number");
            // It is nobody's child now: whoever adopts it takes its end.
            let gone = || match std::fs::read_to_string(format!("/proc/{number}/stat")) {
                Ok(stat) => stat.contains(") Z "),
                Err(_) => true,
            };
            while !gone() {
                std::thread::yield_now();
            }
        }
    }
}

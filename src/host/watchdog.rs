//! Starting the process that undoes an apply whose window ends, and the clock by which
//! it does.
//!
//! It must outlive whoever starts it. Where systemd runs, it is a unit of its own, which
//! no end of the agent's reaches; elsewhere a session of its own.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::{Host, HostError, Linux, program};
use crate::plan::Uptime;

/// Where a watchdog says that it watches.
const PATH: &str = "/run/weft/watchdog";
/// Where Linux says which start of the machine this is (`proc_sys_kernel(5)`).
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// What is there where systemd runs (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";
/// How often it is looked whether a watchdog watches, and how long is waited between.
const LOOKS: u32 = 5000;
const PAUSE: Duration = Duration::from_millis(1);
/// How long starting it may take.
const TIME: Duration = Duration::from_secs(10);
const LIMIT: u64 = 256;

/// What a watchdog says of itself while it watches: whoever started it waits for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watching {
    /// The entry of the journal.
    pub number: u64,
    /// The process.
    pub process: u32,
}

impl Watching {
    /// Says that this process watches an entry.
    pub fn begin(host: &impl Host, number: u64) -> Result<Self, HostError> {
        let watching = Self { number, process: std::process::id() };
        let text = serde_json::to_vec(&watching)
            .map_err(|error| HostError::of("write", Utf8Path::new(PATH), error.into()))?;
        host.replace(Utf8Path::new(PATH), &text, 0o600)?;
        Ok(watching)
    }

    /// Whether its process lives, by the arguments that it was started with: its number may be
    /// another's since.
    fn is_alive(self) -> bool {
        let words = std::fs::read(format!("/proc/{}/cmdline", self.process)).unwrap_or_default();
        let number = self.number.to_string();
        let mut words = words.split(|byte| *byte == 0).skip(1);
        words.next() == Some(b"watchdog") && words.next() == Some(number.as_bytes())
    }

    /// Takes back what it said, unless another watches by now.
    pub fn end(self, host: &impl Host) -> Result<(), HostError> {
        if read(host)? == Some(self) { host.remove(Utf8Path::new(PATH)) } else { Ok(()) }
    }
}

fn read(host: &impl Host) -> Result<Option<Watching>, HostError> {
    let file = host.read(Utf8Path::new(PATH), LIMIT)?;
    Ok(file.and_then(|file| serde_json::from_slice(&file.bytes).ok()))
}

/// The clock that goes on while the machine sleeps and that nobody sets (`CLOCK_BOOTTIME`,
/// `clock_gettime(2)`).
pub(super) fn uptime() -> Result<Uptime, HostError> {
    let fail = |source| HostError::of("read", Utf8Path::new(BOOT), source);
    let boot = std::fs::read_to_string(BOOT).map_err(fail)?;
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map_err(|error| fail(error.into()))?;
    let milliseconds = Duration::from(time).as_millis();
    Ok(Uptime {
        boot: boot.trim().to_owned(),
        milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX),
    })
}

/// Starts the watchdog of an entry, unless it watches, and waits until it does.
pub(super) fn start(host: &Linux, number: u64) -> Result<(), HostError> {
    if read(host)?.is_some_and(|watching| watching.number == number && watching.is_alive()) {
        return Ok(());
    }
    host.remove(Utf8Path::new(PATH))?;
    let weft = own_program()?;
    let entry = number.to_string();
    let unit = format!("--unit=weft-watchdog-{number}");
    if Utf8Path::new(SYSTEMD).is_dir() {
        // It must be the last to go, and come again if it does.
        let properties = [
            "--property=Restart=on-failure",
            "--property=RestartSec=1",
            // However often it fails: nobody else undoes the change.
            "--property=StartLimitIntervalSec=0",
            "--property=OOMScoreAdjust=-900",
        ];
        let words = [
            &["--quiet", "--collect", "--no-block", &unit][..],
            &properties[..],
            &["--", weft.as_str(), "watchdog"][..],
        ]
        .concat();
        program::start("systemd-run", &[&words[..], &[&entry]].concat(), TIME)?;
    } else {
        program::start("setsid", &["--fork", weft.as_str(), "watchdog", &entry], TIME)?;
    }
    for _ in 0..LOOKS {
        if read(host)?.is_some_and(|watching| watching.number == number) {
            return Ok(());
        }
        host.wait(PAUSE);
    }
    Err(HostError::Program {
        program: format!("{weft} watchdog {number}"),
        message: "does not watch; without it nothing would undo the change".to_owned(),
    })
}

fn own_program() -> Result<Utf8PathBuf, HostError> {
    let fail = |message: String| HostError::Program { program: "weft".to_owned(), message };
    let path = std::env::current_exe().map_err(|error| fail(format!("is not found: {error}")))?;
    // An upgrade that replaced the file meanwhile leaves this behind.
    let path = path.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
    let path = Utf8PathBuf::from(path);
    if path.is_file() { Ok(path) } else { Err(fail(format!("is not at `{path}` any more"))) }
}

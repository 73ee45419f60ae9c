//! What systemd is told of the agent: that it is ready, alive, or ending.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How much longer systemd is asked to wait for a turn that must end first, in
/// microseconds; asked for again at each sign of life.
const EXTENSION: u64 = 90_000_000;
/// How often there is a sign of life when nobody asks for one.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The line to systemd, if it started this process; else to nobody.
#[derive(Debug, Default)]
pub struct Notify {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// The line that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    #[expect(
        clippy::disallowed_methods,
        reason = "systemd speaks to a service through its environment; it configures nothing"
    )]
    pub fn from_environment() -> Self {
        let name = std::env::var("NOTIFY_SOCKET").ok();
        let address = name.and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        let line = address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address)));
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| ours && *time > 0);
        Self { line, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// How often there should be a sign of life: twice within systemd's patience.
    pub fn heartbeat(&self) -> Duration {
        let asked = self.watchdog.map_or(HEARTBEAT, |watchdog| watchdog / 2);
        asked.clamp(Duration::from_millis(100), HEARTBEAT)
    }

    /// The agent answers.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The agent is alive; while it ends, that it needs more time for that.
    pub fn alive(&self, ending: bool) {
        self.say("WATCHDOG=1");
        if ending {
            self.say(&format!("EXTEND_TIMEOUT_USEC={EXTENSION}"));
        }
    }

    /// The agent ends.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// One sentence for `systemctl status`.
    pub fn status(&self, message: &str) {
        let line: String = message.chars().filter(|c| !c.is_control()).take(500).collect();
        self.say(&format!("STATUS={line}"));
    }

    fn say(&self, text: &str) {
        if let Some((socket, address)) = &self.line {
            // Nothing depends on being heard.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

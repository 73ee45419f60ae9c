//! Services of the machine: FRR, dnsmasq, and what they are started by. With systemd by
//! its units, without it by the programs that the units run.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{HostError, frr, program, vty};
use crate::plan::{Frr, ServiceStep, Services};
use crate::render::Managed;
use crate::value::ZoneId;

/// Where systemd is when it runs.
const SYSTEMD: &str = "/run/systemd/system";
/// Where the system bus is when it runs.
const BUS: &str = "/run/dbus/system_bus_socket";

/// Where what is needed for a moment lies.
const RUN: &str = "/run";

/// What brings FRR to a configuration, and what starts it.
const FRR_RELOAD: &str = "/usr/lib/frr/frr-reload.py";
const FRR_INIT: &str = "/usr/lib/frr/frrinit.sh";
const FRR_UNIT: &str = "frr.service";

/// What the unit of dnsmasq runs.
const DNSMASQ_HELPER: &str = "/usr/share/dnsmasq/systemd-helper";
const DNSMASQ_UNIT: &str = "dnsmasq.service";

/// The name of a zone's dnsmasq on the bus, but for the zone (`--enable-dbus` of dnsmasq(8)).
const DNSMASQ_NAME: &str = "uk.org.thekelleys.dnsmasq";
const DNSMASQ_PATH: &str = "/uk/org/thekelleys/dnsmasq";

/// Where FRR's daemons leave their process ids, and how many files are looked at there.
const FRR_RUN: &str = "/run/frr";
const MOST_FRR_FILES: usize = 256;

/// How long FRR may take to tell what it runs.
const FRR_ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long FRR may take: a reload starts one program for each statement that goes.
const FRR_TIME: Duration = Duration::from_secs(180);
/// How long FRR's daemons may take to tell each other what goes.
const RELEASE_TIME: Duration = Duration::from_secs(10);
/// How long another service may take.
const SERVICE_TIME: Duration = Duration::from_secs(60);
/// How long a service may take to end before it is killed, and then.
const END_TIME: Duration = Duration::from_secs(5);

/// What runs. FRR is asked only where it is concerned.
pub(super) fn read(frr: bool, zones: &BTreeSet<ZoneId>) -> Services {
    Services {
        frr: if frr { running_frr() } else { Frr::Off },
        dnsmasq: zones.iter().filter(|zone| dnsmasq_serves(zone)).cloned().collect(),
        default_dnsmasq: !zones.is_empty() && dnsmasq_runs(None),
    }
}

/// What FRR runs. Its shell asks every daemon, and waits for one that hangs as long as it is
/// let; so whether there is one is read from its processes.
fn running_frr() -> Frr {
    match program::run_within("vtysh", &["-c", "show running-config"], FRR_ANSWER_TIME) {
        Ok(text) => Frr::Runs(String::from_utf8_lossy(&text).into_owned()),
        Err(_) if frr_lives(Utf8Path::new(FRR_RUN)) => Frr::Silent,
        Err(_) => Frr::Off,
    }
}

/// Whether a daemon lives of those whose PID files lie in a directory. Its watcher is none:
/// it lives on with nothing to watch.
fn frr_lives(directory: &Utf8Path) -> bool {
    let Ok(entries) = directory.read_dir_utf8() else { return false };
    entries.flatten().take(MOST_FRR_FILES).any(|entry| {
        let daemon = entry.file_name().strip_suffix(".pid");
        daemon.is_some_and(|daemon| {
            let is_watcher = daemon == "watchfrr";
            !is_watcher && process_of(entry.path()).is_some_and(|pid| is_running(pid, daemon))
        })
    })
}

/// Why nothing is begun with FRR.
fn silent_frr() -> HostError {
    let message = "a daemon of FRR runs and does not answer; look which one hangs, and restart \
                   FRR when its sessions may drop";
    HostError::Program { program: "vtysh".to_owned(), message: message.to_owned() }
}

/// Carries out a step.
pub(super) fn change(step: &ServiceStep) -> Result<(), HostError> {
    match step {
        ServiceStep::ReloadUnits if has_systemd() => systemctl(&["daemon-reload"]),
        ServiceStep::ReloadBus if has_systemd() => systemctl(&["reload", "dbus.service"]),
        ServiceStep::ReloadBus if Path::new(BUS).exists() => run(
            "dbus-send",
            &[
                "--system",
                "--type=method_call",
                "--dest=org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus.ReloadConfig",
            ],
            SERVICE_TIME,
        ),
        // Nobody keeps what was read before.
        ServiceStep::ReloadUnits | ServiceStep::ReloadBus => Ok(()),
        ServiceStep::LoadSysctl => {
            run("sysctl", &["-q", "-p", Managed::Sysctl.path().as_str()], SERVICE_TIME)
        }
        ServiceStep::ReloadFrr => {
            let running = match running_frr() {
                Frr::Runs(running) => running,
                Frr::Silent => return Err(silent_frr()),
                Frr::Off => return start_frr("start"),
            };
            enable_frr()?;
            let path = Managed::Frr.path();
            let text = fs::read(&path).map_err(|error| HostError::of("read", &path, error))?;
            release_interfaces(&running, &String::from_utf8_lossy(&text))?;
            run(FRR_RELOAD, &["--stdout", "--reload", path.as_str()], FRR_TIME)
        }
        ServiceStep::RestartFrr => start_frr("restart"),
        ServiceStep::EmptyFrr => empty_frr(),
        ServiceStep::ReleaseVnis(vrfs) => release_vnis(vrfs),
        ServiceStep::StopDefaultDnsmasq => stop_dnsmasq(None),
        ServiceStep::StartDefaultDnsmasq => start_dnsmasq(None),
        ServiceStep::RestartDnsmasq(zone) => start_dnsmasq(Some(zone)),
        ServiceStep::StopDnsmasq(zone) => stop_dnsmasq(Some(zone)),
        ServiceStep::ReloadHosts(zone) => reload_hosts(zone),
        ServiceStep::ForgetLease(zone, address) => forget_lease(zone, *address),
    }
}

/// Whether the program that will read a file takes it; `copy` is where it lies now.
pub(super) fn check(managed: &Managed, copy: &Utf8Path) -> Result<(), HostError> {
    match managed {
        Managed::Frr => run("vtysh", &["-C", "-f", copy.as_str()], SERVICE_TIME).map_err(masked),
        Managed::Interfaces => super::network::check(copy),
        Managed::DnsmasqZone(_) | Managed::DnsmasqVnet(..) => {
            run("dnsmasq", &["--test", &format!("--conf-file={copy}")], SERVICE_TIME)
        }
        _ => Ok(()),
    }
}

/// What FRR complains about it shows, and everybody may read a status: what follows the word
/// is a secret.
fn masked(error: HostError) -> HostError {
    match error {
        HostError::Program { program, message } => {
            let mut words = message.split(' ');
            let mut shown = Vec::new();
            while let Some(word) = words.next() {
                shown.push(word);
                if matches!(word, "password" | "key-string" | "authentication-key") {
                    shown.push("***");
                    // How it is written may come before it: `password 8 HASH`.
                    let next = words.next().unwrap_or_default();
                    if next.len() == 1 {
                        words.next();
                    }
                }
            }
            HostError::Program { program, message: shown.join(" ") }
        }
        error => error,
    }
}

fn run(program: &str, arguments: &[&str], time: Duration) -> Result<(), HostError> {
    program::run_within(program, arguments, time).map(drop)
}

fn has_systemd() -> bool {
    Path::new(SYSTEMD).is_dir()
}

fn systemctl(arguments: &[&str]) -> Result<(), HostError> {
    run("systemctl", arguments, SERVICE_TIME)
}

fn enable_frr() -> Result<(), HostError> {
    if has_systemd() { systemctl(&["--quiet", "enable", FRR_UNIT]) } else { Ok(()) }
}

fn start_frr(verb: &str) -> Result<(), HostError> {
    if has_systemd() {
        enable_frr()?;
        return run("systemctl", &[verb, FRR_UNIT], FRR_TIME);
    }
    program::start(FRR_INIT, &[verb], FRR_TIME)
}

/// Takes away what runs on interfaces that a configuration says nothing of.
fn release_interfaces(running: &str, text: &str) -> Result<(), HostError> {
    tell_frr(&frr::release_interfaces(running, text))
}

/// Takes the VNIs of VRFs away, and waits until bgpd, whom zebra tells of it, has none of them.
fn release_vnis(vrfs: &BTreeSet<String>) -> Result<(), HostError> {
    let running = match running_frr() {
        Frr::Runs(running) => running,
        Frr::Silent => return Err(silent_frr()),
        Frr::Off => return Ok(()),
    };
    let (statements, vnis) = frr::release_vnis(&running, vrfs);
    tell_frr(&statements)?;
    let deadline = Instant::now() + RELEASE_TIME;
    while vty::is_there("bgpd") {
        let answer = vty::ask("bgpd", "show bgp l2vpn evpn vni json", FRR_ANSWER_TIME)?;
        if !frr::has_vni(&answer, &vnis) {
            break;
        }
        if Instant::now() >= deadline {
            let limit = RELEASE_TIME.as_secs();
            let message = format!("does not give up a VNI within {limit} s: one of {vnis:?}");
            return Err(HostError::Program { program: "bgpd".to_owned(), message });
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Lets FRR run statements, as they stand in a file.
fn tell_frr(statements: &str) -> Result<(), HostError> {
    if statements.is_empty() {
        return Ok(());
    }
    let fail = |error| HostError::of("make a file in", Utf8Path::new(RUN), error);
    let file = tempfile::NamedTempFile::new_in(RUN).map_err(fail)?;
    fs::write(file.path(), statements).map_err(fail)?;
    run("vtysh", &["-f", &file.path().to_string_lossy()], SERVICE_TIME)
}

/// Reloads it with a file that says nothing. In a directory of its own, since of any file
/// but that of its directory the reload writes what runs to FRR's own `frr.conf`.
fn empty_frr() -> Result<(), HostError> {
    let running = match running_frr() {
        Frr::Runs(running) => running,
        Frr::Silent => return Err(silent_frr()),
        Frr::Off => return Ok(()),
    };
    let fail = |error| HostError::of("make a file in", Utf8Path::new(RUN), error);
    let directory = tempfile::TempDir::new_in(RUN).map_err(fail)?;
    let file = directory.path().join("frr.conf");
    fs::write(&file, "!\n").map_err(fail)?;
    release_interfaces(&running, "!\n")?;
    let (directory, file) = (directory.path().to_string_lossy(), file.to_string_lossy());
    run(FRR_RELOAD, &["--stdout", "--confdir", &directory, "--reload", &file], FRR_TIME)
}

/// The unit of a zone's dnsmasq, or of the one that is of no zone.
fn unit(zone: Option<&ZoneId>) -> String {
    zone.map_or_else(|| DNSMASQ_UNIT.to_owned(), |zone| format!("dnsmasq@{zone}.service"))
}

/// Whether the dnsmasq of a zone runs and, where there is a bus, answers on it: one that
/// hangs runs too. Without a bus nobody can ask it, and its process has to do.
fn dnsmasq_serves(zone: &ZoneId) -> bool {
    dnsmasq_runs(Some(zone)) && (!Path::new(BUS).exists() || answers(zone))
}

/// Whether the dnsmasq of a zone tells its version by the name that its file gives it.
fn answers(zone: &ZoneId) -> bool {
    let name = format!("{DNSMASQ_NAME}.{zone}");
    let answer = if has_systemd() {
        let words =
            ["--system", "--quiet", "--timeout=2", "call", &name, DNSMASQ_PATH, DNSMASQ_NAME];
        run("busctl", &[&words[..], &["GetVersion"]].concat(), SERVICE_TIME)
    } else {
        let destination = format!("--dest={name}");
        let method = format!("{DNSMASQ_NAME}.GetVersion");
        let words = ["--system", "--print-reply", "--reply-timeout=2000", &destination];
        run("dbus-send", &[&words[..], &[DNSMASQ_PATH, &method]].concat(), SERVICE_TIME)
    };
    answer.is_ok()
}

fn dnsmasq_runs(zone: Option<&ZoneId>) -> bool {
    if has_systemd() {
        return systemctl(&["--quiet", "is-active", &unit(zone)]).is_ok();
    }
    process(zone).is_some()
}

fn start_dnsmasq(zone: Option<&ZoneId>) -> Result<(), HostError> {
    if has_systemd() {
        let unit = unit(zone);
        systemctl(&["--quiet", "enable", &unit])?;
        return systemctl(&["restart", &unit]);
    }
    stop_dnsmasq(zone)?;
    let zone = zone.map(ZoneId::as_str);
    for verb in ["checkconfig", "exec"] {
        let words: Vec<&str> = [verb].into_iter().chain(zone).collect();
        program::start(DNSMASQ_HELPER, &words, SERVICE_TIME)?;
    }
    Ok(())
}

fn stop_dnsmasq(zone: Option<&ZoneId>) -> Result<(), HostError> {
    if has_systemd() {
        return systemctl(&["--quiet", "disable", "--now", &unit(zone)]);
    }
    let Some(process) = process(zone) else { return Ok(()) };
    // It removes its PID file before it gives its ports back: it is waited for itself.
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // It may have ended meanwhile.
        let _ = kill(process, signal);
        let deadline = Instant::now() + END_TIME;
        while Instant::now() < deadline {
            if !is_running(process, "dnsmasq") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Err(HostError::Program {
        program: unit(zone),
        message: format!("does not end within {} s of being killed", END_TIME.as_secs()),
    })
}

/// dnsmasq reads the file of its hosts when it starts and at each SIGHUP, which is what the
/// unit's reload is too (`dnsmasq(8)`, notes).
fn reload_hosts(zone: &ZoneId) -> Result<(), HostError> {
    if !dnsmasq_runs(Some(zone)) {
        return Ok(());
    }
    if has_systemd() {
        return systemctl(&["reload", &unit(Some(zone))]);
    }
    if let Some(process) = process(Some(zone)) {
        // It may have ended meanwhile.
        let _ = kill(process, Signal::SIGHUP);
    }
    Ok(())
}

/// By its own name on the system bus, as the reference talks to it.
fn forget_lease(zone: &ZoneId, address: IpAddr) -> Result<(), HostError> {
    if !dnsmasq_runs(Some(zone)) {
        return Ok(());
    }
    let destination = format!("--dest={DNSMASQ_NAME}.{zone}");
    let method = format!("{DNSMASQ_NAME}.DeleteDhcpLease");
    let address = format!("string:{address}");
    let words = [
        "--system",
        "--print-reply",
        "--type=method_call",
        &destination,
        DNSMASQ_PATH,
        &method,
        &address,
    ];
    run("dbus-send", &words, SERVICE_TIME)
}

/// The process that the unit's PID file names, if it is a dnsmasq.
fn process(zone: Option<&ZoneId>) -> Option<Pid> {
    let of_zone = zone.map(|zone| format!(".{zone}")).unwrap_or_default();
    let path = Utf8PathBuf::from(format!("/run/dnsmasq/dnsmasq{of_zone}.pid"));
    process_of(&path).filter(|pid| is_running(*pid, "dnsmasq"))
}

/// The process that a PID file names.
fn process_of(path: &Utf8Path) -> Option<Pid> {
    let pid: i32 = fs::read_to_string(path).ok()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    Some(Pid::from_raw(pid))
}

/// Whether a process has a program's name and did not end (`proc_pid_stat(5)`): a PID file
/// outlives a daemon that was killed, and its number is given to others.
fn is_running(process: Pid, program: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let rest = stat.split_once(&format!(" ({program}) ")).map(|(_, rest)| rest);
    rest.is_some_and(|rest| !rest.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::{HostError, frr_lives, masked};

    #[test]
    fn what_frr_complains_about_shows_no_password() {
        let masked = |message: &str| {
            let error = HostError::Program { program: "vtysh".into(), message: message.into() };
            masked(error).to_string()
        };
        let line = "line 3: % Unknown command: neighbor 10.0.0.1 password hunter2 x";
        assert_eq!(
            masked(line),
            "`vtysh` line 3: % Unknown command: neighbor 10.0.0.1 password *** x"
        );
        assert_eq!(masked("password 8 hash"), "`vtysh` password ***");
        assert_eq!(masked("no such thing"), "`vtysh` no such thing");
    }

    #[test]
    fn a_daemon_lives_whose_process_has_its_name() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = camino::Utf8Path::from_path(place.path()).expect("UTF-8");
        let put = |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("put");
        assert!(!frr_lives(directory) && !frr_lives(&directory.join("none")));
        let own = std::fs::read_to_string("/proc/self/comm").expect("a name");
        let number = std::process::id().to_string();
        // Another's number, no number, its watcher.
        put("bgpd.pid", &number);
        put("zebra.pid", "none\n");
        put("watchfrr.pid", &number);
        assert!(!frr_lives(directory), "{own}");
        put(&format!("{}.pid", own.trim()), &number);
        assert!(frr_lives(directory));
    }
}

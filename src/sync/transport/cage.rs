//! What the fetch process takes from itself before it talks to anybody.
//!
//! Its user and its empty environment are the agent's work. Here it gives up new
//! privileges, files beyond its cache, ports beyond the remote's, processes, memory
//! and time: whoever takes it over by what a remote sends has little to go on with.

use std::fs;
use std::os::fd::RawFd;

use camino::{Utf8Path, Utf8PathBuf};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope,
    path_beneath_rules,
};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{close, getuid};

use crate::sync::origin::Origin;
use crate::sync::protocol::{Cage, Fetch, FetchLimits};

/// The newest rules that were tried with this code. A kernel that knows fewer keeps
/// those that it knows.
const ABI_TRIED: ABI = ABI::V6;

/// The memory that the process may fill, in bytes. What libgit2 reads is bounded before;
/// this bounds what it makes of an answer without end.
const MEMORY: u64 = 36 << 20;
/// What is added for each object that a fetch may bring beyond the usual number, in bytes.
const MEMORY_OF_AN_OBJECT: u64 = 200;
/// The most that is added.
const MOST_MEMORY: u64 = 256 << 20;
/// The addresses that it may use, in bytes: with the libraries, and files that are mapped.
const ADDRESSES: u64 = 1 << 30;
/// The largest file that it may write, in bytes: a pack of the most that a fetch brings,
/// and what libgit2 adds to it.
const FILE: u64 = 512 << 20;
/// The files that it may have open: each pack of the cache is one.
pub(super) const FILES: i32 = 256;
/// The seconds of a processor that it may use.
const SECONDS: u64 = 300;

/// Where Debian keeps certificates, and OpenSSL its settings.
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"];
/// How names are resolved.
const RESOLVING: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/run/systemd/resolve",
];
/// Libraries that are loaded when they are needed: those that resolve names, and OpenSSL's.
const LIBRARIES: [&str; 5] = ["/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64"];
/// The port of name servers.
const DOMAIN: u16 = 53;

/// What the process still has to reach.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The directories that it keeps its files in.
    pub(super) writable: Vec<Utf8PathBuf>,
    /// Directories of this machine, to read.
    pub(super) readable: Vec<Utf8PathBuf>,
    /// The server.
    pub(super) origin: Option<Origin>,
}

impl Needs {
    /// What a remote asks for, whatever is kept of it.
    pub(super) fn of(fetch: &Fetch) -> Self {
        Self {
            writable: Vec::new(),
            readable: fetch.url.path().map(Utf8Path::to_owned).into_iter().collect(),
            origin: Origin::of(&fetch.url),
        }
    }
}

/// What needs no knowledge of the remote. Fails where not even that can be done.
pub(super) fn enter() -> Result<(), String> {
    let failed = |what: &str, error: nix::Error| format!("cannot {what}: {error}");
    // Who asked is the only one that may: without an agent there is nothing to do.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| failed("follow the agent", e))?;
    prctl::set_no_new_privs().map_err(|e| failed("give up new privileges", e))?;
    prctl::set_dumpable(false).map_err(|e| failed("hide the memory", e))?;
    umask(Mode::from_bits_truncate(0o077));
    close_inherited();
    for (resource, wanted) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_AS, ADDRESSES),
        (Resource::RLIMIT_FSIZE, FILE),
        (Resource::RLIMIT_NOFILE, FILES.unsigned_abs().into()),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_CPU, SECONDS),
    ] {
        limit(resource, wanted, wanted).map_err(|e| failed(&format!("set {resource:?}"), e))?;
    }
    limit(Resource::RLIMIT_DATA, MEMORY, MEMORY + MOST_MEMORY)
        .map_err(|e| failed("bound the memory", e))
}

/// Bounds the memory for good by how many objects a fetch may bring, before it is begun.
pub(super) fn bound_memory(objects: u32) -> Result<(), String> {
    let more = objects.saturating_sub(FetchLimits::default().objects);
    let memory = MEMORY + (u64::from(more) * MEMORY_OF_AN_OBJECT).min(MOST_MEMORY);
    limit(Resource::RLIMIT_DATA, memory, memory)
        .map_err(|e| format!("cannot bound the memory: {e}"))
}

fn limit(resource: Resource, wanted: u64, most: u64) -> Result<(), nix::Error> {
    let (_, hard) = getrlimit(resource)?;
    setrlimit(resource, wanted.min(hard), most.min(hard))
}

/// Closes every descriptor but those of the conversation.
fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let inherited: Vec<RawFd> = numbers.filter(|number| *number > 2).collect();
    for number in inherited {
        // The one of the list itself is closed already.
        let _ = close(number);
    }
}

/// Leaves the process only what it needs, as far as the kernel can. Says how far.
pub(super) fn lock(needs: &Needs) -> Cage {
    let landlock = match restrict(needs) {
        Ok(LandlockStatus::Available { effective_abi, .. }) => effective_abi.min(ABI_TRIED) as u32,
        Ok(_) => 0,
        Err(error) => {
            super::complain(&format!("Landlock cannot be used: {error}"));
            0
        }
    };
    Cage { user: getuid().as_raw(), landlock }
}

fn restrict(needs: &Needs) -> Result<LandlockStatus, RulesetError> {
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_TRIED))?
        .handle_access(AccessNet::from_all(ABI_TRIED))?
        .scope(Scope::from_all(ABI_TRIED))?;
    let mut ruleset = ruleset.create()?;
    let all: BitFlags<AccessFs> = AccessFs::from_all(ABI_TRIED) & !AccessFs::Execute;
    // Neither devices nor sockets nor links are part of a cache.
    let writing = all
        & !(AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeSock
            | AccessFs::MakeFifo
            | AccessFs::MakeSym
            | AccessFs::IoctlDev);
    ruleset =
        ruleset.add_rules(path_beneath_rules(needs.writable.iter().map(|p| as_std(p)), writing))?;
    ruleset =
        ruleset.add_rules(path_beneath_rules(needs.readable.iter().map(|p| as_std(p)), reading))?;
    ruleset = ruleset
        .add_rules(path_beneath_rules(CERTIFICATES, reading))?
        .add_rules(path_beneath_rules(LIBRARIES, reading))?;
    if let Some(origin) = &needs.origin {
        ruleset = ruleset
            .add_rules(path_beneath_rules(RESOLVING, reading))?
            .add_rule(NetPort::new(origin.port(), AccessNet::ConnectTcp))?
            .add_rule(NetPort::new(DOMAIN, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset.restrict_self()?.landlock)
}

fn as_std(path: &Utf8Path) -> &std::path::Path {
    path.as_std_path()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, ErrorKind};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::thread;

    use camino::Utf8PathBuf;
    use landlock::LandlockStatus;

    use super::{Needs, restrict};
    use crate::sync::origin::Origin;

    fn is_refused<T>(result: io::Result<T>, what: &str) {
        match result {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => panic!("{what}: {error}"),
            Ok(_) => panic!("{what} is possible"),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "what is tried is to run a program")]
    fn run(program: &str) -> io::Result<std::process::ExitStatus> {
        std::process::Command::new(program).status()
    }

    /// Only the thread that gives it up loses it, so that this is one of its own.
    #[test]
    fn files_programs_and_ports_that_are_not_needed_are_out_of_reach() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir(&path).expect("made");
            fs::write(path.join("file"), name).expect("written");
            path
        };
        let [cache, remote, other] = ["cache", "remote", "other"].map(directory);
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (server, stranger) = (listen(), listen());
        let address = |listener: &TcpListener| listener.local_addr().expect("an address");
        let port = address(&server).port();
        let url = format!("https://127.0.0.1:{port}/net.git").parse().expect("a URL");
        let utf8 = |path: &Path| Utf8PathBuf::from_path_buf(path.to_owned()).expect("UTF-8");
        let needs = Needs {
            writable: vec![utf8(&cache)],
            readable: vec![utf8(&remote)],
            origin: Origin::of(&url),
        };
        let connect = |to: SocketAddr| TcpStream::connect(to);
        let addresses = [address(&server), address(&stranger)];
        let caged = thread::spawn(move || {
            let abi = match restrict(&needs).expect("Landlock can be used") {
                LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
                _ => 0,
            };
            if abi == 0 {
                println!("skipped: this kernel has no Landlock");
                return;
            }
            fs::write(cache.join("new"), b"x").expect("the cache is written");
            fs::read(cache.join("file")).expect("the cache is read");
            fs::read(remote.join("file")).expect("what is fetched is read");
            is_refused(fs::write(remote.join("new"), b"x"), "writing to what is fetched");
            is_refused(fs::read(other.join("file")), "reading another directory");
            is_refused(fs::read("/etc/passwd"), "reading /etc/passwd");
            is_refused(fs::write(other.join("file"), b"x"), "writing another directory");
            is_refused(fs::read_dir(&other), "listing another directory");
            is_refused(fs::remove_file(other.join("file")), "removing a file of another one");
            is_refused(symlink("/etc/passwd", cache.join("link")), "making a link");
            is_refused(run("/bin/true"), "running a program");
            if abi < 4 {
                println!("skipped: the Landlock of this kernel knows no ports");
                return;
            }
            connect(addresses[0]).expect("the server is reached");
            is_refused(connect(addresses[1]), "reaching another port");
            is_refused(TcpListener::bind("127.0.0.1:0"), "listening");
        });
        caged.join().expect("nothing else is possible");
        drop((server, stranger));
        // Nobody else lost anything.
        fs::read("/etc/passwd").expect("this thread reads what it likes");
    }
}

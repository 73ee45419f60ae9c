//! A node: processes with namespaces of their own, in a root that is gone with them.
//!
//! Process 1 of a node does nothing but wait for the end of its standard input, which the
//! demo holds open. When the demo is gone, however it went, process 1 ends, the kernel kills
//! what is left in its pid namespace, and with the last process go mounts and interfaces.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chdir, pivot_root, sethostname};

use super::network::{Network, alone};
use crate::cli::DEMO_NODE;
use crate::cli::demo::interrupt::Lifelines;
use crate::cli::demo::origin::failed;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output as Say;

/// Where this program lies in a node.
const WEFT: &str = "/weft";
/// Where the repository lies in a node.
pub(super) const REPOSITORY: &str = "/network.git";
/// What of the machine a node has too, to be read: programs, what they are linked to, and the
/// devices that are no hardware.
const SHARED: &[&str] = &[
    "bin",
    "dev/fd",
    "dev/full",
    "dev/null",
    "dev/random",
    "dev/stderr",
    "dev/stdin",
    "dev/stdout",
    "dev/tty",
    "dev/urandom",
    "dev/zero",
    "gnu",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "nix",
    "sbin",
    "usr",
    "etc/alternatives",
    "etc/iproute2",
    "etc/ld.so.cache",
];
/// The directories that a node has of its own.
const OWN: &[&str] =
    &["dev", "etc/network", "etc/weft", "proc", "run", "sys", "tmp", "var/cache", "var/lib"];
/// What process 1 says when all is in place.
const READY: &str = "ready";
/// The namespaces of a node that are entered by their files, the mounts last: behind them lies
/// another `/proc`.
const NAMESPACES: [(&str, CloneFlags); 5] = [
    ("pid_for_children", CloneFlags::CLONE_NEWPID),
    ("net", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

/// A running node.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) network: Network,
    first: Child,
    namespaces: Vec<(File, CloneFlags)>,
    lifelines: Lifelines,
}

impl Node {
    /// Starts a node that has these files. `root` is an empty directory, in which nothing is
    /// ever seen from outside.
    pub(super) fn start(
        name: &'static str,
        root: &Utf8Path,
        repository: &Utf8Path,
        lifelines: &Lifelines,
    ) -> Result<Self, Failure> {
        let fail =
            |error: io::Error| Failure::new(Exit::Failed, format!("cannot start {name}: {error}"));
        fs::create_dir(root).map_err(fail)?;
        let program = std::env::current_exe().map_err(fail)?;
        let mut command = command(program.as_os_str());
        command.args([DEMO_NODE, name, root.as_str()]).arg(&program).arg(repository);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // The thread ends with the start: its pid namespace is that of its children alone.
        let mut first = alone(|| {
            unshare(CloneFlags::CLONE_NEWPID)?;
            command.spawn()
        })
        .map_err(fail)?;
        let mut said = String::new();
        if let Some(stdout) = first.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).map_err(fail)?;
        }
        lifelines.hold(first.stdin.take());
        let started = || -> io::Result<_> {
            let open =
                |(file, kind)| Ok((File::open(format!("/proc/{}/ns/{file}", first.id()))?, kind));
            if said.trim() != READY {
                return Err(io::Error::other(said.trim().to_owned()));
            }
            let namespaces: io::Result<Vec<_>> = NAMESPACES.into_iter().map(open).collect();
            Ok((Network::of(first.id())?, namespaces?))
        };
        match started() {
            Ok((network, namespaces)) => {
                let lifelines = lifelines.clone();
                Ok(Self { name, network, first, namespaces, lifelines })
            }
            Err(error) => {
                lifelines.cut();
                first.wait().map_err(fail)?;
                Err(fail(error))
            }
        }
    }

    /// Runs weft on the node.
    pub(super) fn weft(&self, words: &[&str]) -> Result<Output, Failure> {
        let enter = || {
            // Nobody who shares a root or a directory may enter other mounts.
            unshare(CloneFlags::CLONE_FS)?;
            for (file, kind) in &self.namespaces {
                setns(file, *kind)?;
            }
            command(WEFT.as_ref()).args(words).stdin(Stdio::null()).output()
        };
        alone(enter).map_err(|error| {
            let said = format!("{}: cannot run weft: {error}", self.name);
            Failure::new(Exit::Failed, said)
        })
    }

    /// Writes files of the node.
    pub(super) fn write(&self, files: &[(&str, &str)]) -> Result<(), Failure> {
        let enter = || {
            unshare(CloneFlags::CLONE_FS)?;
            let (mounts, kind) = self.namespaces.last().ok_or(io::ErrorKind::NotFound)?;
            setns(mounts, *kind)?;
            files.iter().try_for_each(|(path, text)| fs::write(path, text))
        };
        alone(enter).map_err(|error| failed(&error))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.lifelines.cut();
        // It is gone however it ended.
        let _ = self.first.wait();
    }
}

/// A program of the demo. Ctrl-C of a terminal is the demo's alone to answer.
#[expect(
    clippy::disallowed_methods,
    reason = "a node is this very program; it ends with the demo, and is asked little"
)]
fn command(program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").process_group(0);
    command
}

/// Words of the first process of a node.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Words {
    /// The node's name.
    name: String,
    /// An empty directory.
    root: Utf8PathBuf,
    /// This program.
    program: Utf8PathBuf,
    /// The repository.
    repository: Utf8PathBuf,
}

/// The first process of a node. What it does before all else makes it harmless, whoever
/// starts it: from then on nothing that it mounts is seen by anybody else.
pub(in crate::cli) fn serve(words: &Words) -> Result<Exit, Failure> {
    if let Err(why) = enter(words) {
        Say::print(why);
        return Ok(Exit::Failed);
    }
    Say::print(READY);
    let mut nothing = Vec::new();
    io::stdin().read_to_end(&mut nothing).map_err(|error| failed(&error))?;
    Ok(Exit::Ok)
}

/// Gives this process namespaces and a root of its own.
fn enter(words: &Words) -> Result<(), String> {
    let told = |what: &str, error: &dyn std::error::Error| format!("{what}: {error}");
    let all = NAMESPACES.into_iter().map(|(_, kind)| kind).collect::<CloneFlags>();
    unshare(all.difference(CloneFlags::CLONE_NEWPID))
        .map_err(|error| told("there can be no namespaces here", &error))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|error| told("its mounts cannot be kept from the machine", &error))?;
    build(words).map_err(|error| told("its root cannot be made", &error))?;
    sethostname(&words.name).map_err(|error| told("it cannot have a name", &error))
}

/// Makes a root in memory, in which nothing of the machine can be written, and enters it.
fn build(words: &Words) -> io::Result<()> {
    let root = &words.root;
    mount_new("tmpfs", root, "mode=755,size=64m")?;
    for directory in OWN {
        fs::create_dir_all(root.join(directory))?;
    }
    for path in SHARED {
        share(&Utf8Path::new("/").join(path), &root.join(path))?;
    }
    share(&words.program, &root.join(WEFT.trim_start_matches('/')))?;
    share(&words.repository, &root.join(REPOSITORY.trim_start_matches('/')))?;
    mount_new("proc", &root.join("proc"), "")?;
    // Anew, since it shows the interfaces of the network namespace that it was mounted in.
    mount_new("sysfs", &root.join("sys"), "")?;
    chdir(root.as_std_path())?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(chdir("/")?)
}

/// Shows a file or directory of the machine at another place, to be read only. What is not
/// there is left out.
fn share(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(from) else { return Ok(()) };
    if found.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if found.is_dir() {
        fs::create_dir(to)?;
    } else {
        File::create(to)?;
    }
    let bind = |flags| {
        let (from, to) = (from.as_std_path(), to.as_std_path());
        mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | flags, None::<&str>)
    };
    bind(MsFlags::empty())?;
    Ok(bind(MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY)?)
}

fn mount_new(kind: &str, at: &Utf8Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(Some(kind), at.as_std_path(), Some(kind), flags, Some(options))?)
}

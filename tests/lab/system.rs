//! A node whose first process is systemd, with a disk that outlives it: it can be switched
//! off, and on again.
//!
//! It is a container to systemd: no kernel of its own, a cgroup of its own, whose root it
//! takes for the root of all.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{execve, sethostname};

use crate::command::{environment, note};
use crate::equivalence::Ifupdown2;
use crate::lab::{Lab, hosts};
use crate::machine::Machine;
use crate::mounts::{enter_root, mount_new};
use crate::namespaces::PRISTINE;
use crate::node::Node;

/// Word by which this program becomes the systemd of a node: its name, its disk, its cgroup
/// and what tells this boot from others.
pub(crate) const INIT: &str = "@system-init";

/// Inside a lab: all cgroups (`cgroups(7)`, version 2).
const CGROUPS: &str = "/lab/cgroup";
/// Inside a lab: disks of nodes.
const DISKS: &str = "/lab/disks";
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// Where Linux says which boot this is (`proc_sys_kernel(5)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A node with systemd. All that can be done on a [`Node`] can be done on it.
#[derive(Debug)]
pub(crate) struct System<'lab> {
    lab: &'lab Lab,
    node: Node,
    number: u8,
    cgroup: PathBuf,
    boots: u32,
}

impl Deref for System<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl<'lab> System<'lab> {
    /// A node that is switched off: its files can be written, and nothing runs.
    #[track_caller]
    pub(crate) fn new(lab: &'lab Lab, number: u8) -> Self {
        let (node, cgroup) = enter(number, 1);
        node.prepare(Ifupdown2::PveEquivalent);
        node.put("/etc/hosts", hosts());
        Self { lab, node, number, cgroup, boots: 1 }
    }

    /// Puts its cable in and starts systemd.
    #[track_caller]
    pub(crate) fn switch_on(&mut self) {
        self.lab.plug_again(&self.node);
        note(&format!("{} boots", self.node.name()));
        let process = self.node.machine().first_process().expect("it has a first process");
        let mut button = process.stdin.take().expect("standard input is a pipe");
        button.write_all(b"on").expect("it waits for this");
    }

    /// Takes its power away, and leaves it switched off with the files that it had.
    #[track_caller]
    pub(crate) fn cut_power(&mut self) {
        note(&format!("{} loses its power", self.node.name()));
        self.halt();
        self.boots += 1;
        (self.node, self.cgroup) = enter(self.number, self.boots);
    }

    fn halt(&mut self) {
        if let Some(process) = self.node.machine().first_process() {
            // With it everything in its namespaces goes.
            let _ = process.kill();
            let _ = process.wait();
        }
        remove_tree(&self.cgroup);
    }
}

impl Drop for System<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It goes to the log of the case.
            drop(self.node.exec(&["journalctl", "--no-pager", "-b", "-n", "40", "-u", "weft*"]));
            drop(self.node.exec(&["weft", "status"]));
        }
        self.halt();
    }
}

/// A machine with the node's disk, waiting to be switched on, and its cgroup.
#[track_caller]
fn enter(number: u8, boots: u32) -> (Node, PathBuf) {
    let name = format!("node{number}");
    let make = || -> io::Result<(PathBuf, PathBuf)> {
        if !Path::new(CGROUPS).exists() {
            fs::create_dir(CGROUPS)?;
            mount_new("cgroup2", Path::new(CGROUPS), "")?;
        }
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        // Other labs of the machine see the same ones, and one that ended may have left some.
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let cgroup = Path::new(CGROUPS).join(own).join(format!("weft-lab-{now}-{name}-{boots}"));
        fs::create_dir(&cgroup)?;
        let disk = Path::new(DISKS).join(&name);
        fs::create_dir_all(&disk)?;
        Ok((disk, cgroup))
    };
    let (disk, cgroup) = make().unwrap_or_else(|source| panic!("{name}: {source}"));
    let boot = format!("00000000-0000-4000-8000-{boots:012}");
    let words =
        [INIT, &name, &disk.to_string_lossy(), &cgroup.to_string_lossy(), &boot].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    (Node::on(Machine::start_with(&words), number), cgroup)
}

/// The first process of such a node: waits until it is switched on, and becomes systemd.
pub(crate) fn init(name: &str, disk: &str, cgroup: &str, boot: &str) -> ExitCode {
    let become_systemd = || -> io::Result<()> {
        fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
        // From here on it is the root of all cgroups.
        unshare(CloneFlags::CLONE_NEWCGROUP)?;
        let staging = Path::new("/lab/staging");
        fs::create_dir_all(staging)?;
        enter_root(Path::new(PRISTINE), staging, Some(Path::new(disk)), &[], &[])?;
        mount_new("cgroup2", Path::new("/sys/fs/cgroup"), "")?;
        sethostname(name)?;
        let own = Path::new("/run/boot_id");
        fs::write(own, format!("{boot}\n"))?;
        mount(Some(own), BOOT_ID, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        println!("ready");
        io::stdout().flush()?;
        // Nothing comes when the lab ends before.
        io::stdin().read_exact(&mut [0; 2])?;
        let words = [SYSTEMD, "--unit=multi-user.target", "--log-target=journal"];
        let words = words.map(|word| CString::new(word).expect("no NUL"));
        let variables = environment().map(|(name, value)| format!("{name}={value}"));
        let variables = variables.into_iter().chain(["container=weft-lab".to_owned()]);
        let variables: Vec<CString> =
            variables.map(|text| CString::new(text).expect("no NUL")).collect();
        execve(&words[0], &words, &variables)?;
        Ok(())
    };
    if let Err(source) = become_systemd() {
        eprintln!("{name} does not become systemd: {source}");
    }
    ExitCode::FAILURE
}

/// Removes a cgroup and all below it. Processes that were killed may still be in it.
fn remove_tree(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    for _ in 0..100 {
        if fs::remove_dir(cgroup).is_ok() || !cgroup.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    note(&format!("{} is left", cgroup.display()));
}

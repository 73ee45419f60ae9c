//! Whatever has namespaces of its own: a node, a guest, the host outside, the lab.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;

use nix::sched::{CloneFlags, setns, unshare};

use crate::command::{Output, Process, Run, note};
use crate::namespaces;

/// The namespaces of a whole machine, by their names in /proc. The mount namespace is
/// entered last: the others are found by paths of the one before.
const OF_A_MACHINE: [(&str, CloneFlags); 5] = [
    ("net", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];

/// A set of namespaces in which programs can be run and files be read and written.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    namespaces: Vec<(CloneFlags, File)>,
    init: Option<Child>,
}

impl Machine {
    /// The namespaces that this process is in.
    pub(crate) fn here(name: &str) -> Self {
        Self { name: name.to_owned(), namespaces: Vec::new(), init: None }
    }

    /// A machine with all namespaces and a root of its own.
    #[track_caller]
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(&[namespaces::NODE_INIT, name])
    }

    /// The same with a first process of these words, of which the second is the name.
    #[track_caller]
    pub(crate) fn start_with(words: &[&str]) -> Self {
        let name = words[1];
        let begin = || -> io::Result<Self> {
            let mut machine = Self::here(name);
            let init = machine.init.insert(namespaces::start_node(words)?).id();
            for (file, flag) in OF_A_MACHINE {
                let path = format!("/proc/{init}/ns/{file}");
                machine.namespaces.push((flag, File::open(path)?));
            }
            Ok(machine)
        };
        note(&format!("{name} starts"));
        let machine = begin().unwrap_or_else(|source| panic!("{name} does not start: {source}"));
        machine.exec(&["ip", "link", "set", "lo", "up"]).ok();
        machine
    }

    /// A machine that shares all but its network with the lab.
    #[track_caller]
    pub(crate) fn start_network(name: &str) -> Self {
        let network = namespaces::new_network()
            .unwrap_or_else(|source| panic!("{name} does not start: {source}"));
        let mut machine = Self::here(name);
        machine.namespaces.push((CloneFlags::CLONE_NEWNET, network));
        machine.exec(&["ip", "link", "set", "lo", "up"]).ok();
        machine
    }

    /// Its name, which is its host name where it has one.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its first process, where it has one of its own.
    pub(crate) fn first_process(&mut self) -> Option<&mut Child> {
        self.init.as_mut()
    }

    /// Path by which programs of the lab find its network namespace.
    pub(crate) fn network_path(&self) -> String {
        let (_, file) = self
            .namespaces
            .iter()
            .find(|(flag, _)| *flag == CloneFlags::CLONE_NEWNET)
            .expect("only the lab itself has no network of its own");
        format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
    }

    /// Runs a program to its end, within 30 s.
    #[track_caller]
    pub(crate) fn exec(&self, arguments: &[impl AsRef<str>]) -> Output {
        self.command(arguments).run()
    }

    /// Starts a program that is killed when the result is dropped.
    #[track_caller]
    pub(crate) fn spawn(&self, arguments: &[impl AsRef<str>]) -> Process {
        self.command(arguments).spawn()
    }

    /// A program with more to say about it than its arguments.
    pub(crate) fn command(&self, arguments: &[impl AsRef<str>]) -> Run<'_> {
        Run::new(self, arguments)
    }

    /// Writes a file with mode 0644, and the directories above it.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        self.put_with_mode(path, content, 0o644);
    }

    /// Writes a file with this mode, and the directories above it.
    #[track_caller]
    pub(crate) fn put_with_mode(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) {
        let content = content.as_ref();
        self.inside(|| {
            fs::create_dir_all(Path::new(path).parent().unwrap_or(Path::new("/")))?;
            fs::write(path, content)?;
            fs::set_permissions(path, Permissions::from_mode(mode))
        })
        .unwrap_or_else(|source| panic!("{}: writing {path}: {source}", self.name));
    }

    /// Copies a file of the lab, for example [`namespaces::WEFT`], to this machine.
    #[track_caller]
    pub(crate) fn install(&self, from: &str, path: &str, mode: u32) {
        let copied = File::open(from).and_then(|mut source| {
            self.inside(move || {
                fs::create_dir_all(Path::new(path).parent().unwrap_or(Path::new("/")))?;
                let mut target = File::create(path)?;
                io::copy(&mut source, &mut target)?;
                fs::set_permissions(path, Permissions::from_mode(mode))
            })
        });
        copied.unwrap_or_else(|source| panic!("{}: {from} to {path}: {source}", self.name));
    }

    /// The text of a file; the case fails when there is none.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        self.inside(|| fs::read_to_string(path))
            .unwrap_or_else(|source| panic!("{}: reading {path}: {source}", self.name))
    }

    /// Whether something is at this path.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.inside(|| fs::symlink_metadata(path).is_ok())
    }

    /// Removes a file, if it is there.
    #[track_caller]
    pub(crate) fn remove(&self, path: &str) {
        match self.inside(|| fs::remove_file(path)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                panic!("{}: removing {path}: {source}", self.name)
            }
            _ => {}
        }
    }

    /// Does the work within this machine's namespaces, in a thread of its own. It may
    /// start programs, but no threads.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        namespaces::in_thread(|| {
            // Root and working directory are the thread's own from here on; a mount
            // namespace can be entered only then.
            unshare(CloneFlags::CLONE_FS).expect("a thread may stop sharing");
            for (flag, file) in &self.namespaces {
                setns(file, *flag).unwrap_or_else(|errno| panic!("{}: {errno}", self.name));
            }
            work()
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(init) = &mut self.init {
            // With its first process everything of the machine is killed. It is not
            // waited for: it cannot end before its last process was collected, and the
            // handle of that one may be dropped after this.
            let _ = init.kill();
        }
    }
}

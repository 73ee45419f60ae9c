//! The fetch process, against repositories made by real git.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests panic when they fail, and talk"
)]

mod cache;
mod demo;
mod fetch;
mod process;
mod refusals;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;
use weft::sync::Access;
use weft::sync::protocol::{FailureCode, FetchLimits};
use weft::sync::remote::{Remote, Scheme};
use weft::sync::worker::{Cancel, TransportError, Worker};
use weft::value::ObjectId;

const WEFT: &str = env!("CARGO_BIN_EXE_weft");
const MINUTE: Duration = Duration::from_secs(60);
const MARKER: &str = "this-is-a-cache-of-weft";

/// A directory with a bare repository of real git, and room for a cache.
struct Place {
    directory: TempDir,
}

impl Place {
    fn bare() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn new() -> Self {
        let place = Self::bare();
        place.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        place
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path()).unwrap().join(name)
    }

    fn remote(&self) -> Remote {
        remote(&self.path("net.git"))
    }

    fn cache(&self) -> Utf8PathBuf {
        self.path("cache")
    }

    fn git(&self, words: &[&str]) -> String {
        self.git_with(words, b"")
    }

    /// Runs git in the repository, without anybody's configuration.
    fn git_with(&self, words: &[&str], input: &[u8]) -> String {
        fs::create_dir_all(self.path("net.git")).unwrap();
        let mut child = git_command(self.directory.path())
            .current_dir(self.path("net.git"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "git {words:?}: {said}");
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Commits a file on `main`, beside those that are there.
    fn commit(&self, name: &str, bytes: &[u8]) -> ObjectId {
        let blob = self.git_with(&["hash-object", "-w", "--stdin"], bytes);
        self.commit_blob(name, &blob)
    }

    fn commit_blob(&self, name: &str, blob: &str) -> ObjectId {
        self.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{name}")]);
        let tree = self.git(&["write-tree"]);
        let mut words = vec!["commit-tree", tree.as_str(), "-m", name];
        let parent = self.git(&["for-each-ref", "--format=%(objectname)", "refs/heads/main"]);
        if !parent.is_empty() {
            words.extend(["-p", parent.as_str()]);
        }
        let commit = self.git(&words);
        self.git(&["update-ref", "refs/heads/main", &commit]);
        commit.parse().unwrap()
    }

    fn fetch(&self) -> Result<(Worker, ObjectId), TransportError> {
        let worker = start();
        let tip =
            worker.fetch(&self.remote(), &Access::default(), "main", &self.cache(), &limits())?;
        Ok((worker, tip))
    }

    fn failure(&self) -> (FailureCode, String) {
        failure(self.fetch().expect_err("the fetch succeeded"))
    }

    /// Every object of the repository, as git names them.
    fn objects(&self) -> Vec<ObjectId> {
        let listed = self.git(&["rev-list", "--objects", "--no-object-names", "--all"]);
        listed.lines().map(|line| line.parse().unwrap()).collect()
    }

    fn packs(&self) -> Vec<Utf8PathBuf> {
        files(&self.cache().join("repository.git/objects/pack"), "pack")
    }
}

fn git_command(home: &Path) -> Command {
    let mut git = Command::new("git");
    git.env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Ada")
            .env(format!("GIT_{role}_EMAIL"), "ada@example.org")
            .env(format!("GIT_{role}_DATE"), "1790000000 +0000");
    }
    git
}

fn files(directory: &Utf8Path, extension: &str) -> Vec<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    entries.filter(|path| path.extension() == Some(extension)).collect()
}

fn remote(path: &Utf8Path) -> Remote {
    remote_at(&format!("file://{path}"))
}

fn remote_at(url: &str) -> Remote {
    Remote { name: "origin".parse().unwrap(), url: url.parse().unwrap() }
}

fn limits() -> FetchLimits {
    FetchLimits { schemes: vec![Scheme::File], ..FetchLimits::default() }
}

fn start() -> Worker {
    Worker::start(Utf8Path::new(WEFT), None, MINUTE, &Cancel::default()).unwrap()
}

fn failure(error: TransportError) -> (FailureCode, String) {
    let text = error.to_string();
    match error {
        TransportError::Remote { code, .. } => {
            assert!(text.starts_with("cannot fetch from remote `origin` ("), "{text}");
            (code, text)
        }
        other => panic!("{other:?}"),
    }
}

fn is_gone(process: u32) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

/// The most memory that a process had, in MiB. Where nobody optimised the program, without
/// its own pages, which say nothing of the one that is shipped.
fn most_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let program = if cfg!(debug_assertions) { field("RssFile:") } else { 0 };
    (field("VmHWM:") - program) / 1024
}

fn say(text: &str) {
    eprintln!("{text}");
}

/// Flips bits in a file in place, whatever its permissions.
fn damage(path: &Utf8Path, from: usize, count: usize) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[from..from + count].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(path, bytes).unwrap();
}

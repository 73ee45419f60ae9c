//! Real repositories, made with git and ssh-keygen, that read nothing of this machine.

use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use tempfile::TempDir;
use weft::sync::objects::{Kind, Raw};
use weft::sync::{
    Accepted, Anchor, HistoryError, Introduction, Judgement, KeyFingerprint, Store, Trust, judge,
};
use weft::validate::scope::Scopes;
use weft::value::ObjectId;

use super::objects::Memory;

/// When the first commit is made: 2026-11-01T00:00:00Z.
pub(crate) const BEGIN: i64 = 1_793_491_200;

pub(crate) const POLICY: &str = "\
roles:
  root: {principals: [alice@example.org]}
  operator: {principals: [bob@example.org]}
";
pub(crate) const ZONES: &str = "zones:\n  one: {type: simple}\n";

/// alice is root, bob an operator, carol has a key and no role, mallory has no line.
pub(crate) const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "mallory"];

pub(crate) struct Repository {
    directory: TempDir,
    clock: Cell<i64>,
    pub(crate) introduction: ObjectId,
}

pub(crate) fn program(name: &str, home: &Path) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("TZ", "Pacific/Chatham")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// What a program prints; it must succeed.
pub(crate) fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the program is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    output.stdout
}

/// Makes a key and returns its public line without the comment.
pub(crate) fn make_key(home: &Path, name: &str, kind: &[&str]) -> String {
    output(
        program("ssh-keygen", home).args(["-q", "-N", "", "-C", name, "-f", name, "-t"]).args(kind),
    );
    public_key(home, name)
}

pub(crate) fn public_key(home: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(home.join(format!("{name}.pub"))).expect("a key");
    text.rsplit_once(' ').expect("a comment").0.to_owned()
}

impl Repository {
    /// A repository with its trust files, introduced by alice.
    pub(crate) fn new() -> Self {
        Self::with_policy(POLICY)
    }

    pub(crate) fn with_policy(policy: &str) -> Self {
        let repository = Self::empty();
        let signers = repository.signers(&["alice", "bob", "carol"]);
        let introduction = repository.commit(
            "alice",
            &[
                (".weft/allowed_signers", signers.as_bytes()),
                (".weft/policy.yaml", policy.as_bytes()),
                ("weft.yaml", b"weft: 1\ncluster: lab\n"),
                ("sdn/zones.yaml", ZONES.as_bytes()),
                ("docs/readme.md", b"# lab\n"),
            ],
        );
        Self { introduction, ..repository }
    }

    /// A repository without commits.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let home = directory.path();
        for name in PEOPLE {
            make_key(home, name, &["ed25519"]);
        }
        let introduction = ObjectId::from_bytes([0; 20]);
        let repository = Self { directory, clock: Cell::new(BEGIN), introduction };
        repository.git(&["init", "-q", "-b", "main", "work"]);
        repository
    }

    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    /// Lines of `allowed_signers` for these people.
    pub(crate) fn signers(&self, names: &[&str]) -> String {
        let line = |name: &&str| {
            format!("{name}@example.org namespaces=\"git\" {}\n", public_key(self.home(), name))
        };
        names.iter().map(line).collect()
    }

    pub(crate) fn fingerprint(&self, name: &str) -> KeyFingerprint {
        let text = output(program("ssh-keygen", self.home()).args(["-lf", name]));
        let text = String::from_utf8(text).expect("text");
        text.split(' ').nth(1).expect("a fingerprint").parse().expect("a fingerprint")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program("git", self.home());
        let work = self.home().join("work");
        if work.exists() {
            command.current_dir(work);
        }
        let date = format!("@{} +0000", self.clock.get());
        command
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .args(["-c", "user.name=Someone", "-c", "user.email=someone@example.org"])
            .args(["-c", "gpg.format=ssh", "-c", "commit.gpgsign=false", "-c", "gc.auto=0"])
            .args(arguments);
        command
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let text = output(&mut self.command(arguments));
        String::from_utf8(text).expect("text").trim().to_owned()
    }

    /// Like [`Repository::git`], signing as somebody; nobody is `-`.
    pub(crate) fn signed(&self, signer: &str, arguments: &[&str]) -> String {
        if signer == "-" {
            return self.git(arguments);
        }
        let key = format!("user.signingkey={}", self.home().join(signer).display());
        let mut all = vec!["-c", &key];
        let (first, rest) = arguments.split_first().expect("a command");
        all.extend([*first, "-S"]);
        all.extend(rest);
        self.git(&all)
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.set(self.clock.get() + seconds);
    }

    pub(crate) fn write(&self, path: &str, contents: &[u8]) {
        let path = self.home().join("work").join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, contents).expect("written");
        self.git(&["add", "-A"]);
    }

    /// A commit a minute later. A file with the contents `-` is removed.
    pub(crate) fn commit(&self, signer: &str, files: &[(&str, &[u8])]) -> ObjectId {
        for (path, contents) in files {
            if *contents == b"-" {
                self.git(&["rm", "-rq", path]);
            } else {
                self.write(path, contents);
            }
        }
        self.commit_index(signer)
    }

    /// A commit of what is staged, a minute later.
    pub(crate) fn commit_index(&self, signer: &str) -> ObjectId {
        self.wait(60);
        self.signed(signer, &["commit", "-q", "--allow-empty", "-m", "sdn: a change"]);
        self.head()
    }

    /// A change that any operator may make.
    pub(crate) fn change(&self, signer: &str) -> ObjectId {
        let text = format!("zones:\n  z{}: {{type: simple}}\n", self.clock.get() % 100_000);
        self.commit(signer, &[("sdn/zones.yaml", text.as_bytes())])
    }

    /// Writes a raw commit into the repository, as it is.
    pub(crate) fn write_commit(&self, raw: &str) -> ObjectId {
        let file = self.home().join("raw");
        std::fs::write(&file, raw).expect("written");
        let file = file.display().to_string();
        let arguments = ["hash-object", "-t", "commit", "-w", "--literally", &file];
        self.git(&arguments).parse().expect("an id")
    }

    pub(crate) fn head(&self) -> ObjectId {
        self.git(&["rev-parse", "HEAD"]).parse().expect("an id")
    }

    pub(crate) fn checkout(&self, what: &str) {
        self.git(&["checkout", "-q", what]);
    }

    pub(crate) fn branch(&self, name: &str, at: ObjectId) {
        self.git(&["checkout", "-qf", "-B", name, &at.to_string()]);
    }

    /// Merges a branch into what is checked out.
    pub(crate) fn merge(&self, signer: &str, branch: &str) -> ObjectId {
        self.wait(60);
        let arguments = ["merge", "-q", "--no-ff", "-m", "merge", "-X", "theirs", branch];
        self.signed(signer, &arguments);
        self.head()
    }

    /// Every object, also those that no branch reaches.
    pub(crate) fn objects(&self) -> Memory {
        let all = ["cat-file", "--batch-all-objects", "--batch"];
        let text = output(&mut self.command(&all));
        let mut memory = Memory::default();
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').expect("a line");
            let head = std::str::from_utf8(&rest[..end]).expect("text");
            let mut words = head.split(' ');
            let id = words.next().expect("an id").parse().expect("an id");
            let kind = match words.next().expect("a kind") {
                "commit" => Kind::Commit,
                "tree" => Kind::Tree,
                "blob" => Kind::Blob,
                _ => Kind::Tag,
            };
            let size: usize = words.next().expect("a size").parse().expect("a number");
            let bytes = rest[end + 1..end + 1 + size].to_vec();
            memory.objects.insert(id, Raw { kind, bytes });
            rest = &rest[end + size + 2..];
        }
        memory
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust {
            cluster: "lab".parse().expect("a name"),
            introduction: Introduction {
                commit: self.introduction,
                signer: self.fingerprint("alice"),
            },
            revoked: [].into(),
        }
    }

    /// The clock of the node: a minute after the last commit.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.get() + 60).expect("a time")
    }

    /// What a node without anchor says of a tip.
    pub(crate) fn judge(&self, tip: ObjectId) -> Judgement {
        self.judge_from(tip, None)
    }

    pub(crate) fn judge_from(&self, tip: ObjectId, anchor: Option<&Anchor>) -> Judgement {
        judge_in(&self.objects(), tip, &self.trust(), anchor, self.now())
    }

    /// The anchor of a node that has accepted a commit.
    pub(crate) fn anchor(&self, at: ObjectId) -> Anchor {
        let judgement = self.judge(at);
        let accepted = judgement.accepted.expect("the commit is good");
        assert_eq!(accepted.record().commit, at);
        let Trust { cluster, introduction, .. } = self.trust();
        let (record, accepted) = (accepted.record().clone(), accepted.get().clone());
        let Accepted { latest, payload, left } = accepted;
        Anchor { cluster, introduction, record, latest, payload, left }
    }
}

/// Judges, and makes sure that no object was read twice.
pub(crate) fn judge_in(
    memory: &Memory,
    tip: ObjectId,
    trust: &Trust,
    anchor: Option<&Anchor>,
    now: Timestamp,
) -> Judgement {
    memory.reads.borrow_mut().clear();
    let judgement = decide(memory, tip, trust, anchor, now).expect("it can be judged");
    for (id, reads) in &*memory.reads.borrow() {
        assert_eq!(*reads, 1, "object {id} was read {reads} times");
    }
    judgement
}

/// Judges as a node does.
pub(crate) fn decide(
    memory: &Memory,
    tip: ObjectId,
    trust: &Trust,
    anchor: Option<&Anchor>,
    now: Timestamp,
) -> Result<Judgement, HistoryError> {
    let scopes = Scopes::default();
    judge(Store::new(memory), tip, trust, anchor, now, &|difference| scopes.judge(difference))
}

/// The commit that is accepted.
pub(crate) fn accepted(judgement: &Judgement) -> Option<ObjectId> {
    judgement.accepted.as_ref().map(|accepted| accepted.record().commit)
}

/// What is refused, and why.
pub(crate) fn refused(judgement: &Judgement) -> Vec<(ObjectId, &'static str)> {
    judgement.refused.iter().map(|refusal| (refusal.commit, refusal.code.as_str())).collect()
}

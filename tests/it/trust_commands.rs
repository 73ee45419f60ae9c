//! `weft trust` and `weft verify` as people use them: the real program, real git.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::Value;
use weft::value::ObjectId;

use super::node::{Node, declared};
use super::trust::everywhere::{Step, history, steps};
use super::trust::forge::{Forge, signed_by};
use super::trust::repository::{Repository, make_key, output, program, public_key};

/// What a run of the program said.
struct Said {
    code: i32,
    text: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// It ended so, and said all of these.
    #[track_caller]
    fn is(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "`{word}` is not in: {}", self.text);
        }
        self
    }
}

fn weft(home: &Path, directory: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked"), "{text}");
    Said { code: output.status.code().unwrap_or(-1), text }
}

/// A repository with its work tree.
struct Work(Repository);

impl Work {
    fn directory(&self) -> PathBuf {
        self.0.home().join("work")
    }

    fn weft(&self, arguments: &[&str]) -> Said {
        weft(self.0.home(), &self.directory(), arguments)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory().join(path)).unwrap()
    }

    /// A key of the people of the repository, as a file next to the work tree.
    fn key(&self, name: &str) -> String {
        self.0.home().join(format!("{name}.pub")).to_str().unwrap().to_owned()
    }

    fn print(&self, name: &str) -> String {
        self.0.fingerprint(name).to_string()
    }

    /// Says nothing and changes no file.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let files = [".weft/allowed_signers", ".weft/policy.yaml"];
        let before = files.map(|file| fs::read(self.directory().join(file)).ok());
        self.weft(arguments).is(code, words);
        let after = files.map(|file| fs::read(self.directory().join(file)).ok());
        assert_eq!(before, after, "{arguments:?} changed a file");
    }
}

const BEFORE: &str = "\
# ours
roles:
  root:
    principals:
      - alice@example.org   # the founder
  operator: {principals: [bob@example.org], paths: ['sdn/**', docs/*]}  # all days
  core: {principals: [alice@example.org, bob@example.org], paths: [core/*], threshold: 2}
";

#[test]
fn the_first_trust_files_are_of_the_key_that_git_signs_with() {
    let work = Work(Repository::empty());
    work.refuses(&["trust", "init"], 64, &["there is no key", "ssh-keygen -t ed25519"]);
    work.refuses(&["trust", "show"], 1, &["has no `.weft/allowed_signers`", "weft trust init"]);
    work.0.git(&["config", "user.signingkey", "../alice"]);
    work.refuses(&["trust", "init"], 64, &["--principal you@example.org"]);
    work.0.git(&["config", "user.email", "alice@example.org"]);
    let said = work.weft(&["trust", "init", "--json"]).json();
    assert_eq!(said["principal"], "alice@example.org");
    assert_eq!(said["written"], serde_json::json!([".weft/allowed_signers", ".weft/policy.yaml"]));
    let key = public_key(work.0.home(), "alice");
    let line = format!("\nalice@example.org namespaces=\"git\" {key}\n");
    assert!(work.read(".weft/allowed_signers").ends_with(&line));
    work.weft(&["trust", "show"]).is(0, &["alice@example.org: root", "valid", "add a second one"]);
    work.refuses(&["trust", "init"], 4, &["never replaced"]);
    // One of the two is no reason to write the other.
    fs::remove_file(work.directory().join(".weft/policy.yaml")).unwrap();
    work.refuses(&["trust", "init"], 4, &["`.weft/allowed_signers` already"]);

    // A literal key in git's settings, and options before both.
    fs::remove_dir_all(work.directory().join(".weft")).unwrap();
    work.0.git(&[
        "config",
        "user.signingkey",
        &format!("key::{}", public_key(work.0.home(), "bob")),
    ]);
    work.weft(&["trust", "init", "--principal", "bob@example.org"]).is(0, &["bob@example.org may"]);
    fs::remove_dir_all(work.directory().join(".weft")).unwrap();
    let key = work.key("carol");
    work.weft(&["trust", "init", "--key", &key, "--principal", "carol@x"]).is(0, &["carol@x may"]);
    let nowhere = tempfile::tempdir().unwrap();
    weft(nowhere.path(), nowhere.path(), &["trust", "init"]).is(1, &["lies in no git repository"]);
    weft(nowhere.path(), nowhere.path(), &["verify"]).is(1, &["neither in a git repository nor"]);
}

#[test]
fn people_come_and_nothing_else_changes() {
    let work = Work(Repository::with_policy(BEFORE));
    let signers = work.read(".weft/allowed_signers");
    let home = work.0.home();
    make_key(home, "dan", &["ed25519"]);
    make_key(home, "weak", &["rsa", "-b", "1024"]);
    let (dan, mallory) = (public_key(home, "dan"), work.key("mallory"));
    let until = ["--until", "2099-01-31Z", "--from", "2027-01-01T18:00:00Z"];
    let add = ["trust", "add", "dan@example.org", &work.key("dan"), "--role", "operator"];
    work.weft(&[&add[..], &until].concat())
        .is(0, &["dan@example.org signs with SHA256:", "is in role `operator`", "git commit -S"]);
    let line = format!(
        "dan@example.org namespaces=\"git\",valid-after=\"20270101180000Z\",valid-before=\"20990131Z\" {dan}\n"
    );
    assert_eq!(work.read(".weft/allowed_signers"), signers.clone() + &line);
    let policy = BEFORE
        .replace("[bob@example.org], paths: ['", "[bob@example.org, dan@example.org], paths: ['");
    assert_eq!(work.read(".weft/policy.yaml"), policy);
    // The key is there, and the person gets a further role; a pasted line is a key as well.
    let words: Vec<&str> = dan.split(' ').collect();
    let paste = [&["trust", "add", "dan@example.org"][..], &words, &["--role", "root"]].concat();
    work.weft(&paste).is(0, &["was there already, and stays", "roles `operator`, `root`"]);
    let founder = "      - alice@example.org   # the founder\n";
    let policy = policy.replace(founder, &format!("{founder}      - dan@example.org\n"));
    assert_eq!(work.read(".weft/policy.yaml"), policy);
    assert_eq!(work.read(".weft/allowed_signers"), signers + &line);

    work.refuses(&paste, 4, &["has key SHA256:", "already (line 4"]);
    let add = |more: &[&str]| -> Vec<String> {
        let all = [&["trust", "add", "eve@example.org"], more].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let private = home.join("mallory").to_str().unwrap().to_owned();
    let weak = work.key("weak");
    let refused: [(&[&str], i32, &str); 9] = [
        (&[&work.key("alice")], 4, "is `alice@example.org`'s already"),
        (&[&private], 1, "it is the private key"),
        (&[&weak], 4, "nodes could not use this"),
        (&["nothing.pub"], 1, "a key is a `.pub` file, or the line in it"),
        (&["ssh-ed25519", "AAAA"], 4, "cannot be read"),
        (&[&mallory, "--role", "operators"], 4, "did you mean `operator`?"),
        (&[&mallory, "--until", "2020-01-01Z"], 64, "which is past"),
        (&[&mallory, "--until", "2099-01-01"], 64, "write it in UTC: `2099-01-01Z`"),
        (&[&mallory, "--namespaces", "file"], 4, "could not sign commits"),
    ];
    for (more, code, words) in refused {
        let all = add(more);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        work.refuses(&all, code, &[words]);
    }
    work.refuses(&["trust", "add", "*@example.org", &mallory], 64, &["is not a principal"]);
    // A certificate: whoever has its authority could make signers that nobody has seen.
    output(program("ssh-keygen", home).args([
        "-q",
        "-s",
        "carol",
        "-I",
        "x",
        "-n",
        "x",
        "mallory.pub",
    ]));
    let certificate = home.join("mallory-cert.pub").to_str().unwrap().to_owned();
    work.refuses(
        &["trust", "add", "eve@x", &certificate],
        4,
        &["nodes could not use this", "cert-v01"],
    );
    // Without a role the key may do nothing, which is said.
    work.weft(&["trust", "add", "eve@x", &mallory])
        .is(0, &["is in no role", "`core`, `operator`, `root`"]);
    work.refuses(&["--root", "/tmp", "trust", "add", "eve@x", &mallory], 64, &["not on a node"]);

    // What is broken is mended first.
    work.0.write(".weft/policy.yaml", b"roles: {}\n");
    work.refuses(&["trust", "add", "f@x", &mallory], 4, &["no node can use these", "missing-key"]);
}

#[test]
fn people_go_unless_nobody_could_go_on() {
    let work = Work(Repository::with_policy(BEFORE));
    let signers = work.read(".weft/allowed_signers");
    let line = |name: &str| work.0.signers(&[name]);
    work.refuses(
        &["trust", "remove", "bob@example.org"],
        4,
        &["`core` needs 2 people", "without `bob@example.org` 1"],
    );
    work.refuses(
        &["trust", "remove", "alicia@example.org"],
        1,
        &["did you mean `alice@example.org`?"],
    );
    // The last of root, also where nothing else depends on it.
    let alone = BEFORE.replace(
        "alice@example.org, bob@example.org], paths: [core/*]",
        "carol@example.org, bob@example.org], paths: [core/*]",
    );
    work.0.write(".weft/policy.yaml", alone.as_bytes());
    work.refuses(
        &["trust", "remove", "alice@example.org"],
        4,
        &["is the last of the role `root`", "--role root"],
    );
    let print = work.print("alice");
    work.refuses(
        &["trust", "remove", "alice@example.org", "--key", &print],
        4,
        &["the only key", "trust add alice@example.org KEY"],
    );
    let bob = work.print("bob");
    work.refuses(
        &["trust", "remove", "alice@example.org", "--key", &bob],
        1,
        &["has no key", &print],
    );

    // Rotation: a new key, then the old one goes, and the roles stay.
    make_key(work.0.home(), "alice2", &["ed25519"]);
    work.weft(&["trust", "add", "alice@example.org", &work.key("alice2")])
        .is(0, &["is in role `root`"]);
    let rotated =
        work.weft(&["trust", "remove", "alice@example.org", "--key", &print, "--json"]).json();
    assert_eq!(
        (&rotated["keys"][0], &rotated["roles"]),
        (&print.as_str().into(), &serde_json::json!([]))
    );
    assert_eq!(work.read(".weft/policy.yaml"), alone);
    let two =
        format!("alice@example.org namespaces=\"git\" {}\n", public_key(work.0.home(), "alice2"));
    assert_eq!(work.read(".weft/allowed_signers"), signers.replace(&line("alice"), "") + &two);

    // A leaver goes from every role, and only there.
    work.0.write(".weft/policy.yaml", BEFORE.replace(", threshold: 2", "").as_bytes());
    let said = work.weft(&["trust", "remove", "bob@example.org"]);
    said.is(
        0,
        &[
            "no longer in roles `core`, `operator`",
            "stays good, below a commit",
            "revoked: [\"SHA256:",
        ],
    );
    let left = BEFORE
        .replace(", threshold: 2", "")
        .replace("{principals: [bob@example.org]", "{principals: []")
        .replace("[alice@example.org, bob@example.org]", "[alice@example.org]");
    assert_eq!(work.read(".weft/policy.yaml"), left);
    assert!(!work.read(".weft/allowed_signers").contains("bob@"));
    // A second root whose key has ended is no second root.
    let ended =
        line("bob").replace("namespaces=\"git\"", "namespaces=\"git\",valid-before=\"20200101Z\"");
    work.0.write(".weft/allowed_signers", (two + &ended).as_bytes());
    work.0.write(
        ".weft/policy.yaml",
        b"roles: {root: {principals: [alice@example.org, bob@example.org]}}\n",
    );
    work.refuses(&["trust", "remove", "alice@example.org"], 4, &["is the last of the role `root`"]);
    work.weft(&["trust", "remove", "bob@example.org"]).is(0, &["no longer in role `root`"]);
}

#[test]
fn who_may_do_what_is_said_in_words() {
    let policy = "\
mainline: merges
removal: {max-percent: 50}
roles:
  root: {principals: [alice@example.org, nobody@example.org]}
  core: {principals: [alice@example.org, bob@example.org], paths: [core/*], threshold: 2}
  tenant-a:
    principals: [bob@example.org]
    paths: [sdn/a.yaml]
    scope: {kinds: [vnets], zones: [tena], vnets: ['a*'], tags: [100-199], route-targets: ['65000:1-9']}
";
    let repository = Repository::with_policy(policy);
    let first = repository.introduction;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 9);
    let soon = soon.strftime("valid-before=\"%Y%m%dZ\"").to_string();
    let mut signers = repository.signers(&["alice"]);
    signers += &repository.signers(&["bob"]).replace("namespaces=\"git\"", &soon);
    let ended = "valid-before=\"20200101Z\"";
    signers += &repository.signers(&["carol"]).replace("namespaces=\"git\"", ended);
    signers += &repository.signers(&["alice"]).replace("alice@", "alias@");
    repository.write(".weft/allowed_signers", signers.as_bytes());
    let work = Work(repository);
    let shown = work.weft(&["trust", "show"]);
    shown.is(
        0,
        &[
            "alice@example.org: core, root",
            "carol@example.org: no role",
            "expired, until 2020-01-01T00:00:00Z",
            "may change everything, the trust files and `weft.yaml` too",
            "tags 100-199",
            "route-targets 65000:1-9",
            "2 people sign each change; 2 people of it can now",
            "(`mainline: merges`)",
            "at most 50%",
            "`nobody@example.org` has no key",
            "one person of the role `root` can sign",
            "of `bob@example.org` ends soon",
            "of `carol@example.org` has ended",
            "`carol@example.org` has a key and no role",
            "`alice@example.org` and `alias@example.org` share a key",
        ],
    );
    let said = work.weft(&["trust", "show", "--json"]).json();
    assert_eq!(said["roles"][0]["role"], "core");
    assert_eq!((&said["roles"][0]["able"], &said["roles"][0]["threshold"]), (&2.into(), &2.into()));
    assert_eq!(said["roles"][2]["scope"]["vnets"], serde_json::json!(["a*"]));
    assert_eq!(said["people"][2]["keys"][0]["valid"], false);
    // Of a commit, whatever the work tree says.
    let said = work.weft(&["trust", "show", &first.to_string()]);
    said.is(0, &[&format!("Trust files of commit {first}")]);
    assert!(!said.text.contains("has ended"), "{}", said.text);
}

#[test]
fn a_commit_is_an_introduction_if_nodes_accept_it() {
    let work = Work(Repository::new());
    let first = work.0.introduction;
    let said = work.weft(&["trust", "introduction"]);
    let block =
        format!("introduction:\n  commit: {first}\n  signer: \"{}\"\n", work.print("alice"));
    said.is(0, &[&block, "of cluster lab", "by a way that you trust"]);
    let good = work.0.change("bob");
    let said = work.weft(&["trust", "introduction", "main", "--json"]).json();
    assert_eq!(said["introduction"]["commit"], good.to_string());
    assert_eq!(said["introduction"]["signer"], work.print("bob"));
    // What a thief of an operator's key would like somebody to print.
    let mine = "roles: {root: {principals: [bob@example.org]}}\n";
    work.0.commit("bob", &[(".weft/policy.yaml", mine.as_bytes())]);
    work.weft(&["trust", "introduction"]).is(4, &["do not accept it", "path-not-allowed"]);
    work.weft(&["trust", "introduction", "HEAD~1"]).is(0, &[&good.to_string()]);
    // Unless trust begins there, by somebody's own word.
    work.weft(&["trust", "introduction", "--introduction", "HEAD"]).is(0, &["commit: "]);
    work.0.branch("main", good);
    work.0.change("-");
    work.weft(&["trust", "introduction"]).is(4, &["cannot be an introduction (unsigned)"]);
    work.0.branch("main", good);
    work.0.change("mallory");
    work.weft(&["trust", "introduction"]).is(4, &["(signer-unknown)"]);
    work.weft(&["trust", "introduction", "no-such"])
        .is(1, &["there is no such branch, tag or commit"]);
}

#[test]
fn what_another_policy_would_refuse() {
    let work = Work(Repository::new());
    let operator = work.0.change("bob");
    let root = work.0.change("alice");
    work.weft(&["trust", "simulate"]).is(0, &["0 of 2 commits would be refused"]);
    let unsigned = work.0.change("-");
    let above = work.0.change("alice");
    work.weft(&["trust", "simulate"]).is(
        4,
        &[
            &format!("{} refused then and today, unsigned", unsigned.short()),
            &format!("{} refused today, on-refused", above.short()),
            "1 of 4 commits would be refused by these trust files; today: 2",
        ],
    );
    // The edited work tree is what is asked for, and each commit is judged for itself.
    work.0.write(".weft/policy.yaml", b"roles:\n  root: {principals: [alice@example.org]}\n");
    let said = work.weft(&["trust", "simulate"]);
    said.is(
        4,
        &[&format!("{} refused then, role-missing: `bob@example.org`", operator.short()), "2 of 4"],
    );
    assert!(!said.text.contains(&root.short()), "{}", said.text);
    let said = work.weft(&["trust", "simulate", "--json"]).json();
    assert_eq!((&said["refused"], &said["refused-today"]), (&2.into(), &2.into()));
    assert_eq!(said["commits"][0]["refused"]["code"], "role-missing");
    assert_eq!(said["commits"][0]["refused-today"], Value::Null);
    // A part of the line, and files that lie elsewhere.
    work.weft(&["trust", "simulate", "HEAD~2", "--since", "HEAD~3"]).is(0, &["0 of 1 commit"]);
    let policy = work.0.home().join("p.yaml");
    fs::write(&policy, "roles: {root: {principals: [carol@example.org]}}\n").unwrap();
    let policy = policy.to_str().unwrap();
    work.weft(&["trust", "simulate", "--policy", policy, "HEAD~2"]).is(4, &["2 of 2 commits"]);
    let signers = work.0.home().join("signers");
    fs::write(&signers, work.0.signers(&["bob", "carol"])).unwrap();
    let signers = signers.to_str().unwrap();
    work.weft(&["trust", "simulate", "--allowed-signers", signers, "--policy", policy, "HEAD~2"])
        .is(4, &["refused then, signer-unknown", "role-missing"]);
    fs::write(policy, "roles: {root: {principals: [eve@example.org]}}\n").unwrap();
    work.weft(&["trust", "simulate", "--policy", policy])
        .is(4, &["no node can use these", "root-missing"]);
    work.weft(&["trust", "simulate", "--policy", "nothing"]).is(1, &["cannot read `nothing`"]);
}

/// A history in which every kind of reason comes up.
fn with_reasons() -> (Work, ObjectId, ObjectId) {
    let policy = "\
mainline: merges
roles:
  root: {principals: [alice@example.org]}
  operator: {principals: [bob@example.org, carol@example.org], paths: ['sdn/**'], threshold: 2}
";
    let work = Work(Repository::with_policy(policy));
    let repository = &work.0;
    repository.branch("side", repository.introduction);
    let side = repository.change("carol");
    repository.checkout("main");
    let merged = repository.merge("bob", "side");
    (work, side, merged)
}

#[test]
fn each_commit_has_its_reasons() {
    let (work, side, merged) = with_reasons();
    let (alice, bob, carol) = (work.print("alice"), work.print("bob"), work.print("carol"));
    let said = work.weft(&["verify"]);
    said.is(
        0,
        &[
            "by the key that signed it",
            "nodes are told it by another way",
            &format!("signed   by alice@example.org with {alice} (ssh-ed25519)\n  begins   here"),
            &format!("commit {merged} (sequence 2)"),
            &format!("signed   by bob@example.org with {bob}"),
            "by role `operator`, which 2 people sign: `sdn/zones.yaml`",
            &format!(
                "also     carol@example.org with {carol} (ssh-ed25519), on commit {}",
                side.short()
            ),
            &format!("merges   {}", side.short()),
            "a merge, as `mainline: merges` wants it",
            &format!("Verdict: accepted: commit {} (sequence 2)", merged.short()),
        ],
    );
    let said = work.weft(&["verify", "--json"]).json();
    let grant = &said["commits"][1]["basis"]["grants"][0];
    assert_eq!(
        (&grant["role"], &grant["threshold"], &grant["count"]),
        (&"operator".into(), &2.into(), &1.into())
    );
    assert_eq!(grant["seconds"][0]["signer"], "carol@example.org");
    assert_eq!(grant["seconds"][0]["commit"], side.to_string());
    assert_eq!((&said["ok"], &said["accepted"]["sequence"]), (&true.into(), &2.into()));

    // A revert, a void, and a clock that is a little behind.
    let repository = &work.0;
    repository.git(&["checkout", "-q", &repository.introduction.to_string(), "--", "sdn"]);
    repository.wait(-400);
    let back = repository.commit_index("bob");
    work.weft(&["verify"])
        .is(4, &["threshold-unmet", "nodes use the newest good one instead", &merged.short()]);
    repository.branch("main", merged);
    repository.git(&["checkout", "-q", &repository.introduction.to_string(), "--", "sdn"]);
    let back = (repository.commit_index("alice"), back).0;
    work.weft(&["verify"]).is(
        0,
        &["the files of an earlier commit", "clock    before a commit below", &back.to_string()],
    );
    repository.wait(600);
    repository.branch("more", back);
    let other = repository.commit("alice", &[(".weft/void", format!("{side}\n").as_bytes())]);
    repository.branch("main", back);
    repository.merge("alice", "more");
    work.weft(&["verify"]).is(0, &["void     `.weft/void` newly names", &side.short()]);
    work.weft(&["verify", &other.to_string()]).is(4, &["not-a-merge"]);
    // From where somebody says.
    let since = work.weft(&["verify", "--since", &merged.to_string(), &back.to_string()]);
    since.is(0, &["is taken as it is", "(sequence 3)"]);
    work.weft(&["verify", "--since", "HEAD", "HEAD"]).is(0, &["nothing stands above"]);
    work.weft(&["verify", "--since", &side.to_string()]).is(4, &["introduction-missing"]);
    work.weft(&["verify", "--introduction", &merged.to_string()])
        .is(0, &["begins   here", "(sequence 4)"]);
    work.weft(&["verify", "--introduction", "HEAD", "--since", "HEAD"])
        .is(64, &["cannot be used with"]);
    work.weft(&["verify", "--root", "/tmp", "-C", "."]).is(64, &["name one of them"]);
}

#[test]
fn revisions_are_found_as_git_finds_them() {
    let (work, side, merged) = with_reasons();
    let repository = &work.0;
    repository.git(&["tag", "light"]);
    repository.git(&["tag", "-a", "-m", "x", "heavy", "HEAD^2"]);
    repository.git(&["update-ref", "refs/remotes/origin/work", &side.to_string()]);
    let loose = |revision: &str| work.weft(&["verify", revision, "--json"]).json()["tip"].clone();
    let short = &side.to_string()[..9];
    let names = [
        "HEAD",
        "@",
        "main",
        "light",
        "heavy",
        "HEAD^",
        "HEAD~1",
        "main^2",
        "HEAD^^",
        "origin/work",
        "refs/heads/side",
        short,
        "heavy~1",
        "HEAD^0",
    ];
    let check = |names: &[&str]| {
        for name in names {
            let mut command =
                repository.command(&["rev-parse", "--verify", "-q", &format!("{name}^{{commit}}")]);
            let told = command.output().unwrap();
            let told = String::from_utf8(told.stdout).unwrap();
            let found = loose(name);
            assert_eq!(found.as_str().unwrap_or_default(), told.trim(), "{name}");
        }
    };
    check(&names);
    repository.git(&["pack-refs", "--all"]);
    repository.git(&["gc", "-q"]);
    check(&names);
    // A linked work tree has a HEAD of its own; objects may be borrowed.
    repository.git(&["worktree", "add", "-q", "--detach", "../linked", &side.to_string()]);
    let linked = repository.home().join("linked");
    let said = weft(repository.home(), &linked, &["verify", "--json"]).json();
    assert_eq!(said["tip"], side.to_string());
    repository.git(&["clone", "-q", "--shared", ".", "../borrowed"]);
    weft(repository.home(), &repository.home().join("borrowed/sdn"), &["verify"])
        .is(0, &["Verdict: accepted"]);
    repository.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    weft(repository.home(), repository.home(), &["verify", "-C", "bare.git"])
        .is(0, &["Verdict: accepted"]);
    let origin = format!("file://{}", work.directory().display());
    repository.git(&["clone", "-q", "--depth", "1", &origin, "../shallow"]);
    weft(repository.home(), repository.home(), &["verify", "-C", "shallow"])
        .is(1, &["git fetch --unshallow"]);
    for bad in
        ["HEAD@{1}", "HEAD:sdn", "main..side", "", "--", "refs/../HEAD", "HEAD^9", "HEAD~100001"]
    {
        let said = work.weft(&["verify", "--json", "--", bad]);
        assert_eq!(said.code, 1, "{bad}: {}", said.text);
    }
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
    work.weft(&["verify", &tree]).is(1, &["it is no commit"]);
    assert_eq!(loose("main"), merged.to_string());
}

#[test]
fn no_setting_of_a_repository_runs_a_program_or_hides_a_commit() {
    let (work, _, _) = with_reasons();
    let unsigned = work.0.change("-");
    // A replacement that git itself believes.
    work.0.git(&["replace", &unsigned.to_string(), &work.0.introduction.to_string()]);
    let trap = work.0.home().join("trap");
    fs::write(&trap, "#!/bin/sh\ntouch \"$0.sprung\"\nexit 0\n").unwrap();
    let trap = trap.to_str().unwrap();
    output(program("chmod", work.0.home()).args(["+x", trap]));
    for key in [
        "gpg.ssh.program",
        "gpg.program",
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "filter.x.smudge",
        "uploadpack.packObjectsHook",
    ] {
        work.0.git(&["config", key, trap]);
    }
    work.weft(&["verify"]).is(4, &["[unsigned]", &unsigned.to_string()]);
    work.weft(&["trust", "simulate"]).is(4, &["unsigned"]);
    // Not even a file of settings that cannot be read.
    fs::write(work.directory().join(".git/config"), "[broken\n").unwrap();
    work.weft(&["verify", "HEAD~1"]).is(0, &["Verdict: accepted"]);
    assert!(!Path::new(&format!("{trap}.sprung")).exists());
}

#[test]
fn many_commits_are_cut_short_for_people_only() {
    let forge = Forge::new();
    let mut tip = forge.begin(
        &super::trust::forge::lines(&["root"]),
        "roles: {root: {principals: [root]}}\n",
        &[],
    );
    for n in 0..230 {
        tip = forge.commit(&[tip], "root", &[("f", &n.to_string())]);
    }
    let repository = written(&forge, tip);
    let home = repository.path();
    let said = weft(home, &home.join("work"), &["verify"]);
    assert!(said.text.contains("31 commits are not shown"), "{}", said.text);
    assert_eq!(said.text.matches("\n  signed ").count(), 200);
    let all = weft(home, &home.join("work"), &["verify", "--all"]);
    assert_eq!(all.text.matches("\n  signed ").count(), 231);
    let said = weft(home, &home.join("work"), &["verify", "--json"]).json();
    assert_eq!(said["commits"].as_array().unwrap().len(), 231);
}

#[test]
fn on_a_node_the_verdict_is_the_nodes_own() {
    let repository = declared();
    let first = repository.head();
    let node = Node::new(&repository, "n1");
    let said = node.run(&["verify"]);
    assert!(said.code == 1 && said.all().contains("weft sync"), "{}", said.all());
    assert_eq!(node.run(&["sync"]).code, 0);
    let said = node.run(&["verify"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.out.contains("the node's settings say so"), "{}", said.out);
    assert!(said.out.contains(&format!("judges from commit {}", first.short())), "{}", said.out);
    let shown = node.run(&["trust", "show"]);
    assert!(shown.out.contains(&format!("Trust files of commit {first}")), "{}", shown.all());
    let introduced = node.run(&["trust", "introduction"]);
    assert!(introduced.out.contains(&first.to_string()), "{}", introduced.all());

    // A branch that drops what the node accepted is good for a new node, and not for this one.
    repository.branch("main", repository.introduction);
    let other = repository.change("alice");
    assert_eq!(node.run(&["sync"]).code, 4);
    let said = node.run(&["verify", "--json"]);
    assert_eq!((said.code, &said.json()["refused"][0]["code"]), (4, &"rewritten".into()));
    let shown = node.run(&["trust", "show"]);
    assert!(shown.out.contains(&format!("Trust files of commit {first}")), "{}", shown.all());
    let work = Work(repository);
    work.weft(&["verify", &other.to_string()]).is(0, &["Verdict: accepted"]);
    // A key that is revoked on the node.
    let node =
        Node::with(&work.0, "n2", "lab", &format!("revoked: [\"{}\"]\n", work.print("alice")));
    assert_eq!(node.run(&["sync"]).code, 4);
    let said = node.run(&["verify", "--json"]);
    assert_eq!((said.code, &said.json()["refused"][0]["code"]), (4, &"key-revoked".into()));
}

/// The objects of a history as a repository `work` with a branch at a commit.
fn written(forge: &Forge, tip: ObjectId) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    output(program("git", home).args(["init", "-q", "-b", "main", "work"]));
    for (id, raw) in &forge.memory.borrow().objects {
        let mut command = program("git", &home.join("work"));
        command.args(["hash-object", "-w", "--stdin", "--literally", "-t", raw.kind.as_str()]);
        let mut git = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        git.stdin.take().unwrap().write_all(&raw.bytes).unwrap();
        let written = String::from_utf8(git.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(written.trim(), id.to_string());
    }
    point(home, tip);
    directory
}

fn point(home: &Path, tip: ObjectId) {
    let mut git = program("git", &home.join("work"));
    output(git.args(["update-ref", "refs/heads/main", &tip.to_string()]));
}

/// What a program says of a history: the commit that is used, and what is refused.
fn verdict(accepted: &Value, refused: &Value) -> (Option<String>, Vec<String>) {
    let code = |refusal: &Value| refusal["code"].as_str().unwrap().to_owned();
    let refused = refused.as_array().unwrap().iter().map(code).collect();
    (accepted["commit"].as_str().map(str::to_owned), refused)
}

fn same_verdict(steps: &[Step]) -> Result<(), TestCaseError> {
    let forge = Forge::new();
    let line = history(&forge, steps);
    let tip = line[line.len() - 1];
    let repository = written(&forge, tip);
    let home = repository.path();
    let settings = format!(
        "cluster: lab\nnode: n1\nallow-file: true\nremotes: [{{name: origin, url: \"file://{}\"}}]\nintroduction: {{commit: {}, signer: \"{}\"}}\n",
        home.join("work/.git").display(),
        line[0],
        signed_by("root"),
    );
    fs::create_dir_all(home.join("node/etc/weft")).unwrap();
    fs::write(home.join("node/etc/weft/agent.yaml"), settings).unwrap();
    // As a node that never looked, and as one that saw a part of the line before.
    for at in [line[line.len() / 2], tip] {
        point(home, at);
        let synced = weft(home, home, &["--root", "node", "sync", "--json"]).json();
        let (status, asked) = (&synced["status"], at.to_string());
        let of_node = verdict(&status["trusted"], &status["refused"]);
        let said = weft(home, home, &["--root", "node", "verify", "--json"]).json();
        prop_assert_eq!(verdict(&said["accepted"], &said["refused"]), of_node.clone());
        let said = weft(home, &home.join("work"), &["verify", &asked, "--json"]).json();
        let of_person = verdict(&said["accepted"], &said["refused"]);
        prop_assert_eq!(&of_person.0, &of_node.0);
        let good = said["accepted"]["commit"].as_str() == Some(&asked);
        prop_assert_eq!(said["ok"].as_bool(), Some(good));
        // Each commit is good, refused, or both where its key has ended since.
        for commit in said["commits"].as_array().unwrap() {
            prop_assert!(!commit["basis"].is_null() || !commit["refusal"].is_null());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn verify_says_what_a_node_does(steps in steps()) {
        same_verdict(&steps)?;
    }
}

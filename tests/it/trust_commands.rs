//! `weft trust` as people use it: the real program, real git.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::trust::repository::{POLICY, Repository, make_key, output, program, public_key};

/// What a run of the program said.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// It ended so, and said all of these.
    #[track_caller]
    pub(super) fn is(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "`{word}` is not in: {}", self.text);
        }
        self
    }
}

pub(super) fn weft(home: &Path, directory: &Path, arguments: &[&str]) -> Said {
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
pub(super) struct Work(pub(super) Repository);

impl Work {
    pub(super) fn directory(&self) -> PathBuf {
        self.0.home().join("work")
    }

    pub(super) fn weft(&self, arguments: &[&str]) -> Said {
        weft(self.0.home(), &self.directory(), arguments)
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory().join(path)).unwrap()
    }

    /// A key of the people of the repository, as a file next to the work tree.
    pub(super) fn key(&self, name: &str) -> String {
        self.0.home().join(format!("{name}.pub")).to_str().unwrap().to_owned()
    }

    pub(super) fn print(&self, name: &str) -> String {
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
    // A key that is there keeps its bounds, so that others are no part of a further role.
    let core = ["trust", "add", "dan@example.org", &work.key("dan"), "--role", "core"];
    for bounds in
        [["--until", "2098-12-31Z"], ["--from", "2028-01-01Z"], ["--namespaces", "git,file"]]
    {
        let words = [&core[..], &bounds].concat();
        work.refuses(&words, 4, &["with other dates or namespaces", "nothing was written"]);
    }
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
            "/etc/weft/revoked",
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

/// Who writes leases has a part of their own, with a role or without.
#[test]
fn who_writes_leases_is_shown_and_goes() {
    const ALLOCATORS: &str = "allocators: [carol@example.org, bob@example.org]  # of nodes\n";
    let work = Work(Repository::with_policy(&format!("{BEFORE}{ALLOCATORS}")));
    let shown = work.weft(&["trust", "show"]);
    shown.is(
        0,
        &[
            "bob@example.org: core, operator, writes leases",
            "carol@example.org: no role, writes leases",
            "leases of addresses are written by bob@example.org, carol@example.org",
        ],
    );
    assert!(!shown.text.contains("may change nothing"), "{}", shown.text);
    let said = work.weft(&["trust", "show", "--json"]).json();
    assert_eq!(said["allocators"], serde_json::json!(["bob@example.org", "carol@example.org"]));
    let of = |name: &str| {
        let people = said["people"].as_array().unwrap();
        people.iter().find(|person| person["principal"] == name).unwrap()["allocator"].clone()
    };
    assert_eq!((of("alice@example.org"), of("carol@example.org")), (false.into(), true.into()));

    let print = work.print("carol");
    work.refuses(
        &["trust", "remove", "carol@example.org", "--key", &print],
        4,
        &["the only key of `carol@example.org`, who writes leases"],
    );
    make_key(work.0.home(), "carol2", &["ed25519"]);
    let said = work.weft(&["trust", "add", "carol@example.org", &work.key("carol2")]);
    said.is(0, &["carol@example.org writes leases of addresses"]);
    assert!(!said.text.contains("is in no role"), "{}", said.text);
    let said = work.weft(&["trust", "remove", "carol@example.org"]);
    said.is(0, &["carol@example.org no longer writes leases of addresses"]);
    assert!(!said.text.contains("nobody else does"), "{}", said.text);
    let left = "allocators: [bob@example.org]  # of nodes\n";
    assert_eq!(work.read(".weft/policy.yaml"), format!("{BEFORE}{left}"));
    assert!(!work.read(".weft/allowed_signers").contains("carol@"));
    // The last one.
    work.0.write(".weft/policy.yaml", format!("{POLICY}{left}").as_bytes());
    let said = work.weft(&["trust", "remove", "bob@example.org", "--json"]).json();
    assert_eq!(said["allocator"], true);
    assert!(work.read(".weft/policy.yaml").ends_with("allocators: []  # of nodes\n"));
    work.weft(&["trust", "show"]).is(0, &["nobody writes leases of addresses"]);
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

/// The line of a signer whose key ends.
fn ending(work: &Work, name: &str, end: &str) -> String {
    let bounds = format!("namespaces=\"git\",valid-before=\"{end}\"");
    work.0.signers(&[name]).replace("namespaces=\"git\"", &bounds)
}

#[test]
fn a_last_root_key_that_ends_is_told_and_none_is_left_by_a_removal() {
    let work = Work(Repository::new());
    let both = b"roles: {root: {principals: [alice@example.org, bob@example.org]}}\n";
    work.0.write(".weft/policy.yaml", both);
    let bob = ending(&work, "bob", "20990101Z");
    work.0.write(".weft/allowed_signers", (work.0.signers(&["alice"]) + &bob).as_bytes());
    assert!(!work.weft(&["validate"]).text.contains("root-keys"));
    // The one that is left can sign now, and not for ever.
    work.refuses(
        &["trust", "remove", "alice@example.org"],
        4,
        &[
            "nobody of the role `root` has a valid key after 2099-01-01T00:00:00Z",
            "a key without an end",
        ],
    );
    let alice = ending(&work, "alice", "20980101Z");
    work.0.write(".weft/allowed_signers", (alice + &bob).as_bytes());
    let ends = "nobody of the role `root` has a valid key after 2099-01-01T00:00:00Z";
    work.weft(&["validate"]).is(0, &["warning[root-keys-end]", ends]);
    work.weft(&["trust", "show"]).is(0, &[ends]);
    // Somebody more whose key ends mends nothing, and that is said.
    let key = work.0.home().join("carol.pub");
    let key = key.to_str().unwrap();
    let add = ["trust", "add", "carol@example.org", key, "--role", "root"];
    let until = [&add[..], &["--until", "2097-01-01Z"]].concat();
    work.weft(&until).is(0, &[&format!("warning: {ends}")]);
    work.weft(&["trust", "remove", "carol@example.org"]).is(0, &[&format!("warning: {ends}")]);
    let said = work.weft(&add);
    assert!(said.code == 0 && !said.text.contains("warning"), "{}", said.text);
    assert!(!work.weft(&["validate"]).text.contains("root-keys"));
    // Nobody is left at all.
    let ended = ending(&work, "alice", "20200101Z");
    work.0.write(".weft/allowed_signers", ended.as_bytes());
    work.0.write(".weft/policy.yaml", b"roles: {root: {principals: [alice@example.org]}}\n");
    let since = "nobody of the role `root` has a valid key since 2020-01-01T00:00:00Z";
    work.weft(&["validate"]).is(0, &["warning[root-keys-ended]", since]);
}

#[test]
fn the_doctor_warns_before_the_last_root_key_ends() {
    let repository = super::node::declared();
    let node = super::node::Node::new(&repository, "n1");
    let said = || {
        assert_eq!(node.run(&["sync"]).code, 0);
        node.run(&["doctor"]).all()
    };
    assert!(
        said().contains("ok       root-keys: somebody of the role `root` has a key"),
        "{}",
        said()
    );
    let work = Work(repository);
    let in_days = |days: i64| {
        let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
        ending(&work, "alice", &time.strftime("%Y%m%d%H%M%SZ").to_string())
    };
    for (days, says) in [
        (60, "ok       root-keys: the last key of the role `root` ends at "),
        (20, "warning  root-keys: every key of the role `root` ends, the last at "),
    ] {
        let line = in_days(days) + &work.0.signers(&["bob", "carol"]);
        work.0.commit("alice", &[(".weft/allowed_signers", line.as_bytes())]);
        let node = super::node::Node::new(&work.0, "n1");
        assert_eq!(node.run(&["sync"]).code, 0);
        let said = node.run(&["doctor"]).all();
        assert!(said.contains(says), "{days}: {said}");
    }
}

//! A dry node from outside: the real program, real git, and what people do wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use weft::value::ObjectId;

use super::trust::repository::Repository;

const NODES: &[u8] = b"nodes:\n  n1: {address: 192.0.2.1}\n  n2: {address: 192.0.2.2}\n";
const VNETS: &[u8] =
    b"vnets:\n  va:\n    zone: one\n    subnets:\n      10.0.0.0/24: {gateway: 10.0.0.1}\n";
pub(super) const FILE: &str = "etc/network/interfaces.d/sdn";

/// A node below a directory of the repository's home, introduced to it.
pub(super) struct Node<'a> {
    repository: &'a Repository,
    pub(super) root: PathBuf,
}

/// What a run of the program said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    pub(super) fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl<'a> Node<'a> {
    pub(super) fn new(repository: &'a Repository, name: &str) -> Self {
        Self::with(repository, name, "lab", "mode: apply\n")
    }

    pub(super) fn with(repository: &'a Repository, name: &str, cluster: &str, more: &str) -> Self {
        let root = repository.home().join(format!("root-{name}"));
        let node = Self { repository, root };
        let settings = format!(
            "cluster: {cluster}\nnode: {name}\nallow-file: true\n{more}remotes:\n  - {{name: origin, url: \"file://{}\"}}\nintroduction:\n  commit: {}\n  signer: \"{}\"\n",
            repository.home().join("work/.git").display(),
            repository.introduction,
            repository.fingerprint("alice"),
        );
        node.put("etc/weft/agent.yaml", settings.as_bytes());
        node.put(
            "etc/network/interfaces",
            b"auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1/24\n\tgateway 192.0.2.254\nsource /etc/network/interfaces.d/*\n",
        );
        node
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(super) fn file(&self) -> Option<String> {
        std::fs::read_to_string(self.root.join(FILE)).ok()
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Said {
        weft(
            self.repository.home(),
            &[&["--root", self.root.to_str().unwrap()], arguments].concat(),
        )
    }

    /// The program beside it, asking no node.
    pub(super) fn beside(&self, arguments: &[&str]) -> Said {
        weft(self.repository.home(), arguments)
    }

    /// The commit that runs, by the journal.
    pub(super) fn runs(&self) -> Option<String> {
        let status = self.run(&["status", "--json"]).json();
        status["running"]["commit"]["commit"].as_str().map(str::to_owned)
    }
}

fn weft(directory: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A repository that declares two nodes and one vnet.
pub(super) fn declared() -> Repository {
    let repository = Repository::new();
    repository.commit("alice", &[("sdn/nodes.yaml", NODES), ("sdn/vnets.yaml", VNETS)]);
    repository
}

/// Runs a turn that must be refused, and change nothing.
fn refused(node: &Node<'_>, code: i32, words: &[&str]) {
    let (file, runs) = (node.file(), node.runs());
    let said = node.run(&["sync"]);
    assert_eq!(said.code, code, "{}", said.all());
    for word in words {
        assert!(said.all().contains(word), "`{word}` is not in: {}", said.all());
    }
    assert!(!said.all().contains("panicked"), "{}", said.all());
    assert_eq!(node.file(), file, "the file changed");
    assert_eq!(node.runs(), runs, "the running commit changed");
}

#[test]
fn a_commit_is_applied_recorded_and_reverted() {
    let repository = declared();
    let first = repository.head();
    let node = Node::new(&repository, "n1");
    let plan = node.run(&["plan"]);
    assert_eq!(plan.code, 2, "{}", plan.all());
    assert!(plan.out.contains("+ va adds (vnet va)"), "{}", plan.out);
    assert!(node.file().is_none(), "a plan changed the node");

    assert_eq!(node.run(&["sync"]).code, 0);
    let bytes = node.file().expect("the file is there");
    assert!(
        bytes.starts_with("#version:2\n\nauto va\niface va\n\taddress 10.0.0.1/24\n"),
        "{bytes}"
    );
    assert_eq!(node.runs(), Some(first.to_string()));
    assert_eq!(node.run(&["plan"]).code, 0);

    // A commit that means the same advances what runs, and touches no file.
    let same = repository.commit("alice", &[("docs/readme.md", b"# Lab\n")]);
    let before = std::fs::metadata(node.root.join(FILE)).unwrap().modified().unwrap();
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(node.runs(), Some(same.to_string()));
    assert_eq!(std::fs::metadata(node.root.join(FILE)).unwrap().modified().unwrap(), before);

    let changed =
        std::str::from_utf8(VNETS).unwrap().replace("gateway: 10.0.0.1", "gateway: 10.0.0.2");
    repository.commit("bob", &[("sdn/vnets.yaml", changed.as_bytes())]);
    let said = node.run(&["sync", "--json"]);
    assert_eq!(said.code, 0, "{}", said.all());
    let report = said.json();
    assert_eq!(report["status"]["running"]["commit"]["signer"], "bob@example.org");
    assert_eq!(report["plan"]["changes"][0]["impact"], "changes");
    assert_eq!(report["plan"]["changes"][0]["vnets"][0], "va");
    assert!(node.file().unwrap().contains("10.0.0.2/24"));

    repository.wait(60);
    repository.signed("bob", &["revert", "--no-edit", "HEAD"]);
    assert_eq!(node.run(&["sync"]).code, 0);
    let after = node.file().unwrap();
    assert_eq!(after.split_once('\n').unwrap().1, bytes.split_once('\n').unwrap().1);

    let history = node.run(&["history", "--json"]).json();
    assert_eq!(history.as_array().unwrap().len(), 4, "{history}");
    let status = node.run(&["status"]);
    assert!(status.out.contains("by bob@example.org with SHA256:"), "{}", status.out);
}

#[test]
fn who_may_not_sign_changes_nothing() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let good = repository.head();
    for (signer, code) in
        [("-", "unsigned"), ("mallory", "signer-unknown"), ("carol", "role-missing")]
    {
        repository.change(signer);
        refused(&node, 4, &[code]);
        repository.git(&["reset", "-q", "--hard", &good.to_string()]);
    }
    repository.commit("bob", &[("weft.yaml", b"weft: 1\ncluster: lab\nstrict: true\n")]);
    refused(&node, 4, &["path-not-allowed", "weft.yaml"]);
    repository.git(&["reset", "-q", "--hard", &repository.introduction.to_string()]);
    repository.change("alice");
    refused(&node, 4, &["rewritten"]);
    // The good line again: everything is in order.
    repository.git(&["reset", "-q", "--hard", &good.to_string()]);
    assert_eq!(node.run(&["sync"]).code, 0);
}

#[test]
fn whose_commit_it_may_be_is_asked_first() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    repository.change("mallory");
    let says = "; it says that ";
    for words in [&["sync"][..], &["status"]] {
        let said = node.run(words);
        assert_eq!(said.code, 4, "{}", said.all());
        assert!(said.out.contains(says), "{}", said.out);
        assert!(said.out.contains("if nobody here made it, suspect the server"), "{}", said.out);
        assert_eq!(said.out.matches(says).count(), 1, "{}", said.out);
    }
    for code in ["signer-unknown", "refused[signer-unknown]", "refused[signer-unknown]:"] {
        let said = node.beside(&["explain", code]);
        assert!(said.code == 0 && said.out.contains("suspect the server"), "{}", said.all());
    }
    assert_eq!(node.beside(&["explain", "error[busy]"]).code, 0);
    assert_eq!(node.beside(&["explain", "[held]"]).code, 0);
}

#[test]
fn what_is_refused_for_what_it_does_says_so_in_the_status() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    repository.commit("alice", &[("sdn/vnets.yaml", b"vnets: {}\n")]);
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 4, "{}", said.all());
    assert_eq!(said.out.matches("guard[removes-everything]").count(), 1, "{}", said.out);
    let short = &repository.head().to_string()[..12];
    // Trust accepted it: who takes it off the branch has every further commit refused.
    let says = format!(
        "commit {short} is trusted, and a guard of this node keeps it from being applied (removes-everything); mend that on the node or in a commit on top (do not amend what nodes have accepted)"
    );
    assert!(said.out.contains(&says), "{}", said.out);
    let status = node.run(&["status"]);
    assert_eq!(status.code, 4, "{}", status.all());
    for words in [&says, "guard    [removes-everything] ", "everything: true"] {
        assert!(status.out.contains(words), "{words}: {}", status.out);
    }
}

#[test]
fn what_others_may_write_is_said() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert!(!node.run(&["sync"]).err.contains("others than its owner"));
    let path = node.root.join("etc/weft/agent.yaml");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&path, mode).unwrap();
    let said = node.run(&["sync"]);
    assert!(
        said.code == 0 && said.err.contains("has mode 0666: others than its owner"),
        "{}",
        said.all()
    );
    node.put("etc/weft/revoked", b"mallory's key\n");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 1, "{}", said.all());
    assert!(said.err.contains("one fingerprint in a line"), "{}", said.err);
    assert!(said.err.contains("paths are those of the dry node below"), "{}", said.err);
    let said = node.run(&["doctor"]);
    assert!(said.out.contains("  error    revoked: `/etc/weft/revoked`, line 1"), "{}", said.out);
    // What was accepted is in the cache.
    std::fs::remove_file(node.root.join("etc/weft/revoked")).unwrap();
    let said = node.run(&["doctor"]);
    assert!(said.out.contains("ok       node-declared: node `n1` is declared"), "{}", said.out);
}

#[test]
fn nothing_is_known_of_another_node_without_facts() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let unknown = "nothing is known of node `n2`";
    let plan = |name: &str| node.run(&["plan", "work", "--node", name]);
    assert!(plan("n2").code == 2 && plan("n2").err.contains(unknown), "{}", plan("n2").all());
    assert!(!plan("n1").err.contains("nothing is known"), "{}", plan("n1").all());
    // What runs here is not compared with what another node is to have.
    assert_eq!(node.run(&["sync"]).code, 0);
    assert!(plan("n1").code == 0 && !plan("n1").err.contains("this machine is"));
    let other = plan("n2");
    assert!(other.err.contains("note: this machine is `n1`"), "{}", other.all());
    assert!(other.code == 2 && other.out.contains("+ va adds"), "{}", other.all());
    for words in [&["plan", "work"][..], &["why", "va", "--directory", "work"]] {
        let said = weft(repository.home(), words);
        assert!(said.code == 1 && said.err.contains("`--node NAME`"), "{}", said.all());
        let said = weft(repository.home(), &[words, &["--node", "n9"]].concat());
        assert!(said.code == 4 && said.err.contains("node `n9` is not declared"), "{}", said.all());
    }
}

#[test]
fn a_bad_tree_changes_nothing_and_says_where() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let good = repository.head();
    let bomb = format!("a: &a [{}]\nzones: *a\n", "x,".repeat(50));
    let deep = format!("zones: {}\n", "[".repeat(5_000));
    let large = vec![b'#'; 2 << 20];
    let cases: &[(&str, &[u8], &[&str])] = &[
        ("weft.yaml", b"-", &["weft.yaml", "missing-file"]),
        (
            "weft.yaml",
            b"weft: 1\ncluster: other\n",
            &["other-cluster", "this node belongs to cluster `lab`"],
        ),
        ("weft.yaml", b"weft: 2\ncluster: lab\n", &["other-format"]),
        ("sdn/nodes.yaml", b"nodes:\n  n7: {}\n", &["this-node-undeclared"]),
        (
            "sdn/vnets.yaml",
            b"vnets: {va: {zone: one, colour: red}}\n",
            &["unknown-key", "sdn/vnets.yaml:1:25"],
        ),
        ("sdn/vnets.yaml", b"vnets: {va: {zone: }}\n", &["null-value"]),
        ("sdn/vnets.yaml", b"vnets: [\n", &["yaml-syntax"]),
        ("sdn/zones.yaml", bomb.as_bytes(), &["yaml-feature"]),
        ("sdn/zones.yaml", deep.as_bytes(), &["sdn/zones.yaml"]),
        (
            "sdn/more.yaml",
            b"zones:\n  one: {type: simple}\n",
            &["duplicate-id", "first here", "again here"],
        ),
        ("sdn/text.yaml", b"zones: {\xff\xfe: 1}\n", &["sdn/text.yaml", "not UTF-8"]),
        ("sdn/large.yaml", &large, &["sdn/large.yaml", "bytes"]),
    ];
    for (path, contents, words) in cases {
        repository.commit("alice", &[(path, contents)]);
        refused(&node, 4, words);
        repository.wait(60);
        repository.signed("alice", &["revert", "--no-edit", "HEAD"]);
        assert_eq!(node.run(&["sync"]).code, 0, "{path} is mended");
    }
    // The line went on, so that nothing of this was a rewritten branch.
    assert_ne!(repository.head(), good);
}

#[test]
fn links_and_submodules_are_refused() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let work = repository.home().join("work");
    std::os::unix::fs::symlink("/etc/passwd", work.join("sdn/link.yaml")).unwrap();
    repository.git(&["add", "-A"]);
    repository.commit_index("alice");
    refused(&node, 4, &["sdn/link.yaml", "symbolic link"]);
    repository.git(&["rm", "-q", "sdn/link.yaml"]);
    let entry = format!("160000,{},sdn/module", repository.introduction);
    repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
    repository.commit_index("alice");
    refused(&node, 4, &["sdn/module", "submodule"]);
}

#[test]
fn a_huge_file_is_not_read() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let path = repository.home().join("work/sdn/huge.yaml");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    drop(file);
    repository.git(&["-c", "core.compression=1", "add", "-A"]);
    repository.commit_index("alice");
    refused(&node, 4, &["huge.yaml"]);
}

#[test]
fn a_node_that_cannot_be_says_why() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    // No settings, wrong settings, no such directory.
    let empty = repository.home().join("nothing");
    std::fs::create_dir(&empty).unwrap();
    let said = weft(repository.home(), &["sync", "--root", "nothing"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("has no settings") && said.err.contains("examples/agent.yaml"),
        "{}",
        said.err
    );
    let said = weft(repository.home(), &["sync", "--root", "nowhere"]);
    assert_eq!(said.code, 1, "{}", said.err);
    node.put(
        "etc/weft/agent.yaml",
        b"cluster: lab\nnode: n1\nremotes: []\nintroduction: {commit: abc, signer: x}\nmod: bad\n",
    );
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 1);
    for word in ["`abc` is not a full git object id", "`mod` is no option", "did you mean `mode`"] {
        assert!(said.err.contains(word), "`{word}` is not in: {}", said.err);
    }
    // No repository at the place.
    let gone = Node::new(&repository, "n1");
    let settings = std::fs::read_to_string(gone.root.join("etc/weft/agent.yaml")).unwrap();
    gone.put("etc/weft/agent.yaml", settings.replace("work/.git", "gone.git").as_bytes());
    refused(&gone, 1, &["origin", "gone.git"]);
    repository.git(&["init", "-q", "--bare", "-b", "main", "../empty.git"]);
    gone.put("etc/weft/agent.yaml", settings.replace("work/.git", "empty.git").as_bytes());
    refused(&gone, 1, &["main"]);
}

#[test]
fn an_observing_node_changes_nothing() {
    let repository = declared();
    let node = Node::with(&repository, "n1", "lab", "");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 2, "{}", said.all());
    assert!(said.out.contains("this node observes"), "{}", said.out);
    assert!(node.file().is_none() && node.runs().is_none());
}

#[test]
fn a_file_of_somebody_else_is_not_replaced() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    node.put(FILE, b"auto vb\niface vb\n\tbridge_ports none\n");
    refused(&node, 4, &["not-ours", "was not written by weft"]);
}

#[test]
fn an_edit_by_hand_is_told_and_put_back_on_demand() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let good = node.file().unwrap();
    node.put(FILE, good.replace("10.0.0.1", "10.0.0.9").as_bytes());
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 2, "{}", said.all());
    assert!(said.out.contains("not as weft wrote it"), "{}", said.out);
    assert_eq!(node.run(&["apply", "--refresh"]).code, 0);
    assert_eq!(node.file().unwrap(), good);
}

#[test]
fn two_agents_do_not_meet() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let lock = std::fs::File::open(node.root.join("run/weft/lock")).unwrap();
    let _held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("another weft is at work"), "{}", said.err);
    // Whoever holds it says who it is: its number, and when it began.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let began = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    let own = std::process::id();
    node.put("run/weft/lock", format!("{own} {began}\n").as_bytes());
    for verb in ["sync", "plan", "rollback", "agent"] {
        let said = node.run(&[verb]);
        assert_eq!(said.code, 1);
        assert!(said.all().contains(&format!("process {own}, `it-")), "{}", said.all());
    }
}

#[test]
fn state_that_is_gone_is_damage_and_not_a_first_run() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    // The cache may go at any time.
    std::fs::remove_dir_all(node.root.join("var/cache/weft")).unwrap();
    assert_eq!(node.run(&["sync"]).code, 0);
    // From the second commit on there are two anchors; one may go.
    repository.commit("bob", &[("docs/more", b"1")]);
    assert_eq!(node.run(&["sync"]).code, 0);
    std::fs::remove_file(node.root.join("var/lib/weft/anchor.a")).unwrap();
    assert_eq!(node.run(&["sync"]).code, 0);
    for name in ["anchor.a", "anchor.b"] {
        let _ = std::fs::remove_file(node.root.join("var/lib/weft").join(name));
    }
    refused(&node, 1, &["anchor"]);
}

#[test]
fn other_nodes_are_rendered_anywhere_with_recorded_facts() {
    let repository = declared();
    let vxlan = b"zones:\n  two: {type: vxlan}\nvnets:\n  vx: {zone: two, tag: 100}\n";
    repository.commit("alice", &[("sdn/vxlan.yaml", vxlan)]);
    let node = Node::new(&repository, "n1");
    let facts = node.run(&["facts"]);
    assert_eq!(facts.code, 0, "{}", facts.all());
    std::fs::write(repository.home().join("n1.json"), &facts.out).unwrap();
    let arguments = ["render", "work", "--node", "n1", "--facts", "n1.json", "--json"];
    let rendered = weft(repository.home(), &arguments);
    assert_eq!(rendered.code, 0, "{}", rendered.all());
    assert_eq!(node.run(&["sync"]).code, 0);
    let text =
        rendered.json()["files"]["/etc/network/interfaces.d/sdn"].as_str().unwrap().to_owned();
    assert_eq!(node.file().unwrap().split_once('\n').unwrap().1, text);
    assert!(
        text.contains("vxlan_remoteip 192.0.2.2") && !text.contains("vxlan_remoteip 192.0.2.1"),
        "{text}"
    );
    let generation = node.root.join("var/lib/weft/gen/00000001/facts.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(generation).unwrap()).unwrap();
    assert_eq!(kept, serde_json::from_str::<Value>(&facts.out).unwrap());
}

#[test]
fn a_killed_run_is_finished_or_undone_by_the_next() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let mut states = Vec::new();
    for round in 0_u64..12 {
        let old = node.file();
        let zones = format!("zones:\n  one: {{type: simple, mtu: {}}}\n", 1400 + round);
        let commit: ObjectId = repository.commit("bob", &[("sdn/zones.yaml", zones.as_bytes())]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(["sync", "--root", node.root.to_str().unwrap()])
            .env_clear()
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10 * round));
        let _ = child.kill();
        child.wait().unwrap();
        let new = format!("mtu {}", 1400 + round);
        let now = node.file();
        assert!(
            now == old || now.as_ref().is_some_and(|text| text.contains(&new)),
            "neither old nor new: {now:?}"
        );
        states.push(now == old);
        // A process that was being started when its parent was killed may hold the lock
        // for a moment.
        let mut said = node.run(&["sync"]);
        for _ in 0..50 {
            if !said.all().contains("another weft") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            said = node.run(&["sync"]);
        }
        assert_eq!(said.code, 0, "{}", said.all());
        assert!(node.file().unwrap().contains(&new));
        assert_eq!(node.runs(), Some(commit.to_string()));
    }
    println!(
        "killed runs that had not changed the file: {}",
        states.iter().filter(|old| **old).count()
    );
}

#[test]
fn boot_restore_settles_an_interrupted_apply_before_the_network_comes_up() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let (first, before) = (node.runs(), node.file());
    let changed =
        std::str::from_utf8(VNETS).unwrap().replace("gateway: 10.0.0.1", "gateway: 10.0.0.2");
    repository.commit("alice", &[("sdn/vnets.yaml", changed.as_bytes())]);
    assert_eq!(node.run(&["sync"]).code, 0);

    // As if the power had failed while the file was written.
    let journal = node.root.join("var/lib/weft/journal");
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let newest = entries.pop().unwrap();
    assert_eq!(newest.extension().unwrap(), "confirmed", "{}", newest.display());
    std::fs::rename(&newest, newest.with_extension("armed")).unwrap();
    let settings = std::fs::read(node.root.join("etc/weft/agent.yaml")).unwrap();
    node.put("etc/weft/agent.yaml", b"of no use: settings are not read\n");

    let said = node.run(&["boot-restore"]);
    assert_eq!(said.code, 0, "{}", said.all());
    let words = "it was interrupted); the files of what ran before are back";
    assert!(said.out.contains(words), "{}", said.out);
    assert_eq!(node.file(), before);
    // Again it is the same, until a turn did the rest.
    let again = node.run(&["boot-restore"]);
    assert!(again.code == 0 && again.out.contains(words), "{}", again.all());
    assert_eq!(node.file(), before);
    assert_eq!(node.runs(), first);
    node.put("etc/weft/agent.yaml", &settings);
    assert_eq!(node.run(&["sync"]).code, 0);
    let history = node.run(&["history", "--json"]).json();
    let states: Vec<&str> =
        history.as_array().unwrap().iter().map(|entry| entry["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["confirmed", "rolledback", "confirmed"]);
    let again = node.run(&["boot-restore", "--json"]);
    assert_eq!((again.code, &again.json()["restored"]), (0, &Value::Null), "{}", again.all());
}

#[test]
fn a_broken_anchor_does_not_take_the_node_back() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let mut tips = Vec::new();
    for _ in 0..3 {
        repository.change("bob");
        assert_eq!(node.run(&["sync"]).code, 0);
        tips.push(repository.head());
    }
    // The newer of the two files is damaged, and a server shows the commit before.
    let anchors = ["anchor.a", "anchor.b"].map(|name| node.root.join("var/lib/weft").join(name));
    let newest = tips[2].to_string();
    let newer = anchors
        .iter()
        .find(|path| std::fs::read_to_string(path).unwrap().contains(&newest))
        .unwrap();
    std::fs::write(newer, b"{}").unwrap();
    repository.git(&["reset", "-q", "--hard", &tips[1].to_string()]);
    let (file, runs) = (node.file(), node.runs());
    node.run(&["sync"]);
    assert_eq!((node.file(), node.runs()), (file, runs));
    assert_eq!(node.runs(), Some(newest));
}

#[test]
fn a_node_is_introduced_again_at_what_it_runs() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    repository.change("alice");
    assert_eq!(node.run(&["sync"]).code, 0);
    let runs = node.runs().unwrap();
    for name in ["anchor.a", "anchor.b"] {
        let _ = std::fs::remove_file(node.root.join("var/lib/weft").join(name));
    }
    refused(&node, 1, &["anchor", "introduce the node again"]);
    let settings = std::fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    let again = settings.replace(&repository.introduction.to_string(), &runs);
    node.put("etc/weft/agent.yaml", again.as_bytes());
    repository.change("bob");
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert_eq!(node.runs(), Some(repository.head().to_string()));
}

#[test]
fn another_clusters_commit_does_not_tie_the_node() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    let good = repository.head();
    repository.commit("alice", &[("weft.yaml", b"weft: 1\ncluster: other\n")]);
    refused(&node, 4, &["other-cluster"]);
    repository.git(&["reset", "-q", "--hard", &good.to_string()]);
    repository.commit("bob", &[("docs/more", b"1")]);
    let said = node.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.all());
}

#[test]
fn a_file_of_another_name_is_not_left_out_silently() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    repository.git(&["mv", "sdn/vnets.yaml", "sdn/vnets.yml"]);
    repository.commit_index("bob");
    refused(&node, 4, &["file-not-read", "sdn/vnets.yml"]);
    let said = weft(repository.home(), &["validate", "work"]);
    assert_eq!(said.code, 4);
    assert!(said.out.contains("file-not-read"), "{}", said.out);
}

#[test]
fn a_file_that_the_machine_does_not_read_is_said() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let warns = |words: &[&str]| {
        let said = node.run(words);
        said.err
            .contains("warning: `/etc/network/interfaces` has no `source` line")
            .then_some(said.err)
    };
    assert_eq!(warns(&["plan"]), None);
    let interfaces = std::fs::read_to_string(node.root.join("etc/network/interfaces")).unwrap();
    let alone = interfaces.replace("source /etc/network/interfaces.d/*\n", "");
    node.put("etc/network/interfaces", alone.as_bytes());
    for words in [&["plan"][..], &["sync"]] {
        let said = warns(words).expect("it warns");
        assert!(said.contains("weft brings up what is in it all the same, but ifupdown2 does not"));
    }
    let settings = std::fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    node.put("etc/weft/agent.yaml", format!("{settings}engine: ifupdown2\n").as_bytes());
    assert!(
        warns(&["plan"]).is_some_and(|said| said.contains("ifupdown2 brings up nothing of it"))
    );
}

#[test]
fn a_remote_that_may_not_be_read_is_no_other_thing() {
    use std::os::unix::fs::PermissionsExt as _;
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let git = repository.home().join("work/.git");
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut sync = Command::new(env!("CARGO_BIN_EXE_weft"));
    sync.args(["sync", "--root", node.root.to_str().unwrap()]).current_dir("/").env_clear();
    if nix::unistd::geteuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        sync.uid(65534).gid(65534);
        let chown = Command::new("chown").args(["-R", "65534:65534"]).arg(&node.root).status();
        assert!(chown.unwrap().success());
    }
    mode(repository.home(), 0o755);
    mode(&git, 0);
    let said = sync.output().unwrap();
    mode(&git, 0o755);
    let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    let why = format!("cannot read `{}`: Permission denied", git.display());
    assert!(said.contains(&why) && !said.contains("no git repository"), "{said}");
}

/// Of the lines of the audit as many may be taken from the end as are younger than the
/// newest change that was confirmed.
#[test]
fn an_audit_that_ends_too_early_shows() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let audit = || (node.run(&["audit"]), node.run(&["audit", "--json"]).json());
    assert!(node.run(&["audit"]).out.contains("Nothing was done"));
    assert_eq!(node.run(&["sync"]).code, 0);
    let path = "var/lib/weft/audit/00000001.jsonl";
    let first = std::fs::read(node.root.join(path)).unwrap();
    // A commit that changes nothing has no line, and none is missed.
    repository.commit("alice", &[("docs/readme.md", b"# Lab\n")]);
    assert_eq!(node.run(&["sync"]).code, 0);
    let said = node.run(&["audit"]);
    assert_eq!(said.code, 0, "{}", said.all());
    let changed = std::str::from_utf8(VNETS).unwrap().replace(": 10.0.0.1}", ": 10.0.0.2}");
    repository.commit("alice", &[("sdn/vnets.yaml", changed.as_bytes())]);
    assert_eq!(node.run(&["sync"]).code, 0);
    assert_eq!(node.run(&["audit"]).code, 0);
    node.put(path, &first);
    let (said, document) = audit();
    let wrong = "!!!  the lines end before apply 3, which the journal says was confirmed";
    assert!(said.code == 1 && said.out.contains(wrong), "{}", said.all());
    assert_eq!(document.as_array().unwrap().last().unwrap()["event"], "broken", "{document:#}");
    std::fs::remove_dir_all(node.root.join("var/lib/weft/audit")).unwrap();
    let (said, _) = audit();
    assert!(
        said.code == 1 && said.out.contains(wrong) && !said.out.contains("Nothing"),
        "{}",
        said.all()
    );
}

#[test]
fn settings_that_are_wrong_show_no_secret_and_are_data_for_programs() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    let whole = std::fs::read_to_string(node.root.join("etc/weft/agent.yaml")).unwrap();
    let with = |settings: &str| {
        node.put("etc/weft/agent.yaml", settings.as_bytes());
        (node.run(&["plan"]), node.run(&["plan", "--json"]))
    };
    let secrets = whole.replace("file://", "https://robot:hunter2@host")
        + "credentials:\n  one: {type: token, file: hunter2, origin: \"https://host\"}\n  two: {type: token, token: hunter2}\n";
    let (said, data) = with(&secrets);
    assert!(said.err.contains("https://*************@host") && said.err.contains("token: *******"));
    for said in [&said, &data] {
        assert!(said.code == 1 && !said.all().contains("hunter2"), "{}", said.all());
    }
    let data = data.json();
    assert_eq!(data["code"], "bad-value");
    let error = data["error"].as_str().unwrap();
    assert!(error.starts_with("the node's settings are wrong: /etc/weft/agent.yaml:6:"), "{error}");
    assert!(!error.contains('\n') && data["findings"].as_array().unwrap().len() > 2, "{data:#}");
    let (said, data) = with("");
    assert!(said.err.contains("copy `examples/agent.yaml` there"), "{}", said.err);
    assert_eq!(data.json()["help"], "copy `examples/agent.yaml` there and fill it in");
    // A tab is where it is, and not above.
    let (said, data) = with("cluster: lab\nnode: n1\n\tmode: apply\n");
    assert!(said.err.contains("agent.yaml:3:1\n"), "{}", said.err);
    assert_eq!(
        data.json()["findings"][0]["marks"][0]["place"]["span"]["line"],
        3,
        "{:#}",
        data.json()
    );
}

#[test]
fn a_plan_of_a_refused_commit_is_refused() {
    let repository = declared();
    let node = Node::new(&repository, "n1");
    assert_eq!(node.run(&["sync"]).code, 0);
    repository.change("-");
    let said = node.run(&["plan"]);
    assert_eq!(said.code, 4, "{}", said.all());
    assert!(
        said.out.contains("refused[unsigned]") && !said.out.contains("as it should be"),
        "{}",
        said.out
    );
}

//! `weft verify` as people use it: the real program, real git.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use proptest::prelude::*;
use serde_json::Value;
use weft::value::ObjectId;

use super::node::{Node, declared};
use super::trust::everywhere::{Step, history, steps};
use super::trust::forge::{Forge, signed_by};
use super::trust::repository::{Repository, output, program};
use super::trust_commands::{Work, weft};

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
    let node = Node::with(&work.0, "n2", "lab", "");
    node.put("etc/weft/revoked", format!("{} stolen\n", work.print("alice")).as_bytes());
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

//! What reaches whoever runs the program: an answer that is whole, or a word that it is not.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

fn weft(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.args(arguments).current_dir(directory).env_clear();
    command
}

fn example() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/small"))
}

/// `weft facts > facts.json` on a full disk must not look as if it had worked.
#[test]
fn an_answer_that_is_lost_is_no_success() {
    let home = tempfile::tempdir().unwrap();
    let words: [&[&str]; 8] = [
        &["facts", "--node", "node1", "--root", home.path().to_str().unwrap()],
        &["render", "--node", "node1"],
        &["render", "--node", "node1", "--json"],
        &["validate"],
        &["validate", "--format", "sarif"],
        &["schema"],
        &["explain"],
        &["--help"],
    ];
    for words in words {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = weft(example(), words).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{words:?}: {said}");
        assert!(said.contains("No space left") && said.contains("been 0 (in order)"), "{said}");
        // A reader that has seen enough is no error.
        let mut gone =
            weft(example(), words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(gone.stdout.take());
        let output = gone.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

/// What was done stays done, and the status it had is said.
#[test]
fn what_is_done_is_done_although_nobody_could_read_of_it() {
    let home = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let words = ["render", example().to_str().unwrap(), "--node", "node1", "--out", "files"];
    let output = weft(home.path(), &words).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("what was done stays done"), "{said}");
    assert!(home.path().join("files/etc/network/interfaces.d/sdn").is_file());
}

#[test]
fn a_root_is_refused_where_no_node_is_asked() {
    for words in [&["validate"][..], &["explain", "unsigned"], &["render", "--node", "node1"]] {
        let output = weft(example(), words).args(["--root", "/nope"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && said.contains("asks no node"), "{said}");
    }
    // A directory that is named is of this machine, and so is said to be of no node.
    let home = tempfile::tempdir().unwrap();
    let words = ["plan", "nope", "--node", "node1", "--root", "node"];
    fs::create_dir(home.path().join("node")).unwrap();
    let output = weft(home.path(), &words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`nope` is not a directory") && !said.contains("dry node"), "{said}");
}

/// Of files that cannot be read at all each is named, beside all else and in every format.
#[test]
fn files_that_cannot_be_read_are_findings() {
    let home = tempfile::tempdir().unwrap();
    let sdn = home.path().join("sdn");
    fs::create_dir(&sdn).unwrap();
    fs::write(home.path().join("weft.yaml"), "weft: 1\ncluster: small\n").unwrap();
    fs::write(sdn.join("a.yaml"), b"zones: {}\n# \xff\n").unwrap();
    fs::write(sdn.join("b.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    std::os::unix::fs::symlink("a.yaml", sdn.join("c.yaml")).unwrap();
    fs::write(sdn.join("d.yaml"), "zones: {lan: {type: nothing}}\n").unwrap();
    let said = |format: &str| {
        let output = weft(home.path(), &["validate", "--format", format]).output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        String::from_utf8(output.stdout).unwrap()
    };
    let human = said("human");
    for words in [
        "error[yaml-syntax]: `sdn/a.yaml` is not UTF-8 text: line 2",
        "error[too-large]: `sdn/b.yaml` has 1048577 bytes, and a node reads 1048576 of a file",
        "error[file-not-read]: `sdn/c.yaml` is a symbolic link, where a regular file belongs",
        "--> sdn/d.yaml:1:",
    ] {
        assert!(human.contains(words), "{words}: {human}");
    }
    let sarif: Value = serde_json::from_str(&said("sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 4, "{sarif:#}");
    assert!(said("github").contains("sdn/a.yaml,line=2,"));
}

/// A repository with something beside its declarations, and what validating it comes to.
fn beside(put: impl FnOnce(&Path)) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let sdn = home.path().join("sdn");
    fs::create_dir(&sdn).unwrap();
    fs::write(home.path().join("weft.yaml"), "weft: 1\ncluster: small\n").unwrap();
    fs::write(sdn.join("zones.yaml"), "nodes: {node1: {}}\nzones: {lan: {type: simple}}\n")
        .unwrap();
    put(home.path());
    let output = weft(home.path(), &["validate"]).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[track_caller]
fn is_refused(put: impl FnOnce(&Path), says: &str) {
    let (code, said) = beside(put);
    assert!(code == Some(4) && said.contains(says), "{says}: {said}");
}

/// What every node refuses a commit for is refused in a pipeline, in the same words.
#[test]
fn what_nodes_refuse_is_refused() {
    use std::os::unix::fs::symlink;
    is_refused(
        |home| {
            fs::rename(home.join("sdn"), home.join("elsewhere")).unwrap();
            symlink("elsewhere", home.join("sdn")).unwrap();
        },
        "error[file-not-read]: `sdn` is a symbolic link, where a directory belongs",
    );
    is_refused(
        |home| {
            fs::create_dir(home.join("trust")).unwrap();
            symlink("trust", home.join(".weft")).unwrap();
        },
        "`.weft` is not a directory",
    );
    is_refused(
        |home| fs::write(home.join("sdn/Zones.yaml"), "{}\n").unwrap(),
        "error[file-not-read]: `sdn/zones.yaml` and `sdn/Zones.yaml` differ in case only",
    );
    is_refused(
        |home| fs::create_dir(home.join("SDN")).unwrap(),
        "error[file-not-read]: `sdn` and `SDN` differ in case only",
    );
    is_refused(
        |home| fs::create_dir_all(home.join("sdn/other/.git")).unwrap(),
        "error[file-not-read]: `sdn/other` is a submodule, where a regular file belongs",
    );
    is_refused(
        |home| {
            let list = "[submodule \"other\"]\n\tpath = sdn/other\n\turl = ../other\n";
            fs::write(home.join(".gitmodules"), list).unwrap();
            fs::create_dir(home.join("sdn/other")).unwrap();
        },
        "`sdn/other` is a submodule",
    );
}

#[test]
fn what_no_node_reads_is_said() {
    let zones = "zones: {dmz: {type: simple}}\n";
    let (code, said) = beside(|home| fs::write(home.join("zones.yaml"), zones).unwrap());
    let says = "warning[declarations-outside]: `zones.yaml` reads as declarations";
    assert!(code == Some(0) && said.contains(says) && !said.contains("In order"), "{said}");
    let (code, said) = beside(|home| {
        fs::write(home.join("sdn/zones.json"), "{}").unwrap();
        fs::create_dir(home.join("sdn/empty")).unwrap();
    });
    for says in
        ["note[other-file]: `sdn/zones.json` is not read", "`sdn/empty` is empty", "In order"]
    {
        assert!(code == Some(0) && said.contains(says), "{says}: {said}");
    }
    // What is usual is not named.
    let (code, said) = beside(|home| {
        for file in ["README.md", "sdn/README.md", "sdn/.gitkeep", ".gitlab-ci.yml", "LICENSE"] {
            fs::write(home.join(file), zones).unwrap();
        }
        fs::write(home.join("mkdocs.yml"), "site_name: network\n").unwrap();
    });
    assert!(code == Some(0) && said.contains("In order"), "{said}");
    assert!(
        !said.contains("README") && !said.contains("yml") && !said.contains("gitkeep"),
        "{said}"
    );
}

#[test]
fn rendered_files_replace_nothing_by_themselves() {
    let home = tempfile::tempdir().unwrap();
    let render = |more: &[&str]| {
        let words = ["render", example().to_str().unwrap(), "--node", "node1", "--out", "out"];
        let output = weft(home.path(), &[&words, more].concat()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let path = "out/etc/network/interfaces.d/sdn";
    let (code, said) = render(&[]);
    assert!(code == Some(0) && said.contains(&format!("wrote {path}\n")), "{said}");
    let rendered = fs::read_to_string(home.path().join(path)).unwrap();
    // What is there already is as it should be.
    let (code, said) = render(&[]);
    assert!(
        code == Some(0) && !said.contains("wrote") && said.contains("as it should be"),
        "{said}"
    );
    fs::write(home.path().join(path), "by hand\n").unwrap();
    let (code, said) = render(&[]);
    assert!(code == Some(1) && said.contains(&format!("`{path}` says something else")), "{said}");
    assert!(said.contains("`--force`"), "{said}");
    assert_eq!(fs::read_to_string(home.path().join(path)).unwrap(), "by hand\n");
    let (code, said) = render(&["--force", "--json"]);
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &document["written"]), (Some(0), &serde_json::json!([path])));
    assert_eq!(fs::read_to_string(home.path().join(path)).unwrap(), rendered);
    // A link is replaced, and what it leads to is not.
    fs::write(home.path().join("elsewhere"), "mine\n").unwrap();
    fs::remove_file(home.path().join(path)).unwrap();
    std::os::unix::fs::symlink(home.path().join("elsewhere"), home.path().join(path)).unwrap();
    assert_eq!(render(&[]).0, Some(1));
    assert_eq!(render(&["--force"]).0, Some(0));
    assert_eq!(fs::read_to_string(home.path().join("elsewhere")).unwrap(), "mine\n");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing() {
    use nix::sys::signal::{Signal, kill};
    use std::io::{BufRead as _, BufReader};
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let home = tempfile::tempdir().unwrap();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_weft"))
            .arg("demo")
            .env("TMPDIR", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("2. ")));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        kill(nix::unistd::Pid::from_raw(demo.id().cast_signed()), signal).unwrap();
        assert_eq!(lines.last().unwrap(), "Interrupted. The directory is removed.");
        assert_eq!(demo.wait().unwrap().code(), Some(1));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_directory_without_trust_files_says_so() {
    let home = tempfile::tempdir().unwrap();
    let said = |directory: &Path| {
        let output =
            weft(home.path(), &["validate", directory.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for file in ["weft.yaml", "sdn/nodes.yaml"] {
        let to = home.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(example().join(file), to).unwrap();
    }
    assert!(said(home.path()).contains("note: there is no `.weft/`"));
    assert!(!said(example()).contains("note: there is no"));
}

#[test]
fn an_import_of_another_directory_says_what_it_looked_for() {
    let home = tempfile::tempdir().unwrap();
    for cluster in [&["--cluster", "lab"][..], &[]] {
        let words = ["import", "pve", example().to_str().unwrap(), "--out", "new"];
        let output = weft(home.path(), &[&words, cluster].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("`sdn/zones.cfg`"), "{said}");
        assert!(!home.path().join("new").exists());
    }
}

//! `weft init`, from an empty directory to a node that runs what is in it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::trust::repository::{make_key, output, program};

fn weft(home: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("panicked"), "{text}");
    (output.status.code().unwrap(), text)
}

fn git(home: &Path, arguments: &[&str]) -> String {
    let mut command = program("git", home);
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
    let signing = ["-c", "gpg.format=ssh", "-c", "user.signingkey=../ann.pub"];
    let command = command.current_dir(home.join("net")).args(identity).args(signing);
    String::from_utf8(output(command.args(arguments))).unwrap().trim().to_owned()
}

#[test]
fn a_new_repository_is_in_order_and_a_node_applies_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    make_key(home, "ann", &["ed25519"]);
    let arguments = ["init", "net", "--key", "ann.pub", "--principal", "ann@example.org"];
    let (code, text) = weft(home, &arguments);
    assert_eq!(code, 0, "{text}");
    let (code, text) = weft(home, &["validate", "net"]);
    assert!(code == 0 && text.starts_with("In order: 2 nodes, 1 zone, 1 vnet."), "{text}");

    git(home, &["init", "-q", "-b", "main"]);
    git(home, &["add", "-A"]);
    git(home, &["commit", "-q", "-S", "-m", "the beginning"]);
    let commit = git(home, &["rev-parse", "HEAD"]);
    let print =
        String::from_utf8(output(program("ssh-keygen", home).args(["-lf", "ann"]))).unwrap();
    let signer = print.split(' ').nth(1).unwrap();
    let settings = format!(
        "cluster: net\nnode: node1\nallow-file: true\nmode: apply\nremotes:\n  - {{name: origin, url: \"file://{}/net/.git\"}}\nintroduction: {{commit: {commit}, signer: \"{signer}\"}}\n",
        home.display()
    );
    std::fs::create_dir_all(home.join("node/etc/weft")).unwrap();
    std::fs::write(home.join("node/etc/weft/agent.yaml"), settings).unwrap();
    let (code, text) = weft(home, &["--root", "node", "sync"]);
    assert_eq!(code, 0, "{text}");
    let file = home.join("node/etc/network/interfaces.d/sdn");
    let interfaces = std::fs::read_to_string(file).unwrap();
    assert!(interfaces.contains("iface office\n\taddress 10.20.0.1/24\n"), "{interfaces}");

    // What the pipeline runs for each node whose facts are recorded.
    let (code, facts) = weft(home, &["--root", "node", "facts", "--node", "node1"]);
    assert_eq!(code, 0, "{facts}");
    std::fs::write(home.join("net/facts/node1.json"), facts).unwrap();
    let plan = ["plan", "net", "--node", "node1", "--facts", "net/facts/node1.json"];
    std::fs::create_dir(home.join("none")).unwrap();
    let (code, text) = weft(home, &[&plan[..], &["--root", "none"]].concat());
    assert!(code == 2 && text.contains("+ office adds (vnet office)"), "{text}");
    let script = std::fs::read_to_string(home.join("net/.github/workflows/weft.yaml")).unwrap();
    let script: Value = serde_yaml::from_str(&script).unwrap();
    let steps = &script["jobs"]["check"]["steps"];
    let run = steps[3]["run"].as_str().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_weft")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = program("sh", home);
    let shell = shell.env("PATH", path).current_dir(home.join("net")).args(["-e", "-c", run]);
    let said = String::from_utf8(output(shell)).unwrap();
    assert!(said.starts_with("# node1\n") && said.contains("1 to add"), "{said}");
}

#[test]
fn what_is_there_stays() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    make_key(home, "ann", &["ed25519"]);
    std::fs::create_dir_all(home.join("net/sdn")).unwrap();
    std::fs::write(home.join("net/README.md"), "ours\n").unwrap();
    std::fs::write(home.join("net/weft.yaml"), "weft: 1\ncluster: other\n").unwrap();
    let arguments = ["init", "net", "--key", "ann.pub", "--principal", "ann@example.org", "--json"];
    let (code, text) = weft(home, &arguments);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &document["cluster"]), (0, &"other".into()));
    assert_eq!(document["kept"], serde_json::json!(["weft.yaml", "README.md"]));
    assert_eq!(std::fs::read_to_string(home.join("net/README.md")).unwrap(), "ours\n");
    assert!(!home.join("net/sdn/nodes.yaml").exists());
    assert!(home.join("net/.weft/policy.yaml").exists());

    let (code, text) = weft(home, &["init", "net", "--cluster", "third"]);
    assert!(code == 1 && text.contains("cluster `other`'s already"), "{text}");
    std::fs::remove_file(home.join("net/.weft/policy.yaml")).unwrap();
    let (code, text) = weft(home, &["init", "net"]);
    assert!(code == 1 && text.contains("has `.weft/allowed_signers` and no"), "{text}");
}

#[test]
fn git_knows_whose_key_it_is_and_nobody_else_does() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (code, text) = weft(home, &["init", "net"]);
    assert!(code == 64 && text.contains("--key ~/.ssh/id_ed25519.pub"), "{text}");
    assert!(!home.join("net").exists());

    make_key(home, "ann", &["ed25519"]);
    make_key(home, "old", &["rsa", "-b", "2048"]);
    for (key, code, words) in [
        ("ann", 1, "it is the private key"),
        ("old.pub", 1, "nodes could not use this key"),
        ("nothing.pub", 1, "No such file"),
    ] {
        let said = weft(home, &["init", "net", "--key", key, "--principal", "ann@example.org"]);
        assert!(said.0 == code && said.1.contains(words), "{}", said.1);
    }
    let (code, text) = weft(home, &["init", "net", "--key", "ann.pub"]);
    assert!(code == 64 && text.contains("--principal you@example.org"), "{text}");

    std::fs::write(
        home.join(".gitconfig"),
        "[user]\n\temail = ann@example.org\n\tsigningkey = ~/ann\n",
    )
    .unwrap();
    let (code, text) = weft(home, &["init", "net"]);
    assert_eq!(code, 0, "{text}");
    let signers = std::fs::read_to_string(home.join("net/.weft/allowed_signers")).unwrap();
    assert!(signers.contains("\nann@example.org namespaces=\"git\" ssh-ed25519 AAAA"), "{signers}");
    let (code, text) = weft(home, &["init", "no_name", "--key", "ann.pub"]);
    assert!(code == 64 && text.contains("--cluster NAME"), "{text}");
}

//! What the settings may say of remotes and credentials.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use weft::agent::settings::read;
use weft::sync::FailureCode;

#[test]
fn the_codes_of_the_readme_can_be_explained() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let table = readme.split("| over | codes |").nth(1).unwrap().split("\n\n").next().unwrap();
    let codes: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes.into_iter().chain(FailureCode::ALL.iter().map(|code| code.as_str())) {
        let said =
            Command::new(env!("CARGO_BIN_EXE_weft")).args(["explain", code]).output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(text.starts_with(&format!("{code} (failure of a remote)")), "{code}: {text}");
    }
}

/// Settings with these remotes and credentials.
fn text(remote: &str, credential: &str) -> String {
    format!(
        "cluster: lab\nnode: n1\nremotes:\n  - {{name: origin, {remote}}}\ncredentials:\n  forge: {{{credential}}}\nintroduction:\n  commit: {}\n  signer: \"SHA256:wORCDS/1geegrrAbNx9MMxKYmFzSdoUKlAVAgH/7JtI\"\n",
        "1".repeat(40)
    )
}

const HTTPS: &str = "url: \"https://git.example.org/net.git\", credential: forge";
const SSH: &str = "url: \"ssh://git@git.example.org/net.git\", credential: forge, known-hosts: /etc/weft/known_hosts";
const TOKEN: &str = "type: token, file: /etc/weft/token, origin: \"https://git.example.org\"";
const KEY: &str = "type: ssh-key, file: /etc/weft/key, origin: \"ssh://git.example.org:22\"";

#[test]
fn a_credential_belongs_to_its_origin_and_its_way() {
    read(&text(HTTPS, TOKEN)).unwrap();
    read(&text(SSH, KEY)).unwrap();
    read(&text(&format!("{HTTPS}, ca: /etc/weft/ca.pem"), TOKEN)).unwrap();
    for (remote, credential, expected) in [
        (
            HTTPS,
            &TOKEN.replace("git.example.org", "git.example.com"),
            "is bound to https://git.example.com, and remote `origin` is at https://git.example.org",
        ),
        (
            HTTPS,
            &TOKEN.replace("example.org", "example.org:8443"),
            "is bound to https://git.example.org:8443",
        ),
        (HTTPS, &TOKEN.replace("git.example.org", "git.example.org/x"), "is no origin"),
        (
            HTTPS,
            &KEY.replace("ssh://git.example.org:22", "https://git.example.org"),
            "a `ssh-key` cannot be used over https",
        ),
        (SSH, &TOKEN.replace("https:", "ssh:"), "a `token` cannot be used over ssh"),
        (
            &SSH.replace(", known-hosts: /etc/weft/known_hosts", ""),
            &KEY.to_owned(),
            "no key of its host is pinned",
        ),
        (&SSH.replace("credential: forge, ", ""), &KEY.to_owned(), "has no key to log in with"),
        (&SSH.replace("forge", "forges"), &KEY.to_owned(), "there is no credential `forges`"),
        (&format!("{SSH}, ca: /etc/ca.pem"), &KEY.to_owned(), "`ca` says nothing"),
        (&format!("{HTTPS}, known-hosts: /etc/k"), &TOKEN.to_owned(), "`known-hosts` says nothing"),
        (HTTPS, &TOKEN.replace("/etc/weft/token", "token"), "is not the absolute path of a file"),
        (
            HTTPS,
            &TOKEN.replace("/etc/weft/token", "/etc/../token"),
            "is not the absolute path of a file",
        ),
        (HTTPS, &TOKEN.replace("type: token", "type: password"), "a password of nobody"),
        (HTTPS, &format!("{TOKEN}, passphrase-file: /x"), "has no passphrase"),
        (SSH, &format!("{KEY}, user: robot"), "logs in as another user"),
        (HTTPS, &TOKEN.replace("type: token", "type: cookie"), "is not a kind of credential"),
    ] {
        let findings = read(&text(remote, credential)).expect_err(expected);
        let said: Vec<String> = findings.iter().map(|finding| finding.message.clone()).collect();
        assert!(said.iter().any(|message| message.contains(expected)), "{expected}: {said:?}");
    }
}

#[test]
fn files_of_secrets_are_read_strictly_and_shown_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let weft = root.join("etc/weft");
    fs::create_dir_all(&weft).unwrap();
    let remote = HTTPS.replace("git.example.org", "127.0.0.1:1");
    fs::write(
        weft.join("agent.yaml"),
        text(&remote, &TOKEN.replace("git.example.org", "127.0.0.1:1")),
    )
    .unwrap();
    let token = weft.join("token");
    let code = || {
        let said = Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(["sync", "--json", "--root"])
            .arg(root)
            .env_clear()
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        let shown = [said.stdout, said.stderr].concat();
        let status = fs::read(root.join("run/weft/status.json")).unwrap();
        for text in [&shown, &status] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains("hunter2"), "{text}");
        }
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        let unreached = &status["unreached"][0];
        (
            unreached["code"].as_str().unwrap().to_owned(),
            unreached["message"].as_str().unwrap().to_owned(),
        )
    };
    let unusable = |word: &str| {
        let (code, message) = code();
        assert_eq!(code, "credential-unusable", "{message}");
        assert!(message.contains(word) && message.contains("/etc/weft/token"), "{word}: {message}");
    };
    unusable("is missing");
    fs::write(&token, "hunter2\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    unusable("anybody may read");
    let rewrite = |bytes: &[u8]| {
        fs::remove_file(&token).ok();
        fs::write(&token, bytes).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    };
    rewrite(b"");
    unusable("one line");
    rewrite(b"hunter2\nhunter2\n");
    unusable("one line");
    rewrite(b"hunter2\xff");
    unusable("is no text");
    rewrite("x".repeat(70_000).as_bytes());
    unusable("65536");
    fs::remove_file(&token).unwrap();
    symlink("/etc/passwd", &token).unwrap();
    unusable("");
    fs::remove_file(&token).unwrap();
    fs::create_dir(&token).unwrap();
    unusable("");
    fs::remove_dir(&token).unwrap();
    rewrite(b"hunter2\n");
    assert_eq!(code().0, "connection-refused");
}

//! The fetch process against a real git server over https, on the loopback.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;
use weft::sync::objects::Objects as _;
use weft::sync::protocol::FetchLimits;
use weft::sync::remote::Remote;
use weft::sync::{Access, Cancel, FailureCode, Login, TransportError, Worker};
use weft::value::{ObjectId, Secret};

use super::server::{Authority, Fault, Server};
use crate::trust::repository::{output, program};

const MINUTE: Duration = Duration::from_secs(60);
/// `git:secret-token` as HTTP wants it.
const AUTHORIZATION: &str = "Basic Z2l0OnNlY3JldC10b2tlbg==";

struct Place {
    directory: TempDir,
    authority: Authority,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("an authority");
        let server = Server::start(directory.path(), authority.identity());
        let place = Self { directory, authority, server };
        output(
            program("git", place.home()).args(["init", "-q", "--bare", "-b", "main", "net.git"]),
        );
        place.commit("main", b"first");
        place
    }

    fn home(&self) -> &Path {
        self.directory.path()
    }

    fn git(&self, words: &[&str]) -> String {
        let said = output(program("git", self.home()).arg("--git-dir=net.git").args(words));
        String::from_utf8(said).unwrap().trim_end().to_owned()
    }

    /// Adds a commit to a branch, with one file of these bytes.
    fn commit(&self, branch: &str, bytes: &[u8]) -> ObjectId {
        fs::write(self.home().join("file"), bytes).unwrap();
        let blob = self.git(&["hash-object", "-w", "file"]);
        self.git(&["read-tree", "--empty"]);
        self.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("100644,{blob},sdn/file.yaml"),
        ]);
        let tree = self.git(&["write-tree"]);
        let name = format!("refs/heads/{branch}");
        let parent = self.git(&["for-each-ref", "--format=%(objectname)", &name]);
        let mut words = vec![
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
            "commit-tree",
            &tree,
            "-m",
            "x",
        ];
        if !parent.is_empty() {
            words.extend(["-p", &parent]);
        }
        let commit = self.git(&words);
        self.git(&["update-ref", &name, &commit]);
        commit.parse().unwrap()
    }

    fn cache(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.home()).unwrap().join("cache")
    }

    fn access(&self) -> Access {
        let login = Login::Password {
            user: "git".to_owned(),
            secret: Secret::new("secret-token".to_owned()),
        };
        Access { authorities: Some(self.authority.pem()), known_hosts: None, login: Some(login) }
    }

    fn fetch(&self) -> Result<(Worker, ObjectId), TransportError> {
        self.fetch_from(&self.server.url("127.0.0.1"), &self.access(), MINUTE)
    }

    fn fetch_from(
        &self,
        url: &str,
        access: &Access,
        deadline: Duration,
    ) -> Result<(Worker, ObjectId), TransportError> {
        let worker = Worker::start(
            Utf8Path::new(env!("CARGO_BIN_EXE_weft")),
            None,
            deadline,
            &Cancel::default(),
        )
        .unwrap();
        let remote = Remote { name: "origin".parse().unwrap(), url: url.parse().unwrap() };
        let tip = worker.fetch(&remote, access, "main", &self.cache(), &FetchLimits::default())?;
        Ok((worker, tip))
    }

    #[track_caller]
    fn fails(&self, code: FailureCode, words: &[&str]) {
        fails(self.fetch(), code, words);
    }
}

#[track_caller]
fn fails(fetched: Result<(Worker, ObjectId), TransportError>, code: FailureCode, words: &[&str]) {
    let error = fetched.map(|(_, tip)| tip).expect_err("the fetch succeeded");
    let text = error.to_string();
    assert_eq!(error.code(), code.as_str(), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(!text.contains("secret-token") && !text.contains("Z2l0"), "{text}");
}

#[test]
fn what_git_serves_over_https_is_fetched_with_a_token() {
    let place = Place::new();
    place.server.state().login = Some(AUTHORIZATION.to_owned());
    place.commit("other", b"of another branch");
    place.git(&["tag", "v1", "refs/heads/other"]);
    let begin = Instant::now();
    let (worker, tip) = place.fetch().unwrap();
    let first = begin.elapsed();
    assert_eq!(tip.to_string(), place.git(&["rev-parse", "main"]));
    for id in place.git(&["rev-list", "--objects", "--no-object-names", "main"]).lines() {
        worker.read(id.parse().unwrap(), 10_000).unwrap();
    }
    let other = place.git(&["rev-parse", "other"]).parse().unwrap();
    assert!(worker.read(other, 10_000).is_err(), "another branch came as well");
    let refs = output(program("git", place.home()).args([
        "--git-dir=cache/repository.git",
        "for-each-ref",
        "--format=%(refname)",
    ]));
    assert_eq!(refs, b"refs/weft/main\n");
    // Nobody who looks at processes sees the token.
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", worker.process())).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret-token"));
    }
    drop(worker);
    let begin = Instant::now();
    drop(place.fetch().unwrap());
    let again = begin.elapsed();
    let tip = place.commit("main", b"second");
    // The same server by its name.
    let (_, fetched) =
        place.fetch_from(&place.server.url("localhost"), &place.access(), MINUTE).unwrap();
    assert_eq!(fetched, tip);
    println!("over https with a token: first {first:?}, nothing new {again:?}");
}

#[test]
fn an_address_of_ipv6_is_a_host_like_any_other() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        println!("skipped: this machine has no address ::1");
        return;
    };
    let place = Place::new();
    let identity =
        place.authority.identity_for("::1", "git.example.org", 1_700_000_000, 4_000_000_000);
    let server = Server::listen(listener, place.home(), identity);
    server.state().login = Some(AUTHORIZATION.to_owned());
    place.fetch_from(&server.url("[::1]"), &place.access(), MINUTE).unwrap();
    server.state().identity = place.authority.identity();
    let fetched = place.fetch_from(&server.url("[::1]"), &place.access(), MINUTE);
    fails(fetched, FailureCode::CertificateName, &["not for ::1", "`127.0.0.1`"]);
}

#[test]
fn each_failure_has_its_name_and_passes_with_its_cause() {
    let place = Place::new();
    let noise: Vec<u8> =
        (0..40_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    place.commit("main", &noise);
    let elsewhere = place.server.url("localhost").replace("/net.git", "");
    for (fault, code, word) in [
        (Fault::Status(503), FailureCode::Unavailable, "HTTP status 503"),
        (Fault::Status(429), FailureCode::Unavailable, "HTTP status 429"),
        (Fault::Status(403), FailureCode::LoginDenied, "HTTP status 403"),
        (Fault::Status(404), FailureCode::Absent, "no repository at that place"),
        (Fault::Status(418), FailureCode::NotAGitServer, "HTTP status 418"),
        (Fault::Redirect(elsewhere), FailureCode::RedirectRefused, "not followed"),
        (Fault::Page, FailureCode::NotAGitServer, "text/html"),
        (Fault::Plain, FailureCode::NotAGitServer, "not a git server"),
        (Fault::Cut(50_000), FailureCode::Truncated, "before it was complete"),
        (Fault::Cut(0), FailureCode::Truncated, "before it was complete"),
    ] {
        fs::remove_dir_all(place.cache()).ok();
        place.server.fail(fault);
        place.fails(code, &["remote `origin` (https://127.0.0.1", word]);
        place.server.fail(Fault::Nothing);
        place.fetch().unwrap();
    }
    fs::rename(place.home().join("net.git"), place.home().join("gone.git")).unwrap();
    place.fails(FailureCode::Absent, &[]);
    fs::rename(place.home().join("gone.git"), place.home().join("net.git")).unwrap();
    place.fetch().unwrap();
    place.git(&["update-ref", "refs/heads/trunk", "main"]);
    place.git(&["update-ref", "-d", "refs/heads/main"]);
    place.fails(FailureCode::NoBranch, &["no branch `main`; it has `trunk`"]);
}

#[test]
fn a_login_is_asked_for_and_denied_by_name() {
    let place = Place::new();
    place.server.state().login = Some("Basic somebody-else".to_owned());
    place.fails(FailureCode::LoginDenied, &["denies the credential"]);
    assert_eq!(place.server.state().shown, [AUTHORIZATION], "answered more than once");
    let nobody = Access { login: None, ..place.access() };
    fails(
        place.fetch_from(&place.server.url("127.0.0.1"), &nobody, MINUTE),
        FailureCode::LoginRequired,
        &["names no credential"],
    );
    place.server.state().login = Some(AUTHORIZATION.to_owned());
    place.fetch().unwrap();
}

#[test]
fn only_the_pinned_authority_vouches_for_the_right_host_at_the_right_time() {
    let place = Place::new();
    let foreign = Authority::new("another authority");
    place.server.state().identity = foreign.identity();
    place.fails(
        FailureCode::CertificateUnknown,
        &["signed by `another authority`", "`ca:` holds `an authority`"],
    );
    // Without `ca:` only the system's authorities count.
    place.server.state().identity = place.authority.identity();
    let system = Access { authorities: None, ..place.access() };
    fails(
        place.fetch_from(&place.server.url("127.0.0.1"), &system, MINUTE),
        FailureCode::CertificateUnknown,
        &["of this machine"],
    );
    place.server.state().identity =
        place.authority.identity_for("127.0.0.1", "localhost", 1_700_000_000, 1_750_000_000);
    place.fails(FailureCode::CertificateExpired, &["ended at Jun 15"]);
    place.server.state().identity =
        place.authority.identity_for("127.0.0.1", "localhost", 4_000_000_000, 4_100_000_000);
    place.fails(FailureCode::CertificateExpired, &["begins at"]);
    place.server.state().identity =
        place.authority.identity_for("192.0.2.7", "git.example.org", 1_700_000_000, 4_000_000_000);
    place.fails(
        FailureCode::CertificateName,
        &["not for 127.0.0.1", "`192.0.2.7`", "`git.example.org`"],
    );
    place.server.state().identity = place.authority.identity();
    place.fetch().unwrap();
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let access = Access { authorities: Some(pem.to_owned()), ..place.access() };
        fails(
            place.fetch_from(&place.server.url("127.0.0.1"), &access, MINUTE),
            FailureCode::AuthoritiesUnusable,
            &[],
        );
    }
}

#[test]
fn a_credential_goes_to_no_other_server() {
    let place = Place::new();
    let other = Server::start(place.home(), place.authority.identity());
    other.state().login = Some("Basic x".to_owned());
    // Another host is not even talked to.
    place.server.fail(Fault::Redirect(format!("https://localhost:{}", other.port)));
    place.fails(FailureCode::RedirectRefused, &[]);
    // Nor is another port of the same host.
    place.server.fail(Fault::Redirect(format!("https://127.0.0.1:{}", other.port)));
    place.fails(FailureCode::RedirectRefused, &["another server or port"]);
    // Nor is it sent in the clear.
    place.server.fail(Fault::Redirect("http://127.0.0.1:1".to_owned()));
    place.fails(FailureCode::RedirectRefused, &[]);
    assert!(other.state().shown.is_empty() && place.server.state().shown.is_empty());
    place.server.fail(Fault::Nothing);
    place.fetch().unwrap();
}

#[test]
fn silence_ends_at_the_deadline_and_closed_ports_at_once() {
    let place = Place::new();
    for fault in [Fault::Silence, Fault::Drip] {
        place.server.fail(fault);
        let begin = Instant::now();
        let error = place
            .fetch_from(&place.server.url("127.0.0.1"), &place.access(), Duration::from_secs(2))
            .unwrap_err();
        assert_eq!(error.code(), "deadline", "{error}");
        assert!(begin.elapsed() < Duration::from_secs(6));
    }
    place.server.fail(Fault::Nothing);
    place.fetch().unwrap();
    let from = |url: &str| place.fetch_from(url, &place.access(), MINUTE);
    fails(from("https://127.0.0.1:1/net.git"), FailureCode::Refused, &["nobody listens"]);
    fails(
        from("https://no-such-host.invalid/net.git"),
        FailureCode::Unresolved,
        &["cannot be resolved"],
    );
}

#[test]
fn limits_hold_over_the_network() {
    let place = Place::new();
    let noise: Vec<u8> =
        (0..40_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let tip = place.commit("main", &noise);
    let fetch = |limits: FetchLimits| {
        let worker = Worker::start(
            Utf8Path::new(env!("CARGO_BIN_EXE_weft")),
            None,
            MINUTE,
            &Cancel::default(),
        )
        .unwrap();
        let remote = Remote {
            name: "origin".parse().unwrap(),
            url: place.server.url("127.0.0.1").parse().unwrap(),
        };
        let tip = worker.fetch(&remote, &place.access(), "main", &place.cache(), &limits)?;
        Ok((worker, tip))
    };
    let limits = FetchLimits::default();
    fails(
        fetch(FetchLimits { received_bytes: 50_000, ..limits.clone() }),
        FailureCode::TooLarge,
        &["more than 50000 bytes"],
    );
    fails(
        fetch(FetchLimits { objects: 2, ..limits.clone() }),
        FailureCode::TooLarge,
        &["too many objects"],
    );
    let (worker, fetched) = fetch(FetchLimits { object_bytes: 1000, ..limits }).unwrap();
    assert_eq!(fetched, tip);
    let blob = place.git(&["rev-parse", "main:sdn/file.yaml"]).parse().unwrap();
    assert!(worker.read(blob, 1 << 20).unwrap_err().to_string().contains("1000"));
}

type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn a_damaged_cache_is_fetched_anew_from_a_server() {
    let place = Place::new();
    let tip = place.commit("main", b"second");
    let damages: [(&str, Damage<'_>); 4] = [
        ("packs lost", &|cache| fs::remove_dir_all(cache.join("objects/pack")).unwrap()),
        ("lock left", &|cache| {
            fs::write(cache.join("refs/weft/main.lock"), "").unwrap();
            fs::remove_file(cache.join("refs/weft/main")).unwrap();
        }),
        ("config broken", &|cache| fs::write(cache.join("config"), "[core\n").unwrap()),
        ("reference broken", &|cache| fs::write(cache.join("refs/weft/main"), "nonsense").unwrap()),
    ];
    for (what, damage) in damages {
        place.fetch().unwrap();
        damage(place.cache().join("repository.git").as_std_path());
        let (worker, fetched) = place.fetch().unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(fetched, tip, "{what}");
        for id in place.git(&["rev-list", "--objects", "--no-object-names", "main"]).lines() {
            worker.read(id.parse().unwrap(), 10_000).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
    }
    // One object of several packs is gone: seen when it is read.
    place.fetch().unwrap();
    place.commit("main", b"third");
    place.fetch().unwrap();
    let packs = place.cache().join("repository.git/objects/pack");
    let oldest = packs
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().into_path())
        .find(|p| p.extension() == Some("pack"))
        .unwrap();
    fs::remove_file(&oldest).unwrap();
    fs::remove_file(oldest.with_extension("idx")).unwrap();
    let (worker, _) = place.fetch().unwrap();
    for id in place.git(&["rev-list", "--objects", "--no-object-names", "main"]).lines() {
        worker.read(id.parse().unwrap(), 10_000).unwrap();
    }
    assert!(worker.read(ObjectId::from_bytes([7; 20]), 10).is_err());
}

#[test]
fn the_environment_of_the_agent_reaches_no_fetch() {
    let place = Place::new();
    let home = place.home();
    let foreign = Authority::new("another authority");
    fs::write(home.join("foreign.pem"), foreign.pem()).unwrap();
    let root = home.join("root");
    fs::create_dir_all(root.join("etc/weft")).unwrap();
    fs::write(root.join("etc/weft/ca.pem"), place.authority.pem()).unwrap();
    let rewrite = format!(
        "[url \"{}\"]\n\tinsteadOf = {}\n[http]\n\tsslVerify = false\n",
        "https://127.0.0.1:1",
        place.server.url("")
    );
    fs::write(home.join(".gitconfig"), rewrite).unwrap();
    let settings = |ca: &str| {
        let text = format!(
            "cluster: lab\nnode: n1\nremotes:\n  - {{name: origin, url: \"{}\"{ca}}}\nintroduction:\n  commit: {}\n  signer: \"SHA256:wORCDS/1geegrrAbNx9MMxKYmFzSdoUKlAVAgH/7JtI\"\n",
            place.server.url("127.0.0.1"),
            "1".repeat(40),
        );
        fs::write(root.join("etc/weft/agent.yaml"), text).unwrap();
    };
    let sync = || {
        let said = Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(["sync", "--json", "--root"])
            .arg(&root)
            .env_clear()
            .env("HOME", home)
            .env("https_proxy", "http://127.0.0.1:1")
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("GIT_SSL_NO_VERIFY", "1")
            .envs(
                ["GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE"]
                    .map(|name| (name, home.join("foreign.pem"))),
            )
            .output()
            .unwrap();
        let status = fs::read_to_string(root.join("run/weft/status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        (status["unreached"][0]["code"].as_str().map(str::to_owned), said)
    };
    // The authority of the settings counts, and no proxy, rewriting or variable does: the
    // commit of the introduction is what is missing.
    settings(", ca: /etc/weft/ca.pem");
    let (code, said) = sync();
    assert_eq!(code, None, "{}", String::from_utf8_lossy(&said.stderr));
    // An authority of the environment does not.
    settings("");
    place.server.state().identity = foreign.identity();
    assert_eq!(sync().0.as_deref(), Some("certificate-unknown"));
}

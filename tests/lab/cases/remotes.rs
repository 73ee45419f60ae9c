//! Remotes over https and over ssh: the program on a dry node, the real servers, and
//! everything that can go wrong between them.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::git::{GitServer, Https, Signer, Ssh, SshKey, WorkingCopy};
use crate::lab::{Lab, OUTSIDE};
use crate::namespaces::WEFT;
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("remote_https", &[Need::Bridge], remote_https),
    Case::new("remote_ssh", &[Need::Bridge], remote_ssh),
    Case {
        limit: Duration::from_secs(240),
        ..Case::new("remote_black_holes", &[Need::Bridge], remote_black_holes)
    },
    Case::new("remote_ssh_keys", &[Need::Bridge], remote_ssh_keys),
    Case::new("remote_mirror", &[Need::Bridge], remote_mirror),
];

/// The directory that stands for the dry node.
const ROOT: &str = "/node";
const SDN: &str = "/node/etc/network/interfaces.d/sdn";
const AUTHORITY: &str = "/node/etc/weft/ca.pem";
const TOKEN: &str = "/node/etc/weft/token";
const KEY: &str = "/node/etc/weft/key";
const PASSPHRASE: &str = "/node/etc/weft/passphrase";
const KNOWN_HOSTS: &str = "/node/etc/weft/known_hosts";
/// Longer than the time after which a server that says nothing is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node that follows a repository of the server.
struct Site<'lab> {
    node: Rc<Node>,
    copy: WorkingCopy<'lab>,
    alice: Signer,
    introduction: String,
    fingerprint: String,
    changes: usize,
}

impl<'lab> Site<'lab> {
    fn new(lab: &'lab Lab, server: &GitServer<'lab>) -> Self {
        server.create("config");
        let (alice, copy) = (server.signer("alice"), server.working_copy("config"));
        copy.write("weft.yaml", "weft: 1\ncluster: lab\n");
        copy.write(".weft/allowed_signers", &alice.allowed_line());
        copy.write(".weft/policy.yaml", "roles: {root: {principals: [alice@lab.test]}}\n");
        copy.write("sdn/nodes.yaml", "nodes:\n  node1: {address: 192.168.0.1}\n");
        copy.write("sdn/zones.yaml", "zones:\n  one: {type: simple}\n");
        let introduction = copy.commit(&alice, "A network");
        copy.push();
        let said = lab
            .outside()
            .command(&["ssh-keygen", "-lf", "/dev/stdin"])
            .input(alice.public_key.clone())
            .run()
            .ok();
        let fingerprint =
            said.split(' ').nth(1).expect("ssh-keygen prints a fingerprint").to_owned();
        let node = Rc::new(lab.node(1));
        node.boot_network();
        node.install(WEFT, "/usr/bin/weft", 0o755);
        let interfaces = node.read("/etc/network/interfaces");
        node.put("/node/etc/network/interfaces", interfaces);
        Self { node, copy, alice, introduction, fingerprint, changes: 0 }
    }

    /// Settings with these remotes and credentials.
    fn settings(&self, remotes: &[String], credentials: &str) {
        let remotes: Vec<String> =
            remotes.iter().map(|remote| format!("  - {{{remote}}}\n")).collect();
        let remotes = remotes.concat();
        self.node.put(
            "/node/etc/weft/agent.yaml",
            format!(
                "cluster: lab\nnode: node1\nmode: apply\nremotes:\n{remotes}credentials:\n{credentials}\
                 introduction:\n  commit: {}\n  signer: \"{}\"\n",
                self.introduction, self.fingerprint
            ),
        );
    }

    /// One turn, in an environment that means harm; its exit status, and what the
    /// status says then.
    fn sync(&self) -> (i32, Value) {
        let output = self
            .node
            .command(&["weft", "sync", "--root", ROOT])
            .env("HOME", "/hostile")
            .env("GIT_SSL_CAINFO", "/hostile/ca.pem")
            .env("SSL_CERT_FILE", "/hostile/ca.pem")
            .env("SSL_CERT_DIR", "/hostile")
            .env("GIT_SSL_NO_VERIFY", "1")
            .env("https_proxy", "http://192.168.0.254:1")
            .env("ALL_PROXY", "http://192.168.0.254:1")
            .env("GIT_SSH_COMMAND", "false")
            .env("SSH_AUTH_SOCK", "/hostile/agent")
            .within(PATIENCE)
            .run();
        let status = self.node.exec(&["weft", "status", "--json", "--root", ROOT]);
        let status: Value = serde_json::from_str(&status.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", status.stdout));
        (output.code(), status["last"].clone())
    }

    /// Declares one more vnet.
    fn change(&mut self) {
        self.changes += 1;
        let vnets: Vec<String> =
            (1..=self.changes).map(|number| format!("  v{number}: {{zone: one}}\n")).collect();
        self.copy.write("sdn/vnets.yaml", &format!("vnets:\n{}", vnets.concat()));
        self.copy.commit(&self.alice, "One more vnet");
        self.copy.push();
    }

    /// The newest change is fetched and applied.
    #[track_caller]
    fn follows(&self) {
        let (code, status) = self.sync();
        assert_eq!((code, status["state"].as_str()), (0, Some("in-order")), "{status:#}");
        assert_eq!(status["unreached"], Value::Array(Vec::new()));
        assert!(self.node.read(SDN).contains(&format!("iface v{}\n", self.changes)));
    }

    /// While something is wrong a change is pushed, and the node stays as it is and says
    /// why; when it is mended the change comes.
    #[track_caller]
    fn suffers(
        &mut self,
        code: &str,
        words: &[&str],
        break_it: impl FnOnce(),
        mend: impl FnOnce(),
    ) {
        let (file, runs) = (self.node.read(SDN), self.sync().1["running"].clone());
        self.change();
        break_it();
        let (exit, status) = self.sync();
        let unreached = &status["unreached"][0];
        assert_eq!((exit, status["state"].as_str()), (1, Some("failed")), "{status:#}");
        assert_eq!(unreached["code"].as_str(), Some(code), "{status:#}");
        let message = unreached["message"].as_str().unwrap_or_default();
        for word in words {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
        assert!(status["message"].as_str().unwrap_or_default().contains(message), "{status:#}");
        assert_eq!(self.node.read(SDN), file, "the file changed");
        assert_eq!(status["running"], runs, "the running commit changed");
        mend();
        self.follows();
    }
}

/// A remote over https that logs in with a token.
fn https(url: &str) -> String {
    format!("name: web, url: \"{url}\", ca: /etc/weft/ca.pem, credential: forge")
}

fn token_credential(origin: &str) -> String {
    format!("  forge: {{type: token, file: /etc/weft/token, user: node1, origin: \"{origin}\"}}\n")
}

/// A remote over ssh that logs in with a key.
fn ssh(url: &str) -> String {
    format!("name: shell, url: \"{url}\", known-hosts: /etc/weft/known_hosts, credential: key")
}

fn key_credential() -> String {
    format!("  key: {{type: ssh-key, file: /etc/weft/key, origin: \"ssh://{OUTSIDE}\"}}\n")
}

fn put_token(site: &Site<'_>, server: &GitServer<'_>) {
    let token = server.https.issue_token("node1");
    site.node.put_with_mode(TOKEN, format!("{}\n", token.secret), 0o600);
}

fn put_key(site: &Site<'_>, key: &SshKey) {
    site.node.put_with_mode(KEY, &key.private, 0o600);
}

fn remote_https(lab: &Lab) {
    let server = GitServer::start(lab);
    let mut site = Site::new(lab, &server);
    // The right authority in every place that must not count.
    site.node.put("/hostile/ca.pem", server.https.authority());
    site.node.put("/hostile/.gitconfig", "[http]\n\tsslVerify = false\n");
    put_token(&site, &server);
    site.node.put(AUTHORITY, server.https.authority());
    for (url, origin) in [
        (Https::url_by_name("config"), "https://git.lab.test".to_owned()),
        (Https::url("config"), format!("https://{OUTSIDE}")),
    ] {
        site.settings(&[https(&url)], &token_credential(&origin));
        site.change();
        site.follows();
    }
    let node = site.node.clone();
    let authority = server.https.authority();
    let foreign = server.https.foreign_authority();
    site.suffers(
        "certificate-unknown",
        &["signed by `lab authority`", "`ca:` holds `another authority`"],
        || node.put(AUTHORITY, &foreign),
        || node.put(AUTHORITY, &authority),
    );
    // The machine's own authorities count where the settings name none, and only there.
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let before = if node.exists(bundle) { node.read(bundle) } else { String::new() };
    node.put(bundle, format!("{before}\n{authority}"));
    site.suffers(
        "certificate-unknown",
        &[],
        || node.put(AUTHORITY, &foreign),
        || node.put(AUTHORITY, &authority),
    );
    let system = https(&Https::url("config")).replace(", ca: /etc/weft/ca.pem", "");
    site.settings(&[system], &token_credential(&format!("https://{OUTSIDE}")));
    site.change();
    site.follows();
    site.suffers(
        "certificate-unknown",
        &["of this machine"],
        || node.put(bundle, &before),
        || node.put(bundle, &authority),
    );
    site.suffers(
        "unavailable",
        &["HTTP status 503"],
        || server.https.set_unavailable(true),
        || server.https.set_unavailable(false),
    );
    site.suffers(
        "absent",
        &["no repository at that place"],
        || server.withdraw("config"),
        || server.restore("config"),
    );
    let new_token = || {
        let token = server.https.issue_token("node1");
        node.put_with_mode(TOKEN, format!("{}\n", token.secret), 0o600);
    };
    site.suffers(
        "login-denied",
        &["denies the credential"],
        || server.https.expire_token("node1"),
        new_token,
    );
    let token = node.read(TOKEN);
    site.suffers(
        "credential-unusable",
        &["anybody may read"],
        || node.put_with_mode(TOKEN, &token, 0o644),
        || node.put_with_mode(TOKEN, &token, 0o600),
    );
    // Nothing on the node tells the token.
    let secret = token.trim();
    let found = node.exec(&["grep", "-rlF", secret, "/node/run", "/node/var"]);
    assert_eq!(found.stdout, "");
}

fn remote_ssh(lab: &Lab) {
    let mut server = GitServer::start(lab);
    let mut site = Site::new(lab, &server);
    let key = server.ssh.issue_key("node1");
    put_key(&site, &key);
    site.node.put(KNOWN_HOSTS, server.ssh.known_hosts());
    site.settings(&[ssh(&Ssh::url("config"))], &key_credential());
    site.change();
    site.follows();
    let node = site.node.clone();
    let stranger = server.ssh.unknown_key("stranger");
    let key_file = |key: &SshKey| node.put_with_mode(KEY, &key.private, 0o600);
    site.suffers(
        "login-denied",
        &["denies the credential"],
        || key_file(&stranger),
        || key_file(&key),
    );
    let renewed = server.ssh.issue_key("renewed");
    site.suffers("login-denied", &[], || server.ssh.deny_key(&key), || key_file(&renewed));
    site.suffers(
        "credential-unusable",
        &[],
        || node.put_with_mode(KEY, "no key at all\n", 0o600),
        || key_file(&renewed),
    );
    site.suffers(
        "absent",
        &["no repository at that place"],
        || server.withdraw("config"),
        || server.restore("config"),
    );

    let pinned = server.ssh.known_hosts();
    // What a person accepted at first sight says nothing.
    node.put("/hostile/.ssh/known_hosts", &pinned);
    site.suffers(
        "host-key-unknown",
        &["unknown host", "it shows ssh-ed25519 SHA256:"],
        || node.put(KNOWN_HOSTS, "# nothing\n"),
        || node.put(KNOWN_HOSTS, &pinned),
    );
    site.suffers(
        "host-key-revoked",
        &["which line 2 revokes"],
        || {
            node.put(
                KNOWN_HOSTS,
                format!("{pinned}@revoked * {}", pinned.split_once(' ').expect("a line").1),
            );
        },
        || node.put(KNOWN_HOSTS, &pinned),
    );
    site.suffers(
        "known-hosts-unusable",
        &["line 1", "pin the keys of the host itself"],
        || node.put(KNOWN_HOSTS, format!("@cert-authority {pinned}")),
        || node.put(KNOWN_HOSTS, &pinned),
    );
    site.change();
    server.ssh.change_host_key();
    let fresh = server.ssh.known_hosts();
    node.put("/hostile/.ssh/known_hosts", &fresh);
    let (exit, status) = site.sync();
    let unreached = &status["unreached"][0];
    assert_eq!((exit, unreached["code"].as_str()), (1, Some("host-key-changed")), "{status:#}");
    assert!(
        unreached["message"]
            .as_str()
            .is_some_and(|message| message.contains("pinned is ssh-ed25519 SHA256:"))
    );
    node.put(KNOWN_HOSTS, format!("{pinned}{fresh}"));
    site.follows();
}

/// A server with keys of several types shows the one that is pinned, whichever it is; a
/// private key may have a passphrase.
fn remote_ssh_keys(lab: &Lab) {
    let mut server = GitServer::start(lab);
    let mut site = Site::new(lab, &server);
    let key = server.ssh.issue_key("node1");
    put_key(&site, &key);
    site.settings(&[ssh(&Ssh::url("config"))], &key_credential());
    let first = server.ssh.known_hosts();
    let second = server.ssh.add_ecdsa_key();
    for pinned in [&first, &second, &format!("{first}{second}")] {
        site.node.put(KNOWN_HOSTS, pinned);
        site.change();
        site.follows();
    }
    // Pinned is a key of a type that the server has not any more.
    site.node.put(KNOWN_HOSTS, &second);
    server.ssh.remove_ecdsa_key();
    let (_, status) = site.sync();
    assert_eq!(status["unreached"][0]["code"].as_str(), Some("host-key-changed"), "{status:#}");
    let message = status["unreached"][0]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("shows ssh-ed25519") && message.contains("pinned is ecdsa-sha2-nistp256"),
        "{message}"
    );
    site.node.put(KNOWN_HOSTS, &first);
    site.follows();

    let node = site.node.clone();
    node.put_with_mode(KEY, server.ssh.encrypted(&key, "open sesame").private, 0o600);
    let (_, status) = site.sync();
    assert_eq!(status["unreached"][0]["code"].as_str(), Some("credential-unusable"), "{status:#}");
    let credential = key_credential().replace(
        "file: /etc/weft/key",
        "file: /etc/weft/key, passphrase-file: /etc/weft/passphrase",
    );
    site.settings(&[ssh(&Ssh::url("config"))], &credential);
    node.put_with_mode(PASSPHRASE, "open sesame\n", 0o600);
    site.change();
    site.follows();
    let wrong = || node.put_with_mode(PASSPHRASE, "open barley\n", 0o600);
    site.suffers("credential-unusable", &["passphrase"], wrong, || {
        node.put_with_mode(PASSPHRASE, "open sesame\n", 0o600);
    });
}

/// Servers that accept and say nothing, and a closed port.
fn remote_black_holes(lab: &Lab) {
    let server = GitServer::start(lab);
    let mut site = Site::new(lab, &server);
    put_token(&site, &server);
    put_key(&site, &server.ssh.issue_key("node1"));
    site.node.put(AUTHORITY, server.https.authority());
    site.node.put(KNOWN_HOSTS, server.ssh.known_hosts());
    let credentials =
        format!("{}{}", token_credential(&format!("https://{OUTSIDE}")), key_credential());
    site.settings(&[https(&Https::url("config"))], &credentials);
    site.change();
    site.follows();
    let here = lab.outside();
    site.suffers("no-answer", &["remote `web`"], || server.https.freeze(), || server.https.thaw());
    site.suffers(
        "no-answer",
        &["remote `web`"],
        || server.https.freeze_answers(),
        || server.https.thaw(),
    );
    let (down, up) = (["ip", "link", "set", "eth0", "down"], ["ip", "link", "set", "eth0", "up"]);
    site.suffers(
        "no-answer",
        &["remote `web`"],
        || {
            here.exec(&down).ok();
        },
        || {
            here.exec(&up).ok();
        },
    );
    let (node, outside) = (site.node.clone(), OUTSIDE.to_string());
    let (close, open) = (
        ["ip", "route", "add", "unreachable", &outside],
        ["ip", "route", "del", "unreachable", &outside],
    );
    site.suffers(
        "unreachable",
        &["no way to the host"],
        || {
            node.exec(&close).ok();
        },
        || {
            node.exec(&open).ok();
        },
    );
    site.settings(&[ssh(&Ssh::url("config"))], &credentials);
    site.suffers("no-answer", &["remote `shell`"], || server.ssh.freeze(), || server.ssh.thaw());
}

/// While the first remote fails the second one serves, and the status names the first.
fn remote_mirror(lab: &Lab) {
    let server = GitServer::start(lab);
    let mut site = Site::new(lab, &server);
    put_token(&site, &server);
    let key = server.ssh.issue_key("node1");
    put_key(&site, &key);
    site.node.put(AUTHORITY, server.https.authority());
    site.node.put(KNOWN_HOSTS, server.ssh.known_hosts());
    let credentials =
        format!("{}{}", token_credential(&format!("https://{OUTSIDE}")), key_credential());
    site.settings(&[https(&Https::url("config")), ssh(&Ssh::url("config"))], &credentials);
    site.change();
    site.follows();
    server.https.set_unavailable(true);
    site.change();
    let (exit, status) = site.sync();
    assert_eq!((exit, status["state"].as_str()), (0, Some("in-order")), "{status:#}");
    assert_eq!(status["unreached"][0]["remote"].as_str(), Some("web"), "{status:#}");
    assert_eq!(status["unreached"][0]["code"].as_str(), Some("unavailable"), "{status:#}");
    server.ssh.deny_key(&key);
    let (exit, status) = site.sync();
    let message = status["message"].as_str().unwrap_or_default();
    assert_eq!(
        (exit, status["unreached"][1]["code"].as_str()),
        (1, Some("login-denied")),
        "{status:#}"
    );
    assert!(message.contains("remote `web`") && message.contains("remote `shell`"), "{message}");
}

//! A dry node that follows a repository of the git server.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::git::{GitServer, Signer, SshKey, WorkingCopy};
use crate::lab::{Lab, OUTSIDE};
use crate::namespaces::WEFT;
use crate::node::Node;

/// The directory that stands for the dry node.
pub(super) const ROOT: &str = "/node";
pub(super) const SDN: &str = "/node/etc/network/interfaces.d/sdn";
pub(super) const AUTHORITY: &str = "/node/etc/weft/ca.pem";
pub(super) const TOKEN: &str = "/node/etc/weft/token";
pub(super) const KEY: &str = "/node/etc/weft/key";
pub(super) const PASSPHRASE: &str = "/node/etc/weft/passphrase";
pub(super) const KNOWN_HOSTS: &str = "/node/etc/weft/known_hosts";
/// Longer than the time after which a server that says nothing is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A node that follows a repository of the server.
pub(super) struct Site<'lab> {
    pub(super) node: Rc<Node>,
    copy: WorkingCopy<'lab>,
    alice: Signer,
    introduction: String,
    fingerprint: String,
    changes: usize,
}

impl<'lab> Site<'lab> {
    pub(super) fn new(lab: &'lab Lab, server: &GitServer<'lab>) -> Self {
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
    pub(super) fn settings(&self, remotes: &[String], credentials: &str) {
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
    pub(super) fn sync(&self) -> (i32, Value) {
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
    pub(super) fn change(&mut self) {
        self.changes += 1;
        let vnets: Vec<String> =
            (1..=self.changes).map(|number| format!("  v{number}: {{zone: one}}\n")).collect();
        self.copy.write("sdn/vnets.yaml", &format!("vnets:\n{}", vnets.concat()));
        self.copy.commit(&self.alice, "One more vnet");
        self.copy.push();
    }

    /// The newest change is fetched and applied.
    #[track_caller]
    pub(super) fn follows(&self) {
        let (code, status) = self.sync();
        assert_eq!((code, status["state"].as_str()), (0, Some("in-order")), "{status:#}");
        assert_eq!(status["unreached"], Value::Array(Vec::new()));
        assert!(self.node.read(SDN).contains(&format!("iface v{}\n", self.changes)));
    }

    /// While something is wrong a change is pushed, and the node stays as it is and says
    /// why; when it is mended the change comes.
    #[track_caller]
    pub(super) fn suffers(
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
pub(super) fn https(url: &str) -> String {
    format!("name: web, url: \"{url}\", ca: /etc/weft/ca.pem, credential: forge")
}

pub(super) fn token_credential(origin: &str) -> String {
    format!("  forge: {{type: token, file: /etc/weft/token, user: node1, origin: \"{origin}\"}}\n")
}

/// A remote over ssh that logs in with a key.
pub(super) fn ssh(url: &str) -> String {
    format!("name: shell, url: \"{url}\", known-hosts: /etc/weft/known_hosts, credential: key")
}

pub(super) fn key_credential() -> String {
    format!("  key: {{type: ssh-key, file: /etc/weft/key, origin: \"ssh://{OUTSIDE}\"}}\n")
}

pub(super) fn put_token(site: &Site<'_>, server: &GitServer<'_>) {
    let token = server.https.issue_token("node1");
    site.node.put_with_mode(TOKEN, format!("{}\n", token.secret), 0o600);
}

pub(super) fn put_key(site: &Site<'_>, key: &SshKey) {
    site.node.put_with_mode(KEY, &key.private, 0o600);
}

//! The git server, used with real git from a node.

use std::time::Duration;

use crate::command::{Output, Run};
use crate::git::{GitServer, Https, Ssh, SshKey, Token};
use crate::lab::{Lab, OUTSIDE};
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("git_https_and_ssh", &[Need::Bridge], git_https_and_ssh),
    Case::new("git_https_fails_as_told", &[Need::Bridge], git_https_fails_as_told),
    Case::new("git_ssh_fails_as_told", &[Need::Bridge], git_ssh_fails_as_told),
];

/// Where files of the client are on a node.
const AUTHORITY: &str = "/etc/ssl/lab.pem";
const KEY: &str = "/root/.ssh/key";
const KNOWN_HOSTS: &str = "/root/.ssh/known_hosts";
/// Time after which a client that waits has seen a black hole.
const PATIENCE: &str = "2";

/// What people push with a signature, a node clones over https and over ssh, and what
/// it pushes over either arrives.
fn git_https_and_ssh(lab: &Lab) {
    let server = GitServer::start(lab);
    server.create("config");
    let (alice, copy) = (server.signer("alice"), server.working_copy("config"));
    copy.write("sdn/zones.yaml", "zones: {}\n");
    let signed = copy.commit(&alice, "A zone");
    copy.push();
    let unsigned = copy.commit_unsigned("mallory@lab.test", "Nobody's");
    copy.push();
    copy.write("allowed_signers", &alice.allowed_line());
    let signers = format!("gpg.ssh.allowedSignersFile={}/allowed_signers", copy.path());
    assert_eq!(
        copy.git(&["-c", &signers, "log", "--format=%G?%H"]),
        format!("N{unsigned}\nG{signed}\n")
    );

    let node = client(lab, &server);
    let (token, key) = (server.https.issue_token("node1"), server.ssh.issue_key("node1"));
    node.put_with_mode(KEY, &key.private, 0o600);
    for url in [Https::url("config"), Https::url_by_name("config")] {
        over_https(&node, &token, &["git", "clone", "--quiet", &url, "/tmp/https"]).run().ok();
        assert_eq!(
            node.exec(&["git", "-C", "/tmp/https", "rev-parse", "HEAD"]).ok().trim(),
            unsigned
        );
        node.exec(&["git", "-C", "/tmp/https", "fsck", "--strict"]).ok();
        node.exec(&["rm", "-r", "/tmp/https"]).ok();
    }
    let words = ["git", "clone", "--quiet", &Ssh::url("config"), "/tmp/copy"];
    over_ssh(&node, &words).run().ok();
    assert_eq!(node.exec(&["git", "-C", "/tmp/copy", "rev-parse", "HEAD"]).ok().trim(), unsigned);

    let back = format!("{signed}:refs/heads/main");
    let words =
        ["git", "-C", "/tmp/copy", "push", "--quiet", "--force", &Ssh::url("config"), &back];
    over_ssh(&node, &words).run().ok();
    copy.git(&["fetch", "--quiet"]);
    assert_eq!(copy.git(&["rev-parse", "origin/main"]).trim(), signed);
    let words = ["git", "-C", "/tmp/copy", "push", "--quiet", &Https::url("config"), "HEAD:main"];
    over_https(&node, &token, &words).run().ok();
    copy.git(&["fetch", "--quiet"]);
    assert_eq!(copy.git(&["rev-parse", "origin/main"]).trim(), unsigned);
    copy.git(&["reset", "--quiet", "--hard", &unsigned]);
    copy.remove("sdn/zones.yaml");
    let removal = copy.commit(&alice, "No zone");
    let reverted = copy.revert(&alice, &removal);
    copy.push();
    let tree = |commit: &str| copy.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    assert_eq!(tree(&reverted), tree(&format!("{removal}^")));
    copy.reset(&signed);
    copy.force_push();
    assert_eq!(
        copy.git(&["ls-remote", "origin", "main"]).split('\t').next(),
        Some(signed.as_str())
    );
}

/// Each thing that can be wrong with https is what git says it is, and over when it
/// is mended.
fn git_https_fails_as_told(lab: &Lab) {
    let server = GitServer::start(lab);
    server.create("config");
    let node = client(lab, &server);
    let token = server.https.issue_token("node1");
    let url = Https::url("config");
    let look = || over_https(&node, &token, &["git", "ls-remote", &url]).run();
    let fails_with = |output: Output, text: &str| {
        assert!(!output.success() && output.stderr.contains(text), "{text}: {}", output.stderr);
    };
    look().ok();

    server.https.set_unavailable(true);
    fails_with(look(), "The requested URL returned error: 503");
    server.https.set_unavailable(false);
    look().ok();

    node.put(AUTHORITY, server.https.foreign_authority());
    fails_with(look(), "certificate");
    node.put(AUTHORITY, server.https.authority());
    look().ok();

    server.withdraw("config");
    fails_with(look(), "not found");
    server.restore("config");
    look().ok();

    let black_holes: [fn(&GitServer); 2] =
        [|server| server.https.freeze(), |server| server.https.freeze_answers()];
    for freeze in black_holes {
        freeze(&server);
        let words = ["timeout", PATIENCE, "git", "ls-remote", &url];
        assert_eq!(over_https(&node, &token, &words).run().code(), 124);
        server.https.thaw();
        look().ok();
    }

    server.https.expire_token("node1");
    fails_with(look(), "Authentication failed");
    let renewed = server.https.issue_token("node1");
    over_https(&node, &renewed, &["git", "ls-remote", &url]).run().ok();
}

/// The same for ssh.
fn git_ssh_fails_as_told(lab: &Lab) {
    let mut server = GitServer::start(lab);
    server.create("config");
    let node = client(lab, &server);
    let key: SshKey = server.ssh.issue_key("node1");
    let url = Ssh::url("config");
    let look = || over_ssh(&node, &["git", "ls-remote", &url]).run();
    let fails_with = |output: Output, text: &str| {
        assert!(!output.success() && output.stderr.contains(text), "{text}: {}", output.stderr);
    };
    node.put_with_mode(KEY, &key.private, 0o600);
    look().ok();

    node.put_with_mode(KEY, server.ssh.unknown_key("stranger").private, 0o600);
    fails_with(look(), "Permission denied (publickey)");
    node.put_with_mode(KEY, &key.private, 0o600);
    look().ok();
    server.ssh.deny_key(&key);
    fails_with(look(), "Permission denied (publickey)");
    let key = server.ssh.issue_key("node1");
    node.put_with_mode(KEY, &key.private, 0o600);
    look().ok();

    server.ssh.change_host_key();
    fails_with(look(), "REMOTE HOST IDENTIFICATION HAS CHANGED");
    node.put(KNOWN_HOSTS, "");
    fails_with(look(), "Host key verification failed");
    node.put(KNOWN_HOSTS, server.ssh.known_hosts());
    look().ok();

    server.withdraw("config");
    fails_with(look(), "does not appear to be a git repository");
    server.restore("config");
    look().ok();

    server.ssh.freeze();
    assert_eq!(over_ssh(&node, &["timeout", PATIENCE, "git", "ls-remote", &url]).run().code(), 124);
    server.ssh.thaw();
    look().ok();
    let output = over_ssh(&node, &["ssh", &format!("git@{OUTSIDE}"), "id"]).run();
    assert!(!output.success());
}

/// A node with its network that trusts the server.
fn client(lab: &Lab, server: &GitServer) -> Node {
    let node = lab.node(1);
    node.boot_network();
    node.put(AUTHORITY, server.https.authority());
    node.put(KNOWN_HOSTS, server.ssh.known_hosts());
    node
}

/// A program with git's settings for https; the token goes by the environment.
fn over_https<'node>(node: &'node Node, token: &Token, arguments: &[&str]) -> Run<'node> {
    let helper = format!(
        "!answer() {{ printf 'username=%s\\npassword=%s\\n' {} {}; }}; answer",
        token.user, token.secret
    );
    node.command(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSL_CAINFO", AUTHORITY)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "credential.helper")
        .env("GIT_CONFIG_VALUE_0", &helper)
        .within(Duration::from_secs(20))
}

/// A program with git's settings for ssh.
fn over_ssh<'node>(node: &'node Node, arguments: &[&str]) -> Run<'node> {
    let ssh =
        format!("ssh -i {KEY} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes");
    node.command(arguments).env("GIT_SSH_COMMAND", &ssh).within(Duration::from_secs(20))
}

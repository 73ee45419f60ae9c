//! Remotes over https and over ssh: the program on a dry node, the real servers, and
//! everything that can go wrong between them.

mod site;

use std::time::Duration;

use crate::git::{GitServer, Https, Ssh, SshKey};
use crate::lab::{Lab, OUTSIDE};
use crate::need::Need;
use crate::runner::Case;
use site::{
    AUTHORITY, KEY, KNOWN_HOSTS, PASSPHRASE, Site, TOKEN, https, key_credential, put_key,
    put_token, ssh, token_credential,
};

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
    let of_machine = "/usr/local/share/ca-certificates/lab.crt";
    let vouch = |is_known: bool| {
        if is_known {
            node.put(of_machine, &authority);
        } else {
            node.exec(&["rm", of_machine]).ok();
        }
        node.exec(&["update-ca-certificates", "--fresh"]).ok();
    };
    vouch(true);
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
    site.suffers("certificate-unknown", &["of this machine"], || vouch(false), || vouch(true));
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

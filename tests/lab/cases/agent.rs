//! The daemon on running nodes: real remotes, a poll, a signed webhook.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::git::{Https, Ssh};
use crate::guest::Guest;
use crate::kernel::{assert_same, kernel};
use crate::lab::{BEYOND, Lab};
use crate::need::Need;
use crate::node::{Node, SDN_FILE};
use crate::runner::Case;
use crate::scene::{FIRST, Scene};
use crate::wait::wait_until;

const NEEDS: &[Need] = &[Need::Bridge, Need::Vxlan, Need::IptablesNft];

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(180),
    ..Case::new("agent_polls_and_is_nudged", NEEDS, polls_and_is_nudged)
}];

const SECRET: &str = "a secret of the webhook that nobody guesses";
/// Longer than a turn and the time between two polls.
const PATIENCE: Duration = Duration::from_secs(40);

fn settings(scene: &Scene<'_>, node: &Node, rest: &str) {
    let text = format!(
        "cluster: lab\nnode: {}\nmode: apply\n{rest}introduction:\n  commit: {}\n  signer: \"{}\"\n",
        node.name(),
        scene.introduction,
        scene.fingerprint
    );
    node.put("/etc/weft/agent.yaml", text);
}

fn status(node: &Node) -> Value {
    let said = node.exec(&["weft", "--json", "status"]);
    serde_json::from_str(&said.stdout).unwrap_or_default()
}

#[track_caller]
fn comes_to(node: &Node, commit: &str) {
    let runs = || status(node)["running"]["commit"]["commit"] == commit;
    wait_until(PATIENCE, &format!("{} runs {commit}", node.name()), runs);
}

/// The port of agents that listen.
pub(super) const PORT: u16 = 9470;

/// What a webhook tells.
const BODY: &str = "{\"ref\": \"refs/heads/main\"}";

/// The header that proves it.
fn proof(secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(BODY.as_bytes());
    format!("X-Signature: sha256={:x}", mac.finalize().into_bytes())
}

/// A signed webhook as it is sent.
pub(super) fn signed(secret: &str) -> String {
    let (proof, length) = (proof(secret), BODY.len());
    format!(
        "POST /hook/forge HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{proof}\r\n\r\n{BODY}"
    )
}

/// Posts a signed webhook, and says what the agent answers.
pub(super) fn hook(node: &Node, secret: &str) -> String {
    let (header, url) = (proof(secret), format!("http://127.0.0.1:{PORT}/hook/forge"));
    let words =
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &header, "-d", BODY, &url];
    node.exec(&words).stdout
}

/// A push to a real server changes two nodes, one by its poll and over https, the other
/// by a signed webhook and over ssh; guests reach the outside and each other; an unsigned
/// commit changes nothing; a revert brings back the first bytes and the first kernel.
fn polls_and_is_nudged(lab: &Lab) {
    let scene = Scene::start(lab);
    let (polls, nudged) = (scene.node(1), scene.node(2));
    let token = scene.server.https.issue_token("node1");
    polls.put_with_mode("/etc/weft/token", format!("{}\n", token.secret), 0o600);
    polls.put("/etc/weft/ca.pem", scene.server.https.authority());
    settings(
        &scene,
        &polls,
        &format!(
            "schedule: {{every: 5s}}\nremotes:\n  - {{name: origin, url: \"{}\", ca: /etc/weft/ca.pem, credential: forge}}\n\
             credentials:\n  forge: {{type: token, file: /etc/weft/token, user: node1, origin: \"https://git.lab.test\"}}\n",
            Https::url_by_name("config")
        ),
    );
    let key = scene.server.ssh.issue_key("node2");
    nudged.put_with_mode("/etc/weft/key", &key.private, 0o600);
    nudged.put("/etc/weft/known_hosts", scene.server.ssh.known_hosts());
    nudged.put_with_mode("/etc/weft/hook", format!("{SECRET}\n"), 0o600);
    let url = Ssh::url("config");
    let origin = format!("ssh://{}", crate::lab::OUTSIDE);
    settings(
        &scene,
        &nudged,
        &format!(
            "schedule: {{every: 12h}}\nlisten: 127.0.0.1:9470\nhooks:\n  forge: {{provider: generic, secret-file: /etc/weft/hook}}\n\
             remotes:\n  - {{name: origin, url: \"{url}\", known-hosts: /etc/weft/known_hosts, credential: deploy}}\n\
             credentials:\n  deploy: {{type: ssh-key, file: /etc/weft/key, origin: \"{origin}\"}}\n"
        ),
    );
    let first = scene.push(FIRST);
    let agents = [polls.spawn(&["weft", "agent"]), nudged.spawn(&["weft", "agent"])];
    comes_to(&polls, &first);
    comes_to(&nudged, &first);
    let inner = Guest::plan(101).address("10.0.0.10/24").gateway("10.0.0.1");
    let inner = inner.start(lab, &polls, "va");
    inner.reaches(&BEYOND.to_string());
    let left = Guest::plan(110).address("10.9.0.1/24").mtu(1450).start(lab, &polls, "vb");
    let right = Guest::plan(111).address("10.9.0.2/24").mtu(1450).start(lab, &nudged, "vb");
    left.reaches("10.9.0.2");
    right.reaches("10.9.0.1");
    let before = [kernel(&polls), kernel(&nudged)];
    let bytes = [polls.read(SDN_FILE), nudged.read(SDN_FILE)];

    // The next push: node1 sees it by itself, node2 only when it is told by who may.
    let second = scene.push(&FIRST.replace("mtu: 1400", "mtu: 1380"));
    comes_to(&polls, &second);
    assert_eq!(hook(&nudged, "another secret of the same length, more or less"), "401");
    assert_eq!(status(&nudged)["running"]["commit"]["commit"], first.as_str());
    assert_eq!(hook(&nudged, SECRET), "202");
    comes_to(&nudged, &second);
    assert_eq!(nudged.read("/sys/class/net/va/mtu").trim(), "1380");

    // An unsigned commit reaches both, and changes neither.
    scene.copy.write("sdn/network.yaml", "{}\n");
    let unsigned = scene.copy.commit_unsigned(&scene.alice.principal, "Take all of it away");
    scene.copy.push();
    assert_eq!(hook(&nudged, SECRET), "202");
    for node in [&polls, &nudged] {
        let refused = || {
            let refused = &status(node)["last"]["refused"][0];
            refused["commit"] == unsigned.as_str() && refused["code"] == "unsigned"
        };
        wait_until(PATIENCE, "the unsigned commit is refused", refused);
        assert_eq!(status(node)["running"]["commit"]["commit"], second.as_str());
        assert_eq!(node.read("/sys/class/net/va/mtu").trim(), "1380");
    }
    scene.copy.reset(&second);
    scene.copy.force_push();

    let reverted = scene.copy.revert(&scene.alice, &second);
    scene.copy.push();
    comes_to(&polls, &reverted);
    assert_eq!(hook(&nudged, SECRET), "202");
    comes_to(&nudged, &reverted);
    for (node, (before, bytes)) in [&polls, &nudged].into_iter().zip(before.iter().zip(&bytes)) {
        let text = node.read(SDN_FILE);
        let behind = |text: &str| text.split_once('\n').map(|(_, rest)| rest.to_owned());
        assert_eq!(behind(&text), behind(bytes));
        assert_same(&kernel(node), before);
    }
    left.reaches("10.9.0.2");
    for agent in agents {
        agent.signal(nix::sys::signal::Signal::SIGTERM);
        let said = agent.output_within(PATIENCE);
        assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    }
}

//! Probes of a node's settings, against servers that are real: one that speaks TLS, and one
//! that knows names.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, OUTSIDE, OUTSIDE_NAME};
use crate::need::Need;
use crate::node::Node;
use crate::runner::Case;
use crate::scene::{FIRST, Scene};
use crate::wait::wait_until;

pub(super) const CASES: &[Case] = &[Case {
    limit: Duration::from_secs(120),
    ..Case::new(
        "probes_are_answered",
        &[Need::Bridge, Need::Vxlan, Need::IptablesNft],
        are_answered,
    )
}];

/// Who does not log in is told so by the git server, which is an answer; and no success.
fn probes() -> String {
    format!(
        "probes:\n  \
         tls: {{http: \"https://{OUTSIDE}/config.git/info/refs\", status: 401}}\n  \
         tls-by-name: {{http: \"https://{OUTSIDE_NAME}/config.git/info/refs\", status: 401}}\n  \
         tls-of-another: {{http: \"https://other.lab.test/\", status: 401}}\n  \
         tls-refuses: {{http: \"https://{OUTSIDE}/config.git/info/refs\"}}\n  \
         name: {{dns: www.lab.test, server: {OUTSIDE}}}\n  \
         name-of-six: {{dns: six.lab.test, server: {OUTSIDE}}}\n  \
         name-without-address: {{dns: text.lab.test, server: {OUTSIDE}}}\n  \
         no-name: {{dns: nothing.lab.test, server: {OUTSIDE}}}\n"
    )
}

/// The probes that the window of the newest apply asks for: those that succeeded before it.
fn succeeded(node: &Node) -> BTreeSet<String> {
    let said = node.exec(&["weft", "--json", "history", "-n", "1"]).ok();
    let entries: Value = serde_json::from_str(&said).expect("JSON");
    let required = entries[0]["window"]["required"].as_array().expect("a window").iter();
    required.filter_map(|one| Some(one["sign"]["probe"].as_str()?.to_owned())).collect()
}

fn are_answered(lab: &Lab) {
    let scene = Scene::start(lab);
    let outside = lab.outside();
    let listen = format!("--listen-address={OUTSIDE}");
    let _server = outside.spawn(&[
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=/run/names.pid",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        &listen,
        "--local=/lab.test/",
        "--address=/www.lab.test/203.0.113.7",
        "--address=/six.lab.test/2001:db8::7",
        "--txt-record=text.lab.test,a text",
    ]);
    let node = scene.node(1);
    let listens = || outside.exec(&["ss", "-Hlun", "sport", "=", "53"]).ok().contains(":53");
    wait_until(Duration::from_secs(10), "names are served", listens);
    let hosts = node.read("/etc/hosts");
    node.put("/etc/hosts", format!("{hosts}{OUTSIDE} other.lab.test\n"));
    node.put("/etc/weft/ca.pem", scene.server.https.authority());
    let settings = node.read("/etc/weft/agent.yaml");
    node.put("/etc/weft/agent.yaml", format!("{settings}{}", probes()));
    let apply = |network: &str, authority: Option<&str>| {
        scene.push(network);
        scene.mirror(&node);
        let command = node.command(&["weft", "sync"]).within(Duration::from_secs(60));
        let command = match authority {
            Some(path) => command.env("SSL_CERT_FILE", path),
            None => command,
        };
        let said = command.run();
        assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
        succeeded(&node)
    };
    let names = ["name", "name-of-six"].map(str::to_owned);
    let secure = ["tls", "tls-by-name"].map(str::to_owned);
    let both: BTreeSet<String> = names.iter().chain(&secure).cloned().collect();
    assert_eq!(apply(FIRST, Some("/etc/weft/ca.pem")), both);
    // An authority that nobody here trusts vouches for nothing.
    let other = apply(&FIRST.replace("mtu: 1400", "mtu: 1390"), None);
    assert_eq!(other, names.into());
}

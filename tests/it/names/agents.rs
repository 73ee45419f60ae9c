//! Agents that register names by themselves: one at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::faults::shown;
use super::powerdns::{Backend, KEY, PowerDns};
use super::proxy::{Fault, Proxy};
use super::server;
use crate::node::Node;
use crate::remotes::server::{Authority, Identity};
use crate::trust::repository::{Repository, output, program};

const POLICY: &str =
    "roles:\n  root: {principals: [alice@example.org]}\nallocators: [carol@example.org]\n";

/// A cluster of two nodes whose agents register names in a server behind TLS.
struct Scene {
    dns: PowerDns,
    proxy: Proxy,
    identity: Identity,
    repository: Repository,
}

/// An agent that runs until it is dropped, and then is killed.
pub(crate) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Scene {
    fn new() -> Option<Self> {
        let dns = server(Backend::Sqlite)?;
        let identity = Authority::new("an authority").identity();
        let proxy = Proxy::start(dns.port, Some(identity.clone()));
        let repository = Repository::with_policy(POLICY);
        let home = repository.home();
        output(program("git", home).args(["init", "-q", "--bare", "-b", "leases", "leases.git"]));
        Some(Self { dns, proxy, identity, repository })
    }

    fn declare(&self, guests: &str) {
        let text = format!(
            "nodes: {{n1: {{}}, n2: {{}}}}\n\
             dns: {{pdns: {{type: powerdns, url: \"{}\", key: pdns-key, fingerprint: \"{}\"}}}}\n\
             zones: {{za: {{type: simple, dns: pdns, reversedns: pdns, dnszone: sdn.example}}}}\n\
             vnets: {{va: {{zone: za, subnets: {{10.0.0.0/24: {{}}}}}}}}\n\
             guests: {{{guests}}}\n",
            self.proxy.url("https"),
            shown(&self.identity),
        );
        let files: &[(&str, &[u8])] =
            &[("sdn/zones.yaml", b"{}\n"), ("sdn/network.yaml", text.as_bytes())];
        self.repository.commit("alice", files);
    }

    fn node(&self, name: &str) -> Node<'_> {
        let home = self.repository.home();
        let node = Node::with(
            &self.repository,
            name,
            "lab",
            &format!(
                "mode: apply\ncredentials:\n  pdns-key: {{type: token, file: /etc/weft/pdns.key, origin: \"https://127.0.0.1:{}\"}}\n\
                 leases:\n  remote: {{name: leases, url: \"file://{}/leases.git\"}}\n  key: /etc/weft/key\n  names: apply\n  names-every: 1s\n",
                self.proxy.port,
                home.display()
            ),
        );
        node.put("etc/weft/key", &fs::read(home.join("carol")).unwrap());
        node.put("etc/weft/pdns.key", format!("{KEY}\n").as_bytes());
        for file in ["key", "pdns.key"] {
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(node.root.join("etc/weft").join(file), mode).unwrap();
        }
        node
    }

    fn has(&self, name: &str, last: u8) -> bool {
        self.dns.answers(&format!("{name}.sdn.example."), 1, &[10, 0, 0, last])
    }

    fn git(&self, words: &[&str]) -> String {
        let mut git = program("git", self.repository.home());
        let said = output(git.arg("--git-dir=leases.git").args(words));
        String::from_utf8(said).unwrap().trim_end().to_owned()
    }

    fn writer(&self) -> Value {
        serde_json::from_str(&self.git(&["show", "leases:writer"])).unwrap()
    }
}

/// Starts an agent, and waits until it owns the node: a turn by hand would be in its way.
pub(crate) fn start(node: &Node<'_>) -> Agent {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_weft"));
    agent.arg("--root").arg(&node.root).arg("agent").env_clear().stderr(Stdio::null());
    let agent = Agent(agent.spawn().unwrap());
    let begun = Instant::now();
    while UnixStream::connect(node.root.join("run/weft/socket")).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the agent does not start");
        thread::sleep(Duration::from_millis(20));
    }
    agent
}

/// Waits for something, with turns of the nodes meanwhile.
pub(crate) fn until(what: &str, nodes: &[&Node<'_>], condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        let says = || nodes.iter().map(|node| node.run(&["status"]).all()).collect::<String>();
        assert!(begun.elapsed() < Duration::from_secs(90), "in vain for {what}:\n{}", says());
        for node in nodes {
            node.run(&["sync"]);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn says(node: &Node<'_>, words: &str) -> bool {
    node.run(&["status"]).all().contains(words)
}

const ONE: &str = "web1: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}";
const TWO: &str = "web1: {nics: [{vnet: va, mac: \"02:00:00:00:00:01\"}]}, web2: {nics: [{vnet: va, mac: \"02:00:00:00:00:02\"}]}";

#[test]
fn of_two_agents_one_writes() {
    let Some(scene) = Scene::new() else { return };
    scene.declare(ONE);
    let (one, two) = (scene.node("n1"), scene.node("n2"));
    let both = [&one, &two];
    let _agents = both.map(|node| start(node));
    let well = "names    all names are registered";
    until("the first name", &both, || scene.has("web1", 1));
    until("both to know", &both, || both.iter().all(|node| says(node, well)));
    scene.declare(TWO);
    until("the second name", &both, || scene.has("web2", 2));
    until("nobody to write", &both, || scene.writer()["held"] == false);
    // Each took the right when nobody else had it, and wrote nothing twice.
    let log = scene.git(&["log", "--reverse", "--format=%s", "leases", "--", "writer"]);
    let (mut writer, mut ended) = (None, 0);
    for line in log.lines() {
        // Whoever was given something newer to do meanwhile takes its own right again.
        if let Some(node) = line.strip_suffix(" writes") {
            assert!(writer.is_none_or(|writer| writer == node), "{log}");
            writer = Some(node);
        } else {
            assert_eq!(line.strip_suffix(" wrote"), writer, "{log}");
            (writer, ended) = (None, ended + 1);
        }
    }
    assert!(writer.is_none() && ended >= 2, "{log}");
    // A forward and a reverse zone for each of two guests.
    assert_eq!(scene.proxy.count("PATCH"), 4);
    // A person is told by the record, too.
    let first = scene.writer();
    assert_eq!(first["zones"]["pdns"].as_array().unwrap().len(), 2, "{first}");
    assert!(first["done"].is_string());
}

#[test]
fn who_dies_while_it_writes_is_taken_over_when_its_time_is_over() {
    let Some(scene) = Scene::new() else { return };
    scene.declare(ONE);
    let (one, two) = (scene.node("n1"), scene.node("n2"));
    // The server hangs when it is written to, and the writer is killed then.
    scene.proxy.fail("PATCH", "", &[Fault::LateRequest(Duration::from_secs(3600))]);
    let dying = start(&one);
    until("the first write", &[&one], || scene.proxy.left() == 0);
    drop(dying);
    assert_eq!((&scene.writer()["node"], &scene.writer()["held"]), (&"n1".into(), &true.into()));
    let _agent = start(&two);
    until("the other to stand by", &[&two], || {
        says(&two, "names    node `n1` writes, for at most")
    });
    let said = two.run(&["ipam", "apply"]);
    assert!(said.code == 4 && said.all().contains("node `n1` writes"), "{}", said.all());
    for _ in 0..3 {
        assert_eq!(two.run(&["sync"]).code, 0);
    }
    assert!(!scene.has("web1", 1));
    // As if the time had passed on the other node.
    let seen = two.root.join("run/weft/writer.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&seen).unwrap()).unwrap();
    let at = record["at"]["milliseconds"].as_u64().unwrap();
    if at < 600_000 {
        println!("skipped: the machine has not run for ten minutes yet");
        return;
    }
    record["at"]["milliseconds"] = (at - 600_000).into();
    fs::write(&seen, record.to_string()).unwrap();
    until("the takeover", &[&two], || scene.has("web1", 1));
    until("its end", &[&two], || scene.writer()["held"] == false);
    assert_eq!(scene.writer()["node"], "n2");
}

#[test]
fn a_dns_server_that_hangs_delays_nothing_else() {
    let Some(scene) = Scene::new() else { return };
    scene.declare(ONE);
    let node = scene.node("n1");
    let late = vec![Fault::Late(Duration::from_secs(3600)); 40];
    scene.proxy.fail("GET", "", &late);
    let agent = start(&node);
    until("the server to be asked", &[&node], || scene.proxy.left() < 40);
    // Turns and addresses go on.
    scene.declare(TWO);
    let begun = Instant::now();
    assert_eq!(node.run(&["sync"]).code, 0);
    let time = begun.elapsed();
    assert!(time < Duration::from_secs(20), "a turn took {time:?}");
    until("the second address", &[], || {
        node.run(&["ipam", "list", "--local"]).all().contains("10.0.0.2")
    });
    assert!(!scene.has("web1", 1));
    // And so does the end of the agent.
    let process = agent.0.id().to_string();
    output(program("kill", scene.repository.home()).arg(process));
    let mut agent = agent;
    let begun = Instant::now();
    while agent.0.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the agent does not end");
        thread::sleep(Duration::from_millis(50));
    }
}

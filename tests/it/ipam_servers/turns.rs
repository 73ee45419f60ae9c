//! Who writes on a server, where nodes keep a branch of leases: one at a time, and the others
//! give nothing and lose nothing meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fake::phpipam;
use super::site::{self, Site};
use crate::names::proxy::{Fault, Proxy};
use crate::node::Node;
use crate::remotes::server::Authority;
use crate::trust::repository::{Repository, output, program};

const POLICY: &str =
    "roles:\n  root: {principals: [alice@example.org]}\nallocators: [carol@example.org]\n";

/// A server in memory.
pub(super) enum Server {
    NetBox(Site),
    PhpIpam(phpipam::Fake),
}

impl Server {
    pub(super) fn netbox() -> Self {
        Self::NetBox(site::fake("fake 4.7", (4, 7)))
    }

    pub(super) fn phpipam() -> Self {
        Self::PhpIpam(phpipam::Fake::start())
    }

    fn port(&self) -> u16 {
        match self {
            Self::NetBox(site) => site.port,
            Self::PhpIpam(fake) => fake.port,
        }
    }

    fn token(&self) -> String {
        match self {
            Self::NetBox(site) => site.token.clone(),
            Self::PhpIpam(fake) => fake.state.lock().unwrap().token.clone(),
        }
    }

    /// What is declared of it, but for how its certificate is known.
    fn declared(&self, port: u16) -> String {
        let url = format!("https://127.0.0.1:{port}/api");
        match self {
            Self::NetBox(_) => format!("type: netbox, url: \"{url}\", token: nb-token"),
            Self::PhpIpam(_) => {
                format!("type: phpipam, url: \"{url}/weft\", token: nb-token, section: 1")
            }
        }
    }
}

/// A cluster of nodes that ask a server in memory, and perhaps keep a branch of leases.
pub(super) struct Scene {
    server: Server,
    pub(super) proxy: Proxy,
    fingerprint: String,
    repository: Repository,
}

impl Scene {
    fn new() -> Self {
        Self::with(Server::netbox())
    }

    pub(super) fn with(server: Server) -> Self {
        let identity = Authority::new("an authority").identity();
        let fingerprint = crate::names::faults::shown(&identity);
        let proxy = Proxy::start(server.port(), Some(identity));
        let repository = Repository::with_policy(POLICY);
        let home = repository.home();
        output(program("git", home).args(["init", "-q", "--bare", "-b", "leases", "leases.git"]));
        Self { server, proxy, fingerprint, repository }
    }

    pub(super) fn declare(&self, guests: &[u8]) {
        let guests = guests.iter().fold(String::new(), |mut all, number| {
            let _ = write!(all, "g{number}: {{nics: [{{vnet: va, mac: \"{}\"}}]}}, ", mac(*number));
            all
        });
        let text = format!(
            "nodes: {{n1: {{}}, n2: {{}}}}\n\
             ipams: {{nb: {{{}, fingerprint: \"{}\"}}}}\n\
             zones: {{za: {{type: simple, ipam: nb}}}}\n\
             vnets: {{va: {{zone: za, subnets: {{10.0.0.0/24: {{gateway: 10.0.0.1}}}}}}}}\n\
             guests: {{{guests}}}\n",
            self.server.declared(self.proxy.port),
            self.fingerprint,
        );
        let files: &[(&str, &[u8])] =
            &[("sdn/zones.yaml", b"{}\n"), ("sdn/network.yaml", text.as_bytes())];
        self.repository.commit("alice", files);
    }

    /// A node whose `leases` is in its settings, if there is something.
    pub(super) fn node(&self, name: &str, leases: &str) -> Node<'_> {
        let settings = format!(
            "mode: apply\ncredentials:\n  nb-token: {{type: token, file: /etc/weft/nb.token, origin: \"https://127.0.0.1:{}\"}}\n{leases}",
            self.proxy.port
        );
        let node = Node::with(&self.repository, name, "lab", &settings);
        let key = fs::read(self.repository.home().join("carol")).unwrap();
        for (file, text) in
            [("nb.token", format!("{}\n", self.server.token()).as_bytes()), ("key", &key)]
        {
            node.put(&format!("etc/weft/{file}"), text);
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(node.root.join("etc/weft").join(file), mode).unwrap();
        }
        assert_eq!(node.run(&["sync"]).code, 0);
        node
    }

    pub(super) fn leases(&self) -> String {
        let home = self.repository.home().display();
        format!(
            "leases:\n  remote: {{name: leases, url: \"file://{home}/leases.git\"}}\n  key: /etc/weft/key\n"
        )
    }

    fn git(&self, words: &[&str]) -> String {
        let mut git = program("git", self.repository.home());
        let said = output(git.arg("--git-dir=leases.git").args(words));
        String::from_utf8(said).unwrap().trim_end().to_owned()
    }

    pub(super) fn writer(&self) -> Value {
        serde_json::from_str(&self.git(&["show", "leases:writer"])).unwrap()
    }

    /// Lets a node die when it gives an address: its request never arrives.
    pub(super) fn dies_writing(&self, node: &Node<'_>, path: &'static str) {
        self.proxy.fail("POST", path, &[Fault::LateRequest(Duration::from_secs(3600))]);
        let mut dying = Command::new(env!("CARGO_BIN_EXE_weft"));
        dying.arg("--root").arg(&node.root).args(["ipam", "allocate"]).env_clear();
        let mut dying = dying.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while self.proxy.left() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not write");
            thread::sleep(Duration::from_millis(20));
        }
        dying.kill().unwrap();
        dying.wait().unwrap();
        let writer = self.writer();
        assert_eq!((&writer["node"], &writer["held"]), (&"n1".into(), &true.into()));
    }

    pub(super) fn writes(&self) -> usize {
        ["POST", "PATCH", "DELETE"].map(|verb| self.proxy.count(verb)).iter().sum()
    }
}

/// Lets a node believe that the time of who writes passed; `false` where the machine itself has
/// not run for so long.
pub(super) fn time_is_over(node: &Node<'_>) -> bool {
    let seen = node.root.join("run/weft/writer.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&seen).unwrap()).unwrap();
    let at = record["at"]["milliseconds"].as_u64().unwrap();
    if at < 600_000 {
        println!("skipped: the machine has not run for ten minutes yet");
        return false;
    }
    record["at"]["milliseconds"] = (at - 600_000).into();
    fs::write(&seen, record.to_string()).unwrap();
    true
}

fn mac(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

pub(super) fn is(node: &Node<'_>, words: &[&str], code: i32, says: &str) {
    let said = node.run(words);
    let all = said.all();
    assert!(said.code == code && all.contains(says), "{words:?} {says:?}: {all}");
}

#[test]
fn one_node_at_a_time_writes_on_a_server() {
    let scene = Scene::new();
    scene.declare(&[1]);
    let (one, two) = (scene.node("n1", &scene.leases()), scene.node("n2", &scene.leases()));
    is(&one, &["ipam", "apply"], 0, "4 objects as wanted");
    is(&two, &["ipam", "allocate"], 0, "everybody has the addresses");
    // Who changes nothing asks nobody.
    let log = || scene.git(&["log", "--reverse", "--format=%s", "leases", "--", "writer"]);
    assert_eq!(log(), "writer: n1 writes\nwriter: n1 wrote");
    let set = ["ipam", "set", "10.0.0.9", "box", "--vnet", "va", "--mac", "02:00:00:00:00:99"];
    is(&two, &set, 0, "+ 10.0.0.9 (za) for `box`");
    is(&two, &["ipam", "release", "10.0.0.9", "--now"], 0, "- 10.0.0.9 (za) of `box` is free");
    let turn = "\nwriter: n2 writes\nwriter: n2 wrote";
    assert_eq!(log(), format!("writer: n1 writes\nwriter: n1 wrote{turn}{turn}"));

    scene.declare(&[1, 2]);
    for node in [&one, &two] {
        is(node, &["sync"], 0, "runs commit");
    }
    scene.dies_writing(&one, "/ip-addresses/");
    // The other one waits a while, gives nothing, and knows what it knew.
    let writes = scene.writes();
    let said = two.run(&["--json", "ipam", "allocate"]);
    assert_eq!(said.code, 4, "{}", said.all());
    let document = said.json();
    assert_eq!(document["ok"], false, "{document}");
    let why = document["refused_by_servers"][0].as_str().unwrap();
    assert!(
        why.starts_with(
            "IPAM server `nb`: nothing is written there: node `n1` writes, for at most"
        ),
        "{why}"
    );
    is(&two, &["ipam", "list"], 0, "10.0.0.2");
    assert_eq!(scene.writes(), writes);
    if !time_is_over(&two) {
        return;
    }
    is(&two, &["ipam", "allocate"], 0, "+ 10.0.0.3 (za) for `g2`");
    assert_eq!((&scene.writer()["node"], &scene.writer()["held"]), (&"n2".into(), &false.into()));
}

/// A node that cannot say that it writes does not write; what it reads serves.
#[test]
fn who_cannot_take_the_right_only_reads() {
    let scene = Scene::new();
    scene.declare(&[1]);
    let one = scene.node("n1", &scene.leases());
    is(&one, &["ipam", "apply"], 0, "4 objects as wanted");
    let keyless = scene.leases().replace("  key: /etc/weft/key\n", "");
    let two = scene.node("n2", &keyless);
    let writes = scene.writes();
    let set = ["ipam", "set", "10.0.0.9", "box", "--vnet", "va", "--mac", "02:00:00:00:00:99"];
    is(&two, &set, 4, "who writes is not known: the node's settings name no key");
    is(&two, &["ipam", "list"], 0, "10.0.0.2");
    // The branch is away.
    let (here, away) = ("leases.git", "away.git");
    let home = scene.repository.home();
    fs::rename(home.join(here), home.join(away)).unwrap();
    is(&one, &set, 4, "nothing is written there: who writes is not known");
    is(&one, &["ipam", "list"], 0, "10.0.0.2");
    assert_eq!(scene.writes(), writes);
    fs::rename(home.join(away), home.join(here)).unwrap();
    is(&one, &set, 0, "+ 10.0.0.9 (za) for `box`");
}

/// What was done on servers is told, whatever becomes of names after it.
#[test]
fn names_that_fail_hide_nothing_of_servers() {
    let scene = Scene::new();
    scene.declare(&[1]);
    let node = scene.node("n1", "");
    node.put("var/lib/weft/names.json", b"{");
    let said = node.run(&["--json", "ipam", "apply"]);
    let document = said.json();
    assert_eq!((said.code, &document["ok"]), (1, &false.into()), "{document}");
    assert_eq!(
        (&document["servers"]["ok"], &document["servers"]["settled"]),
        (&true.into(), &4.into())
    );
    let why = document["names"]["error"].as_str().unwrap();
    assert!(why.contains("names.json` is damaged"), "{why}");
    is(&node, &["ipam", "apply"], 1, "4 unchanged");
}

/// A commit without most guests takes nothing from them at once, whoever settles it.
#[test]
fn no_more_is_given_up_at_once_than_the_limit_allows() {
    let scene = Scene::new();
    let all: Vec<u8> = (1..=60).collect();
    scene.declare(&all);
    let node = scene.node("n1", "");
    is(&node, &["ipam", "apply"], 0, "63 objects as wanted");
    scene.declare(&all[51..]);
    is(&node, &["sync"], 0, "runs commit");
    let writes = scene.writes();
    let limit = "IPAM server `nb`: 51 of our 63 entries would be taken away, and at most 50 may be";
    for words in [&["ipam", "plan"][..], &["ipam", "allocate"], &["ipam", "apply"]] {
        is(&node, words, 4, limit);
    }
    assert_eq!(scene.writes(), writes);
    // Those who come get theirs all the same.
    scene.declare(&[&all[51..], &[99]].concat());
    is(&node, &["sync"], 0, "runs commit");
    is(&node, &["ipam", "allocate"], 4, "+ 10.0.0.62 (za) for `g99`");
    is(&node, &["ipam", "apply", "--force"], 0, "51 objects as wanted");
    is(&node, &["ipam", "plan"], 0, "0 to create, 0 to update, 0 to remove");
    let given_up = node.run(&["ipam", "list"]).all().matches("given up").count();
    assert_eq!(given_up, 51);
}

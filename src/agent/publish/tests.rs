//! Publications of several fakes that share one cluster file system.

mod death;
mod secrets;
mod words;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use camino::Utf8Path;

use super::*;
use crate::agent::settings::{self, SAMPLE};
use crate::declare::publish::{RUNNING, Wanted};
use crate::declare::pve::Config;
use crate::declare::{Declared, export};
use crate::host::CLUSTER_LOCK;
use crate::host::fake::{Fake, Fault, Member, Restart};
use crate::value::ObjectId;

const FIRST: &str = "zones: {za: {type: simple}}\nvnets: {va: {zone: za}}\n";
const SECOND: &str =
    "zones: {za: {type: simple, mtu: 1400}}\nvnets: {va: {zone: za}, vb: {zone: za}}\n";
const GUEST: &str = "/etc/pve/nodes/n1/qemu-server/100.conf";

/// A cluster of nodes that share a file system.
struct Cluster {
    shared: Arc<Fake>,
    nodes: Vec<(NodeName, Member)>,
    secrets: BTreeMap<CredentialId, Secret>,
}

/// A commit, as each node has it.
struct Commit {
    record: CommitRecord,
    declared: Declared,
    network: Network,
}

fn cluster_name() -> ClusterName {
    "lab".parse().expect("a name")
}

fn commit(number: u8, text: &str) -> Commit {
    let texts = [
        ("weft.yaml", "weft: 1\ncluster: lab\n"),
        ("sdn/nodes.yaml", "nodes: {n1: {}, n2: {}, n3: {}}\n"),
        ("sdn/network.yaml", text),
    ];
    let files = texts.map(|(path, text)| (path.parse().expect("a path"), Arc::from(text)));
    let (declared, findings) = declare::read(&Tree::new(None, files), None);
    assert!(!findings.has_errors(), "{findings:?}");
    let (network, findings) = validate::validate(&declared, &[]);
    assert!(!findings.has_errors(), "{findings:?}");
    let record = CommitRecord {
        commit: ObjectId::from_bytes([number; 20]),
        signer: "alice@example.org".parse().expect("a principal"),
        key: "SHA256:abc".to_owned(),
        sequence: number.into(),
        committed: "2026-11-23T12:00:00Z".parse().expect("a time"),
        subject: format!("change {number}"),
    };
    Commit { record, declared, network: network.expect("it makes sense") }
}

impl Cluster {
    fn new(count: usize) -> Self {
        let shared = Arc::new(Fake::default());
        let mut nodes = Vec::new();
        for number in 1..=count {
            let name: NodeName = format!("n{number}").parse().expect("a name");
            let own = Fake::default();
            own.put("/etc/network/interfaces.d/sdn", b"#version:7\n\nauto v\niface v\n", 0o644);
            shared.put(&format!("/etc/pve/nodes/{name}/pve-ssl.pem"), b"pem", 0o640);
            nodes.push((name, Member { own: Arc::new(own), shared: Arc::clone(&shared) }));
        }
        shared.put("/etc/pve/sdn/pve-ipam-state.json", b"{}", 0o640);
        shared.put("/etc/pve/priv/authkey.key", b"key", 0o600);
        shared.put(GUEST, b"net0: virtio=BC:24:11:00:00:01,bridge=v\n", 0o640);
        let cluster = Self { shared, nodes, secrets: BTreeMap::new() };
        cluster.members(&vec![true; count], true);
        cluster
    }

    fn members(&self, there: &[bool], quorate: bool) {
        let nodes = self.nodes.iter().zip(there).map(|((name, _), there)| {
            format!("\"{name}\": {{ \"id\": 1, \"online\": {} }}", u8::from(*there))
        });
        let text = format!(
            "{{\"nodename\": \"n1\", \"cluster\": {{\"quorate\": {}}}, \"nodelist\": {{{}}}}}",
            u8::from(quorate),
            nodes.collect::<Vec<_>>().join(",")
        );
        self.shared.put("/etc/pve/.members", text.as_bytes(), 0o640);
    }

    /// A turn of a node, counted from 0, that has confirmed a commit.
    fn turn(&self, node: usize, commit: &Commit) -> Publication {
        let (name, host) = &self.nodes[node];
        let running = Running {
            commit: Some(commit.record.clone()),
            generation: 1,
            rendering: None,
            since: commit.record.committed,
            passed_hold: None,
        };
        let subject = Subject {
            cluster: &cluster_name(),
            node: name,
            record: &commit.record,
            running: &running,
            declared: &commit.declared,
            network: &commit.network,
            secrets: &self.secrets,
        };
        publish(host, &subject)
    }

    /// A turn of every node, twice: so that each saw what the others said.
    fn turns(&self, commit: &Commit) -> Vec<Publication> {
        (0..self.nodes.len()).for_each(|node| drop(self.turn(node, commit)));
        (0..self.nodes.len()).map(|node| self.turn(node, commit)).collect()
    }

    fn text(&self, path: &str) -> String {
        let file = self.shared.files().remove(Utf8Path::new(path));
        file.map(|file| file.text()).unwrap_or_default()
    }

    fn sdn(&self, name: &str) -> String {
        self.text(&format!("/etc/pve/sdn/{name}"))
    }

    fn version(&self) -> u64 {
        let text = self.sdn(RUNNING);
        if text.is_empty() { 0 } else { Config::running(RUNNING, &text).expect("legal").version }
    }

    fn put_sdn(&self, name: &str, text: &str) {
        self.shared.put(&format!("/etc/pve/sdn/{name}"), text.as_bytes(), 0o640);
    }

    fn numbers(&self) -> Vec<String> {
        let number = |(_, host): &(NodeName, Member)| {
            let file = host.own.files().remove(Utf8Path::new("/etc/network/interfaces.d/sdn"));
            let text = file.expect("it is there").text();
            let (first, rest) = text.split_once('\n').expect("two lines");
            assert_eq!(rest, "\nauto v\niface v\n");
            first.to_owned()
        };
        self.nodes.iter().map(number).collect()
    }

    /// Holds of a cluster at rest: what stands there is the commit, as a whole, nobody sees
    /// anything pending, and nothing is left over.
    #[track_caller]
    fn assert_published(&self, commit: &Commit) {
        let secrets = BTreeMap::new();
        let exported = export::pve(&commit.declared, &commit.network, self.version(), &secrets);
        let wanted = Wanted::new(&exported).expect("legal");
        let found = place::found(&self.nodes[0].1).expect("legal");
        assert_eq!(wanted.judge(&found, None), Verdict::InPlace);
        let version = format!("#version:{}", self.version());
        assert_eq!(self.numbers(), vec![version; self.nodes.len()]);
        assert_eq!(self.shared.cluster_locks().len(), 0);
        let files = self.shared.files();
        assert!(files.keys().all(|path| !path.as_str().contains("/.weft-")), "{:?}", files.keys());
        assert_eq!(self.text(GUEST), "net0: virtio=BC:24:11:00:00:01,bridge=v\n");
    }
}

fn told(publication: &Publication) -> &str {
    publication.code.as_deref().unwrap_or("published")
}

#[test]
fn what_all_nodes_confirmed_is_published_once() {
    let (cluster, first) = (Cluster::new(3), commit(1, FIRST));
    for (node, waits) in [(0, 2), (1, 1)] {
        let publication = cluster.turn(node, &first);
        assert_eq!((told(&publication), publication.waiting.len()), ("pve-waits-for-nodes", waits));
        assert_eq!(cluster.sdn("zones.cfg"), "");
    }
    let publication = cluster.turn(2, &first);
    assert_eq!(publication.standing, Standing::Published, "{}", publication.message);
    assert_eq!(cluster.sdn("zones.cfg"), "simple: za\n\n");
    assert_eq!(cluster.version(), 1);
    cluster.assert_published(&first);
    let before = cluster.shared.fingerprint();
    for publication in cluster.turns(&first) {
        let published = publication.published.expect("it is");
        assert_eq!((published.sequence, published.version, published.by.as_str()), (1, 1, "n3"));
    }
    assert_eq!(cluster.shared.fingerprint(), before, "nothing is written twice");

    let second = commit(2, SECOND);
    cluster.turns(&second);
    assert_eq!(cluster.version(), 2);
    cluster.assert_published(&second);
    // A commit that Proxmox could not tell from it is only written down.
    let third = commit(3, SECOND);
    let running = cluster.sdn(RUNNING);
    let published = cluster.turns(&third).remove(0).published.expect("it is");
    assert_eq!((published.sequence, published.version), (3, 2));
    assert_eq!(cluster.sdn(RUNNING), running);
}

#[test]
fn a_node_that_is_offline_is_waited_for_and_named() {
    let (cluster, first) = (Cluster::new(3), commit(1, FIRST));
    cluster.members(&[true, true, false], true);
    cluster.turn(0, &first);
    let publication = cluster.turn(1, &first);
    assert_eq!(told(&publication), "pve-waits-for-nodes");
    assert_eq!(
        publication.message,
        "not every node has confirmed it: n3 has confirmed nothing so far, and is offline"
    );
    assert_eq!(publication.waiting, ["n3".parse().expect("a name")]);
    cluster.members(&[true, true, true], true);
    cluster.turn(2, &first);
    cluster.assert_published(&first);
    // One that runs another commit is waited for as well, and no other number is said.
    let second = commit(2, SECOND);
    cluster.turn(0, &second);
    let publication = cluster.turn(1, &second);
    assert!(publication.message.contains("n3 runs commit"), "{}", publication.message);
    assert_eq!(cluster.version(), 1);
    assert_eq!(cluster.numbers(), ["#version:2", "#version:2", "#version:1"]);
}

#[test]
fn without_quorum_nothing_is_written_and_the_status_says_so() {
    let (cluster, first) = (Cluster::new(2), commit(1, FIRST));
    cluster.members(&[true, false], false);
    let before = cluster.shared.fingerprint();
    assert_eq!(told(&cluster.turn(0, &first)), "pve-no-quorum");
    assert_eq!(cluster.shared.fingerprint(), before);
    // The members say nothing yet, and the file system takes no write.
    cluster.members(&[true, true], true);
    let before = cluster.shared.fingerprint();
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
        cluster.shared.set_faults(&[(0, Fault::FailWrites(kind))]);
        assert_eq!(told(&cluster.turn(0, &first)), "pve-no-quorum");
        cluster.shared.restart(Restart::Process);
    }
    assert_eq!(cluster.shared.fingerprint(), before);
    cluster.turns(&first);
    cluster.assert_published(&first);
}

#[test]
fn a_lock_is_waited_for_and_ends_by_its_age() {
    let (cluster, first) = (Cluster::new(2), commit(1, FIRST));
    assert!(cluster.shared.acquire(Utf8Path::new(place::LOCK)).expect("it is free"));
    cluster.turn(0, &first);
    let publication = cluster.turn(1, &first);
    assert_eq!(told(&publication), "pve-locked");
    assert_eq!(cluster.sdn("zones.cfg"), "");
    cluster.shared.wait(CLUSTER_LOCK);
    assert_eq!(cluster.turn(1, &first).standing, Standing::Published);
    cluster.assert_published(&first);
    // A token of the panel's keeps everybody off.
    let second = commit(2, SECOND);
    cluster.put_sdn(".lock", "0190-token");
    assert!(cluster.turns(&second).iter().all(|publication| told(publication) == "pve-locked"));
    cluster.assert_published_but_for_numbers(&first);
    cluster.shared.take("/etc/pve/sdn/.lock");
    cluster.turns(&second);
    cluster.assert_published(&second);
}

#[test]
fn what_people_made_is_not_overwritten() {
    let (cluster, first) = (Cluster::new(2), commit(1, FIRST));
    // The first time everything that is there counts, and what means the same does not.
    cluster.put_sdn("zones.cfg", "simple: za\n\n");
    cluster.put_sdn("vnets.cfg", "vnet: va\n\tzone za\n\n");
    cluster.put_sdn(RUNNING, r#"{"version":41,"zones":{"ids":{"za":{"type":"simple"}}},"vnets":{"ids":{"va":{"type":"vnet","zone":"za"}}}}"#);
    let there = cluster.sdn(RUNNING);
    assert!(cluster.turns(&first).iter().all(|p| p.standing == Standing::Published));
    assert_eq!(cluster.sdn(RUNNING), there);
    cluster.assert_published(&first);
    assert_eq!(cluster.numbers()[0], "#version:41");

    // A draft of somebody.
    let second = commit(2, SECOND);
    cluster.put_sdn("vnets.cfg", "vnet: va\n\tzone za\n\talias mine\n\nvnet: vx\n\tzone za\n\n");
    let publication = cluster.turns(&second).remove(0);
    assert_eq!((publication.standing, told(&publication)), (Standing::Refused, "pve-edited"));
    assert_eq!(
        publication.edited,
        [
            "vnets.cfg: vnet va has another `alias`",
            "vnets.cfg: vnet vb is missing, and the commit has it",
            "vnets.cfg: vnet vx is there, and the commit does not have it",
        ]
    );
    assert_eq!(cluster.sdn("zones.cfg"), "simple: za\n\n");

    // What is agreed to is what was shown.
    let (_, host) = &cluster.nodes[0];
    let draft = cluster.sdn("vnets.cfg");
    cluster.put_sdn("vnets.cfg", &draft.replace("mine", "mine too"));
    let Takeover::Stopped(why) = take_over(host, &cluster_name(), &publication) else { panic!() };
    assert!(why.contains("changed since"), "{why}");
    cluster.put_sdn("vnets.cfg", &draft);
    assert_eq!(take_over(host, &cluster_name(), &publication), Takeover::Agreed);
    cluster.turns(&second);
    cluster.assert_published(&second);
    assert_eq!(cluster.version(), 42);
    let published = cluster.turn(0, &second);
    assert_eq!(take_over(host, &cluster_name(), &published), Takeover::Nothing);

    // The same draft again is not agreed to any more.
    cluster.put_sdn("vnets.cfg", &draft);
    assert_eq!(told(&cluster.turn(0, &second)), "pve-edited");
    // An apply of the panel with nothing pending changes a number and an order.
    let (cluster, first) = (Cluster::new(2), commit(1, FIRST));
    cluster.turns(&first);
    cluster.put_sdn(RUNNING, r#"{"vnets":{"ids":{"va":{"zone":"za","type":"vnet"}}},"zones":{"ids":{"za":{"type":"simple"}}},"subnets":{"ids":{}},"version":9}"#);
    assert!(cluster.turns(&first).iter().all(|p| p.standing == Standing::Published));
    cluster.assert_published(&first);
    assert_eq!(cluster.version(), 9);
}

#[test]
fn what_weft_has_no_word_for_stays_and_is_named() {
    let (cluster, first) = (Cluster::new(1), commit(1, FIRST));
    cluster.put_sdn("route-maps.cfg", "route-map-entry: m_10\n\taction permit\n");
    let publication = cluster.turn(0, &first);
    assert_eq!(told(&publication), "pve-beyond");
    assert!(publication.message.contains("route map entry m_10"), "{}", publication.message);
    assert_eq!(cluster.sdn("zones.cfg"), "");
    // A member that nobody declared, one that Proxmox does not know, and damage.
    let cluster = Cluster::new(4);
    assert_eq!(told(&cluster.turn(0, &first)), "pve-member-undeclared");
    let cluster = Cluster::new(1);
    cluster.shared.take("/etc/pve/nodes/n1/pve-ssl.pem");
    let stranger = Cluster {
        shared: Arc::clone(&cluster.shared),
        nodes: vec![("n2".parse().expect("a name"), cluster.nodes[0].1.clone())],
        secrets: BTreeMap::new(),
    };
    assert_eq!(told(&stranger.turn(0, &first)), "pve-absent");
    let cluster = Cluster::new(1);
    cluster.put_sdn(RUNNING, "{");
    assert_eq!(told(&cluster.turn(0, &first)), "pve-unreadable");
    cluster.put_sdn(RUNNING, "");
    cluster.put_sdn("weft.json", "{}");
    assert_eq!(told(&cluster.turn(0, &first)), "pve-unreadable");
}

/// What a node that publishes says beside what every node does.
const PUBLISHES: &str = "\
pve: publish
credentials:
  nbtoken: {type: token, file: /etc/weft/nb.token, origin: \"https://nb.example.org\"}
";

fn settings() -> String {
    format!("{SAMPLE}{PUBLISHES}")
}

impl Cluster {
    /// The files of a commit, whatever the nodes' own carry.
    #[track_caller]
    fn assert_published_but_for_numbers(&self, commit: &Commit) {
        let exported =
            export::pve(&commit.declared, &commit.network, self.version(), &BTreeMap::new());
        let found = place::found(&self.nodes[0].1).expect("legal");
        let wanted = Wanted::new(&exported).expect("legal");
        assert_eq!(wanted.judge(&found, None), Verdict::InPlace);
    }
}

//! A repository with a signer, and nodes with weft that follow it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::command::Output;
use crate::git::{GitServer, Signer, WorkingCopy};
use crate::kernel::{assert_same, kernel};
use crate::lab::Lab;
use crate::namespaces::WEFT;
use crate::node::{Node, SDN_FILE};
use crate::wait::wait_until;

/// Where a node has its copy of the repository.
const REPOSITORY: &str = "/srv/config.git";

/// A network to begin with: a vnet that leads out, one between nodes, one without either.
pub(crate) const FIRST: &str = "\
zones:
  outz: {type: simple, mtu: 1400}
  tunz: {type: vxlan}
vnets:
  va:
    zone: outz
    subnets:
      10.0.0.0/24: {gateway: 10.0.0.1, snat: true}
  vb: {zone: tunz, tag: 100}
  vc: {zone: outz}
";

/// A repository with a signer, and the nodes that follow it.
pub(crate) struct Scene<'lab> {
    lab: &'lab Lab,
    pub(crate) alice: Signer,
    pub(crate) copy: WorkingCopy<'lab>,
    pub(crate) introduction: String,
    pub(crate) fingerprint: String,
    pub(crate) server: GitServer<'lab>,
    engines: &'static [&'static str],
}

/// Nodes by turns: what one engine made meets what the other made. As it is where nothing else
/// is said.
pub(crate) const BOTH_ENGINES: &[&str] = &["native", "ifupdown2"];

impl<'lab> Scene<'lab> {
    pub(crate) fn start(lab: &'lab Lab) -> Self {
        let server = GitServer::start(lab);
        server.create("config");
        let (alice, copy) = (server.signer("alice"), server.working_copy("config"));
        copy.write("weft.yaml", "weft: 1\ncluster: lab\n");
        copy.write(".weft/allowed_signers", &alice.allowed_line());
        copy.write(".weft/policy.yaml", &policy(&alice));
        copy.write(
            "sdn/nodes.yaml",
            "nodes:\n  node1: {address: 192.168.0.1}\n  node2: {address: 192.168.0.2}\n",
        );
        let introduction = copy.commit(&alice, "The beginning");
        copy.push();
        lab.outside().put("/tmp/alice.pub", &alice.public_key);
        let said = lab.outside().exec(&["ssh-keygen", "-lf", "/tmp/alice.pub"]).ok();
        let fingerprint = said.split(' ').nth(1).expect("a fingerprint").to_owned();
        let engines = BOTH_ENGINES;
        Self { lab, alice, copy, introduction, fingerprint, server, engines }
    }

    /// The same with nodes of these engines, by their numbers in turn.
    pub(crate) fn with_engines(self, engines: &'static [&'static str]) -> Self {
        Self { engines, ..self }
    }

    /// A node with weft, introduced to the repository.
    pub(crate) fn node(&self, number: u8) -> Node {
        self.node_with(number, |_| {})
    }

    /// A node that is prepared before its network comes up.
    pub(crate) fn node_with(&self, number: u8, prepare: impl FnOnce(&Node)) -> Node {
        let node = self.lab.node(number);
        node.remove(SDN_FILE);
        prepare(&node);
        node.boot_network();
        self.introduce(&node);
        node
    }

    /// Puts weft on a node, with settings that introduce it to the repository.
    pub(crate) fn introduce(&self, node: &Node) {
        node.install(WEFT, "/usr/bin/weft", 0o755);
        let number: usize = node.name().trim_start_matches("node").parse().unwrap_or(1);
        let engine = self.engines[(number - 1) % self.engines.len()];
        // The usual one needs no line.
        let engine = if engine == "native" { String::new() } else { format!("engine: {engine}\n") };
        let settings = format!(
            "cluster: lab\nnode: {}\nmode: apply\n{engine}allow-file: true\nconfirm: {{settle: 1s, window: 90s, long-window: 90s}}\nremotes:\n  - {{name: origin, url: \"file://{REPOSITORY}\"}}\n\
             introduction:\n  commit: {}\n  signer: \"{}\"\n",
            node.name(),
            self.introduction,
            self.fingerprint
        );
        node.put("/etc/weft/agent.yaml", settings);
    }

    /// Commits a network, and pushes it.
    pub(crate) fn push(&self, network: &str) -> String {
        self.copy.write("sdn/network.yaml", network);
        let commit = self.copy.commit(&self.alice, "A change");
        self.copy.push();
        commit
    }

    /// Commits files of a network, and pushes them.
    pub(crate) fn push_files(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.copy.write(path, text);
        }
        let commit = self.copy.commit(&self.alice, "A network");
        self.copy.push();
        commit
    }

    /// Brings the repository to a node, as a mirror on its disk.
    pub(crate) fn mirror(&self, node: &Node) {
        let words = ["tar", "-C", "/srv/git", "-cf", "/tmp/config.tar", "config.git"];
        self.lab.outside().exec(&words).ok();
        let tar = self.lab.outside().inside(|| std::fs::read("/tmp/config.tar")).expect("read");
        node.put("/tmp/config.tar", tar);
        node.exec(&["rm", "-rf", REPOSITORY]).ok();
        node.exec(&["tar", "-C", "/srv", "--no-same-owner", "-xf", "/tmp/config.tar"]).ok();
    }

    pub(crate) fn try_sync(&self, node: &Node, words: &[&str]) -> Output {
        self.run(node, &[&["--json"], words].concat())
    }

    fn run(&self, node: &Node, words: &[&str]) -> Output {
        self.mirror(node);
        let words = [&["weft"], words].concat();
        node.command(&words).within(Duration::from_secs(200)).run()
    }

    /// Brings the newest commit to a node, where it must be applied.
    #[track_caller]
    pub(crate) fn sync(&self, node: &Node) {
        let said = self.run(node, &["sync"]);
        assert_eq!(said.code(), 0, "{}{}", said.stdout, said.stderr);
    }

    /// Takes all networks away from these nodes, whose kernels then are what they were.
    #[track_caller]
    pub(crate) fn take_away(&self, nodes: &[Node], bare: &[BTreeMap<&'static str, String>]) {
        self.push("{}\n");
        for (node, bare) in nodes.iter().zip(bare) {
            // The kernel takes a guest's cable away some time after the guest is gone.
            let has_guests = || node.exec(&["ls", "/sys/class/net"]).ok().contains("tap");
            wait_until(Duration::from_secs(10), "the guests' ports are gone", || !has_guests());
            self.sync(node);
            // A routing daemon that was told to end withdraws its routes a moment later.
            let end = Instant::now() + Duration::from_secs(10);
            while kernel(node) != *bare && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(200));
            }
            assert_same(&kernel(node), bare);
        }
    }

    #[track_caller]
    pub(crate) fn apply(&self, node: &Node, network: &str) {
        self.push(network);
        self.sync(node);
    }
}

/// A policy that lets somebody change everything, and take everything away.
pub(crate) fn policy(root: &Signer) -> String {
    format!(
        "roles:\n  root: {{principals: [\"{}\"]}}\nremoval: {{everything: true}}\n",
        root.principal
    )
}

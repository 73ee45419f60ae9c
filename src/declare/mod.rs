//! Floor 2: what people wrote, with the place of every value.
//!
//! Reads text and goes on after everything that is wrong with it, so that one
//! run names all of it. Knows no rule between two objects: those are
//! [`crate::validate`]'s.

#[macro_use]
pub mod declaration;
pub mod cluster;
pub mod code;
pub mod controller;
pub mod edit;
pub mod export;
pub mod fabric;
pub mod finding;
pub mod guest;
pub mod import;
pub mod lease;
pub mod node;
pub mod policy;
pub mod publish;
pub mod pve;
pub mod scalar;
pub mod schema;
pub mod service;
pub mod shape;
pub mod signers;
pub mod tree;
pub mod vnet;
pub mod void;
pub mod writer;
pub mod yaml;
pub mod zone;

pub use cluster::Cluster;
pub use finding::{Code, Finding, Findings, Severity};
pub use shape::{Entries, Entry};
pub use tree::Tree;

use self::shape::{Fields, Shape, merge};
use crate::value::{
    ClusterName, ControllerId, DnsId, FabricId, GuestName, IpamId, NodeName, Place, RepoPath,
    VnetId, ZoneId,
};

/// The file that every configuration repository has.
pub const CLUSTER_FILE: &str = "weft.yaml";
/// The directory of the declarations.
pub const DIRECTORY: &str = "sdn";

/// All files of one tree, merged by kind.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// `weft.yaml`.
    pub cluster: Option<Cluster>,
    /// The nodes.
    pub nodes: Entries<NodeName, node::Node>,
    /// The zones.
    pub zones: Entries<ZoneId, zone::Zone>,
    /// The vnets.
    pub vnets: Entries<VnetId, vnet::Vnet>,
    /// The controllers.
    pub controllers: Entries<ControllerId, controller::Controller>,
    /// The fabrics.
    pub fabrics: Entries<FabricId, fabric::Fabric>,
    /// The IPAM servers.
    pub ipams: Entries<IpamId, service::Ipam>,
    /// The DNS servers.
    pub dns: Entries<DnsId, service::Dns>,
    /// The guests.
    pub guests: Entries<GuestName, guest::Guest>,
}

impl Declared {
    /// Whether objects may not be what Proxmox merely tolerates.
    pub fn is_strict(&self) -> bool {
        let strict = self.cluster.as_ref().and_then(|cluster| cluster.strict.as_ref());
        strict.is_some_and(|strict| strict.value)
    }
}

/// Reads every file of a tree. `expected` is the cluster that the node's settings
/// name; `None` where there is no node, such as in a pipeline.
pub fn read(tree: &Tree, expected: Option<&ClusterName>) -> (Declared, Findings) {
    let mut findings = Findings::default();
    for finding in tree.unusable() {
        findings.push(finding.clone());
    }
    let mut declared =
        Declared { cluster: cluster(tree, expected, &mut findings), ..Declared::default() };
    let mut any = false;
    for (path, text) in tree.declarations() {
        if let Some(root) = yaml::parse(path, text, &mut findings) {
            any = true;
            maps(&mut declared, &root, &mut findings);
        }
    }
    for path in tree.unread() {
        let message = format!("`{path}` is not read");
        let mut finding = Finding::new(Code::FileNotRead, message, &Place::start_of(path));
        if path.as_str().to_ascii_lowercase().rsplit('.').next() == Some("cfg") {
            finding = finding.help("this looks like a file of Proxmox VE; declarations are YAML, in files that end in `.yaml`");
        }
        findings.push(finding);
    }
    if !any && findings.is_in_order() {
        let place = Place::start_of(&tree.path(CLUSTER_FILE));
        let message = format!("no declaration below `{}`", tree.path(DIRECTORY));
        findings.push(Finding::new(Code::NothingDeclared, message, &place));
    }
    if declared.is_strict() {
        findings.enforce();
    }
    (declared, findings)
}

fn cluster(
    tree: &Tree,
    expected: Option<&ClusterName>,
    findings: &mut Findings,
) -> Option<Cluster> {
    let path = tree.path(CLUSTER_FILE);
    let Some(text) = tree.get(&path) else {
        if tree.unusable().iter().any(|finding| finding.file() == Some(&path)) {
            return None;
        }
        let message = format!("there is no `{path}`");
        let finding = Finding::new(Code::MissingFile, message, &Place::start_of(&path))
            .help("a repository has this file, with `weft: 1` and `cluster: NAME`");
        findings.push(finding);
        return None;
    };
    let before = findings.count(Severity::Error);
    let Some(root) = yaml::parse(&path, text, findings) else {
        if findings.count(Severity::Error) == before {
            let message = format!("`{path}` is empty");
            let finding = Finding::new(Code::MissingKey, message, &Place::start_of(&path))
                .help("it holds `weft: 1` and `cluster: NAME`");
            findings.push(finding);
        }
        return None;
    };
    let read = Cluster::read(&root, findings)?;
    if read.format.value != cluster::FORMAT {
        let message = format!("format {} is not one that this version reads", read.format.value);
        let finding = Finding::new(Code::OtherFormat, message, &read.format.place)
            .help(format!("this version of weft reads format {}", cluster::FORMAT));
        findings.push(finding);
    }
    if let Some(expected) = expected.filter(|expected| **expected != read.cluster.value) {
        let message = format!("this repository is cluster `{}`'s", read.cluster.value);
        let finding = Finding::new(Code::OtherCluster, message, &read.cluster.place)
            .help(format!("this node belongs to cluster `{expected}`"));
        findings.push(finding);
    }
    Some(read)
}

/// Reads one file of declarations on its own, and gives what it says beside its text.
pub fn file(
    path: &RepoPath,
    text: &str,
    findings: &mut Findings,
) -> (Declared, Option<yaml::Node>) {
    let mut declared = Declared::default();
    let root = yaml::parse(path, text, findings);
    if let Some(root) = &root {
        maps(&mut declared, root, findings);
    }
    (declared, root)
}

/// Reads the maps of one file into what was read before.
fn maps(declared: &mut Declared, root: &yaml::Node, findings: &mut Findings) {
    if matches!(root.value, yaml::Value::Null) {
        return;
    }
    let Some(mut fields) = Fields::of(root, "a file of declarations", findings) else {
        return;
    };
    macro_rules! kinds {
        ($($key:literal $what:literal $field:ident;)*) => {$(
            if let Some(node) = fields.node($key) {
                merge(&mut declared.$field, node, $what, findings);
            }
        )*};
    }
    kinds! {
        "nodes" "node" nodes;
        "zones" "zone" zones;
        "vnets" "vnet" vnets;
        "controllers" "controller" controllers;
        "fabrics" "fabric" fabrics;
        "ipams" "IPAM" ipams;
        "dns" "DNS server" dns;
        "guests" "guest" guests;
    }
    fields.finish(findings);
}

/// The path of a file of the repository, for a text that is one whatever it is made of.
pub(crate) fn constant_path(text: &str) -> RepoPath {
    text.parse().expect("a path made of legal parts")
}

//! `/etc/weft/agent.yaml`: what a node is told from outside the repository.

use serde_json::{Value as Json, json};

use crate::declare;
use crate::declare::finding::{Code, Finding, Findings};
use crate::declare::scalar::scalar;
use crate::declare::shape::Shape;
use crate::declare::yaml;
use crate::sync::remote::{RemoteUrl, Scheme};
use crate::sync::{self, KeyFingerprint, Trust};
use crate::value::{At, BranchName, ClusterName, NodeName, ObjectId, Place, RepoPath, Word};

/// Where the settings lie on a node.
pub const PATH: &str = "/etc/weft/agent.yaml";

choices! {
    /// What the agent may do.
    pub enum Mode as "a mode" {
        /// Fetch, verify, plan and report; change nothing.
        "observe" Observe,
        /// Change the node.
        "apply" Apply,
    }
}

choices! {
    /// What brings the running network to what the files say.
    pub enum Engine as "an engine" {
        /// ifupdown2, as Proxmox VE has it.
        "ifupdown2" Ifupdown2,
    }
}

impl Shape for RemoteUrl {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "the URL of a repository", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "uri" })
    }
}

impl Shape for KeyFingerprint {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "the fingerprint of a key", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^SHA256:[A-Za-z0-9+/]{43}$" })
    }
}

declaration! {
    /// One remote that carries the repository.
    pub struct Remote as "a remote" {
        /// What it is called in messages.
        required "name" name: Word,
        /// Where it answers.
        required "url" url: RemoteUrl,
    }
}

declaration! {
    /// The commit at which trust begins. It comes to the node by another way than
    /// the repository: with its provisioning.
    pub struct Introduction as "an introduction" {
        /// The first commit that is trusted.
        required "commit" commit: ObjectId,
        /// The key that signed it.
        required "signer" signer: KeyFingerprint,
    }
}

declaration! {
    /// The settings of one node.
    pub struct Settings as "agent.yaml" {
        /// The cluster that this node belongs to.
        required "cluster" cluster: ClusterName,
        /// The name under which the repository declares this node.
        required "node" node: NodeName,
        /// Where in the repository the cluster lies. Its root when absent.
        optional "path" path: RepoPath,
        /// The branch that is followed. `main` when absent.
        optional "branch" branch: BranchName,
        /// The remotes, in the order in which they are tried.
        required "remotes" remotes: Vec<Remote>,
        /// The commit at which trust begins.
        required "introduction" introduction: Introduction,
        /// Keys that count no more, whatever the repository says.
        optional "revoked" revoked: Vec<At<KeyFingerprint>>,
        /// What the agent may do. `observe` when absent.
        optional "mode" mode: Mode,
        /// What brings the running network to what the files say. `ifupdown2` when
        /// absent, which is the only one.
        optional "engine" engine: Engine,
        /// Whether remotes may be directories of this machine (`file://`).
        optional "allow-file" allow_file: bool,
    }
}

impl Settings {
    /// What the agent may do.
    pub fn mode(&self) -> Mode {
        self.mode.as_ref().map_or(Mode::Observe, |mode| mode.value)
    }

    /// The branch that is followed.
    pub fn branch(&self) -> &str {
        self.branch.as_ref().map_or("main", |branch| branch.value.as_str())
    }

    /// The ways that a repository may be reached.
    pub fn schemes(&self) -> Vec<Scheme> {
        let files = self.allow_file.as_ref().is_some_and(|allow| allow.value);
        let mut schemes = vec![Scheme::Https, Scheme::Ssh];
        schemes.extend(files.then_some(Scheme::File));
        schemes
    }

    /// What is trusted before anything was read.
    pub fn trust(&self) -> Trust {
        let introduction = &self.introduction.value;
        let revoked = self.revoked.iter().flat_map(|list| &list.value);
        Trust {
            cluster: self.cluster.value.clone(),
            introduction: sync::Introduction {
                commit: introduction.commit.value,
                signer: introduction.signer.value,
            },
            revoked: revoked.map(|key| key.value).collect(),
        }
    }

    /// Where in the repository the cluster lies; its root when `None`.
    pub fn base(&self) -> Option<&RepoPath> {
        self.path.as_ref().map(|path| &path.value)
    }
}

/// Reads the settings, or says everything that is wrong with them.
pub fn read(text: &str) -> Result<Settings, Findings> {
    let file = declare::constant_path(PATH.trim_start_matches('/'));
    let mut findings = Findings::default();
    let root = yaml::parse(&file, text, &mut findings);
    if root.is_none() && findings.is_empty() {
        let place = Place::start_of(&file);
        findings.push(Finding::new(Code::MissingKey, "the file is empty", &place));
    }
    let settings = root.and_then(|root| Settings::read(&root, &mut findings));
    if let Some(settings) = &settings {
        check(settings, &mut findings);
    }
    match settings {
        Some(settings) if !findings.has_errors() => Ok(settings),
        _ => Err(findings),
    }
}

fn check(settings: &Settings, findings: &mut Findings) {
    let remotes = &settings.remotes;
    if remotes.value.is_empty() {
        let finding = Finding::new(Code::BadValue, "there is no remote", &remotes.place)
            .help("add `- {name: origin, url: \"https://…\"}`");
        findings.push(finding);
    }
    let schemes = settings.schemes();
    for remote in &remotes.value {
        let url = &remote.url;
        if !schemes.contains(&url.value.scheme()) {
            let message = format!("remote `{}` is a directory of this machine", remote.name.value);
            let finding = Finding::new(Code::BadValue, message, &url.place)
                .help("where that is meant, set `allow-file: true`");
            findings.push(finding);
        }
    }
}

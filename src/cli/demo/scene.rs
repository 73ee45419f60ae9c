//! The stage of the demo: a bare repository, two keys, three dry nodes.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use ssh_key::{HashAlg, PrivateKey};
use tempfile::TempDir;

use super::repository::{self, Author, Repository};
use crate::agent::settings;
use crate::agent::turn::{Purpose, Report, Turn};
use crate::agent::{Memory, TurnError};
use crate::cli::failure::{Exit, Failure};
use crate::host::{Host as _, Linux};
use crate::render::Managed;
use crate::sync::Cancel;
use crate::value::ObjectId;

/// The example that the repository begins with.
const EXAMPLE: &[(&str, &str)] = &[
    ("weft.yaml", include_str!("../../../examples/small/weft.yaml")),
    ("sdn/nodes.yaml", include_str!("../../../examples/small/sdn/nodes.yaml")),
    ("sdn/simple.yaml", include_str!("../../../examples/small/sdn/simple.yaml")),
    ("sdn/vxlan.yaml", include_str!("../../../examples/small/sdn/vxlan.yaml")),
];
const POLICY: &str = "roles:\n  root: {principals: [alice@example.org]}\n";
const ALICE: (&str, &str) = ("Alice", "alice@example.org");

/// The nodes that the example declares.
pub(super) const NODES: [&str; 3] = ["node1", "node2", "node3"];

pub(super) struct Scene {
    directory: TempDir,
    repository: Repository,
    alice: PrivateKey,
    mallory: PrivateKey,
    program: Utf8PathBuf,
    /// This machine; the demo takes nothing but the time from it.
    host: Linux,
    /// The tip of the good line.
    pub(super) tip: Option<ObjectId>,
    /// The first commit.
    pub(super) first: Option<ObjectId>,
    /// What each node had after the first commit.
    pub(super) first_files: BTreeMap<&'static str, String>,
}

/// Who signs a commit.
#[derive(Clone, Copy)]
pub(super) enum Signer {
    Alice,
    Mallory,
    Nobody,
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}

impl Scene {
    /// An empty stage in a temporary directory, which is removed with it.
    pub(super) fn set() -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("weft-demo-").map_err(|error| failed(&error))?;
        let path = utf8(directory.path())?;
        let program = utf8(&std::env::current_exe().map_err(|error| failed(&error))?)?;
        Ok(Self {
            repository: Repository::create(&path.join("network.git")).map_err(|e| failed(&e))?,
            alice: repository::key_from_random().map_err(|error| failed(&error))?,
            mallory: repository::key_from_random().map_err(|error| failed(&error))?,
            program,
            host: Linux::new(None),
            directory,
            tip: None,
            first: None,
            first_files: BTreeMap::new(),
        })
    }

    /// Where it is.
    pub(super) fn directory(&self) -> String {
        self.directory.path().display().to_string()
    }

    fn path(&self) -> Result<Utf8PathBuf, Failure> {
        utf8(self.directory.path())
    }

    /// The first commit: the example and who may change it.
    pub(super) fn found(&mut self) -> Result<ObjectId, Failure> {
        let key = self.alice.public_key().to_openssh().map_err(|error| failed(&error))?;
        let signers = format!("{} namespaces=\"git\" {}\n", ALICE.1, key.trim());
        let mut files: Vec<(&str, &str)> = EXAMPLE.to_vec();
        files.push((".weft/allowed_signers", &signers));
        files.push((".weft/policy.yaml", POLICY));
        let commit = self.commit(None, &files, "Found the network", Signer::Alice)?;
        self.first = Some(commit);
        self.push_good(commit)?;
        Ok(commit)
    }

    /// A commit upon another.
    pub(super) fn commit(
        &self,
        parent: Option<ObjectId>,
        files: &[(&str, &str)],
        message: &str,
        signer: Signer,
    ) -> Result<ObjectId, Failure> {
        let files: BTreeMap<String, Option<Vec<u8>>> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec())))
            .collect();
        let parents: Vec<ObjectId> = parent.into_iter().collect();
        self.repository
            .commit(&parents, &files, message, self.author(signer))
            .map_err(|error| failed(&error))
    }

    /// What `git revert` makes: a new commit with the files of an older one.
    pub(super) fn revert_to(&self, old: ObjectId, message: &str) -> Result<ObjectId, Failure> {
        let tip = self.tip.unwrap_or(old);
        self.repository
            .restore(tip, old, message, self.author(Signer::Alice))
            .map_err(|error| failed(&error))
    }

    fn author(&self, signer: Signer) -> Author<'_> {
        let (name, key) = match signer {
            Signer::Alice => (ALICE.0, Some(&self.alice)),
            Signer::Mallory => (ALICE.0, Some(&self.mallory)),
            Signer::Nobody => ("Nobody", None),
        };
        Author { name, email: ALICE.1, time: self.host.now(), key }
    }

    /// Makes a commit the tip of the branch.
    pub(super) fn push(&self, commit: ObjectId) -> Result<(), Failure> {
        self.repository.set_branch("main", commit).map_err(|error| failed(&error))
    }

    /// Makes a commit the tip of the branch and of the good line.
    pub(super) fn push_good(&mut self, commit: ObjectId) -> Result<(), Failure> {
        self.tip = Some(commit);
        self.push(commit)
    }

    /// Writes what provisioning gives to a node.
    pub(super) fn provision(&self) -> Result<(), Failure> {
        let first = self.first.ok_or_else(|| Failure::new(Exit::Failed, "no first commit"))?;
        let signer = self.alice.public_key().fingerprint(HashAlg::Sha256);
        let url = format!("file://{}", self.path()?.join("network.git"));
        for (index, node) in NODES.iter().enumerate() {
            let settings = format!(
                "cluster: small\nnode: {node}\nmode: apply\nallow-file: true\n\
                 remotes:\n  - {{name: origin, url: \"{url}\"}}\n\
                 introduction:\n  commit: {first}\n  signer: \"{signer}\"\n"
            );
            let interfaces = format!(
                "auto lo\niface lo inet loopback\n\nauto vmbr0\niface vmbr0 inet static\n\
                 \taddress 192.168.0.{}/24\n\tgateway 192.168.0.254\n\tbridge-ports eth0\n\
                 \tbridge-stp off\n\tbridge-fd 0\n\nsource /etc/network/interfaces.d/*\n",
                index + 1
            );
            self.write(node, settings::PATH, &settings)?;
            self.write(node, "/etc/network/interfaces", &interfaces)?;
        }
        Ok(())
    }

    fn root(&self, node: &str) -> Result<Utf8PathBuf, Failure> {
        Ok(self.path()?.join(node))
    }

    fn write(&self, node: &str, path: &str, text: &str) -> Result<(), Failure> {
        let path = self.root(node)?.join(path.trim_start_matches('/'));
        let write = || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, text)
        };
        write().map_err(|error| failed(&error))
    }

    /// The interfaces file of a node, empty where there is none.
    pub(super) fn file(&self, node: &str) -> Result<String, Failure> {
        let path =
            self.root(node)?.join(Managed::Interfaces.path().as_str().trim_start_matches('/'));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// One turn of a node.
    pub(super) fn turn(
        &self,
        node: &str,
        purpose: Purpose,
    ) -> Result<Result<Report, TurnError>, Failure> {
        let root = self.root(node)?;
        let text = std::fs::read_to_string(root.join(settings::PATH.trim_start_matches('/')))
            .map_err(|error| failed(&error))?;
        let settings = settings::read(&text).map_err(|findings| {
            Failure::new(
                Exit::Failed,
                crate::cli::findings::text(&findings, |_| Some(&text), false),
            )
        })?;
        let host = Linux::new(Some(root.clone()));
        let turn = Turn {
            host: &host,
            settings: &settings,
            program: &self.program,
            root: Some(&root),
            memory: &Memory::default(),
            manual: false,
            cancel: &Cancel::default(),
        };
        Ok(turn.make(purpose, |_| {}))
    }
}

fn utf8(path: &std::path::Path) -> Result<Utf8PathBuf, Failure> {
    Utf8Path::from_path(path)
        .map(Utf8Path::to_owned)
        .ok_or_else(|| Failure::new(Exit::Failed, format!("`{}` is not UTF-8", path.display())))
}

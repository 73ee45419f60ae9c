//! The stage of the dry demo: three directories that stand for nodes.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::origin::{Origin, failed, utf8};
use crate::agent::settings;
use crate::agent::turn::{Purpose, Report, Turn};
use crate::agent::{Memory, TurnError};
use crate::cli::failure::{Exit, Failure};
use crate::host::Linux;
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

/// The nodes that the example declares.
pub(super) const NODES: [&str; 3] = ["node1", "node2", "node3"];

pub(super) struct Scene {
    pub(super) origin: Origin,
    program: Utf8PathBuf,
    /// What each node had after the first commit.
    pub(super) first_files: BTreeMap<&'static str, String>,
}

impl Scene {
    /// An empty stage in a temporary directory, which is removed with it.
    pub(super) fn set() -> Result<Self, Failure> {
        let program = utf8(&std::env::current_exe().map_err(|error| failed(&error))?)?;
        Ok(Self { origin: Origin::set()?, program, first_files: BTreeMap::new() })
    }

    /// The first commit: the example and who may change it.
    pub(super) fn found(&mut self) -> Result<ObjectId, Failure> {
        self.origin.found(EXAMPLE)
    }

    /// Writes what provisioning gives to a node.
    pub(super) fn provision(&self) -> Result<(), Failure> {
        let introduction = self.origin.introduction()?;
        let url = format!("file://{}", self.origin.repository_path()?);
        for (index, node) in NODES.iter().enumerate() {
            let settings = format!(
                "cluster: small\nnode: {node}\nmode: apply\nallow-file: true\n\
                 remotes:\n  - {{name: origin, url: \"{url}\"}}\n\
                 {introduction}"
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
        Ok(self.origin.path()?.join(node))
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

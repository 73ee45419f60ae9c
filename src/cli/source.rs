//! Whose history is looked at: that of a repository where a person works, or that of a
//! node, which is its cache.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::failure::{Exit, Failure};
use super::node::{self, Node, failed};
use crate::agent::revoked;
use crate::agent::settings::{self, Settings};
use crate::agent::turn::CACHE;
use crate::host::{Host as _, Linux};
use crate::sync::objects::ObjectError;
use crate::sync::worker::FetchUser;
use crate::sync::{
    Anchor, Anchors, Cancel, FailureCode, HistoryError, KeyFingerprint, Store, TransportError,
    TreeError, Trust, Worker,
};
use crate::value::ObjectId;

/// How long reading may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// A repository that is open, and what the node trusts whose it is.
pub(super) struct Source {
    worker: Worker,
    /// The repository.
    pub(super) path: Utf8PathBuf,
    shallow: bool,
    /// What is looked at where nobody says.
    usual: String,
    /// What this node trusts; `None` in a repository where a person works.
    pub(super) node: Option<OfNode>,
    /// The clock of this machine.
    pub(super) now: Timestamp,
}

/// What a node trusts, and how far it has come.
pub(super) struct OfNode {
    pub(super) trust: Trust,
    pub(super) anchor: Option<Anchor>,
}

/// The work tree or bare repository that holds a directory.
pub(super) fn find(directory: &Utf8Path) -> Option<Utf8PathBuf> {
    let absolute = directory.canonicalize_utf8().ok()?;
    let is_bare = |path: &Utf8Path| {
        path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
    };
    let found = absolute.ancestors().find(|path| path.join(".git").exists() || is_bare(path));
    found.map(Utf8Path::to_owned)
}

/// The repository that holds a directory which somebody named.
pub(super) fn named(directory: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    find(directory).ok_or_else(|| {
        let message = format!("`{directory}` lies in no git repository");
        Failure::new(Exit::Failed, message)
            .hint("name the repository: `-C DIR`; `git init` makes one")
    })
}

impl Source {
    /// Opens the repository that holds `directory`; without one that of the dry node, the
    /// one around the current directory, or the node's own.
    pub(super) fn open(
        root: Option<&Utf8Path>,
        directory: Option<&Utf8Path>,
    ) -> Result<Self, Failure> {
        match (root, directory) {
            (Some(_), Some(_)) => {
                let message = "`--root` is a node and `-C` is a repository: name one of them";
                Err(Failure::new(Exit::Usage, message))
            }
            (None, Some(directory)) => Self::of_person(named(directory)?),
            (Some(root), None) => Self::of_node(&Node::open(Some(root.to_owned()))?),
            (None, None) => {
                if let Some(path) = find(Utf8Path::new(".")) {
                    return Self::of_person(path);
                }
                let node = Node::open(None)?;
                if !node.shown(Utf8Path::new(settings::PATH)).exists() {
                    let message = "this is neither in a git repository nor on a node with settings";
                    return Err(Failure::new(Exit::Failed, message).hint(
                        "go into the repository, or name it: `-C DIR`; `--root DIR` speaks of a dry node",
                    ));
                }
                Self::of_node(&node)
            }
        }
    }

    fn of_person(path: Utf8PathBuf) -> Result<Self, Failure> {
        let (worker, shallow) = start(None, &path)?;
        let now = Linux::new(None).now();
        Ok(Self { worker, path, shallow, usual: "HEAD".to_owned(), node: None, now })
    }

    /// The cache of a node.
    pub(super) fn of_node(node: &Node) -> Result<Self, Failure> {
        let settings: Settings = node.settings()?;
        let cache = Utf8Path::new(CACHE).join("repository.git");
        let path = node.shown(&cache);
        if !path.exists() {
            let message = format!("this node has fetched nothing yet: there is no `{path}`");
            return Err(Failure::new(Exit::Failed, message).hint("`weft sync` fetches"));
        }
        let user = if node.root.is_none() { FetchUser::find() } else { None };
        let (worker, shallow) = start(user, &path)?;
        let trust = revoked::trust(&node.host, &settings).map_err(|error| failed(&error))?;
        let anchors = Anchors::open(&node.host, &trust, false)
            .map_err(|error| failed(&error).hint(error.help()))?;
        let anchor = anchors.anchor().cloned();
        let usual = format!("refs/weft/{}", settings.branch());
        let now = node.host.now();
        Ok(Self { worker, path, shallow, usual, node: Some(OfNode { trust, anchor }), now })
    }

    /// The objects of the repository.
    pub(super) fn store(&self) -> Store<'_> {
        Store::new(&self.worker)
    }

    /// The commit that a revision names; without one, the newest of the node or of the
    /// branch that is checked out.
    pub(super) fn commit(&self, revision: Option<&str>) -> Result<ObjectId, Failure> {
        let revision = revision.unwrap_or(&self.usual);
        self.worker.resolve(&self.path, revision).map_err(|error| match error {
            TransportError::Local { code: FailureCode::NoBranch, message, .. } => {
                let failure = Failure::new(Exit::Failed, message);
                match (self.shallow, revision == self.usual) {
                    (true, _) => failure.hint(SHALLOW),
                    (false, true) => {
                        failure.hint("make a commit, or name one: an id, a branch or a tag")
                    }
                    (false, false) => failure.hint(
                        "name a commit by its id, a branch or a tag, perhaps with `~N` behind it",
                    ),
                }
            }
            error => failed(&error),
        })
    }

    /// The commit that a revision names; without one, the newest that the node accepted, or
    /// the one that is checked out. What was fetched and not accepted is nobody's law.
    pub(super) fn accepted(&self, revision: Option<&str>) -> Result<ObjectId, Failure> {
        let anchor = self.node.as_ref().and_then(|node| node.anchor.as_ref());
        match anchor.filter(|_| revision.is_none()) {
            Some(anchor) => Ok(anchor.record.commit),
            None => self.commit(revision),
        }
    }

    /// The keys that count no more on the node.
    pub(super) fn revoked(&self) -> BTreeSet<KeyFingerprint> {
        self.node.as_ref().map(|node| node.trust.revoked.clone()).unwrap_or_default()
    }

    /// Why a history could not be judged.
    pub(super) fn unjudged(&self, error: &HistoryError) -> Failure {
        let failure = failed(error);
        match error {
            HistoryError::Object(ObjectError::Missing { .. }) => self.missing(failure),
            HistoryError::TooMuch => {
                failure.hint("look at a part of the line: `--since REV` begins above a commit")
            }
            _ => failure,
        }
    }

    /// Why a file could not be read.
    pub(super) fn unread_file(&self, error: &TreeError) -> Failure {
        let failure = failed(error);
        match error {
            TreeError::Object(ObjectError::Missing { .. }) => self.missing(failure),
            error => failure.hint(error.help()),
        }
    }

    fn missing(&self, failure: Failure) -> Failure {
        match (&self.node, self.shallow) {
            (None, true) => failure.hint(SHALLOW),
            (None, false) => failure.hint("the repository lacks a part of its history: `git fsck` says more; a partial clone has to be a whole one"),
            (Some(_), _) => failure.hint("`weft sync` fetches again; the cache may be deleted"),
        }
    }
}

const SHALLOW: &str = "the repository is a shallow clone: `git fetch --unshallow`";

fn start(user: Option<FetchUser>, path: &Utf8Path) -> Result<(Worker, bool), Failure> {
    let worker = Worker::start(&node::program()?, user, DEADLINE, &Cancel::default())
        .map_err(|error| failed(&error))?;
    let shallow = worker.open(path).map_err(|error| failed(&error))?;
    Ok((worker, shallow))
}

/// The text of a file that somebody named, of at most `limit` bytes.
pub(super) fn file(path: &Utf8Path, limit: u64) -> Result<String, Failure> {
    let fail = |what: String| Failure::new(Exit::Failed, format!("cannot read `{path}`: {what}"));
    let metadata = path.metadata().map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(fail(format!("it is no file of at most {limit} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))
}

//! What a node trusts, and the trust files of a commit.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::objects::{Kind, ObjectError};
use super::signature::KeyFingerprint;
use super::store::Store;
use super::tree::{Directories, DirectoryError, Mode};
use crate::declare::policy::{self, Policy};
use crate::declare::signers::{self, People, Signers};
use crate::declare::{self, Findings, Severity, void};
use crate::value::{ClusterName, ObjectId, RepoPath};

/// Where trust begins: a commit, and the key that signed it. Comes to the node by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    /// The commit.
    pub commit: ObjectId,
    /// The key, as `SHA256:…`.
    pub signer: KeyFingerprint,
}

/// What the node's settings say of trust.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The node's cluster.
    pub cluster: ClusterName,
    /// Where trust begins.
    pub introduction: Introduction,
    /// Keys that count no more on this node, whatever the repository says.
    pub revoked: BTreeSet<KeyFingerprint>,
}

/// The signers and the policy of one commit: what its children are judged by.
#[derive(Debug)]
pub(super) struct TrustFiles {
    pub(super) signers: Signers,
    pub(super) policy: Policy,
    /// Which of its principals are one person.
    pub(super) people: People,
    /// Commits that must never have been on the line.
    pub(super) void: BTreeSet<ObjectId>,
}

impl TrustFiles {
    /// Reads the files; `None` where one of them has an error.
    pub(super) fn read(
        signers: (&RepoPath, &str),
        policy: (&RepoPath, &str),
        void: Option<(RepoPath, &str)>,
    ) -> (Option<Self>, Findings) {
        let mut findings = Findings::default();
        let signers = signers::read(signers.0, signers.1, &mut findings);
        let policy = policy::read(policy.0, policy.1, &signers, &mut findings);
        let void = void.map(|(path, text)| void::read(&path, text, &mut findings));
        let files = policy.filter(|_| !findings.has_errors()).map(|policy| {
            let people = signers.people();
            Self { signers, policy, people, void: void.unwrap_or_default() }
        });
        (files, findings)
    }
}

/// Why a commit's trust files are not usable.
#[derive(Debug)]
pub(super) enum TrustFilesError {
    /// They are missing or wrong; the sentence says how.
    Broken(String),
    /// There is no object to read.
    Object(ObjectError),
}

/// The trust files of commits, each version read once.
#[derive(Debug)]
pub(super) struct Files<'a> {
    store: Store<'a>,
    texts: HashMap<ObjectId, Rc<str>>,
    read: HashMap<Ids, Rc<TrustFiles>>,
}

/// The objects of the signers, the policy and the void commits.
type Ids = (ObjectId, ObjectId, Option<ObjectId>);

/// How many versions of a file are remembered before all are forgotten: policies change
/// rarely, and a history that changes them each time is read with bounded memory.
const MAX_REMEMBERED: usize = 64;

impl<'a> Files<'a> {
    pub(super) fn new(store: Store<'a>) -> Self {
        Self { store, texts: HashMap::new(), read: HashMap::new() }
    }

    /// The trust files of a tree.
    pub(super) fn of(
        &mut self,
        directories: &mut Directories<'_>,
        tree: ObjectId,
    ) -> Result<Rc<TrustFiles>, TrustFilesError> {
        let broken = |message: &str| TrustFilesError::Broken(message.to_owned());
        let directory = match directories.entry(tree, policy::DIRECTORY)? {
            Some(entry) if entry.mode == Mode::Directory => entry.id,
            Some(_) => return Err(broken("`.weft` is not a directory")),
            None => return Err(broken("there is no directory `.weft`")),
        };
        let mut file = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            match directories.entry(directory, name)? {
                Some(entry) if matches!(entry.mode, Mode::File | Mode::Executable) => {
                    Ok(Some(entry.id))
                }
                Some(entry) => {
                    let message = format!("`{path}` is {}, not a regular file", entry.mode.what());
                    Err(TrustFilesError::Broken(message))
                }
                None => Ok(None),
            }
        };
        let missing = |path: &str| broken(&format!("there is no `{path}`"));
        let signers = file(signers::FILE)?.ok_or_else(|| missing(signers::FILE))?;
        let policy = file(policy::FILE)?.ok_or_else(|| missing(policy::FILE))?;
        let key = (signers, policy, file(void::FILE)?);
        if let Some(files) = self.read.get(&key) {
            return Ok(Rc::clone(files));
        }
        let files = Rc::new(self.files(key)?);
        if self.read.len() >= MAX_REMEMBERED {
            self.read.clear();
        }
        self.read.insert(key, Rc::clone(&files));
        Ok(files)
    }

    fn files(&mut self, ids: Ids) -> Result<TrustFiles, TrustFilesError> {
        let signers = self.text(ids.0, signers::FILE, signers::MAX_BYTES)?;
        let policy = self.text(ids.1, policy::FILE, policy::MAX_BYTES)?;
        let void = ids.2.map(|id| self.text(id, void::FILE, void::MAX_BYTES)).transpose()?;
        let path = declare::constant_path;
        let (files, findings) = TrustFiles::read(
            (&path(signers::FILE), &signers),
            (&path(policy::FILE), &policy),
            void.as_ref().map(|text| (path(void::FILE), &**text)),
        );
        files.ok_or_else(|| TrustFilesError::Broken(sentence(&findings)))
    }

    fn text(&mut self, id: ObjectId, path: &str, limit: u64) -> Result<Rc<str>, TrustFilesError> {
        if let Some(text) = self.texts.get(&id) {
            return Ok(Rc::clone(text));
        }
        let bytes = self.store.read(id, Kind::Blob, limit)?;
        let text: Rc<str> = String::from_utf8(bytes)
            .map_err(|_| TrustFilesError::Broken(format!("`{path}` is not UTF-8")))?
            .into();
        if self.texts.len() >= MAX_REMEMBERED {
            self.texts.clear();
        }
        self.texts.insert(id, Rc::clone(&text));
        Ok(text)
    }
}

/// The first error with its place, and how many more there are.
fn sentence(findings: &Findings) -> String {
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return "the policy cannot be read".to_owned();
    };
    let place = first.marks.first().map(|mark| format!("{}: ", mark.place)).unwrap_or_default();
    let more = match errors.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{place}{}{more}", first.message)
}

impl From<ObjectError> for TrustFilesError {
    fn from(error: ObjectError) -> Self {
        match error {
            // What the commit says is wrong, not what the source does.
            ObjectError::WrongKind { .. } => Self::Broken(error.to_string()),
            // A size is what the source says; no bytes were hashed that prove it.
            ObjectError::TooLarge { .. }
            | ObjectError::Missing { .. }
            | ObjectError::Forged { .. }
            | ObjectError::Source { .. } => Self::Object(error),
        }
    }
}

impl From<DirectoryError> for TrustFilesError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Object(error) => error.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}

//! The trust files of a work tree: read as a node reads them, and written as a whole.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::failure::{Exit, Failure};
use crate::cli::repository::unwritable;
use crate::cli::source::{self, Source};
use crate::cli::{directory, findings};
use crate::declare::policy::Policy;
use crate::declare::signers::Signers;
use crate::declare::{Findings, constant_path, policy, signers};
use crate::sync::look;
use crate::value::{ObjectId, RepoPath};

/// Trust files without an error.
#[derive(Debug)]
pub(in crate::cli) struct TrustFiles {
    /// The text of `.weft/allowed_signers`.
    pub(super) signers_text: Arc<str>,
    /// The text of `.weft/policy.yaml`.
    pub(super) policy_text: Arc<str>,
    pub(in crate::cli) signers: Signers,
    pub(in crate::cli) policy: Policy,
    /// What is doubtful about them.
    pub(super) findings: Findings,
}

impl TrustFiles {
    /// Reads texts; an error among them is a refusal that shows all of them.
    pub(super) fn of(signers_text: Arc<str>, policy_text: Arc<str>) -> Result<Self, Failure> {
        let (signers_path, policy_path) =
            (constant_path(signers::FILE), constant_path(policy::FILE));
        let mut found = Findings::default();
        let signers = signers::read(&signers_path, &signers_text, &mut found);
        let policy = policy::read(&policy_path, &policy_text, &signers, &mut found);
        if let Some(policy) = policy.filter(|_| !found.has_errors()) {
            return Ok(Self { signers_text, policy_text, signers, policy, findings: found });
        }
        let text = |path: &RepoPath| {
            let text = if *path == signers_path { &signers_text } else { &policy_text };
            Some(&**text)
        };
        let text = findings::text(&found, text, false);
        Err(Failure::new(Exit::Refused, format!("no node can use these trust files\n\n{text}")))
    }

    /// Reads those of a commit.
    pub(in crate::cli) fn at(source: &Source, commit: ObjectId) -> Result<Self, Failure> {
        let text = |path: &str, limit| {
            let path = constant_path(path);
            let text = look::text(source.store(), commit, &path, limit)
                .map_err(|error| source.unread_file(&error))?;
            text.map(Into::into).ok_or_else(|| {
                Failure::new(Exit::Failed, format!("commit {} has no `{path}`", commit.short()))
            })
        };
        Self::of(text(signers::FILE, signers::MAX_BYTES)?, text(policy::FILE, policy::MAX_BYTES)?)
    }

    /// Reads those of a work tree.
    pub(super) fn read(top: &Utf8Path) -> Result<Self, Failure> {
        let [signers, policy] = [signers::FILE, policy::FILE].map(constant_path);
        let found = directory::trust_files(top)?;
        let text = |wanted: &RepoPath| {
            let found = found.iter().find(|(path, _)| path == wanted);
            found.map(|(_, text)| Arc::clone(text)).ok_or_else(|| {
                let message = format!("`{top}` has no `{wanted}`");
                Failure::new(Exit::Failed, message)
                    .hint("`weft trust init` writes the first trust files")
            })
        };
        Self::of(text(&signers)?, text(&policy)?)
    }
}

/// The top of the work tree that is meant.
pub(super) fn top(directory: Option<&Utf8Path>) -> Result<Utf8PathBuf, Failure> {
    let top = source::named(directory.unwrap_or(Utf8Path::new(".")))?;
    if top.join(".git").exists() {
        return Ok(top);
    }
    let message = format!("`{top}` is a repository without a work tree");
    Err(Failure::new(Exit::Failed, message).hint("change the files in a clone of it"))
}

/// Puts a text in the place of a file, as a whole or not at all. A symbolic link is not
/// followed, and the file keeps its mode.
pub(super) fn replace(top: &Utf8Path, path: &str, text: &str) -> Result<(), Failure> {
    let path = top.join(path);
    let put = || {
        let above = path.parent().unwrap_or(top);
        let mut file = tempfile::NamedTempFile::new_in(above)?;
        file.write_all(text.as_bytes())?;
        let mode = path.symlink_metadata()?.permissions().mode();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error).map(drop)
    };
    put().map_err(|error| unwritable(&path, &error))
}

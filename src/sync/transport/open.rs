//! Finding the remote's repository and its branch, or the reason why not.

use std::io;

use camino::Utf8Path;
use git2::{ErrorCode, Oid, Repository};

use super::failure;
use crate::sync::protocol::{Failure, FailureCode, FetchLimits};
use crate::sync::remote::RemoteUrl;

/// Whether a remote may be reached in the way that its URL says.
pub(super) fn check_scheme(url: &RemoteUrl, limits: &FetchLimits) -> Result<(), Failure> {
    if limits.schemes.contains(&url.scheme()) {
        return Ok(());
    }
    let word = url.scheme().as_str();
    let message = format!("`{word}://` remotes are not allowed by the node's settings");
    Err(Failure::new(FailureCode::SchemeRefused, message))
}

/// Why a directory is no repository for whoever runs this: it is none, or may not be read.
fn no_repository(path: &Utf8Path) -> Failure {
    let denied = [".git/HEAD", "HEAD"].into_iter().find_map(|name| {
        let opened = std::fs::File::open(path.join(name));
        opened.err().filter(|error| error.kind() == io::ErrorKind::PermissionDenied)
    });
    if let Some(error) = denied {
        return Failure::new(FailureCode::Permission, format!("cannot read `{path}`: {error}"));
    }
    let message = format!("`{path}` is a directory, but no git repository");
    Failure::new(FailureCode::NotARepository, message)
}

/// Opens a repository on this machine, or says why that is not possible.
pub(super) fn open_remote(path: &Utf8Path) -> Result<Repository, Failure> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            let message = format!("`{path}` is a file and no git repository");
            return Err(Failure::new(FailureCode::NotARepository, message));
        }
        Err(error) => {
            let code = match error.kind() {
                io::ErrorKind::PermissionDenied => FailureCode::Permission,
                _ => FailureCode::Absent,
            };
            return Err(Failure::new(code, format!("cannot open `{path}`: {error}")));
        }
    }
    if has_sha256_ids(path) {
        let message = format!(
            "the repository `{path}` has SHA-256 object ids; weft reads SHA-1 repositories only"
        );
        return Err(Failure::new(FailureCode::Sha256, message));
    }
    Repository::open(path).map_err(|error| match error.code() {
        ErrorCode::NotFound => no_repository(path),
        ErrorCode::Owner => Failure::new(
            FailureCode::Permission,
            format!(
                "the repository `{path}` belongs to another user than the one that fetches, \
                 whom git does not trust; the agent fetches as `weft-fetch` where that user is there, else as who runs it: give it to that user with `chown -R`"
            ),
        ),
        _ => failure(FailureCode::NotARepository, &format!("cannot open `{path}`"), &error),
    })
}

/// libgit2 as it is built here cannot tell such a repository from a broken one.
pub(super) fn has_sha256_ids(path: &Utf8Path) -> bool {
    ["config", ".git/config"].into_iter().any(|name| {
        git2::Config::open(path.join(name).as_std_path())
            .and_then(|config| config.get_string("extensions.objectformat"))
            .is_ok_and(|format| format.eq_ignore_ascii_case("sha256"))
    })
}

/// The commit that a branch of the remote is at.
pub(super) fn find_tip(remote: &Repository, branch: &str) -> Result<Oid, Failure> {
    check_branch(branch)?;
    let name = format!("refs/heads/{branch}");
    match remote.find_reference(&name).and_then(|reference| reference.resolve()) {
        Ok(reference) => reference.target().ok_or_else(|| {
            Failure::new(FailureCode::DamagedRemote, format!("branch `{branch}` names no commit"))
        }),
        Err(error) if error.code() == ErrorCode::NotFound => {
            Err(absent_branch(branch, branches(remote)))
        }
        Err(error) => Err(failure(
            FailureCode::DamagedRemote,
            &format!("cannot read branch `{branch}` of the repository"),
            &error,
        )),
    }
}

/// Whether a text can be the name of a branch.
pub(super) fn check_branch(branch: &str) -> Result<(), Failure> {
    if git2::Reference::is_valid_name(&format!("refs/heads/{branch}")) {
        return Ok(());
    }
    let message = format!("`{}` cannot be the name of a branch", branch.escape_debug());
    Err(Failure::new(FailureCode::BadRequest, message))
}

/// That a repository has no such branch, and which ones it has.
pub(super) fn absent_branch(branch: &str, branches: Vec<String>) -> Failure {
    let names = branches.into_iter().take(5);
    let names =
        names.map(|name| format!("`{}`", name.chars().take(80).collect::<String>().escape_debug()));
    let names: Vec<String> = names.collect();
    let message = if names.is_empty() {
        format!("the repository has no branch `{branch}`: it is empty")
    } else {
        format!("the repository has no branch `{branch}`; it has {}", names.join(", "))
    };
    Failure::new(FailureCode::NoBranch, message)
}

/// The names of some branches, to help whoever mistyped one.
fn branches(remote: &Repository) -> Vec<String> {
    let Ok(references) = remote.references_glob("refs/heads/*") else { return Vec::new() };
    let names = references.filter_map(|reference| {
        Some(reference.ok()?.name().ok()?.strip_prefix("refs/heads/")?.to_owned())
    });
    names.take(5).collect()
}

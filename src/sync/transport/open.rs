//! Finding the remote's repository and its branch, or the reason why not.

use std::io;

use camino::Utf8Path;
use git2::{ErrorCode, Oid, Repository};

use super::failure;
use crate::sync::protocol::{Failure, FailureCode, FetchLimits};
use crate::sync::remote::{RemoteUrl, Scheme};

/// Opens the remote, or says why that is not possible.
pub(super) fn open_remote(url: &RemoteUrl, limits: &FetchLimits) -> Result<Repository, Failure> {
    let refused = |message| Failure::new(FailureCode::SchemeRefused, message);
    if !limits.schemes.contains(&url.scheme()) {
        let word = url.scheme().as_str();
        return Err(refused(format!("`{word}://` remotes are not allowed by the node's settings")));
    }
    let (Scheme::File, Some(path)) = (url.scheme(), url.path()) else {
        return Err(refused("this version fetches from file:// remotes only".to_owned()));
    };
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
        ErrorCode::NotFound => Failure::new(
            FailureCode::NotARepository,
            format!("`{path}` is a directory, but no git repository"),
        ),
        ErrorCode::Owner => Failure::new(
            FailureCode::Permission,
            format!(
                "the repository `{path}` belongs to another user than the one that fetches, \
                 whom git does not trust; give it to that user"
            ),
        ),
        _ => failure(FailureCode::NotARepository, &format!("cannot open `{path}`"), &error),
    })
}

/// libgit2 as it is built here cannot tell such a repository from a broken one.
fn has_sha256_ids(path: &Utf8Path) -> bool {
    ["config", ".git/config"].into_iter().any(|name| {
        git2::Config::open(path.join(name).as_std_path())
            .and_then(|config| config.get_string("extensions.objectformat"))
            .is_ok_and(|format| format.eq_ignore_ascii_case("sha256"))
    })
}

/// The commit that a branch of the remote is at.
pub(super) fn find_tip(remote: &Repository, branch: &str) -> Result<Oid, Failure> {
    let name = format!("refs/heads/{branch}");
    if !git2::Reference::is_valid_name(&name) {
        let message = format!("`{}` cannot be the name of a branch", branch.escape_debug());
        return Err(Failure::new(FailureCode::BadRequest, message));
    }
    match remote.find_reference(&name).and_then(|reference| reference.resolve()) {
        Ok(reference) => reference.target().ok_or_else(|| {
            Failure::new(FailureCode::DamagedRemote, format!("branch `{branch}` names no commit"))
        }),
        Err(error) if error.code() == ErrorCode::NotFound => {
            let branches = branches(remote);
            let message = if branches.is_empty() {
                format!("the repository has no branch `{branch}`: it is empty")
            } else {
                format!("the repository has no branch `{branch}`; it has {}", branches.join(", "))
            };
            Err(Failure::new(FailureCode::NoBranch, message))
        }
        Err(error) => Err(failure(
            FailureCode::DamagedRemote,
            &format!("cannot read branch `{branch}` of the repository"),
            &error,
        )),
    }
}

/// The names of some branches, to help whoever mistyped one.
fn branches(remote: &Repository) -> Vec<String> {
    let Ok(references) = remote.references_glob("refs/heads/*") else { return Vec::new() };
    let names = references.filter_map(|reference| {
        let name = reference.ok()?.name().ok()?.strip_prefix("refs/heads/")?.to_owned();
        Some(format!("`{}`", name.chars().take(80).collect::<String>().escape_debug()))
    });
    names.take(5).collect()
}

//! Filling the cache from a repository on the same machine.
//!
//! Object by object, not through libgit2's transport for local paths: that one
//! fetches every branch and tag, each time, and takes any object into memory
//! however large it is.

use std::collections::HashSet;
use std::io::Write as _;

use camino::Utf8Path;
use git2::{ObjectType, Odb, OdbLookupFlags, Oid, Repository};

use super::{Trouble, failure};
use crate::sync::cache::CacheDirectory;
use crate::sync::protocol::{Failure, FailureCode, Fetch, FetchLimits};

/// Brings everything that the tip stands on into the cache, and sets its branch.
pub(super) fn fill(
    directory: &CacheDirectory,
    remote: &Repository,
    tip: Oid,
    fetch: &Fetch,
) -> Result<Repository, Trouble> {
    let cache = open_or_create(directory)?;
    if !has(&cache.odb().map_err(|e| unusable(&e))?, tip) {
        let view = view(&directory.repository(), remote).map_err(|e| unusable(&e))?;
        copy(remote, &view, &cache.odb().map_err(|e| unusable(&e))?, tip, &fetch.limits)?;
    }
    set_branch(&cache, &fetch.branch, tip)?;
    Ok(cache)
}

/// The repository of a cache, made where there is none.
///
/// Its settings are compared first: libgit2 obeys them, and whoever took an earlier
/// process over may have changed them, to reach what this one was handed for its remote.
pub(super) fn open_or_create(directory: &CacheDirectory) -> Result<Repository, Trouble> {
    let path = directory.repository();
    if path.exists() {
        directory.check_settings().map_err(Trouble::Cache)?;
    } else {
        let mut options = git2::RepositoryInitOptions::new();
        Repository::init_opts(&path, options.bare(true).external_template(false))
            .map_err(|e| unusable(&e))?;
        directory.put_settings()?;
    }
    Repository::open_bare(&path).map_err(|e| unusable(&e))
}

/// Lets a branch of the cache be at a commit.
pub(super) fn set_branch(cache: &Repository, branch: &str, tip: Oid) -> Result<(), Trouble> {
    let name = format!("refs/weft/{branch}");
    let there = cache.find_reference(&name).is_ok_and(|found| found.target() == Some(tip));
    if !there {
        cache.reference(&name, tip, true, "fetch").map_err(|e| unusable(&e))?;
    }
    Ok(())
}

fn unusable(error: &git2::Error) -> Trouble {
    match failure(FailureCode::DamagedCache, "the cache", error) {
        Failure { code: FailureCode::DamagedCache, message } => Trouble::Cache(message),
        failure => Trouble::Final(failure),
    }
}

/// Whether an object is there; does not look for packs that others just added.
fn has(objects: &Odb<'_>, id: Oid) -> bool {
    objects.exists_ext(id, OdbLookupFlags::NO_REFRESH)
}

/// The cache as it would be with every object of the remote: the cache's settings
/// hold, and not the remote's.
fn view(path: &Utf8Path, remote: &Repository) -> Result<Repository, git2::Error> {
    let view = Repository::open_bare(path)?;
    let objects = remote.commondir().join("objects");
    let objects = objects.to_str().ok_or_else(|| git2::Error::from_str("the path is no UTF-8"))?;
    view.odb()?.add_disk_alternate(objects)?;
    Ok(view)
}

/// Copies what a commit stands on and the cache lacks, as one pack. The pack is
/// there as a whole or not at all, so an object that the cache has needs no second
/// look at what is below it. Objects larger than the limit are left out.
fn copy(
    remote: &Repository,
    view: &Repository,
    cache: &Odb<'_>,
    tip: Oid,
    limits: &FetchLimits,
) -> Result<(), Trouble> {
    let broken = |e: git2::Error| {
        let hint = if remote.is_shallow() { "; it is a shallow clone" } else { "" };
        let what = format!("the repository lacks something of the branch{hint}");
        failure(FailureCode::DamagedRemote, &what, &e)
    };
    let objects = remote.odb().map_err(broken)?;
    let mut pack = view.packbuilder().map_err(broken)?;
    pack.set_threads(1);
    let mut seen = HashSet::from([tip]);
    let mut waiting = vec![tip];
    while let Some(id) = waiting.pop() {
        let (size, kind) = objects.read_header(id).map_err(broken)?;
        if size as u64 > limits.object_bytes.into() {
            continue;
        }
        pack.insert_object(id, None).map_err(broken)?;
        let mut found = |id| {
            if !has(cache, id) && seen.insert(id) {
                waiting.push(id);
            }
        };
        match kind {
            ObjectType::Commit => {
                let commit = remote.find_commit(id).map_err(broken)?;
                found(commit.tree_id());
                commit.parent_ids().for_each(found);
            }
            ObjectType::Tree => {
                for entry in &remote.find_tree(id).map_err(broken)? {
                    // A submodule's commit is in another repository.
                    if entry.kind() != Some(ObjectType::Commit) {
                        found(entry.id());
                    }
                }
            }
            _ => {}
        }
        if seen.len() > limits.objects as usize {
            let message = format!("the branch has more than {} new objects", limits.objects);
            return Err(Failure::new(FailureCode::TooLarge, message).into());
        }
    }
    if pack.object_count() == 0 {
        let limit = limits.object_bytes;
        let message = format!("commit {tip} is larger than the {limit} bytes that are fetched");
        return Err(Failure::new(FailureCode::TooLarge, message).into());
    }
    write_pack(&mut pack, cache, limits, broken)
}

fn write_pack(
    pack: &mut git2::PackBuilder<'_>,
    cache: &Odb<'_>,
    limits: &FetchLimits,
    broken: impl Fn(git2::Error) -> Failure,
) -> Result<(), Trouble> {
    let refused = |e: &git2::Error| match failure(FailureCode::DamagedCache, "no new pack", e) {
        Failure { code: FailureCode::DamagedCache, message } => Trouble::Cache(message),
        failure => Trouble::Final(failure),
    };
    let mut writer = cache.packwriter().map_err(|e| refused(&e))?;
    let (mut received, mut stopped) = (0, None);
    let built = pack.foreach(|bytes| {
        received += bytes.len() as u64;
        if received > limits.received_bytes {
            let message = format!("the fetch brings more than {} bytes", limits.received_bytes);
            stopped = Some(Failure::new(FailureCode::TooLarge, message).into());
        } else if writer.write_all(bytes).is_err() {
            // The writer keeps the reason to itself; libgit2 still has it.
            stopped = Some(refused(&git2::Error::last_error(-1)));
        }
        stopped.is_none()
    });
    match (stopped, built) {
        (Some(trouble), _) => Err(trouble),
        (None, Err(error)) => Err(broken(error).into()),
        (None, Ok(())) => writer.commit().map(drop).map_err(|e| refused(&e)),
    }
}

//! Publishing a commit of our own: only on top of what a branch is at.

use std::cell::RefCell;

use git2::{ErrorCode, ObjectType, Oid, ProxyOptions, PushOptions, RemoteRedirect, Repository};

use super::cage;
use super::network::{self, Seen};
use super::open::{check_branch, open_remote};
use super::{Session, Trouble, begin, copy, damaged, failure};
use crate::sync::cache::CacheDirectory;
use crate::sync::objects::Kind;
use crate::sync::protocol::{Failure, FailureCode, Publish};

/// Before any other store of objects: what is new is kept in memory until it is sent.
const FIRST: i32 = 1000;

impl Session {
    /// Publishes a commit. `body` holds its objects, one behind the other.
    pub(super) fn publish(&mut self, publish: &Publish, body: &[u8]) -> Result<(), Failure> {
        self.store = None;
        let fetch = &publish.fetch;
        begin(fetch)?;
        check_branch(&fetch.branch)?;
        let objects = split(publish, body)?;
        let remote = fetch.url.path().map(open_remote).transpose()?;
        let directory = CacheDirectory::claim(&fetch.cache)?;
        let mut needs = cage::Needs::of(fetch);
        needs.writable = vec![fetch.cache.clone()];
        needs.writable.append(&mut needs.readable);
        self.lock(&needs);
        if let Some(remote) = remote {
            return in_place(&remote, publish, &objects);
        }
        let push = || {
            let cache = copy::open_or_create(&directory)?;
            push(&cache, &directory, publish, &objects)
        };
        push().map_err(|trouble| damaged(&fetch.cache, trouble))
    }
}

type Objects<'a> = Vec<(ObjectType, &'a [u8])>;

fn split<'a>(publish: &Publish, body: &'a [u8]) -> Result<Objects<'a>, Failure> {
    let bad = || Failure::new(FailureCode::BadRequest, "the objects are not what was announced");
    let mut rest = body;
    let mut objects = Vec::new();
    for (word, size) in &publish.objects {
        let kind = match super::super::protocol::kind_named(word).ok_or_else(bad)? {
            Kind::Commit => ObjectType::Commit,
            Kind::Tree => ObjectType::Tree,
            Kind::Blob => ObjectType::Blob,
            Kind::Tag => return Err(bad()),
        };
        let (object, behind) = usize::try_from(*size)
            .ok()
            .and_then(|size| rest.split_at_checked(size))
            .ok_or_else(bad)?;
        objects.push((kind, object));
        rest = behind;
    }
    if rest.is_empty() { Ok(objects) } else { Err(bad()) }
}

/// Writes the objects; the commit must be among them.
fn write(repository: &Repository, objects: &Objects<'_>, commit: Oid) -> Result<(), git2::Error> {
    let store = repository.odb()?;
    let mut is_there = false;
    for (kind, bytes) in objects {
        is_there |= store.write(*kind, bytes)? == commit;
    }
    if is_there {
        Ok(())
    } else {
        Err(git2::Error::from_str("the commit is not among the objects"))
    }
}

fn ids(publish: &Publish) -> Result<(Oid, Option<Oid>), Failure> {
    let oid = |id: &crate::value::ObjectId| {
        Oid::from_bytes(id.as_bytes()).map_err(|e| failure(FailureCode::BadRequest, "an id", &e))
    };
    Ok((oid(&publish.commit)?, publish.base.as_ref().map(oid).transpose()?))
}

fn moved(branch: &str) -> Failure {
    let message = format!("branch `{branch}` moved meanwhile");
    Failure::new(FailureCode::Moved, message)
}

/// Into a repository of this machine.
fn in_place(remote: &Repository, publish: &Publish, objects: &Objects<'_>) -> Result<(), Failure> {
    let (commit, base) = ids(publish)?;
    let branch = &publish.fetch.branch;
    let failed = |e: git2::Error| failure(FailureCode::Failed, "cannot publish", &e);
    write(remote, objects, commit).map_err(failed)?;
    let name = format!("refs/heads/{branch}");
    let done = match base {
        Some(base) => remote.reference_matching(&name, commit, true, base, "publish"),
        None => remote.reference(&name, commit, false, "publish"),
    };
    match done {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound | ErrorCode::Locked
            ) =>
        {
            Err(moved(branch))
        }
        Err(error) => Err(failed(error)),
    }
}

/// To a server.
fn push(
    cache: &Repository,
    directory: &CacheDirectory,
    publish: &Publish,
    objects: &Objects<'_>,
) -> Result<(), Trouble> {
    let (commit, _) = ids(publish)?;
    let fetch = &publish.fetch;
    let failed = |e: git2::Error| failure(FailureCode::Failed, "cannot publish", &e);
    let store = cache.odb().map_err(failed)?;
    let _memory = store.add_new_mempack_backend(FIRST).map_err(failed)?;
    write(cache, objects, commit).map_err(failed)?;
    network::with_server(&directory.home(), fetch, |known_hosts| {
        let seen = Seen::new();
        let declined = RefCell::new(None);
        let send = || {
            let mut remote = cache.remote_anonymous(fetch.url.text())?;
            let mut callbacks = network::callbacks(fetch, known_hosts, &seen);
            callbacks.push_update_reference(|_, status| {
                declined.replace(status.map(|text| text.chars().take(200).collect::<String>()));
                Ok(())
            });
            let mut options = PushOptions::new();
            options
                .remote_callbacks(callbacks)
                .proxy_options(ProxyOptions::new())
                .packbuilder_parallelism(1)
                .follow_redirects(RemoteRedirect::None);
            let wanted = format!("{commit}:refs/heads/{}", fetch.branch);
            remote.push(&[wanted], Some(&mut options))
        };
        match (send(), declined.take()) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(reason)) => {
                let message = format!("the server declines the commit: {}", reason.escape_debug());
                Err(Failure::new(FailureCode::Declined, message).into())
            }
            (Err(error), _) if error.code() == ErrorCode::NotFastForward => {
                Err(moved(&fetch.branch).into())
            }
            (Err(error), _) => Err(network::trouble(&error, &seen, fetch)),
        }
    })
}

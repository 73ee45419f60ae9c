//! Filling the cache from a server, over https or ssh.
//!
//! libgit2 speaks, and decides nothing: whom to believe and what to answer when asked
//! for a login is decided here, by what the agent handed over. One branch is fetched,
//! and its reference is written here and not by libgit2.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use git2::{
    AutotagOption, CertificateCheckStatus, FetchOptions, ObjectType, Odb, Oid, ProxyOptions,
    RemoteCallbacks, RemoteRedirect, Repository,
};
use nix::sys::socket::{SockaddrIn, SockaddrIn6, SockaddrStorage, getpeername};

use super::cage::FILES as DESCRIPTORS;
use super::diagnose::diagnose;
use super::login::Answers;
use super::open::{absent_branch, check_branch};
use super::preference::prefer;
use super::{Trouble, copy, failure};
use crate::sync::cache::CacheDirectory;
use crate::sync::known_hosts::{KnownHosts, Verdict, describe, describe_key};
use crate::sync::origin::Origin;
use crate::sync::protocol::{Failure, FailureCode, Fetch};
use crate::sync::remote::Scheme;

/// What libssh2 says when no type of key is common to both ends.
const NO_COMMON_KEY_TYPE: &str = "Unable to exchange encryption keys";

/// A branch that no repository has: whoever brings it brings nothing.
const NOTHING: &str = "weft/look";

/// How many other branches are named, to help whoever mistyped one.
const NAMED: usize = 5;

/// What is said of a server that sends us to another one.
pub(super) const ELSEWHERE: &str =
    "the server sends us to another server or port, and this is not followed";

/// What was seen on the way, for the reason that libgit2 does not keep.
pub(super) struct Seen {
    /// Why one of the answers below ended the fetch.
    pub(super) stopped: RefCell<Option<Failure>>,
    /// The certificate that the server showed, as DER.
    pub(super) certificate: RefCell<Option<Vec<u8>>>,
    /// When the server was last heard of.
    pub(super) heard: Cell<Instant>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            stopped: RefCell::new(None),
            certificate: RefCell::new(None),
            heard: Cell::new(Instant::now()),
        }
    }

    /// Ends the fetch for a reason.
    fn stop(&self, failure: Failure) -> git2::Error {
        self.heard.set(Instant::now());
        let error = git2::Error::from_str("stopped");
        self.stopped.replace(Some(failure));
        error
    }
}

/// Brings the tip of the branch and all that it stands on into the cache, and sets the
/// cache's branch.
pub(super) fn fill(
    directory: &CacheDirectory,
    fetch: &Fetch,
) -> Result<(Repository, Oid), Trouble> {
    check_branch(&fetch.branch)?;
    let cache = copy::open_or_create(directory)?;
    let tip = ask(&cache, &directory.home(), fetch, &fetch.branch)?;
    // What came is judged by others; that it came is checked here.
    let missing = |e: git2::Error| {
        Trouble::Incomplete(format!(
            "the remote names commit {tip} and does not send it: {}",
            e.message()
        ))
    };
    cache.find_commit(tip).map_err(missing)?;
    copy::set_branch(&cache, &fetch.branch, tip)?;
    Ok((cache, tip))
}

/// The directory for the files that a look at the remote needs, if it needs any.
pub(super) fn home(fetch: &Fetch) -> Result<Option<Utf8PathBuf>, Failure> {
    if fetch.url.scheme() != Scheme::Ssh {
        return Ok(None);
    }
    let home = CacheDirectory::claim(&fetch.cache)?.home();
    let made = fs::create_dir_all(&home);
    made.map_err(|error| {
        Failure::new(FailureCode::Permission, format!("cannot make `{home}`: {error}"))
    })?;
    Ok(Some(home))
}

/// Where the branch is, by the remote's list of references alone.
pub(super) fn look(home: Option<&Utf8Path>, fetch: &Fetch) -> Result<Oid, Failure> {
    check_branch(&fetch.branch)?;
    let nowhere = Odb::new().and_then(Repository::from_odb);
    let nowhere = nowhere.map_err(|e| failure(FailureCode::Failed, "cannot look", &e))?;
    let home = home.unwrap_or(Utf8Path::new("/dev/null"));
    let tip = ask(&nowhere, home, fetch, NOTHING);
    // What stays is removed by the next fetch.
    drop(fs::remove_dir_all(home));
    tip.map_err(|trouble| match trouble {
        Trouble::Final(failure) => failure,
        Trouble::Cache(reason) | Trouble::Incomplete(reason) => {
            Failure::new(FailureCode::Failed, reason)
        }
    })
}

/// Has the remote list its references, and brings what one of its branches stands on
/// and the repository lacks.
fn ask(
    repository: &Repository,
    home: &Utf8Path,
    fetch: &Fetch,
    bring: &str,
) -> Result<Oid, Trouble> {
    let tip = with_server(home, fetch, |known| attempt(repository, fetch, bring, known))?;
    tip.0.ok_or_else(|| absent_branch(&fetch.branch, tip.1).into())
}

/// Talks to the server of a remote. One of ssh is asked for keys of the pinned types; if it
/// has none of these, for any, to see what it shows.
pub(super) fn with_server<T>(
    home: &Utf8Path,
    fetch: &Fetch,
    attempt: impl Fn(Option<&KnownHosts>) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let Some(known) = known_hosts(fetch)? else { return attempt(None) };
    let origin = Origin::of(&fetch.url);
    prefer(home, origin.as_ref().map(|origin| (&known, origin)))?;
    match attempt(Some(&known)) {
        Err(Trouble::Final(failure)) if failure.message.contains(NO_COMMON_KEY_TYPE) => {
            prefer(home, None)?;
            attempt(Some(&known))
        }
        tried => tried,
    }
}

fn attempt(
    repository: &Repository,
    fetch: &Fetch,
    bring: &str,
    known: Option<&KnownHosts>,
) -> Result<Tip, Trouble> {
    let seen = Seen::new();
    download(repository, fetch, bring, known, &seen).map_err(|error| trouble(&error, &seen, fetch))
}

/// Whether everything is there that a commit stands on. The objects below one that is
/// too large to be read are of no interest.
pub(super) fn is_whole(cache: &Repository, tip: Oid, limit: u32) -> bool {
    let mut seen = HashSet::from([tip]);
    let mut waiting = vec![tip];
    while let Some(id) = waiting.pop() {
        let Some(below) = below(cache, id) else { return false };
        waiting.extend(below.into_iter().filter(|id| seen.insert(*id)));
        if seen.len() > limit as usize {
            return true;
        }
    }
    true
}

/// What an object names; `None` where it is not there or cannot be read.
fn below(cache: &Repository, id: Oid) -> Option<Vec<Oid>> {
    let (_, kind) = cache.odb().ok()?.read_header(id).ok()?;
    Some(match kind {
        ObjectType::Commit => {
            let commit = cache.find_commit(id).ok()?;
            commit.parent_ids().chain([commit.tree_id()]).collect()
        }
        ObjectType::Tree => {
            let tree = cache.find_tree(id).ok()?;
            let inside = tree.iter().filter(|entry| entry.kind() != Some(ObjectType::Commit));
            inside.map(|entry| entry.id()).collect()
        }
        _ => Vec::new(),
    })
}

fn known_hosts(fetch: &Fetch) -> Result<Option<KnownHosts>, Failure> {
    if fetch.url.scheme() != Scheme::Ssh {
        return Ok(None);
    }
    let unusable = |message| Failure::new(FailureCode::KnownHostsUnusable, message);
    let text = fetch.access.known_hosts.as_deref();
    let text = text.ok_or_else(|| unusable("no keys of ssh hosts were given".to_owned()))?;
    KnownHosts::read(text)
        .map(Some)
        .map_err(|e| unusable(format!("the file of `known-hosts:`, {e}")))
}

/// The branch's tip where there is one, else names of branches that there are.
type Tip = (Option<Oid>, Vec<String>);

fn download(
    repository: &Repository,
    fetch: &Fetch,
    bring: &str,
    known_hosts: Option<&KnownHosts>,
    seen: &Seen,
) -> Result<Tip, git2::Error> {
    let mut remote = repository.remote_anonymous(fetch.url.text())?;
    let wanted = format!("refs/heads/{}", fetch.branch);
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks(fetch, known_hosts, seen))
        // None: neither of the environment nor of a configuration.
        .proxy_options(ProxyOptions::new())
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .follow_redirects(RemoteRedirect::None);
    remote.download(&[format!("+refs/heads/{bring}:refs/weft/{bring}")], Some(&mut options))?;
    let mut tip = (None, Vec::new());
    for head in remote.list()? {
        if head.name() == wanted {
            tip.0 = Some(head.oid());
        } else if let Some(branch) = head.name().strip_prefix("refs/heads/")
            && tip.1.len() < NAMED
        {
            tip.1.push(branch.to_owned());
        }
    }
    // Nothing depends on a proper farewell.
    drop(remote.disconnect());
    Ok(tip)
}

pub(super) fn callbacks<'a>(
    fetch: &'a Fetch,
    known_hosts: Option<&'a KnownHosts>,
    seen: &'a Seen,
) -> RemoteCallbacks<'a> {
    let origin = Origin::of(&fetch.url);
    let mut callbacks = RemoteCallbacks::new();
    let shown_to = origin.clone();
    callbacks.certificate_check(move |certificate, host| {
        seen.heard.set(Instant::now());
        if let Some(certificate) = certificate.as_x509() {
            // libgit2 lets a server send it to another port of the same host.
            if !shown_to.as_ref().is_some_and(|origin| is_connected_to(origin, host)) {
                return Err(seen.stop(Failure::new(FailureCode::RedirectRefused, ELSEWHERE)));
            }
            // OpenSSL has judged it; this is for the reason only.
            seen.certificate.replace(Some(certificate.data().to_vec()));
            return Ok(CertificateCheckStatus::CertificatePassthrough);
        }
        let key = certificate.as_hostkey().and_then(|key| key.hostkey());
        let judged = match (known_hosts, &shown_to, key) {
            (Some(known), Some(origin), Some(key)) => judge_key(known, origin, key),
            _ => Err(Failure::new(
                FailureCode::HostKeyUnknown,
                "the host shows no key that can be compared",
            )),
        };
        judged.map(|()| CertificateCheckStatus::CertificateOk).map_err(|failure| seen.stop(failure))
    });
    let mut answers = Answers::new(fetch.access.login.as_ref(), origin);
    callbacks.credentials(move |url, user, allowed| {
        answers.answer(url, user, allowed).map_err(|failure| seen.stop(failure))
    });
    let limits = &fetch.limits;
    callbacks.transfer_progress(move |progress| {
        seen.heard.set(Instant::now());
        let message = if progress.received_bytes() as u64 > limits.received_bytes {
            format!("the fetch brings more than {} bytes", limits.received_bytes)
        } else if progress.total_objects() > limits.objects as usize {
            format!("the branch has more than {} new objects", limits.objects)
        } else {
            return true;
        };
        seen.stop(Failure::new(FailureCode::TooLarge, message));
        false
    });
    callbacks.sideband_progress(move |_| {
        seen.heard.set(Instant::now());
        true
    });
    callbacks
}

/// Whether every connection of this process leads to a server, which libgit2 calls `host`.
fn is_connected_to(origin: &Origin, host: &str) -> bool {
    let port = |address: &SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(SockaddrIn::port);
        v4.or_else(|| address.as_sockaddr_in6().map(SockaddrIn6::port))
    };
    // The descriptors that there can be: a list of those that there are cannot be had
    // from within the cage.
    let peers = (3..DESCRIPTORS).filter_map(|number| getpeername(number).ok());
    host.eq_ignore_ascii_case(origin.host())
        && peers.filter_map(|peer| port(&peer)).all(|port| port == origin.port())
}

/// Whether a host may show a key.
fn judge_key(known: &KnownHosts, origin: &Origin, key: &[u8]) -> Result<(), Failure> {
    let (host, port, shown) = (origin.host(), origin.port(), describe(key));
    let (code, message) = match known.judge(host, port, key) {
        Verdict::Pinned => return Ok(()),
        Verdict::Unknown => (
            FailureCode::HostKeyUnknown,
            format!("unknown host: no key of {host} port {port} is pinned; it shows {shown}"),
        ),
        Verdict::Changed => {
            let pinned: Vec<String> = known.pinned(host, port).take(8).map(describe_key).collect();
            (
                FailureCode::HostKeyChanged,
                format!(
                    "changed host key: {host} port {port} shows {shown}; pinned is {}. \
                     Somebody may be in between; if the server has a new key, or several, pin all of them",
                    pinned.join(", ")
                ),
            )
        }
        Verdict::Revoked(line) => (
            FailureCode::HostKeyRevoked,
            format!(
                "revoked host key: {host} port {port} shows {shown}, which line {line} revokes"
            ),
        ),
    };
    Err(Failure::new(code, message))
}

/// What an error of libgit2 means.
pub(super) fn trouble(error: &git2::Error, seen: &Seen, fetch: &Fetch) -> Trouble {
    use git2::ErrorClass as Class;

    if let Some(failure) = seen.stopped.take() {
        return failure.into();
    }
    if error.message().contains("failed to lock file") {
        return Trouble::Cache(error.message().to_owned());
    }
    let of_cache = matches!(
        error.class(),
        Class::Odb
            | Class::Object
            | Class::Reference
            | Class::Repository
            | Class::Config
            | Class::Zlib
            | Class::Tree
    ) || error.message().contains("missing delta bases");
    if of_cache && !error.message().contains("redirect") {
        return match failure(FailureCode::DamagedCache, "the cache", error) {
            Failure { code: FailureCode::DamagedCache, message } => Trouble::Cache(message),
            failure => Trouble::Final(failure),
        };
    }
    diagnose(error, seen, fetch).into()
}

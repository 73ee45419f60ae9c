//! Filling the cache from a server, over https or ssh.
//!
//! libgit2 speaks, and decides nothing: whom to believe and what to answer when asked
//! for a login is decided here, by what the agent handed over. One branch is fetched,
//! and its reference is written here and not by libgit2.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Instant;

use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, FetchOptions, ObjectType, Oid,
    ProxyOptions, RemoteCallbacks, RemoteRedirect, Repository,
};

use super::diagnose::diagnose;
use super::open::{absent_branch, check_branch};
use super::preference::prefer;
use super::{Trouble, copy, failure};
use crate::sync::access::Login;
use crate::sync::cache::CacheDirectory;
use crate::sync::known_hosts::{KnownHosts, Verdict, describe, describe_key};
use crate::sync::origin::Origin;
use crate::sync::protocol::{Failure, FailureCode, Fetch};
use crate::sync::remote::Scheme;
use crate::value::Secret;

/// What libssh2 says when no type of key is common to both ends.
const NO_COMMON_KEY_TYPE: &str = "Unable to exchange encryption keys";

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
    fn new() -> Self {
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
    let cache = copy::open_or_create(&directory.repository())?;
    let known_hosts = known_hosts(fetch)?;
    let tip = match &known_hosts {
        None => attempt(&cache, fetch, None),
        Some(known) => over_ssh(directory, &cache, fetch, known),
    }?;
    let Some(tip) = tip.0 else {
        return Err(absent_branch(&fetch.branch, tip.1).into());
    };
    // What came is judged by others; that it came is checked here.
    let missing = |e: git2::Error| {
        Trouble::Cache(format!("the tip of the branch is not there: {}", e.message()))
    };
    cache.find_commit(tip).map_err(missing)?;
    copy::set_branch(&cache, &fetch.branch, tip)?;
    Ok((cache, tip))
}

/// Asks an ssh server for keys of the pinned types. One that has none of these is asked
/// for any, to see what it shows.
fn over_ssh(
    directory: &CacheDirectory,
    cache: &Repository,
    fetch: &Fetch,
    known: &KnownHosts,
) -> Result<Tip, Trouble> {
    let origin = Origin::of(&fetch.url);
    prefer(&directory.home(), origin.as_ref().map(|origin| (known, origin)))?;
    match attempt(cache, fetch, Some(known)) {
        Err(Trouble::Final(failure)) if failure.message.contains(NO_COMMON_KEY_TYPE) => {
            prefer(&directory.home(), None)?;
            attempt(cache, fetch, Some(known))
        }
        tried => tried,
    }
}

fn attempt(cache: &Repository, fetch: &Fetch, known: Option<&KnownHosts>) -> Result<Tip, Trouble> {
    let seen = Seen::new();
    download(cache, fetch, known, &seen).map_err(|error| trouble(&error, &seen, fetch))
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
    cache: &Repository,
    fetch: &Fetch,
    known_hosts: Option<&KnownHosts>,
    seen: &Seen,
) -> Result<Tip, git2::Error> {
    let mut remote = cache.remote_anonymous(fetch.url.text())?;
    let wanted = format!("refs/heads/{}", fetch.branch);
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks(fetch, known_hosts, seen))
        // None: neither of the environment nor of a configuration.
        .proxy_options(ProxyOptions::new())
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .follow_redirects(RemoteRedirect::None);
    remote.download(&[format!("+{wanted}:refs/weft/{}", fetch.branch)], Some(&mut options))?;
    let mut tip = (None, Vec::new());
    for head in remote.list()? {
        if head.name() == wanted {
            tip.0 = Some(head.oid());
        } else if let Some(branch) = head.name().strip_prefix("refs/heads/") {
            tip.1.push(branch.to_owned());
        }
    }
    // Nothing depends on a proper farewell.
    drop(remote.disconnect());
    Ok(tip)
}

fn callbacks<'a>(
    fetch: &'a Fetch,
    known_hosts: Option<&'a KnownHosts>,
    seen: &'a Seen,
) -> RemoteCallbacks<'a> {
    let origin = Origin::of(&fetch.url);
    let mut callbacks = RemoteCallbacks::new();
    let shown_to = origin.clone();
    callbacks.certificate_check(move |certificate, _| {
        seen.heard.set(Instant::now());
        if let Some(certificate) = certificate.as_x509() {
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
    let mut answers = Answers { fetch, origin, answered: CredentialType::empty() };
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

/// Answers each kind of question for a login at most once: whoever asks again has
/// refused the answer.
struct Answers<'a> {
    fetch: &'a Fetch,
    origin: Option<Origin>,
    answered: CredentialType,
}

impl Answers<'_> {
    fn answer(
        &mut self,
        url: &str,
        user: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Cred, Failure> {
        let refuse = |code, message: &str| Failure::new(code, message);
        // libgit2 follows a server to another port of the same host.
        let asking =
            format!("{}/", url.trim_end_matches('/')).parse().ok().as_ref().and_then(Origin::of);
        let asking = asking.or_else(|| url.parse().ok().as_ref().and_then(Origin::of));
        if asking.is_none() || asking != self.origin {
            let message =
                "another server than the one of the URL asks for the login; nothing was sent";
            return Err(refuse(FailureCode::OriginRefused, message));
        }
        let Some(login) = &self.fetch.access.login else {
            let message = "the server wants a login, and the remote names no credential";
            return Err(refuse(FailureCode::LoginRequired, message));
        };
        let made = |kind, cred: Result<Cred, git2::Error>, answered: &mut CredentialType| {
            if answered.contains(kind) {
                return Err(refuse(FailureCode::LoginDenied, "the server denies the credential"));
            }
            *answered |= kind;
            cred.map_err(|e| {
                failure(FailureCode::CredentialUnusable, "the credential cannot be used", &e)
            })
        };
        let answered = &mut self.answered;
        match login {
            Login::Password { user, secret }
                if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) =>
            {
                let cred = Cred::userpass_plaintext(user, secret.expose());
                made(CredentialType::USER_PASS_PLAINTEXT, cred, answered)
            }
            Login::Key { user: named, .. } if allowed.contains(CredentialType::USERNAME) => {
                let cred = Cred::username(named.as_deref().unwrap_or("git"));
                made(CredentialType::USERNAME, cred, answered)
            }
            Login::Key { user: named, key, passphrase }
                if allowed.contains(CredentialType::SSH_MEMORY) =>
            {
                let user = user.or(named.as_deref()).unwrap_or("git");
                let passphrase = passphrase.as_ref().map(Secret::expose);
                let cred = Cred::ssh_key_from_memory(user, None, key.expose(), passphrase);
                made(CredentialType::SSH_MEMORY, cred, answered)
            }
            Login::Password { .. } => {
                Err(refuse(FailureCode::LoginDenied, "the server takes neither password nor token"))
            }
            Login::Key { .. } => Err(refuse(FailureCode::LoginDenied, "the server takes no key")),
        }
    }
}

/// What an error of libgit2 means.
fn trouble(error: &git2::Error, seen: &Seen, fetch: &Fetch) -> Trouble {
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

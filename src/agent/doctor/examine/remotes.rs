//! Asking the remotes, by the process that fetches for the agent too.
//!
//! In a cache of its own: the agent, which may be at work meanwhile, owns the other one.

use std::time::Duration;

use camino::Utf8Path;

use super::super::examined::{Looked, RemoteAnswer, RemoteTrouble};
use super::DRY;
use crate::agent::credentials;
use crate::agent::error::{TurnError, chain};
use crate::agent::revoked;
use crate::agent::settings::{self, Settings};
use crate::apply;
use crate::host::{Host as _, Linux};
use crate::network::Network;
use crate::sync::worker::FetchUser;
use crate::sync::{self, Anchors, Cancel, FetchLimits, Remote, Store, TransportError, Worker};
use crate::validate;
use crate::validate::scope::Scopes;
use crate::value::ObjectId;

/// What the remotes send is kept here, and removed when they were asked.
const CACHE: &str = "/var/cache/weft/doctor.git";

/// The lock of [`CACHE`].
const LOCK: &str = "/run/weft/doctor.lock";

/// The longest that one remote may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What each remote answers, and what the newest trusted commit of the first one that
/// does declares. The node changes in nothing.
pub(super) fn ask(
    host: &Linux,
    settings: Option<&Settings>,
    fetch: Option<&Utf8Path>,
) -> (Looked<Vec<RemoteAnswer>>, Option<Network>) {
    let unseen = |why: &str| (Looked::Unseen(why.to_owned()), None);
    let Some(program) = fetch else { return unseen("`--online` asks them") };
    let Some(settings) = settings else { return unseen("there are no settings that name them") };
    if host.is_dry() {
        return unseen(DRY);
    }
    let _lock = match host.lock(Utf8Path::new(LOCK)) {
        Ok(Some(lock)) => lock,
        Ok(None) => return unseen("another `weft doctor` is asking them"),
        Err(error) => return unseen(&chain(&error)),
    };
    let mut network = None;
    let mut answers = Vec::new();
    for declared in &settings.remotes.value {
        let answer = match fetched(host, settings, program, declared) {
            Ok((worker, tip)) => {
                if network.is_none() {
                    // Why a commit is refused is told by `weft plan` and `weft status`.
                    network = trusted(host, settings, Store::new(&worker), tip).ok().flatten();
                }
                Ok(tip)
            }
            Err(error) => Err(trouble(&error)),
        };
        answers.push(RemoteAnswer { name: declared.name.value.to_string(), answer });
    }
    if let Err(error) = host.remove_directory(Utf8Path::new(CACHE)) {
        tracing::warn!(%error, "the cache of the remotes stays");
    }
    (Looked::Seen(answers), network)
}

fn fetched(
    host: &Linux,
    settings: &Settings,
    program: &Utf8Path,
    declared: &settings::Remote,
) -> Result<(Worker, ObjectId), TransportError> {
    let remote = Remote { name: declared.name.value.clone(), url: declared.url.value.clone() };
    let limits = FetchLimits { schemes: settings.schemes(), ..FetchLimits::default() };
    let access = credentials::access(host, settings, declared)
        .map_err(|failure| TransportError::of(&remote, &failure))?;
    let worker = Worker::start(program, FetchUser::find(), DEADLINE, &Cancel::default())?;
    let tip = worker.fetch(&remote, &access, settings.branch(), Utf8Path::new(CACHE), &limits)?;
    Ok((worker, tip))
}

/// What the newest trusted commit declares; `None` where nothing is trusted or its
/// declarations have errors.
fn trusted(
    host: &Linux,
    settings: &Settings,
    store: Store<'_>,
    tip: ObjectId,
) -> Result<Option<Network>, TurnError> {
    let trust = revoked::trust(host, settings)?;
    let ran = !apply::history(host)?.is_empty();
    let anchors = Anchors::open(host, &trust, ran)?;
    let scopes = Scopes::default();
    let judgement = sync::judge(store, tip, &trust, anchors.anchor(), host.now(), &|difference| {
        scopes.judge(difference)
    })?;
    let Some(accepted) = judgement.accepted else { return Ok(None) };
    let tree = sync::tree(store, &accepted, settings.base())
        .map_err(|source| TurnError::Tree { commit: accepted.record().commit, source })?;
    Ok(validate::check(tree.get(), Some(&settings.cluster.value), &[]).0)
}

fn trouble(error: &TransportError) -> RemoteTrouble {
    RemoteTrouble {
        code: error.code().to_owned(),
        message: chain(error),
        retry_helps: error.retry_helps(),
    }
}

//! Asking the remotes, by the process that fetches for the agent too.

use std::time::Duration;

use camino::Utf8Path;

use super::super::examined::{Looked, RemoteAnswer, RemoteTrouble};
use super::DRY;
use crate::agent::credentials;
use crate::agent::error::chain;
use crate::agent::settings::{self, Settings};
use crate::agent::turn::{CACHE, Purpose, Turn};
use crate::apply::LOCK;
use crate::host::{Host as _, Linux};
use crate::network::Network;
use crate::sync::{FetchLimits, Remote, TransportError, Worker};
use crate::validate;

/// The longest that one remote may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What each remote answers, and what the newest trusted commit declares. Nothing but
/// the cache changes.
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
    let answers = match host.lock(Utf8Path::new(LOCK)) {
        Ok(Some(_lock)) => fetch_each(host, settings, program),
        Ok(None) => {
            return unseen("another weft is at work on this node; ask again when it is done");
        }
        Err(error) => return unseen(&chain(&error)),
    };
    let turn = Turn { host, settings, program, root: None };
    // Why a commit is refused is told by `weft plan` and `weft status`.
    let report = turn.make(Purpose::Plan).ok();
    let network = report.and_then(|report| {
        report.status.trusted.as_ref()?;
        validate::check(&report.tree, Some(&settings.cluster.value)).0
    });
    (Looked::Seen(answers), network)
}

fn fetch_each(host: &Linux, settings: &Settings, program: &Utf8Path) -> Vec<RemoteAnswer> {
    let limits = FetchLimits { schemes: settings.schemes(), ..FetchLimits::default() };
    let branch = settings.branch();
    let fetch = |remote: &Remote, declared: &settings::Remote| {
        let access = credentials::access(host, settings, declared)
            .map_err(|failure| TransportError::of(remote, &failure))?;
        let worker = Worker::start(program, DEADLINE)?;
        worker.fetch(remote, &access, branch, Utf8Path::new(CACHE), &limits)
    };
    let answers = settings.remotes.value.iter().map(|declared| {
        let remote = Remote { name: declared.name.value.clone(), url: declared.url.value.clone() };
        let name = remote.name.to_string();
        RemoteAnswer { name, answer: fetch(&remote, declared).map_err(|error| trouble(&error)) }
    });
    answers.collect()
}

fn trouble(error: &TransportError) -> RemoteTrouble {
    RemoteTrouble {
        code: error.code().to_owned(),
        message: chain(error),
        retry_helps: error.retry_helps(),
    }
}

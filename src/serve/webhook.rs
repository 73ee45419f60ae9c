//! `POST /hook/NAME`: a forge says that a branch moved.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use secrecy::SecretSlice;
use serde::Deserialize;

use super::{Shared, proof};
use crate::agent::hook::{HookKeys, Provider};
use crate::value::HookName;

/// The largest body, in bytes.
pub const MAX_BODY: usize = 256 << 10;

/// What became of a webhook. Those who send one learn only whether it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It asks for an early poll.
    Accepted,
    /// It was taken before.
    Repeated,
    /// It is about another branch, or about no push.
    Unrelated,
    /// It is not proven, or there is no such webhook.
    Refused,
}

impl Verdict {
    /// The word in metrics and in the log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Unrelated => "unrelated",
            Self::Refused => "refused",
        }
    }
}

/// Takes a webhook: its bytes first, then its proof, then what it says.
pub(super) async fn take(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response().status(),
    };
    let listening = Arc::clone(&shared.agent.listening.borrow());
    let hook = name.parse::<HookName>().ok().and_then(|name| listening.hooks.get_key_value(&name));
    let Some((name, keys)) = hook else {
        // Takes as long as one that is there and is not proven.
        let nobody = HookKeys {
            provider: Provider::Github,
            secrets: vec![SecretSlice::from(b"nobody knows this secret".to_vec())],
        };
        let _ = proof::proves(&nobody, &headers, &body, shared.agent.now());
        shared.agent.metrics.webhook("none", Verdict::Refused.as_str());
        return StatusCode::UNAUTHORIZED;
    };
    let verdict = if !proof::proves(keys, &headers, &body, shared.agent.now()) {
        Verdict::Refused
    } else if delivery(keys.provider, &headers).is_some_and(|id| !shared.deliveries.take(name, id))
    {
        Verdict::Repeated
    } else if is_about(keys.provider, &headers, &body, listening.branch.as_deref()) {
        shared.agent.nudge();
        Verdict::Accepted
    } else {
        Verdict::Unrelated
    };
    tracing::debug!(hook = %name, verdict = verdict.as_str(), "webhook");
    shared.agent.metrics.webhook(keys.provider.as_str(), verdict.as_str());
    match verdict {
        Verdict::Refused => StatusCode::UNAUTHORIZED,
        Verdict::Accepted | Verdict::Repeated | Verdict::Unrelated => StatusCode::ACCEPTED,
    }
}

/// How the sender calls this delivery, if it does.
fn delivery(provider: Provider, headers: &HeaderMap) -> Option<&[u8]> {
    let names: &[&str] = match provider {
        Provider::Github => &["x-github-delivery"],
        Provider::Gitea => &["x-gitea-delivery"],
        Provider::Forgejo => &["x-forgejo-delivery", "x-gitea-delivery"],
        Provider::Gitlab => &["webhook-id", "idempotency-key", "x-gitlab-event-uuid"],
        Provider::Generic => &["webhook-id", "x-request-id"],
    };
    names
        .iter()
        .find_map(|name| headers.get(*name))
        .map(axum::http::HeaderValue::as_bytes)
        .filter(|id| !id.is_empty())
}

/// What is read of a body.
#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
}

/// Whether a proven webhook may be about the branch that is followed. What does not
/// say what it is about may be.
fn is_about(provider: Provider, headers: &HeaderMap, body: &[u8], branch: Option<&str>) -> bool {
    let (name, pushes): (_, &[&str]) = match provider {
        Provider::Github => ("x-github-event", &["push"]),
        Provider::Gitea => ("x-gitea-event", &["push"]),
        Provider::Forgejo => ("x-forgejo-event", &["push"]),
        Provider::Gitlab => ("x-gitlab-event", &["Push Hook", "System Hook"]),
        Provider::Generic => ("", &[]),
    };
    let event = (!name.is_empty()).then(|| headers.get(name)).flatten();
    if event.is_some_and(|event| !pushes.iter().any(|push| event == push)) {
        return false;
    }
    let (Ok(push), Some(branch)) = (serde_json::from_slice::<Push>(body), branch) else {
        return true;
    };
    match push.reference.strip_prefix("refs/") {
        Some(reference) => reference.strip_prefix("heads/") == Some(branch),
        None => true,
    }
}

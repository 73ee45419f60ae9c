//! Which webhooks are listened to, and the secrets that they are proven with.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use camino::Utf8Path;
use secrecy::SecretSlice;
use thiserror::Error;

use super::settings::{NodeFile, Settings};
use crate::host::{Host, HostError};
use crate::value::HookName;

/// The longest secret that is read, in bytes.
const MAX_SECRET: u64 = 4096;
/// The shortest secret that is used, in bytes.
pub const MIN_SECRET: usize = 16;

choices! {
    /// Who sends a webhook, and so how it is proven.
    pub enum Provider as "a webhook provider" {
        /// `X-Hub-Signature-256`.
        "github" Github,
        /// `X-Gitea-Signature`.
        "gitea" Gitea,
        /// `X-Forgejo-Signature`, or Gitea's.
        "forgejo" Forgejo,
        /// `webhook-signature` where the secret begins with `whsec_`, else
        /// `X-Gitlab-Token`.
        "gitlab" Gitlab,
        /// `webhook-signature`, or `X-Signature` with `sha256=` or `sha512=`.
        "generic" Generic,
    }
}

declaration! {
    /// One webhook.
    pub struct Hook as "a webhook" {
        /// Who sends it.
        required "provider" provider: Provider,
        /// The file that holds its secret.
        required "secret-file" secret_file: NodeFile,
        /// The file that holds the secret before the last change, which counts as
        /// well.
        optional "previous-secret-file" previous_secret_file: NodeFile,
    }
}

/// What the HTTP side of the agent is told: where to listen and whom to believe.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// Where to listen; nowhere when `None`.
    pub address: Option<SocketAddr>,
    /// The branch that is followed: a webhook about another one needs no poll.
    pub branch: Option<String>,
    /// The webhooks by the last part of their path.
    pub hooks: BTreeMap<HookName, HookKeys>,
}

/// How the webhooks of one path are proven.
#[derive(Clone, Debug)]
pub struct HookKeys {
    /// Who sends them.
    pub provider: Provider,
    /// The secrets, any of which proves one. Show nothing when they are printed.
    pub secrets: Vec<SecretSlice<u8>>,
}

/// Why a secret is not used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no file.
    #[error("there is no `{0}`; make it with `head -c 32 /dev/urandom | base64 > {0}`")]
    Missing(NodeFile),
    /// Everybody on the machine may read or write the file.
    #[error("everybody may read or write `{0}`; do `chmod 600 {0}`")]
    Exposed(NodeFile),
    /// It is too short to be secret.
    #[error("the secret in `{0}` has fewer than {MIN_SECRET} bytes")]
    TooShort(NodeFile),
}

/// What the settings say of HTTP, with the secrets as they are on the node now. A
/// webhook whose secrets cannot be read is left out, and the reason is given.
pub fn listening(
    host: &impl Host,
    settings: &Settings,
) -> (Listening, Vec<(HookName, SecretError)>) {
    let mut errors = Vec::new();
    let mut hooks = BTreeMap::new();
    for (name, entry) in settings.hooks.iter().flat_map(|hooks| &hooks.value) {
        match keys(host, &entry.value) {
            Ok(keys) => {
                hooks.insert(name.clone(), keys);
            }
            Err(error) => errors.push((name.clone(), error)),
        }
    }
    let branch = Some(settings.branch().to_owned());
    (Listening { address: settings.listen(), branch, hooks }, errors)
}

fn keys(host: &impl Host, hook: &Hook) -> Result<HookKeys, SecretError> {
    let mut secrets = vec![secret(host, &hook.secret_file.value)?];
    if let Some(previous) = &hook.previous_secret_file {
        // The one before may be gone: it has done its work.
        match secret(host, &previous.value) {
            Ok(previous) => secrets.push(previous),
            Err(SecretError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(HookKeys { provider: hook.provider.value, secrets })
}

fn secret(host: &impl Host, path: &NodeFile) -> Result<SecretSlice<u8>, SecretError> {
    let Some(file) = host.read(Utf8Path::new(path.as_str()), MAX_SECRET)? else {
        return Err(SecretError::Missing(path.clone()));
    };
    let exposed = file.mode & 0o007 != 0;
    let length = file.bytes.trim_ascii_end().len();
    let mut bytes = file.bytes;
    bytes.truncate(length);
    let secret = SecretSlice::from(bytes);
    if exposed {
        return Err(SecretError::Exposed(path.clone()));
    }
    if length < MIN_SECRET {
        return Err(SecretError::TooShort(path.clone()));
    }
    Ok(secret)
}

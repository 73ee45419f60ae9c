//! How a remote is proven to be the right one, and how to log in there: what the
//! settings say of it, and the files that they name, read anew for each fetch.

use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};

use super::error::chain;
use super::settings::{Remote, Settings};
use crate::declare::finding::{Code, Finding, Findings, suggestion};
use crate::declare::scalar::scalar;
use crate::declare::shape::Shape;
use crate::declare::yaml;
use crate::host::{Host, HostError};
use crate::sync::known_hosts;
use crate::sync::origin::Origin;
use crate::sync::protocol::{Failure, FailureCode};
use crate::sync::remote::Scheme;
use crate::sync::{Access, Login};
use crate::value::{CredentialId, Principal, Secret, ServiceUrl};

/// The largest file of certificate authorities, in bytes: the system's own has 220 KB.
const MAX_AUTHORITIES_BYTES: u64 = 384 * 1024;
/// The largest file of a token, a password or a key, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// The longest token, password or passphrase, in bytes.
const MAX_WORD_BYTES: usize = 8 * 1024;

choices! {
    /// What a credential is.
    pub enum Kind as "a kind of credential" {
        /// A token of a forge, sent as a password.
        "token" Token,
        /// A password.
        "password" Password,
        /// A private key of ssh.
        "ssh-key" SshKey,
    }
}

/// The path of a file on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsolutePath(Utf8PathBuf);

impl AsRef<Utf8Path> for AbsolutePath {
    fn as_ref(&self) -> &Utf8Path {
        &self.0
    }
}

impl FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain =
            text.len() <= 4096 && !text.ends_with('/') && !text.chars().any(char::is_control);
        if plain && text.starts_with('/') && text.split('/').all(|part| part != "..") {
            return Ok(Self(text.into()));
        }
        // What is no path may be the secret itself.
        let shown = if text.starts_with('/') { text } else { "…" };
        Err(format!(
            "`{}` is not the absolute path of a file, such as `/etc/weft/forge.token`",
            shown.escape_debug()
        ))
    }
}

impl Shape for AbsolutePath {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "the path of a file", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/" })
    }
}

impl Shape for Origin {
    fn read(node: &yaml::Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "the origin of a server", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(https|ssh)://[^/@]+$" })
    }
}

declaration! {
    /// How to log in to a server. The secret itself is in a file of its own.
    pub struct Credential as "a credential" {
        /// What it is.
        required "type" kind: Kind,
        /// The file that holds it. Others than its owner and group may not read it.
        required "file" file: AbsolutePath,
        /// The only server that it may be sent to.
        required "origin" origin: Origin,
        /// Who logs in. `git` when absent.
        optional "user" user: Principal,
        /// The file with the passphrase of a key.
        optional "passphrase-file" passphrase_file: AbsolutePath,
    }
}

/// What is wrong with what a remote is reached by.
pub(super) fn check(settings: &Settings, remote: &Remote, findings: &mut Findings) {
    let (name, url) = (&remote.name.value, &remote.url);
    let mut find = |code, message: String, place: &_, help: String| {
        findings.push(Finding::new(code, message, place).help(help));
    };
    let scheme = url.value.scheme();
    if let Some(ca) = remote.ca.as_ref().filter(|_| scheme != Scheme::Https) {
        let message = format!("remote `{name}` is not reached over https, so `ca` says nothing");
        find(Code::BadValue, message, &ca.place, "remove it".to_owned());
    }
    match &remote.known_hosts {
        Some(file) if scheme != Scheme::Ssh => {
            let message =
                format!("remote `{name}` is not reached over ssh, so `known-hosts` says nothing");
            find(Code::BadValue, message, &file.place, "remove it".to_owned());
        }
        None if scheme == Scheme::Ssh => {
            let message =
                format!("remote `{name}` is reached over ssh, and no key of its host is pinned");
            let help = "add `known-hosts: /etc/weft/known_hosts`, a file with the host's keys; no key is trusted at first sight";
            find(Code::MissingKey, message, &url.place, help.to_owned());
        }
        _ => {}
    }
    let Some(id) = &remote.credential else {
        if scheme == Scheme::Ssh {
            let message =
                format!("remote `{name}` is reached over ssh, and has no key to log in with");
            let help = "add `credential: ID`, and below `credentials` one of `type: ssh-key`";
            find(Code::MissingKey, message, &url.place, help.to_owned());
        }
        return;
    };
    let declared = settings.credentials.as_ref().map(|declared| &declared.value);
    let Some(credential) = declared.and_then(|declared| declared.get(&id.value)) else {
        let names = declared.into_iter().flatten().map(|(name, _)| name.as_ref());
        let help = suggestion(id.value.as_ref(), "credentials", names);
        let message = format!("there is no credential `{}`", id.value);
        find(
            Code::BadValue,
            message,
            &id.place,
            help.unwrap_or_else(|| "declare it below `credentials`".to_owned()),
        );
        return;
    };
    let credential = &credential.value;
    let bound = &credential.origin;
    if Origin::of(&url.value).as_ref() != Some(&bound.value) {
        let origin = Origin::of(&url.value)
            .map_or_else(|| "this machine".to_owned(), |origin| origin.to_string());
        let message = format!(
            "credential `{}` is bound to {}, and remote `{name}` is at {origin}",
            id.value, bound.value
        );
        let help = "use another credential, or correct its `origin`: it is sent nowhere else";
        find(Code::BadValue, message, &id.place, help.to_owned());
    }
    let kind = &credential.kind;
    if (kind.value == Kind::SshKey) != (scheme == Scheme::Ssh) {
        let message = format!("a `{}` cannot be used over {}", kind.value, scheme.as_str());
        let help =
            "ssh remotes log in with an `ssh-key`, https remotes with a `token` or a `password`";
        find(Code::BadValue, message, &kind.place, help.to_owned());
    }
    if kind.value == Kind::Password && credential.user.is_none() {
        let message = format!("credential `{}` is a password of nobody", id.value);
        find(Code::MissingKey, message, &kind.place, "add `user: NAME`".to_owned());
    }
    if let Some(file) = credential.passphrase_file.as_ref().filter(|_| kind.value != Kind::SshKey) {
        let message = format!("a `{}` has no passphrase", kind.value);
        find(Code::BadValue, message, &file.place, "remove it".to_owned());
    }
    if let (Some(user), Some(in_url)) = (&credential.user, url.value.user())
        && user.value.as_ref() != in_url
    {
        let message = format!(
            "the URL of remote `{name}` logs in as another user than credential `{}`",
            id.value
        );
        find(Code::BadValue, message, &user.place, "say it in one place only".to_owned());
    }
}

/// Reads what a remote is reached by: its authorities, host keys and secrets.
pub(super) fn access(
    host: &impl Host,
    settings: &Settings,
    remote: &Remote,
) -> Result<Access, Failure> {
    let text = |file: &AbsolutePath, what, code, limit| {
        let (text, mode) = read(host, file.as_ref(), what, code, limit)?;
        if mode & 0o002 != 0 {
            let message = format!("anybody may write the {what} `{}` (mode {mode:04o})", file.0);
            return Err(Failure::new(code, message));
        }
        Ok(text.expose().to_owned())
    };
    let ca = remote.ca.as_ref().map(|file| {
        text(&file.value, "file of `ca:`", FailureCode::AuthoritiesUnusable, MAX_AUTHORITIES_BYTES)
    });
    let known = remote.known_hosts.as_ref().map(|file| {
        let limit = known_hosts::SIZE_LIMIT as u64;
        text(&file.value, "file of `known-hosts:`", FailureCode::KnownHostsUnusable, limit)
    });
    let declared = settings.credentials.as_ref().map(|declared| &declared.value);
    let credential = remote.credential.as_ref().and_then(|id| declared?.get(&id.value));
    let login = credential.map(|credential| login(host, &credential.value));
    Ok(Access {
        authorities: ca.transpose()?,
        known_hosts: known.transpose()?,
        login: login.transpose()?,
    })
}

/// The secret that a declaration names, where the settings bind it to that very server: what
/// is declared elsewhere is told nothing. Why there is none goes to the log.
pub(super) fn for_server(
    host: &impl Host,
    settings: &Settings,
    id: &CredentialId,
    server: &ServiceUrl,
) -> Option<Secret> {
    let bound = settings.credentials.as_ref().and_then(|all| all.value.get(id));
    let credential = bound.map(|bound| &bound.value)?;
    if of_url(server).as_ref() != Some(&credential.origin.value) {
        tracing::warn!(credential = %id, "the server that is declared is not the one that the credential is bound to");
        return None;
    }
    match word(host, credential.file.value.as_ref()) {
        Ok(secret) => Some(secret),
        Err(failure) => {
            tracing::warn!(credential = %id, "{}", failure.message);
            None
        }
    }
}

/// The server of a URL.
fn of_url(url: &ServiceUrl) -> Option<Origin> {
    let text = url.to_string();
    text.splitn(4, '/').take(3).collect::<Vec<_>>().join("/").parse().ok()
}

fn login(host: &impl Host, credential: &Credential) -> Result<Login, Failure> {
    let user = credential.user.as_ref().map(|user| user.value.to_string());
    let file = credential.file.value.as_ref();
    Ok(match credential.kind.value {
        Kind::Token | Kind::Password => Login::Password {
            user: user.unwrap_or_else(|| "git".to_owned()),
            secret: word(host, file)?,
        },
        Kind::SshKey => Login::Key {
            user,
            key: secret(host, file)?,
            passphrase: credential
                .passphrase_file
                .as_ref()
                .map(|file| word(host, file.value.as_ref()))
                .transpose()?,
        },
    })
}

/// A secret of one line.
fn word(host: &impl Host, path: &Utf8Path) -> Result<Secret, Failure> {
    let text = secret(host, path)?;
    let word = text.expose().trim_end_matches(['\r', '\n']);
    if word.is_empty() || word.len() > MAX_WORD_BYTES || word.chars().any(char::is_control) {
        let message =
            format!("`{path}` does not hold one line with a token, a password or a passphrase");
        return Err(Failure::new(FailureCode::CredentialUnusable, message));
    }
    Ok(Secret::new(word.to_owned()))
}

/// The text of a file that others may not read.
pub(super) fn secret(host: &impl Host, path: &Utf8Path) -> Result<Secret, Failure> {
    let code = FailureCode::CredentialUnusable;
    let (text, mode) = read(host, path, "file of the credential", code, MAX_SECRET_BYTES)?;
    if mode & 0o007 != 0 {
        let message = format!(
            "anybody may read or write the credential `{path}` (mode {mode:04o}); `chmod o= {path}`, and renew it"
        );
        return Err(Failure::new(code, message));
    }
    if text.expose().contains('\0') {
        return Err(Failure::new(code, format!("the credential `{path}` holds a NUL")));
    }
    Ok(text)
}

fn read(
    host: &impl Host,
    path: &Utf8Path,
    what: &str,
    code: FailureCode,
    limit: u64,
) -> Result<(Secret, u32), Failure> {
    let file =
        host.read(path, limit).map_err(|error: HostError| Failure::new(code, chain(&error)))?;
    let file = file.ok_or_else(|| Failure::new(code, format!("the {what} `{path}` is missing")))?;
    let text = String::from_utf8(file.bytes);
    let text = text.map_err(|_| Failure::new(code, format!("the {what} `{path}` is no text")))?;
    Ok((Secret::new(text), file.mode))
}

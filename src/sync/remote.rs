//! Which repository a node follows.

use std::fmt;
use std::str::FromStr;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::value::Word;

/// A git repository that a node follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// What people call it, such as `origin`.
    pub name: Word,
    /// Where it is.
    pub url: RemoteUrl,
}

/// A way to reach a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// A directory of this machine.
    File,
    /// A web server.
    Https,
    /// An SSH server.
    Ssh,
}

impl Scheme {
    const ALL: [Self; 3] = [Self::File, Self::Https, Self::Ssh];

    /// The word before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Https => "https",
            Self::Ssh => "ssh",
        }
    }
}

/// The URL of a repository. Holds no password, and shows nobody's user name when
/// it is printed; only serialising it gives the whole text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteUrl {
    scheme: Scheme,
    text: String,
}

impl RemoteUrl {
    const LIMIT: usize = 2048;

    /// How the repository is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The absolute path of a `file://` URL.
    pub fn path(&self) -> Option<&Utf8Path> {
        (self.scheme == Scheme::File).then(|| Utf8Path::new(self.rest()))
    }

    /// Who logs in, where the URL says so. Only one of ssh may.
    pub fn user(&self) -> Option<&str> {
        Some(self.authority()?.rsplit_once('@')?.0)
    }

    /// The host, an IPv6 address without its brackets, and the port where one is given;
    /// `None` for a directory of this machine.
    pub(super) fn host_and_port(&self) -> Option<(&str, Option<u16>)> {
        let authority = self.authority()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((address, after)) => (address, after.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        Some((host, port.and_then(|port| port.parse().ok())))
    }

    fn authority(&self) -> Option<&str> {
        if self.scheme == Scheme::File {
            return None;
        }
        self.rest().split_once('/').map(|(authority, _)| authority)
    }

    /// What libgit2 is given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What follows `://`.
    fn rest(&self) -> &str {
        self.text.get(self.scheme.as_str().len() + 3..).unwrap_or_default()
    }
}

impl FromStr for RemoteUrl {
    type Err = BadRemoteUrl;

    fn from_str(text: &str) -> Result<Self, BadRemoteUrl> {
        let bad = |reason| BadRemoteUrl::of(text, reason);
        if text.len() > Self::LIMIT || !text.chars().all(printable) {
            return Err(bad("holds a space, a control character, or more than 2048 bytes"));
        }
        let Some((word, rest)) = text.split_once("://") else {
            return Err(bad("has no scheme; write `https://HOST/PATH` or `ssh://USER@HOST/PATH`"));
        };
        let Some(scheme) = Scheme::ALL.into_iter().find(|s| s.as_str() == word) else {
            return Err(bad("has another scheme than `https`, `ssh` and `file`"));
        };
        if rest.contains(['%', '?', '#', '\\']) {
            return Err(bad("holds one of `%`, `?`, `#`, `\\`; write the path as it is"));
        }
        if scheme == Scheme::File {
            if !rest.starts_with('/') {
                return Err(bad("names no absolute path; write `file:///PATH`"));
            }
        } else {
            check_authority(scheme, rest).map_err(bad)?;
        }
        Ok(Self { scheme, text: text.to_owned() })
    }
}

/// Whether `[USER@]HOST[:PORT]/PATH` is well formed and free of credentials.
fn check_authority(scheme: Scheme, rest: &str) -> Result<(), &'static str> {
    let Some((authority, path)) = rest.split_once('/') else {
        return Err("names no repository on the host");
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if path.contains('@') || user.is_some_and(|user| user.contains([':', '@'])) {
        return Err("holds a password or a second `@`; credentials go into the node's settings");
    }
    if user.is_some() && scheme != Scheme::Ssh {
        return Err("holds credentials; they go into the node's settings");
    }
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !text.starts_with('-')
    };
    if user.is_some_and(|user| !plain(user)) {
        return Err("has a user of other characters than letters, digits and `. _ -`");
    }
    let (name, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, "")) => (address.parse::<std::net::Ipv6Addr>().is_ok(), None),
        Some((address, after)) => {
            (address.parse::<std::net::Ipv6Addr>().is_ok(), Some(after.strip_prefix(':')))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (plain(name), Some(Some(port))),
            None => (plain(host), None),
        },
    };
    let port = port.is_none_or(|port| {
        port.is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok())
    });
    if name && port && !path.is_empty() { Ok(()) } else { Err("is not `HOST[:PORT]/PATH`") }
}

/// Spaces are part of paths; everything else must be visible.
fn printable(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

/// A text that may be a URL, without anything that may be a user or a password.
fn without_user(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let shown = scheme.map_or_else(|| rest.to_owned(), |scheme| format!("{scheme}://{rest}"));
    shown.chars().take(200).collect::<String>().escape_debug().to_string()
}

impl TryFrom<String> for RemoteUrl {
    type Error = BadRemoteUrl;

    fn try_from(text: String) -> Result<Self, BadRemoteUrl> {
        text.parse()
    }
}

impl From<RemoteUrl> for String {
    fn from(url: RemoteUrl) -> Self {
        url.text
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = match self.scheme {
            Scheme::File => self.rest(),
            _ => self.rest().rsplit_once('@').map_or(self.rest(), |(_, rest)| rest),
        };
        write!(f, "{}://{rest}", self.scheme.as_str())
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the URL of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{url}` {reason}")]
pub struct BadRemoteUrl {
    url: String,
    reason: &'static str,
}

impl BadRemoteUrl {
    /// A text that is not what was wanted; what may be a password is left out.
    pub(super) fn of(text: &str, reason: &'static str) -> Self {
        Self { url: without_user(text), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_names_a_repository() {
        for text in [
            "file:///srv/git/net.git",
            "file:///srv/a@b/net work.git",
            "https://git.example.org/net.git",
            "https://git.example.org:8443/a/net.git",
            "ssh://git.example.org/net.git",
            "ssh://git@[2001:db8::1]:2222/net.git",
        ] {
            assert_eq!(String::from(text.parse::<RemoteUrl>().unwrap()), text);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "net.git",
            "/srv/git/net.git",
            "file://srv/net.git",
            "file:///srv/%2e/net.git",
            "git://host/net.git",
            "http://host/net.git",
            "https://host",
            "https://host/",
            "https://user@host/net.git",
            "https://-oProxyCommand/net.git",
            "https://host:port/net.git",
            "https://host:99999/net.git",
            "https://host:+1/net.git",
            "ssh://[::1]x/net.git",
            "ssh://-x@host/net.git",
            "ssh://host/net\n.git",
        ] {
            assert!(text.parse::<RemoteUrl>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn never_shows_who_logs_in() {
        for text in [
            "https://robot:hunter2@host/net.git",
            "https://hunter2@host/net.git",
            "https://robot:hun/hunter2@host/net.git",
            "ssh://robot:hunter2@host/net.git",
            "robot:hunter2@host/net.git",
            "hunter2@host:net.git",
        ] {
            let shown = text.parse::<RemoteUrl>().unwrap_err().to_string();
            assert!(!shown.contains("hunter2") && !shown.contains("robot"), "{shown}");
        }
        let url: RemoteUrl = "ssh://robot@host/net.git".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "ssh://host/net.git ssh://host/net.git");
    }
}

//! The one place that a credential may be sent to.

use std::fmt;
use std::str::FromStr;

use super::remote::{BadRemoteUrl, RemoteUrl, Scheme};

/// Scheme, host and port of a server: `https://git.example.org`, `ssh://host:2222`.
/// Two origins are equal where the same server answers: the case of the host and a
/// port that the scheme has anyway make no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Origin {
    /// How the server is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, in lower case, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The origin of a repository; `None` for one on this machine.
    pub fn of(url: &RemoteUrl) -> Option<Self> {
        let port = match url.scheme() {
            Scheme::File => return None,
            Scheme::Https => 443,
            Scheme::Ssh => 22,
        };
        let (host, given) = url.host_and_port()?;
        Some(Self {
            scheme: url.scheme(),
            host: host.to_ascii_lowercase(),
            port: given.unwrap_or(port),
        })
    }
}

impl FromStr for Origin {
    type Err = BadRemoteUrl;

    fn from_str(text: &str) -> Result<Self, BadRemoteUrl> {
        let bad = || {
            BadRemoteUrl::of(
                text,
                "is no origin; write `https://HOST[:PORT]` or `ssh://HOST[:PORT]`",
            )
        };
        let has_path = text.split_once("://").is_none_or(|(_, rest)| rest.contains(['/', '@']));
        if has_path {
            return Err(bad());
        }
        // What a URL may say of a host is decided in one place.
        let url: RemoteUrl = format!("{text}/x").parse().map_err(|_| bad())?;
        Self::of(&url).ok_or_else(bad)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        write!(f, "{}://", self.scheme.as_str())?;
        if host.contains(':') {
            write!(f, "[{host}]")?;
        } else {
            f.write_str(host)?;
        }
        match (self.scheme, self.port) {
            (Scheme::Https, 443) | (Scheme::Ssh, 22) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn one_server_has_one_origin() {
        assert_eq!(
            origin("https://Git.example.org/a"),
            "https://git.example.org:443".parse().unwrap()
        );
        assert_eq!(origin("ssh://git@host:22/a"), "ssh://host".parse().unwrap());
        assert_eq!(
            origin("ssh://git@[2001:DB8::1]:2222/a").to_string(),
            "ssh://[2001:db8::1]:2222"
        );
        let others = [
            "https://git.example.org:8443",
            "https://git.example.org.evil.example",
            "ssh://git.example.org:443",
        ];
        for other in others {
            assert_ne!(origin("https://git.example.org/a"), other.parse().unwrap());
        }
    }

    #[test]
    fn an_origin_is_nothing_but_a_server() {
        for text in [
            "",
            "host",
            "https://",
            "https://host/",
            "https://host/a",
            "https://user@host",
            "file://",
            "http://host",
            "ssh://host:x",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}

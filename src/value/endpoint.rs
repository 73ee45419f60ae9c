//! Where something on another machine answers.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text does not say where something answers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not {rule}", text.escape_debug())]
pub struct BadEndpoint {
    text: String,
    rule: &'static str,
}

impl BadEndpoint {
    fn new(text: &str, rule: &'static str) -> Self {
        Self { text: text.chars().take(200).collect(), rule }
    }
}

/// A machine, by its address or by a name that a resolver knows. Begins with no `-`, so
/// that no program takes it for an option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Box<str>);

/// A machine and a port there: `git.example.org:443`, `[2001:db8::1]:22`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The machine.
    pub host: HostName,
    /// The port; never 0.
    pub port: u16,
}

/// What is asked of a web server. Without user and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpUrl {
    /// Whether the server is asked over TLS.
    secure: bool,
    endpoint: Endpoint,
    /// Begins with `/`.
    target: Box<str>,
    text: Box<str>,
}

impl HostName {
    /// The rule in words.
    pub const RULE: &'static str =
        "an address or a name of 1 to 253 letters, digits and `. _ -`, a letter or digit first";

    /// The machine as text; an IPv6 address without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, where it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }
}

impl FromStr for HostName {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let is_name = (1..=253).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if is_name || text.parse::<IpAddr>().is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(BadEndpoint::new(text, Self::RULE))
        }
    }
}

impl Endpoint {
    /// The rule in words.
    pub const RULE: &'static str =
        "an address or name with its port, such as `git.example.org:443` or `[2001:db8::1]:22`";

    fn read(text: &str, port: Option<u16>) -> Option<Self> {
        let (host, written) = match text.strip_prefix('[') {
            Some(inner) => {
                let (host, after) = inner.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match written {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => port?,
        };
        (port != 0).then_some(Self { host: host.parse().ok()?, port })
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        Self::read(text, None).ok_or_else(|| BadEndpoint::new(text, Self::RULE))
    }
}

impl HttpUrl {
    /// The rule in words.
    pub const RULE: &'static str =
        "`http://HOST[:PORT]/PATH` or `https://HOST[:PORT]/PATH` without a user and without `#`";
    /// The rule as a regular expression.
    pub const PATTERN: &'static str = "^https?://[^/?#@]+([/?][^#]*)?$";
    /// The longest URL, in bytes.
    const LONGEST: usize = 2048;

    /// Whether the server is asked over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The path and the query; begins with `/`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The server as it is written in the URL: the value of the header `Host`.
    pub fn authority(&self) -> &str {
        let (_, rest) = self.text.split_once("://").unwrap_or(("", &self.text));
        rest.split(['/', '?']).next().unwrap_or(rest)
    }
}

impl FromStr for HttpUrl {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let read = || {
            let (scheme, rest) = text.split_once("://")?;
            let (secure, port) = match scheme {
                "http" => (false, 80),
                "https" => (true, 443),
                _ => return None,
            };
            let plain = text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains('#');
            let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let endpoint = Endpoint::read(authority, Some(port))?;
            let slash = if target.starts_with('/') { "" } else { "/" };
            let target = format!("{slash}{target}").into();
            (plain && text.len() <= Self::LONGEST).then(|| Self {
                secure,
                endpoint,
                target,
                text: text.into(),
            })
        };
        read().ok_or_else(|| BadEndpoint::new(text, Self::RULE))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

macro_rules! by_text {
    ($($type:ident $field:tt),*) => {$(
        impl TryFrom<String> for $type {
            type Error = BadEndpoint;

            fn try_from(text: String) -> Result<Self, BadEndpoint> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.$field.into()
            }
        }
    )*};
}

by_text!(HostName 0, HttpUrl text);

#[cfg(test)]
mod tests {
    use super::{Endpoint, HostName, HttpUrl};

    #[test]
    fn hosts_are_no_options_and_hold_nothing_else() {
        for good in ["node1", "192.0.2.1", "2001:db8::1", "a_b.example", "1.2.3"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["", "-c", "a b", "a\nb", ".a", "fe80::1%eth0", "a/b", "a;b", &"a".repeat(254)] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_have_a_port() {
        let read = |text: &str| text.parse::<Endpoint>().map(|e| format!("{} {}", e.host, e.port));
        assert_eq!(read("a.example:22").as_deref(), Ok("a.example 22"));
        assert_eq!(read("[2001:db8::1]:22").as_deref(), Ok("2001:db8::1 22"));
        for bad in
            ["a", "a:", "a:0", "a:65536", "a:+1", "2001:db8::1:22", "[a]:22", "[::1]", "[::1]22"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_say_whom_to_ask_for_what() {
        let read = |text: &str| {
            let url: HttpUrl = text.parse().ok()?;
            let Endpoint { host, port } = url.endpoint();
            Some(format!("{} {host} {port} {} {}", url.is_secure(), url.authority(), url.target()))
        };
        for (text, read_as) in [
            ("http://a", "false a 80 a /"),
            ("https://a/b?c=d", "true a 443 a /b?c=d"),
            ("https://[::1]:8443/", "true ::1 8443 [::1]:8443 /"),
            ("http://a:8080?q", "false a 8080 a:8080 /?q"),
        ] {
            assert_eq!(read(text).as_deref(), Some(read_as), "{text}");
        }
        for bad in [
            "ftp://a/",
            "http:///",
            "http://u@a/",
            "http://u:p@a/",
            "http://a/#x",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://a:0/",
            "a",
            "https://",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let text = serde_json::to_string(&"http://a/b".parse::<HttpUrl>().expect("a URL"));
        assert_eq!(text.expect("JSON"), "\"http://a/b\"");
        assert!(serde_json::from_str::<HttpUrl>("\"http://u@a\"").is_err());
    }
}

//! What a node looks at, beyond what it knows by itself, to see whether its network works.

use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::Settings;
use crate::declare::finding::{Code, Finding, Findings};
use crate::declare::scalar::scalar;
use crate::declare::shape::Shape;
use crate::declare::yaml::Node;
use crate::plan::Check;
use crate::value::{DnsName, Endpoint, HostName, HttpUrl};

/// The most probes of a node: each is tried every few seconds of a window.
const MOST: usize = 64;
/// The most words of a command.
const MOST_WORDS: usize = 64;

declaration! {
    /// Something that is tried: exactly one of `tcp`, `http`, `icmp`, `dns` and
    /// `command`. At an address of the node's own, other than the loopback's, nothing that
    /// answers counts.
    pub struct Probe as "a probe" {
        /// A TCP connection is made.
        optional "tcp" tcp: Endpoint,
        /// A GET of this URL is answered. Redirects are not followed.
        optional "http" http: HttpUrl,
        /// The status that is wanted of `http`; any from 200 to 399 when absent.
        optional "status" status: Status,
        /// A machine answers an ICMP echo.
        optional "icmp" icmp: HostName,
        /// A name has an address.
        optional "dns" dns: DnsName,
        /// The server that is asked for `dns`; the machine's own when absent.
        optional "server" server: IpAddr,
        /// A program, by its whole path, and its arguments; it ends with status 0. It is
        /// run as root, without a shell.
        optional "command" command: Vec<CommandWord>,
    }
}

/// A status of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u16);

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read =
            text.parse().ok().filter(|status| text.len() == 3 && (200..=599).contains(status));
        read.map(Self).ok_or_else(|| {
            format!("`{}` is not a final status of HTTP, from 200 to 599", text.escape_debug())
        })
    }
}

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandWord(String);

impl FromStr for CommandWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() <= 4096 && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err("a word of a command has at most 4096 bytes, and no control characters".to_owned())
    }
}

impl Shape for Status {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "a status of HTTP", findings)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 200, "maximum": 599 })
    }
}

impl Shape for CommandWord {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "a word of a command", findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "maxLength": 4096 })
    }
}

impl Shape for Endpoint {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, Self::RULE, findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^\\S+:[0-9]{1,5}$", "description": Self::RULE })
    }
}

impl Shape for HttpUrl {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, Self::RULE, findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": Self::PATTERN, "description": Self::RULE })
    }
}

impl Shape for HostName {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, Self::RULE, findings)
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": 253, "description": Self::RULE })
    }
}

impl Probe {
    /// Everything that is tried, with the key that says so.
    fn checks(&self) -> Vec<(&'static str, Check)> {
        let mut checks = Vec::new();
        if let Some(tcp) = &self.tcp {
            let Endpoint { host, port } = tcp.value.clone();
            checks.push(("tcp", Check::Tcp { host, port }));
        }
        if let Some(http) = &self.http {
            let status = self.status.as_ref().map(|status| status.value.0);
            checks.push(("http", Check::Http { url: http.value.clone(), status }));
        }
        if let Some(icmp) = &self.icmp {
            checks.push(("icmp", Check::Icmp { host: icmp.value.clone() }));
        }
        if let Some(dns) = &self.dns {
            let server = self.server.as_ref().map(|server| server.value);
            checks.push(("dns", Check::Dns { name: dns.value.clone(), server }));
        }
        if let Some(command) = &self.command {
            let words = command.value.iter().map(|word| word.0.clone()).collect();
            checks.push(("command", Check::Command { words }));
        }
        checks
    }

    /// What is tried; `None` unless it is exactly one thing.
    pub(super) fn check(&self) -> Option<Check> {
        let mut checks = self.checks();
        let (_, check) = checks.pop()?;
        checks.is_empty().then_some(check)
    }

    fn findings(&self) -> Vec<(String, &'static str)> {
        let checks = self.checks();
        let mut found = Vec::new();
        let kinds: Vec<&str> = checks.iter().map(|(kind, _)| *kind).collect();
        if kinds.len() > 1 {
            let message = format!("a probe is one of `{}`, not all", kinds.join("`, `"));
            found.push((message, "write a probe of its own for each"));
        }
        if kinds.is_empty() {
            let message = "a probe has `tcp`, `http`, `icmp`, `dns` or `command`".to_owned();
            found.push((message, "write, for example, `{tcp: \"192.0.2.1:443\"}`"));
        }
        for (key, is_there, of) in
            [("status", self.status.is_some(), "http"), ("server", self.server.is_some(), "dns")]
        {
            if is_there && !kinds.is_empty() && !kinds.contains(&of) {
                let message = format!("`{key}` says nothing without `{of}`");
                found.push((message, "remove it"));
            }
        }
        for (_, check) in &checks {
            let Check::Command { words } = check else { continue };
            let whole = |path: &String| {
                path.starts_with('/') && !path.ends_with('/') && !path.split('/').any(|p| p == "..")
            };
            if !words.first().is_some_and(whole) {
                let message = "a command begins with the whole path of a program".to_owned();
                found
                    .push((message, "write, for example, `[/usr/local/bin/check-uplink, --fast]`"));
            }
            if words.len() > MOST_WORDS {
                let message = format!("a command has at most {MOST_WORDS} words");
                found.push((message, "put it into a script, and name that"));
            }
        }
        found
    }
}

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let Some(probes) = &settings.probes else { return };
    if probes.value.len() > MOST {
        let message = format!("there are {} probes, and at most {MOST} may be", probes.value.len());
        let finding = Finding::new(Code::BadValue, message, &probes.place)
            .help("keep those that other things depend on");
        findings.push(finding);
    }
    // One that could not be read has findings of its own.
    for entry in probes.value.values().filter(|entry| entry.whole) {
        for (message, help) in entry.value.findings() {
            findings.push(Finding::new(Code::BadValue, message, &entry.place).help(help));
        }
    }
}

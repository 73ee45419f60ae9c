//! Which keys an ssh server may show: the format of `known_hosts`, read strictly.
//!
//! Of what sshd(8) describes there are patterns, ports in brackets, hashed hosts,
//! several keys for one host, `@revoked` and comments. Certificate authorities are
//! refused: libssh2 knows no host certificates, so a line of one would never count.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use ssh_key::{HashAlg, PublicKey};
use thiserror::Error;

/// The largest file, in bytes.
pub const SIZE_LIMIT: usize = 256 * 1024;
/// The most lines of one file.
const LINE_COUNT: usize = 10_000;
/// The longest line, in bytes: an RSA key of 16384 bits has 2800.
const LINE_LENGTH: usize = 8192;

/// The keys that hosts may show.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    number: usize,
    hosts: HostPatterns,
    revoked: bool,
    key: PublicKey,
}

/// What the file says of a key that a host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is a key of the host.
    Pinned,
    /// It is revoked, whatever else is said of it; the number of the line.
    Revoked(usize),
    /// The host is known, with other keys.
    Changed,
    /// The host is not known.
    Unknown,
}

/// A file that cannot be used. The first line has the number 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct BadKnownHosts {
    /// The line.
    pub line: usize,
    /// What is wrong, and what to do.
    pub reason: &'static str,
}

impl KnownHosts {
    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, BadKnownHosts> {
        if text.len() > SIZE_LIMIT {
            return Err(BadKnownHosts { line: 1, reason: "the file is larger than 256 KiB" });
        }
        let mut lines = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let number = index + 1;
            let bad = |reason| BadKnownHosts { line: number, reason };
            if number > LINE_COUNT || text.len() > LINE_LENGTH {
                return Err(bad(
                    "there are more than 10000 lines, or this one is longer than 8192 bytes",
                ));
            }
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            lines.push(read_line(number, text).map_err(bad)?);
        }
        Ok(Self { lines })
    }

    /// What is said of the key that a host shows at a port, given as the server sent it.
    pub fn judge(&self, host: &str, port: u16, key: &[u8]) -> Verdict {
        let same = |line: &&Line| line.key.to_bytes().is_ok_and(|bytes| bytes == key);
        let lines: Vec<&Line> = self.of(host, port).collect();
        if let Some(line) = lines.iter().copied().filter(same).find(|line| line.revoked) {
            return Verdict::Revoked(line.number);
        }
        if lines.iter().all(|line| line.revoked) {
            return Verdict::Unknown;
        }
        if lines.iter().any(same) { Verdict::Pinned } else { Verdict::Changed }
    }

    /// The keys that a host may show at a port.
    pub fn pinned(&self, host: &str, port: u16) -> impl Iterator<Item = &PublicKey> {
        self.of(host, port).filter(|line| !line.revoked).map(|line| &line.key)
    }

    /// The numbers of the lines that speak of a host at a port.
    pub fn line_numbers(&self, host: &str, port: u16) -> Vec<usize> {
        self.of(host, port).map(|line| line.number).collect()
    }

    fn of(&self, host: &str, port: u16) -> impl Iterator<Item = &Line> {
        // A port other than ssh's own is part of the name, as in OpenSSH.
        let host = host.to_ascii_lowercase();
        let name = if port == 22 { host } else { format!("[{host}]:{port}") };
        self.lines.iter().filter(move |line| speaks_of(&line.hosts, &name))
    }
}

/// Type and SHA-256 fingerprint of a key as a server sends it, as `ssh-keygen -l` does.
pub fn describe(key: &[u8]) -> String {
    match PublicKey::from_bytes(key) {
        Ok(key) => describe_key(&key),
        Err(_) => "a key that cannot be read".to_owned(),
    }
}

/// Type and SHA-256 fingerprint of a key.
pub fn describe_key(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm().as_str(), key.fingerprint(HashAlg::Sha256))
}

fn read_line(number: usize, text: &str) -> Result<Line, &'static str> {
    // The library splits at single spaces only; OpenSSH at any white space.
    let mut words = text.split_ascii_whitespace();
    let mut first = words.next().unwrap_or_default();
    let marker = if first.starts_with('@') {
        let marker = first;
        first = words.next().unwrap_or_default();
        Some(marker)
    } else {
        None
    };
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return Err("it is not `HOSTS TYPE KEY`");
    };
    let marker = match marker {
        None => None,
        Some("@revoked") => Some(Marker::Revoked),
        Some("@cert-authority") => {
            return Err("`@cert-authority` cannot be used here: pin the keys of the host itself");
        }
        Some(_) => return Err("the marker is neither `@revoked` nor `@cert-authority`"),
    };
    let entry: Entry = format!("{first} {kind} {key}").parse().map_err(
        |_| "hosts or key cannot be read; `HOSTS TYPE KEY` is wanted, as `ssh-keyscan` writes it",
    )?;
    let (hosts, key) = (entry.host_patterns().clone(), entry.public_key().clone());
    if key.algorithm().as_str() != kind {
        return Err("the key is of another type than its line says");
    }
    Ok(Line { number, hosts, revoked: marker.is_some(), key })
}

/// Whether the hosts of a line contain a name, `HOST` or `[HOST]:PORT`.
fn speaks_of(hosts: &HostPatterns, name: &str) -> bool {
    match hosts {
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
        HostPatterns::Patterns(patterns) => {
            let mut found = false;
            for pattern in patterns {
                let pattern = pattern.to_ascii_lowercase();
                match pattern.strip_prefix('!') {
                    Some(not) if matches(not.as_bytes(), name.as_bytes()) => return false,
                    Some(_) => {}
                    None => found |= matches(pattern.as_bytes(), name.as_bytes()),
                }
            }
            found
        }
    }
}

/// Whether a pattern with `*` and `?` matches a name; in time of the product of their
/// lengths at most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || Some(&c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&c| c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJqVLwKXlYEAlIfuRdl5jEJqUSYoMW8YF2WGqXrAzu/";

    fn bytes(key: &str) -> Vec<u8> {
        key.parse::<PublicKey>().unwrap().to_bytes().unwrap()
    }

    fn judge(text: &str, host: &str, port: u16) -> Verdict {
        KnownHosts::read(text).unwrap().judge(host, port, &bytes(KEY))
    }

    #[test]
    fn only_what_is_pinned_is_trusted() {
        let text = format!(
            "# ours\n\n  git.example.org,192.0.2.1 {KEY} comment # more\n[git.example.org]:2222\t{OTHER}\n"
        );
        assert_eq!(judge(&text, "GIT.example.org", 22), Verdict::Pinned);
        assert_eq!(judge(&text, "192.0.2.1", 22), Verdict::Pinned);
        assert_eq!(judge(&text, "git.example.org", 2222), Verdict::Changed);
        assert_eq!(judge(&text, "git.example.org", 2223), Verdict::Unknown);
        assert_eq!(judge(&text, "example.org", 22), Verdict::Unknown);
        assert_eq!(judge("", "git.example.org", 22), Verdict::Unknown);
        let several = format!("host {OTHER}\nhost {KEY}\n");
        assert_eq!(judge(&several, "host", 22), Verdict::Pinned);
        assert_eq!(KnownHosts::read(&several).unwrap().pinned("host", 22).count(), 2);
    }

    #[test]
    fn a_revoked_key_is_revoked_whatever_else_is_said() {
        let text = format!("host {KEY}\n@revoked * {KEY}\n");
        assert_eq!(judge(&text, "host", 22), Verdict::Revoked(2));
        assert_eq!(judge(&format!("@revoked host {OTHER}\n"), "host", 22), Verdict::Unknown);
        assert_eq!(
            judge(&format!("@revoked host {OTHER}\nhost {KEY}"), "host", 22),
            Verdict::Pinned
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (line, word) in [
            (format!("@cert-authority *.example.org {KEY}"), "pin the keys of the host itself"),
            (format!("@trusted host {KEY}"), "marker"),
            ("host".to_owned(), "HOSTS TYPE KEY"),
            ("host ssh-ed25519 AAAA".to_owned(), "cannot be read"),
            (format!("|1|x|y {KEY}"), "cannot be read"),
            (KEY.replace("ssh-ed25519", "host ssh-rsa"), "cannot be read"),
        ] {
            let error = KnownHosts::read(&format!("host {KEY}\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 2, "{line}");
            assert!(error.reason.contains(word), "{line}: {error}");
        }
        assert!(KnownHosts::read(&"x".repeat(9000)).is_err());
        assert!(KnownHosts::read(&"#\n".repeat(10_001)).is_err());
        assert!(KnownHosts::read(&"#".repeat(300_000)).is_err());
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        // Takes no exponential time.
        assert!(!matches("*a".repeat(500).as_bytes(), "a".repeat(499).as_bytes()));
    }
}

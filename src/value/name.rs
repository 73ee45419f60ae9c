//! Names, each with the length and alphabet that Proxmox VE allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a name of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` is not {} {kind}: {rule}", text.escape_debug(), article(kind))]
pub struct BadName {
    text: String,
    kind: &'static str,
    rule: &'static str,
}

/// The article before a word that is spoken as it is written.
pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'A', 'I', 'M']) { "an" } else { "a" }
}

impl BadName {
    /// The rule in words, as it stands in the JSON Schema.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $pattern:literal, $rule:literal, $legal:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What a person calls a value of this type.
            pub const KIND: &'static str = $kind;
            /// The rule as a regular expression (ECMA 262), for the JSON Schema.
            pub const PATTERN: &'static str = $pattern;
            /// The rule in words.
            pub const RULE: &'static str = $rule;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let legal: fn(&str) -> bool = $legal;
                if legal(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadName { text: text.to_owned(), kind: $kind, rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

fn sdn_id(text: &str) -> bool {
    (2..=8).contains(&text.len()) && letter_first(text) && alphanumeric(text)
}

fn letter_first(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn host_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(host_label)
}

/// The characters of Proxmox's alias rule: word characters, white space, `(` and
/// the ASCII range from `)` to `_`.
fn alias(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.trim() == text
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == ' ' || c == '(' || (')'..='_').contains(&c))
        // A backslash at the end would join the next line of the file to this one.
        && !text.ends_with('\\')
}

/// A base address without user, password, query or fragment, so that neither a
/// secret nor a second meaning can hide in it.
fn service_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]".contains(&b);
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.len() <= 255 && rest.bytes().all(plain)
    })
}

fn fingerprint(text: &str) -> bool {
    text.split(':').count() == 32
        && text
            .split(':')
            .all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))
}

name!(
    /// The id of a zone. Proxmox builds interface names from it, hence the length.
    ZoneId, "zone id", "^[A-Za-z][A-Za-z0-9]{1,7}$",
    "2 to 8 letters and digits, a letter first (interface names are built from it)", sdn_id
);
name!(
    /// The id of a vnet, and the name of its bridge.
    VnetId, "vnet id", "^[A-Za-z][A-Za-z0-9]{1,7}$",
    "2 to 8 letters and digits, a letter first (it is the name of the bridge)", sdn_id
);
name!(
    /// The id of a controller.
    ControllerId, "controller id", "^[A-Za-z][A-Za-z0-9_-]{0,62}[A-Za-z0-9]$",
    "2 to 64 letters, digits, `-` and `_`, a letter first, no `-` or `_` at the end",
    |t| (2..=64).contains(&t.len())
        && letter_first(t)
        && t.ends_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);
name!(
    /// The id of a fabric.
    FabricId, "fabric id", "^[A-Za-z0-9]([A-Za-z0-9-]{0,6}[A-Za-z0-9])?$",
    "1 to 8 letters, digits and `-`, none of these at the ends",
    |t| (1..=8).contains(&t.len()) && host_label(t)
);
name!(
    /// The id of an IPAM.
    IpamId, "IPAM id", "^[A-Za-z][A-Za-z0-9]{1,63}$",
    "2 to 64 letters and digits, a letter first",
    |t| (2..=64).contains(&t.len()) && letter_first(t) && alphanumeric(t)
);
name!(
    /// The id of a DNS server entry.
    DnsId, "DNS id", "^[A-Za-z][A-Za-z0-9]{1,63}$",
    "2 to 64 letters and digits, a letter first",
    |t| (2..=64).contains(&t.len()) && letter_first(t) && alphanumeric(t)
);
name!(
    /// The host name of a node, without its domain.
    NodeName, "node name", "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "1 to 63 letters, digits and `-`, no `-` at the ends", host_label
);
name!(
    /// The name of a guest.
    GuestName, "guest name", "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "labels of letters, digits and `-`, joined by `.`", dns_name
);
name!(
    /// A DNS name without the final dot.
    DnsName, "DNS name", "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "labels of letters, digits and `-`, joined by `.`, no dot at the end", dns_name
);
name!(
    /// The name of a cluster: keeps the signed commits of one cluster out of another.
    ClusterName, "cluster name", "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "1 to 63 letters, digits and `-`, no `-` at the ends", host_label
);
name!(
    /// A bare id by which a declaration names a secret; the node's settings say
    /// which file holds it.
    CredentialId, "credential id", "^[A-Za-z][A-Za-z0-9_-]{0,62}[A-Za-z0-9]$",
    "2 to 64 letters, digits, `-` and `_`, a letter first, no `-` or `_` at the end",
    |t| (2..=64).contains(&t.len())
        && letter_first(t)
        && t.ends_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
);
name!(
    /// Who signs: the principal of an `allowed_signers` line, usually an e-mail address.
    Principal, "principal", "^[!-~]{1,255}$",
    "1 to 255 printable ASCII characters without spaces, commas, quotes and `*?!#`",
    |t| (1..=255).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_graphic() && !b"\"'`,*?!#".contains(&b))
);
name!(
    /// The name of a network interface as the kernel takes it.
    IfName, "interface name", "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}$",
    "1 to 15 letters, digits and `_ . : @ -`, a letter or digit first",
    |t| (1..=15).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:@-".contains(&b))
);
name!(
    /// A comment on a vnet, written into the node's files.
    Alias, "alias", "^[a-z (-_]{1,256}$",
    "1 to 256 ASCII letters, digits, spaces and `( ) * + , - . / : ; < = > ? @ [ \\ ] ^ _`, no space at the ends and no `\\` at the last place", alias
);
name!(
    /// A free word: a label, a routing domain.
    Word, "word", "^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$",
    "1 to 63 letters, digits and `_ . / -`, a letter or digit first",
    |t| (1..=63).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b))
);
name!(
    /// One value of a DHCP option: it ends neither a line of dnsmasq nor a value in it.
    DhcpValue, "value of a DHCP option", "^[A-Za-z0-9._:/@+=~-]{1,128}$",
    "1 to 128 letters, digits and `. _ : / @ + = ~ -`",
    |t| (1..=128).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@+=~-".contains(&b))
);
name!(
    /// Where an IPAM or DNS server answers.
    ServiceUrl, "URL", "^https?://[A-Za-z0-9._~:\\[\\]-][A-Za-z0-9._~:/\\[\\]-]*$",
    "`https://HOST[:PORT]/PATH` without user, query or fragment", service_url
);
name!(
    /// The SHA-256 fingerprint of a server's certificate.
    Fingerprint, "fingerprint", "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}$",
    "32 pairs of hexadecimal digits joined by `:`", fingerprint
);
name!(
    /// The name of a webhook: the last part of the path that is posted to.
    HookName, "hook name", "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
    "1 to 32 lower-case letters, digits and `-`, no `-` at the ends",
    |t| t.len() <= 32 && host_label(t) && !t.bytes().any(|b| b.is_ascii_uppercase())
);
name!(
    /// The name of a branch.
    BranchName, "branch name", "^[A-Za-z0-9][A-Za-z0-9_./-]{0,99}$",
    "1 to 100 letters, digits and `_ . / -`, a letter or digit first, no `..`, `//`, `.lock` at the end",
    |t| (1..=100).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./-".contains(&b))
        && t.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none())
        && !t.contains("..")
        && !t.ends_with('.')
);

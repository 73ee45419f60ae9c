//! What a server holds, as far as it matters here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Fqdn;

/// The types of records that are looked at. The first three are also written, and TXT where
/// it says what is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// The name of an address.
    Ptr,
    /// Another name for the whole name: nothing else can be there (RFC 1034 §3.6.2).
    Cname,
    /// Another name for all that lies below (RFC 6672).
    Dname,
    /// The servers of the zone, or of one that begins here.
    Ns,
    /// A text.
    Txt,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::A, Self::Aaaa, Self::Ptr, Self::Cname, Self::Dname, Self::Ns, Self::Txt];
    /// Those that are registered.
    pub const REGISTERED: [Self; 3] = [Self::A, Self::Aaaa, Self::Ptr];

    /// The type as DNS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ptr => "PTR",
            Self::Cname => "CNAME",
            Self::Dname => "DNAME",
            Self::Ns => "NS",
            Self::Txt => "TXT",
        }
    }

    /// The type that DNS writes so.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// A content of this type in the one form that is compared. What is no such content
    /// stays as it is, and so equals nothing that is wanted.
    pub fn normal(self, content: &str) -> String {
        let normal = match self {
            Self::A => content.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
            Self::Aaaa => content.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
            Self::Ptr => Fqdn::read(content).map(|name| name.as_str().to_owned()),
            Self::Cname | Self::Dname | Self::Ns | Self::Txt => None,
        };
        normal.unwrap_or_else(|| content.to_owned())
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record of a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// What it says, as the server writes it.
    pub content: String,
    /// Kept by the server and not answered.
    pub disabled: bool,
}

/// A remark on a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Comment {
    /// What it says.
    pub content: String,
    /// Who says it.
    pub account: String,
    /// When, in seconds of Unix time. The server's time when it is written without.
    pub modified_at: Option<i64>,
}

/// All records of one type at one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rrset {
    /// Time to live, in seconds.
    pub ttl: u32,
    /// The records.
    pub records: Vec<Record>,
    /// Remarks on them.
    pub comments: Vec<Comment>,
}

/// What a zone holds: the whole of it, or some names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The sets by name and type.
    pub names: BTreeMap<Fqdn, BTreeMap<RecordKind, Rrset>>,
}

impl Found {
    /// One set.
    pub fn rrset(&self, name: &Fqdn, kind: RecordKind) -> Option<&Rrset> {
        self.names.get(name)?.get(&kind)
    }
}

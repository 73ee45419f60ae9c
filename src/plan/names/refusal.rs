//! What is not registered, and why.

use std::collections::BTreeSet;
use std::fmt;

use super::{Fqdn, Holder, RecordKind, TooMuch};
use crate::plan::refused;
use crate::value::{DnsId, DnsName, ZoneId};

/// Something that is not done.
pub type Refused = refused::Refused<Subject, Refusal>;

/// For whom something is not done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// These guests and gateways, of which there are some.
    Holders(BTreeSet<Holder>),
    /// A name whose records of ours should go.
    Name(Fqdn),
    /// A whole zone of the network.
    Zone(ZoneId),
    /// A DNS server.
    Server(DnsId),
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// DNS cannot hold the name.
    TooLong {
        /// The name, or its labels below the zone.
        name: String,
        /// The zone.
        zone: Fqdn,
    },
    /// DNS cannot hold the name of the record that would say that it is ours.
    MarkTooLong(Fqdn),
    /// The server is not declared.
    NoServer(DnsId),
    /// The server does not have the zone of names.
    NoZone(DnsName),
    /// The server has no zone for the address; this one would do.
    NoReverseZone {
        /// The name that the address is looked up by.
        name: Fqdn,
        /// A zone to create.
        create: Fqdn,
    },
    /// The server has the zone from another server, which would overwrite what is written.
    NotPrimary(Fqdn),
    /// There is an alias at the name.
    Alias(Fqdn),
    /// The name lies at or below this one, which leads elsewhere by the type of record.
    LeadsElsewhere(Fqdn, Fqdn, RecordKind),
    /// Somebody else says what the address is called.
    Foreign {
        /// The name that the address is looked up by.
        name: Fqdn,
        /// What would have been said.
        wanted: String,
        /// What is said.
        found: Vec<String>,
    },
    /// Somebody else says where the name leads.
    NameOfOthers {
        /// The name.
        name: Fqdn,
        /// The address that would have been added.
        wanted: String,
        /// The addresses that are there.
        found: Vec<String>,
    },
    /// Somebody else's record with this content is there, and switched off.
    Disabled(Fqdn, RecordKind, String),
    /// More would be removed than the limits allow.
    TooMuch(TooMuch),
    /// What is at the name is not what it was when the change was planned.
    Moved(Fqdn),
    /// The server or the way to it refuses; its own words.
    Said(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holders(holders) => {
                for (number, holder) in holders.iter().enumerate() {
                    let before = if number == 0 { "" } else { ", " };
                    write!(f, "{before}{holder}")?;
                }
                Ok(())
            }
            Self::Name(name) => write!(f, "name `{name}`"),
            Self::Zone(zone) => write!(f, "zone `{zone}`"),
            Self::Server(server) => write!(f, "DNS server `{server}`"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { name, zone } => write!(
                f,
                "`{name}` below `{zone}` is longer than DNS can hold (253 characters, 63 in a label)"
            ),
            Self::MarkTooLong(name) => write!(
                f,
                "`{name}` leaves no room for the record beside it that says whose it is (253 characters in all)"
            ),
            Self::NoServer(server) => write!(f, "there is no DNS server `{server}` to be asked"),
            Self::NoZone(zone) => write!(f, "the server has no zone `{zone}.`; create it there"),
            Self::NoReverseZone { name, create } => write!(
                f,
                "the server has no zone for `{name}`; create `{create}` there, or one above it"
            ),
            Self::NotPrimary(zone) => write!(
                f,
                "the server has `{zone}` from another server; name the one that it comes from"
            ),
            Self::Alias(name) => {
                write!(f, "there is a CNAME at `{name}`, beside which nothing can be")
            }
            Self::LeadsElsewhere(name, at, kind) => {
                write!(f, "a {kind} at `{at}` leads elsewhere, so nobody would find `{name}` here")
            }
            Self::Foreign { name, wanted, found } => write!(
                f,
                "`{name}` is called `{}` by somebody else, so it is not called `{wanted}`; remove that PTR if it is wrong",
                found.join("`, `")
            ),
            Self::NameOfOthers { name, wanted, found } => write!(
                f,
                "`{name}` is somebody else's name of {}, so {wanted} is not added; give the guest another `hostname`, or remove what is there",
                found.join(", ")
            ),
            Self::Disabled(name, kind, content) => write!(
                f,
                "somebody switched off the {kind} record `{content}` at `{name}`; switch it on or remove it"
            ),
            Self::TooMuch(much) => much.fmt(f),
            Self::Moved(name) => {
                write!(f, "`{name}` was changed since this was planned; plan again")
            }
            Self::Said(said) => f.write_str(said),
        }
    }
}

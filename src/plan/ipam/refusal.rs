//! What is not done, and why.

use std::fmt;

use super::{Key, Mark, TooMuch};
use crate::plan::refused;
use crate::value::{IpamId, ZoneId};

/// Something that is not done.
pub type Refused = refused::Refused<Subject, Refusal>;

/// With what something is not done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A server.
    Server(IpamId),
    /// A zone.
    Zone(ZoneId),
    /// An object of a zone.
    Object(ZoneId, Key),
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else has it there; with what it is called. Could be adopted.
    Foreign(String),
    /// It has a mark that is not ours to change.
    Marked(String),
    /// Two subnets, or a router and a guest, are declared to be the same.
    Twice,
    /// Several objects are this, of which others made some.
    Several(usize),
    /// Objects that stay lie within; the first of them, and how many.
    NotEmpty(Key, usize),
    /// The object with this mark lies elsewhere: in another space, or under another key.
    Elsewhere(Mark),
    /// Addresses in it are held, and no subnet that is declared has them; so many.
    Used(usize),
    /// More would be removed than the limits allow.
    TooMuch(TooMuch),
    /// It is not what it was when the change was planned.
    Moved,
    /// The zone has no space on the server yet.
    NoSpace,
    /// Something that weft needs there and does not make itself.
    Lacks(String),
    /// This node may not write now.
    StandsBy(String),
    /// The time for writing was over before it was begun.
    Over,
    /// The server or the way to it refuses; its own words.
    Said(String),
}

impl Refusal {
    /// Whether somebody else was first, so that another choice may go well.
    pub fn is_of_another(&self) -> bool {
        matches!(self, Self::Foreign(_) | Self::Marked(_) | Self::Several(_) | Self::Moved)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(id) => write!(f, "IPAM server `{id}`"),
            Self::Zone(zone) => write!(f, "zone `{zone}`"),
            Self::Object(zone, key) => write!(f, "{key} of zone `{zone}`"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(label) if label.is_empty() => {
                f.write_str("somebody else made it; adopt it if it is meant, or remove it there")
            }
            Self::Foreign(label) => write!(
                f,
                "somebody else made it (`{label}`); adopt it if it is meant, or remove it there"
            ),
            Self::Marked(mark) => write!(
                f,
                "it has the mark `{mark}`, which is not this cluster's, or not in order; clear the mark there, or give it back its tag"
            ),
            Self::Twice => f.write_str("it is declared twice"),
            Self::Several(number) => {
                write!(f, "there are {number} of it on the server; remove those that are too many")
            }
            Self::NotEmpty(key, 1) => {
                write!(f, "{key} lies within and stays, so it is not removed")
            }
            Self::NotEmpty(key, number) => {
                write!(f, "{key} and {} more lie within and stay, so it is not removed", number - 1)
            }
            Self::Elsewhere(mark) => write!(
                f,
                "what has the mark `{mark}` lies elsewhere by now; move it back there, or clear its mark"
            ),
            Self::Used(number) => write!(
                f,
                "guests hold {number} of its addresses, so it stays until they are given up (`weft ipam release`), or until it is forced"
            ),
            Self::TooMuch(much) => much.fmt(f),
            Self::Moved => f.write_str("it was changed since this was planned; plan again"),
            Self::NoSpace => {
                f.write_str("the server has no VRF for it yet; `weft ipam apply` makes it")
            }
            Self::Lacks(what) => write!(f, "the server lacks {what}"),
            Self::StandsBy(why) => write!(f, "nothing is written there: {why}"),
            Self::Over => f.write_str("the time for writing is over"),
            Self::Said(said) => f.write_str(said),
        }
    }
}

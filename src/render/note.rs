//! What a person should know of a rendering.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::value::{ControllerId, FabricId, IfName, VnetId, ZoneId};

/// Something that is worth knowing about an object on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about.
    pub subject: Subject,
    /// The sentence.
    pub message: String,
}

/// What a note is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A zone.
    Zone(ZoneId),
    /// A vnet.
    Vnet(VnetId),
    /// A controller.
    Controller(ControllerId),
    /// A fabric.
    Fabric(FabricId),
    /// An interface of the node's own.
    Interface(IfName),
    /// The node's own `/etc/frr/frr.conf.local`.
    FrrLocal,
}

impl Note {
    /// A note about something.
    pub(super) fn new(subject: Subject, message: impl Into<String>) -> Self {
        Self { subject, message: message.into() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(id) => write!(f, "zone {id}"),
            Self::Vnet(id) => write!(f, "vnet {id}"),
            Self::Controller(id) => write!(f, "controller {id}"),
            Self::Fabric(id) => write!(f, "fabric {id}"),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::FrrLocal => f.write_str("frr.conf.local"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

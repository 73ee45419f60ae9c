//! How a publication stands, in the node's status.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::error::chain;
use crate::declare::publish::{Published, Record};
use crate::declare::pve::Damage;
use crate::host::HostError;
use crate::value::{Digest, NodeName};

/// The most things that one sentence names.
const SOME: usize = 4;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Proxmox has what the cluster runs.
    Published,
    /// It will be published by itself once something else happened.
    Waiting,
    /// A person has to do something.
    Refused,
}

impl Standing {
    /// Every standing.
    pub const ALL: &[Self] = &[Self::Published, Self::Waiting, Self::Refused];

    /// The standing as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }
}

/// What a node knows of the publication to Proxmox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// How it stands.
    pub standing: Standing,
    /// The stable name of the reason where it is not published.
    pub code: Option<String>,
    /// The sentence.
    pub message: String,
    /// What was published last.
    pub published: Option<Published>,
    /// The nodes that are waited for.
    pub waiting: Vec<NodeName>,
    /// What people changed.
    pub edited: Vec<String>,
    /// By file, the digests of what was found when it was.
    pub found: BTreeMap<String, Digest>,
    /// What Proxmox has no word for, or not the same one.
    pub left_out: Vec<String>,
}

/// Why nothing was published.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) standing: Standing,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) waiting: Vec<NodeName>,
    pub(super) edited: Vec<String>,
    pub(super) found: BTreeMap<String, Digest>,
}

impl Stopped {
    fn new(standing: Standing, code: &'static str, message: String) -> Self {
        let (waiting, edited, found) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { standing, code, message, waiting, edited, found }
    }

    /// It goes on by itself.
    pub(super) fn waiting(code: &'static str, message: String) -> Self {
        Self::new(Standing::Waiting, code, message)
    }

    /// A person has to do something.
    pub(super) fn refused(code: &'static str, message: String) -> Self {
        Self::new(Standing::Refused, code, message)
    }

    pub(super) fn unreadable(message: String) -> Self {
        Self::refused("pve-unreadable", message)
    }

    pub(super) fn no_quorum(why: &str) -> Self {
        Self::waiting("pve-no-quorum", format!("the cluster has no quorum: {why}"))
    }

    pub(super) fn unwritable(error: &HostError) -> Self {
        Self::waiting("pve-unwritable", chain(error))
    }

    /// Nodes that have not confirmed it.
    pub(super) fn waiting_for(missing: &[(NodeName, String)]) -> Self {
        let said: Vec<String> = missing.iter().map(|(node, why)| format!("{node} {why}")).collect();
        let message = format!("not every node has confirmed it: {}", some(&said));
        let waiting = missing.iter().map(|(node, _)| node.clone()).collect();
        Self { waiting, ..Self::waiting("pve-waits-for-nodes", message) }
    }

    /// The same for the status.
    pub(super) fn publication(self, record: Option<Record>) -> Publication {
        Publication {
            standing: self.standing,
            code: Some(self.code.to_owned()),
            message: self.message,
            published: record.and_then(|record| record.published),
            waiting: self.waiting,
            edited: self.edited,
            found: self.found,
            left_out: Vec::new(),
        }
    }
}

impl From<HostError> for Stopped {
    /// pmxcfs refuses writes where there is no quorum, as if they were not permitted.
    fn from(error: HostError) -> Self {
        match error {
            HostError::ReadOnly { .. } | HostError::Denied { .. } => {
                Self::no_quorum(&chain(&error))
            }
            error => Self::unwritable(&error),
        }
    }
}

impl From<Damage> for Stopped {
    fn from(damage: Damage) -> Self {
        Self::unreadable(damage.to_string())
    }
}

/// The first of several.
pub(super) fn some(all: &[String]) -> String {
    let first = all.iter().take(SOME).map(String::as_str).collect::<Vec<_>>().join("; ");
    match all.len().saturating_sub(SOME) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

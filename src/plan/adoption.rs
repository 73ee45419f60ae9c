//! What it means that weft takes over files that it did not write.
//!
//! Only what keeps every object as it is, or adds to it, may be taken over. Comments
//! and layout are no object; everything else that would go or change is.

use std::collections::BTreeSet;

use super::routing;
use super::stanza::outside;
use super::{Guard, Impact, Plan};
use crate::render::Managed;

/// The guard that an operator's own word lifts.
pub(super) const NOT_OURS: &str = "not-ours";
/// The guard that it does not.
const NOT_ADDITIVE: &str = "not-additive";

/// A file that is there and that weft did not write. A line that Proxmox VE wrote into
/// it does not make it weft's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Which file.
    pub managed: Managed,
    /// Whether it means what it should mean, so that it stays as it is.
    pub same: bool,
    /// What would be lost if it were replaced, beside what is a change of an interface:
    /// whole sentences.
    pub losses: Vec<String>,
}

impl Foreign {
    /// Compares a file with what should be there; `same` says that both mean the same.
    pub(super) fn new(managed: &Managed, is: &[u8], should: &[u8], same: bool) -> Self {
        let losses = match std::str::from_utf8(is) {
            _ if same => Vec::new(),
            Err(_) => vec![format!("`{managed}` is not UTF-8 text")],
            Ok(is) => losses(managed, is, &String::from_utf8_lossy(should)),
        };
        Self { managed: managed.clone(), same, losses }
    }
}

/// What a text has and another one has not. Where it has it is no loss.
fn losses(managed: &Managed, is: &str, should: &str) -> Vec<String> {
    let lost = |parts: fn(&str) -> Vec<String>| -> Vec<String> {
        let kept: BTreeSet<String> = parts(should).into_iter().collect();
        parts(is).into_iter().filter(|part| !kept.contains(part)).collect()
    };
    let lost = match managed {
        Managed::Interfaces => lost(outside),
        Managed::Frr => lost(routing::statements),
        _ => lost(lines),
    };
    lost.into_iter().map(|line| format!("`{managed}` would lose the line `{line}`")).collect()
}

/// The lines that say something.
fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Whether there is nothing in a file that anybody could lose: FRR comes with a
/// `frr.conf` that configures nothing.
pub(super) fn is_nobodys(managed: &Managed, is: &[u8]) -> bool {
    *managed == Managed::Frr
        && std::str::from_utf8(is).is_ok_and(|text| routing::statements(text).is_empty())
}

pub(super) fn not_ours(managed: &Managed) -> Guard {
    Guard {
        code: NOT_OURS,
        message: format!("`{managed}` was not written by weft"),
        help: "`weft adopt` takes it over where nothing is lost by that".to_owned(),
    }
}

impl Plan {
    /// The plan of an operator who takes this node over: files of somebody else are no
    /// hindrance, and everything that would not stay as it is, is.
    #[must_use]
    pub fn adopting(mut self) -> Self {
        self.guards.retain(|guard| guard.code != NOT_OURS);
        let changes = self.changes.iter().filter(|change| change.impact != Impact::Adds);
        let changes = changes.map(|change| {
            let what = match change.impact {
                Impact::Adds | Impact::Changes => "changed",
                Impact::Recreates => "made again",
                Impact::Removes => "removed",
            };
            format!("interface `{}` would be {what}", change.interface)
        });
        let losses = self.foreign.iter().flat_map(|foreign| foreign.losses.iter().cloned());
        let messages: Vec<String> = changes.chain(losses).collect();
        self.guards.extend(messages.into_iter().map(|message| Guard {
            code: NOT_ADDITIVE,
            message,
            help: "declare what the node has, until the plan is empty or only adds".to_owned(),
        }));
        self
    }
}

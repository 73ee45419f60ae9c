//! Which node writes to servers beside the network: one at a time, the others stand by.
//!
//! The branch of leases says who ([`crate::declare::writer`]). It moves forward only, so of
//! two who would begin one comes first, and the other sees it. Who dies at it is taken over
//! when its time is over; a node counts that time from when it first saw the record, by the
//! time since its own start, and the writer counts from before it published. Whoever's clock
//! is wrong, the writer's time is over first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::leases::{Branch, Held, LeasesError};
use crate::declare::writer::Writer;
use crate::host::{Host, HostError};
use crate::plan::Uptime;
use crate::sync::ledger::Allocators;
use crate::value::{Digest, DnsId, NodeName};

/// How long one node may write, in seconds.
const TERM: u32 = 600;
/// How long before its end nothing more is begun, in seconds: the time of the longest request,
/// and more.
const MARGIN: u32 = 120;
/// How long others are waited for where nobody says how long.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// One process of a node is at it.
const LOCK: &str = "/run/weft/writer.lock";
/// When the record of another node was seen first.
const SEEN: &str = "/run/weft/writer.json";
const MAX_BYTES: u64 = 4096;
/// The time before it is asked again whether others are done.
const PAUSE: Duration = Duration::from_millis(500);

/// The right to write. Whoever drops it without [`Writing::end`] lets others wait for the end
/// of its time.
#[derive(Debug)]
pub struct Writing<'a, H: Host> {
    branch: &'a Branch<'a, H>,
    allocators: &'a Allocators,
    node: NodeName,
    run: u64,
    /// When nothing more may be begun.
    pub until: Instant,
    _lock: H::Lock,
}

/// Why a node stands by.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StandBy {
    /// Another node writes.
    #[error("node `{node}` writes, for at most {} s more", .left.as_secs())]
    Node {
        /// The node.
        node: NodeName,
        /// How long it may.
        left: Duration,
    },
    /// Another process of this node writes.
    #[error("another process of this node writes")]
    Process,
}

/// Why a node does not write.
#[derive(Debug, Error)]
pub enum NoRight {
    /// Another is at it.
    #[error(transparent)]
    StandBy(#[from] StandBy),
    /// The branch of leases says nothing, or takes nothing of this node.
    #[error("who writes is not known")]
    Branch(#[from] LeasesError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    node: NodeName,
    run: u64,
    at: Uptime,
}

impl Seen {
    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers are JSON")
    }
}

/// The right to write, taken when something is to be written, and given back at the end.
/// Where no branch of leases is kept nobody says who writes, and everybody may.
pub struct Right<'a, H: Host> {
    host: &'a H,
    branch: Option<(&'a Branch<'a, H>, &'a Allocators)>,
    node: &'a NodeName,
    patience: Duration,
    writing: Option<Writing<'a, H>>,
}

impl<H: Host> fmt::Debug for Right<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Right").field("node", self.node).finish_non_exhaustive()
    }
}

impl<'a, H: Host> Right<'a, H> {
    /// That of a node. `patience` is how long others are waited for.
    pub fn of(
        host: &'a H,
        branch: Option<&'a Branch<'a, H>>,
        allocators: &'a Allocators,
        node: &'a NodeName,
        patience: Duration,
    ) -> Self {
        let branch = branch.map(|branch| (branch, allocators));
        Self { host, branch, node, patience, writing: None }
    }

    /// Takes it, unless it is had already, and says when nothing more may be begun; or why
    /// nothing may.
    pub fn take(&mut self) -> Result<Option<Instant>, NoRight> {
        let Some((branch, allocators)) = self.branch else { return Ok(None) };
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= self.patience || branch.is_given_up();
        while self.writing.is_none() {
            match begin(self.host, branch, allocators, self.node)? {
                Ok(writing) => self.writing = Some(writing),
                Err(other) if is_over() => return Err(other.into()),
                Err(_) => self.host.wait(PAUSE),
            }
        }
        Ok(self.writing.as_ref().map(|writing| writing.until))
    }

    /// Gives it back, where it was taken. `zones` are where names are now, where some may have
    /// been written: whether all are registered is for the agents to see. What is known of them
    /// stays as it was otherwise.
    pub fn end(self, zones: Option<&BTreeMap<DnsId, BTreeSet<String>>>) -> Result<(), LeasesError> {
        match (self.writing, zones) {
            (None, _) => Ok(()),
            (Some(writing), Some(zones)) => writing.end(None, zones),
            (Some(writing), None) => writing.give_back(),
        }
    }
}

/// Takes the right to write for a node, unless another has it.
pub fn begin<'a, H: Host>(
    host: &H,
    branch: &'a Branch<'a, H>,
    allocators: &'a Allocators,
    node: &NodeName,
) -> Result<Result<Writing<'a, H>, StandBy>, LeasesError> {
    let Some(lock) = host.lock(Utf8Path::new(LOCK))? else { return Ok(Err(StandBy::Process)) };
    let mut taken = Ok(Err(StandBy::Process));
    branch.publish(allocators, &format!("writer: {node} writes"), |held| {
        let since = Instant::now();
        match others(host, node, held) {
            Ok(None) => {
                let before = held.writer.as_ref();
                let run = before.map_or(1, |before| before.run.wrapping_add(1));
                taken = Ok(Ok((run, since)));
                Some(Writer {
                    node: node.clone(),
                    run,
                    held: true,
                    seconds: TERM,
                    done: before.and_then(|before| before.done),
                    zones: before.map(|before| before.zones.clone()).unwrap_or_default(),
                })
            }
            Ok(Some(other)) => {
                taken = Ok(Err(other));
                None
            }
            Err(error) => {
                taken = Err(error);
                None
            }
        }
    })?;
    Ok(taken?.map(|(run, since)| Writing {
        branch,
        allocators,
        node: node.clone(),
        run,
        until: since + Duration::from_secs((TERM - MARGIN).into()),
        _lock: lock,
    }))
}

/// Whether another node writes, by what is held now.
pub fn others(
    host: &impl Host,
    node: &NodeName,
    held: &Held,
) -> Result<Option<StandBy>, HostError> {
    // Of this node nobody is at it, or the lock would say so.
    let Some(writer) = held.writer.as_ref().filter(|of| of.held && of.node != *node) else {
        return Ok(None);
    };
    let now = host.uptime()?;
    let term = Duration::from_secs(writer.seconds.into());
    let file = host.read(Utf8Path::new(SEEN), MAX_BYTES)?;
    let seen = file.and_then(|file| serde_json::from_slice::<Seen>(&file.bytes).ok());
    let seen = seen.filter(|seen| {
        (&seen.node, seen.run, &seen.at.boot) == (&writer.node, writer.run, &now.boot)
    });
    let passed = if let Some(seen) = seen {
        Duration::from_millis(now.milliseconds.saturating_sub(seen.at.milliseconds))
    } else {
        let seen = Seen { node: writer.node.clone(), run: writer.run, at: now };
        host.replace(Utf8Path::new(SEEN), &seen.bytes(), 0o600)?;
        Duration::ZERO
    };
    let left = term.saturating_sub(passed);
    Ok((!left.is_zero()).then(|| StandBy::Node { node: writer.node.clone(), left }))
}

impl<H: Host> Writing<'_, H> {
    /// Gives the right back, and says what was done: the digest of what is registered, where
    /// nothing failed, and where it is. Says nothing where another node took over meanwhile.
    pub fn end(
        self,
        done: Option<Digest>,
        zones: &BTreeMap<DnsId, BTreeSet<String>>,
    ) -> Result<(), LeasesError> {
        self.leave(|own| Writer { held: false, done, zones: zones.clone(), ..own })
    }

    /// Gives the right back, and says nothing new of names.
    pub fn give_back(self) -> Result<(), LeasesError> {
        self.leave(|own| Writer { held: false, ..own })
    }

    fn leave(self, after: impl Fn(Writer) -> Writer) -> Result<(), LeasesError> {
        let message = format!("writer: {} wrote", self.node);
        self.branch.publish(self.allocators, &message, |held| {
            let own = held.writer.as_ref();
            let own = own.filter(|of| of.node == self.node && of.run == self.run)?;
            Some(after(own.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::{Fake, Restart};

    fn held(node: &str, run: u64) -> Held {
        let writer = Writer {
            node: node.parse().unwrap(),
            run,
            held: true,
            seconds: TERM,
            done: None,
            zones: BTreeMap::new(),
        };
        Held { writer: Some(writer), ..Held::default() }
    }

    #[test]
    fn a_record_is_over_when_its_time_passed_here() {
        let host = Fake::default();
        let node = "n1".parse().unwrap();
        let left = |held: &Held| match others(&host, &node, held).unwrap() {
            Some(StandBy::Node { left, .. }) => left.as_secs(),
            Some(StandBy::Process) => panic!("nobody is at it here"),
            None => 0,
        };
        let other = held("n2", 7);
        assert_eq!(left(&other), 600);
        host.wait(Duration::from_secs(599));
        // Whatever is said of the time of day.
        host.set_now(host.now() + Duration::from_secs(1_000_000));
        assert_eq!(left(&other), 1);
        host.wait(Duration::from_secs(1));
        assert_eq!(left(&other), 0);
        // Another run has its own time, and so has each after this node started anew.
        assert_eq!(left(&held("n2", 8)), 600);
        host.wait(Duration::from_secs(100));
        assert_eq!(left(&held("n2", 8)), 500);
        host.restart(Restart::Power);
        assert_eq!(left(&held("n2", 8)), 600);
        // Its own record of before, one that was given back, and none.
        assert_eq!(left(&held("n1", 9)), 0);
        let mut back = held("n2", 9);
        back.writer.as_mut().unwrap().held = false;
        assert_eq!((left(&back), left(&Held::default())), (0, 0));
    }
}

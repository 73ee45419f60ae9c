//! What a turn begins with: what the remotes show, and the facts of the node.

use std::time::{Duration, Instant};

use tracing::debug_span;

use super::{Purpose, Turn};
use crate::agent::error::TurnError;
use crate::agent::node::running;
use crate::agent::remotes::{self, Gathered};
use crate::agent::revoked;
use crate::apply;
use crate::facts::Facts;
use crate::host::{Host, HostError};
use crate::sync::{Anchor, Anchors};

/// How old facts may be of which a plan is made: a remote may take a minute.
const FRESH: Duration = Duration::from_secs(1);

/// Facts that were read already, if they were.
type Early = Option<Result<Facts, HostError>>;

impl<H: Host> Turn<'_, H> {
    /// What the remotes show. Where there will be a plan the node is looked at meanwhile.
    pub(super) fn gather(
        &self,
        purpose: Purpose,
        anchor: Option<&Anchor>,
        open: Option<&apply::Entry>,
    ) -> (Result<Gathered, TurnError>, Early) {
        let ask = || debug_span!("fetch").in_scope(|| self.ask(anchor, open));
        if !self.expects_plan(purpose) {
            return (ask(), None);
        }
        let begun = Instant::now();
        let (gathered, facts) = self.host.both(ask, || self.facts());
        (gathered, Some(facts).filter(|_| begun.elapsed() < FRESH))
    }

    pub(super) fn facts(&self) -> Result<Facts, HostError> {
        debug_span!("facts").in_scope(|| self.host.facts(&self.settings.node.value))
    }

    /// Whether what the remotes show is most probably new to this node.
    fn expects_plan(&self, purpose: Purpose) -> bool {
        let expects_news = self.memory.expected_news();
        purpose == Purpose::Sync && (expects_news || self.memory.open().order.is_none())
    }

    /// What the remotes show, by what is remembered of the turns before.
    fn ask(
        &self,
        anchor: Option<&Anchor>,
        open: Option<&apply::Entry>,
    ) -> Result<Gathered, TurnError> {
        let patience = self.patience(open)?;
        let mut remembered = self.memory.open();
        if remembered.remotes.is_empty() {
            remembered.remotes = self.last().map(|last| last.remotes).unwrap_or_default();
        }
        let runs = running(self.host)?.and_then(|running| running.commit);
        remotes::gather(self, anchor, runs.map(|runs| runs.commit), patience, &mut remembered)
    }

    /// The anchors, and the one that tips are judged from.
    pub(super) fn anchors(&self) -> Result<(Anchors, Option<Anchor>), TurnError> {
        let trust = revoked::trust(self.host, self.settings)?;
        let ran = !apply::course(self.host)?.is_empty();
        let runs = running(self.host)?.and_then(|running| running.commit);
        // Lost anchors are damage, unless people introduce the node at what it runs.
        let introduced = runs.as_ref().is_some_and(|runs| runs.commit == trust.introduction.commit);
        let anchors = Anchors::open(self.host, &trust, ran && !introduced)?;
        if let Some(path) = anchors.damaged() {
            tracing::warn!(%path, "one of the two anchors is broken; the other one serves");
        }
        // What runs was accepted. Where the newer anchor was lost, the older one must
        // not let a remote take the node back.
        let floor = anchors.anchor().zip(runs).and_then(|(anchor, runs)| anchor.raised_to(&runs));
        let anchor = floor.or_else(|| anchors.anchor().cloned());
        Ok((anchors, anchor))
    }
}

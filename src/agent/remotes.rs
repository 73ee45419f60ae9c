//! What the remotes show, and what is made of it.
//!
//! Every remote is asked in every turn, and every tip is judged by the same rule from
//! the same anchor. The accepted commit with the highest sequence is used, whoever shows
//! it. A remote that gives nothing, or something that cannot be read, costs its own time
//! and nothing else; and two remotes that show states of the branch that do not go
//! together are an alarm.

mod described;
mod reach;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::error::TurnError;
use super::memory::{Contents, Remembered, Settled};
use super::revoked;
use super::settings::Settings;
use super::status::{Divergence, FetchProcess, Refused, RemoteStanding, RemoteState, Unreached};
use super::turn::Turn;
use crate::host::Host;
use crate::sync::objects::{Nothing, ObjectError};
use crate::sync::{
    self, Anchor, Earlier, HistoryError, Judgement, Reason, Refusal, Standing, Store,
    TransportError, TreeError, Trust, Worker,
};
use crate::validate::scope::Scopes;
use crate::value::ObjectId;
use described::describe;
use reach::{Looked, Reach, Sight, Target};

/// What came of asking all remotes.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The tip that serves best.
    pub(super) tip: ObjectId,
    /// What trust says of it.
    pub(super) judgement: Judgement,
    /// What the accepted commit holds; `None` where nothing is accepted, or its objects
    /// are gone with a branch that was rewritten.
    pub(super) contents: Option<Contents>,
    /// What is refused of any remote, the best one's first.
    pub(super) refused: Vec<Refused>,
    /// The remotes that gave nothing.
    pub(super) unreached: Vec<Unreached>,
    /// Remotes that do not go together.
    pub(super) diverged: Vec<Divergence>,
}

/// What trust says of one tip.
struct Verdict {
    standing: Standing,
    refused: Vec<Refusal>,
}

impl Verdict {
    /// Whether the tip is known to be the anchor or below it.
    fn is_old(&self) -> bool {
        self.refused.is_empty() && matches!(self.standing, Standing::Current | Standing::Behind)
    }
}

/// A tip that serves, until a better one is found.
struct Best {
    tip: ObjectId,
    judgement: Judgement,
    contents: Option<Contents>,
}

impl Best {
    /// By the sequence of what is accepted, and whether it is there.
    fn rank(judgement: &Judgement, has_contents: bool) -> (u64, bool) {
        let sequence = judgement.accepted.as_ref().map_or(0, |found| found.record().sequence);
        (sequence, has_contents)
    }
}

/// Why a remote that answered serves nothing all the same.
enum Trouble {
    Transport(TransportError),
    /// And by what name the process failed, if it did.
    Turn(TurnError, Option<&'static str>),
}

/// Asks all remotes. `anchor` is what every tip is judged from, `runs` the commit that
/// the node runs.
pub(super) fn gather<H: Host>(
    turn: &Turn<'_, H>,
    anchor: Option<&Anchor>,
    runs: Option<ObjectId>,
    patience: Duration,
    remembered: &mut Remembered,
) -> Result<Gathered, TurnError> {
    let targets = reach::targets(turn.host, turn.settings);
    let reach = Reach::new(turn.program, turn.root, turn.settings, patience, turn.cancel);
    let mut sights = reach.look(&targets);
    note_process(&sights, turn.root, remembered);
    let mut gathering = Gathering {
        reach,
        settings: turn.settings,
        trust: revoked::trust(turn.host, turn.settings)?,
        anchor,
        runs,
        scopes: Scopes::default(),
        now: turn.host.now(),
        remembered,
        verdicts: BTreeMap::new(),
        best: None,
        worker: None,
    };
    let troubles = gathering.judge_all(&targets, &mut sights);
    gathering.conclude(&targets, sights, troubles)
}

/// Remembers how the processes were confined, and says what is wrong with it once.
fn note_process(sights: &[Looked], root: Option<&Utf8Path>, remembered: &mut Remembered) {
    let cage = sights.iter().find_map(|sight| sight.as_ref().ok()?.cage);
    let Some(cage) = cage else { return };
    let warnings = reach::warnings(cage, root.is_some());
    let process = FetchProcess { user: cage.user, landlock: cage.landlock, warnings };
    if remembered.process.as_ref() != Some(&process) {
        for warning in &process.warnings {
            tracing::warn!("{warning}");
        }
        remembered.process = Some(process);
    }
}

struct Gathering<'a> {
    reach: Reach<'a>,
    settings: &'a Settings,
    trust: Trust,
    anchor: Option<&'a Anchor>,
    runs: Option<ObjectId>,
    scopes: Scopes,
    now: jiff::Timestamp,
    remembered: &'a mut Remembered,
    verdicts: BTreeMap<ObjectId, Verdict>,
    best: Option<Best>,
    /// The last process that fetched: the cache that it reads holds what all of them brought.
    worker: Option<Worker>,
}

impl Gathering<'_> {
    /// Judges every tip, in the order of the settings; remotes that failed last time come
    /// after the others.
    fn judge_all(&mut self, targets: &[Target], sights: &mut [Looked]) -> BTreeMap<usize, Trouble> {
        let seen = |index: &usize| sights.get(*index).is_some_and(Result::is_ok);
        let mut order: Vec<usize> = (0..targets.len()).filter(seen).collect();
        let failed = |index: &usize| {
            targets
                .get(*index)
                .is_some_and(|target| self.remembered.failed.contains(&target.remote.name))
        };
        order.sort_by_key(failed);
        let begun = Instant::now();
        let mut troubles = BTreeMap::new();
        for (position, &index) in order.iter().enumerate() {
            let (Some(target), Some(Ok(sight))) = (targets.get(index), sights.get_mut(index))
            else {
                continue;
            };
            let worker = sight.worker.take();
            if self.verdicts.contains_key(&sight.tip) || self.recall(sight.tip) {
                continue;
            }
            // What is left is shared with those that come after.
            let left = self.reach.deadline.saturating_sub(begun.elapsed());
            let waiting = u32::try_from(order.len() - position).unwrap_or(u32::MAX);
            if let Err(trouble) = self.fetch(target, worker, left / waiting) {
                troubles.insert(index, trouble);
            }
        }
        troubles
    }

    /// Judges a tip by what is remembered, where nothing has to be read for it.
    fn recall(&mut self, tip: ObjectId) -> bool {
        let Some(anchor) = self.anchor else { return false };
        let at = anchor.record.commit;
        if let Some(Settled::Beside(refused)) = self.remembered.settled(tip) {
            let judgement = Judgement {
                standing: Standing::Refused,
                accepted: None,
                refused: refused.clone(),
                omitted: 0,
                remaining: 0,
            };
            self.take(tip, judgement, None);
            return true;
        }
        let behind = matches!(self.remembered.settled(tip), Some(Settled::Behind));
        let contents = self.remembered.contents.as_ref();
        let contents = contents.filter(|contents| contents.tree.record().commit == at).cloned();
        if contents.is_none() || !(tip == at || behind) {
            return false;
        }
        let judged = self.rule(Store::new(&Nothing), at, Some(anchor));
        let Ok(mut judgement) = judged else { return false };
        if behind && judgement.standing == Standing::Current {
            judgement.standing = Standing::Behind;
        }
        self.take(tip, judgement, contents);
        true
    }

    /// The rule of authorisation, with what scopes mean.
    fn rule(
        &self,
        store: Store<'_>,
        tip: ObjectId,
        anchor: Option<&Anchor>,
    ) -> Result<Judgement, HistoryError> {
        sync::judge(store, tip, &self.trust, anchor, self.now, &|difference| {
            self.scopes.judge(difference)
        })
    }

    /// Fetches a remote, judges its tip, and reads what is accepted if that is better than
    /// what there is.
    fn fetch(
        &mut self,
        target: &Target,
        looked: Option<Worker>,
        time: Duration,
    ) -> Result<(), Trouble> {
        // One process at a time has the cache.
        self.worker = None;
        let (worker, tip) = self.reach.fetch(target, looked, time).map_err(Trouble::Transport)?;
        let judged = self.judge(&worker, tip);
        let (judgement, contents) = judged.map_err(|error| Trouble::Turn(error, worker.fault()))?;
        self.worker = Some(worker);
        self.take(tip, judgement, contents);
        Ok(())
    }

    fn judge(
        &self,
        worker: &Worker,
        tip: ObjectId,
    ) -> Result<(Judgement, Option<Contents>), TurnError> {
        let store = Store::new(worker);
        let mut judgement = self.rule(store, tip, self.anchor)?;
        judgement.refused.iter_mut().for_each(|refusal| describe(store, refusal));
        let best = self.best.as_ref();
        let best = best.map(|best| Best::rank(&best.judgement, best.contents.is_some()));
        if judgement.accepted.is_none() || best >= Some(Best::rank(&judgement, true)) {
            return Ok((judgement, None));
        }
        let contents = self.contents(store, &judgement);
        match contents {
            Ok(contents) => Ok((judgement, contents)),
            // Of a branch that was rewritten, the objects of the commit that is trusted
            // may be gone with the cache. What runs does not need them.
            Err(TurnError::Tree {
                source: TreeError::Object(ObjectError::Missing { .. }), ..
            }) if !judgement.refused.is_empty() => Ok((judgement, None)),
            Err(error) => Err(error),
        }
    }

    fn contents(
        &self,
        store: Store<'_>,
        judgement: &Judgement,
    ) -> Result<Option<Contents>, TurnError> {
        let Some(accepted) = &judgement.accepted else { return Ok(None) };
        let commit = accepted.record().commit;
        let remembered = self.remembered.contents.as_ref();
        let brings_back = || -> Result<Option<Earlier>, TurnError> {
            Ok(match self.runs {
                Some(runs) if runs != commit => sync::reverts(store, accepted, runs)?,
                _ => None,
            })
        };
        if let Some(contents) = remembered.filter(|known| known.tree.record() == accepted.record())
        {
            let mut contents = contents.clone();
            // What it brings back depends on what runs.
            if contents.runs != self.runs {
                (contents.brings_back, contents.runs) = (brings_back()?, self.runs);
            }
            return Ok(Some(contents));
        }
        let failed = |source| TurnError::Tree { commit, source };
        let tree = sync::tree(store, accepted, self.settings.base()).map_err(failed)?;
        let removal = sync::removal(store, accepted).map_err(failed)?;
        let (brings_back, runs) = (brings_back()?, self.runs);
        Ok(Some(Contents { tree, removal, brings_back, runs }))
    }

    fn take(&mut self, tip: ObjectId, judgement: Judgement, contents: Option<Contents>) {
        let beside =
            |refusal: &Refusal| matches!(refusal.code, Reason::Rewritten | Reason::Foxtrot);
        let refused = judgement.refused.clone();
        if self.anchor.is_some() {
            if judgement.standing == Standing::Behind {
                self.remembered.settle(tip, Settled::Behind);
            } else if !refused.is_empty() && refused.iter().all(beside) {
                self.remembered.settle(tip, Settled::Beside(refused.clone()));
            }
        }
        self.verdicts.insert(tip, Verdict { standing: judgement.standing, refused });
        let rank = Best::rank(&judgement, contents.is_some());
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| rank > Best::rank(&best.judgement, best.contents.is_some()));
        if better {
            self.best = Some(Best { tip, judgement, contents });
        }
    }

    /// Whether a tip and the best one do not go together.
    fn diverges(&mut self, tip: ObjectId, best: ObjectId) -> bool {
        let (Some(verdict), Some(of_best)) = (self.verdicts.get(&tip), self.verdicts.get(&best))
        else {
            return false;
        };
        let advanced = |verdict: &Verdict| verdict.standing == Standing::Advanced;
        let old = verdict.is_old() && (of_best.is_old() || advanced(of_best))
            || of_best.is_old() && advanced(verdict);
        if tip == best || old {
            return false;
        }
        // A tip beside the anchor's line diverges unless it can be shown that it does not.
        let beside = verdict.refused.iter().any(|refusal| refusal.code == Reason::Rewritten);
        let worker = self.worker.as_ref();
        let look = || match worker {
            Some(worker) => sync::diverged(Store::new(worker), tip, best),
            None => Err(HistoryError::Object(ObjectError::Missing { id: tip })),
        };
        self.remembered.diverged(tip, best, look).unwrap_or_else(|error| {
            tracing::debug!(%error, "it is not known how two remotes stand to each other");
            beside
        })
    }

    /// Says how each remote stands, and what is to be used.
    fn conclude(
        mut self,
        targets: &[Target],
        sights: Vec<Looked>,
        mut troubles: BTreeMap<usize, Trouble>,
    ) -> Result<Gathered, TurnError> {
        let mut states = Vec::new();
        let mut unreached = Vec::new();
        let mut diverged: Vec<Divergence> = Vec::new();
        let mut first_error = None;
        let best = self.best.take();
        let shows_best = |sight: &Looked| matches!((sight, &best), (Ok(sight), Some(best)) if sight.tip == best.tip);
        let best_remote = sights.iter().position(shows_best).and_then(|index| targets.get(index));
        let now = self.now;
        for (index, (target, sight)) in targets.iter().zip(sights).enumerate() {
            let name = &target.remote.name;
            let before = self.remembered.remotes.iter().find(|state| state.name == *name).cloned();
            let mut state = RemoteState::new(name.clone(), before);
            let trouble = match sight {
                Ok(Sight { tip, .. }) => {
                    (state.tip, state.seen) = (Some(tip), Some(now));
                    match (troubles.remove(&index), &best) {
                        (Some(trouble), _) => Some(trouble),
                        (None, Some(best)) => {
                            state.standing = self.standing(tip, best);
                            if state.standing == RemoteStanding::Diverged
                                && let Some(other) = best_remote
                            {
                                diverged.push(Divergence {
                                    remote: name.clone(),
                                    commit: tip,
                                    other_remote: other.remote.name.clone(),
                                    other_commit: best.tip,
                                });
                            }
                            None
                        }
                        (None, None) => None,
                    }
                }
                Err(error) => Some(Trouble::Transport(error)),
            };
            if let Some(trouble) = trouble {
                let said = trouble.said(target);
                tracing::info!(remote = %name, code = said.code, "{}", said.message);
                unreached.push(said);
                if let Trouble::Turn(error, _) = trouble {
                    state.standing = RemoteStanding::Unread;
                    first_error.get_or_insert(error);
                }
            }
            states.push(state);
        }
        self.remembered.failed =
            unreached.iter().map(|unreached| unreached.remote.clone()).collect();
        self.remembered.remotes = states;
        self.remembered.unreached.clone_from(&unreached);
        let Some(Best { tip, judgement, contents }) = best else {
            return Err(first_error.unwrap_or(TurnError::Remotes(unreached)));
        };
        if contents.is_some() {
            self.remembered.contents.clone_from(&contents);
        }
        let refused = self.refused(&judgement);
        Ok(Gathered { tip, judgement, contents, refused, unreached, diverged })
    }

    fn standing(&mut self, tip: ObjectId, best: &Best) -> RemoteStanding {
        if self.diverges(tip, best.tip) {
            return RemoteStanding::Diverged;
        }
        let accepted = best.judgement.accepted.as_ref().map(|accepted| accepted.record().commit);
        let verdict = self.verdicts.get(&tip);
        if verdict.is_some_and(|verdict| !verdict.refused.is_empty()) {
            RemoteStanding::Refused
        } else if verdict.is_some_and(|verdict| verdict.standing == Standing::Behind) {
            RemoteStanding::Behind
        } else if Some(tip) == accepted || tip == best.tip {
            RemoteStanding::Current
        } else {
            RemoteStanding::Behind
        }
    }

    /// What is refused of any tip, each once.
    fn refused(&self, best: &Judgement) -> Vec<Refused> {
        let others = self.verdicts.values().flat_map(|verdict| &verdict.refused);
        let mut refused: Vec<Refused> = Vec::new();
        for refusal in best.refused.iter().chain(others) {
            let refusal = Refused::from(refusal);
            if refused.len() < sync::MAX_REFUSALS && !refused.contains(&refusal) {
                refused.push(refusal);
            }
        }
        refused
    }
}

impl Trouble {
    fn said(&self, target: &Target) -> Unreached {
        match self {
            Self::Transport(error) => Unreached::of(&target.remote.name, error),
            Self::Turn(error, fault) => Unreached::unread(&target.remote, error, *fault),
        }
    }
}

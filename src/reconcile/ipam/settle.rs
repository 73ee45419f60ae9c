//! Addresses of guests, where a server administers them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use super::carry::{Carrier, Outcome};
use super::{Access, Decide, Terms, beside, changed, held, keep, of_server, reach, said};
use crate::network::{Leases, Network};
use crate::plan::addresses::LeaseChange;
use crate::plan::ipam::{
    Counts, Key, Refusal, Refused, Rule, Scene, Step, Subject, difference, zones_of,
};
use crate::value::{IpamId, ZoneId};

/// How often others may be first.
const TRIES: u32 = 100;
/// The longest pause after somebody else was first; it doubles three times.
const PAUSE: Duration = Duration::from_millis(500);

/// The leases of one server after they were settled.
#[derive(Debug, Default)]
pub struct Settled {
    /// What is held.
    pub leases: Leases,
    /// What was changed.
    pub changes: Vec<LeaseChange>,
    /// What is not done.
    pub refused: Vec<Refused>,
}

/// Lets `decide` say what changes, from what a server holds, and writes that there: addresses
/// of guests, and nothing else. Where somebody else was first, it is asked again about what
/// is held then. A guest that has an address there keeps it, so an answer that was lost costs
/// nothing.
pub fn settle(
    network: &Network,
    id: &IpamId,
    access: &BTreeMap<IpamId, Access>,
    terms: &Terms,
    decide: &mut Decide<'_>,
) -> Settled {
    settle_in_turn(network, id, access, terms, decide, &mut || Ok(None))
}

/// Says until when something may be begun on a server, or why nothing may. Without an end,
/// nobody says who writes.
pub type Ask<'a> = dyn FnMut() -> Result<Option<Instant>, String> + 'a;

/// The same where `ask` must be asked before the first write. What was found before that is
/// looked at again, for another may have written meanwhile.
pub fn settle_in_turn(
    network: &Network,
    id: &IpamId,
    access: &BTreeMap<IpamId, Access>,
    terms: &Terms,
    decide: &mut Decide<'_>,
    ask: &mut Ask<'_>,
) -> Settled {
    let mut settled = Settled::default();
    let mut server = match reach(network, id, access, terms) {
        Ok(server) => server,
        Err(whys) => {
            settled.refused.extend(of_server(id, whys));
            return settled;
        }
    };
    let zones: BTreeSet<ZoneId> = zones_of(network, id).cloned().collect();
    let mut made: BTreeMap<_, LeaseChange> = BTreeMap::new();
    let mut until = None;
    let mut is_asked = false;
    for tries in 0..TRIES {
        let found = match server.found(&zones) {
            Ok(found) => found,
            Err(error) => {
                settled.refused = of_server(id, said(&error)).collect();
                break;
            }
        };
        let all = zones.union(&found.zones(&terms.cluster)).cloned().collect();
        let before = held(&found, &all);
        let changes = decide(id, &before, &beside(network, &found, &zones));
        let after = changed(before.clone(), &changes);
        settled = Settled { leases: before, ..Settled::default() };
        let keys: BTreeSet<_> = changes
            .iter()
            .map(|change| (change.zone.clone(), Key::Address(change.address)))
            .collect();
        let mut outcome = Outcome::default();
        let (mut steps, mut counts) = (Vec::new(), Counts::default());
        for zone in all.iter().filter(|zone| keys.iter().any(|(of, _)| of == *zone)) {
            let scene = Scene {
                cluster: &terms.cluster,
                id: zone,
                zone: Scene::declared(network, id, zone),
                leases: &after,
                found: &found,
                reach: server.capacity(),
            };
            let has_space = !scene.reach.spaces
                || found.of_zone(zone).get(&Key::Space).is_some_and(|spaces| spaces[0].is_ours());
            if !has_space {
                let of = Subject::Zone(zone.clone());
                settled.refused.push(Refused { of, why: Refusal::NoSpace });
                continue;
            }
            let rule = Rule { cluster: &terms.cluster, adopt: terms.adopt, reach: scene.reach };
            let difference = difference(zone, &scene.wanted(false), &found, rule);
            counts = counts.and(difference.counts);
            let is_concerned = |step: &Step| keys.contains(&(zone.clone(), step.key()));
            steps.extend(difference.steps.into_iter().filter(is_concerned));
            settled.refused.extend(difference.refused.into_iter().filter(|refused| {
                let is_concerned = match &refused.of {
                    Subject::Object(zone, key) => keys.contains(&(zone.clone(), *key)),
                    Subject::Server(_) | Subject::Zone(_) => false,
                };
                is_concerned || matches!(refused.why, Refusal::Elsewhere(_))
            }));
        }
        if let Some(why) = keep(&mut steps, counts, terms) {
            settled.refused.extend(of_server(id, vec![why]));
        }
        if !steps.is_empty() && !is_asked {
            match ask() {
                Ok(end) => (until, is_asked) = (end, true),
                Err(why) => {
                    settled.refused.extend(of_server(id, vec![Refusal::StandsBy(why)]));
                    break;
                }
            }
            if until.is_some() {
                continue;
            }
        }
        let planned: BTreeSet<_> =
            steps.iter().filter_map(|step| Some((step.zone()?.clone(), step.key()))).collect();
        Carrier::new(&mut *server, &mut outcome, until).all(steps);
        let is_done = |change: &LeaseChange| {
            let (zone, key) = (change.zone.clone(), Key::Address(change.address));
            let of = Subject::Object(zone.clone(), key);
            planned.contains(&(zone, key)) && outcome.refused.iter().all(|one| one.of != of)
        };
        let done: Vec<LeaseChange> = changes.into_iter().filter(is_done).collect();
        settled.leases = changed(std::mem::take(&mut settled.leases), &done);
        for change in done {
            made.insert((change.zone.clone(), change.address), change);
        }
        if outcome.refused.is_empty() {
            break;
        }
        // A server that refuses a mark that is there already says so in words of its own.
        let passes = tries < 2 || outcome.refused.iter().any(|refused| refused.why.is_of_another());
        settled.refused.extend(outcome.refused);
        if !passes {
            break;
        }
        thread::sleep(pause(tries));
    }
    settled.changes = made.into_values().collect();
    settled
}

/// Of those who wait, each another time, and longer where many do.
fn pause(tries: u32) -> Duration {
    let share = u32::try_from(RandomState::new().hash_one(tries) % 1000).unwrap_or_default();
    (PAUSE * (1 << tries.min(3)) / 1000) * share
}

//! How everything is before the first change.

use std::time::Duration;

use super::ApplyError;
use crate::host::Host;
use crate::plan::{Before, Health, Sign, Signs, Terms};

/// The time between two looks before the first change, how many there are at least, and at
/// most where something does not answer: a look takes five seconds then.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const LOOKS: u32 = 2;
const MOST_LOOKS: u32 = 4;

/// How everything is before the first change. Looked at twice where not everything works: on
/// a busy machine one look may miss something that works, which then nobody would ask for.
/// And more often where something does not answer.
pub(super) fn before_change(host: &impl Host, terms: &Terms) -> Result<Option<Before>, ApplyError> {
    let mut signs = Signs::new();
    let mut silent = None;
    for look in 0..MOST_LOOKS {
        if look > 0 {
            host.wait(BETWEEN_LOOKS);
        }
        let Some(found) = host.observe(&terms.watchlist)? else { return Ok(None) };
        for (sign, health) in found.signs {
            if signs.get(&sign) != Some(&Health::Up) {
                signs.insert(sign, health);
            }
        }
        // What answered once was asked.
        let still = match silent {
            Some(before) => &before & &found.silent,
            None => found.silent,
        };
        let is_enough = still.is_empty()
            && (look + 1 >= LOOKS || signs.values().all(|health| *health == Health::Up));
        silent = Some(still);
        if is_enough {
            break;
        }
    }
    let silent = silent.unwrap_or_default();
    if !silent.is_empty() && !terms.blind {
        return Err(ApplyError::Blind { silent });
    }
    let sessions = signs.iter().filter_map(|(sign, health)| match (sign, health) {
        (Sign::Session(session), Health::Up) => Some(session.clone()),
        _ => None,
    });
    let answering = host.answering(&sessions.collect::<Vec<_>>());
    Ok(Some(Before { signs, answering, silent }))
}

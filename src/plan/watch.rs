//! Watching a window: when it is confirmed, and when it is undone.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::sign::{Look, Sign};
use super::window::{Requirement, Uptime, Window, milliseconds};

/// The longest time between two looks in which everything counts as having worked.
const GAP: Duration = Duration::from_secs(20);

/// What is to become of an open window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays open; this is down.
    Wait(Vec<Sign>),
    /// Everything works.
    Confirm,
    /// It is to be undone.
    RollBack(Shortfall),
}

/// Why a window was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// This worked before and does not now.
    Down(Vec<Sign>),
    /// Everything works, and did for too short a time when the window ended.
    Unsettled,
    /// Nobody confirmed in time.
    Unconfirmed,
}

impl Shortfall {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Down(_) => "window-down",
            Self::Unsettled => "window-unsettled",
            Self::Unconfirmed => "window-unconfirmed",
        }
    }
}

/// What was seen of a window so far. May be lost: then waiting begins anew, within the
/// same end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    down_since: BTreeMap<Sign, u64>,
    whole_since: Option<u64>,
    looked: Option<u64>,
}

impl Watch {
    /// Takes in how everything is now.
    pub fn look(&mut self, now: &Uptime, window: &Window, look: &Look) -> Verdict {
        let time = now.milliseconds;
        let down = window.down(&look.signs);
        // What was not looked at is not known to have worked.
        let looked = self.looked.replace(time);
        if looked.is_some_and(|looked| time.saturating_sub(looked) > milliseconds(GAP)) {
            self.whole_since = None;
        }
        self.down_since.retain(|sign, _| down.contains(sign));
        for sign in down.iter().filter(|sign| !look.leaves_open(sign)) {
            self.down_since.entry(sign.clone()).or_insert(time);
        }
        let over = window.is_over(now);
        if down.is_empty() {
            let since = *self.whole_since.get_or_insert(time);
            return match (window.manual, over) {
                (false, _) if time.saturating_sub(since) >= window.settle => Verdict::Confirm,
                (true, true) => Verdict::RollBack(Shortfall::Unconfirmed),
                (false, true) => Verdict::RollBack(Shortfall::Unsettled),
                (_, false) => Verdict::Wait(down),
            };
        }
        self.whole_since = None;
        if over {
            return Verdict::RollBack(Shortfall::Down(down));
        }
        let is_spent = |requirement: &&Requirement| {
            let since = self.down_since.get(&requirement.sign);
            let since = since.filter(|_| !look.leaves_open(&requirement.sign));
            since.is_some_and(|since| time.saturating_sub(*since) >= requirement.grace)
        };
        let spent = window.required.iter().filter(is_spent);
        let spent: Vec<Sign> = spent.map(|requirement| requirement.sign.clone()).collect();
        if spent.is_empty() {
            Verdict::Wait(down)
        } else {
            Verdict::RollBack(Shortfall::Down(spent))
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsettled => {
                f.write_str("what worked before worked again only shortly before the window ended")
            }
            Self::Unconfirmed => f.write_str("nobody confirmed it in time"),
            Self::Down(signs) => {
                f.write_str("it worked before and does not now: ")?;
                write_list(f, signs)
            }
        }
    }
}

/// The most signs that a sentence names.
const NAMED: usize = 5;

fn write_list(f: &mut fmt::Formatter<'_>, signs: &[Sign]) -> fmt::Result {
    for (index, sign) in signs.iter().take(NAMED).enumerate() {
        write!(f, "{}{sign}", if index == 0 { "" } else { ", " })?;
    }
    match signs.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

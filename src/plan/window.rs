//! The window of an apply: from its first change until it is confirmed or undone.
//!
//! What worked before the first change must work after the last one. Nothing else is
//! asked: a network that was broken before must stay mendable.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lapse::Lapses;
use super::sign::{Health, Protocol, Session, Sign, Signs, Watchlist};

/// For how long a sign may be down within a window.
const GRACE_OF_LINK: Duration = Duration::from_secs(10);
/// Spanning tree and LACP take 35 s to let packets through again.
const GRACE_OF_REACH: Duration = Duration::from_secs(40);
/// BGP tries again within this time.
const GRACE_OF_SESSION: Duration = Duration::from_secs(90);

/// How an apply is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Within the usual window.
    Ordinary,
    /// It touches the way by which the node is reached.
    Management,
    /// It drops sessions until the other side follows.
    Coordinated,
}

/// What a window is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// How it is watched.
    pub class: Class,
    /// Whether it touches the way by which the node is reached, whatever its class.
    pub touches_management: bool,
    /// How long carrying it out may take, before everything can be asked to work.
    pub carrying_out: Duration,
}

/// How long windows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long everything must work without a break.
    pub settle: Duration,
    /// How long each class of window is open at most.
    pub ordinary: Duration,
    /// See [`Class::Management`].
    pub management: Duration,
    /// See [`Class::Coordinated`].
    pub coordinated: Duration,
    /// For how long after the end whoever applies may undo, before the watchdog does.
    pub reserve: Duration,
    /// Whether only a person confirms.
    pub manual: bool,
    /// Whether a change is made although something does not answer that would say what
    /// works.
    pub blind: bool,
    /// Whether the change brings back what ran before.
    pub reverts: bool,
    /// The earlier state that it brings back, in words, where the node is held and only a
    /// change that does so is made.
    pub passed_hold: Option<String>,
    /// What is looked at.
    pub watchlist: Watchlist,
}

/// A time since the machine started, of one start. Goes on while the machine sleeps, and
/// is set by nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uptime {
    /// Which start it was.
    pub boot: String,
    /// Milliseconds since then.
    pub milliseconds: u64,
}

/// The window of one apply, as its journal entry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How it is watched.
    pub class: Class,
    /// The start of the machine that it belongs to: no window outlives it.
    pub boot: String,
    /// When it opened, in milliseconds since that start.
    pub opened: u64,
    /// When it ends: what is not confirmed then is undone.
    pub until: u64,
    /// When the watchdog undoes it, whatever became of who applied.
    pub deadline: u64,
    /// For how long everything must work without a break, in milliseconds.
    pub settle: u64,
    /// Whether only a person confirms.
    pub manual: bool,
    /// Whether the underlay is changed, so that no neighbour is excused.
    pub underlay: bool,
    /// What must work.
    pub required: Vec<Requirement>,
    /// What is looked at.
    pub watchlist: Watchlist,
    /// What did not answer before the first change: nothing is asked for of what it knows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub silent: BTreeSet<String>,
}

/// What must work, because it did before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// What.
    pub sign: Sign,
    /// For how long it may be down, in milliseconds.
    pub grace: u64,
    /// Whether the change drops it by what it is, until the other side follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// Of a session: whether its other side answered before the first change, so that
    /// silence says that it is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
}

/// What was seen of a node before the first change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// How everything was.
    pub signs: Signs,
    /// The sessions whose other side answered below them.
    pub answering: BTreeSet<Session>,
    /// What did not answer.
    pub silent: BTreeSet<String>,
}

impl Class {
    /// The class as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Management => "management",
            Self::Coordinated => "coordinated",
        }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(10),
            ordinary: Duration::from_secs(120),
            management: Duration::from_secs(300),
            coordinated: Duration::from_secs(600),
            reserve: Duration::from_secs(30),
            manual: false,
            blind: false,
            reverts: false,
            passed_hold: None,
            watchlist: Watchlist::default(),
        }
    }
}

impl Terms {
    fn length(&self, class: Class) -> Duration {
        match class {
            Class::Ordinary => self.ordinary,
            Class::Management => self.management,
            Class::Coordinated => self.coordinated,
        }
    }
}

impl Window {
    /// The window of a change, opened now, of which carrying it out may take a part.
    pub fn open(
        terms: &Terms,
        change: &Opening,
        now: &Uptime,
        before: &Before,
        lapses: &Lapses,
    ) -> Self {
        let Opening { class, touches_management, carrying_out } = *change;
        let opened = now.milliseconds;
        let length = milliseconds(terms.length(class));
        let until = opened.saturating_add(length).saturating_add(milliseconds(carrying_out));
        let underlay = lapses.underlay
            || touches_management
            || before.signs.keys().any(|sign| lapses.hides(sign));
        let worked = before.signs.iter().filter(|(_, health)| **health == Health::Up);
        let required = worked.filter(|(sign, _)| !lapses.removes(sign)).map(|(sign, _)| {
            let dropped = lapses.renegotiates(sign)
                || (class == Class::Coordinated && matches!(sign, Sign::Probe(_)));
            let grace = if dropped { length } else { milliseconds(grace(sign)).min(length) };
            let answered = match sign {
                Sign::Session(session) => before.answering.contains(session),
                _ => false,
            };
            Requirement { sign: sign.clone(), grace, dropped, answered }
        });
        let required: Vec<Requirement> = required.collect();
        let hold = required.iter().filter(|_| underlay).map(|one| hold(&one.sign)).max();
        Self {
            class,
            boot: now.boot.clone(),
            opened,
            until,
            deadline: until.saturating_add(milliseconds(terms.reserve)),
            settle: milliseconds(terms.settle.max(hold.unwrap_or_default())).min(length / 2),
            manual: terms.manual,
            underlay,
            required,
            watchlist: terms.watchlist.clone(),
            silent: before.silent.clone(),
        }
    }

    /// Whether the window belongs to this start of the machine.
    pub fn is_of(&self, now: &Uptime) -> bool {
        self.boot == now.boot
    }

    /// Whether its end is over, or it belongs to an earlier start of the machine.
    pub fn is_over(&self, now: &Uptime) -> bool {
        !self.is_of(now) || now.milliseconds >= self.until
    }

    /// How long it is open still.
    pub fn left(&self, now: &Uptime) -> Duration {
        if !self.is_of(now) {
            return Duration::ZERO;
        }
        Duration::from_millis(self.until.saturating_sub(now.milliseconds))
    }

    /// Whether something is down that this change does not drop by what it is.
    pub fn is_failing(&self, down: &[Sign]) -> bool {
        let is_dropped = |sign: &Sign| {
            let mut required = self.required.iter();
            required.any(|required| required.sign == *sign && required.dropped)
        };
        down.iter().any(|sign| !is_dropped(sign))
    }

    /// What is down of what must work. Of remotes one is enough. A neighbour that does not
    /// answer below its session either is excused where something else proves that the
    /// underlay carries, and the change left it alone. So is a port that is no interface any
    /// more, nor one of another bridge or of none: its guest was stopped or moved.
    pub fn down(&self, signs: &Signs) -> Vec<Sign> {
        let health = |sign: &Sign| signs.get(sign).copied().unwrap_or(Health::Down);
        let signs_of = || self.required.iter().map(|requirement| &requirement.sign);
        let is_remote = |sign: &&Sign| matches!(sign, Sign::Remote(_));
        let reached = signs_of().filter(is_remote).any(|sign| health(sign) == Health::Up);
        let witness = signs_of().any(|sign| {
            matches!(sign, Sign::Remote(_) | Sign::Gateway(_) | Sign::Session(_))
                && health(sign) == Health::Up
        });
        let is_there = |wanted: &String| {
            let mut ports = signs.keys();
            ports.any(|sign| matches!(sign, Sign::GuestPort { port, .. } if port == wanted))
        };
        let answered = |sign: &Sign| {
            let mut required = self.required.iter();
            required.any(|required| required.sign == *sign && required.answered)
        };
        let excused = |sign: &Sign| match sign {
            Sign::Remote(_) => reached,
            Sign::Session(_) => {
                witness && !self.underlay && answered(sign) && health(sign) == Health::Away
            }
            Sign::GuestPort { port, .. } => !is_there(port),
            _ => false,
        };
        let down = signs_of().filter(|sign| health(sign) != Health::Up && !excused(sign));
        down.cloned().collect()
    }
}

fn grace(sign: &Sign) -> Duration {
    match sign {
        Sign::Bridge(_) | Sign::GuestPort { .. } | Sign::Vni(_) => GRACE_OF_LINK,
        Sign::Remote(_) | Sign::Gateway(_) | Sign::Probe(_) => GRACE_OF_REACH,
        Sign::Session(_) => GRACE_OF_SESSION,
    }
}

/// How long a protocol believes in a neighbour that is silent: until then its session is up
/// whatever became of what is below. FRR's own values, and those of its profile
/// `datacenter` for BGP.
fn hold(sign: &Sign) -> Duration {
    let Sign::Session(session) = sign else { return Duration::ZERO };
    Duration::from_secs(match session.protocol {
        Protocol::Bfd => 2,
        Protocol::Bgp => 10,
        Protocol::Isis | Protocol::OpenFabric => 35,
        Protocol::Ospf => 45,
    })
}

/// A time in the unit of windows.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

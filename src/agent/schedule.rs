//! When the next poll is due. Pure: the time, the zone and every random number are
//! arguments.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cron::Cron;
use cron::parser::{CronParser, Seconds, Year};
use hmac::{Hmac, Mac as _};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use thiserror::Error;

use crate::value::{ClusterName, NodeName};

/// How often a node polls that is not told otherwise.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(60);
/// How far from its slot a poll may be, as a part of the period, to either side.
pub const JITTER: f64 = 0.1;
/// The shortest wait after a failure.
pub const SHORTEST_BACKOFF: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(15 * 60);
/// How long after a time of a crontab line a poll begins at the latest. Nodes are
/// spread over it, or over a tenth of the line's step where that is shorter.
pub const CRON_SPREAD: Duration = Duration::from_secs(60);
/// The longest crontab line that is read, in bytes.
const MAX_LINE: usize = 100;

/// When a node polls.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Once in each period.
    Every(Duration),
    /// At the times of a crontab line, in the machine's time zone.
    Cron(CronLine, TimeZone),
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Every(DEFAULT_PERIOD)
    }
}

impl Schedule {
    /// When the poll after one at `now` is due. `chance` is a random number from 0 to
    /// 1.
    ///
    /// For a period: the node's own slot ([`Phase`]) of the next period, give or take
    /// [`JITTER`]; so polls of one node are a period apart on average, never less than
    /// 0.4 nor more than 1.6 periods, and those of many nodes are spread evenly. For a
    /// crontab line: never before its time, and at most [`CRON_SPREAD`] after it.
    /// `None` when a crontab line has no further time.
    pub fn next(&self, now: Timestamp, phase: Phase, chance: f64) -> Option<Timestamp> {
        match self {
            Self::Every(period) => {
                let slot = slot_after(now, *period, phase.within(*period))?;
                let jitter = period.as_secs_f64() * JITTER * (2.0 * unit(chance) - 1.0);
                slot.checked_add(SignedDuration::try_from_secs_f64(jitter).ok()?).ok()
            }
            Self::Cron(line, zone) => {
                let time = line.after(now, zone)?;
                let step = match line.after(time, zone) {
                    Some(following) => following.duration_since(time).unsigned_abs(),
                    None => CRON_SPREAD * 10,
                };
                let spread = (step / 10).min(CRON_SPREAD);
                let share = phase.share() * (1.0 - JITTER) + unit(chance) * JITTER;
                time.checked_add(signed(spread.mul_f64(share))).ok()
            }
        }
    }
}

/// The first slot that is at least half a period after `now`.
fn slot_after(now: Timestamp, period: Duration, phase: Duration) -> Option<Timestamp> {
    let period = i128::try_from(period.as_nanos()).ok().filter(|period| *period > 0)?;
    let phase = i128::try_from(phase.as_nanos()).ok()?;
    let earliest = now.as_nanosecond() + period / 2;
    let before = (earliest - phase).rem_euclid(period);
    let slot = if before == 0 { earliest } else { earliest + period - before };
    Timestamp::from_nanosecond(slot).ok()
}

/// How long to wait after this many failures in a row: a random time between
/// [`SHORTEST_BACKOFF`] and a bound that doubles with each failure up to
/// [`LONGEST_BACKOFF`]. `chance` is a random number from 0 to 1.
pub fn backoff(failures: u32, chance: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.min(16));
    let bound = SHORTEST_BACKOFF.saturating_mul(doubled).min(LONGEST_BACKOFF);
    SHORTEST_BACKOFF + bound.saturating_sub(SHORTEST_BACKOFF).mul_f64(unit(chance))
}

fn unit(chance: f64) -> f64 {
    // `clamp` would let a number that is none through.
    if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// The place of a node's polls within a period: the same at every start of the node,
/// another one on each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase(u32);

impl Phase {
    /// The phase of a node: HMAC-SHA256 of its name, keyed with its cluster's.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
    pub fn of(cluster: &ClusterName, node: &NodeName) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(cluster.as_str().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(b"phase\0");
        mac.update(node.as_str().as_bytes());
        let bytes = mac.finalize().into_bytes();
        Self(bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// The phase as a part of a period, from 0 up to but not including 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / (f64::from(u32::MAX) + 1.0)
    }

    /// The phase as a time from the beginning of a period.
    pub fn within(self, period: Duration) -> Duration {
        period.mul_f64(self.share())
    }
}

/// A line of five fields as in a crontab: minute, hour, day of month, month, day of
/// week (0 and 7 are Sunday).
#[derive(Clone, PartialEq, Eq)]
pub struct CronLine {
    text: Box<str>,
    cron: Arc<Cron>,
}

impl CronLine {
    /// The first time of the line after `now`. Where clocks are set forward, a fixed
    /// time that does not exist is the moment of the change; where they are set back,
    /// a fixed time that comes twice counts once.
    pub fn after(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = now.to_zoned(zone.clone());
        self.cron.find_next_occurrence(&now, false).ok().map(|time| time.timestamp())
    }

    /// The line as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for CronLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronLine({:?})", self.text)
    }
}

/// Why a text is no crontab line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{}` is not a crontab line of five fields (minute, hour, day of month, month, day of week): {message}",
    text.escape_debug()
)]
pub struct BadCronLine {
    text: String,
    message: String,
}

impl FromStr for CronLine {
    type Err = BadCronLine;

    fn from_str(text: &str) -> Result<Self, BadCronLine> {
        let bad =
            |message: String| BadCronLine { text: text.chars().take(MAX_LINE).collect(), message };
        if text.len() > MAX_LINE || !text.is_ascii() {
            return Err(bad(format!(
                "it has more than {MAX_LINE} characters, or others than ASCII"
            )));
        }
        if text.split_ascii_whitespace().count() != 5 {
            return Err(bad("it does not have five fields".to_owned()));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|_| {
            bad("minutes are 0 to 59, hours 0 to 23, days 1 to 31, months 1 to 12 or `jan` to `dec`, days of the week 0 to 7 or `sun` to `sat`".to_owned())
        })?;
        let line = Self { text: text.into(), cron: Arc::new(cron) };
        // Of every line that has a time at all, one lies within any eight years.
        match line.after(Timestamp::UNIX_EPOCH, &TimeZone::UTC) {
            Some(_) => Ok(line),
            None => Err(bad("no date ever matches it".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn line(text: &str) -> CronLine {
        text.parse().unwrap()
    }

    #[test]
    fn lines_that_are_none() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "@daily",
            "61 * * * *",
            "0 0 30 2 *",
            "a b c d e",
            "0 0 * * 8",
            "*/0 * * * *",
            "é * * * *",
        ] {
            assert!(text.parse::<CronLine>().is_err(), "{text}");
        }
        let long = format!("{}0 * * * *", "0,".repeat(60));
        assert!(long.parse::<CronLine>().is_err());
    }

    #[test]
    fn zero_and_seven_are_sunday() {
        let monday = at("2026-11-23T12:00:00Z");
        for text in ["0 3 * * 0", "0 3 * * 7", "0 3 * * SUN"] {
            assert_eq!(line(text).after(monday, &TimeZone::UTC), Some(at("2026-11-29T03:00:00Z")));
        }
    }

    #[test]
    fn an_hour_that_comes_twice_counts_once_and_one_that_never_comes_is_not_lost() {
        // Clocks go back at 01:00 UTC: 02:30 comes twice.
        let before = at("2026-10-24T20:00:00Z");
        let first = line("30 2 * * *").after(before, &berlin()).unwrap();
        let second = line("30 2 * * *").after(first, &berlin()).unwrap();
        assert_eq!(first, at("2026-10-25T00:30:00Z"));
        assert_eq!(second, at("2026-10-26T01:30:00Z"));
        // Clocks go forward at 01:00 UTC: 02:30 does not exist.
        let before = at("2026-03-28T20:00:00Z");
        let first = line("30 2 * * *").after(before, &berlin()).unwrap();
        assert_eq!(first, at("2026-03-29T01:00:00Z"));
        // A line with a step goes through both hours.
        let half_hours = line("*/30 * * * *");
        let mut now = at("2026-10-25T00:00:00Z");
        for _ in 0..6 {
            let next = half_hours.after(now, &berlin()).unwrap();
            assert_eq!(next.duration_since(now), SignedDuration::from_mins(30));
            now = next;
        }
    }

    #[test]
    fn nodes_of_a_cluster_are_spread() {
        let cluster: ClusterName = "home".parse().unwrap();
        let mut slots = [0_usize; 10];
        for number in 0..1000 {
            let node: NodeName = format!("node{number}").parse().unwrap();
            let phase = Phase::of(&cluster, &node);
            assert_eq!(phase, Phase::of(&cluster, &node));
            let slot = phase.within(Duration::from_secs(10)).as_secs();
            slots[usize::try_from(slot).unwrap()] += 1;
        }
        assert!(slots.iter().all(|count| (60..=140).contains(count)), "{slots:?}");
    }

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        assert_eq!(backoff(1, 1.0), Duration::from_secs(10));
        assert_eq!(backoff(2, 1.0), Duration::from_secs(20));
        assert_eq!(backoff(8, 1.0), LONGEST_BACKOFF);
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST_BACKOFF);
        assert_eq!(backoff(u32::MAX, 0.0), SHORTEST_BACKOFF);
    }

    proptest! {
        #[test]
        fn backoff_stays_within_its_bounds(failures: u32, chance: f64) {
            let wait = backoff(failures, chance);
            prop_assert!((SHORTEST_BACKOFF..=LONGEST_BACKOFF).contains(&wait));
        }

        #[test]
        fn a_period_is_kept(
            now in 0_i64..4_000_000_000_000,
            seconds in 5_u64..=86_400,
            phase: u32,
            chance in 0.0..=1.0,
        ) {
            let period = Duration::from_secs(seconds);
            let now = Timestamp::from_millisecond(now).unwrap();
            let next = Schedule::Every(period).next(now, Phase(phase), chance).unwrap();
            let wait = next.duration_since(now).as_secs_f64() / period.as_secs_f64();
            prop_assert!((0.399..=1.601).contains(&wait), "{wait}");
        }

        #[test]
        fn polls_do_not_drift(seconds in 5_u64..=3600, phase: u32, chances in prop::collection::vec(0.0..=1.0, 50)) {
            let period = Duration::from_secs(seconds);
            let schedule = Schedule::Every(period);
            let mut now = at("2026-11-23T12:00:00Z");
            let first = schedule.next(now, Phase(phase), 0.5).unwrap();
            now = first;
            for chance in &chances {
                let next = schedule.next(now, Phase(phase), *chance).unwrap();
                let wait = next.duration_since(now).as_secs_f64() / period.as_secs_f64();
                prop_assert!((0.799..=1.201).contains(&wait), "{wait}");
                now = next;
            }
            let polls = now.duration_since(first).as_secs_f64() / period.as_secs_f64();
            prop_assert!((polls - 50.0).abs() < 0.2, "{polls}");
        }

        #[test]
        fn a_crontab_line_is_never_early_and_never_skipped(
            now in 1_700_000_000_i64..1_900_000_000,
            phase: u32,
            chance in 0.0..=1.0,
            pattern in prop::sample::select(vec![
                "* * * * *", "*/5 * * * *", "30 2 * * *", "0 3 * * 0", "15 1 1 * *", "0 0 29 2 *",
            ]),
        ) {
            let now = Timestamp::from_second(now).unwrap();
            let time = line(pattern).after(now, &berlin()).unwrap();
            let next = Schedule::Cron(line(pattern), berlin()).next(now, Phase(phase), chance).unwrap();
            prop_assert!(time > now);
            prop_assert!(next >= time);
            prop_assert!(next.duration_since(time).unsigned_abs() <= CRON_SPREAD);
            let following = line(pattern).after(time, &berlin()).unwrap();
            prop_assert!(next < following, "{next} {following}");
        }
    }
}

//! The agent's state machine against every order of events.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use weft::agent::machine::{
    Activity, Clock, Effect, Event, LOOK_AGAIN, LOOK_GAP, Machine, Nudge, WEBHOOK_GAP,
};
use weft::agent::schedule::{LONGEST_BACKOFF, Phase, SHORTEST_BACKOFF, Schedule};
use weft::agent::turn::Purpose;

const MINUTE: Duration = Duration::from_secs(60);

fn phase() -> Phase {
    Phase::of(&"home".parse().unwrap(), &"node1".parse().unwrap())
}

/// A machine, the clocks that it is told, and what is to hold after each step.
struct Bench {
    machine: Machine,
    now: Clock,
    chance: f64,
    last: Effect,
    /// The beginnings of turns.
    turns: Vec<(Duration, Purpose)>,
}

impl Bench {
    fn new() -> Self {
        let wall = "2026-11-23T12:00:00Z".parse().unwrap();
        Self {
            machine: Machine::default(),
            now: Clock { up: Duration::ZERO, wall },
            chance: 0.5,
            last: Effect::Await,
            turns: Vec::new(),
        }
    }

    fn introduced(schedule: Schedule) -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.step(Event::Introduced(schedule, phase())), Effect::Turn(Purpose::Sync));
        bench
    }

    fn every_minute() -> Self {
        Self::introduced(Schedule::Every(MINUTE))
    }

    fn step(&mut self, event: Event) -> Effect {
        self.last = self.machine.step(self.now, self.chance, event);
        if let Effect::Turn(purpose) = self.last {
            self.turns.push((self.now.up, purpose));
        }
        self.last
    }

    fn pass(&mut self, time: Duration) {
        self.now.up += time;
        self.now.wall += SignedDuration::try_from(time).unwrap();
    }

    /// Lets time pass up to the end of the sleep that was asked for.
    fn sleep(&mut self) -> Effect {
        let Effect::SleepUntil(until) = self.last else { panic!("{:?}", self.last) };
        self.pass(until.saturating_sub(self.now.up));
        self.step(Event::Tick)
    }

    fn poll_in(&self) -> Duration {
        let next = self.machine.next_poll(self.now).unwrap();
        next.duration_since(self.now.wall).unsigned_abs()
    }
}

#[test]
fn polls_at_once_and_then_once_in_each_period() {
    let mut bench = Bench::every_minute();
    assert_eq!(bench.machine.activity(), Activity::Working);
    for _ in 0..100 {
        bench.pass(Duration::from_secs(2));
        bench.step(Event::Turned);
        assert_eq!(bench.machine.activity(), Activity::Idle);
        assert_eq!(bench.sleep(), Effect::Turn(Purpose::Sync));
    }
    let (last, _) = bench.turns[100];
    let (second, _) = bench.turns[1];
    assert!(last.abs_diff(second + MINUTE * 99) < Duration::from_secs(1));
}

#[test]
fn a_crontab_line_follows_the_clock_on_the_wall() {
    let schedule = Schedule::Cron("0 3 * * *".parse().unwrap(), TimeZone::UTC);
    let mut bench = Bench::introduced(schedule);
    bench.step(Event::Turned);
    // Noon; somebody sets the clock to a minute before the time.
    bench.now.wall = "2026-11-24T02:59:00Z".parse().unwrap();
    let mut effect = bench.step(Event::Tick);
    while matches!(effect, Effect::SleepUntil(_)) {
        effect = bench.sleep();
    }
    assert_eq!(effect, Effect::Turn(Purpose::Sync));
    let polled = bench.now.wall;
    assert!(polled >= "2026-11-24T03:00:00Z".parse::<Timestamp>().unwrap());
    assert!(polled <= "2026-11-24T03:01:00Z".parse::<Timestamp>().unwrap());
    // A clock that ran a year ahead and is set back leaves no poll in that year.
    bench.now.wall = "2027-11-24T12:00:00Z".parse().unwrap();
    bench.step(Event::Turned);
    bench.now.wall = "2026-11-24T12:00:00Z".parse().unwrap();
    bench.step(Event::Tick);
    assert!(bench.poll_in() < MINUTE * 60 * 24);
}

#[test]
fn waits_for_its_settings() {
    let mut bench = Bench::new();
    assert_eq!(bench.step(Event::Unintroduced), Effect::SleepUntil(LOOK_AGAIN));
    assert_eq!(bench.machine.activity(), Activity::Waiting);
    assert_eq!(bench.machine.next_poll(bench.now), None);
    bench.step(Event::Nudge(Nudge::Signal));
    assert_eq!(bench.step(Event::Unintroduced), Effect::SleepUntil(LOOK_AGAIN));
    bench.pass(LOOK_AGAIN);
    let effect = bench.step(Event::Introduced(Schedule::default(), phase()));
    assert_eq!(effect, Effect::Turn(Purpose::Sync));
}

#[test]
fn what_gave_way_is_made_again_behind_what_could_not_wait() {
    let back = Purpose::RollBack { generation: None };
    let mut bench = Bench::every_minute();
    bench.step(Event::Nudge(Nudge::Operator(back)));
    assert_eq!(bench.step(Event::GaveWay), Effect::Turn(back));
    assert_eq!(bench.step(Event::Turned), Effect::Turn(Purpose::Sync));
    assert_eq!(bench.machine.failures(), 0);
    // What a person asked for is answered, and not made behind their back.
    bench.step(Event::Turned);
    bench.step(Event::Nudge(Nudge::Operator(Purpose::Refresh)));
    bench.step(Event::Nudge(Nudge::Operator(back)));
    assert_eq!(bench.step(Event::GaveWay), Effect::Turn(back));
    assert!(matches!(bench.step(Event::Turned), Effect::SleepUntil(_)));
    // Whoever ends begins nothing more.
    bench.step(Event::Nudge(Nudge::Signal));
    bench.step(Event::Term);
    assert_eq!(bench.step(Event::GaveWay), Effect::Exit);
}

#[test]
fn failures_back_off_and_success_ends_that() {
    let mut bench = Bench::every_minute();
    bench.chance = 1.0;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let failed = bench.now.up;
        let Effect::SleepUntil(until) = bench.step(Event::Failed) else { panic!() };
        assert_eq!(bench.machine.activity(), Activity::Backoff);
        waits.push(until.saturating_sub(failed));
        assert_eq!(bench.sleep(), Effect::Turn(Purpose::Sync));
    }
    assert_eq!(waits[0], SHORTEST_BACKOFF * 2);
    assert!(waits.is_sorted());
    assert_eq!(waits[11], LONGEST_BACKOFF);
    assert_eq!(bench.machine.failures(), 12);
    bench.step(Event::Turned);
    assert_eq!(bench.machine.failures(), 0);
    assert!(bench.poll_in() < MINUTE * 2);
}

#[test]
fn people_and_signals_are_served_at_once_even_in_backoff() {
    for nudge in [Nudge::Signal, Nudge::Operator(Purpose::Sync), Nudge::Webhook] {
        let mut bench = Bench::every_minute();
        for _ in 0..8 {
            bench.step(Event::Failed);
            bench.sleep();
        }
        bench.step(Event::Failed);
        assert_eq!(bench.step(Event::Nudge(nudge)), Effect::Turn(Purpose::Sync));
    }
}

#[test]
fn a_plan_or_a_refresh_is_a_turn_of_its_own() {
    let mut bench = Bench::every_minute();
    bench.step(Event::Nudge(Nudge::Operator(Purpose::Plan)));
    assert_eq!(
        bench.step(Event::Nudge(Nudge::Operator(Purpose::Refresh))),
        Effect::Await,
        "one turn at a time"
    );
    assert_eq!(bench.step(Event::Turned), Effect::Turn(Purpose::Refresh));
    assert_eq!(bench.step(Event::Turned), Effect::Turn(Purpose::Plan));
    let before = bench.poll_in();
    // A plan that fails says nothing of the schedule.
    assert!(matches!(bench.step(Event::Failed), Effect::SleepUntil(_)));
    assert_eq!(bench.poll_in(), before);
    assert_eq!(bench.machine.failures(), 0);
}

#[test]
fn the_end_waits_for_the_turn_and_begins_no_other() {
    let mut bench = Bench::every_minute();
    bench.step(Event::Nudge(Nudge::Operator(Purpose::Sync)));
    assert_eq!(bench.step(Event::Term), Effect::Await);
    assert_eq!(bench.machine.activity(), Activity::Stopping);
    assert_eq!(bench.step(Event::Tick), Effect::Await);
    assert_eq!(bench.step(Event::Turned), Effect::Exit);

    let mut idle = Bench::every_minute();
    idle.step(Event::Turned);
    assert_eq!(idle.step(Event::Term), Effect::Exit);
    let mut waiting = Bench::new();
    waiting.step(Event::Unintroduced);
    assert_eq!(waiting.step(Event::Term), Effect::Exit);
}

#[test]
fn a_flood_of_webhooks_is_one_poll_in_five_seconds() {
    let mut bench = Bench::introduced(Schedule::Every(Duration::from_secs(86_400)));
    bench.step(Event::Turned);
    bench.turns.clear();
    for _ in 0..1000 {
        if matches!(bench.step(Event::Nudge(Nudge::Webhook)), Effect::Turn(_)) {
            bench.step(Event::Turned);
        }
        bench.pass(Duration::from_millis(20));
    }
    // Twenty seconds: at 0, 5, 10 and 15.
    assert_eq!(bench.turns.len(), 4);
}

#[test]
fn an_open_window_is_looked_at_each_second_and_polls_go_on() {
    let mut bench = Bench::introduced(Schedule::Every(Duration::from_secs(10)));
    bench.step(Event::Opened);
    assert_eq!(bench.machine.activity(), Activity::Watching);
    bench.turns.clear();
    for _ in 0..30 {
        while !matches!(bench.last, Effect::Turn(_)) {
            bench.sleep();
        }
        bench.step(Event::Opened);
    }
    let looks = bench.turns.iter().filter(|(_, purpose)| *purpose == Purpose::Watch).count();
    let polls = bench.turns.iter().filter(|(_, purpose)| *purpose == Purpose::Sync).count();
    assert!(looks >= 25 && (2..=4).contains(&polls), "{looks} looks, {polls} polls");
    while !matches!(bench.last, Effect::Turn(Purpose::Watch)) {
        bench.sleep();
    }
    // What came meanwhile had to wait: it is asked for at once.
    assert_eq!(bench.step(Event::Turned), Effect::Turn(Purpose::Sync));
}

#[derive(Clone, Debug)]
enum Act {
    Pass(u64),
    SetClock(i64),
    Nudge(Nudge),
    End(Event),
    Reload(u64),
    Term,
}

fn act() -> impl Strategy<Value = Act> {
    let nudge = prop::sample::select(vec![
        Nudge::Webhook,
        Nudge::Webhook,
        Nudge::Signal,
        Nudge::Operator(Purpose::Sync),
        Nudge::Operator(Purpose::Refresh),
        Nudge::Operator(Purpose::RollBack { generation: None }),
        Nudge::Operator(Purpose::Plan),
    ]);
    prop_oneof![
        6 => (0_u64..20_000).prop_map(Act::Pass),
        1 => (-1_000_000_i64..1_000_000).prop_map(Act::SetClock),
        4 => nudge.prop_map(Act::Nudge),
        5 => prop::sample::select(vec![Event::Turned, Event::Failed, Event::Opened, Event::GaveWay]).prop_map(Act::End),
        1 => (5_u64..100).prop_map(Act::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_order_of_events(
        acts in prop::collection::vec(act(), 1..120),
        term in any::<bool>(),
        chance in 0.0..=1.0,
        cron in any::<bool>(),
    ) {
        let schedule = if cron {
            Schedule::Cron("*/5 * * * *".parse().unwrap(), TimeZone::UTC)
        } else {
            Schedule::Every(MINUTE)
        };
        let mut bench = Bench::new();
        bench.chance = chance;
        let mut running: Option<Purpose> = None;
        // When the window was looked at last, while one is open.
        let mut open: Option<Duration> = None;
        // Whether a window ended, after which a poll comes at once.
        let mut freed = false;
        // What was asked for and not begun.
        let mut wanted: Vec<Nudge> = Vec::new();
        let mut webhook_poll: Option<Duration> = None;
        let mut ended = false;
        let acts = acts.into_iter().chain(term.then_some(Act::Term));
        let events = std::iter::once(Some(Event::Introduced(schedule, phase())));
        let mut queue: Vec<Option<Event>> = events.collect();
        for act in acts {
            queue.push(match act {
                Act::Pass(milliseconds) => {
                    bench.pass(Duration::from_millis(milliseconds));
                    Some(Event::Tick)
                }
                Act::SetClock(seconds) => {
                    bench.now.wall += SignedDuration::from_secs(seconds);
                    None
                }
                Act::Nudge(nudge) => Some(Event::Nudge(nudge)),
                Act::End(event) => running.is_some().then_some(event),
                Act::Reload(seconds) => {
                    Some(Event::Introduced(Schedule::Every(Duration::from_secs(seconds)), phase()))
                }
                Act::Term => Some(Event::Term),
            });
            for event in queue.drain(..).flatten() {
                match &event {
                    Event::Nudge(nudge) => wanted.push(*nudge),
                    Event::Turned | Event::Failed | Event::Opened => {
                        let ended = running.take();
                        if ended != Some(Purpose::Plan) {
                            let is_open = matches!(event, Event::Opened)
                                || (matches!(event, Event::Failed) && open.is_some());
                            freed |= open.is_some() && !is_open;
                            open = is_open.then_some(bench.now.up);
                        }
                    }
                    Event::GaveWay => {
                        running = None;
                        freed = true;
                    }
                    _ => {}
                }
                match bench.step(event) {
                    Effect::Turn(purpose) => {
                        prop_assert!(running.is_none(), "two turns at once");
                        prop_assert!(!ended, "a turn after the end");
                        running = Some(purpose);
                        if purpose == Purpose::Watch {
                            let looked = open.expect("a window is open");
                            prop_assert!(bench.now.up >= looked + LOOK_GAP);
                        }
                        let polls = matches!(purpose, Purpose::Sync | Purpose::Refresh);
                        if polls && wanted.contains(&Nudge::Webhook) {
                            let only = wanted.iter().all(|nudge| *nudge == Nudge::Webhook);
                            if let (true, Some(last)) = (only, webhook_poll) {
                                let scheduled = bench.machine.next_poll(bench.now)
                                    .is_some_and(|next| next <= bench.now.wall);
                                prop_assert!(freed || scheduled || bench.now.up >= last + WEBHOOK_GAP);
                            }
                            webhook_poll = Some(bench.now.up);
                        }
                        freed &= !polls;
                        wanted.retain(|nudge| match (nudge, purpose) {
                            (Nudge::Operator(asked), _) if *asked == purpose => false,
                            (Nudge::Operator(Purpose::Sync) | Nudge::Signal | Nudge::Webhook, Purpose::Refresh | Purpose::Sync) => false,
                            _ => true,
                        });
                    }
                    Effect::Await => prop_assert!(running.is_some()),
                    Effect::SleepUntil(until) => {
                        prop_assert!(running.is_none());
                        if let Some(looked) = open {
                            prop_assert!(until <= looked + LOOK_GAP, "an open window is slept over");
                        }
                        prop_assert!(until > bench.now.up, "a sleep that spins");
                        prop_assert!(until <= bench.now.up + LONGEST_BACKOFF);
                        prop_assert!(
                            wanted.iter().all(|nudge| *nudge == Nudge::Webhook),
                            "asleep with {wanted:?} to do"
                        );
                    }
                    Effect::Exit => {
                        prop_assert!(running.is_none());
                        ended = true;
                    }
                }
            }
        }
        if term {
            prop_assert!(ended || running.is_some());
            return Ok(());
        }
        // Whatever was asked for is begun, without anything more happening.
        for _ in 0..20 {
            if running.take().is_some() {
                bench.step(Event::Turned);
            } else {
                bench.sleep();
            }
            if let Effect::Turn(purpose) = bench.last {
                running = Some(purpose);
                let polls = matches!(purpose, Purpose::Sync | Purpose::Refresh);
                wanted.retain(|nudge| match nudge {
                    Nudge::Operator(Purpose::Sync) | Nudge::Signal | Nudge::Webhook => !polls,
                    Nudge::Operator(asked) => *asked != purpose,
                });
            }
        }
        prop_assert!(wanted.is_empty(), "lost: {wanted:?}");
    }
}

//! How everything is that tells whether the network works.
//!
//! Everything is looked at at the same time, each thing by a thread of its own that has a
//! bound. What comes late is down, and what cannot be looked at is not there: both are
//! what a network that does not work looks like.

mod bridges;
mod check;
mod echo;
mod frr;
mod gateway;
mod http;
mod passage;
mod query;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::devices::{self, Device};
use super::links::Made;
use super::main_table::{self, TableRoute};
use super::program;
use crate::plan::{Health, Look, Session, Sign, Signs, Watchlist};

pub(super) use passage::passages;

/// How long one thing may take.
const ONE: Duration = Duration::from_secs(3);
/// How long all of it may take together.
const ALL: Duration = Duration::from_secs(5);

/// The bound on a search, from its beginning.
#[derive(Clone, Copy, Debug)]
struct Bound(Instant);

impl Bound {
    fn of(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The time until then; `None` when it is over, since a time of zero means for ever to
    /// some calls.
    fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn is_over(self) -> bool {
        self.left().is_none()
    }
}

/// Looks at everything. Ports that `made` has are weft's own.
pub(super) fn observe(watchlist: &Watchlist, made: Made) -> Look {
    let bound = Bound::of(ALL);
    let (sender, heard) = mpsc::channel();
    let mut silent: BTreeSet<&str> = BTreeSet::new();
    let mut signs: Signs =
        watchlist.probes.iter().map(|probe| (probe.sign.clone(), Health::Down)).collect();
    for probe in watchlist.probes.clone() {
        start(&sender, move |_| {
            News::of(vec![(probe.sign, check::health(&probe.check, Bound::of(ONE)))])
        });
    }
    let found = kernel();
    silent.extend(found.is_none().then_some(Look::KERNEL));
    let (links, routes) = found.unwrap_or_default();
    for (address, device) in gateway::default_gateways(&routes) {
        let sign = Sign::Gateway(address);
        signs.insert(sign.clone(), Health::Down);
        start(&sender, move |_| {
            News::of(vec![(sign, gateway::health(address, &device, Bound::of(ONE)))])
        });
    }
    let idle: Vec<String> = bridges::without_carrier(&links).map(str::to_owned).collect();
    for (asked, look) in frr::ALL {
        silent.insert(asked);
        let idle = idle.clone();
        start(&sender, move |sender| match look(&idle, sender) {
            Some(found) => News { answered: Some(asked), found },
            None => News::default(),
        });
    }
    start(&sender, move |_| News::of(bridges::signs(&links, |name| made.has(name))));
    drop(sender);
    while let Some(left) = bound.left() {
        let Ok(News { answered, found }) = heard.recv_timeout(left) else { break };
        silent.retain(|asked| Some(*asked) != answered);
        add(&mut signs, found);
    }
    Look { signs, silent: silent.into_iter().map(str::to_owned).collect() }
}

/// How long its lists may take: of thousands of interfaces they take a hundredth of it.
const LIST: Duration = Duration::from_secs(2);

/// Every interface and every route of the kernel; `None` where it does not answer.
fn kernel() -> Option<(Vec<Device>, Vec<TableRoute>)> {
    let (sender, found) = mpsc::channel();
    // It lets nobody ask while somebody changes very much.
    let ask = thread::Builder::new().name("observe".to_owned()).spawn(move || {
        let links = devices::devices(false);
        let lists = links.and_then(|links| Ok((main_table::routes(&links)?, links)));
        drop(sender.send(lists));
    });
    drop(ask);
    found.recv_timeout(LIST).ok()?.ok().map(|(routes, links)| (links, routes))
}

/// The sessions whose other side answers below them. Of a neighbour that has only an
/// interface its carrier tells, which it has. Beyond [`frr::MOST`] nobody is asked.
pub(super) fn answering(sessions: &[Session]) -> BTreeSet<Session> {
    let bound = Bound::of(ALL);
    let (sender, found) = mpsc::channel();
    let mut answering = BTreeSet::new();
    for session in sessions.iter().take(frr::MOST) {
        let Ok(address) = session.peer.parse::<IpAddr>() else {
            answering.insert(session.clone());
            continue;
        };
        let session = session.clone();
        start(&sender, move |_| {
            let up = frr::answers_at(address, &session.vrf, None);
            News::of(vec![(Sign::Session(session), if up { Health::Up } else { Health::Down })])
        });
    }
    drop(sender);
    while let Some(left) = bound.left() {
        let Ok(news) = found.recv_timeout(left) else { break };
        answering.extend(news.found.into_iter().filter_map(|(sign, health)| {
            match (sign, health) {
                (Sign::Session(session), Health::Up) => Some(session),
                _ => None,
            }
        }));
    }
    answering
}

type Found = Vec<(Sign, Health)>;

/// What was found out.
#[derive(Debug, Default)]
struct News {
    /// Who was asked for it and answered, where somebody was.
    answered: Option<&'static str>,
    found: Found,
}

impl News {
    fn of(found: Found) -> Self {
        Self { answered: None, found }
    }
}

/// Starts a thread that looks at something, and may start others. Where there can be no more
/// threads it is not looked at.
fn start(sender: &Sender<News>, look: impl FnOnce(&Sender<News>) -> News + Send + 'static) {
    let sender = sender.clone();
    let thread = thread::Builder::new().name("observe".to_owned());
    // Nobody waits for it: it ends within its own bound, and is heard as long as there is
    // time.
    drop(thread.spawn(move || {
        let news = look(&sender);
        drop(sender.send(news));
    }));
}

/// What is seen in several ways works if it does in one.
fn add(signs: &mut Signs, found: Found) {
    for (sign, health) in found {
        match signs.get(&sign) {
            Some(Health::Up) => {}
            _ => {
                signs.insert(sign, health);
            }
        }
    }
}

#[cfg(test)]
mod tests;

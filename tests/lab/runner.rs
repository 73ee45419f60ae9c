//! Which cases run, each in a lab of its own, and what is said about them.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases;
use crate::lab::Lab;
use crate::namespaces::{self, Place};
use crate::need::{self, Need};
use crate::options::{self, Options};
use crate::root;
use crate::uml;

/// Lines of a failed case's log that are shown.
const SHOWN_LINES: usize = 120;
/// Exit status for words that the runner does not understand.
const USAGE: u8 = 64;

/// One test: a function that panics when something is not as it should be.
#[derive(Debug)]
pub(crate) struct Case {
    /// What must hold, in snake case; unique.
    pub(crate) name: &'static str,
    /// What it needs besides [`Need::Native`].
    pub(crate) needs: &'static [Need],
    /// After this time the whole lab is killed and the case has failed.
    pub(crate) limit: Duration,
    /// The kernel it runs on: that of the machine, or a kernel of the lab's own that it
    /// shares with all cases of the same word, one after the other.
    pub(crate) boot: Option<&'static str>,
    /// Whether it runs only when its whole name is asked for.
    pub(crate) by_hand: bool,
    /// The test.
    pub(crate) run: fn(&Lab),
}

impl Case {
    /// A case with the usual limit of a minute.
    pub(crate) const fn new(name: &'static str, needs: &'static [Need], run: fn(&Lab)) -> Self {
        Self { name, needs, limit: Duration::from_secs(60), boot: None, by_hand: false, run }
    }

    /// A case that takes too long for every day.
    pub(crate) const fn by_hand(name: &'static str, needs: &'static [Need], run: fn(&Lab)) -> Self {
        let limit = Duration::from_secs(3 * 60 * 60);
        Self { limit, by_hand: true, ..Self::new(name, needs, run) }
    }

    /// A case that runs in user-mode-linux, which is some ten times slower.
    pub(crate) const fn in_boot(boot: &'static str, name: &'static str, run: fn(&Lab)) -> Self {
        let limit = Duration::from_secs(360);
        Self { limit, boot: Some(boot), ..Self::new(name, &[Need::Uml], run) }
    }

    fn all_needs(&self) -> impl Iterator<Item = Need> {
        [Need::Native].into_iter().chain(self.needs.iter().copied())
    }

    /// The first need that is not met, with the reason.
    fn want(&self, found: &need::Found) -> Option<(Need, String)> {
        self.all_needs().find_map(|need| match found.get(&need) {
            Some(Ok(())) => None,
            Some(Err(reason)) => Some((need, reason.clone())),
            None => Some((need, "it was not probed".to_owned())),
        })
    }
}

/// Runs what was asked for. The exit status is 0 when nothing failed.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let required = options::required(&env::var("LAB_REQUIRE").unwrap_or_default());
    let (options, required) = match (Options::parse(words), required) {
        (Ok(options), Ok(required)) => (options, required),
        (Err(wrong), _) | (_, Err(wrong)) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(USAGE);
        }
    };
    let selected: Vec<&Case> =
        cases::all().filter(|case| options.selects(case.name, case.by_hand)).collect();
    if options.list {
        for case in selected {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let root = if selected.is_empty() {
        Err("no case was asked for".to_owned())
    } else {
        root::locate_or_build()
    };
    let needs: BTreeSet<Need> = selected.iter().flat_map(|case| case.all_needs()).collect();
    let found = need::find(&root, &needs);

    let (mut passed, mut skipped) = (0_usize, 0_usize);
    let mut failed: Vec<&str> = Vec::new();
    let mut count = |case: &Case, ok: bool| if ok { passed += 1 } else { failed.push(case.name) };
    let mut boots: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in selected {
        match (case.want(&found), &root, case.boot) {
            (Some((need, reason)), ..) if required.contains(&need) => {
                println!("FAILED {}: {} is required here, but {reason}", case.name, need.name());
                count(case, false);
            }
            (Some((need, reason)), ..) => {
                println!("SKIP {}: needs {}: {reason}", case.name, need.name());
                skipped += 1;
            }
            (None, Ok(_), Some(boot)) => boots.entry(boot).or_default().push(case),
            (None, Ok(root), None) => {
                count(case, run_in_its_lab(case, &Place::of_machine(root), options.verbose));
            }
            (None, Err(_), _) => count(case, false),
        }
    }
    if let (Ok(root), false) = (&root, boots.is_empty()) {
        for (case, ok) in run_in_their_kernels(boots, &Place::of_machine(root), options.verbose) {
            count(case, ok);
        }
    }
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    println!("{passed} passed, {} failed, {skipped} skipped", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the case passed; says so.
fn run_in_its_lab(case: &Case, place: &Place, verbose: bool) -> bool {
    let began = Instant::now();
    let run = namespaces::run_in_lab(place, &[namespaces::CASE, case.name], case.limit, verbose);
    let took = format!("{:.1} s", began.elapsed().as_secs_f32());
    let (ended, log) = match run {
        Ok((ended, log)) => (ended.to_string(), log),
        Err(reason) => (reason, String::new()),
    };
    tell(case.name, &took, &ended, &log)
}

/// Runs each group in a kernel of its own, as many at a time as there are processors;
/// whether each case passed.
fn run_in_their_kernels<'a>(
    boots: BTreeMap<&str, Vec<&'a Case>>,
    place: &Place,
    verbose: bool,
) -> Vec<(&'a Case, bool)> {
    let waiting = Mutex::new(boots.into_values());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let work = || {
        let mut results = Vec::new();
        while let Some(cases) = next() {
            results.extend(run_in_one_kernel(&cases, place, verbose));
        }
        results
    };
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().map(|worker| worker.join().expect("it does not panic"));
        results.flatten().collect()
    })
}

fn run_in_one_kernel<'a>(
    cases: &[&'a Case],
    place: &Place,
    verbose: bool,
) -> Vec<(&'a Case, bool)> {
    let limit = uml::BOOT_LIMIT + cases.iter().map(|case| case.limit).sum::<Duration>();
    let watched = if verbose { uml::WATCHED } else { uml::ALONE };
    let words = [uml::BOOT, watched].into_iter().chain(cases.iter().map(|case| case.name));
    let run = namespaces::run_in_lab(place, &words.collect::<Vec<_>>(), limit, verbose);
    let (halted, said) = match run {
        Ok((ended, said)) => (format!("its kernel ended before it ({ended})"), said),
        Err(reason) => (reason, String::new()),
    };
    let each = cases.iter().map(|&case| {
        let report = uml::report(&said, case.name);
        let ended = report.ended.as_deref().unwrap_or(&halted);
        (case, tell(case.name, &report.took, ended, &report.log))
    });
    each.collect()
}

/// Whether the case passed; says so, and shows the end of its log when not.
fn tell(name: &str, took: &str, ended: &str, log: &str) -> bool {
    let passed = ended == uml::PASSED;
    // In one piece: others may speak at the time.
    let mut text = format!("ok {name} {took}");
    if !passed {
        text = format!("FAILED {name} {took} ({ended}); the end of its log:");
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            text.push_str("\n    ");
            text.push_str(line);
        }
    }
    println!("{text}");
    passed
}

/// The entry that runs inside a lab: makes the outside host and runs one case.
pub(crate) fn run_one(name: &str) -> ExitCode {
    let Some(case) = cases::all().find(|case| case.name == name) else {
        eprintln!("there is no case {name}");
        return ExitCode::from(USAGE);
    };
    let lab = Lab::start();
    (case.run)(&lab);
    ExitCode::SUCCESS
}

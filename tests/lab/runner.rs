//! Which cases run, each in a lab of its own, and what is said about them.

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cases;
use crate::lab::Lab;
use crate::namespaces::{self, Ended};
use crate::need::{self, Need};
use crate::options::{self, Options};
use crate::root;

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
    /// The test.
    pub(crate) run: fn(&Lab),
}

impl Case {
    /// A case with the usual limit of a minute.
    pub(crate) const fn new(name: &'static str, needs: &'static [Need], run: fn(&Lab)) -> Self {
        Self { name, needs, limit: Duration::from_secs(60), run }
    }

    /// The first need that is not met, with the reason.
    fn want(&self, found: &need::Found) -> Option<(Need, String)> {
        [Need::Native].iter().chain(self.needs).find_map(|need| match found.get(need) {
            Some(Ok(())) => None,
            Some(Err(reason)) => Some((*need, reason.clone())),
            None => Some((*need, "it was not probed".to_owned())),
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
    let selected: Vec<&Case> = cases::all().filter(|case| options.selects(case.name)).collect();
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
    let found = need::find(&root);

    let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
    for case in selected {
        match (case.want(&found), &root) {
            (Some((need, reason)), _) if required.contains(&need) => {
                println!("FAILED {}: {} is required here, but {reason}", case.name, need.name());
                failed += 1;
            }
            (Some((need, reason)), _) => {
                println!("SKIP {}: needs {}: {reason}", case.name, need.name());
                skipped += 1;
            }
            (None, Ok(root)) if run_in_its_lab(case, root, options.verbose) => passed += 1,
            (None, _) => failed += 1,
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the case passed; says so.
fn run_in_its_lab(case: &Case, root: &Path, verbose: bool) -> bool {
    let began = Instant::now();
    let run = namespaces::run_in_lab(root, &[namespaces::CASE, case.name], case.limit, verbose);
    let seconds = began.elapsed().as_secs_f32();
    match run {
        Ok((Ended::Code(0), _)) => {
            println!("ok {} {seconds:.1} s", case.name);
            true
        }
        Ok((ended, log)) => {
            println!("FAILED {} {seconds:.1} s ({ended}); the end of its log:", case.name);
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
                println!("    {line}");
            }
            false
        }
        Err(reason) => {
            println!("FAILED {} {seconds:.1} s: {reason}", case.name);
            false
        }
    }
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

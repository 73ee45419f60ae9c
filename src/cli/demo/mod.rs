//! `weft demo`: the whole life of a change, on three dry nodes in a temporary
//! directory, through the same code that serves a real node. With `--live` the part of it
//! that packets can feel, on two nodes that have a kernel's network of their own.

mod interrupt;
mod live;
mod origin;
pub mod repository;
mod scene;
mod story;

use serde_json::json;

use self::interrupt::{Interrupted, Lifelines};
use self::origin::failed;
use self::scene::Scene;
use super::failure::{Exit, Failure};
use super::output::Output;

pub(super) use self::live::node::{Words as NodeWords, serve};

/// A name for programs, a title for people, and what is done.
type Play<S, T> = (&'static str, &'static str, fn(&mut S, Output) -> Result<T, Failure>);

/// One step of the demo.
#[derive(Debug, serde::Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    /// What happened, in one sentence.
    detail: String,
    /// What the guests noticed, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pings: Option<live::Pings>,
}

/// What came of a step that did what it should.
#[derive(Debug)]
struct Told {
    detail: String,
    pings: Option<live::Pings>,
}

impl From<String> for Told {
    fn from(detail: String) -> Self {
        Self { detail, pings: None }
    }
}

/// Runs the demo. In order only if every step did what it should.
pub(super) fn run(output: Output, live: bool) -> Result<Exit, Failure> {
    if live {
        return live::run(output);
    }
    // From here on nobody ends the program before the directory is removed.
    let interrupted = Interrupted::watch(&Lifelines::default()).map_err(|error| failed(&error))?;
    let mut scene = Scene::set()?;
    output.say(format!("weft demo: three dry nodes below {}\n", scene.origin.path()?));
    let steps = play(&mut scene, story::STEPS, output, &interrupted);
    drop(scene);
    let ok = is_whole(&steps, story::STEPS);
    output.say(if interrupted.is_so() {
        "Interrupted. The directory is removed."
    } else if ok {
        "Every step did what it should. The directory is removed; nothing else was touched."
    } else {
        "The demo failed at the step above. The directory is removed."
    });
    Ok(end(output, ok && !interrupted.is_so(), &steps))
}

/// Plays steps in order, up to the first that does not do what it should, or until somebody
/// wants no more.
fn play<S, T: Into<Told>>(
    scene: &mut S,
    steps: &[Play<S, T>],
    output: Output,
    interrupted: &Interrupted,
) -> Vec<Step> {
    let mut played = Vec::new();
    for (number, &(name, title, play)) in steps.iter().enumerate() {
        if interrupted.is_so() {
            break;
        }
        output.say(format!("{}. {title}", number + 1));
        let (ok, Told { detail, pings }) = match play(scene, output) {
            Ok(told) => (true, told.into()),
            Err(failure) => (false, failure.to_string().into()),
        };
        output.say(format!("   {} {detail}\n", if ok { "✓" } else { "✗" }));
        played.push(Step { name, ok, detail, pings });
        if !ok {
            break;
        }
    }
    played
}

/// Whether every step was played, and did what it should.
fn is_whole<S, T>(played: &[Step], steps: &[Play<S, T>]) -> bool {
    played.len() == steps.len() && played.iter().all(|step| step.ok)
}

fn end(output: Output, ok: bool, steps: &[Step]) -> Exit {
    output.document(&json!({ "ok": ok, "steps": steps }));
    if ok { Exit::Ok } else { Exit::Failed }
}

/// Ends a step unless something is as it should be.
fn expect(condition: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(Failure::new(Exit::Failed, otherwise)) }
}

//! `weft demo`: the whole life of a change, on three dry nodes in a temporary
//! directory, through the same code that serves a real node.

pub mod repository;
mod scene;
mod story;

use serde_json::json;

use self::scene::Scene;
use super::failure::{Exit, Failure};
use super::output::Output;

/// One step of the demo.
#[derive(Debug, serde::Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    /// What happened, in one sentence.
    detail: String,
}

/// Runs the demo. In order only if every step did what it should.
pub(super) fn run(output: Output) -> Result<Exit, Failure> {
    let mut scene = Scene::set()?;
    output.say(format!("weft demo: three dry nodes below {}\n", scene.directory()));
    let mut steps: Vec<Step> = Vec::new();
    for (number, &(name, title, play)) in story::STEPS.iter().enumerate() {
        output.say(format!("{}. {title}", number + 1));
        let (ok, detail) = match play(&mut scene, output) {
            Ok(detail) => (true, detail),
            Err(failure) => (false, failure.to_string()),
        };
        output.say(format!("   {} {detail}\n", if ok { "✓" } else { "✗" }));
        steps.push(Step { name, ok, detail });
        if !ok {
            break;
        }
    }
    let ok = steps.len() == story::STEPS.len() && steps.iter().all(|step| step.ok);
    drop(scene);
    output.say(if ok {
        "Every step did what it should. The directory is removed; nothing else was touched."
    } else {
        "The demo failed at the step above. The directory is removed."
    });
    output.document(&json!({ "ok": ok, "steps": steps }));
    Ok(if ok { Exit::Ok } else { Exit::Failed })
}

//! Several servers, of which some lie.

use std::time::{Duration, Instant};

use super::Scene;
use super::pack::refs;
use super::server::{Lie, Step};
use crate::trust::repository::output;

/// Brings a mirror to a state of the repository.
fn push(scene: &Scene, mirror: &str, what: &str) {
    scene.repository.git(&["push", "-q", "-f", &format!("../{mirror}"), &format!("{what}:main")]);
}

fn shows(id: &str) -> Lie {
    Lie { refs: Step::Bytes(refs([("refs/heads/main", id)])), ..Lie::default() }
}

fn gone() -> Lie {
    Lie { refs: Step::Bytes(Vec::new()), ..Lie::default() }
}

#[test]
fn the_newest_accepted_commit_is_used_whoever_shows_it() {
    let scene = Scene::new(&["origin", "mirror", "third"]);
    let standings = || ["origin", "mirror", "third"].map(|name| scene.standing(name));
    assert_eq!(standings(), ["current", "current", "current"]);
    // Mirrors lag, and that is no alarm.
    let second = scene.commit(2);
    scene.turn();
    assert_eq!(scene.runs(), second);
    assert_eq!(standings(), ["current", "behind", "behind"]);
    assert_eq!(scene.state(), "in-order");
    assert_eq!(scene.status()["diverged"], serde_json::json!([]));
    // One is ahead of the origin, which is gone.
    let third = scene.commit(3);
    push(&scene, "mirror", "HEAD");
    scene.liars[0].tell(gone());
    scene.turn();
    assert_eq!(scene.runs(), third);
    assert_eq!(standings(), ["unreached", "current", "behind"]);
    let text = String::from_utf8(output(&mut scene.weft(&["status"]))).unwrap();
    for words in ["origin is unreached, showed ", "mirror is current, showed ", "third is behind"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // All of them are gone, and nothing changes.
    scene.liars.iter().for_each(|liar| liar.tell(gone()));
    scene.turn();
    assert_eq!((scene.state().as_str(), scene.runs()), ("failed", third));
    assert_eq!(standings(), ["unreached", "unreached", "unreached"]);
    assert!(!scene.status()["remotes"][0]["tip"].is_null(), "what was seen is kept");
    scene.liars.iter().for_each(|liar| liar.tell(Lie::default()));
    scene.turn();
    assert_eq!(standings(), ["current", "current", "behind"]);
    scene.is_small();
}

#[test]
fn remotes_that_do_not_go_together_are_an_alarm_and_no_see_saw() {
    let scene = Scene::new(&["origin", "mirror"]);
    let newest = scene.commit(2);
    let sibling = scene.sibling(77);
    push(&scene, "mirror", "side77");
    // Both are signed, and stand on what runs: one of them is used, and stays.
    scene.turn();
    let runs = scene.runs();
    let check = || {
        let status = scene.status();
        let diverged = &status["diverged"][0];
        let ids = [diverged["commit"].as_str(), diverged["other-commit"].as_str()];
        for id in [newest, sibling] {
            let id = id.to_string();
            assert!(ids.contains(&Some(id.as_str())), "{}", scene.log());
            assert!(status["message"].as_str().unwrap().contains(&id), "{}", scene.log());
        }
        let text = String::from_utf8(scene.weft(&["status"]).output().unwrap().stdout).unwrap();
        assert!(text.contains("alarm    remotes `"), "{text}");
        assert_eq!(scene.runs(), runs);
    };
    check();
    for _ in 0..3 {
        scene.turn();
        check();
    }
    assert!(scene.log().contains("diverge: "), "{}", scene.log());
    // However long the other side grows.
    scene.repository.git(&["checkout", "-q", "side77"]);
    let other = if runs == newest { "side77" } else { "main" };
    scene.repository.git(&["checkout", "-q", other]);
    for gateway in 10..14 {
        scene.commit(gateway);
    }
    if other == "side77" {
        push(&scene, "mirror", "HEAD");
    }
    scene.turn();
    assert_eq!(scene.runs(), runs);
    assert_eq!(scene.state(), "refused");
    // And when they agree again there is none.
    scene.repository.git(&["checkout", "-q", "main"]);
    if runs == newest {
        push(&scene, "mirror", "main");
        scene.turn();
        assert_eq!((scene.state().as_str(), scene.runs()), ("in-order", newest));
        assert_eq!(scene.status()["diverged"], serde_json::json!([]));
    }
    scene.is_small();
}

#[test]
fn a_bad_mirror_costs_its_own_time_and_blocks_nobody() {
    let scene = Scene::new(&["bad", "origin"]);
    let home = scene.repository.home().to_owned();
    for (gateway, what, lie, code) in [
        (2, "silence", Lie { mute: true, ..Lie::default() }, "deadline"),
        (3, "a pack by the byte", Lie { pack: Step::Drip(60), ..Lie::default() }, "deadline"),
        (4, "a commit that nobody has", shows(&"1".repeat(40)), "fetch-failed"),
        (5, "a cut pack", Lie { pack: Step::Cut(60), ..Lie::default() }, "truncated"),
    ] {
        // One that failed last time would be asked last.
        scene.liars[0].tell(Lie::default());
        scene.turn();
        let newest = scene.commit(gateway);
        push(&scene, "bad", "HEAD");
        scene.liars[0].tell(lie);
        let begun = Instant::now();
        scene.turn();
        let took = begun.elapsed();
        assert_eq!(scene.runs(), newest, "{what}: {}", scene.log());
        assert!(took < Duration::from_secs(9), "{what}: {took:?}");
        println!("{what}: {:?} after {took:?}", scene.code("bad"));
        assert_eq!(scene.code("bad").as_deref(), Some(code), "{what}: {}", scene.log());
        assert_eq!(scene.standing("bad"), "unreached");
        assert_eq!(scene.standing("origin"), "current");
    }
    // One that lacks an object, and is asked first.
    scene.liars[0].tell(Lie::default());
    scene.turn();
    let newest = scene.commit(6);
    push(&scene, "bad", "HEAD");
    let blob = scene.repository.git(&["rev-parse", "HEAD:sdn/vnets.yaml"]);
    let object = home.join("bad/objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(&object).unwrap();
    scene.turn();
    assert_eq!(scene.runs(), newest, "{}", scene.log());
    assert_eq!(scene.standing("bad"), "unreached", "{}", scene.log());
    scene.is_small();
}

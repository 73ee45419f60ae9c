//! What cannot wait for a server that sends a byte now and then.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Scene;
use super::server::{Lie, Step};
use crate::trust::repository::output;

/// The longest that something may take that waits for no server; a fetch takes five seconds.
const AT_ONCE: Duration = Duration::from_secs(2);

fn by_the_byte() -> Lie {
    Lie { pack: Step::Drip(60), ..Lie::default() }
}

/// Begins a turn, and waits until it fetches from the last of the servers.
fn fetching(scene: &Scene) -> Child {
    let liar = scene.liars.last().unwrap();
    let (_, packs) = liar.counts();
    liar.tell(by_the_byte());
    let sync = scene.weft(&["sync"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    scene.until("a pack is asked for", |_| liar.counts().1 > packs);
    sync
}

fn said(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
}

#[test]
fn a_way_back_waits_for_no_server() {
    let scene = Scene::new(&["origin", "bad"]);
    let ran = scene.runs();
    // One is honest and has news, which must not go in before the way back.
    let newest = scene.commit(2);
    scene.repository.git(&["commit", "-q", "--allow-empty", "-m", "beside"]);
    scene.repository.git(&["push", "-q", "-f", "../bad", "HEAD:main"]);
    scene.repository.git(&["reset", "-q", "--hard", "HEAD^"]);
    let sync = fetching(&scene);
    let begun = Instant::now();
    // What needs no turn waits for none.
    output(&mut scene.weft(&["hold", "--reason", "a look"]));
    assert_eq!(scene.weft(&["confirm"]).output().unwrap().status.code(), Some(1));
    output(&mut scene.weft(&["resume"]));
    let back = scene.weft(&["rollback", "0"]).output().unwrap();
    let took = begun.elapsed();
    assert_eq!(back.status.code(), Some(0), "{back:?}");
    assert!(took < AT_ONCE, "a way back took {took:?}");
    println!("hold, confirm, resume and rollback took {took:?}");
    assert!(said(sync).contains("gave way"), "{}", scene.log());
    let history = String::from_utf8(output(&mut scene.weft(&["history", "--json"]))).unwrap();
    assert!(history.contains(&ran.to_string()) && !history.contains(&newest.to_string()));
    // The turn is made again, and the node is held.
    scene.liars[1].tell(Lie::default());
    let newest = newest.to_string();
    scene.until("what gave way is made again", |scene| scene.status()["observed"] == newest);
    assert_eq!(scene.state(), "held", "{}", scene.log());
}

#[test]
fn the_end_of_an_agent_waits_for_no_server() {
    let mut scene = Scene::new(&["origin"]);
    let before = scene.status();
    scene.commit(2);
    let sync = fetching(&scene);
    let mut agent = scene.agent.take().unwrap();
    let begun = Instant::now();
    kill(Pid::from_raw(i32::try_from(agent.id()).unwrap()), Signal::SIGTERM).unwrap();
    while agent.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < AT_ONCE, "it goes on for {:?}", begun.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    assert!(said(sync).contains("gave way"), "{}", scene.log());
    assert_eq!(scene.status(), before);
}

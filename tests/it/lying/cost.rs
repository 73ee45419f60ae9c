//! What a poll costs that brings nothing.

use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::Scene;

const POLLS: u32 = 40;

/// The time of processors that a process and its ended children had, one after the other.
fn spent(process: u32) -> [Duration; 2] {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(") ").unwrap();
    let ticks: Vec<u64> = rest.split(' ').skip(11).take(4).map(|n| n.parse().unwrap()).collect();
    let second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap().unsigned_abs();
    let time = |ticks: u64| Duration::from_micros(ticks * 1_000_000 / second);
    [time(ticks[0] + ticks[1]), time(ticks[2] + ticks[3])]
}

#[test]
fn a_poll_with_nothing_new_costs_one_list_of_references() {
    let scene = Scene::new(&["origin"]);
    scene.turn();
    let cache = scene.root.join("var/cache/weft/repo.git");
    // Nothing is read of it.
    std::fs::remove_dir_all(cache).unwrap();
    let (lists, packs) = scene.liars[0].counts();
    let before = spent(scene.agent());
    for _ in 0..POLLS {
        let socket = std::os::unix::net::UnixStream::connect(scene.root.join("run/weft/socket"));
        let mut socket = socket.unwrap();
        std::io::Write::write_all(&mut socket, b"poll\n").unwrap();
        std::io::Read::read_to_end(&mut socket, &mut Vec::new()).unwrap();
    }
    let after = spent(scene.agent());
    assert_eq!(
        (scene.state().as_str(), scene.standing("origin").as_str()),
        ("in-order", "current")
    );
    let (more_lists, more_packs) = scene.liars[0].counts();
    assert_eq!(more_lists - lists, usize::try_from(POLLS).unwrap());
    assert_eq!(more_packs, packs);
    let [agent, worker] =
        [0, 1].map(|index| after[index].checked_sub(before[index]).unwrap() / POLLS);
    println!("a poll with nothing new: agent {agent:?}, fetch process {worker:?} of a processor");
    // What is promised is promised of a release, on a machine of its own.
    if !cfg!(debug_assertions) {
        assert!(agent < Duration::from_millis(5) && worker < Duration::from_millis(30));
    }
}

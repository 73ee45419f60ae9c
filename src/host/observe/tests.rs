use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::super::program;
use super::{Bound, Made, ONE, gateway, observe};
use crate::plan::{Check, Health, Probe, Sign, Watchlist};

fn probe(name: &str, check: Check) -> Probe {
    Probe { sign: Sign::Probe(name.parse().expect("a word")), check }
}

/// The health of each check by its name.
fn healths(checks: Vec<(&str, Check)>) -> Vec<(String, Health)> {
    let probes = checks.into_iter().map(|(name, check)| probe(name, check)).collect();
    let signs = observe(&Watchlist { probes }, Made::default()).signs;
    let of_probes = signs.into_iter().filter_map(|(sign, health)| match sign {
        Sign::Probe(name) => Some((name.to_string(), health)),
        _ => None,
    });
    of_probes.collect()
}

/// A server that gives each connection this answer, or none.
fn server(answer: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has one").port();
    thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            if let Some(answer) = answer {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
            } else {
                kept.push(stream);
            }
        }
    });
    port
}

fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has one").port()
}

fn tcp(port: u16) -> Check {
    Check::Tcp { host: "127.0.0.1".parse().expect("a host"), port }
}

fn http(port: u16, status: Option<u16>) -> Check {
    Check::Http { url: format!("http://127.0.0.1:{port}/x").parse().expect("a URL"), status }
}

fn command(words: &[&str]) -> Check {
    Check::Command { words: words.iter().map(|&word| word.to_owned()).collect() }
}

#[test]
fn each_thing_is_told_by_itself_and_in_time() {
    let good = server(Some("HTTP/1.1 204 No Content\r\n\r\n"));
    let moved = server(Some("HTTP/1.1 302 Found\r\nLocation: /y\r\n\r\n"));
    let (mute, closed) = (server(None), closed_port());
    let https = format!("https://127.0.0.1:{good}/").parse().expect("a URL");
    let begun = Instant::now();
    let found = healths(vec![
        ("a-tcp", tcp(good)),
        ("b-closed", tcp(closed)),
        ("c-http", http(good, None)),
        ("d-moved", http(moved, None)),
        ("e-other", http(moved, Some(200))),
        ("f-mute", http(mute, None)),
        ("g-no-tls", Check::Http { url: https, status: None }),
        ("h-true", command(&["/bin/true"])),
        ("i-false", command(&["/bin/false"])),
        ("j-late", command(&["/bin/sleep", "30"])),
        ("k-missing", command(&["/nonexistent/program"])),
        ("l-relative", command(&["true"])),
        ("m-environment", command(&["/bin/sh", "-c", "test -z \"$HOME$CARGO\""])),
        ("n-name", Check::Dns { name: "localhost".parse().expect("a name"), server: None }),
        (
            "o-no-name",
            Check::Dns { name: "nothing.invalid".parse().expect("a name"), server: None },
        ),
    ]);
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    let up: Vec<&str> = found
        .iter()
        .filter(|(_, health)| *health == Health::Up)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(up, ["a-tcp", "c-http", "d-moved", "h-true", "m-environment", "n-name"]);
    assert_eq!(found.len(), 15);
}

#[test]
fn the_machine_itself_is_seen() {
    // Whatever it is: that it is looked at is no error, and takes no longer than it may.
    let begun = Instant::now();
    let look = observe(&Watchlist::default(), Made::default());
    assert!(begun.elapsed() < Duration::from_secs(7));
    assert!(look.signs.keys().all(|sign| !matches!(sign, Sign::Remote(_) | Sign::Probe(_))));
}

#[test]
fn a_name_that_no_server_knows_is_down() {
    let name = "www.example".parse().expect("a name");
    // Nobody listens on the port of DNS of this address, or somebody who knows no such name.
    let server = Some("127.77.77.77".parse().expect("an address"));
    let found = healths(vec![("a", Check::Dns { name, server })]);
    assert_eq!(found, [("a".to_owned(), Health::Down)]);
}

fn ip(line: &str) {
    program::run("ip", &line.split(' ').collect::<Vec<_>>()).expect(line);
}

/// In a network of its own, whose router is in another one.
#[test]
fn what_became_the_nodes_own_proves_nothing() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
                tell.send(nix::unistd::gettid()).expect("the node waits");
                if ended.recv().is_err() {
                    return;
                }
                ip("addr add 192.0.2.1/24 dev v2");
                ip("addr add fe80::9/64 dev v2 nodad");
                ip("link set v2 up");
                tell.send(nix::unistd::gettid()).expect("the node waits");
                // Until nobody asks any more.
                let _ = ended.recv();
            }
        });
        scope.spawn(move || {
            let router = told.recv();
            let (Ok(router), Ok(())) = (router, unshare(CloneFlags::CLONE_NEWNET)) else {
                println!("skipped: no network namespace can be made");
                return;
            };
            for line in [
                "link set lo up",
                "link add v1 type veth peer name v2 address 02:00:00:00:00:01",
                &format!("link set v2 netns {router}"),
                "link set v1 up",
                "link add b1 type bridge",
                "link set b1 up",
                "addr add 192.0.2.2/24 dev v1",
                "addr add fe80::2/64 dev v1 nodad",
                // Where there is no program that pings, nobody else makes the kernel ask.
                "neigh add 192.0.2.1 dev v1 lladdr 02:00:00:00:00:01 nud stale",
                "neigh add fe80::9 dev v1 lladdr 02:00:00:00:00:01 nud stale",
            ] {
                ip(line);
            }
            end.send(()).expect("the router waits");
            told.recv().expect("the router is there");
            let way = |to: &str| gateway::health(to.parse().expect("a hop"), "v1", Bound::of(ONE));
            assert_eq!([way("192.0.2.1"), way("fe80::9")], [Health::Up; 2]);
            // A link-local address is another machine's on each interface.
            ip("addr add 192.0.2.1/24 dev b1");
            ip("addr add fe80::9/64 dev b1 nodad");
            assert_eq!([way("192.0.2.1"), way("fe80::9")], [Health::Down, Health::Up]);
            ip("addr add fe80::9/64 dev v1 nodad");
            assert_eq!(way("fe80::9"), Health::Down);

            let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
            let port = listener.local_addr().expect("it has one").port();
            let host = |text: &str| text.parse().expect("a host");
            let found = healths(vec![
                ("a-own", Check::Tcp { host: host("192.0.2.1"), port }),
                ("b-loopback", tcp(port)),
                ("c-echo", Check::Icmp { host: host("192.0.2.1") }),
            ]);
            let found: Vec<Health> = found.into_iter().map(|(_, health)| health).collect();
            assert_eq!(found, [Health::Down, Health::Up, Health::Down]);
            drop(end);
        });
    });
}

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Made, observe};
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

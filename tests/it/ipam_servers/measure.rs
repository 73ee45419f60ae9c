//! What a look at 10,000 addresses that are as wanted costs. Beside the suite, by hand:
//! `cargo test --test it ten_thousand_addresses -- --ignored --nocapture`.

use std::fs;
use std::process::Command;
use std::time::Instant;

use super::*;

/// By which the process that asks knows which server.
const ASKED: &str = "WEFT_MEASURE";
const GUESTS: usize = 10_000;
/// The most memory that a process may have had that looks, in KiB.
const MOST: u64 = 64 << 10;

const NETWORK: &str = "zones: {za: {type: simple, ipam: nb}}\n\
    vnets: {va: {zone: za, subnets: {10.0.0.0/16: {gateway: 10.0.0.1}}}}\n";

fn claim(number: usize) -> Claim {
    Claim {
        vnet: "va".parse().unwrap(),
        mac: mac(number).parse().unwrap(),
        guest: format!("g{number}").parse().unwrap(),
        hostname: None,
        fixed: Vec::new(),
        origin: Origin::Declared,
    }
}

fn mac(number: usize) -> String {
    format!("02:00:00:00:{:02x}:{:02x}", number / 256, number % 256)
}

/// In KiB, of this process.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement: how to run it is said above"]
fn ten_thousand_addresses_that_are_as_wanted() {
    let site = site::fake("fake 4.7", (4, 7));
    let proxy = Proxy::start(site.port, None);
    let mut cluster = Cluster::new(&site, &proxy, NETWORK);
    cluster.more = vec![claim(0)];
    cluster.apply();
    // The others are as the first.
    let mut state = site.fake.as_ref().unwrap().state.lock().unwrap();
    state.repeat("ip-addresses", 1..GUESTS, |number, first| {
        let address = format!("10.0.{}.{}", 1 + number / 250, 1 + number % 250);
        let guest = format!("g{number}");
        let text = first.replace("10.0.0.2", &address).replace(&mac(0), &mac(number));
        text.replace("g0\"", &format!("{guest}\"")).replace("g0 ", &format!("{guest} "))
    });
    drop(state);
    let count = || ["GET", "POST", "PATCH", "DELETE"].map(|verb| proxy.count(verb));
    let before = count();
    let mut asks = Command::new(std::env::current_exe().unwrap());
    asks.args(["--exact", "ipam_servers::measure::the_process_that_asks"])
        .args(["--ignored", "--nocapture"])
        .env(ASKED, format!("{} {} {}", proxy.port, site.token, cluster.name));
    let said = asks.output().unwrap();
    print!("{}", String::from_utf8_lossy(&said.stdout));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let after = count();
    let [reads, writes @ ..]: [usize; 4] = std::array::from_fn(|at| after[at] - before[at]);
    println!("{reads} reads");
    assert_eq!(writes, [0; 3]);
    // In pages of 500, of which there are 20 and the end, and a few lists that are short.
    assert!((20..40).contains(&reads), "{reads}");
}

#[test]
#[ignore = "run by `ten_thousand_addresses_that_are_as_wanted`"]
fn the_process_that_asks() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    let words: Vec<&str> = asked.split(' ').collect();
    let [port, token, name] = words.try_into().unwrap();
    let server =
        format!("{{type: netbox, url: \"http://127.0.0.1:{port}/api\", token: ipam-token}}");
    let mut cluster = Cluster::of(server, token.to_owned(), "");
    cluster.name = name.to_owned();
    cluster.terms.cluster = name.parse().unwrap();
    cluster.declare(NETWORK);
    cluster.more = (0..GUESTS).map(claim).collect();
    let begun = Instant::now();
    let plan = cluster.plan();
    println!(
        "{} in {:?}; {} KiB at most, of which {} KiB are the program's own files",
        plan.counts(),
        begun.elapsed(),
        memory("VmHWM"),
        memory("RssFile")
    );
    assert!(plan.is_empty() && plan.refused().is_empty(), "{plan}");
    assert!(plan.counts().unchanged > GUESTS);
    assert!(memory("VmHWM") < MOST);
}

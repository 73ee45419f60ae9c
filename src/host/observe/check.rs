//! Things that are tried.

use std::net::{IpAddr, SocketAddr, TcpStream};

use super::passage::is_own;
use super::{Bound, echo, http, program, query};
use crate::plan::{Check, Health};
use crate::value::HostName;

/// The most addresses of a name that are tried.
const MOST: usize = 8;

/// Whether what is tried succeeds in time.
pub(super) fn health(check: &Check, bound: Bound) -> Health {
    if succeeds(check, bound) && !bound.is_over() { Health::Up } else { Health::Down }
}

fn succeeds(check: &Check, bound: Bound) -> bool {
    match check {
        Check::Tcp { host, port } => connect(host, *port, bound).is_some(),
        Check::Http { url, status } => http::status(url, bound).is_some_and(|found| {
            status.map_or_else(|| (200..400).contains(&found), |wanted| found == wanted)
        }),
        Check::Icmp { host } => {
            others(host, bound).into_iter().any(|a| echo::answers(a, None, bound))
        }
        Check::Dns { name, server: Some(server) } => {
            !is_own(*server, None) && query::exists(name, *server, bound)
        }
        Check::Dns { name, server: None } => !look_up(name.as_str(), bound).is_empty(),
        Check::Command { words } => {
            let Some((program, arguments)) = words.split_first() else { return false };
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let Some(left) = bound.left().filter(|_| program.starts_with('/')) else {
                return false;
            };
            program::run_within(program, &arguments, left).is_ok()
        }
    }
}

/// The addresses of a host, without those of the node itself: what answers there is no proof that
/// somebody else can be reached.
fn others(host: &HostName, bound: Bound) -> Vec<IpAddr> {
    let mut addresses = resolve(host, bound);
    addresses.retain(|address| !is_own(*address, None));
    addresses
}

/// A new connection to the first address of a host that takes one. No address has the time
/// of all.
pub(super) fn connect(host: &HostName, port: u16, bound: Bound) -> Option<TcpStream> {
    let addresses = others(host, bound);
    let mut left = u32::try_from(addresses.len()).ok()?;
    for address in addresses {
        let time = bound.left()? / left;
        left -= 1;
        if let Ok(stream) = TcpStream::connect_timeout(&SocketAddr::new(address, port), time) {
            return Some(stream);
        }
    }
    None
}

pub(super) fn resolve(host: &HostName, bound: Bound) -> Vec<IpAddr> {
    host.address().map_or_else(|| look_up(host.as_str(), bound), |address| vec![address])
}

/// The addresses of a name, by the machine's resolver. In a process of its own, since a
/// search for a name cannot be ended in time by who began it.
fn look_up(name: &str, bound: Bound) -> Vec<IpAddr> {
    let Some(left) = bound.left() else { return Vec::new() };
    let answer = program::run_within("getent", &["ahosts", name], left).unwrap_or_default();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for line in String::from_utf8_lossy(&answer).lines() {
        let address = line.split_whitespace().next().and_then(|word| word.parse().ok());
        if let Some(address) = address.filter(|address| !addresses.contains(address)) {
            addresses.push(address);
        }
    }
    addresses.truncate(MOST);
    addresses
}

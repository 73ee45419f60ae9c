//! By which interface packets leave for somebody.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::check::resolve;
use super::{Bound, program};
use crate::value::HostName;

/// How long all of it may take.
const ALL: Duration = Duration::from_secs(4);

/// An answer of `ip -j route get`.
#[derive(Deserialize)]
struct Way {
    dev: Option<String>,
}

/// See [`Host::passages`](crate::host::Host::passages).
pub(in crate::host) fn passages(hosts: &[HostName]) -> Vec<(HostName, IpAddr, String)> {
    let bound = Bound::of(ALL);
    let mut found = Vec::new();
    for host in hosts {
        for address in resolve(host, bound) {
            let Some(left) = bound.left() else { return found };
            let question = ["-j", "route", "get", &address.to_string()];
            // What cannot be reached has no way.
            let answer = program::run_within("ip", &question, left).unwrap_or_default();
            found.extend(interface(&answer).map(|name| (host.clone(), address, name)));
        }
    }
    found
}

fn interface(answer: &[u8]) -> Option<String> {
    let ways: Vec<Way> = serde_json::from_slice(answer).ok()?;
    ways.into_iter().find_map(|way| way.dev)
}

#[cfg(test)]
mod tests {
    use super::{interface, passages};

    #[test]
    fn the_kernel_says_by_which_interface() {
        let text = br#"[{"dst":"192.0.2.1","gateway":"198.51.100.1","dev":"eth1","prefsrc":"198.51.100.2","flags":[],"uid":0,"cache":[]}]"#;
        assert_eq!(interface(text).as_deref(), Some("eth1"));
        assert_eq!((interface(b""), interface(b"[ ]")), (None, None));
        let host: crate::value::HostName = "127.0.0.9".parse().expect("a host");
        let address = host.address().expect("an address");
        assert_eq!(passages(std::slice::from_ref(&host)), [(host, address, "lo".to_owned())]);
    }
}

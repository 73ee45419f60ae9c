//! By which interface packets leave for somebody, or that they stay.

use std::net::IpAddr;
use std::time::Duration;

use nix::libc;
use nix::net::if_::if_nametoindex;
use serde::Deserialize;

use super::super::netlink::{Message, Request, Socket, bytes, route_header};
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

/// Whether an address is the node's own, beside those of the loopback: then it is the node that
/// answers, whoever was meant. A link-local one is so on a device.
pub(super) fn is_own(address: IpAddr, device: Option<&str>) -> bool {
    // Of what cannot be reached nobody answers.
    !address.is_loopback() && kind(address, device).is_some_and(|kind| kind == libc::RTN_LOCAL)
}

/// What becomes of packets to an address (`rtm_type`).
fn kind(address: IpAddr, device: Option<&str>) -> Option<u8> {
    let (family, length, octets) = match address {
        IpAddr::V4(v4) => (libc::AF_INET, 32, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, 128, v6.octets().to_vec()),
    };
    let header = route_header(family, length, 0, 0, 0, 0);
    let mut request = Request::new(libc::RTM_GETROUTE, 0, &header).with(libc::RTA_DST, &octets);
    if let Some(device) = device {
        request = request.with(libc::RTA_OIF, &if_nametoindex(device).ok()?.to_ne_bytes());
    }
    let read = |message: Message<'_>| bytes(message.body, 7).map(|[kind]| kind);
    Socket::open().ok()?.one("a route", &request, read).ok()?.ok()
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

//! The next hops of default routes.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::super::main_table::TableRoute;
use super::passage::is_own;
use super::{Bound, echo, program};
use crate::plan::Health;

/// How long a neighbour may take to answer, and how often it is looked for meanwhile.
const NEIGHBOUR: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
/// The most next hops that are looked at.
const MOST: usize = 16;

/// The next hops of the default routes of both versions of IP, each with its interface.
pub(super) fn default_gateways(routes: &[TableRoute]) -> Vec<(IpAddr, String)> {
    let default = routes.iter().filter(|route| route.is_default() && route.is_unicast());
    let hops = default.flat_map(|route| &route.hops);
    let mut found: Vec<(IpAddr, String)> =
        hops.filter_map(|hop| Some((hop.gateway.or(hop.via)?, hop.device.clone()?))).collect();
    found.sort();
    found.dedup();
    found.truncate(MOST);
    found
}

/// Whether a next hop is there: it answers an echo, or the kernel's own question for its
/// MAC address, which nobody filters. The kernel is made to ask it: what it learnt half a
/// minute ago proves nothing. Nor does an answer by another interface, where a more specific
/// route leads, and least of all one of the node itself: what is its own is no next hop.
pub(super) fn health(address: IpAddr, device: &str, bound: Bound) -> Health {
    let is_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if is_own(address, is_local.then_some(device)) {
        return Health::Down;
    }
    if echo::answers(address, Some(device), bound)
        || is_neighbour(&address.to_string(), device, bound)
    {
        Health::Up
    } else {
        Health::Down
    }
}

fn is_neighbour(address: &str, device: &str, bound: Bound) -> bool {
    let probe = ["neigh", "change", address, "dev", device, "nud", "probe"];
    if let Some(left) = bound.left() {
        // Of one that the kernel knows nothing of it says no; the echo made it ask already.
        drop(program::run_within("ip", &probe, left));
    }
    let turn = Bound::of(NEIGHBOUR);
    while let Some(left) = bound.left().filter(|_| !turn.is_over()) {
        let show = ["-j", "neigh", "show", "to", address, "dev", device];
        let answer = program::run_within("ip", &show, left).unwrap_or_default();
        if is_reachable(&answer) {
            return true;
        }
        thread::sleep(PAUSE);
    }
    false
}

/// An entry of `ip -j neigh`.
#[derive(Deserialize)]
struct Neighbour {
    #[serde(default)]
    state: Vec<String>,
}

fn is_reachable(text: &[u8]) -> bool {
    let neighbours: Vec<Neighbour> = serde_json::from_slice(text).unwrap_or_default();
    let known = ["NOARP", "PERMANENT", "REACHABLE"];
    neighbours.iter().any(|one| one.state.iter().any(|state| known.contains(&state.as_str())))
}

#[cfg(test)]
mod tests {
    use super::super::super::main_table::sample::routes;
    use super::{default_gateways, is_reachable};

    #[test]
    fn every_next_hop_is_found() {
        let text = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
            {"dst":"default","via":{"family":"inet6","host":"fe80::1"},"dev":"eth1","flags":[]},
            {"dst":"default","metric":9,"flags":[],"nexthops":[
                {"gateway":"192.0.2.2","dev":"eth0","weight":1,"flags":[]},
                {"via":{"family":"inet6","host":"fe80::2"},"dev":"eth2","weight":1,"flags":["dead"]}]},
            {"dst":"default","dev":"wg0","scope":"link","flags":[]},
            {"type":"unreachable","dst":"default","metric":4278198272,"flags":[]}]"#;
        let found = default_gateways(&routes(text, "0.0.0.0/0"));
        let found = found.into_iter().map(|(a, d)| format!("{a} {d}"));
        assert!(found.eq(["192.0.2.1 eth0", "192.0.2.2 eth0", "fe80::1 eth1", "fe80::2 eth2"]));
        assert!(default_gateways(&[]).is_empty());
    }

    #[test]
    fn a_neighbour_is_there_while_the_kernel_knows_it() {
        let state = |state: &str| {
            is_reachable(
                format!(r#"[{{"dst":"192.0.2.1","lladdr":"x","state":["{state}"]}}]"#).as_bytes(),
            )
        };
        assert!(state("REACHABLE") && state("PERMANENT") && state("NOARP"));
        assert!(!state("STALE") && !state("FAILED") && !state("INCOMPLETE") && !state("PROBE"));
        assert!(!is_reachable(b"[]") && !is_reachable(b"Error"));
    }
}

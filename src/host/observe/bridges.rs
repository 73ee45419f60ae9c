//! Bridges and their ports.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::super::links::OF_HYPERVISORS;
use super::{Found, program};
use crate::plan::{Health, Sign};

/// How long the list of the kernel may take: of thousands of interfaces it takes a tenth of
/// it.
const LIST: Duration = Duration::from_secs(2);

/// An interface of `ip -d -j link`.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    ifname: String,
    #[serde(default)]
    flags: Vec<String>,
    master: Option<String>,
    #[serde(default)]
    linkinfo: Kind,
}

#[derive(Debug, Default, Deserialize)]
struct Kind {
    #[serde(rename = "info_kind")]
    name: Option<String>,
}

impl Link {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|found| found == flag)
    }

    fn is(&self, kinds: &[&str]) -> bool {
        self.linkinfo.name.as_ref().is_some_and(|kind| kinds.contains(&kind.as_str()))
    }

    fn health(&self) -> Health {
        if self.has("UP") { Health::Up } else { Health::Down }
    }
}

/// Every interface of the kernel; none where it cannot be asked.
pub(super) fn links() -> Vec<Link> {
    read(&program::run_within("ip", &["-d", "-j", "link", "show"], LIST).unwrap_or_default())
}

fn read(text: &[u8]) -> Vec<Link> {
    serde_json::from_slice(text).unwrap_or_default()
}

/// The interfaces that somebody set up, with nothing on their other end.
pub(super) fn without_carrier(links: &[Link]) -> impl Iterator<Item = &str> {
    let idle = links.iter().filter(|link| {
        link.has("UP")
            && !link.has("LOWER_UP")
            && !link.is(&["bridge", "dummy", "tun", "vrf", "vxlan"])
    });
    idle.map(|link| link.ifname.as_str())
}

/// Every bridge, and every port that is not of those that weft made. A bridge without ports
/// that are up has no carrier, so it counts that it is set up. What could be a port of a
/// guest and is of no bridge is named with none.
pub(super) fn signs(links: &[Link], made: impl Fn(&str) -> bool) -> Found {
    let bridges: BTreeMap<&str, &Link> = links
        .iter()
        .filter(|link| link.is(&["bridge"]))
        // Those come and go with guests and containers.
        .filter(|link| {
            made(&link.ifname) || !OF_HYPERVISORS.iter().any(|o| link.ifname.starts_with(o))
        })
        .map(|link| (link.ifname.as_str(), link))
        .collect();
    let of_bridges =
        bridges.iter().map(|(name, link)| (Sign::Bridge((*name).to_owned()), link.health()));
    let others = links.iter().filter(|link| !made(&link.ifname));
    let ports = others.filter_map(|link| {
        let bridge = link.master.as_deref().filter(|master| bridges.contains_key(master));
        let port = link.ifname.clone();
        match bridge {
            Some(bridge) => {
                let sign = Sign::GuestPort { port, bridge: bridge.to_owned() };
                Some((sign, link.health()))
            }
            None if link.master.is_none() && link.is(&["tun", "veth"]) => {
                Some((Sign::GuestPort { port, bridge: String::new() }, Health::Down))
            }
            None => None,
        }
    });
    of_bridges.chain(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::{read, signs, without_carrier};

    const LINKS: &str = r#"[
        {"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"]},
        {"ifname":"eth0","flags":["BROADCAST","UP","LOWER_UP"],"master":"vmbr0"},
        {"ifname":"eth1","flags":["NO-CARRIER","BROADCAST","UP"]},
        {"ifname":"eth2","flags":["BROADCAST"]},
        {"ifname":"vmbr0","flags":["UP","LOWER_UP"],"linkinfo":{"info_kind":"bridge"}},
        {"ifname":"va","flags":["NO-CARRIER","UP"],"linkinfo":{"info_kind":"bridge"}},
        {"ifname":"vb","flags":[],"linkinfo":{"info_kind":"bridge"}},
        {"ifname":"vxlan_va","flags":["UP","LOWER_UP"],"master":"va","linkinfo":{"info_kind":"vxlan"}},
        {"ifname":"tap1i0","flags":["UP"],"master":"va","linkinfo":{"info_kind":"tun"}},
        {"ifname":"veth2i0","flags":[],"master":"va","linkinfo":{"info_kind":"veth"}},
        {"ifname":"tap3i0","flags":["UP","LOWER_UP"],"linkinfo":{"info_kind":"tun"}},
        {"ifname":"red","flags":["UP"],"linkinfo":{"info_kind":"vrf"}},
        {"ifname":"in-red","flags":["UP","LOWER_UP"],"master":"red","linkinfo":{"info_kind":"veth"}}]"#;

    #[test]
    fn bridges_and_the_ports_of_others_are_named() {
        let links = read(LINKS.as_bytes());
        let found = signs(&links, |name| name == "vxlan_va");
        let found: Vec<String> =
            found.iter().map(|(sign, health)| format!("{sign} {health:?}")).collect();
        assert_eq!(
            found,
            [
                "bridge `va` Up",
                "bridge `vb` Down",
                "bridge `vmbr0` Up",
                "port `eth0` of bridge `vmbr0` Up",
                "port `tap1i0` of bridge `va` Up",
                "port `veth2i0` of bridge `va` Down",
                "port `tap3i0` of bridge `` Down",
            ]
        );
        assert!(without_carrier(&links).eq(["eth1"]));
        assert!(read(b"").is_empty() && read(b"[{}]").is_empty());
    }
}

//! Bridges and their ports.

use std::collections::BTreeMap;

use super::super::devices::Device;
use super::super::links::OF_HYPERVISORS;
use super::Found;
use crate::plan::{Health, Sign};

fn health(link: &Device) -> Health {
    if link.is_up { Health::Up } else { Health::Down }
}

/// The interfaces that somebody set up, with nothing on their other end.
pub(super) fn without_carrier(links: &[Device]) -> impl Iterator<Item = &str> {
    let idle = links.iter().filter(|link| {
        link.is_up && !link.has_carrier && !link.is(&["bridge", "dummy", "tun", "vrf", "vxlan"])
    });
    idle.map(|link| link.name.as_str())
}

/// Every bridge, and every port that is not of those that weft made. A bridge without ports
/// that are up has no carrier, so it counts that it is set up. What could be a port of a
/// guest and is of no bridge is named with none.
pub(super) fn signs(links: &[Device], made: impl Fn(&str) -> bool) -> Found {
    let bridges: BTreeMap<&str, &Device> = links
        .iter()
        .filter(|link| link.is(&["bridge"]))
        // Those come and go with guests and containers.
        .filter(|link| made(&link.name) || !OF_HYPERVISORS.iter().any(|o| link.name.starts_with(o)))
        .map(|link| (link.name.as_str(), link))
        .collect();
    let of_bridges =
        bridges.iter().map(|(name, link)| (Sign::Bridge((*name).to_owned()), health(link)));
    let others = links.iter().filter(|link| !made(&link.name));
    let ports = others.filter_map(|link| {
        let bridge = link.master.as_deref().filter(|master| bridges.contains_key(master));
        let port = link.name.clone();
        match bridge {
            Some(bridge) => {
                let sign = Sign::GuestPort { port, bridge: bridge.to_owned() };
                Some((sign, health(link)))
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
    use super::super::super::devices::sample;
    use super::{signs, without_carrier};

    const LINKS: &str = r#"[
        {"ifname":"lo","mtu":1500,"flags":["LOOPBACK","UP","LOWER_UP"]},
        {"ifname":"eth0","mtu":1500,"flags":["BROADCAST","UP","LOWER_UP"],"master":"vmbr0"},
        {"ifname":"eth1","mtu":1500,"flags":["NO-CARRIER","BROADCAST","UP"]},
        {"ifname":"eth2","mtu":1500,"flags":["BROADCAST"]},
        {"ifname":"vmbr0","mtu":1500,"flags":["UP","LOWER_UP"],"linkinfo":{"info_kind":"bridge"}},
        {"ifname":"va","mtu":1500,"flags":["NO-CARRIER","UP"],"linkinfo":{"info_kind":"bridge"}},
        {"ifname":"vb","mtu":1500,"flags":[],"linkinfo":{"info_kind":"bridge"}},
        {"ifname":"vxlan_va","mtu":1500,"flags":["UP","LOWER_UP"],"master":"va","linkinfo":{"info_kind":"vxlan"}},
        {"ifname":"tap1i0","mtu":1500,"flags":["UP"],"master":"va","linkinfo":{"info_kind":"tun"}},
        {"ifname":"veth2i0","mtu":1500,"flags":[],"master":"va","linkinfo":{"info_kind":"veth"}},
        {"ifname":"tap3i0","mtu":1500,"flags":["UP","LOWER_UP"],"linkinfo":{"info_kind":"tun"}},
        {"ifname":"red","mtu":1500,"flags":["UP"],"linkinfo":{"info_kind":"vrf"}},
        {"ifname":"in-red","mtu":1500,"flags":["UP","LOWER_UP"],"master":"red","linkinfo":{"info_kind":"veth"}}]"#;

    #[test]
    fn bridges_and_the_ports_of_others_are_named() {
        let links = sample::devices(LINKS);
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
    }
}

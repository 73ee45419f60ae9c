//! Lines of a stanza as what they ask for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Interface, Kind, VXLAN_PORT, vlan_of};
use crate::plan::rule::{Family, Rule};
use crate::plan::stanza::option;

impl Interface {
    #[expect(clippy::too_many_lines, reason = "a line or two for each option")]
    pub(in crate::plan) fn new(name: &str, lines: &[&str]) -> Self {
        let lines_of = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut new = Self { lines: lines_of, ..Self::default() };
        let mut bridge: Option<Bridge> = None;
        let (mut stp, mut delay, mut vlans) = (None, None::<u32>, Vec::new());
        let mut vni = None;
        let mut port = VXLAN_PORT;
        let (mut local, mut remotes) = (None, BTreeSet::new());
        let (mut learning, mut suppress) = (None, None);
        let (mut ovs_bridge, mut ovs_options) = (None, Vec::new());
        let mut vlan = Vlan::default();
        let mut other = None;
        for line in lines {
            let value = line.split_once(char::is_whitespace).map_or("", |(_, value)| value.trim());
            let understood = match &*option(line) {
                "address" => insert(&mut new.addresses, address(value)),
                "mtu" | "ovs-mtu" => set(&mut new.mtu, value),
                "hwaddress" => {
                    let address = value.split_whitespace().last();
                    new.mac = address.map(str::to_ascii_lowercase);
                    new.mac.is_some()
                }
                "vrf" => set(&mut new.vrf, value),
                "vrf-table" => {
                    other = Some(Kind::Vrf);
                    true
                }
                "link-type" => match value {
                    "veth" => {
                        other.get_or_insert(Kind::Veth { peer: None });
                        true
                    }
                    "dummy" => {
                        other = Some(Kind::Dummy);
                        true
                    }
                    _ => false,
                },
                "veth-peer-name" => {
                    other = Some(Kind::Veth { peer: Some(value.to_owned()) });
                    true
                }
                // Of another type it says something of a bridge of the node's own.
                "ovs-type" if value == "OVSIntPort" => {
                    other = Some(Kind::OvsPort { bridge: None, options: Vec::new() });
                    true
                }
                "ovs-bridge" => set(&mut ovs_bridge, value),
                "ovs-options" => {
                    ovs_options.extend(value.split_whitespace().map(str::to_owned));
                    true
                }
                "vlan-raw-device" => set(&mut vlan.device, value),
                "vlan-id" => set(&mut vlan.id, value),
                "vlan-protocol" => set(&mut vlan.protocol, &value.to_ascii_lowercase()),
                "bridge-learning" => optional(&mut learning, value),
                "bridge-arp-nd-suppress" => optional(&mut suppress, value),
                "alias" => {
                    new.alias = Some(value.to_owned());
                    true
                }
                "ip-forward" => forward(&mut new.forwards, Family::V4, value),
                "ip6-forward" => forward(&mut new.forwards, Family::V6, value),
                "bridge-ports" => {
                    let ports = value.split_whitespace().filter(|port| *port != "none");
                    bridge.get_or_insert_default().ports.extend(ports.map(str::to_owned));
                    true
                }
                "bridge-vlan-protocol" => {
                    new.vlan_protocol = Some(value.to_ascii_lowercase());
                    true
                }
                "arp-accept" => flag(&mut new.accepts_arp, value),
                "bridge-vlan-aware" => flag(&mut bridge.get_or_insert_default().vlan_aware, value),
                // Of a bridge of the node's own they are the administrator's.
                "bridge-stp" => optional(&mut stp, value),
                "bridge-fd" => set(&mut delay, value),
                "bridge-vids" => ranges(&mut vlans, value),
                "vxlan-id" => set(&mut vni, value),
                "vxlan-port" => value.parse().map(|found| port = found).is_ok(),
                "vxlan-local-tunnelip" => set(&mut local, value),
                "vxlan-remoteip" => insert(&mut remotes, value.parse().ok()),
                "up" => route(value).is_none_or(|route| new.routes.insert(route)),
                "post-up" => {
                    new.unreachable = unreachable(value).or(new.unreachable);
                    new.rules.extend(value.parse::<Rule>());
                    true
                }
                _ => true,
            };
            if !understood {
                new.unread.push((*line).to_owned());
            }
        }
        new.kind = match (vni, bridge, other.or_else(|| vlan.kind(name))) {
            (Some(id), ..) => Kind::Vxlan { id, port, local, remotes, learning, suppress },
            (None, Some(Bridge { ports, vlan_aware }), _) => {
                let forward_delay = delay.map(|seconds| seconds.saturating_mul(100));
                Kind::Bridge { ports, vlan_aware, stp, forward_delay, vlans }
            }
            (None, None, Some(Kind::OvsPort { .. })) => {
                Kind::OvsPort { bridge: ovs_bridge, options: ovs_options }
            }
            (None, None, Some(other)) => other,
            (None, None, None) => Kind::Own,
        };
        new
    }
}

/// What makes a stanza one of a bridge.
#[derive(Default)]
struct Bridge {
    ports: BTreeSet<String>,
    vlan_aware: bool,
}

/// What a stanza says of a VLAN.
#[derive(Default)]
pub(super) struct Vlan {
    device: Option<String>,
    id: Option<u16>,
    protocol: Option<String>,
}

impl Vlan {
    /// None where the stanza is of no VLAN, by its lines and by the name.
    pub(super) fn kind(self, name: &str) -> Option<Kind> {
        let named = vlan_of(name);
        let device = self.device.or_else(|| named.map(|(device, _)| device.to_owned()))?;
        let id = self.id.or_else(|| named.map(|(_, id)| id))?;
        let protocol = self.protocol.unwrap_or_else(|| "802.1q".to_owned());
        Some(Kind::Vlan { device, id, protocol })
    }
}

fn optional(place: &mut Option<bool>, value: &str) -> bool {
    let mut is_on = false;
    let understood = flag(&mut is_on, value);
    *place = understood.then_some(is_on);
    understood
}

/// Words such as `2-4094` or `7`.
fn ranges(places: &mut Vec<(u16, u16)>, value: &str) -> bool {
    let range = |word: &str| -> Option<(u16, u16)> {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let range = (first.parse().ok()?, last.parse().ok()?);
        ((1..=4094).contains(&range.0) && (range.0..=4094).contains(&range.1)).then_some(range)
    };
    let read: Option<Vec<(u16, u16)>> = value.split_whitespace().map(range).collect();
    let understood = read.is_some();
    places.extend(read.into_iter().flatten());
    understood
}

fn set<T: std::str::FromStr>(place: &mut Option<T>, value: &str) -> bool {
    *place = value.parse().ok();
    place.is_some()
}

fn insert<T: Ord>(places: &mut BTreeSet<T>, value: Option<T>) -> bool {
    match value {
        // The same line twice is one value.
        Some(value) => {
            places.insert(value);
            true
        }
        None => false,
    }
}

fn flag(place: &mut bool, value: &str) -> bool {
    *place = matches!(value, "on" | "yes" | "1" | "true");
    *place || matches!(value, "off" | "no" | "0" | "false")
}

fn forward(places: &mut BTreeSet<Family>, family: Family, value: &str) -> bool {
    let mut is_on = false;
    let understood = flag(&mut is_on, value);
    places.extend(is_on.then_some(family));
    understood
}

/// An address with its length; one without is of a single host.
fn address(value: &str) -> Option<IpNet> {
    value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The destination of `ip route add NET dev NAME`; none for another command.
fn route(command: &str) -> Option<IpNet> {
    match command.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["ip", "route", "add", net, "dev", _] => net.parse::<IpNet>().ok().map(|net| net.trunc()),
        _ => None,
    }
}

/// Whether `ip route … vrf NAME unreachable default …` adds that route or takes it away; none
/// for another command.
fn unreachable(command: &str) -> Option<bool> {
    match command.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["ip", "route", verb, "vrf", _, "unreachable", "default", ..] => Some(*verb == "add"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind};
    use crate::plan::interfaces;

    const TEXT: &str = "#version:3\n\nauto va\niface va\n\taddress 10.0.0.1/24\n\taddress 10.0.3.999/24\n\
        \tup ip route add 10.9.9.9/32 dev va\n\
        \tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\
        \tpost-down iptables -t nat -D POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\
        \tbridge_ports none\n\tbridge-vlan-aware yes\n\tmtu 1400\n\talias two words\n\tip-forward on\n\
        \nauto vb\niface vb\n\tbridge_ports vxlan_vb\n\nauto vxlan_vb\niface vxlan_vb\n\tvxlan-id 7\n\
        \tvxlan_remoteip 192.0.2.2\n\tvxlan_remoteip 192.0.2.3\n\tvxlan-port 4790\n";

    #[test]
    fn stanzas_say_what_they_ask_for() {
        let found = interfaces(TEXT);
        let va = &found["va"];
        let Kind::Bridge { ports, vlan_aware, .. } = &va.kind else { panic!("{va:?}") };
        assert!(ports.is_empty() && *vlan_aware && va.forwards.iter().eq(&[Family::V4]));
        assert_eq!((va.addresses.len(), va.routes.len(), va.rules.len()), (1, 1, 1));
        assert_eq!((va.mtu, va.alias.as_deref()), (Some(1400), Some("two words")));
        assert_eq!(va.unread, ["address 10.0.3.999/24"]);
        assert_eq!(found["vb"].ports().collect::<Vec<_>>(), ["vxlan_vb"]);
        let Kind::Vxlan { id, port, local, remotes, .. } = &found["vxlan_vb"].kind else {
            panic!("not a tunnel")
        };
        assert_eq!((*id, *port, *local, remotes.len()), (7, 4790, None, 2));
    }

    const LAYERS: &str = "auto vrf_z\niface vrf_z\n\tvrf-table auto\n\
        \tpost-up ip route del vrf vrf_z unreachable default metric 4278198272\n\
        auto xvrf_z\niface xvrf_z\n\tlink-type veth\n\taddress 10.255.255.1/30\n\tveth-peer-name xvrfp_z\n\
        auto v\niface v\n\thwaddress BC:24:11:00:00:01\n\tbridge_ports vxlan_v\n\tarp-accept on\n\tvrf vrf_z\n\
        auto vxlan_v\niface vxlan_v\n\tvxlan-id 7\n\tbridge-learning off\n\tbridge-arp-nd-suppress on\n\
        auto sv_q\niface sv_q\n\tvlan-raw-device eth0\n\tvlan-id 9\n\tvlan-protocol 802.1ad\n\
        auto vmbr0.5\niface vmbr0.5\n\tvlan-protocol 802.1ad\n\
        auto vmbr0\niface vmbr0\n\tovs_ports ln_v\n\tbridge-vlan-protocol 802.1ad\n\
        auto ln_v\niface ln_v\n\tovs_type OVSIntPort\n\tovs_bridge vmbr0\n\tovs_mtu 1400\n\tovs_options tag=5\n\
        auto w\niface w\n\tbridge_ports  eth0.7 eth1.7 pr_w\n\
        auto dummy_f\niface dummy_f inet static\n\taddress 10.9.0.1/32\n\tlink-type dummy\n\tip-forward 1\n\
        auto eth1\niface eth1 inet static\n\taddress 10.9.0.1/32\n\tip-forward 1\n\
        auto eth1\niface eth1 inet6 static\n\taddress fd00::1/64\n\tip-forward 1\n";

    #[test]
    fn every_kind_is_told_from_the_others() {
        let found = interfaces(LAYERS);
        let kind = |name: &str| &found[name].kind;
        let vlan = |device: &str, id, protocol: &str| Kind::Vlan {
            device: device.to_owned(),
            id,
            protocol: protocol.to_owned(),
        };
        assert_eq!((kind("vrf_z"), kind("dummy_f")), (&Kind::Vrf, &Kind::Dummy));
        assert_eq!(found["vrf_z"].unreachable, Some(false));
        assert_eq!(found["vmbr0"].vlan_protocol.as_deref(), Some("802.1ad"));
        assert!(found["v"].accepts_arp && !found["w"].accepts_arp);
        assert_eq!(kind("xvrf_z"), &Kind::Veth { peer: Some("xvrfp_z".to_owned()) });
        assert_eq!(kind("sv_q"), &vlan("eth0", 9, "802.1ad"));
        assert_eq!(kind("vmbr0.5"), &vlan("vmbr0", 5, "802.1ad"));
        let ovs =
            Kind::OvsPort { bridge: Some("vmbr0".to_owned()), options: vec!["tag=5".to_owned()] };
        assert_eq!((kind("vmbr0"), kind("ln_v")), (&Kind::Own, &ovs));
        assert_eq!((kind("eth1"), found["eth1"].addresses.len()), (&Kind::Own, 2));
        assert!(matches!(
            kind("vxlan_v"),
            Kind::Vxlan { learning: Some(false), suppress: Some(true), .. }
        ));
        let v = &found["v"];
        assert_eq!(v.mac.as_deref(), Some("bc:24:11:00:00:01"));
        assert_eq!(v.below().collect::<Vec<_>>(), ["vxlan_v", "vrf_z"]);
        let w = &found["w"];
        assert_eq!(w.implied().collect::<Vec<_>>(), ["eth0.7", "eth1.7"]);
        assert_eq!(found["ln_v"].mtu, Some(1400));
        assert!(found.values().all(|interface| interface.unread.is_empty()));
    }
}

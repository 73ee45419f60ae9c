//! Stanzas of interfaces files as what the kernel should have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::rule::{Family, Rule};
use super::stanza::{option, stanzas};
use crate::value::IfName;

/// The UDP port of a VXLAN interface whose stanza names none.
pub(super) const VXLAN_PORT: u16 = 4789;

/// What one stanza asks for. Options that are not here are ifupdown2's to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its lines as they stand.
    pub lines: Vec<String>,
    /// What it is.
    pub kind: Kind,
    /// Its addresses. One that cannot be read is in `unread`.
    pub addresses: BTreeSet<IpNet>,
    /// The largest packet, where one is asked for.
    pub mtu: Option<u32>,
    /// The comment.
    pub alias: Option<String>,
    /// The versions of IP whose packets are to be routed when they come in.
    pub forwards: BTreeSet<Family>,
    /// Routes that it adds to itself.
    pub routes: BTreeSet<IpNet>,
    /// Rules that it adds.
    pub rules: BTreeSet<Rule>,
    /// Lines whose value cannot be read.
    pub unread: Vec<String>,
}

/// What an interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Not said.
    #[default]
    Any,
    /// A bridge.
    Bridge {
        /// What it joins.
        ports: BTreeSet<String>,
        /// Whether it filters VLANs.
        vlan_aware: bool,
    },
    /// A VXLAN tunnel end.
    Vxlan {
        /// The VXLAN network identifier.
        id: u32,
        /// The UDP port.
        port: u16,
        /// The address that packets are sent from, where one is asked for.
        local: Option<IpAddr>,
        /// The other ends.
        remotes: BTreeSet<IpAddr>,
    },
}

/// The interfaces of a file whose names can be an interface's.
pub fn interfaces(text: &str) -> BTreeMap<IfName, Interface> {
    let stanzas = stanzas(text).into_iter();
    stanzas.filter_map(|(name, lines)| Some((name.parse().ok()?, Interface::new(&lines)))).collect()
}

impl Interface {
    fn new(lines: &[String]) -> Self {
        let mut new = Self { lines: lines.to_vec(), ..Self::default() };
        let mut bridge: Option<(BTreeSet<String>, bool)> = None;
        let mut vxlan = None;
        let mut port = VXLAN_PORT;
        let mut local = None;
        let mut remotes = BTreeSet::new();
        for line in lines {
            let value = line.split_once(char::is_whitespace).map_or("", |(_, value)| value.trim());
            let understood = match option(line).as_str() {
                "address" => insert(&mut new.addresses, address(value)),
                "mtu" => set(&mut new.mtu, value),
                "alias" => {
                    new.alias = Some(value.to_owned());
                    true
                }
                "ip-forward" => forward(&mut new.forwards, Family::V4, value),
                "ip6-forward" => forward(&mut new.forwards, Family::V6, value),
                "bridge-ports" => {
                    let ports = value.split_whitespace().filter(|port| *port != "none");
                    bridge.get_or_insert_default().0.extend(ports.map(str::to_owned));
                    true
                }
                "bridge-vlan-aware" => flag(&mut bridge.get_or_insert_default().1, value),
                "vxlan-id" => set(&mut vxlan, value),
                "vxlan-port" => value.parse().map(|found| port = found).is_ok(),
                "vxlan-local-tunnelip" => set(&mut local, value),
                "vxlan-remoteip" => insert(&mut remotes, value.parse().ok()),
                "up" => route(value).is_none_or(|route| new.routes.insert(route)),
                "post-up" => {
                    new.rules.extend(value.parse::<Rule>());
                    true
                }
                _ => true,
            };
            if !understood {
                new.unread.push(line.clone());
            }
        }
        new.kind = match (vxlan, bridge) {
            (Some(id), _) => Kind::Vxlan { id, port, local, remotes },
            (None, Some((ports, vlan_aware))) => Kind::Bridge { ports, vlan_aware },
            (None, None) => Kind::Any,
        };
        new
    }

    /// The ports that it joins, where it is a bridge.
    pub fn ports(&self) -> impl Iterator<Item = &str> {
        let ports = match &self.kind {
            Kind::Bridge { ports, .. } => Some(ports),
            Kind::Vxlan { .. } | Kind::Any => None,
        };
        ports.into_iter().flatten().map(String::as_str)
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        matches!(self.kind, Kind::Bridge { .. })
    }
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

#[cfg(test)]
mod tests {
    use super::{Family, Kind, interfaces};

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
        let Kind::Bridge { ports, vlan_aware } = &va.kind else { panic!("{va:?}") };
        assert!(ports.is_empty() && *vlan_aware && va.forwards.iter().eq(&[Family::V4]));
        assert_eq!((va.addresses.len(), va.routes.len(), va.rules.len()), (1, 1, 1));
        assert_eq!((va.mtu, va.alias.as_deref()), (Some(1400), Some("two words")));
        assert_eq!(va.unread, ["address 10.0.3.999/24"]);
        assert_eq!(found["vb"].ports().collect::<Vec<_>>(), ["vxlan_vb"]);
        let Kind::Vxlan { id, port, local, remotes } = &found["vxlan_vb"].kind else {
            panic!("not a tunnel")
        };
        assert_eq!((*id, *port, *local, remotes.len()), (7, 4790, None, 2));
    }
}

//! Whether a kernel has what interfaces files ask for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::interface::{Interface, Kind, is_of_link};
use super::kernel::{Kernel, Link};

/// Something that a kernel has otherwise than it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    /// The interface.
    pub interface: String,
    /// What is so and what was wanted, after the name.
    pub message: String,
}

impl Mismatch {
    pub(super) fn new(interface: impl Into<String>, message: impl Into<String>) -> Self {
        Self { interface: interface.into(), message: message.into() }
    }
}

impl Mismatch {
    /// Something that is of no interface alone.
    pub(crate) fn of_node(message: &str) -> Self {
        Self { interface: String::new(), message: message.to_owned() }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interface.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "`{}` {}", self.interface, self.message)
    }
}

/// What an interface has otherwise than its stanza asks for. Rules are not looked at.
pub(super) fn differences(name: &str, wanted: &Interface, kernel: &Kernel) -> Vec<Mismatch> {
    let Some(link) = kernel.links.get(name) else {
        return vec![Mismatch::new(name, "is not there")];
    };
    let mut found = Vec::new();
    let mut say = |message: String| found.push(Mismatch::new(name, message));
    for line in &wanted.unread {
        say(format!("cannot have `{line}`, which is not understood"));
    }
    if !link.up {
        say("is down".to_owned());
    }
    if let Some(mtu) = wanted.mtu.filter(|mtu| *mtu != link.mtu) {
        say(format!("has the MTU {}, where {mtu} is wanted", link.mtu));
    }
    if wanted.alias != link.alias && !(wanted.is_own() && wanted.alias.is_none()) {
        let shown = |alias: &Option<String>| match alias {
            Some(alias) => format!("the alias `{}`", alias.escape_debug()),
            None => "no alias".to_owned(),
        };
        say(format!("has {}, where {} is wanted", shown(&link.alias), shown(&wanted.alias)));
    }
    for address in wanted.addresses.iter().filter(|net| !link.has_address(net)) {
        say(format!("has no address {address}"));
    }
    if let Some(mac) = wanted.mac.as_ref().filter(|mac| link.mac.as_ref() != Some(mac)) {
        let is = link.mac.as_deref().unwrap_or("no address");
        say(format!("has the MAC address {is}, where {mac} is wanted"));
    }
    if let Some(vrf) = wanted.vrf.as_ref().filter(|vrf| link.master.as_ref() != Some(vrf)) {
        say(format!("is not in `{vrf}`"));
    }
    if !wanted.is_own() {
        for address in link.addresses.difference(&wanted.addresses) {
            say(format!("has the address {address}, which is not wanted"));
        }
    }
    for family in wanted.forwards.difference(&link.forwards) {
        say(format!("does not forward {}", family.as_str()));
    }
    if let Some(message) = lets_out(wanted, link, kernel) {
        say(message.to_owned());
    }
    if wanted.accepts_arp && !link.accepts_arp && wanted.is_bridge() {
        say("does not remember neighbours that say their address unasked".to_owned());
    }
    let protocol = wanted.vlan_protocol.as_ref();
    if let Some(protocol) = protocol.filter(|wanted| link.vlan_protocol.as_ref() != Some(wanted)) {
        let is = link.vlan_protocol.as_deref().unwrap_or("nothing");
        say(format!("filters VLANs by tags of {is}, where {protocol} is wanted"));
    }
    for route in &wanted.routes {
        if !kernel.routes.contains(&(*route, name.to_owned())) {
            say(format!("has no route to {route}"));
        }
    }
    // ifupdown2 changes least in place, and so tells of all that differs.
    if let Some(message) = unfit(wanted, link, Engine::Ifupdown2) {
        say(message);
    }
    match &wanted.kind {
        Kind::Bridge { ports, vlan_aware, .. } => {
            for port in ports {
                let master = kernel.links.get(port).and_then(|port| port.master.as_deref());
                if master != Some(name) {
                    say(format!("lacks its port `{port}`"));
                }
            }
            if *vlan_aware != link.vlan_filtering {
                let is = if *vlan_aware { "does not filter" } else { "filters" };
                say(format!("{is} VLANs"));
            }
        }
        Kind::Vxlan { remotes, learning, suppress, .. } => {
            let asked = [("learning", learning), ("neigh_suppress", suppress)];
            for (flag, asked) in asked {
                let is = link.flags.get(flag);
                if let Some(asked) =
                    asked.as_ref().filter(|asked| is.is_some_and(|is| is != *asked))
                {
                    let asked = if *asked { "on" } else { "off" };
                    say(format!("lacks the flag `{flag} {asked}`"));
                }
            }
            // The others are a routing daemon's.
            if *learning == Some(false) {
                return found;
            }
            let has = link.tunnel.clone().unwrap_or_default().remotes;
            for remote in remotes.difference(&has) {
                say(format!("does not send to {remote}"));
            }
            for remote in has.difference(remotes) {
                say(format!("sends to {remote}, which is not wanted"));
            }
        }
        _ => {}
    }
    found
}

/// What is wrong with the way out of a VRF.
fn lets_out(wanted: &Interface, link: &Link, kernel: &Kernel) -> Option<&'static str> {
    let is = link.table.is_some_and(|table| kernel.unreachable.contains(&table));
    wanted.unreachable.filter(|wanted| *wanted != is).map(|wanted| {
        if wanted {
            "lets what it has no route for out of the VRF"
        } else {
            "lets nothing that it has no route for out of the VRF"
        }
    })
}

impl Link {
    /// Whether it has an address.
    pub(super) fn has_address(&self, net: &ipnet::IpNet) -> bool {
        if is_of_link(net) { &self.link_addresses } else { &self.addresses }.contains(net)
    }
}

/// Why an interface cannot become what its stanza asks for by this engine without being made
/// again.
pub(super) fn unfit(wanted: &Interface, link: &Link, engine: Engine) -> Option<String> {
    let kind = link.kind.as_deref().unwrap_or("hardware");
    if wanted.kind.word().is_some_and(|word| word != kind) {
        let what = match &wanted.kind {
            Kind::Vxlan { .. } => "VXLAN interface",
            Kind::Vlan { .. } => "VLAN",
            Kind::Vrf => "VRF",
            Kind::OvsPort { .. } => "port of Open vSwitch",
            other => other.word().unwrap_or_default(),
        };
        return Some(format!("is {kind} and no {what}"));
    }
    match &wanted.kind {
        Kind::Own | Kind::Vrf | Kind::Dummy | Kind::OvsPort { .. } => None,
        // ifupdown2 puts a bridge into a VRF, and never takes it out of one.
        Kind::Bridge { .. } => match &link.master {
            Some(master) if wanted.vrf.as_ref() != Some(master) && engine == Engine::Ifupdown2 => {
                Some(format!("is in `{master}`"))
            }
            _ => None,
        },
        Kind::Veth { peer } => {
            let wanted = peer.as_ref().filter(|wanted| link.lower.as_ref() != Some(*wanted))?;
            let is = link
                .lower
                .as_ref()
                .map_or_else(|| "nothing of this node".to_owned(), |is| format!("`{is}`"));
            Some(format!("leads to {is}, where `{wanted}` is wanted"))
        }
        Kind::Vlan { device, id, protocol } => {
            let (is, tag) = link.vlan.clone().unwrap_or_default();
            if (is, tag.as_str()) != (*id, protocol.as_str()) {
                return Some(format!("is VLAN {is} of {tag}, where {id} of {protocol} is wanted"));
            }
            let lower = link.lower.as_ref().filter(|lower| *lower != device);
            lower.map(|lower| format!("is a VLAN of `{lower}`, where `{device}` is wanted"))
        }
        Kind::Vxlan { id, port, local, .. } => {
            let tunnel = link.tunnel.clone().unwrap_or_default();
            if tunnel.id != *id {
                return Some(format!("has the VXLAN id {}, where {id} is wanted", tunnel.id));
            }
            if tunnel.port != *port {
                return Some(format!("has the UDP port {}, where {port} is wanted", tunnel.port));
            }
            let shown = |local: Option<std::net::IpAddr>| {
                local.map_or_else(|| "no address of its own".to_owned(), |local| local.to_string())
            };
            let stays = match engine {
                Engine::Ifupdown2 => tunnel.local == *local,
                Engine::Native => is_one_family(tunnel.local, *local),
            };
            (!stays).then(|| {
                format!("sends from {}, where {} is wanted", shown(tunnel.local), shown(*local))
            })
        }
    }
}

/// Whether a VXLAN interface that sends from one of these can be told to send from the other:
/// the kernel leaves it with the version of IP that it was made for, which is 4 where no address
/// was asked for (`vxlan_changelink` and `vxlan_nl2conf` in its `drivers/net/vxlan`).
fn is_one_family(one: Option<std::net::IpAddr>, other: Option<std::net::IpAddr>) -> bool {
    let is_v4 = |local: Option<std::net::IpAddr>| local.is_none_or(|local| local.is_ipv4());
    is_v4(one) == is_v4(other)
}

#[cfg(test)]
mod tests {
    use crate::plan::{Family, Kernel, Link, NetworkStep, Target, Tunnel};

    const TEXT: &str = "auto va\niface va\n\taddress 10.0.0.1/24\n\tup ip route add 10.9.9.9/32 dev va\n\
        \tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j SNAT --to-source 192.0.2.1\n\
        \tbridge_ports vxlan_va\n\tmtu 1400\n\talias text\n\tip-forward on\n\tarp-accept on\n\
        \tbridge-vlan-protocol 802.1ad\n\
        auto vrf_z\niface vrf_z\n\tvrf-table auto\n\
        \tpost-up ip route add vrf vrf_z unreachable default metric 4278198272\n\
        auto vxlan_va\niface vxlan_va\n\tvxlan-id 7\n\tvxlan_remoteip 192.0.2.2\n";

    type Damage = fn(&mut Kernel);

    /// A kernel that has all of it, and a guest's port.
    fn kernel() -> Kernel {
        let up = Link { index: 1, mtu: 1400, up: true, ..Link::default() };
        let va = Link {
            kind: Some("bridge".to_owned()),
            alias: Some("text".to_owned()),
            addresses: ["10.0.0.1/24".parse().expect("an address")].into(),
            forwards: [Family::V4].into(),
            vlan_protocol: Some("802.1ad".to_owned()),
            accepts_arp: true,
            ..up.clone()
        };
        let vrf = Link { kind: Some("vrf".to_owned()), table: Some(9), ..up.clone() };
        let remotes = ["192.0.2.2".parse().expect("an address")].into();
        let vxlan = Link {
            kind: Some("vxlan".to_owned()),
            master: Some("va".to_owned()),
            tunnel: Some(Tunnel { id: 7, port: 4789, local: None, learning: true, remotes }),
            ..up.clone()
        };
        let flags = [("isolated", true)].into();
        let guest = Link { master: Some("va".to_owned()), flags, ..up };
        let links = [("va", va), ("vrf_z", vrf), ("vxlan_va", vxlan), ("tap1i0", guest)];
        let mut kernel = Kernel {
            links: links.map(|(name, link)| (name.to_owned(), link)).into(),
            routes: [("10.9.9.9/32".parse().expect("a route"), "va".to_owned())].into(),
            unreachable: [9].into(),
            ..Kernel::default()
        };
        let rules = crate::plan::interfaces(TEXT)["va"].rules.clone();
        for rule in rules {
            kernel.rules.entry(rule.table()).or_default().push(rule);
        }
        kernel
    }

    fn va(kernel: &mut Kernel) -> &mut Link {
        kernel.links.get_mut("va").expect("there")
    }

    fn tunnel(kernel: &mut Kernel) -> &mut Tunnel {
        let link = kernel.links.get_mut("vxlan_va").expect("there");
        link.tunnel.as_mut().expect("a tunnel")
    }

    fn guest(kernel: &mut Kernel) -> &mut Link {
        kernel.links.get_mut("tap1i0").expect("there")
    }

    #[test]
    fn whatever_differs_is_named() {
        let target = Target::between(&[], TEXT);
        let guests = target.guests(&kernel());
        assert_eq!(guests.len(), 1);
        assert_eq!(target.verify(&kernel(), &guests), []);
        assert_eq!(target.amend(&kernel(), &guests), []);
        let cases: &[(Damage, &str)] = &[
            (|k| drop(k.links.remove("va")), "`va` is not there"),
            (|k| va(k).up = false, "`va` is down"),
            (|k| va(k).mtu = 1500, "has the MTU 1500, where 1400 is wanted"),
            (|k| va(k).alias = None, "has no alias, where the alias `text` is wanted"),
            (|k| va(k).addresses.clear(), "has no address 10.0.0.1/24"),
            (
                |k| va(k).addresses.extend("10.1.1.1/24".parse::<ipnet::IpNet>()),
                "has the address 10.1.1.1/24, which is not wanted",
            ),
            (|k| va(k).forwards.clear(), "does not forward IPv4"),
            (|k| va(k).accepts_arp = false, "does not remember neighbours"),
            (|k| va(k).vlan_protocol = None, "by tags of nothing, where 802.1ad is wanted"),
            (|k| k.unreachable.clear(), "lets what it has no route for out of the VRF"),
            (|k| va(k).vlan_filtering = true, "`va` filters VLANs"),
            (|k| va(k).kind = Some("dummy".to_owned()), "is dummy and no bridge"),
            (|k| k.routes.clear(), "has no route to 10.9.9.9/32"),
            (|k| k.rules.clear(), "is there 0 times, where 1 is wanted"),
            (
                |k| k.rules.values_mut().for_each(|rules| rules.push(rules[0].clone())),
                "is there 2 times, where 1 is wanted",
            ),
            (|k| drop(k.links.remove("vxlan_va")), "lacks its port `vxlan_va`"),
            (|k| tunnel(k).id = 8, "has the VXLAN id 8, where 7 is wanted"),
            (|k| tunnel(k).port = 8, "has the UDP port 8, where 4789 is wanted"),
            (|k| tunnel(k).local = "192.0.2.9".parse().ok(), "sends from 192.0.2.9"),
            (|k| tunnel(k).remotes.clear(), "does not send to 192.0.2.2"),
            (
                |k| tunnel(k).remotes.extend("192.0.2.3".parse::<std::net::IpAddr>()),
                "sends to 192.0.2.3, which is not wanted",
            ),
            (|k| guest(k).master = None, "is no port of `va` any more"),
            (|k| guest(k).up = false, "of a guest is down"),
            (|k| guest(k).flags = [("isolated", false)].into(), "lost its flag `isolated on`"),
        ];
        for (change, wanted) in cases {
            let mut kernel = kernel();
            change(&mut kernel);
            let found = target.verify(&kernel, &guests);
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert!(found.iter().any(|text| text.contains(wanted)), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn a_port_that_went_or_was_moved_is_left_alone() {
        let target = Target::between(&[], TEXT);
        let guests = target.guests(&kernel());
        let changes: [Damage; 3] = [
            |k| drop(k.links.remove("tap1i0")),
            |k| guest(k).master = Some("fwbr1i0".to_owned()),
            |k| (guest(k).index, guest(k).master) = (9, None),
        ];
        for change in changes {
            let mut kernel = kernel();
            change(&mut kernel);
            assert_eq!(
                (target.verify(&kernel, &guests), target.amend(&kernel, &guests)),
                (vec![], vec![])
            );
        }
    }

    #[test]
    fn what_cannot_change_in_place_is_made_again() {
        let other = TEXT.replace("vxlan-id 7", "vxlan-id 8");
        let steps = Target::between(&[TEXT], &other).steps(&kernel());
        let names =
            |steps: &[NetworkStep]| steps.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&steps.before), ["take down vxlan_va"]);
        assert_eq!(names(&steps.after), ["bring up vxlan_va va"]);
        let steps = Target::between(&[TEXT], "").steps(&kernel());
        assert_eq!(names(&steps.before), Vec::<String>::new());
        assert_eq!(steps.after[0].to_string(), "take down va vxlan_va vrf_z");
    }
}

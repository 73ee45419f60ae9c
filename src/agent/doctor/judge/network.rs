//! What the declared network asks of the machine: who gets in, and what the kernel
//! does with packets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::Code;
use super::super::examined::Link;
use super::super::needs::Opening;
use super::{Patient, Said, quoted};
use crate::facts::Facts;
use crate::network::{Network, ZoneKind};
use crate::value::{IfName, Mtu, NodeName};

/// The `rp_filter` that drops packets whose way back is by another interface.
const STRICT: u8 = 1;

/// What ifupdown2 gives to hardware of whose MTU no stanza says anything (its addon
/// `address`), unless its policy says otherwise.
const HARDWARE_MTU: u32 = 1500;

/// What a VXLAN or EVPN zone without `mtu` gets.
const DEFAULT_MTU: u32 = 1450;

pub(super) fn judge(patient: &Patient<'_>, said: &mut Said) {
    node_declared(patient, said);
    firewall(patient, said);
    exits(patient, said);
    transit(patient, said);
    mtu(patient, said);
    mtu_of_fabric(patient, said);
}

fn node_declared(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::NodeDeclared;
    match (patient.network, patient.settings) {
        (None, _) => said
            .skipped(code, "the declarations are not at hand (`weft doctor DIR`, or `--online`)"),
        (_, None) => said.skipped(code, "there are no settings that name this node"),
        (Some(network), Some(settings)) => {
            let node = &settings.node.value;
            if network.declares(node) {
                said.ok(code, format!("node `{node}` is declared"));
            } else {
                let known = quoted(network.nodes.keys());
                let message = format!(
                    "node `{node}` is not declared, so its agent refuses to act; there are {known}"
                );
                said.error(code, message, "editor /etc/weft/agent.yaml");
            }
        }
    }
}

fn firewall(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Firewall;
    let Some(needs) = &patient.needs else {
        said.skipped(code, "it is not known what must get in");
        return;
    };
    if needs.openings.is_empty() {
        said.ok(code, "nothing must get in");
        return;
    }
    let Some(filters) = said.look(&patient.examined.filters, &[]) else {
        let list = list(needs.openings.iter());
        let why = match &patient.examined.filters {
            super::Looked::Unseen(why) => why.as_str(),
            super::Looked::Seen(_) => "",
        };
        said.skipped(code, format!("let in {list}; whether it is, is not known: {why}"));
        return;
    };
    let mut closed = false;
    for filter in filters {
        // One rule for each port, whoever asks.
        let mut openings: BTreeMap<String, Vec<&Opening>> = BTreeMap::new();
        for opening in needs.openings.iter().filter(|opening| filter.closes(opening)) {
            openings.entry(filter.open(opening)).or_default().push(opening);
        }
        for (mend, openings) in openings {
            closed = true;
            let list = list(openings);
            let message = format!(
                "{} drops by policy, and has no obvious rule that lets in {list}",
                filter.place()
            );
            said.warning(code, message, mend);
        }
    }
    if !closed {
        let what = if filters.is_empty() {
            "no packet filter drops by policy"
        } else {
            "the packet filters have rules"
        };
        said.ok(code, format!("{what}; what must get in: {}", list(needs.openings.iter())));
    }
}

fn list<'a>(openings: impl IntoIterator<Item = &'a Opening>) -> String {
    // One hole each, whoever asks for it.
    let mut holes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for opening in openings {
        let (service, protocol) =
            (opening.service.as_str(), opening.service.protocol().to_uppercase());
        let family = if opening.v6 { " by IPv6" } else { "" };
        let hole = match opening.port {
            Some(port) => format!("{protocol} {port}{family} ({service}"),
            None => format!("IP protocol 89{family} ({service}"),
        };
        holes.entry(hole).or_default().push(&opening.by);
    }
    let words = holes.iter().map(|(hole, by)| format!("{hole}, {})", by.join(", ")));
    words.collect::<Vec<_>>().join(", ")
}

/// The interfaces by which guests leave with the address of the machine.
fn exits(patient: &Patient<'_>, said: &mut Said) {
    let both = [Code::RpFilter, Code::Forwarding];
    let exits = patient.needs.as_ref().map(|needs| &needs.exits);
    let Some(exits) = exits.filter(|exits| !exits.is_empty()) else {
        for code in both {
            match patient.needs(|needs| needs.source_nat) {
                Some(false) => said.ok(code, "no guest leaves with the address of this machine"),
                Some(true) => {
                    said.skipped(code, "there is no default route by which guests would leave");
                }
                None => said.skipped(code, "it is not known whether guests leave here"),
            }
        }
        return;
    };
    let Some(links) = said.look(&patient.examined.links, &both) else { return };
    for name in exits {
        let Some(link) = links.get(name) else {
            for code in both {
                said.skipped(code, format!("there is no interface `{name}` at present"));
            }
            continue;
        };
        rp_filter(patient, name, *link, said);
        match link.forwarding {
            None => {
                said.skipped(Code::Forwarding, format!("the kernel does not say it of `{name}`"));
            }
            Some(true) => {
                said.ok(
                    Code::Forwarding,
                    format!("packets that come in by `{name}` are forwarded"),
                );
            }
            Some(false) => {
                let message = format!(
                    "packets that come in by `{name}` are not forwarded, so guests get no answer"
                );
                said.warning(Code::Forwarding, message, set(name, "forwarding", 1));
            }
        }
    }
}

/// Nodes of a fabric pass on what is for others. Its stanzas switch that on for IPv4 only.
fn transit(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Forwarding;
    if patient.needs(|needs| needs.transit_v6) != Some(true) {
        return;
    }
    match said.look(&patient.examined.forwarding_v6, &[code]) {
        Some(true) => said.ok(code, "IPv6 packets are forwarded"),
        Some(false) => {
            let setting = "net/ipv6/conf/all/forwarding=1";
            let mend =
                format!("sysctl -w {setting} && echo {setting} >>/etc/sysctl.d/90-weft.conf");
            let message = "IPv6 packets are not forwarded, so the nodes of a fabric reach only their neighbours";
            said.warning(code, message, mend);
        }
        None => {}
    }
}

fn rp_filter(patient: &Patient<'_>, name: &IfName, link: Link, said: &mut Said) {
    let code = Code::RpFilter;
    let Some(all) = said.look(&patient.examined.rp_filter_all, &[code]) else { return };
    let Some(own) = link.rp_filter else {
        said.skipped(code, format!("the kernel does not say it of `{name}`"));
        return;
    };
    // The kernel takes the larger of the two (`ip-sysctl.rst`), and loose is the larger.
    let taken = own.max(*all);
    if taken == STRICT {
        let message = format!(
            "the kernel drops what comes in by `{name}` and would be answered by another interface (rp_filter is {STRICT}: the larger of all {all} and its own {own})"
        );
        said.warning(code, message, set(name, "rp_filter", 2));
    } else {
        said.ok(
            code,
            format!("rp_filter of `{name}` is {taken} (the larger of all {all} and its own {own})"),
        );
    }
}

/// The command that changes a setting of an interface, now and after the next start.
/// With `/`, since a name may have a dot.
fn set(name: &IfName, key: &str, value: u8) -> String {
    let setting = format!("net/ipv4/conf/{name}/{key}={value}");
    format!("sysctl -w {setting} && echo {setting} >>/etc/sysctl.d/90-weft.conf")
}

fn mtu(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Mtu;
    let (Some(network), Some(settings)) = (patient.network, patient.settings) else {
        said.skipped(code, "the declarations are not at hand (`weft doctor DIR`, or `--online`)");
        return;
    };
    let node = &settings.node.value;
    let mut zones = tunnels(network, node).peekable();
    if zones.peek().is_none() {
        said.ok(code, "this node has no tunnel");
        return;
    }
    let examined = patient.examined;
    let Some(links) = said.look(&examined.links, &[code]) else { return };
    let Some(routes) = said.look(&examined.routes, &[code]) else { return };
    let facts = Facts { routes: routes.clone(), ..Facts::unknown(node.clone()) };
    for (id, mtu, zone) in zones {
        let by = |peer: &IpAddr| {
            let interface = &facts.route_to(*peer)?.interface;
            // The way to the node's own address says nothing.
            let link = links.get(interface).filter(|_| interface.as_str() != "lo")?;
            Some((interface, link.mtu, mtu + overhead(*peer)))
        };
        let ways = zone.iter().filter_map(by);
        match ways.min_by_key(|(_, has, wanted)| i64::from(*has) - i64::from(*wanted)) {
            None => said.skipped(code, format!("zone `{id}`: there is no route to its peers")),
            Some((name, has, wanted)) if has < wanted => {
                let message = format!(
                    "zone `{id}` has MTU {mtu}, and its tunnels add {}: `{name}` must have {wanted} and has {has}, so large packets of guests vanish",
                    wanted - mtu
                );
                said.error(code, message, format!("ip link set dev {name} mtu {wanted}"));
            }
            Some((name, has, wanted)) => {
                said.ok(
                    code,
                    format!("zone `{id}`: `{name}` has MTU {has}, and {wanted} are needed"),
                );
            }
        }
    }
}

/// A fabric adds a stanza to interfaces of the node, and with it ifupdown2 begins to look after
/// their MTU.
fn mtu_of_fabric(patient: &Patient<'_>, said: &mut Said) {
    let code = Code::Mtu;
    let fabric = patient.needs.as_ref().map(|needs| &needs.fabric);
    let Some(fabric) = fabric.filter(|fabric| !fabric.is_empty()) else { return };
    let Some(links) = said.look(&patient.examined.links, &[code]) else { return };
    let Some(named) = said.look(&patient.examined.own_mtus, &[code]) else { return };
    for name in fabric.iter().filter(|name| !named.contains_key(*name)) {
        let Some(link) = links.get(name).filter(|link| link.mtu != HARDWARE_MTU) else { continue };
        let message = format!(
            "`{name}` of a fabric has MTU {}, and no stanza in `/etc/network/interfaces` names it: ifupdown2 makes it {HARDWARE_MTU} when the fabric changes",
            link.mtu
        );
        let mend = format!("editor /etc/network/interfaces  # `mtu {}` for {name}", link.mtu);
        said.warning(code, message, mend);
    }
}

fn tunnels<'a>(
    network: &'a Network,
    node: &'a NodeName,
) -> impl Iterator<Item = (&'a str, u32, &'a [IpAddr])> {
    let here = network.zones.iter().filter(move |(_, zone)| zone.nodes.contains(node));
    here.filter_map(|(id, zone)| {
        let peers = match &zone.kind {
            ZoneKind::Vxlan(vxlan) => &vxlan.peers,
            ZoneKind::Evpn(_) => &network.evpn_controller()?.1.peers,
            ZoneKind::Simple | ZoneKind::Vlan(_) | ZoneKind::Qinq(_) => return None,
        };
        Some((id.as_str(), zone.mtu.map_or(DEFAULT_MTU, Mtu::get), peers.addresses()))
    })
}

/// What a tunnel adds to a frame's payload: outer IP, UDP, VXLAN, inner Ethernet
/// (RFC 7348 §5).
fn overhead(peer: IpAddr) -> u32 {
    let ip = if peer.is_ipv6() { 40 } else { 20 };
    ip + 8 + 8 + 14
}

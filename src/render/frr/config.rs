//! The configuration of FRR as a value, and its text.
//!
//! The order of sections and the grammar of lines are the reference's
//! (`pve-rendering.md` §2.1). Each word is a value that was parsed; the lines of the node's own
//! `frr.conf.local` alone are texts, one line each.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use ipnet::IpNet;

use super::bgp::Router;
use super::interior::{Isis, Openfabric, Ospf};
use super::policy::{AccessRule, PrefixRule, ProtocolMaps, RouteMapEntry};
use crate::value::{IfName, NodeName, Tag};

/// What stands between the first lines and the last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The VRFs of zones.
    pub vrfs: BTreeMap<IfName, Vrf>,
    /// BGP outside of every VRF.
    pub router: Option<Router>,
    /// BGP of each VRF.
    pub vrf_routers: BTreeMap<IfName, Router>,
    /// IS-IS.
    pub isis: Isis,
    /// The prefix lists, each of one rule.
    pub prefix_lists: BTreeMap<&'static str, PrefixRule>,
    /// The lines of `frr.conf.local` that belong to nothing that is rendered.
    pub custom: Vec<String>,
    /// OpenFabric.
    pub openfabric: Openfabric,
    /// OSPF.
    pub ospf: Ospf,
    /// The access lists, each of one rule.
    pub access_lists: BTreeMap<String, AccessRule>,
    /// The route maps.
    pub route_maps: BTreeMap<&'static str, Vec<RouteMapEntry>>,
    /// The routes outside of every VRF.
    pub routes: Vec<Route>,
    /// The route maps that routes of a protocol pass on their way to the kernel.
    pub protocols: BTreeMap<&'static str, ProtocolMaps>,
}

/// A VRF.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Vrf {
    /// The VXLAN network identifier that its routes are exchanged under.
    pub vni: Tag,
    /// Its own routes.
    pub routes: Vec<Route>,
    /// Lines of `frr.conf.local`.
    pub custom: Vec<String>,
}

/// A route that does not come from a protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Where it leads.
    pub prefix: IpNet,
    /// By what.
    pub via: Via,
}

/// What a route leads by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Nothing: packets are thrown away.
    Null,
    /// The far end of a zone's pair of interfaces, which has the same address in every zone.
    ZonePair(IfName),
}

impl Config {
    /// The text of the whole file.
    pub(super) fn text(&self, node: &NodeName) -> String {
        // Room for all routes at once: they are nearly the whole of a large file.
        let routes = self.vrfs.values().map(|vrf| vrf.routes.len()).sum::<usize>();
        let mut text = String::with_capacity(4096 + 64 * (routes + self.routes.len()));
        write!(
            text,
            "frr version 10.4.1\nfrr defaults datacenter\nhostname {node}\nlog syslog \
             informational\nservice integrated-vtysh-config\n{self}!\nline vty\n!\n"
        )
        .expect("writing to a string does not fail");
        text
    }

    /// BGP by the name of the VRF that `frr.conf.local` calls it by.
    pub(super) fn router_mut(&mut self, vrf: &str) -> Option<&mut Router> {
        match vrf {
            "default" => self.router.as_mut(),
            vrf => self.vrf_routers.get_mut(vrf),
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, vrf) in &self.vrfs {
            write!(f, "!\nvrf {name}\n{vrf}exit-vrf\n")?;
        }
        if let Some(router) = &self.router {
            write!(f, "!\nrouter bgp {}\n{router}exit\n", router.asn)?;
        }
        for (vrf, router) in &self.vrf_routers {
            write!(f, "!\nrouter bgp {} vrf {vrf}\n{router}exit\n", router.asn)?;
        }
        write!(f, "{}", self.isis)?;
        for (name, rule) in &self.prefix_lists {
            let version = version(rule.network);
            writeln!(f, "!\n{version} prefix-list {name} {rule}")?;
        }
        lines(f, &self.custom)?;
        write!(f, "{}{}", self.openfabric, self.ospf)?;
        for (name, AccessRule(network)) in &self.access_lists {
            let family = if network.addr().is_ipv6() { "ipv6 " } else { "" };
            writeln!(f, "!\n{family}access-list {name} permit {network}")?;
        }
        for (name, entries) in &self.route_maps {
            for entry in entries {
                write!(f, "!\nroute-map {name} {entry}exit\n")?;
            }
        }
        for route in &self.routes {
            writeln!(f, "!\n{route}")?;
        }
        for (protocol, maps) in &self.protocols {
            // The line between belongs to IPv6, so that IPv6 alone has two of them.
            f.write_str("!\n")?;
            if let Some(map) = maps.v4 {
                writeln!(f, "ip protocol {protocol} route-map {map}")?;
            }
            if let Some(map) = maps.v6 {
                writeln!(f, "!\nipv6 protocol {protocol} route-map {map}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Vrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " vni {}", self.vni)?;
        for route in &self.routes {
            writeln!(f, " {route}")?;
        }
        lines(f, &self.custom)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} route {} ", version(self.prefix), self.prefix)?;
        match (&self.via, self.prefix) {
            (Via::Null, _) => f.write_str("null0"),
            (Via::ZonePair(interface), IpNet::V4(_)) => write!(f, "10.255.255.2 {interface}"),
            (Via::ZonePair(interface), IpNet::V6(_)) => write!(f, "fe80::2 {interface}"),
        }
    }
}

/// The word that begins a command about prefixes of this kind.
fn version(prefix: IpNet) -> &'static str {
    match prefix {
        IpNet::V4(_) => "ip",
        IpNet::V6(_) => "ipv6",
    }
}

/// Lines of `frr.conf.local`.
pub(super) fn lines(f: &mut fmt::Formatter<'_>, lines: &[String]) -> fmt::Result {
    lines.iter().try_for_each(|line| writeln!(f, "{line}"))
}

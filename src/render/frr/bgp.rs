//! BGP: one router outside of every VRF, and one for each VRF.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::config::lines;
use crate::value::{Asn, IfName, RouteTarget};

/// One BGP process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Router {
    /// Its AS number.
    pub asn: Asn,
    /// Its number among routers.
    pub id: Ipv4Addr,
    /// What it does otherwise than by default.
    pub settings: BTreeSet<Setting>,
    /// The groups of neighbours, in the order in which controllers made them.
    pub groups: Vec<Group>,
    /// Lines of `frr.conf.local`.
    pub custom: Vec<String>,
    /// IPv4 routes.
    pub ipv4: Option<Unicast>,
    /// IPv6 routes.
    pub ipv6: Option<Unicast>,
    /// Routes of VRFs and MAC addresses.
    pub evpn: Option<Evpn>,
}

/// What a BGP process does otherwise than by default, in the order of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    NoHardAdministrativeReset,
    NoDefaultIpv4Unicast,
    CoalesceTime,
    NoGracefulRestartNotification,
    DisableEbgpConnectedRouteCheck,
    MultipathRelax,
}

/// Neighbours that are treated alike.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Which.
    pub name: GroupName,
    /// Their AS number; one of their own where there is none.
    pub remote_as: Option<Asn>,
    /// How many hops away they may be.
    pub ebgp_multihop: Option<u8>,
    /// The interface whose address is the source.
    pub update_source: Option<IfName>,
    /// The neighbours.
    pub neighbors: Vec<IpAddr>,
}

/// The groups that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupName {
    /// The ends of tunnels.
    Vtep,
    /// Routers outside.
    Bgp,
}

/// The exchange of IPv4 or IPv6 routes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unicast {
    /// What is announced.
    pub networks: Vec<IpNet>,
    /// The VRFs whose routes are taken over.
    pub import_vrfs: Vec<IfName>,
    /// Whether routers outside take part.
    pub with_routers: bool,
    /// Whether prefixes of the node's own interfaces are announced.
    pub redistribute_connected: bool,
    /// Lines of `frr.conf.local`.
    pub custom: Vec<String>,
}

/// The exchange of what guests have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Evpn {
    /// Whether the ends of tunnels take part, with every VXLAN network.
    pub with_vteps: bool,
    /// The AS number that route targets are made from, where it is not the router's.
    pub autort: Option<Asn>,
    /// Whether default routes of both families are announced.
    pub default_originate: bool,
    /// Whether prefixes of both families are announced.
    pub advertise_unicast: bool,
    /// The route targets whose routes are taken.
    pub import: Vec<RouteTarget>,
    /// The route targets that routes get.
    pub export: Vec<RouteTarget>,
    /// Lines of `frr.conf.local`.
    pub custom: Vec<String>,
}

impl Router {
    /// A router that knows nobody.
    pub(super) fn new<const N: usize>(asn: Asn, id: Ipv4Addr, settings: [Setting; N]) -> Self {
        Self {
            asn,
            id,
            settings: settings.into(),
            groups: Vec::new(),
            custom: Vec::new(),
            ipv4: None,
            ipv6: None,
            evpn: None,
        }
    }

    /// The lines of an address family, by its words, where there is that family.
    pub(super) fn family_custom(&mut self, name: &str) -> Option<&mut Vec<String>> {
        match name.replace(' ', "_").as_str() {
            "ipv4_unicast" => self.ipv4.as_mut().map(|family| &mut family.custom),
            "ipv6_unicast" => self.ipv6.as_mut().map(|family| &mut family.custom),
            "l2vpn_evpn" => self.evpn.as_mut().map(|family| &mut family.custom),
            _ => None,
        }
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " bgp router-id {}", self.id)?;
        for setting in &self.settings {
            writeln!(f, " {setting}")?;
        }
        for group in &self.groups {
            write!(f, "{group}")?;
        }
        lines(f, &self.custom)?;
        if let Some(family) = &self.ipv4 {
            write!(f, " !\n address-family ipv4 unicast\n{family} exit-address-family\n")?;
        }
        if let Some(family) = &self.ipv6 {
            write!(f, " !\n address-family ipv6 unicast\n{family} exit-address-family\n")?;
        }
        if let Some(family) = &self.evpn {
            write!(f, " !\n address-family l2vpn evpn\n{family} exit-address-family\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHardAdministrativeReset => "no bgp hard-administrative-reset",
            Self::NoDefaultIpv4Unicast => "no bgp default ipv4-unicast",
            Self::CoalesceTime => "coalesce-time 1000",
            Self::NoGracefulRestartNotification => "no bgp graceful-restart notification",
            Self::DisableEbgpConnectedRouteCheck => "bgp disable-ebgp-connected-route-check",
            Self::MultipathRelax => "bgp bestpath as-path multipath-relax",
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        writeln!(f, " neighbor {name} peer-group")?;
        match self.remote_as {
            Some(asn) => writeln!(f, " neighbor {name} remote-as {asn}")?,
            None => writeln!(f, " neighbor {name} remote-as external")?,
        }
        writeln!(f, " neighbor {name} bfd")?;
        if let Some(hops) = self.ebgp_multihop {
            writeln!(f, " neighbor {name} ebgp-multihop {hops}")?;
        }
        if let Some(interface) = &self.update_source {
            writeln!(f, " neighbor {name} update-source {interface}")?;
        }
        for neighbor in &self.neighbors {
            writeln!(f, " neighbor {neighbor} peer-group {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vtep => "VTEP",
            Self::Bgp => "BGP",
        })
    }
}

impl fmt::Display for Unicast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for network in &self.networks {
            writeln!(f, "  network {network}")?;
        }
        for vrf in &self.import_vrfs {
            writeln!(f, "  import vrf {vrf}")?;
        }
        if self.with_routers {
            let name = GroupName::Bgp;
            writeln!(f, "  neighbor {name} activate")?;
            writeln!(f, "  neighbor {name} soft-reconfiguration inbound")?;
        }
        if self.redistribute_connected {
            f.write_str("  redistribute connected\n")?;
        }
        lines(f, &self.custom)
    }
}

impl fmt::Display for Evpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.with_vteps {
            let name = GroupName::Vtep;
            writeln!(f, "  neighbor {name} activate")?;
            writeln!(f, "  neighbor {name} route-map MAP_VTEP_IN in")?;
            writeln!(f, "  neighbor {name} route-map MAP_VTEP_OUT out")?;
            f.write_str("  advertise-all-vni\n")?;
        }
        if let Some(asn) = self.autort {
            writeln!(f, "  autort as {asn}")?;
        }
        if self.default_originate {
            f.write_str("  default-originate ipv4\n  default-originate ipv6\n")?;
        }
        if self.advertise_unicast {
            f.write_str("  advertise ipv4 unicast\n  advertise ipv6 unicast\n")?;
        }
        for target in &self.import {
            writeln!(f, "  route-target import {target}")?;
        }
        for target in &self.export {
            writeln!(f, "  route-target export {target}")?;
        }
        lines(f, &self.custom)
    }
}

//! The kernel's interfaces, rules and routes, from what its programs print.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::devices::{self, Device, LinkInfo, list};
use super::{HostError, program};
use crate::plan::{Family, Kernel, Link, PortVlan, Rule, Table, Tunnel};

/// Flags of ports of bridges: as `bridge -d -j link` names them and as `bridge link set`
/// takes them.
pub(super) const PORT_FLAGS: &[&str] = &[
    "bcast_flood",
    "fastleave",
    "flood",
    "guard",
    "hairpin",
    "isolated",
    "learning",
    "locked",
    "mab",
    "mcast_flood",
    "mcast_to_unicast",
    "neigh_suppress",
    "neigh_vlan_suppress",
    "root_block",
    "vlan_tunnel",
];

/// Reads the kernel, with the rules of these tables and these values.
pub(super) fn read(
    tables: &BTreeSet<Table>,
    sysctls: &BTreeSet<String>,
) -> Result<Kernel, HostError> {
    let ip = |arguments: &[&str]| program::run("ip", arguments);
    let bridge = |arguments: &[&str]| program::run("bridge", arguments);
    let links = links(devices::devices(program::TIME)?);
    let mut links = links.map_err(unreadable("ip -d -j link show"))?;
    let text = ip(&["-j", "addr", "show"])?;
    add_addresses(&mut links, &text).map_err(unreadable("ip -j addr show"))?;
    if links.values().any(|link| link.tunnel.is_some()) {
        let text = bridge(&["-j", "fdb", "show", "state", "permanent"])?;
        add_remotes(&mut links, &text).map_err(unreadable("bridge -j fdb show"))?;
    }
    // A kernel without VLANs on bridges refuses the question.
    if links.values().any(|link| link.vlan_filtering) {
        let text = bridge(&["-j", "-compressvlans", "vlan", "show"])?;
        add_vlans(&mut links, &text).map_err(unreadable("bridge -j vlan show"))?;
    }
    let mut routes = BTreeSet::new();
    for version in ["-4", "-6"] {
        let text = ip(&["-j", version, "route", "show", "table", "main", "proto", "boot"])?;
        routes.extend(self::routes(&text).map_err(unreadable("ip -j route show"))?);
    }
    for (name, link) in &mut links {
        if link.says_what_it_forwards() {
            let families = [(Family::V4, "ipv4"), (Family::V6, "ipv6")].into_iter();
            let on = families.filter(|(_, protocol)| is_on(protocol, name, "forwarding"));
            link.forwards = on.map(|(family, _)| family).collect();
            link.accepts_arp = is_on("ipv4", name, "arp_accept");
        }
    }
    let mut unreachable = BTreeSet::new();
    if links.values().any(|link| link.table.is_some()) {
        let text = ip(&["-N", "-j", "-4", "route", "show", "table", "all", "type", "unreachable"])?;
        unreachable = self::unreachable(&text).map_err(unreadable("ip -j route show"))?;
    }
    let mut rules = BTreeMap::new();
    for &table in tables {
        let program = format!("{}-save", table.family.program());
        let text = program::run(&program, &["-t", table.name.as_str()])?;
        rules.insert(table, self::rules(table, &String::from_utf8_lossy(&text)));
    }
    let nat = super::nft::read(tables.iter().map(|table| table.family).collect())?;
    let value = |name: &String| {
        let value = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
        Some((name.clone(), value.trim().to_owned()))
    };
    let sysctls = sysctls.iter().filter_map(value).collect();
    let tables = BTreeMap::new();
    let stations = BTreeMap::new();
    Ok(Kernel { links, rules, routes, sysctls, tables, unreachable, nat, stations })
}

fn unreadable(program: &'static str) -> impl Fn(serde_json::Error) -> HostError {
    move |error| HostError::Program {
        program: program.to_owned(),
        message: format!("gave an answer that cannot be read: {error}"),
    }
}

/// Whether a setting of an interface is on. In a kernel without the protocol it is not.
fn is_on(protocol: &str, interface: &str, setting: &str) -> bool {
    let path = format!("/proc/sys/net/{protocol}/conf/{interface}/{setting}");
    fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

#[derive(Deserialize)]
struct VlanData {
    protocol: String,
    id: u16,
}

#[derive(Deserialize)]
struct TunnelData {
    id: u32,
    port: u16,
    local: Option<IpAddr>,
    local6: Option<IpAddr>,
    /// The first remote, where it was given when the interface was made.
    remote: Option<IpAddr>,
    remote6: Option<IpAddr>,
}

fn links(devices: Vec<Device>) -> Result<BTreeMap<String, Link>, serde_json::Error> {
    let link = |device: Device| {
        let up = device.has("UP");
        let LinkInfo { kind, data, slave_kind, slave_data } = device.linkinfo;
        let tunnel = if kind.as_deref() == Some("vxlan") {
            let made: TunnelData = serde_json::from_value(data.clone())?;
            let remotes = made.remote.into_iter().chain(made.remote6).collect();
            Some(Tunnel {
                id: made.id,
                port: made.port,
                local: made.local.or(made.local6),
                learning: false,
                remotes,
            })
        } else {
            None
        };
        let vlan = if kind.as_deref() == Some("vlan") {
            let made: VlanData = serde_json::from_value(data.clone())?;
            Some((made.id, made.protocol.to_ascii_lowercase()))
        } else {
            None
        };
        let protocol = data.get("vlan_protocol").and_then(serde_json::Value::as_str);
        let table = data.get("table").filter(|_| kind.as_deref() == Some("vrf"));
        let table = table.and_then(serde_json::Value::as_u64);
        let filtering = data.get("vlan_filtering").and_then(serde_json::Value::as_u64);
        let flags = if slave_kind.as_deref() == Some("bridge") {
            let flag = |name: &str| Some((name.to_owned(), slave_data.get(name)?.as_bool()?));
            PORT_FLAGS.iter().filter_map(|name| flag(name)).collect()
        } else {
            BTreeMap::new()
        };
        let link = Link {
            index: device.ifindex,
            kind,
            master: device.master,
            lower: device.link,
            mac: device.address.map(|address| address.to_ascii_lowercase()),
            vlan,
            mtu: device.mtu,
            up,
            alias: device.ifalias,
            vlan_filtering: filtering.is_some_and(|filtering| filtering != 0),
            vlan_protocol: protocol.map(str::to_ascii_lowercase),
            table: table.and_then(|table| u32::try_from(table).ok()),
            tunnel,
            flags,
            ..Link::default()
        };
        Ok((device.ifname, link))
    };
    devices.into_iter().map(link).collect()
}

/// A device of `ip -j addr`. `iproute2` prints `{}` in place of what a filter leaves out.
#[derive(Deserialize)]
struct Addressed {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Option<IpAddr>,
    #[serde(default)]
    prefixlen: u8,
    #[serde(default)]
    scope: String,
    /// From a router or a DHCP server: it expires.
    #[serde(default)]
    dynamic: bool,
    #[serde(default)]
    temporary: bool,
}

fn add_addresses(links: &mut BTreeMap<String, Link>, text: &[u8]) -> Result<(), serde_json::Error> {
    for device in list::<Addressed>(text)? {
        let Some(link) = links.get_mut(&device.ifname) else { continue };
        let lasting = device
            .addr_info
            .into_iter()
            .filter(|address| address.scope == "global" && !address.dynamic && !address.temporary);
        link.addresses = lasting
            .filter_map(|address| IpNet::new(address.local?, address.prefixlen).ok())
            .collect();
    }
    Ok(())
}

/// An entry of `bridge -j fdb`.
#[derive(Deserialize)]
struct Forwarding {
    mac: String,
    ifname: String,
    dst: Option<IpAddr>,
}

fn add_remotes(links: &mut BTreeMap<String, Link>, text: &[u8]) -> Result<(), serde_json::Error> {
    for entry in list::<Forwarding>(text)? {
        let link = links.get_mut(&entry.ifname);
        let tunnel = link.and_then(|link| link.tunnel.as_mut());
        if let (Some(tunnel), Some(remote), "00:00:00:00:00:00") =
            (tunnel, entry.dst, entry.mac.as_str())
        {
            tunnel.remotes.insert(remote);
        }
    }
    Ok(())
}

/// A port of `bridge -j vlan`.
#[derive(Deserialize)]
struct PortVlans {
    ifname: String,
    #[serde(default)]
    vlans: Vec<Vlan>,
}

#[derive(Deserialize)]
struct Vlan {
    #[serde(rename = "vlan")]
    first: u16,
    #[serde(rename = "vlanEnd")]
    end: Option<u16>,
    #[serde(default)]
    flags: Vec<String>,
}

fn add_vlans(links: &mut BTreeMap<String, Link>, text: &[u8]) -> Result<(), serde_json::Error> {
    for port in list::<PortVlans>(text)? {
        let Some(link) = links.get_mut(&port.ifname) else { continue };
        link.vlans.extend(port.vlans.iter().map(|vlan| PortVlan {
            first: vlan.first,
            last: vlan.end.unwrap_or(vlan.first),
            pvid: vlan.flags.iter().any(|flag| flag == "PVID"),
            untagged: vlan.flags.iter().any(|flag| flag == "Egress Untagged"),
        }));
    }
    Ok(())
}

/// A route of `ip -j route`.
#[derive(Deserialize)]
struct FoundRoute {
    #[serde(default)]
    dst: String,
    dev: Option<String>,
    gateway: Option<IpAddr>,
}

/// Routes straight to an interface.
fn routes(text: &[u8]) -> Result<Vec<(IpNet, String)>, serde_json::Error> {
    let routes: Vec<FoundRoute> = list(text)?;
    let straight = routes.into_iter().filter(|route| route.gateway.is_none());
    let routes = straight.filter_map(|route| {
        let host = || route.dst.parse::<IpAddr>().map(IpNet::from);
        Some((route.dst.parse().or_else(|_| host()).ok()?, route.dev?))
    });
    Ok(routes.collect())
}

/// A route of `ip -N -j route show table all type unreachable`.
#[derive(Deserialize)]
struct Unreachable {
    #[serde(default)]
    dst: String,
    #[serde(default)]
    table: String,
}

/// Tables whose default route leads nowhere.
fn unreachable(text: &[u8]) -> Result<BTreeSet<u32>, serde_json::Error> {
    let routes: Vec<Unreachable> = list(text)?;
    let default = routes.iter().filter(|route| route.dst == "default");
    Ok(default.filter_map(|route| route.table.parse().ok()).collect())
}

fn rules(table: Table, text: &str) -> Vec<Rule> {
    text.lines().filter_map(|line| Rule::of_saved(table, line)).collect()
}

#[cfg(test)]
mod tests;

//! What `/etc/network/interfaces` says about addresses (`interfaces(5)`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::facts::{InterfaceAddress, Route};
use crate::value::IfName;

/// The addresses of the `static` stanzas of both families, in the order of the file,
/// without their prefix lengths. What is no address or no interface name is left out.
/// Files that this one sources are not read.
pub fn interface_addresses(text: &str) -> Vec<InterfaceAddress> {
    addresses(stanzas(text))
}

/// The MTU of each interface whose stanzas name one.
pub fn interface_mtus(text: &str) -> BTreeMap<IfName, u32> {
    let mtu = |(name, definition): (IfName, Definition)| {
        Some((name, definition.value("mtu")?.parse().ok()?))
    };
    definitions(text).into_iter().filter_map(mtu).collect()
}

/// Those of `inet` stanzas only, in whatever family they are written: the reference finds
/// its peers among no others (`pve-rendering.md` §1.7).
pub(super) fn inet_addresses(text: &str) -> Vec<InterfaceAddress> {
    let stanzas = stanzas(text).into_iter();
    addresses(stanzas.filter(|stanza| stanza.is_inet).collect())
}

fn addresses(stanzas: Vec<Stanza>) -> Vec<InterfaceAddress> {
    let of = |stanza: Stanza| {
        let interface = stanza.interface;
        stanza
            .addresses
            .into_iter()
            .map(move |(address, _)| InterfaceAddress { interface: interface.clone(), address })
    };
    stanzas.into_iter().flat_map(of).collect()
}

/// The routes that the kernel would have with these stanzas up and nothing else: its
/// own addresses by `lo`, then the connected prefixes, then the gateways.
pub(super) fn routes(text: &str) -> Vec<Route> {
    let loopback: IfName = "lo".parse().expect("`lo` is an interface name");
    let (mut own, mut connected, mut gateways) = (Vec::new(), Vec::new(), Vec::new());
    for stanza in stanzas(text) {
        let device = stanza.device();
        for &(source, length) in &stanza.addresses {
            let host = IpNet::from(source);
            let interface = loopback.clone();
            own.push(Route { destination: host, interface, gateway: None, source, metric: 0 });
            let length = length.or(stanza.netmask).unwrap_or(host.prefix_len());
            let Ok(net) = IpNet::new(source, length) else { continue };
            if net.prefix_len() < net.max_prefix_len() {
                let destination = net.trunc();
                let interface = device.clone();
                connected.push(Route { destination, interface, gateway: None, source, metric: 0 });
            }
        }
        for gateway in &stanza.gateways {
            let same = |address: &IpAddr| address.is_ipv4() == gateway.is_ipv4();
            let source = stanza.addresses.iter().map(|(address, _)| *address).find(same);
            gateways.extend(source.map(|source| Route {
                destination: everything(source),
                interface: device.clone(),
                gateway: Some(*gateway),
                source,
                metric: stanza.metric,
            }));
        }
    }
    own.into_iter().chain(connected).chain(gateways).collect()
}

/// All that is said of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Definition {
    options: BTreeMap<String, String>,
}

impl Definition {
    /// The value that is given first to an option, written with `-`.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }
}

/// Every interface that has a stanza, of whatever kind. Of one that has several the first
/// value of an option counts.
pub(super) fn definitions(text: &str) -> BTreeMap<IfName, Definition> {
    let mut found: BTreeMap<IfName, Definition> = BTreeMap::new();
    let mut open: Option<IfName> = None;
    for line in logical_lines(text) {
        let line = line.trim();
        let (option, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if option == "iface" {
            let name = value.split_whitespace().next().and_then(|name| name.parse().ok());
            // A label is no interface of its own.
            open = name.filter(|name: &IfName| !name.as_str().contains(':'));
            if let Some(name) = &open {
                found.entry(name.clone()).or_default();
            }
        } else if begins_stanza(option) {
            open = None;
        } else if let Some(definition) = open.as_ref().and_then(|name| found.get_mut(name)) {
            let option = option.replace('_', "-");
            definition.options.entry(option).or_insert_with(|| value.trim().to_owned());
        }
    }
    found
}

/// An `iface NAME inet|inet6 static` and the lines below it.
struct Stanza {
    interface: IfName,
    /// Whether it says `inet`.
    is_inet: bool,
    /// Each with the length behind its `/`.
    addresses: Vec<(IpAddr, Option<u8>)>,
    netmask: Option<u8>,
    gateways: Vec<IpAddr>,
    metric: u32,
}

impl Stanza {
    fn new(interface: IfName, is_inet: bool) -> Self {
        let (addresses, gateways) = (Vec::new(), Vec::new());
        Self { interface, is_inet, addresses, netmask: None, gateways, metric: 0 }
    }

    /// The kernel's name of the interface: `eth0:1` is a label of `eth0`.
    fn device(&self) -> IfName {
        let name = self.interface.as_str().split(':').next();
        name.and_then(|name| name.parse().ok()).unwrap_or_else(|| self.interface.clone())
    }

    fn option(&mut self, name: &str, value: &str) {
        match name {
            "address" => self.addresses.extend(address(value)),
            "netmask" => self.netmask = netmask(value).or(self.netmask),
            "gateway" => self.gateways.extend(value.parse::<IpAddr>()),
            "metric" => self.metric = value.parse().unwrap_or(self.metric),
            _ => {}
        }
    }
}

fn stanzas(text: &str) -> Vec<Stanza> {
    let mut found = Vec::new();
    let mut open: Option<Stanza> = None;
    for line in logical_lines(text) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["iface", name, family @ ("inet" | "inet6"), "static"] => {
                found.extend(open.take());
                let stanza = |name| Stanza::new(name, *family == "inet");
                open = name.parse().ok().map(stanza);
            }
            [first, ..] if begins_stanza(first) => found.extend(open.take()),
            [name, value, ..] => {
                if let Some(stanza) = &mut open {
                    stanza.option(name, value);
                }
            }
            _ => {}
        }
    }
    found.extend(open);
    found
}

fn begins_stanza(word: &str) -> bool {
    let known = ["iface", "mapping", "auto", "source", "rename", "template", "no-scripts"];
    known.contains(&word)
        || word == "no-auto-down"
        || word.starts_with("allow-")
        || word.starts_with("source-dir")
}

/// The lines without comments; one that ends in a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        if !goes_on && line.trim_start().starts_with('#') {
            continue;
        }
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some(last) if goes_on => last.push_str(part),
            _ => lines.push(part.to_owned()),
        }
        goes_on = more;
    }
    lines
}

fn address(text: &str) -> Option<(IpAddr, Option<u8>)> {
    match text.split_once('/') {
        Some((address, mask)) => Some((address.parse().ok()?, netmask(mask))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// A prefix length, written as such or as a mask.
fn netmask(text: &str) -> Option<u8> {
    match text.parse::<IpAddr>() {
        Ok(mask) => ipnet::ip_mask_to_prefix(mask).ok(),
        Err(_) => text.parse().ok(),
    }
}

/// The destination of a default route of the family of an address.
fn everything(family: IpAddr) -> IpNet {
    match family {
        IpAddr::V4(_) => IpNet::V4(Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::{inet_addresses, interface_addresses, routes};

    const SAMPLE: &str = "\
# The loopback.
auto lo
iface lo inet loopback

iface eno1 inet manual
\taddress 203.0.113.9/24

auto vmbr0
iface vmbr0 inet static
        address 192.168.0.2/24
        gateway 192.168.0.1
        bridge-ports eno1
        post-up ip addr add \\
                address 10.9.9.9
#       address 192.0.2.77/24

iface vmbr0 inet6 static
        address 2001:db8::2/64
        gateway 2001:db8::1

allow-hotplug eth1
iface eth1 inet static
        address 10.0.0.5
        netmask 255.255.254.0
        address fd00::5/64
        metric 50

iface eth1:1 inet static
        address 10.1.0.5/16
iface dummy0 inet static
        address 10.255.0.1/32
iface eth2 inet static
        address example.org
        address 300.1.1.1/24
source /etc/network/interfaces.d/*
        address 10.66.66.66/24
";

    #[test]
    fn addresses_stand_in_the_order_of_the_file() {
        let found: Vec<String> = interface_addresses(SAMPLE)
            .iter()
            .map(|entry| format!("{} {}", entry.interface, entry.address))
            .collect();
        let wanted = [
            "vmbr0 192.168.0.2",
            "vmbr0 2001:db8::2",
            "eth1 10.0.0.5",
            "eth1 fd00::5",
            "eth1:1 10.1.0.5",
            "dummy0 10.255.0.1",
        ];
        assert_eq!(found, wanted);
        let inet: Vec<String> =
            inet_addresses(SAMPLE).iter().map(|entry| entry.address.to_string()).collect();
        assert_eq!(inet, ["192.168.0.2", "10.0.0.5", "fd00::5", "10.1.0.5", "10.255.0.1"]);
        assert!(interface_addresses("").is_empty());
        assert!(interface_addresses("iface").is_empty());
    }

    #[test]
    fn a_dry_node_has_the_routes_of_its_file() {
        let found: Vec<String> = routes(SAMPLE)
            .iter()
            .map(|r| format!("{} {} {} {}", r.destination, r.interface, r.source, r.metric))
            .collect();
        let wanted = [
            "192.168.0.2/32 lo 192.168.0.2 0",
            "2001:db8::2/128 lo 2001:db8::2 0",
            "10.0.0.5/32 lo 10.0.0.5 0",
            "fd00::5/128 lo fd00::5 0",
            "10.1.0.5/32 lo 10.1.0.5 0",
            "10.255.0.1/32 lo 10.255.0.1 0",
            "192.168.0.0/24 vmbr0 192.168.0.2 0",
            "2001:db8::/64 vmbr0 2001:db8::2 0",
            "10.0.0.0/23 eth1 10.0.0.5 0",
            "fd00::/64 eth1 fd00::5 0",
            "10.1.0.0/16 eth1 10.1.0.5 0",
            "0.0.0.0/0 vmbr0 192.168.0.2 0",
            "::/0 vmbr0 2001:db8::2 0",
        ];
        assert_eq!(found, wanted);
        let routers = routes(SAMPLE).into_iter().filter_map(|route| route.gateway);
        let routers: Vec<String> = routers.map(|router| router.to_string()).collect();
        assert_eq!(routers, ["192.168.0.1", "2001:db8::1"]);
    }
}

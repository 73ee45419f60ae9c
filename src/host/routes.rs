//! The kernel's routes, as facts have them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::devices::{Address, Device};
use super::links::Made;
use super::main_table::TableRoute;
use crate::facts::Route;
use crate::value::IfName;

/// The routes of the main tables of IPv4 and IPv6, and before them one by `lo` for each
/// own address, which the kernel keeps in a table that goes first.
///
/// A route without `prefsrc` has the source that the kernel would choose: an address
/// of its device that shares a prefix with the gateway, else the device's first, else
/// the machine's first. Routes that no packet can take, those to link-local
/// destinations, and names that are no interface's are left out.
///
/// What weft made is not there: its interfaces, the addresses that it gives to others, and
/// all routes by both; nor is what a routing daemon learnt.
pub(super) fn from_kernel(
    found: &[TableRoute],
    mut devices: Vec<Device>,
    made: &Made,
) -> Vec<Route> {
    devices.retain(|device| !made.has(&device.name));
    for device in &mut devices {
        let Device { name, addresses, .. } = device;
        addresses.retain(|address| !made.gives(name, address.net.addr()));
    }
    let mut routes = own_addresses(&devices);
    let lasting = found.iter().filter(|route| !is_passing(route, made));
    let routes_now = lasting.filter_map(|route| resolve(route, &devices));
    let is_made = |route: &Route| made.connects(route.interface.as_str(), route.destination);
    routes.extend(routes_now.filter(|route| !is_made(route)));
    routes
}

/// Addresses that are of the link alone, and of the world (`rt_scope_t`).
const OF_LINK: u8 = 253;
const OF_WORLD: u8 = 0;

impl Address {
    /// The address, where it is one that packets may be sent from at all.
    fn usable(&self) -> Option<IpAddr> {
        let unfit = self.is_temporary || self.is_tentative || self.has_failed;
        (!unfit && self.scope != OF_LINK).then(|| self.net.addr())
    }

    /// The address, where a packet to elsewhere may carry it.
    fn global(&self) -> Option<IpAddr> {
        self.usable().filter(|_| self.scope == OF_WORLD && !self.is_deprecated)
    }

    fn shares_prefix(&self, gateway: Option<IpAddr>) -> bool {
        gateway.is_some_and(|gateway| self.net.contains(&gateway))
    }
}

/// Whether weft or a routing daemon made a route, so that it comes and goes.
fn is_passing(route: &TableRoute, made: &Made) -> bool {
    let is_made = |device: &Option<String>| device.as_ref().is_some_and(|d| made.has(d));
    route.is_of_daemon() || route.hops.iter().any(|hop| is_made(&hop.device))
}

fn own_addresses(devices: &[Device]) -> Vec<Route> {
    let loopback: IfName = "lo".parse().expect("`lo` is an interface name");
    let addresses = devices.iter().flat_map(|device| &device.addresses);
    addresses
        .filter_map(Address::usable)
        .map(|source| Route {
            destination: IpNet::from(source),
            interface: loopback.clone(),
            gateway: None,
            source,
            metric: 0,
        })
        .collect()
}

fn resolve(route: &TableRoute, devices: &[Device]) -> Option<Route> {
    let hop = route.hops.iter().find(|hop| !hop.is_dead).filter(|_| route.is_unicast())?;
    let device = hop.device.as_ref()?;
    let destination = route.destination;
    if matches!(destination, IpNet::V6(net) if net.addr().is_unicast_link_local()) {
        return None;
    }
    let source = route.source.or_else(|| source(devices, device, destination, hop.gateway))?;
    let (interface, gateway) = (device.parse().ok()?, hop.gateway.or(hop.via));
    Some(Route { destination, interface, gateway, source, metric: route.metric })
}

fn source(
    devices: &[Device],
    device: &str,
    destination: IpNet,
    gateway: Option<IpAddr>,
) -> Option<IpAddr> {
    let same = |address: &IpAddr| address.is_ipv4() == destination.addr().is_ipv4();
    let on_device = || {
        let here = devices.iter().filter(|found| found.name == device);
        here.flat_map(|found| &found.addresses)
    };
    let near = on_device().filter(|address| address.shares_prefix(gateway));
    let anywhere = devices.iter().flat_map(|device| &device.addresses);
    near.chain(on_device()).chain(anywhere).filter_map(Address::global).find(same)
}

#[cfg(test)]
mod tests {
    use super::super::devices::sample;
    use super::super::main_table::sample::routes;
    use super::{Made, from_kernel};

    const DEVICES: &str = r#"[
        {"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP"],"mtu":65536,"addr_info":[
            {"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo"},
            {"family":"inet","local":"10.255.0.1","prefixlen":32,"scope":"global","label":"lo"}]},
        {"ifindex":2,"ifname":"eth0","flags":["UP"],"mtu":1400,"addr_info":[
            {"family":"inet","local":"192.0.2.2","prefixlen":24,"scope":"global","label":"eth0"},
            {"family":"inet","local":"10.0.0.2","prefixlen":24,"scope":"global","label":"eth0"},
            {"family":"inet6","local":"fd00::7","prefixlen":64,"scope":"global","temporary":true},
            {"family":"inet6","local":"fd00::2","prefixlen":64,"scope":"global","nodad":true},
            {"family":"inet6","local":"fe80::fc","prefixlen":64,"scope":"link"}]},
        {"ifindex":3,"ifname":"eth1","flags":["UP"],"addr_info":[]},
        {}
    ]"#;

    const FOUR: &str = r#"[
        {"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
        {"dst":"192.0.2.0/24","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":"192.0.2.2","flags":[]},
        {"dst":"198.51.100.7","dev":"eth0","metric":20,"flags":["onlink"]},
        {"dst":"10.255.0.2","via":{"family":"inet6","host":"fe80::1"},"dev":"eth1","flags":[]},
        {"type":"unreachable","dst":"10.0.0.0/8","metric":4278198272,"flags":[]},
        {"dst":"172.16.0.0/12","flags":[],"nexthops":[
            {"gateway":"192.0.2.8","dev":"eth9","weight":1,"flags":["dead","linkdown"]},
            {"gateway":"10.0.0.9","dev":"eth0","weight":1,"flags":[]}]},
        {"dst":"10.7.0.0/16","dev":"eth0","flags":["dead"]}
    ]"#;

    const SIX: &str = r#"[
        {"dst":"fd00::/64","dev":"eth0","protocol":"kernel","metric":256,"flags":[],"pref":"medium"},
        {"dst":"fe80::/64","dev":"eth0","protocol":"kernel","metric":256,"flags":[],"pref":"medium"},
        {"dst":"default","gateway":"fe80::1","dev":"eth0","metric":1024,"flags":[],"pref":"medium"}
    ]"#;

    fn texts(four: &str, six: &str, devices: &str) -> Vec<String> {
        let all = [routes(four, "0.0.0.0/0"), routes(six, "::/0")].concat();
        from_kernel(&all, sample::devices(devices), &Made::default())
            .iter()
            .map(|r| format!("{} {} {} {}", r.destination, r.interface, r.source, r.metric))
            .collect()
    }

    #[test]
    fn sources_are_those_that_the_kernel_chooses() {
        let wanted = [
            "127.0.0.1/32 lo 127.0.0.1 0",
            "10.255.0.1/32 lo 10.255.0.1 0",
            "192.0.2.2/32 lo 192.0.2.2 0",
            "10.0.0.2/32 lo 10.0.0.2 0",
            "fd00::2/128 lo fd00::2 0",
            "0.0.0.0/0 eth0 10.0.0.2 0",
            "192.0.2.0/24 eth0 192.0.2.2 0",
            "198.51.100.7/32 eth0 192.0.2.2 20",
            "10.255.0.2/32 eth1 10.255.0.1 0",
            "172.16.0.0/12 eth0 10.0.0.2 0",
            "fd00::/64 eth0 fd00::2 256",
            "::/0 eth0 fd00::2 1024",
        ];
        assert_eq!(texts(FOUR, SIX, DEVICES), wanted);
    }

    #[test]
    fn routers_are_those_of_the_way_that_is_taken() {
        let all = [routes(FOUR, "0.0.0.0/0"), routes(SIX, "::/0")].concat();
        let found = from_kernel(&all, sample::devices(DEVICES), &Made::default());
        let routers: Vec<String> =
            found.iter().filter_map(|route| Some(route.gateway?.to_string())).collect();
        assert_eq!(routers, ["10.0.0.1", "fe80::1", "10.0.0.9", "fe80::1"]);
    }

    #[test]
    fn what_weft_and_routing_daemons_make_is_left_out() {
        let sdn = "auto va\niface va\n\taddress 10.8.0.1/24\n\tbridge_ports none\n\
            auto eth1\niface eth1 inet static\n\taddress 10.9.0.0/31\n\tip-forward 1\n";
        let made = Made::of(sdn, &["eth1".to_owned()].into(), &[]);
        let devices = r#"[{"ifname":"va","addr_info":[{"local":"10.8.0.1","prefixlen":24,"scope":"global"}]},
            {"ifname":"eth1","addr_info":[{"local":"10.9.0.0","prefixlen":31,"scope":"global"},
                {"local":"192.0.2.2","prefixlen":24,"scope":"global"}]}]"#;
        let four = r#"[{"dst":"10.8.0.0/24","dev":"va","protocol":"kernel","prefsrc":"10.8.0.1"},
            {"dst":"10.9.0.0/31","dev":"eth1","protocol":"kernel","prefsrc":"10.9.0.0"},
            {"dst":"192.0.2.0/24","dev":"eth1","protocol":"kernel","prefsrc":"192.0.2.2"},
            {"dst":"203.0.113.0/24","gateway":"192.0.2.9","dev":"eth1","protocol":"bgp","metric":20},
            {"dst":"172.20.0.2","gateway":"10.9.0.1","dev":"eth1","protocol":"197","metric":20}]"#;
        let found = from_kernel(&routes(four, "0.0.0.0/0"), sample::devices(devices), &made);
        let found: Vec<String> = found.iter().map(|r| r.destination.to_string()).collect();
        assert_eq!(found, ["192.0.2.2/32", "192.0.2.0/24"]);
    }
}

//! The routes of the main tables, as the kernel lists them (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::libc;

use super::devices::Device;
use super::netlink::{Attributes, Malformed, Request, Socket, bytes, number, route_header};
use super::{HostError, devices};

/// A way that cannot be taken now (`RTNH_F_DEAD`), and one that the kernel only remembers
/// (`RTM_F_CLONED`).
const DEAD: u32 = 1;
const CLONED: u32 = 0x200;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableRoute {
    pub(super) destination: IpNet,
    /// What becomes of packets: 1 where they go on (`RTN_UNICAST`).
    pub(super) kind: u8,
    /// Who made it (`rtm_protocol`).
    pub(super) protocol: u8,
    pub(super) metric: u32,
    /// The address that packets are sent from, where it says one.
    pub(super) source: Option<IpAddr>,
    pub(super) hops: Vec<Hop>,
}

/// One way of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hop {
    /// The interface.
    pub(super) device: Option<String>,
    /// The next hop, of the destination's version of IP.
    pub(super) gateway: Option<IpAddr>,
    /// The next hop of the other version of IP (RFC 8950).
    pub(super) via: Option<IpAddr>,
    pub(super) is_dead: bool,
}

impl TableRoute {
    /// Whether a routing daemon wrote it: FRR's and BIRD's, as `zebra/rt_netlink.h` of FRR and
    /// `linux/rtnetlink.h` number them.
    pub(super) fn is_of_daemon(&self) -> bool {
        const ZEBRA: u8 = 11;
        const BIRD: u8 = 12;
        const BABEL: u8 = 42;
        matches!(self.protocol, ZEBRA | BIRD | BABEL | 186..=198)
    }

    pub(super) fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0
    }

    /// Whether packets go on by it.
    pub(super) fn is_unicast(&self) -> bool {
        self.kind == libc::RTN_UNICAST
    }
}

/// The routes of the main tables of IPv4 and IPv6, by interfaces among `devices`. Of those that
/// routing daemons wrote only the default ones: nobody asks for the others, and there may be a
/// million.
pub(super) fn routes(devices: &[Device]) -> Result<Vec<TableRoute>, HostError> {
    let mut socket = Socket::open()?;
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let header = route_header(family, 0, libc::RT_TABLE_MAIN, 0, 0, 0);
        let request = Request::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &header);
        let found = socket.list("routes", &request, |message| {
            // A kernel that does not filter gives all, and one without IPv6 those of IPv4.
            let is_asked = message.body.first().is_some_and(|of| i32::from(*of) == family);
            let found = if is_asked { route(message.body, devices)? } else { None };
            Ok(found.filter(|route| route.is_default() || !route.is_of_daemon()))
        });
        match found {
            Ok(found) => all.extend(found),
            // The table was never used.
            Err(HostError::Kernel { source, .. })
                if source.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn route(body: &[u8], devices: &[Device]) -> Result<Option<TableRoute>, Malformed> {
    let [family, length] = bytes(body, 0)?;
    let [table, protocol, _, kind] = bytes(body, 4)?;
    let (mut table, flags) = (u32::from(table), number(body, 8)?);
    let mut destination: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    let (mut metric, mut source, mut hops) = (0, None, Vec::new());
    let mut only = Hop { is_dead: flags & DEAD != 0, ..Hop::default() };
    for attribute in Attributes::at(body, 12)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::RTA_TABLE => table = attribute.u32()?,
            libc::RTA_DST => destination = attribute.address()?,
            libc::RTA_PRIORITY => metric = attribute.u32()?,
            libc::RTA_PREFSRC => source = Some(attribute.address()?),
            libc::RTA_OIF => only.device = devices::name_of(devices, attribute.u32()?),
            libc::RTA_GATEWAY => only.gateway = Some(attribute.address()?),
            libc::RTA_VIA => only.via = via(attribute.value)?,
            libc::RTA_MULTIPATH => hops = several(attribute.value, devices)?,
            _ => {}
        }
    }
    if hops.is_empty() {
        hops.push(only);
    }
    if table != u32::from(libc::RT_TABLE_MAIN) || flags & CLONED != 0 {
        return Ok(None);
    }
    let destination = IpNet::new(destination, length).map_err(|_| Malformed)?;
    Ok(Some(TableRoute { destination, kind, protocol, metric, source, hops }))
}

/// The ways of a route that has several (`struct rtnexthop`, each with attributes).
fn several(mut rest: &[u8], devices: &[Device]) -> Result<Vec<Hop>, Malformed> {
    let mut hops = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_ne_bytes(bytes(rest, 0)?));
        let [flags] = bytes(rest, 2)?;
        let one = rest.get(..length).ok_or(Malformed)?;
        let mut hop = Hop {
            device: devices::name_of(devices, number(one, 4)?),
            is_dead: u32::from(flags) & DEAD != 0,
            ..Hop::default()
        };
        for attribute in Attributes::at(one, 8)? {
            let attribute = attribute?;
            match attribute.kind {
                libc::RTA_GATEWAY => hop.gateway = Some(attribute.address()?),
                libc::RTA_VIA => hop.via = via(attribute.value)?,
                _ => {}
            }
        }
        hops.push(hop);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

/// An address behind the number of its family (`struct rtvia`).
fn via(value: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    Ok(match i32::from(u16::from_ne_bytes(bytes(value, 0)?)) {
        libc::AF_INET => Some(bytes::<4>(value, 2)?.into()),
        libc::AF_INET6 => Some(bytes::<16>(value, 2)?.into()),
        _ => None,
    })
}

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests {
    use super::super::netlink::written as attribute;
    use super::{Device, Malformed, libc, route};

    fn devices() -> Vec<Device> {
        let named = |index: u32| Device { index, name: format!("eth{index}"), ..Device::default() };
        [named(1), named(2)].into()
    }

    fn hop(index: u32, flags: u8, attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + attributes.len()).expect("short");
        [&length.to_ne_bytes()[..], &[flags, 0], &index.to_ne_bytes(), attributes].concat()
    }

    #[test]
    fn a_route_has_one_way_or_several() {
        let head = [2, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let to = attribute(libc::RTA_DST, &[10, 1, 2, 0]);
        let by = attribute(libc::RTA_OIF, &2_u32.to_ne_bytes());
        let gateway = attribute(libc::RTA_GATEWAY, &[192, 0, 2, 1]);
        let one = [&head[..], &to, &by, &gateway].concat();
        let found = route(&one, &devices()).expect("read").expect("of the main table");
        assert_eq!(found.destination.to_string(), "10.1.2.0/24");
        assert_eq!((found.hops.len(), found.hops[0].device.as_deref()), (1, Some("eth2")));
        let six = [&10_u16.to_ne_bytes()[..], &[0xfe; 16]].concat();
        let hops = [hop(1, 1, &gateway), hop(9, 0, &attribute(libc::RTA_VIA, &six))].concat();
        let several = [&head[..], &to, &attribute(libc::RTA_MULTIPATH, &hops)].concat();
        let found = route(&several, &devices()).expect("read").expect("of the main table");
        assert!(found.hops[0].is_dead && found.hops[0].gateway.is_some());
        assert!(found.hops[1].via.is_some() && found.hops[1].device.is_none());
        for length in 1..several.len() {
            // Cut anywhere it is malformed or another route, and never a panic.
            drop(route(&several[..length], &devices()));
        }
        let beyond = attribute(libc::RTA_MULTIPATH, &200_u16.to_ne_bytes());
        let beyond = [&head[..], &to, &beyond].concat();
        assert_eq!(route(&beyond, &devices()), Err(Malformed));
    }

    #[test]
    fn other_tables_and_what_is_only_remembered_are_none() {
        let route_of = |table: u8, flags: u32| {
            let head = [&[2, 0, 0, 0, table, 3, 0, 1][..], &flags.to_ne_bytes()].concat();
            route(&head, &[]).expect("read")
        };
        assert!(route_of(254, 0).is_some());
        assert_eq!((route_of(255, 0), route_of(254, super::CLONED)), (None, None));
        let table = attribute(libc::RTA_TABLE, &1001_u32.to_ne_bytes());
        let of_a_vrf = [&[2, 0, 0, 0, 252, 3, 0, 1, 0, 0, 0, 0][..], &table].concat();
        assert_eq!(route(&of_a_vrf, &[]), Ok(None));
    }

    /// In a network of its own, made by iproute2, against what iproute2 prints of it.
    #[test]
    fn the_kernel_says_what_iproute2_prints() {
        use nix::sched::{CloneFlags, unshare};

        use super::super::{devices, program};

        const MADE: &[&str] = &[
            "link set lo up",
            "link add v1 mtu 1400 address 02:00:00:00:00:01 type veth peer name v2",
            "link add b1 type bridge",
            "link set v2 master b1 up",
            "link property add dev v1 altname another-name-that-is-long",
            "link set v1 up",
            "link set b1 up",
            "addr add 192.0.2.2/24 dev v1",
            "addr add 198.51.100.1 peer 198.51.100.2 dev v1",
            "addr add fd00::2/64 dev v1 nodad",
            "route add default via 192.0.2.1",
            "route add 203.0.113.0/24 via 192.0.2.1 metric 20 src 192.0.2.2",
            "route add 10.0.0.0/8 nexthop via 192.0.2.8 nexthop via 192.0.2.9 weight 2",
            "route add 10.9.0.0/16 via inet6 fd00::9 dev v1",
            "route add unreachable 172.16.0.0/12",
            "-6 route add default via fd00::1",
            "-6 route add fd01::/64 via fd00::1 metric 5",
            // What FRR wrote is not asked for.
            "route add 10.1.0.0/16 via 192.0.2.1 proto 186",
        ];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
                    println!("skipped: no network namespace can be made: {error}");
                    return;
                }
                let ip = |line: &str| {
                    let words: Vec<&str> = line.split(' ').collect();
                    let answer = program::run("ip", &words).expect(line);
                    String::from_utf8(answer).expect("text")
                };
                for line in MADE {
                    ip(line);
                }
                let found = devices::devices(true).expect("interfaces");
                let bare = |device: &Device| Device { index: 0, ..device.clone() };
                let printed = devices::sample::devices(&ip("-d -j addr show"));
                assert_eq!(found.iter().map(bare).collect::<Vec<_>>(), printed);
                let printed = [
                    super::sample::routes(&ip("-j route show table main"), "0.0.0.0/0"),
                    super::sample::routes(&ip("-j -6 route show table main"), "::/0"),
                ];
                let mut printed = printed.concat();
                let all = printed.len();
                printed.retain(|route| !route.is_of_daemon());
                assert_eq!(printed.len() + 1, all);
                assert_eq!(super::routes(&found).expect("routes"), printed);
            });
        });
    }
}

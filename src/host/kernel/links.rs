//! Interfaces, from the messages that the kernel gives of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use nix::libc;

use super::super::HostError;
use super::super::netlink::name::{self, PORT_FLAGS};
use super::super::netlink::{Attributes, Malformed, Request, Socket, link_header, number};
use crate::plan::{Family, Link, Tunnel};

/// `IFF_UP`: somebody set it up.
const UP: u32 = 1;

/// Interfaces by the kernel's numbers while more is read of them.
#[derive(Debug, Default)]
pub(super) struct Links {
    found: Vec<(String, Link)>,
    places: HashMap<u32, usize>,
}

impl Links {
    /// Every interface of the kernel.
    pub(super) fn read(socket: &mut Socket) -> Result<Self, HostError> {
        let header = link_header(libc::AF_UNSPEC, 0, false);
        let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &header)
            .with(libc::IFLA_EXT_MASK, &libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        Ok(Self::of(socket.list("interfaces", &request, |message| {
            (message.kind == libc::RTM_NEWLINK).then(|| found(message.body)).transpose()
        })?))
    }

    fn of(found: Vec<Found>) -> Self {
        let places = found.iter().enumerate().map(|(place, one)| (one.link.index, place));
        let places: HashMap<u32, usize> = places.collect();
        let name = |index: u32| Some(found.get(*places.get(&index)?)?.name.clone());
        let others: Vec<_> = found.iter().map(|one| (name(one.master), name(one.lower))).collect();
        let whole = found
            .into_iter()
            .zip(others)
            .map(|(one, (master, lower))| (one.name, Link { master, lower, ..one.link }));
        Self { found: whole.collect(), places }
    }

    /// The interface with a number.
    pub(super) fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.found.get_mut(*self.places.get(&index)?).map(|(_, link)| link)
    }

    /// The name of the interface with a number.
    pub(super) fn name(&self, index: u32) -> Option<&str> {
        self.found.get(*self.places.get(&index)?).map(|(name, _)| name.as_str())
    }

    /// Whether one of them is such.
    pub(super) fn any(&self, is: impl Fn(&Link) -> bool) -> bool {
        self.found.iter().any(|(_, link)| is(link))
    }

    /// All of them by their names.
    pub(super) fn by_name(self) -> BTreeMap<String, Link> {
        self.found.into_iter().collect()
    }
}

/// An interface as one message tells of it.
#[derive(Debug)]
struct Found {
    name: String,
    link: Link,
    /// The number of what it is a port of, or 0.
    master: u32,
    /// The number of what it is made on or ends at, or 0.
    lower: u32,
}

fn found(body: &[u8]) -> Result<Found, Malformed> {
    let mut link =
        Link { index: number(body, 4)?, up: number(body, 8)? & UP != 0, ..Link::default() };
    // Where nothing is said of a version of IP the interface does not have it.
    link.ipv6_off = true;
    let (mut name, mut master, mut lower, mut is_elsewhere) = (None, 0, 0, false);
    for attribute in Attributes::at(body, 16)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFLA_IFNAME => name = Some(attribute.text().into_owned()),
            libc::IFLA_MTU => link.mtu = attribute.u32()?,
            libc::IFLA_ADDRESS => link.mac = attribute.mac(),
            libc::IFLA_IFALIAS => link.alias = Some(attribute.text().into_owned()),
            libc::IFLA_MASTER => master = attribute.u32()?,
            libc::IFLA_LINK => lower = attribute.u32()?,
            // Its other end is in another namespace, where numbers are others.
            libc::IFLA_LINK_NETNSID => is_elsewhere = true,
            libc::IFLA_LINKINFO => info(&mut link, attribute.within())?,
            libc::IFLA_AF_SPEC => settings(&mut link, attribute.within())?,
            _ => {}
        }
    }
    let lower = if is_elsewhere { 0 } else { lower };
    Ok(Found { name: name.ok_or(Malformed)?, link, master, lower })
}

/// What is said of a kind of interface, and of a kind of port.
fn info(link: &mut Link, attributes: Attributes<'_>) -> Result<(), Malformed> {
    let nothing = || Attributes::at(&[], 0);
    let (mut data, mut port_kind, mut port) = (nothing()?, Cow::Borrowed(""), nothing()?);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFLA_INFO_KIND => link.kind = Some(attribute.text().into_owned()),
            libc::IFLA_INFO_DATA => data = attribute.within(),
            libc::IFLA_INFO_SLAVE_KIND => port_kind = attribute.text(),
            libc::IFLA_INFO_SLAVE_DATA => port = attribute.within(),
            _ => {}
        }
    }
    match link.kind.as_deref() {
        Some("bridge") => bridge(link, data)?,
        Some("vxlan") => link.tunnel = Some(tunnel(data)?),
        Some("vlan") => link.vlan = vlan(data)?,
        Some("vrf") => {
            for attribute in data {
                let attribute = attribute?;
                if attribute.kind == name::IFLA_VRF_TABLE {
                    link.table = Some(attribute.u32()?);
                }
            }
        }
        _ => {}
    }
    if port_kind == "bridge" {
        for attribute in port {
            let attribute = attribute?;
            if attribute.kind == name::IFLA_BRPORT_MULTICAST_ROUTER {
                link.multicast_router = Some(attribute.u8()?);
            }
            if let Some((flag, _)) = PORT_FLAGS.iter().find(|(_, kind)| *kind == attribute.kind) {
                link.flags.insert(*flag, attribute.u8()? != 0);
            }
        }
    }
    Ok(())
}

fn bridge(link: &mut Link, data: Attributes<'_>) -> Result<(), Malformed> {
    for attribute in data {
        let attribute = attribute?;
        match attribute.kind {
            name::IFLA_BR_FORWARD_DELAY => link.forward_delay = attribute.u32()?,
            name::IFLA_BR_STP_STATE => link.stp = attribute.u32()? != 0,
            name::IFLA_BR_VLAN_FILTERING => link.vlan_filtering = attribute.u8()? != 0,
            name::IFLA_BR_VLAN_PROTOCOL => {
                link.vlan_protocol = Some(name::vlan_protocol(attribute.be16()?));
            }
            _ => {}
        }
    }
    Ok(())
}

fn tunnel(data: Attributes<'_>) -> Result<Tunnel, Malformed> {
    let (mut id, mut port, mut local, mut learning) = (None, None, None, false);
    for attribute in data {
        let attribute = attribute?;
        match attribute.kind {
            name::IFLA_VXLAN_ID => id = Some(attribute.u32()?),
            name::IFLA_VXLAN_PORT => port = Some(attribute.be16()?),
            name::IFLA_VXLAN_LOCAL | name::IFLA_VXLAN_LOCAL6 => local = Some(attribute.address()?),
            name::IFLA_VXLAN_LEARNING => learning = attribute.u8()? != 0,
            _ => {}
        }
    }
    let (id, port) = (id.ok_or(Malformed)?, port.ok_or(Malformed)?);
    Ok(Tunnel { id, port, local, learning, remotes: BTreeSet::new() })
}

fn vlan(data: Attributes<'_>) -> Result<Option<(u16, String)>, Malformed> {
    let (mut id, mut protocol) = (None, None);
    for attribute in data {
        let attribute = attribute?;
        match attribute.kind {
            name::IFLA_VLAN_ID => id = Some(attribute.u16()?),
            name::IFLA_VLAN_PROTOCOL => protocol = Some(name::vlan_protocol(attribute.be16()?)),
            _ => {}
        }
    }
    Ok(Some((id.ok_or(Malformed)?, protocol.ok_or(Malformed)?)))
}

/// The settings of both versions of IP.
fn settings(link: &mut Link, attributes: Attributes<'_>) -> Result<(), Malformed> {
    for family in attributes {
        let family = family?;
        for attribute in family.within() {
            let attribute = attribute?;
            match (i32::from(family.kind), attribute.kind) {
                (libc::AF_INET, name::IFLA_INET_CONF) => {
                    link.accepts_arp = attribute.is_on(name::IPV4_DEVCONF_ARP_ACCEPT);
                    if attribute.is_on(name::IPV4_DEVCONF_FORWARDING) {
                        link.forwards.insert(Family::V4);
                    }
                }
                (libc::AF_INET6, name::IFLA_INET6_CONF) => {
                    link.ipv6_off = attribute.is_on(name::DEVCONF_DISABLE_IPV6);
                    if attribute.is_on(name::DEVCONF_FORWARDING) {
                        link.forwards.insert(Family::V6);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::netlink::written as attribute;
    use super::super::super::netlink::{Malformed, link_header};
    use super::{Links, found};
    use nix::libc;

    fn message(index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        [&link_header(0, index, true)[..], &attributes.concat()].concat()
    }

    fn named(name: &str) -> Vec<u8> {
        attribute(libc::IFLA_IFNAME, name.as_bytes())
    }

    #[test]
    fn masters_are_numbers_that_become_names() {
        let number = |kind, number: u32| attribute(kind, &number.to_ne_bytes());
        let veth = attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_KIND, b"veth\0"));
        let messages = [
            message(5, &[named("va"), number(libc::IFLA_MTU, 1400)]),
            message(
                6,
                &[named("ln_a"), veth, number(libc::IFLA_MASTER, 5), number(libc::IFLA_LINK, 7)],
            ),
            message(7, &[named("pr_a"), number(libc::IFLA_LINK, 6), attribute(60_000, b"new")]),
            // Its number 5 is of another namespace.
            message(
                8,
                &[named("eth0"), number(libc::IFLA_LINK, 5), number(libc::IFLA_LINK_NETNSID, 0)],
            ),
        ];
        let all: Result<_, _> = messages.iter().map(|message| found(message)).collect();
        let links = Links::of(all.expect("messages")).by_name();
        assert_eq!((links["va"].mtu, links["va"].up, &links["va"].master), (1400, true, &None));
        let ln = &links["ln_a"];
        assert_eq!((ln.master.as_deref(), ln.lower.as_deref()), (Some("va"), Some("pr_a")));
        assert_eq!(ln.kind.as_deref(), Some("veth"));
        assert_eq!((&links["pr_a"].lower, &links["eth0"].lower), (&Some("ln_a".to_owned()), &None));
        // Nothing was said of IPv6.
        assert!(ln.ipv6_off);
    }

    #[test]
    fn a_message_that_lacks_what_it_must_have_is_malformed() {
        let kind =
            |kind: &[u8]| attribute(libc::IFLA_LINKINFO, &attribute(libc::IFLA_INFO_KIND, kind));
        for bytes in [
            message(5, &[]),
            message(5, &[named("a"), attribute(libc::IFLA_MTU, b"ab")]),
            message(5, &[named("a"), kind(b"vxlan")]),
            message(5, &[named("a"), kind(b"vlan")]),
            vec![0; 15],
            vec![0; 18],
        ] {
            assert_eq!(found(&bytes).map(|found| found.name), Err(Malformed), "{bytes:?}");
        }
    }
}

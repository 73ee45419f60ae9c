//! The interfaces of the kernel and their addresses, for facts and for what is looked at.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::libc;

use super::HostError;
use super::netlink::{Attributes, Malformed, Request, Socket, bytes, link_header, name, number};

/// What the kernel says of an interface by bits (netdevice(7)): that somebody set it up, and that
/// something is on its other end.
const UP: u32 = 1;
const LOWER_UP: u32 = 1 << 16;

/// The type of what speaks Ethernet (`ARPHRD_ETHER`).
const ETHER: u16 = 1;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    /// The kernel's number.
    pub(super) index: u32,
    pub(super) altnames: Vec<String>,
    /// Whether somebody set it up.
    pub(super) is_up: bool,
    /// Whether something is on its other end.
    pub(super) has_carrier: bool,
    pub(super) mtu: u32,
    /// What it is a port of.
    pub(super) master: Option<String>,
    /// The MAC address of what speaks Ethernet.
    pub(super) mac: Option<String>,
    /// The kind, such as `bridge`; none of real hardware.
    pub(super) kind: Option<String>,
    /// Of a bridge: whether it filters VLANs.
    pub(super) filters_vlans: bool,
    pub(super) addresses: Vec<Address>,
}

/// An address of an interface.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the kernel's own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) net: IpNet,
    /// How far it is valid (`rt_scope_t`).
    pub(super) scope: u8,
    /// Of IPv6: made for privacy, and another one tomorrow.
    pub(super) is_temporary: bool,
    pub(super) is_deprecated: bool,
    pub(super) is_tentative: bool,
    /// Somebody else has it.
    pub(super) has_failed: bool,
}

impl Device {
    /// Whether it is of one of these kinds.
    pub(super) fn is(&self, kinds: &[&str]) -> bool {
        self.kind.as_ref().is_some_and(|kind| kinds.contains(&kind.as_str()))
    }
}

/// The name of the interface of a number.
pub(super) fn name_of(devices: &[Device], index: u32) -> Option<String> {
    // They are in the order of their numbers.
    let place = devices.binary_search_by_key(&index, |device| device.index).ok()?;
    devices.get(place).map(|device| device.name.clone())
}

/// Every interface of the kernel, in the order in which they were made. Only where `addresses` are
/// wanted they have any.
pub(super) fn devices(addresses: bool) -> Result<Vec<Device>, HostError> {
    let mut socket = Socket::open()?;
    let header = link_header(libc::AF_UNSPEC, 0, false);
    let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &header)
        .with(libc::IFLA_EXT_MASK, &libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    let mut found =
        socket.list("interfaces", &request, |message| device(message.body).map(Some))?;
    found.sort_by_key(|(device, _)| device.index);
    let names: BTreeMap<u32, String> =
        found.iter().map(|(device, _)| (device.index, device.name.clone())).collect();
    let mut of: BTreeMap<u32, Vec<Address>> = BTreeMap::new();
    if addresses {
        let request = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; 8]);
        for (index, address) in socket.list("addresses", &request, |m| address(m.body))? {
            of.entry(index).or_default().push(address);
        }
    }
    let whole = found.into_iter().map(|(device, master)| Device {
        master: master.and_then(|master| names.get(&master).cloned()),
        addresses: of.remove(&device.index).unwrap_or_default(),
        ..device
    });
    Ok(whole.collect())
}

/// An interface as one message tells of it, and the number of what it is a port of.
fn device(body: &[u8]) -> Result<(Device, Option<u32>), Malformed> {
    let is_ether = u16::from_ne_bytes(bytes(body, 2)?) == ETHER;
    let flags = number(body, 8)?;
    let mut device = Device {
        index: number(body, 4)?,
        is_up: flags & UP != 0,
        has_carrier: flags & LOWER_UP != 0,
        ..Device::default()
    };
    let mut master = None;
    for attribute in Attributes::at(body, 16)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFLA_IFNAME => device.name = attribute.text().into_owned(),
            libc::IFLA_MTU => device.mtu = attribute.u32()?,
            libc::IFLA_ADDRESS if is_ether => device.mac = attribute.mac(),
            libc::IFLA_MASTER => master = Some(attribute.u32()?),
            libc::IFLA_PROP_LIST => {
                for name in attribute.within() {
                    let name = name?;
                    if name.kind == libc::IFLA_ALT_IFNAME {
                        device.altnames.push(name.text().into_owned());
                    }
                }
            }
            libc::IFLA_LINKINFO => info(&mut device, attribute.within())?,
            _ => {}
        }
    }
    if device.name.is_empty() { Err(Malformed) } else { Ok((device, master)) }
}

fn info(device: &mut Device, attributes: Attributes<'_>) -> Result<(), Malformed> {
    let mut data = None;
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFLA_INFO_KIND => device.kind = Some(attribute.text().into_owned()),
            libc::IFLA_INFO_DATA => data = Some(attribute.within()),
            _ => {}
        }
    }
    let data = data.filter(|_| device.is(&["bridge"]));
    for attribute in data.into_iter().flatten() {
        let attribute = attribute?;
        if attribute.kind == name::IFLA_BR_VLAN_FILTERING {
            device.filters_vlans = attribute.u8()? != 0;
        }
    }
    Ok(())
}

/// An address as one message tells of it, with the number of its interface.
fn address(body: &[u8]) -> Result<Option<(u32, Address)>, Malformed> {
    let [family, length, flags, scope] = bytes(body, 0)?;
    let index = number(body, 4)?;
    let is_v6 = i32::from(family) == libc::AF_INET6;
    if !is_v6 && i32::from(family) != libc::AF_INET {
        return Ok(None);
    }
    let (mut flags, mut local, mut other) = (u32::from(flags), None, None);
    for attribute in Attributes::at(body, 8)? {
        let attribute = attribute?;
        match attribute.kind {
            name::IFA_FLAGS => flags = attribute.u32()?,
            libc::IFA_LOCAL => local = Some(attribute.address()?),
            libc::IFA_ADDRESS => other = Some(attribute.address()?),
            _ => {}
        }
    }
    // Of a line between two ends the other one is the address.
    let own: IpAddr = local.or(other).ok_or(Malformed)?;
    let has = |flag: u32| flags & flag != 0;
    let address = Address {
        net: IpNet::new(own, length).map_err(|_| Malformed)?,
        scope,
        // Of IPv4 the same bit says something else.
        is_temporary: is_v6 && has(libc::IFA_F_TEMPORARY),
        is_deprecated: has(libc::IFA_F_DEPRECATED),
        is_tentative: has(libc::IFA_F_TENTATIVE),
        has_failed: has(libc::IFA_F_DADFAILED),
    };
    Ok(Some((index, address)))
}

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests {
    use super::super::netlink::written as attribute;
    use super::{Malformed, address, device, libc, name};

    fn message(kind: u16, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let head =
            [&[0, 0][..], &kind.to_ne_bytes(), &7_u32.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]]
                .concat();
        [head, attributes.concat()].concat()
    }

    #[test]
    fn an_interface_is_told_of_by_one_message() {
        let named = attribute(libc::IFLA_IFNAME, b"vmbr0\0");
        let other = attribute(libc::IFLA_PROP_LIST, &attribute(libc::IFLA_ALT_IFNAME, b"wan\0"));
        let mac = attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]);
        let filters = attribute(name::IFLA_BR_VLAN_FILTERING, &[1]);
        let data = attribute(libc::IFLA_INFO_DATA, &filters);
        let kind = attribute(libc::IFLA_INFO_KIND, b"bridge\0");
        let info = attribute(libc::IFLA_LINKINFO, &[kind, data].concat());
        let all = [named.clone(), other, mac.clone(), info];
        let (found, master) = device(&message(1, 0x1_0001, &all)).expect("a message");
        assert_eq!((found.name.as_str(), found.index, master), ("vmbr0", 7, None));
        assert_eq!(
            (found.mac.as_deref(), &found.altnames[..]),
            (Some("02:00:00:00:00:01"), &["wan".to_owned()][..])
        );
        assert!(found.is_up && found.has_carrier && found.filters_vlans);
        // What does not speak Ethernet has no such address.
        let (lo, _) = device(&message(772, 1, &[named, mac])).expect("a message");
        assert_eq!((lo.mac, lo.has_carrier, lo.kind), (None, false, None));
        assert_eq!(device(&message(1, 0, &[])), Err(Malformed));
        assert_eq!(device(&[0; 15]), Err(Malformed));
    }

    #[test]
    fn addresses_keep_what_makes_them_unfit() {
        let message = |family: u8, flags: u32, value: &[u8]| {
            let own = attribute(libc::IFA_ADDRESS, value);
            [
                &[family, 24, 0, 0, 7, 0, 0, 0][..],
                &attribute(name::IFA_FLAGS, &flags.to_ne_bytes()),
                &own,
            ]
            .concat()
        };
        let (index, found) = address(&message(2, 1, &[10, 0, 0, 1])).expect("read").expect("of IP");
        assert_eq!(
            (index, found.net.to_string(), found.is_temporary),
            (u32::from_ne_bytes([7, 0, 0, 0]), "10.0.0.1/24".to_owned(), false)
        );
        let (_, found) = address(&message(10, 0x49, &[0xfd; 16])).expect("read").expect("of IP");
        assert!(
            found.is_temporary && found.is_tentative && found.has_failed && !found.is_deprecated
        );
        assert_eq!(address(&message(28, 0, &[1, 2, 3, 4])), Ok(None));
        assert_eq!(address(&message(2, 0, &[1, 2, 3])), Err(Malformed));
    }
}

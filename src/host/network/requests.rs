//! What the kernel is asked to do for a step, as iproute2 asks it.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::libc;

use super::super::HostError;
use super::super::netlink::name::{self, PORT_FLAGS};
use super::super::netlink::{Request, address_header, link_header, neighbour_header, route_header};
use super::batch::Found;
use crate::plan::{BridgeSettings, Make, NetworkStep, PortVlan};
use crate::value::MacAddress;

/// A message, and the errors that say that what it asks for is so already.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) forgiven: &'static [i32],
}

/// Why there is no message for a step.
pub(super) enum Unfit {
    /// What is to be removed is of an interface that is not there.
    Gone,
    /// It cannot be asked for; why.
    Wrong(String),
    /// The kernel did not answer.
    Host(HostError),
}

/// Longer names, and longer comments, the kernel does not have (`IFNAMSIZ`, `IFALIASZ`).
const NAME: usize = 15;
const ALIAS: usize = 255;

/// The metric of the route by which nothing leaves a VRF, as the kernel's manual of VRFs has it.
const LAST: u32 = 4_278_198_272;

const MAKE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

type Asks = Result<Vec<Asked>, Unfit>;
type Find<'a> = &'a mut dyn FnMut(&str) -> Result<Option<Found>, HostError>;

/// The messages for a step that the kernel alone carries out.
pub(super) fn requests(step: &NetworkStep, find: Find<'_>) -> Asks {
    match step {
        NetworkStep::Create { interface, make } => create(interface.as_str(), make, find),
        NetworkStep::Delete { interface } => {
            let header = link_header(libc::AF_UNSPEC, 0, false);
            let request = Request::new(libc::RTM_DELLINK, 0, &header);
            let request = request.with_text(libc::IFLA_IFNAME, legal(interface.as_str())?);
            Ok(vec![Asked { request, forgiven: &[libc::ENODEV] }])
        }
        NetworkStep::SetMtu { interface, mtu } => {
            link(interface.as_str(), |link| link.with(libc::IFLA_MTU, &mtu.to_ne_bytes()))
        }
        NetworkStep::SetMaster { interface, master } => {
            let index = match master {
                Some(master) => there(master.as_str(), find)?.index,
                None => 0,
            };
            link(interface.as_str(), |link| link.with(libc::IFLA_MASTER, &index.to_ne_bytes()))
        }
        NetworkStep::SetUp { interface } => just(up(interface.as_str(), true)?),
        NetworkStep::ReturnPort { port, bridge, up } => {
            let index = there(bridge, find)?.index;
            just(self::up(port, *up)?.with(libc::IFLA_MASTER, &index.to_ne_bytes()))
        }
        NetworkStep::SetMac { interface, mac } => {
            let mac = mac.parse::<MacAddress>().map_err(|error| Unfit::Wrong(error.to_string()))?;
            link(interface.as_str(), |link| link.with(libc::IFLA_ADDRESS, &mac.octets()))
        }
        NetworkStep::SetAlias { interface, alias } => {
            let alias = alias.as_deref().unwrap_or_default().as_bytes();
            if alias.len() > ALIAS {
                return Err(Unfit::Wrong(format!("it has more than {ALIAS} bytes")));
            }
            link(interface.as_str(), |link| link.with(libc::IFLA_IFALIAS, alias))
        }
        NetworkStep::SetBridge { interface, settings } => bridge(interface.as_str(), settings),
        NetworkStep::StopVlanFiltering { interface } => {
            let settings =
                BridgeSettings { vlan_filtering: Some(false), ..BridgeSettings::default() };
            bridge(interface.as_str(), &settings)
        }
        NetworkStep::SetMulticastRouter { interface, value } => {
            let index = there(interface.as_str(), find)?.index;
            just(port(index, [(name::IFLA_BRPORT_MULTICAST_ROUTER, *value)]))
        }
        NetworkStep::SetPortFlags { port, flags } => {
            let index = there(port, find)?.index;
            let known = flags.iter().filter_map(|(flag, on)| {
                let (_, kind) = PORT_FLAGS.iter().find(|(name, _)| name == flag)?;
                Some((*kind, u8::from(*on)))
            });
            just(self::port(index, known))
        }
        NetworkStep::SetPortVlans { port, remove, add } => {
            let found = there(port, find)?;
            let remove = remove.iter().map(|vlan| Asked {
                request: port_vlan(libc::RTM_DELLINK, found, *vlan),
                forgiven: &[libc::ENOENT],
            });
            let add = add.iter().map(|vlan| Asked {
                request: port_vlan(libc::RTM_SETLINK, found, *vlan),
                forgiven: &[],
            });
            Ok(remove.chain(add).collect())
        }
        NetworkStep::AddStation { port, mac } => {
            let index = there(port, find)?.index;
            let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
            just(station(libc::RTM_NEWNEIGH, flags, index, mac)?)
        }
        NetworkStep::RemoveStation { port, mac } => {
            let request = station(libc::RTM_DELNEIGH, 0, still(port, find)?, mac)?;
            Ok(vec![Asked { request, forgiven: &[libc::ENOENT, libc::ENODEV] }])
        }
        NetworkStep::AddAddress { interface, address } => {
            let index = there(interface.as_str(), find)?.index;
            just(self::address(libc::RTM_NEWADDR, MAKE, index, *address))
        }
        NetworkStep::RemoveAddress { interface, address } => {
            let index = still(interface.as_str(), find)?;
            let request = self::address(libc::RTM_DELADDR, 0, index, *address);
            Ok(vec![Asked { request, forgiven: &[libc::EADDRNOTAVAIL, libc::ENODEV] }])
        }
        NetworkStep::AddRemote { interface, remote } => {
            let index = there(interface.as_str(), find)?.index;
            let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
            just(self::remote(libc::RTM_NEWNEIGH, flags, index, *remote))
        }
        NetworkStep::DropRemote { interface, remote } => {
            let index = still(interface.as_str(), find)?;
            let request = self::remote(libc::RTM_DELNEIGH, 0, index, *remote);
            Ok(vec![Asked { request, forgiven: &[libc::ENOENT, libc::ENODEV] }])
        }
        NetworkStep::AddRoute { interface, destination } => {
            let index = there(interface.as_str(), find)?.index;
            just(route(libc::RTM_NEWROUTE, MAKE, index, *destination))
        }
        NetworkStep::DropRoute { interface, destination } => {
            let index = still(interface.as_str(), find)?;
            let request = route(libc::RTM_DELROUTE, 0, index, *destination);
            Ok(vec![Asked { request, forgiven: &[libc::ESRCH, libc::ENODEV] }])
        }
        NetworkStep::SetUnreachable { table, on, .. } => Ok(vec![unreachable(*table, *on)]),
        NetworkStep::Down { .. }
        | NetworkStep::Up { .. }
        | NetworkStep::NameTable { .. }
        | NetworkStep::SetOvsPort { .. }
        | NetworkStep::DeleteOvsPort { .. }
        | NetworkStep::ResetVlanProtocol { .. }
        | NetworkStep::StopForwarding { .. }
        | NetworkStep::SetSysctl { .. }
        | NetworkStep::Release { .. }
        | NetworkStep::AddRule(_)
        | NetworkStep::RemoveRule(_)
        | NetworkStep::SetNat { .. } => Ok(Vec::new()),
    }
}

fn just(request: Request) -> Asks {
    Ok(vec![Asked { request, forgiven: &[] }])
}

fn legal(name: &str) -> Result<&str, Unfit> {
    if name.is_empty() || name.len() > NAME || name.contains('\0') {
        return Err(Unfit::Wrong(format!("`{}` is no interface's name", name.escape_debug())));
    }
    Ok(name)
}

/// An interface that has to be there.
fn there(name: &str, find: Find<'_>) -> Result<Found, Unfit> {
    let found = find(legal(name)?).map_err(Unfit::Host)?;
    found.ok_or_else(|| Unfit::Wrong(format!("there is no interface `{name}`")))
}

/// The number of an interface that something is taken from.
fn still(name: &str, find: Find<'_>) -> Result<u32, Unfit> {
    let found = find(legal(name)?).map_err(Unfit::Host)?;
    found.map(|found| found.index).ok_or(Unfit::Gone)
}

/// A change of an interface by its name.
fn link(name: &str, fill: impl FnOnce(Request) -> Request) -> Asks {
    just(fill(up(name, false)?))
}

fn up(name: &str, up: bool) -> Result<Request, Unfit> {
    let header = link_header(libc::AF_UNSPEC, 0, up);
    let request = Request::new(libc::RTM_NEWLINK, 0, &header);
    Ok(request.with_text(libc::IFLA_IFNAME, legal(name)?))
}

/// What is said of a kind of interface.
fn info(link: Request, kind: &str, data: impl FnOnce(Request) -> Request) -> Request {
    link.with_nest(libc::IFLA_LINKINFO, |info| {
        info.with_text(libc::IFLA_INFO_KIND, kind).with_nest(libc::IFLA_INFO_DATA, data)
    })
}

fn create(interface: &str, make: &Make, find: Find<'_>) -> Asks {
    let header = link_header(libc::AF_UNSPEC, 0, false);
    let link = Request::new(libc::RTM_NEWLINK, MAKE, &header);
    let link = link.with_text(libc::IFLA_IFNAME, legal(interface)?);
    just(match make {
        Make::Bridge => info(link, "bridge", |data| data),
        Make::Dummy => info(link, "dummy", |data| data),
        Make::Vrf { table } => {
            info(link, "vrf", |data| data.with(name::IFLA_VRF_TABLE, &table.to_ne_bytes()))
        }
        Make::Vxlan { id, port, local, learning } => info(link, "vxlan", |data| {
            let data = data
                .with(name::IFLA_VXLAN_ID, &id.to_ne_bytes())
                .with(name::IFLA_VXLAN_PORT, &port.to_be_bytes())
                .with(name::IFLA_VXLAN_LEARNING, &[u8::from(*learning)]);
            match local {
                Some(IpAddr::V4(local)) => data.with(name::IFLA_VXLAN_LOCAL, &local.octets()),
                Some(IpAddr::V6(local)) => data.with(name::IFLA_VXLAN_LOCAL6, &local.octets()),
                None => data,
            }
        }),
        Make::Veth { peer } => {
            let peer = legal(peer.as_str())?;
            info(link, "veth", |data| {
                data.with_nest(name::VETH_INFO_PEER, |other| {
                    other.with_bytes(&header).with_text(libc::IFLA_IFNAME, peer)
                })
            })
        }
        Make::Vlan { device, id, protocol } => {
            let index = there(device.as_str(), find)?.index;
            let protocol = vlan_protocol(protocol)?;
            info(link.with(libc::IFLA_LINK, &index.to_ne_bytes()), "vlan", |data| {
                data.with(name::IFLA_VLAN_ID, &id.to_ne_bytes())
                    .with(name::IFLA_VLAN_PROTOCOL, &protocol)
            })
        }
    })
}

fn vlan_protocol(protocol: &str) -> Result<[u8; 2], Unfit> {
    let number = name::vlan_protocol_number(protocol).ok_or_else(|| {
        Unfit::Wrong(format!("`{}` is no protocol of tags", protocol.escape_debug()))
    })?;
    Ok(number.to_be_bytes())
}

fn bridge(interface: &str, settings: &BridgeSettings) -> Asks {
    let BridgeSettings { stp, forward_delay, vlan_filtering, vlan_protocol } = settings;
    let protocol = vlan_protocol.as_deref().map(self::vlan_protocol).transpose()?;
    let stp = stp.map(|on| u32::from(on).to_ne_bytes());
    let delay = forward_delay.map(u32::to_ne_bytes);
    let filtering = vlan_filtering.map(|on| [u8::from(on)]);
    let values = [
        (name::IFLA_BR_STP_STATE, stp.as_ref().map(|value| &value[..])),
        (name::IFLA_BR_FORWARD_DELAY, delay.as_ref().map(|value| &value[..])),
        (name::IFLA_BR_VLAN_FILTERING, filtering.as_ref().map(|value| &value[..])),
        (name::IFLA_BR_VLAN_PROTOCOL, protocol.as_ref().map(|value| &value[..])),
    ];
    link(interface, |link| {
        info(link, "bridge", |data| {
            let set = values.iter().filter_map(|(kind, value)| Some((*kind, (*value)?)));
            set.fold(data, |data, (kind, value)| data.with(kind, value))
        })
    })
}

/// Settings of a port of a bridge.
fn port(index: u32, settings: impl IntoIterator<Item = (u16, u8)>) -> Request {
    let header = link_header(libc::AF_BRIDGE, index, false);
    Request::new(libc::RTM_SETLINK, 0, &header).with_nest(libc::IFLA_PROTINFO, |port| {
        settings.into_iter().fold(port, |port, (kind, value)| port.with(kind, &[value]))
    })
}

fn port_vlan(action: u16, found: Found, vlan: PortVlan) -> Request {
    let mut flags = 0;
    if action == libc::RTM_SETLINK {
        flags |= if vlan.pvid { name::BRIDGE_VLAN_INFO_PVID } else { 0 };
        flags |= if vlan.untagged { name::BRIDGE_VLAN_INFO_UNTAGGED } else { 0 };
    }
    let info = |request: Request, flags: u16, number: u16| {
        let value = [flags.to_ne_bytes(), number.to_ne_bytes()].concat();
        request.with(name::IFLA_BRIDGE_VLAN_INFO, &value)
    };
    let header = link_header(libc::AF_BRIDGE, found.index, false);
    Request::new(action, 0, &header).with_nest(libc::IFLA_AF_SPEC, |bridge| {
        // A bridge is its own port; any other port asks its bridge.
        let bridge = if found.is_bridge {
            bridge.with(name::IFLA_BRIDGE_FLAGS, &name::BRIDGE_FLAGS_SELF.to_ne_bytes())
        } else {
            bridge
        };
        if vlan.first == vlan.last {
            return info(bridge, flags, vlan.first);
        }
        let begun = info(bridge, flags | name::BRIDGE_VLAN_INFO_RANGE_BEGIN, vlan.first);
        info(begun, flags | name::BRIDGE_VLAN_INFO_RANGE_END, vlan.last)
    })
}

/// The number of an address' family, and its bytes.
fn octets(address: IpAddr) -> (i32, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    }
}

fn address(action: u16, flags: i32, index: u32, address: IpNet) -> Request {
    let (family, own) = octets(address.addr());
    Request::new(action, flags, &address_header(family, address.prefix_len(), index))
        .with(libc::IFA_LOCAL, &own)
        .with(libc::IFA_ADDRESS, &own)
}

fn remote(action: u16, flags: i32, index: u32, remote: IpAddr) -> Request {
    let header = neighbour_header(libc::AF_BRIDGE, index, libc::NUD_PERMANENT, libc::NTF_SELF);
    Request::new(action, flags, &header)
        .with(libc::NDA_LLADDR, &[0; 6])
        .with(libc::NDA_DST, &octets(remote).1)
}

/// An entry of a bridge that is not forgotten with time.
fn station(action: u16, flags: i32, index: u32, mac: &str) -> Result<Request, Unfit> {
    let mac = mac.parse::<MacAddress>().map_err(|error| Unfit::Wrong(error.to_string()))?;
    let header = neighbour_header(libc::AF_BRIDGE, index, libc::NUD_NOARP, libc::NTF_MASTER);
    Ok(Request::new(action, flags, &header).with(libc::NDA_LLADDR, &mac.octets()))
}

/// A route of the main table straight to an interface.
fn route(action: u16, flags: i32, index: u32, destination: IpNet) -> Request {
    let (family, to) = octets(destination.network());
    // IPv6 has no scopes of routes.
    let scope =
        if family == libc::AF_INET6 { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let (table, boot, kind) = (libc::RT_TABLE_MAIN, libc::RTPROT_BOOT, libc::RTN_UNICAST);
    let header = route_header(family, destination.prefix_len(), table, boot, scope, kind);
    Request::new(action, flags, &header)
        .with(libc::RTA_DST, &to)
        .with(libc::RTA_OIF, &index.to_ne_bytes())
}

fn unreachable(table: u32, on: bool) -> Asked {
    let header =
        |protocol, scope| route_header(libc::AF_INET, 0, 0, protocol, scope, libc::RTN_UNREACHABLE);
    if on {
        let header = header(libc::RTPROT_BOOT, libc::RT_SCOPE_UNIVERSE);
        let request = Request::new(libc::RTM_NEWROUTE, MAKE, &header)
            .with(libc::RTA_TABLE, &table.to_ne_bytes())
            .with(libc::RTA_PRIORITY, &LAST.to_ne_bytes());
        Asked { request, forgiven: &[] }
    } else {
        // Of any protocol and with any metric.
        let request = Request::new(libc::RTM_DELROUTE, 0, &header(0, libc::RT_SCOPE_NOWHERE))
            .with(libc::RTA_TABLE, &table.to_ne_bytes());
        Asked { request, forgiven: &[libc::ESRCH, libc::ENOENT] }
    }
}

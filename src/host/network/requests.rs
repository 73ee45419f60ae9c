//! What the kernel is asked to do for a step, as iproute2 asks it.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use nix::libc;

use super::super::HostError;
use super::super::netlink::name::{
    self, FR_ACT_TO_TBL, FRA_PRIORITY, FRA_PROTOCOL, LOCAL_RULE, PORT_FLAGS, RTPROT_WEFT,
};
use super::super::netlink::{Request, address_header, link_header, neighbour_header, route_header};
use super::batch::Found;
use crate::plan::{BridgeSettings, Family, LocalRule, Make, NetworkStep, PortVlan};
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

type Find<'a> = &'a mut dyn FnMut(&str) -> Result<Option<Found>, HostError>;

/// The messages for a step that the kernel alone carries out; none for any other.
pub(super) fn requests(step: &NetworkStep, find: Find<'_>) -> Result<Vec<Asked>, Unfit> {
    let forgiven = forgiven(step);
    if let NetworkStep::SetPortVlans { port, remove, add } = step {
        let found = there(port, find)?;
        let remove = remove.iter().map(|vlan| {
            let request = port_vlan(libc::RTM_DELLINK, found, *vlan);
            Asked { request, forgiven }
        });
        let add = add.iter().map(|vlan| {
            let request = port_vlan(libc::RTM_SETLINK, found, *vlan);
            Asked { request, forgiven: &[] }
        });
        return Ok(remove.chain(add).collect());
    }
    let request = match of_link(step, find)? {
        None => of_entry(step, find)?,
        request => request,
    };
    Ok(request.into_iter().map(|request| Asked { request, forgiven }).collect())
}

/// The errors that say that it is so already: what is to be removed is not there, and what is
/// added is.
fn forgiven(step: &NetworkStep) -> &'static [i32] {
    match step {
        NetworkStep::RemoveAddress { .. } => &[libc::EADDRNOTAVAIL, libc::ENODEV],
        // Older kernels refuse to name a VLAN that the port has no more (`EINVAL`): what is there
        // of it leads to a port that lets none of it out, and goes with the port.
        NetworkStep::RemoveStation { vlan: Some(_), .. } => {
            &[libc::ENOENT, libc::ENODEV, libc::EINVAL]
        }
        NetworkStep::DropRemote { .. } | NetworkStep::RemoveStation { .. } => {
            &[libc::ENOENT, libc::ENODEV]
        }
        NetworkStep::DropRoute { .. } => &[libc::ESRCH, libc::ENODEV],
        NetworkStep::SetUnreachable { on: false, .. } => &[libc::ESRCH, libc::ENOENT],
        NetworkStep::SetPortVlans { .. } | NetworkStep::DropLocalRule { .. } => &[libc::ENOENT],
        // One that was to go with another address may have stayed, and its routes with it.
        NetworkStep::AddLocalRule { .. }
        | NetworkStep::AddAddress { .. }
        | NetworkStep::AddRoute { .. } => &[libc::EEXIST],
        _ => &[],
    }
}

/// What is asked of an interface itself.
fn of_link(step: &NetworkStep, find: Find<'_>) -> Result<Option<Request>, Unfit> {
    Ok(Some(match step {
        NetworkStep::Create { interface, make } => create(interface.as_str(), make, find)?,
        NetworkStep::SetMtu { interface, mtu } => {
            link(interface.as_str(), false)?.with(libc::IFLA_MTU, &mtu.to_ne_bytes())
        }
        NetworkStep::SetMaster { interface, master } => {
            let index = match master {
                Some(master) => there(master.as_str(), find)?.index,
                None => 0,
            };
            link(interface.as_str(), false)?.with(libc::IFLA_MASTER, &index.to_ne_bytes())
        }
        NetworkStep::SetUp { interface } => link(interface.as_str(), true)?,
        NetworkStep::ReturnPort { port, bridge, up } => {
            let index = there(bridge, find)?.index;
            link(port, *up)?.with(libc::IFLA_MASTER, &index.to_ne_bytes())
        }
        NetworkStep::SetMac { interface, mac } => {
            let mac = mac.parse::<MacAddress>().map_err(|error| Unfit::Wrong(error.to_string()))?;
            link(interface.as_str(), false)?.with(libc::IFLA_ADDRESS, &mac.octets())
        }
        NetworkStep::SetAlias { interface, alias } => {
            let alias = alias.as_deref().unwrap_or_default().as_bytes();
            if alias.len() > ALIAS {
                return Err(Unfit::Wrong(format!("it has more than {ALIAS} bytes")));
            }
            link(interface.as_str(), false)?.with(libc::IFLA_IFALIAS, alias)
        }
        NetworkStep::SetBridge { interface, settings } => bridge(interface.as_str(), settings)?,
        NetworkStep::StopVlanFiltering { interface } => {
            let vlan_filtering = Some(false);
            let settings = BridgeSettings { vlan_filtering, ..BridgeSettings::default() };
            bridge(interface.as_str(), &settings)?
        }
        NetworkStep::SetTunnel { interface, local, learning } => {
            let local = local.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            info(link(interface.as_str(), false)?, "vxlan", |data| {
                tunnel(data, Some(local), *learning)
            })
        }
        NetworkStep::SetMulticastRouter { interface, value } => {
            let index = there(interface.as_str(), find)?.index;
            port(index, [(name::IFLA_BRPORT_MULTICAST_ROUTER, *value)])
        }
        NetworkStep::SetPortFlags { port, flags } => {
            let index = there(port, find)?.index;
            let known = flags.iter().filter_map(|(flag, on)| {
                let (_, kind) = PORT_FLAGS.iter().find(|(name, _)| name == flag)?;
                Some((*kind, u8::from(*on)))
            });
            self::port(index, known)
        }
        _ => return Ok(None),
    }))
}

/// What is asked of addresses, tunnel ends and routes.
fn of_entry(step: &NetworkStep, find: Find<'_>) -> Result<Option<Request>, Unfit> {
    Ok(Some(match step {
        NetworkStep::AddStation { port, mac } => {
            let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
            station(libc::RTM_NEWNEIGH, flags, there(port, find)?.index, mac)?
        }
        NetworkStep::RemoveStation { port, mac, vlan } => {
            let request = station(libc::RTM_DELNEIGH, 0, still(port, find)?, mac)?;
            match vlan {
                Some(vlan) => request.with(libc::NDA_VLAN, &vlan.to_ne_bytes()),
                None => request,
            }
        }
        NetworkStep::AddAddress { interface, address } => {
            let index = there(interface.as_str(), find)?.index;
            self::address(libc::RTM_NEWADDR, MAKE, index, *address)
        }
        NetworkStep::RemoveAddress { interface, address } => {
            let index = still(interface.as_str(), find)?;
            self::address(libc::RTM_DELADDR, 0, index, *address)
        }
        NetworkStep::AddRemote { interface, remote } => {
            let index = there(interface.as_str(), find)?.index;
            let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
            self::remote(libc::RTM_NEWNEIGH, flags, index, *remote)
        }
        NetworkStep::DropRemote { interface, remote } => {
            let index = still(interface.as_str(), find)?;
            self::remote(libc::RTM_DELNEIGH, 0, index, *remote)
        }
        NetworkStep::AddRoute { interface, destination } => {
            let index = there(interface.as_str(), find)?.index;
            route(libc::RTM_NEWROUTE, MAKE, index, *destination)
        }
        NetworkStep::DropRoute { interface, destination } => {
            let index = still(interface.as_str(), find)?;
            route(libc::RTM_DELROUTE, 0, index, *destination)
        }
        NetworkStep::SetUnreachable { table, on, .. } => unreachable(*table, *on),
        NetworkStep::AddLocalRule { family, rule } => {
            local_rule(libc::RTM_NEWRULE, MAKE, *family, *rule)
        }
        NetworkStep::DropLocalRule { family, rule } => {
            local_rule(libc::RTM_DELRULE, 0, *family, *rule)
        }
        _ => return Ok(None),
    }))
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

/// A change of an interface by its name, which may set it up.
fn link(name: &str, up: bool) -> Result<Request, Unfit> {
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

fn create(interface: &str, make: &Make, find: Find<'_>) -> Result<Request, Unfit> {
    let header = link_header(libc::AF_UNSPEC, 0, false);
    let link = Request::new(libc::RTM_NEWLINK, MAKE, &header);
    let link = link.with_text(libc::IFLA_IFNAME, legal(interface)?);
    Ok(match make {
        Make::Bridge => info(link, "bridge", |data| data),
        Make::Dummy => info(link, "dummy", |data| data),
        Make::Vrf { table } => {
            info(link, "vrf", |data| data.with(name::IFLA_VRF_TABLE, &table.to_ne_bytes()))
        }
        Make::Vxlan { id, port, local, learning } => info(link, "vxlan", |data| {
            let data = data
                .with(name::IFLA_VXLAN_ID, &id.to_ne_bytes())
                .with(name::IFLA_VXLAN_PORT, &port.to_be_bytes());
            tunnel(data, *local, *learning)
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

/// What can change of a tunnel end that is there.
fn tunnel(data: Request, local: Option<IpAddr>, learning: bool) -> Request {
    let data = data.with(name::IFLA_VXLAN_LEARNING, &[u8::from(learning)]);
    match local {
        Some(IpAddr::V4(local)) => data.with(name::IFLA_VXLAN_LOCAL, &local.octets()),
        Some(IpAddr::V6(local)) => data.with(name::IFLA_VXLAN_LOCAL6, &local.octets()),
        None => data,
    }
}

fn vlan_protocol(protocol: &str) -> Result<[u8; 2], Unfit> {
    let number = name::vlan_protocol_number(protocol).ok_or_else(|| {
        Unfit::Wrong(format!("`{}` is no protocol of tags", protocol.escape_debug()))
    })?;
    Ok(number.to_be_bytes())
}

fn bridge(interface: &str, settings: &BridgeSettings) -> Result<Request, Unfit> {
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
    Ok(info(link(interface, false)?, "bridge", |data| {
        let set = values.iter().filter_map(|(kind, value)| Some((*kind, (*value)?)));
        set.fold(data, |data, (kind, value)| data.with(kind, value))
    }))
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

/// An entry of a bridge that is not forgotten with time, and stays with its port whoever sends
/// by another one with its address.
fn station(action: u16, flags: i32, index: u32, mac: &str) -> Result<Request, Unfit> {
    let mac = mac.parse::<MacAddress>().map_err(|error| Unfit::Wrong(error.to_string()))?;
    let of_bridge = libc::NTF_MASTER | name::NTF_STICKY;
    let header = neighbour_header(libc::AF_BRIDGE, index, libc::NUD_NOARP, of_bridge);
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

/// The priority of a rule for the node's own addresses.
pub(super) fn priority(rule: LocalRule) -> u32 {
    match rule {
        LocalRule::First => 0,
        LocalRule::Last => LOCAL_RULE,
    }
}

/// The rule that sends lookups to the table of the node's own addresses.
fn local_rule(action: u16, flags: i32, family: Family, rule: LocalRule) -> Request {
    let family = if family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    // `struct fib_rule_hdr` is laid out as `struct rtmsg` is; its action is in the last byte
    // before the flags.
    let header = route_header(family, 0, libc::RT_TABLE_LOCAL, 0, 0, FR_ACT_TO_TBL);
    let protocol = if rule == LocalRule::First { libc::RTPROT_KERNEL } else { RTPROT_WEFT };
    let request =
        Request::new(action, flags, &header).with(FRA_PRIORITY, &priority(rule).to_ne_bytes());
    // The first one goes whoever made it.
    let is_first_to_go = rule == LocalRule::First && action == libc::RTM_DELRULE;
    if is_first_to_go { request } else { request.with(FRA_PROTOCOL, &[protocol]) }
}

/// The route by which nothing leaves a VRF. The one that goes is of any protocol and metric.
fn unreachable(table: u32, on: bool) -> Request {
    let (action, flags, protocol, scope) = if on {
        (libc::RTM_NEWROUTE, MAKE, libc::RTPROT_BOOT, libc::RT_SCOPE_UNIVERSE)
    } else {
        (libc::RTM_DELROUTE, 0, 0, libc::RT_SCOPE_NOWHERE)
    };
    let header = route_header(libc::AF_INET, 0, 0, protocol, scope, libc::RTN_UNREACHABLE);
    let request = Request::new(action, flags, &header).with(libc::RTA_TABLE, &table.to_ne_bytes());
    if on { request.with(libc::RTA_PRIORITY, &LAST.to_ne_bytes()) } else { request }
}

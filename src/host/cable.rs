//! Cables between network namespaces.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use nix::libc;

use super::HostError;
use super::netlink::name::VETH_INFO_PEER;
use super::netlink::{Request, Socket, link_header};
use crate::value::IfName;

/// Lays a cable (`veth(4)`). Each end has a name and the network namespace that it is in, such
/// as `/proc/PID/ns/net`, which is opened and needs no process of its own. Both ends are down.
pub fn cable(one: (&IfName, &File), other: (&IfName, &File)) -> Result<(), HostError> {
    let header = link_header(libc::AF_UNSPEC, 0, false);
    let end = |request: Request, (name, network): (&IfName, &File)| {
        request
            .with_text(libc::IFLA_IFNAME, name.as_str())
            .with(libc::IFLA_NET_NS_FD, &network.as_raw_fd().to_ne_bytes())
    };
    let make = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let request = end(Request::new(libc::RTM_NEWLINK, make, &header), one);
    let request = request.with_nest(libc::IFLA_LINKINFO, |info| {
        info.with_text(libc::IFLA_INFO_KIND, "veth").with_nest(libc::IFLA_INFO_DATA, |data| {
            data.with_nest(VETH_INFO_PEER, |peer| end(peer.with_bytes(&header), other))
        })
    });
    match Socket::open()?.carry_out(&[request])?.into_iter().flatten().next() {
        Some(refusal) => Err(HostError::Kernel { asked: "a cable", source: refusal.error }),
        None => Ok(()),
    }
}

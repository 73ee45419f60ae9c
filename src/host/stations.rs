//! Who is behind ports of bridges: what bridges know, and what Proxmox VE's configuration says.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use camino::Utf8Path;
use nix::libc;

use super::netlink::{Attributes, Malformed, Request, Socket, bytes, neighbour_header, number};
use super::{Host, HostError};
use crate::declare::pve::guest::{self, Guest, Hypervisor, MAX_BYTES};
use crate::plan::{Kernel, Stations, guest_of_port};

/// The directory of this node in Proxmox VE's cluster file system.
const HERE: &str = "/etc/pve";

/// An entry of a bridge.
struct Told {
    port: u32,
    bridge: u32,
    state: u16,
    mac: [u8; 6],
    /// 0 where it is of none.
    vlan: u16,
}

/// Who is behind these ports of a kernel, which are given with their bridges.
pub(super) fn read(
    host: &impl Host,
    kernel: &Kernel,
    ports: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Stations>, HostError> {
    let index = |name: &String| kernel.links.get(name).map(|link| link.index);
    let asked: BTreeMap<u32, (&String, u32)> = ports
        .iter()
        .filter_map(|(port, bridge)| Some((index(port)?, (port, index(bridge)?))))
        .collect();
    let request = Request::new(
        libc::RTM_GETNEIGH,
        libc::NLM_F_DUMP,
        &neighbour_header(libc::AF_BRIDGE, 0, 0, 0),
    );
    let of_port = |entry: Told| {
        let (port, bridge) = asked.get(&entry.port)?;
        (*bridge == entry.bridge).then(|| ((*port).clone(), entry))
    };
    let entries = Socket::open()?.list("entries of bridges", &request, |message| {
        Ok(entry(message.body)?.and_then(of_port))
    })?;
    let mut found: BTreeMap<String, Stations> = BTreeMap::new();
    for (port, entry) in entries {
        add(found.entry(port).or_default(), &entry);
    }
    Ok(with_configured(host, ports, found))
}

fn entry(body: &[u8]) -> Result<Option<Told>, Malformed> {
    let (port, state) = (number(body, 4)?, u16::from_ne_bytes(bytes(body, 8)?));
    let (mut bridge, mut mac, mut vlan) = (None, None, 0);
    for attribute in Attributes::at(body, 12)? {
        let attribute = attribute?;
        match attribute.kind {
            libc::NDA_MASTER => bridge = Some(attribute.u32()?),
            libc::NDA_LLADDR => mac = bytes(attribute.value, 0).ok(),
            libc::NDA_VLAN => vlan = u16::from_ne_bytes(bytes(attribute.value, 0)?),
            _ => {}
        }
    }
    Ok(bridge.zip(mac).map(|(bridge, mac)| Told { port, bridge, state, mac, vlan }))
}

/// An entry is for ever where it is the port's own address, and until it is taken away where
/// somebody told the bridge of it.
fn add(stations: &mut Stations, entry: &Told) {
    if entry.state & libc::NUD_PERMANENT != 0 {
        return;
    }
    let octets: Vec<String> = entry.mac.iter().map(|octet| format!("{octet:02x}")).collect();
    let mac = octets.join(":");
    if entry.state & libc::NUD_NOARP != 0 {
        stations.fixed.entry(mac).or_default().insert(entry.vlan);
    } else {
        stations.learnt.insert(mac);
    }
}

/// The same with what the configuration of guests says of ports that Proxmox VE named.
pub(super) fn with_configured(
    host: &impl Host,
    ports: &BTreeMap<String, String>,
    mut found: BTreeMap<String, Stations>,
) -> BTreeMap<String, Stations> {
    let mut guests: BTreeMap<u32, Option<Guest>> = BTreeMap::new();
    let mut answers = true;
    for (port, bridge) in ports {
        let Some((number, interface)) = guest_of_port(port) else { continue };
        let guest = match guests.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) if answers => match configuration(host, number) {
                Ok(guest) => unknown.insert(guest),
                // Who is behind a port is good to know, and no reason to stop a change, least of
                // all a way back. It is not asked again: one that hangs takes seconds each time.
                Err(error) => {
                    tracing::debug!("the configuration of guests cannot be read: {error}");
                    answers = false;
                    unknown.insert(None)
                }
            },
            Entry::Vacant(unknown) => unknown.insert(None),
        };
        let nic = guest.as_ref().and_then(|guest| guest.nics.get(&interface));
        if let Some(nic) = nic.filter(|nic| nic.bridge.as_str() == bridge) {
            let mac = nic.mac.to_string().to_ascii_lowercase();
            found.entry(port.clone()).or_default().configured = Some(mac);
        }
    }
    found
}

/// The guest of this number on this node. One whose file cannot be read says nothing.
fn configuration(host: &impl Host, number: u32) -> Result<Option<Guest>, HostError> {
    for hypervisor in Hypervisor::ALL {
        let path = Utf8Path::new(HERE).join(hypervisor.directory()).join(format!("{number}.conf"));
        match host.read(&path, MAX_BYTES) {
            Ok(Some(file)) => return Ok(guest::read(path.as_str(), &file.text(), hypervisor).ok()),
            Ok(None) | Err(HostError::NotAFile { .. } | HostError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nix::libc;

    use super::{Told, add, with_configured};
    use crate::host::fake::Fake;
    use crate::plan::Stations;

    fn ports() -> BTreeMap<String, String> {
        let ports = [("tap100i0", "va"), ("fwpr100p1", "va"), ("veth7i0", "vb"), ("vnet0", "va")];
        ports.map(|(port, bridge)| (port.to_owned(), bridge.to_owned())).into()
    }

    #[test]
    fn what_a_bridge_learnt_and_was_told_is_told_apart() {
        let mut found = Stations::default();
        for (state, last, vlan) in [
            (libc::NUD_PERMANENT, 1, 0),
            (libc::NUD_NOARP, 2, 0),
            (libc::NUD_NOARP, 2, 20),
            (libc::NUD_REACHABLE, 0xa, 0),
            (libc::NUD_STALE, 4, 20),
        ] {
            let mac = [0xbc, 0x24, 0x11, 0, 0, last];
            add(&mut found, &Told { port: 1, bridge: 2, state, mac, vlan });
        }
        assert_eq!(found.fixed, [("bc:24:11:00:00:02".to_owned(), [0, 20].into())].into());
        assert!(found.learnt.iter().eq(["bc:24:11:00:00:04", "bc:24:11:00:00:0a"]));
    }

    #[test]
    fn the_configuration_of_a_guest_says_who_is_behind_its_ports() {
        let host = Fake::default();
        let text = "net0: virtio=BC:24:11:00:00:01,bridge=va\nnet1: virtio=BC:24:11:00:00:02,bridge=va,firewall=1\n";
        host.put("/etc/pve/qemu-server/100.conf", text.as_bytes(), 0o640);
        // Of another bridge than the one that the port is on.
        let text = "net0: name=eth0,bridge=va,hwaddr=BC:24:11:00:00:03\n";
        host.put("/etc/pve/lxc/7.conf", text.as_bytes(), 0o640);
        let found = with_configured(&host, &ports(), BTreeMap::new());
        let macs: Vec<_> = found
            .iter()
            .map(|(port, stations)| (port.as_str(), stations.configured.as_deref().unwrap()))
            .collect();
        assert_eq!(macs, [("fwpr100p1", "bc:24:11:00:00:02"), ("tap100i0", "bc:24:11:00:00:01")]);
    }
}

//! Who is behind ports of guests: what bridges know, and what Proxmox VE's configuration says.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde::Deserialize;

use super::devices::list;
use super::{Host, HostError, program};
use crate::declare::pve::guest::{self, Guest, Hypervisor, MAX_BYTES};
use crate::plan::{Stations, guest_of_port};

/// The directory of this node in Proxmox VE's cluster file system.
const HERE: &str = "/etc/pve";

/// An entry of `bridge -j fdb`.
#[derive(Deserialize)]
struct Entry {
    mac: String,
    ifname: String,
    /// The bridge, where the entry is one of it and not of the port itself.
    master: Option<String>,
    #[serde(default)]
    state: String,
}

/// Who is behind these ports, which are given with their bridges.
pub(super) fn read(
    host: &impl Host,
    ports: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Stations>, HostError> {
    let mut found = BTreeMap::new();
    let bridges: BTreeSet<&String> = ports.values().collect();
    for bridge in bridges {
        let words = ["-j", "fdb", "show", "br", bridge];
        // A bridge that went meanwhile has no ports any more.
        let Ok(text) = program::run("bridge", &words) else { continue };
        let entries = list::<Entry>(&text).map_err(|error| HostError::Program {
            program: "bridge -j fdb show".to_owned(),
            message: format!("gave an answer that cannot be read: {error}"),
        })?;
        add(&mut found, ports, bridge, entries);
    }
    with_configured(host, ports, found)
}

fn add(
    found: &mut BTreeMap<String, Stations>,
    ports: &BTreeMap<String, String>,
    bridge: &str,
    entries: Vec<Entry>,
) {
    for entry in entries {
        let is_of_port = entry.master.as_deref() == Some(bridge)
            && ports.get(&entry.ifname).is_some_and(|of| of == bridge);
        if !is_of_port {
            continue;
        }
        let stations = found.entry(entry.ifname).or_default();
        match entry.state.as_str() {
            // The port's own address.
            "permanent" => {}
            "static" => drop(stations.fixed.insert(entry.mac)),
            _ => drop(stations.learnt.insert(entry.mac)),
        }
    }
}

/// The same with what the configuration of guests says of ports that Proxmox VE named.
pub(super) fn with_configured(
    host: &impl Host,
    ports: &BTreeMap<String, String>,
    mut found: BTreeMap<String, Stations>,
) -> Result<BTreeMap<String, Stations>, HostError> {
    let mut guests: BTreeMap<u32, Option<Guest>> = BTreeMap::new();
    for (port, bridge) in ports {
        let Some((number, interface)) = guest_of_port(port) else { continue };
        if !guests.contains_key(&number) {
            guests.insert(number, configuration(host, number)?);
        }
        let nic = guests[&number].as_ref().and_then(|guest| guest.nics.get(&interface));
        if let Some(nic) = nic.filter(|nic| nic.bridge.as_str() == bridge) {
            let mac = nic.mac.to_string().to_ascii_lowercase();
            found.entry(port.clone()).or_default().configured = Some(mac);
        }
    }
    Ok(found)
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

    use super::{add, list, with_configured};
    use crate::host::fake::Fake;

    fn ports() -> BTreeMap<String, String> {
        let ports = [("tap100i0", "va"), ("fwpr100p1", "va"), ("veth7i0", "vb"), ("vnet0", "va")];
        ports.map(|(port, bridge)| (port.to_owned(), bridge.to_owned())).into()
    }

    /// As iproute2 6.1 prints it.
    const FDB: &str = r#"[
        {"mac":"bc:24:11:00:00:09","ifname":"vnet0","flags":[],"master":"va","state":""},
        {"mac":"bc:24:11:00:00:01","ifname":"tap100i0","flags":[],"master":"va","state":"static"},
        {"mac":"3a:12:16:95:70:15","ifname":"vnet0","flags":[],"master":"va","state":"permanent"},
        {"mac":"33:33:00:00:00:01","ifname":"vnet0","flags":["self"],"state":"permanent"},
        {"mac":"bc:24:11:00:00:08","ifname":"vxlan_va","flags":[],"master":"va","state":""}]"#;

    #[test]
    fn what_a_bridge_learnt_and_was_told_is_told_apart() {
        let mut found = BTreeMap::new();
        add(&mut found, &ports(), "va", list(FDB.as_bytes()).unwrap());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["tap100i0", "vnet0"]);
        assert!(found["tap100i0"].fixed.iter().eq(["bc:24:11:00:00:01"]));
        assert!(found["vnet0"].learnt.iter().eq(["bc:24:11:00:00:09"]));
        assert!(found["vnet0"].fixed.is_empty() && found["tap100i0"].learnt.is_empty());
    }

    #[test]
    fn the_configuration_of_a_guest_says_who_is_behind_its_ports() {
        let host = Fake::default();
        let text = "net0: virtio=BC:24:11:00:00:01,bridge=va\nnet1: virtio=BC:24:11:00:00:02,bridge=va,firewall=1\n";
        host.put("/etc/pve/qemu-server/100.conf", text.as_bytes(), 0o640);
        // Of another bridge than the one that the port is on.
        let text = "net0: name=eth0,bridge=va,hwaddr=BC:24:11:00:00:03\n";
        host.put("/etc/pve/lxc/7.conf", text.as_bytes(), 0o640);
        let found = with_configured(&host, &ports(), BTreeMap::new()).unwrap();
        let macs: Vec<_> = found
            .iter()
            .map(|(port, stations)| (port.as_str(), stations.configured.as_deref().unwrap()))
            .collect();
        assert_eq!(macs, [("fwpr100p1", "bc:24:11:00:00:02"), ("tap100i0", "bc:24:11:00:00:01")]);
    }
}

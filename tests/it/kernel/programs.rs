//! What iproute2 says of the same kernel.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use weft::plan::{Kernel, Link};

fn list(words: &[&str]) -> Vec<Value> {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("iproute2 is installed");
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("a list")
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str()
}

/// Compares what both read of every interface.
pub(crate) fn agree(kernel: &Kernel) {
    let devices = list(&["ip", "-d", "-j", "link"]);
    assert_eq!(devices.len(), kernel.links.len());
    for device in devices {
        let link = &kernel.links[text(&device, "ifname").expect("a name")];
        let info = &device["linkinfo"];
        assert_eq!(device["ifindex"], link.index);
        assert_eq!(device["mtu"], link.mtu);
        assert_eq!(text(&device, "master"), link.master.as_deref());
        assert_eq!(text(&device, "link"), link.lower.as_deref());
        assert_eq!(text(&device, "address"), link.mac.as_deref());
        assert_eq!(text(&device, "ifalias"), link.alias.as_deref());
        assert_eq!(text(info, "info_kind"), link.kind.as_deref());
        let is_up = device["flags"].as_array().expect("flags").iter().any(|flag| flag == "UP");
        assert_eq!(is_up, link.up);
        data(&info["info_data"], link);
        if text(info, "info_slave_kind") == Some("bridge") {
            port(&info["info_slave_data"], link);
        }
    }
    vlans(kernel);
}

fn data(data: &Value, link: &Link) {
    match link.kind.as_deref() {
        Some("bridge") => {
            assert_eq!(data["forward_delay"], link.forward_delay);
            assert_eq!(data["stp_state"], u32::from(link.stp));
            if let Some(protocol) = text(data, "vlan_protocol") {
                assert_eq!(Some(protocol.to_lowercase()), link.vlan_protocol);
                assert_eq!(data["vlan_filtering"], u32::from(link.vlan_filtering));
            }
        }
        Some("vxlan") => {
            let tunnel = link.tunnel.as_ref().expect("a tunnel");
            assert_eq!((&data["id"], &data["port"]), (&tunnel.id.into(), &tunnel.port.into()));
            let local = text(data, "local").or(text(data, "local6")).map(str::to_owned);
            assert_eq!(local, tunnel.local.map(|local| local.to_string()));
            assert_eq!(data["learning"].as_bool().unwrap_or(false), tunnel.learning);
        }
        _ => {}
    }
}

fn port(data: &Value, link: &Link) {
    assert_eq!(data["multicast_router"], u32::from(link.multicast_router.expect("of a port")));
    let mut known = 0;
    for (flag, on) in &link.flags {
        // An older iproute2 does not know all.
        if let Some(said) = data[flag].as_bool() {
            assert_eq!(said, *on, "{flag}");
            known += 1;
        }
    }
    assert!(known >= 10, "{data}");
}

fn vlans(kernel: &Kernel) {
    if !kernel.links.values().any(|link| link.vlan_filtering) {
        return;
    }
    let mut said: BTreeMap<String, Vec<(u64, u64, bool, bool)>> = BTreeMap::new();
    for port in list(&["bridge", "-j", "-compressvlans", "vlan", "show"]) {
        let name = text(&port, "ifname").expect("a name").to_owned();
        for vlan in port["vlans"].as_array().into_iter().flatten() {
            let first = vlan["vlan"].as_u64().expect("a VLAN");
            let last = vlan["vlanEnd"].as_u64().unwrap_or(first);
            let has = |flag: &str| {
                vlan["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == flag))
            };
            let one = (first, last, has("PVID"), has("Egress Untagged"));
            said.entry(name.clone()).or_default().push(one);
        }
    }
    let read =
        kernel.links.iter().filter(|(_, link)| !link.vlans.is_empty()).map(|(name, link)| {
            let vlans = link.vlans.iter();
            let all = vlans.map(|v| (v.first.into(), v.last.into(), v.pvid, v.untagged)).collect();
            (name.clone(), all)
        });
    assert_eq!(said, read.collect());
}

//! What iproute2 prints with `-j`, for tests: the same interfaces in words.

use serde::Deserialize;

use super::{Address, Device};

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    link_type: String,
    #[serde(default)]
    altnames: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    mtu: u32,
    master: Option<String>,
    address: Option<String>,
    #[serde(default)]
    linkinfo: serde_json::Value,
    #[serde(default)]
    addr_info: Vec<serde_json::Value>,
}

/// The interfaces of an answer of `ip -d -j link` or `ip -j addr`.
pub(in super::super) fn devices(text: &str) -> Vec<Device> {
    let samples: Vec<Sample> = serde_json::from_str(text).expect("what iproute2 prints");
    samples.into_iter().map(Device::from).collect()
}

impl From<Sample> for Device {
    fn from(sample: Sample) -> Self {
        let has = |flag: &str| sample.flags.iter().any(|found| found == flag);
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let filters = &sample.linkinfo["info_data"]["vlan_filtering"];
        Self {
            is_up: has("UP"),
            has_carrier: has("LOWER_UP"),
            kind: text(&sample.linkinfo["info_kind"]),
            filters_vlans: filters.as_u64().is_some_and(|filters| filters != 0),
            mac: sample.address.filter(|_| sample.link_type == "ether"),
            addresses: sample.addr_info.iter().map(address).collect(),
            name: sample.ifname,
            altnames: sample.altnames,
            mtu: sample.mtu,
            master: sample.master,
            index: 0,
        }
    }
}

fn address(value: &serde_json::Value) -> Address {
    let is = |flag: &str| value[flag].as_bool().unwrap_or_default();
    let net = format!("{}/{}", value["local"].as_str().expect("an address"), value["prefixlen"]);
    Address {
        net: net.parse().expect("a prefix"),
        scope: match value["scope"].as_str() {
            Some("link") => 253,
            Some("host") => 254,
            _ => 0,
        },
        is_temporary: is("temporary"),
        is_deprecated: is("deprecated"),
        is_tentative: is("tentative"),
        has_failed: is("dadfailed"),
    }
}

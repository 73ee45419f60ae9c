//! The kernel that runs, by what it shows below `/proc`, `/sys` and `/lib/modules`.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::super::examined::{Link, Looked, MODULES, Presence};
use super::super::read;
use super::{DRY, Look};
use crate::host::Host as _;
use crate::value::IfName;

fn release(look: &Look<'_>) -> Looked<String> {
    look.kernel_text("/proc/sys/kernel/osrelease").map(|release| release.trim().to_owned())
}

pub(super) fn modules(look: &Look<'_>) -> Looked<BTreeMap<String, Presence>> {
    release(look).and_then(|release| {
        let list = |name: &str| {
            let text = look.text(&format!("/lib/modules/{release}/{name}"));
            text.seen().map(|text| read::modules(text))
        };
        let lists = (list("modules.builtin"), list("modules.dep"));
        let is_loaded = |module: &str| {
            matches!(look.host.entry(Utf8Path::new(&format!("/sys/module/{module}"))), Ok(Some(_)))
        };
        let presence = |module: &str| {
            let is_in = |list: &Option<BTreeSet<String>>| list.as_ref().map(|l| l.contains(module));
            match (is_in(&lists.0), is_in(&lists.1)) {
                _ if is_loaded(module) => Presence::Loaded,
                (Some(true), _) => Presence::BuiltIn,
                (_, Some(true)) => Presence::Loadable,
                (Some(false), Some(false)) => Presence::Missing,
                _ => Presence::Unknown,
            }
        };
        let all = MODULES.iter().map(|module| ((*module).to_owned(), presence(module)));
        Looked::Seen(all.collect())
    })
}

/// By the options that the kernel was built with, or by a bridge that has the switch.
pub(super) fn vlan_filtering(look: &Look<'_>) -> Looked<bool> {
    release(look).and_then(|release| {
        let options = format!("/boot/config-{release}");
        if let Some(Some(text)) = look.file(&options).seen() {
            let has = text.lines().any(|line| line == "CONFIG_BRIDGE_VLAN_FILTERING=y");
            return Looked::Seen(has);
        }
        Looked::from(look.host.list(Utf8Path::new("/sys/class/net"))).and_then(|names| {
            let has = |name: &String, what: &str| {
                let path = format!("/sys/class/net/{name}/bridge{what}");
                matches!(look.host.entry(Utf8Path::new(&path)), Ok(Some(_)))
            };
            // Every bridge has the switch, or none.
            match names.iter().find(|name| has(name, "")) {
                Some(bridge) => Looked::Seen(has(bridge, "/vlan_filtering")),
                None => Looked::Unseen(format!("there is no bridge and no `{options}`")),
            }
        })
    })
}

pub(super) fn links(look: &Look<'_>) -> Looked<BTreeMap<IfName, Link>> {
    if look.host.is_dry() {
        return Looked::Unseen(DRY.to_owned());
    }
    let number = |path: String| look.file(&path).seen()?.as_ref()?.trim().parse::<u32>().ok();
    Looked::from(look.host.list(Utf8Path::new("/sys/class/net"))).map(|names| {
        let names = names.iter().filter_map(|name| name.parse::<IfName>().ok());
        // What has no MTU is no interface: `bonding_masters`, or one that just went.
        let link = |name: IfName| {
            let setting = |key: &str| number(format!("/proc/sys/net/ipv4/conf/{name}/{key}"));
            let link = Link {
                mtu: number(format!("/sys/class/net/{name}/mtu"))?,
                rp_filter: setting("rp_filter").and_then(|value| u8::try_from(value).ok()),
                forwarding: setting("forwarding").map(|value| value != 0),
            };
            Some((name, link))
        };
        names.filter_map(link).collect()
    })
}

pub(super) fn rp_filter_all(look: &Look<'_>) -> Looked<u8> {
    let path = "/proc/sys/net/ipv4/conf/all/rp_filter";
    look.kernel_text(path).and_then(|text| match text.trim().parse() {
        Ok(value) => Looked::Seen(value),
        Err(_) => Looked::Unseen(format!("`{path}` is no number")),
    })
}

pub(super) fn forwarding_v6(look: &Look<'_>) -> Looked<bool> {
    look.kernel_text("/proc/sys/net/ipv6/conf/all/forwarding").map(|text| text.trim() == "1")
}

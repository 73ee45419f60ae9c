//! The kernel's interfaces and routes as it lists them, and its rules from what `iptables-save`
//! prints.

pub(super) mod entries;
mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use self::links::Links;
use super::netlink::Socket;
use super::{HostError, nft, program, tables};
use crate::plan::{Kernel, Question, Rule, Table};

/// Reads the kernel, with what is asked for.
pub(super) fn read(question: &Question) -> Result<Kernel, HostError> {
    let mut socket = Socket::open()?;
    let mut links = Links::read(&mut socket)?;
    entries::add_addresses(&mut socket, &mut links)?;
    if links.any(|link| link.tunnel.is_some()) {
        entries::add_remotes(&mut socket, &mut links)?;
    }
    // Ports of bridges that do not filter have VLANs too, which count once one does.
    if question.vlans || links.any(|link| link.vlan_filtering) {
        match entries::add_vlans(&mut socket, &mut links) {
            // A kernel without VLANs on bridges refuses the question.
            Ok(()) | Err(HostError::Kernel { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let routes = entries::straight_routes(&mut socket, &links)?;
    let has_vrf = links.any(|link| link.table.is_some());
    let unreachable = if has_vrf { entries::unreachable(&mut socket)? } else { BTreeSet::new() };
    let local_rules = entries::local_rules(&mut socket)?;
    let mut rules = BTreeMap::new();
    for &table in &question.tables {
        let program = format!("{}-save", table.family.program());
        let text = program::run(&program, &["-t", table.name.as_str()])?;
        rules.insert(table, self::rules(table, &String::from_utf8_lossy(&text)));
    }
    let nat = nft::read(question.tables.iter().map(|table| table.family).collect())?;
    let value = |name: &String| {
        let value = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
        Some((name.clone(), value.trim().to_owned()))
    };
    let sysctls = question.sysctls.iter().filter_map(value).collect();
    let tables = tables::read()?;
    Ok(Kernel {
        links: links.by_name(),
        rules,
        routes,
        sysctls,
        tables,
        local_rules,
        unreachable,
        nat,
        stations: BTreeMap::new(),
    })
}

fn rules(table: Table, text: &str) -> Vec<Rule> {
    text.lines().filter_map(|line| Rule::of_saved(table, line)).collect()
}

#[cfg(test)]
mod tests;

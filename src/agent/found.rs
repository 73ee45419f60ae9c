//! Guests of a Proxmox cluster, by their configuration on all of its nodes: each interface
//! on a vnet whose zone gives out addresses claims some.
//!
//! A guest moves from one node to another by its file moving from one directory to another,
//! so that all of them are one set. That a guest is gone is known only where the cluster has
//! a quorum, and every file of every node was read while none moved.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::declare::pve::guest::{self, Guest, Hypervisor, MAX_BYTES, Nic};
use crate::declare::pve::members::{self, Members};
use crate::host::{Host, HostError};
use crate::network::{Network, Origin};
use crate::plan::addresses::{Claim, Pools};
use crate::value::{Digest, GuestName, VnetId};

/// The cluster file system.
const ROOT: &str = "/etc/pve";
/// The most guests that are read.
const MAX_GUESTS: usize = 100_000;
/// How often guests may move while they are read.
const TRIES: u32 = 3;

/// What was found.
#[derive(Debug, Default)]
pub struct FoundGuests {
    /// What interfaces of guests claim, in the order of guests and interfaces.
    pub claims: Vec<Claim>,
    /// Whether these are all: who is not among them is gone.
    pub complete: bool,
    /// Why they are not, and which files could not be read.
    pub said: Vec<String>,
}

/// Where the file of a guest is.
type Places = BTreeMap<(u32, Hypervisor), Utf8PathBuf>;

/// What the guests of all nodes claim. A machine without Proxmox VE has none.
pub fn found(host: &impl Host, network: &Network) -> Result<FoundGuests, HostError> {
    let mut found = FoundGuests::default();
    let members = members(host, &mut found)?;
    for _ in 0..TRIES {
        let (places, nodes) = places(host)?;
        let mut guests = BTreeMap::new();
        let mut damaged = Vec::new();
        for (key, path) in &places {
            match read(host, path, key.1)? {
                Some(Ok(guest)) => drop(guests.insert(*key, guest)),
                Some(Err(why)) => damaged.push(why),
                // It moved or went meanwhile, which shows below.
                None => {}
            }
        }
        if self::places(host)?.0 != places {
            continue;
        }
        if places.len() >= MAX_GUESTS {
            damaged.push(format!("there are {MAX_GUESTS} guests or more, and no more are read"));
        }
        let pools = Pools::of(network);
        let mut seen = BTreeSet::new();
        for ((number, hypervisor), guest) in &guests {
            for claim in claims(network, &pools, *number, *hypervisor, guest) {
                if seen.insert((claim.vnet.clone(), claim.mac.clone())) {
                    found.claims.push(claim);
                } else {
                    let Claim { vnet, mac, guest, .. } = claim;
                    found.said.push(format!(
                        "{mac} on `{vnet}` is another guest's too, not only `{guest}`'s"
                    ));
                }
            }
        }
        let members = members.filter(|members| members.quorate);
        found.complete = members.is_some_and(|members| {
            damaged.is_empty() && members.nodes.keys().all(|node| nodes.contains(node))
        });
        found.said.extend(damaged);
        return Ok(found);
    }
    found.said.push("guests were moved whenever they were read".to_owned());
    Ok(found)
}

impl FoundGuests {
    /// Of whom all claims are known.
    pub fn all_known(&self) -> &'static [Origin] {
        if self.complete { &[Origin::Found] } else { &[] }
    }
}

/// What is another one whenever the configuration of a guest is.
pub fn fingerprint(host: &impl Host) -> Result<Digest, HostError> {
    let mut text = String::new();
    for path in places(host)?.0.values() {
        let digest = host.read(path, MAX_BYTES)?.map(|file| Digest::of(&file.bytes));
        let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
        text.extend([path.as_str(), "\0", &digest, "\0"]);
    }
    Ok(Digest::of(text.as_bytes()))
}

/// One guest of this node.
#[derive(Debug)]
pub struct GuestHere {
    number: u32,
    hypervisor: Hypervisor,
    guest: Guest,
}

/// One guest of this node, or why its file cannot be read; `None` where this node has no such
/// guest.
pub fn guest_here(
    host: &impl Host,
    number: u32,
) -> Result<Option<Result<GuestHere, String>>, HostError> {
    for hypervisor in Hypervisor::ALL {
        let directory = Utf8Path::new(ROOT).join(hypervisor.directory());
        let path = directory.join(format!("{number}.conf"));
        if let Some(guest) = read(host, &path, hypervisor)? {
            return Ok(Some(guest.map(|guest| GuestHere { number, hypervisor, guest })));
        }
    }
    Ok(None)
}

impl GuestHere {
    /// What it claims.
    pub fn claims(&self, network: &Network) -> Vec<Claim> {
        claims(network, &Pools::of(network), self.number, self.hypervisor, &self.guest)
    }

    /// Its interfaces on bridges.
    pub fn nics(&self) -> impl Iterator<Item = &Nic> {
        self.guest.nics.values()
    }
}

fn members(host: &impl Host, found: &mut FoundGuests) -> Result<Option<Members>, HostError> {
    let path = Utf8Path::new(ROOT).join(".members");
    let Some(file) = host.read(&path, MAX_BYTES)? else {
        found.said.push(format!("`{path}` is not there: no cluster file system is mounted"));
        return Ok(None);
    };
    match members::read(path.as_str(), &file.text()) {
        Ok(members) => {
            if !members.quorate {
                found
                    .said
                    .push("the cluster has no quorum, so that no guest counts as gone".into());
            }
            Ok(Some(members))
        }
        Err(damage) => {
            found.said.push(damage.to_string());
            Ok(None)
        }
    }
}

/// The files of all guests, and the nodes whose directories are there.
fn places(host: &impl Host) -> Result<(Places, BTreeSet<String>), HostError> {
    let root = Utf8Path::new(ROOT).join("nodes");
    let nodes: BTreeSet<String> = host.list(&root)?.into_iter().collect();
    let mut places = Places::new();
    for node in &nodes {
        for hypervisor in Hypervisor::ALL {
            let directory = root.join(node).join(hypervisor.directory());
            for name in host.list(&directory)? {
                let number = name.strip_suffix(".conf").and_then(|number| number.parse().ok());
                let Some(number) = number else { continue };
                if places.len() < MAX_GUESTS {
                    places.insert((number, hypervisor), directory.join(name));
                }
            }
        }
    }
    Ok((places, nodes))
}

fn read(
    host: &impl Host,
    path: &Utf8Path,
    hypervisor: Hypervisor,
) -> Result<Option<Result<Guest, String>>, HostError> {
    let file = match host.read(path, MAX_BYTES) {
        Ok(file) => file,
        Err(error @ (HostError::TooLarge { .. } | HostError::NotAFile { .. })) => {
            return Ok(Some(Err(error.to_string())));
        }
        Err(error) => return Err(error),
    };
    let Some(file) = file else { return Ok(None) };
    let Ok(text) = String::from_utf8(file.bytes) else {
        return Ok(Some(Err(format!("`{path}` is not UTF-8"))));
    };
    Ok(Some(guest::read(path.as_str(), &text, hypervisor).map_err(|damage| damage.to_string())))
}

fn claims(
    network: &Network,
    pools: &Pools,
    number: u32,
    hypervisor: Hypervisor,
    guest: &Guest,
) -> Vec<Claim> {
    let kind = match hypervisor {
        Hypervisor::Qemu => "vm",
        Hypervisor::Lxc => "ct",
    };
    let named = guest.name.as_ref().and_then(|name| name.parse::<GuestName>().ok());
    let name = named.or_else(|| format!("{kind}{number}").parse().ok());
    let Some(name) = name.filter(|_| !guest.template) else { return Vec::new() };
    let nics = guest.nics.values().filter_map(|nic| {
        let vnet: VnetId = nic.bridge.as_str().parse().ok()?;
        let zone = network.zones.values().find(|zone| zone.vnets.contains_key(&vnet))?;
        let has_addresses = (zone.dhcp.is_some() || zone.ipam.is_some())
            && zone.vnets[&vnet].subnets().next().is_some();
        let fixed = nic.addresses.iter().copied().filter(|at| pools.contain(&vnet, *at)).collect();
        has_addresses.then(|| Claim {
            fixed,
            vnet,
            mac: nic.mac.clone(),
            guest: name.clone(),
            hostname: None,
            origin: Origin::Found,
        })
    });
    nics.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::Tree;
    use crate::host::fake::Fake;
    use crate::validate;

    const NETWORK: &str = "nodes: {n1: {}, n2: {}}\n\
        zones: {za: {type: simple, ipam: pve}}\n\
        vnets: {va: {zone: za, subnets: {10.0.0.0/24: {gateway: 10.0.0.1}}}}\n";
    const GUEST: &str = "name: web\nnet0: virtio=BC:24:11:00:00:01,bridge=va\n";

    fn network() -> Network {
        let files = [("weft.yaml", "weft: 1\ncluster: lab\n"), ("sdn/a.yaml", NETWORK)];
        let files = files.map(|(path, text)| (path.parse().unwrap(), text.into()));
        validate::check(&Tree::new(None, files), None, &[]).0.unwrap()
    }

    fn put(host: &Fake, path: &str, text: &str) {
        host.put(&format!("/etc/pve/{path}"), text.as_bytes(), 0o640);
    }

    fn cluster() -> Fake {
        let host = Fake::default();
        let members = r#"{"nodename":"n1","cluster":{"quorate":1},
            "nodelist":{"n1":{"online":1},"n2":{"online":0}}}"#;
        put(&host, ".members", members);
        put(&host, "nodes/n1/qemu-server/100.conf", GUEST);
        put(&host, "nodes/n2/lrm_status", "");
        host
    }

    fn names(host: &Fake) -> (Vec<String>, bool) {
        let found = found(host, &network()).unwrap();
        let names = found.claims.iter().map(|claim| claim.guest.to_string());
        (names.collect(), found.complete)
    }

    #[test]
    fn a_guest_that_moves_while_it_is_looked_for_is_found() {
        let host = cluster();
        assert_eq!(names(&host), (vec!["web".to_owned()], true));
        // The listing of one directory misses it, as when it is on its way to another.
        host.hide_once("100.conf");
        assert_eq!(names(&host), (vec!["web".to_owned()], true));
        let before = fingerprint(&host).unwrap();
        put(&host, "nodes/n2/qemu-server/100.conf", GUEST);
        host.take("/etc/pve/nodes/n1/qemu-server/100.conf");
        assert_ne!(fingerprint(&host).unwrap(), before);
        assert_eq!(names(&host), (vec!["web".to_owned()], true));
    }

    #[test]
    fn who_is_not_found_is_gone_only_where_everybody_was_read() {
        let host = cluster();
        put(&host, "nodes/n2/lxc/7.conf", &"#".repeat((1 << 20) + 1));
        assert_eq!(names(&host), (vec!["web".to_owned()], false));
        host.take("/etc/pve/nodes/n2/lxc/7.conf");
        put(
            &host,
            "nodes/n2/lxc/7.conf",
            "hostname: not a name\nnet0: bridge=va,hwaddr=02:00:00:00:00:07\n",
        );
        put(
            &host,
            "nodes/n2/lxc/8.conf",
            "template: 1\nnet0: bridge=va,hwaddr=02:00:00:00:00:08\n",
        );
        assert_eq!(names(&host), (vec!["ct7".to_owned(), "web".to_owned()], true));
        put(&host, ".members", "{\"nodelist\": {\"n1\": {\"online\": 1}}}");
        assert!(!names(&host).1);
        put(&host, ".members", "{");
        assert!(!names(&host).1);
        assert_eq!(names(&Fake::default()), (Vec::new(), false));
    }
}

//! The nodes of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::KnownNode;
use super::emit::{Item, Map};
use super::object::Import;
use crate::declare::pve::corosync::Member;
use crate::value::NodeName;

impl Import {
    /// The members of the cluster, as `corosync.conf` has them. What leads to a node
    /// when all else fails is the first ring. Where tunnels end is the ring address
    /// that some list of peers names: no other is declared, because it could change
    /// what is rendered.
    pub(super) fn members(&mut self, members: &[Member]) -> BTreeMap<NodeName, KnownNode> {
        let mut nodes = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for member in members {
            let Ok(name) = member.name.parse::<NodeName>() else {
                let message = "is no name that a node can have; declare the node by hand";
                let object = format!("corosync.conf: `{}`", member.name.escape_debug());
                self.remarks.push(super::Remark { object, message: message.to_owned() });
                continue;
            };
            let rings: Vec<Option<IpAddr>> =
                member.rings.iter().map(|ring| ring.parse().ok()).collect();
            let mut peers = rings.iter().flatten().filter(|ring| self.peers.contains(ring));
            let address = peers.find(|ring| taken.insert(**ring)).copied();
            let management = rings.first().copied().flatten();
            if management.is_none() {
                let message = "its first ring is no address, so its `management` is not known";
                self.remark("node", name.as_str(), message.to_owned());
            }
            nodes.insert(name, KnownNode { address, management });
        }
        nodes
    }

    /// The nodes that are known, and those that some object names.
    pub(super) fn nodes(&mut self, known: &BTreeMap<NodeName, KnownNode>) -> Map {
        let mut map = Map::default();
        let mut without = false;
        for name in self.named.iter().chain(known.keys()).collect::<BTreeSet<_>>() {
            let known = known.get(name).copied().unwrap_or_default();
            let mut node = Map::compact();
            let addresses = [("address", known.address), ("management", known.management)];
            for (key, address) in addresses {
                if let Some(address) = address {
                    node.insert(key.to_owned(), Item::Text(address.to_string()));
                }
            }
            without |= known.address.is_none();
            map.insert(name.to_string(), Item::Map(node));
        }
        if !map.has_entries() {
            let message = "no node is known; declare those of the cluster, or nothing is rendered";
            self.remark_at("sdn/nodes.yaml", message);
        }
        if without {
            map.note("`address` is where tunnels to a node end. It is not set where no list of");
            map.note("peers names an address of the node; zones without `peers` need it.");
        }
        map
    }
}

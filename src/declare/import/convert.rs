//! The options of each kind of object, and how Proxmox writes their values.
//!
//! Numbers come as text or as numbers, booleans as 0, 1, text or true, node lists
//! as text, lists or the keys of a map (`pve-ondisk.md` §3).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::Value as Json;

use super::emit::{Item, Map};
use crate::declare::pve::config::{items, lines, scalar as text, truth};
use crate::declare::zone::{DhcpServer, VlanProtocol};
use crate::value::{
    Alias, Area, Asn, Cidr, ControllerId, DnsId, DnsName, FabricId, Fingerprint, IfName, IpamId,
    IsisNet, MacAddress, Mtu, NodeName, Port, RouteTarget, ServiceTag, ServiceUrl, Tag, Word,
    ZoneId,
};

/// One option of a kind of object.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) form: Form,
}

/// How a value is written, and which of them a declaration can hold.
pub(super) enum Form {
    /// A single text.
    Text(fn(&str) -> bool),
    /// A whole number.
    Number(fn(&str) -> bool),
    /// Yes or no.
    Flag,
    /// Several in an order that matters.
    List(fn(&str) -> bool),
    /// Several in no order.
    Set(fn(&str) -> bool),
    /// An address.
    Address,
    /// Addresses in an order that matters.
    Addresses,
    /// Property strings `key=value,…`, with the options that each may have and
    /// those that each must have.
    Properties(&'static [Field], &'static [&'static str]),
}

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

macro_rules! options {
    ($table:ident: $($name:literal $form:expr;)*) => {
        pub(super) const $table: &[Field] = &[$(Field { name: $name, form: $form }),*];
    };
}

use Form::{Address, Addresses, Flag, List, Number, Properties, Set, Text};

options! { ZONE:
    "nodes" Set(is::<NodeName>);
    "ipam" Text(is::<IpamId>);
    "dns" Text(is::<DnsId>);
    "reversedns" Text(is::<DnsId>);
    "dnszone" Text(is::<DnsName>);
    "mtu" Number(is::<Mtu>);
    "dhcp" Text(|word| DhcpServer::WORDS.contains(&word));
    "bridge" Text(is::<IfName>);
    "bridge-disable-mac-learning" Flag;
    "tag" Number(is::<ServiceTag>);
    "vlan-protocol" Text(|word| VlanProtocol::WORDS.contains(&word));
    "peers" Addresses;
    "fabric" Text(is::<FabricId>);
    "vxlan-port" Number(is::<Port>);
    "controller" Text(is::<ControllerId>);
    "vrf-vxlan" Number(is::<Tag>);
    "mac" Text(is::<MacAddress>);
    "exitnodes" Set(is::<NodeName>);
    "exitnodes-primary" Text(is::<NodeName>);
    "exitnodes-local-routing" Flag;
    "advertise-subnets" Flag;
    "disable-arp-nd-suppression" Flag;
    "rt-import" List(is::<RouteTarget>);
}

options! { VNET:
    "zone" Text(is::<ZoneId>);
    "tag" Number(is::<Tag>);
    "alias" Text(is::<Alias>);
    "vlanaware" Flag;
    "isolate-ports" Flag;
}

options! { SUBNET:
    "gateway" Address;
    "snat" Flag;
    "dnszoneprefix" Text(is::<DnsName>);
    "dhcp-range" Properties(DHCP_RANGE, &["start-address", "end-address"]);
    "dhcp-dns-server" Address;
}

options! { DHCP_RANGE:
    "start-address" Address;
    "end-address" Address;
}

options! { CONTROLLER:
    "asn" Number(is::<Asn>);
    "peers" Addresses;
    "fabric" Text(is::<FabricId>);
    "node" Text(is::<NodeName>);
    "ebgp" Flag;
    "ebgp-multihop" Number(is::<Asn>);
    "loopback" Text(is::<IfName>);
    "bgp-multipath-as-path-relax" Flag;
    "isis-domain" Text(is::<Word>);
    "isis-ifaces" List(is::<IfName>);
    "isis-net" Text(is::<IsisNet>);
}

options! { FABRIC:
    "ip_prefix" Text(is::<Cidr>);
    "ip6_prefix" Text(is::<Cidr>);
    "hello_interval" Number(is::<Asn>);
    "csnp_interval" Number(is::<Asn>);
    "area" Text(is::<Area>);
}

options! { FABRIC_NODE:
    "ip" Address;
    "ip6" Address;
    "interfaces" Properties(FABRIC_INTERFACE, &["name"]);
}

options! { IPAM:
    "url" Text(is::<ServiceUrl>);
    "section" Number(is::<Asn>);
    "fingerprint" Text(is::<Fingerprint>);
}

options! { DNS:
    "url" Text(is::<ServiceUrl>);
    "ttl" Number(is::<Asn>);
    "reversemaskv6" Number(is::<Asn>);
    "fingerprint" Text(is::<Fingerprint>);
}

options! { FABRIC_INTERFACE:
    "name" Text(is::<IfName>);
    "ip" Text(is::<Cidr>);
    "ip6" Text(is::<Cidr>);
    "hello_multiplier" Number(is::<Asn>);
}

impl Form {
    /// The value as a declaration has it, or `None` where it can hold no such one.
    pub(super) fn convert(&self, value: &Json) -> Option<Item> {
        let each = |legal: fn(&str) -> bool| {
            items(value).filter(|items| items.iter().all(|item| legal(item)))
        };
        let list = |items: Vec<String>| Item::List(items.into_iter().map(Item::Text).collect());
        match self {
            Text(legal) => text(value).filter(|text| legal(text)).map(Item::Text),
            Address => text(value).filter(|text| is::<IpAddr>(text)).map(Item::Text),
            Number(legal) => text(value).filter(|text| legal(text)).map(Item::Bare),
            Flag => truth(value).map(|is| Item::Bare(is.to_string())),
            List(legal) => each(*legal).map(list),
            Addresses => each(is::<IpAddr>).map(list),
            Set(legal) => {
                let set: BTreeSet<String> = each(*legal)?.into_iter().collect();
                Some(list(set.into_iter().collect()))
            }
            Properties(table, required) => {
                let maps = lines(value)?;
                let maps = maps.iter().map(|text| {
                    let map = properties(text, table)?;
                    required.iter().all(|key| map.contains(key)).then_some(Item::Map(map))
                });
                maps.collect::<Option<Vec<_>>>().map(Item::List)
            }
        }
    }

    /// The addresses that are not written as they are rendered, and how they are.
    pub(super) fn respelled(&self, value: &Json) -> Vec<(String, String)> {
        let written = match self {
            Address => text(value).into_iter().collect(),
            Addresses => items(value).unwrap_or_default(),
            _ => Vec::new(),
        };
        let spelled = written.into_iter().filter_map(|written| {
            let rendered = written.parse::<IpAddr>().ok()?.to_string();
            (rendered != written).then_some((written, rendered))
        });
        spelled.collect()
    }
}

/// A property string, each key at most once, in the order of the table.
fn properties(text: &str, table: &[Field]) -> Option<Map> {
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=')?;
        if found.insert(key, value).is_some() {
            return None;
        }
    }
    let mut map = Map::default();
    for Field { name, form } in table {
        if let Some(value) = found.remove(name) {
            map.insert((*name).to_owned(), form.convert(&Json::from(value))?);
        }
    }
    found.is_empty().then_some(map)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::declare::shape::Shape;
    use crate::declare::{controller, fabric, service, vnet, zone};

    /// What can be declared can be imported, but for what Proxmox does not have.
    #[test]
    fn every_option_is_in_its_table() {
        fn declared<T: Shape>() -> BTreeSet<String> {
            let schema = T::schema();
            schema["properties"].as_object().expect("an object").keys().cloned().collect()
        }
        let tables: [(&[Field], BTreeSet<String>, &[&str]); 9] = [
            (ZONE, declared::<zone::Zone>(), &["type", "external-peers"]),
            (VNET, declared::<vnet::Vnet>(), &["subnets"]),
            (SUBNET, declared::<vnet::Subnet>(), &["dhcp-pool", "dhcp-servers", "dhcp-options"]),
            (CONTROLLER, declared::<controller::Controller>(), &["type", "external-peers"]),
            (FABRIC, declared::<fabric::Fabric>(), &["type", "nodes"]),
            (FABRIC_NODE, declared::<fabric::FabricNode>(), &[]),
            (FABRIC_INTERFACE, declared::<fabric::FabricInterface>(), &[]),
            (IPAM, declared::<service::Ipam>(), &["type", "token"]),
            (DNS, declared::<service::Dns>(), &["type", "key"]),
        ];
        for (table, declared, others) in tables {
            let names = table.iter().map(|field| field.name).chain(others.iter().copied());
            assert_eq!(names.map(str::to_owned).collect::<BTreeSet<_>>(), declared);
        }
    }
}

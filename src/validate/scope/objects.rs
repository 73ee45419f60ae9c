//! What each kind of object may say.

use std::net::IpAddr;

use super::outline::Zones;
use super::{Side, same};
use crate::declare::policy::{IdPattern, Kind, Scope};
use crate::declare::shape::{Entries, KeyShape};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{controller, fabric, guest, node, service, vnet};
use crate::value::{At, Cidr, Tag, ZoneId};

/// The objects of one side that are not the same on the other.
pub(super) struct Objects<'a> {
    pub(super) scope: &'a Scope,
    pub(super) this: &'a Side,
    pub(super) other: &'a Side,
    /// The zones of this side's tree.
    pub(super) zones: &'a Zones,
    /// Whether this side is the commit's.
    pub(super) is_new: bool,
}

type Within = Result<(), String>;

impl Objects<'_> {
    pub(super) fn judge(&self) -> Within {
        let declared = &self.this.declared;
        let scope = self.scope;
        self.each(Kind::Nodes, scope.nodes.as_ref(), &declared.nodes, |_, node| self.node(node))?;
        self.each(Kind::Zones, scope.zones.as_ref(), &declared.zones, |_, zone| self.zone(zone))?;
        self.each(Kind::Vnets, scope.vnets.as_ref(), &declared.vnets, |_, vnet| self.vnet(vnet))?;
        self.each(
            Kind::Controllers,
            scope.controllers.as_ref(),
            &declared.controllers,
            |_, controller| self.controller(controller),
        )?;
        self.each(Kind::Fabrics, scope.fabrics.as_ref(), &declared.fabrics, |_, fabric| {
            self.fabric(fabric)
        })?;
        self.each(Kind::Ipams, scope.ipams.as_ref(), &declared.ipams, |_, ipam| self.ipam(ipam))?;
        self.each(Kind::Dns, scope.dns.as_ref(), &declared.dns, |_, dns| self.dns(dns))?;
        self.each(Kind::Guests, scope.guests.as_ref(), &declared.guests, |_, guest| {
            self.guest(guest)
        })
    }

    fn each<K: KeyShape + std::fmt::Display, T>(
        &self,
        kind: Kind,
        ids: List<'_, IdPattern>,
        entries: &Entries<K, T>,
        judge: impl Fn(&K, &T) -> Within,
    ) -> Within {
        for (id, entry) in entries {
            let text = id.to_string();
            if same(kind.as_str(), &text, self.this, self.other) {
                continue;
            }
            if !self.scope.kinds.value.iter().any(|one| one.value == kind) {
                return Err(format!(
                    "`{text}` is one of the `{kind}`, which are not among its `kinds`"
                ));
            }
            listed(ids, kind.as_str(), &text)
                .and_then(|()| judge(id, &entry.value))
                .map_err(|how| format!("`{text}` of `{kind}`: {how}"))?;
        }
        Ok(())
    }

    fn node(&self, node: &node::Node) -> Within {
        let node::Node { address, management, labels: _ } = node;
        self.addresses(address)?;
        self.addresses(management)
    }

    fn zone(&self, zone: &Zone) -> Within {
        let Zone {
            kind,
            nodes,
            ipam,
            dns,
            reversedns,
            dnszone,
            mtu: _,
            dhcp,
            bridge,
            bridge_disable_mac_learning: _,
            tag,
            vlan_protocol: _,
            peers,
            external_peers,
            fabric,
            vxlan_port,
            controller,
            vrf_vxlan,
            mac: _,
            exitnodes,
            exitnodes_primary,
            exitnodes_local_routing: _,
            advertise_subnets: _,
            disable_arp_nd_suppression: _,
            rt_import,
        } = zone;
        let scope = self.scope;
        // Proxmox gives a simple zone's dnsmasq to every node, also where the zone is not.
        let is_everywhere = of(scope.nodes.as_ref()).any(IdPattern::is_all);
        if dhcp.is_some() && kind.value == ZoneType::Simple && !is_everywhere {
            return Err("it has `dhcp`, which a simple zone has on every node, and `*` is not among the `nodes` of its scope".to_owned());
        }
        match nodes {
            Some(nodes) => all_listed(scope.nodes.as_ref(), "nodes", &nodes.value)?,
            None if is_everywhere => {}
            None => {
                return Err("it has no `nodes`, so it is on all of them, and `*` is not among the `nodes` of its scope".to_owned());
            }
        }
        all_listed(scope.ipams.as_ref(), "ipams", ipam)?;
        all_listed(scope.dns.as_ref(), "dns", dns)?;
        all_listed(scope.dns.as_ref(), "dns", reversedns)?;
        if let Some(name) = dnszone {
            let text = name.value.to_string().to_ascii_lowercase();
            let mut above =
                text.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| &text[at + 1..]);
            let inside = listed(scope.dnszones.as_ref(), "dnszones", &text);
            inside.or_else(|how| {
                if above.any(|above| of(scope.dnszones.as_ref()).any(|one| one.matches(above))) {
                    Ok(())
                } else {
                    Err(how)
                }
            })?;
        }
        all_listed(scope.bridges.as_ref(), "bridges", bridge)?;
        if let Some(tag) = tag {
            self.vlan(tag.value.get())?;
        }
        self.addresses(peers.iter().flat_map(|peers| &peers.value))?;
        self.addresses(external_peers.iter().flat_map(|peers| &peers.value))?;
        all_listed(scope.fabrics.as_ref(), "fabrics", fabric)?;
        if vxlan_port.is_some() {
            return Err("it has a `vxlan-port`, which all of a node share".to_owned());
        }
        all_listed(scope.controllers.as_ref(), "controllers", controller)?;
        if let Some(vni) = vrf_vxlan {
            vni_fits(scope, vni.value.get())?;
        }
        all_listed(
            scope.exitnodes.as_ref(),
            "exitnodes",
            exitnodes.iter().flat_map(|nodes| &nodes.value),
        )?;
        all_listed(scope.exitnodes.as_ref(), "exitnodes", exitnodes_primary)?;
        for target in rt_import.iter().flat_map(|targets| &targets.value) {
            let target = target.value;
            if !of(scope.route_targets.as_ref()).any(|targets| targets.contains(target)) {
                return Err(not_listed("route-targets", &target.to_string()));
            }
        }
        Ok(())
    }

    fn vnet(&self, vnet: &vnet::Vnet) -> Within {
        let vnet::Vnet { zone, tag, alias: _, vlanaware: _, isolate_ports: _, subnets } = vnet;
        let scope = self.scope;
        all_listed(scope.zones.as_ref(), "zones", [zone])?;
        // What is taken away was judged when it came, and its zone may be gone already.
        if self.is_new || self.zones.types(&zone.value).is_some() {
            tag_fits(scope, self.zones, &zone.value, tag.as_ref().map(|tag| tag.value))?;
        }
        for (prefix, subnet) in subnets.iter().flat_map(|subnets| &subnets.value) {
            let vnet::Subnet {
                gateway,
                snat: _,
                dnszoneprefix: _,
                dhcp_range,
                dhcp_dns_server: _,
                dhcp_pool,
                dhcp_servers,
                dhcp_options: _,
            } = &subnet.value;
            self.prefix(prefix)?;
            self.addresses(gateway)?;
            for range in dhcp_range.iter().chain(dhcp_pool).flat_map(|ranges| &ranges.value) {
                self.addresses([&range.start_address, &range.end_address])?;
            }
            let servers = dhcp_servers.iter().flat_map(|servers| &servers.value);
            self.addresses(servers.map(|(_, server)| &server.value))?;
        }
        Ok(())
    }

    fn controller(&self, controller: &controller::Controller) -> Within {
        let controller::Controller {
            kind: _,
            asn: _,
            peers,
            external_peers,
            fabric,
            node,
            ebgp: _,
            ebgp_multihop: _,
            loopback,
            bgp_multipath_as_path_relax: _,
            isis_domain: _,
            isis_ifaces,
            isis_net: _,
        } = controller;
        let scope = self.scope;
        self.addresses(peers.iter().flat_map(|peers| &peers.value))?;
        self.addresses(external_peers.iter().flat_map(|peers| &peers.value))?;
        all_listed(scope.fabrics.as_ref(), "fabrics", fabric)?;
        all_listed(scope.nodes.as_ref(), "nodes", node)?;
        all_listed(scope.bridges.as_ref(), "bridges", loopback)?;
        all_listed(
            scope.bridges.as_ref(),
            "bridges",
            isis_ifaces.iter().flat_map(|names| &names.value),
        )
    }

    fn fabric(&self, fabric: &fabric::Fabric) -> Within {
        let fabric::Fabric {
            kind: _,
            ip_prefix,
            ip6_prefix,
            hello_interval: _,
            csnp_interval: _,
            area: _,
            nodes,
        } = fabric;
        for prefix in ip_prefix.iter().chain(ip6_prefix) {
            self.prefix(&prefix.value)?;
        }
        for (name, node) in nodes.iter().flat_map(|nodes| &nodes.value) {
            let fabric::FabricNode { ip, ip6, interfaces } = &node.value;
            listed(self.scope.nodes.as_ref(), "nodes", name.as_str())?;
            self.addresses(ip)?;
            self.addresses(ip6)?;
            for interface in interfaces.iter().flat_map(|interfaces| &interfaces.value) {
                let fabric::FabricInterface { name, ip, ip6, hello_multiplier: _ } = interface;
                all_listed(self.scope.bridges.as_ref(), "bridges", [name])?;
                for address in ip.iter().chain(ip6) {
                    self.inside(address.value.net().addr())?;
                }
            }
        }
        Ok(())
    }

    fn ipam(&self, ipam: &service::Ipam) -> Within {
        let service::Ipam { kind: _, url: _, token, section: _, fingerprint: _ } = ipam;
        all_listed(self.scope.credentials.as_ref(), "credentials", token)
    }

    fn dns(&self, dns: &service::Dns) -> Within {
        let service::Dns { kind: _, url: _, key, ttl: _, reversemaskv6: _, fingerprint: _ } = dns;
        all_listed(self.scope.credentials.as_ref(), "credentials", [key])
    }

    fn guest(&self, guest: &guest::Guest) -> Within {
        let guest::Guest { nics, hostname: _ } = guest;
        for nic in &nics.value {
            let guest::Nic { vnet, mac: _, addresses, dhcp_options: _ } = nic;
            all_listed(self.scope.vnets.as_ref(), "vnets", [vnet])?;
            self.addresses(addresses.iter().flat_map(|addresses| &addresses.value))?;
        }
        Ok(())
    }

    fn vlan(&self, tag: u32) -> Within {
        vlan_fits(self.scope, tag)
    }

    fn addresses<'i>(&self, addresses: impl IntoIterator<Item = &'i At<IpAddr>>) -> Within {
        addresses.into_iter().try_for_each(|address| self.inside(address.value))
    }

    fn inside(&self, address: IpAddr) -> Within {
        let fits = of(self.scope.addresses.as_ref()).any(|prefix| prefix.contains(address));
        if fits { Ok(()) } else { Err(not_listed("addresses", &address.to_string())) }
    }

    fn prefix(&self, prefix: &Cidr) -> Within {
        let fits =
            of(self.scope.addresses.as_ref()).any(|outer| outer.net().contains(&prefix.net()));
        if fits { Ok(()) } else { Err(not_listed("addresses", prefix.as_str())) }
    }
}

/// Whether a vnet of a zone may have a tag: a VLAN or a network identifier, by the type of
/// the zone. Without one it would carry every VLAN of the zone.
pub(super) fn tag_fits(scope: &Scope, zones: &Zones, zone: &ZoneId, tag: Option<Tag>) -> Within {
    let Some(types) = zones.types(zone) else {
        return Err(format!(
            "zone `{zone}` is not declared, so nobody can say what a tag in it is"
        ));
    };
    for kind in types {
        match (kind, tag.map(Tag::get)) {
            (ZoneType::Simple, None) => {}
            (_, None) => {
                return Err(format!("it has no `tag`, and zone `{zone}` is of type {kind}"));
            }
            (ZoneType::Vxlan | ZoneType::Evpn, Some(tag)) => vni_fits(scope, tag)?,
            (ZoneType::Simple | ZoneType::Vlan | ZoneType::Qinq, Some(tag)) => {
                vlan_fits(scope, tag)?;
            }
        }
    }
    Ok(())
}

fn vlan_fits(scope: &Scope, tag: u32) -> Within {
    let fits = of(scope.tags.as_ref()).any(|tags| tags.contains(tag));
    if fits { Ok(()) } else { Err(not_listed("tags", &tag.to_string())) }
}

fn vni_fits(scope: &Scope, vni: u32) -> Within {
    let fits = of(scope.vnis.as_ref()).any(|vnis| vnis.contains(vni));
    if fits { Ok(()) } else { Err(not_listed("vnis", &vni.to_string())) }
}

/// A list of a scope, perhaps missing.
type List<'a, T> = Option<&'a At<Vec<At<T>>>>;

fn of<T>(list: List<'_, T>) -> impl Iterator<Item = &T> {
    list.into_iter().flat_map(|list| &list.value).map(|one| &one.value)
}

fn all_listed<'i, T: std::fmt::Display + 'i>(
    list: List<'_, IdPattern>,
    name: &str,
    ids: impl IntoIterator<Item = &'i At<T>>,
) -> Within {
    ids.into_iter().try_for_each(|id| listed(list, name, &id.value.to_string()))
}

fn listed(list: List<'_, IdPattern>, name: &str, id: &str) -> Within {
    let fits = of(list).any(|pattern| pattern.matches(id));
    if fits { Ok(()) } else { Err(not_listed(name, id)) }
}

fn not_listed(name: &str, what: &str) -> String {
    format!("{what} is not among the `{name}` of its scope")
}

//! What fabrics add (`pve-rendering.md` §2.4), in the order of their ids: only those that the node
//! is in.

use std::net::{IpAddr, Ipv4Addr};

use super::config::Config;
use super::interior::{Net, OpenfabricInterface, OspfInterface, OspfRole, Timing};
use super::policy::{AccessRule, Action, Family, Match, RouteMapEntry, Set};
use super::{Impossible, Site};
use crate::network::{Fabric, FabricNode, FabricProtocol};
use crate::render::Subject;
use crate::render::endpoint::dummy;
use crate::value::{Area, Cidr, FabricId};

/// The first entry of a route map, and the distance to the next. All fabrics count together.
const FIRST_ENTRY: u32 = 100;
const ENTRY_STEP: u32 = 10;

/// Adds the fabrics that this node is in.
pub(super) fn all(site: &Site<'_>, config: &mut Config) -> Result<(), Impossible> {
    let mut builder = Builder { config, seq: FIRST_ENTRY, net: None };
    for (id, fabric) in &site.network.fabrics {
        let Some(node) = fabric.nodes.get(site.node) else { continue };
        match &fabric.protocol {
            FabricProtocol::Openfabric { hello_interval, csnp_interval, .. } => {
                let timing = Timing {
                    hello_interval: *hello_interval,
                    csnp_interval: *csnp_interval,
                    hello_multiplier: None,
                };
                builder.openfabric(id, fabric, node, timing)?;
            }
            FabricProtocol::Ospf { ip_prefix, area } => {
                builder.ospf(id, ip_prefix, area, node)?;
            }
        }
    }
    Ok(())
}

struct Builder<'a> {
    config: &'a mut Config,
    seq: u32,
    /// Made of the node's address in its first fabric, and the same in all.
    net: Option<Net>,
}

impl Builder<'_> {
    fn openfabric(
        &mut self,
        id: &FabricId,
        fabric: &Fabric,
        node: &FabricNode,
        timing: Timing,
    ) -> Result<(), Impossible> {
        let first = || node.ip.map(Net::V4).or(node.ip6.map(Net::V6));
        let net = self.net.or_else(first).ok_or_else(|| no_address(id))?;
        self.net = Some(net);
        self.config.openfabric.routers.insert(id.clone(), net);

        let interface = |timing| OpenfabricInterface {
            fabric: id.clone(),
            ipv4: node.ip.is_some(),
            ipv6: node.ip6.is_some(),
            timing,
        };
        let interfaces = &mut self.config.openfabric.interfaces;
        interfaces.insert(dummy(id), interface(None));
        for member in &node.interfaces {
            let timing = Timing { hello_multiplier: member.hello_multiplier, ..timing };
            interfaces.insert(member.name.clone(), interface(Some(timing)));
        }

        let list = |suffix| format!("pve_openfabric_{id}_{suffix}");
        self.access_list(list("ips"), fabric.ip_prefix());
        self.access_list(list("ip6s"), fabric.ip6_prefix());
        if let Some(source) = node.ip {
            let map = "pve_openfabric";
            self.source(map, Family::V4, list("ips"), source.into());
            self.config.protocols.entry("openfabric").or_default().v4 = Some(map);
        }
        if let Some(source) = node.ip6 {
            let map = "pve_openfabric6";
            self.source(map, Family::V6, list("ip6s"), source.into());
            self.config.protocols.entry("openfabric").or_default().v6 = Some(map);
        }
        Ok(())
    }

    fn ospf(
        &mut self,
        id: &FabricId,
        prefix: &Cidr,
        area: &Area,
        node: &FabricNode,
    ) -> Result<(), Impossible> {
        let source: Ipv4Addr = node.ip.ok_or_else(|| no_address(id))?;
        let ospf = &mut self.config.ospf;
        ospf.router_id.get_or_insert(source);
        let interface = |role| OspfInterface { area: area.clone(), role };
        ospf.interfaces.insert(dummy(id), interface(OspfRole::Passive));
        for member in &node.interfaces {
            let role =
                if member.ip.is_some() { OspfRole::Numbered } else { OspfRole::PointToPoint };
            ospf.interfaces.insert(member.name.clone(), interface(role));
        }
        let list = format!("pve_ospf_{id}_ips");
        self.access_list(list.clone(), Some(prefix));
        let map = "pve_ospf";
        self.source(map, Family::V4, list, source.into());
        self.config.protocols.entry("ospf").or_default().v4 = Some(map);
        Ok(())
    }

    fn access_list(&mut self, name: String, prefix: Option<&Cidr>) {
        self.config.access_lists.extend(prefix.map(|prefix| (name, AccessRule(prefix.net()))));
    }

    /// Packets to the fabric leave with the node's address in it.
    fn source(&mut self, map: &'static str, family: Family, list: String, source: IpAddr) {
        self.config.route_maps.entry(map).or_default().push(RouteMapEntry {
            seq: self.seq,
            action: Action::Permit,
            matches: Some(Match::AccessList(family, list)),
            set: Some(Set::Source(source)),
        });
        self.seq += ENTRY_STEP;
    }
}

fn no_address(id: &FabricId) -> Impossible {
    Impossible::new(
        Subject::Fabric(id.clone()),
        "this node has no address in it that its protocol could use".to_owned(),
    )
}

//! What controllers add (`pve-rendering.md` §2.2), one after the other in the order of their ids.
//!
//! The first that needs BGP makes the router; those behind it only add to it.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::bgp::{Evpn, Group, GroupName, Router, Setting, Unicast};
use super::config::Config;
use super::interior::{IsisInterface, IsisRouter};
use super::policy::{
    Action, CORRECT_SOURCE, FROM_VTEPS, Family, LOOPBACKS, Match, PrefixRule, RouteMapEntry, Set,
    TO_VTEPS,
};
use super::{Impossible, Site};
use crate::network::{BgpController, Controller, EvpnController, IsisController, Peers};
use crate::render::endpoint::{Endpoint, dummy};
use crate::render::{Note, Subject};
use crate::value::{Asn, ControllerId, FabricId, IfName, MacAddress};

/// How this node speaks for an EVPN controller.
pub(super) struct Speaker {
    /// The AS number of its router.
    pub asn: Asn,
    /// Its number among routers.
    pub router_id: Ipv4Addr,
    /// The controller's AS number, where the router has another and route targets are made of
    /// the controller's.
    pub autort: Option<Asn>,
    /// Whether the router has another AS number than the controller.
    external: bool,
    own: Option<IpAddr>,
    loopback: Option<IfName>,
    peers: Vec<IpAddr>,
}

impl Speaker {
    /// How this node speaks; not at all where the reference gives up on the controller.
    pub(super) fn of(
        id: &ControllerId,
        controller: &EvpnController,
        site: &Site<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Self>, Impossible> {
        let mut note = |message: String| {
            notes.push(Note::new(Subject::Controller(id.clone()), message));
            Ok(None)
        };
        let bgp = site.bgp();
        let (end, loopback, peers) = match &controller.peers {
            Peers::Fabric(fabric) => {
                match Endpoint::of(&controller.peers, None, site.network, site.node, site.facts) {
                    Ok(end) => (Some(end), Some(dummy(fabric)), site.fabric_addresses(fabric)),
                    Err(why) => return note(format!("not rendered, because {why}")),
                }
            }
            Peers::Addresses(peers) if peers.is_empty() => {
                return note("not rendered, because it has no peers".to_owned());
            }
            Peers::Addresses(peers) => {
                let loopback = match bgp {
                    Some(bgp) => bgp.loopback.as_ref(),
                    None => site.isis().and_then(|isis| isis.loopback.as_ref()),
                };
                (site.endpoint(&controller.peers, loopback), loopback.cloned(), peers.clone())
            }
        };
        let router_id = site.router_id(id, end.as_ref())?;
        let own = end.map(|end| end.address).filter(|own| !own.is_unspecified());
        let external = bgp.is_some_and(|bgp| bgp.asn != controller.asn);
        let asn = bgp.map(|bgp| bgp.asn).filter(|asn| is_set(*asn)).unwrap_or(controller.asn);
        if !is_set(asn) {
            return note("not rendered, because its AS number is 0".to_owned());
        }
        let autort = Some(controller.asn).filter(|asn| external && is_set(*asn));
        Ok(Some(Self { asn, router_id, autort, external, own, loopback, peers }))
    }
}

/// Whether an AS number counts as given.
fn is_set(asn: Asn) -> bool {
    asn.get() != 0
}

/// Adds an EVPN controller.
pub(super) fn evpn(
    id: &ControllerId,
    speaker: &Speaker,
    site: &Site<'_>,
    config: &mut Config,
    notes: &mut Vec<Note>,
) {
    let mut note = |message| notes.push(Note::new(Subject::Controller(id.clone()), message));
    if let Some(own) = speaker.own.filter(|own| !speaker.peers.contains(own)) {
        note(format!("the peers do not name this node's address {own}"));
    }
    let version = site.facts.frr.as_ref().and_then(|frr| frr.version.as_deref());
    if let (Some(asn), Some(version)) = (speaker.autort, version)
        && !version.contains("pve")
    {
        note(format!(
            "FRR {version} has no `autort as`, which is Proxmox's own: this node takes nothing of \
             vnets from nodes with another AS number than {asn}"
        ));
    }
    let router = config.router.get_or_insert_with(|| {
        let settings = [
            Setting::NoHardAdministrativeReset,
            Setting::NoDefaultIpv4Unicast,
            Setting::CoalesceTime,
            Setting::NoGracefulRestartNotification,
        ];
        Router::new(speaker.asn, speaker.router_id, settings)
    });
    router.groups.push(Group {
        name: GroupName::Vtep,
        remote_as: (!speaker.external).then_some(speaker.asn),
        ebgp_multihop: (speaker.external && speaker.loopback.is_some()).then_some(10),
        update_source: speaker.loopback.clone(),
        neighbors: speaker
            .peers
            .iter()
            .copied()
            .filter(|peer| Some(*peer) != speaker.own)
            .collect(),
    });
    let family = router.evpn.get_or_insert_with(|| Evpn { with_vteps: true, ..Evpn::default() });
    family.autort = speaker.autort.or(family.autort);
    for map in [FROM_VTEPS, TO_VTEPS] {
        config.route_maps.entry(map).or_default().push(RouteMapEntry::everything());
    }
}

/// Adds a BGP controller of this node.
pub(super) fn bgp(
    id: &ControllerId,
    controller: &BgpController,
    site: &Site<'_>,
    config: &mut Config,
    notes: &mut Vec<Note>,
) -> Result<(), Impossible> {
    let subject = || Subject::Controller(id.clone());
    if !is_set(controller.asn) {
        notes.push(Note::new(subject(), "not rendered, because its AS number is 0"));
        return Ok(());
    }
    let peers = Peers::Addresses(controller.peers.clone());
    let loopback = controller.loopback.as_ref();
    let end = site.endpoint(&peers, loopback);
    let router_id = site.router_id(id, end.as_ref())?;
    let own = end.map(|end| end.address).filter(|own| !own.is_unspecified());
    let source = match (loopback, own) {
        (None, _) => None,
        (Some(_), Some(own)) => Some(own),
        (Some(loopback), None) => {
            let why = format!("this node has no address that `{loopback}` could stand for");
            return Err(Impossible::new(subject(), why));
        }
    };
    let hops = controller.ebgp_multihop.filter(|hops| controller.ebgp && *hops != 0);
    let hops = hops.map(u8::try_from).transpose().map_err(|_| {
        Impossible::new(subject(), "FRR takes no `ebgp-multihop` above 255".to_owned())
    })?;

    let router = config.router.get_or_insert_with(|| {
        let settings = [Setting::NoDefaultIpv4Unicast, Setting::CoalesceTime];
        Router::new(controller.asn, router_id, settings)
    });
    if controller.ebgp && loopback.is_some() {
        router.settings.insert(Setting::DisableEbgpConnectedRouteCheck);
    }
    if controller.multipath_as_path_relax {
        router.settings.insert(Setting::MultipathRelax);
    }
    if !controller.peers.is_empty() {
        router.groups.push(Group {
            name: GroupName::Bgp,
            remote_as: (!controller.ebgp).then_some(controller.asn),
            ebgp_multihop: hops,
            update_source: None,
            neighbors: controller.peers.clone(),
        });
        let is_ipv6 = own.is_some_and(|own| own.is_ipv6());
        let family = if is_ipv6 { &mut router.ipv6 } else { &mut router.ipv4 };
        let family =
            family.get_or_insert_with(|| Unicast { with_routers: true, ..Unicast::default() });
        family.networks.extend(source.map(IpNet::from));
    }
    if let Some(source) = source {
        // IPv4 throughout, also for an IPv6 source: so does the reference.
        let everything = PrefixRule { seq: 10, network: Family::V4.everything(), le: Some(32) };
        config.prefix_lists.insert(LOOPBACKS, everything);
        config.protocols.entry("bgp").or_default().v4 = Some(CORRECT_SOURCE);
        config.route_maps.entry(CORRECT_SOURCE).or_default().push(RouteMapEntry {
            seq: 1,
            action: Action::Permit,
            matches: Some(Match::Loopbacks),
            set: Some(Set::Source(source)),
        });
    }
    Ok(())
}

/// Adds an IS-IS controller of this node. Of two for one interface, the later counts.
pub(super) fn isis(controller: &IsisController, site: &Site<'_>, config: &mut Config) {
    if controller.interfaces.is_empty() {
        return;
    }
    let router = IsisRouter { net: controller.net.clone(), custom: Vec::new() };
    config.isis.routers.insert(controller.domain.clone(), router);
    for name in &controller.interfaces {
        let interface = IsisInterface { domain: controller.domain.clone(), custom: Vec::new() };
        config.isis.interfaces.insert(site.kernel_name(name), interface);
    }
}

impl<'a> Site<'a> {
    /// The BGP controller of this node: the first of several.
    fn bgp(&self) -> Option<&'a BgpController> {
        self.network.controllers.values().find_map(|controller| match controller {
            Controller::Bgp(bgp) if bgp.node == *self.node => Some(bgp),
            _ => None,
        })
    }

    /// The IS-IS controller of this node: the first of several.
    fn isis(&self) -> Option<&'a IsisController> {
        self.network.controllers.values().find_map(|controller| match controller {
            Controller::Isis(isis) if isis.node == *self.node => Some(isis),
            _ => None,
        })
    }

    /// This node among peers, where it can be told. The address is unspecified where a route has
    /// no source.
    fn endpoint(&self, peers: &Peers, loopback: Option<&IfName>) -> Option<Endpoint> {
        Endpoint::of(peers, loopback, self.network, self.node, self.facts).ok()
    }

    /// The IPv4 addresses of the nodes of a fabric, in the order of their names.
    fn fabric_addresses(&self, fabric: &FabricId) -> Vec<IpAddr> {
        let nodes = self.network.fabrics.get(fabric).into_iter().flat_map(|fabric| &fabric.nodes);
        nodes.filter_map(|(_, node)| node.ip.map(IpAddr::from)).collect()
    }

    /// The kernel's own name of an interface that may be called by another.
    fn kernel_name(&self, name: &IfName) -> IfName {
        self.facts.interface(name.as_str()).map_or(name, |interface| &interface.name).clone()
    }

    /// An IPv4 address is the router's number; else it is made of the hardware address of the
    /// bridge above the interface, or of the interface itself.
    fn router_id(&self, id: &ControllerId, end: Option<&Endpoint>) -> Result<Ipv4Addr, Impossible> {
        let cannot = |why: String| Err(Impossible::new(Subject::Controller(id.clone()), why));
        let Some(end) = end else {
            return cannot("this node has no route to its peers".to_owned());
        };
        if let IpAddr::V4(address) = end.address
            && !address.is_unspecified()
        {
            return Ok(address);
        }
        let Some(name) = &end.interface else {
            return cannot(format!("the interface that has {} is not known", end.address));
        };
        let interface = self.facts.interface(name.as_str());
        let master = interface
            .and_then(|interface| interface.master.as_ref())
            .and_then(|master| self.facts.interface(master.as_str()));
        let mac = [master, interface].into_iter().flatten().find_map(|one| one.mac.as_ref());
        match mac.map(MacAddress::octets) {
            None => cannot(format!("interface {name} has no hardware address")),
            Some([0, 0, 0, 0, 0, 0]) => {
                cannot(format!("the hardware address of interface {name} is zero"))
            }
            Some([_, _, a, b, c, d]) => Ok(Ipv4Addr::new(a, b, c, d)),
        }
    }
}

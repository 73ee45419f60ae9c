//! `/etc/frr/frr.conf` and `/etc/frr/daemons` of one node (`pve-rendering.md` §2).

mod bgp;
mod config;
mod controller;
mod daemons;
mod fabric;
mod interior;
mod local;
mod policy;
#[cfg(test)]
mod tests;
mod zone;

use std::collections::BTreeMap;

use self::config::Config;
use self::controller::Speaker;
use super::{Note, Subject};
use crate::facts::Facts;
use crate::facts::frr_local::{self, FrrLocal};
use crate::network::{Controller, EvpnZone, Network, Zone, ZoneKind};
use crate::value::{ControllerId, NodeName, ZoneId};

/// What FRR should have on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frr {
    /// Whether there is a configuration of FRR.
    pub conf: Conf,
    /// The text of `/etc/frr/daemons`: the node's own with the daemons that are needed. `None`
    /// where there is no configuration, or where the node's own is not known.
    pub daemons: Option<String>,
    /// What a person should know, in the order of controllers, zones and fabrics.
    pub notes: Vec<Note>,
}

/// Whether a node has a configuration of FRR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Conf {
    /// Nothing needs one, or there is no FRR on the node.
    #[default]
    Unneeded,
    /// One is needed and cannot be made, as the note says.
    Impossible(Note),
    /// The text of `/etc/frr/frr.conf`.
    Text(String),
}

/// Why a node has no configuration of FRR although one is needed.
struct Impossible(Note);

impl Impossible {
    fn new(subject: Subject, why: impl Into<String>) -> Self {
        let why = why.into();
        Self(Note::new(subject, format!("this node gets no frr.conf, because {why}")))
    }
}

/// The place that everything is rendered for.
#[derive(Clone, Copy)]
struct Site<'a> {
    network: &'a Network,
    node: &'a NodeName,
    facts: &'a Facts,
}

/// What FRR should have on a node. Proxmox writes its configuration where there is a controller or
/// a fabric anywhere, or a `frr.conf.local` on the node.
pub(super) fn render(network: &Network, node: &NodeName, facts: &Facts) -> Frr {
    let own = facts.frr.as_ref().and_then(|frr| frr.local.as_deref());
    let controller = network.controllers.keys().next().cloned().map(Subject::Controller);
    let fabric = network.fabrics.keys().next().cloned().map(Subject::Fabric);
    let Some(reason) = controller.or(fabric).or(own.map(|_| Subject::FrrLocal)) else {
        return Frr::default();
    };
    let local = frr_local::parse(own.unwrap_or_default());
    let mut notes: Vec<Note> = local
        .refused()
        .map(|(line, why)| (Subject::FrrLocal, format!("line {line} is left out: {why}")))
        .map(|(subject, message)| Note::new(subject, message))
        .collect();
    let built = build(&Site { network, node, facts }, &local, &mut notes);
    let Some(installed) = &facts.frr else {
        let is_needed = built.map_or(true, |config| config != Config::default());
        let message = "this node needs FRR, and has no /etc/frr";
        let notes = is_needed.then(|| Note::new(reason, message)).into_iter().collect();
        return Frr { notes, ..Frr::default() };
    };
    match built {
        Ok(config) => {
            let daemons = match &installed.daemons {
                Some(text) => daemons::edit(text, &config),
                None => Err("it is not known"),
            };
            if let Err(why) = daemons {
                let message = format!("/etc/frr/daemons stays as it is, because {why}");
                notes.push(Note::new(reason, message));
            }
            Frr { conf: Conf::Text(config.text(node)), daemons: daemons.ok(), notes }
        }
        Err(Impossible(why)) => Frr { conf: Conf::Impossible(why), daemons: None, notes },
    }
}

/// The order is the reference's: controllers, zones, the routes of their vnets, the node's own
/// lines, fabrics.
fn build(
    site: &Site<'_>,
    local: &FrrLocal<'_>,
    notes: &mut Vec<Note>,
) -> Result<Config, Impossible> {
    let mut config = Config::default();
    let mut speakers: BTreeMap<&ControllerId, Speaker> = BTreeMap::new();
    for (id, controller) in &site.network.controllers {
        match controller {
            Controller::Evpn(evpn) => {
                if let Some(speaker) = Speaker::of(id, evpn, site, notes)? {
                    controller::evpn(id, &speaker, site, &mut config, notes);
                    speakers.insert(id, speaker);
                }
            }
            Controller::Bgp(bgp) if bgp.node == *site.node => {
                controller::bgp(id, bgp, site, &mut config, notes)?;
            }
            Controller::Isis(isis) if isis.node == *site.node => {
                controller::isis(isis, site, &mut config);
            }
            Controller::Bgp(_) | Controller::Isis(_) => {}
        }
    }
    let is_exit = evpn_zones(site.network).any(|(_, _, evpn)| evpn.exit_nodes.contains(site.node));
    let subnets = if is_exit { zone::Subnets::of(site.network) } else { zone::Subnets::default() };
    for (id, _, evpn) in evpn_zones(site.network) {
        if let Some(speaker) = speakers.get(&evpn.controller) {
            zone::evpn(id, evpn, speaker, site, &subnets, &mut config);
        }
    }
    zone::local_routes(evpn_zones(site.network), site, &mut config);
    local::merge(local, &mut config)?;
    fabric::all(site, &mut config)?;
    Ok(config)
}

/// The EVPN zones whose controller is one for EVPN.
fn evpn_zones(network: &Network) -> impl Iterator<Item = (&ZoneId, &Zone, &EvpnZone)> {
    network.zones.iter().filter_map(|(id, zone)| match &zone.kind {
        ZoneKind::Evpn(evpn) => {
            let controller = network.controllers.get(&evpn.controller);
            matches!(controller, Some(Controller::Evpn(_))).then_some((id, zone, evpn))
        }
        _ => None,
    })
}

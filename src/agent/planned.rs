//! The plan from what stands on a node to what an accepted commit declares.

use std::sync::Arc;

use super::error::TurnError;
use super::node::{found, owned};
use super::publish;
use super::settings::{Pve, Settings};
use crate::declare::Tree;
use crate::declare::policy::Removal;
use crate::facts::Facts;
use crate::host::{Host, configured_guests};
use crate::network::Network;
use crate::plan::{
    Check, Passage, Plan, RemovalLimits, Sign, changes_network, plan_towards, services_target,
    target,
};
use crate::render::render;
use crate::sync::Verified;

/// Looks at the node and plans. `removal` is how much the commit may take away, and
/// `reverts` whether it brings back what the node ran; `tree` is what the network is made of.
pub(super) fn planned(
    host: &impl Host,
    settings: &Settings,
    (tree, network): (&Tree, Verified<Network>),
    facts: Facts,
    removal: Removal,
    reverts: bool,
) -> Result<Verified<Plan>, TurnError> {
    let owned = owned(host)?;
    let sequence = publish::version(host, settings).unwrap_or(network.record().sequence);
    let disagreement = (settings.pve() == Pve::Refuse && !reverts)
        .then(|| publish::disagreement(host, &settings.cluster.value, tree, network.get()))
        .flatten();
    let management = network.get().nodes.get(&facts.node).and_then(|node| node.management);
    let wanted = network.map(|network| render(&network, &facts.node, &facts, settings.profile()));
    let mut found = found(host, wanted.get(), owned.as_ref())?;
    found.management = management;
    found.engine = settings.engine();
    if changes_network(wanted.get(), &found) {
        found.passages = passages(host, settings);
    }
    let target = Arc::new(target(wanted.get(), &found));
    found.kernel = host.kernel_for(&target)?.map(Arc::new);
    let services = services_target(wanted.get(), &found);
    if !services.is_empty() {
        found.services = host.services(services.asks_frr(), &services.zones())?;
    }
    found.guests = configured_guests(host)?;
    let Removal { with_guests, max_vnets, max_percent, everything } = removal;
    found.removable = with_guests;
    found.limits = RemovalLimits { max_vnets, max_percent, everything };
    let planned = wanted.map(|wanted| {
        let mut plan = plan_towards(target, wanted, facts, &found, owned.as_ref(), sequence);
        plan.guards.extend(disagreement);
        plan
    });
    // What a commit that brings earlier files back takes away was not there before.
    Ok(if reverts { planned.map(Plan::reverting) } else { planned })
}

/// How the remotes that are machines are reached now.
fn passages(host: &impl Host, settings: &Settings) -> Vec<Passage> {
    let probes = settings.terms().watchlist.probes.into_iter();
    let remotes: Vec<_> = probes
        .filter_map(|probe| match (probe.sign, probe.check) {
            (Sign::Remote(remote), Check::Tcp { host, .. }) => Some((remote, host)),
            _ => None,
        })
        .collect();
    let hosts: Vec<_> = remotes.iter().map(|(_, host)| host.clone()).collect();
    let ways = host.passages(&hosts);
    let of = |(remote, of): &(_, _)| {
        let ways = ways.iter().filter(|(host, ..)| host == of);
        let remote: &crate::value::Word = remote;
        let passage = |(_, address, interface): &(_, _, String)| Passage {
            remote: remote.clone(),
            address: *address,
            interface: interface.clone(),
        };
        ways.map(passage).collect::<Vec<_>>()
    };
    remotes.iter().flat_map(of).collect()
}

//! Rules about what is known of nodes. Their findings are warnings: two nodes must not
//! disagree on whether a commit is in order. Only what would cut a node off is an error there.

mod addresses;
mod interfaces;
mod underlay;

use crate::declare::controller::ControllerType;
use crate::declare::finding::{Code, Finding};
use crate::declare::zone::{Zone, ZoneType};
use crate::declare::{Declared, Entry, node};
use crate::facts::{Facts, frr_local};
use crate::value::{Place, ZoneId};

use super::placement;
use super::report::Report;

pub(super) use addresses::{free_addresses, free_networks};
pub(super) use interfaces::{bridges, free_names, present};
pub(super) use underlay::{among_peers, room};

/// The first version of FRRouting that the files are written for.
const FRR: u32 = 10;
/// How many characters of a line are shown.
const SHOWN: usize = 80;

/// A declared node of which something is known.
#[derive(Clone, Copy)]
struct Known<'a> {
    declared: &'a Declared,
    facts: &'a Facts,
    node: &'a Entry<node::Node>,
}

/// The declared nodes of which something is known. Facts without an interface, not even
/// the loopback, are those of a node that was never looked at.
fn known<'a>(declared: &'a Declared, facts: &'a [Facts]) -> impl Iterator<Item = Known<'a>> {
    let seen = facts.iter().filter(|facts| !facts.interfaces.is_empty());
    seen.filter_map(move |facts| {
        let node = declared.nodes.get(&facts.node)?;
        Some(Known { declared, facts, node })
    })
}

impl<'a> Known<'a> {
    /// The zones that the node has.
    fn zones(self) -> impl Iterator<Item = (&'a ZoneId, &'a Entry<Zone>)> {
        let zones = self.declared.zones.iter();
        zones.filter(move |(_, zone)| self.has(&zone.value))
    }

    /// Whether the node has a zone.
    fn has(self, zone: &Zone) -> bool {
        placement::has(zone.nodes.as_ref(), &self.facts.node)
    }

    /// The bridges of its zones, with the zone.
    fn zone_bridges(
        self,
    ) -> impl Iterator<Item = (&'a ZoneId, &'a Entry<Zone>, &'a crate::value::At<crate::value::IfName>)>
    {
        self.zones().filter_map(|(id, zone)| {
            let carries = matches!(zone.value.kind.value, ZoneType::Vlan | ZoneType::Qinq);
            Some((id, zone, zone.value.bridge.as_ref().filter(|_| carries)?))
        })
    }
}

/// Where something is declared that FRRouting has to do on a node, and what it is.
fn needs_frr(known: Known<'_>) -> Option<(String, &Place)> {
    let node = &known.facts.node;
    let controller = known.declared.controllers.iter().find(|(_, entry)| {
        entry.value.kind.value == ControllerType::Evpn
            || entry.value.node.as_ref().is_some_and(|on| on.value == *node)
    });
    let fabric = || {
        let of = known.declared.fabrics.iter();
        of.clone().find(|(_, fabric)| super::peers::is_in(node, &fabric.value))
    };
    controller
        .map(|(id, entry)| (format!("controller `{id}`"), &entry.place))
        .or_else(|| fabric().map(|(id, entry)| (format!("fabric `{id}`"), &entry.place)))
}

/// A node that needs FRRouting has one that is new enough.
pub(super) fn frr(declared: &Declared, facts: &[Facts], report: &mut Report) {
    for known in known(declared, facts) {
        let Some((what, place)) = needs_frr(known) else { continue };
        let name = &known.facts.node;
        let finding = match &known.facts.frr {
            None => {
                let message = format!("node `{name}` has no FRRouting, which {what} needs");
                Finding::new(Code::NodeFrrMissing, message, &known.node.place)
            }
            Some(frr) => {
                let Some(version) = frr.version.as_deref() else { continue };
                let first = version.split(|c: char| !c.is_ascii_digit()).next();
                let Some(major) = first.and_then(|text| text.parse::<u32>().ok()) else { continue };
                if major >= FRR {
                    continue;
                }
                let message = format!(
                    "node `{name}` has FRRouting {}, and {what} needs {FRR} or newer",
                    version.escape_debug()
                );
                Finding::new(Code::NodeFrrOld, message, &known.node.place)
            }
        };
        report.push(finding.also(place, "needs it"));
    }
}

/// Nothing that a node's own `frr.conf.local` says is lost.
pub(super) fn frr_local(declared: &Declared, facts: &[Facts], report: &mut Report) {
    for known in known(declared, facts) {
        let Some(text) = known.facts.frr.as_ref().and_then(|frr| frr.local.as_deref()) else {
            continue;
        };
        let local = frr_local::parse(text);
        let mut dropped = local.dropped();
        let Some((line, text)) = dropped.next() else { continue };
        let more = match dropped.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let shown: String = text.chars().take(SHOWN).collect();
        let message = format!(
            "line {line} of frr.conf.local of node `{}`, `{}`, is dropped{more}",
            known.facts.node,
            shown.trim().escape_debug()
        );
        report.push(Finding::new(Code::FrrLocalDropped, message, &known.node.place));
    }
}

//! `weft ipam` where an IPAM server administers a zone.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::failure::failed as of_leases;
use super::registry::{Report, Zones};
use super::{Leave, Site, registry, words};
use crate::agent::addresses::{self, Law};
use crate::agent::found::FoundGuests;
use crate::agent::ipam::Desk;
use crate::agent::names;
use crate::agent::writer::Right;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node::{Node, failed};
use crate::cli::output::{Output, counted};
use crate::host::{Host as _, Linux};
use crate::network::{Lease, Leases};
use crate::plan::addresses::{Allocation, Claim, LeaseChange, Pools, claims};
use crate::plan::ipam::{Refused, administrator};
use crate::reconcile::ipam::{self, Decide, Plan};
use crate::value::{IpamId, ZoneId};

/// Whether any server is declared.
pub(super) fn any(law: &Law) -> bool {
    ipam::servers(&law.network).next().is_some()
}

impl Site<'_> {
    fn desk(&self, leave: names::Leave) -> Desk<'_, Linux> {
        Desk::of(&self.node.host, self.settings, &self.law, leave)
    }

    /// Lets something be done that may take the right to write, and gives that back.
    fn in_turn<T>(
        &self,
        act: impl FnOnce(&mut Right<'_, Linux>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut right = self.right();
        let done = act(&mut right);
        let ended = right.end(None).map_err(of_leases);
        done.and_then(|done| ended.map(|()| done))
    }
}

/// Plans for servers and for names, says what was planned, and does it where that is wanted.
/// Addresses come first, since names follow them.
pub(super) fn run(site: &Site<'_>, leave: Leave, apply: bool) -> Result<Exit, Failure> {
    let mut right = site.right();
    let (done, zones) = match plan_or_apply(site, leave, apply, &mut right) {
        Ok((exit, zones)) => (Ok(exit), zones),
        Err(failure) => (Err(failure), None),
    };
    let ended = right.end(zones.as_ref()).map_err(of_leases);
    done.and_then(|exit| ended.map(|()| exit))
}

fn plan_or_apply(
    site: &Site<'_>,
    leave: Leave,
    apply: bool,
    right: &mut Right<'_, Linux>,
) -> Result<(Exit, Option<Zones>), Failure> {
    let Site { node, law, output, .. } = site;
    let desk = site.desk(names::Leave { force: leave.force, adopt: leave.adopt });
    if desk.is_empty() {
        let Report { exit, document, zones } = registry::run(site, leave, apply, right)?;
        output.document(&document);
        return Ok((exit, zones));
    }
    if apply && let Some(branch) = &site.branch {
        let held = branch.read(&law.allocators).map_err(of_leases)?;
        if law.is_behind(&node.host, &held).map_err(|error| failed(&error))? {
            return Err(registry::is_newer());
        }
    }
    if apply && desk.is_behind() {
        let message = "this node runs an older commit than the newest that it accepted, so that it would take away what that one declares";
        return Err(Failure::new(Exit::Refused, message)
            .hint("`weft status` says why; `weft resume` or `weft sync` brings it up to it"));
    }
    let found = site.others()?;
    let plan = || desk.plan(&found).map_err(|error| failed(&error));
    let (mut planned, mut until) = (plan()?, None);
    if apply && !planned.is_empty() {
        until = right.take().map_err(registry::stands_by)?;
        if until.is_some() {
            // Others may have written since.
            planned = plan()?;
        }
    }
    let (exit, of_servers) = carry(&desk, planned, *output, (apply, until))?;
    if apply {
        site.tell_hosts()?;
    }
    let report = match registry::run(site, leave, apply, right) {
        Ok(report) => report,
        Err(failure) if output.is_json() => {
            // What was done on servers was done.
            let names = failure.json();
            output.document(&json!({ "ok": false, "servers": of_servers, "names": names }));
            return Ok((failure.exit(), None));
        }
        Err(failure) => return Err(failure),
    };
    let mut document = report.document;
    let ok = document["ok"] == json!(true) && of_servers["ok"] == json!(true);
    let pending = document["pending"] == json!(true) || of_servers["pending"] == json!(true);
    document["ok"] = json!(ok);
    if !apply {
        document["pending"] = json!(pending);
    }
    document["servers"] = of_servers;
    output.document(&document);
    Ok((worse(exit, report.exit), report.zones))
}

/// Takes over what is on servers as it is wanted there and carries nobody's mark, and does
/// nothing else.
pub(super) fn adopt(site: &Site<'_>) -> Result<Exit, Failure> {
    let desk = site.desk(names::Leave { force: false, adopt: true });
    let found = site.others()?;
    let plan = || {
        let mut plan = desk.plan(&found).map_err(|error| failed(&error))?;
        plan.adopt_only();
        Ok(plan)
    };
    let (exit, document) = site.in_turn(|right| {
        let (mut planned, mut until) = (plan()?, None);
        if !planned.is_empty() {
            until = right.take().map_err(registry::stands_by)?;
            if until.is_some() {
                planned = plan()?;
            }
        }
        carry(&desk, planned, site.output, (true, until))
    })?;
    site.output.document(&document);
    Ok(exit)
}

/// Shows a plan, and does it where that is wanted, until a time where there is one.
fn carry(
    desk: &Desk<'_, Linux>,
    plan: Plan,
    output: Output,
    (apply, until): (bool, Option<Instant>),
) -> Result<(Exit, Json), Failure> {
    let (counts, nothing) = (plan.counts(), plan.is_empty());
    let refused: Vec<String> = plan.refused().iter().map(ToString::to_string).collect();
    let shown = plan.to_string();
    output.say(if shown.is_empty() { "nothing to do on IPAM servers" } else { &shown });
    if !apply {
        let document = json!({
            "ok": refused.is_empty(), "counts": counts.to_string(), "pending": !nothing,
            "plan": shown, "refused": refused,
        });
        let exit = match (refused.is_empty(), nothing) {
            (false, _) => Exit::Refused,
            (true, false) => Exit::Pending,
            (true, true) => Exit::Ok,
        };
        return Ok((exit, document));
    }
    let outcome = desk.carry_out(plan, until).map_err(|error| failed(&error))?;
    let undone: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
    for line in &undone {
        output.say(format!("not done: {line}"));
    }
    if !nothing {
        let (settled, writes) =
            (counted(outcome.settled, "object"), counted(outcome.writes, "write"));
        output.say(format!("{settled} as wanted, by {writes}"));
    }
    let ok = refused.is_empty() && undone.is_empty();
    let document = json!({
        "ok": ok, "counts": counts.to_string(), "settled": outcome.settled,
        "writes": outcome.writes, "refused": refused, "not_done": undone,
    });
    Ok((if ok { Exit::Ok } else { Exit::Refused }, document))
}

/// Of two exits the one that asks for more.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Ok => 0,
        Exit::Pending => 1,
        _ => 2,
    };
    if rank(one) >= rank(other) { one } else { other }
}

/// Asks servers what they hold, and remembers it.
pub(super) fn read(site: &Site<'_>) -> Result<(), Failure> {
    let refused = site.desk(names::Leave::default()).read().map_err(|error| failed(&error))?;
    for refused in refused {
        Output::notice(format!("warning: {refused}; this is what was read last"));
    }
    Ok(())
}

/// What servers hold as this node read it last, beside the leases of the branch.
pub(super) fn add_leases(node: &Node, leases: &mut Leases) -> Result<(), Failure> {
    let last = addresses::remembered_of_servers(&node.host).map_err(|error| failed(&error))?;
    let known = addresses::known_of_servers(&node.host, Duration::MAX);
    let known = known.map_err(|error| failed(&error))?;
    leases.retain(|(zone, _), _| !known.contains(zone));
    leases.extend(last);
    Ok(())
}

/// Gives every guest what it claims of servers, adds what changed to `allocation`, and returns
/// what is refused.
pub(super) fn allocate(
    site: &Site<'_>,
    (found, behind): (&FoundGuests, bool),
    allocation: &mut Allocation,
) -> Result<Vec<Refused>, Failure> {
    let desk = site.desk(names::Leave::default()).behind(behind);
    let mut refused = Vec::new();
    site.in_turn(|right| {
        for id in desk.open() {
            let (settled, of_server) =
                desk.settle(id, found, right).map_err(|error| failed(&error))?;
            refused.extend(settled.refused);
            allocation.changes.extend(of_server.changes);
            allocation.refused.extend(of_server.refused);
            allocation.stranded.extend(of_server.stranded);
        }
        Ok(())
    })?;
    Ok(refused)
}

/// Settles one claim, if a server administers its vnet.
pub(super) fn allocate_one(site: &Site<'_>, claim: &Claim) -> Result<Option<Exit>, Failure> {
    let network = &site.law.network;
    let Some(id) = administrator(network, &claim.vnet) else { return Ok(None) };
    let is_it = |other: &Claim| (&other.vnet, &other.mac) == (&claim.vnet, &claim.mac);
    if claims(network).iter().any(is_it) {
        return Err(super::is_declared(claim));
    }
    let desk = site.desk(names::Leave::default());
    let (settled, allocation) =
        site.in_turn(|right| desk.settle_one(id, claim, right).map_err(|error| failed(&error)))?;
    site.tell_hosts()?;
    Ok(Some(words::say(site.output, &allocation, &settled.refused, true)))
}

/// Takes an address from its guest, if a server administers it.
pub(super) fn release(
    site: &Site<'_>,
    (address, zone): (IpAddr, Option<&ZoneId>),
    at_once: bool,
) -> Result<Option<Exit>, Failure> {
    let Site { node, law, .. } = site;
    let last = addresses::remembered_of_servers(&node.host).map_err(|error| failed(&error))?;
    let is_it =
        |(of, found): &&(ZoneId, IpAddr)| *found == address && zone.is_none_or(|zone| zone == of);
    let all: Vec<&(ZoneId, IpAddr)> = last.keys().filter(is_it).collect();
    let [(zone, _)] = all.as_slice() else {
        if all.is_empty() {
            return Ok(None);
        }
        let zones: Vec<&str> = all.iter().map(|(zone, _)| zone.as_str()).collect();
        let message = format!("{address} is held in the zones {}", zones.join(", "));
        return Err(Failure::new(Exit::Usage, message).hint("name one: `--zone ZONE`"));
    };
    let declared = law.network.zones.get(zone).and_then(|zone| zone.ipam.clone());
    let Some(id) = declared else { return Ok(None) };
    let now = node.host.now();
    let mut wrong = None;
    let (claims, pools) = (claims(&law.network), Pools::of(&law.network));
    let decide: &mut Decide<'_> = &mut |_: &IpamId, held, _| {
        let Some(lease) = held.get(&(zone.clone(), address)) else {
            wrong = Some(Failure::new(Exit::Failed, format!("nobody holds {address}")));
            return Vec::new();
        };
        let is_its = |claim: &&Claim| (&claim.vnet, &claim.mac) == (&lease.vnet, &lease.mac);
        // One in no subnet that is declared is for a person to give up.
        let is_stranded = pools.strand(&(zone.clone(), address), &lease.vnet);
        if let Some(claim) = claims.iter().find(is_its).filter(|_| !is_stranded) {
            wrong = Some(super::is_declared(claim));
            return Vec::new();
        }
        let released = Lease { released: Some(now), ..lease.clone() };
        vec![LeaseChange {
            zone: zone.clone(),
            address,
            before: Some(lease.clone()),
            after: (!at_once).then_some(released),
        }]
    };
    let desk = site.desk(names::Leave::default());
    let settled =
        site.in_turn(|right| desk.settle_by(&id, decide, right).map_err(|error| failed(&error)));
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let settled = settled?;
    site.tell_hosts()?;
    let allocation = Allocation { changes: settled.changes, ..Allocation::default() };
    Ok(Some(words::say(site.output, &allocation, &settled.refused, true)))
}

/// What is wrong with servers.
pub(super) fn check(site: &Site<'_>) -> Vec<Refused> {
    site.desk(names::Leave::default()).check()
}

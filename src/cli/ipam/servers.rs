//! `weft ipam` where an IPAM server administers a zone.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::failure::failed as of_leases;
use super::{Leave, registry, tell_hosts, words};
use crate::agent::addresses::{self, Law};
use crate::agent::found::FoundGuests;
use crate::agent::ipam::Desk;
use crate::agent::leases::Starter;
use crate::agent::names;
use crate::agent::settings::Settings;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node::{self, Node, failed};
use crate::cli::output::{Output, counted};
use crate::host::{Host as _, Linux};
use crate::network::{Lease, Leases};
use crate::plan::addresses::{Allocation, Claim, LeaseChange, Pools, claims};
use crate::plan::ipam::administrator;
use crate::reconcile::ipam::{self, Decide, Plan, Settled};
use crate::sync::worker::Cancel;
use crate::value::{IpamId, ZoneId};

/// What the configuration says, whether there is a branch of leases or not.
pub(super) fn law(node: &Node, settings: &Settings) -> Result<Law, Failure> {
    let (program, cancel) = (node::program()?, Cancel::default());
    let starter = Starter { program: &program, root: node.root.as_deref(), cancel: &cancel };
    addresses::law(&node.host, settings, starter)
        .map_err(|error| failed(&error).hint("`weft sync` fetches the configuration"))
}

/// Whether any server is declared.
pub(super) fn any(law: &Law) -> bool {
    ipam::servers(&law.network).next().is_some()
}

fn desk<'a>(node: &'a Node, settings: &Settings, law: &'a Law) -> Desk<'a, Linux> {
    Desk::of(&node.host, settings, law, names::Leave::default())
}

fn found(node: &Node, settings: &Settings, law: &Law) -> Result<FoundGuests, Failure> {
    addresses::others(&node.host, settings, law).map_err(|error| failed(&error))
}

/// Plans for servers and for names, says what was planned, and does it where that is wanted.
/// Addresses come first, since names follow them.
pub(super) fn run(
    node: &Node,
    settings: &Settings,
    output: Output,
    leave: Leave,
    apply: bool,
) -> Result<Exit, Failure> {
    let law = law(node, settings)?;
    let leave_of = names::Leave { force: leave.force, adopt: leave.adopt };
    let desk = Desk::of(&node.host, settings, &law, leave_of);
    if desk.is_empty() {
        let (exit, document) = registry::run(node, settings, output, leave, apply)?;
        output.document(&document);
        return Ok(exit);
    }
    if apply && settings.leases.is_some() {
        let program = (node::program()?, Cancel::default());
        let of = super::open(node, settings, &program)?;
        let held = of.branch.read(&of.law.allocators).map_err(of_leases)?;
        if of.law.is_behind(&node.host, &held).map_err(|error| failed(&error))? {
            return Err(registry::is_newer());
        }
    }
    if apply && desk.is_behind() {
        let message = "this node runs an older commit than the newest that it accepted, so that it would take away what that one declares";
        return Err(Failure::new(Exit::Refused, message)
            .hint("`weft status` says why; `weft resume` or `weft sync` brings it up to it"));
    }
    let plan = desk.plan(&found(node, settings, &law)?).map_err(|error| failed(&error))?;
    let (exit, of_servers) = carry(&desk, plan, output, apply)?;
    if apply {
        tell_hosts(node, settings)?;
    }
    let (of_names, mut document) = registry::run(node, settings, output, leave, apply)?;
    let ok = document["ok"] == json!(true) && of_servers["ok"] == json!(true);
    let pending = document["pending"] == json!(true) || of_servers["pending"] == json!(true);
    document["ok"] = json!(ok);
    if !apply {
        document["pending"] = json!(pending);
    }
    document["servers"] = of_servers;
    output.document(&document);
    Ok(worse(exit, of_names))
}

/// Takes over what is on servers as it is wanted there and carries nobody's mark, and does
/// nothing else.
pub(super) fn adopt(node: &Node, settings: &Settings, output: Output) -> Result<Exit, Failure> {
    let law = law(node, settings)?;
    let leave = names::Leave { force: false, adopt: true };
    let desk = Desk::of(&node.host, settings, &law, leave);
    let found = found(node, settings, &law)?;
    let mut plan = desk.plan(&found).map_err(|error| failed(&error))?;
    plan.adopt_only();
    let (exit, document) = carry(&desk, plan, output, true)?;
    output.document(&document);
    Ok(exit)
}

fn carry(
    desk: &Desk<'_, Linux>,
    plan: Plan,
    output: Output,
    apply: bool,
) -> Result<(Exit, Json), Failure> {
    let (counts, nothing) = (plan.counts(), plan.is_empty());
    let refused: Vec<String> = plan.refused().iter().map(ToString::to_string).collect();
    let shown = plan.to_string();
    output.say(&shown);
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
    let outcome = desk.carry_out(plan).map_err(|error| failed(&error))?;
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

/// What servers hold, asked anew unless `local`, beside the leases of the branch.
pub(super) fn add_leases(
    node: &Node,
    settings: &Settings,
    leases: &mut Leases,
    local: bool,
) -> Result<(), Failure> {
    if !local && let Ok(law) = law(node, settings) {
        let refused = desk(node, settings, &law).read().map_err(|error| failed(&error))?;
        for refused in refused {
            Output::notice(format!("warning: {refused}; this is what was read last"));
        }
    }
    let last = addresses::remembered_of_servers(&node.host).map_err(|error| failed(&error))?;
    let known = addresses::known_of_servers(&node.host, Duration::MAX);
    let known = known.map_err(|error| failed(&error))?;
    leases.retain(|(zone, _), _| !known.contains(zone));
    leases.extend(last);
    Ok(())
}

/// Gives every guest what it claims of servers, adds what changed to `allocation`, and returns
/// whether something is refused.
pub(super) fn allocate(
    node: &Node,
    settings: &Settings,
    law: &Law,
    (found, behind): (&FoundGuests, bool),
    allocation: &mut Allocation,
) -> Result<bool, Failure> {
    let desk = desk(node, settings, law).behind(behind);
    let mut is_refused = false;
    for id in desk.open() {
        let (settled, of_server) = desk.settle(id, found).map_err(|error| failed(&error))?;
        is_refused |= !settled.refused.is_empty();
        say_refused(&settled);
        allocation.changes.extend(of_server.changes);
        allocation.refused.extend(of_server.refused);
        allocation.stranded.extend(of_server.stranded);
    }
    Ok(is_refused)
}

/// Settles one claim, if a server administers its vnet.
pub(super) fn allocate_one(
    node: &Node,
    settings: &Settings,
    output: Output,
    claim: &Claim,
) -> Result<Option<Exit>, Failure> {
    let law = law(node, settings)?;
    let Some(id) = administrator(&law.network, &claim.vnet) else { return Ok(None) };
    let is_it = |other: &Claim| (&other.vnet, &other.mac) == (&claim.vnet, &claim.mac);
    if claims(&law.network).iter().any(is_it) {
        return Err(super::is_declared(claim));
    }
    let desk = desk(node, settings, &law);
    let (settled, allocation) = desk.settle_one(id, claim).map_err(|error| failed(&error))?;
    say_refused(&settled);
    tell_hosts(node, settings)?;
    let exit = words::say(output, &allocation, true);
    Ok(Some(if settled.refused.is_empty() { exit } else { Exit::Refused }))
}

/// Takes an address from its guest, if a server administers it.
pub(super) fn release(
    node: &Node,
    settings: &Settings,
    output: Output,
    (address, zone): (IpAddr, Option<&ZoneId>),
    at_once: bool,
) -> Result<Option<Exit>, Failure> {
    let law = law(node, settings)?;
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
    let settled = desk(node, settings, &law).settle_by(&id, decide);
    let settled = settled.map_err(|error| failed(&error))?;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    say_refused(&settled);
    tell_hosts(node, settings)?;
    let is_refused = !settled.refused.is_empty();
    let allocation = Allocation { changes: settled.changes, ..Allocation::default() };
    let exit = words::say(output, &allocation, true);
    Ok(Some(if is_refused { Exit::Refused } else { exit }))
}

/// Says what is wrong with servers; whether something is.
pub(super) fn check(node: &Node, settings: &Settings) -> Result<bool, Failure> {
    let law = law(node, settings)?;
    let wrong = desk(node, settings, &law).check();
    for wrong in &wrong {
        Output::notice(format!("refused: {wrong}"));
    }
    Ok(!wrong.is_empty())
}

fn say_refused(settled: &Settled) {
    for refused in &settled.refused {
        Output::notice(format!("refused: {refused}"));
    }
}

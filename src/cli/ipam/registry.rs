//! `weft ipam plan` and `weft ipam apply`: what servers are told of guests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::failure::failed as of_leases;
use super::{Leave, Site, servers};
use crate::agent::addresses;
use crate::agent::ipam;
use crate::agent::leases::Held;
use crate::agent::names;
use crate::agent::writer::{NoRight, Right};
use crate::cli::failure::{Exit, Failure};
use crate::cli::node::failed;
use crate::cli::output::{Output, counted};
use crate::host::Linux;
use crate::value::DnsId;

/// Where names are that are ours, by server.
pub(super) type Zones = BTreeMap<DnsId, BTreeSet<String>>;

/// What came of names.
pub(super) struct Report {
    pub(super) exit: Exit,
    /// What programs are told.
    pub(super) document: Json,
    /// Where names are now, where something may have been written.
    pub(super) zones: Option<Zones>,
}

/// Plans, says what was planned, and does it where that is wanted.
pub(super) fn run(
    site: &Site<'_>,
    leave: Leave,
    apply: bool,
    right: &mut Right<'_, Linux>,
) -> Result<Report, Failure> {
    let Site { node, settings, output, law, .. } = site;
    let branch = if servers::any(law) { site.branch.as_ref() } else { Some(site.branch()?) };
    let read = || {
        let Some(branch) = branch else { return Ok(None) };
        let held = branch.read(&law.allocators).map_err(of_leases)?;
        let is_behind = law.is_behind(&node.host, &held).map_err(|error| failed(&error))?;
        if apply && is_behind { Err(is_newer()) } else { Ok(Some(held)) }
    };
    let held = read()?;
    let unread = ipam::unread(&node.host, &law.network).map_err(|error| failed(&error))?;
    if let Some(zone) = unread.first() {
        let message = format!(
            "the addresses of zone `{zone}` are on a server that this node did not read lately, so that it would take names of guests away"
        );
        if apply {
            let hint =
                "run this on a node whose settings have the server's token, while it answers";
            return Err(Failure::new(Exit::Refused, message).hint(hint));
        }
        Output::notice(format!("warning: {message}"));
    }
    let leave = names::Leave { force: leave.force, adopt: leave.adopt };
    let planned = |held: Option<&Held>| {
        let mut leases = held.map(|held| held.leases.clone()).unwrap_or_default();
        let of_servers =
            addresses::remembered_of_servers(&node.host).map_err(|error| failed(&error))?;
        leases.extend(of_servers);
        let before = held.and_then(|held| held.writer.as_ref()).map(|of| &of.zones);
        names::plan(&node.host, settings, &law.network, &leases, (leave, before))
            .map_err(|error| failed(&error))
    };
    let mut plan = planned(held.as_ref())?;
    // One node at a time writes, and goes by what it sees then.
    let mut until = None;
    if apply && !plan.is_empty() {
        until = right.take().map_err(stands_by)?;
        plan = planned(read()?.as_ref())?;
    }
    let (counts, nothing) = (plan.counts(), plan.is_empty());
    let refused: Vec<String> = plan.refused().iter().map(ToString::to_string).collect();
    let shown = plan.to_string();
    output.say(if shown.is_empty() { "nothing is to be registered in DNS" } else { &shown });
    if !apply {
        let exit = match (refused.is_empty(), nothing) {
            (false, _) => Exit::Refused,
            (true, false) => Exit::Pending,
            (true, true) => Exit::Ok,
        };
        let document = json!({
            "ok": refused.is_empty(),
            "counts": counts.to_string(),
            "pending": !nothing,
            "plan": shown,
            "refused": refused,
        });
        return Ok(Report { exit, document, zones: None });
    }
    let zones = names::zones_of(&plan);
    let outcome = names::carry_out(&node.host, plan, until).map_err(|error| failed(&error))?;
    for refused in &outcome.refused {
        output.say(format!("not done: {refused}"));
    }
    if !nothing {
        let (settled, writes) =
            (counted(outcome.settled, "name"), counted(outcome.writes, "write"));
        output.say(format!("{settled} as wanted, by {writes}"));
    }
    let undone: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
    let ok = refused.is_empty() && undone.is_empty();
    let document = json!({
        "ok": ok,
        "counts": counts.to_string(),
        "settled": outcome.settled,
        "writes": outcome.writes,
        "refused": refused,
        "not_done": undone,
    });
    let exit = if ok { Exit::Ok } else { Exit::Refused };
    Ok(Report { exit, document, zones: Some(zones) })
}

/// That another node writes, or that who does is not known.
pub(super) fn stands_by(why: NoRight) -> Failure {
    match why {
        NoRight::StandBy(other) => {
            Failure::new(Exit::Refused, other.to_string()).hint("try again when it is done")
        }
        NoRight::Branch(error) => of_leases(error),
    }
}

/// That this node would take away what a newer commit declares.
pub(super) fn is_newer() -> Failure {
    let message = "another node settled a newer commit of the configuration, whose addresses and names are others";
    Failure::new(Exit::Refused, message).hint("`weft sync` brings this node up to it")
}

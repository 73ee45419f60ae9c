//! Leases in words.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Value as Json, json};

use crate::agent::hand::document;
use crate::cli::failure::Exit;
use crate::cli::output::Output;
use crate::network::{Lease, Origin};
use crate::plan::addresses::{Allocation, LeaseChange};
use crate::plan::ipam::Refused;
use crate::value::ZoneId;

/// Leases as a table.
pub(super) fn table(leases: &[(&(ZoneId, IpAddr), &Lease)]) -> String {
    if leases.is_empty() {
        return "nobody holds an address".to_owned();
    }
    let head = ["ADDRESS", "ZONE", "VNET", "GUEST", "MAC", "STATE"].map(str::to_owned);
    let rows = leases.iter().map(|((zone, address), lease)| {
        [
            address.to_string(),
            zone.to_string(),
            lease.vnet.to_string(),
            lease.guest.to_string(),
            lease.mac.to_string(),
            state(lease),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", row[5]);
    }
    text.trim_end().to_owned()
}

fn state(lease: &Lease) -> String {
    match (lease.released, lease.origin) {
        (Some(released), _) => format!("given up {released:.0}"),
        (None, Origin::Declared) => "declared".to_owned(),
        (None, Origin::Found) => "found".to_owned(),
        (None, Origin::Set) => "by hand".to_owned(),
    }
}

/// Says what changes or changed, who does not get what, and what servers refuse.
pub(super) fn say(
    output: Output,
    allocation: &Allocation,
    of_servers: &[Refused],
    done: bool,
) -> Exit {
    let Allocation { changes, refused, stranded } = allocation;
    let mut text = String::new();
    for line in sentences(changes) {
        let _ = writeln!(text, "{line}");
    }
    for refused in refused {
        let _ = writeln!(text, "refused: {refused}");
    }
    for refused in of_servers {
        let _ = writeln!(text, "refused: {refused}");
    }
    for stranded in stranded {
        let _ = writeln!(text, "stranded: {stranded}");
    }
    let ok = refused.is_empty() && of_servers.is_empty();
    if changes.is_empty() && ok && stranded.is_empty() {
        text.push_str("everybody has the addresses that they should have\n");
    }
    output.say(text);
    output.document(&json!({
        "ok": ok,
        "done": done,
        "changes": changes.iter().map(of_change).collect::<Vec<_>>(),
        "refused": refused.iter().map(|refused| json!({
            "guest": refused.guest, "vnet": refused.vnet, "mac": refused.mac,
            "message": refused.to_string(),
        })).collect::<Vec<_>>(),
        "refused_by_servers": of_servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "stranded": stranded.iter().map(|stranded| json!({
            "zone": stranded.zone, "address": stranded.address, "guest": stranded.guest,
        })).collect::<Vec<_>>(),
    }));
    match (ok, changes.is_empty() && stranded.is_empty() || done) {
        (false, _) => Exit::Refused,
        (true, false) => Exit::Pending,
        (true, true) => Exit::Ok,
    }
}

/// Says what is wrong with servers, where nothing else is looked at.
pub(super) fn say_wrong(output: Output, wrong: &[Refused]) -> Exit {
    let lines: Vec<String> = wrong.iter().map(|wrong| format!("refused: {wrong}")).collect();
    output.say(lines.join("\n"));
    output.document(&json!({
        "ok": wrong.is_empty(),
        "refused_by_servers": wrong.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }));
    if wrong.is_empty() { Exit::Ok } else { Exit::Refused }
}

fn of_change(change: &LeaseChange) -> Json {
    let key = (change.zone.clone(), change.address);
    json!({
        "zone": change.zone,
        "address": change.address,
        "before": change.before.as_ref().map(|lease| document(&key, lease)),
        "after": change.after.as_ref().map(|lease| document(&key, lease)),
    })
}

/// Each change in words.
pub(super) fn sentences(changes: &[LeaseChange]) -> impl Iterator<Item = String> {
    changes.iter().map(sentence)
}

fn sentence(change: &LeaseChange) -> String {
    let LeaseChange { zone, address, before, after } = change;
    match (before, after) {
        (None, Some(lease)) => {
            format!("+ {address} ({zone}) for `{}` on `{}`, {}", lease.guest, lease.vnet, lease.mac)
        }
        (Some(lease), None) => format!("- {address} ({zone}) of `{}` is free", lease.guest),
        (Some(_), Some(lease)) if lease.released.is_some() => {
            format!("~ {address} ({zone}) of `{}` is given up", lease.guest)
        }
        (_, Some(lease)) => format!("~ {address} ({zone}) is `{}`'s", lease.guest),
        (None, None) => format!("  {address} ({zone})"),
    }
}

//! Names of guests in DNS: planned from what runs and who holds which address, and carried
//! out when a person says so, or by the agent where the settings do.

mod register;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::addresses::AddressesError;
use super::credentials;
use super::leases::LeasesError;
use super::settings::Settings;
use crate::host::{Host, HostError};
use crate::network::{Dns, Leases, Network};
use crate::plan::names::{Fqdn, Limits, wanted};
use crate::reconcile::http::Bounds;
use crate::reconcile::names::{self, Access, Outcome, Plan, Terms};
use crate::value::{Digest, DnsId};

pub use self::register::Registrar;
pub use self::standing::{STANDING, Standing, standing};

/// The zones that hold something of ours, so that what is no longer wanted is found.
pub const ZONES: &str = "/var/lib/weft/names.json";
const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 4 << 20;
/// The most records that one run removes.
const MOST_REMOVED: u32 = 50;
/// How long after a write it is looked at again.
const SETTLE: Duration = Duration::from_secs(2);

/// Why nothing is planned.
#[derive(Debug, Error)]
pub enum NamesError {
    /// The record of zones cannot be read.
    #[error(
        "`{ZONES}` is damaged ({0}); remove it, and names that are no longer wanted stay where they are"
    )]
    Damaged(String),
    /// What is wanted is not known.
    #[error(transparent)]
    Addresses(#[from] AddressesError),
    /// The branch of leases.
    #[error(transparent)]
    Leases(#[from] LeasesError),
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// What a person lets a run do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leave {
    /// Remove more records than one run usually may.
    pub force: bool,
    /// Take over records that are as wanted and nobody's.
    pub adopt: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    zones: BTreeMap<DnsId, BTreeSet<String>>,
}

/// A digest of what is to be registered: the same on every node that would register the same.
pub fn digest(network: &Network, leases: &Leases) -> Digest {
    Digest::of(wanted(network, leases).lines().as_bytes())
}

/// Asks the servers that the network declares, each with the credential that the settings
/// bind to it, and says what is to be done there. `before` are zones that hold something of
/// ours, beside those that this node knows.
pub fn plan(
    host: &impl Host,
    settings: &Settings,
    network: &Network,
    leases: &Leases,
    (leave, before): (Leave, Option<&BTreeMap<DnsId, BTreeSet<String>>>),
) -> Result<Plan, NamesError> {
    let mut zones = zones(host)?;
    for (id, of) in before.into_iter().flatten() {
        let of = of.iter().filter_map(|zone| Fqdn::read(zone));
        zones.entry(id.clone()).or_default().extend(of);
    }
    let terms = Terms {
        cluster: settings.cluster.value.clone(),
        limits: Limits { max: Some(MOST_REMOVED), max_percent: None },
        force: leave.force,
        adopt: leave.adopt,
        before: zones,
        bounds: Bounds::default(),
        settle: SETTLE,
    };
    Ok(names::plan(network, leases, &access(host, settings, network), terms))
}

/// The zones that hold something of ours, or will.
pub fn zones_of(plan: &Plan) -> BTreeMap<DnsId, BTreeSet<String>> {
    let of = |zones: BTreeSet<Fqdn>| zones.iter().map(ToString::to_string).collect();
    plan.zones().into_iter().map(|(id, zones)| (id, of(zones))).collect()
}

/// Does it, and begins nothing any more after a time. Where names are is written down before
/// the first of them is.
pub fn carry_out(
    host: &impl Host,
    plan: Plan,
    until: Option<Instant>,
) -> Result<Outcome, NamesError> {
    let mut text = serde_json::to_vec_pretty(&Record { format: FORMAT, zones: zones_of(&plan) })
        .map_err(|error| NamesError::Damaged(error.to_string()))?;
    text.push(b'\n');
    host.replace(Utf8Path::new(ZONES), &text, 0o600)?;
    Ok(names::carry_out_until(plan, until))
}

fn zones(host: &impl Host) -> Result<BTreeMap<DnsId, BTreeSet<Fqdn>>, NamesError> {
    let Some(file) = host.read(Utf8Path::new(ZONES), MAX_BYTES)? else {
        return Ok(BTreeMap::new());
    };
    let damaged = |why: String| NamesError::Damaged(why);
    let record: Record =
        serde_json::from_slice(&file.bytes).map_err(|error| damaged(error.to_string()))?;
    if record.format != FORMAT {
        return Err(damaged(format!("format {}", record.format)));
    }
    let read = |text: &String| {
        Fqdn::read(text).ok_or_else(|| damaged(format!("`{}` is no zone", text.escape_debug())))
    };
    let zones = record
        .zones
        .into_iter()
        .map(|(id, zones)| Ok((id, zones.iter().map(read).collect::<Result<_, NamesError>>()?)));
    zones.collect()
}

/// The keys of the servers that the settings bind to them: what is declared elsewhere sends
/// nothing there.
fn access(host: &impl Host, settings: &Settings, network: &Network) -> BTreeMap<DnsId, Access> {
    let key = |(id, dns): (&DnsId, &Dns)| {
        let key = credentials::for_server(host, settings, &dns.key, &dns.url)?;
        Some((id.clone(), Access { secret: key, authorities: None }))
    };
    network.dns.iter().filter_map(key).collect()
}

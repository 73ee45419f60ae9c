//! Addresses of guests on this node: settled by what runs, and remembered where no server
//! is needed to read them.
//!
//! They are no part of a rendering and open no window. What runs says who claims; the
//! branch of leases says who holds; the policy of the newest accepted commit says whose
//! word on that is taken.

mod hosts;
mod record;
mod standing;

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8Path;
use thiserror::Error;

use super::error::chain;
use super::found::{FoundGuests, found};
use super::leases::{Branch, Decision, Held, LeasesError, Settled, Starter};
use super::newest::Known;
use super::revoked::{self, RevokedError};
use super::settings::Settings;
use super::turn::CACHE;
use crate::apply::{self, StateError};
use crate::declare::lease::Configuration;
use crate::host::{Host, HostError};
use crate::network::{Network, Origin};
use crate::plan::addresses::{Allocation, Claim, Refused, Stranded, Terms, allocate, claims};
use crate::plan::ipam::administrator;
use crate::sync::ledger::{Allocators, LedgerError};
use crate::sync::{AnchorError, Anchors, FailureCode, Store, TransportError, TreeError, tree_of};
use crate::validate;
use crate::value::ObjectId;

pub use self::hosts::{Told, tell_hosts};
pub use self::record::{RECORD, Remembered, known_of_servers, remembered, remembered_of_servers};
pub(super) use self::record::{forget_others, remember, remember_server};
pub use self::standing::{Lookout, STANDING, Standing, look_after, standing};

/// How long reading the configuration may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the configuration says of addresses.
#[derive(Debug)]
pub struct Law {
    /// The network that runs on this node; what is accepted, where nothing runs.
    pub network: Network,
    /// The commit that declares it.
    pub configuration: Configuration,
    /// Whose word is taken.
    pub allocators: Allocators,
    /// What this node knows of newer commits.
    known: Known,
}

impl Law {
    /// Whether another node settled a newer commit than this one runs, so that this one takes
    /// nothing away that the newer one declares.
    pub fn is_behind(&self, host: &impl Host, held: &Held) -> Result<bool, HostError> {
        self.known.is_behind(host, held.configuration)
    }

    /// The same by what this node accepted itself, where there is no branch to say so.
    pub fn lags(&self) -> bool {
        self.known.lags()
    }
}

/// What settling came to.
#[derive(Debug)]
pub struct Outcome {
    /// What is held, and what changed.
    pub settled: Settled,
    /// Who does not get what.
    pub refused: Vec<Refused>,
    /// What is held where nothing is declared.
    pub stranded: Vec<Stranded>,
    /// A newer commit of the configuration was settled by another node, so that this one
    /// only gives to those who hold nothing.
    pub behind: bool,
}

/// Why addresses are not settled.
#[derive(Debug, Error)]
pub enum AddressesError {
    /// Nothing was accepted yet.
    #[error("no commit of the configuration was accepted on this node yet")]
    Nothing,
    /// The cache is gone.
    #[error("the configuration's cache is empty; the next turn fills it")]
    NoCache,
    /// What runs does not validate any more.
    #[error("the declarations of commit {0} have errors (`weft validate`)")]
    Invalid(ObjectId),
    /// The branch of leases.
    #[error(transparent)]
    Leases(#[from] LeasesError),
    /// The configuration's policy.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The configuration cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The process that reads it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The anchor.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The revoked keys.
    #[error(transparent)]
    Revoked(#[from] RevokedError),
    /// The journal.
    #[error(transparent)]
    State(#[from] StateError),
    /// The record of the leases cannot be read.
    #[error("`{RECORD}` is damaged ({0}); it is written anew when the branch is read")]
    Record(String),
    /// The machine refused.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// What the configuration says, read from the cache of this node: no remote is asked.
pub fn law(
    host: &impl Host,
    settings: &Settings,
    starter: Starter<'_>,
) -> Result<Law, AddressesError> {
    let trust = revoked::trust(host, settings)?;
    let anchors = Anchors::open(host, &trust, false)?;
    let anchor = anchors.anchor().ok_or(AddressesError::Nothing)?;
    let runs = apply::running(host)?.and_then(|entry| entry.record.commit);
    let record = runs.as_ref().unwrap_or(&anchor.record);
    let cache = starter.path(&Utf8Path::new(CACHE).join("repository.git"));
    let worker = starter.start(DEADLINE)?;
    worker.open(&cache).map_err(|error| match error {
        TransportError::Local { code: FailureCode::Absent, .. } => AddressesError::NoCache,
        error => error.into(),
    })?;
    let store = Store::new(&worker);
    let allocators = Allocators::of(store, anchor, &trust)?;
    let tree = tree_of(store, record.commit, settings.base())?;
    let (network, _) = validate::check(&tree, Some(&settings.cluster.value), &[]);
    let network = network.ok_or(AddressesError::Invalid(record.commit))?;
    let configuration = Configuration { commit: record.commit, sequence: record.sequence };
    let Configuration { sequence, .. } = configuration;
    let accepted = Configuration { commit: anchor.record.commit, sequence: anchor.record.sequence };
    let known = Known::of(store, sequence, accepted).map_err(LedgerError::from)?;
    Ok(Law { network, configuration, allocators, known })
}

/// Who claims addresses beside the guests that are declared, where the settings ask for it.
pub fn others(
    host: &impl Host,
    settings: &Settings,
    law: &Law,
) -> Result<FoundGuests, AddressesError> {
    if !settings.watches_guests() {
        return Ok(FoundGuests::default());
    }
    Ok(found(host, &law.network)?)
}

/// The claims that the branch of leases settles: of all guests that are declared, and of
/// `others`, in zones whose addresses no server administers.
pub fn all_claims(law: &Law, others: &[Claim]) -> Vec<Claim> {
    let mut claims = every_claim(law, others);
    claims.retain(|claim| administrator(&law.network, &claim.vnet).is_none());
    claims
}

/// The claims of all guests that are declared, and of `others`. What is declared of an
/// interface counts more than what a hypervisor says of it.
pub(super) fn every_claim(law: &Law, others: &[Claim]) -> Vec<Claim> {
    let declared = claims(&law.network);
    let known: BTreeSet<_> = declared.iter().map(|claim| (&claim.vnet, &claim.mac)).collect();
    let others = others.iter().filter(|other| !known.contains(&(&other.vnet, &other.mac)));
    let others: Vec<Claim> = others.cloned().collect();
    declared.into_iter().chain(others).collect()
}

/// Settles the addresses of all guests that are declared, and of `others`. `complete` says of
/// whom beside the declared ones every guest is known.
pub fn settle<H: Host>(
    host: &H,
    branch: &Branch<'_, H>,
    law: &Law,
    others: &[Claim],
    complete: &[Origin],
) -> Result<Outcome, AddressesError> {
    let complete = complete.iter().copied().chain([Origin::Declared]).collect();
    let terms = Terms { now: host.now(), grace: branch.grace(), complete };
    let message = format!("leases: settled for configuration {}", law.configuration.commit.short());
    settle_claims(host, branch, law, &all_claims(law, others), &terms, &message, true)
}

/// Settles some claims, and leaves all others as they are. `message` is what the commit says.
pub fn settle_some<H: Host>(
    host: &H,
    branch: &Branch<'_, H>,
    law: &Law,
    claims: &[Claim],
    message: &str,
) -> Result<Outcome, AddressesError> {
    let terms = Terms { now: host.now(), grace: branch.grace(), complete: BTreeSet::new() };
    let outcome = settle_claims(host, branch, law, claims, &terms, message, false)?;
    Ok(Outcome { stranded: Vec::new(), ..outcome })
}

/// `all` says whether the claims are all that there are, so that the configuration counts as
/// settled.
fn settle_claims<H: Host>(
    host: &H,
    branch: &Branch<'_, H>,
    law: &Law,
    claims: &[Claim],
    terms: &Terms,
    message: &str,
    all: bool,
) -> Result<Outcome, AddressesError> {
    let mut allocation = Allocation::default();
    let mut behind = false;
    let settled = branch.settle(&law.allocators, message, |held| {
        behind = law.is_behind(host, held).unwrap_or_else(|error| {
            tracing::warn!("addresses: {}", chain(&error));
            true
        });
        if behind && !all {
            return Decision::default();
        }
        if behind {
            // Whoever has nothing gets something: nobody loses anything by it.
            let terms = Terms { complete: BTreeSet::new(), ..terms.clone() };
            let newcomers = newcomers(claims, held);
            allocation = allocate(&law.network, &held.leases, &newcomers, &terms);
            allocation.stranded.clear();
            return Decision { changes: allocation.changes.clone(), configuration: None };
        }
        allocation = allocate(&law.network, &held.leases, claims, terms);
        let is_newer = held.configuration.is_none_or(|before| before != law.configuration);
        let matters = !allocation.changes.is_empty() || !held.leases.is_empty();
        Decision {
            changes: allocation.changes.clone(),
            configuration: (all && is_newer && matters).then_some(law.configuration),
        }
    })?;
    let Allocation { refused, stranded, .. } = allocation;
    Ok(Outcome { settled, refused, stranded, behind })
}

/// The claims of those who hold nothing, not even what they gave up.
fn newcomers(claims: &[Claim], held: &Held) -> Vec<Claim> {
    let holders: BTreeSet<_> =
        held.leases.values().map(|lease| (&lease.vnet, &lease.mac)).collect();
    let claims = claims.iter().filter(|claim| !holders.contains(&(&claim.vnet, &claim.mac)));
    claims.cloned().collect()
}

//! Where leases are kept, and how a node writes them.

use std::time::Duration;

use super::{GraceLength, Remote, Settings, ShortTime};
use crate::agent::credentials::{self, AbsolutePath};
use crate::declare::finding::{Code, Finding, Findings};
use crate::value::BranchName;

/// How long an address stays its guest's where the settings do not say.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// How often names are looked at where the settings do not say.
const NAMES_EVERY: Duration = Duration::from_secs(300);

/// How long a guest that starts waits for its addresses where the settings do not say.
const WAIT: Duration = Duration::from_secs(10);

choices! {
    /// What becomes of a guest that starts and has no address.
    pub enum WithoutAddress as "a way with a guest that has no address" {
        /// It starts all the same.
        "start" Start,
        /// It does not start.
        "refuse" Refuse,
    }
}

choices! {
    /// How names of guests come into DNS.
    pub enum NamesBy as "a way with names" {
        /// A person looks at a plan, and says so (`weft ipam plan`, `weft ipam apply`).
        "plan" Plan,
        /// The agent does it, one node at a time.
        "apply" Apply,
    }
}

declaration! {
    /// Guests of Proxmox VE that are not declared: their interfaces on vnets get addresses
    /// too, in zones with `dhcp` or `ipam`.
    pub struct PveGuests as "`pve-guests`" {
        /// How long one that starts waits for its addresses. `10s` when absent.
        optional "wait" wait: ShortTime,
        /// What becomes of one that has none then. `start` when absent.
        optional "without-address" without_address: WithoutAddress,
    }
}

declaration! {
    /// The branch that keeps leases of addresses: it is not the one of the configuration, and
    /// best in a repository of its own.
    pub struct LeaseBranch as "`leases`" {
        /// The remote that carries the branch. One that the node may push to.
        required "remote" remote: Remote,
        /// The branch. `leases` when absent.
        optional "branch" branch: BranchName,
        /// The file with the private key that signs what this node writes, without a
        /// passphrase. The policy of the configuration must name its principal among its
        /// `allocators`. A node without one reads, and writes nothing.
        optional "key" key: AbsolutePath,
        /// How long an address stays its guest's after the guest is gone. `24h` when absent.
        optional "grace" grace: GraceLength,
        /// Guests of Proxmox VE that are not declared. They get no addresses when absent.
        optional "pve-guests" pve_guests: PveGuests,
        /// How names of guests come into the DNS servers of zones. `plan` when absent.
        optional "names" names: NamesBy,
        /// How often the agent looks whether names are registered, when nothing changed.
        /// `5m` when absent.
        optional "names-every" names_every: ShortTime,
    }
}

impl LeaseBranch {
    /// The branch.
    pub fn branch(&self) -> &str {
        self.branch.as_ref().map_or("leases", |branch| branch.value.as_str())
    }

    /// How long an address stays its guest's.
    pub fn grace(&self) -> Duration {
        self.grace.as_ref().map_or(GRACE, |grace| grace.value.duration())
    }
}

impl Settings {
    /// Whether guests of Proxmox VE that are not declared get addresses.
    pub fn watches_guests(&self) -> bool {
        self.leases.as_ref().is_some_and(|leases| leases.value.pve_guests.is_some())
    }

    /// Whether the agent registers names by itself, and how often it looks.
    pub fn registers_names(&self) -> Option<Duration> {
        let leases = self.leases.as_ref().map(|leases| &leases.value)?;
        let by = leases.names.as_ref().map_or(NamesBy::Plan, |names| names.value);
        let every = leases.names_every.as_ref();
        (by == NamesBy::Apply).then(|| every.map_or(NAMES_EVERY, |every| every.value.duration()))
    }

    /// How long a guest that starts waits for its addresses, and what becomes of it when it
    /// has none then.
    pub fn starting(&self) -> (Duration, WithoutAddress) {
        let guests = self.leases.as_ref().and_then(|leases| leases.value.pve_guests.as_ref());
        let guests = guests.map(|guests| &guests.value);
        let wait = guests.and_then(|guests| guests.wait.as_ref());
        let without = guests.and_then(|guests| guests.without_address.as_ref());
        (
            wait.map_or(WAIT, |wait| wait.value.duration()),
            without.map_or(WithoutAddress::Start, |without| without.value),
        )
    }
}

/// What is wrong with the branch of leases.
pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let Some(leases) = settings.leases.as_ref().map(|leases| &leases.value) else { return };
    let remote = &leases.remote.value;
    let url = &remote.url;
    if !settings.schemes().contains(&url.value.scheme()) {
        let message = format!("remote `{}` is a directory of this machine", remote.name.value);
        let finding = Finding::new(Code::BadValue, message, &url.place)
            .help("where that is meant, set `allow-file: true`");
        findings.push(finding);
    }
    credentials::check(settings, remote, findings);
    let is_same = |other: &Remote| other.url.value == url.value;
    if settings.remotes.value.iter().any(is_same) && settings.branch() == leases.branch() {
        let message = format!("`{}` is the branch of the configuration", leases.branch());
        let finding = Finding::new(Code::BadValue, message, &url.place)
            .help("name another branch, or better another repository");
        findings.push(finding);
    }
}

//! `weft ipam`: addresses of guests, by the branch that keeps their leases.

mod failure;
mod import;
mod registry;
mod servers;
mod words;

use std::net::IpAddr;

use camino::Utf8PathBuf;
use jiff::SignedDuration;
use serde_json::json;

use self::failure::failed;
use super::failure::{Exit, Failure};
use super::node::{self, Node};
use super::output::{Output, counted};
use super::verb;
use crate::agent::addresses::{self, Law, Outcome};
use crate::agent::found::FoundGuests;
use crate::agent::hand::{self, HandError, Wish};
use crate::agent::leases::{Branch, Decision, LeasesError, Starter};
use crate::agent::settings::Settings;
use crate::agent::writer::{self, Right};
use crate::host::{Host as _, Linux};
use crate::network::{Lease, Leases, Origin};
use crate::plan::addresses::{Allocation, Claim, LeaseChange, Pools, Terms, allocate, claims};
use crate::plan::ipam::Refused;
use crate::sync::worker::Cancel;
use crate::value::{DnsName, GuestName, MacAddress, VnetId, ZoneId};

/// `weft ipam`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List who holds which address. What this node read last, where the branch cannot be
    /// read.
    List {
        /// Only those of this zone.
        #[arg(long, value_name = "ZONE")]
        zone: Option<ZoneId>,
        /// Do not ask the server.
        #[arg(long)]
        local: bool,
    },
    /// Give addresses to whoever claims them and has none: to every guest that is declared
    /// or that the settings have weft look for, or to one that is named. Exit 4 when somebody does not get what they claim.
    Allocate {
        /// A guest, whether it is declared or not.
        #[arg(value_name = "GUEST", requires = "vnet", requires = "mac")]
        guest: Option<GuestName>,
        #[command(flatten)]
        interface: Interface,
    },
    /// Give a guest this very address.
    Set {
        /// The address, in a subnet of the vnet.
        #[arg(value_parser = verb::address)]
        address: IpAddr,
        /// The guest.
        #[arg(requires = "vnet", requires = "mac")]
        guest: GuestName,
        #[command(flatten)]
        interface: Interface,
    },
    /// Take an address from its guest. After the grace it is free; at once with `--now`.
    Release {
        /// The address.
        #[arg(value_parser = verb::address)]
        address: IpAddr,
        /// Its zone; where several zones have the address, it must be named.
        #[arg(long, value_name = "ZONE")]
        zone: Option<ZoneId>,
        /// Without the grace: another guest may have it the next moment.
        #[arg(long)]
        now: bool,
    },
    /// Take over the addresses that Proxmox VE has given out, from its own file
    /// (`/etc/pve/sdn/pve-ipam-state.json`).
    Import(import::Arguments),
    /// Show what would change in the IPAM and DNS servers that are declared, so that zones and
    /// guests have addresses and names. Exit 2 when something is pending, 4 when something is refused.
    Plan(Leave),
    /// Do what `plan` shows.
    Apply(Leave),
    /// Take over what IPAM servers have where something is declared and that carries nobody's
    /// mark: it becomes as declared, description and names included. Changes nothing else.
    Adopt,
    /// Say what is wrong with leases, and what `allocate` would change; changes nothing.
    /// Exit 2 when something is pending, 4 when somebody does not get what they claim.
    Check,
}

/// What a run may do beyond the usual.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Leave {
    /// Remove more records than one run usually may.
    #[arg(long)]
    force: bool,
    /// Take over records that are as wanted and carry nobody's mark.
    #[arg(long)]
    adopt: bool,
}

/// One network interface of a guest.
#[derive(Debug, clap::Args)]
pub(super) struct Interface {
    /// The vnet it is plugged into.
    #[arg(long, value_name = "VNET", requires = "guest")]
    vnet: Option<VnetId>,
    /// Its hardware address.
    #[arg(long, value_name = "MAC", requires = "guest")]
    mac: Option<MacAddress>,
    /// The guest's name in DNS, when it is not its own.
    #[arg(long, value_name = "NAME", requires = "guest")]
    hostname: Option<DnsName>,
}

/// Runs a verb of `weft ipam`.
pub(super) fn run(node: &Node, output: Output, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = node.settings()?;
    let program = (node::program()?, Cancel::default());
    let open = || Site::open(node, &settings, output, &program);
    match &arguments.verb {
        Verb::List { zone, local } => list(node, output, open, zone.as_ref(), *local),
        Verb::Allocate { guest: None, .. } => allocate_declared(&open()?),
        Verb::Allocate { guest: Some(guest), interface } => {
            allocate_one(&open()?, &interface.wish(guest, None))
        }
        Verb::Set { address, guest, interface } => {
            allocate_one(&open()?, &interface.wish(guest, Some(*address)))
        }
        Verb::Release { address, zone, now } => release(&open()?, (*address, zone.as_ref()), *now),
        Verb::Import(import) => import::run(&open()?, import),
        Verb::Plan(leave) => servers::run(&open()?, *leave, false),
        Verb::Apply(leave) => servers::run(&open()?, *leave, true),
        Verb::Adopt => servers::adopt(&open()?),
        Verb::Check => check(&open()?),
    }
}

impl Interface {
    fn wish(&self, guest: &GuestName, address: Option<IpAddr>) -> Wish {
        Wish {
            guest: guest.clone(),
            vnet: self.vnet.clone().expect("the command line demands it"),
            mac: self.mac.clone().expect("the command line demands it"),
            hostname: self.hostname.clone(),
            address,
        }
    }
}

/// What a verb works with.
struct Site<'a> {
    node: &'a Node,
    settings: &'a Settings,
    output: Output,
    /// What the configuration says, whether there is a branch of leases or not.
    law: Law,
    branch: Option<Branch<'a, Linux>>,
}

impl<'a> Site<'a> {
    fn open(
        node: &'a Node,
        settings: &'a Settings,
        output: Output,
        (program, cancel): &'a (Utf8PathBuf, Cancel),
    ) -> Result<Self, Failure> {
        let starter = Starter { program, root: node.root.as_deref(), cancel };
        let law = addresses::law(&node.host, settings, starter)
            .map_err(|error| failed(error).hint("`weft sync` fetches the configuration"))?;
        let branch = settings.leases.is_some().then(|| Branch::of(&node.host, settings, starter));
        let branch = branch.transpose().map_err(failed)?;
        Ok(Self { node, settings, output, law, branch })
    }

    /// The branch of leases, which there must be.
    fn branch(&self) -> Result<&Branch<'a, Linux>, Failure> {
        self.branch.as_ref().ok_or_else(|| {
            failed(LeasesError::NoBranch)
                .hint("add `leases: {remote: {name: …, url: …}, key: …}` to the node's settings")
        })
    }

    /// The right to write on servers, which is not taken yet.
    fn right(&self) -> Right<'_, Linux> {
        let node = &self.settings.node.value;
        let (branch, allocators) = (self.branch.as_ref(), &self.law.allocators);
        Right::of(&self.node.host, branch, allocators, node, writer::PATIENCE)
    }

    /// Tells the DHCP servers of this node what it remembers of leases.
    fn tell_hosts(&self) -> Result<(), Failure> {
        let told = addresses::tell_hosts(&self.node.host, self.settings).map_err(failed)?;
        for line in told.sentences() {
            Output::notice(format!("warning: {line}"));
        }
        Ok(())
    }

    /// Guests of the hypervisor, where the settings ask for them.
    fn others(&self) -> Result<FoundGuests, Failure> {
        let found = addresses::others(&self.node.host, self.settings, &self.law).map_err(failed)?;
        for line in &found.said {
            Output::notice(format!("warning: {line}"));
        }
        Ok(found)
    }
}

fn list<'a>(
    node: &Node,
    output: Output,
    open: impl FnOnce() -> Result<Site<'a>, Failure>,
    zone: Option<&ZoneId>,
    local: bool,
) -> Result<Exit, Failure> {
    let (site, mut failure) = match (!local).then(open).transpose() {
        Ok(site) => (site, None),
        Err(failure) => (None, Some(failure)),
    };
    let mut held = None;
    if let Some(Site { branch: Some(branch), law, .. }) = &site {
        match branch.read(&law.allocators) {
            Ok(read) => held = Some(read),
            Err(error) => failure = Some(failed(error)),
        }
    }
    let last = addresses::remembered(&node.host).map_err(failed)?;
    let (read, tip, mut leases) = match (held, last, failure) {
        (Some(held), ..) => (node.host.now(), held.tip, held.leases),
        (None, Some(last), failure) => {
            if let Some(failure) = failure {
                let why = failure.to_string();
                Output::notice(format!("warning{}", why.strip_prefix("error").unwrap_or(&why)));
                Output::notice(format!("this is what was read at {:.0}", last.read));
            }
            (last.read, last.tip, last.leases)
        }
        (None, None, Some(failure)) => return Err(failure),
        (None, None, None) if local => {
            let message = "this node has read no leases yet";
            return Err(Failure::new(Exit::Failed, message));
        }
        (None, None, None) => (node.host.now(), None, Leases::new()),
    };
    if let Some(site) = &site {
        servers::read(site)?;
    }
    servers::add_leases(node, &mut leases)?;
    let shown: Vec<_> =
        leases.iter().filter(|((of, _), _)| zone.is_none_or(|zone| zone == of)).collect();
    output.say(words::table(&shown));
    output.document(&json!({
        "ok": true,
        "read": read,
        "commit": tip,
        "leases": shown.iter().map(|(key, lease)| hand::document(key, lease)).collect::<Vec<_>>(),
    }));
    Ok(Exit::Ok)
}

fn allocate_declared(site: &Site<'_>) -> Result<Exit, Failure> {
    if site.branch.is_none() && servers::any(&site.law) {
        let mut allocation = Allocation::default();
        let refused = servers::allocate(site, (&site.others()?, false), &mut allocation)?;
        site.tell_hosts()?;
        return Ok(words::say(site.output, &allocation, &refused, true));
    }
    let branch = site.branch()?;
    let found = site.others()?;
    let (claims, complete) = (&found.claims, found.all_known());
    let outcome = addresses::settle(&site.node.host, branch, &site.law, claims, complete);
    let outcome = outcome.map_err(failed)?;
    let behind = outcome.behind;
    let mut allocation = allocation(outcome);
    let refused = servers::allocate(site, (&found, behind), &mut allocation)?;
    told(site, &allocation, &refused, behind)
}

fn allocation(outcome: Outcome) -> Allocation {
    Allocation {
        changes: outcome.settled.changes,
        refused: outcome.refused,
        stranded: outcome.stranded,
    }
}

/// Tells what was settled to the DHCP servers of this node, and says it.
fn told(
    site: &Site<'_>,
    allocation: &Allocation,
    refused: &[Refused],
    behind: bool,
) -> Result<Exit, Failure> {
    site.tell_hosts()?;
    if behind {
        let message = "another node settled a newer commit of the configuration; this one only gives addresses to those who have none";
        for line in words::sentences(&allocation.changes) {
            Output::notice(line);
        }
        for refused in refused {
            Output::notice(format!("refused: {refused}"));
        }
        return Err(
            Failure::new(Exit::Refused, message).hint("`weft sync` brings this node up to it")
        );
    }
    Ok(words::say(site.output, allocation, refused, true))
}

/// A declared guest goes by what is declared.
fn is_declared(claim: &Claim) -> Failure {
    let error = HandError::Declared(claim.mac.clone(), claim.vnet.clone());
    Failure::new(Exit::Refused, error.to_string())
        .hint("write the address into `guests:` of the configuration")
}

/// A wish that is not looked at.
fn refused(error: HandError, claim: &Claim) -> Failure {
    let failure = Failure::new(Exit::Refused, error.to_string());
    match error {
        HandError::Declared(..) => is_declared(claim),
        HandError::NoVnet { help, .. } => {
            let undeclared = "declare it in the configuration; what runs on this node counts";
            failure.hint(help.unwrap_or_else(|| undeclared.to_owned()))
        }
        HandError::NoSubnet(_) => failure.hint("give the vnet a subnet in the configuration"),
        HandError::Administered(..) => failure,
        HandError::Addresses(error) => failed(error),
    }
}

/// Gives addresses to one interface, and leaves all others as they are.
fn allocate_one(site: &Site<'_>, wish: &Wish) -> Result<Exit, Failure> {
    let claim = wish.claim();
    wish.check(&site.law.network).map_err(|error| refused(error, &claim))?;
    if let Some(exit) = servers::allocate_one(site, &claim)? {
        return Ok(exit);
    }
    let given = hand::give(&site.node.host, site.branch()?, &site.law, wish);
    let outcome = given.map_err(|error| refused(error, &claim))?;
    let behind = outcome.behind;
    told(site, &allocation(outcome), &[], behind)
}

fn release(
    site: &Site<'_>,
    (address, zone): (IpAddr, Option<&ZoneId>),
    at_once: bool,
) -> Result<Exit, Failure> {
    if let Some(exit) = servers::release(site, (address, zone), at_once)? {
        return Ok(exit);
    }
    let Site { law, node, output, .. } = site;
    let branch = site.branch()?;
    let declared = claims(&law.network);
    let pools = Pools::of(&law.network);
    let now = node.host.now();
    let mut wrong = None;
    let settled = branch
        .settle(&law.allocators, &format!("leases: {address} by hand"), |held| {
            wrong = None;
            let is_it = |(of, found): &(ZoneId, IpAddr)| {
                *found == address && zone.is_none_or(|zone| zone == of)
            };
            let found: Vec<_> = held.leases.iter().filter(|(key, _)| is_it(key)).collect();
            let [((zone, _), lease)] = found.as_slice() else {
                let zones: Vec<_> = found.iter().map(|((zone, _), _)| zone.to_string()).collect();
                wrong = Some(if zones.is_empty() {
                    Failure::new(Exit::Failed, format!("nobody holds {address}"))
                } else {
                    let message = format!("{address} is held in the zones {}", zones.join(", "));
                    Failure::new(Exit::Usage, message).hint("name one: `--zone ZONE`")
                });
                return Decision::default();
            };
            let claims = |claim: &&Claim| (&claim.vnet, &claim.mac) == (&lease.vnet, &lease.mac);
            let is_stranded = pools.strand(&(zone.clone(), address), &lease.vnet);
            if let Some(claim) = declared.iter().find(claims).filter(|_| !is_stranded) {
                let message =
                    format!("{address} belongs to guest `{}`, which is declared", claim.guest);
                wrong = Some(Failure::new(Exit::Refused, message).hint(
                    "remove the guest from the configuration, or give it another address there",
                ));
                return Decision::default();
            }
            let released = Lease { released: Some(now), ..(*lease).clone() };
            let change = LeaseChange {
                zone: zone.clone(),
                address,
                before: Some((*lease).clone()),
                after: (!at_once).then_some(released),
            };
            Decision { changes: vec![change], configuration: None }
        })
        .map_err(failed)?;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    site.tell_hosts()?;
    let message = if at_once {
        format!("{address} is free")
    } else {
        let grace = SignedDuration::try_from(branch.grace()).unwrap_or_default();
        format!("{address} is given up, and free in {grace:#}")
    };
    output.say(&message);
    output.document(&json!({ "ok": true, "message": message, "commit": settled.tip }));
    Ok(Exit::Ok)
}

fn check(site: &Site<'_>) -> Result<Exit, Failure> {
    let wrong = servers::check(site);
    if site.branch.is_none() && servers::any(&site.law) {
        return Ok(words::say_wrong(site.output, &wrong));
    }
    let branch = site.branch()?;
    let held = branch.read(&site.law.allocators).map_err(failed)?;
    let found = site.others()?;
    let complete = found.all_known().iter().copied().chain([Origin::Declared]).collect();
    let terms = Terms { now: site.node.host.now(), grace: branch.grace(), complete };
    let claims = addresses::all_claims(&site.law, &found.claims);
    let allocation = allocate(&site.law.network, &held.leases, &claims, &terms);
    site.output.say(format!("{} kept", counted(held.leases.len(), "lease")));
    Ok(words::say(site.output, &allocation, &wrong, false))
}

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
use crate::agent::addresses::{self, Law, Outcome};
use crate::agent::found::FoundGuests;
use crate::agent::hand::{self, HandError, Wish};
use crate::agent::leases::{Branch, Decision, Starter};
use crate::agent::settings::Settings;
use crate::host::{Host as _, Linux};
use crate::network::{Lease, Leases, Origin};
use crate::plan::addresses::{Allocation, Claim, LeaseChange, Pools, Terms, allocate, claims};
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
    #[arg(long, value_name = "VNET")]
    vnet: Option<VnetId>,
    /// Its hardware address.
    #[arg(long, value_name = "MAC")]
    mac: Option<MacAddress>,
    /// The guest's name in DNS, when it is not its own.
    #[arg(long, value_name = "NAME")]
    hostname: Option<DnsName>,
}

/// Runs a verb of `weft ipam`.
pub(super) fn run(node: &Node, output: Output, arguments: &Arguments) -> Result<Exit, Failure> {
    let settings = node.settings()?;
    match &arguments.verb {
        Verb::List { zone, local } => list(node, &settings, output, zone.as_ref(), *local),
        Verb::Allocate { guest: None, .. } => allocate_declared(node, &settings, output),
        Verb::Allocate { guest: Some(guest), interface } => {
            allocate_one(node, &settings, output, &interface.wish(guest, None))
        }
        Verb::Set { address, guest, interface } => {
            allocate_one(node, &settings, output, &interface.wish(guest, Some(*address)))
        }
        Verb::Release { address, zone, now } => {
            release(node, &settings, output, (*address, zone.as_ref()), *now)
        }
        Verb::Import(import) => import::run(node, &settings, output, import),
        Verb::Plan(leave) => servers::run(node, &settings, output, *leave, false),
        Verb::Apply(leave) => servers::run(node, &settings, output, *leave, true),
        Verb::Adopt => servers::adopt(node, &settings, output),
        Verb::Check => check(node, &settings, output),
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
struct Desk<'a> {
    branch: Branch<'a, Linux>,
    law: Law,
}

fn open<'a>(
    node: &'a Node,
    settings: &'a Settings,
    (program, cancel): &'a (Utf8PathBuf, Cancel),
) -> Result<Desk<'a>, Failure> {
    let starter = Starter { program, root: node.root.as_deref(), cancel };
    let branch = Branch::of(&node.host, settings, starter).map_err(|error| {
        failed(error)
            .hint("add `leases: {remote: {name: …, url: …}, key: …}` to the node's settings")
    })?;
    let law = addresses::law(&node.host, settings, starter)
        .map_err(|error| failed(error).hint("`weft sync` fetches the configuration"))?;
    Ok(Desk { branch, law })
}

/// Tells the DHCP servers of this node what it remembers of leases.
fn tell_hosts(node: &Node, settings: &Settings) -> Result<(), Failure> {
    let told = addresses::tell_hosts(&node.host, settings).map_err(failed)?;
    for line in told.sentences() {
        Output::notice(format!("warning: {line}"));
    }
    Ok(())
}

fn list(
    node: &Node,
    settings: &Settings,
    output: Output,
    zone: Option<&ZoneId>,
    local: bool,
) -> Result<Exit, Failure> {
    let program = (node::program()?, Cancel::default());
    let fresh = || {
        let desk = open(node, settings, &program)?;
        let held = desk.branch.read(&desk.law.allocators);
        held.map(|held| (held.tip, held.leases)).map_err(failed)
    };
    let asked_locally = local;
    let local = local || settings.leases.is_none();
    let (read, tip, mut leases) = match if local { Err(None) } else { fresh().map_err(Some) } {
        Ok((tip, leases)) => (node.host.now(), tip, leases),
        Err(failure) => {
            let last = addresses::remembered(&node.host).map_err(failed)?;
            match (last, failure) {
                (Some(last), failure) => {
                    if let Some(failure) = failure {
                        Output::notice(format!("warning: {failure}"));
                        Output::notice(format!("this is what was read at {}", last.read));
                    }
                    (last.read, last.tip, last.leases)
                }
                (None, Some(failure)) => return Err(failure),
                (None, None) if asked_locally => {
                    let message = "this node has read no leases yet";
                    return Err(Failure::new(Exit::Failed, message));
                }
                (None, None) => (node.host.now(), None, Leases::new()),
            }
        }
    };
    servers::add_leases(node, settings, &mut leases, asked_locally)?;
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

fn allocate_declared(node: &Node, settings: &Settings, output: Output) -> Result<Exit, Failure> {
    let law = servers::law(node, settings)?;
    if settings.leases.is_none() && servers::any(&law) {
        let found = addresses::others(&node.host, settings, &law).map_err(failed)?;
        let mut allocation = Allocation::default();
        let is_refused = servers::allocate(node, settings, &law, (&found, false), &mut allocation)?;
        tell_hosts(node, settings)?;
        let exit = words::say(output, &allocation, true);
        return Ok(if is_refused { Exit::Refused } else { exit });
    }
    let program = (node::program()?, Cancel::default());
    let desk = open(node, settings, &program)?;
    let found = others(node, settings, &desk)?;
    let (claims, complete) = (&found.claims, found.all_known());
    let outcome =
        addresses::settle(&node.host, &desk.branch, &desk.law, claims, complete).map_err(failed)?;
    let behind = outcome.behind;
    let mut allocation = allocation(outcome);
    let is_refused =
        servers::allocate(node, settings, &desk.law, (&found, behind), &mut allocation)?;
    let exit = told(node, settings, output, &allocation, behind)?;
    Ok(if is_refused { Exit::Refused } else { exit })
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
    node: &Node,
    settings: &Settings,
    output: Output,
    allocation: &Allocation,
    behind: bool,
) -> Result<Exit, Failure> {
    tell_hosts(node, settings)?;
    if behind {
        let message = "another node settled a newer commit of the configuration; this one only gives addresses to those who have none";
        for line in words::sentences(&allocation.changes) {
            Output::notice(line);
        }
        return Err(
            Failure::new(Exit::Refused, message).hint("`weft sync` brings this node up to it")
        );
    }
    Ok(words::say(output, allocation, true))
}

/// Guests of the hypervisor, where the settings ask for them.
fn others(node: &Node, settings: &Settings, desk: &Desk<'_>) -> Result<FoundGuests, Failure> {
    let found = addresses::others(&node.host, settings, &desk.law).map_err(failed)?;
    for line in &found.said {
        Output::notice(format!("warning: {line}"));
    }
    Ok(found)
}

/// A declared guest goes by what is declared.
fn is_declared(claim: &Claim) -> Failure {
    let message = format!(
        "the interface {} on vnet `{}` is declared, and its address is what the configuration says",
        claim.mac, claim.vnet
    );
    Failure::new(Exit::Refused, message)
        .hint("write the address into `guests:` of the configuration")
}

/// Gives addresses to one interface, and leaves all others as they are.
fn allocate_one(
    node: &Node,
    settings: &Settings,
    output: Output,
    wish: &Wish,
) -> Result<Exit, Failure> {
    if let Some(exit) = servers::allocate_one(node, settings, output, &wish.claim())? {
        return Ok(exit);
    }
    let program = (node::program()?, Cancel::default());
    let desk = open(node, settings, &program)?;
    let given = hand::give(&node.host, &desk.branch, &desk.law, wish);
    let outcome = given.map_err(|error| match error {
        HandError::Declared(..) => Failure::new(Exit::Refused, error.to_string())
            .hint("write the address into `guests:` of the configuration"),
        HandError::Administered(..) => Failure::new(Exit::Refused, error.to_string()),
        HandError::Addresses(error) => failed(error),
    })?;
    let behind = outcome.behind;
    told(node, settings, output, &allocation(outcome), behind)
}

fn release(
    node: &Node,
    settings: &Settings,
    output: Output,
    (address, zone): (IpAddr, Option<&ZoneId>),
    at_once: bool,
) -> Result<Exit, Failure> {
    if let Some(exit) = servers::release(node, settings, output, (address, zone), at_once)? {
        return Ok(exit);
    }
    let program = (node::program()?, Cancel::default());
    let desk = open(node, settings, &program)?;
    let declared = claims(&desk.law.network);
    let pools = Pools::of(&desk.law.network);
    let now = node.host.now();
    let mut wrong = None;
    let settled = desk
        .branch
        .settle(&desk.law.allocators, &format!("leases: {address} by hand"), |held| {
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
    tell_hosts(node, settings)?;
    let message = if at_once {
        format!("{address} is free")
    } else {
        let grace = SignedDuration::try_from(desk.branch.grace()).unwrap_or_default();
        format!("{address} is given up, and free in {grace:#}")
    };
    output.say(&message);
    output.document(&json!({ "ok": true, "message": message, "commit": settled.tip }));
    Ok(Exit::Ok)
}

fn check(node: &Node, settings: &Settings, output: Output) -> Result<Exit, Failure> {
    let is_wrong = servers::check(node, settings)?;
    if settings.leases.is_none() && servers::any(&servers::law(node, settings)?) {
        output.document(&json!({ "ok": !is_wrong }));
        return Ok(if is_wrong { Exit::Refused } else { Exit::Ok });
    }
    let program = (node::program()?, Cancel::default());
    let desk = open(node, settings, &program)?;
    let held = desk.branch.read(&desk.law.allocators).map_err(failed)?;
    let found = others(node, settings, &desk)?;
    let complete = found.all_known().iter().copied().chain([Origin::Declared]).collect();
    let terms = Terms { now: node.host.now(), grace: desk.branch.grace(), complete };
    let claims = addresses::all_claims(&desk.law, &found.claims);
    let allocation = allocate(&desk.law.network, &held.leases, &claims, &terms);
    output.say(format!("{} kept", counted(held.leases.len(), "lease")));
    let exit = words::say(output, &allocation, false);
    Ok(if is_wrong { Exit::Refused } else { exit })
}

//! Addresses that somebody asks for by hand or by program, and no declaration.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use camino::Utf8PathBuf;
use serde_json::{Value as Json, json};
use thiserror::Error;

use super::addresses::{self, AddressesError, Law, Outcome, Told};
use super::control::Answer;
use super::error::chain;
use super::leases::{Branch, Starter};
use super::settings;
use crate::declare::finding::suggestion;
use crate::host::Host;
use crate::network::{Lease, Network, Origin};
use crate::plan::addresses::{Claim, claims};
use crate::plan::ipam::administrator;
use crate::sync::worker::Cancel;
use crate::value::{DnsName, GuestName, IpamId, MacAddress, VnetId, ZoneId};

/// An interface that should have addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The guest.
    pub guest: GuestName,
    /// The vnet the interface is plugged into.
    pub vnet: VnetId,
    /// Its hardware address.
    pub mac: MacAddress,
    /// The guest's name in DNS, when it is not its own.
    pub hostname: Option<DnsName>,
    /// The address that it must have; any that is free where there is none.
    pub address: Option<IpAddr>,
}

/// Why a wish is not looked at.
#[derive(Debug, Error)]
pub enum HandError {
    /// It is the configuration's to say.
    #[error(
        "the interface {0} on vnet `{1}` is declared, and its address is what the configuration says"
    )]
    Declared(MacAddress, VnetId),
    /// No vnet of that name is declared.
    #[error("vnet `{vnet}` is not declared")]
    NoVnet {
        /// The name.
        vnet: VnetId,
        /// Which one may be meant.
        help: Option<String>,
    },
    /// The vnet has no addresses to give.
    #[error("vnet `{0}` has no subnet, and so no address to give")]
    NoSubnet(VnetId),
    /// A server has it, and the branch must not have it too.
    #[error("the IPAM server `{0}` administers the vnet `{1}`; `weft ipam allocate` asks it")]
    Administered(IpamId, VnetId),
    /// Leases are not read or not written.
    #[error(transparent)]
    Addresses(#[from] AddressesError),
}

/// Gives addresses to one interface, and leaves all others as they are; remembers what is
/// held then.
pub fn give<H: Host>(
    host: &H,
    branch: &Branch<'_, H>,
    law: &Law,
    wish: &Wish,
) -> Result<Outcome, HandError> {
    let claim = wish.claim();
    let is_it = |other: &Claim| (&other.vnet, &other.mac) == (&claim.vnet, &claim.mac);
    if claims(&law.network).iter().any(is_it) {
        return Err(HandError::Declared(claim.mac, claim.vnet));
    }
    if let Some(id) = administrator(&law.network, &claim.vnet) {
        return Err(HandError::Administered(id.clone(), claim.vnet));
    }
    wish.check(&law.network)?;
    let message = format!("leases: {} by hand", claim.guest);
    Ok(addresses::settle_some(host, branch, law, &[claim], &message)?)
}

/// The words of a request on the agent's socket: guest, vnet, hardware address and perhaps
/// an address.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.guest, self.vnet, self.mac)?;
        self.address.map_or(Ok(()), |address| write!(f, " {address}"))
    }
}

impl Wish {
    /// What the interface claims.
    pub fn claim(&self) -> Claim {
        let Self { guest, vnet, mac, hostname, address } = self.clone();
        let fixed = address.into_iter().collect();
        Claim { vnet, mac, guest, hostname, fixed, origin: Origin::Set }
    }

    /// Whether there is anything to have on its vnet.
    pub fn check(&self, network: &Network) -> Result<(), HandError> {
        let Self { vnet, .. } = self;
        let mut vnets = network.zones.values().flat_map(|zone| &zone.vnets);
        match vnets.find(|(id, _)| *id == vnet) {
            Some((_, declared)) if declared.subnets().next().is_none() => {
                Err(HandError::NoSubnet(vnet.clone()))
            }
            Some(_) => Ok(()),
            None => {
                let vnets = network.zones.values().flat_map(|zone| zone.vnets.keys());
                let names = vnets.map(AsRef::as_ref);
                let help = suggestion(vnet.as_str(), "declared vnets", names);
                Err(HandError::NoVnet { vnet: vnet.clone(), help })
            }
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (guest, vnet, mac) = (words.next()?, words.next()?, words.next()?);
        let address = words.next().map(str::parse);
        if words.next().is_some() {
            return None;
        }
        Some(Self {
            guest: guest.parse().ok()?,
            vnet: vnet.parse().ok()?,
            mac: mac.parse().ok()?,
            hostname: None,
            address: address.transpose().ok()?,
        })
    }
}

/// One lease for programs.
pub fn document((zone, address): &(ZoneId, IpAddr), lease: &Lease) -> Json {
    json!({
        "zone": zone,
        "address": address,
        "vnet": lease.vnet,
        "guest": lease.guest,
        "mac": lease.mac,
        "hostname": lease.hostname,
        "state": match (lease.released, lease.origin) {
            (Some(_), _) => "released",
            (None, Origin::Declared) => "declared",
            (None, Origin::Found) => "found",
            (None, Origin::Set) => "set",
        },
        "released": lease.released,
    })
}

/// Whoever answers requests for addresses on the agent's socket.
pub(super) trait Counter: fmt::Debug + Send + Sync {
    /// Who holds which address, as this node read it last.
    fn leases(&self) -> Answer;

    /// Gives an interface its addresses. Waits for the server of leases.
    fn give(&self, wish: &Wish) -> Answer;
}

/// That of a node.
pub(super) struct OfNode<H> {
    pub(super) host: Arc<H>,
    pub(super) program: Utf8PathBuf,
    pub(super) root: Option<Utf8PathBuf>,
}

impl<H> fmt::Debug for OfNode<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfNode").finish_non_exhaustive()
    }
}

impl<H: Host> Counter for OfNode<H> {
    fn leases(&self) -> Answer {
        match addresses::remembered(&*self.host) {
            Ok(last) => {
                let read = last.as_ref().map(|last| last.read);
                let leases = last.map(|last| last.leases).unwrap_or_default();
                let text = format!("{} leases", leases.len());
                let all: Vec<Json> = leases.iter().map(|(key, of)| document(key, of)).collect();
                let document = json!({ "ok": true, "read": read, "leases": all });
                Answer { exit: 0, failed: false, text, document }
            }
            Err(error) => Answer::failure(&chain(&error)),
        }
    }

    fn give(&self, wish: &Wish) -> Answer {
        let host = &*self.host;
        let settings = match settings::load(host) {
            Ok(Some(settings)) => settings,
            Ok(None) => return Answer::failure("this node has no settings"),
            Err(error) => return Answer::failure(&chain(&error)),
        };
        let cancel = Cancel::default();
        let (program, root) = (self.program.as_path(), self.root.as_deref());
        let starter = Starter { program, root, cancel: &cancel };
        let given = Branch::of(host, &settings, starter).map_err(AddressesError::from);
        let given = given.map_err(HandError::from).and_then(|branch| {
            let law = addresses::law(host, &settings, starter)?;
            give(host, &branch, &law, wish)
        });
        match given {
            Ok(outcome) => {
                let told = addresses::tell_hosts(host, &settings);
                let notes = told.map_or_else(|error| vec![chain(&error)], Told::sentences);
                answer(wish, &outcome, &notes)
            }
            Err(error @ (HandError::NoVnet { .. } | HandError::NoSubnet(_))) => {
                refusal(error.to_string())
            }
            Err(error) => Answer::failure(&chain(&error)),
        }
    }
}

/// A wish that nothing can come of.
fn refusal(text: String) -> Answer {
    let document = json!({ "ok": false, "leases": [], "refused": [&text], "notes": [] });
    Answer { exit: 4, failed: false, text, document }
}

fn answer(wish: &Wish, outcome: &Outcome, notes: &[String]) -> Answer {
    if outcome.behind {
        let message =
            "another node settled a newer commit of the configuration; this one only reads";
        return Answer::failure(message);
    }
    let own =
        outcome.settled.leases.iter().filter(|(_, of)| {
            (&of.vnet, &of.mac) == (&wish.vnet, &wish.mac) && of.released.is_none()
        });
    let own: Vec<_> = own.collect();
    let refused: Vec<String> = outcome.refused.iter().map(ToString::to_string).collect();
    let held: Vec<String> = own.iter().map(|((_, address), _)| address.to_string()).collect();
    let text = if refused.is_empty() { held.join(" ") } else { refused.join("\n") };
    let document = json!({
        "ok": refused.is_empty(),
        "leases": own.iter().map(|(key, of)| document(key, of)).collect::<Vec<_>>(),
        "refused": refused,
        "notes": notes,
    });
    let exit = if refused.is_empty() { 0 } else { 4 };
    Answer { exit, failed: false, text, document }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_comes_back_as_it_was_written() {
        for text in ["web1 va 02:00:00:00:00:01", "web1 va 02:00:00:00:00:01 2001:db8::5"] {
            assert_eq!(Wish::read(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "web1 va",
            "web1 va 02:00:00:00:00:01 10.0.0.5 more",
            "web1 va 02:00:00:00:00:01 ",
            "web1  va 02:00:00:00:00:01",
            "web1 much-too-long-a-name 02:00:00:00:00:01",
            "web1 va 02:00:00:00:00:01 10.0.0",
        ] {
            assert_eq!(Wish::read(bad), None, "{bad:?}");
        }
    }
}

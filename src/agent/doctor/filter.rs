//! Packet filters of a machine: which of them drop what comes in, and what they
//! obviously accept.
//!
//! Read to warn, never to promise: a rule that is not understood counts as one that
//! may accept, so that nobody is told of a closed door that is open.

mod iptables;
mod nftables;
mod proxmox;

use serde::{Deserialize, Serialize};

use super::needs::{Opening, Service};

pub use iptables::of_iptables;
pub use nftables::of_nftables;
pub use proxmox::of_proxmox;

/// A filter that drops every packet to this machine that no rule accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFilter {
    /// Whose it is, and how a rule is added to it.
    pub by: Filter,
    /// Whether it sees IPv4.
    pub v4: bool,
    /// Whether it sees IPv6.
    pub v6: bool,
    /// What it accepts of new packets.
    pub accepts: Vec<Accept>,
    /// Whether it has rules that may accept more, and are not understood.
    pub opaque: bool,
}

/// Whose filter it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// A base chain of nftables.
    Nftables {
        /// `ip`, `ip6` or `inet`.
        family: String,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
    },
    /// The `INPUT` chain of `iptables` or `ip6tables`: the program's name.
    Iptables(String),
    /// The firewall of Proxmox VE.
    Proxmox,
}

/// What a rule accepts, by what it says of protocol and destination port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The protocols; every one where it is `None`.
    pub protocols: Option<Vec<String>>,
    /// The first and the last port of each range; every port where it is `None`.
    pub ports: Option<Vec<(u16, u16)>>,
}

/// What a rule comes to.
enum Read {
    /// It accepts new packets.
    Accepts(Accept),
    /// It accepts none.
    Nothing,
    /// It may accept some.
    Unknown,
}

impl Accept {
    fn takes(&self, opening: &Opening) -> bool {
        let number = match opening.service {
            Service::Ospf => "89",
            Service::Bgp => "6",
            Service::Vxlan | Service::Bfd | Service::Dhcp => "17",
        };
        let names = [opening.service.protocol(), number];
        let protocol = self
            .protocols
            .as_ref()
            .is_none_or(|protocols| protocols.iter().any(|p| names.contains(&p.as_str())));
        let port = match (&self.ports, opening.port) {
            (None, _) => true,
            (Some(ranges), Some(port)) => {
                ranges.iter().any(|(low, high)| (low..=high).contains(&&port))
            }
            (Some(_), None) => false,
        };
        protocol && port
    }
}

impl InputFilter {
    /// Whether no rule is known by which these packets get in.
    pub fn closes(&self, opening: &Opening) -> bool {
        let seen = if opening.v6 { self.v6 } else { self.v4 };
        seen && !self.opaque && !self.accepts.iter().any(|accept| accept.takes(opening))
    }

    /// Where the filter is, for people.
    pub fn place(&self) -> String {
        match &self.by {
            Filter::Nftables { family, table, chain } => {
                format!("the chain `{chain}` of the nftables table `{family} {table}`")
            }
            Filter::Iptables(program) => format!("the chain `INPUT` of {program}"),
            Filter::Proxmox => "the firewall of Proxmox VE".to_owned(),
        }
    }

    /// The command that lets these packets in.
    pub fn open(&self, opening: &Opening) -> String {
        let protocol = opening.service.protocol();
        match (&self.by, opening.port) {
            (Filter::Nftables { family, table, chain }, Some(port)) => {
                format!("nft insert rule {family} {table} {chain} {protocol} dport {port} accept")
            }
            (Filter::Nftables { family, table, chain }, None) => {
                format!("nft insert rule {family} {table} {chain} meta l4proto {protocol} accept")
            }
            (Filter::Iptables(program), Some(port)) => {
                format!("{program} -I INPUT -p {protocol} --dport {port} -j ACCEPT")
            }
            (Filter::Iptables(program), None) => {
                format!("{program} -I INPUT -p {protocol} -j ACCEPT")
            }
            (Filter::Proxmox, port) => {
                let port = port.map(|port| format!(" --dport {port}")).unwrap_or_default();
                format!(
                    "pvesh create /cluster/firewall/rules --enable 1 --type in --action ACCEPT --proto {protocol}{port}"
                )
            }
        }
    }
}

//! Prefix lists, access lists, and the route maps that use them.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an entry does with what matches.
pub(super) use crate::facts::frr_local::Action;

/// What comes in from the ends of tunnels.
pub(super) const FROM_VTEPS: &str = "MAP_VTEP_IN";

/// What goes out to the ends of tunnels.
pub(super) const TO_VTEPS: &str = "MAP_VTEP_OUT";

/// Gives routes that BGP learns the address of the loopback interface as their source.
pub(super) const CORRECT_SOURCE: &str = "correct_src";

/// Every IPv4 prefix.
pub(super) const LOOPBACKS: &str = "loopbacks_ips";

/// The one rule of a prefix list, which permits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PrefixRule {
    /// Its number.
    pub seq: u32,
    /// The prefix.
    pub network: IpNet,
    /// The longest prefix length within it.
    pub le: Option<u8>,
}

/// The one rule of an access list, which permits this prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccessRule(pub IpNet);

/// One entry of a route map.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RouteMapEntry {
    /// Its number.
    pub seq: u32,
    /// What happens with what matches.
    pub action: Action,
    /// What must match.
    pub matches: Option<Match>,
    /// What is changed.
    pub set: Option<Set>,
}

/// What a route must match.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// The only prefix of `only_default` or `only_default_v6`.
    Default(Family),
    /// The prefix list [`LOOPBACKS`].
    Loopbacks,
    /// An access list of this name.
    AccessList(Family, String),
}

/// What is changed of a route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// How bad it is.
    Metric(u32),
    /// The source address of packets that take it.
    Source(IpAddr),
}

/// The version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// The route maps of a protocol.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProtocolMaps {
    /// For IPv4 routes.
    pub v4: Option<&'static str>,
    /// For IPv6 routes.
    pub v6: Option<&'static str>,
}

impl Family {
    /// Both, in the order of lines.
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The prefix list that holds the default route alone.
    pub(super) fn only_default(self) -> &'static str {
        match self {
            Self::V4 => "only_default",
            Self::V6 => "only_default_v6",
        }
    }

    /// The prefix of every address.
    pub(super) fn everything(self) -> IpNet {
        match self {
            Self::V4 => Ipv4Net::default().into(),
            Self::V6 => Ipv6Net::default().into(),
        }
    }
}

impl RouteMapEntry {
    /// An entry that takes everything as it is.
    pub(super) fn everything() -> Self {
        Self { seq: 1, action: Action::Permit, matches: None, set: None }
    }
}

impl fmt::Display for PrefixRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq {} permit {}", self.seq, self.network)?;
        self.le.map_or(Ok(()), |le| write!(f, " le {le}"))
    }
}

impl fmt::Display for RouteMapEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.action, self.seq)?;
        match &self.matches {
            None => {}
            Some(Match::Default(family)) => {
                writeln!(f, " match {family} address prefix-list {}", family.only_default())?;
            }
            Some(Match::Loopbacks) => writeln!(f, " match ip address prefix-list {LOOPBACKS}")?,
            Some(Match::AccessList(family, name)) => writeln!(f, " match {family} address {name}")?,
        }
        match &self.set {
            None => Ok(()),
            Some(Set::Metric(metric)) => writeln!(f, " set metric {metric}"),
            Some(Set::Source(address)) => writeln!(f, " set src {address}"),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ip",
            Self::V6 => "ipv6",
        })
    }
}

//! Signs that a node's network works: looked at before the first change of an apply, and
//! from the last one until it is confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::value::{DnsName, HostName, HttpUrl, Word};

/// One thing that works or does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// A remote takes a new connection.
    Remote(Word),
    /// The next hop of a default route answers.
    Gateway(IpAddr),
    /// A routing protocol of FRR has its neighbour.
    Session(Session),
    /// FRR knows this VNI.
    Vni(u32),
    /// A bridge is there and up.
    Bridge(String),
    /// A port of a guest is up, and on its bridge.
    GuestPort {
        /// The interface.
        port: String,
        /// The bridge; empty where it is a port of none, and then it does not work.
        bridge: String,
    },
    /// A probe of the node's settings succeeds.
    Probe(Word),
}

/// A routing protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// BGP; a neighbour by its address or interface.
    Bgp,
    /// BFD; a neighbour by its address.
    Bfd,
    /// IS-IS; any neighbour on an interface.
    Isis,
    /// OSPF for IPv4; any neighbour on an interface.
    Ospf,
    /// OpenFabric; any neighbour on an interface.
    OpenFabric,
}

/// A neighbour of a routing protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The protocol.
    pub protocol: Protocol,
    /// The VRF; `default` outside of any.
    pub vrf: String,
    /// The address of the neighbour, or the interface that it is behind.
    pub peer: String,
}

/// How one sign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It works.
    Up,
    /// It does not.
    Down,
    /// It does not, and its other side does not answer below it either: a neighbour that
    /// is switched off, or a cable that is out.
    Away,
}

/// Every sign that was looked at. What is not there does not work.
pub type Signs = BTreeMap<Sign, Health>;

/// What was seen of a node at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// How everything is.
    pub signs: Signs,
    /// What runs and did not answer, such as a daemon of FRR: what it knows is not known.
    pub silent: BTreeSet<String>,
}

impl Look {
    /// The kernel, as [`Look::silent`] names it. It answers nobody while somebody makes or takes
    /// away very much, in whatever network of the machine.
    pub const KERNEL: &str = "the kernel's lists of interfaces and routes";

    /// Whether nobody told how a thing is, which then is neither up nor down. Of a daemon that is
    /// silent it is known that it does not do its work.
    pub(super) fn leaves_open(&self, sign: &Sign) -> bool {
        let is_of_kernel =
            matches!(sign, Sign::Bridge(_) | Sign::GuestPort { .. } | Sign::Gateway(_));
        is_of_kernel && self.silent.contains(Self::KERNEL)
    }
}

/// What is looked at beyond what the machine itself knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchlist {
    /// What is tried.
    pub probes: Vec<Probe>,
}

/// Something that is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The sign that it is for.
    pub sign: Sign,
    /// What is tried.
    pub check: Check,
}

/// What is tried. The bound on its time is the machine's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// A TCP connection is made and closed.
    Tcp {
        /// The address or name.
        host: HostName,
        /// The port.
        port: u16,
    },
    /// An HTTP or HTTPS GET is answered.
    Http {
        /// The URL.
        url: HttpUrl,
        /// The status that is wanted; any from 200 to 399 when absent.
        status: Option<u16>,
    },
    /// An ICMP echo is answered.
    Icmp {
        /// The address or name.
        host: HostName,
    },
    /// A name is resolved.
    Dns {
        /// The name.
        name: DnsName,
        /// The server that is asked; the machine's own when absent.
        server: Option<IpAddr>,
    },
    /// A command of the node's settings ends with status 0.
    Command {
        /// The absolute path of the program, and its arguments.
        words: Vec<String>,
    },
}

impl Protocol {
    /// The name, as people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bgp => "BGP",
            Self::Bfd => "BFD",
            Self::Isis => "IS-IS",
            Self::Ospf => "OSPF",
            Self::OpenFabric => "OpenFabric",
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with `{}`", self.protocol.as_str(), self.peer)?;
        if self.vrf == "default" { Ok(()) } else { write!(f, " in VRF `{}`", self.vrf) }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(name) => write!(f, "remote `{name}`"),
            Self::Gateway(address) => write!(f, "default gateway {address}"),
            Self::Session(session) => session.fmt(f),
            Self::Vni(number) => write!(f, "VNI {number} of FRR"),
            Self::Bridge(name) => write!(f, "bridge `{name}`"),
            Self::GuestPort { port, bridge } => {
                write!(f, "port `{port}` of bridge `{bridge}`")
            }
            Self::Probe(name) => write!(f, "probe `{name}`"),
        }
    }
}

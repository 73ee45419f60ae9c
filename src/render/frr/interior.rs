//! The protocols within a network: IS-IS of controllers, OpenFabric and OSPF of fabrics.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::config::lines;
use crate::value::{Area, FabricId, IfName, IsisNet, Word};

/// IS-IS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Isis {
    /// The routing processes, by domain.
    pub routers: BTreeMap<Word, IsisRouter>,
    /// The interfaces that take part.
    pub interfaces: BTreeMap<IfName, IsisInterface>,
}

/// A routing process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IsisRouter {
    /// The network entity title.
    pub net: IsisNet,
    /// Lines of `frr.conf.local`.
    pub custom: Vec<String>,
}

/// An interface that takes part in IS-IS.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IsisInterface {
    /// In which domain.
    pub domain: Word,
    /// Lines of `frr.conf.local`.
    pub custom: Vec<String>,
}

/// OpenFabric.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Openfabric {
    /// The routing processes.
    pub routers: BTreeMap<FabricId, Net>,
    /// The interfaces that take part.
    pub interfaces: BTreeMap<IfName, OpenfabricInterface>,
}

/// The network entity title of a node in fabrics, made of one of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// An interface that takes part in OpenFabric.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenfabricInterface {
    /// In which fabric.
    pub fabric: FabricId,
    /// Whether the node has an IPv4 address in the fabric.
    pub ipv4: bool,
    /// Whether it has an IPv6 address there.
    pub ipv6: bool,
    /// How it talks; not at all where there is nothing.
    pub timing: Option<Timing>,
}

/// How an interface talks OpenFabric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timing {
    /// Seconds between hellos.
    pub hello_interval: Option<u32>,
    /// Hellos that may be missed.
    pub hello_multiplier: Option<u32>,
    /// Seconds between complete sequence numbers.
    pub csnp_interval: Option<u32>,
}

/// OSPF.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ospf {
    /// The node's number among routers.
    pub router_id: Option<Ipv4Addr>,
    /// The interfaces that take part.
    pub interfaces: BTreeMap<IfName, OspfInterface>,
}

/// An interface that takes part in OSPF.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OspfInterface {
    /// In which area.
    pub area: Area,
    /// How it takes part.
    pub role: OspfRole,
}

/// How an interface takes part in OSPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OspfRole {
    /// It is announced, and says nothing.
    Passive,
    /// It has an address of its own.
    Numbered,
    /// It has the node's address, so there can be one neighbour only.
    PointToPoint,
}

impl fmt::Display for Isis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (domain, router) in &self.routers {
            write!(f, "!\nrouter isis {domain}\n net {}\n", router.net)?;
            f.write_str(" redistribute ipv4 connected level-1\n")?;
            f.write_str(" redistribute ipv6 connected level-1\n log-adjacency-changes\n")?;
            lines(f, &router.custom)?;
            f.write_str("exit\n")?;
        }
        for (name, interface) in &self.interfaces {
            write!(f, "!\ninterface {name}\n ip router isis {}\n", interface.domain)?;
            lines(f, &interface.custom)?;
            f.write_str("exit\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for Openfabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fabric, net) in &self.routers {
            write!(f, "!\nrouter openfabric {fabric}\n net {net}\nexit\n")?;
        }
        for (name, interface) in &self.interfaces {
            write!(f, "!\ninterface {name}\n{interface}exit\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for OpenfabricInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ipv4 {
            writeln!(f, " ip router openfabric {}", self.fabric)?;
        }
        if self.ipv6 {
            writeln!(f, " ipv6 router openfabric {}", self.fabric)?;
        }
        let Some(timing) = self.timing else { return f.write_str(" openfabric passive\n") };
        for (word, value) in [
            ("hello-interval", timing.hello_interval),
            ("hello-multiplier", timing.hello_multiplier),
            ("csnp-interval", timing.csnp_interval),
        ] {
            if let Some(value) = value {
                writeln!(f, " openfabric {word} {value}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Ospf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(router_id) = self.router_id {
            write!(f, "!\nrouter ospf\n ospf router-id {router_id}\nexit\n")?;
        }
        for (name, interface) in &self.interfaces {
            write!(f, "!\ninterface {name}\n ip ospf area {}\n", interface.area)?;
            f.write_str(match interface.role {
                OspfRole::Passive => " ip ospf passive\n",
                OspfRole::Numbered => "",
                OspfRole::PointToPoint => " ip ospf network point-to-point\n",
            })?;
            f.write_str("exit\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("49.0001.")?;
        match self {
            Self::V4(address) => {
                let digits = address.octets().map(|octet| format!("{octet:03}")).concat();
                write!(f, "{}.{}.{}", &digits[..4], &digits[4..8], &digits[8..])?;
            }
            Self::V6(address) => {
                let [.., a, b, c] = address.segments();
                write!(f, "{a:04x}.{b:04x}.{c:04x}")?;
            }
        }
        f.write_str(".00")
    }
}

#[cfg(test)]
mod tests {
    use super::Net;

    #[test]
    fn a_net_is_the_digits_of_an_address() {
        let v4 = |text: &str| Net::V4(text.parse().unwrap()).to_string();
        let v6 = |text: &str| Net::V6(text.parse().unwrap()).to_string();
        assert_eq!(v4("172.20.3.1"), "49.0001.1720.2000.3001.00");
        assert_eq!(v4("255.123.234.9"), "49.0001.2551.2323.4009.00");
        assert_eq!(v4("10.1.200.255"), "49.0001.0100.0120.0255.00");
        assert_eq!(v6("2001:db8::a:b0:c0de"), "49.0001.000a.00b0.c0de.00");
    }
}
